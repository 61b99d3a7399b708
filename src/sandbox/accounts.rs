//! Connected accounts. Any `acct_…` is one, without being set up; its name decides how it behaves,
//! and `/_sandbox/accounts` can change its capabilities later.
//!
//! | name contains | a transfer to it is answered with |
//! |---|---|
//! | `closed`, `missing` | 400 `resource_missing`, `param=destination`: closed, disconnected, or never ours |
//! | `nocap` | 400 `insufficient_capabilities_for_transfer` |
//! | `country` | 400 `country_unsupported` |
//! | `standard` | 400 `not_allowed_on_standard_account` |
//! | `notallowed` | 400 `transfers_not_allowed` |
//! | `blocked` | 400 `request_blocked` |
//! | `approval` | 400 `approval_required` |
//! | `other_error` | 400 with a code that is in no list |
//!
//! And beside refusals: `nopayouts` takes transfers but cannot reach its bank
//! (`payouts_enabled=false`), `spent` has no money left for a reversal.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::auth::Account;
use super::clock::seconds;
use super::error::ApiError;

/// Whether a capability of a connected account may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapabilityStatus {
    /// It may.
    Active,
    /// It may not; `disabled_reason` says why.
    Inactive,
    /// Not yet.
    Pending,
}

/// What to change about a connected account; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountUpdate {
    /// The account, `acct_…`.
    pub id: String,
    /// Its `transfers` capability: the field that decides whether it can be paid.
    pub transfers: Option<CapabilityStatus>,
    /// Whether it can pay out to its bank.
    pub payouts_enabled: Option<bool>,
    /// `requirements.disabled_reason`; an empty text takes it away.
    pub disabled_reason: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Connected {
    id: Arc<str>,
    created_ms: i64,
    transfers: CapabilityStatus,
    payouts_enabled: bool,
    disabled_reason: Option<String>,
}

impl Connected {
    /// The account as its name alone makes it.
    fn named(id: &str, now_ms: i64) -> Self {
        let lacking = id.contains("nocap");
        Self {
            id: Arc::from(id),
            created_ms: now_ms,
            transfers: if lacking {
                CapabilityStatus::Inactive
            } else {
                CapabilityStatus::Active
            },
            payouts_enabled: !lacking && !id.contains("nopayouts"),
            disabled_reason: lacking.then(|| "requirements.past_due".to_owned()),
        }
    }
}

/// The accounts that were paid or set up, in the order in which they were first seen.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Accounts {
    list: Vec<Connected>,
    #[serde(skip)]
    places: HashMap<Arc<str>, usize>,
}

impl Accounts {
    pub(super) fn reindex(&mut self) {
        self.places = self
            .list
            .iter()
            .enumerate()
            .map(|(place, account)| (Arc::clone(&account.id), place))
            .collect();
    }

    /// Notes that `id` was paid, and returns its id for sharing.
    pub(super) fn seen(&mut self, id: &str, now_ms: i64) -> Arc<str> {
        let place = self.enter(id, now_ms);
        self.list
            .get(place)
            .map_or_else(|| Arc::from(id), |account| Arc::clone(&account.id))
    }

    pub(super) fn update(&mut self, update: AccountUpdate, now_ms: i64) -> Result<(), String> {
        if !exists(&update.id) {
            return Err(format!("{:?} is not an account that exists", update.id));
        }
        let place = self.enter(&update.id, now_ms);
        if let Some(account) = self.list.get_mut(place) {
            account.transfers = update.transfers.unwrap_or(account.transfers);
            account.payouts_enabled = update.payouts_enabled.unwrap_or(account.payouts_enabled);
            if let Some(reason) = update.disabled_reason {
                account.disabled_reason = Some(reason).filter(|reason| !reason.is_empty());
            }
        }
        Ok(())
    }

    /// Whether a transfer from `own` to `id` is possible; the error is what Stripe answers.
    pub(super) fn accepts(&self, id: &str, own: Account) -> Result<(), ApiError> {
        if !exists(id) {
            return Err(ApiError::no_such(400, "destination", id, "destination"));
        }
        if Account::find(id) == Some(own) {
            return Err(ApiError::param(
                None,
                "destination",
                "You cannot create a transfer to your own account.",
            ));
        }
        if let Some((_, code, message)) = REFUSALS.iter().find(|(part, ..)| id.contains(part)) {
            return Err(ApiError::new(400, *code, *message));
        }
        let capability = self.get(id).map_or_else(
            || Connected::named(id, 0).transfers,
            |account| account.transfers,
        );
        if capability != CapabilityStatus::Active {
            return Err(ApiError::new(
                400,
                "insufficient_capabilities_for_transfer",
                "Your destination account needs to have at least one of the following capabilities enabled: transfers, crypto_transfers, legacy_payments",
            ));
        }
        Ok(())
    }

