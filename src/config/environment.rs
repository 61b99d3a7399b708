//! What the process environment and `.env` say, and where a value came from.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
#[cfg(feature = "testing")]
use std::time::Duration;

#[cfg(feature = "testing")]
use super::values::duration;
use crate::env_vars::{self as vars, Variable};

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A flag on the command line.
    Flag,
    /// The process environment.
    Environment,
    /// The file `.env`.
    DotEnv,
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::DotEnv => ".env",
            Self::Default => "default",
        })
    }
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value that does not parse.
    #[error("{name} (from {origin}) is {value}: {reason}")]
    Value {
        /// The variable or flag.
        name: &'static str,
        /// Where it came from.
        origin: Origin,
        /// What it says, or `(secret)`.
        value: String,
        /// Why that cannot be.
        reason: String,
    },
    /// A value that no setting can have.
    #[error("{0} (from environment) is not UTF-8")]
    NotUtf8(&'static str),
    /// The `.env` file does not parse.
    #[error("the file .env cannot be read: {0}")]
    DotEnv(String),
    /// A file that holds a secret.
    #[error("the file {} ({name}) cannot be read: {reason}", path.display())]
    SecretFile {
        /// The variable that names it.
        name: &'static str,
        /// Its path.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// Both ways to give a secret are used.
    #[error("both {0} and {1} are set; use one")]
    TwoSecrets(&'static str, &'static str),
    /// There is nowhere to put the embedded database.
    #[error("no data directory: neither XDG_DATA_HOME nor HOME is set")]
    NoDataDirectory,
}

/// The environment with the `.env` overlay under it. Printing it shows names, no
/// values: some are secrets.
#[derive(Clone, Default)]
pub struct Environment {
    pub(super) process: HashMap<String, String>,
    pub(super) dotenv: HashMap<String, String>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("process", &self.process.keys())
            .field("dotenv", &self.dotenv.keys())
            .finish()
    }
}

impl Environment {
    /// Reads the process environment and `.env` in `folder`.
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        let process = readable(std::env::vars_os())?;
        let path = folder.join(".env");
        let mut dotenv = HashMap::new();
        if path.is_file() {
            // The parser's message may quote a line, and a line may hold a key: its kind is enough.
            for item in
                dotenvy::from_path_iter(&path).map_err(|e| ConfigError::DotEnv(kind_of(&e)))?
            {
                let (key, value) = item.map_err(|e| ConfigError::DotEnv(kind_of(&e)))?;
                dotenv.insert(key, value);
            }
        }
        Ok(Self { process, dotenv })
    }

    /// An environment made of these variables alone, for tests.
    pub fn of(process: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            process: process.into_iter().collect(),
            dotenv: HashMap::new(),
        }
    }

    /// A variable's value, when it is set to something.
    pub fn get(&self, variable: &Variable) -> Option<(&str, Origin)> {
        self.text(variable.name)
    }

    /// Whether `NO_COLOR` or `TERM=dumb` asks for plain output.
    pub fn asks_for_plain_output(&self) -> bool {
        self.text("NO_COLOR").is_some() || self.text("TERM").is_some_and(|(term, _)| term == "dumb")
    }

    /// How long a test lets a request take.
    #[cfg(feature = "testing")]
    pub fn test_timeout(&self) -> Result<Option<Duration>, ConfigError> {
        self.text(vars::TEST_TIMEOUT)
            .map(|(text, origin)| {
                duration(text).map_err(|reason| ConfigError::Value {
                    name: vars::TEST_TIMEOUT,
                    origin,
                    value: format!("{text:?}"),
                    reason,
                })
            })
            .transpose()
    }

    /// The moment a test wants it to be.
    #[cfg(feature = "testing")]
    pub fn test_now(&self) -> Result<Option<crate::model::time::Time>, ConfigError> {
        let Some((text, origin)) = self.text(vars::TEST_NOW) else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|e: chrono::ParseError| ConfigError::Value {
                name: vars::TEST_NOW,
                origin,
                value: format!("{text:?}"),
                reason: e.to_string(),
            })
    }

    /// What a test wants to happen at the failpoints.
    #[cfg(feature = "testing")]
    pub fn test_failpoint(&self) -> Option<(&str, Origin)> {
        self.text(vars::TEST_FAILPOINT)
    }

    pub(super) fn text(&self, name: &str) -> Option<(&str, Origin)> {
        let from = |map: &HashMap<String, String>| map.get(name).is_some_and(|v| !v.is_empty());
        if from(&self.process) {
            self.process
                .get(name)
                .map(|v| (v.as_str(), Origin::Environment))
        } else if from(&self.dotenv) && name != vars::LIVE.name {
            self.dotenv.get(name).map(|v| (v.as_str(), Origin::DotEnv))
        } else {
            None
        }
    }

    pub(super) fn parsed<T>(
        &self,
        variable: &Variable,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<(T, Origin)>, ConfigError> {
        let Some((text, origin)) = self.get(variable) else {
            return Ok(None);
        };
        read(text)
            .map(|value| Some((value, origin)))
            .map_err(|reason| ConfigError::Value {
                name: variable.name,
                origin,
                value: if variable.secret {
                    "(secret)".to_owned()
                } else {
                    format!("{text:?}")
                },
                reason,
            })
    }

    pub(super) fn value<T>(
        &self,
        variable: &Variable,
        default: T,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        Ok(self
            .parsed(variable, read)?
            .map_or(default, |(value, _)| value))
    }
}

/// The variables that are UTF-8. One of ours that is not stops everything: without
/// it another value would hold, such as another database.
pub(super) fn readable(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<HashMap<String, String>, ConfigError> {
    let mut readable = HashMap::new();
    for (name, value) in variables {
        let Ok(name) = name.into_string() else {
            continue;
        };
        if let Ok(value) = value.into_string() {
            readable.insert(name, value);
        } else if let Some(ours) = vars::ALL.iter().find(|ours| ours.name == name) {
            return Err(ConfigError::NotUtf8(ours.name));
        }
    }
    Ok(readable)
}

fn kind_of(error: &dotenvy::Error) -> String {
    match error {
        dotenvy::Error::LineParse(_, at) => {
            format!("a line does not parse (at character {at} of it)")
        }
        dotenvy::Error::Io(e) => e.to_string(),
        _ => "unreadable".to_owned(),
    }
}
