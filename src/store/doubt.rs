//! Payouts of which nobody knows whether they were paid: what looking at Stripe
//! came to, and a person's decision to let go of one.
//!
//! Letting go is the one way out of unknown without proof. It is decided by
//! [`may_release`] alone, once for what a person is shown and again inside the
//! transaction that does it, on look-ups that are on record. The attempt stays in
//! the ledger as released, so that a transfer it makes later is known for what it
//! is.

use std::time::Duration;

use diesel::prelude::*;

use crate::failpoint::{failpoint, planted};
use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::model::history::{Change, HistoryEvent};
use crate::model::ids::PayoutId;
use crate::model::lookup::{Doubt, Evidence, Lacking, LookUp, NotYet, dispensable, may_release};
use crate::model::money::Currency;
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::schema::{
    creators, payout_attempts, payout_lookups as look_ups, payout_runs as runs, payouts,
};
use crate::model::standing::FoundPayment;
use crate::model::time::Time;
use crate::store::adopt::attempt_of_others;
use crate::store::connection::AnyConnection;
use crate::store::dialect::{self, on_each};
use crate::store::runs::{RunStamp, has_ended};
use crate::store::{Store, StoreError, findings, history, ledger, queue, reversals};

/// Surplus transfers that are read at once: each is an alarm of its own.
const SURPLUS_MAX: i64 = 100;

/// What decides about payouts in doubt besides what is recorded.
#[derive(Debug, Clone)]
pub struct DoubtTerms {
    /// The key's account.
    pub account: String,
    /// The key's mode.
    pub livemode: bool,
    /// The database's one currency.
    pub currency: Currency,
    /// See `PAYOUTS_LEASE`.
    pub lease: Duration,
    /// How old a key may be for `process` to send under it.
    pub key_age_max: Duration,
    /// How far Stripe's clock is ahead of this machine's, milliseconds.
    pub stripe_ahead_millis: i64,
}

/// A payout and all its attempts, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The row.
    pub payout: Payout,
    /// Where its creator is paid.
    pub destination: Option<String>,
    /// Its attempts.
    pub attempts: Vec<Attempt>,
    /// What is not known of it; none where nothing is in doubt.
    pub open: Option<OpenDoubt>,
    /// A comparison with Stripe found a transfer of it that is not recorded.
    pub found: Option<FoundPayment>,
    /// A person has cancelled it.
    pub cancelled: bool,
}

/// What is in doubt about a payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenDoubt {
    /// The unresolved attempt; none of a row that other software may have sent.
    pub attempt: Option<Attempt>,
    /// Its number, or the one that letting go of the row would write.
    pub number: i32,
    /// What decides whether a person may let go of it.
    pub doubt: Doubt,
    /// The look-ups on record, oldest first.
    pub look_ups: Vec<LookUp>,
}

impl OpenDoubt {
    /// Whether a person may let go of it now: for what is shown, and for what is done.
    ///
    /// # Errors
    /// The first condition that is not met.
    pub fn may_release(&self, terms: &DoubtTerms, now: Time) -> Result<Evidence, NotYet> {
        let key = (terms.account.as_str(), terms.livemode);
        match may_release(&self.doubt, &self.look_ups, key, now) {
            Err(NotYet {
                lacking: Lacking::FirstLookUp | Lacking::SecondLookUp,
                ..
            }) if planted!("release_without_look_ups") => Ok((now, now)),
            decided => decided,
        }
    }
}

/// A transfer beside the one that paid a payout.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Surplus {
    /// Whose.
    pub payout_id: PayoutId,
    /// `tr_…`.
    pub transfer_id: String,
    /// Minor units.
    pub amount_cents: i32,
}

impl Store {
    /// The payouts with these ids that exist, in the order given.
    pub fn doubts(
        &mut self,
        ids: &[PayoutId],
        terms: &DoubtTerms,
    ) -> Result<Vec<Case>, StoreError> {
        let (now, pooled) = (self.clock.now(), self.pooled());
        self.read(|conn| {
            let mut cases = Vec::with_capacity(ids.len());
            for id in ids {
                cases.extend(case_in_tx(conn, pooled, id, terms, now)?);
            }
            Ok(cases)
        })
    }

