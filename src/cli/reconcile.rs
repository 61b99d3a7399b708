//! `payouts reconcile`.

use std::collections::HashMap;
use std::sync::Arc;

use clap::Args;
use jiff::tz::TimeZone;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::interrupt::{GivesUp, interruptible, signals};
use crate::cli::reconcile_file::{
    ReportArgs, period_of_report, report_at, without_key_nothing_is_repaired,
};
use crate::cli::reconcile_print::print;
use crate::cli::recorded::recorded;
use crate::cli::selection;
use crate::model::ids::RunId;
use crate::model::reconciliation::{Finding, FindingKind, Reconciliation, ReconciliationProgress};
use crate::model::time::Span;
use crate::ops::period;
use crate::ops::reconcile::report::{Report, reconcile_report};
use crate::ops::reconcile::{Compared, Request, default_period, reconcile, references_forgotten};
use crate::ops::run_error::RunError;
use crate::output::Answer;
use crate::output::progress::Progress;
use crate::output::reconcile::FindingView;
use crate::output::text::count;
use crate::store::reconciliations::CutOff;
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
///
/// With --file, a report that finance downloaded takes the place of Stripe's lists,
/// over the time of its rows. Stripe is asked by id for what does not plainly agree
/// with it. Without a key the file is all there is: what it does not show is told, and
/// nothing is repaired.
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

    /// Whose days and months are meant, such as Europe/Berlin; also the zone of a
    /// report that was asked for in another than UTC
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = period::zone, help_heading = "Selection")]
    pub(super) tz: TimeZone,

    /// Go on from where the last comparison was cut off, over the same time
    #[arg(long, conflicts_with_all = ["period", "from", "to", "accept", "file"], help_heading = "Selection")]
    resume: bool,

    /// Leave out the lines of Stripe's balance: half the pages to read
    #[arg(long, conflicts_with_all = ["accept", "file"], help_heading = "Selection")]
    no_balance: bool,

    /// Print what the comparison of this run found, as it stood then, instead of
    /// comparing; `last` is the last one
    #[arg(long, value_name = "RUN", conflicts_with_all = ["fix", "resume", "no_balance", "period", "from", "to", "accept", "file"], help_heading = "Selection")]
    show: Option<String>,

    /// Print only what is open and was not in the comparison of this run, and what
    /// is gone since; `last` is the last one
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with = "accept",
        help_heading = "Selection"
    )]
    diff: Option<String>,

    #[command(flatten)]
    pub(super) report: ReportArgs,

    /// Apply the repairs that are provably safe
    #[arg(long, help_heading = "Repair")]
    fix: bool,

    /// Accept this finding as it is, instead of comparing; may be repeated
    #[arg(long, value_name = "FINDING", requires = "reason", value_delimiter = ',',
          conflicts_with_all = ["fix", "period", "from", "to", "file"], help_heading = "Repair")]
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

/// The last comparison that ended, in place of a run's id.
const LAST: &str = "last";

/// It writes as it goes, and every write stands alone.
const AT_ONCE: GivesUp = GivesUp {
    at: 1,
    message: "interrupted",
    hint: "what was found and repaired until then is kept; `payouts reconcile --resume` goes on from there",
};

/// The same of a comparison that cannot be gone on with.
const AT_ONCE_WITH_A_REPORT: GivesUp = GivesUp {
    at: 1,
    message: "interrupted",
    hint: "what was found and repaired until then is kept; the same command compares all of the file again",
};

pub(super) fn run(cx: &mut Context, args: &ReconcileArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    if !args.accept.is_empty() {
        let references = references_forgotten_of(cx, &mut store, &args.accept)?;
        return accept(cx, &mut store, args, &references);
    }
    let before = args
        .diff
        .as_deref()
        .map(|run| Ok::<_, CliError>(kept(&mut store, run)?.run_id))
        .transpose()?;
    if let Some(run) = &args.show {
        let shown = kept(&mut store, run)?;
        let code = Exit::Done.code();
        print(cx, &mut store, &shown, &[], before.as_ref(), code)?;
        return Ok(Exit::Done.into());
    }
    let (report, stripe) = match &args.report.file {
        None => (None, Some(cx.stripe()?)),
        Some(path) => {
            // A key that is wrong is not taken for none.
            let has_key = cx.config.stripe_key.is_some();
            if args.fix && !has_key {
                return Err(without_key_nothing_is_repaired());
            }
            let stripe = has_key.then(|| cx.stripe()).transpose()?;
            (Some(report_at(cx, path, args)?), stripe)
        }
    };
    let currency = cx.currency(&mut store)?;
    let resumed = args.resume.then(|| cut_off(cx, &mut store)).transpose()?;
    let period = match &resumed {
        Some(kept) => Span {
            from: kept.period_from,
            until: kept.period_until,
        },
        None => match &report {
            None => period_of(cx, &mut store, args)?,
            Some(report) => period_of_report(cx, report, args)?,
        },
    };
    let request = Request {
        period,
        fix: args.fix,
        currency,
        lease: cx.config.lease,
        rate: stripe.as_ref().and_then(|stripe| cx.rate(stripe)),
        balance: !args.no_balance,
        resumed,
    };
    let run = cx.run_description(&mut store, "reconcile")?;
    let stamp = store.run_begin(run)?;
    let (db, thread) = StoreThread::start(store)?;
    let mut progress = Progress::new(&cx.ui, currency);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let with = (stripe, report.as_ref());
    let ended = runtime.block_on(compare(cx, db, with, request, &stamp, &mut progress));
    progress.end();
    drop(runtime);
    let mut store = thread.join().map_err(|_| StoreError::Stopped)?;
    let exits = match &ended {
        Ok(compared) => exits_of(compared),
        Err(error) => error.exit.into(),
    };
    let told = match &ended {
        Ok(compared) => format!(
            "{} open, {} repaired{}",
            count(
                u64::try_from(compared.reconciliation.open_count).unwrap_or(0),
                "finding"
            ),
            compared.reconciliation.fixed_count,
            match compared.unchecked {
                0 => String::new(),
                unchecked => format!(", {unchecked} not checked"),
            }
        ),
        Err(error) => error.message().to_owned(),
    };
    let code = exits.strongest().code();
    let recorded = store.run_end(&stamp.run_id, i32::from(code), &told);
    let compared = ended?;
    recorded?;
    let (of, holders) = (&compared.reconciliation, &compared.holders);
    print(cx, &mut store, of, holders, before.as_ref(), code)?;
    Ok(exits)
}

