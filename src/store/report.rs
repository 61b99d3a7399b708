//! Payouts with what their place in the books depends on, a part at a time.

use std::collections::HashMap;
use std::time::Duration;

use diesel::dsl::exists;
use diesel::prelude::*;

use crate::model::history::HistoryEvent;
use crate::model::ids::{BatchId, CreatorId, PayoutId};
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::report::{BookedPayout, Period, Step};
use crate::model::schema::{
    creators, payout_batch_items, payout_history, payout_reversal_steps as steps,
    payout_reversals as reversals, payouts,
};
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::dialect::among;
use crate::store::{Store, StoreError};

/// SQLite compares moments as they are written, and other software may write one
/// in a way that sorts by its day alone: whoever asks looks a day around.
const AROUND: Duration = Duration::from_secs(24 * 60 * 60);

impl Store {
    /// The payouts behind one, in the order of their ids, that may have a place in
    /// the books of a period; at most `rows_max`. Those that cannot are left out:
    /// created after it, or paid before it with nothing taken back since.
    pub fn booked_payouts(
        &mut self,
        period: Period,
        behind: Option<&PayoutId>,
        rows_max: i64,
    ) -> Result<Vec<BookedPayout>, StoreError> {
        self.read(|conn| {
            let mut query = payouts::table
                .filter(payouts::created_at.lt(period.until.plus(AROUND)))
                .select(Payout::as_select())
                .order(payouts::id)
                .limit(rows_max)
                .into_boxed();
            if let Some(from) = period.from {
                let early = from.minus(AROUND);
                query = query.filter(
                    payouts::created_at
                        .ge(early)
                        .or(payouts::status.ne(PayoutStatus::Completed))
                        .or(payouts::processed_at.is_null())
                        .or(payouts::processed_at.assume_not_null().ge(early))
                        .or(exists(
                            reversals::table
                                .filter(reversals::payout_id.eq(payouts::id))
                                .filter(reversals::seen_at.ge(early)),
                        )),
                );
            }
            if let Some(behind) = behind {
                query = query.filter(payouts::id.gt(behind));
            }
            let rows: Vec<Payout> = query.load(conn)?;
            booked(conn, rows)
        })
    }
}

/// Adds what belongs to these rows.
fn booked(conn: &mut AnyConnection, rows: Vec<Payout>) -> Result<Vec<BookedPayout>, StoreError> {
    let ids: Vec<&PayoutId> = rows.iter().map(|row| &row.id).collect();
    let mut creator_ids: Vec<&CreatorId> = rows.iter().map(|row| &row.creator_id).collect();
    creator_ids.sort_unstable();
    creator_ids.dedup();
    let names: HashMap<CreatorId, String> = creators::table
        .filter(among(creators::id, creator_ids))
        .select((creators::id, creators::stage_name))
        .load(conn)?
        .into_iter()
        .collect();
    let origins: Vec<(PayoutId, Option<BatchId>, Option<String>)> = payout_batch_items::table
        .filter(among(payout_batch_items::payout_id, &ids))
        .select((
            payout_batch_items::payout_id,
            payout_batch_items::batch_id,
            payout_batch_items::reference,
        ))
        .load(conn)?;
    let mut origins: HashMap<PayoutId, (Option<BatchId>, Option<String>)> = origins
        .into_iter()
        .map(|(payout, batch, reference)| (payout, (batch, reference)))
        .collect();
    let mut histories = histories(conn, &ids)?;
    let mut taken_back = taken_back(conn, &ids)?;
    let booked = rows.into_iter().map(|payout| {
        let (batch_id, reference) = origins.remove(&payout.id).unwrap_or_default();
        // What was taken back of a second transfer was not taken back from this payout.
        let taken = taken_back.remove(&payout.id).unwrap_or_default();
        let taken = taken
            .into_iter()
            .filter(|(transfer, ..)| payout.stripe_transfer_id.as_ref() == Some(transfer));
        BookedPayout {
            creator_name: names.get(&payout.creator_id).cloned(),
            batch_id,
            reference,
            history: histories.remove(&payout.id).unwrap_or_default(),
            taken_back: taken.map(|(_, seen, cents)| (seen, cents)).collect(),
            payout,
        }
    });
    Ok(booked.collect())
}

fn histories(
    conn: &mut AnyConnection,
    ids: &[&PayoutId],
) -> Result<HashMap<PayoutId, Vec<Step>>, StoreError> {
    type Row = (PayoutId, HistoryEvent, Option<String>, String, Time);
    let rows: Vec<Row> = payout_history::table
        .filter(among(payout_history::payout_id, ids))
        .order((payout_history::payout_id, payout_history::seq))
        .select((
            payout_history::payout_id,
            payout_history::event,
            payout_history::from_status,
            payout_history::to_status,
            payout_history::at,
        ))
        .load(conn)?;
    let mut histories: HashMap<PayoutId, Vec<Step>> = HashMap::with_capacity(ids.len());
    for (payout, event, from_status, to_status, at) in rows {
        histories.entry(payout).or_default().push(Step {
            event,
            from_status,
            to_status,
            at,
        });
    }
    Ok(histories)
}

/// What was seen to be taken back of each payout's transfers: which, when, and how
/// much of it by then, minor units.
type TakenBack = HashMap<PayoutId, Vec<(String, Time, i64)>>;

fn taken_back(conn: &mut AnyConnection, ids: &[&PayoutId]) -> Result<TakenBack, StoreError> {
    let mut seen: Vec<(PayoutId, String, Time, i64)> = steps::table
        .filter(among(steps::payout_id, ids))
        .select((
            steps::payout_id,
            steps::transfer_id,
            steps::seen_at,
            steps::amount_reversed_cents,
        ))
        .load(conn)?;
    let last: Vec<(PayoutId, String, Time, i64)> = reversals::table
        .filter(among(reversals::payout_id, ids))
        .select((
            reversals::payout_id,
            reversals::transfer_id,
            reversals::seen_at,
            reversals::amount_reversed_cents,
        ))
        .load(conn)?;
    seen.extend(last);
    let mut taken = TakenBack::new();
    for (payout, transfer, at, cents) in seen {
        taken.entry(payout).or_default().push((transfer, at, cents));
    }
    Ok(taken)
}
