//! Everything the database knows of one payout.

use crate::model::attempt::{AnswerRow, Attempt, AttemptOutcome};
use crate::model::batch::{Batch, BatchItem};
use crate::model::creator::Creator;
use crate::model::history::HistoryRow;
use crate::model::hold::Hold;
use crate::model::listing::ListedPayout;
use crate::model::lookup::LookUp;
use crate::model::payout::Candidate;
use crate::model::reconciliation::{Finding, FindingKind, FindingState};
use crate::model::statement::Statement;
use crate::model::time::Time;

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
    /// What was taken back of its transfers, each time that more of it was seen: one
    /// transfer after the other, oldest first.
    pub reversals: Vec<ReversalStep>,
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

/// More of a transfer was seen to be taken back at Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReversalStep {
    /// `tr_…`.
    pub transfer_id: String,
    /// What was taken back since the step before, minor units.
    pub taken_cents: i64,
    /// What was taken back by then in all, minor units.
    pub total_cents: i64,
    /// When this tool saw it; Stripe took it back then or before.
    pub seen_at: Time,
}

/// Why a row that says COMPLETED is not believed, or not wholly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentDoubt<'a> {
    /// What a comparison with Stripe found about it, and nobody has settled.
    Finding(&'a Finding),
    /// Stripe made a second transfer for it, and not all of that was taken back.
    SecondTransfer(&'a Attempt),
    /// Nobody knows what became of an attempt.
    Unresolved(&'a Attempt),
    /// The ledger knows no payment with the row's transfer; its last attempt.
    OtherTransfer(&'a Attempt),
    /// The attempt that paid it was over another amount.
    OtherAmount(&'a Attempt),
    /// The attempt that paid it settled another statement.
    OtherStatement(&'a Attempt),
    /// Other software wrote the row, and left no transfer.
    NoTransfer,
}

impl PayoutRecord {
    /// The attempt that made the transfer which the row names.
    pub fn paying_attempt(&self) -> Option<&Attempt> {
        let transfer = self.listed.payout.stripe_transfer_id.as_ref()?;
        let mut attempts = self.attempts.iter().map(|record| &record.attempt);
        attempts.find(|attempt| {
            attempt.outcome == AttemptOutcome::Paid
                && attempt.transfer_id.as_ref() == Some(transfer)
        })
    }

    /// A second transfer that Stripe made for it, as long as any of that is left.
    pub fn second_transfer(&self) -> Option<&Attempt> {
        let mut attempts = self.attempts.iter().rev().map(|record| &record.attempt);
        attempts.find(|attempt| {
            let transfer = attempt.transfer_id.as_deref().unwrap_or_default();
            attempt.outcome == AttemptOutcome::Surplus
                && self.taken_back_of(transfer) < i64::from(attempt.amount_cents)
        })
    }

    /// What was taken back of a transfer, minor units.
    pub fn taken_back_of(&self, transfer: &str) -> i64 {
        let of_it = self
            .reversals
            .iter()
            .filter(|step| step.transfer_id == transfer);
        of_it.map(|step| step.total_cents).max().unwrap_or(0)
    }

    /// What a step left of its transfer, minor units, as far as it is known what that
    /// was over: by the ledger, else by the row that names it.
    pub fn left_after(&self, step: &ReversalStep) -> Option<i64> {
        let is_its = |transfer: &Option<String>| transfer.as_ref() == Some(&step.transfer_id);
        let mut attempts = self.attempts.iter().map(|record| &record.attempt);
        let payout = &self.listed.payout;
        let amount_cents = attempts
            .find(|attempt| is_its(&attempt.transfer_id))
            .map(|attempt| attempt.amount_cents)
            .or_else(|| is_its(&payout.stripe_transfer_id).then_some(payout.amount_cents))?;
        Some(
            i64::from(amount_cents)
                .saturating_sub(step.total_cents)
                .max(0),
        )
    }

    /// What speaks against a row that says COMPLETED: an open finding, the ledger, or
    /// that it names no transfer. None when nothing does. Says nothing of rows that
    /// say something else.
    pub fn payment_doubt(&self) -> Option<PaymentDoubt<'_>> {
        let payout = &self.listed.payout;
        // That its statement is not marked says nothing about the payment.
        let open = |finding: &&Finding| {
            finding.state == FindingState::Open && finding.kind != FindingKind::StatementNotMarked
        };
        if let Some(finding) = self.findings.iter().find(open) {
            return Some(PaymentDoubt::Finding(finding));
        }
        if let Some(second) = self.second_transfer() {
            return Some(PaymentDoubt::SecondTransfer(second));
        }
        let mut attempts = self.attempts.iter().map(|record| &record.attempt);
        if let Some(open) = attempts.find(|attempt| attempt.outcome.is_unresolved()) {
            return Some(PaymentDoubt::Unresolved(open));
        }
        let Some(paying) = self.paying_attempt() else {
            // Of an attempt that made no transfer, or another one, nobody completes a payout here.
            return match self.last_attempt() {
                Some(last) if last.transfer_id != payout.stripe_transfer_id => {
                    Some(PaymentDoubt::OtherTransfer(last))
                }
                _ if payout.stripe_transfer_id.is_none() => Some(PaymentDoubt::NoTransfer),
                _ => None,
            };
        };
        let settled = paying.royalty_statement_id.as_ref();
        if paying.amount_cents != payout.amount_cents {
            Some(PaymentDoubt::OtherAmount(paying))
        } else if settled.is_some() && settled != payout.royalty_statement_id.as_ref() {
            Some(PaymentDoubt::OtherStatement(paying))
        } else {
            None
        }
    }

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
