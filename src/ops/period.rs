//! Spans of time as people write them: a month, some days, the last week.
//!
//! Calendar forms are days of one time zone, each from its own first moment on,
//! whatever the zone does to its clocks that day. Nothing here reads a clock:
//! what counts back from now is told what now is.

use std::time::Duration;

use chrono::{Datelike, Days, Months, NaiveDate};
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::model::time::{Span, Time};

/// What a person may write, for errors and help.
pub const FORMS: &str = "write 2026, 2026-10, 2026-10-05, 2026-10-01..2026-10-31 (both days included), \
                         7d or 12h (back from now), or two RFC 3339 times as A..B";

/// Why a text is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// None of the forms.
    #[error("{0:?} is not a span of time; {FORMS}")]
    Form(String),
    /// Not a moment.
    #[error(
        "{0:?} is not a moment; write a day such as 2026-10-05, an RFC 3339 time, or 7d or 12h from now"
    )]
    Moment(String),
    /// Well formed, but not in the calendar.
    #[error("there is no {0:?} in the calendar")]
    Calendar(String),
    /// The second moment lies before the first.
    #[error("{0:?} ends before it begins")]
    Backwards(String),
    /// Not a time zone.
    #[error("{0:?} is not a time zone; write a name such as Europe/Berlin, or UTC")]
    Zone(String),
}

/// Reads a time zone by its IANA name.
///
/// # Errors
/// When there is none of that name.
pub fn zone(name: &str) -> Result<TimeZone, PeriodError> {
    TimeZone::get(name).map_err(|_| PeriodError::Zone(name.to_owned()))
}

/// Reads a span of time in one of the [`FORMS`]. Either side of `..` may be
/// left out, and a side may be a month or a year.
///
/// # Errors
/// What is wrong with the text, and which forms there are.
pub fn span(text: &str, zone: &TimeZone, now: Time) -> Result<Span, PeriodError> {
    if let Some(duration) = back(text) {
        return Ok(Span {
            from: Some(now.minus(duration)),
            until: None,
        });
    }
    let form = || PeriodError::Form(text.to_owned());
    let span = match text.split_once("..") {
        Some(("", "")) => return Err(form()),
        Some((first, last)) => Span {
            from: edge(first, zone)?.map(|edge| edge.begin),
            until: edge(last, zone)?.map(|edge| edge.end),
        },
        None => {
            let days = days(text)?.ok_or_else(form)?;
            Span {
                from: Some(first_moment(days.first, zone)),
                until: Some(first_moment(days.next, zone)),
            }
        }
    };
    if let (Some(from), Some(until)) = (span.from, span.until)
        && until < from
    {
        return Err(PeriodError::Backwards(text.to_owned()));
    }
    Ok(span)
}

/// Reads a moment to come: a day, whose first moment is meant, an RFC 3339 time, or
/// `7d` or `12h` from now.
///
/// # Errors
/// When it is none of these, or not in the calendar.
pub fn ahead(text: &str, zone: &TimeZone, now: Time) -> Result<Time, PeriodError> {
    if let Some(duration) = back(text) {
        return Ok(now.plus(duration));
    }
    if let Some(days) = days(text)? {
        return Ok(first_moment(days.first, zone));
    }
    text.parse()
        .map_err(|_| PeriodError::Moment(text.to_owned()))
}

/// Reads `7d` or `12h`.
fn back(text: &str) -> Option<Duration> {
    let (number, seconds) = match text.strip_suffix('d') {
        Some(number) => (number, 86_400),
        None => (text.strip_suffix('h')?, 3600),
    };
    if !all_digits(number) {
        return None;
    }
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(seconds)
        .map(Duration::from_secs)
}

/// One side of `..`: where it begins when it stands left, and where it ends
/// when it stands right.
struct Edge {
    begin: Time,
    end: Time,
}

