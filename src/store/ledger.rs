//! What this database holds of a transfer or of a payout: rows, attempts, what was
//! taken back, and whether a run is at work on it. Read in pages, so that a comparison
//! needs the memory of one page.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use diesel::prelude::*;

use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::model::ids::{CreatorId, PayoutId, RunId};
use crate::model::money::Currency;
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::schema::{creators, payout_attempts, payouts};
use crate::model::time::{Span, Time};
use crate::store::connection::AnyConnection;
use crate::store::dialect::{self, IDS_MAX};
use crate::store::findings::open_about_in_tx;
use crate::store::runs::has_ended;
use crate::store::{Store, StoreError, reversals};

/// A transfer, by what leads from it to a payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferKey {
    /// `tr_…`.
    pub id: String,
    /// The payout it names, by metadata or group.
    pub named: Option<PayoutId>,
    /// `acct_…` that it paid.
    pub destination: Option<String>,
}

/// What this database holds of one payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Which.
    pub id: PayoutId,
    /// Its row; none when it is gone.
    pub payout: Option<Payout>,
    /// The Stripe account its creator has now.
    pub destination: Option<String>,
    /// Its attempts, in order.
    pub attempts: Vec<Attempt>,
    /// A run that lives is working on it at this moment.
    pub busy: bool,
}

/// What this database holds of one transfer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransferLedger {
    /// The payouts that hold it as theirs: one, if all is well.
    pub holders: Vec<LedgerEntry>,
    /// The payout it names, when that is none of the holders.
    pub named: Option<LedgerEntry>,
    /// What is kept as taken back of it, minor units.
    pub reversed_cents: i64,
    /// Whose account it paid, as the accounts are now. Read only where a holder has no
    /// attempt, which would say it better.
    pub paid_to: Option<CreatorId>,
}

/// A transfer that one payout holds, by its row and by the one attempt that is paid
/// with it: how all but a few are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainlyHeld {
    /// The payout.
    pub payout_id: PayoutId,
    /// Of the row, minor units.
    pub amount_cents: i32,
    /// When the row says that it was paid, else when it was created.
    pub paid_at: Time,
    /// The attempt's number.
    pub attempt: i32,
    /// Of the attempt, minor units.
    pub attempt_cents: i32,
    /// Of the attempt.
    pub currency: Currency,
    /// `acct_…` that the attempt paid.
    pub destination: String,
    /// Of the attempt: real money.
    pub livemode: bool,
    /// When the attempt was first sent.
    pub first_sent_at: Time,
}

/// What a glance at the ledger shows of some transfers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Glance {
    /// Those held plainly, by their ids. Of any other, a glance says nothing.
    pub plain: HashMap<String, PlainlyHeld>,
    /// Those about which a finding is open.
    pub found: HashSet<String>,
}

/// A transfer as a row or an attempt of the period holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The payout.
    pub payout_id: PayoutId,
    /// The attempt's number; none for the row.
    pub attempt: Option<i32>,
    /// `tr_…`, or what somebody wrote there.
    pub transfer_id: String,
}

/// Where a page of [`Hold`]s ended: rows come first, then attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldsAfter {
    /// Behind the row of this payout.
    Row(PayoutId),
    /// Behind all rows.
    Rows,
    /// Behind this attempt.
    Attempt(PayoutId, i32),
}

/// Rows read at once.
const PAGE: i64 = 1000;

impl Store {
    /// Which of these transfers are held as all should be, and about which something
    /// was found before: two queries for a page.
    pub fn ledger_glance(&mut self, transfers: &[String]) -> Result<Glance, StoreError> {
        use payout_attempts as a;
        let mut glance = Glance::default();
        for chunk in transfers.chunks(IDS_MAX) {
            let (rows, found) = self.read(|conn| {
                let rows: Vec<PlainRow> = a::table
                    .left_join(payouts::table.on(payouts::id.eq(a::payout_id)))
                    .filter(a::transfer_id.assume_not_null().eq_any(chunk))
                    .select((
                        (
                            a::transfer_id.assume_not_null(),
                            a::payout_id,
                            a::attempt,
                            a::outcome,
                            a::amount_cents,
                            a::currency,
                            a::destination,
                            a::livemode,
                            a::first_sent_at,
                        ),
                        (
                            payouts::status,
                            payouts::stripe_transfer_id,
                            payouts::amount_cents,
                            payouts::processed_at,
                            payouts::created_at,
                        )
                            .nullable(),
                    ))
                    .load(conn)?;
                Ok((rows, open_about_in_tx(conn, chunk)?))
            })?;
            glance.found.extend(found);
            let mut twice = HashSet::new();
            for (attempt, row) in rows {
                let transfer = attempt.0.clone();
                if glance.plain.contains_key(&transfer) || !twice.insert(transfer.clone()) {
                    glance.plain.remove(&transfer);
                    continue;
                }
                if let Some(held) = plainly_held(attempt, row) {
                    glance.plain.insert(transfer, held);
                }
            }
        }
        Ok(glance)
    }

