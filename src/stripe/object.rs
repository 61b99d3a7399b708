//! What is read of Stripe's objects. Unknown fields are ignored; `object` and
//! the prefix of the id are checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::money::Currency;
use crate::model::time::Time;

/// An answer that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a Stripe {expected}: {reason}")]
pub struct Unreadable {
    /// What was expected.
    pub expected: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// A transfer. It has no status: one that exists has happened.
///
/// Source: Stripe API reference, "The Transfer object".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// `tr_…`.
    pub id: String,
    /// Minor units.
    pub amount: i64,
    /// Of the amount, what was taken back.
    pub amount_reversed: i64,
    /// Lowercase code, as Stripe wrote it.
    pub currency: String,
    /// `acct_…`.
    pub destination: Option<String>,
    /// When it was made.
    pub created: Time,
    /// Real money.
    pub livemode: bool,
    /// Its pairs.
    pub metadata: BTreeMap<String, String>,
    /// The payout's id, on transfers of ours.
    pub transfer_group: Option<String>,
    /// Each time something of it was taken back, as far as Stripe sends them along:
    /// the newest ten.
    pub reversals: Vec<Reversal>,
}

/// A time when something of a transfer was taken back.
///
/// Source: Stripe API reference, "The Transfer Reversal object".
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reversal {
    /// `trr_…`.
    pub id: String,
    /// Minor units, positive.
    pub amount: i64,
    #[serde(deserialize_with = "from_unix_seconds")]
    /// When.
    pub created: Time,
}

fn from_unix_seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    i64::deserialize(deserializer).map(Time::from_unix_seconds)
}

#[derive(Deserialize)]
struct RawTransfer {
    id: String,
    object: String,
    amount: i64,
    #[serde(default)]
    amount_reversed: i64,
    currency: String,
    #[serde(default)]
    destination: Option<Value>,
    created: i64,
    livemode: bool,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    transfer_group: Option<String>,
    #[serde(default)]
    reversals: Option<RawReversals>,
}

#[derive(Deserialize)]
struct RawReversals {
    data: Vec<Reversal>,
}

impl Transfer {
    /// Reads a transfer from an answer's body.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let raw: RawTransfer =
            serde_json::from_slice(body).map_err(|e| unreadable("transfer", &e))?;
        Self::from_raw(raw)
    }

    fn from_raw(raw: RawTransfer) -> Result<Self, Unreadable> {
        if raw.object != "transfer" || !raw.id.starts_with("tr_") {
            let reason = format!("it is a {:?} with id {:?}", raw.object, raw.id);
            return Err(Unreadable {
                expected: "transfer",
                reason,
            });
        }
        Ok(Self {
            id: raw.id,
            amount: raw.amount,
            amount_reversed: raw.amount_reversed,
            currency: raw.currency,
            destination: raw.destination.as_ref().and_then(id_of),
            created: Time::from_unix_seconds(raw.created),
            livemode: raw.livemode,
            metadata: raw.metadata.unwrap_or_default(),
            transfer_group: raw.transfer_group,
            reversals: raw.reversals.map(|list| list.data).unwrap_or_default(),
        })
    }

    /// Every payout that this transfer may pay: each that its metadata names, and
    /// its group.
    pub fn payouts_named(&self) -> impl Iterator<Item = &str> {
        let entries = ["payout_id", "payoutId"].map(|entry| self.metadata.get(entry));
        let mut names: Vec<&str> = entries.into_iter().flatten().map(String::as_str).collect();
        names.extend(self.transfer_group.as_deref());
        names.sort_unstable();
        names.dedup();
        names.into_iter()
    }

    /// The payout this transfer says it pays, by its metadata or its group.
    pub fn payout_named(&self) -> Option<&str> {
        self.metadata
            .get("payout_id")
            .or_else(|| self.metadata.get("payoutId"))
            .map(String::as_str)
            .or(self.transfer_group.as_deref())
    }
}

/// An id, or the id of an expanded object.
fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::String(id) => Some(id.clone()),
        Value::Object(object) => object.get("id").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    }
}

