//! Looking at Stripe before anything is sent: the rollback guard, attempts that
//! nobody knows about, and rows that other software wrote.
//!
//! An empty look-up proves nothing: the request may still be running. It only
//! allows the same bytes to go out again under the same key. It is empty only when
//! nothing bears the attempt's group and nothing names its payout, since what hangs
//! is sometimes paid by hand.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::failpoint::planted;
use crate::model::attempt::Attempt;
use crate::model::ids::PayoutId;
use crate::model::lookup::{LookUp, LookUpFinding};
use crate::model::payout::{Payout, may_send};
use crate::model::time::Time;
use crate::ops::adopt::{adopt_for_attempt, adopt_for_row, fits_row};
use crate::ops::event::Event;
use crate::ops::process::verdict::{KEY_AGE_MAX, key_is_young};
use crate::ops::process::{ProcessError, Session, Unresolved, gate};
use crate::ops::reconcile::judge::is_taken_back;
use crate::ops::search::{Found, OddEntries, PAGES_MAX};
use crate::ops::transfers::{FOREIGN_MARGIN, OVERLAP};
use crate::store::RunStamp;
use crate::store::Store;
use crate::store::attempts::{Recorded, Resolution, Settlement};
use crate::store::doubt::DoubtTerms;
use crate::store::foreign::{NamedTransfer, Unremembered};
use crate::stripe::Transfer;
use crate::stripe::api::TransferQuery;

/// A row that other software marked as failed is searched for this long after its
/// last change; `reconcile` looks as far back as a person says.
pub(in crate::ops) const FAILED_SEARCHED: Duration = Duration::from_secs(35 * 86_400);
/// Unresolved attempts read at once.
const UNRESOLVED_PAGE: i64 = 200;
/// Attempts parked as unknown this long ago are looked up while their run lives.
const PARKED: Duration = Duration::from_secs(600);

/// An attempt that goes out again: same bytes, same key.
#[derive(Debug, Clone)]
pub(super) struct Resend {
    /// The attempt, still in the hands of the run that left it.
    pub(super) attempt: Attempt,
    pub(super) belongs: gate::Belongs,
}

impl Session {
    /// Refuses to send from a database that has forgotten payments: a restored
    /// backup, a lost fail-over, a copy. Keeps what names a payout with an open
    /// attempt, for the look-up of that attempt.
    pub(super) async fn guard(&mut self) -> Result<(), ProcessError> {
        if planted!("guard_off") {
            return Ok(());
        }
        let from = self.db.call(Store::watermark).await?.minus(OVERLAP);
        let query = TransferQuery {
            created_from: Some(from),
            ..TransferQuery::default()
        };
        let mut forgotten = Vec::new();
        let mut in_doubt: HashMap<PayoutId, Vec<Transfer>> = HashMap::new();
        let complete = self
            .search()
            .pages(&query, OddEntries::PassAccepted, async |transfers| {
                let named = transfers.iter().map(|t| self.named(t)).collect::<Vec<_>>();
                let unremembered = self
                    .db
                    .call(move |store| store.transfers_unremembered(&named))
                    .await?;
                for (transfer, unremembered) in transfers.into_iter().zip(unremembered) {
                    match unremembered {
                        None => {}
                        Some(Unremembered::Forgotten) => forgotten.push(transfer.id),
                        Some(Unremembered::InDoubt(payout)) => {
                            in_doubt.entry(payout).or_default().push(transfer);
                        }
                    }
                }
                Ok(())
            })
            .await?;
        self.guard_saw = in_doubt;
        if !forgotten.is_empty() {
            return Err(ProcessError::Forgotten {
                transfers: forgotten,
            });
        }
        if !complete {
            return Err(ProcessError::TooManyTransfers {
                pages: PAGES_MAX,
                since: from,
            });
        }
        Ok(())
    }

    fn named(&self, transfer: &Transfer) -> NamedTransfer {
        NamedTransfer {
            transfer_id: transfer.id.clone(),
            payout_id: transfer.payout_named().map(PayoutId::new),
            of_this_database: transfer.metadata.get("database") == Some(&self.database_id),
            taken_back: transfer.amount_reversed >= transfer.amount,
        }
    }

