//! Mails that are to be sent: what each is about, to whom, and what became of it.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::model::history::{HistoryEvent, HistoryRow, hex};
use crate::model::ids::RunId;
use crate::model::payout::PayoutStatus;
use crate::model::schema::{payout_notification_switches, payout_notifications};
use crate::model::time::Time;
use crate::model::{text_column, text_enum};

text_enum! {
    /// What a mail tells.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub enum NotificationKind {
        /// A creator: a payout was paid.
        Paid = "paid",
        /// A creator: a payout failed, and they can do something about it.
        Failed = "failed",
        /// Operators: a run left something that needs a person.
        Digest = "digest",
        /// Operators: `payouts check` raised an alert, or it is over.
        Alert = "alert",
    }
}
text_column!(NotificationKind);

impl NotificationKind {
    /// Whether it goes to a creator; else to the operators.
    pub const fn is_for_creator(self) -> bool {
        matches!(self, Self::Paid | Self::Failed)
    }
}

text_enum! {
    /// Where a mail stands.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub enum NotificationState {
        /// It is to be sent.
        Waiting = "waiting",
        /// A run sends it, or was killed while it did.
        Sending = "sending",
        /// A mail server took it.
        Sent = "sent",
        /// It was given up.
        Failed = "failed",
        /// What it would say is not so any more, or nobody wants to hear it.
        Dropped = "dropped",
        /// There is nowhere to send it.
        NoAddress = "no_address",
    }
}
text_column!(NotificationState);

/// A row of `payout_notifications`: one mail to one person.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_notifications, treat_none_as_default_value = false)]
pub struct Notification {
    /// Made of what it is about, so that the same thing is told once: `paid:ID`.
    pub id: String,
    /// What it tells.
    pub kind: NotificationKind,
    /// A payout, a run, or the code of an alert.
    pub about: String,
    /// To whom; of a creator's mail, where it went when it was last tried.
    pub recipient: Option<String>,
    /// Of an alert: its subject.
    pub subject: Option<String>,
    /// Of an alert: its text.
    pub body: Option<String>,
    /// Where it stands.
    pub state: NotificationState,
    /// When what it tells happened.
    pub created_at: Time,
    /// From when on it may be sent.
    pub due_at: Time,
    /// How often sending it was tried.
    pub tries: i32,
    /// The run that sends it, or did.
    pub run_id: Option<RunId>,
    /// Until when that run has it.
    pub lease_until: Option<Time>,
    /// Why it waits, was dropped or was given up, in words.
    pub reason: Option<String>,
    /// When it was sent, dropped or given up.
    pub settled_at: Option<Time>,
    /// What it says, where that decides whether the next one is the same again: a digest
    /// of all, of a failure its code.
    pub fingerprint: Option<String>,
}

impl Notification {
    /// A mail that waits from now on.
    pub fn new(id: String, kind: NotificationKind, about: String, now: Time) -> Self {
        Self {
            id,
            kind,
            about,
            recipient: None,
            subject: None,
            body: None,
            state: NotificationState::Waiting,
            created_at: now,
            due_at: now,
            tries: 0,
            run_id: None,
            lease_until: None,
            reason: None,
            settled_at: None,
            fingerprint: None,
        }
    }

    /// What a row of the history gives a creator to hear, whatever they want to hear.
    /// A payout is paid once, however that was found; it can fail each time it is
    /// tried. What an operator ends or puts back is no news to its creator.
    pub fn of(row: &HistoryRow) -> Option<Self> {
        let is = |status: PayoutStatus| row.to_status == status.as_str();
        let was = row.from_status.as_deref();
        let (id, kind) =
            if is(PayoutStatus::Completed) && was != Some(PayoutStatus::Completed.as_str()) {
                (format!("paid:{}", row.payout_id), NotificationKind::Paid)
            } else if is(PayoutStatus::Failed) && row.event == HistoryEvent::Declined {
                (
                    format!("failed:{}:{}", row.payout_id, row.seq),
                    NotificationKind::Failed,
                )
            } else {
                return None;
            };
        let mut made = Self::new(id, kind, row.payout_id.to_string(), row.at);
        if kind == NotificationKind::Failed {
            made.due_at = row.at.plus(FAILED_WAITS);
        }
        Some(made)
    }

