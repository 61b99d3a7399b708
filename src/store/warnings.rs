//! What is conspicuous about payouts that are about to be sent, read beside the ledger.

use std::collections::HashMap;
use std::time::Duration;

use diesel::prelude::*;

use crate::model::attempt::AttemptOutcome;
use crate::model::ids::{CreatorId, PayoutId};
use crate::model::payout::{Candidate, PayoutStatus};
use crate::model::schema::{creators, payout_attempts, payouts};
use crate::model::time::Time;
use crate::model::warning::{Warning, WarningKind};
use crate::store::connection::AnyConnection;
use crate::store::dialect::among;
use crate::store::vitals::{USUAL_OVER, usual_in_tx};
use crate::store::{Store, StoreError};

diesel::allow_columns_to_appear_in_same_group_by_clause!(
    payouts::creator_id,
    payout_attempts::destination
);

/// A payment of the same amount to the same creator is worth a word for so long.
const SAME_AMOUNT_WITHIN: Duration = Duration::from_secs(7 * 86_400);

impl Store {
    /// What is conspicuous about these payouts beside what was sent before, in their order.
    /// An amount is when it is further from the usual than `unusual_times` its spread.
    pub fn warnings_of(
        &mut self,
        due: &[Candidate],
        unusual_times: u32,
    ) -> Result<Vec<Warning>, StoreError> {
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        let since = now.minus(SAME_AMOUNT_WITHIN);
        self.read(|conn| {
            let mut paid: Vec<&CreatorId> = due.iter().map(|one| &one.payout.creator_id).collect();
            paid.sort();
            paid.dedup();
            let alike = alike(conn, since, &paid)?;
            let owners = owners(conn, due)?;
            let before = last_destinations(conn, &paid)?;
            let usual = usual_in_tx(conn, &paid, now.minus(USUAL_OVER), now)?;
            let mut warnings = Vec::new();
            for candidate in due {
                let payout = &candidate.payout;
                let destination = candidate.destination.as_deref().unwrap_or_default();
                let mut warn = |kind, other: String| {
                    warnings.push(Warning {
                        kind,
                        payout_id: payout.id.clone(),
                        amount_cents: payout.amount_cents,
                        other,
                    });
                };
                let same = alike.get(&(payout.creator_id.clone(), payout.amount_cents));
                let sent = same.into_iter().flatten().find(|id| **id != payout.id);
                if let Some(other) = sent {
                    warn(WarningKind::SameAmount, other.to_string());
                }
                let owners = owners.get(destination);
                let other = owners
                    .into_iter()
                    .flatten()
                    .find(|id| **id != payout.creator_id);
                if let Some(other) = other {
                    warn(WarningKind::SharedAccount, other.to_string());
                }
                let last = before.get(&payout.creator_id);
                if let Some((_, last)) = last.filter(|(_, last)| last != destination) {
                    warn(WarningKind::DestinationChanged, last.clone());
                }
                let usual = usual.get(&payout.creator_id);
                if let Some(usual) = usual.filter(|u| u.is_far(payout.amount_cents, unusual_times))
                {
                    warn(WarningKind::UnusualAmount, usual.median_cents.to_string());
                }
            }
            Ok(warnings)
        })
    }
}

type Alike = HashMap<(CreatorId, i32), Vec<PayoutId>>;

/// The payouts of these creators that were paid since a moment, or are being sent. Those
/// that are due themselves the plan compares with each other.
fn alike(conn: &mut AnyConnection, since: Time, paid: &[&CreatorId]) -> Result<Alike, StoreError> {
    let was_sent = payouts::status
        .eq(PayoutStatus::Processing)
        .or(payouts::status
            .eq(PayoutStatus::Completed)
            .and(payouts::processed_at.assume_not_null().ge(since)));
    let rows: Vec<(CreatorId, i32, PayoutId)> = payouts::table
        .filter(among(payouts::creator_id, paid))
        .filter(was_sent)
        .order(payouts::id)
        .select((payouts::creator_id, payouts::amount_cents, payouts::id))
        .load(conn)?;
    let mut alike = Alike::new();
    for (creator, cents, id) in rows {
        alike.entry((creator, cents)).or_default().push(id);
    }
    Ok(alike)
}

/// Whose each account is.
fn owners(
    conn: &mut AnyConnection,
    due: &[Candidate],
) -> Result<HashMap<String, Vec<CreatorId>>, StoreError> {
    let mut accounts: Vec<&str> = due
        .iter()
        .filter_map(|one| one.destination.as_deref())
        .collect();
    accounts.sort_unstable();
    accounts.dedup();
    let rows: Vec<(String, CreatorId)> = creators::table
        .filter(creators::stripe_account_id.eq_any(accounts))
        .order(creators::id)
        .select((creators::stripe_account_id.assume_not_null(), creators::id))
        .load(conn)?;
    let mut owners: HashMap<String, Vec<CreatorId>> = HashMap::new();
    for (account, creator) in rows {
        owners.entry(account).or_default().push(creator);
    }
    Ok(owners)
}

/// Where this tool paid each of these creators last, and when.
fn last_destinations(
    conn: &mut AnyConnection,
    paid: &[&CreatorId],
) -> Result<HashMap<CreatorId, (Time, String)>, StoreError> {
    let rows: Vec<(CreatorId, String, Option<Time>)> = payout_attempts::table
        .inner_join(payouts::table.on(payouts::id.eq(payout_attempts::payout_id)))
        .filter(among(payouts::creator_id, paid))
        .filter(payout_attempts::outcome.eq(AttemptOutcome::Paid))
        .group_by((payouts::creator_id, payout_attempts::destination))
        .select((
            payouts::creator_id,
            payout_attempts::destination,
            diesel::dsl::max(payout_attempts::first_sent_at),
        ))
        .load(conn)?;
    let mut last: HashMap<CreatorId, (Time, String)> = HashMap::new();
    for (creator, destination, at) in rows {
        let Some(at) = at else { continue };
        let newer = last.get(&creator).is_none_or(|(before, _)| *before < at);
        if newer {
            last.insert(creator, (at, destination));
        }
    }
    Ok(last)
}
