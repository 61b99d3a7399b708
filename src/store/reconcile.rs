//! What comparing with Stripe reads of the ledger, and what it keeps.
//!
//! Reads come in pages, so that a comparison needs the memory of one page. What
//! is repaired goes through the same functions as in `process`; the only row
//! made here is one that a restored backup has lost, from what its transfer proves.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::attempt::Attempt;
use crate::model::batch::BatchItem;
use crate::model::history::{Change, HistoryEvent};
use crate::model::ids::{CreatorId, PayoutId, RunId, StatementId};
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::reconciliation::{
    Discrepancy, Finding, FindingKind, FindingState, Reconciliation,
};
use crate::model::schema::{
    creators, payout_attempts, payout_batch_items, payout_findings as findings,
    payout_reconciliations, payouts, royalty_statements,
};
use crate::model::standing::FoundPayment;
use crate::model::statement::StatementAccount;
use crate::model::time::{Span, Time};
use crate::store::adopt::{ProvenTransfer, attempt_prove_in_tx};
use crate::store::connection::AnyConnection;
use crate::store::dialect::{self, IDS_MAX, on_each};
use crate::store::payout_create::Locks;
use crate::store::runs::{RunStamp, has_ended};
use crate::store::statements::{accounts_in_tx, mark_covered_in_tx};
use crate::store::{Store, StoreError, history, reversals};

/// A transfer, by what leads from it to a payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferKey {
    /// `tr_…`.
    pub id: String,
    /// The payout it names, by metadata or group.
    pub named: Option<PayoutId>,
}

/// What this database holds of one payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Which.
    pub id: PayoutId,
    /// Its row; none when it is gone.
    pub payout: Option<Payout>,
    /// The Stripe account its creator has now.
    pub destination: Option<String>,
    /// Its attempts, in order.
    pub attempts: Vec<Attempt>,
    /// A run that lives is working on it at this moment.
    pub busy: bool,
}

/// What this database holds of one transfer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransferLedger {
    /// The payouts that hold it as theirs: one, if all is well.
    pub holders: Vec<LedgerEntry>,
    /// The payout it names, when that is none of the holders.
    pub named: Option<LedgerEntry>,
    /// What is kept as taken back of it, minor units.
    pub reversed_cents: i64,
}

/// What a transfer proves of a payout whose row is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostPayout {
    /// `metadata[payout_id]`.
    pub id: PayoutId,
    /// `metadata[creator_id]`.
    pub creator_id: CreatorId,
    /// `metadata[royalty_statement_id]`.
    pub statement_id: Option<StatementId>,
    /// `metadata[reference]`.
    pub reference: Option<String>,
    /// The transfer itself.
    pub transfer: ProvenTransfer,
}

/// A page of statements that are covered and not marked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatementsToMark {
    /// Each with the last payout that paid it, one with a transfer if there is
    /// one, in the order of their ids.
    pub unmarked: Vec<(StatementAccount, Payout)>,
    /// The last statement that was looked at; none when there is nothing behind.
    pub last: Option<StatementId>,
}

/// Rows read at once.
const PAGE: i64 = 1000;

/// Why a finding was settled that nobody repaired.
const GONE: &str = "not there any more";

impl Store {
    /// What this database holds of each transfer, in their order.
    pub fn ledger_of(
        &mut self,
        keys: &[TransferKey],
        lease: Duration,
    ) -> Result<Vec<TransferLedger>, StoreError> {
        let now = self.clock.now();
        let pooled = self.pooled();
        self.read(|conn| {
            let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
            let holders = holders_of(conn, &ids)?;
            let mut wanted: Vec<&PayoutId> = holders.values().flatten().collect();
            wanted.extend(keys.iter().filter_map(|key| key.named.as_ref()));
            let entries = entries_in_tx(conn, pooled, &wanted, lease, now)?;
            let kept = reversals::of_transfers_in_tx(conn, &ids)?;
            Ok(keys
                .iter()
                .map(|key| {
                    let held_by = holders.get(&key.id).map_or(&[][..], Vec::as_slice);
                    TransferLedger {
                        holders: held_by
                            .iter()
                            .filter_map(|id| entries.get(id).cloned())
                            .collect(),
                        named: key
                            .named
                            .as_ref()
                            .filter(|named| !held_by.contains(named))
                            .and_then(|named| entries.get(named).cloned()),
                        reversed_cents: kept.get(&key.id).copied().unwrap_or(0),
                    }
                })
                .collect())
        })
    }

    /// What this database holds of these payouts; those it has never heard of are missing.
    pub fn ledger_entries(
        &mut self,
        ids: &[PayoutId],
        lease: Duration,
    ) -> Result<HashMap<PayoutId, LedgerEntry>, StoreError> {
        let now = self.clock.now();
        let pooled = self.pooled();
        let ids: Vec<&PayoutId> = ids.iter().collect();
        self.read(|conn| entries_in_tx(conn, pooled, &ids, lease, now))
    }

