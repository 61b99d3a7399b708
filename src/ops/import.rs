//! What every import comes to: all of a file or nothing of it.

use crate::ops::fault::RowFault;
use crate::ops::table_file::FileError;
use crate::store::StoreError;

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Rows that cannot be taken.
    #[error("rows cannot be imported")]
    Faults {
        /// All of them, in the file's order.
        faults: Vec<RowFault>,
    },
    /// The file failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database failed, or the tables are a platform's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Rows that were added.
    pub added: usize,
    /// Rows that replaced what was stored.
    pub updated: usize,
    /// Rows that say what is stored.
    pub already_there: usize,
}
