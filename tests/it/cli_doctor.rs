//! `payouts doctor`: what it looks at, and what it says when something is missing.

use std::time::Duration;

use serde_json::Value;

use crate::common::db::{Backend, TestDb, on_both};
use crate::common::env::TestEnv;
use crate::common::seed::{self, AttemptRow, PayoutRow};
use crate::common::shop::Shop;

/// The checks by name: `ok`, `attention` or `failed`.
fn states(env: &TestEnv, code: i32) -> Vec<(String, String)> {
    let run = env.run(&["doctor", "-o", "json"]).expect_code(code);
    let answer: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let checks = answer["checks"].as_array().expect("a list");
    checks
        .iter()
        .map(|check| (text(&check["check"]), text(&check["state"])))
        .collect()
}

fn state<'a>(states: &'a [(String, String)], check: &str) -> &'a str {
    let found = states.iter().find(|(name, _)| name == check);
    found.map_or("(missing)", |(_, state)| state)
}

/// One check of that name: its state, what was found, and the hint.
fn check(env: &TestEnv, name: &str, code: i32) -> (String, String, String) {
    let run = env.run(&["doctor", "-o", "json"]).expect_code(code);
    let answer: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let checks = answer["checks"].as_array().expect("a list");
    let found = checks.iter().find(|check| check["check"] == name);
    let found = found.unwrap_or_else(|| panic!("no {name}: {run}"));
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("state"), text("found"), text("hint"))
}

/// Takes a part of the schema away, finds it named, and makes it again by the hint.
#[track_caller]
fn missed_and_made_again(shop: &Shop, sql: &str, (kind, name): (&str, &str), code: i32) {
    shop.db.execute(sql);
    let (_, found, hint) = check(&shop.env, kind, code);
    assert!(found.contains(name), "{sql}: {found}");
    let remedy = hint.strip_prefix("make it again: ");
    let remedy = remedy.unwrap_or_else(|| panic!("{sql}: {hint}"));
    // One statement after the other: an index made CONCURRENTLY shares no transaction.
    let first = remedy
        .split_once("; ")
        .filter(|(drop, _)| drop.starts_with("DROP "));
    for statement in first.map_or(vec![remedy], |(drop, make)| vec![drop, make]) {
        shop.db.execute(statement);
    }
    assert_eq!(check(&shop.env, "catalog", 0).0, "ok", "{sql}");
}

