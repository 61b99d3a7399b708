//! Does anything need a person? What a monitoring system asks every few minutes.
//!
//! Only reads, and only what indexes and a few rows can answer, except for the history,
//! which is read whole where that is asked for. Each alert has one threshold and one
//! entry in the runbook; what could not be looked at is not called fine.

use std::time::Duration;

use crate::model::alert::{AlertCode, Found, Severity, Thresholds};
use crate::model::exit::Exit;
use crate::model::mode::mode;
use crate::model::money::{Currency, with_currency};
use crate::model::time::{Time, in_words};
use crate::ops::run_error::plural;
use crate::ops::verify_history::Verified;
use crate::store::vitals::Group;
use crate::store::{Store, StoreError};
use crate::stripe::Stripe;
use crate::stripe::api::ReadError;

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

/// Comparisons that may join on to each other: more than a year of them.
const COMPARISONS_MAX: i64 = 1_000;

/// What is usually paid is what was paid of the payouts created in so many days.
const FORECAST_FROM: Duration = Duration::from_secs(28 * 86_400);

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

/// What a check judges by.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// From when on something needs a person.
    pub thresholds: &'a Thresholds,
    /// Of every amount.
    pub currency: Currency,
    /// The moment.
    pub now: Time,
}

/// Looks at everything. `history` is what reading the whole history came to, where it
/// was read.
pub fn check(
    store: &mut Store,
    terms: Terms<'_>,
    stripe: &AtStripe,
    history: Option<&Verified>,
) -> Result<Checkup, StoreError> {
    let mut look = Look {
        store,
        terms,
        checkup: Checkup::default(),
    };
    look.failure_rate()?;
    look.stuck()?;
    look.paid_twice()?;
    look.findings()?;
    look.failed()?;
    look.unusual()?;
    look.process_failed()?;
    look.overdue()?;
    look.mails()?;
    look.stripe(stripe)?;
    if let Some(verified) = history {
        look.history(verified);
    }
    let mut checkup = look.checkup;
    checkup
        .found
        .sort_by_key(|found| (std::cmp::Reverse(found.code.severity()), found.code));
    Ok(checkup)
}

/// One check under way.
struct Look<'a> {
    store: &'a mut Store,
    terms: Terms<'a>,
    checkup: Checkup,
}