    /// Looks up every attempt whose run is over. Transfers that are found are
    /// adopted; what may go out again is returned; the rest stays unresolved.
    pub(super) async fn resolve(
        &mut self,
        stamp: Option<&RunStamp>,
        events: &mut dyn FnMut(Event),
    ) -> Result<Vec<Resend>, ProcessError> {
        let mut resends = Vec::new();
        let mut after: Option<PayoutId> = None;
        loop {
            let own = stamp.map(|stamp| stamp.run_id.clone());
            let (lease, behind) = (self.settings.lease, after.clone());
            let open = self
                .db
                .call(move |store| {
                    store.attempts_unresolved(
                        own.as_ref(),
                        lease,
                        PARKED,
                        behind.as_ref(),
                        UNRESOLVED_PAGE,
                    )
                })
                .await?;
            let Some(last) = open.last_looked_at else {
                return Ok(resends);
            };
            for attempt in open.attempts {
                let begun = self.clock.now();
                let seen = self.guard_saw.get(&attempt.payout_id).into_iter().flatten();
                match self.search().of_attempt(&attempt, seen).await? {
                    Found::Transfer(transfer) => {
                        self.adopt(stamp, &attempt, &transfer, events).await?;
                    }
                    Found::Nothing | Found::Doubt(_)
                        if planted!("nothing_found_means_not_sent") =>
                    {
                        self.believe_that_nothing_was_sent(stamp, &attempt).await?;
                    }
                    Found::Nothing => match self.may_resend(&attempt).await? {
                        Ok(resend) => resends.push(resend),
                        Err(reason) => {
                            self.keep_look_up(stamp, &attempt, begun, None).await?;
                            self.stays_unresolved(&attempt, reason);
                        }
                    },
                    Found::Doubt(reason) => self.stays_unresolved(&attempt, reason),
                    Found::Misfit(reason) => {
                        let found = Some(reason.clone());
                        self.keep_look_up(stamp, &attempt, begun, found).await?;
                        self.report
                            .alarms
                            .push(format!("payout {}: {reason}", attempt.payout_id));
                        self.stays_unresolved(&attempt, reason);
                    }
                }
            }
            after = Some(last);
        }
    }

    /// Puts a look-up on record, where this run writes at all: a person may let go
    /// of the attempt on it one day.
    async fn keep_look_up(
        &self,
        stamp: Option<&RunStamp>,
        attempt: &Attempt,
        begun_at: Time,
        found: Option<String>,
    ) -> Result<(), ProcessError> {
        let Some(stamp) = stamp else { return Ok(()) };
        let look_up = LookUp {
            payout_id: attempt.payout_id.clone(),
            attempt: attempt.attempt,
            begun_at,
            run_id: stamp.run_id.clone(),
            stripe_account: self.account.clone(),
            livemode: self.livemode,
            found: if found.is_some() {
                LookUpFinding::Misfit
            } else {
                LookUpFinding::Nothing
            },
            detail: found,
        };
        let terms = self.doubt_terms();
        Ok(self
            .db
            .call(move |store| store.look_up_keep(&look_up, &terms))
            .await?)
    }

    fn doubt_terms(&self) -> DoubtTerms {
        DoubtTerms {
            account: self.account.clone(),
            livemode: self.livemode,
            currency: self.settings.currency,
            lease: self.settings.lease,
            key_age_max: KEY_AGE_MAX,
            stripe_ahead_millis: self.stripe_ahead_millis,
        }
    }

    /// Transfers beside a paid one stay an alarm until somebody took them back at
    /// Stripe or accepted them.
    pub(super) async fn surplus(&mut self) -> Result<(), ProcessError> {
        for (payout, id) in self.db.call(Store::surplus_open).await? {
            let transfer = self.reader().transfer(&id).await?;
            if !transfer.as_ref().is_some_and(is_taken_back) {
                self.report.alarms.push(format!(
                    "payout {payout} was paid twice: {id} is one transfer too many; reverse one of the two at \
                     Stripe, or accept it as `payouts reconcile` says"
                ));
            }
        }
        Ok(())
    }

