//! What state a database is in: for `doctor`, and for what a run may spend.

use diesel::prelude::*;

use crate::model::schema::payout_attempts;
use crate::store::{Store, StoreError, dialect};

/// The database behind a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `PostgreSQL 16.4`, `SQLite 3.51.3`.
    pub version: String,
    /// Where in it the tables are, and as whom they are read.
    pub place: Option<String>,
    /// What is wrong with how it is reached or kept: others could read what is in it.
    pub exposed: Option<String>,
}

/// Attempts whose outcome nobody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenTotal {
    /// How many.
    pub count: i64,
    /// Minor units.
    pub amount_cents: i64,
}

impl Store {
    /// The role of the database that this session began as; none on SQLite, which has
    /// no roles. What `SET ROLE` makes of it afterwards does not matter.
    pub fn role(&mut self) -> Result<Option<String>, StoreError> {
        self.read(|conn| Ok(dialect::session_role(conn)?))
    }

    /// What this connection leads to.
    pub fn server(&mut self) -> Result<Server, StoreError> {
        let url = self.url.clone();
        self.read(|conn| dialect::server(conn, &url))
    }

    /// What is unresolved or on its way: money that must not be counted as available.
    pub fn attempts_open(&mut self) -> Result<OpenTotal, StoreError> {
        let (count, amount_cents) = self.read(|conn| {
            Ok(payout_attempts::table
                .filter(dialect::unresolved())
                .select((diesel::dsl::count_star(), dialect::sum_attempts_cents()))
                .first::<(i64, i64)>(conn)?)
        })?;
        Ok(OpenTotal {
            count,
            amount_cents,
        })
    }
}