/// Reads one side of `..`; nothing there leaves the span open.
fn edge(text: &str, zone: &TimeZone) -> Result<Option<Edge>, PeriodError> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(days) = days(text)? {
        let (begin, end) = (
            first_moment(days.first, zone),
            first_moment(days.next, zone),
        );
        return Ok(Some(Edge { begin, end }));
    }
    let time: Time = text
        .parse()
        .map_err(|_| PeriodError::Form(text.to_owned()))?;
    Ok(Some(Edge {
        begin: time,
        end: time,
    }))
}

/// Whole days: from one on, up to but not including another.
struct WholeDays {
    first: NaiveDate,
    next: NaiveDate,
}

/// Reads a year, a month or a day; `None` when it is written like neither.
fn days(text: &str) -> Result<Option<WholeDays>, PeriodError> {
    let parts: Vec<&str> = text.split('-').collect();
    if !parts.iter().all(|part| all_digits(part)) {
        return Ok(None);
    }
    let widths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let following: fn(NaiveDate) -> Option<NaiveDate> = match widths[..] {
        [4] => |first| first.checked_add_months(Months::new(12)),
        [4, 2] => |first| first.checked_add_months(Months::new(1)),
        [4, 2, 2] => |first| first.checked_add_days(Days::new(1)),
        _ => return Ok(None),
    };
    let number = |index: usize| parts.get(index).map_or(Some(1), |part| part.parse().ok());
    let first = || {
        let year = i32::try_from(number(0)?).ok()?;
        NaiveDate::from_ymd_opt(year, number(1)?, number(2)?)
    };
    match first().and_then(|first| {
        Some(WholeDays {
            first,
            next: following(first)?,
        })
    }) {
        Some(days) => Ok(Some(days)),
        None => Err(PeriodError::Calendar(text.to_owned())),
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The first moment of a day in a zone. Where clocks go back over midnight it is
/// the earlier one; where they go forward over it, the moment they do.
fn first_moment(day: NaiveDate, zone: &TimeZone) -> Time {
    let parts = || {
        let (year, month, day) = (day.year(), day.month(), day.day());
        civil::Date::new(
            year.try_into().ok()?,
            month.try_into().ok()?,
            day.try_into().ok()?,
        )
        .ok()
    };
    let moment = parts().and_then(|date| {
        let midnight = zone.to_ambiguous_timestamp(date.to_datetime(civil::Time::midnight()));
        let skipped = matches!(midnight.offset(), AmbiguousOffset::Gap { .. });
        // As the clocks before a jump would have had it: at the jump, or behind it.
        let moment = midnight.compatible().ok()?;
        if !skipped {
            return Some(moment);
        }
        let behind = moment.checked_add(jiff::Span::new().nanoseconds(1)).ok()?;
        zone.preceding(behind).next().map(|jump| jump.timestamp())
    });
    // The ends of the calendar lie beyond every payout.
    moment.map_or(Time::from_millis(i64::MAX), |moment| {
        Time::from_millis(moment.as_millisecond())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: &str = "2026-11-02T09:30:00.000Z";

    fn read(text: &str, zone_name: &str) -> (String, String) {
        let span = span(text, &zone(zone_name).unwrap(), NOW.parse().unwrap()).unwrap();
        let show = |time: Option<Time>| time.map_or_else(|| "…".to_owned(), |t| t.to_string());
        (show(span.from), show(span.until))
    }

    fn refused(text: &str) -> PeriodError {
        span(text, &TimeZone::UTC, NOW.parse().unwrap()).unwrap_err()
    }

    #[track_caller]
    fn reads(text: &str, zone_name: &str, from: &str, until: &str) {
        assert_eq!(
            read(text, zone_name),
            (from.to_owned(), until.to_owned()),
            "{text} {zone_name}"
        );
    }

    #[test]
    fn every_form_is_read() {
        reads(
            "2026",
            "UTC",
            "2026-01-01T00:00:00.000Z",
            "2027-01-01T00:00:00.000Z",
        );
        reads(
            "2026-10",
            "UTC",
            "2026-10-01T00:00:00.000Z",
            "2026-11-01T00:00:00.000Z",
        );
        reads(
            "2026-12",
            "UTC",
            "2026-12-01T00:00:00.000Z",
            "2027-01-01T00:00:00.000Z",
        );
        reads(
            "2024-02-29",
            "UTC",
            "2024-02-29T00:00:00.000Z",
            "2024-03-01T00:00:00.000Z",
        );
        reads(
            "2026-10-01..2026-10-31",
            "UTC",
            "2026-10-01T00:00:00.000Z",
            "2026-11-01T00:00:00.000Z",
        );
        reads(
            "2026-10-05..2026-10-05",
            "UTC",
            "2026-10-05T00:00:00.000Z",
            "2026-10-06T00:00:00.000Z",
        );
        reads(
            "2026-09..2026-10",
            "UTC",
            "2026-09-01T00:00:00.000Z",
            "2026-11-01T00:00:00.000Z",
        );
        reads("2026-10-05..", "UTC", "2026-10-05T00:00:00.000Z", "…");
        reads("..2026-10", "UTC", "…", "2026-11-01T00:00:00.000Z");
        reads("7d", "UTC", "2026-10-26T09:30:00.000Z", "…");
        reads("12h", "Europe/Berlin", "2026-11-01T21:30:00.000Z", "…");
        reads(
            "2026-10-01T08:00:00+02:00..2026-10-01T07:00:00.5Z",
            "Asia/Kathmandu",
            "2026-10-01T06:00:00.000Z",
            "2026-10-01T07:00:00.500Z",
        );
        reads(
            "2026-10-01..2026-10-01T12:00:00Z",
            "UTC",
            "2026-10-01T00:00:00.000Z",
            "2026-10-01T12:00:00.000Z",
        );
        reads(
            "9999",
            "UTC",
            "9999-01-01T00:00:00.000Z",
            "9999-12-31T23:59:59.999Z",
        );
    }

    #[test]
    fn a_month_is_that_of_the_zone_through_its_changes_of_clock() {
        // Summer time ends on 25 October: the month has 745 hours.
        reads(
            "2026-10",
            "Europe/Berlin",
            "2026-09-30T22:00:00.000Z",
            "2026-10-31T23:00:00.000Z",
        );
        // It begins on 29 March, and that day has 23 hours.
        reads(
            "2026-03-29",
            "Europe/Berlin",
            "2026-03-28T23:00:00.000Z",
            "2026-03-29T22:00:00.000Z",
        );
        reads(
            "2026-10-25",
            "Europe/Berlin",
            "2026-10-24T22:00:00.000Z",
            "2026-10-25T23:00:00.000Z",
        );
        reads(
            "2026-03",
            "America/New_York",
            "2026-03-01T05:00:00.000Z",
            "2026-04-01T04:00:00.000Z",
        );
    }

    #[test]
    fn a_midnight_that_comes_twice_or_never_is_still_the_first_moment_of_its_day() {
        // Clocks went from 00:00 to 01:00.
        reads(
            "2018-11-04",
            "America/Sao_Paulo",
            "2018-11-04T03:00:00.000Z",
            "2018-11-05T02:00:00.000Z",
        );
        // Clocks went back from 01:00 to 00:00.
        reads(
            "2024-11-03",
            "America/Havana",
            "2024-11-03T04:00:00.000Z",
            "2024-11-04T05:00:00.000Z",
        );
        // A gap over midnight: 23:30 became 00:30.
        reads(
            "1919-03-31",
            "America/Toronto",
            "1919-03-31T04:30:00.000Z",
            "1919-04-01T04:00:00.000Z",
        );
        // A day that was left out: it is empty, and its neighbours meet.
        reads(
            "2011-12-30",
            "Pacific/Apia",
            "2011-12-30T10:00:00.000Z",
            "2011-12-30T10:00:00.000Z",
        );
        reads(
            "2011-12-29..2011-12-31",
            "Pacific/Apia",
            "2011-12-29T10:00:00.000Z",
            "2011-12-31T10:00:00.000Z",
        );
    }

    #[test]
    fn what_is_no_span_is_refused_and_the_forms_are_named() {
        for text in [
            "",
            "..",
            "...",
            "yesterday",
            "26",
            "2026-1",
            "2026-10-5",
            "2026-10-01-02",
            "20261005",
            "2026/10",
            "7",
            "d",
            "-7d",
            "+7d",
            "7 d",
            "1.5h",
            "7w",
            "99999999999999999999d",
            "2026-10-01T00:00:00Z",
            "2026-10..soon",
            "2026-10-01T00:00:00..2026-10-02T00:00:00",
            "\u{0662}\u{0660}26",
            "2026-é",
        ] {
            let error = refused(text);
            assert!(matches!(error, PeriodError::Form(_)), "{text:?}: {error}");
            assert!(
                error.to_string().contains("2026-10-01..2026-10-31"),
                "{error}"
            );
        }
        for text in ["2026-13", "2026-02-29", "2026-00", "2026-01-01..2026-06-31"] {
            assert!(
                matches!(refused(text), PeriodError::Calendar(_)),
                "{text:?}"
            );
        }
        for text in [
            "2026-10-31..2026-10-01",
            "2026-10-01T00:00:00Z..2026-09-01T00:00:00Z",
        ] {
            assert_eq!(refused(text), PeriodError::Backwards(text.to_owned()));
        }
        assert_eq!(
            zone("Europe/Atlantis").unwrap_err(),
            PeriodError::Zone("Europe/Atlantis".to_owned())
        );
    }

    /// Every zone there is.
    fn zones() -> impl Strategy<Value = TimeZone> {
        let names: Vec<String> = jiff::tz::db()
            .available()
            .map(|name| name.to_string())
            .collect();
        assert!(names.len() > 400, "{}", names.len());
        prop::sample::select(names).prop_map(|name| zone(&name).unwrap())
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,24}|[0-9dhTZ:.+-]{0,48}") {
            let _ = span(&text, &TimeZone::UTC, Time::from_millis(0));
        }

        /// What a month pays is what its days pay: no moment is in two days, or in none.
        #[test]
        fn the_days_of_a_month_cover_it_without_gap_or_overlap(
            year in 1880..2100_i32, month in 1..=12_u32, zone in zones(),
        ) {
            let now = Time::from_millis(0);
            let whole = span(&format!("{year}-{month:02}"), &zone, now).unwrap();
            let mut reached = whole.from;
            let first = NaiveDate::from_ymd_opt(year, month, 1).unwrap();
            for day in first.iter_days().take_while(|day| day.format("%m").to_string() == format!("{month:02}")) {
                let day = span(&day.to_string(), &zone, now).unwrap();
                prop_assert_eq!(day.from, reached);
                prop_assert!(day.until >= day.from);
                reached = day.until;
            }
            prop_assert_eq!(whole.until, reached);
        }

        /// The first moment of a day shows that day's date (or, of a day left out, a later
        /// one), and the millisecond before does not.
        #[test]
        fn the_first_moment_of_a_day_is_the_first(
            days in 0..80_000_i32, zone in zones(),
        ) {
            let day = NaiveDate::from_ymd_opt(1880, 1, 1).unwrap() + chrono::TimeDelta::days(days.into());
            let first = first_moment(day, &zone);
            let shown = |time: Time| time.local(&zone).date().to_string().parse::<NaiveDate>().unwrap();
            prop_assert!(shown(first) >= day, "{:?} {} {}", zone, day, first);
            prop_assert!(shown(Time::from_millis(first.millis() - 1)) < day, "{:?} {} {}", zone, day, first);
        }
    }
}
