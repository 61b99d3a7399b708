//! Batches: payouts that were created together, from a file or from statements.

use crate::model::ids::{BatchId, PayoutId, RunId};
use crate::model::schema::{payout_batch_items, payout_batches};
use crate::model::time::Time;

/// What was created together.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_batches, treat_none_as_default_value = false)]
pub struct Batch {
    /// Primary key.
    pub id: BatchId,
    /// The file's name, `stdin`, or `statements`.
    pub source: String,
    /// Of the file's bytes, lowercase hex: loading them again is a no-op. Of the
    /// run's id where there is no file.
    pub sha256: String,
    /// Payouts created from it.
    pub payout_count: i32,
    /// Their sum in minor units.
    pub total_cents: i64,
    /// Who created it.
    pub actor: String,
    /// The run that created it.
    pub run_id: RunId,
    /// When.
    pub created_at: Time,
}

/// Where a payout that this tool created came from.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_batch_items, treat_none_as_default_value = false)]
pub struct BatchItem {
    /// The payout.
    pub payout_id: PayoutId,
    /// None for a payout created on its own.
    pub batch_id: Option<BatchId>,
    /// Line of the file, counted from 1 with the header.
    pub line: Option<i32>,
    /// The caller's own name for the payment, unique in the database.
    pub reference: Option<String>,
}
