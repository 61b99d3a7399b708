//! Batches: the files that were loaded, and whether they are held.

use diesel::prelude::*;

use crate::model::batch::Batch;
use crate::model::hold::{Hold, HoldKind};
use crate::model::ids::BatchId;
use crate::model::listing::Totals;
use crate::model::payout::PayoutStatus;
use crate::model::schema::{
    payout_batch_items as items, payout_batches as batches, payout_holds as holds, payouts,
};
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::dialect::sum_amount_cents;
use crate::store::holds::standing;
use crate::store::{Store, StoreError};

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
        let rows: Vec<(PayoutStatus, i64, i64)> = self.read(|conn| {
            Ok(payouts::table
                .inner_join(items::table.on(items::payout_id.eq(payouts::id)))
                .filter(items::batch_id.eq(id))
                .group_by(payouts::status)
                .select((
                    payouts::status,
                    diesel::dsl::count_star(),
                    sum_amount_cents(),
                ))
                .load(conn)?)
        })?;
        Ok(rows.into_iter().collect())
    }
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
