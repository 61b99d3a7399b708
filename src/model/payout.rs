//! A payout, the changes of state it may go through, and the rule that says
//! whether it may be sent.

use crate::model::approval::{ApprovalFacts, ApprovalRule};
use crate::model::attempt::{Attempt, can_be_sent};
use crate::model::hold::{HoldKind, NamedBatch};
use crate::model::ids::{BatchId, CreatorId, PayoutId, StatementId};
pub use crate::model::native_enum::PayoutStatus;
use crate::model::native_enum::RoyaltyStatementStatus;
use crate::model::schema::payouts;
use crate::model::text_enum;
use crate::model::time::Time;

/// A row of the founding table, as it is.
#[derive(Debug, Clone, PartialEq, Eq, diesel::prelude::Queryable, diesel::prelude::Selectable)]
#[diesel(table_name = payouts)]
pub struct Payout {
    /// Primary key.
    pub id: PayoutId,
    /// Whom it pays.
    pub creator_id: CreatorId,
    /// The statement it settles; none for a manual payout.
    pub royalty_statement_id: Option<StatementId>,
    /// Minor units of the database's one currency.
    pub amount_cents: i32,
    /// `tr_…`, once a transfer is proven.
    pub stripe_transfer_id: Option<String>,
    /// Where it stands.
    pub status: PayoutStatus,
    /// The transfer's own time, once COMPLETED.
    pub processed_at: Option<Time>,
    /// Why it FAILED, in words.
    pub failed_reason: Option<String>,
    /// Failed attempts.
    pub retry_count: i32,
    /// When the last attempt failed.
    pub last_retry_at: Option<Time>,
    /// When it was created; the queue's order.
    pub created_at: Time,
    /// When any column last changed.
    pub updated_at: Time,
}

/// How `failed_reason` begins on a payout that was cancelled, for people. Whether it
/// was, only the history says: anybody can write this column.
pub const CANCELLED_PREFIX: &str = "cancelled: ";

impl Payout {
    /// Whether other software may have sent this row under a key nobody here
    /// knows: it bears marks that only a send leaves.
    pub fn bears_marks_of_a_send(&self) -> bool {
        self.retry_count > 0
            || self.last_retry_at.is_some()
            || self.failed_reason.is_some()
            || self.processed_at.is_some()
            || self.stripe_transfer_id.is_some()
    }
}

/// A payout about to be created.
#[derive(Debug, Clone, PartialEq, Eq, diesel::prelude::Insertable)]
#[diesel(table_name = payouts, treat_none_as_default_value = false)]
pub struct NewPayout {
    /// A fresh CUID.
    pub id: PayoutId,
    /// Whom it pays.
    pub creator_id: CreatorId,
    /// The statement it settles.
    pub royalty_statement_id: Option<StatementId>,
    /// Minor units, positive.
    pub amount_cents: i32,
    /// Always PENDING.
    pub status: PayoutStatus,
    /// Zero.
    pub retry_count: i32,
    /// Now; one moment for a whole batch.
    pub created_at: Time,
    /// The same.
    pub updated_at: Time,
}

text_enum! {
    /// Why a payout that is due is not sent by this run.
    pub enum Skip {
        /// The kill switch is on.
        SwitchOff = "stopped by `hold --all`",
        /// The payout itself is held.
        PayoutHeld = "payout is held",
        /// Its creator is held.
        CreatorHeld = "creator is held",
        /// Its batch is held, as every new batch is.
        BatchHeld = "batch is held; look it over, then `payouts release BATCH`",
        /// Somebody cancelled it, and other software set it back.
        Cancelled = "was cancelled; other software set it back",
        /// The creator row says deleted.
        CreatorDeleted = "creator is deleted",
        /// Nowhere to send it.
        NoStripeAccount = "creator has no Stripe account",
        /// Its statement is another creator's, which only other software can have written.
        StatementOfAnother = "its statement belongs to another creator",
        /// The creator objects to the statement.
        StatementDisputed = "statement is disputed",
        /// The statement is in a state that is not to be paid.
        StatementNotPayable = "statement is not payable",
        /// Another payout of the same statement is in flight.
        StatementTaken = "another payout of the same statement is in flight",
        /// Paying it would pass what the statement owes.
        StatementExceeded = "more than what is left of its statement",
        /// Zero or negative, which only other software can have written.
        NotPositive = "amount is not positive",
        /// Of its id no key and no group can be made, which only other software can have given it.
        IdNotSendable = "its id is nothing that Stripe takes; `payouts show ID` says what it may be",
        /// Below `PAYOUTS_MIN_AMOUNT_CENTS`.
        BelowMinimum = "below the minimum amount",
        /// Above `PAYOUTS_MAX_AMOUNT_CENTS`.
        AboveMaximum = "above the maximum amount",
        /// More than `PAYOUTS_MAX_RUN_TOTAL_CENTS` or `PAYOUTS_MAX_DAY_TOTAL_CENTS` by itself.
        AboveTotal = "more than one run, or all of a day, may pay",
        /// A second person has to approve it, as it is now.
        NotApproved = "needs the approval of a second person: `payouts approve ID`",
        /// An attempt of it is open, so it is resolved rather than claimed.
        AttemptOpen = "an earlier attempt is unresolved",
        /// An attempt of it made a transfer, and somebody set it back.
        PaidBefore = "its transfer exists already",
        /// Not in the plan that a person agreed to, or not as it was shown.
        NotAgreed = "not as it was in the plan that was agreed to",
        /// Other software may have sent it under a key nobody here knows.
        MaybeSentElsewhere = "may have been sent by other software",
        /// Other software created it, and Stripe could not be searched for it.
        NotLookedUp = "created by other software since Stripe was searched; the next run looks",
    }
}

