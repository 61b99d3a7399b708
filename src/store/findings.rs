//! What a comparison with Stripe, or an event, found: kept under an id made from what
//! it is about, settled when it is repaired, gone, or accepted by a person.

use std::collections::{BTreeMap, HashMap, HashSet};

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::ids::{PayoutId, RunId};
use crate::model::reconciliation::{Discrepancy, Finding, FindingKind, FindingState};
use crate::model::schema::{payout_findings as findings, payouts};
use crate::model::standing::FoundPayment;
use crate::model::time::Time;
use crate::store::adopt::surplus_keep_in_tx;
use crate::store::connection::AnyConnection;
use crate::store::dialect::{IDS_MAX, on_each};
use crate::store::restore::{double_in_tx, loaded_again, origin_keep_in_tx, status_if_sendable};
use crate::store::runs::RunStamp;
use crate::store::{Store, StoreError};

/// Why a finding was settled that nobody repaired.
const GONE: &str = "not there any more";

impl Store {
    /// Keeps what was seen of some transfers: new findings, and those known
    /// already seen again. An accepted one stays accepted as long as it says the
    /// same. Open findings about the same transfers which were not seen this time
    /// are gone: they become fixed.
    pub fn findings_see(
        &mut self,
        stamp: &RunStamp,
        transfers: &[String],
        seen: &[Discrepancy],
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            // In one order for everybody, so that two who compare the same wait and never deadlock.
            let mut touched: BTreeMap<String, Option<&Discrepancy>> = BTreeMap::new();
            for chunk in transfers.chunks(IDS_MAX) {
                let open: Vec<String> = findings::table
                    .filter(findings::state.eq(FindingState::Open))
                    .filter(findings::transfer_id.assume_not_null().eq_any(chunk))
                    .select(findings::id)
                    .load(conn)?;
                touched.extend(open.into_iter().map(|id| (id, None)));
            }
            touched.extend(seen.iter().map(|seen| (seen.id(), Some(seen))));
            for (id, seen) in &touched {
                match seen {
                    Some(discrepancy) => see_in_tx(conn, stamp, now, discrepancy, id)?,
                    None => settle_in_tx(conn, stamp, now, id, FindingState::Fixed, GONE)?,
                }
            }
            Ok(())
        })
    }

    /// Settles the open findings that name no transfer and that nobody has seen
    /// since `begun`, when this run began to look for all of them but those of
    /// `not_looked_for`. What a run beside it has seen meanwhile is not gone.
    pub fn findings_gone(
        &mut self,
        stamp: &RunStamp,
        begun: Time,
        not_looked_for: &[FindingKind],
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            diesel::update(
                findings::table
                    .filter(findings::state.eq(FindingState::Open))
                    .filter(findings::transfer_id.is_null())
                    .filter(findings::seen_at.lt(begun))
                    .filter(findings::kind.ne_all(not_looked_for)),
            )
            .set((
                findings::state.eq(FindingState::Fixed),
                findings::settled_at.eq(now),
                findings::actor.eq(&stamp.actor),
                findings::reason.eq(GONE),
            ))
            .execute(conn)?;
            Ok(())
        })
    }

    /// Settles the open findings of one kind that nobody has seen since `begun` and of
    /// which `is_gone` says so. A run that looked at some of what they are about, and not
    /// at all of it, settles only that.
    pub fn findings_gone_of(
        &mut self,
        stamp: &RunStamp,
        begun: Time,
        kind: FindingKind,
        is_gone: impl Fn(&Finding) -> bool,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            let open: Vec<Finding> = findings::table
                .filter(findings::state.eq(FindingState::Open))
                .filter(findings::kind.eq(kind))
                .filter(findings::seen_at.lt(begun))
                .load(conn)?;
            for finding in open.iter().filter(|finding| is_gone(finding)) {
                settle_in_tx(conn, stamp, now, &finding.id, FindingState::Fixed, GONE)?;
            }
            Ok(())
        })
    }

    /// Replaces a finding of this run by what else was found out about it: it is
    /// the same discrepancy, understood better.
    pub fn finding_replace(
        &mut self,
        stamp: &RunStamp,
        old: &str,
        new: &[Discrepancy],
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            diesel::delete(findings::table.filter(findings::id.eq(old))).execute(conn)?;
            for discrepancy in new {
                see_in_tx(conn, stamp, now, discrepancy, &discrepancy.id())?;
            }
            Ok(())
        })
    }

    /// Records that a finding was repaired.
    pub fn finding_fixed(
        &mut self,
        stamp: &RunStamp,
        id: &str,
        how: &str,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            settle_in_tx(conn, stamp, now, id, FindingState::Fixed, how)?;
            failpoint!("finding.fixed");
            Ok(())
        })
    }

    /// Those of some transfers about which a person accepted a finding.
    pub fn transfers_accepted(
        &mut self,
        transfers: &[String],
    ) -> Result<HashSet<String>, StoreError> {
        let transfers: Vec<&str> = transfers.iter().map(String::as_str).collect();
        self.read(|conn| accepted_of(conn, &transfers))
    }

    /// Those of some transfers about which a finding is open.
    pub fn transfers_doubted(
        &mut self,
        transfers: &[String],
    ) -> Result<HashSet<String>, StoreError> {
        self.read(|conn| {
            let mut doubted = HashSet::new();
            for chunk in transfers.chunks(IDS_MAX) {
                doubted.extend(open_about_in_tx(conn, chunk)?);
            }
            Ok(doubted)
        })
    }

    /// The findings with these ids that exist.
    pub fn findings_with(&mut self, ids: &[String]) -> Result<Vec<Finding>, StoreError> {
        let mut found = Vec::new();
        for chunk in ids.chunks(IDS_MAX) {
            let rows: Vec<Finding> = self.read(|conn| {
                Ok(findings::table
                    .filter(findings::id.eq_any(chunk))
                    .load(conn)?)
            })?;
            found.extend(rows);
        }
        Ok(found)
    }

    /// Records why findings stay as they are: all of them or none. From then on
    /// they are no reason to refuse to send, nor to be reported, as long as they
    /// say the same. `references` are those of forgotten payouts, by finding: they
    /// stay taken, so that nobody loads the same payment again.
    ///
    /// # Errors
    /// The finding that stands against it, with [`StoreError::NotFound`] when
    /// there is none of this id, or a conflict when it may not be accepted: it is
    /// not open, it is to be repaired instead, its payout could still be sent, or
    /// the payment was loaded again.
    pub fn findings_accept(
        &mut self,
        stamp: &RunStamp,
        ids: &[String],
        reason: &str,
        references: &HashMap<String, String>,
    ) -> Result<Vec<Finding>, (String, StoreError)> {
        let now = self.clock.now();
        let mut at = String::new();
        let accepted = self.write(|conn| {
            let mut accepted = Vec::with_capacity(ids.len());
            for id in ids {
                at.clone_from(id);
                let reference = references.get(id).map(String::as_str);
                accepted.push(accept_in_tx(conn, stamp, now, id, reason, reference)?);
            }
            Ok(accepted)
        });
        accepted.map_err(|error| (at, error))
    }

    /// A page of the open findings of one kind that a run was the last to see, in the order
    /// of their ids, behind `after`.
    pub fn findings_open_of_run(
        &mut self,
        run: &RunId,
        kind: FindingKind,
        after: Option<&str>,
        rows_max: i64,
    ) -> Result<Vec<Finding>, StoreError> {
        let mut query = findings::table
            .filter(findings::run_id.eq(run))
            .filter(findings::kind.eq(kind))
            .filter(findings::state.eq(FindingState::Open))
            .order(findings::id)
            .limit(rows_max)
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(findings::id.gt(after));
        }
        self.read(|conn| Ok(query.load(conn)?))
    }

    /// A page of the open findings about transfers that other runs than this one
    /// were the last to see, behind `after`.
    pub fn findings_from_before(
        &mut self,
        run: &RunId,
        after: Option<&str>,
        rows_max: i64,
    ) -> Result<Vec<Finding>, StoreError> {
        let mut query = findings::table
            .filter(findings::state.eq(FindingState::Open))
            .filter(findings::transfer_id.is_not_null())
            .filter(findings::run_id.ne(run))
            .order(findings::id)
            .limit(rows_max)
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(findings::id.gt(after));
        }
        self.read(|conn| Ok(query.load(conn)?))
    }

    /// How many findings are open that were first seen before `begun`.
    pub fn findings_open_since_before(&mut self, begun: Time) -> Result<i64, StoreError> {
        self.read(|conn| {
            Ok(findings::table
                .filter(findings::state.eq(FindingState::Open))
                .filter(findings::first_seen_at.lt(begun))
                .count()
                .get_result(conn)?)
        })
    }

    /// How many findings of each kind and state there are: what is open, whoever
    /// saw it, and what else a run saw that began at `begun`; what a run beside
    /// it has seen since is counted by both.
    pub fn findings_counted(
        &mut self,
        run: &RunId,
        begun: Time,
    ) -> Result<Vec<(FindingKind, FindingState, i64)>, StoreError> {
        let mut counted: Vec<(FindingKind, FindingState, i64)> = self.read(|conn| {
            Ok(findings::table
                .group_by((findings::kind, findings::state))
                .filter(
                    findings::run_id
                        .eq(run)
                        .or(findings::seen_at.gt(begun))
                        .or(findings::state.eq(FindingState::Open)),
                )
                .select((findings::kind, findings::state, diesel::dsl::count_star()))
                .load(conn)?)
        })?;
        counted.sort();
        Ok(counted)
    }

    /// Those of some payouts of which a finding says that Stripe has no transfer,
    /// and nobody has found one since.
    pub fn payouts_known_missing(
        &mut self,
        ids: &[PayoutId],
    ) -> Result<HashSet<PayoutId>, StoreError> {
        let mut known = HashSet::new();
        for chunk in ids.chunks(IDS_MAX) {
            let found: Vec<PayoutId> = self.read(|conn| {
                Ok(findings::table
                    .filter(findings::payout_id.assume_not_null().eq_any(chunk))
                    .filter(findings::kind.eq(FindingKind::MissingAtStripe))
                    .filter(findings::transfer_id.is_null())
                    .filter(findings::state.ne(FindingState::Fixed))
                    .select(findings::payout_id.assume_not_null())
                    .load(conn)?)
            })?;
            known.extend(found);
        }
        Ok(known)
    }

    /// Transfers of the given payout that findings call unrecorded, other than
    /// this one. One of two stays the second whatever a person accepted of it.
    pub fn unrecorded_beside(
        &mut self,
        payout: &PayoutId,
        transfer: &str,
    ) -> Result<Vec<String>, StoreError> {
        self.read(|conn| {
            Ok(findings::table
                .filter(findings::payout_id.assume_not_null().eq(payout))
                .filter(findings::state.ne(FindingState::Fixed))
                .filter(findings::kind.eq_any([
                    FindingKind::StatusBehind,
                    FindingKind::ForgottenPayout,
                    FindingKind::TwoTransfers,
                ]))
                .filter(findings::transfer_id.assume_not_null().ne(transfer))
                .select(findings::transfer_id.assume_not_null())
                .order(findings::transfer_id)
                .load(conn)?)
        })
    }

    /// Whether an open finding says that a transfer which names this payout paid it.
    pub fn is_found_by_name(&mut self, payout: &PayoutId) -> Result<bool, StoreError> {
        let found = findings::table
            .filter(findings::payout_id.assume_not_null().eq(payout))
            .filter(findings::state.eq(FindingState::Open))
            .filter(
                findings::kind.eq_any([FindingKind::StatusBehind, FindingKind::ForgottenPayout]),
            )
            .filter(findings::transfer_id.is_not_null());
        self.read(|conn| Ok(diesel::select(diesel::dsl::exists(found)).get_result(conn)?))
    }

    /// Whether no open finding of any run keeps the rollback guard from passing.
    pub fn guard_is_clear(&mut self) -> Result<bool, StoreError> {
        let blocking: Vec<FindingKind> = FindingKind::ALL
            .iter()
            .copied()
            .filter(|kind| kind.keeps_from_sending())
            .collect();
        let open = findings::table
            .filter(findings::state.eq(FindingState::Open))
            .filter(findings::kind.eq_any(blocking));
        let any: bool =
            self.read(|conn| Ok(diesel::select(diesel::dsl::exists(open)).get_result(conn)?))?;
        Ok(!any)
    }
}

