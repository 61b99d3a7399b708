//! What the drivers report, as the store's own errors: each is provoked, because both databases say
//! the important ones in words only. Lock time-outs and a full disk of SQLite are provoked inside
//! `store/dialect.rs`, where the limits of one connection can be set.

use payouts::model::ids::{PayoutId, RunId};
use payouts::model::run::liveness_lock;
use payouts::model::time::Clock;
use payouts::store::{RunDescription, RunStamp, Setting, StoreError};

use crate::common::catalog::words;
use crate::common::db::{Backend, TestDb, on_both};
use crate::common::store::open;
use crate::store_history::Run;

on_both! {
    fn what_must_be_unique_is_named(db: TestDb) {
        let mut run = Run::on(&db);
        db.execute(&format!(
            "INSERT INTO payout_attempts (payout_id, attempt, idempotency_key, body, amount_cents, currency, destination,
                transfer_group, stripe_account, livemode, api_version, run_id, outcome, created_at, first_sent_at)
             VALUES ('other', 1, 'payout_p1_1', '', 1, 'usd', 'd', 'g', 's', FALSE, 'v', '{}', 'paid',
                '2026-10-01 00:00:00', '2026-10-01 00:00:00')",
            run.stamp.run_id
        ));
        let named = match db.backend() {
            Backend::Sqlite => "payout_attempts.idempotency_key",
            Backend::Postgres => "payout_attempts_idempotency_key_key",
        };
        let error = run.claim().unwrap_err();
        assert!(matches!(&error, StoreError::Unique { what } if what == named), "{error:?}");
        assert!(!error.is_transient());
        nothing_was_claimed(&db);
    }

    fn a_missing_parent_row_is_refused(db: TestDb) {
        let mut run = Run::on(&db);
        run.stamp = RunStamp { run_id: RunId::new("nobody"), actor: "nobody".to_owned() };
        let error = run.claim().unwrap_err();
        let StoreError::Database { source } = &error else { panic!("{error:?}") };
        assert!(source.to_string().to_lowercase().contains("foreign key"), "{source}");
        assert!(!error.is_transient());
        nothing_was_claimed(&db);
    }

    fn a_missing_row_is_not_found_and_not_an_error_of_the_database(db: TestDb) {
        let mut store = db.migrated();
        assert!(store.candidate(&PayoutId::new("p"), &crate::common::seed::rules()).unwrap().is_none());
        let seen = store.run_seen(&RunId::new("nobody")).unwrap_err();
        assert!(matches!(&seen, StoreError::Corrupt(text) if text.contains("run nobody")), "{seen:?}");
    }
}

fn nothing_was_claimed(db: &TestDb) {
    assert_eq!(
        db.query_strings("SELECT DISTINCT status FROM payouts"),
        [[Some("PENDING".to_owned())]]
    );
    assert_eq!(
        db.query_strings("SELECT count(*) FROM payout_history"),
        [[Some("0".to_owned())]]
    );
}

/// PostgreSQL's own words for a lock that is not given back, without waiting the 30 seconds that a
/// session of the store would: a trigger lowers its patience.
#[test]
fn a_lock_that_postgresql_does_not_get_is_busy() {
    let db = TestDb::postgres();
    let mut store = db.migrated();
    db.execute(
        "CREATE FUNCTION impatient() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM set_config('lock_timeout', '20ms', true);
            LOCK TABLE payout_runs IN EXCLUSIVE MODE;
            RETURN NEW;
        END $$;
        CREATE TRIGGER impatient BEFORE INSERT ON payout_settings FOR EACH ROW EXECUTE FUNCTION impatient()",
    );
    let mut other = db.session();
    other.execute("BEGIN; LOCK TABLE payout_runs IN EXCLUSIVE MODE");

    let error = store.watermark_advance(store.clock().now()).unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
    assert!(error.is_transient());

    other.execute("ROLLBACK");
    store.watermark_advance(store.clock().now()).unwrap();
}

// --- a connection that breaks ----------------------------------------------------------------------------------------

/// Ends the sessions that call themselves `name`, and waits until they are gone.
fn terminate(db: &TestDb, name: &str) {
    let ended = db.query_strings(&format!(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = '{name}'"
    ));
    assert_eq!(ended, [[Some("1".to_owned())]]);
}

#[test]
fn a_broken_connection_is_lost_until_it_is_made_anew() {
    let db = TestDb::postgres();
    db.migrated();
    let url = format!("{}&application_name=broken_idle", db.url());
    let mut store = open(&url, Clock::system());
    store.watermark_advance(store.clock().now()).unwrap();

    terminate(&db, "broken_idle");

    // Also on the second try, and whether it writes or reads.
    for _ in 0..2 {
        let error = store.setting(Setting::Watermark).unwrap_err();
        assert!(matches!(error, StoreError::Lost { .. }), "{error:?}");
        assert!(error.is_transient());
        let error = store.watermark_advance(store.clock().now()).unwrap_err();
        assert!(matches!(error, StoreError::Lost { .. }), "{error:?}");
        let error = store.stamp().unwrap_err();
        assert!(matches!(error, StoreError::Lost { .. }), "{error:?}");
    }
    store.reconnect().unwrap();
    assert!(store.setting(Setting::Watermark).unwrap().is_some());
    store.watermark_advance(store.clock().now()).unwrap();
}

#[test]
fn a_connection_that_breaks_inside_a_transaction_is_lost() {
    let db = TestDb::postgres();
    db.migrated();
    let url = format!("{}&application_name=broken_inside", db.url());
    let mut store = open(&url, Clock::system());
    let mut other = db.session();
    other.execute("BEGIN; LOCK TABLE payout_settings IN EXCLUSIVE MODE");
    std::thread::scope(|scope| {
        let waits = scope.spawn(move || {
            let error = store.watermark_advance(store.clock().now()).unwrap_err();
            (error, store)
        });
        let blocked = "SELECT count(*) FROM pg_stat_activity
                       WHERE application_name = 'broken_inside' AND wait_event_type = 'Lock'";
        while words(&db.query_strings(blocked)[0]) != ["1"] {
            std::thread::yield_now();
        }
        terminate(&db, "broken_inside");
        let (error, mut store) = waits.join().expect("no panic");
        assert!(matches!(error, StoreError::Lost { .. }), "{error:?}");
        other.execute("ROLLBACK");
        store.reconnect().unwrap();
        // Nothing of the transaction was kept.
        assert_eq!(store.setting(Setting::Watermark).unwrap(), None);
    });
}

#[test]
fn a_run_is_alive_again_after_its_connection_was_made_anew() {
    let db = TestDb::postgres();
    db.migrated();
    let url = format!("{}&application_name=broken_run", db.url());
    let mut store = open(&url, Clock::system());
    let stamp = store
        .run_begin(RunDescription {
            command: "process".to_owned(),
            arguments: String::new(),
            actor: "tester".to_owned(),
            host: "host".to_owned(),
        })
        .unwrap();
    let taken_by_others = || {
        let key = liveness_lock(&stamp.run_id);
        let row = db.query_strings(&format!("SELECT pg_try_advisory_lock({key})"));
        words(&row[0]) == ["1"]
    };
    assert!(!taken_by_others());
    terminate(&db, "broken_run");
    assert!(taken_by_others());
    store.reconnect().unwrap();
    assert!(!taken_by_others());
    drop(store);
    assert!(taken_by_others());
}