    /// A page of the payouts that bear no transfer's id although they may have
    /// one, whenever they were created: being processed, or marked as paid
    /// without saying by what. In the order of their ids, behind `after`.
    pub fn payouts_without_transfer(
        &mut self,
        after: Option<&PayoutId>,
    ) -> Result<Vec<PayoutId>, StoreError> {
        let paid_by_nothing = payouts::status
            .eq(PayoutStatus::Completed)
            .and(payouts::stripe_transfer_id.is_null());
        let mut query = payouts::table
            .filter(
                payouts::status
                    .eq(PayoutStatus::Processing)
                    .or(paid_by_nothing),
            )
            .select(payouts::id)
            .order(payouts::id)
            .limit(PAGE)
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(payouts::id.gt(after));
        }
        self.read(|conn| Ok(query.load(conn)?))
    }

    /// Those of some payouts of which a finding says that Stripe has no transfer,
    /// and nobody has found one since.
    pub fn payouts_known_missing(
        &mut self,
        ids: &[PayoutId],
    ) -> Result<HashSet<PayoutId>, StoreError> {
        let mut known = HashSet::new();
        for chunk in ids.chunks(IDS_MAX) {
            let found: Vec<PayoutId> = self.read(|conn| {
                Ok(findings::table
                    .filter(findings::payout_id.assume_not_null().eq_any(chunk))
                    .filter(findings::kind.eq(FindingKind::MissingAtStripe))
                    .filter(findings::transfer_id.is_null())
                    .filter(findings::state.ne(FindingState::Fixed))
                    .select(findings::payout_id.assume_not_null())
                    .load(conn)?)
            })?;
            known.extend(found);
        }
        Ok(known)
    }

    /// A page of the payouts with an attempt nobody knows the outcome of,
    /// whether or not their rows are still there, behind `after`.
    pub fn payouts_unresolved(
        &mut self,
        after: Option<&PayoutId>,
    ) -> Result<Vec<PayoutId>, StoreError> {
        let mut query = payout_attempts::table
            .filter(dialect::unresolved())
            .select(payout_attempts::payout_id)
            .order(payout_attempts::payout_id)
            .limit(PAGE)
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(payout_attempts::payout_id.gt(after));
        }
        self.read(|conn| Ok(query.load(conn)?))
    }

    /// A page of the transfers that payouts of the period hold, by the payout's
    /// id behind `after`: recorded on the row, or on an attempt.
    pub fn transfers_held(
        &mut self,
        period: Span,
        after: Option<&PayoutId>,
    ) -> Result<Vec<(PayoutId, String)>, StoreError> {
        let mut query = payouts::table
            .filter(payouts::stripe_transfer_id.is_not_null())
            .select((payouts::id, payouts::stripe_transfer_id.assume_not_null()))
            .order(payouts::id)
            .limit(PAGE)
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(payouts::id.gt(after));
        }
        // A row that other software marked may lack the moment; then its creation counts.
        if let Some(from) = period.from {
            query = query.filter(
                payouts::processed_at
                    .assume_not_null()
                    .ge(from)
                    .or(payouts::processed_at
                        .is_null()
                        .and(payouts::created_at.ge(from))),
            );
        }
        if let Some(until) = period.until {
            query = query.filter(
                payouts::processed_at
                    .assume_not_null()
                    .lt(until)
                    .or(payouts::processed_at
                        .is_null()
                        .and(payouts::created_at.lt(until))),
            );
        }
        self.read(|conn| Ok(query.load(conn)?))
    }

    /// A page of the transfers that attempts of the period hold, as
    /// [`transfers_held`](Self::transfers_held), behind a payout and an attempt.
    pub fn transfers_of_attempts(
        &mut self,
        period: Span,
        after: Option<&(PayoutId, i32)>,
    ) -> Result<Vec<(PayoutId, i32, String)>, StoreError> {
        use payout_attempts as a;
        let mut query = a::table
            .filter(a::transfer_id.is_not_null())
            .select((a::payout_id, a::attempt, a::transfer_id.assume_not_null()))
            .order((a::payout_id, a::attempt))
            .limit(PAGE)
            .into_boxed();
        if let Some((payout, attempt)) = after {
            // A range of the key first, so that its index finds the place.
            query = query
                .filter(a::payout_id.ge(payout))
                .filter(a::payout_id.gt(payout).or(a::attempt.gt(attempt)));
        }
        if let Some(from) = period.from {
            query = query.filter(a::first_sent_at.ge(from));
        }
        if let Some(until) = period.until {
            query = query.filter(a::first_sent_at.lt(until));
        }
        self.read(|conn| Ok(query.load(conn)?))
    }

    /// A page of the statements that completed payouts cover and that are not
    /// marked PAID, behind `after`.
    pub fn statements_to_mark(
        &mut self,
        after: Option<&StatementId>,
    ) -> Result<StatementsToMark, StoreError> {
        self.read(|conn| {
            let mut query = royalty_statements::table
                .filter(royalty_statements::paid_at.is_null())
                .select(royalty_statements::id)
                .order(royalty_statements::id)
                .limit(PAGE)
                .into_boxed();
            if let Some(after) = after {
                query = query.filter(royalty_statements::id.gt(after));
            }
            let ids: Vec<StatementId> = query.load(conn)?;
            let last = ids.last().cloned();
            let covered: Vec<StatementAccount> = accounts_in_tx(conn, &ids, Locks::None)?
                .into_values()
                .filter(StatementAccount::is_to_be_marked)
                .collect();
            let mut paid_by = last_payouts_of(conn, &covered)?;
            let mut unmarked: Vec<(StatementAccount, Payout)> = covered
                .into_iter()
                .filter_map(|account| {
                    let payout = paid_by.remove(&account.statement.id)?;
                    Some((account, payout))
                })
                .collect();
            unmarked.sort_by(|(a, _), (b, _)| a.statement.id.cmp(&b.statement.id));
            Ok(StatementsToMark { unmarked, last })
        })
    }

    /// How many payouts were recorded as paid in the period, and their sum, minor units.
    pub fn payouts_paid_in(&mut self, period: Span) -> Result<(i64, i64), StoreError> {
        let mut query = payouts::table
            .filter(payouts::status.eq(PayoutStatus::Completed))
            .select((diesel::dsl::count_star(), dialect::sum_amount_cents()))
            .into_boxed();
        if let Some(from) = period.from {
            query = query.filter(payouts::processed_at.assume_not_null().ge(from));
        }
        if let Some(until) = period.until {
            query = query.filter(payouts::processed_at.assume_not_null().lt(until));
        }
        self.read(|conn| Ok(query.first(conn)?))
    }

    // --- what was found -----------------------------------------------------------------------

    /// Keeps what was seen of some transfers: new findings, and those known
    /// already seen again. An accepted one stays accepted as long as it says the
    /// same. Open findings about the same transfers which were not seen this time
    /// are gone: they become fixed.
    pub fn findings_see(
        &mut self,
        stamp: &RunStamp,
        transfers: &[String],
        seen: &[Discrepancy],
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            let ids: Vec<String> = seen.iter().map(Discrepancy::id).collect();
            for chunk in transfers.chunks(IDS_MAX) {
                let open: Vec<String> = findings::table
                    .filter(findings::state.eq(FindingState::Open))
                    .filter(findings::transfer_id.assume_not_null().eq_any(chunk))
                    .select(findings::id)
                    .load(conn)?;
                for id in open.iter().filter(|id| !ids.contains(id)) {
                    settle_in_tx(conn, stamp, now, id, FindingState::Fixed, GONE)?;
                }
            }
            for (discrepancy, id) in seen.iter().zip(&ids) {
                see_in_tx(conn, stamp, now, discrepancy, id)?;
            }
            Ok(())
        })
    }

    /// Settles the open findings that name no transfer and that nobody has seen
    /// since `begun`, when this run began to look for all of them. What a run
    /// beside it has seen meanwhile is not gone.
    pub fn findings_gone(&mut self, stamp: &RunStamp, begun: Time) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            diesel::update(
                findings::table
                    .filter(findings::state.eq(FindingState::Open))
                    .filter(findings::transfer_id.is_null())
                    .filter(findings::seen_at.lt(begun)),
            )
            .set((
                findings::state.eq(FindingState::Fixed),
                findings::settled_at.eq(now),
                findings::actor.eq(&stamp.actor),
                findings::reason.eq(GONE),
            ))
            .execute(conn)?;
            Ok(())
        })
    }

    /// Replaces a finding of this run by what else was found out about it: it is
    /// the same discrepancy, understood better.
    pub fn finding_replace(
        &mut self,
        stamp: &RunStamp,
        old: &str,
        new: &[Discrepancy],
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            diesel::delete(findings::table.filter(findings::id.eq(old))).execute(conn)?;
            for discrepancy in new {
                see_in_tx(conn, stamp, now, discrepancy, &discrepancy.id())?;
            }
            Ok(())
        })
    }

    /// Records that a finding was repaired.
    pub fn finding_fixed(
        &mut self,
        stamp: &RunStamp,
        id: &str,
        how: &str,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            settle_in_tx(conn, stamp, now, id, FindingState::Fixed, how)?;
            failpoint!("finding.fixed");
            Ok(())
        })
    }

    /// Those of some transfers about which a person accepted a finding.
    pub fn transfers_accepted(
        &mut self,
        transfers: &[String],
    ) -> Result<HashSet<String>, StoreError> {
        let transfers: Vec<&str> = transfers.iter().map(String::as_str).collect();
        self.read(|conn| accepted_of(conn, &transfers))
    }

    /// The findings with these ids that exist.
    pub fn findings_with(&mut self, ids: &[String]) -> Result<Vec<Finding>, StoreError> {
        let mut found = Vec::new();
        for chunk in ids.chunks(IDS_MAX) {
            let rows: Vec<Finding> = self.read(|conn| {
                Ok(findings::table
                    .filter(findings::id.eq_any(chunk))
                    .load(conn)?)
            })?;
            found.extend(rows);
        }
        Ok(found)
    }

    /// Records why findings stay as they are: all of them or none. From then on
    /// they are no reason to refuse to send, nor to be reported, as long as they
    /// say the same. `references` are those of forgotten payouts, by finding: they
    /// stay taken, so that nobody loads the same payment again.
    ///
    /// # Errors
    /// The finding that stands against it, with [`StoreError::NotFound`] when
    /// there is none of this id, or a conflict when it may not be accepted: it is
    /// not open, it is to be repaired instead, its payout could still be sent, or
    /// the payment was loaded again.
    pub fn findings_accept(
        &mut self,
        stamp: &RunStamp,
        ids: &[String],
        reason: &str,
        references: &HashMap<String, String>,
    ) -> Result<Vec<Finding>, (String, StoreError)> {
        let now = self.clock.now();
        let mut at = String::new();
        let accepted = self.write(|conn| {
            let mut accepted = Vec::with_capacity(ids.len());
            for id in ids {
                at.clone_from(id);
                let reference = references.get(id).map(String::as_str);
                accepted.push(accept_in_tx(conn, stamp, now, id, reason, reference)?);
            }
            Ok(accepted)
        });
        accepted.map_err(|error| (at, error))
    }

    /// A page of what a run saw, the gravest kinds first, behind a kind and an id.
    /// `kinds` are looked at in their order.
    pub fn findings_of_run(
        &mut self,
        run: &RunId,
        kind: FindingKind,
        state: Option<FindingState>,
        after: Option<&str>,
        rows_max: i64,
    ) -> Result<Vec<Finding>, StoreError> {
        let mut query = findings::table
            .filter(findings::run_id.eq(run))
            .filter(findings::kind.eq(kind))
            .order(findings::id)
            .limit(rows_max)
            .into_boxed();
        if let Some(state) = state {
            query = query.filter(findings::state.eq(state));
        }
        if let Some(after) = after {
            query = query.filter(findings::id.gt(after));
        }
        self.read(|conn| Ok(query.load(conn)?))
    }

    /// A page of the open findings about transfers that other runs than this one
    /// were the last to see, behind `after`.
    pub fn findings_from_before(
        &mut self,
        run: &RunId,
        after: Option<&str>,
        rows_max: i64,
    ) -> Result<Vec<Finding>, StoreError> {
        let mut query = findings::table
            .filter(findings::state.eq(FindingState::Open))
            .filter(findings::transfer_id.is_not_null())
            .filter(findings::run_id.ne(run))
            .order(findings::id)
            .limit(rows_max)
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(findings::id.gt(after));
        }
        self.read(|conn| Ok(query.load(conn)?))
    }

    /// How many findings are open that were first seen before `begun`.
    pub fn findings_open_since_before(&mut self, begun: Time) -> Result<i64, StoreError> {
        self.read(|conn| {
            Ok(findings::table
                .filter(findings::state.eq(FindingState::Open))
                .filter(findings::first_seen_at.lt(begun))
                .count()
                .get_result(conn)?)
        })
    }

    /// How many findings of each kind and state there are: what is open, whoever
    /// saw it, and what else a run saw that began at `begun`; what a run beside
    /// it has seen since is counted by both.
    pub fn findings_counted(
        &mut self,
        run: &RunId,
        begun: Time,
    ) -> Result<Vec<(FindingKind, FindingState, i64)>, StoreError> {
        let mut counted: Vec<(FindingKind, FindingState, i64)> = self.read(|conn| {
            Ok(findings::table
                .group_by((findings::kind, findings::state))
                .filter(
                    findings::run_id
                        .eq(run)
                        .or(findings::seen_at.gt(begun))
                        .or(findings::state.eq(FindingState::Open)),
                )
                .select((findings::kind, findings::state, diesel::dsl::count_star()))
                .load(conn)?)
        })?;
        counted.sort();
        Ok(counted)
    }

    /// Transfers of the given payout that findings call unrecorded, other than
    /// this one. One of two stays the second whatever a person accepted of it.
    pub fn unrecorded_beside(
        &mut self,
        payout: &PayoutId,
        transfer: &str,
    ) -> Result<Vec<String>, StoreError> {
        self.read(|conn| {
            Ok(findings::table
                .filter(findings::payout_id.assume_not_null().eq(payout))
                .filter(findings::state.ne(FindingState::Fixed))
                .filter(findings::kind.eq_any([
                    FindingKind::StatusBehind,
                    FindingKind::ForgottenPayout,
                    FindingKind::TwoTransfers,
                ]))
                .filter(findings::transfer_id.assume_not_null().ne(transfer))
                .select(findings::transfer_id.assume_not_null())
                .order(findings::transfer_id)
                .load(conn)?)
        })
    }

    /// Whether an open finding says that a transfer which names this payout paid it.
    pub fn is_found_by_name(&mut self, payout: &PayoutId) -> Result<bool, StoreError> {
        let found = findings::table
            .filter(findings::payout_id.assume_not_null().eq(payout))
            .filter(findings::state.eq(FindingState::Open))
            .filter(
                findings::kind.eq_any([FindingKind::StatusBehind, FindingKind::ForgottenPayout]),
            )
            .filter(findings::transfer_id.is_not_null());
        self.read(|conn| Ok(diesel::select(diesel::dsl::exists(found)).get_result(conn)?))
    }

    /// Whether no open finding of any run keeps the rollback guard from passing.
    pub fn guard_is_clear(&mut self) -> Result<bool, StoreError> {
        let blocking: Vec<FindingKind> = FindingKind::ALL
            .iter()
            .copied()
            .filter(|kind| kind.keeps_from_sending())
            .collect();
        let open = findings::table
            .filter(findings::state.eq(FindingState::Open))
            .filter(findings::kind.eq_any(blocking));
        let any: bool =
            self.read(|conn| Ok(diesel::select(diesel::dsl::exists(open)).get_result(conn)?))?;
        Ok(!any)
    }

    /// Keeps what a comparison came to.
    pub fn reconciliation_keep(
        &mut self,
        reconciliation: &Reconciliation,
    ) -> Result<(), StoreError> {
        self.write(|conn| {
            diesel::insert_into(payout_reconciliations::table)
                .values(reconciliation)
                .execute(conn)?;
            Ok(())
        })
    }

    // --- what is repaired ---------------------------------------------------------------------

    /// Marks a covered statement PAID, on behalf of the payout that covered it.
    /// Returns what keeps it from being marked, where something does.
    pub fn statement_mark(&mut self, payout: &PayoutId) -> Result<Result<(), String>, StoreError> {
        let now = self.clock.now();
        let marked = self.write(|conn| {
            let row: Payout = payouts::table.filter(payouts::id.eq(payout)).first(conn)?;
            let (Some(statement), Some(transfer)) =
                (&row.royalty_statement_id, &row.stripe_transfer_id)
            else {
                return Ok(Err("its payout bears no transfer".to_owned()));
            };
            let at = row.processed_at.unwrap_or(now);
            mark_covered_in_tx(conn, now, statement, transfer, at)?;
            let accounts = accounts_in_tx(conn, std::slice::from_ref(statement), Locks::None)?;
            let marked = match accounts.get(statement) {
                None => Err(format!("statement {statement} is gone")),
                Some(account) if account.statement.paid_at.is_some() => Ok(()),
                Some(account) if !account.is_covered() => {
                    Err("its payouts do not cover it any more".to_owned())
                }
                Some(account) => Err(format!("it is {}", account.statement.status)),
            };
            failpoint!("mark.writing");
            Ok(marked)
        })?;
        failpoint!("mark.committed");
        Ok(marked)
    }

    /// Makes a payout's row again that this database has lost, COMPLETED, with
    /// its origin and its history, and the attempt that holds its transfer.
    ///
    /// # Errors
    /// A conflict that says what stands against it: nothing was written then.
    pub fn payout_restore(
        &mut self,
        stamp: &RunStamp,
        lost: &LostPayout,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let transfer = &lost.transfer;
        let heads = self.write(|conn| {
            if let Some(obstacle) = obstacle_in_tx(conn, lost)? {
                return Err(StoreError::Conflict(obstacle));
            }
            let row = (
                (
                    payouts::id.eq(&lost.id),
                    payouts::creator_id.eq(&lost.creator_id),
                    payouts::royalty_statement_id.eq(&lost.statement_id),
                    payouts::amount_cents.eq(transfer.amount_cents),
                    payouts::stripe_transfer_id.eq(&transfer.id),
                    payouts::status.eq(PayoutStatus::Completed),
                ),
                (
                    payouts::processed_at.eq(transfer.at),
                    payouts::retry_count.eq(0),
                    payouts::created_at.eq(transfer.at),
                    payouts::updated_at.eq(now),
                ),
            );
            diesel::insert_into(payouts::table)
                .values(row)
                .execute(conn)?;
            origin_keep_in_tx(conn, &lost.id, lost.reference.as_deref())?;
            attempt_prove_in_tx(conn, stamp, now, &lost.id, transfer)?;
            if transfer.reversed_cents > 0 {
                let reversal =
                    reversals::seen(&lost.id, &transfer.id, transfer.reversed_cents, now);
                reversals::keep_in_tx(conn, &reversal)?;
            }
            let change = Change {
                payout_id: lost.id.clone(),
                event: HistoryEvent::Restored,
                from: None,
                to: PayoutStatus::Completed,
                reason: Some(format!("its row was lost; {} proves it", transfer.id)),
            };
            let heads = history::append_in_tx(conn, stamp, now, vec![change])?;
            if let Some(statement) = &lost.statement_id {
                // The platform's table may refuse; a later run marks it then.
                match mark_covered_in_tx(conn, now, statement, &transfer.id, transfer.at) {
                    Err(error) if error.is_transient() => return Err(error),
                    _ => {}
                }
            }
            failpoint!("restore.writing");
            Ok(heads)
        })?;
        self.heads.merge(heads);
        failpoint!("restore.committed");
        Ok(())
    }
}

