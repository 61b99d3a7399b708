//! The attempt ledger: recording what became of attempts, and finding those
//! that nobody knows about yet.
//!
//! Facts are not fenced, decisions are. "This key made transfer tr_…" is
//! recorded whoever holds the claim and whatever the payout's status says;
//! "failed", "give back" and "unknown" are recorded only while the attempt is
//! still this run's.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use diesel::prelude::*;

use crate::failpoint::{failpoint, planted};
use crate::model::attempt::{AnswerRow, Attempt, AttemptOutcome, idempotency_key};
use crate::model::history::{Change, HistoryEvent};
use crate::model::ids::{PayoutId, RunId, StatementId};
use crate::model::money::Currency;
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::run::Holder;
use crate::model::schema::{payout_answers, payout_attempts, payout_runs, payouts};
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::dialect::{self, PaidRow, on_each};
use crate::store::runs::{RunStamp, has_ended};
use crate::store::statements::mark_covered_in_tx;
use crate::store::{Store, StoreError, history, queue, reversals, settings};

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// The transfer exists.
    Paid {
        /// `tr_…`.
        transfer_id: String,
        /// The transfer's own time.
        at: Time,
        /// Found by looking, rather than answered to our send.
        adopted: bool,
        /// Of the transfer, what was taken back, minor units.
        reversed_cents: i64,
    },
    /// A definite no: the payout has FAILED.
    Declined {
        /// For people.
        reason: String,
    },
    /// Nothing of it was executed: the payout goes back to the queue.
    NotSent {
        /// For people.
        reason: String,
    },
    /// Nobody knows. The payout stays PROCESSING.
    Unknown {
        /// For people.
        reason: String,
        /// Stripe stored a server error under the key.
        stored_error: bool,
    },
    /// Stripe holds something that does not fit; the attempt stays unknown.
    Alarm {
        /// For people.
        reason: String,
    },
}

/// The last answer's facts, kept on the attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastAnswer {
    /// None when no answer came.
    pub http_status: Option<i32>,
    /// Stripe's `type`.
    pub error_type: Option<String>,
    /// Stripe's `code`, or ours.
    pub error_code: Option<String>,
    /// Stripe's words, or ours.
    pub error_message: Option<String>,
    /// `req_…`.
    pub request_id: Option<String>,
    /// Stripe's stored answer.
    pub replayed: bool,
}

/// What is to be recorded of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Whose attempt.
    pub payout_id: PayoutId,
    /// Which.
    pub attempt: i32,
    /// Minor units the attempt sent.
    pub amount_cents: i32,
    /// What became of it.
    pub resolution: Resolution,
    /// The last answer; none when nothing was sent.
    pub last: Option<LastAnswer>,
    /// Every answer of this run, in order.
    pub answers: Vec<AnswerRow>,
}

impl Settlement {
    /// The transfer, when there is one.
    fn transfer(&self) -> Option<TransferFact<'_>> {
        match &self.resolution {
            Resolution::Paid {
                transfer_id,
                at,
                adopted,
                reversed_cents,
            } => Some(TransferFact {
                id: transfer_id,
                at: *at,
                adopted: *adopted,
                reversed_cents: *reversed_cents,
            }),
            _ => None,
        }
    }
}

/// A transfer that Stripe made for a payout, and that no attempt of this
/// database holds: other software sent it, or the attempt was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenTransfer {
    /// `tr_…`.
    pub id: String,
    /// The number of the attempt that made it, if it says one.
    pub attempt: Option<i32>,
    /// Minor units.
    pub amount_cents: i32,
    /// Of the amount.
    pub currency: Currency,
    /// `acct_…` that was paid.
    pub destination: String,
    /// Real money.
    pub livemode: bool,
    /// The transfer's own time.
    pub at: Time,
    /// Of the amount, what was taken back.
    pub reversed_cents: i64,
}

/// How recording went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// As given.
    Done,
    /// Another run recorded the same before.
    Already,
    /// The claim is not this run's any more, so its decision was not recorded.
    NotOurs,
    /// Recorded, but something beside it needs a person.
    Finding(String),
    /// Stripe and the table do not fit together.
    Alarm(String),
}

/// A page of attempts that nobody works on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenAttempts {
    /// Those to look up.
    pub attempts: Vec<Attempt>,
    /// Where the next page begins; none when there is nothing behind.
    pub last_looked_at: Option<PayoutId>,
}

