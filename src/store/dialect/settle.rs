//! Recording the usual outcome, a transfer that was answered to a send of ours,
//! for as many payouts at once as have been answered.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Integer, Nullable, Text, Timestamp};

use crate::model::ids::{PayoutId, StatementId};
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::dialect::fixed::{column, fixed};
use crate::store::error::StoreError;

/// A transfer that was answered to a send of ours: the usual outcome.
#[derive(Debug)]
pub(crate) struct PaidRow<'a> {
    pub(crate) payout_id: &'a PayoutId,
    pub(crate) attempt: i32,
    pub(crate) amount_cents: i32,
    pub(crate) transfer_id: &'a str,
    /// The transfer's own time.
    pub(crate) at: Time,
    pub(crate) sent_at: Option<Time>,
    pub(crate) send_count: i32,
    pub(crate) http_status: Option<i32>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) replayed: bool,
}

/// A payout that [`settle_paid`] completed.
#[derive(Debug, QueryableByName)]
pub(crate) struct Settled {
    #[diesel(sql_type = Text)]
    pub(crate) id: PayoutId,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) royalty_statement_id: Option<StatementId>,
}

/// Completes those of the payouts, and closes their attempts as paid, whose row
/// is as it was claimed and holds no other transfer, and whose attempt is open;
/// leaves the others as they are. No payout is named twice.
///
/// An open attempt is the only one of its payout that is open or paid, which the
/// database itself holds, so nothing beside it has to be looked at.
pub(crate) fn settle_paid(
    conn: &mut AnyConnection,
    now: Time,
    rows: &[PaidRow<'_>],
) -> Result<Vec<Settled>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    match conn {
        AnyConnection::Sqlite(c) => settle_paid_one_by_one(c, now, rows),
        AnyConnection::Postgres(c) => settle_paid_as_set(c, now, rows),
    }
}

