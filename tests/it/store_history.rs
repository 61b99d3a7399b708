//! The history of a payout: a chain that can be checked from its rows alone, that nobody changes
//! by an ordinary statement, and whose end is known.

use std::sync::Arc;
use std::time::Duration;

use payouts::model::history::{HistoryEvent, HistoryRow, chain_hash, hex};
use payouts::model::ids::{PayoutId, RunId};
use payouts::model::money::Currency;
use payouts::model::payout::{PayoutStatus, SendRules};
use payouts::model::time::Clock;
use payouts::store::queue::{AttemptTerms, ClaimTerms, QueueFilter, QueueRequest};
use payouts::store::settle::{Recorded, Resolution, Settlement};
use payouts::store::{RunDescription, RunStamp, Store, StoreError};
use sha2::{Digest as _, Sha256};

use crate::common::catalog::words;
use crate::common::db::{Backend, TestDb, on_both};
use crate::common::env::NOW;

/// A run of `process` on a database with two payouts that are due.
pub(crate) struct Run {
    pub(crate) store: Store,
    pub(crate) stamp: RunStamp,
    pub(crate) clock: Clock,
}

impl Run {
    pub(crate) fn on(db: &TestDb) -> Self {
        db.migrated();
        db.execute(
            r#"INSERT INTO users (id, email, "updatedAt") VALUES ('u', 'ann@example.com', '2026-01-01 00:00:00');
            INSERT INTO creators (id, "userId", "stageName", "stripeAccountId", "updatedAt")
            VALUES ('ann', 'u', 'Ann', 'acct_ann', '2026-01-01 00:00:00');
            INSERT INTO payouts (id, creator_id, amount_cents, created_at, updated_at)
            VALUES ('p1', 'ann', 1000, '2026-10-01 00:00:00', '2026-10-01 00:00:00'),
                   ('p2', 'ann', 2000, '2026-10-02 00:00:00', '2026-10-02 00:00:00');
            INSERT INTO payout_batch_items (payout_id) VALUES ('p1'), ('p2')"#,
        );
        let clock = Clock::manual(NOW.parse().expect("a time in RFC 3339"));
        let mut store = db.store_at(clock.clone());
        let stamp = store
            .run_begin(RunDescription {
                command: "process".to_owned(),
                arguments: String::new(),
                actor: "Zoë \"the treasurer\"".to_owned(),
                host: "host".to_owned(),
            })
            .expect("a run begins");
        Self {
            store,
            stamp,
            clock,
        }
    }

    /// Claims what is due, as this run.
    pub(crate) fn claim(&mut self) -> Result<Vec<PayoutId>, StoreError> {
        let request = QueueRequest {
            filter: QueueFilter::default(),
            after: None,
            until: None,
            rules: SendRules {
                min_cents: 1,
                max_cents: i32::MAX,
                ..crate::common::seed::rules()
            },
            searched: Arc::default(),
            agreed: None,
            in_doubt: Arc::default(),
        };
        let terms = ClaimTerms {
            day: None,
            payouts_max: 100,
            rows_max: 100,
            total_max_cents: i64::MAX,
            attempt: AttemptTerms {
                currency: Currency::USD,
                stripe_account: "acct_platform".to_owned(),
                livemode: false,
                api_version: "2026-01-01".to_owned(),
                database_id: "d".to_owned(),
                stripe_ahead_millis: 0,
                body: |_, _, _| "amount=1".to_owned(),
            },
        };
        let window = self.store.queue_claim(&self.stamp, &request, &terms)?;
        Ok(window
            .claimed
            .into_iter()
            .map(|claimed| claimed.payout.id)
            .collect())
    }

    fn settle(&mut self, payout: &str, resolution: Resolution) {
        self.clock.advance(Duration::from_millis(7));
        let settlement = Settlement {
            payout_id: PayoutId::new(payout),
            attempt: 1,
            amount_cents: 1000,
            resolution,
            last: None,
            answers: Vec::new(),
        };
        let recorded = self.store.attempts_settle(&self.stamp, &[settlement]);
        assert_eq!(recorded.expect("it is recorded"), [Recorded::Done]);
    }

