//! What a payout is in the books of a period: whether it was owed when the period
//! began and when it ended, and what happened in between.
//!
//! A payout is owed from its creation until it is paid or cancelled, and each of
//! these happens to it once at most. Both are put into a period by their moments
//! alone, and the end never before the beginning. So
//! `opening + created - paid - cancelled = closing` holds for each payout by
//! itself, whatever its row says, and one period closes with what the next opens
//! with.

use crate::model::history::HistoryEvent;
use crate::model::ids::BatchId;
use crate::model::listing::Total;
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::text_enum;
use crate::model::time::{Span, Time};

/// A payout with all that its place in the books depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedPayout {
    /// The row.
    pub payout: Payout,
    /// The creator's name on stage today; none when the creator's row is gone.
    pub creator_name: Option<String>,
    /// The batch it was loaded with.
    pub batch_id: Option<BatchId>,
    /// The reference it was loaded under.
    pub reference: Option<String>,
    /// Its history, oldest first. What other software did is not in it.
    pub history: Vec<Step>,
    /// What was known from when on to be taken back of its transfer, in minor units.
    pub taken_back: Vec<(Time, i64)>,
}

/// One change of a payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What happened.
    pub event: HistoryEvent,
    /// The status before; none for a new payout.
    pub from_status: Option<String>,
    /// The status after.
    pub to_status: String,
    /// When.
    pub at: Time,
}

/// How a payout ceases to be owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A transfer was made.
    Paid,
    /// It was ended without one.
    Cancelled,
}

text_enum! {
    /// Where a payout stood at the end of a period.
    pub enum EndStatus {
        /// In the queue.
        Pending = "PENDING",
        /// Claimed by a run, or of unknown outcome.
        Processing = "PROCESSING",
        /// Paid.
        Completed = "COMPLETED",
        /// Refused, and still owed.
        Failed = "FAILED",
        /// Ended without having been paid.
        Cancelled = "CANCELLED",
    }
}

impl BookedPayout {
    /// When and how it ceased to be owed. The transfer's own time counts, as in
    /// Stripe's books; without one, the moment this tool recorded the payment; of a
    /// row that says neither, the last change of it.
    pub fn ending(&self) -> Option<(Ending, Time)> {
        let at_of =
            |wanted: &dyn Fn(&&Step) -> bool| self.history.iter().find(wanted).map(|step| step.at);
        let recorded = at_of(&|step| {
            matches!(
                step.event,
                HistoryEvent::Paid | HistoryEvent::Adopted | HistoryEvent::Restored
            )
        });
        let payout = &self.payout;
        let paid = if payout.status == PayoutStatus::Completed {
            payout.processed_at.or(recorded).or(Some(payout.updated_at))
        } else {
            // Money that moved has moved, whatever the row says by now.
            recorded
        };
        let (ending, at) = match paid {
            Some(at) => (Ending::Paid, at),
            None => (
                Ending::Cancelled,
                at_of(&|step| step.event == HistoryEvent::Cancelled)?,
            ),
        };
        Some((ending, at.max(payout.created_at)))
    }

    /// Where it stood just before `until`, when it was owed then: what the history
    /// says, else what the next row of it says was before, else the row of today.
    fn status_before(&self, until: Time) -> EndStatus {
        let last = self.history.iter().rev().find(|step| step.at < until);
        let next = self.history.iter().find(|step| step.at >= until);
        let said = last
            .map(|step| step.to_status.as_str())
            .or_else(|| next.and_then(|step| step.from_status.as_deref()))
            .unwrap_or(self.payout.status.as_str());
        match said {
            "PENDING" => EndStatus::Pending,
            "FAILED" => EndStatus::Failed,
            // Recorded as paid by a transfer that bears a later time: it was on the way.
            _ => EndStatus::Processing,
        }
    }

    /// When it last failed in a span of time: by the history, else by the row.
    fn failed_in(&self, period: Span) -> Option<Time> {
        let failures = self.history.iter().rev().filter(|step| {
            step.to_status == PayoutStatus::Failed.as_str()
                && step.from_status.as_deref() != Some(PayoutStatus::Failed.as_str())
                && step.event != HistoryEvent::Cancelled
        });
        let known = failures.map(|step| step.at).find(|at| period.contains(*at));
        let said = || {
            let payout = &self.payout;
            let at = payout.last_retry_at?;
            let failed = self.history.is_empty() && payout.status == PayoutStatus::Failed;
            (failed && period.contains(at)).then_some(at)
        };
        known.or_else(said)
    }

    /// What was known by a moment to be taken back, minor units; nothing before it
    /// was created.
    fn taken_back_before(&self, moment: Time) -> i64 {
        self.taken_back
            .iter()
            .filter(|(seen, _)| self.payout.created_at.max(*seen) < moment)
            .map(|(_, cents)| *cents)
            .max()
            .unwrap_or(0)
    }

