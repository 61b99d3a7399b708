//! What migrating does to a database that is empty, half-way, or the platform's own, and what
//! reverting refuses to lose.

use payouts::model::ids::PayoutId;
use payouts::model::native_enum::PayoutStatus;
use payouts::model::time::Clock;
use payouts::store::migrations::all;
use payouts::store::{Backend, Store, StoreError};

use crate::common::catalog::{facts, lines, words};
use crate::common::db::{self, TestDb, on_both};
use crate::common::platform;
use crate::common::store::open;

/// The migrations of this version, oldest first.
fn names() -> Vec<&'static str> {
    all(Backend::Sqlite).iter().map(|m| m.name).collect()
}

fn up_sql(db: &TestDb, name: &str) -> &'static str {
    let backend = match db.backend() {
        db::Backend::Sqlite => Backend::Sqlite,
        db::Backend::Postgres => Backend::Postgres,
    };
    let migration = all(backend).iter().find(|m| m.name == name);
    migration.expect("the migration exists").up
}

fn refusal(store: &mut Store) -> String {
    match store.migrate_revert() {
        Err(StoreError::Conflict(message)) => message,
        other => panic!("reverting was not refused: {other:?}"),
    }
}

/// Reverts what came after a migration, the newest first.
fn revert_newer_than(store: &mut Store, name: &str) {
    let newer = all(store.backend())
        .iter()
        .rev()
        .take_while(|m| m.name > name);
    for migration in newer {
        assert_eq!(store.migrate_revert().unwrap(), migration.name);
    }
}

