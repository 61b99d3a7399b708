//! `payouts process`.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::cli::consent::{self, Said};
use crate::cli::context::Context;
use crate::cli::error::{CliError, FULL_HINT};
use crate::cli::exit::{Exit, Exits};
use crate::cli::interrupt::{GivesUp, interruptible, signals};
use crate::cli::selection;
use crate::model::hold::{HoldTarget, NamedBatch};
use crate::model::ids::PayoutId;
use crate::model::money::{self, Currency};
use crate::model::payout::PayoutStatus;
use crate::ops::consent::Agreement;
use crate::ops::process::{LimitReached, Plan, Report, Session, Settings, Stop, Unresolved};
use crate::ops::run_error::RunError;
use crate::output::json_process::{
    HolderView, PlanMembers, PlanView, ResultView, RunMembers, TroubleView,
};
use crate::output::plan;
use crate::output::progress::Progress;
use crate::output::table::{self, left, right};
use crate::output::text::{brief, clean, count, grouped, held, held_by};
use crate::output::{Answer, Format};
use crate::store::queue::QueueFilter;
use crate::store::thread::StoreThread;
use crate::store::{RunStamp, Store, StoreError};
use crate::stripe::Stripe;

/// Pay what is due
///
/// First resolves what an earlier run left open: transfers that Stripe holds
/// are adopted, what it does not hold goes out again under its own key. Then
/// claims and sends what is pending, oldest first. On a terminal it shows the
/// plan and asks; without one it runs as it is. Held batches are skipped.
#[derive(Debug, Args)]
pub(super) struct ProcessArgs {
    /// Only these payouts
    #[arg(value_name = "ID", help_heading = "Selection")]
    ids: Vec<String>,

    /// Only this batch; naming it releases it for this run
    #[arg(long, value_name = "ID", help_heading = "Selection")]
    batch: Option<String>,

    /// Only this creator: id, e-mail or Stripe account
    #[arg(long, value_name = "WHO", help_heading = "Selection")]
    creator: Option<String>,

    /// At most this many payouts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Selection")]
    limit: Option<u64>,

    /// At most this much in all, in major units such as 1250.00
    #[arg(long, value_name = "AMOUNT", help_heading = "Selection")]
    max_total: Option<String>,

    /// Show the plan, and send nothing
    #[arg(long, help_heading = "Safety")]
    dry_run: bool,

    /// The plan's total, said beforehand: anything else refuses
    #[arg(
        long,
        value_name = "AMOUNT",
        conflicts_with = "dry_run",
        help_heading = "Safety"
    )]
    confirm_total: Option<String>,

    /// The hash that `--dry-run` showed: any other plan refuses
    #[arg(
        long,
        value_name = "HASH",
        conflicts_with = "dry_run",
        help_heading = "Safety"
    )]
    plan: Option<String>,

    /// What the plan warns of is meant
    #[arg(long, conflicts_with = "dry_run", help_heading = "Safety")]
    accept_warnings: bool,
}

