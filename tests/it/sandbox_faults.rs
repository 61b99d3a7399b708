//! Every fault: what the client sees, what was executed, and what a resend gets.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose answer has another shape has failed"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use payouts::sandbox::{Fault, FaultPlan, FaultRule, SandboxHandle};
use serde_json::json;

use crate::sandbox_client::{Answer, PATIENCE, get, ids, made, post, sandbox, transfer};

/// A sandbox that does `fault` to the first creation of a transfer.
fn with(fault: Fault) -> SandboxHandle {
    with_rule(FaultRule::on("transfers.create", fault).times(1))
}

fn with_rule(rule: FaultRule) -> SandboxHandle {
    let sandbox = sandbox();
    sandbox.faults_add(FaultPlan::of([rule])).unwrap();
    sandbox
}

/// Sends the same request again: whether it was a replay, and how many transfers there are then.
fn resend(sandbox: &SandboxHandle) -> (u16, bool, usize) {
    let answer = transfer(sandbox, "").key("k").send();
    (
        answer.status,
        answer.header("idempotent-replayed").is_some(),
        made(sandbox),
    )
}

#[test]
fn faults_that_answer_without_executing() {
    for (fault, status, code, kind) in [
        (
            Fault::Conflict409,
            409,
            Some("idempotency_key_in_use"),
            "invalid_request_error",
        ),
        (
            Fault::Rate429,
            429,
            Some("rate_limit"),
            "invalid_request_error",
        ),
        (
            Fault::Lock429,
            429,
            Some("lock_timeout"),
            "invalid_request_error",
        ),
        (Fault::Error424, 424, None, "api_error"),
        (Fault::Error500NotStored, 500, None, "api_error"),
    ] {
        let sandbox = with(fault);
        let answer = transfer(&sandbox, "").key("k").send();
        assert_eq!(answer.status, status, "{fault}");
        let error = answer.json()["error"].clone();
        assert_eq!(
            (error["code"].as_str(), error["type"].as_str()),
            (code, Some(kind)),
            "{fault}"
        );
        let reason = if fault == Fault::Rate429 {
            Some("global-rate")
        } else {
            None
        };
        assert_eq!(
            answer.header("stripe-rate-limited-reason"),
            reason,
            "{fault}"
        );
        assert_eq!(made(&sandbox), 0, "{fault}");
        assert_eq!(resend(&sandbox), (200, false, 1), "{fault}");
    }
}

#[test]
fn html_503_comes_before_or_after_the_execution() {
    for (fault, executed) in [(Fault::Html503, 0), (Fault::Html503After, 1)] {
        let sandbox = with(fault);
        let answer = transfer(&sandbox, "").key("k").send();
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (503, Some("text/html"))
        );
        assert!(answer.body.starts_with("<html>"));
        assert_eq!(made(&sandbox), executed, "{fault}");
        assert_eq!(resend(&sandbox), (200, executed == 1, 1), "{fault}");
    }
}

#[test]
fn a_reset_comes_before_or_after_the_execution() {
    for (fault, executed) in [(Fault::ResetBefore, 0), (Fault::ResetAfter, 1)] {
        let sandbox = with(fault);
        let error = transfer(&sandbox, "").key("k").try_send().unwrap_err();
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::ConnectionReset,
            "{fault}: {error}"
        );
        assert_eq!(made(&sandbox), executed, "{fault}");
        assert_eq!(resend(&sandbox), (200, executed == 1, 1), "{fault}");
    }
}

#[test]
fn a_refused_connection_reads_nothing() {
    let sandbox = with_rule(FaultRule::new(Fault::Refuse).nth(2));
    get(&sandbox, "/v1/balance").ok();
    assert!(transfer(&sandbox, "").key("k").try_send().is_err());
    assert_eq!(made(&sandbox), 0);
    assert_eq!(resend(&sandbox), (200, false, 1));
    assert_eq!(sandbox.faults().rules[0].matched, 3);
}

