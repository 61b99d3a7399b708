//! A platform whose own software, a real Prisma client, works on the same rows as this tool: each
//! must read what the other wrote, and neither may stand in the other's way.

use payouts::sandbox::{Options, Sandbox, SandboxHandle};
use serde_json::{Value, json};

use crate::common::clients::prisma;
use crate::common::db::TestDb;
use crate::common::env::{Run, TestEnv};
use crate::common::platform;

/// A database that Prisma filled, this tool beside it, and Stripe. All of them live in the present:
/// Prisma knows no other time.
struct Platform {
    db: TestDb,
    env: TestEnv,
    stripe: SandboxHandle,
    /// What Prisma wrote.
    rows: Value,
}

impl Platform {
    fn open() -> Self {
        let db = TestDb::postgres();
        platform::install_tables(&db);
        let rows = prisma(&db, &["write"]);
        let stripe = Sandbox::spawn(Options::at_free_port()).expect("a sandbox starts");
        let mut env = TestEnv::new();
        env.unset("PAYOUTS_TEST_NOW");
        env.use_database(&db);
        env.set("PAYOUTS_CURRENCY", "usd");
        env.set("STRIPE_SECRET_KEY", "sk_test_platform");
        env.set("STRIPE_API_BASE", &stripe.base_url());
        Self {
            db,
            env,
            stripe,
            rows,
        }
    }

    fn run(&self, args: &[&str]) -> Run {
        self.env.run(args)
    }

    /// Whom Prisma gave this name, by its path in what `write` printed.
    fn id(&self, path: &str) -> &str {
        self.rows
            .pointer(path)
            .and_then(Value::as_str)
            .expect("Prisma wrote it")
    }

    /// All payouts and statements, as Prisma reads them.
    fn read(&self) -> Value {
        prisma(&self.db, &["read"])
    }

    /// All payouts, as this tool lists them.
    fn list(&self) -> Value {
        let run = self.run(&["list", "--output", "json"]).expect_code(0);
        serde_json::from_str(&run.stdout).expect("a list in JSON")
    }

    fn transfer_of(&self, payout: &str) -> (String, i64) {
        let ledger = self.stripe.ledger();
        let mut transfers = ledger
            .transfers()
            .filter(|transfer| transfer.transfer_group.as_deref() == Some(payout));
        let transfer = transfers.next().expect("a transfer was made");
        assert!(transfers.next().is_none(), "paid twice");
        (transfer.id.clone(), transfer.created)
    }
}

/// A payout of what Prisma read, or of what this tool listed.
fn payout<'a>(all: &'a Value, id: &str) -> &'a Value {
    let payouts = all["payouts"].as_array().expect("a list of payouts");
    let found = payouts.iter().find(|payout| payout["id"] == id);
    found.expect("the payout is there")
}

#[test]
fn migrating_twice_adds_the_queue_index_and_changes_nothing() {
    let platform = Platform::open();
    let before = platform::state(&platform.db);
    platform.run(&["migrate"]).expect_code(0);
    let after = platform::state(&platform.db);
    platform.run(&["migrate"]).expect_code(0);
    assert_eq!(platform::state(&platform.db), after);

    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(new.len(), 1, "{new:?}");
    assert!(new[0].starts_with("payouts payout_queue_idx "), "{new:?}");
    assert!(before.iter().all(|line| after.contains(line)));
}

