//! Transfers that no attempt of this database holds: other software sent them, or
//! the attempt was lost. An attempt is written that holds the transfer, so that the
//! ledger keeps its payout from being sent again.

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::attempt::{Attempt, AttemptOutcome, idempotency_key};
use crate::model::ids::PayoutId;
use crate::model::money::Currency;
use crate::model::payout::Payout;
use crate::model::schema::{payout_attempts, payouts};
use crate::model::time::Time;
use crate::store::complete::{Completed, TransferFact, complete, completed_in_tx};
use crate::store::connection::AnyConnection;
use crate::store::dialect::{self, on_each};
use crate::store::runs::RunStamp;
use crate::store::settle::Recorded;
use crate::store::{Store, StoreError, history, settings};

/// A transfer that Stripe made for a payout, and that no attempt of this
/// database holds: other software sent it, or the attempt was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenTransfer {
    /// `tr_…`.
    pub id: String,
    /// The number of the attempt that made it, if it says one.
    pub attempt: Option<i32>,
    /// Minor units.
    pub amount_cents: i32,
    /// Of the amount.
    pub currency: Currency,
    /// `acct_…` that was paid.
    pub destination: String,
    /// Real money.
    pub livemode: bool,
    /// The transfer's own time.
    pub at: Time,
    /// Of the amount, what was taken back.
    pub reversed_cents: i64,
}

impl Store {
    /// Records the transfer of a payout that other software sent, or whose
    /// attempt this database has lost, with an attempt that holds it.
    pub fn payout_adopt(
        &mut self,
        stamp: &RunStamp,
        payout: &Payout,
        proven: &ProvenTransfer,
    ) -> Result<Recorded, StoreError> {
        let now = self.clock.now();
        let (recorded, heads) = self.write(|conn| {
            let transfer = TransferFact {
                id: &proven.id,
                at: proven.at,
                adopted: true,
                reversed_cents: proven.reversed_cents,
            };
            // Whoever claims it meanwhile waits here, and then finds the attempt.
            dialect::lock_status(conn, &payout.id).optional()?;
            let Some(attempt) = attempt_to_prove(conn, &payout.id, proven)? else {
                return Ok((Recorded::NotOurs, history::HeadsHash::default()));
            };
            let completed = complete(conn, now, &payout.id, payout.amount_cents, &transfer)?;
            if matches!(completed, Completed::Now { .. } | Completed::Before) {
                attempt_prove(conn, stamp, now, &payout.id, attempt, proven)?;
            }
            let mut changes = Vec::new();
            let recorded = completed_in_tx(
                conn,
                now,
                &payout.id,
                None,
                &transfer,
                completed,
                &mut changes,
            )?;
            let heads = history::append_in_tx(conn, stamp, now, changes)?;
            failpoint!("adopt.writing");
            Ok((recorded, heads))
        })?;
        self.heads.merge(heads);
        failpoint!("adopt.committed");
        tracing::info!(
            event = "adopted",
            run_id = stamp.run_id.as_str(),
            payout_id = payout.id.as_str(),
            amount_cents = payout.amount_cents,
            transfer_id = proven.id,
            "a transfer was found for a payout"
        );
        Ok(recorded)
    }
}

/// Writes an attempt that holds a transfer found at Stripe, so that the ledger
/// keeps its payout from being sent again whatever becomes of the row.
pub(super) fn attempt_prove_in_tx(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    payout: &PayoutId,
    proven: &ProvenTransfer,
) -> Result<(), StoreError> {
    match attempt_to_prove(conn, payout, proven)? {
        Some(attempt) => attempt_prove(conn, stamp, now, payout, attempt, proven),
        None => Err(StoreError::Conflict(format!(
            "another attempt of payout {payout} is open or paid"
        ))),
    }
}

/// Writes an attempt that holds a second transfer of a payout, which a person accepts:
/// it counts on the payout's statement from then on. Its number; none where an attempt
/// holds it already, or where no other transfer is known to have paid the payout.
pub(super) fn surplus_keep_in_tx(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    payout: &PayoutId,
    (transfer, cents): (&str, i32),
) -> Result<Option<i32>, StoreError> {
    let Some(row) = payouts::table
        .filter(payouts::id.eq(payout))
        .first::<Payout>(conn)
        .optional()?
    else {
        return Ok(None);
    };
    let ledger: Vec<Attempt> = payout_attempts::table
        .filter(payout_attempts::payout_id.eq(payout))
        .order(payout_attempts::attempt)
        .load(conn)?;
    let of_attempts = ledger.iter().filter_map(|a| a.transfer_id.as_deref());
    let held: Vec<&str> = of_attempts
        .chain(row.stripe_transfer_id.as_deref())
        .collect();
    if held.is_empty() || held.contains(&transfer) {
        return Ok(None);
    }
    let number = ledger
        .last()
        .map_or(0, |last| last.attempt)
        .saturating_add(1);
    let settings = settings::stamp_in_tx(conn)?;
    let currency = settings::currency_in_tx(conn)?.unwrap_or(Currency::USD);
    let surplus = Attempt {
        amount_cents: cents,
        royalty_statement_id: row.royalty_statement_id,
        livemode: settings.as_ref().is_some_and(|stamp| stamp.livemode),
        stripe_account: settings.map(|stamp| stamp.account).unwrap_or_default(),
        outcome: AttemptOutcome::Surplus,
        transfer_id: Some(transfer.to_owned()),
        ..attempt_of_others(payout, number, stamp, currency, now)
    };
    on_each!(conn, c => diesel::insert_into(payout_attempts::table)
        .values(&surplus)
        .execute(c))?;
    Ok(Some(number))
}

