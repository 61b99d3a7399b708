//! Runs: every execution of a command that writes.

use sha2::{Digest, Sha256};

use crate::model::ids::RunId;
use crate::model::schema::payout_runs;
use crate::model::time::Time;

/// A row of `payout_runs`.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_runs, treat_none_as_default_value = false)]
pub struct Run {
    /// Primary key.
    pub id: RunId,
    /// The subcommand.
    pub command: String,
    /// Its arguments; secrets are never arguments.
    pub arguments: String,
    /// Who.
    pub actor: String,
    /// On which machine.
    pub host: String,
    /// Of this tool.
    pub version: String,
    /// When it began.
    pub started_at: Time,
    /// Its last sign of life.
    pub seen_at: Time,
    /// When it ended; none while it runs, or when it was killed.
    pub ended_at: Option<Time>,
    /// What it ended with.
    pub exit_code: Option<i32>,
    /// One line on what it did.
    pub summary: Option<String>,
    /// Over the history rows it wrote; none while it runs, when it was killed, and
    /// when the connection broke while something was being kept.
    pub heads_hash: Option<String>,
}

/// The PostgreSQL advisory lock that a live run holds for its session.
pub fn liveness_lock(run: &RunId) -> i64 {
    let digest = Sha256::digest(format!("payouts run {run}"));
    let mut first = [0_u8; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

/// A run that holds payouts it is paying, or was: it showed a sign of life within
/// the lease. Where only that says so, it may have been killed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The run.
    pub run_id: RunId,
    /// On which machine it runs.
    pub host: String,
    /// Its last sign of life.
    pub seen_at: Time,
    /// When its payouts are taken over, if no further sign comes.
    pub until: Time,
    /// How many of its payouts have an open attempt.
    pub payouts: u64,
}
