//! `payouts check`: each alert comes when its threshold is passed and not before, and goes again.

use std::time::Duration;

use payouts::model::alert::AlertCode;
use payouts::sandbox::{Fault, FaultPlan, FaultRule};
use serde_json::Value;

use crate::common::db::{TestDb, on_both};
use crate::common::env::TestEnv;
use crate::common::shop::Shop;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The names of the alerts that `check` finds, and its exit code.
fn alerts(shop: &Shop, more: &[&str]) -> (Vec<String>, i32) {
    let run = shop.env.run(&[&["check", "-o", "json"], more].concat());
    let answer: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let rows = answer["alerts"].as_array().expect("a list");
    let names = rows
        .iter()
        .map(|row| row["alert"].as_str().expect("a name").to_owned())
        .collect();
    (names, run.code())
}

/// A shop of which nothing is overdue: the runs that must have been were.
fn watched(db: TestDb) -> Shop {
    let shop = Shop::open(db);
    shop.process(&["--quiet"]).expect_code(0);
    shop.env.run(&["reconcile", "--quiet"]).expect_code(0);
    shop
}

#[track_caller]
fn expect(shop: &Shop, more: &[&str], names: &[&str], code: i32) {
    let (found, ended) = alerts(shop, more);
    assert_eq!(
        (found, ended),
        (names.iter().map(|n| (*n).to_owned()).collect(), code)
    );
}

/// A check to which nothing is overdue, and which asks Stripe nothing.
const CHECK_FAILED: [&str; 6] = [
    "check",
    "--offline",
    "--process-within",
    "0s",
    "--reconcile-within",
    "0s",
];

/// As if it had failed in the moment in which it was created.
fn fail_when_created(shop: &Shop, id: &str) {
    shop.db.execute(&format!(
        "UPDATE payouts SET status = 'FAILED', last_retry_at = created_at WHERE id = '{id}'"
    ));
}

/// The subjects of the mails of alerts, oldest first.
fn subjects(shop: &Shop) -> Vec<String> {
    let query =
        "SELECT subject FROM payout_notifications WHERE kind = 'alert' ORDER BY created_at, id";
    shop.db
        .query_strings(query)
        .into_iter()
        .flatten()
        .flatten()
        .collect()
}

/// Those of one alert.
fn subjects_of(shop: &Shop, code: &str) -> Vec<String> {
    let mut subjects = subjects(shop);
    subjects.retain(|subject| subject.contains(code));
    subjects
}