/// The last payout that paid each of these statements, one with a transfer if there is one.
fn last_payouts_of(
    conn: &mut AnyConnection,
    accounts: &[StatementAccount],
) -> Result<HashMap<StatementId, Payout>, StoreError> {
    let ids: Vec<&StatementId> = accounts
        .iter()
        .map(|account| &account.statement.id)
        .collect();
    let mut last_payouts = HashMap::new();
    for chunk in ids.chunks(IDS_MAX) {
        let rows: Vec<Payout> = payouts::table
            .inner_join(royalty_statements::table)
            // By creator, for whom there is an index.
            .filter(payouts::creator_id.eq(royalty_statements::creator_id))
            .filter(royalty_statements::id.eq_any(chunk.iter().copied()))
            .filter(payouts::status.eq(PayoutStatus::Completed))
            .select(Payout::as_select())
            // Said in full, because databases sort what is missing each in their way.
            .order((
                payouts::stripe_transfer_id.is_null(),
                payouts::processed_at.is_null(),
                payouts::processed_at.desc(),
                payouts::id,
            ))
            .load(conn)?;
        for payout in rows {
            if let Some(statement) = payout.royalty_statement_id.clone() {
                last_payouts.entry(statement).or_insert(payout);
            }
        }
    }
    Ok(last_payouts)
}

