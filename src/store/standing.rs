//! Payouts as people move them by hand: back into the queue, or out of it.
//!
//! What a person is shown and what is done are decided by the same rules in
//! [`crate::model::standing`]; here the facts are read, and read again under the
//! locks of the transaction that moves anything. A row that somebody else holds
//! at that moment is left alone and said to be: nothing here waits for a run, so
//! that nothing here can be in one's way.

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::attempt::AttemptOutcome;
use crate::model::history::{Change, HistoryEvent};
use crate::model::ids::{PayoutId, StatementId};
use crate::model::payout::{CANCELLED_PREFIX, CandidateStatement, Payout, PayoutStatus};
use crate::model::schema::{payout_attempts, payout_batch_items, payouts};
use crate::model::standing::{
    Asked, PastAttempt, Refusal, RetryRules, Standing, first_of_its_statement, may_cancel,
    may_retry,
};
use crate::store::connection::AnyConnection;
use crate::store::dialect::{self, IDS_MAX};
use crate::store::findings::payments_found_in_tx;
use crate::store::payouts::{PageOf, PayoutFilter, page_ids};
use crate::store::runs::RunStamp;
use crate::store::{Store, StoreError, candidates, history, queue, reversals};

/// Payouts that are moved in one transaction.
pub const MOVED_AT_ONCE: usize = 500;

/// The states in which a payout may be ended.
const CANCELLABLE: [PayoutStatus; 2] = [PayoutStatus::Pending, PayoutStatus::Failed];

/// A payout and whether it was moved.
pub type Decided = (Standing, Result<(), Refusal>);

impl Store {
    /// Where these payouts stand, in the order of their ids given; those that
    /// exist.
    pub fn standings(&mut self, ids: &[PayoutId]) -> Result<Vec<Standing>, StoreError> {
        self.read(|conn| standings_in_tx(conn, ids))
    }

    /// Where the payouts of one page of a list stand.
    pub fn standings_page(
        &mut self,
        filter: &PayoutFilter,
        page: PageOf<'_>,
    ) -> Result<Vec<Standing>, StoreError> {
        self.read(|conn| {
            let ids = page_ids(conn, filter, page)?;
            standings_in_tx(conn, &ids)
        })
    }

    /// Puts failed payouts back into the queue, those that may be. At most
    /// [`MOVED_AT_ONCE`] at once.
    pub fn payouts_retry(
        &mut self,
        run: &RunStamp,
        ids: &[PayoutId],
        rules: &RetryRules,
        asked: Asked,
        force: bool,
    ) -> Result<Vec<Decided>, StoreError> {
        let now = self.clock.now();
        let (decided, heads) = self.write(|conn| {
            // Whoever creates a payout of the same statement holds this lock too.
            lock_statements_of(conn, ids)?;
            let mut taken = BTreeSet::new();
            let decided = decide(conn, ids, &[PayoutStatus::Failed], |standing| {
                let verdict = may_retry(standing, rules, asked, force, now);
                first_of_its_statement(standing, verdict, &mut taken)
            })?;
            let chosen = moved(&decided);
            let changed = diesel::update(
                payouts::table
                    .filter(payouts::id.eq_any(&chosen))
                    .filter(payouts::status.eq(PayoutStatus::Failed)),
            )
            .set((
                payouts::status.eq(PayoutStatus::Pending),
                payouts::updated_at.eq(now),
            ))
            .execute(conn)?;
            expect_all("put back", changed, chosen.len())?;
            let put_back = decided.iter().filter(|(_, verdict)| verdict.is_ok());
            let history_rows = put_back.map(|(standing, _)| Change {
                payout_id: standing.payout.id.clone(),
                event: HistoryEvent::Retried,
                from: Some(PayoutStatus::Failed),
                to: PayoutStatus::Pending,
                reason: standing.definite_no().map(|last| {
                    let code = last.error_code.as_deref().unwrap_or("no code");
                    format!("after attempt {}: {code}", last.number)
                }),
            });
            let heads = history::append_in_tx(conn, run, now, history_rows.collect())?;
            failpoint!("retry.writing");
            Ok((decided, heads))
        })?;
        self.heads.merge(heads);
        failpoint!("retry.committed");
        Ok(decided)
    }

