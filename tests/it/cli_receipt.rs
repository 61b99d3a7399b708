//! `payouts receipt`: a page for a creator about what was paid for certain, and about nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;

use crate::common::db::{TestDb, on_both};
use crate::common::env::{Run, TestEnv};
use crate::common::seed::{AttemptRow, PayoutRow, creator, item, migrated, quoted, run, statement};
use crate::common::shop::Shop;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a page shows: all but its head, which is the same for all.
fn body(run: &Run) -> String {
    let transcript = run.transcript();
    let (_, body) = transcript
        .split_once("<main>\n")
        .expect("a page has a main part");
    let (body, _) = body.split_once("</main>").expect("it ends");
    body.to_owned()
}

fn json(env: &TestEnv, id: &str) -> Value {
    let run = env.run(&["receipt", id, "-o", "json"]).expect_code(0);
    serde_json::from_str(&run.stdout).expect("JSON")
}

/// Why there is no receipt, without the word before.
#[track_caller]
fn refused(env: &TestEnv, id: &str) -> String {
    let run = env.run(&["receipt", id]).expect_code(1);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("\nhint: "), "{run}");
    let (error, _) = run.stderr.split_once('\n').expect("a line");
    error.trim_start_matches("error: ").to_owned()
}

/// Ann's payout of 500.00, of a statement over as much, paid with an attempt of this tool.
fn paid(db: &TestDb) -> TestEnv {
    drop(migrated(db));
    let mut env = TestEnv::new();
    env.use_database(db);
    creator(db, "ann", "Ann Example");
    run(db, "run1", None);
    PayoutRow {
        status: "COMPLETED",
        transfer: Some("tr_1"),
        processed: Some("2026-10-05 08:00:01"),
        ..PayoutRow::new("p1", "ann")
    }
    .insert(db);
    item(db, "p1", None, Some("OCT-1"));
    AttemptRow {
        payout: "p1",
        number: 1,
        run: "run1",
        outcome: "paid",
        http: Some(200),
        transfer: Some("tr_1"),
        ..AttemptRow::default()
    }
    .insert(db);
    env
}

impl Shop {
    /// Ann's statement over $500.00 of earnings of $600.00 in October, and a payout `cp1` of $200.00
    /// of it that is paid.
    fn with_a_statement(db: TestDb) -> Self {
        let shop = Self::open(db);
        shop.creator("ann");
        shop.statement("st1", "ann", 50_000);
        for sql in [
            "UPDATE royalty_runs SET period_start = '2026-10-01 00:00:00', period_end = '2026-10-31 23:59:59.999'",
            "UPDATE royalty_statements SET total_earnings_cents = 60000, platform_fee_cents = 10000",
        ] {
            shop.db.execute(sql);
        }
        shop.part("cp1", 20_000);
        shop
    }

    /// Pays a part of the statement.
    fn part(&self, id: &str, cents: i64) {
        self.payout(id, "ann", cents);
        self.db.execute(&format!(
            "UPDATE payouts SET royalty_statement_id = 'st1' WHERE id = '{id}'"
        ));
        self.process(&[]).expect_code(0);
    }
}

