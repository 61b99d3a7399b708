//! `payouts creators` as people and scripts see it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;

use crate::common::db::{TestDb, on_both};
use crate::common::env::TestEnv;
use crate::common::seed::{PayoutRow, creator, migrated};

/// A machine whose database has the schema and nothing else.
fn empty(db: &TestDb) -> TestEnv {
    drop(migrated(db));
    let mut env = TestEnv::new();
    env.use_database(db);
    env
}

/// A machine on a platform's database: users and creators were there before, with
/// columns of their own.
fn platform(db: &TestDb) -> TestEnv {
    db.execute(
        r#"CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT,
            "createdAt" TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" TIMESTAMP NOT NULL);
        CREATE TABLE creators (id TEXT PRIMARY KEY, "userId" TEXT NOT NULL UNIQUE REFERENCES users (id),
            "stageName" TEXT NOT NULL, specialties TEXT NOT NULL DEFAULT '[]', "stripeAccountId" TEXT UNIQUE,
            "onboardingStatus" TEXT NOT NULL DEFAULT 'pending',
            "verificationStatus" TEXT NOT NULL DEFAULT 'pending', "deletedAt" TIMESTAMP,
            "createdAt" TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" TIMESTAMP NOT NULL)"#,
    );
    empty(db)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn rows_of(db: &TestDb, table: &str) -> String {
    let rows = db.query_strings(&format!("SELECT COUNT(*) FROM {table}"));
    rows[0][0].clone().unwrap()
}

const FILE: &str = "\u{feff}ID, Name ,E-Mail,stripe_account,onboarding_status\r\n\
    ann,Ann Bell,ann@example.com,acct_ann,complete\r\n\
    ,\"Ben \"\"B\"\" Cole, Jr.\",ben@example.com,,\r\n\r\n";

on_both! {
    fn a_file_is_imported_once(db: TestDb) {
        let env = empty(&db);
        env.write("creators.csv", FILE.replace("E-Mail", "EMAIL"));
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["creators", "list"]).transcript(), @r"
            $ payouts creators list
            no creators
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["creators", "import", "creators.csv"]).transcript(), @r"
            $ payouts creators import creators.csv
            2 added, 0 updated, 0 already there
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["creators", "list"]).transcript(), @r#"
            $ payouts creators list
            Creator                    Name               E-mail           Stripe account  Onboarding
            ann                        Ann Bell           ann@example.com  acct_ann        complete
            c000000000000000000000001  Ben "B" Cole, Jr.  ben@example.com  -               pending
            --- stderr
            --- exit 0
            "#);
            insta::assert_snapshot!(env.run(&["creators", "import", "creators.csv", "-o", "json"]).transcript(), @r#"
            $ payouts creators import creators.csv -o json
            {
              "schema": 1,
              "added": 0,
              "updated": 0,
              "already_there": 2,
              "errors": []
            }
            --- stderr
            --- exit 0
            "#);
        }
        let runs = db.query_strings("SELECT command, arguments, actor, exit_code, summary FROM payout_runs ORDER BY summary DESC");
        let text = |cells: &[&str]| cells.iter().map(|cell| Some((*cell).to_owned())).collect::<Vec<_>>();
        assert_eq!(runs[0], text(&["creators", "creators import creators.csv", "tester", "0", "2 added, 0 updated, 0 already there"]));
        let user = db.query_strings(r#"SELECT u.email, u.name, c."createdAt", c."updatedAt" FROM users u JOIN creators c ON c."userId" = u.id WHERE c.id = 'ann'"#);
        assert_eq!(user[0], text(&["ann@example.com", "Ann Bell", "2026-11-02 09:30:00", "2026-11-02 09:30:00"]));
    }

    fn a_bad_row_keeps_all_of_the_file_out(db: TestDb) {
        let env = empty(&db);
        creator(&db, "old", "Old Name");
        env.write("creators.csv", "id,name,email,stripe_account\n\
            new,New,new@example.com,acct_new\n\
            old,Other Name,OLD@example.com,acct_old\n\
            two,Two,old@example.com,\n\
            three,,three@example,card_1\n\
            four,Four,nobody,acct_new\n\
            new,Five,NEW@example.com,\n");
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["creators", "import", "creators.csv"]).transcript(), @r"
            $ payouts creators import creators.csv
            --- stderr
            Line  Column          Value            Reason
               3  name            Other Name       creator old has Old Name here
               4  email           old@example.com  line 3 has the same email
               4  email           old@example.com  belongs to creator old already
               5  stripe_account  card_1           not a Stripe account id, which begins with acct_
               5  name                             must not be empty
               6  email           nobody           not an e-mail address
               6  stripe_account  acct_new         line 2 has the same stripe_account
               7  id              new              line 2 has the same id
               7  email           NEW@example.com  line 2 has the same email
            by reason: 4 duplicate, 2 text, 2 differs, 1 missing
            error: 5 rows of creators.csv cannot be imported; nothing was imported
            --- exit 1
            ");
        }
        let told = json(&env.run_with_input(&["creators", "import", "-", "-o", "json"], "name,email\nx,\n").expect_code(1).stdout);
        assert_eq!(told["added"], 0);
        assert_eq!(told["errors"], serde_json::json!([
            {"line": 2, "column": "email", "value": "", "kind": "missing", "reason": "must not be empty"},
        ]));
        assert_eq!((rows_of(&db, "creators"), rows_of(&db, "users")), ("1".to_owned(), "1".to_owned()));
    }

    fn a_row_that_differs_replaces_what_is_stored_only_when_it_is_meant(db: TestDb) {
        let env = empty(&db);
        creator(&db, "ann", "Ann");
        env.write("creators.csv", "id,name,email,stripe_account\nann,Ann Bell,bell@example.com,acct_new\n");
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["creators", "import", "creators.csv"]).transcript(), @r"
            $ payouts creators import creators.csv
            --- stderr
            Line  Column          Value             Reason
               2  name            Ann Bell          creator ann has Ann here
               2  email           bell@example.com  creator ann has ann@example.com here
               2  stripe_account  acct_new          creator ann has acct_ann here
            by reason: 3 differs
            error: 1 row of creators.csv cannot be imported; nothing was imported
            --- exit 1
            ");
            insta::assert_snapshot!(env.run(&["creators", "import", "creators.csv", "--update"]).transcript(), @r"
            $ payouts creators import creators.csv --update
            0 added, 1 updated, 0 already there
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["creators", "import", "creators.csv", "--update"]).transcript(), @r"
            $ payouts creators import creators.csv --update
            0 added, 0 updated, 1 already there
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["creators", "list", "-o", "csv"]).transcript(), @r"
            $ payouts creators list -o csv
            id,name,email,stripe_account_id,onboarding_status,deleted_at,created_at
            ann,Ann Bell,bell@example.com,acct_new,pending,,2026-01-01T00:00:00.000Z
            --- stderr
            --- exit 0
            ");
        }
        // An empty cell says nothing; what the platform says of onboarding is not ours to replace.
        env.write("again.csv", "id,name,email,stripe_account,onboarding_status\nann,Ann B.,bell@example.com,,\n");
        env.run(&["creators", "import", "again.csv", "--update"]).expect_code(0);
        let stored = db.query_strings(r#"SELECT "stageName", "stripeAccountId" FROM creators"#);
        assert_eq!(stored, [[Some("Ann B.".to_owned()), Some("acct_new".to_owned())]]);
        env.write("again.csv", "name,email,onboarding_status\nAnn B.,bell@example.com,complete\n");
        let told = env.run(&["creators", "import", "again.csv", "--update"]).expect_code(1);
        assert!(told.stderr.contains("creator ann has pending here"), "{told}");
    }

    fn one_is_added_and_shown(db: TestDb) {
        let env = empty(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["creators", "add", "--id", "ann", "--name", "Ann Bell", "--email", "ann@example.com"]).transcript(), @r"
            $ payouts creators add --id ann --name 'Ann Bell' --email ann@example.com
            Creator         ann
            Name            Ann Bell
            E-mail          ann@example.com
            Stripe account  none yet
            Onboarding      pending
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["creators", "add", "--id", "ann", "--name", "Ann", "--email", "ann"]).transcript(), @r#"
            $ payouts creators add --id ann --name Ann --email ann
            --- stderr
            error: the creator cannot be added; nothing was added
              1: email "ann": not an e-mail address
              2: name "Ann": creator ann has Ann Bell here
              3: email "ann": creator ann has ann@example.com here
            --- exit 1
            "#);
            insta::assert_snapshot!(env.run(&["creators", "show", "ann@EXAMPLE.com"]).transcript(), @r"
            $ payouts creators show ann@EXAMPLE.com
            Creator         ann
            Name            Ann Bell
            E-mail          ann@example.com
            Stripe account  none yet
            Onboarding      pending
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["creators", "show", "nobody"]).transcript(), @r"
            $ payouts creators show nobody
            --- stderr
            error: no creator has this id, e-mail address or Stripe account: nobody
            hint: `payouts creators list TEXT` finds creators by part of a name or e-mail address
            --- exit 1
            ");
        }
    }

    fn a_creator_shows_what_the_payouts_come_to(db: TestDb) {
        let env = empty(&db);
        creator(&db, "ann", "Ann \u{1b}[31mBell");
        PayoutRow::new("p1", "ann").insert(&db);
        PayoutRow { cents: i32::MAX, created: "2026-10-02 08:00:00", ..PayoutRow::new("p2", "ann") }.insert(&db);
        PayoutRow { status: "COMPLETED", transfer: Some("tr_1"), created: "2026-10-03 08:00:00", ..PayoutRow::new("p3", "ann") }.insert(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["creators", "show", "acct_ann"]).transcript(), @r"
            $ payouts creators show acct_ann
            Creator         ann
            Name            Ann [31mBell
            E-mail          ann@example.com
            Stripe account  acct_ann
            Onboarding      pending
            PENDING         21,475,336.47 USD, 2 payouts
            COMPLETED       500.00 USD, 1 payout

            Payout  Created                      Amount  Status     Transfer
            p3      2026-10-03 08:00         500.00 USD  COMPLETED  tr_1
            p2      2026-10-02 08:00  21,474,836.47 USD  PENDING    -
            p1      2026-10-01 08:00         500.00 USD  PENDING    -
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["creators", "show", "ann", "-o", "json"]).transcript(), @r#"
            $ payouts creators show ann -o json
            {
              "schema": 1,
              "creator": {
                "id": "ann",
                "name": "Ann \u001b[31mBell",
                "email": "ann@example.com",
                "stripe_account_id": "acct_ann",
                "onboarding_status": "pending",
                "deleted_at": null,
                "created_at": "2026-01-01T00:00:00.000Z"
              },
              "hold": null,
              "account_state": null,
              "totals": {
                "PENDING": {
                  "count": 2,
                  "amount_cents": 2147533647,
                  "currency": "usd"
                },
                "PROCESSING": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                },
                "COMPLETED": {
                  "count": 1,
                  "amount_cents": 50000,
                  "currency": "usd"
                },
                "FAILED": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                },
                "all": {
                  "count": 3,
                  "amount_cents": 2147583647,
                  "currency": "usd"
                },
                "reversed": {
                  "count": 0,
                  "amount_cents": 0,
                  "currency": "usd"
                },
                "paid_less_reversed": {
                  "count": 1,
                  "amount_cents": 50000,
                  "currency": "usd"
                }
              },
              "payouts": [
                {
                  "id": "p3",
                  "status": "COMPLETED",
                  "amount_cents": 50000,
                  "currency": "usd",
                  "royalty_statement_id": null,
                  "stripe_transfer_id": "tr_1",
                  "created_at": "2026-10-03T08:00:00.000Z",
                  "processed_at": null
                },
                {
                  "id": "p2",
                  "status": "PENDING",
                  "amount_cents": 2147483647,
                  "currency": "usd",
                  "royalty_statement_id": null,
                  "stripe_transfer_id": null,
                  "created_at": "2026-10-02T08:00:00.000Z",
                  "processed_at": null
                },
                {
                  "id": "p1",
                  "status": "PENDING",
                  "amount_cents": 50000,
                  "currency": "usd",
                  "royalty_statement_id": null,
                  "stripe_transfer_id": null,
                  "created_at": "2026-10-01T08:00:00.000Z",
                  "processed_at": null
                }
              ],
              "currency": "usd"
            }
            --- stderr
            --- exit 0
            "#);
        }
    }

    fn a_page_goes_on_where_the_one_before_ended(db: TestDb) {
        let env = empty(&db);
        for id in ["ann", "ben", "cat", "dan", "eve"] {
            creator(&db, id, &format!("Name 100% of {id}"));
        }
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["creators", "list", "NAME 100% OF", "--limit", "2"]).transcript(), @r#"
            $ payouts creators list 'NAME 100% OF' --limit 2
            Creator  Name              E-mail           Stripe account  Onboarding
            ann      Name 100% of ann  ann@example.com  acct_ann        pending
            ben      Name 100% of ben  ben@example.com  acct_ben        pending
            --- stderr
            next page: payouts creators list … --after ben
            --- exit 0
            "#);
        }
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let page = json(&env.run(&["creators", "list", "--limit", "2", "--after", &after, "-o", "json"]).expect_code(0).stdout);
            seen.extend(page["creators"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => next.clone_into(&mut after),
                None => break,
            }
        }
        assert_eq!(seen, ["ann", "ben", "cat", "dan", "eve"]);
        let found = |text: &str| env.run(&["creators", "list", text, "-o", "ndjson"]).expect_code(0).stdout.lines().count();
        assert_eq!(found("BEN@EXAMPLE"), 1);
        assert_eq!(found("e"), 5, "every name and e-mail address has an e");
        assert_eq!((found("_"), found("\\"), found("%")), (0, 0, 5));
    }

    fn a_platform_s_creators_are_read_and_not_written(db: TestDb) {
        let env = platform(&db);
        creator(&db, "ann", "Ann Bell");
        env.write("creators.csv", "name,email\nNew,new@example.com\n");
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["creators", "list"]).transcript(), @r"
            $ payouts creators list
            Creator  Name      E-mail           Stripe account  Onboarding
            ann      Ann Bell  ann@example.com  acct_ann        pending
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["creators", "import", "creators.csv"]).transcript(), @r"
            $ payouts creators import creators.csv
            --- stderr
            error: the table users belongs to the platform, which alone writes to it
            hint: have the platform add them; payouts reads what it finds there
            --- exit 4
            ");
            insta::assert_snapshot!(env.run(&["creators", "add", "--name", "New", "--email", "new@example.com"]).transcript(), @r"
            $ payouts creators add --name New --email new@example.com
            --- stderr
            error: the table users belongs to the platform, which alone writes to it
            hint: have the platform add them; payouts reads what it finds there
            --- exit 4
            ");
        }
        assert_eq!((rows_of(&db, "creators"), rows_of(&db, "payout_runs")), ("1".to_owned(), "0".to_owned()));
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let db = TestDb::sqlite();
    let env = empty(&db);
    insta::assert_snapshot!(env.run(&["creators", "import", "nowhere.csv"]).transcript(), @r"
    $ payouts creators import nowhere.csv
    --- stderr
    error: failed to read nowhere.csv
      1: No such file or directory (os error 2)
    --- exit 3
    ");
}
