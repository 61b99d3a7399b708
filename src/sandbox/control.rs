//! The controls: what a person or a test can see and turn while the sandbox runs, over HTTP under
//! `/_sandbox` and as methods of [`Controls`]. Neither meets faults or limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Query, State as Shared};
use axum::http::{Response, StatusCode, header};
use axum::routing::{any, get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::accounts::AccountUpdate;
use super::auth::{Account, Scope};
use super::clock::{parse_rfc3339, rfc3339};
use super::currency::{Currency, SourceType};
use super::faults::{FaultPlan, FaultReport};
use super::fill::PastTransfer;
use super::ledger::Origin;
use super::limits::Pace;
use super::report::LedgerReport;
use super::reversals::NewReversal;
use super::server::Server;
use super::state::RequestLine;

/// Why a control was not turned.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ControlError(String);

impl From<String> for ControlError {
    fn from(problem: String) -> Self {
        Self(problem)
    }
}

/// A change of the money available.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BalanceUpdate {
    /// Three-letter code.
    pub currency: String,
    /// Minor units to add, as a top-up. May be negative, as when a bank payout drains the balance.
    pub amount: Option<i64>,
    /// Minor units to have from now on, instead of adding any.
    pub set: Option<i64>,
    /// Card money, if not given.
    #[serde(default)]
    pub source_type: SourceType,
    /// One of our own accounts, by id; `acct_sandboxplatform`, if not given.
    #[serde(default)]
    pub account: Option<String>,
    /// The books of live keys.
    #[serde(default)]
    pub livemode: bool,
}

/// The controls of one sandbox; clones turn the same ones.
#[derive(Clone, Debug)]
pub struct Controls {
    pub(super) server: Arc<Server>,
}

impl Controls {
    /// Where the sandbox listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `http://127.0.0.1:12111`: what `STRIPE_API_BASE` has to be.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// The environment with which a program uses this sandbox instead of Stripe, as `NAME=value`.
    pub fn env_lines(&self) -> Vec<String> {
        let mut lines = vec![
            "STRIPE_SECRET_KEY=sk_test_sandbox".to_owned(),
            format!("STRIPE_API_BASE={}", self.base_url()),
        ];
        if let Some(webhook) = &self.server.options.webhook {
            lines.push(format!("STRIPE_WEBHOOK_SECRET={}", webhook.secret()));
        }
        lines
    }

    /// The books, with every transfer.
    pub fn ledger(&self) -> LedgerReport {
        self.server.lock().report(true)
    }