fn accept_in_tx(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    id: &str,
    reason: &str,
    reference: Option<&str>,
) -> Result<Finding, StoreError> {
    let finding: Finding = findings::table.filter(findings::id.eq(id)).first(conn)?;
    if finding.state != FindingState::Open {
        return Err(StoreError::Conflict(format!(
            "it is {}, not open",
            finding.state
        )));
    }
    if !finding.kind.may_be_accepted() {
        return Err(StoreError::Conflict(format!(
            "{} is not for accepting: {}",
            finding.kind,
            finding.kind.next_step()
        )));
    }
    // What says that a transfer paid a payout keeps that from being sent, accepted or not.
    let holds = finding.kind.may_be_a_payment() && finding.transfer_id.is_some();
    if let Some(payout) = finding.payout_id.as_ref().filter(|_| !holds)
        && let Some(status) = status_if_sendable(conn, payout)?
    {
        return Err(StoreError::Conflict(format!(
            "payout {payout} is {status} and could be sent again; cancel it first, or correct its row"
        )));
    }
    if let (Some(lost), Some(reference)) = (&finding.payout_id, reference) {
        // One that is paid by now cannot be helped any more.
        if let Some(double) = double_in_tx(conn, lost, reference)?
            && status_if_sendable(conn, &double)?.is_some()
        {
            return Err(StoreError::Conflict(loaded_again(reference, &double)));
        }
        origin_keep_in_tx(conn, lost, Some(reference))?;
    }
    settle_in_tx(conn, stamp, now, id, FindingState::Accepted, reason)?;
    Ok(findings::table.filter(findings::id.eq(id)).first(conn)?)
}

