//! Stripe's own clients judge the sandbox: its Python and Node libraries and its CLI, unchanged, do
//! here what they do with Stripe, and must find what they would find there.
//!
//! `stripe listen` is not among it: it opens a session and a socket that only Stripe has. What the
//! sandbox posts to a webhook is checked by the libraries instead.

use payouts::sandbox::{
    Fault, FaultPlan, FaultRule, Options, RequestLine, SandboxClock, SandboxHandle, signature,
};
use serde_json::{Value, json};

use crate::common::clients::{Library, StripeCli};
use crate::sandbox_client::{PATIENCE, ids, made, options, sandbox, start};
use crate::sandbox_events::endpoint;

/// Defines each function as two tests, one with the Python and one with the Node library.
macro_rules! with_each_library {
    ($(fn $name:ident($library:ident: OpenLibrary) $body:block)+) => { $(
        fn $name($library: OpenLibrary) $body

        mod $name {
            use crate::common::clients::Library;

            #[test]
            fn python() {
                super::$name(Library::python);
            }

            #[test]
            fn node() {
                super::$name(Library::node);
            }
        }
    )+ };
}

type OpenLibrary = fn(&SandboxHandle) -> Library;

/// A transfer of one dollar to `acct_1`, of a payout.
fn form(payout: &str) -> Value {
    json!({
        "amount": 100, "currency": "usd", "destination": "acct_1", "transfer_group": payout,
        "metadata": {"payout_id": payout, "attempt": "1"},
    })
}

/// The requests for a transfer that a sandbox got.
fn creations(sandbox: &SandboxHandle) -> Vec<RequestLine> {
    let mut lines = sandbox.requests();
    lines.retain(|line| line.endpoint == "transfers.create");
    lines
}

/// A sandbox in which this happens to the first request for a transfer.
fn with_first(rule: FaultRule) -> SandboxHandle {
    start(Options {
        faults: FaultPlan::of([FaultRule {
            on: Some("transfers.create".to_owned()),
            ..rule.times(1)
        }]),
        ..options()
    })
}

