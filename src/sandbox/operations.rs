//! What requests ask for: parameters read and checked first, then carried out against the books.
//!
//! The two steps are apart because of what Stripe stores under an idempotency key: nothing for
//! parameters that are wrong, everything once the execution has begun.

use super::accounts::own_account;
use super::auth::Scope;
use super::balance::{EntryExpand, EntryQuery};
use super::endpoint::{Endpoint, Route};
use super::error::ApiError;
use super::events::EventQuery;
use super::form::Params;
use super::ledger::Origin;
use super::listing::{Among, ListQuery, ListView};
use super::reversals::{NewReversal, ReversalExpand, ReversalUpdate};
use super::state::State;
use super::transfers::{Expand, NewTransfer, TransferQuery, TransferUpdate, Version};

#[derive(Debug)]
pub(super) enum Operation {
    Read(Read),
    Write(Write),
}

#[derive(Debug)]
pub(super) enum Read {
    Transfers(TransferQuery),
    Transfer {
        id: String,
        expand: Expand,
    },
    Reversals {
        transfer: String,
        query: ListQuery,
        expand: ReversalExpand,
    },
    Reversal {
        transfer: String,
        id: String,
        expand: ReversalExpand,
    },
    Balance,
    BalanceTransactions(EntryQuery),
    BalanceTransaction {
        id: String,
        expand: EntryExpand,
    },
    OwnAccount,
    Accounts(ListQuery),
    Account(String),
    Events(EventQuery),
    Event(String),
}

#[derive(Debug)]
pub(super) enum Write {
    TransferCreate(Box<NewTransfer>),
    TransferUpdate(TransferUpdate),
    ReversalCreate(NewReversal),
    ReversalUpdate(ReversalUpdate),
}

/// What carrying out a [`Write`] made.
#[derive(Debug)]
pub(super) enum Written {
    /// A transfer, and how to show it.
    Transfer { place: usize, expand: Expand },
    /// Something whose JSON is this.
    Body(Vec<u8>),
}

impl Operation {
    /// Reads the parameters of a request; every error is a validation failure.
    pub(super) fn read(route: Route<'_>, mut params: Params) -> Result<Self, ApiError> {
        let id = || route.id.to_owned();
        let read = match route.endpoint {
            Endpoint::TransfersCreate => {
                return Ok(Self::Write(Write::TransferCreate(Box::new(
                    NewTransfer::from_params(params)?,
                ))));
            }
            Endpoint::TransfersUpdate => {
                return Ok(Self::Write(Write::TransferUpdate(
                    TransferUpdate::from_params(route.id, params)?,
                )));
            }
            Endpoint::ReversalsCreate => {
                return Ok(Self::Write(Write::ReversalCreate(
                    NewReversal::from_params(route.id, params)?,
                )));
            }
            Endpoint::ReversalsUpdate => {
                return Ok(Self::Write(Write::ReversalUpdate(
                    ReversalUpdate::from_params(route.id, route.nested, params)?,
                )));
            }
            Endpoint::TransfersList => {
                return Ok(Self::Read(Read::Transfers(TransferQuery::from_params(
                    params,
                )?)));
            }
            Endpoint::BalanceTransactionsList => {
                return Ok(Self::Read(Read::BalanceTransactions(
                    EntryQuery::from_params(params)?,
                )));
            }
            Endpoint::EventsList => {
                return Ok(Self::Read(Read::Events(EventQuery::from_params(params)?)));
            }
            Endpoint::TransfersRetrieve => Read::Transfer {
                id: id(),
                expand: Expand::take(&mut params, "")?,
            },
            Endpoint::ReversalsList => Read::Reversals {
                transfer: id(),
                query: ListQuery::take(&mut params)?,
                expand: ReversalExpand::take(&mut params, "data.")?,
            },
            Endpoint::ReversalsRetrieve => Read::Reversal {
                transfer: id(),
                id: route.nested.to_owned(),
                expand: ReversalExpand::take(&mut params, "")?,
            },
            Endpoint::BalanceRetrieve => Read::Balance,
            Endpoint::BalanceTransactionsRetrieve => Read::BalanceTransaction {
                id: id(),
                expand: EntryExpand::take(&mut params, "")?,
            },
            Endpoint::AccountRetrieve => Read::OwnAccount,
            Endpoint::AccountsList => Read::Accounts(ListQuery::take(&mut params)?),
            Endpoint::AccountsRetrieve => Read::Account(id()),
            Endpoint::EventsRetrieve => Read::Event(id()),
        };
        params.finish()?;
        Ok(Self::Read(read))
    }
}

