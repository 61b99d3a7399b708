//! `payouts list` as people and scripts see it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Read;
use std::process::Stdio;

use serde_json::Value;

use crate::common::db::{TestDb, on_both};
use crate::common::env::TestEnv;
use crate::common::seed::{AttemptRow, PayoutRow, batch, creator, hold, item, migrated, run};

/// A machine whose database has the schema and nothing else.
fn empty(db: &TestDb) -> TestEnv {
    drop(migrated(db));
    let mut env = TestEnv::new();
    env.use_database(db);
    env
}

/// Six payouts, of every kind that a list shows in its own way.
fn shop(db: &TestDb) -> TestEnv {
    let env = empty(db);
    creator(db, "ann", "Ann Example");
    creator(db, "zoe", "Zoë and the Very Long Band Name");
    run(db, "run1", None);
    batch(db, "b1", "run1");
    hold(db, "batch", "b1");
    let row = |id, creator| PayoutRow::new(id, creator);
    let attempt = AttemptRow {
        number: 1,
        run: "run1",
        ..AttemptRow::default()
    };
    PayoutRow {
        created: "2026-10-01 08:00:00",
        ..row("cmf3k2x9q0000abcdefghijk1", "ann")
    }
    .insert(db);
    item(
        db,
        "cmf3k2x9q0000abcdefghijk1",
        Some("b1"),
        Some("INV-2026-001"),
    );
    PayoutRow {
        created: "2026-10-02 08:00:00",
        cents: 123_456,
        ..row("cmf3k2x9q0000abcdefghijk2", "zoe")
    }
    .insert(db);
    item(db, "cmf3k2x9q0000abcdefghijk2", None, Some("INV-2026-002"));
    PayoutRow {
        created: "2026-10-03 08:00:00",
        status: "COMPLETED",
        transfer: Some("tr_1QabcDEFghiJKL"),
        processed: Some("2026-10-05 08:00:00"),
        ..row("cmf3k2x9q0000abcdefghijk3", "ann")
    }
    .insert(db);
    PayoutRow {
        created: "2026-10-04 08:00:00",
        status: "FAILED",
        reason: Some("Insufficient funds in Stripe account"),
        retries: 1,
        ..row("cmf3k2x9q0000abcdefghijk4", "zoe")
    }
    .insert(db);
    AttemptRow {
        payout: "cmf3k2x9q0000abcdefghijk4",
        outcome: "declined",
        code: Some("balance_insufficient"),
        ..attempt.clone()
    }
    .insert(db);
    PayoutRow {
        created: "2026-10-05 08:00:00",
        status: "PROCESSING",
        ..row("cmf3k2x9q0000abcdefghijk5", "ann")
    }
    .insert(db);
    AttemptRow {
        payout: "cmf3k2x9q0000abcdefghijk5",
        outcome: "unknown",
        ..attempt
    }
    .insert(db);
    // Of other software: a reason without a code.
    PayoutRow {
        created: "2026-10-31 23:30:00",
        status: "FAILED",
        reason: Some("card \x1b[31mdeclined\nby bank"),
        ..row("payout-17", "zoe")
    }
    .insert(db);
    env
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn ids(list: &Value) -> Vec<&str> {
    list["payouts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect()
}

on_both! {
    fn an_empty_list_is_a_success(db: TestDb) {
        let env = empty(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["list"]).transcript(), @r"
            $ payouts list
            no payouts
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["list", "-o", "json"]).transcript(), @r#"
            $ payouts list -o json
            {
              "schema": 1,
              "payouts": [],
              "totals": {
                "PENDING": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                },
                "PROCESSING": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                },
                "COMPLETED": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                },
                "FAILED": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                },
                "all": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                },
                "reversed": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                },
                "paid_less_reversed": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                }
              },
              "next": null
            }
            --- stderr
            --- exit 0
            "#);
            insta::assert_snapshot!(env.run(&["list", "-o", "csv"]).transcript(), @r"
            $ payouts list -o csv
            id,status,amount_cents,currency,creator_id,creator_name,royalty_statement_id,stripe_transfer_id,failed_code,failed_reason,retry_count,last_retry_at,held,unresolved,batch_id,reference,created_at,updated_at,processed_at,reversed_cents,next_retry_at,retry_refusal
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["list", "-o", "ndjson"]).transcript(), @r"
            $ payouts list -o ndjson
            --- stderr
            --- exit 0
            ");
        }
    }

    fn a_table_shows_each_kind_in_its_own_way(db: TestDb) {
        let env = shop(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["list"]).transcript(), @r"
            $ payouts list
            Payout                     Created           Creator                          Amount (USD)  Status                   Transfer / reason          Reference     Next retry
            payout-17                  2026-10-31 23:30  Zoë and the Very Long Band Name        500.00  FAILED                   card [31mdeclined by bank                maybe sent elsewhere
            c000000000000000000000001  2026-10-05 08:00  Ann Example                            500.00  PROCESSING (unresolved)
            c000000000000000000000002  2026-10-04 08:00  Zoë and the Very Long Band Name        500.00  FAILED                   balance_insufficient                     due
            c000000000000000000000003  2026-10-03 08:00  Ann Example                            500.00  COMPLETED                tr_00000000000001
            c000000000000000000000004  2026-10-02 08:00  Zoë and the Very Long Band Name      1,234.56  PENDING                                             INV-2026-002
            c000000000000000000000005  2026-10-01 08:00  Ann Example                            500.00  PENDING (held)                                      INV-2026-001
            6 payouts, 3,734.56 USD: 2 PENDING 1,734.56, 1 PROCESSING 500.00, 1 COMPLETED 500.00, 2 FAILED 1,000.00
            --- stderr
            --- exit 0
            ");
        }
    }

    fn what_is_asked_for_is_listed(db: TestDb) {
        let env = shop(&db);
        let listed = |args: &[&str]| -> Vec<u32> {
            let args: Vec<&str> = [&["list", "-o", "json"], args].concat();
            let list = json(&env.run(&args).expect_code(0).stdout);
            assert_eq!(list["totals"]["all"]["count"].as_u64().unwrap(), ids(&list).len() as u64, "{args:?}");
            ids(&list).iter().map(|id| id.rsplit(['k', '-']).next().unwrap().parse().unwrap()).collect()
        };
        for (args, expected) in [
            (&["--status", "failed"][..], &[17, 4][..]),
            (&["--status", "PENDING", "--status", "processing"], &[5, 2, 1]),
            (&["--status", "pending,completed"], &[3, 2, 1]),
            (&["--batch", "b1"], &[1]),
            (&["--creator", "ann"], &[5, 3, 1]),
            (&["--creator", "ZOE@example.com"], &[17, 4, 2]),
            (&["--creator", "ZOË AND"], &[17, 4, 2]),
            (&["--reference", "INV-2026-002"], &[2]),
            (&["--statement", "st9"], &[]),
            (&["--min-amount", "500.01"], &[2]),
            (&["--max-amount", "500.00"], &[17, 5, 4, 3, 1]),
            (&["--min-amount", "1234.56", "--max-amount", "1234.56"], &[2]),
            (&["--created", "2026-10-02..2026-10-04"], &[4, 3, 2]),
            (&["--created", "2026-10"], &[17, 5, 4, 3, 2, 1]),
            // What was created at 23:30 UTC was created past midnight in Berlin.
            (&["--created", "2026-10", "--tz", "Europe/Berlin"], &[5, 4, 3, 2, 1]),
            (&["--created", "2d"], &[17]),
            (&["--created", "2026-10-05T08:00:00Z..2026-10-05T08:00:00.001Z"], &[5]),
            (&["--processed", "2026-10-05"], &[3]),
            (&["--processed", "2026-10-04"], &[]),
            (&["--sort", "amount", "--reverse", "--created", "2026-10-02..2026-10-03"], &[3, 2]),
            (&["--reverse"], &[1, 2, 3, 4, 5, 17]),
        ] {
            assert_eq!(listed(args), expected, "{args:?}");
        }
    }

    fn pages_are_walked_to_the_end(db: TestDb) {
        let env = empty(&db);
        creator(&db, "ann", "Ann");
        for n in 10..35 {
            let status = ["PENDING", "COMPLETED", "FAILED"][n % 3];
            // All of one moment, as a batch is.
            PayoutRow { status, ..PayoutRow::new(&format!("p{n}"), "ann") }.insert(&db);
        }
        let mut seen: Vec<String> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut args = vec!["list", "-o", "json", "--limit", "4"];
            args.extend(after.iter().flat_map(|id| ["--after", id.as_str()]));
            let run = env.run(&args).expect_code(0);
            let page = json(&run.stdout);
            assert_eq!(page["totals"]["all"]["count"], 25, "the totals are of all, whatever the page");
            seen.extend(ids(&page).iter().map(|id| (*id).to_owned()));
            assert!(seen.len() <= 25, "the pages do not end");
            let next = page["next"].as_str().map(str::to_owned);
            match &next {
                Some(next) => assert_eq!(run.stderr, format!("next page: payouts list … --after {next}\n")),
                None => assert_eq!(run.stderr, ""),
            }
            assert_eq!(next.is_none(), ids(&page).len() < 4, "{page}");
            after = next;
            if after.is_none() {
                break;
            }
        }
        let mut expected: Vec<String> = (10..35).map(|n| format!("p{n}")).collect();
        expected.reverse();
        assert_eq!(seen, expected);

        let all = env.run(&["list", "--all", "-o", "json"]).expect_code(0);
        assert_eq!(ids(&json(&all.stdout)), expected);
        assert_eq!(all.stderr, "");
        // A list that ends with its page has no next one.
        let exact = env.run(&["list", "--limit", "25", "-o", "json"]).expect_code(0);
        assert_eq!(json(&exact.stdout)["next"], Value::Null);
        assert_eq!(env.run(&["list", "--limit", "4", "-q"]).expect_code(0).stderr, "");
    }

    // What scripts were promised from the first version on.
    fn json_has_the_names_that_scripts_rely_on(db: TestDb) {
        let list = json(&shop(&db).run(&["list", "-o", "json"]).expect_code(0).stdout);
        let names: Vec<_> = list.as_object().unwrap().keys().collect();
        assert_eq!(names, ["schema", "payouts", "totals", "next"]);
        let payouts = list["payouts"].as_array().unwrap();
        assert!(!payouts.is_empty());
        for payout in payouts {
            for name in [
                "id", "status", "amount_cents", "currency", "creator_id", "stripe_transfer_id",
                "failed_code", "failed_reason", "retry_count", "created_at", "processed_at",
            ] {
                assert!(payout.get(name).is_some(), "{name}: {payout}");
            }
        }
    }

    fn json_is_the_contract(db: TestDb) {
        let env = shop(&db);
        let run = env.run(&["list", "--status", "failed", "--limit", "1", "--after", "payout-17", "-o", "json"]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run.transcript(), @r#"
            $ payouts list --status failed --limit 1 --after payout-17 -o json
            {
              "schema": 1,
              "payouts": [
                {
                  "id": "c000000000000000000000001",
                  "status": "FAILED",
                  "amount_cents": 50000,
                  "currency": "usd",
                  "creator_id": "zoe",
                  "creator_name": "Zoë and the Very Long Band Name",
                  "royalty_statement_id": null,
                  "stripe_transfer_id": null,
                  "failed_code": "balance_insufficient",
                  "failed_reason": "Insufficient funds in Stripe account",
                  "retry_count": 1,
                  "last_retry_at": null,
                  "held": false,
                  "unresolved": false,
                  "batch_id": null,
                  "reference": null,
                  "created_at": "2026-10-04T08:00:00.000Z",
                  "updated_at": "2026-10-01T08:00:00.000Z",
                  "processed_at": null,
                  "reversed_cents": 0,
                  "next_retry_at": "2026-10-01T08:05:00.000Z",
                  "retry_refusal": null
                }
              ],
              "totals": {
                "PENDING": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                },
                "PROCESSING": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                },
                "COMPLETED": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                },
                "FAILED": {
                  "count": 2,
                  "amount_cents": 100000,
                  "currency": "usd"
                },
                "all": {
                  "count": 2,
                  "amount_cents": 100000,
                  "currency": "usd"
                },
                "reversed": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                },
                "paid_less_reversed": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                }
              },
              "next": null
            }
            --- stderr
            --- exit 0
            "#);
        }
    }

    fn every_machine_format_says_the_same(db: TestDb) {
        let env = shop(&db);
        let run = |format: &str| env.run(&["list", "-o", format]).expect_code(0).stdout;
        let rows = json(&run("json"))["payouts"].as_array().unwrap().clone();
        let lines: Vec<Value> = run("ndjson").lines().map(json).collect();
        assert_eq!(lines, rows);
        let csv = run("csv");
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let headings: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        for row in &rows {
            assert_eq!(row.as_object().unwrap().keys().cloned().collect::<Vec<_>>(), headings);
        }
        assert_eq!(reader.records().count(), rows.len());
    }

    fn hostile_names_are_harmless_everywhere(db: TestDb) {
        let env = empty(&db);
        creator(&db, "c1", "=HYPERLINK(\"http://x\",\"pay\")");
        creator(&db, "c2", "a\x1b]0;owned\x07\u{9b}2J\u{202e}b,\"c\"\nd");
        creator(&db, "c3", &"x".repeat(10_000));
        for (id, creator) in [("p1", "c1"), ("p2", "c2"), ("p3", "c3")] {
            PayoutRow::new(id, creator).insert(&db);
        }
        for format in ["table", "json", "ndjson", "csv"] {
            let shown = env.run(&["list", "-o", format]).expect_code(0).stdout;
            let control = shown.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(control, None, "{format}: {shown:?}");
            assert!(!shown.contains('\u{202e}'), "{format}: {shown:?}");
        }
        let csv = env.run(&["list", "-o", "csv"]).stdout;
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let names: Vec<String> = reader.records().map(|row| row.unwrap()[5].to_owned()).collect();
        assert_eq!(names[0].len(), 10_000);
        assert_eq!(names[1..], ["a]0;owned2Jb,\"c\" d", "'=HYPERLINK(\"http://x\",\"pay\")"]);
        let table = env.run(&["list"]).stdout;
        assert!(table.lines().all(|line| line.chars().count() < 200), "{table}");
    }
}

