//! `payouts stats`: the figures of a period are those of its books, its parts come to the whole, and
//! a monitor understands what it is told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::Value;

use crate::cli_report::{any_rows, december, json, november};
use crate::common::clients::read_by;
use crate::common::db::{TestDb, on_both};
use crate::common::env::{Run, TestEnv};
use crate::common::seed::{self, AttemptRow, PayoutRow, quoted};
use crate::common::shop::Shop;

fn stats(shop: &Shop, more: &[&str]) -> Run {
    shop.env.run(&[&["stats"], more].concat()).expect_code(0)
}

/// The measures of which the parts of a period come to the whole.
const ADDED_UP: [&str; 15] = [
    "created_count",
    "created_cents",
    "paid_count",
    "paid_cents",
    "cancelled_count",
    "cancelled_cents",
    "failed_count",
    "failed_cents",
    "unpaid_count",
    "unpaid_cents",
    "failed_attempt_count",
    "failed_attempt_cents",
    "retry_count",
    "reversed_count",
    "reversed_cents",
];

fn number(row: &Value, field: &str) -> i64 {
    row[field].as_i64().unwrap_or(0)
}

fn sum(rows: &Value, field: &str) -> i64 {
    let rows = rows.as_array().unwrap();
    rows.iter().map(|row| number(row, field)).sum()
}

/// Attempts of Ann's payouts as any software could have left them in 2026: some refused, some not
/// the first.
fn any_attempts(shop: &Shop, payouts: u32) {
    let mut random = fastrand::Rng::with_seed(20_261_101);
    seed::run(&shop.db, "run1", None);
    let mut sql = String::new();
    for number in 0..payouts {
        for attempt in 1..=random.u8(0..4) {
            let at = format!(
                "2026-{:02}-{:02} {:02}:00:00",
                random.u8(1..=12),
                random.u8(1..=28),
                random.u8(..24)
            );
            let outcome = random.choice(["declined", "declined", "not_sent"]).unwrap();
            let code = random
                .choice(["NULL", "'account_closed'", "'balance_insufficient'"])
                .unwrap();
            let _ = write!(
                sql,
                "INSERT INTO payout_attempts (payout_id, attempt, idempotency_key, body, amount_cents, currency, destination,
                     transfer_group, stripe_account, livemode, api_version, run_id, outcome, created_at, first_sent_at,
                     send_count, stored_error, settled_at, error_code, replayed)
                 VALUES ('r{number}', {attempt}, 'k{number}_{attempt}', '', {}, 'usd', 'acct', 'r{number}', 'acct_p', false,
                     'v', 'run1', '{outcome}', '{at}', '{at}', 1, false, '{at}', {code}, false);",
                random.i32(1..)
            );
        }
    }
    shop.db.execute(&sql);
}

