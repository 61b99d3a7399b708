//! `payouts demo`: the whole job as the person who tries it sees it.

use std::fs;

use crate::common::env::{Run, TestEnv};

/// A machine on its own time: the demo's simulator runs with it.
fn machine() -> TestEnv {
    let mut env = TestEnv::new();
    env.unset("PAYOUTS_TEST_NOW");
    env
}

/// A transcript without the time of day.
fn timeless(run: &Run) -> String {
    let transcript = run.transcript();
    let mut text = String::with_capacity(transcript.len());
    let mut rest = transcript.as_str();
    while !rest.is_empty() {
        let length = time_at(rest);
        if length > 0 {
            text.push_str(&rest[..length].replace(|c: char| c.is_ascii_digit(), "#"));
        }
        let next = rest[length..].chars().next().map_or(0, char::len_utf8);
        text.push_str(&rest[length..length + next]);
        rest = &rest[length + next..];
    }
    text
}

/// How long the moment is that `text` begins with: `2026-11-02 09:30`, and what follows of seconds.
fn time_at(text: &str) -> usize {
    const FORM: &str = "####-##-## ##:##:##.###";
    let fits = |(c, form): (char, char)| c == form || (form == '#' && c.is_ascii_digit());
    let length = text
        .chars()
        .zip(FORM.chars())
        .take_while(|pair| fits(*pair))
        .count();
    if length < "####-##-## ##:##".len() {
        0
    } else {
        length
    }
}

