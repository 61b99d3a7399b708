//! `payouts stats` for people and machines. What the words mean is said in
//! [`crate::model::stats`].

use std::fmt::Write as _;
use std::io;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::listing::Total;
use crate::model::money::{self, Currency, with_currency};
use crate::model::stats::Tally;
use crate::ops::calendar::Unit;
use crate::ops::stats::Figures;
use crate::output::chart::{self, Bar};
use crate::output::report::{PeriodView, Shown};
use crate::output::rows::csv_fields;
use crate::output::table::{self, Tone, Value};
use crate::output::text::{clean, count, grouped, lasted};
use crate::output::ui::Ui;
use crate::output::{Answer, Format, record};

/// What payouts came to in a stretch of time, or those of one creator. Amounts are in minor
/// units, times in whole seconds.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StatsView {
    /// What it is of: `all`, `day`, `week`, `month`, `year` or `creator`.
    pub of: &'static str,
    /// Which: `2026-10-05`, `2026-W41`, `2026-10`, `2026`, or a creator's id; null for all.
    pub key: Option<String>,
    /// The creator's name on stage today; null for anything else.
    pub creator_name: Option<String>,
    /// Lowercase code.
    pub currency: &'static str,
    /// Payouts created.
    pub created_count: i64,
    /// Their sum.
    pub created_cents: i64,
    /// Payouts paid, by the transfer's own time: the successes.
    pub paid_count: i64,
    /// Their sum.
    pub paid_cents: i64,
    /// Payouts ended without having been paid.
    pub cancelled_count: i64,
    /// Their sum.
    pub cancelled_cents: i64,
    /// Payouts that were refused, each once and at the last time, whatever became of it.
    pub failed_count: i64,
    /// Their sum.
    pub failed_cents: i64,
    /// Of these, those that by the period's end were neither paid nor back in the queue.
    pub unpaid_count: i64,
    /// Their sum.
    pub unpaid_cents: i64,
    /// Of ten thousand payouts that came to such an end, those that were paid, rounded down;
    /// null where none came to one.
    pub success_per_10000: Option<i64>,
    /// Attempts that Stripe refused.
    pub failed_attempt_count: i64,
    /// What they were to pay.
    pub failed_attempt_cents: i64,
    /// Attempts that were not the payout's first.
    pub retry_count: i64,
    /// Payouts of which something was seen to be taken back.
    pub reversed_count: i64,
    /// How much.
    pub reversed_cents: i64,
    /// From creation to payment: half of those that were paid took no longer; null where
    /// none was.
    pub median_seconds_to_paid: Option<i64>,
    /// 95 of 100 took no longer.
    pub p95_seconds_to_paid: Option<i64>,
    /// None took longer.
    pub max_seconds_to_paid: Option<i64>,
}
csv_fields!(StatsView: of, key, creator_name, currency, created_count, created_cents, paid_count, paid_cents, cancelled_count, cancelled_cents, failed_count, failed_cents, unpaid_count, unpaid_cents, success_per_10000, failed_attempt_count, failed_attempt_cents, retry_count, reversed_count, reversed_cents, median_seconds_to_paid, p95_seconds_to_paid, max_seconds_to_paid);

/// Refused attempts with one code of Stripe's.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FailureView {
    /// Stripe's word for why; null where it had none.
    pub code: Option<String>,
    /// Attempts.
    pub attempt_count: i64,
    /// What they were to pay, minor units.
    pub attempt_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
}

/// What the figures say besides their rows.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatsMembers<'a> {
    /// Of which period.
    pub period: &'a PeriodView,
    /// All of it; the rows add up to this, but for the times.
    pub totals: &'a StatsView,
    /// Refused attempts by code, the most frequent first.
    pub failures: &'a [FailureView],
}

/// By what the rows are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Not at all.
    All,
    /// By stretches of the calendar.
    Time(Unit),
    /// By creator.
    Creator,
}

