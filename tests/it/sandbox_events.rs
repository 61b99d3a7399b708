//! Events, and the webhooks that carry them.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose answer has another shape has failed"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use payouts::sandbox::{Options, Webhook, signature};
use serde_json::{Value, json};

use crate::sandbox_client::{
    PATIENCE, START_MS, get, ids, options, post, sandbox, start, transfer,
};

fn types(list: &Value) -> Vec<&str> {
    list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

#[test]
fn every_change_is_an_event_that_keeps_what_it_saw() {
    let sandbox = sandbox();
    let answer = transfer(&sandbox, "&description=old&metadata[a]=1&metadata[b]=2")
        .key("k")
        .send();
    let made = answer.json();
    let path = format!("/v1/transfers/{}", made["id"].as_str().unwrap());
    post(
        &sandbox,
        &path,
        "description=new&metadata[a]=&metadata[c]=3",
    )
    .ok();
    post(&sandbox, &path, "description=new").ok();
    let part = post(&sandbox, &format!("{path}/reversals"), "amount=40")
        .key("r")
        .send();
    post(&sandbox, &format!("{path}/reversals"), "").ok();

    let list = get(&sandbox, "/v1/events").ok();
    // An update that changes nothing is no event.
    assert_eq!(
        types(&list),
        [
            "transfer.reversed",
            "transfer.reversed",
            "transfer.updated",
            "transfer.created"
        ]
    );
    let created = &list["data"][3];
    assert_eq!(created["object"], "event");
    assert_eq!(created["data"], json!({"object": made}));
    assert_eq!(
        created["request"],
        json!({"id": answer.header("request-id"), "idempotency_key": "k"})
    );
    assert_eq!(
        (
            &created["created"],
            &created["livemode"],
            &created["pending_webhooks"]
        ),
        (&json!(START_MS / 1000), &json!(false), &json!(0))
    );

    let updated = &list["data"][2];
    assert_eq!(
        updated["data"]["previous_attributes"],
        json!({"description": "old", "metadata": {"a": "1", "c": null}})
    );
    assert_eq!(
        updated["data"]["object"]["metadata"],
        json!({"b": "2", "c": "3"})
    );
    assert_eq!(updated["request"]["idempotency_key"], Value::Null);
    let reversed = &list["data"][1];
    assert_eq!(
        (
            &reversed["data"]["object"]["amount_reversed"],
            &reversed["data"]["object"]["reversed"]
        ),
        (&json!(40), &json!(false))
    );
    assert_eq!(
        reversed["request"],
        json!({"id": part.header("request-id"), "idempotency_key": "r"})
    );
    assert_eq!(list["data"][0]["data"]["object"]["reversed"], true);

    for event in list["data"].as_array().unwrap() {
        assert_eq!(
            &get(
                &sandbox,
                &format!("/v1/events/{}", event["id"].as_str().unwrap())
            )
            .ok(),
            event
        );
    }
    assert_eq!(
        get(&sandbox, "/v1/events/evt_1").refused(404)["code"],
        "resource_missing"
    );
}

#[test]
fn a_refused_transfer_and_a_replay_are_no_events() {
    let sandbox = sandbox();
    transfer(&sandbox, "").key("k").ok();
    transfer(&sandbox, "").key("k").ok();
    post(
        &sandbox,
        "/v1/transfers",
        "amount=1&currency=usd&destination=acct_nocap",
    )
    .refused(400);
    assert_eq!(ids(&get(&sandbox, "/v1/events").ok()).len(), 1);
}

#[test]
fn events_are_filtered_and_paged() {
    let sandbox = sandbox();
    let made = transfer(&sandbox, "").ok();
    sandbox.advance(10).unwrap();
    post(
        &sandbox,
        &format!("/v1/transfers/{}/reversals", made["id"].as_str().unwrap()),
        "",
    )
    .ok();
    transfer(&sandbox, "").ok();
    let (created, reversed) = ("transfer.created", "transfer.reversed");
    for (query, expected) in [
        ("type=transfer.created".to_owned(), vec![created, created]),
        (
            "type=transfer.*".to_owned(),
            vec![created, reversed, created],
        ),
        ("type=*".to_owned(), vec![created, reversed, created]),
        ("type=*.reversed".to_owned(), vec![reversed]),
        ("type=transfer.paid".to_owned(), vec![]),
        (
            "types[]=transfer.reversed&types[]=transfer.updated".to_owned(),
            vec![reversed],
        ),
        (
            "types[0]=transfer.reversed&types[1]=transfer.created".to_owned(),
            vec![created, reversed, created],
        ),
        (
            format!("created[lt]={}", START_MS / 1000 + 10),
            vec![created],
        ),
        ("limit=1".to_owned(), vec![created]),
        (
            "delivery_success=true".to_owned(),
            vec![created, reversed, created],
        ),
        ("delivery_success=false".to_owned(), vec![]),
    ] {
        assert_eq!(
            types(&get(&sandbox, &format!("/v1/events?{query}")).ok()),
            expected,
            "{query}"
        );
    }
    let first = get(&sandbox, "/v1/events?limit=1").ok();
    let next = get(
        &sandbox,
        &format!("/v1/events?starting_after={}", ids(&first)[0]),
    )
    .ok();
    assert_eq!(types(&next), [reversed, created]);
    let many = (0..21)
        .map(|n| format!("types[]=t{n}"))
        .collect::<Vec<_>>()
        .join("&");
    get(&sandbox, &format!("/v1/events?{many}")).refused(400);
    get(&sandbox, "/v1/events?type=a&types[]=b").refused(400);
}

#[test]
fn events_are_listed_for_30_days() {
    let sandbox = sandbox();
    transfer(&sandbox, "").ok();
    sandbox.advance(30 * 86_400).unwrap();
    assert_eq!(ids(&get(&sandbox, "/v1/events").ok()).len(), 1);
    sandbox.advance(1).unwrap();
    assert_eq!(ids(&get(&sandbox, "/v1/events").ok()).len(), 0);
    assert_eq!(ids(&get(&sandbox, "/v1/transfers").ok()).len(), 1);
}

#[test]
fn signatures_are_stripes() {
    let secret = "whsec_test_secret";
    for (secret, time, body, code) in [
        (
            secret,
            1_700_000_000,
            r#"{"id":"evt_1","object":"event","type":"transfer.created"}"#,
            "4053ad125030bbff23bc1f438ef1315b8ad7868a29a76e7d4898bfbfca4a98ee",
        ),
        (
            "whsec_old_secret",
            1_700_000_000,
            r#"{"id":"evt_1","object":"event","type":"transfer.created"}"#,
            "5f7db3c7058fbeb283124004c7eaccf436a713e2d957a9326f0c3e6c0a2da2aa",
        ),
        (
            secret,
            1_700_000_000,
            r#"{"d":"café ☃"}"#,
            "0d997d720a685a404af9f61fff4400ba54ede5978131b7ae4738d3eb3167d352",
        ),
        (
            secret,
            1_700_000_000,
            "",
            "316b9ab98c15bfa039d243f3196acee619cf29749a91a634e6a8154e2f7b6727",
        ),
        (
            secret,
            1_492_774_577,
            "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\"\n}",
            "c2f890decbc5ede7c5060bb9a6d31e0626a4342bacb9aeae2adb1bcea72f9812",
        ),
    ] {
        assert_eq!(
            signature(secret, time, body.as_bytes()),
            format!("t={time},v1={code}")
        );
    }
}

/// A webhook endpoint that answers with `statuses`, one delivery after the other, and hands on the
/// signature header and the body of each.
pub(crate) fn endpoint(
    statuses: &'static [&'static str],
) -> (Webhook, mpsc::Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let (sender, deliveries) = mpsc::channel();
    thread::spawn(move || {
        for status in statuses {
            let (mut stream, _) = listener.accept().unwrap();
            let (head, body) = read_request(&mut stream);
            let end = "Content-Length: 0\r\nConnection: close\r\n\r\n";
            write!(stream, "HTTP/1.1 {status}\r\n{end}").unwrap();
            let header = head
                .lines()
                .find_map(|line| line.strip_prefix("stripe-signature: "));
            sender.send((header.unwrap().to_owned(), body)).unwrap();
        }
    });
    (Webhook::new(&url, "whsec_1").unwrap(), deliveries)
}

