//! Approvals: who agreed to which payout, and to what of it.

use std::collections::HashMap;

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::approval::{Approval, ApprovalFacts, Content};
use crate::model::history::{Change, HistoryEvent};
use crate::model::ids::{BatchId, CreatorId, PayoutId};
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::schema::{
    creators, payout_approvals as approvals, payout_batch_items as items, payout_history, payouts,
};
use crate::model::standing::{Refusal, Standing, may_approve};
use crate::store::connection::{AnyConnection, backend_of};
use crate::store::dialect::{among, batch_rows_max, on_each, sum_amount_cents};
use crate::store::runs::RunStamp;
use crate::store::standing::{Decided, decide};
use crate::store::{Store, StoreError, history};

diesel::allow_columns_to_appear_in_same_group_by_clause!(payouts::creator_id, items::batch_id);

/// The states in which a payout may be approved: whatever may still be sent.
const APPROVABLE: [PayoutStatus; 3] = [
    PayoutStatus::Pending,
    PayoutStatus::Processing,
    PayoutStatus::Failed,
];

/// What an approver is shown of a payout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approvable {
    /// What there is to approve; none while its creator has no Stripe account.
    pub content: Option<Content>,
    /// What decides whether it is approved.
    pub facts: ApprovalFacts,
}

impl Store {
    /// What there is to approve of these payouts.
    pub fn approvable(
        &mut self,
        ids: &[PayoutId],
    ) -> Result<HashMap<PayoutId, Approvable>, StoreError> {
        self.read(|conn| approvable_in_tx(conn, ids))
    }

    /// Approves payouts in the name of the run's actor, those that may be and that are
    /// still what was shown. At most [`crate::store::standing::MOVED_AT_ONCE`] at once.
    pub fn payouts_approve(
        &mut self,
        run: &RunStamp,
        ids: &[PayoutId],
        shown: &HashMap<PayoutId, Content>,
        roles_only: bool,
        reason: Option<&str>,
    ) -> Result<Vec<Decided>, StoreError> {
        let now = self.clock.now();
        let (decided, heads) = self.write(|conn| {
            let there = approvable_in_tx(conn, ids)?;
            let decided = decide(conn, ids, &APPROVABLE, |standing| {
                let id = &standing.payout.id;
                let one = there.get(id).cloned().unwrap_or_default();
                let has_account = one.content.is_some();
                may_approve(standing, &one.facts, has_account, &run.actor, roles_only)?;
                if one.content.as_ref() == shown.get(id) {
                    Ok(())
                } else {
                    Err(Refusal::Changed)
                }
            })?;
            let rows: Vec<Approval> = approved(&decided)
                .filter_map(|standing| {
                    let id = &standing.payout.id;
                    let content = there.get(id)?.content.clone()?;
                    Some(Approval {
                        payout_id: id.clone(),
                        actor: run.actor.clone(),
                        creator_id: content.creator_id,
                        amount_cents: content.amount_cents,
                        destination: content.destination,
                        reason: reason.map(str::to_owned),
                        run_id: run.run_id.clone(),
                        approved_at: now,
                    })
                })
                .collect();
            let chosen: Vec<PayoutId> = rows.iter().map(|row| row.payout_id.clone()).collect();
            // Given again for what the payout is now.
            diesel::delete(
                approvals::table
                    .filter(approvals::payout_id.eq_any(&chosen))
                    .filter(approvals::actor.eq(&run.actor)),
            )
            .execute(conn)?;
            for chunk in rows.chunks(batch_rows_max(backend_of(conn), 8)) {
                on_each!(conn, c => diesel::insert_into(approvals::table).values(chunk).execute(c))?;
            }
            let said = |row: &Approval| {
                let to = format!("{} minor units to {}", row.amount_cents, row.destination);
                reason.map_or_else(|| to.clone(), |reason| format!("{to}: {reason}"))
            };
            let said: HashMap<&PayoutId, String> =
                rows.iter().map(|row| (&row.payout_id, said(row))).collect();
            let changes = approved(&decided).map(|standing| Change {
                payout_id: standing.payout.id.clone(),
                event: HistoryEvent::Approved,
                from: Some(standing.payout.status),
                to: standing.payout.status,
                reason: said.get(&standing.payout.id).cloned(),
            });
            let heads = history::append_in_tx(conn, run, now, changes.collect())?;
            failpoint!("approve.writing");
            Ok((decided, heads))
        })?;
        self.heads.merge(heads);
        failpoint!("approve.committed");
        Ok(decided)
    }