    /// What this database holds of each transfer, in their order.
    pub fn ledger_of(
        &mut self,
        keys: &[TransferKey],
        lease: Duration,
    ) -> Result<Vec<TransferLedger>, StoreError> {
        let now = self.clock.now();
        let pooled = self.pooled();
        self.read(|conn| {
            let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
            let holders = holders_of(conn, &ids)?;
            let mut wanted: Vec<&PayoutId> = holders.values().flatten().collect();
            wanted.extend(keys.iter().filter_map(|key| key.named.as_ref()));
            let entries = entries_in_tx(conn, pooled, &wanted, lease, now)?;
            let kept = reversals::of_transfers_in_tx(conn, &ids)?;
            let held_by = |key: &TransferKey| holders.get(&key.id).map_or(&[][..], Vec::as_slice);
            let by_a_row_alone = |key: &&TransferKey| {
                let mut entries = held_by(key).iter().filter_map(|id| entries.get(id));
                entries.any(|entry| entry.attempts.is_empty())
            };
            let told_by_rows = keys.iter().filter(by_a_row_alone);
            let accounts: Vec<&str> = told_by_rows
                .filter_map(|key| key.destination.as_deref())
                .collect();
            let creators = creators_with(conn, &accounts)?;
            Ok(keys
                .iter()
                .map(|key| {
                    let held_by = held_by(key);
                    TransferLedger {
                        holders: held_by
                            .iter()
                            .filter_map(|id| entries.get(id).cloned())
                            .collect(),
                        named: key
                            .named
                            .as_ref()
                            .filter(|named| !held_by.contains(named))
                            .and_then(|named| entries.get(named).cloned()),
                        reversed_cents: kept.get(&key.id).copied().unwrap_or(0),
                        paid_to: key
                            .destination
                            .as_ref()
                            .and_then(|account| creators.get(account).cloned()),
                    }
                })
                .collect())
        })
    }

    /// What this database holds of these payouts; those it has never heard of are missing.
    pub fn ledger_entries(
        &mut self,
        ids: &[PayoutId],
        lease: Duration,
    ) -> Result<HashMap<PayoutId, LedgerEntry>, StoreError> {
        let now = self.clock.now();
        let pooled = self.pooled();
        let ids: Vec<&PayoutId> = ids.iter().collect();
        self.read(|conn| entries_in_tx(conn, pooled, &ids, lease, now))
    }

    /// A page of the payouts that bear no transfer's id although they may have
    /// one, whenever they were created: being processed, or marked as paid
    /// without saying by what. In the order of their ids, behind `after`.
    pub fn payouts_without_transfer(
        &mut self,
        after: Option<&PayoutId>,
    ) -> Result<Vec<PayoutId>, StoreError> {
        let paid_by_nothing = payouts::status
            .eq(PayoutStatus::Completed)
            .and(payouts::stripe_transfer_id.is_null());
        let mut query = payouts::table
            .filter(
                payouts::status
                    .eq(PayoutStatus::Processing)
                    .or(paid_by_nothing),
            )
            .select(payouts::id)
            .order(payouts::id)
            .limit(PAGE)
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(payouts::id.gt(after));
        }
        self.read(|conn| Ok(query.load(conn)?))
    }

    /// A page of the payouts with an attempt nobody knows the outcome of,
    /// whether or not their rows are still there, behind `after`.
    pub fn payouts_unresolved(
        &mut self,
        after: Option<&PayoutId>,
    ) -> Result<Vec<PayoutId>, StoreError> {
        let mut query = payout_attempts::table
            .filter(dialect::unresolved())
            .select(payout_attempts::payout_id)
            .order(payout_attempts::payout_id)
            .limit(PAGE)
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(payout_attempts::payout_id.gt(after));
        }
        self.read(|conn| Ok(query.load(conn)?))
    }

    /// A page of the transfers that payouts of the period hold, on the row or on an
    /// attempt, and where the next page begins; none behind the last.
    pub fn holds_in(
        &mut self,
        period: Span,
        after: Option<&HoldsAfter>,
    ) -> Result<(Vec<Hold>, Option<HoldsAfter>), StoreError> {
        let (page, next) = match after {
            None | Some(HoldsAfter::Row(_)) => {
                let behind = match after {
                    Some(HoldsAfter::Row(payout)) => Some(payout),
                    _ => None,
                };
                let page = self.read(|conn| row_holds(conn, period, behind))?;
                let last = page.last().map(|hold| hold.payout_id.clone());
                (page, last.map_or(HoldsAfter::Rows, HoldsAfter::Row))
            }
            Some(HoldsAfter::Rows) => {
                let page = self.read(|conn| attempt_holds(conn, period, None))?;
                let Some(next) = page.last().and_then(behind_attempt) else {
                    return Ok((page, None));
                };
                (page, next)
            }
            Some(HoldsAfter::Attempt(payout, attempt)) => {
                let page =
                    self.read(|conn| attempt_holds(conn, period, Some((payout, *attempt))))?;
                let Some(next) = page.last().and_then(behind_attempt) else {
                    return Ok((page, None));
                };
                (page, next)
            }
        };
        Ok((page, Some(next)))
    }
}

