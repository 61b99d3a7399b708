//! `payouts report -o html`: a page that a strict reader has nothing to say against, whose numbers
//! are those of JSON, and that loads nothing and runs nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use payouts::model::money::{Currency, major};
use payouts::output::stats::per_cent;
use payouts::output::text::lasted;
use serde_json::Value;

use crate::cli_report::{any_rows, december, json, november};
use crate::cli_stats::hostile;
use crate::common::clients::read_by;
use crate::common::db::{TestDb, on_both};
use crate::common::env::TestEnv;
use crate::common::shop::Shop;

/// The page of a period as html5lib reads it, and the same period as JSON.
fn page_and_json(env: &TestEnv, period: &str) -> (Value, Value) {
    let args = ["report", "--period", period, "-o"];
    let page = env.run(&[&args[..], &["html"]].concat()).expect_code(0);
    let read = read_by("read_page.py", &page.stdout);
    assert_eq!(read["faults"], Value::Array(Vec::new()), "{page}");
    let answer = env
        .run(&[&args[..], &["json", "--summary"]].concat())
        .expect_code(0);
    (read, json(&answer))
}

fn money(cents: &Value) -> String {
    major(cents.as_i64().unwrap(), Currency::USD).replace('-', "\u{2212}")
}

fn seconds(value: &Value) -> String {
    value.as_i64().map_or_else(|| "–".to_owned(), lasted)
}

fn rate(value: &Value) -> String {
    value.as_i64().map_or_else(|| "–".to_owned(), per_cent)
}

