//! What the two databases do differently: a closed list of named functions.
//!
//! Besides `connection.rs`, this folder is the only place that matches on the backend.

mod among;
mod append;
pub(crate) mod catalog;
mod claim;
mod fixed;
mod notifications;
mod settle;

pub(crate) use among::among;
pub(crate) use append::{
    answers_append, attempts_append, events_append, events_settle, history_append, history_begin,
    items_append, payouts_append, statement_claims_append,
};
pub(crate) use claim::{payouts_claim, skipping_locked};
pub(crate) use notifications::{notification_switch, notifications_append, notifications_copy};
pub(crate) use settle::{PaidRow, settle_paid};

use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{Array, BigInt, Bool, Text};

use crate::model::ids::{PayoutId, StatementId};
use crate::model::payout::PayoutStatus;
use crate::model::schema::payouts;
use crate::store::connection::{self, AnyConnection, Backend, DatabaseUrl};
use crate::store::error::StoreError;
use crate::store::health::Server;

/// Compiles one expression once for each backend: for what both databases know
/// but the enum over them cannot express (batch inserts, `ON CONFLICT`).
macro_rules! on_each {
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::store::connection::AnyConnection::Postgres($c) => $body,
            $crate::store::connection::AnyConnection::Sqlite($c) => $body,
        }
    };
}
pub(crate) use on_each;

/// Set on every SQLite session. `FULL`, because a committed claim must survive
/// a power cut; the busy time-out makes overlapping runs wait for each other.
const SQLITE_SESSION: &str = "PRAGMA busy_timeout = 30000;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA trusted_schema = OFF;";

const WAL_PATIENCE: Duration = Duration::from_secs(30);
const WAL_POLL: Duration = Duration::from_millis(5);

/// Sets a SQLite session up, in write-ahead mode.
///
/// Two processes that switch a new file to it at once both hold a read lock and
/// want the write lock. SQLite tells one of them at once that the file is busy,
/// and no busy time-out helps, so that one asks again.
pub(crate) fn sqlite_session(conn: &mut SqliteConnection) -> QueryResult<()> {
    conn.batch_execute(SQLITE_SESSION)?;
    let deadline = Instant::now() + WAL_PATIENCE;
    loop {
        match conn.batch_execute("PRAGMA journal_mode = WAL") {
            Err(DieselError::DatabaseError(_, said))
                if is_busy(said.message()) && Instant::now() < deadline =>
            {
                std::thread::sleep(WAL_POLL);
            }
            done => return done,
        }
    }
}