    /// The simulated time in UTC milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.server.lock().clock.now_ms()
    }

    /// Moves the simulated clock forward by `seconds`; returns the new time in UTC milliseconds.
    pub fn advance(&self, seconds: u64) -> Result<i64, ControlError> {
        let moved = self.server.lock().clock.advance(seconds)?;
        self.server.note_change();
        Ok(moved)
    }

    /// Moves the simulated clock forward to `ms` (UTC milliseconds).
    pub fn set_clock(&self, ms: i64) -> Result<i64, ControlError> {
        let moved = self.server.lock().clock.set(ms)?;
        self.server.note_change();
        Ok(moved)
    }

    /// Adds `amount` minor units to the card money of the platform's test account.
    pub fn top_up(&self, currency: &str, amount: i64) -> Result<(), ControlError> {
        self.change_balance(&BalanceUpdate {
            currency: currency.to_owned(),
            amount: Some(amount),
            ..BalanceUpdate::default()
        })
        .map(drop)
    }

    /// Changes any balance; returns what is available then.
    pub fn change_balance(&self, update: &BalanceUpdate) -> Result<i64, ControlError> {
        let currency = Currency::find(&update.currency).ok_or_else(|| {
            format!(
                "{:?} is not a currency that Stripe transfers",
                update.currency
            )
        })?;
        let account = match &update.account {
            None => Account::Platform,
            Some(id) => Account::find(id)
                .ok_or_else(|| format!("{id:?} is not one of the platform's own accounts"))?,
        };
        let mut state = self.server.lock();
        let now_ms = state.clock.now_ms();
        let (ledger, _) = state.books(Scope {
            account,
            livemode: update.livemode,
        });
        let available = *ledger.funds.of(currency, update.source_type);
        let amount = match (update.amount, update.set) {
            (Some(amount), None) => amount,
            (None, Some(target)) => target.saturating_sub(available),
            _ => return Err("give either \"amount\" to add or \"set\"".to_owned().into()),
        };
        ledger.top_up(currency, update.source_type, amount, now_ms);
        let available = *ledger.funds.of(currency, update.source_type);
        drop(state);
        self.server.note_change();
        Ok(available)
    }

    /// Takes `amount` minor units of a test transfer of the platform back, as a person does in
    /// Stripe's dashboard.
    pub fn reverse(&self, transfer: &str, amount: i64) -> Result<(), ControlError> {
        let mut state = self.server.lock();
        let now_ms = state.clock.now_ms();
        let (ledger, _) = state.books(Scope {
            account: Account::Platform,
            livemode: false,
        });
        // No request of a client made it.
        let origin = Origin {
            request: 0,
            key: None,
        };
        NewReversal::by_hand(transfer, amount)
            .and_then(|reversal| ledger.reversal_create(reversal, origin, now_ms))
            .map_err(|error| ControlError(error.message))?;
        drop(state);
        self.server.note_change();
        Ok(())
    }

    /// Changes what a connected account can do.
    pub fn update_account(&self, update: AccountUpdate) -> Result<(), ControlError> {
        let mut state = self.server.lock();
        let now_ms = state.clock.now_ms();
        state.accounts.update(update, now_ms)?;
        drop(state);
        self.server.note_change();
        Ok(())
    }

    /// Adds faults behind those there are.
    pub fn faults_add(&self, plan: FaultPlan) -> Result<(), ControlError> {
        self.server
            .lock()
            .faults
            .add(plan)
            .map_err(|error| ControlError(error.to_string()))
    }

    /// Removes all faults; requests that hang go on hanging.
    pub fn faults_clear(&self) {
        self.server.lock().faults.clear();
    }

    /// All rules, with how often each fired.
    pub fn faults(&self) -> FaultReport {
        let hanging = self.server.hanging();
        self.server.lock().faults.report(hanging)
    }

    /// The limits and delays in force.
    pub fn pace(&self) -> Pace {
        self.server.lock().limits.pace.clone()
    }

    /// Replaces the limits and delays.
    pub fn set_pace(&self, pace: Pace) {
        self.server.lock().limits.set_pace(pace);
    }

    /// The latest requests, oldest first: at most a thousand.
    pub fn requests(&self) -> Vec<RequestLine> {
        self.server.lock().log.iter().cloned().collect()
    }

    /// Lets the requests that hang now go on; returns how many there were.
    pub fn release(&self) -> usize {
        self.server.release()
    }

    /// How many requests hang.
    pub fn hanging(&self) -> usize {
        self.server.hanging()
    }

    /// Blocks until at least `count` requests hang; `false` if that takes longer than `patience`
    /// (real time).
    pub fn wait_hanging(&self, count: usize, patience: Duration) -> bool {
        self.server.wait_hanging(count, patience)
    }

    /// How many requests were admitted and are not yet answered, those that hang included.
    pub fn in_flight(&self) -> u32 {
        self.server.lock().limits.in_flight()
    }

    /// Forgets everything, as a new start without a state file would. Requests under way end
    /// without effect.
    pub fn reset(&self) -> Result<(), ControlError> {
        self.server
            .reset()
            .map_err(|error| ControlError(error.to_string()))
    }
}

