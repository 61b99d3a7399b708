//! The books of one account in one mode: the judge of everything else.
//!
//! A transfer is made in one place ([`Ledger::transfer_create`]) and never taken away. Objects stand
//! in vectors in the order of their creation, ids are places in them, and the indexes here make
//! every list cost what it shows.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::auth::Scope;
use super::balance::{Entry, EntryType, Funds};
use super::events::{Event, EventType};
use super::idempotency::Keys;
use super::ids::{self, Id, Kind};
use super::reversals::Reversal;
use super::transfers::Transfer;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ledger {
    pub(super) scope: Scope,
    /// What all request ids of this sandbox have in common.
    pub(super) tag: String,
    /// What all ids of these books have in common.
    pub(super) space: String,
    pub(super) funds: Funds,
    pub(super) transfers: Vec<Transfer>,
    pub(super) reversals: Vec<Reversal>,
    pub(super) entries: Vec<Entry>,
    pub(super) events: Vec<Event>,
    pub(super) keys: Keys,
    pub(super) topups: usize,
    /// The first event that the webhook has not been told about.
    pub(super) next_delivery: usize,
    #[serde(skip)]
    pub(super) has_webhook: bool,
    #[serde(skip)]
    pub(super) by_group: Index<Arc<str>>,
    #[serde(skip)]
    pub(super) by_destination: Index<Arc<str>>,
    #[serde(skip)]
    pub(super) entries_by_type: Index<EntryType>,
    #[serde(skip)]
    pub(super) events_by_type: Index<EventType>,
}

/// Which request made something.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Origin {
    pub(super) request: usize,
    pub(super) key: Option<Arc<str>>,
}

impl Ledger {
    pub(super) fn new(scope: Scope, tag: &str, funds: Funds) -> Self {
        Self {
            scope,
            tag: tag.to_owned(),
            space: format!("1S{tag}{}", scope.letter()),
            funds,
            transfers: Vec::new(),
            reversals: Vec::new(),
            entries: Vec::new(),
            events: Vec::new(),
            keys: Keys::default(),
            topups: 0,
            next_delivery: 0,
            has_webhook: false,
            by_group: Index::default(),
            by_destination: Index::default(),
            entries_by_type: Index::default(),
            events_by_type: Index::default(),
        }
    }

    /// Brings back what is not written to the state file.
    pub(super) fn reindex(&mut self) {
        self.keys.reindex();
        for (place, transfer) in self.transfers.iter().enumerate() {
            self.by_destination.add(&transfer.destination, place);
            if let Some(group) = &transfer.group {
                self.by_group.add(group, place);
            }
        }
        for (place, entry) in self.entries.iter().enumerate() {
            self.entries_by_type.add(&entry.r#type(), place);
        }
        for (place, event) in self.events.iter().enumerate() {
            self.events_by_type.add(&event.r#type(), place);
        }
    }

    pub(super) fn id(&self, kind: Kind, place: usize) -> Id<'_> {
        Id {
            kind,
            space: &self.space,
            place,
        }
    }

    pub(super) fn request_id(&self, place: usize) -> Id<'_> {
        Id {
            kind: Kind::Request,
            space: &self.tag,
            place,
        }
    }

    /// The place of a transfer that exists.
    pub(super) fn transfer_place(&self, id: &str) -> Option<usize> {
        ids::place(Kind::Transfer, &self.space, id).filter(|place| *place < self.transfers.len())
    }

    pub(super) fn reversal_place(&self, id: &str) -> Option<usize> {
        ids::place(Kind::Reversal, &self.space, id).filter(|place| *place < self.reversals.len())
    }

    pub(super) fn entry_place(&self, id: &str) -> Option<usize> {
        ids::place(Kind::BalanceTransaction, &self.space, id)
            .filter(|place| *place < self.entries.len())
    }

    pub(super) fn event_place(&self, id: &str) -> Option<usize> {
        ids::place(Kind::Event, &self.space, id).filter(|place| *place < self.events.len())
    }

    /// When the newest thing happened that is in these books; the beginning of time when nothing did.
    pub(super) fn newest_ms(&self) -> i64 {
        let entry_ms = self.entries.last().map(|entry| entry.created_ms);
        let event_ms = self
            .events
            .len()
            .checked_sub(1)
            .map(|place| self.event_created_ms(place));
        entry_ms.max(event_ms).unwrap_or(i64::MIN)
    }

    /// Whether lists show the transfer at `place` yet.
    pub(super) fn is_listed(&self, place: usize, now_ms: i64) -> bool {
        self.transfers
            .get(place)
            .is_some_and(|transfer| transfer.listed_from_ms <= now_ms)
    }
}

/// From a property to the places of the objects that have it, oldest first.
#[derive(Debug)]
pub(super) struct Index<K>(HashMap<K, Places>);

/// Most groups have one transfer, and there are as many groups as transfers: one place needs no
/// memory beside the index.
#[derive(Debug)]
enum Places {
    One(usize),
    Several(Vec<usize>),
}

impl Places {
    fn push(&mut self, place: usize) {
        match self {
            Self::One(first) => *self = Self::Several(vec![*first, place]),
            Self::Several(places) => places.push(place),
        }
    }

    fn as_slice(&self) -> &[usize] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Several(places) => places,
        }
    }
}

impl<K> Default for Index<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> Index<K> {
    pub(super) fn add(&mut self, key: &K, place: usize) {
        if let Some(places) = self.0.get_mut(key) {
            places.push(place);
        } else {
            self.0.insert(key.clone(), Places::One(place));
        }
    }

    pub(super) fn of<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> &[usize]
    where
        K: std::borrow::Borrow<Q>,
    {
        self.0.get(key).map_or(&[], Places::as_slice)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &[usize])> {
        self.0.iter().map(|(key, places)| (key, places.as_slice()))
    }
}
