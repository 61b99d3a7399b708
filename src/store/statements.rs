//! Royalty statements: what is owed, what of it is paid and on its way; and,
//! where the tables are our own, added. Of a platform's rows only the mark that one is PAID is written.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use crate::model::attempt::AttemptOutcome;
use crate::model::ids::{CreatorId, IdMaker, PayoutId, StatementId};
use crate::model::money::Currency;
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::schema::{
    creators, payout_attempts, payout_reversals as reversals, payouts, royalty_runs as runs,
    royalty_statements as statements,
};
use crate::model::statement::{
    RoyaltyRun, RoyaltyRunStatus, RoyaltyStatementStatus, Statement, StatementAccount,
};
use crate::model::time::Time;
use crate::store::connection::{AnyConnection, backend_of};
use crate::store::creators::{NamedCreator, named_in_tx};
use crate::store::dialect::{IDS_MAX, batch_rows_max, lock_statements, on_each};
use crate::store::findings::payments_found_in_tx;
use crate::store::history::cancelled_in_tx;
use crate::store::payout_create::Locks;
use crate::store::reversals::{of_payouts_in_tx, of_transfers_in_tx};
use crate::store::settings::currency_once_in_tx;
use crate::store::{Store, StoreError};

/// The tables that hold statements.
pub const OWN_TABLES: &[&str] = &["royalty_runs", "royalty_statements"];

/// Which statements a list shows.
#[derive(Debug, Clone, Default)]
pub struct StatementFilter {
    /// Only this creator's.
    pub creator: Option<CreatorId>,
    /// Only this royalty run's.
    pub run: Option<String>,
    /// Only in these states; empty: in any.
    pub statuses: Vec<RoyaltyStatementStatus>,
}

/// A statement with what is read beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementLine {
    /// The row and what its payouts did with it.
    pub account: StatementAccount,
    /// The name of the creator it is owed to.
    pub creator_name: String,
    /// The run that calculated it.
    pub run: RoyaltyRun,
}

/// What an import of statements asks for.
#[derive(Debug, Default)]
pub struct StatementKeys<'a> {
    /// Statement ids.
    pub ids: Vec<StatementId>,
    /// Ids of royalty runs.
    pub runs: Vec<&'a str>,
    /// Ids, Stripe accounts or e-mail addresses of creators.
    pub creators: Vec<&'a str>,
}

/// What is stored that an import of statements could meet.
#[derive(Debug, Default)]
pub struct KnownStatements {
    /// By the text that names them.
    pub creators: HashMap<String, NamedCreator>,
    /// By id.
    pub runs: HashMap<String, RoyaltyRun>,
    by_id: HashMap<StatementId, Statement>,
    by_run_and_creator: HashMap<(String, CreatorId), StatementId>,
}

impl KnownStatements {
    /// The statement with this id.
    pub fn by_id(&self, id: &StatementId) -> Option<&Statement> {
        self.by_id.get(id)
    }

    /// The one statement that a run has for a creator.
    pub fn by_run_and_creator(&self, run: &str, creator: &CreatorId) -> Option<&Statement> {
        self.by_id.get(
            self.by_run_and_creator
                .get(&(run.to_owned(), creator.clone()))?,
        )
    }

    fn insert(&mut self, statement: Statement) {
        let key = (
            statement.royalty_run_id.clone(),
            statement.creator_id.clone(),
        );
        self.by_run_and_creator.insert(key, statement.id.clone());
        self.by_id.insert(statement.id.clone(), statement);
    }
}

/// A royalty run to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// Its id.
    pub id: String,
    /// The first moment of the period.
    pub period_start: Time,
    /// The last.
    pub period_end: Time,
}

/// A statement to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStatement {
    /// Made when missing.
    pub id: Option<StatementId>,
    /// Whose run it is of.
    pub run_id: String,
    /// Whom it is owed to.
    pub creator_id: CreatorId,
    /// Before the platform's fee, minor units.
    pub total_earnings_cents: i32,
    /// The platform's fee, minor units.
    pub platform_fee_cents: i32,
    /// What is owed, minor units.
    pub net_payable_cents: i32,
    /// Where it stands.
    pub status: RoyaltyStatementStatus,
}

/// What an import writes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct StatementChanges {
    /// Runs that are missing.
    pub runs: Vec<NewRun>,
    /// In the file's order.
    pub statements: Vec<NewStatement>,
}