impl Store {
    /// Records settlements in one transaction, in order. When the transaction
    /// fails for another reason than the database being away or full, each is recorded
    /// on its own, so that one that cannot be recorded does not hold up the rest.
    pub fn attempts_settle(
        &mut self,
        stamp: &RunStamp,
        settlements: &[Settlement],
    ) -> Result<Vec<Recorded>, StoreError> {
        match self.settle_together(stamp, settlements) {
            Ok(recorded) => Ok(recorded),
            Err(error) if error.concerns_all() => Err(error),
            Err(_) => settlements
                .iter()
                .map(
                    |one| match self.settle_together(stamp, std::slice::from_ref(one)) {
                        Ok(mut recorded) => Ok(recorded.pop().unwrap_or(Recorded::Done)),
                        Err(error) if error.concerns_all() => Err(error),
                        Err(error) => Ok(Recorded::Alarm(format!(
                            "the outcome of payout {} could not be recorded: {}",
                            one.payout_id,
                            error.with_cause()
                        ))),
                    },
                )
                .collect(),
        }
    }

    fn settle_together(
        &mut self,
        stamp: &RunStamp,
        settlements: &[Settlement],
    ) -> Result<Vec<Recorded>, StoreError> {
        let now = self.clock.now();
        let (recorded, heads) = self.write(|conn| {
            dialect::find_by_index(conn)?;
            let mut changes = Vec::with_capacity(settlements.len());
            let mut recorded = Vec::with_capacity(settlements.len());
            let mut settled = settle_usual(conn, now, settlements)?;
            for settlement in settlements {
                recorded.push(match settled.remove(&settlement.payout_id) {
                    Some(statement) => paid_now(conn, now, settlement, statement, &mut changes)?,
                    None => settle_in_tx(conn, stamp, now, settlement, &mut changes)?,
                });
            }
            answers_insert(conn, settlements)?;
            let heads = history::append_in_tx(conn, stamp, now, changes)?;
            failpoint!("settle.writing");
            Ok((recorded, heads))
        })?;
        self.heads.merge(heads);
        failpoint!("settle.committed");
        Ok(recorded)
    }

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

    /// Records the transfer of a payout that other software sent, or whose
    /// attempt this database has lost, with an attempt that holds it.
    pub fn payout_adopt(
        &mut self,
        stamp: &RunStamp,
        payout: &Payout,
        proven: &ProvenTransfer,
    ) -> Result<Recorded, StoreError> {
        let now = self.clock.now();
        let (recorded, heads) = self.write(|conn| {
            let transfer = TransferFact {
                id: &proven.id,
                at: proven.at,
                adopted: true,
                reversed_cents: proven.reversed_cents,
            };
            // Whoever claims it meanwhile waits here, and then finds the attempt.
            dialect::lock_status(conn, &payout.id).optional()?;
            let Some(attempt) = attempt_to_prove(conn, &payout.id, proven)? else {
                return Ok((Recorded::NotOurs, history::HeadsHash::default()));
            };
            let completed = complete(conn, now, &payout.id, payout.amount_cents, &transfer)?;
            if matches!(completed, Completed::Now { .. } | Completed::Before) {
                attempt_prove(conn, stamp, now, &payout.id, attempt, proven)?;
            }
            let mut changes = Vec::new();
            let recorded = completed_in_tx(
                conn,
                now,
                &payout.id,
                None,
                &transfer,
                completed,
                &mut changes,
            )?;
            let heads = history::append_in_tx(conn, stamp, now, changes)?;
            failpoint!("adopt.writing");
            Ok((recorded, heads))
        })?;
        self.heads.merge(heads);
        failpoint!("adopt.committed");
        Ok(recorded)
    }

