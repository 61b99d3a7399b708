//! What was taken back at Stripe: a fact beside the status, shown wherever people look, and never
//! paid again.

use std::time::Duration;

use serde_json::Value;

use crate::common::db::on_both;
use crate::common::seed::{batch, run};
use crate::common::shop::Shop;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Shop {
    /// Takes back so much of a payout's transfer, and lets the table know.
    pub(crate) fn take_back(&self, id: &str, cents: i64) {
        self.reverse(&self.transfer_of(id), cents);
        self.reconcile(&["--fix"]).expect_code(0);
    }

    /// What a command and its arguments answer in JSON.
    fn answer(&self, args: &[&str]) -> Value {
        let run = self
            .env
            .run(&[args, &["-o", "json"]].concat())
            .expect_code(0);
        serde_json::from_str(&run.stdout).expect("JSON")
    }

    /// The reversed and the net total of a list: counts and minor units.
    fn reversed(&self, filter: &[&str]) -> [i64; 4] {
        let totals = self.answer(&[&["list"], filter].concat())["totals"].clone();
        let of = |name: &str, field: &str| totals[name][field].as_i64().expect("a number");
        [
            of("reversed", "count"),
            of("reversed", "amount_cents"),
            of("paid_less_reversed", "count"),
            of("paid_less_reversed", "amount_cents"),
        ]
    }
}