impl Store {
    /// A page of statements in the order of their ids, those behind `after` only.
    pub fn statements_list(
        &mut self,
        filter: &StatementFilter,
        after: Option<&StatementId>,
        limit: i64,
    ) -> Result<Vec<StatementLine>, StoreError> {
        self.read(|conn| {
            let mut query = statements::table
                .inner_join(creators::table)
                .inner_join(runs::table)
                .into_boxed();
            if let Some(creator) = &filter.creator {
                query = query.filter(statements::creator_id.eq(creator));
            }
            if let Some(run) = &filter.run {
                query = query.filter(statements::royalty_run_id.eq(run));
            }
            if !filter.statuses.is_empty() {
                query = query.filter(statements::status.eq_any(&filter.statuses));
            }
            if let Some(after) = after {
                query = query.filter(statements::id.gt(after));
            }
            let rows: Vec<(Statement, String, RoyaltyRun)> = query
                .order(statements::id)
                .limit(limit)
                .select((
                    Statement::as_select(),
                    creators::stage_name,
                    RoyaltyRun::as_select(),
                ))
                .load(conn)?;
            let mut accounts: HashMap<StatementId, StatementAccount> = rows
                .iter()
                .map(|(statement, ..)| (statement.id.clone(), untouched(statement.clone())))
                .collect();
            add_payouts(conn, &mut accounts)?;
            let lines = rows
                .into_iter()
                .filter_map(|(statement, creator_name, run)| {
                    let account = accounts.remove(&statement.id)?;
                    Some(StatementLine {
                        account,
                        creator_name,
                        run,
                    })
                });
            Ok(lines.collect())
        })
    }

    /// The statements that are not paid, and those paid ones of which money was
    /// taken back, with whom they are owed to; in the order of their ids.
    pub fn statements_open(
        &mut self,
        run: Option<&str>,
        creator: Option<&CreatorId>,
    ) -> Result<Vec<(StatementId, CreatorId)>, StoreError> {
        self.read(|conn| {
            let taken_back = payouts::table
                .inner_join(reversals::table.on(reversals::payout_id.eq(payouts::id)))
                .filter(payouts::royalty_statement_id.is_not_null())
                .select(payouts::royalty_statement_id.assume_not_null());
            let unpaid = statements::paid_at
                .is_null()
                .and(statements::status.ne(RoyaltyStatementStatus::Paid));
            let mut query = statements::table
                .filter(unpaid.or(statements::id.eq_any(taken_back)))
                .into_boxed();
            if let Some(run) = run {
                query = query.filter(statements::royalty_run_id.eq(run));
            }
            if let Some(creator) = creator {
                query = query.filter(statements::creator_id.eq(creator));
            }
            let found = query
                .order(statements::id)
                .select((statements::id, statements::creator_id))
                .load(conn)?;
            Ok(found)
        })
    }

    /// Whether there is a royalty run with this id.
    pub fn royalty_run_exists(&mut self, id: &str) -> Result<bool, StoreError> {
        self.read(|conn| {
            let found = diesel::select(diesel::dsl::exists(runs::table.filter(runs::id.eq(id))));
            Ok(found.get_result(conn)?)
        })
    }

    /// One statement and its payouts, newest first.
    pub fn statement(
        &mut self,
        id: &StatementId,
    ) -> Result<Option<(StatementLine, Vec<Payout>)>, StoreError> {
        self.read(|conn| {
            let found: Option<(Statement, String, RoyaltyRun)> = statements::table
                .inner_join(creators::table)
                .inner_join(runs::table)
                .filter(statements::id.eq(id))
                .select((
                    Statement::as_select(),
                    creators::stage_name,
                    RoyaltyRun::as_select(),
                ))
                .first(conn)
                .optional()?;
            let Some((statement, creator_name, run)) = found else {
                return Ok(None);
            };
            let mut accounts = HashMap::from([(id.clone(), untouched(statement))]);
            add_payouts(conn, &mut accounts)?;
            let Some(account) = accounts.remove(id) else {
                return Ok(None);
            };
            // All of them, also what other software paid to somebody else.
            let payouts = payouts::table
                .filter(payouts::royalty_statement_id.eq(id))
                .order((payouts::created_at.desc(), payouts::id.desc()))
                .select(Payout::as_select())
                .load(conn)?;
            Ok(Some((
                StatementLine {
                    account,
                    creator_name,
                    run,
                },
                payouts,
            )))
        })
    }

