//! Rows that other software wrote, and transfers this database should know.

use std::collections::{HashMap, HashSet};

use diesel::dsl::{exists, min, not};
use diesel::prelude::*;

use crate::model::attempt::AttemptOutcome;
use crate::model::history::HistoryEvent;
use crate::model::ids::PayoutId;
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::reconciliation::FindingState;
use crate::model::schema::{
    creators, payout_attempts, payout_batch_items, payout_history, payouts,
};
use crate::model::time::Time;
use crate::store::queue::{Mark, QueueFilter};
use crate::store::{Store, StoreError, dialect, findings, history, ledger, queue};

/// A transfer that may be one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTransfer {
    /// `tr_…`.
    pub transfer_id: String,
    /// The payouts it names, by its metadata or its group.
    pub payout_ids: Vec<PayoutId>,
    /// It bears this database's id.
    pub of_this_database: bool,
    /// All of it was reversed.
    pub taken_back: bool,
}

/// What this database knows of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// An attempt or a payout holds it, a person has accepted it, or it was one too many
    /// and taken back whole.
    Remembered,
    /// Nothing of this database's.
    Foreign,
    /// This database made it, or it pays one of its payouts, and nothing here says so.
    Forgotten,
    /// It names a payout of which an attempt is open: it may be its transfer.
    InDoubt,
}

/// What people have decided about payouts, and about transfers that name them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decided {
    /// Those that were cancelled: nothing is owed on them any more.
    pub cancelled: HashSet<PayoutId>,
    /// A payout, and a transfer of which a person accepted that it names it as it is.
    pub accepted: HashSet<(PayoutId, String)>,
}

/// Rows of the queue that are looked at in one stretch: so few in tests that every
/// queue has several.
pub const STRETCH_ROWS: usize = if cfg!(feature = "testing") { 3 } else { 1000 };

/// What other software wrote or touched in a stretch of the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stretch {
    /// Since when there is any; none when there is none.
    pub since: Option<Time>,
    /// What of it may be sent once Stripe was searched: rows that bear no marks.
    pub clean: Vec<PayoutId>,
    /// The last row that was looked at; none at the end of the queue.
    pub until: Option<Mark>,
}

impl Store {
    /// Of each of these transfers, in their order, what this database knows of it. One too
    /// many that was taken back whole is remembered by the payment it stands beside.
    pub fn transfers_known(
        &mut self,
        transfers: &[NamedTransfer],
    ) -> Result<Vec<Known>, StoreError> {
        let ids: Vec<&PayoutId> = transfers
            .iter()
            .flat_map(|transfer| &transfer.payout_ids)
            .collect();
        let transfer_ids: Vec<&str> = transfers.iter().map(|t| t.transfer_id.as_str()).collect();
        self.read(|conn| {
            let held = ledger::holders_of(conn, &transfer_ids)?;
            let accepted = findings::accepted_of(conn, &transfer_ids)?;
            let mut in_doubt: HashMap<PayoutId, bool> = HashMap::new();
            let mut paid: HashSet<PayoutId> = HashSet::new();
            // Whether each may still be sent.
            let mut rows: HashMap<PayoutId, bool> = HashMap::new();
            let mut ours: HashSet<PayoutId> = HashSet::new();
            let cancelled = history::cancelled_in_tx(conn, ids.iter().copied())?;
            let found = findings::payments_found_in_tx(conn, ids.iter().copied())?;
            for chunk in ids.chunks(dialect::IDS_MAX) {
                let chunk: Vec<&PayoutId> = chunk.to_vec();
                for (id, outcome) in payout_attempts::table
                    .filter(payout_attempts::payout_id.eq_any(chunk.iter().copied()))
                    .select((payout_attempts::payout_id, payout_attempts::outcome))
                    .load::<(PayoutId, AttemptOutcome)>(conn)?
                {
                    if outcome == AttemptOutcome::Paid {
                        paid.insert(id.clone());
                    }
                    *in_doubt.entry(id).or_default() |= outcome.is_unresolved();
                }
                for (id, status) in payouts::table
                    .filter(payouts::id.eq_any(chunk.iter().copied()))
                    .select((payouts::id, payouts::status))
                    .load::<(PayoutId, PayoutStatus)>(conn)?
                {
                    let sendable = status != PayoutStatus::Completed
                        && !cancelled.contains(&id)
                        && !found.contains_key(&id);
                    rows.insert(id, sendable);
                }
                ours.extend(
                    payout_batch_items::table
                        .filter(payout_batch_items::payout_id.eq_any(chunk.iter().copied()))
                        .select(payout_batch_items::payout_id)
                        .load::<PayoutId>(conn)?,
                );
            }
            let judge = |transfer: &NamedTransfer| {
                let id = &transfer.transfer_id;
                if held.contains_key(id) {
                    return Known::Remembered;
                }
                let named = || transfer.payout_ids.iter();
                // What was accepted was not to be sent any more; now it may be.
                let sendable = |payout: &PayoutId| rows.get(payout).is_some_and(|may| *may);
                if accepted.contains(id) && !named().any(sendable) {
                    return Known::Remembered;
                }
                if transfer.taken_back && named().any(|payout| paid.contains(payout)) {
                    return Known::Remembered;
                }
                // The ledger first: it outlives a payout's row. What names another payout too
                // may have paid that one, which nobody would look up.
                let doubtful = |payout: &PayoutId| in_doubt.get(payout) == Some(&true);
                let others = named().any(|payout| !doubtful(payout) && sendable(payout));
                if named().any(doubtful) && !others {
                    return Known::InDoubt;
                }
                let attempted = |payout: &PayoutId| in_doubt.contains_key(payout);
                // A row of other software, sent by it or by nobody: looked up before it is sent.
                let our_row =
                    |payout: &PayoutId| rows.contains_key(payout) && ours.contains(payout);
                let forgotten = transfer.of_this_database
                    || named().any(|payout| attempted(payout) || our_row(payout));
                if forgotten {
                    Known::Forgotten
                } else {
                    Known::Foreign
                }
            };
            Ok(transfers.iter().map(judge).collect())
        })
    }

