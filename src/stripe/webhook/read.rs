//! What is read of an event. Unknown fields and unknown types are ignored.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::time::Time;
use crate::stripe::object::Unreadable;

/// Bytes of a snapshot that are kept; a larger object is fetched instead.
pub const SNAPSHOT_BYTES_MAX: usize = 32 * 1024;
/// Bytes of an id, a type, an account or a version. Stripe's ids may have 255.
const NAME_BYTES_MAX: usize = 255;
/// What an event of the newer kind, which carries no snapshot, says it is.
const THIN: &str = "v2.core.event";

/// The types that are asked for and that mean something here. `transfer.paid` and
/// `transfer.failed` are history: understood where one comes, and never waited for.
pub const TYPES: [&str; 7] = [
    "transfer.created",
    "transfer.updated",
    "transfer.reversed",
    "transfer.paid",
    "transfer.failed",
    "account.updated",
    "capability.updated",
];

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A transfer.
    Transfer,
    /// Whether an account can take transfers.
    Account,
    /// Something that means nothing here.
    Nothing,
}

/// An event, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `evt_…`.
    pub id: String,
    /// `transfer.created`, …
    pub kind: String,
    /// What it is about.
    pub about: About,
    /// `tr_…` or `acct_…`, where it is about one.
    pub object_id: Option<String>,
    /// The connected account it happened on; none for the platform's own.
    pub account: Option<String>,
    /// Real money; none where it does not say.
    pub livemode: Option<bool>,
    /// The version in which the snapshot is written.
    pub api_version: Option<String>,
    /// When it happened, whole seconds.
    pub created: Time,
    /// The object as it was then; none where it carries none, or too large a one.
    pub snapshot: Option<String>,
}

#[derive(Deserialize)]
struct RawEvent<'a> {
    id: String,
    object: String,
    r#type: String,
    created: RawTime,
    livemode: Option<bool>,
    #[serde(default)]
    account: Option<String>,
    /// The connected account, as newer events have it.
    #[serde(default)]
    context: Option<String>,
    #[serde(default)]
    api_version: Option<String>,
    #[serde(borrow, default)]
    data: Option<RawData<'a>>,
    #[serde(default)]
    related_object: Option<Related>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawTime {
    Seconds(i64),
    Text(String),
}

#[derive(Deserialize)]
struct RawData<'a> {
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Related {
    id: String,
    r#type: String,
}

/// The ids in an object: a transfer and an account have their own, a capability that
/// of its account.
#[derive(Deserialize)]
struct Named {
    id: Option<String>,
    object: Option<String>,
    account: Option<String>,
}

