//! The failpoints: each name stands in the source once and in the list once, and a run of the real
//! program can be killed at one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use payouts::failpoint::{ALL, OF_MAILS, PLANTED};
use payouts::sandbox::{Options, Sandbox};
use payouts::stripe::transport::Timeouts;
use payouts::stripe::{Exchange, Stripe};
use secrecy::SecretString;

use crate::common::db::on_both;
use crate::common::shop::Shop;

/// How often each literal stands behind `opening` in the source, outside of the module itself.
fn names_behind(opening: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a source folder can be read") {
            let path = entry.expect("an entry of it can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "failpoint.rs") {
                let source = fs::read_to_string(path).expect("a source file can be read");
                for (at, _) in source.match_indices(opening) {
                    let name = source[at + opening.len()..].split('"').next();
                    *found
                        .entry(name.unwrap_or_default().to_owned())
                        .or_default() += 1;
                }
            }
        }
    }
    found
}

#[test]
fn every_failpoint_stands_in_the_source_once() {
    let mut found = names_behind("failpoint!(\"");
    for opening in ["failpoint!(await \"", "failpoint!(only \""] {
        for (name, times) in names_behind(opening) {
            *found.entry(name).or_default() += times;
        }
    }
    let expected: BTreeMap<String, usize> = ALL
        .iter()
        .chain(&OF_MAILS)
        .map(|name| ((*name).to_owned(), 1))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn every_planted_bug_stands_in_the_source() {
    let found: Vec<String> = names_behind("planted!(\"").into_keys().collect();
    let mut expected = PLANTED.map(str::to_owned);
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_request_that_was_held_up_before_its_body_is_not_executed() {
    let sandbox = Sandbox::spawn(Options::at_free_port()).expect("a sandbox starts");
    let key = SecretString::from("sk_test_late");
    let stripe = Stripe::new(&key, Some(&sandbox.base_url()), 1, Timeouts::default())
        .expect("the key is one");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let body = "amount=100&currency=usd&destination=acct_1";
    let send = |key: &'static str, may_leave: bool| {
        runtime
            .block_on(stripe.transfer_send(key, "2024-06-20", body.to_owned(), move || may_leave))
    };
    assert!(matches!(send("late", false), Exchange::NotWritten { .. }));
    assert_eq!(sandbox.ledger().transfers().count(), 0);
    assert!(matches!(send("in time", true), Exchange::Answered(reply) if reply.status == 200));
    assert_eq!(sandbox.ledger().transfers().count(), 1);
}

on_both! {
    fn a_run_is_killed_where_it_is_told_and_the_next_one_completes(db: TestDb) {
        let mut shop = Shop::open(db);
        shop.payouts(3);
        shop.env.set("PAYOUTS_TEST_FAILPOINT", "send.answered@2=kill");
        let killed = shop.env.command(&["process"]).output().expect("it runs");
        assert_eq!(killed.status.code(), None, "{killed:?}");
        assert!(!shop.transfers().is_empty());
        assert_ne!(shop.one("SELECT COUNT(*) FROM payouts WHERE status = 'COMPLETED'"), "3");
        shop.env.unset("PAYOUTS_TEST_FAILPOINT");
        shop.pass(Duration::from_secs(121));
        shop.process(&[]).expect_code(0);
        assert_eq!(shop.transfers().len(), 3);
        shop.assert_paid_exactly_once();
    }

    fn a_failpoint_that_does_not_exist_is_refused(db: TestDb) {
        let mut shop = Shop::open(db);
        for wrong in ["claim=kill", "claim.committed", "claim.committed@x=kill", "claim.committed=die"] {
            shop.env.set("PAYOUTS_TEST_FAILPOINT", wrong);
            let run = shop.process(&[]);
            assert_ne!(run.code, 0, "{run}");
            assert!(run.stderr.contains("PAYOUTS_TEST_FAILPOINT"), "{run}");
        }
    }
}
