//! `payouts process` against a Stripe that behaves, and one that does not: whatever happens, each
//! payout is paid exactly once, and a second run completes what the first could not.

use std::process::Stdio;
use std::time::Duration;

use payouts::sandbox::{Fault, FaultPlan, FaultRule};

use crate::common::db::{TestDb, on_both};
use crate::common::shop::Shop;
use crate::sandbox_client;

/// Sends a signal to a running command.
pub(crate) fn signal(child: &std::process::Child, name: &str) {
    let status = std::process::Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(status.success());
}

on_both! {
    fn pays_what_is_due(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(50);
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 50);
        shop.assert_paid_exactly_once();
        // The stored time is the transfer's own, the history is a chain of three.
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts WHERE processed_at IS NULL"), "0");
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_history WHERE payout_id = 'cp7'"), "2");
        assert_eq!(shop.one("SELECT exit_code FROM payout_runs"), "0");
        // An empty queue is done.
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 50);
    }

    fn the_body_is_stored_before_it_is_sent_and_sent_as_stored(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        let transfer = shop.transfers().remove(0);
        assert_eq!(transfer.idempotency_key.as_deref(), Some("payout_cp0_1"));
        assert_eq!(transfer.transfer_group.as_deref(), Some("cp0"));
        let named = |key: &str| transfer.metadata.get(key).unwrap_or_default();
        assert_eq!((named("payout_id"), named("attempt")), ("cp0".into(), "1".into()));
        assert_eq!(named("database"), shop.one("SELECT value FROM payout_settings WHERE key = 'database_id'"));
        let body = shop.one("SELECT body FROM payout_attempts");
        assert!(body.starts_with("amount=1000&currency=usd&destination=acct_c0&transfer_group=cp0&metadata"), "{body}");
    }

    // Scenario 3: an answer lost after the commit is no failure.
    fn a_lost_answer_is_asked_for_again_under_the_same_key(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        shop.fault("c1", Fault::ResetAfter, 1);
        shop.process(&[]).expect_code(0);
        shop.assert_paid_exactly_once();
        assert_eq!(shop.outcomes("cp1"), ["paid"]);
        assert_eq!(shop.one("SELECT send_count FROM payout_attempts WHERE payout_id = 'cp1'"), "2");
        // Scenario 11: the replay was not believed, the transfer was fetched.
        assert_eq!(shop.stripe.ledger().requests["transfers.retrieve"][&200], 1);
    }

    fn a_500_after_the_commit_stays_unresolved_and_the_next_run_finds_the_transfer(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        shop.fault("c1", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        assert_eq!((shop.status("cp1"), shop.outcomes("cp1")), ("PROCESSING".into(), vec!["unknown".into()]));
        shop.assert_paid_exactly_once();
        shop.process(&[]).expect_code(0);
        assert_eq!((shop.status("cp1"), shop.outcomes("cp1")), ("COMPLETED".into(), vec!["paid".into()]));
        shop.assert_paid_exactly_once();
        assert_eq!(shop.transfers().len(), 3);
    }

    // Scenario 8 in small, and the stored-500 rule: nothing is sent under a key that holds an error.
    fn a_stored_500_without_a_transfer_is_never_sent_again_by_itself(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.fault("c0", Fault::Error500Before, 1);
        shop.process(&[]).expect_code(5);
        let sent = shop.stripe.ledger().requests["transfers.create"].clone();
        shop.process(&[]).expect_code(5);
        assert_eq!(shop.stripe.ledger().requests["transfers.create"], sent);
        assert_eq!((shop.status("cp0"), shop.transfers().len()), ("PROCESSING".into(), 0));
    }

    fn scenario_08_an_error_while_looking_up_does_not_mean_not_sent(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        // The money moved, and the answer under the key says nothing about it.
        shop.fault("c0", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        let sent = shop.stripe.ledger().requests["transfers.create"].clone();
        let looks_up_in_vain = FaultRule {
            transfer_group: Some("cp0".to_owned()),
            ..FaultRule::on("transfers.list", Fault::Html503).times(100)
        };
        shop.stripe.faults_add(FaultPlan::of([looks_up_in_vain])).unwrap();
        assert_ne!(shop.process(&[]).code, 0);
        assert_eq!(shop.stripe.ledger().requests["transfers.create"], sent);
        assert_eq!(shop.status("cp0"), "PROCESSING");
        shop.stripe.faults_clear();
        shop.process(&[]).expect_code(0);
        shop.assert_paid_exactly_once();
    }

    fn what_is_known_to_be_paid_is_not_sent_whatever_its_status_says(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("c0_closed");
        shop.payout("cp0", "c0_closed", 1000);
        shop.process(&[]).expect_code(1);
        shop.db.execute(r#"UPDATE creators SET "stripeAccountId" = 'acct_c0'"#);
        // Paid by other software after our definite no, and set back by it.
        shop.db.execute("UPDATE payouts SET status = 'PENDING', stripe_transfer_id = 'tr_theirs'");
        shop.process(&[]).expect_code(1);
        shop.db.execute("UPDATE payouts SET stripe_transfer_id = NULL, retry_count = 0, failed_reason = NULL");
        shop.db.execute("INSERT INTO payout_reversals VALUES ('tr_theirs', 'cp0', 1, '2026-11-02 09:30:00')");
        shop.process(&[]).expect_code(1);
        assert_eq!((shop.transfers().len(), shop.status("cp0")), (0, "PENDING".into()));
    }

    fn a_statement_pays_nobody_but_its_creator(db: TestDb) {
        let shop = Shop::open(db);
        for name in ["ann", "ben"] {
            shop.creator(name);
        }
        shop.statement("st1", "ann", 1000);
        shop.payout("cp_ben", "ben", 1000);
        shop.payout("cp_ann", "ann", 1000);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1'");
        let run = shop.process(&[]).expect_code(1);
        assert!(run.stdout.contains("its statement belongs to another creator"), "{run}");
        assert_eq!((shop.status("cp_ben"), shop.status("cp_ann")), ("PENDING".into(), "COMPLETED".into()));
        assert_eq!(shop.transfers().len(), 1);
    }

    fn what_was_taken_back_is_never_more_than_what_was_paid(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.statement("st1", "ann", 10_000);
        shop.payout("cp0", "ann", 6000);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1'");
        shop.process(&[]).expect_code(0);
        shop.db.execute("UPDATE payouts SET amount_cents = 1000");
        shop.db.execute("INSERT INTO payout_reversals SELECT stripe_transfer_id, id, 6000, '2026-11-02 09:30:00' FROM payouts");
        let shown = shop.env.run(&["statements", "show", "st1", "-o", "json"]).expect_code(0);
        let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
        assert_eq!(shown["statement"]["left_cents"], 10_000, "{shown:#}");
    }

    fn an_answer_of_somebody_else_proves_nothing(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        shop.fault("c0", Fault::Html503After, 1);
        shop.fault("c1", Fault::CutBody, 1);
        shop.fault("c2", Fault::Redirect307, 1);
        shop.process(&[]).expect_code(5);
        assert_eq!(shop.status("cp2"), "PROCESSING");
        shop.process(&[]).expect_code(0);
        shop.assert_paid_exactly_once();
        assert!(!shop.stripe.ledger().requests.contains_key("redirect.followed"));
    }

    fn a_rate_limit_slows_down_and_burns_no_attempt(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(5);
        shop.fault("c1", Fault::Rate429, 2);
        shop.fault("c2", Fault::Lock429, 1);
        shop.process(&[]).expect_code(0);
        shop.assert_paid_exactly_once();
        assert_eq!(shop.transfers().len(), 5);
        assert_eq!(shop.one("SELECT SUM(retry_count) FROM payouts"), "0");
        assert_eq!(shop.outcomes("cp1"), ["paid"]);
    }

    // Reads share the pace: a 429 halves it, and is not held against the run.
    fn a_rate_limit_on_reads_slows_down_and_ends_no_run(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        let rule = FaultRule::on("transfers.list", Fault::Rate429).times(6);
        shop.stripe.faults_add(FaultPlan::of([rule])).expect("the fault is understood");
        shop.process(&[]).expect_code(0);
        shop.assert_paid_exactly_once();
    }

    fn a_total_of_nothing_is_not_the_total_that_was_said(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.env.run(&["hold", "--all", "--reason", "audit"]).expect_code(0);
        let run = shop.process(&["--confirm-total", "20.00"]).expect_code(4);
        assert!(run.stderr.contains("the total is 0.00 USD, not 20.00 USD"), "{}", run.stderr);
        assert!(run.stderr.contains("2 payouts, 20.00 USD: stopped by `hold --all`"), "{}", run.stderr);
    }

    // What needs a person is told by every way to run it.
    fn a_dry_run_and_a_plan_tell_what_needs_a_person(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.creator("two");
        shop.foreign_payout("cf_two", "two", 700);
        for _ in 0..2 {
            sandbox_client::post(
                &shop.stripe,
                "/v1/transfers",
                "amount=700&currency=usd&destination=acct_two&metadata[payoutId]=cf_two",
            )
            .api_key("sk_test_shop")
            .ok();
        }
        let alarm = "payout cf_two of other software is named by tr_";
        let run = shop.process(&["--dry-run"]).expect_code(5);
        assert!(run.stderr.contains(alarm), "{}", run.stderr);
        let run = shop.process(&["--confirm-total", "10.00"]).expect_code(5);
        assert!(run.stderr.contains(alarm), "{}", run.stderr);
        assert_eq!((shop.status("cp0"), shop.status("cf_two")), ("COMPLETED".into(), "PENDING".into()));
    }

    fn a_conflict_is_waited_for(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.fault("c0", Fault::Conflict409, 2);
        shop.process(&[]).expect_code(0);
        shop.assert_paid_exactly_once();
        assert_eq!(shop.one("SELECT send_count FROM payout_attempts"), "3");
    }

    // Scenarios 19 and 21: a definite no fails that payout alone.
    fn a_closed_account_fails_and_the_rest_goes_on(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("closed");
        shop.payout("cp_closed", "closed", 500);
        shop.payouts(3);
        let run = shop.process(&[]).expect_code(1);
        assert!(run.stderr.contains("failed: cp_closed 5.00 USD: resource_missing"), "{}", run.stderr);
        assert_eq!(shop.status("cp_closed"), "FAILED");
        assert_eq!(shop.one("SELECT retry_count FROM payouts WHERE id = 'cp_closed'"), "1");
        assert!(shop.one("SELECT failed_reason FROM payouts WHERE id = 'cp_closed'").contains("resource_missing"));
        assert_eq!(shop.transfers().len(), 3);
        shop.assert_paid_exactly_once();
    }

    fn a_short_balance_stops_before_the_next_payout_and_burns_nothing(db: TestDb) {
        let shop = Shop::with_balance(db, 2500);
        shop.payouts(4);
        let run = shop.process(&[]).expect_code(6);
        assert!(run.stderr.contains("10.00 USD needed, 5.00 USD available"), "{}", run.stderr);
        assert_eq!(shop.transfers().len(), 2);
        // Order is kept: the oldest two are paid, the others wait untouched.
        assert_eq!((shop.status("cp0"), shop.status("cp3")), ("COMPLETED".into(), "PENDING".into()));
        assert_eq!(shop.one("SELECT SUM(retry_count) FROM payouts"), "0");
        assert!(!shop.stripe.ledger().requests["transfers.create"].contains_key(&400));
        shop.stripe.top_up("usd", 10_000).expect("money comes in");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 4);
        shop.assert_paid_exactly_once();
    }

    // The balance was drained between the look and the send: Stripe itself says no.
    fn a_balance_that_stripe_refuses_fails_one_payout_and_stops(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        shop.fault("c0", Fault::HangBefore, 1);
        let child = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        // The other two are through; now the money goes elsewhere.
        while shop.transfers().len() < 2 { std::thread::yield_now(); }
        shop.stripe.top_up("usd", -(1_000_000_000 - 2000)).expect("money goes out");
        shop.stripe.release();
        let status = child.wait_with_output().expect("it ends").status;
        assert_eq!(status.code(), Some(6));
        assert_eq!((shop.status("cp0"), shop.outcomes("cp0")), ("FAILED".into(), vec!["declined".into()]));
        shop.assert_paid_exactly_once();
    }

    fn sigint_finishes_what_is_in_flight_and_gives_the_rest_back(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.env.set("PAYOUTS_CONCURRENCY", "2");
        shop.payouts(20);
        shop.fault("c0", Fault::HangAfter, 1);
        shop.fault("c1", Fault::HangAfter, 1);
        let child = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(2, Duration::from_secs(30)));
        signal(&child, "INT");
        // Given back while the two still hang: the signal was seen.
        while shop.one("SELECT COUNT(*) FROM payouts WHERE status = 'PROCESSING'") != "2" { std::thread::yield_now(); }
        shop.stripe.release();
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(shop.transfers().len(), 2);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts WHERE status = 'PENDING'"), "18");
        shop.assert_paid_exactly_once();
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 20);
        shop.assert_paid_exactly_once();
    }

    // Scenario 4: the process dies with the transfer made.
    fn a_killed_run_is_taken_over_and_its_transfer_adopted(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(3);
        shop.fault("c0", Fault::HangAfter, 1);
        shop.fault("c1", Fault::HangBefore, 1);
        let mut child = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(2, Duration::from_secs(30)));
        child.kill().expect("it is killed");
        child.wait().expect("it is gone");
        shop.stripe.release();
        assert_eq!(shop.status("cp0"), "PROCESSING");
        // PostgreSQL knows at once that the session is gone, SQLite after the lease.
        shop.pass(Duration::from_secs(121));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 3);
        assert_eq!(shop.status("cp0"), "COMPLETED");
        shop.assert_paid_exactly_once();
        let events = shop.one("SELECT COUNT(*) FROM payout_history WHERE event = 'adopted'");
        assert_ne!(events, "0");
    }

    // Scenario 5: what is a day old is never sent again by itself.
    fn nothing_is_sent_again_after_23_hours(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.fault("c0", Fault::HangBefore, 1);
        let mut child = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        child.kill().expect("it is killed");
        child.wait().expect("it is gone");
        // The simulator drops what it held when it sees that nobody waits any more.
        while shop.stripe.hanging() > 0 { std::thread::yield_now(); }
        shop.pass(Duration::from_secs(23 * 3600));
        let run = shop.process(&[]).expect_code(5);
        assert!(run.stderr.contains("23 hours"), "{}", run.stderr);
        assert_eq!((shop.transfers().len(), shop.status("cp0")), (0, "PROCESSING".into()));
    }

    // Scenario 15: the key of another account is refused before anything but the question whose it is.
    fn another_accounts_key_is_refused(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&["--limit", "1"]).expect_code(0);
        shop.env.set("STRIPE_SECRET_KEY", "sk_test_other_shop");
        let run = shop.process(&[]).expect_code(4);
        assert!(run.stderr.contains("this database pays from Stripe account"), "{}", run.stderr);
        assert_eq!(shop.transfers().len(), 1);
    }

    fn scenario_38_a_missing_key_is_refused_before_anything(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        for key in ["", " ", "dummy", "sk_", "pk_test_shop"] {
            shop.env.set("STRIPE_SECRET_KEY", key);
            for args in [&["process"][..], &["process", "--dry-run"], &["reconcile"], &["resolve", "cp0"]] {
                shop.env.run(args).expect_code(3);
            }
        }
        // Not one request was made, and no run was recorded.
        assert_eq!(shop.stripe.ledger().requests.len(), 0);
        assert_eq!(shop.one("SELECT CAST(COUNT(*) AS TEXT) FROM payout_runs"), "0");
        assert_eq!(shop.outcomes("cp0"), Vec::<String>::new());
    }

    fn keys_that_may_not_send_stop_before_anything_is_claimed(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(2);
        for (key, code) in [
            ("sk_live_shop", 4),          // real money was not allowed
            ("pk_test_shop", 3),          // not a secret key
            ("sk_test_expired", 3),       // refused by Stripe
            ("rk_test_noaccess", 3),      // may not even say whose it is
        ] {
            shop.env.set("STRIPE_SECRET_KEY", key);
            shop.process(&[]).expect_code(code);
        }
        shop.env.set("STRIPE_SECRET_KEY", "sk_live_shop");
        let run = shop.process(&["--live"]).expect_code(3);
        assert!(run.stderr.contains("a live key is sent to https://api.stripe.com only"), "{}", run.stderr);
        shop.env.unset("STRIPE_SECRET_KEY");
        shop.process(&[]).expect_code(3);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_attempts"), "0");
    }

    // A key that may read but not write is only found out by sending: nothing was executed.
    fn a_key_without_write_permission_stops_the_run_and_gives_everything_back(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(40);
        shop.env.set("STRIPE_SECRET_KEY", "rk_test_readonly");
        let run = shop.process(&[]).expect_code(3);
        assert!(run.stderr.contains("stopped: Stripe refuses every request"), "{}", run.stderr);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts WHERE status = 'PENDING'"), "40");
        assert_eq!(shop.one("SELECT SUM(retry_count) FROM payouts"), "0");
        shop.env.set("STRIPE_SECRET_KEY", "sk_test_shop");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 40);
        // The same attempt was opened again.
        assert_eq!(shop.outcomes("cp0"), ["paid"]);
    }

    fn stripe_away_gives_everything_back(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(2);
        shop.env.set("STRIPE_API_BASE", "http://127.0.0.1:9");
        let run = shop.process(&[]).expect_code(3);
        assert!(run.stderr.contains("Stripe did not answer"), "{}", run.stderr);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_attempts"), "0");
    }

    // Scenarios 37 and 39.
    fn holds_are_honoured_and_the_switch_stops_everything(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(4);
        let hold = |kind: &str, target: &str| shop.db.execute(&format!(
            "INSERT INTO payout_holds VALUES ('{kind}', '{target}', 'test', 'tester', '2026-11-01 12:00:00', NULL)"
        ));
        hold("payout", "cp0");
        hold("creator", "cr_c1");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 2);
        shop.db.execute("DELETE FROM payout_holds");
        hold("all", "");
        shop.process(&[]).expect_code(4);
        assert_eq!(shop.transfers().len(), 2);
        shop.db.execute("DELETE FROM payout_holds");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 4);
    }

    // Scenario 15d: a database restored from before a payment must not pay it again.
    fn a_restored_database_is_refused(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        for sql in [
            "DELETE FROM payout_answers",
            "DELETE FROM payout_attempts",
            "UPDATE payouts SET status = 'PENDING', stripe_transfer_id = NULL, processed_at = NULL",
            "DELETE FROM payout_settings WHERE key = 'watermark'",
        ] {
            shop.db.execute(sql);
        }
        let run = shop.process(&[]).expect_code(4);
        assert!(run.stderr.contains("2 transfers that this database made"), "{}", run.stderr);
        assert_eq!(shop.transfers().len(), 2);
    }

    // Otherwise every run after a batch would read all of it again.
    fn a_run_that_has_nothing_to_send_goes_on_where_the_last_one_ended(db: TestDb) {
        const HOURS: Duration = Duration::from_secs(2 * 3600);
        let mut shop = Shop::open(db);
        shop.payouts(120);
        shop.process(&[]).expect_code(0);
        let pages = |shop: &Shop, args: &[&str], code: i32| {
            let before = shop.pages_read();
            let run = shop.process(args).expect_code(code);
            (shop.pages_read() - before, run)
        };
        // What the batch's own run sent, nobody has looked at yet.
        shop.pass(HOURS);
        assert_eq!(pages(&shop, &["--dry-run"], 0).0, 2);
        assert_eq!(pages(&shop, &[], 0).0, 2);
        assert_eq!(pages(&shop, &[], 0).0, 1);
        assert_eq!(pages(&shop, &["--dry-run"], 0).0, 1);
        // What is left alone does not make it read more, and is told as ever.
        shop.creator("none");
        shop.db.execute("UPDATE creators SET \"stripeAccountId\" = NULL WHERE id = 'cr_none'");
        shop.payout("p8", "none", 800);
        let (read, run) = pages(&shop, &[], 1);
        assert_eq!(read, 1);
        assert!(run.stdout.contains("no Stripe account"), "{run}");
        // What is forgotten of the time before is told by the first run that would send.
        let paid_by = shop.transfers()[0].metadata.get("payout_id").unwrap();
        for table in ["payout_answers", "payout_attempts", "payout_batch_items"] {
            shop.db.execute(&format!("DELETE FROM {table} WHERE payout_id = '{paid_by}'"));
        }
        shop.db.execute(&format!("DELETE FROM payouts WHERE id = '{paid_by}'"));
        assert_eq!(pages(&shop, &[], 1).0, 1);
        shop.payout("p9", "c0", 900);
        for args in [&[][..], &["--dry-run"]] {
            let (read, run) = pages(&shop, args, 4);
            assert_eq!(read, 2);
            assert!(run.stderr.contains("1 transfer that this database made"), "{run}");
        }
        assert_eq!(shop.transfers().len(), 120);
    }

    // And says so until it is mended, however often.
    fn a_run_that_has_nothing_to_send_tells_what_was_forgotten_since(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.process(&[]).expect_code(0);
        let database = shop.one("SELECT value FROM payout_settings WHERE key = 'database_id'");
        let made = shop.transfer("c0", 700, &format!("&metadata[database]={database}"));
        for _ in 0..3 {
            shop.pass(Duration::from_secs(2 * 3600));
            let run = shop.process(&[]).expect_code(4);
            assert!(run.stderr.contains(&made), "{run}");
        }
    }

    // What is adopted on the way was not left alone.
    fn a_run_that_has_nothing_to_send_tells_of_what_it_adopts(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.foreign_payout("cf0", "c0", 700);
        shop.db.execute("UPDATE payouts SET retry_count = 1 WHERE id = 'cf0'");
        shop.process(&["cp0"]).expect_code(0);
        shop.transfer("c0", 700, "&metadata[payoutId]=cf0");
        let run = shop.process(&[]).expect_code(0);
        assert!(!run.stdout.contains("may have been sent"), "{run}");
        assert_eq!((shop.status("cf0"), shop.transfers().len()), ("COMPLETED".into(), 2));
    }

    // What this tool made is read whole, or it would refuse to go on after a large batch.
    fn transfers_of_other_software_are_looked_through_up_to_a_bound(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1100);
        shop.env.set("PAYOUTS_CONCURRENCY", "100");
        shop.process(&[]).expect_code(0);
        shop.payout("p9", "c0", 900);
        shop.process(&[]).expect_code(0);
        for cents in 0..1001 {
            shop.transfer("c0", 100 + cents, "");
        }
        shop.payout("p10", "c0", 1_000);
        let run = shop.process(&[]).expect_code(4);
        assert!(run.stderr.contains("more than 1000 transfers of other software since"), "{run}");
        assert_eq!(shop.status("p10"), "PENDING");
        shop.pass(Duration::from_secs(600));
        shop.transfer("c0", 100, "");
        shop.env.run(&["reconcile", "--fix", "--quiet"]).expect_code(1);
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.status("p10"), "COMPLETED");
    }

    // Its guard may have gone on from another's, and nothing may be sent on that.
    fn what_becomes_due_after_a_run_has_looked_waits_for_the_next(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.db.execute("INSERT INTO payout_holds VALUES ('payout', 'cp0', 'test', 'tester', '2026-11-01 12:00:00', NULL)");
        let hang = FaultRule::on("transfers.list", Fault::HangBefore).times(1);
        shop.stripe.faults_add(FaultPlan::of([hang])).expect("the fault is understood");
        let child = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        shop.db.execute("DELETE FROM payout_holds");
        shop.stripe.release();
        let status = child.wait_with_output().expect("it ends").status;
        assert_eq!((status.code(), shop.transfers().len()), (Some(0), 0));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 1);
    }

    // Nor is it passed over in silence what another run takes meanwhile, and leaves.
    fn what_another_run_leaves_after_a_run_has_looked_is_looked_up(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.db.execute("INSERT INTO payout_holds VALUES ('payout', 'cp0', 'test', 'tester', '2026-11-01 12:00:00', NULL)");
        let hang = FaultRule::on("transfers.list", Fault::HangBefore).times(1);
        shop.stripe.faults_add(FaultPlan::of([hang])).expect("the fault is understood");
        let child = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        shop.db.execute("DELETE FROM payout_holds");
        shop.env.set("PAYOUTS_TEST_FAILPOINT", "send.before=kill");
        shop.process(&[]).expect_code(137);
        shop.stripe.release();
        let output = child.wait_with_output().expect("it ends");
        let told = String::from_utf8_lossy(&output.stderr);
        // PostgreSQL knows at once that the other is gone; SQLite only after its lease.
        let left_to_it = told.contains("1 payout held by run");
        assert!(shop.status("cp0") == "COMPLETED" || left_to_it, "{told}");
    }

    // A plan of it is shown only once all was looked at.
    fn what_becomes_due_before_the_plan_is_guarded_like_the_rest(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.payout("p9", "c0", 900);
        shop.db.execute("INSERT INTO payout_holds VALUES ('payout', 'p9', 'test', 'tester', '2026-11-01 12:00:00', NULL)");
        shop.stripe.faults_add(FaultPlan::of([FaultRule::on("transfers.list", Fault::HangBefore).times(1)])).expect("the fault is understood");
        let child = shop.env.command(&["process", "--confirm-total", "9.00"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        shop.db.execute("DELETE FROM payout_holds");
        let before = shop.pages_read();
        shop.stripe.release();
        let status = child.wait_with_output().expect("it ends").status;
        assert_eq!((status.code(), shop.pages_read() - before, shop.transfers().len()), (Some(0), 3, 2));
    }

    // While a person reads a plan, a copy of the database may send, and somebody may pay by hand.
    fn what_is_paid_while_the_plan_is_read_is_not_sent(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        // The second list is read once the plan is agreed to.
        let hang = FaultRule { nth: Some(2), ..FaultRule::on("transfers.list", Fault::HangBefore) };
        shop.stripe.faults_add(FaultPlan::of([hang])).expect("the fault is understood");
        let child = shop.env.command(&["process", "--confirm-total", "20.00"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        let id = shop.transfer("c1", 1000, "&metadata[payout_id]=cp1");
        shop.stripe.release();
        let output = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{stderr}");
        assert!(stderr.contains(&id), "{stderr}");
        assert_eq!((shop.transfers().len(), shop.status("cp0"), shop.status("cp1")), (1, "PENDING".into(), "PENDING".into()));
    }

    // The same of what would go out again: in doubt, it is not forgotten.
    fn what_is_paid_while_the_plan_is_read_does_not_go_out_again(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&["cp1"]).expect_code(0);
        shop.fault("c0", Fault::HangBefore, 1);
        let mut child = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        child.kill().expect("it is killed");
        child.wait().expect("it is gone");
        while shop.stripe.hanging() > 0 { std::thread::yield_now(); }
        shop.pass(Duration::from_secs(121));
        // Behind the guard's own list and the two of the look-up.
        let hang = FaultRule { nth: Some(4), ..FaultRule::on("transfers.list", Fault::HangBefore) };
        shop.stripe.faults_add(FaultPlan::of([hang])).expect("the fault is understood");
        let child = shop.env.command(&["process", "--confirm-total", "10.00"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        shop.transfer("c0", 1000, "&metadata[payout_id]=cp0");
        shop.stripe.release();
        let output = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{stderr}");
        assert!(stderr.contains("a transfer names it since the plan was made"), "{stderr}");
        assert_eq!((shop.transfers().len(), shop.status("cp0")), (2, "PROCESSING".into()));
    }

    // Scenario 14: a row that other software may have sent is looked up, never sent blindly.
    fn rows_of_other_software_are_looked_up_first(db: TestDb) {
        let shop = Shop::open(db);
        for name in ["sent", "clean", "marked", "working"] {
            shop.creator(name);
            shop.foreign_payout(&format!("cf_{name}"), name, 700);
        }
        sandbox_client::post(
            &shop.stripe,
            "/v1/transfers",
            "amount=700&currency=usd&destination=acct_sent&metadata[payoutId]=cf_sent",
        )
        .api_key("sk_test_shop")
        .ok();
        shop.db.execute("UPDATE payouts SET retry_count = 1 WHERE id = 'cf_marked'");
        shop.db.execute("UPDATE payouts SET status = 'PROCESSING' WHERE id = 'cf_working'");
        // A dry run tells what its exit code stands for.
        let run = shop.process(&["--dry-run"]).expect_code(1);
        assert!(run.stderr.contains("in the hands of other software"), "{}", run.stderr);
        let run = shop.process(&[]).expect_code(1);
        assert!(run.stderr.contains("cf_sent was paid by tr_"), "{}", run.stderr);
        assert_eq!(shop.status("cf_sent"), "COMPLETED");
        assert_eq!(shop.status("cf_clean"), "COMPLETED");
        assert_eq!(shop.status("cf_marked"), "PENDING");
        assert_eq!(shop.status("cf_working"), "PROCESSING");
        assert_eq!(shop.transfers().len(), 2);
    }

    // A platform's server may stamp its rows in a local time that lies ahead of UTC.
    fn a_foreign_row_from_the_future_is_found_at_stripe_all_the_same(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ahead");
        shop.foreign_payout("cf_ahead", "ahead", 700);
        shop.db.execute("UPDATE payouts SET created_at = '2026-11-02 15:15:00'");
        sandbox_client::post(
            &shop.stripe,
            "/v1/transfers",
            "amount=700&currency=usd&destination=acct_ahead&metadata[payoutId]=cf_ahead",
        )
        .api_key("sk_test_shop")
        .ok();
        shop.process(&[]).expect_code(0);
        assert_eq!((shop.status("cf_ahead"), shop.transfers().len()), ("COMPLETED".into(), 1));
    }

    // A row that appears after Stripe was searched waits for the next run's search.
    fn a_foreign_row_that_appears_meanwhile_is_not_sent_unsearched(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("late");
        shop.payouts(2);
        shop.fault("c0", Fault::HangBefore, 1);
        let child = shop.env.command(&["process", "--limit", "9"]).env("PAYOUTS_CONCURRENCY", "1")
            .stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        shop.foreign_payout("cz_late", "late", 700);
        sandbox_client::post(
            &shop.stripe,
            "/v1/transfers",
            "amount=700&currency=usd&destination=acct_late&metadata[payoutId]=cz_late",
        )
        .api_key("sk_test_shop")
        .ok();
        shop.stripe.release();
        child.wait_with_output().expect("it ends");
        shop.process(&[]).expect_code(0);
        assert_eq!((shop.status("cz_late"), shop.transfers().len()), ("COMPLETED".into(), 3));
    }

    // Metadata that names another payout does not hide the group: a person says whose it is.
    fn a_transfer_that_bears_two_names_keeps_both_rows_back(db: TestDb) {
        let shop = Shop::open(db);
        for name in ["group", "other"] {
            shop.creator(name);
            shop.foreign_payout(&format!("cf_{name}"), name, 700);
        }
        sandbox_client::post(
            &shop.stripe,
            "/v1/transfers",
            "amount=700&currency=usd&destination=acct_group&transfer_group=cf_group&metadata[payout_id]=cf_other",
        )
        .api_key("sk_test_shop")
        .ok();
        let run = shop.process(&[]).expect_code(5);
        assert!(run.stderr.contains("payout cf_group of other software is named by tr_"), "{}", run.stderr);
        assert_eq!(shop.transfers().len(), 1);
        assert_eq!((shop.status("cf_group"), shop.status("cf_other")), ("PENDING".into(), "PENDING".into()));
    }

    // The queue is searched for stretch by stretch; a queue of other software has several of them.
    fn every_stretch_of_a_platforms_queue_is_searched(db: TestDb) {
        let shop = Shop::open(db);
        for number in 0..11 {
            let name = format!("p{number:02}");
            shop.creator(&name);
            shop.foreign_payout(&format!("cf_{name}"), &name, 700);
        }
        for paid in ["p04", "p10"] {
            let body = format!("amount=700&currency=usd&destination=acct_{paid}&metadata[payoutId]=cf_{paid}");
            sandbox_client::post(&shop.stripe, "/v1/transfers", &body).api_key("sk_test_shop").ok();
        }
        shop.process(&["--dry-run"]).expect_code(0);
        assert_eq!(shop.transfers().len(), 2);
        let run = shop.process(&[]).expect_code(0);
        assert!(run.stderr.contains("cf_p10 was paid by tr_"), "{}", run.stderr);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts WHERE status = 'COMPLETED'"), "11");
        assert_eq!(shop.transfers().len(), 11);
    }

    // A platform that pays first and commits its row afterwards: the transfer was listed before the
    // row was there, and is not listed again.
    fn a_row_that_appears_after_its_transfer_was_listed_is_not_sent(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("late");
        sandbox_client::post(
            &shop.stripe,
            "/v1/transfers",
            "amount=700&currency=usd&destination=acct_late&metadata[payoutId]=cz_late",
        )
        .api_key("sk_test_shop")
        .ok();
        shop.pass(Duration::from_secs(3600));
        shop.creator("first");
        shop.foreign_payout("ca_first", "first", 700);
        // So many that the claims are far from the end of the queue.
        shop.payouts(6);
        shop.fault("c0", Fault::HangBefore, 1);
        let child = shop.env.command(&["process"]).env("PAYOUTS_CONCURRENCY", "1")
            .stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        shop.foreign_payout("cz_late", "late", 700);
        shop.stripe.release();
        child.wait_with_output().expect("it ends");
        assert_eq!((shop.status("cz_late"), shop.transfers().len()), ("PENDING".into(), 8));
        shop.process(&[]).expect_code(0);
        assert_eq!((shop.status("cz_late"), shop.transfers().len()), ("COMPLETED".into(), 8));
    }

    // Another worker sent a row of ours and set it back: its marks say so.
    fn a_row_that_bears_marks_of_a_send_is_never_sent_whoever_made_it(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.db.execute("UPDATE payouts SET retry_count = 1, failed_reason = 'timeout'");
        shop.process(&[]).expect_code(1);
        assert_eq!((shop.transfers().len(), shop.status("cp0")), (0, "PENDING".into()));
    }

    // Scenario 21 for the ledger itself: what cannot be recorded is told and holds up nobody.
    fn an_outcome_that_cannot_be_recorded_holds_up_nobody(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        let refuse = match shop.db.backend() {
            crate::common::db::Backend::Sqlite =>
                "CREATE TRIGGER refuse BEFORE UPDATE ON payouts WHEN NEW.status = 'COMPLETED' AND NEW.id = 'cp1'
                 BEGIN SELECT RAISE(ABORT, 'not this one'); END",
            crate::common::db::Backend::Postgres =>
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     IF NEW.status = 'COMPLETED' AND NEW.id = 'cp1' THEN RAISE EXCEPTION 'not this one'; END IF;
                     RETURN NEW; END $$;
                 CREATE TRIGGER refuse BEFORE UPDATE ON payouts FOR EACH ROW EXECUTE FUNCTION refuse()",
        };
        shop.db.execute(refuse);
        let run = shop.process(&[]).expect_code(5);
        assert!(run.stderr.contains("not this one"), "{}", run.stderr);
        assert_eq!((shop.status("cp0"), shop.status("cp2")), ("COMPLETED".into(), "COMPLETED".into()));
        // The next run is not stopped by it either, and says so again.
        shop.creator("more");
        shop.payout("cp_more", "more", 100);
        shop.process(&[]).expect_code(5);
        assert_eq!(shop.status("cp_more"), "COMPLETED");
        shop.db.execute(match shop.db.backend() {
            crate::common::db::Backend::Sqlite => "DROP TRIGGER refuse",
            crate::common::db::Backend::Postgres => "DROP TRIGGER refuse ON payouts",
        });
        shop.process(&[]).expect_code(0);
        shop.assert_paid_exactly_once();
    }

    // Another program changes a payout while it is being paid: said by every run until a person looks.
    fn a_payout_that_was_changed_in_flight_is_never_forgotten(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.fault("c0", Fault::HangAfter, 1);
        let child = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        shop.db.execute("UPDATE payouts SET amount_cents = 999");
        shop.stripe.release();
        assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(5));
        for _ in 0..2 {
            let run = shop.process(&[]).expect_code(5);
            assert!(run.stderr.contains("payout cp0 is PROCESSING although"), "{}", run.stderr);
        }
        assert_eq!(shop.transfers().len(), 1);
    }

    // Another copy of this database pays while a run is under way, after its guard has read. The run
    // then records a later transfer of its own; the next guard must still come across the copy's.
    fn what_the_guard_has_not_read_is_read_by_the_next(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.fault("c0", Fault::HangBefore, 1);
        shop.creator("copy");
        let child = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        // Further apart than the guard reads back from its watermark.
        shop.pass(Duration::from_secs(600));
        let ours = shop.one("SELECT value FROM payout_settings WHERE key = 'database_id'");
        let body = format!("amount=700&currency=usd&destination=acct_copy&metadata[payout_id]=cp_copy&metadata[database]={ours}");
        sandbox_client::post(&shop.stripe, "/v1/transfers", &body).api_key("sk_test_shop").ok();
        shop.pass(Duration::from_secs(600));
        shop.stripe.release();
        assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(0));
        assert_eq!(shop.status("cp0"), "COMPLETED");
        let run = shop.process(&[]).expect_code(4);
        assert!(run.stderr.contains("1 transfer that this database made"), "{}", run.stderr);
    }

    // A row that somebody deleted after it was paid is no reason to stop everything.
    fn a_deleted_row_does_not_stop_the_queue(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&["--limit", "1"]).expect_code(0);
        shop.db.execute("DELETE FROM payouts WHERE id = 'cp0'");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 2);
    }

    fn a_second_signal_ends_at_once_and_the_next_run_resolves(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.fault("c0", Fault::HangAfter, 1);
        shop.fault("c1", Fault::HangAfter, 1);
        let child = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(2, Duration::from_secs(30)));
        signal(&child, "INT");
        // Two signals of one kind may arrive as one; two kinds do not.
        signal(&child, "TERM");
        assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(130));
        shop.stripe.release();
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 2);
        shop.assert_paid_exactly_once();
    }

    fn a_closed_output_does_not_hide_how_the_run_ended(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.fault("c0", Fault::Error500After, 1);
        let mut child = shop.env.command(&["process"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        drop(child.stdout.take());
        assert_eq!(child.wait().expect("it ends").code(), Some(5));
    }

    // One row that does not fit is left to a person, the others are paid.
    fn a_foreign_row_that_does_not_fit_blocks_nobody(db: TestDb) {
        let shop = Shop::open(db);
        for name in ["misfit", "fine"] {
            shop.creator(name);
            shop.foreign_payout(&format!("cf_{name}"), name, 700);
        }
        sandbox_client::post(
            &shop.stripe,
            "/v1/transfers",
            "amount=650&currency=usd&destination=acct_misfit&metadata[payoutId]=cf_misfit",
        )
        .api_key("sk_test_shop")
        .ok();
        let run = shop.process(&[]).expect_code(5);
        assert!(run.stderr.contains("cf_misfit of other software is named by tr_"), "{}", run.stderr);
        assert_eq!((shop.status("cf_misfit"), shop.status("cf_fine")), ("PENDING".into(), "COMPLETED".into()));
    }

    // Metadata can be edited in the dashboard; the ledger knows which attempt was open.
    fn an_edited_attempt_number_does_not_mislead_an_adoption(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.fault("c0", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        let id = shop.transfers()[0].id.clone();
        sandbox_client::post(&shop.stripe, &format!("/v1/transfers/{id}"), "metadata[attempt]=7")
            .api_key("sk_test_shop")
            .ok();
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.outcomes("cp0"), ["paid"]);
        assert_eq!(shop.one("SELECT transfer_id FROM payout_attempts"), id);
    }

    // What was refused for the key and then sent keeps both answers.
    fn an_attempt_that_is_opened_again_keeps_its_evidence(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.env.set("STRIPE_SECRET_KEY", "rk_test_readonly");
        shop.process(&[]).expect_code(3);
        shop.env.set("STRIPE_SECRET_KEY", "sk_test_shop");
        shop.process(&[]).expect_code(0);
        let answers = shop.db.query_strings(
            "SELECT CAST(send AS TEXT), CAST(http_status AS TEXT) FROM payout_answers ORDER BY send",
        );
        let answers: Vec<(String, String)> = answers
            .into_iter()
            .map(|row| (row[0].clone().unwrap_or_default(), row[1].clone().unwrap_or_default()))
            .collect();
        assert_eq!(answers, [("1".into(), "403".into()), ("2".into(), "200".into())]);
        assert_eq!(shop.one("SELECT send_count FROM payout_attempts"), "2");
    }

    fn what_goes_out_again_counts_against_the_limits_and_the_selection(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(3);
        for name in ["c0", "c1", "c2"] {
            shop.fault(name, Fault::HangBefore, 1);
        }
        let mut child = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(3, Duration::from_secs(30)));
        child.kill().expect("it is killed");
        child.wait().expect("it is gone");
        while shop.stripe.hanging() > 0 { std::thread::yield_now(); }
        shop.pass(Duration::from_secs(121));
        // The dry run is the real plan: it looks, and changes nothing.
        let plan = shop.process(&["--dry-run"]).expect_code(0);
        assert!(plan.stdout.contains("sent again under its own key"), "{}", plan.stdout);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_history WHERE event = 'taken_over'"), "0");
        shop.process(&["--max-total", "10.00"]).expect_code(5);
        assert_eq!(shop.transfers().len(), 1);
        shop.process(&["cp2"]).expect_code(5);
        assert_eq!((shop.transfers().len(), shop.status("cp2")), (2, "COMPLETED".into()));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 3);
        shop.assert_paid_exactly_once();
    }

    fn a_creator_can_be_named_by_what_people_know(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        shop.process(&["--creator", "C1@example.org"]).expect_code(0);
        assert_eq!(shop.status("cp1"), "COMPLETED");
        shop.process(&["--creator", "acct_c2"]).expect_code(0);
        assert_eq!((shop.status("cp2"), shop.status("cp0")), ("COMPLETED".into(), "PENDING".into()));
        let run = shop.process(&["--creator", "nobody"]).expect_code(1);
        assert!(run.stderr.contains("no creator has this id"), "{}", run.stderr);
    }

    fn the_currency_is_stamped_with_the_account(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&["--limit", "1"]).expect_code(0);
        shop.env.set("PAYOUTS_CURRENCY", "eur");
        let run = shop.process(&[]).expect_code(4);
        assert!(run.stderr.contains("pays in USD, not in EUR"), "{}", run.stderr);
    }

    fn a_transfer_that_differs_is_an_alarm_and_never_completes(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.fault("c0", Fault::WrongAmount, 1);
        let run = shop.process(&[]).expect_code(5);
        assert!(run.stderr.contains("amount is 1001, expected 1000"), "{}", run.stderr);
        assert_eq!(shop.status("cp0"), "PROCESSING");
        // Listed, it fits: it was only the answer that was wrong.
        shop.process(&[]).expect_code(0);
        shop.assert_paid_exactly_once();
    }

    // Scenarios 12, 13 and 15c: one payout of a statement at a time, and never more than it owes.
    fn a_statement_is_paid_once_and_marked_when_covered(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.statement("st1", "ann", 3000);
        for (id, cents) in [("cp_a", 1000), ("cp_b", 2500), ("cp_c", 2000)] {
            shop.payout(id, "ann", cents);
            shop.db.execute(&format!("UPDATE payouts SET royalty_statement_id = 'st1' WHERE id = '{id}'"));
        }
        shop.process(&["--limit", "1"]).expect_code(0);
        assert_eq!(shop.one("SELECT status FROM royalty_statements"), "REVIEWED");
        shop.process(&[]).expect_code(1);
        assert_eq!((shop.status("cp_a"), shop.status("cp_b"), shop.status("cp_c")),
            ("COMPLETED".into(), "PENDING".into(), "COMPLETED".into()));
        assert_eq!(shop.one("SELECT status FROM royalty_statements"), "PAID");
        assert_eq!(shop.one("SELECT payment_reference FROM royalty_statements"),
            shop.one("SELECT stripe_transfer_id FROM payouts WHERE id = 'cp_c'"));
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_statement_claims"), "0");
        shop.assert_paid_exactly_once();
    }

    fn limits_of_count_and_total_are_kept(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(10);
        shop.process(&["--limit", "3"]).expect_code(0);
        assert_eq!(shop.transfers().len(), 3);
        shop.process(&["--max-total", "25.00"]).expect_code(0);
        assert_eq!(shop.transfers().len(), 5);
        shop.process(&["cp9", "cp8"]).expect_code(0);
        assert_eq!((shop.transfers().len(), shop.status("cp9")), (7, "COMPLETED".into()));
        shop.process(&["--creator", "cr_c6"]).expect_code(0);
        assert_eq!((shop.transfers().len(), shop.status("cp6")), (8, "COMPLETED".into()));
        shop.assert_paid_exactly_once();
    }

    fn a_total_said_beforehand_must_be_the_plans(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        shop.process(&["--confirm-total", "29.99"]).expect_code(4);
        assert_eq!(shop.transfers().len(), 0);
        shop.process(&["--confirm-total", "30.00"]).expect_code(0);
        assert_eq!(shop.transfers().len(), 3);
    }

    fn one_destination_has_one_transfer_in_flight(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.env.set("PAYOUTS_CONCURRENCY", "8");
        shop.creator("ann");
        for number in 0..6 {
            shop.payout(&format!("cp_a{number}"), "ann", 100 + number);
        }
        shop.stripe.set_pace(payouts::sandbox::Pace { lock_destinations: true, latency_ms: 5, ..Default::default() });
        shop.process(&[]).expect_code(0);
        assert!(!shop.stripe.ledger().requests["transfers.create"].contains_key(&429));
        assert_eq!(shop.transfers().len(), 6);
    }

    // Scenario 7 of the rows, 24 of the locks: overlapping runs share the queue by row claims.
    fn two_runs_at_once_pay_each_payout_once(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(120);
        let start = || shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let runs = [start(), start()];
        for run in runs {
            let output = run.wait_with_output().expect("it ends");
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(shop.transfers().len(), 120);
        shop.assert_paid_exactly_once();
    }
}