/// What a chart shows of each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// How much was paid.
    Amount,
    /// How many were paid.
    Count,
    /// The success rate.
    Success,
    /// How many attempts were refused.
    Failures,
    /// The median time to paid.
    Time,
}

impl StatsView {
    /// The figures of all of a period.
    pub fn whole(tally: &Tally, currency: Currency) -> Self {
        Self::of("all", None, tally, currency)
    }

    /// The figures of a stretch of the calendar.
    pub fn unit(unit: Unit, key: String, tally: &Tally, currency: Currency) -> Self {
        Self::of(unit.as_str(), Some(key), tally, currency)
    }

    fn of(of: &'static str, key: Option<String>, tally: &Tally, currency: Currency) -> Self {
        Self {
            of,
            key,
            creator_name: None,
            currency: currency.as_str(),
            created_count: tally.created.count,
            created_cents: tally.created.amount_cents,
            paid_count: tally.paid.count,
            paid_cents: tally.paid.amount_cents,
            cancelled_count: tally.cancelled.count,
            cancelled_cents: tally.cancelled.amount_cents,
            failed_count: tally.failed.count,
            failed_cents: tally.failed.amount_cents,
            unpaid_count: tally.unpaid.count,
            unpaid_cents: tally.unpaid.amount_cents,
            success_per_10000: tally.success_per_10000(),
            failed_attempt_count: tally.failed_attempts.count,
            failed_attempt_cents: tally.failed_attempts.amount_cents,
            retry_count: tally.retries,
            reversed_count: tally.reversed.count,
            reversed_cents: tally.reversed.amount_cents,
            median_seconds_to_paid: tally.to_paid.percentile(50),
            p95_seconds_to_paid: tally.to_paid.percentile(95),
            max_seconds_to_paid: tally.to_paid.max(),
        }
    }

    /// What a person calls it.
    fn name(&self) -> &str {
        let name = self.creator_name.as_deref().or(self.key.as_deref());
        name.unwrap_or("all")
    }
}

/// Every creator to whom something happened, those who were paid most first.
pub fn by_creator(figures: &Figures, currency: Currency) -> Vec<StatsView> {
    let mut rows: Vec<StatsView> = figures
        .creators
        .iter()
        .map(|(id, creator)| StatsView {
            creator_name: creator.name.clone(),
            ..StatsView::of(
                "creator",
                Some(id.as_str().to_owned()),
                &creator.tally,
                currency,
            )
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.paid_cents));
    rows
}

/// Refused attempts by code, the most frequent first.
pub fn failures(figures: &Figures, currency: Currency) -> Vec<FailureView> {
    let mut rows: Vec<FailureView> = figures
        .failures
        .iter()
        .map(|(code, total)| FailureView {
            code: code.clone(),
            attempt_count: total.count,
            attempt_cents: total.amount_cents,
            currency: currency.as_str(),
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.attempt_count));
    rows
}

/// Figures that are ready to be shown.
#[derive(Debug)]
pub struct Stats<'a> {
    /// Of which period, in which currency.
    pub shown: &'a Shown,
    /// By what the rows are told apart.
    pub by: By,
    /// What each came to.
    pub rows: Vec<StatsView>,
    /// What all came to.
    pub totals: StatsView,
    /// Refused attempts by code.
    pub failures: Vec<FailureView>,
    /// Rows that people are shown.
    pub rows_max: usize,
    /// The bars that people are shown in place of the rows.
    pub chart: Option<Measure>,
}

/// Writes figures to stdout.
pub fn print(format: Format, ui: &Ui, stats: &Stats<'_>) -> io::Result<()> {
    let period = stats.shown.period_view();
    let people = |ui: &Ui, rows: &[StatsView]| {
        let mut text = stats.shown.heading();
        match (stats.by, stats.chart) {
            (_, Some(measure)) => text.push_str(&bars(ui, stats, rows, measure)),
            (By::All, None) => text.push_str(&at_length(&stats.totals, stats.shown.currency)),
            (_, None) => text.push_str(&table_of(ui, stats, rows)),
        }
        if stats.chart.is_none() {
            text.push_str(&failures_text(ui, &stats.failures, stats.shown.currency));
        }
        text
    };
    Answer::new("stats", stats.rows.clone())
        .with(StatsMembers {
            period: &period,
            totals: &stats.totals,
            failures: &stats.failures,
        })
        .print(format, ui, people)
}

