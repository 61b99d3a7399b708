//! Identifiers, and how new ones are made.

use std::fmt;
use std::str::FromStr;

use crate::model::text_column;
use crate::model::time::Time;

/// Declares an identifier: a string that cannot be mistaken for another kind.
macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash,
            diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
        )]
        #[diesel(sql_type = diesel::sql_types::Text)]
        pub struct $name(String);

        impl $name {
            /// Takes a text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(Self(text.to_owned()))
            }
        }

        text_column!($name);
    };
}

text_id!(
    /// A payout's primary key: a CUID when made here, anything when made by other software.
    PayoutId
);
text_id!(
    /// A creator's primary key.
    CreatorId
);
text_id!(
    /// A royalty statement's primary key.
    StatementId
);
text_id!(
    /// A run of a command that writes.
    RunId
);
text_id!(
    /// A loaded file.
    BatchId
);

/// Makes CUID-shaped identifiers: `c` and 24 characters of base 36.
///
/// The first eight after the `c` are the milliseconds, the next four a counter,
/// the last twelve (62 bits) from the operating system's random source. So ids
/// made by one maker sort in the order they were made, for up to 1.6 million of
/// them, and rows of a file keep the file's order where their time is the same.
#[derive(Debug)]
pub struct IdMaker {
    millis: i64,
    counter: u32,
}

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes for a new id")]
pub struct NoRandomness(#[source] getrandom::Error);

impl IdMaker {
    /// Ids counted from zero under this moment.
    pub fn new(now: Time) -> Self {
        Self {
            millis: now.millis(),
            counter: 0,
        }
    }

    /// The next id.
    pub fn next_id(&mut self) -> Result<String, NoRandomness> {
        let random = getrandom::u64().map_err(NoRandomness)?;
        let mut id = String::with_capacity(25);
        id.push('c');
        push_base36(&mut id, self.millis.unsigned_abs(), 8);
        push_base36(&mut id, u64::from(self.counter), 4);
        push_base36(&mut id, random, 12);
        self.counter = self.counter.wrapping_add(1);
        Ok(id)
    }
}

/// Appends the last `width` base-36 digits of a number.
fn push_base36(text: &mut String, number: u64, width: u32) {
    for place in (0..width).rev() {
        let digit = (number / 36_u64.pow(place)) % 36;
        text.push(char::from_digit(u32::try_from(digit).unwrap_or(0), 36).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shape_of_a_cuid_and_sort_as_made() {
        let mut maker = IdMaker::new(Time::from_millis(1_790_000_000_000));
        let ids: Vec<String> = (0..5000).map(|_| maker.next_id().unwrap()).collect();
        for id in &ids {
            assert_eq!(id.len(), 25);
            assert!(
                id.starts_with('c') && id.bytes().all(|b| b.is_ascii_alphanumeric()),
                "{id}"
            );
        }
        let mut sorted = ids.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted, ids);
    }
}