async fn compare(
    cx: &Context,
    db: StoreThread,
    (stripe, report): (Option<Stripe>, Option<&Report>),
    request: Request,
    stamp: &RunStamp,
    progress: &mut Progress,
) -> Result<Compared, CliError> {
    let gives_up = match report {
        None => AT_ONCE,
        Some(_) => AT_ONCE_WITH_A_REPORT,
    };
    let comparing = async {
        let mut show = |event| progress.show(event);
        let (show, stripe) = (&mut show, stripe.map(Arc::new));
        let compared = match (report, stripe) {
            (Some(report), stripe) => {
                reconcile_report(db, stripe, &cx.clock, report, request, stamp, show).await
            }
            (None, Some(stripe)) => reconcile(db, stripe, &cx.clock, request, stamp, show).await,
            (None, None) => Err(RunError::NoKey),
        };
        compared.map_err(not_compared)
    };
    // Large, and there is one of it.
    interruptible(signals()?, gives_up, Box::pin(comparing)).await
}

fn not_compared(error: RunError) -> CliError {
    match error {
        RunError::Stripe { .. } => {
            CliError::caused(Exit::CouldNotRun, "failed to compare with Stripe", &error)
                .hint("check STRIPE_SECRET_KEY, its permissions, and the network; nothing was sent")
        }
        other => CliError::from(other),
    }
}

fn period_of(cx: &Context, store: &mut Store, args: &ReconcileArgs) -> Result<Span, CliError> {
    match period_asked(cx, args)? {
        Some(period) => Ok(period),
        None => Ok(default_period(store, cx.clock.now())?),
    }
}

/// The time that was named.
pub(super) fn period_asked(cx: &Context, args: &ReconcileArgs) -> Result<Option<Span>, CliError> {
    let (flag, text) = match (&args.period, &args.from, &args.to) {
        (None, None, None) => return Ok(None),
        (Some(period), ..) => ("--period", period.clone()),
        (None, from, to) => {
            let side = |text: &Option<String>| text.clone().unwrap_or_default();
            ("--from and --to", format!("{}..{}", side(from), side(to)))
        }
    };
    period::span(&text, &args.tz, cx.clock.now())
        .map(Some)
        .map_err(|error| CliError::new(Exit::Usage, format!("{flag}: {error}")))
}

/// What the comparison of this run came to; `last` is the last one that ended.
fn kept(store: &mut Store, run: &str) -> Result<Reconciliation, CliError> {
    let found = match run {
        LAST => store.reconciliation_last()?,
        id => match store.reconciliation(&RunId::new(id)) {
            Err(StoreError::NotFound) => None,
            found => Some(found?),
        },
    };
    found.ok_or_else(|| {
        let which = if run == LAST {
            "no comparison has ended yet".to_owned()
        } else {
            format!("no comparison that ended has this run: {run}")
        };
        CliError::new(Exit::Attention, which)
            .hint("`payouts reconcile` compares, and says its run's id in --output json")
    })
}

/// Where the last comparison was cut off.
fn cut_off(cx: &Context, store: &mut Store) -> Result<ReconciliationProgress, CliError> {
    match store.reconciliation_cut_off(cx.config.lease)? {
        CutOff::At(kept) => Ok(*kept),
        CutOff::MayBeAtWork(run) => Err(CliError::new(
            Exit::CouldNotRun,
            format!("the comparison of run {run} has not ended, and may still be at work"),
        )
        .hint("if it is dead, this goes on from there as soon as PAYOUTS_LEASE is over")),
        CutOff::Nowhere => Err(CliError::new(
            Exit::CouldNotRun,
            "no comparison was cut off: there is nothing to go on from",
        )
        .hint("`payouts reconcile` without --resume compares anew")),
    }
}

/// Every code that applies to what was found.
fn exits_of(compared: &Compared) -> Exits {
    let mut exits = Exits::default();
    for kind in compared.open_kinds() {
        exits.add_finding(kind);
    }
    if !compared.holders.is_empty() {
        exits.add(Exit::Unresolved);
    }
    if compared.unchecked > 0 {
        exits.add(Exit::Attention);
    }
    exits
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
    let currency = cx.currency(store)?;
    let view = |finding| FindingView::of(finding, currency, None);
    let views = accepted.iter().map(view).collect();
    Answer::new("findings", views).print(cx.format, &cx.ui, |ui, _| {
        crate::output::reconcile::accepted(ui, &accepted, currency)
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
