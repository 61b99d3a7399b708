//! The outbox of mails: what makes one due, and what is still true of it when it goes out.

use std::fs;
use std::time::Duration;

use payouts::model::alert::{AlertCode, Found};
use payouts::model::ids::CreatorId;
use payouts::model::notification::{NotificationKind, NotificationState};
use payouts::store::notifications::NotificationFilter;
use serde_json::Value;

use crate::common::db::{TestDb, on_both};
use crate::common::env::Run;
use crate::common::shop::Shop;
use crate::sandbox_client;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A shop in which these kinds of mail are on.
fn shop(db: TestDb, on: &[&str]) -> Shop {
    let mut shop = Shop::open(db);
    shop.env
        .set("PAYOUTS_MAIL_FROM", "The Platform <pay@platform.example>");
    shop.env.set("PAYOUTS_MAIL_TO", "ops@platform.example");
    if !on.is_empty() {
        shop.env
            .run(&[&["notify", "on"], on].concat())
            .expect_code(0);
    }
    shop
}

/// The outbox, as `id state`.
fn outbox(shop: &Shop) -> Vec<String> {
    let rows = shop
        .db
        .query_strings("SELECT id, state FROM payout_notifications ORDER BY id");
    let text = |row: Vec<Option<String>>| row.into_iter().flatten().collect::<Vec<_>>().join(" ");
    rows.into_iter().map(text).collect()
}

fn preview(shop: &Shop, more: &[&str]) -> Vec<Value> {
    let run = shop
        .env
        .run(&[&["notify", "--preview", "-o", "json"], more].concat())
        .expect_code(0);
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    answer["mails"].as_array().unwrap().clone()
}

/// What would be done about the one mail that waits, and why.
#[track_caller]
fn decision(shop: &Shop) -> String {
    let mails = preview(shop, &[]);
    assert_eq!(mails.len(), 1, "{mails:#?}");
    let text = |name: &str| mails[0][name].as_str().unwrap_or_default().to_owned();
    format!("{} {}", text("decision"), text("reason"))
        .trim()
        .to_owned()
}

fn killed(shop: &mut Shop, at: &str, args: &[&str]) {
    shop.env
        .set("PAYOUTS_TEST_FAILPOINT", &format!("{at}=kill"));
    let run = shop.env.command(args).output().expect("it runs");
    assert_eq!(run.status.code(), None, "{run:?}");
    shop.env.unset("PAYOUTS_TEST_FAILPOINT");
}

