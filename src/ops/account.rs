//! Whose key it is, and how far Stripe's clock is from ours: what every run asks first.

use crate::model::time::{Clock, Time};
use crate::ops::event::Event;
use crate::ops::run_error::RunError;
use crate::ops::transfers::TransferReader;
use crate::store::thread::StoreThread;
use crate::store::{Stamp, Store};

/// From this difference between the clocks on, every run warns.
pub(crate) const SKEW_WARN_MILLIS: i64 = 30_000;
/// From this difference on, nothing is sent.
const SKEW_REFUSE_MILLIS: i64 = 30 * 60_000;

/// The account the key belongs to, and Stripe's clock.
///
/// # Errors
/// When the account or the mode is not the one this database is stamped with.
pub(in crate::ops) async fn account_of_this_database(
    db: &StoreThread,
    reader: &TransferReader,
    livemode: bool,
) -> Result<(String, Option<Time>), RunError> {
    let stamp = db.call(Store::stamp).await?;
    account_of_stamp(stamp, reader, livemode).await
}

/// The same, where the stamp was read before.
///
/// # Errors
/// When the account or the mode is not the one of the stamp.
pub(in crate::ops) async fn account_of_stamp(
    stamp: Option<Stamp>,
    reader: &TransferReader,
    livemode: bool,
) -> Result<(String, Option<Time>), RunError> {
    let (account, date) = reader.account().await?;
    match stamp {
        Some(stamp) if stamp.account != account || stamp.livemode != livemode => {
            Err(RunError::OtherAccount {
                stamp,
                account,
                livemode,
            })
        }
        _ => Ok((account, date)),
    }
}

/// How far Stripe's clock is ahead of ours, milliseconds. Its `Date` has whole
/// seconds, so less than a second means nothing.
pub(in crate::ops) fn skew(
    clock: &Clock,
    date: Option<Time>,
    events: &mut dyn FnMut(Event),
) -> Result<i64, RunError> {
    let Some(date) = date else { return Ok(0) };
    let ahead = date.millis_since(clock.now());
    if ahead.abs() >= SKEW_REFUSE_MILLIS {
        return Err(RunError::Skew {
            minutes: ahead.abs() / 60_000,
        });
    }
    if ahead.abs() >= SKEW_WARN_MILLIS {
        events(Event::Warning(format!(
            "this machine's clock is {} seconds {} Stripe's",
            ahead.abs() / 1000,
            if ahead > 0 { "behind" } else { "ahead of" }
        )));
    }
    Ok(if ahead.abs() < 1000 { 0 } else { ahead })
}
