//! Whatever stands in a text, nothing of it commands a terminal, runs in a spreadsheet or becomes
//! part of a page: every text column of every table is filled with such texts, and every command
//! prints them in every format.
//!
//! Some thousand texts in every run of the tests; `PAYOUTS_TEST_HOSTILE=1000000` for as many on each
//! database, `PAYOUTS_TEST_SEED` to have others.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; how many texts there were must be told"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;

use crate::commands;
use crate::common::catalog::{allowed_texts, facts, words};
use crate::common::db::{Backend, TestDb, on_both};
use crate::common::env::{Run, TestEnv};
use crate::common::outside_number;
use crate::common::seed::{self, PayoutRow};
use crate::common::shop::Shop;
use crate::secrets::{Echo, says};

/// Texts on each database at least, unless the environment says otherwise.
const TEXTS: u64 = 3_000;

/// How often the world is copied at most before it is printed: a page of a list has a thousand rows.
const COPIES_MAX: u64 = 150;

/// What texts are made of.
const PIECES: [&str; 56] = [
    "\x1b[2J",
    "\x1b[31m",
    "\x1b[5Z",
    "\x1b]0;owned\x07",
    "\x1b]8;;http://x\x1b\\",
    "\x1bP1$r0m\x1b\\",
    "\x1b_x\x1b\\",
    "\x1b(0",
    "\x1bc",
    "\x1b",
    "\u{9b}31m",
    "\u{9b}2J",
    "\u{9d}0;x\u{9c}",
    "\u{90}x\u{9c}",
    "\u{85}",
    "\u{80}",
    "\x07",
    "\x08\x08\x08",
    "\x0e",
    "\x0c",
    "\x0b",
    "\x7f",
    "\r",
    "\n",
    "\r\n",
    "\t",
    "\x01",
    "\u{202e}",
    "\u{202a}",
    "\u{2066}",
    "\u{2069}",
    "\u{61c}",
    "\u{200f}",
    "\u{200b}",
    "\u{200d}",
    "\u{2060}",
    "\u{feff}",
    "\u{ad}",
    "\u{2028}",
    "\u{e0041}",
    "\u{3164}",
    "\u{fff9}",
    "=1+1",
    "+1",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\u{ff1d}1",
    "\"",
    "'",
    "\",=1,\"",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=a>",
    "&lt;b&gt;",
    "Ã¿\u{fffd}é",
    "日本 مرحبا 🎶",
];

/// Columns in which only words of our own stand, though the schema says nothing of it, and tables
/// that are about the database itself. What happens when they hold something else is a test of its
/// own below.
const OURS: [(&str, &str); 3] = [
    ("payout_attempts.currency", "usd"),
    ("payout_history.event", "created"),
    ("payout_alerts.code", "failed_often"),
];
const NOT_COPIED: [&str; 2] = ["payout_own_tables", "payout_settings"];

/// What a terminal obeys, or what hides or reorders text. Not taken from the program.
fn is_hostile(c: char) -> bool {
    let hidden = ['\u{ad}', '\u{61c}', '\u{feff}', '\u{3164}'];
    c.is_control()
        || hidden.contains(&c)
        || ('\u{200b}'..='\u{200f}').contains(&c)
        || ('\u{2028}'..='\u{202e}').contains(&c)
        || ('\u{2060}'..='\u{206f}').contains(&c)
        || ('\u{fff9}'..='\u{fffb}').contains(&c)
        || ('\u{e0000}'..='\u{e007f}').contains(&c)
}

fn text(dice: &mut Rng, pieces_max: usize) -> String {
    let mut text = String::new();
    for _ in 0..dice.usize(1..=pieces_max) {
        text.push_str(PIECES[dice.usize(..PIECES.len())]);
    }
    if dice.u8(..60) == 0 {
        text = text.repeat(40);
    }
    text
}

// --- a world full of them --------------------------------------------------------------------------------------------

