//! The one payout made here: one that a restored backup has lost, from what its
//! transfer proves.

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::batch::BatchItem;
use crate::model::history::{Change, HistoryEvent};
use crate::model::ids::{CreatorId, PayoutId, StatementId};
use crate::model::payout::PayoutStatus;
use crate::model::schema::{creators, payout_batch_items, payouts, royalty_statements};
use crate::store::adopt::{ProvenTransfer, attempt_prove_in_tx};
use crate::store::connection::AnyConnection;
use crate::store::dialect::on_each;
use crate::store::runs::RunStamp;
use crate::store::statements::mark_covered_in_tx;
use crate::store::{Store, StoreError, history, reversals};

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

impl Store {
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
pub(super) fn status_if_sendable(
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
pub(super) fn double_in_tx(
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

pub(super) fn loaded_again(reference: &str, double: &PayoutId) -> String {
    format!(
        "its reference {reference} is held by payout {double}, which was made again since: cancel \
         that one first, with `payouts cancel {double} --reason TEXT`"
    )
}

/// Keeps where a lost payout came from, so that its reference stays taken.
pub(super) fn origin_keep_in_tx(
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