pub(super) fn run(cx: &mut Context, args: &ProcessArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    cx.stripe_key()?;
    let currency = cx.currency(&mut store)?;
    let settings = settings(cx, args, &mut store, currency)?;
    let stripe = cx.stripe()?;
    let settings = Settings {
        rate: cx.rate(&stripe),
        ..settings
    };
    let said = Said {
        yes: cx.yes,
        total: parse_total("--confirm-total", args.confirm_total.as_deref(), currency)?,
        plan: args.plan.as_deref().map(|hash| hash.trim().to_owned()),
        warnings: args.accept_warnings,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let not_due = not_due(&mut store, &settings.filter.ids)?;
    if args.dry_run {
        let (db, _thread) = StoreThread::start(store)?;
        let (plan, report) = runtime.block_on(async {
            interruptible(
                signals()?,
                BEFORE_SENDING,
                dry_run(cx, db, stripe, settings),
            )
            .await
        })?;
        tell_open(cx, &report, currency);
        for named in &not_due {
            cx.ui.warn(named);
        }
        print_plan(cx, &plan)?;
        return Ok(exits_of(&report));
    }
    let run = cx.run_description(&mut store, "process")?;
    let stamp = store.run_begin(run)?;
    let (db, thread) = StoreThread::start(store)?;
    let mut progress = Progress::new(&cx.ui, currency);
    let ended = runtime.block_on(pay(cx, db, stripe, settings, &stamp, said, &mut progress));
    progress.end();
    let exits = match &ended {
        Ok(report) => exits_of(report),
        Err(error) => error.exit.into(),
    };
    let summary = match &ended {
        Ok(report) => summary(report, currency),
        Err(error) => error.message().to_owned(),
    };
    // Tasks that were given up hold on to the store's thread until the runtime is gone.
    drop(runtime);
    // Whatever happened, nothing of this run is at work any more: the next one
    // need not wait for the lease.
    let mut store = thread.join().map_err(|_| StoreError::Stopped)?;
    let code = exits.strongest().code();
    let recorded = store.run_end(&stamp.run_id, i32::from(code), &summary);
    let report = ended?;
    for named in &not_due {
        cx.ui.warn(named);
    }
    let mut exits = exits;
    if report.stop == Some(Stop::Switch)
        && let Ok(Some(hold)) = store.hold_on(&HoldTarget::all())
    {
        cx.ui.line(&format!("everything is held {}", held(&hold)));
    }
    // What the run did outweighs that its end could not be written or told.
    if let Err(error) = recorded {
        CliError::from(error)
            .doing("failed to record the end of the run")
            .print(&cx.ui);
        exits.add(Exit::CouldNotRun);
    }
    match print_report(cx, &report, currency, code) {
        Err(error) if !error.broken_pipe => {
            error.print(&cx.ui);
            exits.add(error.exit);
        }
        _ => {}
    }
    Ok(exits)
}

fn settings(
    cx: &Context,
    args: &ProcessArgs,
    store: &mut Store,
    currency: Currency,
) -> Result<Settings, CliError> {
    let total_max_cents =
        parse_total("--max-total", args.max_total.as_deref(), currency)?.unwrap_or(i64::MAX);
    let batch = selection::batch(store, args.batch.as_deref())?;
    let named_batch = match &batch {
        None => None,
        Some(id) => store.batch(id)?.map(|line| NamedBatch {
            id: id.clone(),
            loaded_at: line.batch.created_at,
        }),
    };
    let creator = selection::creator(store, args.creator.as_deref())?;
    Ok(Settings {
        filter: QueueFilter {
            ids: selection::payouts(store, &args.ids)?,
            batch: batch.clone(),
            creator,
        },
        rules: cx.send_rules(named_batch),
        payouts_max: args.limit.unwrap_or(u64::MAX),
        total_max_cents,
        run_max_cents: cx.config.run_total_max_cents,
        day_max_cents: cx.config.day_total_max_cents,
        concurrency: cx.config.concurrency,
        rate: None,
        lease: cx.config.lease,
        unusual_times: cx.config.thresholds.unusual_times,
        currency,
    })
}

/// What is to be said of payouts that were named and of which nothing is due.
fn not_due(store: &mut Store, named: &[PayoutId]) -> Result<Vec<String>, StoreError> {
    let mut told = Vec::new();
    for id in named {
        let status = store.payout_get(id)?.status;
        let why = match status {
            PayoutStatus::Pending | PayoutStatus::Processing => continue,
            PayoutStatus::Completed => "it is paid",
            PayoutStatus::Failed => "it failed; `payouts retry` puts back what may be sent again",
        };
        told.push(format!(
            "payout {}: nothing to send: {why}",
            clean(id.as_str())
        ));
    }
    Ok(told)
}

/// A total may be larger than one payout.
fn parse_total(
    flag: &str,
    text: Option<&str>,
    currency: Currency,
) -> Result<Option<i64>, CliError> {
    text.map(|text| {
        money::parse_total(text, currency)
            .map_err(|e| CliError::new(Exit::Usage, format!("{flag} {text}: {e}")))
    })
    .transpose()
}

/// Until the first send a single signal ends the run.
const BEFORE_SENDING: GivesUp = GivesUp {
    at: 1,
    message: "interrupted; nothing was sent",
    hint: "",
};

/// Then the first signal ends the run in good order, and only a second gives it up.
const WHILE_SENDING: GivesUp = GivesUp {
    at: 2,
    message: "interrupted twice; stopped at once",
    hint: "the next `payouts process` resolves what was in flight",
};

/// Longer than a signal takes to be counted.
const SIGNAL_ARRIVES: Duration = Duration::from_millis(50);

async fn dry_run(
    cx: &Context,
    db: StoreThread,
    stripe: Stripe,
    settings: Settings,
) -> Result<(Plan, Report), CliError> {
    let mut progress = Progress::new(&cx.ui, settings.currency);
    let mut show = |event| progress.show(event);
    let (stripe, clock) = (Arc::new(stripe), cx.clock.clone());
    let mut session = Session::open(db, stripe, clock, settings, &mut show).await?;
    session.resolve_earlier(None, &mut show).await?;
    let plan = session.plan(&mut show).await?;
    Ok((plan, session.report))
}

async fn pay(
    cx: &Context,
    db: StoreThread,
    stripe: Stripe,
    settings: Settings,
    stamp: &RunStamp,
    said: Said,
    progress: &mut Progress,
) -> Result<Report, CliError> {
    let signals = signals()?;
    let (payouts_max, total_max_cents) = (settings.payouts_max, settings.most_cents());
    let prepared = async {
        let stripe = Arc::new(stripe);
        let clock = cx.clock.clone();
        let mut session =
            Session::open(db, stripe, clock, settings, &mut |e| progress.show(e)).await?;
        session
            .resolve_earlier(Some(stamp), &mut |e| progress.show(e))
            .await?;
        let plan = if said.needs_a_plan(cx) {
            Some(session.plan(&mut |e| progress.show(e)).await?)
        } else {
            None
        };
        Ok((session, plan))
    };
    let (session, plan) = interruptible(signals.clone(), BEFORE_SENDING, prepared).await?;
    let mut skipped = Vec::new();
    let mut limit = None;
    let consent = match plan {
        Some(plan) => {
            tell_open(cx, &session.report, session.currency());
            cx.ui.line(&plan_text(cx, &plan));
            let consented = consent::for_plan(cx, &plan, &said);
            skipped = plan.skipped;
            limit = plan.limit;
            match consented {
                Ok(consent) => consent,
                Err(declined) => {
                    // A signal ends the prompt too; it arrives once the runtime gets its turn.
                    let signalled = interruptible(signals.clone(), BEFORE_SENDING, async {
                        tokio::time::sleep(SIGNAL_ARRIVES).await;
                        Err(declined)
                    });
                    return signalled.await;
                }
            }
        }
        None => consent::by_configuration(Agreement {
            until: None,
            rows: None,
            resends_max: usize::MAX,
            payouts_max,
            total_max_cents,
            account: session.account().to_owned(),
            livemode: session.livemode(),
        }),
    };
    let sent = async {
        Ok(session
            .execute(stamp, &consent, signals.clone(), &mut |e| progress.show(e))
            .await?)
    };
    let mut report = interruptible(signals.clone(), WHILE_SENDING, sent).await?;
    // The run went no further than the last payout of the plan, the plan to the end.
    report.limit = report.limit.or(limit);
    for group in skipped {
        let planned = (group.payouts, group.amount_cents);
        let entry = report.skipped.entry(group.reason).or_default();
        *entry = planned.max(*entry);
    }
    Ok(report)
}

/// The code that a run with this report ends with, for tests that run it without
/// the program around it.
#[cfg(feature = "testing")]
pub fn exit_code_of(report: &Report) -> u8 {
    exits_of(report).strongest().code()
}

/// Every code that applies to what a run did.
fn exits_of(report: &Report) -> Exits {
    let mut exits = Exits::default();
    if !report.unresolved.is_empty() || !report.alarms.is_empty() {
        exits.add(Exit::Unresolved);
    }
    match &report.stop {
        None => {}
        Some(Stop::Bug(_)) => exits.add(Exit::Bug),
        Some(Stop::Signal) => exits.add(Exit::Interrupted),
        Some(Stop::Switch) => exits.add(Exit::Refused),
        Some(Stop::Balance { .. }) => exits.add(Exit::BalanceShort),
        Some(
            Stop::Refused(_)
            | Stop::Unreachable(_)
            | Stop::Database(_)
            | Stop::Unwritable(_)
            | Stop::TooManyUnknown
            | Stop::LeaseLost,
        ) => exits.add(Exit::CouldNotRun),
    }
    let people = report.skipped.keys().any(|reason| reason.needs_a_person());
    let given_back = report.returned > 0 && report.stop.is_none();
    let noticed = !report.findings.is_empty() || report.foreign_processing > 0;
    if report.failed > 0 || people || given_back || noticed || report.limit.is_some() {
        exits.add(Exit::Attention);
    }
    exits
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Store(error) => error.into(),
            RunError::Stripe { doing, source } => Self::caused(
                Exit::CouldNotRun,
                format!("failed to {doing}; nothing was sent"),
                &source,
            )
            .hint(if source.is_key_refused() { KEY_HINT } else { NETWORK_HINT }),
            RunError::OtherAccount { .. } => Self::new(Exit::Refused, error.to_string())
                .hint("use the key of the account this database was stamped with"),
            RunError::NoKey => Self::new(Exit::CouldNotRun, error.to_string())
                .hint("set STRIPE_SECRET_KEY or STRIPE_SECRET_KEY_FILE"),
            RunError::OtherReport { .. } => Self::new(Exit::Refused, error.to_string())
                .hint("take the report of the account that this database pays from, in the mode of the key; nothing was compared"),
            RunError::File(error) => crate::cli::input::failed(&error),
            RunError::Forgotten { .. } => Self::new(Exit::Refused, error.to_string()).hint(
                "this database was restored or copied from an older state, or a transfer was made by hand, or by other \
                 software that names our payouts; sending now could pay again. Use the newest database; if this is \
                 the newest, `payouts reconcile --fix` records what is provably ours and says what to do about the rest",
            ),
            RunError::TooManyTransfers { .. } => Self::new(Exit::Refused, error.to_string())
                .hint("`payouts reconcile --fix` compares all of them, however many; then run this again"),
            RunError::Skew { .. } => Self::new(Exit::CouldNotRun, error.to_string())
                .hint("set this machine's clock; keys and their age are counted by it"),
        }
    }
}

