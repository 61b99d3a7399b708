//! `payouts release`.

use clap::Args;

use crate::cli::batches::no_such_batch;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::recorded::recorded;
use crate::model::ids::BatchId;
use crate::model::money::with_currency;
use crate::ops::release::{self, Released};
use crate::output::json_records::{BatchView, ReleaseRow, ReleaseView};
use crate::output::{SCHEMA, record, text};

/// Let a batch go, so that the next `process` may pay it
///
/// Every batch starts held, because nobody has looked at it yet. Who let it go,
/// and when, is recorded. Nothing is sent to Stripe here.
#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    /// The batch's id, as `create` and `batches list` print it
    #[arg(value_name = "BATCH")]
    batch: String,
}

pub(super) fn run(cx: &mut Context, args: &ReleaseArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let id = BatchId::new(args.batch.trim());
    let Some((looked, held)) = release::look(&mut store, &id)? else {
        return Err(no_such_batch(&id));
    };
    let due = |released: &Released| {
        let count = text::count(u64::try_from(released.due.count).unwrap_or(0), "payout");
        format!(
            "{count}, {}",
            with_currency(released.due.amount_cents, currency)
        )
    };
    let released = if held {
        recorded(cx, &mut store, "release", |store, _| {
            let released = release::release(store, looked)?;
            let summary = format!("released batch {id}: {} due", due(&released));
            Ok((released, summary))
        })?
    } else {
        looked
    };
    let view = ReleaseView {
        schema: SCHEMA,
        batch: BatchView::new(&released.batch, currency, false),
        released: released.now,
        due: released.due.count,
        due_cents: released.due.amount_cents,
        currency: currency.as_str(),
    };
    record::print(cx.format, &cx.ui, &view, &[ReleaseRow::from(&view)], || {
        let state = if released.now {
            "released"
        } else {
            "was released before"
        };
        record::render(&[
            ("Batch", id.to_string()),
            ("Source", released.batch.source.clone()),
            ("State", state.to_owned()),
            ("Due", due(&released)),
            ("Next", "payouts process".to_owned()),
        ])
    })?;
    Ok(Exit::Done.into())
}
