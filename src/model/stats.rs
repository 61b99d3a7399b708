//! What payouts came to in a stretch of time: volume, success, failures, how long it took.
//!
//! This is the one home of what these words mean; `payouts stats` and the figures of
//! `payouts report` are made from the [`Entry`] that puts a payout into the books.
//!
//! - A payout **succeeded** in a period when it was paid in it, by the transfer's own time.
//! - It **failed for good**, as far as the period knows, when it was refused in the period and
//!   by the end of it was neither paid nor put back into the queue. Ended by a person after
//!   that, it failed all the same.
//! - The **success rate** is those that succeeded of all that came to such a definite end. What
//!   is pending or on its way, and what was cancelled without having been refused, counts on
//!   neither side.
//! - A **failed attempt** is one request for a transfer to which the answer was a definite no.
//!   A payout that is paid at the third attempt succeeded once, and has two of them.
//! - A **retry** is an attempt that is not the payout's first.
//! - What was **reversed** was taken back after it had been paid. It stays a success.
//! - **Time to paid** counts from the creation of a payout, and so has the time in it for which
//!   it was held, waited for approval or was retried.

use std::collections::BTreeMap;

use crate::model::listing::Total;
use crate::model::report::{BookedPayout, EndStatus, Entry, Period};
use crate::model::time::Time;

/// What happened to payouts in a stretch of time. Amounts are in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Created.
    pub created: Total,
    /// Paid.
    pub paid: Total,
    /// Ended without having been paid.
    pub cancelled: Total,
    /// Refused, each once and at the last time, whatever became of it.
    pub failed: Total,
    /// Of these, failed for good as far as the period knows.
    pub unpaid: Total,
    /// Of whose transfers something was taken back, each once and at the last time; how much.
    pub reversed: Total,
    /// Attempts that were refused, and what they were to pay.
    pub failed_attempts: Total,
    /// Attempts that were not the payout's first.
    pub retries: i64,
    /// How long those that were paid had taken.
    pub to_paid: Durations,
}

/// One thing that happened to a payout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// It was created.
    Created,
    /// It was paid, so many milliseconds after it was created.
    Paid {
        /// From its creation.
        after_millis: i64,
    },
    /// It was ended without having been paid.
    Cancelled,
    /// It was refused for the last time.
    Failed {
        /// And that was its end, as far as the period knows.
        for_good: bool,
    },
    /// Some of its transfer was taken back.
    Reversed {
        /// How much, minor units.
        cents: i64,
        /// For the last time.
        last: bool,
    },
}

impl Happening {
    /// What happened to a payout in a period, each with its moment in it.
    pub fn all_of(booked: &BookedPayout, entry: &Entry, period: Period) -> Vec<(Time, Self)> {
        let created_at = booked.payout.created_at;
        let mut all = Vec::new();
        if entry.created {
            all.push((created_at, Self::Created));
        }
        if let Some(at) = entry.paid_at.filter(|_| entry.paid) {
            let after_millis = at.millis_since(created_at);
            all.push((at, Self::Paid { after_millis }));
        }
        if let Some(at) = entry.cancelled_at.filter(|_| entry.cancelled) {
            all.push((at, Self::Cancelled));
        }
        if let Some(at) = entry.failed_at {
            let for_good = matches!(entry.standing, EndStatus::Failed | EndStatus::Cancelled);
            all.push((at, Self::Failed { for_good }));
        }
        let steps = booked.taken_back_in(period);
        let last = steps.len().saturating_sub(1);
        for (number, (at, cents)) in steps.into_iter().enumerate() {
            let last = number == last;
            all.push((at, Self::Reversed { cents, last }));
        }
        all
    }
}

