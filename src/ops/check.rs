//! Does anything need a person? What a monitoring system asks every few minutes.
//!
//! Only reads, and only what indexes and a few rows can answer, except for the history,
//! which is read whole where that is asked for. Each alert has one threshold and one
//! entry in the runbook; what could not be looked at is not called fine.

use std::time::Duration;

use crate::model::alert::{AlertCode, Severity, Thresholds};
use crate::model::mode::mode;
use crate::model::money::{Currency, with_currency};
use crate::model::time::{Clock, Time, in_words};
use crate::ops::run_error::plural;
use crate::ops::verify_history::Verified;
use crate::store::vitals::Group;
use crate::store::{Stamp, Store, StoreError};
use crate::stripe::Stripe;
use crate::stripe::api::ReadError;

/// Exit codes of a run that paid what it could: also one that left outcomes unknown, or
/// stopped where the balance ended. Of those there are alerts of their own.
const PAID_WHAT_IT_COULD: [i32; 4] = [0, 1, 5, 6];

/// What a run ends with that was asked to stop.
const INTERRUPTED: i32 = 130;

/// A mail that is due for longer is late.
const MAIL_LATE: Duration = Duration::from_secs(3600);

/// A mail that was given up is told for so long.
const MAIL_GIVEN_UP: Duration = Duration::from_secs(86_400);

/// Payouts that were created longer before count for no share: they cannot be found by an
/// index, and are few.
const DECIDED_SOON: Duration = Duration::from_secs(60 * 86_400);

/// New payouts are held against what was usual for a day.
const NEW_FOR: Duration = Duration::from_secs(86_400);

/// New payouts of each status that are held against what is usual.
const NEW_MAX: i64 = 10_000;

/// What is usually paid is what was paid of the payouts created in so many days.
const FORECAST_FROM: Duration = Duration::from_secs(28 * 86_400);

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub code: AlertCode,
    /// How it shows, in words.
    pub text: String,
    /// How many payouts, findings or runs it is about; none where it is about one thing.
    pub count: Option<i64>,
    /// The money it is about, minor units.
    pub amount_cents: Option<i64>,
    /// One of them: what to look at first.
    pub example: Option<String>,
}

impl Found {
    fn new(code: AlertCode, text: String) -> Self {
        Self {
            code,
            text,
            count: None,
            amount_cents: None,
            example: None,
        }
    }

    /// About a group; `is` says of it what is wrong.
    fn group(code: AlertCode, group: &Group, currency: Currency, is: &str) -> Self {
        let example = group
            .example
            .as_ref()
            .map_or_else(String::new, |id| format!(", such as {id}"));
        Self {
            count: Some(group.count),
            amount_cents: Some(group.amount_cents),
            example: group.example.clone(),
            ..Self::new(
                code,
                format!(
                    "{}, {}, {is}{example}",
                    payouts(group.count),
                    with_currency(group.amount_cents, currency)
                ),
            )
        }
    }
}

/// The numbers behind it, for graphs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Pending payouts that nothing holds.
    pub due: i64,
    /// Their sum, minor units.
    pub due_cents: i64,
    /// Payouts stuck on the way or unresolved.
    pub stuck: i64,
    /// Payouts that failed of late.
    pub failed: i64,
    /// Open findings.
    pub findings: i64,
    /// Available at Stripe, minor units; none where it was not asked.
    pub balance_cents: Option<i64>,
}

/// What a check came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkup {
    /// What needs a person, the worst first.
    pub found: Vec<Found>,
    /// What was looked at, found or not.
    pub looked: Vec<AlertCode>,
    /// What was not, and why.
    pub not_looked: Vec<String>,
    /// The numbers.
    pub figures: Figures,
}

impl Checkup {
    /// The worst of what was found; none where nothing was.
    pub fn worst(&self) -> Option<Severity> {
        self.found.iter().map(|found| found.code.severity()).max()
    }

    /// Notes that something was looked at, and what was found.
    fn look(&mut self, code: AlertCode, found: Option<Found>) {
        self.looked.push(code);
        self.found.extend(found);
    }
}

/// What Stripe says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtStripe {
    /// It was not asked, and why.
    NotAsked(String),
    /// It could not be asked, in words.
    Unreachable(String),
    /// Whose key it is, and what is available.
    Answered {
        /// `acct_…`.
        account: String,
        /// Real money.
        livemode: bool,
        /// Minor units, or why the key may not read them.
        available_cents: Result<i64, String>,
    },
}

