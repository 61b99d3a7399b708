//! What is written is what is read back, on both databases: times to the millisecond, amounts to
//! the cent, and neither further than the founding table's types reach.

use payouts::model::ids::PayoutId;
use payouts::model::time::{Clock, Time};
use payouts::store::{RunDescription, Setting, Store};

use crate::common::catalog::words;
use crate::common::db::{Session, TestDb, on_both};

/// Moments that a sloppy conversion gets wrong.
const MOMENTS: [&str; 9] = [
    "0001-01-01T00:00:00.000Z",
    "1969-12-31T23:59:59.999Z",
    "1970-01-01T00:00:00.001Z",
    "2026-03-29T01:30:00.010Z", // skipped by European summer time
    "2026-10-25T00:30:00.100Z", // twice in European winter time
    "2026-11-02T09:30:00.120Z",
    "2026-11-02T09:30:01.000Z",
    "2028-02-29T23:59:59.999Z",
    "9999-12-31T23:59:59.999Z",
];

fn time(text: &str) -> Time {
    text.parse().expect("a time in RFC 3339")
}

on_both! {
    fn a_time_reads_back_to_the_millisecond(db: TestDb) {
        db.migrated();
        for text in MOMENTS {
            db.execute("DELETE FROM payout_settings WHERE key = 'watermark'");
            let mut store = db.store_at(Clock::manual(time(text)));
            store.watermark_advance(time("2026-01-01T00:00:00.000Z")).unwrap();
            let (_, written) = store.setting(Setting::Watermark).unwrap().expect("it was just written");
            assert_eq!(written, time(text));
            // And in the same words for whoever reads the table without this tool.
            let stored = db.query_strings("SELECT updated_at FROM payout_settings WHERE key = 'watermark'");
            let words = text.replace('T', " ").replace('Z', "").replace(".000", "");
            assert_eq!(stored, [[Some(words)]]);
        }
    }

    fn times_sort_as_they_passed(db: TestDb) {
        db.migrated();
        for (number, text) in MOMENTS.iter().enumerate() {
            db.store_at(Clock::manual(time(text)))
                .run_begin(RunDescription {
                    command: number.to_string(),
                    arguments: String::new(),
                    actor: "tester".to_owned(),
                    host: "host".to_owned(),
                })
                .unwrap();
        }
        let sorted = db.query_strings("SELECT command FROM payout_runs ORDER BY started_at");
        let numbers: Vec<usize> = sorted
            .iter()
            .map(|row| words(row)[0].parse().expect("a number"))
            .collect();
        assert!(numbers.is_sorted() && numbers.len() == MOMENTS.len(), "{numbers:?}");
    }

    fn the_clock_of_the_machine_is_cut_before_it_is_written(db: TestDb) {
        db.migrated();
        let mut store = db.store_at(Clock::system());
        let before = store.clock().now();
        store.watermark_advance(time("2026-01-01T00:00:00.000Z")).unwrap();
        let (_, written) = store.setting(Setting::Watermark).unwrap().expect("it was just written");
        assert!(before <= written && written <= store.clock().now());
        let text = words(&db.query_strings("SELECT updated_at FROM payout_settings WHERE key = 'watermark'")[0]).concat();
        let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        assert!(fraction == 0 || fraction == 3, "{text}");
    }

    fn an_amount_beyond_32_bits_is_refused_and_never_wraps(db: TestDb) {
        db.migrated();
        creditor(&db);
        let mut session = db.session();
        for cents in [i64::from(i32::MIN), i64::from(i32::MAX)] {
            insert(&mut session, cents);
            let stored = session.query_strings("SELECT amount_cents FROM payouts");
            assert_eq!(stored, [[Some(cents.to_string())]]);
            session.execute("DELETE FROM payouts");
        }
        for cents in [i64::from(i32::MIN) - 1, i64::from(i32::MAX) + 1, 1 << 32, i64::MAX, i64::MIN] {
            let refusal = session.refused(&insertion(cents));
            assert!(
                refusal.contains("out of range") || refusal.contains("CHECK constraint failed"),
                "{cents}: {refusal}"
            );
        }
        let text = session.refused(&insertion(0).replace(", 0,", ", '12abc',"));
        assert!(text.contains("invalid input syntax") || text.contains("cannot store TEXT value"), "{text}");
        assert_eq!(session.query_strings("SELECT count(*) FROM payouts"), [[Some("0".to_owned())]]);
    }

    fn a_sum_passes_32_bits_and_is_exact_to_the_cent(db: TestDb) {
        let mut store = db.migrated();
        creditor(&db);
        let mut session = db.session();
        session.execute(
            "INSERT INTO payouts (id, creator_id, royalty_statement_id, amount_cents, updated_at)
             VALUES ('due', 'ann', 's', 1, '2026-10-01 00:00:00')",
        );
        assert_eq!(rest(&mut store), 2_147_483_647);
        let completed = |first: u32, last: u32, cents: i32| {
            format!(
                "INSERT INTO payouts (id, creator_id, royalty_statement_id, amount_cents, status, updated_at)
                 WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
                 SELECT 'p' || i, 'ann', 's', {cents}, 'COMPLETED', '2026-10-01 00:00:00' FROM n"
            )
        };
        session.execute(&completed(1, 2, i32::MAX));
        assert_eq!(rest(&mut store), 2_147_483_647 - 2 * 2_147_483_647);
        session.execute(&completed(3, 10_000, i32::MAX));
        session.execute(&completed(10_001, 10_001, 7));
        assert_eq!(rest(&mut store), 2_147_483_647 - 10_000 * 2_147_483_647 - 7);
    }
}

/// What is left of the statement, which the store computes from a sum of payouts.
fn rest(store: &mut Store) -> i64 {
    let candidate = store
        .candidate(&PayoutId::new("due"), &crate::common::seed::rules())
        .expect("the database answers");
    let statement = candidate.expect("the payout exists").statement;
    statement.expect("it has a statement").rest_cents
}

/// A creator, and a statement that owes the most an amount can be.
fn creditor(db: &TestDb) {
    db.execute(
        r#"INSERT INTO users (id, email, "updatedAt") VALUES ('u', 'ann@example.com', '2026-01-01 00:00:00');
        INSERT INTO creators (id, "userId", "stageName", "updatedAt") VALUES ('ann', 'u', 'Ann', '2026-01-01 00:00:00');
        INSERT INTO royalty_runs (id, period_start, period_end, updated_at)
        VALUES ('rr', '2026-09-01 00:00:00', '2026-10-01 00:00:00', '2026-10-01 00:00:00');
        INSERT INTO royalty_statements (id, royalty_run_id, creator_id, total_earnings_cents, platform_fee_cents,
            net_payable_cents, status, updated_at)
        VALUES ('s', 'rr', 'ann', 2147483647, 0, 2147483647, 'REVIEWED', '2026-10-01 00:00:00')"#,
    );
}

fn insert(session: &mut Session, cents: i64) {
    session.execute(&insertion(cents));
}

fn insertion(cents: i64) -> String {
    format!(
        "INSERT INTO payouts (id, creator_id, amount_cents, updated_at) VALUES ('p', 'ann', {cents}, '2026-10-01 00:00:00')"
    )
}
