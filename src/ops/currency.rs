//! Which currency amounts are in: one for the whole database, because the
//! payouts table has no column for it.

use crate::model::money::Currency;
use crate::store::{Store, StoreError};

/// Why no amount may be written.
#[derive(Debug, thiserror::Error)]
pub enum CurrencyError {
    /// The database pays another one.
    #[error("this database pays in {}, not in {}", stamped.upper(), said.upper())]
    Other {
        /// What it was stamped with.
        stamped: Currency,
        /// What the configuration says.
        said: Currency,
    },
    /// There are rows whose currency nobody here knows.
    #[error(
        "the payouts table was there before payouts and holds rows, and nobody said in which currency"
    )]
    Unsaid,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The currency to read and write amounts in: the stamp, else what the
/// configuration says, else US dollars. Stamps nothing.
pub fn settle(store: &mut Store, said: Option<Currency>) -> Result<Currency, CurrencyError> {
    match (store.currency()?, said) {
        (Some(stamped), Some(said)) if stamped != said => {
            Err(CurrencyError::Other { stamped, said })
        }
        (Some(stamped), _) => Ok(stamped),
        (None, Some(said)) => Ok(said),
        (None, None) if store.has_foreign_payouts()? => Err(CurrencyError::Unsaid),
        (None, None) => Ok(Currency::USD),
    }
}