fn behind_attempt(hold: &Hold) -> Option<HoldsAfter> {
    let attempt = hold.attempt?;
    Some(HoldsAfter::Attempt(hold.payout_id.clone(), attempt))
}

type OfAttempt = (
    String,
    PayoutId,
    i32,
    AttemptOutcome,
    i32,
    Currency,
    String,
    bool,
    Time,
);
type OfRow = (PayoutStatus, Option<String>, i32, Option<Time>, Time);
type PlainRow = (OfAttempt, Option<OfRow>);

/// A transfer's one attempt and its payout's row, where both hold it as paid.
fn plainly_held(attempt: OfAttempt, row: Option<OfRow>) -> Option<PlainlyHeld> {
    let (
        transfer,
        payout_id,
        number,
        outcome,
        attempt_cents,
        currency,
        destination,
        livemode,
        first_sent_at,
    ) = attempt;
    let (status, held, amount_cents, processed_at, created_at) = row?;
    let plain = outcome == AttemptOutcome::Paid
        && status == PayoutStatus::Completed
        && held.as_ref() == Some(&transfer);
    plain.then_some(PlainlyHeld {
        payout_id,
        amount_cents,
        paid_at: processed_at.unwrap_or(created_at),
        attempt: number,
        attempt_cents,
        currency,
        destination,
        livemode,
        first_sent_at,
    })
}

fn row_holds(
    conn: &mut AnyConnection,
    period: Span,
    after: Option<&PayoutId>,
) -> Result<Vec<Hold>, StoreError> {
    let mut query = payouts::table
        .filter(payouts::stripe_transfer_id.is_not_null())
        .select((payouts::id, payouts::stripe_transfer_id.assume_not_null()))
        .order(payouts::id)
        .limit(PAGE)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(payouts::id.gt(after));
    }
    // A row that other software marked may lack the moment; then its creation counts.
    if let Some(from) = period.from {
        query = query.filter(
            payouts::processed_at
                .assume_not_null()
                .ge(from)
                .or(payouts::processed_at
                    .is_null()
                    .and(payouts::created_at.ge(from))),
        );
    }
    if let Some(until) = period.until {
        query = query.filter(
            payouts::processed_at
                .assume_not_null()
                .lt(until)
                .or(payouts::processed_at
                    .is_null()
                    .and(payouts::created_at.lt(until))),
        );
    }
    let rows: Vec<(PayoutId, String)> = query.load(conn)?;
    let hold = |(payout_id, transfer_id)| Hold {
        payout_id,
        attempt: None,
        transfer_id,
    };
    Ok(rows.into_iter().map(hold).collect())
}

fn attempt_holds(
    conn: &mut AnyConnection,
    period: Span,
    after: Option<(&PayoutId, i32)>,
) -> Result<Vec<Hold>, StoreError> {
    use payout_attempts as a;
    let mut query = a::table
        .filter(a::transfer_id.is_not_null())
        .select((a::payout_id, a::attempt, a::transfer_id.assume_not_null()))
        .order((a::payout_id, a::attempt))
        .limit(PAGE)
        .into_boxed();
    if let Some((payout, attempt)) = after {
        // A range of the key first, so that its index finds the place.
        query = query
            .filter(a::payout_id.ge(payout))
            .filter(a::payout_id.gt(payout).or(a::attempt.gt(attempt)));
    }
    if let Some(from) = period.from {
        query = query.filter(a::first_sent_at.ge(from));
    }
    if let Some(until) = period.until {
        query = query.filter(a::first_sent_at.lt(until));
    }
    let rows: Vec<(PayoutId, i32, String)> = query.load(conn)?;
    let hold = |(payout_id, attempt, transfer_id)| Hold {
        payout_id,
        attempt: Some(attempt),
        transfer_id,
    };
    Ok(rows.into_iter().map(hold).collect())
}

