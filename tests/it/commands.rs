//! What holds for every command, whatever it does. The commands are taken from the program's own
//! help, so that a new one cannot be forgotten; what is exempt from a rule says why.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::pipe;
use std::process::Stdio;

use payouts::output::schema;
use serde_json::Value;

use crate::common::db::{Backend, TestDb, on_both};
use crate::common::env::{Run, TestEnv};
use crate::common::seed::{self, PayoutRow, batch, hold, item};
use crate::common::shop::Shop;

/// What commands must be given to succeed in [`shop`].
const ARGUMENTS: [(&str, &[&str]); 23] = [
    ("backup", &["backup.db"]),
    ("report", &["--period", "2026-11"]),
    ("create", &["--creator", "cr_c0", "--amount", "5.00"]),
    ("show", &["cp0"]),
    ("receipt", &["cp_paid"]),
    ("retry", &["--due"]),
    ("resolve", &["cp0"]),
    ("hold", &["--creator", "cr_c0", "--reason", "audit"]),
    ("release", &["b1"]),
    ("approve", &["b1"]),
    ("cancel", &["--batch", "b1", "--reason", "twice"]),
    ("creators show", &["cr_c0"]),
    (
        "creators add",
        &["--name", "New", "--email", "new@example.org"],
    ),
    ("creators import", &["creators.csv"]),
    ("statements show", &["st1"]),
    (
        "statements add",
        &[
            "--creator",
            "cr_c0",
            "--run",
            "r2",
            "--period",
            "2026-09",
            "--net-payable",
            "9.00",
        ],
    ),
    ("statements import", &["statements.csv"]),
    ("batches show", &["b1"]),
    ("runs show", &["run1"]),
    ("sandbox", &["--listen", "127.0.0.1:0"]),
    ("events listen", &["--listen", "127.0.0.1:0"]),
    ("completions", &["bash"]),
    ("demo", &["--folder", "demo"]),
];

/// Commands that need no database which exists and is current, and why.
const NEED_NO_DATABASE: [(&str, &str); 6] = [
    ("doctor", "what is missing is its answer"),
    ("migrate", "it makes the database, or brings it up to date"),
    ("demo", "it makes one of its own"),
    ("sandbox", "it is a Stripe, and knows no database"),
    ("completions", "they are of the command line alone"),
    ("help", "it must help with whatever is wrong"),
];

/// Commands that take a database of any schema, and why.
const TAKE_ANY_SCHEMA: [(&str, &str); 1] =
    [("backup", "before an upgrade the schema is an older one")];

/// Commands that refuse PostgreSQL, and why.
pub(crate) const SQLITE_ALONE: [(&str, &str); 1] =
    [("backup", "a server has tools of its own for it")];

/// Commands that are not even looking at the settings.
const READ_NO_SETTINGS: [(&str, &str); 2] = [
    ("completions", "they are of the command line alone"),
    ("help", "it must help with whatever is wrong"),
];

/// Commands that write for people or shells alone, and refuse other formats, or ignore them.
const NOT_FOR_MACHINES: [(&str, &str); 5] = [
    ("demo", "a story for people; other formats are refused"),
    ("sandbox", "lines for a shell; other formats are refused"),
    ("events listen", "an address; other formats are refused"),
    ("completions", "a script; other formats are refused"),
    (
        "help",
        "pages for people; only `help exit-codes` has formats, and `help json` is JSON",
    ),
];

/// Commands that do not come to an end by themselves.
pub(crate) const GO_ON: [(&str, &str); 2] = [
    ("sandbox", "it serves until it is interrupted"),
    ("events listen", "it serves until it is interrupted"),
];

pub(crate) fn is_in(table: &[(&str, &str)], command: &str) -> bool {
    table.iter().any(|(name, _)| *name == command)
}

/// Every command that does something, such as `creators import`, and every family of commands.
pub(crate) fn all() -> (Vec<String>, Vec<String>) {
    let env = TestEnv::new();
    let page = env.run(&["help"]).expect_code(0).stdout;
    let groups = page.split("\nOptions:").next().unwrap();
    let (mut commands, mut families) = (Vec::new(), Vec::new());
    for name in names(groups) {
        let page = env.run(&[&name, "--help"]).expect_code(0).stdout;
        match page.split_once("\nCommands:\n") {
            None => commands.push(name),
            Some((_, members)) => {
                let members = members.split("\n\n").next().unwrap();
                let members = names(members).map(|member| format!("{name} {member}"));
                // A family that also does something by itself is a command, too.
                if page.contains("\n       payouts ") {
                    commands.push(name.clone());
                    commands.extend(members);
                } else {
                    commands.extend(members);
                    families.push(name);
                }
            }
        }
    }
    (commands, families)
}

