//! Paying what is due: exactly once, whatever happens in between.
//!
//! One run goes through the same steps every time:
//!
//! 1. [`Session::open`]: the key's account and mode must be the ones this
//!    database is stamped with; then the rollback guard.
//! 2. [`Session::resolve_earlier`]: attempts that an earlier run left open are looked up at Stripe.
//!    What is found is adopted; what is not may go out again under its own key.
//! 3. [`Session::plan`], where a person is there to see it.
//! 4. [`Session::execute`], with a `Consent`: claim, send, record, until the
//!    queue is empty or going on cannot help.
//!
//! The decisions are pure functions: `verdict` (what answers prove), `gate`
//! (whether a send may happen now), `model::payout::may_send` (whether a payout
//! may be paid). The loop in `send` only carries them out, each attempt by `carry`,
//! everything that is written by `jobs`.

mod carry;
mod foreign;
mod gate;
mod guard;
mod jobs;
mod lookup;
mod plan;
mod send;
pub mod verdict;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::ids::PayoutId;
use crate::model::money::Currency;
use crate::model::payout::{SendRules, Skip};
use crate::model::run::Holder;
use crate::model::time::{Clock, Time};
use crate::ops::account::{account_of_this_database, skew};
use crate::ops::event::Event;
use crate::ops::events::apply::apply_pending;
use crate::ops::events::suggest::suggestions;
use crate::ops::pace::Pace;
use crate::ops::reconcile::examine::Examiner;
use crate::ops::reconcile::judge::Terms;
use crate::ops::run_error::{RunError, plural};
use crate::ops::search::Search;
use crate::ops::transfers::TransferReader;
use crate::store::Store;
use crate::store::queue::{QueueFilter, Searched};
use crate::store::thread::StoreThread;
use crate::store::{RunStamp, StoreError};
use crate::stripe::Stripe;
use foreign::ForeignSearch;
use guard::Guard;
use lookup::Resend;

pub use plan::{Plan, PlanCreator, PlanRow, SkippedGroup, WarningGroup};

/// How a run is asked for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which part of the queue.
    pub filter: QueueFilter,
    /// Limits and permissions.
    pub rules: SendRules,
    /// At most this many payouts.
    pub payouts_max: u64,
    /// At most this much, minor units.
    pub total_max_cents: i64,
    /// The most that this run may pay, whatever it was asked for, minor units.
    pub run_max_cents: Option<i64>,
    /// The most that all runs of a UTC day may pay, minor units.
    pub day_max_cents: Option<i64>,
    /// In flight at once.
    pub concurrency: usize,
    /// Sends per second; none is unlimited.
    pub rate: Option<u32>,
    /// See `PAYOUTS_LEASE`.
    pub lease: Duration,
    /// A plan warns of amounts further from the creator's median than this many times the
    /// usual spread.
    pub unusual_times: u32,
    /// The database's one currency.
    pub currency: Currency,
}

impl Settings {
    /// At most this much, minor units: what was asked for, and no more than a run may pay.
    pub fn most_cents(&self) -> i64 {
        self.total_max_cents
            .min(self.run_max_cents.unwrap_or(i64::MAX))
    }

    /// Whether a run that takes no more stops at its own limit, rather than at what it
    /// was asked for.
    fn limits_itself(&self) -> bool {
        self.run_max_cents
            .is_some_and(|most| most < self.total_max_cents)
    }
}

/// A limit that keeps payouts from being sent that are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitReached {
    /// `PAYOUTS_MAX_RUN_TOTAL_CENTS`.
    Run,
    /// `PAYOUTS_MAX_DAY_TOTAL_CENTS`.
    Day,
}

impl LimitReached {
    /// The fixed word that scripts read.
    pub fn code(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Day => "day",
        }
    }
}

/// A payout whose outcome stays unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// Which.
    pub payout_id: PayoutId,
    /// Minor units.
    pub amount_cents: i32,
    /// What is known.
    pub reason: String,
}

/// A payout that failed in this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub payout_id: PayoutId,
    /// Minor units.
    pub amount_cents: i32,
    /// Stripe's code.
    pub code: Option<String>,
    /// HTTP status of Stripe's answer.
    pub http_status: Option<i32>,
    /// Stripe's words.
    pub reason: String,
}