impl Tally {
    /// Takes in what happened to a payout over this amount.
    pub fn add(&mut self, amount_cents: i32, happened: Happening) {
        let amount_cents = i64::from(amount_cents);
        match happened {
            Happening::Created => self.created.add(amount_cents),
            Happening::Paid { after_millis } => {
                self.paid.add(amount_cents);
                self.to_paid.add(after_millis);
            }
            Happening::Cancelled => self.cancelled.add(amount_cents),
            Happening::Failed { for_good } => {
                self.failed.add(amount_cents);
                if for_good {
                    self.unpaid.add(amount_cents);
                }
            }
            Happening::Reversed { cents, last } => {
                let sum = &mut self.reversed;
                sum.amount_cents = sum.amount_cents.saturating_add(cents);
                sum.count = sum.count.saturating_add(i64::from(last));
            }
        }
    }

    /// Takes in an attempt over this amount that was refused.
    pub fn add_failed_attempt(&mut self, amount_cents: i32) {
        self.failed_attempts.add(amount_cents.into());
    }

    /// Takes in an attempt that was not the first.
    pub fn add_retry(&mut self) {
        self.retries = self.retries.saturating_add(1);
    }

    /// Takes in all of another.
    pub fn merge(&mut self, other: &Self) {
        for (sum, part) in [
            (&mut self.created, other.created),
            (&mut self.paid, other.paid),
            (&mut self.cancelled, other.cancelled),
            (&mut self.failed, other.failed),
            (&mut self.unpaid, other.unpaid),
            (&mut self.reversed, other.reversed),
            (&mut self.failed_attempts, other.failed_attempts),
        ] {
            sum.merge(part);
        }
        self.retries = self.retries.saturating_add(other.retries);
        self.to_paid.merge(&other.to_paid);
    }

    /// How many of ten thousand payouts that came to a definite end were paid, rounded down,
    /// so that only all of them are all; none where none came to one.
    pub fn success_per_10000(&self) -> Option<i64> {
        let ended = self.paid.count.saturating_add(self.unpaid.count);
        (ended > 0).then(|| self.paid.count.saturating_mul(10_000) / ended)
    }
}

/// Lengths of time, cut to whole seconds. Their percentiles are exact, and what is held grows
/// with how many different lengths there are, not with how many payouts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Durations {
    /// How many took so many seconds.
    of_seconds: BTreeMap<i64, i64>,
    count: i64,
}

impl Durations {
    /// Takes in a length of time; one that is negative is none.
    pub fn add(&mut self, millis: i64) {
        let seconds = millis.max(0) / 1000;
        *self.of_seconds.entry(seconds).or_default() += 1;
        self.count = self.count.saturating_add(1);
    }

    /// Takes in all of another.
    pub fn merge(&mut self, other: &Self) {
        for (seconds, count) in &other.of_seconds {
            *self.of_seconds.entry(*seconds).or_default() += count;
        }
        self.count = self.count.saturating_add(other.count);
    }

    /// The shortest time, in seconds, within which at least so many per cent were done: the
    /// nearest rank. None where there are none.
    pub fn percentile(&self, per_cent: i64) -> Option<i64> {
        let rank = self.count.saturating_mul(per_cent).saturating_add(99) / 100;
        let mut reached = 0_i64;
        self.of_seconds.iter().find_map(|(seconds, count)| {
            reached = reached.saturating_add(*count);
            (reached >= rank.max(1)).then_some(*seconds)
        })
    }

    /// The longest, in seconds.
    pub fn max(&self) -> Option<i64> {
        self.of_seconds.keys().next_back().copied()
    }

