//! The JSON of `process`: what a run did, and what it would do.
//!
//! A contract: a field keeps its name and meaning. Amounts are integers in minor
//! units beside their currency, times RFC 3339 in UTC; what is unknown is null
//! and never missing.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::money::Currency;
use crate::model::payout::Skip;
use crate::model::run::Holder;
use crate::ops::process::{
    Failure, LimitReached, Plan, PlanRow, Report, SkippedGroup, Unresolved, WarningGroup,
};
use crate::output::json::HoldView;
use crate::output::rows::csv_fields;

/// What became of some payouts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResultView {
    /// `paid`, `found paid`, `failed`, `given back`, `unresolved` or `skipped`.
    pub result: &'static str,
    /// How many.
    pub payouts: u64,
    /// Their sum, minor units.
    pub amount_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
    /// Why they were skipped, as a fixed word; null for other results.
    pub reason_code: Option<&'static str>,
    /// More about them, in words for people.
    pub note: Option<&'static str>,
}

csv_fields!(ResultView: result, payouts, amount_cents, currency, reason_code, note);

impl ResultView {
    /// What a run did, a line for each result. `paid` is always there.
    pub fn all(report: &Report, currency: Currency) -> Vec<Self> {
        let line = |result, payouts, amount_cents, note| Self {
            result,
            payouts,
            amount_cents,
            currency: currency.as_str(),
            reason_code: None,
            note,
        };
        let in_doubt = report
            .unresolved
            .iter()
            .fold(0_i64, |sum, u| sum.saturating_add(u.amount_cents.into()));
        let mut lines = vec![
            line("paid", report.paid, report.paid_cents, None),
            line(
                "found paid",
                report.adopted,
                report.adopted_cents,
                Some("transfers found at Stripe"),
            ),
            line("failed", report.failed, report.failed_cents, None),
            line(
                "given back",
                report.returned,
                report.returned_cents,
                Some("nothing of them was executed"),
            ),
            line(
                "unresolved",
                report.unresolved.len() as u64,
                in_doubt,
                Some("looked up by the next run"),
            ),
        ];
        lines.extend(
            report
                .skipped
                .iter()
                .map(|(reason, (payouts, amount_cents))| Self {
                    reason_code: Some(reason.code()),
                    ..line("skipped", *payouts, *amount_cents, Some(reason.as_str()))
                }),
        );
        lines.retain(|line| line.payouts > 0 || line.result == "paid");
        lines
    }
}

/// A payout that failed, or whose outcome is unknown.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TroubleView<'a> {
    /// Primary key.
    pub id: &'a str,
    /// Minor units.
    pub amount_cents: i32,
    /// Lowercase code.
    pub currency: &'static str,
    /// Stripe's code; null when there is none.
    pub code: Option<&'a str>,
    /// What is known, in words.
    pub reason: &'a str,
}

impl<'a> TroubleView<'a> {
    /// Of a definite no.
    pub fn of_failure(failure: &'a Failure, currency: Currency) -> Self {
        Self {
            id: failure.payout_id.as_str(),
            amount_cents: failure.amount_cents,
            currency: currency.as_str(),
            code: failure.code.as_deref(),
            reason: &failure.reason,
        }
    }

    /// Of what nobody knows.
    pub fn of_unresolved(unresolved: &'a Unresolved, currency: Currency) -> Self {
        Self {
            id: unresolved.payout_id.as_str(),
            amount_cents: unresolved.amount_cents,
            currency: currency.as_str(),
            code: None,
            reason: &unresolved.reason,
        }
    }
}

/// What `process` says besides the results.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunMembers<'a> {
    /// Lowercase code.
    pub currency: &'static str,
    /// Payouts with a definite no.
    pub failed: Vec<TroubleView<'a>>,
    /// Payouts whose outcome is unknown.
    pub unresolved: Vec<TroubleView<'a>>,
    /// What a person must look at now, in words.
    pub alarms: &'a [String],
    /// What else was noticed, in words.
    pub findings: &'a [String],
    /// The limit at which the run took no more, although more is due: `run` or `day`; null
    /// when none was reached.
    pub limit_reached: Option<&'static str>,
    /// Other runs that are at work on payouts, or were within their lease.
    pub held_by: Vec<HolderView<'a>>,
    /// Why the run ended early, in words.
    pub stopped: Option<String>,
    /// What the command exits with.
    pub exit_code: u8,
}

/// A run that holds payouts: they are left to it until its lease is over.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HolderView<'a> {
    /// The run.
    pub run_id: &'a str,
    /// On which machine.
    pub host: &'a str,
    /// How many payouts.
    pub payouts: u64,
    /// Its last sign of life.
    pub seen_at: String,
    /// When they are taken over, if no further sign comes.
    pub until: String,
}

impl<'a> From<&'a Holder> for HolderView<'a> {
    fn from(holder: &'a Holder) -> Self {
        Self {
            run_id: holder.run_id.as_str(),
            host: &holder.host,
            payouts: holder.payouts,
            seen_at: holder.seen_at.to_string(),
            until: holder.until.to_string(),
        }
    }
}

/// One payout of a plan.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanView<'a> {
    /// Which.
    pub payout_id: &'a str,
    /// Whom it pays.
    pub creator_id: &'a str,
    /// `acct_…` of the creator.
    pub destination: &'a str,
    /// Minor units.
    pub amount_cents: i32,
    /// Lowercase code.
    pub currency: &'static str,
    /// In the queue since.
    pub created_at: String,
    /// It was sent before, and goes out again under its own key.
    pub resend: bool,
}

