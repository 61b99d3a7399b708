//! The attempt ledger: who made which attempt, which of them nobody knows about,
//! and taking those over. What becomes of an attempt is recorded by
//! [`crate::store::settle`].

use std::collections::HashMap;
use std::time::Duration;

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::model::history::{Change, HistoryEvent};
use crate::model::ids::{PayoutId, RunId};
use crate::model::payout::{NotAgain, SendRules, may_send_again};
use crate::model::run::Holder;
use crate::model::schema::{payout_attempts, payout_runs};
use crate::model::time::Time;
use crate::store::dialect;
use crate::store::queue::DayLimit;
use crate::store::runs::{RunStamp, has_ended};
use crate::store::{Store, StoreError, candidates, history, settings};

/// A page of attempts that nobody works on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenAttempts {
    /// Those to look up.
    pub attempts: Vec<Attempt>,
    /// Where the next page begins; none when there is nothing behind.
    pub last_looked_at: Option<PayoutId>,
}

/// What became of taking an attempt over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeOver {
    /// It is this run's, and may go out.
    Taken(Box<Attempt>),
    /// Somebody else was faster, or deleted the payout.
    Gone,
    /// It stays where it is.
    Refused(NotAgain),
}

impl Store {
    /// Attempts nobody knows the outcome of and no live run is working on:
    /// those of ended runs, and those parked as unknown for `parked` by a run
    /// that still lives. At most `limit`, oldest first, behind `after`.
    pub fn attempts_unresolved(
        &mut self,
        own: Option<&RunId>,
        lease: Duration,
        parked: Duration,
        after: Option<&PayoutId>,
        limit: i64,
    ) -> Result<OpenAttempts, StoreError> {
        let now = self.clock.now();
        let pooled = self.pooled();
        self.read(|conn| {
            let mut query = payout_attempts::table
                .filter(dialect::unresolved())
                .order(payout_attempts::payout_id)
                .limit(limit)
                .into_boxed();
            if let Some(after) = after {
                query = query.filter(payout_attempts::payout_id.gt(after));
            }
            let open: Vec<Attempt> = query.load(conn)?;
            let mut ended: HashMap<RunId, bool> = HashMap::new();
            let last_looked_at = open.last().map(|attempt| attempt.payout_id.clone());
            let mut attempts = Vec::with_capacity(open.len());
            for attempt in open {
                let over = if let Some(over) = ended.get(&attempt.run_id) {
                    *over
                } else {
                    let over = Some(&attempt.run_id) != own
                        && has_ended(conn, pooled, &attempt.run_id, lease, now)?;
                    ended.insert(attempt.run_id.clone(), over);
                    over
                };
                let parked_long = attempt.outcome == AttemptOutcome::Unknown
                    && attempt
                        .last_sent_at
                        .is_some_and(|sent| sent.plus(parked) <= now);
                if over || parked_long {
                    attempts.push(attempt);
                }
            }
            Ok(OpenAttempts {
                attempts,
                last_looked_at,
            })
        })
    }

    /// The runs beside `own` in whose hands open attempts are, each at work or
    /// within its lease: nobody looks those attempts up meanwhile.
    pub fn attempts_holders(
        &mut self,
        own: Option<&RunId>,
        lease: Duration,
    ) -> Result<Vec<Holder>, StoreError> {
        let now = self.clock.now();
        let pooled = self.pooled();
        self.read(|conn| {
            let held: Vec<(RunId, String, Time, i64)> = payout_attempts::table
                .inner_join(payout_runs::table)
                .filter(dialect::unresolved())
                .group_by((payout_runs::id, payout_runs::host, payout_runs::seen_at))
                .select((
                    payout_runs::id,
                    payout_runs::host,
                    payout_runs::seen_at,
                    diesel::dsl::count_star(),
                ))
                .order(payout_runs::id)
                .load(conn)?;
            let mut holders = Vec::new();
            for (run_id, host, seen_at, payouts) in held {
                if Some(&run_id) == own || has_ended(conn, pooled, &run_id, lease, now)? {
                    continue;
                }
                holders.push(Holder {
                    run_id,
                    host,
                    seen_at,
                    until: seen_at.plus(lease),
                    payouts: u64::try_from(payouts).unwrap_or(0),
                });
            }
            Ok(holders)
        })
    }

    /// What a run holds and nobody knows the outcome of.
    pub fn attempts_left_by(&mut self, run: &RunId) -> Result<Vec<Attempt>, StoreError> {
        self.read(|conn| {
            Ok(payout_attempts::table
                .filter(dialect::unresolved())
                .filter(payout_attempts::run_id.eq(run))
                .order(payout_attempts::payout_id)
                .load(conn)?)
        })
    }

