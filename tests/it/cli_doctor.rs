//! `payouts doctor`: what it looks at, and what it says when something is missing.

use crate::common::db::{Backend, TestDb, on_both};
use crate::common::env::TestEnv;
use crate::common::seed::{self, AttemptRow, PayoutRow};
use crate::common::shop::Shop;

/// The checks by name: `ok`, `attention` or `failed`.
fn states(env: &TestEnv, code: i32) -> Vec<(String, String)> {
    let run = env.run(&["doctor", "-o", "json"]).expect_code(code);
    let answer: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
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
    Setting                           Value                                                         From
    DATABASE_URL                      sqlite:/tmp/payouts-xxxxxxxx/home/.local/share/payouts/payo…  default
    DATABASE_URL_FILE                 none                                                          default
    STRIPE_SECRET_KEY                 none                                                          default
    STRIPE_SECRET_KEY_FILE            none                                                          default
    STRIPE_API_BASE                   https://api.stripe.com                                        default
    STRIPE_WEBHOOK_SECRET             none                                                          default
    STRIPE_WEBHOOK_SECRET_FILE        none                                                          default
    PAYOUTS_LIVE                      off                                                           default
    PAYOUTS_PG_POOLER                 none                                                          default
    PAYOUTS_CURRENCY                  usd                                                           default
    PAYOUTS_MIN_AMOUNT_CENTS          100                                                           default
    PAYOUTS_MAX_AMOUNT_CENTS          1000000                                                       default
    PAYOUTS_APPROVAL_THRESHOLD_CENTS  off                                                           default
    PAYOUTS_MAX_RUN_TOTAL_CENTS       off                                                           default
    PAYOUTS_MAX_DAY_TOTAL_CENTS       off                                                           default
    PAYOUTS_WARNINGS                  tell                                                          default
    PAYOUTS_ACTOR_FROM_ROLE           off                                                           default
    PAYOUTS_MAX_RETRIES               5                                                             default
    PAYOUTS_RETRY_DELAYS              5m,10m,30m,1h,2h                                              default
    PAYOUTS_CHECK_FAILURE_PERCENT     5                                                             default
    PAYOUTS_CHECK_FAILURE_WITHIN      24h                                                           default
    PAYOUTS_CHECK_FAILURE_SAMPLE      20                                                            default
    PAYOUTS_CHECK_STUCK_AFTER         1h                                                            default
    PAYOUTS_CHECK_FAILED_ATTEMPTS     3                                                             default
    PAYOUTS_CHECK_FAILED_AFTER        24h                                                           default
    PAYOUTS_CHECK_UNUSUAL_TIMES       6                                                             default
    PAYOUTS_CHECK_FORECAST            7d                                                            default
    PAYOUTS_CHECK_PROCESS_WITHIN      26h                                                           default
    PAYOUTS_CHECK_RECONCILE_WITHIN    50h                                                           default
    PAYOUTS_CONCURRENCY               8                                                             environment
    PAYOUTS_RATE                      20 live, 10 test, unlimited on a loopback base                default
    PAYOUTS_LEASE                     2m                                                            default
    PAYOUTS_ACTOR                     tester                                                        environment
    PAYOUTS_LOG_FORMAT                text                                                          default

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
