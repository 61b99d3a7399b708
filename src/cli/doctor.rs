//! `payouts doctor`.

use std::path::Path;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::config::Origin;
use crate::env_vars as vars;
use crate::model::mode::mode;
use crate::model::money::Currency;
use crate::ops::doctor::{self, Check, Verdict};
use crate::ops::verify_history;
use crate::output::json::{CheckView, DoctorMembers, SettingView};
use crate::output::progress::Progress;
use crate::output::table::{self, Tone, left};
use crate::output::ui::Ui;
use crate::output::{Answer, history_check};
use crate::store::{Open, Stamp};
use crate::stripe::Stripe;
use crate::stripe::transport::key_is_restricted;

/// Check that everything a run needs is there
///
/// Looks at the settings and where each comes from; at the database, its disk, and
/// whether its columns, keys, indexes, constraints and triggers are as founded; at
/// the key, its rights, the account, the clock and the balance; and at what is left
/// to a person: held, stuck and failed payouts, runs that were killed. Sends nothing
/// and writes nothing. Exit code 0 when all is well, 1 when a person should look, 3
/// when no run can work.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Check instead that nobody changed the history
    ///
    /// Every row's hash is made again from the row and the one before, every
    /// chain is held against its end on record, and every run that has ended
    /// against the hash it left over all it wrote. Exit code 1 when something was
    /// changed, removed, swapped or added; it is named. A payout that stands
    /// elsewhere than its history left it is named too, and is no proof: other
    /// software may have moved it.
    #[arg(long, help_heading = "Selection")]
    verify_history: bool,
}

pub(super) fn run(cx: &mut Context, args: &DoctorArgs) -> Result<Exits, CliError> {
    if args.verify_history {
        return verify_history(cx);
    }
    let (mut checks, stamp, currency) = database(cx);
    checks.extend(secret_files(cx));
    checks.extend(stripe(cx, stamp.as_ref(), currency)?);
    let worst = checks.iter().map(|check| check.verdict).max();
    let settings: Vec<SettingView<'_>> = cx
        .config
        .settings
        .iter()
        .map(|setting| SettingView {
            name: setting.name,
            value: &setting.value,
            origin: setting.origin.to_string(),
        })
        .collect();
    let views: Vec<CheckView<'_>> = checks.iter().map(CheckView::of).collect();
    Answer::new("checks", views)
        .with(DoctorMembers {
            settings: &settings,
        })
        .print(cx.format, &cx.ui, |ui, _| {
            format!(
                "{}\n{}",
                settings_table(ui, &settings),
                checks_table(ui, &checks)
            )
        })?;
    Ok(match worst {
        Some(Verdict::Broken) => Exit::CouldNotRun,
        Some(Verdict::Look) => Exit::Attention,
        Some(Verdict::Good) | None => Exit::Done,
    }
    .into())
}

fn verify_history(cx: &Context) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let mut progress = Progress::new(&cx.ui, currency);
    let verified = verify_history::verify(&mut store, &mut |event| progress.show(event));
    progress.end();
    let verified = verified?;
    history_check::print(cx.format, &cx.ui, &verified)?;
    Ok(if verified.proofs > 0 {
        Exit::Attention
    } else {
        Exit::Done
    }
    .into())
}

/// What the database says, its stamp and its currency. One that cannot be read is a finding.
fn database(cx: &Context) -> (Vec<Check>, Option<Stamp>, Currency) {
    let configured = cx.config.currency.unwrap_or(Currency::USD);
    let broken = |error: CliError| vec![error.into_check("database")];
    let mut store = match cx.open(Open::Existing) {
        Ok(store) => store,
        Err(error) => return (broken(error), None, configured),
    };
    let current = store.require_current_schema().is_ok();
    let currency = match current.then(|| cx.currency(&mut store)) {
        Some(Err(error)) => return (broken(error), None, configured),
        Some(Ok(currency)) => currency,
        None => configured,
    };
    let rules = doctor::Rules {
        currency,
        lease: cx.config.lease,
        retries_max: cx.config.retries_max,
        stuck_after: cx.config.thresholds.stuck_after,
    };
    match doctor::database(&mut store, &rules) {
        Err(error) => (broken(error.into()), None, currency),
        // The stamp stands behind the migrations.
        Ok(checks) => match current.then(|| store.stamp()) {
            Some(Ok(stamp)) => (checks, stamp, currency),
            _ => (checks, None, currency),
        },
    }
}

