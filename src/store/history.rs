//! Appending to the history: every change of a payout goes through here, in
//! the transaction that makes the change.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use crate::model::history::{Change, HistoryEvent, HistoryHead, HistoryRow};

pub(crate) use crate::model::history::HeadsHash;
use crate::model::ids::PayoutId;
use crate::model::schema::{payout_history, payout_history_heads, payouts};
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::dialect::{self, IDS_MAX, among};
use crate::store::runs::RunStamp;
use crate::store::{Store, StoreError, notifications};

/// Rows of one statement: a file may bring a million.
const WRITTEN_TOGETHER_MAX: usize = 10_000;

/// Appends changes to the chains of their payouts, in order. The caller holds
/// the payouts' row locks, so that no two writers extend the same chain; the
/// database refuses it if they do. What of it a creator is to hear of becomes a mail
/// that waits.
pub(crate) fn append_in_tx(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    changes: Vec<Change>,
) -> Result<HeadsHash, StoreError> {
    let mut written = HeadsHash::default();
    if changes.is_empty() {
        return Ok(written);
    }
    let mut heads = heads_of(conn, &changes)?;
    let mut rows = Vec::with_capacity(changes.len());
    for change in changes {
        let row = change.clone().into_row(
            heads.get(&change.payout_id),
            now,
            &stamp.actor,
            &stamp.run_id,
        );
        written.absorb(&row.payout_id, row.seq.into(), &row.hash);
        let head = HistoryHead {
            payout_id: change.payout_id,
            seq: row.seq,
            hash: row.hash.clone(),
        };
        heads.insert(head.payout_id.clone(), head);
        rows.push(row);
    }
    for chunk in rows.chunks(WRITTEN_TOGETHER_MAX) {
        dialect::history_append(conn, chunk)?;
        notifications::due_in_tx(conn, chunk)?;
    }
    Ok(written)
}

/// Begins the chains of new payouts, one change each.
pub(crate) fn begin_in_tx(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    changes: impl Iterator<Item = Change>,
) -> Result<HeadsHash, StoreError> {
    let mut written = HeadsHash::default();
    let rows: Vec<HistoryRow> = changes
        .map(|change| {
            let row = change.into_row(None, now, &stamp.actor, &stamp.run_id);
            written.absorb(&row.payout_id, row.seq.into(), &row.hash);
            row
        })
        .collect();
    dialect::history_begin(conn, &rows)?;
    Ok(written)
}

/// Those of some payouts that were cancelled. The history says so, because other
/// software can rewrite a payout's row and not its history.
pub(crate) fn cancelled_in_tx<'a>(
    conn: &mut AnyConnection,
    ids: impl IntoIterator<Item = &'a PayoutId>,
) -> Result<HashSet<PayoutId>, StoreError> {
    let ids: Vec<&PayoutId> = ids.into_iter().collect();
    let mut cancelled = HashSet::new();
    for chunk in ids.chunks(IDS_MAX) {
        let found: Vec<PayoutId> = payout_history::table
            .filter(payout_history::payout_id.eq_any(chunk.iter().copied()))
            .filter(payout_history::event.eq(HistoryEvent::Cancelled))
            .select(payout_history::payout_id)
            .load(conn)?;
        cancelled.extend(found);
    }
    Ok(cancelled)
}

/// Whether the payout of a row was cancelled, as a column of a query; for what
/// [`cancelled_in_tx`] asks about many.
#[diesel::dsl::auto_type]
pub(crate) fn was_cancelled() -> _ {
    let cancelled: HistoryEvent = HistoryEvent::Cancelled;
    diesel::dsl::exists(
        payout_history::table
            .filter(payout_history::payout_id.eq(payouts::id))
            .filter(payout_history::event.eq(cancelled)),
    )
}

/// The ends of the chains that the changes extend.
fn heads_of(
    conn: &mut AnyConnection,
    changes: &[Change],
) -> Result<HashMap<PayoutId, HistoryHead>, StoreError> {
    // A new payout has no chain yet: nothing to look up for a batch of a million.
    let ids: Vec<&PayoutId> = changes
        .iter()
        .filter(|c| c.event != HistoryEvent::Created)
        .map(|c| &c.payout_id)
        .collect();
    let mut heads = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(IDS_MAX) {
        let found: Vec<HistoryHead> = payout_history_heads::table
            .filter(among(payout_history_heads::payout_id, chunk))
            .select((
                payout_history_heads::payout_id,
                payout_history_heads::seq,
                payout_history_heads::hash,
            ))
            .load(conn)?;
        heads.extend(found.into_iter().map(|head| (head.payout_id.clone(), head)));
    }
    Ok(heads)
}

impl Store {
    /// The whole history of one payout, oldest first.
    pub fn history_of(&mut self, payout: &PayoutId) -> Result<Vec<HistoryRow>, StoreError> {
        self.read(|conn| {
            Ok(payout_history::table
                .filter(payout_history::payout_id.eq(payout))
                .order(payout_history::seq)
                .load(conn)?)
        })
    }
}
