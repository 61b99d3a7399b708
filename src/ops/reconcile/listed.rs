//! The transfers of the period, both ways: each that Stripe lists against the ledger,
//! and each that the ledger holds against what Stripe listed.
//!
//! Nearly all are held as they should be, and two queries say so for a page. Whatever is
//! not so plain is judged by all that the ledger holds of it. What the table holds is
//! added up beside the reading ([`Sketch`]); what Stripe did not list of it is looked up
//! one by one, so that a period that cuts the two sides differently finds nothing that is
//! not there.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinHandle;

use crate::failpoint::failpoint;
use crate::model::ids::PayoutId;
use crate::model::time::Span;
use crate::ops::event::Event;
use crate::ops::reconcile::Comparison;
use crate::ops::reconcile::at_once::AtOnce;
use crate::ops::reconcile::examine::odd_entry;
use crate::ops::reconcile::judge::{Judged, Word, agrees, judge};
use crate::ops::reconcile::listing::{Batch, Listing};
use crate::ops::reconcile::sketch::{Mark, Sketch};
use crate::ops::run_error::RunError;
use crate::store::ledger::{Hold, HoldsAfter, PlainlyHeld, TransferLedger};
use crate::store::thread::StoreThread;
use crate::stripe::Transfer;

/// It is kept how far the reading got behind the first batch, and then every so many.
const SAVED_EVERY: u64 = 200;

/// What the table holds and Stripe did not list is told apart up to so many.
const SUSPECTED_MAX: usize = 100_000;

/// Ids of transfers that were looked up which are held, so that none is twice.
const LOOKED_UP_MAX: usize = 100_000;

