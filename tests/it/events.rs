//! `payouts events`: what Stripe says reaches the table, whichever way, in whatever order, however
//! often; what is not Stripe's does not; and nothing that was answered is lost.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use payouts::sandbox::{Fault, Options, Sandbox, SandboxClock, Webhook, signature};
use serde_json::{Value, json};

use crate::common::clients::Library;
use crate::common::db::{TestDb, on_both};
use crate::common::env::{Run, TestEnv};
use crate::common::pooler::Pooler;
use crate::common::shop::Shop;
use crate::process::signal;
use crate::sandbox_client;

const SECRET: &str = "whsec_shop";
/// The moment at which a shop stands, Unix seconds.
const NOW: i64 = 1_793_611_800;
const HOUR: Duration = Duration::from_secs(3601);
/// A run that died is known to be dead by then on either database.
const LEASE: Duration = Duration::from_secs(121);
/// What has not happened by then does not happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A `payouts events listen` in a process of its own.
struct Listener {
    child: Child,
    address: SocketAddr,
    path: String,
}

impl Listener {
    fn start(env: &TestEnv) -> Self {
        Self::start_with(env, "127.0.0.1:0", &[])
    }

    fn start_with(env: &TestEnv, address: &str, more: &[&str]) -> Self {
        let mut args = vec!["events", "listen", "--listen", address];
        args.extend(more);
        let mut child = env
            .command(&args)
            .env("STRIPE_WEBHOOK_SECRET", SECRET)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it listens");
        let Some((address, path)) = line
            .trim()
            .strip_prefix("http://")
            .and_then(|at| at.split_once('/'))
        else {
            let mut said = String::new();
            child
                .stderr
                .take()
                .expect("it is piped")
                .read_to_string(&mut said)
                .expect("it is text");
            panic!("it does not listen: {said}");
        };
        Self {
            address: address.parse().expect("an address"),
            path: format!("/{path}"),
            child,
        }
    }

    /// The status that an event is answered with.
    fn deliver(&self, event: &Value) -> u16 {
        self.deliver_at(event, NOW)
    }

    fn deliver_at(&self, event: &Value, now: i64) -> u16 {
        let body = event.to_string();
        self.post(body.as_bytes(), &signature(SECRET, now, body.as_bytes()))
            .0
    }

