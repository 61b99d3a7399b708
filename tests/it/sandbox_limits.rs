//! Rates, concurrency, locks and delays.

use std::time::{Duration, Instant};

use payouts::sandbox::{Fault, FaultPlan, FaultRule, Options, Pace};

use crate::sandbox_client::{PATIENCE, get, made, options, post, sandbox, start, transfer};

#[test]
fn the_bucket_holds_what_100_milliseconds_bring() {
    let sandbox = start(Options {
        pace: Pace {
            per_second: Some(50),
            ..Pace::default()
        },
        ..options()
    });
    let began = Instant::now();
    let answers: Vec<_> = (0..40)
        .map(|_| get(&sandbox, "/v1/balance").send())
        .collect();
    let most = 5 + began.elapsed().as_millis() / 20 + 1;
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(
        (5..=most).contains(&(passed as u128)),
        "{passed} of 40 passed, at most {most} should"
    );
    let refused = answers
        .iter()
        .find(|answer| answer.status == 429)
        .expect("some are refused");
    assert_eq!(refused.json()["error"]["code"], "rate_limit");
    assert_eq!(
        refused.header("stripe-rate-limited-reason"),
        Some("global-rate")
    );
    assert_eq!(refused.header("retry-after"), None);
}

#[test]
fn a_slow_rate_still_lets_one_through() {
    let pace = Pace {
        per_second: Some(1),
        retry_after_seconds: Some(1),
        ..Pace::default()
    };
    let sandbox = start(Options { pace, ..options() });
    transfer(&sandbox, "").key("k").ok();
    let refused = transfer(&sandbox, "").key("k").send();
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("1"))
    );
    assert_eq!(refused.header("idempotent-replayed"), None);
    // The simulated clock brings no tokens.
    sandbox.advance(3600).unwrap();
    transfer(&sandbox, "").key("k").refused(429);
    assert_eq!(made(&sandbox), 1);
}

#[test]
fn the_rate_changes_while_the_sandbox_runs() {
    let sandbox = sandbox();
    post(&sandbox, "/_sandbox/rate", r#"{"per_second": 1}"#).ok();
    transfer(&sandbox, "").ok();
    transfer(&sandbox, "").refused(429);
    // Controls are never limited.
    assert_eq!(get(&sandbox, "/_sandbox/rate").ok()["per_second"], 1);
    post(&sandbox, "/_sandbox/rate", "{}").ok();
    transfer(&sandbox, "").ok();
    assert_eq!(
        post(&sandbox, "/_sandbox/rate", r#"{"per_hour": 1}"#)
            .send()
            .status,
        400
    );
}

#[test]
fn too_many_at_once_are_refused() {
    let sandbox = start(Options {
        pace: Pace {
            concurrency: Some(2),
            ..Pace::default()
        },
        ..options()
    });
    sandbox
        .faults_add(FaultPlan::of([FaultRule::on(
            "transfers.create",
            Fault::HangAfter,
        )
        .times(2)]))
        .unwrap();
    let held: Vec<_> = (0..2)
        .map(|_| transfer(&sandbox, "").open().unwrap())
        .collect();
    assert!(sandbox.wait_hanging(2, PATIENCE));
    let refused = get(&sandbox, "/v1/balance").send();
    assert_eq!(
        (refused.status, refused.header("stripe-rate-limited-reason")),
        (429, Some("global-concurrency"))
    );
    sandbox.release();
    for request in held {
        assert_eq!(request.answer().unwrap().status, 200);
    }
    get(&sandbox, "/v1/balance").ok();
}

#[test]
fn two_transfers_to_one_account_at_once_meet_its_lock() {
    for locks in [true, false] {
        let sandbox = start(Options {
            pace: Pace {
                lock_destinations: locks,
                ..Pace::default()
            },
            ..options()
        });
        sandbox
            .faults_add(FaultPlan::of([FaultRule::on(
                "transfers.create",
                Fault::HangBefore,
            )
            .times(1)]))
            .unwrap();
        let held = transfer(&sandbox, "").key("first").open().unwrap();
        assert!(sandbox.wait_hanging(1, PATIENCE));
        if locks {
            let refused = transfer(&sandbox, "").key("second").send();
            assert_eq!(
                (refused.status, refused.json()["error"]["code"].as_str()),
                (429, Some("lock_timeout"))
            );
            assert_eq!(refused.header("stripe-rate-limited-reason"), None);
        }
        post(
            &sandbox,
            "/v1/transfers",
            "amount=1&currency=usd&destination=acct_2",
        )
        .ok();
        sandbox.release();
        assert_eq!(held.answer().unwrap().status, 200);
        let second = transfer(&sandbox, "").key("second").send();
        assert_eq!(
            (second.status, second.header("idempotent-replayed")),
            (200, None)
        );
    }
}

#[test]
fn answers_take_as_long_as_asked() {
    let pace = Pace {
        latency_ms: 60,
        latency_jitter_ms: 20,
        ..Pace::default()
    };
    let sandbox = start(Options { pace, ..options() });
    let began = Instant::now();
    transfer(&sandbox, "").ok();
    assert!(began.elapsed() >= Duration::from_millis(60));
}

#[test]
fn a_client_that_leaves_during_the_delay_was_heard() {
    let pace = Pace {
        latency_ms: 100,
        ..Pace::default()
    };
    let sandbox = start(Options { pace, ..options() });
    let waiting = transfer(&sandbox, "").key("k").open().unwrap();
    let until = Instant::now() + PATIENCE;
    while sandbox.in_flight() == 0 {
        assert!(Instant::now() < until, "never arrived");
        std::thread::yield_now();
    }
    drop(waiting);
    while made(&sandbox) == 0 {
        assert!(Instant::now() < until, "never executed");
        std::thread::yield_now();
    }
    assert_eq!(
        transfer(&sandbox, "")
            .key("k")
            .send()
            .header("idempotent-replayed"),
        Some("true")
    );
}
