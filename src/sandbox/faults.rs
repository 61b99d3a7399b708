//! Faults: what goes wrong, and for which requests.
//!
//! A plan is JSON, from a file at the start or posted while the sandbox runs:
//!
//! ```json
//! {
//!   "rules": [
//!     {"on": "transfers.create", "transfer_group": "payout_17", "times": 1, "fault": "reset_after"},
//!     {"on": "transfers.create", "nth": 3, "fault": "error_500_after", "should_retry": false},
//!     {"on": "transfers.list", "times": 2, "fault": "html_503"}
//!   ],
//!   "seed": 7,
//!   "rates_per_mille": {"reset_after": 20, "rate_429": 10}
//! }
//! ```
//!
//! A rule matches a request by everything it names: `on` (`transfers.create`, …), `destination`,
//! `transfer_group`, `key_prefix`. It fires for each one it matches, or only for the `nth`, or only
//! for the first `times`. The first rule that fires decides. Where none fires, `rates_per_mille`
//! draws: each draw depends on the seed, the request's idempotency key (or endpoint) and how many
//! requests with it came before, so that requests which overtake each other change nothing.
//!
//! Only requests that got past their key, their permissions and the limits meet a fault; those
//! with wrong parameters do not. A fault that concerns the execution (`error_500_before` …) passes
//! over a request that is only a replay.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nothing: for a rule that only sets `should_retry`, or spares a request from the rates.
    None,
    /// The connection is accepted and closed before anything is read. Counts connections, so its
    /// rule can name no request.
    Refuse,
    /// The connection is reset once the request was read; nothing was executed.
    ResetBefore,
    /// The request is executed and its answer stored, then the connection is reset.
    ResetAfter,
    /// Held before the execution until released; if the client leaves first, never executed.
    HangBefore,
    /// Executed at once, the answer held until released.
    HangAfter,
    /// Held until released and then executed, whether the client is still there or not; until
    /// then its key is in use. A look-up in the meantime finds nothing.
    ExecuteLate,
    /// Executed; the answer is a 200 whose body ends half-way.
    CutBody,
    /// 503 with HTML, from a gateway; not executed.
    #[serde(rename = "html_503")]
    Html503,
    /// Executed and stored, but the answer is a 503 with HTML.
    #[serde(rename = "html_503_after")]
    Html503After,
    /// The execution fails before anything happened; the 500 is stored under the key.
    #[serde(rename = "error_500_before")]
    Error500Before,
    /// The execution fails after everything happened: the transfer exists, and the key replays a
    /// 500 for a day.
    #[serde(rename = "error_500_after")]
    Error500After,
    /// 500 before the execution began; nothing is stored.
    #[serde(rename = "error_500_not_stored")]
    Error500NotStored,
    /// 409 `idempotency_key_in_use`; not executed.
    #[serde(rename = "conflict_409")]
    Conflict409,
    /// 429 `rate_limit`; not executed.
    #[serde(rename = "rate_429")]
    Rate429,
    /// 429 `lock_timeout`; not executed.
    #[serde(rename = "lock_429")]
    Lock429,
    /// 424; not executed.
    #[serde(rename = "error_424")]
    Error424,
    /// 307 to another address; not executed. A client that follows it shows in the request log as
    /// `redirect.followed`.
    #[serde(rename = "redirect_307")]
    Redirect307,
    /// Executed and answered, but lists and events show it only `late_seconds` of simulated time
    /// later.
    LateListing,
    /// Executed as asked; the answer shows one minor unit more. A replay shows the truth.
    WrongAmount,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Fault {
    /// Whether the fault makes sense for a request to `endpoint` that does or does not `execute`.
    fn applies_to(self, endpoint: Endpoint, executes: bool) -> bool {
        match self {
            Self::Refuse => false,
            Self::LateListing | Self::WrongAmount => {
                executes && endpoint == Endpoint::TransfersCreate
            }
            Self::Error500Before | Self::Error500After | Self::ExecuteLate => {
                executes && endpoint.writes()
            }
            Self::Conflict409 | Self::Lock429 => endpoint.writes(),
            _ => true,
        }
    }
}

/// Which requests meet which fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The endpoint, like `transfers.create`; any, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// The receiving account named in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The transfer group named in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_group: Option<String>,
    /// What the idempotency key begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<String>,
    /// Fire for the nth matching request alone, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Fire for so many matching requests, then never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What happens.
    pub fault: Fault,
    /// Simulated seconds, for `late_listing`; 60 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_seconds: Option<u32>,
    /// Adds `Stripe-Should-Retry` to the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub should_retry: Option<bool>,
    /// Adds `Retry-After` to the answer, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

impl FaultRule {
    /// A rule for every request, to be narrowed down by setting fields.
    pub fn new(fault: Fault) -> Self {
        Self {
            on: None,
            destination: None,
            transfer_group: None,
            key_prefix: None,
            nth: None,
            times: None,
            fault,
            late_seconds: None,
            should_retry: None,
            retry_after_seconds: None,
        }
    }

