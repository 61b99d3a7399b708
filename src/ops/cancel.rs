//! Ending payouts that were never sent, or that Stripe refused.
//!
//! [`plan`] chooses and changes nothing; [`execute`] asks the same rule again for
//! each payout, in the transaction that ends it.

use crate::model::ids::{BatchId, PayoutId};
use crate::model::standing::{Refusal, Standing, may_cancel};
use crate::ops::moving::{Moving, Plan, each_oldest_first};
use crate::store::payouts::PayoutFilter;
use crate::store::{RunStamp, Store, StoreError};

/// Which payouts.
#[derive(Debug, Clone)]
pub enum Which {
    /// These.
    Ids(Vec<PayoutId>),
    /// All of this batch.
    Batch(BatchId),
}

/// Chooses what would be ended and says why the others are not. What was
/// cancelled before is neither: nothing is left to do about it. Changes nothing.
pub fn plan(store: &mut Store, which: &Which) -> Result<Plan, StoreError> {
    let mut plan = Plan::default();
    match which {
        Which::Ids(ids) => {
            for standing in store.standings(ids)? {
                consider(&mut plan, standing);
            }
        }
        Which::Batch(batch) => {
            let filter = PayoutFilter {
                batch: Some(batch.clone()),
                ..PayoutFilter::default()
            };
            each_oldest_first(store, &filter, |standing| {
                consider(&mut plan, standing);
                false
            })?;
        }
    }
    Ok(plan)
}

fn consider(plan: &mut Plan, standing: Standing) {
    match may_cancel(&standing) {
        Ok(()) => plan.chosen.push(Moving::from(standing)),
        Err(Refusal::Cancelled) => {}
        Err(refusal) => plan.refuse(Moving::from(standing), refusal),
    }
}

/// Ends the chosen payouts. What cannot be ended any more joins the refused.
pub fn execute(
    store: &mut Store,
    run: &RunStamp,
    reason: &str,
    plan: Plan,
) -> Result<Plan, StoreError> {
    plan.carry_out(|ids| store.payouts_cancel(run, ids, reason))
}
