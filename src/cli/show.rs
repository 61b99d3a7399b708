//! `payouts show`.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::model::ids::PayoutId;
use crate::model::money::Currency;
use crate::model::record::PayoutRecord;
use crate::ops::next_step::{Circumstances, next_step};
use crate::output::json::RecordView;
use crate::output::{Answer, show};

/// Show all there is on a payout, and what to do next
///
/// Its creator, statement, batch and holds, its history, every attempt with what
/// Stripe answered, and what happens next. Says what is recorded here; asks
/// Stripe nothing and changes nothing. With csv, only the fields of `list`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Payout ids, references, transfers (tr_…) or request ids (req_…)
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

/// A record and what to do about it.
struct Shown {
    record: PayoutRecord,
    next_step: String,
}

pub(super) fn run(cx: &mut Context, args: &ShowArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let mut ids: Vec<PayoutId> = Vec::new();
    let mut unknown: Vec<&str> = Vec::new();
    for text in &args.ids {
        let named = store
            .payouts_named(text)
            .map_err(|error| CliError::from(error).doing(format!("failed to look up {text}")))?;
        if named.is_empty() {
            unknown.push(text);
        }
        for id in named {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    let circumstances = Circumstances {
        rules: cx.send_rules(None),
        currency,
        now: cx.clock.now(),
    };
    let mut shown = Vec::with_capacity(ids.len());
    for id in &ids {
        let record = store
            .payout_record(id, &cx.list_rules())
            .map_err(|error| CliError::from(error).doing(format!("failed to read payout {id}")))?;
        shown.push(Shown {
            next_step: next_step(&record, &circumstances),
            record,
        });
    }
    print(cx, &shown, currency)?;
    if unknown.is_empty() {
        return Ok(Exit::Done.into());
    }
    Err(CliError::new(
        Exit::Attention,
        format!(
            "there is no payout with the id, reference, transfer or request {}",
            unknown.join(", ")
        ),
    )
    .hint("find it with `payouts list`, for instance by --creator or --created"))
}

fn print(cx: &Context, shown: &[Shown], currency: Currency) -> Result<(), CliError> {
    let rows = shown
        .iter()
        .map(|one| RecordView::of(&one.record, &one.next_step, currency))
        .collect();
    Answer::new("payouts", rows).print(cx.format, &cx.ui, |ui, _| {
        let pages: Vec<String> = shown
            .iter()
            .map(|one| show::page(ui, &one.record, &one.next_step, currency))
            .collect();
        pages.join("\n\n")
    })?;
    Ok(())
}