impl Event {
    /// Reads an event from the body of a delivery, or an entry of a list.
    ///
    /// # Errors
    /// When it is none, or has names that no event has.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let raw: RawEvent<'_> =
            serde_json::from_slice(body).map_err(|error| unreadable(error.to_string()))?;
        let thin = raw.object == THIN;
        if !thin && raw.object != "event" {
            return Err(unreadable(format!("it is a {:?}", raw.object)));
        }
        let created = match raw.created {
            RawTime::Seconds(seconds) => Time::from_unix_seconds(seconds),
            RawTime::Text(text) => {
                let time: Time = text
                    .parse()
                    .map_err(|_| unreadable("it was created at no time".to_owned()))?;
                // As precise as the other kind, so that one is not newer for that alone.
                Time::from_unix_seconds(time.unix_seconds())
            }
        };
        let object = raw.data.and_then(|data| data.object);
        let (about, object_id) = match (&object, &raw.related_object) {
            (None, Some(related)) => about_related(&related.r#type, &related.id),
            (Some(object), _) => about_object(&raw.r#type, object.get()),
            (None, None) => (About::Nothing, None),
        };
        let account = raw.account.or(raw.context);
        for name in [Some(&raw.id), Some(&raw.r#type), object_id.as_ref()]
            .into_iter()
            .chain([account.as_ref(), raw.api_version.as_ref()])
            .flatten()
        {
            let odd = name.is_empty() || name.len() > NAME_BYTES_MAX;
            if odd || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
                return Err(unreadable("one of its names is none".to_owned()));
            }
        }
        let snapshot = object
            .filter(|_| about != About::Nothing)
            .map(RawValue::get)
            .filter(|object| object.len() <= SNAPSHOT_BYTES_MAX)
            .map(str::to_owned);
        Ok(Self {
            id: raw.id,
            kind: raw.r#type,
            about,
            object_id,
            account,
            livemode: raw.livemode,
            api_version: raw.api_version,
            created,
            snapshot,
        })
    }
}

fn unreadable(reason: String) -> Unreadable {
    Unreadable {
        expected: "event",
        reason,
    }
}

/// What a thin event is about. Its type need not be known: what it is about is
/// fetched and judged as it is by then.
fn about_related(kind: &str, id: &str) -> (About, Option<String>) {
    let about = match kind {
        "transfer" if id.starts_with("tr_") => About::Transfer,
        "account" | "v2.core.account" if id.starts_with("acct_") => About::Account,
        _ => return (About::Nothing, None),
    };
    (about, Some(id.to_owned()))
}

fn about_object(kind: &str, object: &str) -> (About, Option<String>) {
    let named: Option<Named> = serde_json::from_str(object).ok();
    let id = |object: &str, prefix: &str, of: fn(Named) -> Option<String>| {
        named
            .filter(|named| named.object.as_deref() == Some(object))
            .and_then(of)
            .filter(|id| id.starts_with(prefix))
    };
    let found = match kind {
        "account.updated" => (About::Account, id("account", "acct_", |named| named.id)),
        "capability.updated" => (
            About::Account,
            // An account has many; one of them is asked about.
            id("capability", "acct_", |named| {
                named
                    .account
                    .filter(|_| named.id.as_deref() == Some("transfers"))
            }),
        ),
        kind if TYPES.contains(&kind) => (About::Transfer, id("transfer", "tr_", |named| named.id)),
        _ => return (About::Nothing, None),
    };
    match found {
        (_, None) => (About::Nothing, None),
        found => found,
    }
}

/// Whether an account can take transfers, as an account or a capability says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// `active`, `inactive`, `pending`, …; `unrequested` where the account lacks it.
    pub transfers: String,
    /// Why it is not active.
    pub disabled_reason: Option<String>,
}

impl Capability {
    /// Reads it from the JSON of an account, or of the capability itself.
    ///
    /// # Errors
    /// When it is neither.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Raw {
            object: String,
            status: Option<String>,
            #[serde(default)]
            capabilities: Option<Capabilities>,
            #[serde(default)]
            requirements: Option<Requirements>,
        }
        #[derive(Deserialize)]
        struct Capabilities {
            transfers: Option<String>,
        }
        #[derive(Deserialize)]
        struct Requirements {
            disabled_reason: Option<String>,
        }
        let wrong = |reason| Unreadable {
            expected: "account",
            reason,
        };
        let raw: Raw = serde_json::from_slice(body).map_err(|e| wrong(e.to_string()))?;
        let transfers = match raw.object.as_str() {
            "account" => raw.capabilities.and_then(|of| of.transfers),
            "capability" => raw.status,
            other => return Err(wrong(format!("it is a {other:?}"))),
        };
        let word = |text: String| -> String {
            let kept = text.chars().filter(|c| !c.is_control());
            kept.take(NAME_BYTES_MAX).collect()
        };
        Ok(Self {
            transfers: transfers.map_or_else(|| "unrequested".to_owned(), word),
            disabled_reason: raw
                .requirements
                .and_then(|of| of.disabled_reason)
                .map(word)
                .filter(|reason| !reason.is_empty()),
        })
    }
}

/// A page of events. One odd entry does not spoil the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// Newest first.
    pub events: Vec<Event>,
    /// Entries that cannot be read: their ids, as far as they have one, and why.
    pub odd: Vec<(Option<String>, Unreadable)>,
    /// More lie behind [`EventPage::last_id`].
    pub has_more: bool,
    /// Where the next page begins.
    pub last_id: Option<String>,
}

