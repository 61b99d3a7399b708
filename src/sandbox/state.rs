//! The whole state of the sandbox: one struct behind one mutex, so that every request sees all of
//! it or none of it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;

use axum::http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::Options;
use super::accounts::Accounts;
use super::auth::Scope;
use super::balance::Funds;
use super::clock::{Clock, http_date, seconds};
use super::currency::Currency;
use super::faults::{Fault, Faults};
use super::ids;
use super::ledger::Ledger;
use super::limits::Limits;

/// How many of the latest requests the log keeps.
const LOG_LENGTH: usize = 1000;
/// What the state file starts with; another number is another format.
const FILE_VERSION: u32 = 1;

#[derive(Debug)]
pub(super) struct State {
    pub(super) clock: Clock,
    /// The part of every id that is this sandbox's own.
    pub(super) tag: String,
    /// Requests so far; the next one's place.
    requests: usize,
    pub(super) accounts: Accounts,
    pub(super) ledgers: Vec<Ledger>,
    pub(super) faults: Faults,
    pub(super) limits: Limits,
    pub(super) random: fastrand::Rng,
    pub(super) allow_live: bool,
    /// How often each endpoint was answered with which status; not kept in the file.
    pub(super) counts: BTreeMap<&'static str, BTreeMap<u16, u64>>,
    /// Connections that were accepted since the start.
    pub(super) connections: u64,
    pub(super) log: VecDeque<RequestLine>,
    /// Changes with every reset: a request from before it must not touch what came after.
    pub(super) epoch: u64,
    opening_funds: Funds,
    has_webhook: bool,
    /// A second and its `Date` header.
    date: (i64, HeaderValue),
}

/// One request, as the log shows it.
#[derive(Clone, Debug, Serialize)]
pub struct RequestLine {
    /// `req_…`, as in the `Request-Id` of the answer.
    pub id: String,
    /// The endpoint, like `transfers.create`; `unknown` for a path that does not exist,
    /// `redirect.followed` for a client that followed a redirect.
    pub endpoint: &'static str,
    /// When it came, in milliseconds of simulated time since 1970.
    pub arrived_ms: i64,
    /// The transfer group it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer_group: Option<String>,
    /// The connected account it names as the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The idempotency key it was sent with.
    pub idempotency_key: Option<String>,
    /// The HTTP status that was sent, 0 if none was.
    pub status: u16,
    /// Whether a stored answer was sent again.
    pub replayed: bool,
    /// The fault it met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// What the state file holds.
#[derive(Deserialize)]
struct Saved {
    sandbox_state: u32,
    clock: Clock,
    tag: String,
    requests: usize,
    accounts: Accounts,
    ledgers: Vec<Ledger>,
}

impl State {
    /// A fresh state, or the one that the state file holds.
    ///
    /// What the file holds wins over the options: balances, the clock's lead, ids.
    pub(super) fn open(options: &Options) -> io::Result<Self> {
        let mut state = Self::fresh(options)?;
        let Some(path) = &options.state_file else {
            return Ok(state);
        };
        let saved = match std::fs::read(path) {
            Ok(bytes) => read_saved(&bytes)
                .map_err(|problem| invalid(format!("state file {}: {problem}", path.display())))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(state),
            Err(error) => {
                return Err(io::Error::new(
                    error.kind(),
                    format!("state file {}: {error}", path.display()),
                ));
            }
        };
        state.clock = saved.clock.resumed(options.clock.clone());
        state.tag = saved.tag;
        state.requests = saved.requests;
        state.accounts = saved.accounts;
        state.accounts.reindex();
        state.ledgers = saved.ledgers;
        for ledger in &mut state.ledgers {
            ledger.has_webhook = state.has_webhook;
            ledger.reindex();
        }
        Ok(state)
    }

    pub(super) fn fresh(options: &Options) -> io::Result<Self> {
        let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
        let mut opening_funds = Funds::default();
        for balance in &options.balances {
            let currency = Currency::find(&balance.currency).ok_or_else(|| {
                invalid(format!(
                    "{:?} is not a currency that Stripe transfers",
                    balance.currency
                ))
            })?;
            *opening_funds.of(currency, balance.source_type) = balance.amount;
        }
        // A currency nobody named still shows as a balance.
        opening_funds.of(Currency::USD, super::SourceType::Card);
        Ok(Self {
            clock: Clock::new(options.clock.clone()),
            tag: ids::tag(seed),
            requests: 0,
            accounts: Accounts::default(),
            ledgers: Vec::new(),
            faults: Faults::new(options.faults.clone())
                .map_err(|error| invalid(error.to_string()))?,
            limits: Limits::new(options.pace.clone()),
            random: fastrand::Rng::with_seed(seed),
            allow_live: options.allow_live,
            counts: BTreeMap::new(),
            connections: 0,
            log: VecDeque::new(),
            epoch: 0,
            opening_funds,
            has_webhook: options.webhook.is_some(),
            date: (i64::MIN, HeaderValue::from_static("")),
        })
    }

    /// The place of a new request.
    pub(super) fn next_request(&mut self) -> usize {
        let place = self.requests;
        self.requests += 1;
        place
    }

    /// The books of `scope`, opened when first asked for, and beside them what is shared.
    pub(super) fn books(&mut self, scope: Scope) -> (&mut Ledger, &mut Accounts) {
        let place = self
            .ledgers
            .iter()
            .position(|ledger| ledger.scope == scope)
            .unwrap_or_else(|| {
                let mut ledger = Ledger::new(scope, &self.tag, self.opening_funds.clone());
                ledger.has_webhook = self.has_webhook;
                self.ledgers.push(ledger);
                self.ledgers.len() - 1
            });
        (&mut self.ledgers[place], &mut self.accounts)
    }

    /// The present time for the `Date` header, written once a second.
    pub(super) fn date(&mut self) -> HeaderValue {
        let second = seconds(self.clock.now_ms());
        if self.date.0 != second {
            let value =
                HeaderValue::from_str(&http_date(second)).unwrap_or(HeaderValue::from_static(""));
            self.date = (second, value);
        }
        self.date.1.clone()
    }

    pub(super) fn count(&mut self, line: RequestLine) {
        *self
            .counts
            .entry(line.endpoint)
            .or_default()
            .entry(line.status)
            .or_default() += 1;
        if self.log.len() == LOG_LENGTH {
            self.log.pop_front();
        }
        self.log.push_back(line);
    }

    /// The state as the state file holds it.
    pub(super) fn to_json(&self) -> io::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Saving<'a> {
            sandbox_state: u32,
            clock: &'a Clock,
            tag: &'a str,
            requests: usize,
            accounts: &'a Accounts,
            ledgers: &'a [Ledger],
        }
        let saving = Saving {
            sandbox_state: FILE_VERSION,
            clock: &self.clock,
            tag: &self.tag,
            requests: self.requests,
            accounts: &self.accounts,
            ledgers: &self.ledgers,
        };
        serde_json::to_vec(&saving).map_err(io::Error::other)
    }
}

fn read_saved(bytes: &[u8]) -> Result<Saved, String> {
    let saved: Saved = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if saved.sandbox_state != FILE_VERSION {
        return Err(format!(
            "has format {}, this version reads {FILE_VERSION}",
            saved.sandbox_state
        ));
    }
    Ok(saved)
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Writes `bytes` to `path` in one step, readable by its owner alone: a reader sees the old file
/// or the new one, never a part.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    // A leftover might be readable by others.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}