/// The names in a list of commands: the first word of each line that is indented by two.
fn names(list: &str) -> impl Iterator<Item = String> {
    let entries = list.lines().filter_map(|line| line.strip_prefix("  "));
    let entries = entries.filter(|entry| !entry.starts_with(' '));
    entries.map(|entry| entry.split(' ').next().unwrap().to_owned())
}

/// A command line that succeeds in [`shop`].
pub(crate) fn line(command: &str) -> Vec<&str> {
    let given = ARGUMENTS.iter().find(|(name, _)| *name == command);
    let given = given.map_or(&[][..], |(_, arguments)| arguments);
    command.split(' ').chain(given.iter().copied()).collect()
}

/// One of everything that a command may be asked for.
pub(crate) fn shop(db: TestDb) -> Shop {
    let mut shop = Shop::open(db);
    shop.env.set("STRIPE_WEBHOOK_SECRET", "whsec_shop");
    shop.payouts(1);
    shop.statement("st1", "c0", 3000);
    seed::run(&shop.db, "run1", None);
    batch(&shop.db, "b1", "run1");
    hold(&shop.db, "batch", "b1");
    PayoutRow::new("cp_held", "cr_c0").insert(&shop.db);
    item(&shop.db, "cp_held", Some("b1"), Some("INV-1"));
    // Too long ago for a comparison with Stripe, which knows nothing of it.
    PayoutRow {
        status: "COMPLETED",
        transfer: Some("tr_paid"),
        processed: Some("2025-01-01 08:00:00"),
        created: "2025-01-01 08:00:00",
        ..PayoutRow::new("cp_paid", "cr_c0")
    }
    .insert(&shop.db);
    files(&shop.env);
    shop
}

/// The files that [`ARGUMENTS`] name.
fn files(env: &TestEnv) {
    env.write(
        "creators.csv",
        "id,name,email\ncr_csv,Csv,csv@example.org\n",
    );
    env.write(
        "statements.csv",
        "id,creator,run,period,total_earnings,platform_fee,net_payable\nst_csv,cr_c0,r1,2026-10,20.00,2.00,18.00\n",
    );
}

#[test]
fn the_tables_name_commands_that_exist() {
    let (commands, families) = all();
    assert!(
        commands.len() > 15 && families.len() >= 3,
        "{commands:?} {families:?}"
    );
    let named = ARGUMENTS.iter().map(|(name, _)| *name);
    let exempt = [
        &NEED_NO_DATABASE[..],
        &READ_NO_SETTINGS,
        &TAKE_ANY_SCHEMA,
        &SQLITE_ALONE,
        &NOT_FOR_MACHINES,
        &GO_ON,
    ];
    let named = named.chain(exempt.into_iter().flatten().map(|(name, _)| *name));
    for name in named {
        assert!(
            commands.iter().any(|command| command == name),
            "{name} is no command any more"
        );
    }
}

#[test]
fn help_is_an_answer_of_eighty_columns() {
    let env = TestEnv::new();
    let (commands, families) = all();
    for command in commands.iter().chain(&families) {
        let mut args: Vec<_> = command.split(' ').collect();
        args.push("--help");
        let run = env.run(&args).expect_code(0);
        assert_eq!(run.stderr, "", "{command}");
        assert!(
            run.stdout.contains(&format!("Usage: payouts {command}")),
            "{run}"
        );
        // The line of usage stays one, to be copied.
        let lines = run
            .stdout
            .lines()
            .filter(|line| !line.starts_with("Usage:"));
        for line in lines {
            assert!(line.chars().count() <= 80, "{command} --help: {line:?}");
        }
    }
    let page = env.run(&["--help"]).expect_code(0);
    for line in page.stdout.lines() {
        assert!(line.chars().count() <= 80, "--help: {line:?}");
    }
}

/// What a command line that cannot be read ends with: monitoring systems take 2 for critical.
fn usage_code(command: &str) -> i32 {
    if command == "check" { 3 } else { 2 }
}

/// `check` alone has a word on stdout for what it could not do.
fn assert_says_nothing_but_unknown(run: &Run) {
    let unknown = run.stdout.starts_with("PAYOUTS UNKNOWN - ") && run.stdout.lines().count() == 1;
    assert!(run.stdout.is_empty() || unknown, "{run}");
}