#[test]
fn the_whole_job_is_shown() {
    let env = machine();
    let run = env.run(&["demo", "--folder", "demo"]).expect_code(0);
    insta::assert_snapshot!(timeless(&run), @r#"
    $ payouts demo --folder demo

    # A fresh database, and the creators and statements of the platform.

    $ payouts init
    Migration                      State
    001_add_platform_tables        applied
    005_add_payouts_table          applied
    006_add_payout_ledger          applied
    007_add_payout_queue_index     applied
    008_add_payout_reconciliation  applied
    009_add_payout_hold_releases   applied
    010_add_payout_lookups         applied
    011_add_payout_stripe_events   applied
    012_add_payout_notifications   applied
    013_add_payout_alerts          applied

    $ payouts creators import creators.csv
    8 added, 0 updated, 0 already there

    $ payouts statements import statements.csv
    2 added, 0 updated, 0 already there

    # October's payouts come from a spreadsheet. A new batch is held until somebody has looked at it.

    $ payouts create --file october.csv
    Batch           c000000000000000000000001
    Created         8 payouts, 5,745.50 USD
    Already loaded  0 payouts
    State           held: nothing of it is paid before it is released
    Next            payouts release c000000000000000000000001

    $ payouts list
    Payout                     Created           Creator           Amount (USD)  Status          Transfer / reason  Reference
    c000000000000000000000002  ####-##-## ##:##  Holm & Daughters        640.00  PENDING (held)                     OCT-2026-008
    c000000000000000000000003  ####-##-## ##:##  Glass Harbour            73.10  PENDING (held)                     OCT-2026-007
    c000000000000000000000004  ####-##-## ##:##  Fjord Collective        150.00  PENDING (held)                     OCT-2026-006
    c000000000000000000000005  ####-##-## ##:##  Ember Söderqvist      2,210.00  PENDING (held)                     OCT-2026-005
    c000000000000000000000006  ####-##-## ##:##  DJ Delta                 96.20  PENDING (held)                     OCT-2026-004
    c000000000000000000000007  ####-##-## ##:##  Cinder Quartet          828.45  PENDING (held)                     OCT-2026-003
    c000000000000000000000008  ####-##-## ##:##  Basalt & Bloom          415.75  PENDING (held)                     OCT-2026-002
    c000000000000000000000009  ####-##-## ##:##  Aurora Lane           1,332.00  PENDING (held)                     OCT-2026-001
    8 payouts, 5,745.50 USD: 8 PENDING 5,745.50

    $ payouts release c000000000000000000000001
    Batch   c000000000000000000000001
    Source  october.csv
    State   released
    Due     8 payouts, 5,745.50 USD
    Next    payouts process

    # What would be sent, and from what balance.

    $ payouts process --dry-run
    Payout                     Creator         To                            Amount
    c000000000000000000000009  creator_aurora  acct_1DemoAurora        1,332.00 USD
    c000000000000000000000008  creator_basalt  acct_1DemoBasalt          415.75 USD
    c000000000000000000000007  creator_cinder  acct_1DemoCinder          828.45 USD
    c000000000000000000000006  creator_delta   acct_1DemoDelta            96.20 USD
    c000000000000000000000005  creator_ember   acct_1DemoEmber         2,210.00 USD
    c000000000000000000000004  creator_fjord   acct_1DemoFjord_closed    150.00 USD
    c000000000000000000000003  creator_glass   acct_1DemoGlass            73.10 USD
    c000000000000000000000002  creator_holm    acct_1DemoHolm            640.00 USD

    Mode          test
    Account       acct_sandboxplatform
    To send       8 payouts
    Total         5,745.50 USD
    Balance       10,000,000.00 USD before, 9,994,254.50 USD after
    Plan          p0000000000000000000000000000001

    # Now it is paid. One creator's account is closed, one answer is lost on the way (it is asked for again under the same key), and for one payout Stripe makes the transfer and then answers 500.

    $ payouts process
    Result      Payouts        Amount
    paid              6  3,385.50 USD
    failed            1    150.00 USD
    unresolved        1  2,210.00 USD  looked up by the next run
    (exit code 5)

    # What happened to the one that nobody knows about, and what to do next.

    $ payouts show OCT-2026-005
    Payout      c000000000000000000000005
    Status      PROCESSING (unresolved)
    Amount      2,210.00 USD
    Creator     Ember Söderqvist <ember@norrsken.example>, creator_ember, acct_1DemoEmber
    Batch       c000000000000000000000001: october.csv, line 6, loaded by demo
    Reference   OCT-2026-005
    Created     ####-##-## ##:##:##.### UTC
    Changed     ####-##-## ##:##:##.### UTC

    History
      ####-##-## ##:##:##.### UTC  created     PENDING                  by demo in run c000000000000000000000010
      ####-##-## ##:##:##.### UTC  claimed     PENDING → PROCESSING     by demo in run c000000000000000000000011
        attempt 1
      ####-##-## ##:##:##.### UTC  unknown     PROCESSING               by demo in run c000000000000000000000011
        attempt 1: Stripe answered 500: An unknown error occurred. Your request may or may not have been executed. If you have any questions, we can help at https://support.stripe.com/.

    Attempt 1: unknown
      key       payout_c000000000000000000000005_1
      pays      2,210.00 USD to acct_1DemoEmber, from acct_sandboxplatform, test mode
      sent      2 times, first at ####-##-## ##:##:##.### UTC, last at ####-##-## ##:##:##.### UTC
      answer    HTTP 500, api_error: An unknown error occurred. Your request may or may not have been executed. If you have any questions, we can help at https://support.stripe.com/. (req_000000000000000001), stored by Stripe

      Send 1 at ####-##-## ##:##:##.### UTC, after #.### s: HTTP 500, req_000000000000000002: unknown
        {
          "error": {
            "message": "An unknown error occurred. Your request may or may not have been executed. If you have any questions, we can help at https://support.stripe.com/.",
            "request_log_url": "https://dashboard.stripe.com/test/logs/req_000000000000000002",
            "type": "api_error"
          }
        }

      Send 2 at ####-##-## ##:##:##.### UTC, after #.### s: HTTP 500, req_000000000000000001, stored by Stripe: unknown
        {
          "error": {
            "message": "An unknown error occurred. Your request may or may not have been executed. If you have any questions, we can help at https://support.stripe.com/.",
            "request_log_url": "https://dashboard.stripe.com/test/logs/req_000000000000000002",
            "type": "api_error"
          }
        }

    What to do next
      Unresolved: Stripe may have made its transfer. The next `payouts process` looks it up and adopts what it finds; if it finds nothing, the payout stays unresolved, since sending it again could pay twice: Stripe may have forgotten the key, or has stored an error under it. `payouts resolve c000000000000000000000005` looks at once, and says from when on a person may decide: `--paid tr_…` records the transfer that paid it, `--release --reason TEXT` lets go of it after two look-ups an hour apart that found nothing.

    # The next run looks at Stripe before it sends anything, and finds the transfer.

    $ payouts process
    Result      Payouts        Amount
    paid              0      0.00 USD
    found paid        1  2,210.00 USD  transfers found at Stripe

    $ payouts list
    Payout                     Created           Creator           Amount (USD)  Status     Transfer / reason         Reference     Next retry
    c000000000000000000000002  ####-##-## ##:##  Holm & Daughters        640.00  COMPLETED  tr_000000000000000000001  OCT-2026-008
    c000000000000000000000003  ####-##-## ##:##  Glass Harbour            73.10  COMPLETED  tr_000000000000000000002  OCT-2026-007
    c000000000000000000000004  ####-##-## ##:##  Fjord Collective        150.00  FAILED     resource_missing          OCT-2026-006  not automatic
    c000000000000000000000005  ####-##-## ##:##  Ember Söderqvist      2,210.00  COMPLETED  tr_000000000000000000003  OCT-2026-005
    c000000000000000000000006  ####-##-## ##:##  DJ Delta                 96.20  COMPLETED  tr_000000000000000000004  OCT-2026-004
    c000000000000000000000007  ####-##-## ##:##  Cinder Quartet          828.45  COMPLETED  tr_000000000000000000005  OCT-2026-003
    c000000000000000000000008  ####-##-## ##:##  Basalt & Bloom          415.75  COMPLETED  tr_000000000000000000006  OCT-2026-002
    c000000000000000000000009  ####-##-## ##:##  Aurora Lane           1,332.00  COMPLETED  tr_000000000000000000007  OCT-2026-001
    8 payouts, 5,745.50 USD: 7 COMPLETED 5,595.50, 1 FAILED 150.00

    $ payouts show OCT-2026-006
    Payout      c000000000000000000000004
    Status      FAILED
    Amount      150.00 USD
    Creator     Fjord Collective <pay@fjord.example>, creator_fjord, acct_1DemoFjord_closed
    Batch       c000000000000000000000001: october.csv, line 7, loaded by demo
    Reference   OCT-2026-006
    Created     ####-##-## ##:##:##.### UTC
    Changed     ####-##-## ##:##:##.### UTC
    Failed      resource_missing: No such destination: 'acct_1DemoFjord_closed'
    Tries       1 failed attempt, last at ####-##-## ##:##:##.### UTC

    History
      ####-##-## ##:##:##.### UTC  created     PENDING                  by demo in run c000000000000000000000010
      ####-##-## ##:##:##.### UTC  claimed     PENDING → PROCESSING     by demo in run c000000000000000000000011
        attempt 1
      ####-##-## ##:##:##.### UTC  declined    PROCESSING → FAILED      by demo in run c000000000000000000000011
        attempt 1: resource_missing: No such destination: 'acct_1DemoFjord_closed'

    Attempt 1: declined
      key       payout_c000000000000000000000004_1
      pays      150.00 USD to acct_1DemoFjord_closed, from acct_sandboxplatform, test mode
      sent      once, at ####-##-## ##:##:##.### UTC
      answer    HTTP 400, resource_missing: No such destination: 'acct_1DemoFjord_closed' (req_000000000000000003)

      Send 1 at ####-##-## ##:##:##.### UTC, after #.### s: HTTP 400, req_000000000000000003: declined: resource_missing
        {
          "error": {
            "code": "resource_missing",
            "doc_url": "https://stripe.com/docs/error-codes/resource-missing",
            "message": "No such destination: 'acct_1DemoFjord_closed'",
            "param": "destination",
            "request_log_url": "https://dashboard.stripe.com/test/logs/req_000000000000000003",
            "type": "invalid_request_error"
          }
        }

    What to do next
      No money moved: Stripe refused it for good. The creator's Stripe account does not exist for this platform and mode: closed, disconnected, or of the other mode. Correct the creator's account, then have it retried. Then `payouts retry c000000000000000000000004` puts it back to PENDING, for a new attempt under a new key.

    # The creator has a new account at Stripe. With that corrected, what Stripe refused goes back into the queue.

    $ payouts creators import correction.csv --update
    0 added, 1 updated, 0 already there

    $ payouts retry --code resource_missing
    Payout                     Creator            Amount  Code              Result
    c000000000000000000000004  creator_fjord  150.00 USD  resource_missing  put back to PENDING
    put back to PENDING: 1 payout, 150.00 USD

    $ payouts process
    Result  Payouts      Amount
    paid          1  150.00 USD

    # Is all of it the same at Stripe? Compared transfer by transfer, both ways.

    $ payouts reconcile
    Period        ####-##-## ##:## to now, UTC
    Stripe lists  8 transfers, 5,745.50 USD
    We recorded   8 payouts as paid, 5,745.50 USD
    Difference    0.00 USD
    Matched       8 of 8 transfers
    Balance       lost 0.00 USD to transfers, the last minute not counted
    Findings      none: Stripe and the table agree, transfer by transfer

    # Somebody takes 100.00 USD of one transfer back, in Stripe's dashboard.

    $ payouts reconcile
    reversed_partly: some of the transfer was taken back
    Finding            Payout                     Transfer                  At stake  In the table        At Stripe
    f0000000000000001  c000000000000000000000009  tr_000000000000000000007    100.00  nothing taken back  100.00 USD taken back
    Next: `payouts reconcile --fix` keeps the amount; the payout stays COMPLETED and is never sent again

    Period        ####-##-## ##:## to now, UTC
    Stripe lists  8 transfers, 5,745.50 USD
    We recorded   8 payouts as paid, 5,745.50 USD
    Difference    0.00 USD
    Matched       8 of 8 transfers
    Taken back    100.00 USD
    Balance       lost 0.00 USD to transfers, the last minute not counted
    Findings      1 open, 0 repaired, 0 accepted
    (exit code 1)

    $ payouts reconcile --fix
    reversed_partly, repaired:
    Finding            Payout                     Transfer                  At stake  In the table        At Stripe
    f0000000000000001  c000000000000000000000009  tr_000000000000000000007    100.00  nothing taken back  100.00 USD taken back

    Period        ####-##-## ##:## to now, UTC
    Stripe lists  8 transfers, 5,745.50 USD
    We recorded   8 payouts as paid, 5,745.50 USD
    Difference    0.00 USD
    Matched       8 of 8 transfers
    Taken back    100.00 USD
    Balance       lost 0.00 USD to transfers, the last minute not counted
    Findings      0 open, 1 repaired, 0 accepted

    $ payouts list --creator aurora
    Payout                     Created           Creator      Amount (USD)  Taken back  Status                     Transfer / reason         Reference
    c000000000000000000000009  ####-##-## ##:##  Aurora Lane      1,332.00      100.00  COMPLETED (part reversed)  tr_000000000000000000007  OCT-2026-001
    1 payout, 1,332.00 USD: 1 COMPLETED 1,332.00
    paid 1,332.00, taken back 100.00 of 1 payout, net 1,232.00 USD

    # The simulator's own books: 8 transfers for 8 payouts; paid twice: 0.

    # Look on yourself:
      export DATABASE_URL=sqlite:/tmp/payouts-xxxxxxxx/here/demo/payouts.db
      payouts list
      payouts creators list

    For a Stripe to pay against, run `payouts sandbox` in another terminal.
    --- stderr
    sqlite:/tmp/payouts-xxxxxxxx/here/demo/payouts.db: ran 001_add_platform_tables, 005_add_payouts_table, 006_add_payout_ledger, 007_add_payout_queue_index, 008_add_payout_reconciliation, 009_add_payout_hold_releases, 010_add_payout_lookups, 011_add_payout_stripe_events, 012_add_payout_notifications, 013_add_payout_alerts
    failed: c000000000000000000000004 150.00 USD: resource_missing: No such destination: 'acct_1DemoFjord_closed'
      The creator's Stripe account does not exist for this platform and mode: closed, disconnected, or of the other mode. Correct the creator's account, then have it retried.
    unresolved: c000000000000000000000005 2,210.00 USD: Stripe answered 500: An unknown error occurred. Your request may or may not have been executed. If you have any questions, we can help at https://support.strip…
    also: 1 (ran to the end, but a person should look: payouts failed, findings exist, rows refused)
    payout c000000000000000000000005 was paid by tr_000000000000000000003: found at Stripe
    --- exit 0
    "#);
}

#[test]
fn what_it_leaves_can_be_looked_at() {
    let mut env = machine();
    let run = env.run(&["demo", "--folder", "demo"]).expect_code(0);
    let line = run
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("export DATABASE_URL="));
    env.set("DATABASE_URL", line.unwrap());
    let list = env.run(&["list", "-o", "json"]).expect_code(0);
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list["totals"]["COMPLETED"]["count"], 8);
    assert_eq!(list["totals"]["FAILED"]["count"], 0);
    env.run(&["creators", "list"]).expect_code(0);
    // Its Stripe is gone, and that is said.
    env.set("STRIPE_SECRET_KEY", "sk_test_sandbox");
    env.set("STRIPE_API_BASE", "http://127.0.0.1:9");
    env.run(&["process"]).expect_code(3);
}

