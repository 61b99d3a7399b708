//! How fast requests go out: evenly spaced at a ceiling, halved when Stripe says
//! slow down, recovering by a twentieth each quiet second.
//!
//! A twentieth of what it is by then, not of the ceiling: where the limit is far
//! below the ceiling, steps of the ceiling would run into it again every second.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::time::Clock;

/// Paces the sends of one run.
#[derive(Debug)]
pub(super) struct Pace {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Sends per 1000 seconds; none is unlimited.
    ceiling: Option<u64>,
    rate: Option<u64>,
    next: Instant,
    /// When the rate last changed, up or down.
    changed_at: Instant,
    /// When it was last halved: what was sent before says nothing about what it is since.
    slowed_at: Option<Instant>,
    /// Slots that were given out in an earlier turn are void.
    turn: u64,
    /// Sends granted since `counted_from`, to learn a rate where none was set.
    granted: u64,
    counted_from: Instant,
}

const KILO: u64 = 1000;
/// One send a second is the slowest.
const RATE_MIN: u64 = KILO;

impl Pace {
    /// At most `per_second`; none is as fast as it goes.
    pub(super) fn new(clock: &Clock, per_second: Option<u32>) -> Self {
        let now = clock.instant();
        let ceiling = per_second.map(|rate| u64::from(rate).saturating_mul(KILO));
        let state = Mutex::new(State {
            ceiling,
            rate: ceiling,
            next: now,
            changed_at: now,
            slowed_at: None,
            turn: 0,
            granted: 0,
            counted_from: now,
        });
        Self {
            clock: clock.clone(),
            state,
        }
    }

    /// What it goes by, for whoever waits beside it.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Waits for the next slot. Who waits while the rate is halved gets a new one.
    pub(super) async fn slot(&self) {
        while let Some((at, turn)) = self.reserve(self.clock.instant()) {
            self.clock.sleep_until(at).await;
            if self.lock().turn == turn {
                break;
            }
        }
        let mut state = self.lock();
        state.granted = state.granted.saturating_add(1);
    }

    fn reserve(&self, now: Instant) -> Option<(Instant, u64)> {
        let mut state = self.lock();
        state.recover(now);
        let gap = gap(state.rate?);
        let at = state.next.max(now);
        state.next = at + gap;
        Some((at, state.turn))
    }

    /// Stripe refused what was sent at `sent_at`, because it came too fast: half the
    /// rate, unless it was sent before the last halving, and a pause if Stripe named one.
    pub(super) fn slow_down(&self, sent_at: Instant, pause: Option<Duration>) {
        let now = self.clock.instant();
        let mut state = self.lock();
        if state.slowed_at.is_none_or(|slowed_at| sent_at >= slowed_at) {
            let current = state.rate.unwrap_or_else(|| state.observed(now));
            let rate = (current / 2).max(RATE_MIN);
            state.rate = Some(rate);
            state.changed_at = now;
            state.slowed_at = Some(now);
            state.next = now + gap(rate);
            state.turn += 1;
        }
        if let Some(until) = pause.and_then(|pause| now.checked_add(pause))
            && until > state.next
        {
            state.next = until;
            state.turn += 1;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A poisoned lock holds plain numbers; they are as good as any.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Between two sends.
fn gap(rate: u64) -> Duration {
    Duration::from_micros(1_000_000 * KILO / rate.max(1))
}

impl State {
    fn recover(&mut self, now: Instant) {
        let quiet = now.duration_since(self.changed_at);
        let Some(rate) = self.rate else { return };
        if self.ceiling == Some(rate) || quiet < Duration::from_secs(1) {
            return;
        }
        let step = (rate / 20).max(KILO);
        let raised = rate.saturating_add(step);
        self.rate = Some(self.ceiling.map_or(raised, |ceiling| raised.min(ceiling)));
        self.changed_at = now;
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
        let sent_at = Instant::now();
        tokio::time::advance(Duration::from_millis(30)).await;
        pace.slow_down(sent_at, None);
        pace.slow_down(sent_at, None); // of the same burst
        assert_eq!(pace.lock().rate, Some(50 * KILO));
        for _ in 0..20 {
            tokio::time::advance(Duration::from_secs(1)).await;
            pace.slot().await;
        }
        assert_eq!(pace.lock().rate, Some(100 * KILO));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_while_it_is_halved_waits_for_longer() {
        let pace = Pace::new(&Clock::system(), Some(10));
        let start = Instant::now();
        pace.slot().await;
        // The second and the third would go after 100 and 200 ms.
        let waiting = async { tokio::join!(pace.slot(), pace.slot()) };
        let refused = async { pace.slow_down(start, None) };
        tokio::join!(waiting, refused);
        assert_eq!(start.elapsed().as_millis(), 400);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_ceiling_a_rate_is_learnt_from_what_was_refused() {
        let pace = Pace::new(&Clock::system(), None);
        for _ in 0..400 {
            pace.slot().await;
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        pace.slow_down(Instant::now(), Some(Duration::from_secs(3)));
        assert_eq!(pace.lock().rate, Some(200 * KILO));
        let start = Instant::now();
        pace.slot().await;
        assert_eq!(start.elapsed(), Duration::from_secs(3));
    }

    /// A limit nobody knows that jumps every ten seconds, as a bucket that holds what 100 ms bring.
    #[tokio::test(start_paused = true)]
    async fn behind_a_limit_that_moves_few_are_refused() {
        const LIMITS: [f64; 12] = [
            200.0, 20.0, 80.0, 150.0, 40.0, 110.0, 20.0, 200.0, 60.0, 90.0, 30.0, 170.0,
        ];
        let pace = Pace::new(&Clock::system(), Some(200));
        let start = Instant::now();
        let (mut sent, mut refused) = (0_u32, 0_u32);
        let (mut tokens, mut filled_at) = (20.0_f64, start);
        loop {
            pace.slot().await;
            let now = Instant::now();
            let turn = usize::try_from(now.duration_since(start).as_secs() / 10).unwrap();
            let Some(limit) = LIMITS.get(turn) else { break };
            let fresh = now.duration_since(filled_at).as_secs_f64() * limit;
            tokens = (tokens + fresh).min((limit / 10.0).max(1.0));
            filled_at = now;
            sent += 1;
            if tokens >= 1.0 {
                tokens -= 1.0;
            } else {
                refused += 1;
                pace.slow_down(now, None);
            }
        }
        assert!(refused * 100 <= sent, "{refused} of {sent}");
        // And the limit is used: it brings 9 800 in these two minutes.
        assert!(sent > 4900, "{sent}");
    }
}