    /// Ends payouts that were never sent or that Stripe refused, those that may be:
    /// FAILED for good, their statements and references free for others. What a
    /// transfer names all the same keeps both. At most [`MOVED_AT_ONCE`] at once.
    pub fn payouts_cancel(
        &mut self,
        run: &RunStamp,
        ids: &[PayoutId],
        reason: &str,
    ) -> Result<Vec<Decided>, StoreError> {
        let now = self.clock.now();
        let (decided, heads) = self.write(|conn| {
            let decided = decide(conn, ids, &CANCELLABLE, may_cancel)?;
            let chosen = moved(&decided);
            let changed = diesel::update(
                payouts::table
                    .filter(payouts::id.eq_any(&chosen))
                    .filter(payouts::status.eq_any(CANCELLABLE)),
            )
            .set((
                payouts::status.eq(PayoutStatus::Failed),
                payouts::failed_reason.eq(format!("{CANCELLED_PREFIX}{reason}")),
                payouts::updated_at.eq(now),
            ))
            .execute(conn)?;
            expect_all("cancelled", changed, chosen.len())?;
            for id in &chosen {
                queue::statement_release(conn, id)?;
            }
            let ended = || decided.iter().filter(|(_, verdict)| verdict.is_ok());
            let unpaid: Vec<&PayoutId> = ended()
                .filter(|(standing, _)| standing.found.is_none())
                .map(|(standing, _)| &standing.payout.id)
                .collect();
            let references = references_free(conn, &unpaid)?;
            let history_rows = ended().map(|(standing, _)| Change {
                payout_id: standing.payout.id.clone(),
                event: HistoryEvent::Cancelled,
                from: Some(standing.payout.status),
                to: PayoutStatus::Failed,
                reason: Some(match references.get(&standing.payout.id) {
                    Some(reference) => format!("{reason} (its reference was {reference})"),
                    None => reason.to_owned(),
                }),
            });
            let heads = history::append_in_tx(conn, run, now, history_rows.collect())?;
            failpoint!("cancel.writing");
            Ok((decided, heads))
        })?;
        self.heads.merge(heads);
        failpoint!("cancel.committed");
        Ok(decided)
    }
}

/// Locks the payouts that are in one of these states, reads where all of them
/// stand, and decides about each.
pub(super) fn decide(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
    statuses: &[PayoutStatus],
    mut rule: impl FnMut(&Standing) -> Result<(), Refusal>,
) -> Result<Vec<Decided>, StoreError> {
    let mut locked: HashSet<PayoutId> = HashSet::new();
    for status in statuses {
        locked.extend(dialect::lock_in_status(conn, ids, *status)?);
    }
    Ok(standings_in_tx(conn, ids)?
        .into_iter()
        .map(|standing| {
            let verdict = match rule(&standing) {
                Ok(()) if !locked.contains(&standing.payout.id) => Err(Refusal::Changed),
                verdict => verdict,
            };
            (standing, verdict)
        })
        .collect())
}

fn moved(decided: &[Decided]) -> Vec<PayoutId> {
    decided
        .iter()
        .filter(|(_, verdict)| verdict.is_ok())
        .map(|(standing, _)| standing.payout.id.clone())
        .collect()
}

/// The rows were locked, and in the right state, a moment ago.
fn expect_all(verb: &str, changed: usize, chosen: usize) -> Result<(), StoreError> {
    if changed == chosen {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "{verb} {changed} of {chosen} locked payouts"
    )))
}

fn lock_statements_of(conn: &mut AnyConnection, ids: &[PayoutId]) -> Result<(), StoreError> {
    let mut statements: Vec<StatementId> = payouts::table
        .filter(payouts::id.eq_any(ids))
        .filter(payouts::royalty_statement_id.is_not_null())
        .select(payouts::royalty_statement_id.assume_not_null())
        .load(conn)?;
    statements.sort();
    statements.dedup();
    let statements: Vec<&StatementId> = statements.iter().collect();
    dialect::lock_statements(conn, &statements)?;
    Ok(())
}

