//! The rows that every payout adds: attempts, answers, history. They are most of
//! what a run writes, so each database takes them the way it is fastest at:
//! PostgreSQL as one statement over columns of values, SQLite row by row, both
//! with statements that were read and planned before.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Integer, Nullable, Text, Timestamp};

use crate::model::attempt::{AnswerRow, Attempt};
use crate::model::batch::BatchItem;
use crate::model::event::{EventOutcome, EventState, StripeEvent};
use crate::model::history::{HistoryHead, HistoryRow};
use crate::model::ids::{PayoutId, StatementId};
use crate::model::payout::NewPayout;
use crate::model::schema::{
    payout_answers, payout_attempts, payout_batch_items, payout_history, payout_history_heads,
    payout_statement_claims, payout_stripe_events as events, payouts,
};
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::dialect::fixed::{column, fixed};

/// Attempts as they are claimed: nothing sent, nothing answered.
pub(crate) fn attempts_append(conn: &mut AnyConnection, rows: &[Attempt]) -> QueryResult<()> {
    match conn {
        AnyConnection::Sqlite(c) => one_by_one(rows, |row| {
            diesel::insert_into(payout_attempts::table)
                .values(row)
                .execute(c)
        }),
        AnyConnection::Postgres(c) => fixed(
            "INSERT INTO payout_attempts (payout_id, attempt, idempotency_key, body, amount_cents,
                 currency, destination, transfer_group, royalty_statement_id, stripe_account, livemode,
                 api_version, run_id, outcome, created_at, first_sent_at)
             SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind::<Array<Text>, _>(column(rows, |row| row.payout_id.as_str()))
        .bind::<Array<Integer>, _>(column(rows, |row| row.attempt))
        .bind::<Array<Text>, _>(column(rows, |row| row.idempotency_key.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.body.as_str()))
        .bind::<Array<Integer>, _>(column(rows, |row| row.amount_cents))
        .bind::<Array<Text>, _>(column(rows, |row| row.currency.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.destination.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.transfer_group.as_str()))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| {
            row.royalty_statement_id.as_ref().map(StatementId::as_str)
        }))
        .bind::<Array<Text>, _>(column(rows, |row| row.stripe_account.as_str()))
        .bind::<Array<Bool>, _>(column(rows, |row| row.livemode))
        .bind::<Array<Text>, _>(column(rows, |row| row.api_version.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.run_id.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.outcome.as_str()))
        .bind::<Array<Timestamp>, _>(column(rows, |row| row.created_at))
        .bind::<Array<Timestamp>, _>(column(rows, |row| row.first_sent_at))
        .execute(c)
        .map(drop),
    }
}

/// Answers, but those whose number is taken. Returns how many were kept.
pub(crate) fn answers_append(conn: &mut AnyConnection, rows: &[AnswerRow]) -> QueryResult<usize> {
    match conn {
        AnyConnection::Sqlite(c) => rows.iter().try_fold(0, |kept, row| {
            let inserted = diesel::insert_into(payout_answers::table)
                .values(row)
                .on_conflict_do_nothing()
                .execute(c)?;
            Ok(kept + inserted)
        }),
        AnyConnection::Postgres(c) => fixed(
            "INSERT INTO payout_answers (payout_id, attempt, send, sent_at, answered_at,
                 http_status, request_id, replayed, verdict, body)
             SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )
        .bind::<Array<Text>, _>(column(rows, |row| row.payout_id.as_str()))
        .bind::<Array<Integer>, _>(column(rows, |row| row.attempt))
        .bind::<Array<Integer>, _>(column(rows, |row| row.send))
        .bind::<Array<Timestamp>, _>(column(rows, |row| row.sent_at))
        .bind::<Array<Timestamp>, _>(column(rows, |row| row.answered_at))
        .bind::<Array<Nullable<Integer>>, _>(column(rows, |row| row.http_status))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.request_id.as_deref()))
        .bind::<Array<Bool>, _>(column(rows, |row| row.replayed))
        .bind::<Array<Text>, _>(column(rows, |row| row.verdict.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.body.as_str()))
        .execute(c),
    }
}

/// Claims of statements, but of those that are taken.
pub(crate) fn statement_claims_append(
    conn: &mut AnyConnection,
    rows: &[(StatementId, PayoutId)],
) -> QueryResult<()> {
    use payout_statement_claims::{payout_id, statement_id};
    match conn {
        AnyConnection::Sqlite(c) => one_by_one(rows, |(statement, payout)| {
            diesel::insert_into(payout_statement_claims::table)
                .values((statement_id.eq(statement), payout_id.eq(payout)))
                .on_conflict_do_nothing()
                .execute(c)
        }),
        AnyConnection::Postgres(c) => fixed(
            "INSERT INTO payout_statement_claims (statement_id, payout_id)
             SELECT * FROM unnest(?, ?)
             ON CONFLICT DO NOTHING",
        )
        .bind::<Array<Text>, _>(column(rows, |(statement, _)| statement.as_str()))
        .bind::<Array<Text>, _>(column(rows, |(_, payout)| payout.as_str()))
        .execute(c)
        .map(drop),
    }
}

