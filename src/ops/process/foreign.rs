//! Rows that other software wrote: it may have sent them under a key that nobody
//! here knows, so Stripe is searched for each before this tool sends it.
//!
//! First for the beginning of the queue, before anything is sent; then, beside the
//! sends, for the rest of it: the claims wait where they meet a row that is not
//! searched for yet. A row counts as searched for when all transfers since it was
//! created, less the margin for a platform's clock, were read after it was seen in
//! the table. What appears later waits for the next run.
//!
//! Reading and recording are apart: a read can be given up at any moment, and what
//! was recorded is always told.

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
use crate::ops::process::jobs::patiently;
use crate::ops::process::lookup::FAILED_SEARCHED;
use crate::ops::process::{Report, Session, Settings};
use crate::ops::run_error::RunError;
use crate::ops::search::{OddEntries, PAGES_MAX, Search};
use crate::ops::transfers::{OVERLAP, foreign_since};
use crate::store::foreign::Stretch;
use crate::store::queue::{Mark, QueueFilter, Searched};
use crate::store::settle::Recorded;
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
    searched: Searched,
    /// Up to here the queue was looked at.
    after: Option<Mark>,
    /// All transfers were read from here to there, by Stripe's clock.
    read: Option<(Time, Time)>,
    /// Named by a transfer, and not attempted by us, when it was read: rows that
    /// appear later among them. What is named is not sent by this run.
    named: HashSet<PayoutId>,
}

/// What Stripe holds that may have paid a stretch of the queue.
pub(super) struct Listing {
    stretch: Stretch,
    /// Since when everything is known.
    since: Time,
    /// Only what was created from here on was read just now.
    from: Time,
    /// The transfers, by every payout they name.
    naming: HashMap<PayoutId, Vec<Transfer>>,
    /// The last of them; none where there was none.
    newest: Option<Time>,
    /// There were no more pages than may be read.
    complete: bool,
}

/// What a search came to.
pub(super) struct Outcome {
    /// What may be sent by now.
    pub(super) searched: Searched,
    /// Rows that a transfer names.
    matches: Vec<Match>,
    /// What else needs a person.
    finding: Option<String>,
    /// Why it ended early.
    pub(super) failed: Option<RunError>,
}

/// A row that a transfer names.
struct Match {
    payout: PayoutId,
    what: Matched,
}

enum Matched {
    Adopted {
        amount_cents: i32,
        transfer: Box<Transfer>,
        recorded: Recorded,
    },
    /// A dry run would record it.
    WouldAdopt {
        transfer: String,
    },
    Misfit(String),
    /// The same of a payout that a person has cancelled.
    MisfitOfCancelled(String),
}

type Running = Pin<Box<dyn Future<Output = (Box<ForeignSearch>, Result<Listing, RunError>)>>>;

/// A search beside the sends.
pub(super) enum Searching {
    Idle,
    Running(Running),
}

impl Searching {
    /// Begins to read what is left of the queue.
    pub(super) fn of_the_rest(search: ForeignSearch) -> Self {
        if search.searched.complete {
            return Self::Idle;
        }
        let mut search = Box::new(search);
        Self::Running(Box::pin(async move {
            let listing = search.read_rest().await;
            (search, listing)
        }))
    }

    /// Nothing is being read.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    /// Waits for what is read; for ever, where nothing is.
    pub(super) async fn read(&mut self) -> (Box<ForeignSearch>, Result<Listing, RunError>) {
        match self {
            Self::Running(running) => running.await,
            Self::Idle => std::future::pending().await,
        }
    }
}

impl Session {
    /// Searches for what other software has in hand or failed, and for the beginning
    /// of the queue.
    pub(super) async fn search_foreign_first(
        &mut self,
        stamp: Option<&RunStamp>,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), RunError> {
        self.foreign.stamp = stamp.cloned();
        let mut stretch = self.foreign.stretch(None).await?;
        let failed_since = self.clock.now().minus(FAILED_SEARCHED);
        let in_hand = self
            .db
            .call(move |store| store.foreign_in_hand_since(failed_since))
            .await?;
        stretch.since = stretch.since.into_iter().chain(in_hand).min();
        if let Some(oldest) = stretch.since {
            let since = foreign_since(oldest, self.clock.now());
            events(Event::Note(format!(
                "searching Stripe since {since} for payouts created by other software"
            )));
        }
        let listing = self.foreign.list(stretch).await?;
        self.record_foreign(listing, events).await
    }

