//! A payout whose transfer is known becomes COMPLETED, and its statement PAID, by
//! the one place that does it: whoever found the transfer, and however.

use diesel::prelude::*;

use crate::model::history::{Change, HistoryEvent};
use crate::model::ids::{PayoutId, StatementId};
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::schema::payouts;
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::settle::Recorded;
use crate::store::statements::mark_covered_in_tx;
use crate::store::{StoreError, dialect, queue, reversals};

/// The payout as this run claimed it.
#[expect(clippy::elidable_lifetime_names, reason = "`auto_type` needs the name")]
#[diesel::dsl::auto_type]
pub(super) fn claimed<'a>(id: &'a PayoutId, amount: i32) -> _ {
    let processing: PayoutStatus = PayoutStatus::Processing;
    payouts::table
        .filter(payouts::id.eq(id))
        .filter(payouts::status.eq(processing))
        .filter(payouts::amount_cents.eq(amount))
}

/// A transfer that Stripe made.
pub(super) struct TransferFact<'a> {
    pub(super) id: &'a str,
    pub(super) at: Time,
    /// Found by looking, rather than answered to our send.
    pub(super) adopted: bool,
    /// What was taken back of it, minor units.
    pub(super) reversed_cents: i64,
}

/// What became of a payout when its transfer was recorded.
pub(super) enum Completed {
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
pub(super) fn complete(
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
pub(super) fn completed_in_tx(
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
            // What was paid counts by its attempt; nothing of the statement is on its way.
            queue::statement_release(conn, payout)?;
            return Ok(Recorded::Alarm(format!(
                "payout {payout} was paid by {}, but its row was deleted",
                transfer.id
            )));
        }
        Completed::DoesNotFit { status, reason } => {
            queue::statement_release(conn, payout)?;
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
pub(super) fn completion(
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
pub(super) fn statement_settle(
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
        Ok(over) if over > 0 => Ok(Recorded::Finding(format!(
            "payout {payout} is paid by {}: with it {over} minor units more than statement {statement} owes were paid",
            transfer.id
        ))),
        Ok(_) if transfer.reversed_cents > 0 => Ok(Recorded::Finding(format!(
            "payout {payout} is paid by {}, of which {} minor units were reversed: they do not count for its statement {statement}",
            transfer.id, transfer.reversed_cents
        ))),
        Ok(_) => Ok(Recorded::Done),
        Err(error) if error.is_transient() => Err(error),
        // The platform's table refuses; the payment is a fact all the same.
        Err(error) => Ok(Recorded::Finding(format!(
            "payout {payout} is paid, but its statement {statement} could not be marked; `payouts reconcile --fix` does it once that is allowed: {}",
            error.with_cause()
        ))),
    }
}
