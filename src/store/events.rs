//! Events of Stripe: kept before they are answered, applied afterwards, and what the
//! newest of them says of each account.

use std::collections::HashSet;

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::event::{AccountState, EventOutcome, StripeEvent};
use crate::model::hold::{Hold, HoldKind};
use crate::model::ids::CreatorId;
use crate::model::schema::{
    creators, payout_account_states as states, payout_event_pulls as pulls, payout_holds as holds,
    payout_stripe_events as events,
};
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::dialect::{self, IDS_MAX, among, on_each};
use crate::store::runs::RunStamp;
use crate::store::settings::stamp_in_tx;
use crate::store::{Stamp, Store, StoreError, holds as hold_rows};

/// Creators that are looked at for a suggestion at once; far more than any page shows.
const SUGGESTED_MAX: i64 = 1000;

/// How the stored events stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventsStanding {
    /// Not applied yet.
    pub pending: i64,
    /// When the last one came first.
    pub last_received_at: Option<Time>,
}

/// A creator whose Stripe account cannot take transfers, or is held for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatorAccount {
    /// Whom it pays.
    pub creator_id: CreatorId,
    /// What Stripe says of their account.
    pub state: AccountState,
    /// The hold on the creator, where there is one.
    pub hold: Option<Hold>,
}

impl Store {
    /// Stores events, in one transaction. Those that are there already stay as they
    /// are. Returns the ids of the new ones.
    pub fn events_keep(&mut self, rows: &[StripeEvent]) -> Result<HashSet<String>, StoreError> {
        // In one order for everybody, so that two who store the same events wait and never deadlock.
        let mut rows: Vec<&StripeEvent> = rows.iter().collect();
        rows.sort_by(|a, b| a.event_id.cmp(&b.event_id));
        let new = self.write(|conn| {
            let new = dialect::events_append(conn, &rows)?;
            failpoint!("event.writing");
            Ok(new)
        })?;
        failpoint!("event.committed");
        Ok(new.into_iter().collect())
    }