/// What a list of Stripe may be of.
pub trait Listed: Sized + Send + 'static {
    /// Its name, for people.
    const NAME: &'static str;
    /// Reads one entry.
    ///
    /// # Errors
    /// What it is instead.
    fn read(body: &[u8]) -> Result<Self, Unreadable>;
    /// Its id.
    fn id(&self) -> &str;
    /// When it was made; lists are in this order, newest first.
    fn created(&self) -> Time;
}

impl Listed for Transfer {
    const NAME: &'static str = "transfer";

    fn read(body: &[u8]) -> Result<Self, Unreadable> {
        Transfer::read(body)
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> Time {
        self.created
    }
}

impl Listed for Reversal {
    const NAME: &'static str = "reversal";

    fn read(body: &[u8]) -> Result<Self, Unreadable> {
        serde_json::from_slice(body).map_err(|e| unreadable(Self::NAME, &e))
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> Time {
        self.created
    }
}

/// A page of a list. One odd entry does not spoil the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Newest first.
    pub entries: Vec<T>,
    /// Entries that cannot be read.
    pub odd: Vec<OddEntry>,
    /// More lie behind [`Page::last_id`].
    pub has_more: bool,
    /// Where the next page begins.
    pub last_id: Option<String>,
}

/// A page of transfers.
pub type TransferPage = Page<Transfer>;

/// An entry of a list that is not what the list is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddEntry {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// What is wrong with it.
    pub error: Unreadable,
}

impl<T: Listed> Page<T> {
    /// Reads a page from an answer's body.
    ///
    /// # Errors
    /// When it is no list, or does not say how it goes on.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct RawPage<'a> {
            object: &'a str,
            #[serde(borrow)]
            data: Vec<&'a RawValue>,
            has_more: bool,
        }
        let raw: RawPage = serde_json::from_slice(body).map_err(|e| unreadable("list", &e))?;
        if raw.object != "list" {
            let reason = format!("it is a {:?}", raw.object);
            return Err(Unreadable {
                expected: "list",
                reason,
            });
        }
        let mut page = Self {
            entries: Vec::with_capacity(raw.data.len()),
            odd: Vec::new(),
            has_more: raw.has_more,
            last_id: raw.data.last().and_then(|entry| id_in(entry)),
        };
        if page.has_more && page.last_id.is_none() {
            let reason = "it says there is more but names no last entry".to_owned();
            return Err(Unreadable {
                expected: "list",
                reason,
            });
        }
        for entry in raw.data {
            match T::read(entry.get().as_bytes()) {
                Ok(read) => page.entries.push(read),
                Err(error) => page.odd.push(OddEntry {
                    id: id_in(entry),
                    error,
                }),
            }
        }
        Ok(page)
    }
}

/// The id of an object that may be anything.
fn id_in(entry: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }
    let named: Named = serde_json::from_str(entry.get()).ok()?;
    Some(named.id)
}

/// A line of the balance: what a transfer or a reversal did to it.
///
/// Source: Stripe API reference, "The Balance Transaction object".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceTransaction {
    /// `txn_…`.
    pub id: String,
    /// Minor units, negative where money left.
    pub amount: i64,
    /// Lowercase code, as Stripe wrote it.
    pub currency: String,
    /// When it was made.
    pub created: Time,
    /// What made it: `tr_…`, `trr_…`.
    pub source: Option<String>,
    /// The transfer that made it, or that a reversal took back from, where Stripe was asked to
    /// send it along.
    pub transfer: Option<Transfer>,
}

impl Listed for BalanceTransaction {
    const NAME: &'static str = "balance transaction";

    fn read(body: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Raw<'a> {
            id: String,
            object: String,
            amount: i64,
            currency: String,
            created: i64,
            #[serde(borrow, default)]
            source: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct RawReversal<'a> {
            #[serde(borrow)]
            transfer: &'a RawValue,
        }
        let raw: Raw = serde_json::from_slice(body).map_err(|e| unreadable(Self::NAME, &e))?;
        if raw.object != "balance_transaction" {
            return Err(Unreadable {
                expected: Self::NAME,
                reason: format!("it is a {:?} with id {:?}", raw.object, raw.id),
            });
        }
        let transfer = raw.source.and_then(|source| {
            let reversal = serde_json::from_str::<RawReversal>(source.get());
            let transfer = reversal.map_or(source, |reversal| reversal.transfer);
            Transfer::read(transfer.get().as_bytes()).ok()
        });
        let source = raw.source.and_then(|source| {
            let id: Result<String, _> = serde_json::from_str(source.get());
            id.ok().or_else(|| id_in(source))
        });
        Ok(Self {
            id: raw.id,
            amount: raw.amount,
            currency: raw.currency,
            created: Time::from_unix_seconds(raw.created),
            source,
            transfer,
        })
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> Time {
        self.created
    }
}