/// Frees the references of payouts. Returns what they were.
fn references_free(
    conn: &mut AnyConnection,
    ids: &[&PayoutId],
) -> Result<HashMap<PayoutId, String>, StoreError> {
    use payout_batch_items as items;
    let of_payouts = || items::table.filter(items::payout_id.eq_any(ids.iter().copied()));
    let references: Vec<(PayoutId, String)> = of_payouts()
        .filter(items::reference.is_not_null())
        .select((items::payout_id, items::reference.assume_not_null()))
        .load(conn)?;
    diesel::update(of_payouts())
        .set(items::reference.eq(None::<String>))
        .execute(conn)?;
    Ok(references.into_iter().collect())
}

/// Everything that decides about these payouts, in the order of their ids given.
pub(super) fn standings_in_tx(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
) -> Result<Vec<Standing>, StoreError> {
    let mut standings = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(IDS_MAX) {
        let rows: Vec<Payout> = payouts::table
            .filter(payouts::id.eq_any(chunk))
            .select(Payout::as_select())
            .load(conn)?;
        let mut attempts = attempts_of(conn, chunk)?;
        let cancelled = history::cancelled_in_tx(conn, chunk)?;
        let reversed = reversals::among_in_tx(conn, chunk)?;
        let mut payments_found = payments_found_in_tx(conn, chunk)?;
        let mut statements = statements_of(conn, &rows)?;
        let mut found: HashMap<PayoutId, Standing> = rows
            .into_iter()
            .map(|payout| {
                let standing = Standing {
                    attempts: attempts.remove(&payout.id).unwrap_or_default(),
                    cancelled: cancelled.contains(&payout.id),
                    reversed: reversed.contains(&payout.id) || is_set_back(&payout),
                    found: payments_found.remove(&payout.id),
                    statement: statements.remove(&payout.id),
                    payout,
                };
                (standing.payout.id.clone(), standing)
            })
            .collect();
        standings.extend(chunk.iter().filter_map(|id| found.remove(id)));
    }
    Ok(standings)
}

/// Whether a row that holds a transfer says that it was not paid: what other
/// software makes of a reversal that was not seen here yet.
fn is_set_back(payout: &Payout) -> bool {
    payout.stripe_transfer_id.is_some() && payout.status != PayoutStatus::Completed
}

fn attempts_of(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
) -> Result<HashMap<PayoutId, Vec<PastAttempt>>, StoreError> {
    let rows: Vec<(PayoutId, i32, AttemptOutcome, Option<String>)> = payout_attempts::table
        .filter(payout_attempts::payout_id.eq_any(ids))
        .order((payout_attempts::payout_id, payout_attempts::attempt))
        .select((
            payout_attempts::payout_id,
            payout_attempts::attempt,
            payout_attempts::outcome,
            payout_attempts::error_code,
        ))
        .load(conn)?;
    let mut attempts: HashMap<PayoutId, Vec<PastAttempt>> = HashMap::new();
    for (payout, number, outcome, error_code) in rows {
        attempts.entry(payout).or_default().push(PastAttempt {
            number,
            outcome,
            error_code,
        });
    }
    Ok(attempts)
}

/// The statement of each payout that has one, as that payout finds it: it never
/// counts against itself.
fn statements_of(
    conn: &mut AnyConnection,
    rows: &[Payout],
) -> Result<HashMap<PayoutId, CandidateStatement>, StoreError> {
    let mut ids: Vec<StatementId> = rows
        .iter()
        .filter_map(|payout| payout.royalty_statement_id.clone())
        .collect();
    ids.sort();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let claims = candidates::statements_of(conn, &ids)?;
    let of_payout = |payout: &Payout| {
        let id = payout.royalty_statement_id.as_ref()?;
        let (statement, holder, account) = claims.get(id)?;
        let others = [
            holder.as_ref(),
            account.in_flight.as_ref(),
            account.in_doubt.as_ref(),
        ];
        let taken_by_another = others
            .into_iter()
            .flatten()
            .any(|other| *other != payout.id);
        Some(CandidateStatement {
            taken_by_another,
            ..statement.clone()
        })
    };
    Ok(rows
        .iter()
        .filter_map(|payout| Some((payout.id.clone(), of_payout(payout)?)))
        .collect())
}
