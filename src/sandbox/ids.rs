//! Ids that say where an object is: `tr_1S…` ends in its place in the ledger, so no table from id
//! to object is needed. The part between keeps two sandboxes, two accounts and two modes apart.

use std::fmt;

use serde::{Serialize, Serializer};

/// What an id names, by the prefix Stripe gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Transfer,
    Reversal,
    BalanceTransaction,
    /// The payment that a transfer is on the receiving account.
    DestinationPayment,
    /// What a reversal is on the receiving account.
    PaymentRefund,
    Event,
    Topup,
    Request,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Transfer => "tr_",
            Self::Reversal => "trr_",
            Self::BalanceTransaction => "txn_",
            Self::DestinationPayment => "py_",
            Self::PaymentRefund => "pyr_",
            Self::Event => "evt_",
            Self::Topup => "tu_",
            Self::Request => "req_",
        }
    }
}

/// The digits at the end of an id.
const DIGITS: usize = 10;

/// The id of the object at `place` (counted from 0) among those of its kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Id<'a> {
    pub(super) kind: Kind,
    pub(super) space: &'a str,
    pub(super) place: usize,
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}{:0DIGITS$}",
            self.kind.prefix(),
            self.space,
            self.place + 1
        )
    }
}

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The place that `id` names, if it is an id of this kind and space; whether there is an object at
/// that place is for the caller to see.
pub(super) fn place(kind: Kind, space: &str, id: &str) -> Option<usize> {
    let digits = id.strip_prefix(kind.prefix())?.strip_prefix(space)?;
    if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<usize>().ok()?.checked_sub(1)
}

/// The part of every id that is this sandbox's own: eight letters and digits drawn from `seed`.
pub(super) fn tag(seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..8).map(|_| random.alphanumeric()).collect()
}
