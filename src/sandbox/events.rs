//! Events: `transfer.created`, `transfer.updated` (description or metadata) and
//! `transfer.reversed`. There is no `transfer.paid` and no `transfer.failed`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::clock::seconds;
use super::error::ApiError;
use super::form::Params;
use super::ids::{Id, Kind};
use super::ledger::{Ledger, Origin};
use super::listing::{Among, ListQuery, ListView};
use super::transfers::{Expand, TransferView, Version};

/// The version an account has if a request names none.
pub(super) const API_VERSION: &str = "2025-03-31.basil";
/// Stripe lists events of the last 30 days.
const LISTED_MS: i64 = 30 * 24 * 60 * 60 * 1000;
const TYPES_MAX: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventType {
    Created,
    Updated,
    Reversed,
}

impl EventType {
    const ALL: [Self; 3] = [Self::Created, Self::Updated, Self::Reversed];

    const fn name(self) -> &'static str {
        match self {
            Self::Created => "transfer.created",
            Self::Updated => "transfer.updated",
            Self::Reversed => "transfer.reversed",
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Event {
    what: What,
    pub(super) delivery: Delivery,
}

/// Whether the webhook was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Delivery {
    /// Not yet.
    Open,
    /// It was, or there is no webhook to tell.
    Done,
    /// Given up after the last try.
    Failed,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    /// Everything about it is in the transfer.
    Created {
        transfer: usize,
    },
    Changed(Box<Change>),
}

/// An event that has to keep what it showed, because its transfer has moved on since.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) r#type: EventType,
    pub(super) created_ms: i64,
    pub(super) origin: Origin,
    pub(super) transfer: usize,
    pub(super) object: Box<RawValue>,
    pub(super) previous: Option<Box<RawValue>>,
}

impl Event {
    pub(super) fn r#type(&self) -> EventType {
        match &self.what {
            What::Created { .. } => EventType::Created,
            What::Changed(change) => change.r#type,
        }
    }

    fn transfer(&self) -> usize {
        match &self.what {
            What::Created { transfer } => *transfer,
            What::Changed(change) => change.transfer,
        }
    }
}

/// `GET /v1/events`.
#[derive(Debug)]
pub(super) struct EventQuery {
    list: ListQuery,
    /// Patterns like `transfer.*`; none means all types.
    types: Vec<String>,
    delivery_success: Option<bool>,
}

impl EventQuery {
    pub(super) fn from_params(mut params: Params) -> Result<Self, ApiError> {
        let list = ListQuery::take(&mut params)?;
        let single = params.filled_text("type")?;
        let mut types = params.list("types");
        let delivery_success = match params.filled_text("delivery_success")?.as_deref() {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(other) => {
                return Err(ApiError::param(
                    None,
                    "delivery_success",
                    format!("Invalid boolean: {other}"),
                ));
            }
        };
        params.finish()?;
        if types.len() > TYPES_MAX {
            return Err(ApiError::param(
                None,
                "types",
                format!("You may pass up to {TYPES_MAX} types."),
            ));
        }
        if single.is_some() && !types.is_empty() {
            return Err(ApiError::new(
                400,
                "parameters_exclusive",
                "You may only specify one of these parameters: type, types.",
            ));
        }
        types.extend(single);
        Ok(Self {
            list,
            types,
            delivery_success,
        })
    }

    fn wants(&self, event: &Event) -> bool {
        let name = event.r#type().name();
        let matches = |pattern: &String| match pattern.split_once('*') {
            Some((start, end)) => {
                name.len() >= start.len() + end.len()
                    && name.starts_with(start)
                    && name.ends_with(end)
            }
            None => pattern == name,
        };
        (self.types.is_empty() || self.types.iter().any(matches))
            && self
                .delivery_success
                .is_none_or(|wanted| wanted == (event.delivery == Delivery::Done))
    }
}

