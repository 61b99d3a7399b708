//! Rows that other software wrote: it may have sent them under a key that nobody
//! here knows, so Stripe is searched for each before this tool sends it.
//!
//! Stretch by stretch of the queue, so that a million such rows need the memory of
//! one stretch: all transfers since the oldest row of a stretch, less the margin for
//! a platform's clock, are read once; what was read for one stretch is not read again
//! for the next, but for what appears late. A name that no row bore yet is kept: the
//! row may appear later.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;

use crate::failpoint::planted;
use crate::model::ids::PayoutId;
use crate::model::money::Currency;
use crate::model::payout::Payout;
use crate::model::time::{Clock, Time};
use crate::ops::adopt::{adopt_for_row, fits_row};
use crate::ops::event::Event;
use crate::ops::process::lookup::FAILED_SEARCHED;
use crate::ops::process::{ProcessError, Report, Session, Settings};
use crate::ops::search::{OddEntries, PAGES_MAX, Search};
use crate::ops::transfers::{FOREIGN_MARGIN, OVERLAP};
use crate::store::attempts::Recorded;
use crate::store::foreign::Stretch;
use crate::store::queue::{Mark, QueueFilter, QueueRequest, Searched};
use crate::store::{RunStamp, Store};
use crate::stripe::Transfer;
use crate::stripe::api::TransferQuery;

/// Searches Stripe for what other software may have sent of the queue.
#[derive(Debug)]
pub(super) struct ForeignSearch {
    search: Search,
    clock: Clock,
    currency: Currency,
    filter: QueueFilter,
    /// In whose name what is found is recorded; nobody's in a dry run.
    stamp: Option<RunStamp>,
    /// From when and up to when, by this machine's clock, transfers were read.
    read: Option<(Time, Time)>,
    /// Named by a transfer, and neither paid nor attempted by us when it was read.
    named: HashSet<PayoutId>,
}

/// What a search of one stretch gave.
#[derive(Default)]
pub(super) struct Outcome {
    /// What may be sent, and what not.
    pub(super) searched: Searched,
    /// Rows that a transfer names.
    found: Vec<Found>,
    /// What else needs a person.
    finding: Option<String>,
}

/// A row that a transfer names.
enum Found {
    Adopted {
        payout: PayoutId,
        amount_cents: i32,
        transfer: Box<Transfer>,
        recorded: Recorded,
    },
    /// A dry run records nothing.
    Told {
        payout: PayoutId,
        transfer: String,
    },
    Misfit {
        payout: PayoutId,
        what: String,
    },
}

type Running = Pin<Box<dyn Future<Output = (Box<ForeignSearch>, Result<Outcome, ProcessError>)>>>;

/// A search beside the sends: the claims wait for it, and what is claimed is sent meanwhile.
pub(super) enum Searching {
    Idle(Box<ForeignSearch>),
    Running(Running),
}

impl Searching {
    /// Searches for the stretch at which the queue waits, if it does not already.
    pub(super) fn behind(self, request: &QueueRequest) -> Self {
        let Self::Idle(mut search) = self else {
            return self;
        };
        let after = request.after.clone();
        Self::Running(Box::pin(async move {
            let outcome = search.behind(after).await;
            (search, outcome)
        }))
    }

    /// What was found; never, where nothing is searched for.
    pub(super) async fn done(&mut self) -> Result<Outcome, ProcessError> {
        let Self::Running(running) = self else {
            return std::future::pending().await;
        };
        let (search, outcome) = running.await;
        *self = Self::Idle(search);
        outcome
    }
}

impl Session {
    /// Searches for what other software has in hand or failed, and for the first
    /// stretch of the queue.
    pub(super) async fn search_foreign_first(
        &mut self,
        stamp: Option<&RunStamp>,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), ProcessError> {
        self.foreign.stamp = stamp.cloned();
        let mut stretch = self.foreign.stretch(None).await?;
        let failed_since = self.clock.now().minus(FAILED_SEARCHED);
        let begun = self
            .db
            .call(move |store| store.foreign_begun_since(failed_since))
            .await?;
        stretch.since = stretch.since.into_iter().chain(begun).min();
        if let Some(since) = stretch.since {
            let since = self.foreign.from(since);
            events(Event::Note(format!(
                "searching Stripe since {since} for payouts created by other software"
            )));
        }
        let outcome = self.foreign.look_up(stretch).await?;
        self.take_in_foreign(outcome, events);
        Ok(())
    }