/// What every PostgreSQL session or, behind a pooler, every transaction sets.
/// `scope` is `SESSION` or `LOCAL`; `schema` holds the tables.
///
/// Nothing here is worth compiling: every query finds a few rows. With
/// [`find_by_index`] the server takes a table without a fitting index for a very
/// dear one, and compiling what reads it cost 25 ms in every run's first claim.
pub(crate) fn postgres_session(scope: &str, schema: Option<&str>) -> String {
    let search_path = schema.map(|name| format!("search_path = \"{}\"", name.replace('"', "\"\"")));
    [
        "TIME ZONE 'UTC'",
        "synchronous_commit = on",
        "statement_timeout = '120s'",
        "lock_timeout = '30s'",
        "idle_in_transaction_session_timeout = '60s'",
        "client_min_messages = warning",
        "jit = off",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain(search_path)
    .map(|setting| format!("SET {scope} {setting};"))
    .collect::<Vec<_>>()
    .concat()
}

/// Runs `body` in a transaction that may write, and commits it. `local` is set
/// first: what a session would set, had it one of its own behind the pooler.
///
/// On SQLite the write lock is taken at the start: a transaction that reads
/// first and writes later fails at once when another wrote in between, and no
/// busy time-out helps.
pub(crate) fn write_tx<T>(
    conn: &mut AnyConnection,
    local: Option<&str>,
    body: impl FnOnce(&mut AnyConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    begin_write(conn, "BEGIN ISOLATION LEVEL READ COMMITTED")?;
    finish_tx(conn, local, body)
}

/// The same, and it finds its rows by index; see [`find_by_index`]. It does not wait
/// long for a row that somebody else has locked: others wait for this one. Said with
/// the beginning, because a word to the server costs as much as a row.
pub(crate) fn write_by_index_tx<T>(
    conn: &mut AnyConnection,
    local: Option<&str>,
    body: impl FnOnce(&mut AnyConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    begin_write(
        conn,
        concat!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '2s'; ",
            by_index!()
        ),
    )?;
    finish_tx(conn, local, body)
}

fn begin_write(conn: &mut AnyConnection, postgres: &str) -> QueryResult<()> {
    match conn {
        AnyConnection::Sqlite(c) => {
            AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")
        }
        AnyConnection::Postgres(c) => AnsiTransactionManager::begin_transaction_sql(c, postgres),
    }
}

/// See [`find_by_index`].
macro_rules! by_index {
    () => {
        "SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan"
    };
}
use by_index;

/// Runs `body` in a transaction that only reads and sees one state throughout,
/// whatever others commit meanwhile.
///
/// On PostgreSQL the default level would give each statement a newer state; a
/// SQLite transaction always reads the one it found first.
pub(crate) fn read_tx<T>(
    conn: &mut AnyConnection,
    local: Option<&str>,
    body: impl FnOnce(&mut AnyConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    match conn {
        AnyConnection::Sqlite(c) => {
            AnsiTransactionManager::begin_transaction_sql(c, "BEGIN DEFERRED")?;
        }
        AnyConnection::Postgres(c) => {
            AnsiTransactionManager::begin_transaction_sql(
                c,
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            )?;
        }
    }
    finish_tx(conn, local, body)
}

/// Runs `body` in the transaction just begun, and commits it or rolls it back.
fn finish_tx<T>(
    conn: &mut AnyConnection,
    local: Option<&str>,
    body: impl FnOnce(&mut AnyConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    type Manager = <AnyConnection as Connection>::TransactionManager;
    let set_up = |conn: &mut AnyConnection| match (conn, local) {
        (AnyConnection::Postgres(c), Some(settings)) => c.batch_execute(settings),
        _ => Ok(()),
    };
    let done = set_up(conn)
        .map_err(StoreError::from)
        .and_then(|()| body(conn));
    match done {
        Ok(value) => match Manager::commit_transaction(conn) {
            Ok(()) => Ok(value),
            Err(error) => Err(StoreError::in_commit(error)),
        },
        Err(error) => {
            // The first error is the one worth telling; a broken connection rolls back by itself.
            let _ = Manager::rollback_transaction(conn);
            Err(error)
        }
    }
}

/// The exact sum of `payouts.amount_cents`, on both databases a 64-bit integer.
///
/// Diesel's own `sum` passes through a floating-point number on SQLite.
pub(crate) fn sum_amount_cents() -> diesel::expression::SqlLiteral<BigInt> {
    diesel::dsl::sql::<BigInt>("CAST(COALESCE(SUM(payouts.amount_cents), 0) AS BIGINT)")
}

/// The exact sum of `payout_attempts.amount_cents`.
pub(crate) fn sum_attempts_cents() -> diesel::expression::SqlLiteral<BigInt> {
    diesel::dsl::sql::<BigInt>("CAST(COALESCE(SUM(payout_attempts.amount_cents), 0) AS BIGINT)")
}

/// The exact sum of what is at stake in `payout_findings`.
pub(crate) fn sum_at_stake_cents() -> diesel::expression::SqlLiteral<BigInt> {
    diesel::dsl::sql::<BigInt>("CAST(COALESCE(SUM(payout_findings.at_stake_cents), 0) AS BIGINT)")
}

/// The exact sum of `payout_reversals.amount_reversed_cents`.
pub(crate) fn sum_reversed_cents() -> diesel::expression::SqlLiteral<BigInt> {
    diesel::dsl::sql::<BigInt>(
        "CAST(COALESCE(SUM(payout_reversals.amount_reversed_cents), 0) AS BIGINT)",
    )
}

/// Attempts nobody knows the outcome of, written as the partial index has it:
/// with bound values SQLite would not use the index.
pub(crate) fn unresolved() -> diesel::expression::SqlLiteral<Bool> {
    diesel::dsl::sql("payout_attempts.outcome IN ('sending', 'unknown')")
}

/// Transfers beside a paid one, written as the partial index has it.
pub(crate) fn surplus() -> diesel::expression::SqlLiteral<Bool> {
    diesel::dsl::sql("payout_attempts.outcome = 'surplus'")
}

/// Events that wait, written as the partial index has it.
pub(crate) fn events_pending() -> diesel::expression::SqlLiteral<Bool> {
    diesel::dsl::sql("payout_stripe_events.state = 'pending'")
}

/// Values one statement may hold on SQLite.
const SQLITE_VARIABLES_MAX: usize = 32_766;

/// Rows of a batch insert with this many columns that fit the bind limit
/// (32 766 variables on SQLite, 65 535 on PostgreSQL).
pub(crate) fn batch_rows_max(backend: Backend, columns: usize) -> usize {
    let variables = match backend {
        Backend::Sqlite => SQLITE_VARIABLES_MAX,
        Backend::Postgres => 65_535,
    };
    (variables / columns.max(1)).clamp(1, 2_000)
}

/// Whether a lock that was not had in time is a row's, so that others can be written.
pub(crate) fn locks_rows(backend: Backend) -> bool {
    backend == Backend::Postgres
}

/// Ids that fit one `= ANY` or `IN` list.
pub(crate) const IDS_MAX: usize = 10_000;

/// The users with one of these e-mail addresses whatever its case, as id and
/// address. `keys` are in lower case.
///
/// No index helps here, so each query reads the whole table: PostgreSQL takes
/// all keys at once, as a subquery, which it hashes under any plan. (A long
/// `= ANY` it compares one by one as soon as the plan is a generic one.)
pub(crate) fn users_by_lower_email(
    conn: &mut AnyConnection,
    keys: &[&str],
) -> QueryResult<Vec<(String, String)>> {
    use crate::model::schema::users;
    use crate::store::creators::lower;
    use diesel::{ExpressionMethods, QueryDsl};
    diesel::define_sql_function! {
        fn unnest(texts: Array<Text>) -> Text;
    }
    let found = users::table.select((users::id, users::email));
    match conn {
        AnyConnection::Postgres(c) => found
            .filter(lower(users::email).eq_any(diesel::select(unnest(keys))))
            .load(c),
        AnyConnection::Sqlite(c) => {
            let mut all = Vec::new();
            for chunk in keys.chunks(SQLITE_VARIABLES_MAX) {
                let chunk = chunk.iter().copied();
                all.extend(found.filter(lower(users::email).eq_any(chunk)).load(c)?);
            }
            Ok(all)
        }
    }
}

/// Locks statements until the transaction ends, so that nobody else creates a payout
/// of them or puts one back into the queue meanwhile. A claim takes a statement by the
/// primary key of its own table instead, and waits for no one. `ids` are sorted and at most [`IDS_MAX`].
///
/// The rows are locked where this role may: a platform may let it read statements
/// only, and then its own software can change one meanwhile, as it can at any
/// other time. This tool's processes keep each other out by a lock of their own.
/// SQLite needs none: who writes has the whole database to himself.
pub(crate) fn lock_statements(conn: &mut AnyConnection, ids: &[&StatementId]) -> QueryResult<()> {
    use crate::model::schema::royalty_statements as statements;
    use diesel::{ExpressionMethods, QueryDsl};
    let AnyConnection::Postgres(c) = conn else {
        return Ok(());
    };
    diesel::sql_query(format!("SELECT pg_advisory_xact_lock({STATEMENTS_LOCK})")).execute(c)?;
    let may_lock = "SELECT has_any_column_privilege('royalty_statements', 'UPDATE') AS yes";
    if !diesel::sql_query(may_lock).get_result::<Answer>(c)?.yes {
        return Ok(());
    }
    statements::table
        .filter(statements::id.eq_any(ids.iter().copied()))
        .order(statements::id)
        .select(statements::id)
        .for_update()
        .execute(c)
        .map(drop)
}

/// Turns Diesel's error into one the layers above can act on.
///
/// SQLite names no constraint and both databases report locks without a kind,
/// so their fixed English texts decide; a test provokes each.
pub(crate) fn classify(error: DieselError) -> StoreError {
    match &error {
        DieselError::NotFound => StoreError::NotFound,
        DieselError::DatabaseError(kind, info) => {
            let message = info.message();
            let unique = |constraint: Option<&str>| StoreError::Unique {
                what: constraint.map_or_else(
                    || {
                        message
                            .trim_start_matches("UNIQUE constraint failed: ")
                            .to_owned()
                    },
                    str::to_owned,
                ),
            };
            match kind {
                DatabaseErrorKind::UniqueViolation => unique(info.constraint_name()),
                DatabaseErrorKind::ClosedConnection => StoreError::Lost { source: error },
                DatabaseErrorKind::SerializationFailure => StoreError::Busy { source: error },
                _ if is_lost(message) => StoreError::Lost { source: error },
                _ if is_busy(message) => StoreError::Busy { source: error },
                _ if is_full(message) => StoreError::Full { source: error },
                _ => StoreError::Database { source: error },
            }
        }
        DieselError::BrokenTransactionManager => StoreError::Lost { source: error },
        _ => StoreError::Database { source: error },
    }
}

fn is_busy(message: &str) -> bool {
    message.contains("database is locked")
        || message.contains("database table is locked")
        || message.contains("canceling statement due to lock timeout")
        || message.contains("deadlock detected")
}

fn is_lost(message: &str) -> bool {
    [
        "server closed the connection unexpectedly",
        "terminating connection",
        "connection to server was lost",
        "no connection to the server",
        "could not receive data from server",
        "could not send data to server",
        "SSL connection has been closed unexpectedly",
        "SSL SYSCALL error",
        "the database system is shutting down",
    ]
    .iter()
    .any(|text| message.contains(text))
}

fn is_full(message: &str) -> bool {
    message.contains("database or disk is full")
        || message.contains("No space left on device")
        || message.contains("attempt to write a readonly database")
        || message.contains("disk I/O error")
}

/// Whether a query failed because a table it names does not exist.
pub(crate) fn is_missing_table(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(_, info) => {
            let message = info.message();
            message.starts_with("no such table")
                || (message.starts_with("relation ") && message.ends_with("does not exist"))
        }
        _ => false,
    }
}

/// The advisory lock under which a schema is migrated on PostgreSQL.
const MIGRATION_LOCK: &str = "hashtext('payouts migrate'), hashtext(current_schema())";

/// The advisory lock that is held while statements are locked on PostgreSQL.
const STATEMENTS_LOCK: &str = "hashtext('payouts statements'), hashtext(current_schema())";

/// How often a process asks whether another one has migrated.
const MIGRATION_LOCK_POLL: Duration = Duration::from_millis(100);

/// Takes the lock that lets one process at a time migrate; waits for it.
///
/// It asks again and again instead of waiting inside one statement: the process
/// that holds the lock may be making an index CONCURRENTLY, which waits for
/// every statement that is older, and the two would wait for each other.
///
/// SQLite needs none: each migration is a write transaction of its own, and the
/// list of applied ones is read again inside it.
pub(crate) fn migration_lock(conn: &mut AnyConnection) -> QueryResult<()> {
    match conn {
        AnyConnection::Sqlite(_) => Ok(()),
        AnyConnection::Postgres(c) => {
            // An index on a large table takes longer than any time-out.
            c.batch_execute("SET lock_timeout = 0; SET statement_timeout = 0;")?;
            let ask = format!("SELECT pg_try_advisory_lock({MIGRATION_LOCK}) AS yes");
            while !diesel::sql_query(&ask).get_result::<Answer>(c)?.yes {
                std::thread::sleep(MIGRATION_LOCK_POLL);
            }
            Ok(())
        }
    }
}

/// Gives the migration lock back.
pub(crate) fn migration_unlock(conn: &mut AnyConnection) -> QueryResult<()> {
    match conn {
        AnyConnection::Sqlite(_) => Ok(()),
        AnyConnection::Postgres(c) => {
            let give_back = format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})");
            diesel::sql_query(give_back).execute(c)?;
            // The search path was never touched.
            c.batch_execute(&postgres_session("SESSION", None))
        }
    }
}

/// What is at the other end of a connection.
pub(crate) fn server(conn: &mut AnyConnection, url: &DatabaseUrl) -> Result<Server, StoreError> {
    match conn {
        AnyConnection::Sqlite(c) => {
            let version = "SELECT sqlite_version() AS text";
            let version = diesel::sql_query(version).get_result::<Said>(c)?.text;
            Ok(Server {
                version: format!("SQLite {version}"),
                place: None,
                exposed: connection::open_to_others(url),
            })
        }
        AnyConnection::Postgres(c) => {
            let mut said = |query: &str| {
                Ok::<_, DieselError>(diesel::sql_query(query).get_result::<Said>(c)?.text)
            };
            let version = said("SELECT current_setting('server_version') AS text")?;
            let place = said(
                "SELECT concat('schema ', current_schema(), ', as role ', current_user) AS text",
            )?;
            let plain = said(
                "SELECT CASE WHEN s.ssl OR a.client_addr IS NULL OR a.client_addr <<= '127.0.0.0/8'
                     OR a.client_addr = '::1' THEN '' ELSE a.client_addr::text END AS text
                 FROM pg_stat_ssl AS s JOIN pg_stat_activity AS a USING (pid)
                 WHERE pid = pg_backend_pid()",
            )?;
            Ok(Server {
                version: format!("PostgreSQL {version}"),
                place: Some(place),
                exposed: (!plain.is_empty())
                    .then(|| "the connection to it is not encrypted".to_owned()),
            })
        }
    }
}

/// Whether a session was begun with a setting of our own.
pub(crate) fn has_option(conn: &mut PgConnection, name: &str) -> QueryResult<bool> {
    diesel::sql_query("SELECT current_setting($1, true) IS NOT NULL AS yes")
        .bind::<Text, _>(name)
        .get_result::<Answer>(conn)
        .map(|answer| answer.yes)
}

/// A query's text.
#[derive(diesel::QueryableByName)]
struct Said {
    #[diesel(sql_type = Text)]
    text: String,
}

/// A query's yes or no.
#[derive(diesel::QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

fn advisory(conn: &mut PgConnection, sql: &str, key: i64) -> QueryResult<()> {
    diesel::sql_query(sql)
        .bind::<BigInt, _>(key)
        .execute(conn)
        .map(drop)
}

/// Says, for as long as this session lasts, that a run is alive.
///
/// Nothing on SQLite and behind a pooler: there the run's sign of life decides.
pub(crate) fn liveness_announce(
    conn: &mut AnyConnection,
    pooled: bool,
    key: i64,
) -> QueryResult<()> {
    match conn {
        AnyConnection::Postgres(c) if !pooled => {
            advisory(c, "SELECT pg_advisory_lock_shared($1)", key)
        }
        _ => Ok(()),
    }
}

/// Says no more that a run is alive, as if the session were closed.
#[cfg(feature = "testing")]
pub(crate) fn liveness_withdraw(conn: &mut AnyConnection) -> QueryResult<()> {
    match conn {
        AnyConnection::Postgres(c) => c.batch_execute("SELECT pg_advisory_unlock_all()"),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// Whether the session that announced a run is known to be gone. `None` where
/// only the run's sign of life can tell.
pub(crate) fn liveness_gone(
    conn: &mut AnyConnection,
    pooled: bool,
    key: i64,
) -> QueryResult<Option<bool>> {
    match conn {
        AnyConnection::Postgres(c) if !pooled => {
            // A transaction-scoped lock, so that asking leaves nothing behind.
            let free: Answer = diesel::sql_query("SELECT pg_try_advisory_xact_lock($1) AS yes")
                .bind::<BigInt, _>(key)
                .get_result(c)?;
            Ok(Some(free.yes))
        }
        _ => Ok(None),
    }
}

/// Whether a table of ours holds any row. The name comes from our own migrations.
pub(crate) fn has_rows(conn: &mut AnyConnection, table: &str) -> QueryResult<bool> {
    #[derive(diesel::QueryableByName)]
    struct Found {
        #[diesel(sql_type = BigInt)]
        found: i64,
    }
    let query = format!("SELECT COUNT(*) AS found FROM (SELECT 1 FROM \"{table}\" LIMIT 1) AS t");
    let found: Found = diesel::sql_query(query).get_result(conn)?;
    Ok(found.found > 0)
}

/// Writes the database as it stands at this moment into an empty file. It needs a session
/// outside a transaction, makes one of its own, and keeps no writer waiting.
///
/// # Errors
/// A conflict on PostgreSQL, whose own tools do this.
pub(crate) fn copy_into(conn: &mut AnyConnection, file: &str) -> Result<(), StoreError> {
    match conn {
        AnyConnection::Postgres(_) => Err(StoreError::Conflict(
            "PostgreSQL makes its own backups".to_owned(),
        )),
        AnyConnection::Sqlite(c) => {
            diesel::sql_query("VACUUM INTO ?")
                .bind::<Text, _>(file)
                .execute(c)?;
            Ok(())
        }
    }
}

/// What SQLite finds wrong with a database, in its own words; nothing where all is well.
pub(crate) fn damage(conn: &mut AnyConnection) -> QueryResult<Vec<String>> {
    let AnyConnection::Sqlite(c) = conn else {
        return Ok(Vec::new());
    };
    let said: Vec<Said> = diesel::sql_query(
        "SELECT integrity_check AS text FROM pragma_integrity_check
         UNION ALL
         SELECT 'a row of ' || \"table\" || ' names one of ' || parent || ' that is not there' AS text
         FROM pragma_foreign_key_check",
    )
    .load(c)?;
    let words = said.into_iter().map(|said| said.text);
    Ok(words.filter(|words| words != "ok").collect())
}

/// Every table of an embedded database, by name.
pub(crate) fn sqlite_tables(conn: &mut AnyConnection) -> QueryResult<Vec<String>> {
    let named: Vec<Said> = diesel::sql_query(
        "SELECT name AS text FROM sqlite_schema
         WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )
    .load(conn)?;
    Ok(named.into_iter().map(|said| said.text).collect())
}

/// How many rows a table has. The name is one that the database itself told.
pub(crate) fn count_rows(conn: &mut AnyConnection, table: &str) -> QueryResult<i64> {
    #[derive(diesel::QueryableByName)]
    struct Rows {
        #[diesel(sql_type = BigInt)]
        rows: i64,
    }
    let table = table.replace('"', "\"\"");
    let counted: Rows =
        diesel::sql_query(format!("SELECT COUNT(*) AS rows FROM \"{table}\"")).get_result(conn)?;
    Ok(counted.rows)
}

/// Clears what a failed earlier try of a migration left behind.
///
/// An index that failed while it was made CONCURRENTLY stays as an invalid one
/// of the same name, which `IF NOT EXISTS` would take for the real thing.
pub(crate) fn before_migration(conn: &mut AnyConnection, name: &str) -> QueryResult<()> {
    match conn {
        AnyConnection::Postgres(c) if name == "007_add_payout_queue_index" => c.batch_execute(
            "DO $$ BEGIN
                IF EXISTS (
                    SELECT 1 FROM pg_index WHERE NOT indisvalid
                    AND indexrelid = to_regclass('payout_queue_idx')
                ) THEN DROP INDEX payout_queue_idx; END IF;
            END $$;",
        ),
        _ => Ok(()),
    }
}

/// Locks those of the given payouts that are still in a state and that nobody else
/// holds, until the transaction ends.
/// On SQLite the write transaction itself holds everything.
pub(crate) fn lock_in_status(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
    status: PayoutStatus,
) -> QueryResult<Vec<PayoutId>> {
    match conn {
        AnyConnection::Sqlite(_) => Ok(ids.to_vec()),
        AnyConnection::Postgres(c) => payouts::table
            .filter(payouts::id.eq_any(ids))
            .filter(payouts::status.eq(status))
            .order((payouts::created_at, payouts::id))
            .select(payouts::id)
            .for_update()
            .skip_locked()
            .load(c),
    }
}

/// Has the rest of this transaction find its rows by index, whatever the
/// database believes about the size of its tables.
///
/// Attempts and history begin empty and grow by thousands a minute. PostgreSQL
/// counts them once a minute at best, takes a table that it last saw empty for a
/// few pages, and reads all of it for every claim: 12 ms instead of 0.2 at 6 000 rows.
/// Where there is no choice, a plan holds for any values: it is made once in a session.
pub(crate) fn find_by_index(conn: &mut AnyConnection) -> QueryResult<()> {
    match conn {
        AnyConnection::Postgres(c) => c.batch_execute(by_index!()),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// Pages of SQLite that a load of many rows keeps in memory, in KiB: with fewer the
/// same page goes to the log again and again.
const SQLITE_LOAD_KIB: i32 = 24_000;

/// From so many rows on a load is one of many.
const MANY_ROWS: usize = 20_000;

/// Sets a session up for a transaction that writes so many rows. Returns what
/// [`restore_after_many`] needs.
pub(crate) fn prepare_for_many(conn: &mut AnyConnection, rows: usize) -> QueryResult<Option<i32>> {
    #[derive(diesel::QueryableByName)]
    struct Size {
        #[diesel(sql_type = diesel::sql_types::Integer)]
        cache_size: i32,
    }
    match conn {
        AnyConnection::Sqlite(c) if rows >= MANY_ROWS => {
            let before: Size = diesel::sql_query("PRAGMA cache_size").get_result(c)?;
            c.batch_execute(&format!("PRAGMA cache_size = -{SQLITE_LOAD_KIB}"))?;
            Ok(Some(before.cache_size))
        }
        _ => Ok(None),
    }
}

/// Undoes it.
pub(crate) fn restore_after_many(conn: &mut AnyConnection, before: Option<i32>) -> QueryResult<()> {
    match (conn, before) {
        (AnyConnection::Sqlite(c), Some(size)) => {
            c.batch_execute(&format!("PRAGMA cache_size = {size}"))
        }
        _ => Ok(()),
    }
}

/// The role that the session began as, on PostgreSQL.
pub(crate) fn session_role(conn: &mut AnyConnection) -> QueryResult<Option<String>> {
    match conn {
        AnyConnection::Sqlite(_) => Ok(None),
        AnyConnection::Postgres(c) => {
            diesel::select(diesel::dsl::sql::<Text>("session_user::text"))
                .first(c)
                .map(Some)
        }
    }
}

/// The status of a payout, whose row is locked until the transaction ends.
pub(crate) fn lock_status(
    conn: &mut AnyConnection,
    payout: &PayoutId,
) -> QueryResult<PayoutStatus> {
    let row = payouts::table
        .filter(payouts::id.eq(payout))
        .select(payouts::status);
    match conn {
        AnyConnection::Sqlite(c) => row.first(c),
        AnyConnection::Postgres(c) => row.for_update().first(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Open;

    /// An SQLite database with a table, and a way to open it again.
    struct File(tempfile::TempDir);

    impl File {
        fn new() -> Self {
            let file = Self(tempfile::tempdir().unwrap());
            execute(&mut file.open(), "CREATE TABLE t (text TEXT UNIQUE)").unwrap();
            file
        }

        fn open(&self) -> AnyConnection {
            let url = DatabaseUrl::Sqlite(self.0.path().join("t.db"));
            connection::open(&url, Open::CreateIfMissing, false).unwrap()
        }
    }

    fn execute(conn: &mut AnyConnection, sql: &str) -> Result<(), StoreError> {
        Ok(conn.batch_execute(sql)?)
    }

    #[test]
    fn a_lock_that_sqlite_does_not_get_is_busy() {
        let file = File::new();
        let (mut holder, mut other) = (file.open(), file.open());
        execute(&mut other, "PRAGMA busy_timeout = 0").unwrap();
        let refused = write_tx(&mut holder, None, |_| {
            Ok(write_tx(&mut other, None, |_| Ok(())))
        });
        assert!(
            matches!(refused, Ok(Err(StoreError::Busy { .. }))),
            "{refused:?}"
        );
        write_tx(&mut other, None, |_| Ok(())).unwrap();
    }

    #[test]
    fn many_may_open_a_new_file_at_once() {
        const OPENERS: usize = 8;
        for _ in 0..20 {
            let file = File(tempfile::tempdir().unwrap());
            let together = std::sync::Barrier::new(OPENERS);
            std::thread::scope(|scope| {
                for _ in 0..OPENERS {
                    scope.spawn(|| {
                        together.wait();
                        execute(&mut file.open(), "SELECT 1").unwrap();
                    });
                }
            });
        }
    }

    /// Why [`write_tx`] takes the lock at its start: no time-out helps a transaction that has read
    /// before another wrote.
    #[test]
    fn reading_before_writing_is_busy_at_once_where_nothing_was_locked() {
        let file = File::new();
        let (mut reader, mut writer) = (file.open(), file.open());
        let refused = read_tx(&mut reader, None, |conn| {
            assert!(!has_rows(conn, "t")?);
            execute(&mut writer, "INSERT INTO t VALUES ('a')")?;
            execute(conn, "INSERT INTO t VALUES ('b')")
        });
        assert!(
            matches!(refused, Err(StoreError::Busy { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn a_full_disk_is_full() {
        let mut conn = File::new().open();
        // As many pages as there are.
        execute(&mut conn, "PRAGMA max_page_count = 1").unwrap();
        let refused = write_tx(&mut conn, None, |conn| {
            execute(conn, "INSERT INTO t VALUES (hex(zeroblob(100000)))")
        });
        assert!(
            matches!(refused, Err(StoreError::Full { .. })),
            "{refused:?}"
        );
        // The transaction is over, and nothing of it was kept.
        assert!(!has_rows(&mut conn, "t").unwrap());
    }

    #[test]
    fn what_must_be_unique_is_named_by_table_and_column() {
        let mut conn = File::new().open();
        let refused = execute(&mut conn, "INSERT INTO t VALUES ('a'), ('a')");
        assert!(
            matches!(&refused, Err(StoreError::Unique { what }) if what == "t.text"),
            "{refused:?}"
        );
    }

    #[test]
    fn a_transaction_inside_a_transaction_is_refused() {
        let mut conn = File::new().open();
        let inner = write_tx(&mut conn, None, |conn| {
            execute(conn, "INSERT INTO t VALUES ('kept')")?;
            Ok(write_tx(conn, None, |conn| {
                execute(conn, "INSERT INTO t VALUES ('not kept')")
            }))
        });
        assert!(
            matches!(
                inner,
                Ok(Err(StoreError::Database {
                    source: DieselError::AlreadyInTransaction
                }))
            ),
            "{inner:?}"
        );
        assert!(has_rows(&mut conn, "t").unwrap());
    }

    #[test]
    fn a_missing_table_is_told_from_other_errors() {
        let mut conn = File::new().open();
        let mut missing = |sql: &str| is_missing_table(&conn.batch_execute(sql).unwrap_err());
        assert!(missing("SELECT * FROM nowhere"));
        assert!(!missing("SELECT nothing FROM t"));
        for (message, expected) in [
            (
                r#"relation "__diesel_schema_migrations" does not exist"#,
                true,
            ),
            (r#"column "version" does not exist"#, false),
            (
                "permission denied for table __diesel_schema_migrations",
                false,
            ),
        ] {
            assert_eq!(is_missing_table(&reported(message)), expected, "{message}");
        }
    }

    fn reported(message: &str) -> DieselError {
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()))
    }

    /// The drivers' words that no test can provoke at will.
    #[test]
    fn words_of_the_drivers_have_a_meaning() {
        for message in [
            "deadlock detected",
            "canceling statement due to lock timeout",
            "database is locked",
            "database table is locked: payouts",
        ] {
            let error = classify(reported(message));
            assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
        }
        for message in [
            "server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally",
            "terminating connection due to administrator command",
            "terminating connection due to idle-in-transaction timeout",
            "could not receive data from server: Connection reset by peer",
            "could not send data to server: Broken pipe",
            "SSL connection has been closed unexpectedly",
            "the database system is shutting down",
            "no connection to the server\n",
        ] {
            let error = classify(reported(message));
            assert!(matches!(error, StoreError::Lost { .. }), "{error:?}");
        }
        for message in [
            "could not extend file \"base/5/16384\": No space left on device",
            "database or disk is full",
            "disk I/O error",
            "attempt to write a readonly database",
        ] {
            let error = classify(reported(message));
            assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        }
        for message in [
            "canceling statement due to statement timeout",
            "value too long for type character varying(3)",
        ] {
            let error = classify(reported(message));
            assert!(matches!(error, StoreError::Database { .. }), "{error:?}");
        }
    }

    #[test]
    fn kinds_of_the_driver_have_a_meaning() {
        use DatabaseErrorKind::{ClosedConnection, SerializationFailure, UniqueViolation};
        let of_kind = |kind, message: &str| {
            classify(DieselError::DatabaseError(
                kind,
                Box::new(message.to_owned()),
            ))
        };
        let closed = of_kind(ClosedConnection, "");
        assert!(matches!(closed, StoreError::Lost { .. }), "{closed:?}");
        let serialization = of_kind(SerializationFailure, "could not serialize access");
        assert!(
            matches!(serialization, StoreError::Busy { .. }),
            "{serialization:?}"
        );
        let unique = of_kind(UniqueViolation, "UNIQUE constraint failed: a.b, a.c");
        assert!(
            matches!(&unique, StoreError::Unique { what } if what == "a.b, a.c"),
            "{unique:?}"
        );
        let broken = classify(DieselError::BrokenTransactionManager);
        assert!(matches!(broken, StoreError::Lost { .. }), "{broken:?}");
        assert!(matches!(
            classify(DieselError::NotFound),
            StoreError::NotFound
        ));
    }

    #[test]
    fn a_batch_fits_the_variables_of_one_statement() {
        for columns in 1..=32 {
            let rows = |backend| batch_rows_max(backend, columns);
            assert!(rows(Backend::Sqlite) * columns <= 32_766);
            assert!(rows(Backend::Postgres) * columns <= 65_535);
            assert!(rows(Backend::Sqlite) > 0);
        }
    }
}
