//! The few calls this program makes.

use std::time::Duration;

use secrecy::SecretString;
use stripe_client_core::StripeRequest;
use stripe_connect::account::RetrieveForMyAccountAccount;
use stripe_connect::transfer::{CreateTransfer, ListTransfer, RetrieveTransfer};
use stripe_core::balance::RetrieveForMyAccountBalance;
use stripe_types::{RangeBoundsTs, RangeQueryTs};

use crate::model::money::Currency;
use crate::model::time::Time;
use crate::stripe::object::{
    Balance, BalanceTransaction, CreationPage, ErrorBody, Listed, Page, Reversal, Transfer,
    TransferPage, Unreadable, account_id,
};
use crate::stripe::transport::{Exchange, Reply, Timeouts, Transport, TransportError};
use crate::stripe::webhook::read::{Capability, EventPage};

/// The `Stripe-Version` of new attempts; an open attempt is resent with its own.
pub fn api_version() -> String {
    stripe_client_core::VERSION.to_string()
}

/// Entries a page asks for: Stripe's largest.
const PAGE: i64 = 100;

/// A transfer to be made, in the order its body is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRequest {
    /// Minor units, positive.
    pub amount: i32,
    /// Lowercase code.
    pub currency: Currency,
    /// `acct_…`.
    pub destination: String,
    /// The payout's id.
    pub transfer_group: String,
    /// Pairs, at most 50; values at most 500 characters.
    pub metadata: Vec<(&'static str, String)>,
}

impl TransferRequest {
    /// The form body: the same request always gives the same bytes, because
    /// Stripe refuses a key whose parameters changed.
    pub fn body(&self) -> String {
        let currency: stripe_types::Currency = self
            .currency
            .as_str()
            .parse()
            .unwrap_or_else(|never: std::convert::Infallible| match never {});
        let built = CreateTransfer::new(currency, self.destination.as_str())
            .amount(i64::from(self.amount))
            .transfer_group(self.transfer_group.as_str())
            .build();
        let mut body = built.body.unwrap_or_default();
        // async-stripe keeps metadata in a HashMap, whose order differs each time.
        let mut pairs = self.metadata.clone();
        pairs.sort_unstable();
        for (name, value) in pairs {
            // One pair of two texts always serialises.
            if let Ok(pair) = serde_urlencoded::to_string([(format!("metadata[{name}]"), value)]) {
                body.push('&');
                body.push_str(&pair);
            }
        }
        body
    }
}

/// A read that did not give what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No whole answer.
    #[error("Stripe did not answer: {0}")]
    NoAnswer(String),
    /// An error answer.
    #[error("Stripe answered {status}{}{}", code(error), request(request_id.as_ref()))]
    Refused {
        /// HTTP status.
        status: u16,
        /// What the body said.
        error: ErrorBody,
        /// `req_…`.
        request_id: Option<String>,
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// An answer that is something else.
    #[error("Stripe's answer cannot be read: {0}")]
    Unreadable(#[from] Unreadable),
}

fn code(error: &ErrorBody) -> String {
    let code = error.code.as_deref().or(error.kind.as_deref());
    match (code, error.message.as_deref()) {
        (None, None) => String::new(),
        (Some(code), None) => format!(" {code}"),
        (None, Some(message)) => format!(": {message}"),
        (Some(code), Some(message)) => format!(" {code}: {message}"),
    }
}

fn request(id: Option<&String>) -> String {
    id.map(|id| format!(" ({id})")).unwrap_or_default()
}

impl ReadError {
    /// The key itself is refused, or lacks a permission.
    pub fn is_key_refused(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 401 | 403,
                ..
            }
        )
    }

    /// Trying again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::Unreadable(_) => false,
        }
    }

    /// It came too fast, and when to come back, where Stripe says so.
    pub fn too_fast(&self) -> Option<Option<Duration>> {
        match self {
            Self::Refused {
                status: 429,
                retry_after,
                ..
            } => Some(*retry_after),
            _ => None,
        }
    }
}

/// Which transfers a list asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransferQuery {
    /// Only of this group.
    pub group: Option<String>,
    /// Only to this account.
    pub destination: Option<String>,
    /// Only made at this second or later.
    pub created_from: Option<Time>,
    /// Only made before this second.
    pub created_before: Option<Time>,
}

