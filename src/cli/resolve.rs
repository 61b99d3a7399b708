//! `payouts resolve`.

use std::sync::Arc;

use clap::Args;

use crate::cli::consent;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::interrupt::{GivesUp, interruptible, signals};
use crate::cli::selection;
use crate::model::ids::PayoutId;
use crate::model::money::{Currency, with_currency};
use crate::ops::resolve::{Looked, Outcome, Resolver, Settings};
use crate::ops::run_error::RunError;
use crate::output::json_control::{ResolveMembers, ResolveView};
use crate::output::progress::Progress;
use crate::output::text::count;
use crate::output::{Answer, resolve as text};
use crate::store::thread::StoreThread;
use crate::store::{RunStamp, StoreError};
use crate::stripe::Stripe;

/// Decide about payouts whose outcome nobody knows
///
/// Looks again at Stripe, in the payout's group, in all that went to its account
/// since, and in Stripe's events; records what fits, and says what may be done
/// next and from when on. Sends nothing. --paid records the transfer that a
/// person found, if nothing speaks against it. --release lets go of an attempt
/// without proof, so that the payout is sent again under a new key: only where
/// `process` sends it no more, no run has it in hand, and two look-ups an hour
/// apart, each an hour or more after the last send that there can have been, found
/// nothing. Ends with 0 when nothing is in doubt any more, with 5 when something is.
#[derive(Debug, Args)]
pub(super) struct ResolveArgs {
    /// These payouts
    #[arg(value_name = "ID", required = true, help_heading = "Selection")]
    ids: Vec<String>,

    /// Record this transfer as the payout's
    #[arg(long, value_name = "TRANSFER", conflicts_with = "release", value_parser = transfer_id, help_heading = "Decision")]
    paid: Option<String>,

    /// Let go of the attempt, so that the payout is sent again
    #[arg(long, requires = "reason", help_heading = "Decision")]
    release: bool,

    /// Why, for the record
    #[arg(
        long,
        value_name = "TEXT",
        value_parser = selection::reason,
        requires = "release",
        help_heading = "Decision"
    )]
    reason: Option<String>,
}

/// Every write stands alone.
const AT_ONCE: GivesUp = GivesUp {
    at: 1,
    message: "interrupted",
    hint: "what was recorded until then is kept; run it again",
};

fn transfer_id(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_one = text.strip_prefix("tr_").is_some_and(|rest| {
        !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    });
    if is_one {
        Ok(text.to_owned())
    } else {
        Err("the id of a transfer begins with tr_".to_owned())
    }
}

pub(super) fn run(cx: &mut Context, args: &ResolveArgs) -> Result<Exits, CliError> {
    if args.paid.is_some() && args.ids.len() != 1 {
        return Err(CliError::new(
            Exit::Usage,
            "--paid says which transfer paid one payout: name that one alone",
        ));
    }
    let mut store = cx.store()?;
    let ids = selection::payouts(&mut store, &args.ids)?;
    let stripe = cx.stripe()?;
    let currency = cx.currency(&mut store)?;
    let settings = Settings {
        currency,
        lease: cx.config.lease,
        rate: cx.rate(&stripe),
    };
    let run = cx.run_description(&mut store, "resolve")?;
    let stamp = store.run_begin(run)?;
    let (db, thread) = StoreThread::start(store)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let work = resolve(cx, args, &ids, db, stripe, settings, stamp.clone());
    let ended = runtime.block_on(async { interruptible(signals()?, AT_ONCE, work).await });
    drop(runtime);
    let mut store = thread.join().map_err(|_| StoreError::Stopped)?;
    let exit = match &ended {
        Ok(looked) => exit_of(looked),
        Err(error) => error.exit,
    };
    let told = match &ended {
        Ok(looked) => summary(looked),
        Err(error) => error.message().to_owned(),
    };
    let recorded = store.run_end(&stamp.run_id, i32::from(exit.code()), &told);
    let looked = ended?;
    let views = looked
        .iter()
        .map(|one| ResolveView::new(one, currency))
        .collect();
    Answer::new("payouts", views)
        .with(&ResolveMembers::of(&looked))
        .print(cx.format, &cx.ui, |ui, _| {
            text::table(ui, &looked, currency)
        })?;
    recorded?;
    Ok(exit.into())
}

