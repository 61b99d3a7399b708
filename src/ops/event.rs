//! What a running operation tells the world. Bars, tables and JSON are consumers.

use crate::model::ids::PayoutId;

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something worth a line of narration.
    Note(String),
    /// Something a person should know, even with `--quiet`.
    Warning(String),
    /// Sending begins.
    Expected {
        /// How many payouts, where a plan was made.
        payouts: Option<u64>,
    },
    /// A part of a comparison with Stripe is done.
    Compared {
        /// Transfers so far.
        transfers: u64,
        /// Discrepancies so far.
        findings: u64,
    },
    /// A part of Stripe's events is stored.
    Pulled {
        /// Events so far.
        events: u64,
    },
    /// A part of the history was checked.
    Verified {
        /// Rows so far.
        read: u64,
        /// Rows in all, when it began.
        of: u64,
        /// Findings so far.
        findings: u64,
    },
    /// A part of the payouts of a report was read.
    Reported {
        /// Payouts so far.
        payouts: u64,
    },
    /// A part of a long file is done.
    Rows {
        /// What is done with them.
        pass: Pass,
        /// Rows so far.
        done: u64,
        /// Rows there are, or a few more.
        expected: u64,
    },
    /// A payout reached the end of its attempt in this run.
    Settled {
        /// Which.
        payout_id: PayoutId,
        /// Minor units.
        amount_cents: i32,
        /// How.
        how: Settled,
    },
}

/// What is done with the rows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// They are held against what is stored.
    Checking,
    /// They are written.
    Writing,
}

/// How an attempt ended in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The transfer exists.
    Paid,
    /// A definite no.
    Failed,
    /// Back in the queue, nothing sent.
    Returned,
    /// Nobody knows.
    Unresolved,
}