/// The columns of each table in which any text may stand.
struct Schema {
    /// Table, then all its columns, and of what type they are.
    tables: BTreeMap<String, Vec<(String, &'static str)>>,
    /// Columns that lead to a row, or from one to another.
    keys: BTreeSet<String>,
    /// Columns in which only some texts may stand.
    closed: BTreeMap<String, Vec<String>>,
    /// As its SQL writes them.
    no_bytes: &'static str,
}

impl Schema {
    fn of(db: &TestDb) -> Self {
        let mut tables: BTreeMap<String, Vec<(String, &str)>> = BTreeMap::new();
        let (mut table, mut renamed) = (String::new(), None);
        // What Diesel takes the columns for: SQLite itself has no type for a time.
        for line in include_str!("../../src/model/schema.rs").lines() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix("#[sql_name = \"") {
                renamed = name.strip_suffix("\"]").map(str::to_owned);
            } else if line.starts_with("diesel::") {
                table.clear();
            } else if let Some((name, kind)) = line.split_once(" -> ") {
                let name = renamed.take().unwrap_or_else(|| name.to_owned());
                let columns = tables.entry(table.clone()).or_default();
                columns.push((name, kind.trim_end_matches(',')));
            } else if let Some((name, _)) = line.split_once(" (")
                && line.ends_with(") {")
            {
                name.clone_into(&mut table);
            }
        }
        let facts = facts(db);
        let mut keys = BTreeSet::new();
        for fact in &facts {
            let Some((head, list)) = fact.split_once(" (") else {
                continue;
            };
            let kind = ["primary key", "unique", "foreign key"]
                .iter()
                .find(|kind| head.starts_with(*kind));
            let (Some(_), Some(table)) = (kind, head.split(' ').next_back()) else {
                continue;
            };
            for column in list.split(')').next().unwrap().split(", ") {
                keys.insert(format!("{table}.{}", column.trim_matches('"')));
            }
        }
        // Where the schema knows of no relation, there is one all the same.
        for (table, columns) in &tables {
            let related = columns
                .iter()
                .filter(|(name, _)| name.ends_with("_id") || name.ends_with("Id"));
            keys.extend(related.map(|(name, _)| format!("{table}.{name}")));
        }
        let mut closed = allowed_texts(db);
        closed.extend(OURS.map(|(column, word)| (column.to_owned(), vec![word.to_owned()])));
        let no_bytes = match db.backend() {
            Backend::Sqlite => "x''",
            Backend::Postgres => "''::bytea",
        };
        Self {
            tables,
            keys,
            closed,
            no_bytes,
        }
    }
}

impl Schema {
    /// A row of a table in which nothing has happened yet.
    fn row_of(&self, table: &str) -> String {
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for (column, kind) in &self.tables[table] {
            names.push(format!("\"{column}\""));
            let text = match column.as_str() {
                "payout_id" => "cp0",
                "creator_id" => "cr_c0",
                "statement_id" => "st1",
                "run_id" => "run1",
                "stripe_account" => "acct_c0",
                _ => "x",
            };
            let closed = self.closed.get(&format!("{table}.{column}"));
            let word = closed
                .and_then(|words| words.first())
                .map_or(text, String::as_str);
            values.push(
                match kind.trim_start_matches("Nullable<").trim_end_matches('>') {
                    "Text" => seed::quoted(word),
                    "Timestamp" => "'2026-11-02 09:30:00'".to_owned(),
                    "Bool" => "FALSE".to_owned(),
                    "Bytea" => self.no_bytes.to_owned(),
                    _ => "1".to_owned(),
                },
            );
        }
        format!(
            "INSERT INTO {table} ({}) VALUES ({})",
            names.join(", "),
            values.join(", ")
        )
    }
}

