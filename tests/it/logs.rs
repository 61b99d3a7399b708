//! What is said on stderr, in words and as JSON: nothing is lost, nothing is made up, and no secret
//! is among it.

use std::collections::BTreeMap;

use payouts::output::log::{ALWAYS, FIELDS};
use payouts::output::schema;
use payouts::sandbox::{Fault, FaultPlan, FaultRule};
use serde_json::{Map, Value};

use crate::common::db::{TestDb, on_both};
use crate::common::env::{Run, TestEnv};
use crate::common::shop::Shop;
use crate::docs::REFERENCE;

type Line = Map<String, Value>;

/// The lines of a log, each held against what is promised of it.
#[track_caller]
fn lines(run: &Run) -> Vec<Line> {
    let lines = run.stderr.lines().map(|line| {
        let Ok(Value::Object(fields)) = serde_json::from_str(line) else {
            panic!("no object: {line}\n{run}");
        };
        for name in ALWAYS {
            assert!(fields.contains_key(name), "no {name}: {line}");
        }
        for (name, value) in &fields {
            let promised = FIELDS.iter().find(|(field, ..)| field == name);
            let (_, kind, _) = promised.unwrap_or_else(|| panic!("{name} is not promised: {line}"));
            let is = match value {
                Value::String(_) => "string",
                Value::Number(number) if number.is_i64() => "integer",
                Value::Bool(_) => "boolean",
                Value::Array(_) => "array",
                _ => "something else",
            };
            assert_eq!(*kind, is, "{name}: {line}");
        }
        assert!(!line.chars().any(char::is_control), "{line:?}");
        fields
    });
    lines.collect()
}

fn text<'a>(line: &'a Line, name: &str) -> &'a str {
    line.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn events<'a>(lines: &'a [Line], event: &str) -> Vec<&'a Line> {
    lines
        .iter()
        .filter(|line| text(line, "event") == event)
        .collect()
}

/// A shop with five payouts, of which one is refused and one is asked for twice.
fn eventful(db: TestDb) -> Shop {
    let shop = Shop::open(db);
    shop.payouts(4);
    shop.creator("closed_closed");
    shop.payout("cp4", "closed_closed", 700);
    shop.fault("c1", Fault::Html503, 1);
    shop
}