    /// Writes what `decide` makes of what is stored, in one transaction, and
    /// stamps the database with the currency; when it decides against it, nothing.
    /// Returns what was written.
    ///
    /// # Errors
    /// What `decide` returns; a conflict when the tables are a platform's.
    pub fn statements_write<E: From<StoreError>>(
        &mut self,
        keys: &StatementKeys<'_>,
        currency: Currency,
        decide: impl FnOnce(&KnownStatements) -> Result<StatementChanges, E>,
    ) -> Result<StatementChanges, E> {
        self.require_own_tables(OWN_TABLES)?;
        let now = self.clock.now();
        let decided = self.write(|conn| {
            let known = known_in_tx(conn, keys)?;
            // Deciding against it commits a transaction that wrote nothing.
            let changes = match decide(&known) {
                Ok(changes) => changes,
                Err(error) => return Ok(Err(error)),
            };
            if !changes.statements.is_empty() {
                currency_once_in_tx(conn, currency, now)?;
                insert_in_tx(conn, &changes, now)?;
            }
            Ok(Ok(changes))
        });
        decided?
    }
}

fn known_in_tx(
    conn: &mut AnyConnection,
    keys: &StatementKeys<'_>,
) -> Result<KnownStatements, StoreError> {
    let mut known = KnownStatements {
        creators: named_in_tx(conn, &keys.creators)?,
        ..Default::default()
    };
    for chunk in keys.ids.chunks(IDS_MAX) {
        let rows: Vec<Statement> = statements::table
            .filter(statements::id.eq_any(chunk))
            .select(Statement::as_select())
            .load(conn)?;
        for statement in rows {
            known.insert(statement);
        }
    }
    let creators: Vec<CreatorId> = known
        .creators
        .values()
        .filter_map(|named| match named {
            NamedCreator::One(creator) => Some(creator.id.clone()),
            NamedCreator::Several => None,
        })
        .collect();
    for run_chunk in keys.runs.chunks(IDS_MAX) {
        let rows: Vec<RoyaltyRun> = runs::table
            .filter(runs::id.eq_any(run_chunk.iter().copied()))
            .select(RoyaltyRun::as_select())
            .load(conn)?;
        known
            .runs
            .extend(rows.into_iter().map(|run| (run.id.clone(), run)));
        for creator_chunk in creators.chunks(IDS_MAX) {
            let rows: Vec<Statement> = statements::table
                .filter(statements::royalty_run_id.eq_any(run_chunk.iter().copied()))
                .filter(statements::creator_id.eq_any(creator_chunk))
                .select(Statement::as_select())
                .load(conn)?;
            for statement in rows {
                known.insert(statement);
            }
        }
    }
    Ok(known)
}

fn insert_in_tx(
    conn: &mut AnyConnection,
    changes: &StatementChanges,
    now: Time,
) -> Result<(), StoreError> {
    let mut ids = IdMaker::new(now);
    let backend = backend_of(conn);
    let run_rows: Vec<RoyaltyRun> = changes
        .runs
        .iter()
        .map(|new| RoyaltyRun {
            id: new.id.clone(),
            period_start: new.period_start,
            period_end: new.period_end,
            // Statements that are there to be paid are no longer calculated.
            status: RoyaltyRunStatus::Locked,
            created_at: now,
            updated_at: now,
        })
        .collect();
    for chunk in run_rows.chunks(batch_rows_max(backend, 6)) {
        on_each!(conn, c => diesel::insert_into(runs::table).values(chunk).execute(c))?;
    }
    for chunk in changes.statements.chunks(batch_rows_max(backend, 12)) {
        let mut rows = Vec::with_capacity(chunk.len());
        for new in chunk {
            let id = match &new.id {
                Some(id) => id.clone(),
                None => StatementId::new(ids.next_id()?),
            };
            rows.push(Statement {
                id,
                royalty_run_id: new.run_id.clone(),
                creator_id: new.creator_id.clone(),
                total_earnings_cents: new.total_earnings_cents,
                platform_fee_cents: new.platform_fee_cents,
                net_payable_cents: new.net_payable_cents,
                status: new.status,
                disputed_at: (new.status == RoyaltyStatementStatus::Disputed).then_some(now),
                paid_at: None,
                payment_reference: None,
                created_at: now,
                updated_at: now,
            });
        }
        on_each!(conn, c => diesel::insert_into(statements::table).values(&rows).execute(c))?;
    }
    Ok(())
}

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
        reversed_cents: 0,
        in_flight_cents: 0,
        in_flight: None,
        in_doubt: None,
        unsettled: Vec::new(),
    }
}

