//! `payouts statements` as people and scripts see it.

use crate::common::db::{TestDb, on_both};
use crate::common::env::TestEnv;
use crate::common::seed::{AttemptRow, PayoutRow, creator, migrated, run, statement};

/// A machine whose database has two creators.
fn two_creators(db: &TestDb) -> TestEnv {
    drop(migrated(db));
    creator(db, "ann", "Ann Bell");
    creator(db, "ben", "Ben Cole");
    let mut env = TestEnv::new();
    env.use_database(db);
    env
}

const FILE: &str = "creator,run,period,net_payable,platform_fee,status\n\
    ann@example.com,2026-10,2026-10,500.00,50,\n\
    acct_ben,2026-10,2026-10,20.5,0,resolved\n";

on_both! {
    fn a_file_is_imported_once_with_its_run(db: TestDb) {
        let env = two_creators(&db);
        env.write("statements.csv", FILE);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["statements", "list"]).transcript(), @r"
            $ payouts statements list
            no statements
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["statements", "import", "statements.csv"]).transcript(), @r"
            $ payouts statements import statements.csv
            2 added, 0 updated, 0 already there
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["statements", "import", "statements.csv"]).transcript(), @r"
            $ payouts statements import statements.csv
            0 added, 0 updated, 2 already there
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["statements", "list"]).transcript(), @r"
            $ payouts statements list
            Statement                  Run      Creator   Net payable  Paid  In flight    Left  Status
            c000000000000000000000001  2026-10  Ann Bell   500.00 USD  0.00       0.00  500.00  REVIEWED
            c000000000000000000000002  2026-10  Ben Cole    20.50 USD  0.00       0.00   20.50  RESOLVED
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["statements", "list", "--creator", "ben", "-o", "json"]).transcript(), @r#"
            $ payouts statements list --creator ben -o json
            {
              "schema": 1,
              "statements": [
                {
                  "id": "c000000000000000000000002",
                  "royalty_run_id": "2026-10",
                  "period_start": "2026-10-01T00:00:00.000Z",
                  "period_end": "2026-10-31T23:59:59.999Z",
                  "creator_id": "ben",
                  "creator_name": "Ben Cole",
                  "total_earnings_cents": 2050,
                  "platform_fee_cents": 0,
                  "net_payable_cents": 2050,
                  "completed_cents": 0,
                  "reversed_cents": 0,
                  "in_flight_cents": 0,
                  "left_cents": 2050,
                  "currency": "usd",
                  "status": "RESOLVED",
                  "disputed_at": null,
                  "paid_at": null,
                  "payment_reference": null,
                  "created_at": "2026-11-02T09:30:00.000Z",
                  "updated_at": "2026-11-02T09:30:00.000Z"
                }
              ],
              "next": null
            }
            --- stderr
            --- exit 0
            "#);
        }
        let run = db.query_strings("SELECT id, period_start, period_end, CAST(status AS TEXT) FROM royalty_runs");
        let expected = ["2026-10", "2026-10-01 00:00:00", "2026-10-31 23:59:59.999", "LOCKED"];
        assert_eq!(run, [expected.map(|text| Some(text.to_owned()))]);
        let count = |args: &[&str]| {
            let args: Vec<&str> = ["statements", "list", "-o", "ndjson"].iter().chain(args).copied().collect();
            env.run(&args).expect_code(0).stdout.lines().count()
        };
        assert_eq!(count(&["--status", "resolved"]), 1);
        assert_eq!(count(&["--status", "resolved", "--status", "REVIEWED"]), 2);
        assert_eq!(count(&["--run", "2026-10"]), 2);
        assert_eq!(count(&["--run", "2026-11"]), 0);
    }

    fn what_is_owed_is_never_changed_in_silence(db: TestDb) {
        let env = two_creators(&db);
        env.write("statements.csv", FILE);
        env.run(&["statements", "import", "statements.csv"]).expect_code(0);
        env.write("other.csv", "creator,run,period_start,period_end,net_payable,net_payable_cents,platform_fee,status\n\
            ann,2026-10,,,500.01,,,\n\
            ben,2026-10,2026-10-01,2026-10-30,,2050,,\n\
            ann,2026-11,,,5,,,\n\
            ben,2026-12,2026-12-01,2026-12-31,-5,,1.234,PAID\n\
            nobody,2026-12,2026-12-01,2026-12-31,5,500,,gone\n\
            ANN@example.com,2026-10,,,500,,,\n");
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["statements", "import", "other.csv"]).transcript(), @r"
            $ payouts statements import other.csv
            --- stderr
            Line  Column        Value            Reason
               2  net_payable   500.01 USD       statement c000000000000000000000001 has 500.00 USD here
               3  run           2026-10          this run goes from 2026-10-01T00:00:00.000Z to 2026-10-31T23:59:59.999Z
               4  run           2026-11          no royalty run has this id; give its period, such as 2026-10, to make it
               5  net_payable   -5               a sign has no place in an amount; payouts are always positive
               5  platform_fee  1.234            USD has 2 decimals, not 3
               5  status        PAID             a statement becomes PAID when its payouts are completed
               6  net_payable   5                there is something under net_payable_cents too; give one of them
               6  status        gone             use one of PENDING, REVIEWED, DISPUTED, RESOLVED
               6  creator       nobody           no creator has this id, e-mail address or Stripe account
               7  creator       ANN@example.com  line 2 has the same statement
            by reason: 3 amount, 2 royalty run, 1 text, 1 unknown creator, 1 duplicate, 1 differs, 1 statement
            error: 6 rows of other.csv cannot be imported; nothing was imported
            --- exit 1
            ");
        }
        assert_eq!(db.query_strings("SELECT COUNT(*) FROM royalty_runs")[0][0].as_deref(), Some("1"));
        // That a statement was paid since is no news.
        db.execute("UPDATE royalty_statements SET status = 'PAID', paid_at = '2026-11-01 00:00:00'");
        let again = env.run(&["statements", "import", "statements.csv"]).expect_code(0);
        assert_eq!(again.stdout, "0 added, 0 updated, 2 already there\n");
    }

    fn one_is_added_and_shows_what_is_left(db: TestDb) {
        let env = two_creators(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["statements", "add", "--id", "s1", "--creator", "ann", "--run", "r1", "--net-payable", "500"]).transcript(), @r#"
            $ payouts statements add --id s1 --creator ann --run r1 --net-payable 500
            --- stderr
            error: the statement cannot be added; nothing was added
              1: run "r1": no royalty run has this id; give its period, such as 2026-10, to make it
            --- exit 1
            "#);
            insta::assert_snapshot!(env.run(&["statements", "add", "--id", "s1", "--creator", "ann", "--run", "r1", "--period", "2026-10", "--net-payable", "500"]).transcript(), @r"
            $ payouts statements add --id s1 --creator ann --run r1 --period 2026-10 --net-payable 500
            Statement       s1
            Creator         Ann Bell (ann)
            Royalty run     r1, 2026-10-01 00:00 to 2026-10-31 23:59 UTC
            Total earnings  500.00 USD
            Platform fee    0.00 USD
            Net payable     500.00 USD
            Paid            0.00 USD
            In flight       0.00 USD
            Left            500.00 USD
            Status          REVIEWED
            --- stderr
            --- exit 0
            ");
        }
        let payout = |id, cents, status| PayoutRow { statement: Some("s1"), cents, status, ..PayoutRow::new(id, "ann") };
        payout("p1", 10_000, "COMPLETED").insert(&db);
        payout("p2", 7_000, "PENDING").insert(&db);
        payout("p3", 40_000, "FAILED").insert(&db);
        run(&db, "run1", None);
        AttemptRow { payout: "p3", number: 1, run: "run1", outcome: "declined", ..AttemptRow::default() }.insert(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["statements", "show", "s1"]).transcript(), @r"
            $ payouts statements show s1
            Statement       s1
            Creator         Ann Bell (ann)
            Royalty run     r1, 2026-10-01 00:00 to 2026-10-31 23:59 UTC
            Total earnings  500.00 USD
            Platform fee    0.00 USD
            Net payable     500.00 USD
            Paid            100.00 USD
            In flight       70.00 USD
            Left            400.00 USD
            Status          REVIEWED

            Payout  Created               Amount  Status     Transfer
            p3      2026-10-01 08:00  400.00 USD  FAILED     -
            p2      2026-10-01 08:00   70.00 USD  PENDING    -
            p1      2026-10-01 08:00  100.00 USD  COMPLETED  -
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["statements", "show", "s2"]).transcript(), @r"
            $ payouts statements show s2
            --- stderr
            error: no statement has this id: s2
            hint: `payouts statements list` shows all of them, --creator those of one creator
            --- exit 1
            ");
        }
    }

    fn a_platform_s_statements_are_not_written(db: TestDb) {
        let env = two_creators(&db);
        statement(&db, "s1", "ann");
        db.execute("DELETE FROM payout_own_tables WHERE name = 'royalty_runs'");
        env.write("statements.csv", FILE);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["statements", "import", "statements.csv"]).transcript(), @r"
            $ payouts statements import statements.csv
            --- stderr
            error: the table royalty_runs belongs to the platform, which alone writes to it
            hint: have the platform add them; payouts reads what it finds there
            --- exit 4
            ");
        }
    }
}
