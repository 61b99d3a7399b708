//! Transfers. One has no status: a transfer that exists has happened, and never fails later.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::accounts::{AccountView, Accounts};
use super::balance::{Entry, EntryExpand, EntryView, Source};
use super::clock::seconds;
use super::currency::{Currency, SourceType};
use super::error::ApiError;
use super::events::{Change, EventType};
use super::fill::PastTransfer;
use super::form::Params;
use super::ids::{Id, Kind};
use super::ledger::{Ledger, Origin};
use super::listing::{Among, ListQuery, ListView};
use super::metadata::{self, Metadata};
use super::reversals::{ReversalExpand, ReversalView};

const DESCRIPTION_LENGTH_MAX: usize = 5000;
const GROUP_LENGTH_MAX: usize = 255;
/// How many reversals a transfer shows inside itself.
const REVERSALS_SHOWN: usize = 10;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Transfer {
    pub(super) created_ms: i64,
    /// Lists leave the transfer out until then; later than `created_ms` only by a fault.
    pub(super) listed_from_ms: i64,
    pub(super) amount: i64,
    pub(super) amount_reversed: i64,
    pub(super) currency: Currency,
    pub(super) source_type: SourceType,
    pub(super) destination: Arc<str>,
    pub(super) group: Option<Arc<str>>,
    pub(super) notes: Notes,
    /// What an update replaced, so that a replay can show the transfer as it was first answered.
    first: Option<Box<Notes>>,
    pub(super) reversals: Vec<usize>,
    pub(super) entry: usize,
    pub(super) origin: Origin,
    /// How often the answer was replayed to a later request with the same key.
    pub(super) replays: u32,
    /// Shown as an object of another name: what a client is to make of what it cannot read.
    #[serde(default)]
    pub(super) unreadable: bool,
}

/// The part of a transfer that an update can change.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Notes {
    pub(super) description: Option<Box<str>>,
    pub(super) metadata: Metadata,
}

/// Which fields of a transfer to show as objects instead of ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Expand {
    balance_transaction: bool,
    destination: bool,
}

impl Expand {
    /// Takes `expand[]`; inside lists every name starts with `data.`.
    pub(super) fn take(params: &mut Params, prefix: &str) -> Result<Self, ApiError> {
        let mut expand = Self::default();
        for name in params.list("expand") {
            match name.strip_prefix(prefix) {
                Some("balance_transaction") => expand.balance_transaction = true,
                Some("destination") => expand.destination = true,
                // Always null here, or always shown in full.
                Some("source_transaction" | "reversals") => {}
                _ => return Err(ApiError::not_expandable(&name)),
            }
        }
        Ok(expand)
    }
}

/// `POST /v1/transfers`, checked as far as that is possible without the books.
#[derive(Debug)]
pub(super) struct NewTransfer {
    amount: i64,
    currency: Currency,
    pub(super) destination: String,
    notes: Notes,
    source_transaction: Option<String>,
    source_type: SourceType,
    group: Option<Arc<str>>,
    pub(super) expand: Expand,
}

impl NewTransfer {
    /// As a request of then would have asked for it.
    pub(super) fn of_the_past(past: PastTransfer) -> Result<Self, ApiError> {
        let currency = known_currency(&past.currency)?;
        let metadata = past.metadata.into_iter().collect();
        Ok(Self {
            amount: checked_amount(past.amount, currency)?,
            currency,
            destination: past.destination,
            notes: Notes {
                description: None,
                metadata: Metadata::new(metadata::Change::checked(Some(metadata))?)?,
            },
            source_transaction: None,
            source_type: SourceType::default(),
            group: checked_group(past.transfer_group)?,
            expand: Expand::default(),
        })
    }

    /// What it moves: in which currency, out of which part of the balance, and how much.
    pub(super) fn money(&self) -> (Currency, SourceType, i64) {
        (self.currency, self.source_type, self.amount)
    }

