//! Approving payouts: a second person agrees to what a payout is now.
//!
//! [`plan`] chooses and changes nothing; [`execute`] asks the same rule again for each
//! payout, in the transaction that writes the approval, and writes none for a payout
//! that is not what was shown any more.

use std::collections::HashMap;

use crate::model::approval::Content;
use crate::model::ids::{BatchId, PayoutId};
use crate::model::standing::{Refusal, Standing, may_approve};
use crate::ops::moving::{Moving, Plan, each_oldest_first};
use crate::store::payouts::PayoutFilter;
use crate::store::standing::MOVED_AT_ONCE;
use crate::store::{RunStamp, Store, StoreError};

/// What is to be approved, or not any more.
#[derive(Debug, Clone, Default)]
pub struct Approving {
    /// What a person is shown.
    pub plan: Plan,
    /// What each chosen payout is: the approval is bound to it.
    shown: HashMap<PayoutId, Content>,
    /// Approved before by the same person, as they are now.
    pub before: usize,
    /// Only roles of the database count.
    roles_only: bool,
}

/// Which payouts: these, and all of these batches.
#[derive(Debug, Clone, Default)]
pub struct Which {
    /// Each once.
    pub payouts: Vec<PayoutId>,
    /// Each once.
    pub batches: Vec<BatchId>,
}

/// Chooses what `actor` would approve and says why not the others. Of batches what is
/// paid or cancelled is left out without a word: nothing is left to approve of it.
pub fn plan(
    store: &mut Store,
    which: &Which,
    actor: &str,
    roles_only: bool,
) -> Result<Approving, StoreError> {
    let mut approving = Approving {
        roles_only,
        ..Approving::default()
    };
    for chunk in which.payouts.chunks(MOVED_AT_ONCE) {
        let named = store.standings(chunk)?;
        approving.consider(store, named, actor)?;
    }
    for standings in of_batches(store, which)? {
        let open = |one: &Standing| !one.cancelled && one.payout.stripe_transfer_id.is_none();
        let open: Vec<Standing> = standings.into_iter().filter(open).collect();
        approving.consider(store, open, actor)?;
    }
    Ok(approving)
}

/// Chooses the payouts whose approvals would be taken back. Changes nothing.
pub fn plan_withdrawal(store: &mut Store, which: &Which) -> Result<Approving, StoreError> {
    let mut approving = Approving::default();
    for chunk in which.payouts.chunks(MOVED_AT_ONCE) {
        let named = store.standings(chunk)?;
        approving.consider_withdrawal(store, named, true)?;
    }
    for standings in of_batches(store, which)? {
        approving.consider_withdrawal(store, standings, false)?;
    }
    Ok(approving)
}

fn of_batches(store: &mut Store, which: &Which) -> Result<Vec<Vec<Standing>>, StoreError> {
    let mut all: Vec<Standing> = Vec::new();
    for batch in &which.batches {
        let filter = PayoutFilter {
            batch: Some(batch.clone()),
            ..PayoutFilter::default()
        };
        each_oldest_first(store, &filter, |standing| {
            if !which.payouts.contains(&standing.payout.id) {
                all.push(standing);
            }
            false
        })?;
    }
    let mut chunks = Vec::with_capacity(all.len() / MOVED_AT_ONCE + 1);
    while !all.is_empty() {
        let rest = all.split_off(all.len().min(MOVED_AT_ONCE));
        chunks.push(std::mem::replace(&mut all, rest));
    }
    Ok(chunks)
}

impl Approving {
    fn consider(
        &mut self,
        store: &mut Store,
        standings: Vec<Standing>,
        actor: &str,
    ) -> Result<(), StoreError> {
        let ids: Vec<PayoutId> = standings.iter().map(|one| one.payout.id.clone()).collect();
        let mut there = store.approvable(&ids)?;
        for standing in standings {
            let one = there.remove(&standing.payout.id).unwrap_or_default();
            let has_account = one.content.is_some();
            let verdict = may_approve(&standing, &one.facts, has_account, actor, self.roles_only);
            let mut moving = Moving::from(standing);
            moving.destination = one.content.as_ref().map(|c| c.destination.clone());
            match (verdict, one.content) {
                (Ok(()), Some(content)) => {
                    let given = |a: &crate::model::approval::Approval| {
                        a.actor == actor && a.covers(&content)
                    };
                    if one.facts.approvals.iter().any(given) {
                        self.before += 1;
                        continue;
                    }
                    self.shown.insert(moving.payout_id.clone(), content);
                    self.plan.chosen.push(moving);
                }
                (Ok(()), None) => self.plan.refuse(moving, Refusal::NoStripeAccount),
                (Err(refusal), _) => self.plan.refuse(moving, refusal),
            }
        }
        Ok(())
    }

    fn consider_withdrawal(
        &mut self,
        store: &mut Store,
        standings: Vec<Standing>,
        named: bool,
    ) -> Result<(), StoreError> {
        let ids: Vec<PayoutId> = standings.iter().map(|one| one.payout.id.clone()).collect();
        let there = store.approvable(&ids)?;
        for standing in standings {
            let one = there.get(&standing.payout.id);
            let given = one.is_some_and(|one| !one.facts.approvals.is_empty());
            let moving = Moving::from(standing);
            if given {
                self.plan.chosen.push(moving);
            } else if named {
                self.plan.refuse(moving, Refusal::NotApproved);
            }
        }
        Ok(())
    }

    /// The same, with where each payout goes.
    fn with_destinations(mut self) -> Self {
        for one in &mut self.plan.chosen {
            one.destination = self
                .shown
                .get(&one.payout_id)
                .map(|content| content.destination.clone());
        }
        self
    }
}

/// Approves what was chosen and shown.
pub fn execute(
    store: &mut Store,
    run: &RunStamp,
    reason: Option<&str>,
    approving: Approving,
) -> Result<Approving, StoreError> {
    let Approving {
        plan,
        shown,
        before,
        roles_only,
    } = approving;
    let plan = plan.carry_out(|ids| store.payouts_approve(run, ids, &shown, roles_only, reason))?;
    let done = Approving {
        plan,
        shown,
        before,
        roles_only,
    };
    Ok(done.with_destinations())
}

/// Takes back the approvals of what was chosen.
pub fn withdraw(
    store: &mut Store,
    run: &RunStamp,
    reason: Option<&str>,
    approving: Approving,
) -> Result<Approving, StoreError> {
    let plan = approving
        .plan
        .carry_out(|ids| store.approvals_withdraw(run, ids, reason))?;
    Ok(Approving {
        plan,
        ..Approving::default()
    })
}
