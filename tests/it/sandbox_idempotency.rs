//! Idempotency, rule by rule: what is stored, what is replayed, what is refused, and when a key is
//! forgotten.

use payouts::sandbox::{Fault, FaultPlan, FaultRule, OpeningBalance, Options, Pace, SourceType};

use crate::sandbox_client::{PATIENCE, get, made, options, post, sandbox, start, transfer};

#[test]
fn a_repeated_request_gets_the_first_answer_and_makes_no_second_transfer() {
    let sandbox = sandbox();
    let first = transfer(&sandbox, "").key("k").send();
    let second = transfer(&sandbox, "").key("k").send();

    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(first.body, second.body);
    assert_eq!(made(&sandbox), 1);
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    assert_eq!(
        second.header("original-request"),
        first.header("request-id")
    );
    assert_ne!(second.header("request-id"), first.header("request-id"));
    assert_eq!(second.header("idempotency-key"), Some("k"));
}

#[test]
fn without_a_key_every_request_is_a_transfer() {
    let sandbox = sandbox();
    transfer(&sandbox, "").ok();
    transfer(&sandbox, "").ok();
    transfer(&sandbox, "").header("Idempotency-Key", "").ok();
    assert_eq!(made(&sandbox), 3);
}

#[test]
fn other_parameters_under_a_key_are_refused() {
    let sandbox = sandbox();
    transfer(&sandbox, "&metadata[a]=1&metadata[b]=2")
        .key("k")
        .ok();
    for (what, request) in [
        (
            "another value",
            transfer(&sandbox, "&metadata[a]=1&metadata[b]=3"),
        ),
        ("a parameter less", transfer(&sandbox, "&metadata[a]=1")),
        (
            "the same text, divided otherwise",
            transfer(&sandbox, "&metadata[a]=1metadata[b]2"),
        ),
        (
            "another order of metadata",
            transfer(&sandbox, "&metadata[b]=2&metadata[a]=1"),
        ),
        (
            "another version",
            transfer(&sandbox, "&metadata[a]=1&metadata[b]=2")
                .header("Stripe-Version", "2020-08-27"),
        ),
        ("invalid ones", transfer(&sandbox, "&nonsense=1")),
        ("another endpoint", post(&sandbox, "/v1/transfers/tr_1", "")),
    ] {
        let error = request.key("k").refused(400);
        assert_eq!(error["type"], "idempotency_error", "{what}");
    }
    assert_eq!(made(&sandbox), 1);
    transfer(&sandbox, "&metadata[a]=1&metadata[b]=2")
        .key("k")
        .ok();
}

#[test]
fn the_bytes_may_travel_differently() {
    let sandbox = sandbox();
    transfer(&sandbox, "&description=caf%C3%A9+au+lait")
        .key("k")
        .ok();
    let replay = transfer(&sandbox, "&description=caf%c3%a9%20au%20lait")
        .key("k")
        .chunked()
        .send();
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
}

#[test]
fn parameters_may_come_in_another_order() {
    let sandbox = sandbox();
    let form = |text| post(&sandbox, "/v1/transfers", text).key("k");
    form("amount=100&currency=usd&destination=acct_1&metadata[a]=1&metadata[b]=2").ok();
    let replay =
        form("metadata[a]=1&destination=acct_1&currency=usd&metadata[b]=2&amount=100").send();
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
    assert_eq!(made(&sandbox), 1);
}

#[test]
fn wrong_parameters_are_not_stored() {
    let sandbox = sandbox();
    for (param, form) in [
        ("amount", "currency=usd&destination=acct_1"),
        ("amount", "amount=0&currency=usd&destination=acct_1"),
        ("currency", "amount=1&currency=xxx&destination=acct_1"),
        (
            "colour",
            "amount=1&currency=usd&destination=acct_1&colour=red",
        ),
    ] {
        let answer = post(&sandbox, "/v1/transfers", form).key("k").send();
        assert_eq!(
            (answer.status, answer.json()["error"]["param"].as_str()),
            (400, Some(param))
        );
        assert_eq!(answer.header("idempotent-replayed"), None);
    }
    let made_now = transfer(&sandbox, "").key("k").send();
    assert_eq!(
        (made_now.status, made_now.header("idempotent-replayed")),
        (200, None)
    );
}

