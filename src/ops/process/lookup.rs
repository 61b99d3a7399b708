//! Looking at Stripe before anything is sent: the rollback guard, attempts that
//! nobody knows about, and rows that other software wrote.
//!
//! An empty look-up proves nothing: the request may still be running. It only
//! allows the same bytes to go out again under the same key.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::attempt::Attempt;
use crate::model::ids::PayoutId;
use crate::model::payout::may_send;
use crate::ops::event::{Event, Settled};
use crate::ops::process::verdict::key_is_young;
use crate::ops::process::{ProcessError, Session, Unresolved, gate};
use crate::store::RunStamp;
use crate::store::attempts::{Recorded, Resolution, Settlement};
use crate::store::foreign::NamedTransfer;
use crate::stripe::Transfer;
use crate::stripe::api::{ReadError, TransferQuery};
use crate::stripe::classify::Expected;

/// Read before the watermark, for transfers that appear late in lists.
const OVERLAP: Duration = Duration::from_secs(300);
/// Pages of 100 that the guard, and the search for foreign rows, read at most.
const PAGES_MAX: usize = 500;
/// Unresolved attempts read at once.
const UNRESOLVED_PAGE: i64 = 200;
/// Attempts parked as unknown this long ago are looked up while their run lives.
const PARKED: Duration = Duration::from_secs(600);
/// A read that fails for a passing reason is tried this often.
const READ_TRIES: u32 = 4;

/// An attempt that goes out again: same bytes, same key.
#[derive(Debug, Clone)]
pub(super) struct Resend {
    /// The attempt, still in the hands of the run that left it.
    pub(super) attempt: Attempt,
    pub(super) belongs: gate::Belongs,
}

