//! `payouts create`, `release` and `batches` as people and scripts see them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};

use crate::common::db::{TestDb, on_both};
use crate::common::env::TestEnv;
use crate::common::seed::{PayoutRow, creator, migrated, statement};

/// A machine whose database has three creators, the last without a Stripe account.
fn three_creators(db: &TestDb) -> TestEnv {
    drop(migrated(db));
    for (id, name) in [
        ("ann", "Ann Bell"),
        ("ben", "Ben Cole"),
        ("cat", "Cat Dahl"),
    ] {
        creator(db, id, name);
    }
    db.execute(r#"UPDATE creators SET "stripeAccountId" = NULL WHERE id = 'cat'"#);
    let mut env = TestEnv::new();
    env.use_database(db);
    env
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn count(db: &TestDb, table: &str) -> i64 {
    let rows = db.query_strings(&format!("SELECT COUNT(*) FROM {table}"));
    rows[0][0].as_ref().unwrap().parse().unwrap()
}

const FILE: &str = "creator,amount,reference\n\
    ann,500.00,INV-1\n\
    BEN@example.com,20,INV-2\n\
    acct_ann,7.5,INV-3\n";

on_both! {
    fn a_batch_is_created_held_and_released(db: TestDb) {
        let env = three_creators(&db);
        env.write("batch.csv", FILE);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["create", "--file", "batch.csv", "--dry-run"]).transcript(), @r"
            $ payouts create --file batch.csv --dry-run
            Would create    3 payouts, 527.50 USD
            Already loaded  0 payouts
            Next            the same command without --dry-run
            --- stderr
            --- exit 0
            ");
        }
        assert_eq!((count(&db, "payouts"), count(&db, "payout_runs")), (0, 0));
        assert_eq!(db.query_strings("SELECT key FROM payout_settings WHERE key = 'currency'").len(), 0);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["create", "--file", "batch.csv"]).transcript(), @r"
            $ payouts create --file batch.csv
            Batch           c000000000000000000000001
            Created         3 payouts, 527.50 USD
            Already loaded  0 payouts
            State           held: nothing of it is paid before it is released
            Next            payouts release c000000000000000000000001
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["create", "--file", "batch.csv"]).transcript(), @r"
            $ payouts create --file batch.csv
            Batch           c000000000000000000000001
            Created         0 payouts, 0.00 USD
            Already loaded  3 payouts: this file was loaded by tester on 2026-11-02 09:30 UTC
            State           held: nothing of it is paid before it is released
            Next            payouts release c000000000000000000000001
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["batches", "list"]).transcript(), @r"
            $ payouts batches list
            Batch                      Loaded            By      Source     Payouts       Total  Progress  State
            c000000000000000000000001  2026-11-02 09:30  tester  batch.csv        3  527.50 USD  3 open    held
            --- stderr
            --- exit 0
            ");
        }
        let batch = parsed(&env.run(&["batches", "list", "-o", "json"]).stdout)["batches"][0]["id"].as_str().unwrap().to_owned();
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["batches", "show", &batch]).transcript(), @r"
            $ payouts batches show c000000000000000000000001
            Batch     c000000000000000000000001
            Source    batch.csv
            SHA-256   20929260d12eaf4a4a26261e748801d88602150903d4227e4db29da1fc6748f2
            Loaded    by tester on 2026-11-02 09:30 UTC
            Payouts   3 payouts, 527.50 USD
            Progress  3 open (527.50 USD)
            State     held by tester since 2026-11-02 09:30 UTC: a new batch starts held
            PENDING   527.50 USD, 3 payouts
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["release", &batch]).transcript(), @r"
            $ payouts release c000000000000000000000001
            Batch   c000000000000000000000001
            Source  batch.csv
            State   released
            Due     3 payouts, 527.50 USD
            Next    payouts process
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["release", &batch, "-o", "json"]).transcript(), @r#"
            $ payouts release c000000000000000000000001 -o json
            {
              "schema": 1,
              "holds": [
                {
                  "kind": "batch",
                  "target": "c000000000000000000000001",
                  "held": false,
                  "changed": false,
                  "reason": null,
                  "actor": null,
                  "created_at": null,
                  "ends_at": null,
                  "due": 3,
                  "due_cents": 52750,
                  "currency": "usd"
                }
              ]
            }
            --- stderr
            --- exit 0
            "#);
            insta::assert_snapshot!(env.run(&["batches", "show", &batch, "-o", "json"]).transcript(), @r#"
            $ payouts batches show c000000000000000000000001 -o json
            {
              "schema": 1,
              "batch": {
                "id": "c000000000000000000000001",
                "source": "batch.csv",
                "sha256": "20929260d12eaf4a4a26261e748801d88602150903d4227e4db29da1fc6748f2",
                "payout_count": 3,
                "total_cents": 52750,
                "currency": "usd",
                "held": false,
                "actor": "tester",
                "run_id": "c000000000000000000000002",
                "created_at": "2026-11-02T09:30:00.000Z"
              },
              "hold": null,
              "released_by": "tester",
              "released_at": "2026-11-02T09:30:00.000Z",
              "totals": {
                "PENDING": {
                  "count": 3,
                  "amount_cents": 52750,
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
                  "count": 3,
                  "amount_cents": 52750,
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
              }
            }
            --- stderr
            --- exit 0
            "#);
            insta::assert_snapshot!(env.run(&["release", "b1"]).transcript(), @r"
            $ payouts release b1
            --- stderr
            error: there is no payout or batch b1
            hint: find it with `payouts list` or `payouts batches list`
            --- exit 1
            ");
        }
        let release = db.query_strings("SELECT actor, exit_code, summary FROM payout_runs WHERE command = 'release'");
        let summary = format!("released batch {batch}: 3 payouts, 527.50 USD due");
        assert_eq!(release, [["tester", "0", &summary].map(|text| Some(text.to_owned()))]);
    }

    fn a_payout_leaves_its_trace(db: TestDb) {
        let env = three_creators(&db);
        env.write("batch.csv", FILE);
        env.run(&["create", "-f", "batch.csv", "--release"]).expect_code(0);
        let rows = db.query_strings(
            "SELECT p.creator_id, p.amount_cents, CAST(p.status AS TEXT), p.retry_count, p.created_at, p.updated_at,
                i.line, i.reference, h.seq, h.event, h.from_status, h.to_status, h.actor
             FROM payouts p
             JOIN payout_batch_items i ON i.payout_id = p.id
             JOIN payout_batches b ON b.id = i.batch_id AND b.payout_count = 3 AND b.total_cents = 52750
             JOIN payout_history h ON h.payout_id = p.id
             JOIN payout_history_heads e ON e.payout_id = p.id AND e.seq = h.seq AND e.hash = h.hash
             JOIN payout_runs r ON r.id = h.run_id AND r.id = b.run_id AND length(r.heads_hash) = 64
             ORDER BY p.created_at, p.id",
        );
        let row = |creator: &str, cents: &str, line: &str, reference: &str| {
            let now = "2026-11-02 09:30:00";
            [Some(creator), Some(cents), Some("PENDING"), Some("0"), Some(now), Some(now), Some(line), Some(reference),
                Some("1"), Some("created"), None, Some("PENDING"), Some("tester")]
                .map(|cell| cell.map(str::to_owned)).to_vec()
        };
        assert_eq!(rows, [
            row("ann", "50000", "2", "INV-1"),
            row("ben", "2000", "3", "INV-2"),
            row("ann", "750", "4", "INV-3"),
        ]);
        assert_eq!(count(&db, "payout_holds"), 0);
        // A run that wrote something is told from one that wrote nothing.
        env.run(&["create", "-f", "batch.csv"]).expect_code(0);
        let hashes = db.query_strings("SELECT DISTINCT heads_hash FROM payout_runs");
        assert_eq!(hashes.len(), 1, "a file that is known begins no run");
        assert_ne!(hashes[0][0].as_deref(), Some("0".repeat(64).as_str()));
        let settings = db.query_strings("SELECT value FROM payout_settings WHERE key = 'currency'");
        assert_eq!(settings, [[Some("usd".to_owned())]]);
    }

    fn every_bad_row_is_told_and_nothing_is_created(db: TestDb) {
        let env = three_creators(&db);
        db.execute(r#"UPDATE creators SET "deletedAt" = '2026-01-01 00:00:00' WHERE id = 'ben'"#);
        env.run(&["create", "--creator", "ann", "--amount", "5", "--reference", "INV-0"]).expect_code(0);
        env.write("bad.csv", " Creator ,AMOUNT,Amount_Cents,reference,statement\n\
            ann,500.00,,INV-1,\n\
            nobody,\"1,250.00\",,INV-2,\n\
            ann,5,500,INV-3,\n\
            ann,,0,INV-4,\n\
            ann,0.99,,INV-5,\n\
            ann,,1000001,INV-6,\n\
            ben,5,,INV-7,\n\
            ann,5,,INV-1,\n\
            ann,5,,,\n\
            ann,6,,INV-0,\n\
            ann,5,,,s9\n\
            ann,5\n\
            ,,,,\n\
            \"an\nn\",5,,INV-8,\n\
            ann,\u{ff15},,INV-9,\n\
            ann,5,,\"INV\"10,\n");
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["create", "--file", "bad.csv"]).transcript(), @r#"
            $ payouts create --file bad.csv
            --- stderr
            Line  Column        Value            Reason
               3  amount        1,250.00         a comma can be a decimal or a thousands separator; write 1250.00
               3  creator       nobody           no creator has this id, e-mail address or Stripe account
               4  amount        5                there is something under amount_cents too; give one of them
               5  amount_cents  0                the amount is zero
               6  amount        0.99             below the minimum of 1.00 USD
               7  amount_cents  1000001          above the maximum of 10,000.00 USD
               8  creator       ben              the creator is deleted
               9  reference     INV-1            line 2 has the same reference
              10  reference                      a row without a statement needs a reference, unique to the payment
              11  reference     INV-0            stands for payout c000000000000000000000001 already, over 5.00 USD
              12  statement     s9               no statement has this id
              13                ann,5            2 cells, but the header has 5
              15  creator       an n             a line break has no place in a cell
              17  amount        ５               '５' has no place in an amount; write digits with a point for decimals, such as 1250.00
              18                ann,5,,"INV"10,  text after the quote that closes a cell
            by reason: 4 amount, 2 limit, 1 cells, 1 quotes, 1 missing, 1 text, 1 unknown creator, 1 deleted creator, 1 duplicate, 1 differs, 1 statement
            error: 14 rows of bad.csv cannot be created; nothing was created
            hint: `payouts creators list TEXT` finds creators by name or e-mail address
            hint: add a column reference, or say --no-references if this file will never be edited and loaded again
            hint: limits are set by PAYOUTS_MIN_AMOUNT_CENTS and PAYOUTS_MAX_AMOUNT_CENTS
            hint: say --decimal , if amounts are written with a decimal comma, such as 1.250,00
            --- exit 1
            "#);
        }
        let told = parsed(&env.run(&["create", "--file", "bad.csv", "-o", "json"]).expect_code(1).stdout);
        assert_eq!(told["created"], 0);
        assert_eq!(told["errors"].as_array().unwrap().len(), 15);
        assert_eq!(told["errors"][0], json!({
            "line": 3, "column": "amount", "value": "1,250.00", "kind": "amount",
            "reason": "a comma can be a decimal or a thousands separator; write 1250.00",
        }));
        let csv = env.run(&["create", "--file", "bad.csv", "-o", "csv"]).expect_code(1).stdout;
        assert_eq!(csv.lines().count(), 16);
        assert_eq!((count(&db, "payouts"), count(&db, "payout_batches"), count(&db, "payout_holds")), (1, 0, 0));
    }

    fn of_many_faults_the_first_are_shown_and_all_are_counted(db: TestDb) {
        let env = three_creators(&db);
        let rows = (0..1_200).map(|n| format!("nobody,5,R-{n}\n")).collect::<Vec<_>>().concat();
        let file = format!("creator,amount,reference\n{rows}");
        let told = env.run_with_input(&["create", "--file", "-"], file.clone()).expect_code(1);
        assert_eq!(told.stdout, "");
        let lines: Vec<&str> = told.stderr.lines().collect();
        assert_eq!(lines.len(), 1 + 20 + 1 + 1 + 1 + 1);
        assert_eq!(lines[21..24], [
            "… and 1,180 more",
            "by reason: 1,200 unknown creator",
            "error: 1,200 rows of stdin cannot be created; nothing was created",
        ]);
        let told = parsed(&env.run_with_input(&["create", "--file", "-", "-o", "json"], file).expect_code(1).stdout);
        assert_eq!(told["errors"].as_array().unwrap().len(), 1_200);
        assert_eq!((&told["bad_rows"], &told["error_count"]), (&json!(1_200), &json!(1_200)));
        assert_eq!(told["errors_by_kind"], json!([{"kind": "unknown_creator", "count": 1_200}]));
    }

    fn a_known_reference_is_already_loaded_and_new_rows_beside_it_are_created(db: TestDb) {
        let mut env = three_creators(&db);
        env.write("first.csv", FILE);
        env.run(&["create", "-f", "first.csv"]).expect_code(0);
        // Other bytes, two of the same payments, and limits that changed since.
        env.write("second.csv", "reference,amount_cents,creator\nINV-2,2000,ben\nINV-4,500000,ann\nINV-1,50000,ann@example.com\n");
        env.set("PAYOUTS_MIN_AMOUNT_CENTS", "100000");
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["create", "-f", "second.csv", "-o", "json"]).transcript(), @r#"
            $ payouts create -f second.csv -o json
            {
              "schema": 1,
              "dry_run": false,
              "batch": {
                "id": "c000000000000000000000001",
                "source": "second.csv",
                "sha256": "12d1e6e7307812a9a0c1d7117a8e7c2b79d0e4777d8ba0621d5f2a3d963b5786",
                "payout_count": 1,
                "total_cents": 500000,
                "currency": "usd",
                "held": true,
                "actor": "tester",
                "run_id": "c000000000000000000000002",
                "created_at": "2026-11-02T09:30:00.000Z"
              },
              "loaded_before": false,
              "created": 1,
              "already_loaded": 2,
              "total_cents": 500000,
              "currency": "usd",
              "payouts": [
                "c000000000000000000000003"
              ],
              "payout": null,
              "carried": null,
              "carried_cents": null,
              "left_out": null,
              "refused": null,
              "statements": null,
              "bad_rows": 0,
              "error_count": 0,
              "errors_by_kind": [],
              "errors": []
            }
            --- stderr
            --- exit 0
            "#);
        }
        assert_eq!(count(&db, "payouts"), 4);
        env.unset("PAYOUTS_MIN_AMOUNT_CENTS");
        // All of it known, in yet another file: nothing new, no batch.
        env.write("third.csv", "creator,amount,reference\nann,5000,INV-4\n\n");
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["create", "-f", "third.csv"]).transcript(), @r"
            $ payouts create -f third.csv
            Created         0 payouts, 0.00 USD
            Already loaded  1 payout
            --- stderr
            --- exit 0
            ");
        }
        assert_eq!((count(&db, "payouts"), count(&db, "payout_batches")), (4, 2));
        // With other content it is an error of that row.
        env.write("fourth.csv", "creator,amount,reference\nben,5000,INV-4\nann,1,INV-5\n");
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["create", "-f", "fourth.csv"]).transcript(), @r"
            $ payouts create -f fourth.csv
            --- stderr
            Line  Column     Value  Reason
               2  reference  INV-4  stands for payout c000000000000000000000003 already, for creator ann
            by reason: 1 differs
            error: 1 row of fourth.csv cannot be created; nothing was created
            --- exit 1
            ");
        }
        assert_eq!(count(&db, "payouts"), 4);
    }

    fn scenario_15e_without_references_a_file_is_loaded_once_and_a_warning_given(db: TestDb) {
        let env = three_creators(&db);
        env.write("batch.csv", "creator,amount\nann,5\nann,5\ncat,6\n");
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["create", "-f", "batch.csv"]).transcript(), @r"
            $ payouts create -f batch.csv
            --- stderr
            Line  Column     Value  Reason
               2  reference         a row without a statement needs a reference, unique to the payment
               3  reference         a row without a statement needs a reference, unique to the payment
               4  reference         a row without a statement needs a reference, unique to the payment
            by reason: 3 missing
            error: 3 rows of batch.csv cannot be created; nothing was created
            hint: add a column reference, or say --no-references if this file will never be edited and loaded again
            --- exit 1
            ");
            insta::assert_snapshot!(env.run(&["create", "-f", "batch.csv", "--no-references"]).transcript(), @r"
            $ payouts create -f batch.csv --no-references
            Batch           c000000000000000000000001
            Created         3 payouts, 16.00 USD
            Already loaded  0 payouts
            State           held: nothing of it is paid before it is released
            Next            payouts release c000000000000000000000001
            --- stderr
            warning: without references, an edited copy of this file would be paid again
            warning: 1 payout cannot be sent before the creator has a Stripe account: Cat Dahl
            --- exit 0
            ");
        }
        env.run(&["create", "-f", "batch.csv", "--no-references"]).expect_code(0);
        assert_eq!(count(&db, "payouts"), 3);
        let references = db.query_strings(
            "SELECT i.reference FROM payout_batch_items i JOIN payout_batches b ON b.id = i.batch_id
             WHERE i.reference = b.sha256 || ':' || CAST(i.line AS TEXT)");
        assert_eq!(references.len(), 3);
    }

    fn one_payout_is_created_and_printed(db: TestDb) {
        let env = three_creators(&db);
        statement(&db, "s1", "ann");
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["create", "--creator", "ann@example.com", "--amount", "500.00", "--statement", "s1", "--reference", "Oct"]).transcript(), @r"
            $ payouts create --creator ann@example.com --amount 500.00 --statement s1 --reference Oct
            Payout     c000000000000000000000001
            State      PENDING: created
            Amount     500.00 USD
            Creator    Ann Bell (ann)
            Statement  s1
            Reference  Oct
            Next       payouts process
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(env.run(&["create", "--creator", "ann", "--amount-cents", "50000", "--statement", "s1", "--reference", "Oct", "-o", "json"]).transcript(), @r#"
            $ payouts create --creator ann --amount-cents 50000 --statement s1 --reference Oct -o json
            {
              "schema": 1,
              "dry_run": false,
              "batch": null,
              "loaded_before": false,
              "created": 0,
              "already_loaded": 1,
              "total_cents": 0,
              "currency": "usd",
              "payouts": [],
              "payout": {
                "id": "c000000000000000000000001",
                "status": "PENDING",
                "amount_cents": 50000,
                "currency": "usd",
                "creator_id": "ann",
                "creator_name": "Ann Bell",
                "royalty_statement_id": "s1",
                "stripe_transfer_id": null,
                "failed_code": null,
                "failed_reason": null,
                "retry_count": 0,
                "last_retry_at": null,
                "held": false,
                "unresolved": false,
                "batch_id": null,
                "reference": "Oct",
                "created_at": "2026-11-02T09:30:00.000Z",
                "updated_at": "2026-11-02T09:30:00.000Z",
                "processed_at": null,
                "reversed_cents": 0,
                "next_retry_at": null,
                "retry_refusal": null
              },
              "carried": null,
              "carried_cents": null,
              "left_out": null,
              "refused": null,
              "statements": null,
              "bad_rows": 0,
              "error_count": 0,
              "errors_by_kind": [],
              "errors": []
            }
            --- stderr
            --- exit 0
            "#);
            insta::assert_snapshot!(env.run(&["create", "--creator", "nobody", "--amount", "12,50", "--reference", ""]).transcript(), @r#"
            $ payouts create --creator nobody --amount 12,50 --reference ''
            --- stderr
            error: the payout cannot be created; nothing was created
              1: amount "12,50": a comma can be a decimal or a thousands separator; write 1250.00
              2: reference "": must not be empty
              3: creator "nobody": no creator has this id, e-mail address or Stripe account
            hint: `payouts creators list TEXT` finds creators by name or e-mail address
            --- exit 1
            "#);
            insta::assert_snapshot!(env.run(&["create", "--creator", "cat", "--amount", "5", "--dry-run"]).transcript(), @r"
            $ payouts create --creator cat --amount 5 --dry-run
            Would create    1 payout, 5.00 USD
            Already loaded  0 payouts
            Next            the same command without --dry-run
            --- stderr
            warning: 1 payout cannot be sent before the creator has a Stripe account: Cat Dahl
            --- exit 0
            ");
        }
        assert_eq!((count(&db, "payouts"), count(&db, "payout_batch_items")), (1, 1));
    }

    fn a_statement_is_paid_once_and_in_full_unless_a_part_is_meant(db: TestDb) {
        let env = three_creators(&db);
        statement(&db, "s1", "ann");
        let create = |creator: &str, amount: &str, more: &[&str]| {
            let args = ["create", "--creator", creator, "--amount", amount, "--statement", "s1"];
            let args: Vec<&str> = args.iter().chain(more).copied().collect();
            env.run(&args)
        };
        insta::allow_duplicates! {
            insta::assert_snapshot!(create("ben", "500", &[]).transcript(), @r#"
            $ payouts create --creator ben --amount 500 --statement s1
            --- stderr
            error: the payout cannot be created; nothing was created
              1: statement "s1": belongs to creator ann
            --- exit 1
            "#);
            insta::assert_snapshot!(create("ann", "500.01", &["--partial"]).transcript(), @r#"
            $ payouts create --creator ann --amount 500.01 --statement s1 --partial
            --- stderr
            error: the payout cannot be created; nothing was created
              1: statement "s1": has 500.00 USD left
            --- exit 1
            "#);
            insta::assert_snapshot!(create("ann", "100", &[]).transcript(), @r#"
            $ payouts create --creator ann --amount 100 --statement s1
            --- stderr
            error: the payout cannot be created; nothing was created
              1: statement "s1": has 500.00 USD left, more than this payout pays
            hint: say --partial if less than what is left of a statement is meant
            --- exit 1
            "#);
        }
        create("ann", "100", &["--partial"]).expect_code(0);
        let told = create("ann", "400", &[]).expect_code(1);
        assert!(told.stderr.contains("in flight"), "{told}");
        db.execute("UPDATE payouts SET status = 'COMPLETED'");
        // Failed elsewhere, without a definite no on record: it may have been paid.
        PayoutRow { statement: Some("s1"), status: "FAILED", ..PayoutRow::new("p9", "ann") }.insert(&db);
        let told = create("ann", "400", &[]).expect_code(1);
        assert!(told.stderr.contains("has failed payout p9"), "{told}");
        db.execute("DELETE FROM payouts WHERE id = 'p9'");
        create("ann", "400", &[]).expect_code(0);
        env.write("batch.csv", "creator,amount,statement\nann,400,s1\n");
        let told = env.run(&["create", "-f", "batch.csv"]).expect_code(1);
        assert!(told.stderr.contains("in flight"), "{told}");
        statement(&db, "s2", "ben");
        env.write("batch.csv", "creator,amount,statement\nben,250,s2\nben,250,s2\n");
        let told = env.run(&["create", "-f", "batch.csv", "--partial"]).expect_code(1);
        assert!(told.stderr.contains("line 2 pays the same statement"), "{told}");
        env.write("batch.csv", "creator,amount,statement\nben,500,s2\n");
        env.run(&["create", "-f", "batch.csv"]).expect_code(0);
    }

    fn one_database_pays_one_currency(db: TestDb) {
        let mut env = three_creators(&db);
        env.set("PAYOUTS_CURRENCY", "jpy");
        let told = env.run(&["create", "--creator", "ann", "--amount", "5.00"]).expect_code(1);
        assert!(told.stderr.contains("JPY has 0 decimals"), "{told}");
        // What failed stamped nothing.
        env.set("PAYOUTS_CURRENCY", "eur");
        env.run(&["create", "--creator", "ann", "--amount", "5.00"]).expect_code(0);
        env.set("PAYOUTS_CURRENCY", "jpy");
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["create", "--creator", "ann", "--amount", "500"]).transcript(), @r"
            $ payouts create --creator ann --amount 500
            --- stderr
            error: this database pays in EUR, not in JPY
            hint: unset PAYOUTS_CURRENCY, or use another database
            --- exit 4
            ");
        }
        env.unset("PAYOUTS_CURRENCY");
        let payout = env.run(&["create", "--creator", "ann", "--amount", "5.00", "-o", "json"]).expect_code(0);
        assert_eq!(parsed(&payout.stdout)["currency"], "eur");
    }

    fn rows_of_a_platform_need_their_currency_said(db: TestDb) {
        let mut env = three_creators(&db);
        PayoutRow::new("p1", "ann").insert(&db);
        db.execute("DELETE FROM payout_own_tables WHERE name = 'payouts'");
        let told = env.run(&["create", "--creator", "ann", "--amount", "5.00"]);
        assert_ne!(told.code, 0, "{told}");
        assert!(told.stderr.contains("PAYOUTS_CURRENCY"), "{told}");
        assert_eq!(count(&db, "payouts"), 1);
        env.set("PAYOUTS_CURRENCY", "usd");
        env.run(&["create", "--creator", "ann", "--amount", "5.00"]).expect_code(0);
    }
}

#[test]
fn wrong_flags_are_told() {
    let env = TestEnv::new();
    insta::assert_snapshot!(env.run(&["create"]).transcript(), @r"
    $ payouts create
    --- stderr
    error: the following required arguments were not provided:
      --creator <CREATOR>
      --amount <AMOUNT>

    Usage: payouts create --creator <CREATOR> --amount <AMOUNT>

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(env.run(&["create", "--creator", "ann"]).transcript(), @r"
    $ payouts create --creator ann
    --- stderr
    error: the following required arguments were not provided:
      --amount <AMOUNT>

    Usage: payouts create --creator <CREATOR> --amount <AMOUNT>

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(env.run(&["create", "--file", "a.csv", "--amount", "5"]).transcript(), @r"
    $ payouts create --file a.csv --amount 5
    --- stderr
    error: the argument '--file <FILE>' cannot be used with '--amount <AMOUNT>'

    Usage: payouts create --file <FILE>

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(env.run(&["create", "--creator", "ann", "--amount", "5", "--release"]).transcript(), @r"
    $ payouts create --creator ann --amount 5 --release
    --- stderr
    error: the following required arguments were not provided:
      <--file <FILE>|--from-statements>

    Usage: payouts create --creator <CREATOR> --amount <AMOUNT> --release <--file <FILE>|--from-statements>

    For more information, try '--help'.
    --- exit 2
    ");
}

#[test]
fn a_missing_database_is_told_with_what_to_do() {
    let env = TestEnv::new();
    env.write("batch.csv", FILE);
    insta::assert_snapshot!(env.run(&["create", "--file", "batch.csv"]).transcript(), @r"
    $ payouts create --file batch.csv
    --- stderr
    using sqlite:/tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db (DATABASE_URL is not set)
    error: there is no database at /tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db
    hint: run `payouts init` to create it, or set DATABASE_URL if it is elsewhere
    --- exit 3
    ");
}