    /// Searches for the rest of the queue.
    pub(super) async fn search_foreign_rest(
        &mut self,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), RunError> {
        let listing = self.foreign.read_rest().await?;
        self.record_foreign(listing, events).await
    }

    /// Forgets what was found clear: while a person read the plan, other software may
    /// have sent it.
    pub(super) fn search_foreign_again(&mut self) {
        self.foreign.searched = Searched::default();
        self.foreign.after = None;
        self.searched = Arc::default();
    }

    async fn record_foreign(
        &mut self,
        listing: Listing,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), RunError> {
        let outcome = self.foreign.record(listing).await;
        self.in_doubt.extend(self.report.foreign(&outcome, events));
        self.searched = Arc::new(outcome.searched);
        outcome.failed.map_or(Ok(()), Err)
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
            searched: Searched::default(),
            after: None,
            read: None,
            named: HashSet::new(),
        }
    }

    /// Reads what may have paid the rest of the queue.
    async fn read_rest(&mut self) -> Result<Listing, RunError> {
        let mut rest = self.stretch(self.after.clone()).await?;
        while let Some(after) = rest.until.take() {
            let next = self.stretch(Some(after)).await?;
            rest.since = rest.since.into_iter().chain(next.since).min();
            rest.clean.extend(next.clean);
            rest.until = next.until;
        }
        self.list(rest).await
    }

    async fn stretch(&self, after: Option<Mark>) -> Result<Stretch, RunError> {
        let filter = self.filter.clone();
        let stretch = move |store: &mut Store| store.foreign_stretch(&filter, after.as_ref());
        Ok(patiently(&self.search.db, &self.clock, stretch).await?)
    }

    /// Reads all transfers since the oldest row of a stretch. What was read before is
    /// not read again, but for what appears late.
    async fn list(&self, stretch: Stretch) -> Result<Listing, RunError> {
        let now = self.clock.now();
        let since = stretch
            .since
            .map_or(now, |oldest| foreign_since(oldest, now));
        let mut listing = Listing {
            since,
            from: since,
            naming: HashMap::new(),
            newest: None,
            complete: true,
            stretch,
        };
        if listing.stretch.since.is_none() || planted!("others_not_looked_up") {
            return Ok(listing);
        }
        if let Some((read_since, read_until)) = self.read
            && read_since <= since
        {
            (listing.since, listing.from) = (read_since, read_until.minus(OVERLAP));
        }
        let query = TransferQuery {
            created_from: Some(listing.from),
            ..TransferQuery::default()
        };
        listing.complete = self
            .search
            .pages(&query, OddEntries::PassAccepted, async |transfers| {
                for transfer in transfers {
                    listing.newest = listing.newest.max(Some(transfer.created));
                    for payout in transfer.payouts_named() {
                        let naming = listing.naming.entry(PayoutId::new(payout)).or_default();
                        naming.push(transfer.clone());
                    }
                }
                Ok(())
            })
            .await?;
        Ok(listing)
    }

    /// Records whose transfers were found, and lets be sent what none names.
    pub(super) async fn record(&mut self, mut listing: Listing) -> Outcome {
        let mut matches = Vec::new();
        let recorded = self.record_matches(&mut listing, &mut matches).await;
        let mut finding = None;
        if recorded.is_ok() {
            self.after = listing.stretch.until.take();
            self.searched.complete = self.after.is_none() || !listing.complete;
            if listing.complete {
                self.let_go(&listing);
            } else {
                finding = Some(format!(
                    "Stripe holds more than {PAGES_MAX} pages of transfers since {}: too many to search for \
                     payouts of other software, so they are not sent",
                    listing.from
                ));
            }
        }
        Outcome {
            searched: self.searched.clone(),
            matches,
            finding,
            failed: recorded.err(),
        }
    }

    /// Lets be sent what no transfer names.
    fn let_go(&mut self, listing: &Listing) {
        if let Some(newest) = listing.newest {
            self.read = Some((listing.since, newest));
        }
        let named = &self.named;
        let clean = listing.stretch.clean.iter();
        self.searched
            .extend(clean.filter(|id| !named.contains(*id)));
    }

    async fn record_matches(
        &mut self,
        listing: &mut Listing,
        matches: &mut Vec<Match>,
    ) -> Result<(), RunError> {
        let ids: Vec<PayoutId> = listing.naming.keys().cloned().collect();
        let (asked, attempted) = (ids.clone(), ids.clone());
        let db = self.search.db.clone();
        let open = db.call(move |store| store.foreign_open(&asked)).await?;
        // What we attempted is the ledger's matter.
        let attempted = db
            .call(move |store| store.attempted_among(&attempted))
            .await?;
        let ids_open = open
            .iter()
            .map(|(payout, _)| payout.id.clone())
            .collect::<Vec<_>>();
        let decided = db.call(move |store| store.decided_among(&ids_open)).await?;
        let known = self.named.clone();
        self.named
            .extend(ids.into_iter().filter(|id| !attempted.contains(id)));
        for (payout, destination) in open {
            let transfers = listing.naming.remove(&payout.id).unwrap_or_default();
            // Named before, so that what was read just now is not all of it; or older than
            // what was read. The next run reads all of it.
            let reached = listing.since <= foreign_since(payout.created_at, self.clock.now());
            if known.contains(&payout.id) || !listing.complete || !reached {
                continue;
            }
            let id = payout.id.clone();
            let accepted = |transfer: &Transfer| {
                let named = (id.clone(), transfer.id.clone());
                decided.accepted.contains(&named)
            };
            // A person has said why it stays as it is; that keeps it from being sent.
            if transfers.iter().all(accepted) {
                continue;
            }
            let judged = self
                .judge(payout, destination.as_deref(), &transfers)
                .await?;
            let what = match judged {
                Matched::Misfit(how) if decided.cancelled.contains(&id) => {
                    Matched::MisfitOfCancelled(how)
                }
                judged => judged,
            };
            matches.push(Match { payout: id, what });
        }
        Ok(())
    }

    /// One transfer that fits is the row's; anything else is for a person.
    async fn judge(
        &self,
        payout: Payout,
        destination: Option<&str>,
        transfers: &[Transfer],
    ) -> Result<Matched, RunError> {
        let amount_cents = payout.amount_cents;
        let (currency, livemode) = (self.currency, self.search.livemode);
        let transfer = match transfers {
            // By its group alone while its metadata names another: whose it is, is not proven.
            [transfer]
                if transfer.payout_named() == Some(payout.id.as_str())
                    && fits_row(&payout, destination, transfer, currency, livemode) =>
            {
                transfer
            }
            several => {
                let ids: Vec<&str> = several.iter().map(|t| t.id.as_str()).collect();
                return Ok(Matched::Misfit(format!(
                    "is named by {}, which does not fit it",
                    ids.join(", ")
                )));
            }
        };
        let Some(stamp) = self.stamp.clone() else {
            let transfer = transfer.id.clone();
            return Ok(Matched::WouldAdopt { transfer });
        };
        match adopt_for_row(&self.search.db, stamp, payout, transfer).await {
            // Such as a transfer that another row holds: this payout's trouble, not the run's.
            Err(error) if error.is_refusal() => Ok(Matched::Misfit(format!(
                "is named by {}, which could not be recorded: {}",
                transfer.id,
                error.with_cause()
            ))),
            recorded => Ok(Matched::Adopted {
                amount_cents,
                transfer: Box::new(transfer.clone()),
                recorded: recorded?,
            }),
        }
    }
}

impl Report {
    /// Counts and tells what was found. Returns the payouts that a transfer names.
    pub(super) fn foreign(
        &mut self,
        outcome: &Outcome,
        events: &mut dyn FnMut(Event),
    ) -> Vec<PayoutId> {
        self.findings.extend(outcome.finding.clone());
        for Match { payout, what } in &outcome.matches {
            match what {
                Matched::Adopted {
                    amount_cents,
                    transfer,
                    recorded,
                } => self.adopted(payout, *amount_cents, transfer, recorded.clone(), events),
                Matched::WouldAdopt { transfer } => tell_only(payout, transfer, events),
                Matched::Misfit(how) => self.alarms.push(format!(
                    "payout {payout} of other software {how}: `payouts reconcile` says what to do"
                )),
                Matched::MisfitOfCancelled(how) => self.findings.push(format!(
                    "payout {payout} of other software {how}, and was cancelled: `payouts reconcile` takes why that is so"
                )),
            }
        }
        let matches = outcome.matches.iter();
        matches.map(|found| found.payout.clone()).collect()
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
            Recorded::Already | Recorded::NotOurs | Recorded::Waits(_) => return,
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
