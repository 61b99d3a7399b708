//! Runs, in every format.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::model::exit::Exit;
use crate::model::history::HistoryEvent;
use crate::model::money::{Currency, with_currency};
use crate::model::reconciliation::Reconciliation;
use crate::model::run::{FAILURES_MAX, RunLine, RunState, RunTotals, RunWork};
use crate::model::time::{Span, Time};
use crate::ops::runs::next_step;
use crate::output::SCHEMA;
use crate::output::record;
use crate::output::rows::csv_fields;
use crate::output::table::{self, Tone, Value, left, right};
use crate::output::text::{brief, count, grouped, lasted, minute};
use crate::output::ui::Ui;

/// Characters of a summary in a list.
const SUMMARY_MAX: usize = 70;

/// A run. Also a line of CSV.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunView<'a> {
    /// Its id, which every row it wrote bears.
    pub id: &'a str,
    /// The subcommand.
    pub command: &'a str,
    /// The command line, without secrets.
    pub arguments: &'a str,
    /// Who.
    pub actor: &'a str,
    /// On which machine.
    pub host: &'a str,
    /// Of this tool.
    pub version: &'a str,
    /// `ended`, `alive` or `dead`: neither ended nor seen within the lease.
    pub state: &'static str,
    /// When it began.
    pub started_at: String,
    /// Its last sign of life.
    pub seen_at: String,
    /// When it ended; null while it runs, and when it was killed.
    pub ended_at: Option<String>,
    /// From its begin to its end, or to its last sign of life; milliseconds.
    pub millis: i64,
    /// What it ended with.
    pub exit_code: Option<i32>,
    /// What that means.
    pub exit_meaning: Option<&'static str>,
    /// One line on what it did.
    pub summary: Option<&'a str>,
}
csv_fields!(RunView<'a>: id, command, arguments, actor, host, version, state, started_at, seen_at, ended_at, millis, exit_code, exit_meaning, summary);

impl<'a> RunView<'a> {
    /// Of a run.
    pub fn of(line: &'a RunLine) -> Self {
        let run = &line.run;
        Self {
            id: run.id.as_str(),
            command: &run.command,
            arguments: &run.arguments,
            actor: &run.actor,
            host: &run.host,
            version: &run.version,
            state: line.state.as_str(),
            started_at: run.started_at.to_string(),
            seen_at: run.seen_at.to_string(),
            ended_at: run.ended_at.map(|time| time.to_string()),
            millis: run.millis(),
            exit_code: run.exit_code,
            exit_meaning: run.exit_code.and_then(Exit::of).map(Exit::meaning),
            summary: run.summary.as_deref(),
        }
    }
}

/// What `runs list` says besides the runs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunsMembers<'a> {
    /// Of all that match, whichever page is shown; --alive is not counted by.
    pub totals: RunTotalsView,
    /// What `--after` takes for the next page; null on the last.
    pub next: Option<&'a str>,
}

/// How many runs, by how they ended.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunTotalsView {
    /// All of them.
    pub runs: i64,
    /// Ended with exit code 0.
    pub succeeded: i64,
    /// Ended with another.
    pub failed: i64,
    /// Neither: alive, or dead.
    pub unended: i64,
}

impl From<RunTotals> for RunTotalsView {
    fn from(totals: RunTotals) -> Self {
        Self {
            runs: totals.runs,
            succeeded: totals.succeeded,
            failed: totals.failed,
            unended: totals.unended,
        }
    }
}

/// A run with what it did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunShowView<'a> {
    /// The version of this contract.
    pub schema: u32,
    /// The run.
    pub run: RunView<'a>,
    /// Attempts that it worked on last, by what is known of them now.
    pub attempts: Vec<RunAttemptsView>,
    /// What it wrote into the history of payouts.
    pub history: Vec<RunHistoryView<'a>>,
    /// Of its attempts those that did not pay, oldest first, the first twenty.
    pub failures: Vec<RunFailureView<'a>>,
    /// What its comparison with Stripe came to; null when it made none.
    pub reconciliation: Option<RunReconciliationView<'a>>,
    /// What to do next, for people.
    pub next_step: &'static str,
}

/// Attempts of one outcome.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunAttemptsView {
    /// `sending`, `unknown`, `paid`, `declined`, `not_sent`, `released` or `surplus`.
    pub outcome: &'static str,
    /// How many.
    pub count: i64,
    /// Their sum, minor units.
    pub amount_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
}

/// Rows of the history that say the same.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunHistoryView<'a> {
    /// `created`, `claimed`, `paid`, …
    pub event: &'static str,
    /// The status that it left the payouts in.
    pub to_status: &'a str,
    /// How many.
    pub count: i64,
}