/// Whose accounts these are now.
fn creators_with(
    conn: &mut AnyConnection,
    accounts: &[&str],
) -> Result<HashMap<String, CreatorId>, StoreError> {
    let mut found = HashMap::new();
    for chunk in accounts.chunks(IDS_MAX) {
        let rows: Vec<(String, CreatorId)> = creators::table
            .filter(
                creators::stripe_account_id
                    .assume_not_null()
                    .eq_any(chunk.iter().copied()),
            )
            .select((creators::stripe_account_id.assume_not_null(), creators::id))
            .load(conn)?;
        found.extend(rows);
    }
    Ok(found)
}

/// The payouts that hold each of these transfers, by an attempt or by their row.
pub(super) fn holders_of(
    conn: &mut AnyConnection,
    transfers: &[&str],
) -> Result<HashMap<String, Vec<PayoutId>>, StoreError> {
    let mut holders: HashMap<String, Vec<PayoutId>> = HashMap::new();
    for chunk in transfers.chunks(IDS_MAX) {
        let mut found: Vec<(String, PayoutId)> = payout_attempts::table
            .filter(
                payout_attempts::transfer_id
                    .assume_not_null()
                    .eq_any(chunk.iter().copied()),
            )
            .select((
                payout_attempts::transfer_id.assume_not_null(),
                payout_attempts::payout_id,
            ))
            .load(conn)?;
        found.extend(
            payouts::table
                .filter(
                    payouts::stripe_transfer_id
                        .assume_not_null()
                        .eq_any(chunk.iter().copied()),
                )
                .select((payouts::stripe_transfer_id.assume_not_null(), payouts::id))
                .load::<(String, PayoutId)>(conn)?,
        );
        for (transfer, payout) in found {
            let held_by = holders.entry(transfer).or_default();
            if !held_by.contains(&payout) {
                held_by.push(payout);
            }
        }
    }
    Ok(holders)
}

/// What is known of some payouts. Those without a row and without an attempt are missing.
fn entries_in_tx(
    conn: &mut AnyConnection,
    pooled: bool,
    ids: &[&PayoutId],
    lease: Duration,
    now: Time,
) -> Result<HashMap<PayoutId, LedgerEntry>, StoreError> {
    let mut entries: HashMap<PayoutId, LedgerEntry> = HashMap::new();
    let empty = |id: &PayoutId| LedgerEntry {
        id: id.clone(),
        payout: None,
        destination: None,
        attempts: Vec::new(),
        busy: false,
    };
    for chunk in ids.chunks(IDS_MAX) {
        let rows: Vec<(Payout, Option<String>)> = payouts::table
            .left_join(creators::table)
            .filter(payouts::id.eq_any(chunk.iter().copied()))
            .select((Payout::as_select(), creators::stripe_account_id.nullable()))
            .load(conn)?;
        for (payout, destination) in rows {
            let entry = entries
                .entry(payout.id.clone())
                .or_insert_with(|| empty(&payout.id));
            entry.payout = Some(payout);
            entry.destination = destination;
        }
        let attempts: Vec<Attempt> = payout_attempts::table
            .filter(payout_attempts::payout_id.eq_any(chunk.iter().copied()))
            .order((payout_attempts::payout_id, payout_attempts::attempt))
            .load(conn)?;
        for attempt in attempts {
            entries
                .entry(attempt.payout_id.clone())
                .or_insert_with(|| empty(&attempt.payout_id))
                .attempts
                .push(attempt);
        }
    }
    let mut ended: HashMap<RunId, bool> = HashMap::new();
    for entry in entries.values_mut() {
        let open = entry.attempts.iter().find(|a| a.outcome.is_unresolved());
        if let Some(open) = open {
            let over = match ended.get(&open.run_id) {
                Some(over) => *over,
                None => has_ended(conn, pooled, &open.run_id, lease, now)?,
            };
            ended.insert(open.run_id.clone(), over);
            entry.busy = !over;
        }
    }
    Ok(entries)
}
