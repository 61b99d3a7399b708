//! A database that comes back from a backup has forgotten payments. Random days of the real program,
//! a backup at a random moment, more payments, the restore: `process` refuses and sends nothing until
//! `reconcile --fix` has told the database what it forgot, and in the end nothing is paid twice.
//!
//! Whether it must refuse is judged without the program, by Stripe's books and the restored ledger.
//! A few restores in every run of the tests; `PAYOUTS_TEST_RESTORES=100` for as many refused ones on
//! each database. `PAYOUTS_TEST_SEED` repeats a run as far as a backup of a program at work can be
//! repeated.

#![expect(
    clippy::print_stdout,
    reason = "a seed that was drawn must be told, and what was restored"
)]

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fastrand::Rng;
use payouts::sandbox::{AccountUpdate, CapabilityStatus, Fault, FaultPlan, FaultRule, Pace};

use crate::common::db::{Backend, Session, TestDb, on_both};
use crate::common::outside_number;
use crate::common::shop::Shop;

/// Refused restores on each database, unless the environment says otherwise.
const RESTORES: u64 = 6;
/// Whoever may not be paid until somebody sees to it.
const INCAPABLE: &str = "eve_nocap";
/// A run at work comes to the moment of its backup within this time, or is over.
const PATIENCE: Duration = Duration::from_secs(60);

/// What may go wrong at Stripe meanwhile; none of it hides for ever whether money moved.
const FAULTS: [Fault; 6] = [
    Fault::ResetBefore,
    Fault::ResetAfter,
    Fault::CutBody,
    Fault::Error500After,
    Fault::Html503After,
    Fault::Rate429,
];

on_both! {
    fn a_restored_database_sends_nothing_until_it_was_told_what_it_forgot(db: TestDb) {
        let wanted = outside_number("PAYOUTS_TEST_RESTORES").unwrap_or(RESTORES);
        let mut seed = outside_number("PAYOUTS_TEST_SEED").unwrap_or_else(|| fastrand::u64(..u64::MAX / 2));
        let mut tally = Tally::default();
        while tally.refused < wanted {
            println!("seed {seed}");
            Day::begin(db.another(), seed).restore(&mut tally);
            seed += 1;
        }
        println!("{tally:?}");
    }
}

/// What was restored.
#[derive(Debug, Default)]
struct Tally {
    /// Payments were forgotten, and the program refused.
    refused: u64,
    /// Of these, backups of a program at work.
    refused_at_work: u64,
    /// Payments that were forgotten.
    forgotten: usize,
    /// Payouts that had to be made again, …
    made_again: usize,
    /// … and findings that a person had to accept.
    accepted: usize,
    /// Nothing was paid since, or only what the backup knew to be on its way: not refused.
    went_on: u64,
}

struct Day {
    shop: Shop,
    random: Rng,
    seed: u64,
    creators: Vec<String>,
    /// Every file that was loaded, and whom it pays.
    files: Vec<(String, HashSet<String>)>,
    references: usize,
}

impl Day {
    fn begin(db: TestDb, seed: u64) -> Self {
        let mut shop = Shop::open(db);
        shop.env.set("PAYOUTS_CONCURRENCY", "4");
        let mut day = Self {
            shop,
            random: Rng::with_seed(seed),
            seed,
            creators: Vec::new(),
            files: Vec::new(),
            references: 0,
        };
        for name in ["ann", "ben", "cem", INCAPABLE] {
            day.shop.creator(name);
            day.creators.push(name.to_owned());
        }
        day
    }

    /// What people and their cron do.
    fn step(&mut self) {
        match self.random.u8(..10) {
            0..3 => self.load(),
            3..7 => self.process(),
            7 => {
                let run = self.shop.env.run(&["retry", "--all"]);
                assert!([0, 1].contains(&run.code), "seed {}: {run}", self.seed);
            }
            8 => self.newcomer(),
            _ => {
                let minutes = self.random.u64(1..180);
                self.shop.pass(Duration::from_secs(minutes * 60));
            }
        }
    }

    /// Loads a file of some payouts.
    fn load(&mut self) {
        let name = format!("{}.csv", self.files.len());
        let (mut text, mut payees) = ("creator,amount,reference\n".to_owned(), HashSet::new());
        for _ in 0..self.random.usize(1..6) {
            let payee = self.creators[self.random.usize(..self.creators.len())].clone();
            self.references += 1;
            let number = self.references;
            let _ = writeln!(text, "cr_{payee},{number}.00,R-{number}");
            payees.insert(payee);
        }
        self.shop.env.write(&name, text);
        self.shop
            .env
            .run(&["create", "--file", &name, "--release"])
            .expect_code(0);
        self.files.push((name, payees));
    }

