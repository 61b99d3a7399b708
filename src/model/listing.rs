//! A payout with what a list shows beside it, and the totals under it.

use std::time::Duration;

use crate::model::attempt::AttemptOutcome;
use crate::model::ids::BatchId;
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::standing::{CANCELLED, RetryOutlook, RetryRules};

/// What a list judges its lines by.
#[derive(Debug, Clone)]
pub struct ListRules {
    /// After so long without a sign of life, a run's attempt is nobody's.
    pub lease: Duration,
    /// When a failed payout is retried.
    pub retry: RetryRules,
}

/// One line of a list of payouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPayout {
    /// The row.
    pub payout: Payout,
    /// The creator's name on stage; none when the creator's row is gone.
    pub creator_name: Option<String>,
    /// The batch it was loaded with.
    pub batch_id: Option<BatchId>,
    /// The reference it was loaded under.
    pub reference: Option<String>,
    /// A hold applies to the payout, its creator, its batch, or to everything.
    pub on_hold: bool,
    /// Its last attempt.
    pub last_attempt: Option<LastAttempt>,
    /// What was taken back of its transfer, minor units.
    pub reversed_cents: i64,
    /// It was cancelled.
    pub cancelled: bool,
    /// What `retry --due` makes of it; none of what has not failed.
    pub retry: Option<RetryOutlook>,
}

/// What a list needs to know of the last attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastAttempt {
    /// What is known of it.
    pub outcome: AttemptOutcome,
    /// Stripe's code in its last answer.
    pub error_code: Option<String>,
    /// The kind of error that Stripe gave it.
    pub error_type: Option<String>,
    /// Of its last answer; none where none came.
    pub http_status: Option<i32>,
    /// The run that sends it can no longer act.
    pub run_ended: bool,
}

impl ListedPayout {
    /// Whether a hold keeps it from being sent. What is paid cannot be held.
    pub fn is_held(&self) -> bool {
        self.on_hold && self.payout.status != PayoutStatus::Completed
    }

    /// Whether Stripe may have made a transfer that nobody here knows of. An
    /// attempt that a live run is sending right now is not in doubt yet.
    pub fn is_unresolved(&self) -> bool {
        self.last_attempt
            .as_ref()
            .is_some_and(|last| match last.outcome {
                AttemptOutcome::Unknown => true,
                AttemptOutcome::Sending => last.run_ended,
                _ => false,
            })
    }

    /// Stripe's code in the last answer, or that it was cancelled; none once it is paid.
    pub fn failed_code(&self) -> Option<&str> {
        if self.payout.status == PayoutStatus::Completed {
            return None;
        }
        if self.cancelled {
            return Some(CANCELLED);
        }
        self.last_attempt.as_ref()?.error_code.as_deref()
    }
}

/// How many payouts, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// Payouts.
    pub count: i64,
    /// Their sum in minor units.
    pub amount_cents: i64,
}

impl Total {
    /// Takes in one more, over this amount.
    pub fn add(&mut self, amount_cents: i64) {
        self.count = self.count.saturating_add(1);
        self.amount_cents = self.amount_cents.saturating_add(amount_cents);
    }

    /// Takes in all of another.
    pub fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.amount_cents = self.amount_cents.saturating_add(other.amount_cents);
    }
}

/// Totals of a set of payouts for each status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    by_status: [Total; PayoutStatus::ALL.len()],
    /// Of the completed ones, those of whose transfers something was taken back, and
    /// how much.
    pub reversed: Total,
}

impl Totals {
    /// The totals of one status.
    pub fn of(&self, status: PayoutStatus) -> Total {
        self.by_status[position(status)]
    }

    /// Sets the totals of one status.
    pub fn set(&mut self, status: PayoutStatus, total: Total) {
        self.by_status[position(status)] = total;
    }

    /// The totals of all of them together, saturating.
    pub fn all(&self) -> Total {
        self.by_status
            .iter()
            .fold(Total::default(), |sum, total| Total {
                count: sum.count.saturating_add(total.count),
                amount_cents: sum.amount_cents.saturating_add(total.amount_cents),
            })
    }

