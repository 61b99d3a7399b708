//! Statements that completed payouts cover and that are not marked PAID.

use std::collections::HashMap;

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::ids::{PayoutId, StatementId};
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::schema::{payout_reversals, payouts, royalty_statements};
use crate::model::statement::StatementAccount;
use crate::store::connection::AnyConnection;
use crate::store::dialect::IDS_MAX;
use crate::store::payout_create::Locks;
use crate::store::statements::{accounts_in_tx, mark_covered_in_tx};
use crate::store::{Store, StoreError};

/// A page of statements that are covered and not marked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatementsToMark {
    /// Each with the last payout that paid it, one with a transfer if there is
    /// one, in the order of their ids.
    pub unmarked: Vec<(StatementAccount, Payout)>,
    /// The last statement that was looked at; none when there is nothing behind.
    pub last: Option<StatementId>,
}

/// A statement that is marked PAID although nothing is left of what paid it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementReversed {
    /// The statement, with its figures.
    pub account: StatementAccount,
    /// A payout of it that was taken back whole.
    pub payout: PayoutId,
}

/// Rows read at once.
const PAGE: i64 = 1000;

impl Store {
    /// A page of the statements that completed payouts cover and that are not
    /// marked PAID, behind `after`.
    pub fn statements_to_mark(
        &mut self,
        after: Option<&StatementId>,
    ) -> Result<StatementsToMark, StoreError> {
        self.read(|conn| {
            let mut query = royalty_statements::table
                .filter(royalty_statements::paid_at.is_null())
                .select(royalty_statements::id)
                .order(royalty_statements::id)
                .limit(PAGE)
                .into_boxed();
            if let Some(after) = after {
                query = query.filter(royalty_statements::id.gt(after));
            }
            let ids: Vec<StatementId> = query.load(conn)?;
            let last = ids.last().cloned();
            let covered: Vec<StatementAccount> = accounts_in_tx(conn, &ids, Locks::None)?
                .into_values()
                .filter(StatementAccount::is_to_be_marked)
                .collect();
            let mut paid_by = last_payouts_of(conn, &covered)?;
            let mut unmarked: Vec<(StatementAccount, Payout)> = covered
                .into_iter()
                .filter_map(|account| {
                    let payout = paid_by.remove(&account.statement.id)?;
                    Some((account, payout))
                })
                .collect();
            unmarked.sort_by(|(a, _), (b, _)| a.statement.id.cmp(&b.statement.id));
            Ok(StatementsToMark { unmarked, last })
        })
    }

    /// A page of the payouts that were taken back whole, behind `after`: of them, those
    /// whose statement is marked PAID and not covered by anything else. The last payout
    /// looked at; none when there is nothing behind.
    pub fn statements_reversed(
        &mut self,
        after: Option<&PayoutId>,
    ) -> Result<(Vec<StatementReversed>, Option<PayoutId>), StoreError> {
        self.read(|conn| {
            let mut query = payout_reversals::table
                .inner_join(payouts::table.on(payouts::id.eq(payout_reversals::payout_id)))
                .filter(
                    payouts::stripe_transfer_id
                        .assume_not_null()
                        .eq(payout_reversals::transfer_id),
                )
                .filter(payouts::royalty_statement_id.is_not_null())
                .select((
                    payouts::id,
                    payouts::royalty_statement_id.assume_not_null(),
                    payouts::amount_cents,
                    payout_reversals::amount_reversed_cents,
                ))
                .order(payouts::id)
                .limit(PAGE)
                .into_boxed();
            if let Some(after) = after {
                query = query.filter(payouts::id.gt(after));
            }
            let rows: Vec<(PayoutId, StatementId, i32, i64)> = query.load(conn)?;
            let last = rows.last().map(|(payout, ..)| payout.clone());
            let whole = rows
                .into_iter()
                .filter(|(_, _, cents, reversed)| *reversed >= i64::from(*cents));
            let mut payouts: HashMap<StatementId, PayoutId> = HashMap::new();
            for (payout, statement, ..) in whole {
                payouts.entry(statement).or_insert(payout);
            }
            let ids: Vec<StatementId> = payouts.keys().cloned().collect();
            let mut reversed: Vec<StatementReversed> = accounts_in_tx(conn, &ids, Locks::None)?
                .into_values()
                .filter(|account| account.statement.paid_at.is_some() && !account.is_covered())
                .filter_map(|account| {
                    let payout = payouts.remove(&account.statement.id)?;
                    Some(StatementReversed { account, payout })
                })
                .collect();
            reversed.sort_by(|a, b| a.payout.cmp(&b.payout));
            Ok((reversed, last))
        })
    }

    /// Marks a covered statement PAID, on behalf of the payout that covered it.
    /// Returns what keeps it from being marked, where something does.
    pub fn statement_mark(&mut self, payout: &PayoutId) -> Result<Result<(), String>, StoreError> {
        let now = self.clock.now();
        let marked = self.write(|conn| {
            let row: Payout = payouts::table.filter(payouts::id.eq(payout)).first(conn)?;
            let (Some(statement), Some(transfer)) =
                (&row.royalty_statement_id, &row.stripe_transfer_id)
            else {
                return Ok(Err("its payout bears no transfer".to_owned()));
            };
            let at = row.processed_at.unwrap_or(now);
            mark_covered_in_tx(conn, now, statement, transfer, at)?;
            let accounts = accounts_in_tx(conn, std::slice::from_ref(statement), Locks::None)?;
            let marked = match accounts.get(statement) {
                None => Err(format!("statement {statement} is gone")),
                Some(account) if account.statement.paid_at.is_some() => Ok(()),
                Some(account) if !account.is_covered() => {
                    Err("its payouts do not cover it any more".to_owned())
                }
                Some(account) => Err(format!("it is {}", account.statement.status)),
            };
            failpoint!("mark.writing");
            Ok(marked)
        })?;
        failpoint!("mark.committed");
        Ok(marked)
    }
}

/// The last payout that paid each of these statements, one with a transfer if there is one.
fn last_payouts_of(
    conn: &mut AnyConnection,
    accounts: &[StatementAccount],
) -> Result<HashMap<StatementId, Payout>, StoreError> {
    let ids: Vec<&StatementId> = accounts
        .iter()
        .map(|account| &account.statement.id)
        .collect();
    let mut last_payouts = HashMap::new();
    for chunk in ids.chunks(IDS_MAX) {
        let rows: Vec<Payout> = payouts::table
            .inner_join(royalty_statements::table)
            // By creator, for whom there is an index.
            .filter(payouts::creator_id.eq(royalty_statements::creator_id))
            .filter(royalty_statements::id.eq_any(chunk.iter().copied()))
            .filter(payouts::status.eq(PayoutStatus::Completed))
            .select(Payout::as_select())
            // Said in full, because databases sort what is missing each in their way.
            .order((
                payouts::stripe_transfer_id.is_null(),
                payouts::processed_at.is_null(),
                payouts::processed_at.desc(),
                payouts::id,
            ))
            .load(conn)?;
        for payout in rows {
            if let Some(statement) = payout.royalty_statement_id.clone() {
                last_payouts.entry(statement).or_insert(payout);
            }
        }
    }
    Ok(last_payouts)
}
