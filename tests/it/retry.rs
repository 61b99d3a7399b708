//! `payouts retry`: the same payout again, after a definite no and after nothing else, and never a
//! second transfer.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use payouts::sandbox::Fault;
use serde_json::Value;

use crate::common::contract;
use crate::common::db::{TestDb, on_both};
use crate::common::env::Run;
use crate::common::shop::Shop;

const MINUTE: Duration = Duration::from_secs(60);

impl Shop {
    /// A payout of $10.00 that Stripe refuses for good: its creator's account is closed.
    fn refused(&self, id: &str) {
        let creator = format!("{id}_closed");
        self.creator(&creator);
        self.payout(id, &creator, 1000);
    }

    /// Gives the creator of a refused payout an account that can be paid.
    fn correct(&self, id: &str) {
        self.db.execute(&format!(
            r#"UPDATE creators SET "stripeAccountId" = 'acct_{id}' WHERE id = 'cr_{id}_closed'"#
        ));
    }

    /// Makes the last refusal of a payout one for want of money.
    fn short_of_money(&self, id: &str) {
        self.db.execute(&format!(
            "UPDATE payout_attempts SET error_code = 'balance_insufficient' WHERE payout_id = '{id}'"
        ));
    }

    fn retry(&self, args: &[&str]) -> Run {
        self.env.run(&[&["retry"], args].concat())
    }

    /// What `retry` and its arguments come to: each payout with the result, or why not.
    fn retried(&self, args: &[&str], code: i32) -> Vec<(String, String)> {
        let run = self
            .retry(&[args, &["-o", "json"]].concat())
            .expect_code(code);
        let text = |row: &Value, field: &str| row[field].as_str().map(str::to_owned);
        json(&run)["payouts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let result = text(row, "reason_code").or(text(row, "result"));
                (text(row, "id").unwrap(), result.unwrap())
            })
            .collect()
    }

    /// Why a payout that is named is refused.
    fn refusal(&self, id: &str, more: &[&str]) -> String {
        let mut refused = self.retried(&[&[id], more].concat(), 1);
        assert_eq!(refused.len(), 1);
        refused.remove(0).1
    }

    fn events(&self, id: &str) -> Vec<String> {
        self.db
            .query_strings(&format!(
                "SELECT event FROM payout_history WHERE payout_id = '{id}' ORDER BY seq"
            ))
            .into_iter()
            .map(|row| row.into_iter().next().flatten().unwrap_or_default())
            .collect()
    }
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"))
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(id, result): &(&str, &str)| ((*id).to_owned(), (*result).to_owned());
    expected.iter().map(owned).collect()
}

