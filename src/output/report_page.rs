//! `payouts report` as a page that stands alone, to read and to print. It is made of what JSON
//! says, so that the two cannot differ. Behind each chart stands a table of its numbers.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::model::listing::Total;
use crate::model::money::{Currency, major, with_currency};
use crate::model::report::Books;
use crate::model::time::Time;
use crate::output::chart::{Bar, Plot, svg};
use crate::output::html::{self, END, escape, foreign, number};
use crate::output::report::{ReportLineView, Shown, lines_of, unsettled_line};
use crate::output::report_facts::{
    LastReconciliationView, NamedPayoutView, OpenFindingsView, ReportFacts, TimeToPaidView,
};
use crate::output::stats::{StatsView, code_name, per_cent};
use crate::output::text::{count, grouped, lasted};

/// Characters of a name, a reference or an id: more would push the numbers off the paper.
const TEXT_MAX: usize = 48;

const STYLE: &str = include_str!("report.css");

/// The page of a period.
pub fn page(shown: &Shown, books: &Books, facts: &ReportFacts, now: Time) -> String {
    let title = title_of(shown);
    let mut page = Page {
        currency: shown.currency,
        zone: &shown.zone,
        html: html::begin(&escape(&title), STYLE),
    };
    page.head(shown, &title, books);
    page.banners(shown, books, facts, now);
    page.figures(facts);
    page.books(&lines_of(books, shown.currency));
    page.over_time(facts);
    page.failures(facts);
    page.time_to_paid(facts);
    page.named(
        "Largest payouts",
        "Paid in the period, the largest first.",
        "Paid",
        &facts.largest,
    );
    page.named(
        "Taken back",
        "Seen in the period to be taken back at Stripe, whenever it was paid; the largest sums first.",
        "Taken back",
        &facts.largest_reversed,
    );
    page.findings(facts);
    page.foot(shown, now);
    page.html
}

/// `Payouts in October 2026`
fn title_of(shown: &Shown) -> String {
    let month = shown
        .period
        .from
        .filter(|_| shown.asked.len() == "2026-10".len() && shown.asked.contains('-'));
    match month {
        Some(from) => format!("Payouts in {}", from.local(&shown.zone).strftime("%B %Y")),
        None => format!("Payouts, {}", shown.asked),
    }
}

/// A page that grows. Whatever is put into it is HTML already.
struct Page<'a> {
    currency: Currency,
    zone: &'a TimeZone,
    html: String,
}

