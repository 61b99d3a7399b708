//! Which of the founding tables this tool's own migration made. A platform's
//! tables belong to the platform: imports never write to them.

use diesel::prelude::*;

use crate::model::schema::payout_own_tables;
use crate::store::connection::AnyConnection;
use crate::store::{Store, StoreError, dialect};

impl Store {
    /// Whether the payouts table is a platform's and holds rows, whose currency
    /// nobody here knows.
    pub fn has_foreign_payouts(&mut self) -> Result<bool, StoreError> {
        let own = own(&mut self.conn)?.iter().any(|name| name == "payouts");
        Ok(!own && dialect::has_rows(&mut self.conn, "payouts")?)
    }

    /// Refuses when any of these tables is a platform's.
    ///
    /// # Errors
    /// A conflict that names the first of them.
    pub fn require_own_tables(&mut self, tables: &[&str]) -> Result<(), StoreError> {
        require_in_tx(&mut self.conn, tables)
    }
}

/// Refuses when any of these tables is a platform's.
pub(crate) fn require_in_tx(conn: &mut AnyConnection, tables: &[&str]) -> Result<(), StoreError> {
    let own = own(conn)?;
    match tables
        .iter()
        .find(|table| own.iter().all(|name| name != *table))
    {
        None => Ok(()),
        Some(table) => Err(StoreError::Conflict(format!(
            "the table {table} belongs to the platform, which alone writes to it"
        ))),
    }
}

fn own(conn: &mut AnyConnection) -> Result<Vec<String>, StoreError> {
    Ok(payout_own_tables::table
        .select(payout_own_tables::name)
        .load(conn)?)
}
