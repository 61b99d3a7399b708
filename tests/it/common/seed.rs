//! Rows for tests to look at, written behind the back of the tool.

use payouts::store::Store;

use super::db::TestDb;

/// A store on `db`, with the schema, whose clock stands still.
pub(crate) fn migrated(db: &TestDb) -> Store {
    db.migrated()
}

/// A text as SQL writes it.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn nullable(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), quoted)
}

/// A creator `id` with the e-mail `id@example.com` and the Stripe account `acct_id`.
pub(crate) fn creator(db: &TestDb, id: &str, name: &str) {
    let (user, email, account) = (
        quoted(&format!("u_{id}")),
        quoted(&format!("{id}@example.com")),
        quoted(&format!("acct_{id}")),
    );
    let (id, name) = (quoted(id), quoted(name));
    db.execute(&format!(
        r#"INSERT INTO users (id, email, "updatedAt") VALUES ({user}, {email}, '2026-01-01 00:00:00');
        INSERT INTO creators (id, "userId", "stageName", "stripeAccountId", "createdAt", "updatedAt")
        VALUES ({id}, {user}, {name}, {account}, '2026-01-01 00:00:00', '2026-01-01 00:00:00')"#
    ));
}

/// A reviewed statement of a creator, of its own run, over 500.00.
pub(crate) fn statement(db: &TestDb, id: &str, creator: &str) {
    let (run, id, creator) = (quoted(&format!("rr_{id}")), quoted(id), quoted(creator));
    db.execute(&format!(
        "INSERT INTO royalty_runs (id, period_start, period_end, updated_at)
        VALUES ({run}, '2026-09-01 00:00:00', '2026-10-01 00:00:00', '2026-10-01 00:00:00');
        INSERT INTO royalty_statements (id, royalty_run_id, creator_id, total_earnings_cents,
            platform_fee_cents, net_payable_cents, status, updated_at)
        VALUES ({id}, {run}, {creator}, 60000, 10000, 50000, 'REVIEWED', '2026-10-01 00:00:00')"
    ));
}

/// A row of `payouts`.
#[derive(Clone)]
pub(crate) struct PayoutRow<'a> {
    pub(crate) id: &'a str,
    pub(crate) creator: &'a str,
    pub(crate) statement: Option<&'a str>,
    pub(crate) cents: i32,
    pub(crate) status: &'a str,
    pub(crate) transfer: Option<&'a str>,
    pub(crate) processed: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) retries: i32,
    pub(crate) created: &'a str,
    pub(crate) updated: &'a str,
}

impl<'a> PayoutRow<'a> {
    /// A pending payout of 500.00.
    pub(crate) fn new(id: &'a str, creator: &'a str) -> Self {
        Self {
            id,
            creator,
            statement: None,
            cents: 50_000,
            status: "PENDING",
            transfer: None,
            processed: None,
            reason: None,
            retries: 0,
            created: "2026-10-01 08:00:00",
            updated: "2026-10-01 08:00:00",
        }
    }

    pub(crate) fn insert(&self, db: &TestDb) {
        db.execute(&format!(
            "INSERT INTO payouts (id, creator_id, royalty_statement_id, amount_cents, status,
                stripe_transfer_id, processed_at, failed_reason, retry_count, created_at, updated_at)
            VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})",
            quoted(self.id),
            quoted(self.creator),
            nullable(self.statement),
            self.cents,
            quoted(self.status),
            nullable(self.transfer),
            nullable(self.processed),
            nullable(self.reason),
            self.retries,
            quoted(self.created),
            quoted(self.updated),
        ));
    }
}

/// A run that ended, or that was last seen when it is given.
pub(crate) fn run(db: &TestDb, id: &str, alive_at: Option<&str>) {
    let seen = quoted(alive_at.unwrap_or("2026-10-05 08:00:00"));
    let ended = if alive_at.is_some() { "NULL" } else { &seen };
    db.execute(&format!(
        "INSERT INTO payout_runs (id, command, arguments, actor, host, version, started_at, seen_at, ended_at)
        VALUES ({}, 'process', '', 'cron', 'host', '0', '2026-10-05 08:00:00', {seen}, {ended})",
        quoted(id)
    ));
}

/// A batch `id` of the file `id.csv`, held.
pub(crate) fn batch(db: &TestDb, id: &str, run: &str) {
    let file = quoted(&format!("{id}.csv"));
    let (id, run) = (quoted(id), quoted(run));
    db.execute(&format!(
        "INSERT INTO payout_batches (id, source, sha256, payout_count, total_cents, actor, run_id, created_at)
        VALUES ({id}, {file}, {id}, 1, 50000, 'ann', {run}, '2026-10-01 08:00:00')"
    ));
}