/// Asks Stripe whose key it is, and what there is to pay with.
pub async fn ask(stripe: &Stripe, currency: Currency) -> AtStripe {
    let mut account = stripe.account().await;
    // One request of hundreds a day that fails is nothing to wake anybody for.
    if account.as_ref().is_err_and(ReadError::is_transient) {
        account = stripe.account().await;
    }
    match account {
        Err(error) => AtStripe::Unreachable(error.to_string()),
        Ok((account, _)) => AtStripe::Answered {
            account,
            livemode: stripe.livemode(),
            available_cents: stripe
                .balance(currency)
                .await
                .map(|balance| balance.available_cents)
                .map_err(|error| error.to_string()),
        },
    }
}

/// Looks at everything. `history` is what reading the whole history came to, where it
/// was read.
pub fn check(
    store: &mut Store,
    clock: &Clock,
    thresholds: &Thresholds,
    currency: Currency,
    stripe: &AtStripe,
    history: Option<&Verified>,
) -> Result<Checkup, StoreError> {
    let now = clock.now();
    let mut checkup = Checkup::default();
    let stamp = store.stamp()?;
    failure_rate(store, thresholds, currency, now, &mut checkup)?;
    stuck(store, thresholds, currency, now, &mut checkup)?;
    findings(store, currency, &mut checkup)?;
    failed(store, thresholds, currency, now, &mut checkup)?;
    unusual(store, thresholds, currency, now, &mut checkup)?;
    process_failed(store, &mut checkup)?;
    overdue(store, thresholds, now, &mut checkup)?;
    mail_undelivered(store, now, &mut checkup)?;
    at_stripe(
        store,
        thresholds,
        currency,
        (stripe, stamp.as_ref()),
        now,
        &mut checkup,
    )?;
    if let Some(verified) = history {
        history_broken(verified, &mut checkup);
    }
    checkup
        .found
        .sort_by_key(|found| (std::cmp::Reverse(found.code.severity()), found.code));
    Ok(checkup)
}

fn history_broken(verified: &Verified, checkup: &mut Checkup) {
    let first = verified
        .findings
        .iter()
        .filter(|finding| finding.flaw.is_proof())
        .find_map(|finding| finding.payout_id.as_ref());
    checkup.look(
        AlertCode::HistoryBroken,
        (verified.proofs > 0).then(|| Found {
            count: Some(i64::try_from(verified.proofs).unwrap_or(i64::MAX)),
            example: first.map(ToString::to_string),
            ..Found::new(
                AlertCode::HistoryBroken,
                format!(
                    "the history is not what was written, in {} places",
                    verified.proofs
                ),
            )
        }),
    );
}

fn failure_rate(
    store: &mut Store,
    thresholds: &Thresholds,
    currency: Currency,
    now: Time,
    checkup: &mut Checkup,
) -> Result<(), StoreError> {
    let per_cent = i64::from(thresholds.failure_percent);
    let sample = i64::from(thresholds.failure_sample);
    // At so many that were paid, those that failed are no such share any more.
    let enough = |failed: i64| {
        let harmless = failed
            .saturating_mul(100 - per_cent)
            .saturating_add(per_cent - 1);
        (harmless / per_cent.max(1)).max(sample)
    };
    let since = now.minus(thresholds.failure_within);
    let decided = store.decided_since(since, since.minus(DECIDED_SOON), enough)?;
    let (failed, all) = (decided.failed.count, decided.failed.count + decided.paid);
    let too_many = failed.saturating_mul(100) > all.saturating_mul(per_cent) && all >= sample;
    checkup.figures.failed = failed;
    checkup.look(
        AlertCode::FailureRate,
        too_many.then(|| {
            let within = in_words(thresholds.failure_within);
            Found {
                count: Some(failed),
                amount_cents: Some(decided.failed.amount_cents),
                example: decided.failed.example.clone(),
                ..Found::new(
                    AlertCode::FailureRate,
                    format!(
                        "{failed} of {all} payouts failed within {within}, {}: more than {per_cent} %",
                        with_currency(decided.failed.amount_cents, currency)
                    ),
                )
            }
        }),
    );
    Ok(())
}

fn stuck(
    store: &mut Store,
    thresholds: &Thresholds,
    currency: Currency,
    now: Time,
    checkup: &mut Checkup,
) -> Result<(), StoreError> {
    let stuck = store.stuck_since(now.minus(thresholds.stuck_after))?;
    checkup.figures.stuck = stuck.count;
    let is = format!(
        "on the way or of unknown outcome for more than {}",
        in_words(thresholds.stuck_after)
    );
    checkup.look(
        AlertCode::PayoutsStuck,
        (stuck.count > 0).then(|| Found::group(AlertCode::PayoutsStuck, &stuck, currency, &is)),
    );
    Ok(())
}

