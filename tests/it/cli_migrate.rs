//! `payouts migrate`, and what every other command says to a database that it cannot work with.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use payouts::model::time::Clock;
use payouts::store::Backend;
use payouts::store::migrations::all;

use crate::common::catalog::{facts, words};
use crate::common::db::{self, TestDb, on_both};
use crate::common::env::{Run, TestEnv};
use crate::common::platform;
use crate::common::store::open;

fn machine(db: &TestDb) -> TestEnv {
    let mut env = TestEnv::new();
    env.use_database(db);
    env
}

/// The transcript with `DATABASE` for what the tool calls this database, and `FILE` for its path, so
/// that it is the same on both.
fn transcript(run: &Run, db: &TestDb) -> String {
    let name = db.url().split('?').next().unwrap_or_default();
    let text = run.to_string().replace(name, "DATABASE");
    match db.backend() {
        db::Backend::Sqlite => text.replace(&db.file().display().to_string(), "FILE"),
        db::Backend::Postgres => text,
    }
}

fn backend(db: &TestDb) -> Backend {
    match db.backend() {
        db::Backend::Sqlite => Backend::Sqlite,
        db::Backend::Postgres => Backend::Postgres,
    }
}

/// Everything there is in the database; nothing at all in an SQLite database without a file.
fn objects(db: &TestDb) -> Vec<String> {
    let sql = match db.backend() {
        db::Backend::Sqlite if !db.file().exists() => return Vec::new(),
        db::Backend::Sqlite => "SELECT name FROM sqlite_master ORDER BY name",
        db::Backend::Postgres => {
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace ORDER BY relname"
        }
    };
    db.query_strings(sql).iter().flat_map(words).collect()
}

// --- forward ---------------------------------------------------------------------------------------------------------

/// Reverts what came after a migration, but for `gone` that are reverted already.
fn revert_newer_than(name: &str, gone: usize, env: &TestEnv, db: &TestDb) {
    let newer = all(backend(db)).iter().filter(|m| m.name > name).count();
    for _ in gone..newer {
        env.run(&["migrate", "--revert"]).expect_code(0);
    }
}