csv_fields!(PlanView<'a>: payout_id, creator_id, destination, amount_cents, currency, created_at, resend);

impl<'a> PlanView<'a> {
    /// Of a row of a plan in this currency.
    pub fn of(row: &'a PlanRow, currency: Currency) -> Self {
        Self {
            payout_id: row.payout_id.as_str(),
            creator_id: row.creator_id.as_str(),
            destination: &row.destination,
            amount_cents: row.amount_cents,
            currency: currency.as_str(),
            created_at: row.created_at.to_string(),
            resend: row.resend,
        }
    }
}

/// What `process --dry-run` says besides the payouts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanMembers<'a> {
    /// Payouts that would be sent for the first time, or after a definite no.
    pub due: u64,
    /// Their sum, minor units.
    pub due_cents: i64,
    /// Payouts that would be sent again under their own key.
    pub resends: u64,
    /// Their sum, minor units.
    pub resend_cents: i64,
    /// The sum of both, minor units.
    pub total_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
    /// `acct_…` of the platform.
    pub account: &'a str,
    /// Real money.
    pub livemode: bool,
    /// What is available at Stripe, minor units; null when it was not told.
    pub balance_cents: Option<i64>,
    /// What would be left of it, minor units.
    pub balance_after_cents: Option<i64>,
    /// What is left alone, and why.
    pub skipped: Vec<SkippedView<'a>>,
    /// What is conspicuous: honest most of the time.
    pub warnings: Vec<WarningView<'a>>,
    /// Creators who get several payments, those who get most first; at most 20.
    pub creators: Vec<PlanCreatorView<'a>>,
    /// Stands for all that would be sent and for every warning; `process --plan` takes it.
    pub plan_hash: &'a str,
    /// The limit at which the plan ends, although more is due: `run` or `day`; null when
    /// none is reached.
    pub limit_reached: Option<&'static str>,
}

/// Conspicuous payouts of one kind.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WarningView<'a> {
    /// `same_amount`, `shared_account` or `destination_changed`.
    pub kind: &'static str,
    /// The same in words for people.
    pub meaning: &'static str,
    /// How many payouts.
    pub payouts: u64,
    /// Their sum, minor units.
    pub amount_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
    /// The first few.
    pub examples: Vec<WarningExample<'a>>,
}

/// A conspicuous payout.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WarningExample<'a> {
    /// Primary key.
    pub id: &'a str,
    /// The other payout, the other creator, the account before, or the usual amount in
    /// minor units.
    pub other: &'a str,
}

/// A creator who gets several payments.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanCreatorView<'a> {
    /// Who.
    pub creator_id: &'a str,
    /// How many payments.
    pub payouts: u64,
    /// Their sum, minor units.
    pub amount_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
}

impl<'a> PlanMembers<'a> {
    /// Of a plan.
    pub fn of(plan: &'a Plan) -> Self {
        let currency = plan.currency.as_str();
        Self {
            due: plan.due,
            due_cents: plan.due_cents,
            resends: plan.resends,
            resend_cents: plan.resend_cents,
            total_cents: plan.total_cents(),
            currency: plan.currency.as_str(),
            account: &plan.account,
            livemode: plan.livemode,
            balance_cents: plan.balance_cents,
            balance_after_cents: plan.balance_after_cents(),
            skipped: SkippedView::all(plan),
            warnings: plan
                .warnings
                .iter()
                .map(|g| WarningView::of(g, currency))
                .collect(),
            creators: plan
                .creators
                .iter()
                .map(|one| PlanCreatorView {
                    creator_id: one.creator_id.as_str(),
                    payouts: one.payouts,
                    amount_cents: one.amount_cents,
                    currency,
                })
                .collect(),
            plan_hash: &plan.hash,
            limit_reached: plan.limit.map(LimitReached::code),
        }
    }
}

impl<'a> WarningView<'a> {
    fn of(group: &'a WarningGroup, currency: &'static str) -> Self {
        Self {
            kind: group.kind.as_str(),
            meaning: group.kind.meaning(),
            payouts: group.payouts,
            amount_cents: group.amount_cents,
            currency,
            examples: group
                .examples
                .iter()
                .map(|one| WarningExample {
                    id: one.payout_id.as_str(),
                    other: &one.other,
                })
                .collect(),
        }
    }
}

/// Payouts that a plan leaves alone for one reason.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkippedView<'a> {
    /// Why, as a fixed word.
    pub reason_code: &'static str,
    /// The same in words for people.
    pub reason: &'static str,
    /// How many.
    pub payouts: u64,
    /// Their sum, minor units.
    pub amount_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
    /// One of them.
    pub example: &'a str,
    /// Of one that is held, the hold: who, when and why.
    pub hold: Option<HoldView<'a>>,
}

impl<'a> SkippedView<'a> {
    /// Every group of a plan.
    pub fn all(plan: &'a Plan) -> Vec<Self> {
        let view = |group: &'a SkippedGroup| {
            let reason: Skip = group.reason;
            Self {
                reason_code: reason.code(),
                reason: reason.as_str(),
                payouts: group.payouts,
                amount_cents: group.amount_cents,
                currency: plan.currency.as_str(),
                example: group.example.as_str(),
                hold: group.hold.as_ref().map(HoldView::of),
            }
        };
        plan.skipped.iter().map(view).collect()
    }
}
