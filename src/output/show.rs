//! `payouts show` for people: a payout on one page, from what it is to what to do.
//!
//! Every text from outside is cleaned where it is put on the page, in `Page`.

use std::fmt::Write as _;

use crate::model::attempt::AnswerRow;
use crate::model::history::HistoryRow;
use crate::model::hold::{Hold, HoldKind};
use crate::model::lookup::LookUp;
use crate::model::money::{Currency, with_currency};
use crate::model::reconciliation::{Finding, FindingState};
use crate::model::record::{AttemptRecord, PayoutRecord};
use crate::model::time::Time;
use crate::output::list::status;
use crate::output::table::Tone;
use crate::output::text::{brief, clean, count, wrapped};
use crate::output::ui::Ui;

/// Characters of a label and the space behind it.
const LABEL: usize = 12;

/// Characters of a text that somebody else made up.
const TEXT_MAX: usize = 500;

/// The page of one payout.
pub fn page(ui: &Ui, record: &PayoutRecord, next_step: &str, currency: Currency) -> String {
    let mut page = Page {
        ui,
        text: String::new(),
    };
    facts(&mut page, record, currency);
    history(&mut page, &record.history);
    for attempt in &record.attempts {
        page.attempt(attempt);
    }
    look_ups(&mut page, &record.look_ups);
    reversals(&mut page, record, currency);
    findings(&mut page, &record.findings);
    page.heading("What to do next");
    page.prose(2, next_step);
    page.text
}

fn facts(page: &mut Page<'_>, record: &PayoutRecord, currency: Currency) {
    let listed = &record.listed;
    let payout = &listed.payout;
    let (status, tone) = status(listed);
    page.field("Payout", payout.id.as_str());
    page.toned("Status", &status, tone);
    page.field(
        "Amount",
        &with_currency(payout.amount_cents.into(), currency),
    );
    page.field("Creator", &creator(record));
    if let Some(id) = &payout.royalty_statement_id {
        let statement = record.statement.as_ref().map_or_else(
            || "its row is gone".to_owned(),
            |statement| {
                let payable = with_currency(statement.net_payable_cents.into(), currency);
                format!("{}, {payable} payable", statement.status)
            },
        );
        page.field("Statement", &format!("{id}: {statement}"));
    }
    match (&record.batch, &record.item) {
        (Some(batch), item) => {
            let line = item.as_ref().and_then(|item| item.line);
            let line = line.map_or_else(String::new, |line| format!(", line {line}"));
            page.field(
                "Batch",
                &format!(
                    "{}: {}{line}, loaded by {}",
                    batch.id, batch.source, batch.actor
                ),
            );
        }
        (None, Some(_)) => {}
        (None, None) => page.field("Source", "created by other software"),
    }
    page.maybe("Reference", listed.reference.as_deref());
    page.field("Created", &moment(payout.created_at));
    page.field("Changed", &moment(payout.updated_at));
    page.maybe("Paid", payout.processed_at.map(moment).as_deref());
    page.maybe("Transfer", payout.stripe_transfer_id.as_deref());
    if listed.reversed_cents > 0 {
        let taken = with_currency(listed.reversed_cents, currency);
        page.field("Taken back", &format!("{taken}, at Stripe"));
    }
    page.maybe("Failed", payout.failed_reason.as_deref());
    if payout.retry_count > 0 {
        let last = payout
            .last_retry_at
            .map_or_else(String::new, |at| format!(", last at {}", moment(at)));
        let tries = u64::try_from(payout.retry_count).unwrap_or(0);
        page.field(
            "Tries",
            &format!("{}{last}", count(tries, "failed attempt")),
        );
    }
    for hold in &record.holds {
        page.field("Hold", &held(hold));
    }
}

fn creator(record: &PayoutRecord) -> String {
    let Some(creator) = &record.creator else {
        return format!("{}: its row is gone", record.listed.payout.creator_id);
    };
    let email = creator
        .email
        .as_deref()
        .map_or_else(String::new, |email| format!(" <{email}>"));
    let account = creator
        .stripe_account_id
        .as_deref()
        .unwrap_or("no Stripe account");
    let deleted = creator
        .deleted_at
        .map_or_else(String::new, |at| format!(", deleted {}", moment(at)));
    format!(
        "{}{email}, {}, {account}{deleted}",
        brief(&creator.name, TEXT_MAX),
        creator.id
    )
}

