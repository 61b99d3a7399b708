//! Adopting a transfer: recording on the payout it paid what was found at
//! Stripe. `process` and `reconcile` both do it, and only here.
//!
//! Whoever calls has made sure that the transfer is the payout's only one and
//! is what it should be: [`expected_of`] for an attempt, [`fits_row`] for a row
//! that other software sent.

use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::model::money::Currency;
use crate::model::payout::Payout;
use crate::store::adopt::ProvenTransfer;
use crate::store::settle::{Recorded, Resolution, Settlement};
use crate::store::thread::StoreThread;
use crate::store::{RunStamp, StoreError};
use crate::stripe::Transfer;
use crate::stripe::classify::Expected;

/// What a transfer of this attempt must look like.
pub(super) fn expected_of(attempt: &Attempt) -> Expected {
    Expected {
        amount_cents: attempt.amount_cents,
        currency: attempt.currency,
        destination: attempt.destination.clone(),
        livemode: attempt.livemode,
        payout_id: attempt.payout_id.as_str().to_owned(),
    }
}

/// Whether a transfer pays a row of which no attempt is known.
pub(super) fn fits_row(
    payout: &Payout,
    destination: Option<&str>,
    transfer: &Transfer,
    currency: Currency,
    livemode: bool,
) -> bool {
    transfer.amount == i64::from(payout.amount_cents)
        && transfer.currency == currency.as_str()
        && transfer.destination.is_some()
        && transfer.destination.as_deref() == destination
        && transfer.livemode == livemode
}

/// Records the transfer that an attempt made.
pub(super) async fn adopt_for_attempt(
    db: &StoreThread,
    stamp: RunStamp,
    attempt: &Attempt,
    transfer: &Transfer,
) -> Result<Recorded, StoreError> {
    let settlement = Settlement {
        payout_id: attempt.payout_id.clone(),
        attempt: made_by(db, attempt, transfer).await?,
        amount_cents: attempt.amount_cents,
        resolution: Resolution::Paid {
            transfer_id: transfer.id.clone(),
            at: transfer.created,
            adopted: true,
            reversed_cents: transfer.amount_reversed,
        },
        last: None,
        answers: Vec::new(),
    };
    let recorded = db
        .call(move |store| store.attempts_settle(&stamp, &[settlement]))
        .await?
        .pop();
    Ok(match recorded {
        Some(Recorded::Waits(why)) => Recorded::Alarm(format!(
            "payout {} was paid by {}, which could not be recorded yet: {why}; the next run does",
            attempt.payout_id, transfer.id
        )),
        Some(recorded) => recorded,
        None => Recorded::Done,
    })
}

/// Records the transfer of a row without an attempt of its own to blame it on.
pub(super) async fn adopt_for_row(
    db: &StoreThread,
    stamp: RunStamp,
    payout: Payout,
    transfer: &Transfer,
) -> Result<Recorded, StoreError> {
    match proven(transfer) {
        Ok(proven) => {
            db.call(move |store| store.payout_adopt(&stamp, &payout, &proven))
                .await
        }
        Err(reason) => Ok(Recorded::Alarm(format!(
            "transfer {} cannot pay payout {}: {reason}",
            transfer.id, payout.id
        ))),
    }
}

/// A transfer as an attempt may hold it.
///
/// # Errors
/// What about it no payout can have.
pub(super) fn proven(transfer: &Transfer) -> Result<ProvenTransfer, String> {
    let amount_cents = i32::try_from(transfer.amount)
        .ok()
        .filter(|cents| *cents > 0)
        .ok_or_else(|| format!("its amount {} is not one of a payout", transfer.amount))?;
    let currency = transfer
        .currency
        .parse()
        .map_err(|_| format!("it is in {}", transfer.currency))?;
    Ok(ProvenTransfer {
        id: transfer.id.clone(),
        attempt: attempt_said(transfer),
        amount_cents,
        currency,
        destination: transfer.destination.clone().ok_or("it paid no account")?,
        livemode: transfer.livemode,
        at: transfer.created,
        reversed_cents: transfer.amount_reversed,
    })
}

/// The number of the attempt that a transfer names.
pub(super) fn attempt_said(transfer: &Transfer) -> Option<i32> {
    transfer.metadata.get("attempt")?.parse().ok()
}

/// The attempt that made a transfer: the open one, or an older released one if
/// the transfer says so. Metadata can be edited by anybody with access to the
/// dashboard, so the ledger has the last word.
async fn made_by(
    db: &StoreThread,
    attempt: &Attempt,
    transfer: &Transfer,
) -> Result<i32, StoreError> {
    let said = attempt_said(transfer);
    let payout = attempt.payout_id.clone();
    let ledger = db.call(move |store| store.attempts_of(&[payout])).await?;
    let released = ledger
        .iter()
        .find(|row| Some(row.attempt) == said && row.outcome == AttemptOutcome::Released);
    Ok(released.map_or(attempt.attempt, |row| row.attempt))
}
