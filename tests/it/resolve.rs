//! `payouts resolve`: every condition of letting go refused one by one, what follows when all are
//! met, and that a request which Stripe completes afterwards is seen by every part of the tool.

use std::time::Duration;

use payouts::sandbox::{Fault, FaultPlan, FaultRule};
use serde_json::Value;

use crate::common::db::{Backend, TestDb, on_both};
use crate::common::shop::Shop;
use crate::sandbox_client;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const RELEASE: [&str; 4] = ["--release", "--reason", "Stripe never answered", "--yes"];

/// `payouts resolve cp0` and more, and the one payout of its answer.
fn resolve(shop: &Shop, more: &[&str], code: i32) -> Value {
    let mut args = vec!["resolve", "cp0", "-o", "json"];
    args.extend(more);
    let run = shop.env.run(&args).expect_code(code);
    let mut answer: Value =
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"));
    answer["payouts"][0].take()
}

/// Why a person may not let go, and from when on that may be.
fn refused(shop: &Shop) -> (String, String) {
    let one = resolve(shop, &RELEASE, 5);
    assert_eq!(one["result"], "unresolved", "{one:#}");
    assert_ne!(shop.status("cp0"), "PENDING");
    let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
    (text("reason_code"), text("releasable_from"))
}

/// One payout whose key holds an error, and of which nothing was executed.
fn stored_500(db: TestDb) -> Shop {
    let shop = Shop::open(db);
    shop.payouts(1);
    shop.fault("c0", Fault::Error500Before, 1);
    shop.process(&[]).expect_code(5);
    // The run waited before it asked again; to the minute, all of it was at 9:30.
    shop.db
        .execute("UPDATE payout_runs SET ended_at = '2026-11-02 09:30:00'");
    shop.db
        .execute("UPDATE payout_attempts SET last_sent_at = '2026-11-02 09:30:00'");
    shop
}

/// The same after the two look-ups that letting go takes.
fn looked_up_twice(db: TestDb) -> Shop {
    let mut shop = stored_500(db);
    for _ in 0..2 {
        shop.pass(61 * MINUTE);
        resolve(&shop, &[], 5);
    }
    shop
}

fn look_ups(shop: &Shop) -> String {
    shop.one("SELECT COUNT(*) FROM payout_lookups")
}

