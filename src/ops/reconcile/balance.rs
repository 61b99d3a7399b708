//! The transfers and reversals of a period against the lines of Stripe's balance, day by
//! day and to the cent.
//!
//! A transfer on its own is compared with the ledger; that nothing else left the balance
//! under that name, only the balance says. Its lines also tell of what was taken back in
//! the period of transfers that are older than it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::model::money::with_currency;
use crate::model::reconciliation::{Discrepancy, Finding, FindingKind};
use crate::model::time::Time;
use crate::ops::event::Event;
use crate::ops::reconcile::Comparison;
use crate::ops::reconcile::listing::{Listing, Seconds};
use crate::ops::reconcile::progress::{DAY, Day};
use crate::ops::run_error::RunError;
use crate::stripe::Transfer;
use crate::stripe::api::BalanceLines;
use crate::stripe::object::BalanceTransaction;

/// What may appear late in one of two lists is left to the next comparison, in seconds.
pub(super) const TOO_NEW: i64 = 60;

/// The seconds whose lines are compared, of a period that is read from this moment on.
pub(super) fn balanced(period: Seconds, begun: Time) -> Seconds {
    let newest = begun.unix_seconds() - TOO_NEW;
    Seconds {
        from: period.from,
        until: Some(period.until.map_or(newest, |until| until.min(newest))),
    }
}

impl Comparison<'_> {
    /// Compares what left the balance, and what came back to it.
    pub(super) async fn balance(&mut self) -> Result<(), RunError> {
        let window = self.progress.balanced();
        if !self.request.balance || window.is_empty() {
            return Ok(());
        }
        let mut lines: BTreeMap<i64, Day> = BTreeMap::new();
        let read = self.read_balance(window, &mut lines).await;
        match read {
            Ok(()) => {}
            Err(RunError::Stripe { source, .. }) if source.is_key_refused() => {
                (self.events)(Event::Warning(format!(
                    "the lines of the balance are not compared: {source}; the key needs the permission to read \
                     balance transactions"
                )));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let sum = |cents: fn(&Day) -> i64| {
            let days = lines.values();
            days.fold(0_i64, |sum, day| sum.saturating_add(cents(day)))
        };
        self.tally.balance_transfer_cents = Some(sum(|day| day.sent_cents));
        self.tally.balance_reversed_cents = Some(sum(|day| day.reversed_cents));
        let listed = &self.progress.read.days;
        let days: BTreeSet<i64> = listed.keys().chain(lines.keys()).copied().collect();
        let of = |days: &BTreeMap<i64, Day>, day| days.get(&day).copied().unwrap_or_default();
        let mut found = Vec::new();
        for day in days {
            let (listed, lines) = (of(listed, day), of(&lines, day));
            found.extend(self.differs(day, "transfers", listed.sent_cents, lines.sent_cents));
            found.extend(self.differs(
                day,
                "reversals",
                listed.reversed_cents,
                lines.reversed_cents,
            ));
        }
        self.examiner.keep(Vec::new(), found).await?;
        self.days_that_agree(window).await
    }

    /// Settles what was found of days that agree by now. Of a day that was not compared
    /// again, nothing is known.
    async fn days_that_agree(&self, window: Seconds) -> Result<(), RunError> {
        let (stamp, begun) = (self.examiner.stamp.clone(), self.begun);
        let agrees = move |finding: &Finding| covers_day_of(window, finding);
        let kind = FindingKind::BalanceDiffers;
        Ok(self
            .examiner
            .db
            .call(move |store| store.findings_gone_of(&stamp, begun, kind, agrees))
            .await?)
    }

    async fn read_balance(
        &mut self,
        window: Seconds,
        lines: &mut BTreeMap<i64, Day>,
    ) -> Result<(), RunError> {
        let reader = self.examiner.stripe()?.clone();
        let mut sent = Listing::balance(&reader, BalanceLines::Transfers, vec![window]);
        while let Some(batch) = sent.next().await? {
            for line in batch.entries.iter().filter(|line| self.counts(line)) {
                let day = lines.entry(day_of(line.created)).or_default();
                day.sent_cents = day.sent_cents.saturating_sub(line.amount);
            }
        }
        let mut older: HashSet<String> = HashSet::new();
        let mut back = Listing::balance(&reader, BalanceLines::Reversals, vec![window]);
        while let Some(batch) = back.next().await? {
            let mut transfers: Vec<Transfer> = Vec::new();
            for line in batch.entries.into_iter().filter(|line| self.counts(line)) {
                let day = lines.entry(day_of(line.created)).or_default();
                day.reversed_cents = day.reversed_cents.saturating_add(line.amount);
                let Some(mut transfer) = line.transfer else {
                    continue;
                };
                let is_older = !self.request.period.contains(transfer.created);
                if is_older && older.insert(transfer.id.clone()) {
                    self.complete_reversals(&mut transfer).await?;
                    transfers.push(transfer);
                }
            }
            // Of a transfer in the period, its own entry in the list has told.
            for transfer in &transfers {
                self.progress
                    .count_reversals(transfer, &self.examiner.terms);
            }
            self.examiner.compare(&transfers).await?;
        }
        Ok(())
    }

    fn counts(&self, line: &BalanceTransaction) -> bool {
        line.currency == self.examiner.terms.currency.as_str()
            && self
                .progress
                .balanced()
                .contains(line.created.unix_seconds())
    }

    /// Adds the reversals that Stripe did not send along: it sends the newest ten.
    pub(super) async fn complete_reversals(&self, transfer: &mut Transfer) -> Result<(), RunError> {
        let told = transfer.reversals.iter().map(|reversal| reversal.amount);
        if told.fold(0, i64::saturating_add) < transfer.amount_reversed {
            transfer.reversals = self.examiner.stripe()?.reversals(&transfer.id).await?;
        }
        Ok(())
    }

    fn differs(&self, day: i64, what: &str, listed: i64, lines: i64) -> Option<Discrepancy> {
        let currency = self.examiner.terms.currency;
        let date = Time::from_unix_seconds(day.saturating_mul(DAY)).day();
        let moved = if what == "transfers" {
            "lost"
        } else {
            "got back"
        };
        (listed != lines).then(|| Discrepancy {
            kind: FindingKind::BalanceDiffers,
            payout_id: None,
            attempt: None,
            transfer_id: None,
            subject: Some(format!("{what} of {date}")),
            at_stake_cents: Some(listed.saturating_sub(lines).saturating_abs()),
            expected: Some(format!(
                "{what} of {date} over {}",
                with_currency(listed, currency)
            )),
            found: format!("the balance {moved} {}", with_currency(lines, currency)),
        })
    }
}

/// Whether all that had been compared of a day when it was found to differ lies in these
/// seconds: the whole day, or as much of it as had passed by then.
fn covers_day_of(window: Seconds, finding: &Finding) -> bool {
    // "transfers of 2026-11-02": as texts, days are in the order of time.
    let subject = finding.subject.as_deref().unwrap_or_default();
    let Some((_, day)) = subject.rsplit_once(' ') else {
        return false;
    };
    let begins_by = |second: i64| Time::from_unix_seconds(second).day();
    let first_whole = |from: i64| begins_by(from.saturating_add(DAY - 1));
    window
        .from
        .is_none_or(|from| first_whole(from).as_str() <= day)
        && window.until.is_none_or(|until| {
            day < begins_by(until).as_str() || finding.seen_at.unix_seconds() <= until
        })
}

fn day_of(time: Time) -> i64 {
    time.unix_seconds().div_euclid(DAY)
}