on_both! {
    fn a_month_of_a_shop(db: TestDb) {
        let mut shop = november(db);
        december(&mut shop);
        insta::allow_duplicates! {
            insta::assert_snapshot!(stats(&shop, &["--period", "2026-11"]).transcript(), @r"
            $ payouts stats --period 2026-11
            2026-11: from 2026-11-01 00:00 up to 2026-12-01 00:00 (UTC)
            Created          5 payouts, 150.00 USD
            Paid             2 payouts, 30.00 USD
            Cancelled        1 payout, 40.00 USD
            Taken back       0 payouts, 0.00 USD
            Refused          1 payout, 30.00 USD
              for good       1 payout, 30.00 USD
            Success rate     66.66 % (2 of 3 that came to an end)
            Failed attempts  1
            Retries          0
            Time to paid     median 21 h 30 min, 95 % within 21 h 30 min, longest 21 h 30 min

            Refused with      Attempts  Amount (USD)
            resource_missing         1         30.00
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(stats(&shop, &["--period", "2026", "--by", "month"]).transcript(), @r"
            $ payouts stats --period 2026 --by month
            2026: from 2026-01-01 00:00 up to 2027-01-01 00:00 (UTC)
            Month    Created  Paid  Paid (USD)   Success  Refused tries  Retries  Taken back (USD)       Median         95 %      Longest
            2026-01        0     0        0.00                        0        0              0.00
            2026-02        0     0        0.00                        0        0              0.00
            2026-03        0     0        0.00                        0        0              0.00
            2026-04        0     0        0.00                        0        0              0.00
            2026-05        0     0        0.00                        0        0              0.00
            2026-06        0     0        0.00                        0        0              0.00
            2026-07        0     0        0.00                        0        0              0.00
            2026-08        0     0        0.00                        0        0              0.00
            2026-09        0     0        0.00                        0        0              0.00
            2026-10        0     0        0.00                        0        0              0.00
            2026-11        5     2       30.00  100.00 %              1        0              0.00  21 h 30 min  21 h 30 min  21 h 30 min
            2026-12        0     2       80.00  100.00 %              0        1              4.00    35 d 21 h    35 d 21 h    35 d 21 h
            all            5     4      110.00  100.00 %              1        1              4.00  21 h 30 min    35 d 21 h    35 d 21 h

            Refused with      Attempts  Amount (USD)
            resource_missing         1         30.00
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(stats(&shop, &["--period", "2026", "--by", "creator", "--limit", "1"]).transcript(), @r"
            $ payouts stats --period 2026 --by creator --limit 1
            2026: from 2026-01-01 00:00 up to 2027-01-01 00:00 (UTC)
            Creator  Created  Paid  Paid (USD)   Success  Refused tries  Retries  Taken back (USD)       Median       95 %    Longest
            ben            2     2       70.00  100.00 %              0        0              0.00  21 h 30 min  35 d 21 h  35 d 21 h
            all            5     4      110.00  100.00 %              1        1              4.00  21 h 30 min  35 d 21 h  35 d 21 h
            2 more creators paid 40.00 USD; --limit shows more

            Refused with      Attempts  Amount (USD)
            resource_missing         1         30.00
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(stats(&shop, &["--period", "2026-11", "-o", "json"]).transcript(), @r#"
            $ payouts stats --period 2026-11 -o json
            {
              "schema": 1,
              "stats": [
                {
                  "of": "all",
                  "key": null,
                  "creator_name": null,
                  "currency": "usd",
                  "created_count": 5,
                  "created_cents": 15000,
                  "paid_count": 2,
                  "paid_cents": 3000,
                  "cancelled_count": 1,
                  "cancelled_cents": 4000,
                  "failed_count": 1,
                  "failed_cents": 3000,
                  "unpaid_count": 1,
                  "unpaid_cents": 3000,
                  "success_per_10000": 6666,
                  "failed_attempt_count": 1,
                  "failed_attempt_cents": 3000,
                  "retry_count": 0,
                  "reversed_count": 0,
                  "reversed_cents": 0,
                  "median_seconds_to_paid": 77400,
                  "p95_seconds_to_paid": 77400,
                  "max_seconds_to_paid": 77400
                }
              ],
              "period": {
                "from": "2026-11-01T00:00:00.000Z",
                "until": "2026-12-01T00:00:00.000Z",
                "time_zone": "UTC"
              },
              "totals": {
                "of": "all",
                "key": null,
                "creator_name": null,
                "currency": "usd",
                "created_count": 5,
                "created_cents": 15000,
                "paid_count": 2,
                "paid_cents": 3000,
                "cancelled_count": 1,
                "cancelled_cents": 4000,
                "failed_count": 1,
                "failed_cents": 3000,
                "unpaid_count": 1,
                "unpaid_cents": 3000,
                "success_per_10000": 6666,
                "failed_attempt_count": 1,
                "failed_attempt_cents": 3000,
                "retry_count": 0,
                "reversed_count": 0,
                "reversed_cents": 0,
                "median_seconds_to_paid": 77400,
                "p95_seconds_to_paid": 77400,
                "max_seconds_to_paid": 77400
              },
              "failures": [
                {
                  "code": "resource_missing",
                  "attempt_count": 1,
                  "attempt_cents": 3000,
                  "currency": "usd"
                }
              ]
            }
            --- stderr
            --- exit 0
            "#);
            insta::assert_snapshot!(stats(&shop, &["--period", "2026", "--by", "month", "-o", "csv"]).transcript(), @r"
            $ payouts stats --period 2026 --by month -o csv
            of,key,creator_name,currency,created_count,created_cents,paid_count,paid_cents,cancelled_count,cancelled_cents,failed_count,failed_cents,unpaid_count,unpaid_cents,success_per_10000,failed_attempt_count,failed_attempt_cents,retry_count,reversed_count,reversed_cents,median_seconds_to_paid,p95_seconds_to_paid,max_seconds_to_paid
            month,2026-01,,usd,0,0,0,0,0,0,0,0,0,0,,0,0,0,0,0,,,
            month,2026-02,,usd,0,0,0,0,0,0,0,0,0,0,,0,0,0,0,0,,,
            month,2026-03,,usd,0,0,0,0,0,0,0,0,0,0,,0,0,0,0,0,,,
            month,2026-04,,usd,0,0,0,0,0,0,0,0,0,0,,0,0,0,0,0,,,
            month,2026-05,,usd,0,0,0,0,0,0,0,0,0,0,,0,0,0,0,0,,,
            month,2026-06,,usd,0,0,0,0,0,0,0,0,0,0,,0,0,0,0,0,,,
            month,2026-07,,usd,0,0,0,0,0,0,0,0,0,0,,0,0,0,0,0,,,
            month,2026-08,,usd,0,0,0,0,0,0,0,0,0,0,,0,0,0,0,0,,,
            month,2026-09,,usd,0,0,0,0,0,0,0,0,0,0,,0,0,0,0,0,,,
            month,2026-10,,usd,0,0,0,0,0,0,0,0,0,0,,0,0,0,0,0,,,
            month,2026-11,,usd,5,15000,2,3000,1,4000,1,3000,0,0,10000,1,3000,0,0,0,77400,77400,77400
            month,2026-12,,usd,0,0,2,8000,0,0,0,0,0,0,10000,0,0,1,1,400,3101400,3101400,3101400
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(stats(&shop, &["--period", "2026-11-01..2026-11-03", "--chart"]).transcript(), @r"
            $ payouts stats --period 2026-11-01..2026-11-03 --chart
            2026-11-01..2026-11-03: from 2026-11-01 00:00 up to 2026-11-04 00:00 (UTC)
            Day         Paid (USD)
            2026-11-01        0.00
            2026-11-02       30.00  ████████████████████████████████████████████████████████
            2026-11-03        0.00
            2 payouts paid, 30.00 USD
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(stats(&shop, &["--period", "2026", "--by", "creator", "--chart=time"]).transcript(), @r"
            $ payouts stats --period 2026 --by creator --chart=time
            2026: from 2026-01-01 00:00 up to 2027-01-01 00:00 (UTC)
            Creator     Median time to paid
            ben                 21 h 30 min  █▏
            cyd_closed            35 d 21 h  ███████████████████████████████████████████████
            ann                 21 h 30 min  █▏
            4 payouts paid, 110.00 USD
            --- stderr
            --- exit 0
            ");
        }
        shop.assert_paid_exactly_once();
    }

    fn nothing_there_is_an_answer_too(db: TestDb) {
        let shop = Shop::open(db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(stats(&shop, &[]).transcript(), @r"
            $ payouts stats
            30d: from 2026-10-03 09:30 up to 2026-11-02 09:30 (UTC)
            Created          0 payouts, 0.00 USD
            Paid             0 payouts, 0.00 USD
            Cancelled        0 payouts, 0.00 USD
            Taken back       0 payouts, 0.00 USD
            Refused          0 payouts, 0.00 USD
              for good       0 payouts, 0.00 USD
            Success rate     none came to an end
            Failed attempts  0
            Retries          0
            Time to paid     none was paid
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(stats(&shop, &["--period", "..2026", "--by", "week"]).transcript(), @r"
            $ payouts stats --period ..2026 --by week
            ..2026: from the beginning up to 2027-01-01 00:00 (UTC)
            Week  Created  Paid  Paid (USD)  Success  Refused tries  Retries  Taken back (USD)  Median  95 %  Longest
            all         0     0        0.00                       0        0              0.00
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(stats(&shop, &["--period", "..2026", "--chart"]).transcript(), @r"
            $ payouts stats --period ..2026 --chart
            ..2026: from the beginning up to 2027-01-01 00:00 (UTC)
            Day  Paid (USD)
            0 payouts paid, 0.00 USD
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(stats(&shop, &["--by", "creator", "-o", "csv"]).transcript(), @r"
            $ payouts stats --by creator -o csv
            of,key,creator_name,currency,created_count,created_cents,paid_count,paid_cents,cancelled_count,cancelled_cents,failed_count,failed_cents,unpaid_count,unpaid_cents,success_per_10000,failed_attempt_count,failed_attempt_cents,retry_count,reversed_count,reversed_cents,median_seconds_to_paid,p95_seconds_to_paid,max_seconds_to_paid
            --- stderr
            --- exit 0
            ");
        }
    }

    /// Whatever rows there are: what `stats` says of a month is what `report` says of it, in its lines
    /// and in its figures; the days come to the month and the months to the year.
    fn figures_tie_to_the_books_and_parts_to_the_whole(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        any_rows(&shop, 300);
        any_attempts(&shop, 300);
        let mut year: BTreeMap<&str, i64> = BTreeMap::new();
        for month in 1..=12 {
            let month = format!("2026-{month:02}");
            let figures = json(&stats(&shop, &["--period", &month, "-o", "json"]));
            let report = json(&shop.env.run(&["report", "--period", &month, "-o", "json", "--summary"]).expect_code(0));
            for line in ["created", "paid", "cancelled", "failed", "reversed"] {
                let of_report = report["lines"].as_array().unwrap().iter().find(|row| row["line"] == line).unwrap();
                assert_eq!(number(&figures["totals"], &format!("{line}_count")), number(of_report, "count"), "{month} {line}");
                assert_eq!(number(&figures["totals"], &format!("{line}_cents")), number(of_report, "amount_cents"), "{month} {line}");
            }
            assert_eq!(report["figures"], figures["totals"], "{month}");
            assert_eq!(report["failures"], figures["failures"], "{month}");
            assert_eq!(sum(&figures["failures"], "attempt_count"), number(&figures["totals"], "failed_attempt_count"));
            assert_eq!(sum(&figures["failures"], "attempt_cents"), number(&figures["totals"], "failed_attempt_cents"));
            assert_eq!(sum(&report["time_to_paid"], "count"), number(&figures["totals"], "paid_count"));
            for by in ["day", "week", "creator"] {
                let parts = json(&stats(&shop, &["--period", &month, "--by", by, "-o", "json"]));
                assert_eq!(parts["totals"], figures["totals"], "{month} {by}");
                for field in ADDED_UP {
                    assert_eq!(sum(&parts["stats"], field), number(&figures["totals"], field), "{month} {by} {field}");
                }
            }
            for field in ADDED_UP {
                *year.entry(field).or_default() += number(&figures["totals"], field);
            }
        }
        let whole = json(&stats(&shop, &["--period", "2026", "-o", "json"]))["totals"].take();
        assert!(number(&whole, "retry_count") > 100 && number(&whole, "failed_attempt_count") > 200, "{whole}");
        // What was refused in one month and again, or paid, in a later one is told of each and once of the year.
        for field in ADDED_UP.iter().filter(|field| !field.starts_with("failed_c") && !field.starts_with("unpaid") && **field != "reversed_count") {
            assert_eq!(year[field], number(&whole, field), "{field}");
        }
    }

    /// A day is that of the zone, in the rows as in the period.
    fn a_day_is_that_of_the_zone(db: TestDb) {
        let shop = Shop::open(db);
        shop.creator("ann");
        shop.foreign_payout("late", "ann", 1000);
        shop.db.execute("UPDATE payouts SET created_at = '2026-10-31 23:30:00'");
        let days = |zone: &str| {
            let rows = json(&stats(&shop, &["--period", "2026-11", "--by", "day", "--tz", zone, "-o", "json"]))["stats"].take();
            let rows = rows.as_array().unwrap().clone();
            let busy = rows.iter().filter(|row| row["created_count"] == 1);
            (rows.len(), busy.map(|row| row["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(days("Europe/Berlin"), (2, vec!["2026-11-01".to_owned()]));
        assert_eq!(days("UTC"), (2, Vec::new()));
    }

    /// The state of things, read by Prometheus' own client: names, types, labels and numbers.
    fn a_monitor_reads_the_state_of_things(db: TestDb) {
        let shop = november(db);
        shop.payout("p6", "ann", 700);
        shop.db.execute("UPDATE payouts SET created_at = '2026-11-02 09:28:29.500' WHERE id = 'p6'");
        shop.env.run(&["hold", "--all", "--reason", "audit"]).expect_code(0);
        shop.db.execute(
            "INSERT INTO payout_findings (id, kind, payout_id, at_stake_cents, found, state, first_seen_at, seen_at, run_id)
             SELECT 'f1', 'two_transfers', 'p1', 1000, 'x', 'open', '2026-11-02 09:00:00', '2026-11-02 09:00:00', MIN(id) FROM payout_runs;
             INSERT INTO payout_findings (id, kind, payout_id, at_stake_cents, found, state, first_seen_at, seen_at, run_id)
             SELECT 'f2', 'reversed_partly', 'p1', NULL, 'x', 'open', '2026-11-02 09:00:00', '2026-11-02 09:00:00', MIN(id) FROM payout_runs",
        );
        let page = stats(&shop, &["-o", "prometheus"]);
        let samples = samples(&read_by("read_metrics.py", &page.stdout));
        insta::allow_duplicates! {
            insta::assert_snapshot!(samples.join("\n"), @r#"
            payouts_build_info {"version":"0.1.0"} 1
            payouts_rows {"status":"PENDING"} 2
            payouts_rows {"status":"PROCESSING"} 0
            payouts_rows {"status":"COMPLETED"} 2
            payouts_rows {"status":"FAILED"} 2
            payouts_rows_amount_minor_units {"status":"PENDING","currency":"usd"} 5700
            payouts_rows_amount_minor_units {"status":"PROCESSING","currency":"usd"} 0
            payouts_rows_amount_minor_units {"status":"COMPLETED","currency":"usd"} 3000
            payouts_rows_amount_minor_units {"status":"FAILED","currency":"usd"} 7000
            payouts_oldest_pending_age_seconds {} 77400
            payouts_oldest_processing_age_seconds {} 0
            payouts_paid_total {} 2
            payouts_paid_minor_units_total {"currency":"usd"} 3000
            payouts_reversed_transfers_total {} 0
            payouts_reversed_minor_units_total {"currency":"usd"} 0
            payouts_unresolved_attempts {} 0
            payouts_unresolved_amount_minor_units {"currency":"usd"} 0
            payouts_oldest_unresolved_age_seconds {} 0
            payouts_failed_attempts_total {"code":"resource_missing"} 1
            payouts_retries_total {} 0
            payouts_holds {"kind":"payout"} 1
            payouts_holds {"kind":"creator"} 0
            payouts_holds {"kind":"batch"} 0
            payouts_holds {"kind":"all"} 1
            payouts_open_findings {"severity":"critical"} 1
            payouts_open_findings {"severity":"error"} 0
            payouts_open_findings {"severity":"warning"} 1
            payouts_open_findings_at_stake_minor_units {"severity":"critical","currency":"usd"} 1000
            payouts_open_findings_at_stake_minor_units {"severity":"error","currency":"usd"} 0
            payouts_open_findings_at_stake_minor_units {"severity":"warning","currency":"usd"} 0
            payouts_runs_total {"command":"cancel","exit_code":"0"} 1
            payouts_runs_total {"command":"hold","exit_code":"0"} 2
            payouts_runs_total {"command":"process","exit_code":"1"} 1
            payouts_last_run_timestamp_seconds {"command":"cancel"} 1793611800
            payouts_last_run_timestamp_seconds {"command":"hold"} 1793611800
            payouts_last_run_timestamp_seconds {"command":"process"} 1793611800
            payouts_last_success_timestamp_seconds {"command":"cancel"} 1793611800
            payouts_last_success_timestamp_seconds {"command":"hold"} 1793611800
            payouts_last_success_timestamp_seconds {"command":"process"} 1793611800
            "#);
        }
        let lines: Vec<&str> = page.stdout.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), samples.len(), "{page}");
    }

    /// Whatever a code or a command holds, it stays a label, and two never become one series twice.
    fn hostile_labels_stay_labels(db: TestDb) {
        let env = hostile(&db);
        let page = env.run(&["stats", "-o", "prometheus"]).expect_code(0);
        assert!(!page.coloured && page.stdout.chars().all(|c| c == '\n' || !c.is_control()), "{page}");
        let families = read_by("read_metrics.py", &page.stdout);
        let samples = samples(&families);
        let mut unique: Vec<&str> = samples.iter().filter_map(|sample| sample.rsplit_once(' ')).map(|(series, _)| series).collect();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), samples.len(), "{samples:#?}");
        let refused = families.as_array().unwrap().iter().find(|one| one["name"] == "payouts_failed_attempts").unwrap();
        let sample = &refused["samples"][0];
        assert_eq!((&sample[1]["code"], sample[2].as_f64()), (&Value::from("\"} 1 evil{x=\"\\"), Some(2.0)), "{refused}");
        assert!(!samples.iter().any(|line| line.starts_with("evil")), "{samples:#?}");
        // The same names on a terminal, and in a chart.
        for more in [&["--by", "creator"][..], &["--by", "creator", "--chart"], &["--by", "creator", "-o", "csv"]] {
            let run = env.run(&[&["stats", "--period", "2026"], more].concat()).expect_code(0);
            assert!(!run.coloured && !run.stdout.contains(['\x07', '\u{202e}']), "{run}");
        }
    }
}

/// A database whose names and codes were made up by somebody with bad intentions.
pub(crate) fn hostile(db: &TestDb) -> TestEnv {
    drop(seed::migrated(db));
    let mut env = TestEnv::new();
    env.use_database(db);
    let name = "</title></svg><script>alert('1')</script>\x1b[31m\u{202e}\x07=1+1\"'&amp;";
    seed::creator(db, "bad", name);
    seed::run(db, "run1", None);
    db.execute("UPDATE payout_runs SET command = 'pro\"} 2 cess', exit_code = 0 WHERE id = 'run1'");
    let codes = ["\"} 1\nevil{x=\"\\", "\"} 1\nevil{x=\"\\\x1b"];
    for (number, code) in (1..).zip(codes) {
        let id = format!("p<b>{number}");
        let transfer = format!("tr_{number}");
        PayoutRow {
            status: "COMPLETED",
            transfer: Some(&transfer),
            processed: Some("2026-10-05 08:00:01"),
            ..PayoutRow::new(&id, "bad")
        }
        .insert(db);
        seed::item(db, &id, None, Some(&format!("{name}{number}")));
        AttemptRow {
            payout: &id,
            number: 1,
            run: "run1",
            outcome: "declined",
            ..AttemptRow::default()
        }
        .insert(db);
        db.execute(&format!(
            "UPDATE payout_attempts SET error_code = {}, settled_at = '2026-10-05 08:00:00' WHERE payout_id = {}",
            quoted(code),
            quoted(&id)
        ));
        db.execute(&format!(
            "INSERT INTO payout_reversals VALUES ('{transfer}', {}, 100, '2026-10-06 08:00:00')",
            quoted(&id)
        ));
    }
    env
}

/// Each sample as a line, under its metric.
fn samples(families: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for family in families.as_array().unwrap() {
        assert_ne!(family["help"], "", "{family}");
        let kind = family["type"].as_str().unwrap();
        assert!(["gauge", "counter"].contains(&kind), "{family}");
        for sample in family["samples"].as_array().unwrap() {
            let name = sample[0].as_str().unwrap();
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            lines.push(format!("{name} {} {}", sample[1], sample[2]));
        }
    }
    lines
}

/// What is drawn fits the terminal it is drawn on.
#[test]
fn bars_fill_the_terminal_and_no_more() {
    let shop = november(TestDb::sqlite());
    for cols in [40, 80, 160] {
        for args in [
            &["stats", "--period", "2026-11", "--chart"][..],
            &[
                "stats",
                "--period",
                "2026",
                "--by",
                "creator",
                "--chart=count",
            ],
            &["stats", "--period", "2026", "--by", "month"],
        ] {
            let run = shop.env.run_in_terminal(cols, args, &[]).expect_code(0);
            let widest = run.stdout.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(cols.max(60).into()), "{cols} {run}");
            if args.contains(&"--chart") {
                let longest = run.stdout.lines().filter(|line| line.contains('█'));
                let longest = longest.map(|line| line.chars().count()).max();
                assert_eq!(longest, Some(cols.into()), "{run}");
            }
            assert!(run.coloured, "{run}");
        }
    }
    shop.env
        .run_in_terminal(80, &["--color", "never", "stats", "--chart"], &[])
        .expect_code(0);
}

#[test]
fn metrics_replace_a_file_in_one_step_for_every_reader() {
    let db = TestDb::sqlite();
    let env = hostile(&db);
    let path = env.path("payouts.prom");
    fs::create_dir(env.path("folder")).unwrap();
    symlink(&path, env.path("link.prom")).unwrap();
    for _ in 0..2 {
        let run = env
            .run(&["stats", "-o", "prometheus", "--to", "payouts.prom"])
            .expect_code(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
    let page = env.run(&["stats", "-o", "prometheus"]).expect_code(0);
    assert_eq!(fs::read_to_string(&path).unwrap(), page.stdout);
    for (target, code) in [("folder", 4), ("link.prom", 4), ("nowhere/a.prom", 3)] {
        let run = env
            .run(&["stats", "-o", "prometheus", "--to", target])
            .expect_code(code);
        assert!(run.stderr.contains(target), "{run}");
    }
    let left: Vec<_> = fs::read_dir(env.path("")).unwrap().collect();
    assert_eq!(left.len(), 3, "{left:?}");
    for args in [
        &["--to", "x.prom"][..],
        &["-o", "json", "--to", "x.prom"],
        &["-o", "prometheus", "--by", "day"],
        &["-o", "prometheus", "--period", "2026"],
        &["-o", "prometheus", "--chart"],
        &["-o", "json", "--chart"],
        &["--chart=nonsense"],
        &["--by", "hour"],
        &["--period", "soon"],
    ] {
        let run = env.run(&[&["stats"], args].concat()).expect_code(2);
        assert_eq!(run.stdout, "", "{run}");
    }
}