    /// Takes an unresolved attempt over from the run that left it. From then on
    /// it counts as unknown, whatever it said before: its first sender may still
    /// be at work. `None` when somebody else was faster.
    pub fn attempt_take_over(
        &mut self,
        stamp: &RunStamp,
        attempt: &Attempt,
    ) -> Result<Option<Attempt>, StoreError> {
        let now = self.clock.now();
        let (taken, heads) = self.write(|conn| {
            let status: PayoutStatus = payouts::table
                .filter(payouts::id.eq(&attempt.payout_id))
                .select(payouts::status)
                .first(conn)?;
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
                return Ok((None, history::HeadsHash::default()));
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
            Ok((Some(taken), heads))
        })?;
        self.heads.merge(heads);
        failpoint!("take_over.committed");
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
fn open_attempt<'a>(payout: &'a PayoutId, attempt: i32, run: &'a RunId) -> _ {
    let unresolved: [AttemptOutcome; 2] = AttemptOutcome::UNRESOLVED;
    payout_attempts::table
        .filter(payout_attempts::payout_id.eq(payout))
        .filter(payout_attempts::attempt.eq(attempt))
        .filter(payout_attempts::run_id.eq(run))
        .filter(payout_attempts::outcome.eq_any(unresolved))
}

/// Settles what went as it usually does, all at once: a send of ours was answered
/// with its transfer, and nobody has touched the payout. Returns each such payout
/// with its statement.
fn settle_usual(
    conn: &mut AnyConnection,
    now: Time,
    settlements: &[Settlement],
) -> Result<HashMap<PayoutId, Option<StatementId>>, StoreError> {
    let named: HashSet<&PayoutId> = settlements.iter().map(|s| &s.payout_id).collect();
    if named.len() < settlements.len() {
        // Several about one payout are recorded in their order.
        return Ok(HashMap::new());
    }
    let rows: Vec<PaidRow<'_>> = settlements.iter().filter_map(usual).collect();
    Ok(dialect::settle_paid(conn, now, &rows)?
        .into_iter()
        .map(|row| (row.id, row.royalty_statement_id))
        .collect())
}

fn usual(settlement: &Settlement) -> Option<PaidRow<'_>> {
    let (transfer, last) = (settlement.transfer()?, settlement.last.as_ref()?);
    let unusual = transfer.adopted
        || transfer.reversed_cents > 0
        || last.error_type.is_some()
        || last.error_code.is_some()
        || last.error_message.is_some();
    (!unusual).then(|| PaidRow {
        payout_id: &settlement.payout_id,
        attempt: settlement.attempt,
        amount_cents: settlement.amount_cents,
        transfer_id: transfer.id,
        at: transfer.at,
        sent_at: last_sent_at(settlement),
        send_count: send_count(settlement),
        http_status: last.http_status,
        request_id: last.request_id.as_deref(),
        replayed: last.replayed,
    })
}

/// What follows for a payout that [`settle_usual`] completed.
fn paid_now(
    conn: &mut AnyConnection,
    now: Time,
    settlement: &Settlement,
    statement: Option<StatementId>,
    changes: &mut Vec<Change>,
) -> Result<Recorded, StoreError> {
    let Some(transfer) = settlement.transfer() else {
        return Ok(Recorded::Done);
    };
    let (payout, attempt) = (&settlement.payout_id, Some(settlement.attempt));
    changes.push(completion(
        payout,
        attempt,
        &transfer,
        PayoutStatus::Processing,
    ));
    statement_settle(conn, now, payout, &transfer, statement)
}