    /// A run, with a Stripe that may have a bad moment.
    fn process(&mut self) {
        self.misfortune();
        let run = self.shop.process(&[]);
        assert!([0, 1, 5].contains(&run.code), "seed {}: {run}", self.seed);
    }

    fn misfortune(&mut self) {
        if self.random.bool() {
            let payee = &self.creators[self.random.usize(..self.creators.len())];
            let rule = FaultRule {
                destination: Some(format!("acct_{payee}")),
                ..FaultRule::on(
                    "transfers.create",
                    FAULTS[self.random.usize(..FAULTS.len())],
                )
                .times(1)
            };
            self.shop
                .stripe
                .faults_add(FaultPlan::of([rule]))
                .expect("it is a plan");
        }
    }

    /// The platform gets a creator.
    fn newcomer(&mut self) {
        let name = format!("new{}", self.creators.len());
        self.shop.creator(&name);
        self.creators.push(name);
    }

    /// A backup of the database, now or while a run is at work.
    fn back_up(&mut self, at_work: bool) {
        let mut session = self.shop.db.session();
        if !at_work {
            return self.keep(&mut session);
        }
        self.load();
        self.misfortune();
        self.shop.stripe.set_pace(Pace {
            latency_ms: 10,
            ..Pace::default()
        });
        let moment = self.shop.sends() + self.random.u64(..3);
        let mut process = self.shop.env.command(&["process"]);
        process.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = process.spawn().expect("it starts");
        let begin = Instant::now();
        let mut over = false;
        while !over && (self.shop.sends() < moment || self.shop.stripe.in_flight() == 0) {
            over = child.try_wait().expect("it is a child").is_some();
            assert!(
                begin.elapsed() < PATIENCE,
                "seed {}: it neither sends nor ends",
                self.seed
            );
            std::thread::yield_now();
        }
        self.keep(&mut session);
        child.wait().expect("it ends");
        self.shop.stripe.set_pace(Pace::default());
    }

    /// With the program's own command, where it has one.
    fn keep(&self, session: &mut Session) {
        match self.shop.db.backend() {
            Backend::Sqlite => {
                let copy = self.shop.db.copy_named("kept");
                let copy = copy.to_str().expect("a temporary path is UTF-8");
                self.shop.env.run(&["backup", copy]).expect_code(0);
            }
            Backend::Postgres => self.shop.db.keep(session, "kept"),
        }
    }

    /// The day, its backup, what happens after that, and the restore.
    fn restore(mut self, tally: &mut Tally) {
        for _ in 0..self.random.usize(1..7) {
            self.step();
        }
        let at_work = self.random.u8(..3) == 0;
        self.back_up(at_work);
        let (files, kept) = (self.files.len(), self.shop.transfers().len());
        if self.random.u8(..8) > 0 {
            for _ in 0..self.random.usize(1..6) {
                self.step();
            }
            self.load();
            self.process();
        }
        assert!(kept <= self.shop.transfers().len());
        let session = self.shop.db.session();
        drop(self.shop.db.put_back(session, "kept"));
        self.shop.stripe.faults_clear();
        // By then no run that the backup knows of counts as alive, and no key is a day old.
        let minutes = self.random.u64(3..15 * 60);
        self.shop.pass(Duration::from_secs(minutes * 60));

        let forgotten = self.forgotten();
        let (sends, rows) = (self.shop.sends(), self.rows());
        let run = self.shop.process(&[]);
        if forgotten.is_empty() {
            assert_ne!(run.code, 4, "seed {}: {run}", self.seed);
            tally.went_on += 1;
        } else {
            let seed = self.seed;
            assert_eq!(run.code, 4, "seed {seed}: it forgot {forgotten:?}: {run}");
            assert_eq!(
                (self.shop.sends(), self.rows()),
                (sends, rows),
                "seed {seed}: {run}"
            );
            tally.refused += 1;
            tally.refused_at_work += u64::from(at_work);
            tally.forgotten += forgotten.len();
            self.reconcile(&forgotten, tally);
        }
        self.finish(files);
    }

