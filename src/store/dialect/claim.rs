//! Payouts that a run takes in hand, as many as there are in one statement.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, Text, Timestamp};

use crate::model::ids::PayoutId;
use crate::model::time::Time;
use crate::store::connection::{AnyConnection, MultiBackend};
use crate::store::dialect::among::Texts;
use crate::store::dialect::fixed::fixed;

/// A query of one table that locks what it finds until the transaction ends, and passes
/// over what others have locked.
///
/// A statement of its own: `WHERE id IN (SELECT … LIMIT n FOR UPDATE SKIP LOCKED)`
/// locks more than n rows when PostgreSQL plans it as a nested loop. On SQLite the
/// write transaction itself holds everything.
pub(crate) fn skipping_locked<Q>(query: Q) -> SkippingLocked<Q> {
    SkippingLocked(query)
}

/// See [`skipping_locked`].
pub(crate) struct SkippingLocked<Q>(Q);

impl<Q: Query> Query for SkippingLocked<Q> {
    type SqlType = Q::SqlType;
}

/// Remembered by its text.
impl<Q> QueryId for SkippingLocked<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> RunQueryDsl<AnyConnection> for SkippingLocked<Q> {}

impl<Q: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for SkippingLocked<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        self.0.walk_ast(out.reborrow())?;
        if matches!(out.backend(), MultiBackend::Postgres(_)) {
            out.push_sql(" FOR UPDATE SKIP LOCKED");
        }
        Ok(())
    }
}

/// Sets those of the payouts that are pending to PROCESSING. Returns how many.
///
/// Not an update of Diesel's, which is read and planned anew at every call. On SQLite
/// one by one: an update of many rows keeps a journal of its own to undo them by, which
/// outgrows its memory and goes to a temporary file.
pub(crate) fn payouts_claim(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
    now: Time,
) -> QueryResult<usize> {
    match conn {
        AnyConnection::Postgres(c) => fixed(
            "UPDATE payouts SET status = 'PROCESSING', updated_at = ?
             WHERE id = ANY(?) AND status = 'PENDING'",
        )
        .bind::<Timestamp, _>(now)
        .bind::<Array<Text>, _>(Texts::of(ids))
        .execute(c),
        AnyConnection::Sqlite(c) => ids.iter().try_fold(0, |claimed, id| {
            let changed = fixed(
                "UPDATE payouts SET status = 'PROCESSING', updated_at = ?
                 WHERE id = ? AND status = 'PENDING'",
            )
            .bind::<Timestamp, _>(now)
            .bind::<Text, _>(id)
            .execute(c)?;
            Ok(claimed + changed)
        }),
    }
}
