//! Proof that somebody agreed to a payment.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::ids::PayoutId;
use crate::store::queue::Mark;

/// What was agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// Nothing behind this row of the queue; none when the configuration agreed
    /// to whatever is due.
    pub until: Option<Mark>,
    /// What was shown: amount and destination of each payout. None when the
    /// configuration agreed to whatever is due.
    pub rows: Option<Arc<HashMap<PayoutId, (i32, String)>>>,
    /// Of the unresolved attempts that may go out again, in order, so many.
    pub resends_max: usize,
    /// At most this many payouts.
    pub payouts_max: u64,
    /// At most this much, minor units.
    pub total_max_cents: i64,
    /// From this account.
    pub account: String,
    /// Real money.
    pub livemode: bool,
}

/// A person, or the configuration where there is nobody to ask, agreed to
/// exactly this. Whatever moves money takes one, so that forgetting to ask does
/// not compile; only `cli::consent` makes one, right after showing the plan.
#[derive(Debug)]
pub struct Consent(Agreement);

impl Consent {
    /// The one constructor. A test holds its only caller to be `cli::consent`.
    pub fn given_for(agreement: Agreement) -> Self {
        Self(agreement)
    }

    /// What was agreed to.
    pub fn agreement(&self) -> &Agreement {
        &self.0
    }
}
