//! `payouts check`.
//!
//! Its exit codes are those of a monitoring plugin, unlike every other command's.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, CommandFactory};

use crate::cli::Cli;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::config;
use crate::model::alert::{Severity, Thresholds};
use crate::model::money::Currency;
use crate::model::notification::NotificationKind;
use crate::ops::check::{self, AtStripe, Checkup, Terms};
use crate::ops::verify_history;
use crate::output::check::{self as written, AlertView, CheckMembers};
use crate::output::ui::Ui;
use crate::output::{Answer, Format};
use crate::store::Store;
use crate::store::alerts::AlertChange;
use crate::store::notifications::Wanted;

/// Say in one line whether something needs a person
///
/// Made for monitoring systems: one line, numbers behind a bar, and an exit code of
/// 0 (ok), 1 (warning), 2 (critical) or 3 (unknown: it could not be looked). Each
/// alert has an entry in the runbook that says what to do, see `payouts help
/// runbook`. Reads only, unless --mail is given, and sends nothing but two questions
/// to Stripe: whose key it is, and what there is to pay with. Without a key it looks
/// at the database alone.
///
/// Every threshold is also a variable, `PAYOUTS_CHECK_…`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Mail the operators each alert once when it comes, again when there is much more
    /// of it, and once when it goes: writes to the outbox, which `payouts notify` sends
    #[arg(long, help_heading = "Selection")]
    mail: bool,

    /// Also read the whole history and verify it: takes seconds for each million rows
    #[arg(long, help_heading = "Selection")]
    history: bool,

    /// Ask Stripe nothing
    #[arg(long, help_heading = "Selection")]
    offline: bool,

    /// Critical when more of the decided payouts failed, per cent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..=100), help_heading = "Thresholds")]
    failure_percent: Option<u32>,

    /// The time that share is taken of
    #[arg(long, value_name = "TIME", value_parser = config::duration, help_heading = "Thresholds")]
    failure_within: Option<Duration>,

    /// Fewer decided payouts make no share
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Thresholds")]
    failure_sample: Option<u32>,

    /// Critical when a payout is on the way or of unknown outcome for longer
    #[arg(long, value_name = "TIME", value_parser = config::duration, help_heading = "Thresholds")]
    stuck_after: Option<Duration>,

    /// Warn of payouts that failed more often
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..), help_heading = "Thresholds")]
    failed_attempts: Option<i32>,

    /// Warn of payouts that have been failed for longer
    #[arg(long, value_name = "TIME", value_parser = config::duration, help_heading = "Thresholds")]
    failed_after: Option<Duration>,

    /// Warn of new payouts further from the creator's median than this many times the
    /// usual spread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Thresholds")]
    unusual_times: Option<u32>,

    /// Warn when the balance does not cover what is usually paid in this time; 0s: no
    /// forecast
    #[arg(long, value_name = "TIME", value_parser = config::duration, help_heading = "Thresholds")]
    forecast: Option<Duration>,

    /// Warn when `payouts process` has not run to its end for longer; 0s: it need not
    #[arg(long, value_name = "TIME", value_parser = config::duration, help_heading = "Thresholds")]
    process_within: Option<Duration>,

    /// Warn when `payouts reconcile` has compared nothing that is younger; 0s: it need
    /// not
    #[arg(long, value_name = "TIME", value_parser = config::duration, help_heading = "Thresholds")]
    reconcile_within: Option<Duration>,
}

/// How a check ended, by the convention of monitoring plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ok = 0,
    Warning = 1,
    Critical = 2,
    Unknown = 3,
}

impl State {
    /// The number the process ends with.
    pub(super) fn code(self) -> u8 {
        self as u8
    }
}

/// Whether a command line that cannot be read was meant for this command.
pub(super) fn is_asked_for(arguments: &[OsString]) -> bool {
    let program = Cli::command();
    let mut words = arguments.iter().skip(1).filter_map(|word| word.to_str());
    words.find(|word| program.find_subcommand(word).is_some()) == Some("check")
}

/// A monitoring system shows the line, whatever is wrong.
pub(super) fn refuse_usage(ui: &Ui) -> State {
    let _ = ui.answer(&written::unknown("the command line is wrong"));
    State::Unknown
}

