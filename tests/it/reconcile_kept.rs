//! `payouts reconcile` over time: what each comparison found is kept, one that was cut off goes on,
//! and the balance is held against the transfers.

use serde_json::Value;

use crate::common::db::{Backend, on_both};
use crate::common::shop::Shop;
use crate::reconcile::stripe_that_lists;

impl Shop {
    /// The run of the last comparison that ended.
    fn last_comparison(&self) -> String {
        self.one("SELECT run_id FROM payout_reconciliations ORDER BY finished_at DESC, run_id DESC LIMIT 1")
    }

    fn compared(&self, args: &[&str]) -> Value {
        let run = self.env.run(args);
        serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run}"))
    }

    fn lists(&self) -> u64 {
        let ledger = self.stripe.ledger();
        let answers = ledger.requests.get("transfers.list");
        answers.map_or(0, |answers| answers.values().sum())
    }
}

on_both! {
    // What was found last month is printed again as it stood, whatever became of it since.
    fn a_comparison_is_shown_again_as_it_stood(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(3);
        shop.process(&[]).expect_code(0);
        shop.reverse(&shop.transfer_of("cp0"), 300);
        shop.transfer("c1", 4200, "");
        let then = shop.reconcile(&[]).expect_code(1);
        let run = shop.last_comparison();
        shop.pass(std::time::Duration::from_secs(3600));
        shop.reconcile(&["--fix"]).expect_code(1);
        let shown = shop.reconcile(&["--show", &run]).expect_code(0);
        assert_eq!(shown.stdout, then.stdout);
        // The last one says what has been repaired since.
        let last = shop.compared(&["reconcile", "--show", "last", "-o", "json"]);
        assert_eq!((&last["open"], &last["fixed"]), (&1.into(), &1.into()));
        assert_ne!(last["run_id"].as_str(), Some(run.as_str()));
        let run = shop.reconcile(&["--show", "nobody"]).expect_code(1);
        assert!(run.stderr.contains("no comparison that ended has this run: nobody"), "{run}");
    }

    fn only_what_is_new_is_told_with_diff(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(3);
        shop.process(&[]).expect_code(0);
        shop.reverse(&shop.transfer_of("cp0"), 300);
        shop.transfer("c1", 4200, "");
        shop.reconcile(&[]).expect_code(1);
        let before = shop.last_comparison();
        shop.reverse(&shop.transfer_of("cp1"), 100);
        shop.reconcile(&["--fix", "--period", "2026-11"]).expect_code(1);
        shop.reverse(&shop.transfer_of("cp2"), 200);
        // One came, one went, one is as before.
        shop.pass(std::time::Duration::from_secs(60));
        let diff = shop.compared(&["reconcile", "--diff", &before, "-o", "json"]);
        let told: Vec<(&str, &str)> = diff["findings"].as_array().expect("a list").iter()
            .map(|finding| (finding["change"].as_str().unwrap_or("-"), finding["payout_id"].as_str().unwrap_or("-")))
            .collect();
        assert_eq!(told, [("new", "cp2"), ("gone", "cp0")]);
        assert_eq!(diff["open"], 2);
        let shown = shop.reconcile(&["--show", "last", "--diff", &before]).expect_code(0);
        assert!(shown.stdout.contains(&format!("Since {before}: 1 new, 1 gone, 1 as before")), "{shown}");
        let none = shop.reconcile(&["--show", "last", "--diff", "last"]).expect_code(0);
        assert!(none.stdout.contains("0 new, 0 gone, 2 as before"), "{none}");
    }

    // Cut off at any batch, the next run reads the rest and comes to the same.
    fn a_comparison_that_was_cut_off_goes_on(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        for number in 0..450 {
            if number % 10 == 0 {
                shop.pass(std::time::Duration::from_secs(60));
            }
            let id = shop.transfer("c0", 100 + number, "");
            // The last ones are held by nobody.
            if number < 447 {
                shop.db.execute(&format!(
                    "INSERT INTO payouts (id, creator_id, amount_cents, status, stripe_transfer_id, processed_at, created_at, updated_at)
                     VALUES ('cf{number}', 'cr_c0', {}, 'COMPLETED', '{id}', '2026-11-02 09:30:00', '2026-11-01 12:00:00', '2026-11-01 12:00:00')",
                    100 + number
                ));
            }
        }
        let refused = shop.reconcile(&["--resume"]).expect_code(3);
        assert!(refused.stderr.contains("no comparison was cut off"), "{refused}");
        shop.env.set("PAYOUTS_TEST_FAILPOINT", "reconcile.listed@4=kill");
        let cut = shop.env.run(&["reconcile", "--period", "2026-11"]);
        assert_eq!(cut.code, 137, "{cut}");
        shop.env.unset("PAYOUTS_TEST_FAILPOINT");
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_reconciliation_progress"), "1");
        // It may live until its lease is over, as far as anybody knows who cannot see its session.
        if shop.db.backend() == Backend::Sqlite {
            let early = shop.reconcile(&["--resume"]).expect_code(3);
            assert!(early.stderr.contains("may still be at work"), "{early}");
        }
        shop.pass(std::time::Duration::from_secs(130));
        // The period is not over: what is made meanwhile belongs to it.
        shop.transfer("c0", 99, "");
        let before = shop.lists();
        let resumed = shop.compared(&["reconcile", "--resume", "--no-balance", "-o", "json"]);
        let read = shop.lists() - before;
        assert!(read < 7, "{read} lists were read again");
        let told = |answer: &Value| {
            let ids = answer["findings"].as_array().expect("a list").iter().map(|f| f["id"].clone());
            (ids.collect::<Vec<_>>(), answer["stripe"].clone(), answer["matched"].clone(), answer["period"].clone())
        };
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_reconciliation_progress"), "0");
        let anew = shop.compared(&["reconcile", "--period", "2026-11", "--no-balance", "-o", "json"]);
        assert_eq!(told(&resumed), told(&anew));
        assert_eq!((&anew["stripe"]["transfers"], &anew["matched"]), (&452.into(), &448.into()));
        shop.reconcile(&["--resume"]).expect_code(3);
    }

    // What was read before the cut is not read again, so that not to see it says nothing.
    fn an_entry_that_could_not_be_read_before_the_cut_stays_found(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.env.set("PAYOUTS_TEST_FAILPOINT", "reconcile.listed@1=kill");
        assert_eq!(shop.env.run(&["reconcile", "--period", "2026-11"]).code, 137);
        shop.env.unset("PAYOUTS_TEST_FAILPOINT");
        shop.db.execute(
            "INSERT INTO payout_findings (id, kind, found, state, first_seen_at, seen_at, run_id)
             SELECT 'f1', 'odd_entry', 'no id', 'open', saved_at, saved_at, run_id FROM payout_reconciliation_progress",
        );
        shop.pass(std::time::Duration::from_secs(130));
        assert_eq!(shop.compared(&["reconcile", "--resume", "-o", "json"])["open"], 1);
        shop.pass(std::time::Duration::from_secs(60));
        assert_eq!(shop.compared(&["reconcile", "--period", "2026-11", "-o", "json"])["open"], 0);
    }

    // The period goes on after the cut, and so does the second in which it fell. Whoever goes
    // on sees what was made then, wherever the pages had ended.
    fn what_is_made_after_the_cut_is_seen_by_whoever_goes_on(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        let cut = |shop: &mut Shop| {
            shop.env.set("PAYOUTS_TEST_FAILPOINT", "reconcile.listed=kill");
            let cut = shop.env.run(&["reconcile"]);
            assert_eq!(cut.code, 137, "{cut}");
            shop.env.unset("PAYOUTS_TEST_FAILPOINT");
        };
        let found_by_going_on = |shop: &mut Shop| {
            shop.pass(std::time::Duration::from_secs(130));
            shop.found(&["--resume"]).0.len()
        };
        // The first page is of one second.
        (0..110).for_each(|_| drop(shop.transfer("ann", 100, "")));
        cut(&mut shop);
        shop.pass(std::time::Duration::from_secs(1));
        shop.transfer("ann", 100, "");
        assert_eq!(found_by_going_on(&mut shop), 111);
        // The first page ends within an earlier second, and its newest one goes on.
        shop.transfer("ann", 100, "");
        cut(&mut shop);
        shop.transfer("ann", 100, "");
        assert_eq!(found_by_going_on(&mut shop), 113);
    }

    // What was read is not read again, and is not called agreed where it was changed since.
    fn rows_that_changed_after_they_were_compared_are_told_by_whoever_goes_on(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        shop.payout("p1", "ann", 100);
        let mut held = String::new();
        for number in [30, 60, 30] {
            shop.pass(std::time::Duration::from_secs(120));
            (0..number).for_each(|_| held = shop.transfer("ann", 100, ""));
            if number == 60 {
                shop.db.execute(&format!(
                    "UPDATE payouts SET status = 'COMPLETED', stripe_transfer_id = '{held}', processed_at = created_at"
                ));
            }
        }
        let go_on_after = |shop: &mut Shop, change: &str| {
            shop.env.set("PAYOUTS_TEST_FAILPOINT", "reconcile.listed=kill");
            shop.env.run(&["reconcile"]);
            shop.env.unset("PAYOUTS_TEST_FAILPOINT");
            shop.db.execute(change);
            shop.pass(std::time::Duration::from_secs(130));
            shop.reconcile(&["--resume"]).expect_code(1).stderr.contains("compare all of it, without --resume")
        };
        assert!(!go_on_after(&mut shop, "UPDATE payouts SET updated_at = created_at"));
        assert!(go_on_after(&mut shop, "UPDATE payouts SET status = 'FAILED', stripe_transfer_id = NULL"));
        assert_eq!(shop.one("SELECT clean FROM payout_reconciliations ORDER BY finished_at DESC LIMIT 1"), "0");
    }

    fn a_balance_that_agrees_is_shown(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        shop.pass(std::time::Duration::from_secs(3600));
        let agrees = shop.compared(&["reconcile", "-o", "json"]);
        assert_eq!((&agrees["clean"], &agrees["balance"]["transfer_cents"]), (&true.into(), &2000.into()));
        let left_out = shop.compared(&["reconcile", "--no-balance", "-o", "json"]);
        assert_eq!((&left_out["clean"], &left_out["balance"]), (&true.into(), &Value::Null));
    }

    // What left the balance as a transfer, and no transfer that can be read says.
    fn a_balance_that_moved_by_another_sum_is_found(db: TestDb) {
        let mut shop = Shop::open(db);
        let read = |id: &str, cents: i64, more: &str| format!(
            r#"{{"id":"{id}","object":"transfer","amount":{cents},"currency":"usd","created":1793600000{more}}}"#
        );
        let (one, odd) = (read("tr_5", 500, r#","livemode":false"#), read("tr_6", 700, ""));
        shop.env.set("STRIPE_API_BASE", &stripe_that_lists(&[&one, &odd], &[]));
        let run = shop.reconcile(&["-o", "json"]).expect_code(1);
        let answer: Value = serde_json::from_str(&run.stdout).expect("JSON");
        let finding = &answer["findings"][0];
        assert_eq!((&finding["kind"], &finding["subject"], &finding["at_stake_cents"], &finding["severity"]),
            (&"balance_differs".into(), &"transfers of 2026-11-02".into(), &700.into(), &"error".into()));
        assert_eq!(answer["balance"]["transfer_cents"], 1200);
        assert_eq!(answer["findings"].as_array().map(Vec::len), Some(3), "{answer:#}");
    }

    // A comparison of another time, or of a part of the day, does not say that the day agrees.
    fn only_comparing_a_day_again_settles_what_its_balance_did_not_add_up_to(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.db.execute(
            "INSERT INTO payout_findings (id, kind, subject, found, state, first_seen_at, seen_at, run_id)
             SELECT 'f1', 'balance_differs', 'transfers of 2026-11-01', 'more', 'open', '2026-11-02 09:30:00',
                    '2026-11-02 09:30:00', id FROM payout_runs WHERE command = 'process'",
        );
        shop.pass(std::time::Duration::from_secs(3 * 86_400));
        let open = (vec!["balance_differs -".to_owned()], 1);
        for other in [
            "2026-10",
            "2026-11-02..2026-11-04",
            "2026-11-01T00:00:01Z..2026-11-03T00:00:00Z",
            "2026-10-01T00:00:00Z..2026-11-01T23:59:59Z",
        ] {
            assert_eq!(shop.found(&["--period", other]), open, "{other}");
        }
        assert_eq!(shop.found(&["--period", "2026-11-01"]), (vec![], 0));
    }

    // Part of a day says something else than all of it, which a person has accepted.
    fn a_day_that_was_accepted_stays_so_when_the_time_moves_on(db: TestDb) {
        let mut shop = Shop::open(db);
        let transfer = |id: &str, cents: i64, created: i64, more: &str| format!(
            r#"{{"id":"{id}","object":"transfer","amount":{cents},"currency":"usd","created":{created}{more}}}"#
        );
        // 2026-11-02 08:53 and 11:06; of the second one only the balance can be read.
        let (early, late) = (1_793_609_600, 1_793_617_600);
        let (one, odd) = (transfer("tr_5", 500, early, r#","livemode":false"#), transfer("tr_6", 700, late, ""));
        shop.env.set("STRIPE_API_BASE", &stripe_that_lists(&[&one, &odd], &[]));
        shop.pass(std::time::Duration::from_secs(2 * 86_400));
        shop.reconcile(&[]).expect_code(1);
        let accept = |finding: &str| {
            shop.reconcile(&["--accept", finding, "--reason", "known"]).expect_code(0);
        };
        let finding = shop.one("SELECT id FROM payout_findings WHERE kind = 'balance_differs'");
        accept(&finding);
        // The first of the 35 days by now, in the middle of which they began.
        shop.pass(std::time::Duration::from_secs(33 * 86_400));
        shop.reconcile(&[]);
        assert_eq!(shop.one("SELECT state FROM payout_findings WHERE kind = 'balance_differs'"), "accepted");
    }

    // A day that had not ended is settled by as much of it as had been compared.
    fn a_line_of_the_balance_that_came_late_settles_its_day(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.db.execute(
            "INSERT INTO payout_findings (id, kind, subject, found, state, first_seen_at, seen_at, run_id)
             SELECT 'f1', 'balance_differs', 'transfers of 2026-11-02', 'more', 'open', '2026-11-02 09:30:00',
                    '2026-11-02 09:30:00', id FROM payout_runs WHERE command = 'process'",
        );
        shop.pass(std::time::Duration::from_secs(3600));
        assert_eq!(shop.found(&[]), (vec![], 0));
    }

    // What only a report showed is not settled by lists in which it never was.
    fn a_line_that_only_a_report_knows_stays_open(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.db.execute(
            "INSERT INTO payout_findings (id, kind, subject, found, state, first_seen_at, seen_at, run_id)
             SELECT 'f1', 'unknown_transfer', 'txn_1', 'line 2 of the file', 'open', '2026-11-02 09:30:00',
                    '2026-11-02 09:30:00', id FROM payout_runs WHERE command = 'process'",
        );
        shop.pass(std::time::Duration::from_secs(3600));
        assert_eq!(shop.found(&[]), (vec!["unknown_transfer -".to_owned()], 1));
    }

    // The balance tells of what was taken back in the period, also of an older transfer.
    fn what_was_taken_back_of_an_older_transfer_is_found(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        shop.pass(std::time::Duration::from_secs(40 * 86_400));
        shop.reverse(&shop.transfer_of("cp1"), 250);
        shop.pass(std::time::Duration::from_secs(3600));
        assert_eq!(shop.found(&["--period", "2026-12", "--no-balance"]), (vec![], 0));
        assert_eq!(shop.found(&["--period", "2026-12"]), (vec!["reversed_partly cp1".into()], 1));
        let fixed = shop.compared(&["reconcile", "--period", "2026-12", "--fix", "-o", "json"]);
        assert_eq!(fixed["balance"]["reversed_cents"], 250);
        assert_eq!(shop.one("SELECT amount_reversed_cents FROM payout_reversals"), "250");
    }

    // More than the ten reversals that Stripe sends along with a transfer.
    fn many_reversals_of_one_transfer_tie_to_the_balance(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        for _ in 0..12 {
            shop.reverse(&shop.transfer_of("cp0"), 10);
        }
        shop.pass(std::time::Duration::from_secs(3600));
        assert_eq!(shop.found(&[]), (vec!["reversed_partly cp0".into()], 1));
    }

    // Scenario 9: the statement of a payout that was taken back is told, and not changed.
    fn a_paid_statement_whose_payout_was_taken_back_is_told(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.statement("st1", "ann", 1000);
        shop.env.run(&["create", "--from-statements", "--yes"]).expect_code(0);
        shop.env.run(&["release", "--all-batches"]);
        shop.db.execute("DELETE FROM payout_holds");
        shop.process(&[]).expect_code(0);
        let payout = shop.one("SELECT id FROM payouts");
        shop.reverse(&shop.transfer_of(&payout), 1000);
        // What was taken back is kept first; from then on the statement is known to be short.
        assert_eq!(shop.found(&["--fix"]), (vec![format!("statement_reversed {payout}")], 1));
        let found = shop.compared(&["reconcile", "-o", "json"]);
        assert_eq!((&found["findings"][0]["subject"], &found["findings"][0]["at_stake_cents"]), (&"st1".into(), &1000.into()));
        assert_eq!(shop.one("SELECT status FROM royalty_statements"), "PAID");
        assert_eq!(shop.status(&payout), "COMPLETED");
        let finding = shop.one("SELECT id FROM payout_findings WHERE kind = 'statement_reversed'");
        shop.reconcile(&["--accept", &finding, "--reason", "agreed with the creator"]).expect_code(0);
        assert_eq!(shop.found(&[]).1, 0);
    }

    // A person may accept that a statement was paid twice, not that nobody counts it.
    fn a_second_transfer_that_is_accepted_counts_on_its_statement(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.statement("st1", "ann", 1000);
        shop.env.run(&["create", "--from-statements", "--release", "--yes"]).expect_code(0);
        shop.process(&[]).expect_code(0);
        let payout = shop.one("SELECT id FROM payouts");
        shop.transfer("ann", 1000, &format!("&metadata[payout_id]={payout}"));
        assert_eq!(shop.found(&[]), (vec![format!("two_transfers {payout}")], 5));
        let finding = shop.one("SELECT id FROM payout_findings");
        let accepted = shop.compared(&["reconcile", "--accept", &finding, "--reason", "paid by hand", "-o", "json"]);
        assert_eq!(accepted["findings"][0]["attempt"], 2);
        assert_eq!(shop.outcomes(&payout), ["paid", "surplus"]);
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        // The first one is taken back: the second stands for it, and nothing is owed again.
        shop.reverse(&shop.transfer_of(&payout), 1000);
        shop.reconcile(&["--fix"]);
        let again = ["create", "--from-statements", "--repay", "--reason", "taken back", "-o", "json", "--yes"];
        assert_eq!(shop.compared(&again)["created"], 0);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts"), "1");
    }

    // What is taken back of the second transfer is taken back from the statement, whether it
    // was accepted or an attempt that somebody let go of made it.
    fn a_second_transfer_that_is_taken_back_counts_no_more(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.statement("st1", "ann", 1000);
        shop.env.run(&["create", "--from-statements", "--release", "--yes"]).expect_code(0);
        shop.process(&[]).expect_code(0);
        let payout = shop.one("SELECT id FROM payouts");
        let second = shop.transfer("ann", 1000, &format!("&metadata[payout_id]={payout}"));
        assert_eq!(shop.found(&[]), (vec![format!("two_transfers {payout}")], 5));
        let finding = shop.one("SELECT id FROM payout_findings");
        shop.reconcile(&["--accept", &finding, "--reason", "paid by hand"]).expect_code(0);
        let left = || {
            let shown = shop.compared(&["statements", "show", "st1", "-o", "json"]);
            let cents = |field: &str| shown["statement"][field].as_i64().expect(field);
            (cents("completed_cents"), cents("reversed_cents"))
        };
        // Partly: it is not what was accepted any more, and what is left of it counts.
        shop.reverse(&second, 400);
        let kinds = vec![format!("reversed_partly {payout}"), format!("two_transfers {payout}")];
        assert_eq!(shop.found(&[]), (kinds, 5));
        assert_eq!(shop.found(&["--fix"]), (vec![format!("two_transfers {payout}")], 5));
        assert_eq!(left(), (2000, 400));
        shop.reverse(&second, 600);
        assert_eq!(shop.found(&[]), (vec![format!("reversed_fully {payout}")], 1));
        assert_eq!(shop.found(&["--fix"]), (vec![], 0));
        assert_eq!(left(), (2000, 1000));
        // The payout itself was not taken back.
        let listed = shop.compared(&["list", "-o", "json"]);
        assert_eq!(listed["payouts"][0]["reversed_cents"], 0);
        // Nothing is left of either: the statement is not paid.
        shop.reverse(&shop.transfer_of(&payout), 1000);
        assert_eq!(shop.found(&["--fix"]), (vec![format!("statement_reversed {payout}")], 1));
        assert_eq!(left(), (2000, 2000));
    }
}
