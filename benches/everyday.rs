//! How long everyday work takes, each beside a baseline that is measured in turns with it: machines
//! are noisy, so medians and their ratio count.
//!
//! `cargo bench` runs all of it, `cargo bench -- postgresql` one part: `start`, `list`, `sqlite`
//! or `postgresql`. The databases hold a million pending payouts. PostgreSQL is the one
//! that `tests/run --serve` starts; its address is in `PAYOUTS_TEST_POSTGRES`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "it stops at the first fault and prints"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a baseline reaches the databases without the code that is measured"
)]

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamp};
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection};
use payouts::model::ids::PayoutId;
use payouts::model::listing::ListRules;
use payouts::model::money::Currency;
use payouts::model::payout::{Payout, PayoutStatus, SendRules};
use payouts::model::standing::RetryRules;
use payouts::model::time::Clock;
use payouts::store::payouts::{PageOf, PayoutFilter, PayoutOrder};
use payouts::store::queue::{AttemptTerms, ClaimTerms, QueueFilter, QueueRequest};
use payouts::store::{DatabaseUrl, Open, RunDescription, Store};

const ROWS: u32 = 1_000_000;
const PAGE: usize = 50;
const CLAIM: usize = 32;

fn main() {
    // `cargo test --benches` builds this and asks it for its tests; there are none.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    println!(
        "{:<52} {:>10} {:>10} {:>7}",
        "median", "payouts", "baseline", "ratio"
    );
    if asked_for("start") {
        start_of_a_process();
    }
    if asked_for("list") {
        list_of_a_small_database(&folder);
    }
    if asked_for("sqlite") {
        on_a_million_in_sqlite(&folder);
    }
    if asked_for("postgresql") {
        on_a_million_in_postgresql();
    }
}

/// Whether a part was named on the command line, or none was.
fn asked_for(part: &str) -> bool {
    let mut named = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .peekable();
    named.peek().is_none() || named.any(|name| name == part)
}

fn on_a_million_in_sqlite(folder: &tempfile::TempDir) {
    let file = folder.path().join("million.db");
    let sqlite = format!("sqlite:{}", file.display());
    let mut connection = SqliteConnection::establish(&file.display().to_string()).unwrap();
    on_a_million("SQLite", &sqlite, &mut connection);
}

fn on_a_million_in_postgresql() {
    let server = std::env::var("PAYOUTS_TEST_POSTGRES").expect(
        "PAYOUTS_TEST_POSTGRES is not set: `tests/run --serve` starts a server and prints it",
    );
    let mut connection = PgConnection::establish(&server).unwrap();
    let schema = format!("payouts_bench_{}", std::process::id());
    connection
        .batch_execute(&format!(
            "CREATE SCHEMA {schema}; SET search_path = {schema}"
        ))
        .unwrap();
    let url = format!("{server}&schema={schema}");
    on_a_million("PostgreSQL", &url, &mut connection);
    connection
        .batch_execute(&format!("DROP SCHEMA {schema} CASCADE"))
        .unwrap();
}

/// Prints two medians and how many times the second the first is.
fn report(what: &str, ours: &mut [Duration], baseline: &mut [Duration]) {
    let (ours, baseline) = (median(ours), median(baseline));
    #[expect(clippy::float_arithmetic, reason = "a ratio of times, not money")]
    let ratio = ours.as_secs_f64() / baseline.as_secs_f64();
    println!(
        "{what:<52} {:>10} {:>10} {ratio:>7.2}",
        millis(ours),
        millis(baseline)
    );
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Duration) -> String {
    let micros = time.as_micros();
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}

/// Runs both in turns and keeps the time of each.
fn in_turns(
    rounds: usize,
    mut ours: impl FnMut(),
    mut baseline: impl FnMut(),
) -> [Vec<Duration>; 2] {
    let time_of = |work: &mut dyn FnMut()| {
        let begin = Instant::now();
        work();
        begin.elapsed()
    };
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        times[0].push(time_of(&mut ours));
        times[1].push(time_of(&mut baseline));
    }
    times
}

// --- whole processes -------------------------------------------------------------------------------------------------

fn payouts(url: Option<&str>, args: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payouts"));
    command
        .args(args)
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(url) = url {
        command.env("DATABASE_URL", url);
    }
    assert!(command.status().unwrap().success(), "payouts {args:?}");
}

/// The shortest program there is.
fn nothing() {
    assert!(Command::new("true").env_clear().status().unwrap().success());
}

