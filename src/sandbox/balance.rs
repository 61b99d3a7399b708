//! The platform's money: what is available per currency and source type, and one balance
//! transaction for every movement.

use serde::{Deserialize, Serialize};

use super::clock::seconds;
use super::currency::{Currency, SourceType};
use super::error::ApiError;
use super::form::Params;
use super::ids::{self, Id, Kind};
use super::ledger::Ledger;
use super::listing::{Among, ListQuery, ListView};
use super::reversals::{ReversalExpand, ReversalView};
use super::transfers::{Expand, Expandable, TransferView, Version};

/// Available minor units per currency and source type. Nothing is ever pending here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Funds(Vec<Fund>);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Fund {
    pub(super) currency: Currency,
    pub(super) source_type: SourceType,
    /// Minor units; may be negative.
    pub(super) available: i64,
}

impl Funds {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Fund> {
        self.0.iter()
    }

    pub(super) fn of(&mut self, currency: Currency, source_type: SourceType) -> &mut i64 {
        let place = self
            .0
            .iter()
            .position(|fund| (fund.currency, fund.source_type) == (currency, source_type));
        let place = place.unwrap_or_else(|| {
            self.0.push(Fund {
                currency,
                source_type,
                available: 0,
            });
            self.0.len() - 1
        });
        &mut self.0[place].available
    }

    /// Takes out `amount`, or says that it is not there.
    pub(super) fn spend(
        &mut self,
        currency: Currency,
        source_type: SourceType,
        amount: i64,
    ) -> Result<(), ApiError> {
        let available = self.of(currency, source_type);
        if *available < amount {
            return Err(ApiError::new(
                400,
                "balance_insufficient",
                "You have insufficient available funds in your Stripe account. Try adding funds directly to your available balance.",
            ));
        }
        *available -= amount;
        Ok(())
    }
}

/// What moved the balance.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    Transfer(usize),
    Reversal(usize),
    Topup(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum EntryType {
    Transfer,
    TransferRefund,
    Topup,
}

impl EntryType {
    const fn name(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::TransferRefund => "transfer_refund",
            Self::Topup => "topup",
        }
    }

    fn find(name: &str) -> Option<Self> {
        [Self::Transfer, Self::TransferRefund, Self::Topup]
            .into_iter()
            .find(|r#type| r#type.name() == name)
    }
}

/// A balance transaction.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) created_ms: i64,
    /// Minor units, negative when money leaves.
    pub(super) amount: i64,
    pub(super) currency: Currency,
    pub(super) source: Source,
}

impl Entry {
    pub(super) fn r#type(&self) -> EntryType {
        match self.source {
            Source::Transfer(_) => EntryType::Transfer,
            Source::Reversal(_) => EntryType::TransferRefund,
            Source::Topup(_) => EntryType::Topup,
        }
    }
}

/// How much of what moved the balance a balance transaction shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum EntryExpand {
    /// Its id.
    #[default]
    Nothing,
    /// The object.
    Source,
    /// The object, and if that is a reversal, its transfer inside it.
    SourceAndTransfer,
}

impl EntryExpand {
    /// Takes `expand[]`; inside lists every name starts with `data.`.
    pub(super) fn take(params: &mut Params, prefix: &str) -> Result<Self, ApiError> {
        let mut expand = Self::default();
        for name in params.list("expand") {
            match name.strip_prefix(prefix) {
                Some("source") if expand == Self::Nothing => expand = Self::Source,
                Some("source") => {}
                // What is on the way is expanded too.
                Some("source.transfer") => expand = Self::SourceAndTransfer,
                _ => return Err(ApiError::not_expandable(&name)),
            }
        }
        Ok(expand)
    }
}

/// `GET /v1/balance_transactions`.
#[derive(Debug)]
pub(super) struct EntryQuery {
    list: ListQuery,
    expand: EntryExpand,
    r#type: Option<String>,
    source: Option<String>,
    currency: Option<String>,
}

impl EntryQuery {
    pub(super) fn from_params(mut params: Params) -> Result<Self, ApiError> {
        let query = Self {
            list: ListQuery::take(&mut params)?,
            expand: EntryExpand::take(&mut params, "data.")?,
            r#type: params.filled_text("type")?,
            source: params.filled_text("source")?,
            currency: params.filled_text("currency")?,
        };
        params.finish()?;
        Ok(query)
    }
}