    /// A rule for requests to one endpoint, like `transfers.create`.
    pub fn on(endpoint: &str, fault: Fault) -> Self {
        Self {
            on: Some(endpoint.to_owned()),
            ..Self::new(fault)
        }
    }

    /// The same rule, for the first `times` matching requests alone.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// The same rule, for the `nth` matching request alone, counted from 1.
    #[must_use]
    pub fn nth(self, nth: u64) -> Self {
        Self {
            nth: Some(nth),
            ..self
        }
    }

    fn check(&self) -> Result<(), String> {
        if let Some(name) = &self.on {
            let endpoint = Endpoint::named(name).ok_or_else(|| {
                let known: Vec<_> = Endpoint::ALL
                    .iter()
                    .map(|endpoint| endpoint.name())
                    .collect();
                format!(
                    "\"on\": {name:?} is no endpoint; there are {}",
                    known.join(", ")
                )
            })?;
            if self.fault != Fault::Refuse && !self.fault.applies_to(endpoint, true) {
                return Err(format!("the fault {} never happens to {name}", self.fault));
            }
        }
        let names_a_request = [
            &self.on,
            &self.destination,
            &self.transfer_group,
            &self.key_prefix,
        ]
        .iter()
        .any(|field| field.is_some());
        if self.fault == Fault::Refuse && names_a_request {
            return Err("the fault refuse counts connections: its rule takes nth or times, and names no request".to_owned());
        }
        if self.nth == Some(0) {
            return Err("\"nth\" counts from 1".to_owned());
        }
        if self.nth.is_some() && self.times.is_some() {
            return Err("\"nth\" and \"times\" exclude each other".to_owned());
        }
        if self.late_seconds.is_some() && self.fault != Fault::LateListing {
            return Err("\"late_seconds\" belongs to the fault late_listing".to_owned());
        }
        Ok(())
    }

    fn matches(&self, request: &Target<'_>) -> bool {
        let named = |wanted: &Option<String>, given: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == given
        };
        self.fault.applies_to(request.endpoint, request.executes)
            && named(&self.on, Some(request.endpoint.name()))
            && named(&self.destination, request.destination)
            && named(&self.transfer_group, request.transfer_group)
            && self
                .key_prefix
                .as_deref()
                .is_none_or(|prefix| request.key.is_some_and(|key| key.starts_with(prefix)))
    }
}

/// Faults to come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// In order: the first that fires decides.
    #[serde(default)]
    pub rules: Vec<FaultRule>,
    /// What the draws depend on.
    #[serde(default)]
    pub seed: Option<u64>,
    /// How many of a thousand requests meet which fault.
    #[serde(default)]
    pub rates_per_mille: BTreeMap<Fault, u16>,
}

/// Why a fault plan was refused.
#[derive(Debug, thiserror::Error)]
#[error("fault plan: {0}")]
pub struct FaultPlanError(String);

impl FaultPlan {
    /// A plan of rules alone.
    pub fn of(rules: impl IntoIterator<Item = FaultRule>) -> Self {
        Self {
            rules: rules.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Reads and checks a plan.
    pub fn from_json(json: &[u8]) -> Result<Self, FaultPlanError> {
        let plan: Self =
            serde_json::from_slice(json).map_err(|error| FaultPlanError(error.to_string()))?;
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), FaultPlanError> {
        for (index, rule) in self.rules.iter().enumerate() {
            rule.check()
                .map_err(|problem| FaultPlanError(format!("rule {}: {problem}", index + 1)))?;
        }
        let total: u32 = self
            .rates_per_mille
            .values()
            .map(|rate| u32::from(*rate))
            .sum();
        if total > 1000 {
            return Err(FaultPlanError(format!(
                "rates_per_mille add up to {total}, more than 1000"
            )));
        }
        Ok(())
    }
}

/// A rule and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct FaultStatus {
    /// The rule as it was given.
    #[serde(flatten)]
    pub rule: FaultRule,
    /// Requests (for `refuse`: connections) it matched.
    pub matched: u64,
    /// Requests to which the fault happened.
    pub fired: u64,
}

/// All rules with their counts, and what was drawn.
#[derive(Clone, Debug, Serialize)]
pub struct FaultReport {
    /// In the order in which they are tried.
    pub rules: Vec<FaultStatus>,
    /// What the draws depend on.
    pub seed: u64,
    /// How many of a thousand requests meet which fault.
    pub rates_per_mille: BTreeMap<Fault, u16>,
    /// How often each fault was drawn.
    pub drawn: BTreeMap<Fault, u64>,
    /// Requests held now, waiting for a release.
    pub hanging: usize,
}

/// What a request shows of itself to the rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) endpoint: Endpoint,
    /// Whether it would be executed; a replay is not.
    pub(super) executes: bool,
    pub(super) destination: Option<&'a str>,
    pub(super) transfer_group: Option<&'a str>,
    pub(super) key: Option<&'a str>,
}