const KEY_HINT: &str = "check STRIPE_SECRET_KEY and what the key is allowed to do: read the account and the \
                        balance; list, read and create transfers";
const NETWORK_HINT: &str =
    "check the network, and STRIPE_API_BASE if it is set; the next run goes on";

/// What a person can do about a run that stopped.
fn stop_hint(stop: &Stop) -> Option<&'static str> {
    match stop {
        Stop::Balance { .. } => {
            Some("top up the platform's balance; the next `payouts process` goes on")
        }
        Stop::Refused(_) => Some(KEY_HINT),
        Stop::Unreachable(_) => Some(NETWORK_HINT),
        Stop::TooManyUnknown | Stop::LeaseLost | Stop::Database(_) => {
            Some("the next `payouts process` resolves what is open before it sends anything")
        }
        Stop::Unwritable(_) => Some(FULL_HINT),
        Stop::Bug(_) => Some("report it, with this output"),
        Stop::Signal | Stop::Switch => None,
    }
}

/// What stops a run, in words.
fn stop_text(stop: &Stop, currency: Currency) -> String {
    match stop {
        Stop::Signal => {
            "interrupted; what was in flight is recorded, the rest was given back".to_owned()
        }
        Stop::Switch => "everything is held (`hold --all`)".to_owned(),
        Stop::Balance {
            needed_cents: Some(needed),
            available_cents: Some(available),
        } => format!(
            "the balance does not cover the next payout: {} needed, {} available",
            money::with_currency(*needed, currency),
            money::with_currency(*available, currency)
        ),
        Stop::Balance { .. } => "Stripe says the balance is short".to_owned(),
        Stop::Refused(reason) => format!("Stripe refuses every request: {reason}"),
        Stop::Unreachable(reason) => format!("Stripe cannot be reached: {reason}"),
        Stop::TooManyUnknown => "too many outcomes in a row are unknown".to_owned(),
        Stop::LeaseLost => "this run gave no sign of life for longer than its lease".to_owned(),
        Stop::Database(reason) => format!("the database went away: {reason}"),
        Stop::Unwritable(reason) => reason.clone(),
        Stop::Bug(reason) => format!("a bug in payouts: {reason}"),
    }
}