    /// What was seen to be taken back in a period, each time by how much, minor units, in
    /// the order of time. It comes to [`Entry::reversed_cents`].
    pub fn taken_back_in(&self, period: Period) -> Vec<(Time, i64)> {
        let mut seen: Vec<(Time, i64)> = self
            .taken_back
            .iter()
            .map(|(at, cents)| (self.payout.created_at.max(*at), *cents))
            .collect();
        seen.sort_unstable();
        let mut known = 0_i64;
        let mut taken = Vec::new();
        for (at, cents) in seen {
            let more = cents.saturating_sub(known);
            if more > 0 {
                known = cents;
                if period.span().contains(at) {
                    taken.push((at, more));
                }
            }
        }
        taken
    }
}

/// The period of a report: from a moment on, or from the beginning, up to but not
/// including another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first moment of it; none is the beginning of all.
    pub from: Option<Time>,
    /// The first moment after it.
    pub until: Time,
}

impl Period {
    /// The same as a span of time.
    pub fn span(self) -> Span {
        Span {
            from: self.from,
            until: Some(self.until),
        }
    }
}

/// A payout's line in the books of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Owed when the period began.
    pub opening: bool,
    /// Created in the period.
    pub created: bool,
    /// Paid in the period.
    pub paid: bool,
    /// Cancelled in the period.
    pub cancelled: bool,
    /// Owed when it ended.
    pub closing: bool,
    /// Where it stood when the period ended.
    pub standing: EndStatus,
    /// When it was paid, if that was before the end of the period.
    pub paid_at: Option<Time>,
    /// When it was cancelled, if that was before the end of the period.
    pub cancelled_at: Option<Time>,
    /// When it last failed in the period.
    pub failed_at: Option<Time>,
    /// What was seen in the period to be taken back, minor units.
    pub reversed_cents: i64,
    /// It is still on the way, or of unknown outcome: what becomes of it may yet
    /// turn out to have been in this period.
    pub unsettled: bool,
}

impl Entry {
    /// What a payout is in the books of a period; none when it has no place there.
    pub fn of(booked: &BookedPayout, period: Period) -> Option<Self> {
        let created_at = booked.payout.created_at;
        let ending = booked.ending();
        let ended_before = |moment: Time| ending.is_some_and(|(_, at)| at < moment);
        let owed = |moment: Time| created_at < moment && !ended_before(moment);
        let span = period.span();
        let ended_in =
            |kind: Ending| ending.is_some_and(|(this, at)| this == kind && span.contains(at));
        let ended_at = |kind: Ending| {
            ending
                .filter(|(this, at)| *this == kind && *at < period.until)
                .map(|(_, at)| at)
        };
        let (paid_at, cancelled_at) = (ended_at(Ending::Paid), ended_at(Ending::Cancelled));
        let closing = owed(period.until);
        let entry = Self {
            opening: period.from.is_some_and(owed),
            created: span.contains(created_at),
            paid: ended_in(Ending::Paid),
            cancelled: ended_in(Ending::Cancelled),
            closing,
            standing: match (paid_at, cancelled_at) {
                (Some(_), _) => EndStatus::Completed,
                (_, Some(_)) => EndStatus::Cancelled,
                _ => booked.status_before(period.until),
            },
            paid_at,
            cancelled_at,
            failed_at: booked.failed_in(span),
            reversed_cents: booked
                .taken_back_before(period.until)
                .saturating_sub(period.from.map_or(0, |from| booked.taken_back_before(from))),
            unsettled: closing && booked.payout.status == PayoutStatus::Processing,
        };
        let counts =
            entry.opening || entry.created || entry.paid || entry.cancelled || entry.closing;
        (counts || entry.failed_at.is_some() || entry.reversed_cents > 0).then_some(entry)
    }
}

/// The lines of a report. Sums are in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Books {
    /// Owed when the period began.
    pub opening: Total,
    /// Created in the period.
    pub created: Total,
    /// Paid in it.
    pub paid: Total,
    /// Cancelled in it.
    pub cancelled: Total,
    /// Owed when it ended …
    pub closing: Total,
    /// … of which were in the queue,
    pub closing_pending: Total,
    /// … on the way or of unknown outcome,
    pub closing_processing: Total,
    /// … refused, and neither tried again nor cancelled.
    pub closing_failed: Total,
    /// Payouts that failed in the period, each once, whatever became of them.
    pub failed: Total,
    /// Payouts of whose transfers something was seen to be taken back, and how much.
    pub reversed: Total,
    /// Payouts of which it may still turn out that they were paid in the period.
    pub unsettled: Total,
}

impl Books {
    /// Takes in a payout's line.
    pub fn add(&mut self, amount_cents: i32, entry: &Entry) {
        let amount_cents = i64::from(amount_cents);
        let standing = |wanted| entry.closing && entry.standing == wanted;
        for (total, counts) in [
            (&mut self.opening, entry.opening),
            (&mut self.created, entry.created),
            (&mut self.paid, entry.paid),
            (&mut self.cancelled, entry.cancelled),
            (&mut self.closing, entry.closing),
            (&mut self.closing_pending, standing(EndStatus::Pending)),
            (
                &mut self.closing_processing,
                standing(EndStatus::Processing),
            ),
            (&mut self.closing_failed, standing(EndStatus::Failed)),
            (&mut self.failed, entry.failed_at.is_some()),
            (&mut self.unsettled, entry.unsettled),
        ] {
            if counts {
                total.add(amount_cents);
            }
        }
        if entry.reversed_cents > 0 {
            self.reversed.add(entry.reversed_cents);
        }
    }