on_both! {
    fn nothing_needs_a_person(db: TestDb) {
        let shop = watched(db);
        shop.payouts(2);
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.env.run(&["check"]).transcript(), @r"
            $ payouts check
            PAYOUTS OK - nothing needs a person | due=2;;;0 due_cents=2000;;;0 stuck=0;;0;0 failed=0;;;0 findings=0;;0;0 balance_cents=1000000000
            --- stderr
            --- exit 0
            ");
        }
    }

    fn payouts_that_hang_are_critical_after_an_hour_and_clear_once_they_are_resolved(db: TestDb) {
        let mut shop = watched(db);
        shop.payouts(2);
        shop.fault("c1", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        shop.pass(HOUR);
        expect(&shop, &[], &[], 0);
        shop.pass(MINUTE);
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.env.run(&["check"]).transcript(), @r"
            $ payouts check
            PAYOUTS CRITICAL - 1 payout, 10.00 USD, on the way or of unknown outcome for more than 1h, such as cp1 | due=0;;;0 due_cents=0;;;0 stuck=1;;0;0 failed=0;;;0 findings=0;;0;0 balance_cents=999998000
            critical payouts_stuck: 1 payout, 10.00 USD, on the way or of unknown outcome for more than 1h, such as cp1 (payouts help runbook payouts_stuck)
            --- stderr
            --- exit 2
            ");
        }
        expect(&shop, &["--stuck-after", "2h"], &[], 0);
        shop.process(&[]).expect_code(0);
        expect(&shop, &[], &[], 0);
    }

    fn an_unknown_outcome_counts_as_stuck_whatever_other_software_made_of_the_row(db: TestDb) {
        let mut shop = watched(db);
        shop.payouts(1);
        shop.fault("c0", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        shop.db.execute("UPDATE payouts SET status = 'FAILED', updated_at = '2026-11-02 09:31:00'");
        shop.pass(HOUR + MINUTE);
        expect(&shop, &[], &["payouts_stuck"], 2);
    }

    fn a_share_of_failures_is_critical_only_of_enough_payouts(db: TestDb) {
        let mut shop = watched(db);
        shop.payouts(38);
        for number in 0..2 {
            shop.db.execute(&format!("UPDATE creators SET \"stripeAccountId\" = 'acct_{number}_closed' WHERE id = 'cr_c{number}'"));
        }
        shop.process(&[]).expect_code(1);
        // 2 of 38 are more than one in twenty.
        expect(&shop, &[], &["failure_rate"], 2);
        expect(&shop, &["--failure-sample", "39"], &[], 0);
        expect(&shop, &["--failure-percent", "6"], &[], 0);
        // Exactly one in twenty is not more.
        shop.creator("more0");
        shop.creator("more1");
        shop.payout("more0", "more0", 1000);
        shop.payout("more1", "more1", 1000);
        shop.process(&[]).expect_code(0);
        expect(&shop, &[], &[], 0);
        // What was retried and paid did not fail.
        shop.env.set("PAYOUTS_CHECK_FAILURE_PERCENT", "4");
        expect(&shop, &[], &["failure_rate"], 2);
        shop.db.execute("UPDATE creators SET \"stripeAccountId\" = 'acct_mended' || id WHERE id IN ('cr_c0', 'cr_c1')");
        shop.pass(MINUTE);
        shop.env.run(&["retry", "cp0", "cp1"]).expect_code(0);
        shop.process(&[]).expect_code(0);
        expect(&shop, &[], &[], 0);
    }

    fn failures_warn_when_they_are_many_or_old_and_cancelled_payouts_do_not(db: TestDb) {
        let mut shop = watched(db);
        shop.env.set("PAYOUTS_CHECK_PROCESS_WITHIN", "0s");
        shop.env.set("PAYOUTS_CHECK_RECONCILE_WITHIN", "0s");
        shop.creator("x_closed");
        shop.payout("p1", "x_closed", 1000);
        for _ in 0..3 {
            shop.process(&[]).expect_code(1);
            shop.pass(HOUR);
            shop.env.run(&["retry", "p1"]).expect_code(0);
        }
        shop.process(&[]).expect_code(1);
        expect(&shop, &[], &["failed_often"], 1);
        expect(&shop, &["--failed-attempts", "4"], &[], 0);
        shop.pass(DAY);
        expect(&shop, &[], &["failed_often"], 1);
        shop.pass(MINUTE);
        expect(&shop, &[], &["failed_often", "failed_long"], 1);
        shop.env.run(&["cancel", "p1", "--reason", "left"]).expect_code(0);
        expect(&shop, &[], &[], 0);
    }

    fn open_findings_are_critical_until_somebody_settles_them(db: TestDb) {
        let shop = watched(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        let transfer = shop.transfers()[0].id.clone();
        shop.stripe.reverse(&transfer, 400).expect("a reversal");
        shop.env.run(&["reconcile"]).expect_code(1);
        expect(&shop, &[], &["findings_open"], 2);
        shop.env.run(&["reconcile", "--fix"]).expect_code(0);
        expect(&shop, &[], &[], 0);
    }

    fn an_amount_far_from_the_usual_is_told_for_a_day(db: TestDb) {
        let mut shop = watched(db);
        shop.env.set("PAYOUTS_CHECK_PROCESS_WITHIN", "0s");
        shop.env.set("PAYOUTS_CHECK_RECONCILE_WITHIN", "0s");
        shop.creator("ann");
        for (number, cents) in [1000, 1100, 900, 1050, 950].into_iter().enumerate() {
            shop.payout(&format!("old{number}"), "ann", cents);
        }
        shop.db.execute("UPDATE payouts SET created_at = '2026-06-01 00:00:00'");
        shop.process(&[]).expect_code(0);
        shop.payout("usual", "ann", 1400);
        expect(&shop, &[], &[], 0);
        shop.payout("slip", "ann", 100_000);
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.env.run(&["check"]).transcript(), @r"
            $ payouts check
            PAYOUTS WARNING - 1 payout of the last day far from what the creator is usually paid, such as slip of 1,000.00 USD where 10.00 USD is usual | due=2;;;0 due_cents=101400;;;0 stuck=0;;0;0 failed=0;;;0 findings=0;;0;0 balance_cents=999995000
            warning unusual_amount: 1 payout of the last day far from what the creator is usually paid, such as slip of 1,000.00 USD where 10.00 USD is usual (payouts help runbook unusual_amount)
            --- stderr
            --- exit 1
            ");
        }
        shop.process(&[]).expect_code(0);
        expect(&shop, &[], &["unusual_amount"], 1);
        shop.pass(DAY);
        expect(&shop, &[], &[], 0);
    }

    fn the_balance_warns_when_it_does_not_cover_what_is_due_or_what_usually_follows(db: TestDb) {
        let shop = Shop::with_balance(db, 10_000);
        shop.process(&["--quiet"]).expect_code(0);
        shop.env.run(&["reconcile", "--quiet"]).expect_code(0);
        shop.payouts(9);
        shop.process(&[]).expect_code(0);
        // 90.00 in four weeks are 22.50 a week, and 10.00 are left.
        expect(&shop, &[], &["balance_forecast"], 1);
        expect(&shop, &["--forecast", "3d"], &[], 0);
        expect(&shop, &["--forecast", "0s"], &[], 0);
        shop.creator("late");
        shop.payout("late", "late", 1001);
        expect(&shop, &[], &["balance_short"], 1);
        // What is held is not due.
        shop.env.run(&["hold", "late", "--reason", "asked"]).expect_code(0);
        expect(&shop, &["--forecast", "0s"], &[], 0);
        shop.env.run(&["release", "late"]).expect_code(0);
        shop.env.run(&["hold", "--creator", "cr_late", "--reason", "asked"]).expect_code(0);
        expect(&shop, &["--forecast", "0s"], &[], 0);
        shop.env.run(&["hold", "--all", "--reason", "asked"]).expect_code(0);
        shop.env.run(&["release", "--creator", "cr_late"]).expect_code(0);
        expect(&shop, &["--forecast", "0s"], &[], 0);
    }

    fn runs_that_do_not_come_are_missed(db: TestDb) {
        let mut shop = watched(db);
        shop.pass(26 * HOUR);
        expect(&shop, &[], &[], 0);
        shop.pass(MINUTE);
        expect(&shop, &[], &["process_overdue"], 1);
        // A run that could not run does not count.
        let base = shop.stripe.base_url();
        shop.env.set("STRIPE_API_BASE", "http://127.0.0.1:1");
        shop.process(&[]).expect_code(3);
        expect(&shop, &["--offline"], &["process_overdue"], 1);
        shop.env.set("STRIPE_API_BASE", &base);
        shop.process(&[]).expect_code(0);
        expect(&shop, &[], &[], 0);
        shop.pass(24 * HOUR);
        expect(&shop, &[], &["reconcile_overdue"], 1);
        // Comparing what is long over says nothing of the last days, nor does the last hour.
        for period in ["2020-01", "1h"] {
            shop.env.run(&["reconcile", "--period", period]).expect_code(0);
            expect(&shop, &[], &["reconcile_overdue"], 1);
        }
        shop.env.run(&["reconcile"]).expect_code(0);
        expect(&shop, &[], &[], 0);
    }

    // What lies between two comparisons was compared by neither, also before the first one.
    fn a_comparison_that_leaves_a_gap_is_not_one_up_to_now(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.process(&[]).expect_code(0);
        let none_of_runs = ["--offline", "--process-within", "0s"];
        for time in ["first", "second"] {
            shop.pass(9 * DAY);
            shop.env.run(&["reconcile", "--period", "1h"]).expect_code(0);
            expect(&shop, &none_of_runs, &["reconcile_overdue"], 1);
            let run = shop.env.run(&[&["check"], &none_of_runs[..]].concat());
            assert!(run.stdout.contains("or not without a gap"), "{time}: {run}");
            shop.env.run(&["reconcile", "--period", "10d"]).expect_code(0);
            expect(&shop, &none_of_runs, &[], 0);
        }
    }

    fn a_run_that_leaves_one_outcome_unknown_has_paid_the_rest(db: TestDb) {
        let mut shop = watched(db);
        shop.pass(25 * HOUR);
        shop.payouts(1);
        shop.fault("c0", Fault::ResetBefore, 100);
        shop.process(&[]).expect_code(5);
        shop.pass(2 * HOUR);
        expect(&shop, &[], &["payouts_stuck"], 2);
    }

    fn accepting_a_finding_is_no_comparison(db: TestDb) {
        let mut shop = watched(db);
        shop.transfer("stray", 4200, "");
        shop.env.run(&["reconcile"]).expect_code(1);
        shop.pass(49 * HOUR);
        let finding = shop.one("SELECT id FROM payout_findings");
        shop.env.run(&["reconcile", "--accept", &finding, "--reason", "a bonus"]).expect_code(0);
        shop.process(&[]).expect_code(0);
        shop.pass(2 * HOUR);
        expect(&shop, &[], &["reconcile_overdue"], 1);
    }

    fn runs_that_refuse_are_told_at_the_second(db: TestDb) {
        let mut shop = watched(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.db.execute("UPDATE payout_settings SET value = 'acct_other' WHERE key = 'stripe_account'");
        shop.pass(MINUTE);
        shop.process(&[]).expect_code(4);
        expect(&shop, &["--offline"], &[], 0);
        shop.pass(MINUTE);
        shop.process(&[]).expect_code(4);
        expect(&shop, &["--offline"], &["process_failed"], 1);
        shop.db.execute("UPDATE payout_settings SET value = 'acct_sandboxplatform' WHERE key = 'stripe_account'");
        shop.pass(MINUTE);
        shop.process(&[]).expect_code(0);
        expect(&shop, &[], &[], 0);
    }

    fn mails_that_do_not_leave_are_told(db: TestDb) {
        let mut shop = watched(db);
        shop.env.run(&["notify", "on", "paid"]).expect_code(0);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.pass(HOUR);
        expect(&shop, &[], &[], 0);
        shop.pass(MINUTE);
        expect(&shop, &[], &["mail_undelivered"], 1);
        shop.env.run(&["notify", "off", "paid"]).expect_code(0);
        expect(&shop, &[], &[], 0);
    }

    fn a_key_that_cannot_be_used_hides_nothing_else(db: TestDb) {
        let mut shop = watched(db);
        shop.payouts(1);
        shop.fault("c0", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        shop.pass(HOUR + MINUTE);
        // A live key that is not allowed here.
        shop.env.set("STRIPE_SECRET_KEY", "sk_live_shop");
        expect(&shop, &[], &["payouts_stuck", "stripe_unreachable"], 2);
    }

    fn one_request_that_fails_wakes_nobody(db: TestDb) {
        let shop = watched(db);
        let once = FaultRule::on("account.retrieve", Fault::Error500NotStored).times(1);
        shop.stripe.faults_add(FaultPlan::of([once])).expect("it is understood");
        expect(&shop, &[], &[], 0);
        let often = FaultRule::on("account.retrieve", Fault::Error500NotStored).times(2);
        shop.stripe.faults_add(FaultPlan::of([often])).expect("it is understood");
        expect(&shop, &[], &["stripe_unreachable"], 1);
    }

    fn a_forecast_stands_while_what_is_due_is_not_covered(db: TestDb) {
        let shop = Shop::with_balance(db, 10_000);
        shop.process(&["--quiet"]).expect_code(0);
        shop.env.run(&["reconcile", "--quiet"]).expect_code(0);
        shop.env.run(&["notify", "on", "alert"]).expect_code(0);
        shop.payouts(9);
        shop.process(&[]).expect_code(0);
        shop.env.run(&["check", "--mail"]).expect_code(1);
        shop.creator("late");
        shop.payout("late", "late", 1001);
        shop.env.run(&["check", "--mail"]).expect_code(1);
        let mut told = subjects(&shop);
        told.sort();
        assert_eq!(told, ["payouts: warning balance_forecast", "payouts: warning balance_short"]);
    }

    fn a_key_of_another_account_is_critical(db: TestDb) {
        let mut shop = watched(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.db.execute("UPDATE payout_settings SET value = 'acct_other' WHERE key = 'stripe_account'");
        expect(&shop, &[], &["account_differs"], 2);
        shop.env.set("STRIPE_API_BASE", "http://127.0.0.1:1");
        expect(&shop, &[], &["stripe_unreachable"], 1);
        expect(&shop, &["--offline"], &[], 0);
    }

    fn an_alert_is_mailed_once_when_it_comes_and_once_when_it_goes(db: TestDb) {
        let mut shop = watched(db);
        shop.payouts(1);
        shop.fault("c0", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        shop.pass(HOUR + MINUTE);
        // What stands when mails are switched on is told then.
        let warned = shop.env.run(&["check", "--mail"]).expect_code(2);
        assert!(warned.stderr.contains("`payouts notify on alert`"), "{warned}");
        shop.env.run(&["notify", "on", "alert"]).expect_code(0);
        for _ in 0..2 {
            shop.env.run(&["check", "--mail", "--quiet"]).expect_code(2);
            shop.pass(MINUTE);
        }
        assert_eq!(subjects(&shop), ["payouts: critical payouts_stuck"]);
        // What was not looked at is not called gone.
        let base = shop.stripe.base_url();
        shop.env.set("STRIPE_API_BASE", "http://127.0.0.1:1");
        shop.env.run(&["check", "--mail"]).expect_code(2);
        shop.pass(MINUTE);
        shop.env.run(&["check", "--mail", "--offline"]).expect_code(2);
        let both = ["payouts: critical payouts_stuck", "payouts: warning stripe_unreachable"];
        assert_eq!(subjects(&shop), both);
        shop.env.set("STRIPE_API_BASE", &base);
        shop.process(&[]).expect_code(0);
        shop.pass(MINUTE);
        // Whoever is killed before the COMMIT has told nobody, and has kept nothing.
        shop.env.set("PAYOUTS_TEST_FAILPOINT", "alerts.writing=kill");
        assert_eq!(shop.env.run(&["check", "--mail"]).code(), 137);
        assert_eq!(subjects(&shop).len(), 2);
        shop.env.unset("PAYOUTS_TEST_FAILPOINT");
        for _ in 0..2 {
            shop.env.run(&["check", "--mail"]).expect_code(0);
        }
        let gone = ["payouts_stuck", "stripe_unreachable"].map(|code| format!("payouts: cleared {code}"));
        let mut all = subjects(&shop).split_off(2);
        all.sort();
        assert_eq!(all, gone);
    }

    fn an_alert_is_told_again_when_there_is_twice_as_much_of_it(db: TestDb) {
        let mut shop = watched(db);
        shop.env.run(&["notify", "on", "alert"]).expect_code(0);
        shop.payouts(6);
        shop.pass(2 * DAY);
        let mut told = 0;
        // So many of them have been failed for two days: what is told of it.
        let mut look = |number: usize, dearest_cents: i64| {
            shop.db.execute("UPDATE payouts SET status = 'PENDING', last_retry_at = NULL, amount_cents = 1000");
            for n in 0..number {
                fail_when_created(&shop, &format!("cp{n}"));
            }
            shop.db.execute(&format!("UPDATE payouts SET amount_cents = {dearest_cents} WHERE id = 'cp0'"));
            shop.pass(HOUR);
            shop.env.run(&[&CHECK_FAILED[..], &["--mail"]].concat());
            let subjects = subjects_of(&shop, "failed_long").split_off(told);
            told += subjects.len();
            subjects.join(", ")
        };
        let more = "payouts: warning failed_long, more of it";
        let seen = [
            look(2, 1_000),
            look(3, 1_000),
            look(4, 1_000),
            look(6, 1_000),
            // Whoever has mended most hears of what comes then.
            look(1, 1_000),
            look(2, 1_000),
            // One that weighs as much as all others is news too.
            look(2, 5_000),
            look(2, 5_000),
            look(0, 1_000),
        ];
        let wanted = ["payouts: warning failed_long", "", more, "", "", more, more, "", "payouts: cleared failed_long"];
        assert_eq!(seen, wanted);
        // What goes up and down within the hour is told once in it.
        let mut often = |number: usize| {
            shop.db.execute("UPDATE payouts SET status = 'PENDING', last_retry_at = NULL");
            for n in 0..number {
                fail_when_created(&shop, &format!("cp{n}"));
            }
            shop.pass(10 * MINUTE);
            shop.env.run(&[&CHECK_FAILED[..], &["--mail"]].concat());
        };
        for _ in 0..6 {
            often(1);
            often(2);
        }
        let told = subjects_of(&shop, "failed_long").split_off(told);
        assert_eq!(told, ["payouts: warning failed_long", more]);
    }

    fn alerts_that_are_switched_on_again_are_told_again(db: TestDb) {
        let mut shop = watched(db);
        shop.payouts(1);
        fail_when_created(&shop, "cp0");
        shop.pass(2 * DAY);
        for _ in 0..2 {
            shop.env.run(&["notify", "on", "alert"]).expect_code(0);
            shop.env.run(&[&CHECK_FAILED[..], &["--mail"]].concat()).expect_code(1);
            shop.env.run(&["notify", "off", "alert"]).expect_code(0);
            shop.pass(MINUTE);
        }
        assert_eq!(subjects_of(&shop, "failed_long"), ["payouts: warning failed_long"; 2]);
    }

    fn any_more_findings_are_told(db: TestDb) {
        let mut shop = watched(db);
        shop.env.run(&["notify", "on", "alert"]).expect_code(0);
        for _ in 0..3 {
            shop.transfer("stray", 4200, "");
            shop.env.run(&["reconcile"]).expect_code(1);
            shop.env.run(&[&CHECK_FAILED[..], &["--mail"]].concat()).expect_code(2);
            shop.pass(HOUR);
        }
        let (first, more) = ("payouts: critical findings_open", "payouts: critical findings_open, more of it");
        assert_eq!(subjects_of(&shop, "findings_open"), [first, more, more]);
    }

    fn what_is_found_is_said_although_it_cannot_be_mailed(db: TestDb) {
        let shop = watched(db);
        shop.env.run(&["notify", "on", "alert"]).expect_code(0);
        shop.transfer("stray", 4200, "");
        shop.env.run(&["reconcile"]).expect_code(1);
        shop.db.execute("DROP TABLE payout_alerts");
        let run = shop.env.run(&["check", "--mail"]).expect_code(2);
        assert!(run.stdout.starts_with("PAYOUTS CRITICAL - 1 finding"), "{run}");
        assert!(run.stderr.contains("payout_alerts"), "{run}");
    }

    fn what_is_on_its_way_is_not_there_to_pay_with(db: TestDb) {
        let shop = Shop::with_balance(db, 1_900);
        shop.payouts(2);
        shop.env.run(&["hold", "cp1", "--reason", "later"]).expect_code(0);
        shop.fault("c0", Fault::ResetBefore, 100);
        shop.process(&[]).expect_code(5);
        shop.env.run(&["release", "cp1"]).expect_code(0);
        let run = shop.env.run(&["check"]).expect_code(1);
        assert!(run.stdout.contains("of which 10.00 USD is on its way, does not cover the 1 payout due, 10.00 USD"), "{run}");
    }

    fn a_threshold_of_zero_lets_its_alert_go(db: TestDb) {
        let mut shop = watched(db);
        shop.env.run(&["notify", "on", "alert"]).expect_code(0);
        shop.pass(3 * DAY);
        shop.env.run(&["check", "--mail", "--offline", "--reconcile-within", "0s"]).expect_code(1);
        shop.pass(MINUTE);
        shop.env.run(&[&CHECK_FAILED[..], &["--mail"]].concat()).expect_code(0);
        assert_eq!(subjects_of(&shop, "process_overdue"), ["payouts: warning process_overdue", "payouts: cleared process_overdue"]);
    }

    fn of_several_checks_at_once_one_tells_that_it_has_grown(db: TestDb) {
        let mut shop = watched(db);
        shop.env.run(&["notify", "on", "alert"]).expect_code(0);
        shop.payouts(2);
        shop.pass(2 * DAY);
        for id in ["cp0", "cp1"] {
            fail_when_created(&shop, id);
            shop.pass(HOUR);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| shop.env.run(&[&CHECK_FAILED[..], &["--mail"]].concat()).expect_code(1));
                }
            });
        }
        let wanted = ["payouts: warning failed_long", "payouts: warning failed_long, more of it"];
        assert_eq!(subjects(&shop), wanted);
    }

    fn of_several_checks_at_once_one_tells(db: TestDb) {
        let mut shop = watched(db);
        shop.env.run(&["notify", "on", "alert"]).expect_code(0);
        shop.pass(27 * HOUR);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| shop.env.run(&["check", "--mail"]).expect_code(1));
            }
        });
        assert_eq!(subjects(&shop), ["payouts: warning process_overdue"]);
    }

    fn a_history_that_was_changed_is_critical_where_it_is_read(db: TestDb) {
        let shop = watched(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        expect(&shop, &["--history"], &[], 0);
        let mut session = shop.db.session();
        session.without_history_triggers();
        session.execute("UPDATE payout_history SET reason = 'nothing happened' WHERE seq = 1");
        expect(&shop, &[], &[], 0);
        expect(&shop, &["--history"], &["history_broken"], 2);
    }
}