on_both! {
    fn nothing_is_due_until_it_is_switched_on(db: TestDb) {
        let shop = shop(db, &[]);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        assert_eq!(outbox(&shop), [""; 0]);
        let run = shop.env.run(&["notify"]).expect_code(0);
        assert!(run.stderr.contains("nothing is switched on"), "{run}");
        shop.env.run(&["notify", "on", "paid"]).expect_code(0);
        shop.payout("later", "c0", 700);
        shop.process(&[]).expect_code(0);
        // What was paid before is not told.
        assert_eq!(outbox(&shop), ["paid:later waiting"]);
    }

    fn a_mail_is_due_in_the_transaction_that_pays(db: TestDb) {
        let mut shop = shop(db, &["paid", "digest"]);
        shop.payouts(1);
        killed(&mut shop, "settle.writing", &["process"]);
        assert_eq!((shop.status("cp0").as_str(), outbox(&shop)), ("PROCESSING", vec![]));
        shop.pass(3 * MINUTE);
        // It is found at Stripe, and told once.
        killed(&mut shop, "settle.committed", &["process"]);
        assert_eq!(shop.status("cp0"), "COMPLETED");
        assert_eq!(outbox(&shop), ["paid:cp0 waiting"]);
        shop.pass(3 * MINUTE);
        shop.process(&[]).expect_code(0);
        assert_eq!(outbox(&shop), ["paid:cp0 waiting"]);
        shop.assert_paid_exactly_once();
    }

    fn whoever_finds_the_payment_tells_it(db: TestDb) {
        let shop = shop(db, &["paid"]);
        shop.creator("ada");
        // Other software paid it, and marked nothing.
        shop.foreign_payout("f1", "ada", 900);
        sandbox_client::post(
            &shop.stripe,
            "/v1/transfers",
            "amount=900&currency=usd&destination=acct_ada&metadata[payoutId]=f1",
        )
        .api_key("sk_test_shop")
        .ok();
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.status("f1"), "COMPLETED");
        assert_eq!(outbox(&shop), ["paid:f1 waiting"]);
    }

    fn a_digest_is_due_where_the_run_ends_and_needs_a_person(db: TestDb) {
        let mut shop = shop(db, &["digest"]);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        assert_eq!(outbox(&shop), [""; 0]);
        shop.creator("closed");
        shop.payout("p1", "closed", 500);
        killed(&mut shop, "run_end.writing", &["process"]);
        assert_eq!(outbox(&shop), [""; 0], "the run has no end, and no digest");
        shop.payout("p2", "closed", 500);
        shop.process(&[]).expect_code(1);
        let [digest] = &preview(&shop, &[])[..] else { panic!("one digest") };
        let text = digest["text"].as_str().unwrap();
        assert_eq!(digest["subject"], "payouts process: 1 payout needs a person");
        assert!(text.contains("1 payout, 5.00 USD: resource_missing"), "{text}");
        assert!(text.contains("p2  5.00 USD  closed"), "{text}");
        assert_eq!(digest["to"], "ops@platform.example");
    }

    fn a_creator_hears_of_what_they_can_mend_after_an_hour(db: TestDb) {
        let mut shop = shop(db, &["failed"]);
        shop.creator("nocap");
        shop.payout("p1", "nocap", 500);
        shop.process(&[]).expect_code(1);
        let due = shop.one("SELECT due_at FROM payout_notifications");
        let failed = shop.one("SELECT created_at FROM payout_notifications");
        assert_ne!(due, failed);
        assert_eq!(decision(&shop), "send");
        let mails = preview(&shop, &[]);
        assert_eq!(mails[0]["subject"], "We could not pay you 5.00 USD");
        let words: Vec<&str> = mails[0]["text"].as_str().unwrap().split_whitespace().collect();
        assert!(words.join(" ").contains("Sign in to Stripe, complete what it asks for"), "{mails:#?}");
        // Once it is mended and paid, there is nothing to mend.
        shop.db.execute("UPDATE creators SET \"stripeAccountId\" = 'acct_mended' WHERE id = 'cr_nocap'");
        assert_eq!(decision(&shop), "drop the creator's account was changed since");
        shop.env.run(&["retry", "p1"]).expect_code(0);
        assert_eq!(decision(&shop), "drop it is PENDING by now");
        shop.process(&[]).expect_code(0);
        assert_eq!(decision(&shop), "drop it is COMPLETED by now");
        shop.pass(HOUR);
    }

    fn what_only_operators_can_mend_is_not_told_to_creators(db: TestDb) {
        let shop = shop(db, &["failed"]);
        shop.creator("blocked");
        shop.payout("p1", "blocked", 500);
        shop.process(&[]).expect_code(1);
        assert_eq!(decision(&shop), "drop its creator can do nothing about request_blocked");
    }

    fn what_was_taken_back_wholly_is_no_news(db: TestDb) {
        let shop = shop(db, &["paid"]);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        let transfer = shop.one("SELECT stripe_transfer_id FROM payouts");
        shop.stripe.reverse(&transfer, 400).unwrap();
        shop.env.run(&["reconcile"]);
        // As long as the comparison's finding is open, the payment is in doubt.
        assert!(decision(&shop).starts_with("wait a comparison with Stripe found that some of the transfer"));
        shop.env.run(&["reconcile", "--fix"]);
        let [mail] = &preview(&shop, &[])[..] else { panic!("one mail") };
        let text = mail["text"].as_str().unwrap_or_default();
        assert!(text.contains("4.00 USD of it was taken back since, so that 6.00 USD is left."), "{mail:#?}");
        shop.stripe.reverse(&transfer, 600).unwrap();
        shop.env.run(&["reconcile", "--fix"]);
        assert_eq!(decision(&shop), "drop all of it was taken back");
    }

    fn a_payment_in_doubt_waits_for_a_week_and_is_dropped_then(db: TestDb) {
        let mut shop = shop(db, &["paid"]);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        assert_eq!(decision(&shop), "send");
        shop.db.execute("UPDATE payouts SET amount_cents = 1001 WHERE id = 'cp0'");
        assert!(decision(&shop).starts_with("wait its row says 10.01 USD"), "{}", decision(&shop));
        shop.pass(7 * DAY);
        assert!(decision(&shop).starts_with("drop its row says 10.01 USD"), "{}", decision(&shop));
        shop.db.execute("UPDATE payouts SET amount_cents = 1000 WHERE id = 'cp0'");
        assert_eq!(decision(&shop), "send");
    }

    fn opted_out_and_gone_and_without_an_address(db: TestDb) {
        let shop = shop(db, &["paid"]);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        let mut store = shop.db.store();
        shop.env.run(&["notify", "off", "paid", "--creator", "cr_c0"]).expect_code(0);
        assert_eq!(outbox(&shop), ["paid:cp0 dropped"], "what waited is dropped");
        shop.payout("p2", "c0", 700);
        shop.process(&[]).expect_code(0);
        assert_eq!(decision(&shop), "drop creator cr_c0 does not want `paid`");
        shop.env.run(&["notify", "on", "paid", "--creator", "cr_c0"]).expect_code(0);
        assert_eq!(decision(&shop), "send");
        shop.db.execute("UPDATE users SET email = 'not an address' WHERE id = 'us_c0'");
        assert!(decision(&shop).starts_with("no_address what creator cr_c0 has for an e-mail address is none"));
        shop.db.execute("UPDATE users SET email = '' WHERE id = 'us_c0'");
        assert_eq!(decision(&shop), "no_address creator cr_c0 has no e-mail address");
        shop.env.run(&["notify", "off", "paid"]).expect_code(0);
        let switches = store.notification_switches().unwrap();
        assert_eq!(switches.len(), 2);
        let wanted = store.notification_wanted(NotificationKind::Paid, Some(&CreatorId::new("cr_c0")));
        assert_eq!(wanted.unwrap(), payouts::store::notifications::Wanted::SwitchedOff);
        assert_eq!(outbox(&shop), ["paid:cp0 dropped", "paid:p2 dropped"]);
    }

    fn an_alert_is_told_once_and_as_it_was_worded(db: TestDb) {
        let shop = shop(db, &["alert"]);
        let mut store = shop.db.store();
        let stuck = Found {
            code: AlertCode::PayoutsStuck,
            text: "p1".to_owned(),
            count: Some(1),
            amount_cents: Some(700),
            example: None,
        };
        for _ in 0..2 {
            store.alerts_renew(std::slice::from_ref(&stuck), &[AlertCode::PayoutsStuck], |_| {
                ("a payout is\nunresolved".to_owned(), "p1\n\nRunbook: unresolved\x1b[31m".to_owned())
            }).unwrap();
        }
        let filter = NotificationFilter { kinds: vec![NotificationKind::Alert], ..NotificationFilter::default() };
        let mails = store.notifications_list(&filter, None, 10).unwrap();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].state, NotificationState::Waiting);
        let shown = preview(&shop, &[]);
        assert_eq!(shown[0]["subject"], "a payout is unresolved");
        let text = shown[0]["text"].as_str().unwrap();
        assert!(text.starts_with("p1\n\nRunbook: unresolved[31m\n"), "{text:?}");
    }
}