    /// How many took at least `from` seconds and less than `until`.
    pub fn between(&self, from: i64, until: i64) -> i64 {
        let counts = self.of_seconds.range(from..until.max(from));
        counts.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::report::Books;
    use crate::model::report::tests::booked;
    use proptest::prelude::*;

    fn time(day: i64) -> Time {
        Time::from_millis(day)
    }

    /// What happened in each part of a period that begins at a cut, and the books of the whole.
    fn tallies(payouts: &[BookedPayout], period: Period, cuts: &[i64]) -> (Vec<Tally>, Books) {
        let mut parts = vec![Tally::default(); cuts.len() + 1];
        let mut books = Books::default();
        for booked in payouts {
            let Some(entry) = Entry::of(booked, period) else {
                continue;
            };
            books.add(booked.payout.amount_cents, &entry);
            for (at, happened) in Happening::all_of(booked, &entry, period) {
                let part = cuts.iter().filter(|cut| time(**cut) <= at).count();
                parts[part].add(booked.payout.amount_cents, happened);
            }
        }
        (parts, books)
    }

    fn whole(parts: &[Tally]) -> Tally {
        let mut whole = Tally::default();
        for part in parts {
            whole.merge(part);
        }
        whole
    }

    /// The percentile of a list, as a person would count it.
    fn by_hand(lengths: &[i64], per_cent: usize) -> Option<i64> {
        let mut sorted: Vec<i64> = lengths.iter().map(|millis| millis / 1000).collect();
        sorted.sort_unstable();
        let rank = (lengths.len() * per_cent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever the rows and histories say: the figures are those of the books, the parts of a
        /// period come to the whole, and so do periods that are asked for one by one.
        #[test]
        fn figures_tie_to_the_books_and_parts_to_the_whole(
            payouts in prop::collection::vec(booked(), 0..12),
            from in prop::option::of(0..50_i64),
            until in 50..101_i64,
            cuts in prop::collection::vec(0..101_i64, 0..4),
        ) {
            let mut cuts = cuts;
            cuts.retain(|cut| from.is_none_or(|from| from < *cut) && *cut < until);
            cuts.sort_unstable();
            let period = Period { from: from.map(time), until: time(until) };
            let (parts, books) = tallies(&payouts, period, &cuts);
            let whole = whole(&parts);
            prop_assert_eq!(
                [whole.created, whole.paid, whole.cancelled, whole.failed, whole.reversed],
                [books.created, books.paid, books.cancelled, books.failed, books.reversed]
            );
            prop_assert!(whole.unpaid.count <= whole.failed.count);
            prop_assert_eq!(whole.to_paid.count, whole.paid.count);

            let mut sum = Tally::default();
            let mut begin = period.from;
            for cut in cuts.iter().copied().chain([until]) {
                let alone = Period { from: begin, until: time(cut) };
                sum.merge(&tallies(&payouts, alone, &[]).0[0]);
                begin = Some(time(cut));
            }
            prop_assert_eq!(
                (sum.created, sum.paid, sum.cancelled, sum.reversed.amount_cents, &sum.to_paid),
                (whole.created, whole.paid, whole.cancelled, whole.reversed.amount_cents, &whole.to_paid)
            );
        }

        #[test]
        fn percentiles_are_exact(
            lengths in prop::collection::vec(0..100_000_i64, 0..60), per_cent in 1..=100_usize,
        ) {
            let mut durations = Durations::default();
            let (mut one, mut other) = (Durations::default(), Durations::default());
            for (number, millis) in lengths.iter().enumerate() {
                durations.add(*millis);
                if number % 2 == 0 { one.add(*millis) } else { other.add(*millis) }
            }
            prop_assert_eq!(
                durations.percentile(per_cent.try_into().unwrap()),
                by_hand(&lengths, per_cent)
            );
            prop_assert_eq!(durations.max(), by_hand(&lengths, 100));
            prop_assert_eq!(
                durations.between(0, 50) + durations.between(50, i64::MAX),
                i64::try_from(lengths.len()).unwrap()
            );
            one.merge(&other);
            prop_assert_eq!(one, durations);
        }
    }

    #[test]
    fn a_rate_is_rounded_down_and_unknown_where_nothing_ended() {
        let rate = |paid, unpaid| {
            let total = |count| Total {
                count,
                amount_cents: 0,
            };
            Tally {
                paid: total(paid),
                unpaid: total(unpaid),
                ..Tally::default()
            }
            .success_per_10000()
        };
        assert_eq!(rate(0, 0), None);
        assert_eq!(rate(0, 1), Some(0));
        assert_eq!(rate(1, 0), Some(10_000));
        assert_eq!(rate(2, 1), Some(6666));
        assert_eq!(rate(999_999, 1), Some(9999));
    }
}
