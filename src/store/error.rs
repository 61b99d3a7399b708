//! What can go wrong in the database, in the terms the layers above act on.

use std::path::PathBuf;

use diesel::result::Error as DieselError;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection could be made.
    #[error("no connection to the database {url}: {reason}")]
    Unreachable {
        /// Without its password.
        url: String,
        /// The driver's words.
        reason: String,
    },
    /// A pooler hands out the server's sessions, and nobody said so.
    #[error("a connection pooler sits before PostgreSQL, and this program was not told")]
    Pooler,
    /// The embedded database has not been created.
    #[error("there is no database at {}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The schema is older than this program.
    #[error("the database lacks {} of this version's migrations: {}", names.len(), names.join(", "))]
    PendingMigrations {
        /// In order.
        names: Vec<String>,
    },
    /// The schema is newer than this program.
    #[error("the database holds migrations this version does not know: {}", versions.join(", "))]
    NewerSchema {
        /// In order.
        versions: Vec<String>,
    },
    /// A row that was named does not exist.
    #[error("not found")]
    NotFound,
    /// Something that must be unique exists already.
    #[error("exists already: {what}")]
    Unique {
        /// The constraint's name, or its table and column.
        what: String,
    },
    /// Another session holds a lock for too long.
    #[error("the database is locked by another process")]
    Busy {
        /// The driver's error.
        #[source]
        source: DieselError,
    },
    /// The connection broke. Whether a transaction in its COMMIT was kept is unknown.
    #[error("the connection to the database was lost")]
    Lost {
        /// The driver's error.
        #[source]
        source: DieselError,
    },
    /// No room, or no permission, to write.
    #[error("the database cannot be written")]
    Full {
        /// The driver's error.
        #[source]
        source: DieselError,
    },
    /// A change was refused because the row is not what it was taken for.
    #[error("{0}")]
    Conflict(String),
    /// Something stored does not make sense.
    #[error("the database holds something unexpected: {0}")]
    Corrupt(String),
    /// A new id could not be made.
    #[error(transparent)]
    Id(#[from] crate::model::ids::NoRandomness),
    /// The thread that owns the connection is gone.
    #[error("the database thread ended unexpectedly")]
    Stopped,
    /// A migration failed.
    #[error("migration {name} failed: {reason}")]
    Migration {
        /// Which.
        name: String,
        /// The driver's words.
        reason: String,
    },
    /// Anything else the driver reports.
    #[error("the database refused")]
    Database {
        /// The driver's error.
        #[source]
        source: DieselError,
    },
}

impl StoreError {
    /// An error of COMMIT itself: when the connection broke, nobody knows
    /// whether the transaction was kept.
    pub(crate) fn in_commit(error: DieselError) -> Self {
        match error {
            DieselError::RollbackErrorOnCommit { commit_error, .. } => Self::from(*commit_error),
            other => Self::from(other),
        }
    }

    /// The error and the driver's words behind it, in one line.
    pub fn with_cause(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }

    /// Whether the database refuses this one thing, and would take another.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Unique { .. } | Self::Conflict(_))
    }

    /// Whether it is the database that fails, whatever it was asked for.
    pub fn concerns_all(&self) -> bool {
        self.is_transient() || matches!(self, Self::Full { .. })
    }

    /// Whether trying the same again may help.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. } | Self::Lost { .. } | Self::Unreachable { .. }
        )
    }
}

/// What a test wants to fail.
#[cfg(feature = "testing")]
impl From<crate::failpoint::Failure> for StoreError {
    fn from(failure: crate::failpoint::Failure) -> Self {
        use crate::failpoint::Failure;
        match failure {
            Failure::Passing => Self::Lost {
                source: DieselError::BrokenTransactionManager,
            },
            Failure::Lasting => Self::Full {
                source: DieselError::RollbackTransaction,
            },
        }
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        crate::store::dialect::classify(error)
    }
}