/// Why a run ended before the queue was empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// SIGINT or SIGTERM.
    Signal,
    /// The kill switch.
    Switch,
    /// The balance does not cover the next payout, minor units.
    Balance {
        /// What the next payout needs; none when Stripe itself said no.
        needed_cents: Option<i64>,
        /// What is available, less what is on its way.
        available_cents: Option<i64>,
    },
    /// Stripe refuses the key, the account or the request.
    Refused(String),
    /// Stripe cannot be reached.
    Unreachable(String),
    /// Too many outcomes in a row are unknown.
    TooManyUnknown,
    /// This run gave no sign of life for longer than its lease.
    LeaseLost,
    /// The database went away.
    Database(String),
    /// The database takes nothing more: no room, or no permission.
    Unwritable(String),
    /// A bug in this program.
    Bug(String),
}

impl Stop {
    /// What an error of the database does to a run.
    fn at(error: &StoreError) -> Self {
        match error {
            StoreError::Full { .. } => Self::Unwritable(error.with_cause()),
            _ => Self::Database(error.to_string()),
        }
    }
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Paid by this run's own sends.
    pub paid: u64,
    /// Their sum, minor units.
    pub paid_cents: i64,
    /// Found paid at Stripe.
    pub adopted: u64,
    /// Their sum, minor units.
    pub adopted_cents: i64,
    /// A definite no.
    pub failed: u64,
    /// Their sum, minor units.
    pub failed_cents: i64,
    /// The first of them; see [`FAILURES_KEPT`].
    pub failures: Vec<Failure>,
    /// Given back: nothing of them was executed.
    pub returned: u64,
    /// Their sum, minor units.
    pub returned_cents: i64,
    /// Outcome unknown at the end of this run.
    pub unresolved: Vec<Unresolved>,
    /// Left alone, by reason: how many and minor units.
    pub skipped: BTreeMap<Skip, (u64, i64)>,
    /// Where Stripe and the table do not fit together.
    pub alarms: Vec<String>,
    /// What else needs a person.
    pub findings: Vec<String>,
    /// PROCESSING rows of other software.
    pub foreign_processing: u64,
    /// Other runs that hold payouts: left to them.
    pub holders: Vec<Holder>,
    /// The limit at which it took no more, although more is due.
    pub limit: Option<LimitReached>,
    /// Why it ended early.
    pub stop: Option<Stop>,
    /// The newest transfer that was recorded.
    pub(crate) newest_transfer: Option<Time>,
}

/// Suggestions told by a run; `payouts events list` has all.
const SUGGESTED: usize = 10;

/// Failures kept for the summary; the rest is counted.
pub const FAILURES_KEPT: usize = 1000;

impl Report {
    pub(super) fn stays_unresolved(
        &mut self,
        payout: &PayoutId,
        amount_cents: i32,
        reason: String,
    ) {
        self.unresolved.push(Unresolved {
            payout_id: payout.clone(),
            amount_cents,
            reason,
        });
    }

    pub(super) fn skip(&mut self, reason: Skip, amount_cents: i32) {
        let entry = self.skipped.entry(reason).or_default();
        entry.0 += 1;
        entry.1 = entry.1.saturating_add(i64::from(amount_cents));
    }
}

/// A run between its opening and its end.
#[derive(Debug)]
pub struct Session {
    db: StoreThread,
    stripe: Arc<Stripe>,
    clock: Clock,
    settings: Settings,
    account: String,
    livemode: bool,
    database_id: String,
    /// How far Stripe's clock is ahead of this machine's.
    stripe_ahead_millis: i64,
    pace: Arc<Pace>,
    resends: Vec<Resend>,
    foreign: ForeignSearch,
    /// Of the stretch of the queue that was searched last.
    searched: Arc<Searched>,
    /// What the rollback guard has seen.
    guard: Guard,
    /// Nothing could be sent when this run began: its guard went on from another's, and what
    /// has become due since waits for the next run.
    idle: bool,
    /// Payouts that a look-up spoke against, or found paid.
    in_doubt: HashSet<PayoutId>,
    /// What was done so far.
    pub report: Report,
}

