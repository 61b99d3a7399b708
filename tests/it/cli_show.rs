//! `payouts show`: everything on one payout, and what to do next.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use payouts::sandbox::Fault;
use serde_json::Value;

use crate::common::db::{TestDb, on_both};
use crate::common::env::TestEnv;
use crate::common::seed::{
    AttemptRow, PayoutRow, answer, batch, creator, history, hold, item, migrated, run, statement,
};
use crate::common::shop::Shop;

const DECLINED: &str = r#"{"error":{"code":"balance_insufficient","message":"Insufficient funds \u001b[31mred","type":"invalid_request_error"}}"#;

/// A payout that was declined, one that is unresolved, one that waits, one that
/// is paid, and one of other software.
fn shop(db: &TestDb) -> TestEnv {
    drop(migrated(db));
    let mut env = TestEnv::new();
    env.use_database(db);
    creator(db, "ann", "Ann \x1b[2JExample");
    statement(db, "st1", "ann");
    run(db, "run1", None);
    batch(db, "b1", "run1");
    let attempt = AttemptRow {
        number: 1,
        run: "run1",
        ..AttemptRow::default()
    };

    PayoutRow {
        status: "FAILED",
        reason: Some("Insufficient funds"),
        retries: 1,
        statement: Some("st1"),
        ..PayoutRow::new("declined", "ann")
    }
    .insert(db);
    item(db, "declined", Some("b1"), Some("INV-1"));
    AttemptRow {
        payout: "declined",
        outcome: "declined",
        http: Some(400),
        code: Some("balance_insufficient"),
        message: Some("Insufficient funds"),
        request: Some("req_1QabcDEFghi"),
        ..attempt.clone()
    }
    .insert(db);
    answer(
        db,
        "declined",
        1,
        Some(400),
        Some("req_1QabcDEFghi"),
        "declined: balance_insufficient",
        DECLINED,
    );
    history(db, "declined", 1, "created", None, "PENDING", None);
    history(
        db,
        "declined",
        2,
        "claimed",
        Some("PENDING"),
        "PROCESSING",
        None,
    );
    history(
        db,
        "declined",
        3,
        "declined",
        Some("PROCESSING"),
        "FAILED",
        Some("balance_insufficient: Insufficient funds"),
    );

    PayoutRow {
        status: "PROCESSING",
        ..PayoutRow::new("unresolved", "ann")
    }
    .insert(db);
    item(db, "unresolved", None, None);
    AttemptRow {
        payout: "unresolved",
        outcome: "unknown",
        code: Some("no_answer"),
        ..attempt.clone()
    }
    .insert(db);
    answer(
        db,
        "unresolved",
        1,
        None,
        None,
        "unknown: no_answer",
        "connection reset\n\x07by peer",
    );

    PayoutRow::new("waiting", "ann").insert(db);
    item(db, "waiting", Some("b1"), Some("INV-2"));
    hold(db, "batch", "b1");

    PayoutRow {
        status: "COMPLETED",
        transfer: Some("tr_1QabcDEFghiJKL"),
        processed: Some("2026-10-05 08:00:00"),
        ..PayoutRow::new("paid", "ann")
    }
    .insert(db);
    item(db, "paid", None, Some("declined"));
    AttemptRow {
        payout: "paid",
        outcome: "paid",
        http: Some(200),
        request: Some("req_2QabcDEFghi"),
        transfer: Some("tr_1QabcDEFghiJKL"),
        ..attempt
    }
    .insert(db);

    PayoutRow {
        status: "PROCESSING",
        ..PayoutRow::new("foreign", "ann")
    }
    .insert(db);
    env
}

