//! `payout_alerts`: which alerts stand, so that each is told when it comes and when it goes.

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::alert::{Alert, AlertCode};
use crate::model::schema::payout_alerts as alerts;
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::{Store, StoreError, notifications};

/// What became of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertChange {
    /// It was not there before.
    Raised(Alert),
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
        found: &[(AlertCode, String)],
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
        found: &[(AlertCode, String)],
        looked: &[AlertCode],
        words: &impl Fn(&AlertChange) -> (String, String),
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            let before = standing(conn)?;
            let mut changes = Vec::new();
            for (code, text) in found {
                if !before.iter().any(|alert| alert.code == *code) {
                    changes.push(AlertChange::Raised(raise(conn, *code, text, now)?));
                    continue;
                }
                diesel::update(one_standing(*code))
                    .set((alerts::found.eq(text), alerts::seen_at.eq(now)))
                    .execute(conn)?;
            }
            for alert in before {
                let stands = found.iter().any(|(code, _)| *code == alert.code);
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
            Self::Raised(alert) | Self::Cleared(alert) => alert.code,
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
fn raise(
    conn: &mut AnyConnection,
    code: AlertCode,
    found: &str,
    now: Time,
) -> Result<Alert, StoreError> {
    let alert = Alert {
        code,
        raised_at: now,
        severity: code.severity(),
        found: found.to_owned(),
        seen_at: now,
        cleared_at: None,
    };
    let anew = diesel::update(
        alerts::table
            .filter(alerts::code.eq(code))
            .filter(alerts::raised_at.eq(now)),
    )
    .set((alerts::cleared_at.eq(None::<Time>), alerts::found.eq(found)))
    .execute(conn)?;
    if anew == 0 {
        diesel::insert_into(alerts::table)
            .values(&alert)
            .execute(conn)?;
    }
    Ok(alert)
}
