//! The schema as a contract: the founding table as the platform knows it, two trees of migrations
//! that make the same of both databases, enums that hold what the Rust enums hold, and the Rust
//! side of it all, `src/model/schema.rs`, as the generator writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use payouts::model::alert::Severity;
use payouts::model::attempt::AttemptOutcome;
use payouts::model::event::{CameBy, EventState};
use payouts::model::hold::HoldKind;
use payouts::model::lookup::LookUpFinding;
use payouts::model::native_enum::{PayoutStatus, RoyaltyRunStatus, RoyaltyStatementStatus};
use payouts::model::notification::{NotificationKind, NotificationState};
use payouts::model::reconciliation::{FindingKind, FindingState, Source};
use payouts::store::Backend;
use payouts::store::migrations::all;

use crate::common::catalog::{allowed_texts, facts, words};
use crate::common::db::{TestDb, on_both};

// --- the two trees ---------------------------------------------------------------------------------------------------

#[test]
fn both_trees_hold_the_same_migrations_and_all_are_compiled_in() {
    for (folder, backend) in [
        ("migrations/postgres", Backend::Postgres),
        ("migrations/sqlite", Backend::Sqlite),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let on_disk: BTreeSet<String> = fs::read_dir(&folder)
            .expect("the folder of migrations can be read")
            .map(|entry| entry.expect("an entry").file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        let read = |name: &str, file: &str| {
            fs::read_to_string(folder.join(name).join(file)).expect("a migration has its two files")
        };
        let compiled: BTreeSet<String> = all(backend).iter().map(|m| m.name.to_owned()).collect();
        assert_eq!(on_disk, compiled, "{}", folder.display());
        for migration in all(backend) {
            assert_eq!(migration.up, read(migration.name, "up.sql"));
            assert_eq!(migration.down, read(migration.name, "down.sql"));
        }
    }
    let names = |backend| all(backend).iter().map(|m| m.name).collect::<Vec<_>>();
    assert_eq!(names(Backend::Postgres), names(Backend::Sqlite));
    assert!(names(Backend::Sqlite).is_sorted());
}

#[test]
fn both_trees_make_the_same_tables_keys_and_indexes() {
    let (sqlite, postgres) = (TestDb::sqlite(), TestDb::postgres());
    sqlite.migrated();
    postgres.migrated();

    let (sqlite, postgres) = (facts(&sqlite), facts(&postgres));

    // A reader that sees nothing would find both equal.
    for seen in [
        "column payouts.status #5 TEXT not null default 'PENDING'",
        "primary key payout_attempts (payout_id, attempt)",
        "unique creators (userId)",
        "unique index payout_attempts_open_key on payout_attempts (payout_id) \
         where outcome IN ('sending', 'unknown', 'paid')",
        "foreign key payouts (royalty_statement_id) -> royalty_statements (id) \
         on delete set null on update cascade",
        "constraint payout_holds payout_holds_kind_check",
    ] {
        assert!(sqlite.contains(seen), "no {seen:?} in {sqlite:#?}");
    }
    let only = |these: &BTreeSet<String>, those| {
        let lines = these.difference(those).cloned().collect::<Vec<String>>();
        lines.join("\n")
    };
    assert!(
        sqlite == postgres,
        "only in migrations/sqlite:\n{}\nonly in migrations/postgres:\n{}",
        only(&sqlite, &postgres),
        only(&postgres, &sqlite)
    );
}

#[test]
fn sqlite_checks_the_types_of_every_column() {
    let db = TestDb::sqlite();
    db.migrated();
    let lax = db.query_strings(
        "SELECT name FROM pragma_table_list
         WHERE schema = 'main' AND strict = 0 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    );
    // Diesel makes its own table.
    assert_eq!(lax, [[Some("__diesel_schema_migrations".to_owned())]]);
}

on_both! {
    fn every_enum_holds_what_the_rust_enum_holds(db: TestDb) {
        macro_rules! texts {
            ($enum:ty) => {
                <$enum>::ALL.iter().map(|value| value.as_str().to_owned()).collect()
            };
        }
        db.migrated();
        let expected: BTreeMap<String, Vec<String>> = [
            ("payouts.status", texts!(PayoutStatus)),
            ("royalty_runs.status", texts!(RoyaltyRunStatus)),
            ("royalty_statements.status", texts!(RoyaltyStatementStatus)),
            ("payout_attempts.outcome", texts!(AttemptOutcome)),
            ("payout_holds.kind", texts!(HoldKind)),
            ("payout_findings.kind", texts!(FindingKind)),
            ("payout_findings.state", texts!(FindingState)),
            ("payout_reconciliations.source", texts!(Source)),
            ("payout_hold_releases.kind", texts!(HoldKind)),
            ("payout_lookups.found", texts!(LookUpFinding)),
            ("payout_alerts.severity", texts!(Severity)),
            ("payout_notification_switches.kind", texts!(NotificationKind)),
            ("payout_notifications.kind", texts!(NotificationKind)),
            ("payout_notifications.state", texts!(NotificationState)),
            ("payout_stripe_events.came_by", texts!(CameBy)),
            ("payout_stripe_events.state", texts!(EventState)),
        ]
        .map(|(column, texts)| (column.to_owned(), texts))
        .into();
        assert_eq!(allowed_texts(&db), expected);
    }

    /// What the rule in `AttemptOutcome` says is what the partial index enforces.
    fn a_payout_has_one_attempt_that_may_have_moved_money(db: TestDb) {
        db.migrated();
        let mut session = db.session();
        session.execute(
            "INSERT INTO payout_runs (id, command, arguments, actor, host, version, started_at, seen_at)
             VALUES ('run', 'process', '', 'tester', 'host', '1', '2026-10-01 00:00:00', '2026-10-01 00:00:00')",
        );
        let attempt = |payout: usize, number: i32, outcome: AttemptOutcome| {
            format!(
                "INSERT INTO payout_attempts (payout_id, attempt, idempotency_key, body, amount_cents, currency,
                    destination, transfer_group, stripe_account, livemode, api_version, run_id, outcome,
                    created_at, first_sent_at)
                 VALUES ('p{payout}', {number}, 'k{payout}_{number}', '', 1, 'usd', 'acct_1', 'p', 'acct_0', FALSE,
                    '1', 'run', '{outcome}', '2026-10-01 00:00:00', '2026-10-01 00:00:00')"
            )
        };
        let mut statements = Vec::new();
        for first in AttemptOutcome::ALL {
            for second in AttemptOutcome::ALL {
                let payout = statements.len();
                let clash = first.is_open_or_paid() && second.is_open_or_paid();
                statements.push((attempt(payout, 1, *first), attempt(payout, 2, *second), clash));
            }
        }
        for (first, second, clash) in statements {
            session.execute(&first);
            if clash {
                let refusal = session.refused(&second).to_lowercase();
                assert!(refusal.contains("unique"), "{refusal}");
            } else {
                session.execute(&second);
            }
        }
    }
}