/// A transfer that was made, as an event says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// `tr_…`.
    pub transfer: String,
    /// The idempotency key it was made under; none where it was made by hand.
    pub key: Option<String>,
}

/// A page of events of the type `transfer.created`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreationPage {
    /// Newest first.
    pub made: Vec<Creation>,
    /// More lie behind [`CreationPage::last_id`].
    pub has_more: bool,
    /// Where the next page begins.
    pub last_id: Option<String>,
}

impl CreationPage {
    /// Reads a page from an answer's body. One odd event spoils it: it may be the
    /// one that is looked for.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct RawPage {
            data: Vec<RawEvent>,
            has_more: bool,
        }
        #[derive(Deserialize)]
        struct RawEvent {
            id: String,
            data: RawData,
            request: Option<RawRequest>,
        }
        #[derive(Deserialize)]
        struct RawData {
            object: RawObject,
        }
        #[derive(Deserialize)]
        struct RawObject {
            id: String,
        }
        #[derive(Deserialize)]
        struct RawRequest {
            idempotency_key: Option<String>,
        }
        let raw: RawPage =
            serde_json::from_slice(body).map_err(|e| unreadable("list of events", &e))?;
        let last_id = raw.data.last().map(|event| event.id.clone());
        if raw.has_more && last_id.is_none() {
            return Err(Unreadable {
                expected: "list of events",
                reason: "it says there is more but names no last entry".to_owned(),
            });
        }
        let made = raw.data.into_iter().map(|event| Creation {
            transfer: event.data.object.id,
            key: event.request.and_then(|request| request.idempotency_key),
        });
        Ok(Self {
            made: made.collect(),
            has_more: raw.has_more,
            last_id,
        })
    }
}

/// What can be transferred now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// Available card funds in the asked currency, minor units; may be negative.
    pub available_cents: i64,
    /// Real money.
    pub livemode: bool,
}

impl Balance {
    /// Reads the available card funds of one currency. Transfers draw on the
    /// `card` source unless told otherwise; an entry without a split counts whole.
    pub fn read(body: &[u8], currency: Currency) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct RawBalance {
            object: String,
            livemode: bool,
            available: Vec<RawFunds>,
        }
        #[derive(Deserialize)]
        struct RawFunds {
            amount: i64,
            currency: String,
            #[serde(default)]
            source_types: Option<BTreeMap<String, i64>>,
        }
        let raw: RawBalance =
            serde_json::from_slice(body).map_err(|e| unreadable("balance", &e))?;
        if raw.object != "balance" {
            let reason = format!("it is a {:?}", raw.object);
            return Err(Unreadable {
                expected: "balance",
                reason,
            });
        }
        let available_cents = raw
            .available
            .iter()
            .filter(|funds| funds.currency == currency.as_str())
            .map(|funds| match &funds.source_types {
                Some(split) => split.get("card").copied().unwrap_or(0),
                None => funds.amount,
            })
            .fold(0_i64, i64::saturating_add);
        Ok(Self {
            available_cents,
            livemode: raw.livemode,
        })
    }
}

/// Reads the id of the account a key belongs to.
pub(crate) fn account_id(body: &[u8]) -> Result<String, Unreadable> {
    #[derive(Deserialize)]
    struct RawAccount {
        id: String,
        object: String,
    }
    let raw: RawAccount = serde_json::from_slice(body).map_err(|e| unreadable("account", &e))?;
    if raw.object != "account" || !raw.id.starts_with("acct_") {
        let reason = format!("it is a {:?} with id {:?}", raw.object, raw.id);
        return Err(Unreadable {
            expected: "account",
            reason,
        });
    }
    Ok(raw.id)
}