async fn resolve(
    cx: &Context,
    args: &ResolveArgs,
    ids: &[PayoutId],
    db: StoreThread,
    stripe: Stripe,
    settings: Settings,
    stamp: RunStamp,
) -> Result<Vec<Looked>, CliError> {
    let currency = settings.currency;
    let mut progress = Progress::new(&cx.ui, currency);
    let mut show = |event| progress.show(event);
    let stripe = Arc::new(stripe);
    let resolver = Resolver::open(db, stripe, &cx.clock, settings, stamp, &mut show)
        .await
        .map_err(failed)?;
    progress.end();
    if let (Some(transfer), [id]) = (&args.paid, ids) {
        let recorded = resolver.record_paid(id, transfer).await.map_err(failed)?;
        let looked = recorded.map_err(|refusal| not_recorded(id, transfer, &refusal))?;
        return Ok(vec![looked]);
    }
    let looked = resolver.look(ids).await.map_err(failed)?;
    if args.release {
        release(cx, args, &resolver, looked, currency).await
    } else {
        Ok(looked)
    }
}

/// Lets go of those that may be let go of, once a person has agreed to it.
async fn release(
    cx: &Context,
    args: &ResolveArgs,
    resolver: &Resolver,
    looked: Vec<Looked>,
    currency: Currency,
) -> Result<Vec<Looked>, CliError> {
    let may = |one: &&Looked| matches!(one.release, Some(Ok(_)));
    let chosen: Vec<&Looked> = looked.iter().filter(may).collect();
    if chosen.is_empty() {
        return Ok(looked);
    }
    if !cx.yes {
        cx.ui.line(text::plan(&chosen, currency).trim_end());
    }
    let total = chosen.iter().map(|one| i64::from(one.amount_cents)).sum();
    let payouts = count(chosen.len() as u64, "payout");
    let total = with_currency(total, currency);
    consent::for_release(cx, format!("Let go of {payouts}, {total}?"))?;
    let reason = args.reason.as_deref().unwrap_or_default();
    let mut done: Vec<Looked> = Vec::with_capacity(looked.len());
    let mut failing = false;
    for one in looked {
        if failing || !may(&&one) {
            done.push(one);
            continue;
        }
        let before = one.clone();
        match resolver.release(one, reason).await.map_err(failed) {
            Ok(one) => done.push(one),
            // What was let go of before is told beside what could not be.
            Err(error) if done.iter().any(|one| one.outcome == Outcome::Released) => {
                failing = true;
                done.push(Looked {
                    found: format!("letting go of it failed: {}", error.message()),
                    ..before
                });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn exit_of(looked: &[Looked]) -> Exit {
    if looked.iter().any(|one| one.outcome.is_open()) {
        Exit::Unresolved
    } else {
        Exit::Done
    }
}

fn summary(looked: &[Looked]) -> String {
    let of = |outcome: Outcome| looked.iter().filter(|one| one.outcome == outcome).count() as u64;
    let open = looked.iter().filter(|one| one.outcome.is_open()).count();
    format!(
        "{} adopted, {} released, {open} unresolved",
        count(of(Outcome::Adopted), "payout"),
        of(Outcome::Released)
    )
}

fn failed(error: RunError) -> CliError {
    match error {
        RunError::Stripe { .. } => {
            CliError::caused(Exit::CouldNotRun, "failed to look at Stripe", &error)
                .hint("check STRIPE_SECRET_KEY, its permissions, and the network; nothing was sent")
        }
        other => CliError::from(other),
    }
}

fn not_recorded(payout: &PayoutId, transfer: &str, refusal: &str) -> CliError {
    CliError::new(
        Exit::Refused,
        format!("{transfer} is not recorded as the transfer of payout {payout}: {refusal}"),
    )
    .hint(format!(
        "nothing was changed; `payouts show {payout}` says what is known"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_id_of_a_transfer_is_one() {
        assert_eq!(transfer_id(" tr_1Ab "), Ok("tr_1Ab".to_owned()));
        for text in ["", "tr_", "po_1", "tr_1/..", "tr_1?x"] {
            assert!(transfer_id(text).is_err(), "{text}");
        }
    }
}
