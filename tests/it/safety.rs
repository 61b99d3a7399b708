//! Ways to pay twice, or to say what is not so, that lead past the usual course: a payment made by
//! hand, a file loaded again into a restored database, a payout ended while a transfer names it.

use std::process::Stdio;
use std::time::Duration;

use payouts::sandbox::Fault;
use serde_json::Value;

use crate::common::db::{Backend, on_both};
use crate::common::env::Run;
use crate::common::shop::Shop;
use crate::reconcile::stripe_that_lists;
use crate::sandbox_client;

const LEASE_OVER: Duration = Duration::from_secs(121);

impl Shop {
    /// One payout, `cp0`, whose run was killed with its request on the way, and not executed.
    fn killed_while_sending(&self) {
        self.payouts(1);
        self.kill_while_sending();
    }

    /// Kills a run of `process` while its request for `c0` is on the way, and not executed.
    pub(crate) fn kill_while_sending(&self) {
        self.fault("c0", Fault::HangBefore, 1);
        let mut process = self.env.command(&["process"]);
        process.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = process.spawn().expect("it starts");
        assert!(self.stripe.wait_hanging(1, Duration::from_secs(30)));
        child.kill().expect("it is killed");
        child.wait().expect("it is gone");
        // The simulator drops what it held when it sees that nobody waits any more.
        while self.stripe.hanging() > 0 {
            std::thread::yield_now();
        }
    }

    /// The id of the open finding of a kind.
    fn open_finding(&self, kind: &str) -> String {
        self.one(&format!(
            "SELECT id FROM payout_findings WHERE state = 'open' AND kind = '{kind}'"
        ))
    }

    fn accept(&self, finding: &str) -> Run {
        self.reconcile(&["--accept", finding, "--reason", "seen to it"])
    }

    fn cancel(&self, payout: &str) -> Run {
        self.env.run(&["cancel", payout, "--reason", "not owed"])
    }
}

/// The word for what became of the one payout in an answer of `retry` or `cancel`.
fn word_of(run: &Run) -> String {
    let answer: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run}"));
    let row = &answer["payouts"][0];
    let word = row["reason_code"].as_str().or(row["result"].as_str());
    word.expect("a result").to_owned()
}