/// An attempt that did not pay.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunFailureView<'a> {
    /// Whose.
    pub payout_id: &'a str,
    /// Which.
    pub attempt: i32,
    /// What is known of it now.
    pub outcome: &'static str,
    /// Minor units.
    pub amount_cents: i32,
    /// Lowercase code.
    pub currency: &'static str,
    /// Of the last answer, like the next three.
    pub http_status: Option<i32>,
    /// Stripe's code, or ours.
    pub error_code: Option<&'a str>,
    /// Stripe's words, or ours.
    pub error_message: Option<&'a str>,
    /// `req_…`, Stripe's handle for support.
    pub request_id: Option<&'a str>,
}

/// A comparison with Stripe; `reconcile --show` tells all of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunReconciliationView<'a> {
    /// `stripe` or `file`.
    pub source: &'static str,
    /// The file's name.
    pub file: Option<&'a str>,
    /// The first moment of the period.
    pub from: Option<String>,
    /// The first moment after it.
    pub until: Option<String>,
    /// Transfers that were listed.
    pub transfers: i64,
    /// Findings that were open at its end.
    pub open: i64,
    /// Findings that it repaired.
    pub fixed: i64,
}

impl<'a> RunShowView<'a> {
    /// Of a run and what it did.
    pub fn of(line: &'a RunLine, work: &'a RunWork, currency: Currency) -> Self {
        Self {
            schema: SCHEMA,
            run: RunView::of(line),
            attempts: work
                .attempts
                .iter()
                .map(|(outcome, total)| RunAttemptsView {
                    outcome: outcome.as_str(),
                    count: total.count,
                    amount_cents: total.amount_cents,
                    currency: currency.as_str(),
                })
                .collect(),
            history: work
                .events
                .iter()
                .map(|(event, status, count)| RunHistoryView {
                    event: event.as_str(),
                    to_status: status,
                    count: *count,
                })
                .collect(),
            failures: work.failures.iter().map(failure).collect(),
            reconciliation: work.reconciliation.as_ref().map(compared),
            next_step: next_step(line),
        }
    }
}

fn failure(attempt: &Attempt) -> RunFailureView<'_> {
    RunFailureView {
        payout_id: attempt.payout_id.as_str(),
        attempt: attempt.attempt,
        outcome: attempt.outcome.as_str(),
        amount_cents: attempt.amount_cents,
        currency: attempt.currency.as_str(),
        http_status: attempt.http_status,
        error_code: attempt.error_code.as_deref(),
        error_message: attempt.error_message.as_deref(),
        request_id: attempt.request_id.as_deref(),
    }
}

fn compared(of: &Reconciliation) -> RunReconciliationView<'_> {
    let moment = |time: Option<Time>| time.map(|time| time.to_string());
    RunReconciliationView {
        source: of.source.as_str(),
        file: of.file.as_deref(),
        from: moment(of.period_from),
        until: moment(of.period_until),
        transfers: of.transfer_count,
        open: of.open_count,
        fixed: of.fixed_count,
    }
}

/// The runs as a table.
pub fn runs_table(ui: &Ui, lines: &[RunLine], totals: RunTotals) -> String {
    if lines.is_empty() {
        return "no runs".to_owned();
    }
    let columns = [
        left("Run"),
        left("Began"),
        left("Command"),
        left("By").shrinks_to(8).sacrificed(2),
        right("Took").sacrificed(1),
        left("Ended"),
        left("Summary").shrinks_to(16),
    ];
    let cells = |line: &RunLine| {
        let run = &line.run;
        let (ended, tone) = ended(line);
        vec![
            run.id.as_str().into(),
            minute(run.started_at).into(),
            run.command.as_str().into(),
            brief(&run.actor, 30).into(),
            took(run.millis()).into(),
            Value::toned(ended, tone),
            brief(run.summary.as_deref().unwrap_or_default(), SUMMARY_MAX).into(),
        ]
    };
    let table = table::render(ui, &columns, lines.iter().map(cells).collect());
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    format!(
        "{table}\n{}: {} succeeded, {} failed, {} without an end",
        count(number(totals.runs), "run"),
        grouped(number(totals.succeeded)),
        grouped(number(totals.failed)),
        grouped(number(totals.unended)),
    )
}

/// How it stands with a run, in a word.
fn ended(line: &RunLine) -> (String, Tone) {
    match (line.state, line.run.exit_code) {
        (RunState::Alive, _) => ("alive".to_owned(), Tone::Doubt),
        (RunState::Dead, _) => ("dead".to_owned(), Tone::Bad),
        (RunState::Ended, Some(0)) => ("0".to_owned(), Tone::Good),
        (RunState::Ended, Some(code)) => (code.to_string(), Tone::Bad),
        (RunState::Ended, None) => (String::new(), Tone::Plain),
    }
}