/// Copies every row as often as there are texts, each copy with others in all its columns. Whatever
/// is a key gets the same text appended everywhere. Says how many there are then.
fn copy_the_world(db: &TestDb, schema: &Schema, dice: &mut Rng, copies: u64) -> u64 {
    let literal = |text: &str| {
        let mut hex = String::new();
        for byte in text.bytes() {
            let _ = write!(hex, "{byte:02x}");
        }
        match db.backend() {
            Backend::Sqlite => format!("CAST(x'{hex}' AS TEXT)"),
            Backend::Postgres => format!("convert_from(decode('{hex}', 'hex'), 'UTF8')"),
        }
    };
    let mut session = db.session();
    session.execute("DROP TABLE IF EXISTS hostile; CREATE TABLE hostile (n INTEGER PRIMARY KEY, long TEXT, short TEXT)");
    for n in 0..copies {
        let short = text(dice, 2).chars().take(60).collect::<String>();
        let mut long = text(dice, 6);
        if db.backend() == Backend::Sqlite && dice.u8(..20) == 0 {
            long.insert(0, '\0');
        }
        session.execute(&format!(
            "INSERT INTO hostile VALUES ({n}, {}, {})",
            literal(&long),
            literal(&short)
        ));
    }
    session.execute(match db.backend() {
        Backend::Sqlite => "PRAGMA foreign_keys = OFF",
        Backend::Postgres => "SET session_replication_role = replica",
    });
    let mut texts = 0;
    for (table, columns) in &schema.tables {
        if NOT_COPIED.contains(&table.as_str()) {
            continue;
        }
        let mut rows: u64 = session.query_strings(&format!("SELECT count(*) FROM {table}"))[0][0]
            .as_deref()
            .unwrap()
            .parse()
            .unwrap();
        if rows == 0 {
            session.execute(&schema.row_of(table));
            rows = 1;
        }
        let (mut names, mut values) = (String::new(), String::new());
        for (place, (column, kind)) in columns.iter().enumerate() {
            let full = format!("{table}.{column}");
            let comma = if place == 0 { "" } else { ", " };
            let _ = write!(names, "{comma}\"{column}\"");
            let is_text = ["Text", "Nullable<Text>"].contains(kind);
            let value = if !is_text || schema.closed.contains_key(&full) {
                format!("o.\"{column}\"")
            } else if schema.keys.contains(&full) {
                texts += rows * copies;
                format!("o.\"{column}\" || '~' || h.n || h.short")
            } else {
                texts += rows * copies;
                format!(
                    "(SELECT a.long || h.n FROM hostile a WHERE a.n = (h.n * 7 + {place}) % {copies})"
                )
            };
            let _ = write!(values, "{comma}{value}");
        }
        let has_key_to_change = columns.iter().any(|(column, kind)| {
            let full = format!("{table}.{column}");
            kind.contains("Text")
                && schema.keys.contains(&full)
                && !schema.closed.contains_key(&full)
        });
        // A row whose key is a word of ours is changed instead.
        let sql = if has_key_to_change {
            format!(
                "INSERT INTO {table} ({names}) SELECT {values} FROM {table} o CROSS JOIN hostile h"
            )
        } else {
            let texts = columns.iter().filter(|(column, kind)| {
                kind.contains("Text") && !schema.closed.contains_key(&format!("{table}.{column}"))
            });
            let set = texts.map(|(column, _)| {
                format!("\"{column}\" = (SELECT long FROM hostile WHERE n = 1)")
            });
            format!("UPDATE {table} SET {}", set.collect::<Vec<_>>().join(", "))
        };
        session.execute(&sql);
    }
    session.execute("DROP TABLE hostile");
    texts
}

/// A shop in which everything has happened once.
fn busy_shop(db: TestDb) -> Shop {
    let mut shop = commands::shop(db);
    let run = |shop: &Shop, args: &[&str]| drop(shop.env.run(args));
    shop.env
        .set("PAYOUTS_MAIL_FROM", "The Platform <pay@platform.example>");
    shop.env.set("PAYOUTS_MAIL_TO", "ops@platform.example");
    run(
        &shop,
        &["notify", "on", "paid", "failed", "digest", "alert"],
    );
    for name in ["ann", "ben_closed", "cyd"] {
        shop.creator(name);
        PayoutRow {
            cents: 2000,
            ..PayoutRow::new(&format!("cp_{name}"), &format!("cr_{name}"))
        }
        .insert(&shop.db);
        seed::item(
            &shop.db,
            &format!("cp_{name}"),
            None,
            Some(&format!("ref_{name}")),
        );
    }
    run(&shop, &["create", "--from-statements"]);
    shop.fault("ann", payouts::sandbox::Fault::Error500After, 1);
    shop.env
        .set("PAYOUTS_APPROVAL_THRESHOLD_CENTS", "100000000");
    run(&shop, &["hold", "cp_cyd", "--reason", "odd"]);
    run(&shop, &["approve", "cp_cyd"]);
    run(&shop, &["process"]);
    run(&shop, &["release", "cp_cyd", "--reason", "well"]);
    run(&shop, &["process"]);
    let made = shop.transfers();
    shop.stripe.reverse(&made[0].id, 100).unwrap();
    shop.db.execute("DELETE FROM payout_alerts");
    run(&shop, &["reconcile", "--from", "2026-01-01", "--fix"]);
    run(&shop, &["events", "pull"]);
    run(&shop, &["resolve", "cp_ann"]);
    run(&shop, &["check", "--mail"]);
    shop.pass(Duration::from_secs(3600));
    run(&shop, &["check", "--mail"]);
    shop
}

// --- what is printed -------------------------------------------------------------------------------------------------