    fn history(&mut self, payout: &str) -> Vec<HistoryRow> {
        self.store
            .history_of(&PayoutId::new(payout))
            .expect("the history is read")
    }
}

/// A payout that was claimed, given back, claimed again, unknown, and paid in the end.
fn long_history(db: &TestDb) -> Run {
    let mut run = Run::on(db);
    assert_eq!(run.claim().unwrap().len(), 2);
    let because = |reason: &str| reason.to_owned();
    run.settle(
        "p1",
        Resolution::NotSent {
            reason: because("réseau 'down'\nthen up"),
        },
    );
    assert_eq!(run.claim().unwrap(), [PayoutId::new("p1")]);
    run.settle(
        "p1",
        Resolution::Unknown {
            reason: because("no answer"),
            stored_error: false,
        },
    );
    run.settle(
        "p1",
        Resolution::Paid {
            transfer_id: "tr_1".to_owned(),
            at: run.clock.now(),
            adopted: true,
            reversed_cents: 0,
        },
    );
    run
}

/// The places, counted from 1, of rows whose hash is not what the row before and their own fields
/// make.
fn broken_links(rows: &[HistoryRow]) -> Vec<usize> {
    let mut previous = "";
    let mut broken = Vec::new();
    for (place, row) in (1..).zip(rows) {
        if row.hash != chain_hash(previous, row) {
            broken.push(place);
        }
        previous = &row.hash;
    }
    broken
}

/// Changes one field of a row.
type Forge = fn(&mut HistoryRow);