fn count(value: &Value) -> String {
    payouts::output::text::grouped(value.as_u64().unwrap())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The rows below the heading of the table with this first heading, as texts.
fn table(page: &Value, caption: &str) -> Vec<Vec<String>> {
    let tables = page["tables"].as_array().unwrap();
    let found = tables
        .iter()
        .find(|table| table["caption"].as_str().unwrap().starts_with(caption))
        .unwrap_or_else(|| panic!("no table {caption:?}: {page:#}"));
    let rows = found["rows"].as_array().unwrap().iter().skip(1);
    rows.map(|row| row.as_array().unwrap().iter().map(text).collect())
        .collect()
}

fn rows(list: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    list.as_array().unwrap().iter().map(row).collect()
}

/// Every number of the page stands in the JSON, and the other way round.
fn assert_same(page: &Value, json: &Value) {
    let lines = rows(&json["lines"], |line| {
        vec![
            text(&line["line"]).replace('_', " "),
            count(&line["count"]),
            money(&line["amount_cents"]),
            text(&line["meaning"]),
        ]
    });
    assert_eq!(table(page, "opening + created"), lines);

    let over_time = |row: &Value, name: String| {
        vec![
            name,
            count(&row["created_count"]),
            count(&row["paid_count"]),
            money(&row["paid_cents"]),
            count(&row["failed_attempt_count"]),
            rate(&row["success_per_10000"]),
            seconds(&row["median_seconds_to_paid"]),
        ]
    };
    let mut stretches = rows(&json["over_time"], |row| over_time(row, text(&row["key"])));
    let bars = rows(&json["over_time"], |row| vec![text(&row["key"])]).concat();
    stretches.push(over_time(&json["figures"], "All".to_owned()));
    assert_eq!(table(page, "The numbers behind both charts"), stretches);

    let figures = &json["figures"];
    let mut reasons = vec![vec![
        "Paid".to_owned(),
        count(&figures["paid_count"]),
        money(&figures["paid_cents"]),
    ]];
    reasons.extend(rows(&json["failures"], |failure| {
        let code = failure["code"].as_str().unwrap_or("(no code)");
        vec![
            format!("Refused: {code}"),
            count(&failure["attempt_count"]),
            money(&failure["attempt_cents"]),
        ]
    }));
    assert_eq!(table(page, "Payouts that were paid, and attempts"), reasons);

    for (caption, list) in [
        ("Paid in the period", &json["largest"]),
        ("Seen in the period", &json["largest_reversed"]),
    ] {
        if !list.as_array().unwrap().is_empty() {
            let shown: Vec<[String; 3]> = table(page, caption)
                .into_iter()
                .map(|row| [row[0].clone(), row[1].clone(), row[3].clone()])
                .collect();
            let named = list.as_array().unwrap().iter().map(|payout| {
                let id = payout["reference"].as_str().or(payout["id"].as_str());
                [
                    text(&payout["creator_name"]),
                    id.unwrap().to_owned(),
                    money(&payout["amount_cents"]),
                ]
            });
            assert_eq!(shown, named.collect::<Vec<_>>());
        }
    }

    let charts = page["charts"].as_array().unwrap();
    for chart in &charts[..2] {
        let labels: Vec<String> = rows(&chart["bars"], |bar| {
            vec![text(bar).split(": ").next().unwrap().to_owned()]
        })
        .concat();
        assert_eq!(labels, bars);
    }
    for chart in charts {
        assert!(
            text(&chart["title"]).len() > 10 && text(&chart["description"]).len() > 20,
            "{chart}"
        );
    }
    if figures["paid_count"] != 0 {
        let parts = rows(&json["time_to_paid"], |part| vec![count(&part["count"])]);
        let shown: Vec<Vec<String>> = table(page, "The numbers behind the chart")
            .into_iter()
            .map(|row| vec![row[1].clone()])
            .collect();
        assert_eq!(shown, parts);
    }
    let cards: Vec<String> = rows(&page["facts"], |fact| vec![text(&fact[1])]).concat();
    assert!(
        cards[0].starts_with(&money(&figures["paid_cents"])),
        "{cards:?}"
    );
    assert!(
        cards[1].starts_with(&rate(&figures["success_per_10000"])),
        "{cards:?}"
    );
    assert!(
        cards[2].starts_with(&seconds(&figures["median_seconds_to_paid"])),
        "{cards:?}"
    );
}

/// A page that loads nothing, runs nothing and leads nowhere.
fn assert_self_contained(page: &Value) {
    let allowed = [
        "bdi",
        "body",
        "caption",
        "dd",
        "defs",
        "desc",
        "div",
        "dl",
        "dt",
        "figcaption",
        "figure",
        "footer",
        "g",
        "h1",
        "h2",
        "head",
        "header",
        "html",
        "line",
        "main",
        "meta",
        "p",
        "pattern",
        "rect",
        "section",
        "small",
        "span",
        "strong",
        "style",
        "svg",
        "table",
        "tbody",
        "td",
        "text",
        "th",
        "thead",
        "time",
        "title",
        "tr",
    ];
    for element in page["elements"].as_array().unwrap() {
        assert!(allowed.contains(&element.as_str().unwrap()), "{element}");
    }
    for attribute in page["attributes"].as_array().unwrap() {
        let (name, value) = attribute.as_str().unwrap().split_once('=').unwrap();
        assert!(
            !name.starts_with("on") && !["href", "src", "style"].contains(&name),
            "{attribute}"
        );
        assert!(
            !value.contains("url(") || value.starts_with("url(#"),
            "{attribute}"
        );
    }
    let style = text(&page["style"]);
    assert!(
        !style.contains("url(") && !style.contains("@import"),
        "{style}"
    );
    let mut ids = rows(&page["ids"], |id| vec![text(id)]).concat();
    ids.sort();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id stands there twice");
}

on_both! {
    fn a_page_says_what_json_says(db: TestDb) {
        let mut shop = november(db);
        december(&mut shop);
        for period in ["2026-11", "2026-12", "2027-01", "2026", "..2026"] {
            let (page, json) = page_and_json(&shop.env, period);
            assert_same(&page, &json);
            assert_self_contained(&page);
        }
        for (id, kind, at_stake) in [("f1", "two_transfers", "1000"), ("f2", "unknown_transfer", "NULL")] {
            shop.db.execute(&format!(
                "INSERT INTO payout_findings (id, kind, at_stake_cents, found, state, first_seen_at, seen_at, run_id)
                 SELECT '{id}', '{kind}', {at_stake}, 'x', 'open', '2026-11-02 09:00:00', '2026-11-02 09:00:00', MIN(id) FROM payout_runs"
            ));
        }
        let (page, json) = page_and_json(&shop.env, "2026-11");
        assert_eq!(page["title"], "Payouts in November 2026");
        let said = text(&page["text"]);
        for words in ["Ties to the cent", "This is a test", "Last comparison", "Europe/Berlin"] {
            assert_eq!(said.contains(words), words != "Europe/Berlin", "{words}: {said}");
        }
        assert_eq!(json["known_now"]["livemode"], false);
        assert_eq!(json["known_now"]["last_reconciliation"]["source"], "stripe");
        let findings = table(&page, "Open findings");
        let open = rows(&json["known_now"]["open_findings"], |finding| vec![
            text(&finding["kind"]).replace('_', " "), text(&finding["severity"]), count(&finding["count"]),
            money(&finding["at_stake_cents"]),
        ]);
        assert_eq!(findings, open);
        assert_eq!(findings.len(), 2);
    }

    /// Whatever rows there are, of a year and of all time.
    fn any_rows_make_a_page(db: TestDb) {
        let shop = Shop::open(db);
        let (page, json) = page_and_json(&shop.env, "..2026");
        assert_eq!(json["over_time"], Value::Array(Vec::new()));
        assert_self_contained(&page);
        shop.creator("ann");
        any_rows(&shop, 200);
        for (period, unit) in [("2026-07", "day"), ("2026", "week"), ("2024..2026", "month"), ("2001..2026", "year")] {
            let (page, json) = page_and_json(&shop.env, period);
            assert_eq!(json["over_time"][0]["of"], unit);
            assert!(json["over_time"].as_array().unwrap().len() <= 62, "{period}");
            assert_same(&page, &json);
            assert_self_contained(&page);
        }
    }

    fn hostile_names_stay_text(db: TestDb) {
        let env = hostile(&db);
        let (page, json) = page_and_json(&env, "2026-10");
        assert_self_contained(&page);
        assert!(json["failures"][0]["code"].as_str().unwrap().contains("evil"));
        let said = text(&page["text"]);
        assert!(said.contains("</title></svg><script>alert('1')</script>"), "{said}");
        assert!(!said.contains(['\x1b', '\u{202e}', '\x07']), "{said}");
    }
}

#[test]
fn a_page_is_written_for_its_owner_and_over_another_only_when_that_is_asked() {
    let shop = november(TestDb::sqlite());
    let write = |more: &[&str]| {
        let args = [
            "report",
            "--period",
            "2026-10",
            "-o",
            "html",
            "--to",
            "october.html",
        ];
        shop.env.run(&[&args[..], more].concat())
    };
    let first = write(&[]).expect_code(0);
    assert_eq!(first.stdout, "");
    let path = shop.env.path("october.html");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let refused = write(&[]).expect_code(4);
    assert!(
        refused.stderr.contains("hint: name another file"),
        "{refused}"
    );
    write(&["--force"]).expect_code(0);
    let shown = shop
        .env
        .run(&["report", "--period", "2026-10", "-o", "html"])
        .expect_code(0);
    assert_eq!(fs::read_to_string(&path).unwrap(), shown.stdout);
    for args in [
        &["report", "--period", "2026-10", "--to", "a.html"][..],
        &[
            "report", "--period", "2026-10", "-o", "csv", "--to", "a.csv",
        ],
        &["report", "--period", "2026-10", "-o", "html", "--force"],
    ] {
        shop.env.run(args).expect_code(2);
    }
}