#[test]
fn twice_makes_two() {
    let mut env = machine();
    let folder = env.path("");
    env.set("TMPDIR", folder.to_str().unwrap());
    for _ in 0..2 {
        env.run(&["demo"]).expect_code(0);
    }
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let demos = names.filter(|name| name.to_string_lossy().starts_with("payouts-demo-"));
    assert_eq!(demos.count(), 2);
}

#[test]
fn what_is_there_is_left_alone() {
    let env = machine();
    fs::create_dir(env.path("mine")).unwrap();
    env.write("mine/notes.txt", "mine");
    insta::assert_snapshot!(env.run(&["demo", "--folder", "mine"]).transcript(), @r"
    $ payouts demo --folder mine
    --- stderr
    error: failed to set up the demo in /tmp/payouts-xxxxxxxx/here/mine
      1: File exists (os error 17)
    hint: --folder takes the name of a new folder
    --- exit 3
    ");
    insta::assert_snapshot!(env.run(&["demo", "--folder", "no/such/folder"]).transcript(), @r"
    $ payouts demo --folder no/such/folder
    --- stderr
    error: failed to set up the demo in /tmp/payouts-xxxxxxxx/here/no/such/folder
      1: No such file or directory (os error 2)
    hint: --folder takes the name of a new folder
    --- exit 3
    ");
    assert_eq!(fs::read_dir(env.path("mine")).unwrap().count(), 1);
}

#[test]
fn it_is_a_story_and_no_data() {
    let env = machine();
    insta::assert_snapshot!(env.run(&["demo", "--output", "json"]).transcript(), @r"
    $ payouts demo --output json
    --- stderr
    error: `payouts demo` writes a story for people, and nothing else: leave out --output
    --- exit 2
    ");
}

#[test]
fn settings_of_ones_own_do_not_lead_it_astray() {
    let mut env = machine();
    env.set("STRIPE_SECRET_KEY", "sk_live_mine");
    env.set("STRIPE_API_BASE", "http://127.0.0.1:9");
    env.set("PAYOUTS_CURRENCY", "eur");
    env.set("DATABASE_URL", "sqlite:mine.db");
    env.run(&["demo", "--folder", "demo"]).expect_code(0);
    assert!(!env.path("mine.db").exists());
}
