//! Ways to pay twice, or to say what is not so, that lead past the usual course: a payment made by
//! hand, a file loaded again into a restored database, a payout ended while a transfer names it.

use std::process::Stdio;
use std::time::Duration;

use payouts::sandbox::Fault;
use serde_json::Value;

use crate::common::db::on_both;
use crate::common::env::Run;
use crate::common::shop::Shop;

const LEASE_OVER: Duration = Duration::from_secs(121);

impl Shop {
    /// One payout, `cp0`, whose run was killed with its request on the way, and not executed.
    fn killed_while_sending(&self) {
        self.payouts(1);
        self.kill_while_sending();
    }

    /// Kills a run of `process` while its request for `c0` is on the way, and not executed.
    fn kill_while_sending(&self) {
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
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 1);
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
}
