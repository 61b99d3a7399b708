//! How fast requests go out: evenly spaced at a ceiling, halved when Stripe says
//! slow down, recovering by a twentieth of the ceiling each quiet second.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::time::Clock;

/// Paces the sends of one run.
#[derive(Debug)]
pub(in crate::ops) struct Pace {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Sends per 1000 seconds; none is unlimited.
    ceiling: Option<u64>,
    rate: Option<u64>,
    next: Instant,
    last_change: Instant,
    /// Sends granted since `counted_from`, to learn a rate where none was set.
    granted: u64,
    counted_from: Instant,
}

const KILO: u64 = 1000;
/// One send a second is the slowest.
const RATE_MIN: u64 = KILO;

impl Pace {
    /// At most `per_second`; none is as fast as it goes.
    pub(in crate::ops) fn new(clock: &Clock, per_second: Option<u32>) -> Self {
        let now = clock.instant();
        let ceiling = per_second.map(|rate| u64::from(rate).saturating_mul(KILO));
        let state = Mutex::new(State {
            ceiling,
            rate: ceiling,
            next: now,
            last_change: now,
            granted: 0,
            counted_from: now,
        });
        Self {
            clock: clock.clone(),
            state,
        }
    }

    /// What it goes by, for whoever waits beside it.
    pub(in crate::ops) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Waits for the next slot.
    pub(in crate::ops) async fn slot(&self) {
        let at = self.reserve(self.clock.instant());
        if let Some(at) = at {
            self.clock.sleep_until(at).await;
        }
    }

    fn reserve(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        state.recover(now);
        state.granted = state.granted.saturating_add(1);
        let rate = state.rate?;
        let gap = Duration::from_micros(1_000_000 * KILO / rate.max(1));
        let at = state.next.max(now);
        state.next = at + gap;
        Some(at)
    }

    /// Stripe said slow down: half the rate, at most once a second, and a pause
    /// if it named one.
    pub(super) fn slow_down(&self, pause: Option<Duration>) {
        let now = self.clock.instant();
        let mut state = self.lock();
        if now.duration_since(state.last_change) >= Duration::from_secs(1) || state.rate.is_none() {
            let current = state.rate.unwrap_or_else(|| state.observed(now));
            state.rate = Some((current / 2).max(RATE_MIN));
            state.last_change = now;
        }
        if let Some(pause) = pause {
            state.next = state.next.max(now.checked_add(pause).unwrap_or(now));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A poisoned lock holds plain numbers; they are as good as any.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn recover(&mut self, now: Instant) {
        let quiet = now.duration_since(self.last_change);
        let Some(rate) = self.rate else { return };
        if self.ceiling == Some(rate) || quiet < Duration::from_secs(1) {
            return;
        }
        let step = (self.ceiling.unwrap_or(rate) / 20).max(KILO);
        let raised = rate.saturating_add(step);
        self.rate = Some(self.ceiling.map_or(raised, |ceiling| raised.min(ceiling)));
        self.last_change = now;
    }

    /// Sends per 1000 seconds since counting began.
    fn observed(&self, now: Instant) -> u64 {
        let millis =
            u64::try_from(now.duration_since(self.counted_from).as_millis()).unwrap_or(u64::MAX);
        self.granted.saturating_mul(KILO * KILO) / millis.max(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sends_are_spaced_evenly_at_the_ceiling() {
        let pace = Pace::new(&Clock::system(), Some(100));
        let start = Instant::now();
        for _ in 0..101 {
            pace.slot().await;
        }
        assert_eq!(start.elapsed().as_millis(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_halves_the_rate_and_quiet_seconds_bring_it_back() {
        let pace = Pace::new(&Clock::system(), Some(100));
        tokio::time::advance(Duration::from_secs(2)).await;
        pace.slow_down(None);
        pace.slow_down(None); // of the same burst
        assert_eq!(pace.lock().rate, Some(50 * KILO));
        for _ in 0..20 {
            tokio::time::advance(Duration::from_secs(1)).await;
            pace.slot().await;
        }
        assert_eq!(pace.lock().rate, Some(100 * KILO));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_ceiling_a_rate_is_learnt_from_what_was_refused() {
        let pace = Pace::new(&Clock::system(), None);
        for _ in 0..400 {
            pace.slot().await;
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        pace.slow_down(Some(Duration::from_secs(3)));
        assert_eq!(pace.lock().rate, Some(200 * KILO));
        let start = Instant::now();
        pace.slot().await;
        assert_eq!(start.elapsed(), Duration::from_secs(3));
    }
}
