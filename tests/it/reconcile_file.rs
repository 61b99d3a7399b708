//! `payouts reconcile --file`: a report in the place of Stripe's lists, and the same findings.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use payouts::sandbox::{Fault, SandboxHandle};
use serde_json::Value;

use crate::common::db::on_both;
use crate::common::env::Run;
use crate::common::shop::Shop;
use crate::sandbox_client;

/// A line of the balance, as a report shows it.
struct Line {
    txn: String,
    source: String,
    /// The transfer that it is about.
    transfer: Value,
    /// Minor units as Stripe signs them.
    amount: i64,
    currency: String,
    is_transfer: bool,
    /// `2026-11-02 09:30:00`.
    created: String,
}

impl Line {
    fn category(&self) -> &'static str {
        if self.is_transfer {
            "transfer"
        } else {
            "transfer_reversal"
        }
    }

    fn metadata(&self, key: &str) -> &str {
        self.transfer["metadata"][key].as_str().unwrap_or("")
    }

    fn text(&self, key: &str) -> &str {
        self.transfer[key].as_str().unwrap_or("")
    }

    fn major(&self) -> String {
        let sign = if self.amount < 0 { "-" } else { "" };
        let cents = self.amount.abs();
        format!("{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

/// The lines of a balance, oldest first, with what moved them.
fn balance_of(stripe: &SandboxHandle) -> Vec<Line> {
    let mut lines = Vec::new();
    for (kind, expand) in [
        ("transfer", "data.source"),
        ("transfer_refund", "data.source.transfer"),
    ] {
        let path = format!("/v1/balance_transactions?limit=100&type={kind}&expand[]={expand}");
        let list = sandbox_client::get(stripe, &path)
            .api_key("sk_test_shop")
            .ok();
        assert_eq!(list["has_more"], false);
        for entry in list["data"].as_array().expect("lines") {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let source = &entry["source"];
            let is_transfer = kind == "transfer";
            let seconds = entry["created"].as_i64().expect("a time");
            let created = payouts::model::time::Time::from_unix_seconds(seconds).to_string();
            lines.push(Line {
                txn: text(&entry["id"]),
                source: text(&source["id"]),
                transfer: if is_transfer {
                    source.clone()
                } else {
                    source["transfer"].clone()
                },
                amount: entry["amount"].as_i64().expect("an amount"),
                currency: text(&entry["currency"]),
                is_transfer,
                created: created.replace('T', " ").replace(".000Z", ""),
            });
        }
    }
    lines.sort_by(|a, b| (&a.created, &a.txn).cmp(&(&b.created, &b.txn)));
    lines
}

/// `balance_change_from_activity.itemized` with every column that helps.
fn itemized(lines: &[Line]) -> String {
    let mut text = "balance_transaction_id,created_utc,available_on_utc,currency,gross,fee,net,reporting_category,source_id,\
        description,connected_account_id,transfer_metadata[payout_id],transfer_metadata[payoutId],\
        transfer_metadata[attempt],transfer_metadata[database],transfer_metadata[creator_id]\n\
        txn_charge,2026-11-02 09:30:00,2026-11-02 09:30:00,usd,120.00,3.78,116.22,charge,ch_1,,,,,,,\n"
        .to_owned();
    for line in lines {
        let (amount, created) = (line.major(), &line.created);
        let _ = writeln!(
            text,
            "{},{created},{created},{},{amount},0.00,{amount},{},{},,{},{},{},{},{},{}",
            line.txn,
            line.currency,
            line.category(),
            line.source,
            line.text("destination"),
            line.metadata("payout_id"),
            line.metadata("payoutId"),
            line.metadata("attempt"),
            line.metadata("database"),
            line.metadata("creator_id"),
        );
    }
    text
}

/// The dashboard's export of the balance: to the minute, and without the account that was paid.
fn dashboard(lines: &[Line]) -> String {
    let mut text =
        "id,Type,Source,Amount,Fee,Net,Currency,Created (UTC),Available On (UTC),Description,\
        Transfer,Transfer Date (UTC),Transfer Group,payout_id (metadata),payoutId (metadata)\n"
            .to_owned();
    for line in lines {
        let (amount, minute) = (line.major(), &line.created[..16]);
        let kind = if line.is_transfer {
            "transfer"
        } else {
            "transfer_refund"
        };
        let group = if line.is_transfer {
            line.text("transfer_group")
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "{},{kind},{},{amount},0.00,{amount},{},{minute},{minute},,po_1,{minute},{group},{},{}",
            line.txn,
            line.source,
            line.currency,
            line.metadata("payout_id"),
            line.metadata("payoutId"),
        );
    }
    text
}

/// What somebody exported from their own books.
fn own(lines: &[Line]) -> String {
    let mut text = "Vorgang;Überweisung;Gebucht;Betrag;Währung;Konto;Auszahlung\r\n".to_owned();
    for line in lines {
        let named = [line.metadata("payout_id"), line.metadata("payoutId")].concat();
        let _ = write!(
            text,
            "{};{};{};{};{};{};{named}\r\n",
            line.source,
            line.text("id"),
            line.created,
            line.major().replace('.', ","),
            line.currency.to_uppercase(),
            line.text("destination"),
        );
    }
    text
}

const OWN: [&str; 16] = [
    "--map",
    "source_id=Vorgang",
    "--map",
    "transfer_id=Überweisung",
    "--map",
    "created_utc=Gebucht",
    "--map",
    "gross=Betrag",
    "--map",
    "currency=Währung",
    "--map",
    "destination=Konto",
    "--map",
    "payout_id=Auszahlung",
    "--decimal",
    ",",
];

/// A report with nothing but what is never left out.
fn bare(lines: &[Line]) -> String {
    let mut text =
        "balance_transaction_id,created,currency,gross,fee,net,reporting_category\n".to_owned();
    for line in lines {
        let amount = line.major();
        let _ = writeln!(
            text,
            "{},{},{},{amount},0.00,{amount},{}",
            line.txn,
            line.created,
            line.currency,
            line.category()
        );
    }
    text
}

/// What such a comparison found: kind, payout, transfer, attempt, subject and state.
fn findings(run: &Run) -> BTreeSet<[String; 6]> {
    let answer: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run}"));
    let findings = answer["findings"]
        .as_array()
        .unwrap_or_else(|| panic!("{run}"));
    let text = |finding: &Value, field: &str| finding[field].to_string().replace('"', "");
    findings
        .iter()
        .map(|finding| {
            [
                "kind",
                "payout_id",
                "transfer_id",
                "attempt",
                "subject",
                "state",
            ]
            .map(|field| text(finding, field))
        })
        .collect()
}

impl Shop {
    /// `payouts reconcile --file` with such a file, and more.
    fn reconcile_file(&self, text: &str, more: &[&str]) -> Run {
        self.env.write("report.csv", text);
        let mut args = vec!["--file", "report.csv"];
        args.extend(more);
        self.reconcile(&args)
    }

    fn found_by_api(&self, more: &[&str]) -> BTreeSet<[String; 6]> {
        findings(&self.reconcile(&[&["-o", "json"], more].concat()))
    }

    fn found_by_file(&self, text: &str, more: &[&str]) -> BTreeSet<[String; 6]> {
        findings(&self.reconcile_file(text, &[&["-o", "json"], more].concat()))
    }

    /// As if nobody had ever compared.
    fn forget_comparisons(&self) {
        for table in [
            "payout_reconciliation_findings",
            "payout_reconciliations",
            "payout_findings",
        ] {
            self.db.execute(&format!("DELETE FROM {table}"));
        }
    }

    /// A month in which everything went wrong once that can.
    fn month(&mut self) {
        let hour = Duration::from_secs(3600);
        self.payouts(12);
        for number in [9, 10] {
            self.statement(&format!("st{number}"), &format!("c{number}"), 1000);
            self.db.execute(&format!(
                "UPDATE payouts SET royalty_statement_id = 'st{number}' WHERE id = 'cp{number}'"
            ));
        }
        self.process(&["--limit", "1"]).expect_code(0);
        self.pass(hour);
        self.fault("c1", Fault::Error500After, 1);
        self.process(&[]).expect_code(5);
        self.pass(hour);
        for name in ["amount", "account", "euro", "doubt"] {
            self.creator(name);
            self.foreign_payout(&format!("cf_{name}"), name, 700);
        }
        self.transfer("amount", 650, "&metadata[payoutId]=cf_amount");
        self.transfer("euro", 700, "&metadata[payoutId]=cf_account");
        let euros = "amount=700&currency=eur&destination=acct_euro&metadata[payoutId]=cf_euro";
        self.stripe.top_up("eur", 10_000).expect("money comes in");
        sandbox_client::post(&self.stripe, "/v1/transfers", euros)
            .api_key("sk_test_shop")
            .ok();
        self.db
            .execute("UPDATE payouts SET status = 'PROCESSING' WHERE id = 'cf_doubt'");
        self.transfer("c0", 1000, "&transfer_group=cp0");
        self.transfer("c2", 500, "");
        self.transfer("c2", 1000, "&transfer_group=BONUS");
        let of = |payout: &str| self.transfer_of(payout);
        self.reverse(&of("cp3"), 1000);
        self.reverse(&of("cp4"), 300);
        self.reverse(&of("cp10"), 1000);
        let edited = format!("/v1/transfers/{}", of("cp5"));
        sandbox_client::post(&self.stripe, &edited, "metadata[payout_id]=cp_other")
            .api_key("sk_test_shop")
            .ok();
        let (one, other) = (of("cp2"), of("cp11"));
        for sql in [
            "UPDATE payouts SET stripe_transfer_id = NULL WHERE id = 'cp11'".to_owned(),
            format!("UPDATE payouts SET stripe_transfer_id = '{other}' WHERE id = 'cp2'"),
            format!("UPDATE payouts SET stripe_transfer_id = '{one}' WHERE id = 'cp11'"),
            "UPDATE payouts SET stripe_transfer_id = 'tr_none' WHERE id = 'cp6'".to_owned(),
            format!(
                "INSERT INTO payout_reversals (transfer_id, payout_id, amount_reversed_cents, seen_at)
                 VALUES ('{}', 'cp10', 1000, '2026-11-02 12:00:00')",
                of("cp10")
            ),
            "UPDATE payout_attempts SET livemode = TRUE WHERE payout_id = 'cp7'".to_owned(),
            "UPDATE royalty_statements SET status = 'REVIEWED', paid_at = NULL, payment_reference = NULL WHERE id = 'st9'".to_owned(),
        ] {
            self.db.execute(&sql);
        }
        for table in ["payout_answers", "payout_attempts", "payout_batch_items"] {
            self.db
                .execute(&format!("DELETE FROM {table} WHERE payout_id = 'cp8'"));
        }
        self.db.execute("DELETE FROM payouts WHERE id = 'cp8'");
        self.pass(hour);
    }
}

fn kinds(found: &BTreeSet<[String; 6]>) -> BTreeSet<&str> {
    found.iter().map(|finding| finding[0].as_str()).collect()
}

on_both! {
    // The same month from the API and from a report gives the same findings.
    fn the_same_month_from_the_api_and_from_a_file(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.month();
        let lines = balance_of(&shop.stripe);
        let api = shop.found_by_api(&[]);
        assert_eq!(
            kinds(&api).into_iter().collect::<Vec<_>>(),
            ["amount_differs", "currency_differs", "destination_differs", "forgotten_payout", "metadata_differs",
             "missing_at_stripe", "mode_differs", "reversed_fully", "reversed_partly", "statement_not_marked",
             "statement_reversed", "status_behind", "two_payouts", "two_transfers", "unknown_transfer", "unresolved"]
        );
        for (layout, text, more) in [
            ("itemized", itemized(&lines), &[][..]),
            ("dashboard", dashboard(&lines), &[]),
            ("own", own(&lines), &OWN),
            ("bare", bare(&lines), &[]),
        ] {
            shop.forget_comparisons();
            let found = shop.found_by_file(&text, more);
            assert_eq!(found, api, "{layout}");
            // And once more, where all is known already.
            assert_eq!(shop.found_by_file(&text, more), api, "{layout}");
        }
        // Nor does the API find anything else afterwards.
        assert_eq!(shop.found_by_api(&[]), api);
    }
    // Nothing differs, and Stripe is asked for no transfer but the first.
    fn a_file_that_agrees_is_clean_and_hardly_asks(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(5);
        shop.process(&[]).expect_code(0);
        let lines = balance_of(&shop.stripe);
        let asked = |shop: &Shop| {
            let requests = shop.stripe.ledger().requests;
            let all = requests.iter().filter(|(endpoint, _)| endpoint.contains("transfer"));
            all.flat_map(|(_, answers)| answers.values()).sum::<u64>()
        };
        let before = asked(&shop);
        for (text, more) in [(itemized(&lines), &[][..]), (dashboard(&lines), &[]), (own(&lines), &OWN)] {
            let run = shop.reconcile_file(&text, more).expect_code(0);
            assert!(run.stdout.contains("none: the file and the table agree"), "{run}");
        }
        assert_eq!(asked(&shop), before + 3);
        assert_eq!(
            shop.db.query_strings(
                "SELECT DISTINCT source, file, CAST(transfer_count AS TEXT), CAST(transfer_cents AS TEXT),
                     CAST(matched_count AS TEXT), CAST(balance_transfer_cents AS TEXT), clean
                 FROM payout_reconciliations"
            ),
            [["file", "report.csv", "5", "5000", "5", "5000", "1"].map(|text| Some(text.to_owned()))]
        );
    }

    // Scenario 28, from a file: equal amounts on the same day pair nobody.
    fn an_equal_amount_in_a_file_is_never_a_match(db: TestDb) {
        let shop = Shop::open(db);
        for name in ["ann", "ben"] {
            shop.creator(name);
            shop.foreign_payout(&format!("cf_{name}"), name, 700);
            shop.db.execute(&format!("UPDATE payouts SET status = 'PROCESSING' WHERE id = 'cf_{name}'"));
        }
        shop.transfer("ann", 700, "");
        shop.transfer("ben", 700, "&transfer_group=BONUS-7");
        let lines = balance_of(&shop.stripe);
        for text in [itemized(&lines), dashboard(&lines), bare(&lines)] {
            let run = shop.reconcile_file(&text, &["--fix", "-o", "json"]).expect_code(5);
            let found = findings(&run);
            assert_eq!(found.iter().map(|finding| &finding[0]).collect::<Vec<_>>(),
                ["unknown_transfer", "unknown_transfer", "unresolved", "unresolved"]);
            assert_eq!((shop.status("cf_ann"), shop.status("cf_ben")), ("PROCESSING".into(), "PROCESSING".into()));
        }
    }

    // Scenario 29, from a file: two errors that cancel out in the sum are two findings.
    fn errors_that_cancel_out_are_found_each_in_a_file(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(3);
        shop.process(&[]).expect_code(0);
        shop.db.execute("UPDATE payouts SET amount_cents = 1100 WHERE id = 'cp0'");
        shop.db.execute("UPDATE payouts SET amount_cents = 900 WHERE id = 'cp1'");
        let lines = balance_of(&shop.stripe);
        let two = ["amount_differs cp0", "amount_differs cp1"].map(str::to_owned).to_vec();
        for key in [true, false] {
            for (text, more) in [(itemized(&lines), &[][..]), (dashboard(&lines), &[]), (own(&lines), &OWN)] {
                shop.forget_comparisons();
                let run = shop.reconcile_file(&text, more).expect_code(5);
                assert!(run.stdout.contains("Difference      0.00 USD"), "{run}");
                let args = [&["--file", "report.csv"], more].concat();
                assert_eq!(shop.found(&args), (two.clone(), 5), "with a key: {key}");
            }
            shop.env.unset("STRIPE_SECRET_KEY");
        }
    }

    // Scenario 27, from a file: what its edges cut differently from the table is looked up.
    fn the_edges_of_a_file_make_no_orphans(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(4);
        shop.process(&["--limit", "1"]).expect_code(0);
        shop.pass(Duration::from_secs(3600));
        shop.process(&["--limit", "1"]).expect_code(0);
        shop.pass(Duration::from_secs(3600));
        shop.process(&[]).expect_code(0);
        // Other software wrote its own clock's time.
        shop.db.execute("UPDATE payouts SET processed_at = '2026-11-02 10:30:00' WHERE id IN ('cp2', 'cp3')");
        let lines = balance_of(&shop.stripe);
        for some in [&lines[..2], &lines[1..2], &lines[2..]] {
            let run = shop.reconcile_file(&itemized(some), &[]).expect_code(0);
            assert!(run.stdout.contains("none: the file and the table agree"), "{run}");
        }
        shop.pass(Duration::from_secs(60));
        // A file that leaves some of the period out is not taken for all of it.
        let run = shop.reconcile(&["--file", "report.csv", "--period", "2026-11"]).expect_code(1);
        assert!(run.stderr.contains("2 transfers of the period, held by payouts and at Stripe, but not in the file"), "{run}");
        // Nor is a time without any row of it.
        for period in ["2026-10", "2026-11-03"] {
            let run = shop.reconcile_file(&itemized(&lines[..2]), &["--period", period]).expect_code(3);
            assert!(run.stderr.contains("its transfers are of another time"), "{run}");
        }
        // What was compared is printed again as it was.
        let last = shop.reconcile(&["--show", "last"]).expect_code(0);
        assert!(last.stdout.contains("The file lists  2 transfers") && last.stdout.contains("report.csv"), "{last}");
        let since = shop.reconcile_file(&itemized(&lines), &["--diff", "last"]).expect_code(0);
        assert!(since.stdout.contains("0 new, 0 gone, 0 as before"), "{since}");
    }

    // What is repaired is repaired on Stripe's word, and the guard's mark stays where it is.
    fn what_a_file_leads_to_is_repaired(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(4);
        shop.fault("c1", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        shop.reverse(&shop.transfer_of("cp2"), 300);
        shop.pass(Duration::from_secs(3600));
        let watermark = "SELECT value FROM payout_settings WHERE key = 'watermark'";
        let before = shop.one(watermark);
        let text = itemized(&balance_of(&shop.stripe));
        let run = shop.reconcile_file(&text, &["--fix"]).expect_code(0);
        assert!(run.stdout.contains("0 open, 2 repaired, 0 accepted"), "{run}");
        assert_eq!((shop.status("cp1"), shop.one("SELECT amount_reversed_cents FROM payout_reversals")), ("COMPLETED".into(), "300".into()));
        assert_eq!(shop.one(watermark), before);
        shop.assert_paid_exactly_once();
        assert_eq!(shop.found_by_file(&text, &[]), BTreeSet::new());
        assert_eq!(shop.found(&[]), (vec![], 0));
    }

    // Only Stripe's balance settles what its lines did not add up to.
    fn a_file_settles_nothing_that_it_does_not_tell_of(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        let text = itemized(&balance_of(&shop.stripe));
        shop.db.execute(
            "INSERT INTO payout_findings (id, kind, subject, found, state, first_seen_at, seen_at, run_id)
             SELECT 'f1', 'balance_differs', 'transfers of 2026-11-01', 'more', 'open', '2026-11-01 00:00:00',
                    '2026-11-01 00:00:00', id FROM payout_runs WHERE command = 'process'",
        );
        let open = vec!["balance_differs -".to_owned()];
        shop.env.write("report.csv", &text);
        assert_eq!(shop.found(&["--file", "report.csv"]), (open.clone(), 1));
        assert_eq!(shop.found(&["--no-balance"]), (open, 1));
        assert_eq!(shop.found(&[]), (vec![], 0));
    }

    // The account that was paid is compared where the file shows it, and said where it does not.
    fn what_a_file_does_not_show_is_said(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        shop.db.execute("UPDATE payout_attempts SET destination = 'acct_else' WHERE payout_id = 'cp0'");
        let lines = balance_of(&shop.stripe);
        let run = shop.reconcile_file(&dashboard(&lines), &[]).expect_code(0);
        assert!(run.stderr.contains("no column shows the account that was paid"), "{run}");
        let differs = vec!["destination_differs cp0".to_owned()];
        shop.env.write("report.csv", itemized(&lines));
        assert_eq!(shop.found(&["--file", "report.csv"]), (differs.clone(), 5));
        shop.forget_comparisons();
        shop.env.unset("STRIPE_SECRET_KEY");
        assert_eq!(shop.found(&["--file", "report.csv"]), (differs, 5));
    }

    // Without a key: what the rows show is found, what they do not show is told, and nothing is clean.
    fn without_a_key_the_file_is_all_there_is(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(6);
        shop.fault("c1", Fault::Error500After, 1);
        shop.process(&[]).expect_code(5);
        shop.transfer("c0", 4200, "&transfer_group=BONUS-7");
        shop.reverse(&shop.transfer_of("cp2"), 300);
        shop.pass(Duration::from_secs(3600));
        shop.reverse(&shop.transfer_of("cp2"), 700);
        shop.reverse(&shop.transfer_of("cp3"), 100);
        shop.db.execute("UPDATE payouts SET amount_cents = 1100 WHERE id = 'cp4'");
        let lines = balance_of(&shop.stripe);
        shop.env.unset("STRIPE_SECRET_KEY");
        let run = shop.reconcile_file(&own(&lines), &OWN).expect_code(5);
        assert!(run.stderr.contains("there is no Stripe key"), "{run}");
        assert!(run.stderr.contains("1 payout in doubt, not looked up"), "{run}");
        let found = ["amount_differs cp4", "reversed_fully cp2", "reversed_partly cp3", "status_behind cp1", "unknown_transfer -"];
        let args = [&["--file", "report.csv"][..], &OWN].concat();
        assert_eq!(shop.found(&args), (found.map(str::to_owned).to_vec(), 5));
        // What was found stays found, though this file no longer shows why.
        shop.env.write("report.csv", itemized(&lines));
        let run = shop.reconcile(&["--file", "report.csv"]).expect_code(5);
        assert!(run.stderr.contains("3 reversals could not be compared"), "{run}");
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_findings WHERE state = 'open'"), "5");
        let run = shop.reconcile(&["--file", "report.csv", "--fix"]).expect_code(3);
        assert!(run.stderr.contains("nothing is repaired on the word of a file"), "{run}");
        // A transfer that the file leaves out is one of which only Stripe can say anything.
        let run = shop.reconcile_file(&own(&lines[1..]), &OWN);
        assert!(run.stderr.contains("1 transfer held by payouts, and not in the file"), "{run}");
    }

    // Long before and after, a file that leaves a transfer out says that there is none.
    fn without_a_key_what_a_long_file_leaves_out_is_missing(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(3);
        let days = |days: u64| Duration::from_secs(days * 86_400);
        shop.process(&["--limit", "1"]).expect_code(0);
        shop.pass(days(2));
        shop.process(&["--limit", "1"]).expect_code(0);
        shop.pass(days(2));
        shop.process(&["--limit", "1"]).expect_code(0);
        let mut lines = balance_of(&shop.stripe);
        lines.remove(1);
        shop.env.unset("STRIPE_SECRET_KEY");
        shop.env.write("report.csv", itemized(&lines));
        let (found, code) = shop.found(&["--file", "report.csv"]);
        assert_eq!((found.len(), code), (1, 1));
        assert!(found[0].starts_with("missing_at_stripe cp"), "{found:?}");
        // With the key it is looked up, and there.
        shop.env.set("STRIPE_SECRET_KEY", "sk_test_shop");
        let run = shop.reconcile(&["--file", "report.csv"]).expect_code(1);
        assert!(run.stdout.contains("0 open, "), "{run}");
        assert!(run.stderr.contains("1 transfer of the period, held by payouts and at Stripe"), "{run}");
    }

    // A file of another account: its transfers are unknown to Stripe under this key.
    fn a_file_of_another_account_is_refused_or_unknown(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        let mut lines = balance_of(&shop.stripe);
        for line in &mut lines {
            line.source = line.source.replace("tr_", "tr_other");
            line.txn = line.txn.replace("txn_", "txn_other");
        }
        for text in [itemized(&lines), bare(&lines)] {
            let run = shop.reconcile_file(&text, &[]).expect_code(4);
            assert!(run.stderr.contains("of line ") && run.stderr.contains("of another account"), "{run}");
        }
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_findings"), "0");
        shop.env.unset("STRIPE_SECRET_KEY");
        for line in &mut lines {
            line.transfer["metadata"] = Value::Null;
        }
        let run = shop.reconcile_file(&itemized(&lines), &[]).expect_code(1);
        assert!(run.stdout.contains("unknown_transfer: "), "{run}");
        assert!(run.stderr.contains("2 transfers held by payouts, and not in the file"), "{run}");
        // One such row in a file that is ours otherwise is a finding.
        shop.env.set("STRIPE_SECRET_KEY", "sk_test_shop");
        let mut mixed = balance_of(&shop.stripe);
        mixed.push(lines.remove(0));
        shop.forget_comparisons();
        let run = shop.reconcile_file(&itemized(&mixed), &[]).expect_code(1);
        assert!(run.stdout.contains("; Stripe does not know it"), "{run}");
        let run = shop.reconcile_file(&bare(&mixed), &["-o", "json"]).expect_code(1);
        assert!(run.stdout.contains("which Stripe does not know"), "{run}");
    }

    // What cannot be read is refused before anything is compared, and nothing is written.
    fn a_faulty_file_is_refused_with_every_fault(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        let text = itemized(&balance_of(&shop.stripe));
        let runs = "SELECT COUNT(*) FROM payout_runs";
        let before = shop.one(runs);
        for (text, more, code) in [
            (text.replace(",transfer,", ",transfer,x"), &[][..], 1),
            (text.replace("gross", "brutto").replace("currency", "curr"), &[], 1),
            (text.replace("description,connected_account_id", "connected_account,x"), &[], 3),
            (text.replace("-10.00", "\"-10,00\""), &[], 1),
            (text.lines().next().unwrap_or_default().to_owned() + "\n", &[], 3),
        ] {
            shop.reconcile_file(&text, more).expect_code(code);
        }
        assert_eq!(shop.one(runs), before);
        let run = shop.reconcile_file(&text.replace("usd", "dollars"), &["-o", "json"]).expect_code(1);
        let answer: Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert_eq!((&answer["bad_rows"], &answer["errors"][0]["column"], &answer["errors"][0]["line"]),
            (&2.into(), &"currency".into(), &3.into()), "{run}");
    }
}

#[test]
fn rows_that_name_no_transfer_are_bounded() {
    let shop = Shop::open(crate::common::db::TestDb::sqlite());
    let mut text = bare(&[]);
    for number in 0..=10_000 {
        let _ = writeln!(
            text,
            "txn_{number},2026-11-02 09:30:00,usd,-1.00,0.00,-1.00,transfer"
        );
    }
    let run = shop.reconcile_file(&text, &[]).expect_code(3);
    assert!(
        run.stderr
            .contains("10001 of its rows do not say which transfer"),
        "{run}"
    );
    assert!(run.stderr.contains("source_id ticked"), "{run}");
}

#[test]
fn a_person_sees_what_a_file_came_to() {
    let shop = Shop::open(crate::common::db::TestDb::sqlite());
    shop.payouts(3);
    shop.process(&[]).expect_code(0);
    shop.transfer("c0", 4200, "&transfer_group=BONUS-7");
    shop.reverse(&shop.transfer_of("cp1"), 300);
    let lines = balance_of(&shop.stripe);
    insta::assert_snapshot!(shop.reconcile_file(&itemized(&lines), &[]).transcript(), @r"
    $ payouts reconcile --file report.csv
    reversed_partly: some of the transfer was taken back
    Finding            Payout  Transfer                  At stake  In the table        At Stripe
    f0000000000000001  cp1     tr_000000000000000000001      3.00  nothing taken back  3.00 USD taken back
    Next: `payouts reconcile --fix` keeps the amount; the payout stays COMPLETED and is never sent again

    unknown_transfer: the transfer pays no payout of this database
    Finding            Payout  Transfer                  At stake  In the table  At Stripe
    f0000000000000002          tr_000000000000000000002     42.00  nothing       42.00 USD to acct_c0, for BONUS-7
    Next: if other software made it on purpose, accept it: `payouts reconcile --accept FINDING --reason TEXT`

    Period          2026-11-02 09:30 to 2026-11-02 09:30, UTC
    The file lists  4 transfers, 72.00 USD
    We recorded     3 payouts as paid, 30.00 USD
    Difference      42.00 USD
    Matched         3 of 4 transfers
    Taken back      3.00 USD
    Balance         lost 72.00 USD to transfers and got back 3.00 USD
    File            report.csv
    Findings        2 open, 0 repaired, 0 accepted
    --- stderr
    report.csv: an itemized report of Stripe; 4 transfers and 1 reversal
    --- exit 1
    ");
}

#[test]
fn a_person_sees_a_file_without_a_key() {
    let mut shop = Shop::open(crate::common::db::TestDb::sqlite());
    shop.payouts(3);
    shop.process(&[]).expect_code(0);
    shop.reverse(&shop.transfer_of("cp1"), 300);
    let lines = balance_of(&shop.stripe);
    shop.env.unset("STRIPE_SECRET_KEY");
    insta::assert_snapshot!(shop.reconcile_file(&dashboard(&lines), &[]).transcript(), @r"
    $ payouts reconcile --file report.csv
    Period          2026-11-02 09:30 to 2026-11-02 09:31, UTC
    The file lists  3 transfers, 30.00 USD
    We recorded     3 payouts as paid, 30.00 USD
    Difference      0.00 USD
    Matched         3 of 3 transfers
    Taken back      3.00 USD
    Balance         lost 30.00 USD to transfers and got back 3.00 USD
    File            report.csv
    Findings        0 open, 0 repaired, 0 accepted
    --- stderr
    warning: there is no Stripe key: the table is compared with what the file says, and with nothing else; with a key, Stripe is asked for the rest
    report.csv: the balance export of Stripe's dashboard; 3 transfers and 1 reversal
    no column shows the account that was paid, which is not compared then; an itemized report does, with connected_account_id ticked
    warning: 1 reversal could not be compared: the file does not say what is left of which transfer
    --- exit 1
    ");
    insta::assert_snapshot!(shop.reconcile_file(&dashboard(&lines), &["--fix"]).transcript(), @r"
    $ payouts reconcile --file report.csv --fix
    --- stderr
    error: there is no Stripe key, and nothing is repaired on the word of a file
    hint: set STRIPE_SECRET_KEY, or leave out --fix
    --- exit 3
    ");
}

#[test]
fn a_person_sees_why_a_file_is_refused() {
    let shop = Shop::open(crate::common::db::TestDb::sqlite());
    shop.payouts(2);
    shop.process(&[]).expect_code(0);
    let text = itemized(&balance_of(&shop.stripe));
    let refused = |text: String| shop.reconcile_file(&text, &[]).transcript();
    insta::assert_snapshot!(refused(text.replace("usd,-10.00", "usd,10.00")), @r"
    $ payouts reconcile --file report.csv
    --- stderr
    Line  Column  Value  Reason
       3  gross   10.00  a transfer leaves the balance: its amount is negative
       4  gross   10.00  a transfer leaves the balance: its amount is negative
    by reason: 2 amount
    error: 2 rows of report.csv cannot be compared; nothing was compared
    --- exit 1
    ");
    insta::assert_snapshot!(refused(text.replace("gross", "brutto").replace("currency", "curr")), @r"
    $ payouts reconcile --file report.csv
    --- stderr
    Line  Column  Value  Reason
       1                 the header lacks currency (Currency); gross (Amount); recognised are balance_transaction_id, source_id, created_utc, fee, net, reporting_category, connected_account_id, transfer_metadata[payout_id], transfer_metadata[payoutId], transfer_metadata[attempt], transfer_metadata[creator_id], transfer_metadata[database]. Download the itemized report, with the optional columns source_id and transfer_metadata[payout_id] ticked, or name columns with --map, such as --map created=MyColumn
    by reason: 1 header
    error: report.csv cannot be read; nothing was compared
    --- exit 1
    ");
    insta::assert_snapshot!(refused(text.replace("description,connected_account_id", "connected_account,x")), @r"
    $ payouts reconcile --file report.csv
    --- stderr
    error: nothing is compared with report.csv: it is a report of connected accounts: it shows what came into their balances, as charges, and not what left the platform's
    hint: download the platform's own report: balance_change_from_activity.itemized, without connected accounts
    --- exit 3
    ");
}