/// What attempts of this tool paid, or may yet pay, on some statements. The money is
/// where it went, whatever other software does to the payouts' rows.
#[derive(Default)]
struct PaidByAttempts {
    /// What each transfer of a payout paid on a statement, minor units.
    transfers: HashMap<(StatementId, PayoutId), Vec<(String, i32)>>,
    /// Attempts that nobody knows the outcome of.
    open: Vec<(StatementId, PayoutId, i32)>,
    /// What was taken back of each transfer, minor units.
    reversed: HashMap<String, i64>,
}

fn paid_by_attempts(
    conn: &mut AnyConnection,
    ids: &[&StatementId],
) -> Result<PaidByAttempts, StoreError> {
    use payout_attempts as a;
    type Row = (StatementId, PayoutId, AttemptOutcome, i32, Option<String>);
    let mut found = PaidByAttempts::default();
    for chunk in ids.chunks(IDS_MAX) {
        let rows: Vec<Row> = a::table
            .filter(a::royalty_statement_id.eq_any(chunk.iter().copied()))
            .filter(a::outcome.eq_any([
                AttemptOutcome::Sending,
                AttemptOutcome::Unknown,
                AttemptOutcome::Paid,
                AttemptOutcome::Surplus,
            ]))
            .select((
                a::royalty_statement_id.assume_not_null(),
                a::payout_id,
                a::outcome,
                a::amount_cents,
                a::transfer_id,
            ))
            .load(conn)?;
        for (statement, payout, outcome, cents, transfer) in rows {
            if outcome.is_unresolved() {
                found.open.push((statement, payout, cents));
            } else {
                let transfers = found.transfers.entry((statement, payout)).or_default();
                transfers.push((transfer.unwrap_or_default(), cents));
            }
        }
    }
    let made = found.transfers.values().flatten();
    let made: Vec<&str> = made.map(|(transfer, _)| transfer.as_str()).collect();
    found.reversed = of_transfers_in_tx(conn, &made)?;
    Ok(found)
}

/// Adds up what was paid on statements, and what may be on its way: by this tool's own
/// attempts, and by rows beside them.
fn add_payouts(
    conn: &mut AnyConnection,
    accounts: &mut HashMap<StatementId, StatementAccount>,
) -> Result<(), StoreError> {
    // By creator, for whom there is an index. A payout that other software made
    // to somebody else does not settle this creator's statement.
    let mut rows: Vec<Payout> = Vec::new();
    let ids: Vec<&StatementId> = accounts.keys().collect();
    let by_attempts = paid_by_attempts(conn, &ids)?;
    for chunk in ids.chunks(IDS_MAX) {
        let found = payouts::table
            .inner_join(statements::table)
            .filter(payouts::creator_id.eq(statements::creator_id))
            .filter(statements::id.eq_any(chunk.iter().copied()))
            .select(Payout::as_select())
            .load(conn)?;
        rows.extend(found);
    }
    for ((statement, _), transfers) in &by_attempts.transfers {
        let Some(account) = accounts.get_mut(statement) else {
            continue;
        };
        for (transfer, cents) in transfers {
            let cents = i64::from(*cents);
            let reversed = by_attempts.reversed.get(transfer).copied().unwrap_or(0);
            account.completed_cents = account.completed_cents.saturating_add(cents);
            account.reversed_cents = account.reversed_cents.saturating_add(reversed.min(cents));
        }
    }
    for (statement, payout, cents) in &by_attempts.open {
        let of_row = |row: &Payout| {
            row.id == *payout && row.royalty_statement_id.as_ref() == Some(statement)
        };
        // Whose row still says so is counted with the rows.
        if !rows.iter().any(of_row)
            && let Some(account) = accounts.get_mut(statement)
        {
            account.in_flight_cents = account.in_flight_cents.saturating_add(i64::from(*cents));
            account.unsettled.push((payout.clone(), *cents));
            account.in_flight = Some(payout.clone());
        }
    }
    let of_status = |wanted: PayoutStatus| -> Vec<&PayoutId> {
        let those = rows.iter().filter(|payout| payout.status == wanted);
        those.map(|payout| &payout.id).collect()
    };
    let unpaid = certainly_unpaid(conn, &of_status(PayoutStatus::Failed))?;
    let reversed = of_payouts_in_tx(conn, &of_status(PayoutStatus::Completed))?;
    for payout in rows {
        let may_have_been_sent = payout.bears_marks_of_a_send();
        let (id, amount_cents) = (payout.id, payout.amount_cents);
        let Some(statement) = payout.royalty_statement_id else {
            continue;
        };
        let Some(account) = accounts.get_mut(&statement) else {
            continue;
        };
        match payout.status {
            PayoutStatus::Completed => {
                let made = by_attempts.transfers.get(&(statement, id.clone()));
                let held = payout.stripe_transfer_id.as_deref();
                let counted =
                    |(transfer, _): &(String, i32)| held.is_none_or(|held| held == transfer);
                // Paid by an attempt, and the row says nothing else.
                if made.is_some_and(|made| made.iter().any(counted)) {
                    continue;
                }
                account.completed_cents = account
                    .completed_cents
                    .saturating_add(i64::from(amount_cents));
                account.reversed_cents = account.reversed_cents.saturating_add(
                    reversed
                        .get(&id)
                        .copied()
                        .unwrap_or(0)
                        .min(i64::from(amount_cents)),
                );
            }
            PayoutStatus::Pending | PayoutStatus::Processing => {
                account.in_flight_cents = account
                    .in_flight_cents
                    .saturating_add(i64::from(amount_cents));
                if payout.status == PayoutStatus::Processing || may_have_been_sent {
                    account.unsettled.push((id.clone(), amount_cents));
                }
                account.in_flight = Some(id);
            }
            PayoutStatus::Failed if unpaid.contains(&id) => {}
            PayoutStatus::Failed => {
                account.unsettled.push((id.clone(), amount_cents));
                account.in_doubt = Some(id);
            }
        }
    }
    Ok(())
}

