//! The JSON of what people do with payouts by hand: `retry`, `cancel`,
//! `resolve`, `hold` and `release`.
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
use crate::ops::resolve::{Looked, Outcome};
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
    /// The account that `approve` binds an approval to; null for other commands.
    pub destination: Option<&'a str>,
    /// `retried`, `cancelled`, `approved` or `withdrawn`, also where a dry run only would;
    /// or `refused`.
    pub result: &'static str,
    /// Why it was refused, as a fixed word.
    pub reason_code: Option<&'static str>,
    /// The same in words for people.
    pub reason: Option<&'static str>,
    /// The finding of `reconcile` that says a transfer was made for it.
    pub finding_id: Option<&'a str>,
}

csv_fields!(MovedView<'a>: id, creator_id, amount_cents, currency, retry_count, failed_code, destination, result, reason_code, reason, finding_id);

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
            destination: one.destination.as_deref(),
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

/// What `approve` says besides the payouts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ApproveMembers {
    /// Nothing was approved: this is what would be.
    pub dry_run: bool,
    /// Approvals were taken back, not given.
    pub withdrawn: bool,
    /// Payouts that were approved.
    pub approved: usize,
    /// Payouts that the same person approved before, as they are now.
    pub approved_before: usize,
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

/// A payout of which it was not known whether it is paid.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResolveView<'a> {
    /// Primary key.
    pub id: &'a str,
    /// Whom it pays.
    pub creator_id: &'a str,
    /// Minor units.
    pub amount_cents: i32,
    /// Lowercase code.
    pub currency: &'static str,
    /// The attempt in doubt, or the one that letting go of a row of other software
    /// writes; null where nothing was in doubt.
    pub attempt: Option<i32>,
    /// `settled`, `adopted`, `in_flight`, `unresolved`, `released` or `alarm`.
    pub result: &'static str,
    /// The transfer that was found or that it holds.
    pub transfer_id: Option<&'a str>,
    /// What was found, in words for people.
    pub found: &'a str,
    /// A person may let go of it now; null where there is nothing to let go of.
    pub releasable: Option<bool>,
    /// Why not, as a fixed word.
    pub reason_code: Option<&'static str>,
    /// The same in words for people.
    pub reason: Option<&'static str>,
    /// The first moment at which that may be, if time alone can bring it.
    pub releasable_from: Option<String>,
    /// What a person may do next, in words.
    pub next_step: String,
}

csv_fields!(ResolveView<'a>: id, creator_id, amount_cents, currency, attempt, result, transfer_id, found, releasable, reason_code, reason, releasable_from, next_step);

impl<'a> ResolveView<'a> {
    /// Of a payout that was looked at.
    pub fn new(looked: &'a Looked, currency: Currency) -> Self {
        let not_yet = looked
            .release
            .as_ref()
            .and_then(|release| release.as_ref().err());
        Self {
            id: looked.payout_id.as_str(),
            creator_id: looked.creator_id.as_str(),
            amount_cents: looked.amount_cents,
            currency: currency.as_str(),
            attempt: looked.open.as_ref().map(|open| open.number),
            result: looked.outcome.as_str(),
            transfer_id: looked.transfer_id.as_deref(),
            found: &looked.found,
            releasable: looked.release.as_ref().map(Result::is_ok),
            reason_code: not_yet.map(|not_yet| not_yet.lacking.code()),
            reason: not_yet.map(|not_yet| not_yet.lacking.in_words()),
            releasable_from: not_yet
                .and_then(|not_yet| not_yet.from)
                .map(|from| from.to_string()),
            next_step: looked.next_step(),
        }
    }
}

/// What `resolve` says besides the payouts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResolveMembers {
    /// Payouts whose transfer was recorded now.
    pub adopted: usize,
    /// Payouts that a person let go of now.
    pub released: usize,
    /// Payouts that stay in doubt.
    pub unresolved: usize,
}

impl ResolveMembers {
    /// Of what was looked at.
    pub fn of(looked: &[Looked]) -> Self {
        let of = |outcome: Outcome| looked.iter().filter(|one| one.outcome == outcome).count();
        Self {
            adopted: of(Outcome::Adopted),
            released: of(Outcome::Released),
            unresolved: looked.iter().filter(|one| one.outcome.is_open()).count(),
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
    /// When it ends by itself; null where somebody must let go.
    pub ends_at: Option<String>,
    /// PENDING payouts it is about.
    pub due: i64,
    /// Their sum.
    pub due_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
}

csv_fields!(HoldLineView<'a>: kind, target, held, changed, reason, actor, created_at, ends_at, due, due_cents, currency);

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
            ends_at: hold
                .and_then(|hold| hold.ends_at)
                .map(|end| end.to_string()),
            due: line.due.count,
            due_cents: line.due.amount_cents,
            currency: currency.as_str(),
        }
    }
}
