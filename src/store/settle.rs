//! Recording what became of attempts.
//!
//! Facts are not fenced, decisions are. "This key made transfer tr_…" is
//! recorded whoever holds the claim and whatever the payout's status says;
//! "failed", "give back" and "unknown" are recorded only while the attempt is
//! still this run's.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::failpoint::{failpoint, planted};
use crate::model::attempt::{AnswerRow, AttemptOutcome, idempotency_key};
use crate::model::history::{Change, HistoryEvent};
use crate::model::ids::{PayoutId, RunId, StatementId};
use crate::model::payout::PayoutStatus;
use crate::model::schema::{payout_answers, payout_attempts, payouts};
use crate::model::time::Time;
use crate::store::attempts::open_attempt;
use crate::store::complete::{
    TransferFact, claimed, complete, completed_in_tx, completion, statement_settle,
};
use crate::store::connection::AnyConnection;
use crate::store::dialect::{self, PaidRow};
use crate::store::runs::RunStamp;
use crate::store::{Store, StoreError, history, queue};

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
    /// Not yet: somebody else holds the payout's row, or its statement's, and the lock
    /// was not had in time. The driver's words.
    Waits(String),
}

/// Says in the log what is on record of an attempt from now on.
fn tell(stamp: &RunStamp, settlement: &Settlement, how: &Recorded) {
    let (outcome, transfer_id, reason) = match &settlement.resolution {
        Resolution::Paid { transfer_id, .. } => ("paid", Some(transfer_id), None),
        Resolution::Declined { reason } => ("declined", None, Some(reason)),
        Resolution::NotSent { reason } => ("not_sent", None, Some(reason)),
        Resolution::Unknown { reason, .. } | Resolution::Alarm { reason } => {
            ("unknown", None, Some(reason))
        }
    };
    let reason = match how {
        Recorded::Already | Recorded::Waits(_) => return,
        Recorded::NotOurs => Some("another run took it over, and settles it"),
        Recorded::Finding(what) | Recorded::Alarm(what) => Some(what.as_str()),
        Recorded::Done => reason.map(String::as_str),
    };
    let last = settlement.last.as_ref();
    tracing::info!(
        event = "settled",
        run_id = stamp.run_id.as_str(),
        payout_id = settlement.payout_id.as_str(),
        attempt = settlement.attempt,
        idempotency_key = idempotency_key(&settlement.payout_id, settlement.attempt),
        amount_cents = settlement.amount_cents,
        outcome,
        transfer_id,
        http_status = last.and_then(|last| last.http_status),
        code = last.and_then(|last| last.error_code.as_deref()),
        request_id = last.and_then(|last| last.request_id.as_deref()),
        reason,
        "an attempt is settled"
    );
}