on_both! {
    fn scenario_03_a_lost_answer_is_no_failure_and_is_not_retried(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.fault("c0", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        assert_eq!(shop.status("cp0"), "PROCESSING");
        assert_eq!(shop.refusal("cp0", &["--force"]), "unresolved");
        assert_eq!(shop.retried(&["--all"], 0), []);
        shop.process(&[]).expect_code(0);
        assert_eq!((shop.status("cp0"), shop.transfers().len()), ("COMPLETED".into(), 1));
        assert_eq!(shop.refusal("cp0", &["--force"]), "paid");
    }

    fn scenario_06_a_retry_moves_the_same_row(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.refused("cp0");
        shop.process(&[]).expect_code(1);
        shop.correct("cp0");
        shop.pass(MINUTE);
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.retry(&["cp0"]).transcript(), @r"
            $ payouts retry cp0
            Payout  Creator           Amount  Code              Result
            cp0     cr_cp0_closed  10.00 USD  resource_missing  put back to PENDING
            put back to PENDING: 1 payout, 10.00 USD
            --- stderr
            --- exit 0
            ");
        }
        assert_eq!(shop.status("cp0"), "PENDING");
        assert_eq!(shop.one("SELECT retry_count FROM payouts"), "1");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts"), "1");
        assert_eq!(shop.outcomes("cp0"), ["declined", "paid"]);
        assert_eq!(shop.events("cp0"), ["claimed", "declined", "retried", "claimed", "paid"]);
        shop.assert_paid_exactly_once();
        let run = shop.db.query_strings("SELECT command, actor, exit_code, summary FROM payout_runs WHERE command = 'retry'");
        assert_eq!(run, [["retry", "tester", "0", "retried 1 payout, 10.00 USD; 0 payouts refused"]
            .map(|text| Some(text.to_owned()))]);
        let row = shop.db.query_strings("SELECT from_status, to_status, actor, reason FROM payout_history WHERE event = 'retried'");
        assert_eq!(row, [["FAILED", "PENDING", "tester", "after attempt 1: resource_missing"].map(|text| Some(text.to_owned()))]);
    }

    fn scenario_07_what_may_be_paid_is_looked_up_before_attempts_are_counted(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.env.set("PAYOUTS_MAX_RETRIES", "1");
        shop.refused("cp0");
        shop.process(&[]).expect_code(1);
        shop.correct("cp0");
        assert_eq!(shop.refusal("cp0", &[]), "attempts_used_up");
        assert_eq!(shop.retried(&["cp0", "--force"], 0), pairs(&[("cp0", "retried")]));
        // The last attempt allowed is paid, and its answer says otherwise.
        shop.fault("cp0", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        assert_eq!(shop.refusal("cp0", &[]), "unresolved");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.status("cp0"), "COMPLETED");
        assert_eq!(shop.refusal("cp0", &[]), "paid");
        shop.assert_paid_exactly_once();
    }

    fn scenario_16_due_selects_exactly_what_the_list_shows_as_due(db: TestDb) {
        let mut shop = Shop::open(db);
        let all = ["cp_a", "cp_b", "cp_c", "cp_d", "cp_e", "cp_f", "cp_g"];
        for id in all {
            shop.refused(id);
        }
        shop.statement("st1", "cp_e_closed", 1000);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1' WHERE id = 'cp_e'");
        shop.process(&[]).expect_code(1);
        for id in all.iter().filter(|id| **id != "cp_d") {
            shop.short_of_money(id);
        }
        // b failed before, c as often as it may, e has lost its statement, f is other software's.
        shop.db.execute("UPDATE payouts SET retry_count = 3 WHERE id = 'cp_b'");
        shop.db.execute("UPDATE payouts SET retry_count = 5 WHERE id = 'cp_c'");
        shop.payout("cp_x", "cp_e_closed", 1000);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1' WHERE id = 'cp_x'");
        shop.db.execute("UPDATE payout_attempts SET outcome = 'not_sent' WHERE payout_id = 'cp_f'");
        // g was held, which keeps it from being sent and not from waiting.
        shop.env.run(&["hold", "cp_g", "--reason", "wait"]).expect_code(0);
        let now = |shop: &Shop| {
            let millis = shop.stripe.now_ms();
            payouts::model::time::Time::from_millis(millis).to_string()
        };
        let shown_as_due = |shop: &Shop| -> BTreeSet<String> {
            let list = json(&shop.env.run(&["list", "--status", "FAILED", "--all", "-o", "json"]).expect_code(0));
            let rows = list["payouts"].as_array().unwrap().clone();
            let due = rows.iter().filter(|row| match (&row["next_retry_at"], &row["retry_refusal"]) {
                (Value::String(at), Value::Null) => *at <= now(shop),
                (Value::Null, Value::String(_)) => false,
                other => panic!("{other:?}"),
            });
            due.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
        };
        let selected = |shop: &Shop, more: &[&str]| -> BTreeSet<String> {
            let decided = shop.retried(&[&["--due"], more].concat(), 0);
            decided.into_iter().filter(|(_, result)| result == "retried").map(|(id, _)| id).collect()
        };
        let mut seen = Vec::new();
        for minutes in [0, 4, 1, 24, 1, 200] {
            shop.pass(MINUTE * minutes);
            let due = shown_as_due(&shop);
            assert_eq!(selected(&shop, &["--dry-run"]), due, "after {minutes}");
            seen.push(due.into_iter().collect::<Vec<_>>().join(" "));
        }
        assert_eq!(seen, ["", "", "cp_a cp_g", "cp_a cp_g", "cp_a cp_b cp_g", "cp_a cp_b cp_g"]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.env.run(&["list", "--status", "FAILED"]).transcript(), @r"
            $ payouts list --status FAILED
            Payout  Created           Creator      Amount (USD)  Status  Transfer / reason     Reference  Next retry
            cp_g    2026-11-01 12:00  cp_g_closed         10.00  FAILED  balance_insufficient             due
            cp_f    2026-11-01 12:00  cp_f_closed         10.00  FAILED  balance_insufficient             maybe sent elsewhere
            cp_e    2026-11-01 12:00  cp_e_closed         10.00  FAILED  balance_insufficient             statement taken
            cp_d    2026-11-01 12:00  cp_d_closed         10.00  FAILED  resource_missing                 not automatic
            cp_c    2026-11-01 12:00  cp_c_closed         10.00  FAILED  balance_insufficient             attempts used up
            cp_b    2026-11-01 12:00  cp_b_closed         10.00  FAILED  balance_insufficient             due
            cp_a    2026-11-01 12:00  cp_a_closed         10.00  FAILED  balance_insufficient             due
            7 payouts, 70.00 USD: 7 FAILED 70.00
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(shop.retry(&["--due"]).transcript(), @r"
            $ payouts retry --due
            Payout  Creator            Amount  Code                  Result
            cp_a    cr_cp_a_closed  10.00 USD  balance_insufficient  put back to PENDING
            cp_b    cr_cp_b_closed  10.00 USD  balance_insufficient  put back to PENDING
            cp_g    cr_cp_g_closed  10.00 USD  balance_insufficient  put back to PENDING
            cp_c    cr_cp_c_closed  10.00 USD  balance_insufficient  refused: attempts used up
            cp_e    cr_cp_e_closed  10.00 USD  balance_insufficient  refused: statement taken
            put back to PENDING: 3 payouts, 30.00 USD; 2 refused
            statement taken: another payout of its statement is on its way, or may have been paid
            attempts used up: it failed as often as PAYOUTS_MAX_RETRIES allows; --force tries once more
            --- stderr
            --- exit 0
            ");
        }
        assert_eq!(shown_as_due(&shop).len(), 0);
        insta::allow_duplicates! {
            // What is refused is told again; nobody named it.
            insta::assert_snapshot!(shop.retry(&["--due", "--code", "balance_insufficient"]).transcript(), @r"
            $ payouts retry --due --code balance_insufficient
            Payout  Creator            Amount  Code                  Result
            cp_c    cr_cp_c_closed  10.00 USD  balance_insufficient  refused: attempts used up
            cp_e    cr_cp_e_closed  10.00 USD  balance_insufficient  refused: statement taken
            nothing to retry; 2 refused
            statement taken: another payout of its statement is on its way, or may have been paid
            attempts used up: it failed as often as PAYOUTS_MAX_RETRIES allows; --force tries once more
            --- stderr
            --- exit 0
            ");
        }
    }

    fn scenario_17_a_transfer_that_exists_is_final(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        // No event is waited for.
        assert_eq!(shop.status("cp0"), "COMPLETED");
        assert_eq!(shop.refusal("cp0", &["--force"]), "paid");
        // Scenario 9: whatever other software makes of a reversal, it is not paid again.
        shop.db.execute("UPDATE payouts SET status = 'FAILED', failed_reason = 'reversed'");
        assert_eq!(shop.refusal("cp0", &["--force"]), "reversed");
        shop.db.execute("UPDATE payouts SET stripe_transfer_id = NULL");
        assert_eq!(shop.refusal("cp0", &["--force"]), "paid");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 1);
        // What was seen at Stripe outlasts whatever is done to the row.
        shop.db.execute("INSERT INTO payout_reversals VALUES ('tr_1', 'cp0', 1, '2026-11-02 09:30:00')");
        assert_eq!(shop.refusal("cp0", &["--force"]), "reversed");
    }

    fn scenario_18_a_payout_is_never_counted_against_itself(db: TestDb) {
        let shop = Shop::open(db);
        shop.refused("cp0");
        shop.statement("st1", "cp0_closed", 1000);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1'");
        shop.process(&[]).expect_code(1);
        shop.correct("cp0");
        assert_eq!(shop.retried(&["cp0"], 0), pairs(&[("cp0", "retried")]));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.one("SELECT status FROM royalty_statements"), "PAID");
        shop.assert_paid_exactly_once();
    }

    fn scenario_15c_two_payouts_of_one_statement_are_not_both_paid(db: TestDb) {
        let shop = Shop::open(db);
        for id in ["cp_a", "cp_b"] {
            shop.refused(id);
        }
        shop.statement("st1", "cp_a_closed", 1000);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1', creator_id = 'cr_cp_a_closed'");
        // Two of one statement go one after the other.
        shop.process(&[]).expect_code(1);
        shop.process(&[]).expect_code(1);
        assert_eq!((shop.status("cp_a"), shop.status("cp_b")), ("FAILED".into(), "FAILED".into()));
        shop.correct("cp_a");
        assert_eq!(
            shop.retried(&["cp_a", "cp_b"], 1),
            pairs(&[("cp_a", "retried"), ("cp_b", "statement_taken")])
        );
        assert_eq!(shop.refusal("cp_b", &["--force"]), "statement_taken");
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.refusal("cp_b", &["--force"]), "statement_covered");
        shop.assert_paid_exactly_once();
    }

    fn scenario_19_the_outcome_table_says_what_needs_a_person(db: TestDb) {
        let shop = Shop::open(db);
        for id in ["cp_money", "cp_closed", "cp_unknown"] {
            shop.refused(id);
        }
        shop.process(&[]).expect_code(1);
        shop.short_of_money("cp_money");
        shop.db.execute("UPDATE payout_attempts SET error_code = 'brand_new_code' WHERE payout_id = 'cp_unknown'");
        assert_eq!(shop.retried(&["--due"], 0), []);
        assert_eq!(shop.retried(&["--all", "--dry-run"], 0), pairs(&[("cp_money", "retried")]));
        // A code that needs a person is no matter of `--all`, and is one of its own.
        assert_eq!(shop.retried(&["--all", "--code", "resource_missing"], 0), []);
        assert_eq!(shop.retried(&["--code", "resource_missing", "--dry-run"], 0), pairs(&[("cp_closed", "retried")]));
        assert_eq!(shop.retried(&["--code", "resource_missing", "--creator", "cr_cp_money_closed"], 0), []);
        assert_eq!(shop.retried(&["cp_unknown"], 0), pairs(&[("cp_unknown", "retried")]));
        assert_eq!(shop.retried(&["--all"], 0), pairs(&[("cp_money", "retried")]));
        assert_eq!(shop.status("cp_closed"), "FAILED");
    }

    fn scenario_20_after_a_definite_no_comes_a_new_key(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        // The balance is drained between the look and the send: Stripe itself says no.
        shop.fault("c0", Fault::HangBefore, 1);
        let child = shop.env.command(&["process"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
        shop.stripe.top_up("usd", -1_000_000_000).unwrap();
        shop.stripe.release();
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(6));
        assert_eq!((shop.status("cp0"), shop.outcomes("cp0")), ("FAILED".into(), vec!["declined".into()]));
        shop.stripe.top_up("usd", 5000).unwrap();
        // Under the old key Stripe would repeat its no for a day.
        assert_eq!(shop.retried(&["--due"], 0), []);
        shop.pass(5 * MINUTE);
        assert_eq!(shop.retried(&["--due"], 0), pairs(&[("cp0", "retried")]));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers()[0].idempotency_key.as_deref(), Some("payout_cp0_2"));
        shop.assert_paid_exactly_once();
    }

    fn scenario_31_the_code_is_kept_and_the_advice_fits_it(db: TestDb) {
        let shop = Shop::open(db);
        shop.refused("cp0");
        shop.process(&[]).expect_code(1);
        let list = json(&shop.env.run(&["list", "-o", "json"]));
        let row = &list["payouts"][0];
        assert_eq!(row["failed_code"], "resource_missing");
        assert_eq!((&row["next_retry_at"], &row["retry_refusal"]), (&Value::Null, &"not_automatic".into()));
        let next_step = |shop: &Shop| {
            let shown = json(&shop.env.run(&["show", "cp0", "-o", "json"]));
            shown["payouts"][0]["next_step"].as_str().unwrap().to_owned()
        };
        let said = next_step(&shop);
        assert!(said.contains("Correct the creator's account") && said.contains("`payouts retry cp0`"), "{said}");
        shop.short_of_money("cp0");
        let said = next_step(&shop);
        assert!(said.contains("Top up") && said.contains("from 2026-11-02T09:35:00.000Z on"), "{said}");
        shop.db.execute("UPDATE payouts SET retry_count = 5");
        let said = next_step(&shop);
        assert!(said.contains("failed 5 times") && said.contains("`payouts retry cp0 --force`"), "{said}");
    }

    fn scenario_32_every_write_says_when(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.refused("cp0");
        let mut last = shop.one("SELECT updated_at FROM payouts");
        for (command, code) in [
            (&["process"][..], 1),
            (&["retry", "cp0"], 0),
            (&["cancel", "cp0", "--reason", "wrong creator"], 0),
        ] {
            shop.pass(MINUTE);
            shop.env.run(command).expect_code(code);
            let updated = shop.one("SELECT updated_at FROM payouts");
            assert!(updated > last, "{command:?}: {updated} {last}");
            last = updated;
        }
        // A retry that changes nothing writes nothing.
        shop.pass(MINUTE);
        shop.retry(&["cp0"]).expect_code(1);
        assert_eq!(shop.one("SELECT updated_at FROM payouts"), last);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_runs WHERE command = 'retry'"), "1");
    }

    fn rows_of_other_software_are_not_retried(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.foreign_payout("cf_failed", "ann", 700);
        shop.db.execute("UPDATE payouts SET status = 'FAILED', failed_reason = 'time-out', retry_count = 1");
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.retry(&["cf_failed", "--force"]).transcript(), @r"
            $ payouts retry cf_failed --force
            Payout     Creator    Amount  Result
            cf_failed  cr_ann   7.00 USD  refused: maybe sent elsewhere
            nothing to retry; 1 refused
            maybe sent elsewhere: other software may have sent it, under a key that is not known here; look for its transfer in Stripe's dashboard, and have that software decide
            --- stderr
            --- exit 1
            ");
        }
        assert_eq!(shop.retried(&["--all"], 0), []);
        assert_eq!(shop.status("cf_failed"), "FAILED");
    }

    fn a_limit_takes_the_oldest_and_a_batch_only_its_own(db: TestDb) {
        let shop = Shop::open(db);
        for id in ["cp_a", "cp_b", "cp_c"] {
            shop.refused(id);
        }
        shop.process(&[]).expect_code(1);
        shop.db.execute("UPDATE payouts SET created_at = '2026-10-30 12:00:00' WHERE id = 'cp_c'");
        let code = ["--code", "resource_missing"];
        let limited = [&code[..], &["--limit", "2", "--dry-run"]].concat();
        assert_eq!(shop.retried(&limited, 0), pairs(&[("cp_c", "retried"), ("cp_a", "retried")]));
        shop.db.execute("INSERT INTO payout_batches VALUES ('b1', 'b1.csv', 'b1', 1, 1000, 'ann',
            (SELECT MIN(id) FROM payout_runs), '2026-11-01 12:00:00')");
        shop.db.execute("UPDATE payout_batch_items SET batch_id = 'b1' WHERE payout_id = 'cp_b'");
        let of_batch = [&code[..], &["--batch", "b1"]].concat();
        assert_eq!(shop.retried(&of_batch, 0), pairs(&[("cp_b", "retried")]));
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts WHERE status = 'PENDING'"), "1");
    }

    fn nothing_to_retry_is_done_and_what_does_not_exist_is_not(db: TestDb) {
        let shop = Shop::open(db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.retry(&["--due"]).transcript(), @r"
            $ payouts retry --due
            nothing to retry
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(shop.retry(&["--due", "-o", "json"]).transcript(), @r#"
            $ payouts retry --due -o json
            {
              "schema": 1,
              "payouts": [],
              "dry_run": false,
              "retried": 0,
              "refused": 0,
              "total_cents": 0,
              "currency": "usd"
            }
            --- stderr
            --- exit 0
            "#);
            insta::assert_snapshot!(shop.retry(&["cp0"]).transcript(), @r"
            $ payouts retry cp0
            --- stderr
            error: there is no payout cp0; nothing was done
            hint: find it with `payouts list`
            --- exit 1
            ");
        }
        for wrong in [&[][..], &["cp0", "--due"], &["--due", "--all"], &["--batch", "b1"], &["cp0", "--limit", "0"]] {
            shop.retry(wrong).expect_code(2);
        }
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_runs"), "0");
    }

    fn two_retries_at_once_move_each_payout_once(db: TestDb) {
        let shop = Shop::open(db);
        for number in 0..40 {
            shop.refused(&format!("cp{number}"));
        }
        shop.process(&[]).expect_code(1);
        shop.db.execute("UPDATE payout_attempts SET error_code = 'balance_insufficient'");
        let start = || shop.env.command(&["retry", "--all", "-o", "json"]).stdout(Stdio::piped()).spawn().unwrap();
        let children = [start(), start(), start()];
        let mut retried = 0;
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(0));
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            contract::check(&["retry", "-o", "json"], &answer.to_string());
            retried += answer["retried"].as_u64().unwrap();
        }
        assert_eq!(retried, 40);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_history WHERE event = 'retried'"), "40");
    }
}