fn start_of_a_process() {
    let [mut ours, mut baseline] = in_turns(300, || payouts(None, &["--version"]), nothing);
    report(
        "--version, against the program `true`",
        &mut ours,
        &mut baseline,
    );
}

fn list_of_a_small_database(folder: &tempfile::TempDir) {
    let file = folder.path().join("small.db");
    let url = format!("sqlite:{}", file.display());
    Store::open(
        &url.parse().unwrap(),
        Open::CreateIfMissing,
        false,
        Clock::system(),
    )
    .unwrap()
    .migrate()
    .unwrap();
    let mut connection = SqliteConnection::establish(&file.display().to_string()).unwrap();
    connection
        .batch_execute(&seed(200, &series_of("SQLite", 200)))
        .unwrap();
    let [mut ours, mut baseline] = in_turns(200, || payouts(Some(&url), &["list"]), nothing);
    report(
        "list of 200 on SQLite, against `true`",
        &mut ours,
        &mut baseline,
    );
}

// --- a million payouts -----------------------------------------------------------------------------------------------

/// The numbers from 1, as a table `n (i)`.
fn series_of(backend: &str, rows: u32) -> String {
    if backend == "SQLite" {
        format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})")
    } else {
        format!("WITH n (i) AS (SELECT generate_series(1, {rows}))")
    }
}

/// A batch shares one moment, so ties are what a page and a claim must get through.
fn seed(rows: u32, series: &str) -> String {
    let creators = rows.min(1000);
    format!(
        r#"{series} INSERT INTO users (id, email, "updatedAt")
           SELECT 'u' || i, 'c' || i || '@example.org', '2026-01-01 00:00:00' FROM n WHERE i <= {creators};
           {series} INSERT INTO creators (id, "userId", "stageName", "stripeAccountId", "updatedAt")
           SELECT 'c' || i, 'u' || i, 'Creator ' || i, 'acct_' || i, '2026-01-01 00:00:00' FROM n WHERE i <= {creators};
           {series} INSERT INTO payouts (id, creator_id, amount_cents, created_at, updated_at)
           SELECT 'cp' || (10000000 + i), 'c' || (1 + i % {creators}), 1000 + i % 5000,
               '2026-10-01 00:00:00', '2026-10-01 00:00:00' FROM n;
           {series} INSERT INTO payout_batch_items (payout_id) SELECT 'cp' || (10000000 + i) FROM n;"#
    )
}

fn on_a_million<C>(backend: &str, url: &str, connection: &mut C)
where
    C: SimpleConnection,
    diesel::query_builder::SqlQuery: for<'q> diesel::query_dsl::methods::LoadQuery<'q, C, Line>,
{
    let database: DatabaseUrl = url.parse().unwrap();
    let mut store = Store::open(&database, Open::CreateIfMissing, false, Clock::system()).unwrap();
    store.migrate().unwrap();
    connection
        .batch_execute(&seed(ROWS, &series_of(backend, ROWS)))
        .unwrap();
    connection.batch_execute("ANALYZE").unwrap();

    let first = page(&mut store, None);
    let mut deep = first.clone();
    // Page 10 000 begins in the middle of the table.
    deep.id = PayoutId::new(format!("cp{}", 10_000_000 + ROWS / 2));
    for (name, after) in [("page 1", None), ("page 10 000", Some(&deep))] {
        let sql = by_hand(after);
        let [mut ours, mut baseline] = in_turns(
            100,
            || {
                black_box(page(&mut store, after));
            },
            || {
                let lines: Vec<Line> = diesel::sql_query(&sql).load(connection).unwrap();
                assert_eq!(lines.len(), PAGE);
                black_box(lines);
            },
        );
        report(
            &format!("{backend}: {name} of 1 000 000, by hand in SQL"),
            &mut ours,
            &mut baseline,
        );
    }
    claims(backend, &mut store, connection);
}

fn page(store: &mut Store, after: Option<&Payout>) -> Payout {
    let asked = PageOf {
        order: PayoutOrder::default(),
        after,
        rows_max: PAGE,
    };
    let rules = ListRules {
        lease: Duration::from_secs(120),
        retry: RetryRules {
            retries_max: 5,
            delays: vec![Duration::from_secs(300)],
            automatic: |_| false,
        },
    };
    let pending = PayoutFilter {
        statuses: vec![PayoutStatus::Pending],
        ..PayoutFilter::default()
    };
    let mut lines = store.payout_list(&pending, asked, &rules).unwrap();
    assert_eq!(lines.len(), PAGE);
    lines.swap_remove(0).payout
}