fn settle_in_tx(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    settlement: &Settlement,
    changes: &mut Vec<Change>,
) -> Result<Recorded, StoreError> {
    match &settlement.resolution {
        Resolution::Paid {
            transfer_id,
            at,
            adopted,
            reversed_cents,
        } => paid_in_tx(
            conn,
            now,
            settlement,
            &TransferFact {
                id: transfer_id,
                at: *at,
                adopted: *adopted,
                reversed_cents: *reversed_cents,
            },
            changes,
        ),
        Resolution::Declined { reason } => {
            let closed = close_attempt(
                conn,
                stamp,
                now,
                settlement,
                AttemptOutcome::Declined,
                false,
            )?;
            if !closed {
                return Ok(Recorded::NotOurs);
            }
            let failed = diesel::update(claimed(&settlement.payout_id, settlement.amount_cents))
                .set((
                    payouts::status.eq(PayoutStatus::Failed),
                    payouts::failed_reason.eq(reason),
                    payouts::retry_count.eq(payouts::retry_count + 1),
                    payouts::last_retry_at.eq(now),
                    payouts::updated_at.eq(now),
                ));
            let moved = failed.execute(conn)?;
            queue::statement_release(conn, &settlement.payout_id)?;
            Ok(decided(
                settlement,
                moved,
                HistoryEvent::Declined,
                PayoutStatus::Failed,
                reason,
                changes,
            ))
        }
        Resolution::NotSent { reason } => {
            if !close_attempt(conn, stamp, now, settlement, AttemptOutcome::NotSent, false)? {
                return Ok(Recorded::NotOurs);
            }
            let moved = diesel::update(claimed(&settlement.payout_id, settlement.amount_cents))
                .set((
                    payouts::status.eq(PayoutStatus::Pending),
                    payouts::updated_at.eq(now),
                ))
                .execute(conn)?;
            queue::statement_release(conn, &settlement.payout_id)?;
            Ok(decided(
                settlement,
                moved,
                HistoryEvent::Returned,
                PayoutStatus::Pending,
                reason,
                changes,
            ))
        }
        Resolution::Unknown {
            reason,
            stored_error,
        } => {
            if !close_attempt(
                conn,
                stamp,
                now,
                settlement,
                AttemptOutcome::Unknown,
                *stored_error,
            )? {
                return Ok(Recorded::NotOurs);
            }
            stays(conn, settlement, HistoryEvent::Unknown, reason, changes)?;
            Ok(Recorded::Done)
        }
        Resolution::Alarm { reason } => {
            // What Stripe holds is a fact, whoever works on the attempt.
            close_attempt(conn, stamp, now, settlement, AttemptOutcome::Unknown, false)?;
            stays(conn, settlement, HistoryEvent::Alarm, reason, changes)?;
            Ok(Recorded::Alarm(format!(
                "payout {}: {reason}",
                settlement.payout_id
            )))
        }
    }
}

/// A decision that moved the payout, or found it moved by somebody else.
fn decided(
    settlement: &Settlement,
    moved: usize,
    event: HistoryEvent,
    to: PayoutStatus,
    reason: &str,
    changes: &mut Vec<Change>,
) -> Recorded {
    if moved == 0 {
        return Recorded::Alarm(format!(
            "payout {} was changed by other software while it was being paid; attempt {} is recorded, its status is not",
            settlement.payout_id, settlement.attempt
        ));
    }
    changes.push(Change {
        payout_id: settlement.payout_id.clone(),
        event,
        from: Some(PayoutStatus::Processing),
        to,
        reason: Some(format!("attempt {}: {reason}", settlement.attempt)),
    });
    Recorded::Done
}

/// Notes an event that leaves the status as it is.
fn stays(
    conn: &mut AnyConnection,
    settlement: &Settlement,
    event: HistoryEvent,
    reason: &str,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    // The history's writers hold the payout's row lock.
    let status = dialect::lock_status(conn, &settlement.payout_id)?;
    changes.push(Change {
        payout_id: settlement.payout_id.clone(),
        event,
        from: Some(status),
        to: status,
        reason: Some(format!("attempt {}: {reason}", settlement.attempt)),
    });
    Ok(())
}

/// The payout as this run claimed it.
#[expect(clippy::elidable_lifetime_names, reason = "`auto_type` needs the name")]
#[diesel::dsl::auto_type]
fn claimed<'a>(id: &'a PayoutId, amount: i32) -> _ {
    let processing: PayoutStatus = PayoutStatus::Processing;
    payouts::table
        .filter(payouts::id.eq(id))
        .filter(payouts::status.eq(processing))
        .filter(payouts::amount_cents.eq(amount))
}

/// Records the outcome on an attempt that is still this run's. False when it is not.
fn close_attempt(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    settlement: &Settlement,
    outcome: AttemptOutcome,
    stored_error: bool,
) -> Result<bool, StoreError> {
    use payout_attempts as a;
    let settled_at = (!outcome.is_unresolved()).then_some(now);
    if planted!("settle_unconditionally") {
        return settle_whatever_it_is(conn, now, settlement, outcome);
    }
    let attempt = open_attempt(&settlement.payout_id, settlement.attempt, &stamp.run_id);
    let changed = match &settlement.last {
        None => diesel::update(attempt)
            .set((a::outcome.eq(outcome), a::settled_at.eq(settled_at)))
            .execute(conn)?,
        Some(last) => diesel::update(attempt)
            .set((
                a::outcome.eq(outcome),
                a::settled_at.eq(settled_at),
                a::stored_error.eq(stored_error),
                sends(settlement),
                facts(last),
            ))
            .execute(conn)?,
    };
    Ok(changed == 1)
}

