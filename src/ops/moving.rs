//! Payouts that are about to be moved by hand, and those that are not, with why.

use std::collections::HashMap;

use crate::model::ids::{CreatorId, PayoutId};
use crate::model::payout::Payout;
use crate::model::standing::{Refusal, Standing};
use crate::store::payouts::{PageOf, PayoutFilter, PayoutOrder, SortBy};
use crate::store::standing::{Decided, MOVED_AT_ONCE};
use crate::store::{Store, StoreError};

/// A payout, as far as a table of moved ones tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving {
    /// Which.
    pub payout_id: PayoutId,
    /// Whom it pays.
    pub creator_id: CreatorId,
    /// Minor units.
    pub amount_cents: i32,
    /// Failed attempts.
    pub retry_count: i32,
    /// Stripe's code in the last refusal.
    pub code: Option<String>,
    /// The finding that says a transfer was made for it.
    pub finding: Option<String>,
    /// The account an approval is bound to; none where nobody approves anything.
    pub destination: Option<String>,
}

impl From<Standing> for Moving {
    fn from(standing: Standing) -> Self {
        Self {
            code: standing.code().map(str::to_owned),
            finding: standing.found.map(|found| found.finding),
            destination: None,
            payout_id: standing.payout.id,
            creator_id: standing.payout.creator_id,
            amount_cents: standing.payout.amount_cents,
            retry_count: standing.payout.retry_count,
        }
    }
}

/// What would be moved and what not; once carried out, what was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order they are moved.
    pub chosen: Vec<Moving>,
    /// Left alone, and why: the first [`REFUSED_KEPT`] of them.
    pub refused: Vec<(Moving, Refusal)>,
    /// Those left alone beyond them.
    pub refused_more: usize,
}

/// Refused payouts that are kept to be told; the rest is counted.
pub const REFUSED_KEPT: usize = 1000;

impl Plan {
    /// Leaves one alone.
    pub(super) fn refuse(&mut self, one: Moving, refusal: Refusal) {
        if self.refused.len() < REFUSED_KEPT {
            self.refused.push((one, refusal));
        } else {
            self.refused_more += 1;
        }
    }

    /// How many are left alone.
    pub fn refused_count(&self) -> usize {
        self.refused.len().saturating_add(self.refused_more)
    }

    /// What the chosen ones come to, minor units.
    pub fn total_cents(&self) -> i64 {
        self.chosen
            .iter()
            .fold(0, |sum, one| sum.saturating_add(one.amount_cents.into()))
    }

    /// Moves the chosen ones, [`MOVED_AT_ONCE`] in a transaction. Those that
    /// cannot be moved any more join the refused.
    pub(super) fn carry_out(
        self,
        mut moves: impl FnMut(&[PayoutId]) -> Result<Vec<Decided>, StoreError>,
    ) -> Result<Self, StoreError> {
        let mut done = Self {
            chosen: Vec::with_capacity(self.chosen.len()),
            refused: self.refused,
            refused_more: self.refused_more,
        };
        for chunk in self.chosen.chunks(MOVED_AT_ONCE) {
            let ids: Vec<PayoutId> = chunk.iter().map(|one| one.payout_id.clone()).collect();
            let mut decided: HashMap<PayoutId, Decided> = moves(&ids)?
                .into_iter()
                .map(|one| (one.0.payout.id.clone(), one))
                .collect();
            for planned in chunk {
                match decided.remove(&planned.payout_id) {
                    Some((standing, Ok(()))) => done.chosen.push(Moving::from(standing)),
                    Some((standing, Err(refusal))) => {
                        done.refuse(Moving::from(standing), refusal);
                    }
                    // Its row was deleted meanwhile.
                    None => done.refuse(planned.clone(), Refusal::Changed),
                }
            }
        }
        Ok(done)
    }
}

/// Visits the payouts that match, in the order of the queue, until a visit says
/// that this is enough.
pub(super) fn each_oldest_first(
    store: &mut Store,
    filter: &PayoutFilter,
    mut visit: impl FnMut(Standing) -> bool,
) -> Result<(), StoreError> {
    let mut after: Option<Payout> = None;
    loop {
        let page = PageOf {
            order: PayoutOrder {
                by: SortBy::Created,
                reversed: true,
            },
            after: after.as_ref(),
            rows_max: MOVED_AT_ONCE,
        };
        let standings = store.standings_page(filter, page)?;
        let Some(last) = standings.last() else {
            return Ok(());
        };
        after = Some(last.payout.clone());
        for standing in standings {
            if visit(standing) {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_beyond_the_bound_is_counted() {
        let one = Moving {
            payout_id: PayoutId::new("p1"),
            creator_id: CreatorId::new("c1"),
            amount_cents: 1,
            retry_count: 0,
            code: None,
            finding: None,
            destination: None,
        };
        let mut plan = Plan::default();
        for _ in 0..REFUSED_KEPT + 2 {
            plan.refuse(one.clone(), Refusal::AttemptsUsedUp);
        }
        assert_eq!(
            (plan.refused.len(), plan.refused_count()),
            (REFUSED_KEPT, REFUSED_KEPT + 2)
        );
    }
}