/// Shown at `/_sandbox`.
const INDEX: &str = "\
GET  /_sandbox/ledger                  everything that happened (?transfers=false: sums only)
GET  /_sandbox/requests                the latest requests
GET  /_sandbox/clock                   the simulated time
POST /_sandbox/clock                   {\"advance_seconds\": 86400} or {\"set\": \"2026-10-01T00:00:00Z\"}
POST /_sandbox/balance                 {\"currency\": \"usd\", \"amount\": 500000} adds, {\"currency\": \"usd\", \"set\": 0} sets
POST /_sandbox/transfers               {\"created\": 1790812800, \"amount\": 100, \"destination\": \"acct_1\"}: transfers of the past, one a line
POST /_sandbox/accounts                {\"id\": \"acct_1\", \"transfers\": \"inactive\", \"disabled_reason\": \"under_review\"}
GET  /_sandbox/faults                  the faults, and how often each fired
POST /_sandbox/faults                  {\"rules\": [{\"on\": \"transfers.create\", \"times\": 1, \"fault\": \"reset_after\"}]}
DELETE /_sandbox/faults                no more faults
POST /_sandbox/release                 let go of requests that a fault holds
GET  /_sandbox/rate                    limits and delays
POST /_sandbox/rate                    {\"per_second\": 25, \"latency_ms\": 50}
POST /_sandbox/reset                   forget everything
";

/// How many bytes of transfers of the past are taken at once.
const FILL_MAX: usize = 64 << 20;

type Answer = Result<Response<Body>, Refusal>;

pub(super) fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/_sandbox", get(async || INDEX))
        .route("/_sandbox/", get(async || INDEX))
        .route("/_sandbox/ledger", get(ledger))
        .route(
            "/_sandbox/requests",
            get(async |Shared(controls): Shared<Controls>| json(&controls.requests())),
        )
        .route("/_sandbox/clock", get(clock).post(move_clock))
        .route("/_sandbox/balance", post(change_balance))
        .route(
            "/_sandbox/transfers",
            post(fill).layer(DefaultBodyLimit::max(FILL_MAX)),
        )
        .route("/_sandbox/accounts", post(update_account))
        .route(
            "/_sandbox/faults",
            get(faults).post(add_faults).delete(clear_faults),
        )
        .route("/_sandbox/release", post(release))
        .route("/_sandbox/rate", get(pace).post(set_pace))
        .route("/_sandbox/reset", post(reset))
        .route("/_sandbox/redirected", any(redirected))
        .fallback(async || (StatusCode::NOT_FOUND, INDEX))
        .with_state(Controls { server })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerOptions {
    #[serde(default = "yes")]
    transfers: bool,
}

fn yes() -> bool {
    true
}

async fn ledger(
    Shared(controls): Shared<Controls>,
    Query(options): Query<LedgerOptions>,
) -> Answer {
    let report = controls.server.lock().report(options.transfers);
    json(&report)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockMove {
    advance_seconds: Option<u64>,
    set: Option<String>,
}

async fn clock(Shared(controls): Shared<Controls>) -> Answer {
    json(&serde_json::json!({ "now": rfc3339(controls.now_ms()) }))
}

async fn move_clock(Shared(controls): Shared<Controls>, body: Bytes) -> Answer {
    let now_ms = match parsed::<ClockMove>(&body)? {
        ClockMove {
            advance_seconds: Some(seconds),
            set: None,
        } => controls.advance(seconds)?,
        ClockMove {
            advance_seconds: None,
            set: Some(time),
        } => controls.set_clock(parse_rfc3339(&time).map_err(ControlError)?)?,
        _ => {
            return Err(
                ControlError("give either \"advance_seconds\" or \"set\"".to_owned()).into(),
            );
        }
    };
    json(&serde_json::json!({ "now": rfc3339(now_ms) }))
}

async fn change_balance(Shared(controls): Shared<Controls>, body: Bytes) -> Answer {
    let available = controls.change_balance(&parsed(&body)?)?;
    json(&serde_json::json!({ "available": available }))
}

async fn fill(Shared(controls): Shared<Controls>, body: Bytes) -> Answer {
    // All are read before the first is made.
    let transfers: Vec<PastTransfer> = serde_json::Deserializer::from_slice(&body)
        .into_iter()
        .enumerate()
        .map(|(place, transfer)| {
            transfer.map_err(|error| Refusal(format!("transfer {}: {error}", place + 1)))
        })
        .collect::<Result<_, _>>()?;
    json(&controls.fill(transfers)?)
}

async fn update_account(Shared(controls): Shared<Controls>, body: Bytes) -> Answer {
    controls.update_account(parsed(&body)?)?;
    json(&serde_json::json!({}))
}

async fn faults(Shared(controls): Shared<Controls>) -> Answer {
    json(&controls.faults())
}

async fn add_faults(Shared(controls): Shared<Controls>, body: Bytes) -> Answer {
    controls.faults_add(parsed(&body)?)?;
    json(&controls.faults())
}

async fn clear_faults(Shared(controls): Shared<Controls>) -> Answer {
    controls.faults_clear();
    json(&controls.faults())
}

async fn release(Shared(controls): Shared<Controls>) -> Answer {
    json(&serde_json::json!({ "released": controls.release() }))
}

async fn pace(Shared(controls): Shared<Controls>) -> Answer {
    json(&controls.pace())
}

async fn set_pace(Shared(controls): Shared<Controls>, body: Bytes) -> Answer {
    controls.set_pace(parsed(&body)?);
    json(&controls.pace())
}

async fn reset(Shared(controls): Shared<Controls>) -> Answer {
    controls.reset()?;
    json(&serde_json::json!({}))
}

/// Where the fault `redirect_307` points. Coming here with a POST means that a client repeated it
/// to an address it did not choose.
async fn redirected(Shared(controls): Shared<Controls>) -> StatusCode {
    let mut state = controls.server.lock();
    let arrived_ms = state.clock.now_ms();
    state.count(RequestLine {
        id: String::new(),
        endpoint: "redirect.followed",
        arrived_ms,
        transfer_group: None,
        destination: None,
        idempotency_key: None,
        status: StatusCode::NOT_FOUND.as_u16(),
        replayed: false,
        fault: None,
    });
    StatusCode::NOT_FOUND
}

/// A 400 with the reason.
struct Refusal(String);

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Self {
        Self(error.to_string())
    }
}

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let body = serde_json::json!({ "error": self.0 }).to_string();
        (
            StatusCode::BAD_REQUEST,
            [(header::CONTENT_TYPE, "application/json")],
            body,
        )
            .into_response()
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal(error.to_string()))
}

fn json(value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).map_err(|error| Refusal(error.to_string()))?;
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .map_err(|error| Refusal(error.to_string()))
}