fn held(hold: &Hold) -> String {
    let what = match hold.kind {
        HoldKind::Payout => "this payout",
        HoldKind::Creator => "its creator",
        HoldKind::Batch => "its batch",
        HoldKind::All => "everything",
    };
    let until = hold
        .ends_at
        .map_or_else(String::new, |end| format!(" until {}", moment(end)));
    format!(
        "{what} since {}{until}, by {}: {}",
        moment(hold.created_at),
        hold.actor,
        hold.reason
    )
}

fn history(page: &mut Page<'_>, rows: &[HistoryRow]) {
    page.heading("History");
    if rows.is_empty() {
        page.line(2, "none is recorded");
    }
    for row in rows {
        let change = match row.from_status.as_deref() {
            Some(from) if from != row.to_status => format!("{from} → {}", row.to_status),
            _ => row.to_status.clone(),
        };
        let by = format!("by {} in run {}", row.actor, row.run_id);
        page.line(
            2,
            &format!("{}  {:<10}  {change:<23}  {by}", moment(row.at), row.event),
        );
        if let Some(reason) = &row.reason {
            page.prose(4, reason);
        }
    }
}

/// When Stripe was looked at for it, and what there was.
fn look_ups(page: &mut Page<'_>, look_ups: &[LookUp]) {
    if look_ups.is_empty() {
        return;
    }
    page.heading("Look-ups at Stripe");
    for one in look_ups {
        let found = match &one.detail {
            None => one.found.to_string(),
            Some(detail) => format!("{}: {}", one.found, brief(detail, TEXT_MAX)),
        };
        page.line(
            2,
            &format!(
                "{}  attempt {}  {found}, in run {}",
                moment(one.begun_at),
                one.attempt,
                one.run_id
            ),
        );
    }
}

/// What was taken back of its transfers, and when that was seen.
fn reversals(page: &mut Page<'_>, record: &PayoutRecord, currency: Currency) {
    if record.reversals.is_empty() {
        return;
    }
    page.heading("Reversals");
    for step in &record.reversals {
        let amount = |cents: i64| with_currency(cents, currency);
        let so_far = if step.total_cents == step.taken_cents {
            String::new()
        } else {
            format!(", {} in all", amount(step.total_cents))
        };
        let left = record
            .left_after(step)
            .map_or_else(String::new, |left| format!(", {} left", amount(left)));
        page.line(
            2,
            &format!(
                "{}  {}  {} taken back{so_far}{left}",
                moment(step.seen_at),
                step.transfer_id,
                amount(step.taken_cents)
            ),
        );
    }
}

/// What comparing with Stripe found about it, and what to do about each.
fn findings(page: &mut Page<'_>, findings: &[Finding]) {
    if findings.is_empty() {
        return;
    }
    page.heading("Findings");
    for finding in findings {
        let transfer = finding
            .transfer_id
            .as_deref()
            .map_or_else(String::new, |id| format!(", {id}"));
        let state = match finding.state {
            FindingState::Open => String::new(),
            state => format!(", {state}"),
        };
        page.line(
            2,
            &format!(
                "{}  {}{state}{transfer}, seen {}",
                finding.id,
                finding.kind,
                moment(finding.seen_at)
            ),
        );
        let expected = finding.expected.as_deref().unwrap_or("nothing");
        let found = brief(&finding.found, TEXT_MAX);
        page.prose(4, &format!("in the table: {expected}; at Stripe: {found}"));
        match &finding.reason {
            Some(reason) => page.prose(4, reason),
            None => page.prose(4, &format!("Next: {}", finding.next_step())),
        }
    }
}

/// `2026-10-01 09:30:00.000 UTC`
fn moment(time: Time) -> String {
    time.utc().format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

/// A text that grows by lines.
struct Page<'a> {
    ui: &'a Ui,
    text: String,
}

