//! How far a comparison got: enough to go on from there in another run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::reconciliation::Reconciliation;
use crate::model::time::{Span, Time};
use crate::ops::reconcile::balance::TOO_NEW;
use crate::ops::reconcile::judge::Terms;
use crate::ops::reconcile::listing::{Seconds, join, left};
use crate::ops::reconcile::sketch::Sketch;
use crate::stripe::Transfer;

/// What was read of Stripe's list, and what it came to.
pub(super) struct Progress {
    /// Which transfers that the table holds were seen.
    pub(super) seen: Sketch,
    /// The rest.
    pub(super) read: Read,
}

/// As it is kept: seconds since 1970, minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Read {
    /// Seconds of which everything was read: first, and first behind.
    done: Vec<(Option<i64>, Option<i64>)>,
    transfer_count: i64,
    transfer_cents: i64,
    matched_count: i64,
    reversed_cents: i64,
    /// When the newest transfer was made.
    newest: Option<i64>,
    /// Whether the lines of the balance are compared, for which every reversal is counted.
    with_balance: bool,
    /// The seconds whose lines they are.
    balanced: (Option<i64>, Option<i64>),
    /// What left in them by day.
    pub(super) days: BTreeMap<i64, Day>,
}

/// What transfers and reversals of one UTC day came to in the database's currency,
/// minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Day {
    /// Transfers made on it.
    pub(super) sent_cents: i64,
    /// Taken back on it, whenever the transfer was made.
    pub(super) reversed_cents: i64,
}

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

impl Progress {
    /// Nothing is read yet, of whose seconds the lines of the balance are compared.
    pub(super) fn begun(balanced: Seconds, with_balance: bool) -> Self {
        Self {
            seen: Sketch::new(),
            read: Read {
                with_balance,
                balanced: (balanced.from, balanced.until),
                ..Read::default()
            },
        }
    }

    /// Whether every reversal was counted, so that the balance can be compared.
    pub(super) fn with_balance(&self) -> bool {
        self.read.with_balance
    }

    /// The seconds whose lines of the balance are compared.
    pub(super) fn balanced(&self) -> Seconds {
        let (from, until) = self.read.balanced;
        Seconds { from, until }
    }

    /// From what another run kept; none when it cannot be read.
    pub(super) fn from_kept(read: &str, seen: &[u8]) -> Option<Self> {
        Some(Self {
            seen: Sketch::from_bytes(seen)?,
            read: serde_json::from_str(read).ok()?,
        })
    }

    /// As it is kept. What was made after the newest transfer seen is read again then,
    /// even where the period ends later: it may not have been over yet.
    pub(super) fn to_keep(&self) -> (String, Vec<u8>) {
        let mut read = self.read.clone();
        let behind_newest = read.newest.map(|newest| newest + 1);
        if let Some((from, until)) = read.done.last_mut() {
            *until = match (behind_newest, *until) {
                (Some(behind), Some(until)) => Some(behind.min(until)),
                (Some(behind), None) => Some(behind),
                // Nothing was counted yet.
                (None, _) => *from,
            };
        }
        if behind_newest.is_none() {
            read.done.pop_if(|(from, until)| from == until);
        }
        // Numbers in lists and maps with whole keys always serialise.
        let text = serde_json::to_string(&read).unwrap_or_default();
        (text, self.seen.to_bytes())
    }

    /// What of the period is still to be read.
    pub(super) fn windows_left(&self, period: Span) -> Vec<Seconds> {
        left(Seconds::of(period), &self.done())
    }

    /// The last minute of what another run read. A transfer that was made in it may have
    /// appeared since; of what is older, lists are complete.
    pub(super) fn read_too_early(&self, period: Span) -> Option<Seconds> {
        let newest = self.read.newest?;
        let Seconds { from, .. } = Seconds::of(period);
        let early = newest.saturating_sub(TOO_NEW);
        Some(Seconds {
            from: Some(from.map_or(early, |from| from.max(early))),
            until: Some(newest + 1),
        })
    }

    /// Nothing of these seconds is missing any more.
    pub(super) fn is_done(&mut self, seconds: Seconds) {
        let mut done = self.done();
        join(&mut done, seconds);
        self.read.done = done.iter().map(|part| (part.from, part.until)).collect();
    }

    fn done(&self) -> Vec<Seconds> {
        let part = |(from, until): &(Option<i64>, Option<i64>)| Seconds {
            from: *from,
            until: *until,
        };
        self.read.done.iter().map(part).collect()
    }

    /// Counts a listed transfer.
    pub(super) fn count(&mut self, transfer: &Transfer, matched: bool, terms: &Terms) {
        let read = &mut self.read;
        let made = transfer.created.unix_seconds();
        read.transfer_count += 1;
        read.matched_count += i64::from(matched);
        read.newest = read.newest.max(Some(made));
        if transfer.currency != terms.currency.as_str() {
            return;
        }
        add(&mut read.transfer_cents, transfer.amount);
        add(&mut read.reversed_cents, transfer.amount_reversed);
        if self.balanced().contains(made) {
            add(&mut self.day(made).sent_cents, transfer.amount);
        }
        self.count_reversals(transfer, terms);
    }

    /// Counts what was taken back of a transfer, each time on its day.
    pub(super) fn count_reversals(&mut self, transfer: &Transfer, terms: &Terms) {
        if transfer.currency != terms.currency.as_str() {
            return;
        }
        for reversal in &transfer.reversals {
            let made = reversal.created.unix_seconds();
            if self.balanced().contains(made) {
                add(&mut self.day(made).reversed_cents, reversal.amount);
            }
        }
    }

    fn day(&mut self, second: i64) -> &mut Day {
        self.read.days.entry(second.div_euclid(DAY)).or_default()
    }

    /// Transfers so far.
    pub(super) fn transfers(&self) -> u64 {
        u64::try_from(self.read.transfer_count).unwrap_or(0)
    }

    /// When the newest of them was made.
    pub(super) fn newest(&self) -> Option<Time> {
        self.read.newest.map(Time::from_unix_seconds)
    }

    /// Adds what was counted to what a comparison came to.
    pub(super) fn tell(&self, tally: &mut Reconciliation) {
        let read = &self.read;
        tally.transfer_count = read.transfer_count;
        tally.transfer_cents = read.transfer_cents;
        tally.reversed_cents = read.reversed_cents;
        tally.matched_count += read.matched_count;
    }
}

fn add(sum: &mut i64, cents: i64) {
    *sum = sum.saturating_add(cents);
}