    /// Keeps a look-up that was done to its end, unless an earlier one says the
    /// same or its payout is not in doubt any more.
    pub fn look_up_keep(&mut self, look_up: &LookUp, terms: &DoubtTerms) -> Result<(), StoreError> {
        let (now, pooled) = (self.clock.now(), self.pooled());
        self.write(|conn| {
            let case = case_in_tx(conn, pooled, &look_up.payout_id, terms, now)?;
            let Some(open) = case.and_then(|case| case.open) else {
                return Ok(());
            };
            let adds = look_up.adds_to(&open.look_ups, open.doubt.quiet_from());
            if open.number != look_up.attempt || !adds {
                return Ok(());
            }
            on_each!(conn, c => diesel::insert_into(look_ups::table)
                .values(look_up)
                .on_conflict_do_nothing()
                .execute(c))?;
            let kept = look_ups_of(conn, &look_up.payout_id, look_up.attempt)?;
            let begun: Vec<Time> = dispensable(&kept).iter().map(|one| one.begun_at).collect();
            diesel::delete(
                look_ups::table
                    .filter(look_ups::payout_id.eq(&look_up.payout_id))
                    .filter(look_ups::attempt.eq(look_up.attempt))
                    .filter(look_ups::begun_at.eq_any(begun)),
            )
            .execute(conn)?;
            failpoint!("look_up.writing");
            Ok(())
        })?;
        failpoint!("look_up.committed");
        Ok(())
    }

    /// Lets go of a payout in doubt, if that may be done: its attempt is released,
    /// and the payout is pending again. `number` is the attempt that was shown.
    ///
    /// # Errors
    /// What the store reports, or a conflict when it is not as it was shown. Within
    /// the answer: why it may not be done yet.
    pub fn doubt_release(
        &mut self,
        stamp: &RunStamp,
        payout: &PayoutId,
        number: i32,
        reason: &str,
        terms: &DoubtTerms,
    ) -> Result<Result<(), NotYet>, StoreError> {
        let (now, pooled) = (self.clock.now(), self.pooled());
        let (released, heads) = self.write(|conn| {
            let unlocked = history::HeadsHash::default;
            // Whoever claims or settles it meanwhile waits here.
            let status = dialect::lock_status(conn, payout).optional()?;
            let case = case_in_tx(conn, pooled, payout, terms, now)?;
            let open = case.as_ref().and_then(|case| case.open.as_ref());
            let (Some(status), Some(case), Some(open)) = (status, &case, open) else {
                return Err(changed(payout));
            };
            if open.number != number {
                return Err(changed(payout));
            }
            let (first, second) = match open.may_release(terms, now) {
                Ok(evidence) => evidence,
                Err(not_yet) => return Ok((Err(not_yet), unlocked())),
            };
            attempt_release(conn, stamp, now, case, open, terms)?;
            diesel::update(payouts::table.filter(payouts::id.eq(payout)))
                .set((
                    payouts::status.eq(PayoutStatus::Pending),
                    payouts::updated_at.eq(now),
                ))
                .execute(conn)?;
            queue::statement_release(conn, payout)?;
            let change = Change {
                payout_id: payout.clone(),
                event: HistoryEvent::Closed,
                from: Some(status),
                to: PayoutStatus::Pending,
                reason: Some(format!(
                    "attempt {number} without proof: {reason} (nothing was found at {first} and {second})"
                )),
            };
            let heads = history::append_in_tx(conn, stamp, now, vec![change])?;
            failpoint!("let_go.writing");
            Ok((Ok(()), heads))
        })?;
        self.heads.merge(heads);
        failpoint!("let_go.committed");
        Ok(released)
    }

    /// Transfers beside a paid one that nobody has accepted, at most a hundred.
    pub fn surplus_open(&mut self) -> Result<Vec<Surplus>, StoreError> {
        self.read(|conn| {
            let all: Vec<Surplus> = payout_attempts::table
                .filter(dialect::surplus())
                .filter(payout_attempts::transfer_id.is_not_null())
                .select((
                    payout_attempts::payout_id,
                    payout_attempts::transfer_id.assume_not_null(),
                    payout_attempts::amount_cents,
                ))
                .order((payout_attempts::payout_id, payout_attempts::attempt))
                .limit(SURPLUS_MAX)
                .load(conn)?;
            let ids: Vec<&str> = all.iter().map(|one| one.transfer_id.as_str()).collect();
            let accepted = findings::accepted_of(conn, &ids)?;
            Ok(all
                .into_iter()
                .filter(|one| !accepted.contains(&one.transfer_id))
                .collect())
        })
    }

