//! `payouts report`: the books of a period tie to zero, to the payouts in them and to the periods
//! around, and stay what they are.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::time::Duration;

use payouts::model::listing::Total;
use payouts::model::report::{Books, Period};
use payouts::model::time::Time;
use payouts::ops::report::walk;
use payouts::store::{Store, StoreError};
use serde_json::Value;

use crate::common::db::{TestDb, on_both};
use crate::common::env::Run;
use crate::common::shop::Shop;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"))
}

fn report(shop: &Shop, more: &[&str]) -> Run {
    shop.env
        .run(&[&["report", "--period"], more].concat())
        .expect_code(0)
}

/// What a report says but for what is known on the day on which it is made, which comes last.
fn of_the_period(run: &Run) -> String {
    let end = run.stdout.find("\"known_now\"");
    run.stdout[..end.unwrap_or(run.stdout.len())].to_owned()
}

/// A shop in November: two payouts are paid, one is refused, one cancelled, one held.
pub(crate) fn november(db: TestDb) -> Shop {
    let mut shop = Shop::open(db);
    // One after the other, so that transfers have the same ids on every run.
    shop.env.set("PAYOUTS_CONCURRENCY", "1");
    for name in ["ann", "ben", "cyd_closed"] {
        shop.creator(name);
    }
    for (id, creator, cents) in [
        ("p1", "ann", 1000),
        ("p2", "ben", 2000),
        ("p3", "cyd_closed", 3000),
        ("p4", "ann", 4000),
        ("p5", "ben", 5000),
    ] {
        shop.payout(id, creator, cents);
    }
    shop.db
        .execute("UPDATE payout_batch_items SET reference = '=SUM(A1)' WHERE payout_id = 'p1'");
    let run = |args: &[&str], code| drop(shop.env.run(args).expect_code(code));
    run(&["hold", "p5", "--reason", "looks odd"], 0);
    run(&["cancel", "p4", "--reason", "typed twice"], 0);
    run(&["process"], 1);
    shop
}

/// And in December: part of the first is taken back, what was left over is paid.
pub(crate) fn december(shop: &mut Shop) {
    shop.pass(DAY * 35);
    let transfer = shop.one("SELECT stripe_transfer_id FROM payouts WHERE id = 'p1'");
    shop.stripe.reverse(&transfer, 400).unwrap();
    shop.env.run(&["reconcile", "--fix"]).expect_code(0);
    shop.db.execute(
        r#"UPDATE creators SET "stripeAccountId" = 'acct_cyd' WHERE id = 'cr_cyd_closed'"#,
    );
    shop.env.run(&["retry", "p3"]).expect_code(0);
    shop.env.run(&["release", "p5"]).expect_code(0);
    shop.process(&[]).expect_code(0);
    shop.pass(DAY * 35);
    shop.stripe.reverse(&transfer, 600).unwrap();
    shop.env
        .run(&["reconcile", "--fix", "--period", "2026"])
        .expect_code(0);
}

