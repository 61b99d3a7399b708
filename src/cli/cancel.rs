//! `payouts cancel`.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::moved::{self, Verb};
use crate::cli::recorded::recorded_with_exit;
use crate::cli::selection;
use crate::model::money::Currency;
use crate::ops::cancel::{self, Which};
use crate::ops::moving::Plan;
use crate::output::json_control::{CancelMembers, MovedMembers};

const VERB: Verb = Verb {
    result: "cancelled",
    to_do: "cancel for good",
    planned: "would be cancelled",
    done: "cancelled",
    nothing: "nothing to cancel",
};

/// End payouts that were not paid, for good
///
/// A payout that is PENDING, or that Stripe refused for good, becomes FAILED with
/// the reason `cancelled: …` and is never retried. Its statement is free for
/// another payout, and its reference can be loaded again. What is on its way, or
/// may have been paid, is refused; what is paid can only be reversed at Stripe.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["ids", "batch"]))]
pub(super) struct CancelArgs {
    /// These payouts
    #[arg(value_name = "ID", help_heading = "Selection")]
    ids: Vec<String>,

    /// All of this batch
    #[arg(long, value_name = "ID", help_heading = "Selection")]
    batch: Option<String>,

    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = selection::reason)]
    reason: String,
}

pub(super) fn run(cx: &mut Context, args: &CancelArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let which = match selection::batch(&mut store, args.batch.as_deref())? {
        Some(batch) => Which::Batch(batch),
        None => Which::Ids(selection::payouts(&mut store, &args.ids)?),
    };
    let plan = cancel::plan(&mut store, &which)?;
    let exit_of = |refused: usize| {
        if refused > 0 {
            Exit::Attention
        } else {
            Exit::Done
        }
    };
    if plan.chosen.is_empty() {
        answer(cx, &plan, currency, false)?;
        return Ok(exit_of(plan.refused_count()).into());
    }
    moved::ask(cx, &VERB, &plan, currency)?;
    let done = recorded_with_exit(cx, &mut store, "cancel", |store, run| {
        let done = cancel::execute(store, run, &args.reason, plan)?;
        let summary = moved::summary(&VERB, &done, currency);
        let exit = exit_of(done.refused_count());
        Ok((done, exit, summary))
    })?;
    answer(cx, &done, currency, false)?;
    Ok(exit_of(done.refused_count()).into())
}

fn answer(cx: &Context, plan: &Plan, currency: Currency, dry_run: bool) -> Result<(), CliError> {
    let members = CancelMembers {
        dry_run,
        cancelled: plan.chosen.len(),
        moved: MovedMembers::of(plan, currency),
    };
    moved::answer(cx, &VERB, plan, currency, dry_run, &members)
}