#[test]
fn a_refusal_is_replayed_after_its_cause_is_gone() {
    let nothing = OpeningBalance {
        currency: "usd".to_owned(),
        source_type: SourceType::Card,
        amount: 99,
    };
    let sandbox = start(Options {
        balances: vec![nothing],
        ..options()
    });
    let first = transfer(&sandbox, "").key("k1").send();
    assert_eq!(
        (first.status, first.json()["error"]["code"].as_str()),
        (400, Some("balance_insufficient"))
    );

    sandbox.top_up("usd", 1_000_000).unwrap();

    let replay = transfer(&sandbox, "").key("k1").send();
    assert_eq!((replay.status, &replay.body), (400, &first.body));
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
    assert_eq!(
        replay.header("original-request"),
        first.header("request-id")
    );
    assert_eq!(made(&sandbox), 0);
    transfer(&sandbox, "").key("k2").ok();
}

#[test]
fn a_500_is_replayed_whether_the_transfer_exists_or_not() {
    let sandbox = sandbox();
    let rule = |fault, key: &str| FaultRule {
        key_prefix: Some(key.to_owned()),
        ..FaultRule::on("transfers.create", fault)
    };
    sandbox
        .faults_add(FaultPlan::of([
            rule(Fault::Error500Before, "before").times(1),
            rule(Fault::Error500After, "after").times(1),
        ]))
        .unwrap();
    for (key, transfers) in [("before", 0), ("after", 1)] {
        let first = transfer(&sandbox, "").key(key).send();
        let second = transfer(&sandbox, "").key(key).send();
        assert_eq!((first.status, second.status), (500, 500));
        assert_eq!(first.body, second.body);
        assert_eq!(second.header("idempotent-replayed"), Some("true"));
        assert_eq!(made(&sandbox), transfers, "{key}");
    }
}

#[test]
fn while_the_first_runs_the_second_is_a_conflict_and_stores_nothing() {
    let sandbox = sandbox();
    sandbox
        .faults_add(FaultPlan::of([FaultRule::on(
            "transfers.create",
            Fault::HangBefore,
        )
        .times(1)]))
        .unwrap();
    let running = transfer(&sandbox, "").key("k").open().unwrap();
    assert!(sandbox.wait_hanging(1, PATIENCE));

    let error = transfer(&sandbox, "").key("k").refused(409);
    assert_eq!(error["code"], "idempotency_key_in_use");
    assert_eq!(made(&sandbox), 0);

    sandbox.release();
    let first = running.answer().unwrap();
    let replay = transfer(&sandbox, "").key("k").send();
    assert_eq!((first.status, replay.status), (200, 200));
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
    assert_eq!(made(&sandbox), 1);
}

#[test]
fn a_429_and_a_401_store_nothing() {
    let sandbox = sandbox();
    sandbox
        .faults_add(FaultPlan::of([FaultRule::on(
            "transfers.create",
            Fault::Rate429,
        )
        .times(1)]))
        .unwrap();
    assert_eq!(
        transfer(&sandbox, "").key("k").refused(429)["code"],
        "rate_limit"
    );
    assert_eq!(
        transfer(&sandbox, "")
            .key("k")
            .api_key("sk_test_expired")
            .refused(401)["code"],
        "api_key_expired"
    );
    sandbox.set_pace(Pace {
        concurrency: Some(0),
        ..Pace::default()
    });
    assert_eq!(
        transfer(&sandbox, "").key("k").refused(429)["code"],
        "rate_limit"
    );
    sandbox.set_pace(Pace::default());
    let first = transfer(&sandbox, "").key("k").send();
    assert_eq!(
        (first.status, first.header("idempotent-replayed")),
        (200, None)
    );
}

#[test]
fn after_24_hours_the_same_request_is_a_second_transfer() {
    let sandbox = sandbox();
    let first = transfer(&sandbox, "").key("k").ok();
    sandbox.advance(24 * 3600 - 1).unwrap();
    assert_eq!(transfer(&sandbox, "").key("k").ok()["id"], first["id"]);
    assert_eq!(made(&sandbox), 1);

    sandbox.advance(1).unwrap();
    let second = transfer(&sandbox, "").key("k").send();
    assert_eq!(second.header("idempotent-replayed"), None);
    assert_ne!(second.json()["id"], first["id"]);
    assert_eq!(made(&sandbox), 2);
    assert_eq!(
        transfer(&sandbox, "").key("k").ok()["id"],
        second.json()["id"]
    );
}