#[test]
fn an_unknown_flag_is_named() {
    let env = TestEnv::new();
    for command in all().0 {
        let mut args = line(&command);
        args.push("--frobnicate");
        let run = env.run(&args).expect_code(usage_code(&command));
        assert_says_nothing_but_unknown(&run);
        assert!(
            run.stderr.contains("unexpected argument '--frobnicate'"),
            "{run}"
        );
    }
    for family in all().1 {
        let run = env.run(&[&family]).expect_code(2);
        assert_eq!(run.stdout, "", "{run}");
    }
}

/// What one command alone writes is refused by all others, before they look at anything.
#[test]
fn a_document_that_a_command_does_not_know_is_refused() {
    let mut env = TestEnv::new();
    env.set("DATABASE_URL", "nonsense");
    for (document, whose) in [("html", "report"), ("prometheus", "stats")] {
        for command in all().0 {
            if command == whose {
                continue;
            }
            let mut args = line(&command);
            args.extend(["-o", document]);
            let run = env.run(&args).expect_code(usage_code(&command));
            assert_says_nothing_but_unknown(&run);
            let said = format!("--output {document}: only `payouts {whose}` writes that");
            assert!(run.stderr.contains(&said), "{run}");
        }
    }
}

#[test]
fn a_database_that_is_missing_is_not_made_up() {
    let mut env = TestEnv::new();
    env.set("STRIPE_SECRET_KEY", "sk_test_shop");
    env.set("DATABASE_URL", "sqlite:none.db");
    files(&env);
    for command in all().0 {
        if is_in(&NEED_NO_DATABASE, &command) {
            continue;
        }
        let run = env.run(&line(&command)).expect_code(3);
        assert_says_nothing_but_unknown(&run);
        assert!(
            run.stderr.contains("error: there is no database at"),
            "{run}"
        );
        assert!(run.stderr.contains("hint: run `payouts init`"), "{run}");
        assert!(!env.path("none.db").exists(), "{command} made a database");
    }
}

#[test]
fn a_scheme_that_is_unknown_is_refused() {
    let mut env = TestEnv::new();
    env.set("DATABASE_URL", "mysql://root:s3cret@localhost/payouts");
    for command in all().0 {
        if is_in(&READ_NO_SETTINGS, &command) {
            env.run(&line(&command)).expect_code(0);
            continue;
        }
        let run = env.run(&line(&command)).expect_code(3);
        assert_says_nothing_but_unknown(&run);
        assert!(
            run.stderr.contains("unknown database URL scheme \"mysql\""),
            "{run}"
        );
        assert!(!run.stderr.contains("s3cret"), "{run}");
    }
}

on_both! {
    fn a_schema_that_is_behind_stops_everything(db: TestDb) {
        let shop = shop(db);
        shop.env.run(&["migrate", "--revert", "--yes", "--quiet"]).expect_code(0);
        for command in all().0 {
            if is_in(&NEED_NO_DATABASE, &command) || is_in(&TAKE_ANY_SCHEMA, &command) {
                continue;
            }
            let run = shop.env.run(&line(&command)).expect_code(3);
            assert_says_nothing_but_unknown(&run);
            assert!(run.stderr.contains("error: the database lacks 1 of this version's migrations"), "{run}");
            assert!(run.stderr.contains("hint: run `payouts migrate`"), "{run}");
        }
    }

    fn machines_can_read_every_answer(db: TestDb) {
        let shop = shop(db);
        for command in all().0 {
            if is_in(&NOT_FOR_MACHINES, &command) {
                if command != "help" {
                    let mut args = line(&command);
                    args.extend(["-o", "json"]);
                    let run = shop.env.run(&args).expect_code(2);
                    assert_eq!(run.stdout, "", "{run}");
                }
                continue;
            }
            for format in ["json", "ndjson", "csv"] {
                let mut args = line(&command);
                args.extend(["-o", format]);
                if shop.db.backend() == Backend::Postgres && is_in(&SQLITE_ALONE, &command) {
                    shop.env.run(&args).expect_code(2);
                    continue;
                }
                if format != "json" && (command.ends_with(" add") || command == "backup") {
                    // It is there by now.
                    continue;
                }
                let run = shop.env.run(&args).expect_code(0);
                match format {
                    "json" => {
                        let answer: Value = serde_json::from_str(&run.stdout).unwrap();
                        assert_eq!(answer["schema"], 1, "{run}");
                    }
                    "ndjson" => for line in run.stdout.lines() {
                        assert!(serde_json::from_str::<Value>(line).unwrap().is_object(), "{run}");
                    },
                    _ => {
                        let mut reader = csv::Reader::from_reader(run.stdout.as_bytes());
                        assert!(!reader.headers().unwrap().is_empty(), "{run}");
                        assert!(reader.records().all(|record| record.is_ok()), "{run}");
                    }
                }
            }
        }
        let codes = shop.env.run(&["help", "exit-codes", "-o", "json"]).expect_code(0);
        assert_eq!(serde_json::from_str::<Value>(&codes.stdout).unwrap()["schema"], 1);
    }

    // Nothing was ever loaded: still every CSV has its header, and every JSON its list.
    fn an_empty_list_is_still_an_answer(db: TestDb) {
        let shop = Shop::open(db);
        let lists: Vec<_> = all().0.into_iter().filter(|name| name.ends_with("list")).collect();
        assert!(lists.len() >= 4, "{lists:?}");
        for list in lists {
            let ask = |format: &str| {
                let mut args = line(&list);
                args.extend(["-o", format]);
                shop.env.run(&args).expect_code(0).stdout
            };
            let csv = ask("csv");
            assert!(csv.starts_with("id,") && csv.lines().count() == 1, "{list}: {csv:?}");
            assert_eq!(ask("ndjson"), "", "{list}");
            let json: Value = serde_json::from_str(&ask("json")).unwrap();
            let rows = json.as_object().unwrap().values().find_map(Value::as_array);
            assert!(rows.unwrap().is_empty(), "{list}: {json}");
        }
    }
}

