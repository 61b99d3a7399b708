//! A small platform: a database with creators and payouts, and a Stripe that behaves as told, both
//! at the same moment.

use std::collections::HashMap;
use std::time::Duration;

use payouts::ops::verify_history::{Flaw, verify};
use payouts::sandbox::{
    Fault, FaultPlan, FaultRule, OpeningBalance, Options, Sandbox, SandboxClock, SandboxHandle,
    SourceType, TransferReport,
};

use super::db::TestDb;
use super::env::{Run, TestEnv};

/// The moment at which [`super::env::NOW`] stands, in UTC milliseconds.
const NOW_MILLIS: i64 = 1_793_611_800_000;

/// When every payout of a shop was created, unless the test says otherwise.
const CREATED: &str = "2026-11-01 12:00:00";

/// A platform under test.
pub(crate) struct Shop {
    pub(crate) env: TestEnv,
    pub(crate) stripe: SandboxHandle,
    pub(crate) db: TestDb,
}

impl Shop {
    /// A migrated, empty database and a Stripe with ten million dollars.
    pub(crate) fn open(db: TestDb) -> Self {
        Self::with_balance(db, 1_000_000_000)
    }

    /// The same with this much in the platform's balance, in cents.
    pub(crate) fn with_balance(db: TestDb, cents: i64) -> Self {
        Self::at(db, cents, SandboxClock::Frozen(NOW_MILLIS))
    }

    /// The same with ten million dollars, at the time that it is: a wait takes as long as it says.
    pub(crate) fn in_real_time(db: TestDb) -> Self {
        let mut shop = Self::at(db, 1_000_000_000, SandboxClock::System);
        shop.env.unset("PAYOUTS_TEST_NOW");
        shop
    }

    fn at(db: TestDb, cents: i64, clock: SandboxClock) -> Self {
        let balance = OpeningBalance {
            currency: "usd".to_owned(),
            source_type: SourceType::Card,
            amount: cents,
        };
        let stripe = Sandbox::spawn(Options {
            clock,
            seed: Some(7),
            balances: vec![balance],
            allow_live: true,
            ..Options::at_free_port()
        })
        .expect("a sandbox starts");
        let mut env = TestEnv::new();
        env.use_database(&db);
        env.set("STRIPE_SECRET_KEY", "sk_test_shop");
        env.set("STRIPE_API_BASE", &stripe.base_url());
        env.run(&["init", "--quiet"]).expect_code(0);
        Self { env, stripe, db }
    }

    /// A creator `cr_<name>` who is paid at `acct_<name>`.
    pub(crate) fn creator(&self, name: &str) {
        self.db.execute(&creator(name));
    }

    /// A pending payout that this tool created.
    pub(crate) fn payout(&self, id: &str, creator: &str, cents: i64) {
        self.db.execute(&payout(id, creator, cents));
    }

    /// A pending payout that other software wrote.
    pub(crate) fn foreign_payout(&self, id: &str, creator: &str, cents: i64) {
        self.db.execute(&foreign_payout(id, creator, cents));
    }

    /// A statement over `cents` that is ready to be paid.
    pub(crate) fn statement(&self, id: &str, creator: &str, cents: i64) {
        self.db.execute(&format!(
            "INSERT INTO royalty_runs (id, period_start, period_end, updated_at)
             VALUES ('run_of_{id}', '{CREATED}', '{CREATED}', '{CREATED}')"
        ));
        self.db.execute(&format!(
            "INSERT INTO royalty_statements
                 (id, royalty_run_id, creator_id, total_earnings_cents, platform_fee_cents,
                  net_payable_cents, status, updated_at)
             VALUES ('{id}', 'run_of_{id}', 'cr_{creator}', {cents}, 0, {cents}, 'REVIEWED', '{CREATED}')"
        ));
    }

    /// A number of creators with one payout of $10.00 each: `cp0`, `cp1`, …
    pub(crate) fn payouts(&self, count: usize) {
        let one = |number| {
            let name = format!("c{number}");
            creator(&name) + &payout(&format!("cp{number}"), &name, 1000)
        };
        self.db.execute(&(0..count).map(one).collect::<String>());
    }

    /// What goes wrong from now on with transfers to a creator.
    pub(crate) fn fault(&self, creator: &str, fault: Fault, times: u64) {
        let rule = FaultRule {
            destination: Some(format!("acct_{creator}")),
            ..FaultRule::on("transfers.create", fault).times(times)
        };
        self.stripe
            .faults_add(FaultPlan::of([rule]))
            .expect("the fault is understood");
    }

    /// `payouts process` and more.
    pub(crate) fn process(&self, more: &[&str]) -> Run {
        let mut args = vec!["process"];
        args.extend(more);
        self.env.run(&args)
    }