impl Page<'_> {
    fn line(&mut self, html: &str) {
        self.html.push_str(html);
        self.html.push('\n');
    }

    fn head(&mut self, shown: &Shown, title: &str, books: &Books) {
        let (state, tone) = if books.difference() == Total::default() {
            ("Ties to the cent", "good")
        } else {
            ("Does not tie", "gone")
        };
        let from = shown.period.from.map(|from| self.moment(from));
        let line = format!(
            "<header><div><h1>{}</h1>\n<p class=\"soft\">From {} up to {}, {}</p></div>\
             <p class=\"state {tone}\">{state}</p></header>",
            escape(title),
            from.unwrap_or_else(|| "the beginning".to_owned()),
            self.moment(shown.period.until),
            escape(&shown.zone_name())
        );
        self.line(&line);
    }

    /// What changes the meaning of all that follows.
    fn banners(&mut self, shown: &Shown, books: &Books, facts: &ReportFacts, now: Time) {
        let mut banner = |tone: &str, heading: &str, text: &str| {
            self.line(&format!(
                "<p class=\"banner {tone}\"><strong>{heading}</strong> {}</p>",
                escape(text)
            ));
        };
        if facts.known_now.livemode == Some(false) {
            let text = "The payments were made in Stripe’s test mode: no money has moved.";
            banner("note", "This is a test", text);
        }
        if shown.period.until > now {
            let text = "This is what is known by now.";
            banner("note", "The period is not over", text);
        }
        if books.unsettled.count > 0 {
            let text = unsettled_line(books.unsettled, shown.currency);
            banner("part", "Not settled", &text);
        }
        let grave = |finding: &&OpenFindingsView| finding.severity == "critical";
        let grave: i64 = facts
            .known_now
            .open_findings
            .iter()
            .filter(grave)
            .map(|finding| finding.count)
            .sum();
        if grave > 0 {
            let text = format!(
                "{} at which money may have moved twice, wrongly, or without anybody knowing.",
                count(grave.unsigned_abs(), "open finding")
            );
            banner("gone", "A person must look", &text);
        }
    }

    fn figures(&mut self, facts: &ReportFacts) {
        let figures = &facts.figures;
        let payouts = |number: i64| count(number.unsigned_abs(), "payout");
        let ended = figures.paid_count.saturating_add(figures.unpaid_count);
        let cards = [
            (
                "Paid",
                self.amount(figures.paid_cents),
                payouts(figures.paid_count),
            ),
            (
                "Success rate",
                figures.success_per_10000.map_or_else(dash, per_cent),
                format!(
                    "{} of {} that came to an end",
                    grouped(figures.paid_count.unsigned_abs()),
                    grouped(ended.unsigned_abs())
                ),
            ),
            (
                "Median time to paid",
                figures.median_seconds_to_paid.map_or_else(dash, lasted),
                figures
                    .p95_seconds_to_paid
                    .map_or_else(String::new, |p95| format!("95 % within {}", lasted(p95))),
            ),
            (
                "Created",
                self.amount(figures.created_cents),
                payouts(figures.created_count),
            ),
            (
                "Attempts refused",
                grouped(figures.failed_attempt_count.unsigned_abs()),
                format!(
                    "{} refused for good, {}",
                    payouts(figures.unpaid_count),
                    count(figures.retry_count.unsigned_abs(), "new attempt")
                ),
            ),
            (
                "Taken back",
                self.amount(figures.reversed_cents),
                payouts(figures.reversed_count),
            ),
        ];
        self.line("<dl class=\"cards\">");
        for (label, value, more) in cards {
            self.line(&format!(
                "<div><dt>{label}</dt><dd>{} <small>{}</small></dd></div>",
                escape(&value),
                escape(&more)
            ));
        }
        self.line("</dl>");
    }

    fn books(&mut self, lines: &[ReportLineView]) {
        self.section("The books");
        self.table_begin(
            "opening + created − paid − cancelled = closing",
            &[
                "Line",
                "Payouts",
                &self.in_currency("Amount"),
                "text:Meaning",
            ],
        );
        for line in lines {
            let class = match line.line {
                "closing" | "paid_less_reversed" => " class=\"sum\"",
                _ => "",
            };
            self.line(&format!(
                "<tr{class}><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td class=\"text\">{}</td></tr>",
                escape(&line.line.replace('_', " ")),
                grouped(line.count.unsigned_abs()),
                number(line.amount_cents, self.currency),
                escape(line.meaning),
            ));
        }
        self.table_end();
    }

    fn over_time(&mut self, facts: &ReportFacts) {
        let Some(first) = facts.over_time.first() else {
            return;
        };
        let unit = first.of;
        self.section(&format!("Volume and success by {unit}"));
        let title = format!("Amount paid by {unit}");
        let currency = self.currency;
        let bars: Vec<Bar> = facts
            .over_time
            .iter()
            .map(|row| Bar {
                short: short_of(row),
                ..Bar::of(
                    row.key.as_deref().unwrap_or_default(),
                    row.paid_cents,
                    format!(
                        "{}, {}",
                        with_currency(row.paid_cents, currency),
                        count(row.paid_count.unsigned_abs(), "payout")
                    ),
                )
            })
            .collect();
        let most = facts.over_time.iter().max_by_key(|row| row.paid_cents);
        let description = most.map_or_else(String::new, |row| {
            format!(
                "A bar for each {unit}. The highest is {}: {}.",
                row.key.as_deref().unwrap_or_default(),
                with_currency(row.paid_cents, currency)
            )
        });
        self.figure(
            &Plot {
                id: "volume",
                title: &title,
                description,
                bars: &bars,
                scale: &|cents| compact(&major(cents, currency)),
            },
            &format!("{title}, in {}", escape(&currency.upper())),
        );
        let title = format!("Payouts paid and attempts refused by {unit}");
        let bars: Vec<Bar> = facts
            .over_time
            .iter()
            .map(|row| Bar {
                label: row.key.clone().unwrap_or_default(),
                short: short_of(row),
                parts: vec![row.paid_count, row.failed_attempt_count],
                text: format!(
                    "{} paid, {} refused",
                    count(row.paid_count.unsigned_abs(), "payout"),
                    count(row.failed_attempt_count.unsigned_abs(), "attempt")
                ),
            })
            .collect();
        let description = format!(
            "A bar for each {unit}: payouts that were paid, and on top of them attempts that were refused. In all {} and {}.",
            count(facts.figures.paid_count.unsigned_abs(), "payout"),
            count(
                facts.figures.failed_attempt_count.unsigned_abs(),
                "refused attempt"
            )
        );
        self.figure(
            &Plot {
                id: "success",
                title: &title,
                description,
                bars: &bars,
                scale: &|value| compact(&grouped(value.unsigned_abs())),
            },
            "<span class=\"key\"></span>payouts paid <span class=\"key second\"></span>attempts refused",
        );
        self.table_begin(
            &format!("The numbers behind both charts, by {unit}"),
            &[
                &capitalised(unit),
                "Created",
                "Paid",
                &self.in_currency("Paid"),
                "Attempts refused",
                "Success",
                "Median time",
            ],
        );
        for row in &facts.over_time {
            self.over_time_row(row, row.key.as_deref().unwrap_or_default(), "");
        }
        self.over_time_row(&facts.figures, "All", " class=\"sum\"");
        self.table_end();
    }

    fn over_time_row(&mut self, row: &StatsView, name: &str, class: &str) {
        let cells = [
            grouped(row.created_count.unsigned_abs()),
            grouped(row.paid_count.unsigned_abs()),
            number(row.paid_cents, self.currency),
            grouped(row.failed_attempt_count.unsigned_abs()),
            row.success_per_10000.map_or_else(dash, per_cent),
            row.median_seconds_to_paid.map_or_else(dash, lasted),
        ];
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| format!("<td>{cell}</td>"))
            .collect();
        self.line(&format!(
            "<tr{class}><th scope=\"row\">{}</th>{}</tr>",
            escape(name),
            cells.concat()
        ));
    }

    fn failures(&mut self, facts: &ReportFacts) {
        self.section("Success and failure by reason");
        self.table_begin(
            "Payouts that were paid, and attempts that Stripe refused, by its code. One payout can have several.",
            &["Reason", "Count", &self.in_currency("Amount")],
        );
        let figures = &facts.figures;
        let rows = [("Paid".to_owned(), figures.paid_count, figures.paid_cents)]
            .into_iter()
            .chain(facts.failures.iter().map(|failure| {
                let code = foreign(code_name(failure.code.as_deref()), TEXT_MAX);
                let name = format!("Refused: <span class=\"id\">{code}</span>");
                (name, failure.attempt_count, failure.attempt_cents)
            }));
        for (name, count, cents) in rows.collect::<Vec<_>>() {
            self.line(&format!(
                "<tr><th scope=\"row\">{name}</th><td>{}</td><td>{}</td></tr>",
                grouped(count.unsigned_abs()),
                number(cents, self.currency)
            ));
        }
        self.table_end();
    }

    fn time_to_paid(&mut self, facts: &ReportFacts) {
        let figures = &facts.figures;
        if figures.paid_count == 0 {
            return;
        }
        self.section("Time to paid");
        let bars: Vec<Bar> = facts
            .time_to_paid
            .iter()
            .map(|part| Bar {
                short: part.until_seconds.map_or_else(
                    || format!("> {}", round_time(part.from_seconds)),
                    |until| format!("< {}", round_time(until)),
                ),
                ..Bar::of(
                    stretch(part),
                    part.count,
                    count(part.count.unsigned_abs(), "payout"),
                )
            })
            .collect();
        let times = [
            ("median", figures.median_seconds_to_paid),
            ("95 % within", figures.p95_seconds_to_paid),
            ("longest", figures.max_seconds_to_paid),
        ]
        .map(|(name, seconds)| format!("{name} {}", seconds.map_or_else(dash, lasted)))
        .join(", ");
        self.figure(
            &Plot {
                id: "time",
                title: "Payouts by the time from their creation to their payment",
                description: format!("From creation to payment: {times}."),
                bars: &bars,
                scale: &|value| compact(&grouped(value.unsigned_abs())),
            },
            &format!(
                "Payouts by the time from creation to payment: {}",
                escape(&times)
            ),
        );
        self.table_begin("The numbers behind the chart", &["Paid after", "Payouts"]);
        for part in &facts.time_to_paid {
            self.line(&format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
                escape(&stretch(part)),
                grouped(part.count.unsigned_abs())
            ));
        }
        self.table_end();
    }

    fn named(&mut self, heading: &str, meaning: &str, what: &str, payouts: &[NamedPayoutView]) {
        self.section(heading);
        if payouts.is_empty() {
            self.line("<p class=\"soft\">None.</p>\n</section>");
            return;
        }
        self.table_begin(
            meaning,
            &["Creator", "text:Payout", "text:On", &self.in_currency(what)],
        );
        for payout in payouts {
            let name = payout.creator_name.as_deref().unwrap_or(&payout.creator_id);
            let id = payout.reference.as_deref().unwrap_or(&payout.id);
            let at = payout
                .at
                .parse()
                .map_or_else(|_| dash(), |at| self.moment(at));
            self.line(&format!(
                "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td class=\"text\">{at}</td><td>{}</td></tr>",
                foreign(name, TEXT_MAX),
                html::id(id, TEXT_MAX),
                number(payout.amount_cents, self.currency)
            ));
        }
        self.table_end();
    }

    fn findings(&mut self, facts: &ReportFacts) {
        let known = &facts.known_now;
        self.section("Compared with Stripe");
        match &known.last_reconciliation {
            None => self.line("<p>The table was never compared with Stripe.</p>"),
            Some(last) => self.reconciliation(last),
        }
        if known.open_findings.is_empty() {
            self.line("<p class=\"soft\">No finding is open.</p>\n</section>");
            return;
        }
        self.table_begin(
            "Open findings",
            &[
                "Finding",
                "text:Severity",
                "Count",
                &self.in_currency("At stake"),
            ],
        );
        for finding in &known.open_findings {
            self.line(&format!(
                "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td>{}</td><td>{}</td></tr>",
                escape(&finding.kind.replace('_', " ")),
                finding.severity,
                grouped(finding.count.unsigned_abs()),
                number(finding.at_stake_cents, self.currency)
            ));
        }
        self.table_end();
    }

    fn reconciliation(&mut self, last: &LastReconciliationView) {
        let edge = |text: Option<&String>, open: &str| {
            let time = text.and_then(|text| text.parse().ok());
            time.map_or_else(|| open.to_owned(), |time| self.moment(time))
        };
        let period = format!(
            "from {} up to {}",
            edge(last.period_from.as_ref(), "the beginning"),
            edge(last.period_until.as_ref(), "its own time")
        );
        let done = edge(Some(&last.finished_at), "");
        let result = if last.clean {
            "everything agreed".to_owned()
        } else {
            format!("{} open", count(last.open_count.unsigned_abs(), "finding"))
        };
        self.line(&format!(
            "<dl>\n<dt>Last comparison</dt><dd>{done}, {period}</dd>\n\
             <dt>At Stripe</dt><dd>{}, {}</dd>\n<dt>In the table</dt><dd>{}, {}</dd>\n\
             <dt>Result</dt><dd>{result}</dd>\n</dl>",
            count(last.transfer_count.unsigned_abs(), "transfer"),
            escape(&self.amount(last.transfer_cents)),
            count(last.payout_count.unsigned_abs(), "payout"),
            escape(&self.amount(last.payout_cents)),
        ));
    }

    fn foot(&mut self, shown: &Shown, now: Time) {
        let made = self.moment(now);
        self.line(&format!(
            "<footer>All amounts are in {}, all times those of {}. A payout succeeded when it was paid in the period; \
             the success rate is those of all that came to a definite end in it. Open findings and the last comparison \
             are those known on {made}; the rest is of the period.</footer>\n{END}",
            escape(&self.currency.upper()),
            escape(&shown.zone_name())
        ));
    }

    // --- parts ---------------------------------------------------------------------------

    fn section(&mut self, heading: &str) {
        self.line(&format!("<section>\n<h2>{heading}</h2>"));
    }

    /// A table with these headings; `text:` in front of one is a column of text.
    fn table_begin(&mut self, caption: &str, headings: &[&str]) {
        let cells: Vec<String> = headings
            .iter()
            .map(|heading| match heading.strip_prefix("text:") {
                Some(text) => format!("<th scope=\"col\" class=\"text\">{text}</th>"),
                None => format!("<th scope=\"col\">{heading}</th>"),
            })
            .collect();
        self.line(&format!(
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\">\n<table>\n\
             <caption>{caption}</caption>\n<thead><tr>{}</tr></thead>\n<tbody>",
            cells.concat()
        ));
    }

    fn table_end(&mut self) {
        self.line("</tbody>\n</table>\n</div>\n</section>");
    }

    fn figure(&mut self, plot: &Plot<'_>, caption: &str) {
        self.line(&format!(
            "<figure>\n{}\n<figcaption>{caption}</figcaption>\n</figure>",
            svg(plot)
        ));
    }

    /// `Amount (USD)`
    fn in_currency(&self, what: &str) -> String {
        format!("{what} ({})", escape(&self.currency.upper()))
    }

    /// `1,332.00 USD`
    fn amount(&self, cents: i64) -> String {
        with_currency(cents, self.currency)
    }

    /// `5 October 2026, 08:00`, as the clocks of the zone show it.
    fn moment(&self, time: Time) -> String {
        format!(
            "<time datetime=\"{time}\">{}</time>",
            time.local(self.zone).strftime("%-d\u{a0}%B\u{a0}%Y, %H:%M")
        )
    }
}