impl Skip {
    /// The fixed word that scripts read; the spelling above is for people and may
    /// be put better one day.
    pub const fn code(self) -> &'static str {
        match self {
            Self::SwitchOff => "all_held",
            Self::PayoutHeld => "payout_held",
            Self::CreatorHeld => "creator_held",
            Self::BatchHeld => "batch_held",
            Self::CreatorDeleted => "creator_deleted",
            Self::NoStripeAccount => "no_stripe_account",
            Self::StatementOfAnother => "statement_of_another",
            Self::StatementDisputed => "statement_disputed",
            Self::StatementNotPayable => "statement_not_payable",
            Self::StatementTaken => "statement_taken",
            Self::StatementExceeded => "statement_exceeded",
            Self::NotPositive => "not_positive",
            Self::IdNotSendable => "id_not_sendable",
            Self::BelowMinimum => "below_minimum",
            Self::AboveMaximum => "above_maximum",
            Self::AboveTotal => "above_total",
            Self::NotApproved => "not_approved",
            Self::AttemptOpen => "attempt_open",
            Self::PaidBefore => "paid_before",
            Self::NotAgreed => "not_agreed",
            Self::MaybeSentElsewhere => "maybe_sent_elsewhere",
            Self::NotLookedUp => "not_looked_up",
            Self::Cancelled => "cancelled",
        }
    }

    /// The kind of hold that keeps a payout back, if one does.
    pub fn hold(self) -> Option<HoldKind> {
        match self {
            Self::SwitchOff => Some(HoldKind::All),
            Self::PayoutHeld => Some(HoldKind::Payout),
            Self::CreatorHeld => Some(HoldKind::Creator),
            Self::BatchHeld => Some(HoldKind::Batch),
            _ => None,
        }
    }

    /// Whether somebody has to do something, as opposed to a row that waits on
    /// purpose. Decides between exit codes 1 and 0.
    pub fn needs_a_person(self) -> bool {
        match self {
            Self::SwitchOff
            | Self::PayoutHeld
            | Self::CreatorHeld
            | Self::BatchHeld
            | Self::BelowMinimum
            | Self::StatementTaken
            | Self::AttemptOpen
            | Self::NotLookedUp => false,
            Self::Cancelled
            | Self::CreatorDeleted
            | Self::NoStripeAccount
            | Self::StatementOfAnother
            | Self::StatementDisputed
            | Self::StatementNotPayable
            | Self::StatementExceeded
            | Self::NotPositive
            | Self::IdNotSendable
            | Self::AboveMaximum
            | Self::AboveTotal
            | Self::NotApproved
            | Self::MaybeSentElsewhere
            | Self::PaidBefore
            | Self::NotAgreed => true,
        }
    }
}

/// Everything about a payout that decides whether it may be sent, read in one
/// transaction together with its row lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The row.
    pub payout: Payout,
    /// The creator's `stripeAccountId`.
    pub destination: Option<String>,
    /// The creator's `deletedAt` is set.
    pub creator_deleted: bool,
    /// The statement, if it names one.
    pub statement: Option<CandidateStatement>,
    /// The batch it was loaded with.
    pub batch_id: Option<BatchId>,
    /// The reference it was loaded under.
    pub reference: Option<String>,
    /// This tool created the row.
    pub ours: bool,
    /// The history says that it was cancelled.
    pub cancelled: bool,
    /// A transfer of it is known: its row bears one, one of its attempts made one,
    /// some of one was taken back, or a comparison with Stripe found one that is
    /// not recorded. Whatever its status says, it was paid.
    pub transferred: bool,
    /// Holds that apply, the switch among them.
    pub holds: Vec<HoldKind>,
    /// Since when its batch is held.
    pub batch_held_since: Option<Time>,
    /// What decides whether it is approved; none where nobody asked, which counts as not.
    pub approval: Option<ApprovalFacts>,
    /// The number and outcome of its last attempt.
    pub last_attempt: Option<(i32, crate::model::attempt::AttemptOutcome)>,
}

/// What matters of a candidate's statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateStatement {
    /// Where it stands.
    pub status: RoyaltyStatementStatus,
    /// What is left of it: see `StatementAccount::left_cents`.
    pub rest_cents: i64,
    /// Another payout holds the statement's claim.
    pub taken_by_another: bool,
    /// Whom it is owed to.
    pub creator_id: CreatorId,
}

