//! `payouts hold`, and what it shares with `release`.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::recorded::recorded;
use crate::cli::selection;
use crate::model::hold::{Hold, HoldKind, HoldTarget};
use crate::model::ids::{BatchId, PayoutId};
use crate::model::money::{Currency, with_currency};
use crate::model::payout::PayoutStatus;
use crate::model::time::Time;
use crate::ops::hold::{self, HoldLine};
use crate::ops::period::{self, PeriodError};
use crate::output::json_control::HoldLineView;
use crate::output::text::{count, held};
use crate::output::{Answer, table};
use crate::store::Store;

/// Keep payouts from being sent
///
/// A payout, a batch, all of a creator's, or everything: the switch. A hold is
/// looked at before every transfer, so it also stops a run that is under way;
/// what is on its way to Stripe already it does not call back. Lifted with
/// `release`. Holding twice changes nothing.
#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    #[command(flatten)]
    held: HeldArgs,

    /// Why, for whoever meets the hold
    #[arg(long, value_name = "TEXT", value_parser = selection::reason)]
    reason: String,

    /// When it ends by itself: a day, whose beginning is meant, an RFC 3339 time, or
    /// 7d or 12h from now; without it, when it is released
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// Whose day is meant, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", requires = "until")]
    tz: String,
}

/// What is held or let go.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct HeldArgs {
    /// Payouts, or batches
    #[arg(value_name = "ID", help_heading = "Selection")]
    ids: Vec<String>,

    /// A batch
    #[arg(long, value_name = "ID", help_heading = "Selection")]
    batch: Option<String>,

    /// A creator: id, e-mail or Stripe account
    #[arg(long, value_name = "WHO", help_heading = "Selection")]
    creator: Option<String>,

    /// Everything: the switch
    #[arg(long, help_heading = "Selection", conflicts_with_all = ["ids", "batch", "creator"])]
    all: bool,
}

impl HeldArgs {
    /// What was named, each once; all of it exists.
    pub(super) fn targets(&self, store: &mut Store) -> Result<Vec<HoldTarget>, CliError> {
        if self.all {
            return Ok(vec![HoldTarget::all()]);
        }
        let mut targets: Vec<HoldTarget> = Vec::new();
        let mut add = |kind, id: String| {
            let target = HoldTarget { kind, id };
            if !targets.contains(&target) {
                targets.push(target);
            }
        };
        for id in &self.ids {
            add(kind_of(store, id.trim())?, id.trim().to_owned());
        }
        if let Some(batch) = selection::batch(store, self.batch.as_deref())? {
            add(HoldKind::Batch, batch.to_string());
        }
        if let Some(creator) = selection::creator(store, self.creator.as_deref())? {
            add(HoldKind::Creator, creator.to_string());
        }
        Ok(targets)
    }
}

/// What an id is the id of.
pub(super) fn kind_of(store: &mut Store, id: &str) -> Result<HoldKind, CliError> {
    if store.payouts_missing(&[PayoutId::new(id)])?.is_empty() {
        return Ok(HoldKind::Payout);
    }
    if store.batch_exists(&BatchId::new(id))? {
        return Ok(HoldKind::Batch);
    }
    Err(
        CliError::new(Exit::Attention, format!("there is no payout or batch {id}"))
            .hint("find it with `payouts list` or `payouts batches list`"),
    )
}

pub(super) fn run(cx: &mut Context, args: &HoldArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let targets = args.held.targets(&mut store)?;
    let ends_at = end(args, cx.clock.now())?;
    refuse_paid(&mut store, &targets)?;
    if ends_at.is_some() {
        refuse_new_batches(&mut store, &targets)?;
    }
    let looked = hold::look(&mut store, &targets)?;
    // A batch may be held only for being new, which is not what is asked for.
    // One that stands may end too early.
    let stands = |line: &HoldLine| {
        let ends = line.hold.as_ref().and_then(|hold| hold.ends_at);
        line.held && line.target.kind != HoldKind::Batch && ends.is_none()
    };
    let lines = if looked.iter().all(stands) {
        looked
    } else {
        recorded(cx, &mut store, "hold", |store, run| {
            let lines = hold::set(store, run, &targets, &args.reason, ends_at)?;
            let summary = format!("held {}: {}", names(&lines), args.reason);
            Ok((lines, summary))
        })?
    };
    answer(cx, &lines, currency)?;
    Ok(Exit::Done.into())
}

