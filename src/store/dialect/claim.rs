//! Payouts that a run takes in hand, as many as there are in one statement.

use diesel::prelude::*;
use diesel::sql_types::{Array, Text, Timestamp};

use crate::model::ids::PayoutId;
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::dialect::among::Texts;
use crate::store::dialect::fixed::fixed;

/// Sets those of the payouts that are pending to PROCESSING. Returns how many.
///
/// Not an update of Diesel's, which is read and planned anew at every call.
pub(crate) fn payouts_claim(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
    now: Time,
) -> QueryResult<usize> {
    let ids = Texts::of(ids);
    match conn {
        AnyConnection::Postgres(c) => fixed(
            "UPDATE payouts SET status = 'PROCESSING', updated_at = ?
             WHERE id = ANY(?) AND status = 'PENDING'",
        )
        .bind::<Timestamp, _>(now)
        .bind::<Array<Text>, _>(ids)
        .execute(c),
        AnyConnection::Sqlite(c) => fixed(
            "UPDATE payouts SET status = 'PROCESSING', updated_at = ?
             WHERE id IN (SELECT value FROM json_each(?)) AND status = 'PENDING'",
        )
        .bind::<Timestamp, _>(now)
        .bind::<Text, _>(ids)
        .execute(c),
    }
}
