//! How payouts are kept: the only user of Diesel's query language.
//!
//! Synchronous on purpose. A [`Store`] owns one connection; the asynchronous
//! loops reach it through [`thread::StoreThread`], which hands out results and
//! never a transaction, so that no transaction can be open while a request to
//! Stripe is in flight.
//!
//! Most queries are plain Diesel on `AnyConnection`; what the two databases
//! do differently is a short list of named functions in `dialect`.
//! PostgreSQL spreads claims over several runs; on SQLite one run at a time
//! takes most of them, which is correct and right for an embedded database.

pub mod adopt;
pub mod alerts;
pub mod approvals;
pub mod attempts;
pub mod backup;
pub mod batches;
mod candidates;
pub mod catalog;
mod complete;
mod connection;
pub mod creators;
pub(crate) mod dialect;
pub mod doubt;
mod enums;
pub mod error;
pub mod events;
pub mod findings;
pub mod foreign;
pub mod health;
mod history;
mod holds;
pub mod ledger;
pub mod migrations;
pub mod notifications;
pub mod payout_create;
mod payout_record;
pub mod payouts;
mod postgres_url;
pub mod queue;
pub mod reconciliations;
pub mod report;
pub mod restore;
pub mod reversals;
pub mod run_records;
mod runs;
mod settings;
pub mod settle;
pub mod standing;
pub mod statement_marks;
pub mod statements;
pub mod stats;
pub mod thread;
pub mod verify;
pub mod vitals;
pub mod warnings;

pub use connection::{Backend, DatabaseUrl, UrlError};
pub use error::StoreError;
pub use postgres_url::PostgresUrl;
pub use runs::{RunDescription, RunStamp};
pub use settings::{Setting, Stamp};

use connection::AnyConnection;
use history::HeadsHash;

use crate::model::ids::RunId;
use crate::model::run::liveness_lock;
use crate::model::time::Clock;

/// One open database.
pub struct Store {
    conn: AnyConnection,
    url: DatabaseUrl,
    clock: Clock,
    /// Set at the start of each transaction behind a transaction pooler, where
    /// session state belongs to others.
    local: Option<String>,
    /// The run this session says is alive.
    run: Option<RunId>,
    /// Over the history rows written through this store; see `payout_runs.heads_hash`.
    heads: HeadsHash,
    /// Nobody knows whether a transaction was kept, so that `heads` may lack its rows.
    heads_in_doubt: bool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("backend", &self.backend())
            .finish_non_exhaustive()
    }
}

/// How a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// The database must exist.
    Existing,
    /// An embedded database is created when it is missing; for `migrate` and `demo`.
    CreateIfMissing,
}

impl Store {
    /// Connects and sets the session up; see `connection.rs` for what that means.
    pub fn open(
        url: &DatabaseUrl,
        how: Open,
        pooled: bool,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let local = match url {
            DatabaseUrl::Postgres(server) if pooled => {
                Some(dialect::postgres_session("LOCAL", server.schema()))
            }
            _ => None,
        };
        let conn = connection::open(url, how, local.is_some())?;
        Ok(Self {
            conn,
            url: url.clone(),
            run: None,
            clock,
            local,
            heads: HeadsHash::default(),
            heads_in_doubt: false,
        })
    }

    /// Connects anew after the connection broke, and says again that the run is alive.
    pub fn reconnect(&mut self) -> Result<(), StoreError> {
        self.conn = connection::open(&self.url, Open::Existing, self.pooled())?;
        if let Some(run) = &self.run {
            let (pooled, lock) = (self.pooled(), liveness_lock(run));
            dialect::liveness_announce(&mut self.conn, pooled, lock)?;
        }
        Ok(())
    }

    /// A transaction pooler sits in front of the server.
    fn pooled(&self) -> bool {
        self.local.is_some()
    }

    /// Which database it is.
    pub fn backend(&self) -> Backend {
        connection::backend_of(&self.conn)
    }

    /// The clock every written time comes from.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Ends what the session holds for its run, as closing it does. A session costs
    /// PostgreSQL a process, and a simulated run of some milliseconds goes on with
    /// one that another has left.
    #[cfg(feature = "testing")]
    pub fn leave(mut self) -> Result<Self, StoreError> {
        dialect::liveness_withdraw(&mut self.conn)?;
        self.run = None;
        self.heads = HeadsHash::default();
        Ok(self)
    }

    /// The same session by another clock.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn at(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Runs `body` in one transaction that may write, and commits it.
    fn write<T>(
        &mut self,
        body: impl FnOnce(&mut AnyConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let done = dialect::write_tx(&mut self.conn, self.local.as_deref(), body);
        self.heads_in_doubt |= matches!(done, Err(StoreError::Lost { .. }));
        done
    }

    /// The same, for work on a few rows of large tables: they are found by index,
    /// whatever the database believes about the tables' sizes.
    fn write_by_index<T>(
        &mut self,
        body: impl FnOnce(&mut AnyConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let done = dialect::write_by_index_tx(&mut self.conn, self.local.as_deref(), body);
        self.heads_in_doubt |= matches!(done, Err(StoreError::Lost { .. }));
        done
    }

    /// Runs `body` in one transaction that only reads, so that it sees one state.
    fn read<T>(
        &mut self,
        body: impl FnOnce(&mut AnyConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        dialect::read_tx(&mut self.conn, self.local.as_deref(), body)
    }
}
