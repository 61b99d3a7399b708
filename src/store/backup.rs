//! A copy of an embedded database as it stands at one moment, and what a copy holds.

use std::path::Path;

use diesel::prelude::*;

use crate::model::schema::payout_attempts;
use crate::model::time::Time;
use crate::store::{Store, StoreError, connection, dialect};

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Every table and how many rows it has, by name.
    pub tables: Vec<(String, i64)>,
    /// When the newest attempt was written; none where there is none.
    pub newest_attempt_at: Option<Time>,
}

impl Store {
    /// Writes the embedded database, as it stands at this moment, into an empty file.
    /// Nobody waits for it.
    ///
    /// # Errors
    /// A conflict on PostgreSQL.
    pub fn copy_into(&mut self, file: &str) -> Result<(), StoreError> {
        dialect::copy_into(&mut self.conn, file)
    }
}

/// Reads a copy to its end. Writes nothing, not even beside it.
///
/// # Errors
/// A conflict that says what is wrong, when it is not whole.
pub fn inspect(file: &Path) -> Result<Contents, StoreError> {
    let mut conn = connection::open_copy(file)?;
    let damage = dialect::damage(&mut conn)?;
    if !damage.is_empty() {
        return Err(StoreError::Conflict(format!(
            "the copy is damaged: {}",
            damage.join("; ")
        )));
    }
    let mut tables = Vec::new();
    for table in dialect::sqlite_tables(&mut conn)? {
        let rows = dialect::count_rows(&mut conn, &table)?;
        tables.push((table, rows));
    }
    let newest = payout_attempts::table.select(diesel::dsl::max(payout_attempts::created_at));
    let newest_attempt_at = match newest.first(&mut conn) {
        // A backup may be made of a schema that is older than this program.
        Err(error) if dialect::is_missing_table(&error) => None,
        newest => newest?,
    };
    Ok(Contents {
        tables,
        newest_attempt_at,
    })
}
