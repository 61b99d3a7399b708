//! Mails that are to be sent.
//!
//! A row is written in the transaction that makes its mail due: for creators where the
//! history is appended (`due_in_tx`), for operators where a run ends and where an alert is
//! raised. Which kinds are sent at all is said in the database, so that every program that
//! settles payouts agrees. Sending is a lease on a row, a mail, and a record of what became
//! of it: after a crash between the two the row is sent once more.

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::history::HistoryRow;
use crate::model::ids::{CreatorId, RunId};
use crate::model::notification::{
    DIGESTED, MAIL_LEASE, Notification, NotificationKind, NotificationState, NotificationSwitch,
};
use crate::model::schema::{
    payout_alerts as alerts, payout_notification_switches as switches,
    payout_notifications as mails, payout_runs as runs, payouts,
};
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::dialect;
use crate::store::runs::RunStamp;
use crate::store::{Store, StoreError};

/// In the column of a creator: everybody.
const EVERYBODY: &str = "";

/// Rows of which a look for work reads the ids at once.
const LOOKED_AT: i64 = 50;

// --- made due -----------------------------------------------------------------------------

/// Writes the mails that these rows of the history make due, in their transaction: at most
/// one statement, and none where nothing of it is for a creator to hear.
pub(super) fn due_in_tx(conn: &mut AnyConnection, rows: &[HistoryRow]) -> Result<(), StoreError> {
    let due: Vec<Notification> = rows.iter().filter_map(Notification::of).collect();
    if !due.is_empty() {
        dialect::notifications_append(conn, &due)?;
    }
    Ok(())
}

/// Writes the digest of a run that ends and left something that needs a person.
pub(super) fn digest_in_tx(
    conn: &mut AnyConnection,
    run: &RunId,
    exit_code: i32,
    now: Time,
) -> Result<(), StoreError> {
    if exit_code == 0 {
        return Ok(());
    }
    let command: Option<String> = runs::table
        .filter(runs::id.eq(run))
        .select(runs::command)
        .first(conn)
        .optional()?;
    if command.is_some_and(|command| DIGESTED.contains(&command.as_str())) {
        let digest = Notification::new(
            format!("digest:{run}"),
            NotificationKind::Digest,
            run.to_string(),
            now,
        );
        dialect::notifications_append(conn, &[digest])?;
    }
    Ok(())
}

/// Writes the mail of an alert that was raised, has grown, or is over, in the transaction
/// that records that. The same alert at the same moment is told once.
pub(super) fn alert_in_tx(
    conn: &mut AnyConnection,
    code: &str,
    subject: &str,
    text: &str,
    now: Time,
) -> Result<(), StoreError> {
    let alert = Notification {
        subject: Some(subject.to_owned()),
        body: Some(text.to_owned()),
        ..Notification::new(
            format!("alert:{code}:{now}"),
            NotificationKind::Alert,
            code.to_owned(),
            now,
        )
    };
    dialect::notifications_append(conn, &[alert])?;
    Ok(())
}

// --- switches -----------------------------------------------------------------------------

impl Store {
    /// What is switched on and off, and for whom.
    pub fn notification_switches(&mut self) -> Result<Vec<NotificationSwitch>, StoreError> {
        self.read(|conn| {
            Ok(switches::table
                .order((switches::kind, switches::creator_id))
                .load(conn)?)
        })
    }