#[test]
fn each_reads_what_the_other_wrote() {
    let platform = Platform::open();
    platform.run(&["migrate"]).expect_code(0);

    let covering = platform.id("/covering/id");
    let list = platform.list();
    let listed = payout(&list, covering);
    assert_eq!(
        [
            &listed["status"],
            &listed["amount_cents"],
            &listed["creator_id"],
            &listed["created_at"]
        ],
        [
            &json!("PENDING"),
            &json!(50_000),
            &platform.rows["ann"]["id"],
            &platform.rows["covering"]["createdAt"]
        ]
    );

    let begin = platform.stripe.now_ms();
    let created = platform
        .run(&[
            "create",
            "--creator",
            "ann@example.com",
            "--amount",
            "12.34",
            "--reference",
            "INV-1",
            "--output",
            "json",
        ])
        .expect_code(0);
    let created: Value = serde_json::from_str(&created.stdout).expect("JSON");
    let ours = created["payouts"][0].as_str().expect("an id");
    let (all, list) = (platform.read(), platform.list());
    let (read, listed) = (payout(&all, ours), payout(&list, ours));
    assert_eq!(
        [&read["status"], &read["amountCents"], &read["retryCount"]],
        [&json!("PENDING"), &json!(1234), &json!(0)]
    );
    assert_eq!(read["creator"]["user"]["email"], "ann@example.com");
    for nothing in [
        "royaltyStatementId",
        "stripeTransferId",
        "processedAt",
        "failedReason",
        "lastRetryAt",
    ] {
        assert_eq!(read[nothing], Value::Null, "{nothing}");
    }
    let now = platform.stripe.now_ms();
    for time in ["createdAt", "updatedAt"] {
        assert_eq!(read[time], listed["created_at"], "{time}");
        assert!((begin..=now).contains(&millis(&read[time])), "{time}");
    }

    // 1: a payout failed.
    platform.run(&["process", "--quiet"]).expect_code(1);
    // It goes back into the queue, where Prisma sees it, and fails again.
    platform
        .run(&["retry", "--code", "resource_missing"])
        .expect_code(0);
    let (all, closed) = (platform.read(), platform.id("/closed/id"));
    let waiting = payout(&all, closed);
    assert_eq!(
        [&waiting["status"], &waiting["retryCount"]],
        [&json!("PENDING"), &json!(1)]
    );
    platform.run(&["process", "--quiet"]).expect_code(1);
    platform.run(&["reconcile"]).expect_code(0);

    let now = platform.stripe.now_ms();
    let (all, list) = (platform.read(), platform.list());
    for id in [covering, platform.id("/free/id"), ours] {
        let read = payout(&all, id);
        let (transfer, made) = platform.transfer_of(id);
        assert_eq!(
            [&read["status"], &read["stripeTransferId"]],
            [&json!("COMPLETED"), &json!(transfer)]
        );
        assert_eq!(read["processedAt"], payout(&list, id)["processed_at"]);
        assert_eq!(millis(&read["processedAt"]) / 1000, made);
        assert!((begin..=now).contains(&millis(&read["updatedAt"])));
    }

    let failed = payout(&all, platform.id("/closed/id"));
    assert_eq!(
        [&failed["status"], &failed["retryCount"]],
        [&json!("FAILED"), &json!(2)]
    );
    let reason = failed["failedReason"].as_str().expect("a reason");
    assert!(
        reason.contains("No such destination: 'acct_bob_closed'"),
        "{reason}"
    );
    assert!((begin..=now).contains(&millis(&failed["lastRetryAt"])));
    assert_eq!(failed["stripeTransferId"], Value::Null);

    let statement = &all["statements"][0];
    assert_eq!(
        [&statement["status"], &statement["paymentReference"]],
        [&json!("PAID"), &json!(platform.transfer_of(covering).0)]
    );
    assert_eq!(statement["paidAt"], payout(&list, covering)["processed_at"]);
    assert_eq!(statement["netPayableCents"], 50_000);
}

#[test]
fn the_platform_may_delete_its_rows() {
    let platform = Platform::open();
    platform.run(&["migrate"]).expect_code(0);
    platform.run(&["process", "--quiet"]).expect_code(1);

    // A statement leaves its payout behind, as the platform's own key says.
    let (statement, covering) = (platform.id("/statement"), platform.id("/covering/id"));
    prisma(&platform.db, &["delete", "royaltyStatement", statement]);
    assert_eq!(
        payout(&platform.read(), covering)["royaltyStatementId"],
        Value::Null
    );
    // A payout that failed, with it the creator who has no other, and a payout that was paid.
    let (closed, bob) = (platform.id("/closed/id"), platform.id("/bob/id"));
    prisma(
        &platform.db,
        &[
            "delete", "payout", closed, "creator", bob, "payout", covering,
        ],
    );

    let left = platform.read();
    assert_eq!(left["payouts"][0]["id"], platform.id("/free/id"));
    assert_eq!(
        (&left["payouts"][1], &left["statements"]),
        (&Value::Null, &json!([]))
    );
    platform.run(&["list"]).expect_code(0);
    platform.run(&["process", "--quiet"]).expect_code(0);
    assert_eq!(platform.stripe.ledger().transfers().count(), 2);
}

/// UTC milliseconds of a time as JavaScript and this tool write it.
fn millis(time: &Value) -> i64 {
    let text = time.as_str().expect("a time");
    let time: payouts::model::time::Time = text.parse().expect("a time in RFC 3339");
    time.millis()
}