/// A planted bug: nobody asks whose the attempt is and what became of it.
fn settle_whatever_it_is(
    conn: &mut AnyConnection,
    now: Time,
    settlement: &Settlement,
    outcome: AttemptOutcome,
) -> Result<bool, StoreError> {
    let attempt = payout_attempts::table
        .filter(payout_attempts::payout_id.eq(&settlement.payout_id))
        .filter(payout_attempts::attempt.eq(settlement.attempt));
    diesel::update(attempt)
        .set(payout_attempts::outcome.eq(outcome))
        .execute(conn)?;
    diesel::update(payouts::table.filter(payouts::id.eq(&settlement.payout_id)))
        .set((
            payouts::status.eq(PayoutStatus::Processing),
            payouts::updated_at.eq(now),
        ))
        .execute(conn)?;
    Ok(true)
}

/// The sends this run made, on top of those on record.
#[diesel::dsl::auto_type]
fn sends<'a>(settlement: &'a Settlement) -> _ {
    let last_sent_at: Option<Time> = last_sent_at(settlement);
    let send_count: i32 = send_count(settlement);
    (
        payout_attempts::last_sent_at.eq(last_sent_at),
        payout_attempts::send_count.eq(send_count),
    )
}

fn last_sent_at(settlement: &Settlement) -> Option<Time> {
    settlement.answers.last().map(|answer| answer.sent_at)
}

fn send_count(settlement: &Settlement) -> i32 {
    settlement.answers.last().map_or(0, |answer| answer.send)
}

#[diesel::dsl::auto_type]
fn facts<'a>(last: &'a LastAnswer) -> _ {
    let http_status: Option<i32> = last.http_status;
    let error_type: &'a Option<String> = &last.error_type;
    let error_code: &'a Option<String> = &last.error_code;
    let error_message: &'a Option<String> = &last.error_message;
    let request_id: &'a Option<String> = &last.request_id;
    let replayed: bool = last.replayed;
    (
        payout_attempts::http_status.eq(http_status),
        payout_attempts::error_type.eq(error_type),
        payout_attempts::error_code.eq(error_code),
        payout_attempts::error_message.eq(error_message),
        payout_attempts::request_id.eq(request_id),
        payout_attempts::replayed.eq(replayed),
    )
}

/// Records that an attempt made a transfer, whatever state the payout is in.
fn paid_in_tx(
    conn: &mut AnyConnection,
    now: Time,
    settlement: &Settlement,
    transfer: &TransferFact<'_>,
    changes: &mut Vec<Change>,
) -> Result<Recorded, StoreError> {
    let completed = complete(
        conn,
        now,
        &settlement.payout_id,
        settlement.amount_cents,
        transfer,
    )?;
    attempt_paid(conn, now, settlement, transfer.id)?;
    completed_in_tx(
        conn,
        now,
        &settlement.payout_id,
        Some(settlement.attempt),
        transfer,
        completed,
        changes,
    )
}

/// A transfer that Stripe made.
struct TransferFact<'a> {
    id: &'a str,
    at: Time,
    /// Found by looking, rather than answered to our send.
    adopted: bool,
    /// What was taken back of it, minor units.
    reversed_cents: i64,
}

/// What became of a payout when its transfer was recorded.
enum Completed {
    /// Somebody deleted its row.
    Gone,
    Now {
        from: PayoutStatus,
    },
    Before,
    DoesNotFit {
        status: PayoutStatus,
        reason: String,
    },
}

