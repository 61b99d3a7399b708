//! Where a payout stands for the people who move it by hand: whether it may be
//! put back into the queue, or taken out of it for good.
//!
//! The rules are pure and are asked twice: for what a person is shown, and again
//! inside the transaction that moves the payout. Neither ever leads to a second
//! transfer: a payout goes back only after a definite no, and goes out only when
//! nothing of it can have left this machine, or all that did was refused.
//!
//! An attempt that a person let go of is as good as refused once the next one was:
//! that one could be sent, and so can another. Nothing but a person goes on then,
//! and what shows that it paid after all (its transfer, a finding) ends it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::approval::{ApprovalFacts, ApprovalRule, is_same_actor};
use crate::model::attempt::AttemptOutcome;
use crate::model::ids::StatementId;
use crate::model::native_enum::RoyaltyStatementStatus;
use crate::model::payout::{CandidateStatement, Payout, PayoutStatus};
use crate::model::text_enum;
use crate::model::time::Time;

/// The code of a payout that was cancelled.
pub const CANCELLED: &str = "cancelled";

text_enum! {
    /// Why a payout is not moved: the word that scripts read.
    pub enum Refusal {
        /// Somebody cancelled it.
        Cancelled = "cancelled",
        /// A transfer of it was made, and is not what the row says any more.
        Reversed = "reversed",
        /// Its transfer exists.
        Paid = "paid",
        /// Nobody knows yet what became of an attempt.
        Unresolved = "unresolved",
        /// An attempt was closed without proof and is still watched.
        Released = "released",
        /// Only what FAILED can be retried.
        NotFailed = "not_failed",
        /// Only what is PENDING or was refused for good can be cancelled.
        NotPending = "not_pending",
        /// A comparison with Stripe found a transfer that names it.
        FoundAtStripe = "found_at_stripe",
        /// Other software may have sent it under a key nobody here knows.
        MaybeSentElsewhere = "maybe_sent_elsewhere",
        /// Another payout of its statement is on its way or in doubt.
        StatementTaken = "statement_taken",
        /// Less is left of its statement than it pays.
        StatementCovered = "statement_covered",
        /// It failed as often as `PAYOUTS_MAX_RETRIES` allows.
        AttemptsUsedUp = "attempts_used_up",
        /// What Stripe said needs a person first.
        NotAutomatic = "not_automatic",
        /// Its back-off has not elapsed.
        BackOff = "back_off",
        /// Who made a payout does not approve it.
        Maker = "maker",
        /// Who made it, or who approves it, is no role of the database.
        NoRole = "no_role",
        /// Nobody has approved it.
        NotApproved = "not_approved",
        /// Its creator has no Stripe account to approve.
        NoStripeAccount = "no_stripe_account",
        /// Something else moved it between the look and the move.
        Changed = "changed",
    }
}

impl Refusal {
    /// The same word for people.
    pub fn briefly(self) -> String {
        self.as_str().replace('_', " ")
    }

    /// The same in a sentence, and what to do about it.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Cancelled => "it was cancelled, and that is final",
            Self::Reversed => {
                "a transfer of it was made, and was then reversed or its row set back; it is never sent again"
            }
            Self::Paid => "its transfer was made, and only a reversal at Stripe takes it back",
            Self::Unresolved => {
                "an attempt of it is unresolved; the next `payouts process` looks it up"
            }
            Self::Released => {
                "an attempt of it was closed without proof, and Stripe may still complete that one; only once the \
                 next one is refused for certain may it be moved, and only by its id"
            }
            Self::NotFailed => "it has not failed",
            Self::NotPending => {
                "only what is PENDING, or what Stripe refused for good, can be cancelled; `payouts hold` \
                 keeps anything else from being sent"
            }
            Self::FoundAtStripe => {
                "a transfer that names it was found at Stripe, so that it may be paid; `payouts show ID` says \
                 which finding that is, and what to do about it"
            }
            Self::MaybeSentElsewhere => {
                "other software may have sent it, under a key that is not known here; look for its transfer in \
                 Stripe's dashboard, and have that software decide"
            }
            Self::StatementTaken => {
                "another payout of its statement is on its way, or may have been paid"
            }
            Self::StatementCovered => "less is left of its statement than it pays",
            Self::AttemptsUsedUp => {
                "it failed as often as PAYOUTS_MAX_RETRIES allows; --force tries once more"
            }
            Self::NotAutomatic => "what Stripe said needs a person first; then name the payout",
            Self::BackOff => "its back-off has not elapsed",
            Self::Maker => "you made it; somebody else has to approve it",
            Self::NoRole => {
                "PAYOUTS_ACTOR_FROM_ROLE is set, and who made it is no role of the database: cancel it, and make it \
                 again with the setting"
            }
            Self::NotApproved => "nobody has approved it",
            Self::NoStripeAccount => {
                "its creator has no Stripe account yet, and an approval is bound to where the money goes"
            }
            Self::Changed => "something else moved it at this moment; look again",
        }
    }
}