/// Nothing of it is obeyed, hidden or run.
fn assert_harmless(run: &Run, format: &str) {
    for (stream, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
        if let Some(c) = text.chars().find(|c| is_hostile(*c) && *c != '\n') {
            let at = text.find(c).unwrap();
            let around: String = text[..at]
                .chars()
                .rev()
                .take(60)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect();
            panic!("{c:?} on {stream} after {around:?}\n{}", run.command_line());
        }
    }
    assert!(!run.stderr.contains("a bug in payouts:"), "{run}");
    // What breaks off with an error is no whole answer.
    if run.stdout.is_empty() || run.code == 70 || run.code == 3 {
        return;
    }
    match format {
        "csv" => {
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .from_reader(run.stdout.as_bytes());
            for record in reader.records() {
                for cell in &record.unwrap() {
                    let number = cell.parse::<i64>().is_ok()
                        || cell.strip_prefix('-').is_some_and(|rest| {
                            rest.split('.').all(|part| {
                                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
                            })
                        });
                    assert!(
                        number
                            || !cell.starts_with([
                                '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}',
                                '\u{ff0d}', '\u{ff20}'
                            ]),
                        "{cell:?} in\n{}",
                        run.command_line()
                    );
                }
            }
        }
        "json" => drop(serde_json::from_str::<Value>(&run.stdout).unwrap()),
        "ndjson" => run
            .stdout
            .lines()
            .for_each(|line| drop(serde_json::from_str::<Value>(line).unwrap())),
        _ => {}
    }
}

/// Commands that do not print what is stored, or go on; the others are all run.
const NOT_READING: [&str; 6] = [
    "migrate",
    "backup",
    "demo",
    "sandbox",
    "completions",
    "events listen",
];

/// The command lines that read, as `commands` has them, and for rows that have been copied.
fn reading(shop: &Shop) -> Vec<Vec<String>> {
    let mut lines: Vec<Vec<String>> = Vec::new();
    for command in commands::all().0 {
        if !NOT_READING.contains(&command.as_str()) && command != "help" {
            lines.push(
                commands::line(&command)
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
            );
        }
    }
    let more = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
    lines.extend(
        [
            "process --dry-run",
            "retry --all --dry-run",
            "notify --preview",
            "notify --preview --kind digest",
            "stats --by creator",
            "reconcile --show last",
            "doctor --verify-history",
        ]
        .map(more),
    );
    for (words, query) in [
        (
            "show",
            "SELECT id FROM payouts WHERE id LIKE '%~%' ORDER BY id LIMIT 6",
        ),
        (
            "receipt",
            "SELECT id FROM payouts WHERE id LIKE '%~%' AND status = 'COMPLETED' ORDER BY id LIMIT 2",
        ),
        (
            "creators show",
            "SELECT id FROM creators WHERE id LIKE '%~%' ORDER BY id LIMIT 2",
        ),
        (
            "statements show",
            "SELECT id FROM royalty_statements WHERE id LIKE '%~%' ORDER BY id LIMIT 2",
        ),
        (
            "batches show",
            "SELECT id FROM payout_batches WHERE id LIKE '%~%' ORDER BY id LIMIT 2",
        ),
        (
            "resolve",
            "SELECT id FROM payouts WHERE id LIKE '%~%' AND status = 'PROCESSING' ORDER BY id LIMIT 2",
        ),
    ] {
        for row in shop.db.query_strings(query) {
            let id = words_of(&row);
            if !id.contains('\0') {
                lines.push(words.split(' ').map(str::to_owned).chain([id]).collect());
            }
        }
    }
    lines
}

fn words_of(row: &[Option<String>]) -> String {
    words(&row.to_vec()).concat()
}

on_both! {
    /// Texts of every kind in every text column of every table.
    fn what_is_stored_does_nothing_to_who_reads_it(db: TestDb) {
        let wanted = outside_number("PAYOUTS_TEST_HOSTILE").unwrap_or(TEXTS);
        let first = outside_number("PAYOUTS_TEST_SEED").unwrap_or(1);
        let (mut texts, mut printed, mut round) = (0, 0, 0);
        let mut shop = busy_shop(db);
        let schema = Schema::of(&shop.db);
        while texts < wanted {
            let mut dice = Rng::with_seed(first.wrapping_add(round));
            // What one copy comes to is known only afterwards; the first round is a small one.
            let copies = if round == 0 { 8 } else { COPIES_MAX };
            if round > 0 {
                shop = busy_shop(shop.db.another());
            }
            texts += copy_the_world(&shop.db, &schema, &mut dice, copies);
            printed += read_all(&shop, round);
            round += 1;
        }
        println!("{}: {texts} texts in {round} databases, {printed} answers", shop.db.backend());
    }
}

