//! Mails sent to a mail server that others wrote, over TLS and with a password.

use std::collections::BTreeMap;
use std::time::Duration;

use payouts::sandbox::{BalanceUpdate, Fault};

use crate::common::clients::{SmtpServer, TakenMail};
use crate::common::db::{TestDb, on_both};
use crate::common::env::Run;
use crate::common::shop::Shop;

const MINUTE: Duration = Duration::from_secs(60);

/// How user and password stand in a URL.
const LOGIN: &str = "pay%40platform.example:s3cret%3A%25";

fn url(server: &SmtpServer, mode: &str) -> String {
    let scheme = if mode == "implicit" { "smtps" } else { "smtp" };
    format!("{scheme}://{LOGIN}@localhost:{}", server.port())
}

/// A shop that sends its mails to a server of this mode.
pub(crate) fn shop(db: TestDb, mode: &str, on: &[&str]) -> (Shop, SmtpServer) {
    let mut shop = Shop::open(db);
    let server = SmtpServer::start(mode);
    shop.env
        .set("PAYOUTS_MAIL_FROM", "The Platform <pay@platform.example>");
    shop.env.set(
        "PAYOUTS_MAIL_TO",
        "ops@platform.example, ann@platform.example",
    );
    shop.env.set("SMTP_URL", &url(&server, mode));
    shop.env
        .set("SSL_CERT_FILE", server.root().to_str().unwrap());
    shop.env
        .run(&[&["notify", "on"], on].concat())
        .expect_code(0);
    (shop, server)
}

fn states(shop: &Shop) -> Vec<String> {
    let rows = shop.db.query_strings(
        "SELECT id, state, CAST(tries AS TEXT), reason FROM payout_notifications ORDER BY id",
    );
    let text = |row: Vec<Option<String>>| row.into_iter().flatten().collect::<Vec<_>>().join(" ");
    rows.into_iter().map(text).collect()
}

fn address(shop: &Shop, creator: &str, email: &str) {
    shop.db.execute(&format!(
        "UPDATE users SET email = '{email}' WHERE id = 'us_{creator}'"
    ));
}

#[track_caller]
fn stderr_of(run: &Run) -> &str {
    assert!(!run.stderr.contains("s3cret"), "{run}");
    &run.stderr
}