fn findings(
    store: &mut Store,
    currency: Currency,
    checkup: &mut Checkup,
) -> Result<(), StoreError> {
    let open = store.findings_standing()?;
    checkup.figures.findings = open.count;
    checkup.look(
        AlertCode::FindingsOpen,
        (open.count > 0).then(|| Found {
            count: Some(open.count),
            amount_cents: Some(open.amount_cents),
            example: open.example.clone(),
            ..Found::new(
                AlertCode::FindingsOpen,
                format!(
                    "{} of the comparison with Stripe open, {} at stake",
                    counted(open.count, "finding"),
                    with_currency(open.amount_cents, currency)
                ),
            )
        }),
    );
    Ok(())
}

fn failed(
    store: &mut Store,
    thresholds: &Thresholds,
    currency: Currency,
    now: Time,
    checkup: &mut Checkup,
) -> Result<(), StoreError> {
    let often = store.failed_often(thresholds.failed_attempts)?;
    let is = format!("failed more than {} times", thresholds.failed_attempts);
    checkup.look(
        AlertCode::FailedOften,
        (often.count > 0).then(|| Found::group(AlertCode::FailedOften, &often, currency, &is)),
    );
    let long = store.failed_since(now.minus(thresholds.failed_after))?;
    let is = format!(
        "failed, and nothing was done for more than {}",
        in_words(thresholds.failed_after)
    );
    checkup.look(
        AlertCode::FailedLong,
        (long.count > 0).then(|| Found::group(AlertCode::FailedLong, &long, currency, &is)),
    );
    Ok(())
}

fn unusual(
    store: &mut Store,
    thresholds: &Thresholds,
    currency: Currency,
    now: Time,
    checkup: &mut Checkup,
) -> Result<(), StoreError> {
    let unusual = store.amounts_unusual(now.minus(NEW_FOR), thresholds.unusual_times, NEW_MAX)?;
    checkup.look(
        AlertCode::UnusualAmount,
        unusual.first().map(|first| Found {
            count: Some(i64::try_from(unusual.len()).unwrap_or(i64::MAX)),
            amount_cents: Some(unusual.iter().fold(0_i64, |sum, one| {
                sum.saturating_add(one.amount_cents.into())
            })),
            example: Some(first.payout_id.to_string()),
            ..Found::new(
                AlertCode::UnusualAmount,
                format!(
                    "{} of the last day far from what the creator is usually paid, such as {} \
                     of {} where {} is usual",
                    payouts(i64::try_from(unusual.len()).unwrap_or(i64::MAX)),
                    first.payout_id,
                    with_currency(first.amount_cents.into(), currency),
                    with_currency(first.usual.median_cents.into(), currency)
                ),
            )
        }),
    );
    Ok(())
}

/// One run that fails is nothing yet: the next one may go through.
fn process_failed(store: &mut Store, checkup: &mut Checkup) -> Result<(), StoreError> {
    let last = store.run_outcomes("process", 2)?;
    let failed = last.len() == 2
        && last.iter().all(|(_, exit_code)| {
            !PAID_WHAT_IT_COULD.contains(exit_code) && *exit_code != INTERRUPTED
        });
    checkup.look(
        AlertCode::ProcessFailed,
        last.first().filter(|_| failed).map(|(run, exit_code)| Found {
            example: Some(run.clone()),
            ..Found::new(
                AlertCode::ProcessFailed,
                format!("the last runs of `payouts process` paid nobody: run {run} ended with exit code {exit_code}"),
            )
        }),
    );
    Ok(())
}

fn mail_undelivered(store: &mut Store, now: Time, checkup: &mut Checkup) -> Result<(), StoreError> {
    let (count, example) =
        store.mails_undelivered(now.minus(MAIL_LATE), now.minus(MAIL_GIVEN_UP))?;
    checkup.look(
        AlertCode::MailUndelivered,
        (count > 0).then(|| Found {
            count: Some(count),
            example: example.clone(),
            ..Found::new(
                AlertCode::MailUndelivered,
                format!(
                    "{} not sent within {}, or given up within {}{}",
                    counted(count, "mail"),
                    in_words(MAIL_LATE),
                    in_words(MAIL_GIVEN_UP),
                    example.map_or_else(String::new, |id| format!(", such as {id}"))
                ),
            )
        }),
    );
    Ok(())
}