    /// Switches mails of a kind on or off, for everybody or for one creator. What waits of a
    /// kind that is switched off is dropped; returns how many mails that is.
    pub fn notification_switch(
        &mut self,
        stamp: &RunStamp,
        kind: NotificationKind,
        creator: Option<&CreatorId>,
        is_on: bool,
    ) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let row = NotificationSwitch {
            kind,
            creator_id: creator.map_or(EVERYBODY, CreatorId::as_str).to_owned(),
            is_on,
            changed_at: now,
            run_id: stamp.run_id.clone(),
        };
        self.write(|conn| {
            dialect::notification_switch(conn, &row)?;
            if is_on {
                return Ok(0);
            }
            if kind == NotificationKind::Alert && creator.is_none() {
                // What stands when they are switched on again is told then.
                diesel::update(alerts::table.filter(alerts::cleared_at.is_null()))
                    .set(alerts::cleared_at.eq(now))
                    .execute(conn)?;
            }
            let waiting = mails::kind
                .eq(kind)
                .and(mails::state.eq(NotificationState::Waiting));
            let dropped = (
                mails::state.eq(NotificationState::Dropped),
                mails::reason.eq(format!("`{kind}` was switched off")),
                mails::settled_at.eq(now),
            );
            Ok(match creator {
                None => diesel::update(mails::table.filter(waiting))
                    .set(dropped)
                    .execute(conn)?,
                Some(creator) => {
                    let theirs = payouts::table
                        .filter(payouts::creator_id.eq(creator))
                        .filter(payouts::id.eq(mails::about));
                    diesel::update(
                        mails::table
                            .filter(waiting)
                            .filter(diesel::dsl::exists(theirs)),
                    )
                    .set(dropped)
                    .execute(conn)?
                }
            })
        })
    }

    /// Whether mails of a kind are sent: to everybody, and to this creator.
    pub fn notification_wanted(
        &mut self,
        kind: NotificationKind,
        creator: Option<&CreatorId>,
    ) -> Result<Wanted, StoreError> {
        let creator = creator.map_or(EVERYBODY, CreatorId::as_str);
        let found: Vec<(String, bool)> = self.read(|conn| {
            Ok(switches::table
                .filter(switches::kind.eq(kind))
                .filter(switches::creator_id.eq_any([EVERYBODY, creator]))
                .select((switches::creator_id, switches::is_on))
                .load(conn)?)
        })?;
        let said = |who: &str| {
            found
                .iter()
                .find(|(id, _)| id == who)
                .map(|(_, is_on)| *is_on)
        };
        Ok(match (said(EVERYBODY), said(creator)) {
            (None | Some(false), _) => Wanted::SwitchedOff,
            (Some(true), Some(false)) => Wanted::OptedOut,
            (Some(true), _) => Wanted::Yes,
        })
    }
}

/// Whether a mail is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It is.
    Yes,
    /// The kind is off.
    SwitchedOff,
    /// The kind is on, but not for this creator.
    OptedOut,
}

// --- sending ------------------------------------------------------------------------------

/// What became of a mail that a run had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A server took it.
    Sent,
    /// It is tried again from then on; counted as a try, or not.
    Again {
        /// From when on.
        due_at: Time,
        /// A try that failed; else it was not tried.
        tried: bool,
        /// In words.
        reason: String,
    },
    /// It is over without having been sent.
    Over {
        /// [`NotificationState::Failed`], `Dropped` or `NoAddress`.
        state: NotificationState,
        /// In words.
        reason: String,
    },
}

/// Mails that can be taken: due, or left by a run whose lease is over.
#[diesel::dsl::auto_type]
fn free(now: Time) -> _ {
    mails::settled_at.is_null().and(mails::due_at.le(now)).and(
        mails::lease_until
            .is_null()
            .or(mails::lease_until.assume_not_null().lt(now)),
    )
}

impl Store {
    /// How many mails could be taken now, those for operators that have no address yet
    /// among them.
    pub fn notifications_due(&mut self) -> Result<i64, StoreError> {
        let now = self.clock.now();
        self.read(|conn| Ok(mails::table.filter(free(now)).count().get_result(conn)?))
    }

    /// Mails for operators that are due and not yet addressed, at most `mails_max`, oldest
    /// first.
    pub fn notifications_unaddressed(
        &mut self,
        mails_max: i64,
    ) -> Result<Vec<Notification>, StoreError> {
        let now = self.clock.now();
        self.read(|conn| {
            Ok(mails::table
                .filter(free(now))
                .filter(mails::kind.eq_any([NotificationKind::Digest, NotificationKind::Alert]))
                .filter(mails::recipient.is_null())
                .order((mails::created_at, mails::id))
                .limit(mails_max)
                .load(conn)?)
        })
    }

    /// Addresses a mail for operators: one mail for each of them, so that each has a state
    /// of its own. Does nothing where somebody else was faster.
    pub fn notification_address(
        &mut self,
        mail: &Notification,
        fingerprint: Option<&str>,
        recipients: &[String],
    ) -> Result<(), StoreError> {
        let Some((first, others)) = recipients.split_first() else {
            return Ok(());
        };
        let copies: Vec<Notification> = (2..)
            .zip(others)
            .map(|(number, recipient)| Notification {
                id: format!("{}:{number}", mail.id),
                recipient: Some(recipient.clone()),
                fingerprint: fingerprint.map(str::to_owned),
                ..mail.clone()
            })
            .collect();
        self.write(|conn| {
            let unaddressed = mails::table
                .filter(mails::id.eq(&mail.id))
                .filter(mails::recipient.is_null())
                .filter(mails::settled_at.is_null());
            let addressed = diesel::update(unaddressed)
                .set((
                    mails::recipient.eq(first),
                    mails::fingerprint.eq(fingerprint),
                ))
                .execute(conn)?;
            if addressed == 1 {
                dialect::notifications_copy(conn, &copies)?;
            }
            Ok(())
        })
    }

