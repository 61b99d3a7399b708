//! One try at paying one payout: the row that is committed before its first
//! byte goes out, and the answers that came back.

use std::time::Duration;

use crate::model::ids::{PayoutId, RunId, StatementId};
use crate::model::money::Currency;
use crate::model::schema::{payout_answers, payout_attempts};
use crate::model::time::{Time, millis_of};
use crate::model::{text_column, text_enum};

text_enum! {
    /// What is known of an attempt.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub enum AttemptOutcome {
        /// Claimed; the first byte may be on its way.
        Sending = "sending",
        /// Stripe may or may not have made the transfer.
        Unknown = "unknown",
        /// The transfer exists.
        Paid = "paid",
        /// A definite no. The next attempt needs a new key.
        Declined = "declined",
        /// Nothing of it was executed. Re-opened under the same number.
        NotSent = "not_sent",
        /// Closed by a person without proof; still watched.
        Released = "released",
        /// A transfer beside a paid one: alarm.
        Surplus = "surplus",
    }
}
text_column!(AttemptOutcome);

impl AttemptOutcome {
    /// The outcomes under which nobody knows yet.
    pub const UNRESOLVED: [Self; 2] = [Self::Sending, Self::Unknown];

    /// Whether money may still move, or did move, under this attempt. The
    /// database forbids two such attempts of one payout.
    pub fn is_open_or_paid(self) -> bool {
        matches!(self, Self::Sending | Self::Unknown | Self::Paid)
    }

    /// Whether Stripe may have made a transfer under this attempt, or still may.
    pub fn may_have_paid(self) -> bool {
        !matches!(self, Self::Declined | Self::NotSent)
    }

    /// Whether nobody knows yet.
    pub fn is_unresolved(self) -> bool {
        Self::UNRESOLVED.contains(&self)
    }
}

/// The idempotency key of an attempt: the payout's id and the attempt's number,
/// never a clock or a random draw, so that whoever sends it again sends the same.
pub fn idempotency_key(payout: &PayoutId, attempt: i32) -> String {
    format!("payout_{payout}_{attempt}")
}

/// Stripe may forget a key after 24 hours, and the same key is then a new
/// transfer: an hour before that, nothing is sent under it any more.
pub const KEY_AGE_MAX: Duration = Duration::from_secs(23 * 3600);

/// A first send that seems to lie further ahead than this was written by a clock that
/// was set back since: how old its key is, nobody knows.
const KEY_AHEAD_MAX: Duration = Duration::from_secs(30 * 60);

/// Whether a key of this age, in milliseconds, may still be sent under.
pub fn key_is_young(age_millis: i64) -> bool {
    let (ahead, max) = (millis_of(KEY_AHEAD_MAX), millis_of(KEY_AGE_MAX));
    (-ahead..max).contains(&age_millis)
}

impl Attempt {
    /// How long ago it was first sent, by Stripe's clock, which is so far ahead of this
    /// machine's; milliseconds.
    pub fn key_age_millis(&self, now: Time, stripe_ahead_millis: i64) -> i64 {
        now.on_clock_ahead(stripe_ahead_millis)
            .millis_since(self.first_sent_at)
    }

    /// Whether Stripe still knows its key.
    pub fn key_is_young(&self, now: Time, stripe_ahead_millis: i64) -> bool {
        key_is_young(self.key_age_millis(now, stripe_ahead_millis))
    }
}

/// Characters that Stripe takes of a key and of a transfer group.
const NAME_CHARS_MAX: usize = 255;

/// Characters of a payout's id that leave room for the rest of its keys.
pub const PAYOUT_ID_CHARS_MAX: usize = NAME_CHARS_MAX - "payout__2147483647".len();

/// Whether a payout's id can be part of a key, which goes out in a header, and be a
/// transfer group. Rows of other software have whatever id it gave them.
pub fn can_be_sent(payout: &PayoutId) -> bool {
    let id = payout.as_str();
    (1..=PAYOUT_ID_CHARS_MAX).contains(&id.len())
        && id.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && id.trim() == id
}

/// The transfer group that pays this payout. None where no group can be called so,
/// and there is nothing to ask Stripe for.
pub fn group_of(payout: &PayoutId) -> Option<&str> {
    let id = payout.as_str();
    let may_be = !id.is_empty() && id.chars().count() <= NAME_CHARS_MAX;
    may_be.then_some(id)
}

/// A row of the attempt ledger.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_attempts, treat_none_as_default_value = false)]
pub struct Attempt {
    /// Whose attempt.
    pub payout_id: PayoutId,
    /// 1, 2, …
    pub attempt: i32,
    /// See [`idempotency_key`].
    pub idempotency_key: String,
    /// The exact form body; a resend repeats these bytes.
    pub body: String,
    /// Minor units.
    pub amount_cents: i32,
    /// Lowercase code.
    pub currency: Currency,
    /// `acct_…` of the creator.
    pub destination: String,
    /// The payout's id: the one exact look-up handle at Stripe.
    pub transfer_group: String,
    /// The statement it pays on, whatever the payout's row says by now.
    pub royalty_statement_id: Option<StatementId>,
    /// The platform's own `acct_…`; a key belongs to an account.
    pub stripe_account: String,
    /// Real money.
    pub livemode: bool,
    /// The `Stripe-Version` it is sent with.
    pub api_version: String,
    /// Who works on it.
    pub run_id: RunId,
    /// What is known.
    pub outcome: AttemptOutcome,
    /// When it was claimed, by this machine's clock.
    pub created_at: Time,
    /// In Stripe's time, never later than the first byte: the 24 hours after
    /// which Stripe may forget the key count from here.
    pub first_sent_at: Time,
    /// The last send that is on record.
    pub last_sent_at: Option<Time>,
    /// Sends that are on record; a crash may hide one.
    pub send_count: i32,
    /// A replayed 500 was seen: resending can tell nothing any more.
    pub stored_error: bool,
    /// When the outcome became final.
    pub settled_at: Option<Time>,
    /// Of the last answer.
    pub http_status: Option<i32>,
    /// Of the last answer.
    pub error_type: Option<String>,
    /// Of the last answer; what advice is keyed by.
    pub error_code: Option<String>,
    /// Of the last answer.
    pub error_message: Option<String>,
    /// `req_…` of the last answer, Stripe's handle for support.
    pub request_id: Option<String>,
    /// The last answer was Stripe's stored one.
    pub replayed: bool,
    /// `tr_…`, once proven.
    pub transfer_id: Option<String>,
}

/// One answer to one send, as it came: evidence, never judged again.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_answers, treat_none_as_default_value = false)]
pub struct AnswerRow {
    /// Whose attempt.
    pub payout_id: PayoutId,
    /// Which attempt.
    pub attempt: i32,
    /// 1, 2, … within the attempt.
    pub send: i32,
    /// When the request went out.
    pub sent_at: Time,
    /// When the answer, or the lack of one, was noticed.
    pub answered_at: Time,
    /// None when no answer came.
    pub http_status: Option<i32>,
    /// `req_…`.
    pub request_id: Option<String>,
    /// Stripe's stored answer.
    pub replayed: bool,
    /// How it was judged: the outcome in a word and, where there is one, the code.
    pub verdict: String,
    /// The first 4 KB of the answer, or what went wrong instead.
    pub body: String,
}

/// Bytes of an answer that are kept.
pub const ANSWER_BYTES_KEPT: usize = 4096;