on_both! {
    fn every_attempt_of_a_run_is_in_its_log(db: TestDb) {
        for verbose in ["", "-v", "-vv"] {
            let shop = eventful(db.another());
            let more = ["--log-format", "json", verbose];
            let more = &more[..if verbose.is_empty() { 2 } else { 3 }];
            let run = shop.process(more).expect_code(1);
            let lines = lines(&run);
            let id = shop.one("SELECT id FROM payout_runs WHERE command = 'process'");
            assert_eq!(text(events(&lines, "run_begun")[0], "run_id"), id);
            let ended = events(&lines, "run_ended");
            assert_eq!(ended[0].get("exit_code"), Some(&1.into()));
            assert!(text(ended[0], "message").contains("4 paid"), "{run}");
            // Whatever is said in between bears the run.
            let begun = lines.iter().position(|line| text(line, "event") == "run_begun").expect("a begin");
            let over = lines.iter().position(|line| text(line, "event") == "run_ended").expect("an end");
            assert!(lines[begun..=over].iter().all(|line| text(line, "run_id") == id), "{run}");

            let settled: BTreeMap<&str, [String; 5]> = events(&lines, "settled")
                .into_iter()
                .map(|line| {
                    let number = |name: &str| line.get(name).map(Value::to_string).unwrap_or_default();
                    let of = [
                        number("attempt"),
                        text(line, "outcome").to_owned(),
                        text(line, "request_id").to_owned(),
                        number("http_status"),
                        text(line, "transfer_id").to_owned(),
                    ];
                    (text(line, "idempotency_key"), of)
                })
                .collect();
            let ledger = shop.db.query_strings(
                "SELECT idempotency_key, CAST(attempt AS TEXT), outcome, request_id, CAST(http_status AS TEXT),
                        coalesce(transfer_id, '')
                 FROM payout_attempts",
            );
            assert_eq!((ledger.len(), settled.len()), (5, 5));
            for row in &ledger {
                let row: Vec<&str> = row.iter().map(|cell| cell.as_deref().unwrap_or_default()).collect();
                assert_eq!(settled.get(row[0]).map(|of| &of[..]), Some(&row[1..].iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>()[..]));
                assert!(row[3].starts_with("req_"), "{row:?}");
            }

            // Each request and each claim is told when that was asked for, and else none.
            let requests: u64 = shop.stripe.ledger().requests.values().flat_map(BTreeMap::values).sum();
            let told = u64::try_from(events(&lines, "requested").len()).expect("few");
            let claimed = events(&lines, "claimed").len();
            let begun = u64::try_from(events(&lines, "request").len()).expect("few");
            match verbose {
                "" => assert_eq!((told, claimed, begun), (0, 0, 0)),
                "-v" => assert_eq!((told, claimed, begun), (requests, 5, 0)),
                _ => assert_eq!((told, claimed, begun), (requests, 5, requests)),
            }
            let twice = events(&lines, "requested").into_iter().filter(|line| text(line, "idempotency_key").ends_with("cp1_1"));
            let statuses: Vec<&Value> = twice.filter_map(|line| line.get("http_status")).collect();
            if !verbose.is_empty() {
                assert_eq!(statuses, [503, 200]);
            }
        }
    }

    fn people_are_told_each_request_and_each_decision_on_one_line(db: TestDb) {
        let shop = eventful(db);
        let run = shop.process(&["-v"]).expect_code(1);
        let sent: Vec<&str> = run.stderr.lines().filter(|line| line.contains("method=POST path=/v1/transfers")).collect();
        assert_eq!(sent.len(), 6, "{run}");
        for line in sent {
            for part in ["debug: Stripe answered", "http_status=", "millis=", "idempotency_key=payout_cp"] {
                assert!(line.contains(part), "{line}");
            }
        }
        for (what, times) in [("debug: a payout is claimed", 5), ("info: an attempt is settled", 5), ("info: a run has begun", 1)] {
            assert_eq!(run.stderr.lines().filter(|line| line.starts_with(what)).count(), times, "{what}: {run}");
        }
        // Without it, nothing of that.
        let quiet = shop.process(&[]).expect_code(0);
        assert_eq!(quiet.stderr, "");
    }

    fn what_is_left_alone_is_told_with_why(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.env.run(&["hold", "--creator", "cr_c1", "--reason", "moved"]).expect_code(0);
        let run = shop.process(&["--log-format", "json", "-v"]).expect_code(0);
        let lines = lines(&run);
        let skipped = events(&lines, "skipped");
        assert_eq!(skipped.len(), 1, "{run}");
        assert_eq!((text(skipped[0], "payout_id"), skipped[0].get("amount_cents")), ("cp1", Some(&1000.into())));
        assert!(text(skipped[0], "code").contains("held"), "{run}");
    }
}

#[test]
fn a_flag_wins_over_the_variable_and_a_wrong_word_is_told() {
    let mut env = TestEnv::new();
    env.set("PAYOUTS_LOG_FORMAT", "json");
    let run = env.run(&["list"]).expect_code(3);
    let lines = lines(&run);
    let error = lines.last().expect("a line");
    assert_eq!(text(error, "level"), "error");
    assert_eq!(text(error, "time"), crate::common::env::NOW);
    assert!(
        error["hints"][0]
            .as_str()
            .expect("a hint")
            .contains("payouts init"),
        "{run}"
    );
    let run = env.run(&["--log-format", "text", "list"]).expect_code(3);
    assert!(run.stderr.contains("\nhint: run `payouts init`"), "{run}");
    env.set("PAYOUTS_LOG_FORMAT", "xml");
    let run = env.run(&["list"]).expect_code(3);
    assert!(
        run.stderr
            .contains("PAYOUTS_LOG_FORMAT (from environment) is \"xml\": use `text` or `json`"),
        "{run}"
    );
    env.run(&["list", "-q", "-v"]).expect_code(2);
}

