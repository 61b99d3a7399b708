//! What may need a person while nobody looks, and from when on it does.

use std::time::Duration;

use crate::model::schema::payout_alerts;
use crate::model::time::Time;
use crate::model::{text_column, text_enum};

text_enum! {
    /// How much an alert weighs.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub enum Severity {
        /// Somebody should look today.
        Warning = "warning",
        /// Somebody should look now.
        Critical = "critical",
    }
}
text_column!(Severity);

text_enum! {
    /// What needs a person. Each has an entry in the runbook under this name.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub enum AlertCode {
        /// Too many payouts of late failed.
        FailureRate = "failure_rate",
        /// Payouts are on the way, or of unknown outcome, for too long.
        PayoutsStuck = "payouts_stuck",
        /// A payout has a transfer too many.
        PaidTwice = "paid_twice",
        /// Comparing with Stripe found something that nobody has settled.
        FindingsOpen = "findings_open",
        /// The key belongs to another account or mode than the database.
        AccountDiffers = "account_differs",
        /// The history is not what was written.
        HistoryBroken = "history_broken",
        /// A payout failed again and again.
        FailedOften = "failed_often",
        /// A payout failed and nobody has done anything about it.
        FailedLong = "failed_long",
        /// A new payout is far from what its creator is usually paid.
        UnusualAmount = "unusual_amount",
        /// The balance does not cover what is due.
        BalanceShort = "balance_short",
        /// The balance covers what is due, and not what usually follows.
        BalanceForecast = "balance_forecast",
        /// The last runs of `payouts process` could not run, or refused to.
        ProcessFailed = "process_failed",
        /// `payouts process` has not run to its end for too long.
        ProcessOverdue = "process_overdue",
        /// `payouts reconcile` has compared nothing new for too long.
        ReconcileOverdue = "reconcile_overdue",
        /// Stripe could not be asked.
        StripeUnreachable = "stripe_unreachable",
        /// Mails wait that should have been sent, or were given up.
        MailUndelivered = "mail_undelivered",
    }
}
text_column!(AlertCode);

impl AlertCode {
    /// How much it weighs.
    pub const fn severity(self) -> Severity {
        match self {
            Self::FailureRate
            | Self::PayoutsStuck
            | Self::PaidTwice
            | Self::FindingsOpen
            | Self::AccountDiffers
            | Self::HistoryBroken => Severity::Critical,
            Self::FailedOften
            | Self::FailedLong
            | Self::UnusualAmount
            | Self::BalanceShort
            | Self::BalanceForecast
            | Self::ProcessFailed
            | Self::ProcessOverdue
            | Self::ReconcileOverdue
            | Self::StripeUnreachable
            | Self::MailUndelivered => Severity::Warning,
        }
    }

    /// Of how many times as many it is told again; none of what is about one thing, or where
    /// more of it asks for nothing else.
    const fn told_again_at(self) -> Option<i64> {
        match self {
            // Each may be the grave one.
            Self::PaidTwice | Self::FindingsOpen | Self::HistoryBroken => Some(1),
            Self::FailureRate
            | Self::PayoutsStuck
            | Self::FailedOften
            | Self::FailedLong
            | Self::UnusualAmount
            | Self::MailUndelivered => Some(2),
            Self::AccountDiffers
            | Self::BalanceShort
            | Self::BalanceForecast
            | Self::ProcessFailed
            | Self::ProcessOverdue
            | Self::ReconcileOverdue
            | Self::StripeUnreachable => None,
        }
    }
}

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub code: AlertCode,
    /// How it shows, in words.
    pub text: String,
    /// How many payouts, findings or runs it is about; none where it is about one thing.
    pub count: Option<i64>,
    /// The money it is about, minor units.
    pub amount_cents: Option<i64>,
    /// One of them: what to look at first.
    pub example: Option<String>,
}

/// From when on something needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thresholds {
    /// More than this share of the payouts that were decided within
    /// [`failure_within`](Self::failure_within) failed, per cent.
    pub failure_percent: u32,
    /// The time that share is taken of.
    pub failure_within: Duration,
    /// Fewer decided payouts than this make no share.
    pub failure_sample: u32,
    /// On the way, or of unknown outcome, for longer than this.
    pub stuck_after: Duration,
    /// More failed attempts than this on one payout.
    pub failed_attempts: i32,
    /// Failed for longer than this.
    pub failed_after: Duration,
    /// Further from what its creator is usually paid than this many times the usual spread.
    pub unusual_times: u32,
    /// The balance must cover what is usually paid in this time. Zero: no forecast.
    pub forecast_over: Duration,
    /// `payouts process` must have run to its end within this time. Zero: need not.
    pub process_within: Duration,
    /// `payouts reconcile` must have compared what happened within this time. Zero: need not.
    pub reconcile_within: Duration,
}

/// An alert that stands, or stood: a row of `payout_alerts`.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_alerts, treat_none_as_default_value = false)]
pub struct Alert {
    /// What.
    pub code: AlertCode,
    /// When it was first seen.
    pub raised_at: Time,
    /// How much it weighs.
    pub severity: Severity,
    /// What was found, in words.
    pub found: String,
    /// When it was last seen.
    pub seen_at: Time,
    /// When it was last told.
    pub told_at: Time,
    /// How many there were when it was last told, or the fewest there were since; 0 where
    /// nothing is counted.
    pub told_count: i64,
    /// The same of the money, minor units.
    pub told_cents: i64,
    /// When it was gone; none while it stands.
    pub cleared_at: Option<Time>,
}

/// An alert that was told is not told again before.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(3600);

impl Alert {
    /// Whether there is so much more of it that it is told again: any more findings or
    /// second transfers, twice as many payouts or mails, or twice their money, as was told,
    /// or as was left of it since. Whoever has mended all but one of ten hears of the next;
    /// what grows to a thousand is told ten times, not a thousand; and what goes up and down
    /// is told once an hour.
    pub fn has_grown(&self, found: &Found, now: Time) -> bool {
        let Some(times) = self.code.told_again_at() else {
            return false;
        };
        let grown = |told: i64, now: Option<i64>| {
            now.is_some_and(|now| now > told && now >= told.saturating_mul(times))
        };
        now >= self.told_at.plus(TOLD_AGAIN_AFTER)
            && (grown(self.told_count, found.count) || grown(self.told_cents, found.amount_cents))
    }
}