fn accept_in_tx(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    id: &str,
    reason: &str,
    reference: Option<&str>,
) -> Result<Finding, StoreError> {
    let finding: Finding = findings::table.filter(findings::id.eq(id)).first(conn)?;
    if finding.state != FindingState::Open {
        return Err(StoreError::Conflict(format!(
            "it is {}, not open",
            finding.state
        )));
    }
    if !finding.kind.may_be_accepted() {
        return Err(StoreError::Conflict(format!(
            "{} is not for accepting: {}",
            finding.kind,
            finding.kind.next_step()
        )));
    }
    // What says that a transfer paid a payout keeps that from being sent, accepted or not.
    let holds = finding.kind.may_be_a_payment() && finding.transfer_id.is_some();
    if let Some(payout) = finding.payout_id.as_ref().filter(|_| !holds)
        && let Some(status) = status_if_sendable(conn, payout)?
    {
        return Err(StoreError::Conflict(format!(
            "payout {payout} is {status} and could be sent again; cancel it first, or correct its row"
        )));
    }
    if let (Some(lost), Some(reference)) = (&finding.payout_id, reference) {
        // One that is paid by now cannot be helped any more.
        if let Some(double) = double_in_tx(conn, lost, reference)?
            && status_if_sendable(conn, &double)?.is_some()
        {
            return Err(StoreError::Conflict(loaded_again(reference, &double)));
        }
        origin_keep_in_tx(conn, lost, Some(reference))?;
    }
    let id = surplus_counts_in_tx(conn, stamp, now, &finding)?.unwrap_or_else(|| id.to_owned());
    settle_in_tx(conn, stamp, now, &id, FindingState::Accepted, reason)?;
    Ok(findings::table.filter(findings::id.eq(&id)).first(conn)?)
}