/// How a command may answer: in a short run in part of the formats on each database, in all of them
/// on both.
fn formats_of(args: &[&str], backend: Backend) -> Vec<&'static str> {
    let mut formats = match (outside_number("PAYOUTS_TEST_HOSTILE"), backend) {
        (Some(_), _) => vec!["table", "json", "ndjson", "csv"],
        (None, Backend::Sqlite) => vec!["table", "csv"],
        (None, Backend::Postgres) => vec!["json", "ndjson"],
    };
    match args[0] {
        "report" => formats.push("html"),
        "stats" => formats.push("prometheus"),
        _ => {}
    }
    formats
}

/// Has every command read, in every format and on a terminal.
fn read_all(shop: &Shop, round: u64) -> u64 {
    let mut printed = 0;
    for line in reading(shop) {
        let args: Vec<&str> = line.iter().map(String::as_str).collect();
        let lists = line[..line.len().min(2)].iter().any(|word| word == "list");
        let mut after: Option<String> = None;
        // Page by page, as JSON says where the next one begins.
        loop {
            let mut next = None;
            for format in formats_of(&args, shop.db.backend()) {
                let mut args = args.clone();
                args.extend(["-o", format]);
                if lists {
                    args.extend(["--limit", "1000"]);
                }
                if let Some(after) = &after {
                    args.extend(["--after", after]);
                }
                let run = shop.env.run_on_anything(&args);
                assert_harmless(&run, format);
                // Else nothing of what is behind that row was printed.
                let whole = run.code != 3 && run.code < 70;
                assert!(
                    whole || run.stderr.contains("there is no mail server"),
                    "a column that has words of ours alone belongs into `OURS`: {}\n{}",
                    run.command_line(),
                    run.stderr
                );
                printed += 1;
                if format == "json" {
                    let answer: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
                    next = answer["next"].as_str().map(str::to_owned);
                }
            }
            // No argument can hold a NUL.
            match next.filter(|next| !next.contains('\0')) {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        if round == 0
            && shop.db.backend() == Backend::Sqlite
            && !["create", "process"].contains(&args[0])
        {
            // A screen that knows no other sequences than ours stops at one.
            let mut plain = args.clone();
            plain.extend(["--yes", "--color", "never"]);
            let run = shop.env.run_in_terminal(100, &plain, &[]);
            assert!(!run.coloured, "{run}");
            assert_harmless(&run, "terminal");
            printed += 1;
        }
    }
    printed
}

on_both! {
    /// A page has the elements of any other page, whatever the names in it.
    fn a_page_has_no_element_but_its_own(db: TestDb) {
        let shop = busy_shop(db);
        let page = |line: &[&str], file: &str| {
            shop.env.run(&[line, &[file, "--force"]].concat()).expect_code(0);
            std::fs::read_to_string(shop.env.path(file)).unwrap()
        };
        let elements = |page: &str| -> BTreeSet<String> {
            let names = page.split('<').skip(1).map(|rest| rest.split([' ', '>', '\n']).next().unwrap().to_owned());
            names.collect()
        };
        let receipt = |id: &str| page(&["receipt", id, "--out"], "page.html");
        let pages = || {
            vec![
                ("report", page(&["report", "--period", "2026-11", "-o", "html", "--to"], "report.html")),
                ("mail", page(&["notify", "--preview", "--html"], "mail.html")),
                ("digest", page(&["notify", "--preview", "--kind", "digest", "--html"], "mail.html")),
            ]
        };
        let ours = elements(&receipt("cp_paid"));
        let before = pages();
        copy_the_world(&shop.db, &Schema::of(&shop.db), &mut Rng::with_seed(3), 8);
        let markup = seed::quoted("<script>alert(1)</script>\"'><img src=x onerror=a><b>");
        shop.db.execute(&format!(r#"UPDATE creators SET "stageName" = {markup}; UPDATE users SET name = {markup}"#));
        let assert_quiet = |page: &str| assert!(!page.chars().any(|c| is_hostile(c) && c != '\n'), "{page}");
        let ids = shop.db.query_strings("SELECT id FROM payouts WHERE id LIKE 'cp_paid~%'");
        let mut seen = 0;
        for row in ids.iter().filter(|row| !words_of(row).contains('\0')) {
            let page = receipt(&words_of(row));
            assert_eq!(elements(&page), ours, "{page}");
            assert_quiet(&page);
            assert!(page.contains("&lt;script&gt;"), "{page}");
            seen += 1;
        }
        assert!(seen > 3, "{seen}");
        for ((what, page), (_, before)) in pages().iter().zip(before) {
            // There may be other bars in a chart; there is nothing that texts bring along.
            let new: BTreeSet<_> = elements(page).difference(&elements(&before)).cloned().collect();
            assert!(!new.iter().any(|name| ["script", "img", "b"].contains(&name.as_str())), "{what}: {new:?}");
            assert_quiet(page);
            assert!(*what == "digest" || page.contains("&lt;script&gt;"), "{what}: {page}");
        }
    }

    /// What the program itself wrote was changed to something that it never writes.
    fn words_of_ours_that_are_not_are_told_harmlessly(db: TestDb) {
        let shop = busy_shop(db);
        let settings = shop.db.query_strings("SELECT key, value FROM payout_settings");
        assert!(settings.len() > 2, "{settings:?}");
        for row in settings {
            let row = words(&row);
            let set = |value: &str| {
                let (key, value) = (seed::quoted(&row[0]), seed::quoted(value));
                shop.db.execute(&format!("UPDATE payout_settings SET value = {value} WHERE key = {key}"));
            };
            set("\x1b]0;x\x07\u{9b}2J\u{202e}=1");
            for args in [&["doctor"][..], &["list"], &["process", "--dry-run"], &["check"]] {
                assert_harmless(&shop.env.run(args), "table");
            }
            set(&row[1]);
        }
    }

    /// Stripe's own words, or those of whoever answers in its place.
    fn what_stripe_says_does_nothing_either(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(2);
        let echo = Echo::before(shop.stripe.address(), false, |_| {
            let text = "\x1b]0;x\x07\u{9b}2J\u{202e}=1<b>\n\r";
            let error = serde_json::json!({"error": {"type": text, "code": text, "decline_code": text, "message": text,
                "param": text, "doc_url": text, "request_log_url": text}});
            says(402, "", &error.to_string())
        });
        shop.env.set("STRIPE_API_BASE", &echo.url());
        let run = shop.env.run(&["process"]);
        assert_harmless(&run, "table");
        assert!(run.stderr.contains("]0;x"), "{run}");
        for args in [&["list"][..], &["show", "cp0"]] {
            for format in ["table", "json", "csv"] {
                let run = shop.env.run(&[args, &["-o", format]].concat());
                assert_harmless(&run, format);
            }
        }
    }
}

/// A script may hand over as an argument or as a setting what it read somewhere.
#[test]
fn what_is_typed_or_set_does_nothing_either() {
    let shop = commands::shop(TestDb::sqlite());
    let hostile = "\x1b]0;x\x07\x1b[5Z\u{9b}2J\u{202e}\r=1";
    let lines: [&[&str]; 8] = [
        &[hostile],
        &["--frobnicate", hostile],
        &["--limit", hostile],
        &["--period", hostile],
        &["-o", hostile],
        &[hostile, hostile, hostile],
        &["--creator", hostile, "--amount", hostile],
        &["--file", hostile],
    ];
    // Each command is given three of them, and each of them goes to many commands.
    let all = outside_number("PAYOUTS_TEST_HOSTILE").is_some();
    for (number, command) in commands::all().0.into_iter().enumerate() {
        if commands::is_in(&commands::GO_ON, &command) || ["demo", "backup"].contains(&&*command) {
            continue;
        }
        let words: Vec<&str> = command.split(' ').collect();
        for (place, more) in lines.iter().enumerate() {
            if all || (number + place) % 3 == 0 {
                let args = [&words[..], more].concat();
                assert_harmless(&shop.env.run(&args), "table");
            }
        }
        if all || number % 3 == 0 {
            let flag = format!("--{hostile}");
            let args = [&words[..], &[&flag, "--color", "never"]].concat();
            assert_harmless(&shop.env.run_in_terminal(100, &args, &[]), "terminal");
        }
    }
    for variable in payouts::env_vars::ALL {
        let mut env = TestEnv::new();
        env.use_database(&shop.db);
        for value in [hostile, "sqlite:\x1b[5Z\u{202e}"] {
            env.set(variable.name, value);
            for args in [&["doctor"][..], &["doctor", "-o", "json"]] {
                assert_harmless(&env.run(args), args.get(2).copied().unwrap_or("table"));
            }
        }
    }
}