    /// Since when there are payouts without an attempt of ours that other software
    /// has in hand or, since `failed_since`, marked as failed; none when there are none.
    pub fn foreign_in_hand_since(
        &mut self,
        failed_since: Time,
    ) -> Result<Option<Time>, StoreError> {
        // What was cancelled before it was sent is over, where it was ours to send. Other
        // software may have sent its row all the same.
        let cancelled = payout_history::table
            .filter(payout_history::payout_id.eq(payouts::id))
            .filter(payout_history::event.eq(HistoryEvent::Cancelled))
            .filter(exists(
                payout_batch_items::table.filter(payout_batch_items::payout_id.eq(payouts::id)),
            ));
        let failed = payouts::status
            .eq(PayoutStatus::Failed)
            .and(payouts::updated_at.ge(failed_since))
            .and(not(exists(cancelled)));
        self.read(|conn| {
            Ok(payouts::table
                .left_join(payout_attempts::table.on(payout_attempts::payout_id.eq(payouts::id)))
                .filter(payouts::status.eq(PayoutStatus::Processing).or(failed))
                .filter(payout_attempts::payout_id.is_null())
                .select(min(payouts::created_at))
                .first(conn)?)
        })
    }

    /// What other software wrote or touched among the next pending rows of the queue.
    pub fn foreign_stretch(
        &mut self,
        filter: &QueueFilter,
        after: Option<&Mark>,
    ) -> Result<Stretch, StoreError> {
        let item = payout_batch_items::table
            .filter(payout_batch_items::payout_id.eq(payouts::id))
            .select(payout_batch_items::payout_id);
        let attempt = payout_attempts::table
            .filter(payout_attempts::payout_id.eq(payouts::id))
            .select(payout_attempts::payout_id);
        let rows = payouts::table
            .select((payouts::all_columns, exists(item), exists(attempt)))
            .into_boxed();
        let rows: Vec<(Payout, bool, bool)> = self.read(|conn| {
            dialect::find_by_index(conn)?;
            Ok(queue::due(rows, filter, after, STRETCH_ROWS).load(conn)?)
        })?;
        let mut stretch = Stretch::default();
        if rows.len() == STRETCH_ROWS {
            stretch.until = rows.last().map(|(payout, ..)| Mark::of(payout));
        }
        for (payout, ours, attempted) in rows {
            let marked = payout.bears_marks_of_a_send();
            if attempted || (ours && !marked) {
                continue;
            }
            let since = stretch.since.get_or_insert(payout.created_at);
            *since = payout.created_at.min(*since);
            if !marked {
                stretch.clean.push(payout.id);
            }
        }
        Ok(stretch)
    }