on_both! {
    fn a_mail_goes_out_once_over_either_kind_of_tls(db: TestDb) {
        let (mut shop, server) = shop(db, "implicit", &["paid"]);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        let run = shop.env.run(&["notify"]).expect_code(0);
        assert_eq!(run.stdout, "mails: 2 sent\n");
        let taken = server.taken();
        assert_eq!(taken.len(), 2);
        for mail in &taken {
            assert_eq!(mail.envelope["tls"], true);
            assert_eq!(mail.envelope["user"], SmtpServer::USER);
            assert_eq!(mail.envelope["from"], "pay@platform.example");
            assert_eq!(mail.header("From"), "\"The Platform\" <pay@platform.example>");
            assert_eq!(mail.header("Subject"), "10.00 USD is on its way to you");
            assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
        }
        let second = SmtpServer::start("starttls");
        shop.env.set("SMTP_URL", &url(&second, "starttls"));
        shop.env.set("SSL_CERT_FILE", second.root().to_str().unwrap());
        shop.payout("p3", "c0", 700);
        shop.process(&[]).expect_code(0);
        shop.env.run(&["notify"]).expect_code(0);
        let taken = second.taken();
        assert_eq!(taken.len(), 1, "{taken:?}");
        assert_eq!((taken[0].to(), &taken[0].envelope["tls"]), ("c0@example.org", &true.into()));
        assert_eq!(states(&shop), ["paid:cp0 sent 1", "paid:cp1 sent 1", "paid:p3 sent 1"]);
        let run = shop.env.run(&["notify"]).expect_code(0);
        assert_eq!(run.stdout, "no mails\n");
    }

    fn a_run_killed_before_the_record_sends_twice_under_one_message_id(db: TestDb) {
        let (mut shop, server) = shop(db, "implicit", &["paid"]);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        for at in ["mail_claim.committed", "mail.sent", "mail_settle.writing"] {
            shop.env.set("PAYOUTS_TEST_FAILPOINT", &format!("{at}=kill"));
            let run = shop.env.command(&["notify"]).output().expect("it runs");
            assert_eq!(run.status.code(), None, "{at}: {run:?}");
            shop.env.unset("PAYOUTS_TEST_FAILPOINT");
            assert_eq!(states(&shop), ["paid:cp0 sending 0"], "{at}");
            // Whoever comes before the lease is over leaves it alone.
            shop.env.run(&["notify"]).expect_code(0);
            let expected = usize::from(at != "mail_claim.committed");
            let taken = server.taken();
            assert_eq!(taken.len(), expected, "{at}");
            for mail in &taken {
                let id = mail.header("Message-ID").to_owned();
                shop.env.write("id", &id);
            }
            shop.pass(16 * MINUTE);
        }
        shop.env.run(&["notify"]).expect_code(0);
        let taken = server.taken();
        assert_eq!(taken.len(), 1);
        let before = std::fs::read_to_string(shop.env.path("id")).unwrap();
        assert_eq!(taken[0].header("Message-ID"), before);
        assert!(before.ends_with("@platform.example>"), "{before}");
        shop.pass(16 * MINUTE);
        shop.env.run(&["notify"]).expect_code(0);
        assert!(server.taken().is_empty());
        assert_eq!(states(&shop), ["paid:cp0 sent 1"]);
    }

    fn two_runs_at_once_send_each_mail_once(db: TestDb) {
        let (shop, server) = shop(db, "implicit", &["paid"]);
        shop.payouts(30);
        shop.process(&[]).expect_code(0);
        let runs: Vec<_> = (0..2)
            .map(|_| {
                let mut command = shop.env.command(&["notify", "-o", "json"]);
                command.stdout(std::process::Stdio::piped());
                command.spawn().expect("it starts")
            })
            .collect();
        for run in runs {
            let ended = run.wait_with_output().expect("it ends");
            assert!(ended.status.success(), "{ended:?}");
        }
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for mail in server.taken() {
            *times.entry(mail.header("Message-ID").to_owned()).or_default() += 1;
        }
        assert_eq!((times.len(), times.values().max()), (30, Some(&1)));
    }

    fn what_is_refused_for_now_is_tried_again_and_for_good_is_given_up(db: TestDb) {
        let (mut shop, server) = shop(db, "starttls", &["paid"]);
        shop.payouts(4);
        for (creator, email) in [("c0", "later@example.org"), ("c1", "never@example.org"), ("c2", "spam@example.org")] {
            address(&shop, creator, email);
        }
        shop.process(&[]).expect_code(0);
        let run = shop.env.run(&["notify"]).expect_code(1);
        assert_eq!(run.stdout, "mails: 1 sent, 1 to be tried again, 2 given up\n", "{run}");
        assert!(stderr_of(&run).contains("mail paid:cp1 was given up"), "{run}");
        let told = states(&shop);
        assert!(told[0].starts_with("paid:cp0 waiting 1 ") && told[0].contains("greylisted"), "{told:?}");
        assert!(told[1].starts_with("paid:cp1 failed 1 ") && told[1].contains("no such mailbox"), "{told:?}");
        assert!(told[2].starts_with("paid:cp2 failed 1 ") && told[2].contains("looks like spam"), "{told:?}");
        assert_eq!(told[3], "paid:cp3 sent 1");
        assert_eq!(server.taken().len(), 1);
        // Not before its time, and to wherever the creator is then.
        shop.env.run(&["notify"]).expect_code(0);
        assert!(states(&shop)[0].starts_with("paid:cp0 waiting 1 "));
        shop.pass(6 * MINUTE);
        address(&shop, "c0", "corrected@example.org");
        shop.env.run(&["notify"]).expect_code(0);
        assert_eq!(server.taken()[0].to(), "corrected@example.org");
        // No payout was touched.
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts WHERE status = 'COMPLETED'"), "4");
        shop.assert_paid_exactly_once();
    }

    fn a_mail_that_is_never_taken_is_given_up_after_days(db: TestDb) {
        let (mut shop, server) = shop(db, "implicit", &["paid"]);
        shop.payouts(1);
        address(&shop, "c0", "later@example.org");
        shop.process(&[]).expect_code(0);
        let mut runs = 0;
        while states(&shop)[0].contains("waiting") {
            let code = shop.env.run(&["notify"]).code;
            runs += 1;
            assert_eq!(code, i32::from(states(&shop)[0].contains("failed")), "{runs}");
            shop.pass(24 * 60 * MINUTE);
        }
        assert_eq!(runs, 13);
        assert!(states(&shop)[0].starts_with("paid:cp0 failed 13 "), "{:?}", states(&shop));
        assert!(server.taken().is_empty());
    }

    fn operators_hear_of_a_run_once_each_and_not_again_of_the_same(db: TestDb) {
        let (mut shop, server) = shop(db, "implicit", &["digest"]);
        shop.creator("ada");
        shop.payout("p1", "ada", 500);
        shop.fault("ada", Fault::Error500After, 100);
        shop.process(&[]).expect_code(5);
        // Its repeated sends took some time.
        shop.pass(10 * MINUTE);
        shop.env.run(&["notify"]).expect_code(0);
        let taken = server.taken();
        let to: Vec<&str> = taken.iter().map(TakenMail::to).collect();
        assert_eq!(to.len(), 2, "{to:?}");
        assert!(to.contains(&"ops@platform.example") && to.contains(&"ann@platform.example"), "{to:?}");
        assert_ne!(taken[0].header("Message-ID"), taken[1].header("Message-ID"));
        let told = states(&shop);
        assert_eq!(told.len(), 2, "{told:?}");
    }

    fn a_run_that_stumbles_over_the_same_stone_is_silent_until_one_went_well(db: TestDb) {
        let (mut shop, server) = shop(db, "implicit", &["digest"]);
        shop.env.set("PAYOUTS_MAIL_TO", "ops@platform.example");
        shop.creator("ada");
        shop.payout("p1", "ada", 900_000);
        let short = |shop: &mut Shop, mails: usize| {
            shop.pass(10 * MINUTE);
            shop.process(&[]).expect_code(6);
            shop.env.run(&["notify"]).expect_code(0);
            assert_eq!(server.taken().len(), mails, "{:?}", states(shop));
        };
        let balance = |shop: &Shop, cents: i64| {
            let update = BalanceUpdate {
                currency: "usd".to_owned(),
                set: Some(cents),
                ..BalanceUpdate::default()
            };
            shop.stripe.change_balance(&update).unwrap();
        };
        balance(&shop, 100);
        short(&mut shop, 1);
        short(&mut shop, 0);
        assert!(states(&shop).iter().any(|state| state.contains(" dropped ") && state.contains("it says what run ")));
        balance(&shop, 1_000_000);
        shop.process(&[]).expect_code(0);
        balance(&shop, 100);
        shop.payout("p2", "ada", 900_000);
        short(&mut shop, 1);
        // After a day it is said again.
        shop.pass(24 * 60 * MINUTE);
        short(&mut shop, 1);
    }
}

