//! Moments, and the one clock they come from.
//!
//! Every moment is UTC and cut to whole milliseconds when it is made, because
//! `TIMESTAMP(3)` keeps no more: what is written is what is read back, on both
//! databases. Nothing else in the crate asks the operating system for the time.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Timestamp;
use tokio::time::{Instant, Interval, MissedTickBehavior};

/// A moment in UTC, in whole milliseconds.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    diesel::expression::AsExpression,
    diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = Timestamp)]
pub struct Time(NaiveDateTime);

impl Time {
    /// The moment `millis` milliseconds after 1970-01-01T00:00:00Z, bounded to
    /// the years a database can hold.
    pub fn from_millis(millis: i64) -> Self {
        // Years 0001 to 9999, so that every value has a four-digit year in text.
        let bounded = millis.clamp(-62_135_596_800_000, 253_402_300_799_999);
        Self(
            DateTime::from_timestamp_millis(bounded)
                .unwrap_or_default()
                .naive_utc(),
        )
    }

    /// The moment `seconds` seconds after 1970-01-01T00:00:00Z, as Stripe writes time.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// A chrono date and time taken as UTC, cut to milliseconds.
    pub fn from_utc(utc: NaiveDateTime) -> Self {
        Self::from_millis(utc.and_utc().timestamp_millis())
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn millis(self) -> i64 {
        self.0.and_utc().timestamp_millis()
    }

    /// The same moment by a clock that is so far ahead; milliseconds, negative behind.
    #[must_use]
    pub fn on_clock_ahead(self, millis: i64) -> Self {
        Self::from_millis(self.millis().saturating_add(millis))
    }

    /// The first moment of its UTC day.
    #[must_use]
    pub fn day_start(self) -> Self {
        Self(self.0.date().and_time(chrono::NaiveTime::MIN))
    }

    /// Its UTC day: `2026-10-05`.
    pub fn day(self) -> String {
        self.0.date().to_string()
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub fn unix_seconds(self) -> i64 {
        self.0.and_utc().timestamp()
    }

    /// The same moment for chrono's own calculations.
    pub fn utc(self) -> DateTime<Utc> {
        self.0.and_utc()
    }

    /// This moment as the clocks of a zone show it.
    pub fn local(self, zone: &jiff::tz::TimeZone) -> jiff::civil::DateTime {
        // It holds all but the last day of the year 9999.
        let moment = jiff::Timestamp::from_millisecond(self.millis());
        zone.to_datetime(moment.unwrap_or(jiff::Timestamp::MAX))
    }

    /// This moment plus a duration.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_millis(self.millis().saturating_add(millis_of(duration)))
    }

    /// This moment less a duration.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_millis(self.millis().saturating_sub(millis_of(duration)))
    }

    /// Milliseconds from `earlier` to this moment; negative when it lies after.
    pub fn millis_since(self, earlier: Self) -> i64 {
        self.millis().saturating_sub(earlier.millis())
    }
}

/// No earlier than 1970.
impl From<Time> for SystemTime {
    fn from(time: Time) -> Self {
        Self::UNIX_EPOCH + Duration::from_millis(time.millis().max(0).unsigned_abs())
    }
}