    /// Those of the given payouts of which we made an attempt.
    pub fn attempted_among(&mut self, ids: &[PayoutId]) -> Result<HashSet<PayoutId>, StoreError> {
        self.read(|conn| {
            let mut found = HashSet::new();
            for chunk in ids.chunks(dialect::IDS_MAX) {
                let attempted: Vec<PayoutId> = payout_attempts::table
                    .filter(payout_attempts::payout_id.eq_any(chunk))
                    .select(payout_attempts::payout_id)
                    .load(conn)?;
                found.extend(attempted);
            }
            Ok(found)
        })
    }

    /// Those of the given payouts that have no attempt of ours and are not
    /// completed, with their creators' accounts.
    pub fn foreign_open(
        &mut self,
        ids: &[PayoutId],
    ) -> Result<Vec<(Payout, Option<String>)>, StoreError> {
        let mut found = Vec::new();
        for chunk in ids.chunks(dialect::IDS_MAX) {
            let rows: Vec<(Payout, Option<String>)> = self.read(|conn| {
                Ok(payouts::table
                    .inner_join(creators::table)
                    .left_join(
                        payout_attempts::table.on(payout_attempts::payout_id.eq(payouts::id)),
                    )
                    .filter(payouts::id.eq_any(chunk))
                    .filter(payouts::status.ne(PayoutStatus::Completed))
                    .filter(payout_attempts::payout_id.is_null())
                    .select((payouts::all_columns, creators::stripe_account_id))
                    .load(conn)?)
            })?;
            found.extend(rows);
        }
        Ok(found)
    }

    /// What people have decided about these payouts. What is open about a transfer is
    /// not decided, whatever else of it was accepted.
    pub fn decided_among(&mut self, ids: &[PayoutId]) -> Result<Decided, StoreError> {
        self.read(|conn| {
            let cancelled = history::cancelled_in_tx(conn, ids)?;
            let mut accepted = HashSet::new();
            let mut open = HashSet::new();
            for (payout, transfer, state) in findings::payments_named_in_tx(conn, ids)? {
                match state {
                    FindingState::Accepted => accepted.insert((payout, transfer)),
                    FindingState::Open | FindingState::Fixed => open.insert((payout, transfer)),
                };
            }
            accepted.retain(|named| !open.contains(named));
            Ok(Decided {
                cancelled,
                accepted,
            })
        })
    }

    /// How many payouts are PROCESSING without an attempt of ours.
    pub fn foreign_processing(&mut self) -> Result<i64, StoreError> {
        self.read(|conn| {
            Ok(payouts::table
                .left_join(payout_attempts::table.on(payout_attempts::payout_id.eq(payouts::id)))
                .filter(payouts::status.eq(PayoutStatus::Processing))
                .filter(payout_attempts::payout_id.is_null())
                .count()
                .get_result(conn)?)
        })
    }

    /// Payouts that are PROCESSING although every attempt of theirs is settled:
    /// something changed them while they were being paid. At most a hundred.
    pub fn processing_stuck(&mut self) -> Result<Vec<PayoutId>, StoreError> {
        let attempted = payout_attempts::table
            .filter(payout_attempts::payout_id.eq(payouts::id))
            .select(payout_attempts::payout_id);
        let open = payout_attempts::table
            .filter(payout_attempts::payout_id.eq(payouts::id))
            .filter(dialect::unresolved())
            .select(payout_attempts::payout_id);
        self.read(|conn| {
            Ok(payouts::table
                .filter(payouts::status.eq(PayoutStatus::Processing))
                .filter(exists(attempted))
                .filter(not(exists(open)))
                .select(payouts::id)
                .order(payouts::id)
                .limit(100)
                .load(conn)?)
        })
    }
}