#[test]
fn a_reader_that_went_away_is_nobodys_fault() {
    let shop = shop(TestDb::sqlite());
    for command in all().0 {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut child = shop.env.command(&line(&command));
        let child = child
            .stdout(writer)
            .stderr(Stdio::piped())
            .stdin(Stdio::null());
        let output = child.spawn().unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}: {stderr}");
        for word in ["error", "panic", "pipe"] {
            assert!(!stderr.to_lowercase().contains(word), "{command}: {stderr}");
        }
    }
}

#[test]
fn no_color_means_no_colour() {
    let mut shop = shop(TestDb::sqlite());
    shop.env.set("NO_COLOR", "1");
    for command in all().0 {
        if is_in(&GO_ON, &command) {
            continue;
        }
        let mut args = line(&command);
        args.push("--yes");
        let run = shop.env.run_in_terminal(100, &args, &[]);
        assert!(!run.coloured, "{run}");
        // Nor is help, nor what is wrong with a command line.
        args.push("--frobnicate");
        let code = usage_code(&command);
        let run = shop.env.run_in_terminal(100, &args, &[]).expect_code(code);
        assert!(!run.coloured, "{run}");
    }
    shop.env.unset("NO_COLOR");
    assert!(
        shop.env
            .run_in_terminal(100, &["list", "--frobnicate"], &[])
            .coloured
    );
}

#[test]
fn every_command_that_machines_read_has_a_schema() {
    let mut expected: Vec<_> = all().0;
    expected.retain(|command| !is_in(&NOT_FOR_MACHINES, command));
    expected.push("help exit-codes".to_owned());
    expected.sort_unstable();
    let mut have: Vec<_> = schema::commands().map(str::to_owned).collect();
    have.sort_unstable();
    assert_eq!(have, expected);
}

