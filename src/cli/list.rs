//! `payouts list`.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::model::ids::{BatchId, PayoutId, StatementId};
use crate::model::money::{self, Currency};
use crate::model::payout::PayoutStatus;
use crate::model::time::Span;
use crate::ops::list::{ListRequest, walk};
use crate::ops::period;
use crate::output::list::{ListWriter, Shown, has_totals};
use crate::output::text::count;
use crate::store::payouts::{CREATORS_MAX, PayoutFilter, PayoutOrder, SortBy};
use crate::store::{Store, StoreError};

/// List payouts, newest first, with the totals of all that match
///
/// Shows the first 50, and how to see the next; the totals are of all payouts
/// that match, whichever page is shown. JSON is one object with the totals;
/// ndjson and csv are rows alone. On a narrow terminal columns are shortened or
/// left out; piped, a table is complete.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only in this state; may be repeated
    #[arg(long, value_name = "STATUS", ignore_case = true, value_parser = status_parser(),
          value_delimiter = ',', help_heading = "Selection")]
    status: Vec<PayoutStatus>,

    /// Only those loaded with this batch
    #[arg(long, value_name = "ID", help_heading = "Selection")]
    batch: Option<String>,

    /// Only those paying a creator: the id, the e-mail, or part of the name
    #[arg(long, value_name = "CREATOR", help_heading = "Selection")]
    creator: Option<String>,

    /// Only those settling this statement
    #[arg(long, value_name = "ID", help_heading = "Selection")]
    statement: Option<String>,

    /// Only the one loaded under this reference
    #[arg(long, value_name = "TEXT", help_heading = "Selection")]
    reference: Option<String>,

    /// Only of at least this amount, such as 500.00
    #[arg(long, value_name = "AMOUNT", help_heading = "Selection")]
    min_amount: Option<String>,

    /// Only of at most this amount
    #[arg(long, value_name = "AMOUNT", help_heading = "Selection")]
    max_amount: Option<String>,

    /// Only those created in this time: 2026, 2026-10, 2026-10-05,
    /// 2026-10-01..2026-10-31 (both days included), 7d or 12h (back from now),
    /// or two RFC 3339 times as A..B
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    created: Option<String>,

    /// Only those paid in this time, written like --created
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    processed: Option<String>,

    /// Whose days and months are meant, such as Europe/Berlin; tables show its time
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = period::zone, help_heading = "Selection")]
    tz: TimeZone,

    /// What to sort by, newest or largest first
    #[arg(
        long,
        value_name = "BY",
        value_enum,
        default_value_t,
        help_heading = "Paging"
    )]
    sort: Sort,

    /// Oldest or smallest first
    #[arg(long, help_heading = "Paging")]
    reverse: bool,

    /// How many to show, at most 1000
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000),
          help_heading = "Paging")]
    limit: u16,

    /// Show all of them
    #[arg(long, conflicts_with = "limit", help_heading = "Paging")]
    all: bool,

    /// Go on behind this payout, the last one of the page before
    #[arg(long, value_name = "PAYOUT_ID", help_heading = "Paging")]
    after: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Sort {
    #[default]
    Created,
    Updated,
    Amount,
}

fn status_parser() -> impl TypedValueParser<Value = PayoutStatus> {
    let names = PayoutStatus::ALL.iter().map(|status| status.as_str());
    PossibleValuesParser::new(names)
        .try_map(|name| name.to_ascii_uppercase().parse::<PayoutStatus>())
}

pub(super) fn run(cx: &mut Context, args: &ListArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let request = ListRequest {
        filter: filter(cx, &mut store, args, currency)?,
        order: PayoutOrder {
            by: match args.sort {
                Sort::Created => SortBy::Created,
                Sort::Updated => SortBy::Updated,
                Sort::Amount => SortBy::Amount,
            },
            reversed: args.reverse,
        },
        after: match &args.after {
            None => None,
            Some(id) => Some(
                store
                    .payout_get(&PayoutId::new(id))
                    .map_err(|error| no_such_row(error, id))?,
            ),
        },
        limit: (!args.all).then_some(args.limit.into()),
        rules: cx.list_rules(),
        totals: has_totals(cx.format),
    };
    let mut out = cx.ui.out();
    let shown = Shown {
        currency,
        zone: args.tz.clone(),
        now: cx.clock.now(),
    };
    let mut writer = ListWriter::begin(&cx.ui, cx.format, shown, &mut out)?;
    let walked = walk(&mut store, &request, |rows| {
        writer.rows(rows).map_err(CliError::from)
    })?;
    writer.finish(&walked)?;
    if let Some(next) = walked.next {
        cx.ui
            .note(&format!("next page: payouts list … --after {next}"));
    }
    Ok(Exit::Done.into())
}

/// Turns the flags into a filter.
fn filter(
    cx: &Context,
    store: &mut Store,
    args: &ListArgs,
    currency: Currency,
) -> Result<PayoutFilter, CliError> {
    let span = |flag: &str, text: Option<&String>| -> Result<Span, CliError> {
        let Some(text) = text else {
            return Ok(Span::default());
        };
        period::span(text, &args.tz, cx.clock.now()).map_err(|error| wrong_flag(flag, &error))
    };
    let amount = |flag: &str, text: Option<&String>| -> Result<Option<i32>, CliError> {
        let Some(text) = text else { return Ok(None) };
        match money::parse_major(text, currency) {
            Ok(cents) => Ok(Some(cents)),
            Err(error) => Err(wrong_flag(flag, &format!("{text:?}: {error}"))),
        }
    };
    let filter = PayoutFilter {
        statuses: args.status.clone(),
        batch: args.batch.as_ref().map(BatchId::new),
        statement: args.statement.as_ref().map(StatementId::new),
        reference: args.reference.clone(),
        min_cents: amount("--min-amount", args.min_amount.as_ref())?,
        max_cents: amount("--max-amount", args.max_amount.as_ref())?,
        created: span("--created", args.created.as_ref())?,
        processed: span("--processed", args.processed.as_ref())?,
        creators: None,
    };
    let Some(creator) = &args.creator else {
        return Ok(filter);
    };
    let creators = store.creators_matching(creator).map_err(|error| {
        CliError::from(error).doing(format!("failed to look up the creator {creator:?}"))
    })?;
    if creators.is_empty() {
        cx.ui.note(&format!(
            "no creator has the id or e-mail {creator:?}, or a name with it"
        ));
    }
    if creators.len() > CREATORS_MAX {
        let most = count(CREATORS_MAX.try_into().unwrap_or(u64::MAX), "creator");
        return Err(wrong_flag(
            "--creator",
            &format!("{creator:?} is in the names of more than {most}"),
        )
        .hint("write more of the name, or the id or e-mail of one creator"));
    }
    Ok(PayoutFilter {
        creators: Some(creators),
        ..filter
    })
}

fn wrong_flag(flag: &str, what: &dyn std::fmt::Display) -> CliError {
    CliError::new(Exit::Usage, format!("{flag}: {what}"))
}

fn no_such_row(error: StoreError, id: &str) -> CliError {
    match error {
        StoreError::NotFound => {
            CliError::new(Exit::Usage, format!("--after: there is no payout {id}"))
        }
        other => CliError::from(other).doing(format!("failed to read payout {id}")),
    }
}