    /// The completed ones, and what they come to less what was taken back of them.
    pub fn paid_less_reversed(&self) -> Total {
        let paid = self.of(PayoutStatus::Completed);
        Total {
            count: paid.count,
            amount_cents: paid.amount_cents.saturating_sub(self.reversed.amount_cents),
        }
    }
}

impl FromIterator<(PayoutStatus, i64, i64)> for Totals {
    /// From rows of a status, a count and a sum; a status that is missing has none, and
    /// nothing is taken back.
    fn from_iter<I: IntoIterator<Item = (PayoutStatus, i64, i64)>>(rows: I) -> Self {
        let mut totals = Self::default();
        for (status, count, amount_cents) in rows {
            totals.set(
                status,
                Total {
                    count,
                    amount_cents,
                },
            );
        }
        totals
    }
}

/// Where a status stands in [`PayoutStatus::ALL`].
fn position(status: PayoutStatus) -> usize {
    match status {
        PayoutStatus::Pending => 0,
        PayoutStatus::Processing => 1,
        PayoutStatus::Completed => 2,
        PayoutStatus::Failed => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::{CreatorId, PayoutId};
    use crate::model::time::Time;

    fn listed(status: PayoutStatus) -> ListedPayout {
        ListedPayout {
            payout: Payout {
                id: PayoutId::new("p"),
                creator_id: CreatorId::new("c"),
                royalty_statement_id: None,
                amount_cents: 100,
                stripe_transfer_id: None,
                status,
                processed_at: None,
                failed_reason: None,
                retry_count: 0,
                last_retry_at: None,
                created_at: Time::from_millis(0),
                updated_at: Time::from_millis(0),
            },
            creator_name: None,
            batch_id: None,
            reference: None,
            on_hold: true,
            last_attempt: None,
            reversed_cents: 0,
            cancelled: false,
            retry: None,
        }
    }

    #[test]
    fn a_hold_means_nothing_to_what_is_paid() {
        assert!(listed(PayoutStatus::Pending).is_held());
        assert!(listed(PayoutStatus::Failed).is_held());
        assert!(!listed(PayoutStatus::Completed).is_held());
    }

    #[test]
    fn unknown_is_unresolved_and_sending_only_when_its_run_is_gone() {
        use AttemptOutcome as O;
        for (outcome, run_ended, unresolved) in [
            (O::Unknown, false, true),
            (O::Unknown, true, true),
            (O::Sending, false, false),
            (O::Sending, true, true),
            (O::Declined, true, false),
            (O::Paid, true, false),
            (O::NotSent, true, false),
            (O::Released, true, false),
        ] {
            let mut payout = listed(PayoutStatus::Processing);
            payout.last_attempt = Some(LastAttempt {
                outcome,
                error_code: None,
                error_type: None,
                http_status: None,
                run_ended,
            });
            assert_eq!(payout.is_unresolved(), unresolved, "{outcome} {run_ended}");
        }
    }

    #[test]
    fn a_paid_payout_has_no_failure_code() {
        let last = LastAttempt {
            outcome: AttemptOutcome::Declined,
            error_code: Some("balance_insufficient".to_owned()),
            error_type: None,
            http_status: Some(400),
            run_ended: true,
        };
        for (status, code) in [
            (PayoutStatus::Failed, Some("balance_insufficient")),
            (PayoutStatus::Completed, None),
        ] {
            let mut payout = listed(status);
            payout.last_attempt = Some(last.clone());
            assert_eq!(payout.failed_code(), code);
        }
    }

    #[test]
    fn every_status_has_a_total_of_its_own() {
        let mut totals = Totals::default();
        for (status, count) in PayoutStatus::ALL.iter().zip(1..) {
            totals.set(
                *status,
                Total {
                    count,
                    amount_cents: count * 100,
                },
            );
        }
        for (index, status) in PayoutStatus::ALL.iter().enumerate() {
            assert_eq!(position(*status), index);
            assert_eq!(totals.of(*status).count, i64::try_from(index).unwrap() + 1);
        }
        assert_eq!(
            totals.all(),
            Total {
                count: 10,
                amount_cents: 1000
            }
        );
    }
}