on_both! {
    fn scenario_09_what_was_taken_back_is_never_paid_again(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        shop.take_back("cp0", 1000);
        assert_eq!(shop.status("cp0"), "COMPLETED");
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.env.run(&["retry", "cp0"]).transcript(), @r"
            $ payouts retry cp0
            Payout  Creator     Amount  Result
            cp0     cr_c0    10.00 USD  refused: reversed
            nothing to retry; 1 refused
            reversed: a transfer of it was made, and was then reversed or its row set back; it is never sent again
            --- stderr
            --- exit 1
            ");
        }
        // Whatever other software makes of its row.
        let failed = "UPDATE payouts SET status = 'FAILED', failed_reason = 'reversed' WHERE id = 'cp0'";
        let pending = "UPDATE payouts SET status = 'PENDING', failed_reason = NULL WHERE id = 'cp0'";
        let forgotten = "UPDATE payouts SET status = 'FAILED', stripe_transfer_id = NULL, processed_at = NULL WHERE id = 'cp0'";
        for sql in [failed, forgotten, pending] {
            shop.db.execute(sql);
            for args in [&["cp0"][..], &["cp0", "--force"]] {
                let run = shop.env.run(&[&["retry"], args].concat()).expect_code(1);
                assert!(run.stdout.contains("refused"), "{run}");
            }
            for all in [&["--all"][..], &["--due"], &["--code", "balance_insufficient"]] {
                let run = shop.env.run(&[&["retry"], all].concat()).expect_code(0);
                assert!(!run.stdout.contains("put back to PENDING: 1"), "{run}");
            }
            shop.process(&[]);
            shop.process(&["cp0"]);
            assert_eq!(shop.transfers().len(), 2);
        }
        // Its code does not make it one that is retried with others of that code.
        shop.db.execute(failed);
        shop.db.execute("UPDATE payout_attempts SET error_code = 'balance_insufficient' WHERE payout_id = 'cp0'");
        shop.env.run(&["retry", "--code", "balance_insufficient"]).expect_code(0);
        shop.process(&[]);
        assert_eq!(shop.status("cp0"), "FAILED");
        assert_eq!(shop.transfers().len(), 2);
        let shown = shop.answer(&["list", "--creator", "cr_c0"])["payouts"][0].clone();
        assert_eq!((&shown["reversed_cents"], &shown["next_retry_at"]), (&0.into(), &Value::Null));
        assert_eq!(shown["retry_refusal"], "reversed");
    }

    fn scenario_10_what_was_taken_back_in_part_is_an_amount_beside_the_status(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(3);
        run(&shop.db, "run1", None);
        batch(&shop.db, "b1", "run1");
        shop.db.execute("UPDATE payout_batch_items SET batch_id = 'b1' WHERE payout_id <> 'cp2'");
        shop.process(&[]).expect_code(0);
        shop.take_back("cp0", 300);
        shop.pass(DAY);
        shop.take_back("cp0", 150);
        shop.take_back("cp1", 1000);
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.env.run(&["list"]).transcript(), @r"
            $ payouts list
            Payout  Created           Creator  Amount (USD)  Taken back  Status                     Transfer / reason         Reference
            cp2     2026-11-01 12:00  c2              10.00              COMPLETED                  tr_000000000000000000001
            cp1     2026-11-01 12:00  c1              10.00       10.00  COMPLETED (reversed)       tr_000000000000000000002
            cp0     2026-11-01 12:00  c0              10.00        4.50  COMPLETED (part reversed)  tr_000000000000000000003
            3 payouts, 30.00 USD: 3 COMPLETED 30.00
            paid 30.00, taken back 14.50 of 2 payouts, net 15.50 USD
            --- stderr
            --- exit 0
            ");
        }
        // Nothing of it is open again.
        assert_eq!(shop.status("cp0"), "COMPLETED");
        shop.env.run(&["retry", "cp0", "--force"]).expect_code(1);
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 3);
        // The totals are those of the filter, and of the whole of it, whichever page is shown.
        assert_eq!(shop.reversed(&["--limit", "1"]), [2, 1450, 3, 1550]);
        assert_eq!(shop.reversed(&["--creator", "cr_c0"]), [1, 450, 1, 550]);
        assert_eq!(shop.reversed(&["--creator", "cr_c2"]), [0, 0, 1, 1000]);
        assert_eq!(shop.reversed(&["--batch", "b1", "--status", "COMPLETED"]), [2, 1450, 2, 550]);
        assert_eq!(shop.reversed(&["--status", "FAILED"]), [0, 0, 0, 0]);
        let csv = shop.env.run(&["list", "-o", "csv"]).expect_code(0).stdout;
        let column = csv.lines().next().and_then(|head| head.split(',').position(|name| name == "reversed_cents"));
        let mut taken: Vec<&str> = csv.lines().skip(1).filter_map(|line| line.split(',').nth(column?)).collect();
        taken.sort_unstable();
        assert_eq!(taken, ["0", "1000", "450"]);
        // Each step, and when it was seen.
        let shown = shop.env.run(&["show", "cp0"]).expect_code(0);
        let transcript = shown.transcript();
        let (_, steps) = transcript.split_once("\nReversals\n").expect("it has reversals");
        insta::allow_duplicates! {
            insta::assert_snapshot!(steps, @r"
              2026-11-02 09:30:00.000 UTC  tr_000000000000000000003  3.00 USD taken back, 7.00 USD left
              2026-11-03 09:30:00.000 UTC  tr_000000000000000000003  1.50 USD taken back, 4.50 USD in all, 5.50 USD left

            What to do next
              Nothing: it was paid, and 4.50 USD of it was taken back at Stripe. It stays COMPLETED and is never sent again; what is owed again is paid with a new payout.
            --- stderr
            --- exit 0
            ");
        }
        let steps = shop.answer(&["show", "cp0"])["payouts"][0]["reversals"].clone();
        assert_eq!(steps[1]["seen_at"], "2026-11-03T09:30:00.000Z");
        assert_eq!((&steps[1]["amount_cents"], &steps[1]["total_cents"], &steps[1]["left_cents"]), (&150.into(), &450.into(), &550.into()));
        // A batch, a creator, and the books.
        let shown = shop.env.run(&["batches", "show", "b1"]).expect_code(0).stdout;
        assert!(shown.contains("2 paid (20.00 USD), 2 of them taken back (14.50 USD)"), "{shown}");
        let listed = shop.answer(&["batches", "list"])["batches"][0].clone();
        assert_eq!((&listed["reversed_count"], &listed["reversed_cents"]), (&2.into(), &1450.into()));
        let shown = shop.env.run(&["creators", "show", "cr_c0"]).expect_code(0).stdout;
        assert!(shown.contains("Taken back      4.50 USD, of 1 payout COMPLETED"), "{shown}");
        let report = shop.env.run(&["report", "--period", "2026-11"]).expect_code(0).stdout;
        assert!(report.contains("reversed                  2         14.50"), "{report}");
    }

    // A second transfer that was taken back takes nothing from its payout, and nobody warns of it.
    fn what_was_taken_back_of_a_second_transfer_is_told_apart(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        let first = shop.transfer_of("cp0");
        shop.db.execute(&format!(
            "INSERT INTO payout_reversals VALUES ('tr_other', 'cp0', 400, '2026-11-02 09:30:00');
             INSERT INTO payout_reversal_steps (transfer_id, amount_reversed_cents, payout_id, seen_at)
             VALUES ('{first}', 250, 'cp0', '2026-11-02 09:30:00'), ('tr_other', 100, 'cp0', '2026-11-02 09:30:00');
             INSERT INTO payout_reversals VALUES ('{first}', 'cp0', 250, '2026-11-02 09:30:00')"
        ));
        assert_eq!(shop.reversed(&[]), [1, 250, 1, 750]);
        let steps = shop.answer(&["show", "cp0"])["payouts"][0]["reversals"].clone();
        let told: Vec<(bool, i64, Option<i64>)> = steps.as_array().expect("steps").iter()
            .map(|step| (step["transfer_id"] == *first, step["amount_cents"].as_i64().unwrap_or(0), step["left_cents"].as_i64()))
            .collect();
        // What a transfer was over that no attempt made is not known.
        assert_eq!(told, [(true, 250, Some(750)), (false, 100, None), (false, 300, None)]);
        let receipt = shop.answer(&["receipt", "cp0"])["receipt"].clone();
        assert_eq!(receipt["reversals"].as_array().map(Vec::len), Some(1));
        assert_eq!(receipt["net_cents"], 750);
    }
}
