//! Mails that become due, as each database takes many rows at once, and the switches.

use diesel::prelude::*;
use diesel::sql_types::{Array, Nullable, Text, Timestamp};

use crate::model::notification::{Notification, NotificationKind, NotificationSwitch};
use crate::model::schema::{
    payout_notification_switches as switches, payout_notifications as mails,
};
use crate::store::connection::AnyConnection;
use crate::store::dialect::fixed::{column, fixed};
use crate::store::dialect::on_each;

/// Mails that wait from now on: those of kinds that are switched on, and that are not there
/// already. One statement where nothing is on.
pub(crate) fn notifications_append(
    conn: &mut AnyConnection,
    rows: &[Notification],
) -> QueryResult<()> {
    match conn {
        AnyConnection::Sqlite(c) => {
            let on: Vec<NotificationKind> = switches::table
                .filter(switches::creator_id.eq(""))
                .filter(switches::is_on)
                .select(switches::kind)
                .load(c)?;
            for row in rows.iter().filter(|row| on.contains(&row.kind)) {
                diesel::insert_into(mails::table)
                    .values(row)
                    .on_conflict_do_nothing()
                    .execute(c)?;
            }
            Ok(())
        }
        AnyConnection::Postgres(c) => fixed(
            "INSERT INTO payout_notifications (id, kind, about, subject, body, state, created_at, due_at, tries)
             SELECT n.id, n.kind, n.about, n.subject, n.body, n.state, n.created_at, n.due_at, 0
             FROM unnest(?, ?, ?, ?, ?, ?, ?, ?)
                 AS n (id, kind, about, subject, body, state, created_at, due_at)
             WHERE n.kind IN (SELECT s.kind FROM payout_notification_switches s WHERE s.creator_id = '' AND s.is_on)
             ON CONFLICT DO NOTHING",
        )
        .bind::<Array<Text>, _>(column(rows, |row| row.id.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.kind.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.about.as_str()))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.subject.as_deref()))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.body.as_deref()))
        .bind::<Array<Text>, _>(column(rows, |row| row.state.as_str()))
        .bind::<Array<Timestamp>, _>(column(rows, |row| row.created_at))
        .bind::<Array<Timestamp>, _>(column(rows, |row| row.due_at))
        .execute(c)
        .map(drop),
    }
}

/// Further mails of what is told to several people, but those that are there already.
pub(crate) fn notifications_copy(
    conn: &mut AnyConnection,
    rows: &[Notification],
) -> QueryResult<()> {
    for row in rows {
        on_each!(conn, c => diesel::insert_into(mails::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(c))?;
    }
    Ok(())
}

/// Sets a switch, however it stood.
pub(crate) fn notification_switch(
    conn: &mut AnyConnection,
    row: &NotificationSwitch,
) -> QueryResult<()> {
    on_each!(conn, c => diesel::insert_into(switches::table)
        .values(row)
        .on_conflict((switches::kind, switches::creator_id))
        .do_update()
        .set((
            switches::is_on.eq(row.is_on),
            switches::changed_at.eq(row.changed_at),
            switches::run_id.eq(&row.run_id),
        ))
        .execute(c))
    .map(drop)
}