fn dash() -> String {
    "–".to_owned()
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// What stands below a bar: `5 Oct`, `W41`, `Oct 26`, `2026`.
fn short_of(row: &StatsView) -> String {
    let key = row.key.as_deref().unwrap_or_default();
    let day = |text: &str| text.parse::<Date>().ok();
    match row.of {
        "day" => day(key).map(|day| day.strftime("%-d %b").to_string()),
        "month" => day(&format!("{key}-01")).map(|day| day.strftime("%b %y").to_string()),
        "week" => key.split_once('-').map(|(_, week)| week.to_owned()),
        _ => None,
    }
    .unwrap_or_else(|| key.to_owned())
}

/// `1 min to 10 min`
fn stretch(part: &TimeToPaidView) -> String {
    match (part.from_seconds, part.until_seconds) {
        (0, Some(until)) => format!("less than {}", round_time(until)),
        (from, Some(until)) => format!("{} to {}", round_time(from), round_time(until)),
        (from, None) => format!("{} or more", round_time(from)),
    }
}

/// A round length of time in its largest unit.
fn round_time(seconds: i64) -> String {
    match seconds {
        86_400.. => format!("{} d", seconds / 86_400),
        3_600.. => format!("{} h", seconds / 3_600),
        _ => format!("{} min", seconds / 60),
    }
}

/// A round number on a scale, as short as it is exact: `250`, `20k`, `1.5M` stays `1,500k`.
fn compact(text: &str) -> String {
    let whole = text
        .split_once('.')
        .filter(|(_, fraction)| fraction.bytes().all(|digit| digit == b'0'))
        .map_or(text, |(whole, _)| whole);
    for (zeros, letter) in [(",000,000,000", "G"), (",000,000", "M"), (",000", "k")] {
        if let Some(rest) = whole.strip_suffix(zeros) {
            return format!("{rest}{letter}");
        }
    }
    whole.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_on_a_scale_is_short_and_exact() {
        let shown = [
            "0.00",
            "0.50",
            "250.00",
            "20,000.00",
            "1,500,000",
            "2,000,000",
            "0",
        ]
        .map(compact);
        assert_eq!(shown, ["0", "0.50", "250", "20k", "1,500k", "2M", "0"]);
    }
}
