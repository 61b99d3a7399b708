//! Why a run that asks Stripe could not go on: the same reasons for all of them.

use crate::model::mode::mode;
use crate::model::time::Time;
use crate::ops::table_file::FileError;
use crate::ops::transfers::ReadFailed;
use crate::store::{Stamp, StoreError};
use crate::stripe::api::ReadError;

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stripe is to be asked, and there is no key to ask it with.
    #[error("there is no Stripe key")]
    NoKey,
    /// A read at Stripe.
    #[error("failed to {doing}")]
    Stripe {
        /// What was being done.
        doing: &'static str,
        /// What came back.
        #[source]
        source: ReadError,
    },
    /// The key belongs to another account or mode than the database.
    #[error("this database pays from Stripe account {}, in {} mode; the key belongs to {account}, in {} mode", stamp.account, mode(stamp.livemode), mode(*livemode))]
    OtherAccount {
        /// What the database is stamped with.
        stamp: Stamp,
        /// The key's account.
        account: String,
        /// The key's mode.
        livemode: bool,
    },
    /// A report is not of the key's account.
    #[error(
        "Stripe does not know the {what} of line {line} of the file: it is of another account, or of the other mode"
    )]
    OtherReport {
        /// What it does not know.
        what: String,
        /// Where it stands.
        line: u64,
    },
    /// A report cannot be read any more.
    #[error(transparent)]
    File(#[from] FileError),
    /// The rollback guard.
    #[error("Stripe holds {} that this database made or must know, and does not: {}", plural(transfers.len(), "transfer"), brief_list(transfers))]
    Forgotten {
        /// Their ids.
        transfers: Vec<String>,
    },
    /// Too many transfers of other software to look through.
    #[error(
        "Stripe holds more than {foreign_max} transfers of other software since {since}: too many to check before sending"
    )]
    TooManyTransfers {
        /// The bound.
        foreign_max: usize,
        /// Where the check began.
        since: Time,
    },
    /// The clocks are too far apart.
    #[error(
        "this machine's clock is {minutes} minutes away from Stripe's; nothing is sent before it is set"
    )]
    Skew {
        /// Absolute difference.
        minutes: i64,
    },
}

impl From<ReadFailed> for RunError {
    fn from(ReadFailed { doing, source }: ReadFailed) -> Self {
        Self::Stripe { doing, source }
    }
}

pub(in crate::ops) fn plural(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}

fn brief_list(ids: &[String]) -> String {
    let shown = ids.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    if ids.len() > 3 {
        format!("{shown}, …")
    } else {
        shown
    }
}
