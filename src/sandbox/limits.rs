//! How fast and how much at once: the only part that lives in real time, whatever the simulated
//! clock says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::error::ApiError;

/// Limits and delays; `POST /_sandbox/rate` replaces them while the sandbox runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// Requests per second, in a token bucket that holds what 100 ms bring, and at least one.
    /// `None` is without limit. Stripe's own: 100 live, 25 in a sandbox.
    pub per_second: Option<u32>,
    /// Seconds for the `Retry-After` of a 429; `None` sends none, as Stripe does mostly.
    pub retry_after_seconds: Option<u32>,
    /// Requests being answered at the same time; more are refused with `global-concurrency`.
    pub concurrency: Option<u32>,
    /// Refuse (429 `lock_timeout`) a transfer to an account to which another one is being made.
    pub lock_destinations: bool,
    /// Milliseconds every answer takes, half of them before the execution, half after.
    pub latency_ms: u32,
    /// Up to so many milliseconds more, drawn for each request.
    pub latency_jitter_ms: u32,
}

/// What an empty bucket fills to.
const BUCKET: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) pace: Pace,
    /// When the bucket will be full again.
    full_at: Option<Instant>,
    requests: u32,
    destinations: HashMap<Arc<str>, u32>,
}

impl Limits {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            pace,
            ..Self::default()
        }
    }

    /// Changes the limits; the bucket starts full.
    pub(super) fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
        self.full_at = None;
    }

    /// Counts one request in, or refuses it.
    pub(super) fn enter(&mut self, now: Instant) -> Result<(), ApiError> {
        if self
            .pace
            .concurrency
            .is_some_and(|most| self.requests >= most)
        {
            return Err(ApiError::rate_limit(
                "global-concurrency",
                self.pace.retry_after_seconds,
            ));
        }
        if !self.take_token(now) {
            return Err(ApiError::rate_limit(
                "global-rate",
                self.pace.retry_after_seconds,
            ));
        }
        self.requests += 1;
        Ok(())
    }

    /// Requests counted in and not yet out.
    pub(super) fn in_flight(&self) -> u32 {
        self.requests
    }

    /// Counts one request out.
    pub(super) fn leave(&mut self) {
        self.requests = self.requests.saturating_sub(1);
    }

    /// Marks `destination` as being paid, or refuses because it is.
    pub(super) fn lock(&mut self, destination: &Arc<str>) -> Result<(), ApiError> {
        let holders = self
            .destinations
            .entry(Arc::clone(destination))
            .or_default();
        if self.pace.lock_destinations && *holders > 0 {
            return Err(ApiError::lock_timeout());
        }
        *holders += 1;
        Ok(())
    }

    pub(super) fn unlock(&mut self, destination: &str) {
        if let Some(holders) = self.destinations.get_mut(destination) {
            *holders -= 1;
            if *holders == 0 {
                self.destinations.remove(destination);
            }
        }
    }

    /// How long one request is to take, drawn with `random`.
    pub(super) fn latency(&self, random: &mut fastrand::Rng) -> Duration {
        let jitter = self.pace.latency_jitter_ms;
        let jitter = if jitter == 0 {
            0
        } else {
            random.u32(0..=jitter)
        };
        Duration::from_millis(u64::from(self.pace.latency_ms) + u64::from(jitter))
    }

    /// The bucket as a single time: a token is the time in which one comes, and the bucket lacks
    /// as many as fit between now and `full_at`.
    fn take_token(&mut self, now: Instant) -> bool {
        let Some(rate) = self.pace.per_second.filter(|rate| *rate > 0) else {
            return true;
        };
        let token = Duration::from_secs(1) / rate;
        let size = BUCKET.max(token);
        let lacking = self.full_at.map_or(Duration::ZERO, |full_at| {
            full_at.saturating_duration_since(now)
        });
        if lacking + token > size {
            return false;
        }
        self.full_at = Some(now + lacking + token);
        true
    }
}
