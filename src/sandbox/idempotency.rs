//! Idempotency keys, exactly as Stripe keeps them.
//!
//! - Once execution has begun the first answer is stored, success or failure, a 500 included, and
//!   every later request with the key gets it again, as it was first given.
//! - Nothing is stored for a request whose parameters are wrong, for the 409 of a request that
//!   meets the first one still running, for a 429 and for a 401.
//! - The same key with other parameters is refused.
//! - A key is forgotten 24 hours of simulated time after its first request. From then on it is a
//!   new key: **the same request makes a second transfer.**
//!
//! A key belongs to one account and mode, so every ledger has its own.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::transfers::Expand;

/// Stripe refuses longer keys.
pub(super) const KEY_LENGTH_MAX: usize = 255;

/// How long an answer is kept.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// How many keys one request removes at most.
const EXPIRED_AT_ONCE: usize = 100;

/// The answer a key replays.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// A transfer was created. Its first body is written anew from the transfer, which costs a
    /// tenth of the memory of keeping it.
    Transfer { place: usize, expand: Expand },
    /// Anything else, word for word.
    Text { status: u16, body: Box<str> },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    first_ms: i64,
    fingerprint: u64,
    /// The request that was executed.
    pub(super) request: usize,
    pub(super) answer: Answer,
}

/// What is known of a key.
#[derive(Debug)]
pub(super) enum Lookup<'a> {
    New,
    Running,
    OtherParameters,
    Replay(&'a Record),
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Keys {
    records: HashMap<Arc<str>, Record>,
    /// The keys by the time of their storing, oldest first.
    #[serde(skip)]
    by_age: VecDeque<(i64, Arc<str>)>,
    #[serde(skip)]
    running: HashSet<Arc<str>>,
}

impl Keys {
    /// What is known of `key`; one that is older than 24 hours is as good as none.
    pub(super) fn look_up(&mut self, key: &str, fingerprint: u64, now_ms: i64) -> Lookup<'_> {
        self.expire(now_ms);
        if self.running.contains(key) {
            return Lookup::Running;
        }
        match self.records.get(key) {
            None => Lookup::New,
            Some(record) if record.first_ms + KEPT_MS <= now_ms => Lookup::New,
            Some(record) if record.fingerprint != fingerprint => Lookup::OtherParameters,
            Some(record) => Lookup::Replay(record),
        }
    }

    /// From here on another request with this key is told that the first one is running.
    pub(super) fn claim(&mut self, key: Arc<str>) {
        self.running.insert(key);
    }

    /// The request ended without an execution: the key is as if it had never been used.
    pub(super) fn release(&mut self, key: &str) {
        self.running.remove(key);
    }

    /// Stores the answer of the one execution under `key`. `first_ms`, the time at which that
    /// request arrived, is where its 24 hours begin.
    pub(super) fn store(
        &mut self,
        key: Arc<str>,
        first_ms: i64,
        fingerprint: u64,
        request: usize,
        answer: Answer,
    ) {
        self.running.remove(&key);
        self.by_age.push_back((first_ms, Arc::clone(&key)));
        self.records.insert(
            key,
            Record {
                first_ms,
                fingerprint,
                request,
                answer,
            },
        );
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Brings back what is not written to the state file.
    pub(super) fn reindex(&mut self) {
        let mut by_age: Vec<_> = self
            .records
            .iter()
            .map(|(key, record)| (record.first_ms, Arc::clone(key)))
            .collect();
        by_age.sort_unstable();
        self.by_age = by_age.into();
    }

    /// Makes room, a little at a time: after a day was skipped, no single request pays for all.
    fn expire(&mut self, now_ms: i64) {
        for _ in 0..EXPIRED_AT_ONCE {
            let expired = |(first_ms, _): &mut (i64, Arc<str>)| *first_ms + KEPT_MS <= now_ms;
            let Some((first_ms, key)) = self.by_age.pop_front_if(expired) else {
                return;
            };
            // An execution that began late stands behind younger ones, and its key may be in use again.
            if self
                .records
                .get(&key)
                .is_some_and(|record| record.first_ms == first_ms)
            {
                self.records.remove(&key);
            }
        }
    }
}