#[test]
fn what_cannot_be_looked_at_is_unknown() {
    let shop = TestEnv::new();
    insta::assert_snapshot!(shop.run(&["check"]).transcript(), @r"
    $ payouts check
    PAYOUTS UNKNOWN - there is no database at /tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db
    --- stderr
    using sqlite:/tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db (DATABASE_URL is not set)
    error: there is no database at /tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db
    hint: run `payouts init` to create it, or set DATABASE_URL if it is elsewhere
    --- exit 3
    ");
    assert_eq!(shop.run(&["check", "--stuck-after", "soon"]).code(), 3);
    // Of this command alone.
    assert_eq!(shop.run(&["list", "--nonsense"]).code(), 2);
    let other = ["hold", "x", "--reason", "check", "--nonsense"];
    assert_eq!(shop.run(&other).code(), 2);
    assert_eq!(
        shop.run(&["--color", "never", "check", "--nonsense"])
            .code(),
        3
    );
}

#[test]
fn every_alert_names_what_to_do() {
    let env = TestEnv::new();
    let whole = env.run(&["help", "runbook"]).expect_code(0).stdout;
    for code in AlertCode::ALL {
        let entry = env.run(&["help", "runbook", code.as_str()]).expect_code(0);
        assert!(whole.contains(entry.stdout.trim()), "{code}");
    }
    insta::assert_snapshot!(env.run(&["help", "runbook", "nonsense"]).transcript(), @r"
    $ payouts help runbook nonsense
    --- stderr
    error: no alert has this name: nonsense
    hint: those there are: failure_rate, payouts_stuck, paid_twice, findings_open, account_differs, history_broken, failed_often, failed_long, unusual_amount, balance_short, balance_forecast, process_failed, process_overdue, reconcile_overdue, stripe_unreachable, mail_undelivered
    --- exit 2
    ");
}
