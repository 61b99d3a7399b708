//! The store under test, opened on the database of a test.

use payouts::model::time::Clock;
use payouts::store::{DatabaseUrl, Open, Store};

use super::db::TestDb;
use super::env::NOW;

impl TestDb {
    /// A store whose clock stands still at [`NOW`].
    pub(crate) fn store(&self) -> Store {
        self.store_at(Clock::manual(NOW.parse().expect("a time in RFC 3339")))
    }

    /// A store with a clock of the test's own.
    pub(crate) fn store_at(&self, clock: Clock) -> Store {
        open(self.url(), clock)
    }

    /// A store on this version's schema.
    pub(crate) fn migrated(&self) -> Store {
        let mut store = self.store();
        store.migrate().expect("the migrations run");
        store
    }
}

/// A store on another URL than a test database's own, such as one with a further parameter.
pub(crate) fn open(url: &str, clock: Clock) -> Store {
    let url: DatabaseUrl = url.parse().expect("a database URL");
    Store::open(&url, Open::CreateIfMissing, false, clock).expect("the database opens")
}