/// History, in order, at the end of its chains, and where the chains end now.
pub(crate) fn history_append(conn: &mut AnyConnection, rows: &[HistoryRow]) -> QueryResult<()> {
    use diesel::upsert::excluded;
    use payout_history_heads::{hash, payout_id, seq};
    let ends: HashMap<&PayoutId, &HistoryRow> =
        rows.iter().map(|row| (&row.payout_id, row)).collect();
    let ends: Vec<&HistoryRow> = ends.into_values().collect();
    match conn {
        AnyConnection::Sqlite(c) => {
            one_by_one(rows, |row| {
                diesel::insert_into(payout_history::table)
                    .values(row)
                    .execute(c)
            })?;
            one_by_one(&ends, |row| {
                let end = (
                    payout_id.eq(&row.payout_id),
                    seq.eq(row.seq),
                    hash.eq(&row.hash),
                );
                diesel::insert_into(payout_history_heads::table)
                    .values(end)
                    .on_conflict(payout_id)
                    .do_update()
                    .set((seq.eq(excluded(seq)), hash.eq(excluded(hash))))
                    .execute(c)
            })
        }
        AnyConnection::Postgres(c) => fixed(
            "WITH rows AS (
                 INSERT INTO payout_history (payout_id, seq, event, from_status, to_status, at,
                     actor, run_id, reason, hash)
                 SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?))
             INSERT INTO payout_history_heads (payout_id, seq, hash)
             SELECT * FROM unnest(?, ?, ?)
             ON CONFLICT (payout_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
        )
        .bind::<Array<Text>, _>(column(rows, |row| row.payout_id.as_str()))
        .bind::<Array<Integer>, _>(column(rows, |row| row.seq))
        .bind::<Array<Text>, _>(column(rows, |row| row.event.as_str()))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.from_status.as_deref()))
        .bind::<Array<Text>, _>(column(rows, |row| row.to_status.as_str()))
        .bind::<Array<Timestamp>, _>(column(rows, |row| row.at))
        .bind::<Array<Text>, _>(column(rows, |row| row.actor.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.run_id.as_str()))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.reason.as_deref()))
        .bind::<Array<Text>, _>(column(rows, |row| row.hash.as_str()))
        .bind::<Array<Text>, _>(column(&ends, |row| row.payout_id.as_str()))
        .bind::<Array<Integer>, _>(column(&ends, |row| row.seq))
        .bind::<Array<Text>, _>(column(&ends, |row| row.hash.as_str()))
        .execute(c)
        .map(drop),
    }
}

/// New payouts.
pub(crate) fn payouts_append(conn: &mut AnyConnection, rows: &[NewPayout]) -> QueryResult<()> {
    match conn {
        AnyConnection::Sqlite(c) => one_by_one(rows, |row| {
            diesel::insert_into(payouts::table).values(row).execute(c)
        }),
        AnyConnection::Postgres(c) => diesel::copy_from(payouts::table)
            .from_insertable(rows)
            .execute(c)
            .map(drop),
    }
}

/// Where new payouts came from.
pub(crate) fn items_append(conn: &mut AnyConnection, rows: &[BatchItem]) -> QueryResult<()> {
    match conn {
        AnyConnection::Sqlite(c) => one_by_one(rows, |row| {
            diesel::insert_into(payout_batch_items::table)
                .values(row)
                .execute(c)
        }),
        AnyConnection::Postgres(c) => diesel::copy_from(payout_batch_items::table)
            .from_insertable(rows)
            .execute(c)
            .map(drop),
    }
}

/// The first rows of the chains of new payouts, one each, which are their ends too.
pub(crate) fn history_begin(conn: &mut AnyConnection, rows: &[HistoryRow]) -> QueryResult<()> {
    use payout_history_heads::{hash, payout_id, seq};
    let end = |row: &HistoryRow| HistoryHead {
        payout_id: row.payout_id.clone(),
        seq: row.seq,
        hash: row.hash.clone(),
    };
    match conn {
        AnyConnection::Sqlite(c) => {
            one_by_one(rows, |row| {
                diesel::insert_into(payout_history::table)
                    .values(row)
                    .execute(c)
            })?;
            one_by_one(rows, |row| {
                let end = (
                    payout_id.eq(&row.payout_id),
                    seq.eq(row.seq),
                    hash.eq(&row.hash),
                );
                diesel::insert_into(payout_history_heads::table)
                    .values(end)
                    .execute(c)
            })
        }
        AnyConnection::Postgres(c) => {
            diesel::copy_from(payout_history::table)
                .from_insertable(rows)
                .execute(c)?;
            let ends: Vec<HistoryHead> = rows.iter().map(end).collect();
            diesel::copy_from(payout_history_heads::table)
                .from_insertable(ends.as_slice())
                .execute(c)
                .map(drop)
        }
    }
}

fn one_by_one<Row>(
    rows: &[Row],
    mut insert: impl FnMut(&Row) -> QueryResult<usize>,
) -> QueryResult<()> {
    rows.iter().try_for_each(|row| insert(row).map(drop))
}