on_both! {
    // A person paid what hung, in the dashboard: without a group, but saying for which payout.
    fn what_was_paid_by_hand_is_found_by_its_metadata_before_anything_is_sent_again(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.killed_while_sending();
        shop.pass(LEASE_OVER);
        let by_hand = shop.transfer("c0", 1000, "&metadata[payout_id]=cp0");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 1);
        assert_eq!((shop.status("cp0"), shop.transfer_of("cp0")), ("COMPLETED".into(), by_hand));
        assert_eq!(shop.outcomes("cp0"), ["paid"]);
    }

    // The watermark is far behind it: another run has passed the guard since.
    fn what_was_paid_by_hand_is_found_behind_the_watermark(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.killed_while_sending();
        shop.pass(LEASE_OVER);
        shop.transfer("c0", 1000, "&metadata[payout_id]=cp0");
        shop.db.execute("INSERT INTO payout_settings (key, value, updated_at) VALUES ('watermark', '2026-11-02T20:00:00.000Z', '2026-11-02 09:30:00')");
        shop.pass(Duration::from_secs(11 * 3600));
        shop.process(&[]).expect_code(0);
        assert_eq!((shop.transfers().len(), shop.status("cp0")), (1, "COMPLETED".into()));
    }

    // They paid another account of the creator's: no list by destination shows that.
    fn what_was_paid_by_hand_elsewhere_keeps_it_from_being_sent(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.killed_while_sending();
        shop.pass(LEASE_OVER);
        let by_hand = shop.transfer("elsewhere", 1000, "&metadata[payoutId]=cp0");
        let run = shop.process(&[]).expect_code(5);
        assert!(run.stderr.contains(&by_hand), "{run}");
        assert_eq!((shop.transfers().len(), shop.status("cp0")), (1, "PROCESSING".into()));
    }

    // Another payment moves the watermark, but not past what speaks against sending again.
    fn what_was_paid_by_hand_elsewhere_keeps_it_from_being_sent_whoever_else_is_paid(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.killed_while_sending();
        shop.pass(Duration::from_secs(1800));
        let by_hand = shop.transfer("elsewhere", 1000, "&metadata[payoutId]=cp0");
        shop.pass(Duration::from_secs(600));
        shop.creator("other");
        shop.payout("p1", "other", 700);
        shop.process(&[]).expect_code(5);
        assert_eq!(shop.status("p1"), "COMPLETED");
        shop.pass(Duration::from_secs(1200));
        let run = shop.process(&[]).expect_code(5);
        assert!(run.stderr.contains(&by_hand), "{run}");
        assert_eq!((shop.transfers().len(), shop.status("cp0")), (2, "PROCESSING".into()));
    }

    // One transfer by hand for two payouts, of which one is in doubt.
    fn what_names_a_payout_in_doubt_and_another_is_no_leave_to_pay_the_other(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.killed_while_sending();
        shop.pass(LEASE_OVER);
        shop.creator("other");
        shop.payout("p1", "other", 700);
        shop.transfer("elsewhere", 1700, "&metadata[payoutId]=cp0&transfer_group=p1");
        shop.process(&[]).expect_code(4);
        assert_eq!((shop.transfers().len(), shop.status("p1")), (1, "PENDING".into()));
    }

    fn a_comparison_looks_an_open_attempt_up_by_metadata_too(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.killed_while_sending();
        shop.pass(LEASE_OVER);
        shop.transfer("c0", 1000, "&metadata[payout_id]=cp0");
        shop.pass(Duration::from_secs(3 * 86_400));
        assert_eq!(shop.found(&["--period", "1d"]), (vec!["status_behind cp0".into()], 1));
        assert_eq!(shop.found(&["--period", "1d", "--fix"]), (vec![], 0));
        assert_eq!(shop.status("cp0"), "COMPLETED");
    }

    // Where only the lease says so, a run that was just killed looks alive.
    fn what_another_run_holds_is_told_by_whoever_leaves_it_alone(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.killed_while_sending();
        shop.pass(Duration::from_secs(10));
        if shop.db.backend() == Backend::Postgres {
            // The server knows at once that the session is gone.
            shop.process(&[]).expect_code(0);
            assert_eq!((shop.status("cp0"), shop.transfers().len()), ("COMPLETED".into(), 1));
            return;
        }
        let held = "1 payout held by run ";
        let told = "last seen 10 s ago; if that run is dead, what it held is looked up from 09:32:00 UTC on";
        for run in [shop.process(&[]).expect_code(0), shop.process(&["--dry-run"]).expect_code(0), shop.reconcile(&[]).expect_code(5)] {
            assert!(run.stderr.contains(held) && run.stderr.contains(told), "{run}");
        }
        let run = shop.reconcile(&["-o", "json"]).expect_code(5);
        let answer: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((&answer["clean"], &answer["held_by"][0]["payouts"]), (&false.into(), &1.into()));
        let run = shop.process(&["-o", "json"]).expect_code(0);
        let answer: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(answer["held_by"][0]["until"], "2026-11-02T09:32:00.000Z");
        shop.pass(LEASE_OVER);
        let run = shop.process(&[]).expect_code(0);
        assert!(!run.stderr.contains(held), "{run}");
        assert_eq!(shop.transfers().len(), 1);
    }

    // The same file was loaded again: accepting what was forgotten would pay it a second time.
    fn what_was_loaded_again_is_cancelled_before_its_first_payment_is_accepted(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.db.execute("UPDATE payout_batch_items SET reference = 'OCT-1'");
        shop.process(&[]).expect_code(0);
        shop.restore_backup();
        shop.db.execute("DELETE FROM payouts");
        shop.db.execute("DELETE FROM payout_batch_items");
        shop.payout("cp_again", "c0", 1000);
        shop.db.execute("UPDATE payout_batch_items SET reference = 'OCT-1'");
        shop.reconcile(&[]).expect_code(1);
        let forgotten = shop.open_finding("forgotten_payout");
        let refused = shop.accept(&forgotten).expect_code(4);
        assert!(refused.stderr.contains("its reference OCT-1 is held by payout cp_again"), "{refused}");
        assert!(refused.stderr.contains("`payouts cancel cp_again --reason TEXT`"), "{refused}");
        shop.process(&[]).expect_code(4);
        shop.cancel("cp_again").expect_code(0);
        shop.accept(&forgotten).expect_code(0);
        // Nor is it loaded once more.
        shop.env.write("again.csv", "creator,amount,reference\ncr_c0,10.00,OCT-1\n");
        let run = shop.env.run(&["create", "--file", "again.csv", "--release"]).expect_code(1);
        assert!(run.stderr.contains("OCT-1"), "{run}");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 1);
    }

    fn what_a_person_is_told_to_do_names_what_it_is_about(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&["cp1"]).expect_code(0);
        let path = format!("/v1/transfers/{}", shop.transfer_of("cp1"));
        sandbox_client::post(&shop.stripe, &path, "metadata[payout_id]=cp0").api_key("sk_test_shop").ok();
        shop.foreign_payout("cf", "c0", 500);
        shop.db.execute("UPDATE payouts SET status = 'PROCESSING' WHERE id = 'cf'");
        let run = shop.reconcile(&[]).expect_code(5);
        assert!(run.stdout.contains("it paid cp1, and its metadata names cp0"), "{run}");
        assert!(run.stdout.contains("`payouts cancel cp0 --reason TEXT`"), "{run}");
        assert!(run.stdout.contains("other software took it, under a key that is not known here"), "{run}");
    }

    // Whoever cancels it may believe it unpaid: the finding says otherwise.
    fn what_a_transfer_names_is_neither_retried_nor_cancelled_unseen(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.statement("st1", "ann", 1000);
        let create = ["create", "--creator", "cr_ann", "--amount", "10.00", "--statement", "st1"];
        shop.env.run(&create).expect_code(0);
        let payout = shop.one("SELECT id FROM payouts");
        shop.transfer("ann", 900, &format!("&metadata[payout_id]={payout}"));
        shop.reconcile(&[]).expect_code(5);
        let finding = shop.open_finding("amount_differs");
        let refused = shop.cancel(&payout).expect_code(1);
        assert!(refused.stdout.contains("refused: found at stripe"), "{refused}");
        assert!(refused.stdout.contains(&finding), "{refused}");
        let shown = shop.env.run(&["show", &payout]).expect_code(0);
        assert!(shown.stdout.contains(&finding), "{shown}");
        // A person decides; it is not paid for that, nor is its statement paid by another.
        shop.accept(&finding).expect_code(0);
        shop.process(&[]).expect_code(1);
        shop.cancel(&payout).expect_code(0);
        shop.env.run(&create).expect_code(1);
        shop.env.run(&["create", "--from-statements", "--yes"]);
        shop.process(&[]).expect_code(0);
        assert_eq!((shop.transfers().len(), shop.status(&payout)), (1, "FAILED".into()));
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts"), "1");
    }

    fn what_may_be_paid_is_not_retried(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann_closed");
        shop.payout("cp0", "ann_closed", 1000);
        shop.process(&[]).expect_code(1);
        shop.transfer("ann", 1000, "&metadata[payout_id]=cp0");
        shop.reconcile(&[]);
        let finding = shop.one("SELECT id FROM payout_findings WHERE state = 'open'");
        for command in [&["retry", "cp0", "-o", "json"][..], &["cancel", "cp0", "--reason", "x", "-o", "json"]] {
            let run = shop.env.run(command).expect_code(1);
            assert_eq!(word_of(&run), "found_at_stripe", "{run}");
        }
        assert_eq!(shop.status("cp0"), "FAILED");
        // What a person has accepted was paid all the same.
        shop.accept(&finding).expect_code(0);
        let run = shop.env.run(&["retry", "cp0", "-o", "json"]).expect_code(1);
        assert_eq!(word_of(&run), "found_at_stripe", "{run}");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 1);
    }

    fn what_was_refused_for_good_is_cancelled_where_it_is(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann_closed");
        shop.statement("st1", "ann_closed", 1000);
        let create = ["create", "--creator", "cr_ann_closed", "--amount", "10.00", "--statement", "st1"];
        shop.env.run(&create).expect_code(0);
        let payout = shop.one("SELECT id FROM payouts");
        shop.process(&[]).expect_code(1);
        shop.cancel(&payout).expect_code(0);
        let row = shop.db.query_strings("SELECT status, failed_reason, CAST(retry_count AS TEXT) FROM payouts");
        assert_eq!(row, [["FAILED", "cancelled: not owed", "1"].map(|text| Some(text.to_owned()))]);
        let run = shop.env.run(&["retry", &payout, "--force", "-o", "json"]).expect_code(1);
        assert_eq!(word_of(&run), "cancelled");
        let shown = shop.env.run(&["show", &payout]).expect_code(0);
        assert!(shown.stdout.contains("it was cancelled after Stripe had refused it"), "{shown}");
        // Twice is once, and its statement can be paid by another.
        shop.cancel(&payout).expect_code(0);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_history WHERE event = 'cancelled'"), "1");
        shop.env.run(&create).expect_code(0);
        // Other software marked it as failed, whatever it did before that.
        shop.foreign_payout("cf", "ann_closed", 500);
        shop.db.execute("UPDATE payouts SET status = 'FAILED' WHERE id = 'cf'");
        let run = shop.env.run(&["cancel", "cf", "--reason", "x", "-o", "json"]).expect_code(1);
        assert_eq!(word_of(&run), "maybe_sent_elsewhere");
    }

    fn what_a_repair_matched_counts_as_matched(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        shop.fault("c1", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        let run = shop.reconcile(&["--fix"]).expect_code(0);
        assert!(run.stdout.contains("3 of 3 transfers"), "{run}");
    }

    // On SQLite the same moment can be written in many ways, and is compared as it is written.
    fn moments_in_another_spelling_end_every_walk(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(9);
        shop.db.execute("UPDATE payouts SET created_at = '2026-11-02T09:15:00Z' WHERE id <> 'cp4'");
        shop.process(&["--dry-run"]).expect_code(0);
        assert_eq!(shop.env.run(&["list", "--all", "--output", "csv"]).expect_code(0).stdout.lines().count(), 10);
        shop.process(&["--confirm-total", "90.00"]).expect_code(0);
        shop.assert_paid_exactly_once();
        assert_eq!(shop.transfers().len(), 9);
        shop.db.execute("UPDATE payouts SET status = 'FAILED', failed_reason = 'no', stripe_transfer_id = NULL");
        shop.env.run(&["retry", "--all"]);
        shop.process(&[]);
        assert_eq!(shop.transfers().len(), 9);
    }

    // `show` promises the look-up of a row that other software marked as failed.
    fn what_other_software_failed_is_looked_up_and_never_sent(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        for id in ["cf_paid", "cf_unpaid", "cf_old"] {
            shop.foreign_payout(id, "ann", 500);
        }
        shop.db.execute("UPDATE payouts SET status = 'FAILED', failed_reason = 'timed out', retry_count = 1");
        let paid = shop.transfer("ann", 500, "&metadata[payoutId]=cf_paid");
        shop.db.execute("UPDATE payouts SET created_at = '2026-01-01 00:00:00', updated_at = '2026-01-01 00:00:00' WHERE id = 'cf_old'");
        let run = shop.process(&[]).expect_code(0);
        // What failed long ago is the business of a comparison over that time.
        assert!(run.stderr.contains("searching Stripe since 2026-10-31"), "{run}");
        assert_eq!((shop.status("cf_paid"), shop.transfer_of("cf_paid")), ("COMPLETED".into(), paid));
        assert_eq!((shop.status("cf_unpaid"), shop.status("cf_old")), ("FAILED".into(), "FAILED".into()));
        // What this tool cancelled is not other software's.
        shop.payout("cp0", "ann", 500);
        shop.cancel("cp0").expect_code(0);
        shop.pass(Duration::from_secs(40 * 86_400));
        let run = shop.process(&[]).expect_code(0);
        assert!(!run.stderr.contains("searching Stripe"), "{run}");
        assert_eq!(shop.transfers().len(), 1);
    }

    // The clock of the machine was days ahead when the database was made.
    fn a_birth_in_the_future_does_not_blind_the_guard(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.db.execute("UPDATE payout_settings SET updated_at = '2026-11-05 09:30:00'");
        shop.process(&[]).expect_code(0);
        shop.restore_backup();
        shop.db.execute("DELETE FROM payout_runs");
        shop.process(&[]).expect_code(4);
        assert_eq!((shop.transfers().len(), shop.status("cp0")), (1, "PENDING".into()));
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        shop.process(&[]).expect_code(0);
        assert_eq!((shop.transfers().len(), shop.status("cp0")), (1, "COMPLETED".into()));
    }

    // Days have passed since, and the birth no longer lies ahead: an earlier record gives it away.
    fn nothing_is_older_than_the_birth_of_its_database(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.db.execute("UPDATE payout_settings SET updated_at = '2026-11-05 09:30:00'");
        shop.process(&[]).expect_code(0);
        shop.restore_backup();
        shop.pass(Duration::from_secs(5 * 86_400));
        shop.process(&[]).expect_code(4);
        assert_eq!((shop.transfers().len(), shop.status("cp0")), (1, "PENDING".into()));
    }

    fn of_two_transfers_the_one_that_was_taken_back_is_none(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        let first = shop.transfer_of("cp0");
        shop.restore_backup();
        let second = shop.transfer("c0", 1000, "&transfer_group=cp0&metadata[payout_id]=cp0");
        let third = shop.transfer("c0", 1000, "&metadata[payout_id]=cp0");
        assert_eq!(shop.found(&[]), (vec!["two_transfers cp0".into(); 3], 5));
        shop.reverse(&first, 1000);
        shop.reverse(&third, 1000);
        assert_eq!(shop.found(&[]), (vec!["status_behind cp0".into()], 1));
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        assert_eq!((shop.status("cp0"), shop.transfer_of("cp0")), ("COMPLETED".into(), second));
        assert_eq!(shop.found(&[]), (vec![], 0));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 3);
    }

    fn an_odd_entry_that_a_person_accepted_stops_nobody(db: TestDb) {
        let mut shop = Shop::open(db);
        let odd = r#"{"id":"tr_odd","object":"transfer","amount":"five"}"#;
        shop.env.set("STRIPE_API_BASE", &stripe_that_lists(&[odd], &[]));
        shop.process(&[]).expect_code(3);
        shop.reconcile(&[]).expect_code(1);
        shop.accept(&shop.open_finding("odd_entry")).expect_code(0);
        shop.process(&[]).expect_code(0);
    }

    // The objection came while the payment was on its way.
    fn a_disputed_statement_is_never_marked(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.statement("st1", "ann", 1000);
        shop.payout("cp0", "ann", 1000);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1'");
        shop.fault("ann", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        shop.db.execute("UPDATE royalty_statements SET status = 'DISPUTED', disputed_at = '2026-11-02 09:30:00'");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.status("cp0"), "COMPLETED");
        let mark = || shop.one("SELECT status FROM royalty_statements");
        assert_eq!(mark(), "DISPUTED");
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        assert_eq!(mark(), "DISPUTED");
        shop.db.execute("UPDATE royalty_statements SET status = 'RESOLVED'");
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        assert_eq!(mark(), "PAID");
    }

    // What other software has in hand claims no statement, and may be paid all the same.
    fn a_statement_that_other_software_may_be_paying_is_not_paid_beside_it(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.statement("st1", "ann", 1000);
        shop.payout("cp0", "ann", 600);
        shop.foreign_payout("cf", "ann", 600);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1'");
        for in_hand in [
            "status = 'PROCESSING'",
            "status = 'PENDING', retry_count = 1",
            "status = 'FAILED', failed_reason = 'time-out'",
        ] {
            shop.db.execute(&format!("UPDATE payouts SET {in_hand} WHERE id = 'cf'"));
            let run = shop.process(&[]);
            assert!(run.stdout.contains("another payout of the same statement"), "{in_hand}: {run}");
            assert_eq!(shop.transfers().len(), 0, "{in_hand}: {run}");
        }
        // What fits beside it is paid.
        shop.db.execute("UPDATE payouts SET amount_cents = 400 WHERE id = 'cp0'");
        shop.process(&[]);
        assert_eq!((shop.transfers().len(), shop.status("cp0")), (1, "COMPLETED".into()));
    }

    // Rows of other software: no key, no group and no header can be made of such ids.
    fn rows_whose_ids_stripe_does_not_take_are_stepped_over(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        let long = "x".repeat(300);
        let odd = ["", "cf\nbroken", " cf", "cf_\u{e9}", &long];
        for id in odd {
            shop.foreign_payout(id, "ann", 500);
        }
        // One of them older than what is due, and of this tool's making besides.
        shop.db.execute("UPDATE payouts SET created_at = '2026-10-31 12:00:00'");
        shop.db.execute("INSERT INTO payout_batch_items (payout_id) VALUES ('cf\nbroken')");
        shop.payouts(3);
        let told = "Not sent      5 payouts, 25.00 USD: its id is nothing that Stripe takes";
        let run = shop.process(&["--dry-run"]).expect_code(0);
        assert!(run.stdout.contains(told) && run.stdout.contains("3 payouts"), "{run}");
        let run = shop.process(&[]).expect_code(1);
        assert!(run.stdout.contains("its id is nothing that Stripe takes") && !run.stderr.contains("stopped"), "{run}");
        assert_eq!((shop.transfers().len(), shop.status("cp2")), (3, "COMPLETED".into()));
        shop.assert_paid_exactly_once();
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts WHERE status = 'PENDING'"), "5");
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_attempts"), "3");
        // One line a payout, whatever its id.
        let run = shop.env.run(&["list"]).expect_code(0);
        assert_eq!(run.stdout.lines().count(), 1 + 8 + 1, "{run}");
        for id in odd {
            let run = shop.env.run(&["show", id, "-o", "json"]).expect_code(0);
            assert!(run.stdout.contains("at most 237 characters"), "{run}");
        }
        // What other software has in hand, or calls paid, is compared all the same.
        for (status, code, findings) in [("PROCESSING", 1, (5, 5)), ("COMPLETED", 0, (5, 1)), ("FAILED", 0, (0, 0))] {
            shop.pass(Duration::from_secs(1));
            shop.db.execute(&format!("UPDATE payouts SET status = '{status}' WHERE amount_cents = 500"));
            shop.process(&[]).expect_code(code);
            let (found, code) = shop.found(&[]);
            assert_eq!((found.len(), code), findings, "{found:?}");
        }
        shop.db.execute("UPDATE payouts SET status = 'PROCESSING' WHERE amount_cents = 500");
        for id in odd.into_iter().filter(|id| id.trim() == *id) {
            let run = shop.env.run(&["resolve", id]).expect_code(5);
            assert!(run.stdout.contains("no transfer"), "{run}");
        }
        // What names one of them is found, and recorded like any other.
        let paid = shop.transfer("ann", 500, "&metadata[payoutId]=cf_%C3%A9");
        shop.process(&[]).expect_code(1);
        assert_eq!(shop.transfer_of("cf_\u{e9}"), paid);
        assert_eq!(shop.transfers().len(), 4);
    }

    // Nobody but a person can say what became of a payment that does not fit; what they said holds.
    fn what_does_not_fit_a_row_of_other_software_is_an_alarm_until_a_person_decides(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        shop.foreign_payout("cf", "ann", 500);
        shop.foreign_payout("cg", "ann", 700);
        let less = shop.transfer("ann", 400, "&metadata[payoutId]=cf");
        shop.transfer("ben", 700, "&metadata[payoutId]=cg");
        let resolve = |shop: &Shop, id: &str, code: i32| {
            let run = shop.env.run(&["resolve", id]).expect_code(code);
            assert_eq!(run.stdout.contains("settled"), code == 0, "{run}");
        };
        // Before anybody compared: what was never recorded is not settled either.
        for id in ["cf", "cg"] {
            resolve(&shop, id, 5);
        }
        let run = shop.process(&[]).expect_code(5);
        assert!(run.stderr.contains(&format!("payout cf of other software is named by {less}, which does not fit it")), "{run}");
        // Cancelled, nothing is owed on it; that something names it is told until it is accepted.
        shop.cancel("cg").expect_code(0);
        resolve(&shop, "cg", 0);
        shop.reconcile(&[]).expect_code(5);
        for status in ["PENDING", "PROCESSING", "FAILED", "PENDING"] {
            shop.db.execute(&format!("UPDATE payouts SET status = '{status}' WHERE id = 'cf'"));
            resolve(&shop, "cf", 5);
            shop.process(&[]).expect_code(5);
        }
        shop.accept(&shop.open_finding("amount_differs")).expect_code(0);
        resolve(&shop, "cf", 0);
        let run = shop.process(&[]).expect_code(1);
        assert!(run.stderr.contains("payout cg of other software is named by") && !run.stderr.contains("payout cf"), "{run}");
        shop.accept(&shop.open_finding("destination_differs")).expect_code(0);
        // What is accepted is still not sent, until the payout is ended.
        shop.process(&[]).expect_code(1);
        shop.cancel("cf").expect_code(0);
        shop.process(&[]).expect_code(0);
        resolve(&shop, "cf", 0);
        assert_eq!(shop.found(&[]), (vec![], 0));
        assert_eq!(shop.transfers().len(), 2);
        // Another transfer is another matter.
        shop.pass(Duration::from_secs(1));
        shop.foreign_payout("ch", "ann", 100);
        shop.transfer("ann", 90, "&metadata[payoutId]=ch");
        shop.reconcile(&[]).expect_code(5);
        shop.accept(&shop.open_finding("amount_differs")).expect_code(0);
        shop.process(&[]).expect_code(1);
        shop.transfer("ann", 10, "&metadata[payoutId]=ch");
        shop.process(&[]).expect_code(5);
    }

    // Nothing could have kept other software from it; that somebody is owed less now is told.
    fn a_transfer_that_overpays_its_statement_is_told(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.statement("st1", "ann", 1000);
        shop.payout("cp0", "ann", 600);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1'");
        shop.process(&[]).expect_code(0);
        shop.foreign_payout("cf", "ann", 700);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1', status = 'PROCESSING' WHERE id = 'cf'");
        let theirs = shop.transfer("ann", 700, "&metadata[payoutId]=cf");
        let told = format!("payout cf is paid by {theirs}: with it 300 minor units more than statement st1 owes were paid");
        let run = shop.process(&[]).expect_code(1);
        assert!(run.stderr.contains(&told), "{run}");
        assert_eq!((shop.status("cf"), shop.transfer_of("cf")), ("COMPLETED".into(), theirs.clone()));
        assert_eq!(shop.one("SELECT status FROM royalty_statements"), "PAID");
        // It is told by whoever records it, and once.
        shop.process(&[]).expect_code(0);
        let restored = ["DELETE FROM payout_attempts WHERE payout_id = 'cf'", "UPDATE payouts SET status = 'PROCESSING', stripe_transfer_id = NULL WHERE id = 'cf'"];
        for sql in restored {
            shop.db.execute(sql);
        }
        let run = shop.env.run(&["resolve", "cf"]).expect_code(0);
        assert!(run.stdout.contains("300 minor units more than statement st1 owes"), "{run}");
        for sql in restored {
            shop.db.execute(sql);
        }
        let run = shop.reconcile(&["--fix"]).expect_code(0);
        assert!(run.stderr.contains(&told), "{run}");
    }

    fn the_guard_names_what_else_it_may_be(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.transfer("c0", 1000, "&metadata[payout_id]=cp0");
        let run = shop.process(&[]).expect_code(4);
        assert!(run.stderr.contains("made by hand, or by other software"), "{run}");
        let run = shop.env.run(&["retry", "cp0", "cp1", "--limit", "1"]).expect_code(2);
        assert!(run.stderr.contains("--limit"), "{run}");
    }

    // Other software marks its own rows without saying by what they were paid, thousands of them.
    fn what_is_known_to_be_missing_is_not_asked_about_every_night(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        shop.foreign_payout("cf", "ann", 500);
        shop.db.execute("UPDATE payouts SET status = 'COMPLETED'");
        shop.pass(Duration::from_secs(40 * 86_400));
        let lists = || shop.stripe.ledger().requests["transfers.list"][&200];
        let missing = (vec!["missing_at_stripe cf".to_owned()], 1);
        assert_eq!(shop.found(&[]), missing);
        let first = lists();
        assert_eq!(shop.found(&["--period", "35d"]), missing);
        assert_eq!((first, lists() - first), (2, 1));
        // Over its own time it is asked about again.
        assert_eq!(shop.found(&["--from", "2026-11-01"]), missing);
        assert_eq!(lists(), 5);
    }
}