#[test]
fn a_cut_body_announces_more_than_it_sends() {
    let sandbox = with(Fault::CutBody);
    let request = transfer(&sandbox, "").key("k");
    let mut stream = raw(&sandbox, "k");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let announced: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(body.len(), announced / 2);
    assert!(body.starts_with("{\"id\":\"tr_"), "{body}");
    assert_eq!(made(&sandbox), 1);
    assert_eq!(resend(&sandbox), (200, true, 1));
    request.ok();
}

/// The request of [`transfer`] on a connection of its own, left for the test to read.
fn raw(sandbox: &SandboxHandle, key: &str) -> TcpStream {
    let mut stream = TcpStream::connect(sandbox.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let form = "amount=100&currency=usd&destination=acct_1";
    write!(
        stream,
        "POST /v1/transfers HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer sk_test_1\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
    .unwrap();
    stream
}

#[test]
fn a_500_is_stored_when_the_execution_had_begun() {
    for (fault, executed) in [(Fault::Error500Before, 0), (Fault::Error500After, 1)] {
        let sandbox = with(fault);
        assert_eq!(
            transfer(&sandbox, "&transfer_group=g")
                .key("k")
                .send()
                .status,
            500
        );
        assert_eq!(made(&sandbox), executed, "{fault}");
        assert_eq!(
            ids(&get(&sandbox, "/v1/transfers?transfer_group=g").ok()).len(),
            executed,
            "{fault}"
        );
        let again = transfer(&sandbox, "&transfer_group=g").key("k").send();
        assert_eq!(
            (
                again.status,
                again.header("idempotent-replayed"),
                made(&sandbox)
            ),
            (500, Some("true"), executed),
            "{fault}"
        );
    }
}

#[test]
fn faults_of_the_execution_pass_over_a_replay() {
    let sandbox = sandbox();
    transfer(&sandbox, "").key("k").ok();
    let faults = [
        Fault::Error500Before,
        Fault::Error500After,
        Fault::WrongAmount,
        Fault::ExecuteLate,
    ];
    let rules = faults.map(|fault| FaultRule::on("transfers.create", fault));
    sandbox.faults_add(FaultPlan::of(rules)).unwrap();
    assert_eq!(resend(&sandbox), (200, true, 1));
    assert!(sandbox.faults().rules.iter().all(|rule| rule.matched == 0));
}

#[test]
fn a_500_after_does_not_hide_a_refusal() {
    let sandbox = with(Fault::Error500After);
    post(
        &sandbox,
        "/v1/transfers",
        "amount=1&currency=usd&destination=acct_nocap",
    )
    .key("k")
    .refused(400);
}

#[test]
fn a_hang_before_forgets_the_request_when_its_client_leaves() {
    let sandbox = with(Fault::HangBefore);
    let waiting = transfer(&sandbox, "").key("k").open().unwrap();
    assert!(sandbox.wait_hanging(1, PATIENCE));
    drop(waiting);
    wait_for_nobody(&sandbox);
    assert_eq!(sandbox.release(), 0);
    assert_eq!(made(&sandbox), 0);
    assert_eq!(resend(&sandbox), (200, false, 1));
}

#[test]
fn a_hang_goes_on_when_released() {
    for (fault, executed) in [(Fault::HangBefore, 0), (Fault::HangAfter, 1)] {
        let sandbox = with(fault);
        let waiting = transfer(&sandbox, "").key("k").open().unwrap();
        assert!(sandbox.wait_hanging(1, PATIENCE));
        assert_eq!(made(&sandbox), executed, "{fault}");
        assert_eq!(sandbox.release(), 1);
        assert_eq!(waiting.answer().unwrap().status, 200);
        assert_eq!(resend(&sandbox), (200, true, 1), "{fault}");
    }
}

#[test]
fn a_hang_after_has_executed_even_if_its_client_leaves() {
    let sandbox = with(Fault::HangAfter);
    let waiting = transfer(&sandbox, "").key("k").open().unwrap();
    assert!(sandbox.wait_hanging(1, PATIENCE));
    drop(waiting);
    assert_eq!(resend(&sandbox), (200, true, 1));
    wait_for_nobody(&sandbox);
}

#[test]
fn a_late_execution_happens_after_its_client_has_given_up_and_looked() {
    let sandbox = with(Fault::ExecuteLate);
    let waiting = transfer(&sandbox, "").key("k").open().unwrap();
    assert!(sandbox.wait_hanging(1, PATIENCE));
    drop(waiting);
    // An empty look-up, and a key in use: the request is still running.
    assert_eq!(ids(&get(&sandbox, "/v1/transfers").ok()).len(), 0);
    assert_eq!(
        transfer(&sandbox, "").key("k").refused(409)["code"],
        "idempotency_key_in_use"
    );
    assert_eq!(made(&sandbox), 0);

    sandbox.release();
    wait_for_nobody(&sandbox);
    while made(&sandbox) == 0 {
        std::thread::yield_now();
    }
    assert_eq!(resend(&sandbox), (200, true, 1));
}

/// Until the sandbox has noticed that the clients of all held requests are gone, or has let go of
/// them. It cannot be told when: it learns of it from the network.
fn wait_for_nobody(sandbox: &SandboxHandle) {
    let until = std::time::Instant::now() + PATIENCE;
    while sandbox.hanging() > 0 {
        assert!(std::time::Instant::now() < until, "requests still hang");
        std::thread::yield_now();
    }
}

#[test]
fn a_redirect_points_to_a_place_that_notices() {
    let sandbox = with(Fault::Redirect307);
    let answer = transfer(&sandbox, "").key("k").send();
    let location = answer.header("location").unwrap().to_owned();
    assert_eq!(answer.status, 307);
    assert_eq!(
        location,
        format!("{}/_sandbox/redirected", sandbox.base_url())
    );
    assert_eq!(resend(&sandbox), (200, false, 1));

    assert!(
        !sandbox
            .requests()
            .iter()
            .any(|line| line.endpoint == "redirect.followed")
    );
    assert_eq!(
        post(&sandbox, "/_sandbox/redirected", "amount=1")
            .send()
            .status,
        404
    );
    assert!(
        sandbox
            .requests()
            .iter()
            .any(|line| line.endpoint == "redirect.followed")
    );
}

#[test]
fn a_wrong_amount_is_only_in_the_answer() {
    let sandbox = with(Fault::WrongAmount);
    let answer = transfer(&sandbox, "").key("k").ok();
    assert_eq!(answer["amount"], 101);
    assert_eq!(
        get(
            &sandbox,
            &format!("/v1/transfers/{}", answer["id"].as_str().unwrap())
        )
        .ok()["amount"],
        100
    );
    assert_eq!(sandbox.ledger().transfers().next().unwrap().amount, 100);
    assert_eq!(transfer(&sandbox, "").key("k").ok()["amount"], 100);
}

#[test]
fn a_late_listing_hides_the_transfer_from_every_list() {
    let sandbox = with_rule(FaultRule {
        late_seconds: Some(30),
        ..FaultRule::on("transfers.create", Fault::LateListing).nth(1)
    });
    let late = transfer(&sandbox, "&transfer_group=g").ok();
    let late = late["id"].as_str().unwrap();
    let seen = transfer(&sandbox, "&transfer_group=g").ok();
    let seen = seen["id"].as_str().unwrap();
    get(&sandbox, &format!("/v1/transfers/{late}")).ok();
    let lists = [
        "/v1/transfers",
        "/v1/transfers?transfer_group=g",
        "/v1/transfers?destination=acct_1",
    ];
    let others = [
        "/v1/events",
        "/v1/events?type=transfer.created",
        "/v1/balance_transactions",
    ];
    let sizes = |paths: &[&str]| {
        paths
            .iter()
            .map(|path| ids(&get(&sandbox, path).ok()).len())
            .collect::<Vec<_>>()
    };

    sandbox.advance(29).unwrap();
    for path in lists {
        assert_eq!(ids(&get(&sandbox, path).ok()), [seen], "{path}");
    }
    assert_eq!(sizes(&others), [1, 1, 1]);
    sandbox.advance(1).unwrap();
    for path in lists {
        assert_eq!(ids(&get(&sandbox, path).ok()), [seen, late], "{path}");
    }
    assert_eq!(sizes(&others), [2, 2, 2]);
}

#[test]
fn headers_about_retrying_can_be_added_to_any_answer() {
    let sandbox = sandbox();
    let rule = |fault, should_retry| FaultRule {
        should_retry: Some(should_retry),
        ..FaultRule::on("transfers.create", fault).times(1)
    };
    sandbox
        .faults_add(FaultPlan::of([
            FaultRule {
                retry_after_seconds: Some(3),
                ..rule(Fault::Rate429, true)
            },
            rule(Fault::Error500Before, false),
            rule(Fault::None, true),
        ]))
        .unwrap();
    let told = |answer: &Answer| {
        (
            answer.status,
            answer.header("stripe-should-retry").map(str::to_owned),
            answer.header("retry-after").map(str::to_owned),
        )
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        told(&transfer(&sandbox, "").send()),
        (429, some("true"), some("3"))
    );
    assert_eq!(
        told(&transfer(&sandbox, "").send()),
        (500, some("false"), None)
    );
    assert_eq!(
        told(&transfer(&sandbox, "").send()),
        (200, some("true"), None)
    );
    assert_eq!(told(&transfer(&sandbox, "").send()), (200, None, None));
}

#[test]
fn rules_match_by_all_that_they_name() {
    let sandbox = sandbox();
    let base = || FaultRule::on("transfers.create", Fault::Error424);
    sandbox
        .faults_add(FaultPlan::of([
            FaultRule {
                destination: Some("acct_2".to_owned()),
                ..base()
            },
            FaultRule {
                transfer_group: Some("g".to_owned()),
                ..base()
            },
            FaultRule {
                key_prefix: Some("payout_7_".to_owned()),
                ..base()
            },
            FaultRule {
                on: Some("transfers.list".to_owned()),
                transfer_group: Some("g".to_owned()),
                ..base()
            },
        ]))
        .unwrap();
    transfer(&sandbox, "").ok();
    transfer(&sandbox, "&transfer_group=h")
        .key("payout_77_1")
        .ok();
    get(&sandbox, "/v1/transfers").ok();
    post(
        &sandbox,
        "/v1/transfers",
        "amount=1&currency=usd&destination=acct_2",
    )
    .refused(424);
    transfer(&sandbox, "&transfer_group=g").refused(424);
    transfer(&sandbox, "").key("payout_7_1").refused(424);
    get(&sandbox, "/v1/transfers?transfer_group=g").refused(424);
    assert_eq!(
        sandbox
            .faults()
            .rules
            .iter()
            .map(|rule| rule.fired)
            .collect::<Vec<_>>(),
        [1, 1, 1, 1]
    );

    sandbox.faults_clear();
    transfer(&sandbox, "&transfer_group=g").ok();
}

#[test]
fn rules_count_their_requests() {
    let sandbox = sandbox();
    let rule = |fault| FaultRule::on("transfers.create", fault);
    sandbox
        .faults_add(FaultPlan::of([
            rule(Fault::Error424).nth(3),
            rule(Fault::Html503).times(1),
            rule(Fault::Conflict409).times(1),
        ]))
        .unwrap();
    let statuses: Vec<u16> = (0..5)
        .map(|_| transfer(&sandbox, "").send().status)
        .collect();
    assert_eq!(statuses, [503, 409, 424, 200, 200]);
    let told: Vec<(u64, u64)> = sandbox
        .faults()
        .rules
        .iter()
        .map(|rule| (rule.matched, rule.fired))
        .collect();
    assert_eq!(told, [(5, 1), (5, 1), (5, 1)]);
}

#[test]
fn plans_are_read_exactly() {
    let good = br#"{"rules":[{"on":"transfers.create","nth":2,"fault":"error_500_after"}],"seed":7,"rates_per_mille":{"rate_429":10}}"#;
    let plan = FaultPlan::from_json(good).unwrap();
    assert_eq!(
        (plan.rules[0].fault, plan.rules[0].nth, plan.seed),
        (Fault::Error500After, Some(2), Some(7))
    );
    for (json, part) in [
        (r#"{"rulez":[]}"#, "unknown field `rulez`"),
        (
            r#"{"rules":[{"fault":"reset_after","kind":"x"}]}"#,
            "unknown field `kind`",
        ),
        (
            r#"{"rules":[{"fault":"explode"}]}"#,
            "unknown variant `explode`",
        ),
        (
            r#"{"rules":[{"on":"transfers.pay","fault":"reset_after"}]}"#,
            "rule 1: \"on\": \"transfers.pay\" is no endpoint",
        ),
        (
            r#"{"rules":[{"fault":"reset_after","nth":0}]}"#,
            "counts from 1",
        ),
        (
            r#"{"rules":[{"fault":"reset_after","nth":1,"times":1}]}"#,
            "exclude each other",
        ),
        (
            r#"{"rules":[{"fault":"refuse","on":"transfers.create"}]}"#,
            "counts connections",
        ),
        (
            r#"{"rules":[{"on":"transfers.list","fault":"wrong_amount"}]}"#,
            "wrong_amount never happens to transfers.list",
        ),
        (
            r#"{"rules":[{"fault":"reset_after","late_seconds":1}]}"#,
            "belongs to the fault late_listing",
        ),
        (
            r#"{"rates_per_mille":{"rate_429":600,"lock_429":401}}"#,
            "add up to 1001",
        ),
    ] {
        let error = FaultPlan::from_json(json.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{json}: {error}");
    }
    let sandbox = sandbox();
    let refused = post(
        &sandbox,
        "/_sandbox/faults",
        r#"{"rules":[{"fault":"refuse","on":"transfers.create"}]}"#,
    )
    .send();
    assert_eq!(refused.status, 400);
    assert!(
        refused.body.contains("counts connections"),
        "{}",
        refused.body
    );
}

#[test]
fn draws_repeat_themselves_whatever_overtakes_whatever() {
    let schedule = |seed, order: &[usize]| {
        let sandbox = sandbox();
        let plan = FaultPlan {
            seed: Some(seed),
            rates_per_mille: [(Fault::Error424, 300), (Fault::Html503, 200)].into(),
            ..FaultPlan::default()
        };
        sandbox.faults_add(plan).unwrap();
        let mut statuses = [(0, 0); 30];
        for &n in order {
            let status = || transfer(&sandbox, "").key(&format!("k{n}")).send().status;
            statuses[n] = (status(), status());
        }
        (statuses, sandbox.faults().drawn)
    };
    let forward: Vec<usize> = (0..30).collect();
    let backward: Vec<usize> = (0..30).rev().collect();
    let first = schedule(7, &forward);
    assert_eq!(first, schedule(7, &backward));
    assert_ne!(first.0, schedule(8, &forward).0);
    // The second request with a key is another draw than the first.
    assert!(first.0.iter().any(|(one, other)| one != other));
    // 60 draws at one half: far from none and far from all.
    let drawn: u64 = first.1.values().sum();
    assert!((15..=45).contains(&drawn), "{drawn}");
}

#[test]
fn a_broken_connection_does_not_break_the_next_request_on_another() {
    let sandbox = with(Fault::ResetAfter);
    // Two requests on one connection: the first is answered, the connection stays usable.
    let mut stream = TcpStream::connect(sandbox.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..2 {
        write!(
            stream,
            "GET /v1/account HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer sk_test_1\r\n\r\n"
        )
        .unwrap();
        let mut reader = BufReader::new(&stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, "HTTP/1.1 200 OK\r\n");
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
    }
    assert!(transfer(&sandbox, "").try_send().is_err());
    assert_eq!(
        transfer(&sandbox, "").send().json()["object"],
        json!("transfer")
    );
}
