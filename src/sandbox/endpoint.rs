//! The endpoints that exist, by the names that faults, counts and the request log use for them.

use std::fmt;

/// One endpoint of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Endpoint {
    TransfersCreate,
    TransfersList,
    TransfersRetrieve,
    TransfersUpdate,
    ReversalsCreate,
    ReversalsList,
    ReversalsRetrieve,
    ReversalsUpdate,
    BalanceRetrieve,
    BalanceTransactionsList,
    BalanceTransactionsRetrieve,
    AccountRetrieve,
    AccountsList,
    AccountsRetrieve,
    EventsList,
    EventsRetrieve,
}

impl Endpoint {
    pub(super) const ALL: [Self; 16] = [
        Self::TransfersCreate,
        Self::TransfersList,
        Self::TransfersRetrieve,
        Self::TransfersUpdate,
        Self::ReversalsCreate,
        Self::ReversalsList,
        Self::ReversalsRetrieve,
        Self::ReversalsUpdate,
        Self::BalanceRetrieve,
        Self::BalanceTransactionsList,
        Self::BalanceTransactionsRetrieve,
        Self::AccountRetrieve,
        Self::AccountsList,
        Self::AccountsRetrieve,
        Self::EventsList,
        Self::EventsRetrieve,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::TransfersCreate => "transfers.create",
            Self::TransfersList => "transfers.list",
            Self::TransfersRetrieve => "transfers.retrieve",
            Self::TransfersUpdate => "transfers.update",
            Self::ReversalsCreate => "reversals.create",
            Self::ReversalsList => "reversals.list",
            Self::ReversalsRetrieve => "reversals.retrieve",
            Self::ReversalsUpdate => "reversals.update",
            Self::BalanceRetrieve => "balance.retrieve",
            Self::BalanceTransactionsList => "balance_transactions.list",
            Self::BalanceTransactionsRetrieve => "balance_transactions.retrieve",
            Self::AccountRetrieve => "account.retrieve",
            Self::AccountsList => "accounts.list",
            Self::AccountsRetrieve => "accounts.retrieve",
            Self::EventsList => "events.list",
            Self::EventsRetrieve => "events.retrieve",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|endpoint| endpoint.name() == name)
    }

    /// What it is about: the first word of its name.
    pub(super) fn resource(self) -> &'static str {
        let name = self.name();
        name.split_once('.').map_or(name, |(resource, _)| resource)
    }

    /// Whether it is a POST, which may change something and takes an idempotency key.
    pub(super) const fn writes(self) -> bool {
        matches!(
            self,
            Self::TransfersCreate
                | Self::TransfersUpdate
                | Self::ReversalsCreate
                | Self::ReversalsUpdate
        )
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An endpoint and the ids in its path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route<'a> {
    pub(super) endpoint: Endpoint,
    /// The id after the first word of the path.
    pub(super) id: &'a str,
    /// The id of a reversal, after that of its transfer.
    pub(super) nested: &'a str,
}

impl<'a> Route<'a> {
    pub(super) fn find(post: bool, path: &'a str) -> Option<Self> {
        let mut words = path.strip_prefix("/v1/")?.split('/');
        let (resource, id, list, nested) =
            (words.next()?, words.next(), words.next(), words.next());
        if words.next().is_some() || [id, list, nested].contains(&Some("")) {
            return None;
        }
        let endpoint = match (post, resource, id, list, nested) {
            (true, "transfers", None, ..) => Endpoint::TransfersCreate,
            (false, "transfers", None, ..) => Endpoint::TransfersList,
            (true, "transfers", Some(_), None, _) => Endpoint::TransfersUpdate,
            (false, "transfers", Some(_), None, _) => Endpoint::TransfersRetrieve,
            (true, "transfers", _, Some("reversals"), None) => Endpoint::ReversalsCreate,
            (false, "transfers", _, Some("reversals"), None) => Endpoint::ReversalsList,
            (true, "transfers", _, Some("reversals"), Some(_)) => Endpoint::ReversalsUpdate,
            (false, "transfers", _, Some("reversals"), Some(_)) => Endpoint::ReversalsRetrieve,
            (false, "balance", None, ..) => Endpoint::BalanceRetrieve,
            (false, "balance_transactions", None, ..) => Endpoint::BalanceTransactionsList,
            (false, "balance_transactions", Some(_), None, _) => {
                Endpoint::BalanceTransactionsRetrieve
            }
            (false, "account", None, ..) => Endpoint::AccountRetrieve,
            (false, "accounts", None, ..) => Endpoint::AccountsList,
            (false, "accounts", Some(_), None, _) => Endpoint::AccountsRetrieve,
            (false, "events", None, ..) => Endpoint::EventsList,
            (false, "events", Some(_), None, _) => Endpoint::EventsRetrieve,
            _ => return None,
        };
        Some(Self {
            endpoint,
            id: id.unwrap_or_default(),
            nested: nested.unwrap_or_default(),
        })
    }
}
