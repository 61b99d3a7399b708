//! What a plan warns of: things that are honest most of the time and a mistake or a theft
//! now and then. Only a person can tell; nothing here keeps a payout from being sent.

use crate::model::ids::PayoutId;
use crate::model::text_enum;

text_enum! {
    /// What is conspicuous about a payout.
    pub enum WarningKind {
        /// The same creator was or is paid the same amount within days.
        SameAmount = "same_amount",
        /// Its Stripe account belongs to another creator too.
        SharedAccount = "shared_account",
        /// The creator's last payment went to another account.
        DestinationChanged = "destination_changed",
        /// It is far from what the creator is usually paid.
        UnusualAmount = "unusual_amount",
    }
}

impl WarningKind {
    /// In words, for many payouts.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::SameAmount => "same creator and amount as another payout within 7 days",
            Self::SharedAccount => "to a Stripe account that belongs to another creator too",
            Self::DestinationChanged => "to another account than the creator's last payment",
            Self::UnusualAmount => "far from what the creator is usually paid",
        }
    }
}

/// One conspicuous payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What is conspicuous.
    pub kind: WarningKind,
    /// About which payout.
    pub payout_id: PayoutId,
    /// Minor units.
    pub amount_cents: i32,
    /// The other payout, the other creator, the account before, or the usual amount in
    /// minor units.
    pub other: String,
}