    fn post(&self, body: &[u8], signature: &str) -> (u16, String) {
        let header = format!(
            "Stripe-Signature: {signature}\r\nContent-Length: {}\r\n",
            body.len()
        );
        self.ask("POST", &self.path, &header, body)
            .expect("it answers")
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")
                .into_bytes();
        request.extend(body);
        // What is refused early is not read to its end.
        let _ = stream.write_all(&request);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok());
        match status {
            Some(status) => Ok((
                status,
                answer
                    .split_once("\r\n\r\n")
                    .unwrap_or_default()
                    .1
                    .trim()
                    .to_owned(),
            )),
            None => Err(read
                .err()
                .unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into())),
        }
    }

    fn health(&self) -> (u16, Value) {
        let (status, body) = self.ask("GET", "/health", "", b"").expect("it answers");
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    /// Ends it as Ctrl-C does: how it ended, and what it said.
    fn interrupt(mut self) -> (Option<i32>, String) {
        signal(&self.child, "INT");
        let mut said = String::new();
        self.child
            .stderr
            .take()
            .expect("it is piped")
            .read_to_string(&mut said)
            .expect("it is text");
        (self.child.wait().expect("it ends").code(), said)
    }

    fn kill(&mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it is gone");
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until(what: &str, so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}

impl Shop {
    fn pull(&self, more: &[&str]) -> Run {
        self.env.run(&[&["events", "pull"], more].concat())
    }

    /// Every event that Stripe has, oldest first.
    fn stripes_events(&self) -> Vec<Value> {
        let list = sandbox_client::get(&self.stripe, "/v1/events?limit=100")
            .api_key("sk_test_shop")
            .ok();
        let mut events = list["data"].as_array().expect("a list").clone();
        events.reverse();
        events
    }

    /// Events in the order of their ids: type, state, tries and payout.
    fn heard(&self) -> Vec<String> {
        let rows = self.db.query_strings(
            "SELECT kind, state, payout_id FROM payout_stripe_events ORDER BY created_at, kind, event_id",
        );
        let words =
            |row: Vec<Option<String>>| row.into_iter().flatten().collect::<Vec<_>>().join(" ");
        rows.into_iter().map(words).collect()
    }

    fn pending_events(&self) -> String {
        self.one("SELECT COUNT(*) FROM payout_stripe_events WHERE state = 'pending'")
    }

    /// What the table says of payouts and of what was taken back, and what is found.
    fn table(&self) -> Vec<Vec<Option<String>>> {
        let mut rows = self
            .db
            .query_strings("SELECT id, status, stripe_transfer_id FROM payouts ORDER BY id");
        rows.extend(self.db.query_strings(
            "SELECT payout_id, CAST(amount_reversed_cents AS TEXT) FROM payout_reversals ORDER BY transfer_id",
        ));
        rows.extend(
            self.db
                .query_strings("SELECT id, kind, found, state FROM payout_findings ORDER BY id"),
        );
        rows.extend(self.db.query_strings(
            "SELECT payout_id, CAST(attempt AS TEXT), outcome, transfer_id FROM payout_attempts ORDER BY payout_id, attempt",
        ));
        rows
    }

    /// Pays `cp0`, and the answer is lost: Stripe has a transfer that the table does not know.
    fn lose_an_answer(&mut self) {
        self.payouts(1);
        self.fault("c0", Fault::Error500After, 1);
        self.process(&[]).expect_code(5);
        assert_eq!(self.status("cp0"), "PROCESSING");
        self.pass(LEASE);
    }
}

fn account_event(id: &str, second: i64, transfers: &str, reason: Option<&str>) -> Value {
    json!({
        "id": id, "object": "event", "type": "account.updated", "created": second, "livemode": false,
        "account": "acct_c0", "api_version": "2025-03-31.basil",
        "data": {"object": {
            "id": "acct_c0", "object": "account", "capabilities": {"transfers": transfers},
            "requirements": {"disabled_reason": reason},
        }},
    })
}

/// A transfer of nobody, as an event.
fn stranger(id: &str) -> Value {
    json!({
        "id": format!("evt_{id}"), "object": "event", "type": "transfer.created", "created": NOW, "livemode": false,
        "data": {"object": {
            "id": format!("tr_{id}"), "object": "transfer", "amount": 100, "amount_reversed": 0, "currency": "usd",
            "created": NOW, "livemode": false, "destination": "acct_1", "metadata": {}, "transfer_group": null,
        }},
    })
}

on_both! {
    // Scenario 22: an event arrives before the id was stored. It is stored, answered, and tried again
    // by the next run.
    fn an_event_that_comes_before_its_id_is_stored_waits_for_it(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(1);
        let mut paying = shop
            .env
            .command(&["process"])
            .env("PAYOUTS_TEST_FAILPOINT", "send.answered=stall")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        wait_until("it pays", || !shop.transfers().is_empty());
        let listener = Listener::start(&shop.env);
        let event = &shop.stripes_events()[0];
        assert_eq!(listener.deliver(event), 200);
        let tried = "SELECT COUNT(*) FROM payout_stripe_events WHERE tries > 0";
        wait_until("it is tried", || shop.one(tried) == "1");
        assert_eq!(shop.heard(), ["transfer.created pending cp0"]);
        assert_eq!(shop.status("cp0"), "PROCESSING");
        let health = listener.health();
        assert_eq!((health.0, &health.1["pending"]), (200, &json!(1)));
        assert_eq!(listener.interrupt().0, Some(0));
        paying.kill().expect("it is killed");
        paying.wait().expect("it is gone");
        shop.pass(LEASE);
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.heard(), ["transfer.created applied cp0"]);
        assert_eq!(shop.status("cp0"), "COMPLETED");
        assert_eq!(shop.transfers().len(), 1);
        shop.assert_paid_exactly_once();
    }

    // Scenario 22: by its metadata, where nothing else leads from the transfer to the payout, and
    // without a `process` that looks for it.
    fn an_event_records_what_a_lost_answer_left_open(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.lose_an_answer();
        let listener = Listener::start(&shop.env);
        assert_eq!(listener.deliver_at(&shop.stripes_events()[0], NOW + 121), 200);
        wait_until("it is recorded", || shop.status("cp0") == "COMPLETED");
        wait_until("it is settled", || shop.pending_events() == "0");
        let (code, said) = listener.interrupt();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("payout cp0 was paid by tr_"), "{said}");
        assert_eq!(shop.heard(), ["transfer.created applied cp0"]);
        shop.assert_paid_exactly_once();
        assert_eq!(shop.found(&[]), (vec![], 0));
        assert_eq!(shop.one("SELECT exit_code FROM payout_runs WHERE command = 'events listen'"), "0");
    }

    // Scenario 30: COMPLETED is terminal, and what was taken back only grows.
    fn a_late_created_event_moves_nothing_back(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        let created = shop.stripes_events();
        shop.reverse(&shop.transfer_of("cp0"), 400);
        shop.pull(&[]).expect_code(0);
        let before = shop.table();
        assert!(before.contains(&vec![Some("cp0".to_owned()), Some("400".to_owned())]), "{before:?}");
        let updated_at = "SELECT CAST(MAX(updated_at) AS TEXT) FROM payouts";
        let written = shop.one(updated_at);
        let listener = Listener::start(&shop.env);
        for (number, mut event) in created.into_iter().enumerate() {
            assert_eq!(listener.deliver(&event), 200);
            // A second event about the same change, as Stripe sometimes sends.
            event["id"] = format!("evt_late{number}").into();
            assert_eq!(listener.deliver(&event), 200);
        }
        wait_until("they are settled", || shop.pending_events() == "0");
        assert_eq!(listener.interrupt().0, Some(0));
        assert_eq!(shop.table(), before);
        assert_eq!(shop.one(updated_at), written);
        shop.assert_paid_exactly_once();
    }

    // Scenarios 10 and 11: what was taken back at Stripe reaches the table, in part or whole, and
    // nothing pays it again.
    fn reversals_are_kept_as_they_come(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(2);
        shop.process(&[]).expect_code(0);
        shop.reverse(&shop.transfer_of("cp0"), 400);
        shop.reverse(&shop.transfer_of("cp1"), 1000);
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.pull(&[]).transcript(), @r"
            $ payouts events pull
            4 events since 2026-10-03 09:30 UTC, 4 new
            4 applied
            --- stderr
            --- exit 0
            ");
        }
        shop.reverse(&shop.transfer_of("cp0"), 100);
        shop.pull(&["--quiet"]).expect_code(0);
        let kept = shop.db.query_strings(
            "SELECT payout_id, CAST(amount_reversed_cents AS TEXT) FROM payout_reversals ORDER BY payout_id",
        );
        assert_eq!(kept, [["cp0", "500"], ["cp1", "1000"]].map(|row| row.map(|text| Some(text.to_owned()))));
        assert_eq!((shop.status("cp0"), shop.status("cp1")), ("COMPLETED".into(), "COMPLETED".into()));
        assert_eq!(shop.found(&[]), (vec![], 0));
        shop.env.run(&["retry", "cp1"]).expect_code(1);
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 2);
    }

    // However a payout's events come, and however often, the table is the same in the end.
    fn the_order_of_events_and_their_number_decide_nothing(db: TestDb) {
        let seed = crate::common::outside_number("PAYOUTS_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
        let mut random = fastrand::Rng::with_seed(seed);
        let mut shop = Shop::open(db);
        shop.lose_an_answer();
        let transfer = shop.transfers()[0].id.clone();
        let path = format!("/v1/transfers/{transfer}");
        sandbox_client::post(&shop.stripe, &path, "description=seen").api_key("sk_test_shop").ok();
        shop.reverse(&transfer, 300);
        shop.reverse(&transfer, 200);
        let events = shop.stripes_events();
        assert_eq!(events.len(), 4);
        let mut session = shop.db.session();
        shop.db.keep(&mut session, "before");
        let mut expected = None;
        for round in 0..6 {
            let mut order: Vec<Value> = events.iter().chain(&events).chain(&events[..2]).cloned().collect();
            random.shuffle(&mut order);
            order.truncate(random.usize(events.len()..=order.len()));
            for event in &events {
                if !order.contains(event) {
                    order.push(event.clone());
                }
            }
            let listener = Listener::start(&shop.env);
            for event in &order {
                assert_eq!(listener.deliver_at(event, NOW + 121), 200);
            }
            wait_until("they are settled", || shop.pending_events() == "0");
            assert_eq!(listener.interrupt().0, Some(0));
            let table = (shop.table(), shop.heard());
            assert_eq!(shop.heard().len(), 4);
            assert_eq!(&table, expected.get_or_insert_with(|| table.clone()), "seed {seed}, round {round}");
            session = shop.db.put_back(session, "before");
        }
        let (table, _) = expected.expect("there were rounds");
        assert_eq!(table[0][1].as_deref(), Some("COMPLETED"));
        assert!(table.contains(&vec![Some("cp0".to_owned()), Some("500".to_owned())]), "{table:?}");
    }

    fn what_stripe_did_not_sign_is_refused_and_leaves_no_trace(db: TestDb) {
        let shop = Shop::open(db);
        let listener = Listener::start(&shop.env);
        let body = stranger("a").to_string();
        let good = signature(SECRET, NOW, body.as_bytes());
        let (_, code) = good.split_once("v1=").expect("it has one");
        let other = signature("whsec_other", NOW, body.as_bytes());
        let changed = body.replace("100", "999");
        let long = format!("{good},v0={}", "0".repeat(3000));
        for (what, status, body, header) in [
            ("another body", 401, changed.as_str(), good.as_str()),
            ("another secret", 401, &body, &other),
            ("another time", 401, &body, &good.replace("t=1", "t=2")),
            ("two times", 401, &body, &format!("t={NOW},{good}")),
            ("no time", 401, &body, &format!("v1={code}")),
            ("only v0", 401, &body, &good.replace("v1=", "v0=")),
            ("in capitals", 401, &body, &format!("t={NOW},v1={}", code.to_uppercase())),
            ("cut off", 401, &body, &good[..good.len() - 2]),
            ("nothing in it", 401, &body, ""),
            ("a long header", 401, &body, &long),
            ("too old", 401, &body, &signature(SECRET, NOW - 301, body.as_bytes())),
            ("from the future", 401, &body, &signature(SECRET, NOW + 301, body.as_bytes())),
            ("no event", 400, "{}", &signature(SECRET, NOW, b"{}")),
        ] {
            assert_eq!(listener.post(body.as_bytes(), header).0, status, "{what}");
        }
        let length = format!("Content-Length: {}\r\n", body.len());
        let twice = format!("{length}Stripe-Signature: {good}\r\nStripe-Signature: {good}\r\n");
        for (what, status, method, path, headers) in [
            ("no header", 401, "POST", "/", length.as_str()),
            ("two headers", 400, "POST", "/", &twice),
            ("another method", 405, "GET", "/", ""),
            ("health is asked for", 405, "POST", "/health", &length),
            ("too large", 413, "POST", "/", "Content-Length: 262145\r\n"),
        ] {
            assert_eq!(listener.ask(method, path, headers, body.as_bytes()).unwrap().0, status, "{what}");
        }
        assert_eq!(shop.heard(), [""; 0]);
        assert_eq!(listener.health(), (200, json!({"status": "ok", "pending": 0, "last_event_at": null})));
        // The very same, untouched, is taken.
        assert_eq!(listener.post(body.as_bytes(), &good).0, 200);
        let (code, said) = listener.interrupt();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("14 refused"), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }

    fn what_the_official_library_signs_is_accepted(db: TestDb) {
        let shop = Shop::in_real_time(db);
        let mut library = Library::python(&shop.stripe);
        let listener = Listener::start(&shop.env);
        let body = stranger("a").to_string() + " \u{2603}\n";
        let body = body.replace("\u{2603}", "");
        let now = shop.stripe.now_ms() / 1000;
        let sign = json!({"payload": body, "secret": SECRET, "timestamp": now});
        let header = library.value("sign", &[], sign);
        let header = header.as_str().expect("a text");
        assert_eq!(listener.post(body.as_bytes(), header), (200, "stored".to_owned()));
        assert_eq!(listener.post(body.trim_end().as_bytes(), header).0, 401);
        assert_eq!(listener.interrupt().0, Some(0));
    }

    // What nobody is paid with waits an hour, in case the table catches up; then a person is told.
    fn a_transfer_of_nobody_is_reported_after_an_hour(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.transfer("c9", 500, "");
        shop.pull(&[]).expect_code(0);
        assert_eq!(shop.heard(), ["transfer.created pending"]);
        shop.process(&[]).expect_code(0);
        assert_eq!((shop.heard(), shop.one("SELECT COUNT(*) FROM payout_findings")), (vec!["transfer.created pending".into()], "0".into()));
        shop.pass(HOUR);
        let run = shop.process(&[]).expect_code(1);
        assert!(run.stderr.contains("unknown_transfer: the transfer pays no payout of this database"), "{run}");
        assert_eq!(shop.heard(), ["transfer.created reported"]);
        assert_eq!(shop.one("SELECT kind FROM payout_findings WHERE state = 'open'"), "unknown_transfer");
        shop.process(&[]).expect_code(0);
    }

    // Other software pays its rows by itself, and marks them a moment later.
    fn what_other_software_pays_is_left_to_it_for_an_hour(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.creator("c0");
        shop.foreign_payout("cpx", "c0", 700);
        shop.db.execute("UPDATE payouts SET status = 'PROCESSING'");
        let transfer = shop.transfer("c0", 700, "&metadata[payoutId]=cpx");
        shop.pull(&[]).expect_code(0);
        assert_eq!(shop.heard(), ["transfer.created pending cpx"]);
        shop.db.execute(&format!("UPDATE payouts SET status = 'COMPLETED', stripe_transfer_id = '{transfer}'"));
        shop.pull(&[]).expect_code(0);
        assert_eq!(shop.heard(), ["transfer.created applied cpx"]);
        shop.db.execute("UPDATE payouts SET status = 'PROCESSING', stripe_transfer_id = NULL");
        shop.db.execute("UPDATE payout_stripe_events SET state = 'pending', settled_at = NULL");
        shop.pass(HOUR);
        shop.pull(&[]).expect_code(1);
        assert_eq!(shop.heard(), ["transfer.created reported cpx"]);
        assert_eq!(shop.found(&[]), (vec!["status_behind cpx".into()], 1));
    }

    // Two transfers of one payout are an alarm at once, whoever made them.
    fn a_second_transfer_of_a_payout_is_an_alarm(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        shop.process(&[]).expect_code(0);
        shop.transfer("c0", 1000, "&metadata[payout_id]=cp0");
        let run = shop.pull(&[]).expect_code(5);
        assert!(run.stderr.contains("two_transfers"), "{run}");
        assert_eq!(shop.heard(), ["transfer.created applied cp0", "transfer.created reported cp0"]);
        // A finding that is gone is settled by the next event about it.
        let second = shop.transfers().into_iter().find(|t| t.transfer_group.is_none()).expect("it was made");
        shop.reverse(&second.id, 1000);
        shop.pull(&[]).expect_code(0);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_findings WHERE state = 'open'"), "0");
    }

    fn thin_events_are_fetched(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.lose_an_answer();
        let transfer = shop.transfers()[0].id.clone();
        let thin = |id: &str, about: Value| json!({
            "id": id, "object": "v2.core.event", "type": "v1.transfer.created", "livemode": false,
            "created": "2026-11-02T09:30:00.123Z", "related_object": about,
        });
        let listener = Listener::start(&shop.env);
        for event in [
            thin("evt_thin", json!({"id": transfer, "type": "transfer", "url": format!("/v1/transfers/{transfer}")})),
            thin("evt_account", json!({"id": "acct_c0", "type": "v2.core.account", "url": "/v2/core/accounts/acct_c0"})),
            thin("evt_meter", json!({"id": "mtr_1", "type": "billing.meter"})),
        ] {
            assert_eq!(listener.deliver_at(&event, NOW + 121), 200);
        }
        wait_until("they are settled", || shop.pending_events() == "0");
        assert_eq!(shop.status("cp0"), "COMPLETED");
        assert_eq!(listener.interrupt().0, Some(0));
        let states = shop.db.query_strings("SELECT event_id, state FROM payout_stripe_events ORDER BY event_id");
        let expected = [["evt_account", "applied"], ["evt_meter", "ignored"], ["evt_thin", "applied"]];
        assert_eq!(states, expected.map(|row| row.map(|text| Some(text.to_owned()))));
        assert_eq!(shop.one("SELECT transfers FROM payout_account_states"), "active");
        shop.assert_paid_exactly_once();
    }

    // Scenario 17: Stripe does not send `transfer.paid` and `transfer.failed` any more. Nothing waits
    // for them, and one that comes says what every event about a transfer says: it exists.
    fn events_of_old_are_understood_and_not_waited_for(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.lose_an_answer();
        let mut event = shop.stripes_events()[0].clone();
        let listener = Listener::start(&shop.env);
        for kind in ["transfer.failed", "transfer.paid"] {
            event["id"] = format!("evt_{kind}").into();
            event["type"] = kind.into();
            assert_eq!(listener.deliver_at(&event, NOW + 121), 200);
        }
        wait_until("they are settled", || shop.pending_events() == "0");
        assert_eq!(listener.interrupt().0, Some(0));
        assert_eq!(shop.heard(), ["transfer.failed applied cp0", "transfer.paid applied cp0"]);
        assert_eq!(shop.status("cp0"), "COMPLETED");
        shop.assert_paid_exactly_once();
    }

    // Taken and answered, so that Stripe does not switch the endpoint off, and never applied.
    fn events_of_another_account_or_mode_are_ignored(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.lose_an_answer();
        let event = shop.stripes_events()[0].clone();
        let with = |id: &str, key: &str, value: Value| {
            let mut event = event.clone();
            event["id"] = id.into();
            event[key] = value;
            event
        };
        let listener = Listener::start(&shop.env);
        for event in [
            with("evt_live", "livemode", true.into()),
            with("evt_other", "account", "acct_other".into()),
            with("evt_type", "type", "balance.available".into()),
        ] {
            assert_eq!(listener.deliver_at(&event, NOW + 121), 200);
        }
        assert_eq!(listener.interrupt().0, Some(0));
        assert_eq!(shop.status("cp0"), "PROCESSING");
        let kept = shop.db.query_strings("SELECT state, outcome, snapshot FROM payout_stripe_events ORDER BY event_id");
        let expected = [
            "it is of live mode; this database pays in test mode",
            "it happened on acct_other; this database pays from acct_sandboxplatform",
            "events of this type mean nothing here",
        ];
        assert_eq!(kept, expected.map(|words| [Some("ignored".to_owned()), Some(words.to_owned()), None]));
    }

    fn accounts_that_change_are_suggested_to_be_held_and_released(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1);
        let listener = Listener::start(&shop.env);
        // The newest counts, whichever comes first; `capability.updated` says the same.
        let newest = account_event("evt_3", NOW - 10, "inactive", Some("requirements.past_due"));
        for event in [
            newest.clone(),
            account_event("evt_2", NOW - 20, "active", None),
            newest,
            json!({
                "id": "evt_1", "object": "event", "type": "capability.updated", "created": NOW - 30,
                "livemode": false, "account": "acct_c0", "data": {"object": {
                    "id": "transfers", "object": "capability", "account": "acct_c0", "status": "pending",
                }},
            }),
        ] {
            assert_eq!(listener.deliver(&event), 200);
        }
        wait_until("they are settled", || shop.pending_events() == "0");
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_holds"), "0");
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.env.run(&["events", "list"]).transcript(), @r"
            $ payouts events list
            Event  Happened          Type                About    State    What became of it
            evt_3  2026-11-02 09:29  account.updated     acct_c0  applied  transfers inactive (requirements.past_due)
            evt_2  2026-11-02 09:29  account.updated     acct_c0  applied  transfers active
            evt_1  2026-11-02 09:29  capability.updated  acct_c0  applied  transfers pending
            --- stderr
            creator cr_c0, acct_c0: transfers inactive (requirements.past_due); suggested: payouts hold --creator cr_c0 --reason 'stripe: transfers inactive (requirements.past_due)'
            --- exit 0
            ");
            insta::assert_snapshot!(shop.env.run(&["creators", "show", "cr_c0"]).transcript(), @r"
            $ payouts creators show cr_c0
            Creator         cr_c0
            Name            c0
            E-mail          c0@example.org
            Stripe account  acct_c0
            Onboarding      pending
            Stripe says     transfers inactive (requirements.past_due), as of 2026-11-02 09:29 UTC
            PENDING         10.00 USD, 1 payout

            Payout  Created              Amount  Status   Transfer
            cp0     2026-11-01 12:00  10.00 USD  PENDING  -
            --- stderr
            creator cr_c0, acct_c0: transfers inactive (requirements.past_due); suggested: payouts hold --creator cr_c0 --reason 'stripe: transfers inactive (requirements.past_due)'
            --- exit 0
            ");
        }
        for args in [&["events", "pull"][..], &["creators", "list"], &["process", "--dry-run"]] {
            let run = shop.env.run(args).expect_code(0);
            assert!(run.stderr.contains("suggested: payouts hold --creator cr_c0"), "{run}");
        }
        shop.env.run(&["hold", "--creator", "cr_c0", "--reason", "stripe: transfers inactive"]).expect_code(0);
        assert!(!shop.env.run(&["events", "list"]).stderr.contains("suggested"));
        assert_eq!(listener.deliver(&account_event("evt_4", NOW, "active", None)), 200);
        wait_until("it is settled", || shop.pending_events() == "0");
        let run = shop.env.run(&["events", "list"]);
        assert!(run.stderr.contains("suggested: payouts release --creator cr_c0"), "{run}");
        // A hold for another reason is nobody's business.
        shop.env.run(&["release", "--creator", "cr_c0"]).expect_code(0);
        shop.env.run(&["hold", "--creator", "cr_c0", "--reason", "audit"]).expect_code(0);
        assert!(!shop.env.run(&["events", "list"]).stderr.contains("suggested"));
        assert_eq!(listener.interrupt().0, Some(0));
    }

    // However many accounts can be paid, those that cannot are not lost among them.
    fn one_account_among_many_is_suggested_to_be_held(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(1001);
        shop.creator("z");
        shop.db.execute(
            "INSERT INTO payout_account_states (stripe_account, livemode, transfers, as_of, event_id, seen_at)
             SELECT \"stripeAccountId\", FALSE, CASE WHEN id = 'cr_z' THEN 'inactive' ELSE 'active' END,
                    '2026-11-02 09:00:00', 'evt_1', '2026-11-02 09:00:00' FROM creators",
        );
        let run = shop.env.run(&["events", "list"]).expect_code(0);
        assert!(run.stderr.contains("suggested: payouts hold --creator cr_z"), "{run}");
    }

    fn a_pull_goes_on_where_the_last_one_stopped(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(120);
        shop.process(&[]).expect_code(0);
        let listed = |run: &Run| {
            let answer: Value = serde_json::from_str(&run.stdout).expect("JSON");
            (answer["listed"].as_u64(), answer["new"].as_u64())
        };
        assert_eq!(listed(&shop.pull(&["-o", "json"]).expect_code(0)), (Some(120), Some(120)));
        assert_eq!(shop.pending_events(), "0");
        // Five minutes are read again: events may be listed late.
        assert_eq!(listed(&shop.pull(&["-o", "json"]).expect_code(0)), (Some(120), Some(0)));
        shop.pass(Duration::from_secs(301));
        shop.pull(&[]).expect_code(0);
        shop.pass(Duration::from_secs(301));
        assert_eq!(listed(&shop.pull(&["-o", "json"]).expect_code(0)), (Some(0), Some(0)));
        // Never past 30 days without saying so.
        shop.pass(Duration::from_secs(31 * 86_400));
        let run = shop.pull(&[]).expect_code(1);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run.transcript(), @r"
            $ payouts events pull
            0 events since 2026-11-03 09:40 UTC, 0 new
            --- stderr
            warning: Stripe lists events for 30 days: those between 2026-11-02 09:40 and 2026-11-03 09:40 UTC may be missing
            hint: `payouts reconcile --from 2026-11-02T09:40:02.000Z` compares that time transfer by transfer
            --- exit 1
            ");
        }
        shop.pull(&[]).expect_code(0);
    }

    // How far it got is remembered only once all of it is stored.
    fn a_pull_that_is_cut_off_is_done_again(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(150);
        shop.process(&[]).expect_code(0);
        for trap in ["event.committed@2=kill", "pull.writing=kill", "event_settle.writing=kill"] {
            shop.env.set("PAYOUTS_TEST_FAILPOINT", trap);
            let killed = shop.env.command(&["events", "pull"]).output().expect("it runs");
            assert_eq!(killed.status.code(), None, "{trap}: {killed:?}");
            let remembered = shop.one("SELECT COUNT(*) FROM payout_event_pulls");
            assert_eq!(remembered, if trap.starts_with("event_settle") { "1" } else { "0" }, "{trap}");
        }
        shop.env.unset("PAYOUTS_TEST_FAILPOINT");
        assert_eq!(shop.pending_events(), "150");
        shop.pull(&[]).expect_code(0);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_stripe_events WHERE state = 'applied'"), "150");
    }

    // At every durable step of the listener: what was answered is there, what was not is sent again.
    fn a_listener_that_dies_at_any_step_loses_nothing(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.lose_an_answer();
        let events = shop.stripes_events();
        let mut session = shop.db.session();
        shop.db.keep(&mut session, "before");
        for trap in [
            "event.writing=kill", "event.committed=kill", "event_settle.writing=kill", "event_settle.committed=kill",
            "read.answered@2=kill", "settle.writing=kill", "settle.committed=kill",
        ] {
            shop.env.set("PAYOUTS_TEST_FAILPOINT", trap);
            let mut listener = Listener::start(&shop.env);
            let body = events[0].to_string();
            let header = signature(SECRET, NOW + 121, body.as_bytes());
            let headers = format!("Stripe-Signature: {header}\r\nContent-Length: {}\r\n", body.len());
            let answered = listener.ask("POST", "/", &headers, body.as_bytes()).is_ok_and(|answer| answer.0 == 200);
            listener.child.wait().expect("it died");
            let stored = shop.one("SELECT COUNT(*) FROM payout_stripe_events") == "1";
            assert!(stored || !answered, "{trap}: it was answered and is lost");
            shop.env.unset("PAYOUTS_TEST_FAILPOINT");
            // The lease of the dead listener does not matter: it holds no payout.
            let listener = Listener::start(&shop.env);
            if !answered {
                assert_eq!(listener.deliver_at(&events[0], NOW + 121), 200);
            }
            wait_until(trap, || shop.pending_events() == "0");
            assert_eq!(listener.interrupt().0, Some(0));
            assert_eq!((shop.status("cp0"), shop.heard().len()), ("COMPLETED".into(), 1), "{trap}");
            shop.assert_paid_exactly_once();
            session = shop.db.put_back(session, "before");
        }
    }

    // Many at once, and SIGKILL in the middle: every event that was answered with 2xx is there.
    fn nothing_that_was_answered_is_lost_by_a_kill(db: TestDb) {
        let shop = Shop::open(db);
        for round in 0..3 {
            let mut listener = Listener::start(&shop.env);
            let answered: BTreeSet<String> = std::thread::scope(|scope| {
                let listener_ref = &listener;
                let sender = |thread: usize| move || {
                    let mut answered = Vec::new();
                    for number in 0.. {
                        let event = stranger(&format!("r{round}t{thread}n{number}"));
                        let body = event.to_string();
                        let header = signature(SECRET, NOW, body.as_bytes());
                        let headers = format!("Stripe-Signature: {header}\r\nContent-Length: {}\r\n", body.len());
                        match listener_ref.ask("POST", "/", &headers, body.as_bytes()) {
                            Ok((200, _)) => answered.push(event["id"].as_str().expect("a text").to_owned()),
                            _ => return answered,
                        }
                    }
                    answered
                };
                let senders: Vec<_> = (0..8).map(|thread| scope.spawn(sender(thread))).collect();
                let enough = format!("SELECT COUNT(*) FROM payout_stripe_events WHERE event_id LIKE 'evt_r{round}%'");
                wait_until("some are stored", || shop.one(&enough).parse::<u64>().is_ok_and(|n| n > 50));
                signal(&listener_ref.child, "KILL");
                senders.into_iter().flat_map(|sender| sender.join().expect("it ends")).collect()
            });
            listener.kill();
            let stored: BTreeSet<String> = shop.db.query_strings("SELECT event_id FROM payout_stripe_events")
                .into_iter().flatten().flatten().collect();
            assert!(answered.len() > 20 && answered.is_subset(&stored), "{} answered", answered.len());
        }
    }

    // Delivered as Stripe delivers, while it is being paid: each event is applied once.
    fn what_the_simulator_delivers_is_heard_while_a_run_pays(db: TestDb) {
        let mut shop = Shop::in_real_time(db);
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port").local_addr().expect("it has one");
        shop.stripe = Sandbox::spawn(Options {
            clock: SandboxClock::System,
            webhook: Some(Webhook::new(&format!("http://{free}/"), SECRET).expect("it is here")),
            ..Options::at_free_port()
        })
        .expect("it starts");
        shop.env.set("STRIPE_API_BASE", &shop.stripe.base_url());
        shop.payouts(30);
        let listener = Listener::start_with(&shop.env, &free.to_string(), &[]);
        shop.process(&[]).expect_code(0);
        wait_until("all are heard", || shop.one("SELECT COUNT(*) FROM payout_stripe_events") == "30");
        assert_eq!(listener.interrupt().0, Some(0));
        // What came before its id was stored waits for the next look.
        shop.pull(&[]).expect_code(0);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payout_stripe_events WHERE state = 'applied'"), "30");
        shop.assert_paid_exactly_once();
    }

    // What a person accepted is not reported again.
    fn an_accepted_finding_stays_accepted(db: TestDb) {
        let mut shop = Shop::open(db);
        let transfer = shop.transfer("c9", 500, "");
        shop.pull(&[]).expect_code(0);
        shop.pass(HOUR);
        shop.pull(&[]).expect_code(1);
        let finding = shop.one("SELECT id FROM payout_findings");
        shop.env.run(&["reconcile", "--accept", &finding, "--reason", "meant"]).expect_code(0);
        let path = format!("/v1/transfers/{transfer}");
        sandbox_client::post(&shop.stripe, &path, "description=seen").api_key("sk_test_shop").ok();
        shop.pull(&[]).expect_code(0);
        shop.pass(HOUR);
        shop.pull(&[]).expect_code(0);
        assert_eq!(shop.pending_events(), "0");
        assert_eq!(shop.one("SELECT state FROM payout_findings"), "accepted");
    }

    // Whoever sends slowly or endlessly holds up nobody.
    fn slow_bodies_and_endless_headers_hold_nobody_up(db: TestDb) {
        let shop = Shop::open(db);
        let listener = Listener::start(&shop.env);
        let open = |text: &str| {
            let mut stream = TcpStream::connect(listener.address).expect("it listens");
            stream.write_all(text.as_bytes()).expect("it reads");
            stream
        };
        let mut held: Vec<TcpStream> = Vec::new();
        for _ in 0..50 {
            held.push(open("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"));
            held.push(open("POST / HTTP/1.1\r\nHost: x\r\nX-Endless: "));
            held.push(open(""));
        }
        let begin = Instant::now();
        for number in 0..20 {
            assert_eq!(listener.deliver(&stranger(&format!("n{number}"))), 200);
        }
        assert!(begin.elapsed() < Duration::from_secs(8), "they waited {:?}", begin.elapsed());
        // A header without an end is cut off, and so is a body that is announced small and is not.
        let mut endless = open("POST / HTTP/1.1\r\nHost: x\r\n");
        endless.set_read_timeout(Some(PATIENCE)).expect("it can be set");
        let mut cut_off = false;
        for _ in 0..200 {
            cut_off |= endless.write_all(format!("X-A: {}\r\n", "a".repeat(1000)).as_bytes()).is_err();
        }
        let mut answer = Vec::new();
        let _ = endless.read_to_end(&mut answer);
        assert!(cut_off || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
        let chunk = format!("{:x}\r\n{}\r\n", 65536, "a".repeat(65536)).repeat(5);
        let answered = listener.ask("POST", "/", "Transfer-Encoding: chunked\r\n", chunk.as_bytes());
        assert!(answered.map_or(true, |answer| answer.0 == 413));
        drop(held);
        assert_eq!(listener.interrupt().0, Some(0));
    }

    // All of them at once, and every payout is paid once.
    fn a_process_two_repairs_and_a_listener_do_not_disturb_each_other(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(40);
        for creator in ["c3", "c7", "c11"] {
            shop.fault(creator, Fault::Error500After, 1);
        }
        shop.process(&["--limit", "20"]).expect_code(5);
        shop.reverse(&shop.transfer_of("cp1"), 250);
        shop.pass(LEASE);
        let listener = Listener::start(&shop.env);
        let start = |args: &[&str]| {
            shop.env.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
        };
        let running = [
            start(&["reconcile", "--fix"]),
            start(&["process"]),
            start(&["reconcile", "--fix"]),
            start(&["events", "pull"]),
        ];
        for event in shop.stripes_events() {
            assert_eq!(listener.deliver_at(&event, NOW + 121), 200);
        }
        for child in running {
            let ended = child.wait_with_output().expect("it ends");
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert!(ended.status.code().is_some_and(|code| code <= 5), "{said}");
            assert!(!said.contains("locked"), "{said}");
        }
        assert_eq!(listener.interrupt().0, Some(0));
        shop.pass(LEASE);
        shop.process(&[]);
        shop.pull(&[]).expect_code(0);
        assert_eq!(shop.pending_events(), "0");
        assert_eq!(shop.found(&["--fix"]).1, 0);
        assert_eq!(shop.one("SELECT COUNT(*) FROM payouts WHERE status = 'COMPLETED'"), "40");
        assert_eq!(shop.one("SELECT CAST(SUM(amount_reversed_cents) AS BIGINT) FROM payout_reversals"), "250");
        shop.assert_paid_exactly_once();
    }
}

