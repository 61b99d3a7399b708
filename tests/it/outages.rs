//! PostgreSQL away while the program pays: its sessions terminated, the server crashed and started
//! again, and gone for longer than the program is patient. A run goes on, or ends as its exit code says;
//! the runs after it end with every payout paid exactly once.

#![expect(clippy::print_stdout, reason = "how the runs ended is worth knowing")]

use std::collections::VecDeque;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use payouts::sandbox::{Fault, Pace};

use crate::common::db::TestDb;
use crate::common::outside_number;
use crate::common::shop::Shop;

const PAYOUTS: usize = 120;
/// Transfers between two outages.
const BETWEEN: u64 = 20;
/// Runs that it takes to pay all of them, at most.
const RUNS_MAX: usize = 12;
/// Runs whose sessions end at random moments, …
const RANDOM_RUNS: usize = 8;
/// … so many milliseconds apart at most: some runs come to their end.
const GAP_MILLIS_MAX: u64 = 800;

#[derive(Clone, Copy, Debug)]
enum Outage {
    /// Every session ends; the next one is taken at once.
    SessionsEnd,
    /// The server crashes and comes back.
    Restart,
}
use Outage::{Restart, SessionsEnd};

impl Outage {
    fn happens_to(self, shop: &mut Shop) {
        let server = shop.db.server();
        match self {
            SessionsEnd => server.terminate_sessions(),
            Restart => {
                server.end();
                server.begin();
            }
        }
    }
}

/// A shop on a server of its own, whose Stripe takes its time.
fn slow_shop() -> Shop {
    let mut shop = Shop::in_real_time(TestDb::server_of_its_own());
    shop.payouts(PAYOUTS);
    shop.env.set("PAYOUTS_CONCURRENCY", "4");
    shop.stripe.set_pace(Pace {
        latency_ms: 20,
        ..Pace::default()
    });
    shop
}

fn assert_all_paid(shop: &Shop) {
    shop.assert_paid_exactly_once();
    let unpaid = shop.one("SELECT COUNT(*) FROM payouts WHERE status <> 'COMPLETED'");
    assert_eq!((unpaid.as_str(), shop.transfers().len()), ("0", PAYOUTS));
}

#[test]
fn a_run_goes_on_when_its_sessions_are_terminated() {
    let mut shop = slow_shop();
    let code = run_through(&mut shop, &mut VecDeque::from([SessionsEnd; 4]));
    assert_eq!(code, 0);
    assert_all_paid(&shop);
}

// Not only while it sends: when it opens, looks up, claims, records and ends.
#[test]
fn a_run_whose_sessions_end_at_random_moments_loses_and_repeats_no_payment() {
    let seed = outside_number("PAYOUTS_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut shop = slow_shop();
    let mut codes = Vec::new();
    for _ in 0..RANDOM_RUNS {
        let mut due = Instant::now() + Duration::from_millis(random.u64(..GAP_MILLIS_MAX));
        codes.push(run_while(&mut shop, |shop| {
            if Instant::now() >= due {
                SessionsEnd.happens_to(shop);
                due = Instant::now() + Duration::from_millis(random.u64(1..GAP_MILLIS_MAX));
            }
        }));
    }
    println!("runs ended with {codes:?}");
    assert_eq!(run_while(&mut shop, |_| {}), 0);
    assert_all_paid(&shop);
}

#[test]
fn a_server_that_crashes_loses_and_repeats_no_payment() {
    let mut shop = slow_shop();
    let mut outages = VecDeque::from([Restart, SessionsEnd, Restart]);
    let mut codes = Vec::new();
    while codes.last() != Some(&0) || !outages.is_empty() {
        assert!(
            codes.len() < RUNS_MAX,
            "{codes:?}, and to come: {outages:?}"
        );
        codes.push(run_through(&mut shop, &mut outages));
    }
    println!("runs ended with {codes:?}");
    assert_all_paid(&shop);
}

/// A run, and an outage after each so many transfers.
fn run_through(shop: &mut Shop, outages: &mut VecDeque<Outage>) -> i32 {
    let mut due = shop.sends() + BETWEEN;
    run_while(shop, |shop| {
        if shop.sends() >= due
            && let Some(outage) = outages.pop_front()
        {
            outage.happens_to(shop);
            due = shop.sends() + BETWEEN;
        }
    })
}

/// A run, and what goes on meanwhile. Gives its exit code, and sees that it said why.
fn run_while(shop: &mut Shop, mut meanwhile: impl FnMut(&mut Shop)) -> i32 {
    let mut process = shop.env.command(&["process"]);
    process.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = process.spawn().expect("it starts");
    while child.try_wait().expect("it is a child").is_none() {
        meanwhile(shop);
        std::thread::yield_now();
    }
    let Output { status, stderr, .. } = child.wait_with_output().expect("it has ended");
    let (code, said) = (status.code(), String::from_utf8_lossy(&stderr));
    let why = [
        "the database went away",
        "the connection to the database was lost",
        "no connection to the database",
    ];
    match code {
        Some(0) => 0,
        Some(code @ (3 | 5)) if why.iter().any(|words| said.contains(words)) => code,
        other => panic!("it ended with {other:?}: {said}"),
    }
}

// The one that is in flight when the server goes is paid, and nobody can write it down.
#[test]
fn what_a_server_that_stays_away_was_not_told_is_found_by_the_next_run() {
    let mut shop = Shop::open(TestDb::server_of_its_own());
    shop.env.set("PAYOUTS_CONCURRENCY", "1");
    shop.payouts(3);
    shop.fault("c1", Fault::HangAfter, 1);
    let mut process = shop.env.command(&["process"]);
    process.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = process.spawn().expect("it starts");
    assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
    shop.db.server().end();
    shop.stripe.release();
    let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(5), "{said}");
    for words in [
        "unresolved: cp1 10.00 USD: it was paid by tr_",
        "which could not be recorded",
        "stopped: the database went away",
        "hint: the next `payouts process` resolves what is open before it sends anything",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let away = shop.process(&[]).expect_code(3);
    assert!(
        away.stderr.contains("no connection to the database"),
        "{away}"
    );
    assert!(
        away.stderr.contains("that the server accepts connections"),
        "{away}"
    );

    shop.db.server().begin();
    shop.process(&[]).expect_code(0);
    shop.assert_paid_exactly_once();
    assert_eq!(
        (shop.status("cp1"), shop.transfers().len()),
        ("COMPLETED".into(), 3)
    );
}
