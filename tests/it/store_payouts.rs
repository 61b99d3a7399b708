//! Payouts found, sorted, paged and totalled, on both databases.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use payouts::model::ids::{BatchId, CreatorId, PayoutId, StatementId};
use payouts::model::listing::{ListRules, ListedPayout, Total};
use payouts::model::payout::{Payout, PayoutStatus, SendRules};
use payouts::model::time::{Span, Time};
use payouts::ops::retry;
use payouts::store::payouts::{CREATORS_MAX, PageOf, PayoutFilter, PayoutOrder, SortBy};
use payouts::store::queue::{QueueFilter, QueueRequest};
use payouts::store::{Store, StoreError};

use crate::common::db::{TestDb, on_both};
use crate::common::seed::{
    self, AttemptRow, PayoutRow, batch, creator, hold, item, migrated, run, statement,
};

fn rules() -> ListRules {
    ListRules {
        lease: Duration::from_mins(2),
        retry: retry::rules(5, vec![Duration::from_mins(5)]),
    }
}

fn everything_due() -> QueueRequest {
    QueueRequest {
        filter: QueueFilter::default(),
        after: None,
        until: None,
        rules: SendRules {
            min_cents: 1,
            max_cents: i32::MAX,
            ..seed::rules()
        },
        searched: Arc::default(),
        agreed: None,
        in_doubt: Arc::default(),
    }
}

fn list(store: &mut Store, filter: &PayoutFilter) -> Vec<ListedPayout> {
    let page = PageOf {
        order: PayoutOrder::default(),
        after: None,
        rows_max: 1000,
    };
    store.payout_list(filter, page, &rules()).unwrap()
}