/// Completes a payout whose transfer is proven: that leads there from any state.
fn complete(
    conn: &mut AnyConnection,
    now: Time,
    payout: &PayoutId,
    amount_cents: i32,
    transfer: &TransferFact<'_>,
) -> Result<Completed, StoreError> {
    let completed = (
        payouts::status.eq(PayoutStatus::Completed),
        payouts::stripe_transfer_id.eq(transfer.id),
        payouts::processed_at.eq(transfer.at),
        payouts::failed_reason.eq(None::<String>),
        payouts::updated_at.eq(now),
    );
    // The usual case first, in one statement.
    let free = claimed(payout, amount_cents).filter(
        payouts::stripe_transfer_id
            .is_null()
            .or(payouts::stripe_transfer_id.eq(transfer.id)),
    );
    let usual = diesel::update(free).set(completed.clone()).execute(conn)?;
    if usual == 1 {
        return Ok(Completed::Now {
            from: PayoutStatus::Processing,
        });
    }
    let Some(status) = dialect::lock_status(conn, payout).optional()? else {
        return Ok(Completed::Gone);
    };
    let row: Payout = payouts::table.filter(payouts::id.eq(payout)).first(conn)?;
    let reason = match &row.stripe_transfer_id {
        Some(held) if held == transfer.id && status == PayoutStatus::Completed => {
            return Ok(Completed::Before);
        }
        Some(held) if held != transfer.id => Some(format!(
            "Stripe made transfer {}, but the row holds transfer {held}",
            transfer.id
        )),
        _ if row.amount_cents != amount_cents => Some(format!(
            "Stripe made transfer {} over {amount_cents} minor units, but the row's amount was changed to {}",
            transfer.id, row.amount_cents
        )),
        _ => None,
    };
    if let Some(reason) = reason {
        return Ok(Completed::DoesNotFit { status, reason });
    }
    let changed = diesel::update(payouts::table.filter(payouts::id.eq(payout)))
        .set(completed)
        .execute(conn)?;
    if changed == 0 {
        let reason = format!(
            "Stripe made transfer {}, and the database leaves the row as it is without a word (a trigger, or row security)",
            transfer.id
        );
        return Ok(Completed::DoesNotFit { status, reason });
    }
    Ok(Completed::Now { from: status })
}

/// What follows when a payout was completed: its history and its statement.
fn completed_in_tx(
    conn: &mut AnyConnection,
    now: Time,
    payout: &PayoutId,
    attempt: Option<i32>,
    transfer: &TransferFact<'_>,
    completed: Completed,
    changes: &mut Vec<Change>,
) -> Result<Recorded, StoreError> {
    let holds = matches!(completed, Completed::Now { .. } | Completed::Before);
    if holds && transfer.reversed_cents > 0 {
        let reversal = reversals::seen(payout, transfer.id, transfer.reversed_cents, now);
        reversals::keep_in_tx(conn, &reversal)?;
    }
    let from = match completed {
        Completed::Before => return Ok(Recorded::Already),
        Completed::Gone => {
            return Ok(Recorded::Alarm(format!(
                "payout {payout} was paid by {}, but its row was deleted",
                transfer.id
            )));
        }
        Completed::DoesNotFit { status, reason } => {
            changes.push(Change {
                payout_id: payout.clone(),
                event: HistoryEvent::Alarm,
                from: Some(status),
                to: status,
                reason: Some(reason.clone()),
            });
            return Ok(Recorded::Alarm(format!("payout {payout}: {reason}")));
        }
        Completed::Now { from } => from,
    };
    changes.push(completion(payout, attempt, transfer, from));
    let statement: Option<StatementId> = payouts::table
        .filter(payouts::id.eq(payout))
        .select(payouts::royalty_statement_id)
        .first(conn)?;
    statement_settle(conn, now, payout, transfer, statement)
}

/// The line of history that says a payout was paid.
fn completion(
    payout: &PayoutId,
    attempt: Option<i32>,
    transfer: &TransferFact<'_>,
    from: PayoutStatus,
) -> Change {
    let what = attempt.map_or_else(
        || "sent by other software".to_owned(),
        |n| format!("attempt {n}"),
    );
    Change {
        payout_id: payout.clone(),
        event: if transfer.adopted {
            HistoryEvent::Adopted
        } else {
            HistoryEvent::Paid
        },
        from: Some(from),
        to: PayoutStatus::Completed,
        reason: Some(format!("{what}: {}", transfer.id)),
    }
}

/// Frees the statement of a payout that was completed, and marks it when it is covered.
fn statement_settle(
    conn: &mut AnyConnection,
    now: Time,
    payout: &PayoutId,
    transfer: &TransferFact<'_>,
    statement: Option<StatementId>,
) -> Result<Recorded, StoreError> {
    let Some(statement) = statement else {
        return Ok(Recorded::Done);
    };
    queue::statement_release(conn, payout)?;
    match mark_covered_in_tx(conn, now, &statement, transfer.id, transfer.at) {
        Ok(()) if transfer.reversed_cents > 0 => Ok(Recorded::Finding(format!(
            "payout {payout} is paid by {}, of which {} minor units were reversed: they do not count for its statement {statement}",
            transfer.id, transfer.reversed_cents
        ))),
        Ok(()) => Ok(Recorded::Done),
        Err(error) if error.is_transient() => Err(error),
        // The platform's table refuses; the payment is a fact all the same.
        Err(error) => Ok(Recorded::Finding(format!(
            "payout {payout} is paid, but its statement {statement} could not be marked; `payouts reconcile --fix` does it once that is allowed: {}",
            error.with_cause()
        ))),
    }
}