    /// Who stands against recording this transfer as a payout's: another payout
    /// that holds it, or whose id is its group.
    pub fn transfer_is_of_another(
        &mut self,
        payout: &PayoutId,
        transfer: &str,
        group: Option<&str>,
    ) -> Result<Option<PayoutId>, StoreError> {
        self.read(|conn| {
            let holders = ledger::holders_of(conn, &[transfer])?;
            let mut others = holders.into_values().flatten();
            if let Some(other) = others.find(|holder| holder != payout) {
                return Ok(Some(other));
            }
            let Some(group) = group.map(PayoutId::new).filter(|group| group != payout) else {
                return Ok(None);
            };
            let row = payouts::table.filter(payouts::id.eq(&group));
            let attempts = payout_attempts::table.filter(payout_attempts::payout_id.eq(&group));
            let known: bool = diesel::select(diesel::dsl::exists(row)).get_result(conn)?;
            let tried: bool = diesel::select(diesel::dsl::exists(attempts)).get_result(conn)?;
            Ok((known || tried).then_some(group))
        })
    }
}

fn changed(payout: &PayoutId) -> StoreError {
    StoreError::Conflict(format!(
        "payout {payout} is not as it was shown; look again with `payouts resolve {payout}`"
    ))
}

/// Marks the attempt as released, or writes one where other software sent the row.
fn attempt_release(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    case: &Case,
    open: &OpenDoubt,
    terms: &DoubtTerms,
) -> Result<(), StoreError> {
    use payout_attempts as a;
    if let Some(attempt) = &open.attempt {
        let this = a::table
            .filter(a::payout_id.eq(&case.payout.id))
            .filter(a::attempt.eq(open.number))
            // Nor in the hands of a run that took it over meanwhile.
            .filter(a::run_id.eq(&attempt.run_id))
            .filter(a::outcome.eq_any(AttemptOutcome::UNRESOLVED));
        let changed_rows = diesel::update(this)
            .set((
                a::outcome.eq(AttemptOutcome::Released),
                a::settled_at.eq(now),
            ))
            .execute(conn)?;
        return if changed_rows == 1 {
            Ok(())
        } else {
            Err(changed(&case.payout.id))
        };
    }
    let row = Attempt {
        amount_cents: case.payout.amount_cents,
        currency: terms.currency,
        destination: case.destination.clone().unwrap_or_default(),
        stripe_account: terms.account.clone(),
        livemode: terms.livemode,
        outcome: AttemptOutcome::Released,
        first_sent_at: case.payout.updated_at,
        ..attempt_of_others(&case.payout.id, open.number, stamp, terms.currency, now)
    };
    on_each!(conn, c => diesel::insert_into(payout_attempts::table)
        .values(&row)
        .execute(c))?;
    Ok(())
}

fn case_in_tx(
    conn: &mut AnyConnection,
    pooled: bool,
    id: &PayoutId,
    terms: &DoubtTerms,
    now: Time,
) -> Result<Option<Case>, StoreError> {
    let found: Option<(Payout, Option<String>)> = payouts::table
        .left_join(creators::table)
        .filter(payouts::id.eq(id))
        .select((Payout::as_select(), creators::stripe_account_id.nullable()))
        .first(conn)
        .optional()?;
    let Some((payout, destination)) = found else {
        return Ok(None);
    };
    let attempts: Vec<Attempt> = payout_attempts::table
        .filter(payout_attempts::payout_id.eq(id))
        .order(payout_attempts::attempt)
        .load(conn)?;
    let this = std::slice::from_ref(id);
    let found = findings::payments_found_in_tx(conn, this)?.remove(id);
    let cancelled = history::cancelled_in_tx(conn, this)?.contains(id);
    let told = found.is_some() || cancelled;
    let unresolved = attempts.iter().find(|a| a.outcome.is_unresolved()).cloned();
    let (number, doubt) = match &unresolved {
        Some(attempt) => (
            attempt.attempt,
            doubt_of_attempt(conn, pooled, &payout, attempt, terms, now)?,
        ),
        None if !told && may_be_sent_by_others(conn, &payout, &attempts)? => {
            (1, doubt_of_row(&payout, terms))
        }
        None => {
            return Ok(Some(Case {
                payout,
                destination,
                attempts,
                open: None,
                found,
                cancelled,
            }));
        }
    };
    let open = OpenDoubt {
        attempt: unresolved,
        number,
        doubt,
        look_ups: look_ups_of(conn, id, number)?,
    };
    Ok(Some(Case {
        payout,
        destination,
        attempts,
        open: Some(open),
        found,
        cancelled,
    }))
}