on_both! {
    fn the_first_run_makes_everything_and_the_second_nothing(db: TestDb) {
        let env = machine(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(transcript(&env.run(&["migrate"]), &db), @r"
            $ payouts migrate
            Migration                      State
            001_add_platform_tables        applied
            005_add_payouts_table          applied
            006_add_payout_ledger          applied
            007_add_payout_queue_index     applied
            008_add_payout_reconciliation  applied
            009_add_payout_hold_releases   applied
            010_add_payout_lookups         applied
            011_add_payout_stripe_events   applied
            012_add_payout_notifications   applied
            013_add_payout_alerts          applied
            --- stderr
            DATABASE: ran 001_add_platform_tables, 005_add_payouts_table, 006_add_payout_ledger, 007_add_payout_queue_index, 008_add_payout_reconciliation, 009_add_payout_hold_releases, 010_add_payout_lookups, 011_add_payout_stripe_events, 012_add_payout_notifications, 013_add_payout_alerts
            --- exit 0
            ");
            insta::assert_snapshot!(transcript(&env.run(&["migrate"]), &db), @r"
            $ payouts migrate
            Migration                      State
            001_add_platform_tables        applied
            005_add_payouts_table          applied
            006_add_payout_ledger          applied
            007_add_payout_queue_index     applied
            008_add_payout_reconciliation  applied
            009_add_payout_hold_releases   applied
            010_add_payout_lookups         applied
            011_add_payout_stripe_events   applied
            012_add_payout_notifications   applied
            013_add_payout_alerts          applied
            --- stderr
            DATABASE is up to date
            --- exit 0
            ");
        }
        let made = objects(&db);
        assert!(made.contains(&"payouts".to_owned()) && made.contains(&"payout_queue_idx".to_owned()), "{made:?}");
    }

    fn init_is_the_same_command(db: TestDb) {
        let env = machine(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(transcript(&env.run(&["init", "--quiet"]), &db), @r"
            $ payouts init --quiet
            Migration                      State
            001_add_platform_tables        applied
            005_add_payouts_table          applied
            006_add_payout_ledger          applied
            007_add_payout_queue_index     applied
            008_add_payout_reconciliation  applied
            009_add_payout_hold_releases   applied
            010_add_payout_lookups         applied
            011_add_payout_stripe_events   applied
            012_add_payout_notifications   applied
            013_add_payout_alerts          applied
            --- stderr
            --- exit 0
            ");
        }
    }

    fn status_says_what_is_pending_and_writes_nothing(db: TestDb) {
        let env = machine(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(transcript(&env.run(&["migrate", "--status"]), &db), @r"
            $ payouts migrate --status
            Migration                      State
            001_add_platform_tables        pending
            005_add_payouts_table          pending
            006_add_payout_ledger          pending
            007_add_payout_queue_index     pending
            008_add_payout_reconciliation  pending
            009_add_payout_hold_releases   pending
            010_add_payout_lookups         pending
            011_add_payout_stripe_events   pending
            012_add_payout_notifications   pending
            013_add_payout_alerts          pending
            --- stderr
            --- exit 1
            ");
            assert_eq!(objects(&db), [""; 0]);
            env.run(&["migrate"]).expect_code(0);
            env.run(&["migrate", "--revert"]).expect_code(0);
            insta::assert_snapshot!(transcript(&env.run(&["migrate", "--status"]), &db), @r"
            $ payouts migrate --status
            Migration                      State
            001_add_platform_tables        applied
            005_add_payouts_table          applied
            006_add_payout_ledger          applied
            007_add_payout_queue_index     applied
            008_add_payout_reconciliation  applied
            009_add_payout_hold_releases   applied
            010_add_payout_lookups         applied
            011_add_payout_stripe_events   applied
            012_add_payout_notifications   applied
            013_add_payout_alerts          pending
            --- stderr
            --- exit 1
            ");
            env.run(&["migrate"]).expect_code(0);
            insta::assert_snapshot!(transcript(&env.run(&["migrate", "--status"]), &db), @r"
            $ payouts migrate --status
            Migration                      State
            001_add_platform_tables        applied
            005_add_payouts_table          applied
            006_add_payout_ledger          applied
            007_add_payout_queue_index     applied
            008_add_payout_reconciliation  applied
            009_add_payout_hold_releases   applied
            010_add_payout_lookups         applied
            011_add_payout_stripe_events   applied
            012_add_payout_notifications   applied
            013_add_payout_alerts          applied
            --- stderr
            --- exit 0
            ");
        }
    }

    fn machines_read_the_status_in_three_formats(db: TestDb) {
        let env = machine(&db);
        env.run(&["migrate"]).expect_code(0);
        env.run(&["migrate", "--revert"]).expect_code(0);
        insta::allow_duplicates! {
            insta::assert_snapshot!(transcript(&env.run(&["migrate", "--status", "-o", "json"]), &db), @r#"
            $ payouts migrate --status -o json
            {
              "schema": 1,
              "migrations": [
                {
                  "name": "001_add_platform_tables",
                  "applied": true
                },
                {
                  "name": "005_add_payouts_table",
                  "applied": true
                },
                {
                  "name": "006_add_payout_ledger",
                  "applied": true
                },
                {
                  "name": "007_add_payout_queue_index",
                  "applied": true
                },
                {
                  "name": "008_add_payout_reconciliation",
                  "applied": true
                },
                {
                  "name": "009_add_payout_hold_releases",
                  "applied": true
                },
                {
                  "name": "010_add_payout_lookups",
                  "applied": true
                },
                {
                  "name": "011_add_payout_stripe_events",
                  "applied": true
                },
                {
                  "name": "012_add_payout_notifications",
                  "applied": true
                },
                {
                  "name": "013_add_payout_alerts",
                  "applied": false
                }
              ]
            }
            --- stderr
            --- exit 1
            "#);
            insta::assert_snapshot!(transcript(&env.run(&["migrate", "--status", "-o", "csv"]), &db), @r"
            $ payouts migrate --status -o csv
            name,applied
            001_add_platform_tables,true
            005_add_payouts_table,true
            006_add_payout_ledger,true
            007_add_payout_queue_index,true
            008_add_payout_reconciliation,true
            009_add_payout_hold_releases,true
            010_add_payout_lookups,true
            011_add_payout_stripe_events,true
            012_add_payout_notifications,true
            013_add_payout_alerts,false
            --- stderr
            --- exit 1
            ");
            insta::assert_snapshot!(transcript(&env.run(&["migrate", "-o", "ndjson"]), &db), @r#"
            $ payouts migrate -o ndjson
            {"name":"001_add_platform_tables","applied":true}
            {"name":"005_add_payouts_table","applied":true}
            {"name":"006_add_payout_ledger","applied":true}
            {"name":"007_add_payout_queue_index","applied":true}
            {"name":"008_add_payout_reconciliation","applied":true}
            {"name":"009_add_payout_hold_releases","applied":true}
            {"name":"010_add_payout_lookups","applied":true}
            {"name":"011_add_payout_stripe_events","applied":true}
            {"name":"012_add_payout_notifications","applied":true}
            {"name":"013_add_payout_alerts","applied":true}
            --- stderr
            DATABASE: ran 013_add_payout_alerts
            --- exit 0
            "#);
        }
    }

    fn a_dry_run_prints_the_sql_and_writes_nothing(db: TestDb) {
        let env = machine(&db);
        let sql = |pending: &[&str]| {
            let pending = all(backend(&db)).iter().filter(|m| pending.contains(&m.name));
            pending.map(|m| format!("-- {}\n{}", m.name, m.up)).collect::<Vec<_>>().concat()
        };
        let everything: Vec<&str> = all(backend(&db)).iter().map(|m| m.name).collect();
        let run = env.run(&["migrate", "--dry-run"]).expect_code(0);
        assert_eq!(run.stdout, sql(&everything));
        assert_eq!(run.stderr, "");
        assert_eq!(objects(&db), [""; 0]);
        if db.backend() == db::Backend::Sqlite {
            assert!(!db.file().exists());
        }

        env.run(&["migrate"]).expect_code(0);
        env.run(&["migrate", "--revert"]).expect_code(0);
        let before = objects(&db);
        let run = env.run(&["migrate", "--dry-run"]).expect_code(0);
        assert_eq!(run.stdout, sql(&everything[everything.len() - 1..]));
        assert_eq!(objects(&db), before);

        env.run(&["migrate"]).expect_code(0);
        assert_eq!(env.run(&["migrate", "--dry-run"]).expect_code(0).stdout, "");
    }

    /// What a dry run prints is what would run: fed to the database by hand it makes the same.
    fn the_sql_of_a_dry_run_is_complete(db: TestDb) {
        let env = machine(&db);
        let sql = env.run(&["migrate", "--dry-run"]).expect_code(0).stdout;
        // An index that is made CONCURRENTLY does not go into a batch with others.
        db.execute(&sql.replace("CONCURRENTLY ", ""));
        let by_hand = facts(&db);
        let other = match db.backend() {
            db::Backend::Sqlite => TestDb::sqlite(),
            db::Backend::Postgres => TestDb::postgres(),
        };
        other.migrated();
        assert_eq!(by_hand, facts(&other));
    }

    fn the_flags_exclude_each_other(db: TestDb) {
        let env = machine(&db);
        for flags in [["--status", "--dry-run"], ["--status", "--revert"], ["--dry-run", "--revert"]] {
            let run = env.run(&["migrate", flags[0], flags[1]]).expect_code(2);
            assert!(run.stderr.contains("cannot be used with"), "{run}");
        }
        assert_eq!(objects(&db), [""; 0]);
    }

    fn six_processes_at_once_all_succeed(db: TestDb) {
        let env = machine(&db);
        // Each waits for its line, so that they set off together.
        let mut processes: Vec<_> = (0..6)
            .map(|_| {
                const WAIT: [&str; 3] = ["sh", "-c", "read -r line; exec \"$0\" \"$@\""];
                let mut shell = env.command_under(&WAIT, &["migrate"]);
                shell
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .expect("a shell starts")
            })
            .collect();
        for process in &mut processes {
            let mut stdin = process.stdin.take().expect("a pipe");
            stdin.write_all(b"go\n").expect("the shell reads");
        }
        let mut ran = Vec::new();
        for process in processes {
            let output = process.wait_with_output().expect("the process ends");
            let stderr = String::from_utf8(output.stderr).expect("UTF-8");
            assert!(output.status.success(), "{stderr}");
            let names = stderr.split_once(": ran ").map_or("", |(_, names)| names.trim_end());
            ran.extend(names.split(", ").filter(|name| !name.is_empty()).map(str::to_owned));
        }
        ran.sort();
        let expected: Vec<&str> = all(backend(&db)).iter().map(|m| m.name).collect();
        assert_eq!(ran, expected, "each migration is run by one process");
        env.run(&["migrate", "--status"]).expect_code(0);
    }
}

#[test]
fn without_a_url_the_database_is_made_in_the_data_directory() {
    let env = TestEnv::new();
    insta::assert_snapshot!(env.run(&["migrate", "--status"]).transcript(), @r"
    $ payouts migrate --status
    Migration                      State
    001_add_platform_tables        pending
    005_add_payouts_table          pending
    006_add_payout_ledger          pending
    007_add_payout_queue_index     pending
    008_add_payout_reconciliation  pending
    009_add_payout_hold_releases   pending
    010_add_payout_lookups         pending
    011_add_payout_stripe_events   pending
    012_add_payout_notifications   pending
    013_add_payout_alerts          pending
    --- stderr
    using sqlite:/tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db (DATABASE_URL is not set)
    --- exit 1
    ");
    insta::assert_snapshot!(env.run(&["init"]).transcript(), @r"
    $ payouts init
    Migration                      State
    001_add_platform_tables        applied
    005_add_payouts_table          applied
    006_add_payout_ledger          applied
    007_add_payout_queue_index     applied
    008_add_payout_reconciliation  applied
    009_add_payout_hold_releases   applied
    010_add_payout_lookups         applied
    011_add_payout_stripe_events   applied
    012_add_payout_notifications   applied
    013_add_payout_alerts          applied
    --- stderr
    using sqlite:/tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db (DATABASE_URL is not set)
    sqlite:/tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db: ran 001_add_platform_tables, 005_add_payouts_table, 006_add_payout_ledger, 007_add_payout_queue_index, 008_add_payout_reconciliation, 009_add_payout_hold_releases, 010_add_payout_lookups, 011_add_payout_stripe_events, 012_add_payout_notifications, 013_add_payout_alerts
    --- exit 0
    ");
    assert!(
        env.home_path(".local/share/payouts/payouts.db").is_file(),
        "{:?}",
        fs::read_dir(env.home_path(".local/share"))
            .map(|entries| entries.flatten().collect::<Vec<_>>())
    );
}

// --- back ------------------------------------------------------------------------------------------------------------

on_both! {
    fn the_newest_alone_is_reverted(db: TestDb) {
        let env = machine(&db);
        env.run(&["migrate"]).expect_code(0);
        insta::allow_duplicates! {
            insta::assert_snapshot!(transcript(&env.run(&["migrate", "--revert"]), &db), @r"
            $ payouts migrate --revert
            Migration                      State
            001_add_platform_tables        applied
            005_add_payouts_table          applied
            006_add_payout_ledger          applied
            007_add_payout_queue_index     applied
            008_add_payout_reconciliation  applied
            009_add_payout_hold_releases   applied
            010_add_payout_lookups         applied
            011_add_payout_stripe_events   applied
            012_add_payout_notifications   applied
            013_add_payout_alerts          pending
            --- stderr
            reverted 013_add_payout_alerts
            --- exit 0
            ");
        }
        // The newest is gone already.
        revert_newer_than("005_add_payouts_table", 1, &env, &db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(transcript(&env.run(&["migrate", "--revert"]), &db), @r"
            $ payouts migrate --revert
            Migration                      State
            001_add_platform_tables        applied
            005_add_payouts_table          pending
            006_add_payout_ledger          pending
            007_add_payout_queue_index     pending
            008_add_payout_reconciliation  pending
            009_add_payout_hold_releases   pending
            010_add_payout_lookups         pending
            011_add_payout_stripe_events   pending
            012_add_payout_notifications   pending
            013_add_payout_alerts          pending
            --- stderr
            reverted 005_add_payouts_table
            --- exit 0
            ");
        }
    }

    fn tables_with_rows_are_not_reverted(db: TestDb) {
        let env = machine(&db);
        env.run(&["migrate"]).expect_code(0);
        revert_newer_than("006_add_payout_ledger", 0, &env, &db);
        db.execute("INSERT INTO payout_holds VALUES ('all', '', 'audit', 'ann', '2026-10-01 00:00:00', NULL)");
        let before = objects(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(transcript(&env.run(&["migrate", "--revert"]), &db), @r"
            $ payouts migrate --revert
            --- stderr
            error: failed to revert the newest migration of DATABASE
              1: 006_add_payout_ledger cannot be reverted: the table payout_holds holds rows
            --- exit 4
            ");
        }
        assert_eq!(objects(&db), before);
        db.execute("DELETE FROM payout_holds");
        env.run(&["migrate", "--revert"]).expect_code(0);

        db.execute(
            r#"INSERT INTO users (id, email, "updatedAt") VALUES ('u', 'ann@example.com', '2026-01-01 00:00:00');
            INSERT INTO creators (id, "userId", "stageName", "updatedAt") VALUES ('ann', 'u', 'Ann', '2026-01-01 00:00:00');
            INSERT INTO payouts (id, creator_id, amount_cents, updated_at) VALUES ('p', 'ann', 1, '2026-10-01 00:00:00')"#,
        );
        let before = objects(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(transcript(&env.run(&["migrate", "--revert"]), &db), @r"
            $ payouts migrate --revert
            --- stderr
            error: failed to revert the newest migration of DATABASE
              1: 005_add_payouts_table cannot be reverted: the table payouts holds rows
            --- exit 4
            ");
        }
        db.execute("DELETE FROM payouts");
        assert_eq!(objects(&db), before);
        env.run(&["migrate", "--revert"]).expect_code(0);
        insta::allow_duplicates! {
            insta::assert_snapshot!(transcript(&env.run(&["migrate", "--revert"]), &db), @r"
            $ payouts migrate --revert
            --- stderr
            error: failed to revert the newest migration of DATABASE
              1: 001_add_platform_tables cannot be reverted: the table creators holds rows
            --- exit 4
            ");
        }
    }
}

#[test]
fn a_platforms_tables_are_not_reverted() {
    let db = TestDb::postgres();
    platform::install(&db);
    let env = machine(&db);
    for args in [
        &["migrate"][..],
        &["migrate", "--revert"],
        &["migrate", "--revert"],
        &["migrate", "--revert"],
        &["migrate", "--revert"],
        &["migrate", "--revert"],
    ] {
        env.run(args).expect_code(0);
    }
    insta::assert_snapshot!(transcript(&env.run(&["migrate", "--revert"]), &db), @r"
    $ payouts migrate --revert
    Migration                      State
    001_add_platform_tables        applied
    005_add_payouts_table          applied
    006_add_payout_ledger          applied
    007_add_payout_queue_index     applied
    008_add_payout_reconciliation  pending
    009_add_payout_hold_releases   pending
    010_add_payout_lookups         pending
    011_add_payout_stripe_events   pending
    012_add_payout_notifications   pending
    013_add_payout_alerts          pending
    --- stderr
    reverted 008_add_payout_reconciliation
    --- exit 0
    ");
    assert_eq!(
        db.query_strings("SELECT id FROM payouts"),
        [[Some("payout_of_platform".to_owned())]]
    );
}

// --- databases that are not ready ------------------------------------------------------------------------------------

/// A machine with a key, on which `process` can only fail for the database's sake.
fn machine_with_key(db: &TestDb) -> TestEnv {
    let mut env = machine(db);
    env.set("STRIPE_SECRET_KEY", "sk_test_51SeventySeven");
    env.set("STRIPE_API_BASE", "http://127.0.0.1:9");
    env
}

on_both! {
    fn pending_migrations_stop_a_command(db: TestDb) {
        let env = machine_with_key(&db);
        env.run(&["migrate"]).expect_code(0);
        env.run(&["migrate", "--revert"]).expect_code(0);
        env.run(&["migrate", "--revert"]).expect_code(0);
        insta::allow_duplicates! {
            insta::assert_snapshot!(transcript(&env.run(&["process"]), &db), @r"
            $ payouts process
            --- stderr
            error: the database lacks 2 of this version's migrations: 012_add_payout_notifications, 013_add_payout_alerts
            hint: run `payouts migrate`, after `payouts migrate --dry-run` if you want to see the SQL first
            --- exit 3
            ");
        }
    }

    fn a_newer_schema_stops_every_command(db: TestDb) {
        let env = machine_with_key(&db);
        env.run(&["migrate"]).expect_code(0);
        db.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('999')");
        insta::allow_duplicates! {
            insta::assert_snapshot!(transcript(&env.run(&["process"]), &db), @r"
                $ payouts process
                --- stderr
                error: the database holds migrations this version does not know: 999
                hint: use the version of payouts that migrated it, or a newer one
                --- exit 3
                ");
            insta::assert_snapshot!(transcript(&env.run(&["migrate"]), &db), @r"
            $ payouts migrate
            --- stderr
            error: failed to migrate DATABASE
              1: the database holds migrations this version does not know: 999
            hint: use the version of payouts that migrated it, or a newer one
            --- exit 3
            ");
        }
        for args in [["migrate", "--status"], ["migrate", "--dry-run"], ["migrate", "--revert"]] {
            let run = env.run(&args).expect_code(3);
            assert!(run.stdout.is_empty() && run.stderr.contains("does not know: 999"), "{run}");
        }
    }
}

#[test]
fn a_database_that_is_missing_stops_a_command() {
    let db = TestDb::sqlite();
    let env = machine_with_key(&db);
    insta::assert_snapshot!(transcript(&env.run(&["process"]), &db), @r"
        $ payouts process
        --- stderr
        error: there is no database at FILE
        hint: run `payouts init` to create it, or set DATABASE_URL if it is elsewhere
        --- exit 3
        ");
    insta::assert_snapshot!(transcript(&env.run(&["migrate", "--revert"]), &db), @r"
        $ payouts migrate --revert
        --- stderr
        error: there is no database at FILE
        hint: run `payouts init` to create it, or set DATABASE_URL if it is elsewhere
        --- exit 3
        ");
    assert!(!db.file().exists());
}

#[test]
fn an_empty_postgresql_database_stops_a_command() {
    let db = TestDb::postgres();
    insta::assert_snapshot!(transcript(&machine_with_key(&db).run(&["process"]), &db), @r"
    $ payouts process
    --- stderr
    error: the database lacks 10 of this version's migrations: 001_add_platform_tables, 005_add_payouts_table, 006_add_payout_ledger, 007_add_payout_queue_index, 008_add_payout_reconciliation, 009_add_payout_hold_releases, 010_add_payout_lookups, 011_add_payout_stripe_events, 012_add_payout_notifications, 013_add_payout_alerts
    hint: run `payouts migrate`, after `payouts migrate --dry-run` if you want to see the SQL first
    --- exit 3
    ");
    assert_eq!(objects(&db), [""; 0]);
}

#[test]
fn a_server_that_does_not_answer_is_named_without_its_password() {
    let mut env = TestEnv::new();
    env.set(
        "DATABASE_URL",
        "postgres://ann:s3cret@127.0.0.1:1/pay?connect_timeout=5",
    );
    let run = env.run(&["migrate"]);
    assert!(!run.to_string().contains("s3cret"), "{run}");
    insta::assert_snapshot!(run.transcript(), @r#"
        $ payouts migrate
        --- stderr
        error: no connection to the database postgres://ann:…@127.0.0.1:1/pay: connection refused
        hint: check DATABASE_URL and that the server accepts connections
        --- exit 3
        "#);
}

#[test]
fn an_unknown_scheme_is_refused() {
    let mut env = TestEnv::new();
    insta::assert_snapshot!(env.run(&["migrate", "--database-url", "mysql://ann:s3cret@db/pay"]).transcript(), @r#"
        $ payouts migrate --database-url mysql://ann:s3cret@db/pay
        --- stderr
        error: DATABASE_URL (from flag) is (not shown, as it may hold a password): unknown database URL scheme "mysql"; use postgres://…, postgresql://… or sqlite:PATH
        --- exit 3
        "#);
    env.set("DATABASE_URL", "payouts.db");
    insta::assert_snapshot!(env.run(&["migrate"]).transcript(), @r#"
        $ payouts migrate
        --- stderr
        error: DATABASE_URL (from environment) is (not shown, as it may hold a password): it is no database URL; use postgres://…, postgresql://… or sqlite:PATH
        --- exit 3
        "#);
    env.set("DATABASE_URL", "sqlite::memory:");
    insta::assert_snapshot!(env.run(&["migrate"]).transcript(), @r"
        $ payouts migrate
        --- stderr
        error: DATABASE_URL (from environment) is (not shown, as it may hold a password): sqlite: needs the path of a file, such as sqlite:payouts.db
        --- exit 3
        ");
    assert_eq!(fs::read_dir(env.path("")).unwrap().count(), 0);
}

#[test]
fn behind_a_transaction_pooler_nothing_is_migrated() {
    let db = TestDb::postgres();
    let mut env = machine(&db);
    env.set("PAYOUTS_PG_POOLER", "transaction");
    insta::assert_snapshot!(transcript(&env.run(&["migrate"]), &db), @r"
    $ payouts migrate
    --- stderr
    error: failed to migrate DATABASE
      1: migrations need a session of their own, which a transaction pooler does not give: connect to the server itself
    --- exit 4
    ");
    env.run(&["migrate", "--revert"]).expect_code(4);
    env.run(&["migrate", "--status"]).expect_code(1);
    assert_eq!(objects(&db), [""; 0]);
}

/// The pooler sits in front of PostgreSQL; a setting for all machines must not stop SQLite.
#[test]
fn a_pooler_is_nothing_to_sqlite() {
    let db = TestDb::sqlite();
    let mut env = machine(&db);
    env.set("PAYOUTS_PG_POOLER", "transaction");
    env.run(&["migrate"]).expect_code(0);
}

// --- the file of an embedded database --------------------------------------------------------------------------------

/// Runs the rest of the command line with every permission for new files allowed.
const NO_UMASK: [&str; 3] = ["sh", "-c", r#"umask 0; exec "$0" "$@""#];

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    metadata.permissions().mode() & 0o7777
}

#[test]
fn only_its_owner_reads_a_new_database_and_its_log() {
    let db = TestDb::sqlite();
    let folder = db.file().with_file_name("deeper").join("down");
    let file = folder.join("payouts.db");
    let url = format!("sqlite:{}", file.display());
    let env = TestEnv::new();
    env.run_under(&NO_UMASK, &["migrate", "--database-url", &url])
        .expect_code(0);
    assert_eq!(mode(&file), 0o600);
    assert_eq!(
        (mode(&folder), mode(folder.parent().unwrap())),
        (0o700, 0o700)
    );

    // The log is there while somebody is connected.
    let mut store = open(&url, Clock::system());
    store.watermark_advance(store.clock().now()).unwrap();
    for log in ["payouts.db-wal", "payouts.db-shm"] {
        assert_eq!(mode(&folder.join(log)), 0o600, "{log}");
    }
}

#[test]
fn a_database_that_was_opened_to_others_stays_as_its_owner_left_it() {
    let db = TestDb::sqlite();
    let env = machine(&db);
    env.run(&["migrate"]).expect_code(0);
    fs::set_permissions(db.file(), fs::Permissions::from_mode(0o640)).unwrap();
    env.run(&["migrate"]).expect_code(0);
    assert_eq!(mode(&db.file()), 0o640);
}

/// Root without the right to pass over permissions, or whoever runs the tests.
fn bound_by_permissions() -> Vec<&'static str> {
    if rustix::process::geteuid().is_root() {
        vec![
            "setpriv",
            "--bounding-set",
            "-dac_override,-dac_read_search",
        ]
    } else {
        vec!["env"]
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_said() {
    let db = TestDb::sqlite();
    let folder = db.file().with_file_name("readonly");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    let mut env = TestEnv::new();
    env.set(
        "DATABASE_URL",
        &format!("sqlite:{}/payouts.db", folder.display()),
    );
    let run = env.run_under(&bound_by_permissions(), &["migrate"]);
    insta::assert_snapshot!(run.transcript(), @r"
        $ payouts migrate
        --- stderr
        error: no connection to the database sqlite:/tmp/payouts-xxxxxxxx/readonly/payouts.db: Permission denied (os error 13)
        hint: check DATABASE_URL: the file must be a database, and its folder yours to write
        --- exit 3
        ");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_database_in_a_folder_that_cannot_be_written_is_said() {
    let db = TestDb::sqlite();
    let env = machine(&db);
    env.run(&["migrate"]).expect_code(0);
    let folder = db.file().parent().unwrap().to_owned();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    let run = env.run_under(&bound_by_permissions(), &["migrate"]);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    insta::assert_snapshot!(run.transcript(), @r"
        $ payouts migrate
        --- stderr
        error: the database cannot be written
          1: attempt to write a readonly database
        hint: check free space and the permissions of the database file
        --- exit 3
        ");
}

#[test]
fn a_path_that_is_a_folder_is_said() {
    let db = TestDb::sqlite();
    fs::create_dir(db.file()).unwrap();
    insta::assert_snapshot!(machine(&db).run(&["migrate"]).transcript(), @r"
        $ payouts migrate
        --- stderr
        error: no connection to the database sqlite:/tmp/payouts-xxxxxxxx/payouts.db: unable to open database file
        hint: check DATABASE_URL: the file must be a database, and its folder yours to write
        --- exit 3
        ");
}

#[test]
fn a_file_that_is_no_database_is_said_and_left_alone() {
    let db = TestDb::sqlite();
    let text = "creator,amount\nann,10.00\n".repeat(100);
    fs::write(db.file(), &text).unwrap();
    let env = machine(&db);
    insta::assert_snapshot!(env.run(&["migrate"]).transcript(), @r"
        $ payouts migrate
        --- stderr
        error: no connection to the database sqlite:/tmp/payouts-xxxxxxxx/payouts.db: file is not a database
        hint: check DATABASE_URL: the file must be a database, and its folder yours to write
        --- exit 3
        ");
    insta::assert_snapshot!(env.run(&["migrate", "--status"]).transcript(), @r"
        $ payouts migrate --status
        --- stderr
        error: no connection to the database sqlite:/tmp/payouts-xxxxxxxx/payouts.db: file is not a database
        hint: check DATABASE_URL: the file must be a database, and its folder yours to write
        --- exit 3
        ");
    assert_eq!(fs::read_to_string(db.file()).unwrap(), text);
}

#[test]
fn a_full_disk_is_said() {
    let db = TestDb::sqlite();
    let env = machine(&db);
    env.run(&["migrate"]).expect_code(0);
    env.run(&["migrate", "--revert"]).expect_code(0);
    // No file may grow beyond what the limit allows: to the database, a disk without space.
    let limited = ["sh", "-c", r#"trap "" XFSZ; ulimit -f 0; exec "$0" "$@""#];
    let run = env.run_under(&limited, &["migrate"]);
    insta::assert_snapshot!(run.transcript(), @r"
    $ payouts migrate
    --- stderr
    error: the database cannot be written
      1: disk I/O error
    hint: check free space and the permissions of the database file
    --- exit 3
    ");
    env.run(&["migrate"]).expect_code(0);
}
