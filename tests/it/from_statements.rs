//! `payouts create --from-statements`: one payout of what is left of each payable statement.

use std::sync::Barrier;
use std::thread;

use payouts::model::money::Currency;
use payouts::ops::create::Limits;
use payouts::ops::from_statements::{Outcome, Request, create, search};
use payouts::store::RunDescription;
use serde_json::{Value, json};

use crate::common::db::{TestDb, on_both};
use crate::common::env::Run;
use crate::common::seed::{PayoutRow, migrated};
use crate::common::shop::Shop;

/// A shop with creators ann, ben and cat and no statement yet.
fn shop(db: TestDb) -> Shop {
    let shop = Shop::open(db);
    for name in ["ann", "ben", "cat"] {
        shop.creator(name);
    }
    shop
}

impl Shop {
    fn of_statements(&self, more: &[&str]) -> Run {
        let mut args = vec!["create", "--from-statements"];
        args.extend(more);
        self.env.run(&args)
    }

    /// What became of each statement: `s1 created`, `s2 carried below_minimum`.
    fn outcomes_of(&self, more: &[&str]) -> Vec<String> {
        let mut args = more.to_vec();
        args.extend(["-o", "json"]);
        let answer = parsed(&self.of_statements(&args).stdout);
        let lines = answer["statements"].as_array().expect("statements");
        let of = |line: &Value| {
            let word = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
            let told = format!("{} {} {}", word("id"), word("result"), word("reason_code"));
            told.trim_end().to_owned()
        };
        lines.iter().map(of).collect()
    }

    fn alter(&self, statement: &str, assignment: &str) {
        self.db.execute(&format!(
            "UPDATE royalty_statements SET {assignment} WHERE id = '{statement}'"
        ));
    }

    fn payout_count(&self) -> String {
        self.one("SELECT CAST(COUNT(*) AS TEXT) FROM payouts")
    }