// --- the founding table ----------------------------------------------------------------------------------------------

/// The platform's software reads and writes this table too; not a name of it is ours to change.
/// `payout_queue_idx` is the one thing beside it.
#[test]
fn the_founding_table_is_exact() {
    let db = TestDb::postgres();
    db.migrated();
    let lines = |sql: &str| -> Vec<String> {
        db.query_strings(sql)
            .iter()
            .map(|row| words(row).join(" "))
            .collect()
    };

    assert_eq!(
        lines(
            "SELECT attname, concat(format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN ' NOT NULL' END,
                ' DEFAULT ' || pg_get_expr(adbin, adrelid))
             FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
             WHERE attrelid = 'payouts'::regclass AND attnum > 0 ORDER BY attnum"
        ),
        [
            "id text NOT NULL",
            "creator_id text NOT NULL",
            "royalty_statement_id text",
            "amount_cents integer NOT NULL",
            "stripe_transfer_id text",
            r#"status "PayoutStatus" NOT NULL DEFAULT 'PENDING'::"PayoutStatus""#,
            "processed_at timestamp(3) without time zone",
            "failed_reason text",
            "retry_count integer NOT NULL DEFAULT 0",
            "last_retry_at timestamp(3) without time zone",
            "created_at timestamp(3) without time zone NOT NULL DEFAULT CURRENT_TIMESTAMP",
            "updated_at timestamp(3) without time zone NOT NULL",
        ]
    );
    assert_eq!(
        lines(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
             WHERE conrelid = 'payouts'::regclass AND contype <> 'n' ORDER BY conname"
        ),
        [
            "payouts_creator_id_fkey FOREIGN KEY (creator_id) REFERENCES creators(id) \
             ON UPDATE CASCADE ON DELETE RESTRICT",
            "payouts_pkey PRIMARY KEY (id)",
            "payouts_royalty_statement_id_fkey FOREIGN KEY (royalty_statement_id) REFERENCES royalty_statements(id) \
             ON UPDATE CASCADE ON DELETE SET NULL",
        ]
    );
    assert_eq!(
        lines(
            "SELECT replace(pg_get_indexdef(indexrelid), current_schema() || '.', '') FROM pg_index
             WHERE indrelid = 'payouts'::regclass ORDER BY indexrelid::regclass::text"
        ),
        [
            "CREATE INDEX payout_queue_idx ON payouts USING btree (status, created_at, id)",
            "CREATE INDEX payouts_creator_id_status_idx ON payouts USING btree (creator_id, status)",
            "CREATE UNIQUE INDEX payouts_pkey ON payouts USING btree (id)",
            "CREATE INDEX payouts_status_created_at_idx ON payouts USING btree (status, created_at)",
            "CREATE INDEX payouts_stripe_transfer_id_idx ON payouts USING btree (stripe_transfer_id)",
            "CREATE UNIQUE INDEX payouts_stripe_transfer_id_key ON payouts USING btree (stripe_transfer_id)",
        ]
    );
    assert_eq!(
        lines(
            "SELECT string_agg(enumlabel, ', ' ORDER BY enumsortorder) FROM pg_enum
             WHERE enumtypid = '\"PayoutStatus\"'::regtype"
        ),
        ["PENDING, PROCESSING, COMPLETED, FAILED"]
    );
    assert_eq!(
        lines(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = 'payouts'::regclass AND NOT tgisinternal"
        ),
        [""; 0]
    );
}