/// An attempt, as far as it decides whether another may follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastAttempt {
    /// 1, 2, …
    pub number: i32,
    /// What is known of it.
    pub outcome: AttemptOutcome,
    /// Stripe's code in its last answer.
    pub error_code: Option<String>,
}

/// What a comparison with Stripe says of a payout: that a transfer paid it, or may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPayment {
    /// The finding.
    pub finding: String,
    /// Nobody has accepted it yet.
    pub open: bool,
}

/// Everything that decides whether a payout may be moved by hand, read in one
/// transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The row.
    pub payout: Payout,
    /// All its attempts, oldest first.
    pub attempts: Vec<PastAttempt>,
    /// The history says that it was cancelled.
    pub cancelled: bool,
    /// Of its transfer something was taken back.
    pub reversed: bool,
    /// A finding says that a transfer was made for it.
    pub found: Option<FoundPayment>,
    /// Its statement. Taken means here: by any other payout that is on its way,
    /// or of which it is not proven that it was not paid.
    pub statement: Option<CandidateStatement>,
}

impl Standing {
    /// The last attempt, when Stripe refused that for certain.
    pub fn definite_no(&self) -> Option<&PastAttempt> {
        self.attempts
            .last()
            .filter(|last| last.outcome == AttemptOutcome::Declined)
    }

    /// Stripe's code in that refusal.
    pub fn code(&self) -> Option<&str> {
        self.definite_no()?.error_code.as_deref()
    }

    /// What no command and no flag gets around.
    fn final_refusal(&self) -> Result<(), Refusal> {
        let any = |outcome: AttemptOutcome| self.attempts.iter().any(|a| a.outcome == outcome);
        if self.cancelled {
            return Err(Refusal::Cancelled);
        }
        if self.reversed {
            return Err(Refusal::Reversed);
        }
        if self.payout.status == PayoutStatus::Completed
            || any(AttemptOutcome::Paid)
            || any(AttemptOutcome::Surplus)
        {
            return Err(Refusal::Paid);
        }
        if self.attempts.iter().any(|a| a.outcome.is_unresolved()) {
            return Err(Refusal::Unresolved);
        }
        if self.was_let_go_of() && self.definite_no().is_none() {
            return Err(Refusal::Released);
        }
        Ok(())
    }

    /// A person let go of one of its attempts.
    fn was_let_go_of(&self) -> bool {
        let released = |attempt: &PastAttempt| attempt.outcome == AttemptOutcome::Released;
        self.attempts.iter().any(released)
    }
}

/// Decides whether `actor` may approve a payout: whatever may still be sent, and that
/// somebody else made.
///
/// # Errors
/// The first reason against it.
pub fn may_approve(
    standing: &Standing,
    facts: &ApprovalFacts,
    has_account: bool,
    actor: &str,
    roles_only: bool,
) -> Result<(), Refusal> {
    match standing.final_refusal() {
        // What may have been sent may have to be sent again.
        Ok(()) | Err(Refusal::Unresolved | Refusal::Released) => {}
        Err(refusal) => return Err(refusal),
    }
    let maker = facts.maker.as_deref();
    if maker.is_some_and(|maker| is_same_actor(maker, actor)) {
        return Err(Refusal::Maker);
    }
    // The rule that the claim will ask, so that nobody approves in vain.
    let rule = ApprovalRule {
        threshold_cents: 0,
        roles_only,
    };
    if !rule.lets(actor, facts) {
        return Err(Refusal::NoRole);
    }
    if !has_account {
        return Err(Refusal::NoStripeAccount);
    }
    Ok(())
}

/// How a retry was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// `--due`: what needs no person, once its back-off has elapsed.
    Due,
    /// `--all`: what needs no person, at once.
    Automatic,
    /// By id or by code: somebody saw to the cause.
    Named,
}

