//! `payouts receipt`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::model::ids::PayoutId;
use crate::ops::next_step::Circumstances;
use crate::ops::out_file;
use crate::ops::receipt::{self, Receipt, ReceiptError};
use crate::output::{Format, receipt as shown};
use crate::store::Store;

/// Write a creator's receipt of a payout, as a page to print
///
/// One HTML page that needs nothing else: who was paid, how much, when, to which
/// account, the statement it settles, and what was taken back since. There is one
/// only of what was paid for certain: a row that the ledger or a finding of
/// `payouts reconcile` contradicts has none. Asks Stripe nothing and changes
/// nothing. JSON has the same; csv, what fits into a line.
#[derive(Debug, Args)]
pub(super) struct ReceiptArgs {
    /// Payout id, reference, transfer (tr_…) or request id (req_…)
    #[arg(value_name = "ID")]
    id: String,

    /// Write the page to this file, for its owner alone, instead of stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Write over the file if it is there
    #[arg(long, requires = "out")]
    force: bool,
}

pub(super) fn run(cx: &mut Context, args: &ReceiptArgs) -> Result<Exits, CliError> {
    if args.out.is_some() && cx.format != Format::Table {
        return Err(CliError::new(
            Exit::Usage,
            "--out writes the page, and nothing else: leave out --output, or redirect stdout",
        ));
    }
    let mut store = cx.store()?;
    let receipt = gather(cx, &mut store, &args.id)?;
    match &args.out {
        None => shown::print(cx.format, &cx.ui, &receipt)?,
        Some(path) => out_file::write(path, shown::page(&receipt).as_bytes(), args.force)?,
    }
    Ok(Exit::Done.into())
}

fn gather(cx: &Context, store: &mut Store, text: &str) -> Result<Receipt, CliError> {
    let id = named(store, text)?;
    let circumstances = Circumstances {
        rules: cx.send_rules(None),
        currency: cx.currency(store)?,
        now: cx.clock.now(),
    };
    receipt::gather(store, &id, &cx.list_rules(), &circumstances).map_err(|error| match error {
        ReceiptError::Store(error) => {
            CliError::from(error).doing(format!("failed to read payout {id}"))
        }
        ReceiptError::Refused { ref next_step, .. } => {
            CliError::new(Exit::Attention, error.to_string()).hint(next_step.clone())
        }
    })
}

/// The one payout that a text names.
fn named(store: &mut Store, text: &str) -> Result<PayoutId, CliError> {
    let mut ids = store
        .payouts_named(text)
        .map_err(|error| CliError::from(error).doing(format!("failed to look up {text}")))?;
    match (ids.pop(), ids.as_slice()) {
        (Some(id), []) => Ok(id),
        (None, _) => Err(CliError::new(
            Exit::Attention,
            format!("there is no payout with the id, reference, transfer or request {text}"),
        )
        .hint("find it with `payouts list`, for instance by --creator or --created")),
        (Some(last), others) => {
            let ids: Vec<&str> = others.iter().chain([&last]).map(PayoutId::as_str).collect();
            Err(CliError::new(
                Exit::Attention,
                format!("{text} names several payouts: {}", ids.join(", ")),
            )
            .hint(
                "a receipt is of one of them: use what names no other, such as its transfer (tr_…)",
            ))
        }
    }
}
