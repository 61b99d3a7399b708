//! The promise, under schedules drawn from a seed: the real engine, on both databases, over the real
//! HTTP client and sockets, with Stripe's own books as the judge.
//!
//! Bounded by default. `PAYOUTS_TEST_MINUTES=30` goes on for so long on each database, and
//! `PAYOUTS_TEST_SCHEDULES=10000` for so many schedules, beginning at
//! `PAYOUTS_TEST_SEED`; schedule n of a run has the seed `PAYOUTS_TEST_SEED + n`, so that a failing
//! one is repeated by `PAYOUTS_TEST_SEED=… PAYOUTS_TEST_SCHEDULES=1`. `PAYOUTS_TEST_PLANTED=all` looks
//! for every planted bug, not only some.

mod judge;
mod schedule;
mod tally;
mod world;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use payouts::failpoint::{ALL, Action, Failure, PLANTED, Trap};
use payouts::sandbox::Fault;

use crate::common::db::Backend;
use crate::common::outside;
use judge::{Judge, LastRun, Violation};
use schedule::{Dice, Foreign, Misfortune, Op, Payee, Run, plain};
use tally::Tally;
use world::{Finished, World};

/// Schedules of a usual run.
const SCHEDULES: u64 = 200;
/// From so many schedules on, everything must have happened.
const SCHEDULES_FOR_FLOORS: u64 = 200;
/// Worlds in which schedules happen side by side.
const WORLDS: usize = 2;
/// After so many broken promises a run ends.
const BROKEN_MAX: usize = 5;
/// A planted bug must be found within this time.
const FOUND_WITHIN: Duration = Duration::from_secs(60);
/// By streams of schedules from so many seeds.
const SEEDS: u64 = 5;

fn number(variable: &str) -> Option<u64> {
    let text = outside(variable)?.into_string().ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|error| panic!("{variable}={text}: {error}")),
    )
}

/// A line for whoever watches a long run.
#[expect(clippy::print_stdout, reason = "a long run is watched")]
fn tell(line: &str) {
    println!("{line}");
}

/// Runs a schedule to its end.
fn run(world: &mut World, ops: &[Op], mut tally: Option<&mut Tally>) -> Result<(), Violation> {
    world.reset();
    let mut judge = Judge::default();
    for op in ops {
        judge.before(world, op);
        let finished = world.step(op);
        if let Some(tally) = &mut tally {
            tally.step(op, &finished);
        }
        judge.after(world, op, &finished)?;
    }
    let last = settle(world, &mut judge)?;
    judge.at_the_end(world, &last)?;
    if let Some(tally) = tally {
        tally.schedule(world);
    }
    Ok(())
}

/// Nothing goes wrong any more, and time passes: everything that can come to rest does. Gives how
/// the last run ended.
fn settle(world: &mut World, judge: &mut Judge) -> Result<LastRun, Violation> {
    step(world, judge, &Op::FaultsEnd)?;
    while !world.asleep.is_empty() {
        step(world, judge, &Op::Wake { kill: false })?;
    }
    step(world, judge, &Op::Release)?;
    step(world, judge, &Op::Balance(1_000_000))?;
    if !world.rows("SELECT 1 FROM payout_holds").is_empty() {
        step(world, judge, &Op::Unhold)?;
    }
    let mut last = LastRun::default();
    // The last time whatever was listed late is listed, and a lost payout with it.
    for wait in [700, 700, 240_000] {
        if wait > 100_000 && !judge.late {
            break;
        }
        step(world, judge, &Op::Pass(wait))?;
        for _ in 0..3 {
            let finished = step(world, judge, &Op::Process(plain()))?;
            let Some(ended) = finished.into_iter().next().and_then(|one| one.ended) else {
                continue;
            };
            last = LastRun::of(&ended);
            if ended.forgotten {
                // What cannot be repaired is known once a person says so.
                step(world, judge, &Op::Reconcile(None))?;
                step(world, judge, &Op::Accept)?;
                continue;
            }
            // What one payout left of a statement is seen by the next run.
            let report = ended.report.unwrap_or_default();
            if report.paid + report.adopted == 0 {
                break;
            }
        }
        if last.code == 0 && !judge.late {
            break;
        }
    }
    Ok(last)
}

