//! Recording the usual outcome, a transfer that was answered to a send of ours,
//! for as many payouts at once as have been answered.

use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Integer, Nullable, Text, Timestamp};

use crate::model::attempt::AttemptOutcome;
use crate::model::ids::{PayoutId, StatementId};
use crate::model::payout::PayoutStatus;
use crate::model::schema::payouts;
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::dialect::fixed::fixed;
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
    let column = |of: fn(&PaidRow<'_>) -> i32| rows.iter().map(of).collect::<Vec<i32>>();
    let payout_ids: Vec<&str> = rows.iter().map(|row| row.payout_id.as_str()).collect();
    let attempts = column(|row| row.attempt);
    let transfer_ids: Vec<&str> = rows.iter().map(|row| row.transfer_id).collect();
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
    .bind::<Array<Text>, _>(&payout_ids)
    .bind::<Array<Integer>, _>(&attempts)
    .bind::<Array<Integer>, _>(column(|row| row.amount_cents))
    .bind::<Array<Text>, _>(&transfer_ids)
    .bind::<Array<Timestamp>, _>(rows.iter().map(|row| row.at).collect::<Vec<_>>())
    .load(conn)?;
    let ids: Vec<&str> = settled.iter().map(|row| row.id.as_str()).collect();
    let closed = fixed(
        "UPDATE payout_attempts AS a
         SET outcome = 'paid', settled_at = ?, transfer_id = i.transfer_id,
             last_sent_at = i.sent_at, send_count = i.send_count, http_status = i.http_status,
             error_type = NULL, error_code = NULL, error_message = NULL,
             request_id = i.request_id, replayed = i.replayed
         FROM unnest(?, ?, ?, ?, ?, ?, ?, ?)
             AS i (payout_id, attempt, transfer_id, sent_at, send_count, http_status, request_id, replayed)
         WHERE a.payout_id = i.payout_id AND a.attempt = i.attempt
           AND a.outcome IN ('sending', 'unknown') AND a.payout_id = ANY(?)",
    )
    .bind::<Timestamp, _>(now)
    .bind::<Array<Text>, _>(&payout_ids)
    .bind::<Array<Integer>, _>(&attempts)
    .bind::<Array<Text>, _>(&transfer_ids)
    .bind::<Array<Nullable<Timestamp>>, _>(rows.iter().map(|row| row.sent_at).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(column(|row| row.send_count))
    .bind::<Array<Nullable<Integer>>, _>(rows.iter().map(|row| row.http_status).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(rows.iter().map(|row| row.request_id).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(rows.iter().map(|row| row.replayed).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(&ids)
    .execute(conn)?;
    all_closed(closed, settled)
}

fn settle_paid_one_by_one(
    conn: &mut SqliteConnection,
    now: Time,
    rows: &[PaidRow<'_>],
) -> Result<Vec<Settled>, StoreError> {
    use crate::model::schema::payout_attempts as a;
    let mut settled = Vec::with_capacity(rows.len());
    let mut closed = 0;
    for row in rows {
        let attempt = a::table
            .filter(a::payout_id.eq(row.payout_id))
            .filter(a::attempt.eq(row.attempt))
            .filter(a::outcome.eq_any(AttemptOutcome::UNRESOLVED));
        let completed = diesel::update(
            payouts::table
                .filter(payouts::id.eq(row.payout_id))
                .filter(payouts::status.eq(PayoutStatus::Processing))
                .filter(payouts::amount_cents.eq(row.amount_cents))
                .filter(
                    payouts::stripe_transfer_id
                        .is_null()
                        .or(payouts::stripe_transfer_id.eq(row.transfer_id)),
                )
                .filter(diesel::dsl::exists(attempt.clone())),
        )
        .set((
            payouts::status.eq(PayoutStatus::Completed),
            payouts::stripe_transfer_id.eq(row.transfer_id),
            payouts::processed_at.eq(row.at),
            payouts::failed_reason.eq(None::<String>),
            payouts::updated_at.eq(now),
        ))
        .returning(payouts::royalty_statement_id)
        .get_result::<Option<StatementId>>(conn)
        .optional()?;
        let Some(royalty_statement_id) = completed else {
            continue;
        };
        settled.push(Settled {
            id: row.payout_id.clone(),
            royalty_statement_id,
        });
        closed += diesel::update(attempt)
            .set((
                (
                    a::outcome.eq(AttemptOutcome::Paid),
                    a::settled_at.eq(now),
                    a::transfer_id.eq(row.transfer_id),
                    a::last_sent_at.eq(row.sent_at),
                    a::send_count.eq(row.send_count),
                    a::http_status.eq(row.http_status),
                ),
                (
                    a::error_type.eq(None::<String>),
                    a::error_code.eq(None::<String>),
                    a::error_message.eq(None::<String>),
                    a::request_id.eq(row.request_id),
                    a::replayed.eq(row.replayed),
                ),
            ))
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