    /// Searches for the stretch of the queue behind a row.
    pub(super) async fn search_foreign_behind(
        &mut self,
        after: Option<Mark>,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), ProcessError> {
        let outcome = self.foreign.behind(after).await?;
        self.take_in_foreign(outcome, events);
        Ok(())
    }

    fn take_in_foreign(&mut self, outcome: Outcome, events: &mut dyn FnMut(Event)) {
        self.in_doubt.extend(self.report.foreign(&outcome, events));
        self.searched = Arc::new(outcome.searched);
    }
}

impl ForeignSearch {
    /// A search that has not begun, in nobody's name.
    pub(super) fn new(search: Search, clock: Clock, settings: &Settings) -> Self {
        Self {
            search,
            clock,
            currency: settings.currency,
            filter: settings.filter.clone(),
            stamp: None,
            read: None,
            named: HashSet::new(),
        }
    }

    /// Searches for the stretch of the queue behind a row.
    pub(super) async fn behind(&mut self, after: Option<Mark>) -> Result<Outcome, ProcessError> {
        let stretch = self.stretch(after).await?;
        self.look_up(stretch).await
    }

    async fn stretch(&self, after: Option<Mark>) -> Result<Stretch, ProcessError> {
        let filter = self.filter.clone();
        let stretch = move |store: &mut Store| store.foreign_stretch(&filter, after.as_ref());
        Ok(self.search.db.call(stretch).await?)
    }

    /// From when on transfers may have paid a row of this age. Other software may
    /// have stamped it in a local time, or ahead of us.
    fn from(&self, created_at: Time) -> Time {
        created_at.min(self.clock.now()).minus(FOREIGN_MARGIN)
    }

    async fn look_up(&mut self, stretch: Stretch) -> Result<Outcome, ProcessError> {
        let Some(oldest) = stretch.since else {
            return Ok(Outcome::default());
        };
        let mut outcome = Outcome::default();
        if planted!("others_not_looked_up") {
            outcome.searched.clear.extend(stretch.clean);
            return Ok(outcome);
        }
        let (since, begun) = (self.from(oldest), self.clock.now());
        let (from, known_since) = match self.read {
            Some((read_from, read_at)) if read_from <= since => (read_at.minus(OVERLAP), read_from),
            _ => (since, since),
        };
        let (mut naming, complete) = self.transfers_naming(from).await?;
        for (payout, destination) in self.open_among(&naming).await? {
            let transfers = naming.remove(&payout.id).unwrap_or_default();
            outcome.found.push(
                self.judge(payout, destination.as_deref(), transfers)
                    .await?,
            );
        }
        self.keep_names(naming).await?;
        if complete {
            self.read = Some((known_since, begun));
        } else {
            outcome.finding = Some(format!(
                "Stripe holds more than {PAGES_MAX} pages of transfers since {from}: too many to search for \
                 payouts of other software, so none of them is sent"
            ));
        }
        let clear = |payout: &PayoutId| complete && !self.named.contains(payout);
        (outcome.searched.clear, outcome.searched.doubtful) =
            stretch.clean.into_iter().partition(clear);
        Ok(outcome)
    }

    /// The transfers since then, by the payout they name, and whether these are all.
    async fn transfers_naming(
        &self,
        from: Time,
    ) -> Result<(HashMap<PayoutId, Vec<Transfer>>, bool), ProcessError> {
        let query = TransferQuery {
            created_from: Some(from),
            ..TransferQuery::default()
        };
        let mut naming: HashMap<PayoutId, Vec<Transfer>> = HashMap::new();
        let complete = self
            .search
            .pages(&query, OddEntries::PassAccepted, async |transfers| {
                for transfer in transfers {
                    if let Some(payout) = transfer.payout_named() {
                        naming
                            .entry(PayoutId::new(payout))
                            .or_default()
                            .push(transfer);
                    }
                }
                Ok(())
            })
            .await?;
        Ok((naming, complete))
    }

    /// Those of the named rows that are not paid and never were attempted by us.
    async fn open_among(
        &self,
        naming: &HashMap<PayoutId, Vec<Transfer>>,
    ) -> Result<Vec<(Payout, Option<String>)>, ProcessError> {
        let ids: Vec<PayoutId> = naming.keys().cloned().collect();
        Ok(self
            .search
            .db
            .call(move |store| store.foreign_open(&ids))
            .await?)
    }