on_both! {
    fn every_migration_goes_back_and_forth(db: TestDb) {
        let mut store = db.store();
        assert_eq!(store.migrate().unwrap(), names());
        let complete = facts(&db);
        let mut newest_first = names();
        newest_first.reverse();
        for name in newest_first {
            assert_eq!(store.migrate_revert().unwrap(), name);
            // The newest one again: what it left behind would be in its way.
            assert_eq!(store.migrate().unwrap().first(), Some(&name));
            assert_eq!(facts(&db), complete);
            while store.migrate_revert().unwrap() != name {}
        }
        assert_eq!(refusal(&mut store), "no migration has run here");
        let left = match db.backend() {
            db::Backend::Sqlite => "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
            db::Backend::Postgres => {
                "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind <> 'i'
                 UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
                 UNION ALL SELECT typname FROM pg_type WHERE typnamespace = current_schema()::regnamespace AND typtype = 'e'"
            }
        };
        assert_eq!(lines(&db, left), ["__diesel_schema_migrations"]);
    }

    fn the_second_time_nothing_runs(db: TestDb) {
        let mut store = db.migrated();
        assert_eq!(store.migrate().unwrap(), [""; 0]);
        assert_eq!(lines(&db, "SELECT name FROM payout_own_tables ORDER BY name"),
            ["creators", "payouts", "royalty_runs", "royalty_statements", "users"]);
    }

    fn the_founding_migration_is_idempotent(db: TestDb) {
        db.migrated();
        creator(&db);
        payout(&db);
        let (schema, rows) = (facts(&db), lines(&db, "SELECT id, status, amount_cents FROM payouts"));
        db.execute(up_sql(&db, "005_add_payouts_table"));
        db.execute(up_sql(&db, "005_add_payouts_table"));
        assert_eq!(facts(&db), schema);
        assert_eq!(lines(&db, "SELECT id, status, amount_cents FROM payouts"), rows);
        assert_eq!(rows, ["p1 PENDING 100"]);
    }

    fn a_table_of_the_ledger_with_a_row_stands_in_the_way_of_reverting(db: TestDb) {
        let mut store = db.migrated();
        revert_newer_than(&mut store, "006_add_payout_ledger");
        // Against the order in which they would be dropped, so that each new row is met first.
        for (table, row) in [
            ("payout_settings", "('currency', 'usd', AT)"),
            ("payout_runs", "('r', 'c', '', 'a', 'h', 'v', AT, AT, NULL, NULL, NULL, NULL)"),
            ("payout_batches", "('b', 's', 'h', 1, 1, 'a', 'r', AT)"),
            ("payout_batch_items", "('p', NULL, NULL, NULL)"),
            ("payout_holds", "('all', '', 'r', 'a', AT, NULL)"),
            ("payout_approvals", "('p', 'a', 'c', 1, 'd', NULL, 'r', AT)"),
            (
                "payout_attempts",
                "('p', 1, 'k', '', 1, 'usd', 'd', 'g', NULL, 's', FALSE, 'v', 'r', 'sending', AT, AT, NULL, 0, FALSE, \
                  NULL, NULL, NULL, NULL, NULL, NULL, FALSE, NULL)",
            ),
            ("payout_answers", "('p', 1, 1, AT, AT, NULL, NULL, FALSE, 'v', '')"),
            ("payout_statement_claims", "('s', 'p')"),
            ("payout_history", "('p', 1, 'created', NULL, 'PENDING', AT, 'a', 'r', NULL, 'h')"),
            ("payout_history_heads", "('p', 1, 'h')"),
        ] {
            let row = row.replace("AT", "'2026-10-01 00:00:00'");
            db.execute(&format!("INSERT INTO {table} VALUES {row}"));
            assert_eq!(
                refusal(&mut store),
                format!("006_add_payout_ledger cannot be reverted: the table {table} holds rows")
            );
        }
    }

    fn who_let_go_of_what_is_not_reverted(db: TestDb) {
        let mut store = db.migrated();
        revert_newer_than(&mut store, "009_add_payout_hold_releases");
        db.execute(
            "INSERT INTO payout_runs (id, command, arguments, actor, host, version, started_at, seen_at)
             VALUES ('r', 'release', '', 'a', 'h', 'v', '2026-10-01 00:00:00', '2026-10-01 00:00:00');
             INSERT INTO payout_hold_releases
             VALUES ('all', '', 'why', 'ann', '2026-10-01 00:00:00', 'r', 'ben', '2026-10-01 00:00:00', NULL)",
        );
        assert_eq!(
            refusal(&mut store),
            "009_add_payout_hold_releases cannot be reverted: the table payout_hold_releases holds rows"
        );
    }

    fn founding_tables_with_rows_stay(db: TestDb) {
        let mut store = db.migrated();
        creator(&db);
        payout(&db);
        revert_newer_than(&mut store, "006_add_payout_ledger");
        assert_eq!(store.migrate_revert().unwrap(), "006_add_payout_ledger");
        assert_eq!(
            refusal(&mut store),
            "005_add_payouts_table cannot be reverted: the table payouts holds rows"
        );
        db.execute("DELETE FROM payouts");
        assert_eq!(store.migrate_revert().unwrap(), "005_add_payouts_table");
        assert_eq!(
            refusal(&mut store),
            "001_add_platform_tables cannot be reverted: the table creators holds rows"
        );
        assert_eq!(lines(&db, r#"SELECT id, "userId" FROM creators"#), ["ann u_ann"]);
    }

    fn a_newer_schema_is_refused_and_other_softwares_migrations_are_not(db: TestDb) {
        let mut store = db.migrated();
        // A platform that migrates with Diesel too keeps its list in the same table.
        db.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('20260101120000')");
        assert_eq!(store.migrate().unwrap(), [""; 0]);
        store.require_current_schema().unwrap();
        db.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('999')");
        let refused = |result: Result<(), StoreError>| match result {
            Err(StoreError::NewerSchema { versions }) => assert_eq!(versions, ["999"]),
            other => panic!("a newer schema was not refused: {other:?}"),
        };
        refused(store.require_current_schema());
        refused(store.migrate().map(drop));
        refused(store.migrate_revert().map(drop));
    }

    fn what_is_pending_is_named(db: TestDb) {
        let mut store = db.migrated();
        revert_newer_than(&mut store, "005_add_payouts_table");
        match store.require_current_schema() {
            Err(StoreError::PendingMigrations { names }) => {
                let pending = all(store.backend()).iter().map(|m| m.name);
                assert_eq!(names, pending.skip_while(|name| *name < "006").collect::<Vec<_>>());
            }
            other => panic!("pending migrations were not noticed: {other:?}"),
        }
    }
}

/// A creator with a user.
fn creator(db: &TestDb) {
    db.execute(
        r#"INSERT INTO users (id, email, "updatedAt") VALUES ('u_ann', 'ann@example.com', '2026-01-01 00:00:00');
        INSERT INTO creators (id, "userId", "stageName", "updatedAt") VALUES ('ann', 'u_ann', 'Ann', '2026-01-01 00:00:00')"#,
    );
}

fn payout(db: &TestDb) {
    db.execute(
        "INSERT INTO payouts (id, creator_id, amount_cents, updated_at) VALUES ('p1', 'ann', 100, '2026-10-01 00:00:00')",
    );
}

// --- a platform's database -------------------------------------------------------------------------------------------

#[test]
fn on_a_platforms_database_only_our_tables_and_one_index_are_new() {
    let db = TestDb::postgres();
    platform::install(&db);
    let before = platform::state(&db);

    let mut store = db.store();
    assert_eq!(store.migrate().unwrap(), names());
    let after = platform::state(&db);
    assert_eq!(store.migrate().unwrap(), [""; 0]);

    let schema = words(&db.query_strings("SELECT current_schema()::text")[0]).concat();
    let queue = format!(
        "payouts payout_queue_idx CREATE INDEX payout_queue_idx ON {schema}.payouts USING btree (status, created_at, id)"
    );
    let new: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(new, [&queue]);
    let gone: Vec<&String> = before.iter().filter(|line| !after.contains(line)).collect();
    assert_eq!(gone, [""; 0]);
    assert_eq!(
        platform::state(&db),
        after,
        "the second run changed something"
    );
    assert_eq!(
        lines(&db, "SELECT name FROM payout_own_tables"),
        [""; 0],
        "none of these tables is ours"
    );
    for table in [
        "users",
        "creators",
        "royalty_runs",
        "royalty_statements",
        "payouts",
    ] {
        assert!(!store.owns_table(table).unwrap(), "{table}");
    }
    assert_eq!(
        lines(
            &db,
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
             AND relname !~ '^payout_' ORDER BY relname"
        ),
        [
            "__diesel_schema_migrations",
            "_prisma_migrations",
            "creators",
            "payouts",
            "royalty_runs",
            "royalty_statements",
            "users"
        ]
    );
}

#[test]
fn the_platforms_own_sql_run_after_ours_finds_nothing_to_do() {
    let db = TestDb::postgres();
    platform::install(&db);
    db.migrated();
    let state = platform::state(&db);
    db.execute(up_sql(&db, "005_add_payouts_table"));
    db.execute(up_sql(&db, "005_add_payouts_table"));
    assert_eq!(platform::state(&db), state);
}

#[test]
fn rows_of_a_platform_with_more_columns_are_read() {
    let db = TestDb::postgres();
    platform::install(&db);
    let mut store = db.migrated();
    let candidate = store
        .candidate(
            &PayoutId::new("payout_of_platform"),
            &crate::common::seed::rules(),
        )
        .unwrap()
        .expect("the platform's payout is there");
    assert_eq!(candidate.payout.status, PayoutStatus::Pending);
    assert_eq!(candidate.destination.as_deref(), Some("acct_ann"));
    assert_eq!(
        candidate.statement.map(|statement| statement.rest_cents),
        Some(50_000)
    );
    assert!(!candidate.ours);
}

#[test]
fn nothing_of_the_platforms_is_reverted() {
    let db = TestDb::postgres();
    platform::install(&db);
    let before = platform::state(&db);
    let mut store = db.migrated();
    revert_newer_than(&mut store, "006_add_payout_ledger");
    assert_eq!(store.migrate_revert().unwrap(), "006_add_payout_ledger");
    let refused =
        "005_add_payouts_table cannot be reverted: the table payouts was there before payouts";
    assert_eq!(refusal(&mut store), refused);
    assert_eq!(platform::state(&db), before);
    // Nor when its tables happen to be empty.
    db.execute("TRUNCATE payouts, royalty_statements, royalty_runs, creators, users");
    assert_eq!(refusal(&mut store), refused);
}

/// A role that may see nothing of `users` cannot tell by looking through `information_schema`,
/// which hides what one has no right to, that the platform made it.
#[test]
fn a_table_that_the_role_may_not_read_is_still_the_platforms() {
    let db = TestDb::postgres();
    platform::install(&db);
    // A role that every server has; what is granted to it goes with the schema.
    db.execute(
        r#"DO $$ DECLARE s text := current_schema(); t text; BEGIN
            EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO pg_monitor', s);
            EXECUTE format('ALTER TYPE %I."PayoutStatus" OWNER TO pg_monitor', s);
            FOREACH t IN ARRAY ARRAY['creators', 'royalty_runs', 'royalty_statements', 'payouts'] LOOP
                EXECUTE format('ALTER TABLE %I.%I OWNER TO pg_monitor', s, t);
            END LOOP;
        END $$"#,
    );
    let url = db
        .url()
        .replace("options=", "options=-crole%3Dpg_monitor%20");
    let mut store = open(&url, Clock::system());
    assert_eq!(store.migrate().unwrap(), names());
    assert_eq!(lines(&db, "SELECT name FROM payout_own_tables"), [""; 0]);
}

// --- the queue index -------------------------------------------------------------------------------------------------

#[test]
fn an_index_that_failed_half_way_is_built_anew() {
    let db = TestDb::postgres();
    let mut store = db.migrated();
    revert_newer_than(&mut store, "006_add_payout_ledger");
    creator(&db);
    payout(&db);
    db.execute(
        "INSERT INTO payouts (id, creator_id, amount_cents, updated_at) VALUES ('p2', 'ann', 100, '2026-10-01')",
    );
    // Two rows with one status cannot be unique: PostgreSQL leaves the index behind as invalid.
    let refusal = db
        .session()
        .refused(r#"CREATE UNIQUE INDEX CONCURRENTLY "payout_queue_idx" ON "payouts" ("status")"#);
    assert!(
        refusal.contains("could not create unique index"),
        "{refusal}"
    );
    let index = "SELECT indisvalid, indisunique, indnatts FROM pg_index WHERE indexrelid = 'payout_queue_idx'::regclass";
    assert_eq!(lines(&db, index), ["0 1 1"]);

    assert_eq!(store.migrate().unwrap()[0], "007_add_payout_queue_index");

    assert_eq!(lines(&db, index), ["1 0 3"]);
}

#[test]
fn an_index_is_not_built_twice() {
    let db = TestDb::postgres();
    let mut store = db.migrated();
    revert_newer_than(&mut store, "006_add_payout_ledger");
    db.execute(r#"CREATE INDEX "payout_queue_idx" ON "payouts" ("status", "created_at", "id")"#);
    let index = "SELECT 'payout_queue_idx'::regclass::oid::int8";
    let before = lines(&db, index);
    assert_eq!(store.migrate().unwrap()[0], "007_add_payout_queue_index");
    assert_eq!(lines(&db, index), before);
}
