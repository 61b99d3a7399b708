//! `payouts report`.

use std::path::PathBuf;

use clap::Args;
use jiff::tz::TimeZone;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::model::listing::Total;
use crate::model::report::Period;
use crate::ops::stats::{self, Question};
use crate::ops::{out_file, period, report};
use crate::output::progress::Progress;
use crate::output::report::{self as written, ReportWriter, Shown};
use crate::output::report_facts::ReportFacts;
use crate::output::{Document, Format, report_page};

/// Export a period for the books, with lines that tie to zero
///
/// A payout is owed from its creation until it is paid or cancelled, so that
/// opening + created - paid - cancelled = closing, to the cent, for all of them
/// and for each by itself; one period opens with what the one before closed
/// with. A refused payout is still owed. What is taken back at Stripe is told
/// beside the balance: it is owed again only once a payout of it is created.
///
/// csv, ndjson and json have a row for each payout that was owed, created, paid,
/// cancelled, refused or taken back in the period; the columns `opening_cents` to
/// `closing_cents` add up to the lines. A table, and --summary in every format, is
/// the lines alone. A report of a period that is over stays the same, but for
/// creators' names, and for a payment that is found only later to have been made
/// then. The figures in json (`payouts stats` has them too) stay the same as well, all
/// but `known_now`: what is open on the day of the report.
///
/// --output html is a page that needs nothing else, to read and to print on A4: the
/// lines, the figures with charts and the numbers behind them, failures by reason, the
/// largest payouts, what was taken back, open findings and the last comparison with
/// Stripe.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// Of which time: 2026, 2026-10, 2026-10-05, 2026-10-01..2026-10-31 (both days
    /// included), 7d or 12h (back from now), or two RFC 3339 times as A..B
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    period: String,

    /// Whose days and months are meant, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = period::zone, help_heading = "Selection")]
    tz: TimeZone,

    /// Only the lines, no payouts
    #[arg(long, help_heading = "Selection")]
    summary: bool,

    /// With --output html: write the page to this file, for its owner alone, instead of
    /// stdout
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    to: Option<PathBuf>,

    /// Write over the file if it is there
    #[arg(long, requires = "to", help_heading = "Output")]
    force: bool,
}

impl ReportArgs {
    /// Refuses words that mean nothing together.
    fn check(&self, cx: &Context) -> Result<(), CliError> {
        if self.to.is_some() && cx.document != Some(Document::Html) {
            return Err(CliError::new(
                Exit::Usage,
                "--to writes the page: give --output html, or redirect stdout",
            ));
        }
        Ok(())
    }
}

pub(super) fn run(cx: &mut Context, args: &ReportArgs) -> Result<Exits, CliError> {
    args.check(cx)?;
    let now = cx.clock.now();
    let span = period::span(&args.period, &args.tz, now)
        .map_err(|error| CliError::new(Exit::Usage, format!("--period: {error}")))?;
    let period = Period {
        from: span.from,
        until: span.until.unwrap_or(now),
    };
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let shown = Shown {
        currency,
        zone: args.tz.clone(),
        asked: args.period.clone(),
        period,
    };
    let question = Question {
        period,
        zone: args.tz.clone(),
        creators: false,
    };
    let is_page = cx.document == Some(Document::Html);
    let mut out = cx.ui.out();
    let only_lines = args.summary || is_page;
    let mut writer = ReportWriter::begin(cx.format, &shown, only_lines, &mut out)?;
    // On a terminal the rows themselves show how far it is.
    let mut progress = (!cx.ui.stdout_terminal).then(|| Progress::new(&cx.ui, currency));
    let gathered = stats::gather(
        &mut store,
        &question,
        &mut |event| {
            if let Some(progress) = &mut progress {
                progress.show(event);
            }
        },
        |booked, entry| writer.row(booked, entry).map_err(CliError::from),
    );
    if let Some(progress) = progress {
        progress.end();
    }
    let figures = gathered?;
    let books = figures.books;
    let known = report::known_now(&mut store)?;
    let facts = ReportFacts::of(&figures, &question, &shown, &known);
    let lines_left = writer.finish(&books, &facts)?;
    drop(out);
    if is_page {
        let page = report_page::page(&shown, &books, &facts, now);
        match &args.to {
            None => cx.ui.answer(&page)?,
            Some(path) => out_file::write(path, page.as_bytes(), args.force)?,
        }
    } else if lines_left {
        written::print_lines(cx.format, &cx.ui, &shown, &books, &facts)?;
    }
    if matches!(cx.format, Format::Csv | Format::Ndjson) && !args.summary {
        cx.ui.note(&written::balance_line(&books, currency));
    }
    if period.until > now {
        cx.ui
            .note("the period is not over: this is what is known by now");
    }
    if books.unsettled.count > 0 {
        cx.ui
            .warn(&written::unsettled_line(books.unsettled, currency));
    }
    if books.difference() != Total::default() {
        return Err(CliError::new(
            Exit::Bug,
            "the lines of the report do not come to zero",
        ));
    }
    Ok(Exit::Done.into())
}