#[test]
fn a_person_is_shown_the_plan_and_asked() {
    let shop = Shop::open(TestDb::sqlite());
    shop.payouts(2);
    let run = shop
        .env
        .run_in_terminal(100, &["process"], &[("Pay 20.00 USD?", "n")]);
    let run = run.expect_code(4);
    assert!(
        run.stdout.contains("declined; nothing was sent"),
        "{}",
        run.stdout
    );
    assert_eq!(shop.transfers().len(), 0);
    shop.env
        .run_in_terminal(100, &["process"], &[("Pay 20.00 USD?", "y")])
        .expect_code(0);
    assert_eq!(shop.transfers().len(), 2);
    // Nothing to pay: nothing to ask.
    shop.env
        .run_in_terminal(100, &["process"], &[])
        .expect_code(0);
}

/// Consent is to the plan that was shown: what appears or changes while the person thinks is not
/// part of it.
#[test]
fn what_changes_while_the_question_is_asked_is_not_sent() {
    let shop = Shop::open(TestDb::sqlite());
    shop.payouts(3);
    shop.creator("late");
    let run =
        shop.env
            .run_in_terminal_while(100, &["process"], &[("Pay 30.00 USD?", "y")], &mut |_| {
                // One behind the others, one before them, one that costs more now.
                shop.payout("cp_z", "late", 100);
                shop.payout("ca_a", "late", 100);
                shop.db
                    .execute("UPDATE payouts SET amount_cents = 1200 WHERE id = 'cp1'");
            });
    let run = run.expect_code(1);
    assert!(
        run.stdout
            .contains("not as it was in the plan that was agreed to"),
        "{}",
        run.stdout
    );
    let mut paid: Vec<_> = shop
        .transfers()
        .into_iter()
        .map(|transfer| transfer.transfer_group.unwrap_or_default().to_string())
        .collect();
    paid.sort();
    assert_eq!(paid, ["cp0", "cp2"]);
    for left in ["cp_z", "ca_a", "cp1"] {
        assert_eq!(shop.status(left), "PENDING", "{left}");
    }
}

/// An index made CONCURRENTLY waits for every older statement, so nobody may
/// wait for the migration lock inside one.
#[test]
fn many_processes_migrate_one_database_at_once() {
    let db = TestDb::postgres();
    let mut env = crate::common::env::TestEnv::new();
    env.use_database(&db);
    let start = || {
        env.command(&["init", "--quiet"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts")
    };
    let processes: Vec<_> = (0..8).map(|_| start()).collect();
    for process in processes {
        let output = process.wait_with_output().expect("it ends");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
