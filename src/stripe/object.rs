//! What is read of Stripe's objects. Unknown fields are ignored; `object` and
//! the prefix of the id are checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

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

/// A page of a list. One odd entry does not spoil the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferPage {
    /// Newest first.
    pub transfers: Vec<Transfer>,
    /// Entries that cannot be read as transfers.
    pub odd: Vec<OddEntry>,
    /// More lie behind [`TransferPage::last_id`].
    pub has_more: bool,
    /// Where the next page begins.
    pub last_id: Option<String>,
}

/// An entry of a list that is not what the list is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddEntry {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// What is wrong with it.
    pub error: Unreadable,
}

impl TransferPage {
    /// Reads a page from an answer's body.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct RawPage {
            object: String,
            data: Vec<Value>,
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
        let last_id = raw
            .data
            .last()
            .and_then(|v| v.get("id"))
            .and_then(Value::as_str)
            .map(str::to_owned);
        if raw.has_more && last_id.is_none() {
            let reason = "it says there is more but names no last entry".to_owned();
            return Err(Unreadable {
                expected: "list",
                reason,
            });
        }
        let mut page = Self {
            transfers: Vec::new(),
            odd: Vec::new(),
            has_more: raw.has_more,
            last_id,
        };
        for entry in raw.data {
            let id = entry.get("id").and_then(Value::as_str).map(str::to_owned);
            let read = serde_json::from_value::<RawTransfer>(entry)
                .map_err(|e| unreadable("transfer", &e))
                .and_then(Transfer::from_raw);
            match read {
                Ok(transfer) => page.transfers.push(transfer),
                Err(error) => page.odd.push(OddEntry { id, error }),
            }
        }
        Ok(page)
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
        assert_eq!((page.transfers.len(), page.odd.len()), (1, 1));
        assert!(TransferPage::read(br#"{"object":"list","has_more":true,"data":[]}"#).is_err());
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