/// Whether other software may have sent a row that nobody here has tried, and
/// neither the row nor what was taken back of it says that it is paid.
fn may_be_sent_by_others(
    conn: &mut AnyConnection,
    payout: &Payout,
    attempts: &[Attempt],
) -> Result<bool, StoreError> {
    let touched = match payout.status {
        PayoutStatus::Completed => false,
        PayoutStatus::Pending => payout.bears_marks_of_a_send(),
        PayoutStatus::Processing | PayoutStatus::Failed => true,
    };
    if !touched || !attempts.is_empty() || payout.stripe_transfer_id.is_some() {
        return Ok(false);
    }
    let id = std::slice::from_ref(&payout.id);
    Ok(!reversals::among_in_tx(conn, id)?.contains(&payout.id))
}

fn doubt_of_attempt(
    conn: &mut AnyConnection,
    pooled: bool,
    payout: &Payout,
    attempt: &Attempt,
    terms: &DoubtTerms,
    now: Time,
) -> Result<Doubt, StoreError> {
    let run: Option<(Time, Option<Time>)> = runs::table
        .filter(runs::id.eq(&attempt.run_id))
        .select((runs::seen_at, runs::ended_at))
        .first(conn)
        .optional()?;
    let over = has_ended(conn, pooled, &attempt.run_id, terms.lease, now)?;
    let first_sent = here(attempt.first_sent_at, terms);
    // A sender whose sign of life is older than the lease sends nothing.
    let alive_until = run.map(|(seen_at, ended_at)| ended_at.unwrap_or(seen_at.plus(terms.lease)));
    let last_sent = [attempt.last_sent_at, alive_until]
        .into_iter()
        .flatten()
        .fold(first_sent, Time::max);
    Ok(Doubt {
        stripe_account: attempt.stripe_account.clone(),
        livemode: attempt.livemode,
        last_sent,
        resent_until: (!attempt.stored_error).then(|| first_sent.plus(terms.key_age_max)),
        held_until: alive_until.filter(|_| !over),
        said_to_be_paid: payout.status == PayoutStatus::Completed,
    })
}

/// Under which key it was sent, and from where, only the other software knows.
fn doubt_of_row(payout: &Payout, terms: &DoubtTerms) -> Doubt {
    Doubt {
        stripe_account: terms.account.clone(),
        livemode: terms.livemode,
        last_sent: payout.updated_at,
        resent_until: Some(payout.updated_at.plus(terms.key_age_max)),
        held_until: None,
        // A COMPLETED row without an attempt is in nobody's doubt.
        said_to_be_paid: false,
    }
}

/// A moment by Stripe's clock, by this machine's.
fn here(at_stripe: Time, terms: &DoubtTerms) -> Time {
    at_stripe.on_clock_ahead(terms.stripe_ahead_millis.saturating_neg())
}

fn look_ups_of(
    conn: &mut AnyConnection,
    payout: &PayoutId,
    attempt: i32,
) -> Result<Vec<LookUp>, StoreError> {
    Ok(look_ups::table
        .filter(look_ups::payout_id.eq(payout))
        .filter(look_ups::attempt.eq(attempt))
        .order(look_ups::begun_at)
        .load(conn)?)
}

/// The same of all its attempts.
pub(super) fn all_look_ups_of(
    conn: &mut AnyConnection,
    payout: &PayoutId,
) -> Result<Vec<LookUp>, StoreError> {
    Ok(look_ups::table
        .filter(look_ups::payout_id.eq(payout))
        .order((look_ups::attempt, look_ups::begun_at))
        .load(conn)?)
}
