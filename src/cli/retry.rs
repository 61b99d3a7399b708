//! `payouts retry`.

use clap::Args;

use crate::cli::ask;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::moved::{self, Verb};
use crate::cli::recorded::recorded_with_exit;
use crate::cli::selection;
use crate::model::ids::PayoutId;
use crate::model::listing::ListedPayout;
use crate::model::money::{Currency, with_currency};
use crate::model::standing::Asked;
use crate::ops::moving::Plan;
use crate::ops::retry::{self, Request, Search, Which};
use crate::output::json_control::{MovedMembers, RetryMembers};
use crate::output::text::{brief, count, minute};
use crate::store::Store;

/// Up to so many payouts are put back without a question.
const ASKED_ABOVE: usize = 3;

/// Payouts that are offered to be ticked: more than a person looks through.
const OFFERED_MAX: usize = 1000;

const VERB: Verb = Verb {
    result: "retried",
    to_do: "put back to PENDING",
    planned: "would be put back to PENDING",
    done: "put back to PENDING",
    nothing: "nothing to retry",
};

/// Put failed payouts back into the queue
///
/// The same payout becomes PENDING again, and the next `process` sends it under
/// a new key. Only after a definite no of Stripe: what may have been paid, what
/// was cancelled and what other software failed is refused, and so is a payout
/// whose statement another one has taken. Nothing is sent here. On a terminal,
/// without saying which, those that may be retried are offered to be ticked.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").multiple(true).args(["ids", "due", "all", "code"]))]
pub(super) struct RetryArgs {
    /// These payouts, whatever the code
    #[arg(value_name = "ID", help_heading = "Selection",
          conflicts_with_all = ["due", "all", "code", "batch", "creator", "limit"])]
    ids: Vec<String>,

    /// Those that need no person and whose back-off has elapsed; for cron
    #[arg(long, help_heading = "Selection", conflicts_with = "all")]
    due: bool,

    /// Those that need no person, back-off or not
    #[arg(long, help_heading = "Selection")]
    all: bool,

    /// Those that Stripe refused with this code, such as `resource_missing`,
    /// once somebody has seen to the cause
    #[arg(long, value_name = "CODE", help_heading = "Selection")]
    code: Option<String>,

    /// Of those, only this batch
    #[arg(long, value_name = "ID", help_heading = "Selection")]
    batch: Option<String>,

    /// Of those, only this creator: id, e-mail or Stripe account
    #[arg(long, value_name = "WHO", help_heading = "Selection")]
    creator: Option<String>,

    /// Of those, at most this many, oldest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Selection")]
    limit: Option<u32>,

    /// Also those that failed as often as `PAYOUTS_MAX_RETRIES` allows
    #[arg(long, help_heading = "Safety")]
    force: bool,

    /// Show what would be done, and do nothing
    #[arg(long, help_heading = "Safety")]
    dry_run: bool,
}

pub(super) fn run(cx: &mut Context, args: &RetryArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let mut request = request(cx, args, &mut store)?;
    let mut plan = retry::plan(&mut store, &request)?;
    if args.names_none() && !plan.chosen.is_empty() {
        request = offer(cx, &mut store, request, &plan, currency)?;
        plan = retry::plan(&mut store, &request)?;
    }
    // What nobody named and is refused is told, and is nobody's mistake.
    let exit_of = |refused: usize| {
        if refused > 0 && !args.ids.is_empty() {
            Exit::Attention
        } else {
            Exit::Done
        }
    };
    if args.dry_run || plan.chosen.is_empty() {
        answer(cx, &plan, currency, args.dry_run)?;
        return Ok(exit_of(plan.refused_count()).into());
    }
    if plan.chosen.len() > ASKED_ABOVE {
        moved::ask(cx, &VERB, &plan, currency)?;
    }
    let done = recorded_with_exit(cx, &mut store, "retry", |store, run| {
        let done = retry::execute(store, run, &request, plan)?;
        let summary = moved::summary(&VERB, &done, currency);
        let exit = exit_of(done.refused_count());
        Ok((done, exit, summary))
    })?;
    answer(cx, &done, currency, false)?;
    Ok(exit_of(done.refused_count()).into())
}

impl RetryArgs {
    /// Nobody said which: they are to be ticked.
    fn names_none(&self) -> bool {
        self.ids.is_empty() && !self.due && !self.all && self.code.is_none()
    }
}

