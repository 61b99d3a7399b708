//! `payouts backup`, and what a restore of a day-old backup means for payments made since: nothing is
//! paid twice, the books tie, and what the tool cannot know is a finding.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use payouts::sandbox::Fault;
use serde_json::Value;

use crate::common::db::{Backend, Session, TestDb, on_both};
use crate::common::env::TestEnv;
use crate::common::shop::Shop;

const DAY: Duration = Duration::from_secs(86_400);

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is read");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    names
}

fn json(stdout: &str) -> Value {
    serde_json::from_str(stdout).expect("it is JSON")
}

#[test]
fn a_backup_is_whole_its_owners_alone_and_never_replaces_a_file() {
    let shop = Shop::open(TestDb::sqlite());
    shop.payouts(3);
    shop.process(&[]).expect_code(0);
    let run = shop.env.run(&["backup", "first.db"]).expect_code(0);
    let sha256 = payouts::model::history::hex(&sha2(
        &fs::read(shop.env.path("first.db")).expect("it is read"),
    ));
    insta::assert_snapshot!(run.transcript().replace(&sha256, "(the file's)"), @r"
    $ payouts backup first.db
    Backup          first.db
    Size            442,368 bytes
    SHA-256         (the file's)
    Read back       whole: pages, indexes, foreign keys
    Rows            3 payouts, 3 attempts, 6 of history
    Newest attempt  2026-11-02T09:30:00.000Z
    --- stderr
    --- exit 0
    ");
    let mode = fs::metadata(shop.env.path("first.db"))
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // The same database as far as anybody can tell, and its SHA-256 is the file's.
    let copy = TestDb::sqlite();
    fs::copy(shop.env.path("first.db"), copy.file()).expect("it is copied");
    let all = "SELECT * FROM payout_history ORDER BY payout_id, seq";
    assert_eq!(copy.query_strings(all), shop.db.query_strings(all));
    let run = shop
        .env
        .run(&["backup", "second.db", "-o", "json"])
        .expect_code(0);
    let answer = json(&run.stdout);
    let bytes = fs::read(shop.env.path("second.db")).expect("it is read");
    assert_eq!(
        answer["sha256"],
        payouts::model::history::hex(&sha2(&bytes))
    );
    assert_eq!(answer["bytes"], bytes.len());
    assert!(
        answer["tables"]
            .as_array()
            .expect("tables")
            .iter()
            .any(|table| { table["table"] == "payouts" && table["rows"] == 3 }),
        "{run}"
    );

    let run = shop.env.run(&["backup", "second.db"]).expect_code(4);
    assert!(run.stderr.contains("is there already"), "{run}");
    assert_eq!(
        fs::read(shop.env.path("second.db")).expect("it is read"),
        bytes
    );
    shop.env.run(&["backup", "nowhere/x.db"]).expect_code(3);
    assert_eq!(names(&shop.env.path("")), ["first.db", "second.db"]);
}

fn sha2(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).to_vec()
}

#[test]
fn a_folder_keeps_the_newest_and_what_a_person_named() {
    let mut shop = Shop::open(TestDb::sqlite());
    fs::create_dir(shop.env.path("kept")).expect("a folder is made");
    shop.env
        .run(&["backup", "kept/before-upgrade.db"])
        .expect_code(0);
    for deleted in [0, 0, 1, 1] {
        let run = shop
            .env
            .run(&["backup", "kept", "--keep", "2", "-o", "json"])
            .expect_code(0);
        let answer = json(&run.stdout);
        assert_eq!(
            answer["deleted"].as_array().map(Vec::len),
            Some(deleted),
            "{run}"
        );
        // Not a second later: its name is taken, and nothing is deleted.
        shop.env
            .run(&["backup", "kept", "--keep", "1"])
            .expect_code(4);
        shop.pass(DAY);
    }
    assert_eq!(
        names(&shop.env.path("kept")),
        [
            "before-upgrade.db",
            "payouts-20261104T093000Z.db",
            "payouts-20261105T093000Z.db"
        ]
    );
    shop.env
        .run(&["backup", "new.db", "--keep", "2"])
        .expect_code(2);
    shop.env
        .run(&["backup", "kept", "--keep", "0"])
        .expect_code(2);
}

#[test]
fn what_cannot_be_backed_up_is_told() {
    let mut env = TestEnv::new();
    env.set("DATABASE_URL", "sqlite:nowhere.db");
    env.run(&["backup", "x.db"]).expect_code(3);
    let db = TestDb::postgres();
    env.use_database(&db);
    let run = env.run(&["backup", "x.db"]).expect_code(2);
    assert!(run.stderr.contains("pg_dump"), "{run}");
    // A page that was damaged is not copied into something that looks like a backup.
    let shop = Shop::open(TestDb::sqlite());
    shop.payouts(200);
    shop.db.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    let mut bytes = fs::read(shop.db.file()).expect("it is read");
    let at = bytes
        .windows(5)
        .rposition(|window| window == b"cp150")
        .expect("a payout's id");
    bytes[at + 2] = b'x';
    fs::write(shop.db.file(), bytes).expect("it is written");
    let run = shop.env.run(&["backup", "damaged.db"]).expect_code(1);
    assert!(run.stderr.contains("damaged"), "{run}");
    assert_eq!(names(&shop.env.path("")), [""; 0]);
    // Nor is anything made where nothing may be.
    fs::create_dir(shop.env.path("closed")).expect("a folder is made");
    fs::set_permissions(shop.env.path("closed"), Permissions::from_mode(0o500))
        .expect("it is closed");
    if !rustix::process::geteuid().is_root() {
        shop.env.run(&["backup", "closed"]).expect_code(3);
    }
}

/// A backup as the documentation has it made, of either database.
fn back_up(shop: &Shop, session: &mut Session) {
    match shop.db.backend() {
        Backend::Sqlite => {
            shop.env.run(&["backup", "yesterday.db"]).expect_code(0);
        }
        Backend::Postgres => shop.db.keep(session, "kept"),
    }
}

/// Its restore.
fn restore(shop: &Shop, session: Session) {
    match shop.db.backend() {
        Backend::Sqlite => {
            drop(session);
            let file = shop.db.file();
            for end in ["", "-wal", "-shm"] {
                let mut old = file.clone().into_os_string();
                old.push(end);
                let _ = fs::remove_file(old);
            }
            fs::copy(shop.env.path("yesterday.db"), file).expect("the backup is restored");
        }
        Backend::Postgres => drop(shop.db.put_back(session, "kept")),
    }
}

on_both! {
    fn a_day_old_backup_is_restored_and_nobody_is_paid_twice(db: TestDb) {
        let mut shop = Shop::open(db);
        let mut session = shop.db.session();
        for name in ["ann", "ben", "cem", "dan_closed", "eve"] {
            shop.creator(name);
        }
        // The first day: one paid, one refused, and one that waits.
        shop.env.write("one.csv", "creator,amount,reference\ncr_ann,10.00,A1\ncr_dan_closed,30.00,D1\n");
        shop.env.run(&["create", "--file", "one.csv", "--release"]).expect_code(0);
        shop.process(&[]).expect_code(1);
        shop.env.write("wait.csv", "creator,amount,reference\ncr_eve,40.00,E1\n");
        shop.env.run(&["create", "--file", "wait.csv", "--release"]).expect_code(0);
        back_up(&shop, &mut session);
        // The second: what waited is paid; of a new batch some are paid, one to a creator who is new
        // too, one is refused, and of two nobody knows.
        shop.pass(DAY);
        shop.creator("new");
        shop.env.write(
            "two.csv",
            "creator,amount,reference\ncr_ann,11.00,A2\ncr_ben,21.00,B2\ncr_cem,31.00,C2\ncr_dan_closed,12.00,D2\ncr_new,51.00,N2\n",
        );
        shop.env.run(&["create", "--file", "two.csv", "--release"]).expect_code(0);
        shop.fault("ben", Fault::ResetAfter, 1);
        shop.fault("cem", Fault::ResetBefore, 9);
        shop.process(&[]).expect_code(5);
        shop.stripe.faults_clear();
        let made = shop.transfers().len();
        assert_eq!(made, 5);

        restore(&shop, session);
        shop.pass(Duration::from_secs(3 * 3600));
        // It knows that it does not know, and sends nothing.
        let sends = shop.sends();
        let run = shop.process(&[]).expect_code(4);
        assert!(run.stderr.contains("payouts reconcile --fix"), "{run}");
        shop.env.run(&["retry", "--all"]);
        shop.process(&[]).expect_code(4);
        assert_eq!(shop.sends(), sends);
        // It is told. What it cannot make again is named: that creator is not there any more.
        shop.reconcile(&["--fix"]).expect_code(1);
        let open = "SELECT id, kind, transfer_id FROM payout_findings WHERE state = 'open'";
        let open = shop.db.query_strings(open);
        let to_new = shop.transfers().into_iter().find(|transfer| &*transfer.destination == "acct_new");
        let to_new = to_new.expect("it was paid").id;
        assert_eq!(open.len(), 1, "{open:?}");
        assert_eq!(open[0][1..], [Some("forgotten_payout".to_owned()), Some(to_new)]);
        shop.process(&[]).expect_code(4);
        let finding = open[0][0].clone().expect("an id");
        let accepted = ["--accept", &finding, "--reason", "the creator came after the backup; paid"];
        shop.reconcile(&accepted).expect_code(0);
        // What was in the file and is not back is loaded again, as people do; the rest counts as loaded.
        shop.env.write(
            "again.csv",
            "creator,amount,reference\ncr_ann,11.00,A2\ncr_ben,21.00,B2\ncr_cem,31.00,C2\ncr_dan_closed,12.00,D2\n",
        );
        let run = shop.env.run(&["create", "--file", "again.csv", "--release"]).expect_code(0);
        assert!(run.stdout.contains("Already loaded  2 payouts"), "{run}");
        shop.process(&[]);
        shop.process(&[]);

        shop.assert_paid_exactly_once();
        let mut paid: Vec<String> = shop
            .transfers()
            .iter()
            .map(|transfer| transfer.metadata.get("reference").expect("every payout has one").clone())
            .collect();
        paid.sort();
        assert_eq!(paid, ["A1", "A2", "B2", "C2", "E1", "N2"]);
        assert_eq!(shop.found(&[]), (vec![], 0));
        let run = shop.env.run(&["report", "--period", "2026-11", "--summary", "-o", "json"]).expect_code(0);
        // To the cent what went out, less what a person accepted as paid.
        let sent: i64 = shop.transfers().iter().map(|transfer| transfer.amount).sum();
        let booked = shop.one("SELECT CAST(SUM(amount_cents) AS TEXT) FROM payouts WHERE status = 'COMPLETED'");
        assert_eq!(booked, (sent - 5100).to_string(), "{run}");
        let lines = json(&run.stdout);
        let paid = lines["lines"].as_array().expect("lines").iter().find(|line| line["line"] == "paid");
        assert_eq!(paid.expect("a line")["amount_cents"].as_i64().map(i64::abs), Some(sent - 5100), "{run}");
    }

    fn a_program_that_is_older_than_its_database_refuses_and_says_why(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.db.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('999')");
        for command in [&["process"][..], &["list"], &["migrate"]] {
            let run = shop.env.run(command).expect_code(3);
            assert!(run.stderr.contains("holds migrations this version does not know: 999"), "{run}");
            assert!(run.stderr.contains("hint: use the version of payouts that migrated it, or a newer one"), "{run}");
        }
        assert_eq!(shop.sends(), 0);
        // It can still be saved.
        if shop.db.backend() == Backend::Sqlite {
            shop.env.run(&["backup", "x.db"]).expect_code(0);
        }
    }
}