on_both! {
    fn a_person_lets_go_and_the_payout_is_paid_once_under_a_new_key(db: TestDb) {
        let mut shop = stored_500(db);
        // The run's own end is 9:30: the first look-up that counts is an hour later.
        assert_eq!(refused(&shop), ("look_up_missing".into(), "2026-11-02T11:30:00.000Z".into()));
        shop.pass(59 * MINUTE);
        assert_eq!(refused(&shop).0, "look_up_missing");
        shop.pass(MINUTE);
        assert_eq!(refused(&shop), ("second_look_up_missing".into(), "2026-11-02T11:30:00.000Z".into()));
        shop.pass(59 * MINUTE);
        assert_eq!(refused(&shop), ("second_look_up_missing".into(), "2026-11-02T11:30:00.000Z".into()));
        shop.pass(MINUTE);
        // Without a terminal nobody agreed to it yet.
        let run = shop.env.run(&["resolve", "cp0", "--release", "--reason", "why"]).expect_code(4);
        assert!(run.stderr.contains("give --yes"), "{run}");
        assert_eq!(shop.outcomes("cp0"), ["unknown"]);
        let one = resolve(&shop, &RELEASE, 0);
        assert_eq!((one["result"].as_str(), one["attempt"].as_i64()), (Some("released"), Some(1)), "{one:#}");
        assert_eq!((shop.status("cp0"), shop.outcomes("cp0")), ("PENDING".into(), vec!["released".into()]));
        let reason = shop.one("SELECT reason FROM payout_history WHERE event = 'closed'");
        assert!(reason.starts_with("attempt 1 without proof: Stripe never answered (nothing was found at"), "{reason}");
        // Neither put back nor ended by hand: only `process` goes on with it.
        shop.env.run(&["retry", "cp0"]).expect_code(1);
        shop.env.run(&["cancel", "cp0", "--reason", "why", "--yes"]).expect_code(1);
        shop.process(&[]).expect_code(0);
        assert_eq!((shop.status("cp0"), shop.outcomes("cp0")), ("COMPLETED".into(), vec!["released".into(), "paid".into()]));
        assert_eq!(shop.transfers()[0].idempotency_key.as_deref(), Some("payout_cp0_2"));
        shop.assert_paid_exactly_once();
        assert_eq!(resolve(&shop, &[], 0)["result"], "settled");
    }

    fn the_look_ups_of_process_count(db: TestDb) {
        let mut shop = stored_500(db);
        for _ in 0..2 {
            shop.pass(HOUR);
            shop.process(&[]).expect_code(5);
        }
        assert_eq!(look_ups(&shop), "2");
        // A dry run writes nothing, and what says the same within the hour is not kept.
        shop.process(&["--dry-run"]);
        shop.process(&[]).expect_code(5);
        assert_eq!(look_ups(&shop), "2");
        let shown = shop.env.run(&["show", "cp0"]).expect_code(0).stdout;
        assert!(shown.contains("Look-ups at Stripe\n  2026-11-02 10:30:00.000 UTC  attempt 1  nothing"), "{shown}");
        assert_eq!(resolve(&shop, &RELEASE, 0)["result"], "released");
    }

    fn a_young_key_is_sent_again_and_never_let_go_of(db: TestDb) {
        let mut shop = stored_500(db);
        shop.db.execute("UPDATE payout_attempts SET stored_error = FALSE");
        for _ in 0..2 {
            shop.pass(61 * MINUTE);
            assert_eq!(refused(&shop), ("sent_again_by_process".into(), "2026-11-03T10:30:00.000Z".into()));
        }
        // What was looked at before says nothing: it may have been sent again since.
        shop.pass(22 * HOUR);
        assert_eq!(refused(&shop), ("second_look_up_missing".into(), "2026-11-03T10:32:00.000Z".into()));
        shop.pass(HOUR);
        assert_eq!(resolve(&shop, &RELEASE, 0)["result"], "released");
    }

    fn what_a_live_run_has_in_hand_is_left_to_it(db: TestDb) {
        let shop = looked_up_twice(db);
        shop.db.execute("UPDATE payout_runs SET ended_at = NULL, seen_at = '2026-11-02 11:32:00' WHERE command = 'process'");
        // On PostgreSQL a run without a session is over, whatever its row says.
        if shop.db.backend() == Backend::Sqlite {
            let one = resolve(&shop, &RELEASE, 5);
            assert_eq!((&one["result"], &one["reason_code"]), (&"in_flight".into(), &"held_by_a_run".into()), "{one:#}");
            let run = shop.env.run(&["resolve", "cp0", "--paid", "tr_1"]).expect_code(4);
            assert!(run.stderr.contains("Stripe has no such transfer"), "{run}");
        }
        // It might have sent until its last sign of life and a lease: two more look-ups are missing.
        shop.db.execute("UPDATE payout_runs SET ended_at = '2026-11-02 11:32:00' WHERE command = 'process'");
        assert_eq!(refused(&shop), ("look_up_missing".into(), "2026-11-02T13:32:00.000Z".into()));
    }

    // A bank transfer, say: whoever set the status must say how it was paid.
    fn what_other_software_marked_completed_is_neither_sent_again_nor_let_go_of(db: TestDb) {
        let mut shop = looked_up_twice(db);
        shop.db.execute("UPDATE payouts SET status = 'COMPLETED', processed_at = '2026-11-02 11:00:00'");
        assert_eq!(refused(&shop).0, "said_to_be_paid");
        shop.db.execute("UPDATE payout_attempts SET stored_error = FALSE");
        let run = shop.process(&[]).expect_code(5);
        assert!(run.stderr.contains("its row says COMPLETED"), "{run}");
        shop.pass(HOUR);
        shop.process(&[]).expect_code(5);
        assert_eq!((shop.transfers().len(), shop.status("cp0")), (0, "COMPLETED".into()));
    }

    fn another_account_and_a_failed_look_up_prove_nothing(db: TestDb) {
        let mut shop = looked_up_twice(db);
        shop.db.execute("UPDATE payout_attempts SET stripe_account = 'acct_other'");
        assert_eq!(refused(&shop).0, "other_account");
        shop.db.execute("UPDATE payout_attempts SET stripe_account = 'acct_sandboxplatform'");
        for what in ["transfers.list", "events.list"] {
            let before = look_ups(&shop);
            let fault = FaultRule::on(what, Fault::Html503).times(100);
            shop.stripe.faults_add(FaultPlan::of([fault])).unwrap();
            assert_eq!(refused(&shop).0, "look_up_failed", "{what}");
            shop.stripe.faults_clear();
            assert_eq!(look_ups(&shop), before);
        }
        shop.db.execute("UPDATE payout_lookups SET stripe_account = 'acct_other'");
        shop.pass(MINUTE);
        assert_eq!(refused(&shop).0, "second_look_up_missing");
    }

    fn an_event_with_its_key_stands_against_it(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.fault("c0", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        // The lists show nothing of it, as if somebody had changed what it can be found by.
        shop.db.execute("UPDATE payout_attempts SET transfer_group = 'lost', payout_id = 'cp0', destination = 'acct_lost'");
        for _ in 0..2 {
            shop.pass(61 * MINUTE);
            resolve(&shop, &[], 5);
        }
        let one = resolve(&shop, &RELEASE, 5);
        assert_eq!(one["reason_code"], "does_not_fit", "{one:#}");
        assert!(one["found"].as_str().unwrap().contains("an event says that its key made transfer tr_"), "{one:#}");
        shop.db.execute("UPDATE payout_attempts SET destination = 'acct_c0'");
        assert_eq!(resolve(&shop, &RELEASE, 0)["result"], "adopted");
        shop.assert_paid_exactly_once();
    }

    fn what_is_found_is_recorded_and_nothing_is_let_go_of(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.fault("c0", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        let one = resolve(&shop, &RELEASE, 0);
        assert_eq!((&one["result"], &one["transfer_id"]), (&"adopted".into(), &shop.transfers()[0].id.as_str().into()));
        shop.assert_paid_exactly_once();
    }

    fn what_was_let_go_of_and_refused_since_is_retried_by_its_id(db: TestDb) {
        let shop = looked_up_twice(db);
        assert_eq!(resolve(&shop, &RELEASE, 0)["result"], "released");
        refuse_next(&shop);
        // Not even a code that needs nobody is tried again by itself.
        shop.db.execute("UPDATE payout_attempts SET error_code = 'balance_insufficient' WHERE attempt = 2");
        shop.db.execute("UPDATE payouts SET last_retry_at = '2026-11-01 09:30:00'");
        for all in [["retry", "--due"], ["retry", "--all"]] {
            shop.env.run(&all);
            assert_eq!(shop.status("cp0"), "FAILED", "{all:?}");
        }
        shop.env.run(&["retry", "cp0"]).expect_code(0);
        assert_eq!(shop.status("cp0"), "PENDING");
        shop.db.execute(r#"UPDATE creators SET "stripeAccountId" = 'acct_c0'"#);
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.outcomes("cp0"), ["released", "declined", "paid"]);
        assert_eq!(shop.transfers()[0].idempotency_key.as_deref(), Some("payout_cp0_3"));
        shop.assert_paid_exactly_once();
    }

    fn what_was_let_go_of_and_refused_since_is_cancelled_and_still_watched(db: TestDb) {
        let shop = released_and_held_back(db);
        refuse_next(&shop);
        shop.env.run(&["cancel", "cp0", "--reason", "paid in cash", "--yes"]).expect_code(0);
        assert_eq!(shop.status("cp0"), "FAILED");
        shop.process(&[]).expect_code(0);
        shop.stripe.release();
        wait_for_transfers(&shop, 1);
        shop.process(&[]).expect_code(4);
        shop.env.run(&["reconcile", "--fix"]).expect_code(0);
        assert_eq!((shop.status("cp0"), shop.outcomes("cp0")), ("COMPLETED".into(), vec!["paid".into(), "declined".into()]));
    }

    fn what_was_let_go_of_and_paid_after_all_is_not_retried(db: TestDb) {
        let shop = released_and_held_back(db);
        refuse_next(&shop);
        shop.stripe.release();
        wait_for_transfers(&shop, 1);
        shop.env.run(&["reconcile"]).expect_code(1);
        for by_hand in [&["retry", "cp0"][..], &["cancel", "cp0", "--reason", "why", "--yes"]] {
            let run = shop.env.run(by_hand).expect_code(1);
            assert!(run.stdout.contains("a transfer that names it was found at Stripe"), "{run}");
        }
        assert_eq!(resolve(&shop, &[], 0)["result"], "adopted");
        shop.env.run(&["retry", "cp0"]).expect_code(1);
        assert_eq!(shop.outcomes("cp0"), ["paid", "declined"]);
    }

    // The risk that letting go takes: Stripe completes the first request after the second was paid.
    fn a_late_transfer_beside_a_paid_one_is_an_alarm_until_somebody_accepts_it(db: TestDb) {
        let shop = released_and_held_back(db);
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.outcomes("cp0"), ["released", "paid"]);
        shop.stripe.release();
        wait_for_transfers(&shop, 2);
        // The guard refuses to send anything, and says why.
        let run = shop.process(&[]).expect_code(4);
        assert!(run.stderr.contains("Stripe holds 1 transfer that this database made"), "{run}");
        let one = resolve(&shop, &[], 5);
        assert_eq!(one["result"], "alarm", "{one:#}");
        assert_eq!((shop.status("cp0"), shop.outcomes("cp0")), ("COMPLETED".into(), vec!["surplus".into(), "paid".into()]));
        // From then on it is known for what it is, and every run says so.
        for _ in 0..2 {
            let run = shop.process(&[]).expect_code(5);
            assert!(run.stderr.contains("payout cp0 was paid twice"), "{run}");
        }
        assert_eq!(resolve(&shop, &[], 5)["result"], "alarm");
        let run = shop.env.run(&["reconcile", "-o", "json"]).expect_code(5);
        let findings: Value = serde_json::from_str(&run.stdout).unwrap();
        let finding = findings["findings"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(findings["findings"][0]["kind"], "two_transfers", "{run}");
        shop.env.run(&["reconcile", "--accept", &finding, "--reason", "the creator pays it back"]).expect_code(0);
        shop.process(&[]).expect_code(0);
    }

    fn a_late_transfer_beside_a_paid_one_counts_for_its_statement(db: TestDb) {
        let shop = released_and_held_back_with(db, |shop| {
            shop.statement("s1", "c0", 5_000);
            shop.db.execute("UPDATE payouts SET royalty_statement_id = 's1'");
        });
        shop.process(&[]).expect_code(0);
        shop.stripe.release();
        wait_for_transfers(&shop, 2);
        resolve(&shop, &[], 5);
        let rest = |shop: &Shop| shop.one("SELECT CAST(amount_cents AS TEXT) FROM payouts WHERE id <> 'cp0'");
        shop.env.run(&["create", "--from-statements", "--release"]).expect_code(0);
        assert_eq!(rest(&shop), "3000");
        // Taken back whichever of the two: one of them stands, and nothing is owed for it.
        let paid = shop.one("SELECT stripe_transfer_id FROM payouts WHERE id = 'cp0'");
        shop.stripe.reverse(&paid, 1000).expect("it can be reversed");
        shop.env.run(&["reconcile", "--fix"]).expect_code(5);
        let told = shop.env.run(&["show", "cp0", "-o", "json"]).expect_code(0);
        assert!(!told.stdout.contains("\"reversed_cents\": 1000"), "{told}");
        shop.process(&[]).expect_code(5);
        assert_eq!(shop.transfers().iter().map(|t| t.amount - t.amount_reversed).sum::<i64>(), 4_000);
        let rest = shop.env.run(&["statements", "show", "s1", "-o", "json"]).expect_code(0);
        assert!(rest.stdout.contains("\"left_cents\": 1000"), "{rest}");
    }

    fn a_late_transfer_of_what_was_let_go_of_is_the_payment(db: TestDb) {
        let shop = released_and_held_back(db);
        shop.stripe.release();
        wait_for_transfers(&shop, 1);
        shop.process(&[]).expect_code(4);
        assert_eq!(resolve(&shop, &[], 0)["result"], "adopted");
        assert_eq!((shop.status("cp0"), shop.outcomes("cp0")), ("COMPLETED".into(), vec!["paid".into()]));
        shop.process(&[]).expect_code(0);
        shop.assert_paid_exactly_once();
    }

    // Both at once, and nobody has heard of either: a person says which one paid it.
    fn of_two_transfers_a_person_names_the_payment_and_the_other_is_an_alarm(db: TestDb) {
        let shop = released_and_held_back(db);
        shop.fault("c0", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        shop.stripe.release();
        wait_for_transfers(&shop, 2);
        for _ in 0..2 {
            let run = shop.process(&[]).expect_code(5);
            assert!(run.stderr.contains("Stripe holds several transfers for it"), "{run}");
        }
        let one = resolve(&shop, &RELEASE, 5);
        assert_eq!(one["reason_code"], "does_not_fit", "{one:#}");
        assert_eq!(shop.outcomes("cp0"), ["released", "unknown"]);
        let second = shop.transfers().into_iter().find(|t| t.idempotency_key.as_deref() == Some("payout_cp0_2")).unwrap();
        resolve(&shop, &["--paid", &second.id], 0);
        assert_eq!((shop.status("cp0"), shop.outcomes("cp0")), ("COMPLETED".into(), vec!["released".into(), "paid".into()]));
        shop.process(&[]).expect_code(4);
        assert_eq!(resolve(&shop, &[], 5)["result"], "alarm");
        assert_eq!(shop.outcomes("cp0"), ["surplus", "paid"]);
        shop.process(&[]).expect_code(5);
        // Nobody who only looks at `check` misses it, until it was taken back.
        let run = shop.env.run(&["check"]).expect_code(2);
        assert!(run.stdout.contains("critical paid_twice: 1 payout, 10.00 USD, paid twice"), "{run}");
        let first = shop.transfers().into_iter().find(|t| t.id != second.id).unwrap();
        shop.stripe.reverse(&first.id, 400).unwrap();
        shop.env.run(&["reconcile", "--fix"]);
        assert!(shop.env.run(&["check"]).stdout.contains("paid_twice"));
        shop.stripe.reverse(&first.id, 600).unwrap();
        shop.env.run(&["reconcile", "--fix"]);
        let run = shop.env.run(&["check"]);
        assert!(!run.stdout.contains("paid_twice"), "{run}");
    }

    fn reconcile_records_a_late_transfer_on_the_attempt_that_made_it(db: TestDb) {
        let shop = released_and_held_back(db);
        shop.stripe.release();
        wait_for_transfers(&shop, 1);
        shop.env.run(&["reconcile", "--fix"]).expect_code(0);
        assert_eq!((shop.status("cp0"), shop.outcomes("cp0")), ("COMPLETED".into(), vec!["paid".into()]));
        shop.process(&[]).expect_code(0);
        shop.assert_paid_exactly_once();
    }

    fn a_person_says_which_transfer_paid_it(db: TestDb) {
        let shop = stored_500(db);
        shop.payout("cp9", "c0", 1000);
        shop.statement("st1", "c0", 1000);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1' WHERE id = 'cp0'");
        let refuse = |transfer: &str, why: &str| {
            let run = shop.env.run(&["resolve", "cp0", "--paid", transfer]).expect_code(4);
            assert!(run.stderr.contains(why), "{run}");
            assert_eq!((shop.status("cp0"), shop.outcomes("cp0")), ("PROCESSING".into(), vec!["unknown".into()]));
        };
        refuse("tr_none", "Stripe has no such transfer");
        let other = by_hand(&shop, "acct_c0", "usd", 1000, "&metadata[payoutId]=cp9");
        refuse(&other, "its metadata name payout cp9");
        let group = by_hand(&shop, "acct_c0", "usd", 1000, "&transfer_group=cp9");
        refuse(&group, "it is the transfer of payout cp9");
        refuse(&by_hand(&shop, "acct_c0", "usd", 999, ""), "amount is 999, expected 1000");
        refuse(&by_hand(&shop, "acct_x", "usd", 1000, ""), "destination is acct_x, expected acct_c0");
        let held = by_hand(&shop, "acct_c0", "usd", 1000, "");
        shop.db.execute(&format!("UPDATE payouts SET stripe_transfer_id = '{held}', status = 'COMPLETED' WHERE id = 'cp9'"));
        refuse(&held, "it is the transfer of payout cp9");
        shop.db.execute("UPDATE payout_attempts SET livemode = TRUE");
        let mine = by_hand(&shop, "acct_c0", "usd", 1000, "&transfer_group=order_77");
        refuse(&mine, "livemode is false, expected true");
        shop.db.execute("UPDATE payout_attempts SET livemode = FALSE");
        let run = shop.env.run(&["resolve", "cp0", "--paid", &mine]).expect_code(0);
        assert!(run.stdout.contains(&format!("adopted  paid by {mine}")), "{run}");
        assert_eq!((shop.status("cp0"), shop.outcomes("cp0")), ("COMPLETED".into(), vec!["paid".into()]));
        assert_eq!(shop.one("SELECT status FROM royalty_statements"), "PAID");
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_history WHERE payout_id = 'cp0' AND event = 'adopted'"), "1");
        let again = by_hand(&shop, "acct_c0", "usd", 1000, "");
        let run = shop.env.run(&["resolve", "cp0", "--paid", &again]).expect_code(4);
        assert!(run.stderr.contains(&format!("payout cp0 holds transfer {mine}")), "{run}");
        shop.env.run(&["resolve", "cp0", "cp9", "--paid", &mine]).expect_code(2);
    }

    fn a_person_says_which_transfer_paid_a_row_of_other_software(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("c0");
        shop.foreign_payout("cp0", "c0", 1000);
        shop.db.execute("UPDATE payouts SET status = 'PROCESSING'");
        let mine = by_hand(&shop, "acct_c0", "usd", 1000, "");
        let wrong = by_hand(&shop, "acct_c0", "usd", 1001, "");
        shop.env.run(&["resolve", "cp0", "--paid", &wrong]).expect_code(4);
        let one = resolve(&shop, &["--paid", &mine], 0);
        assert_eq!((&one["result"], &one["transfer_id"]), (&"adopted".into(), &mine.as_str().into()), "{one:#}");
        assert_eq!((shop.status("cp0"), shop.outcomes("cp0")), ("COMPLETED".into(), vec!["paid".into()]));
    }

    fn a_row_of_other_software_is_let_go_of_by_the_same_rule(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("c0");
        shop.foreign_payout("cp0", "c0", 1000);
        shop.db.execute("UPDATE payouts SET status = 'PROCESSING', updated_at = '2026-11-02 09:00:00'");
        assert_eq!(refused(&shop), ("sent_again_by_process".into(), "2026-11-03T10:00:00.000Z".into()));
        shop.pass(24 * HOUR);
        resolve(&shop, &[], 5);
        shop.pass(HOUR);
        let one = resolve(&shop, &RELEASE, 0);
        assert_eq!((&one["result"], &one["attempt"]), (&"released".into(), &1.into()), "{one:#}");
        assert_eq!((shop.status("cp0"), shop.outcomes("cp0")), ("PENDING".into(), vec!["released".into()]));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.outcomes("cp0"), ["released", "paid"]);
        shop.assert_paid_exactly_once();
    }
}

/// A payout that a person let go of while Stripe still has its first request, and will execute it
/// when it is released.
fn released_and_held_back(db: TestDb) -> Shop {
    released_and_held_back_with(db, |_| ())
}

fn released_and_held_back_with(db: TestDb, prepare: impl FnOnce(&Shop)) -> Shop {
    let mut shop = Shop::open(db);
    shop.payouts(1);
    prepare(&shop);
    shop.env.set("PAYOUTS_TEST_TIMEOUT", "1s");
    shop.fault("c0", Fault::ExecuteLate, 1);
    shop.process(&[]).expect_code(5);
    shop.pass(24 * HOUR);
    resolve(&shop, &[], 5);
    shop.pass(HOUR);
    assert_eq!(resolve(&shop, &RELEASE, 0)["result"], "released");
    shop
}

/// Its next attempt meets a closed account.
fn refuse_next(shop: &Shop) {
    shop.db
        .execute(r#"UPDATE creators SET "stripeAccountId" = 'acct_c0_closed'"#);
    shop.process(&[]).expect_code(1);
    assert_eq!(shop.status("cp0"), "FAILED");
    assert_eq!(shop.outcomes("cp0"), ["released", "declined"]);
}

fn wait_for_transfers(shop: &Shop, count: usize) {
    while shop.transfers().len() < count {
        std::thread::yield_now();
    }
}

/// A transfer that somebody made in the dashboard.
fn by_hand(shop: &Shop, to: &str, currency: &str, cents: i64, more: &str) -> String {
    let body = format!("amount={cents}&currency={currency}&destination={to}{more}");
    let answer = sandbox_client::post(&shop.stripe, "/v1/transfers", &body)
        .api_key("sk_test_shop")
        .ok();
    answer["id"].as_str().unwrap().to_owned()
}
