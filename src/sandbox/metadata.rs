//! Metadata: up to 50 pairs of text, kept as the JSON object that answers show.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::error::ApiError;

const PAIRS_MAX: usize = 50;
const KEY_LENGTH_MAX: usize = 40;
const VALUE_LENGTH_MAX: usize = 500;

/// The metadata of one object, in the order in which its pairs were first set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(Box<RawValue>);

/// What a request says about metadata, checked: pairs to set, and keys to delete (empty values).
#[derive(Debug)]
pub(super) enum Change {
    Keep,
    /// `metadata=` with nothing: all pairs go.
    Clear,
    Merge(Vec<(String, String)>),
}

impl Change {
    /// Holds the pairs of a request against Stripe's limits.
    pub(super) fn checked(pairs: Option<Vec<(String, String)>>) -> Result<Self, ApiError> {
        let Some(pairs) = pairs else {
            return Ok(Self::Keep);
        };
        for (key, value) in &pairs {
            let length = key.chars().count();
            if length == 0 {
                return Err(ApiError::param(
                    "parameter_invalid_empty",
                    "metadata",
                    "Metadata keys cannot be empty.",
                ));
            }
            if length > KEY_LENGTH_MAX {
                let message = format!(
                    "Metadata keys can be up to {KEY_LENGTH_MAX} characters long; you passed in a key that is {length} characters long: {key}"
                );
                return Err(ApiError::param(None, "metadata", message));
            }
            let length = value.chars().count();
            if length > VALUE_LENGTH_MAX {
                let message = format!(
                    "Metadata values can have up to {VALUE_LENGTH_MAX} characters, but you passed in a value that is {length} characters."
                );
                return Err(ApiError::param(None, format!("metadata[{key}]"), message));
            }
        }
        // More pairs than an object can hold are refused before anything runs; an update that
        // would leave too many is refused when it runs.
        if pairs.iter().filter(|(_, value)| !value.is_empty()).count() > PAIRS_MAX {
            return Err(too_many());
        }
        Ok(if pairs.is_empty() {
            Self::Clear
        } else {
            Self::Merge(pairs)
        })
    }
}

impl Metadata {
    /// What a new object starts with.
    pub(super) fn new(change: Change) -> Result<Self, ApiError> {
        Self::from_pairs(&merged(Vec::new(), change))
    }

    /// What an object has after an update.
    pub(super) fn changed(&self, change: Change) -> Result<Self, ApiError> {
        Self::from_pairs(&merged(self.pairs(), change))
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<String> {
        self.pairs()
            .into_iter()
            .find_map(|(other, value)| (other == key).then_some(value))
    }

    /// All pairs.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(self.0.get()).unwrap_or_default();
        object
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())))
            .collect()
    }

    fn from_pairs(pairs: &[(String, String)]) -> Result<Self, ApiError> {
        struct Object<'a>(&'a [(String, String)]);
        impl Serialize for Object<'_> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
            }
        }
        if pairs.len() > PAIRS_MAX {
            return Err(too_many());
        }
        Ok(Self(to_raw_value(&Object(pairs))?))
    }
}

fn merged(mut pairs: Vec<(String, String)>, change: Change) -> Vec<(String, String)> {
    let updates = match change {
        Change::Keep => return pairs,
        Change::Clear => return Vec::new(),
        Change::Merge(updates) => updates,
    };
    for (key, value) in updates {
        if value.is_empty() {
            pairs.retain(|(other, _)| *other != key);
        } else if let Some((_, old)) = pairs.iter_mut().find(|(other, _)| *other == key) {
            *old = value;
        } else {
            pairs.push((key, value));
        }
    }
    pairs
}

fn too_many() -> ApiError {
    ApiError::param(
        None,
        "metadata",
        format!("Metadata can have up to {PAIRS_MAX} keys."),
    )
}
