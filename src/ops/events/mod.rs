//! Hearing what Stripe says: events, delivered ([`mod@listen`]) or asked for
//! ([`mod@pull`]), through one path.
//!
//! 1. An event is stored, whatever it says, and only then answered. Its id is the
//!    key, so that one that comes twice, both ways even, is there once.
//! 2. It is applied afterwards, by whoever looks next (`apply`): the listener,
//!    `pull`, `process`, `reconcile`. What it says of a transfer is a hint, and is
//!    held against the ledger by the same judgement as a comparison. Where the
//!    snapshot says what the table says, that is all; for anything else the transfer
//!    is fetched, and what Stripe says now is judged. So it does not matter in which
//!    order events come, how often, or how late.
//! 3. What only time can settle (a run is at work on the payout, other software has
//!    not marked its row yet) stays pending and is looked at again. After an hour
//!    ([`PATIENCE`](crate::model::event::PATIENCE)) it becomes a finding, as
//!    `reconcile` would make one.
//!
//! What a transfer of this database proves is recorded: it is what `process` would
//! find by itself. Everything else asks a person, in a finding. An event sends
//! nothing, holds nothing and gives nothing up.

pub(in crate::ops) mod apply;
pub mod listen;
pub mod pull;
pub mod suggest;

use std::collections::BTreeMap;

use crate::model::event::{CameBy, EventState, StripeEvent};
use crate::model::mode::mode;
use crate::model::reconciliation::FindingKind;
use crate::model::time::Time;
use crate::store::Stamp;
use crate::stripe::webhook::read::{About, Event};

/// What applying events came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The table says what they say, now or before.
    pub applied: u64,
    /// Findings say how the two differ.
    pub reported: u64,
    /// Mean nothing here after all.
    pub ignored: u64,
    /// Looked at, and tried again later.
    pub waiting: u64,
    /// What was found, by kind.
    pub kinds: BTreeMap<FindingKind, u64>,
}

impl Applied {
    fn add(&mut self, more: Self) {
        self.applied += more.applied;
        self.reported += more.reported;
        self.ignored += more.ignored;
        self.waiting += more.waiting;
        for (kind, count) in more.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
    }

    fn count(&mut self, state: EventState) {
        let counter = match state {
            EventState::Applied => &mut self.applied,
            EventState::Reported => &mut self.reported,
            EventState::Ignored => &mut self.ignored,
            EventState::Pending => &mut self.waiting,
        };
        *counter += 1;
    }
}

/// The row of an event that came now. What is not of this database's account and
/// mode, or of a type that means nothing here, is stored as such and never applied:
/// refusing it would only have it sent again, and the endpoint switched off.
fn row_of(event: Event, came_by: CameBy, now: Time, ours: &Stamp) -> StripeEvent {
    let livemode = event.livemode.unwrap_or(ours.livemode);
    let elsewhere = event
        .account
        .as_ref()
        .filter(|account| event.about == About::Transfer && **account != ours.account);
    let ignored = if livemode != ours.livemode {
        Some(format!(
            "it is of {} mode; this database pays in {} mode",
            mode(livemode),
            mode(ours.livemode)
        ))
    } else if let Some(account) = elsewhere {
        Some(format!(
            "it happened on {account}; this database pays from {}",
            ours.account
        ))
    } else if event.about == About::Nothing {
        Some("events of this type mean nothing here".to_owned())
    } else {
        None
    };
    StripeEvent {
        event_id: event.id,
        kind: event.kind,
        object_id: event.object_id,
        account: event.account,
        livemode,
        api_version: event.api_version,
        created_at: event.created,
        came_by,
        received_at: now,
        snapshot: event.snapshot.filter(|_| ignored.is_none()),
        state: if ignored.is_some() {
            EventState::Ignored
        } else {
            EventState::Pending
        },
        tries: 0,
        settled_at: ignored.is_some().then_some(now),
        payout_id: None,
        outcome: ignored,
    }
}