impl Write {
    /// The account that will be paid.
    pub(super) fn destination(&self) -> Option<&str> {
        match self {
            Self::TransferCreate(new) => Some(&new.destination),
            _ => None,
        }
    }
}

impl State {
    pub(super) fn read(&mut self, scope: Scope, read: Read) -> Result<Vec<u8>, ApiError> {
        let now_ms = self.clock.now_ms();
        let (ledger, accounts) = self.books(scope);
        match read {
            Read::Transfers(query) => ledger.transfer_list(&query, accounts, now_ms),
            Read::Transfer { id, expand } => {
                ledger.transfer_body(ledger.transfer_named(&id)?, Version::Now, expand, accounts)
            }
            Read::Reversals {
                transfer,
                query,
                expand,
            } => ledger.reversal_list(&transfer, &query, expand),
            Read::Reversal {
                transfer,
                id,
                expand,
            } => ledger.reversal_body(&transfer, &id, expand),
            Read::Balance => Ok(serde_json::to_vec(&ledger.balance_view())?),
            Read::BalanceTransactions(query) => ledger.entry_list(&query, now_ms),
            Read::BalanceTransaction { id, expand } => {
                let place = ledger
                    .entry_place(&id)
                    .ok_or_else(|| ApiError::no_such(404, "balance transaction", &id, "id"))?;
                Ok(serde_json::to_vec(&ledger.entry_view(place, expand)?)?)
            }
            Read::OwnAccount => Ok(serde_json::to_vec(&own_account(scope.account))?),
            Read::Account(id) => Ok(serde_json::to_vec(&accounts.view(&id, now_ms)?)?),
            Read::Accounts(query) => {
                let page = query.page(
                    Among::All(accounts.len()),
                    "account",
                    |id| accounts.place(id),
                    |place| accounts.created_ms(place),
                    |_| true,
                )?;
                let ids = page.places.iter().filter_map(|&place| accounts.id(place));
                let data = ids
                    .map(|id| accounts.view(id, now_ms))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(serde_json::to_vec(&ListView::new(
                    "/v1/accounts",
                    data,
                    page.has_more,
                ))?)
            }
            Read::Events(query) => ledger.event_list(query, now_ms),
            Read::Event(id) => {
                let place = ledger
                    .event_place(&id)
                    .ok_or_else(|| ApiError::no_such(404, "event", &id, "id"))?;
                Ok(serde_json::to_vec(&ledger.event_view(place)?)?)
            }
        }
    }

    /// `listed_late_ms`: how long lists are to hide a transfer that is made.
    pub(super) fn write(
        &mut self,
        scope: Scope,
        write: Write,
        origin: Origin,
        listed_late_ms: i64,
    ) -> Result<Written, ApiError> {
        let now_ms = self.clock.now_ms();
        let (ledger, accounts) = self.books(scope);
        match write {
            Write::TransferCreate(new) => {
                let expand = new.expand;
                let place =
                    ledger.transfer_create(*new, accounts, origin, now_ms, listed_late_ms)?;
                Ok(Written::Transfer { place, expand })
            }
            Write::TransferUpdate(update) => ledger
                .transfer_update(update, accounts, origin, now_ms)
                .map(Written::Body),
            Write::ReversalCreate(new) => ledger
                .reversal_create(new, origin, now_ms)
                .map(Written::Body),
            Write::ReversalUpdate(update) => ledger.reversal_update(update).map(Written::Body),
        }
    }
}