    /// A planted bug: an empty look-up is taken for a proof.
    async fn believe_that_nothing_was_sent(
        &self,
        stamp: Option<&RunStamp>,
        attempt: &Attempt,
    ) -> Result<(), ProcessError> {
        let Some(stamp) = stamp.cloned() else {
            return Ok(());
        };
        let (left, reason) = (attempt.clone(), "not listed".to_owned());
        self.db
            .call(move |store| {
                store.attempt_take_over(&stamp, &left)?;
                let settlement = Settlement {
                    payout_id: left.payout_id,
                    attempt: left.attempt,
                    amount_cents: left.amount_cents,
                    resolution: Resolution::NotSent { reason },
                    last: None,
                    answers: Vec::new(),
                };
                store.attempts_settle(&stamp, &[settlement]).map(drop)
            })
            .await?;
        Ok(())
    }

    fn stays_unresolved(&mut self, attempt: &Attempt, reason: String) {
        self.report.unresolved.push(Unresolved {
            payout_id: attempt.payout_id.clone(),
            amount_cents: attempt.amount_cents,
            reason,
        });
    }

    async fn adopt(
        &mut self,
        stamp: Option<&RunStamp>,
        attempt: &Attempt,
        transfer: &Transfer,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), ProcessError> {
        let Some(stamp) = stamp.cloned() else {
            self.told_only(&attempt.payout_id, transfer, events);
            return Ok(());
        };
        let recorded = adopt_for_attempt(&self.db, stamp, attempt, transfer).await?;
        self.count_adopted(
            &attempt.payout_id,
            attempt.amount_cents,
            transfer,
            recorded,
            events,
        );
        Ok(())
    }

    /// A dry run tells what a run would record.
    fn told_only(&mut self, payout: &PayoutId, transfer: &Transfer, events: &mut dyn FnMut(Event)) {
        self.in_doubt.insert(payout.clone());
        let text = format!(
            "payout {payout} was paid by {}: a run will record it",
            transfer.id
        );
        events(Event::Note(text));
    }

    fn count_adopted(
        &mut self,
        payout_id: &PayoutId,
        amount_cents: i32,
        transfer: &Transfer,
        recorded: Recorded,
        events: &mut dyn FnMut(Event),
    ) {
        match recorded {
            Recorded::Alarm(reason) => {
                self.report.alarms.push(reason.clone());
                self.report.unresolved.push(Unresolved {
                    payout_id: payout_id.clone(),
                    amount_cents,
                    reason,
                });
                return;
            }
            Recorded::Already | Recorded::NotOurs => return,
            Recorded::Finding(reason) => self.report.findings.push(reason),
            Recorded::Done => {}
        }
        self.report.adopted += 1;
        self.report.adopted_cents = self
            .report
            .adopted_cents
            .saturating_add(i64::from(amount_cents));
        self.report.newest_transfer = self.report.newest_transfer.max(Some(transfer.created));
        events(Event::Note(format!(
            "payout {payout_id} was paid by {}: found at Stripe",
            transfer.id
        )));
    }

    /// The same checks as for a first send, and the key must be young.
    async fn may_resend(&self, attempt: &Attempt) -> Result<Result<Resend, String>, ProcessError> {
        let refused = |reason: &str| Ok(Err(format!("no transfer is listed, and {reason}")));
        if attempt.stored_error {
            return refused("Stripe stored an error under its key");
        }
        let stripe_now = self
            .clock
            .now()
            .millis()
            .saturating_add(self.stripe_ahead_millis);
        if !key_is_young(stripe_now.saturating_sub(attempt.first_sent_at.millis())) {
            return refused("its first send was 23 hours ago or more");
        }
        let id = attempt.payout_id.clone();
        let Some(candidate) = self.db.call(move |store| store.candidate(&id)).await? else {
            return refused("its payout is gone");
        };
        if let Err(skip) = may_send(&candidate, &self.settings.rules) {
            return refused(&format!("it is not sent again: {skip}"));
        }
        if candidate.destination.as_deref() != Some(&attempt.destination)
            || candidate.payout.amount_cents != attempt.amount_cents
        {
            return refused("its amount or destination changed since");
        }
        if !self.settings.filter.covers(&candidate) {
            return refused("it is not among what this run was asked to send");
        }
        Ok(Ok(Resend {
            attempt: attempt.clone(),
            belongs: gate::Belongs {
                creator: candidate.payout.creator_id,
                batch: candidate.batch_id,
            },
        }))
    }

