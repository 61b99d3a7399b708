//! Holds: what must not be paid for now, and who let go of what.
//!
//! A hold that stands is a row of `payout_holds` whose end has not come; the claim
//! and every send read those. When it is lifted its row moves to
//! `payout_hold_releases`, so that who held what, and who let go, is never lost.
//! One that has ended moves there when its target is held again.

use diesel::prelude::*;

use crate::failpoint::{failpoint, planted};
use crate::model::history::{Change, HistoryEvent};
use crate::model::hold::{Hold, HoldKind, HoldRelease, HoldTarget};
use crate::model::ids::{BatchId, PayoutId};
use crate::model::schema::{
    payout_batches as batches, payout_hold_releases as releases, payout_holds as holds,
};
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::dialect::{self, on_each};
use crate::store::runs::RunStamp;
use crate::store::{Store, StoreError, history};

/// Who let go of a hold whose time was over.
const ENDED: &str = "its end";

impl Store {
    /// Every hold that stands, oldest first.
    pub fn holds(&mut self) -> Result<Vec<Hold>, StoreError> {
        let now = self.clock.now();
        self.read(|conn| {
            Ok(holds::table
                .filter(standing(now))
                .order((holds::created_at, holds::kind, holds::target))
                .load(conn)?)
        })
    }

    /// The hold on exactly this target, if it is held.
    pub fn hold_on(&mut self, target: &HoldTarget) -> Result<Option<Hold>, StoreError> {
        let now = self.clock.now();
        self.read(|conn| on_target(conn, target, now))
    }

    /// The last time this target was let go, if it ever was.
    pub fn hold_last_release(
        &mut self,
        target: &HoldTarget,
    ) -> Result<Option<HoldRelease>, StoreError> {
        self.read(|conn| {
            Ok(releases::table
                .filter(releases::kind.eq(target.kind))
                .filter(releases::target.eq(&target.id))
                .order((releases::released_at.desc(), releases::run_id.desc()))
                .first(conn)
                .optional()?)
        })
    }

    /// Holds all of these, in one transaction, until `ends_at` where there is an end.
    /// A hold that stands at least as long stays as it is; one that ends earlier makes
    /// way. Returns for each whether it was set now.
    pub fn holds_set(
        &mut self,
        run: &RunStamp,
        targets: &[HoldTarget],
        reason: &str,
        ends_at: Option<Time>,
    ) -> Result<Vec<bool>, StoreError> {
        let now = self.clock.now();
        self.change_holds(run, targets, HistoryEvent::Held, |conn, target| {
            let hold = Hold {
                kind: target.kind,
                target: target.id.clone(),
                reason: reason.to_owned(),
                actor: run.actor.clone(),
                created_at: now,
                ends_at,
            };
            // A hold with an end would let go of a batch that nobody has looked at.
            if hold.kind == HoldKind::Batch && ends_at.is_none() {
                release_new_batch_in_tx(conn, &hold.target)?;
            }
            release_shorter_in_tx(conn, run, target, now, ends_at)?;
            let said = match ends_at {
                None => reason.to_owned(),
                Some(end) => format!("{reason} (until {end})"),
            };
            Ok(set_in_tx(conn, &hold)?.then_some(said))
        })
    }

    /// Lifts the holds on all of these, in one transaction. Returns for each
    /// whether there was one.
    pub fn holds_release(
        &mut self,
        run: &RunStamp,
        targets: &[HoldTarget],
        note: Option<&str>,
    ) -> Result<Vec<bool>, StoreError> {
        let now = self.clock.now();
        self.change_holds(run, targets, HistoryEvent::Released, |conn, target| {
            let Some(hold) = on_target(conn, target, now)? else {
                return Ok(None);
            };
            let was = format!("was held by {}: {}", hold.actor, hold.reason);
            if planted!("release_lifts_all") {
                diesel::delete(holds::table).execute(conn)?;
                return Ok(Some(was));
            }
            if !lift_in_tx(conn, run, hold, &run.actor, now, note)? {
                // Another process was faster.
                return Ok(None);
            }
            Ok(Some(match note {
                Some(note) => format!("{note} ({was})"),
                None => was,
            }))
        })
    }