/// When the hold ends, if it does by itself.
fn end(args: &HoldArgs, now: Time) -> Result<Option<Time>, CliError> {
    let Some(text) = args.until.as_deref() else {
        return Ok(None);
    };
    let usage = |error: PeriodError| CliError::new(Exit::Usage, format!("--until {text}: {error}"));
    let zone = period::zone(&args.tz).map_err(usage)?;
    let end = period::ahead(text.trim(), &zone, now).map_err(usage)?;
    if end <= now {
        return Err(CliError::new(
            Exit::Usage,
            format!("--until {text}: {end} is not ahead; a hold that has ended holds nothing"),
        ));
    }
    Ok(Some(end))
}

/// A new batch is held until somebody has looked at it: no clock lets go of it.
fn refuse_new_batches(store: &mut Store, targets: &[HoldTarget]) -> Result<(), CliError> {
    for target in targets.iter().filter(|t| t.kind == HoldKind::Batch) {
        let Some(line) = store.batch(&BatchId::new(target.id.as_str()))? else {
            continue;
        };
        let is_new = |hold: &Hold| hold.created_at == line.batch.created_at;
        if line.hold.as_ref().is_some_and(is_new) {
            return Err(CliError::new(
                Exit::Refused,
                format!(
                    "batch {} is held because nobody has released it yet; a hold with an end would release it then",
                    target.id
                ),
            )
            .hint("leave out --until, or release it first"));
        }
    }
    Ok(())
}

/// What is paid cannot be held.
fn refuse_paid(store: &mut Store, targets: &[HoldTarget]) -> Result<(), CliError> {
    for target in targets.iter().filter(|t| t.kind == HoldKind::Payout) {
        let payout = store.payout_get(&PayoutId::new(target.id.as_str()))?;
        if payout.status == PayoutStatus::Completed {
            return Err(CliError::new(
                Exit::Attention,
                format!(
                    "payout {} is paid, so that there is nothing to hold",
                    target.id
                ),
            )
            .hint("what is paid can only be reversed, in Stripe's dashboard"));
        }
    }
    Ok(())
}

/// Names that a run's summary lists.
const NAMES_MAX: usize = 5;

/// What a run changed, in a few words.
pub(super) fn names(lines: &[HoldLine]) -> String {
    let changed: Vec<String> = lines
        .iter()
        .filter(|line| line.changed)
        .map(|line| line.target.to_string())
        .collect();
    let more = match changed.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named: Vec<String> = changed.into_iter().take(NAMES_MAX).collect();
    format!("{}{more}", named.join(", "))
}

/// What of a target's payouts is due.
pub(super) fn due(line: &HoldLine, currency: Currency) -> String {
    let payouts = count(u64::try_from(line.due.count).unwrap_or(0), "payout");
    format!(
        "{payouts}, {}",
        with_currency(line.due.amount_cents, currency)
    )
}

/// Writes what stands on each target now.
pub(super) fn answer(cx: &Context, lines: &[HoldLine], currency: Currency) -> Result<(), CliError> {
    answer_with(cx, lines, currency, |ui| {
        let columns = [
            table::left("What"),
            table::left("State"),
            table::right("Pending"),
            table::left("Held").shrinks_to(20),
        ];
        let cells = |line: &HoldLine| {
            let (state, tone) = match (line.held, line.changed) {
                (true, true) => ("held", table::Tone::Doubt),
                (true, false) => ("was held before", table::Tone::Doubt),
                (false, true) => ("released", table::Tone::Plain),
                (false, false) => ("was not held", table::Tone::Plain),
            };
            vec![
                line.target.to_string().into(),
                table::Value::toned(state, tone),
                due(line, currency).into(),
                line.hold.as_ref().map(held).unwrap_or_default().into(),
            ]
        };
        table::render(ui, &columns, lines.iter().map(cells).collect())
    })
}

/// The same with a table of the caller's own.
pub(super) fn answer_with(
    cx: &Context,
    lines: &[HoldLine],
    currency: Currency,
    table: impl FnOnce(&crate::output::ui::Ui) -> String,
) -> Result<(), CliError> {
    let views = lines.iter().map(|line| HoldLineView::new(line, currency));
    Answer::new("holds", views.collect()).print(cx.format, &cx.ui, |ui, _| table(ui))?;
    Ok(())
}
