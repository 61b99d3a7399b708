//! The books of a period: walks the payouts that have a place in them, once each,
//! and adds up the lines. Memory does not grow with them.

use crate::model::listing::Total;
use crate::model::reconciliation::{FindingKind, Reconciliation};
use crate::model::report::{BookedPayout, Books, Entry, Period};
use crate::model::time::Time;
use crate::ops::event::Event;
use crate::store::{Store, StoreError};

/// Payouts that are read, and held in memory, at once.
const ROWS_AT_ONCE: i64 = 5_000;

/// Hands on each payout with its line, in the order of their ids, and returns what
/// the lines come to. `told` hears how far it is.
///
/// # Errors
/// What the store reports, or what `line` returns.
pub fn walk<E: From<StoreError>>(
    store: &mut Store,
    period: Period,
    told: &mut dyn FnMut(Event),
    mut line: impl FnMut(&BookedPayout, &Entry) -> Result<(), E>,
) -> Result<Books, E> {
    let mut books = Books::default();
    let mut behind = None;
    let mut payouts = 0;
    loop {
        let part = store.booked_payouts(period, behind.as_ref(), ROWS_AT_ONCE)?;
        for booked in &part {
            if let Some(entry) = Entry::of(booked, period) {
                books.add(booked.payout.amount_cents, &entry);
                line(booked, &entry)?;
            }
        }
        payouts += part.len() as u64;
        told(Event::Reported { payouts });
        let more = i64::try_from(part.len()).is_ok_and(|rows| rows == ROWS_AT_ONCE);
        match part.into_iter().last() {
            Some(last) if more => behind = Some(last.payout.id),
            _ => return Ok(books),
        }
    }
}

/// What a report tells of the day on which it is made, whatever its period.
#[derive(Debug, Clone)]
pub struct KnownNow {
    /// When that is.
    pub as_of: Time,
    /// Whether this database moves real money; none as long as nothing was sent.
    pub livemode: Option<bool>,
    /// Open findings of each kind, the gravest first, and the money at stake.
    pub findings: Vec<(FindingKind, Total)>,
    /// The last comparison with Stripe that ended.
    pub reconciliation: Option<Reconciliation>,
}

/// What is known now.
///
/// # Errors
/// What the store reports.
pub fn known_now(store: &mut Store) -> Result<KnownNow, StoreError> {
    Ok(KnownNow {
        as_of: store.clock().now(),
        livemode: store.stamp()?.map(|stamp| stamp.livemode),
        findings: store.findings_open_by_kind()?,
        reconciliation: store.reconciliation_last()?,
    })
}
