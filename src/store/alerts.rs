//! `payout_alerts`: which alerts stand, so that each is told when it comes, when it grows and
//! when it goes.

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::alert::{Alert, AlertCode, Found};
use crate::model::schema::payout_alerts as alerts;
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::{Store, StoreError, notifications};

/// What became of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertChange {
    /// It was not there before.
    Raised(Alert),
    /// There is much more of it than was told.
    Grown(Alert),
    /// It is gone.
    Cleared(Alert),
}

impl Store {
    /// Keeps what a check found, and has each change mailed to the operators, where mails
    /// of alerts are switched on, with the subject and the text that `words` gives it.
    /// `looked` is what the check was able to look at: an alert that is about something
    /// else stays as it stands.
    ///
    /// When another process keeps the same alert at the same time, one of the two is told
    /// of the change.
    pub fn alerts_renew(
        &mut self,
        found: &[Found],
        looked: &[AlertCode],
        words: impl Fn(&AlertChange) -> (String, String),
    ) -> Result<(), StoreError> {
        match self.renew(found, looked, &words) {
            // The other process was faster, and what it raised can be seen now.
            Err(StoreError::Unique { .. }) => self.renew(found, looked, &words),
            done => done,
        }
    }

    fn renew(
        &mut self,
        found: &[Found],
        looked: &[AlertCode],
        words: &impl Fn(&AlertChange) -> (String, String),
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            let before = standing(conn)?;
            let mut changes = Vec::new();
            for found in found {
                match before.iter().find(|alert| alert.code == found.code) {
                    None => changes.push(AlertChange::Raised(raise(conn, found, now)?)),
                    Some(alert) => {
                        changes.extend(see_again(conn, alert, found, now)?.map(AlertChange::Grown));
                    }
                }
            }
            for alert in before {
                let stands = found.iter().any(|found| found.code == alert.code);
                if stands || !looked.contains(&alert.code) {
                    continue;
                }
                let gone = diesel::update(one_standing(alert.code))
                    .set(alerts::cleared_at.eq(now))
                    .execute(conn)?;
                if gone > 0 {
                    changes.push(AlertChange::Cleared(Alert {
                        cleared_at: Some(now),
                        ..alert
                    }));
                }
            }
            for change in &changes {
                let (subject, text) = words(change);
                notifications::alert_in_tx(conn, change.code().as_str(), &subject, &text, now)?;
            }
            failpoint!("alerts.writing");
            Ok(())
        })
    }
}

impl AlertChange {
    fn code(&self) -> AlertCode {
        match self {
            Self::Raised(alert) | Self::Grown(alert) | Self::Cleared(alert) => alert.code,
        }
    }
}

fn standing(conn: &mut AnyConnection) -> Result<Vec<Alert>, StoreError> {
    Ok(alerts::table
        .filter(alerts::cleared_at.is_null())
        .order((alerts::raised_at, alerts::code))
        .load(conn)?)
}

#[diesel::dsl::auto_type]
fn one_standing(code: AlertCode) -> _ {
    alerts::table
        .filter(alerts::code.eq(code))
        .filter(alerts::cleared_at.is_null())
}

/// A new row; or the one that was raised and cleared in this very millisecond, anew.
fn raise(conn: &mut AnyConnection, found: &Found, now: Time) -> Result<Alert, StoreError> {
    let alert = Alert {
        code: found.code,
        raised_at: now,
        severity: found.code.severity(),
        found: found.text.clone(),
        seen_at: now,
        told_at: now,
        told_count: found.count.unwrap_or(0),
        told_cents: found.amount_cents.unwrap_or(0),
        cleared_at: None,
    };
    let anew = diesel::update(
        alerts::table
            .filter(alerts::code.eq(alert.code))
            .filter(alerts::raised_at.eq(now)),
    )
    .set((
        alerts::cleared_at.eq(None::<Time>),
        alerts::found.eq(&alert.found),
        alerts::told_at.eq(now),
        alerts::told_count.eq(alert.told_count),
        alerts::told_cents.eq(alert.told_cents),
    ))
    .execute(conn)?;
    if anew == 0 {
        diesel::insert_into(alerts::table)
            .values(&alert)
            .execute(conn)?;
    }
    Ok(alert)
}

/// An alert that stands: as it is now, if it has grown and no other process was faster to
/// tell so.
fn see_again(
    conn: &mut AnyConnection,
    before: &Alert,
    found: &Found,
    now: Time,
) -> Result<Option<Alert>, StoreError> {
    let (count, cents) = (found.count.unwrap_or(0), found.amount_cents.unwrap_or(0));
    let has_grown = before.has_grown(found, now);
    let (told_at, told_count, told_cents) = if has_grown {
        (now, count, cents)
    } else {
        let (least_count, least_cents) =
            (before.told_count.min(count), before.told_cents.min(cents));
        (before.told_at, least_count, least_cents)
    };
    let alert = Alert {
        found: found.text.clone(),
        seen_at: now,
        told_at,
        told_count,
        told_cents,
        ..before.clone()
    };
    let seen = diesel::update(
        one_standing(before.code)
            .filter(alerts::told_count.eq(before.told_count))
            .filter(alerts::told_cents.eq(before.told_cents)),
    )
    .set((
        alerts::found.eq(&alert.found),
        alerts::seen_at.eq(now),
        alerts::told_at.eq(alert.told_at),
        alerts::told_count.eq(alert.told_count),
        alerts::told_cents.eq(alert.told_cents),
    ))
    .execute(conn)?;
    Ok((has_grown && seen > 0).then_some(alert))
}
