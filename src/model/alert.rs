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
        /// `payouts reconcile` has not run to its end for too long.
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
    /// The same of `payouts reconcile`.
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
    /// When it was gone; none while it stands.
    pub cleared_at: Option<Time>,
}
