//! `payouts retry`.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::moved::{self, Verb};
use crate::cli::recorded::recorded_with_exit;
use crate::cli::selection;
use crate::model::money::Currency;
use crate::model::standing::Asked;
use crate::ops::moving::Plan;
use crate::ops::retry::{self, Request, Search, Which};
use crate::output::json_control::{MovedMembers, RetryMembers};
use crate::store::Store;

/// Up to so many payouts are put back without a question.
const ASKED_ABOVE: usize = 3;

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
/// whose statement another one has taken. Nothing is sent here.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "due", "all", "code"]))]
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
    let request = request(cx, args, &mut store)?;
    let plan = retry::plan(&mut store, &request)?;
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
        payouts_max: args.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        }),
        force: args.force,
        rules: cx.retry_rules(),
    })
}