#[test]
fn a_key_counts_from_its_first_request_even_when_that_was_executed_late() {
    let sandbox = sandbox();
    sandbox
        .faults_add(FaultPlan::of([FaultRule::on(
            "transfers.create",
            Fault::HangBefore,
        )
        .times(1)]))
        .unwrap();
    let early = transfer(&sandbox, "").key("early").open().unwrap();
    assert!(sandbox.wait_hanging(1, PATIENCE));
    sandbox.advance(3600).unwrap();
    transfer(&sandbox, "").key("late").ok();
    sandbox.release();
    early.answer().unwrap();

    sandbox.advance(23 * 3600).unwrap();
    assert_eq!(
        transfer(&sandbox, "")
            .key("early")
            .send()
            .header("idempotent-replayed"),
        None
    );
    assert_eq!(
        transfer(&sandbox, "")
            .key("late")
            .send()
            .header("idempotent-replayed"),
        Some("true")
    );
    // What stands behind in the queue of keys must not take the new record along.
    sandbox.advance(3600).unwrap();
    assert_eq!(
        transfer(&sandbox, "")
            .key("early")
            .send()
            .header("idempotent-replayed"),
        Some("true")
    );
    assert_eq!(made(&sandbox), 3);
}

#[test]
fn a_replay_shows_the_transfer_as_it_was_before_reversal_and_update() {
    let sandbox = sandbox();
    let first = transfer(&sandbox, "&description=old&metadata[a]=1")
        .key("k")
        .send();
    let path = format!("/v1/transfers/{}", first.json()["id"].as_str().unwrap());
    post(
        &sandbox,
        &path,
        "description=new&metadata[a]=&metadata[b]=2",
    )
    .ok();
    post(&sandbox, &path, "description=newest").ok();
    post(&sandbox, &format!("{path}/reversals"), "").ok();

    assert_eq!(
        transfer(&sandbox, "&description=old&metadata[a]=1")
            .key("k")
            .send()
            .body,
        first.body
    );
    let now = get(&sandbox, &path).ok();
    assert_eq!(now["reversed"], true);
    assert_eq!(now["description"], "newest");
    assert_eq!(now["metadata"], serde_json::json!({"b": "2"}));
}

#[test]
fn a_replay_is_expanded_as_the_first_answer_was() {
    let sandbox = sandbox();
    let first = transfer(
        &sandbox,
        "&expand[]=balance_transaction&expand[]=destination",
    )
    .key("k")
    .send();
    assert_eq!(first.json()["balance_transaction"]["amount"], -100);
    assert_eq!(first.json()["destination"]["id"], "acct_1");
    let replay = transfer(
        &sandbox,
        "&expand[]=balance_transaction&expand[]=destination",
    )
    .key("k")
    .send();
    assert_eq!(first.body, replay.body);
}

#[test]
fn keys_belong_to_an_account_and_a_mode() {
    let sandbox = start(Options {
        allow_live: true,
        ..options()
    });
    for api_key in ["sk_test_1", "sk_test_other", "sk_live_1", "sk_live_other"] {
        let answer = transfer(&sandbox, "").key("k").api_key(api_key).send();
        assert_eq!(
            (answer.status, answer.header("idempotent-replayed")),
            (200, None),
            "{api_key}"
        );
    }
    assert_eq!(made(&sandbox), 4);
    // Another key of the same account is no other account.
    let replay = transfer(&sandbox, "").key("k").api_key("rk_test_2").send();
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
}

#[test]
fn a_key_may_have_255_characters_and_means_nothing_on_a_get() {
    let sandbox = sandbox();
    transfer(&sandbox, "").key(&"k".repeat(255)).ok();
    transfer(&sandbox, "").key(&"k".repeat(256)).refused(400);
    assert_eq!(made(&sandbox), 1);

    for path in ["/v1/balance", "/v1/account"] {
        let answer = get(&sandbox, path).key("same").send();
        assert_eq!(
            (answer.status, answer.header("idempotent-replayed")),
            (200, None)
        );
    }
}

#[test]
fn updates_and_reversals_are_idempotent_too() {
    let sandbox = sandbox();
    let path = format!(
        "/v1/transfers/{}",
        transfer(&sandbox, "").ok()["id"].as_str().unwrap()
    );
    let reverse = || {
        post(&sandbox, &format!("{path}/reversals"), "amount=40")
            .key("r")
            .send()
    };
    assert_eq!(reverse().body, reverse().body);
    assert_eq!(get(&sandbox, &path).ok()["amount_reversed"], 40);

    let update = || post(&sandbox, &path, "description=a").key("u").send();
    assert_eq!(update().header("idempotent-replayed"), None);
    post(&sandbox, &path, "description=b").ok();
    assert_eq!(update().json()["description"], "a");
    assert_eq!(get(&sandbox, &path).ok()["description"], "b");
}