#[test]
fn a_server_that_cannot_be_trusted_or_used_is_left_and_said() {
    let (mut shop, server) = shop(TestDb::sqlite(), "implicit", &["paid"]);
    shop.payouts(2);
    shop.process(&[]).expect_code(0);
    let good = url(&server, "implicit");
    let root = server.root().to_str().unwrap().to_owned();
    let other = SmtpServer::start("starttls");

    // Another root, another name, a wrong password, nobody there, a sender that may not send.
    let mut told = Vec::new();
    let mut fails = |shop: &Shop, words: &str| {
        let run = shop.env.run(&["notify"]).expect_code(3);
        assert!(stderr_of(&run).contains(words), "{words}: {run}");
        assert!(
            states(shop).iter().any(|state| state.contains("waiting 0")),
            "{:?}",
            states(shop)
        );
        told.push(words.to_owned());
    };
    shop.env
        .set("SSL_CERT_FILE", other.root().to_str().unwrap());
    fails(&shop, "certificate");
    shop.env.set("SSL_CERT_FILE", &root);
    shop.env
        .set("SMTP_URL", &good.replace("localhost", "127.0.0.1"));
    fails(&shop, "certificate");
    shop.env.set("SMTP_URL", &good.replace("s3cret", "wrong"));
    fails(&shop, "does not let this program in");
    shop.env
        .set("SMTP_URL", &good.replace(&format!("{LOGIN}@"), ""));
    fails(&shop, "does not take mails from this sender");
    shop.env.set("SMTP_URL", &url(&other, "starttls"));
    fails(&shop, "does not begin TLS");
    shop.env.set("SMTP_URL", "smtps://localhost:9");
    fails(&shop, "cannot be reached");
    shop.env.set("SMTP_URL", &good);
    shop.env.set("PAYOUTS_MAIL_FROM", "nobody@platform.example");
    fails(&shop, "this sender may not send");
    assert_eq!(told.len(), 7);
    assert!(server.taken().is_empty() && other.taken().is_empty());

    // Nothing of it counted as a try, and all of it goes out once the server can be used.
    shop.env.set("PAYOUTS_MAIL_FROM", "pay@platform.example");
    shop.env.run(&["notify"]).expect_code(0);
    assert_eq!(states(&shop), ["paid:cp0 sent 1", "paid:cp1 sent 1"]);
    assert_eq!(server.taken().len(), 2);
}

#[test]
fn a_hostile_name_makes_no_header_and_no_markup() {
    let (shop, server) = shop(TestDb::sqlite(), "implicit", &["paid"]);
    shop.payouts(1);
    shop.db.execute(
        "UPDATE creators SET \"stageName\" = 'Eve\r\nBcc: all@example.org\r\n\r\n<script>alert(1)</script>\", <x@y.example>'",
    );
    shop.process(&[]).expect_code(0);
    shop.env.run(&["notify"]).expect_code(0);
    let taken = server.taken();
    assert_eq!(
        taken[0].envelope["to"],
        serde_json::json!(["c0@example.org"])
    );
    let message = taken[0].message();
    let (head, _) = message.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().contains("\r\nbcc:"), "{head}");
    let (_, page) = message.split_once("Content-Type: text/html").unwrap();
    assert!(
        page.contains("&lt;script&gt;") && !page.contains("<script>"),
        "{page}"
    );
    assert_eq!(states(&shop), ["paid:cp0 sent 1"]);
}