    /// Changes holds, and notes the change in the history of every payout that is
    /// itself held or let go. `change` returns why, when it changed anything.
    fn change_holds(
        &mut self,
        run: &RunStamp,
        targets: &[HoldTarget],
        event: HistoryEvent,
        change: impl Fn(&mut AnyConnection, &HoldTarget) -> Result<Option<String>, StoreError>,
    ) -> Result<Vec<bool>, StoreError> {
        let now = self.clock.now();
        let (changed, heads) = self.write(|conn| {
            let mut history_rows = Vec::new();
            let mut changed = vec![false; targets.len()];
            // In one order for everybody, so that two who hold the same payouts wait and never deadlock.
            let mut sorted: Vec<(&HoldTarget, &mut bool)> =
                targets.iter().zip(&mut changed).collect();
            sorted.sort_by(|(a, _), (b, _)| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
            for (target, changed) in sorted {
                let payout =
                    (target.kind == HoldKind::Payout).then(|| PayoutId::new(target.id.as_str()));
                // The history's writers hold the payout's row lock.
                let status = match &payout {
                    Some(payout) => Some(dialect::lock_status(conn, payout)?),
                    None => None,
                };
                let reason = change(conn, target)?;
                *changed = reason.is_some();
                if let (Some(payout_id), Some(status), Some(reason)) = (payout, status, reason) {
                    history_rows.push(Change {
                        payout_id,
                        event,
                        from: Some(status),
                        to: status,
                        reason: Some(reason),
                    });
                }
            }
            let heads = history::append_in_tx(conn, run, now, history_rows)?;
            failpoint!("hold.writing");
            Ok((changed, heads))
        })?;
        self.heads.merge(heads);
        failpoint!("hold.committed");
        Ok(changed)
    }
}

/// Holds whose end, where they have one, has not come.
#[diesel::dsl::auto_type]
pub(super) fn standing(now: Time) -> _ {
    holds::ends_at.is_null().or(holds::ends_at.gt(now))
}

fn on_target(
    conn: &mut AnyConnection,
    target: &HoldTarget,
    now: Time,
) -> Result<Option<Hold>, StoreError> {
    Ok(holds::table
        .filter(holds::kind.eq(target.kind))
        .filter(holds::target.eq(&target.id))
        .filter(standing(now))
        .first(conn)
        .optional()?)
}

/// Moves a hold to those that were lifted. Returns whether it was still there.
fn lift_in_tx(
    conn: &mut AnyConnection,
    run: &RunStamp,
    hold: Hold,
    released_by: &str,
    released_at: Time,
    note: Option<&str>,
) -> Result<bool, StoreError> {
    let there = holds::table
        .filter(holds::kind.eq(hold.kind))
        .filter(holds::target.eq(&hold.target))
        .filter(holds::created_at.eq(hold.created_at));
    if diesel::delete(there).execute(conn)? == 0 {
        return Ok(false);
    }
    diesel::insert_into(releases::table)
        .values(HoldRelease {
            kind: hold.kind,
            target: hold.target,
            reason: hold.reason,
            held_by: hold.actor,
            held_at: hold.created_at,
            run_id: run.run_id.clone(),
            released_by: released_by.to_owned(),
            released_at,
            note: note.map(str::to_owned),
        })
        .execute(conn)?;
    Ok(true)
}

/// Makes room where a hold has ended, or would end before the one that is asked for:
/// nobody who says `hold` expects that it ends earlier because of somebody else's.
fn release_shorter_in_tx(
    conn: &mut AnyConnection,
    run: &RunStamp,
    target: &HoldTarget,
    now: Time,
    ends_at: Option<Time>,
) -> Result<(), StoreError> {
    let with_an_end: Option<Hold> = holds::table
        .filter(holds::kind.eq(target.kind))
        .filter(holds::target.eq(&target.id))
        .filter(holds::ends_at.is_not_null())
        .first(conn)
        .optional()?;
    let Some(hold) = with_an_end else {
        return Ok(());
    };
    let end = hold.ends_at.unwrap_or(now);
    if end <= now {
        lift_in_tx(conn, run, hold, ENDED, end, None)?;
    } else if ends_at.is_none_or(|asked| asked > end) {
        lift_in_tx(conn, run, hold, &run.actor, now, Some("held for longer"))?;
    }
    Ok(())
}

/// Makes room for a person's hold on a batch that is held because it is new:
/// that hold ends when somebody names the batch, the person's does not.
fn release_new_batch_in_tx(conn: &mut AnyConnection, batch: &str) -> Result<(), StoreError> {
    let loaded_at: Option<Time> = batches::table
        .filter(batches::id.eq(BatchId::new(batch)))
        .select(batches::created_at)
        .first(conn)
        .optional()?;
    if let Some(loaded_at) = loaded_at {
        diesel::delete(
            holds::table
                .filter(holds::kind.eq(HoldKind::Batch))
                .filter(holds::target.eq(batch))
                .filter(holds::created_at.eq(loaded_at)),
        )
        .execute(conn)?;
    }
    Ok(())
}

/// Sets a hold; an existing one of the same target stays as it is. Returns
/// whether it was set.
pub(crate) fn set_in_tx(conn: &mut AnyConnection, hold: &Hold) -> Result<bool, StoreError> {
    let set = on_each!(conn, c => diesel::insert_into(holds::table).values(hold).on_conflict_do_nothing().execute(c))?;
    Ok(set > 0)
}