// --- src/model/schema.rs ---------------------------------------------------------------------------------------------

#[test]
fn the_generated_schema_is_what_the_migrations_make() {
    const REGENERATE: &str = "\
src/model/schema.rs is not what the migrations make. With an empty PostgreSQL database in DATABASE_URL (`tests/run \
--serve` starts a server), write it anew:

    cargo run -- migrate && diesel print-schema > src/model/schema.rs
";
    let db = TestDb::postgres();
    db.migrated();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = fs::read_to_string(root.join("src/model/schema.rs")).expect("the file can be read");
    let expected = generated_schema(&db);
    let difference = first_difference(&found, &expected);
    assert_eq!(difference, None, "\n{REGENERATE}");
}

/// A table that is not listed would be left out of the generated file in silence.
#[test]
fn the_generator_is_told_every_table() {
    let db = TestDb::postgres();
    db.migrated();
    let settings =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/diesel.toml")).expect("a file");
    let (_, list) = settings
        .split_once("only_tables = [")
        .expect("diesel.toml lists the tables");
    let listed: Vec<&str> = list
        .split(']')
        .next()
        .unwrap_or_default()
        .split('"')
        .skip(1)
        .step_by(2)
        .collect();
    let tables: Vec<String> = tables(&db).into_iter().map(|table| table.name).collect();
    assert_eq!(listed, tables);
}

/// The line, and both texts of it, where two files part.
fn first_difference(found: &str, expected: &str) -> Option<(usize, String, String)> {
    let (mut found, mut expected) = (found.lines(), expected.lines());
    for number in 1.. {
        match (found.next(), expected.next()) {
            (None, None) => break,
            (one, other) if one == other => {}
            (one, other) => {
                let text = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
                return Some((number, text(one), text(other)));
            }
        }
    }
    None
}

struct Table {
    name: String,
    primary_key: Vec<String>,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    udt: String,
    /// Made by a migration, not built in.
    is_ours: bool,
    nullable: bool,
}

