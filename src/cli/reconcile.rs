//! `payouts reconcile`.

use std::collections::HashMap;
use std::sync::Arc;

use clap::Args;
use jiff::tz::TimeZone;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::interrupt::{GivesUp, interruptible, signals};
use crate::cli::recorded::recorded;
use crate::cli::selection;
use crate::model::ids::RunId;
use crate::model::money::Currency;
use crate::model::reconciliation::{Finding, FindingKind, FindingState};
use crate::model::time::Span;
use crate::ops::period;
use crate::ops::process::ProcessError;
use crate::ops::reconcile::{Compared, Request, default_period, reconcile, references_forgotten};
use crate::output::progress::Progress;
use crate::output::reconcile::{
    FindingView, ReconcileMembers, SHOWN, fixed_group, open_group, summary,
};
use crate::output::rows::{CsvRows, JsonRows, Lines, Row, RowStream};
use crate::output::text::{count, held_by};
use crate::output::{Answer, Format};
use crate::store::thread::StoreThread;
use crate::store::{RunStamp, Store, StoreError};
use crate::stripe::Stripe;

/// Compare the table with Stripe, transfer by transfer, both ways
///
/// Every transfer of the period against every payout and attempt: matched by
/// transfer id, group and metadata, never by amount. Payouts in doubt come
/// first, whenever they were created. Without a period: the last 35 days, and
/// further back if `process` has not looked at older transfers yet. Asks Stripe
/// only to read. What is found is kept, and repaired only with --fix: transfers
/// that prove a payout paid are recorded, rows that a restored backup lost are
/// made again, amounts taken back are kept, covered statements are marked PAID.
/// Ends with 0 when nothing is open, with 1 when something is, with 5 when a
/// payout has two transfers, one that does not fit, or an unknown outcome, also
/// while another run is at work on it.
#[derive(Debug, Args)]
pub(super) struct ReconcileArgs {
    /// The transfers made in this time: 2026, 2026-10, 2026-10-05,
    /// 2026-10-01..2026-10-31 (both days included), 7d or 12h (back from now),
    /// or two RFC 3339 times as A..B
    #[arg(long, value_name = "TIME", conflicts_with_all = ["from", "to"], help_heading = "Selection")]
    period: Option<String>,

    /// From this day, month or RFC 3339 time on
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    from: Option<String>,

    /// Up to this day or month, included, or this RFC 3339 time
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    to: Option<String>,

    /// Whose days and months are meant, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = period::zone, help_heading = "Selection")]
    tz: TimeZone,

    /// Apply the repairs that are provably safe
    #[arg(long, help_heading = "Repair")]
    fix: bool,

    /// Accept this finding as it is, instead of comparing; may be repeated
    #[arg(long, value_name = "FINDING", requires = "reason", value_delimiter = ',',
          conflicts_with_all = ["fix", "period", "from", "to"], help_heading = "Repair")]
    accept: Vec<String>,

    /// Why it is accepted
    #[arg(
        long,
        value_name = "TEXT",
        value_parser = selection::reason,
        requires = "accept",
        help_heading = "Repair"
    )]
    reason: Option<String>,
}

/// It writes as it goes, and every write stands alone.
const AT_ONCE: GivesUp = GivesUp {
    at: 1,
    message: "interrupted",
    hint: "what was found and repaired until then is kept; run it again",
};

pub(super) fn run(cx: &mut Context, args: &ReconcileArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    if !args.accept.is_empty() {
        let references = references_forgotten_of(cx, &mut store, &args.accept)?;
        return accept(cx, &mut store, args, &references);
    }
    let stripe = cx.stripe()?;
    let currency = cx.currency(&mut store)?;
    let request = Request {
        period: period_of(cx, &mut store, args)?,
        fix: args.fix,
        currency,
        lease: cx.config.lease,
        rate: cx.rate(&stripe),
    };
    let run = cx.run_description(&mut store, "reconcile")?;
    let stamp = store.run_begin(run)?;
    let (db, thread) = StoreThread::start(store)?;
    let mut progress = Progress::new(&cx.ui, currency);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(compare(cx, db, stripe, request, &stamp, &mut progress));
    progress.end();
    drop(runtime);
    let mut store = thread.join().map_err(|_| StoreError::Stopped)?;
    let exits = match &ended {
        Ok(compared) => exits_of(compared),
        Err(error) => error.exit.into(),
    };
    let told = match &ended {
        Ok(compared) => format!(
            "{} open, {} repaired",
            count(
                u64::try_from(compared.reconciliation.open_count).unwrap_or(0),
                "finding"
            ),
            compared.reconciliation.fixed_count
        ),
        Err(error) => error.message().to_owned(),
    };
    let code = exits.strongest().code();
    let recorded = store.run_end(&stamp.run_id, i32::from(code), &told);
    let compared = ended?;
    recorded?;
    print(cx, &mut store, &compared, currency, code)?;
    Ok(exits)
}

async fn compare(
    cx: &Context,
    db: StoreThread,
    stripe: Stripe,
    request: Request,
    stamp: &RunStamp,
    progress: &mut Progress,
) -> Result<Compared, CliError> {
    let comparing = async {
        let mut show = |event| progress.show(event);
        reconcile(db, Arc::new(stripe), &cx.clock, request, stamp, &mut show)
            .await
            .map_err(not_compared)
    };
    interruptible(signals()?, AT_ONCE, comparing).await
}

fn not_compared(error: ProcessError) -> CliError {
    match error {
        ProcessError::Stripe { .. } => {
            CliError::caused(Exit::CouldNotRun, "failed to compare with Stripe", &error)
                .hint("check STRIPE_SECRET_KEY, its permissions, and the network; nothing was sent")
        }
        other => CliError::from(other),
    }
}