impl Ledger {
    /// Adds money, as a top-up would.
    pub(super) fn top_up(
        &mut self,
        currency: Currency,
        source_type: SourceType,
        amount: i64,
        now_ms: i64,
    ) {
        let available = self.funds.of(currency, source_type);
        *available = available.saturating_add(amount);
        let topup = self.topups;
        self.topups += 1;
        self.enter(Entry {
            created_ms: now_ms,
            amount,
            currency,
            source: Source::Topup(topup),
        });
    }

    /// Books a movement and returns its place.
    pub(super) fn enter(&mut self, entry: Entry) -> usize {
        let place = self.entries.len();
        self.entries_by_type.add(&entry.r#type(), place);
        self.entries.push(entry);
        place
    }

    pub(super) fn balance_view(&self) -> BalanceView {
        let mut available: Vec<BalanceAmount> = Vec::new();
        for fund in self.funds.iter() {
            let place = available
                .iter()
                .position(|entry| entry.currency == fund.currency)
                .unwrap_or_else(|| {
                    available.push(BalanceAmount {
                        amount: 0,
                        currency: fund.currency,
                        source_types: SourceAmounts::default(),
                    });
                    available.len() - 1
                });
            let entry = &mut available[place];
            entry.amount = entry.amount.saturating_add(fund.available);
            match fund.source_type {
                SourceType::Card => entry.source_types.card = Some(fund.available),
                SourceType::BankAccount => entry.source_types.bank_account = Some(fund.available),
                SourceType::Fpx => entry.source_types.fpx = Some(fund.available),
            }
        }
        let nothing = available.iter().map(|entry| BalanceAmount {
            amount: 0,
            source_types: SourceAmounts {
                card: Some(0),
                ..SourceAmounts::default()
            },
            ..*entry
        });
        BalanceView {
            object: "balance",
            pending: nothing.collect(),
            available,
            livemode: self.scope.livemode,
        }
    }

    pub(super) fn entry_view(
        &self,
        place: usize,
        expand: EntryExpand,
    ) -> Result<EntryView<'_>, ApiError> {
        let entry = self.entries.get(place).ok_or_else(ApiError::server_error)?;
        let (source, reporting_category, description) = match entry.source {
            Source::Transfer(at) => (
                self.id(Kind::Transfer, at),
                "transfer",
                self.transfers
                    .get(at)
                    .and_then(|transfer| transfer.notes.description.as_deref()),
            ),
            Source::Reversal(at) => (self.id(Kind::Reversal, at), "transfer_reversal", None),
            Source::Topup(at) => (self.id(Kind::Topup, at), "topup", None),
        };
        let source = if expand == EntryExpand::Nothing {
            Expandable::Id(source)
        } else {
            Expandable::Object(self.source_view(place, entry, expand)?)
        };
        Ok(EntryView {
            id: self.id(Kind::BalanceTransaction, place),
            object: "balance_transaction",
            amount: entry.amount,
            available_on: seconds(entry.created_ms),
            balance_type: "payments",
            created: seconds(entry.created_ms),
            currency: entry.currency,
            description,
            exchange_rate: None,
            fee: 0,
            fee_details: [],
            net: entry.amount,
            reporting_category,
            source,
            status: "available",
            r#type: entry.r#type().name(),
        })
    }