#[test]
fn a_narrow_terminal_leaves_columns_out_and_a_wide_one_does_not() {
    let db = TestDb::sqlite();
    let env = shop(&db);
    insta::assert_snapshot!(env.run_in_terminal(80, &["list"], &[]).transcript(), @r"
    $ payouts list
    Payout                     Creator         Amount (USD)  Status
    payout-17                  Zoë and the…          500.00  FAILED
    c000000000000000000000001  Ann Example           500.00  PROCESSING (unresolved)
    c000000000000000000000002  Zoë and the…          500.00  FAILED
    c000000000000000000000003  Ann Example           500.00  COMPLETED
    c000000000000000000000004  Zoë and the…        1,234.56  PENDING
    c000000000000000000000005  Ann Example           500.00  PENDING (held)
    6 payouts, 3,734.56 USD
      2 PENDING 1,734.56
      1 PROCESSING 500.00
      1 COMPLETED 500.00
      2 FAILED 1,000.00
    --- stderr
    --- exit 0
    ");
    insta::assert_snapshot!(env.run_in_terminal(160, &["list"], &[]).transcript(), @r"
    $ payouts list
    Payout                     Created           Creator               Amount (USD)  Status                   Transfer / reason    Reference     Next retry
    payout-17                  2026-10-31 23:30  Zoë and the Very…           500.00  FAILED                   card [31mdeclined…                 maybe sent…
    c000000000000000000000001  2026-10-05 08:00  Ann Example                 500.00  PROCESSING (unresolved)
    c000000000000000000000002  2026-10-04 08:00  Zoë and the Very…           500.00  FAILED                   balance_insufficie…                due
    c000000000000000000000003  2026-10-03 08:00  Ann Example                 500.00  COMPLETED                tr_00000000000001
    c000000000000000000000004  2026-10-02 08:00  Zoë and the Very…         1,234.56  PENDING                                       INV-2026-002
    c000000000000000000000005  2026-10-01 08:00  Ann Example                 500.00  PENDING (held)                                INV-2026-001
    6 payouts, 3,734.56 USD: 2 PENDING 1,734.56, 1 PROCESSING 500.00, 1 COMPLETED 500.00, 2 FAILED 1,000.00
    --- stderr
    --- exit 0
    ");
    // Without a failure to explain, the day is what is kept.
    insta::assert_snapshot!(env.run_in_terminal(80, &["list", "--status", "completed"], &[]).transcript(), @r"
    $ payouts list --status completed
    Payout                     Created     Creator      Amount (USD)  Status
    c000000000000000000000003  2026-10-03  Ann Example        500.00  COMPLETED
    1 payout, 500.00 USD: 1 COMPLETED 500.00
    --- stderr
    --- exit 0
    ");
}

#[test]
fn colour_says_nothing_that_words_do_not() {
    let db = TestDb::sqlite();
    let env = shop(&db);
    let plain = env.run(&["list"]).stdout;
    let coloured = env.run(&["list", "--color", "always"]).stdout;
    for (status, code) in [
        ("COMPLETED", "10m"),
        ("FAILED", "9m"),
        ("PROCESSING (unresolved)", "11m"),
    ] {
        let line = coloured.lines().find(|line| line.contains(status)).unwrap();
        assert!(line.contains(&format!("{code}{status}")), "{line:?}");
    }
    // Without its escape sequences the coloured table is the plain one.
    let mut stripped = String::new();
    let mut parts = coloured.split("\x1b[");
    stripped.push_str(parts.next().unwrap());
    for part in parts {
        stripped.push_str(part.split_once('m').unwrap().1);
    }
    let trimmed = |text: &str| {
        text.lines()
            .map(|line| line.trim_end().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(trimmed(&stripped), trimmed(&plain));
}

#[test]
fn times_in_a_table_are_those_of_the_zone_that_was_asked_for() {
    let db = TestDb::sqlite();
    let env = shop(&db);
    let run = env.run(&["list", "--created", "2026-11", "--tz", "Europe/Berlin"]);
    insta::assert_snapshot!(run.transcript(), @r"
    $ payouts list --created 2026-11 --tz Europe/Berlin
    Payout     Created           Creator                          Amount (USD)  Status  Transfer / reason          Reference  Next retry
    payout-17  2026-11-01 00:30  Zoë and the Very Long Band Name        500.00  FAILED  card [31mdeclined by bank             maybe sent elsewhere
    1 payout, 500.00 USD: 1 FAILED 500.00
    --- stderr
    --- exit 0
    ");
}

#[test]
fn wrong_flags_say_what_is_right() {
    let db = TestDb::sqlite();
    let env = shop(&db);
    let mut said = Vec::new();
    for args in [
        &["--status", "paid"][..],
        &["--created", "last week"],
        &["--created", "2026-10-31..2026-10-01"],
        &["--processed", "2026-13"],
        &["--tz", "Europe/Atlantis"],
        &["--min-amount", "1,000"],
        &["--max-amount", "-5"],
        &["--limit", "0"],
        &["--limit", "1001"],
        &["--limit", "5", "--all"],
        &["--sort", "name"],
        &["--after", "nothing"],
    ] {
        let args: Vec<&str> = [&["list"], args].concat();
        let run = env.run(&args).expect_code(2);
        assert_eq!(run.stdout, "", "{args:?}");
        said.push(run.transcript());
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    $ payouts list --status paid
    --- stderr
    error: invalid value 'paid' for '--status <STATUS>'
      [possible values: PENDING, PROCESSING, COMPLETED, FAILED]

    For more information, try '--help'.
    --- exit 2
    $ payouts list --created 'last week'
    --- stderr
    error: --created: "last week" is not a span of time; write 2026, 2026-10, 2026-10-05, 2026-10-01..2026-10-31 (both days included), 7d or 12h (back from now), or two RFC 3339 times as A..B
    --- exit 2
    $ payouts list --created 2026-10-31..2026-10-01
    --- stderr
    error: --created: "2026-10-31..2026-10-01" ends before it begins
    --- exit 2
    $ payouts list --processed 2026-13
    --- stderr
    error: --processed: there is no "2026-13" in the calendar
    --- exit 2
    $ payouts list --tz Europe/Atlantis
    --- stderr
    error: invalid value 'Europe/Atlantis' for '--tz <ZONE>': "Europe/Atlantis" is not a time zone; write a name such as Europe/Berlin, or UTC

    For more information, try '--help'.
    --- exit 2
    $ payouts list --min-amount 1,000
    --- stderr
    error: --min-amount: "1,000": a comma can be a decimal or a thousands separator; write 1250.00
    --- exit 2
    $ payouts list --max-amount -5
    --- stderr
    error: unexpected argument '-5' found

    Usage: payouts list [OPTIONS]

    For more information, try '--help'.
    --- exit 2
    $ payouts list --limit 0
    --- stderr
    error: invalid value '0' for '--limit <N>': 0 is not in 1..=1000

    For more information, try '--help'.
    --- exit 2
    $ payouts list --limit 1001
    --- stderr
    error: invalid value '1001' for '--limit <N>': 1001 is not in 1..=1000

    For more information, try '--help'.
    --- exit 2
    $ payouts list --limit 5 --all
    --- stderr
    error: the argument '--limit <N>' cannot be used with '--all'

    Usage: payouts list --limit <N>

    For more information, try '--help'.
    --- exit 2
    $ payouts list --sort name
    --- stderr
    error: invalid value 'name' for '--sort <BY>'
      [possible values: created, updated, amount]

    For more information, try '--help'.
    --- exit 2
    $ payouts list --after nothing
    --- stderr
    error: --after: there is no payout nothing
    --- exit 2
    "#);
}

#[test]
fn a_creator_that_nobody_is_gives_an_empty_list_and_a_word() {
    let db = TestDb::sqlite();
    let env = shop(&db);
    insta::assert_snapshot!(env.run(&["list", "--creator", "nobody"]).transcript(), @r#"
    $ payouts list --creator nobody
    no payouts
    --- stderr
    no creator has the id or e-mail "nobody", or a name with it
    --- exit 0
    "#);
}

#[test]
fn without_a_database_nothing_is_listed() {
    let env = TestEnv::new();
    insta::assert_snapshot!(env.run(&["list"]).expect_code(3).transcript(), @r"
    $ payouts list
    --- stderr
    using sqlite:/tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db (DATABASE_URL is not set)
    error: there is no database at /tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db
    hint: run `payouts init` to create it, or set DATABASE_URL if it is elsewhere
    --- exit 3
    ");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let db = TestDb::sqlite();
    let env = empty(&db);
    creator(&db, "ann", "Ann");
    db.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO payouts (id, creator_id, amount_cents, updated_at)
        SELECT 'p' || i, 'ann', 100, CURRENT_TIMESTAMP FROM n",
    );
    for format in ["table", "json", "ndjson", "csv"] {
        let mut child = env
            .command(&["list", "--all", "-o", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // More than a pipe holds is to come.
        let mut first = [0; 1];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(
            (
                ended.status.code(),
                String::from_utf8(ended.stderr).unwrap()
            ),
            (Some(0), String::new()),
            "{format}"
        );
    }
}

#[test]
fn help_is_written_for_people() {
    insta::assert_snapshot!(TestEnv::new().run(&["list", "--help"]).transcript(), @r"
    $ payouts list --help
    List payouts, newest first, with the totals of all that match

    Shows the first 50, and how to see the next; the totals are of all payouts that
    match, whichever page is shown. JSON is one object with the totals; ndjson and
    csv are rows alone. On a narrow terminal columns are shortened or left out;
    piped, a table is complete.

    Usage: payouts list [OPTIONS]

    Options:
      -h, --help
              Print help (see a summary with '-h')

    Selection:
          --status <STATUS>
              Only in this state; may be repeated
              
              [possible values: PENDING, PROCESSING, COMPLETED, FAILED]

          --batch <ID>
              Only those loaded with this batch

          --creator <CREATOR>
              Only those paying a creator: the id, the e-mail, or part of the name

          --statement <ID>
              Only those settling this statement

          --reference <TEXT>
              Only the one loaded under this reference

          --min-amount <AMOUNT>
              Only of at least this amount, such as 500.00

          --max-amount <AMOUNT>
              Only of at most this amount

          --created <TIME>
              Only those created in this time: 2026, 2026-10, 2026-10-05,
              2026-10-01..2026-10-31 (both days included), 7d or 12h (back from
              now), or two RFC 3339 times as A..B

          --processed <TIME>
              Only those paid in this time, written like --created

          --tz <ZONE>
              Whose days and months are meant, such as Europe/Berlin; tables show
              its time
              
              [default: UTC]

    Paging:
          --sort <BY>
              What to sort by, newest or largest first
              
              [default: created]
              [possible values: created, updated, amount]

          --reverse
              Oldest or smallest first

          --limit <N>
              How many to show, at most 1000
              
              [default: 50]

          --all
              Show all of them

          --after <PAYOUT_ID>
              Go on behind this payout, the last one of the page before

    Output:
      -o, --output <OUTPUT>
              How the answer is written to stdout

              Possible values:
              - table:      Columns for people
              - json:       One documented object
              - ndjson:     One object a line, streamed
              - csv:        Comma-separated, streamed, safe to open in a spreadsheet
              - html:       A page that stands alone, to read and to print; `report`
                only
              - prometheus: Metrics for a monitor; `stats` only
              
              [default: table]

      -q, --quiet
              Say nothing on stderr but warnings and errors

          --log-format <FORMAT>
              How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for
              good

              Possible values:
              - text: Words for people
              - json: One JSON object a line; `payouts help json log` is its schema

      -v, --verbose...
              Say each request and each decision; twice, how it came to them

          --color <COLOR>
              When to use colour

              Possible values:
              - auto:   On a terminal, unless `NO_COLOR` or `TERM=dumb` says
                otherwise
              - always: Always
              - never:  Never
              
              [default: auto]

    Safety:
      -y, --yes
              Ask nothing

          --live
              Allow a key that moves real money

    Connection:
          --database-url <URL>
              Database to use instead of `DATABASE_URL`
    --- stderr
    --- exit 0
    ");
}