/// The files that settings name and that hold secrets.
fn secret_files(cx: &Context) -> Vec<Check> {
    let named = cx
        .config
        .settings
        .iter()
        .filter(|setting| setting.name.ends_with("_FILE") && setting.origin != Origin::Default);
    doctor::secret_files(named.map(|setting| (setting.name, Path::new(&setting.value))))
}

fn stripe(cx: &Context, stamp: Option<&Stamp>, currency: Currency) -> Result<Vec<Check>, CliError> {
    let (key, livemode) = match cx.stripe_key() {
        Ok(key) => key,
        Err(error) => return Ok(vec![error.into_check("key")]),
    };
    let base = cx.config.stripe_api_base.as_deref();
    let stripe = match Stripe::new(key, base, 1, cx.timeouts) {
        Ok(stripe) => stripe,
        Err(error) => {
            return Ok(vec![Check::broken(
                "key",
                error.to_string(),
                "check STRIPE_SECRET_KEY and STRIPE_API_BASE",
            )]);
        }
    };
    let origin = |name: &str| {
        let setting = cx
            .config
            .settings
            .iter()
            .find(|setting| setting.name == name);
        setting.map_or(Origin::Default, |setting| setting.origin)
    };
    let may = if key_is_restricted(key) {
        "restricted: it may do what it was given the right to"
    } else {
        "unrestricted: it may do everything; one that may only do what a run needs is safer"
    };
    let rate = match cx.rate(&stripe) {
        Some(rate) => format!("at most {rate} requests a second"),
        None => "no limit on requests to this machine".to_owned(),
    };
    let mut checks = vec![
        Check::good("key", format!("{} mode, {may}", mode(livemode))),
        Check::good("rate", format!("{rate} ({})", origin(vars::RATE.name))),
        Check::good(
            "concurrency",
            format!(
                "{} transfers in flight at once ({})",
                cx.config.concurrency,
                origin(vars::CONCURRENCY.name)
            ),
        ),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    checks.extend(runtime.block_on(doctor::stripe(&stripe, &cx.clock, stamp, currency)));
    Ok(checks)
}

fn settings_table(ui: &Ui, settings: &[SettingView<'_>]) -> String {
    let columns = [left("Setting"), left("Value").wraps_at(20), left("From")];
    let rows = settings
        .iter()
        .map(|setting| {
            vec![
                setting.name.into(),
                setting.value.into(),
                setting.origin.as_str().into(),
            ]
        })
        .collect();
    table::render(ui, &columns, rows)
}

/// One line for each check, and below it what to do.
fn checks_table(ui: &Ui, checks: &[Check]) -> String {
    let rows = checks
        .iter()
        .map(|check| {
            let tone = match check.verdict {
                Verdict::Good => Tone::Good,
                Verdict::Look => Tone::Doubt,
                Verdict::Broken => Tone::Bad,
            };
            vec![
                check.name.into(),
                table::Value::toned(check.verdict.as_str(), tone),
                check.found.as_str().into(),
            ]
        })
        .collect();
    let columns = [left("Check"), left("State"), left("Found").wraps_at(30)];
    let hints = checks.iter().filter_map(|check| {
        let hint = check.hint.as_deref().filter(|hint| !hint.is_empty())?;
        Some(format!("{}: {hint}", check.name))
    });
    std::iter::once(table::render(ui, &columns, rows))
        .chain(hints)
        .collect::<Vec<_>>()
        .join("\n")
}