    /// The part of its Message-ID before the `@`: the same however often and by whatever
    /// program it is sent, so that mail servers and readers know a second one for what it is.
    pub fn message_id(&self, database: &str) -> String {
        hex(&Sha256::digest(format!("{database}\n{}", self.id)))[..40].to_owned()
    }
}

/// A row of `payout_notification_switches`.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_notification_switches, treat_none_as_default_value = false)]
pub struct NotificationSwitch {
    /// Which mails.
    pub kind: NotificationKind,
    /// Whose; empty: everybody's.
    pub creator_id: String,
    /// Whether they are sent.
    pub is_on: bool,
    /// Since when.
    pub changed_at: Time,
    /// The run that said so.
    pub run_id: RunId,
}

impl NotificationSwitch {
    /// Whether it is about everybody's mails, and not one creator's.
    pub fn is_for_everybody(&self) -> bool {
        self.creator_id.is_empty()
    }

    /// The kinds that are switched on, in their order.
    pub fn kinds_on(switches: &[Self]) -> Vec<NotificationKind> {
        let is_on = |kind: &NotificationKind| {
            switches
                .iter()
                .any(|switch| switch.kind == *kind && switch.is_for_everybody() && switch.is_on)
        };
        NotificationKind::ALL
            .iter()
            .copied()
            .filter(is_on)
            .collect()
    }
}

/// Before a creator hears of a failure, operators have so long to see it: what is their own
/// mistake, such as a key of the wrong mode, makes every account look closed.
pub const FAILED_WAITS: Duration = Duration::from_secs(60 * 60);

/// The commands whose runs a digest is made of: those that move payouts or look at them
/// without somebody who watches.
pub const DIGESTED: [&str; 6] = [
    "process",
    "retry",
    "resolve",
    "reconcile",
    "events pull",
    "events listen",
];

/// A run has a mail so long. Twice what the slowest server can take for one: some twelve
/// answers of [`ANSWER_PATIENCE`] each.
pub const MAIL_LEASE: Duration = Duration::from_secs(15 * 60);

/// A mail server answers within this time.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// How long a mail waits after each try that failed for now. After the last one it is given
/// up, which is five days: as long as mail servers themselves try. Source: RFC 5321, 4.5.4.1.
const WAITS: [Duration; 12] = {
    const fn minutes(count: u64) -> Duration {
        Duration::from_secs(count * 60)
    }
    [
        minutes(5),
        minutes(15),
        minutes(30),
        minutes(60),
        minutes(2 * 60),
        minutes(4 * 60),
        minutes(8 * 60),
        minutes(12 * 60),
        minutes(24 * 60),
        minutes(24 * 60),
        minutes(24 * 60),
        minutes(24 * 60),
    ]
};

/// When a mail is tried again that failed so often; none when it is given up.
pub fn next_try(tries: i32, now: Time) -> Option<Time> {
    let index = usize::try_from(tries.max(1)).unwrap_or(1) - 1;
    WAITS.get(index).map(|wait| now.plus(*wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_tried_for_five_days() {
        let now: Time = "2026-11-01T12:00:00Z".parse().unwrap();
        let (mut at, mut tries) = (now, 1);
        while let Some(next) = next_try(tries, at) {
            assert!(next > at);
            (at, tries) = (next, tries + 1);
        }
        assert_eq!(tries, 13);
        assert!(at.millis_since(now) > 4 * 86_400_000 && at.millis_since(now) < 6 * 86_400_000);
    }

    #[test]
    fn a_message_id_is_made_of_the_database_and_of_what_it_is_about() {
        let now: Time = "2026-11-01T12:00:00Z".parse().unwrap();
        let of = |id: &str, database| {
            Notification::new(id.to_owned(), NotificationKind::Paid, "p".to_owned(), now)
                .message_id(database)
        };
        assert_eq!(of("paid:p", "d"), of("paid:p", "d"));
        assert_ne!(of("paid:p", "d"), of("paid:p", "e"));
        assert_ne!(of("paid:p", "d"), of("paid:q", "d"));
        assert!(
            of("paid:\r\nBcc: x@y", "d")
                .chars()
                .all(|c| c.is_ascii_hexdigit())
        );
    }
}