    /// What moved the balance, in full.
    fn source_view(
        &self,
        place: usize,
        entry: &Entry,
        expand: EntryExpand,
    ) -> Result<SourceView<'_>, ApiError> {
        Ok(match entry.source {
            Source::Transfer(at) => SourceView::Transfer(Box::new(self.transfer_view(
                at,
                Version::Now,
                Expand::default(),
                None,
            )?)),
            Source::Reversal(at) => SourceView::Reversal(Box::new(self.reversal_view(
                at,
                ReversalExpand {
                    transfer: expand == EntryExpand::SourceAndTransfer,
                    ..ReversalExpand::default()
                },
            )?)),
            Source::Topup(at) => SourceView::Topup(TopupView {
                id: self.id(Kind::Topup, at),
                object: "topup",
                amount: entry.amount,
                balance_transaction: self.id(Kind::BalanceTransaction, place),
                created: seconds(entry.created_ms),
                currency: entry.currency,
                description: None,
                livemode: self.scope.livemode,
                status: "succeeded",
                transfer_group: None,
            }),
        })
    }

    pub(super) fn entry_list(&self, query: &EntryQuery, now_ms: i64) -> Result<Vec<u8>, ApiError> {
        let of_source = match &query.source {
            None => None,
            Some(id) => Some(
                self.entry_of_source(id)
                    .ok_or_else(|| ApiError::no_such(400, "source", id, "source"))?,
            ),
        };
        let r#type = query.r#type.as_deref().map(EntryType::find);
        let among = match (&of_source, r#type) {
            (Some(place), _) => Among::These(std::slice::from_ref(place)),
            (None, Some(Some(r#type))) => Among::These(self.entries_by_type.of(&r#type)),
            // A type that exists at Stripe and not here.
            (None, Some(None)) => Among::These(&[]),
            (None, None) => Among::All(self.entries.len()),
        };
        let visible = |place: usize| {
            self.entries.get(place).is_some_and(|entry| {
                r#type.is_none_or(|wanted| wanted == Some(entry.r#type()))
                    && query
                        .currency
                        .as_deref()
                        .is_none_or(|code| code == entry.currency.code())
                    && match entry.source {
                        Source::Transfer(at) => self.is_listed(at, now_ms),
                        Source::Reversal(_) | Source::Topup(_) => true,
                    }
            })
        };
        let created_ms = |place: usize| self.entries.get(place).map_or(0, |entry| entry.created_ms);
        let page = query.list.page(
            among,
            "balance transaction",
            |id| self.entry_place(id),
            created_ms,
            visible,
        )?;
        let data: Result<Vec<_>, _> = page
            .places
            .iter()
            .map(|&place| self.entry_view(place, query.expand))
            .collect();
        Ok(serde_json::to_vec(&ListView::new(
            "/v1/balance_transactions",
            data?,
            page.has_more,
        ))?)
    }

    fn entry_of_source(&self, id: &str) -> Option<usize> {
        if let Some(place) = self.transfer_place(id) {
            return self.transfers.get(place).map(|transfer| transfer.entry);
        }
        if let Some(place) = self.reversal_place(id) {
            return self.reversals.get(place).map(|reversal| reversal.entry);
        }
        let topup = ids::place(Kind::Topup, &self.space, id)?;
        self.entries
            .iter()
            .position(|entry| matches!(entry.source, Source::Topup(at) if at == topup))
    }
}

/// The balance as Stripe writes it.
#[derive(Serialize)]
pub(super) struct BalanceView {
    object: &'static str,
    available: Vec<BalanceAmount>,
    livemode: bool,
    pending: Vec<BalanceAmount>,
}

#[derive(Serialize)]
struct BalanceAmount {
    amount: i64,
    currency: Currency,
    source_types: SourceAmounts,
}

#[derive(Default, Serialize)]
struct SourceAmounts {
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bank_account: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fpx: Option<i64>,
}

/// A balance transaction as Stripe writes it.
#[derive(Serialize)]
pub(super) struct EntryView<'a> {
    id: Id<'a>,
    object: &'static str,
    amount: i64,
    available_on: i64,
    balance_type: &'static str,
    created: i64,
    currency: Currency,
    description: Option<&'a str>,
    exchange_rate: Option<()>,
    fee: i64,
    fee_details: [(); 0],
    net: i64,
    reporting_category: &'static str,
    source: Expandable<Id<'a>, SourceView<'a>>,
    status: &'static str,
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum SourceView<'a> {
    Transfer(Box<TransferView<'a>>),
    Reversal(Box<ReversalView<'a>>),
    Topup(TopupView<'a>),
}

/// A top-up as Stripe writes it; nobody's bank is behind it.
#[derive(Serialize)]
struct TopupView<'a> {
    id: Id<'a>,
    object: &'static str,
    amount: i64,
    balance_transaction: Id<'a>,
    created: i64,
    currency: Currency,
    description: Option<()>,
    livemode: bool,
    status: &'static str,
    transfer_group: Option<()>,
}
