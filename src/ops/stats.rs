//! The figures of a period: the same walk as that of its books, so that the two cannot
//! differ, and one pass over the attempts. Memory grows with the days and, where they are
//! asked for, with the creators; not with the payouts.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::model::ids::{CreatorId, PayoutId};
use crate::model::listing::Total;
use crate::model::report::{BookedPayout, Books, Entry, Period};
use crate::model::stats::{Happening, Tally};
use crate::model::time::Time;
use crate::ops::calendar::{Unit, day_of};
use crate::ops::event::Event;
use crate::ops::report;
use crate::store::{Store, StoreError};

/// Payouts that are named one by one, the largest ones.
pub const NAMED_MAX: usize = 10;

/// Attempts that are read, and held in memory, at once.
const ATTEMPTS_AT_ONCE: i64 = 5_000;

/// What to look at.
#[derive(Debug, Clone)]
pub struct Question {
    /// Which period.
    pub period: Period,
    /// Whose days are meant.
    pub zone: TimeZone,
    /// Whether each creator is to be told apart.
    pub creators: bool,
}

/// What payouts came to in a period.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// The lines of the books.
    pub books: Books,
    /// All of the period.
    pub whole: Tally,
    /// Its days on which something happened.
    pub days: BTreeMap<Date, Tally>,
    /// Creators to whom something happened, if they were asked for.
    pub creators: BTreeMap<CreatorId, CreatorFigures>,
    /// Refused attempts by Stripe's code; none is an answer without one.
    pub failures: BTreeMap<Option<String>, Total>,
    /// The payouts over the largest amounts that were paid, at most [`NAMED_MAX`].
    pub largest: Vec<Named>,
    /// The payouts of which most was taken back, at most [`NAMED_MAX`].
    pub reversed: Vec<Named>,
}

/// What a creator's payouts came to.
#[derive(Debug, Clone, Default)]
pub struct CreatorFigures {
    /// Their name on stage today; none when their row is gone.
    pub name: Option<String>,
    /// What happened.
    pub tally: Tally,
}

/// A payout that is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Which.
    pub id: PayoutId,
    /// Whom it pays.
    pub creator_id: CreatorId,
    /// Their name on stage today; none when their row is gone.
    pub creator_name: Option<String>,
    /// The reference it was loaded under.
    pub reference: Option<String>,
    /// What it is about, minor units: what was paid, or what was taken back.
    pub cents: i64,
    /// When that was; the last time, where it was more than once.
    pub at: Time,
}

/// Adds up a period. Each payout with a place in its books is handed on with its line.
/// `told` hears how far it is.
///
/// # Errors
/// What the store reports, or what `line` returns.
pub fn gather<E: From<StoreError>>(
    store: &mut Store,
    question: &Question,
    told: &mut dyn FnMut(Event),
    mut line: impl FnMut(&BookedPayout, &Entry) -> Result<(), E>,
) -> Result<Figures, E> {
    let mut figures = Figures::default();
    let books = report::walk(store, question.period, told, |booked, entry| {
        figures.add(question, booked, entry);
        line(booked, entry)
    })?;
    figures.books = books;
    figures.add_attempts(store, question)?;
    for day in figures.days.values() {
        figures.whole.merge(day);
    }
    Ok(figures)
}

impl Figures {
    fn add(&mut self, question: &Question, booked: &BookedPayout, entry: &Entry) {
        let payout = &booked.payout;
        let named = |cents, at| Named {
            id: payout.id.clone(),
            creator_id: payout.creator_id.clone(),
            creator_name: booked.creator_name.clone(),
            reference: booked.reference.clone(),
            cents,
            at,
        };
        for (at, happened) in Happening::all_of(booked, entry, question.period) {
            let day = self.days.entry(day_of(at, &question.zone)).or_default();
            day.add(payout.amount_cents, happened);
            if question.creators {
                let creator = self.creators.entry(payout.creator_id.clone()).or_default();
                creator.name.clone_from(&booked.creator_name);
                creator.tally.add(payout.amount_cents, happened);
            }
            match happened {
                Happening::Paid { .. } => {
                    let cents = payout.amount_cents.into();
                    keep_largest(&mut self.largest, cents, || named(cents, at));
                }
                Happening::Reversed { last: true, .. } => {
                    let cents = entry.reversed_cents;
                    keep_largest(&mut self.reversed, cents, || named(cents, at));
                }
                _ => {}
            }
        }
    }

