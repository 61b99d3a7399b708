//! Royalty statements: what is owed, what of it is paid and on its way; and,
//! where the tables are our own, added. A platform's rows are never written.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use crate::model::attempt::AttemptOutcome;
use crate::model::ids::{CreatorId, PayoutId, StatementId};
use crate::model::payout::PayoutStatus;
use crate::model::schema::{payout_attempts, payouts, royalty_statements as statements};
use crate::model::statement::{Statement, StatementAccount};
use crate::store::StoreError;
use crate::store::connection::AnyConnection;
use crate::store::dialect::{IDS_MAX, lock_statements};
use crate::store::payout_create::Locks;

/// The statements with these ids and what their payouts did with them; locked
/// until the transaction ends where the caller wants to act on it.
pub(crate) fn accounts_in_tx(
    conn: &mut AnyConnection,
    ids: &[StatementId],
    locks: Locks,
) -> Result<HashMap<StatementId, StatementAccount>, StoreError> {
    let mut accounts = HashMap::with_capacity(ids.len());
    // In one order for everybody, so that two who lock the same statements wait and never deadlock.
    let mut sorted: Vec<&StatementId> = ids.iter().collect();
    sorted.sort();
    for chunk in sorted.chunks(IDS_MAX) {
        if locks == Locks::Statements {
            lock_statements(conn, chunk)?;
        }
        let rows: Vec<Statement> = statements::table
            .filter(statements::id.eq_any(chunk.iter().copied()))
            .select(Statement::as_select())
            .load(conn)?;
        let mut found: HashMap<StatementId, StatementAccount> = rows
            .into_iter()
            .map(|statement| (statement.id.clone(), untouched(statement)))
            .collect();
        add_payouts(conn, &mut found)?;
        accounts.extend(found);
    }
    Ok(accounts)
}

fn untouched(statement: Statement) -> StatementAccount {
    StatementAccount {
        statement,
        completed_cents: 0,
        in_flight_cents: 0,
        in_flight: None,
        in_doubt: None,
    }
}

/// Adds up the payouts of statements.
fn add_payouts(
    conn: &mut AnyConnection,
    accounts: &mut HashMap<StatementId, StatementAccount>,
) -> Result<(), StoreError> {
    // By creator too, for whom there is an index. A payout that other software
    // made to somebody else does not settle this creator's statement.
    let creators: HashSet<CreatorId> = accounts
        .values()
        .map(|account| account.statement.creator_id.clone())
        .collect();
    let rows: Vec<(PayoutId, Option<StatementId>, CreatorId, PayoutStatus, i32)> = payouts::table
        .filter(payouts::creator_id.eq_any(&creators))
        .filter(payouts::royalty_statement_id.eq_any(accounts.keys()))
        .select((
            payouts::id,
            payouts::royalty_statement_id,
            payouts::creator_id,
            payouts::status,
            payouts::amount_cents,
        ))
        .load(conn)?;
    let failed: Vec<&PayoutId> = rows
        .iter()
        .filter(|(_, _, _, status, _)| *status == PayoutStatus::Failed)
        .map(|(id, ..)| id)
        .collect();
    let declined = with_a_definite_no(conn, &failed)?;
    for (id, statement, creator, status, amount_cents) in rows {
        let account = statement.and_then(|id| accounts.get_mut(&id));
        let Some(account) = account.filter(|a| a.statement.creator_id == creator) else {
            continue;
        };
        match status {
            PayoutStatus::Completed => {
                account.completed_cents = account
                    .completed_cents
                    .saturating_add(i64::from(amount_cents));
            }
            PayoutStatus::Pending | PayoutStatus::Processing => {
                account.in_flight_cents = account
                    .in_flight_cents
                    .saturating_add(i64::from(amount_cents));
                account.in_flight = Some(id);
            }
            PayoutStatus::Failed if declined.contains(&id) => {}
            PayoutStatus::Failed => account.in_doubt = Some(id),
        }
    }
    Ok(())
}

/// Those of some payouts whose last attempt Stripe refused for certain.
fn with_a_definite_no(
    conn: &mut AnyConnection,
    ids: &[&PayoutId],
) -> Result<HashSet<PayoutId>, StoreError> {
    let mut last = HashMap::new();
    for chunk in ids.chunks(IDS_MAX) {
        let attempts: Vec<(PayoutId, AttemptOutcome)> = payout_attempts::table
            .filter(payout_attempts::payout_id.eq_any(chunk.iter().copied()))
            .order((payout_attempts::payout_id, payout_attempts::attempt))
            .select((payout_attempts::payout_id, payout_attempts::outcome))
            .load(conn)?;
        last.extend(attempts);
    }
    let declined = last
        .into_iter()
        .filter(|(_, outcome)| *outcome == AttemptOutcome::Declined);
    Ok(declined.map(|(id, _)| id).collect())
}