/// Looks, and says how it came out. What keeps it from looking is told on both streams:
/// the line is for the monitoring system, the error with its hint for a person. Whoever
/// asked for JSON or CSV is told by the exit code.
pub(super) fn run(
    cx: Result<Context, CliError>,
    args: &CheckArgs,
    format: Format,
    ui: &Ui,
) -> State {
    let looked = cx.and_then(|cx| {
        let mut store = cx.store()?;
        let (checkup, currency) = look(&cx, args, &mut store)?;
        match print(&cx, &checkup, currency) {
            Err(error) if !error.broken_pipe => return Err(error),
            _ => {}
        }
        let state = match checkup.worst() {
            None => State::Ok,
            Some(Severity::Warning) => State::Warning,
            Some(Severity::Critical) => State::Critical,
        };
        // What was found is said first: that it cannot be mailed must not hide it.
        match args.mail.then(|| mail(&cx, &mut store, &checkup)) {
            Some(Err(error)) if state == State::Critical => {
                error.print(ui);
                Ok(state)
            }
            Some(Err(error)) => Err(error),
            _ => Ok(state),
        }
    });
    looked.unwrap_or_else(|error| {
        if format == Format::Table {
            // Nobody is left to tell when this fails.
            let _ = ui.answer(&written::unknown(error.message()));
        }
        error.print(ui);
        State::Unknown
    })
}

fn look(
    cx: &Context,
    args: &CheckArgs,
    store: &mut Store,
) -> Result<(Checkup, Currency), CliError> {
    let currency = cx.currency(store)?;
    // First what takes long, so that all else is of one moment.
    let history = args
        .history
        .then(|| verify_history::verify(store, &mut |_| {}))
        .transpose()?;
    let stripe = ask_stripe(cx, args, currency)?;
    let terms = Terms {
        thresholds: &thresholds(args, &cx.config.thresholds),
        currency,
        now: cx.clock.now(),
    };
    let checkup = check::check(store, terms, &stripe, history.as_ref())?;
    Ok((checkup, currency))
}

fn ask_stripe(cx: &Context, args: &CheckArgs, currency: Currency) -> Result<AtStripe, CliError> {
    if args.offline {
        return Ok(AtStripe::NotAsked("--offline was given".to_owned()));
    }
    if cx.config.stripe_key.is_none() {
        return Ok(AtStripe::NotAsked("there is no Stripe key".to_owned()));
    }
    // A key that cannot be used is news, and no reason not to look at the rest.
    let stripe = match cx.stripe() {
        Ok(stripe) => stripe,
        Err(error) => return Ok(AtStripe::Unreachable(error.message().to_owned())),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(check::ask(&stripe, currency)))
}

fn thresholds(args: &CheckArgs, set: &Thresholds) -> Thresholds {
    Thresholds {
        failure_percent: args.failure_percent.unwrap_or(set.failure_percent),
        failure_within: args.failure_within.unwrap_or(set.failure_within),
        failure_sample: args.failure_sample.unwrap_or(set.failure_sample),
        stuck_after: args.stuck_after.unwrap_or(set.stuck_after),
        failed_attempts: args.failed_attempts.unwrap_or(set.failed_attempts),
        failed_after: args.failed_after.unwrap_or(set.failed_after),
        unusual_times: args.unusual_times.unwrap_or(set.unusual_times),
        forecast_over: args.forecast.unwrap_or(set.forecast_over),
        process_within: args.process_within.unwrap_or(set.process_within),
        reconcile_within: args.reconcile_within.unwrap_or(set.reconcile_within),
    }
}

/// Keeps which alerts stand, and has each change mailed. Where mails of alerts are
/// switched off nothing is kept: what stands is told once they are switched on.
fn mail(cx: &Context, store: &mut Store, checkup: &Checkup) -> Result<(), CliError> {
    if store.notification_wanted(NotificationKind::Alert, None)? != Wanted::Yes {
        cx.ui
            .warn("mails of alerts are switched off: `payouts notify on alert`");
        return Ok(());
    }
    Ok(
        store.alerts_renew(&checkup.found, &checkup.looked, |change| match change {
            AlertChange::Raised(alert) => written::raised(alert),
            AlertChange::Grown(alert) => written::grown(alert),
            AlertChange::Cleared(alert) => written::cleared(alert),
        })?,
    )
}

fn print(cx: &Context, checkup: &Checkup, currency: Currency) -> Result<(), CliError> {
    if cx.format == Format::Table {
        return Ok(cx.ui.answer(&written::lines(checkup))?);
    }
    let rows = checkup
        .found
        .iter()
        .map(|found| AlertView::of(found, currency))
        .collect();
    Answer::new("alerts", rows)
        .with(CheckMembers::of(checkup, currency))
        .print(cx.format, &cx.ui, |_, _| String::new())?;
    Ok(())
}