/// A second transfer that is accepted and that no attempt holds gets one, so that it counts
/// on the payout's statement. The finding is about that attempt from then on: its new id.
fn surplus_counts_in_tx(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    finding: &Finding,
) -> Result<Option<String>, StoreError> {
    let (FindingKind::TwoTransfers, Some(payout), Some(transfer), Some(cents)) = (
        finding.kind,
        &finding.payout_id,
        &finding.transfer_id,
        finding
            .at_stake_cents
            .and_then(|cents| i32::try_from(cents).ok()),
    ) else {
        return Ok(None);
    };
    let surplus = (transfer.as_str(), cents);
    let Some(attempt) = surplus_keep_in_tx(conn, stamp, now, payout, surplus)? else {
        return Ok(None);
    };
    let about = Discrepancy {
        attempt: Some(attempt),
        ..finding.discrepancy()
    };
    let id = about.id();
    diesel::update(findings::table.filter(findings::id.eq(&finding.id)))
        .set((findings::id.eq(&id), findings::attempt.eq(attempt)))
        .execute(conn)?;
    Ok(Some(id))
}

/// Those of some payouts that a finding, open or accepted, says a transfer was
/// made for, with an open one where there is one. Accepting a finding settles what
/// is reported of it; it is no leave to pay again.
pub(super) fn payments_found_in_tx<'a>(
    conn: &mut AnyConnection,
    ids: impl IntoIterator<Item = &'a PayoutId>,
) -> Result<HashMap<PayoutId, FoundPayment>, StoreError> {
    let ids: Vec<&PayoutId> = ids.into_iter().collect();
    let payments = payments();
    let mut payments_found = HashMap::new();
    for chunk in ids.chunks(IDS_MAX) {
        let found: Vec<(PayoutId, String, FindingState)> = findings::table
            .filter(
                findings::payout_id
                    .assume_not_null()
                    .eq_any(chunk.iter().copied()),
            )
            .filter(findings::transfer_id.is_not_null())
            .filter(findings::state.ne(FindingState::Fixed))
            .filter(findings::kind.eq_any(&payments))
            .order(findings::id)
            .select((
                findings::payout_id.assume_not_null(),
                findings::id,
                findings::state,
            ))
            .load(conn)?;
        for (payout, finding, state) in found {
            let open = state == FindingState::Open;
            let this = FoundPayment { finding, open };
            let known = payments_found.entry(payout).or_insert_with(|| this.clone());
            if open && !known.open {
                *known = this;
            }
        }
    }
    Ok(payments_found)
}