/// One line on a run, for its record.
fn summary(report: &Report, currency: Currency) -> String {
    let mut text = format!(
        "{} paid, {}; {} found paid, {} failed, {} given back, {} unresolved",
        report.paid,
        money::with_currency(report.paid_cents, currency),
        report.adopted,
        report.failed,
        report.returned,
        report.unresolved.len()
    );
    if let Some(stop) = &report.stop {
        text.push_str("; ");
        text.push_str(&stop_text(stop, currency));
    }
    text
}

fn unresolved_line(unresolved: &Unresolved, currency: Currency) -> String {
    format!(
        "unresolved: {} {}: {}",
        clean(unresolved.payout_id.as_str()),
        money::with_currency(i64::from(unresolved.amount_cents), currency),
        brief(&unresolved.reason, 160)
    )
}

/// What a limit left unsent, in words.
fn limit_text(cx: &Context, limit: LimitReached, currency: Currency) -> String {
    let (cents, of, variable) = match limit {
        LimitReached::Run => (
            cx.config.run_total_max_cents,
            "one run",
            "PAYOUTS_MAX_RUN_TOTAL_CENTS",
        ),
        LimitReached::Day => (
            cx.config.day_total_max_cents,
            "all runs of this UTC day",
            "PAYOUTS_MAX_DAY_TOTAL_CENTS",
        ),
    };
    let most = money::with_currency(cents.unwrap_or(0), currency);
    format!(
        "the limit of {most} for {of} is reached ({variable}): the next payout that is due, and what is behind it, is not sent"
    )
}