impl Look<'_> {
    /// Notes that something was looked at, and what was found.
    fn note(&mut self, code: AlertCode, found: Option<Found>) {
        self.checkup.looked.push(code);
        self.checkup.found.extend(found);
    }

    /// The same of payouts, which need a person if there are any; `is` says why.
    fn note_group(&mut self, code: AlertCode, group: &Group, is: &str) {
        let example = group
            .example
            .as_ref()
            .map_or_else(String::new, |id| format!(", such as {id}"));
        let text = format!(
            "{}, {}, {is}{example}",
            payouts(group.count),
            self.money(group.amount_cents)
        );
        let found = (group.count > 0).then(|| about(code, text, group));
        self.note(code, found);
    }

    fn money(&self, cents: i64) -> String {
        with_currency(cents, self.terms.currency)
    }

    fn failure_rate(&mut self) -> Result<(), StoreError> {
        let of = self.terms.thresholds;
        let per_cent = i64::from(of.failure_percent);
        let sample = i64::from(of.failure_sample);
        // At so many that were paid, those that failed are no such share any more.
        let enough = |failed: i64| {
            let harmless = failed
                .saturating_mul(100 - per_cent)
                .saturating_add(per_cent - 1);
            (harmless / per_cent.max(1)).max(sample)
        };
        let since = self.terms.now.minus(of.failure_within);
        let decided = self
            .store
            .decided_since(since, since.minus(DECIDED_SOON), enough)?;
        let failed = decided.failed.count;
        let all = failed + decided.paid;
        let too_many = failed.saturating_mul(100) > all.saturating_mul(per_cent) && all >= sample;
        let text = format!(
            "{failed} of {all} payouts failed within {}, {}: more than {per_cent} %",
            in_words(of.failure_within),
            self.money(decided.failed.amount_cents)
        );
        self.checkup.figures.failed = failed;
        let code = AlertCode::FailureRate;
        self.note(code, too_many.then(|| about(code, text, &decided.failed)));
        Ok(())
    }

    fn stuck(&mut self) -> Result<(), StoreError> {
        let after = self.terms.thresholds.stuck_after;
        let stuck = self.store.stuck_since(self.terms.now.minus(after))?;
        self.checkup.figures.stuck = stuck.count;
        let is = format!(
            "on the way or of unknown outcome for more than {}",
            in_words(after)
        );
        self.note_group(AlertCode::PayoutsStuck, &stuck, &is);
        Ok(())
    }

    fn paid_twice(&mut self) -> Result<(), StoreError> {
        let surplus = self.store.surplus_standing()?;
        let is = "paid twice: the second transfer was neither taken back nor accepted";
        self.note_group(AlertCode::PaidTwice, &surplus, is);
        Ok(())
    }

    fn findings(&mut self) -> Result<(), StoreError> {
        let open = self.store.findings_standing()?;
        self.checkup.figures.findings = open.count;
        let text = format!(
            "{} of the comparison with Stripe open, {} at stake",
            counted(open.count, "finding"),
            self.money(open.amount_cents)
        );
        let code = AlertCode::FindingsOpen;
        self.note(code, (open.count > 0).then(|| about(code, text, &open)));
        Ok(())
    }

    fn failed(&mut self) -> Result<(), StoreError> {
        let of = self.terms.thresholds;
        let often = self.store.failed_often(of.failed_attempts)?;
        let is = format!("failed more than {} times", of.failed_attempts);
        self.note_group(AlertCode::FailedOften, &often, &is);
        let long = self
            .store
            .failed_since(self.terms.now.minus(of.failed_after))?;
        let is = format!(
            "failed, and nothing was done for more than {}",
            in_words(of.failed_after)
        );
        self.note_group(AlertCode::FailedLong, &long, &is);
        Ok(())
    }

    fn unusual(&mut self) -> Result<(), StoreError> {
        let unusual = self.store.amounts_unusual(
            self.terms.now.minus(NEW_FOR),
            self.terms.thresholds.unusual_times,
            NEW_MAX,
        )?;
        let count = i64::try_from(unusual.len()).unwrap_or(i64::MAX);
        let sum = unusual.iter().fold(0_i64, |sum, one| {
            sum.saturating_add(one.amount_cents.into())
        });
        let code = AlertCode::UnusualAmount;
        let found = unusual.first().map(|first| {
            let text = format!(
                "{} of the last day far from what the creator is usually paid, such as {} of {} \
                 where {} is usual",
                payouts(count),
                first.payout_id,
                self.money(first.amount_cents.into()),
                self.money(first.usual.median_cents.into())
            );
            Found {
                count: Some(count),
                amount_cents: Some(sum),
                example: Some(first.payout_id.to_string()),
                ..one_thing(code, text)
            }
        });
        self.note(code, found);
        Ok(())
    }

    /// One run that fails is nothing yet: the next one may go through.
    fn process_failed(&mut self) -> Result<(), StoreError> {
        let last = self.store.run_outcomes("process", 2)?;
        let stopped = |exit_code: i32| {
            Exit::of(exit_code)
                .is_none_or(|exit| !exit.did_what_it_could() && exit != Exit::Interrupted)
        };
        let failed = last.len() == 2 && last.iter().all(|(_, code)| stopped(*code));
        let code = AlertCode::ProcessFailed;
        let found = last.first().filter(|_| failed).map(|(run, exit_code)| {
            let text = format!(
                "the last runs of `payouts process` could not run, or stopped: run {run} ended with \
                 exit code {exit_code}"
            );
            Found {
                example: Some(run.to_string()),
                ..one_thing(code, text)
            }
        });
        self.note(code, found);
        Ok(())
    }

    fn overdue(&mut self) -> Result<(), StoreError> {
        let of = self.terms.thresholds;
        let paid = self.store.run_last_useful("process")?;
        let said = paid.map_or_else(
            || "never".to_owned(),
            |paid| format!("the last time on {paid}"),
        );
        let text = format!(
            "`payouts process` has not run to its end within {}, {said}",
            in_words(of.process_within)
        );
        // A new database has had no time yet.
        let (_, made) = self.store.database_id()?;
        let paid = paid.unwrap_or(made);
        self.note_overdue(AlertCode::ProcessOverdue, of.process_within, paid, text);

        let compared = self.store.compared_until(COMPARISONS_MAX)?;
        let text = format!(
            "what happened since {compared} was not compared with Stripe within {}, or not without a \
             gap",
            in_words(of.reconcile_within)
        );
        self.note_overdue(
            AlertCode::ReconcileOverdue,
            of.reconcile_within,
            compared,
            text,
        );
        Ok(())
    }

    /// `text` says so, if it was done last longer ago than `within`; zero: it need not.
    fn note_overdue(&mut self, code: AlertCode, within: Duration, done: Time, text: String) {
        let late = !within.is_zero() && done < self.terms.now.minus(within);
        self.note(code, late.then(|| one_thing(code, text)));
    }

    fn mails(&mut self) -> Result<(), StoreError> {
        let now = self.terms.now;
        let (count, example) = self
            .store
            .mails_undelivered(now.minus(MAIL_LATE), now.minus(MAIL_GIVEN_UP))?;
        let such_as = example
            .as_ref()
            .map_or_else(String::new, |id| format!(", such as {id}"));
        let text = format!(
            "{} not sent within {}, or given up within {}{such_as}",
            counted(count, "mail"),
            in_words(MAIL_LATE),
            in_words(MAIL_GIVEN_UP)
        );
        let code = AlertCode::MailUndelivered;
        let found = (count > 0).then(|| Found {
            count: Some(count),
            example,
            ..one_thing(code, text)
        });
        self.note(code, found);
        Ok(())
    }

    fn history(&mut self, verified: &Verified) {
        let first = verified
            .findings
            .iter()
            .filter(|finding| finding.flaw.is_proof())
            .find_map(|finding| finding.payout_id.as_ref());
        let text = format!(
            "the history is not what was written, in {} places",
            verified.proofs
        );
        let code = AlertCode::HistoryBroken;
        let found = (verified.proofs > 0).then(|| Found {
            count: Some(i64::try_from(verified.proofs).unwrap_or(i64::MAX)),
            example: first.map(ToString::to_string),
            ..one_thing(code, text)
        });
        self.note(code, found);
    }

    fn stripe(&mut self, said: &AtStripe) -> Result<(), StoreError> {
        let due = self.store.pending_unheld()?;
        self.checkup.figures.due = due.count;
        self.checkup.figures.due_cents = due.amount_cents;
        let unreachable = AlertCode::StripeUnreachable;
        let (account, livemode, available) = match said {
            AtStripe::NotAsked(why) => {
                let what = format!("account and balance: {why}");
                self.checkup.not_looked.push(what);
                return Ok(());
            }
            AtStripe::Unreachable(why) => {
                let text = format!("Stripe could not be asked for account and balance: {why}");
                self.note(unreachable, Some(one_thing(unreachable, text)));
                return Ok(());
            }
            AtStripe::Answered {
                account,
                livemode,
                available_cents,
            } => (account, *livemode, available_cents),
        };
        self.note(unreachable, None);
        let other = self
            .store
            .stamp()?
            .filter(|stamp| stamp.account != *account || stamp.livemode != livemode);
        let differs = AlertCode::AccountDiffers;
        let found = other.as_ref().map(|stamp| {
            let text = format!(
                "the key belongs to account {account} in {} mode, the database to {} in {} mode",
                mode(livemode),
                stamp.account,
                mode(stamp.livemode)
            );
            one_thing(differs, text)
        });
        self.note(differs, found);
        match available {
            // Another account's balance says nothing.
            Ok(_) if other.is_some() => Ok(()),
            Ok(available) => self.balance(*available, &due),
            Err(why) => {
                self.checkup.not_looked.push(format!("the balance: {why}"));
                Ok(())
            }
        }
    }

    fn balance(&mut self, available_cents: i64, due: &Group) -> Result<(), StoreError> {
        self.checkup.figures.balance_cents = Some(available_cents);
        // What is on its way may still take its part, as `process` reckons too.
        let open_cents = self.store.attempts_open()?.amount_cents;
        let left_cents = available_cents
            .saturating_sub(open_cents)
            .saturating_sub(due.amount_cents);
        let on_its_way = if open_cents > 0 {
            format!(", of which {} is on its way,", self.money(open_cents))
        } else {
            String::new()
        };
        let text = format!(
            "the balance of {}{on_its_way} does not cover the {} due, {}",
            self.money(available_cents),
            payouts(due.count),
            self.money(due.amount_cents)
        );
        let code = AlertCode::BalanceShort;
        let found = (left_cents < 0).then(|| Found {
            count: Some(due.count),
            amount_cents: Some(left_cents.saturating_neg()),
            ..one_thing(code, text)
        });
        self.note(code, found);
        self.forecast(left_cents)
    }

    /// Whether what the due payouts leave of the balance covers what usually follows. Where
    /// they leave nothing, that is the news, and what was forecast is not gone.
    fn forecast(&mut self, left_cents: i64) -> Result<(), StoreError> {
        let over = self.terms.thresholds.forecast_over;
        if over.is_zero() {
            self.note(AlertCode::BalanceForecast, None);
            return Ok(());
        }
        if left_cents < 0 {
            return Ok(());
        }
        let paid = self
            .store
            .paid_of_created_since(self.terms.now.minus(FORECAST_FROM))?;
        let seconds = |duration: Duration| i128::from(duration.as_secs());
        let usual = i128::from(paid.amount_cents) * seconds(over) / seconds(FORECAST_FROM).max(1);
        let usual_cents = i64::try_from(usual).unwrap_or(i64::MAX);
        let text = format!(
            "what is due leaves {} of the balance, and {} is usually paid within {}",
            self.money(left_cents),
            self.money(usual_cents),
            in_words(over)
        );
        let code = AlertCode::BalanceForecast;
        let found = (left_cents < usual_cents).then(|| Found {
            amount_cents: Some(usual_cents.saturating_sub(left_cents)),
            ..one_thing(code, text)
        });
        self.note(code, found);
        Ok(())
    }
}

fn one_thing(code: AlertCode, text: String) -> Found {
    Found {
        code,
        text,
        count: None,
        amount_cents: None,
        example: None,
    }
}

fn about(code: AlertCode, text: String, group: &Group) -> Found {
    Found {
        count: Some(group.count),
        amount_cents: Some(group.amount_cents),
        example: group.example.clone(),
        ..one_thing(code, text)
    }
}

fn payouts(count: i64) -> String {
    counted(count, "payout")
}

fn counted(count: i64, what: &str) -> String {
    plural(usize::try_from(count).unwrap_or(usize::MAX), what)
}