on_both! {
    fn the_chain_verifies_from_its_rows_alone(db: TestDb) {
        let mut run = long_history(&db);
        let rows = run.history("p1");

        let events: Vec<HistoryEvent> = rows.iter().map(|row| row.event).collect();
        assert_eq!(events, [
            HistoryEvent::Claimed,
            HistoryEvent::Returned,
            HistoryEvent::Claimed,
            HistoryEvent::Unknown,
            HistoryEvent::Adopted,
        ]);
        assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(broken_links(&rows), [0; 0]);
        for (row, next) in rows.iter().zip(&rows[1..]) {
            assert_eq!(Some(&row.to_status), next.from_status.as_ref(), "after {row:?}");
            assert!(row.at <= next.at);
        }
        let ends = [&rows[0], &rows[4]].map(|row| (row.from_status.as_deref(), row.to_status.as_str()));
        assert_eq!(ends, [
            (Some(PayoutStatus::Pending.as_str()), PayoutStatus::Processing.as_str()),
            (Some(PayoutStatus::Processing.as_str()), PayoutStatus::Completed.as_str()),
        ]);
        assert!(rows.iter().all(|row| row.actor == run.stamp.actor && row.run_id == run.stamp.run_id));
        assert_eq!(broken_links(&run.history("p2")), [0; 0]);
    }

    fn whatever_is_changed_shows(db: TestDb) {
        let mut run = long_history(&db);
        let rows = run.history("p1");
        let forgeries: [(&str, Forge); 10] = [
            ("payout", |row| row.payout_id = PayoutId::new("p2")),
            ("seq", |row| row.seq += 1),
            ("event", |row| row.event = HistoryEvent::Paid),
            ("from", |row| row.from_status = None),
            ("to", |row| row.to_status.push('X')),
            ("at", |row| row.at = row.at.plus(Duration::from_millis(1))),
            ("actor", |row| row.actor.push('X')),
            ("run", |row| row.run_id = RunId::new("another")),
            ("no reason", |row| row.reason = None),
            ("a moved border", |row| {
                // The same letters in all, cut elsewhere.
                let first = row.to_status.remove(0);
                if let Some(from) = &mut row.from_status {
                    from.push(first);
                }
            }),
        ];
        for (what, forge) in forgeries {
            let mut forged = rows.clone();
            forge(&mut forged[1]);
            assert_eq!(broken_links(&forged), [2], "{what}");
        }
        let mut removed = rows.clone();
        removed.remove(1);
        assert_eq!(broken_links(&removed), [2]);
        let mut swapped = rows.clone();
        swapped.swap(1, 2);
        assert_eq!(broken_links(&swapped), [2, 3, 4]);
    }

    fn the_head_is_the_last_row(db: TestDb) {
        let mut run = long_history(&db);
        for payout in ["p1", "p2"] {
            let rows = run.history(payout);
            let last = rows.last().expect("there is a history");
            let head = format!("SELECT seq, hash FROM payout_history_heads WHERE payout_id = '{payout}'");
            assert_eq!(db.query_strings(&head), [[Some(last.seq.to_string()), Some(last.hash.clone())]]);
        }
        assert_eq!(db.query_strings("SELECT count(*) FROM payout_history_heads"), [[Some("2".to_owned())]]);
    }

    fn no_statement_changes_a_row(db: TestDb) {
        let mut run = long_history(&db);
        let before = run.history("p1");
        let mut session = db.session();
        let copy = "SELECT payout_id, seq, event, from_status, to_status, at, 'somebody', run_id, reason, hash
                    FROM payout_history WHERE payout_id = 'p1' AND seq = 2";
        let mut statements = vec![
            ("UPDATE payout_history SET actor = 'somebody'".to_owned(), "UPDATE refused"),
            ("UPDATE payout_history SET actor = 'somebody' WHERE seq = 2".to_owned(), "UPDATE refused"),
            ("DELETE FROM payout_history".to_owned(), "DELETE refused"),
            ("DELETE FROM payout_history WHERE payout_id = 'p1' AND seq = 5".to_owned(), "DELETE refused"),
            (
                format!("INSERT INTO payout_history {copy} ON CONFLICT (payout_id, seq) DO UPDATE SET actor = excluded.actor"),
                if db.backend() == Backend::Postgres { "UPDATE refused" } else { "this row exists already" },
            ),
        ];
        match db.backend() {
            Backend::Postgres => statements.extend([
                ("TRUNCATE payout_history".to_owned(), "TRUNCATE refused"),
                ("TRUNCATE payout_runs, payout_history CASCADE".to_owned(), "TRUNCATE refused"),
            ]),
            // Deletes the row that is in the way, and fires no trigger for it.
            Backend::Sqlite => statements.extend([
                (format!("INSERT OR REPLACE INTO payout_history {copy}"), "this row exists already"),
                ("UPDATE OR REPLACE payout_history SET seq = 2 WHERE seq = 5".to_owned(), "UPDATE refused"),
            ]),
        }
        for (statement, refused) in statements {
            let refusal = session.refused(&statement);
            assert!(
                refusal.contains(&format!("payout_history is append-only: {refused}")),
                "{statement}: {refusal}"
            );
            assert_eq!(run.history("p1"), before, "after {statement}");
        }
    }

    /// Whoever does it behind the triggers' back is found out.
    fn a_row_changed_by_the_owner_of_the_database_shows(db: TestDb) {
        let mut run = long_history(&db);
        db.execute(match db.backend() {
            Backend::Sqlite => "DROP TRIGGER payout_history_no_update",
            Backend::Postgres => "ALTER TABLE payout_history DISABLE TRIGGER payout_history_no_change",
        });
        db.execute("UPDATE payout_history SET actor = 'somebody' WHERE payout_id = 'p1' AND seq = 2");
        assert_eq!(broken_links(&run.history("p1")), [2]);
    }

    /// The hash over everything a run wrote is missed when rows are cut off together with the head.
    fn a_run_keeps_a_hash_over_what_it_wrote(db: TestDb) {
        let mut run = long_history(&db);
        run.store.run_end(&run.stamp.run_id, 0, "done").unwrap();
        let recorded = words(&db.query_strings("SELECT heads_hash FROM payout_runs")[0]).concat();
        let mut hash = [0_u8; 32];
        for row in run.history("p1").iter().chain(&run.history("p2")) {
            let digest = Sha256::digest(format!("{} {} {}", row.payout_id, row.seq, row.hash));
            for (mine, its) in hash.iter_mut().zip(digest) {
                *mine ^= its;
            }
        }
        assert_eq!(recorded, hex(&hash));
    }
}
