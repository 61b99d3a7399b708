//! The last check before every send.
//!
//! A sender that was suspended, or whose store hangs, must not act on what it
//! believed a while ago: the holds may have changed, its claim may have been
//! taken over, its key may be too old. So nothing is sent unless this run's
//! sign of life is younger than the lease, by the wall clock and by a clock
//! that runs on through suspend, and the reading of the holds is fresh.

use std::collections::HashMap;
use std::time::Duration;

use crate::failpoint::planted;
use crate::model::attempt::{Attempt, KEY_AGE_MAX};
use crate::model::hold::{HoldKind, NamedBatch};
use crate::model::ids::{BatchId, CreatorId};
use crate::model::time::{Clock, Time, millis_of};

/// No send relies on a reading of the holds older than this.
pub(super) const READING_AGE_MAX: Duration = Duration::from_secs(1);

/// How often the holds are read and, a few times a lease, the sign of life renewed.
pub(super) const PULSE: Duration = Duration::from_millis(250);

/// What the last pulse found.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// The run's last sign of life, by the wall clock.
    pub(super) seen_at: Time,
    /// The same by the clock that runs through suspend.
    pub(super) seen_boot_millis: i64,
    /// When the holds were read, by the clock that runs through suspend.
    pub(super) read_boot_millis: i64,
    /// Every hold, and since when it stands.
    pub(super) holds: HashMap<(HoldKind, String), Time>,
}

impl Reading {
    /// The kill switch.
    pub(super) fn switch_is_on(&self) -> bool {
        self.holds.contains_key(&(HoldKind::All, String::new()))
    }
}

/// Whose payout is about to be sent.
#[derive(Debug, Clone)]
pub(super) struct Belongs {
    pub(super) creator: CreatorId,
    pub(super) batch: Option<BatchId>,
}

/// Something to send.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) attempt: Attempt,
    pub(super) belongs: Belongs,
    /// Taken over from an earlier run: a send under its key may have been executed.
    pub(super) taken_over: bool,
    /// When Stripe may have forgotten its key, by the clock that runs through suspend:
    /// the wall clock can be set back while the machine sleeps.
    key_ends_boot_millis: i64,
}

impl Job {
    pub(super) fn new(
        attempt: Attempt,
        belongs: Belongs,
        taken_over: bool,
        clock: &Clock,
        stripe_ahead_millis: i64,
    ) -> Self {
        let age = attempt.key_age_millis(clock.now(), stripe_ahead_millis);
        let left = millis_of(KEY_AGE_MAX).saturating_sub(age.max(0));
        Self {
            key_ends_boot_millis: clock.since_boot_millis().saturating_add(left),
            attempt,
            belongs,
            taken_over,
        }
    }
}

/// Why a send does not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Closed {
    /// The reading is too old; a new one may open the gate.
    Stale,
    /// The switch is on.
    Switch,
    /// A hold was set.
    Held,
    /// This run gave no sign of life for too long: others may have taken over.
    LeaseLost,
    /// Stripe may have forgotten the key.
    KeyTooOld,
}

impl Closed {
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Stale => "the holds could not be read in time",
            Self::Switch => "everything is held",
            Self::Held => "a hold was set before it was sent",
            Self::LeaseLost => "this run gave no sign of life for longer than its lease",
            Self::KeyTooOld => "the first send is too long ago",
        }
    }
}

/// Whether an attempt may be sent at this instant.
pub(super) fn check(
    reading: &Reading,
    clock: &Clock,
    lease: Duration,
    job: &Job,
    named_batch: Option<&NamedBatch>,
    stripe_ahead_millis: i64,
) -> Result<(), Closed> {
    if planted!("gate_open") {
        return Ok(());
    }
    let now = clock.now();
    let boot = clock.since_boot_millis();
    let lease = millis_of(lease);
    let silent_wall = now.millis_since(reading.seen_at);
    let silent_boot = boot.saturating_sub(reading.seen_boot_millis);
    if silent_wall.abs() >= lease || silent_boot >= lease {
        return Err(Closed::LeaseLost);
    }
    let Job {
        attempt, belongs, ..
    } = job;
    let too_old =
        boot >= job.key_ends_boot_millis || !attempt.key_is_young(now, stripe_ahead_millis);
    if too_old && !planted!("resend_after_a_day") {
        return Err(Closed::KeyTooOld);
    }
    if boot.saturating_sub(reading.read_boot_millis) >= millis_of(READING_AGE_MAX) {
        return Err(Closed::Stale);
    }
    let since = |kind: HoldKind, target: &str| reading.holds.get(&(kind, target.to_owned()));
    let held = |kind: HoldKind, target: &str| since(kind, target).is_some();
    if reading.holds.is_empty() || planted!("holds_ignored") {
        return Ok(());
    }
    if reading.switch_is_on() {
        return Err(Closed::Switch);
    }
    let batch_held = belongs.batch.as_ref().is_some_and(|batch| {
        since(HoldKind::Batch, batch.as_str()).is_some_and(|since| {
            !named_batch.is_some_and(|named| named.id == *batch && named.releases(*since))
        })
    });
    if batch_held
        || held(HoldKind::Payout, attempt.payout_id.as_str())
        || held(HoldKind::Creator, belongs.creator.as_str())
    {
        return Err(Closed::Held);
    }
    Ok(())
}