#[test]
fn a_preview_and_the_outbox_as_people_see_them() {
    let shop = shop(TestDb::sqlite(), &["paid", "digest"]);
    shop.creator("ada");
    shop.statement("st1", "ada", 125_000);
    shop.db
        .execute("UPDATE creators SET \"stageName\" = 'Ada <b>Example</b>' WHERE id = 'cr_ada'");
    shop.payout("p1", "ada", 125_000);
    shop.db
        .execute("UPDATE payouts SET royalty_statement_id = 'st1' WHERE id = 'p1'");
    shop.creator("closed");
    shop.payout("p2", "closed", 500);
    shop.process(&[]).expect_code(1);
    let seen: Vec<Run> = vec![
        shop.env.run(&["notify", "--preview"]),
        shop.env.run(&["notify", "list"]),
        shop.env.run(&["notify", "off", "digest"]),
        shop.env
            .run(&["notify", "list", "--state", "dropped", "-o", "csv"]),
    ];
    let seen: Vec<String> = seen.iter().map(Run::transcript).collect();
    let host = shop.one("SELECT host FROM payout_runs");
    insta::assert_snapshot!(seen.join("\n").replace(&format!("On     {host}\n"), "On     HOST\n"), @r#"
    $ payouts notify --preview
    Mail: digest:c000000000000000000000001
    To: ops@platform.example
    Subject: payouts process: 1 payout needs a person

    `payouts process` ended at 2026-11-02 09:30 UTC with exit code 1: ran to
    the end, but a person should look: payouts failed, findings exist, rows
    refused.

      1 paid, 1,250.00 USD; 0 found paid, 1 failed, 0 given back, 0 unresolved

    1 payout, 5.00 USD: resource_missing
    The creator's Stripe account does not exist for this platform and mode:
    closed, disconnected, or of the other mode. Correct the creator's account,
    then have it retried.
      p2  5.00 USD  closed

    `payouts show ID` says of each payout what happens next.

      Run    c000000000000000000000001
      Begun  2026-11-02 09:30 UTC
      On     HOST
      By     tester

    ────────────────────────────────────────

    Mail: paid:p1
    To: "Ada <b>Example</b>" <ada@example.org>
    Subject: 1,250.00 USD is on its way to you

    Hello Ada <b>Example</b>,

    we sent 1,250.00 USD to your Stripe account ••••_ada on 2 November 2026.

    When it arrives: Stripe pays it out to your bank by the schedule of your
    account, usually within a few working days. The dashboard of your Stripe
    account says when.

    What you have to do: nothing. If something looks wrong, get in touch with
    us and name the payout.

      Payout     p1
      Statement  st1, 1 November 2026 to 1 November 2026
      Transfer   tr_000000000000000000001

    This was a test: no real money was moved.

    The Platform
    --- stderr
    --- exit 0
    $ payouts notify list
    Mail                              Since             State    To  Tries  Why
    paid:p1                           2026-11-02 09:30  waiting          0
    digest:c000000000000000000000001  2026-11-02 09:30  waiting          0
    --- stderr
    switched on: paid, digest
    --- exit 0
    $ payouts notify off digest
    Mail    For        State  Since
    paid    everybody  on     2026-11-02T09:30:00.000Z
    failed  everybody  off
    digest  everybody  off    2026-11-02T09:30:00.000Z
    alert   everybody  off
    --- stderr
    dropped 1 mail that waited
    --- exit 0
    $ payouts notify list --state dropped -o csv
    id,kind,about,state,recipient,tries,reason,created_at,due_at,settled_at
    digest:c000000000000000000000001,digest,c000000000000000000000001,dropped,,0,`digest` was switched off,2026-11-02T09:30:00.000Z,2026-11-02T09:30:00.000Z,2026-11-02T09:30:00.000Z
    --- stderr
    switched on: paid
    --- exit 0
    "#);

    let page = shop.env.path("mail.html");
    shop.env
        .run(&["notify", "--preview", "--html", "mail.html"])
        .expect_code(0);
    let written = fs::read_to_string(page).unwrap();
    assert!(
        written.contains("Ada &lt;b&gt;Example&lt;&#x2f;b&gt;"),
        "{written}"
    );
    shop.env
        .run(&["notify", "--preview", "--html", "mail.html"])
        .expect_code(4);
}

#[test]
fn every_kind_has_a_sample() {
    let shop = shop(TestDb::sqlite(), &[]);
    for kind in NotificationKind::ALL {
        let mails = preview(&shop, &["--kind", kind.as_str()]);
        assert_eq!(mails.len(), 1);
        assert!(mails[0]["text"].as_str().unwrap().len() > 40, "{mails:#?}");
    }
    let run = shop
        .env
        .run(&["notify", "--preview", "nothing"])
        .expect_code(1);
    assert!(run.stderr.contains("there is no mail nothing"), "{run}");
}

#[test]
fn templates_of_a_folder_hold_and_what_is_wrong_with_them_is_named() {
    let mut shop = shop(TestDb::sqlite(), &[]);
    fs::create_dir(shop.env.path("mails")).unwrap();
    shop.env.set("PAYOUTS_MAIL_TEMPLATES", "mails");
    shop.env.write("mails/README.md", "not a template");
    shop.env.write(
        "mails/paid.txt",
        "Subject: {{ amount }} for {{ creator }}\n\nEnjoy it.\n\n{{ sender }}\n",
    );
    let mails = preview(&shop, &["--kind", "paid"]);
    assert_eq!(mails[0]["subject"], "1,250.00 USD for Ada Example");
    assert_eq!(mails[0]["text"], "Enjoy it.\n\nThe Platform\n");
    let mut wrong = Vec::new();
    for (file, text) in [
        ("paid.txt", "Subject: {{ amount }}\n\nDear {{ nmae }},\n"),
        ("paid.txt", "Subject: {{ amount\n"),
        ("paid.txt", "Enjoy it.\n"),
        ("paid.txt", "Subject: all\n\n{{ debug() }}\n"),
        ("piad.html", "<p>x</p>"),
    ] {
        shop.env.write(&format!("mails/{file}"), text);
        let run = shop.env.run(&["notify", "--preview"]).expect_code(3);
        wrong.push(run.stderr);
    }
    // Nobody waits for what never comes.
    fs::remove_file(shop.env.path("mails/piad.html")).unwrap();
    let pipe = shop.env.path("mails/paid.html");
    let made = std::process::Command::new("mkfifo").arg(pipe).status();
    assert!(made.unwrap().success());
    let run = shop.env.run(&["notify", "--preview"]).expect_code(3);
    wrong.push(run.stderr);
    insta::assert_snapshot!(wrong.join("\n"), @r"
    error: a template of mails cannot be used: mails: paid.txt, line 3: there is no `nmae` here
    hint: what a template may name is in docs/production.md, under Mail

    error: a template of mails cannot be used: mails: paid.txt, line 1: syntax error: unexpected end of input, expected end of variable block
    hint: what a template may name is in docs/production.md, under Mail

    error: a template of mails cannot be used: mails: paid.txt, line 1: the first line of a plain text is `Subject: …`
    hint: what a template may name is in docs/production.md, under Mail

    error: a template of mails cannot be used: mails: paid.txt, line 3: unknown function: debug is unknown
    hint: what a template may name is in docs/production.md, under Mail

    error: mails/piad.html is no template of a mail
    hint: they are called paid.txt, paid.html, failed.txt, failed.html, digest.txt, digest.html, alert.txt, alert.html, frame.html

    error: mails/paid.html (PAYOUTS_MAIL_TEMPLATES) is not a file
    ");
}

#[test]
fn what_is_missing_or_wrong_is_said_before_anything_is_sent() {
    let mut shop = shop(TestDb::sqlite(), &["paid"]);
    let mut said = Vec::new();
    let mut tell = |shop: &Shop| said.push(shop.env.run(&["notify"]).expect_code(3).stderr);
    shop.env.unset("PAYOUTS_MAIL_FROM");
    tell(&shop);
    shop.env.set("PAYOUTS_MAIL_FROM", "pay@");
    tell(&shop);
    shop.env.set("PAYOUTS_MAIL_FROM", "pay@platform.example");
    tell(&shop);
    shop.env
        .set("SMTP_URL", "smtp://user:s3cret@mail.example?tls=none");
    tell(&shop);
    shop.env.set("SMTP_URL_FILE", "there");
    tell(&shop);
    shop.env.unset("SMTP_URL_FILE");
    shop.env.set("SMTP_URL", "smtps://user:s3cret@mail.example");
    shop.env
        .set("PAYOUTS_MAIL_TO", "ops@platform.example, nobody");
    tell(&shop);
    let said = said.join("\n");
    assert!(!said.contains("s3cret"));
    insta::assert_snapshot!(said, @r#"
    error: nobody said from whom mails come
    hint: set PAYOUTS_MAIL_FROM, such as "The Platform <payments@example.com>"

    error: PAYOUTS_MAIL_FROM is no mail address: pay@
      1: write NAME <ADDRESS>, or the address alone

    error: there is no mail server
    hint: set SMTP_URL or SMTP_URL_FILE, such as smtps://USER:…@mail.example.com

    error: SMTP_URL names no mail server that can be used: ?tls=none is for this machine only: a mail and its password go to others over TLS
    hint: its value is not shown, as it may hold a password

    error: both SMTP_URL and SMTP_URL_FILE are set; use one

    error: PAYOUTS_MAIL_TO is no mail address: nobody
      1: write NAME <ADDRESS>, or the address alone
    "#);
    shop.env.set("PAYOUTS_MAIL_TO", "ops@platform.example");
    // Nothing is due: no server is asked.
    shop.env.run(&["notify"]).expect_code(0);
}