/// The tables in the order of their names.
fn tables(db: &TestDb) -> Vec<Table> {
    let names = db.query_strings(
        r#"SELECT table_name::text FROM information_schema.tables
           WHERE table_schema = current_schema() AND table_name <> '__diesel_schema_migrations'
           ORDER BY table_name::text COLLATE "C""#,
    );
    let table = |name: String| {
        Table {
        primary_key: db
            .query_strings(&format!(
                "SELECT k.column_name::text FROM information_schema.key_column_usage k
                 JOIN information_schema.table_constraints c USING (constraint_schema, constraint_name)
                 WHERE c.table_schema = current_schema() AND c.table_name = '{name}'
                   AND c.constraint_type = 'PRIMARY KEY' ORDER BY k.ordinal_position"
            ))
            .iter()
            .flat_map(words)
            .collect(),
        columns: db
            .query_strings(&format!(
                "SELECT column_name::text, udt_name::text, data_type = 'USER-DEFINED', is_nullable = 'YES'
                 FROM information_schema.columns
                 WHERE table_schema = current_schema() AND table_name = '{name}' ORDER BY ordinal_position"
            ))
            .iter()
            .map(|row| {
                let [name, udt, is_ours, nullable] = words(row).try_into().expect("four columns");
                Column {
                    name,
                    udt,
                    is_ours: is_ours == "1",
                    nullable: nullable == "1",
                }
            })
            .collect(),
        name,
    }
    };
    names.iter().flat_map(words).map(table).collect()
}

/// `src/model/schema.rs` as `diesel print-schema` writes it with the settings of `diesel.toml` and
/// the patch they name, made from `information_schema`, so that the tests need no Diesel CLI.
fn generated_schema(db: &TestDb) -> String {
    let tables = tables(db);
    let mut text = "// @generated automatically by Diesel CLI.\n\n".to_owned();
    for table in &tables {
        text.push_str(&table_macro(table));
        text.push('\n');
    }
    for (child, parent, column) in joinable(db) {
        let _ = writeln!(text, "diesel::joinable!({child} -> {parent} ({column}));");
    }
    text.push_str("\ndiesel::allow_tables_to_appear_in_same_query!(\n");
    for table in &tables {
        let _ = writeln!(text, "    {},", table.name);
    }
    text.push_str(");\n");
    text
}

fn table_macro(table: &Table) -> String {
    let mut text = "diesel::table! {\n".to_owned();
    text.push_str(
        "    use diesel::sql_types::*;\n    use crate::model::native_enum::sql_types::*;\n\n",
    );
    let _ = writeln!(
        text,
        "    {} ({}) {{",
        table.name,
        table.primary_key.join(", ")
    );
    for column in &table.columns {
        let name = snake_case(&column.name);
        if name != column.name {
            let _ = writeln!(text, "        #[sql_name = \"{}\"]", column.name);
        }
        let kind = if column.is_ours {
            column.udt.clone()
        } else {
            capitalised(&column.udt)
        };
        let kind = if column.nullable {
            format!("Nullable<{kind}>")
        } else {
            kind
        };
        let _ = writeln!(text, "        {name} -> {kind},");
    }
    text.push_str("    }\n}\n");
    text
}

/// Foreign keys of one column, where they are the only one between their two tables.
fn joinable(db: &TestDb) -> Vec<(String, String, String)> {
    let rows = db.query_strings(
        r#"SELECT c.relname, p.relname, a.attname FROM pg_constraint k
             JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
           WHERE k.connamespace = current_schema()::regnamespace AND k.contype = 'f'
             AND cardinality(k.conkey) = 1
             AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.contype = 'f' AND o.oid <> k.oid
                             AND o.conrelid = k.conrelid AND o.confrelid = k.confrelid)
           ORDER BY c.relname::text COLLATE "C", p.relname::text COLLATE "C""#,
    );
    rows.iter()
        .map(|row| {
            let [child, parent, column] = words(row).try_into().expect("three columns");
            (child, parent, snake_case(&column))
        })
        .collect()
}

/// `stripeAccountId` → `stripe_account_id`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    format!("{}{rest}", first.to_ascii_uppercase())
}