/// Records the transfer on its attempt. If another attempt of the payout is
/// paid already, this one is surplus.
fn attempt_paid(
    conn: &mut AnyConnection,
    now: Time,
    settlement: &Settlement,
    transfer_id: &str,
) -> Result<(), StoreError> {
    use payout_attempts as a;
    let this = a::table
        .filter(a::payout_id.eq(&settlement.payout_id))
        .filter(a::attempt.eq(settlement.attempt));
    let other_paid: bool = diesel::select(diesel::dsl::exists(
        a::table
            .filter(a::payout_id.eq(&settlement.payout_id))
            .filter(a::attempt.ne(settlement.attempt))
            .filter(a::outcome.eq(AttemptOutcome::Paid)),
    ))
    .get_result(conn)?;
    let outcome = if other_paid {
        AttemptOutcome::Surplus
    } else {
        AttemptOutcome::Paid
    };
    if outcome == AttemptOutcome::Paid {
        // A released attempt that was paid after all closes the one that followed it.
        diesel::update(
            a::table
                .filter(a::payout_id.eq(&settlement.payout_id))
                .filter(a::attempt.ne(settlement.attempt))
                .filter(a::outcome.eq_any(AttemptOutcome::UNRESOLVED)),
        )
        .set((
            a::outcome.eq(AttemptOutcome::Released),
            a::settled_at.eq(now),
        ))
        .execute(conn)?;
    }
    let outcome_and_transfer = (
        a::outcome.eq(outcome),
        a::settled_at.eq(now),
        a::transfer_id.eq(transfer_id),
    );
    let changed = match &settlement.last {
        None => diesel::update(this)
            .set(outcome_and_transfer)
            .execute(conn)?,
        Some(last) => diesel::update(this)
            .set((outcome_and_transfer, sends(settlement), facts(last)))
            .execute(conn)?,
    };
    if changed == 1 {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "attempt {} of payout {} is not in the ledger",
        settlement.attempt, settlement.payout_id
    )))
}

/// Writes an attempt that holds a transfer found at Stripe, so that the ledger
/// keeps its payout from being sent again whatever becomes of the row.
pub(super) fn attempt_prove_in_tx(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    payout: &PayoutId,
    proven: &ProvenTransfer,
) -> Result<(), StoreError> {
    match attempt_to_prove(conn, payout, proven)? {
        Some(attempt) => attempt_prove(conn, stamp, now, payout, attempt, proven),
        None => Err(StoreError::Conflict(format!(
            "another attempt of payout {payout} is open or paid"
        ))),
    }
}

/// The number of the attempt that is to hold a transfer: the one it says, unless
/// later ones are known, since the last attempt decides what may follow. None
/// while another one is open or paid.
fn attempt_to_prove(
    conn: &mut AnyConnection,
    payout: &PayoutId,
    proven: &ProvenTransfer,
) -> Result<Option<ToProve>, StoreError> {
    let ledger: Vec<Attempt> = payout_attempts::table
        .filter(payout_attempts::payout_id.eq(payout))
        .order(payout_attempts::attempt)
        .load(conn)?;
    if ledger
        .iter()
        .any(|attempt| attempt.transfer_id.as_ref() == Some(&proven.id))
    {
        return Ok(Some(ToProve::Held));
    }
    if ledger
        .iter()
        .any(|attempt| attempt.outcome.is_open_or_paid())
    {
        return Ok(None);
    }
    let released = ledger.iter().find(|attempt| {
        attempt.outcome == AttemptOutcome::Released && Some(attempt.attempt) == proven.attempt
    });
    if let Some(released) = released {
        return Ok(Some(ToProve::Released(released.attempt)));
    }
    let last = ledger.last().map_or(0, |attempt| attempt.attempt);
    let number = proven
        .attempt
        .filter(|said| *said > last)
        .unwrap_or(last.saturating_add(1));
    Ok(Some(ToProve::New(number)))
}