/// Two statements, however many rows: one by one, the round trips to the server
/// bound the rate of a whole run.
fn settle_paid_as_set(
    conn: &mut PgConnection,
    now: Time,
    rows: &[PaidRow<'_>],
) -> Result<Vec<Settled>, StoreError> {
    let settled: Vec<Settled> = fixed(
        "UPDATE payouts AS p
         SET status = 'COMPLETED', stripe_transfer_id = i.transfer_id, processed_at = i.at,
             failed_reason = NULL, updated_at = ?
         FROM unnest(?, ?, ?, ?, ?) AS i (payout_id, attempt, amount_cents, transfer_id, at)
         WHERE p.id = i.payout_id AND p.status = 'PROCESSING' AND p.amount_cents = i.amount_cents
           AND (p.stripe_transfer_id IS NULL OR p.stripe_transfer_id = i.transfer_id)
           AND EXISTS (
               SELECT FROM payout_attempts AS a
               WHERE a.payout_id = i.payout_id AND a.attempt = i.attempt
                 AND a.outcome IN ('sending', 'unknown'))
         RETURNING p.id, p.royalty_statement_id",
    )
    .bind::<Timestamp, _>(now)
    .bind::<Array<Text>, _>(column(rows, |row| row.payout_id.as_str()))
    .bind::<Array<Integer>, _>(column(rows, |row| row.attempt))
    .bind::<Array<Integer>, _>(column(rows, |row| row.amount_cents))
    .bind::<Array<Text>, _>(column(rows, |row| row.transfer_id))
    .bind::<Array<Timestamp>, _>(column(rows, |row| row.at))
    .load(conn)?;
    // Only the attempts of those: a condition on both sides of the join has PostgreSQL
    // compare each with each.
    let ids: HashSet<&PayoutId> = settled.iter().map(|row| &row.id).collect();
    let to_close: Vec<&PaidRow<'_>> = rows
        .iter()
        .filter(|row| ids.contains(row.payout_id))
        .collect();
    let closed = fixed(
        "UPDATE payout_attempts AS a
         SET outcome = 'paid', settled_at = ?, transfer_id = i.transfer_id,
             last_sent_at = i.sent_at, send_count = i.send_count, http_status = i.http_status,
             error_type = NULL, error_code = NULL, error_message = NULL,
             request_id = i.request_id, replayed = i.replayed
         FROM unnest(?, ?, ?, ?, ?, ?, ?, ?)
             AS i (payout_id, attempt, transfer_id, sent_at, send_count, http_status, request_id, replayed)
         WHERE a.payout_id = i.payout_id AND a.attempt = i.attempt
           AND a.outcome IN ('sending', 'unknown')",
    )
    .bind::<Timestamp, _>(now)
    .bind::<Array<Text>, _>(column(&to_close, |row| row.payout_id.as_str()))
    .bind::<Array<Integer>, _>(column(&to_close, |row| row.attempt))
    .bind::<Array<Text>, _>(column(&to_close, |row| row.transfer_id))
    .bind::<Array<Nullable<Timestamp>>, _>(column(&to_close, |row| row.sent_at))
    .bind::<Array<Integer>, _>(column(&to_close, |row| row.send_count))
    .bind::<Array<Nullable<Integer>>, _>(column(&to_close, |row| row.http_status))
    .bind::<Array<Nullable<Text>>, _>(column(&to_close, |row| row.request_id))
    .bind::<Array<Bool>, _>(column(&to_close, |row| row.replayed))
    .execute(conn)?;
    all_closed(closed, settled)
}

/// A call into SQLite is no round trip, and an update of Diesel's would be read and
/// planned anew for each row.
fn settle_paid_one_by_one(
    conn: &mut SqliteConnection,
    now: Time,
    rows: &[PaidRow<'_>],
) -> Result<Vec<Settled>, StoreError> {
    let mut settled = Vec::with_capacity(rows.len());
    let mut closed = 0;
    for row in rows {
        let completed: Option<Settled> = fixed(
            "UPDATE payouts
             SET status = 'COMPLETED', stripe_transfer_id = ?, processed_at = ?,
                 failed_reason = NULL, updated_at = ?
             WHERE id = ? AND status = 'PROCESSING' AND amount_cents = ?
               AND (stripe_transfer_id IS NULL OR stripe_transfer_id = ?)
               AND EXISTS (
                   SELECT 1 FROM payout_attempts
                   WHERE payout_id = ? AND attempt = ? AND outcome IN ('sending', 'unknown'))
             RETURNING id, royalty_statement_id",
        )
        .bind::<Text, _>(row.transfer_id)
        .bind::<Timestamp, _>(row.at)
        .bind::<Timestamp, _>(now)
        .bind::<Text, _>(row.payout_id)
        .bind::<Integer, _>(row.amount_cents)
        .bind::<Text, _>(row.transfer_id)
        .bind::<Text, _>(row.payout_id)
        .bind::<Integer, _>(row.attempt)
        .get_result(conn)
        .optional()?;
        let Some(completed) = completed else {
            continue;
        };
        settled.push(completed);
        closed += fixed(
            "UPDATE payout_attempts
             SET outcome = 'paid', settled_at = ?, transfer_id = ?, last_sent_at = ?,
                 send_count = ?, http_status = ?, error_type = NULL, error_code = NULL,
                 error_message = NULL, request_id = ?, replayed = ?
             WHERE payout_id = ? AND attempt = ? AND outcome IN ('sending', 'unknown')",
        )
        .bind::<Timestamp, _>(now)
        .bind::<Text, _>(row.transfer_id)
        .bind::<Nullable<Timestamp>, _>(row.sent_at)
        .bind::<Integer, _>(row.send_count)
        .bind::<Nullable<Integer>, _>(row.http_status)
        .bind::<Nullable<Text>, _>(row.request_id)
        .bind::<Bool, _>(row.replayed)
        .bind::<Text, _>(row.payout_id)
        .bind::<Integer, _>(row.attempt)
        .execute(conn)?;
    }
    all_closed(closed, settled)
}

/// A payout was completed only where its attempt was open a moment before.
fn all_closed(closed: usize, settled: Vec<Settled>) -> Result<Vec<Settled>, StoreError> {
    if closed == settled.len() {
        return Ok(settled);
    }
    Err(StoreError::Conflict(format!(
        "completed {} payouts, but closed {closed} attempts",
        settled.len()
    )))
}
