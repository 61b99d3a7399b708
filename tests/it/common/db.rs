//! A database of its own for every test, of each kind.
//!
//! ```ignore
//! on_both! {
//!     fn a_payout_is_claimed_once(db: TestDb) {
//!         …
//!     }
//! }
//! ```
//!
//! makes the tests `a_payout_is_claimed_once::sqlite` and `a_payout_is_claimed_once::postgres`.
//! Nothing is shared between tests, and nothing is left behind: an SQLite database is a file in a
//! temporary folder, a PostgreSQL database is a schema of the server that `tests/run` started.

use std::path::PathBuf;
use std::sync::Once;
use std::{fmt, thread};

use diesel::connection::SimpleConnection;
use diesel::deserialize::{self, FromSql, QueryableByName};
use diesel::pg::{Pg, PgConnection, PgValue};
use diesel::query_builder::SqlQuery;
use diesel::query_dsl::LoadQuery;
use diesel::row::{Field, NamedRow, Row};
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamp};
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel::{Connection, RunQueryDsl};
use tempfile::TempDir;

use super::server::Server;
use super::{outside, temporary_folder};

/// Where the server is, with the right to make schemas in it.
const SERVER_VARIABLE: &str = "PAYOUTS_TEST_POSTGRES";

/// A schema older than this belongs to a run that was killed.
const LEFTOVER_SECONDS: u32 = 60 * 60;

/// Everything that this tool and the platform write; a copy of a database has all of it.
const TABLES: [&str; 28] = [
    "payout_alerts",
    "payout_notification_switches",
    "payout_notifications",
    "payout_account_states",
    "payout_event_pulls",
    "payout_stripe_events",
    "payout_answers",
    "payout_approvals",
    "payout_lookups",
    "payout_statement_claims",
    "payout_findings",
    "payout_reconciliations",
    "payout_reversal_steps",
    "payout_reversals",
    "payout_history",
    "payout_history_heads",
    "payout_hold_releases",
    "payout_holds",
    "payout_attempts",
    "payout_batch_items",
    "payout_batches",
    "payout_runs",
    "payout_settings",
    "payouts",
    "royalty_statements",
    "royalty_runs",
    "creators",
    "users",
];

/// Once per process is enough.
static LEFTOVERS_DROPPED: Once = Once::new();

/// One row: the text of each column, `None` for NULL.
pub(crate) type TextRow = Vec<Option<String>>;