impl Comparison<'_> {
    /// Every transfer of the period, against the ledger and back.
    pub(super) async fn transfers(&mut self) -> Result<(), RunError> {
        let goes_on = self.progress.newest().is_some();
        self.transfers_read_too_early().await?;
        let held = (!goes_on).then(|| self.held_by_table());
        let windows = self.progress.windows_left(self.request.period);
        let mut listing = Listing::transfers(self.examiner.stripe()?, windows);
        let mut batches = 0_u64;
        while let Some(batch) = listing.next().await? {
            self.listed_batch(batch, Word::Stripe).await?;
            if batches.is_multiple_of(SAVED_EVERY) {
                self.save_progress().await?;
            }
            batches += 1;
            failpoint!(await "reconcile.listed");
        }
        // What another run saw is held against the table as it is now.
        let held = held.unwrap_or_else(|| self.held_by_table());
        let held = held.added_up().await?;
        self.transfers_not_listed(&held).await?;
        if goes_on && self.is_held_no_more(&held).await? {
            self.unchecked += 1;
            (self.events)(Event::Warning(
                "rows that were compared before it was cut off hold their transfers no more: compare all of it, \
                 without --resume"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Whether a row or an attempt held a transfer when that was listed, and does not now.
    async fn is_held_no_more(&self, held: &Sketch) -> Result<bool, RunError> {
        let differ = held.clone().less(&self.progress.seen);
        let mut suspected: Vec<Mark> = Vec::new();
        let mut after = None;
        loop {
            let (page, next) = holds_in(&self.examiner.db, self.request.period, after).await?;
            let marks = page.iter().map(parts_of).filter(|h| differ.suspects(h));
            suspected.extend(marks.map(|parts| Mark::of(&parts)));
            if next.is_none() || suspected.len() > SUSPECTED_MAX {
                return Ok(differ.lacks_something(suspected));
            }
            after = next;
        }
    }

    /// Transfers that may have appeared behind what a comparison read that was cut off.
    /// They are looked at, and not counted: most of them were.
    async fn transfers_read_too_early(&mut self) -> Result<(), RunError> {
        let windows = self.progress.read_too_early(self.request.period);
        let windows = windows.into_iter().collect();
        let mut listing = Listing::transfers(self.examiner.stripe()?, windows);
        while let Some(batch) = listing.next().await? {
            self.compare_listed(&batch.entries, Word::Stripe).await?;
        }
        Ok(())
    }

    /// Begins to add up what the table holds for the period.
    pub(super) fn held_by_table(&self) -> HeldByTable {
        HeldByTable::begin(self.examiner.db.clone(), self.request.period)
    }

    /// Takes in transfers of the period, each once, as this word has them.
    pub(super) async fn listed_batch(
        &mut self,
        batch: Batch<Transfer>,
        word: Word,
    ) -> Result<(), RunError> {
        let mut transfers = batch.entries;
        if self.request.balance {
            for transfer in &mut transfers {
                self.complete_reversals(transfer).await?;
            }
        }
        let glanced = self.compare_listed(&transfers, word).await?;
        for (transfer, glanced) in transfers.iter().zip(&glanced) {
            self.progress
                .count(transfer, glanced.matched(), &self.examiner.terms);
            for held in glanced.holds(transfer, self.request.period) {
                self.progress.seen.add(&parts_of(&held));
            }
        }
        if let Some(done) = batch.done {
            self.progress.is_done(done);
        }
        if !batch.odd.is_empty() {
            let found = batch.odd.iter().map(|odd| odd_entry(None, odd)).collect();
            self.examiner.keep(Vec::new(), found).await?;
        }
        (self.events)(Event::Compared {
            transfers: self.progress.transfers(),
            findings: self.examiner.found(),
        });
        Ok(())
    }

    /// What the ledger says of each of these transfers; what differs is kept.
    async fn compare_listed(
        &mut self,
        transfers: &[Transfer],
        word: Word,
    ) -> Result<Vec<Glanced>, RunError> {
        let ids: Vec<String> = transfers.iter().map(|t| t.id.clone()).collect();
        let glance = self
            .examiner
            .db
            .call(move |store| store.ledger_glance(&ids))
            .await?;
        let mut plain = glance.plain;
        let mut glanced: Vec<Option<Glanced>> = Vec::with_capacity(transfers.len());
        let mut closer: Vec<Transfer> = Vec::new();
        for transfer in transfers {
            let held = plain
                .remove(&transfer.id)
                .filter(|held| agrees(transfer, held, word))
                // A report says too little to settle what was found before.
                .filter(|_| word == Word::Stripe || !glance.found.contains(&transfer.id));
            if held.is_none() {
                closer.push(transfer.clone());
            }
            glanced.push(held.map(Glanced::Plain));
        }
        let looked_at = match word {
            Word::Stripe => self.judged_by_stripe(&closer).await?,
            Word::Report => self.judged_by_report(&closer, &glance.found).await?,
        };
        let mut found = Vec::new();
        let mut judged = Vec::with_capacity(closer.len());
        for (of_this, ledger) in looked_at {
            found.extend(of_this.found.iter().cloned());
            judged.push(Glanced::Judged(of_this, Box::new(ledger)));
        }
        // Nothing is written for what is as it should be, and was before.
        let mut about: HashSet<String> = glance.found;
        about.extend(closer.into_iter().map(|transfer| transfer.id));
        if self.examiner.reader.is_none() {
            // Only Stripe's word settles what was found before.
            about.clear();
        }
        if !found.is_empty() || !about.is_empty() {
            self.examiner
                .keep(about.into_iter().collect(), found)
                .await?;
        }
        let mut judged = judged.into_iter();
        Ok(glanced
            .into_iter()
            .filter_map(|glanced| glanced.or_else(|| judged.next()))
            .collect())
    }

    /// All that the ledger holds of these transfers, and how it differs.
    pub(super) async fn judged_by_stripe(
        &self,
        transfers: &[Transfer],
    ) -> Result<Vec<(Judged, TransferLedger)>, RunError> {
        let ledgers = self.examiner.ledgers(transfers).await?;
        let both = transfers.iter().zip(ledgers);
        Ok(both
            .map(|(transfer, ledger)| (judge(transfer, &ledger, &self.examiner.terms), ledger))
            .collect())
    }

    /// Every transfer that the table holds for the period and Stripe did not list in it.
    /// How many of them Stripe made in it all the same.
    pub(super) async fn transfers_not_listed(&mut self, held: &Sketch) -> Result<u64, RunError> {
        let missing = held.clone().less(&self.progress.seen);
        let left_out = Arc::new(AtomicU64::new(0));
        if missing.is_even() {
            return Ok(left_out.load(Ordering::Relaxed));
        }
        // Its row and its attempt both hold it.
        let mut looked_up = HashSet::new();
        let mut after = None;
        loop {
            let (page, next) = holds_in(&self.examiner.db, self.request.period, after).await?;
            let mut look_ups = AtOnce::new();
            for hold in page {
                if missing.suspects(&parts_of(&hold)) && looked_up.insert(hold.transfer_id.clone())
                {
                    let examiner = Arc::clone(&self.examiner);
                    let (left_out, period) = (Arc::clone(&left_out), self.request.period);
                    look_ups
                        .begin(async move {
                            let (payout, attempt) = (Some(&hold.payout_id), hold.attempt);
                            let made = examiner
                                .look_up_when(&hold.transfer_id, payout, attempt)
                                .await?;
                            let is_left_out = made.is_some_and(|at| period.contains(at));
                            left_out.fetch_add(u64::from(is_left_out), Ordering::Relaxed);
                            Ok(())
                        })
                        .await?;
                }
            }
            look_ups.end().await?;
            // So many look-ups more are better than memory without a bound.
            if looked_up.len() > LOOKED_UP_MAX {
                looked_up.clear();
            }
            if next.is_none() {
                return Ok(left_out.load(Ordering::Relaxed));
            }
            after = next;
        }
    }
}

/// What the ledger says of a listed transfer.
enum Glanced {
    /// It is held as it should be.
    Plain(PlainlyHeld),
    /// All that the ledger holds of it was looked at.
    Judged(Judged, Box<TransferLedger>),
}

impl Glanced {
    fn matched(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Judged(judged, _) => judged.matched,
        }
    }

    /// Each row and attempt of the period that holds it, as [`holds_in`] reads them.
    fn holds(&self, transfer: &Transfer, period: Span) -> Vec<Hold> {
        let mut holds = Vec::with_capacity(2);
        let mut held = |payout_id: &PayoutId, attempt, at| {
            if period.contains(at) {
                holds.push(Hold {
                    payout_id: payout_id.clone(),
                    attempt,
                    transfer_id: transfer.id.clone(),
                });
            }
        };
        match self {
            Self::Plain(plain) => {
                held(&plain.payout_id, None, plain.paid_at);
                held(&plain.payout_id, Some(plain.attempt), plain.first_sent_at);
            }
            Self::Judged(_, ledger) => {
                for entry in &ledger.holders {
                    if let Some(row) = &entry.payout
                        && row.stripe_transfer_id.as_ref() == Some(&transfer.id)
                    {
                        held(&entry.id, None, row.processed_at.unwrap_or(row.created_at));
                    }
                    for attempt in &entry.attempts {
                        if attempt.transfer_id.as_ref() == Some(&transfer.id) {
                            held(&entry.id, Some(attempt.attempt), attempt.first_sent_at);
                        }
                    }
                }
            }
        }
        holds
    }
}

/// All transfers that rows and attempts of the period hold, added up while Stripe's
/// list is being read.
pub(super) struct HeldByTable(JoinHandle<Result<Sketch, RunError>>);

impl HeldByTable {
    fn begin(db: StoreThread, period: Span) -> Self {
        Self(tokio::spawn(async move {
            let mut held = Sketch::new();
            let mut after = None;
            loop {
                let (page, next) = holds_in(&db, period, after).await?;
                for hold in &page {
                    held.add(&parts_of(hold));
                }
                if next.is_none() {
                    return Ok(held);
                }
                after = next;
            }
        }))
    }

    pub(super) async fn added_up(mut self) -> Result<Sketch, RunError> {
        match (&mut self.0).await {
            Ok(held) => held,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(crate::store::StoreError::Stopped.into()),
        }
    }
}

impl Drop for HeldByTable {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) async fn holds_in(
    db: &StoreThread,
    period: Span,
    after: Option<HoldsAfter>,
) -> Result<(Vec<Hold>, Option<HoldsAfter>), RunError> {
    Ok(db
        .call(move |store| store.holds_in(period, after.as_ref()))
        .await?)
}

/// What names a hold in a sketch.
pub(super) fn parts_of(hold: &Hold) -> [&str; 3] {
    let kind = if hold.attempt.is_some() {
        "attempt"
    } else {
        "row"
    };
    [kind, hold.payout_id.as_str(), &hold.transfer_id]
}
