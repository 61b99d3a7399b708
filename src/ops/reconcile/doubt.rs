//! Payouts in doubt: those that may have been paid although they bear no transfer's
//! id, and those that may have been paid twice.

use std::sync::Arc;

use crate::model::ids::PayoutId;
use crate::model::payout::PayoutStatus;
use crate::model::reconciliation::{Discrepancy, Finding, FindingKind};
use crate::ops::reconcile::Comparison;
use crate::ops::reconcile::at_once::AtOnce;
use crate::ops::reconcile::examine::Examiner;
use crate::ops::reconcile::judge::{judge_without_transfer, open_attempt};
use crate::ops::run_error::RunError;
use crate::ops::transfers::FOREIGN_MARGIN;
use crate::store::ledger::LedgerEntry;
use crate::store::thread::StoreThread;
use crate::store::{Store, StoreError};

/// The payouts in doubt, a page at a time: those with an attempt nobody knows the outcome
/// of, then those whose rows bear no transfer's id although they may have one.
pub(super) struct InDoubt {
    list: usize,
    after: Option<PayoutId>,
}

type NextPage = fn(&mut Store, Option<&PayoutId>) -> Result<Vec<PayoutId>, StoreError>;

impl InDoubt {
    const LISTS: [NextPage; 2] = [
        |store, after| store.payouts_unresolved(after),
        |store, after| store.payouts_without_transfer(after),
    ];

    pub(super) fn new() -> Self {
        Self {
            list: 0,
            after: None,
        }
    }

    /// The next page; none behind the last.
    pub(super) async fn next_page(
        &mut self,
        db: &StoreThread,
    ) -> Result<Option<Vec<PayoutId>>, RunError> {
        while let Some(next_page) = Self::LISTS.get(self.list) {
            let after = self.after.take();
            let page = db
                .call(move |store| next_page(store, after.as_ref()))
                .await?;
            if let Some(last) = page.last() {
                self.after = Some(last.clone());
                return Ok(Some(page));
            }
            self.list += 1;
        }
        Ok(None)
    }
}

impl Comparison<'_> {
    /// Rows without a transfer's id come first: they are the ones in doubt.
    pub(super) async fn payouts_in_doubt(&mut self) -> Result<(), RunError> {
        let mut in_doubt = InDoubt::new();
        while let Some(ids) = in_doubt.next_page(&self.examiner.db).await? {
            let lease = self.examiner.lease;
            let (entries, missing) = self
                .examiner
                .db
                .call(move |store| {
                    let missing = store.payouts_known_missing(&ids)?;
                    Ok((store.ledger_entries(&ids, lease)?, missing))
                })
                .await?;
            let mut look_ups = AtOnce::new();
            for entry in entries.into_values().filter(|entry| !entry.busy) {
                if missing.contains(&entry.id) && self.is_of_the_past(&entry) {
                    let found = judge_without_transfer(&entry, true);
                    self.examiner
                        .keep(Vec::new(), found.into_iter().collect())
                        .await?;
                } else {
                    let examiner = Arc::clone(&self.examiner);
                    look_ups
                        .begin(async move { examiner.payout_in_doubt(&entry).await })
                        .await?;
                }
            }
            look_ups.end().await?;
        }
        Ok(())
    }

    /// Whether a row that was marked as paid without saying by what lies wholly
    /// before the period. Its group was read once, and a transfer made since is
    /// listed with its period: a platform may have many such rows, and asking about
    /// each every night proves nothing new.
    fn is_of_the_past(&self, entry: &LedgerEntry) -> bool {
        let Some(from) = self.request.period.from else {
            return false;
        };
        let (before, row) = (from.minus(FOREIGN_MARGIN), entry.payout.as_ref());
        row.is_some_and(|row| {
            row.status == PayoutStatus::Completed && row.created_at.max(row.updated_at) < before
        })
    }

    /// A payout that Stripe paid without the table knowing may have been paid
    /// twice: its whole group is read, and what else names it is counted.
    pub(super) async fn look_closer(&mut self) -> Result<(), RunError> {
        for kind in [FindingKind::ForgottenPayout, FindingKind::StatusBehind] {
            let mut after = None;
            loop {
                let page = self.open_page(kind, after).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id.clone());
                let mut look_ups = AtOnce::new();
                for finding in page {
                    let examiner = Arc::clone(&self.examiner);
                    look_ups
                        .begin(async move { examiner.only_payment(&finding).await })
                        .await?;
                }
                look_ups.end().await?;
            }
        }
        // What was in doubt for lack of a group, and then was found by metadata.
        for kind in [FindingKind::Unresolved, FindingKind::MissingAtStripe] {
            self.each_open(kind, async |this: &mut Self, finding: Finding| {
                let (Some(payout), None) = (finding.payout_id.clone(), &finding.transfer_id) else {
                    return Ok(());
                };
                let found = this
                    .examiner
                    .db
                    .call(move |store| store.is_found_by_name(&payout))
                    .await?;
                if found {
                    this.examiner.replace(&finding.id, Vec::new()).await?;
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

impl Examiner {
    async fn payout_in_doubt(&self, entry: &LedgerEntry) -> Result<(), RunError> {
        let mut group = self.group_of(&entry.id).await?;
        if let Some(open) = open_attempt(entry) {
            self.paid_by_hand(open, &mut group).await?;
        }
        if group.transfers.is_empty() {
            let found = judge_without_transfer(entry, group.doubts.is_empty());
            return self.keep(Vec::new(), found.into_iter().collect()).await;
        }
        self.compare(&group.transfers).await.map(drop)
    }

    /// Holds an unrecorded transfer against whatever else may have paid its payout.
    async fn only_payment(&self, finding: &Finding) -> Result<(), RunError> {
        let (Some(payout), Some(transfer)) = (&finding.payout_id, &finding.transfer_id) else {
            return Ok(());
        };
        let beside = self.beside(payout, transfer).await?;
        if beside.taken_back_itself && !beside.standing.is_empty() {
            return self.drop_taken_back(finding).await;
        }
        let Some(others) = beside.others() else {
            return Ok(());
        };
        let two = Discrepancy {
            kind: FindingKind::TwoTransfers,
            expected: Some("one transfer".to_owned()),
            found: format!("{transfer} and {}", others.join(", ")),
            ..finding.discrepancy()
        };
        self.replace(&finding.id, vec![two]).await
    }

    /// Forgets what was found about a transfer that was taken back whole beside
    /// one that stands: it pays nothing any more.
    async fn drop_taken_back(&self, finding: &Finding) -> Result<(), RunError> {
        let reversed = Discrepancy {
            kind: FindingKind::ReversedFully,
            ..finding.discrepancy()
        };
        self.replace(&reversed.id(), Vec::new()).await?;
        self.replace(&finding.id, Vec::new()).await
    }

    async fn replace(&self, id: &str, new: Vec<Discrepancy>) -> Result<(), RunError> {
        let (stamp, id) = (self.stamp.clone(), id.to_owned());
        Ok(self
            .db
            .call(move |store| store.finding_replace(&stamp, &id, &new))
            .await?)
    }
}