    /// Takes every approval of payouts back, whoever gave it, of those that were not
    /// sent yet.
    pub fn approvals_withdraw(
        &mut self,
        run: &RunStamp,
        ids: &[PayoutId],
        reason: Option<&str>,
    ) -> Result<Vec<Decided>, StoreError> {
        let now = self.clock.now();
        let (decided, heads) = self.write(|conn| {
            let there = approvable_in_tx(conn, ids)?;
            let decided = decide(conn, ids, &APPROVABLE, |standing| {
                let given = there.get(&standing.payout.id);
                match given {
                    // It may be on its way at this moment, and nothing calls it back.
                    _ if standing.payout.status == PayoutStatus::Processing => {
                        Err(Refusal::Unresolved)
                    }
                    Some(one) if !one.facts.approvals.is_empty() => Ok(()),
                    _ => Err(Refusal::NotApproved),
                }
            })?;
            let chosen: Vec<&PayoutId> = approved(&decided).map(|s| &s.payout.id).collect();
            diesel::delete(
                approvals::table.filter(approvals::payout_id.eq_any(chosen.iter().copied())),
            )
            .execute(conn)?;
            let changes = approved(&decided).map(|standing| Change {
                payout_id: standing.payout.id.clone(),
                event: HistoryEvent::ApprovalWithdrawn,
                from: Some(standing.payout.status),
                to: standing.payout.status,
                reason: reason.map(str::to_owned),
            });
            let heads = history::append_in_tx(conn, run, now, changes.collect())?;
            Ok((decided, heads))
        })?;
        self.heads.merge(heads);
        Ok(decided)
    }
}

fn approved(decided: &[Decided]) -> impl Iterator<Item = &Standing> {
    decided
        .iter()
        .filter(|(_, verdict)| verdict.is_ok())
        .map(|(standing, _)| standing)
}

fn approvable_in_tx(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
) -> Result<HashMap<PayoutId, Approvable>, StoreError> {
    let rows: Vec<(Payout, Option<String>)> = payouts::table
        .left_join(creators::table)
        .filter(among(payouts::id, ids))
        .select((Payout::as_select(), creators::stripe_account_id.nullable()))
        .load(conn)?;
    let mut facts = facts_in_tx(conn, ids)?;
    Ok(rows
        .into_iter()
        .map(|(payout, destination)| {
            let one = Approvable {
                content: Content::of(&payout, destination.as_deref()),
                facts: facts.remove(&payout.id).unwrap_or_default(),
            };
            (payout.id, one)
        })
        .collect())
}

/// Everything that decides whether these payouts are approved.
pub(super) fn facts_in_tx(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
) -> Result<HashMap<PayoutId, ApprovalFacts>, StoreError> {
    let mut facts: HashMap<PayoutId, ApprovalFacts> = ids
        .iter()
        .map(|id| (id.clone(), ApprovalFacts::default()))
        .collect();
    let given: Vec<Approval> = approvals::table
        .filter(among(approvals::payout_id, ids))
        .order((approvals::approved_at, approvals::actor))
        .load(conn)?;
    for approval in given {
        if let Some(one) = facts.get_mut(&approval.payout_id) {
            one.approvals.push(approval);
        }
    }
    // A payout of this tool begins its history with who made it.
    let makers: Vec<(PayoutId, String)> = payout_history::table
        .filter(among(payout_history::payout_id, ids))
        .filter(payout_history::seq.eq(1))
        .filter(payout_history::event.eq(HistoryEvent::Created))
        .select((payout_history::payout_id, payout_history::actor))
        .load(conn)?;
    for (id, maker) in makers {
        if let Some(one) = facts.get_mut(&id) {
            one.maker = Some(maker);
        }
    }
    for (id, cents) in batch_creator_cents(conn, ids)? {
        if let Some(one) = facts.get_mut(&id) {
            one.batch_creator_cents = cents;
        }
    }
    Ok(facts)
}

/// What the batch of each payout pays its creator in all, minor units.
fn batch_creator_cents(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
) -> Result<Vec<(PayoutId, i64)>, StoreError> {
    let of_batches: Vec<(PayoutId, CreatorId, BatchId)> = payouts::table
        .inner_join(items::table.on(items::payout_id.eq(payouts::id)))
        .filter(among(payouts::id, ids))
        .filter(items::batch_id.is_not_null())
        .select((
            payouts::id,
            payouts::creator_id,
            items::batch_id.assume_not_null(),
        ))
        .load(conn)?;
    if of_batches.is_empty() {
        return Ok(Vec::new());
    }
    let mut named: Vec<&CreatorId> = of_batches.iter().map(|(_, creator, _)| creator).collect();
    named.sort();
    named.dedup();
    // By creator, for whom there is an index: a batch may be a million payouts.
    let sums: Vec<(CreatorId, BatchId, i64)> = payouts::table
        .inner_join(items::table.on(items::payout_id.eq(payouts::id)))
        .filter(among(payouts::creator_id, &named))
        .filter(items::batch_id.is_not_null())
        .group_by((payouts::creator_id, items::batch_id))
        .select((
            payouts::creator_id,
            items::batch_id.assume_not_null(),
            sum_amount_cents(),
        ))
        .load(conn)?;
    let sums: HashMap<(CreatorId, BatchId), i64> = sums
        .into_iter()
        .map(|(creator, batch, cents)| ((creator, batch), cents))
        .collect();
    Ok(of_batches
        .into_iter()
        .map(|(id, creator, batch)| {
            let cents = sums.get(&(creator, batch)).copied();
            // Gone since the first of the two was read: what is not known needs approval.
            (id, cents.unwrap_or(i64::MAX))
        })
        .collect())
}
