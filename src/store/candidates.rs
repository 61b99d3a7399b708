//! Everything that decides whether a payout may be sent, read together: for a plan, for
//! the claim, for what goes out again, and for a person who asks.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use crate::failpoint::planted;
use crate::model::attempt::AttemptOutcome;
use crate::model::hold::HoldKind;
use crate::model::ids::{BatchId, PayoutId, StatementId};
use crate::model::payout::{Candidate, CandidateStatement, Payout};
use crate::model::schema::{
    creators, payout_attempts, payout_batch_items, payout_holds, payout_statement_claims, payouts,
};
use crate::model::statement::StatementAccount;
use crate::model::time::Time;
use crate::store::approvals::facts_in_tx;
use crate::store::connection::AnyConnection;
use crate::store::dialect::among;
use crate::store::findings::is_held_by_a_finding;
use crate::store::payout_create::Locks;
use crate::store::statements::accounts_in_tx;
use crate::store::{StoreError, history, holds, reversals};

/// A payout; its creator's account and end; its batch and reference, where this
/// tool created it; whether it was cancelled, reversed, or found at Stripe.
type Row = (
    Payout,
    (Option<String>, Option<Time>),
    Option<(PayoutId, Option<BatchId>, Option<String>)>,
    (bool, bool, bool),
);

/// Reads everything that decides about these payouts, in the queue's order; with what
/// decides about approvals where `approvals` are asked for.
pub(super) fn candidates(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
    now: Time,
    approvals: bool,
) -> Result<Vec<Candidate>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = payouts::table
        .inner_join(creators::table)
        .left_join(payout_batch_items::table.on(payout_batch_items::payout_id.eq(payouts::id)))
        .filter(among(payouts::id, ids))
        .order((payouts::created_at, payouts::id))
        .select((
            payouts::all_columns,
            (creators::stripe_account_id, creators::deleted_at),
            (
                payout_batch_items::payout_id,
                payout_batch_items::batch_id,
                payout_batch_items::reference,
            )
                .nullable(),
            // Asked about every row: other software may have wiped whatever it bore.
            (
                history::was_cancelled(),
                reversals::was_reversed(),
                is_held_by_a_finding(),
            ),
        ))
        .load(conn)?;
    let mut attempts: HashMap<PayoutId, (i32, AttemptOutcome)> = HashMap::new();
    let mut transferred: HashSet<PayoutId> = HashSet::new();
    for (id, number, outcome) in payout_attempts::table
        .filter(among(payout_attempts::payout_id, ids))
        .order(payout_attempts::attempt)
        .select((
            payout_attempts::payout_id,
            payout_attempts::attempt,
            payout_attempts::outcome,
        ))
        .load::<(PayoutId, i32, AttemptOutcome)>(conn)?
    {
        if matches!(outcome, AttemptOutcome::Paid | AttemptOutcome::Surplus) {
            transferred.insert(id.clone());
        }
        attempts.insert(id, (number, outcome));
    }
    let statement_ids: Vec<StatementId> = rows
        .iter()
        .filter_map(|(payout, ..)| payout.royalty_statement_id.clone())
        .collect();
    let statements = statements_of(conn, &statement_ids)?;
    let holds = holds_of(conn, now)?;
    let mut approval = if approvals {
        facts_in_tx(conn, ids)?
    } else {
        HashMap::new()
    };

    Ok(rows
        .into_iter()
        .map(
            |(payout, (destination, deleted_at), item, (cancelled, reversed, found))| {
                let ours = item.is_some();
                let (batch_id, reference) =
                    item.map_or((None, None), |(_, batch, reference)| (batch, reference));
                let statement = payout
                    .royalty_statement_id
                    .as_ref()
                    .and_then(|id| statements.get(id))
                    .map(|facts| statement_of(&payout, facts));
                let held_since = |kind: HoldKind, target: Option<&str>| {
                    holds.get(&(kind, target?.to_owned())).copied()
                };
                let batch_held_since =
                    held_since(HoldKind::Batch, batch_id.as_ref().map(BatchId::as_str));
                let holds = [
                    (HoldKind::All, Some("")),
                    (HoldKind::Payout, Some(payout.id.as_str())),
                    (HoldKind::Creator, Some(payout.creator_id.as_str())),
                    (HoldKind::Batch, batch_id.as_ref().map(BatchId::as_str)),
                ]
                .into_iter()
                .filter(|(kind, target)| held_since(*kind, *target).is_some())
                .filter(|_| !planted!("holds_ignored"))
                .map(|(kind, _)| kind)
                .collect();
                Candidate {
                    destination,
                    creator_deleted: deleted_at.is_some(),
                    statement,
                    reference,
                    ours,
                    cancelled: cancelled && !planted!("cancellation_ignored"),
                    transferred: payout.stripe_transfer_id.is_some()
                        || transferred.contains(&payout.id)
                        || reversed
                        || found,
                    batch_held_since,
                    batch_id,
                    holds,
                    approval: approval.remove(&payout.id),
                    last_attempt: attempts.get(&payout.id).copied(),
                    payout,
                }
            },
        )
        .collect())
}

/// How a statement stands for one of its payouts.
pub(super) fn statement_of(payout: &Payout, facts: &StatementFacts) -> CandidateStatement {
    let (statement, holder, account) = facts;
    let amount = i64::from(payout.amount_cents);
    let held = holder.as_ref().is_some_and(|holder| *holder != payout.id);
    // What other software may have sent claims nothing, and may be paid.
    let left = account.safely_left_cents(&payout.id);
    CandidateStatement {
        taken_by_another: held || (left < amount && amount <= statement.rest_cents),
        ..statement.clone()
    }
}

/// Every hold that stands, and since when. Holds are few: people set them.
pub(super) fn holds_of(
    conn: &mut AnyConnection,
    now: Time,
) -> Result<HashMap<(HoldKind, String), Time>, StoreError> {
    Ok(payout_holds::table
        .filter(holds::standing(now))
        .select((
            (payout_holds::kind, payout_holds::target),
            payout_holds::created_at,
        ))
        .load::<((HoldKind, String), Time)>(conn)?
        .into_iter()
        .collect())
}

/// What is left of a statement, who holds its claim, and its payouts.
pub(super) type StatementFacts = (CandidateStatement, Option<PayoutId>, StatementAccount);

/// What is left of each statement, and who holds its claim.
pub(super) fn statements_of(
    conn: &mut AnyConnection,
    ids: &[StatementId],
) -> Result<HashMap<StatementId, StatementFacts>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut holders: HashMap<StatementId, PayoutId> = payout_statement_claims::table
        .filter(among(payout_statement_claims::statement_id, ids))
        .select((
            payout_statement_claims::statement_id,
            payout_statement_claims::payout_id,
        ))
        .load::<(StatementId, PayoutId)>(conn)?
        .into_iter()
        .collect();
    Ok(accounts_in_tx(conn, ids, Locks::None)?
        .into_iter()
        .map(|(id, account)| {
            let statement = CandidateStatement {
                status: account.statement.status,
                rest_cents: account.left_cents(),
                taken_by_another: false,
                creator_id: account.statement.creator_id.clone(),
            };
            let holder = holders.remove(&id);
            (id, (statement, holder, account))
        })
        .collect())
}
