//! The JSON of what people do with payouts by hand: `retry`, `cancel`, `hold`
//! and `release`.
//!
//! A contract: a field keeps its name and meaning. Amounts are integers in minor
//! units, times RFC 3339 in UTC; what is unknown is null and never missing.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::hold::HoldKind;
use crate::model::money::Currency;
use crate::model::standing::Refusal;
use crate::ops::hold::HoldLine;
use crate::ops::moving::{Moving, Plan};
use crate::output::rows::csv_fields;

/// A payout that was moved, or was not.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MovedView<'a> {
    /// Primary key.
    pub id: &'a str,
    /// Whom it pays.
    pub creator_id: &'a str,
    /// Minor units.
    pub amount_cents: i32,
    /// Lowercase code.
    pub currency: &'static str,
    /// Failed attempts.
    pub retry_count: i32,
    /// Stripe's code in the last refusal.
    pub failed_code: Option<&'a str>,
    /// `retried` or `cancelled`, also where a dry run only would; or `refused`.
    pub result: &'static str,
    /// Why it was refused, as a fixed word.
    pub reason_code: Option<&'static str>,
    /// The same in words for people.
    pub reason: Option<&'static str>,
    /// The finding of `reconcile` that says a transfer was made for it.
    pub finding_id: Option<&'a str>,
}

csv_fields!(MovedView<'a>: id, creator_id, amount_cents, currency, retry_count, failed_code, result, reason_code, reason, finding_id);

impl<'a> MovedView<'a> {
    /// Of a payout, and why it was refused, if it was.
    pub fn new(
        one: &'a Moving,
        currency: Currency,
        result: &'static str,
        refusal: Option<Refusal>,
    ) -> Self {
        Self {
            id: one.payout_id.as_str(),
            creator_id: one.creator_id.as_str(),
            amount_cents: one.amount_cents,
            currency: currency.as_str(),
            retry_count: one.retry_count,
            failed_code: one.code.as_deref(),
            result,
            reason_code: refusal.map(Refusal::as_str),
            reason: refusal.map(Refusal::in_words),
            finding_id: one.finding.as_deref(),
        }
    }
}

/// What `retry` says besides the payouts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RetryMembers {
    /// Nothing was moved: this is what would be.
    pub dry_run: bool,
    /// Payouts that were moved.
    pub retried: usize,
    /// What holds for every command that moves payouts.
    #[serde(flatten)]
    pub moved: MovedMembers,
}

/// What `cancel` says besides the payouts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CancelMembers {
    /// Nothing was moved: this is what would be.
    pub dry_run: bool,
    /// Payouts that were moved.
    pub cancelled: usize,
    /// What holds for every command that moves payouts.
    #[serde(flatten)]
    pub moved: MovedMembers,
}

/// What every command that moves payouts says besides them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MovedMembers {
    /// Payouts that were refused.
    pub refused: usize,
    /// Sum of those that were moved, minor units.
    pub total_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
}

impl MovedMembers {
    /// Of what was moved, or would be.
    pub fn of(plan: &Plan, currency: Currency) -> Self {
        Self {
            refused: plan.refused_count(),
            total_cents: plan.total_cents(),
            currency: currency.as_str(),
        }
    }
}

/// What stands on a payout, a creator, a batch or everything.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HoldLineView<'a> {
    /// `payout`, `creator`, `batch` or `all`.
    pub kind: &'static str,
    /// The id of it; null for `all`.
    pub target: Option<&'a str>,
    /// It is held now.
    pub held: bool,
    /// This command changed that.
    pub changed: bool,
    /// Why it is held, or was until now; null when it was not held.
    pub reason: Option<&'a str>,
    /// Who held it.
    pub actor: Option<&'a str>,
    /// Since when.
    pub created_at: Option<String>,
    /// PENDING payouts it is about.
    pub due: i64,
    /// Their sum.
    pub due_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
}

csv_fields!(HoldLineView<'a>: kind, target, held, changed, reason, actor, created_at, due, due_cents, currency);

impl<'a> HoldLineView<'a> {
    /// Of a target, in the database's currency.
    pub fn new(line: &'a HoldLine, currency: Currency) -> Self {
        let hold = line.hold.as_ref();
        Self {
            kind: line.target.kind.as_str(),
            target: (line.target.kind != HoldKind::All).then_some(line.target.id.as_str()),
            held: line.held,
            changed: line.changed,
            reason: hold.map(|hold| hold.reason.as_str()),
            actor: hold.map(|hold| hold.actor.as_str()),
            created_at: hold.map(|hold| hold.created_at.to_string()),
            due: line.due.count,
            due_cents: line.due.amount_cents,
            currency: currency.as_str(),
        }
    }
}
