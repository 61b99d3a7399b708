//! The objects that scripts read: a contract under [`SCHEMA`](super::SCHEMA).
//!
//! A field is documented here, is always there, and is `null` when it is not
//! known. Amounts are integers in minor units beside their currency; moments are
//! RFC 3339 in UTC. Nothing else in the crate names a field of these.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::model::listing::{ListedPayout, Totals};
use crate::model::money::Currency;
use crate::model::payout::PayoutStatus;
use crate::model::time::Time;

/// A payout, in lists and wherever else one is shown. Also a line of CSV.
#[derive(Debug, Serialize)]
pub struct PayoutView<'a> {
    /// Primary key.
    pub id: &'a str,
    /// `PENDING`, `PROCESSING`, `COMPLETED` or `FAILED`.
    pub status: &'static str,
    /// Minor units.
    pub amount_cents: i32,
    /// Lowercase code.
    pub currency: &'static str,
    /// Whom it pays.
    pub creator_id: &'a str,
    /// Their name on stage.
    pub creator_name: Option<&'a str>,
    /// The statement it settles.
    pub royalty_statement_id: Option<&'a str>,
    /// `tr_…`, once a transfer is proven.
    pub stripe_transfer_id: Option<&'a str>,
    /// Stripe's code in the last answer; null once it is paid.
    pub failed_code: Option<&'a str>,
    /// Why it failed, in words.
    pub failed_reason: Option<&'a str>,
    /// Failed attempts.
    pub retry_count: i32,
    /// When the last attempt failed.
    pub last_retry_at: Option<String>,
    /// A hold on it, its creator, its batch or everything keeps it from being sent.
    pub held: bool,
    /// Stripe may have made a transfer that is not known here; looked up by the next run.
    pub unresolved: bool,
    /// The batch it was loaded with.
    pub batch_id: Option<&'a str>,
    /// The reference it was loaded under.
    pub reference: Option<&'a str>,
    /// When it was created.
    pub created_at: String,
    /// When any of its columns last changed.
    pub updated_at: String,
    /// The transfer's own time, once it is paid.
    pub processed_at: Option<String>,
}

impl<'a> PayoutView<'a> {
    /// The fields, in order: the header of a CSV.
    pub const FIELDS: [&'static str; 19] = [
        "id",
        "status",
        "amount_cents",
        "currency",
        "creator_id",
        "creator_name",
        "royalty_statement_id",
        "stripe_transfer_id",
        "failed_code",
        "failed_reason",
        "retry_count",
        "last_retry_at",
        "held",
        "unresolved",
        "batch_id",
        "reference",
        "created_at",
        "updated_at",
        "processed_at",
    ];

    /// Shows a payout whose amount is of this currency.
    pub fn of(listed: &'a ListedPayout, currency: Currency) -> Self {
        let payout = &listed.payout;
        Self {
            id: payout.id.as_str(),
            status: payout.status.as_str(),
            amount_cents: payout.amount_cents,
            currency: currency.as_str(),
            creator_id: payout.creator_id.as_str(),
            creator_name: listed.creator_name.as_deref(),
            royalty_statement_id: payout.royalty_statement_id.as_ref().map(|id| id.as_str()),
            stripe_transfer_id: payout.stripe_transfer_id.as_deref(),
            failed_code: listed.failed_code(),
            failed_reason: payout.failed_reason.as_deref(),
            retry_count: payout.retry_count,
            last_retry_at: moment(payout.last_retry_at),
            held: listed.is_held(),
            unresolved: listed.is_unresolved(),
            batch_id: listed.batch_id.as_ref().map(|id| id.as_str()),
            reference: listed.reference.as_deref(),
            created_at: payout.created_at.to_string(),
            updated_at: payout.updated_at.to_string(),
            processed_at: moment(payout.processed_at),
        }
    }
}

/// Count and sum for each status, whether or not there is any of it, and under
/// `all` of all together: `{"PENDING":{"count":1,"amount_cents":50000}, …}`.
pub fn totals(totals: &Totals) -> Value {
    let named = PayoutStatus::ALL
        .iter()
        .map(|status| (status.as_str(), totals.of(*status)))
        .chain([("all", totals.all())]);
    let members: Map<String, Value> = named
        .map(|(name, total)| {
            let value = json!({"count": total.count, "amount_cents": total.amount_cents});
            (name.to_owned(), value)
        })
        .collect();
    Value::Object(members)
}

/// RFC 3339 in UTC with milliseconds.
fn moment(time: Option<Time>) -> Option<String> {
    time.map(|time| time.to_string())
}