#[test]
fn a_command_line_that_does_not_parse_is_told_as_json_too() {
    let mut env = TestEnv::new();
    for (args, variable) in [
        (&["lisst", "--log-format", "json"][..], ""),
        (&["--log-format=json", "lisst"], ""),
        (&["lisst"], "json"),
        (&["lisst", "--log-format", "nonsense"], "json"),
    ] {
        env.set("PAYOUTS_LOG_FORMAT", variable);
        let run = env.run(args).expect_code(2);
        let lines = lines(&run);
        assert_eq!(lines.len(), 1, "{run}");
        assert_eq!(text(&lines[0], "level"), "error", "{run}");
    }
    env.set("PAYOUTS_LOG_FORMAT", "");
    let run = env.run(&["lisst"]).expect_code(2);
    assert!(
        run.stderr.starts_with("error: unrecognized subcommand"),
        "{run}"
    );
}

#[test]
fn silence_leaves_warnings_and_errors() {
    let shop = eventful(TestDb::sqlite());
    let run = shop.process(&["--log-format", "json", "-q"]).expect_code(1);
    for line in lines(&run) {
        assert!(
            events(std::slice::from_ref(&line), "settled").is_empty(),
            "{run}"
        );
        assert!(
            events(std::slice::from_ref(&line), "run_begun").is_empty(),
            "{run}"
        );
    }
}

#[test]
fn a_bug_ends_with_70_and_says_no_secret() {
    for (place, at) in [
        ("run_begin.committed", "on the main thread"),
        ("claim.committed", "on the thread of the store"),
    ] {
        let mut shop = Shop::open(TestDb::sqlite());
        shop.payouts(1);
        shop.env
            .set("PAYOUTS_TEST_FAILPOINT", &format!("{place}=panic"));
        let run = shop.process(&["--log-format", "json"]).expect_code(70);
        let lines = lines(&run);
        let panic = events(&lines, "panic");
        assert_eq!(panic.len(), 1, "{at}: {run}");
        assert_eq!(text(panic[0], "level"), "error");
        let message = text(panic[0], "message");
        assert!(
            message.starts_with(&format!("a bug in payouts: planted at {place}: [2Jkey sk_test_… of postgres://u:…@h/d (at src/failpoint.rs:")),
            "{message}"
        );
        let run = shop.process(&[]).expect_code(70);
        assert!(
            run.stderr.contains("error: a bug in payouts: planted at"),
            "{at}: {run}"
        );
        assert!(run.stderr.contains("hint: report it"), "{at}: {run}");
        assert!(!format!("{run}").contains("MARKER"), "{at}: {run}");
    }
}

#[test]
fn the_fields_of_a_line_are_a_schema() {
    let env = TestEnv::new();
    let run = env.run(&["help", "json", "log"]).expect_code(0);
    let printed: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(printed, schema::of_log());
    for (name, kind, meaning) in FIELDS {
        let field = &printed["properties"][name];
        assert_eq!(
            (&field["type"], &field["description"]),
            (&(*kind).into(), &(*meaning).into())
        );
    }
    // A field has one line in the reference.
    for (name, ..) in FIELDS {
        assert!(
            REFERENCE.contains(&format!("`{name}`")),
            "reference: {name}"
        );
    }
}

/// What must never be read anywhere.
const MARKER: &str = "MARKERofSecrets0123456789";