fn step(world: &mut World, judge: &mut Judge, op: &Op) -> Result<Vec<Finished>, Violation> {
    judge.before(world, op);
    let finished = world.step(op);
    judge.after(world, op, &finished)?;
    Ok(finished)
}

/// Leaves out what is not needed for the promise to be broken.
fn shrunk(world: &mut World, mut ops: Vec<Op>, violation: &Violation) -> Vec<Op> {
    let mut place = 0;
    while place < ops.len() {
        let mut fewer = ops.clone();
        fewer.remove(place);
        match run(world, &fewer, None) {
            Err(found) if found.promise == violation.promise => ops = fewer,
            _ => place += 1,
        }
    }
    ops
}

fn listed(ops: &[Op]) -> String {
    let lines: Vec<String> = ops
        .iter()
        .enumerate()
        .map(|(at, op)| format!("  {:2}. {op}", at + 1))
        .collect();
    lines.join("\n")
}

fn keeps_the_promise(backend: Backend) {
    let seed = number("PAYOUTS_TEST_SEED").unwrap_or(1);
    let minutes = number("PAYOUTS_TEST_MINUTES");
    let enough = minutes.map_or(SCHEDULES, |_| u64::MAX);
    let schedules = number("PAYOUTS_TEST_SCHEDULES").unwrap_or(enough);
    let until = minutes.map_or(Duration::MAX, |minutes| Duration::from_secs(minutes * 60));
    let begun = Instant::now();
    let seeds = Mutex::new(seed..seed.saturating_add(schedules));
    let broken = Mutex::new(Vec::new());
    let next = || {
        let broken = broken.lock().expect("no world holds it when it panics");
        let goes_on = broken.len() < BROKEN_MAX && begun.elapsed() < until;
        let mut seeds = seeds.lock().expect("no world holds it when it panics");
        seeds.next().filter(|_| goes_on)
    };
    let in_a_world = || {
        let mut world = World::new(backend);
        let mut tally = Tally::default();
        while let Some(seed) = next() {
            if seed.is_multiple_of(1000) {
                tell(&format!(
                    "{backend}: seed {seed} after {} s",
                    begun.elapsed().as_secs()
                ));
            }
            let ops = Dice::new(seed).schedule();
            let Err(violation) = run(&mut world, &ops, Some(&mut tally)) else {
                continue;
            };
            let shortest = shrunk(&mut world, ops.clone(), &violation);
            let said = format!(
                "on {backend}, seed {seed}: {}: {}\nall of it:\n{}\nthe shortest:\n{}",
                violation.promise,
                violation.how,
                listed(&ops),
                listed(&shortest)
            );
            tell(&said);
            let mut broken = broken.lock().expect("no world holds it when it panics");
            broken.push(said);
        }
        tally
    };
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let worlds: Vec<_> = (0..WORLDS).map(|_| scope.spawn(in_a_world)).collect();
        for world in worlds {
            match world.join() {
                Ok(of_world) => tally.add(of_world),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    let broken = broken.into_inner().expect("no world is left");
    let took = begun.elapsed();
    tell(&format!(
        "{backend}, seeds {seed}.., {} ms: {tally}",
        took.as_millis()
    ));
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
    if tally.schedules >= SCHEDULES_FOR_FLOORS {
        assert_eq!(tally.missing(), [""; 0], "never met on {backend}");
    }
}

#[test]
fn no_schedule_breaks_the_promise_on_sqlite() {
    keeps_the_promise(Backend::Sqlite);
}

#[test]
fn no_schedule_breaks_the_promise_on_postgres() {
    keeps_the_promise(Backend::Postgres);
}

/// Schedules that broke the promise once, as short as they could be made.
fn found_before() -> Vec<(&'static str, Vec<Op>)> {
    let payouts = |count| Op::Payouts {
        count,
        to: Payee::Usual,
    };
    let trapped = |at, action| {
        Op::Process(Run {
            workers: 1,
            trap: Some(Trap { at, nth: 1, action }),
            ..plain()
        })
    };
    let stripe_fails = |fault, times| {
        Op::Fault(Misfortune {
            fault,
            on: Some("transfers.create"),
            times,
            late_seconds: None,
            retry_after: None,
        })
    };
    vec![
        (
            "a request that waits in its connection for a day is a second transfer",
            vec![
                payouts(2),
                trapped("record.before", Action::Stall),
                Op::Pass(130),
                Op::Process(plain()),
                Op::Pass(90_000),
                Op::Wake { kill: false },
                Op::Process(plain()),
            ],
        ),
        (
            "the same between the gate and the connection",
            vec![
                payouts(1),
                trapped("send.before", Action::Stall),
                Op::Pass(130),
                Op::Process(plain()),
                Op::Pass(90_000),
                Op::Wake { kill: false },
                Op::Process(plain()),
            ],
        ),
        (
            "a claim whose COMMIT was not answered is left open without a word",
            vec![
                payouts(1),
                trapped("claim.committed", Action::Fail(Failure::Passing)),
            ],
        ),
        (
            "a restored database lets go of what it forgot to have sent, by look-ups from before that",
            vec![
                payouts(1),
                stripe_fails(Fault::ResetBefore, 6),
                Op::Process(plain()),
                Op::Pass(4000),
                Op::LookAgain(None),
                Op::Backup,
                Op::Pass(70_000),
                stripe_fails(Fault::ExecuteLate, 1),
                Op::Process(plain()),
                Op::Restore,
                Op::Pass(9000),
                Op::LetGo(None),
                Op::Process(plain()),
                Op::Release,
            ],
        ),
    ]
}

fn keeps_the_promise_again(backend: Backend) {
    let mut world = World::new(backend);
    for (what, ops) in found_before() {
        if let Err(violation) = run(&mut world, &ops, None) {
            let (promise, how) = (violation.promise, violation.how);
            panic!("on {backend}, {what}: {promise}: {how}");
        }
    }
}

#[test]
fn what_was_found_once_is_mended_on_sqlite() {
    keeps_the_promise_again(Backend::Sqlite);
}

#[test]
fn what_was_found_once_is_mended_on_postgres() {
    keeps_the_promise_again(Backend::Postgres);
}

/// What leads to a failpoint.
fn way_to(at: &'static str, action: Action, workers: usize) -> Vec<Op> {
    let trap = Some(Trap { at, nth: 1, action });
    let payouts = |to| Op::Payouts { count: 3, to };
    let undisturbed = || Op::Process(plain());
    let trapped = Op::Process(Run {
        workers,
        trap,
        ..plain()
    });
    let mut ops = match at.split('.').next().unwrap_or_default() {
        "retry" => vec![
            payouts(Payee::Incapable),
            undisturbed(),
            Op::Capability(true),
            Op::Retry(trap),
            undisturbed(),
        ],
        "approve" => vec![
            payouts(Payee::Usual),
            Op::Approve(trap),
            Op::Process(Run {
                approvals: true,
                ..plain()
            }),
            undisturbed(),
        ],
        "cancel" => vec![payouts(Payee::Usual), Op::Cancel(trap), undisturbed()],
        "hold" => vec![
            payouts(Payee::Usual),
            Op::Hold { all: false, trap },
            undisturbed(),
        ],
        "restore" => vec![
            Op::Backup,
            payouts(Payee::Usual),
            undisturbed(),
            Op::Restore,
            Op::Reconcile(trap),
        ],
        "reversal" | "finding" | "reconcile" | "progress" | "reconciliation" => vec![
            payouts(Payee::Usual),
            undisturbed(),
            Op::Reverse { all: false },
            Op::Reconcile(trap),
        ],
        "event" | "event_settle" | "pull" => vec![
            payouts(Payee::Usual),
            undisturbed(),
            Op::Reverse { all: false },
            Op::Pull(trap),
            Op::Pull(None),
        ],
        "mark" => vec![
            Op::Statement,
            undisturbed(),
            Op::ForeignUnmarks,
            Op::Reconcile(trap),
        ],
        "look_up" | "let_go" => vec![
            payouts(Payee::Usual),
            Op::Fault(Misfortune {
                fault: Fault::Error500Before,
                on: Some("transfers.create"),
                times: 3,
                late_seconds: None,
                retry_after: None,
            }),
            undisturbed(),
            Op::Pass(4000),
            Op::LookAgain(trap.filter(|trap| trap.at.starts_with("look_up"))),
            Op::Pass(4000),
            Op::LookAgain(None),
            Op::Pass(4000),
            Op::LetGo(trap),
            Op::LetGo(None),
        ],
        "adopt" => vec![
            Op::Foreign(Foreign::Clean),
            Op::ForeignPays { named: true },
            trapped,
        ],
        "take_over" => vec![
            payouts(Payee::Usual),
            Op::Process(Run {
                trap: Some(Trap {
                    at: "send.before",
                    nth: 1,
                    action: Action::Kill,
                }),
                ..plain()
            }),
            Op::Pass(130),
            trapped,
        ],
        _ => vec![payouts(Payee::Usual), trapped],
    };
    // What sleeps is taken over meanwhile.
    ops.extend([
        Op::Pass(130),
        undisturbed(),
        Op::Wake { kill: false },
        undisturbed(),
    ]);
    ops
}

fn every_failpoint(backend: Backend) {
    let all = [
        Action::Kill,
        Action::Fail(Failure::Passing),
        Action::Fail(Failure::Lasting),
        Action::Stall,
    ];
    // A usual run kills; a long one does everything, with one sender and with four.
    let (actions, workers) = match number("PAYOUTS_TEST_MINUTES") {
        Some(_) => (&all[..], &[1, 4][..]),
        None => (&all[..1], &[4][..]),
    };
    let mut world = World::new(backend);
    for at in ALL {
        for action in actions {
            for workers in workers {
                let mut tally = Tally::default();
                let ops = way_to(at, *action, *workers);
                if let Err(violation) = run(&mut world, &ops, Some(&mut tally)) {
                    let (promise, how) = (violation.promise, violation.how);
                    panic!(
                        "{backend}, {action:?} at {at}: {promise}: {how}\n{}",
                        listed(&ops)
                    );
                }
                assert!(
                    tally.sprang(at),
                    "{action:?} at {at} never happened:\n{}",
                    listed(&ops)
                );
            }
        }
    }
}

#[test]
fn every_failpoint_is_survived_on_sqlite() {
    every_failpoint(Backend::Sqlite);
}

#[test]
fn every_failpoint_is_survived_on_postgres() {
    every_failpoint(Backend::Postgres);
}

/// How long each seed's schedules take to find a bug.
fn found(world: &mut World, bug: &'static str, seed: u64) -> Option<(u64, Duration, Violation)> {
    let begun = Instant::now();
    world.planted = Some(bug);
    let mut tried = 0;
    while begun.elapsed() < FOUND_WITHIN {
        tried += 1;
        let ops = Dice::new(seed * 1_000_000 + tried).schedule();
        if let Err(violation) = run(world, &ops, None) {
            return Some((tried, begun.elapsed(), violation));
        }
    }
    None
}

#[test]
fn planted_bugs_are_found() {
    let all = outside("PAYOUTS_TEST_PLANTED");
    let seeds = if all.is_some() { SEEDS } else { 1 };
    // A usual run looks for three of them, other ones from hour to hour.
    let hour = std::fs::metadata("/proc/self")
        .and_then(|process| process.modified())
        .ok()
        .and_then(|now| now.duration_since(std::time::UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_secs() / 3600);
    let first = usize::try_from(hour).unwrap_or(0) * 3;
    let bugs: Vec<&'static str> = match &all {
        Some(name) if name == "all" => PLANTED.to_vec(),
        Some(name) => PLANTED.into_iter().filter(|bug| name == bug).collect(),
        None => (0..3)
            .map(|n| PLANTED[(first + n) % PLANTED.len()])
            .collect(),
    };
    let mut world = World::new(Backend::Sqlite);
    let mut missed = Vec::new();
    for bug in bugs {
        for seed in 1..=seeds {
            match found(&mut world, bug, seed) {
                Some((tried, took, violation)) => tell(&format!(
                    "{bug}, seed {seed}: found by schedule {tried} after {} ms: {}: {}",
                    took.as_millis(),
                    violation.promise,
                    violation.how
                )),
                None => missed.push(format!("{bug}, seed {seed}")),
            }
        }
    }
    assert_eq!(missed, [""; 0], "planted and not found");
}
