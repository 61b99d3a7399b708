//! The controls, the state file, starting and stopping.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use payouts::sandbox::{
    Fault, FaultPlan, FaultRule, Options, PastTransfer, Sandbox, SandboxClock, SandboxHandle,
    Webhook,
};
use serde_json::{Value, json};

use crate::sandbox_client::{
    PATIENCE, START_MS, get, ids, made, options, post, sandbox, start, transfer,
};

#[test]
fn the_clock_moves_forward_only() {
    let sandbox = sandbox();
    assert_eq!(
        get(&sandbox, "/_sandbox/clock").ok(),
        json!({"now": "2026-10-01T00:00:00.000Z"})
    );
    assert_eq!(
        post(&sandbox, "/_sandbox/clock", r#"{"advance_seconds": 90}"#).ok(),
        json!({"now": "2026-10-01T00:01:30.000Z"})
    );
    assert_eq!(
        post(
            &sandbox,
            "/_sandbox/clock",
            r#"{"set": "2026-10-01T02:02:00+02:00"}"#
        )
        .ok(),
        json!({"now": "2026-10-01T00:02:00.000Z"})
    );
    for body in [
        r#"{"set": "2026-10-01T00:01:59Z"}"#,
        r#"{"set": "tomorrow"}"#,
        r#"{"advance_seconds": -1}"#,
        r#"{"advance_seconds": 18446744073709551615}"#,
        r#"{"advance_seconds": 1, "set": "2027-01-01T00:00:00Z"}"#,
        r#"{"advance": 1}"#,
        "{}",
        "",
    ] {
        let refused = post(&sandbox, "/_sandbox/clock", body).send();
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.json()["error"].is_string(), "{body}");
    }
    assert_eq!(sandbox.now_ms(), START_MS + 120_000);
}

#[test]
fn a_running_clock_keeps_its_lead() {
    let sandbox = start(Options {
        clock: SandboxClock::System,
        ..options()
    });
    let before = sandbox.now_ms();
    sandbox.advance(86_400).unwrap();
    let after = sandbox.now_ms();
    assert!(after >= before + 86_400_000, "{before} {after}");
    assert!(after < before + 86_400_000 + 20_000, "{before} {after}");
}

#[test]
fn the_ledger_tells_who_was_paid_twice() {
    let sandbox = sandbox();
    transfer(&sandbox, "&transfer_group=once&metadata[payout_id]=once")
        .key("k1")
        .ok();
    transfer(&sandbox, "&transfer_group=once&metadata[payout_id]=once")
        .key("k1")
        .ok();
    transfer(&sandbox, "&transfer_group=twice").key("k2").ok();
    transfer(&sandbox, "&transfer_group=twice").key("k3").ok();
    transfer(&sandbox, "&transfer_group=again").ok();
    let second = transfer(&sandbox, "&transfer_group=again").ok();
    post(
        &sandbox,
        &format!("/v1/transfers/{}/reversals", second["id"].as_str().unwrap()),
        "",
    )
    .ok();
    transfer(&sandbox, "").api_key("sk_test_other").ok();
    transfer(&sandbox, "&nonsense=1").refused(400);

    let ledger = get(&sandbox, "/_sandbox/ledger").ok();
    assert_eq!(ledger["now"], "2026-10-01T00:00:00.000Z");
    let platform = &ledger["accounts"][0];
    assert_eq!(
        (
            &platform["account"],
            &platform["livemode"],
            &platform["keys_held"]
        ),
        (&json!("acct_sandboxplatform"), &json!(false), &json!(3))
    );
    assert_eq!(platform["paid_more_than_once"], json!(["twice"]));
    assert_eq!(
        platform["totals"],
        json!([{"currency": "usd", "transfers": 5, "amount": 500, "amount_reversed": 100}])
    );
    assert_eq!(
        platform["balances"],
        json!([{"currency": "usd", "source_type": "card", "available": 1_000_000_000 - 400}])
    );
    let first = &platform["transfers"][0];
    assert_eq!(
        (
            &first["idempotency_key"],
            &first["replays"],
            &first["transfer_group"]
        ),
        (&json!("k1"), &json!(1), &json!("once"))
    );
    assert_eq!(
        (&first["metadata"], &first["amount"], &first["destination"]),
        (&json!({"payout_id": "once"}), &json!(100), &json!("acct_1"))
    );
    assert_eq!(ledger["accounts"][1]["totals"][0]["transfers"], 1);
    assert_eq!(
        ledger["requests"]["transfers.create"],
        json!({"200": 7, "400": 1})
    );

    let sums = get(&sandbox, "/_sandbox/ledger?transfers=false").ok();
    assert_eq!(sums["accounts"][0]["transfers"], Value::Null);
    assert_eq!(sums["accounts"][0]["totals"], platform["totals"]);
}