/// Which lines of the balance a list asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalanceLines {
    /// What transfers took from it.
    Transfers,
    /// What came back of them. Each is sent along with its transfer.
    Reversals,
}

/// Stripe, for one key.
#[derive(Debug)]
pub struct Stripe {
    transport: Transport,
}

impl Stripe {
    /// Checks the key and the address; sends nothing.
    pub fn new(
        key: &SecretString,
        base: Option<&str>,
        connections: usize,
        timeouts: Timeouts,
    ) -> Result<Self, TransportError> {
        Ok(Self {
            transport: Transport::new(key, base, connections, timeouts)?,
        })
    }

    /// Real money.
    pub fn livemode(&self) -> bool {
        self.transport.livemode()
    }

    /// The address is this machine.
    pub fn is_loopback(&self) -> bool {
        self.transport.is_loopback()
    }

    /// Sends a stored body under its stored key, once, and only if `may_leave` still
    /// says so when it is about to be written.
    pub async fn transfer_send(
        &self,
        key: &str,
        api_version: &str,
        body: String,
        may_leave: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Exchange {
        self.transport
            .post("/v1/transfers", key, api_version, body, may_leave)
            .await
    }

    /// The account the key belongs to: `acct_…`, and Stripe's clock.
    pub async fn account(&self) -> Result<(String, Option<Time>), ReadError> {
        let reply = self.read(&RetrieveForMyAccountAccount::new()).await?;
        Ok((account_id(&reply.body)?, reply.date))
    }

    /// Available card funds in a currency.
    pub async fn balance(&self, currency: Currency) -> Result<Balance, ReadError> {
        let reply = self.read(&RetrieveForMyAccountBalance::new()).await?;
        Ok(Balance::read(&reply.body, currency)?)
    }

    /// One transfer.
    pub async fn transfer(&self, id: &str) -> Result<Transfer, ReadError> {
        let reply = self.read(&RetrieveTransfer::new(id)).await?;
        Ok(Transfer::read(&reply.body)?)
    }

    /// One page of transfers, newest first, behind the entry `after`.
    pub async fn transfer_page(
        &self,
        query: &TransferQuery,
        after: Option<&str>,
    ) -> Result<TransferPage, ReadError> {
        let mut list = ListTransfer::new().limit(PAGE);
        if let Some(group) = &query.group {
            list = list.transfer_group(group.as_str());
        }
        if let Some(destination) = &query.destination {
            list = list.destination(destination.as_str());
        }
        if query.created_from.is_some() || query.created_before.is_some() {
            list = list.created(RangeQueryTs::Bounds(RangeBoundsTs {
                gte: query.created_from.map(Time::unix_seconds),
                lt: query.created_before.map(Time::unix_seconds),
                ..RangeBoundsTs::default()
            }));
        }
        if let Some(after) = after {
            list = list.starting_after(after);
        }
        let reply = self.read(&list).await?;
        Ok(TransferPage::read(&reply.body)?)
    }

    /// One page of the reversals of a transfer, newest first, behind the reversal `after`.
    pub async fn reversal_page(
        &self,
        transfer: &str,
        after: Option<&str>,
    ) -> Result<Page<Reversal>, ReadError> {
        let after = after.map(|after| format!("&starting_after={after}"));
        let path = format!(
            "/v1/transfers/{transfer}/reversals?limit={PAGE}{}",
            after.unwrap_or_default()
        );
        Ok(Page::read(&self.get(&path).await?.body)?)
    }

    /// One page of the balance's lines, newest first, behind the line `after`, made at
    /// the second `from` or later and before the second `before`.
    pub async fn balance_page(
        &self,
        lines: BalanceLines,
        (from, before): (Option<Time>, Option<Time>),
        after: Option<&str>,
    ) -> Result<Page<BalanceTransaction>, ReadError> {
        let limit = PAGE.to_string();
        let from = from.map(|time| time.unix_seconds().to_string());
        let before = before.map(|time| time.unix_seconds().to_string());
        let mut query = vec![("limit", limit.as_str())];
        query.extend(match lines {
            BalanceLines::Transfers => vec![("type", "transfer")],
            BalanceLines::Reversals => {
                vec![
                    ("type", "transfer_refund"),
                    ("expand[]", "data.source.transfer"),
                ]
            }
        });
        query.extend(from.as_deref().map(|from| ("created[gte]", from)));
        query.extend(before.as_deref().map(|before| ("created[lt]", before)));
        query.extend(after.map(|after| ("starting_after", after)));
        // Pairs of texts always serialise.
        let query = serde_urlencoded::to_string(query).unwrap_or_default();
        let reply = self
            .get(&format!("/v1/balance_transactions?{query}"))
            .await?;
        Ok(Page::read(&reply.body)?)
    }

    /// One line of the balance, which is one of these, sent along with its transfer.
    pub async fn balance_line(
        &self,
        line: BalanceLines,
        id: &str,
    ) -> Result<BalanceTransaction, ReadError> {
        let expanded = match line {
            BalanceLines::Transfers => "source",
            BalanceLines::Reversals => "source.transfer",
        };
        let path = format!("/v1/balance_transactions/{id}?expand[]={expanded}");
        let reply = self.get(&path).await?;
        Ok(BalanceTransaction::read(&reply.body)?)
    }

    /// One page of the events that say a transfer was made, newest first, behind
    /// the event `after`. Stripe keeps them for 30 days.
    pub async fn creations(
        &self,
        since: Time,
        after: Option<&str>,
    ) -> Result<CreationPage, ReadError> {
        let limit = PAGE.to_string();
        let since = since.unix_seconds().to_string();
        let mut query = vec![
            ("type", "transfer.created"),
            ("limit", &limit),
            ("created[gte]", &since),
        ];
        query.extend(after.map(|after| ("starting_after", after)));
        // Pairs of texts always serialise.
        let query = serde_urlencoded::to_string(query).unwrap_or_default();
        let reply = self.get(&format!("/v1/events?{query}")).await?;
        Ok(CreationPage::read(&reply.body)?)
    }

    /// One page of the events of these types, newest first, behind the event
    /// `after`. Stripe keeps them for 30 days.
    pub async fn event_page(
        &self,
        types: &[&str],
        since: Time,
        after: Option<&str>,
    ) -> Result<EventPage, ReadError> {
        let limit = PAGE.to_string();
        let since = since.unix_seconds().to_string();
        let mut query = vec![("limit", limit.as_str()), ("created[gte]", &since)];
        query.extend(types.iter().map(|kind| ("types[]", *kind)));
        query.extend(after.map(|after| ("starting_after", after)));
        // Pairs of texts always serialise.
        let query = serde_urlencoded::to_string(query).unwrap_or_default();
        let reply = self.get(&format!("/v1/events?{query}")).await?;
        Ok(EventPage::read(&reply.body)?)
    }

    /// Whether an account can take transfers. `id` is one that Stripe made.
    pub async fn capability(&self, id: &str) -> Result<Capability, ReadError> {
        let reply = self.get(&format!("/v1/accounts/{id}")).await?;
        Ok(Capability::read(&reply.body)?)
    }

    async fn read<R: StripeRequest>(&self, request: &R) -> Result<Reply, ReadError> {
        let built = request.build();
        let query = built
            .query
            .filter(|q| !q.is_empty())
            .map(|q| format!("?{q}"))
            .unwrap_or_default();
        self.get(&format!("/v1{}{query}", built.path)).await
    }

    async fn get(&self, path: &str) -> Result<Reply, ReadError> {
        match self.transport.get(path, &api_version()).await {
            Exchange::NotWritten { reason } | Exchange::Lost { reason, .. } => {
                Err(ReadError::NoAnswer(reason))
            }
            Exchange::Answered(reply) if reply.status == 200 => Ok(reply),
            Exchange::Answered(reply) => Err(ReadError::Refused {
                status: reply.status,
                error: ErrorBody::read(&reply.body).unwrap_or_default(),
                request_id: reply.request_id,
                retry_after: reply.retry_after,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request_gives_the_same_bytes() {
        let request = TransferRequest {
            amount: 1250,
            currency: Currency::USD,
            destination: "acct_1".into(),
            transfer_group: "cp1".into(),
            metadata: vec![
                ("payout_id", "cp1".into()),
                ("attempt", "1".into()),
                ("reference", "a&b=ü".into()),
            ],
        };
        assert_eq!(
            request.body(),
            "amount=1250&currency=usd&destination=acct_1&transfer_group=cp1\
             &metadata%5Battempt%5D=1&metadata%5Bpayout_id%5D=cp1&metadata%5Breference%5D=a%26b%3D%C3%BC"
        );
        assert_eq!(request.body(), request.clone().body());
    }
}
