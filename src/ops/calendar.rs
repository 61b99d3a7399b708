//! Days, weeks, months and years, as whoever asks for figures counts them.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use crate::model::time::Time;

/// A stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// From midnight to midnight.
    Day,
    /// From Monday on, as ISO 8601 counts them.
    Week,
    /// A month of the calendar.
    Month,
    /// A year of the calendar.
    Year,
}

impl Unit {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The first day of the unit that a day lies in.
    #[must_use]
    pub fn first_day(self, day: Date) -> Date {
        match self {
            Self::Day => day,
            Self::Week => {
                let back = day.weekday().since(Weekday::Monday);
                day.saturating_sub(back.days())
            }
            Self::Month => day.first_of_month(),
            Self::Year => day.first_of_year(),
        }
    }

    /// The first day of the next unit; none at the end of the calendar.
    pub fn next(self, first: Date) -> Option<Date> {
        let unit = match self {
            Self::Day => 1.day(),
            Self::Week => 1.week(),
            Self::Month => 1.month(),
            Self::Year => 1.year(),
        };
        first.checked_add(unit).ok()
    }

    /// What people call the unit with this first day: `2026-10-05`, `2026-W41`, `2026-10`,
    /// `2026`.
    pub fn label(self, first: Date) -> String {
        match self {
            Self::Day => first.to_string(),
            Self::Week => {
                let week = first.iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            Self::Month => first.strftime("%Y-%m").to_string(),
            Self::Year => first.strftime("%Y").to_string(),
        }
    }
}

/// The day on which a moment lies in a zone.
pub fn day_of(time: Time, zone: &TimeZone) -> Date {
    time.local(zone).date()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn weeks_begin_on_monday_and_belong_to_the_year_of_their_thursday() {
        let week = |day: &str| {
            let first = Unit::Week.first_day(day.parse().unwrap());
            format!("{first} {}", Unit::Week.label(first))
        };
        assert_eq!(week("2026-11-01"), "2026-10-26 2026-W44");
        assert_eq!(week("2026-11-02"), "2026-11-02 2026-W45");
        assert_eq!(week("2027-01-03"), "2026-12-28 2026-W53");
        assert_eq!(week("2024-12-30"), "2024-12-30 2025-W01");
    }

    proptest! {
        /// Units follow one another without gap or overlap.
        #[test]
        fn a_day_lies_in_one_unit(year in 1..9998_i16, month in 1..=12_i8, day in 1..=28_i8) {
            let day = Date::new(year, month, day).unwrap();
            for unit in [Unit::Day, Unit::Week, Unit::Month, Unit::Year] {
                let first = unit.first_day(day);
                let next = unit.next(first).unwrap();
                prop_assert!(first <= day && day < next);
                prop_assert_eq!(unit.first_day(next), next);
                prop_assert_eq!(unit.first_day(first), first);
            }
        }
    }
}