impl Store {
    /// Records settlements in one transaction, in order. When the transaction
    /// fails for another reason than the database being away, full or locked as a
    /// whole, each is recorded on its own, so that one that cannot be recorded does
    /// not hold up the rest.
    pub fn attempts_settle(
        &mut self,
        stamp: &RunStamp,
        settlements: &[Settlement],
    ) -> Result<Vec<Recorded>, StoreError> {
        // PostgreSQL locks rows: who waits for one in vain can record the others.
        let by_row = dialect::locks_rows(self.backend());
        let row_is_busy = |error: &StoreError| by_row && matches!(error, StoreError::Busy { .. });
        match self.settle_together(stamp, settlements) {
            Ok(recorded) => Ok(recorded),
            Err(error) if error.concerns_all() && !row_is_busy(&error) => Err(error),
            Err(error) if settlements.len() == 1 && row_is_busy(&error) => {
                Ok(vec![Recorded::Waits(error.with_cause())])
            }
            Err(_) => settlements
                .iter()
                .map(
                    |one| match self.settle_together(stamp, std::slice::from_ref(one)) {
                        Ok(mut recorded) => Ok(recorded.pop().unwrap_or(Recorded::Done)),
                        Err(error) if row_is_busy(&error) => {
                            Ok(Recorded::Waits(error.with_cause()))
                        }
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
        let (recorded, heads) = self.write_by_index(|conn| {
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
        if tracing::enabled!(tracing::Level::INFO) {
            for (settlement, how) in settlements.iter().zip(&recorded) {
                tell(stamp, settlement, how);
            }
        }
        Ok(recorded)
    }
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
            stamp,
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
            let outcome = AttemptOutcome::Declined;
            match close_attempt(conn, stamp, now, settlement, outcome, false)? {
                Closed::Now => {}
                Closed::Before => return Ok(Recorded::Done),
                Closed::NotOurs => return Ok(Recorded::NotOurs),
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
            let outcome = AttemptOutcome::NotSent;
            match close_attempt(conn, stamp, now, settlement, outcome, false)? {
                Closed::Now => {}
                Closed::Before => return Ok(Recorded::Done),
                Closed::NotOurs => return Ok(Recorded::NotOurs),
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
            let outcome = AttemptOutcome::Unknown;
            let closed = close_attempt(conn, stamp, now, settlement, outcome, *stored_error)?;
            if closed == Closed::NotOurs {
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

/// How an attempt was found when its outcome was to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    /// Open and this run's: it has its outcome now.
    Now,
    /// This run's, with this very outcome: the COMMIT whose answer was lost was kept.
    Before,
    /// Not this run's any more, or settled otherwise.
    NotOurs,
}

/// Records the outcome on an attempt that is still this run's.
fn close_attempt(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    settlement: &Settlement,
    outcome: AttemptOutcome,
    stored_error: bool,
) -> Result<Closed, StoreError> {
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
                // What Stripe stored under a key stays stored.
                a::stored_error.eq(a::stored_error.or(stored_error.into_sql::<Bool>())),
                sends(settlement),
                facts(last),
            ))
            .execute(conn)?,
    };
    if changed == 1 {
        return Ok(Closed::Now);
    }
    let found: Option<(RunId, AttemptOutcome)> = a::table
        .filter(a::payout_id.eq(&settlement.payout_id))
        .filter(a::attempt.eq(settlement.attempt))
        .select((a::run_id, a::outcome))
        .first(conn)
        .optional()?;
    Ok(match found {
        Some(found) if found == (stamp.run_id.clone(), outcome) => Closed::Before,
        _ => Closed::NotOurs,
    })
}

/// A planted bug: nobody asks whose the attempt is and what became of it.
fn settle_whatever_it_is(
    conn: &mut AnyConnection,
    now: Time,
    settlement: &Settlement,
    outcome: AttemptOutcome,
) -> Result<Closed, StoreError> {
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
    Ok(Closed::Now)
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
    stamp: &RunStamp,
    now: Time,
    settlement: &Settlement,
    transfer: &TransferFact<'_>,
    changes: &mut Vec<Change>,
) -> Result<Recorded, StoreError> {
    let (run, held) = attempt_holds(conn, settlement)?;
    if let Some(held) = held.filter(|held| held != transfer.id) {
        // Evidence is never written over: the ledger keeps the first, the history both.
        let reason = format!(
            "Stripe made transfer {} under the key that made {held} before",
            transfer.id
        );
        stays(conn, settlement, HistoryEvent::Alarm, &reason, changes)?;
        let payout = &settlement.payout_id;
        return Ok(Recorded::Alarm(format!("payout {payout}: {reason}")));
    }
    let completed = complete(
        conn,
        now,
        &settlement.payout_id,
        settlement.amount_cents,
        transfer,
    )?;
    attempt_paid(conn, now, settlement, transfer.id)?;
    let recorded = completed_in_tx(
        conn,
        now,
        &settlement.payout_id,
        Some(settlement.attempt),
        transfer,
        completed,
        changes,
    )?;
    Ok(match recorded {
        // This run's own record, kept by a COMMIT whose answer was lost.
        Recorded::Already if !transfer.adopted && run == stamp.run_id => Recorded::Done,
        other => other,
    })
}

/// Whose an attempt is, and the transfer it is known to have made.
fn attempt_holds(
    conn: &mut AnyConnection,
    settlement: &Settlement,
) -> Result<(RunId, Option<String>), StoreError> {
    let found = payout_attempts::table
        .filter(payout_attempts::payout_id.eq(&settlement.payout_id))
        .filter(payout_attempts::attempt.eq(settlement.attempt))
        .select((payout_attempts::run_id, payout_attempts::transfer_id))
        .first(conn)
        .optional()?;
    found.ok_or_else(|| not_in_the_ledger(settlement))
}

fn not_in_the_ledger(settlement: &Settlement) -> StoreError {
    StoreError::Conflict(format!(
        "attempt {} of payout {} is not in the ledger",
        settlement.attempt, settlement.payout_id
    ))
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
    Err(not_in_the_ledger(settlement))
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
