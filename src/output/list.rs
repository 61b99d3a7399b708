//! `payouts list` in every format, written a part at a time.

use std::io::{self, Write};

use jiff::tz::TimeZone;

use crate::model::ids::PayoutId;
use crate::model::listing::{ListedPayout, Totals};
use crate::model::money::{self, Currency};
use crate::model::payout::PayoutStatus;
use crate::model::standing::RetryOutlook;
use crate::model::time::Time;
use crate::ops::list::Walked;
use crate::output::Format;
use crate::output::json::{ListMembers, PayoutView, TotalsView};
use crate::output::rows::{CsvRows, JsonRows, Lines, Row, RowStream};
use crate::output::table::{self, Tone, Value};
use crate::output::text::{brief, count, grouped};
use crate::output::ui::Ui;

/// From this width on there is room for the time of day.
const WIDE: u16 = 110;

/// Characters of a name, a reference or a reason in a table.
const TEXT_MAX: usize = 60;

/// What rows are shown in.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Of every amount.
    pub currency: Currency,
    /// Of the times in a table; everything else is UTC.
    pub zone: TimeZone,
    /// What is due is due by now.
    pub now: Time,
}

/// Whether the totals are part of a format.
pub fn has_totals(format: Format) -> bool {
    matches!(format, Format::Table | Format::Json)
}

/// Where the rows of a list go.
pub struct ListWriter<'a> {
    ui: &'a Ui,
    shown: Shown,
    to: To<'a>,
}

enum To<'a> {
    People(&'a mut dyn Write),
    Machine(RowStream<'a>),
}

impl std::fmt::Debug for ListWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListWriter")
            .field("shown", &self.shown)
            .finish_non_exhaustive()
    }
}

impl<'a> ListWriter<'a> {
    /// Begins a list on `out`.
    pub fn begin(
        ui: &'a Ui,
        format: Format,
        shown: Shown,
        out: &'a mut dyn Write,
    ) -> io::Result<Self> {
        let to = match format {
            Format::Table => To::People(out),
            Format::Json => To::Machine(RowStream::Json(JsonRows::begin(out, "payouts")?)),
            Format::Ndjson => To::Machine(RowStream::Ndjson(Lines::new(out))),
            Format::Csv => To::Machine(RowStream::Csv(CsvRows::headed(out, PayoutView::FIELDS)?)),
        };
        Ok(Self { ui, shown, to })
    }

    /// Writes the next rows. Each call makes a table of its own.
    pub fn rows(&mut self, rows: &[ListedPayout]) -> io::Result<()> {
        match &mut self.to {
            To::People(out) if rows.is_empty() => out.flush(),
            To::People(out) => {
                let table = table_of(self.ui, rows, &self.shown);
                out.write_all(table.as_bytes())
            }
            To::Machine(stream) => {
                for row in rows {
                    stream.write(&PayoutView::of(row, self.shown.currency))?;
                }
                Ok(())
            }
        }
    }

    /// Ends the list with what there is to say about all of it.
    pub fn finish(self, walked: &Walked) -> io::Result<()> {
        match self.to {
            To::People(out) => {
                if let Some(totals) = &walked.totals {
                    for line in totals_lines(totals, self.shown.currency, self.ui.width) {
                        writeln!(out, "{line}")?;
                    }
                }
                out.flush()
            }
            To::Machine(stream) => {
                let totals = walked.totals.as_ref();
                stream.finish(&ListMembers {
                    totals: totals.map(|totals| TotalsView::of(totals, self.shown.currency)),
                    next: walked.next.as_ref().map(PayoutId::as_str),
                })
            }
        }
    }
}

