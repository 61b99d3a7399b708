//! Everything the database knows of one payout.

use crate::model::attempt::{AnswerRow, Attempt, AttemptOutcome};
use crate::model::batch::{Batch, BatchItem};
use crate::model::creator::Creator;
use crate::model::history::HistoryRow;
use crate::model::hold::Hold;
use crate::model::listing::ListedPayout;
use crate::model::lookup::LookUp;
use crate::model::payout::Candidate;
use crate::model::reconciliation::{Finding, FindingState};
use crate::model::statement::Statement;

/// A payout and all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutRecord {
    /// As a list shows it.
    pub listed: ListedPayout,
    /// What decides whether it may be sent; none when the creator's row is gone.
    pub candidate: Option<Candidate>,
    /// Whom it pays.
    pub creator: Option<Creator>,
    /// The statement it settles.
    pub statement: Option<Statement>,
    /// The batch it was loaded with.
    pub batch: Option<Batch>,
    /// Where it came from; none when other software made it.
    pub item: Option<BatchItem>,
    /// The holds that apply to it, oldest first.
    pub holds: Vec<Hold>,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptRecord>,
    /// When Stripe was looked at for it while it was in doubt, oldest first.
    pub look_ups: Vec<LookUp>,
    /// What happened to it, oldest first.
    pub history: Vec<HistoryRow>,
    /// What comparing with Stripe found about it and nobody has repaired, the
    /// gravest first.
    pub findings: Vec<Finding>,
}

/// An attempt and every answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The row.
    pub attempt: Attempt,
    /// In the order of the sends.
    pub answers: Vec<AnswerRow>,
}

impl PayoutRecord {
    /// The last attempt.
    pub fn last_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().map(|record| &record.attempt)
    }

    /// What a comparison found that says it was paid, an open one first.
    pub fn payment_found(&self) -> Option<&Finding> {
        let payments = || {
            self.findings
                .iter()
                .filter(|finding| finding.kind.may_be_a_payment() && finding.transfer_id.is_some())
        };
        payments()
            .find(|finding| finding.state == FindingState::Open)
            .or_else(|| payments().next())
    }

    /// An attempt with this outcome, the last one of them.
    pub fn attempt_with(&self, outcome: AttemptOutcome) -> Option<&Attempt> {
        self.attempts
            .iter()
            .rev()
            .map(|record| &record.attempt)
            .find(|attempt| attempt.outcome == outcome)
    }
}