on_both! {
    fn a_machine_that_can_pay(db: TestDb) {
        let shop = Shop::open(db);
        for (check, state) in states(&shop.env, 0) {
            assert_eq!(state, "ok", "{check}");
        }
    }

    fn what_a_person_must_look_at(db: TestDb) {
        let mut shop = Shop::open(db);
        seed::hold(&shop.db, "all", "");
        shop.creator("ann");
        seed::run(&shop.db, "run1", None);
        PayoutRow { status: "PROCESSING", ..PayoutRow::new("p1", "cr_ann") }.insert(&shop.db);
        AttemptRow { payout: "p1", number: 1, run: "run1", outcome: "unknown", ..AttemptRow::default() }
            .insert(&shop.db);
        shop.stripe.advance(45).expect("the clock moves");
        let found = states(&shop.env, 1);
        for check in ["holds", "unresolved", "clock"] {
            assert_eq!(state(&found, check), "attention", "{check}");
        }
        shop.env.set("STRIPE_SECRET_KEY", "sk_test_of_somebody_else");
        shop.db.execute("INSERT INTO payout_settings (key, value, updated_at)
            VALUES ('stripe_account', 'acct_first', '2026-10-01 00:00:00'), ('stripe_mode', 'test', '2026-10-01 00:00:00')");
        assert_eq!(state(&states(&shop.env, 3), "stripe"), "failed");
    }

    fn a_part_of_the_schema_that_is_gone_is_named_with_how_to_make_it_again(db: TestDb) {
        let shop = Shop::open(db);
        let index = |name: &str| format!("DROP INDEX {name}");
        missed_and_made_again(&shop, &index("payout_queue_idx"), ("index", "payout_queue_idx on payouts (status, created_at, id)"), 1);
        missed_and_made_again(&shop, &index("payouts_creator_id_status_idx"), ("index", "payouts_creator_id_status_idx"), 1);
        missed_and_made_again(&shop, &index("payout_attempts_open_key"), ("unique key", "payout_attempts_open_key"), 3);
        // Of the same name, and it forbids nothing.
        let lax = "DROP INDEX payout_attempts_open_key;
            CREATE INDEX payout_attempts_open_key ON payout_attempts (payout_id) WHERE outcome IN ('sending', 'unknown', 'paid')";
        missed_and_made_again(&shop, lax, ("unique key", "payout_attempts_open_key"), 3);
        let trigger = match shop.db.backend() {
            Backend::Sqlite => ("DROP TRIGGER payout_history_no_delete", "payout_history_no_delete"),
            Backend::Postgres => ("DROP TRIGGER payout_history_no_truncate ON payout_history", "payout_history_no_truncate"),
        };
        missed_and_made_again(&shop, trigger.0, ("trigger", trigger.1), 1);
        // It is there, and lets everything pass.
        match shop.db.backend() {
            Backend::Sqlite => missed_and_made_again(
                &shop,
                "DROP TRIGGER payout_history_no_update;
                 CREATE TRIGGER payout_history_no_update BEFORE UPDATE ON payout_history BEGIN SELECT 1; END;",
                ("trigger", "payout_history_no_update"),
                1,
            ),
            Backend::Postgres => missed_and_made_again(
                &shop,
                "ALTER TABLE payout_history DISABLE TRIGGER payout_history_no_change",
                ("trigger", "payout_history_no_change"),
                1,
            ),
        }
    }

    fn a_column_that_is_gone_stops_every_run(db: TestDb) {
        let shop = Shop::open(db);
        shop.db.execute("ALTER TABLE payout_attempts RENAME COLUMN error_type TO kind_of_error");
        let (_, found, hint) = check(&shop.env, "column", 3);
        assert!(found.starts_with("column payout_attempts.error_type TEXT is missing"), "{found}");
        assert!(hint.contains("backup"), "{hint}");
    }

    fn what_is_left_to_a_person_is_counted(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(4);
        shop.creator("ann");
        PayoutRow { status: "FAILED", retries: 5, cents: 700, ..PayoutRow::new("f1", "cr_ann") }.insert(&shop.db);
        PayoutRow { status: "FAILED", retries: 4, ..PayoutRow::new("f2", "cr_ann") }.insert(&shop.db);
        // What was cancelled needs nobody any more.
        PayoutRow { status: "FAILED", retries: 6, ..PayoutRow::new("f3", "cr_ann") }.insert(&shop.db);
        seed::history(&shop.db, "f3", 1, "cancelled", Some("FAILED"), "FAILED", None);
        seed::hold(&shop.db, "creator", "cr_c1");
        seed::hold(&shop.db, "payout", "cp2");
        seed::hold(&shop.db, "payout", "cp3");
        let (state, found, hint) = check(&shop.env, "failed", 1);
        assert_eq!((state.as_str(), found.as_str()), ("attention", "1 have failed 5 times or more, 7.00 USD"));
        assert!(hint.contains("--force"), "{hint}");
        let (state, found, _) = check(&shop.env, "holds", 1);
        assert_eq!(
            (state.as_str(), found.as_str()),
            ("ok", "1 on creators (1 pending, 10.00 USD); 2 on payouts (2 pending, 20.00 USD)")
        );
        shop.db.execute("DELETE FROM payouts WHERE id IN ('f1', 'f2', 'f3')");
        shop.kill_while_sending();
        shop.pass(Duration::from_secs(3601));
        let (state, found, _) = check(&shop.env, "stuck", 1);
        assert_eq!(state, "attention");
        assert!(found.contains("PROCESSING for more than 1h") && found.contains("left by runs that are over, 10.00 USD"), "{found}");
        // The same hour as `check` has.
        shop.env.set("PAYOUTS_CHECK_STUCK_AFTER", "2h");
        let (_, found, _) = check(&shop.env, "stuck", 1);
        assert!(!found.contains("PROCESSING"), "{found}");
        let (state, found, hint) = check(&shop.env, "dead runs", 1);
        let dead = shop.one("SELECT id FROM payout_runs WHERE command = 'process'");
        assert_eq!((state.as_str(), found.contains(&dead)), ("attention", true), "{found}");
        assert!(hint.contains(&format!("payouts runs show {dead}")), "{hint}");
        // The next run takes over what it left.
        shop.process(&[]).expect_code(0);
        for name in ["stuck", "dead runs", "last run", "failed", "unresolved"] {
            let (state, found, _) = check(&shop.env, name, 0);
            assert_eq!(state, "ok", "{name}: {found}");
        }
        let (_, found, _) = check(&shop.env, "dead runs", 0);
        assert_eq!(found, "1, each followed by a run of the same command");
    }

    fn a_last_run_that_could_not_run_is_told(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.pass(Duration::from_secs(7200));
        let (state, found, _) = check(&shop.env, "last run", 0);
        assert_eq!((state.as_str(), found.as_str()), ("ok", "process, 2 hours ago, ended with 0: 1 paid, 10.00 USD; 0 found paid, 0 failed, 0 given back, 0 unresolved"));
        shop.env.set("STRIPE_SECRET_KEY", "sk_test_expired");
        shop.process(&[]).expect_code(3);
        shop.env.set("STRIPE_SECRET_KEY", "sk_test_shop");
        let (state, found, hint) = check(&shop.env, "last run", 1);
        assert_eq!(state, "attention", "{found}");
        assert!(found.contains("ended with 3") && hint.contains("payouts runs show"), "{found} {hint}");
    }

    fn a_right_that_a_restricted_key_lacks_is_named(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.env.set("STRIPE_SECRET_KEY", "rk_test_shop");
        let (_, found, _) = check(&shop.env, "key", 0);
        assert!(found.starts_with("test mode, restricted"), "{found}");
        for (resource, name, state, code, right) in [
            ("events", "events", "attention", 1, "Events: Read"),
            ("balance", "balance", "attention", 1, "Balance: Read"),
            ("transfers", "transfers", "failed", 3, "Transfers: Write"),
            ("account", "stripe", "failed", 3, "read the account"),
        ] {
            shop.env.set("STRIPE_SECRET_KEY", &format!("rk_test_without_{resource}"));
            let (found, said, hint) = check(&shop.env, name, code);
            assert_eq!(found, state, "{resource}: {said}");
            assert!(hint.contains(right), "{resource}: {hint}");
        }
    }

    fn without_stripe_it_says_so_and_all_the_rest(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.env.set("STRIPE_API_BASE", "http://127.0.0.1:1");
        let found = states(&shop.env, 3);
        assert_eq!(state(&found, "stripe"), "failed");
        for name in ["database", "schema", "catalog", "holds", "stuck", "dead runs"] {
            assert_eq!(state(&found, name), "ok", "{name}");
        }
    }

    fn pending_migrations(db: TestDb) {
        let mut env = TestEnv::new();
        env.use_database(&db);
        if db.backend() == Backend::Sqlite {
            std::fs::write(db.file(), "").expect("an empty database");
        }
        let found = states(&env, 3);
        assert_eq!(state(&found, "schema"), "failed");
        assert_eq!(state(&found, "key"), "failed");
    }
}

#[test]
fn a_new_machine_is_told_everything_at_once() {
    let mut env = TestEnv::new();
    env.set("PAYOUTS_CONCURRENCY", "8");
    insta::assert_snapshot!(env.run(&["doctor"]).transcript(), @r"
    $ payouts doctor
    Setting                           Value                                                              From
    DATABASE_URL                      sqlite:/tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db  default
    DATABASE_URL_FILE                 none                                                               default
    STRIPE_SECRET_KEY                 none                                                               default
    STRIPE_SECRET_KEY_FILE            none                                                               default
    STRIPE_API_BASE                   https://api.stripe.com                                             default
    STRIPE_WEBHOOK_SECRET             none                                                               default
    STRIPE_WEBHOOK_SECRET_FILE        none                                                               default
    SMTP_URL                          none                                                               default
    SMTP_URL_FILE                     none                                                               default
    PAYOUTS_MAIL_FROM                 none                                                               default
    PAYOUTS_MAIL_TO                   none                                                               default
    PAYOUTS_MAIL_TEMPLATES            built in                                                           default
    PAYOUTS_LIVE                      off                                                                default
    PAYOUTS_PG_POOLER                 none                                                               default
    PAYOUTS_CURRENCY                  usd                                                                default
    PAYOUTS_MIN_AMOUNT_CENTS          100                                                                default
    PAYOUTS_MAX_AMOUNT_CENTS          1000000                                                            default
    PAYOUTS_APPROVAL_THRESHOLD_CENTS  off                                                                default
    PAYOUTS_MAX_RUN_TOTAL_CENTS       off                                                                default
    PAYOUTS_MAX_DAY_TOTAL_CENTS       off                                                                default
    PAYOUTS_WARNINGS                  tell                                                               default
    PAYOUTS_ACTOR_FROM_ROLE           off                                                                default
    PAYOUTS_MAX_RETRIES               5                                                                  default
    PAYOUTS_RETRY_DELAYS              5m,10m,30m,1h,2h                                                   default
    PAYOUTS_CHECK_FAILURE_PERCENT     5                                                                  default
    PAYOUTS_CHECK_FAILURE_WITHIN      24h                                                                default
    PAYOUTS_CHECK_FAILURE_SAMPLE      20                                                                 default
    PAYOUTS_CHECK_STUCK_AFTER         1h                                                                 default
    PAYOUTS_CHECK_FAILED_ATTEMPTS     3                                                                  default
    PAYOUTS_CHECK_FAILED_AFTER        24h                                                                default
    PAYOUTS_CHECK_UNUSUAL_TIMES       6                                                                  default
    PAYOUTS_CHECK_FORECAST            7d                                                                 default
    PAYOUTS_CHECK_PROCESS_WITHIN      26h                                                                default
    PAYOUTS_CHECK_RECONCILE_WITHIN    50h                                                                default
    PAYOUTS_CONCURRENCY               8                                                                  environment
    PAYOUTS_RATE                      20 live, 10 test, unlimited on a loopback base                     default
    PAYOUTS_LEASE                     2m                                                                 default
    PAYOUTS_ACTOR                     tester                                                             environment
    PAYOUTS_LOG_FORMAT                text                                                               default

    Check     State   Found
    database  failed  there is no database at /tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db
    key       failed  there is no Stripe key

    database: run `payouts init` to create it, or set DATABASE_URL if it is elsewhere
    key: set STRIPE_SECRET_KEY or STRIPE_SECRET_KEY_FILE; to try it out, run `payouts sandbox` and use what it prints
    --- stderr
    using sqlite:/tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db (DATABASE_URL is not set)
    --- exit 3
    ");
}

#[test]
fn a_file_that_others_may_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let shop = Shop::open(TestDb::sqlite());
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(shop.db.file(), open).expect("the mode is set");
    assert_eq!(state(&states(&shop.env, 1), "database"), "attention");
}

#[test]
fn a_secret_that_others_may_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let mut shop = Shop::open(TestDb::sqlite());
    shop.env.write("key", "sk_test_shop");
    let path = shop.env.path("key");
    shop.env.unset("STRIPE_SECRET_KEY");
    shop.env
        .set("STRIPE_SECRET_KEY_FILE", path.to_str().expect("UTF-8"));
    for (mode, code, expected) in [(0o644, 1, "attention"), (0o600, 0, "(missing)")] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, mode).expect("the mode is set");
        let found = states(&shop.env, code);
        assert_eq!(state(&found, "secret file"), expected);
    }
}