#[test]
fn requests_are_logged_with_their_ends() {
    let sandbox = sandbox();
    sandbox
        .faults_add(FaultPlan::of([FaultRule::on(
            "transfers.create",
            Fault::ResetAfter,
        )
        .times(1)]))
        .unwrap();
    assert!(transfer(&sandbox, "").key("k").try_send().is_err());
    let replay = transfer(&sandbox, "").key("k").send();
    get(&sandbox, "/v1/nothing").refused(404);
    let log = get(&sandbox, "/_sandbox/requests").ok();
    let told: Vec<(&Value, &Value, &Value)> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (&line["endpoint"], &line["status"], &line["fault"]))
        .collect();
    let (create, unknown) = (json!("transfers.create"), json!("unknown"));
    assert_eq!(
        told,
        [
            (&create, &json!(0), &json!("reset_after")),
            (&create, &json!(200), &Value::Null),
            (&unknown, &json!(404), &Value::Null)
        ]
    );
    assert_eq!(
        (
            &log[1]["id"],
            &log[1]["replayed"],
            &log[1]["idempotency_key"]
        ),
        (
            &json!(replay.header("request-id")),
            &json!(true),
            &json!("k")
        )
    );
}

#[test]
fn controls_over_http_do_what_the_methods_do() {
    let sandbox = sandbox();
    assert_eq!(
        post(
            &sandbox,
            "/_sandbox/balance",
            r#"{"currency":"eur","amount":500}"#
        )
        .ok(),
        json!({"available": 500})
    );
    assert_eq!(
        post(
            &sandbox,
            "/_sandbox/balance",
            r#"{"currency":"usd","set":5}"#
        )
        .ok(),
        json!({"available": 5})
    );
    let other = r#"{"currency":"usd","set":7,"account":"acct_sandboxother","source_type":"fpx"}"#;
    assert_eq!(
        post(&sandbox, "/_sandbox/balance", other).ok(),
        json!({"available": 7})
    );
    for body in [
        r#"{"currency":"usd"}"#,
        r#"{"currency":"xyz","amount":1}"#,
        r#"{"currency":"usd","amount":1,"account":"acct_1"}"#,
        r#"{"currency":"usd","add":1}"#,
    ] {
        assert_eq!(
            post(&sandbox, "/_sandbox/balance", body).send().status,
            400,
            "{body}"
        );
    }
    post(
        &sandbox,
        "/_sandbox/accounts",
        r#"{"id":"acct_9","transfers":"pending","payouts_enabled":false}"#,
    )
    .ok();
    assert_eq!(
        get(&sandbox, "/v1/accounts/acct_9").ok()["capabilities"]["transfers"],
        "pending"
    );

    let faults = post(
        &sandbox,
        "/_sandbox/faults",
        r#"{"rules":[{"on":"transfers.create","times":1,"fault":"hang_after"}]}"#,
    )
    .ok();
    assert_eq!(
        faults["rules"][0],
        json!({"on": "transfers.create", "times": 1, "fault": "hang_after", "matched": 0, "fired": 0})
    );
    let held = post(
        &sandbox,
        "/v1/transfers",
        "amount=5&currency=usd&destination=acct_1",
    )
    .open()
    .unwrap();
    assert!(sandbox.wait_hanging(1, PATIENCE));
    let faults = get(&sandbox, "/_sandbox/faults").ok();
    assert_eq!(
        (&faults["rules"][0]["fired"], &faults["hanging"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        post(&sandbox, "/_sandbox/release", "").ok(),
        json!({"released": 1})
    );
    assert_eq!(held.answer().unwrap().status, 200);
    let cleared = get(&sandbox, "/_sandbox/faults").method("DELETE").ok();
    assert_eq!(cleared["rules"], json!([]));

    assert!(
        get(&sandbox, "/_sandbox")
            .send()
            .body
            .contains("/_sandbox/ledger")
    );
    assert_eq!(get(&sandbox, "/_sandbox/nothing").send().status, 404);
}

#[test]
fn a_reset_forgets_everything_and_ends_what_is_under_way() {
    let sandbox = sandbox();
    transfer(&sandbox, "").key("k").ok();
    sandbox.advance(60).unwrap();
    sandbox
        .faults_add(FaultPlan::of([FaultRule::on(
            "transfers.create",
            Fault::ExecuteLate,
        )
        .times(1)]))
        .unwrap();
    let held = transfer(&sandbox, "").key("held").open().unwrap();
    assert!(sandbox.wait_hanging(1, PATIENCE));

    post(&sandbox, "/_sandbox/reset", "").ok();

    assert_eq!(held.answer().unwrap().status, 500);
    assert!(sandbox.requests().is_empty());
    assert_eq!(
        (made(&sandbox), sandbox.now_ms(), sandbox.in_flight()),
        (0, START_MS, 0)
    );
    assert!(sandbox.faults().rules.is_empty());
    assert_eq!(
        transfer(&sandbox, "")
            .key("k")
            .send()
            .header("idempotent-replayed"),
        None
    );
    assert_eq!(
        transfer(&sandbox, "")
            .key("held")
            .send()
            .header("idempotent-replayed"),
        None
    );
}

#[test]
fn the_state_file_brings_everything_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let with_file = || Options {
        state_file: Some(file.clone()),
        ..options()
    };

    let sandbox = start(with_file());
    let first = transfer(
        &sandbox,
        "&transfer_group=g&description=a%22b&metadata[a]=1",
    )
    .key("k")
    .send();
    let id = first.json()["id"].as_str().unwrap().to_owned();
    post(&sandbox, &format!("/v1/transfers/{id}"), "metadata[a]=2").ok();
    sandbox.advance(60).unwrap();
    post(
        &sandbox,
        &format!("/v1/transfers/{id}/reversals"),
        "amount=40",
    )
    .key("r")
    .ok();
    transfer(&sandbox, "&nonsense=1").refused(400);
    post(
        &sandbox,
        "/v1/transfers",
        "amount=1&currency=usd&destination=acct_nocap",
    )
    .key("no")
    .refused(400);
    let paths = [
        "/v1/transfers",
        "/v1/transfers?transfer_group=g",
        "/v1/transfers?destination=acct_1",
        "/v1/events",
        "/v1/events?type=transfer.reversed",
        "/v1/balance",
        "/v1/balance_transactions?type=transfer_refund",
        "/v1/accounts",
    ];
    let before: Vec<Value> = paths.iter().map(|path| get(&sandbox, path).ok()).collect();
    sandbox.stop().unwrap();

    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    // Opening balances and the seed belong to a first start; the file wins.
    let sandbox = start(Options {
        balances: Vec::new(),
        seed: Some(99),
        ..with_file()
    });
    assert_eq!(sandbox.now_ms(), START_MS + 60_000);
    for (path, before) in paths.iter().zip(&before) {
        assert_eq!(&get(&sandbox, path).ok(), before, "{path}");
    }
    let replay = transfer(
        &sandbox,
        "&transfer_group=g&description=a%22b&metadata[a]=1",
    )
    .key("k")
    .send();
    assert_eq!(
        (replay.header("idempotent-replayed"), &replay.body),
        (Some("true"), &first.body)
    );
    assert_eq!(
        replay.header("original-request"),
        first.header("request-id")
    );
    let refused = post(
        &sandbox,
        "/v1/transfers",
        "amount=1&currency=usd&destination=acct_nocap",
    )
    .key("no")
    .send();
    assert_eq!(
        (refused.status, refused.header("idempotent-replayed")),
        (400, Some("true"))
    );
    let next = transfer(&sandbox, "").ok();
    assert_ne!(next["id"].as_str().unwrap(), id);
    sandbox.advance(24 * 3600).unwrap();
    assert_eq!(
        transfer(&sandbox, "")
            .key("k")
            .send()
            .header("idempotent-replayed"),
        None
    );
}

#[test]
fn changes_are_saved_while_the_sandbox_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let sandbox = start(Options {
        state_file: Some(file.clone()),
        ..options()
    });
    let empty = fs::read(&file).unwrap();
    let id = transfer(&sandbox, "").ok()["id"].clone();
    let until = Instant::now() + PATIENCE;
    while fs::read(&file).unwrap() == empty {
        assert!(Instant::now() < until, "never saved");
        std::thread::yield_now();
    }
    let copy = folder.path().join("copy.json");
    fs::copy(&file, &copy).unwrap();
    let other = start(Options {
        state_file: Some(copy),
        ..options()
    });
    assert_eq!(
        ids(&get(&other, "/v1/transfers").ok()),
        [id.as_str().unwrap()]
    );
}