on_both! {
    fn a_month_and_the_next(db: TestDb) {
        let mut shop = november(db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(report(&shop, &["2026-11-01..2026-11-02"]).transcript(), @r"
            $ payouts report --period 2026-11-01..2026-11-02
            2026-11-01..2026-11-02: from 2026-11-01 00:00 up to 2026-11-03 00:00 (UTC)
            Line                Payouts  Amount (USD)  Meaning
            opening                   0          0.00  owed when the period began
            created                   5        150.00  created in the period
            paid                      2         30.00  paid in the period, by the transfer's own time
            cancelled                 1         40.00  ended in the period without having been paid
            closing                   2         80.00  owed when the period ended
            closing_pending           1         50.00  of closing: in the queue
            closing_processing        0          0.00  of closing: on the way, or of unknown outcome
            closing_failed            1         30.00  of closing: refused, neither tried again nor cancelled
            failed                    1         30.00  failed in the period, each once, whatever became of it
            reversed                  0          0.00  seen in the period to be taken back at Stripe, whenever it was paid
            paid_less_reversed        2         30.00  what paid less reversed comes to
            --- stderr
            the period is not over: this is what is known by now
            --- exit 0
            ");
            insta::assert_snapshot!(report(&shop, &["2026-11", "-o", "csv"]).transcript(), @r"
            $ payouts report --period 2026-11 -o csv
            id,creator_id,creator_name,reference,royalty_statement_id,batch_id,currency,amount,amount_cents,status,created_on,created_at,paid_on,paid_at,stripe_transfer_id,cancelled_at,failed_at,opening_cents,created_cents,paid_cents,cancelled_cents,closing_cents,reversed_cents
            p1,cr_ann,ann,'=SUM(A1),,,usd,10.00,1000,COMPLETED,2026-11-01,2026-11-01T12:00:00.000Z,2026-11-02,2026-11-02T09:30:00.000Z,tr_000000000000000000001,,,0,1000,1000,0,0,0
            p2,cr_ben,ben,,,,usd,20.00,2000,COMPLETED,2026-11-01,2026-11-01T12:00:00.000Z,2026-11-02,2026-11-02T09:30:00.000Z,tr_000000000000000000002,,,0,2000,2000,0,0,0
            p3,cr_cyd_closed,cyd_closed,,,,usd,30.00,3000,FAILED,2026-11-01,2026-11-01T12:00:00.000Z,,,,,2026-11-02T09:30:00.000Z,0,3000,0,0,3000,0
            p4,cr_ann,ann,,,,usd,40.00,4000,CANCELLED,2026-11-01,2026-11-01T12:00:00.000Z,,,,2026-11-02T09:30:00.000Z,,0,4000,0,4000,0,0
            p5,cr_ben,ben,,,,usd,50.00,5000,PENDING,2026-11-01,2026-11-01T12:00:00.000Z,,,,,,0,5000,0,0,5000,0
            --- stderr
            opening 0.00 USD + created 150.00 USD - paid 30.00 USD - cancelled 40.00 USD = closing 80.00 USD
            the period is not over: this is what is known by now
            --- exit 0
            ");
            insta::assert_snapshot!(report(&shop, &["2026-11", "-o", "csv", "--summary"]).transcript(), @r#"
            $ payouts report --period 2026-11 -o csv --summary
            line,count,amount,amount_cents,balance_cents,currency,meaning
            opening,0,0.00,0,0,usd,owed when the period began
            created,5,150.00,15000,15000,usd,created in the period
            paid,2,30.00,3000,-3000,usd,"paid in the period, by the transfer's own time"
            cancelled,1,40.00,4000,-4000,usd,ended in the period without having been paid
            closing,2,80.00,8000,-8000,usd,owed when the period ended
            closing_pending,1,50.00,5000,0,usd,of closing: in the queue
            closing_processing,0,0.00,0,0,usd,"of closing: on the way, or of unknown outcome"
            closing_failed,1,30.00,3000,0,usd,"of closing: refused, neither tried again nor cancelled"
            failed,1,30.00,3000,0,usd,"failed in the period, each once, whatever became of it"
            reversed,0,0.00,0,0,usd,"seen in the period to be taken back at Stripe, whenever it was paid"
            paid_less_reversed,2,30.00,3000,0,usd,what paid less reversed comes to
            --- stderr
            the period is not over: this is what is known by now
            --- exit 0
            "#);
        }
        december(&mut shop);
        insta::allow_duplicates! {
            insta::assert_snapshot!(report(&shop, &["2026-12", "-o", "csv"]).transcript(), @r"
            $ payouts report --period 2026-12 -o csv
            id,creator_id,creator_name,reference,royalty_statement_id,batch_id,currency,amount,amount_cents,status,created_on,created_at,paid_on,paid_at,stripe_transfer_id,cancelled_at,failed_at,opening_cents,created_cents,paid_cents,cancelled_cents,closing_cents,reversed_cents
            p1,cr_ann,ann,'=SUM(A1),,,usd,10.00,1000,COMPLETED,2026-11-01,2026-11-01T12:00:00.000Z,2026-11-02,2026-11-02T09:30:00.000Z,tr_000000000000000000001,,,0,0,0,0,0,400
            p3,cr_cyd_closed,cyd_closed,,,,usd,30.00,3000,COMPLETED,2026-11-01,2026-11-01T12:00:00.000Z,2026-12-07,2026-12-07T09:30:00.000Z,tr_000000000000000000003,,,3000,0,3000,0,0,0
            p5,cr_ben,ben,,,,usd,50.00,5000,COMPLETED,2026-11-01,2026-11-01T12:00:00.000Z,2026-12-07,2026-12-07T09:30:00.000Z,tr_000000000000000000004,,,5000,0,5000,0,0,0
            --- stderr
            opening 80.00 USD + created 0.00 USD - paid 80.00 USD - cancelled 0.00 USD = closing 0.00 USD
            --- exit 0
            ");
            insta::assert_snapshot!(report(&shop, &["2026-12"]).transcript(), @r"
            $ payouts report --period 2026-12
            2026-12: from 2026-12-01 00:00 up to 2027-01-01 00:00 (UTC)
            Line                Payouts  Amount (USD)  Meaning
            opening                   2         80.00  owed when the period began
            created                   0          0.00  created in the period
            paid                      2         80.00  paid in the period, by the transfer's own time
            cancelled                 0          0.00  ended in the period without having been paid
            closing                   0          0.00  owed when the period ended
            closing_pending           0          0.00  of closing: in the queue
            closing_processing        0          0.00  of closing: on the way, or of unknown outcome
            closing_failed            0          0.00  of closing: refused, neither tried again nor cancelled
            failed                    0          0.00  failed in the period, each once, whatever became of it
            reversed                  1          4.00  seen in the period to be taken back at Stripe, whenever it was paid
            paid_less_reversed        2         76.00  what paid less reversed comes to
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(report(&shop, &["2027-01", "--summary", "-o", "csv"]).transcript(), @r#"
            $ payouts report --period 2027-01 --summary -o csv
            line,count,amount,amount_cents,balance_cents,currency,meaning
            opening,0,0.00,0,0,usd,owed when the period began
            created,0,0.00,0,0,usd,created in the period
            paid,0,0.00,0,0,usd,"paid in the period, by the transfer's own time"
            cancelled,0,0.00,0,0,usd,ended in the period without having been paid
            closing,0,0.00,0,0,usd,owed when the period ended
            closing_pending,0,0.00,0,0,usd,of closing: in the queue
            closing_processing,0,0.00,0,0,usd,"of closing: on the way, or of unknown outcome"
            closing_failed,0,0.00,0,0,usd,"of closing: refused, neither tried again nor cancelled"
            failed,0,0.00,0,0,usd,"failed in the period, each once, whatever became of it"
            reversed,1,6.00,600,0,usd,"seen in the period to be taken back at Stripe, whenever it was paid"
            paid_less_reversed,0,-6.00,-600,0,usd,what paid less reversed comes to
            --- stderr
            the period is not over: this is what is known by now
            --- exit 0
            "#);
        }
        shop.assert_paid_exactly_once();
    }

    /// Nothing that happens later changes the books of a period that is over: not a payment, not a
    /// reversal, not a cancellation, not other software that puts rows back.
    fn the_books_of_a_period_stay_what_they_are(db: TestDb) {
        let mut shop = november(db);
        let all = |shop: &Shop| {
            ["csv", "json", "ndjson", "table"].map(|format| {
                of_the_period(&report(shop, &["2026-11", "-o", format]))
            })
        };
        shop.env.set_now("2026-12-01T00:00:00.000Z");
        let first = all(&shop);
        assert_eq!(all(&shop), first, "twice");
        shop.env.set_now(super::common::env::NOW);
        december(&mut shop);
        assert_eq!(all(&shop), first, "after a later payment and two reversals");
        shop.db.execute("UPDATE payouts SET status = 'PENDING', updated_at = '2027-01-15 00:00:00' WHERE id = 'p3'");
        assert_eq!(all(&shop), first, "after other software put a row back that was paid in December");
    }

    /// Each row ties to zero by itself, and the columns come to the lines.
    fn rows_add_up_to_the_lines(db: TestDb) {
        let mut shop = november(db);
        december(&mut shop);
        for period in ["2026-11", "2026-12", "2027-01", "2026", "..2026-11", "2026-11-01..2026-12-31"] {
            let answer = json(&report(&shop, &[period, "-o", "json"]));
            let cents = |row: &Value, field: &str| row[field].as_i64().unwrap();
            let rows = answer["payouts"].as_array().unwrap();
            for row in rows {
                assert_eq!(
                    cents(row, "opening_cents") + cents(row, "created_cents")
                        - cents(row, "paid_cents") - cents(row, "cancelled_cents"),
                    cents(row, "closing_cents"),
                    "{row}"
                );
            }
            let lines = answer["lines"].as_array().unwrap();
            let line = |name: &str| lines.iter().find(|line| line["line"] == name).unwrap();
            for name in ["opening", "created", "paid", "cancelled", "closing", "reversed"] {
                let sum: i64 = rows.iter().map(|row| cents(row, &format!("{name}_cents"))).sum();
                assert_eq!(sum, cents(line(name), "amount_cents"), "{period} {name}");
            }
            assert_eq!(lines.iter().map(|line| cents(line, "balance_cents")).sum::<i64>(), 0);
        }
    }

    /// A month is that of the zone, whatever way other software writes its moments.
    fn a_month_begins_at_midnight_of_the_zone(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        for (id, created) in [
            ("before", "2026-10-31T22:59:59.999Z"),
            ("first", "2026-10-31T23:00:00Z"),
            ("last", "2026-11-30 22:59:59.999"),
            ("after", "2026-11-30T23:00:00.000Z"),
        ] {
            shop.foreign_payout(id, "ann", 1000);
            shop.db.execute(&format!("UPDATE payouts SET created_at = '{created}' WHERE id = '{id}'"));
        }
        let created = |zone: &str| {
            let answer = json(&report(&shop, &["2026-11", "--tz", zone, "-o", "json"]));
            let rows = answer["payouts"].as_array().unwrap().clone();
            let in_period = |row: &&Value| row["created_cents"] == 1000;
            rows.iter()
                .filter(in_period)
                .map(|row| format!("{} {}", row["id"].as_str().unwrap(), row["created_on"].as_str().unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(created("Europe/Berlin"), ["first 2026-11-01", "last 2026-11-30"]);
        assert_eq!(created("UTC"), ["after 2026-11-30", "last 2026-11-30"]);
        shop.env.run(&["report", "--period", "2026-13"]).expect_code(2);
        shop.env.run(&["report", "--period", "2026-11", "--tz", "Europe/Atlantis"]).expect_code(2);
        shop.env.run(&["report"]).expect_code(2);
    }

    /// Rows of other software count as they stand; sums do not wrap; nothing there is a report too.
    fn rows_of_other_software_and_large_sums(db: TestDb) {
        let shop = Shop::open(db);
        let lines = |period: &str| {
            let answer = json(&report(&shop, &[period, "-o", "json", "--summary"]));
            let lines = answer["lines"].as_array().unwrap().clone();
            let wanted = lines.iter().filter(|line| line["count"] != 0);
            wanted
                .map(|line| format!("{} {} {}", line["line"].as_str().unwrap(), line["count"], line["amount_cents"]))
                .collect::<Vec<_>>()
        };
        assert_eq!(lines("2026-11"), [""; 0]);
        shop.creator("ann");
        for number in 0..3 {
            shop.foreign_payout(&format!("big{number}"), "ann", i64::from(i32::MAX));
        }
        // Paid without saying when: the last change counts. Paid before it was created: then.
        shop.db.execute(
            "UPDATE payouts SET status = 'COMPLETED', updated_at = '2026-12-24 00:00:00' WHERE id = 'big0';
             UPDATE payouts SET status = 'COMPLETED', processed_at = '2020-01-01 00:00:00' WHERE id = 'big1';
             UPDATE payouts SET status = 'FAILED', last_retry_at = '2026-12-01 00:00:00' WHERE id = 'big2'",
        );
        assert_eq!(lines("2026-11"), [
            "created 3 6442450941", "paid 1 2147483647", "closing 2 4294967294",
            "closing_processing 1 2147483647", "closing_failed 1 2147483647", "paid_less_reversed 1 2147483647",
        ]);
        assert_eq!(lines("2026-12"), [
            "opening 2 4294967294", "paid 1 2147483647", "closing 1 2147483647", "closing_failed 1 2147483647",
            "failed 1 2147483647", "paid_less_reversed 1 2147483647",
        ]);
    }

    /// Whatever rows, histories and reversals there are: each period opens with what the one before
    /// closed with, and the periods come to what all time does.
    fn periods_tie_to_each_other_in_any_database(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        any_rows(&shop, 300);
        let mut store = shop.db.store();
        let moment = |month: i32, day: i32| -> Time { format!("2026-{month:02}-{day:02}T07:00:00Z").parse().unwrap() };
        let whole = books(&mut store, Period { from: None, until: moment(12, 31) });
        assert_eq!(whole.created.count, 300);
        assert!(whole.paid.count > 100 && whole.reversed.count > 40, "{whole:?}");
        let mut random = fastrand::Rng::with_seed(20_261_031);
        let mut cuts: Vec<Time> = (1..=12).map(|month| moment(month, random.i32(1..28))).collect();
        cuts.push(moment(12, 31));
        let (mut from, mut before, mut sum) = (None, Books::default(), Books::default());
        for until in cuts {
            let part = books(&mut store, Period { from, until });
            assert_eq!(part.difference(), Total::default());
            assert_eq!(part.opening, before.closing, "{from:?} {until}");
            for (all, this) in [
                (&mut sum.created, part.created), (&mut sum.paid, part.paid),
                (&mut sum.cancelled, part.cancelled),
            ] {
                all.count += this.count;
                all.amount_cents += this.amount_cents;
            }
            sum.reversed.amount_cents += part.reversed.amount_cents;
            (from, before) = (Some(until), part);
        }
        assert_eq!((sum.created, sum.paid, sum.cancelled), (whole.created, whole.paid, whole.cancelled));
        assert_eq!(sum.reversed.amount_cents, whole.reversed.amount_cents);
        assert_eq!(before.closing, whole.closing);
    }
}

/// Rows, histories and reversals of Ann's as any software could have left them in 2026.
pub(crate) fn any_rows(shop: &Shop, count: u32) {
    let mut random = fastrand::Rng::with_seed(20_261_031);
    let mut sql = String::new();
    for number in 0..count {
        let mut day = || {
            format!(
                "'2026-{:02}-{:02} {:02}:00:00'",
                random.u8(1..=12),
                random.u8(1..=28),
                random.u8(..24)
            )
        };
        let (created, updated, processed, retried) = (day(), day(), day(), day());
        let (first, second, seen, more) = (day(), day(), day(), day());
        let mut choice = |of: &[&'static str]| random.choice(of.iter().copied()).unwrap();
        let status = choice(&["PENDING", "PROCESSING", "COMPLETED", "COMPLETED", "FAILED"]);
        let maybe = |text: &str, says: &str| {
            if says == "yes" {
                text.to_owned()
            } else {
                "NULL".to_owned()
            }
        };
        let (is_processed, is_retried) = (choice(&["yes", "no"]), choice(&["yes", "no"]));
        let (event, to) = [
            ("paid", "COMPLETED"),
            ("cancelled", "FAILED"),
            ("declined", "FAILED"),
            ("created", "PENDING"),
        ][usize::from(random.u8(..4))];
        let _ = write!(sql,
            "INSERT INTO payouts (id, creator_id, amount_cents, stripe_transfer_id, status, processed_at, last_retry_at, created_at, updated_at)
             VALUES ('r{number}', 'cr_ann', {}, 'tr_{number}', '{status}', {}, {}, {created}, {updated});",
            random.i32(..), maybe(&processed, is_processed), maybe(&retried, is_retried),
        );
        if random.bool() {
            let (first, second) = if first < second {
                (first, second)
            } else {
                (second, first)
            };
            let _ = write!(sql,
                "INSERT INTO payout_history (payout_id, seq, event, from_status, to_status, at, actor, run_id, hash)
                 VALUES ('r{number}', 1, 'created', NULL, 'PENDING', {first}, 'a', 'r', 'h'),
                        ('r{number}', 2, '{event}', 'PENDING', '{to}', {second}, 'a', 'r', 'h');"
            );
        }
        if random.u8(..4) == 0 {
            let (seen, more) = if seen < more {
                (seen, more)
            } else {
                (more, seen)
            };
            let _ = write!(sql,
                "INSERT INTO payout_reversals VALUES ('tr_{number}', 'r{number}', 900, {more});
                 INSERT INTO payout_reversal_steps VALUES ('tr_{number}', 400, 'r{number}', {seen}), ('tr_{number}', 900, 'r{number}', {more});"
            );
        }
    }
    shop.db.execute(&sql);
}

fn books(store: &mut Store, period: Period) -> Books {
    walk::<StoreError>(store, period, &mut |_| {}, |_, _| Ok::<(), StoreError>(())).unwrap()
}

/// The same rows make the same bytes on both databases.
#[test]
fn both_databases_write_the_same_books() {
    let written = |db: TestDb| {
        let mut shop = november(db);
        december(&mut shop);
        ["2026-11", "2026-12", "2027-01", "2026"].map(|period| {
            ["csv", "json"].map(|format| of_the_period(&report(&shop, &[period, "-o", format])))
        })
    };
    assert_eq!(written(TestDb::sqlite()), written(TestDb::postgres()));
}
