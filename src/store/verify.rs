//! The history as it stands, for whoever checks it: nothing here trusts a row to
//! be one that this tool wrote.

use std::collections::HashMap;

use diesel::dsl::{count_star, exists, not, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::model::history::StoredRow;
use crate::model::ids::{PayoutId, RunId};
use crate::model::payout::PayoutStatus;
use crate::model::schema::{
    payout_attempts, payout_batch_items, payout_history, payout_history_heads, payout_runs, payouts,
};
use crate::store::dialect::among;
use crate::store::{Store, StoreError};

/// Where a chain ends according to `payout_history_heads`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHead {
    /// How long it is.
    pub seq: i64,
    /// The last row's hash.
    pub hash: String,
}

/// Part of the history, and what else is known of the payouts it is about, all of
/// one state of the database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryPart {
    /// In the order of payouts and, within one, of `seq`.
    pub rows: Vec<StoredRow>,
    /// The ends of those chains, and of the one that the part before broke off in.
    pub heads: HashMap<PayoutId, StoredHead>,
    /// Where those payouts stand; one whose row was deleted is missing.
    pub statuses: HashMap<PayoutId, PayoutStatus>,
}

/// A run that has ended, and the hash it left over what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedRun {
    /// Which.
    pub id: RunId,
    /// None when it could not tell.
    pub heads_hash: Option<String>,
}

impl Store {
    /// Rows of the whole history.
    pub fn history_count(&mut self) -> Result<u64, StoreError> {
        let rows: i64 =
            self.read(|conn| Ok(payout_history::table.select(count_star()).first(conn)?))?;
        Ok(u64::try_from(rows).unwrap_or(0))
    }

    /// The history behind a row, at most `rows_max` rows of it.
    pub fn history_part(
        &mut self,
        behind: Option<&(PayoutId, i64)>,
        rows_max: i64,
    ) -> Result<HistoryPart, StoreError> {
        self.read(|conn| {
            let mut query = payout_history::table
                .select((
                    payout_history::payout_id,
                    // A number that was made too large, and a moment that is none, are read all the same.
                    sql::<BigInt>("CAST(payout_history.seq AS BIGINT)"),
                    payout_history::event,
                    payout_history::from_status,
                    payout_history::to_status,
                    sql::<Text>("CAST(payout_history.at AS TEXT)"),
                    payout_history::actor,
                    payout_history::run_id,
                    payout_history::reason,
                    payout_history::hash,
                ))
                .order((payout_history::payout_id, payout_history::seq))
                .limit(rows_max)
                .into_boxed();
            if let Some((payout, seq)) = behind {
                query = query.filter(
                    sql::<Bool>("(payout_history.payout_id, payout_history.seq) > (")
                        .bind::<Text, _>(payout)
                        .sql(", ")
                        .bind::<BigInt, _>(*seq)
                        .sql(")"),
                );
            }
            let rows: Vec<StoredRow> = query.load(conn)?;
            let mut ids: Vec<&PayoutId> = behind.iter().map(|(payout, _)| payout).collect();
            ids.extend(rows.iter().map(|row| &row.payout_id));
            ids.dedup();
            let heads: Vec<(PayoutId, i64, String)> = payout_history_heads::table
                .filter(among(payout_history_heads::payout_id, &ids))
                .select((
                    payout_history_heads::payout_id,
                    sql::<BigInt>("CAST(payout_history_heads.seq AS BIGINT)"),
                    payout_history_heads::hash,
                ))
                .load(conn)?;
            let statuses: Vec<(PayoutId, PayoutStatus)> = payouts::table
                .filter(among(payouts::id, &ids))
                .select((payouts::id, payouts::status))
                .load(conn)?;
            let heads = heads
                .into_iter()
                .map(|(payout, seq, hash)| (payout, StoredHead { seq, hash }));
            Ok(HistoryPart {
                heads: heads.collect(),
                statuses: statuses.into_iter().collect(),
                rows,
            })
        })
    }

    /// The runs that have ended behind one, in the order of their ids.
    pub fn runs_ended(
        &mut self,
        behind: Option<&RunId>,
        runs_max: i64,
    ) -> Result<Vec<EndedRun>, StoreError> {
        let found: Vec<(RunId, Option<String>)> = self.read(|conn| {
            let mut query = payout_runs::table
                .filter(payout_runs::ended_at.is_not_null())
                .select((payout_runs::id, payout_runs::heads_hash))
                .order(payout_runs::id)
                .limit(runs_max)
                .into_boxed();
            if let Some(behind) = behind {
                query = query.filter(payout_runs::id.gt(behind));
            }
            Ok(query.load(conn)?)
        })?;
        let runs = found
            .into_iter()
            .map(|(id, heads_hash)| EndedRun { id, heads_hash });
        Ok(runs.collect())
    }

    /// Runs that have not ended: they run, or were killed.
    pub fn runs_unended(&mut self) -> Result<u64, StoreError> {
        let runs: i64 = self.read(|conn| {
            Ok(payout_runs::table
                .filter(payout_runs::ended_at.is_null())
                .select(count_star())
                .first(conn)?)
        })?;
        Ok(u64::try_from(runs).unwrap_or(0))
    }

    /// Payouts of which nothing is in the history although something must be: those
    /// with a head, and those that this tool created or tried to send. At most
    /// `payouts_max`.
    pub fn histories_missing(&mut self, payouts_max: i64) -> Result<Vec<PayoutId>, StoreError> {
        self.read(|conn| {
            let mut missing: Vec<PayoutId> = payout_history_heads::table
                .filter(not(exists(payout_history::table.filter(
                    payout_history::payout_id.eq(payout_history_heads::payout_id),
                ))))
                .select(payout_history_heads::payout_id)
                .order(payout_history_heads::payout_id)
                .limit(payouts_max)
                .load(conn)?;
            let created: Vec<PayoutId> = payout_batch_items::table
                .filter(not(exists(payout_history::table.filter(
                    payout_history::payout_id.eq(payout_batch_items::payout_id),
                ))))
                .select(payout_batch_items::payout_id)
                .order(payout_batch_items::payout_id)
                .limit(payouts_max)
                .load(conn)?;
            let sent: Vec<PayoutId> = payout_attempts::table
                .filter(not(exists(payout_history::table.filter(
                    payout_history::payout_id.eq(payout_attempts::payout_id),
                ))))
                .select(payout_attempts::payout_id)
                .distinct()
                .order(payout_attempts::payout_id)
                .limit(payouts_max)
                .load(conn)?;
            missing.extend(created);
            missing.extend(sent);
            missing.sort();
            missing.dedup();
            Ok(missing)
        })
    }

    /// Rows that name a run of which there is no record. At most `rows_max`.
    pub fn history_without_run(
        &mut self,
        rows_max: i64,
    ) -> Result<Vec<(PayoutId, i64, RunId)>, StoreError> {
        self.read(|conn| {
            Ok(payout_history::table
                .filter(not(exists(
                    payout_runs::table.filter(payout_runs::id.eq(payout_history::run_id)),
                )))
                .select((
                    payout_history::payout_id,
                    sql::<BigInt>("CAST(payout_history.seq AS BIGINT)"),
                    payout_history::run_id,
                ))
                .order((payout_history::payout_id, payout_history::seq))
                .limit(rows_max)
                .load(conn)?)
        })
    }
}