impl Session {
    /// Refuses to send from a database that has forgotten payments: a restored
    /// backup, a lost fail-over, a copy.
    pub(super) async fn guard(&self) -> Result<(), ProcessError> {
        let from = self
            .db
            .call(|store| store.watermark())
            .await?
            .minus(OVERLAP);
        let query = TransferQuery {
            created_from: Some(from),
            ..TransferQuery::default()
        };
        let mut forgotten = Vec::new();
        let complete = self
            .pages(&query, async |transfers| {
                let named = transfers.iter().map(|t| self.named(t)).collect::<Vec<_>>();
                forgotten.extend(
                    self.db
                        .call(move |store| store.transfers_forgotten(&named))
                        .await?,
                );
                Ok(())
            })
            .await?;
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
        }
    }

    /// Looks up every attempt whose run is over. Transfers that are found are
    /// adopted; what may go out again is returned; the rest stays unresolved.
    pub(super) async fn resolve(
        &mut self,
        stamp: &RunStamp,
        events: &mut dyn FnMut(Event),
    ) -> Result<Vec<Resend>, ProcessError> {
        let mut resends = Vec::new();
        let mut after: Option<PayoutId> = None;
        loop {
            let (run, lease, behind) = (stamp.run_id.clone(), self.settings.lease, after.clone());
            let open = self
                .db
                .call(move |store| {
                    store.attempts_unresolved(&run, lease, PARKED, behind.as_ref(), UNRESOLVED_PAGE)
                })
                .await?;
            let Some(last) = open.last_looked_at else {
                return Ok(resends);
            };
            for attempt in open.attempts {
                match self.resolve_one(stamp, &attempt, events).await? {
                    None => {}
                    Some(Ok(resend)) => resends.push(resend),
                    Some(Err(reason)) => self.report.unresolved.push(Unresolved {
                        payout_id: attempt.payout_id.clone(),
                        amount_cents: attempt.amount_cents,
                        reason,
                    }),
                }
            }
            after = Some(last);
        }
    }

    /// `None`: settled. Otherwise a resend, or why it stays unresolved.
    async fn resolve_one(
        &mut self,
        stamp: &RunStamp,
        attempt: &Attempt,
        events: &mut dyn FnMut(Event),
    ) -> Result<Option<Result<Resend, String>>, ProcessError> {
        if attempt.stripe_account != self.account || attempt.livemode != self.livemode {
            return Ok(Some(Err(format!(
                "it was sent from account {}",
                attempt.stripe_account
            ))));
        }
        let query = TransferQuery {
            group: Some(attempt.transfer_group.clone()),
            ..TransferQuery::default()
        };
        let mut found = Vec::new();
        let listed = self
            .pages(&query, async |transfers| {
                found.extend(transfers);
                Ok(())
            })
            .await;
        match listed {
            Ok(true) => {}
            Ok(false) => return Ok(Some(Err("its group holds too many transfers".to_owned()))),
            // An error while looking is not "nothing there".
            Err(ProcessError::Stripe { source, .. }) if !source.is_key_refused() => {
                return Ok(Some(Err(format!("it could not be looked up: {source}"))));
            }
            Err(error) => return Err(error),
        }
        let expected = expected_of(attempt);
        match found.as_slice() {
            [] => self.may_resend(attempt).await.map(Some),
            [transfer] => match expected.mismatch(transfer) {
                None => {
                    self.adopt(stamp, attempt, transfer, events).await?;
                    Ok(None)
                }
                Some(what) => {
                    let reason = format!("transfer {} does not fit: {what}", transfer.id);
                    self.report
                        .alarms
                        .push(format!("payout {}: {reason}", attempt.payout_id));
                    Ok(Some(Err(reason)))
                }
            },
            several => {
                let ids: Vec<&str> = several.iter().map(|t| t.id.as_str()).collect();
                let reason = format!("Stripe holds several transfers for it: {}", ids.join(", "));
                self.report
                    .alarms
                    .push(format!("payout {}: {reason}", attempt.payout_id));
                Ok(Some(Err(reason)))
            }
        }
    }

    async fn adopt(
        &mut self,
        stamp: &RunStamp,
        attempt: &Attempt,
        transfer: &Transfer,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), ProcessError> {
        // The transfer says which attempt made it; an older one may have been released.
        let number = transfer
            .metadata
            .get("attempt")
            .and_then(|n| n.parse().ok());
        let settlement = Settlement {
            payout_id: attempt.payout_id.clone(),
            attempt: number.unwrap_or(attempt.attempt),
            amount_cents: attempt.amount_cents,
            resolution: Resolution::Paid {
                transfer_id: transfer.id.clone(),
                at: transfer.created,
                adopted: true,
            },
            last: None,
            answers: Vec::new(),
        };
        self.record_adopted(stamp, settlement, transfer, events)
            .await
    }

    async fn record_adopted(
        &mut self,
        stamp: &RunStamp,
        settlement: Settlement,
        transfer: &Transfer,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), ProcessError> {
        let stamp = stamp.clone();
        let (payout_id, amount_cents) = (settlement.payout_id.clone(), settlement.amount_cents);
        let recorded = self
            .db
            .call(move |store| store.attempts_settle(&stamp, &[settlement]))
            .await?
            .pop();
        match recorded {
            Some(Recorded::Alarm(reason)) => self.report.alarms.push(reason),
            Some(Recorded::Done) => {
                self.report.adopted += 1;
                self.report.newest_transfer =
                    self.report.newest_transfer.max(Some(transfer.created));
                events(Event::Note(format!(
                    "payout {payout_id} was paid by {}: found at Stripe",
                    transfer.id
                )));
                events(Event::Settled {
                    payout_id,
                    amount_cents,
                    how: Settled::Paid,
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// The same checks as for a first send, and the key must be young.
    async fn may_resend(&self, attempt: &Attempt) -> Result<Result<Resend, String>, ProcessError> {
        if attempt.stored_error {
            return Ok(Err(
                "Stripe stored an error under its key, and no transfer is listed".to_owned(),
            ));
        }
        let stripe_now = self
            .clock
            .now()
            .millis()
            .saturating_add(self.stripe_ahead_millis);
        if !key_is_young(stripe_now.saturating_sub(attempt.first_sent_at.millis())) {
            return Ok(Err(
                "its first send was 23 hours ago or more, and no transfer is listed".to_owned(),
            ));
        }
        let id = attempt.payout_id.clone();
        let Some(candidate) = self.db.call(move |store| store.candidate(&id)).await? else {
            return Ok(Err("its payout is gone".to_owned()));
        };
        if let Err(skip) = may_send(&candidate, &self.settings.rules) {
            return Ok(Err(format!(
                "no transfer is listed, and it is not sent again: {skip}"
            )));
        }
        if candidate.destination.as_deref() != Some(&attempt.destination)
            || candidate.payout.amount_cents != attempt.amount_cents
        {
            return Ok(Err(
                "no transfer is listed, and its amount or destination changed since".to_owned(),
            ));
        }
        let belongs = gate::Belongs {
            creator: candidate.payout.creator_id,
            batch: candidate.batch_id,
        };
        Ok(Ok(Resend {
            attempt: attempt.clone(),
            belongs,
        }))
    }

    /// Searches Stripe for payouts that other software wrote and may have sent:
    /// one pass over the transfers since the oldest of them. Returns whether the
    /// clean pending ones may be sent.
    pub(super) async fn look_up_foreign(
        &mut self,
        stamp: &RunStamp,
        events: &mut dyn FnMut(Event),
    ) -> Result<bool, ProcessError> {
        let Some(since) = self.db.call(|store| store.foreign_open_since()).await? else {
            return Ok(true);
        };
        events(Event::Note(format!(
            "searching Stripe since {since} for payouts created by other software"
        )));
        let query = TransferQuery {
            created_from: Some(since.minus(OVERLAP)),
            ..TransferQuery::default()
        };
        let mut naming: HashMap<PayoutId, Vec<Transfer>> = HashMap::new();
        let complete = self
            .pages(&query, async |transfers| {
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
            let fits = |t: &Transfer| {
                t.amount == i64::from(payout.amount_cents)
                    && t.currency == self.settings.currency.as_str()
                    && t.destination == destination
                    && t.livemode == self.livemode
            };
            match transfers.as_slice() {
                [transfer] if fits(transfer) => {
                    let settlement = Settlement {
                        payout_id: payout.id.clone(),
                        attempt: 0, // no attempt of ours
                        amount_cents: payout.amount_cents,
                        resolution: Resolution::Paid {
                            transfer_id: transfer.id.clone(),
                            at: transfer.created,
                            adopted: true,
                        },
                        last: None,
                        answers: Vec::new(),
                    };
                    self.record_adopted(stamp, settlement, transfer, events)
                        .await?;
                }
                _ => {
                    let named: Vec<&str> = transfers.iter().map(|t| t.id.as_str()).collect();
                    self.report.alarms.push(format!(
                        "payout {} of other software is named by {}, which does not fit it",
                        payout.id,
                        named.join(", ")
                    ));
                    // Never sent by this run: its row is not what Stripe says.
                    return Ok(false);
                }
            }
        }
        Ok(complete)
    }

    /// Reads a list to its last page. False when it is longer than the bound.
    async fn pages(
        &self,
        query: &TransferQuery,
        mut each: impl AsyncFnMut(Vec<Transfer>) -> Result<(), ProcessError>,
    ) -> Result<bool, ProcessError> {
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = self.page(query, after.as_deref()).await?;
            if let Some(odd) = page.odd.first() {
                return Err(ProcessError::Stripe {
                    doing: "list transfers",
                    source: ReadError::Unreadable(crate::stripe::object::Unreadable {
                        expected: "transfer",
                        reason: odd.clone(),
                    }),
                });
            }
            each(page.transfers).await?;
            if !page.has_more {
                return Ok(true);
            }
            after = page.last_id;
        }
        Ok(false)
    }

    async fn page(
        &self,
        query: &TransferQuery,
        after: Option<&str>,
    ) -> Result<crate::stripe::object::TransferPage, ProcessError> {
        let mut wait = Duration::from_millis(500);
        for tries in 1.. {
            self.pace.slot().await;
            match self.stripe.transfer_page(query, after).await {
                Ok(page) => return Ok(page),
                Err(error) if error.is_transient() && tries < READ_TRIES => {
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                Err(source) => {
                    return Err(ProcessError::Stripe {
                        doing: "list transfers",
                        source,
                    });
                }
            }
        }
        Ok(crate::stripe::object::TransferPage {
            transfers: Vec::new(),
            odd: Vec::new(),
            has_more: false,
            last_id: None,
        })
    }
}

/// What a transfer of this attempt must look like.
pub(super) fn expected_of(attempt: &Attempt) -> Expected {
    Expected {
        amount_cents: attempt.amount_cents,
        currency: attempt.currency,
        destination: attempt.destination.clone(),
        livemode: attempt.livemode,
        payout_id: attempt.payout_id.as_str().to_owned(),
    }
}
