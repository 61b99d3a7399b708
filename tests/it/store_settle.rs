//! Recording many outcomes at once comes to the same as recording them one by one.

use payouts::model::attempt::AnswerRow;
use payouts::model::ids::PayoutId;
use payouts::store::attempts::TakeOver;
use payouts::store::settle::{LastAnswer, Recorded, Resolution, Settlement};
use payouts::store::{RunDescription, RunStamp, Store};

use crate::common::db::{TestDb, TextRow, on_both};
use crate::common::seed::{self, AttemptRow, PayoutRow};

/// What another program does to a payout while its transfer is on the way.
const MEDDLED: [(&str, &str); 6] = [
    (
        "p_changed",
        "UPDATE payouts SET amount_cents = 99 WHERE id = 'p_changed'",
    ),
    (
        "p_failed",
        "UPDATE payouts SET status = 'FAILED' WHERE id = 'p_failed'",
    ),
    ("p_gone", "DELETE FROM payouts WHERE id = 'p_gone'"),
    (
        "p_other",
        "UPDATE payouts SET stripe_transfer_id = 'tr_theirs', status = 'COMPLETED' WHERE id = 'p_other'",
    ),
    (
        "p_released",
        "UPDATE payout_attempts SET outcome = 'released' WHERE payout_id = 'p_released'",
    ),
    (
        "p_theirs",
        "UPDATE payouts SET stripe_transfer_id = 'tr_of_another' WHERE id = 'p_theirs'",
    ),
];

/// Payouts on their way, as a run left them: some untouched, two of statements, and those of [`MEDDLED`].
fn on_their_way(db: &TestDb) -> Store {
    let store = seed::migrated(db);
    seed::creator(db, "ann", "Ann");
    seed::statement(db, "s_whole", "ann");
    seed::statement(db, "s_part", "ann");
    db.execute("UPDATE royalty_statements SET net_payable_cents = 50001 WHERE id = 's_part'");
    seed::run(db, "run1", None);
    for (id, statement) in [
        ("p_1", None),
        ("p_2", None),
        ("p_part", Some("s_part")),
        ("p_whole", Some("s_whole")),
    ]
    .into_iter()
    .chain(MEDDLED.map(|(id, _)| (id, None)))
    {
        PayoutRow {
            statement,
            status: "PROCESSING",
            ..PayoutRow::new(id, "ann")
        }
        .insert(db);
        AttemptRow {
            payout: id,
            number: 1,
            run: "run1",
            outcome: "sending",
            ..AttemptRow::default()
        }
        .insert(db);
        if let Some(statement) = statement {
            db.execute(&format!(
                "INSERT INTO payout_statement_claims (statement_id, payout_id) VALUES ('{statement}', '{id}')"
            ));
        }
    }
    for (_, sql) in MEDDLED {
        db.execute(sql);
    }
    store
}

/// A send that was answered with a transfer.
fn paid(id: &str) -> Settlement {
    let at = "2026-10-05T08:00:03Z".parse().expect("a time in RFC 3339");
    let transfer_id = format!("tr_{id}");
    Settlement {
        payout_id: PayoutId::new(id),
        attempt: 1,
        amount_cents: 50_000,
        resolution: Resolution::Paid {
            transfer_id: transfer_id.clone(),
            at,
            adopted: false,
            reversed_cents: 0,
        },
        last: Some(LastAnswer {
            http_status: Some(200),
            request_id: Some(format!("req_{id}")),
            ..LastAnswer::default()
        }),
        answers: vec![AnswerRow {
            payout_id: PayoutId::new(id),
            attempt: 1,
            send: 2,
            sent_at: at,
            answered_at: at,
            http_status: Some(200),
            request_id: Some(format!("req_{id}")),
            replayed: false,
            verdict: "paid".to_owned(),
            body: transfer_id,
        }],
    }
}

/// A run that has every attempt in its hands.
fn run_with_all(db: &TestDb, store: &mut Store) -> RunStamp {
    let stamp = begin(store);
    db.execute(&format!(
        "UPDATE payout_attempts SET run_id = '{}'",
        stamp.run_id
    ));
    stamp
}

fn begin(store: &mut Store) -> RunStamp {
    let run = RunDescription {
        command: "process".to_owned(),
        arguments: String::new(),
        actor: "cron".to_owned(),
        host: "host".to_owned(),
    };
    store.run_begin(run).expect("a run begins")
}

fn settle(store: &mut Store, batches: &[Vec<Settlement>]) -> Vec<Recorded> {
    let stamp = begin(store);
    batches
        .iter()
        .flat_map(|batch| {
            store
                .attempts_settle(&stamp, batch)
                .expect("they are recorded")
        })
        .collect()
}

