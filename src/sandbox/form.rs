//! Request parameters: `application/x-www-form-urlencoded`, in the query and in the body, nested
//! as `metadata[k]=v`, `expand[]=x` and `created[gte]=1`.
//!
//! Handlers take what they know and then call [`Params::finish`], which refuses the rest, as
//! Stripe does.

use sha2::{Digest, Sha256};

use super::error::ApiError;

/// Name and value pairs in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Adds the pairs of a query or a body; text that is not UTF-8 is replaced, nothing else can
    /// be wrong with a form.
    pub(super) fn read(&mut self, encoded: &[u8]) {
        if let Ok(pairs) = serde_urlencoded::from_bytes::<Vec<(String, String)>>(encoded) {
            self.0.extend(pairs);
        }
    }

    /// A number that two requests share when they mean the same: when each parameter has the same
    /// values in the same order.
    ///
    /// In which order the parameters themselves come does not count: the Stripe CLI sends them in
    /// one drawn by lot. Within `metadata[…]` it does, because Stripe does not say that it does not;
    /// so does whatever else the caller puts in (`context`). A client that resends its stored bytes
    /// never notices.
    pub(super) fn fingerprint(&self, context: &[&str]) -> u64 {
        let mut pairs: Vec<_> = self.0.iter().collect();
        // Stable: what belongs to one parameter stays in its order.
        pairs.sort_by_key(|(name, _)| name.split('[').next());
        let texts = pairs
            .into_iter()
            .flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let mut hash = Sha256::new();
        for text in context.iter().copied().chain(texts) {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        }
        let digest: [u8; 32] = hash.finalize().into();
        digest
            .iter()
            .take(8)
            .fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }

    /// Looks without taking: the last value of a plain parameter.
    pub(super) fn peek(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// Takes a plain parameter; of several the last counts.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let mut last = None;
        self.0.retain_mut(|(other, value)| {
            let take = other == name;
            if take {
                last = Some(std::mem::take(value));
            }
            !take
        });
        last
    }

    /// Takes a plain parameter that cannot be unset, so must not be empty.
    pub(super) fn filled_text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.text(name) {
            Some(value) if value.is_empty() => Err(ApiError::empty(name)),
            value => Ok(value),
        }
    }

    /// Takes a whole number.
    pub(super) fn integer(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.filled_text(name)? else {
            return Ok(None);
        };
        let digits = value.strip_prefix('-').unwrap_or(&value);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match value.parse() {
            Ok(number) if plain => Ok(Some(number)),
            _ => Err(ApiError::integer(name, format!("Invalid integer: {value}"))),
        }
    }

    /// Takes `name[key]=value` pairs. `name=` alone, which unsets all of them, is `Some(empty)`.
    pub(super) fn map(&mut self, name: &str) -> Option<Vec<(String, String)>> {
        let unset = self.text(name).is_some_and(|value| value.is_empty());
        let mut pairs = Vec::new();
        self.0.retain_mut(|(other, value)| {
            let Some(key) = subscript(other, name) else {
                return true;
            };
            pairs.push((key.to_owned(), std::mem::take(value)));
            false
        });
        (unset || !pairs.is_empty()).then_some(pairs)
    }

    /// Takes `name[]=value` and `name[0]=value`.
    pub(super) fn list(&mut self, name: &str) -> Vec<String> {
        let mut values = Vec::new();
        self.0.retain_mut(|(other, value)| {
            let is_item = subscript(other, name)
                .is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()));
            if is_item {
                values.push(std::mem::take(value));
            }
            !is_item
        });
        values
    }

    /// Refuses what no handler took.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        let mut names: Vec<String> = self.0.into_iter().map(|(name, _)| name).collect();
        names.dedup();
        let Some(first) = names.first().cloned() else {
            return Ok(());
        };
        let plural = if names.len() == 1 { "" } else { "s" };
        Err(ApiError::param(
            "parameter_unknown",
            first,
            format!("Received unknown parameter{plural}: {}", names.join(", ")),
        ))
    }
}

/// The `key` of `name[key]`, and nothing deeper.
fn subscript<'a>(full: &'a str, name: &str) -> Option<&'a str> {
    let key = full
        .strip_prefix(name)?
        .strip_prefix('[')?
        .strip_suffix(']')?;
    (!key.contains(['[', ']'])).then_some(key)
}