on_both! {
    fn a_receipt_says_who_was_paid_how_much_when_and_with_what(db: TestDb) {
        let env = paid(&db);
        let page = env.run(&["receipt", "OCT-1"]).expect_code(0);
        assert_eq!(page.stderr, "");
        insta::allow_duplicates! {
            insta::assert_snapshot!(body(&page), @r#"
            <header><h1>Payout receipt</h1><p class="state good">Paid</p></header>
            <p class="banner note"><strong>This is a test</strong> It was made in Stripe’s test mode: no money has moved.</p>
            <p class="amount">500.00 <span>USD</span></p>
            <p class="to">Paid to <bdi>Ann Example</bdi> on <time datetime="2026-10-05">5 October 2026</time></p>
            <p class="soft"><bdi>ann@example.com</bdi></p>
            <section>
            <dl>
            <dt>Paid on</dt><dd><time datetime="2026-10-05T08:00:01.000Z">5 October 2026, 08:00:01 UTC</time></dd>
            <dt>Account</dt><dd>Stripe account <span class="id"><bdi>••••_ann</bdi></span></dd>
            <dt>Transfer</dt><dd><span class="id"><bdi>tr_1</bdi></span></dd>
            <dt>Payout</dt><dd><span class="id"><bdi>p1</bdi></span></dd>
            <dt>Reference</dt><dd><bdi>OCT-1</bdi></dd>
            </dl>
            </section>
            <footer>All amounts are in USD. Times are UTC. A payout goes to the creator’s balance at Stripe, which pays it on to their bank.<br>As on record <time datetime="2026-11-02T09:30:00.000Z">2 November 2026, 09:30:00 UTC</time>.</footer>
            "#);
        }
        // By whatever name it is known, and the same each time.
        for name in ["p1", "tr_1"] {
            assert_eq!(env.run(&["receipt", name]).expect_code(0).stdout, page.stdout);
        }
        assert!(!page.stdout.contains("acct_ann"), "{page}");
    }

    fn json_has_the_same(db: TestDb) {
        let env = paid(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["receipt", "p1", "-o", "json"]).transcript(), @r#"
            $ payouts receipt p1 -o json
            {
              "schema": 1,
              "receipt": {
                "payout_id": "p1",
                "state": "paid",
                "amount_cents": 50000,
                "reversed_cents": 0,
                "net_cents": 50000,
                "currency": "usd",
                "creator_id": "ann",
                "creator_name": "Ann Example",
                "creator_email": "ann@example.com",
                "account_masked": "••••_ann",
                "stripe_transfer_id": "tr_1",
                "processed_at": "2026-10-05T08:00:01.000Z",
                "reference": "OCT-1",
                "royalty_statement_id": null,
                "livemode": false,
                "made_at": "2026-11-02T09:30:00.000Z",
                "statement": null,
                "reversals": []
              }
            }
            --- stderr
            --- exit 0
            "#);
            insta::assert_snapshot!(env.run(&["receipt", "p1", "-o", "csv"]).transcript(), @r"
            $ payouts receipt p1 -o csv
            payout_id,state,amount_cents,reversed_cents,net_cents,currency,creator_id,creator_name,creator_email,account_masked,stripe_transfer_id,processed_at,reference,royalty_statement_id,livemode,made_at
            p1,paid,50000,0,50000,usd,ann,Ann Example,ann@example.com,••••_ann,tr_1,2026-10-05T08:00:01.000Z,OCT-1,,false,2026-11-02T09:30:00.000Z
            --- stderr
            --- exit 0
            ");
        }
        env.run(&["receipt", "p1", "-o", "ndjson"]).expect_code(0);
    }

    fn a_page_loads_nothing_and_runs_nothing(db: TestDb) {
        let page = paid(&db).run(&["receipt", "p1"]).expect_code(0).stdout;
        assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">\n") && page.ends_with("</html>\n"), "{page}");
        assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'"));
        for loads in ["<script", "<link", "<img", "<iframe", "<a ", "url(", "@import", "http:", "https:", "src=", "href="] {
            assert!(!page.contains(loads), "{loads}");
        }
        for kind in ["@page", "@media print", "prefers-color-scheme: dark"] {
            assert!(page.contains(kind), "{kind}");
        }
    }

    fn a_statement_is_told_line_by_line_with_what_its_other_payouts_paid(db: TestDb) {
        let mut shop = Shop::with_a_statement(db);
        shop.pass(DAY);
        shop.part("cp2", 10_000);
        // One that is on its way has paid nothing yet.
        shop.payout("cp3", "ann", 5000);
        shop.db.execute("UPDATE payouts SET royalty_statement_id = 'st1' WHERE id = 'cp3'");
        let page = shop.env.run(&["receipt", "cp1"]).expect_code(0);
        insta::allow_duplicates! {
            insta::assert_snapshot!(body(&page), @r#"
            <header><h1>Payout receipt</h1><p class="state good">Paid</p></header>
            <p class="banner note"><strong>This is a test</strong> It was made in Stripe’s test mode: no money has moved.</p>
            <p class="amount">200.00 <span>USD</span></p>
            <p class="to">Paid to <bdi>ann</bdi> on <time datetime="2026-11-02">2 November 2026</time></p>
            <p class="soft"><bdi>ann@example.org</bdi></p>
            <section>
            <dl>
            <dt>Paid on</dt><dd><time datetime="2026-11-02T09:30:00.000Z">2 November 2026, 09:30:00 UTC</time></dd>
            <dt>Account</dt><dd>Stripe account <span class="id"><bdi>••••_ann</bdi></span></dd>
            <dt>Transfer</dt><dd><span class="id"><bdi>tr_000000000000000000001</bdi></span></dd>
            <dt>Payout</dt><dd><span class="id"><bdi>cp1</bdi></span></dd>
            </dl>
            </section>
            <section>
            <h2>Royalty statement</h2>
            <p class="soft"><time datetime="2026-10-01">1 October 2026</time> to <time datetime="2026-10-31">31 October 2026</time>, statement <span class="id"><bdi>st1</bdi></span></p>
            <table>
            <tbody>
            <tr><th scope="row">Total earnings</th><td>600.00</td></tr>
            <tr><th scope="row">Platform fee</th><td>−100.00</td></tr>
            <tr class="sum"><th scope="row">Net payable</th><td>500.00</td></tr>
            <tr><th scope="row">This payout</th><td>−200.00</td></tr>
            <tr><th scope="row">Other payout on <time datetime="2026-11-03">3 November 2026</time> <span class="id"><bdi>cp2</bdi></span></th><td>−100.00</td></tr>
            <tr class="sum"><th scope="row">Left to be paid<small>of which 50.00 on the way</small></th><td>200.00</td></tr>
            </tbody>
            </table>
            </section>
            <footer>All amounts are in USD. Times are UTC. A payout goes to the creator’s balance at Stripe, which pays it on to their bank.<br>As on record <time datetime="2026-11-03T09:30:00.000Z">3 November 2026, 09:30:00 UTC</time>.</footer>
            "#);
        }
        let statement = json(&shop.env, "cp1")["receipt"]["statement"].clone();
        assert_eq!(statement["left_cents"], 20_000);
        assert_eq!(statement["in_flight_cents"], 5000);
        assert_eq!(statement["others"][0]["payout_id"], "cp2");
        // Taken back of the other one: it is owed again.
        shop.take_back("cp2", 4000);
        let page = body(&shop.env.run(&["receipt", "cp1"]).expect_code(0));
        assert!(page.contains("<small>100.00 less 40.00 taken back</small></th><td>−60.00</td>"), "{page}");
        let statement = json(&shop.env, "cp1")["receipt"]["statement"].clone();
        assert_eq!(statement["left_cents"], 24_000);
        // Its row names another, and what it paid on this one is paid.
        shop.db.execute("UPDATE payouts SET royalty_statement_id = NULL WHERE id = 'cp2'");
        let page = body(&shop.env.run(&["receipt", "cp1"]).expect_code(0));
        assert!(page.contains("Other payments</th><td>−60.00</td>"), "{page}");
        assert!(page.contains("Left to be paid<small>of which 50.00 on the way</small></th><td>240.00</td>"), "{page}");
    }

    fn scenario_10_what_was_taken_back_in_part_is_told_step_by_step(db: TestDb) {
        let mut shop = Shop::with_a_statement(db);
        shop.take_back("cp1", 5000);
        shop.pass(DAY);
        shop.take_back("cp1", 2500);
        let page = shop.env.run(&["receipt", "cp1"]).expect_code(0);
        insta::allow_duplicates! {
            insta::assert_snapshot!(body(&page), @r#"
            <header><h1>Payout receipt</h1><p class="state part">Paid, part taken back</p></header>
            <p class="banner part"><strong>Part of this payout was taken back</strong> 75.00 USD of the 200.00 USD paid was taken back. 125.00 USD is left.</p>
            <p class="banner note"><strong>This is a test</strong> It was made in Stripe’s test mode: no money has moved.</p>
            <p class="amount">200.00 <span>USD</span></p>
            <p class="to">Paid to <bdi>ann</bdi> on <time datetime="2026-11-02">2 November 2026</time></p>
            <p class="soft"><bdi>ann@example.org</bdi></p>
            <section>
            <dl>
            <dt>Paid on</dt><dd><time datetime="2026-11-02T09:30:00.000Z">2 November 2026, 09:30:00 UTC</time></dd>
            <dt>Account</dt><dd>Stripe account <span class="id"><bdi>••••_ann</bdi></span></dd>
            <dt>Transfer</dt><dd><span class="id"><bdi>tr_000000000000000000001</bdi></span></dd>
            <dt>Payout</dt><dd><span class="id"><bdi>cp1</bdi></span></dd>
            </dl>
            </section>
            <section>
            <h2>Taken back</h2>
            <table>
            <thead><tr><th scope="col">Seen on</th><th scope="col">Taken back</th><th scope="col">Left</th></tr></thead>
            <tbody>
            <tr><th scope="row"><time datetime="2026-11-02T09:30:00.000Z">2 November 2026, 09:30:00 UTC</time></th><td>−50.00</td><td>150.00</td></tr>
            <tr><th scope="row"><time datetime="2026-11-03T09:30:00.000Z">3 November 2026, 09:30:00 UTC</time></th><td>−25.00</td><td>125.00</td></tr>
            </tbody>
            </table>
            </section>
            <section>
            <h2>Royalty statement</h2>
            <p class="soft"><time datetime="2026-10-01">1 October 2026</time> to <time datetime="2026-10-31">31 October 2026</time>, statement <span class="id"><bdi>st1</bdi></span></p>
            <table>
            <tbody>
            <tr><th scope="row">Total earnings</th><td>600.00</td></tr>
            <tr><th scope="row">Platform fee</th><td>−100.00</td></tr>
            <tr class="sum"><th scope="row">Net payable</th><td>500.00</td></tr>
            <tr><th scope="row">This payout</th><td>−200.00</td></tr>
            <tr><th scope="row">Taken back of this payout</th><td>75.00</td></tr>
            <tr class="sum"><th scope="row">Left to be paid</th><td>375.00</td></tr>
            </tbody>
            </table>
            </section>
            <footer>All amounts are in USD. Times are UTC. A payout goes to the creator’s balance at Stripe, which pays it on to their bank.<br>As on record <time datetime="2026-11-03T09:30:00.000Z">3 November 2026, 09:30:00 UTC</time>.</footer>
            "#);
        }
        let receipt = json(&shop.env, "cp1")["receipt"].clone();
        assert_eq!(receipt["state"], "partly_reversed");
        assert_eq!((&receipt["reversed_cents"], &receipt["net_cents"]), (&7500.into(), &12_500.into()));
        let step = |index: usize, field: &str| receipt["reversals"][index][field].as_i64();
        assert_eq!((step(0, "amount_cents"), step(0, "left_cents")), (Some(5000), Some(15_000)));
        assert_eq!((step(1, "amount_cents"), step(1, "total_cents"), step(1, "left_cents")), (Some(2500), Some(7500), Some(12_500)));
    }

    fn scenario_09_what_was_taken_back_whole_says_so_at_the_top(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.take_back("cp0", 1000);
        let page = shop.env.run(&["receipt", "cp0"]).expect_code(0);
        let body = body(&page);
        let top: Vec<&str> = body.lines().take(4).collect();
        insta::allow_duplicates! {
            insta::assert_snapshot!(top.join("\n"), @r#"
            <header><h1>Payout receipt</h1><p class="state gone">Taken back</p></header>
            <p class="banner gone"><strong>This payout was taken back in full</strong> All of the 10.00 USD paid was taken back. Nothing of it is left.</p>
            <p class="banner note"><strong>This is a test</strong> It was made in Stripe’s test mode: no money has moved.</p>
            <p class="amount">10.00 <span>USD</span></p>
            "#);
        }
        let receipt = json(&shop.env, "cp0")["receipt"].clone();
        assert_eq!((&receipt["state"], &receipt["net_cents"]), (&"reversed".into(), &0.into()));
    }

    // Stripe says that it was taken back, and the table does not know yet.
    fn what_a_finding_says_of_a_payout_stops_its_receipt_until_it_is_settled(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.env.run(&["receipt", "cp0"]).expect_code(0);
        shop.reverse(&shop.transfer_of("cp0"), 1000);
        shop.reconcile(&[]).expect_code(1);
        let refused = shop.env.run(&["receipt", "cp0"]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused.transcript(), @r"
            $ payouts receipt cp0
            --- stderr
            error: there is no receipt of payout cp0: a comparison with Stripe found that all of the transfer was taken back (f0000000000000001)
            hint: It was paid, and a comparison with Stripe found more: all of the transfer was taken back (f0000000000000001). `payouts reconcile --fix` keeps the amount; the payout stays COMPLETED and is never sent again.
            --- exit 1
            ");
        }
        shop.reconcile(&["--fix"]).expect_code(0);
        shop.env.run(&["receipt", "cp0"]).expect_code(0);
    }

    fn what_was_not_paid_has_no_receipt(db: TestDb) {
        let env = paid(&db);
        PayoutRow::new("waiting", "ann").insert(&db);
        PayoutRow { status: "PROCESSING", ..PayoutRow::new("unknown", "ann") }.insert(&db);
        AttemptRow { payout: "unknown", number: 1, run: "run1", outcome: "unknown", ..AttemptRow::default() }.insert(&db);
        PayoutRow { status: "FAILED", ..PayoutRow::new("failed", "ann") }.insert(&db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["receipt", "waiting"]).transcript(), @r"
            $ payouts receipt waiting
            --- stderr
            error: there is no receipt of payout waiting: it is PENDING, and not paid
            hint: Due: other software created it, so the next `payouts process` looks for its transfer at Stripe first, and sends it when there is none.
            --- exit 1
            ");
        }
        assert_eq!(refused(&env, "unknown"), "there is no receipt of payout unknown: nobody knows yet whether it was paid");
        assert_eq!(refused(&env, "failed"), "there is no receipt of payout failed: it is FAILED, and not paid");
        assert_eq!(refused(&env, "nobody"), "there is no payout with the id, reference, transfer or request nobody");
        for format in ["json", "csv", "ndjson"] {
            assert_eq!(env.run(&["receipt", "waiting", "-o", format]).expect_code(1).stdout, "");
        }
        // Of two that a text names, it is not guessed which is meant.
        item(&db, "waiting", None, Some("failed"));
        assert_eq!(refused(&env, "failed"), "failed names several payouts: failed, waiting");
    }

    // A row that says COMPLETED is not believed against the ledger.
    fn what_the_ledger_contradicts_has_no_receipt(db: TestDb) {
        let env = paid(&db);
        let said = |sql: &str, undo: &str| {
            db.execute(sql);
            let said = refused(&env, "p1");
            db.execute(undo);
            env.run(&["receipt", "p1"]).expect_code(0);
            said.trim_start_matches("there is no receipt of payout p1: ").to_owned()
        };
        assert_eq!(
            said("UPDATE payouts SET amount_cents = 60000", "UPDATE payouts SET amount_cents = 50000"),
            "its row says 600.00 USD, and its transfer was over 500.00 USD"
        );
        assert_eq!(
            said("UPDATE payouts SET stripe_transfer_id = 'tr_9'", "UPDATE payouts SET stripe_transfer_id = 'tr_1'"),
            "its row says that it was paid with tr_9, and the last attempt on record is paid with tr_1"
        );
        assert_eq!(
            said("UPDATE payouts SET stripe_transfer_id = NULL", "UPDATE payouts SET stripe_transfer_id = 'tr_1'"),
            "its row says that it was paid with no transfer, and the last attempt on record is paid with tr_1"
        );
        assert_eq!(
            said("UPDATE payouts SET status = 'FAILED'", "UPDATE payouts SET status = 'COMPLETED'"),
            "a transfer was made for it, and its row says FAILED"
        );
        assert_eq!(
            said("UPDATE payout_attempts SET currency = 'eur'", "UPDATE payout_attempts SET currency = 'usd'"),
            "it was paid in EUR"
        );
        creator(&db, "ben", "Ben");
        statement(&db, "st_ben", "ben");
        assert_eq!(
            said("UPDATE payouts SET royalty_statement_id = 'st_ben'", "UPDATE payouts SET royalty_statement_id = NULL"),
            "its statement is owed to another creator"
        );
        statement(&db, "st_ann", "ann");
        assert_eq!(
            said("UPDATE payout_attempts SET royalty_statement_id = 'st_ann'", "UPDATE payout_attempts SET royalty_statement_id = NULL"),
            "it was paid for statement st_ann, and its row names another"
        );
        assert_eq!(
            said("UPDATE payout_attempts SET outcome = 'unknown', transfer_id = NULL",
                "UPDATE payout_attempts SET outcome = 'paid', transfer_id = 'tr_1'"),
            "nobody knows what became of its attempt 1"
        );
        let second = AttemptRow { payout: "p1", number: 2, run: "run1", outcome: "surplus", transfer: Some("tr_2"), ..AttemptRow::default() };
        second.insert(&db);
        assert_eq!(refused(&env, "p1"), "there is no receipt of payout p1: Stripe made a second transfer for it, tr_2");
        // Once the second one was taken back, all is well.
        db.execute("INSERT INTO payout_reversals VALUES ('tr_2', 'p1', 49999, '2026-10-09 08:00:00')");
        refused(&env, "p1");
        db.execute("UPDATE payout_reversals SET amount_reversed_cents = 50000");
        let receipt = json(&env, "p1")["receipt"].clone();
        assert_eq!((&receipt["state"], &receipt["reversals"]), (&"paid".into(), &Value::Array(vec![])));
    }

    // What a person accepted is settled; what was paid is still not what the row says.
    fn an_accepted_difference_has_no_receipt(db: TestDb) {
        let env = paid(&db);
        for (kind, has_one) in [("amount_differs", false), ("missing_at_stripe", false), ("two_payouts", false),
            ("two_transfers", true), ("metadata_differs", true)] {
            for (state, has_one) in [("open", false), ("accepted", has_one), ("fixed", true)] {
                db.execute(&format!(
                    "INSERT INTO payout_findings (id, kind, payout_id, transfer_id, found, state, first_seen_at, seen_at, run_id)
                     VALUES ('f1', '{kind}', 'p1', 'tr_1', 'x', '{state}', '2026-10-06 08:00:00', '2026-10-06 08:00:00', 'run1')"
                ));
                let run = env.run(&["receipt", "p1"]);
                assert_eq!(run.code, i32::from(!has_one), "{kind} {state}: {run}");
                db.execute("DELETE FROM payout_findings");
            }
        }
    }

    // It was found by looking after a person had let go of it, and an attempt since then was refused.
    fn what_an_earlier_attempt_paid_after_all_has_a_receipt(db: TestDb) {
        let env = paid(&db);
        AttemptRow { payout: "p1", number: 2, run: "run1", outcome: "declined", http: Some(400), ..AttemptRow::default() }.insert(&db);
        env.run(&["receipt", "p1"]).expect_code(0);
        let shown = env.run(&["show", "p1"]).expect_code(0).stdout;
        assert!(shown.contains("Nothing: it was paid with transfer tr_1"), "{shown}");
    }

    fn what_other_software_paid_has_a_receipt_without_an_account(db: TestDb) {
        let env = paid(&db);
        let foreign = PayoutRow { status: "COMPLETED", transfer: Some("tr_7"), ..PayoutRow::new("foreign", "ann") };
        foreign.insert(&db);
        let receipt = json(&env, "foreign")["receipt"].clone();
        for unknown in ["account_masked", "processed_at", "livemode", "reference", "statement"] {
            assert_eq!(receipt[unknown], Value::Null, "{unknown}");
        }
        let page = body(&env.run(&["receipt", "foreign"]).expect_code(0));
        assert!(page.contains("<dt>Account</dt><dd>not on record</dd>"), "{page}");
        db.execute("UPDATE payouts SET stripe_transfer_id = NULL WHERE id = 'foreign'");
        assert_eq!(
            refused(&env, "foreign"),
            "there is no receipt of payout foreign: other software marked it as paid, and left no transfer"
        );
    }

    fn scenario_43_what_the_database_holds_harms_no_page(db: TestDb) {
        let env = paid(&db);
        let hostile = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}evil\u{2066}\x1b[2J&lt;\u{feff}";
        let long = format!("{hostile}{}", "W".repeat(10_000));
        db.execute(&format!(r#"UPDATE creators SET "stageName" = {}"#, quoted(&long)));
        db.execute(&format!("UPDATE users SET email = {}", quoted(&long)));
        db.execute(&format!("UPDATE payout_batch_items SET reference = {}", quoted(&long)));
        db.execute(&format!("UPDATE payout_attempts SET destination = {}", quoted(hostile)));
        let run = env.run(&["receipt", "p1"]).expect_code(0);
        let page = &run.stdout;
        let words = ["script", "img", "iframe", "svg"];
        for element in words.map(|word| format!("<{word}")) {
            assert!(!page.to_lowercase().contains(&element), "{element}");
        }
        assert!(page.contains("&quot;&#39;&gt;&lt;script&gt;alert(1)"), "{page}");
        assert!(page.contains("&amp;lt;"), "{page}");
        let harmful = |c: char| (c.is_control() && c != '\n')
            || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c) || c == '\u{feff}';
        assert!(!page.contains(harmful));
        // It is cut, so that the rest stays on the page.
        assert!(page.len() < 12_000, "{}", page.len());
        // Machines get all of it, and their terminals nothing.
        let machine = env.run(&["receipt", "p1", "-o", "json"]).expect_code(0);
        assert!(!machine.stdout.contains(['\x1b', '\u{202e}']), "{machine}");
        assert_eq!(json(&env, "p1")["receipt"]["creator_name"], long.as_str());
    }

    fn a_file_is_its_owners_alone_and_nothing_is_written_over_unasked(db: TestDb) {
        let env = paid(&db);
        let page = env.run(&["receipt", "p1"]).expect_code(0).stdout;
        let run = env.run(&["receipt", "p1", "--out", "r.html"]).expect_code(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
        let path = env.path("r.html");
        assert_eq!(fs::read_to_string(&path).expect("it is written"), page);
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        fs::write(&path, "mine").expect("it is written");
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["receipt", "p1", "--out", "r.html"]).transcript(), @r"
            $ payouts receipt p1 --out r.html
            --- stderr
            error: r.html is there already
            hint: name another file, or write over it with --force
            --- exit 4
            ");
        }
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "mine");
        env.run(&["receipt", "p1", "--out", "r.html", "--force"]).expect_code(0);
        assert_eq!(fs::read_to_string(&path).expect("it is there"), page);
        env.run(&["receipt", "p1", "--out", "nowhere/r.html"]).expect_code(3);
        env.run(&["receipt", "p1", "--out", ".", "--force"]).expect_code(4);
        env.run(&["receipt", "p1", "--force"]).expect_code(2);
        env.run(&["receipt", "p1", "--out", "r.json", "-o", "json"]).expect_code(2);
        // Of what has no receipt there is no file either.
        PayoutRow::new("waiting", "ann").insert(&db);
        env.run(&["receipt", "waiting", "--out", "w.html"]).expect_code(1);
        assert!(!env.path("w.html").exists() && !env.path("r.json").exists());
    }

    // However much there is to tell, it is told on one page.
    fn long_lists_are_summed_up(db: TestDb) {
        let env = paid(&db);
        statement(&db, "st1", "ann");
        db.execute("UPDATE payouts SET royalty_statement_id = 'st1', amount_cents = 10000");
        db.execute("UPDATE payout_attempts SET amount_cents = 10000");
        for number in 1..=30 {
            PayoutRow {
                status: "COMPLETED", statement: Some("st1"), cents: 100, transfer: Some(&format!("tr_o{number}")),
                processed: Some(&format!("2026-10-{number:02} 10:00:00")), ..PayoutRow::new(&format!("o{number:02}"), "ann")
            }.insert(&db);
            db.execute(&format!("INSERT INTO payout_reversal_steps (transfer_id, amount_reversed_cents, payout_id, seen_at)
                VALUES ('tr_1', {number}, 'p1', '2026-11-01 10:00:{number:02}')"));
        }
        db.execute("INSERT INTO payout_reversals VALUES ('tr_1', 'p1', 30, '2026-11-01 10:00:30')");
        let page = body(&env.run(&["receipt", "p1"]).expect_code(0));
        assert!(page.contains("27 other payouts</th><td>−27.00</td>"), "{page}");
        assert!(page.contains("10:00:28\u{a0}UTC</time> and before</th><td>−0.28</td><td>99.72</td>"), "{page}");
        assert!(page.contains("Left to be paid</th><td>370.30</td>"), "{page}");
        assert!(page.matches("<tr").count() < 25, "{page}");
    }
}
