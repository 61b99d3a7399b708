//! `payouts process` as people and scripts see it. What it does to money is in `process`; here it is
//! the text that counts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Stdio;
use std::time::Duration;

use payouts::sandbox::Fault;
use serde_json::Value;

use crate::common::db::{Backend, TestDb, on_both};
use crate::common::env::{Run, TestEnv};
use crate::common::shop::Shop;
use crate::process::signal;

/// Compares a transcript that is the same on both databases.
macro_rules! assert_transcript {
    ($run:expr, @$expected:literal) => {{
        let transcript = $run.transcript();
        insta::allow_duplicates! { insta::assert_snapshot!(transcript, @$expected) }
    }};
}

/// stdout as one JSON object of this version of the contract.
fn json(run: &Run) -> Value {
    let value: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(value["schema"], 1, "{run}");
    value
}

/// stdout as lines of JSON.
fn ndjson(run: &Run) -> Vec<Value> {
    let lines = run.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// stdout as CSV: the header, and the rows under it.
fn csv(run: &Run) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_reader(run.stdout.as_bytes());
    let row = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    let header = row(reader.headers().unwrap());
    let rows = reader.records().map(|record| row(&record.unwrap()));
    (header, rows.collect())
}

/// A shop with something of everything: two payouts that are due, one without an account to send it
/// to, one below the minimum, one held.
fn mixed(db: TestDb) -> Shop {
    let shop = Shop::open(db);
    shop.payouts(2);
    shop.creator("new");
    shop.payout("cq_new", "new", 500);
    shop.db
        .execute(r#"UPDATE creators SET "stripeAccountId" = NULL WHERE id = 'cr_new'"#);
    shop.creator("small");
    shop.payout("cq_small", "small", 99);
    shop.creator("held");
    shop.payout("cq_held", "held", 25_000);
    shop.db.execute(
        "INSERT INTO payout_holds VALUES ('payout', 'cq_held', 'asked by the bank', 'tester', '2026-11-01 12:00:00', NULL)",
    );
    shop
}

/// A batch of two from a file, held as every new batch is.
fn with_batch(db: TestDb) -> (Shop, String) {
    let shop = Shop::open(db);
    shop.creator("ann");
    shop.env.write(
        "november.csv",
        "creator,amount,reference\ncr_ann,12.50,NOV-1\ncr_ann,7.50,NOV-2\n",
    );
    let run = shop
        .env
        .run(&["create", "--file", "november.csv", "-o", "json"]);
    let batch = json(&run.expect_code(0))["batch"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    (shop, batch)
}

on_both! {
    fn what_is_due_is_paid(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(3);
        assert_transcript!(shop.process(&[]), @r"
        $ payouts process
        Result  Payouts     Amount
        paid          3  30.00 USD
        --- stderr
        --- exit 0
        ");
        assert_transcript!(shop.process(&[]), @r"
        $ payouts process
        Result  Payouts    Amount
        paid          0  0.00 USD
        --- stderr
        --- exit 0
        ");
    }

    fn what_is_left_alone_is_counted_with_its_reason(db: TestDb) {
        let shop = mixed(db);
        assert_transcript!(shop.process(&[]), @r"
        $ payouts process
        Result   Payouts      Amount
        paid           2   20.00 USD
        skipped        1  250.00 USD  payout is held
        skipped        1    5.00 USD  creator has no Stripe account
        skipped        1    0.99 USD  below the minimum amount
        --- stderr
        --- exit 1
        ");
    }

    fn a_dry_run_is_a_page_to_look_over(db: TestDb) {
        let shop = mixed(db);
        assert_transcript!(shop.process(&["--dry-run"]), @r"
        $ payouts process --dry-run
        Payout  Creator  To          Amount
        cp0     cr_c0    acct_c0  10.00 USD
        cp1     cr_c1    acct_c1  10.00 USD

        Mode          test
        Account       acct_sandboxplatform
        To send       2 payouts
        Total         20.00 USD
        Balance       10,000,000.00 USD before, 9,999,980.00 USD after
        Not sent      1 payout, 250.00 USD: payout is held (such as cq_held)
                      by tester since 2026-11-01 12:00 UTC: asked by the bank
        Not sent      1 payout, 5.00 USD: creator has no Stripe account (such as cq_new)
        Not sent      1 payout, 0.99 USD: below the minimum amount (such as cq_small)
        Plan          p0000000000000000000000000000001
        --- stderr
        --- exit 0
        ");
    }

    fn a_declined_payout_says_why_and_what_next(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.creator("closed");
        shop.payout("cp_closed", "closed", 500);
        assert_transcript!(shop.process(&[]), @r"
        $ payouts process
        Result  Payouts     Amount
        paid          1  10.00 USD
        failed        1   5.00 USD
        --- stderr
        failed: cp_closed 5.00 USD: resource_missing: No such destination: 'acct_closed'
          The creator's Stripe account does not exist for this platform and mode: closed, disconnected, or of the other mode. Correct the creator's account, then have it retried.
        --- exit 1
        ");
    }

    fn a_lost_answer_is_said_and_the_next_run_finds_the_transfer(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.fault("c1", Fault::Error500After, 1);
        assert_transcript!(shop.process(&[]), @r"
        $ payouts process
        Result      Payouts     Amount
        paid              1  10.00 USD
        unresolved        1  10.00 USD  looked up by the next run
        --- stderr
        unresolved: cp1 10.00 USD: Stripe answered 500: An unknown error occurred. Your request may or may not have been executed. If you have any questions, we can help at https://support.strip…
        --- exit 5
        ");
        assert_transcript!(shop.process(&["--dry-run"]), @r"
        $ payouts process --dry-run
        Mode          test
        Account       acct_sandboxplatform
        To send       0 payouts
        Total         0.00 USD
        Balance       9,999,980.00 USD before, 9,999,970.00 USD after
        --- stderr
        payout cp1 was paid by tr_000000000000000000001: a run will record it
        --- exit 0
        ");
        assert_transcript!(shop.process(&[]), @r"
        $ payouts process
        Result      Payouts     Amount
        paid              0   0.00 USD
        found paid        1  10.00 USD  transfers found at Stripe
        --- stderr
        payout cp1 was paid by tr_000000000000000000001: found at Stripe
        --- exit 0
        ");
    }

    fn a_held_batch_is_counted_and_paid_by_name(db: TestDb) {
        let (shop, batch) = with_batch(db);
        assert_transcript!(shop.process(&[]), @r"
        $ payouts process
        Result   Payouts     Amount
        paid           0   0.00 USD
        skipped        2  20.00 USD  batch is held; look it over, then `payouts release BATCH`
        --- stderr
        --- exit 0
        ");
        assert_transcript!(shop.process(&["--batch", &batch]), @r"
        $ payouts process --batch c000000000000000000000001
        Result  Payouts     Amount
        paid          2  20.00 USD
        --- stderr
        --- exit 0
        ");
    }

    fn a_short_balance_says_how_much_is_missing(db: TestDb) {
        let shop = Shop::with_balance(db, 1500);
        shop.payouts(3);
        assert_transcript!(shop.process(&["--dry-run"]), @r"
        $ payouts process --dry-run
        Payout  Creator  To          Amount
        cp0     cr_c0    acct_c0  10.00 USD
        cp1     cr_c1    acct_c1  10.00 USD
        cp2     cr_c2    acct_c2  10.00 USD

        Mode          test
        Account       acct_sandboxplatform
        To send       3 payouts
        Total         30.00 USD
        Balance       15.00 USD before, -15.00 USD after
        Shortfall     15.00 USD: the run stops at the first payout that is not covered
        Plan          p0000000000000000000000000000001
        --- stderr
        --- exit 0
        ");
        assert_transcript!(shop.process(&[]), @r"
        $ payouts process
        Result      Payouts     Amount
        paid              1  10.00 USD
        given back        2  20.00 USD  nothing of them was executed
        --- stderr
        stopped: the balance does not cover the next payout: 10.00 USD needed, 5.00 USD available
        hint: top up the platform's balance; the next `payouts process` goes on
        --- exit 6
        ");
    }

    fn everything_held_is_refused(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.db.execute("INSERT INTO payout_holds VALUES ('all', '', 'month end', 'tester', '2026-11-01 12:00:00', NULL)");
        assert_transcript!(shop.process(&[]), @r"
        $ payouts process
        Result  Payouts    Amount
        paid          0  0.00 USD
        --- stderr
        everything is held by tester since 2026-11-01 12:00 UTC: month end
        stopped: everything is held (`hold --all`)
        --- exit 4
        ");
    }

    fn quiet_leaves_the_answer_and_what_is_wrong(db: TestDb) {
        let shop = mixed(db);
        shop.creator("closed");
        shop.payout("cp_closed", "closed", 500);
        assert_transcript!(shop.process(&["--quiet"]), @r"
        $ payouts process --quiet
        Result   Payouts      Amount
        paid           2   20.00 USD
        failed         1    5.00 USD
        skipped        1  250.00 USD  payout is held
        skipped        1    5.00 USD  creator has no Stripe account
        skipped        1    0.99 USD  below the minimum amount
        --- stderr
        failed: cp_closed 5.00 USD: resource_missing: No such destination: 'acct_closed'
          The creator's Stripe account does not exist for this platform and mode: closed, disconnected, or of the other mode. Correct the creator's account, then have it retried.
        --- exit 1
        ");
    }

    fn json_says_all_of_it(db: TestDb) {
        let shop = mixed(db);
        shop.creator("closed");
        shop.payout("cp_closed", "closed", 500);
        shop.fault("c1", Fault::Error500After, 1);
        let run = shop.process(&["-o", "json"]).expect_code(5);
        let said = json(&run);
        assert_eq!((&said["currency"], &said["exit_code"], &said["stopped"]), (&"usd".into(), &5.into(), &Value::Null));
        let results = said["results"].as_array().unwrap();
        let brief: Vec<_> = results.iter().map(|row| {
            assert_eq!(row["currency"], "usd", "{row}");
            (row["result"].as_str().unwrap(), row["reason_code"].as_str(), row["payouts"].as_u64().unwrap(), row["amount_cents"].as_i64().unwrap())
        }).collect();
        assert_eq!(brief, [
            ("paid", None, 1, 1000),
            ("failed", None, 1, 500),
            ("unresolved", None, 1, 1000),
            ("skipped", Some("payout_held"), 1, 25_000),
            ("skipped", Some("no_stripe_account"), 1, 500),
            ("skipped", Some("below_minimum"), 1, 99),
        ]);
        assert_eq!(said["failed"][0]["id"], "cp_closed");
        assert_eq!(said["failed"][0]["code"], "resource_missing");
        assert_eq!((&said["failed"][0]["amount_cents"], &said["failed"][0]["currency"]), (&500.into(), &"usd".into()));
        assert_eq!((&said["unresolved"][0]["id"], &said["unresolved"][0]["code"]), (&"cp1".into(), &Value::Null));
        assert_eq!((&said["alarms"], &said["findings"]), (&Value::Array(vec![]), &Value::Array(vec![])));
    }

    fn ndjson_and_csv_are_the_results(db: TestDb) {
        let shop = mixed(db);
        shop.fault("c1", Fault::Error500After, 1);
        let lines = ndjson(&shop.process(&["-o", "ndjson"]).expect_code(5));
        assert_eq!(lines[0]["result"], "paid");
        assert!(lines.iter().all(|line| line["currency"] == "usd"), "{lines:?}");
        let (header, rows) = csv(&shop.process(&["-o", "csv"]).expect_code(1));
        assert_eq!(header, ["result", "payouts", "amount_cents", "currency", "reason_code", "note"]);
        assert_eq!(rows[0], ["paid", "0", "0", "usd", "", ""]);
        assert_eq!(rows[1], ["found paid", "1", "1000", "usd", "", "transfers found at Stripe"]);
        assert_eq!(rows[2][..5], ["skipped", "1", "25000", "usd", "payout_held"]);
    }

    fn a_plan_can_be_read_by_a_machine(db: TestDb) {
        let shop = mixed(db);
        let plan = json(&shop.process(&["--dry-run", "-o", "json"]).expect_code(0));
        let row = serde_json::json!({
            "payout_id": "cp0", "creator_id": "cr_c0", "destination": "acct_c0", "amount_cents": 1000,
            "currency": "usd", "created_at": "2026-11-01T12:00:00.000Z", "resend": false,
        });
        assert_eq!(plan["plan"][0], row);
        assert_eq!((&plan["due"], &plan["total_cents"], &plan["currency"]), (&2.into(), &2000.into(), &"usd".into()));
        assert_eq!((&plan["livemode"], &plan["balance_cents"], &plan["balance_after_cents"]),
            (&false.into(), &1_000_000_000.into(), &999_998_000.into()));
        let held = serde_json::json!({
            "reason_code": "payout_held", "reason": "payout is held", "payouts": 1, "amount_cents": 25_000,
            "currency": "usd", "example": "cq_held",
            "hold": plan["skipped"][0]["hold"],
        });
        assert_eq!(plan["skipped"][0], held);
        assert_eq!(plan["skipped"][0]["hold"]["kind"], "payout");

        let lines = ndjson(&shop.process(&["--dry-run", "-o", "ndjson"]).expect_code(0));
        assert_eq!((lines.len(), &lines[0]), (2, &row));
        let (header, rows) = csv(&shop.process(&["--dry-run", "-o", "csv"]).expect_code(0));
        let fields: Vec<_> = row.as_object().unwrap().keys().cloned().collect();
        assert_eq!(header, fields);
        assert_eq!(rows[1], ["cp1", "cr_c1", "acct_c1", "1000", "usd", "2026-11-01T12:00:00.000Z", "false"]);
        assert!(shop.transfers().is_empty());
    }

    fn an_empty_plan_has_its_header(db: TestDb) {
        let shop = Shop::open(db);
        let (header, rows) = csv(&shop.process(&["--dry-run", "-o", "csv"]).expect_code(0));
        assert_eq!((header[0].as_str(), rows.len()), ("payout_id", 0));
        let plan = json(&shop.process(&["--dry-run", "-o", "json"]).expect_code(0));
        assert_eq!((&plan["plan"], &plan["due"]), (&Value::Array(vec![]), &0.into()));
        assert_transcript!(shop.process(&["--dry-run"]), @r"
        $ payouts process --dry-run
        Mode          test
        Account       acct_sandboxplatform
        To send       0 payouts
        Total         0.00 USD
        Balance       10,000,000.00 USD before, 10,000,000.00 USD after
        --- stderr
        --- exit 0
        ");
    }

    fn what_is_named_must_exist(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        assert_transcript!(shop.process(&["cp0", "cp9", "cp8"]), @r"
        $ payouts process cp0 cp9 cp8
        --- stderr
        error: there is no payout cp9, cp8; nothing was done
        hint: find it with `payouts list`
        --- exit 1
        ");
        assert_transcript!(shop.process(&["--batch", "b9"]), @r"
        $ payouts process --batch b9
        --- stderr
        error: no batch has this id: b9
        hint: `payouts batches list` shows all of them
        --- exit 1
        ");
        assert_transcript!(shop.process(&["--creator", "nobody@example.org"]), @r"
        $ payouts process --creator nobody@example.org
        --- stderr
        error: no creator has this id, e-mail address or Stripe account: nobody@example.org
        hint: `payouts creators list TEXT` finds creators by part of a name or e-mail address
        --- exit 1
        ");
        assert!(shop.transfers().is_empty());
    }

    fn another_account_is_refused(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.env.set("STRIPE_SECRET_KEY", "sk_test_other_shop");
        assert_transcript!(shop.process(&[]), @r"
        $ payouts process
        --- stderr
        error: this database pays from Stripe account acct_sandboxplatform, in test mode; the key belongs to acct_sandboxother, in test mode
        hint: use the key of the account this database was stamped with
        --- exit 4
        ");
        shop.env.set("STRIPE_SECRET_KEY", "sk_test_shop");
        shop.env.set("PAYOUTS_CURRENCY", "eur");
        assert_transcript!(shop.process(&[]), @r"
        $ payouts process
        --- stderr
        error: this database pays in USD, not in EUR
        hint: unset PAYOUTS_CURRENCY, or use another database
        --- exit 4
        ");
    }

    fn a_database_that_forgot_payments_is_refused(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        for sql in [
            "DELETE FROM payout_answers",
            "DELETE FROM payout_attempts",
            "UPDATE payouts SET status = 'PENDING', stripe_transfer_id = NULL, processed_at = NULL",
        ] {
            shop.db.execute(sql);
        }
        assert_transcript!(shop.process(&[]), @r"
        $ payouts process
        --- stderr
        error: Stripe holds 1 transfer that this database made or must know, and does not: tr_000000000000000000001
        hint: this database was restored or copied from an older state, or a transfer was made by hand, or by other software that names our payouts; sending now could pay again. Use the newest database; if this is the newest, `payouts reconcile --fix` records what is provably ours and says what to do about the rest
        --- exit 4
        ");
    }
}

#[test]
fn a_key_that_may_not_send_is_told_apart() {
    let mut shop = Shop::open(TestDb::sqlite());
    shop.payouts(2);
    shop.env.unset("STRIPE_SECRET_KEY");
    assert_transcript!(shop.process(&[]), @r"
    $ payouts process
    --- stderr
    error: there is no Stripe key
    hint: set STRIPE_SECRET_KEY or STRIPE_SECRET_KEY_FILE; to try it out, run `payouts sandbox` and use what it prints
    --- exit 3
    ");
    shop.env.set("STRIPE_SECRET_KEY", "pk_test_shop");
    assert_transcript!(shop.process(&[]), @r"
    $ payouts process
    --- stderr
    error: the Stripe key is not a secret (sk_…) or restricted (rk_…) key
    hint: check STRIPE_SECRET_KEY
    --- exit 3
    ");
    shop.env.set("STRIPE_SECRET_KEY", "sk_test_expired");
    assert_transcript!(shop.process(&[]), @r"
    $ payouts process
    --- stderr
    error: failed to ask Stripe whose key this is; nothing was sent
      1: Stripe answered 401 api_key_expired: Expired API Key provided: sk_test_******* (req_000000000000000001)
    hint: check STRIPE_SECRET_KEY and what the key is allowed to do: read the account and the balance; list, read and create transfers
    --- exit 3
    ");
    shop.env.set("STRIPE_SECRET_KEY", "rk_test_noaccess");
    assert_transcript!(shop.process(&[]), @r"
    $ payouts process
    --- stderr
    error: failed to ask Stripe whose key this is; nothing was sent
      1: Stripe answered 403 invalid_request_error: The provided key 'rk_test_********' does not have the required permissions for this endpoint on account 'acct_sandboxplatform'. (req_000000000000000002)
    hint: check STRIPE_SECRET_KEY and what the key is allowed to do: read the account and the balance; list, read and create transfers
    --- exit 3
    ");
    shop.env.set("STRIPE_SECRET_KEY", "rk_test_readonly");
    assert_transcript!(shop.process(&[]), @r"
    $ payouts process
    Result      Payouts     Amount
    paid              0   0.00 USD
    given back        2  20.00 USD  nothing of them was executed
    --- stderr
    stopped: Stripe refuses every request: The provided key 'rk_test_********' does not have the required permissions for this endpoint on account 'acct_sandboxplatform'.
    hint: check STRIPE_SECRET_KEY and what the key is allowed to do: read the account and the balance; list, read and create transfers
    --- exit 3
    ");
    shop.env.set("STRIPE_SECRET_KEY", "sk_live_shop");
    assert_transcript!(shop.process(&[]), @r"
    $ payouts process
    --- stderr
    error: the Stripe key moves real money, and that is not allowed here
    hint: set PAYOUTS_LIVE=1 or give --live, if real money is meant
    --- exit 4
    ");
    assert_transcript!(shop.process(&["--live"]), @r"
    $ payouts process --live
    --- stderr
    error: failed to set up the connection to Stripe
      1: a live key is sent to https://api.stripe.com only, not to http://127.0.0.1:#####
    hint: check STRIPE_API_BASE, or unset it to reach Stripe itself
    --- exit 3
    ");
}

#[test]
fn a_key_travels_to_stripe_or_to_this_machine() {
    let mut shop = Shop::open(TestDb::sqlite());
    shop.env.set("STRIPE_API_BASE", "http://stripe.example");
    assert_transcript!(shop.process(&[]), @r"
    $ payouts process
    --- stderr
    error: failed to set up the connection to Stripe
      1: http://stripe.example is plain HTTP to another machine; a key travels over HTTPS only
    hint: check STRIPE_API_BASE, or unset it to reach Stripe itself
    --- exit 3
    ");
    shop.env.set("STRIPE_SECRET_KEY", "sk_live_shop");
    assert_transcript!(shop.process(&["--live"]), @r"
    $ payouts process --live
    --- stderr
    error: failed to set up the connection to Stripe
      1: a live key is sent to https://api.stripe.com only, not to http://stripe.example
    hint: check STRIPE_API_BASE, or unset it to reach Stripe itself
    --- exit 3
    ");
    shop.env.set("STRIPE_SECRET_KEY", "sk_test_shop");
    shop.env.set("STRIPE_API_BASE", "stripe.example");
    assert_transcript!(shop.process(&[]), @r#"
    $ payouts process
    --- stderr
    error: failed to set up the connection to Stripe
      1: "stripe.example" is not an http:// or https:// address without a path
    hint: check STRIPE_API_BASE, or unset it to reach Stripe itself
    --- exit 3
    "#);
    shop.env.set("STRIPE_API_BASE", "http://127.0.0.1:9");
    assert_transcript!(shop.process(&[]), @r"
    $ payouts process
    --- stderr
    error: failed to ask Stripe whose key this is; nothing was sent
      1: Stripe did not answer: client error (Connect): tcp connect error: Connection refused (os error 111)
    hint: check the network, and STRIPE_API_BASE if it is set; the next run goes on
    --- exit 3
    ");
}

#[test]
fn a_database_that_cannot_be_worked_with_is_told_apart() {
    let mut env = TestEnv::new();
    env.set("STRIPE_SECRET_KEY", "sk_test_shop");
    assert_transcript!(env.run(&["process"]), @r"
    $ payouts process
    --- stderr
    using sqlite:/tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db (DATABASE_URL is not set)
    error: there is no database at /tmp/payouts-xxxxxxxx/home/.local/share/payouts/payouts.db
    hint: run `payouts init` to create it, or set DATABASE_URL if it is elsewhere
    --- exit 3
    ");
    env.set("DATABASE_URL", "mysql://localhost/payouts");
    assert_transcript!(env.run(&["process"]), @r#"
    $ payouts process
    --- stderr
    error: DATABASE_URL (from environment) is (not shown, as it may hold a password): unknown database URL scheme "mysql"; use postgres://…, postgresql://… or sqlite:PATH
    --- exit 3
    "#);
    let db = TestDb::sqlite();
    env.use_database(&db);
    env.run(&["init", "--quiet"]).expect_code(0);
    env.run(&["migrate", "--revert", "--yes", "--quiet"])
        .expect_code(0);
    let run = env.run(&["process"]);
    assert_eq!(db.backend(), Backend::Sqlite);
    assert_transcript!(run, @r"
    $ payouts process
    --- stderr
    error: the database lacks 1 of this version's migrations: 013_add_payout_alerts
    hint: run `payouts migrate`, after `payouts migrate --dry-run` if you want to see the SQL first
    --- exit 3
    ");
}

#[test]
fn flags_that_make_no_sense_are_refused_before_anything_is_read() {
    let shop = Shop::open(TestDb::sqlite());
    shop.payouts(1);
    assert_transcript!(shop.process(&["--limit", "0"]), @r"
    $ payouts process --limit 0
    --- stderr
    error: invalid value '0' for '--limit <N>': 0 is not in 1..18446744073709551615

    For more information, try '--help'.
    --- exit 2
    ");
    assert_transcript!(shop.process(&["--limit", "many"]), @r"
    $ payouts process --limit many
    --- stderr
    error: invalid value 'many' for '--limit <N>': invalid digit found in string

    For more information, try '--help'.
    --- exit 2
    ");
    assert_transcript!(shop.process(&["--max-total", "10.005"]), @r"
    $ payouts process --max-total 10.005
    --- stderr
    error: --max-total 10.005: USD has 2 decimals, not 3
    --- exit 2
    ");
    assert_transcript!(shop.process(&["--max-total", "ten"]), @r"
    $ payouts process --max-total ten
    --- stderr
    error: --max-total ten: 't' has no place in an amount; write digits with a point for decimals, such as 1250.00
    --- exit 2
    ");
    assert_transcript!(shop.process(&["--max-total", "-5"]), @r"
    $ payouts process --max-total -5
    --- stderr
    error: unexpected argument '-5' found

      tip: to pass '-5' as a value, use '-- -5'

    Usage: payouts process [OPTIONS] [ID]...

    For more information, try '--help'.
    --- exit 2
    ");
    assert_transcript!(shop.process(&["--confirm-total", "ten"]), @r"
    $ payouts process --confirm-total ten
    --- stderr
    error: --confirm-total ten: 't' has no place in an amount; write digits with a point for decimals, such as 1250.00
    --- exit 2
    ");
    assert_transcript!(shop.process(&["--dry-run", "--confirm-total", "10.00"]), @r"
    $ payouts process --dry-run --confirm-total 10.00
    --- stderr
    error: the argument '--dry-run' cannot be used with '--confirm-total <AMOUNT>'

    Usage: payouts process --dry-run [ID]...

    For more information, try '--help'.
    --- exit 2
    ");
    assert_transcript!(shop.process(&["cp0", "--batch", "b1"]), @r"
    $ payouts process cp0 --batch b1
    --- stderr
    error: no batch has this id: b1
    hint: `payouts batches list` shows all of them
    --- exit 1
    ");
    assert!(shop.transfers().is_empty());
}

#[test]
fn a_person_looks_and_decides() {
    let shop = mixed(TestDb::sqlite());
    let question = "Pay 20.00 USD?";
    assert_transcript!(shop.env.run_in_terminal(80, &["process"], &[(question, "n")]), @r"
    $ payouts process
    Payout  Creator  To          Amount
    cp0     cr_c0    acct_c0  10.00 USD
    cp1     cr_c1    acct_c1  10.00 USD

    Mode          test
    Account       acct_sandboxplatform
    To send       2 payouts
    Total         20.00 USD
    Balance       10,000,000.00 USD before, 9,999,980.00 USD after
    Not sent      1 payout, 250.00 USD: payout is held (such as cq_held)
                  by tester since 2026-11-01 12:00 UTC: asked by the bank
    Not sent      1 payout, 5.00 USD: creator has no Stripe account (such as cq_new)
    Not sent      1 payout, 0.99 USD: below the minimum amount (such as cq_small)
    Plan          p0000000000000000000000000000001

    Pay 20.00 USD? no
    error: declined; nothing was sent
    --- stderr
    --- exit 4
    ");
    assert_transcript!(shop.env.run_in_terminal(160, &["process"], &[(question, "\x03")]), @r"
    $ payouts process
    Payout  Creator  To          Amount
    cp0     cr_c0    acct_c0  10.00 USD
    cp1     cr_c1    acct_c1  10.00 USD

    Mode          test
    Account       acct_sandboxplatform
    To send       2 payouts
    Total         20.00 USD
    Balance       10,000,000.00 USD before, 9,999,980.00 USD after
    Not sent      1 payout, 250.00 USD: payout is held (such as cq_held)
                  by tester since 2026-11-01 12:00 UTC: asked by the bank
    Not sent      1 payout, 5.00 USD: creator has no Stripe account (such as cq_new)
    Not sent      1 payout, 0.99 USD: below the minimum amount (such as cq_small)
    Plan          p0000000000000000000000000000001

    Pay 20.00 USD? [y/N]
    error: interrupted; nothing was sent
    --- stderr
    --- exit 130
    ");
    assert!(shop.transfers().is_empty());
    assert_transcript!(shop.env.run_in_terminal(160, &["process"], &[(question, "y")]), @r"
    $ payouts process
    Payout  Creator  To          Amount
    cp0     cr_c0    acct_c0  10.00 USD
    cp1     cr_c1    acct_c1  10.00 USD

    Mode          test
    Account       acct_sandboxplatform
    To send       2 payouts
    Total         20.00 USD
    Balance       10,000,000.00 USD before, 9,999,980.00 USD after
    Not sent      1 payout, 250.00 USD: payout is held (such as cq_held)
                  by tester since 2026-11-01 12:00 UTC: asked by the bank
    Not sent      1 payout, 5.00 USD: creator has no Stripe account (such as cq_new)
    Not sent      1 payout, 0.99 USD: below the minimum amount (such as cq_small)
    Plan          p0000000000000000000000000000001

    Pay 20.00 USD? yes
    Result   Payouts      Amount
    paid           2   20.00 USD
    skipped        1  250.00 USD  payout is held
    skipped        1    5.00 USD  creator has no Stripe account
    skipped        1    0.99 USD  below the minimum amount
    --- stderr
    --- exit 1
    ");
    assert_eq!(shop.transfers().len(), 2);
}

#[test]
fn yes_is_enough_for_test_money() {
    let shop = Shop::open(TestDb::sqlite());
    shop.payouts(1);
    assert_transcript!(shop.env.run_in_terminal(80, &["process", "--yes"], &[]), @r"
    $ payouts process --yes
    Payout  Creator  To          Amount
    cp0     cr_c0    acct_c0  10.00 USD

    Mode          test
    Account       acct_sandboxplatform
    To send       1 payout
    Total         10.00 USD
    Balance       10,000,000.00 USD before, 9,999,990.00 USD after
    Plan          p0000000000000000000000000000001

    Result  Payouts     Amount
    paid          1  10.00 USD
    --- stderr
    --- exit 0
    ");
    assert_eq!(shop.transfers().len(), 1);
}

#[test]
fn a_total_said_beforehand_is_compared_with_the_plan() {
    let shop = Shop::open(TestDb::sqlite());
    shop.payouts(2);
    assert_transcript!(shop.process(&["--confirm-total", "19.99"]), @r"
    $ payouts process --confirm-total 19.99
    --- stderr
    Payout  Creator  To          Amount
    cp0     cr_c0    acct_c0  10.00 USD
    cp1     cr_c1    acct_c1  10.00 USD

    Mode          test
    Account       acct_sandboxplatform
    To send       2 payouts
    Total         20.00 USD
    Balance       10,000,000.00 USD before, 9,999,980.00 USD after
    Plan          p0000000000000000000000000000001

    error: the total is 20.00 USD, not 19.99 USD; nothing was sent
    hint: look at the plan again: `payouts process --dry-run`
    --- exit 4
    ");
    assert!(shop.transfers().is_empty());
    assert_transcript!(shop.process(&["--confirm-total", "20.00"]), @r"
    $ payouts process --confirm-total 20.00
    Result  Payouts     Amount
    paid          2  20.00 USD
    --- stderr
    Payout  Creator  To          Amount
    cp0     cr_c0    acct_c0  10.00 USD
    cp1     cr_c1    acct_c1  10.00 USD

    Mode          test
    Account       acct_sandboxplatform
    To send       2 payouts
    Total         20.00 USD
    Balance       10,000,000.00 USD before, 9,999,980.00 USD after
    Plan          p0000000000000000000000000000001

    --- exit 0
    ");
    assert_eq!(shop.transfers().len(), 2);
}

/// A shop whose Stripe moves real money, as far as it can see.
fn live(payouts: usize) -> Shop {
    let mut shop = Shop::open(TestDb::sqlite());
    shop.payouts(payouts);
    shop.env.set("STRIPE_SECRET_KEY", "sk_live_shop");
    shop.env.set("PAYOUTS_LIVE", "1");
    let base = format!("live+{}", shop.stripe.base_url());
    shop.env.set("STRIPE_API_BASE", &base);
    shop
}

#[test]
fn real_money_needs_the_total_typed() {
    let shop = live(2);
    let question = "Type the total";
    assert_transcript!(shop.env.run_in_terminal(80, &["process"], &[(question, "2.00\r")]), @r"
    $ payouts process
    Payout  Creator  To          Amount
    cp0     cr_c0    acct_c0  10.00 USD
    cp1     cr_c1    acct_c1  10.00 USD

    Mode          LIVE: real money
    Account       acct_sandboxplatform
    To send       2 payouts
    Total         20.00 USD
    Balance       10,000,000.00 USD before, 9,999,980.00 USD after
    Plan          p0000000000000000000000000000001

    Type the total in USD to pay it (20.00): 2.00
    error: the total is 20.00 USD, not 2.00; nothing was sent
    hint: look at the plan again: `payouts process --dry-run`
    --- stderr
    --- exit 4
    ");
    // `--yes` alone is not enough.
    assert_transcript!(shop.env.run_in_terminal(160, &["process", "--yes"], &[(question, "\x03")]), @r"
    $ payouts process --yes
    Payout  Creator  To          Amount
    cp0     cr_c0    acct_c0  10.00 USD
    cp1     cr_c1    acct_c1  10.00 USD

    Mode          LIVE: real money
    Account       acct_sandboxplatform
    To send       2 payouts
    Total         20.00 USD
    Balance       10,000,000.00 USD before, 9,999,980.00 USD after
    Plan          p0000000000000000000000000000001

    Type the total in USD to pay it (20.00):
    error: interrupted; nothing was sent
    --- stderr
    --- exit 130
    ");
    assert!(shop.transfers().is_empty());
    assert_transcript!(shop.env.run_in_terminal(80, &["process"], &[(question, "20.00\r")]), @r"
    $ payouts process
    Payout  Creator  To          Amount
    cp0     cr_c0    acct_c0  10.00 USD
    cp1     cr_c1    acct_c1  10.00 USD

    Mode          LIVE: real money
    Account       acct_sandboxplatform
    To send       2 payouts
    Total         20.00 USD
    Balance       10,000,000.00 USD before, 9,999,980.00 USD after
    Plan          p0000000000000000000000000000001

    Type the total in USD to pay it (20.00): 20.00
    Result  Payouts     Amount
    paid          2  20.00 USD
    --- stderr
    --- exit 0
    ");
    assert_eq!(shop.transfers().len(), 2);
}

#[test]
fn real_money_may_be_agreed_to_beforehand() {
    let shop = live(2);
    shop.env
        .run_in_terminal(80, &["process", "--confirm-total", "20.01"], &[])
        .expect_code(4);
    assert!(shop.transfers().is_empty());
    shop.env
        .run_in_terminal(80, &["process", "--confirm-total", "20.00"], &[])
        .expect_code(0);
    assert_eq!(shop.transfers().len(), 2);
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let mut shop = Shop::open(TestDb::sqlite());
    shop.payouts(1);
    let unknown = &["process", "cp9"];
    assert!(shop.env.run_in_terminal(80, unknown, &[]).coloured);
    assert!(!shop.env.run(unknown).coloured);
    assert!(
        shop.env
            .run(&["process", "cp9", "--color", "always"])
            .coloured
    );
    let never = &["process", "cp9", "--color", "never"];
    assert!(!shop.env.run_in_terminal(80, never, &[]).coloured);
    shop.env.set("NO_COLOR", "1");
    let plain = shop.env.run_in_terminal(80, unknown, &[]);
    assert!(!plain.coloured);
    // It says the same without colour.
    shop.env.unset("NO_COLOR");
    assert_eq!(
        shop.env.run_in_terminal(80, unknown, &[]).stdout,
        plain.stdout
    );
}

#[test]
fn on_a_narrow_screen_long_ids_stay_whole() {
    let shop = Shop::open(TestDb::sqlite());
    shop.creator("of_a_band_with_a_very_long_name");
    for id in ["cmf3k2x9q0000abcdefghijk1", "cmf3k2x9q0000abcdefghijk2"] {
        shop.payout(id, "of_a_band_with_a_very_long_name", 123_456);
    }
    for cols in [80, 160] {
        let run = shop
            .env
            .run_in_terminal(cols, &["process"], &[("Pay 2,469.12 USD?", "n")]);
        if cols == 80 {
            assert_transcript!(run, @r"
            $ payouts process
            Payout                     Creator            To                       Amount
            c000000000000000000000001  cr_of_a_band_wit…  acct_of_a_band_w…  1,234.56 USD
            c000000000000000000000002  cr_of_a_band_wit…  acct_of_a_band_w…  1,234.56 USD

            Mode          test
            Account       acct_sandboxplatform
            To send       2 payouts
            Total         2,469.12 USD
            Balance       10,000,000.00 USD before, 9,997,530.88 USD after
            To one        2 payouts, 2,469.12 USD, to cr_of_a_band_with_a_very_long_name
            Warning       1 payout, 1,234.56 USD: same creator and amount as another payout
            within 7 days: c000000000000000000000002 (c000000000000000000000001)
            Plan          p0000000000000000000000000000001

            Pay 2,469.12 USD? no
            error: declined; nothing was sent
            --- stderr
            --- exit 4
            ");
        } else {
            assert_transcript!(run, @r"
            $ payouts process
            Payout                     Creator                             To                                          Amount
            c000000000000000000000001  cr_of_a_band_with_a_very_long_name  acct_of_a_band_with_a_very_long_name  1,234.56 USD
            c000000000000000000000002  cr_of_a_band_with_a_very_long_name  acct_of_a_band_with_a_very_long_name  1,234.56 USD

            Mode          test
            Account       acct_sandboxplatform
            To send       2 payouts
            Total         2,469.12 USD
            Balance       10,000,000.00 USD before, 9,997,530.88 USD after
            To one        2 payouts, 2,469.12 USD, to cr_of_a_band_with_a_very_long_name
            Warning       1 payout, 1,234.56 USD: same creator and amount as another payout within 7 days: c000000000000000000000002 (c000000000000000000000001)
            Plan          p0000000000000000000000000000001

            Pay 2,469.12 USD? no
            error: declined; nothing was sent
            --- stderr
            --- exit 4
            ");
        }
    }
}

#[test]
fn a_lost_answer_is_asked_for_again_without_a_word() {
    let shop = Shop::open(TestDb::sqlite());
    shop.payouts(1);
    shop.fault("c0", Fault::ResetAfter, 1);
    assert_transcript!(shop.process(&[]), @r"
    $ payouts process
    Result  Payouts     Amount
    paid          1  10.00 USD
    --- stderr
    --- exit 0
    ");
}

#[test]
fn an_interrupt_says_what_was_done() {
    let shop = Shop::open(TestDb::sqlite());
    shop.payouts(2);
    shop.fault("c0", Fault::HangAfter, 1);
    let mut child = shop.env.command(&["process"]);
    child.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.env("PAYOUTS_CONCURRENCY", "1").spawn().unwrap();
    assert!(shop.stripe.wait_hanging(1, Duration::from_secs(30)));
    signal(&child, "INT");
    // Given back while one still hangs: the signal was seen.
    while shop.one("SELECT COUNT(*) FROM payouts WHERE status = 'PROCESSING'") != "1" {
        std::thread::yield_now();
    }
    shop.stripe.release();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r"
    Result      Payouts     Amount
    paid              1  10.00 USD
    given back        1  10.00 USD  nothing of them was executed
    ");
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @r"stopped: interrupted; what was in flight is recorded, the rest was given back");
}
