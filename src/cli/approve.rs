//! `payouts approve`.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::hold::kind_of;
use crate::cli::moved::{self, Verb};
use crate::cli::recorded::recorded_with_exit;
use crate::cli::selection;
use crate::model::hold::HoldKind;
use crate::model::ids::{BatchId, PayoutId};
use crate::model::money::Currency;
use crate::ops::approve::{self, Approving, Which};
use crate::output::json_control::{ApproveMembers, MovedMembers};
use crate::output::text::count;
use crate::store::Store;

const APPROVE: Verb = Verb {
    result: "approved",
    to_do: "approve",
    planned: "would be approved",
    done: "approved",
    nothing: "nothing to approve",
};

const WITHDRAW: Verb = Verb {
    result: "withdrawn",
    to_do: "take back the approvals of",
    planned: "would need approval again",
    done: "not approved any more",
    nothing: "no approval to take back",
};

/// Approve payouts that somebody else made
///
/// From `PAYOUTS_APPROVAL_THRESHOLD_CENTS` on nothing is sent before a second person
/// approved it: a payout of that amount, or any whose batch pays its creator that much
/// in all. An approval is bound to what you see: whom it pays, how much, and to which
/// account. When any of it changes it counts no more. Who made a payout cannot
/// approve it. Nothing is sent here.
#[derive(Debug, Args)]
pub(super) struct ApproveArgs {
    /// Payouts, or whole batches
    #[arg(value_name = "ID", required = true, help_heading = "Selection")]
    ids: Vec<String>,

    /// Take approvals back instead, whoever gave them
    #[arg(long)]
    withdraw: bool,

    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = selection::reason)]
    reason: Option<String>,

    /// Show what would be approved, and approve nothing
    #[arg(long, help_heading = "Safety")]
    dry_run: bool,
}

pub(super) fn run(cx: &mut Context, args: &ApproveArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let actor = cx.actor(&mut store)?;
    let which = which(&mut store, &args.ids)?;
    let approving = if args.withdraw {
        approve::plan_withdrawal(&mut store, &which)?
    } else {
        approve::plan(&mut store, &which, &actor, cx.config.actor_from_role)?
    };
    if args.dry_run || approving.plan.chosen.is_empty() {
        answer(cx, args, &approving, currency, args.dry_run)?;
        return Ok(exit_of(&approving).into());
    }
    let verb = verb(args);
    moved::ask(cx, verb, &approving.plan, currency)?;
    let reason = args.reason.as_deref();
    let done = recorded_with_exit(cx, &mut store, "approve", |store, run| {
        let done = if args.withdraw {
            approve::withdraw(store, run, reason, approving)?
        } else {
            approve::execute(store, run, reason, approving)?
        };
        let summary = moved::summary(verb, &done.plan, currency);
        let exit = exit_of(&done);
        Ok((done, exit, summary))
    })?;
    answer(cx, args, &done, currency, false)?;
    Ok(exit_of(&done).into())
}

fn verb(args: &ApproveArgs) -> &'static Verb {
    if args.withdraw { &WITHDRAW } else { &APPROVE }
}

fn which(store: &mut Store, ids: &[String]) -> Result<Which, CliError> {
    let mut which = Which::default();
    for id in ids.iter().map(|id| id.trim()) {
        if kind_of(store, id)? == HoldKind::Batch {
            let batch = BatchId::new(id);
            if !which.batches.contains(&batch) {
                which.batches.push(batch);
            }
        } else {
            let payout = PayoutId::new(id);
            if !which.payouts.contains(&payout) {
                which.payouts.push(payout);
            }
        }
    }
    Ok(which)
}

/// Refused where nothing of what was named could be done.
fn exit_of(approving: &Approving) -> Exit {
    if approving.plan.refused_count() == 0 {
        Exit::Done
    } else if approving.plan.chosen.is_empty() && approving.before == 0 {
        Exit::Refused
    } else {
        Exit::Attention
    }
}

fn answer(
    cx: &Context,
    args: &ApproveArgs,
    approving: &Approving,
    currency: Currency,
    dry_run: bool,
) -> Result<(), CliError> {
    let plan = &approving.plan;
    if approving.before > 0 {
        cx.ui.line(&format!(
            "{} approved by you before, as they are now",
            count(approving.before as u64, "payout")
        ));
    }
    let members = ApproveMembers {
        dry_run,
        withdrawn: args.withdraw,
        approved: if args.withdraw { 0 } else { plan.chosen.len() },
        approved_before: approving.before,
        moved: MovedMembers::of(plan, currency),
    };
    moved::answer(cx, verb(args), plan, currency, dry_run, &members)
}
