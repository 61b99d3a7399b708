//! `payouts reconcile`: every transfer against every payout, both ways, and the repairs that are
//! provably safe.

use std::process::Stdio;
use std::time::Duration;

use payouts::sandbox::{Fault, FaultPlan, FaultRule};
use serde_json::{Value, json};

use crate::common::db::{Backend, on_both};
use crate::common::env::Run;
use crate::common::shop::Shop;
use crate::sandbox_client;

impl Shop {
    /// `payouts reconcile` and more.
    pub(crate) fn reconcile(&self, more: &[&str]) -> Run {
        let mut args = vec!["reconcile"];
        args.extend(more);
        self.env.run(&args)
    }

    /// The kinds of what `reconcile` and more finds, as `kind payout`, sorted, and its exit code.
    pub(crate) fn found(&self, more: &[&str]) -> (Vec<String>, i32) {
        let mut args = vec!["-o", "json"];
        args.extend(more);
        let run = self.reconcile(&args);
        let answer: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run}"));
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let mut found: Vec<String> = answer["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .filter(|finding| finding["state"] == "open")
            .map(|finding| format!("{} {}", text(&finding["kind"]), text(&finding["payout_id"])))
            .collect();
        found.sort();
        assert_eq!(answer["exit_code"], run.code);
        (found, run.code)
    }

    /// A transfer that somebody else makes, with `more` form fields.
    pub(crate) fn transfer(&self, creator: &str, cents: i64, more: &str) -> String {
        let form = format!("amount={cents}&currency=usd&destination=acct_{creator}{more}");
        let made = sandbox_client::post(&self.stripe, "/v1/transfers", &form)
            .api_key("sk_test_shop")
            .ok();
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Takes money back, as a person does in the dashboard.
    pub(crate) fn reverse(&self, transfer: &str, cents: i64) {
        let path = format!("/v1/transfers/{transfer}/reversals");
        sandbox_client::post(&self.stripe, &path, &format!("amount={cents}"))
            .api_key("sk_test_shop")
            .ok();
    }

    pub(crate) fn transfer_of(&self, payout: &str) -> String {
        self.one(&format!(
            "SELECT stripe_transfer_id FROM payouts WHERE id = '{payout}'"
        ))
    }

    /// The database as it was before anything was paid, as a backup of that moment restores it.
    pub(crate) fn restore_backup(&self) {
        for sql in [
            "DELETE FROM payout_answers",
            "DELETE FROM payout_attempts",
            "UPDATE payouts SET status = 'PENDING', stripe_transfer_id = NULL, processed_at = NULL",
            "DELETE FROM payout_settings WHERE key = 'watermark'",
        ] {
            self.db.execute(sql);
        }
    }

    fn posts(&self) -> u64 {
        let requests = self.stripe.ledger().requests;
        requests
            .iter()
            .filter(|(endpoint, _)| endpoint.contains("create") || endpoint.contains("update"))
            .flat_map(|(_, answers)| answers.values())
            .sum()
    }
}

on_both! {
    fn what_agrees_is_clean_and_kept(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        shop.process(&[]).expect_code(0);
        let posts = shop.posts();
        let run = shop.reconcile(&[]).expect_code(0);
        assert!(run.stdout.contains("none: Stripe and the table agree"), "{}", run.stdout);
        assert_eq!(
            shop.db.query_strings(
                "SELECT CAST(transfer_count AS TEXT), CAST(transfer_cents AS TEXT), CAST(matched_count AS TEXT),
                    CAST(payout_cents AS TEXT), clean FROM payout_reconciliations"
            ),
            [["3", "3000", "3", "3000", "1"].map(|text| Some(text.to_owned()))]
        );
        assert_eq!(shop.one("SELECT exit_code FROM payout_runs WHERE command = 'reconcile'"), "0");
        // It only ever asks.
        assert_eq!(shop.posts(), posts);
    }

    fn an_empty_database_and_an_empty_account_agree(db: TestDb) {
        let shop = Shop::open(db);
        assert_eq!(shop.found(&[]), (vec![], 0));
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
    }

    // Scenario 4: the transfer was made, and the answer never reached the table.
    fn a_transfer_that_was_never_recorded_is_found_and_adopted(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        shop.fault("c1", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        assert_eq!(shop.found(&[]), (vec!["status_behind cp1".into()], 1));
        // Looking changes nothing.
        assert_eq!((shop.status("cp1"), shop.outcomes("cp1")), ("PROCESSING".into(), vec!["unknown".into()]));
        let run = shop.reconcile(&["--fix"]).expect_code(0);
        assert!(run.stdout.contains("status_behind, repaired:"), "{}", run.stdout);
        assert_eq!((shop.status("cp1"), shop.outcomes("cp1")), ("COMPLETED".into(), vec!["paid".into()]));
        shop.assert_paid_exactly_once();
        assert_eq!(shop.found(&[]), (vec![], 0));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 3);
    }

    // Scenario 5: whatever its age, it is looked up and never given a new key.
    fn what_hangs_for_days_is_looked_up_and_never_sent(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(2);
        shop.fault("c0", Fault::HangBefore, 1);
        shop.fault("c1", Fault::HangAfter, 1);
        let mut child = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(2, Duration::from_secs(30)));
        child.kill().expect("it is killed");
        child.wait().expect("it is gone");
        while shop.stripe.hanging() > 0 { std::thread::yield_now(); }
        shop.pass(Duration::from_secs(3 * 86_400));
        let unresolved = "unresolved cp0".to_owned();
        assert_eq!(shop.found(&[]), (vec!["status_behind cp1".into(), unresolved.clone()], 5));
        let run = shop.reconcile(&["--fix"]).expect_code(5);
        assert!(run.stderr.contains("cp1 was paid by tr_"), "{}", run.stderr);
        assert_eq!((shop.status("cp0"), shop.status("cp1")), ("PROCESSING".into(), "COMPLETED".into()));
        assert_eq!(shop.found(&[]), (vec![unresolved], 5));
        assert_eq!(shop.transfers().len(), 1);
    }