    /// Transfers that the restored ledger does not know of: no attempt holds them, and none of their
    /// payout is in doubt.
    fn forgotten(&self) -> BTreeMap<String, String> {
        let known: HashSet<String> =
            self.column("SELECT transfer_id FROM payout_attempts WHERE transfer_id IS NOT NULL");
        let in_doubt = self.column(
            "SELECT payout_id FROM payout_attempts WHERE outcome IN ('sending', 'unknown')",
        );
        let payout = |group: Option<std::sync::Arc<str>>| group.unwrap_or_default().to_string();
        self.shop
            .transfers()
            .into_iter()
            .map(|transfer| (transfer.id, payout(transfer.transfer_group)))
            .filter(|(id, payout)| !known.contains(id) && !in_doubt.contains(payout))
            .collect()
    }

    fn column(&self, query: &str) -> HashSet<String> {
        let rows = self.shop.db.query_strings(query);
        rows.into_iter().flatten().flatten().collect()
    }

    /// What the table says of every payout.
    fn rows(&self) -> Vec<Vec<Option<String>>> {
        self.shop
            .db
            .query_strings("SELECT id, status, stripe_transfer_id FROM payouts ORDER BY id")
    }

    /// Tells the database what it forgot; a person accepts what cannot be made again.
    fn reconcile(&self, forgotten: &BTreeMap<String, String>, tally: &mut Tally) {
        let seed = self.seed;
        let before = self.column("SELECT id FROM payouts");
        let run = self.shop.reconcile(&["--fix"]);
        assert!([0, 1, 5].contains(&run.code), "seed {seed}: {run}");
        let after = self.column("SELECT id FROM payouts");
        tally.made_again += after.difference(&before).count();
        let creators = self.column("SELECT id FROM creators");
        let payees: BTreeMap<String, String> = self
            .shop
            .transfers()
            .into_iter()
            .map(|transfer| (transfer.id, transfer.destination.replace("acct_", "cr_")))
            .collect();
        let open = self.shop.db.query_strings(
            "SELECT id, kind, transfer_id FROM payout_findings WHERE state = 'open' AND kind <> 'unresolved'",
        );
        for finding in open {
            let [id, kind, transfer] = [0, 1, 2].map(|at| finding[at].clone().unwrap_or_default());
            let why = format!("seed {seed}: {kind} {transfer}: {run}");
            assert_eq!(kind, "forgotten_payout", "{why}");
            assert!(
                forgotten.contains_key(&transfer) && !creators.contains(&payees[&transfer]),
                "{why}"
            );
            self.shop.process(&[]).expect_code(4);
            self.shop.reconcile(&[
                "--accept",
                &id,
                "--reason",
                "the creator came after the backup",
            ]);
            tally.accepted += 1;
        }
    }

    /// People load again what they had loaded since, and run it until all is paid.
    fn finish(&mut self, files_kept: usize) {
        let seed = self.seed;
        let creators = self.column("SELECT id FROM creators");
        for (name, payees) in &self.files[files_kept..] {
            if payees
                .iter()
                .all(|payee| creators.contains(&format!("cr_{payee}")))
            {
                self.shop
                    .env
                    .run(&["create", "--file", name, "--release"])
                    .expect_code(0);
            }
        }
        let able = AccountUpdate {
            id: format!("acct_{INCAPABLE}"),
            transfers: Some(CapabilityStatus::Active),
            ..AccountUpdate::default()
        };
        self.shop
            .stripe
            .update_account(able)
            .expect("it is an account");
        // The first may replay the refusal of an attempt that the backup has forgotten.
        for _ in 0..4 {
            self.shop.pass(Duration::from_secs(601));
            let run = self.shop.process(&[]);
            assert!([0, 1].contains(&run.code), "seed {seed}: {run}");
            if self
                .column("SELECT id FROM payouts WHERE status <> 'COMPLETED'")
                .is_empty()
            {
                break;
            }
            for failed in self.column("SELECT id FROM payouts WHERE status = 'FAILED'") {
                self.shop
                    .env
                    .run(&["retry", &failed, "--force"])
                    .expect_code(0);
            }
        }
        self.shop.assert_paid_exactly_once();
        assert_eq!(
            self.column("SELECT id FROM payouts WHERE status <> 'COMPLETED'"),
            HashSet::new(),
            "seed {seed}"
        );
        // Nor was a reference, whatever became of the row that bore it.
        let mut paid = HashSet::new();
        for transfer in self.shop.transfers() {
            let reference = transfer
                .metadata
                .get("reference")
                .expect("every payout has one");
            assert!(
                paid.insert(reference.clone()),
                "seed {seed}: {reference} was paid twice"
            );
        }
        assert_eq!(self.shop.found(&[]), (vec![], 0), "seed {seed}");
    }
}
