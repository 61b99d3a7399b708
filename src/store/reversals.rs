//! What was taken back of transfers at Stripe: a fact beside the payout's
//! status. A payout that was paid and reversed was paid; it stays COMPLETED,
//! and nothing sends it again.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use crate::failpoint::{failpoint, planted};
use crate::model::attempt::AttemptOutcome;
use crate::model::history::{Change, HistoryEvent};
use crate::model::ids::PayoutId;
use crate::model::listing::Total;
use crate::model::money::{Currency, with_currency};
use crate::model::reconciliation::Reversal;
use crate::model::record::ReversalStep;
use crate::model::schema::{
    payout_attempts, payout_reversal_steps as steps, payout_reversals as reversals, payouts,
};
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::dialect::{self, IDS_MAX, among, on_each};
use crate::store::runs::RunStamp;
use crate::store::{Store, StoreError, history};

impl Store {
    /// Those of the given payouts of whose transfer something was taken back,
    /// and how much, minor units. They are never retryable: sending one again
    /// would undo a deliberate claw-back.
    pub fn payouts_reversed(
        &mut self,
        ids: &[PayoutId],
    ) -> Result<HashMap<PayoutId, i64>, StoreError> {
        let ids: Vec<&PayoutId> = ids.iter().collect();
        self.read(|conn| of_payouts_in_tx(conn, &ids))
    }

    /// Keeps what was taken back of a payout's transfer, with a line in its
    /// history. Returns whether that was news.
    pub fn reversal_keep(
        &mut self,
        stamp: &RunStamp,
        payout: &PayoutId,
        transfer_id: &str,
        cents: i64,
        currency: Currency,
    ) -> Result<bool, StoreError> {
        if planted!("reversal_not_kept") {
            return Ok(true);
        }
        let now = self.clock.now();
        let reversal = seen(payout, transfer_id, cents, now);
        let (news, heads) = self.write(|conn| {
            // The history's writers hold the payout's row lock.
            let status = dialect::lock_status(conn, payout).optional()?;
            if !keep_in_tx(conn, &reversal)? {
                return Ok((false, history::HeadsHash::default()));
            }
            let Some(status) = status else {
                return Ok((true, history::HeadsHash::default()));
            };
            let change = Change {
                payout_id: payout.clone(),
                event: HistoryEvent::Reversed,
                from: Some(status),
                to: status,
                reason: Some(format!(
                    "{} of {transfer_id} taken back",
                    with_currency(cents, currency)
                )),
            };
            let heads = history::append_in_tx(conn, stamp, now, vec![change])?;
            failpoint!("reversal.writing");
            Ok((true, heads))
        })?;
        self.heads.merge(heads);
        failpoint!("reversal.committed");
        Ok(news)
    }
}

/// Keeps an amount that was taken back; what is kept only grows. Returns whether it did.
pub(super) fn keep_in_tx(
    conn: &mut AnyConnection,
    reversal: &Reversal,
) -> Result<bool, StoreError> {
    let inserted = on_each!(conn, c => diesel::insert_into(reversals::table)
        .values(reversal)
        .on_conflict_do_nothing()
        .execute(c))?;
    if inserted == 1 {
        step_keep(conn, reversal)?;
        return Ok(true);
    }
    let grown = diesel::update(
        reversals::table
            .filter(reversals::transfer_id.eq(&reversal.transfer_id))
            .filter(reversals::amount_reversed_cents.lt(reversal.amount_reversed_cents)),
    )
    .set((
        reversals::amount_reversed_cents.eq(reversal.amount_reversed_cents),
        reversals::seen_at.eq(reversal.seen_at),
    ))
    .execute(conn)?;
    if grown == 1 {
        step_keep(conn, reversal)?;
    }
    Ok(grown == 1)
}