    /// Takes an unresolved attempt over from the run that left it, if it may go out
    /// again by the rule of [`may_send_again`], asked in the transaction that takes it.
    /// Of `day`, the limit and Stripe's time, it takes what it needs. From then on it counts as unknown, whatever it said before: its first sender may
    /// still be at work.
    pub fn attempt_take_over(
        &mut self,
        stamp: &RunStamp,
        attempt: &Attempt,
        rules: &SendRules,
        day: Option<(DayLimit, Time)>,
    ) -> Result<TakeOver, StoreError> {
        let now = self.clock.now();
        let nothing = |outcome| Ok((outcome, history::HeadsHash::default()));
        let (taken, heads) = self.write(|conn| {
            let Some(status) = dialect::lock_status(conn, &attempt.payout_id).optional()? else {
                return nothing(TakeOver::Gone);
            };
            let ids = std::slice::from_ref(&attempt.payout_id);
            let Some(candidate) =
                candidates::candidates(conn, ids, now, rules.approval.is_some())?.pop()
            else {
                return nothing(TakeOver::Gone);
            };
            if let Err(refusal) = may_send_again(&candidate, attempt, rules) {
                return nothing(TakeOver::Refused(refusal));
            }
            // What was first sent on another day counts for this one too.
            if let Some((day, today)) = day {
                let room = settings::day_room_in_tx(conn, today, day.cents, day.anew)?;
                let amount = i64::from(attempt.amount_cents);
                let uncounted = attempt.first_sent_at < today.day_start();
                if uncounted && amount > room {
                    return nothing(TakeOver::Refused(NotAgain::DayIsOver));
                }
                let more = if uncounted { amount } else { 0 };
                settings::day_claimed_in_tx(conn, today, day.cents, room, more)?;
            }
            let changed = diesel::update(open_attempt(
                &attempt.payout_id,
                attempt.attempt,
                &attempt.run_id,
            ))
            .set((
                payout_attempts::run_id.eq(&stamp.run_id),
                payout_attempts::outcome.eq(AttemptOutcome::Unknown),
            ))
            .execute(conn)?;
            if changed == 0 {
                return nothing(TakeOver::Gone);
            }
            let change = Change {
                payout_id: attempt.payout_id.clone(),
                event: HistoryEvent::TakenOver,
                from: Some(status),
                to: status,
                reason: Some(format!(
                    "attempt {} of run {}",
                    attempt.attempt, attempt.run_id
                )),
            };
            let heads = history::append_in_tx(conn, stamp, now, vec![change])?;
            failpoint!("take_over.writing");
            let taken = Attempt {
                run_id: stamp.run_id.clone(),
                outcome: AttemptOutcome::Unknown,
                ..attempt.clone()
            };
            Ok((TakeOver::Taken(Box::new(taken)), heads))
        })?;
        self.heads.merge(heads);
        failpoint!("take_over.committed");
        if let TakeOver::Taken(attempt) = &taken {
            tracing::debug!(
                event = "taken_over",
                payout_id = attempt.payout_id.as_str(),
                attempt = attempt.attempt,
                idempotency_key = attempt.idempotency_key,
                amount_cents = attempt.amount_cents,
                currency = attempt.currency.as_str(),
                destination = attempt.destination,
                "an attempt of another run is taken over"
            );
        }
        Ok(taken)
    }

    /// The attempts of the given payouts, newest number last.
    pub fn attempts_of(&mut self, payouts: &[PayoutId]) -> Result<Vec<Attempt>, StoreError> {
        let mut found = Vec::new();
        for chunk in payouts.chunks(dialect::IDS_MAX) {
            let rows: Vec<Attempt> = self.read(|conn| {
                Ok(payout_attempts::table
                    .filter(payout_attempts::payout_id.eq_any(chunk))
                    .order((payout_attempts::payout_id, payout_attempts::attempt))
                    .load(conn)?)
            })?;
            found.extend(rows);
        }
        Ok(found)
    }
}

/// Narrows to an attempt that is unresolved and in the hands of `run`.
#[diesel::dsl::auto_type]
pub(super) fn open_attempt<'a>(payout: &'a PayoutId, attempt: i32, run: &'a RunId) -> _ {
    let unresolved: [AttemptOutcome; 2] = AttemptOutcome::UNRESOLVED;
    payout_attempts::table
        .filter(payout_attempts::payout_id.eq(payout))
        .filter(payout_attempts::attempt.eq(attempt))
        .filter(payout_attempts::run_id.eq(run))
        .filter(payout_attempts::outcome.eq_any(unresolved))
}