/// What keeps a lost payout from being made again.
fn obstacle_in_tx(
    conn: &mut AnyConnection,
    lost: &LostPayout,
) -> Result<Option<String>, StoreError> {
    let creator: Option<CreatorId> = creators::table
        .filter(creators::id.eq(&lost.creator_id))
        .select(creators::id)
        .first(conn)
        .optional()?;
    if creator.is_none() {
        return Ok(Some(format!(
            "its creator {} is not in this database",
            lost.creator_id
        )));
    }
    if let Some(id) = &lost.statement_id {
        let statement: Option<StatementId> = royalty_statements::table
            .filter(royalty_statements::id.eq(id))
            .select(royalty_statements::id)
            .first(conn)
            .optional()?;
        if statement.is_none() {
            return Ok(Some(format!("its statement {id} is not in this database")));
        }
    }
    let Some(reference) = &lost.reference else {
        return Ok(None);
    };
    let double = double_in_tx(conn, &lost.id, reference)?;
    Ok(double.map(|double| loaded_again(reference, &double)))
}

/// The status of a payout that nothing keeps from being sent: it is neither paid
/// nor cancelled. None as well where its row is gone.
fn status_if_sendable(
    conn: &mut AnyConnection,
    payout: &PayoutId,
) -> Result<Option<PayoutStatus>, StoreError> {
    let status: Option<PayoutStatus> = payouts::table
        .filter(payouts::id.eq(payout))
        .select(payouts::status)
        .first(conn)
        .optional()?;
    let cancelled = history::cancelled_in_tx(conn, [payout])?.contains(payout);
    Ok(status.filter(|status| *status != PayoutStatus::Completed && !cancelled))
}