impl Page<'_> {
    fn line(&mut self, indent: usize, text: &str) {
        self.text.push_str(&" ".repeat(indent));
        self.text.push_str(clean(text).trim_end());
        self.text.push('\n');
    }

    /// Sentences, which are broken into lines on a terminal.
    fn prose(&mut self, indent: usize, text: &str) {
        let Some(width) = self.ui.width else {
            return self.line(indent, text);
        };
        for line in wrapped(text, usize::from(width).saturating_sub(indent)) {
            self.line(indent, &line);
        }
    }

    fn heading(&mut self, text: &str) {
        let heading = if self.ui.stdout_color {
            format!("\x1b[1m{text}\x1b[0m")
        } else {
            text.to_owned()
        };
        self.text.push('\n');
        self.text.push_str(&heading);
        self.text.push('\n');
    }

    fn field(&mut self, label: &str, value: &str) {
        self.toned(label, value, Tone::Plain);
    }

    fn toned(&mut self, label: &str, value: &str, tone: Tone) {
        let value = brief(value, TEXT_MAX);
        let value = tone.paint(self.ui, &value);
        let _ = writeln!(self.text, "{label:<LABEL$}{value}");
    }

    fn maybe(&mut self, label: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.field(label, value);
        }
    }

    fn attempt(&mut self, record: &AttemptRecord) {
        let attempt = &record.attempt;
        self.heading(&format!("Attempt {}: {}", attempt.attempt, attempt.outcome));
        let mode = if attempt.livemode {
            "live mode: real money"
        } else {
            "test mode"
        };
        self.line(2, &format!("key       {}", attempt.idempotency_key));
        let amount = with_currency(attempt.amount_cents.into(), attempt.currency);
        self.line(
            2,
            &format!(
                "pays      {amount} to {}, from {}, {mode}",
                attempt.destination, attempt.stripe_account
            ),
        );
        self.line(2, &format!("sent      {}", sent(record)));
        if let Some(answer) = last_answer(record) {
            self.line(2, &format!("answer    {answer}"));
        }
        if let Some(transfer) = &attempt.transfer_id {
            self.line(2, &format!("transfer  {transfer}"));
        }
        for answer in &record.answers {
            self.answer(answer);
        }
    }

    fn answer(&mut self, answer: &AnswerRow) {
        let status = answer
            .http_status
            .map_or_else(|| "no answer".to_owned(), |status| format!("HTTP {status}"));
        let request = answer
            .request_id
            .as_deref()
            .map_or_else(String::new, |id| format!(", {id}"));
        let replayed = if answer.replayed {
            ", stored by Stripe"
        } else {
            ""
        };
        let took = seconds(answer.answered_at.millis_since(answer.sent_at));
        self.text.push('\n');
        self.line(
            2,
            &format!(
                "Send {} at {}, after {took}: {status}{request}{replayed}: {}",
                answer.send,
                moment(answer.sent_at),
                answer.verdict
            ),
        );
        let body = match serde_json::from_str::<serde_json::Value>(&answer.body) {
            Ok(json) => serde_json::to_string_pretty(&json).unwrap_or_else(|_| answer.body.clone()),
            Err(_) => answer.body.clone(),
        };
        for line in body.lines() {
            self.line(4, line);
        }
    }
}

/// How often an attempt was sent, and when: by this machine's clock, like all else on
/// the page, and by Stripe's only where nothing else is on record.
fn sent(record: &AttemptRecord) -> String {
    let attempt = &record.attempt;
    let at_stripe = format!("{} by Stripe's clock", moment(attempt.first_sent_at));
    let first = || {
        let answer = record.answers.iter().find(|answer| answer.send == 1);
        answer.map_or_else(|| at_stripe.clone(), |answer| moment(answer.sent_at))
    };
    match (attempt.send_count, attempt.last_sent_at) {
        (..=0, _) => format!("not on record; not before {at_stripe}"),
        (1, last) => format!("once, at {}", last.map_or_else(first, moment)),
        (sends, None) => format!("{sends} times, first at {}", first()),
        (sends, Some(last)) => {
            format!(
                "{sends} times, first at {}, last at {}",
                first(),
                moment(last)
            )
        }
    }
}

/// The last answer in a line: `HTTP 400, balance_insufficient: Insufficient funds (req_1)`.
fn last_answer(record: &AttemptRecord) -> Option<String> {
    let attempt = &record.attempt;
    let status = attempt.http_status.map(|status| format!("HTTP {status}"));
    let code = attempt
        .error_code
        .clone()
        .or_else(|| attempt.error_type.clone());
    let known: Vec<String> = [status, code].into_iter().flatten().collect();
    if known.is_empty() {
        return None;
    }
    let message = attempt
        .error_message
        .as_deref()
        .map_or_else(String::new, |message| {
            format!(": {}", brief(message, TEXT_MAX))
        });
    let request = attempt
        .request_id
        .as_deref()
        .map_or_else(String::new, |id| format!(" ({id})"));
    let replayed = if attempt.replayed {
        ", stored by Stripe"
    } else {
        ""
    };
    Some(format!("{}{message}{request}{replayed}", known.join(", ")))
}

/// `0.412 s`
fn seconds(millis: i64) -> String {
    let millis = millis.max(0);
    format!("{}.{:03} s", millis / 1000, millis % 1000)
}
