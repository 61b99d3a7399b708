//! Holding what must not be paid for now, and letting it go.
//!
//! A hold is looked at before every send, so it stops a run that is under way;
//! money that is on its way already it does not call back. Doing the same twice
//! changes nothing the second time: the first hold and its reason stand.

use crate::model::hold::{Hold, HoldKind, HoldTarget};
use crate::model::ids::{BatchId, CreatorId, PayoutId};
use crate::model::listing::Total;
use crate::model::payout::PayoutStatus;
use crate::model::time::Time;
use crate::store::payouts::PayoutFilter;
use crate::store::{RunStamp, Store, StoreError};

/// What stands on one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldLine {
    /// What is held, or not.
    pub target: HoldTarget,
    /// It is held now.
    pub held: bool,
    /// It was not until now, or is not any more.
    pub changed: bool,
    /// The hold that stands or was lifted just now; none when there was none.
    pub hold: Option<Hold>,
    /// The PENDING payouts it is about.
    pub due: Total,
}

/// What stands on each of these. Changes nothing.
pub fn look(store: &mut Store, targets: &[HoldTarget]) -> Result<Vec<HoldLine>, StoreError> {
    targets
        .iter()
        .map(|target| {
            let hold = store.hold_on(target)?;
            Ok(HoldLine {
                target: target.clone(),
                held: hold.is_some(),
                changed: false,
                hold,
                due: pending(store, target)?,
            })
        })
        .collect()
}

/// Holds all of these, or those of them that are not held yet, until `ends_at` where
/// there is an end.
pub fn set(
    store: &mut Store,
    run: &RunStamp,
    targets: &[HoldTarget],
    reason: &str,
    ends_at: Option<Time>,
) -> Result<Vec<HoldLine>, StoreError> {
    let changed = store.holds_set(run, targets, reason, ends_at)?;
    let lines = look(store, targets)?.into_iter().zip(changed);
    Ok(lines
        .map(|(line, changed)| HoldLine { changed, ..line })
        .collect())
}

/// Lets all of these go that were looked at.
pub fn release(
    store: &mut Store,
    run: &RunStamp,
    looked: Vec<HoldLine>,
    note: Option<&str>,
) -> Result<Vec<HoldLine>, StoreError> {
    let targets: Vec<HoldTarget> = looked.iter().map(|line| line.target.clone()).collect();
    let changed = store.holds_release(run, &targets, note)?;
    let lines = looked.into_iter().zip(changed);
    Ok(lines
        .map(|(line, changed)| HoldLine {
            held: false,
            changed,
            ..line
        })
        .collect())
}

/// The PENDING payouts that a hold is about.
fn pending(store: &mut Store, target: &HoldTarget) -> Result<Total, StoreError> {
    let id = target.id.as_str();
    let totals = match target.kind {
        HoldKind::Payout => {
            let payout = store.payout_get(&PayoutId::new(id))?;
            let pending = payout.status == PayoutStatus::Pending;
            return Ok(if pending {
                Total {
                    count: 1,
                    amount_cents: payout.amount_cents.into(),
                }
            } else {
                Total::default()
            });
        }
        HoldKind::Creator => store.creator_totals(&CreatorId::new(id))?,
        HoldKind::Batch => store.batch_totals(&BatchId::new(id))?,
        HoldKind::All => store.payout_totals(&PayoutFilter {
            statuses: vec![PayoutStatus::Pending],
            ..PayoutFilter::default()
        })?,
    };
    Ok(totals.of(PayoutStatus::Pending))
}
