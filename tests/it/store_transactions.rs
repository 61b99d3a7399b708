//! What one transaction of the store sees, and what is left when it fails.

use std::thread;

use payouts::model::attempt::AttemptOutcome;
use payouts::model::ids::{PayoutId, RunId};
use payouts::model::payout::PayoutStatus;
use payouts::model::time::Clock;

use crate::common::catalog::words;
use crate::common::db::{TestDb, on_both};
use crate::common::store::open;
use crate::store_history::Run;

on_both! {
    fn a_transaction_that_failed_leaves_the_store_usable(db: TestDb) {
        let mut run = Run::on(&db);
        let stamp = run.stamp.clone();
        run.stamp.run_id = RunId::new("nobody");
        run.claim().unwrap_err();
        run.stamp = stamp;
        assert_eq!(run.claim().unwrap().len(), 2);
    }
}

/// Other software pays a payout while the store reads about it, table by table: it must see either
/// all of that or nothing of it.
#[test]
fn a_read_of_many_statements_sees_one_state() {
    let db = TestDb::postgres();
    let run = Run::on(&db);
    let mut store = open(
        &format!("{}&application_name=reads_slowly", db.url()),
        Clock::system(),
    );
    let mut other = db.session();
    // The read comes past `payouts`, and no further for now.
    other.execute("BEGIN; LOCK TABLE payout_attempts IN ACCESS EXCLUSIVE MODE");
    let candidate = thread::scope(|scope| {
        let reader = scope
            .spawn(move || store.candidate(&PayoutId::new("p1"), &crate::common::seed::rules()));
        let blocked = "SELECT count(*) FROM pg_stat_activity
                       WHERE application_name = 'reads_slowly' AND wait_event_type = 'Lock'";
        while words(&db.query_strings(blocked)[0]) != ["1"] {
            thread::yield_now();
        }
        other.execute(&format!(
            "INSERT INTO payout_attempts (payout_id, attempt, idempotency_key, body, amount_cents, currency, destination,
                transfer_group, stripe_account, livemode, api_version, run_id, outcome, created_at, first_sent_at)
             VALUES ('p1', 1, 'k', '', 1000, 'usd', 'd', 'g', 's', FALSE, 'v', '{}', 'paid', '2026-10-01', '2026-10-01');
             UPDATE payouts SET status = 'COMPLETED' WHERE id = 'p1';
             COMMIT",
            run.stamp.run_id
        ));
        reader
            .join()
            .expect("no panic")
            .unwrap()
            .expect("the payout exists")
    });
    let seen = (candidate.payout.status, candidate.last_attempt);
    assert!(
        [
            (PayoutStatus::Pending, None),
            (PayoutStatus::Completed, Some((1, AttemptOutcome::Paid))),
        ]
        .contains(&seen),
        "{seen:?}"
    );
}