fn unreadable(expected: &'static str, error: &serde_json::Error) -> Unreadable {
    Unreadable {
        expected,
        reason: error.to_string(),
    }
}

/// What is read of an error body.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ErrorBody {
    /// `invalid_request_error`, `api_error`, …
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// `balance_insufficient`, …
    #[serde(default)]
    pub code: Option<String>,
    /// For people.
    #[serde(default)]
    pub message: Option<String>,
    /// Which parameter.
    #[serde(default)]
    pub param: Option<String>,
}

impl ErrorBody {
    /// Reads `{"error": {…}}`; none when the body is anything else.
    pub fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Envelope {
            error: ErrorBody,
        }
        serde_json::from_slice::<Envelope>(body)
            .ok()
            .map(|envelope| envelope.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_read_with_an_id_or_an_expanded_destination() {
        for destination in [r#""acct_1""#, r#"{"id":"acct_1","object":"account"}"#] {
            let body = format!(
                r#"{{"id":"tr_1","object":"transfer","amount":5,"currency":"usd","created":7,
                    "livemode":false,"destination":{destination},"new_field":{{}},"transfer_group":null}}"#
            );
            let transfer = Transfer::read(body.as_bytes()).unwrap();
            assert_eq!(transfer.destination.as_deref(), Some("acct_1"));
            assert_eq!(transfer.amount_reversed, 0);
        }
    }

    #[test]
    fn what_is_not_a_transfer_is_refused() {
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"id":"tr_1","object":"charge","amount":5,"currency":"usd","created":7,"livemode":false}"#,
            r#"{"id":"ch_1","object":"transfer","amount":5,"currency":"usd","created":7,"livemode":false}"#,
        ] {
            assert!(Transfer::read(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn one_odd_entry_does_not_spoil_a_page() {
        let body = r#"{"object":"list","has_more":false,"data":[{"id":"x"},
            {"id":"tr_1","object":"transfer","amount":5,"currency":"usd","created":7,"livemode":false}]}"#;
        let page = TransferPage::read(body.as_bytes()).unwrap();
        assert_eq!((page.entries.len(), page.odd.len()), (1, 1));
        assert_eq!(page.odd[0].id.as_deref(), Some("x"));
        assert!(TransferPage::read(br#"{"object":"list","has_more":true,"data":[]}"#).is_err());
    }

    #[test]
    fn a_line_of_the_balance_names_what_made_it() {
        let line = |source: &str| {
            let body = format!(
                r#"{{"id":"txn_1","object":"balance_transaction","amount":-5,"currency":"usd","created":7,
                    "type":"transfer","source":{source}}}"#
            );
            BalanceTransaction::read(body.as_bytes()).unwrap()
        };
        assert_eq!(line(r#""tr_1""#).source.as_deref(), Some("tr_1"));
        assert_eq!(line("null").source, None);
        let expanded = line(
            r#"{"id":"trr_1","object":"transfer_reversal","amount":5,"created":9,
                "transfer":{"id":"tr_1","object":"transfer","amount":5,"amount_reversed":5,"currency":"usd",
                "created":7,"livemode":false,
                "reversals":{"data":[{"id":"trr_1","amount":5,"created":9}],"has_more":false}}}"#,
        );
        assert_eq!(expanded.source.as_deref(), Some("trr_1"));
        let transfer = expanded.transfer.unwrap();
        assert_eq!((transfer.amount_reversed, transfer.reversals.len()), (5, 1));
    }

    #[test]
    fn only_available_card_funds_of_the_currency_count() {
        let body = br#"{"object":"balance","livemode":false,"pending":[{"amount":9,"currency":"usd"}],
            "available":[{"amount":30,"currency":"usd","source_types":{"card":10,"bank_account":20}},
                         {"amount":5,"currency":"eur"}]}"#;
        assert_eq!(
            Balance::read(body, Currency::USD).unwrap().available_cents,
            10
        );
        assert_eq!(
            Balance::read(body, "eur".parse().unwrap())
                .unwrap()
                .available_cents,
            5
        );
        assert_eq!(
            Balance::read(body, "gbp".parse().unwrap())
                .unwrap()
                .available_cents,
            0
        );
    }
}