/// Whole milliseconds of a duration, saturating.
pub fn millis_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A duration as people set it, such as `90s`, `5m`, `24h` or `7d`.
pub fn in_words(duration: Duration) -> String {
    const DAY: u64 = 86_400;
    let seconds = duration.as_secs();
    let (unit, letter) = match seconds {
        0 => (1, 's'),
        days if days % DAY == 0 && days > DAY => (DAY, 'd'),
        hours if hours % 3600 == 0 => (3600, 'h'),
        minutes if minutes % 60 == 0 => (60, 'm'),
        _ => (1, 's'),
    };
    format!("{}{letter}", seconds / unit)
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC with milliseconds: `2026-10-01T00:00:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.utc().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = chrono::ParseError;

    /// Reads RFC 3339 with any offset.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from_utc(
            DateTime::parse_from_rfc3339(text)?.naive_utc(),
        ))
    }
}

impl<DB: Backend> ToSql<Timestamp, DB> for Time
where
    NaiveDateTime: ToSql<Timestamp, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.to_sql(out)
    }
}

impl<DB: Backend> FromSql<Timestamp, DB> for Time
where
    NaiveDateTime: FromSql<Timestamp, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        NaiveDateTime::from_sql(bytes).map(Self::from_utc)
    }
}

/// From a moment on, up to but not including another; open where none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The first moment of it.
    pub from: Option<Time>,
    /// The first moment after it.
    pub until: Option<Time>,
}

impl Span {
    /// Whether a moment lies in it.
    pub fn contains(self, time: Time) -> bool {
        self.from.is_none_or(|from| from <= time) && self.until.is_none_or(|until| time < until)
    }
}

/// Where the time comes from. Cloning shares the same clock.
///
/// Whoever waits, waits by the clock too: on a manual clock a wait takes no time,
/// it moves the clock on.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    /// Moved by whoever holds a clone.
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    /// What the time is, in milliseconds since 1970; it never goes back.
    millis: Arc<AtomicI64>,
    /// How far the wall clock is ahead of it: people and NTP set it.
    wall_ahead_millis: AtomicI64,
    start_millis: i64,
    start: Instant,
}

/// On a manual clock this is how long a wait lets others go on, in real time …
const MANUAL_WAIT: Duration = Duration::from_millis(1);
/// … this is between two beats …
const MANUAL_BEAT: Duration = Duration::from_millis(5);
/// … and this is the longest that something is waited for.
const MANUAL_PATIENCE: Duration = Duration::from_secs(1);

impl Manual {
    fn move_to(&self, millis: i64) {
        self.millis.fetch_max(millis, Ordering::SeqCst);
    }
}

impl Clock {
    /// The operating system's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance`] or a wait moves it.
    pub fn manual(start: Time) -> Self {
        Self::on(Arc::new(AtomicI64::new(start.millis())))
    }

    /// A manual clock that shares its milliseconds since 1970 with somebody else's.
    pub fn on(millis: Arc<AtomicI64>) -> Self {
        Self(Source::Manual(Arc::new(Manual {
            start_millis: millis.load(Ordering::SeqCst),
            millis,
            wall_ahead_millis: AtomicI64::new(0),
            start: Instant::now(),
        })))
    }

    /// Now, in UTC milliseconds.
    pub fn now(&self) -> Time {
        match &self.0 {
            #[expect(
                clippy::disallowed_methods,
                reason = "the one place that reads the wall clock"
            )]
            Source::System => Time::from_utc(Utc::now().naive_utc()),
            Source::Manual(manual) => {
                let ahead = manual.wall_ahead_millis.load(Ordering::SeqCst);
                Time::from_millis(manual.millis.load(Ordering::SeqCst).saturating_add(ahead))
            }
        }
    }

    /// Milliseconds of a clock that never steps and goes on while the machine
    /// sleeps, so that a suspended process notices how long it was away.
    pub fn since_boot_millis(&self) -> i64 {
        match &self.0 {
            Source::System => {
                let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
                now.tv_sec
                    .saturating_mul(1000)
                    .saturating_add(now.tv_nsec / 1_000_000)
            }
            Source::Manual(manual) => manual.millis.load(Ordering::SeqCst),
        }
    }

    /// A moment to measure from, of a clock that never steps.
    pub fn instant(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::now(),
            Source::Manual(manual) => {
                let gone = self.since_boot_millis().saturating_sub(manual.start_millis);
                let gone = Duration::from_millis(u64::try_from(gone).unwrap_or(0));
                manual.start.checked_add(gone).unwrap_or(manual.start)
            }
        }
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Source::System => tokio::time::sleep(duration).await,
            Source::Manual(manual) => {
                let until = self.since_boot_millis().saturating_add(millis_of(duration));
                tokio::time::sleep(MANUAL_WAIT).await;
                manual.move_to(until);
            }
        }
    }

    /// Waits until a moment of [`Clock::instant`].
    pub async fn sleep_until(&self, at: Instant) {
        let wait = at.saturating_duration_since(self.instant());
        if !wait.is_zero() {
            self.sleep(wait).await;
        }
    }

    /// Waits for something, but no longer than this.
    pub async fn within<T>(
        &self,
        limit: Duration,
        something: impl Future<Output = T>,
    ) -> Option<T> {
        match &self.0 {
            Source::System => tokio::time::timeout(limit, something).await.ok(),
            Source::Manual(manual) => {
                let until = self.since_boot_millis().saturating_add(millis_of(limit));
                let came = tokio::time::timeout(MANUAL_PATIENCE, something).await.ok();
                if came.is_none() {
                    manual.move_to(until);
                }
                came
            }
        }
    }

    /// Something to do again and again. It goes on in real time, and moves nothing.
    pub fn beat(&self, every: Duration) -> Interval {
        let every = match &self.0 {
            Source::System => every,
            Source::Manual(_) => MANUAL_BEAT,
        };
        let mut beat = tokio::time::interval(every);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat
    }

    /// Moves a manual clock on; the system's clock is not ours to move.
    pub fn advance(&self, duration: Duration) {
        if let Source::Manual(manual) = &self.0 {
            manual
                .millis
                .fetch_add(millis_of(duration), Ordering::SeqCst);
        }
    }

    /// Sets the wall clock of a manual clock forward, or back, while no time passes.
    pub fn step(&self, millis: i64) {
        if let Source::Manual(manual) = &self.0 {
            manual.wall_ahead_millis.fetch_add(millis, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_rfc_3339_with_milliseconds_and_reads_back() {
        let time = Time::from_millis(1_790_000_000_007);
        assert_eq!(time.to_string(), "2026-09-21T14:13:20.007Z");
        assert_eq!(time.to_string().parse::<Time>().unwrap(), time);
        assert_eq!(
            "2026-09-21T16:13:20.0079+02:00".parse::<Time>().unwrap(),
            time
        );
    }

    #[test]
    fn extremes_stay_within_four_digit_years() {
        assert_eq!(
            Time::from_millis(i64::MAX).to_string(),
            "9999-12-31T23:59:59.999Z"
        );
        assert_eq!(
            Time::from_millis(i64::MIN).to_string(),
            "0001-01-01T00:00:00.000Z"
        );
        assert_eq!(
            Time::from_unix_seconds(i64::MAX),
            Time::from_millis(i64::MAX)
        );
    }

    #[test]
    fn a_span_holds_its_first_moment_and_not_the_one_behind_it() {
        let at = Time::from_millis;
        let span = Span {
            from: Some(at(5)),
            until: Some(at(7)),
        };
        let held: Vec<i64> = (4..9).filter(|n| span.contains(at(*n))).collect();
        assert_eq!(held, [5, 6]);
        assert!(Span::default().contains(at(0)));
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(Time::from_millis(5));
        let shared = clock.clone();
        shared.advance(Duration::from_millis(7));
        assert_eq!(clock.now(), Time::from_millis(12));
        assert_eq!(clock.since_boot_millis(), 12);
        // Set back, it shows another time, but none has passed.
        clock.step(-3);
        assert_eq!(clock.now(), Time::from_millis(9));
        assert_eq!(clock.since_boot_millis(), 12);
    }

    #[tokio::test]
    async fn waits_by_a_manual_clock_take_no_time_and_overlap() {
        let clock = Clock::manual(Time::from_millis(0));
        let begun = clock.instant();
        let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
        tokio::join!(clock.sleep(hour), clock.sleep(day));
        assert_eq!(clock.instant() - begun, day);
        clock.sleep_until(begun + hour).await;
        assert_eq!(clock.now(), Time::from_millis(86_400_000));
        assert_eq!(clock.within(hour, std::future::ready(5)).await, Some(5));
        assert_eq!(clock.instant() - begun, day);
    }
}
