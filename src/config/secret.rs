//! Settings that are never shown, each in a variable or in a file that a variable names.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::environment::{ConfigError, Environment};
use crate::env_vars::{self as vars, Variable};

pub(super) fn stripe_key(env: &Environment) -> Result<Option<SecretString>, ConfigError> {
    let (value, file) = (&vars::STRIPE_SECRET_KEY, &vars::STRIPE_SECRET_KEY_FILE);
    match (env.get(value), env.get(file)) {
        (Some(_), Some(_)) => Err(ConfigError::TwoSecrets(value.name, file.name)),
        (Some((key, _)), None) => Ok(Some(SecretString::from(key.trim()))),
        (None, Some((path, _))) => secret_in(file.name, Path::new(path)).map(Some),
        (None, None) => Ok(None),
    }
}

/// The secret in a file that a variable names.
pub(super) fn secret_in(variable: &'static str, path: &Path) -> Result<SecretString, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError::SecretFile {
        name: variable,
        path: path.to_owned(),
        reason: e.to_string(),
    })?;
    Ok(SecretString::from(text.trim()))
}

/// A secret, as it is configured. Read only where it is needed: a command that does not
/// need it need not be able to.
#[derive(Debug, Clone)]
pub struct LateSecret {
    names: (&'static str, &'static str),
    value: Option<SecretString>,
    file: Option<PathBuf>,
}

impl LateSecret {
    pub(super) fn of(env: &Environment, value: &Variable, file: &Variable) -> Self {
        let text = |variable| env.get(variable).map(|(text, _)| text.trim());
        Self {
            names: (value.name, file.name),
            value: text(value).map(SecretString::from),
            file: text(file).map(PathBuf::from),
        }
    }

    /// What was set; none where nobody set any.
    pub fn read(&self) -> Result<Option<SecretString>, ConfigError> {
        let (value, file) = self.names;
        match (&self.value, &self.file) {
            (Some(_), Some(_)) => Err(ConfigError::TwoSecrets(value, file)),
            (Some(secret), None) => Ok(Some(secret.clone())),
            (None, Some(path)) => secret_in(file, path).map(Some),
            (None, None) => Ok(None),
        }
    }
}