#[test]
fn a_state_file_that_cannot_be_read_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    for content in [
        "",
        "{}",
        "[1]",
        r#"{"sandbox_state":2,"clock":{"ahead_ms":null,"latest_ms":0},"tag":"a","requests":0,"accounts":{"list":[]},"ledgers":[]}"#,
    ] {
        fs::write(&file, content).unwrap();
        let error = Sandbox::spawn(Options {
            state_file: Some(file.clone()),
            ..options()
        })
        .unwrap_err();
        assert!(error.to_string().contains("state.json"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
}

#[test]
fn wrong_options_are_refused_at_the_start() {
    let fund = payouts::sandbox::OpeningBalance {
        currency: "xyz".to_owned(),
        source_type: payouts::sandbox::SourceType::Card,
        amount: 1,
    };
    let error = Sandbox::spawn(Options {
        balances: vec![fund],
        ..options()
    })
    .unwrap_err();
    assert!(error.to_string().contains("xyz"), "{error}");
    let error = Sandbox::spawn(Options {
        bind: "0.0.0.0:0".parse().unwrap(),
        ..options()
    })
    .unwrap_err();
    assert!(error.to_string().contains("loopback"), "{error}");
    let faults = FaultPlan::of([FaultRule::on("nowhere", Fault::ResetAfter)]);
    assert!(
        Sandbox::spawn(Options {
            faults,
            ..options()
        })
        .is_err()
    );
    let running = sandbox();
    let error = Sandbox::spawn(Options {
        bind: running.address(),
        ..options()
    })
    .unwrap_err();
    assert!(
        error.to_string().contains(&running.address().to_string()),
        "{error}"
    );
}

#[test]
fn stopping_ends_hanging_requests_and_frees_the_port() {
    let sandbox = sandbox();
    let address = sandbox.address();
    sandbox
        .faults_add(FaultPlan::of([
            FaultRule::on("transfers.create", Fault::ExecuteLate).times(1),
            FaultRule::on("transfers.create", Fault::HangAfter),
        ]))
        .unwrap();
    let held: Vec<_> = (0..2)
        .map(|_| transfer(&sandbox, "").open().unwrap())
        .collect();
    assert!(sandbox.wait_hanging(2, PATIENCE));
    sandbox.stop().unwrap();
    for request in held {
        assert!(request.answer().is_err());
    }
    // Another test's connection may have been given the port in this moment.
    let begin = Instant::now();
    while let Err(error) = Sandbox::spawn(Options {
        bind: address,
        ..options()
    }) {
        assert!(begin.elapsed() < PATIENCE, "{error}");
        std::thread::yield_now();
    }
}

#[test]
fn a_sandbox_lends_its_environment() {
    let sandbox = sandbox();
    assert_eq!(
        sandbox.env_lines(),
        [
            "STRIPE_SECRET_KEY=sk_test_sandbox".to_owned(),
            format!("STRIPE_API_BASE={}", sandbox.base_url())
        ]
    );
}

#[test]
fn a_sandbox_runs_inside_an_asynchronous_program() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let sandbox = Sandbox::start(options()).await.unwrap();
        assert_eq!(sandbox.ledger().transfers().count(), 0);
        sandbox.stop().await.unwrap();
    });
}