impl CandidateStatement {
    /// Whether a payout of this statement may be sent, as far as the statement goes.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn may_settle(&self, payout: &Payout) -> Result<(), Skip> {
        if self.creator_id != payout.creator_id {
            return Err(Skip::StatementOfAnother);
        }
        if self.status == RoyaltyStatementStatus::Disputed {
            return Err(Skip::StatementDisputed);
        }
        if self.taken_by_another {
            return Err(Skip::StatementTaken);
        }
        if !matches!(
            self.status,
            RoyaltyStatementStatus::Reviewed | RoyaltyStatementStatus::Resolved
        ) {
            return Err(Skip::StatementNotPayable);
        }
        if i64::from(payout.amount_cents) > self.rest_cents {
            return Err(Skip::StatementExceeded);
        }
        Ok(())
    }
}

/// The limits and permissions of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRules {
    /// Smallest amount, minor units.
    pub min_cents: i32,
    /// Largest amount, minor units.
    pub max_cents: i32,
    /// The most that a run or a day may pay in all, minor units; none: no limit. What is
    /// more by itself never fits, and must not keep back what is behind it.
    pub total_max_cents: Option<i64>,
    /// When a second person must have approved; none: never.
    pub approval: Option<ApprovalRule>,
    /// A batch the operator named: naming it is the release for this run.
    pub named_batch: Option<NamedBatch>,
}

/// Decides whether a payout may be sent now. Called in the claim and before
/// every resend: there is no other place that decides it.
///
/// # Errors
/// The first reason against it.
pub fn may_send(candidate: &Candidate, rules: &SendRules) -> Result<(), Skip> {
    let payout = &candidate.payout;
    for hold in &candidate.holds {
        match hold {
            HoldKind::All => return Err(Skip::SwitchOff),
            HoldKind::Payout => return Err(Skip::PayoutHeld),
            HoldKind::Creator => return Err(Skip::CreatorHeld),
            HoldKind::Batch => {
                let released = rules.named_batch.as_ref().is_some_and(|named| {
                    candidate.batch_id.as_ref() == Some(&named.id)
                        && candidate
                            .batch_held_since
                            .is_some_and(|since| named.releases(since))
                });
                if !released {
                    return Err(Skip::BatchHeld);
                }
            }
        }
    }
    if candidate.transferred {
        return Err(Skip::PaidBefore);
    }
    if candidate.cancelled {
        return Err(Skip::Cancelled);
    }
    if payout.amount_cents <= 0 {
        return Err(Skip::NotPositive);
    }
    if !can_be_sent(&payout.id) {
        return Err(Skip::IdNotSendable);
    }
    if candidate.creator_deleted {
        return Err(Skip::CreatorDeleted);
    }
    if candidate
        .destination
        .as_deref()
        .unwrap_or_default()
        .is_empty()
    {
        return Err(Skip::NoStripeAccount);
    }
    if let Some(statement) = &candidate.statement {
        statement.may_settle(payout)?;
    }
    if payout.amount_cents < rules.min_cents {
        return Err(Skip::BelowMinimum);
    }
    if payout.amount_cents > rules.max_cents {
        return Err(Skip::AboveMaximum);
    }
    let fits = |most: i64| i64::from(payout.amount_cents) <= most;
    if !rules.total_max_cents.is_none_or(fits) {
        return Err(Skip::AboveTotal);
    }
    match &rules.approval {
        Some(rule) => rule.check(candidate),
        None => Ok(()),
    }
}

/// Why an attempt that nobody knows the outcome of does not go out again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAgain {
    /// Other software says that it was paid.
    #[error("its row says COMPLETED: ask whoever wrote that how it was paid")]
    Completed,
    /// What holds for a first send.
    #[error("it is not sent again: {0}")]
    Skip(Skip),
    /// All runs of the day have sent what they may.
    #[error("all runs of this day have sent what they may (PAYOUTS_MAX_DAY_TOTAL_CENTS)")]
    DayIsOver,
    /// The stored bytes say something else than the row.
    #[error("its amount or destination changed since")]
    Changed,
}

/// Decides whether an attempt may be sent again under its own key: the rule of a first
/// send, and the payout must still be the one its stored bytes speak of. Its key's age
/// and what Stripe stored under it are the caller's to ask.
///
/// # Errors
/// The first reason against it.
pub fn may_send_again(
    candidate: &Candidate,
    attempt: &Attempt,
    rules: &SendRules,
) -> Result<(), NotAgain> {
    if candidate.payout.status == PayoutStatus::Completed {
        return Err(NotAgain::Completed);
    }
    may_send(candidate, rules).map_err(NotAgain::Skip)?;
    let unchanged = candidate.destination.as_deref() == Some(&attempt.destination)
        && candidate.payout.amount_cents == attempt.amount_cents;
    if unchanged {
        Ok(())
    } else {
        Err(NotAgain::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let mut words: Vec<&str> = Skip::ALL.iter().map(|skip| skip.code()).collect();
        for word in &words {
            assert!(
                word.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                "{word}"
            );
        }
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Skip::ALL.len());
    }
}