/// Where a transfer found at Stripe belongs in the ledger.
#[derive(Debug, Clone, Copy)]
enum ToProve {
    /// An attempt holds it already.
    Held,
    /// A person had let go of this attempt, and it made the transfer after all.
    Released(i32),
    /// On an attempt of this number.
    New(i32),
}

fn attempt_prove(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    payout: &PayoutId,
    attempt: ToProve,
    proven: &ProvenTransfer,
) -> Result<(), StoreError> {
    let number = match attempt {
        ToProve::Held => return Ok(()),
        ToProve::Released(number) => {
            let released = payout_attempts::table
                .filter(payout_attempts::payout_id.eq(payout))
                .filter(payout_attempts::attempt.eq(number));
            diesel::update(released)
                .set((
                    payout_attempts::outcome.eq(AttemptOutcome::Paid),
                    payout_attempts::settled_at.eq(now),
                    payout_attempts::transfer_id.eq(&proven.id),
                ))
                .execute(conn)?;
            return Ok(());
        }
        ToProve::New(number) => number,
    };
    let account = settings::stamp_in_tx(conn)?.map(|stamp| stamp.account);
    let row = Attempt {
        amount_cents: proven.amount_cents,
        destination: proven.destination.clone(),
        stripe_account: account.unwrap_or_default(),
        livemode: proven.livemode,
        outcome: AttemptOutcome::Paid,
        first_sent_at: proven.at,
        transfer_id: Some(proven.id.clone()),
        ..attempt_of_others(payout, number, stamp, proven.currency, now)
    };
    on_each!(conn, c => diesel::insert_into(payout_attempts::table)
        .values(&row)
        .execute(c))?;
    Ok(())
}

/// An attempt that stands for what somebody else sent: of nothing, to nobody, and
/// settled now. Whoever writes it says what is known of it.
pub(super) fn attempt_of_others(
    payout: &PayoutId,
    number: i32,
    stamp: &RunStamp,
    currency: Currency,
    now: Time,
) -> Attempt {
    Attempt {
        payout_id: payout.clone(),
        attempt: number,
        idempotency_key: idempotency_key(payout, number),
        // What was sent is not known, and is never sent again.
        body: String::new(),
        amount_cents: 0,
        currency,
        destination: String::new(),
        transfer_group: payout.as_str().to_owned(),
        stripe_account: String::new(),
        livemode: false,
        api_version: String::new(),
        run_id: stamp.run_id.clone(),
        outcome: AttemptOutcome::Unknown,
        created_at: now,
        first_sent_at: now,
        last_sent_at: None,
        send_count: 0,
        stored_error: false,
        settled_at: Some(now),
        http_status: None,
        error_type: None,
        error_code: None,
        error_message: None,
        request_id: None,
        replayed: false,
        transfer_id: None,
    }
}

/// Keeps every answer. Two senders of one attempt count their sends each for
/// itself; where the numbers meet, the later answer takes the next free one.
fn answers_insert(conn: &mut AnyConnection, settlements: &[Settlement]) -> Result<(), StoreError> {
    let answers: Vec<AnswerRow> = settlements
        .iter()
        .flat_map(|s| s.answers.iter().cloned())
        .collect();
    if dialect::answers_append(conn, &answers)? < answers.len() {
        for answer in &answers {
            answer_insert_beside(conn, answer)?;
        }
    }
    Ok(())
}

/// Keeps an answer whose number is taken by another answer.
fn answer_insert_beside(conn: &mut AnyConnection, answer: &AnswerRow) -> Result<(), StoreError> {
    let of_attempt = payout_answers::table
        .filter(payout_answers::payout_id.eq(&answer.payout_id))
        .filter(payout_answers::attempt.eq(answer.attempt));
    let stored: Vec<AnswerRow> = of_attempt.order(payout_answers::send).load(conn)?;
    let same = |row: &AnswerRow| {
        AnswerRow {
            send: row.send,
            ..answer.clone()
        } == *row
    };
    if stored.iter().any(same) {
        return Ok(());
    }
    let send = stored.last().map_or(0, |row| row.send).saturating_add(1);
    diesel::insert_into(payout_answers::table)
        .values(AnswerRow {
            send,
            ..answer.clone()
        })
        .execute(conn)?;
    Ok(())
}
