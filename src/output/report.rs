//! `payouts report` in every format. The rows are written one by one.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::listing::Total;
use crate::model::money::{self, Currency, with_currency};
use crate::model::report::{BookedPayout, Books, Entry, Period};
use crate::model::time::Time;
use crate::output::report_facts::ReportFacts;
use crate::output::rows::{CsvRows, JsonRows, Lines, Row, RowStream, csv_fields};
use crate::output::table;
use crate::output::text::{count, grouped};
use crate::output::ui::Ui;
use crate::output::{Answer, Format};

/// A payout in the books of a period. What it says is of the end of the period,
/// and stays the same whatever happens later; only the creator's name is today's.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReportRowView<'a> {
    /// Primary key.
    pub id: &'a str,
    /// Whom it pays.
    pub creator_id: &'a str,
    /// Their name on stage, as it is today.
    pub creator_name: Option<&'a str>,
    /// The reference it was loaded under.
    pub reference: Option<&'a str>,
    /// The statement it settles.
    pub royalty_statement_id: Option<&'a str>,
    /// The batch it was loaded with.
    pub batch_id: Option<&'a str>,
    /// Lowercase code.
    pub currency: &'static str,
    /// Major units, such as `500.00`.
    pub amount: String,
    /// Minor units.
    pub amount_cents: i32,
    /// `PENDING`, `PROCESSING`, `COMPLETED`, `FAILED` or `CANCELLED`, when the period ended.
    pub status: &'static str,
    /// The day it was created on, in the report's time zone.
    pub created_on: String,
    /// When it was created.
    pub created_at: String,
    /// The day it was paid on, in the report's time zone, if before the period's end.
    pub paid_on: Option<String>,
    /// When it was paid: the transfer's own time.
    pub paid_at: Option<String>,
    /// `tr_…`, once it was paid.
    pub stripe_transfer_id: Option<&'a str>,
    /// When it was cancelled, if before the period's end.
    pub cancelled_at: Option<String>,
    /// When it last failed in the period.
    pub failed_at: Option<String>,
    /// Its amount if it was owed when the period began, else 0.
    pub opening_cents: i32,
    /// Its amount if it was created in the period, else 0.
    pub created_cents: i32,
    /// Its amount if it was paid in the period, else 0.
    pub paid_cents: i32,
    /// Its amount if it was cancelled in the period, else 0.
    pub cancelled_cents: i32,
    /// Its amount if it was owed when the period ended, else 0.
    pub closing_cents: i32,
    /// What was seen in the period to be taken back of its transfer.
    pub reversed_cents: i64,
}
csv_fields!(ReportRowView<'a>: id, creator_id, creator_name, reference, royalty_statement_id, batch_id, currency, amount, amount_cents, status, created_on, created_at, paid_on, paid_at, stripe_transfer_id, cancelled_at, failed_at, opening_cents, created_cents, paid_cents, cancelled_cents, closing_cents, reversed_cents);

/// A line of the books.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ReportLineView {
    /// `opening`, `created`, `paid`, `cancelled`, `closing`, then those that only
    /// tell more: `closing_pending`, `closing_processing`, `closing_failed`,
    /// `failed`, `reversed`, `paid_less_reversed`.
    pub line: &'static str,
    /// Payouts.
    pub count: i64,
    /// Major units, such as `500.00`.
    pub amount: String,
    /// Minor units.
    pub amount_cents: i64,
    /// What it adds to the balance, minor units: these come to 0 over all lines.
    pub balance_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
    /// What the line means, for people.
    pub meaning: &'static str,
}
csv_fields!(ReportLineView: line, count, amount, amount_cents, balance_cents, currency, meaning);

/// Which period a report is of.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PeriodView {
    /// The first moment of it; null is the beginning of all.
    pub from: Option<String>,
    /// The first moment after it.
    pub until: String,
    /// The time zone whose days and months are meant.
    pub time_zone: String,
}

/// What a report says besides its payouts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReportMembers<'a> {
    /// Of which period.
    pub period: &'a PeriodView,
    /// What they come to.
    pub lines: &'a [ReportLineView],
    /// Payouts whose outcome is not known yet: it may turn out to lie in this period.
    pub unsettled_count: i64,
    /// What else it says.
    #[serde(flatten)]
    pub facts: &'a ReportFacts,
}