fn overdue(
    store: &mut Store,
    thresholds: &Thresholds,
    now: Time,
    checkup: &mut Checkup,
) -> Result<(), StoreError> {
    let (_, made) = store.database_id()?;
    let compared = store.reconciliation_last()?.map(|last| last.finished_at);
    for (code, command, within, last) in [
        (
            AlertCode::ProcessOverdue,
            "process",
            thresholds.process_within,
            store.run_last_ended("process", &PAID_WHAT_IT_COULD)?,
        ),
        (
            AlertCode::ReconcileOverdue,
            "reconcile",
            thresholds.reconcile_within,
            compared,
        ),
    ] {
        if within.is_zero() {
            continue;
        }
        // A new database has had no time yet.
        let late = last.unwrap_or(made) < now.minus(within);
        checkup.look(
            code,
            late.then(|| {
                let last = last.map_or_else(
                    || "never".to_owned(),
                    |last| format!("the last time on {last}"),
                );
                Found::new(
                    code,
                    format!(
                        "`payouts {command}` has not run to its end within {}, {last}",
                        in_words(within)
                    ),
                )
            }),
        );
    }
    Ok(())
}

fn at_stripe(
    store: &mut Store,
    thresholds: &Thresholds,
    currency: Currency,
    (stripe, stamp): (&AtStripe, Option<&Stamp>),
    now: Time,
    checkup: &mut Checkup,
) -> Result<(), StoreError> {
    let due = store.pending_unheld()?;
    checkup.figures.due = due.count;
    checkup.figures.due_cents = due.amount_cents;
    let (account, livemode, available) = match stripe {
        AtStripe::NotAsked(why) => {
            checkup
                .not_looked
                .push(format!("account and balance: {why}"));
            return Ok(());
        }
        AtStripe::Unreachable(why) => {
            let found = Found::new(
                AlertCode::StripeUnreachable,
                format!("Stripe could not be asked for account and balance: {why}"),
            );
            checkup.look(AlertCode::StripeUnreachable, Some(found));
            return Ok(());
        }
        AtStripe::Answered {
            account,
            livemode,
            available_cents,
        } => (account, *livemode, available_cents),
    };
    checkup.look(AlertCode::StripeUnreachable, None);
    let other = stamp.filter(|stamp| stamp.account != *account || stamp.livemode != livemode);
    checkup.look(
        AlertCode::AccountDiffers,
        other.map(|stamp| {
            Found::new(
                AlertCode::AccountDiffers,
                format!(
                    "the key belongs to account {account} in {} mode, the database to {} in {} mode",
                    mode(livemode),
                    stamp.account,
                    mode(stamp.livemode)
                ),
            )
        }),
    );
    let available = match available {
        // Another account's balance says nothing.
        Ok(_) if other.is_some() => return Ok(()),
        Ok(available) => *available,
        Err(why) => {
            checkup.not_looked.push(format!("the balance: {why}"));
            return Ok(());
        }
    };
    checkup.figures.balance_cents = Some(available);
    let short = due.amount_cents > available;
    checkup.look(
        AlertCode::BalanceShort,
        short.then(|| Found {
            count: Some(due.count),
            amount_cents: Some(due.amount_cents.saturating_sub(available)),
            ..Found::new(
                AlertCode::BalanceShort,
                format!(
                    "the balance of {} does not cover the {} due, {}",
                    with_currency(available, currency),
                    payouts(due.count),
                    with_currency(due.amount_cents, currency)
                ),
            )
        }),
    );
    forecast(
        store,
        thresholds,
        currency,
        available.saturating_sub(due.amount_cents),
        now,
        checkup,
    )
}

/// Whether what the due payouts leave of the balance covers what usually follows. Told
/// only where what is due is covered: else that is the news.
fn forecast(
    store: &mut Store,
    thresholds: &Thresholds,
    currency: Currency,
    left_cents: i64,
    now: Time,
    checkup: &mut Checkup,
) -> Result<(), StoreError> {
    if thresholds.forecast_over.is_zero() || left_cents < 0 {
        return Ok(());
    }
    let paid = store.paid_of_created_since(now.minus(FORECAST_FROM))?;
    let seconds = |duration: Duration| i128::from(duration.as_secs());
    let usual = i128::from(paid.amount_cents) * seconds(thresholds.forecast_over)
        / seconds(FORECAST_FROM).max(1);
    let usual_cents = i64::try_from(usual).unwrap_or(i64::MAX);
    let low = left_cents < usual_cents;
    checkup.look(
        AlertCode::BalanceForecast,
        low.then(|| Found {
            amount_cents: Some(usual_cents.saturating_sub(left_cents)),
            ..Found::new(
                AlertCode::BalanceForecast,
                format!(
                    "what is due leaves {} of the balance, and {} is usually paid within {}",
                    with_currency(left_cents, currency),
                    with_currency(usual_cents, currency),
                    in_words(thresholds.forecast_over)
                ),
            )
        }),
    );
    Ok(())
}

fn payouts(count: i64) -> String {
    counted(count, "payout")
}

fn counted(count: i64, what: &str) -> String {
    plural(usize::try_from(count).unwrap_or(usize::MAX), what)
}
