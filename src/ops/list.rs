//! Walking a list of payouts, a part at a time.

use crate::model::ids::PayoutId;
use crate::model::listing::{ListRules, ListedPayout, Totals};
use crate::model::payout::Payout;
use crate::store::payouts::{PageOf, PayoutFilter, PayoutOrder};
use crate::store::{Store, StoreError};

/// Rows that are read, and held in memory, at once.
pub const ROWS_AT_ONCE: usize = 10_000;

/// Which payouts, in which order, and how many of them.
#[derive(Debug, Clone)]
pub struct ListRequest {
    /// Which.
    pub filter: PayoutFilter,
    /// In which order.
    pub order: PayoutOrder,
    /// Only those behind this one.
    pub after: Option<Payout>,
    /// At most so many; none for all.
    pub limit: Option<usize>,
    /// What the lines are judged by.
    pub rules: ListRules,
    /// Whether anybody wants the totals, which cost a look at every payout that matches.
    pub totals: bool,
}

/// What there is to say once the rows are out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// Of all that match, wherever the rows began and ended.
    pub totals: Option<Totals>,
    /// The last row's id, when more rows match.
    pub next: Option<PayoutId>,
}

/// Hands the rows on, a part at a time. A part and the totals, which come with
/// the first, are of one state of the database; between two parts others may
/// write. Sorted by creation, every payout comes once all the same.
///
/// # Errors
/// What the store reports, or what `part` returns.
pub fn walk<E: From<StoreError>>(
    store: &mut Store,
    request: &ListRequest,
    mut part: impl FnMut(&[ListedPayout]) -> Result<(), E>,
) -> Result<Walked, E> {
    let mut walked = Walked {
        totals: None,
        next: None,
    };
    let mut left = request.limit.unwrap_or(usize::MAX);
    let mut after = request.after.clone();
    loop {
        let wanted = left.min(ROWS_AT_ONCE);
        let page = PageOf {
            order: request.order,
            after: after.as_ref(),
            // One more, to know whether the list goes on.
            rows_max: wanted.saturating_add(1),
        };
        let mut rows = if request.totals && walked.totals.is_none() {
            let (rows, totals) =
                store.payout_list_with_totals(&request.filter, page, &request.rules)?;
            walked.totals = Some(totals);
            rows
        } else {
            store.payout_list(&request.filter, page, &request.rules)?
        };
        let more = rows.len() > wanted;
        rows.truncate(wanted);
        part(&rows)?;
        left = left.saturating_sub(rows.len());
        let last = rows.pop().map(|last| last.payout);
        if !more || left == 0 {
            walked.next = last.filter(|_| more).map(|last| last.id);
            return Ok(walked);
        }
        after = last;
    }
}