#[test]
fn while_the_database_is_away_stripe_is_told_to_send_again() {
    let mut shop = Shop::open(TestDb::server_of_its_own());
    let listener = Listener::start(&shop.env);
    assert_eq!(listener.deliver(&stranger("a")), 200);
    shop.db.server().end();
    assert_eq!(listener.deliver(&stranger("b")), 503);
    assert_eq!(listener.health().0, 503);
    shop.db.server().begin();
    assert_eq!(listener.deliver(&stranger("b")), 200);
    assert_eq!(listener.health().0, 200);
    // Sessions that end are nobody's loss.
    shop.db.server().terminate_sessions();
    assert_eq!(listener.deliver(&stranger("c")), 200);
    assert_eq!(shop.one("SELECT COUNT(*) FROM payout_stripe_events"), "3");
    let (code, said) = listener.interrupt();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn events_are_heard_through_a_pooler() {
    let mut shop = Shop::open(TestDb::postgres());
    let pooler = Pooler::before(&shop.db);
    shop.env.set("DATABASE_URL", &pooler.url("&pgbouncer=true"));
    shop.lose_an_answer();
    shop.reverse(&shop.transfers()[0].id, 300);
    let listener = Listener::start(&shop.env);
    for event in shop.stripes_events() {
        assert_eq!(listener.deliver_at(&event, NOW + 121), 200);
    }
    wait_until("they are settled", || shop.pending_events() == "0");
    assert_eq!(listener.interrupt().0, Some(0));
    shop.pull(&[]).expect_code(0);
    assert_eq!(shop.status("cp0"), "COMPLETED");
    assert_eq!(
        shop.one("SELECT CAST(amount_reversed_cents AS TEXT) FROM payout_reversals"),
        "300"
    );
    assert!(!pooler.log().contains("ERROR"), "{}", pooler.log());
    shop.assert_paid_exactly_once();
}

#[test]
fn a_listener_ends_at_once_at_the_second_signal() {
    let shop = Shop::open(TestDb::sqlite());
    let listener = Listener::start(&shop.env);
    let mut slow = TcpStream::connect(listener.address).expect("it listens");
    slow.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        .expect("it reads");
    // It has read what there is once somebody who came later is answered.
    assert_eq!(listener.health().0, 200);
    signal(&listener.child, "TERM");
    wait_until("it takes no more", || {
        TcpStream::connect(listener.address).is_err()
    });
    assert_eq!(listener.interrupt().0, Some(130));
}

#[test]
fn it_listens_where_it_is_told_and_only_with_a_secret() {
    let mut shop = Shop::open(TestDb::sqlite());
    let listener = Listener::start_with(&shop.env, "127.0.0.1:0", &["--path", "/stripe"]);
    assert_eq!(listener.deliver(&stranger("a")), 200);
    assert_eq!(
        listener
            .ask("POST", "/", "Content-Length: 0\r\n", b"")
            .expect("it answers")
            .0,
        404
    );
    let taken = listener.address.to_string();
    let run = |env: &TestEnv, args: &[&str]| {
        let mut run = env.run(&[&["events", "listen"], args].concat());
        run.stderr = run.stderr.replace(&taken, "127.0.0.1:4242");
        format!("{}--- exit {}", run.stderr, run.code)
    };
    let without = run(&shop.env, &[]);
    insta::assert_snapshot!(without, @r"
    error: there is no secret to check Stripe's signatures with
    hint: set STRIPE_WEBHOOK_SECRET or STRIPE_WEBHOOK_SECRET_FILE to the endpoint's signing secret (whsec_…), which Stripe's dashboard and `stripe listen` show
    --- exit 3
    ");
    insta::assert_snapshot!(run(&shop.env, &["--listen", "0.0.0.0:4242"]), @r"
    error: other machines can reach 0.0.0.0:4242
    hint: --allow-remote says that this is meant; Stripe itself delivers over HTTPS only
    --- exit 2
    ");
    shop.env.set("STRIPE_WEBHOOK_SECRET", "sk_test_1");
    insta::assert_snapshot!(run(&shop.env, &[]), @r"
    error: the secret for Stripe's signatures cannot be used: a signing secret begins with whsec_
    hint: check STRIPE_WEBHOOK_SECRET or STRIPE_WEBHOOK_SECRET_FILE
    --- exit 3
    ");
    shop.env.set("STRIPE_WEBHOOK_SECRET", "whsec_1,whsec_2");
    insta::assert_snapshot!(run(&shop.env, &["--listen", &taken]), @r"
    error: failed to listen at 127.0.0.1:4242
      1: Address already in use (os error 98)
    hint: another listener may be running there; --listen takes another address
    --- exit 3
    ");
    shop.env.set("STRIPE_WEBHOOK_SECRET_FILE", "secret.txt");
    insta::assert_snapshot!(run(&shop.env, &[]), @r"
    error: both STRIPE_WEBHOOK_SECRET and STRIPE_WEBHOOK_SECRET_FILE are set; use one
    --- exit 3
    ");
    shop.env.unset("STRIPE_WEBHOOK_SECRET");
    insta::assert_snapshot!(run(&shop.env, &[]), @r"
    error: the file secret.txt (STRIPE_WEBHOOK_SECRET_FILE) cannot be read: No such file or directory (os error 2)
    --- exit 3
    ");
}
