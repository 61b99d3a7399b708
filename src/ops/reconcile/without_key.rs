//! A report of Stripe's, and no key to ask Stripe with: what only Stripe could say is
//! counted and told.

use std::collections::{BTreeMap, HashSet};

use crate::model::ids::PayoutId;
use crate::model::reconciliation::{Discrepancy, FindingKind};
use crate::model::time::{Span, Time};
use crate::ops::event::Event;
use crate::ops::reconcile::Comparison;
use crate::ops::reconcile::doubt::InDoubt;
use crate::ops::reconcile::judge::missing;
use crate::ops::reconcile::listed::{holds_in, parts_of};
use crate::ops::reconcile::report::{Report, Sums, counted, overlaps};
use crate::ops::reconcile::sketch::Sketch;
use crate::ops::run_error::RunError;
use crate::ops::stripe_report::Kind;
use crate::ops::transfers::FOREIGN_MARGIN;
use crate::store::ledger::Hold;

/// Transfers that are remembered at once, without a key: those of which something was taken
/// back, and those that the file may not list.
const REMEMBERED_MAX: usize = 100_000;

/// Findings without a transfer that only Stripe can tell of.
pub(super) const NOT_WITHOUT_A_KEY: [FindingKind; 5] = [
    FindingKind::BalanceDiffers,
    FindingKind::OddEntry,
    FindingKind::Unresolved,
    FindingKind::MissingAtStripe,
    FindingKind::UnknownTransfer,
];

/// What the rows of a file take back of one transfer.
#[derive(Default)]
pub(super) struct TakenBack {
    /// Minor units.
    pub(super) cents: i64,
    /// Some of it in the period that is compared.
    pub(super) in_period: bool,
}

impl Comparison<'_> {
    /// What only Stripe could say of payouts in doubt.
    pub(super) async fn payouts_not_looked_up(&mut self) -> Result<(), RunError> {
        let mut doubtful: HashSet<PayoutId> = HashSet::new();
        let mut in_doubt = InDoubt::new();
        while let Some(page) = in_doubt.next_page(&self.examiner.db).await? {
            doubtful.extend(page);
        }
        (self.events)(Event::Warning(
            "there is no Stripe key: the table is compared with what the file says, and with nothing else; with a key, \
             Stripe is asked for the rest"
                .to_owned(),
        ));
        let count = doubtful.len() as u64;
        let warning = format!(
            "{} in doubt, not looked up: only Stripe can say what became of them",
            counted(count, "payout")
        );
        self.not_checked(count, &warning);
        Ok(())
    }

    /// What the file shows as taken back, by transfer.
    pub(super) fn taken_back_by(
        &self,
        report: &Report,
        sums: &mut Sums,
    ) -> Result<BTreeMap<String, TakenBack>, RunError> {
        let mut taken_back: BTreeMap<String, TakenBack> = BTreeMap::new();
        let mut reader = report.reader()?;
        while let Some(row) = Report::next_row(&mut reader)? {
            if row.kind != Kind::Reversal {
                continue;
            }
            let in_period = overlaps(self.request.period, &row);
            let room = taken_back.len() < REMEMBERED_MAX;
            match row.transfer {
                Some(id) if room || taken_back.contains_key(&id) => {
                    let back = taken_back.entry(id).or_default();
                    back.cents = back.cents.saturating_add(row.gross);
                    back.in_period |= in_period;
                }
                _ => sums.reversals_not_looked_up += u64::from(in_period),
            }
        }
        Ok(taken_back)
    }

    /// Every transfer that the table holds for the period and that is not in the file. What
    /// lies so near an edge that another clock may have put it on the other side is no finding.
    pub(super) async fn transfers_not_in(
        &mut self,
        report: &Report,
        held: &Sketch,
        all_named: bool,
    ) -> Result<(), RunError> {
        let missing_ones = held.clone().less(&self.progress.seen);
        if missing_ones.is_even() {
            return Ok(());
        }
        let inside = inside(self.request.period);
        let mut suspects: BTreeMap<String, (Hold, bool)> = BTreeMap::new();
        let mut beyond = 0;
        for (period, is_inside) in [(inside, true), (self.request.period, false)] {
            let mut after = None;
            loop {
                let (page, next) = holds_in(&self.examiner.db, period, after).await?;
                for hold in page {
                    if !missing_ones.suspects(&parts_of(&hold))
                        || suspects.contains_key(&hold.transfer_id)
                    {
                        continue;
                    }
                    if suspects.len() < REMEMBERED_MAX {
                        suspects.insert(hold.transfer_id.clone(), (hold, is_inside && all_named));
                    } else {
                        beyond += 1;
                    }
                }
                if next.is_none() {
                    break;
                }
                after = next;
            }
        }
        let mut reader = report.reader()?;
        while let Some(row) = Report::next_row(&mut reader)? {
            if let Some(id) = row.transfer.filter(|_| row.kind == Kind::Transfer) {
                suspects.remove(&id);
            }
        }
        for (id, (hold, is_certain)) in suspects {
            if !is_certain {
                beyond += 1;
                continue;
            }
            let holders = self.examiner.holders_of(&id).await?;
            let holder = holders.iter().find(|entry| entry.id == hold.payout_id);
            let found = holder.map(|holder| Discrepancy {
                found: "not in the file".to_owned(),
                ..missing(holder, &id)
            });
            self.examiner
                .keep(Vec::new(), found.into_iter().collect())
                .await?;
        }
        let warning = format!(
            "{} held by payouts, and not in the file: only Stripe can say what they are",
            counted(beyond, "transfer")
        );
        self.not_checked(beyond, &warning);
        Ok(())
    }
}

/// What of a period no clock puts outside it.
fn inside(period: Span) -> Span {
    let later = |time: Time| time.plus(FOREIGN_MARGIN);
    Span {
        from: period.from.map(later),
        until: period.until.map(|until| until.minus(FOREIGN_MARGIN)),
    }
}