    pub(super) fn from_params(mut params: Params) -> Result<Self, ApiError> {
        let amount = params.integer("amount")?;
        let currency = params.filled_text("currency")?;
        let destination = params.filled_text("destination")?;
        let description = params.text("description");
        let metadata = metadata::Change::checked(params.map("metadata"))?;
        let source_transaction = params.filled_text("source_transaction")?;
        let source_type = params.filled_text("source_type")?;
        let group = params.filled_text("transfer_group")?;
        let expand = Expand::take(&mut params, "")?;
        params.finish()?;

        let currency = currency.ok_or_else(|| ApiError::missing("currency"))?;
        let currency = known_currency(&currency)?;
        let amount = checked_amount(amount.ok_or_else(|| ApiError::missing("amount"))?, currency)?;
        let destination = destination.ok_or_else(|| ApiError::missing("destination"))?;
        let source_type = match source_type {
            None => SourceType::default(),
            Some(name) => SourceType::find(&name).ok_or_else(|| {
                ApiError::param(
                    None,
                    "source_type",
                    format!(
                        "Invalid source_type: must be one of bank_account, card, or fpx; got {name}"
                    ),
                )
            })?,
        };
        Ok(Self {
            amount,
            currency,
            destination,
            notes: Notes {
                description: checked_description(description)?.and_then(some_text),
                metadata: Metadata::new(metadata)?,
            },
            source_transaction,
            source_type,
            group: checked_group(group)?,
            expand,
        })
    }
}

/// `POST /v1/transfers/{id}`: only the description and metadata of a transfer can change.
#[derive(Debug)]
pub(super) struct TransferUpdate {
    transfer: String,
    /// An empty one takes the description away.
    description: Option<String>,
    metadata: metadata::Change,
    expand: Expand,
}

impl TransferUpdate {
    pub(super) fn from_params(transfer: &str, mut params: Params) -> Result<Self, ApiError> {
        let update = Self {
            transfer: transfer.to_owned(),
            description: checked_description(params.text("description"))?,
            metadata: metadata::Change::checked(params.map("metadata"))?,
            expand: Expand::take(&mut params, "")?,
        };
        params.finish()?;
        Ok(update)
    }
}

/// `GET /v1/transfers`.
#[derive(Debug)]
pub(super) struct TransferQuery {
    list: ListQuery,
    destination: Option<String>,
    group: Option<String>,
    expand: Expand,
}

impl TransferQuery {
    pub(super) fn from_params(mut params: Params) -> Result<Self, ApiError> {
        let query = Self {
            list: ListQuery::take(&mut params)?,
            destination: params.filled_text("destination")?,
            group: params.filled_text("transfer_group")?,
            expand: Expand::take(&mut params, "data.")?,
        };
        params.finish()?;
        Ok(query)
    }
}

fn known_currency(code: &str) -> Result<Currency, ApiError> {
    Currency::find(code).ok_or_else(|| ApiError::param(None, "currency", Currency::unknown(code)))
}

fn checked_group(group: Option<String>) -> Result<Option<Arc<str>>, ApiError> {
    match group {
        Some(group) if group.chars().count() > GROUP_LENGTH_MAX => {
            Err(too_long("transfer_group", GROUP_LENGTH_MAX))
        }
        group => Ok(group.map(Arc::from)),
    }
}

fn checked_amount(amount: i64, currency: Currency) -> Result<i64, ApiError> {
    if amount < 1 {
        return Err(ApiError::integer(
            "amount",
            "This value must be greater than or equal to 1.",
        ));
    }
    if amount % currency.step() != 0 {
        let message = format!(
            "Amounts in {} must be a multiple of {}.",
            currency.code(),
            currency.step()
        );
        return Err(ApiError::integer("amount", message));
    }
    Ok(amount)
}

pub(super) fn checked_description(text: Option<String>) -> Result<Option<String>, ApiError> {
    match text {
        Some(text) if text.chars().count() > DESCRIPTION_LENGTH_MAX => {
            Err(too_long("description", DESCRIPTION_LENGTH_MAX))
        }
        text => Ok(text),
    }
}

fn some_text(text: String) -> Option<Box<str>> {
    (!text.is_empty()).then(|| text.into_boxed_str())
}

fn too_long(param: &str, most: usize) -> ApiError {
    ApiError::param(
        None,
        param,
        format!("Invalid string: {param} must be at most {most} characters"),
    )
}

