//! Putting failed payouts back into the queue: the same row, never a new one, and
//! only after a definite no, so that the new key that follows cannot pay twice.
//!
//! [`plan`] chooses and changes nothing; [`execute`] asks the same rule again for
//! each payout, in the transaction that moves it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::ids::{BatchId, CreatorId, PayoutId, StatementId};
use crate::model::payout::PayoutStatus;
use crate::model::standing::{
    Asked, Refusal, RetryRules, Standing, first_of_its_statement, may_retry,
};
use crate::model::time::Time;
use crate::ops::moving::{Moving, Plan, each_oldest_first};
use crate::store::payouts::PayoutFilter;
use crate::store::{RunStamp, Store, StoreError};
use crate::stripe::classify::may_retry_automatically;

/// The settings, and the outcome table's word on what needs no person.
pub fn rules(retries_max: i32, delays: Vec<Duration>) -> RetryRules {
    RetryRules {
        retries_max,
        delays,
        automatic: may_retry_automatically,
    }
}

/// Which failed payouts.
#[derive(Debug, Clone)]
pub enum Which {
    /// These, each named by a person.
    Ids(Vec<PayoutId>),
    /// Those that were refused with some code, and lie within bounds.
    Search(Search),
}

/// What failed payouts are looked for by.
#[derive(Debug, Clone)]
pub struct Search {
    /// How far it goes.
    pub asked: Asked,
    /// Refused with this code; none is any that `asked` covers.
    pub code: Option<String>,
    /// Only this batch.
    pub batch: Option<BatchId>,
    /// Only this creator.
    pub creator: Option<CreatorId>,
}

/// How a retry is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which.
    pub which: Which,
    /// At most so many.
    pub payouts_max: usize,
    /// Also those whose attempts are used up.
    pub force: bool,
    /// The settings.
    pub rules: RetryRules,
}

impl Request {
    fn asked(&self) -> Asked {
        match &self.which {
            Which::Ids(_) => Asked::Named,
            Which::Search(search) => search.asked,
        }
    }
}

/// Chooses what would be put back, oldest first, and says why the others are not.
/// Changes nothing.
pub fn plan(store: &mut Store, request: &Request) -> Result<Plan, StoreError> {
    let mut choice = Choice {
        request,
        now: store.clock().now(),
        taken: BTreeSet::new(),
        plan: Plan::default(),
    };
    match &request.which {
        Which::Ids(ids) => {
            for standing in store.standings(ids)? {
                choice.consider(standing);
            }
        }
        Which::Search(search) => {
            let filter = PayoutFilter {
                statuses: vec![PayoutStatus::Failed],
                batch: search.batch.clone(),
                creators: search.creator.clone().map(|creator| vec![creator]),
                ..PayoutFilter::default()
            };
            each_oldest_first(store, &filter, |standing| {
                if covers(search, &standing, &request.rules) {
                    choice.consider(standing);
                }
                choice.is_full()
            })?;
        }
    }
    Ok(choice.plan)
}

/// A plan that grows.
struct Choice<'a> {
    request: &'a Request,
    now: Time,
    taken: BTreeSet<StatementId>,
    plan: Plan,
}

impl Choice<'_> {
    fn is_full(&self) -> bool {
        self.plan.chosen.len() >= self.request.payouts_max
    }

    fn consider(&mut self, standing: Standing) {
        if self.is_full() {
            return;
        }
        let Request { rules, force, .. } = self.request;
        let asked = self.request.asked();
        let verdict = may_retry(&standing, rules, asked, *force, self.now);
        match first_of_its_statement(&standing, verdict, &mut self.taken) {
            Ok(()) => self.plan.chosen.push(Moving::from(standing)),
            // Nobody named it, and it comes by itself: nothing to tell.
            Err(Refusal::BackOff) => {}
            Err(refusal) => self.plan.refuse(Moving::from(standing), refusal),
        }
    }
}

/// Whether a search is about this payout at all. What was cancelled, what other
/// software failed, and what is left to a person are none of its business.
fn covers(search: &Search, standing: &Standing, rules: &RetryRules) -> bool {
    let Some(code) = standing.code().filter(|_| !standing.cancelled) else {
        return false;
    };
    match &search.code {
        Some(wanted) if wanted != code => false,
        _ => search.asked == Asked::Named || (rules.automatic)(code),
    }
}

/// Puts the chosen payouts back. What cannot be moved any more joins the refused.
pub fn execute(
    store: &mut Store,
    run: &RunStamp,
    request: &Request,
    plan: Plan,
) -> Result<Plan, StoreError> {
    plan.carry_out(|ids| {
        store.payouts_retry(run, ids, &request.rules, request.asked(), request.force)
    })
}