/// A payout that appears for the statement while `retry` waits for its lock is seen.
#[test]
fn a_retry_waits_for_whoever_holds_the_statement() {
    let shop = Shop::open(TestDb::postgres());
    shop.refused("cp0");
    shop.statement("st1", "cp0_closed", 1000);
    shop.db
        .execute("UPDATE payouts SET royalty_statement_id = 'st1'");
    shop.process(&[]).expect_code(1);
    let mut other = shop.db.session();
    other.execute("BEGIN");
    other.execute("SELECT id FROM royalty_statements FOR UPDATE");
    let mut child = shop
        .env
        .command(&["retry", "cp0", "-o", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever waits for a row holds the lock of its place in the queue.
    let waiting = "SELECT COUNT(*) FROM pg_locks
        WHERE locktype = 'tuple' AND relation = 'royalty_statements'::regclass";
    while shop.one(waiting) == "0" {
        assert!(child.try_wait().unwrap().is_none(), "it did not wait");
    }
    other.execute(
        "INSERT INTO payouts (id, creator_id, royalty_statement_id, amount_cents, updated_at)
         VALUES ('cp1', 'cr_cp0_closed', 'st1', 1000, '2026-11-02 09:30:00')",
    );
    other.execute("COMMIT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["payouts"][0]["reason_code"], "statement_taken");
    assert_eq!(shop.status("cp0"), "FAILED");
}

#[test]
fn many_are_shown_to_a_person_who_is_asked() {
    let shop = Shop::open(TestDb::sqlite());
    for id in ["cp_a", "cp_b", "cp_c", "cp_d"] {
        shop.refused(id);
    }
    shop.process(&[]).expect_code(1);
    let question = "Put back to PENDING: 4 payouts, 40.00 USD?";
    let run = |args: &[&str], dialogue: &[(&str, &str)]| {
        let args = [&["retry", "--code", "resource_missing"], args].concat();
        shop.env.run_in_terminal(100, &args, dialogue)
    };
    insta::assert_snapshot!(run(&[], &[(question, "n")]).expect_code(4).transcript(), @r"
    $ payouts retry --code resource_missing
    Payout  Creator            Amount  Code              Result
    cp_a    cr_cp_a_closed  10.00 USD  resource_missing  would be put back to PENDING
    cp_b    cr_cp_b_closed  10.00 USD  resource_missing  would be put back to PENDING
    cp_c    cr_cp_c_closed  10.00 USD  resource_missing  would be put back to PENDING
    cp_d    cr_cp_d_closed  10.00 USD  resource_missing  would be put back to PENDING
    would be put back to PENDING: 4 payouts, 40.00 USD
    Put back to PENDING: 4 payouts, 40.00 USD? no
    error: declined; nothing was changed
    --- stderr
    --- exit 4
    ");
    assert_eq!(shop.status("cp_a"), "FAILED");
    // A few need no question.
    run(&["--limit", "1"], &[]).expect_code(0);
    run(&["--limit", "2", "--dry-run"], &[]).expect_code(0);
    assert_eq!(shop.status("cp_b"), "FAILED");
    shop.refused("cp_e");
    shop.process(&[]).expect_code(1);
    run(&["--yes"], &[]).expect_code(0);
    assert_eq!(
        shop.one("SELECT COUNT(*) FROM payouts WHERE status = 'PENDING'"),
        "5"
    );
}