/// Ten thousand transfers of the past, three a second: enough for several steps of filling.
fn past() -> impl Iterator<Item = PastTransfer> {
    (0..10_000).map(|n| PastTransfer {
        created: START_MS / 1000 - 4000 + n / 3,
        amount: 100 + n,
        currency: "usd".to_owned(),
        destination: format!("acct_{}", n % 10),
        transfer_group: Some(format!("p{n}")),
        metadata: BTreeMap::from([("payout_id".to_owned(), format!("p{n}"))]),
        reversed: if n % 5000 == 0 { 40 } else { 0 },
        unreadable: false,
    })
}

/// What was filled in is listed, filtered, counted and reversed as if it had been requested.
#[test]
fn books_are_filled_with_transfers_of_the_past() {
    let sandbox = sandbox();
    let filled = sandbox.fill(past()).unwrap();
    assert_eq!(filled.made, 10_000);
    let last = filled.last.unwrap();
    let shown = get(&sandbox, &format!("/v1/transfers/{last}")).ok();
    assert_eq!(
        (&shown["amount"], &shown["created"], &shown["metadata"]),
        (
            &json!(10_099),
            &json!(START_MS / 1000 - 4000 + 3333),
            &json!({"payout_id": "p9999"})
        )
    );
    let second = format!("created={}", START_MS / 1000 - 4000 + 100);
    let page = get(&sandbox, &format!("/v1/transfers?limit=2&{second}")).ok();
    assert_eq!(
        (&page["data"][0]["amount"], &page["has_more"]),
        (&json!(402), &json!(true))
    );
    let cursor = ids(&page)[1];
    let page = get(
        &sandbox,
        &format!("/v1/transfers?limit=2&{second}&starting_after={cursor}"),
    )
    .ok();
    assert_eq!(
        (&page["data"][0]["amount"], &page["has_more"]),
        (&json!(400), &json!(false))
    );
    let page = get(&sandbox, "/v1/transfers?transfer_group=p5000").ok();
    assert_eq!(page["data"][0]["amount_reversed"], 40);
    assert_eq!(page["data"][0]["reversals"]["total_count"], 1);
    let refunds = get(&sandbox, "/v1/balance_transactions?type=transfer_refund").ok();
    assert_eq!(ids(&refunds).len(), 2);
    let events = get(&sandbox, "/v1/events?type=transfer.created&limit=1").ok();
    assert_eq!(events["data"][0]["data"]["object"]["id"], last);
    assert_eq!(events["data"][0]["request"]["idempotency_key"], Value::Null);

    let ledger = sandbox.ledger();
    let total = &ledger.accounts[0].totals[0];
    let sum: i64 = past().map(|transfer| transfer.amount).sum();
    assert_eq!((total.transfers, total.amount), (10_000, sum.into()));
    assert_eq!(
        ledger.accounts[0].balances[0].available,
        1_000_000_000 + 80,
        "what was moved was there then, and what was taken back is there now"
    );
    // What is made now goes behind it.
    let new = transfer(&sandbox, "").ok();
    assert_eq!(
        ids(&get(&sandbox, "/v1/transfers?limit=1").ok()),
        [&new["id"]]
    );
    post(&sandbox, &format!("/v1/transfers/{last}/reversals"), "").ok();
}