fn read_request(stream: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).unwrap();
        assert_ne!(length, 0, "the delivery ends early");
        bytes.extend(&part[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap()
            .parse()
            .unwrap();
        if body.len() >= length {
            return (head.to_owned(), body.to_owned());
        }
    }
}

#[test]
fn webhooks_carry_signed_events_and_try_again() {
    let (webhook, deliveries) = endpoint(&["500 Internal Server Error", "200 OK"]);
    let sandbox = start(Options {
        webhook: Some(webhook),
        ..options()
    });
    assert!(
        sandbox
            .env_lines()
            .contains(&"STRIPE_WEBHOOK_SECRET=whsec_1".to_owned())
    );
    let made = transfer(&sandbox, "").key("k").ok();

    let (header, body) = deliveries.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        header,
        signature("whsec_1", START_MS / 1000, body.as_bytes())
    );
    let event: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&event["type"], &event["data"]["object"]),
        (&json!("transfer.created"), &made)
    );
    assert_eq!(event["request"]["idempotency_key"], "k");
    assert_eq!(event["pending_webhooks"], 1);
    assert_eq!(
        ids(&get(&sandbox, "/v1/events?delivery_success=true").ok()).len(),
        0
    );

    let (_, again) = deliveries.recv_timeout(PATIENCE).unwrap();
    assert_eq!(again, body);
    let until = std::time::Instant::now() + PATIENCE;
    while ids(&get(&sandbox, "/v1/events?delivery_success=true").ok()).is_empty() {
        assert!(
            std::time::Instant::now() < until,
            "never noted as delivered"
        );
    }
}

#[test]
fn webhooks_go_nowhere_but_to_loopback() {
    for url in [
        "http://example.com/",
        "https://127.0.0.1/",
        "http://127.0.0.1.example.com/",
        "127.0.0.1:80",
        "http://10.0.0.1/",
        "",
    ] {
        assert!(Webhook::new(url, "whsec_1").is_err(), "{url}");
    }
    for url in [
        "http://127.0.0.1:4000/a",
        "http://localhost/",
        "http://[::1]:4000/",
    ] {
        assert!(Webhook::new(url, "whsec_1").is_ok(), "{url}");
    }
}