    /// Drops a mail that no run has, unless somebody took it meanwhile.
    pub fn notification_drop(&mut self, id: &str, reason: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            diesel::update(
                mails::table
                    .filter(mails::id.eq(id))
                    .filter(mails::state.eq(NotificationState::Waiting)),
            )
            .set((
                mails::state.eq(NotificationState::Dropped),
                mails::reason.eq(reason),
                mails::settled_at.eq(now),
            ))
            .execute(conn)?;
            Ok(())
        })
    }

    /// The digest of the same command that was told last before this one, if nothing of
    /// that command has gone well since: its run, and what it said.
    pub fn digest_before(
        &mut self,
        digest: &Notification,
        command: &str,
        not_before: Time,
    ) -> Result<Option<(RunId, String)>, StoreError> {
        self.read(|conn| {
            let told: Option<(RunId, Time, Option<String>)> = mails::table
                .inner_join(runs::table.on(runs::id.eq(mails::about)))
                .filter(mails::kind.eq(NotificationKind::Digest))
                .filter(mails::about.ne(&digest.about))
                .filter(mails::created_at.le(digest.created_at))
                .filter(mails::created_at.ge(not_before))
                .filter(mails::fingerprint.is_not_null())
                // One that nobody got told nobody.
                .filter(mails::state.eq_any([
                    NotificationState::Waiting,
                    NotificationState::Sending,
                    NotificationState::Sent,
                ]))
                .filter(runs::command.eq(command))
                .order((mails::created_at.desc(), mails::id.desc()))
                .select((runs::id, mails::created_at, mails::fingerprint))
                .first(conn)
                .optional()?;
            let Some((run, at, Some(fingerprint))) = told else {
                return Ok(None);
            };
            let went_well = runs::table
                .filter(runs::command.eq(command))
                .filter(runs::exit_code.eq(0))
                .filter(runs::ended_at.assume_not_null().ge(at))
                .filter(runs::ended_at.assume_not_null().le(digest.created_at));
            let over: bool = diesel::select(diesel::dsl::exists(went_well)).get_result(conn)?;
            Ok((!over).then_some((run, fingerprint)))
        })
    }

    /// Takes the next mail that is due, for a while; none when there is none left.
    pub fn notification_claim(
        &mut self,
        stamp: &RunStamp,
    ) -> Result<Option<Notification>, StoreError> {
        let now = self.clock.now();
        let claimed = self.write(|conn| {
            let addressed = mails::recipient
                .is_not_null()
                .or(mails::kind.eq_any([NotificationKind::Paid, NotificationKind::Failed]));
            let ids: Vec<String> = mails::table
                .filter(free(now))
                .filter(addressed)
                .order((mails::due_at, mails::id))
                .select(mails::id)
                .limit(LOOKED_AT)
                .load(conn)?;
            for id in ids {
                // Of two runs at once the second one waits here, and then finds it taken.
                let taken =
                    diesel::update(mails::table.filter(mails::id.eq(&id)).filter(free(now)))
                        .set((
                            mails::state.eq(NotificationState::Sending),
                            mails::run_id.eq(Some(&stamp.run_id)),
                            mails::lease_until.eq(Some(now.plus(MAIL_LEASE))),
                        ))
                        .execute(conn)?;
                if taken == 1 {
                    failpoint!("mail_claim.writing");
                    return Ok(Some(mails::table.find(&id).first(conn)?));
                }
            }
            Ok(None)
        })?;
        failpoint!("mail_claim.committed");
        Ok(claimed)
    }

    /// Records where a mail to a creator goes and what of a failure it tells, before it
    /// does.
    pub fn notification_goes_to(
        &mut self,
        id: &str,
        recipient: &str,
        fingerprint: Option<&str>,
    ) -> Result<(), StoreError> {
        self.write(|conn| {
            diesel::update(mails::table.filter(mails::id.eq(id)))
                .set((
                    mails::recipient.eq(recipient),
                    mails::fingerprint.eq(fingerprint),
                ))
                .execute(conn)?;
            Ok(())
        })
    }

    /// Records what became of a mail that this run has. Whether it still had it.
    pub fn notification_settle(
        &mut self,
        stamp: &RunStamp,
        id: &str,
        outcome: &Outcome,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let changed = self.write(|conn| {
            let this = mails::table
                .filter(mails::id.eq(id))
                .filter(mails::run_id.eq(&stamp.run_id))
                .filter(mails::state.eq(NotificationState::Sending));
            let nobody = mails::lease_until.eq(None::<Time>);
            let changed = match outcome {
                Outcome::Sent => diesel::update(this)
                    .set((
                        mails::state.eq(NotificationState::Sent),
                        mails::tries.eq(mails::tries + 1),
                        mails::reason.eq(None::<&str>),
                        mails::settled_at.eq(Some(now)),
                        nobody,
                    ))
                    .execute(conn)?,
                Outcome::Again {
                    due_at,
                    tried,
                    reason,
                } => diesel::update(this)
                    .set((
                        mails::state.eq(NotificationState::Waiting),
                        mails::tries.eq(mails::tries + i32::from(*tried)),
                        mails::reason.eq(Some(reason)),
                        mails::due_at.eq(due_at),
                        nobody,
                    ))
                    .execute(conn)?,
                Outcome::Over { state, reason } => diesel::update(this)
                    .set((
                        mails::state.eq(*state),
                        mails::tries
                            .eq(mails::tries + i32::from(*state == NotificationState::Failed)),
                        mails::reason.eq(Some(reason)),
                        mails::settled_at.eq(Some(now)),
                        nobody,
                    ))
                    .execute(conn)?,
            };
            failpoint!("mail_settle.writing");
            Ok(changed)
        })?;
        failpoint!("mail_settle.committed");
        if changed == 0 {
            tracing::warn!(
                event = "mail_taken_over",
                notification_id = id,
                "it took so long that another run has this mail by now: it may arrive twice"
            );
        }
        Ok(changed == 1)
    }

    /// Deletes settled mails of what happened before a moment. Returns how many.
    pub fn notifications_prune(&mut self, before: Time) -> Result<usize, StoreError> {
        self.write(|conn| {
            let old = mails::table
                .filter(mails::created_at.lt(before))
                .filter(mails::settled_at.is_not_null());
            Ok(diesel::delete(old).execute(conn)?)
        })
    }

    /// Whether a creator was told of a failure for this reason since a moment, by another
    /// mail than this one.
    pub fn failure_told(
        &mut self,
        mail: &Notification,
        creator: &CreatorId,
        fingerprint: &str,
        since: Time,
    ) -> Result<bool, StoreError> {
        self.read(|conn| {
            let told = mails::table
                .inner_join(payouts::table.on(payouts::id.eq(mails::about)))
                .filter(mails::kind.eq(NotificationKind::Failed))
                .filter(mails::state.eq(NotificationState::Sent))
                .filter(mails::id.ne(&mail.id))
                .filter(mails::fingerprint.eq(fingerprint))
                .filter(mails::settled_at.assume_not_null().ge(since))
                .filter(payouts::creator_id.eq(creator));
            Ok(diesel::select(diesel::dsl::exists(told)).get_result(conn)?)
        })
    }
}