impl EventPage {
    /// Reads a page from an answer's body.
    ///
    /// # Errors
    /// When it is no list.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct RawPage<'a> {
            object: String,
            #[serde(borrow)]
            data: Vec<&'a RawValue>,
            has_more: bool,
        }
        #[derive(Deserialize)]
        struct Id {
            id: Option<String>,
        }
        let wrong = |reason| Unreadable {
            expected: "list of events",
            reason,
        };
        let raw: RawPage<'_> = serde_json::from_slice(body).map_err(|e| wrong(e.to_string()))?;
        if raw.object != "list" {
            return Err(wrong(format!("it is a {:?}", raw.object)));
        }
        let id_of = |entry: &RawValue| {
            let id: Option<Id> = serde_json::from_str(entry.get()).ok();
            id.and_then(|id| id.id)
        };
        let last_id = raw.data.last().and_then(|last| id_of(last));
        if raw.has_more && last_id.is_none() {
            let reason = "it says there is more but names no last entry".to_owned();
            return Err(wrong(reason));
        }
        let mut page = Self {
            events: Vec::new(),
            odd: Vec::new(),
            has_more: raw.has_more,
            last_id,
        };
        for entry in raw.data {
            match Event::read(entry.get().as_bytes()) {
                Ok(event) => page.events.push(event),
                Err(error) => page.odd.push((id_of(entry), error)),
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(kind: &str, object: &str) -> String {
        format!(
            r#"{{"id":"evt_1","object":"event","type":"{kind}","created":7,"livemode":false,
                "api_version":"2025-03-31.basil","pending_webhooks":1,"data":{{"object":{object}}}}}"#
        )
    }

    #[test]
    fn snapshots_of_transfers_and_accounts_are_read() {
        for (kind, object, about, id) in [
            (
                "transfer.created",
                r#"{"id":"tr_1","object":"transfer"}"#,
                About::Transfer,
                Some("tr_1"),
            ),
            (
                "transfer.paid",
                r#"{"id":"tr_1","object":"transfer"}"#,
                About::Transfer,
                Some("tr_1"),
            ),
            (
                "transfer.reversed",
                r#"{"id":"trr_1","object":"transfer_reversal"}"#,
                About::Nothing,
                None,
            ),
            (
                "account.updated",
                r#"{"id":"acct_1","object":"account"}"#,
                About::Account,
                Some("acct_1"),
            ),
            (
                "capability.updated",
                r#"{"id":"transfers","object":"capability","account":"acct_1","status":"active"}"#,
                About::Account,
                Some("acct_1"),
            ),
            (
                "capability.updated",
                r#"{"id":"card_payments","object":"capability","account":"acct_1"}"#,
                About::Nothing,
                None,
            ),
            (
                "payout.paid",
                r#"{"id":"po_1","object":"payout"}"#,
                About::Nothing,
                None,
            ),
        ] {
            let read = Event::read(event(kind, object).as_bytes()).unwrap();
            assert_eq!(
                (read.about, read.object_id.as_deref()),
                (about, id),
                "{kind}"
            );
            let kept = (about != About::Nothing).then_some(object);
            assert_eq!(read.snapshot.as_deref(), kept, "{kind}");
        }
    }

    #[test]
    fn thin_events_name_what_they_are_about() {
        for (related, about) in [
            (
                r#"{"id":"tr_1","type":"transfer","url":"/v1/transfers/tr_1"}"#,
                About::Transfer,
            ),
            (
                r#"{"id":"acct_1","type":"v2.core.account","url":"/v2/core/accounts/acct_1"}"#,
                About::Account,
            ),
            (r#"{"id":"mtr_1","type":"billing.meter"}"#, About::Nothing),
            (r#"{"id":"../balance","type":"transfer"}"#, About::Nothing),
        ] {
            let body = format!(
                r#"{{"id":"evt_65","object":"v2.core.event","type":"v1.transfer.created","livemode":false,
                    "created":"2026-11-02T09:30:00.123Z","context":null,"related_object":{related}}}"#
            );
            let read = Event::read(body.as_bytes()).unwrap();
            assert_eq!(
                (read.about, read.snapshot.is_some()),
                (about, false),
                "{related}"
            );
            assert_eq!(read.created.to_string(), "2026-11-02T09:30:00.000Z");
        }
    }

    #[test]
    fn a_large_object_is_left_to_be_fetched() {
        let object = format!(
            r#"{{"id":"tr_1","object":"transfer","description":"{}"}}"#,
            "x".repeat(SNAPSHOT_BYTES_MAX)
        );
        let read = Event::read(event("transfer.created", &object).as_bytes()).unwrap();
        assert_eq!(
            (read.object_id.as_deref(), read.snapshot),
            (Some("tr_1"), None)
        );
    }

    #[test]
    fn what_is_not_an_event_is_refused() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"id":"evt_1","object":"charge","type":"x","created":1}"#,
            r#"{"id":"","object":"event","type":"x","created":1}"#,
            r#"{"id":"evt\u0000","object":"event","type":"x","created":1}"#,
            r#"{"id":"evt_1","object":"v2.core.event","type":"x","created":"yesterday"}"#,
        ] {
            assert!(Event::read(body.as_bytes()).is_err(), "{body}");
        }
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        let body = format!(r#"{{"id":"{long}","object":"event","type":"x","created":1}}"#);
        assert!(Event::read(body.as_bytes()).is_err());
    }

    #[test]
    fn capabilities_are_read_of_accounts_and_of_themselves() {
        let read = |body: &str| Capability::read(body.as_bytes());
        let said = |transfers: &str, reason: Option<&str>| Capability {
            transfers: transfers.to_owned(),
            disabled_reason: reason.map(str::to_owned),
        };
        assert_eq!(
            read(
                r#"{"object":"account","capabilities":{"transfers":"inactive"},
                    "requirements":{"disabled_reason":"requirements.past_due"}}"#
            ),
            Ok(said("inactive", Some("requirements.past_due")))
        );
        assert_eq!(
            read(r#"{"object":"capability","status":"active","requirements":{}}"#),
            Ok(said("active", None))
        );
        assert_eq!(
            read(r#"{"object":"account"}"#),
            Ok(said("unrequested", None))
        );
        assert!(read(r#"{"object":"transfer"}"#).is_err());
    }

    #[test]
    fn one_odd_entry_does_not_spoil_a_page() {
        let body = format!(
            r#"{{"object":"list","has_more":true,"data":[{},{{"id":"evt_2"}}]}}"#,
            event("transfer.created", r#"{"id":"tr_1","object":"transfer"}"#)
        );
        let page = EventPage::read(body.as_bytes()).unwrap();
        assert_eq!((page.events.len(), page.odd.len()), (1, 1));
        assert_eq!(page.last_id.as_deref(), Some("evt_2"));
        assert!(EventPage::read(br#"{"object":"list","has_more":true,"data":[]}"#).is_err());
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = (Event::read(&body), EventPage::read(&body), Capability::read(&body));
        }

        /// Whatever the type and the object say, an event that is about something has
        /// an id that can be asked for, and no more than its own object is kept.
        #[test]
        fn what_it_is_about_has_an_id(
            kind in prop::sample::select(TYPES.to_vec()),
            object in prop::sample::select(vec!["transfer", "account", "capability", "charge"]),
            id in "(tr_|acct_|transfers)?[a-z/.]{0,6}", account in "(acct_)?[a-z]{0,4}",
        ) {
            let object = format!(r#"{{"id":"{id}","object":"{object}","account":"{account}"}}"#);
            if let Ok(read) = Event::read(event(kind, &object).as_bytes()) {
                prop_assert_eq!(read.about == About::Nothing, read.object_id.is_none());
                prop_assert_eq!(read.snapshot.is_some(), read.object_id.is_some());
                let named = read.object_id.unwrap_or_default();
                prop_assert!(named == id || named == account || named.is_empty());
            }
        }
    }
}
