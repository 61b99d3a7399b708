//! What events say of creators' Stripe accounts, and what a person may do about it.
//! Nothing is held by itself: a refused transfer costs nothing, and a person may know
//! more than Stripe.

use crate::model::ids::CreatorId;
use crate::store::events::CreatorAccount;
use crate::store::{Store, StoreError};

/// How the reason of a hold begins that was set because of what Stripe says. Only
/// such a hold is suggested to be released: others have other reasons.
pub const REASON_PREFIX: &str = "stripe: ";

/// What may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// The account cannot take transfers, and its creator is not held.
    Hold,
    /// It can again, and its creator is still held for that.
    Release,
}

impl Advice {
    /// The fixed word that scripts read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
        }
    }
}

/// A suggestion about one creator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What may be done.
    pub advice: Advice,
    /// Whom it is about, and what Stripe says of their account.
    pub of: CreatorAccount,
}

impl Suggestion {
    /// The command that does it.
    pub fn command(&self) -> String {
        let creator = quoted(self.of.creator_id.as_str());
        match self.advice {
            Advice::Hold => format!(
                "payouts hold --creator {creator} --reason {}",
                quoted(&format!("{REASON_PREFIX}{}", self.of.state.in_words()))
            ),
            Advice::Release => format!("payouts release --creator {creator}"),
        }
    }

    /// What Stripe says and what may be done, in one line.
    pub fn in_words(&self) -> String {
        let of = &self.of;
        format!(
            "creator {}, {}: {}; suggested: {}",
            of.creator_id,
            of.state.stripe_account,
            of.state.in_words(),
            self.command()
        )
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What may be done about creators: about all of them, or about these.
///
/// # Errors
/// What the store reports.
pub fn suggestions(
    store: &mut Store,
    only: Option<&[CreatorId]>,
) -> Result<Vec<Suggestion>, StoreError> {
    let accounts = store.creator_accounts(only)?;
    Ok(accounts.into_iter().filter_map(suggested).collect())
}

fn suggested(of: CreatorAccount) -> Option<Suggestion> {
    let advice = match (&of.hold, of.state.is_active()) {
        (None, false) => Advice::Hold,
        (Some(hold), true) if hold.reason.starts_with(REASON_PREFIX) => Advice::Release,
        _ => return None,
    };
    Some(Suggestion { advice, of })
}
