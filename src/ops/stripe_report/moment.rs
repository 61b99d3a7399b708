//! When something was created, as reports write it.

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::model::text_enum;
use crate::model::time::Time;

text_enum! {
    /// How exactly a file says when something was created.
    pub enum Precision {
        /// To the second, or better.
        Second = "second",
        /// To the minute: the dashboard's export leaves the seconds out.
        Minute = "minute",
        /// In the hour that the zone's clocks show twice: nobody can say which of the two.
        RepeatedHour = "repeated_hour",
    }
}

/// From when up to when something may have been created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// The first moment that the text may mean.
    pub(super) at: Time,
    /// The first moment after all that it may mean.
    pub(super) before: Time,
    pub(super) precision: Precision,
}

/// What the forms are, for whoever wrote another.
const FORMS: &str = "write 2026-10-05 13:04:11, 2026-10-05 13:04 or an RFC 3339 time";

/// Reads a time: `2026-10-05 13:04:11`, `2026-10-05 13:04`, with `T` for the space, with
/// or without a fraction, and with or without `Z`, ` UTC` or an offset. Without one it is
/// in `zone`.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn moment(text: &str, zone: &TimeZone) -> Result<Moment, String> {
    let Some((written, rest)) = written(text) else {
        return Err(if text.contains('/') {
            format!("not a time; was the file saved again by a spreadsheet? {FORMS}")
        } else {
            format!("not a time; {FORMS}")
        });
    };
    let Some(shown) = written.shown() else {
        return Err(no_such_time());
    };
    let (first, last, repeated) = match offset_of(rest) {
        Offset::Seconds(seconds) => {
            let utc = shown.checked_sub_signed(TimeDelta::seconds(seconds));
            let utc = utc.map(|utc| utc.and_utc().timestamp_millis());
            let time = utc.and_then(time_of).ok_or_else(no_such_time)?;
            (time, time, false)
        }
        Offset::Unsaid => in_zone(&written, shown, zone)?,
        Offset::Odd => return Err(format!("not a time zone at its end; {FORMS}")),
    };
    let unit_millis = if written.second.is_none() {
        60_000
    } else {
        1_000
    };
    Ok(Moment {
        at: first,
        before: Time::from_millis(last.millis().saturating_add(unit_millis)),
        precision: match (repeated, written.second) {
            (true, _) => Precision::RepeatedHour,
            (false, None) => Precision::Minute,
            (false, Some(_)) => Precision::Second,
        },
    })
}

/// The parts of a date and a time of day, whether or not they are in the calendar.
#[derive(Debug, Clone, Copy)]
struct Written {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: Option<u32>,
    millis: u32,
}

impl Written {
    /// What a clock shows then.
    fn shown(&self) -> Option<NaiveDateTime> {
        let year = i32::try_from(self.year).ok().filter(|year| *year > 0)?;
        let date = NaiveDate::from_ymd_opt(year, self.month, self.day)?;
        let second = self.second.unwrap_or_default();
        date.and_hms_milli_opt(self.hour, self.minute, second, self.millis)
    }

    fn civil(&self) -> Option<civil::DateTime> {
        let small = |number: u32| i8::try_from(number).ok();
        civil::DateTime::new(
            i16::try_from(self.year).ok()?,
            small(self.month)?,
            small(self.day)?,
            small(self.hour)?,
            small(self.minute)?,
            small(self.second.unwrap_or_default())?,
            i32::try_from(self.millis * 1_000_000).ok()?,
        )
        .ok()
    }
}

/// Takes the parts off the front of a text; what is left may be a zone.
fn written(text: &str) -> Option<(Written, &str)> {
    let (year, rest) = number(text, 4)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (hour, rest) = number(rest.strip_prefix([' ', 'T', 't'])?, 2)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = match rest.strip_prefix(':') {
        Some(rest) => number(rest, 2).map(|(second, rest)| (Some(second), rest))?,
        None => (None, rest),
    };
    let (millis, rest) = match rest.strip_prefix('.') {
        Some(rest) if second.is_some() => fraction(rest)?,
        _ => (0, rest),
    };
    let parts = Written {
        year,
        month,
        day,
        hour,
        minute,
        second,
        millis,
    };
    Some((parts, rest))
}

/// So many digits.
fn number(text: &str, digits: usize) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    let plain = number.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| Some((number.parse().ok()?, rest)))?
}

/// One to nine digits of a second, cut to milliseconds.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let (digits, rest) = text.split_at_checked(digits)?;
    let millis: String = digits.chars().chain("000".chars()).take(3).collect();
    Some((millis.parse().ok()?, rest))
}

/// What stands behind a time.
enum Offset {
    Unsaid,
    /// Ahead of UTC.
    Seconds(i64),
    /// None that anybody knows.
    Odd,
}