/// The number of the attempt that is to hold a transfer: the one it says, unless
/// later ones are known, since the last attempt decides what may follow. None
/// while another one is open or paid.
fn attempt_to_prove(
    conn: &mut AnyConnection,
    payout: &PayoutId,
    proven: &ProvenTransfer,
) -> Result<Option<ToProve>, StoreError> {
    let ledger: Vec<Attempt> = payout_attempts::table
        .filter(payout_attempts::payout_id.eq(payout))
        .order(payout_attempts::attempt)
        .load(conn)?;
    if ledger
        .iter()
        .any(|attempt| attempt.transfer_id.as_ref() == Some(&proven.id))
    {
        return Ok(Some(ToProve::Held));
    }
    if ledger
        .iter()
        .any(|attempt| attempt.outcome.is_open_or_paid())
    {
        return Ok(None);
    }
    let released = ledger.iter().find(|attempt| {
        attempt.outcome == AttemptOutcome::Released && Some(attempt.attempt) == proven.attempt
    });
    if let Some(released) = released {
        return Ok(Some(ToProve::Released(released.attempt)));
    }
    let last = ledger.last().map_or(0, |attempt| attempt.attempt);
    let number = proven
        .attempt
        .filter(|said| *said > last)
        .unwrap_or(last.saturating_add(1));
    Ok(Some(ToProve::New(number)))
}

/// Where a transfer found at Stripe belongs in the ledger.
#[derive(Debug, Clone, Copy)]
enum ToProve {
    /// An attempt holds it already.
    Held,
    /// A person had let go of this attempt, and it made the transfer after all.
    Released(i32),
    /// On an attempt of this number.
    New(i32),
}

fn attempt_prove(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    payout: &PayoutId,
    attempt: ToProve,
    proven: &ProvenTransfer,
) -> Result<(), StoreError> {
    let number = match attempt {
        ToProve::Held => return Ok(()),
        ToProve::Released(number) => {
            let released = payout_attempts::table
                .filter(payout_attempts::payout_id.eq(payout))
                .filter(payout_attempts::attempt.eq(number));
            diesel::update(released)
                .set((
                    payout_attempts::outcome.eq(AttemptOutcome::Paid),
                    payout_attempts::settled_at.eq(now),
                    payout_attempts::transfer_id.eq(&proven.id),
                ))
                .execute(conn)?;
            return Ok(());
        }
        ToProve::New(number) => number,
    };
    let account = settings::stamp_in_tx(conn)?.map(|stamp| stamp.account);
    let row = Attempt {
        amount_cents: proven.amount_cents,
        destination: proven.destination.clone(),
        stripe_account: account.unwrap_or_default(),
        livemode: proven.livemode,
        outcome: AttemptOutcome::Paid,
        first_sent_at: proven.at,
        transfer_id: Some(proven.id.clone()),
        ..attempt_of_others(payout, number, stamp, proven.currency, now)
    };
    on_each!(conn, c => diesel::insert_into(payout_attempts::table)
        .values(&row)
        .execute(c))?;
    Ok(())
}

/// An attempt that stands for what somebody else sent: of nothing, to nobody, and
/// settled now. Whoever writes it says what is known of it.
pub(super) fn attempt_of_others(
    payout: &PayoutId,
    number: i32,
    stamp: &RunStamp,
    currency: Currency,
    now: Time,
) -> Attempt {
    Attempt {
        payout_id: payout.clone(),
        attempt: number,
        idempotency_key: idempotency_key(payout, number),
        // What was sent is not known, and is never sent again.
        body: String::new(),
        amount_cents: 0,
        currency,
        destination: String::new(),
        transfer_group: payout.as_str().to_owned(),
        royalty_statement_id: None,
        stripe_account: String::new(),
        livemode: false,
        api_version: String::new(),
        run_id: stamp.run_id.clone(),
        outcome: AttemptOutcome::Unknown,
        created_at: now,
        first_sent_at: now,
        last_sent_at: None,
        send_count: 0,
        stored_error: false,
        settled_at: Some(now),
        http_status: None,
        error_type: None,
        error_code: None,
        error_message: None,
        request_id: None,
        replayed: false,
        transfer_id: None,
    }
}