#[test]
fn an_index_whose_building_was_cut_off_is_told_and_made_again() {
    let shop = Shop::open(TestDb::postgres());
    let cut_off =
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'payout_queue_idx'::regclass";
    missed_and_made_again(
        &shop,
        cut_off,
        (
            "index",
            "payout_queue_idx on payouts (status, created_at, id) is invalid",
        ),
        1,
    );
    let check = "ALTER TABLE payout_holds DROP CONSTRAINT payout_holds_kind_check";
    missed_and_made_again(&shop, check, ("constraint", "payout_holds_kind_check"), 1);
    let disarmed = r#"CREATE OR REPLACE FUNCTION "payout_history_is_append_only"() RETURNS trigger
        LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"#;
    shop.db.execute(disarmed);
    let found = states(&shop.env, 1);
    assert_eq!(state(&found, "trigger"), "attention");
}

#[test]
fn all_that_is_looked_at() {
    let shop = Shop::open(TestDb::sqlite());
    let checks: Vec<String> = states(&shop.env, 0)
        .into_iter()
        .map(|(check, state)| format!("{check} {state}"))
        .collect();
    insta::assert_snapshot!(checks.join("\n"), @r"
    database ok
    disk ok
    schema ok
    catalog ok
    tables ok
    stamp ok
    holds ok
    unresolved ok
    stuck ok
    failed ok
    dead runs ok
    last run ok
    key ok
    rate ok
    concurrency ok
    stripe ok
    clock ok
    api version ok
    balance ok
    transfers ok
    events ok
    ");
    let run = shop.env.run(&["doctor"]).expect_code(0);
    assert!(
        run.stdout.contains(
            "\nkey          ok     test mode, unrestricted: it may do everything; \
             one that may only do what a run needs is safer\n"
        ),
        "{run}"
    );
}

#[test]
fn no_secret_is_shown() {
    let mut env = TestEnv::new();
    env.set("STRIPE_SECRET_KEY", "sk_test_s3cret");
    env.set("STRIPE_API_BASE", "http://127.0.0.1:1");
    env.set("DATABASE_URL", "postgres://ann:s3cret@127.0.0.1:1/pay");
    let run = env.run(&["doctor"]).expect_code(3);
    assert!(!format!("{run}").contains("s3cret"), "{run}");
    assert!(
        run.stdout.contains("postgres://ann:…@127.0.0.1:1/pay"),
        "{run}"
    );
}