    /// Moves both clocks.
    pub(crate) fn pass(&mut self, time: Duration) {
        let millis = self
            .stripe
            .advance(time.as_secs())
            .expect("the clock moves");
        let now = payouts::model::time::Time::from_millis(millis);
        self.env.set_now(&now.to_string());
    }

    /// The status of a payout.
    pub(crate) fn status(&self, payout: &str) -> String {
        self.one(&format!("SELECT status FROM payouts WHERE id = '{payout}'"))
    }

    /// The outcomes of a payout's attempts, in order.
    pub(crate) fn outcomes(&self, payout: &str) -> Vec<String> {
        self.db
            .query_strings(&format!(
                "SELECT outcome FROM payout_attempts WHERE payout_id = '{payout}' ORDER BY attempt"
            ))
            .into_iter()
            .map(|row| row.into_iter().next().flatten().unwrap_or_default())
            .collect()
    }

    /// The one text that a query answers; NULL is empty.
    pub(crate) fn one(&self, query: &str) -> String {
        let rows = self.db.query_strings(query);
        let row = rows.into_iter().next().unwrap_or_default();
        row.into_iter().next().flatten().unwrap_or_default()
    }

    /// Every transfer that Stripe made.
    pub(crate) fn transfers(&self) -> Vec<TransferReport> {
        self.stripe.ledger().transfers().cloned().collect()
    }

    /// Transfers that were asked for, as far as they were answered.
    pub(crate) fn sends(&self) -> u64 {
        self.requests("transfers.create")
    }

    /// Pages of transfers that were read.
    pub(crate) fn pages_read(&self) -> u64 {
        self.requests("transfers.list")
    }

    fn requests(&self, endpoint: &str) -> u64 {
        let requests = self.stripe.ledger().requests;
        requests
            .get(endpoint)
            .map_or(0, |answers| answers.values().sum())
    }

    /// Every change of a payout stands in its history as it was written. Payouts that a test put
    /// into the database itself have none before they are first touched.
    fn assert_history_is_whole(&self) {
        let verified = verify(&mut self.db.store(), &mut |_| {}).expect("the history is read");
        let changed: Vec<_> = verified
            .findings
            .iter()
            .filter(|finding| finding.flaw.is_proof() && finding.flaw != Flaw::HistoryMissing)
            .collect();
        assert!(changed.is_empty(), "{changed:#?}");
    }

    /// The promise: for each payout at most one transfer, and COMPLETED exactly where there is one,
    /// with the row's amount and id.
    pub(crate) fn assert_paid_exactly_once(&self) {
        self.assert_history_is_whole();
        let transfers = self.transfers();
        let mut by_group: HashMap<&str, Vec<&TransferReport>> = HashMap::new();
        for transfer in &transfers {
            let group = transfer.transfer_group.as_deref().unwrap_or_default();
            by_group.entry(group).or_default().push(transfer);
        }
        let mut rows = self.db.query_strings(
            "SELECT id, status, CAST(amount_cents AS TEXT), stripe_transfer_id FROM payouts ORDER BY id",
        );
        for row in &mut rows {
            let field = |at: usize| row[at].clone().unwrap_or_default();
            let (id, status, amount, transfer_id) = (field(0), field(1), field(2), field(3));
            let made = by_group.get(id.as_str()).map_or(&[][..], Vec::as_slice);
            assert!(made.len() <= 1, "payout {id} was paid {} times", made.len());
            match made.first() {
                None => assert_ne!(status, "COMPLETED", "payout {id} was never paid"),
                Some(transfer) if status == "COMPLETED" => {
                    assert_eq!(transfer.id, transfer_id, "payout {id}");
                    assert_eq!(transfer.amount.to_string(), amount, "payout {id}");
                }
                Some(_) => assert_eq!(status, "PROCESSING", "payout {id} was paid and is {status}"),
            }
        }
    }
}

/// Makes a creator `cr_<name>` who is paid at `acct_<name>`.
pub(crate) fn creator(name: &str) -> String {
    format!(
        r#"INSERT INTO users (id, email, "createdAt", "updatedAt")
           VALUES ('us_{name}', '{name}@example.org', '{CREATED}', '{CREATED}');
           INSERT INTO creators (id, "userId", "stageName", "stripeAccountId", "createdAt", "updatedAt")
           VALUES ('cr_{name}', 'us_{name}', '{name}', 'acct_{name}', '{CREATED}', '{CREATED}');"#
    )
}

fn payout(id: &str, creator: &str, cents: i64) -> String {
    foreign_payout(id, creator, cents)
        + &format!("INSERT INTO payout_batch_items (payout_id) VALUES ('{id}');")
}

fn foreign_payout(id: &str, creator: &str, cents: i64) -> String {
    format!(
        "INSERT INTO payouts (id, creator_id, amount_cents, created_at, updated_at)
         VALUES ('{id}', 'cr_{creator}', {cents}, '{CREATED}', '{CREATED}');"
    )
}
