//! The state of things as a monitor wants it: sums, and when something last happened.

use crate::model::hold::HoldKind;
use crate::model::listing::Total;
use crate::model::payout::PayoutStatus;
use crate::model::reconciliation::FindingKind;
use crate::model::time::Time;

/// The state of things at a moment. Amounts are in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gauges {
    /// Payouts of each status that has some.
    pub statuses: Vec<StatusGauge>,
    /// Attempts of which nobody knows the outcome.
    pub unresolved: Total,
    /// When the first of them was claimed.
    pub unresolved_since: Option<Time>,
    /// Holds that stand, of each kind that has some.
    pub holds: Vec<(HoldKind, i64)>,
    /// Open findings of each kind that has some: how many, and the money at stake.
    pub findings: Vec<(FindingKind, Total)>,
    /// Attempts that were refused, by Stripe's code.
    pub refused: Vec<(Option<String>, i64)>,
    /// Attempts that were not their payout's first.
    pub retries: i64,
    /// What was taken back of transfers.
    pub reversed: Total,
    /// What runs ended with.
    pub runs: Vec<RunGauge>,
}

/// Payouts of one status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusGauge {
    /// Which.
    pub status: PayoutStatus,
    /// How many, and how much.
    pub total: Total,
    /// When the first of them was created.
    pub created_at: Option<Time>,
    /// When the one that has not changed for the longest time last did.
    pub updated_at: Option<Time>,
}

/// Runs of one command that ended with one exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunGauge {
    /// The command.
    pub command: String,
    /// What they ended with.
    pub exit_code: i32,
    /// How many.
    pub count: i64,
    /// When the last of them ended.
    pub ended_at: Time,
}
