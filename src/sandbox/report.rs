//! What the sandbox tells about its books: the judge's view, beside the API.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::SourceType;
use super::clock::{rfc3339, seconds};
use super::ids::Kind;
use super::ledger::Ledger;
use super::metadata::Metadata;
use super::state::State;

/// Everything that happened, per account and mode.
#[derive(Clone, Debug, Serialize)]
pub struct LedgerReport {
    /// The simulated time, RFC 3339.
    pub now: String,
    /// One entry per account and mode that was used.
    pub accounts: Vec<AccountReport>,
    /// How often each endpoint was answered with which HTTP status since the start; status 0 is a
    /// connection that ended without an answer.
    pub requests: BTreeMap<&'static str, BTreeMap<u16, u64>>,
    /// Connections that were opened since the start.
    pub connections: u64,
}

/// The books of one account in one mode.
#[derive(Clone, Debug, Serialize)]
pub struct AccountReport {
    /// `acct_…`
    pub account: &'static str,
    /// Whether these are the books of live keys.
    pub livemode: bool,
    /// What is available now.
    pub balances: Vec<BalanceReport>,
    /// Sums per currency.
    pub totals: Vec<TotalReport>,
    /// Transfer groups with more than one transfer that was not fully reversed: where a group
    /// names a payout, somebody was paid twice. Sorted.
    pub paid_more_than_once: Vec<Arc<str>>,
    /// Idempotency keys whose answers are still kept.
    pub keys_held: usize,
    /// All transfers, oldest first; `None` when only sums were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfers: Option<Vec<TransferReport>>,
}

/// Money that is available.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BalanceReport {
    /// Three-letter code.
    pub currency: &'static str,
    /// Where it came from.
    pub source_type: SourceType,
    /// Minor units.
    pub available: i64,
}

/// Sums over all transfers of one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TotalReport {
    /// Three-letter code.
    pub currency: &'static str,
    /// How many transfers were made.
    pub transfers: usize,
    /// Their sum in minor units.
    pub amount: i128,
    /// How much of it was reversed, in minor units.
    pub amount_reversed: i128,
}

/// One transfer.
#[derive(Clone, Debug, Serialize)]
pub struct TransferReport {
    /// `tr_…`
    pub id: String,
    /// Unix seconds of simulated time.
    pub created: i64,
    /// Minor units.
    pub amount: i64,
    /// Minor units.
    pub amount_reversed: i64,
    /// Three-letter code.
    pub currency: &'static str,
    /// The receiving account.
    pub destination: Arc<str>,
    /// As sent.
    pub transfer_group: Option<Arc<str>>,
    /// As sent, or as last updated.
    pub metadata: Metadata,
    /// The idempotency key under which it was made.
    pub idempotency_key: Option<Arc<str>>,
    /// The request that made it.
    pub request_id: String,
    /// How often its answer was replayed to later requests with the key.
    pub replays: u32,
}

impl LedgerReport {
    /// All transfers of all accounts.
    pub fn transfers(&self) -> impl Iterator<Item = &TransferReport> {
        self.accounts
            .iter()
            .filter_map(|account| account.transfers.as_ref())
            .flatten()
    }
}

impl State {
    /// `with_transfers`: whether to list every transfer or only the sums.
    pub(super) fn report(&mut self, with_transfers: bool) -> LedgerReport {
        LedgerReport {
            now: rfc3339(self.clock.now_ms()),
            accounts: self
                .ledgers
                .iter()
                .map(|ledger| ledger.report(with_transfers))
                .collect(),
            requests: self.counts.clone(),
            connections: self.connections,
        }
    }
}

impl Ledger {
    fn report(&self, with_transfers: bool) -> AccountReport {
        let mut totals: BTreeMap<&'static str, TotalReport> = BTreeMap::new();
        for transfer in &self.transfers {
            let currency = transfer.currency.code();
            let total = totals.entry(currency).or_insert(TotalReport {
                currency,
                transfers: 0,
                amount: 0,
                amount_reversed: 0,
            });
            total.transfers += 1;
            total.amount += i128::from(transfer.amount);
            total.amount_reversed += i128::from(transfer.amount_reversed);
        }
        let stands = |place: &usize| {
            self.transfers
                .get(*place)
                .is_some_and(|transfer| transfer.amount_reversed < transfer.amount)
        };
        let mut paid_more_than_once: Vec<Arc<str>> = self
            .by_group
            .iter()
            .filter(|(_, places)| places.iter().filter(|place| stands(place)).count() > 1)
            .map(|(group, _)| Arc::clone(group))
            .collect();
        paid_more_than_once.sort_unstable();
        AccountReport {
            account: self.scope.account.id(),
            livemode: self.scope.livemode,
            balances: self
                .funds
                .iter()
                .map(|fund| BalanceReport {
                    currency: fund.currency.code(),
                    source_type: fund.source_type,
                    available: fund.available,
                })
                .collect(),
            totals: totals.into_values().collect(),
            paid_more_than_once,
            keys_held: self.keys.len(),
            transfers: with_transfers.then(|| {
                (0..self.transfers.len())
                    .filter_map(|place| self.transfer_report(place))
                    .collect()
            }),
        }
    }

    fn transfer_report(&self, place: usize) -> Option<TransferReport> {
        let transfer = self.transfers.get(place)?;
        Some(TransferReport {
            id: self.id(Kind::Transfer, place).to_string(),
            created: seconds(transfer.created_ms),
            amount: transfer.amount,
            amount_reversed: transfer.amount_reversed,
            currency: transfer.currency.code(),
            destination: Arc::clone(&transfer.destination),
            transfer_group: transfer.group.clone(),
            metadata: transfer.notes.metadata.clone(),
            idempotency_key: transfer.origin.key.clone(),
            request_id: self.request_id(transfer.origin.request).to_string(),
            replays: transfer.replays,
        })
    }
}