/// What a report says besides its lines.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PeriodMembers<'a> {
    /// Of which period.
    pub period: &'a PeriodView,
    /// Payouts whose outcome is not known yet: it may turn out to lie in this period.
    pub unsettled_count: i64,
    /// What else it says.
    #[serde(flatten)]
    pub facts: &'a ReportFacts,
}

/// What a report is shown in.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Of every amount.
    pub currency: Currency,
    /// Whose days and months are meant.
    pub zone: TimeZone,
    /// What was asked for, as it was written.
    pub asked: String,
    /// What that means.
    pub period: Period,
}

impl Shown {
    /// The zone's name.
    pub fn zone_name(&self) -> String {
        self.zone.iana_name().unwrap_or("UTC").to_owned()
    }

    fn day(&self, time: Time) -> String {
        time.local(&self.zone).strftime("%Y-%m-%d").to_string()
    }

    /// The period as JSON has it.
    pub fn period_view(&self) -> PeriodView {
        PeriodView {
            from: self.period.from.map(|time| time.to_string()),
            until: self.period.until.to_string(),
            time_zone: self.zone_name(),
        }
    }

    /// `2026-10: from 2026-10-01 00:00 up to 2026-11-01 00:00 (UTC)`
    pub fn heading(&self) -> String {
        let edge = |time: Time| {
            time.local(&self.zone)
                .strftime("%Y-%m-%d %H:%M")
                .to_string()
        };
        let from = self.period.from;
        format!(
            "{}: from {} up to {} ({})\n",
            self.asked,
            from.map_or_else(|| "the beginning".to_owned(), edge),
            edge(self.period.until),
            self.zone_name()
        )
    }

    fn row<'a>(&self, booked: &'a BookedPayout, entry: &Entry) -> ReportRowView<'a> {
        let payout = &booked.payout;
        let cents = |counts: bool| if counts { payout.amount_cents } else { 0 };
        ReportRowView {
            id: payout.id.as_str(),
            creator_id: payout.creator_id.as_str(),
            creator_name: booked.creator_name.as_deref(),
            reference: booked.reference.as_deref(),
            royalty_statement_id: payout.royalty_statement_id.as_ref().map(AsRef::as_ref),
            batch_id: booked.batch_id.as_ref().map(AsRef::as_ref),
            currency: self.currency.as_str(),
            amount: money::major_plain(payout.amount_cents.into(), self.currency),
            amount_cents: payout.amount_cents,
            status: entry.standing.as_str(),
            created_on: self.day(payout.created_at),
            created_at: payout.created_at.to_string(),
            paid_on: entry.paid_at.map(|time| self.day(time)),
            paid_at: entry.paid_at.map(|time| time.to_string()),
            stripe_transfer_id: payout
                .stripe_transfer_id
                .as_deref()
                .filter(|_| entry.paid_at.is_some()),
            cancelled_at: entry.cancelled_at.map(|time| time.to_string()),
            failed_at: entry.failed_at.map(|time| time.to_string()),
            opening_cents: cents(entry.opening),
            created_cents: cents(entry.created),
            paid_cents: cents(entry.paid),
            cancelled_cents: cents(entry.cancelled),
            closing_cents: cents(entry.closing),
            reversed_cents: entry.reversed_cents,
        }
    }
}

/// Where the payouts of a report go.
pub struct ReportWriter<'a> {
    shown: &'a Shown,
    stream: Option<RowStream<'a>>,
}

impl std::fmt::Debug for ReportWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReportWriter")
            .field("shown", &self.shown)
            .finish_non_exhaustive()
    }
}

impl<'a> ReportWriter<'a> {
    /// Begins a report on `out`. People, and whoever wants `only_lines`, get no payouts.
    pub fn begin(
        format: Format,
        shown: &'a Shown,
        only_lines: bool,
        out: &'a mut dyn Write,
    ) -> io::Result<Self> {
        let stream = match format {
            _ if only_lines => None,
            Format::Table => None,
            Format::Json => Some(RowStream::Json(JsonRows::begin(out, "payouts")?)),
            Format::Ndjson => Some(RowStream::Ndjson(Lines::new(out))),
            Format::Csv => Some(RowStream::Csv(CsvRows::headed(out, ReportRowView::FIELDS)?)),
        };
        Ok(Self { shown, stream })
    }

    /// Writes a payout.
    pub fn row(&mut self, booked: &BookedPayout, entry: &Entry) -> io::Result<()> {
        match &mut self.stream {
            Some(stream) => stream.write(&self.shown.row(booked, entry)),
            None => Ok(()),
        }
    }

