//! The roles of `packaging/postgres/roles.sql`: each can do its job with the real program and nothing
//! else. Every statement that could write is tried on every table, as every role.
//!
//! Roles belong to a whole server: a test has its own, under names of its own, and drops them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::common::db::{Session, TestDb};
use crate::common::env::Run;
use crate::common::shop::Shop;

const ROLES_SQL: &str = include_str!("../../packaging/postgres/roles.sql");

/// The roles of the file, which nobody logs in as.
const GROUPS: [&str; 3] = ["payouts_reader", "payouts_operator", "payouts_approver"];

/// Who logs in, as a member of which.
const PEOPLE: [(&str, &str); 4] = [
    ("rae", "payouts_reader"),
    ("oli", "payouts_operator"),
    ("ann", "payouts_approver"),
    ("zoe", "payouts_approver"),
];

/// A shop whose database knows the roles. Its `env` is the owner's.
struct Staffed {
    shop: Shop,
}

impl Staffed {
    fn open() -> Self {
        let mut shop = Shop::open(TestDb::postgres());
        shop.env.set("PAYOUTS_ACTOR_FROM_ROLE", "1");
        for name in ["ann", "ben", "cem", "dan_closed"] {
            shop.creator(name);
        }
        let staffed = Self { shop };
        staffed.grant();
        for (person, group) in PEOPLE {
            let (person, group) = (staffed.named(person), staffed.named(group));
            staffed
                .shop
                .db
                .execute(&format!("CREATE ROLE {person} LOGIN IN ROLE {group}"));
        }
        staffed
    }

    /// Runs the file, with the names of this test.
    fn grant(&self) {
        let mut sql = ROLES_SQL.to_owned();
        for group in GROUPS {
            sql = sql.replace(group, &self.named(group));
        }
        self.shop.db.execute(&sql);
    }

    /// A role of this test's own.
    fn named(&self, name: &str) -> String {
        format!("{name}_{}", self.shop.db.schema())
    }

    /// Where somebody logs in.
    fn url(&self, person: &str) -> String {
        let url = self.shop.db.url();
        format!("{url}&user={}", self.named(person))
    }

    /// Runs the program as somebody.
    fn run(&mut self, person: &str, args: &[&str]) -> Run {
        let url = self.url(person);
        self.shop.env.set("DATABASE_URL", &url);
        let run = self.shop.env.run(args);
        self.shop.env.use_database(&self.shop.db);
        run
    }

    /// A session of somebody's.
    fn session(&self, person: &str) -> Session {
        self.shop.db.session_at(&self.url(person))
    }

    /// Every table of the schema, and its columns.
    fn tables(&self) -> BTreeMap<String, Vec<String>> {
        let rows = self.shop.db.query_strings(
            "SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
             WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND attnum > 0
               AND NOT attisdropped
             ORDER BY relname, attnum",
        );
        let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in rows {
            let [table, column] = [0, 1].map(|at| row[at].clone().expect("a name"));
            tables.entry(table).or_default().push(column);
        }
        tables
    }

    fn one(&self, query: &str) -> String {
        self.shop.one(query)
    }
}

impl Drop for Staffed {
    fn drop(&mut self) {
        let names: Vec<String> = PEOPLE
            .iter()
            .map(|(person, _)| *person)
            .chain(GROUPS)
            .map(|name| self.named(name))
            .collect();
        for name in names {
            let there = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{name}'");
            if self.shop.one(&there) == "1" {
                self.shop
                    .db
                    .execute(&format!("DROP OWNED BY {name} CASCADE; DROP ROLE {name}"));
            }
        }
    }
}

/// Whether the database lets somebody do something that changes nothing.
fn lets(session: &mut Session, sql: &str) -> bool {
    match session.attempt(&format!("BEGIN; {sql}; ROLLBACK")) {
        Ok(()) => true,
        Err(refusal) => {
            let _ = session.attempt("ROLLBACK");
            let refused = ["permission denied", "must be owner"];
            assert!(
                refused.iter().any(|words| refusal.contains(words)),
                "{sql}: {refusal}"
            );
            false
        }
    }
}