/// All of a period, a line for each figure.
fn at_length(view: &StatsView, currency: Currency) -> String {
    let payouts = |number: i64, cents: i64| {
        let amount = with_currency(cents, currency);
        format!("{}, {amount}", count(number.unsigned_abs(), "payout"))
    };
    let of_ends = view.paid_count.saturating_add(view.unpaid_count);
    let rate = match view.success_per_10000 {
        Some(rate) => format!(
            "{} ({} of {} that came to an end)",
            per_cent(rate),
            grouped(view.paid_count.unsigned_abs()),
            grouped(of_ends.unsigned_abs())
        ),
        None => "none came to an end".to_owned(),
    };
    let time = match (
        view.median_seconds_to_paid,
        view.p95_seconds_to_paid,
        view.max_seconds_to_paid,
    ) {
        (Some(median), Some(p95), Some(max)) => format!(
            "median {}, 95 % within {}, longest {}",
            lasted(median),
            lasted(p95),
            lasted(max)
        ),
        _ => "none was paid".to_owned(),
    };
    record::render(&[
        ("Created", payouts(view.created_count, view.created_cents)),
        ("Paid", payouts(view.paid_count, view.paid_cents)),
        (
            "Cancelled",
            payouts(view.cancelled_count, view.cancelled_cents),
        ),
        (
            "Taken back",
            payouts(view.reversed_count, view.reversed_cents),
        ),
        ("Refused", payouts(view.failed_count, view.failed_cents)),
        ("  for good", payouts(view.unpaid_count, view.unpaid_cents)),
        ("Success rate", rate),
        (
            "Failed attempts",
            grouped(view.failed_attempt_count.unsigned_abs()),
        ),
        ("Retries", grouped(view.retry_count.unsigned_abs())),
        ("Time to paid", time),
    ])
}

fn heading_of(by: By) -> &'static str {
    match by {
        By::All => "",
        By::Time(Unit::Day) => "Day",
        By::Time(Unit::Week) => "Week",
        By::Time(Unit::Month) => "Month",
        By::Time(Unit::Year) => "Year",
        By::Creator => "Creator",
    }
}

/// A line for each row, and one for all.
fn table_of(ui: &Ui, stats: &Stats<'_>, rows: &[StatsView]) -> String {
    let currency = stats.shown.currency;
    let columns = [
        table::left(heading_of(stats.by)).shrinks_to(10),
        table::right("Created").sacrificed(4),
        table::right("Paid"),
        table::right(format!("Paid ({})", currency.upper())),
        table::right("Success"),
        table::right("Refused tries"),
        table::right("Retries").sacrificed(3),
        table::right(format!("Taken back ({})", currency.upper())).sacrificed(5),
        table::right("Median"),
        table::right("95 %").sacrificed(1),
        table::right("Longest").sacrificed(2),
    ];
    let time = |seconds: Option<i64>| seconds.map_or_else(String::new, lasted);
    let number = |number: i64| grouped(number.unsigned_abs());
    let cells = |row: &StatsView| -> Vec<Value> {
        let refused = match row.failed_attempt_count {
            0 => Tone::Plain,
            _ => Tone::Bad,
        };
        vec![
            row.name().into(),
            number(row.created_count).into(),
            number(row.paid_count).into(),
            money::major(row.paid_cents, currency).into(),
            row.success_per_10000
                .map_or_else(String::new, per_cent)
                .into(),
            Value::toned(number(row.failed_attempt_count), refused),
            number(row.retry_count).into(),
            money::major(row.reversed_cents, currency).into(),
            time(row.median_seconds_to_paid).into(),
            time(row.p95_seconds_to_paid).into(),
            time(row.max_seconds_to_paid).into(),
        ]
    };
    let shown = rows.iter().take(stats.rows_max).chain([&stats.totals]);
    let table = table::render(ui, &columns, shown.map(cells).collect());
    table + &rest_of(stats, rows)
}