/// How long a run took: `340 ms`, or as [`lasted`] says it.
pub fn took(millis: i64) -> String {
    match millis {
        ..1000 => format!("{millis} ms"),
        _ => lasted(millis / 1000),
    }
}

/// All there is on a run, for people.
pub fn page(ui: &Ui, line: &RunLine, work: &RunWork, currency: Currency) -> String {
    let run = &line.run;
    let how = match (line.state, run.exit_code) {
        (RunState::Ended, Some(code)) => match Exit::of(code) {
            Some(exit) => format!("with {code}: {}", exit.meaning()),
            None => format!("with {code}"),
        },
        (RunState::Ended, None) => "without an exit code".to_owned(),
        (RunState::Alive, _) => "not yet: it is at work".to_owned(),
        (RunState::Dead, _) => "never: it was killed, or its machine went away".to_owned(),
    };
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    let mut lines = vec![
        ("Run", run.id.to_string()),
        ("Command", format!("payouts {}", run.arguments)),
        ("By", format!("{} on {}", run.actor, run.host)),
        ("Version", run.version.clone()),
        ("Began", run.started_at.to_string()),
        ("Last seen", run.seen_at.to_string()),
        (
            "Ended",
            run.ended_at
                .map_or_else(String::new, |time| format!("{time}, "))
                + &how,
        ),
        ("Took", took(run.millis())),
    ];
    lines.extend(run.summary.clone().map(|summary| ("Summary", summary)));
    for (place, (outcome, total)) in work.attempts.iter().enumerate() {
        lines.push((
            if place == 0 { "Attempts" } else { "" },
            format!(
                "{} {}, {}",
                grouped(number(total.count)),
                in_words(*outcome),
                with_currency(total.amount_cents, currency)
            ),
        ));
    }
    for (place, (event, status, times)) in work.events.iter().enumerate() {
        lines.push((
            if place == 0 { "History" } else { "" },
            format!(
                "{} {}, {}",
                count(number(*times), "payout"),
                said(*event),
                status
            ),
        ));
    }
    if let Some(of) = &work.reconciliation {
        let period = Span {
            from: of.period_from,
            until: of.period_until,
        };
        lines.push((
            "Compared",
            format!(
                "{}, {}; {} open, {} repaired",
                within(period),
                count(number(of.transfer_count), "transfer"),
                grouped(number(of.open_count)),
                grouped(number(of.fixed_count)),
            ),
        ));
    }
    let mut page = record::render(&lines);
    if !work.failures.is_empty() {
        page.push('\n');
        page.push_str(&failures_table(ui, work));
    }
    page.push_str("\nNext: ");
    page.push_str(next_step(line));
    page.push('\n');
    page
}

fn failures_table(ui: &Ui, work: &RunWork) -> String {
    let columns = [
        left("Payout").shrinks_to(12),
        right("Attempt"),
        left("Outcome"),
        right("Amount"),
        right("HTTP").sacrificed(1),
        left("Code").shrinks_to(12),
        left("Request").shrinks_to(12),
    ];
    let cells = |attempt: &Attempt| {
        let code = attempt
            .error_code
            .as_deref()
            .or(attempt.error_message.as_deref());
        vec![
            attempt.payout_id.as_str().into(),
            attempt.attempt.to_string().into(),
            in_words(attempt.outcome).into(),
            with_currency(attempt.amount_cents.into(), attempt.currency).into(),
            attempt
                .http_status
                .map(|status| status.to_string())
                .unwrap_or_default()
                .into(),
            brief(code.unwrap_or_default(), 40).into(),
            attempt.request_id.as_deref().unwrap_or_default().into(),
        ]
    };
    let mut text = table::render(ui, &columns, work.failures.iter().map(cells).collect());
    if i64::try_from(work.failures.len()).is_ok_and(|shown| shown == FAILURES_MAX) {
        text.push_str("… the first twenty; `payouts list --status FAILED` has all that failed\n");
    }
    text
}

fn in_words(outcome: AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::NotSent => "not sent",
        AttemptOutcome::Unknown | AttemptOutcome::Sending => "unresolved",
        other => other.as_str(),
    }
}

fn said(event: HistoryEvent) -> String {
    event.as_str().replace('_', " ")
}

fn within(period: Span) -> String {
    let from = period
        .from
        .map_or_else(|| "the beginning".to_owned(), minute);
    let until = period.until.map_or_else(|| "now".to_owned(), minute);
    format!("{from} to {until}, UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_as_long_as_it_matters() {
        let words = [0, 999, 1_000, 59_999, 60_000, 3_599_999, 7_500_000].map(took);
        assert_eq!(
            words,
            [
                "0 ms",
                "999 ms",
                "1 s",
                "59 s",
                "1 min 00 s",
                "59 min 59 s",
                "2 h 05 min"
            ]
        );
    }
}
