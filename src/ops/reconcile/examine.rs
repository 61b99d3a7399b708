//! Looking at one transfer or one payout on both sides, and keeping what differs.
//!
//! A comparison does it for a whole period, an event for the one transfer it
//! speaks of: both through here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::attempt::{Attempt, group_of};
use crate::model::ids::PayoutId;
use crate::model::reconciliation::{Discrepancy, FindingKind};
use crate::model::time::Time;
use crate::ops::reconcile::at_once::AtOnce;
use crate::ops::reconcile::judge::{Judged, Terms, is_taken_back, is_transfer_id, judge, missing};
use crate::ops::run_error::RunError;
use crate::ops::search::{lists_for, may_have_paid};
use crate::ops::transfers::{ReadFailed, TransferReader};
use crate::store::RunStamp;
use crate::store::ledger::{LedgerEntry, TransferKey, TransferLedger};
use crate::store::thread::StoreThread;
use crate::stripe::Transfer;
use crate::stripe::api::{ReadError, TransferQuery};
use crate::stripe::object::{OddEntry, TransferPage, Unreadable};

/// Pages of 100 that one group may have.
const GROUP_PAGES_MAX: usize = 10;

/// The ledger, Stripe, and the run on whose behalf both are looked at.
pub(in crate::ops) struct Examiner {
    pub(in crate::ops) db: StoreThread,
    /// None without a key: then nothing is asked of Stripe.
    pub(in crate::ops) reader: Option<TransferReader>,
    pub(in crate::ops) terms: Terms,
    pub(in crate::ops) stamp: RunStamp,
    /// See `PAYOUTS_LEASE`.
    pub(in crate::ops) lease: Duration,
    /// Discrepancies kept so far, for the narration.
    found: AtomicU64,
}

impl Examiner {
    pub(in crate::ops) fn new(
        db: StoreThread,
        reader: Option<TransferReader>,
        terms: Terms,
        stamp: RunStamp,
        lease: Duration,
    ) -> Self {
        Self {
            db,
            reader,
            terms,
            stamp,
            lease,
            found: AtomicU64::new(0),
        }
    }

    /// Who asks Stripe.
    ///
    /// # Errors
    /// Without a key.
    pub(in crate::ops) fn stripe(&self) -> Result<&TransferReader, RunError> {
        self.reader.as_ref().ok_or(RunError::NoKey)
    }

    /// Discrepancies kept so far.
    pub(in crate::ops) fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    /// Judges the one transfer with this id. What is there and cannot be read is told of
    /// the payout that is said to hold it.
    pub(in crate::ops) async fn look_up(
        &self,
        id: &str,
        payout: Option<&PayoutId>,
        attempt: Option<i32>,
    ) -> Result<(), RunError> {
        self.look_up_when(id, payout, attempt).await.map(drop)
    }

    /// The same, and when it was made; none where there is no such transfer.
    pub(in crate::ops) async fn look_up_when(
        &self,
        id: &str,
        payout: Option<&PayoutId>,
        attempt: Option<i32>,
    ) -> Result<Option<Time>, RunError> {
        let found = match self.fetch(id).await? {
            Fetched::Transfer(transfer) => {
                let made = transfer.created;
                self.compare(&[*transfer]).await?;
                return Ok(Some(made));
            }
            Fetched::Odd(error) => vec![Discrepancy {
                attempt,
                ..odd_entry(
                    payout,
                    &OddEntry {
                        id: Some(id.to_owned()),
                        error,
                    },
                )
            }],
            Fetched::Nothing => {
                // Of all who hold it, whoever asked: what is not found again is settled.
                let holders = self.holders_of(id).await?;
                holders.iter().map(|holder| missing(holder, id)).collect()
            }
        };
        self.keep(vec![id.to_owned()], found).await?;
        Ok(None)
    }

    /// What Stripe has under an id, which may be any text that a person wrote.
    pub(in crate::ops) async fn fetch(&self, id: &str) -> Result<Fetched, RunError> {
        Ok(fetched(self.stripe()?, id).await?)
    }

    /// The same of several, a few at a time.
    pub(in crate::ops) async fn fetch_all(
        &self,
        ids: HashSet<String>,
    ) -> Result<HashMap<String, Fetched>, RunError> {
        let mut look_ups = AtOnce::new();
        for id in ids {
            let reader = self.stripe()?.clone();
            look_ups
                .begin(async move {
                    let fetched = fetched(&reader, &id).await?;
                    Ok((id, fetched))
                })
                .await?;
        }
        Ok(look_ups.end().await?.into_iter().collect())
    }