    fn state(&self, statement: &str) -> String {
        self.one(&format!(
            "SELECT status FROM royalty_statements WHERE id = '{statement}'"
        ))
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

on_both! {
    fn what_is_left_is_created_held_released_and_paid(db: TestDb) {
        let shop = shop(db);
        shop.statement("s1", "ann", 50_000);
        shop.statement("s2", "ben", 99);
        shop.statement("s3", "cat", 7_500);
        shop.statement("s4", "cat", 1_000_001);
        shop.statement("s5", "ben", 4_000);
        shop.alter("s3", "status = 'RESOLVED', disputed_at = '2026-10-01 08:00:00'");
        shop.alter("s5", "status = 'DISPUTED'");
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.of_statements(&["--dry-run"]).transcript(), @r"
            $ payouts create --from-statements --dry-run
            Statement  Run        Creator           Left  Result
            s1         run_of_s1  ann         500.00 USD  would create
            s3         run_of_s3  cat          75.00 USD  would create
            s2         run_of_s2  ben           0.99 USD  carried: below the minimum of 1.00 USD
            s5         run_of_s5  ben          40.00 USD  left out: is disputed
            s4         run_of_s4  cat      10,000.01 USD  refused: above the maximum of 10,000.00 USD

            Would create  2 payouts, 575.00 USD
            Carried       1 statement, 0.99 USD
            Left out      1 statement, 40.00 USD
            Refused       1 statement, 10,000.01 USD
            Next          the same command without --dry-run
            --- stderr
            warning: limits are set by PAYOUTS_MIN_AMOUNT_CENTS and PAYOUTS_MAX_AMOUNT_CENTS
            --- exit 1
            ");
        }
        assert_eq!(shop.payout_count(), "0");
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_runs"), "0");
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.of_statements(&[]).transcript(), @r"
            $ payouts create --from-statements
            Statement  Run        Creator           Left  Result
            s1         run_of_s1  ann         500.00 USD  created
            s3         run_of_s3  cat          75.00 USD  created
            s2         run_of_s2  ben           0.99 USD  carried: below the minimum of 1.00 USD
            s5         run_of_s5  ben          40.00 USD  left out: is disputed
            s4         run_of_s4  cat      10,000.01 USD  refused: above the maximum of 10,000.00 USD

            Batch     c000000000000000000000001
            Created   2 payouts, 575.00 USD
            Carried   1 statement, 0.99 USD
            Left out  1 statement, 40.00 USD
            Refused   1 statement, 10,000.01 USD
            State     held: nothing of it is paid before it is released
            Next      payouts release c000000000000000000000001
            --- stderr
            warning: limits are set by PAYOUTS_MIN_AMOUNT_CENTS and PAYOUTS_MAX_AMOUNT_CENTS
            --- exit 1
            ");
            // A statement has one payout at a time: nothing payable is left.
            insta::assert_snapshot!(shop.of_statements(&[]).transcript(), @r"
            $ payouts create --from-statements
            Statement  Run        Creator           Left  Result
            s2         run_of_s2  ben           0.99 USD  carried: below the minimum of 1.00 USD
            s1         run_of_s1  ann         500.00 USD  left out: has payout c000000000000000000000002 in flight
            s3         run_of_s3  cat          75.00 USD  left out: has payout c000000000000000000000003 in flight
            s5         run_of_s5  ben          40.00 USD  left out: is disputed
            s4         run_of_s4  cat      10,000.01 USD  refused: above the maximum of 10,000.00 USD

            Created   0 payouts, 0.00 USD
            Carried   1 statement, 0.99 USD
            Left out  3 statements, 615.00 USD
            Refused   1 statement, 10,000.01 USD
            --- stderr
            warning: limits are set by PAYOUTS_MIN_AMOUNT_CENTS and PAYOUTS_MAX_AMOUNT_CENTS
            --- exit 1
            ");
        }
        assert_eq!(shop.payout_count(), "2");
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_batches"), "1");
        assert_eq!(shop.one("SELECT summary FROM payout_runs WHERE exit_code = 1 AND summary LIKE 'created 2%'"),
            "created 2 payouts, 575.00 USD, from statements; 1 carried, 1 left out, 1 refused");
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.env.run(&["batches", "list"]).transcript(), @r"
            $ payouts batches list
            Batch                      Loaded            By      Source      Payouts       Total  Progress  State
            c000000000000000000000001  2026-11-02 09:30  tester  statements        2  575.00 USD  2 open    held
            --- stderr
            --- exit 0
            ");
        }
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 0);
        let batch = shop.one("SELECT id FROM payout_batches");
        shop.env.run(&["release", &batch]).expect_code(0);
        shop.process(&[]).expect_code(0);
        shop.assert_paid_exactly_once();
        assert_eq!(shop.transfers().len(), 2);
        assert_eq!((shop.state("s1"), shop.state("s3")), ("PAID".to_owned(), "PAID".to_owned()));
        assert_eq!(shop.outcomes_of(&[]), ["s2 carried below_minimum", "s5 left_out disputed", "s4 refused above_maximum"]);
    }

    fn nothing_to_pay_is_no_error(db: TestDb) {
        let shop = shop(db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.of_statements(&[]).transcript(), @r"
            $ payouts create --from-statements
            no statement is left to be paid
            --- stderr
            --- exit 0
            ");
        }
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_runs"), "0");
        assert_eq!(parsed(&shop.of_statements(&["-o", "json"]).expect_code(0).stdout)["statements"], json!([]));
        // What is only carried is none either, and makes no batch.
        shop.statement("s1", "ann", 99);
        shop.of_statements(&[]).expect_code(0);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_batches"), "0");
        assert_eq!(shop.payout_count(), "0");
        // What is carried is created once it is enough.
        shop.alter("s1", "net_payable_cents = 100");
        assert_eq!(shop.outcomes_of(&[]), ["s1 created"]);
    }

    fn what_is_not_payable_is_left_out_with_why(db: TestDb) {
        let shop = shop(db);
        for (id, creator) in [
            ("a_ok", "ann"), ("b_pending", "ann"), ("c_objected", "ann"), ("d_paid", "ann"), ("e_marked", "ann"),
            ("f_pending", "ann"), ("g_processing", "ann"), ("h_doubt", "ann"), ("i_zero", "ann"),
            ("j_deleted", "ben"), ("k_account", "cat"), ("l_declined", "ann"),
        ] {
            shop.statement(id, creator, 50_000);
        }
        shop.alter("b_pending", "status = 'PENDING'");
        shop.alter("c_objected", "disputed_at = '2026-10-01 08:00:00'");
        shop.alter("d_paid", "status = 'PAID'");
        shop.alter("e_marked", "paid_at = '2026-10-01 08:00:00'");
        for (statement, status) in [
            ("f_pending", "PENDING"), ("g_processing", "PROCESSING"), ("h_doubt", "FAILED"), ("l_declined", "FAILED"),
        ] {
            let id = format!("p_{statement}");
            PayoutRow { statement: Some(statement), status, ..PayoutRow::new(&id, "cr_ann") }.insert(&shop.db);
        }
        // A definite no is on record of one of the two failed ones.
        crate::common::seed::run(&shop.db, "run1", None);
        crate::common::seed::AttemptRow {
            payout: "p_l_declined", number: 1, run: "run1", outcome: "declined", ..Default::default()
        }.insert(&shop.db);
        shop.alter("i_zero", "net_payable_cents = 0");
        shop.db.execute(r#"UPDATE creators SET "deletedAt" = '2026-10-01 08:00:00' WHERE id = 'cr_ben'"#);
        shop.db.execute(r#"UPDATE creators SET "stripeAccountId" = NULL WHERE id = 'cr_cat'"#);
        let expected = [
            "a_ok created", "l_declined created", "b_pending left_out not_payable", "c_objected left_out disputed",
            "f_pending left_out in_flight", "g_processing left_out in_flight", "h_doubt left_out in_doubt",
            "i_zero left_out nothing_left", "j_deleted left_out deleted_creator",
            "k_account left_out no_stripe_account",
        ];
        assert_eq!(shop.outcomes_of(&["--dry-run"]), expected);
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.of_statements(&[]).transcript(), @r"
            $ payouts create --from-statements
            Statement     Run                  Creator        Left  Result
            a_ok          run_of_a_ok          ann      500.00 USD  created
            l_declined    run_of_l_declined    ann      500.00 USD  created
            b_pending     run_of_b_pending     ann      500.00 USD  left out: is PENDING; only REVIEWED and RESOLVED statements are payable
            c_objected    run_of_c_objected    ann      500.00 USD  left out: is disputed
            f_pending     run_of_f_pending     ann      500.00 USD  left out: has payout p_f_pending in flight
            g_processing  run_of_g_processing  ann      500.00 USD  left out: has payout p_g_processing in flight
            h_doubt       run_of_h_doubt       ann      500.00 USD  left out: has failed payout p_h_doubt, of which it is not proven that it was not paid
            i_zero        run_of_i_zero        ann        0.00 USD  left out: nothing is left of it
            j_deleted     run_of_j_deleted     ben      500.00 USD  left out: the creator is deleted
            k_account     run_of_k_account     cat      500.00 USD  left out: the creator has no Stripe account

            Batch     c000000000000000000000001
            Created   2 payouts, 1,000.00 USD
            Left out  8 statements, 3,500.00 USD
            State     held: nothing of it is paid before it is released
            Next      payouts release c000000000000000000000001
            --- stderr
            --- exit 0
            ");
        }
        assert_eq!(shop.payout_count(), "6");
    }

    // Scenario 12: of several who work on the same statements at once, one creates.
    fn scenario_12_of_many_at_once_one_creates(db: TestDb) {
        const WRITERS: usize = 4;
        let shop = shop(db);
        for number in 0..20 {
            shop.statement(&format!("s{number:02}"), ["ann", "ben", "cat"][number % 3], 5_000);
        }
        let request = Request {
            run: None,
            creator: None,
            limits: Limits { min_cents: 100, max_cents: 1_000_000, currency: Currency::USD },
            repay: None,
            release: false,
        };
        let barrier = Barrier::new(WRITERS);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let write = || {
                let mut store = migrated(&shop.db);
                let description = RunDescription {
                    command: "create".to_owned(),
                    arguments: String::new(),
                    actor: "tester".to_owned(),
                    host: "host".to_owned(),
                };
                let run = store.run_begin(description).unwrap();
                let wanted = search(&mut store, &request).unwrap();
                // Every one of them has found every statement free.
                barrier.wait();
                create(&mut store, &run, &wanted).unwrap()
            };
            let threads: Vec<_> = (0..WRITERS).map(|_| scope.spawn(write)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut created: Vec<usize> = outcomes.iter().map(|outcome| outcome.created.created).collect();
        created.sort_unstable();
        assert_eq!(created, [0, 0, 0, 20]);
        assert!(outcomes.iter().all(|outcome| outcome.lines.len() == 20));
        let lost = outcomes.iter().filter(|outcome| outcome.created.created == 0);
        for outcome in lost {
            assert_eq!(outcome.total(Outcome::LeftOut).0, 20);
            assert!(outcome.lines.iter().all(|line| line.reason.as_ref().unwrap().code() == "in_flight"));
            assert_eq!(outcome.created.batch, None);
        }
        assert_eq!(shop.payout_count(), "20");
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_batches"), "1");
    }

    // Scenario 13: what was paid in part is not paid; its rest is, and then it is.
    fn scenario_13_the_rest_of_what_was_paid_in_part_is_created(db: TestDb) {
        let shop = shop(db);
        shop.statement("s1", "ann", 50_000);
        let part = ["create", "--creator", "cr_ann", "--amount", "100", "--statement", "s1"];
        let told = shop.env.run(&part).expect_code(1);
        assert!(told.stderr.contains("say --partial"), "{told}");
        shop.env.run(&[&part[..], &["--partial"]].concat()).expect_code(0);
        assert_eq!(shop.outcomes_of(&["--release"]), ["s1 left_out in_flight"]);
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.state("s1"), "REVIEWED");
        let answer = parsed(&shop.of_statements(&["--release", "-o", "json"]).expect_code(0).stdout);
        assert_eq!((&answer["created"], &answer["total_cents"]), (&json!(1), &json!(40_000)));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.state("s1"), "PAID");
        assert_eq!(shop.outcomes_of(&[]), Vec::<String>::new());
        shop.assert_paid_exactly_once();
        assert_eq!(shop.transfers().iter().map(|transfer| transfer.amount).sum::<i64>(), 50_000);
    }

    // Scenario 33: sums beyond 32 bits, a currency without decimals, and no amount that is taken for another.
    fn scenario_33_the_largest_amounts_add_up_and_nothing_wraps(db: TestDb) {
        let mut shop = shop(db);
        for (id, creator) in [("s1", "ann"), ("s2", "ben"), ("s3", "cat"), ("s4", "cat")] {
            shop.statement(id, creator, i64::from(i32::MAX));
        }
        shop.alter("s4", "net_payable_cents = -2147483648");
        shop.env.set("PAYOUTS_CURRENCY", "jpy");
        // By default a payout has at most 1,000,000 minor units.
        assert_eq!(shop.outcomes_of(&["--dry-run"]), [
            "s4 left_out nothing_left", "s1 refused above_maximum", "s2 refused above_maximum",
            "s3 refused above_maximum",
        ]);
        shop.env.set("PAYOUTS_MAX_AMOUNT_CENTS", "2147483647");
        // What was taken back counts at most what was paid.
        PayoutRow {
            statement: Some("s1"), status: "COMPLETED", cents: 1, transfer: Some("tr_1"),
            ..PayoutRow::new("p1", "cr_ann")
        }.insert(&shop.db);
        shop.db.execute(
            "INSERT INTO payout_reversals (transfer_id, payout_id, amount_reversed_cents, seen_at)
             VALUES ('tr_1', 'p1', 9000000000000000000, '2026-10-01 08:00:00')",
        );
        assert_eq!(shop.outcomes_of(&["--dry-run", "--repay", "--reason", "agreed"]), [
            "s1 created", "s2 created", "s3 created", "s4 left_out nothing_left",
        ]);
        shop.db.execute("DELETE FROM payout_reversals");
        shop.db.execute("DELETE FROM payouts");
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.of_statements(&[]).transcript(), @r"
            $ payouts create --from-statements
            Statement  Run        Creator                Left  Result
            s1         run_of_s1  ann       2,147,483,647 JPY  created
            s2         run_of_s2  ben       2,147,483,647 JPY  created
            s3         run_of_s3  cat       2,147,483,647 JPY  created
            s4         run_of_s4  cat      -2,147,483,648 JPY  left out: nothing is left of it

            Batch     c000000000000000000000001
            Created   3 payouts, 6,442,450,941 JPY
            Left out  1 statement, -2,147,483,648 JPY
            State     held: nothing of it is paid before it is released
            Next      payouts release c000000000000000000000001
            --- stderr
            --- exit 0
            ");
        }
        assert_eq!(shop.one("SELECT CAST(total_cents AS TEXT) FROM payout_batches"), "6442450941");
        // Nothing is no word for everything.
        for command in ["process", "retry"] {
            shop.env.run(&[command, "--limit", "0", "--dry-run"]).expect_code(2);
        }
    }

    fn what_was_taken_back_is_paid_again_only_when_somebody_says_why(db: TestDb) {
        let shop = shop(db);
        shop.statement("s1", "ann", 50_000);
        shop.statement("s2", "ben", 2_000);
        for (creator, amount, statement) in [("cr_ann", "100", "s1"), ("cr_ben", "20", "s2")] {
            let args = ["create", "--creator", creator, "--amount", amount, "--statement", statement, "--partial"];
            shop.env.run(&args).expect_code(0);
        }
        shop.process(&[]).expect_code(0);
        for creator in ["ann", "ben"] {
            let paid = shop.one(&format!("SELECT id FROM payouts WHERE creator_id = 'cr_{creator}'"));
            shop.reverse(&shop.transfer_of(&paid), 500);
        }
        shop.env.run(&["reconcile", "--fix"]).expect_code(0);
        // One was covered and is marked PAID: whether that still stands, the platform says.
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.of_statements(&[]).transcript(), @r"
            $ payouts create --from-statements
            Statement  Run        Creator        Left  Result
            s1         run_of_s1  ann      405.00 USD  left out: 5.00 USD was taken back at Stripe; --repay pays it again
            s2         run_of_s2  ben        5.00 USD  left out: is paid, though 5.00 USD was taken back since; pay that again once the platform has opened it

            Created   0 payouts, 0.00 USD
            Left out  2 statements, 410.00 USD
            --- stderr
            --- exit 0
            ");
        }
        assert_eq!(shop.payout_count(), "2");
        let told = shop.of_statements(&["--repay"]).expect_code(2);
        assert!(told.stderr.contains("--reason"), "{told}");
        shop.of_statements(&["--repay", "--reason", " "]).expect_code(2);
        shop.of_statements(&["--reason", "agreed"]).expect_code(2);
        shop.statement("s3", "cat", 3_000);
        let again = ["--repay", "--reason", "sent to a closed bank account", "--release"];
        assert_eq!(shop.outcomes_of(&again), ["s1 created", "s3 created", "s2 left_out paid_and_taken_back"]);
        // 500.00, less the 100.00 that were paid, and the 5.00 of them that came back.
        assert_eq!(
            shop.db.query_strings(
                "SELECT CAST(p.amount_cents AS TEXT), h.reason FROM payouts p JOIN payout_history h ON h.payout_id = p.id
                 WHERE p.status = 'PENDING' AND h.event = 'created' ORDER BY p.amount_cents"
            ),
            [
                vec![Some("3000".to_owned()), None],
                vec![
                    Some("40500".to_owned()),
                    Some("pays again what was taken back: sent to a closed bank account".to_owned()),
                ],
            ]
        );
        // So it does: what was taken back of it is paid, and no more.
        shop.alter("s2", "status = 'RESOLVED', paid_at = NULL");
        assert_eq!(shop.outcomes_of(&again), ["s2 created", "s1 left_out in_flight", "s3 left_out in_flight"]);
        assert_eq!(shop.one("SELECT CAST(amount_cents AS TEXT) FROM payouts WHERE royalty_statement_id = 's2' AND status = 'PENDING'"), "500");
        shop.process(&[]).expect_code(0);
        assert_eq!((shop.state("s1"), shop.state("s2")), ("PAID".to_owned(), "PAID".to_owned()));
        shop.assert_paid_exactly_once();
    }

    fn a_run_and_a_creator_narrow_it(db: TestDb) {
        let shop = shop(db);
        shop.statement("s1", "ann", 5_000);
        shop.statement("s2", "ann", 5_000);
        shop.statement("s3", "ben", 5_000);
        assert_eq!(shop.outcomes_of(&["--dry-run", "--run", "run_of_s2"]), ["s2 created"]);
        assert_eq!(shop.outcomes_of(&["--dry-run", "--creator", "ANN@example.org"]), ["s1 created", "s2 created"]);
        assert_eq!(shop.outcomes_of(&["--dry-run", "--run", "run_of_s2", "--creator", "cr_ben"]), Vec::<String>::new());
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.of_statements(&["--run", "run_of_s9"]).transcript(), @r"
            $ payouts create --from-statements --run run_of_s9
            --- stderr
            error: there is no royalty run run_of_s9
            hint: `payouts statements list` shows the run of each statement
            --- exit 1
            ");
        }
        let told = shop.of_statements(&["--creator", "nobody"]).expect_code(1);
        assert!(told.stderr.contains("nobody"), "{told}");
        assert_eq!(shop.payout_count(), "0");
    }

    fn machines_read_what_became_of_each(db: TestDb) {
        let shop = shop(db);
        shop.statement("s1", "ann", 50_000);
        shop.statement("s2", "ben", 40);
        let told = shop.of_statements(&["-o", "json"]).transcript();
        let sha256 = shop.one("SELECT sha256 FROM payout_batches");
        insta::allow_duplicates! {
            insta::assert_snapshot!(told.replace(&sha256, "<of the run>"), @r#"
            $ payouts create --from-statements -o json
            {
              "schema": 1,
              "dry_run": false,
              "batch": {
                "id": "c000000000000000000000001",
                "source": "statements",
                "sha256": "<of the run>",
                "payout_count": 1,
                "total_cents": 50000,
                "currency": "usd",
                "held": true,
                "actor": "tester",
                "run_id": "c000000000000000000000002",
                "created_at": "2026-11-02T09:30:00.000Z"
              },
              "loaded_before": false,
              "created": 1,
              "already_loaded": 0,
              "total_cents": 50000,
              "currency": "usd",
              "payouts": [
                "c000000000000000000000003"
              ],
              "payout": null,
              "carried": 1,
              "carried_cents": 40,
              "left_out": 0,
              "refused": 0,
              "statements": [
                {
                  "id": "s1",
                  "royalty_run_id": "run_of_s1",
                  "creator_id": "cr_ann",
                  "creator_name": "ann",
                  "left_cents": 50000,
                  "currency": "usd",
                  "result": "created",
                  "reason_code": null,
                  "reason": null,
                  "payout_id": "c000000000000000000000003"
                },
                {
                  "id": "s2",
                  "royalty_run_id": "run_of_s2",
                  "creator_id": "cr_ben",
                  "creator_name": "ben",
                  "left_cents": 40,
                  "currency": "usd",
                  "result": "carried",
                  "reason_code": "below_minimum",
                  "reason": "below the minimum of 1.00 USD",
                  "payout_id": null
                }
              ],
              "bad_rows": 0,
              "error_count": 0,
              "errors_by_kind": [],
              "errors": []
            }
            --- stderr
            --- exit 0
            "#);
            insta::assert_snapshot!(shop.of_statements(&["--dry-run", "-o", "csv"]).transcript(), @r"
            $ payouts create --from-statements --dry-run -o csv
            id,royalty_run_id,creator_id,creator_name,left_cents,currency,result,reason_code,reason,payout_id
            s2,run_of_s2,cr_ben,ben,40,usd,carried,below_minimum,below the minimum of 1.00 USD,
            s1,run_of_s1,cr_ann,ann,50000,usd,left_out,in_flight,has payout c000000000000000000000003 in flight,
            --- stderr
            --- exit 0
            ");
        }
        // A batch that was cancelled can be created again, the same as it was.
        let batch = shop.one("SELECT id FROM payout_batches");
        shop.env.run(&["cancel", "--batch", &batch, "--reason", "wrong month"]).expect_code(0);
        assert_eq!(shop.outcomes_of(&["--release"]), ["s1 created", "s2 carried below_minimum"]);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_batches"), "2");
    }

    // The money went where it went, whatever other software makes of the rows since.
    fn what_was_paid_on_a_statement_counts_when_its_payout_is_rewritten(db: TestDb) {
        let shop = shop(db);
        shop.statement("other", "ben", 100_000);
        let edits = [
            "DELETE FROM payouts WHERE id = 'PAYOUT'",
            "UPDATE payouts SET royalty_statement_id = NULL WHERE id = 'PAYOUT'",
            "UPDATE payouts SET royalty_statement_id = 'other' WHERE id = 'PAYOUT'",
            "UPDATE payouts SET creator_id = 'cr_cat' WHERE id = 'PAYOUT'",
            "UPDATE payouts SET amount_cents = 100 WHERE id = 'PAYOUT'",
            "UPDATE royalty_statements SET creator_id = 'cr_cat' WHERE id = 'STATEMENT'",
            "UPDATE payouts SET status = 'FAILED', stripe_transfer_id = NULL WHERE id = 'PAYOUT'",
        ];
        let statements: Vec<String> = (0..edits.len()).map(|n| format!("s{n}")).collect();
        for statement in &statements {
            shop.statement(statement, "ann", 50_000);
            let part = ["create", "--creator", "cr_ann", "--amount", "200", "--partial", "--statement", statement];
            shop.env.run(&part).expect_code(0);
        }
        shop.process(&[]).expect_code(0);
        for (statement, edit) in statements.iter().zip(edits) {
            let payout = shop.one(&format!("SELECT id FROM payouts WHERE royalty_statement_id = '{statement}'"));
            shop.db.execute(&edit.replace("PAYOUT", &payout).replace("STATEMENT", statement));
        }
        for _ in 0..2 {
            shop.of_statements(&["--release"]);
            shop.process(&[]);
        }
        for (statement, edit) in statements.iter().zip(edits) {
            let of_it = shop.transfers().into_iter().filter(|transfer| {
                transfer.metadata.get("royalty_statement_id").as_deref() == Some(statement)
            });
            let paid: i64 = of_it.map(|transfer| transfer.amount).sum();
            assert!((20_000..=50_000).contains(&paid), "{edit}: {paid}");
        }
        // What can still be told apart is paid to the end.
        let whole = shop.transfers().into_iter().filter(|transfer| transfer.amount == 30_000).count();
        assert_eq!(whole, 6);
    }

    fn of_many_statements_the_first_are_shown_and_all_are_counted(db: TestDb) {
        let shop = shop(db);
        for number in 0..23 {
            shop.statement(&format!("s{number:02}"), "ann", 5_000);
        }
        let run = shop.of_statements(&[]).expect_code(0);
        assert!(run.stdout.contains("… and 3 more created\n"), "{run}");
        assert!(run.stdout.contains("Created  23 payouts, 1,150.00 USD\n"), "{run}");
    }
}

#[test]
fn flags_that_do_not_go_together_are_told() {
    let shop = Shop::open(TestDb::sqlite());
    for more in [
        ["--file", "batch.csv"],
        ["--amount", "5"],
        ["--statement", "s1"],
        ["--reference", "R"],
        ["--partial", "--dry-run"],
        ["--no-references", "--dry-run"],
    ] {
        shop.of_statements(&more).expect_code(2);
    }
    for more in [
        &["--creator", "a", "--amount", "5", "--run", "r1"][..],
        &[
            "--creator",
            "a",
            "--amount",
            "5",
            "--repay",
            "--reason",
            "x",
        ],
        &["--file", "batch.csv", "--run", "r1"],
        &["--file", "batch.csv", "--repay", "--reason", "x"],
    ] {
        shop.env.run(&[&["create"], more].concat()).expect_code(2);
    }
}