fn offset_of(text: &str) -> Offset {
    if text.is_empty() {
        return Offset::Unsaid;
    }
    let text = text.strip_prefix(' ').unwrap_or(text);
    if matches!(text, "Z" | "z" | "UTC") {
        return Offset::Seconds(0);
    }
    let seconds = || {
        let (sign, rest) = match text.strip_prefix('+') {
            Some(rest) => (1, rest),
            None => (-1, text.strip_prefix('-')?),
        };
        let (hours, rest) = number(rest, 2)?;
        let (minutes, rest) = number(rest.strip_prefix(':')?, 2)?;
        let fits = rest.is_empty() && hours < 24 && minutes < 60;
        fits.then(|| sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
    };
    seconds().map_or(Offset::Odd, Offset::Seconds)
}

/// The first and the last moment at which the clocks of a zone show this, and whether
/// these are two.
fn in_zone(
    written: &Written,
    shown: NaiveDateTime,
    zone: &TimeZone,
) -> Result<(Time, Time, bool), String> {
    if *zone == TimeZone::UTC {
        let time = Time::from_utc(shown);
        return Ok((time, time, false));
    }
    let civil = written.civil().ok_or_else(no_such_time)?;
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    let repeated = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => false,
        AmbiguousOffset::Fold { .. } => true,
        AmbiguousOffset::Gap { .. } => {
            return Err(
                "the clocks of the report's time zone skipped this time; is --tz the zone of the report?"
                    .to_owned(),
            );
        }
    };
    let time = |moment: Result<jiff::Timestamp, jiff::Error>| {
        let millis = moment.ok().map(jiff::Timestamp::as_millisecond);
        millis.and_then(time_of).ok_or_else(no_such_time)
    };
    Ok((
        time(ambiguous.earlier())?,
        time(ambiguous.later())?,
        repeated,
    ))
}

/// The moment so many milliseconds after 1970; none beyond the years that are kept.
fn time_of(millis: i64) -> Option<Time> {
    let time = Time::from_millis(millis);
    (time.millis() == millis).then_some(time)
}

fn no_such_time() -> String {
    format!("there is no such time; {FORMS}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::period::zone;

    #[track_caller]
    fn reads(text: &str, zone_name: &str, at: &str, before: &str, precision: Precision) {
        let read = moment(text, &zone(zone_name).unwrap()).unwrap();
        assert_eq!(
            (read.at.to_string(), read.before.to_string(), read.precision),
            (at.to_owned(), before.to_owned(), precision),
            "{text} {zone_name}"
        );
    }

    #[test]
    fn every_form_is_read() {
        use Precision::{Minute, Second};
        let (at, next) = ("2026-10-05T13:04:11.000Z", "2026-10-05T13:04:12.000Z");
        for text in [
            "2026-10-05 13:04:11",
            "2026-10-05T13:04:11",
            "2026-10-05T13:04:11Z",
            "2026-10-05 13:04:11 UTC",
            "2026-10-05T15:04:11+02:00",
            "2026-10-05 08:34:11 -04:30",
        ] {
            reads(text, "UTC", at, next, Second);
        }
        reads("2026-10-05T13:04:11Z", "Asia/Tokyo", at, next, Second);
        reads("2026-10-05 15:04:11", "Europe/Berlin", at, next, Second);
        let minute = ("2026-10-05T13:04:00.000Z", "2026-10-05T13:05:00.000Z");
        reads("2026-10-05 13:04", "UTC", minute.0, minute.1, Minute);
        reads("2026-10-05 22:04", "Asia/Tokyo", minute.0, minute.1, Minute);
        reads(
            "2026-10-05T13:04:11.123456789Z",
            "UTC",
            "2026-10-05T13:04:11.123Z",
            "2026-10-05T13:04:12.123Z",
            Second,
        );
    }

    #[test]
    fn an_hour_that_comes_twice_is_both() {
        reads(
            "2026-10-25 02:30:00",
            "Europe/Berlin",
            "2026-10-25T00:30:00.000Z",
            "2026-10-25T01:30:01.000Z",
            Precision::RepeatedHour,
        );
        let skipped = moment("2026-03-29 02:30:00", &zone("Europe/Berlin").unwrap());
        assert!(skipped.unwrap_err().contains("--tz"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-10-05",
            "2026-10-05 ",
            "05.10.2026 13:04",
            "2026-10-5 13:04",
            "2026-10-05 13",
            "2026-10-05 13:04:",
            "2026-10-05 13:04.5",
            "2026-10-05 13:04:11.",
            "2026-10-05 13:04:11.1234567890",
            "2026-10-05 24:00",
            "2026-10-05 13:60",
            "2026-10-05 13:04:60",
            "2026-02-30 13:04",
            "0000-01-01 00:00",
            "0001-01-01 00:00:00+00:01",
            "9999-12-31 23:59:59-00:01",
            "2026-10-05 13:04 CET",
            "2026-10-05 13:04:11+2",
            "2026-10-05 13:04:11+24:00",
            "2026-10-05  13:04",
            "1790000000",
            "\u{0662}026-10-05 13:04",
        ] {
            assert!(moment(text, &TimeZone::UTC).is_err(), "{text:?}");
        }
        let saved_again = moment("8/6/2026 12:00", &TimeZone::UTC).unwrap_err();
        assert!(saved_again.contains("spreadsheet"), "{saved_again}");
    }
}
