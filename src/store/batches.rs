//! Batches: the files that were loaded, and whether they are held.

use std::collections::HashMap;

use diesel::prelude::*;

use crate::model::batch::Batch;
use crate::model::hold::{Hold, HoldKind};
use crate::model::ids::{BatchId, PayoutId};
use crate::model::listing::{Total, Totals};
use crate::model::payout::PayoutStatus;
use crate::model::schema::{
    payout_batch_items as items, payout_batches as batches, payout_holds as holds, payouts,
};
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::dialect::{among, sum_amount_cents};
use crate::store::holds::standing;
use crate::store::reversals::{of_payouts_in_tx, was_reversed};
use crate::store::{Store, StoreError};

diesel::allow_columns_to_appear_in_same_group_by_clause!(items::batch_id, payouts::status);

/// A batch and its hold, if it is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchLine {
    /// The row.
    pub batch: Batch,
    /// Nothing of it is paid while this stands.
    pub hold: Option<Hold>,
}

impl Store {
    /// A page of batches, newest first, those older than `before` only.
    pub fn batches_list(
        &mut self,
        before: Option<&BatchId>,
        limit: i64,
    ) -> Result<Vec<BatchLine>, StoreError> {
        let now = self.clock.now();
        self.read(|conn| {
            let mut query = batches::table.into_boxed();
            if let Some(before) = before {
                query = query.filter(batches::id.lt(before));
            }
            // Ids are made here and begin with the time.
            let found: Vec<Batch> = query
                .order(batches::id.desc())
                .limit(limit)
                .select(Batch::as_select())
                .load(conn)?;
            with_holds(conn, found, now)
        })
    }

    /// The batch with this id.
    pub fn batch(&mut self, id: &BatchId) -> Result<Option<BatchLine>, StoreError> {
        let now = self.clock.now();
        self.read(|conn| {
            let found: Vec<Batch> = batches::table
                .filter(batches::id.eq(id))
                .select(Batch::as_select())
                .load(conn)?;
            Ok(with_holds(conn, found, now)?.pop())
        })
    }

    /// A batch's payouts by status.
    pub fn batch_totals(&mut self, id: &BatchId) -> Result<Totals, StoreError> {
        let mut totals = self.batches_totals(std::slice::from_ref(id))?;
        Ok(totals.remove(id).unwrap_or_default())
    }

    /// The payouts of several batches by status; a batch of which no row is left has
    /// none. One query for a page of batches: it looks at each of their payouts.
    pub fn batches_totals(
        &mut self,
        ids: &[BatchId],
    ) -> Result<HashMap<BatchId, Totals>, StoreError> {
        type Row = (Option<BatchId>, PayoutStatus, i64, i64);
        let (rows, taken_back): (Vec<Row>, Vec<(BatchId, i64)>) = self.read(|conn| {
            let rows = payouts::table
                .inner_join(items::table.on(items::payout_id.eq(payouts::id)))
                .filter(among(items::batch_id, ids))
                .group_by((items::batch_id, payouts::status))
                .select((
                    items::batch_id,
                    payouts::status,
                    diesel::dsl::count_star(),
                    sum_amount_cents(),
                ))
                .load(conn)?;
            Ok((rows, taken_back(conn, ids)?))
        })?;
        let mut totals: HashMap<BatchId, Totals> = HashMap::with_capacity(ids.len());
        for (batch, status, count, amount_cents) in rows {
            let Some(batch) = batch else { continue };
            let total = Total {
                count,
                amount_cents,
            };
            totals.entry(batch).or_default().set(status, total);
        }
        for (batch, cents) in taken_back {
            let reversed = &mut totals.entry(batch).or_default().reversed;
            reversed.count = reversed.count.saturating_add(1);
            reversed.amount_cents = reversed.amount_cents.saturating_add(cents);
        }
        Ok(totals)
    }
}

/// What was taken back of each completed payout of these batches, minor units.
fn taken_back(
    conn: &mut AnyConnection,
    ids: &[BatchId],
) -> Result<Vec<(BatchId, i64)>, StoreError> {
    let reversed: Vec<(Option<BatchId>, PayoutId)> = payouts::table
        .inner_join(items::table.on(items::payout_id.eq(payouts::id)))
        .filter(among(items::batch_id, ids))
        .filter(payouts::status.eq(PayoutStatus::Completed))
        .filter(was_reversed())
        .select((items::batch_id, payouts::id))
        .load(conn)?;
    let payouts: Vec<&PayoutId> = reversed.iter().map(|(_, payout)| payout).collect();
    let cents = of_payouts_in_tx(conn, &payouts)?;
    let of_batch =
        |(batch, payout): &(Option<BatchId>, PayoutId)| Some((batch.clone()?, *cents.get(payout)?));
    Ok(reversed.iter().filter_map(of_batch).collect())
}

fn with_holds(
    conn: &mut AnyConnection,
    found: Vec<Batch>,
    now: Time,
) -> Result<Vec<BatchLine>, StoreError> {
    let mut held: Vec<Hold> = holds::table
        .filter(holds::kind.eq(HoldKind::Batch))
        .filter(holds::target.eq_any(found.iter().map(|batch| batch.id.as_str())))
        .filter(standing(now))
        .select(Hold::as_select())
        .load(conn)?;
    let lines = found.into_iter().map(|batch| {
        let place = held
            .iter()
            .position(|hold| hold.target == batch.id.as_str());
        BatchLine {
            hold: place.map(|place| held.swap_remove(place)),
            batch,
        }
    });
    Ok(lines.collect())
}
