//! What the store adds up for figures and for a monitor, on both databases.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use payouts::model::gauges::RunGauge;
use payouts::model::hold::HoldKind;
use payouts::model::listing::Total;
use payouts::model::payout::PayoutStatus;
use payouts::model::reconciliation::FindingKind;
use payouts::model::time::{Span, Time};

use crate::common::db::{TestDb, on_both};
use crate::common::seed::{self, AttemptRow, PayoutRow, migrated};

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn attempt(db: &TestDb, payout: &str, number: i32, outcome: &str, at: &str) {
    AttemptRow {
        payout,
        number,
        run: "run1",
        outcome,
        ..AttemptRow::default()
    }
    .insert(db);
    let settled = if outcome == "unknown" {
        "NULL".to_owned()
    } else {
        format!("'{at}'")
    };
    db.execute(&format!(
        "UPDATE payout_attempts SET created_at = '{at}', settled_at = {settled}, error_code = NULL
         WHERE payout_id = '{payout}' AND attempt = {number}"
    ));
}

on_both! {
    /// Pages of attempts are those of one walk, cut anywhere; their edges are those of the period.
    fn attempts_that_tell_something_come_in_pages(db: TestDb) {
        let mut store = migrated(&db);
        seed::creator(&db, "ann", "Ann");
        seed::run(&db, "run1", None);
        for id in ["p1", "p2", "p3"] {
            PayoutRow::new(id, "ann").insert(&db);
        }
        attempt(&db, "p1", 1, "declined", "2026-10-01 00:00:00");
        attempt(&db, "p1", 2, "declined", "2026-10-31 23:59:59.999");
        attempt(&db, "p1", 3, "paid", "2026-11-01 00:00:00");
        attempt(&db, "p2", 1, "paid", "2026-10-05 00:00:00");
        attempt(&db, "p3", 1, "declined", "2026-09-30 23:59:59.999");
        attempt(&db, "p3", 2, "unknown", "2026-10-02 00:00:00");
        // Its payout was deleted since: it counts, and is nobody's.
        attempt(&db, "gone", 1, "declined", "2026-10-03 00:00:00");
        let october = Span {
            from: Some(time("2026-10-01T00:00:00Z")),
            until: Some(time("2026-11-01T00:00:00Z")),
        };
        let expected = ["gone 1 true false", "p1 1 true true", "p1 2 true true", "p3 2 false true"];
        for rows_max in 1..=5 {
            let mut seen = Vec::new();
            let mut behind = None;
            loop {
                let part = store.attempts_eventful(october, behind.as_ref(), rows_max).unwrap();
                let Some(last) = part.last() else { break };
                behind = Some((last.payout_id.clone(), last.attempt));
                seen.extend(part.iter().map(|row| format!(
                    "{} {} {} {}", row.payout_id, row.attempt, row.refused_at.is_some(), row.creator_id.is_some()
                )));
            }
            assert_eq!(seen, expected, "{rows_max} at once");
        }
        let all = Span { from: None, until: None };
        assert_eq!(store.attempts_eventful(all, None, 100).unwrap().len(), 6);
    }

    fn gauges_are_sums_of_the_tables(db: TestDb) {
        let mut store = migrated(&db);
        assert_eq!(store.gauges().unwrap(), payouts::model::gauges::Gauges::default());
        seed::creator(&db, "ann", "Ann");
        seed::run(&db, "run1", None);
        seed::run(&db, "run2", None);
        seed::run(&db, "run3", Some("2026-10-05 08:00:00"));
        db.execute("UPDATE payout_runs SET exit_code = 0 WHERE id = 'run1';
                    UPDATE payout_runs SET exit_code = 0, ended_at = '2026-10-06 00:00:00' WHERE id = 'run2'");
        for (id, status, cents, created) in [
            ("p1", "PENDING", i32::MAX, "2026-10-02 08:00:00"), ("p2", "PENDING", i32::MAX, "2026-10-01 08:00:00"),
            ("p3", "COMPLETED", 1, "2026-10-03 08:00:00"),
        ] {
            PayoutRow { cents, status, created, ..PayoutRow::new(id, "ann") }.insert(&db);
        }
        attempt(&db, "p1", 1, "declined", "2026-10-01 00:00:00");
        attempt(&db, "p1", 2, "unknown", "2026-10-02 00:00:00");
        seed::hold(&db, "creator", "ann");
        seed::hold(&db, "payout", "p1");
        db.execute("UPDATE payout_holds SET ends_at = '2026-10-02 00:00:00' WHERE kind = 'payout'");
        for (id, state, at_stake) in [("f1", "open", "9007199254740993"), ("f2", "open", "9007199254740993"), ("f3", "fixed", "1"), ("f4", "open", "NULL")] {
            db.execute(&format!(
                "INSERT INTO payout_findings (id, kind, at_stake_cents, found, state, first_seen_at, seen_at, run_id)
                 VALUES ('{id}', 'unknown_transfer', {at_stake}, 'x', '{state}', '2026-10-02 00:00:00', '2026-10-02 00:00:00', 'run1')"
            ));
        }
        db.execute("INSERT INTO payout_reversals VALUES ('tr_1', 'p3', 9007199254740993, '2026-10-04 00:00:00'),
                                                        ('tr_2', 'p3', 9007199254740993, '2026-10-04 00:00:00')");
        let gauges = store.gauges().unwrap();
        let pending = gauges.statuses.iter().find(|one| one.status == PayoutStatus::Pending).unwrap();
        assert_eq!(pending.total, Total { count: 2, amount_cents: 4_294_967_294 });
        assert_eq!(pending.created_at, Some(time("2026-10-01T08:00:00Z")));
        assert_eq!((gauges.unresolved.count, gauges.unresolved_since), (1, Some(time("2026-10-02T00:00:00Z"))));
        assert_eq!(gauges.holds, [(HoldKind::Creator, 1)]);
        assert_eq!(gauges.findings, [(FindingKind::UnknownTransfer, Total { count: 3, amount_cents: 18_014_398_509_481_986 })]);
        assert_eq!(store.findings_open_by_kind().unwrap(), gauges.findings);
        assert_eq!(gauges.reversed, Total { count: 2, amount_cents: 18_014_398_509_481_986 });
        assert_eq!((gauges.refused, gauges.retries), (vec![(None, 1)], 1));
        let run = RunGauge { command: "process".to_owned(), exit_code: 0, count: 2, ended_at: time("2026-10-06T00:00:00Z") };
        assert_eq!(gauges.runs, [run]);
    }
}