    /// A page of the events that wait, in the order of their ids, behind `after`.
    pub fn events_pending(
        &mut self,
        after: Option<&str>,
        rows_max: i64,
    ) -> Result<Vec<StripeEvent>, StoreError> {
        let mut query = events::table
            .filter(dialect::events_pending())
            .order(events::event_id)
            .limit(rows_max)
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(events::event_id.gt(after));
        }
        self.read(|conn| Ok(query.load(conn)?))
    }

    /// Records what became of pending events, and what they say of accounts, in one
    /// transaction. What somebody else settled meanwhile stays as it is; of two
    /// states of an account the newer one stays, whichever came first. Returns the ids
    /// of the events that were pending until now.
    pub fn events_settle(
        &mut self,
        outcomes: &[EventOutcome],
        accounts: &[AccountState],
    ) -> Result<HashSet<String>, StoreError> {
        let now = self.clock.now();
        // As in `events_keep`.
        let mut accounts: Vec<&AccountState> = accounts.iter().collect();
        accounts.sort_by(|a, b| a.stripe_account.cmp(&b.stripe_account));
        let mut outcomes: Vec<&EventOutcome> = outcomes.iter().collect();
        outcomes.sort_by(|a, b| a.event_id.cmp(&b.event_id));
        let settled = self.write(|conn| {
            for state in accounts {
                account_keep(conn, state)?;
            }
            let settled = dialect::events_settle(conn, &outcomes, now)?;
            failpoint!("event_settle.writing");
            Ok(settled)
        })?;
        failpoint!("event_settle.committed");
        Ok(settled.into_iter().collect())
    }

    /// How the events stand.
    pub fn events_standing(&mut self) -> Result<EventsStanding, StoreError> {
        self.read(|conn| {
            Ok(EventsStanding {
                pending: events::table
                    .filter(dialect::events_pending())
                    .count()
                    .get_result(conn)?,
                last_received_at: events::table
                    .select(diesel::dsl::max(events::received_at))
                    .first(conn)?,
            })
        })
    }

    /// A page of the events, those that came last first, behind the event `after`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no event `after`.
    pub fn events_list(
        &mut self,
        pending_only: bool,
        after: Option<&str>,
        rows_max: i64,
    ) -> Result<Vec<StripeEvent>, StoreError> {
        self.read(|conn| {
            let mut query = events::table
                .order((events::received_at.desc(), events::event_id.desc()))
                .limit(rows_max)
                .into_boxed();
            if pending_only {
                query = query.filter(dialect::events_pending());
            }
            if let Some(after) = after {
                let received_at: Time = events::table
                    .filter(events::event_id.eq(after))
                    .select(events::received_at)
                    .first(conn)?;
                query = query.filter(
                    events::received_at.lt(received_at).or(events::received_at
                        .eq(received_at)
                        .and(events::event_id.lt(after))),
                );
            }
            Ok(query.load(conn)?)
        })
    }

    /// Up to when every event of an account was pulled, if ever.
    pub fn events_pulled_until(&mut self, of: &Stamp) -> Result<Option<Time>, StoreError> {
        self.read(|conn| {
            Ok(pulls::table
                .find((&of.account, of.livemode))
                .select(pulls::pulled_until)
                .first(conn)
                .optional()?)
        })
    }

    /// Remembers that every event before a moment is stored; never moves back.
    pub fn events_pulled(
        &mut self,
        run: &RunStamp,
        of: &Stamp,
        until: Time,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            let row = (
                pulls::stripe_account.eq(&of.account),
                pulls::livemode.eq(of.livemode),
                pulls::pulled_until.eq(until),
                pulls::run_id.eq(&run.run_id),
                pulls::pulled_at.eq(now),
            );
            on_each!(conn, c => diesel::insert_into(pulls::table)
                .values(row)
                .on_conflict_do_nothing()
                .execute(c))?;
            diesel::update(
                pulls::table
                    .filter(pulls::stripe_account.eq(&of.account))
                    .filter(pulls::livemode.eq(of.livemode))
                    .filter(pulls::pulled_until.lt(until)),
            )
            .set((
                pulls::pulled_until.eq(until),
                pulls::run_id.eq(&run.run_id),
                pulls::pulled_at.eq(now),
            ))
            .execute(conn)?;
            failpoint!("pull.writing");
            Ok(())
        })?;
        failpoint!("pull.committed");
        Ok(())
    }

    /// What events said of the Stripe accounts of creators, with the holds on them: of
    /// these, or of all who are held or whose account cannot take transfers. In the order
    /// of their ids.
    pub fn creator_accounts(
        &mut self,
        only: Option<&[CreatorId]>,
    ) -> Result<Vec<CreatorAccount>, StoreError> {
        let now = self.clock.now();
        self.read(|conn| {
            // Where events said nothing, all creators need not be walked to find that out.
            let said = states::table.select(states::stripe_account);
            let said = diesel::select(diesel::dsl::exists(said)).get_result::<bool>(conn)?;
            if !said {
                return Ok(Vec::new());
            }
            let mut query = creators::table
                .inner_join(
                    states::table.on(creators::stripe_account_id
                        .assume_not_null()
                        .eq(states::stripe_account)),
                )
                .filter(creators::deleted_at.is_null())
                .order(creators::id)
                .limit(SUGGESTED_MAX)
                .select((creators::id, states::all_columns))
                .into_boxed();
            if let Some(stamp) = stamp_in_tx(conn)? {
                query = query.filter(states::livemode.eq(stamp.livemode));
            }
            query = match only {
                Some(only) => query.filter(among(
                    creators::id,
                    only.iter().take(IDS_MAX).map(CreatorId::as_str),
                )),
                // Nearly all others: they would leave no room.
                None => query.filter(
                    states::transfers
                        .ne(AccountState::ACTIVE)
                        .or(diesel::dsl::exists(
                            holds::table
                                .filter(holds::kind.eq(HoldKind::Creator))
                                .filter(holds::target.eq(creators::id))
                                .filter(hold_rows::standing(now)),
                        )),
                ),
            };
            let found: Vec<(CreatorId, AccountState)> = query.load(conn)?;
            let ids: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
            let held: Vec<Hold> = holds::table
                .filter(holds::kind.eq(HoldKind::Creator))
                .filter(among(holds::target, ids))
                .filter(hold_rows::standing(now))
                .load(conn)?;
            Ok(found
                .into_iter()
                .map(|(creator_id, state)| CreatorAccount {
                    hold: held
                        .iter()
                        .find(|hold| hold.target == creator_id.as_str())
                        .cloned(),
                    creator_id,
                    state,
                })
                .collect())
        })
    }
}

fn account_keep(conn: &mut AnyConnection, new: &AccountState) -> Result<(), StoreError> {
    let inserted = on_each!(conn, c => diesel::insert_into(states::table)
        .values(new)
        .on_conflict_do_nothing()
        .execute(c))?;
    if inserted == 1 {
        return Ok(());
    }
    let this = || states::table.find((&new.stripe_account, new.livemode));
    // Whoever writes beside this one waits until this transaction ends.
    diesel::update(this())
        .set(states::seen_at.eq(new.seen_at))
        .execute(conn)?;
    let known: AccountState = this().first(conn)?;
    if new.supersedes(&known) {
        diesel::update(this())
            .set((
                states::transfers.eq(&new.transfers),
                states::disabled_reason.eq(&new.disabled_reason),
                states::as_of.eq(new.as_of),
                states::event_id.eq(&new.event_id),
            ))
            .execute(conn)?;
    }
    Ok(())
}
