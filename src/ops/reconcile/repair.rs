//! The repairs that are provably safe. Each is decided again on what Stripe says at
//! that moment; none sends, retries or gives up a payout.

use crate::model::attempt::Attempt;
use crate::model::ids::PayoutId;
use crate::model::payout::Payout;
use crate::model::reconciliation::{Finding, FindingKind};
use crate::model::time::{Span, Time};
use crate::ops::adopt::{adopt_for_attempt, adopt_for_row, attempt_said};
use crate::ops::event::Event;
use crate::ops::reconcile::examine::{Examiner, Fetched};
use crate::ops::reconcile::judge::{Judged, lost_payout, open_attempt};
use crate::ops::run_error::RunError;
use crate::ops::transfers::foreign_since;
use crate::store::StoreError;
use crate::store::ledger::LedgerEntry;
use crate::store::settle::Recorded;
use crate::stripe::Transfer;

/// What was done, or why nothing was.
pub(in crate::ops) type Repaired = Result<String, String>;

/// What came of repairing a finding.
pub(in crate::ops) struct Repair {
    pub(in crate::ops) done: Repaired,
    /// A transfer of the period that no payout held before, and that one holds now.
    pub(in crate::ops) matched_now: bool,
}

impl Repair {
    fn not(why: impl Into<String>) -> Self {
        Err(why.into()).into()
    }
}

impl From<Repaired> for Repair {
    fn from(done: Repaired) -> Self {
        Self {
            done,
            matched_now: false,
        }
    }
}

/// Repairs on behalf of one run.
pub(in crate::ops) struct Repairs<'a> {
    pub(in crate::ops) examiner: &'a Examiner,
    /// The transfers that were compared.
    pub(in crate::ops) period: Span,
    /// When that began.
    pub(in crate::ops) begun: Time,
}

