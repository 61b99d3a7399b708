//! `payouts runs`: what the tool was run for, how it ended, and what became of a run that was killed.

use std::time::Duration;

use payouts::sandbox::Fault;
use serde_json::Value;

use crate::common::db::{Backend, TestDb, on_both};
use crate::common::env::Run;
use crate::common::seed;
use crate::common::shop::Shop;

const LEASE_OVER: Duration = Duration::from_secs(121);

/// A shop in which a file was loaded by ann, most of it paid, and compared with Stripe.
fn shop_with_runs(db: TestDb) -> Shop {
    let mut shop = Shop::open(db);
    for name in ["ann", "ben", "cyd_closed"] {
        shop.creator(name);
    }
    shop.env.write(
        "october.csv",
        "creator,amount,reference\ncr_ann,10.00,O-1\ncr_ben,20.00,O-2\ncr_cyd_closed,30.00,O-3\n",
    );
    shop.env.set("PAYOUTS_ACTOR", "ann");
    let load = ["create", "--file", "october.csv", "--release"];
    shop.env.run(&load).expect_code(0);
    shop.env.set("PAYOUTS_ACTOR", "cron");
    shop.pass(Duration::from_secs(3600));
    shop.process(&[]).expect_code(1);
    shop.pass(Duration::from_secs(3600));
    shop.env.run(&["reconcile"]).expect_code(0);
    shop
}

/// A transcript without what differs from machine to machine and from version to version.
fn anywhere(run: &Run) -> String {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy().into_owned();
    let version = env!("CARGO_PKG_VERSION");
    run.transcript()
        .replace(&format!(" on {host}\n"), " on HOST\n")
        .replace(&format!("\"host\": \"{host}\""), "\"host\": \"HOST\"")
        .replace(
            &format!("\"version\": \"{version}\""),
            "\"version\": \"VERSION\"",
        )
        .replace(&format!("Version    {version}"), "Version    VERSION")
        .replace(&format!(",{host},{version},"), ",HOST,VERSION,")
}

/// The commands of the runs that a list shows.
fn listed(shop: &Shop, more: &[&str]) -> Vec<String> {
    let args = [&["runs", "list", "-o", "json"], more].concat();
    let run = shop.env.run(&args).expect_code(0);
    let answer: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let runs = answer["runs"].as_array().expect("a list");
    let word = |run: &Value, name: &str| run[name].as_str().unwrap_or_default().to_owned();
    runs.iter()
        .map(|run| format!("{} {}", word(run, "command"), word(run, "state")))
        .collect()
}