/// Defines each function as two tests, one on a fresh SQLite database and one on a fresh PostgreSQL
/// schema.
macro_rules! on_both {
    ($($(#[$attribute:meta])* fn $name:ident($db:ident: TestDb) $body:block)+) => { $(
        #[allow(clippy::needless_pass_by_value, reason = "a test owns its database")]
        fn $name($db: $crate::common::db::TestDb) $body

        mod $name {
            #[test]
            $(#[$attribute])*
            fn sqlite() {
                super::$name($crate::common::db::TestDb::sqlite());
            }

            #[test]
            $(#[$attribute])*
            fn postgres() {
                super::$name($crate::common::db::TestDb::postgres());
            }
        }
    )+ };
}
pub(crate) use on_both;

/// The two kinds of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// An empty database, deleted when it is dropped.
pub(crate) struct TestDb {
    url: String,
    place: Place,
}

enum Place {
    /// The folder of the database file and of its write-ahead log.
    Folder(TempDir),
    /// The schema that stands for the database.
    Schema(String),
    /// The server that has no other.
    Server(Server),
}

impl TestDb {
    /// An SQLite database whose file does not exist yet.
    pub(crate) fn sqlite() -> Self {
        let folder = temporary_folder();
        Self {
            url: format!("sqlite:{}/payouts.db", folder.path().display()),
            place: Place::Folder(folder),
        }
    }

    /// The same where writing is as fast as memory, on a machine that has such a place: for tests
    /// that write a great deal.
    pub(crate) fn sqlite_in_memory_file_system() -> Self {
        let Ok(folder) = tempfile::Builder::new()
            .prefix("payouts-")
            .tempdir_in("/dev/shm")
        else {
            return Self::sqlite();
        };
        Self {
            url: format!("sqlite:{}/payouts.db", folder.path().display()),
            place: Place::Folder(folder),
        }
    }

    /// An empty schema, and a URL that leads into it and nowhere else.
    ///
    /// # Panics
    /// When there is no server.
    pub(crate) fn postgres() -> Self {
        let mut server = connect_postgres(&server_url());
        LEFTOVERS_DROPPED.call_once(|| drop_leftovers(&mut server));
        // The server says the time and draws the lot, so that processes need not agree on either.
        let name = "SELECT concat_ws('_', 'payouts_test', extract(epoch FROM now())::bigint, \
                    substr(md5(gen_random_uuid()::text), 1, 8))";
        let schema = text_rows(&mut server, name)
            .swap_remove(0)
            .swap_remove(0)
            .expect("a name is not NULL");
        execute(&mut server, &format!("CREATE SCHEMA {schema}"));
        Self {
            url: with_search_path(&server_url(), &schema),
            place: Place::Schema(schema),
        }
    }

    /// A PostgreSQL server of the test's own, to be stopped and started again.
    ///
    /// # Panics
    /// When there is no other server, whose programs it is made with.
    pub(crate) fn server_of_its_own() -> Self {
        let server = Server::start(&mut connect_postgres(&server_url()));
        Self {
            url: server.url(),
            place: Place::Server(server),
        }
    }

    /// The server of the test's own.
    ///
    /// # Panics
    /// Where it has none.
    pub(crate) fn server(&mut self) -> &mut Server {
        match &mut self.place {
            Place::Server(server) => server,
            _ => panic!("this database is on a server that others use"),
        }
    }

    /// As in `DATABASE_URL`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The PostgreSQL schema that stands for the database, for software that must be told it.
    ///
    /// # Panics
    /// Where none stands for it.
    pub(crate) fn schema(&self) -> &str {
        match &self.place {
            Place::Schema(name) => name,
            _ => panic!("this database is no schema"),
        }
    }

    /// For the few tests that expect different things of the two.
    pub(crate) fn backend(&self) -> Backend {
        match self.place {
            Place::Folder(_) => Backend::Sqlite,
            Place::Schema(_) | Place::Server(_) => Backend::Postgres,
        }
    }

    /// Runs statements behind the back of the tool, as other software would.
    pub(crate) fn execute(&self, sql: &str) {
        match &self.place {
            Place::Folder(_) => execute(&mut self.connect_sqlite(), sql),
            Place::Schema(_) | Place::Server(_) => execute(&mut connect_postgres(&self.url), sql),
        }
    }

    /// The rows of a query as text that is the same for the same value on both databases: numbers
    /// in decimal, booleans as `0` and `1`, times as `2026-10-01 12:00:00.123`. What has no such
    /// text must be cast in the query.
    pub(crate) fn query_strings(&self, sql: &str) -> Vec<TextRow> {
        match &self.place {
            Place::Folder(_) => text_rows(&mut self.connect_sqlite(), sql),
            Place::Schema(_) | Place::Server(_) => text_rows(&mut connect_postgres(&self.url), sql),
        }
    }

    /// Other software that stays connected: it can hold a lock, and it can be refused.
    pub(crate) fn session(&self) -> Session {
        match &self.place {
            Place::Folder(_) => Session::Sqlite(self.connect_sqlite()),
            Place::Schema(_) | Place::Server(_) => Session::Postgres(connect_postgres(&self.url)),
        }
    }

    /// The same at another URL, such as of another role of the server.
    pub(crate) fn session_at(&self, url: &str) -> Session {
        assert_eq!(self.backend(), Backend::Postgres, "SQLite has no roles");
        Session::Postgres(connect_postgres(url))
    }

    /// An empty database of the same kind, where writing is as fast as it can be.
    pub(crate) fn another(&self) -> Self {
        match &self.place {
            Place::Folder(_) => Self::sqlite_in_memory_file_system(),
            Place::Schema(_) | Place::Server(_) => Self::postgres(),
        }
    }

    /// Keeps a copy under a name, as a backup does: of one moment, whoever is writing.
    pub(crate) fn keep(&self, session: &mut Session, name: &str) {
        if let Place::Folder(_) = &self.place {
            let copy = self.copy_named(name);
            let _ = std::fs::remove_file(&copy);
            return session.execute(&format!("VACUUM INTO '{}'", copy.display()));
        }
        let tables = each_table(|table| {
            format!(
                "CREATE TABLE IF NOT EXISTS {name}_{table} (LIKE {table}); DELETE FROM {name}_{table};
                 INSERT INTO {name}_{table} SELECT * FROM {table};"
            )
        });
        session.execute(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; {tables} COMMIT"
        ));
    }

    /// Restores the copy that was kept under a name, when nobody else has the database open. Gives
    /// back a session on it.
    pub(crate) fn put_back(&self, session: Session, name: &str) -> Session {
        if let Place::Folder(_) = &self.place {
            drop(session);
            let file = self.file();
            for end in ["-wal", "-shm"] {
                let mut beside = file.clone().into_os_string();
                beside.push(end);
                let _ = std::fs::remove_file(beside);
            }
            std::fs::copy(self.copy_named(name), file).expect("the backup is copied");
            return self.session();
        }
        let mut session = session;
        // Foreign keys and the history's own guard are for those who write, not for a restore.
        let tables = each_table(|table| {
            format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM {name}_{table};")
        });
        session.execute(&format!(
            "SET session_replication_role = replica; {tables} SET session_replication_role = origin"
        ));
        session
    }

    /// Has PostgreSQL forget what a thousand restores left behind.
    pub(crate) fn tidy(&self, session: &mut Session) {
        if self.backend() == Backend::Postgres {
            for table in TABLES {
                session.execute(&format!("VACUUM {table}"));
            }
        }
    }

    /// Where a copy of an SQLite database is kept under a name.
    pub(crate) fn copy_named(&self, name: &str) -> PathBuf {
        self.file().with_extension(name)
    }

    /// The file of an SQLite database.
    pub(crate) fn file(&self) -> PathBuf {
        PathBuf::from(self.url.trim_start_matches("sqlite:"))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test looks at the database without the code that is tested"
    )]
    fn connect_sqlite(&self) -> SqliteConnection {
        let path = self.url.trim_start_matches("sqlite:");
        let mut connection = SqliteConnection::establish(path).expect("the SQLite database opens");
        execute(
            &mut connection,
            "PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON",
        );
        connection
    }
}

/// A connection behind the back of the tool.
pub(crate) enum Session {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Session {
    /// Runs statements.
    pub(crate) fn execute(&mut self, sql: &str) {
        match self {
            Self::Sqlite(connection) => execute(connection, sql),
            Self::Postgres(connection) => execute(connection, sql),
        }
    }

    /// Lets the history be changed: whoever owns the database can do this.
    pub(crate) fn without_history_triggers(&mut self) {
        self.execute(match self {
            Self::Sqlite(_) => {
                "DROP TRIGGER payout_history_no_update; DROP TRIGGER payout_history_no_delete;
                 DROP TRIGGER payout_history_no_replace"
            }
            Self::Postgres(_) => "ALTER TABLE payout_history DISABLE TRIGGER USER",
        });
    }

    /// Runs statements that the database must refuse, and gives its words.
    pub(crate) fn refused(&mut self, sql: &str) -> String {
        match self.attempt(sql) {
            Ok(()) => panic!("the database accepts {sql:?}"),
            Err(words) => words,
        }
    }

    /// Runs statements that the database may refuse, and then gives its words.
    pub(crate) fn attempt(&mut self, sql: &str) -> Result<(), String> {
        let result = match self {
            Self::Sqlite(connection) => connection.batch_execute(sql),
            Self::Postgres(connection) => connection.batch_execute(sql),
        };
        result.map_err(|error| error.to_string())
    }

    /// The rows of a query, as [`TestDb::query_strings`] gives them.
    pub(crate) fn query_strings(&mut self, sql: &str) -> Vec<TextRow> {
        match self {
            Self::Sqlite(connection) => text_rows(connection, sql),
            Self::Postgres(connection) => text_rows(connection, sql),
        }
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let Place::Schema(schema) = &self.place else {
            return;
        };
        let mut server = connect_postgres(&server_url());
        let dropped = server.batch_execute(&format!(
            "SET lock_timeout = '5s'; DROP SCHEMA {schema} CASCADE"
        ));
        // A transaction somebody left open is a fault of the code under test; say so, unless the
        // test failed anyway.
        if !thread::panicking() {
            dropped.unwrap_or_else(|error| {
                panic!("the schema {schema} is still in use after its test: {error}")
            });
        }
    }
}

fn server_url() -> String {
    let url = outside(SERVER_VARIABLE).and_then(|url| url.into_string().ok());
    url.unwrap_or_else(|| {
        panic!(
            "{SERVER_VARIABLE} is not set: run the tests with `tests/run`, which starts a PostgreSQL \
             server for them (`tests/run --serve` only starts it)"
        )
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test looks at the database without the code that is tested"
)]
fn connect_postgres(url: &str) -> PgConnection {
    PgConnection::establish(url).unwrap_or_else(|error| {
        panic!(
            "the PostgreSQL server of {SERVER_VARIABLE} cannot be reached (`tests/run` starts one): \
             {error}"
        )
    })
}

/// `url` with `schema` as the only schema that a session sees.
fn with_search_path(url: &str, schema: &str) -> String {
    let option = format!("-csearch_path%3D{schema}");
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let mut parameters = query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(str::to_owned)
        .collect::<Vec<_>>();
    // libpq takes the last of two parameters of one name, so options that are there already must be
    // kept by hand.
    match parameters
        .iter_mut()
        .rfind(|parameter| parameter.starts_with("options="))
    {
        Some(options) => *options = format!("{options}%20{option}"),
        None => parameters.push(format!("options={option}")),
    }
    format!("{address}?{}", parameters.join("&"))
}

/// Drops the schemas of runs that were killed before they could.
fn drop_leftovers(server: &mut PgConnection) {
    // One process at a time: two that drop the same schema would disturb each other.
    execute(server, "SELECT pg_advisory_lock(hashtext('payouts_test'))");
    let leftovers = text_rows(
        server,
        &format!(
            "SELECT nspname::text FROM pg_namespace \
             WHERE substring(nspname FROM '^payouts_test_([0-9]+)_[0-9a-f]+$')::bigint \
                   < extract(epoch FROM clock_timestamp()) - {LEFTOVER_SECONDS}"
        ),
    );
    for schema in leftovers.into_iter().flatten().flatten() {
        execute(server, &format!("DROP SCHEMA {schema} CASCADE"));
    }
    execute(
        server,
        "SELECT pg_advisory_unlock(hashtext('payouts_test'))",
    );
}

fn each_table(statement: impl Fn(&str) -> String) -> String {
    TABLES.map(statement).join(" ")
}

fn execute(connection: &mut impl SimpleConnection, sql: &str) {
    connection
        .batch_execute(sql)
        .unwrap_or_else(|error| panic!("the database refuses {sql:?}: {error}"));
}

pub(super) fn text_rows<C>(connection: &mut C, sql: &str) -> Vec<TextRow>
where
    SqlQuery: for<'query> LoadQuery<'query, C, Cells>,
{
    let rows = diesel::sql_query(sql).load::<Cells>(connection);
    let rows = rows.unwrap_or_else(|error| panic!("the database refuses {sql:?}: {error}"));
    rows.into_iter().map(|Cells(row)| row).collect()
}

/// A row whose columns are not known beforehand.
pub(super) struct Cells(TextRow);

impl QueryableByName<Sqlite> for Cells {
    /// SQLite converts whatever it has to text.
    fn build<'a>(row: &impl NamedRow<'a, Sqlite>) -> deserialize::Result<Self> {
        let cell = |column| Row::get_value::<Nullable<Text>, Option<String>, _>(row, column);
        (0..row.field_count())
            .map(cell)
            .collect::<deserialize::Result<_>>()
            .map(Self)
    }
}

impl QueryableByName<Pg> for Cells {
    fn build<'a>(row: &impl NamedRow<'a, Pg>) -> deserialize::Result<Self> {
        let cell = |column: usize| {
            let field = Row::get(row, column).ok_or("a column is missing")?;
            field.value().map(postgres_text).transpose()
        };
        (0..row.field_count())
            .map(cell)
            .collect::<deserialize::Result<_>>()
            .map(Self)
    }
}

/// PostgreSQL sends binary; what it means depends on the type.
fn postgres_text(value: PgValue<'_>) -> deserialize::Result<String> {
    /// Object ids of the built-in types; they never change. Above come types made by migrations:
    /// our enums, whose binary form is their label.
    mod oid {
        pub(super) const BOOL: u32 = 16;
        pub(super) const NAME: u32 = 19;
        pub(super) const INT8: u32 = 20;
        pub(super) const INT2: u32 = 21;
        pub(super) const INT4: u32 = 23;
        pub(super) const TEXT: u32 = 25;
        pub(super) const VARCHAR: u32 = 1043;
        pub(super) const TIMESTAMP: u32 = 1114;
        pub(super) const FIRST_OF_USERS: u32 = 16384;
    }
    match value.get_oid().get() {
        oid::BOOL => {
            <bool as FromSql<Bool, Pg>>::from_sql(value).map(|value| u8::from(value).to_string())
        }
        oid::INT2 => <i16 as FromSql<SmallInt, Pg>>::from_sql(value).map(|value| value.to_string()),
        oid::INT4 => <i32 as FromSql<Integer, Pg>>::from_sql(value).map(|value| value.to_string()),
        oid::INT8 => <i64 as FromSql<BigInt, Pg>>::from_sql(value).map(|value| value.to_string()),
        // The format in which Diesel keeps a time in SQLite.
        oid::TIMESTAMP => <chrono::NaiveDateTime as FromSql<Timestamp, Pg>>::from_sql(value)
            .map(|value| value.format("%F %T%.f").to_string()),
        oid::TEXT | oid::VARCHAR | oid::NAME | oid::FIRST_OF_USERS.. => {
            Ok(String::from_utf8(value.as_bytes().to_vec())?)
        }
        other => Err(format!(
            "type {other} has no text that is the same on SQLite; cast it in the query"
        )
        .into()),
    }
}

mod tests {
    use super::*;

    fn row(cells: &[&str]) -> TextRow {
        cells
            .iter()
            .map(|cell| (*cell != "NULL").then(|| (*cell).to_owned()))
            .collect()
    }

    super::on_both! {
        fn the_same_value_has_the_same_text(db: TestDb) {
            let time = match db.backend() {
                Backend::Sqlite => "'2026-10-01 12:00:00.120'",
                Backend::Postgres => "TIMESTAMP(3) '2026-10-01 12:00:00.120'",
            };
            let sql = format!(
                "SELECT 1 = 1, 0 = 1, -7, 30000000000, 'Zoë, \"x\"', NULL, {time}, count(*) \
                 FROM (SELECT 1) AS t"
            );
            let time = "2026-10-01 12:00:00.120";
            let expected = ["1", "0", "-7", "30000000000", "Zoë, \"x\"", "NULL", time, "1"];
            assert_eq!(db.query_strings(&sql), [row(&expected)]);
        }

        fn a_write_is_there_for_the_next_connection(db: TestDb) {
            db.execute("CREATE TABLE t (id INTEGER, name TEXT)");
            db.execute("INSERT INTO t VALUES (2, 'b'), (1, NULL)");
            let rows = db.query_strings("SELECT * FROM t ORDER BY id");
            assert_eq!(rows, [row(&["1", "NULL"]), row(&["2", "b"])]);
            let change = "UPDATE t SET name = 'c' WHERE id = 1 RETURNING name, id";
            let changed = db.query_strings(change);
            assert_eq!(changed, [row(&["c", "1"])]);
        }

        fn two_databases_share_nothing(db: TestDb) {
            let other = match db.backend() {
                Backend::Sqlite => TestDb::sqlite(),
                Backend::Postgres => TestDb::postgres(),
            };
            db.execute("CREATE TABLE t (id INTEGER)");
            other.execute("CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1)");
            assert_ne!(db.url(), other.url());
            assert_eq!(db.query_strings("SELECT count(*) FROM t"), [row(&["0"])]);
        }

        #[should_panic(expected = "the database refuses \"SELECT nonsense\"")]
        fn a_refused_statement_is_named(db: TestDb) {
            db.query_strings("SELECT nonsense");
        }
    }

    #[test]
    fn an_enum_is_its_label() {
        let db = TestDb::postgres();
        db.execute(r#"CREATE TYPE "Status" AS ENUM ('PENDING')"#);
        db.execute(r#"CREATE TABLE t (status "Status" DEFAULT 'PENDING')"#);
        assert_eq!(
            db.query_strings("INSERT INTO t DEFAULT VALUES RETURNING status"),
            [row(&["PENDING"])]
        );
    }

    #[test]
    #[should_panic(expected = "cast it in the query")]
    fn a_type_without_a_common_text_is_refused() {
        TestDb::postgres().query_strings("SELECT 1.5");
    }

    /// A server in UTC would hide a session that forgets to ask for UTC. Diesel asks whenever it
    /// connects, so what the session would have without that is looked at.
    #[test]
    fn the_server_is_not_in_utc() {
        let zone = "SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'";
        let zone = TestDb::postgres().query_strings(zone);
        assert_eq!(
            zone,
            [row(&["Asia/Kathmandu"])],
            "the tests want the server of `tests/run`"
        );
    }

    #[test]
    fn nothing_is_left_behind() {
        let schemas = |like: &str| {
            let sql = format!("SELECT count(*) FROM pg_namespace WHERE nspname = '{like}'");
            text_rows(&mut connect_postgres(&server_url()), &sql)
        };
        let db = TestDb::postgres();
        let Place::Schema(schema) = &db.place else {
            panic!("a PostgreSQL database is a schema")
        };
        let schema = schema.clone();
        db.execute("CREATE TABLE t (id INTEGER)");
        assert_eq!(schemas(&schema), [row(&["1"])]);
        drop(db);
        assert_eq!(schemas(&schema), [row(&["0"])]);

        let db = TestDb::sqlite();
        db.execute("PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER)");
        let Place::Folder(folder) = &db.place else {
            panic!("an SQLite database is a folder")
        };
        let folder = folder.path().to_owned();
        assert!(folder.exists());
        drop(db);
        assert!(!folder.exists());
    }

    #[test]
    #[should_panic(expected = "is still in use after its test")]
    fn a_transaction_left_open_is_noticed() {
        let db = TestDb::postgres();
        db.execute("CREATE TABLE t (id INTEGER)");
        let mut forgotten = connect_postgres(db.url());
        execute(&mut forgotten, "BEGIN; SELECT * FROM t");
        drop(db);
    }

    #[test]
    fn leftovers_go_after_an_hour() {
        let db = TestDb::postgres();
        db.execute("CREATE SCHEMA payouts_test_1000000000_0badcafe");
        db.execute("CREATE SCHEMA payouts_test_of_somebody");
        let mut server = connect_postgres(&server_url());
        drop_leftovers(&mut server);
        let like = "SELECT nspname::text FROM pg_namespace WHERE nspname IN \
                    ('payouts_test_1000000000_0badcafe', 'payouts_test_of_somebody')";
        let left = text_rows(&mut server, like);
        execute(&mut server, "DROP SCHEMA payouts_test_of_somebody");
        assert_eq!(left, [row(&["payouts_test_of_somebody"])]);
        assert_eq!(
            db.query_strings("SELECT count(*) FROM pg_namespace WHERE nspname = current_schema()"),
            [row(&["1"])]
        );
    }

    #[test]
    fn a_schema_goes_into_any_url() {
        let with = |url| with_search_path(url, "s");
        assert_eq!(
            with("postgresql://u@h:5/d"),
            "postgresql://u@h:5/d?options=-csearch_path%3Ds"
        );
        assert_eq!(
            with("postgresql:///d?"),
            "postgresql:///d?options=-csearch_path%3Ds"
        );
        assert_eq!(
            with("postgresql:///d?host=/tmp/x"),
            "postgresql:///d?host=/tmp/x&options=-csearch_path%3Ds"
        );
        assert_eq!(
            with("postgresql:///d?options=-cgeqo%3Doff&host=/x"),
            "postgresql:///d?options=-cgeqo%3Doff%20-csearch_path%3Ds&host=/x"
        );
    }

    #[test]
    fn options_of_the_url_reach_the_session() {
        let url = server_url();
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = with_search_path(
            &format!("{url}{separator}options=-cgeqo%3Doff"),
            "pg_catalog",
        );
        let settings = "SELECT current_setting('geqo'), current_setting('search_path')";
        assert_eq!(
            text_rows(&mut connect_postgres(&url), settings),
            [row(&["off", "pg_catalog"])]
        );
    }
}
