//! `payouts batches`: list, show.

use clap::{Args, Subcommand};

use crate::cli::context::Context;
use crate::cli::creators::total_lines;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::page::PageArgs;
use crate::model::hold::{HoldKind, HoldTarget};
use crate::model::ids::BatchId;
use crate::model::listing::Totals;
use crate::model::money::{Currency, with_currency};
use crate::output::batches::{self, BatchProgressView};
use crate::output::json::PageMembers;
use crate::output::json_records::{BatchShowView, BatchView};
use crate::output::{Answer, record, table, text};
use crate::store::batches::BatchLine;

/// Look at the files that were loaded
#[derive(Debug, Subcommand)]
pub(super) enum BatchesCommand {
    List(ListArgs),
    Show(ShowArgs),
}

/// List batches, newest first
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    page: PageArgs,
}

/// Show one batch: where it came from, whether it is held, what became of it
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The batch's id
    #[arg(value_name = "BATCH")]
    batch: String,
}

pub(super) fn run(cx: &mut Context, command: &BatchesCommand) -> Result<Exits, CliError> {
    match command {
        BatchesCommand::List(args) => list(cx, args),
        BatchesCommand::Show(args) => show(cx, args),
    }
}

fn list(cx: &mut Context, args: &ListArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let after = args.page.after.as_deref().map(BatchId::new);
    let mut found = store.batches_list(after.as_ref(), args.page.rows())?;
    let next = args.page.cut(&mut found, |line| line.batch.id.to_string());
    let ids: Vec<BatchId> = found.iter().map(|line| line.batch.id.clone()).collect();
    let mut totals = store.batches_totals(&ids)?;
    let found: Vec<(BatchLine, Totals)> = found
        .into_iter()
        .map(|line| {
            let totals = totals.remove(&line.batch.id).unwrap_or_default();
            (line, totals)
        })
        .collect();
    let views = found
        .iter()
        .map(|(line, totals)| BatchProgressView::new(view(line, currency), totals))
        .collect();
    Answer::new("batches", views)
        .with(PageMembers {
            next: next.as_deref(),
        })
        .print(cx.format, &cx.ui, |ui, _| {
            let columns = [
                table::left("Batch"),
                table::left("Loaded").sacrificed(1),
                table::left("By").shrinks_to(8).sacrificed(2),
                table::left("Source").shrinks_to(10),
                table::right("Payouts"),
                table::right("Total"),
                table::left("Progress").shrinks_to(12),
                table::left("State"),
            ];
            let cells = |(line, totals): &(BatchLine, Totals)| {
                let batch = &line.batch;
                let (state, tone) = match line.hold {
                    Some(_) => ("held", table::Tone::Doubt),
                    None => ("released", table::Tone::Plain),
                };
                vec![
                    batch.id.as_str().into(),
                    text::minute(batch.created_at).into(),
                    text::brief(&batch.actor, 30).into(),
                    text::brief(&batch.source, 40).into(),
                    text::grouped(u64::try_from(batch.payout_count).unwrap_or(0)).into(),
                    with_currency(batch.total_cents, currency).into(),
                    batches::briefly(totals).into(),
                    table::Value::toned(state, tone),
                ]
            };
            if found.is_empty() {
                return "no batches".to_owned();
            }
            table::render(ui, &columns, found.iter().map(cells).collect())
        })?;
    PageArgs::tell_next(cx, "payouts batches list", next.as_ref());
    Ok(Exit::Done.into())
}

fn show(cx: &mut Context, args: &ShowArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let id = BatchId::new(args.batch.trim());
    let Some(line) = store.batch(&id)? else {
        return Err(no_such_batch(&id));
    };
    let totals = store.batch_totals(&id)?;
    let batch = &line.batch;
    let release = store.hold_last_release(&HoldTarget {
        kind: HoldKind::Batch,
        id: id.to_string(),
    })?;
    // One that was never held was let go by whoever loaded it.
    let released = match (&line.hold, &release) {
        (Some(_), _) => None,
        (None, Some(release)) => Some((release.released_by.clone(), release.released_at)),
        (None, None) => Some((batch.actor.clone(), batch.created_at)),
    };
    let shown = BatchShowView::new(
        view(&line, currency),
        line.hold.as_ref(),
        released.as_ref(),
        &totals,
        currency,
    );
    record::print(
        cx.format,
        &cx.ui,
        &shown,
        &[BatchProgressView::new(view(&line, currency), &totals)],
        || {
            let state = match (&line.hold, &release) {
                (Some(hold), _) => format!("held {}", text::held(hold)),
                (None, Some(release)) => format!("released {}", text::released(release)),
                (None, None) => format!(
                    "released by {} on {} UTC",
                    batch.actor,
                    text::minute(batch.created_at)
                ),
            };
            let payouts = text::count(u64::try_from(batch.payout_count).unwrap_or(0), "payout");
            let mut lines = vec![
                ("Batch", batch.id.to_string()),
                ("Source", batch.source.clone()),
                ("SHA-256", batch.sha256.clone()),
                (
                    "Loaded",
                    format!(
                        "by {} on {} UTC",
                        batch.actor,
                        text::minute(batch.created_at)
                    ),
                ),
                (
                    "Payouts",
                    format!("{payouts}, {}", with_currency(batch.total_cents, currency)),
                ),
                ("Progress", batches::at_length(&totals, currency)),
                ("State", state),
            ];
            lines.extend(total_lines(&totals, currency));
            record::render(&lines)
        },
    )?;
    Ok(Exit::Done.into())
}

fn view(line: &BatchLine, currency: Currency) -> BatchView {
    BatchView::new(&line.batch, currency, line.hold.is_some())
}

/// The error of a batch that does not exist.
pub(super) fn no_such_batch(id: &BatchId) -> CliError {
    CliError::new(Exit::Attention, format!("no batch has this id: {id}"))
        .hint("`payouts batches list` shows all of them")
}