    pub(in crate::ops) async fn holders_of(
        &self,
        transfer: &str,
    ) -> Result<Vec<LedgerEntry>, RunError> {
        let key = TransferKey {
            id: transfer.to_owned(),
            named: None,
            destination: None,
        };
        let lease = self.lease;
        let held = self
            .db
            .call(move |store| store.ledger_of(&[key], lease))
            .await?;
        Ok(held.into_iter().flat_map(|ledger| ledger.holders).collect())
    }

    /// Judges transfers against the ledger, and keeps what was found.
    pub(in crate::ops) async fn compare(
        &self,
        transfers: &[Transfer],
    ) -> Result<Vec<Judged>, RunError> {
        let judged = self.judged(transfers).await?;
        let found: Vec<Discrepancy> = judged.iter().flat_map(|j| j.found.clone()).collect();
        let ids = transfers.iter().map(|t| t.id.clone()).collect();
        self.keep(ids, found).await?;
        Ok(judged)
    }

    pub(in crate::ops) async fn judged_one(&self, transfer: &Transfer) -> Result<Judged, RunError> {
        let mut judged = self.judged(std::slice::from_ref(transfer)).await?;
        // One of each is asked for and given.
        Ok(judged.pop().unwrap_or_default())
    }

    pub(in crate::ops) async fn judged(
        &self,
        transfers: &[Transfer],
    ) -> Result<Vec<Judged>, RunError> {
        let ledgers = self.ledgers(transfers).await?;
        let both = transfers.iter().zip(&ledgers);
        Ok(both
            .map(|(transfer, ledger)| judge(transfer, ledger, &self.terms))
            .collect())
    }

    /// What the table holds of each transfer.
    pub(in crate::ops) async fn ledgers(
        &self,
        transfers: &[Transfer],
    ) -> Result<Vec<TransferLedger>, RunError> {
        let key = |transfer: &Transfer| TransferKey {
            id: transfer.id.clone(),
            named: transfer.payout_named().map(PayoutId::new),
            destination: transfer.destination.clone(),
        };
        let (keys, lease): (Vec<TransferKey>, _) =
            (transfers.iter().map(key).collect(), self.lease);
        Ok(self
            .db
            .call(move |store| store.ledger_of(&keys, lease))
            .await?)
    }

    pub(in crate::ops) async fn keep(
        &self,
        transfers: Vec<String>,
        found: Vec<Discrepancy>,
    ) -> Result<(), RunError> {
        self.found.fetch_add(found.len() as u64, Ordering::Relaxed);
        let stamp = self.stamp.clone();
        Ok(self
            .db
            .call(move |store| store.findings_see(&stamp, &transfers, &found))
            .await?)
    }

    /// Every transfer in a payout's group. What of it cannot be read is kept as
    /// a finding.
    pub(in crate::ops) async fn group_of(&self, payout: &PayoutId) -> Result<Group, RunError> {
        let Some(group) = group_of(payout) else {
            return Ok(Group::default());
        };
        let query = TransferQuery {
            group: Some(group.to_owned()),
            ..TransferQuery::default()
        };
        let TransferPage {
            entries: transfers,
            odd,
            has_more,
            ..
        } = self.stripe()?.whole(&query, GROUP_PAGES_MAX).await?;
        let mut doubts: Vec<String> = odd
            .iter()
            .map(|odd| odd.id.as_deref().unwrap_or("an entry without an id"))
            .map(|id| format!("{id}, which cannot be read"))
            .collect();
        if has_more {
            doubts.push("more that were not read".to_owned());
        }
        let found: Vec<Discrepancy> = odd.iter().map(|odd| odd_entry(Some(payout), odd)).collect();
        if !found.is_empty() {
            self.keep(Vec::new(), found).await?;
        }
        Ok(Group { transfers, doubts })
    }

    /// Adds what names the payout of an open attempt without bearing its group.
    pub(in crate::ops) async fn paid_by_hand(
        &self,
        open: &Attempt,
        group: &mut Group,
    ) -> Result<(), RunError> {
        let [_, to_its_account] = lists_for(open);
        let known: HashSet<String> = group.transfers.iter().map(|t| t.id.clone()).collect();
        let listed = self
            .stripe()?
            .whole(&to_its_account, GROUP_PAGES_MAX)
            .await?;
        let fresh = |t: &Transfer| may_have_paid(t, open) && !known.contains(&t.id);
        group
            .transfers
            .extend(listed.entries.into_iter().filter(fresh));
        if listed.has_more {
            group
                .doubts
                .push("more to its account that were not read".to_owned());
        }
        Ok(())
    }