/// Of some payouts, each transfer that a finding, open or accepted, says was made for
/// one of them.
pub(super) fn payments_named_in_tx(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
) -> Result<Vec<(PayoutId, String, FindingState)>, StoreError> {
    let payments = payments();
    let mut named = Vec::new();
    for chunk in ids.chunks(IDS_MAX) {
        let of_chunk: Vec<(PayoutId, String, FindingState)> = findings::table
            .filter(findings::payout_id.assume_not_null().eq_any(chunk))
            .filter(findings::transfer_id.is_not_null())
            .filter(findings::state.ne(FindingState::Fixed))
            .filter(findings::kind.eq_any(&payments))
            .select((
                findings::payout_id.assume_not_null(),
                findings::transfer_id.assume_not_null(),
                findings::state,
            ))
            .load(conn)?;
        named.extend(of_chunk);
    }
    Ok(named)
}

/// Whether a finding, open or accepted, says that a transfer was made for the payout
/// of a row, as a column of a query; for what [`payments_found_in_tx`] asks about many.
#[diesel::dsl::auto_type]
pub(super) fn is_held_by_a_finding() -> _ {
    let payments: Vec<FindingKind> = payments();
    let fixed: FindingState = FindingState::Fixed;
    diesel::dsl::exists(
        findings::table
            .filter(findings::payout_id.assume_not_null().eq(payouts::id))
            .filter(findings::transfer_id.is_not_null())
            .filter(findings::state.ne(fixed))
            .filter(findings::kind.eq_any(payments)),
    )
}