/// Marks a statement PAID once its completed payouts cover it, unless its creator
/// disputes it or nobody has reviewed it; in a savepoint, so that a platform's
/// refusal does not undo the record of the payment. Returns how much more than it
/// owes was paid, minor units.
pub(super) fn mark_covered_in_tx(
    conn: &mut AnyConnection,
    now: Time,
    id: &StatementId,
    transfer_id: &str,
    at: Time,
) -> Result<i64, StoreError> {
    conn.transaction(|conn| {
        let accounts = accounts_in_tx(conn, std::slice::from_ref(id), Locks::None)?;
        let Some(account) = accounts.get(id) else {
            return Ok(0);
        };
        if account.is_to_be_marked() {
            diesel::update(
                statements::table
                    .filter(statements::id.eq(id))
                    .filter(statements::status.eq(account.statement.status)),
            )
            .set((
                statements::status.eq(RoyaltyStatementStatus::Paid),
                statements::paid_at.eq(at),
                statements::payment_reference.eq(transfer_id),
                statements::updated_at.eq(now),
            ))
            .execute(conn)?;
        }
        Ok(account.overpaid_cents())
    })
}

/// Those of some failed payouts of which it is certain that they were not paid:
/// Stripe refused the last attempt, or they were cancelled; and no attempt and no
/// finding says that a transfer may have been made all the same.
fn certainly_unpaid(
    conn: &mut AnyConnection,
    ids: &[&PayoutId],
) -> Result<HashSet<PayoutId>, StoreError> {
    let mut last = HashMap::new();
    let mut in_doubt = HashSet::new();
    for chunk in ids.chunks(IDS_MAX) {
        let attempts: Vec<(PayoutId, AttemptOutcome)> = payout_attempts::table
            .filter(payout_attempts::payout_id.eq_any(chunk.iter().copied()))
            .order((payout_attempts::payout_id, payout_attempts::attempt))
            .select((payout_attempts::payout_id, payout_attempts::outcome))
            .load(conn)?;
        let may_be_paid = attempts
            .iter()
            .filter(|(_, outcome)| outcome.may_have_paid())
            .map(|(id, _)| id.clone());
        in_doubt.extend(may_be_paid);
        last.extend(attempts);
    }
    in_doubt.extend(payments_found_in_tx(conn, ids.iter().copied())?.into_keys());
    let mut unpaid = cancelled_in_tx(conn, ids.iter().copied())?;
    let declined = last
        .into_iter()
        .filter(|(_, outcome)| *outcome == AttemptOutcome::Declined);
    unpaid.extend(declined.map(|(id, _)| id));
    unpaid.retain(|id| !in_doubt.contains(id));
    Ok(unpaid)
}