fn ids(rows: &[ListedPayout]) -> Vec<&str> {
    rows.iter().map(|row| row.payout.id.as_str()).collect()
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// Five payouts of two creators, each different in every respect that can be asked for.
fn five(db: &TestDb) -> Store {
    let store = migrated(db);
    creator(db, "ann", "Ann Example");
    creator(db, "bob", "Bob Sample");
    statement(db, "st1", "bob");
    run(db, "run1", None);
    batch(db, "b1", "run1");
    let row = |id, creator| PayoutRow::new(id, creator);
    PayoutRow {
        cents: 10_000,
        created: "2026-09-30 23:59:59.999",
        ..row("p1", "ann")
    }
    .insert(db);
    PayoutRow {
        cents: 20_000,
        created: "2026-10-01 00:00:00",
        status: "FAILED",
        ..row("p2", "bob")
    }
    .insert(db);
    PayoutRow {
        cents: 30_000,
        created: "2026-10-15 12:00:00",
        status: "COMPLETED",
        transfer: Some("tr_3"),
        processed: Some("2026-10-20 00:00:00"),
        ..row("p3", "ann")
    }
    .insert(db);
    PayoutRow {
        cents: 40_000,
        created: "2026-10-31 23:59:59.999",
        statement: Some("st1"),
        ..row("p4", "bob")
    }
    .insert(db);
    PayoutRow {
        cents: 50_000,
        created: "2026-11-01 00:00:00",
        status: "PROCESSING",
        ..row("p5", "ann")
    }
    .insert(db);
    item(db, "p1", Some("b1"), Some("INV-1"));
    item(db, "p3", Some("b1"), Some("INV-3"));
    item(db, "p5", None, Some("INV-5"));
    store
}

on_both! {
    /// Ids of other software are handed to the database as one value, an array or JSON.
    fn ids_of_any_text_are_found(db: TestDb) {
        let mut store = migrated(&db);
        creator(&db, "ann", "Ann");
        let odd = ["", " ", "\"", "\\", "a\"],[\"b", "{}", "NULL", "it's", "tab\there", "line\nbreak", "\u{1}", "é☃😀", "\\u0041"];
        for id in odd {
            PayoutRow::new(id, "ann").insert(&db);
            item(&db, id, None, None);
        }
        let expected: BTreeSet<&str> = odd.into_iter().collect();
        let listed = list(&mut store, &PayoutFilter::default());
        assert_eq!(ids(&listed).into_iter().collect::<BTreeSet<_>>(), expected);
        let queue = store.queue_preview(&everything_due(), 500).unwrap();
        let due = queue.due.iter().map(|one| one.payout.id.as_str());
        let skipped = queue.skipped.iter().map(|one| one.payout_id.as_str());
        assert_eq!(due.chain(skipped).collect::<BTreeSet<_>>(), expected);
    }

    fn every_filter_finds_exactly_its_payouts(db: TestDb) {
        let mut store = five(&db);
        let none = PayoutFilter::default;
        let october = Span { from: Some(time("2026-10-01T00:00:00Z")), until: Some(time("2026-11-01T00:00:00Z")) };
        let cases: [(&str, PayoutFilter, &[&str]); 14] = [
            ("nothing asked", none(), &["p5", "p4", "p3", "p2", "p1"]),
            ("one status", PayoutFilter { statuses: vec![PayoutStatus::Failed], ..none() }, &["p2"]),
            (
                "two statuses",
                PayoutFilter { statuses: vec![PayoutStatus::Pending, PayoutStatus::Completed], ..none() },
                &["p4", "p3", "p1"],
            ),
            ("batch", PayoutFilter { batch: Some(BatchId::new("b1")), ..none() }, &["p3", "p1"]),
            ("unknown batch", PayoutFilter { batch: Some(BatchId::new("b2")), ..none() }, &[]),
            ("creators", PayoutFilter { creators: Some(vec![CreatorId::new("bob")]), ..none() }, &["p4", "p2"]),
            ("no creators", PayoutFilter { creators: Some(vec![]), ..none() }, &[]),
            ("statement", PayoutFilter { statement: Some(StatementId::new("st1")), ..none() }, &["p4"]),
            ("reference", PayoutFilter { reference: Some("INV-5".to_owned()), ..none() }, &["p5"]),
            ("part of a reference", PayoutFilter { reference: Some("INV".to_owned()), ..none() }, &[]),
            ("amounts", PayoutFilter { min_cents: Some(20_000), max_cents: Some(40_000), ..none() }, &["p4", "p3", "p2"]),
            ("created", PayoutFilter { created: october, ..none() }, &["p4", "p3", "p2"]),
            ("processed", PayoutFilter { processed: october, ..none() }, &["p3"]),
            (
                "all at once",
                PayoutFilter {
                    statuses: vec![PayoutStatus::Completed, PayoutStatus::Failed],
                    batch: Some(BatchId::new("b1")),
                    creators: Some(vec![CreatorId::new("ann"), CreatorId::new("bob")]),
                    reference: Some("INV-3".to_owned()),
                    min_cents: Some(30_000),
                    max_cents: Some(30_000),
                    created: october,
                    processed: Span { from: Some(time("2026-10-20T00:00:00Z")), until: None },
                    statement: None,
                },
                &["p3"],
            ),
        ];
        for (what, filter, expected) in cases {
            assert_eq!(ids(&list(&mut store, &filter)), expected, "{what}");
            // The totals are those of what the list shows, whatever is asked.
            let totals = store.payout_totals(&filter).unwrap();
            assert_eq!(totals.all().count, i64::try_from(expected.len()).unwrap(), "{what}");
            for status in PayoutStatus::ALL {
                let rows = list(&mut store, &filter);
                let sum = rows.iter().filter(|row| row.payout.status == *status).map(|row| i64::from(row.payout.amount_cents)).sum::<i64>();
                assert_eq!(totals.of(*status).amount_cents, sum, "{what} {status}");
            }
        }
    }

    fn a_row_carries_what_stands_beside_it(db: TestDb) {
        let mut store = five(&db);
        let rows = list(&mut store, &PayoutFilter::default());
        let beside = |id: &str| {
            let row = rows.iter().find(|row| row.payout.id.as_str() == id).unwrap();
            (row.creator_name.as_deref(), row.batch_id.as_ref().map(BatchId::as_str), row.reference.as_deref())
        };
        assert_eq!(beside("p1"), (Some("Ann Example"), Some("b1"), Some("INV-1")));
        assert_eq!(beside("p5"), (Some("Ann Example"), None, Some("INV-5")));
        assert_eq!(beside("p2"), (Some("Bob Sample"), None, None));
        let paid = &rows.iter().find(|row| row.payout.id.as_str() == "p3").unwrap().payout;
        assert_eq!(paid.processed_at, Some(time("2026-10-20T00:00:00Z")));
        assert_eq!(paid.stripe_transfer_id.as_deref(), Some("tr_3"));
    }

    fn creators_are_meant_by_id_or_mail_or_part_of_the_name(db: TestDb) {
        let mut store = migrated(&db);
        for (id, name) in [("ann", "Zoë Ångström"), ("bob", "ann's band"), ("c1", "100% Real_Name"), ("c2", "1000 Real-Names")] {
            creator(&db, id, name);
        }
        let mut found = |text: &str| {
            let mut ids: Vec<String> =
                store.creators_matching(text).unwrap().iter().map(ToString::to_string).collect();
            ids.sort();
            ids
        };
        // An id or an e-mail means that one creator, whoever else has it in the name.
        assert_eq!(found("ann"), ["ann"]);
        assert_eq!(found("ANN@Example.COM"), ["ann"]);
        assert_eq!(found("ann@example"), [""; 0]);
        assert_eq!(found("ann'"), ["bob"]);
        assert_eq!(found("ZOË ång"), ["ann"]);
        assert_eq!(found("Zoé"), [""; 0]);
        // Signs that mean something to the database mean themselves.
        assert_eq!(found("100%"), ["c1"]);
        assert_eq!(found("real_name"), ["c1"]);
        assert_eq!(found("REAL"), ["c1", "c2"]);
        assert_eq!(found("\\"), [""; 0]);
        assert_eq!(found("nobody"), [""; 0]);
    }

    fn more_creators_than_a_query_can_hold_are_noticed(db: TestDb) {
        let mut store = migrated(&db);
        let count = CREATORS_MAX + 5;
        db.execute(&format!(
            r#"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
            INSERT INTO users (id, email, "updatedAt") SELECT 'u' || i, 'e' || i, CURRENT_TIMESTAMP FROM n;
            INSERT INTO creators (id, "userId", "stageName", "updatedAt")
            SELECT 'k' || substr(id, 2), id, 'Same ' || id, CURRENT_TIMESTAMP FROM users"#,
        ));
        PayoutRow::new("p1", "k7").insert(&db);
        assert_eq!(store.creators_matching("same").unwrap().len(), CREATORS_MAX + 1);
        // As many as are allowed do fit into a query.
        let mut creators = store.creators_matching("same").unwrap();
        creators.truncate(CREATORS_MAX);
        creators[0] = CreatorId::new("k7");
        let filter = PayoutFilter { creators: Some(creators), ..PayoutFilter::default() };
        assert_eq!(ids(&list(&mut store, &filter)), ["p1"]);
        assert_eq!(store.payout_totals(&filter).unwrap().all().count, 1);
    }

    fn pages_meet_without_gap_or_repeat(db: TestDb) {
        let mut store = migrated(&db);
        creator(&db, "ann", "Ann");
        // 60 payouts on 4 moments and 3 amounts, in all states, with ids whose order depends on who asks.
        let statuses = ["PENDING", "PROCESSING", "COMPLETED", "FAILED"];
        for n in 0..60_usize {
            let letter = ["a", "B", "c", "D", "é", "Z", "_", "0"][n % 8];
            let id = format!("{letter}{n}");
            let created = format!("2026-10-0{} 08:00:00", 1 + (n / 7) % 4);
            let updated = format!("2026-10-0{} 09:00:00", 1 + (n / 11) % 3);
            PayoutRow {
                status: statuses[(n / 2) % 4],
                cents: 100 * (1 + i32::try_from(n / 3 % 3).unwrap()),
                created: &created,
                updated: &updated,
                ..PayoutRow::new(&id, "ann")
            }
            .insert(&db);
        }
        let filters = [
            PayoutFilter::default(),
            PayoutFilter { statuses: vec![PayoutStatus::Pending, PayoutStatus::Failed], ..PayoutFilter::default() },
            PayoutFilter { min_cents: Some(200), ..PayoutFilter::default() },
        ];
        for filter in &filters {
            let all: BTreeSet<String> = list(&mut store, filter).iter().map(|row| row.payout.id.to_string()).collect();
            for by in [SortBy::Created, SortBy::Updated, SortBy::Amount] {
                let orders = [false, true].map(|reversed| PayoutOrder { by, reversed });
                let walked = orders.map(|order| {
                    let whole = walk(&mut store, filter, order, 1000);
                    for rows_max in [1, 2, 7, 59] {
                        assert_eq!(walk(&mut store, filter, order, rows_max), whole, "{order:?} by {rows_max}");
                    }
                    whole
                });
                let [forward, mut backward] = walked;
                assert_eq!(forward.iter().map(|row| row.id.to_string()).collect::<BTreeSet<_>>(), all, "{by:?}");
                assert_eq!(forward.len(), all.len(), "{by:?}");
                backward.reverse();
                assert_eq!(forward, backward, "{by:?}");
                assert!(forward.is_sorted_by(|a, b| match by {
                    SortBy::Created => a.created_at >= b.created_at,
                    SortBy::Updated => a.updated_at >= b.updated_at,
                    SortBy::Amount => a.amount_cents >= b.amount_cents,
                }), "{by:?}");
            }
        }
    }

    fn sums_are_exact_beyond_32_bits(db: TestDb) {
        let mut store = migrated(&db);
        creator(&db, "ann", "Ann");
        for n in 0..5 {
            PayoutRow { cents: i32::MAX - n, ..PayoutRow::new(&format!("p{n}"), "ann") }.insert(&db);
        }
        PayoutRow { cents: -7, status: "FAILED", ..PayoutRow::new("q", "ann") }.insert(&db);
        let totals = store.payout_totals(&PayoutFilter::default()).unwrap();
        let sum = 5 * i64::from(i32::MAX) - 10;
        assert_eq!(totals.of(PayoutStatus::Pending), Total { count: 5, amount_cents: sum });
        assert_eq!(totals.of(PayoutStatus::Failed), Total { count: 1, amount_cents: -7 });
        assert_eq!(totals.of(PayoutStatus::Completed), Total::default());
        assert_eq!(totals.all(), Total { count: 6, amount_cents: sum - 7 });
    }

    fn a_hold_of_any_kind_shows(db: TestDb) {
        let mut store = five(&db);
        let mut held = || -> Vec<String> {
            let rows = list(&mut store, &PayoutFilter::default());
            rows.iter().filter(|row| row.is_held()).map(|row| row.payout.id.to_string()).collect()
        };
        assert_eq!(held(), [""; 0]);
        hold(&db, "batch", "b1");
        assert_eq!(held(), ["p1"], "what is paid is not held");
        hold(&db, "payout", "p5");
        assert_eq!(held(), ["p5", "p1"]);
        // A payout's id is no creator's, and no batch's.
        hold(&db, "creator", "p2");
        assert_eq!(held(), ["p5", "p1"]);
        hold(&db, "creator", "bob");
        assert_eq!(held(), ["p5", "p4", "p2", "p1"]);
        db.execute("DELETE FROM payout_holds");
        hold(&db, "all", "");
        assert_eq!(held(), ["p5", "p4", "p2", "p1"]);
    }

    fn what_nobody_works_on_any_more_is_unresolved(db: TestDb) {
        let mut store = five(&db);
        // Now is 09:30 and the lease two minutes.
        run(&db, "alive", Some("2026-11-02 09:28:00"));
        run(&db, "silent", Some("2026-11-02 09:27:59.999"));
        let attempt = |payout, run, outcome| AttemptRow { payout, number: 1, run, outcome, ..AttemptRow::default() };
        attempt("p1", "alive", "sending").insert(&db);
        attempt("p2", "silent", "sending").insert(&db);
        attempt("p3", "silent", "paid").insert(&db);
        attempt("p4", "alive", "unknown").insert(&db);
        attempt("p5", "run1", "sending").insert(&db);
        let rows = list(&mut store, &PayoutFilter::default());
        let unresolved: Vec<ListedPayout> = rows.into_iter().filter(ListedPayout::is_unresolved).collect();
        assert_eq!(ids(&unresolved), ["p5", "p4", "p2"]);
    }

    fn the_code_is_that_of_the_last_attempt(db: TestDb) {
        let mut store = five(&db);
        for (number, code) in [(10, "newest"), (2, "older"), (9, "old")] {
            AttemptRow { payout: "p2", number, run: "run1", outcome: "declined", code: Some(code), ..AttemptRow::default() }
                .insert(&db);
        }
        let rows = list(&mut store, &PayoutFilter::default());
        let codes: Vec<Option<&str>> = rows.iter().map(ListedPayout::failed_code).collect();
        assert_eq!(codes, [None, None, None, Some("newest"), None]);
    }

    fn a_page_and_its_totals_come_together(db: TestDb) {
        let mut store = five(&db);
        let page = PageOf { order: PayoutOrder::default(), after: None, rows_max: 2 };
        let (rows, totals) = store.payout_list_with_totals(&PayoutFilter::default(), page, &rules()).unwrap();
        assert_eq!(ids(&rows), ["p5", "p4"]);
        assert_eq!(totals.all(), Total { count: 5, amount_cents: 150_000 });
    }

    fn a_payout_is_got_by_its_id(db: TestDb) {
        let mut store = five(&db);
        assert_eq!(store.payout_get(&PayoutId::new("p4")).unwrap().amount_cents, 40_000);
        assert!(matches!(store.payout_get(&PayoutId::new("P4")), Err(StoreError::NotFound)));
    }

    fn a_payout_is_named_by_everything_people_have_of_it(db: TestDb) {
        let mut store = five(&db);
        let attempt = AttemptRow { number: 1, run: "run1", ..AttemptRow::default() };
        AttemptRow { payout: "p3", outcome: "paid", transfer: Some("tr_3"), request: Some("req_a"), ..attempt.clone() }.insert(&db);
        AttemptRow { payout: "p2", outcome: "declined", ..attempt.clone() }.insert(&db);
        AttemptRow { payout: "p2", number: 2, outcome: "surplus", transfer: Some("tr_x"), ..attempt }.insert(&db);
        seed::answer(&db, "p2", 1, Some(400), Some("req_b"), "declined", "{}");
        // A reference that is another payout's id: both are meant.
        item(&db, "p4", None, Some("p2"));
        let mut named = |text: &str| -> Vec<String> {
            store.payouts_named(text).unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(named("p1"), ["p1"]);
        assert_eq!(named("INV-3"), ["p3"]);
        assert_eq!(named("tr_3"), ["p3"]);
        assert_eq!(named("tr_x"), ["p2"]);
        assert_eq!(named("req_a"), ["p3"]);
        assert_eq!(named("req_b"), ["p2"]);
        assert_eq!(named("p2"), ["p2", "p4"]);
        for nothing in ["", "p", "%", "req_", "tr_"] {
            assert_eq!(named(nothing), [""; 0], "{nothing:?}");
        }
    }

    fn a_record_holds_all_that_belongs_to_a_payout(db: TestDb) {
        let mut store = five(&db);
        hold(&db, "batch", "b1");
        hold(&db, "creator", "bob");
        let attempt = AttemptRow { payout: "p1", run: "run1", outcome: "declined", ..AttemptRow::default() };
        AttemptRow { number: 2, outcome: "unknown", ..attempt.clone() }.insert(&db);
        AttemptRow { number: 1, ..attempt }.insert(&db);
        seed::answer(&db, "p1", 1, Some(400), Some("req_b"), "declined", "{}");
        seed::history(&db, "p1", 2, "claimed", Some("PENDING"), "PROCESSING", None);
        seed::history(&db, "p1", 1, "created", None, "PENDING", None);
        let record = store.payout_record(&PayoutId::new("p1"), &rules()).unwrap();
        assert_eq!(record.creator.as_ref().unwrap().email.as_deref(), Some("ann@example.com"));
        assert_eq!(record.batch.as_ref().unwrap().source, "b1.csv");
        assert_eq!(record.item.as_ref().unwrap().line, Some(2));
        assert_eq!(record.holds.iter().map(|hold| hold.target.as_str()).collect::<Vec<_>>(), ["b1"]);
        let attempts: Vec<(i32, usize)> =
            record.attempts.iter().map(|record| (record.attempt.attempt, record.answers.len())).collect();
        assert_eq!(attempts, [(1, 1), (2, 0)]);
        assert_eq!(record.history.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2]);
        assert!(record.listed.is_unresolved() && record.candidate.is_some());

        let record = store.payout_record(&PayoutId::new("p4"), &rules()).unwrap();
        assert_eq!(record.statement.as_ref().unwrap().net_payable_cents, 50_000);
        assert_eq!((record.batch, record.item), (None, None));
        assert_eq!(record.holds.len(), 1);
        assert!(matches!(store.payout_record(&PayoutId::new("p9"), &rules()), Err(StoreError::NotFound)));
    }
}

/// The whole list, in pages of `rows_max`.
fn walk(
    store: &mut Store,
    filter: &PayoutFilter,
    order: PayoutOrder,
    rows_max: usize,
) -> Vec<Payout> {
    let mut walked: Vec<Payout> = Vec::new();
    loop {
        let page = PageOf {
            order,
            after: walked.last(),
            rows_max,
        };
        let rows = store.payout_list(filter, page, &rules()).unwrap();
        assert!(rows.len() <= rows_max);
        let full = rows.len() == rows_max;
        walked.extend(rows.into_iter().map(|row| row.payout));
        assert!(walked.len() <= 1000, "the pages do not end");
        if !full {
            return walked;
        }
    }
}