/// What the settings say about retries.
#[derive(Debug, Clone)]
pub struct RetryRules {
    /// Failed attempts after which it takes `--force`.
    pub retries_max: i32,
    /// The back-off after the first failure, the second, …; the last one repeats.
    pub delays: Vec<Duration>,
    /// Whether a definite no with this code may be tried again without a person.
    pub automatic: fn(&str) -> bool,
}

impl RetryRules {
    /// When a failed payout's back-off has elapsed.
    pub fn due_at(&self, payout: &Payout) -> Time {
        let failures = usize::try_from(payout.retry_count).unwrap_or(0).max(1);
        let delay = self.delays.get(failures - 1).or(self.delays.last());
        // Every failure of ours says when it was; where other software cleared
        // that, it counts from its last change.
        let failed_at = payout.last_retry_at.unwrap_or(payout.updated_at);
        failed_at.plus(delay.copied().unwrap_or_default())
    }
}

/// Decides whether a failed payout may be put back into the queue.
///
/// What may have been paid is looked at first: that attempts are used up says
/// nothing about a payout that Stripe paid.
///
/// # Errors
/// The first reason against it.
pub fn may_retry(
    standing: &Standing,
    rules: &RetryRules,
    asked: Asked,
    force: bool,
    now: Time,
) -> Result<(), Refusal> {
    standing.final_refusal()?;
    if standing.found.is_some() {
        return Err(Refusal::FoundAtStripe);
    }
    let payout = &standing.payout;
    if payout.status != PayoutStatus::Failed {
        return Err(Refusal::NotFailed);
    }
    if standing.definite_no().is_none() {
        return Err(Refusal::MaybeSentElsewhere);
    }
    if let Some(statement) = &standing.statement {
        if statement.taken_by_another {
            return Err(Refusal::StatementTaken);
        }
        if statement.status == RoyaltyStatementStatus::Paid
            || i64::from(payout.amount_cents) > statement.rest_cents
        {
            return Err(Refusal::StatementCovered);
        }
    }
    if payout.retry_count >= rules.retries_max && !force {
        return Err(Refusal::AttemptsUsedUp);
    }
    if asked != Asked::Named && !standing.code().is_some_and(rules.automatic) {
        return Err(Refusal::NotAutomatic);
    }
    if asked != Asked::Named && standing.was_let_go_of() {
        return Err(Refusal::Released);
    }
    if asked == Asked::Due && rules.due_at(payout) > now {
        return Err(Refusal::BackOff);
    }
    Ok(())
}

/// Of several payouts that settle one statement only the first goes back: one is
/// in flight at a time. `taken` are the statements of those that went before.
///
/// # Errors
/// The verdict's own, or that the statement is taken.
pub fn first_of_its_statement(
    standing: &Standing,
    verdict: Result<(), Refusal>,
    taken: &mut BTreeSet<StatementId>,
) -> Result<(), Refusal> {
    verdict?;
    match &standing.payout.royalty_statement_id {
        Some(statement) if !taken.insert(statement.clone()) => Err(Refusal::StatementTaken),
        _ => Ok(()),
    }
}

/// What `retry --due` makes of a failed payout, now or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOutlook {
    /// It takes it from this moment on.
    From(Time),
    /// It never takes it, unless something changes.
    Never(Refusal),
}

impl RetryOutlook {
    /// What is ahead of a payout; none of one that has not failed.
    pub fn of(standing: &Standing, rules: &RetryRules, now: Time) -> Option<Self> {
        if standing.payout.status != PayoutStatus::Failed {
            return None;
        }
        Some(match may_retry(standing, rules, Asked::Due, false, now) {
            Ok(()) | Err(Refusal::BackOff) => Self::From(rules.due_at(&standing.payout)),
            Err(refusal) => Self::Never(refusal),
        })
    }
}