/// Everything that recording may have changed.
fn tables(db: &TestDb) -> Vec<Vec<TextRow>> {
    [
        "SELECT id, status, stripe_transfer_id, processed_at, failed_reason, amount_cents, updated_at FROM payouts ORDER BY id",
        "SELECT payout_id, outcome, settled_at, transfer_id, last_sent_at, send_count, http_status, error_code, request_id, replayed FROM payout_attempts ORDER BY payout_id",
        "SELECT payout_id, seq, event, from_status, to_status, reason FROM payout_history ORDER BY payout_id, seq",
        "SELECT payout_id, attempt, send, request_id FROM payout_answers ORDER BY payout_id",
        "SELECT id, status, paid_at, payment_reference FROM royalty_statements ORDER BY id",
        "SELECT statement_id, payout_id FROM payout_statement_claims",
    ]
    .map(|sql| db.query_strings(sql))
    .into()
}

fn another(db: &TestDb) -> TestDb {
    match db.backend() {
        crate::common::db::Backend::Sqlite => TestDb::sqlite(),
        crate::common::db::Backend::Postgres => TestDb::postgres(),
    }
}

on_both! {
    fn together_is_the_same_as_one_by_one(db: TestDb) {
        let ids = ["p_1", "p_2", "p_part", "p_whole"]
            .into_iter()
            .chain(MEDDLED.map(|(id, _)| id));
        let settlements: Vec<_> = ids.map(paid).collect();
        let alone: Vec<_> = settlements.iter().map(|one| vec![one.clone()]).collect();
        let beside = another(&db);
        let together = settle(&mut on_their_way(&db), &[settlements]);
        assert_eq!(together, settle(&mut on_their_way(&beside), &alone));
        assert_eq!(tables(&db), tables(&beside));

        let said: Vec<bool> = together.iter().map(|r| *r == Recorded::Done).collect();
        // Untouched and failed ones are paid, and so is the one whose attempt a person had released.
        assert_eq!(said, [true, true, true, true, false, true, false, false, true, false], "{together:#?}");
        let completed = db.query_strings(
            "SELECT id FROM payouts WHERE status = 'COMPLETED' AND stripe_transfer_id = 'tr_' || id ORDER BY id",
        );
        let completed: Vec<_> = completed.into_iter().flatten().flatten().collect();
        assert_eq!(completed, ["p_1", "p_2", "p_failed", "p_part", "p_released", "p_whole"]);
        // A statement is paid when what was paid covers it, and nobody holds it any more.
        let statements = db.query_strings("SELECT id, status FROM royalty_statements ORDER BY id");
        let status = |row: &TextRow| row[1].clone().unwrap_or_default();
        assert_eq!(statements.iter().map(status).collect::<Vec<_>>(), ["REVIEWED", "PAID"]);
        assert!(db.query_strings("SELECT * FROM payout_statement_claims").is_empty());
    }

    fn several_outcomes_of_one_payout_are_recorded_in_their_order(db: TestDb) {
        let mut store = on_their_way(&db);
        let mut unknown = paid("p_1");
        unknown.resolution = Resolution::Alarm { reason: "two transfers".to_owned() };
        unknown.answers.clear();
        let recorded = settle(&mut store, &[vec![unknown, paid("p_1")]]);
        assert_eq!(recorded[1], Recorded::Done);
        let events = db.query_strings("SELECT event FROM payout_history WHERE payout_id = 'p_1' ORDER BY seq");
        let events: Vec<_> = events.into_iter().flatten().flatten().collect();
        assert_eq!(events, ["alarm", "paid"]);
    }

    // Stripe forgets a key after a day: two senders of one attempt can then make two transfers.
    fn a_second_transfer_under_one_key_is_an_alarm_and_overwrites_nothing(db: TestDb) {
        let mut store = on_their_way(&db);
        let mut second = paid("p_1");
        if let Resolution::Paid { transfer_id, .. } = &mut second.resolution {
            "tr_second".clone_into(transfer_id);
        }
        assert_eq!(settle(&mut store, &[vec![paid("p_1")]]), [Recorded::Done]);
        // Whether the row still says so or other software wiped it.
        for wiped in [false, true] {
            if wiped {
                db.execute("UPDATE payouts SET stripe_transfer_id = NULL, status = 'PROCESSING' WHERE id = 'p_1'");
            }
            let said = settle(&mut store, &[vec![second.clone()]]);
            let Recorded::Alarm(reason) = &said[0] else { panic!("{said:?}") };
            assert!(reason.contains("tr_second") && reason.contains("tr_p_1"), "{reason}");
        }
        let ledger = db.query_strings("SELECT transfer_id, outcome FROM payout_attempts WHERE payout_id = 'p_1'");
        assert_eq!(ledger, [[Some("tr_p_1".to_owned()), Some("paid".to_owned())]]);
        let events = db.query_strings("SELECT event FROM payout_history WHERE payout_id = 'p_1' ORDER BY seq");
        let events: Vec<_> = events.into_iter().flatten().flatten().collect();
        assert_eq!(events, ["paid", "alarm", "alarm"]);
    }

    // The answer to a COMMIT can be lost although it was kept.
    fn what_this_run_recorded_before_is_recorded_and_nobody_else_s(db: TestDb) {
        let mut store = on_their_way(&db);
        let stamp = run_with_all(&db, &mut store);
        let outcome = |id: &str, resolution| Settlement { resolution, ..paid(id) };
        let reason = || "no".to_owned();
        let all = [
            paid("p_1"),
            outcome("p_2", Resolution::Declined { reason: reason() }),
            outcome("p_part", Resolution::NotSent { reason: reason() }),
            outcome("p_whole", Resolution::Unknown { reason: reason(), stored_error: true }),
        ];
        for _ in 0..2 {
            let said = store.attempts_settle(&stamp, &all).expect("they are recorded");
            assert_eq!(said, vec![Recorded::Done; 4]);
        }
        let rows = db.query_strings("SELECT id, status, retry_count FROM payouts WHERE id IN ('p_1', 'p_2', 'p_part') ORDER BY id");
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
        assert_eq!(rows, [["p_1", "COMPLETED", "0"], ["p_2", "FAILED", "1"], ["p_part", "PENDING", "0"]]);
        // What Stripe stored under a key is not forgotten by what comes after.
        let later = outcome("p_whole", Resolution::Unknown { reason: reason(), stored_error: false });
        store.attempts_settle(&stamp, &[later]).expect("it is recorded");
        let stored = db.query_strings("SELECT COUNT(*) FROM payout_attempts WHERE payout_id = 'p_whole' AND stored_error");
        assert_eq!(stored, [[Some("1".to_owned())]]);

        let others: Vec<Recorded> = settle(&mut store, &[all[..3].to_vec()]);
        assert_eq!(others, [Recorded::Already, Recorded::NotOurs, Recorded::NotOurs]);
    }

    // Between the look-up and the send a person may read a plan for an hour.
    fn an_attempt_is_taken_over_only_while_its_payout_may_be_sent(db: TestDb) {
        let mut store = on_their_way(&db);
        let rules = seed::rules();
        let stamp = begin(&mut store);
        let attempt = store.attempts_of(&[PayoutId::new("p_1")]).expect("they are read").remove(0);
        for (sql, back) in [
            ("UPDATE payouts SET amount_cents = 49999 WHERE id = 'p_1'", "UPDATE payouts SET amount_cents = 50000 WHERE id = 'p_1'"),
            ("UPDATE payouts SET status = 'COMPLETED' WHERE id = 'p_1'", "UPDATE payouts SET status = 'PROCESSING' WHERE id = 'p_1'"),
            ("UPDATE creators SET \"stripeAccountId\" = 'acct_new' WHERE id = 'ann'", "UPDATE creators SET \"stripeAccountId\" = 'acct_ann' WHERE id = 'ann'"),
            ("UPDATE creators SET \"deletedAt\" = \"createdAt\" WHERE id = 'ann'", "UPDATE creators SET \"deletedAt\" = NULL WHERE id = 'ann'"),
        ] {
            db.execute(sql);
            let taken = store.attempt_take_over(&stamp, &attempt, &rules, None).expect("the database answers");
            assert!(matches!(taken, TakeOver::Refused(_)), "{sql}: {taken:?}");
            db.execute(back);
        }
        let taken = store.attempt_take_over(&stamp, &attempt, &rules, None).expect("the database answers");
        assert!(matches!(&taken, TakeOver::Taken(taken) if taken.run_id == stamp.run_id), "{taken:?}");
        let again = store.attempt_take_over(&stamp, &attempt, &rules, None).expect("the database answers");
        assert_eq!(again, TakeOver::Gone);
    }
}

// A platform's transaction may stay open on a row for as long as it likes.
#[test]
fn a_row_that_another_program_has_locked_does_not_hold_up_the_others() {
    let db = TestDb::postgres();
    let mut store = on_their_way(&db);
    let stamp = run_with_all(&db, &mut store);
    let mut other = db.session();
    other.execute("BEGIN; SELECT * FROM payouts WHERE id = 'p_1' FOR UPDATE");
    let batch = [paid("p_1"), paid("p_2"), paid("p_part")];
    let said = store
        .attempts_settle(&stamp, &batch)
        .expect("they are recorded");
    assert!(matches!(said[0], Recorded::Waits(_)), "{said:?}");
    assert_eq!(said[1..], [Recorded::Done, Recorded::Done]);
    other.execute("COMMIT");
    let said = store
        .attempts_settle(&stamp, &batch[..1])
        .expect("it is recorded");
    assert_eq!(said, [Recorded::Done]);
}