/// The payout as which a lost payment was loaded again under a new id: paying that
/// one too would be twice.
fn double_in_tx(
    conn: &mut AnyConnection,
    lost: &PayoutId,
    reference: &str,
) -> Result<Option<PayoutId>, StoreError> {
    Ok(payout_batch_items::table
        .filter(payout_batch_items::reference.eq(reference))
        .filter(payout_batch_items::payout_id.ne(lost))
        .select(payout_batch_items::payout_id)
        .first(conn)
        .optional()?)
}

fn loaded_again(reference: &str, double: &PayoutId) -> String {
    format!(
        "its reference {reference} is held by payout {double}, which was made again since: cancel \
         that one first, with `payouts cancel {double} --reason TEXT`"
    )
}

/// Keeps where a lost payout came from, so that its reference stays taken.
fn origin_keep_in_tx(
    conn: &mut AnyConnection,
    lost: &PayoutId,
    reference: Option<&str>,
) -> Result<(), StoreError> {
    let item = BatchItem {
        payout_id: lost.clone(),
        batch_id: None,
        line: None,
        reference: reference.map(str::to_owned),
    };
    on_each!(conn, c => diesel::insert_into(payout_batch_items::table)
        .values(&item)
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(())
}

/// Those of some payouts that a finding, open or accepted, says a transfer was
/// made for, with an open one where there is one. Accepting a finding settles what
/// is reported of it; it is no leave to pay again.
pub(super) fn payments_found_in_tx<'a>(
    conn: &mut AnyConnection,
    ids: impl IntoIterator<Item = &'a PayoutId>,
) -> Result<HashMap<PayoutId, FoundPayment>, StoreError> {
    let ids: Vec<&PayoutId> = ids.into_iter().collect();
    let payments = payments();
    let mut payments_found = HashMap::new();
    for chunk in ids.chunks(IDS_MAX) {
        let found: Vec<(PayoutId, String, FindingState)> = findings::table
            .filter(
                findings::payout_id
                    .assume_not_null()
                    .eq_any(chunk.iter().copied()),
            )
            .filter(findings::transfer_id.is_not_null())
            .filter(findings::state.ne(FindingState::Fixed))
            .filter(findings::kind.eq_any(&payments))
            .order(findings::id)
            .select((
                findings::payout_id.assume_not_null(),
                findings::id,
                findings::state,
            ))
            .load(conn)?;
        for (payout, finding, state) in found {
            let open = state == FindingState::Open;
            let this = FoundPayment { finding, open };
            let known = payments_found.entry(payout).or_insert_with(|| this.clone());
            if open && !known.open {
                *known = this;
            }
        }
    }
    Ok(payments_found)
}

