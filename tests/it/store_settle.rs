//! Recording many outcomes at once comes to the same as recording them one by one.

use payouts::model::attempt::AnswerRow;
use payouts::model::ids::PayoutId;
use payouts::store::settle::{LastAnswer, Recorded, Resolution, Settlement};
use payouts::store::{RunDescription, Store};

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

fn settle(store: &mut Store, batches: &[Vec<Settlement>]) -> Vec<Recorded> {
    let stamp = store
        .run_begin(RunDescription {
            command: "process".to_owned(),
            arguments: String::new(),
            actor: "cron".to_owned(),
            host: "host".to_owned(),
        })
        .expect("a run begins");
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
}
