//! What state a database is in: for `doctor`, and for what a run may spend.

use std::time::Duration;

use diesel::prelude::*;

use crate::model::hold::HoldKind;
use crate::model::ids::RunId;
use crate::model::payout::PayoutStatus;
use crate::model::schema::{
    payout_attempts, payout_batches as batches, payout_holds as holds, payouts,
};
use crate::store::holds::standing;
use crate::store::runs::has_ended;
use crate::store::{Store, StoreError, connection, dialect};

/// The database behind a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `PostgreSQL 16.4`, `SQLite 3.51.3`.
    pub version: String,
    /// Where in it the tables are, and as whom they are read.
    pub place: Option<String>,
    /// What is wrong with how it is reached or kept: others could read what is in it.
    pub exposed: Option<String>,
}

/// Attempts whose outcome nobody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenTotal {
    /// How many.
    pub count: i64,
    /// Minor units.
    pub amount_cents: i64,
}

/// What an embedded database takes of its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// The file.
    pub database_bytes: u64,
    /// Its write-ahead log.
    pub wal_bytes: u64,
    /// What is left to this user.
    pub free_bytes: u64,
}

/// What the holds of one kind keep from being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldTotal {
    /// Of what.
    pub kind: HoldKind,
    /// How many holds stand.
    pub holds: i64,
    /// The payouts behind them. Of batches those that they were loaded with, else those
    /// that are pending.
    pub payouts: i64,
    /// Their sum, minor units; none for the switch, which would add up the whole queue.
    pub amount_cents: Option<i64>,
}

impl Store {
    /// The role of the database that this session began as; none on SQLite, which has
    /// no roles. What `SET ROLE` makes of it afterwards does not matter.
    pub fn role(&mut self) -> Result<Option<String>, StoreError> {
        self.read(|conn| Ok(dialect::session_role(conn)?))
    }

    /// What this connection leads to.
    pub fn server(&mut self) -> Result<Server, StoreError> {
        let url = self.url.clone();
        self.read(|conn| dialect::server(conn, &url))
    }

    /// What is unresolved or on its way: money that must not be counted as available.
    pub fn attempts_open(&mut self) -> Result<OpenTotal, StoreError> {
        let (count, amount_cents) = self.read(|conn| {
            Ok(payout_attempts::table
                .filter(dialect::unresolved())
                .select((diesel::dsl::count_star(), dialect::sum_attempts_cents()))
                .first::<(i64, i64)>(conn)?)
        })?;
        Ok(OpenTotal {
            count,
            amount_cents,
        })
    }

    /// What the database takes of its disk; none on PostgreSQL.
    pub fn disk(&self) -> Option<Disk> {
        connection::disk(&self.url)
    }

    /// Open attempts of runs that no longer live, which the next run looks up.
    pub fn attempts_orphaned(&mut self, lease: Duration) -> Result<OpenTotal, StoreError> {
        let (now, pooled) = (self.clock.now(), self.pooled());
        self.read(|conn| {
            let by_run: Vec<(RunId, i64, i64)> = payout_attempts::table
                .filter(dialect::unresolved())
                .group_by(payout_attempts::run_id)
                .select((
                    payout_attempts::run_id,
                    diesel::dsl::count_star(),
                    dialect::sum_attempts_cents(),
                ))
                .load(conn)?;
            let mut orphaned = OpenTotal::default();
            for (run, count, cents) in by_run {
                if has_ended(conn, pooled, &run, lease, now)? {
                    orphaned.count = orphaned.count.saturating_add(count);
                    orphaned.amount_cents = orphaned.amount_cents.saturating_add(cents);
                }
            }
            Ok(orphaned)
        })
    }

    /// What stands in the way of what is pending, by the kind of hold; the kinds of which
    /// none stands are left out.
    pub fn held_totals(&mut self) -> Result<Vec<HeldTotal>, StoreError> {
        let now = self.clock.now();
        self.read(|conn| {
            let mut totals = Vec::new();
            for kind in [
                HoldKind::All,
                HoldKind::Batch,
                HoldKind::Creator,
                HoldKind::Payout,
            ] {
                let standing = holds::table
                    .filter(holds::kind.eq(kind))
                    .filter(standing(now));
                let count: i64 = standing.count().get_result(conn)?;
                if count == 0 {
                    continue;
                }
                let targets = standing.select(holds::target);
                let pending = payouts::table.filter(payouts::status.eq(PayoutStatus::Pending));
                let both = (diesel::dsl::count_star(), dialect::sum_amount_cents());
                let (payouts, cents): (i64, Option<i64>) = match kind {
                    HoldKind::All => (pending.count().get_result(conn)?, None),
                    HoldKind::Batch => {
                        let loaded: Vec<(i32, i64)> = batches::table
                            .filter(batches::id.eq_any(targets))
                            .select((batches::payout_count, batches::total_cents))
                            .load(conn)?;
                        loaded
                            .iter()
                            .fold((0, Some(0)), |(count, cents), (more, total)| {
                                let cents = cents.map(|cents: i64| cents.saturating_add(*total));
                                (i64::from(*more).saturating_add(count), cents)
                            })
                    }
                    HoldKind::Creator => pending
                        .filter(payouts::creator_id.eq_any(targets))
                        .select(both)
                        .first::<(i64, i64)>(conn)
                        .map(|(count, cents)| (count, Some(cents)))?,
                    HoldKind::Payout => pending
                        .filter(payouts::id.eq_any(targets))
                        .select(both)
                        .first::<(i64, i64)>(conn)
                        .map(|(count, cents)| (count, Some(cents)))?,
                };
                totals.push(HeldTotal {
                    kind,
                    holds: count,
                    payouts,
                    amount_cents: cents,
                });
            }
            Ok(totals)
        })
    }
}