impl Ledger {
    /// Moves the money: the only place where a transfer is made. Lists show it `listed_late_ms`
    /// after now.
    pub(super) fn transfer_create(
        &mut self,
        new: NewTransfer,
        accounts: &mut Accounts,
        origin: Origin,
        now_ms: i64,
        listed_late_ms: i64,
    ) -> Result<usize, ApiError> {
        accounts.accepts(&new.destination, self.scope.account)?;
        if let Some(charge) = &new.source_transaction {
            return Err(ApiError::no_such(
                400,
                "charge",
                charge,
                "source_transaction",
            ));
        }
        self.funds
            .spend(new.currency, new.source_type, new.amount)?;

        let place = self.transfers.len();
        let entry = self.enter(Entry {
            created_ms: now_ms,
            amount: -new.amount,
            currency: new.currency,
            source: Source::Transfer(place),
        });
        let destination = accounts.seen(&new.destination, now_ms);
        self.by_destination.add(&destination, place);
        if let Some(group) = &new.group {
            self.by_group.add(group, place);
        }
        self.transfers.push(Transfer {
            created_ms: now_ms,
            listed_from_ms: now_ms.saturating_add(listed_late_ms),
            amount: new.amount,
            amount_reversed: 0,
            currency: new.currency,
            source_type: new.source_type,
            destination,
            group: new.group,
            notes: new.notes,
            first: None,
            reversals: Vec::new(),
            entry,
            origin,
            replays: 0,
            unreadable: false,
        });
        self.announce_created(place);
        Ok(place)
    }

    pub(super) fn transfer_update(
        &mut self,
        update: TransferUpdate,
        accounts: &Accounts,
        origin: Origin,
        now_ms: i64,
    ) -> Result<Vec<u8>, ApiError> {
        let place = self.transfer_named(&update.transfer)?;
        let Some(transfer) = self.transfers.get_mut(place) else {
            return Err(ApiError::server_error());
        };
        let notes = Notes {
            description: match update.description {
                Some(text) => some_text(text),
                None => transfer.notes.description.clone(),
            },
            metadata: transfer.notes.metadata.changed(update.metadata)?,
        };
        let previous = previous_attributes(&transfer.notes, &notes)?;
        let replaced = std::mem::replace(&mut transfer.notes, notes);
        if transfer.first.is_none() {
            transfer.first = Some(Box::new(replaced));
        }
        if let Some(previous) = previous {
            let object =
                to_raw_value(&self.transfer_view(place, Version::Now, Expand::default(), None)?)?;
            self.announce_change(Change {
                r#type: EventType::Updated,
                created_ms: now_ms,
                origin,
                transfer: place,
                object,
                previous: Some(previous),
            });
        }
        self.transfer_body(place, Version::Now, update.expand, accounts)
    }

    pub(super) fn transfer_named(&self, id: &str) -> Result<usize, ApiError> {
        self.transfer_place(id)
            .ok_or_else(|| ApiError::no_such(404, "transfer", id, "transfer"))
    }

    pub(super) fn transfer_list(
        &self,
        query: &TransferQuery,
        accounts: &Accounts,
        now_ms: i64,
    ) -> Result<Vec<u8>, ApiError> {
        let group = query.group.as_deref();
        let destination = query.destination.as_deref();
        let among = match (group, destination) {
            // A group is the narrower of the two: it is the name of one payout.
            (Some(group), _) => Among::These(self.by_group.of(group)),
            (None, Some(destination)) => Among::These(self.by_destination.of(destination)),
            (None, None) => Among::All(self.transfers.len()),
        };
        let visible = |place: usize| {
            self.is_listed(place, now_ms)
                && self.transfers.get(place).is_some_and(|transfer| {
                    destination.is_none_or(|wanted| wanted == &*transfer.destination)
                })
        };
        let created_ms = |place: usize| {
            self.transfers
                .get(place)
                .map_or(0, |transfer| transfer.created_ms)
        };
        let page = query.list.page(
            among,
            "transfer",
            |id| self.transfer_place(id),
            created_ms,
            visible,
        )?;
        let data: Result<Vec<_>, _> = page
            .places
            .iter()
            .map(|&place| self.transfer_view(place, Version::Now, query.expand, Some(accounts)))
            .collect();
        Ok(serde_json::to_vec(&ListView::new(
            "/v1/transfers",
            data?,
            page.has_more,
        ))?)
    }

    /// The transfer as JSON.
    pub(super) fn transfer_body(
        &self,
        place: usize,
        version: Version,
        expand: Expand,
        accounts: &Accounts,
    ) -> Result<Vec<u8>, ApiError> {
        let mut body = Vec::with_capacity(1024);
        serde_json::to_writer(
            &mut body,
            &self.transfer_view(place, version, expand, Some(accounts))?,
        )?;
        Ok(body)
    }

    /// The answer to the creation of the transfer, showing one minor unit too many.
    pub(super) fn transfer_body_with_wrong_amount(
        &self,
        place: usize,
    ) -> Result<Vec<u8>, ApiError> {
        let mut view = self.transfer_view(place, Version::First, Expand::default(), None)?;
        view.amount = view.amount.saturating_add(1);
        Ok(serde_json::to_vec(&view)?)
    }

