//! PostgreSQL behind `pgbouncer` in transaction mode, where no session belongs to anybody: several runs
//! at once pay without an error, the lease alone says that a killed run is over, and a pooler that
//! nobody announced is noticed before anything is sent.
//!
//! 300 payouts in every run of the tests; `PAYOUTS_TEST_POOLED=10000` for as many.

use std::process::{Output, Stdio};
use std::time::Duration;

use payouts::sandbox::Pace;

use crate::common::db::TestDb;
use crate::common::outside_number;
use crate::common::pooler::Pooler;
use crate::common::shop::Shop;

const PAYOUTS: u64 = 300;
/// Runs at once, so that the sessions they share change hands.
const RUNS: usize = 3;
const ANNOUNCED: &str = "&pgbouncer=true";
const LEASE_OVER: Duration = Duration::from_secs(121);

#[test]
fn several_runs_pay_through_a_pooler_without_an_error() {
    let payouts = outside_number("PAYOUTS_TEST_POOLED").unwrap_or(PAYOUTS);
    let payouts = usize::try_from(payouts).expect("so many fit");
    let mut shop = Shop::in_real_time(TestDb::postgres());
    let pooler = Pooler::before(&shop.db);
    shop.env.set("DATABASE_URL", &pooler.url(ANNOUNCED));
    shop.payouts(payouts);
    shop.stripe.set_pace(Pace {
        latency_ms: 1,
        latency_jitter_ms: 4,
        ..Pace::default()
    });
    let runs: Vec<_> = (0..RUNS)
        .map(|_| {
            let mut process = shop.env.command(&["process"]);
            process.stdout(Stdio::piped()).stderr(Stdio::piped());
            process.spawn().expect("it starts")
        })
        .collect();
    for run in runs {
        let Output { status, stderr, .. } = run.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&stderr);
        assert_eq!(status.code(), Some(0), "{said}{}", pooler.log());
        for word in ["error", "warning", "unresolved", "stopped"] {
            assert!(!said.contains(word), "{said}");
        }
    }
    shop.assert_paid_exactly_once();
    let unpaid = shop.one("SELECT COUNT(*) FROM payouts WHERE status <> 'COMPLETED'");
    assert_eq!((unpaid.as_str(), shop.transfers().len()), ("0", payouts));
    assert!(!pooler.log().contains("ERROR"), "{}", pooler.log());
}

// Its sessions live on without it: nothing but the lease tells that it is gone.
#[test]
fn what_a_killed_run_held_is_taken_over_by_its_lease() {
    let mut shop = Shop::open(TestDb::postgres());
    let pooler = Pooler::before(&shop.db);
    shop.env.set("DATABASE_URL", &pooler.url(ANNOUNCED));
    shop.payouts(3);
    shop.kill_while_sending();
    shop.pass(Duration::from_secs(10));
    let early = shop.process(&[]).expect_code(0);
    assert!(early.stderr.contains("held by run"), "{early}");
    assert_eq!(shop.status("cp0"), "PROCESSING");
    shop.pass(LEASE_OVER);
    shop.process(&[]).expect_code(0);
    shop.assert_paid_exactly_once();
    assert_eq!(
        (shop.status("cp0"), shop.transfers().len()),
        ("COMPLETED".into(), 3)
    );
}

// Sessions that the pooler has at hand look like ours: only their beginning tells.
#[test]
fn a_pooler_that_nobody_announced_is_refused_before_anything_is_written() {
    let mut shop = Shop::open(TestDb::postgres());
    shop.payouts(1);
    for lets_options_pass in [false, true] {
        let pooler = Pooler::that(&shop.db, lets_options_pass);
        shop.env.set("DATABASE_URL", &pooler.url(""));
        for command in ["process", "list", "migrate"] {
            let run = shop.env.run(&[command]).expect_code(3);
            assert!(
                run.stderr
                    .contains("a connection pooler sits before PostgreSQL"),
                "{run}"
            );
            assert!(
                run.stderr.contains("PAYOUTS_PG_POOLER=transaction"),
                "{run}"
            );
        }
        shop.env.set("DATABASE_URL", &pooler.url(ANNOUNCED));
        let run = shop.env.run(&["process", "--dry-run"]).expect_code(0);
        assert!(run.stdout.contains("1 payout"), "{run}");
        let refused = shop.env.run(&["migrate"]).expect_code(4);
        assert!(
            refused.stderr.contains("connect to the server itself"),
            "{refused}"
        );
    }
    assert_eq!(
        (shop.status("cp0"), shop.transfers().len()),
        ("PENDING".into(), 0)
    );
    assert_eq!(shop.one("SELECT COUNT(*) FROM payout_runs"), "0");
}