#[test]
fn every_statement_that_writes_is_refused_but_to_those_whose_job_it_is() {
    let staffed = Staffed::open();
    // Again, and it is the same.
    staffed.grant();
    let tables = staffed.tables();
    let mut matrix = String::new();
    for (person, group) in [PEOPLE[0], PEOPLE[1], PEOPLE[2]] {
        let mut session = staffed.session(person);
        let _ = writeln!(matrix, "{group}");
        for (table, columns) in &tables {
            let all = columns
                .iter()
                .map(|name| format!("\"{name}\""))
                .collect::<Vec<_>>()
                .join(", ");
            let mut may = Vec::new();
            for (word, sql) in [
                (
                    "INSERT",
                    format!(
                        "INSERT INTO \"{table}\" ({all}) SELECT {all} FROM \"{table}\" WHERE false"
                    ),
                ),
                ("DELETE", format!("DELETE FROM \"{table}\" WHERE false")),
                ("TRUNCATE", format!("TRUNCATE \"{table}\" CASCADE")),
                ("DROP", format!("DROP TABLE \"{table}\" CASCADE")),
                (
                    "ALTER",
                    format!("ALTER TABLE \"{table}\" DISABLE TRIGGER USER"),
                ),
                (
                    "TRIGGER",
                    format!(
                        "CREATE TRIGGER t BEFORE INSERT ON \"{table}\" EXECUTE FUNCTION payout_history_is_append_only()"
                    ),
                ),
            ] {
                if lets(&mut session, &sql) {
                    may.push(word.to_owned());
                }
            }
            let changed: Vec<&str> = columns
                .iter()
                .filter(|column| {
                    lets(
                        &mut session,
                        &format!("UPDATE \"{table}\" SET \"{column}\" = NULL WHERE false"),
                    )
                })
                .map(String::as_str)
                .collect();
            match changed.len() {
                0 => {}
                count if count == columns.len() => may.push("UPDATE".to_owned()),
                _ => may.push(format!("UPDATE ({})", changed.join(", "))),
            }
            if !may.is_empty() {
                let _ = writeln!(matrix, "  {table}: {}", may.join(", "));
            }
            assert!(
                lets(
                    &mut session,
                    &format!("SELECT {all} FROM \"{table}\" WHERE false")
                ),
                "{group} {table}"
            );
        }
    }
    insta::assert_snapshot!(matrix, @r"
    payouts_reader
    payouts_operator
      creators: INSERT, UPDATE (stageName, stripeAccountId, updatedAt)
      payout_account_states: INSERT, UPDATE (transfers, disabled_reason, as_of, event_id, seen_at)
      payout_alerts: INSERT, UPDATE (found, seen_at, told_at, told_count, told_cents, cleared_at)
      payout_answers: INSERT
      payout_attempts: INSERT, UPDATE (body, amount_cents, currency, destination, royalty_statement_id, stripe_account, livemode, api_version, run_id, outcome, first_sent_at, last_sent_at, send_count, stored_error, settled_at, http_status, error_type, error_code, error_message, request_id, replayed, transfer_id)
      payout_batch_items: INSERT, UPDATE (reference)
      payout_batches: INSERT
      payout_event_pulls: INSERT, UPDATE (pulled_until, run_id, pulled_at)
      payout_findings: INSERT, DELETE, UPDATE
      payout_history: INSERT
      payout_history_heads: INSERT, UPDATE (seq, hash)
      payout_hold_releases: INSERT
      payout_holds: INSERT, DELETE
      payout_lookups: INSERT, DELETE
      payout_notification_switches: INSERT, DELETE, UPDATE
      payout_notifications: INSERT, DELETE, UPDATE
      payout_reconciliation_findings: INSERT
      payout_reconciliation_progress: INSERT, DELETE, UPDATE
      payout_reconciliations: INSERT
      payout_reversal_steps: INSERT
      payout_reversals: INSERT, UPDATE (amount_reversed_cents, seen_at)
      payout_runs: INSERT, UPDATE (seen_at, ended_at, exit_code, summary, heads_hash)
      payout_settings: INSERT, UPDATE (value, updated_at)
      payout_statement_claims: INSERT, DELETE
      payout_stripe_events: INSERT, UPDATE (snapshot, state, tries, settled_at, payout_id, outcome)
      payouts: INSERT, UPDATE (stripe_transfer_id, status, processed_at, failed_reason, retry_count, last_retry_at, updated_at)
      royalty_runs: INSERT
      royalty_statements: INSERT, UPDATE (status, paid_at, payment_reference, updated_at)
      users: INSERT, UPDATE (email, name, updatedAt)
    payouts_approver
      payout_approvals: INSERT, DELETE
      payout_history: INSERT
      payout_history_heads: INSERT, UPDATE (seq, hash)
      payout_runs: INSERT, UPDATE (seen_at, ended_at, exit_code, summary, heads_hash)
      payouts: UPDATE (updated_at)
    ");
}

#[test]
fn no_table_is_forgotten() {
    let staffed = Staffed::open();
    let forgotten: Vec<String> = staffed
        .tables()
        .into_keys()
        .filter(|table| {
            !ROLES_SQL.contains(&format!("'{table}'"))
                && !ROLES_SQL.contains(&format!("\"{table}\""))
        })
        .collect();
    assert_eq!(
        forgotten, [""; 0],
        "say in packaging/postgres/roles.sql who writes to them"
    );
}

#[test]
fn a_column_that_is_nobodys_business_is_not_read() {
    let staffed = Staffed::open();
    staffed
        .shop
        .db
        .execute("ALTER TABLE users ADD COLUMN \"passwordHash\" TEXT");
    staffed.grant();
    for (person, _) in PEOPLE {
        let mut session = staffed.session(person);
        assert!(lets(&mut session, "SELECT email FROM users"));
        assert!(!lets(&mut session, "SELECT \"passwordHash\" FROM users"));
        assert!(!lets(&mut session, "SELECT * FROM users"));
    }
}

#[test]
fn each_role_does_its_job_and_no_other() {
    let mut staffed = Staffed::open();
    staffed
        .shop
        .env
        .set("PAYOUTS_APPROVAL_THRESHOLD_CENTS", "10000");
    staffed.shop.env.write(
        "batch.csv",
        "creator,amount,reference\ncr_ann,20.00,A1\ncr_ben,250.00,B1\ncr_dan_closed,30.00,D1\n",
    );
    // The reader's changes nothing.
    for refused in [
        &["create", "--file", "batch.csv"][..],
        &["process"],
        &["hold", "--all", "--reason", "x"],
    ] {
        let run = staffed.run("rae", refused).expect_code(3);
        assert!(run.stderr.contains("permission denied"), "{run}");
    }
    assert_eq!(staffed.one("SELECT count(*) FROM payout_runs"), "0");

    // The operator's day.
    staffed
        .run("oli", &["create", "--file", "batch.csv", "--release"])
        .expect_code(0);
    staffed
        .run(
            "oli",
            &[
                "creators",
                "add",
                "--name",
                "Fay",
                "--email",
                "fay@example.org",
            ],
        )
        .expect_code(0);
    staffed
        .run(
            "oli",
            &[
                "statements",
                "add",
                "--creator",
                "cr_cem",
                "--run",
                "r1",
                "--period",
                "2026-10",
                "--net-payable",
                "44.00",
            ],
        )
        .expect_code(0);
    staffed
        .run("oli", &["create", "--from-statements", "--release"])
        .expect_code(0);
    let b1 = staffed.one("SELECT payout_id FROM payout_batch_items WHERE reference = 'B1'");
    let d1 = staffed.one("SELECT payout_id FROM payout_batch_items WHERE reference = 'D1'");
    let run = staffed.run("oli", &["process"]).expect_code(1);
    assert!(
        run.stdout.contains("needs the approval of a second person"),
        "{run}"
    );
    assert_eq!(
        staffed.one("SELECT status::text FROM royalty_statements"),
        "PAID"
    );
    let run = staffed.run("oli", &["approve", &b1]);
    assert_ne!(run.code, 0, "{run}");

    // The approver approves, and moves nothing else.
    for refused in [
        &["process"][..],
        &["retry", &d1],
        &["hold", &d1, "--reason", "x"],
        &["cancel", &d1, "--reason", "x"],
        &["reconcile", "--fix"],
    ] {
        let run = staffed.run("zoe", refused).expect_code(3);
        assert!(run.stderr.contains("permission denied"), "{run}");
    }
    staffed.run("zoe", &["approve", &b1]).expect_code(0);
    staffed
        .run("zoe", &["approve", &b1, "--withdraw"])
        .expect_code(0);
    staffed.run("ann", &["approve", &b1]).expect_code(0);
    let approver = format!("role:{}", staffed.named("ann"));
    assert_eq!(staffed.one("SELECT actor FROM payout_approvals"), approver);

    staffed.run("oli", &["process"]).expect_code(0);
    assert_eq!(staffed.shop.status(&b1), "COMPLETED");
    staffed.run("oli", &["retry", &d1]).expect_code(0);
    staffed
        .run("oli", &["hold", &d1, "--reason", "closed"])
        .expect_code(0);
    staffed.run("oli", &["release", &d1]).expect_code(0);
    staffed
        .run("oli", &["cancel", &d1, "--reason", "closed"])
        .expect_code(0);
    staffed.run("oli", &["events", "pull"]);
    // An outcome that nobody knows, a restore's worth of repair, and what was taken back.
    staffed
        .shop
        .fault("ben", payouts::sandbox::Fault::ResetAfter, 9);
    let made = staffed
        .run("oli", &["create", "--creator", "cr_ben", "--amount", "5"])
        .expect_code(0);
    let unknown = made
        .stdout
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    staffed.run("oli", &["process"]).expect_code(5);
    staffed.shop.stripe.faults_clear();
    staffed.run("oli", &["resolve", &unknown]).expect_code(0);
    let transfer = staffed.one(&format!(
        "SELECT stripe_transfer_id FROM payouts WHERE id = '{b1}'"
    ));
    staffed.shop.reverse(&transfer, 100);
    let run = staffed.run("oli", &["reconcile", "--fix"]);
    assert!([0, 1].contains(&run.code), "{run}");
    assert_eq!(staffed.one("SELECT count(*) FROM payout_reversals"), "1");
    let help = staffed.shop.env.run(&["--help"]).stdout;
    let exists = |command: &str| help.contains(&format!("\n  {command} "));
    for (command, args) in [
        ("notify", &["notify", "--preview"][..]),
        ("check", &["check", "--mail"]),
    ] {
        if exists(command) {
            let run = staffed.run("oli", args);
            assert!(!run.stderr.contains("permission denied"), "{run}");
        }
    }

    // Everybody reads.
    for person in ["rae", "oli", "zoe"] {
        for command in [
            &["list"][..],
            &["show", &b1],
            &["receipt", &unknown],
            &["report", "--period", "2026-11"],
            &["batches", "list"],
            &["statements", "list"],
            &["creators", "show", "cr_ann"],
            &["reconcile", "--show", "last"],
            &["events", "list"],
            &["migrate", "--status"],
            &["doctor", "--verify-history"],
            &["doctor"],
            &["process", "--dry-run"],
            &["stats"],
            &["check"],
            &["runs", "list"],
        ] {
            if exists(command[0]) {
                let run = staffed.run(person, command);
                assert!([0, 1, 2].contains(&run.code), "{person}: {run}");
                assert!(!run.stderr.contains("permission denied"), "{person}: {run}");
                assert!(!run.stdout.contains("permission denied"), "{person}: {run}");
            }
        }
    }
    staffed.shop.assert_paid_exactly_once();
}

#[test]
fn nobody_approves_or_acts_under_another_name() {
    let mut staffed = Staffed::open();
    staffed
        .shop
        .env
        .set("PAYOUTS_APPROVAL_THRESHOLD_CENTS", "0");
    let made = staffed
        .run("oli", &["create", "--creator", "cr_ben", "--amount", "250"])
        .expect_code(0);
    let id = made
        .stdout
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let run = staffed.one("SELECT id FROM payout_runs");
    let (ann, oli, zoe) = (
        staffed.named("ann"),
        staffed.named("oli"),
        staffed.named("zoe"),
    );
    let approval = |actor: &str| {
        format!(
            "INSERT INTO payout_approvals VALUES ('{id}', '{actor}', 'cr_ben', 25000, 'acct_ben', NULL, '{run}', now())"
        )
    };
    let history = |actor: &str, event: &str| {
        format!(
            "INSERT INTO payout_history VALUES ('{id}', 2, '{event}', 'PENDING', 'PENDING', now(), '{actor}', '{run}', NULL, 'x')"
        )
    };
    let begin = |actor: &str| {
        format!(
            "INSERT INTO payout_runs VALUES ('forged', 'approve', '', '{actor}', '', '', now(), now())"
        )
    };
    let mut operator = staffed.session("oli");
    let mut approver = staffed.session("zoe");
    let role = |name: &str| format!("role:{name}");
    for (who, forged) in [
        // An operator approves for nobody, himself included.
        (
            &mut operator,
            vec![
                approval(&role(&ann)),
                approval(&role(&oli)),
                approval("ann"),
            ],
        ),
        // An approver for herself alone, and under her role's name alone.
        (
            &mut approver,
            vec![
                approval(&role(&ann)),
                approval("zoe"),
                approval(&role(&zoe).to_uppercase()),
            ],
        ),
    ] {
        for sql in forged {
            assert!(!lets(who, &sql), "{sql}");
        }
    }
    assert!(lets(&mut approver, &approval(&role(&zoe))));
    // Nor is a run or a row of history written in somebody else's name: so the maker is who he is.
    for session in [&mut operator, &mut approver] {
        for sql in [history(&role(&ann), "approved"), begin(&role(&ann))] {
            assert!(!lets(session, &sql), "{sql}");
        }
    }
    assert!(lets(&mut operator, &history(&role(&oli), "held")));
    assert!(lets(&mut operator, &begin(&role(&oli))));
    assert!(lets(&mut approver, &history(&role(&zoe), "approved")));
    assert!(!lets(&mut approver, &history(&role(&zoe), "created")));
    // SET ROLE does not change who logged in.
    let operators = staffed.named("payouts_operator");
    assert!(lets(
        &mut operator,
        &format!("SET ROLE {operators}; {}", history(&role(&oli), "held"))
    ));
    assert!(!lets(
        &mut operator,
        &format!("SET ROLE {}", staffed.named("payouts_approver"))
    ));

    // Nor does anybody end another's run, or move what the database is stamped with.
    for sql in [
        "UPDATE payout_settings SET value = 'acct_thief' WHERE key = 'database_id'",
        "UPDATE payout_settings SET key = 'x' WHERE key = 'currency'",
    ] {
        assert!(!lets(&mut operator, sql), "{sql}");
    }
    assert!(!lets(&mut approver, "UPDATE payout_runs SET summary = 'x'"));
    assert!(lets(&mut operator, "UPDATE payout_runs SET summary = 'x'"));

    // A role that has rights of its own and is in none of them is held to its name all the same; so
    // is the owner, who alone can change that.
    let stray = staffed.named("stray");
    staffed.shop.db.execute(&format!(
        "CREATE ROLE {stray} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {stray};
         GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {stray}",
        schema = staffed.shop.db.schema()
    ));
    for mut session in [staffed.session("stray"), staffed.shop.db.session()] {
        assert!(!lets(&mut session, &approval(&role(&ann))));
        assert!(!lets(&mut session, &approval("ann")));
        assert!(!lets(&mut session, &history(&role(&ann), "approved")));
    }
    let unguarded = format!(
        "ALTER TABLE payout_approvals DISABLE TRIGGER USER; {}",
        approval("ann")
    );
    assert!(!lets(&mut staffed.session("stray"), &unguarded));
    assert!(lets(&mut staffed.shop.db.session(), &unguarded));
    staffed
        .shop
        .db
        .execute(&format!("DROP OWNED BY {stray} CASCADE; DROP ROLE {stray}"));
}