#[test]
fn help_json_prints_the_schema_of_every_command_and_of_one() {
    let env = TestEnv::new();
    let json = |args: &[&str]| -> Value {
        serde_json::from_str(&env.run(args).expect_code(0).stdout).unwrap()
    };
    let all = json(&["help", "json"]);
    assert_eq!(all["schema"], 1);
    let printed: Vec<_> = all["commands"].as_object().unwrap().keys().collect();
    assert_eq!(printed, schema::commands().collect::<Vec<_>>());
    for command in printed {
        let words = [
            &["help", "json"],
            &command.split(' ').collect::<Vec<_>>()[..],
        ]
        .concat();
        let one = json(&words);
        assert_eq!(one, all["commands"][command], "{command}");
        assert_eq!(
            one["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
    }
    assert_eq!(json(&["help", "json", "-o", "json"]), all);
    env.run(&["help", "json", "-o", "csv"]).expect_code(2);
    insta::assert_snapshot!(env.run(&["help", "json", "sandbox"]).transcript(), @r"
    $ payouts help json sandbox
    --- stderr
    error: no command with JSON has this name: sandbox
    hint: those that have: create, list, show, receipt, process, retry, resolve, reconcile, hold, release, approve, cancel, creators list, creators show, creators add, creators import, statements list, statements show, statements add, statements import, batches list, batches show, runs list, runs show, report, stats, events pull, events list, notify, notify list, notify on, notify off, migrate, check, doctor, backup, help exit-codes
    --- exit 2
    ");
    insta::assert_snapshot!(env.run(&["help", "json", "batches", "list"]).transcript(), @r##"
    $ payouts help json batches list
    {
      "$schema": "https://json-schema.org/draft/2020-12/schema",
      "title": "payouts batches list",
      "type": "object",
      "properties": {
        "schema": {
          "description": "The version of this contract.",
          "const": 1
        },
        "batches": {
          "type": "array",
          "items": {
            "$ref": "#/$defs/BatchProgressView"
          }
        },
        "next": {
          "type": [
            "string",
            "null"
          ],
          "description": "What `--after` takes for the next page; null on the last."
        }
      },
      "required": [
        "schema",
        "batches",
        "next"
      ],
      "$defs": {
        "BatchProgressView": {
          "type": "object",
          "properties": {
            "id": {
              "type": "string",
              "description": "Primary key."
            },
            "source": {
              "type": "string",
              "description": "The file's name, or `stdin`."
            },
            "sha256": {
              "type": "string",
              "description": "Of the file's bytes, lowercase hex."
            },
            "payout_count": {
              "type": "integer",
              "format": "int32",
              "description": "Payouts created from it."
            },
            "total_cents": {
              "type": "integer",
              "format": "int64",
              "description": "Their sum."
            },
            "currency": {
              "type": "string",
              "description": "Lowercase code."
            },
            "held": {
              "type": "boolean",
              "description": "Nothing of it is paid before it is released."
            },
            "actor": {
              "type": "string",
              "description": "Who loaded it."
            },
            "run_id": {
              "type": "string",
              "description": "The run that loaded it."
            },
            "created_at": {
              "type": "string",
              "description": "When."
            },
            "paid_count": {
              "type": "integer",
              "format": "int64",
              "description": "Payouts of it that are paid."
            },
            "paid_cents": {
              "type": "integer",
              "format": "int64",
              "description": "Their sum."
            },
            "open_count": {
              "type": "integer",
              "format": "int64",
              "description": "Payouts of it that are in the queue, on the way, or of unknown outcome."
            },
            "open_cents": {
              "type": "integer",
              "format": "int64",
              "description": "Their sum."
            },
            "failed_count": {
              "type": "integer",
              "format": "int64",
              "description": "Payouts of it that were refused or cancelled."
            },
            "failed_cents": {
              "type": "integer",
              "format": "int64",
              "description": "Their sum."
            },
            "reversed_count": {
              "type": "integer",
              "format": "int64",
              "description": "Of those that are paid, those of whose transfers something was taken back."
            },
            "reversed_cents": {
              "type": "integer",
              "format": "int64",
              "description": "What was taken back of them."
            }
          },
          "required": [
            "id",
            "source",
            "sha256",
            "payout_count",
            "total_cents",
            "currency",
            "held",
            "actor",
            "run_id",
            "created_at",
            "paid_count",
            "paid_cents",
            "open_count",
            "open_cents",
            "failed_count",
            "failed_cents",
            "reversed_count",
            "reversed_cents"
          ],
          "description": "A batch and what became of its payouts."
        },
        "line": {
          "$ref": "#/$defs/BatchProgressView"
        }
      }
    }
    --- stderr
    --- exit 0
    "##);
}

/// A script that knows a field finds it, and one that meets a new field goes on.
#[test]
fn a_schema_requires_every_field_it_names_and_allows_others() {
    fn walk(schema: &Value, path: &str, objects: &mut usize) {
        let Some(keywords) = schema.as_object() else {
            return;
        };
        assert_eq!(schema.get("additionalProperties"), None, "{path}");
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let named: Vec<_> = properties.keys().collect();
            assert_eq!(schema["required"], serde_json::json!(named), "{path}");
            for (name, property) in properties {
                assert!(
                    property.get("description").is_some() || property["items"].is_object(),
                    "{path}/{name} is not described"
                );
            }
            *objects += 1;
        }
        for (keyword, inner) in keywords {
            walk(inner, &format!("{path}/{keyword}"), objects);
        }
    }
    for command in schema::commands() {
        let mut objects = 0;
        walk(&schema::of(command).unwrap(), command, &mut objects);
        assert!(objects > 0, "{command}");
    }
}