    /// The account as `GET /v1/accounts/{id}` shows it, whether it was seen before or not.
    pub(super) fn view<'a>(
        &'a self,
        id: &'a str,
        now_ms: i64,
    ) -> Result<AccountView<'a>, ApiError> {
        if let Some(own) = Account::find(id) {
            return Ok(own_account(own));
        }
        if !exists(id) {
            return Err(ApiError::no_access(id));
        }
        let named;
        let account = if let Some(account) = self.get(id) {
            account
        } else {
            named = Connected::named(id, now_ms);
            &named
        };
        Ok(AccountView {
            id,
            object: "account",
            business_type: None,
            capabilities: Capabilities {
                transfers: account.transfers,
            },
            charges_enabled: false,
            country: "US",
            created: seconds(account.created_ms),
            default_currency: "usd",
            details_submitted: true,
            email: None,
            metadata: Empty {},
            payouts_enabled: account.payouts_enabled,
            requirements: Requirements::disabled(account.disabled_reason.clone()),
            r#type: if id.contains("standard") {
                "standard"
            } else {
                "express"
            },
        })
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn place(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }

    pub(super) fn created_ms(&self, place: usize) -> i64 {
        self.list.get(place).map_or(0, |account| account.created_ms)
    }

    pub(super) fn id(&self, place: usize) -> Option<&str> {
        self.list.get(place).map(|account| &*account.id)
    }

    fn get(&self, id: &str) -> Option<&Connected> {
        self.list.get(self.place(id)?)
    }

    fn enter(&mut self, id: &str, now_ms: i64) -> usize {
        if let Some(place) = self.place(id) {
            return place;
        }
        // In the order of their times, also where the books are filled with transfers of the past.
        let newest_ms = self.list.last().map_or(now_ms, |last| last.created_ms);
        let account = Connected::named(id, now_ms.max(newest_ms));
        let place = self.list.len();
        self.places.insert(Arc::clone(&account.id), place);
        self.list.push(account);
        place
    }
}

fn exists(id: &str) -> bool {
    id.strip_prefix("acct_")
        .is_some_and(|name| !name.is_empty())
        && !id.contains("closed")
        && !id.contains("missing")
}

/// Part of the name, code, message.
const REFUSALS: &[(&str, &str, &str)] = &[
    (
        "country",
        "country_unsupported",
        "Transfers to accounts in this country are not supported from your platform.",
    ),
    (
        "standard",
        "not_allowed_on_standard_account",
        "Transfers are not allowed on this standard account.",
    ),
    (
        "notallowed",
        "transfers_not_allowed",
        "Transfers are not allowed for this account.",
    ),
    (
        "blocked",
        "request_blocked",
        "This request was blocked. Contact support for details.",
    ),
    (
        "approval",
        "approval_required",
        "This request requires approval before it is executed.",
    ),
    (
        "other_error",
        "sandbox_unlisted_code",
        "This request cannot be completed.",
    ),
];

/// Whether the account has money left that a reversal could take back.
pub(super) fn can_be_reversed(id: &str) -> bool {
    !id.contains("spent")
}

/// The account that a key belongs to, as `GET /v1/account` shows it.
pub(super) fn own_account(account: Account) -> AccountView<'static> {
    AccountView {
        id: account.id(),
        object: "account",
        business_type: Some("company"),
        capabilities: Capabilities {
            transfers: CapabilityStatus::Active,
        },
        charges_enabled: true,
        country: "US",
        created: 1_577_836_800,
        default_currency: "usd",
        details_submitted: true,
        email: Some("platform@example.com"),
        metadata: Empty {},
        payouts_enabled: true,
        requirements: Requirements::disabled(None),
        r#type: "standard",
    }
}

/// An account as Stripe writes it.
#[derive(Serialize)]
pub(super) struct AccountView<'a> {
    id: &'a str,
    object: &'static str,
    business_type: Option<&'static str>,
    capabilities: Capabilities,
    charges_enabled: bool,
    country: &'static str,
    created: i64,
    default_currency: &'static str,
    details_submitted: bool,
    email: Option<&'static str>,
    metadata: Empty,
    payouts_enabled: bool,
    requirements: Requirements,
    r#type: &'static str,
}

#[derive(Serialize)]
struct Capabilities {
    transfers: CapabilityStatus,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct Requirements {
    alternatives: [(); 0],
    current_deadline: Option<i64>,
    currently_due: Vec<&'static str>,
    disabled_reason: Option<String>,
    errors: [(); 0],
    eventually_due: Vec<&'static str>,
    past_due: Vec<&'static str>,
    pending_verification: [(); 0],
}

impl Requirements {
    fn disabled(reason: Option<String>) -> Self {
        let due = if reason.as_deref() == Some("requirements.past_due") {
            vec!["individual.verification.document"]
        } else {
            Vec::new()
        };
        Self {
            alternatives: [],
            current_deadline: None,
            currently_due: due.clone(),
            disabled_reason: reason,
            errors: [],
            eventually_due: due.clone(),
            past_due: due,
            pending_verification: [],
        }
    }
}