on_both! {
    fn a_list_says_how_each_ended(db: TestDb) {
        let shop = shop_with_runs(db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(anywhere(&shop.env.run(&["runs", "list"]).expect_code(0)), @r"
            $ payouts runs list
            Run                        Began             Command    By    Took  Ended  Summary
            c000000000000000000000001  2026-11-02 11:30  reconcile  cron  # ms  0      0 findings open, 0 repaired
            c000000000000000000000002  2026-11-02 10:30  process    cron  # ms  1      2 paid, 30.00 USD; 0 found paid, 1 failed, 0 given back, 0 unresolved
            c000000000000000000000003  2026-11-02 09:30  create     ann   # ms  0      created 3 payouts, 60.00 USD; 0 already loaded

            3 runs: 2 succeeded, 1 failed, 0 without an end
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(anywhere(&shop.env.run(&["runs", "list", "--failed", "-o", "json"]).expect_code(0)), @r#"
            $ payouts runs list --failed -o json
            {
              "schema": 1,
              "runs": [
                {
                  "id": "c000000000000000000000002",
                  "command": "process",
                  "arguments": "process",
                  "actor": "cron",
                  "host": "HOST",
                  "version": "VERSION",
                  "state": "ended",
                  "started_at": "2026-11-02T10:30:00.000Z",
                  "seen_at": "2026-11-02T10:30:00.000Z",
                  "ended_at": "2026-11-02T10:30:00.000Z",
                  "millis": 0,
                  "exit_code": 1,
                  "exit_meaning": "ran to the end, but a person should look: payouts failed, findings exist, rows refused",
                  "summary": "2 paid, 30.00 USD; 0 found paid, 1 failed, 0 given back, 0 unresolved"
                }
              ],
              "totals": {
                "runs": 1,
                "succeeded": 0,
                "failed": 1,
                "unended": 0
              },
              "next": null
            }
            --- stderr
            --- exit 0
            "#);
            insta::assert_snapshot!(anywhere(&shop.env.run(&["runs", "list", "--limit", "1", "-o", "csv"]).expect_code(0)), @r#"
            $ payouts runs list --limit 1 -o csv
            id,command,arguments,actor,host,version,state,started_at,seen_at,ended_at,millis,exit_code,exit_meaning,summary
            c000000000000000000000001,reconcile,reconcile,cron,HOST,VERSION,ended,2026-11-02T11:30:00.000Z,2026-11-02T11:30:00.000Z,2026-11-02T11:30:00.000Z,0,0,done; an empty queue is done,"0 findings open, 0 repaired"
            --- stderr
            next page: payouts runs list … --after c000000000000000000000001
            --- exit 0
            "#);
        }
    }

    fn a_list_is_narrowed_and_paged(db: TestDb) {
        let shop = shop_with_runs(db);
        assert_eq!(listed(&shop, &[]), ["reconcile ended", "process ended", "create ended"]);
        for (filter, expected) in [
            (&["--command", "process"][..], &["process ended"][..]),
            (&["--actor", "ann"], &["create ended"]),
            (&["--since", "2026-11-02T10:00:00Z..2026-11-02T11:00:00Z"], &["process ended"]),
            (&["--period", "2h"], &["reconcile ended", "process ended", "create ended"]),
            (&["--period", "1h"], &["reconcile ended", "process ended"]),
            (&["--failed"], &["process ended"]),
            (&["--alive"], &[]),
            (&["--dead"], &[]),
            (&["--command", "nonsense"], &[]),
        ] {
            assert_eq!(listed(&shop, filter), expected, "{filter:?}");
        }
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let mut args = vec!["runs", "list", "-o", "json", "--limit", "2"];
            if !after.is_empty() {
                args.extend(["--after", after.as_str()]);
            }
            let answer: Value = serde_json::from_str(&shop.env.run(&args).expect_code(0).stdout).expect("JSON");
            // Of all that match, whichever page it is.
            assert_eq!(answer["totals"]["runs"], 3);
            let runs = answer["runs"].as_array().expect("a list");
            seen.extend(runs.iter().map(|run| run["command"].as_str().expect("a word").to_owned()));
            match answer["next"].as_str() {
                Some(next) => next.clone_into(&mut after),
                None => break,
            }
        }
        assert_eq!(seen, ["reconcile", "process", "create"]);
        let wrong = shop.env.run(&["runs", "list", "--period", "soon"]).expect_code(2);
        assert!(wrong.stderr.contains("--period"), "{wrong}");
    }

    fn one_run_is_shown_with_what_it_did_and_what_to_do(db: TestDb) {
        let shop = shop_with_runs(db);
        let process = shop.one("SELECT id FROM payout_runs WHERE command = 'process'");
        insta::allow_duplicates! {
            insta::assert_snapshot!(anywhere(&shop.env.run(&["runs", "show", &process]).expect_code(0)), @r"
            $ payouts runs show c000000000000000000000001
            Run        c000000000000000000000001
            Command    payouts process
            By         cron on HOST
            Version    VERSION
            Began      2026-11-02T10:30:00.000Z
            Last seen  2026-11-02T10:30:00.000Z
            Ended      2026-11-02T10:30:00.000Z, with 1: ran to the end, but a person should look: payouts failed, findings exist, rows refused
            Took       # ms
            Summary    2 paid, 30.00 USD; 0 found paid, 1 failed, 0 given back, 0 unresolved
            Attempts   1 declined, 30.00 USD
                       2 paid, 30.00 USD
            History    3 payouts claimed, PROCESSING
                       1 payout declined, FAILED
                       2 payouts paid, COMPLETED

            Payout                     Attempt  Outcome      Amount  HTTP  Code              Request
            c000000000000000000000002        1  declined  30.00 USD   400  resource_missing  req_000000000000000001

            Next: see who was not paid and why with `payouts list --status FAILED`; `payouts show ID` says what to do about each
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(anywhere(&shop.env.run(&["runs", "show", "last"]).expect_code(0)), @r"
            $ payouts runs show last
            Run        c000000000000000000000003
            Command    payouts reconcile
            By         cron on HOST
            Version    VERSION
            Began      2026-11-02T11:30:00.000Z
            Last seen  2026-11-02T11:30:00.000Z
            Ended      2026-11-02T11:30:00.000Z, with 0: done; an empty queue is done
            Took       # ms
            Summary    0 findings open, 0 repaired
            Compared   2026-09-28 00:00 to now, UTC, 2 transfers; 0 open, 0 repaired

            Next: nothing: it did what it was asked for
            --- stderr
            --- exit 0
            ");
            insta::assert_snapshot!(anywhere(&shop.env.run(&["runs", "show", &process, "-o", "json"]).expect_code(0)), @r#"
            $ payouts runs show c000000000000000000000001 -o json
            {
              "schema": 1,
              "run": {
                "id": "c000000000000000000000001",
                "command": "process",
                "arguments": "process",
                "actor": "cron",
                "host": "HOST",
                "version": "VERSION",
                "state": "ended",
                "started_at": "2026-11-02T10:30:00.000Z",
                "seen_at": "2026-11-02T10:30:00.000Z",
                "ended_at": "2026-11-02T10:30:00.000Z",
                "millis": 0,
                "exit_code": 1,
                "exit_meaning": "ran to the end, but a person should look: payouts failed, findings exist, rows refused",
                "summary": "2 paid, 30.00 USD; 0 found paid, 1 failed, 0 given back, 0 unresolved"
              },
              "attempts": [
                {
                  "outcome": "declined",
                  "count": 1,
                  "amount_cents": 3000,
                  "currency": "usd"
                },
                {
                  "outcome": "paid",
                  "count": 2,
                  "amount_cents": 3000,
                  "currency": "usd"
                }
              ],
              "history": [
                {
                  "event": "claimed",
                  "to_status": "PROCESSING",
                  "count": 3
                },
                {
                  "event": "declined",
                  "to_status": "FAILED",
                  "count": 1
                },
                {
                  "event": "paid",
                  "to_status": "COMPLETED",
                  "count": 2
                }
              ],
              "failures": [
                {
                  "payout_id": "c000000000000000000000002",
                  "attempt": 1,
                  "outcome": "declined",
                  "amount_cents": 3000,
                  "currency": "usd",
                  "http_status": 400,
                  "error_code": "resource_missing",
                  "error_message": "No such destination: 'acct_cyd_closed'",
                  "request_id": "req_000000000000000001"
                }
              ],
              "reconciliation": null,
              "next_step": "see who was not paid and why with `payouts list --status FAILED`; `payouts show ID` says what to do about each"
            }
            --- stderr
            --- exit 0
            "#);
        }
        // What `show` calls the request of its one failure is the ledger's.
        let request = shop.one("SELECT request_id FROM payout_attempts WHERE outcome = 'declined'");
        assert!(shop.env.run(&["runs", "show", &process]).stdout.contains(&request));
    }

    fn a_run_is_found_by_the_beginning_of_its_id(db: TestDb) {
        let shop = Shop::open(db);
        for id in ["runa1", "runa2", "runb1", "runb"] {
            seed::run(&shop.db, id, None);
        }
        let look_up = |id: &str| shop.env.run(&["runs", "show", id]);
        for (text, id) in [("runa1", "runa1"), ("runb1", "runb1"), ("runb", "runb")] {
            let one = look_up(text).expect_code(0);
            assert!(one.stdout.starts_with(&format!("Run        {id}\n")), "{one}");
        }
        let several = look_up("runa").expect_code(1);
        assert!(several.stderr.contains("runa1") && several.stderr.contains("runa2"), "{several}");
        // What a pattern would be is a text like any other.
        for nobody in ["", "nobody", "run_1", "%", "runb1x"] {
            let run = look_up(nobody).expect_code(1);
            assert!(run.stderr.contains("no run has this id"), "{run}");
        }
    }

    fn a_run_that_was_killed_is_dead_once_it_is_known(db: TestDb) {
        let mut shop = Shop::open(db);
        assert_eq!(listed(&shop, &[]), [""; 0]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(anywhere(&shop.env.run(&["runs", "list"]).expect_code(0)), @r"
            $ payouts runs list
            no runs
            --- stderr
            --- exit 0
            ");
        }
        shop.payouts(2);
        shop.kill_while_sending();
        // On SQLite only the lease tells; PostgreSQL knows that the session is gone.
        let at_once = match shop.db.backend() {
            Backend::Sqlite => ["process alive"],
            Backend::Postgres => ["process dead"],
        };
        assert_eq!(listed(&shop, &[]), at_once);
        shop.pass(LEASE_OVER);
        for filter in [&["--dead"][..], &["--failed"], &[]] {
            assert_eq!(listed(&shop, filter), ["process dead"], "{filter:?}");
        }
        assert_eq!(listed(&shop, &["--alive"]), [""; 0]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(anywhere(&shop.env.run(&["runs", "show", "last"]).expect_code(0)), @r"
            $ payouts runs show last
            Run        c000000000000000000000001
            Command    payouts process
            By         tester on HOST
            Version    VERSION
            Began      2026-11-02T09:30:00.000Z
            Last seen  2026-11-02T09:30:00.000Z
            Ended      never: it was killed, or its machine went away
            Took       # ms
            Attempts   2 unresolved, 20.00 USD
            History    2 payouts claimed, PROCESSING

            Payout  Attempt  Outcome        Amount  HTTP  Code  Request
            cp0           1  unresolved  10.00 USD
            cp1           1  unresolved  10.00 USD

            Next: run `payouts process`: it looks up at Stripe what this run left, before it sends anything
            --- stderr
            --- exit 0
            ");
        }
        shop.process(&[]).expect_code(0);
        assert_eq!(listed(&shop, &[]), ["process ended", "process dead"]);
    }

    fn failures_beyond_the_first_twenty_are_counted(db: TestDb) {
        let shop = Shop::open(db);
        shop.payouts(25);
        for payout in 0..25 {
            shop.fault(&format!("c{payout}"), Fault::Error500Before, 9);
        }
        shop.process(&[]).expect_code(5);
        let shown = shop.env.run(&["runs", "show", "last", "-o", "json"]).expect_code(0);
        let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
        assert_eq!(shown["failures"].as_array().map(Vec::len), Some(20));
        assert_eq!(shown["attempts"][0]["outcome"], "unknown");
        assert_eq!((&shown["attempts"][0]["count"], &shown["attempts"][0]["amount_cents"]), (&25.into(), &25_000.into()));
        assert_eq!(shown["run"]["exit_code"], 5);
    }
}

#[test]
fn a_list_fits_a_narrow_terminal() {
    let shop = shop_with_runs(TestDb::sqlite());
    insta::assert_snapshot!(anywhere(&shop.env.run_in_terminal(80, &["runs", "list"], &[])), @r"
    $ payouts runs list
    Run                        Began             Command    Ended  Summary
    c000000000000000000000001  2026-11-02 11:30  reconcile  0      0 findings open,…
    c000000000000000000000002  2026-11-02 10:30  process    1      2 paid, 30.00…
    c000000000000000000000003  2026-11-02 09:30  create     0      created 3…

    3 runs: 2 succeeded, 1 failed, 0 without an end
    --- stderr
    --- exit 0
    ");
}