/// The fault that one request meets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Firing {
    pub(super) fault: Fault,
    pub(super) late_ms: i64,
    pub(super) should_retry: Option<bool>,
    pub(super) retry_after: Option<u32>,
}

impl Firing {
    pub(super) const NOTHING: Self = Self {
        fault: Fault::None,
        late_ms: 0,
        should_retry: None,
        retry_after: None,
    };

    fn of(rule: &FaultRule) -> Self {
        Self {
            fault: rule.fault,
            late_ms: late_ms(rule.fault, rule.late_seconds),
            should_retry: rule.should_retry,
            retry_after: rule.retry_after_seconds,
        }
    }
}

fn late_ms(fault: Fault, seconds: Option<u32>) -> i64 {
    if fault == Fault::LateListing {
        i64::from(seconds.unwrap_or(60)) * 1000
    } else {
        0
    }
}

/// The plan while it is being carried out.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<FaultStatus>,
    seed: u64,
    rates: BTreeMap<Fault, u16>,
    drawn: BTreeMap<Fault, u64>,
    /// How many draws were made for an idempotency key or an endpoint.
    draws: HashMap<Box<str>, u64>,
}

impl Faults {
    pub(super) fn new(plan: FaultPlan) -> Result<Self, FaultPlanError> {
        let mut faults = Self::default();
        faults.add(plan)?;
        Ok(faults)
    }

    /// Adds the rules behind those there are; a seed or rates, where given, replace the old ones.
    pub(super) fn add(&mut self, plan: FaultPlan) -> Result<(), FaultPlanError> {
        plan.check()?;
        self.rules
            .extend(plan.rules.into_iter().map(|rule| FaultStatus {
                rule,
                matched: 0,
                fired: 0,
            }));
        self.seed = plan.seed.unwrap_or(self.seed);
        if !plan.rates_per_mille.is_empty() {
            self.rates = plan.rates_per_mille;
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn report(&self, hanging: usize) -> FaultReport {
        FaultReport {
            rules: self.rules.clone(),
            seed: self.seed,
            rates_per_mille: self.rates.clone(),
            drawn: self.drawn.clone(),
            hanging,
        }
    }

    /// Whether the connection that was just accepted is to be closed.
    pub(super) fn refuses_connection(&mut self) -> bool {
        let firing = fire(&mut self.rules, |rule| rule.fault == Fault::Refuse);
        firing.is_some() || self.draw("connection", |fault| fault == Fault::Refuse) == Fault::Refuse
    }

    /// Whether there is anything to choose from.
    pub(super) fn any(&self) -> bool {
        !self.rules.is_empty() || !self.rates.is_empty()
    }

    /// What is to happen to `request`.
    pub(super) fn choose(&mut self, request: &Target<'_>) -> Firing {
        if !self.any() {
            return Firing::NOTHING;
        }
        if let Some(firing) = fire(&mut self.rules, |rule| rule.matches(request)) {
            return firing;
        }
        let identity = request.key.unwrap_or(request.endpoint.name());
        let fault = self.draw(identity, |fault| {
            fault.applies_to(request.endpoint, request.executes)
        });
        Firing {
            fault,
            late_ms: late_ms(fault, None),
            ..Firing::NOTHING
        }
    }

    /// Draws one of the faults with a rate; one that does not apply is none.
    fn draw(&mut self, identity: &str, applies: impl Fn(Fault) -> bool) -> Fault {
        if !self.rates.keys().any(|fault| applies(*fault)) {
            return Fault::None;
        }
        let draws = self.draws.entry(identity.into()).or_default();
        *draws += 1;
        let mut mark = fastrand::Rng::with_seed(mixed(self.seed, identity, *draws)).u16(0..1000);
        for (fault, rate) in &self.rates {
            if mark < *rate {
                if !applies(*fault) {
                    break;
                }
                *self.drawn.entry(*fault).or_default() += 1;
                return *fault;
            }
            mark -= rate;
        }
        Fault::None
    }
}

/// Counts the request at every rule that matches, and lets the first that is due fire.
fn fire(rules: &mut [FaultStatus], matches: impl Fn(&FaultRule) -> bool) -> Option<Firing> {
    let mut firing = None;
    for status in rules.iter_mut().filter(|status| matches(&status.rule)) {
        status.matched += 1;
        let due = match (status.rule.nth, status.rule.times) {
            (Some(nth), _) => status.matched == nth,
            (None, Some(times)) => status.fired < times,
            (None, None) => true,
        };
        if due && firing.is_none() {
            status.fired += 1;
            firing = Some(Firing::of(&status.rule));
        }
    }
    firing
}

/// A seed for one draw: FNV-1a over all that it depends on, the same on every machine.
fn mixed(seed: u64, identity: &str, draws: u64) -> u64 {
    let bytes = seed
        .to_le_bytes()
        .into_iter()
        .chain(identity.bytes())
        .chain(draws.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