fn period_of(cx: &Context, store: &mut Store, args: &ReconcileArgs) -> Result<Span, CliError> {
    let now = cx.clock.now();
    let (flag, text) = match (&args.period, &args.from, &args.to) {
        (None, None, None) => return Ok(default_period(store, now)?),
        (Some(period), ..) => ("--period", period.clone()),
        (None, from, to) => {
            let side = |text: &Option<String>| text.clone().unwrap_or_default();
            ("--from and --to", format!("{}..{}", side(from), side(to)))
        }
    };
    period::span(&text, &args.tz, now)
        .map_err(|error| CliError::new(Exit::Usage, format!("{flag}: {error}")))
}

/// Every code that applies to what was found.
fn exits_of(compared: &Compared) -> Exits {
    let mut exits = Exits::default();
    for kind in compared.open_kinds() {
        exits.add(if kind.is_alarm() {
            Exit::Unresolved
        } else {
            Exit::Attention
        });
    }
    if !compared.holders.is_empty() {
        exits.add(Exit::Unresolved);
    }
    exits
}

fn print(
    cx: &Context,
    store: &mut Store,
    compared: &Compared,
    currency: Currency,
    code: u8,
) -> Result<(), CliError> {
    let of = &compared.reconciliation;
    let now = cx.clock.now();
    for holder in &compared.holders {
        cx.ui.line(&held_by(holder, now));
    }
    let mut out = cx.ui.out();
    let mut stream = match cx.format {
        Format::Table => return print_table(cx, store, compared, currency),
        Format::Json => RowStream::Json(JsonRows::begin(&mut out, "findings")?),
        Format::Ndjson => RowStream::Ndjson(Lines::new(&mut out)),
        Format::Csv => RowStream::Csv(CsvRows::headed(&mut out, FindingView::FIELDS)?),
    };
    each_finding(store, &of.run_id, |finding| {
        Ok(stream.write(&FindingView::from(finding))?)
    })?;
    Ok(stream.finish(&ReconcileMembers::of(
        of,
        compared.from_before,
        &compared.holders,
        currency,
        code,
    ))?)
}

fn print_table(
    cx: &Context,
    store: &mut Store,
    compared: &Compared,
    currency: Currency,
) -> Result<(), CliError> {
    let of = &compared.reconciliation;
    let mut text = String::new();
    for (kind, state, all) in &compared.counted {
        let rows = i64::try_from(SHOWN).unwrap_or(i64::MAX);
        let shown = store.findings_of_run(&of.run_id, *kind, Some(*state), None, rows)?;
        let all = u64::try_from(*all).unwrap_or(0);
        match state {
            FindingState::Open => text.push_str(&open_group(&cx.ui, *kind, &shown, all)),
            FindingState::Fixed => text.push_str(&fixed_group(&cx.ui, *kind, &shown, all)),
            FindingState::Accepted => {}
        }
    }
    text.push_str(&summary(of, compared.from_before, currency));
    Ok(cx.ui.answer(&text)?)
}

/// Every finding that a run saw, gravest kinds first, a page at a time.
fn each_finding(
    store: &mut Store,
    run: &RunId,
    mut each: impl FnMut(&Finding) -> Result<(), CliError>,
) -> Result<(), CliError> {
    const PAGE: i64 = 1000;
    for kind in FindingKind::ALL {
        let mut after: Option<String> = None;
        loop {
            let page = store.findings_of_run(run, *kind, None, after.as_deref(), PAGE)?;
            for finding in &page {
                each(finding)?;
            }
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
        }
    }
    Ok(())
}

/// What the transfers of forgotten payouts say they were loaded under. Stripe is
/// asked only where one of them is to be accepted.
fn references_forgotten_of(
    cx: &mut Context,
    store: &mut Store,
    ids: &[String],
) -> Result<HashMap<String, String>, CliError> {
    let findings = store.findings_with(ids)?;
    let forgotten = |finding: &Finding| finding.kind == FindingKind::ForgottenPayout;
    if !findings.iter().any(forgotten) {
        return Ok(HashMap::new());
    }
    let (stripe, stamp) = (cx.stripe()?, store.stamp()?);
    let rate = cx.rate(&stripe);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let asking = async {
            references_forgotten(Arc::new(stripe), &cx.clock, rate, stamp, &findings)
                .await
                .map_err(not_compared)
        };
        interruptible(signals()?, AT_ONCE, asking).await
    })
}

fn accept(
    cx: &Context,
    store: &mut Store,
    args: &ReconcileArgs,
    references: &HashMap<String, String>,
) -> Result<Exits, CliError> {
    let reason = args.reason.as_deref().unwrap_or_default();
    let accepted = recorded(cx, store, "reconcile", |store, stamp| {
        let accepted = store
            .findings_accept(stamp, &args.accept, reason, references)
            .map_err(|(id, error)| not_accepted(&id, error))?;
        let told = count(accepted.len() as u64, "finding") + " accepted";
        Ok((accepted, told))
    })?;
    let views = accepted.iter().map(FindingView::from).collect();
    Answer::new("findings", views).print(cx.format, &cx.ui, |ui, _| {
        crate::output::reconcile::accepted(ui, &accepted)
    })?;
    Ok(Exit::Done.into())
}

fn not_accepted(id: &str, error: StoreError) -> CliError {
    match error {
        StoreError::NotFound => {
            CliError::new(Exit::Attention, format!("no finding has this id: {id}"))
                .hint("`payouts reconcile` lists them; nothing was accepted")
        }
        other => CliError::from(other).doing(format!(
            "failed to accept finding {id}; nothing was accepted"
        )),
    }
}