/// Offers the payouts of a plan to be ticked. Returns the request for those.
fn offer(
    cx: &Context,
    store: &mut Store,
    request: Request,
    plan: &Plan,
    currency: Currency,
) -> Result<Request, CliError> {
    if plan.chosen.len() == OFFERED_MAX {
        cx.ui.note(&format!(
            "the oldest {} are offered; --batch, --creator and --code find others",
            count(OFFERED_MAX as u64, "payout")
        ));
    }
    let ids: Vec<PayoutId> = plan
        .chosen
        .iter()
        .map(|one| one.payout_id.clone())
        .collect();
    let listed = store.payouts_listed(&ids, &cx.list_rules())?;
    let labels = labels(&listed, currency);
    let ticked = ask::some_of("Retry", &labels, |ticked| {
        let amounts = ticked.iter().filter_map(|place| listed.get(*place));
        let cents = amounts.fold(0_i64, |sum, line| {
            sum.saturating_add(line.payout.amount_cents.into())
        });
        format!(
            "{} ticked, {}",
            count(ticked.len() as u64, "payout"),
            with_currency(cents, currency)
        )
    });
    let ticked = ticked.map_err(|stopped| stopped.into_error("nothing was changed"))?;
    if ticked.is_empty() {
        return Err(CliError::new(
            Exit::Refused,
            "nothing was ticked; nothing was changed",
        ));
    }
    let chosen = ticked.iter().filter_map(|place| listed.get(*place));
    Ok(Request {
        which: Which::Ids(chosen.map(|line| line.payout.id.clone()).collect()),
        ..request
    })
}

/// A line for each payout: whom, how much, why it failed, when, how often, and its
/// id, under one another.
fn labels(listed: &[ListedPayout], currency: Currency) -> Vec<String> {
    const AMOUNT: usize = 1;
    let cells: Vec<[String; 6]> = listed
        .iter()
        .map(|line| {
            let payout = &line.payout;
            let creator = line.creator_name.as_deref();
            let failed = payout.last_retry_at.unwrap_or(payout.updated_at);
            let attempts = u64::try_from(payout.retry_count).unwrap_or(0);
            [
                brief(creator.unwrap_or(payout.creator_id.as_str()), 24),
                with_currency(payout.amount_cents.into(), currency),
                brief(line.failed_code().unwrap_or_default(), 28),
                format!("failed {}", minute(failed)),
                count(attempts, "attempt"),
                payout.id.to_string(),
            ]
        })
        .collect();
    let width = |column: usize| {
        let lengths = cells.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or(0)
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let padded = |row: &[String; 6]| {
        let cells = row.iter().zip(widths).enumerate();
        cells
            .map(|(column, (cell, width))| match column {
                AMOUNT => format!("{cell:>width$}"),
                _ => format!("{cell:width$}"),
            })
            .collect::<Vec<_>>()
            .join("  ")
    };
    cells.iter().map(padded).collect()
}

fn answer(cx: &Context, plan: &Plan, currency: Currency, dry_run: bool) -> Result<(), CliError> {
    let members = RetryMembers {
        dry_run,
        retried: plan.chosen.len(),
        moved: MovedMembers::of(plan, currency),
    };
    moved::answer(cx, &VERB, plan, currency, dry_run, &members)
}

fn request(cx: &Context, args: &RetryArgs, store: &mut Store) -> Result<Request, CliError> {
    let which = if args.ids.is_empty() {
        Which::Search(Search {
            asked: match (args.due, args.all) {
                (true, _) => Asked::Due,
                (false, true) => Asked::Automatic,
                (false, false) => Asked::Named,
            },
            code: args.code.clone(),
            batch: selection::batch(store, args.batch.as_deref())?,
            creator: selection::creator(store, args.creator.as_deref())?,
        })
    } else {
        Which::Ids(selection::payouts(store, &args.ids)?)
    };
    Ok(Request {
        which,
        payouts_max: args
            .limit
            .map_or(usize::MAX, |limit| {
                usize::try_from(limit).unwrap_or(usize::MAX)
            })
            .min(if args.names_none() {
                OFFERED_MAX
            } else {
                usize::MAX
            }),
        force: args.force,
        rules: cx.retry_rules(),
    })
}