impl Repairs<'_> {
    /// Repairs one finding.
    pub(in crate::ops) async fn of(
        &self,
        finding: &Finding,
        events: &mut dyn FnMut(Event),
    ) -> Result<Repair, RunError> {
        if finding.kind == FindingKind::StatementNotMarked {
            return Ok(self.mark_statement(finding).await?.into());
        }
        let Some(id) = &finding.transfer_id else {
            return Ok(Repair::not("it names no transfer"));
        };
        // Decided on what Stripe says now, not on what a page said a while ago.
        let transfer = match self.examiner.fetch(id).await? {
            Fetched::Transfer(transfer) => *transfer,
            Fetched::Nothing => return Ok(Repair::not(format!("{id} is not at Stripe any more"))),
            Fetched::Odd(error) => {
                return Ok(Repair::not(format!("{id} cannot be read: {error}")));
            }
        };
        let judged = self.examiner.judged_one(&transfer).await?;
        if !judged.has(finding.kind) {
            return Ok(Ok("not there any more".to_owned()).into());
        }
        let payout = finding.payout_id.as_ref();
        let done = self
            .by_transfer(finding.kind, payout, &transfer, &judged, events)
            .await?;
        let matched_now = done.is_ok()
            && !judged.matched
            && self.period.contains(transfer.created)
            && self.examiner.judged_one(&transfer).await?.matched;
        Ok(Repair { done, matched_now })
    }

    /// Repairs what was found about a transfer, on this word of Stripe about it.
    pub(in crate::ops) async fn by_transfer(
        &self,
        kind: FindingKind,
        payout: Option<&PayoutId>,
        transfer: &Transfer,
        judged: &Judged,
        events: &mut dyn FnMut(Event),
    ) -> Result<Repaired, RunError> {
        if kind == FindingKind::ForgottenPayout {
            return self.restore(transfer).await;
        }
        let Some(payout) = payout else {
            return Ok(Err("it names no payout".to_owned()));
        };
        match kind {
            FindingKind::StatusBehind if judged.may_be_adopted() => {
                self.adopt(payout, transfer, events).await
            }
            FindingKind::ReversedFully | FindingKind::ReversedPartly => {
                self.keep_reversal(payout, transfer).await
            }
            _ => Ok(Err("something else about it does not fit".to_owned())),
        }
    }

    async fn restore(&self, transfer: &Transfer) -> Result<Repaired, RunError> {
        let lost = match lost_payout(transfer, &self.examiner.terms) {
            Ok(lost) => lost,
            Err(reason) => return Ok(Err(reason)),
        };
        let stamp = self.examiner.stamp.clone();
        let restored = self
            .examiner
            .db
            .call(move |store| match store.payout_restore(&stamp, &lost) {
                Err(StoreError::Conflict(reason)) => Ok(Err(reason)),
                other => other.map(Ok),
            })
            .await?;
        Ok(restored.map(|()| "made again from its transfer".to_owned()))
    }

    async fn adopt(
        &self,
        payout: &PayoutId,
        transfer: &Transfer,
        events: &mut dyn FnMut(Event),
    ) -> Result<Repaired, RunError> {
        let (ids, lease) = (vec![payout.clone()], self.examiner.lease);
        let entry = self
            .examiner
            .db
            .call(move |store| store.ledger_entries(&ids, lease))
            .await?
            .remove(payout);
        let Some(entry) = entry else {
            return Ok(Err("its payout is gone".to_owned()));
        };
        let stamp = self.examiner.stamp.clone();
        let recorded = match (attempt_to_blame(&entry, transfer), &entry.payout) {
            (Some(attempt), _) => {
                adopt_for_attempt(&self.examiner.db, stamp, attempt, transfer).await?
            }
            (None, Some(row)) if !self.is_looked_at_whole(row, transfer) => {
                return Ok(Err(format!(
                    "other software may have sent it twice, once outside the period: \
                     look at all of it with `payouts reconcile --fix --from {}`",
                    foreign_since(row.created_at, self.begun)
                )));
            }
            (None, Some(row)) => {
                adopt_for_row(&self.examiner.db, stamp, row.clone(), transfer).await?
            }
            (None, None) => return Ok(Err("its row is gone".to_owned())),
        };
        Ok(match recorded {
            Recorded::Done | Recorded::Already => {
                events(Event::Note(format!(
                    "payout {payout} was paid by {}: recorded",
                    transfer.id
                )));
                Ok("recorded".to_owned())
            }
            Recorded::Finding(beside) => {
                events(Event::Note(beside));
                Ok("recorded".to_owned())
            }
            Recorded::NotOurs => Err("another run is at work on it".to_owned()),
            Recorded::Alarm(reason) | Recorded::Waits(reason) => Err(reason),
        })
    }

    async fn keep_reversal(
        &self,
        payout: &PayoutId,
        transfer: &Transfer,
    ) -> Result<Repaired, RunError> {
        let payout = payout.clone();
        let (stamp, currency) = (self.examiner.stamp.clone(), self.examiner.terms.currency);
        let (id, cents) = (transfer.id.clone(), transfer.amount_reversed);
        self.examiner
            .db
            .call(move |store| store.reversal_keep(&stamp, &payout, &id, cents, currency))
            .await?;
        Ok(Ok("the amount is kept".to_owned()))
    }

    async fn mark_statement(&self, finding: &Finding) -> Result<Repaired, RunError> {
        let Some(payout) = finding.payout_id.clone() else {
            return Ok(Err("it names no payout".to_owned()));
        };
        let marked = self
            .examiner
            .db
            .call(move |store| store.statement_mark(&payout))
            .await?;
        Ok(marked.map(|()| "marked PAID".to_owned()))
    }

    /// Whether a second transfer of the same payout would have been seen. What
    /// this database made is in the payout's group, which is read whole; other
    /// software names a payout by metadata alone, so that only a period that
    /// reaches from before the row to now shows all of it.
    fn is_looked_at_whole(&self, row: &Payout, transfer: &Transfer) -> bool {
        let period = self.period;
        let ours = transfer.metadata.get("database") == Some(&self.examiner.terms.database_id);
        let since = foreign_since(row.created_at, self.begun);
        ours || (period.until.is_none() && period.from.is_none_or(|from| from <= since))
    }
}

/// The attempt on which a transfer is recorded: the open one, else the one whose
/// number it bears. None when this database has lost that attempt, or never had one.
fn attempt_to_blame<'a>(entry: &'a LedgerEntry, transfer: &Transfer) -> Option<&'a Attempt> {
    let said = attempt_said(transfer);
    open_attempt(entry).or_else(|| entry.attempts.iter().find(|a| Some(a.attempt) == said))
}
