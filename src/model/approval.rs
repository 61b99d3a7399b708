//! Four eyes: from some amount on a second person approves a payout before it is sent.
//!
//! An approval is bound to what the approver saw: whom the payout pays, how much, and
//! where to. When any of it changes, the approval counts no more. It is asked for in
//! the one rule that decides about every send ([`crate::model::payout::may_send`]), so
//! that no path goes around it.

use crate::model::ids::{CreatorId, PayoutId, RunId};
use crate::model::payout::{Candidate, Payout, Skip};
use crate::model::schema::payout_approvals;
use crate::model::time::Time;

/// How the name of an actor begins that is a role of the database. Nobody can take such
/// a name by setting a variable.
pub const ROLE_PREFIX: &str = "role:";

/// One person's approval of one payout.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_approvals, treat_none_as_default_value = false)]
pub struct Approval {
    /// What was approved.
    pub payout_id: PayoutId,
    /// Who approved it.
    pub actor: String,
    /// Whom it paid then.
    pub creator_id: CreatorId,
    /// How much it was then, minor units.
    pub amount_cents: i32,
    /// Where it went then.
    pub destination: String,
    /// Why, if somebody said.
    pub reason: Option<String>,
    /// In which run.
    pub run_id: RunId,
    /// When.
    pub approved_at: Time,
}

/// What an approval is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Whom the payout pays.
    pub creator_id: CreatorId,
    /// How much, minor units.
    pub amount_cents: i32,
    /// The creator's Stripe account.
    pub destination: String,
}

impl Content {
    /// What there is to approve of a payout; nothing while its creator has no account.
    pub fn of(payout: &Payout, destination: Option<&str>) -> Option<Self> {
        let destination = destination.filter(|account| !account.is_empty())?;
        Some(Self {
            creator_id: payout.creator_id.clone(),
            amount_cents: payout.amount_cents,
            destination: destination.to_owned(),
        })
    }
}

impl Approval {
    /// Whether it was given for this content.
    pub fn covers(&self, content: &Content) -> bool {
        self.creator_id == content.creator_id
            && self.amount_cents == content.amount_cents
            && self.destination == content.destination
    }
}

/// What decides whether a payout is approved, read with its row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovalFacts {
    /// Who created it; none when other software did.
    pub maker: Option<String>,
    /// Every approval of it, whatever it was given for.
    pub approvals: Vec<Approval>,
    /// What its batch pays its creator in all, whatever became of each payout, minor
    /// units; zero without a batch.
    pub batch_creator_cents: i64,
}

/// Whether two names are one person's, however they typed it.
pub fn is_same_actor(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.split_whitespace().collect::<String>().to_lowercase();
    plain(one) == plain(other)
}

/// When an approval is needed, and which counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRule {
    /// From this amount on, minor units; zero: every payout.
    pub threshold_cents: i64,
    /// Makers and approvers count only as roles of the database.
    pub roles_only: bool,
}

impl ApprovalRule {
    /// Whether a payout needs an approval: by its own amount, or by what its batch pays
    /// its creator, so that splitting an amount does not get around it.
    pub fn asks_for(&self, payout: &Payout, facts: &ApprovalFacts) -> bool {
        let most = facts.batch_creator_cents.max(payout.amount_cents.into());
        most >= self.threshold_cents
    }

    /// Whether somebody else than the maker may count as the approver.
    pub fn lets(&self, actor: &str, facts: &ApprovalFacts) -> bool {
        let known = |name: &str| !self.roles_only || name.starts_with(ROLE_PREFIX);
        let maker = facts.maker.as_deref();
        known(actor) && maker.is_none_or(|maker| known(maker) && !is_same_actor(maker, actor))
    }

    /// Decides whether a payout may be sent, as far as approvals go.
    ///
    /// # Errors
    /// [`Skip::NotApproved`], also when nobody read what decides it.
    pub fn check(&self, candidate: &Candidate) -> Result<(), Skip> {
        let payout = &candidate.payout;
        let facts = candidate.approval.as_ref().ok_or(Skip::NotApproved)?;
        if !self.asks_for(payout, facts) {
            return Ok(());
        }
        let content = Content::of(payout, candidate.destination.as_deref());
        let content = content.ok_or(Skip::NotApproved)?;
        let approved = facts
            .approvals
            .iter()
            .any(|one| one.covers(&content) && self.lets(&one.actor, facts));
        if approved {
            Ok(())
        } else {
            Err(Skip::NotApproved)
        }
    }
}
