//! `payouts hold`, `release` and `cancel`: what people stop, let go and end, and that every part of
//! the tool goes by it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Stdio;
use std::time::Duration;

use payouts::sandbox::Fault;
use serde_json::Value;

use crate::common::db::{TestDb, on_both};
use crate::common::env::Run;
use crate::common::shop::Shop;

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"))
}

/// A shop with two payouts of one batch.
fn batch(shop: &Shop) -> String {
    for name in ["ann", "ben"] {
        shop.creator(name);
    }
    shop.env.write(
        "batch.csv",
        "creator,amount,reference\ncr_ann,10.00,INV-1\ncr_ben,20.00,INV-2\n",
    );
    shop.env
        .run(&["create", "--file", "batch.csv", "--release"])
        .expect_code(0);
    shop.one("SELECT id FROM payout_batches")
}

fn id_of(shop: &Shop, reference: &str) -> String {
    shop.one(&format!(
        "SELECT payout_id FROM payout_batch_items WHERE reference = '{reference}'"
    ))
}

on_both! {
    fn what_is_held_is_not_sent_and_every_view_says_who_and_why(db: TestDb) {
        let shop = Shop::open(db);
        let batch = batch(&shop);
        let payout = id_of(&shop, "INV-1");
        let run = |args: &[&str]| shop.env.run(args);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&["hold", &payout, "--batch", &batch, "--reason", "looks odd"]).transcript(), @r"
            $ payouts hold c000000000000000000000001 --batch c000000000000000000000002 --reason 'looks odd'
            What                              State               Pending  Held
            payout c000000000000000000000001  held    1 payout, 10.00 USD  by tester since 2026-11-02 09:30 UTC: looks odd
            batch c000000000000000000000002   held   2 payouts, 30.00 USD  by tester since 2026-11-02 09:30 UTC: looks odd
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(run(&["hold", "--creator", "ben@example.org", "--reason", "moved banks"]).transcript(), @r"
            $ payouts hold --creator ben@example.org --reason 'moved banks'
            What            State              Pending  Held
            creator cr_ben  held   1 payout, 20.00 USD  by tester since 2026-11-02 09:30 UTC: moved banks
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(run(&["batches", "show", &batch]).transcript(), @r"
            $ payouts batches show c000000000000000000000002
            Batch     c000000000000000000000002
            Source    batch.csv
            SHA-256   55b9d467ee9a9b20e8dcd86c72996df2303db211308f08f176448fcb55196700
            Loaded    by tester on 2026-11-02 09:30 UTC
            Payouts   2 payouts, 30.00 USD
            Progress  2 open (30.00 USD)
            State     held by tester since 2026-11-02 09:30 UTC: looks odd
            PENDING   30.00 USD, 2 payouts
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(run(&["creators", "show", "cr_ben"]).transcript(), @r"
            $ payouts creators show cr_ben
            Creator         cr_ben
            Name            ben
            E-mail          ben@example.org
            Stripe account  acct_ben
            Onboarding      pending
            Held            by tester since 2026-11-02 09:30 UTC: moved banks
            PENDING         20.00 USD, 1 payout

            Payout                     Created              Amount  Status   Transfer
            c000000000000000000000003  2026-11-02 09:30  20.00 USD  PENDING  -
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(run(&["process", "--dry-run"]).transcript(), @r"
            $ payouts process --dry-run
            Mode          test
            Account       acct_sandboxplatform
            To send       0 payouts
            Total         0.00 USD
            Balance       10,000,000.00 USD before, 10,000,000.00 USD after
            Not sent      1 payout, 10.00 USD: payout is held (such as c000000000000000000000001)
                          by tester since 2026-11-02 09:30 UTC: looks odd
            Not sent      1 payout, 20.00 USD: creator is held (such as c000000000000000000000003)
                          by tester since 2026-11-02 09:30 UTC: moved banks
            --- stderr
            --- exit 0
            ");
        }
        let shown = run(&["show", &payout]).stdout;
        assert!(shown.contains("Hold        this payout since 2026-11-02 09:30:00.000 UTC, by tester: looks odd"), "{shown}");
        assert!(shown.contains("held        PENDING"), "{shown}");
        assert!(shown.contains(&format!("`payouts release {payout}`")), "{shown}");
        run(&["process"]).expect_code(0);
        assert_eq!(shop.transfers().len(), 0);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&["release", &batch, "--reason", "looked over"]).transcript(), @r"
            $ payouts release c000000000000000000000002 --reason 'looked over'
            Batch   c000000000000000000000002
            Source  batch.csv
            State   released
            Due     2 payouts, 30.00 USD
            Next    payouts process
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(run(&["release", &payout, "--creator", "cr_ben", "-o", "json"]).transcript(), @r#"
            $ payouts release c000000000000000000000001 --creator cr_ben -o json
            {
              "schema": 1,
              "holds": [
                {
                  "kind": "payout",
                  "target": "c000000000000000000000001",
                  "held": false,
                  "changed": true,
                  "reason": "looks odd",
                  "actor": "tester",
                  "created_at": "2026-11-02T09:30:00.000Z",
                  "ends_at": null,
                  "due": 1,
                  "due_cents": 1000,
                  "currency": "usd"
                },
                {
                  "kind": "creator",
                  "target": "cr_ben",
                  "held": false,
                  "changed": true,
                  "reason": "moved banks",
                  "actor": "tester",
                  "created_at": "2026-11-02T09:30:00.000Z",
                  "ends_at": null,
                  "due": 1,
                  "due_cents": 2000,
                  "currency": "usd"
                }
              ]
            }
            --- stderr
            --- exit 0
            "#);
            insta::assert_snapshot!(run(&["batches", "show", &batch]).transcript(), @r"
            $ payouts batches show c000000000000000000000002
            Batch     c000000000000000000000002
            Source    batch.csv
            SHA-256   55b9d467ee9a9b20e8dcd86c72996df2303db211308f08f176448fcb55196700
            Loaded    by tester on 2026-11-02 09:30 UTC
            Payouts   2 payouts, 30.00 USD
            Progress  2 open (30.00 USD)
            State     released by tester on 2026-11-02 09:30 UTC: looked over (held by tester since 2026-11-02 09:30 UTC: looks odd)
            PENDING   30.00 USD, 2 payouts
            --- stderr
            --- exit 0
            ");
        }
        let shown = run(&["creators", "show", "cr_ben"]).stdout;
        assert!(shown.contains("by tester on 2026-11-02 09:30 UTC (held by tester since 2026-11-02 09:30 UTC: moved banks)"), "{shown}");
        run(&["process"]).expect_code(0);
        assert_eq!(shop.transfers().len(), 2);
        let history = shop.db.query_strings(&format!(
            "SELECT event, from_status, to_status, reason FROM payout_history WHERE payout_id = '{payout}' ORDER BY seq"
        ));
        let events: Vec<String> = history.iter().map(|row| row[0].clone().unwrap()).collect();
        assert_eq!(events, ["created", "held", "released", "claimed", "paid"]);
        assert_eq!(history[1][3].as_deref(), Some("looks odd"));
        assert_eq!(history[2][3].as_deref(), Some("was held by tester: looks odd"));
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_hold_releases"), "3");
        assert_eq!(
            shop.one("SELECT COUNT(*) FROM payout_hold_releases JOIN payout_runs ON id = run_id WHERE command = 'release'"),
            "3"
        );
    }

    fn the_switch_stops_everything_until_it_is_released(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        let run = |args: &[&str]| shop.env.run(args);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&["hold", "--all", "--reason", "audit"]).transcript(), @r"
            $ payouts hold --all --reason audit
            What        State               Pending  Held
            everything  held   2 payouts, 20.00 USD  by tester since 2026-11-02 09:30 UTC: audit
            --- stderr
            --- exit 0
            ");
        }
        let stopped = run(&["process"]).expect_code(4);
        assert!(stopped.stderr.contains("everything is held by tester since 2026-11-02 09:30 UTC: audit"), "{stopped}");
        assert_eq!(shop.transfers().len(), 0);
        let plan = run(&["process", "--dry-run"]).stdout;
        assert!(plan.contains("by tester since 2026-11-02 09:30 UTC: audit"), "{plan}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&["release", "--all"]).transcript(), @r"
            $ payouts release --all
            What        State                  Pending  Held
            everything  released  2 payouts, 20.00 USD  by tester since 2026-11-02 09:30 UTC: audit
            --- stderr
            --- exit 0
            ");
        }
        run(&["process"]).expect_code(0);
        assert_eq!(shop.transfers().len(), 2);
    }

    fn a_hold_with_an_end_holds_until_then_and_makes_room_for_the_next(db: TestDb) {
        let mut shop = Shop::open(db);
        batch(&shop);
        let hold = |shop: &Shop, args: &[&str]| shop.env.run(&[&["hold"], args].concat());
        for wrong in [["--until", "2026-11-01"], ["--until", "soon"], ["--until", "2026-13-01"]] {
            hold(&shop, &[&["--all", "--reason", "bank holiday"][..], &wrong].concat()).expect_code(2);
        }
        let run = hold(&shop, &["--all", "--reason", "bank holiday", "--until", "2026-11-02T11:30:00Z"]).expect_code(0);
        assert!(run.stdout.contains("since 2026-11-02 09:30 UTC until 2026-11-02 11:30 UTC: bank holiday"), "{run}");
        hold(&shop, &["--creator", "cr_ann", "--reason", "moved banks", "--until", "3h"]).expect_code(0);
        shop.process(&[]).expect_code(4);
        let run = shop.env.run(&["show", "INV-1"]).expect_code(0);
        assert!(run.stdout.contains("or ends by itself at 2026-11-02T11:30:00.000Z"), "{run}");
        let run = shop.env.run(&["doctor", "-o", "json"]);
        assert!(run.stdout.contains("until 2026-11-02T11:30:00.000Z: bank holiday"), "{run}");
        shop.pass(Duration::from_secs(2 * 3600));
        // The switch is over, the creator's hold is not.
        shop.process(&[]).expect_code(0);
        let status = |shop: &Shop, reference: &str| shop.status(&id_of(shop, reference));
        assert_eq!((status(&shop, "INV-1"), status(&shop, "INV-2")), ("PENDING".into(), "COMPLETED".into()));
        shop.pass(Duration::from_secs(3601));
        // It has ended; another can be set, and what was is on record.
        let run = shop.env.run(&["release", "--creator", "cr_ann"]).expect_code(0);
        assert!(run.stdout.contains("was not held"), "{run}");
        hold(&shop, &["--creator", "cr_ann", "--reason", "again"]).expect_code(0);
        let lifted = shop.one("SELECT held_by || ' ' || released_by || ' ' || reason FROM payout_hold_releases");
        assert_eq!(lifted, "tester its end moved banks");
        shop.process(&[]).expect_code(0);
        assert_eq!(status(&shop, "INV-1"), "PENDING");
        shop.env.run(&["release", "--creator", "cr_ann"]).expect_code(0);
        shop.process(&[]).expect_code(0);
        shop.assert_paid_exactly_once();
    }

    fn a_hold_without_an_end_is_not_ended_by_one_that_had_one(db: TestDb) {
        let mut shop = Shop::open(db);
        batch(&shop);
        shop.env.run(&["hold", "--all", "--reason", "lunch", "--until", "2h"]).expect_code(0);
        // Shorter than what stands: nothing to do.
        let run = shop.env.run(&["hold", "--all", "--reason", "tea", "--until", "1h"]).expect_code(0);
        assert!(run.stdout.contains("was held before"), "{run}");
        let run = shop.env.run(&["hold", "--all", "--reason", "incident"]).expect_code(0);
        assert!(run.stdout.contains("incident") && !run.stdout.contains("until"), "{run}");
        shop.pass(Duration::from_secs(3 * 3600));
        shop.process(&[]).expect_code(4);
        assert_eq!(shop.transfers().len(), 0);
        let lifted = shop.one("SELECT reason || ': ' || note FROM payout_hold_releases");
        assert_eq!(lifted, "lunch: held for longer");
    }

    fn no_clock_releases_a_new_batch(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        shop.env.write("batch.csv", "creator,amount,reference\ncr_ann,10.00,INV-1\n");
        shop.env.run(&["create", "--file", "batch.csv"]).expect_code(0);
        let batch = shop.one("SELECT id FROM payout_batches");
        let run = shop.env.run(&["hold", &batch, "--reason", "wait", "--until", "1h"]).expect_code(4);
        assert!(run.stderr.contains("nobody has released it yet"), "{run}");
        shop.pass(Duration::from_secs(2 * 3600));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 0);
        shop.env.run(&["hold", &batch, "--reason", "wrong month"]).expect_code(0);
        shop.process(&["--batch", &batch]).expect_code(0);
        assert_eq!(shop.transfers().len(), 0);
    }

    fn holding_and_releasing_twice_change_nothing(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        let run = |args: &[&str]| shop.env.run(args).expect_code(0);
        run(&["hold", "cp0", "--reason", "first"]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&["hold", "cp0", "cp0", "--reason", "second"]).transcript(), @r"
            $ payouts hold cp0 cp0 --reason second
            What        State                        Pending  Held
            payout cp0  was held before  1 payout, 10.00 USD  by tester since 2026-11-02 09:30 UTC: first
            --- stderr
            --- exit 0
            ");
        }
        run(&["release", "cp0"]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&["release", "cp0"]).transcript(), @r"
            $ payouts release cp0
            What        State                     Pending  Held
            payout cp0  was not held  1 payout, 10.00 USD
            --- stderr
            --- exit 0
            ");
        }
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_runs"), "2");
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_history"), "2");
        // And again, within the same moment.
        run(&["hold", "cp0", "--reason", "third"]);
        run(&["release", "cp0"]);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_hold_releases"), "2");
    }

    fn what_cannot_be_held_is_refused_before_anything_is_done(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&["cp0"]).expect_code(0);
        let run = |args: &[&str]| shop.env.run(args);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&["hold", "cp1", "cp0", "--reason", "no"]).transcript(), @r"
            $ payouts hold cp1 cp0 --reason no
            --- stderr
            error: payout cp0 is paid, so that there is nothing to hold
            hint: what is paid can only be reversed, in Stripe's dashboard
            --- exit 1
            ");
            insta::assert_snapshot!(run(&["hold", "cp1", "nothing", "--reason", "no"]).transcript(), @r"
            $ payouts hold cp1 nothing --reason no
            --- stderr
            error: there is no payout or batch nothing
            hint: find it with `payouts list` or `payouts batches list`
            --- exit 1
            ");
        }
        run(&["hold", "--creator", "nobody", "--reason", "no"]).expect_code(1);
        run(&["hold", "--batch", "nothing", "--reason", "no"]).expect_code(1);
        for wrong in [
            &["hold", "cp1"][..],
            &["hold", "--reason", "no"],
            &["hold", "cp1", "--reason", "  "],
            &["hold", "cp1", "--all", "--reason", "no"],
            &["release"],
            &["cancel", "cp1"],
            &["cancel", "--reason", "no"],
            &["cancel", "cp1", "--batch", "b1", "--reason", "no"],
        ] {
            run(wrong).expect_code(2);
        }
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_holds"), "0");
    }

    fn what_is_cancelled_is_never_sent_and_frees_its_reference(db: TestDb) {
        let shop = Shop::open(db);
        batch(&shop);
        let payout = id_of(&shop, "INV-1");
        let run = |args: &[&str]| shop.env.run(args);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&["cancel", &payout, "--reason", "wrong amount"]).transcript(), @r"
            $ payouts cancel c000000000000000000000001 --reason 'wrong amount'
            Payout                     Creator     Amount  Result
            c000000000000000000000001  cr_ann   10.00 USD  cancelled
            cancelled: 1 payout, 10.00 USD
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(run(&["list", "--status", "FAILED"]).transcript(), @r"
            $ payouts list --status FAILED
            Payout                     Created           Creator  Amount (USD)  Status  Transfer / reason        Reference  Next retry
            c000000000000000000000001  2026-11-02 09:30  ann             10.00  FAILED  cancelled: wrong amount             cancelled
            1 payout, 10.00 USD: 1 FAILED 10.00
            --- stderr
            --- exit 0
            ");
        }
        let row = shop.db.query_strings(&format!(
            "SELECT status, failed_reason, CAST(retry_count AS TEXT), last_retry_at FROM payouts WHERE id = '{payout}'"
        ));
        assert_eq!(row, [[Some("FAILED"), Some("cancelled: wrong amount"), Some("0"), None].map(|text| text.map(str::to_owned))]);
        let listed = json(&run(&["list", "--status", "FAILED", "-o", "json"]));
        assert_eq!(listed["payouts"][0]["failed_code"], "cancelled");
        assert_eq!(listed["payouts"][0]["retry_refusal"], "cancelled");
        let refused = json(&run(&["retry", &payout, "--force", "-o", "json"]).expect_code(1));
        assert_eq!(refused["payouts"][0]["reason_code"], "cancelled");
        let shown = json(&run(&["show", &payout, "-o", "json"]))["payouts"][0].clone();
        assert!(shown["next_step"].as_str().unwrap().contains("it was cancelled"), "{shown}");
        assert_eq!(shown["history"][1]["event"], "cancelled");
        assert_eq!(shown["history"][1]["reason"], "wrong amount (its reference was INV-1)");
        // Loaded again, corrected, under the same reference.
        shop.env.write("batch.csv", "creator,amount,reference\ncr_ann,11.00,INV-1\ncr_ben,20.00,INV-2\n");
        let created = json(&run(&["create", "--file", "batch.csv", "--release", "-o", "json"]).expect_code(0));
        assert_eq!((&created["created"], &created["already_loaded"]), (&1.into(), &1.into()));
        run(&["process"]).expect_code(0);
        let mut amounts: Vec<i64> = shop.transfers().iter().map(|transfer| transfer.amount).collect();
        amounts.sort_unstable();
        assert_eq!(amounts, [1100, 2000]);
        shop.assert_paid_exactly_once();
    }

    fn other_software_cannot_bring_a_cancelled_payout_back(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann_closed");
        shop.payout("cp0", "ann_closed", 1000);
        shop.process(&[]).expect_code(1);
        let run = |args: &[&str]| shop.env.run(args);
        run(&["retry", "cp0"]).expect_code(0);
        run(&["cancel", "cp0", "--reason", "closed"]).expect_code(0);
        assert_eq!(shop.one("SELECT retry_count FROM payouts"), "1");
        shop.db.execute("UPDATE payouts SET status = 'PENDING', failed_reason = NULL");
        shop.db.execute(r#"UPDATE creators SET "stripeAccountId" = 'acct_open'"#);
        let run = run(&["process"]).expect_code(1);
        assert!(run.stdout.contains("was cancelled; other software set it back"), "{run}");
        assert_eq!(shop.transfers().len(), 0);
    }

    fn a_cancelled_payout_stays_so_when_other_software_wipes_every_mark(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.env.run(&["cancel", "cp0", "--reason", "wrong person"]).expect_code(0);
        shop.db.execute("UPDATE payouts SET status = 'PENDING', failed_reason = NULL");
        let run = shop.process(&[]).expect_code(1);
        assert!(run.stdout.contains("was cancelled; other software set it back"), "{run}");
        assert_eq!(shop.transfers().len(), 0);
    }

    fn naming_a_batch_does_not_lift_a_persons_hold(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        shop.env.write("b.csv", "creator,amount,reference\ncr_ann,5.00,A\ncr_ann,6.00,B\n");
        let created = shop.env.run(&["create", "--file", "b.csv", "-o", "json"]).expect_code(0);
        let created: Value = serde_json::from_str(&created.stdout).unwrap();
        let batch = created["batch_id"].as_str().or(created["batch"]["id"].as_str()).unwrap().to_owned();
        // Also while it is still held for being new.
        shop.pass(Duration::from_secs(60));
        shop.env.run(&["hold", "--batch", &batch, "--reason", "fraud suspected"]).expect_code(0);
        shop.process(&["--batch", &batch]).expect_code(0);
        assert_eq!(shop.transfers().len(), 0);
        shop.env.run(&["release", &batch]).expect_code(0);
        shop.process(&["--batch", &batch]).expect_code(0);
        assert_eq!(shop.transfers().len(), 2);
    }

    fn a_cancelled_payout_frees_its_statement(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        shop.statement("st1", "ann", 1000);
        let create = ["create", "--creator", "cr_ann", "--amount", "10.00", "--statement", "st1"];
        shop.env.run(&create).expect_code(0);
        shop.env.run(&create).expect_code(1);
        let first = shop.one("SELECT id FROM payouts");
        // Nothing of this attempt was executed: the key may not write.
        shop.env.set("STRIPE_SECRET_KEY", "rk_test_readonly");
        shop.process(&[]).expect_code(3);
        shop.env.set("STRIPE_SECRET_KEY", "sk_test_shop");
        assert_eq!(shop.outcomes(&first), ["not_sent"]);
        shop.env.run(&["cancel", &first, "--reason", "too early"]).expect_code(0);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_statement_claims"), "0");
        shop.env.run(&create).expect_code(0);
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.one("SELECT status FROM royalty_statements"), "PAID");
        assert_eq!((shop.status(&first), shop.transfers().len()), ("FAILED".into(), 1));
        shop.assert_paid_exactly_once();
    }

    fn a_batch_is_cancelled_as_far_as_it_was_never_sent(db: TestDb) {
        let shop = Shop::open(db);
        let batch = batch(&shop);
        let paid = id_of(&shop, "INV-2");
        shop.process(&[&paid]).expect_code(0);
        let cancel = || shop.env.run(&["cancel", "--batch", &batch, "--reason", "wrong file"]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(cancel().transcript(), @r"
            $ payouts cancel --batch c000000000000000000000001 --reason 'wrong file'
            Payout                     Creator     Amount  Result
            c000000000000000000000002  cr_ann   10.00 USD  cancelled
            c000000000000000000000003  cr_ben   20.00 USD  refused: paid
            cancelled: 1 payout, 10.00 USD; 1 refused
            paid: its transfer was made, and only a reversal at Stripe takes it back
            --- stderr
            --- exit 1
            ");
            // What was cancelled before is no reason to complain; what was paid is.
            insta::assert_snapshot!(cancel().transcript(), @r"
            $ payouts cancel --batch c000000000000000000000001 --reason 'wrong file'
            Payout                     Creator     Amount  Result
            c000000000000000000000003  cr_ben   20.00 USD  refused: paid
            nothing to cancel; 1 refused
            paid: its transfer was made, and only a reversal at Stripe takes it back
            --- stderr
            --- exit 1
            ");
        }
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_history WHERE event = 'cancelled'"), "1");
        assert_eq!(shop.one("SELECT exit_code FROM payout_runs WHERE command = 'cancel'"), "1");
        assert_eq!(shop.status(&paid), "COMPLETED");
    }

    fn what_a_run_has_claimed_is_not_cancelled_under_its_hands(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.env.set("PAYOUTS_CONCURRENCY", "1");
        shop.payouts(10);
        shop.fault("c3", Fault::HangBefore, 1);
        let process = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        let ids: Vec<String> = (0..10).map(|number| format!("cp{number}")).collect();
        let mut args = vec!["cancel", "--reason", "stop", "-o", "json"];
        args.extend(ids.iter().map(String::as_str));
        let answer = json(&shop.env.run(&args).expect_code(1));
        let refused: Vec<&Value> = answer["payouts"].as_array().unwrap().iter()
            .filter(|row| row["result"] == "refused")
            .collect();
        // What is paid or claimed, up to the one that hangs and the few behind it.
        let reasons: Vec<&str> = refused.iter().map(|row| row["reason_code"].as_str().unwrap()).collect();
        // Some may be on their way into the run's hands at that very moment.
        assert!(reasons.iter().all(|reason| ["paid", "unresolved", "changed"].contains(reason)), "{reasons:?}");
        assert!((4..10).contains(&reasons.len()), "{reasons:?}");
        shop.stripe.release();
        process.wait_with_output().unwrap();
        assert_eq!(shop.transfers().len(), refused.len());
        shop.assert_paid_exactly_once();
    }

    fn what_may_have_left_the_machine_is_not_cancelled(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        shop.creator("other");
        shop.foreign_payout("cf0", "other", 500);
        shop.db.execute("UPDATE payouts SET retry_count = 1 WHERE id = 'cf0'");
        shop.fault("c0", Fault::Error500After, 1);
        shop.process(&["cp0"]).expect_code(5);
        shop.db.execute("UPDATE payouts SET status = 'FAILED' WHERE id = 'cp1'");
        // What was unknown stays so, also where other software set the row back.
        shop.db.execute("UPDATE payouts SET status = 'PENDING' WHERE id = 'cp0'");
        let run = shop.env.run(&["cancel", "cp0", "cp1", "cp2", "cf0", "--reason", "stop", "-o", "json"]).expect_code(1);
        let answer = json(&run);
        let results: Vec<(&str, &str)> = answer["payouts"].as_array().unwrap().iter()
            .map(|row| (row["id"].as_str().unwrap(), row["reason_code"].as_str().or(row["result"].as_str()).unwrap()))
            .collect();
        assert_eq!(results, [
            ("cp2", "cancelled"),
            ("cp0", "unresolved"),
            ("cp1", "maybe_sent_elsewhere"),
            ("cf0", "maybe_sent_elsewhere"),
        ]);
        assert_eq!((&answer["cancelled"], &answer["refused"]), (&1.into(), &3.into()));
    }
}

#[test]
fn a_person_is_asked_before_anything_is_cancelled() {
    let shop = Shop::open(TestDb::sqlite());
    shop.payouts(1);
    let args = ["cancel", "cp0", "--reason", "wrong"];
    let question = "Cancel for good: 1 payout, 10.00 USD?";
    let run = shop.env.run_in_terminal(100, &args, &[(question, "n")]);
    insta::assert_snapshot!(run.expect_code(4).transcript(), @r"
    $ payouts cancel cp0 --reason wrong
    Payout  Creator     Amount  Result
    cp0     cr_c0    10.00 USD  would be cancelled
    would be cancelled: 1 payout, 10.00 USD
    Cancel for good: 1 payout, 10.00 USD? no
    error: declined; nothing was changed
    --- stderr
    --- exit 4
    ");
    assert_eq!(shop.status("cp0"), "PENDING");
    shop.env
        .run_in_terminal(100, &args, &[(question, "y")])
        .expect_code(0);
    assert_eq!(shop.status("cp0"), "FAILED");
}