impl Session {
    /// Opens a run: account and mode, clocks, the rollback guard. Only reads.
    pub async fn open(
        db: StoreThread,
        stripe: Arc<Stripe>,
        clock: Clock,
        settings: Settings,
        events: &mut dyn FnMut(Event),
    ) -> Result<Self, RunError> {
        let pace = Arc::new(Pace::new(&clock, settings.rate));
        let reader = TransferReader::new(Arc::clone(&stripe), Arc::clone(&pace));
        let livemode = stripe.livemode();
        let (account, date) = account_of_this_database(&db, &reader, livemode).await?;
        let stripe_ahead_millis = skew(&clock, date, events)?;
        let (database_id, _) = db.call(Store::database_id).await?;
        let search = Search {
            db: db.clone(),
            reader,
            account: account.clone(),
            livemode,
        };
        let mut session = Self {
            foreign: ForeignSearch::new(search, clock.clone(), &settings),
            db,
            stripe,
            clock,
            settings,
            account,
            livemode,
            database_id,
            stripe_ahead_millis,
            pace,
            resends: Vec::new(),
            searched: Arc::default(),
            guard: Guard::new(Time::from_millis(0), Time::from_millis(0)),
            idle: false,
            in_doubt: HashSet::new(),
            report: Report::default(),
        };
        session.idle = !session.may_send().await?;
        session.guard().await?;
        Ok(session)
    }

    /// Resolves what earlier runs left open and looks up what other software
    /// wrote. Sends nothing; transfers that exist are adopted in the name of
    /// `stamp`, or only told where there is none, as in a dry run.
    pub async fn resolve_earlier(
        &mut self,
        stamp: Option<&RunStamp>,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), RunError> {
        if self.idle && self.db.call(Store::attempts_open).await?.count > 0 {
            // Another run has taken it since, and may have left it.
            self.guard_in_full().await?;
        }
        if !self.idle {
            self.resends = self.resolve(stamp, events).await?;
        }
        self.apply_events(stamp, events).await?;
        self.search_foreign_first(stamp, events).await?;
        self.surplus().await?;
        for payout in self.db.call(Store::processing_stuck).await? {
            self.report.alarms.push(format!(
                "payout {payout} is PROCESSING although all its attempts are settled: something else changed it"
            ));
        }
        let foreign = self.db.call(Store::foreign_processing).await?;
        self.report.foreign_processing = u64::try_from(foreign).unwrap_or(0);
        let (own, lease) = (stamp.map(|stamp| stamp.run_id.clone()), self.settings.lease);
        self.report.holders = self
            .db
            .call(move |store| store.attempts_holders(own.as_ref(), lease))
            .await?;
        Ok(())
    }

    /// Applies events that wait, behind what the look-ups recorded, and tells what
    /// they say of the accounts to be paid.
    async fn apply_events(
        &mut self,
        stamp: Option<&RunStamp>,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), RunError> {
        if let Some(stamp) = stamp {
            let terms = Terms {
                currency: self.settings.currency,
                livemode: self.livemode,
                database_id: self.database_id.clone(),
            };
            let (db, lease) = (self.db.clone(), self.settings.lease);
            let examiner = Examiner::new(db, Some(self.reader()), terms, stamp.clone(), lease);
            let applied = apply_pending(&examiner, events).await?;
            for (kind, count) in applied.kinds {
                let told = format!(
                    "{kind}: {}, by {}; `payouts reconcile` says more",
                    kind.meaning(),
                    plural(usize::try_from(count).unwrap_or(usize::MAX), "event")
                );
                if kind.is_alarm() {
                    self.report.alarms.push(told);
                } else {
                    self.report.findings.push(told);
                }
            }
        }
        let suggested = self.db.call(|store| suggestions(store, None)).await?;
        for suggestion in suggested.iter().take(SUGGESTED) {
            events(Event::Note(suggestion.in_words()));
        }
        Ok(())
    }

    /// What Stripe's clock says.
    fn stripe_now(&self) -> Time {
        self.clock.now().on_clock_ahead(self.stripe_ahead_millis)
    }

    /// Looks for what may have paid a payout.
    fn search(&self) -> Search {
        Search {
            db: self.db.clone(),
            reader: self.reader(),
            account: self.account.clone(),
            livemode: self.livemode,
        }
    }

    /// Reads at Stripe, at this run's pace.
    fn reader(&self) -> TransferReader {
        TransferReader::new(Arc::clone(&self.stripe), Arc::clone(&self.pace))
    }

    /// The platform's Stripe account.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Real money.
    pub fn livemode(&self) -> bool {
        self.livemode
    }

    /// The currency of every amount.
    pub fn currency(&self) -> Currency {
        self.settings.currency
    }
}