    // A run that lives records its own transfers; they are no findings.
    fn what_a_live_run_is_at_work_on_is_left_to_it(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.fault("c0", Fault::HangAfter, 1);
        let child = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        while shop.status("cp1") != "COMPLETED" { std::thread::yield_now(); }
        // Nothing is found, and nothing is clean as long as it is on its way.
        assert_eq!(shop.found(&["--fix"]), (vec![], 5));
        let run = shop.reconcile(&[]).expect_code(5);
        assert!(run.stderr.contains("1 payout held by run "), "{run}");
        assert!(!run.stdout.contains("agree"), "{run}");
        assert_eq!(shop.status("cp0"), "PROCESSING");
        shop.stripe.release();
        assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(0));
        assert_eq!(shop.found(&[]), (vec![], 0));
    }

    // Other software swapped the ids of two equal payments: neither creator's row says what
    // that creator was paid.
    fn a_row_of_other_software_that_holds_what_somebody_else_was_paid_is_found(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.creator("bob");
        shop.payout("fa", "ann", 1000);
        shop.payout("fb", "bob", 1000);
        let (to_ann, to_bob) = (shop.transfer("ann", 1000, ""), shop.transfer("bob", 1000, ""));
        let completed = |payout: &str, transfer: &str| {
            shop.db.execute(&format!(
                "UPDATE payouts SET status = 'COMPLETED', stripe_transfer_id = '{transfer}', processed_at = created_at
                 WHERE id = '{payout}'"
            ));
        };
        completed("fa", &to_bob);
        completed("fb", &to_ann);
        let swapped: Vec<String> = vec!["destination_differs fa".into(), "destination_differs fb".into()];
        assert_eq!(shop.found(&[]), (swapped, 5));
        shop.db.execute("UPDATE payouts SET stripe_transfer_id = NULL");
        completed("fa", &to_ann);
        completed("fb", &to_bob);
        assert_eq!(shop.found(&[]), (vec![], 0));
        // The account of a creator may change: what was paid before went to the old one.
        shop.db.execute("UPDATE creators SET \"stripeAccountId\" = 'acct_new' WHERE id = 'cr_ann'");
        assert_eq!(shop.found(&[]), (vec![], 0));
    }

    // Scenario 9: a reversal is no failure, and what was taken back is not paid again.
    fn what_was_taken_back_whole_stays_completed(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        shop.reverse(&shop.transfer_of("cp0"), 1000);
        assert_eq!(shop.found(&[]), (vec!["reversed_fully cp0".into()], 1));
        shop.reconcile(&["--fix"]).expect_code(0);
        assert_eq!(shop.status("cp0"), "COMPLETED");
        assert_eq!(shop.one("SELECT amount_reversed_cents FROM payout_reversals"), "1000");
        assert_eq!(shop.one("SELECT event FROM payout_history WHERE payout_id = 'cp0' ORDER BY seq DESC LIMIT 1"), "reversed");
        // Known now, and no reason to look again.
        assert_eq!(shop.found(&[]), (vec![], 0));
        // Other software takes the reversal for a failure.
        shop.db.execute("UPDATE payouts SET status = 'FAILED', failed_reason = 'reversed' WHERE id = 'cp0'");
        assert_eq!(shop.found(&[]), (vec!["status_behind cp0".into()], 1));
        shop.reconcile(&["--fix"]).expect_code(0);
        assert_eq!(shop.status("cp0"), "COMPLETED");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 2);
    }

    // Scenario 10: part of it taken back is an amount beside the status, not the payout opened again.
    fn what_was_taken_back_in_part_is_an_amount_beside_the_status(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.statement("st1", "ann", 1000);
        shop.payout("cp0", "ann", 1000);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1'");
        shop.process(&[]).expect_code(0);
        shop.reverse(&shop.transfer_of("cp0"), 300);
        assert_eq!(shop.found(&[]), (vec!["reversed_partly cp0".into()], 1));
        shop.reconcile(&["--fix"]).expect_code(0);
        let left = |shop: &Shop| {
            let shown = shop.env.run(&["statements", "show", "st1", "-o", "json"]).expect_code(0);
            let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
            let cents = |field: &str| shown["statement"][field].as_i64().expect(field);
            (cents("completed_cents"), cents("reversed_cents"), cents("left_cents"))
        };
        assert_eq!(left(&shop), (1000, 300, 300));
        // It grows.
        shop.reverse(&shop.transfer_of("cp0"), 200);
        assert_eq!(shop.found(&[]), (vec!["reversed_partly cp0".into()], 1));
        shop.reconcile(&["--fix"]).expect_code(0);
        assert_eq!(left(&shop), (1000, 500, 500));
        for (args, field) in [(["list", "-o", "json"], "payouts"), (["show", "cp0", "-o=json"], "payouts")] {
            let shown = shop.env.run(&args).expect_code(0);
            let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
            assert_eq!(shown[field][0]["reversed_cents"], 500, "{shown}");
            assert_eq!(shown[field][0]["status"], "COMPLETED");
        }
        assert_eq!(shop.found(&[]), (vec![], 0));
    }

    // Scenario 15d: a database restored from before a payment is repaired, and then pays what is unpaid.
    fn a_restored_backup_is_repaired_and_pays_only_what_is_unpaid(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        shop.creator("ann");
        shop.statement("st1", "ann", 700);
        shop.payout("cp_lost", "ann", 700);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1' WHERE id = 'cp_lost'");
        shop.db.execute("UPDATE payout_batch_items SET reference = 'OCT-1' WHERE payout_id = 'cp_lost'");
        shop.process(&[]).expect_code(0);
        shop.restore_backup();
        // This one was created after the backup.
        shop.db.execute("DELETE FROM payouts WHERE id = 'cp_lost'");
        shop.db.execute("DELETE FROM payout_batch_items WHERE payout_id = 'cp_lost'");
        shop.db.execute("UPDATE royalty_statements SET status = 'REVIEWED', paid_at = NULL, payment_reference = NULL");
        shop.creator("new");
        shop.payout("cp_new", "new", 900);

        let refused = shop.process(&[]).expect_code(4);
        assert!(refused.stderr.contains("4 transfers that this database made"), "{}", refused.stderr);
        assert!(refused.stderr.contains("`payouts reconcile --fix`"), "{}", refused.stderr);
        let forgotten = ["forgotten_payout cp_lost", "status_behind cp0", "status_behind cp1", "status_behind cp2"];
        assert_eq!(shop.found(&[]), (forgotten.map(str::to_owned).to_vec(), 1));
        shop.process(&[]).expect_code(4);

        let watermark = "SELECT value FROM payout_settings WHERE key = 'watermark'";
        assert_eq!(shop.one(watermark), "");
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        // What was compared need not be read by the next guard again.
        assert_eq!(shop.one(watermark), "2026-11-02T09:30:00.000Z");
        assert_eq!(
            shop.db.query_strings(
                "SELECT creator_id, royalty_statement_id, CAST(amount_cents AS TEXT), status, reference
                 FROM payouts JOIN payout_batch_items ON payout_id = id WHERE id = 'cp_lost'"
            ),
            [["cr_ann", "st1", "700", "COMPLETED", "OCT-1"].map(|text| Some(text.to_owned()))]
        );
        assert_eq!(shop.one("SELECT status FROM royalty_statements"), "PAID");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 5);
        assert_eq!(shop.status("cp_new"), "COMPLETED");
        shop.assert_paid_exactly_once();
        assert_eq!(shop.found(&[]), (vec![], 0));
    }

    // What is repaired is held by an attempt, so that not even a row that is set back is paid again.
    fn what_is_restored_or_adopted_stays_paid_whatever_becomes_of_its_row(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        shop.restore_backup();
        shop.db.execute("DELETE FROM payouts WHERE id = 'cp1'");
        shop.db.execute("DELETE FROM payout_batch_items WHERE payout_id = 'cp1'");
        shop.creator("ann");
        shop.foreign_payout("cf", "ann", 700);
        shop.transfer("ann", 700, "&metadata[payoutId]=cf");
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        assert_eq!(
            shop.db.query_strings(
                "SELECT a.payout_id, idempotency_key, outcome, CAST(a.amount_cents AS TEXT), currency, destination,
                     stripe_account, CAST(send_count AS TEXT), command
                 FROM payout_attempts a JOIN payouts p ON p.id = a.payout_id AND p.stripe_transfer_id = a.transfer_id
                 JOIN payout_runs r ON r.id = a.run_id ORDER BY 1"
            ),
            [["cf", "payout_cf_1", "700", "ann"], ["cp0", "payout_cp0_1", "1000", "c0"], ["cp1", "payout_cp1_1", "1000", "c1"]]
                .map(|[id, key, cents, to]| {
                    let (to, from) = (format!("acct_{to}"), shop.one("SELECT value FROM payout_settings WHERE key = 'stripe_account'"));
                    [id, key, "paid", cents, "usd", &to, &from, "0", "reconcile"].map(|text| Some(text.to_owned()))
                })
        );
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        // Behind the watermark, other software sets them back as if they had never been sent.
        shop.pass(Duration::from_secs(25 * 3600));
        shop.creator("more");
        shop.payout("cp_more", "more", 100);
        shop.process(&[]).expect_code(0);
        shop.pass(Duration::from_secs(25 * 3600));
        shop.db.execute(
            "UPDATE payouts SET status = 'PENDING', stripe_transfer_id = NULL, processed_at = NULL WHERE id <> 'cp_more'",
        );
        shop.process(&[]);
        assert_eq!(shop.transfers().len(), 4);
        shop.found(&["--fix"]);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts WHERE status = 'COMPLETED'"), "4");
    }

    // What the guard looks at is compared without being asked for, however long ago it was.
    fn a_backup_older_than_the_usual_period_is_repaired_all_the_same(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.restore_backup();
        shop.pass(Duration::from_secs(90 * 86_400));
        shop.process(&[]).expect_code(4);
        assert_eq!(shop.found(&["--period", "35d", "--fix"]), (vec![], 0));
        shop.process(&[]).expect_code(4);
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 1);
    }

    // The attempt of the backup was refused; the one that paid came after it.
    fn a_backup_that_knows_only_the_refusal_before_is_repaired(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.db.execute("DELETE FROM payout_answers");
        shop.db.execute("UPDATE payout_attempts SET outcome = 'declined', transfer_id = NULL, attempt = 7");
        shop.db.execute("UPDATE payouts SET status = 'FAILED', stripe_transfer_id = NULL, processed_at = NULL, failed_reason = 'no'");
        shop.db.execute("DELETE FROM payout_settings WHERE key = 'watermark'");
        shop.process(&[]).expect_code(4);
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        assert_eq!(shop.status("cp0"), "COMPLETED");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 1);
    }

    // The refusal was to an account that was corrected since: nothing of it holds for the transfer.
    fn a_backup_that_knows_only_the_refusal_to_an_old_account_is_repaired(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("old_closed");
        shop.payout("cp0", "old_closed", 1000);
        shop.process(&[]).expect_code(1);
        shop.db.execute(r#"UPDATE creators SET "stripeAccountId" = 'acct_new'"#);
        shop.env.run(&["retry", "cp0"]).expect_code(0);
        shop.process(&[]).expect_code(0);
        for sql in [
            "DELETE FROM payout_answers WHERE attempt = 2",
            "DELETE FROM payout_attempts WHERE attempt = 2",
            "UPDATE payouts SET status = 'FAILED', stripe_transfer_id = NULL, processed_at = NULL, failed_reason = 'no'",
            "DELETE FROM payout_settings WHERE key = 'watermark'",
        ] {
            shop.db.execute(sql);
        }
        shop.process(&[]).expect_code(4);
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        assert_eq!((shop.status("cp0"), shop.outcomes("cp0")), ("COMPLETED".into(), vec!["declined".into(), "paid".into()]));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 1);
    }

    // What cannot be made again is a person's decision; then the guard passes.
    fn what_cannot_be_made_again_is_accepted_with_a_reason(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        shop.restore_backup();
        shop.db.execute("UPDATE payouts SET status = 'FAILED', failed_reason = 'cancelled: test' WHERE id = 'cp1'");
        for sql in [
            "DELETE FROM payouts WHERE id = 'cp0'",
            "DELETE FROM payout_batch_items WHERE payout_id = 'cp0'",
            "DELETE FROM creators WHERE id = 'cr_c0'",
        ] {
            shop.db.execute(sql);
        }
        let run = shop.reconcile(&["--fix"]).expect_code(1);
        assert!(run.stderr.contains("its creator cr_c0 is not in this database"), "{}", run.stderr);
        shop.process(&[]).expect_code(4);
        let finding = shop.one("SELECT id FROM payout_findings WHERE state = 'open'");
        shop.reconcile(&["--accept", &finding]).expect_code(2);
        shop.reconcile(&["--accept", &finding, "--reason", " "]).expect_code(2);
        shop.reconcile(&["--accept", "f0", "--reason", "creator left"]).expect_code(1);
        let accepted = shop.reconcile(&["--accept", &finding, "--reason", "creator left"]).expect_code(0);
        assert!(accepted.stdout.contains(&finding), "{}", accepted.stdout);
        assert_eq!(shop.found(&[]), (vec![], 0));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.one("SELECT reason FROM payout_findings WHERE state = 'accepted'"), "creator left");
        // The row comes back by another way, as if it had never been paid: what was found keeps it.
        shop.creator("again");
        shop.payout("cp0", "again", 1000);
        let run = shop.process(&[]).expect_code(1);
        assert!(run.stdout.contains("its transfer exists already"), "{run}");
        assert_eq!(shop.transfers().len(), 2);
    }

    // Accepting must not open a way to pay twice.
    fn what_is_accepted_is_not_sent_for_that(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.restore_backup();
        // The amount was changed too, so that it cannot be adopted.
        shop.db.execute("UPDATE payouts SET amount_cents = 999");
        assert_eq!(shop.found(&["--fix"]), (vec!["amount_differs cp0".into()], 5));
        let finding = shop.one("SELECT id FROM payout_findings WHERE state = 'open'");
        shop.process(&[]).expect_code(4);
        shop.reconcile(&["--accept", &finding, "--reason", "fine"]).expect_code(0);
        let run = shop.process(&[]).expect_code(1);
        assert!(run.stdout.contains("its transfer exists already"), "{run}");
        let shown = shop.env.run(&["show", "cp0"]).expect_code(0);
        assert!(shown.stdout.contains(&format!("a person accepted that ({finding}): fine")), "{shown}");
        assert_eq!(shop.transfers().len(), 1);
        shop.db.execute("UPDATE payouts SET amount_cents = 1000");
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 1);
    }

    // The same file was loaded again into the restored database, under new ids.
    fn a_lost_payout_is_not_made_again_beside_its_own_double(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.db.execute("UPDATE payout_batch_items SET reference = 'OCT-1'");
        shop.process(&[]).expect_code(0);
        shop.restore_backup();
        shop.db.execute("DELETE FROM payouts");
        shop.db.execute("DELETE FROM payout_batch_items");
        shop.payout("cp_again", "c0", 1000);
        shop.db.execute("UPDATE payout_batch_items SET reference = 'OCT-1'");
        let run = shop.reconcile(&["--fix"]).expect_code(1);
        assert!(run.stderr.contains("its reference OCT-1 is held by payout cp_again"), "{}", run.stderr);
        shop.process(&[]).expect_code(4);
        assert_eq!((shop.status("cp_again"), shop.transfers().len()), ("PENDING".into(), 1));
    }

    // Scenario 26: rows without a transfer id are the ones in doubt, whenever they were created.
    fn rows_without_a_transfer_come_first_and_whatever_the_period(db: TestDb) {
        let shop = Shop::open(db);
        for name in ["working", "marked", "known"] {
            shop.creator(name);
            shop.foreign_payout(&format!("cf_{name}"), name, 700);
        }
        shop.db.execute("UPDATE payouts SET status = 'PROCESSING' WHERE id = 'cf_working'");
        shop.db.execute("UPDATE payouts SET status = 'COMPLETED' WHERE id = 'cf_marked'");
        shop.db.execute("UPDATE payouts SET status = 'PROCESSING' WHERE id = 'cf_known'");
        shop.transfer("known", 700, "&metadata[payoutId]=cf_known");
        let doubt = ["missing_at_stripe cf_marked".to_owned(), "unresolved cf_working".to_owned()];
        let all = [doubt[0].clone(), "status_behind cf_known".into(), doubt[1].clone()];
        assert_eq!(shop.found(&[]), (all.to_vec(), 5));
        // A period that none of them lies in.
        let (found, code) = shop.found(&["--period", "2020-01"]);
        assert_eq!((found.contains(&doubt[0]), found.contains(&doubt[1]), code), (true, true, 5));
        assert_eq!(shop.found(&["--fix"]), (doubt.to_vec(), 5));
        assert_eq!(shop.status("cf_known"), "COMPLETED");
    }

    // Scenario 27: a period that cuts both sides differently finds nothing that is not there.
    fn the_edges_of_a_period_make_no_orphans(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        // Other software wrote its own clock's time: on the other side of either edge.
        shop.db.execute("UPDATE payouts SET processed_at = '2026-10-31 23:59:59.000' WHERE id = 'cp0'");
        shop.db.execute("DELETE FROM payout_answers");
        shop.db.execute("DELETE FROM payout_attempts");
        for period in ["2026-10", "2026-11", "2026-11-02T09:30:00Z..2026-11-02T09:30:01Z"] {
            assert_eq!(shop.found(&["--period", period]), (vec![], 0), "{period}");
        }
        assert_eq!(shop.found(&["--from", "2026-11-03"]), (vec![], 0));
        assert_eq!(shop.found(&["--to", "2026-10-31"]), (vec![], 0));
        shop.reconcile(&["--period", "2026-13"]).expect_code(2);
        shop.reconcile(&["--period", "2026-10", "--from", "2026-10-01"]).expect_code(2);
    }

    // Scenario 28: equal amounts on the same day pair nobody.
    fn an_equal_amount_is_never_a_match(db: TestDb) {
        let shop = Shop::open(db);
        for name in ["ann", "ben"] {
            shop.creator(name);
            shop.foreign_payout(&format!("cf_{name}"), name, 700);
            shop.db.execute(&format!("UPDATE payouts SET status = 'PROCESSING' WHERE id = 'cf_{name}'"));
        }
        // To the right account, over the right amount, for something else.
        shop.transfer("ann", 700, "");
        shop.transfer("ben", 700, "&transfer_group=BONUS-7");
        let doubt = ["unknown_transfer -", "unknown_transfer -", "unresolved cf_ann", "unresolved cf_ben"];
        assert_eq!(shop.found(&["--fix"]), (doubt.map(str::to_owned).to_vec(), 5));
        assert_eq!((shop.status("cf_ann"), shop.status("cf_ben")), ("PROCESSING".into(), "PROCESSING".into()));
    }

    // Scenario 29: two errors that cancel out in the sum are two findings.
    fn errors_that_cancel_out_are_found_each(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        shop.process(&[]).expect_code(0);
        shop.db.execute("UPDATE payouts SET amount_cents = 1100 WHERE id = 'cp0'");
        shop.db.execute("UPDATE payouts SET amount_cents = 900 WHERE id = 'cp1'");
        let run = shop.reconcile(&[]).expect_code(5);
        assert!(run.stdout.contains("Difference    0.00 USD"), "{}", run.stdout);
        assert_eq!(shop.found(&["--fix"]), (vec!["amount_differs cp0".into(), "amount_differs cp1".into()], 5));
        assert_eq!(shop.one("SELECT amount_cents FROM payouts WHERE id = 'cp0'"), "1100");
    }

    // Scenario 30: what is COMPLETED is never moved back, nor given another transfer.
    fn nothing_moves_a_completed_payout_back(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        let first = shop.transfer_of("cp0");
        shop.transfer("c0", 1000, "&transfer_group=cp0&metadata[payout_id]=cp0");
        assert_eq!(shop.found(&["--fix"]), (vec!["two_transfers cp0".into()], 5));
        assert_eq!((shop.status("cp0"), shop.transfer_of("cp0")), ("COMPLETED".into(), first));
        // A person reverses the one that is too many.
        let second = shop.one("SELECT transfer_id FROM payout_findings");
        shop.reverse(&second, 400);
        assert_eq!(shop.found(&[]), (vec!["two_transfers cp0".into()], 5));
        shop.process(&[]).expect_code(4);
        shop.reverse(&second, 600);
        assert_eq!(shop.found(&[]), (vec![], 0));
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_reversals"), "0");
        // Nor does it keep anybody from being paid.
        shop.process(&[]).expect_code(0);
    }

    // Neither of the two is recorded: none is adopted.
    fn of_two_unrecorded_transfers_none_is_adopted(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.restore_backup();
        shop.transfer("c0", 1000, "&transfer_group=cp0&metadata[payout_id]=cp0");
        let two = vec!["two_transfers cp0".to_owned(); 2];
        assert_eq!(shop.found(&[]), (two.clone(), 5));
        assert_eq!(shop.found(&["--fix"]), (two, 5));
        assert_eq!(shop.status("cp0"), "PENDING");
        shop.process(&[]).expect_code(4);
    }

    // Other software names no group: the two are found by metadata alone.
    fn of_two_transfers_without_a_group_none_is_adopted(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.foreign_payout("cf", "ann", 700);
        for _ in 0..2 {
            shop.transfer("ann", 700, "&metadata[payoutId]=cf");
        }
        let two = vec!["two_transfers cf".to_owned(); 2];
        assert_eq!(shop.found(&["--fix"]), (two.clone(), 5));
        assert_eq!(shop.found(&["--fix"]), (two, 5));
        assert_eq!((shop.status("cf"), shop.outcomes("cf")), ("PENDING".into(), vec![]));
    }

    // The period shows one transfer of other software; an earlier one lies before it.
    fn what_other_software_sent_is_adopted_only_when_all_of_it_was_looked_at(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        shop.foreign_payout("cf", "ann", 700);
        shop.pass(Duration::from_secs(40 * 86_400));
        shop.transfer("ann", 700, "&metadata[payoutId]=cf");
        let behind = (vec!["status_behind cf".to_owned()], 1);
        for period in [&["--from", "2026-11-01"][..], &["--period", "2d"], &["--from", "2026-10", "--to", "2026-12"]] {
            let mut args = period.to_vec();
            args.push("--fix");
            assert_eq!(shop.found(&args), behind, "{period:?}");
        }
        let run = shop.reconcile(&["--period", "2d", "--fix"]).expect_code(1);
        assert!(run.stderr.contains("`payouts reconcile --fix --from 2026-10-31T21:00:00.000Z`"), "{}", run.stderr);
        assert_eq!(shop.status("cf"), "PENDING");
        assert_eq!(shop.found(&["--from", "2026-10-31", "--fix"]), (vec![], 0));
        assert_eq!((shop.status("cf"), shop.outcomes("cf")), ("COMPLETED".into(), vec!["paid".into()]));
    }

    // What stands in its group and cannot be read may be a second transfer.
    fn a_group_that_cannot_be_read_whole_is_a_doubt(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        shop.foreign_payout("cf_ann", "ann", 500);
        shop.creator("ben");
        shop.foreign_payout("cf_ben", "ben", 500);
        shop.db.execute("UPDATE payouts SET status = 'PROCESSING' WHERE id = 'cf_ben'");
        let readable = r#"{"id":"tr_5","object":"transfer","amount":500,"currency":"usd","created":1793611800,
            "livemode":false,"destination":"acct_ann","metadata":{"payoutId":"cf_ann"}}"#;
        let odd = r#"{"id":"tr_6","object":"transfer","amount":"five"}"#;
        shop.env.set("STRIPE_API_BASE", &stripe_that_lists(&[readable], &[odd]));
        let doubt = ["odd_entry cf_ann", "odd_entry cf_ben", "two_transfers cf_ann", "unresolved cf_ben"];
        assert_eq!(shop.found(&["--fix"]), (doubt.map(str::to_owned).to_vec(), 5));
        assert_eq!(shop.status("cf_ann"), "PENDING");
    }

    // What a person wrote into the column stops nobody else's comparison.
    fn an_id_that_is_none_and_an_answer_that_is_none_are_findings(db: TestDb) {
        let mut shop = Shop::open(db);
        for (name, held) in [("wire", "paid by wire"), ("path", "tr_1/../../balance"), ("odd", "tr_9")] {
            shop.creator(name);
            shop.foreign_payout(&format!("cf_{name}"), name, 500);
            shop.db.execute(&format!(
                "UPDATE payouts SET status = 'COMPLETED', stripe_transfer_id = '{held}', processed_at = created_at
                 WHERE id = 'cf_{name}'"
            ));
        }
        let missing = ["missing_at_stripe cf_path".to_owned(), "missing_at_stripe cf_wire".to_owned()];
        shop.db.execute("UPDATE payouts SET stripe_transfer_id = NULL, status = 'PENDING' WHERE id = 'cf_odd'");
        assert_eq!(shop.found(&[]), (missing.to_vec(), 1));
        shop.db.execute("UPDATE payouts SET stripe_transfer_id = 'tr_9', status = 'COMPLETED' WHERE id = 'cf_odd'");
        shop.env.set("STRIPE_API_BASE", &stripe_that_lists(&[], &[]));
        let [path, wire] = missing;
        assert_eq!(shop.found(&[]), (vec![path, wire, "odd_entry cf_odd".into()], 1));
    }

    // The payout that bears a transfer is the one that paid a statement.
    fn a_statement_is_marked_by_a_payout_that_bears_a_transfer(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.statement("st1", "ann", 1000);
        shop.payout("cp0", "ann", 600);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1'");
        shop.process(&[]).expect_code(0);
        for (id, at) in [("cf_later", "'2026-11-03 12:00:00'"), ("cf_never", "NULL")] {
            shop.foreign_payout(id, "ann", 200);
            shop.db.execute(&format!(
                "UPDATE payouts SET status = 'COMPLETED', royalty_statement_id = 'st1', processed_at = {at} WHERE id = '{id}'"
            ));
        }
        let missing = ["missing_at_stripe cf_later".to_owned(), "missing_at_stripe cf_never".to_owned()];
        assert_eq!(shop.found(&["--fix"]), (missing.to_vec(), 1));
        assert_eq!(shop.one("SELECT status FROM royalty_statements"), "PAID");
        assert_eq!(shop.one("SELECT payment_reference FROM royalty_statements"), shop.transfer_of("cp0"));
    }

    // An amount taken back is recorded, not accepted; and what is settled stays as it was settled.
    fn only_what_is_open_and_no_repair_is_accepted(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.reverse(&shop.transfer_of("cp0"), 300);
        assert_eq!(shop.found(&[]), (vec!["reversed_partly cp0".into()], 1));
        let finding = shop.one("SELECT id FROM payout_findings");
        let accept = ["--accept", &finding, "--reason", "known"];
        let refused = shop.reconcile(&accept).expect_code(4);
        assert!(refused.stderr.contains("reversed_partly is not for accepting"), "{}", refused.stderr);
        shop.db.execute("UPDATE payouts SET amount_cents = 1100");
        shop.reconcile(&[]).expect_code(5);
        let differs = shop.one("SELECT id FROM payout_findings WHERE kind = 'amount_differs'");
        shop.db.execute("UPDATE payouts SET amount_cents = 1000");
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        let refused = shop.reconcile(&["--accept", &differs, "--reason", "known"]).expect_code(4);
        assert!(refused.stderr.contains("it is fixed, not open"), "{}", refused.stderr);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_findings WHERE state = 'accepted'"), "0");
    }

    // What nobody settled stays open, and is looked at again, however long ago it was made.
    fn an_open_finding_does_not_drop_out_of_the_period(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        shop.db.execute("UPDATE payouts SET amount_cents = 1100 WHERE id = 'cp0'");
        assert_eq!(shop.found(&[]), (vec!["amount_differs cp0".into()], 5));
        shop.pass(Duration::from_secs(40 * 86_400));
        let run = shop.reconcile(&["--period", "2d"]).expect_code(5);
        assert!(run.stdout.contains("amount_differs"), "{}", run.stdout);
        assert!(run.stdout.contains("1 open from before"), "{}", run.stdout);
        assert_eq!(shop.found(&["--period", "2d"]), (vec!["amount_differs cp0".into()], 5));
        shop.db.execute("UPDATE payouts SET amount_cents = 1000 WHERE id = 'cp0'");
        assert_eq!(shop.found(&["--period", "2d"]), (vec![], 0));
        assert_eq!(shop.one("SELECT state FROM payout_findings"), "fixed");
        // An id that Stripe does not know is asked for again, and gone once nobody holds it.
        shop.db.execute("UPDATE payouts SET stripe_transfer_id = 'tr_made_up' WHERE id = 'cp1'");
        shop.db.execute("UPDATE payout_attempts SET transfer_id = 'tr_made_up' WHERE payout_id = 'cp1'");
        let all = ["missing_at_stripe cp1".to_owned(), "status_behind cp1".to_owned()];
        let (found, _) = shop.found(&["--from", "2026-11-01"]);
        assert!(found.contains(&all[0]), "{found:?}");
        let (found, code) = shop.found(&["--period", "2d"]);
        assert!(found.contains(&all[0]) && code != 0, "{found:?}");
        let paid = shop.transfers().iter().find(|t| t.transfer_group.as_deref() == Some("cp1")).map(|t| t.id.clone()).expect("it was paid");
        shop.db.execute(&format!("UPDATE payouts SET stripe_transfer_id = '{paid}' WHERE id = 'cp1'"));
        shop.db.execute(&format!("UPDATE payout_attempts SET transfer_id = '{paid}' WHERE payout_id = 'cp1'"));
        assert_eq!(shop.found(&["--period", "2d"]), (vec![], 0));
    }

    // The one that ends last has seen it too: it must not take it for gone.
    fn what_two_comparisons_saw_is_gone_for_neither(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.foreign_payout("cf", "ann", 700);
        shop.db.execute("UPDATE payouts SET status = 'PROCESSING'");
        // Its first list is of the payout's group, its second of the period.
        let mut hang = FaultRule::on("transfers.list", Fault::HangBefore);
        hang.nth = Some(2);
        shop.stripe.faults_add(FaultPlan::of([hang])).expect("the fault is understood");
        let first = shop.env.command(&["reconcile"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        assert_eq!(shop.found(&[]), (vec!["unresolved cf".into()], 5));
        shop.stripe.release();
        assert_eq!(first.wait_with_output().expect("it ends").status.code(), Some(5));
        assert_eq!(shop.one("SELECT state FROM payout_findings"), "open");
    }

    fn what_differs_is_named_and_never_adopted(db: TestDb) {
        let shop = Shop::open(db);
        for name in ["amount", "account", "other"] {
            shop.creator(name);
            shop.foreign_payout(&format!("cf_{name}"), name, 700);
        }
        shop.transfer("amount", 650, "&metadata[payoutId]=cf_amount");
        shop.transfer("other", 700, "&metadata[payoutId]=cf_account");
        let euros = "amount=700&currency=eur&destination=acct_other&metadata[payoutId]=cf_other";
        shop.stripe.top_up("eur", 10_000).expect("money comes in");
        sandbox_client::post(&shop.stripe, "/v1/transfers", euros).api_key("sk_test_shop").ok();
        let differs = ["amount_differs cf_amount", "currency_differs cf_other", "destination_differs cf_account"];
        assert_eq!(shop.found(&["--fix"]), (differs.map(str::to_owned).to_vec(), 5));
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts WHERE status = 'PENDING'"), "3");
    }

    fn a_transfer_that_stripe_does_not_know_is_missing(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        shop.db.execute("UPDATE payouts SET stripe_transfer_id = 'tr_made_up' WHERE id = 'cp0'");
        // The attempt still holds the one that paid it.
        assert_eq!(shop.found(&["--fix"]), (vec!["missing_at_stripe cp0".into(), "two_transfers cp0".into()], 5));
        shop.db.execute("DELETE FROM payout_answers WHERE payout_id = 'cp1'");
        shop.db.execute("DELETE FROM payout_attempts WHERE payout_id = 'cp1'");
        shop.db.execute("UPDATE payouts SET stripe_transfer_id = 'tr_gone' WHERE id = 'cp1'");
        let (found, _) = shop.found(&[]);
        assert!(found.contains(&"missing_at_stripe cp1".to_owned()), "{found:?}");
    }

    // Looking it up for the one payout must not settle what was found of the other.
    fn a_transfer_that_stripe_does_not_know_is_missing_for_all_who_hold_it(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        shop.db.execute("UPDATE payouts SET stripe_transfer_id = 'tr_made_up' WHERE id = 'cp0'");
        shop.db.execute("UPDATE payout_attempts SET transfer_id = 'tr_made_up'");
        for _ in 0..2 {
            let (found, _) = shop.found(&[]);
            for payout in ["cp0", "cp1"] {
                assert!(found.contains(&format!("missing_at_stripe {payout}")), "{found:?}");
            }
        }
    }

    fn a_deleted_row_and_edited_metadata_are_told_and_stop_nobody(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        let edited = shop.transfer_of("cp1");
        shop.db.execute("DELETE FROM payouts WHERE id = 'cp0'");
        sandbox_client::post(&shop.stripe, &format!("/v1/transfers/{edited}"), "metadata[payout_id]=cp0")
            .api_key("sk_test_shop")
            .ok();
        assert_eq!(shop.found(&["--fix"]), (vec!["metadata_differs cp1".into(), "payout_deleted cp0".into()], 1));
        shop.creator("more");
        shop.payout("cp_more", "more", 100);
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.status("cp_more"), "COMPLETED");
    }

    // The platform's table refused the mark; the payment is recorded, and the mark follows.
    fn a_statement_that_could_not_be_marked_is_marked_later(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.statement("st1", "ann", 1000);
        shop.payout("cp0", "ann", 1000);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1'");
        shop.db.execute(match shop.db.backend() {
            Backend::Sqlite =>
                "CREATE TRIGGER refuse BEFORE UPDATE ON royalty_statements
                 BEGIN SELECT RAISE(ABORT, 'closed for the month'); END",
            Backend::Postgres =>
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     RAISE EXCEPTION 'closed for the month'; END $$;
                 CREATE TRIGGER refuse BEFORE UPDATE ON royalty_statements FOR EACH ROW EXECUTE FUNCTION refuse()",
        });
        let run = shop.process(&[]).expect_code(1);
        assert!(run.stderr.contains("closed for the month"), "{}", run.stderr);
        assert_eq!(shop.status("cp0"), "COMPLETED");
        assert_eq!(shop.found(&[]), (vec!["statement_not_marked cp0".into()], 1));
        let run = shop.reconcile(&["--fix"]).expect_code(1);
        assert!(run.stderr.contains("closed for the month"), "{}", run.stderr);
        shop.db.execute(match shop.db.backend() {
            Backend::Sqlite => "DROP TRIGGER refuse",
            Backend::Postgres => "DROP TRIGGER refuse ON royalty_statements",
        });
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        assert_eq!(shop.one("SELECT status FROM royalty_statements"), "PAID");
        assert_eq!(shop.one("SELECT payment_reference FROM royalty_statements"), shop.transfer_of("cp0"));
        assert_eq!(shop.found(&[]), (vec![], 0));
    }

    fn a_finding_is_known_again_and_gone_when_it_is_gone(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.db.execute("UPDATE payouts SET amount_cents = 1100");
        shop.reconcile(&[]).expect_code(5);
        let first = shop.one("SELECT first_seen_at FROM payout_findings");
        shop.pass(Duration::from_secs(3600));
        shop.reconcile(&[]).expect_code(5);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_findings"), "1");
        assert_eq!(shop.one("SELECT first_seen_at FROM payout_findings"), first);
        assert_ne!(shop.one("SELECT seen_at FROM payout_findings"), first);
        shop.db.execute("UPDATE payouts SET amount_cents = 1000");
        shop.reconcile(&[]).expect_code(0);
        assert_eq!(shop.one("SELECT state FROM payout_findings"), "fixed");
    }

    // Whoever of two that overlap sees a finding last, neither calls it clean.
    fn two_comparisons_at_once_find_the_same(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(8);
        shop.process(&[]).expect_code(0);
        shop.db.execute("UPDATE payouts SET amount_cents = 1100");
        let start = || {
            // By a clock that runs: a run counts what was seen since it began.
            let mut command = shop.env.command(&["reconcile", "--period", "2026-11"]);
            command.env_remove("PAYOUTS_TEST_NOW").stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().expect("it starts")
        };
        let runs = [start(), start()];
        for run in runs {
            let output = run.wait_with_output().expect("it ends");
            assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_findings"), "8");
    }

    // What was accepted is bound to what it said.
    fn an_accepted_finding_that_changes_is_open_again(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.db.execute("UPDATE payouts SET amount_cents = 1100");
        shop.reconcile(&[]).expect_code(5);
        let finding = shop.one("SELECT id FROM payout_findings");
        shop.reconcile(&["--accept", &finding, "--reason", "a typing error"]).expect_code(0);
        assert_eq!(shop.found(&[]), (vec![], 0));
        shop.db.execute("UPDATE payouts SET amount_cents = 1200");
        assert_eq!(shop.found(&[]), (vec!["amount_differs cp0".into()], 5));
    }

    fn a_key_of_another_account_and_a_stripe_that_is_away_are_refused(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.env.set("STRIPE_SECRET_KEY", "sk_test_other_shop");
        let run = shop.reconcile(&[]).expect_code(4);
        assert!(run.stderr.contains("this database pays from Stripe account"), "{}", run.stderr);
        shop.env.set("STRIPE_SECRET_KEY", "sk_test_expired");
        shop.reconcile(&[]).expect_code(3);
        shop.env.set("STRIPE_SECRET_KEY", "sk_test_shop");
        shop.env.set("STRIPE_API_BASE", "http://127.0.0.1:9");
        let run = shop.reconcile(&[]).expect_code(3);
        assert!(run.stderr.contains("failed to compare with Stripe"), "{}", run.stderr);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_reconciliations"), "0");
    }

    fn an_interrupted_comparison_is_said_to_be_one(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        let hang = FaultRule::on("transfers.list", Fault::HangBefore).times(1);
        shop.stripe.faults_add(FaultPlan::of([hang])).expect("the fault is understood");
        let child = shop.env.command(&["reconcile", "--fix"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
        shop.stripe.release();
        assert_eq!(shop.one("SELECT exit_code FROM payout_runs WHERE command = 'reconcile'"), "130");
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_reconciliations"), "0");
        assert_eq!(shop.found(&[]), (vec![], 0));
    }

    // One entry of a page that cannot be read spoils neither the page nor the comparison.
    fn an_odd_entry_is_a_finding(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        shop.foreign_payout("cf_ann", "ann", 500);
        let readable = r#"{"id":"tr_5","object":"transfer","amount":500,"currency":"usd","created":1793611800,
            "livemode":false,"destination":"acct_ann","metadata":{"payoutId":"cf_ann"}}"#;
        let odd = r#"{"id":"tr_6","object":"transfer","amount":"five"}"#;
        shop.env.set("STRIPE_API_BASE", &stripe_that_lists(&[readable, odd], &[]));
        assert_eq!(shop.found(&[]), (vec!["odd_entry -".into(), "status_behind cf_ann".into()], 1));
        assert_eq!(shop.one("SELECT transfer_id FROM payout_findings WHERE kind = 'odd_entry'"), "tr_6");
    }

    // More than a page at Stripe, and more than a page in the table.
    fn pages_are_walked_to_their_end(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        for number in 0..250 {
            let id = shop.transfer("c0", 100 + number, "");
            shop.db.execute(&format!(
                "INSERT INTO payouts (id, creator_id, amount_cents, status, stripe_transfer_id, processed_at, created_at, updated_at)
                 VALUES ('cf{number}', 'cr_c0', {}, 'COMPLETED', '{id}', '2026-11-02 09:30:00', '2026-11-01 12:00:00', '2026-11-01 12:00:00')",
                100 + number
            ));
        }
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        assert_eq!(shop.one("SELECT matched_count FROM payout_reconciliations"), "250");
        assert_eq!(shop.stripe.ledger().requests["transfers.list"][&200], 3);
        // From outside its period, each is looked up by its id.
        shop.db.execute("UPDATE payouts SET processed_at = '2026-10-01 12:00:00' WHERE status = 'COMPLETED'");
        assert_eq!(shop.found(&["--period", "2026-10"]), (vec![], 0));
        assert_eq!(shop.stripe.ledger().requests["transfers.retrieve"][&200], 250);
    }
}

/// An address that answers every list of transfers with these entries, and every list of a group
/// with those.
pub(crate) fn stripe_that_lists(entries: &[&str], group: &[&str]) -> String {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let list = |entries: &[&str]| {
        let entries = entries.join(",");
        format!(r#"{{"object":"list","has_more":false,"data":[{entries}]}}"#)
    };
    let (all, group) = (list(entries), list(group));
    // The balance moved as its readable entries say.
    let moved: Vec<String> = entries
        .iter()
        .filter_map(|entry| balance_line(entry))
        .collect();
    let (moved, none) = (
        list(&moved.iter().map(String::as_str).collect::<Vec<_>>()),
        list(&[]),
    );
    let account = r#"{"id":"acct_1","object":"account"}"#;
    let balance = r#"{"object":"balance","livemode":false,"available":[{"amount":0,"currency":"usd","source_types":{"card":0}}],"pending":[]}"#;
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else {
                return;
            };
            let mut lines = BufReader::new(&connection).lines();
            let first = lines.next().and_then(Result::ok).unwrap_or_default();
            while lines
                .next()
                .and_then(Result::ok)
                .is_some_and(|line| !line.is_empty())
            {}
            let body = match first.as_str() {
                line if line.contains("/v1/account") => account,
                line if line.contains("type=transfer_refund") => none.as_str(),
                line if line.contains("/v1/balance_transactions") => moved.as_str(),
                line if line.contains("/v1/balance") => balance,
                line if line.contains("transfer_group=") => group.as_str(),
                _ => all.as_str(),
            };
            let length = body.len();
            let _ = write!(
                connection,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
        }
    });
    format!("http://{address}")
}

fn balance_line(transfer: &str) -> Option<String> {
    let transfer: Value = serde_json::from_str(transfer).ok()?;
    let line = json!({
        "id": format!("txn_{}", transfer["id"].as_str()?),
        "object": "balance_transaction",
        "amount": -transfer["amount"].as_i64()?,
        "currency": transfer["currency"],
        "created": transfer["created"],
        "source": transfer["id"],
    });
    Some(line.to_string())
}

#[test]
fn findings_are_grouped_with_what_to_do_next() {
    let shop = Shop::open(crate::common::db::TestDb::sqlite());
    shop.payouts(1);
    shop.process(&[]).expect_code(0);
    shop.reverse(&shop.transfer_of("cp0"), 300);
    shop.transfer("c0", 4200, "&transfer_group=BONUS-7");
    insta::assert_snapshot!(shop.reconcile(&[]).transcript(), @r"
    $ payouts reconcile
    reversed_partly: some of the transfer was taken back
    Finding            Payout  Transfer                  At stake  In the table        At Stripe
    f0000000000000001  cp0     tr_000000000000000000001      3.00  nothing taken back  3.00 USD taken back
    Next: `payouts reconcile --fix` keeps the amount; the payout stays COMPLETED and is never sent again

    unknown_transfer: the transfer pays no payout of this database
    Finding            Payout  Transfer                  At stake  In the table  At Stripe
    f0000000000000002          tr_000000000000000000002     42.00  nothing       42.00 USD to acct_c0, for BONUS-7
    Next: if other software made it on purpose, accept it: `payouts reconcile --accept FINDING --reason TEXT`

    Period        2026-09-28 00:00 to now, UTC
    Stripe lists  2 transfers, 52.00 USD
    We recorded   1 payout as paid, 10.00 USD
    Difference    42.00 USD
    Matched       1 of 2 transfers
    Taken back    3.00 USD
    Balance       lost 0.00 USD to transfers, the last minute not counted
    Findings      2 open, 0 repaired, 0 accepted
    --- stderr
    --- exit 1
    ");
    insta::assert_snapshot!(shop.reconcile(&["--fix", "-o", "json"]).transcript(), @r#"
    $ payouts reconcile --fix -o json
    {
      "schema": 1,
      "findings": [
        {
          "id": "f0000000000000001",
          "kind": "reversed_partly",
          "severity": "warning",
          "state": "fixed",
          "payout_id": "cp0",
          "attempt": 1,
          "transfer_id": "tr_000000000000000000001",
          "subject": null,
          "at_stake_cents": 300,
          "currency": "usd",
          "expected": "nothing taken back",
          "found": "3.00 USD taken back",
          "first_seen_at": "2026-11-02T09:30:00.000Z",
          "seen_at": "2026-11-02T09:30:00.000Z",
          "settled_at": "2026-11-02T09:30:00.000Z",
          "actor": "tester",
          "reason": "the amount is kept",
          "next_step": null,
          "change": null
        },
        {
          "id": "f0000000000000002",
          "kind": "unknown_transfer",
          "severity": "warning",
          "state": "open",
          "payout_id": null,
          "attempt": null,
          "transfer_id": "tr_000000000000000000002",
          "subject": null,
          "at_stake_cents": 4200,
          "currency": "usd",
          "expected": null,
          "found": "42.00 USD to acct_c0, for BONUS-7",
          "first_seen_at": "2026-11-02T09:30:00.000Z",
          "seen_at": "2026-11-02T09:30:00.000Z",
          "settled_at": null,
          "actor": null,
          "reason": null,
          "next_step": "if other software made it on purpose, accept it: `payouts reconcile --accept FINDING --reason TEXT`",
          "change": null
        }
      ],
      "run_id": "c000000000000000000000001",
      "period": {
        "from": "2026-09-28T00:00:00.000Z",
        "until": null
      },
      "source": "stripe",
      "file": null,
      "currency": "usd",
      "stripe": {
        "transfers": 2,
        "amount_cents": 5200,
        "reversed_cents": 300
      },
      "table": {
        "payouts": 1,
        "amount_cents": 1000
      },
      "difference_cents": 4200,
      "balance": {
        "transfer_cents": 0,
        "reversed_cents": 0
      },
      "matched": 1,
      "open": 1,
      "open_from_before": 0,
      "fixed": 1,
      "accepted": 0,
      "held_by": [],
      "clean": false,
      "exit_code": 1
    }
    --- stderr
    --- exit 1
    "#);
    insta::assert_snapshot!(shop.reconcile(&["--period", "2026-11-02", "-o", "csv"]).transcript(), @r#"
    $ payouts reconcile --period 2026-11-02 -o csv
    id,kind,severity,state,payout_id,attempt,transfer_id,subject,at_stake_cents,currency,expected,found,first_seen_at,seen_at,settled_at,actor,reason,next_step,change
    f0000000000000002,unknown_transfer,warning,open,,,tr_000000000000000000002,,4200,usd,,"42.00 USD to acct_c0, for BONUS-7",2026-11-02T09:30:00.000Z,2026-11-02T09:30:00.000Z,,,,"if other software made it on purpose, accept it: `payouts reconcile --accept FINDING --reason TEXT`",
    --- stderr
    --- exit 1
    "#);
    let finding = shop.one("SELECT id FROM payout_findings WHERE state = 'open'");
    insta::assert_snapshot!(shop.reconcile(&["--accept", &finding, "--reason", "a bonus"]).transcript(), @r"
    $ payouts reconcile --accept f0000000000000002 --reason 'a bonus'
    accepted:
    Finding            Payout  Transfer                  At stake  In the table  At Stripe
    f0000000000000002          tr_000000000000000000002     42.00  nothing       42.00 USD to acct_c0, for BONUS-7
    --- stderr
    --- exit 0
    ");
    insta::assert_snapshot!(shop.reconcile(&["--from", "2026-11", "--tz", "Europe/Berlin"]).transcript(), @r"
    $ payouts reconcile --from 2026-11 --tz Europe/Berlin
    Period        2026-10-31 23:00 to now, UTC
    Stripe lists  2 transfers, 52.00 USD
    We recorded   1 payout as paid, 10.00 USD
    Difference    42.00 USD
    Matched       1 of 2 transfers
    Taken back    3.00 USD
    Balance       lost 0.00 USD to transfers, the last minute not counted
    Findings      0 open, 0 repaired, 1 accepted
    --- stderr
    --- exit 0
    ");
    insta::assert_snapshot!(shop.env.run(&["list"]).transcript(), @r"
    $ payouts list
    Payout  Created           Creator  Amount (USD)  Taken back  Status                     Transfer / reason         Reference
    cp0     2026-11-01 12:00  c0              10.00        3.00  COMPLETED (part reversed)  tr_000000000000000000001
    1 payout, 10.00 USD: 1 COMPLETED 10.00
    paid 10.00, taken back 3.00 of 1 payout, net 7.00 USD
    --- stderr
    --- exit 0
    ");
}

#[test]
fn a_person_sees_it_on_a_narrow_screen() {
    let shop = Shop::open(crate::common::db::TestDb::sqlite());
    shop.payouts(1);
    shop.process(&[]).expect_code(0);
    shop.reverse(&shop.transfer_of("cp0"), 1000);
    let run = shop.env.run_in_terminal(70, &["reconcile"], &[]);
    insta::assert_snapshot!(run.expect_code(1).transcript(), @r"
    $ payouts reconcile
    reversed_fully: all of the transfer was taken back
    Finding            Payout  In the table        At Stripe
    f0000000000000001  cp0     nothing taken back  10.00 USD taken back
    Next: `payouts reconcile --fix` keeps the amount; the payout stays
    COMPLETED and is never sent again

    Period        2026-09-28 00:00 to now, UTC
    Stripe lists  1 transfer, 10.00 USD
    We recorded   1 payout as paid, 10.00 USD
    Difference    0.00 USD
    Matched       1 of 1 transfer
    Taken back    10.00 USD
    Balance       lost 0.00 USD to transfers, the last minute not counted
    Findings      1 open, 0 repaired, 0 accepted
    --- stderr
    --- exit 1
    ");
}
