//! Reversals: the only way to undo a transfer. The transfer stays and its `amount_reversed` grows;
//! `reversed` is true only once all of it came back.

use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;

use super::accounts::can_be_reversed;
use super::balance::{Entry, EntryExpand, EntryView, Source};
use super::clock::seconds;
use super::currency::Currency;
use super::error::ApiError;
use super::events::{Change, EventType};
use super::form::Params;
use super::ids::{Id, Kind};
use super::ledger::{Ledger, Origin};
use super::listing::{Among, ListQuery, ListView};
use super::metadata::{self, Metadata};
use super::transfers::{Expand, Expandable, TransferView, Version, checked_description};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reversal {
    created_ms: i64,
    amount: i64,
    transfer: usize,
    metadata: Metadata,
    pub(super) entry: usize,
}

/// Which fields of a reversal to show as objects instead of ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReversalExpand {
    pub(super) balance_transaction: bool,
    pub(super) transfer: bool,
}

impl ReversalExpand {
    /// Takes `expand[]`; inside lists every name starts with `data.`.
    pub(super) fn take(params: &mut Params, prefix: &str) -> Result<Self, ApiError> {
        let mut expand = Self::default();
        for name in params.list("expand") {
            match name.strip_prefix(prefix) {
                Some("balance_transaction") => expand.balance_transaction = true,
                Some("transfer") => expand.transfer = true,
                // Always null here.
                Some("source_refund") => {}
                _ => return Err(ApiError::not_expandable(&name)),
            }
        }
        Ok(expand)
    }
}

/// `POST /v1/transfers/{id}/reversals`.
#[derive(Debug)]
pub(super) struct NewReversal {
    transfer: String,
    /// What is left of the transfer, if not given.
    amount: Option<i64>,
    metadata: Metadata,
}

impl NewReversal {
    /// As somebody makes it in the dashboard.
    pub(super) fn by_hand(transfer: &str, amount: i64) -> Result<Self, ApiError> {
        Ok(Self {
            transfer: transfer.to_owned(),
            amount: Some(amount),
            metadata: Metadata::new(metadata::Change::Keep)?,
        })
    }

    pub(super) fn from_params(transfer: &str, mut params: Params) -> Result<Self, ApiError> {
        let amount = params.integer("amount")?;
        let metadata = metadata::Change::checked(params.map("metadata"))?;
        // Neither shows on the object.
        checked_description(params.text("description"))?;
        params.text("refund_application_fee");
        params.finish()?;
        if amount.is_some_and(|amount| amount < 1) {
            return Err(ApiError::integer(
                "amount",
                "This value must be greater than or equal to 1.",
            ));
        }
        Ok(Self {
            transfer: transfer.to_owned(),
            amount,
            metadata: Metadata::new(metadata)?,
        })
    }
}

/// `POST /v1/transfers/{transfer}/reversals/{id}`.
#[derive(Debug)]
pub(super) struct ReversalUpdate {
    transfer: String,
    reversal: String,
    metadata: metadata::Change,
}

impl ReversalUpdate {
    pub(super) fn from_params(
        transfer: &str,
        reversal: &str,
        mut params: Params,
    ) -> Result<Self, ApiError> {
        let metadata = metadata::Change::checked(params.map("metadata"))?;
        params.finish()?;
        Ok(Self {
            transfer: transfer.to_owned(),
            reversal: reversal.to_owned(),
            metadata,
        })
    }
}

impl Ledger {
    pub(super) fn reversal_create(
        &mut self,
        new: NewReversal,
        origin: Origin,
        now_ms: i64,
    ) -> Result<Vec<u8>, ApiError> {
        let place = self.transfer_named(&new.transfer)?;
        let reversal = self.reversals.len();
        let Some(transfer) = self.transfers.get_mut(place) else {
            return Err(ApiError::server_error());
        };
        let rest = transfer.amount - transfer.amount_reversed;
        if rest == 0 {
            return Err(ApiError::new(
                400,
                "transfer_already_reversed",
                format!("The transfer {} is already fully reversed.", new.transfer),
            ));
        }
        let amount = new.amount.unwrap_or(rest);
        if amount > rest {
            return Err(ApiError::param(
                None,
                "amount",
                format!(
                    "Reversal amount ({amount}) is greater than unreversed amount on transfer ({rest})."
                ),
            ));
        }
        if !can_be_reversed(&transfer.destination) {
            return Err(ApiError::new(
                400,
                "balance_insufficient",
                "The connected account does not have sufficient available funds to reverse this transfer.",
            ));
        }
        transfer.amount_reversed += amount;
        transfer.reversals.push(reversal);
        let (currency, source_type) = (transfer.currency, transfer.source_type);
        let available = self.funds.of(currency, source_type);
        *available = available.saturating_add(amount);
        let entry = self.enter(Entry {
            created_ms: now_ms,
            amount,
            currency,
            source: Source::Reversal(reversal),
        });
        self.reversals.push(Reversal {
            created_ms: now_ms,
            amount,
            transfer: place,
            metadata: new.metadata,
            entry,
        });
        let object =
            to_raw_value(&self.transfer_view(place, Version::Now, Expand::default(), None)?)?;
        self.announce_change(Change {
            r#type: EventType::Reversed,
            created_ms: now_ms,
            origin,
            transfer: place,
            object,
            previous: None,
        });
        Ok(serde_json::to_vec(
            &self.reversal_view(reversal, ReversalExpand::default())?,
        )?)
    }

