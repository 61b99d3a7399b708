//! What `payouts check` says: the line and the numbers that monitoring systems read
//! (Monitoring Plugins Development Guidelines), and the same for scripts.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::alert::{Alert, Found, Severity};
use crate::model::money::Currency;
use crate::ops::check::{Checkup, Figures};
use crate::output::rows::csv_fields;
use crate::output::runbook;
use crate::output::text::clean;

/// Something that needs a person. Also a line of CSV.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AlertView<'a> {
    /// What: `failure_rate`, `payouts_stuck`, … Also its entry in the runbook.
    pub alert: &'static str,
    /// `critical` or `warning`.
    pub severity: &'static str,
    /// How it shows, in words.
    pub found: &'a str,
    /// How many payouts or findings it is about.
    pub count: Option<i64>,
    /// The money it is about, minor units.
    pub amount_cents: Option<i64>,
    /// Lowercase code.
    pub currency: &'static str,
    /// One of them: what to look at first.
    pub example: Option<&'a str>,
    /// The command that says what to do.
    pub runbook: String,
}
csv_fields!(AlertView<'a>: alert, severity, found, count, amount_cents, currency, example, runbook);

impl<'a> AlertView<'a> {
    /// Shows what was found.
    pub fn of(found: &'a Found, currency: Currency) -> Self {
        Self {
            alert: found.code.as_str(),
            severity: found.code.severity().as_str(),
            found: &found.text,
            count: found.count,
            amount_cents: found.amount_cents,
            currency: currency.as_str(),
            example: found.example.as_deref(),
            runbook: runbook::command(found.code),
        }
    }
}

/// What `check` says besides the alerts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CheckMembers<'a> {
    /// `ok`, `warning` or `critical`.
    pub state: &'static str,
    /// The alerts that were looked for.
    pub looked: Vec<&'static str>,
    /// What was not looked at, and why.
    pub not_looked: &'a [String],
    /// The numbers behind it.
    pub figures: FiguresView,
}

/// The numbers behind a check.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FiguresView {
    /// Pending payouts that nothing holds.
    pub due_count: i64,
    /// Their sum, minor units.
    pub due_cents: i64,
    /// Payouts that are on the way or unresolved for too long.
    pub stuck_count: i64,
    /// Payouts that failed of late.
    pub failed_count: i64,
    /// Open findings.
    pub findings_count: i64,
    /// Available at Stripe, minor units; null where it was not asked.
    pub balance_cents: Option<i64>,
    /// Lowercase code.
    pub currency: &'static str,
}

impl<'a> CheckMembers<'a> {
    /// Of a check.
    pub fn of(checkup: &'a Checkup, currency: Currency) -> Self {
        let Figures {
            due,
            due_cents,
            stuck,
            failed,
            findings,
            balance_cents,
        } = checkup.figures;
        Self {
            state: checkup.worst().map_or("ok", Severity::as_str),
            looked: checkup.looked.iter().map(|code| code.as_str()).collect(),
            not_looked: &checkup.not_looked,
            figures: FiguresView {
                due_count: due,
                due_cents,
                stuck_count: stuck,
                failed_count: failed,
                findings_count: findings,
                balance_cents,
                currency: currency.as_str(),
            },
        }
    }
}

/// The line with its numbers, then a line for each alert.
pub fn lines(checkup: &Checkup) -> String {
    let said = if checkup.found.is_empty() {
        "nothing needs a person".to_owned()
    } else {
        checkup
            .found
            .iter()
            .map(|found| found.text.as_str())
            .collect::<Vec<_>>()
            .join("; ")
    };
    let state = match checkup.worst() {
        None => "OK",
        Some(Severity::Warning) => "WARNING",
        Some(Severity::Critical) => "CRITICAL",
    };
    let mut text = line(state, &said);
    let _ = write!(text, " | {}", numbers(checkup.figures));
    for found in &checkup.found {
        let _ = write!(
            text,
            "\n{} {}: {} ({})",
            found.code.severity(),
            found.code,
            harmless(&found.text),
            runbook::command(found.code)
        );
    }
    for what in &checkup.not_looked {
        let _ = write!(text, "\nnot looked at: {}", harmless(what));
    }
    text
}

/// The line of a check that could not be made.
pub fn unknown(why: &str) -> String {
    line("UNKNOWN", why)
}

fn line(state: &str, said: &str) -> String {
    format!("PAYOUTS {state} - {}", harmless(said))
}

/// A bar would begin the numbers.
fn harmless(text: &str) -> String {
    clean(text).replace('|', "/")
}

/// `label=value;warning;critical;minimum`, of which only what is known.
fn numbers(figures: Figures) -> String {
    let mut numbers = vec![
        format!("due={};;;0", figures.due),
        format!("due_cents={};;;0", figures.due_cents),
        format!("stuck={};;0;0", figures.stuck),
        format!("failed={};;;0", figures.failed),
        format!("findings={};;0;0", figures.findings),
    ];
    numbers.extend(
        figures
            .balance_cents
            .map(|cents| format!("balance_cents={cents}")),
    );
    numbers.join(" ")
}

/// The mail that tells of an alert: subject and text.
pub fn raised(alert: &Alert) -> (String, String) {
    (
        format!("payouts: {} {}", alert.severity, alert.code),
        format!("{}\n\n{}", alert.found, what_to_do(alert)),
    )
}

/// The mail that tells that there is much more of it.
pub fn grown(alert: &Alert) -> (String, String) {
    (
        format!("payouts: {} {}, more of it", alert.severity, alert.code),
        format!(
            "{}\n\nThis stands since {}, and there is more of it than was told, or than was left of \
             it since.\n\n{}",
            alert.found,
            alert.raised_at,
            what_to_do(alert)
        ),
    )
}

fn what_to_do(alert: &Alert) -> String {
    format!(
        "{}\n\nThis is what `{}` says.\n",
        runbook::entry(alert.code),
        runbook::command(alert.code)
    )
}

/// The mail that tells that an alert is gone.
pub fn cleared(alert: &Alert) -> (String, String) {
    let until = alert.cleared_at.unwrap_or(alert.seen_at);
    (
        format!("payouts: cleared {}", alert.code),
        format!(
            "{}\n\nThis was found from {} to {until}, and is not found any more. What it meant: `{}`.\n",
            alert.found,
            alert.raised_at,
            runbook::command(alert.code)
        ),
    )
}