/// `12 more creators, 1,250.00 USD`, where not all are shown.
fn rest_of(stats: &Stats<'_>, rows: &[StatsView]) -> String {
    let rest = rows.get(stats.rows_max..).unwrap_or_default();
    if rest.is_empty() {
        return String::new();
    }
    let cents = rest
        .iter()
        .fold(0_i64, |sum, row| sum.saturating_add(row.paid_cents));
    format!(
        "{} paid {}; --limit shows more\n",
        count(u64::try_from(rest.len()).unwrap_or(0), "more creator"),
        with_currency(cents, stats.shown.currency)
    )
}

fn failures_text(ui: &Ui, failures: &[FailureView], currency: Currency) -> String {
    if failures.is_empty() {
        return String::new();
    }
    let columns = [
        table::left("Refused with"),
        table::right("Attempts"),
        table::right(format!("Amount ({})", currency.upper())),
    ];
    let rows = failures.iter().map(|row| {
        vec![
            code_name(row.code.as_deref()).into(),
            grouped(row.attempt_count.unsigned_abs()).into(),
            money::major(row.attempt_cents, currency).into(),
        ]
    });
    let mut text = "\n".to_owned();
    text.push_str(&table::render(ui, &columns, rows.collect()));
    text
}

/// What people are shown of a code.
pub fn code_name(code: Option<&str>) -> &str {
    code.unwrap_or("(no code)")
}

fn bars(ui: &Ui, stats: &Stats<'_>, rows: &[StatsView], measure: Measure) -> String {
    let currency = stats.shown.currency;
    let bar = |row: &StatsView| {
        let (value, text) = match measure {
            Measure::Amount => (row.paid_cents, money::major(row.paid_cents, currency)),
            Measure::Count => (row.paid_count, grouped(row.paid_count.unsigned_abs())),
            Measure::Success => (
                row.success_per_10000.unwrap_or(0),
                row.success_per_10000.map_or_else(String::new, per_cent),
            ),
            Measure::Failures => (
                row.failed_attempt_count,
                grouped(row.failed_attempt_count.unsigned_abs()),
            ),
            Measure::Time => (
                row.median_seconds_to_paid.unwrap_or(0),
                row.median_seconds_to_paid.map_or_else(String::new, lasted),
            ),
        };
        Bar::of(row.name(), value, text)
    };
    let bars: Vec<Bar> = rows.iter().take(stats.rows_max).map(bar).collect();
    let (heading, tone) = match measure {
        Measure::Amount => (format!("Paid ({})", currency.upper()), Tone::Good),
        Measure::Count => ("Payouts paid".to_owned(), Tone::Good),
        Measure::Success => ("Success".to_owned(), Tone::Good),
        Measure::Failures => ("Attempts refused".to_owned(), Tone::Bad),
        Measure::Time => ("Median time to paid".to_owned(), Tone::Doubt),
    };
    let mut text = chart::lines(ui, [heading_of(stats.by), &heading], &bars, tone);
    text.push_str(&rest_of(stats, rows));
    let total = Total {
        count: stats.totals.paid_count,
        amount_cents: stats.totals.paid_cents,
    };
    let _ = writeln!(
        text,
        "{} paid, {}",
        count(total.count.unsigned_abs(), "payout"),
        clean(&with_currency(total.amount_cents, currency))
    );
    text
}

/// `99.83 %`
pub fn per_cent(per_10000: i64) -> String {
    format!("{}.{:02} %", per_10000 / 100, per_10000 % 100)
}