/// Decides whether a payout may be ended for good: nothing of it was sent, or
/// Stripe refused for certain all that was. Where a finding says otherwise, a
/// person has to accept that first.
///
/// # Errors
/// The first reason against it.
pub fn may_cancel(standing: &Standing) -> Result<(), Refusal> {
    standing.final_refusal()?;
    if standing.found.as_ref().is_some_and(|found| found.open) {
        return Err(Refusal::FoundAtStripe);
    }
    let payout = &standing.payout;
    match payout.status {
        PayoutStatus::Pending | PayoutStatus::Failed => {}
        PayoutStatus::Processing | PayoutStatus::Completed => return Err(Refusal::NotPending),
    }
    // A FAILED row without an attempt of ours was failed by other software.
    let theirs = payout.status == PayoutStatus::Failed || payout.bears_marks_of_a_send();
    if standing.attempts.is_empty() && theirs {
        return Err(Refusal::MaybeSentElsewhere);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::{CreatorId, PayoutId};
    use AttemptOutcome as O;
    use PayoutStatus as S;

    type Alter = fn(&mut Standing);

    const MINUTE: Duration = Duration::from_secs(60);

    fn minute(number: u32) -> Time {
        Time::from_millis(0).plus(MINUTE * number)
    }

    fn rules() -> RetryRules {
        RetryRules {
            retries_max: 3,
            delays: vec![5 * MINUTE, 10 * MINUTE],
            automatic: |code| code == "balance_insufficient",
        }
    }

    fn attempt(number: i32, outcome: O, code: &str) -> PastAttempt {
        PastAttempt {
            number,
            outcome,
            error_code: (!code.is_empty()).then(|| code.to_owned()),
        }
    }

    /// Refused once, at minute 0, for want of money.
    fn standing(change: impl FnOnce(&mut Standing)) -> Standing {
        let mut standing = Standing {
            payout: Payout {
                id: PayoutId::new("p1"),
                creator_id: CreatorId::new("c1"),
                royalty_statement_id: None,
                amount_cents: 50_000,
                stripe_transfer_id: None,
                status: S::Failed,
                processed_at: None,
                failed_reason: Some("balance_insufficient: no".to_owned()),
                retry_count: 1,
                last_retry_at: Some(minute(0)),
                created_at: minute(0),
                updated_at: minute(0),
            },
            attempts: vec![attempt(1, O::Declined, "balance_insufficient")],
            cancelled: false,
            reversed: false,
            found: None,
            statement: None,
        };
        change(&mut standing);
        standing
    }

    fn of_statement(change: impl FnOnce(&mut CandidateStatement)) -> Standing {
        let mut statement = CandidateStatement {
            status: RoyaltyStatementStatus::Reviewed,
            rest_cents: 50_000,
            taken_by_another: false,
            creator_id: CreatorId::new("c1"),
        };
        change(&mut statement);
        standing(|s| {
            s.payout.royalty_statement_id = Some(StatementId::new("s1"));
            s.statement = Some(statement);
        })
    }

    /// Asked for by name, long after.
    fn named(change: impl FnOnce(&mut Standing)) -> Result<(), Refusal> {
        may_retry(
            &standing(change),
            &rules(),
            Asked::Named,
            false,
            minute(1000),
        )
    }

    #[test]
    fn a_definite_no_may_be_retried() {
        for asked in [Asked::Due, Asked::Automatic, Asked::Named] {
            let standing = standing(|_| ());
            assert_eq!(
                may_retry(&standing, &rules(), asked, false, minute(5)),
                Ok(()),
                "{asked:?}"
            );
        }
    }

    #[test]
    fn what_may_have_been_paid_is_refused_whatever_is_asked() {
        let with = |outcome| move |s: &mut Standing| s.attempts.push(attempt(2, outcome, ""));
        let cases: [(Alter, Refusal); 4] = [
            (|s| s.cancelled = true, Refusal::Cancelled),
            (|s| s.reversed = true, Refusal::Reversed),
            (|s| s.payout.status = S::Completed, Refusal::Paid),
            (|s| s.attempts[0].outcome = O::Released, Refusal::Released),
        ];
        let mut refused: Vec<(Standing, Refusal)> = cases
            .into_iter()
            .map(|(change, refusal)| (standing(change), refusal))
            .collect();
        for (outcome, refusal) in [
            (O::Paid, Refusal::Paid),
            (O::Surplus, Refusal::Paid),
            (O::Sending, Refusal::Unresolved),
            (O::Unknown, Refusal::Unresolved),
        ] {
            refused.push((standing(with(outcome)), refusal));
            // It need not be the last one.
            let earlier = standing(|s| s.attempts.insert(0, attempt(0, outcome, "")));
            refused.push((earlier, refusal));
        }
        refused.push((standing(with(O::Released)), Refusal::Released));
        for (mut standing, refusal) in refused {
            for asked in [Asked::Due, Asked::Automatic, Asked::Named] {
                let said = may_retry(&standing, &rules(), asked, true, minute(1000));
                assert_eq!(said, Err(refusal), "{standing:?}");
            }
            // And it cannot be cancelled either.
            if standing.payout.status != S::Completed {
                standing.payout.status = S::Pending;
            }
            assert_eq!(may_cancel(&standing), Err(refusal), "{standing:?}");
        }
    }

    #[test]
    fn what_was_let_go_of_is_moved_by_a_person_once_the_next_attempt_was_refused() {
        let refused = |s: &mut Standing| s.attempts.insert(0, attempt(0, O::Released, ""));
        let said = |asked| may_retry(&standing(refused), &rules(), asked, false, minute(1000));
        assert_eq!(said(Asked::Named), Ok(()));
        assert_eq!(said(Asked::Due), Err(Refusal::Released));
        assert_eq!(said(Asked::Automatic), Err(Refusal::Released));
        assert_eq!(may_cancel(&standing(refused)), Ok(()));
        // Nothing was refused yet: it is pending, or what followed was given back.
        for outcome in [O::Released, O::NotSent] {
            let waits = standing(|s| {
                refused(s);
                s.attempts[1] = attempt(1, outcome, "");
                s.payout.status = S::Pending;
            });
            assert_eq!(may_cancel(&waits), Err(Refusal::Released));
        }
        // And not once something shows that it paid.
        for open in [true, false] {
            let found = |s: &mut Standing| {
                refused(s);
                let finding = "f1".to_owned();
                s.found = Some(FoundPayment { finding, open });
            };
            assert_eq!(named(found), Err(Refusal::FoundAtStripe));
        }
        let paid = |s: &mut Standing| s.attempts.insert(0, attempt(0, O::Paid, ""));
        assert_eq!(named(paid), Err(Refusal::Paid));
        assert_eq!(may_cancel(&standing(paid)), Err(Refusal::Paid));
    }

    #[test]
    fn what_is_not_proven_is_not_retried() {
        assert_eq!(
            named(|s| s.payout.status = S::Pending),
            Err(Refusal::NotFailed)
        );
        assert_eq!(
            named(|s| s.payout.status = S::Processing),
            Err(Refusal::NotFailed)
        );
        // Other software's, and ours that other software set to FAILED.
        assert_eq!(
            named(|s| s.attempts.clear()),
            Err(Refusal::MaybeSentElsewhere)
        );
        assert_eq!(
            named(|s| s.attempts[0].outcome = O::NotSent),
            Err(Refusal::MaybeSentElsewhere)
        );
        assert_eq!(
            named(|s| s.attempts.push(attempt(2, O::NotSent, "rate_limit"))),
            Err(Refusal::MaybeSentElsewhere)
        );
    }

    #[test]
    fn what_may_have_been_paid_is_told_before_attempts_are_counted() {
        assert_eq!(
            named(|s| {
                s.payout.status = S::Processing;
                s.payout.retry_count = 9;
                s.attempts.push(attempt(2, O::Unknown, ""));
            }),
            Err(Refusal::Unresolved)
        );
    }

    #[test]
    fn its_statement_must_still_be_its_own() {
        let ask =
            |standing: Standing| may_retry(&standing, &rules(), Asked::Named, true, minute(1000));
        assert_eq!(ask(of_statement(|_| ())), Ok(()));
        assert_eq!(
            ask(of_statement(|s| s.taken_by_another = true)),
            Err(Refusal::StatementTaken)
        );
        assert_eq!(
            ask(of_statement(|s| s.rest_cents = 49_999)),
            Err(Refusal::StatementCovered)
        );
        assert_eq!(
            ask(of_statement(|s| s.status = RoyaltyStatementStatus::Paid)),
            Err(Refusal::StatementCovered)
        );
        // A dispute keeps it from being sent, not from waiting.
        assert_eq!(
            ask(of_statement(|s| s.status = RoyaltyStatementStatus::Disputed)),
            Ok(())
        );
    }

    #[test]
    fn used_up_attempts_take_force() {
        for (count, force, expected) in [
            (2, false, Ok(())),
            (3, false, Err(Refusal::AttemptsUsedUp)),
            (3, true, Ok(())),
            (i32::MAX, true, Ok(())),
        ] {
            let standing = standing(|s| s.payout.retry_count = count);
            for asked in [Asked::Due, Asked::Automatic, Asked::Named] {
                let said = may_retry(&standing, &rules(), asked, force, minute(1000));
                assert_eq!(said, expected, "{count} {asked:?}");
            }
        }
    }

    #[test]
    fn what_needs_a_person_must_be_named() {
        for code in ["resource_missing", ""] {
            let standing = standing(|s| s.attempts = vec![attempt(1, O::Declined, code)]);
            let ask = |asked| may_retry(&standing, &rules(), asked, true, minute(1000));
            assert_eq!(ask(Asked::Due), Err(Refusal::NotAutomatic));
            assert_eq!(ask(Asked::Automatic), Err(Refusal::NotAutomatic));
            assert_eq!(ask(Asked::Named), Ok(()));
        }
        // The last answer decides, not one before it.
        let standing = standing(|s| s.attempts.push(attempt(2, O::Declined, "resource_missing")));
        assert_eq!(
            may_retry(&standing, &rules(), Asked::Automatic, false, minute(1000)),
            Err(Refusal::NotAutomatic)
        );
    }

    #[test]
    fn the_back_off_grows_and_its_last_value_repeats() {
        for (count, due) in [(0, 5), (1, 5), (2, 10), (3, 10), (400, 10)] {
            let standing = standing(|s| s.payout.retry_count = count);
            assert_eq!(rules().due_at(&standing.payout), minute(due), "{count}");
            let ask = |asked, now| may_retry(&standing, &rules(), asked, true, now);
            assert_eq!(ask(Asked::Due, minute(due)), Ok(()));
            let before = minute(due).minus(Duration::from_millis(1));
            assert_eq!(ask(Asked::Due, before), Err(Refusal::BackOff));
            assert_eq!(ask(Asked::Automatic, before), Ok(()));
            assert_eq!(ask(Asked::Named, before), Ok(()));
        }
        let unsaid = standing(|s| {
            s.payout.last_retry_at = None;
            s.payout.updated_at = minute(7);
        });
        assert_eq!(rules().due_at(&unsaid.payout), minute(12));
        let none = RetryRules {
            delays: Vec::new(),
            ..rules()
        };
        assert_eq!(none.due_at(&standing(|_| ()).payout), minute(0));
    }

    #[test]
    fn the_outlook_says_what_due_would_take() {
        let ahead =
            |change: fn(&mut Standing)| RetryOutlook::of(&standing(change), &rules(), minute(1));
        assert_eq!(ahead(|_| ()), Some(RetryOutlook::From(minute(5))));
        assert_eq!(
            ahead(|s| s.cancelled = true),
            Some(RetryOutlook::Never(Refusal::Cancelled))
        );
        assert_eq!(ahead(|s| s.payout.status = S::Pending), None);
    }

    #[test]
    fn only_what_never_left_the_machine_is_cancelled() {
        let ask = |change: fn(&mut Standing)| {
            may_cancel(&standing(|s| {
                s.payout.status = S::Pending;
                change(s);
            }))
        };
        // Put back after a definite no, whatever its marks say.
        assert_eq!(ask(|_| ()), Ok(()));
        assert_eq!(ask(|s| s.attempts[0].outcome = O::NotSent), Ok(()));
        let fresh: fn(&mut Standing) = |s| {
            s.attempts.clear();
            s.payout.retry_count = 0;
            s.payout.last_retry_at = None;
            s.payout.failed_reason = None;
        };
        assert_eq!(ask(fresh), Ok(()));
        assert_eq!(
            ask(|s| s.attempts.clear()),
            Err(Refusal::MaybeSentElsewhere)
        );
        let processing = standing(|s| s.payout.status = S::Processing);
        assert_eq!(may_cancel(&processing), Err(Refusal::NotPending));
        // Refused for certain, where it is; without an attempt, other software failed it.
        assert_eq!(may_cancel(&standing(|_| ())), Ok(()));
        let theirs = standing(|s| {
            fresh(s);
            s.payout.status = S::Failed;
        });
        assert_eq!(may_cancel(&theirs), Err(Refusal::MaybeSentElsewhere));
    }

    #[test]
    fn what_was_found_at_stripe_is_a_persons_decision_first() {
        for (open, cancel) in [(true, Err(Refusal::FoundAtStripe)), (false, Ok(()))] {
            let found = |s: &mut Standing| {
                let finding = "f1".to_owned();
                s.found = Some(FoundPayment { finding, open });
            };
            assert_eq!(may_cancel(&standing(found)), cancel);
            assert_eq!(named(found), Err(Refusal::FoundAtStripe));
        }
    }
}