/// Of some payouts, each transfer that a finding, open or accepted, says was made for
/// one of them.
pub(super) fn payments_named_in_tx(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
) -> Result<Vec<(PayoutId, String, FindingState)>, StoreError> {
    let payments = payments();
    let mut named = Vec::new();
    for chunk in ids.chunks(IDS_MAX) {
        let of_chunk: Vec<(PayoutId, String, FindingState)> = findings::table
            .filter(findings::payout_id.assume_not_null().eq_any(chunk))
            .filter(findings::transfer_id.is_not_null())
            .filter(findings::state.ne(FindingState::Fixed))
            .filter(findings::kind.eq_any(&payments))
            .select((
                findings::payout_id.assume_not_null(),
                findings::transfer_id.assume_not_null(),
                findings::state,
            ))
            .load(conn)?;
        named.extend(of_chunk);
    }
    Ok(named)
}

/// Whether a finding, open or accepted, says that a transfer was made for the payout
/// of a row, as a column of a query; for what [`payments_found_in_tx`] asks about many.
#[diesel::dsl::auto_type]
pub(super) fn is_held_by_a_finding() -> _ {
    let payments: Vec<FindingKind> = payments();
    let fixed: FindingState = FindingState::Fixed;
    diesel::dsl::exists(
        findings::table
            .filter(findings::payout_id.assume_not_null().eq(payouts::id))
            .filter(findings::transfer_id.is_not_null())
            .filter(findings::state.ne(fixed))
            .filter(findings::kind.eq_any(payments)),
    )
}

/// The kinds that say that a transfer may have been a payment.
fn payments() -> Vec<FindingKind> {
    let all = FindingKind::ALL.iter().copied();
    all.filter(|kind| kind.may_be_a_payment()).collect()
}

/// Those of some transfers that a person accepted although no payout holds them.
pub(super) fn accepted_of(
    conn: &mut AnyConnection,
    transfers: &[&str],
) -> Result<HashSet<String>, StoreError> {
    let mut accepted = HashSet::new();
    for chunk in transfers.chunks(IDS_MAX) {
        let found: Vec<String> = findings::table
            .filter(findings::state.eq(FindingState::Accepted))
            .filter(
                findings::transfer_id
                    .assume_not_null()
                    .eq_any(chunk.iter().copied()),
            )
            .select(findings::transfer_id.assume_not_null())
            .load(conn)?;
        accepted.extend(found);
    }
    Ok(accepted)
}