    /// What else may have paid a payout beside this transfer of it.
    pub(in crate::ops) async fn beside(
        &self,
        payout: &PayoutId,
        this: &str,
    ) -> Result<Beside, RunError> {
        let group = self.group_of(payout).await?;
        let mut transfers: BTreeMap<String, bool> = group
            .transfers
            .iter()
            .map(|transfer| (transfer.id.clone(), is_taken_back(transfer)))
            .collect();
        let mut doubts = group.doubts;
        let (id, but) = (payout.clone(), this.to_owned());
        let unrecorded = self
            .db
            .call(move |store| store.unrecorded_beside(&id, &but))
            .await?;
        for id in unrecorded {
            if transfers.contains_key(&id) {
                continue;
            }
            match self.fetch(&id).await? {
                Fetched::Transfer(transfer) => {
                    transfers.insert(id, is_taken_back(&transfer));
                }
                Fetched::Nothing => {}
                Fetched::Odd(_) => doubts.push(format!("{id}, which cannot be read")),
            }
        }
        let alone = transfers.keys().all(|id| id == this);
        if !alone
            && !transfers.contains_key(this)
            && let Fetched::Transfer(transfer) = self.fetch(this).await?
        {
            transfers.insert(this.to_owned(), is_taken_back(&transfer));
        }
        let taken_back_itself = transfers.remove(this).unwrap_or(false);
        let (taken_back, standing): (Vec<_>, Vec<_>) = transfers
            .into_iter()
            .partition(|(_, taken_back)| *taken_back);
        let ids =
            |transfers: Vec<(String, bool)>| transfers.into_iter().map(|(id, _)| id).collect();
        Ok(Beside {
            taken_back_itself,
            taken_back: ids(taken_back),
            standing: ids(standing),
            doubts,
        })
    }
}

async fn fetched(reader: &TransferReader, id: &str) -> Result<Fetched, ReadFailed> {
    if !is_transfer_id(id) {
        return Ok(Fetched::Nothing);
    }
    match reader.transfer(id).await {
        Ok(Some(transfer)) => Ok(Fetched::Transfer(Box::new(transfer))),
        Ok(None) => Ok(Fetched::Nothing),
        Err(ReadFailed {
            source: ReadError::Unreadable(error),
            ..
        }) => Ok(Fetched::Odd(error)),
        Err(error) => Err(error),
    }
}

/// What may have paid a payout beside one transfer of it.
pub(in crate::ops) struct Beside {
    /// Of that transfer nothing is left.
    pub(in crate::ops) taken_back_itself: bool,
    /// Transfers of which nothing is left.
    pub(in crate::ops) taken_back: Vec<String>,
    /// Those of which something is.
    pub(in crate::ops) standing: Vec<String>,
    /// What could not be read, for people.
    pub(in crate::ops) doubts: Vec<String>,
}

impl Beside {
    /// What makes the transfer one of several; none when it is the only payment.
    pub(in crate::ops) fn others(self) -> Option<Vec<String>> {
        let mut others = self.standing;
        if self.taken_back_itself {
            others.extend(self.taken_back);
        }
        others.extend(self.doubts);
        (!others.is_empty()).then_some(others)
    }
}

/// The transfers that bear a payout's group.
#[derive(Default)]
pub(in crate::ops) struct Group {
    pub(in crate::ops) transfers: Vec<Transfer>,
    /// What may be a further one, for people. Empty when the group was read whole.
    pub(in crate::ops) doubts: Vec<String>,
}

/// What Stripe has under an id.
pub(in crate::ops) enum Fetched {
    Transfer(Box<Transfer>),
    Nothing,
    /// Something that cannot be read as a transfer.
    Odd(Unreadable),
}

pub(super) fn odd_entry(payout: Option<&PayoutId>, odd: &OddEntry) -> Discrepancy {
    Discrepancy {
        kind: FindingKind::OddEntry,
        payout_id: payout.cloned(),
        attempt: None,
        transfer_id: odd.id.clone(),
        subject: None,
        at_stake_cents: None,
        expected: Some("a transfer".to_owned()),
        found: odd.error.to_string(),
    }
}