    /// Keeps the names that are no row's yet; what we attempted is the ledger's matter.
    async fn keep_names(
        &mut self,
        naming: HashMap<PayoutId, Vec<Transfer>>,
    ) -> Result<(), ProcessError> {
        let ids: Vec<PayoutId> = naming.into_keys().collect();
        self.named.extend(ids.iter().cloned());
        let attempted = move |store: &mut Store| store.attempted_among(&ids);
        for payout in self.search.db.call(attempted).await? {
            self.named.remove(&payout);
        }
        Ok(())
    }

    /// One transfer that fits is the row's; anything else is for a person.
    async fn judge(
        &mut self,
        payout: Payout,
        destination: Option<&str>,
        transfers: Vec<Transfer>,
    ) -> Result<Found, ProcessError> {
        let (id, amount_cents) = (payout.id.clone(), payout.amount_cents);
        let (currency, livemode) = (self.currency, self.search.livemode);
        let transfer = match transfers.as_slice() {
            [transfer] if fits_row(&payout, destination, transfer, currency, livemode) => transfer,
            several => {
                let ids: Vec<&str> = several.iter().map(|t| t.id.as_str()).collect();
                let what = format!("is named by {}, which does not fit it", ids.join(", "));
                return Ok(Found::Misfit { payout: id, what });
            }
        };
        let Some(stamp) = self.stamp.clone() else {
            let transfer = transfer.id.clone();
            return Ok(Found::Told {
                payout: id,
                transfer,
            });
        };
        match adopt_for_row(&self.search.db, stamp, payout, transfer).await {
            // Such as a transfer that another row holds: this payout's trouble, not the run's.
            Err(error) if error.is_refusal() => Ok(Found::Misfit {
                payout: id,
                what: format!(
                    "is named by {}, which could not be recorded: {}",
                    transfer.id,
                    error.with_cause()
                ),
            }),
            recorded => Ok(Found::Adopted {
                payout: id,
                amount_cents,
                transfer: Box::new(transfer.clone()),
                recorded: recorded?,
            }),
        }
    }
}

impl Report {
    /// Counts and tells what was found. Returns the payouts that a look-up spoke against.
    pub(super) fn foreign(
        &mut self,
        outcome: &Outcome,
        events: &mut dyn FnMut(Event),
    ) -> Vec<PayoutId> {
        self.findings.extend(outcome.finding.clone());
        let mut in_doubt = Vec::new();
        for found in &outcome.found {
            match found {
                Found::Adopted {
                    payout,
                    amount_cents,
                    transfer,
                    recorded,
                } => self.adopted(payout, *amount_cents, transfer, recorded.clone(), events),
                Found::Told { payout, transfer } => {
                    tell_only(payout, transfer, events);
                    in_doubt.push(payout.clone());
                }
                Found::Misfit { payout, what } => {
                    self.alarms
                        .push(format!("payout {payout} of other software {what}"));
                    in_doubt.push(payout.clone());
                }
            }
        }
        in_doubt
    }

    /// Counts and tells a payout whose transfer was found.
    pub(super) fn adopted(
        &mut self,
        payout: &PayoutId,
        amount_cents: i32,
        transfer: &Transfer,
        recorded: Recorded,
        events: &mut dyn FnMut(Event),
    ) {
        match recorded {
            Recorded::Alarm(reason) => {
                self.alarms.push(reason.clone());
                self.stays_unresolved(payout, amount_cents, reason);
                return;
            }
            Recorded::Already | Recorded::NotOurs => return,
            Recorded::Finding(reason) => self.findings.push(reason),
            Recorded::Done => {}
        }
        self.adopted += 1;
        self.adopted_cents = self.adopted_cents.saturating_add(i64::from(amount_cents));
        self.newest_transfer = self.newest_transfer.max(Some(transfer.created));
        events(Event::Note(format!(
            "payout {payout} was paid by {}: found at Stripe",
            transfer.id
        )));
    }
}

/// A dry run tells what a run would record.
pub(super) fn tell_only(payout: &PayoutId, transfer: &str, events: &mut dyn FnMut(Event)) {
    events(Event::Note(format!(
        "payout {payout} was paid by {transfer}: a run will record it"
    )));
}
