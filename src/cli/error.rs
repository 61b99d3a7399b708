//! Errors at the edge: what was being done, the causes, a hint, an exit code.

use std::error::Error;

use crate::cli::exit::Exit;
use crate::config::ConfigError;
use crate::ops::doctor::Check;
use crate::ops::out_file::OutFileError;
use crate::output::ui::Ui;
use crate::store::StoreError;

/// What to do where the database takes nothing more.
pub(super) const FULL_HINT: &str = "check free space and the permissions of the database file";

/// An error as a person reads it.
#[derive(Debug)]
pub struct CliError {
    /// What the process ends with.
    pub exit: Exit,
    /// What was being done and to which id; no period.
    message: String,
    /// The causes, outermost first.
    causes: Vec<String>,
    /// What to do.
    hints: Vec<String>,
    /// The reader of our output went away: nothing to tell, nothing wrong.
    pub broken_pipe: bool,
}

impl CliError {
    /// The same as what `doctor` found.
    pub(super) fn into_check(self, name: &'static str) -> Check {
        let mut words = vec![self.message];
        words.extend(self.causes);
        Check::broken(name, words.join(": "), self.hints.join("; "))
    }

    /// An error without causes.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            broken_pipe: false,
        }
    }

    /// An error caused by another.
    pub fn caused(exit: Exit, message: impl Into<String>, cause: &dyn Error) -> Self {
        let mut error = Self::new(exit, message);
        error.push_causes(Some(cause));
        error
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Puts what was being done in front; what stood there becomes the first cause.
    #[must_use]
    pub fn doing(mut self, what: impl Into<String>) -> Self {
        let was = std::mem::replace(&mut self.message, what.into());
        self.causes.insert(0, was);
        self
    }

    /// Adds a cause behind those that are known.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// What was being done and to which id.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn push_causes(&mut self, mut cause: Option<&dyn Error>) {
        while let Some(error) = cause {
            let text = error.to_string();
            // Wrappers often repeat what they wrap.
            if self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            cause = error.source();
        }
    }

    /// Prints `error:`, numbered causes and `hint:` lines.
    pub fn print(&self, ui: &Ui) {
        ui.error(&self.message, &self.causes, &self.hints);
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let hint = match &error {
            ConfigError::NoDataDirectory => Some("set DATABASE_URL".to_owned()),
            _ => None,
        };
        let mut told = Self::new(Exit::CouldNotRun, error.to_string());
        told.hints.extend(hint);
        told
    }
}

impl From<OutFileError> for CliError {
    fn from(error: OutFileError) -> Self {
        let said = error.to_string();
        match error {
            OutFileError::Exists { .. } => Self::new(Exit::Refused, said)
                .hint("name another file, or write over it with --force"),
            OutFileError::NoFile { .. } => Self::new(Exit::Refused, said).hint("name another file"),
            OutFileError::Failed { source, .. } => Self::caused(Exit::CouldNotRun, said, &source),
        }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::Conflict(_) => Exit::Refused,
            StoreError::NotFound | StoreError::Unique { .. } => Exit::Attention,
            StoreError::Stopped | StoreError::Corrupt(_) => Exit::Bug,
            _ => Exit::CouldNotRun,
        };
        let hint = match &error {
            StoreError::Missing { .. } => {
                Some("run `payouts init` to create it, or set DATABASE_URL if it is elsewhere")
            }
            StoreError::PendingMigrations { .. } => Some(
                "run `payouts migrate`, after `payouts migrate --dry-run` if you want to see the SQL first",
            ),
            StoreError::NewerSchema { .. } => {
                Some("use the version of payouts that migrated it, or a newer one")
            }
            StoreError::Unreachable { url, .. } if url.starts_with("sqlite:") => Some(
                "check DATABASE_URL: the file must be a database, and its folder yours to write",
            ),
            StoreError::Unreachable { .. } => {
                Some("check DATABASE_URL and that the server accepts connections")
            }
            StoreError::Pooler => Some(
                "set PAYOUTS_PG_POOLER=transaction, or pgbouncer=true in DATABASE_URL, which is right for every pooler; \
                 or connect to the server itself, as `payouts migrate` must",
            ),
            StoreError::Busy { .. } => {
                Some("another run or program holds a lock; try again when it is done")
            }
            StoreError::Full { .. } => Some(FULL_HINT),
            _ => None,
        };
        let mut told = Self::new(exit, error.to_string());
        told.push_causes(error.source());
        told.hints.extend(hint.map(str::to_owned));
        told
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        let broken_pipe = error.kind() == std::io::ErrorKind::BrokenPipe;
        let exit = if broken_pipe {
            Exit::Done
        } else {
            Exit::CouldNotRun
        };
        Self {
            broken_pipe,
            ..Self::caused(exit, "failed to write the output", &error)
        }
    }
}
