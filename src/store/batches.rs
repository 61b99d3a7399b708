//! Batches: the files that were loaded, and whether they are held.

use diesel::prelude::*;

use crate::model::batch::Batch;
use crate::model::hold::HoldKind;
use crate::model::ids::BatchId;
use crate::model::schema::{payout_batches as batches, payout_holds as holds};
use crate::store::{Store, StoreError};

impl Store {
    /// The batch with this id.
    pub fn batch(&mut self, id: &BatchId) -> Result<Option<Batch>, StoreError> {
        Ok(batches::table
            .filter(batches::id.eq(id))
            .select(Batch::as_select())
            .first(&mut self.conn)
            .optional()?)
    }

    /// Whether nothing of a batch is paid for now.
    pub fn is_batch_held(&mut self, id: &BatchId) -> Result<bool, StoreError> {
        let held = holds::table
            .filter(holds::kind.eq(HoldKind::Batch))
            .filter(holds::target.eq(id.as_str()))
            .select(diesel::dsl::count_star())
            .first::<i64>(&mut self.conn)?;
        Ok(held > 0)
    }
}