#[test]
fn no_secret_is_said_by_any_command_in_any_trouble() {
    let shop = Shop::open(TestDb::sqlite());
    let good = shop.env;
    let key = format!("sk_test_{MARKER}");
    let commands: &[&[&str]] = &[
        &["list"],
        &["show", "cp0"],
        &["process"],
        &["process", "--dry-run"],
        &["reconcile"],
        &["resolve", "cp0"],
        &["retry", "--all"],
        &["runs", "list"],
        &["runs", "show", "last"],
        &["events", "pull"],
        &["doctor"],
        &["migrate"],
        &["report", "--period", "2026-11"],
        &["hold", "--all", "--reason", "x"],
        &["release", "--all"],
        &["nonsense"],
    ];
    let closed = "http://127.0.0.1:1".to_owned();
    let database = format!("postgres://ann:{MARKER}@127.0.0.1:1/pay");
    let odd = format!("postgres://ann:{MARKER}@[/pay?password={MARKER}");
    let mysql = format!("mysql://ann:{MARKER}@h/pay");
    let expired = format!("sk_test_expired{MARKER}");
    let noaccess = format!("rk_test_noaccess{MARKER}");
    let no_key = format!("pk_live_{MARKER}");
    let live = format!("sk_live_{MARKER}");
    let troubles: &[(&str, &[(&str, &str)])] = &[
        ("none", &[]),
        ("Stripe is away", &[("STRIPE_API_BASE", &closed)]),
        ("expired", &[("STRIPE_SECRET_KEY", &expired)]),
        ("no rights", &[("STRIPE_SECRET_KEY", &noaccess)]),
        ("no key", &[("STRIPE_SECRET_KEY", &no_key)]),
        ("live", &[("STRIPE_SECRET_KEY", &live)]),
        ("two keys", &[("STRIPE_SECRET_KEY_FILE", "/nowhere")]),
        ("database away", &[("DATABASE_URL", &database)]),
        ("no URL", &[("DATABASE_URL", &odd)]),
        ("no database of ours", &[("DATABASE_URL", &mysql)]),
        ("wrong setting", &[("PAYOUTS_LEASE", "1s")]),
        (
            "a bug",
            &[("PAYOUTS_TEST_FAILPOINT", "run_begin.committed=panic")],
        ),
    ];
    let mut env = good;
    let mut said = 0;
    for (trouble, variables) in troubles {
        let mut before: Vec<(&str, Option<String>)> = Vec::new();
        env.set("STRIPE_SECRET_KEY", &key);
        env.set("STRIPE_WEBHOOK_SECRET", &format!("whsec_{MARKER}"));
        for (name, value) in *variables {
            before.push((name, env.variable(name)));
            env.set(name, value);
        }
        for command in commands {
            for format in ["text", "json"] {
                let args = [*command, &["-vv", "--log-format", format]].concat();
                let run = env.run(&args);
                said += run.stderr.len();
                assert!(
                    !run.stdout.contains("MARKER") && !run.stderr.contains("MARKER"),
                    "{trouble}: {run}"
                );
                if format == "json" {
                    lines(&run);
                }
            }
        }
        for (name, value) in before {
            match value {
                Some(value) => env.set(name, &value),
                None => env.unset(name),
            }
        }
    }
    // A log that says nothing would pass.
    assert!(said > 50_000, "{said} bytes");
}

#[test]
fn no_answer_of_stripe_makes_a_secret_or_a_control_character_appear() {
    for fault in [
        Fault::Html503,
        Fault::Error500NotStored,
        Fault::CutBody,
        Fault::Redirect307,
        Fault::Error424,
    ] {
        let mut shop = Shop::open(TestDb::sqlite());
        shop.env
            .set("STRIPE_SECRET_KEY", &format!("sk_test_{MARKER}"));
        shop.payouts(1);
        shop.stripe
            .faults_add(FaultPlan::of([FaultRule::new(fault).times(40)]))
            .expect("the fault is understood");
        for command in [
            &["process"][..],
            &["reconcile"],
            &["events", "pull"],
            &["doctor"],
        ] {
            let args = [command, &["-vv", "--log-format", "json"]].concat();
            let run = shop.env.run(&args);
            assert!(!run.stderr.contains("MARKER"), "{fault}: {run}");
            lines(&run);
        }
    }
}