    /// Searches Stripe for payouts that other software wrote and may have sent:
    /// one pass over the transfers since the oldest of them. Returns those it
    /// searched for; only they may be sent, not rows that appear later.
    pub(super) async fn look_up_foreign(
        &mut self,
        stamp: Option<&RunStamp>,
        events: &mut dyn FnMut(Event),
    ) -> Result<HashSet<PayoutId>, ProcessError> {
        let failed_since = self.clock.now().minus(FAILED_SEARCHED);
        let found = self
            .db
            .call(move |store| store.foreign_open_since(failed_since))
            .await?;
        let Some((oldest, searched_for)) = found else {
            return Ok(HashSet::new());
        };
        if planted!("others_not_looked_up") {
            return Ok(searched_for.into_iter().collect());
        }
        // Other software may have stamped its rows in a local time, or ahead of us.
        let since = oldest.min(self.clock.now()).minus(FOREIGN_MARGIN);
        events(Event::Note(format!(
            "searching Stripe since {since} for payouts created by other software"
        )));
        let query = TransferQuery {
            created_from: Some(since),
            ..TransferQuery::default()
        };
        let mut naming: HashMap<PayoutId, Vec<Transfer>> = HashMap::new();
        let complete = self
            .search()
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
        let ids: Vec<PayoutId> = naming.keys().cloned().collect();
        let open = self.db.call(move |store| store.foreign_open(&ids)).await?;
        for (payout, destination) in open {
            let transfers = naming.remove(&payout.id).unwrap_or_default();
            match transfers.as_slice() {
                [transfer]
                    if fits_row(
                        &payout,
                        destination.as_deref(),
                        transfer,
                        self.settings.currency,
                        self.livemode,
                    ) =>
                {
                    self.adopt_foreign(stamp, payout, transfer, events).await?;
                }
                several => {
                    let ids: Vec<&str> = several.iter().map(|t| t.id.as_str()).collect();
                    self.report.alarms.push(format!(
                        "payout {} of other software is named by {}, which does not fit it",
                        payout.id,
                        ids.join(", ")
                    ));
                    self.in_doubt.insert(payout.id);
                }
            }
        }
        if complete {
            return Ok(searched_for.into_iter().collect());
        }
        self.report.findings.push(format!(
            "Stripe holds more than {PAGES_MAX} pages of transfers since {since}: too many to search for \
             payouts of other software, so none of them is sent"
        ));
        Ok(HashSet::new())
    }

    async fn adopt_foreign(
        &mut self,
        stamp: Option<&RunStamp>,
        payout: Payout,
        transfer: &Transfer,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), ProcessError> {
        let Some(stamp) = stamp.cloned() else {
            self.told_only(&payout.id, transfer, events);
            return Ok(());
        };
        let (id, amount_cents) = (payout.id.clone(), payout.amount_cents);
        let recorded = match adopt_for_row(&self.db, stamp, payout, transfer).await {
            // Such as a transfer that another row holds: this payout's trouble, not the run's.
            Err(error) if error.is_refusal() => {
                self.report.alarms.push(format!(
                    "payout {id} of other software is named by {}, which could not be recorded: {}",
                    transfer.id,
                    error.with_cause()
                ));
                self.in_doubt.insert(id);
                return Ok(());
            }
            recorded => recorded?,
        };
        self.count_adopted(&id, amount_cents, transfer, recorded, events);
        Ok(())
    }
}