    /// What `opening + created - paid - cancelled - closing` comes to: nothing, or
    /// this program has added up wrongly.
    pub fn difference(&self) -> Total {
        let sum = |of: fn(&Total) -> i64| {
            [&self.opening, &self.created]
                .into_iter()
                .map(of)
                .fold(0_i64, i64::saturating_add)
                .saturating_sub(of(&self.paid))
                .saturating_sub(of(&self.cancelled))
                .saturating_sub(of(&self.closing))
        };
        Total {
            count: sum(|total| total.count),
            amount_cents: sum(|total| total.amount_cents),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::ids::{CreatorId, PayoutId};
    use proptest::prelude::*;

    fn time(day: i64) -> Time {
        Time::from_millis(day)
    }

    fn status() -> impl Strategy<Value = PayoutStatus> {
        prop::sample::select(PayoutStatus::ALL)
    }

    fn step() -> impl Strategy<Value = Step> {
        (
            prop::sample::select(HistoryEvent::ALL),
            prop::option::of(status()),
            status(),
            0..100_i64,
        )
            .prop_map(|(event, from, to, at)| Step {
                event,
                from_status: from.map(|status| status.as_str().to_owned()),
                to_status: to.as_str().to_owned(),
                at: time(at),
            })
    }

    prop_compose! {
        /// Any row with any history, whether this tool could have written them or not.
        pub(crate) fn booked()(
            status in status(),
            amount_cents in any::<i32>(),
            created in 0..100_i64,
            updated in 0..100_i64,
            processed in prop::option::of(0..100_i64),
            retried in prop::option::of(0..100_i64),
            mut history in prop::collection::vec(step(), 0..6),
            mut taken in prop::collection::vec((0..100_i64, 1..1000_i64), 0..4),
        ) -> BookedPayout {
            history.sort_by_key(|step| step.at);
            taken.sort_unstable();
            BookedPayout {
                payout: Payout {
                    id: PayoutId::new("p"),
                    creator_id: CreatorId::new("c"),
                    royalty_statement_id: None,
                    amount_cents,
                    stripe_transfer_id: None,
                    status,
                    processed_at: processed.map(time),
                    failed_reason: None,
                    retry_count: 0,
                    last_retry_at: retried.map(time),
                    created_at: time(created),
                    updated_at: time(updated),
                },
                creator_name: None,
                batch_id: None,
                reference: None,
                history,
                taken_back: taken.into_iter().map(|(at, cents)| (time(at), cents)).collect(),
            }
        }
    }

    fn books(payouts: &[BookedPayout], period: Period) -> Books {
        let mut books = Books::default();
        for booked in payouts {
            if let Some(entry) = Entry::of(booked, period) {
                books.add(booked.payout.amount_cents, &entry);
            }
        }
        books
    }

    fn sum(totals: [Total; 3]) -> Total {
        totals
            .into_iter()
            .fold(Total::default(), |sum, total| Total {
                count: sum.count + total.count,
                amount_cents: sum.amount_cents + total.amount_cents,
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever the rows and histories say, the lines come to nothing; a period opens with
        /// what the one before closed with; and two periods come to what both together do.
        #[test]
        fn the_lines_tie_to_zero_and_periods_to_each_other(
            payouts in prop::collection::vec(booked(), 0..12),
            cuts in prop::collection::vec(0..101_i64, 2..5),
        ) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut before: Option<Books> = None;
            let mut total = Books::default();
            let mut from = None;
            for until in &cuts {
                let part = books(&payouts, Period { from, until: time(*until) });
                prop_assert_eq!(part.difference(), Total::default());
                prop_assert_eq!(
                    sum([part.closing_pending, part.closing_processing, part.closing_failed]),
                    part.closing
                );
                if let Some(before) = before {
                    prop_assert_eq!(part.opening, before.closing);
                } else {
                    prop_assert_eq!(part.opening, Total::default());
                }
                for (all, this) in [
                    (&mut total.created, part.created),
                    (&mut total.paid, part.paid),
                    (&mut total.cancelled, part.cancelled),
                ] {
                    all.count += this.count;
                    all.amount_cents += this.amount_cents;
                }
                total.reversed.amount_cents += part.reversed.amount_cents;
                before = Some(part);
                from = Some(time(*until));
            }
            let whole = books(&payouts, Period { from: None, until: time(*cuts.last().unwrap()) });
            prop_assert_eq!(whole.created, total.created);
            prop_assert_eq!(whole.paid, total.paid);
            prop_assert_eq!(whole.cancelled, total.cancelled);
            prop_assert_eq!(whole.reversed.amount_cents, total.reversed.amount_cents);
        }
    }
}