#[test]
fn the_same_seed_fills_in_the_same_ids() {
    let (one, other) = (sandbox(), sandbox());
    let filled = one.fill(past()).unwrap();
    assert_eq!(other.fill(past()).unwrap(), filled);
    let (first, last) = (filled.first.unwrap(), filled.last.unwrap());
    assert_eq!(first.len(), last.len());
    assert!(first.ends_with("0000000001"), "{first}");
    assert!(last.ends_with("0000010000"), "{last}");
    let elsewhere = start(Options {
        seed: Some(2),
        ..options()
    });
    assert_ne!(elsewhere.fill(past()).unwrap().first.unwrap(), first);
}

#[test]
fn books_are_filled_over_http_and_only_forward() {
    let sandbox = sandbox();
    let now = START_MS / 1000;
    let line = |created: i64, more: &str| {
        format!(r#"{{"created": {created}, "amount": 100, "destination": "acct_1"{more}}}"#)
    };
    let fill = |lines: &[String]| post(&sandbox, "/_sandbox/transfers", &lines.join("\n"));
    let group = r#", "transfer_group": "p1", "metadata": {"payout_id": "p1"}, "reversed": 100"#;
    let filled = fill(&[line(now - 10, ""), line(now - 9, group)]).ok();
    assert_eq!(filled["made"], 2);
    let made = get(
        &sandbox,
        &format!("/v1/transfers/{}", filled["last"].as_str().unwrap()),
    )
    .ok();
    assert_eq!(
        [&made["reversed"], &made["transfer_group"]],
        [&json!(true), &json!("p1")]
    );
    assert_eq!(
        fill(&[]).ok(),
        json!({"made": 0, "first": null, "last": null})
    );

    for (wrong, reason) in [
        (line(now - 10, ""), "before the newest entry of the books"),
        (line(now + 1, ""), "lies in the future"),
        (line(now, r#", "currency": "xyz""#), "Invalid currency: xyz"),
        (line(now, r#", "reversed": 101"#), "reversed 101"),
        (line(now, r#", "reversed": -1"#), "reversed -1"),
        (
            line(now, r#", "reversed": 1"#).replace("acct_1", "acct_spent"),
            "acct_spent has nothing to give back",
        ),
        (line(now, r#", "colour": "red""#), "unknown field `colour`"),
        (
            line(now, "").replace("acct_1", "acct_closed"),
            "No such destination",
        ),
        ("{".to_owned(), "EOF"),
    ] {
        let refused = fill(std::slice::from_ref(&wrong)).send();
        assert_eq!(refused.status, 400, "{wrong}");
        let said = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(
            said.starts_with("transfer 1: ") && said.contains(reason),
            "{wrong}: {said}"
        );
    }
    // All lines are read before the first is made.
    let refused = fill(&[line(now, ""), "{}".to_owned()]).send();
    assert!(refused.body.contains("transfer 2: "), "{}", refused.body);
    assert_eq!(made_with(&sandbox, now - 9), 2);
}

/// How many transfers a sandbox has, the newest of them made in this second.
fn made_with(sandbox: &SandboxHandle, newest: i64) -> usize {
    let page = get(sandbox, "/v1/transfers?limit=100").ok();
    assert_eq!(page["data"][0]["created"], newest);
    ids(&page).len()
}

/// A client that meets an entry it cannot read goes on with the others of the page.
#[test]
fn an_entry_that_cannot_be_read_is_listed_between_others() {
    let sandbox = sandbox();
    let odd = past().take(3).map(|transfer| PastTransfer {
        unreadable: transfer.amount == 101,
        ..transfer
    });
    sandbox.fill(odd).unwrap();
    let page = get(&sandbox, "/v1/transfers").ok();
    let objects: Vec<&Value> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|transfer| &transfer["object"])
        .collect();
    assert_eq!(objects, ["transfer", "transfer_unknown", "transfer"]);
}

/// Of what is long ago the webhook hears nothing; of what follows it does.
#[test]
fn the_webhook_is_not_told_of_the_past() {
    let sandbox = start(Options {
        webhook: Some(Webhook::new("http://127.0.0.1:9/", "whsec_1").unwrap()),
        ..options()
    });
    sandbox.fill(past().take(2)).unwrap();
    let events = get(&sandbox, "/v1/events?delivery_success=true").ok();
    assert_eq!(ids(&events).len(), 3);
    transfer(&sandbox, "").ok();
    let events = get(&sandbox, "/v1/events?delivery_success=false").ok();
    assert_eq!(ids(&events).len(), 1);
}
