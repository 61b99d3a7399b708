//! What one run and all runs of a day may pay at most.

use std::time::Duration;

use crate::common::db::{TestDb, on_both};
use crate::common::shop::Shop;

/// Ten payouts of $10.00.
fn shop(db: TestDb) -> Shop {
    let shop = Shop::open(db);
    shop.payouts(10);
    shop
}

on_both! {
    fn a_run_pays_no_more_than_its_limit_and_says_so(db: TestDb) {
        let mut shop = shop(db);
        shop.env.set("PAYOUTS_MAX_RUN_TOTAL_CENTS", "3999");
        let run = shop.process(&["--dry-run"]);
        assert!(run.stdout.contains("To send       3 payouts"), "{run}");
        assert!(run.stdout.contains("more is due than one run may pay"), "{run}");
        let run = shop.process(&[]).expect_code(1);
        assert!(run.stderr.contains("the limit of 39.99 USD for one run is reached"), "{run}");
        assert_eq!(shop.transfers().len(), 3);
        // What was asked for is no limit that anybody has to hear of.
        shop.process(&["--max-total", "20"]).expect_code(0);
        assert_eq!(shop.transfers().len(), 5);
        // An agreement to a plan goes no further either.
        let run = shop.process(&["--confirm-total", "30", "-o", "json"]).expect_code(1);
        assert!(run.stdout.contains("\"limit_reached\": \"run\""), "{run}");
        assert_eq!(shop.transfers().len(), 8);
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 10);
        shop.assert_paid_exactly_once();
    }

    fn all_runs_of_a_day_pay_no_more_than_its_limit(db: TestDb) {
        let mut shop = shop(db);
        shop.env.set("PAYOUTS_MAX_DAY_TOTAL_CENTS", "5000");
        shop.process(&["--limit", "2"]).expect_code(0);
        let run = shop.process(&["--dry-run"]);
        assert!(run.stdout.contains("To send       3 payouts"), "{run}");
        let run = shop.process(&[]).expect_code(1);
        assert!(run.stderr.contains("the limit of 50.00 USD for all runs of this UTC day is reached"), "{run}");
        assert_eq!(shop.transfers().len(), 5);
        shop.process(&[]).expect_code(1);
        assert_eq!(shop.transfers().len(), 5);
        // The next UTC day begins with nothing; it is half past nine now.
        shop.pass(Duration::from_secs(14 * 3600 + 29 * 60));
        shop.process(&[]).expect_code(1);
        shop.pass(Duration::from_secs(120));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 10);
        shop.assert_paid_exactly_once();
    }

    fn what_stripe_refused_does_not_count_for_the_day_once_a_run_begins(db: TestDb) {
        let mut shop = shop(db);
        shop.db.execute(
            r#"UPDATE creators SET "stripeAccountId" = "stripeAccountId" || '_closed' WHERE id IN ('cr_c0', 'cr_c1')"#,
        );
        shop.env.set("PAYOUTS_MAX_DAY_TOTAL_CENTS", "3000");
        shop.process(&[]).expect_code(1);
        let first = shop.transfers().len();
        assert_eq!(first, 1);
        shop.process(&[]).expect_code(1);
        assert_eq!(shop.transfers().len(), 3);
    }

    // The clock of this machine may be ahead: at five past midnight it is still yesterday at Stripe.
    fn a_day_is_one_of_stripes_clock(db: TestDb) {
        let mut shop = shop(db);
        shop.env.set("PAYOUTS_MAX_DAY_TOTAL_CENTS", "3000");
        shop.pass(Duration::from_secs(14 * 3600 + 15 * 60));
        shop.env.set_now("2026-11-03T00:05:00Z");
        for _ in 0..2 {
            shop.process(&[]).expect_code(1);
            assert_eq!(shop.transfers().len(), 3);
        }
        let run = shop.process(&["--dry-run"]);
        assert!(run.stdout.contains("To send       0 payouts"), "{run}");
        shop.pass(Duration::from_secs(25 * 3600));
        shop.process(&[]).expect_code(1);
        assert_eq!(shop.transfers().len(), 6);
    }

    fn what_goes_out_again_counts_for_the_day_on_which_it_does(db: TestDb) {
        let mut shop = shop(db);
        shop.env.set("PAYOUTS_MAX_DAY_TOTAL_CENTS", "2000");
        shop.pass(Duration::from_secs(14 * 3600 + 20 * 60));
        shop.env.set("PAYOUTS_CONCURRENCY", "1");
        shop.env.set("PAYOUTS_TEST_FAILPOINT", "send.before=kill");
        let killed = shop.env.command(&["process"]).output().expect("it runs");
        assert_eq!(killed.status.code(), None, "{killed:?}");
        shop.env.unset("PAYOUTS_TEST_FAILPOINT");
        let claimed = shop.one("SELECT CAST(COUNT(*) AS TEXT) FROM payout_attempts");
        shop.pass(Duration::from_secs(20 * 60));
        for _ in 0..2 {
            shop.process(&[]);
            assert_eq!((shop.transfers().len(), claimed.as_str()), (2, "2"));
        }
    }

    // Scenario 21 for limits: what never fits keeps nothing back.
    fn what_is_more_than_a_limit_by_itself_steps_aside(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("ann");
        shop.payout("a_large", "ann", 50_000);
        shop.payouts(2);
        for limit in ["PAYOUTS_MAX_RUN_TOTAL_CENTS", "PAYOUTS_MAX_DAY_TOTAL_CENTS"] {
            shop.env.set(limit, "4000");
            let run = shop.process(&["--dry-run", "-o", "json"]);
            assert!(run.stdout.contains("\"above_total\""), "{run}");
        }
        shop.process(&[]).expect_code(1);
        assert_eq!((shop.transfers().len(), shop.status("a_large").as_str()), (2, "PENDING"));
        let told = shop.env.run(&["show", "a_large"]).expect_code(0);
        assert!(told.stdout.contains("Raise the limit if it is meant"), "{told}");
    }

    // Both see the same room; only one of them may take it.
    fn two_runs_at_once_share_what_is_left_of_the_day(db: TestDb) {
        let mut shop = Shop::in_real_time(db);
        shop.payouts(60);
        shop.env.set("PAYOUTS_MAX_DAY_TOTAL_CENTS", "20000");
        shop.env.set("PAYOUTS_CONCURRENCY", "2");
        let runs: Vec<_> = (0..3)
            .map(|_| shop.env.command(&["process"]).spawn().expect("it starts"))
            .collect();
        for mut run in runs {
            let code = run.wait().expect("it ends").code();
            assert!(matches!(code, Some(0 | 1)), "{code:?}");
        }
        shop.process(&[]).expect_code(1);
        assert_eq!(shop.transfers().len(), 20);
        shop.assert_paid_exactly_once();
    }
}