    /// Ends the report. Returns whether the lines are still to be [printed](print_lines).
    pub fn finish(self, books: &Books, facts: &ReportFacts) -> io::Result<bool> {
        let Some(stream) = self.stream else {
            return Ok(true);
        };
        stream.finish(&ReportMembers {
            period: &self.shown.period_view(),
            lines: &lines_of(books, self.shown.currency),
            unsettled_count: books.unsettled.count,
            facts,
        })?;
        Ok(false)
    }
}

/// Writes the lines of a report to stdout.
pub fn print_lines(
    format: Format,
    ui: &Ui,
    shown: &Shown,
    books: &Books,
    facts: &ReportFacts,
) -> io::Result<()> {
    let period = shown.period_view();
    Answer::new("lines", lines_of(books, shown.currency))
        .with(PeriodMembers {
            period: &period,
            unsettled_count: books.unsettled.count,
            facts,
        })
        .print(format, ui, |ui, lines| lines_text(ui, shown, lines))
}

/// `owed 10.00 USD + created 5.00 USD - …`: the balance in one line.
pub fn balance_line(books: &Books, currency: Currency) -> String {
    let amount = |total: Total| with_currency(total.amount_cents, currency);
    format!(
        "opening {} + created {} - paid {} - cancelled {} = closing {}",
        amount(books.opening),
        amount(books.created),
        amount(books.paid),
        amount(books.cancelled),
        amount(books.closing),
    )
}

/// The lines as every format has them.
pub fn lines_of(books: &Books, currency: Currency) -> Vec<ReportLineView> {
    let line =
        |name: &'static str, total: Total, sign: i64, meaning: &'static str| ReportLineView {
            line: name,
            count: total.count,
            amount: money::major_plain(total.amount_cents, currency),
            amount_cents: total.amount_cents,
            balance_cents: total.amount_cents.saturating_mul(sign),
            currency: currency.as_str(),
            meaning,
        };
    let net = Total {
        count: books.paid.count,
        amount_cents: books
            .paid
            .amount_cents
            .saturating_sub(books.reversed.amount_cents),
    };
    vec![
        line("opening", books.opening, 1, "owed when the period began"),
        line("created", books.created, 1, "created in the period"),
        line(
            "paid",
            books.paid,
            -1,
            "paid in the period, by the transfer's own time",
        ),
        line(
            "cancelled",
            books.cancelled,
            -1,
            "ended in the period without having been paid",
        ),
        line("closing", books.closing, -1, "owed when the period ended"),
        line(
            "closing_pending",
            books.closing_pending,
            0,
            "of closing: in the queue",
        ),
        line(
            "closing_processing",
            books.closing_processing,
            0,
            "of closing: on the way, or of unknown outcome",
        ),
        line(
            "closing_failed",
            books.closing_failed,
            0,
            "of closing: refused, neither tried again nor cancelled",
        ),
        line(
            "failed",
            books.failed,
            0,
            "failed in the period, each once, whatever became of it",
        ),
        line(
            "reversed",
            books.reversed,
            0,
            "seen in the period to be taken back at Stripe, whenever it was paid",
        ),
        line(
            "paid_less_reversed",
            net,
            0,
            "what paid less reversed comes to",
        ),
    ]
}

fn lines_text(ui: &Ui, shown: &Shown, lines: &[ReportLineView]) -> String {
    let columns = [
        table::left("Line"),
        table::right("Payouts"),
        table::right(format!("Amount ({})", shown.currency.upper())),
        table::left("Meaning").shrinks_to(20).sacrificed(1),
    ];
    let cells = lines.iter().map(|line| {
        vec![
            line.line.into(),
            grouped(u64::try_from(line.count).unwrap_or(0)).into(),
            money::major(line.amount_cents, shown.currency).into(),
            line.meaning.into(),
        ]
    });
    shown.heading() + &table::render(ui, &columns, cells.collect())
}

/// Says that a report may change: `3 payouts, 30.00 USD, are …`.
pub fn unsettled_line(total: Total, currency: Currency) -> String {
    format!(
        "{}, {}, on the way or of unknown outcome: if Stripe turns out to have paid in this period, the report changes",
        count(u64::try_from(total.count).unwrap_or(0), "payout"),
        with_currency(total.amount_cents, currency)
    )
}
