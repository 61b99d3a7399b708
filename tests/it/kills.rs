//! The real program, killed with SIGKILL at random moments, again and again, on one database: what
//! the dead runs left is taken over, and no payout is paid twice.
//!
//! A few kills in every run of the tests; `PAYOUTS_TEST_KILLS=1000` for as many on each database.
//! `PAYOUTS_TEST_SEED` repeats a run as far as the moments of a kill can be repeated.

#![expect(
    clippy::print_stdout,
    reason = "a seed that was drawn must be told, and where the kills fell"
)]

use std::collections::{HashMap, HashSet};
use std::process::Stdio;
use std::time::{Duration, Instant};

use fastrand::Rng;
use payouts::sandbox::{Fault, FaultPlan, FaultRule, Pace};

use crate::common::db::on_both;
use crate::common::outside_number;
use crate::common::shop::Shop;

/// Kills on each database, unless the environment says otherwise.
const KILLS: usize = 8;
/// New payouts before each run.
const PAYOUTS: usize = 8;
/// At least this share of the kills must fall between the first byte of a request and the commit
/// of its outcome, in percent, where there are enough of them to speak of a share.
const IN_BETWEEN_MIN: usize = 30;
const SHARE_FROM: usize = 50;
/// A run that was not killed by then has ended by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// What may go wrong at Stripe besides.
const FAULTS: [Fault; 6] = [
    Fault::ResetBefore,
    Fault::ResetAfter,
    Fault::Error500After,
    Fault::Html503,
    Fault::Rate429,
    Fault::Conflict409,
];

/// When a run is killed.
enum Moment {
    /// While so many requests are being answered.
    InFlight(u32),
    /// So long after its start, which is mostly before it sends.
    AfterStart(Duration),
    /// So long after Stripe saw its first transfer.
    AfterSend(Duration),
}

on_both! {
    fn whoever_kills_it_whenever_nothing_is_paid_twice(db: TestDb) {
        let kills = outside_number("PAYOUTS_TEST_KILLS").map_or(KILLS, |kills| usize::try_from(kills).unwrap());
        let seed = outside_number("PAYOUTS_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
        println!("seed {seed}");
        let mut killer = Killer { shop: Shop::open(db), random: Rng::with_seed(seed), created: 0 };
        killer.shop.stripe.set_pace(Pace { latency_ms: 4, latency_jitter_ms: 8, ..Pace::default() });
        killer.shop.env.set("PAYOUTS_CONCURRENCY", "4");
        let mut tally = Tally::default();
        while tally.kills < kills {
            killer.round(&mut tally);
        }
        killer.finish();
        println!("{tally:?}");
        assert!(kills < SHARE_FROM || tally.in_between * 100 >= kills * IN_BETWEEN_MIN, "seed {seed}: {tally:?}");
    }
}

/// What happened.
#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    /// Between the first byte of a request and the commit of its outcome.
    in_between: usize,
    /// Stripe had made a transfer that was not on record.
    transfer_unrecorded: usize,
    /// Claimed, and no byte sent.
    claimed_only: usize,
    /// Neither.
    elsewhere: usize,
    /// Runs that ended before they could be killed.
    too_late: usize,
}

struct Killer {
    shop: Shop,
    random: Rng,
    created: usize,
}

impl Killer {
    /// New payouts, a run, a kill, the books.
    fn round(&mut self, tally: &mut Tally) {
        let shop = &mut self.shop;
        let first = self.created;
        self.created += PAYOUTS;
        for number in first..self.created {
            let name = format!("c{number}");
            shop.creator(&name);
            shop.payout(&format!("cp{number}"), &name, 1000);
        }
        if self.random.u8(..4) == 0 {
            let fault = FAULTS[self.random.usize(..FAULTS.len())];
            let destination = format!("acct_c{}", self.random.usize(first..self.created));
            let rule = FaultRule {
                destination: Some(destination),
                ..FaultRule::on("transfers.create", fault).times(1)
            };
            shop.stripe.faults_add(FaultPlan::of([rule])).unwrap();
        }
        let moment = match self.random.u8(..8) {
            0 => Moment::AfterStart(Duration::from_millis(self.random.u64(1..100))),
            1..4 => Moment::AfterSend(Duration::from_millis(self.random.u64(..60))),
            _ => Moment::InFlight(self.random.u32(1..=4)),
        };
        let sent_before = shop.sends();
        let mut child = shop
            .env
            .command(&["process"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let begin = Instant::now();
        let mut first_send = None;
        loop {
            if child.try_wait().unwrap().is_some() {
                tally.too_late += 1;
                break;
            }
            if first_send.is_none() && shop.sends() > sent_before {
                first_send = Some(Instant::now());
            }
            let now = match moment {
                Moment::InFlight(requests) => shop.stripe.in_flight() >= requests,
                Moment::AfterStart(time) => begin.elapsed() >= time,
                Moment::AfterSend(time) => first_send.is_some_and(|at| at.elapsed() >= time),
            };
            if now {
                child.kill().expect("it is killed");
                child.wait().expect("it is gone");
                tally.kills += 1;
                break;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "it neither ended nor came to the moment"
            );
            std::thread::yield_now();
        }
        // What was on its way is executed, or not.
        while shop.stripe.in_flight() > 0 {
            std::thread::yield_now();
        }
        self.count(tally);
        // The lease of SQLite's dead run passes; PostgreSQL needs none.
        self.shop.pass(Duration::from_secs(121));
    }

    /// Where the kill fell, by what is on record and what Stripe saw.
    fn count(&self, tally: &mut Tally) {
        let made = self.made();
        let seen: HashSet<String> = self
            .shop
            .stripe
            .requests()
            .into_iter()
            .filter_map(|line| line.idempotency_key)
            .collect();
        let open = self.shop.db.query_strings(
            "SELECT payout_id, idempotency_key FROM payout_attempts WHERE outcome = 'sending'",
        );
        let open: Vec<(String, String)> = open
            .into_iter()
            .map(|row| {
                let mut fields = row.into_iter().map(Option::unwrap_or_default);
                (fields.next().unwrap(), fields.next().unwrap())
            })
            .collect();
        if open.iter().any(|(_, key)| seen.contains(key)) {
            tally.in_between += 1;
        } else if open.is_empty() {
            tally.elsewhere += 1;
        } else {
            tally.claimed_only += 1;
        }
        tally.transfer_unrecorded +=
            usize::from(open.iter().any(|(payout, _)| made.contains_key(payout)));
    }

    /// The transfers for each payout; never more than one.
    fn made(&self) -> HashMap<String, usize> {
        let mut made: HashMap<String, usize> = HashMap::new();
        for transfer in self.shop.transfers() {
            let payout = transfer
                .transfer_group
                .map(|group| group.to_string())
                .unwrap_or_default();
            *made.entry(payout).or_default() += 1;
        }
        let twice: Vec<_> = made.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "paid twice: {twice:?}");
        made
    }

    /// Runs until nothing is left, and looks at all of it.
    fn finish(&mut self) {
        self.shop.stripe.faults_clear();
        for _ in 0..5 {
            self.shop.pass(Duration::from_secs(601));
            if self.shop.process(&[]).code == 0 {
                break;
            }
        }
        self.shop.assert_paid_exactly_once();
        // An error that Stripe keeps under a key is left to a person; all else is paid.
        let left = self
            .shop
            .one("SELECT COUNT(*) FROM payouts WHERE status <> 'COMPLETED'");
        assert_eq!(left, "0");
        assert_eq!(self.made().len(), self.created);
    }
}