with_each_library! {
    fn a_repeated_request_is_answered_from_the_books(library: OpenLibrary) {
        let sandbox = sandbox();
        let mut stripe = library(&sandbox);
        let key = json!({"idempotency_key": "payout_p1_1"});
        let first = stripe
            .call("transfers.create", &[], form("p1"), key.clone())
            .value(false);
        let again = stripe
            .call("transfers.create", &[], form("p1"), key.clone())
            .value(true);
        assert_eq!(again, first);
        assert_eq!(first["object"], "transfer");

        let error = stripe
            .call("transfers.create", &[], form("p2"), key)
            .error();
        assert_eq!((&error["class"], &error["status"]), (&json!("IdempotencyError"), &json!(400)));
        assert_eq!(made(&sandbox), 1);
    }

    fn lists_are_filtered_and_paged(library: OpenLibrary) {
        let sandbox = sandbox();
        let mut stripe = library(&sandbox);
        let mut made = Vec::new();
        for number in 0..12 {
            sandbox.advance(1).unwrap();
            let group = if number % 4 == 3 { "other" } else { "mine" };
            let transfer = stripe.value("transfers.create", &[], form(group));
            made.push((group, transfer["id"].as_str().unwrap().to_owned(), transfer["created"].clone()));
        }
        let newest_first = |group: &str| {
            let of_group = made.iter().rev().filter(|(other, ..)| *other == group);
            of_group.map(|(_, id, _)| id.as_str()).collect::<Vec<_>>()
        };
        let before = sandbox.requests().len();
        let listed = stripe.value("transfers.all", &[], json!({"limit": 4, "transfer_group": "mine"}));
        assert_eq!(listed, json!(newest_first("mine")));
        assert_eq!(sandbox.requests().len() - before, 3, "pages");

        let page = stripe.value("transfers.list", &[], json!({"limit": 2, "transfer_group": "other"}));
        assert_eq!(ids(&page), newest_first("other")[..2]);
        assert_eq!(page["has_more"], true);
        let since = stripe.value("transfers.list", &[], json!({"created": {"gte": made[9].2}}));
        assert_eq!(ids(&since), [&made[11].1, &made[10].1, &made[9].1]);
        // Towards newer ones, each page turned round.
        let newer = json!({"limit": 2, "ending_before": newest_first("mine")[4], "transfer_group": "mine"});
        let mut oldest_first = newest_first("mine")[..4].to_vec();
        oldest_first.reverse();
        assert_eq!(stripe.value("transfers.all", &[], newer), json!(oldest_first));
        let elsewhere = stripe.value("transfers.all", &[], json!({"destination": "acct_2"}));
        assert_eq!(elsewhere, json!([]));
    }

    fn a_transfer_is_read_changed_and_reversed(library: OpenLibrary) {
        let sandbox = sandbox();
        let mut stripe = library(&sandbox);
        let made = stripe.value("transfers.create", &[], form("p1"));
        let id = made["id"].as_str().unwrap();

        let changed = stripe.value(
            "transfers.update",
            &[id],
            json!({"description": "Oktober", "metadata": {"attempt": "", "note": "café"}}),
        );
        assert_eq!(changed["metadata"], json!({"payout_id": "p1", "note": "café"}));
        let reversal = stripe.value("transfers.reverse", &[id], json!({"amount": 40}));
        assert_eq!((&reversal["object"], &reversal["amount"]), (&json!("transfer_reversal"), &json!(40)));

        let read = stripe.value("transfers.retrieve", &[id], json!({}));
        assert_eq!(
            (&read["description"], &read["amount_reversed"], &read["reversed"]),
            (&json!("Oktober"), &json!(40), &json!(false))
        );
        assert_eq!(read["reversals"]["data"], json!([reversal]));
        let reversals = stripe.value("transfers.reversals", &[id], json!({}));
        assert_eq!(reversals["data"], json!([reversal]));
        let expanded = stripe.value("transfers.retrieve", &[id], json!({"expand": ["balance_transaction"]}));
        assert_eq!(expanded["balance_transaction"]["net"], -100);

        let lines = stripe.value("balance_transactions.list", &[], json!({"type": "transfer"}));
        assert_eq!(lines["data"][0]["source"], id);
        let back = json!({"type": "transfer_refund", "created": {"gte": read["created"]}, "expand": ["data.source.transfer"]});
        let lines = stripe.value("balance_transactions.list", &[], back);
        let source = &lines["data"][0]["source"];
        assert_eq!((&source["id"], &source["transfer"]["id"]), (&reversal["id"], &made["id"]));
        assert_eq!(source["transfer"]["reversals"]["data"], json!([reversal]));
        let events = stripe.value("events.list", &[], json!({"types": ["transfer.updated", "transfer.reversed"]}));
        assert_eq!(
            [&events["data"][0]["type"], &events["data"][1]["type"]],
            ["transfer.reversed", "transfer.updated"]
        );
    }

    fn balance_and_accounts_are_read(library: OpenLibrary) {
        let sandbox = sandbox();
        let mut stripe = library(&sandbox);
        stripe.value("transfers.create", &[], form("p1"));
        let balance = stripe.value("balance", &[], json!({}));
        assert_eq!(
            balance["available"][0],
            json!({"amount": 999_999_900, "currency": "usd", "source_types": {"card": 999_999_900}})
        );
        assert_eq!(stripe.value("account", &[], json!({}))["id"], "acct_sandboxplatform");
        for (id, transfers) in [("acct_1", "active"), ("acct_nocap", "inactive")] {
            let account = stripe.value("accounts.retrieve", &[id], json!({}));
            assert_eq!((&account["id"], &account["capabilities"]["transfers"]), (&json!(id), &json!(transfers)));
        }
    }

    fn refusals_have_their_class_and_code(library: OpenLibrary) {
        let sandbox = sandbox();
        let mut stripe = library(&sandbox);
        let mut refused = |change: Value| {
            let mut parameters = form("p1");
            parameters.as_object_mut().unwrap().append(&mut change.as_object().unwrap().clone());
            stripe.error("transfers.create", &[], parameters)
        };
        let error = |code: &str, param: Option<&str>| {
            json!({"class": "InvalidRequestError", "code": code, "param": param, "status": 400})
        };
        assert_eq!(
            refused(json!({"destination": "acct_closed"})),
            error("resource_missing", Some("destination"))
        );
        assert_eq!(
            refused(json!({"destination": "acct_nocap"})),
            error("insufficient_capabilities_for_transfer", None)
        );
        assert_eq!(refused(json!({"amount": 1_000_000_001})), error("balance_insufficient", None));
        assert_eq!(refused(json!({"colour": "red"})), error("parameter_unknown", Some("colour")));
        assert_eq!(
            stripe.error("transfers.retrieve", &["tr_none"], json!({})),
            json!({"class": "InvalidRequestError", "code": "resource_missing", "param": "transfer", "status": 404})
        );
        assert_eq!(made(&sandbox), 0);
    }

    fn a_key_that_may_not_is_told_so(library: OpenLibrary) {
        let sandbox = sandbox();
        let mut stripe = library(&sandbox);
        for (api_key, class, status) in [
            ("sk_test_expired", "AuthenticationError", 401),
            ("rk_test_readonly", "PermissionError", 403),
        ] {
            let options = json!({"api_key": api_key});
            let error = stripe.call("transfers.create", &[], form("p1"), options).error();
            assert_eq!((&error["class"], &error["status"]), (&json!(class), &json!(status)));
        }
        let other = json!({"api_key": "sk_test_other"});
        let account = stripe.call("account", &[], json!({}), other).value(false);
        assert_eq!(account["id"], "acct_sandboxother");
        assert_eq!(made(&sandbox), 0);
    }

    fn a_429_is_repeated_only_when_told_so(library: OpenLibrary) {
        let twice = json!({"max_network_retries": 2});
        let sandbox = with_first(FaultRule::new(Fault::Rate429));
        let error = library(&sandbox)
            .call("transfers.create", &[], form("p1"), twice.clone())
            .error();
        assert_eq!((&error["class"], &error["status"]), (&json!("RateLimitError"), &json!(429)));
        assert_eq!(creations(&sandbox).len(), 1);

        let sandbox = with_first(FaultRule {
            should_retry: Some(true),
            ..FaultRule::new(Fault::Rate429)
        });
        library(&sandbox)
            .call("transfers.create", &[], form("p1"), twice)
            .value(false);
        let sent = creations(&sandbox);
        assert_eq!(sent.iter().map(|line| line.status).collect::<Vec<_>>(), [429, 200]);
        assert!(sent[0].idempotency_key.is_some());
        assert_eq!(sent[0].idempotency_key, sent[1].idempotency_key);
    }

    fn a_conflict_and_a_gateways_html_are_repeated(library: OpenLibrary) {
        for fault in [Fault::Conflict409, Fault::Html503] {
            let sandbox = with_first(FaultRule::new(fault));
            let error = library(&sandbox).error("transfers.create", &[], form("p1"));
            assert_eq!(error["class"], "APIError", "{fault}");

            let sandbox = with_first(FaultRule::new(fault));
            let once = json!({"max_network_retries": 1});
            library(&sandbox)
                .call("transfers.create", &[], form("p1"), once)
                .value(false);
            assert_eq!((creations(&sandbox).len(), made(&sandbox)), (2, 1), "{fault}");
        }
    }

    fn what_was_lost_is_found_by_the_same_key(library: OpenLibrary) {
        let once = json!({"max_network_retries": 1});
        let sandbox = with_first(FaultRule::new(Fault::ResetAfter));
        let found = library(&sandbox)
            .call("transfers.create", &[], form("p1"), once.clone())
            .value(true);
        let transfers = sandbox.ledger();
        let ids: Vec<&str> = transfers.transfers().map(|made| made.id.as_str()).collect();
        assert_eq!(json!(ids), json!([found["id"]]));

        // A 500 is what the books say, for a day.
        let sandbox = with_first(FaultRule::new(Fault::Error500After));
        let error = library(&sandbox)
            .call("transfers.create", &[], form("p1"), once)
            .error();
        assert_eq!((&error["class"], &error["status"]), (&json!("APIError"), &json!(500)));
        let sent = creations(&sandbox);
        assert_eq!((sent.len(), sent[1].replayed, made(&sandbox)), (2, true, 1));
    }

    fn webhooks_are_believed_only_with_their_signature(library: OpenLibrary) {
        let (webhook, deliveries) = endpoint(&["200 OK"]);
        // The libraries look at the clock: what is older than five minutes is refused.
        let sandbox = start(Options {
            clock: SandboxClock::System,
            webhook: Some(webhook),
            ..options()
        });
        let mut stripe = library(&sandbox);
        let made = stripe.value("transfers.create", &[], form("p1"));
        let (header, body) = deliveries.recv_timeout(PATIENCE).unwrap();
        let delivered = |header: &str, body: &str, secret: &str| {
            json!({"payload": body, "sig_header": header, "secret": secret})
        };
        let event = stripe.value("webhook", &[], delivered(&header, &body, "whsec_1"));
        assert_eq!((&event["type"], &event["data"]["object"]), (&json!("transfer.created"), &made));

        let hour_ago = sandbox.now_ms() / 1000 - 3600;
        let old = signature("whsec_1", hour_ago, body.as_bytes());
        for (what, forged) in [
            ("another body", delivered(&header, &body.replace("acct_1", "acct_2"), "whsec_1")),
            ("another secret", delivered(&header, &body, "whsec_2")),
            ("an old one", delivered(&old, &body, "whsec_1")),
        ] {
            let error = stripe.error("webhook", &[], forged);
            assert_eq!(error["class"], "SignatureVerificationError", "{what}");
        }
    }
}