/// Events that may be there already, in the order of their ids. Returns the ids of those
/// that were not.
pub(crate) fn events_append(
    conn: &mut AnyConnection,
    rows: &[&StripeEvent],
) -> QueryResult<Vec<String>> {
    match conn {
        AnyConnection::Sqlite(c) => {
            let mut new = Vec::new();
            for row in rows {
                let inserted = diesel::insert_into(events::table)
                    .values(*row)
                    .on_conflict_do_nothing()
                    .execute(c)?;
                if inserted == 1 {
                    new.push(row.event_id.clone());
                }
            }
            Ok(new)
        }
        AnyConnection::Postgres(c) => fixed(
            "INSERT INTO payout_stripe_events (event_id, kind, object_id, account, livemode, api_version,
                 created_at, came_by, received_at, snapshot, state, tries, settled_at, payout_id, outcome)
             SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING RETURNING event_id",
        )
        .bind::<Array<Text>, _>(column(rows, |row| row.event_id.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.kind.as_str()))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.object_id.as_deref()))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.account.as_deref()))
        .bind::<Array<Bool>, _>(column(rows, |row| row.livemode))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.api_version.as_deref()))
        .bind::<Array<Timestamp>, _>(column(rows, |row| row.created_at))
        .bind::<Array<Text>, _>(column(rows, |row| row.came_by.as_str()))
        .bind::<Array<Timestamp>, _>(column(rows, |row| row.received_at))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.snapshot.as_deref()))
        .bind::<Array<Text>, _>(column(rows, |row| row.state.as_str()))
        .bind::<Array<Integer>, _>(column(rows, |row| row.tries))
        .bind::<Array<Nullable<Timestamp>>, _>(column(rows, |row| row.settled_at))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| {
            row.payout_id.as_ref().map(PayoutId::as_str)
        }))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.outcome.as_deref()))
        .load::<EventId>(c)
        .map(ids),
    }
}

/// The id of an event, as PostgreSQL gives it back.
#[derive(QueryableByName)]
struct EventId {
    #[diesel(sql_type = Text)]
    event_id: String,
}

fn ids(rows: Vec<EventId>) -> Vec<String> {
    rows.into_iter().map(|row| row.event_id).collect()
}

/// What became of pending events. One that somebody else has settled meanwhile stays
/// as it is; returns the ids of the others. What is settled needs its snapshot no more.
/// They are in the order of their ids.
pub(crate) fn events_settle(
    conn: &mut AnyConnection,
    rows: &[&EventOutcome],
    now: Time,
) -> QueryResult<Vec<String>> {
    let settled_at = |row: &&EventOutcome| (row.state != EventState::Pending).then_some(now);
    match conn {
        AnyConnection::Sqlite(c) => {
            let mut settled = Vec::with_capacity(rows.len());
            for row in rows {
                let waiting = || {
                    events::table
                        .filter(events::event_id.eq(&row.event_id))
                        .filter(events::state.eq(EventState::Pending))
                };
                let tried = (
                    events::state.eq(row.state),
                    events::tries.eq(events::tries + 1),
                    events::payout_id.eq(&row.payout_id),
                    events::outcome.eq(&row.words),
                );
                let changed = match settled_at(row) {
                    None => diesel::update(waiting()).set(tried).execute(c)?,
                    Some(at) => diesel::update(waiting())
                        .set((
                            tried,
                            events::settled_at.eq(at),
                            events::snapshot.eq(None::<String>),
                        ))
                        .execute(c)?,
                };
                if changed == 1 {
                    settled.push(row.event_id.clone());
                }
            }
            Ok(settled)
        }
        AnyConnection::Postgres(c) => {
            // A join may come to the rows in any order; locks are taken in theirs.
            fixed(
                "SELECT event_id FROM payout_stripe_events WHERE event_id = ANY(?) AND state = 'pending'
                 ORDER BY event_id FOR UPDATE",
            )
            .bind::<Array<Text>, _>(column(rows, |row| row.event_id.as_str()))
            .load::<EventId>(c)?;
            fixed(
                "UPDATE payout_stripe_events e SET state = n.state, tries = e.tries + 1,
                     settled_at = n.settled_at, payout_id = n.payout_id, outcome = n.outcome,
                     snapshot = CASE WHEN n.settled_at IS NULL THEN e.snapshot END
                 FROM unnest(?, ?, ?, ?, ?) AS n (event_id, state, settled_at, payout_id, outcome)
                 WHERE e.event_id = n.event_id AND e.state = 'pending'
                 RETURNING e.event_id",
            )
            .bind::<Array<Text>, _>(column(rows, |row| row.event_id.as_str()))
            .bind::<Array<Text>, _>(column(rows, |row| row.state.as_str()))
            .bind::<Array<Nullable<Timestamp>>, _>(column(rows, settled_at))
            .bind::<Array<Nullable<Text>>, _>(column(rows, |row| {
                row.payout_id.as_ref().map(PayoutId::as_str)
            }))
            .bind::<Array<Text>, _>(column(rows, |row| row.words.as_str()))
            .load::<EventId>(c)
            .map(ids)
        }
    }
}