// --- lists ----------------------------------------------------------------------------------

/// Which mails to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotificationFilter {
    /// Of these states; empty: any.
    pub states: Vec<NotificationState>,
    /// Of these kinds; empty: any.
    pub kinds: Vec<NotificationKind>,
    /// With this id, or about this payout, run or alert.
    pub about: Option<String>,
}

impl Store {
    /// A page of the mails, newest first, behind the mail `after`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no mail `after`.
    pub fn notifications_list(
        &mut self,
        filter: &NotificationFilter,
        after: Option<&str>,
        rows_max: i64,
    ) -> Result<Vec<Notification>, StoreError> {
        self.read(|conn| {
            let mut query = mails::table
                .order((mails::created_at.desc(), mails::id.desc()))
                .limit(rows_max)
                .into_boxed();
            if !filter.states.is_empty() {
                query = query.filter(mails::state.eq_any(&filter.states));
            }
            if !filter.kinds.is_empty() {
                query = query.filter(mails::kind.eq_any(&filter.kinds));
            }
            if let Some(about) = &filter.about {
                query = query.filter(mails::about.eq(about).or(mails::id.eq(about)));
            }
            if let Some(after) = after {
                let at: Time = mails::table
                    .find(after)
                    .select(mails::created_at)
                    .first(conn)?;
                query = query.filter(
                    mails::created_at
                        .lt(at)
                        .or(mails::created_at.eq(at).and(mails::id.lt(after))),
                );
            }
            Ok(query.load(conn)?)
        })
    }

    /// How many mails are in each state.
    pub fn notification_counts(&mut self) -> Result<Vec<(NotificationState, i64)>, StoreError> {
        self.read(|conn| {
            let mut counts: Vec<(NotificationState, i64)> = mails::table
                .group_by(mails::state)
                .select((mails::state, diesel::dsl::count_star()))
                .load(conn)?;
            counts.sort();
            Ok(counts)
        })
    }
}
