//! `payouts release`.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::hold::{HeldArgs, answer, answer_with, due, names};
use crate::cli::recorded::recorded;
use crate::cli::selection;
use crate::model::hold::HoldKind;
use crate::model::ids::BatchId;
use crate::model::money::Currency;
use crate::ops::hold::{self, HoldLine};
use crate::output::record;
use crate::store::Store;

/// Let held payouts go, so that the next `process` may pay them
///
/// Every batch starts held, because nobody has looked at it yet; anything else is
/// held by `hold`. A payout goes when nothing holds it any more: not itself, nor
/// its creator, nor its batch, nor the switch. Who let go, and when, is recorded.
/// Nothing is sent to Stripe here.
#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    held: HeldArgs,

    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = selection::reason)]
    reason: Option<String>,
}

pub(super) fn run(cx: &mut Context, args: &ReleaseArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let targets = args.held.targets(&mut store)?;
    let looked = hold::look(&mut store, &targets)?;
    let lines = if looked.iter().any(|line| line.held) {
        recorded(cx, &mut store, "release", |store, run| {
            let lines = hold::release(store, run, looked, args.reason.as_deref())?;
            let summary = match &lines[..] {
                [line] => format!("released {}: {} due", names(&lines), due(line, currency)),
                lines => format!("released {}", names(lines)),
            };
            Ok((lines, summary))
        })?
    } else {
        looked
    };
    match &lines[..] {
        [line] if line.target.kind == HoldKind::Batch => {
            answer_batch(cx, &mut store, line, currency)?;
        }
        lines => answer(cx, lines, currency)?,
    }
    Ok(Exit::Done.into())
}

/// A single batch, which is the usual case, is shown by its file.
fn answer_batch(
    cx: &Context,
    store: &mut Store,
    line: &HoldLine,
    currency: Currency,
) -> Result<(), CliError> {
    let batch = store.batch(&BatchId::new(line.target.id.as_str()))?;
    let source = batch.map_or_else(String::new, |found| found.batch.source);
    answer_with(cx, std::slice::from_ref(line), currency, |_| {
        let state = if line.changed {
            "released"
        } else {
            "was released before"
        };
        record::render(&[
            ("Batch", line.target.id.clone()),
            ("Source", source),
            ("State", state.to_owned()),
            ("Due", due(line, currency)),
            ("Next", "payouts process".to_owned()),
        ])
    })
}
