//! API keys: which account and mode a request acts on, and what it may do there.
//!
//! | key | is |
//! |---|---|
//! | `sk_test_…`, `rk_test_…` | good, for the account `acct_sandboxplatform` |
//! | `sk_test_other…`, `rk_test_other…` | good, for another account, `acct_sandboxother` |
//! | `…_test_expired…` | 401 `api_key_expired` |
//! | `…_test_readonly…` | 403 on every POST |
//! | `…_test_noaccess…` | 403 on everything |
//! | `…_test_without_events`, `…_transfers`, `…_balance`, `…_account`, … | restricted: 403 on what is called so |
//! | `sk_live_…`, `rk_live_…` | 401, unless live keys are allowed; then like the above, with books of their own |

use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::error::ApiError;

/// An account of ours and a mode: what has books of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Scope {
    pub(super) account: Account,
    pub(super) livemode: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Account {
    Platform,
    Other,
}

impl Account {
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Platform => "acct_sandboxplatform",
            Self::Other => "acct_sandboxother",
        }
    }

    pub(super) fn find(id: &str) -> Option<Self> {
        [Self::Platform, Self::Other]
            .into_iter()
            .find(|account| account.id() == id)
    }
}

impl Scope {
    /// One letter that tells the ids of the four books apart.
    pub(super) fn letter(self) -> char {
        match (self.account, self.livemode) {
            (Account::Platform, false) => 'p',
            (Account::Platform, true) => 'P',
            (Account::Other, false) => 'q',
            (Account::Other, true) => 'Q',
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Full,
    ReadOnly,
    /// To all but this, as the first word of an endpoint's name.
    Without(&'static str),
    None,
}

/// A key that was accepted.
#[derive(Debug)]
pub(super) struct Credential {
    pub(super) scope: Scope,
    access: Access,
    redacted: String,
}

impl Credential {
    /// Reads the `Authorization` header: `Bearer KEY`, or `Basic` with the key as the user's name.
    pub(super) fn read(header: Option<&str>, allow_live: bool) -> Result<Self, ApiError> {
        let key = header.and_then(secret).ok_or_else(|| {
            ApiError::new(
                401,
                None,
                "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth \
                 (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            )
        })?;
        let (kind, name) = ["sk_test_", "rk_test_", "sk_live_", "rk_live_"]
            .into_iter()
            .find_map(|kind| Some((kind, key.strip_prefix(kind)?)))
            .ok_or_else(|| invalid(&key))?;
        let livemode = kind.ends_with("live_");
        if name.is_empty() || livemode && !allow_live {
            return Err(invalid(&key));
        }
        if name.starts_with("expired") {
            return Err(ApiError::new(
                401,
                "api_key_expired",
                format!("Expired API Key provided: {}", redacted(&key)),
            ));
        }
        let access = if name.starts_with("noaccess") {
            Access::None
        } else if name.starts_with("readonly") {
            Access::ReadOnly
        } else if let Some(lacking) = name.strip_prefix("without_").and_then(resource) {
            Access::Without(lacking)
        } else {
            Access::Full
        };
        let account = if name.starts_with("other") {
            Account::Other
        } else {
            Account::Platform
        };
        Ok(Self {
            scope: Scope { account, livemode },
            access,
            redacted: redacted(&key),
        })
    }

    /// Refuses what the key may not do.
    pub(super) fn permits(&self, endpoint: Endpoint) -> Result<(), ApiError> {
        match self.access {
            Access::Full => Ok(()),
            Access::ReadOnly if !endpoint.writes() => Ok(()),
            Access::Without(lacking) if endpoint.resource() != lacking => Ok(()),
            Access::ReadOnly | Access::Without(_) | Access::None => Err(ApiError::new(
                403,
                None,
                format!(
                    "The provided key '{}' does not have the required permissions for this endpoint on account '{}'.",
                    self.redacted,
                    self.scope.account.id()
                ),
            )),
        }
    }
}

/// What endpoints call so.
fn resource(name: &str) -> Option<&'static str> {
    let mut known = Endpoint::ALL.iter().map(|endpoint| endpoint.resource());
    known.find(|known| *known == name)
}

fn invalid(key: &str) -> ApiError {
    ApiError::new(
        401,
        None,
        format!("Invalid API Key provided: {}", redacted(key)),
    )
}

/// `sk_test_0123456789` → `sk_test_******6789`: enough to tell two keys apart, too little to use one.
fn redacted(key: &str) -> String {
    let letters: Vec<char> = key.chars().collect();
    let tail_from = if letters.len() > 16 {
        letters.len() - 4
    } else {
        letters.len()
    };
    letters
        .iter()
        .enumerate()
        .map(|(index, letter)| {
            if (8..tail_from).contains(&index) {
                '*'
            } else {
                *letter
            }
        })
        .collect()
}

fn secret(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    let rest = rest.trim();
    let key = if scheme.eq_ignore_ascii_case("bearer") {
        rest.to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let decoded = String::from_utf8(base64(rest)?).ok()?;
        decoded
            .split_once(':')
            .map_or(decoded.as_str(), |(user, _)| user)
            .to_owned()
    } else {
        return None;
    };
    (!key.is_empty()).then_some(key)
}

/// Standard Base64, padded or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xFFFF;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xFF).ok()?);
        }
    }
    Some(bytes)
}