/// Everything that a list knows of a row.
#[derive(QueryableByName)]
#[expect(dead_code, reason = "read, and thrown away")]
struct Line {
    #[diesel(embed)]
    payout: PayoutColumns,
    #[diesel(sql_type = Nullable<Text>)]
    creator_name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    batch_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    reference: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    outcome: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    error_code: Option<String>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    seen_at: Option<NaiveDateTime>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    ended_at: Option<NaiveDateTime>,
    #[diesel(sql_type = Nullable<BigInt>)]
    reversed: Option<i64>,
}

#[derive(QueryableByName)]
#[expect(dead_code, reason = "read, and thrown away")]
struct PayoutColumns {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    creator_id: String,
    #[diesel(sql_type = Integer)]
    amount_cents: i32,
    #[diesel(sql_type = Nullable<Text>)]
    stripe_transfer_id: Option<String>,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Nullable<Text>)]
    royalty_statement_id: Option<String>,
    #[diesel(sql_type = Integer)]
    retry_count: i32,
    #[diesel(sql_type = Nullable<Timestamp>)]
    last_retry_at: Option<NaiveDateTime>,
    #[diesel(sql_type = Nullable<Text>)]
    failed_reason: Option<String>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    processed_at: Option<NaiveDateTime>,
    #[diesel(sql_type = Timestamp)]
    created_at: NaiveDateTime,
    #[diesel(sql_type = Timestamp)]
    updated_at: NaiveDateTime,
}

/// One statement with everything that a page needs to know.
fn by_hand(after: Option<&Payout>) -> String {
    let mark = after.map_or_else(String::new, |payout| {
        format!(
            "AND (p.created_at, p.id) < ('2026-10-01 00:00:00', '{}')",
            payout.id
        )
    });
    format!(
        r#"SELECT p.id, p.creator_id, p.amount_cents, p.stripe_transfer_id, CAST(p.status AS TEXT) AS status,
               p.royalty_statement_id, p.retry_count, p.last_retry_at, p.failed_reason, p.processed_at, p.created_at,
               p.updated_at, c."stageName" AS creator_name, i.batch_id, i.reference, a.outcome, a.error_code,
               r.seen_at, r.ended_at,
               (SELECT v.amount_reversed_cents FROM payout_reversals v
                WHERE v.payout_id = p.id AND v.transfer_id = p.stripe_transfer_id) AS reversed
           FROM payouts p
           LEFT JOIN creators c ON c.id = p.creator_id
           LEFT JOIN payout_batch_items i ON i.payout_id = p.id
           LEFT JOIN payout_attempts a ON a.payout_id = p.id
               AND a.attempt = (SELECT MAX(l.attempt) FROM payout_attempts l WHERE l.payout_id = p.id)
           LEFT JOIN payout_runs r ON r.id = a.run_id
           LEFT JOIN payout_holds h ON h.kind = 'payout' AND h.target = p.id
           WHERE p.status = 'PENDING' {mark}
           ORDER BY p.created_at DESC, p.id DESC LIMIT {PAGE}"#
    )
}

fn claims<C: SimpleConnection>(backend: &str, store: &mut Store, connection: &mut C) {
    let stamp = store
        .run_begin(RunDescription {
            command: "bench".to_owned(),
            arguments: String::new(),
            actor: "bench".to_owned(),
            host: "bench".to_owned(),
        })
        .unwrap();
    let mut request = QueueRequest {
        filter: QueueFilter::default(),
        after: None,
        until: None,
        rules: SendRules {
            min_cents: 1,
            max_cents: i32::MAX,
            total_max_cents: None,
            approval: None,
            named_batch: None,
        },
        searched: std::sync::Arc::default(),
        agreed: None,
        in_doubt: std::sync::Arc::default(),
    };
    let terms = ClaimTerms {
        day: None,
        payouts_max: CLAIM,
        rows_max: CLAIM,
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
    // From the other end, so that the two do not claim the same rows.
    let bare = format!(
        "BEGIN; UPDATE payouts SET status = 'PROCESSING' WHERE id IN (SELECT id FROM payouts
         WHERE status = 'PENDING' ORDER BY created_at DESC, id DESC LIMIT {CLAIM}); COMMIT"
    );
    let [mut ours, mut baseline] = in_turns(
        200,
        || {
            let window = store.queue_claim(&stamp, &request, &terms).unwrap();
            assert_eq!(window.claimed.len(), CLAIM);
            request.after = window.last;
        },
        || connection.batch_execute(&bare).unwrap(),
    );
    report(
        &format!("{backend}: a claim of 32, a bare UPDATE of 32"),
        &mut ours,
        &mut baseline,
    );
}