#[test]
fn the_cli_makes_one_transfer_under_a_key() {
    let sandbox = sandbox();
    let stripe = StripeCli::new(&sandbox);
    let create = "transfers create --amount 100 --currency usd --destination acct_1 \
                  --transfer-group p1 -d metadata[payout_id]=p1 --idempotency payout_p1_1";
    let first = stripe.run(create);
    assert_eq!(first["metadata"]["payout_id"], "p1");
    // It sends the parameters in an order drawn by lot.
    for _ in 0..6 {
        let (again, headers) = stripe.run_with_headers(create);
        assert_eq!(again, first);
        assert!(headers.contains("< HTTP 200\n"), "{headers}");
    }
    let other = stripe.run(&create.replace("100", "101"));
    assert_eq!(other["error"]["type"], "idempotency_error");
    let replayed: Vec<_> = creations(&sandbox)
        .iter()
        .map(|line| line.replayed)
        .collect();
    assert_eq!(replayed, [false, true, true, true, true, true, true, false]);
    assert_eq!(made(&sandbox), 1);
}

#[test]
fn the_cli_reads_changes_and_reverses() {
    let sandbox = sandbox();
    let stripe = StripeCli::new(&sandbox);
    for number in 0..3 {
        stripe.run(&format!(
            "post /v1/transfers -d amount=10{number} -d currency=usd -d destination=acct_1 -d transfer_group=p1"
        ));
    }
    let page = stripe.run("transfers list --transfer-group p1 --limit 2");
    assert_eq!((ids(&page).len(), &page["has_more"]), (2, &json!(true)));
    let rest = stripe.run(&format!(
        "transfers list --transfer-group p1 --limit 2 --starting-after {}",
        ids(&page)[1]
    ));
    assert_eq!((ids(&rest).len(), &rest["has_more"]), (1, &json!(false)));

    let id = ids(&rest)[0];
    stripe.run(&format!("transfers update {id} -d metadata[note]=late"));
    stripe.run(&format!("transfer_reversals create {id} --amount 40"));
    let read = stripe.run(&format!("transfers retrieve {id}"));
    assert_eq!(
        (&read["metadata"], &read["amount_reversed"]),
        (&json!({"note": "late"}), &json!(40))
    );
    assert_eq!(
        stripe.run("balance retrieve")["available"][0]["amount"],
        1_000_000_000 - 100 - 101 - 102 + 40
    );
    assert_eq!(
        stripe.run("accounts retrieve")["id"],
        "acct_sandboxplatform"
    );
    assert_eq!(
        stripe.run("get /v1/accounts/acct_1")["capabilities"]["transfers"],
        "active"
    );
    let events = stripe.run("events list --type transfer.reversed");
    assert_eq!(ids(&events).len(), 1);
}

#[test]
fn the_cli_shows_refusals_and_repeats_nothing() {
    let sandbox = with_first(FaultRule {
        should_retry: Some(true),
        ..FaultRule::new(Fault::Rate429)
    });
    let stripe = StripeCli::new(&sandbox);
    let create = "transfers create --amount 100 --currency usd --destination";
    let (limited, headers) = stripe.run_with_headers(&format!("{create} acct_1"));
    assert_eq!(limited["error"]["code"], "rate_limit");
    assert!(headers.contains("< HTTP 429\n"), "{headers}");
    assert_eq!(creations(&sandbox).len(), 1);
    let closed = stripe.run(&format!("{create} acct_closed"));
    assert_eq!(
        (&closed["error"]["code"], &closed["error"]["param"]),
        (&json!("resource_missing"), &json!("destination"))
    );
}