/// A table of payouts. On a narrow screen the time of day goes first, then
/// references, then whatever tells least about these rows.
fn table_of(ui: &Ui, rows: &[ListedPayout], shown: &Shown) -> String {
    let day_only = ui.width.is_some_and(|width| width < WIDE);
    // Why something failed matters more than when it was created.
    let failures = rows
        .iter()
        .any(|row| row.payout.stripe_transfer_id.is_none() && reason(row).is_some());
    let (created, reason_rank) = if failures { (2, 1) } else { (1, 2) };
    let mut columns = vec![
        table::left("Payout"),
        table::left("Created").sacrificed(created),
        table::left("Creator").shrinks_to(8),
        table::right(format!("Amount ({})", shown.currency.upper())),
        table::left("Status"),
        table::left("Transfer / reason")
            .shrinks_to(12)
            .sacrificed(reason_rank),
        table::left("Reference").shrinks_to(9).sacrificed(3),
    ];
    let retries = rows.iter().any(|row| row.retry.is_some());
    if retries {
        columns.push(table::left("Next retry").shrinks_to(10).sacrificed(4));
    }
    let taken_back = rows.iter().any(|row| row.reversed_cents > 0);
    if taken_back {
        columns.insert(4, table::right("Taken back"));
    }
    let lines = rows.iter().map(|row| {
        let payout = &row.payout;
        let (status, tone) = status(row);
        let format = if day_only {
            "%Y-%m-%d"
        } else {
            "%Y-%m-%d %H:%M"
        };
        let moment = |time: Time| time.local(&shown.zone).strftime(format).to_string();
        let mut cells = vec![
            payout.id.as_str().into(),
            moment(payout.created_at).into(),
            brief(
                row.creator_name
                    .as_deref()
                    .unwrap_or(payout.creator_id.as_str()),
                TEXT_MAX,
            )
            .into(),
            money::major(payout.amount_cents.into(), shown.currency).into(),
            Value::toned(status, tone),
            brief(reason(row).unwrap_or_default(), TEXT_MAX).into(),
            brief(row.reference.as_deref().unwrap_or_default(), TEXT_MAX).into(),
        ];
        if retries {
            cells.push(next_retry(row, shown.now, moment).into());
        }
        if taken_back {
            let cents = Some(row.reversed_cents).filter(|cents| *cents > 0);
            let amount = cents.map(|cents| money::major(cents, shown.currency));
            cells.insert(4, amount.unwrap_or_default().into());
        }
        cells
    });
    table::render(ui, &columns, lines.collect())
}

/// The transfer, or what stands against one.
fn reason(row: &ListedPayout) -> Option<&str> {
    let payout = &row.payout;
    let words = payout.failed_reason.as_deref();
    if row.cancelled && words.is_some() {
        return words;
    }
    payout
        .stripe_transfer_id
        .as_deref()
        .or_else(|| row.failed_code())
        .or(words)
}

/// When `retry --due` takes a payout, or why it never does.
fn next_retry(row: &ListedPayout, now: Time, moment: impl Fn(Time) -> String) -> String {
    match row.retry {
        None => String::new(),
        Some(RetryOutlook::From(at)) if at <= now => "due".to_owned(),
        Some(RetryOutlook::From(at)) => moment(at),
        Some(RetryOutlook::Never(refusal)) => refusal.briefly(),
    }
}

/// The status, with the one word that changes what it means, and its colour.
pub fn status(row: &ListedPayout) -> (String, Tone) {
    let status = row.payout.status;
    let tone = match status {
        PayoutStatus::Pending if row.is_unresolved() => Tone::Doubt,
        PayoutStatus::Pending => Tone::Plain,
        PayoutStatus::Processing => Tone::Doubt,
        PayoutStatus::Completed => Tone::Good,
        PayoutStatus::Failed => Tone::Bad,
    };
    if row.reversed_cents > 0 {
        let all = row.reversed_cents >= row.payout.amount_cents.into();
        let how = if all { "reversed" } else { "part reversed" };
        (format!("{status} ({how})"), Tone::Doubt)
    } else if row.is_unresolved() {
        (format!("{status} (unresolved)"), tone)
    } else if row.is_held() && status != PayoutStatus::Failed {
        (format!("{status} (held)"), tone)
    } else {
        (status.to_string(), tone)
    }
}

