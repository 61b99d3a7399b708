//! Letting a batch go: from then on the next run may pay it.

use crate::model::batch::Batch;
use crate::model::hold::HoldKind;
use crate::model::ids::BatchId;
use crate::model::listing::Total;
use crate::model::payout::PayoutStatus;
use crate::store::{Store, StoreError};

/// What became of a batch's hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// The batch.
    pub batch: Batch,
    /// It was held until now.
    pub now: bool,
    /// Its PENDING payouts, which are due.
    pub due: Total,
}

/// The batch, and what is or will be due of it; none when there is no such batch.
/// Changes nothing.
pub fn look(store: &mut Store, id: &BatchId) -> Result<Option<(Released, bool)>, StoreError> {
    let Some(line) = store.batch(id)? else {
        return Ok(None);
    };
    let due = store.batch_totals(id)?.of(PayoutStatus::Pending);
    let held = line.hold.is_some();
    Ok(Some((
        Released {
            batch: line.batch,
            now: false,
            due,
        },
        held,
    )))
}

/// Lifts the hold of a batch that was looked at.
pub fn release(store: &mut Store, looked: Released) -> Result<Released, StoreError> {
    let now = store.hold_release(HoldKind::Batch, looked.batch.id.as_str())?;
    Ok(Released { now, ..looked })
}