/// What earlier runs and other software left to a person, before anything is sent.
fn tell_open(cx: &Context, report: &Report, currency: Currency) {
    for unresolved in &report.unresolved {
        cx.ui.line(&unresolved_line(unresolved, currency));
    }
    for finding in report.alarms.iter().chain(&report.findings) {
        cx.ui.warn(&brief(finding, 400));
    }
    held_elsewhere(cx, report);
}

/// What is left to other runs and to other software.
fn held_elsewhere(cx: &Context, report: &Report) {
    let now = cx.clock.now();
    for holder in &report.holders {
        cx.ui.line(&held_by(holder, now));
    }
    if report.foreign_processing > 0 {
        cx.ui.warn(&format!(
            "{} PROCESSING in the hands of other software; they are never sent from here",
            count(report.foreign_processing, "payout")
        ));
    }
}

fn print_report(
    cx: &Context,
    report: &Report,
    currency: Currency,
    code: u8,
) -> Result<(), CliError> {
    for failure in report.failures.iter().take(10) {
        let code = failure.code.as_deref();
        cx.ui.line(&format!(
            "failed: {} {}: {}",
            failure.payout_id,
            money::with_currency(i64::from(failure.amount_cents), currency),
            brief(&failure.reason, 160)
        ));
        cx.ui.line(&format!(
            "  {}",
            crate::stripe::classify::advice(code, None, failure.http_status)
        ));
    }
    if report.failed > 10 {
        cx.ui.line(&format!(
            "… and {} more: `payouts list --status FAILED`",
            report.failed - 10
        ));
    }
    for unresolved in report.unresolved.iter().take(10) {
        cx.ui.line(&unresolved_line(unresolved, currency));
    }
    if report.unresolved.len() > 10 {
        cx.ui.line(&format!(
            "… and {} more unresolved",
            report.unresolved.len() - 10
        ));
    }
    for finding in report.alarms.iter().chain(&report.findings) {
        cx.ui.warn(&brief(finding, 400));
    }
    held_elsewhere(cx, report);
    if let Some(limit) = report.limit {
        cx.ui.warn(&limit_text(cx, limit, currency));
    }
    if let Some(stop) = &report.stop {
        // One line, whatever Stripe's message holds.
        cx.ui
            .line(&clean(&format!("stopped: {}", stop_text(stop, currency))));
        if let Some(hint) = stop_hint(stop) {
            cx.ui.hint(hint);
        }
    }
    let failed: Vec<_> = report
        .failures
        .iter()
        .map(|failure| TroubleView::of_failure(failure, currency))
        .collect();
    let unresolved: Vec<_> = report
        .unresolved
        .iter()
        .map(|unresolved| TroubleView::of_unresolved(unresolved, currency))
        .collect();
    Answer::new("results", ResultView::all(report, currency))
        .with(RunMembers {
            currency: currency.as_str(),
            failed,
            unresolved,
            alarms: &report.alarms,
            findings: &report.findings,
            limit_reached: report.limit.map(LimitReached::code),
            held_by: report.holders.iter().map(HolderView::from).collect(),
            stopped: report.stop.as_ref().map(|stop| stop_text(stop, currency)),
            exit_code: code,
        })
        .print(cx.format, &cx.ui, |ui, rows| {
            let columns = [left("Result"), right("Payouts"), right("Amount"), left("")];
            let rows = rows
                .iter()
                .map(|row| {
                    vec![
                        row.result.into(),
                        grouped(row.payouts).into(),
                        money::with_currency(row.amount_cents, currency).into(),
                        row.note.unwrap_or_default().into(),
                    ]
                })
                .collect();
            table::render(ui, &columns, rows)
        })?;
    Ok(())
}

fn print_plan(cx: &Context, plan: &Plan) -> Result<(), CliError> {
    if cx.format == Format::Table {
        cx.ui.answer(&plan::render(&cx.ui, plan))?;
        return Ok(());
    }
    let rows = plan
        .rows
        .iter()
        .map(|row| PlanView::of(row, plan.currency))
        .collect();
    Answer::new("plan", rows)
        .with(PlanMembers::of(plan))
        .print(cx.format, &cx.ui, |_, _| String::new())?;
    Ok(())
}

/// The plan for stderr, above the question.
fn plan_text(cx: &Context, plan: &Plan) -> String {
    plan::render(&cx.ui.for_stderr(), plan)
}