    pub(super) fn reversal_update(&mut self, update: ReversalUpdate) -> Result<Vec<u8>, ApiError> {
        let place = self.reversal_named(&update.transfer, &update.reversal)?;
        if let Some(reversal) = self.reversals.get_mut(place) {
            reversal.metadata = reversal.metadata.changed(update.metadata)?;
        }
        Ok(serde_json::to_vec(
            &self.reversal_view(place, ReversalExpand::default())?,
        )?)
    }

    pub(super) fn reversal_body(
        &self,
        transfer: &str,
        id: &str,
        expand: ReversalExpand,
    ) -> Result<Vec<u8>, ApiError> {
        let place = self.reversal_named(transfer, id)?;
        Ok(serde_json::to_vec(&self.reversal_view(place, expand)?)?)
    }

    pub(super) fn reversal_list(
        &self,
        transfer: &str,
        query: &ListQuery,
        expand: ReversalExpand,
    ) -> Result<Vec<u8>, ApiError> {
        let parent = self.transfer_named(transfer)?;
        let among = self
            .transfers
            .get(parent)
            .map_or(Among::All(0), |transfer| Among::These(&transfer.reversals));
        let created_ms = |place: usize| {
            self.reversals
                .get(place)
                .map_or(0, |reversal| reversal.created_ms)
        };
        let page = query.page(
            among,
            "transfer reversal",
            |id| self.reversal_place(id),
            created_ms,
            |_| true,
        )?;
        let data: Result<Vec<_>, _> = page
            .places
            .iter()
            .map(|&place| self.reversal_view(place, expand))
            .collect();
        Ok(serde_json::to_vec(&ListView::new(
            format!("/v1/transfers/{transfer}/reversals"),
            data?,
            page.has_more,
        ))?)
    }

    fn reversal_named(&self, transfer: &str, id: &str) -> Result<usize, ApiError> {
        let parent = self.transfer_named(transfer)?;
        self.reversal_place(id)
            .filter(|&place| {
                self.reversals
                    .get(place)
                    .is_some_and(|reversal| reversal.transfer == parent)
            })
            .ok_or_else(|| ApiError::no_such(404, "transfer reversal", id, "id"))
    }

    pub(super) fn reversal_view(
        &self,
        place: usize,
        expand: ReversalExpand,
    ) -> Result<ReversalView<'_>, ApiError> {
        let (reversal, currency) = self
            .reversals
            .get(place)
            .and_then(|reversal| {
                let transfer = self.transfers.get(reversal.transfer)?;
                Some((reversal, transfer.currency))
            })
            .ok_or_else(ApiError::server_error)?;
        let balance_transaction = if expand.balance_transaction {
            Expandable::Object(self.entry_view(reversal.entry, EntryExpand::Nothing)?)
        } else {
            Expandable::Id(self.id(Kind::BalanceTransaction, reversal.entry))
        };
        let transfer = if expand.transfer {
            Expandable::Object(Box::new(self.transfer_view(
                reversal.transfer,
                Version::Now,
                Expand::default(),
                None,
            )?))
        } else {
            Expandable::Id(self.id(Kind::Transfer, reversal.transfer))
        };
        Ok(ReversalView {
            id: self.id(Kind::Reversal, place),
            object: "transfer_reversal",
            amount: reversal.amount,
            balance_transaction,
            created: seconds(reversal.created_ms),
            currency,
            destination_payment_refund: self.id(Kind::PaymentRefund, place),
            metadata: &reversal.metadata,
            source_refund: None,
            transfer,
        })
    }
}

/// A reversal as Stripe writes it.
#[derive(Serialize)]
pub(super) struct ReversalView<'a> {
    id: Id<'a>,
    object: &'static str,
    amount: i64,
    balance_transaction: Expandable<Id<'a>, EntryView<'a>>,
    created: i64,
    currency: Currency,
    destination_payment_refund: Id<'a>,
    metadata: &'a Metadata,
    source_refund: Option<()>,
    transfer: Expandable<Id<'a>, Box<TransferView<'a>>>,
}