/// The payouts that hold each of these transfers, by an attempt or by their row.
pub(super) fn holders_of(
    conn: &mut AnyConnection,
    transfers: &[&str],
) -> Result<HashMap<String, Vec<PayoutId>>, StoreError> {
    let mut holders: HashMap<String, Vec<PayoutId>> = HashMap::new();
    for chunk in transfers.chunks(IDS_MAX) {
        let mut found: Vec<(String, PayoutId)> = payout_attempts::table
            .filter(
                payout_attempts::transfer_id
                    .assume_not_null()
                    .eq_any(chunk.iter().copied()),
            )
            .select((
                payout_attempts::transfer_id.assume_not_null(),
                payout_attempts::payout_id,
            ))
            .load(conn)?;
        found.extend(
            payouts::table
                .filter(
                    payouts::stripe_transfer_id
                        .assume_not_null()
                        .eq_any(chunk.iter().copied()),
                )
                .select((payouts::stripe_transfer_id.assume_not_null(), payouts::id))
                .load::<(String, PayoutId)>(conn)?,
        );
        for (transfer, payout) in found {
            let held_by = holders.entry(transfer).or_default();
            if !held_by.contains(&payout) {
                held_by.push(payout);
            }
        }
    }
    Ok(holders)
}

/// What is known of some payouts. Those without a row and without an attempt are missing.
fn entries_in_tx(
    conn: &mut AnyConnection,
    pooled: bool,
    ids: &[&PayoutId],
    lease: Duration,
    now: Time,
) -> Result<HashMap<PayoutId, LedgerEntry>, StoreError> {
    let mut entries: HashMap<PayoutId, LedgerEntry> = HashMap::new();
    let empty = |id: &PayoutId| LedgerEntry {
        id: id.clone(),
        payout: None,
        destination: None,
        attempts: Vec::new(),
        busy: false,
    };
    for chunk in ids.chunks(IDS_MAX) {
        let rows: Vec<(Payout, Option<String>)> = payouts::table
            .left_join(creators::table)
            .filter(payouts::id.eq_any(chunk.iter().copied()))
            .select((Payout::as_select(), creators::stripe_account_id.nullable()))
            .load(conn)?;
        for (payout, destination) in rows {
            let entry = entries
                .entry(payout.id.clone())
                .or_insert_with(|| empty(&payout.id));
            entry.payout = Some(payout);
            entry.destination = destination;
        }
        let attempts: Vec<Attempt> = payout_attempts::table
            .filter(payout_attempts::payout_id.eq_any(chunk.iter().copied()))
            .order((payout_attempts::payout_id, payout_attempts::attempt))
            .load(conn)?;
        for attempt in attempts {
            entries
                .entry(attempt.payout_id.clone())
                .or_insert_with(|| empty(&attempt.payout_id))
                .attempts
                .push(attempt);
        }
    }
    let mut ended: HashMap<RunId, bool> = HashMap::new();
    for entry in entries.values_mut() {
        let open = entry.attempts.iter().find(|a| a.outcome.is_unresolved());
        if let Some(open) = open {
            let over = match ended.get(&open.run_id) {
                Some(over) => *over,
                None => has_ended(conn, pooled, &open.run_id, lease, now)?,
            };
            ended.insert(open.run_id.clone(), over);
            entry.busy = !over;
        }
    }
    Ok(entries)
}

fn settle_in_tx(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    id: &str,
    state: FindingState,
    reason: &str,
) -> Result<(), StoreError> {
    diesel::update(findings::table.filter(findings::id.eq(id)))
        .set((
            findings::state.eq(state),
            findings::settled_at.eq(now),
            findings::actor.eq(&stamp.actor),
            findings::reason.eq(reason),
        ))
        .execute(conn)?;
    Ok(())
}

fn see_in_tx(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    seen: &Discrepancy,
    id: &str,
) -> Result<(), StoreError> {
    let new = Finding {
        id: id.to_owned(),
        kind: seen.kind,
        payout_id: seen.payout_id.clone(),
        attempt: seen.attempt,
        transfer_id: seen.transfer_id.clone(),
        expected: seen.expected.clone(),
        found: seen.found.clone(),
        state: FindingState::Open,
        first_seen_at: now,
        seen_at: now,
        run_id: stamp.run_id.clone(),
        settled_at: None,
        actor: None,
        reason: None,
    };
    // Another comparison may be seeing the same at this moment.
    let inserted = on_each!(conn, c => diesel::insert_into(findings::table)
        .values(&new)
        .on_conflict_do_nothing()
        .execute(c))?;
    if inserted == 1 {
        return Ok(());
    }
    let known: Finding = findings::table.filter(findings::id.eq(id)).first(conn)?;
    let of_this_run = diesel::update(findings::table.filter(findings::id.eq(id)));
    // What was accepted is bound to what it said.
    let stands = known.state == FindingState::Accepted && known.discrepancy() == *seen;
    if stands || (known.state == FindingState::Open && known.discrepancy() == *seen) {
        of_this_run
            .set((
                findings::seen_at.eq(now),
                findings::run_id.eq(&stamp.run_id),
            ))
            .execute(conn)?;
        return Ok(());
    }
    of_this_run
        .set((
            findings::seen_at.eq(now),
            findings::run_id.eq(&stamp.run_id),
            findings::expected.eq(&seen.expected),
            findings::found.eq(&seen.found),
            findings::state.eq(FindingState::Open),
            findings::settled_at.eq(None::<Time>),
            findings::actor.eq(None::<String>),
            findings::reason.eq(None::<String>),
        ))
        .execute(conn)?;
    Ok(())
}
