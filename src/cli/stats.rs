//! `payouts stats`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::model::money::Currency;
use crate::model::report::Period;
use crate::ops::calendar::Unit;
use crate::ops::out_file::{self, Readers};
use crate::ops::period;
use crate::ops::stats::{self, Figures, Question};
use crate::output::progress::Progress;
use crate::output::report::Shown;
use crate::output::stats::{self as shown, By, Measure, Stats, StatsView};
use crate::output::{Document, Format, prometheus};
use crate::store::{Store, StoreError};

/// What is looked at when nobody says.
const PERIOD: &str = "30d";

/// Days and the like that are told without a gap; of more, those in which nothing happened
/// are left out.
const UNITS_MAX: usize = 4_000;

/// Creators that people are shown when they do not say how many.
const CREATORS_SHOWN: usize = 20;

/// Volume, success, failures by code, retries, time to paid
///
/// A payout succeeded in the period when it was paid in it, by the transfer's own
/// time. The success rate is those of all that came to a definite end: paid, or
/// refused and by the end of the period neither paid nor back in the queue. Attempts
/// that were refused are counted beside it, and so is what was taken back after it
/// had been paid. Lines of --by know the end of the whole period. Time to paid counts from the creation of a payout, with all holds
/// and retries in it. The figures are those of `payouts report` for the same period.
///
/// --output prometheus is something else: the state of things now, as metrics for
/// the textfile collector of Prometheus' node exporter. With --to they are written to
/// a file, which is replaced in one step and which everybody on the machine may read.
#[derive(Debug, Args)]
pub(super) struct StatsArgs {
    /// Of which time: 2026, 2026-10, 2026-10-05, 2026-10-01..2026-10-31 (both days
    /// included), 7d or 12h (back from now), or two RFC 3339 times as A..B
    #[arg(long, value_name = "TIME", default_value = PERIOD, help_heading = "Selection")]
    period: String,

    /// Whose days, weeks and months are meant, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = period::zone, help_heading = "Selection")]
    tz: TimeZone,

    /// A line for each day, week (from Monday on), month, year or creator
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Selection")]
    by: Option<ByWhat>,

    /// Lines of creators that a table or a chart shows, those paid most first
    /// [default: 20]
    #[arg(long, value_name = "N", help_heading = "Selection")]
    limit: Option<usize>,

    /// Draw bars in place of the table: of the amount paid, or of what is named; by day
    /// unless --by says otherwise
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "amount",
        help_heading = "Output"
    )]
    chart: Option<ChartOf>,

    /// With --output prometheus: replace this file in one step, instead of stdout
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    to: Option<PathBuf>,
}

/// By what lines are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ByWhat {
    Day,
    Week,
    Month,
    Year,
    Creator,
}

/// What a chart shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ChartOf {
    /// How much was paid.
    Amount,
    /// How many were paid.
    Count,
    /// The success rate.
    Success,
    /// Attempts that were refused.
    Failures,
    /// The median time to paid.
    Time,
}

impl ChartOf {
    fn measure(self) -> Measure {
        match self {
            Self::Amount => Measure::Amount,
            Self::Count => Measure::Count,
            Self::Success => Measure::Success,
            Self::Failures => Measure::Failures,
            Self::Time => Measure::Time,
        }
    }
}

impl StatsArgs {
    fn by(&self) -> By {
        match self.by {
            None if self.chart.is_some() => By::Time(Unit::Day),
            None => By::All,
            Some(ByWhat::Day) => By::Time(Unit::Day),
            Some(ByWhat::Week) => By::Time(Unit::Week),
            Some(ByWhat::Month) => By::Time(Unit::Month),
            Some(ByWhat::Year) => By::Time(Unit::Year),
            Some(ByWhat::Creator) => By::Creator,
        }
    }

    /// Refuses words that mean nothing together.
    fn check(&self, cx: &Context) -> Result<(), CliError> {
        let usage = |text: &str| Err(CliError::new(Exit::Usage, text));
        if cx.document == Some(Document::Prometheus) {
            let selects = self.period != PERIOD || self.by.is_some() || self.chart.is_some();
            if selects || self.limit.is_some() {
                return usage(
                    "--output prometheus tells the state of things now: leave out --period, --by, --limit and --chart",
                );
            }
        } else if self.to.is_some() {
            return usage("--to is for --output prometheus: give that, or redirect stdout");
        }
        if self.chart.is_some() && cx.format != Format::Table {
            return usage("--chart draws for people: leave out --output");
        }
        Ok(())
    }
}

pub(super) fn run(cx: &mut Context, args: &StatsArgs) -> Result<Exits, CliError> {
    args.check(cx)?;
    let now = cx.clock.now();
    let span = period::span(&args.period, &args.tz, now)
        .map_err(|error| CliError::new(Exit::Usage, format!("--period: {error}")))?;
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    if cx.document == Some(Document::Prometheus) {
        return metrics(cx, args, &mut store, currency);
    }
    let question = Question {
        period: Period {
            from: span.from,
            until: span.until.unwrap_or(now),
        },
        zone: args.tz.clone(),
        creators: args.by() == By::Creator,
    };
    let figures = gathered(cx, &mut store, &question, currency)?;
    let asked = Shown {
        currency,
        zone: args.tz.clone(),
        asked: args.period.clone(),
        period: question.period,
    };
    let totals = StatsView::whole(&figures.whole, currency);
    let rows = match args.by() {
        By::All => vec![totals.clone()],
        By::Time(unit) => figures
            .by_unit(unit, &question, now, UNITS_MAX)
            .iter()
            .map(|(first, tally)| StatsView::unit(unit, unit.label(*first), tally, currency))
            .collect(),
        By::Creator => shown::by_creator(&figures, currency),
    };
    let rows_max = match args.by() {
        By::Creator => args.limit.unwrap_or(CREATORS_SHOWN),
        _ => usize::MAX,
    };
    let stats = Stats {
        shown: &asked,
        by: args.by(),
        rows,
        totals,
        failures: shown::failures(&figures, currency),
        rows_max,
        chart: args.chart.map(ChartOf::measure),
    };
    shown::print(cx.format, &cx.ui, &stats)?;
    Ok(Exit::Done.into())
}

fn gathered(
    cx: &Context,
    store: &mut Store,
    question: &Question,
    currency: Currency,
) -> Result<Figures, CliError> {
    let mut progress = Progress::new(&cx.ui, currency);
    let gathered = stats::gather(
        store,
        question,
        &mut |event| progress.show(event),
        |_, _| Ok::<(), StoreError>(()),
    );
    progress.end();
    Ok(gathered?)
}

/// The state of things, for a monitor.
fn metrics(
    cx: &Context,
    args: &StatsArgs,
    store: &mut Store,
    currency: Currency,
) -> Result<Exits, CliError> {
    let page = prometheus::page(&store.gauges()?, currency, cx.clock.now());
    match &args.to {
        None => cx.ui.answer(&page)?,
        // The collector runs as somebody else.
        Some(path) => out_file::write_for(Readers::Everybody, path, page.as_bytes(), true)?,
    }
    Ok(Exit::Done.into())
}