    /// What was refused, and what was tried again.
    fn add_attempts(&mut self, store: &mut Store, question: &Question) -> Result<(), StoreError> {
        let period = question.period.span();
        let mut behind = None;
        loop {
            let part = store.attempts_eventful(period, behind.as_ref(), ATTEMPTS_AT_ONCE)?;
            for attempt in &part {
                let refused_at = attempt.refused_at.filter(|at| period.contains(*at));
                if let Some(at) = refused_at {
                    let code = attempt.error_code.clone();
                    self.failures
                        .entry(code)
                        .or_default()
                        .add(attempt.amount_cents.into());
                    for tally in self.tallies(question, at, attempt.creator_id.as_ref()) {
                        tally.add_failed_attempt(attempt.amount_cents);
                    }
                }
                if attempt.attempt > 1 && period.contains(attempt.created_at) {
                    let creator = attempt.creator_id.as_ref();
                    for tally in self.tallies(question, attempt.created_at, creator) {
                        tally.add_retry();
                    }
                }
            }
            let more = i64::try_from(part.len()).is_ok_and(|rows| rows == ATTEMPTS_AT_ONCE);
            match part.into_iter().last() {
                Some(last) if more => behind = Some((last.payout_id, last.attempt)),
                _ => return Ok(()),
            }
        }
    }

    /// Where something is counted that happened at a moment to a creator.
    fn tallies<'a>(
        &'a mut self,
        question: &Question,
        at: Time,
        creator: Option<&CreatorId>,
    ) -> impl Iterator<Item = &'a mut Tally> {
        let day = self.days.entry(day_of(at, &question.zone)).or_default();
        let creator = creator
            .filter(|_| question.creators)
            .map(|id| &mut self.creators.entry(id.clone()).or_default().tally);
        std::iter::once(day).chain(creator)
    }

    /// The first days of the first and of the last unit: of the period as far as it has begun by
    /// now, and of what happened; none where it has no beginning and nothing happened.
    fn edges(&self, unit: Unit, question: &Question, now: Time) -> Option<(Date, Date)> {
        let day = |time: Time| day_of(time, &question.zone);
        let period = question.period;
        let begin = period.from.filter(|from| *from < now).map(day);
        let first = begin.or_else(|| self.days.keys().next().copied())?;
        let last_moment = Time::from_millis(period.until.min(now).millis().saturating_sub(1));
        let last = self.days.keys().next_back().copied();
        let last = last.map_or(day(last_moment), |last| last.max(day(last_moment)));
        Some((unit.first_day(first), unit.first_day(last)))
    }

    /// The figures of each unit of the period that has begun by now, in order. Of more than
    /// `units_max`, those in which nothing happened are left out.
    pub fn by_unit(
        &self,
        unit: Unit,
        question: &Question,
        now: Time,
        units_max: usize,
    ) -> Vec<(Date, Tally)> {
        let mut units: BTreeMap<Date, Tally> = BTreeMap::new();
        for (day, tally) in &self.days {
            units.entry(unit.first_day(*day)).or_default().merge(tally);
        }
        if let Some((first, last)) = self.edges(unit, question, now) {
            let all: Vec<Date> = std::iter::successors(Some(first), |first| unit.next(*first))
                .take_while(|first| *first <= last)
                .take(units_max.saturating_add(1))
                .collect();
            if all.len() <= units_max {
                for first in all {
                    units.entry(first).or_default();
                }
            }
        }
        units.into_iter().collect()
    }

    /// The shortest unit of which the period has so many at most; years where it has more.
    pub fn fitting_unit(&self, question: &Question, now: Time, units_max: usize) -> Unit {
        let fits = |unit: &Unit| {
            self.edges(*unit, question, now)
                .is_none_or(|(first, last)| {
                    std::iter::successors(Some(first), |first| unit.next(*first))
                        .take_while(|first| *first <= last)
                        .nth(units_max)
                        .is_none()
                })
        };
        [Unit::Day, Unit::Week, Unit::Month]
            .into_iter()
            .find(fits)
            .unwrap_or(Unit::Year)
    }
}

/// Keeps a payout if it is one of the largest; of equal ones, those with the first ids.
fn keep_largest(kept: &mut Vec<Named>, cents: i64, named: impl FnOnce() -> Named) {
    let place = kept.partition_point(|other| other.cents >= cents);
    if place < NAMED_MAX {
        kept.truncate(NAMED_MAX - 1);
        kept.insert(place, named());
    }
}
