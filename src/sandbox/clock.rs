//! The simulated clock: every `created`, every expiry and every `Date` header comes from it.
//!
//! It never goes back. Objects are therefore in the order of their creation times, which is what
//! lets lists find a time window by binary search.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// How the simulated clock runs.
#[derive(Clone, Debug, Default)]
pub enum SandboxClock {
    /// With the machine's clock, ahead of it by whatever it was moved.
    #[default]
    System,
    /// Stands still at these UTC milliseconds until it is moved.
    Frozen(i64),
    /// Shows these UTC milliseconds, which somebody else moves.
    Followed(Arc<AtomicI64>),
}

/// 9999-12-31T23:59:59Z in UTC milliseconds: later times have no RFC 3339 form.
const LATEST_MS: i64 = 253_402_300_799_000;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Clock {
    /// How far the simulated time is ahead of the machine's; `None` when it stands still.
    ahead_ms: Option<i64>,
    /// The latest time that was read; where the machine's clock steps back, this one waits.
    latest_ms: i64,
    /// Whom it follows.
    #[serde(skip)]
    followed: Option<Arc<AtomicI64>>,
}

impl Clock {
    pub(super) fn new(option: SandboxClock) -> Self {
        match option {
            SandboxClock::System => Self {
                ahead_ms: Some(0),
                latest_ms: machine_ms(),
                followed: None,
            },
            SandboxClock::Frozen(ms) => Self {
                ahead_ms: None,
                latest_ms: ms.clamp(0, LATEST_MS),
                followed: None,
            },
            SandboxClock::Followed(ms) => Self {
                ahead_ms: None,
                latest_ms: ms.load(Ordering::SeqCst).clamp(0, LATEST_MS),
                followed: Some(ms),
            },
        }
    }

    /// Goes on from where an earlier sandbox left off, in the way this one was asked to run.
    pub(super) fn resumed(self, option: SandboxClock) -> Self {
        let mut clock = Self::new(option);
        if clock.ahead_ms.is_some() {
            clock.ahead_ms = Some(self.ahead_ms.unwrap_or(self.latest_ms - machine_ms()));
        }
        clock.latest_ms = clock.now_ms().max(self.latest_ms);
        clock
    }

    /// UTC milliseconds.
    pub(super) fn now_ms(&mut self) -> i64 {
        if let Some(ahead_ms) = self.ahead_ms {
            self.latest_ms = self
                .latest_ms
                .max(machine_ms().saturating_add(ahead_ms))
                .min(LATEST_MS);
        }
        if let Some(followed) = &self.followed {
            self.latest_ms = self
                .latest_ms
                .max(followed.load(Ordering::SeqCst))
                .min(LATEST_MS);
        }
        self.latest_ms
    }

    /// Moves the clock to `ms` (UTC milliseconds), which must not lie before its present time.
    pub(super) fn set(&mut self, ms: i64) -> Result<i64, String> {
        let now = self.now_ms();
        if ms < now {
            return Err(format!(
                "the clock only goes forward: it is {}, asked for {}",
                rfc3339(now),
                rfc3339(ms)
            ));
        }
        if ms > LATEST_MS {
            return Err("the clock ends with the year 9999".to_owned());
        }
        if let Some(ahead_ms) = &mut self.ahead_ms {
            *ahead_ms = ms - machine_ms();
        }
        self.latest_ms = ms;
        Ok(ms)
    }

    /// Moves the clock forward by `seconds`.
    pub(super) fn advance(&mut self, seconds: u64) -> Result<i64, String> {
        let ms = i64::try_from(seconds)
            .unwrap_or(i64::MAX)
            .saturating_mul(1000);
        let target = self.now_ms().saturating_add(ms);
        self.set(target)
    }
}

/// `2026-10-01T08:30:00.000Z`; empty outside the years RFC 3339 knows.
pub(super) fn rfc3339(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
        .unwrap_or_default()
}

/// Reads RFC 3339 into UTC milliseconds.
pub(super) fn parse_rfc3339(text: &str) -> Result<i64, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc).timestamp_millis())
        .map_err(|error| format!("{text:?} is not an RFC 3339 time: {error}"))
}

/// Seconds in the form of HTTP's `Date` header.
pub(super) fn http_date(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .map(|time| time.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or_default()
}

/// Whole seconds, as Stripe writes times.
pub(super) fn seconds(ms: i64) -> i64 {
    ms.div_euclid(1000)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the simulator stands for another company's computer and has a clock of its own"
)]
fn machine_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|elapsed| i64::try_from(elapsed.as_millis()).ok())
        .unwrap_or(0)
}
