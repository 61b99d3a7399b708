//! Creating payouts when others do the same, and from whatever a file holds.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cell::{Cell, RefCell};
use std::sync::Barrier;
use std::thread;

use payouts::model::money::Currency;
use payouts::ops::create::{CreateError, Created, Job, Rules, Source, create, preview};
use payouts::ops::event::{Event, Pass};
use payouts::ops::table_file::{Arguments, TableFile};
use payouts::store::{RunDescription, RunStamp, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::common::db::{TestDb, on_both};
use crate::common::seed::{creator, migrated, statement};

const RULES: Rules = Rules {
    min_cents: 100,
    max_cents: 1_000_000,
    currency: Currency::USD,
    no_references: false,
    partial: false,
    release: false,
    skip_bad: false,
};

fn begin(store: &mut Store) -> RunStamp {
    let description = RunDescription {
        command: "create".to_owned(),
        arguments: String::new(),
        actor: "tester".to_owned(),
        host: "host".to_owned(),
    };
    store.run_begin(description).unwrap()
}

fn create_from(store: &mut Store, source: &Source<'_>) -> Result<Created, CreateError> {
    let run = begin(store);
    create(store, &run, &mut job(source, &mut |_| ()))
}

fn job<'a>(source: &Source<'a>, tell: &'a mut dyn FnMut(Event)) -> Job<'a> {
    Job {
        source: source.clone(),
        rules: RULES,
        errors: None,
        tell,
    }
}

fn count(db: &TestDb, sql: &str) -> usize {
    db.query_strings(sql)[0][0]
        .as_ref()
        .unwrap()
        .parse()
        .unwrap()
}

fn payouts(db: &TestDb) -> usize {
    count(db, "SELECT COUNT(*) FROM payouts")
}

/// Lets several connections create from the same source at the same moment.
fn at_once(db: &TestDb, writers: usize, source: &Source<'_>) -> Vec<Result<Created, CreateError>> {
    let barrier = Barrier::new(writers);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..writers)
            .map(|_| {
                scope.spawn(|| {
                    let mut store = migrated(db);
                    let run = begin(&mut store);
                    barrier.wait();
                    create(&mut store, &run, &mut job(source, &mut |_| ()))
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

/// What one file says, in pieces that come close to a batch now and then.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let row = (
        prop::sample::select(vec![
            "ann",
            "ben@example.com",
            "acct_ann",
            "nobody",
            "\"an\nn\"",
            "",
        ]),
        prop::sample::select(vec![
            "5",
            "1.50",
            "0.1",
            "1,5",
            "-5",
            "99999999999",
            "\u{ff15}",
            "",
        ]),
        prop::sample::select(vec!["R1", "R2", "R3", "R4", "R5", "R6", ""]),
    );
    let good = (
        prop::sample::select(vec!["ann", "ben"]),
        1_u32..9,
        0_u32..9999,
    )
        .prop_map(|(creator, amount, n)| format!("{creator},{amount},X{n}\n").into_bytes());
    let piece = prop_oneof![
        6 => good,
        2 => row.prop_map(|(c, a, r)| format!("{c},{a},{r}\n").into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    let header = prop_oneof![
        9 => Just(b"creator,amount,reference\n".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    (header, prop::collection::vec(piece, 0..6))
        .prop_map(|(header, pieces)| [header, pieces.concat()].concat())
}

on_both! {
    fn of_many_who_pay_a_statement_one_does(db: TestDb) {
        drop(migrated(&db));
        creator(&db, "ann", "Ann");
        statement(&db, "s1", "ann");
        let arguments: &Arguments<'_> =
            &[("creator", Some("ann")), ("amount", Some("500")), ("statement", Some("s1"))];
        let results = at_once(&db, 6, &Source::One(arguments));
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        for result in &results {
            if let Err(error) = result {
                let CreateError::Faults { faults } = error else { panic!("{error:?}") };
                assert!(faults.first[0].reason.contains("in flight"), "{faults:?}");
            }
        }
        assert_eq!(payouts(&db), 1);
    }

    fn of_many_who_load_a_file_one_does(db: TestDb) {
        drop(migrated(&db));
        creator(&db, "ann", "Ann");
        let rows = (0..500).map(|n| format!("ann,5,R{n}\n")).collect::<Vec<_>>().concat();
        let file = TableFile::read("t.csv", format!("creator,amount,reference\n{rows}").as_bytes()).unwrap();
        let results = at_once(&db, 4, &Source::File(&file));
        let mut created = 0;
        for result in results {
            let done = result.unwrap();
            created += done.created;
            assert_eq!(done.created + done.already_loaded_count(), 500);
            assert_eq!(done.loaded_before.is_some(), done.created == 0);
        }
        assert_eq!((created, payouts(&db)), (500, 500));
        assert_eq!(count(&db, "SELECT COUNT(*) FROM payout_history"), 500);
        assert_eq!(count(&db, "SELECT COUNT(*) FROM payout_holds"), 1);
    }

    fn of_many_who_use_a_reference_one_creates(db: TestDb) {
        drop(migrated(&db));
        creator(&db, "ann", "Ann");
        let arguments: &Arguments<'_> =
            &[("creator", Some("ann")), ("amount", Some("5")), ("reference", Some("R"))];
        let results = at_once(&db, 6, &Source::One(arguments));
        let created: usize = results.into_iter().map(|result| result.unwrap().created).sum();
        assert_eq!((created, payouts(&db)), (1, 1));
    }

    fn what_changes_between_the_check_and_the_write_creates_nothing(db: TestDb) {
        let mut store = migrated(&db);
        creator(&db, "ann", "Ann");
        creator(&db, "ben", "Ben");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        let text = |last: &str| {
            let rows = (0..6_000).map(|n| format!("ann,5,R{n:0>200}\n")).collect::<Vec<_>>().concat();
            format!("creator,amount,reference\n{rows}{last},5,R-last\n")
        };
        std::fs::write(&path, text("ben")).unwrap();
        let file = TableFile::open(&path).unwrap();
        let run = begin(&mut store);
        // The creator of the last row is deleted once all rows were checked.
        let mut passes = Vec::new();
        let mut tell = |event: Event| {
            let Event::Rows { pass, done, .. } = event else { return };
            passes.push((pass, done));
            if (pass, done) == (Pass::Checking, 6_001) {
                db.execute(r#"UPDATE creators SET "deletedAt" = '2026-01-01 00:00:00' WHERE id = 'ben'"#);
            }
        };
        let refused = create(&mut store, &run, &mut job(&Source::File(&file), &mut tell)).unwrap_err();
        let CreateError::Faults { faults } = refused else { panic!("{refused:?}") };
        assert_eq!((faults.count, faults.first[0].line), (1, Some(6_002)));
        // Checked, written in part and given up, and checked again.
        let check = [(Pass::Checking, 5_000), (Pass::Checking, 6_001)];
        assert_eq!(passes, [check[0], check[1], (Pass::Writing, 5_000), (Pass::Writing, 6_001), check[0], check[1]]);
        assert_eq!(payouts(&db), 0);
        // Somebody writes to the file once all rows were checked.
        let mut tell = |event: Event| {
            if matches!(event, Event::Rows { pass: Pass::Checking, done: 6_001, .. }) {
                std::fs::write(&path, text("ann").replace("ann,5,", "ann,6,")).unwrap();
            }
        };
        std::fs::write(&path, text("ann")).unwrap();
        let file = TableFile::open(&path).unwrap();
        let refused = create(&mut store, &run, &mut job(&Source::File(&file), &mut tell)).unwrap_err();
        assert!(refused.to_string().ends_with("t.csv was changed while it was read"), "{refused:?}");
        assert_eq!((payouts(&db), count(&db, "SELECT COUNT(*) FROM payout_history")), (0, 0));
    }

    fn whatever_a_file_holds_is_created_whole_or_not_at_all(db: TestDb) {
        let store = RefCell::new(migrated(&db));
        creator(&db, "ann", "Ann");
        creator(&db, "ben", "Ben");
        let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
        let (refused, written) = (Cell::new(0), Cell::new(0));
        runner
            .run(&bytes(), |bytes| {
                let mut store = store.borrow_mut();
                let file = TableFile::read("t.csv", bytes.as_slice()).unwrap();
                let source = Source::File(&file);
                let before = payouts(&db);
                let previewed = preview(&mut store, &mut job(&source, &mut |_| ()));
                prop_assert_eq!(payouts(&db), before, "a preview writes nothing");
                match create_from(&mut store, &source) {
                    Ok(created) => {
                        let previewed = previewed.unwrap();
                        prop_assert_eq!(previewed.created, created.created);
                        prop_assert_eq!(previewed.total_cents, created.total_cents);
                        prop_assert_eq!(created.payouts.len(), created.created);
                        prop_assert_eq!(payouts(&db), before + created.created);
                        written.set(written.get() + created.created);
                    }
                    Err(CreateError::Faults { faults }) => {
                        let Err(CreateError::Faults { faults: previewed }) = previewed else {
                            return Err(TestCaseError::fail("the preview found no fault"));
                        };
                        prop_assert_eq!(previewed, faults);
                        prop_assert_eq!(payouts(&db), before);
                        refused.set(refused.get() + 1);
                    }
                    Err(error) => return Err(TestCaseError::fail(error.to_string())),
                }
                Ok(())
            })
            .unwrap();
        let (refused, written) = (refused.get(), written.get());
        assert!(refused > 10 && written > 10, "both happen: {refused} refused, {written} created");
        let whole = "SELECT COUNT(*) FROM payouts p JOIN payout_batch_items i ON i.payout_id = p.id
            JOIN payout_batches b ON b.id = i.batch_id JOIN payout_history h ON h.payout_id = p.id";
        assert_eq!(count(&db, whole), payouts(&db));
        let sums = "SELECT COUNT(*) FROM payout_batches b WHERE b.total_cents <> (SELECT SUM(p.amount_cents)
            FROM payouts p JOIN payout_batch_items i ON i.payout_id = p.id WHERE i.batch_id = b.id)";
        assert_eq!(count(&db, sums), 0);
    }
}