/// Where a payout came from.
pub(crate) fn item(db: &TestDb, payout: &str, batch: Option<&str>, reference: Option<&str>) {
    db.execute(&format!(
        "INSERT INTO payout_batch_items (payout_id, batch_id, line, reference) VALUES ({}, {}, {}, {})",
        quoted(payout),
        nullable(batch),
        if batch.is_some() { "2" } else { "NULL" },
        nullable(reference),
    ));
}

/// A hold; `target` is empty for everything.
pub(crate) fn hold(db: &TestDb, kind: &str, target: &str) {
    db.execute(&format!(
        "INSERT INTO payout_holds (kind, target, reason, actor, created_at)
        VALUES ({}, {}, 'not looked over yet', 'ann', '2026-10-01 08:00:00')",
        quoted(kind),
        quoted(target),
    ));
}

/// An attempt of a run, over 500.00.
#[derive(Clone, Default)]
pub(crate) struct AttemptRow<'a> {
    pub(crate) payout: &'a str,
    pub(crate) number: i32,
    pub(crate) run: &'a str,
    pub(crate) outcome: &'a str,
    pub(crate) http: Option<i32>,
    pub(crate) code: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
    pub(crate) request: Option<&'a str>,
    pub(crate) transfer: Option<&'a str>,
}

impl AttemptRow<'_> {
    pub(crate) fn insert(&self, db: &TestDb) {
        let key = format!("payout_{}_{}", self.payout, self.number);
        db.execute(&format!(
            "INSERT INTO payout_attempts (payout_id, attempt, idempotency_key, body, amount_cents, currency,
                destination, transfer_group, stripe_account, livemode, api_version, run_id, outcome,
                created_at, first_sent_at, last_sent_at, send_count, http_status, error_code,
                error_message, request_id, transfer_id)
            VALUES ({payout}, {}, {}, 'amount=50000&currency=usd', 50000, 'usd', 'acct_ann', {payout},
                'acct_platform', FALSE, '2026-01-01', {}, {}, '2026-10-05 08:00:00', '2026-10-05 08:00:00',
                '2026-10-05 08:00:00', 1, {}, {}, {}, {}, {})",
            self.number,
            quoted(&key),
            quoted(self.run),
            quoted(self.outcome),
            self.http.map_or_else(|| "NULL".to_owned(), |status| status.to_string()),
            nullable(self.code),
            nullable(self.message),
            nullable(self.request),
            nullable(self.transfer),
            payout = quoted(self.payout),
        ));
    }
}

/// The answer to the first send of an attempt.
pub(crate) fn answer(
    db: &TestDb,
    payout: &str,
    attempt: i32,
    http: Option<i32>,
    request: Option<&str>,
    verdict: &str,
    body: &str,
) {
    db.execute(&format!(
        "INSERT INTO payout_answers (payout_id, attempt, send, sent_at, answered_at, http_status, request_id,
            replayed, verdict, body)
        VALUES ({}, {attempt}, 1, '2026-10-05 08:00:00', '2026-10-05 08:00:00.412', {}, {}, FALSE, {}, {})",
        quoted(payout),
        http.map_or_else(|| "NULL".to_owned(), |status| status.to_string()),
        nullable(request),
        quoted(verdict),
        quoted(body),
    ));
}

/// A line of a payout's history.
pub(crate) fn history(
    db: &TestDb,
    payout: &str,
    seq: i32,
    event: &str,
    from: Option<&str>,
    to: &str,
    reason: Option<&str>,
) {
    db.execute(&format!(
        "INSERT INTO payout_history (payout_id, seq, event, from_status, to_status, at, actor, run_id, reason, hash)
        VALUES ({}, {seq}, {}, {}, {}, '2026-10-05 08:00:0{seq}', 'cron', 'run1', {}, 'h{seq}')",
        quoted(payout),
        quoted(event),
        nullable(from),
        quoted(to),
        nullable(reason),
    ));
}

/// The limits of a run that nobody configured.
pub(crate) fn rules() -> payouts::model::payout::SendRules {
    payouts::model::payout::SendRules {
        min_cents: 100,
        max_cents: 1_000_000,
        total_max_cents: None,
        approval: None,
        named_batch: None,
    }
}