/// The kinds that say that a transfer may have been a payment.
fn payments() -> Vec<FindingKind> {
    let all = FindingKind::ALL.iter().copied();
    all.filter(|kind| kind.may_be_a_payment()).collect()
}

/// Those of some transfers about which a finding is open; at most [`IDS_MAX`].
pub(super) fn open_about_in_tx(
    conn: &mut AnyConnection,
    transfers: &[String],
) -> Result<Vec<String>, StoreError> {
    Ok(findings::table
        .filter(findings::state.eq(FindingState::Open))
        .filter(findings::transfer_id.assume_not_null().eq_any(transfers))
        .select(findings::transfer_id.assume_not_null())
        .load(conn)?)
}

/// Those of some transfers that a person accepted although no payout holds them.
pub(super) fn accepted_of(
    conn: &mut AnyConnection,
    transfers: &[&str],
) -> Result<HashSet<String>, StoreError> {
    let mut accepted = HashSet::new();
    for chunk in transfers.chunks(IDS_MAX) {
        let found: Vec<String> = findings::table
            .filter(findings::state.eq(FindingState::Accepted))
            .filter(
                findings::transfer_id
                    .assume_not_null()
                    .eq_any(chunk.iter().copied()),
            )
            .select(findings::transfer_id.assume_not_null())
            .load(conn)?;
        accepted.extend(found);
    }
    Ok(accepted)
}

/// Settles an open finding. What somebody else settled meanwhile stays as it is.
fn settle_in_tx(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    id: &str,
    state: FindingState,
    reason: &str,
) -> Result<(), StoreError> {
    diesel::update(findings::table.filter(findings::id.eq(id)))
        .filter(findings::state.eq(FindingState::Open))
        .set((
            findings::state.eq(state),
            findings::settled_at.eq(now),
            findings::actor.eq(&stamp.actor),
            findings::reason.eq(reason),
        ))
        .execute(conn)?;
    Ok(())
}

fn see_in_tx(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    seen: &Discrepancy,
    id: &str,
) -> Result<(), StoreError> {
    let new = Finding {
        id: id.to_owned(),
        kind: seen.kind,
        payout_id: seen.payout_id.clone(),
        attempt: seen.attempt,
        transfer_id: seen.transfer_id.clone(),
        subject: seen.subject.clone(),
        at_stake_cents: seen.at_stake_cents,
        expected: seen.expected.clone(),
        found: seen.found.clone(),
        state: FindingState::Open,
        first_seen_at: now,
        seen_at: now,
        run_id: stamp.run_id.clone(),
        settled_at: None,
        actor: None,
        reason: None,
    };
    // Another comparison may be seeing the same at this moment.
    let inserted = on_each!(conn, c => diesel::insert_into(findings::table)
        .values(&new)
        .on_conflict_do_nothing()
        .execute(c))?;
    if inserted == 1 {
        return Ok(());
    }
    let known: Finding = findings::table.filter(findings::id.eq(id)).first(conn)?;
    let of_this_run = diesel::update(findings::table.filter(findings::id.eq(id)));
    // What was accepted is bound to what it said.
    let stands = known.state == FindingState::Accepted && known.discrepancy() == *seen;
    if stands || (known.state == FindingState::Open && known.discrepancy() == *seen) {
        of_this_run
            .set((
                findings::seen_at.eq(now),
                findings::run_id.eq(&stamp.run_id),
            ))
            .execute(conn)?;
        return Ok(());
    }
    of_this_run
        .set((
            findings::seen_at.eq(now),
            findings::run_id.eq(&stamp.run_id),
            findings::at_stake_cents.eq(seen.at_stake_cents),
            findings::expected.eq(&seen.expected),
            findings::found.eq(&seen.found),
            findings::state.eq(FindingState::Open),
            findings::settled_at.eq(None::<Time>),
            findings::actor.eq(None::<String>),
            findings::reason.eq(None::<String>),
        ))
        .execute(conn)?;
    Ok(())
}