/// `3 payouts, 1,500.00 USD: 1 PENDING 500.00, 2 COMPLETED 1,000.00`, in as many
/// lines as the screen needs; and what of it was taken back, if anything was.
fn totals_lines(totals: &Totals, currency: Currency, width: Option<u16>) -> Vec<String> {
    let all = totals.all();
    if all.count == 0 {
        return vec!["no payouts".to_owned()];
    }
    let mut lines = status_lines(totals, currency, width);
    let reversed = totals.reversed;
    if reversed.count > 0 {
        let paid = totals.of(PayoutStatus::Completed);
        lines.push(format!(
            "paid {}, taken back {} of {}, net {}",
            money::major(paid.amount_cents, currency),
            money::major(reversed.amount_cents, currency),
            count(number(reversed.count), "payout"),
            money::with_currency(totals.paid_less_reversed().amount_cents, currency)
        ));
    }
    lines
}

fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn status_lines(totals: &Totals, currency: Currency, width: Option<u16>) -> Vec<String> {
    let all = totals.all();
    let parts: Vec<String> = PayoutStatus::ALL
        .iter()
        .map(|status| (status, totals.of(*status)))
        .filter(|(_, total)| total.count > 0)
        .map(|(status, total)| {
            let amount = money::major(total.amount_cents, currency);
            format!("{} {status} {amount}", grouped(number(total.count)))
        })
        .collect();
    let sum = money::with_currency(all.amount_cents, currency);
    let payouts = count(number(all.count), "payout");
    let line = format!("{payouts}, {sum}: {}", parts.join(", "));
    if width.is_none_or(|width| line.chars().count() <= width.into()) {
        return vec![line];
    }
    let parts = parts.into_iter().map(|part| format!("  {part}"));
    [format!("{payouts}, {sum}")]
        .into_iter()
        .chain(parts)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::listing::Total;

    #[test]
    fn the_totals_name_only_what_there_is() {
        let line = |totals: &Totals| totals_lines(totals, Currency::USD, None).join("|");
        let mut totals = Totals::default();
        assert_eq!(line(&totals), "no payouts");
        let total = |count, amount_cents| Total {
            count,
            amount_cents,
        };
        totals.set(PayoutStatus::Failed, total(1, 5));
        assert_eq!(line(&totals), "1 payout, 0.05 USD: 1 FAILED 0.05");
        totals.set(PayoutStatus::Completed, total(1234, i64::MAX - 5));
        assert_eq!(
            line(&totals),
            "1,235 payouts, 92,233,720,368,547,758.07 USD: \
             1,234 COMPLETED 92,233,720,368,547,758.02, 1 FAILED 0.05"
        );
        totals.set(PayoutStatus::Completed, total(3, 3000));
        totals.reversed = total(1, 450);
        assert_eq!(
            line(&totals),
            "4 payouts, 30.05 USD: 3 COMPLETED 30.00, 1 FAILED 0.05|\
             paid 30.00, taken back 4.50 of 1 payout, net 25.50 USD"
        );
    }

    #[test]
    fn totals_wider_than_the_screen_take_a_line_each() {
        let mut totals = Totals::default();
        let total = Total {
            count: 2,
            amount_cents: 500,
        };
        totals.set(PayoutStatus::Pending, total);
        totals.set(PayoutStatus::Failed, total);
        let lines = |width| totals_lines(&totals, Currency::USD, Some(width));
        let whole = "4 payouts, 10.00 USD: 2 PENDING 5.00, 2 FAILED 5.00";
        assert_eq!(lines(51), [whole]);
        assert_eq!(
            lines(50),
            [
                "4 payouts, 10.00 USD",
                "  2 PENDING 5.00",
                "  2 FAILED 5.00"
            ]
        );
    }
}
