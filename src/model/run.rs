//! Runs: every execution of a command that writes.

use sha2::{Digest, Sha256};

use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::model::history::HistoryEvent;
use crate::model::ids::RunId;
use crate::model::listing::Total;
use crate::model::reconciliation::Reconciliation;
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

/// Whether a run can still act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It is done, well or not.
    Ended,
    /// It has not ended, and gave a sign of life within the lease.
    Alive,
    /// It has neither ended nor given a sign of life: it was killed.
    Dead,
}

impl RunState {
    /// The word in every format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Alive => "alive",
            Self::Dead => "dead",
        }
    }
}

impl Run {
    /// From its begin to its end, or to its last sign of life; milliseconds.
    pub fn millis(&self) -> i64 {
        self.ended_at
            .unwrap_or(self.seen_at)
            .millis_since(self.started_at)
            .max(0)
    }
}

/// The PostgreSQL advisory lock that a live run holds for its session.
pub fn liveness_lock(run: &RunId) -> i64 {
    let digest = Sha256::digest(format!("payouts run {run}"));
    let mut first = [0_u8; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

/// Failures of a run that are read.
pub const FAILURES_MAX: i64 = 20;

/// A run and whether it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLine {
    /// The row.
    pub run: Run,
    /// Whether it can still act.
    pub state: RunState,
}

/// How many runs match, by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunTotals {
    /// All of them.
    pub runs: i64,
    /// Ended with 0.
    pub succeeded: i64,
    /// Ended with another code.
    pub failed: i64,
    /// Neither: alive, or dead.
    pub unended: i64,
}

/// What one run did, as far as it is on record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunWork {
    /// Attempts that it worked on last, by what is known of them.
    pub attempts: Vec<(AttemptOutcome, Total)>,
    /// What it wrote into the history of payouts: the event, the status it left, and
    /// how often.
    pub events: Vec<(HistoryEvent, String, i64)>,
    /// Attempts of it that did not pay, oldest first, at most [`FAILURES_MAX`].
    pub failures: Vec<Attempt>,
    /// What its comparison with Stripe came to.
    pub reconciliation: Option<Reconciliation>,
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