on_both! {
    fn a_payout_is_told_from_what_it_is_to_what_to_do(db: TestDb) {
        let env = shop(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["show", "INV-1"]).transcript(), @r#"
            $ payouts show INV-1
            Payout      declined
            Status      FAILED
            Amount      500.00 USD
            Creator     Ann [2JExample <ann@example.com>, ann, acct_ann
            Statement   st1: REVIEWED, 500.00 USD payable
            Batch       b1: b1.csv, line 2, loaded by ann
            Reference   INV-1
            Created     2026-10-01 08:00:00.000 UTC
            Changed     2026-10-01 08:00:00.000 UTC
            Failed      Insufficient funds
            Tries       1 failed attempt
            Hold        its batch since 2026-10-01 08:00:00.000 UTC, by ann: not looked over yet

            History
              2026-10-05 08:00:01.000 UTC  created     PENDING                  by cron in run run1
              2026-10-05 08:00:02.000 UTC  claimed     PENDING → PROCESSING     by cron in run run1
              2026-10-05 08:00:03.000 UTC  declined    PROCESSING → FAILED      by cron in run run1
                balance_insufficient: Insufficient funds

            Attempt 1: declined
              key       payout_declined_1
              pays      500.00 USD to acct_ann, from acct_platform, test mode
              sent      once, at 2026-10-05 08:00:00.000 UTC
              answer    HTTP 400, balance_insufficient: Insufficient funds (req_00000000001)

              Send 1 at 2026-10-05 08:00:00.000 UTC, after #.### s: HTTP 400, req_00000000001: declined: balance_insufficient
                {
                  "error": {
                    "code": "balance_insufficient",
                    "message": "Insufficient funds \u001b[31mred",
                    "type": "invalid_request_error"
                  }
                }

            What to do next
              No money moved: Stripe refused it for good. Top up the platform's Stripe balance, then have it retried; a new attempt gets a new key. It is due again: `payouts retry --due`, or `payouts retry declined`, puts it back to PENDING, for a new attempt under a new key.
            --- stderr
            --- exit 0
            "#);
        }
    }

    fn what_is_not_done_says_what_it_waits_for(db: TestDb) {
        let env = shop(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["show", "unresolved", "waiting", "foreign"]).transcript(), @r"
            $ payouts show unresolved waiting foreign
            Payout      unresolved
            Status      PROCESSING (unresolved)
            Amount      500.00 USD
            Creator     Ann [2JExample <ann@example.com>, ann, acct_ann
            Created     2026-10-01 08:00:00.000 UTC
            Changed     2026-10-01 08:00:00.000 UTC

            History
              none is recorded

            Attempt 1: unknown
              key       payout_unresolved_1
              pays      500.00 USD to acct_ann, from acct_platform, test mode
              sent      once, at 2026-10-05 08:00:00.000 UTC
              answer    no_answer

              Send 1 at 2026-10-05 08:00:00.000 UTC, after #.### s: no answer: unknown: no_answer
                connection reset
                by peer

            What to do next
              Unresolved: Stripe may have made its transfer. The next `payouts process` looks it up and adopts what it finds; if it finds nothing, the payout stays unresolved, since sending it again could pay twice: Stripe may have forgotten the key, or has stored an error under it. `payouts resolve unresolved` looks at once, and says from when on a person may decide: `--paid tr_…` records the transfer that paid it, `--release --reason TEXT` lets go of it after two look-ups an hour apart that found nothing.


            Payout      waiting
            Status      PENDING (held)
            Amount      500.00 USD
            Creator     Ann [2JExample <ann@example.com>, ann, acct_ann
            Batch       b1: b1.csv, line 2, loaded by ann
            Reference   INV-2
            Created     2026-10-01 08:00:00.000 UTC
            Changed     2026-10-01 08:00:00.000 UTC
            Hold        its batch since 2026-10-01 08:00:00.000 UTC, by ann: not looked over yet

            History
              none is recorded

            What to do next
              Waiting for the release of batch b1: look the batch over with `payouts list --batch b1`, then `payouts release b1`.


            Payout      foreign
            Status      PROCESSING
            Amount      500.00 USD
            Creator     Ann [2JExample <ann@example.com>, ann, acct_ann
            Source      created by other software
            Created     2026-10-01 08:00:00.000 UTC
            Changed     2026-10-01 08:00:00.000 UTC

            History
              none is recorded

            What to do next
              Other software took it for sending, under a key that is not known here. The next `payouts process` looks for its transfer at Stripe and adopts it; this tool does not send it by itself. `payouts resolve foreign` looks at once, and says from when on a person may decide: `--paid tr_…` records the transfer that paid it, `--release --reason TEXT` lets go of it after two look-ups an hour apart that found nothing.
            --- stderr
            --- exit 0
            ");
        }
    }

    fn a_payout_is_found_by_everything_people_have_of_it(db: TestDb) {
        let env = shop(&db);
        let shown = |args: &[&str]| -> Vec<String> {
            let args: Vec<&str> = [&["show", "-o", "json"], args].concat();
            let answer: Value = serde_json::from_str(&env.run(&args).expect_code(0).stdout).unwrap();
            assert_eq!(answer["schema"], 1);
            answer["payouts"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(shown(&["tr_1QabcDEFghiJKL"]), ["paid"]);
        assert_eq!(shown(&["req_1QabcDEFghi"]), ["declined"]);
        assert_eq!(shown(&["req_2QabcDEFghi"]), ["paid"]);
        assert_eq!(shown(&["INV-2"]), ["waiting"]);
        // The reference of one is the id of the other.
        assert_eq!(shown(&["declined"]), ["declined", "paid"]);
        // In the order asked for, each once.
        assert_eq!(shown(&["waiting", "INV-1", "INV-2"]), ["waiting", "declined"]);
    }

    fn json_holds_all_of_it(db: TestDb) {
        let env = shop(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["show", "INV-1", "-o", "json"]).transcript(), @r#"
            $ payouts show INV-1 -o json
            {
              "schema": 1,
              "payouts": [
                {
                  "id": "declined",
                  "status": "FAILED",
                  "amount_cents": 50000,
                  "currency": "usd",
                  "creator_id": "ann",
                  "creator_name": "Ann \u001b[2JExample",
                  "royalty_statement_id": "st1",
                  "stripe_transfer_id": null,
                  "failed_code": "balance_insufficient",
                  "failed_reason": "Insufficient funds",
                  "retry_count": 1,
                  "last_retry_at": null,
                  "held": true,
                  "unresolved": false,
                  "batch_id": "b1",
                  "reference": "INV-1",
                  "created_at": "2026-10-01T08:00:00.000Z",
                  "updated_at": "2026-10-01T08:00:00.000Z",
                  "processed_at": null,
                  "reversed_cents": 0,
                  "next_retry_at": "2026-10-01T08:05:00.000Z",
                  "retry_refusal": null,
                  "creator": {
                    "id": "ann",
                    "name": "Ann \u001b[2JExample",
                    "email": "ann@example.com",
                    "stripe_account_id": "acct_ann",
                    "onboarding_status": "pending",
                    "deleted_at": null
                  },
                  "statement": {
                    "id": "st1",
                    "royalty_run_id": "rr_st1",
                    "status": "REVIEWED",
                    "net_payable_cents": 50000,
                    "rest_cents": 50000,
                    "disputed_at": null,
                    "paid_at": null,
                    "payment_reference": null
                  },
                  "batch": {
                    "id": "b1",
                    "source": "b1.csv",
                    "sha256": "b1",
                    "line": 2,
                    "actor": "ann",
                    "created_at": "2026-10-01T08:00:00.000Z"
                  },
                  "holds": [
                    {
                      "kind": "batch",
                      "target": "b1",
                      "reason": "not looked over yet",
                      "actor": "ann",
                      "created_at": "2026-10-01T08:00:00.000Z",
                      "ends_at": null
                    }
                  ],
                  "attempts": [
                    {
                      "attempt": 1,
                      "idempotency_key": "payout_declined_1",
                      "outcome": "declined",
                      "amount_cents": 50000,
                      "currency": "usd",
                      "destination": "acct_ann",
                      "stripe_account": "acct_platform",
                      "livemode": false,
                      "api_version": "2026-01-01",
                      "run_id": "run1",
                      "created_at": "2026-10-05T08:00:00.000Z",
                      "first_sent_at": "2026-10-05T08:00:00.000Z",
                      "last_sent_at": "2026-10-05T08:00:00.000Z",
                      "send_count": 1,
                      "settled_at": null,
                      "http_status": 400,
                      "error_type": null,
                      "error_code": "balance_insufficient",
                      "error_message": "Insufficient funds",
                      "request_id": "req_00000000001",
                      "replayed": false,
                      "transfer_id": null,
                      "request_body": "amount=50000&currency=usd",
                      "answers": [
                        {
                          "send": 1,
                          "sent_at": "2026-10-05T08:00:00.000Z",
                          "answered_at": "2026-10-05T08:00:00.412Z",
                          "http_status": 400,
                          "request_id": "req_00000000001",
                          "replayed": false,
                          "verdict": "declined: balance_insufficient",
                          "body": "{\"error\":{\"code\":\"balance_insufficient\",\"message\":\"Insufficient funds \\u001b[31mred\",\"type\":\"invalid_request_error\"}}"
                        }
                      ]
                    }
                  ],
                  "look_ups": [],
                  "reversals": [],
                  "history": [
                    {
                      "seq": 1,
                      "event": "created",
                      "from_status": null,
                      "to_status": "PENDING",
                      "at": "2026-10-05T08:00:01.000Z",
                      "actor": "cron",
                      "run_id": "run1",
                      "reason": null,
                      "hash": "h1"
                    },
                    {
                      "seq": 2,
                      "event": "claimed",
                      "from_status": "PENDING",
                      "to_status": "PROCESSING",
                      "at": "2026-10-05T08:00:02.000Z",
                      "actor": "cron",
                      "run_id": "run1",
                      "reason": null,
                      "hash": "h2"
                    },
                    {
                      "seq": 3,
                      "event": "declined",
                      "from_status": "PROCESSING",
                      "to_status": "FAILED",
                      "at": "2026-10-05T08:00:03.000Z",
                      "actor": "cron",
                      "run_id": "run1",
                      "reason": "balance_insufficient: Insufficient funds",
                      "hash": "h3"
                    }
                  ],
                  "findings": [],
                  "next_step": "No money moved: Stripe refused it for good. Top up the platform's Stripe balance, then have it retried; a new attempt gets a new key. It is due again: `payouts retry --due`, or `payouts retry declined`, puts it back to PENDING, for a new attempt under a new key."
                }
              ]
            }
            --- stderr
            --- exit 0
            "#);
        }
    }

    fn what_is_not_there_is_said_and_the_rest_is_shown(db: TestDb) {
        let env = shop(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["show", "nothing"]).expect_code(1).transcript(), @r"
            $ payouts show nothing
            --- stderr
            error: there is no payout with the id, reference, transfer or request nothing
            hint: find it with `payouts list`, for instance by --creator or --created
            --- exit 1
            ");
            insta::assert_snapshot!(env.run(&["show", "nothing", "-o", "json"]).expect_code(1).transcript(), @r#"
            $ payouts show nothing -o json
            {
              "schema": 1,
              "payouts": []
            }
            --- stderr
            error: there is no payout with the id, reference, transfer or request nothing
            hint: find it with `payouts list`, for instance by --creator or --created
            --- exit 1
            "#);
        }
        let some = env.run(&["show", "INV-1", "nothing", "none\x1b[31m"]).expect_code(1);
        assert!(some.stdout.starts_with("Payout"), "{some}");
        assert!(some.stderr.contains("nothing, none[31m\n"), "{some}");
    }
}

// Stripe's clock runs ten seconds ahead: what stands in one line is told by one clock.
#[test]
fn one_clock_tells_when_an_attempt_was_sent() {
    let mut shop = Shop::open(TestDb::sqlite());
    shop.payouts(2);
    shop.pass(Duration::from_secs(10));
    shop.env.set_now("2026-11-02T09:30:00.000Z");
    shop.fault("c1", Fault::Conflict409, 1);
    shop.process(&[]).expect_code(0);
    let page = |id: &str| shop.env.run(&["show", id]).expect_code(0).stdout;
    let once = page("cp0");
    assert!(
        once.contains("sent      once, at 2026-11-02 09:30:00.000 UTC"),
        "{once}"
    );
    let twice = page("cp1");
    let line = twice
        .lines()
        .find(|line| line.contains("sent   "))
        .unwrap_or_default();
    assert!(
        line.contains("2 times, first at 2026-11-02 09:30:00.") && !line.contains("09:30:10"),
        "{twice}"
    );
    // Where nothing but Stripe's clock is on record, it is named.
    shop.db.execute("DELETE FROM payout_answers");
    shop.db.execute(
        "UPDATE payout_attempts SET send_count = 0, last_sent_at = NULL WHERE payout_id = 'cp0'",
    );
    let never = page("cp0");
    assert!(
        never.contains("not before 2026-11-02 09:30:10.000 UTC by Stripe's clock"),
        "{never}"
    );
    let twice = page("cp1");
    assert!(
        twice.contains("2 times, first at 2026-11-02 09:30:10.000 UTC by Stripe's clock, last at"),
        "{twice}"
    );
}

#[test]
fn csv_has_the_fields_of_the_list() {
    let db = TestDb::sqlite();
    let env = shop(&db);
    let shown = env
        .run(&["show", "paid", "waiting", "-o", "csv"])
        .expect_code(0)
        .stdout;
    let listed = env.run(&["list", "-o", "csv"]).expect_code(0).stdout;
    assert_eq!(shown.lines().count(), 3);
    for line in shown.lines() {
        assert!(listed.lines().any(|listed| listed == line), "{line}");
    }
}

#[test]
fn no_answer_of_a_stranger_reaches_the_terminal_raw() {
    let db = TestDb::sqlite();
    let env = shop(&db);
    for format in ["table", "json", "ndjson", "csv"] {
        let run = env
            .run(&["show", "INV-1", "unresolved", "-o", format])
            .expect_code(0);
        let control = run.stdout.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{format}: {run}");
    }
}

#[test]
fn a_cut_body_is_shown_as_it_came() {
    let db = TestDb::sqlite();
    let env = shop(&db);
    let cut: String = format!("{{\"id\":\"tr_1\",\"x\":\"{}", "y".repeat(4000));
    answer(&db, "paid", 1, Some(200), None, "unknown", &cut);
    let run = env.run(&["show", "paid", "-o", "table"]).expect_code(0);
    assert!(run.stdout.contains(&format!("    {cut}\n")), "{run}");
}

#[test]
fn something_must_be_asked_for() {
    insta::assert_snapshot!(TestEnv::new().run(&["show"]).expect_code(2).transcript(), @r"
    $ payouts show
    --- stderr
    error: the following required arguments were not provided:
      <ID>...

    Usage: payouts show <ID>...

    For more information, try '--help'.
    --- exit 2
    ");
}
