//! The history of a payout: a chain of rows, each of whose hashes covers the
//! row before, so that a changed, removed or swapped row shows.

use chrono::NaiveDateTime;
use sha2::{Digest, Sha256};

use crate::model::ids::{PayoutId, RunId};
use crate::model::payout::PayoutStatus;
use crate::model::schema::{payout_history, payout_history_heads};
use crate::model::time::Time;
use crate::model::{text_column, text_enum};

text_enum! {
    /// What happened.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub enum HistoryEvent {
        /// The payout was created.
        Created = "created",
        /// A run claimed it.
        Claimed = "claimed",
        /// A run took over the unresolved attempt of a dead one.
        TakenOver = "taken_over",
        /// Its transfer was answered.
        Paid = "paid",
        /// Its transfer was found at Stripe.
        Adopted = "adopted",
        /// Stripe said a definite no.
        Declined = "declined",
        /// Nothing was sent; it went back to the queue.
        Returned = "returned",
        /// Nobody knows what became of the send.
        Unknown = "unknown",
        /// Stripe holds something that does not fit; a person must look.
        Alarm = "alarm",
        /// A hold was set on it.
        Held = "held",
        /// The hold on it was lifted.
        Released = "released",
        /// Some of its transfer was taken back at Stripe; the status stays.
        Reversed = "reversed",
        /// A row that this database had lost was made again from its transfer.
        Restored = "restored",
        /// After a definite no it was put back into the queue.
        Retried = "retried",
        /// Somebody approved what it is now.
        Approved = "approved",
        /// Its approvals were taken back.
        ApprovalWithdrawn = "approval_withdrawn",
        /// It was ended without having been sent.
        Cancelled = "cancelled",
        /// A person closed an attempt without proof; it went back to the queue.
        Closed = "closed",
    }
}
text_column!(HistoryEvent);

/// A row of the history.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_history, treat_none_as_default_value = false)]
pub struct HistoryRow {
    /// Whose history.
    pub payout_id: PayoutId,
    /// 1, 2, …
    pub seq: i32,
    /// What happened.
    pub event: HistoryEvent,
    /// The status before; none for a new payout.
    pub from_status: Option<String>,
    /// The status after.
    pub to_status: String,
    /// When.
    pub at: Time,
    /// Who.
    pub actor: String,
    /// In which run.
    pub run_id: RunId,
    /// Why, in words.
    pub reason: Option<String>,
    /// See [`chain_hash`].
    pub hash: String,
}

/// The end of a payout's chain.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_history_heads, treat_none_as_default_value = false)]
pub struct HistoryHead {
    /// Whose chain.
    pub payout_id: PayoutId,
    /// How long it is.
    pub seq: i32,
    /// The last row's hash.
    pub hash: String,
}

/// A change that is about to be written to the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub payout_id: PayoutId,
    /// What happened.
    pub event: HistoryEvent,
    /// The status before; none for a new payout.
    pub from: Option<PayoutStatus>,
    /// The status after.
    pub to: PayoutStatus,
    /// Why, in words.
    pub reason: Option<String>,
}

impl Change {
    /// The row this change becomes behind the given end of the chain.
    pub fn into_row(
        self,
        head: Option<&HistoryHead>,
        at: Time,
        actor: &str,
        run: &RunId,
    ) -> HistoryRow {
        let seq = head.map_or(0, |h| h.seq).saturating_add(1);
        let mut row = HistoryRow {
            payout_id: self.payout_id,
            seq,
            event: self.event,
            from_status: self.from.map(|s| s.as_str().to_owned()),
            to_status: self.to.as_str().to_owned(),
            at,
            actor: actor.to_owned(),
            run_id: run.clone(),
            reason: self.reason,
            hash: String::new(),
        };
        row.hash = chain_hash(head.map_or("", |h| h.hash.as_str()), &row);
        row
    }
}

/// SHA-256, in lowercase hex, over the previous row's hash and every field of
/// this row, each preceded by its length so that no two rows read alike.
pub fn chain_hash(previous: &str, row: &HistoryRow) -> String {
    let seq = row.seq.to_string();
    let at = row.at.to_string();
    hash_of([
        Some(previous),
        Some(row.payout_id.as_str()),
        Some(&seq),
        Some(row.event.as_str()),
        row.from_status.as_deref(),
        Some(&row.to_status),
        Some(&at),
        Some(&row.actor),
        Some(row.run_id.as_str()),
        row.reason.as_deref(),
    ])
}

fn hash_of(fields: [Option<&str>; 10]) -> String {
    let mut hasher = Sha256::new();
    for field in fields {
        match field {
            Some(text) => {
                hasher.update([1]);
                hasher.update((text.len() as u64).to_be_bytes());
                hasher.update(text.as_bytes());
            }
            None => hasher.update([0]),
        }
    }
    hex(&hasher.finalize())
}

/// A row of the history as the database holds it, whatever somebody made of it:
/// it need not be one that this tool could have written.
#[derive(Debug, Clone, PartialEq, Eq, diesel::prelude::Queryable)]
pub struct StoredRow {
    /// Whose history.
    pub payout_id: PayoutId,
    /// 1, 2, …
    pub seq: i64,
    /// What happened.
    pub event: String,
    /// The status before; none for a new payout.
    pub from_status: Option<String>,
    /// The status after.
    pub to_status: String,
    /// When, as the database writes it.
    pub at: String,
    /// Who.
    pub actor: String,
    /// In which run.
    pub run_id: RunId,
    /// Why, in words.
    pub reason: Option<String>,
    /// See [`chain_hash`].
    pub hash: String,
}

impl StoredRow {
    /// The hash this row would bear behind one with the hash `previous`; none when
    /// its moment is none that this tool writes.
    pub fn hash_behind(&self, previous: &str) -> Option<String> {
        let at = self.moment()?.to_string();
        let seq = self.seq.to_string();
        Some(hash_of([
            Some(previous),
            Some(self.payout_id.as_str()),
            Some(&seq),
            Some(&self.event),
            self.from_status.as_deref(),
            Some(&self.to_status),
            Some(&at),
            Some(&self.actor),
            Some(self.run_id.as_str()),
            self.reason.as_deref(),
        ]))
    }

    /// Whole milliseconds only: a part of one would be cut off unseen.
    fn moment(&self) -> Option<Time> {
        let at = NaiveDateTime::parse_from_str(&self.at, "%Y-%m-%d %H:%M:%S%.f").ok()?;
        let time = Time::from_utc(at);
        (time.utc().naive_utc() == at).then_some(time)
    }
}

/// A hash over a set of history rows, whatever their order: the exclusive or of
/// each row's own SHA-256. A run keeps one over all it wrote, so that rows cut
/// off the end of a chain are missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadsHash([u8; 32]);

impl HeadsHash {
    /// Takes in a row. Taking it in again takes it out.
    pub fn absorb(&mut self, payout: &PayoutId, seq: i64, hash: &str) {
        let digest = Sha256::digest(format!("{payout} {seq} {hash}"));
        for (mine, its) in self.0.iter_mut().zip(digest) {
            *mine ^= its;
        }
    }

    /// Takes in what a committed transaction wrote.
    pub fn merge(&mut self, other: Self) {
        for (mine, its) in self.0.iter_mut().zip(other.0) {
            *mine ^= its;
        }
    }

    /// Lowercase hex.
    pub fn to_hex(self) -> String {
        hex(&self.0)
    }
}

/// Lowercase hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}