    /// The transfer as Stripe shows it; `destination` is only expanded when `accounts` are given.
    pub(super) fn transfer_view<'a>(
        &'a self,
        place: usize,
        version: Version,
        expand: Expand,
        accounts: Option<&'a Accounts>,
    ) -> Result<TransferView<'a>, ApiError> {
        let transfer = self
            .transfers
            .get(place)
            .ok_or_else(ApiError::server_error)?;
        let (notes, amount_reversed, reversals) = match version {
            Version::First => (
                transfer.first.as_deref().unwrap_or(&transfer.notes),
                0,
                [].as_slice(),
            ),
            Version::Now => (
                &transfer.notes,
                transfer.amount_reversed,
                transfer.reversals.as_slice(),
            ),
        };
        let destination = match accounts {
            Some(accounts) if expand.destination => {
                Expandable::Object(accounts.view(&transfer.destination, transfer.created_ms)?)
            }
            _ => Expandable::Id(&*transfer.destination),
        };
        let balance_transaction = if expand.balance_transaction {
            Expandable::Object(self.entry_view(transfer.entry, EntryExpand::Nothing)?)
        } else {
            Expandable::Id(self.id(Kind::BalanceTransaction, transfer.entry))
        };
        let newest: Result<Vec<_>, _> = reversals
            .iter()
            .rev()
            .take(REVERSALS_SHOWN)
            .map(|&place| self.reversal_view(place, ReversalExpand::default()))
            .collect();
        Ok(TransferView {
            id: self.id(Kind::Transfer, place),
            object: if transfer.unreadable {
                "transfer_unknown"
            } else {
                "transfer"
            },
            amount: transfer.amount,
            amount_reversed,
            balance_transaction,
            created: seconds(transfer.created_ms),
            currency: transfer.currency,
            description: notes.description.as_deref(),
            destination,
            destination_payment: self.id(Kind::DestinationPayment, place),
            livemode: self.scope.livemode,
            metadata: &notes.metadata,
            reversals: ListView::new(
                format!("/v1/transfers/{}/reversals", self.id(Kind::Transfer, place)),
                newest?,
                reversals.len() > REVERSALS_SHOWN,
            )
            .counted(reversals.len()),
            reversed: amount_reversed == transfer.amount,
            source_transaction: None,
            source_type: transfer.source_type,
            transfer_group: transfer.group.as_deref(),
        })
    }
}

/// Whether to show a transfer as it is, or as it was in the answer that created it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    First,
    Now,
}

/// What `transfer.updated` says was there before; `None` when nothing changed.
fn previous_attributes(old: &Notes, new: &Notes) -> Result<Option<Box<RawValue>>, ApiError> {
    let mut previous = serde_json::Map::new();
    if new.description != old.description {
        previous.insert("description".to_owned(), old.description.as_deref().into());
    }
    let (before, after) = (old.metadata.pairs(), new.metadata.pairs());
    let mut changed = serde_json::Map::new();
    for (key, value) in before.iter().filter(|pair| !after.contains(pair)) {
        changed.insert(key.clone(), value.as_str().into());
    }
    for (key, _) in after
        .iter()
        .filter(|(key, _)| !before.iter().any(|(other, _)| other == key))
    {
        changed.insert(key.clone(), serde_json::Value::Null);
    }
    if !changed.is_empty() {
        previous.insert("metadata".to_owned(), changed.into());
    }
    Ok(if previous.is_empty() {
        None
    } else {
        Some(to_raw_value(&previous)?)
    })
}

/// A field that is an id, or the object itself if the request asked for that.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Expandable<I, O> {
    Id(I),
    Object(O),
}

/// A transfer as Stripe writes it.
#[derive(Serialize)]
pub(super) struct TransferView<'a> {
    id: Id<'a>,
    object: &'static str,
    amount: i64,
    amount_reversed: i64,
    balance_transaction: Expandable<Id<'a>, EntryView<'a>>,
    created: i64,
    currency: Currency,
    description: Option<&'a str>,
    destination: Expandable<&'a str, AccountView<'a>>,
    destination_payment: Id<'a>,
    livemode: bool,
    metadata: &'a Metadata,
    reversals: ListView<'a, ReversalView<'a>>,
    reversed: bool,
    source_transaction: Option<()>,
    source_type: SourceType,
    transfer_group: Option<&'a str>,
}