/// Keeps when so much was seen to be taken back, for reports of a period.
fn step_keep(conn: &mut AnyConnection, reversal: &Reversal) -> Result<(), StoreError> {
    let step = (
        steps::transfer_id.eq(&reversal.transfer_id),
        steps::amount_reversed_cents.eq(reversal.amount_reversed_cents),
        steps::payout_id.eq(&reversal.payout_id),
        steps::seen_at.eq(reversal.seen_at),
    );
    on_each!(conn, c => diesel::insert_into(steps::table)
        .values(step)
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(())
}

/// What was taken back of the transfers that these payouts hold, minor units, as far as
/// no second transfer stands for it. One that was reversed takes nothing back from its
/// payout.
pub(super) fn of_payouts_in_tx(
    conn: &mut AnyConnection,
    ids: &[&PayoutId],
) -> Result<HashMap<PayoutId, i64>, StoreError> {
    let mut found = HashMap::new();
    for chunk in ids.chunks(IDS_MAX) {
        let rows: Vec<(PayoutId, i64)> = reversals::table
            .inner_join(payouts::table.on(payouts::id.eq(reversals::payout_id)))
            .filter(among(reversals::payout_id, chunk))
            .filter(
                payouts::stripe_transfer_id
                    .assume_not_null()
                    .eq(reversals::transfer_id),
            )
            .select((reversals::payout_id, reversals::amount_reversed_cents))
            .load(conn)?;
        found.extend(rows);
    }
    if found.is_empty() {
        return Ok(found);
    }
    let reversed: Vec<PayoutId> = found.keys().cloned().collect();
    for chunk in reversed.chunks(IDS_MAX) {
        let standing: Vec<(PayoutId, i32, Option<i64>)> = payout_attempts::table
            .left_join(
                reversals::table.on(reversals::transfer_id
                    .nullable()
                    .eq(payout_attempts::transfer_id)),
            )
            .filter(among(payout_attempts::payout_id, chunk))
            .filter(payout_attempts::outcome.eq(AttemptOutcome::Surplus))
            .select((
                payout_attempts::payout_id,
                payout_attempts::amount_cents,
                reversals::amount_reversed_cents.nullable(),
            ))
            .load(conn)?;
        for (payout, cents, taken_back) in standing {
            let stands = i64::from(cents)
                .saturating_sub(taken_back.unwrap_or(0))
                .max(0);
            if let Some(reversed) = found.get_mut(&payout) {
                *reversed = reversed.saturating_sub(stands).max(0);
            }
        }
    }
    found.retain(|_, cents| *cents > 0);
    Ok(found)
}

/// Those of some payouts of whose transfers anything was taken back, whatever
/// their rows say by now.
pub(super) fn among_in_tx(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
) -> Result<HashSet<PayoutId>, StoreError> {
    let mut found = HashSet::new();
    for chunk in ids.chunks(IDS_MAX) {
        let reversed: Vec<PayoutId> = reversals::table
            .filter(among(reversals::payout_id, chunk))
            .select(reversals::payout_id)
            .load(conn)?;
        found.extend(reversed);
    }
    Ok(found)
}

/// Whether anything of the payout of a row was taken back, as a column of a query.
#[diesel::dsl::auto_type]
pub(super) fn was_reversed() -> _ {
    diesel::dsl::exists(reversals::table.filter(reversals::payout_id.eq(payouts::id)))
}

/// What was taken back of a payout's transfers, each time that more of it was seen: one
/// transfer after the other, oldest first.
pub(super) fn steps_of(
    conn: &mut AnyConnection,
    payout: &PayoutId,
) -> Result<Vec<ReversalStep>, StoreError> {
    let mut seen: Vec<(String, i64, Time)> = steps::table
        .filter(steps::payout_id.eq(payout))
        .select((
            steps::transfer_id,
            steps::amount_reversed_cents,
            steps::seen_at,
        ))
        .load(conn)?;
    // What is kept as the last step has one of its own, unless somebody else wrote it.
    let last: Vec<(String, i64, Time)> = reversals::table
        .filter(reversals::payout_id.eq(payout))
        .select((
            reversals::transfer_id,
            reversals::amount_reversed_cents,
            reversals::seen_at,
        ))
        .load(conn)?;
    for (transfer, cents, at) in last {
        let has_one = |step: &(String, i64, Time)| step.0 == transfer && step.1 == cents;
        if !seen.iter().any(has_one) {
            seen.push((transfer, cents, at));
        }
    }
    // What is taken back only grows.
    seen.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let mut found: Vec<ReversalStep> = Vec::with_capacity(seen.len());
    for (transfer_id, total_cents, seen_at) in seen {
        let before = found.last().filter(|step| step.transfer_id == transfer_id);
        found.push(ReversalStep {
            taken_cents: total_cents.saturating_sub(before.map_or(0, |step| step.total_cents)),
            transfer_id,
            total_cents,
            seen_at,
        });
    }
    Ok(found)
}

/// Of how many of the given payouts something was taken back, and how much, minor units.
pub(super) fn total_of_in_tx(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
) -> Result<Total, StoreError> {
    let ids: Vec<&PayoutId> = ids.iter().collect();
    let found = of_payouts_in_tx(conn, &ids)?;
    Ok(found.values().fold(Total::default(), |sum, cents| Total {
        count: sum.count.saturating_add(1),
        amount_cents: sum.amount_cents.saturating_add(*cents),
    }))
}

/// Payouts of whose transfers anything was taken back, in the order of their ids, those
/// behind one only; at most `IDS_MAX`.
pub(super) fn reversed_behind_in_tx(
    conn: &mut AnyConnection,
    behind: Option<&PayoutId>,
) -> Result<Vec<PayoutId>, StoreError> {
    let mut query = reversals::table
        .select(reversals::payout_id)
        .distinct()
        .order(reversals::payout_id)
        .limit(i64::try_from(IDS_MAX).unwrap_or(i64::MAX))
        .into_boxed();
    if let Some(behind) = behind {
        query = query.filter(reversals::payout_id.gt(behind));
    }
    Ok(query.load(conn)?)
}

/// What is kept for these transfers, minor units.
pub(super) fn of_transfers_in_tx(
    conn: &mut AnyConnection,
    transfers: &[&str],
) -> Result<HashMap<String, i64>, StoreError> {
    let mut found = HashMap::new();
    for chunk in transfers.chunks(IDS_MAX) {
        let rows: Vec<(String, i64)> = reversals::table
            .filter(reversals::transfer_id.eq_any(chunk.iter().copied()))
            .select((reversals::transfer_id, reversals::amount_reversed_cents))
            .load(conn)?;
        found.extend(rows);
    }
    Ok(found)
}

/// A reversal of a payout's transfer, seen now.
pub(super) fn seen(payout: &PayoutId, transfer_id: &str, cents: i64, now: Time) -> Reversal {
    Reversal {
        transfer_id: transfer_id.to_owned(),
        payout_id: payout.clone(),
        amount_reversed_cents: cents,
        seen_at: now,
    }
}