impl Ledger {
    pub(super) fn announce_created(&mut self, transfer: usize) {
        self.announce(What::Created { transfer });
    }

    pub(super) fn announce_change(&mut self, change: Change) {
        self.announce(What::Changed(Box::new(change)));
    }

    fn announce(&mut self, what: What) {
        let event = Event {
            what,
            delivery: if self.has_webhook {
                Delivery::Open
            } else {
                Delivery::Done
            },
        };
        self.events_by_type.add(&event.r#type(), self.events.len());
        self.events.push(event);
    }

    pub(super) fn event_created_ms(&self, place: usize) -> i64 {
        match self.events.get(place).map(|event| &event.what) {
            Some(What::Created { transfer }) => self
                .transfers
                .get(*transfer)
                .map_or(0, |transfer| transfer.created_ms),
            Some(What::Changed(change)) => change.created_ms,
            None => 0,
        }
    }

    pub(super) fn event_list(
        &self,
        mut query: EventQuery,
        now_ms: i64,
    ) -> Result<Vec<u8>, ApiError> {
        query.list.not_before(seconds(now_ms - LISTED_MS));
        let single = match query.types.as_slice() {
            [name] => EventType::ALL
                .into_iter()
                .find(|r#type| r#type.name() == name),
            _ => None,
        };
        let among = match single {
            Some(r#type) => Among::These(self.events_by_type.of(&r#type)),
            None => Among::All(self.events.len()),
        };
        let visible = |place: usize| {
            self.events
                .get(place)
                .is_some_and(|event| query.wants(event) && self.is_listed(event.transfer(), now_ms))
        };
        let page = query.list.page(
            among,
            "event",
            |id| self.event_place(id),
            |place| self.event_created_ms(place),
            visible,
        )?;
        let data: Result<Vec<_>, _> = page
            .places
            .iter()
            .map(|&place| self.event_view(place))
            .collect();
        Ok(serde_json::to_vec(&ListView::new(
            "/v1/events",
            data?,
            page.has_more,
        ))?)
    }

    pub(super) fn event_view(&self, place: usize) -> Result<EventView<'_>, ApiError> {
        let event = self.events.get(place).ok_or_else(ApiError::server_error)?;
        let (object, previous_attributes, origin) = match &event.what {
            What::Created { transfer } => (
                Snapshot::Transfer(Box::new(self.transfer_view(
                    *transfer,
                    Version::First,
                    Expand::default(),
                    None,
                )?)),
                None,
                &self
                    .transfers
                    .get(*transfer)
                    .ok_or_else(ApiError::server_error)?
                    .origin,
            ),
            What::Changed(change) => (
                Snapshot::Kept(&change.object),
                change.previous.as_deref(),
                &change.origin,
            ),
        };
        Ok(EventView {
            id: self.id(Kind::Event, place),
            object: "event",
            api_version: API_VERSION,
            created: seconds(self.event_created_ms(place)),
            data: EventData {
                object,
                previous_attributes,
            },
            livemode: self.scope.livemode,
            pending_webhooks: u8::from(event.delivery == Delivery::Open),
            request: EventRequest {
                id: self.request_id(origin.request),
                idempotency_key: origin.key.as_deref(),
            },
            r#type: event.r#type().name(),
        })
    }
}

/// An event as Stripe writes it.
#[derive(Serialize)]
pub(super) struct EventView<'a> {
    id: Id<'a>,
    object: &'static str,
    api_version: &'static str,
    created: i64,
    data: EventData<'a>,
    livemode: bool,
    pending_webhooks: u8,
    request: EventRequest<'a>,
    r#type: &'static str,
}

#[derive(Serialize)]
struct EventData<'a> {
    object: Snapshot<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_attributes: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Snapshot<'a> {
    Transfer(Box<TransferView<'a>>),
    Kept(&'a RawValue),
}

#[derive(Serialize)]
struct EventRequest<'a> {
    id: Id<'a>,
    idempotency_key: Option<&'a str>,
}
