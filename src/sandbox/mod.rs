//! A Stripe simulator: transfers, reversals, balance, accounts and events, with Stripe's rules of
//! idempotency, on loopback. `payouts sandbox` runs it by itself; tests and the demo run it inside.
//!
//! It is the judge of everything else: its books say whether somebody was paid twice. So it knows
//! nothing of the rest of this crate, shares no code with it, and a transfer is made in exactly one
//! place (`ledger.transfer_create`).
//!
//! # What it simulates
//!
//! | | |
//! |---|---|
//! | transfers | create, retrieve, list, update; no status, no failure afterwards |
//! | reversals | create, retrieve, list, update |
//! | balance | balance, balance transactions |
//! | accounts | our own, one connected account, all of them |
//! | events | `transfer.created`, `.updated`, `.reversed`: list, retrieve, signed webhooks |
//!
//! Requests are forms, answers JSON, unknown parameters and paths are refused, as Stripe does it.
//! Idempotency: module `idempotency`. API keys and what they may do: module `auth`. Connected
//! accounts behave by their names: module `accounts`. Nothing else of Stripe exists here; there are
//! no charges, so a `source_transaction` is never found.
//!
//! # Controls
//!
//! All under `/_sandbox` (`GET /_sandbox` lists them) and, in the same process, as methods of
//! [`Controls`], to which [`Sandbox`] and [`SandboxHandle`] dereference.
//!
//! | control | method | does |
//! |---|---|---|
//! | `GET ledger` | [`Controls::ledger`] | every transfer, sums, `paid_more_than_once`, requests by endpoint and status; `?transfers=false` for sums |
//! | `GET requests` | [`Controls::requests`] | the latest thousand requests |
//! | `GET`, `POST clock` | [`Controls::advance`], [`Controls::set_clock`] | the simulated time, which goes only forward |
//! | `POST balance` | [`Controls::top_up`], [`Controls::change_balance`] | adds or sets money |
//! | `POST transfers` | [`Controls::fill`] | transfers of the past, a JSON object a line: [`PastTransfer`] |
//! | `POST accounts` | [`Controls::update_account`] | capabilities of a connected account |
//! | `GET`, `POST`, `DELETE faults` | [`Controls::faults_add`] … | what goes wrong: [`FaultPlan`] and [`Fault`] |
//! | `POST release` | [`Controls::release`] | lets go of requests that a fault holds |
//! | `GET`, `POST rate` | [`Controls::set_pace`] | limits and delays: [`Pace`] |
//! | `POST reset` | [`Controls::reset`] | forgets everything |
//!
//! # Time
//!
//! `created`, the 24 hours of an idempotency key and `Date` follow the simulated clock
//! ([`SandboxClock`]); rates, delays and webhook retries follow the real one.
//!
//! # State file
//!
//! With [`Options::state_file`] the books are read at the start, written after changes (at most
//! once a second) and at the stop. A sandbox that is killed may forget the last second. Faults,
//! limits and the request log are not kept.

mod accounts;
mod api;
mod auth;
mod balance;
mod clock;
mod control;
mod currency;
mod endpoint;
mod error;
mod events;
mod faults;
mod fill;
mod form;
mod idempotency;
mod ids;
mod ledger;
mod limits;
mod listing;
mod metadata;
mod operations;
mod reply;
mod report;
mod reversals;
mod server;
mod state;
mod transfers;
mod visit;
mod webhook;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use accounts::{AccountUpdate, CapabilityStatus};
pub use clock::SandboxClock;
pub use control::{BalanceUpdate, ControlError, Controls};
pub use currency::SourceType;
pub use faults::{Fault, FaultPlan, FaultPlanError, FaultReport, FaultRule, FaultStatus};
pub use fill::{Filled, PastTransfer};
pub use limits::Pace;
pub use metadata::Metadata;
pub use report::{AccountReport, BalanceReport, LedgerReport, TotalReport, TransferReport};
pub use state::RequestLine;
pub use webhook::{Webhook, WebhookError, signature};

use server::Server;

/// Where the sandbox listens if nothing else is said.
pub const DEFAULT_PORT: u16 = 12111;

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes any that is free.
    pub bind: SocketAddr,
    /// Allow an address other than loopback. Nothing here is protected: only for a network that
    /// nobody else can reach.
    pub allow_remote: bool,
    /// Accept `sk_live_…` and `rk_live_…`, with books of their own. Only for tests.
    pub allow_live: bool,
    /// How the simulated clock runs.
    pub clock: SandboxClock,
    /// The money each account starts with. What is not named starts at nothing.
    pub balances: Vec<OpeningBalance>,
    /// What the ids are drawn from: two sandboxes with the same seed hand out the same ids. Without
    /// one they are different at every start.
    pub seed: Option<u64>,
    /// Limits and delays at the start.
    pub pace: Pace,
    /// Faults at the start.
    pub faults: FaultPlan,
    /// Where to keep the books between two runs.
    pub state_file: Option<PathBuf>,
    /// Where to post events.
    pub webhook: Option<Webhook>,
}

/// Money an account starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpeningBalance {
    /// Three-letter code.
    pub currency: String,
    /// Where it came from.
    pub source_type: SourceType,
    /// Minor units.
    pub amount: i64,
}

impl Default for Options {
    /// Loopback at the usual port, ten million dollars, no faults, no limits.
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            allow_remote: false,
            allow_live: false,
            clock: SandboxClock::System,
            balances: vec![OpeningBalance {
                currency: "usd".to_owned(),
                source_type: SourceType::Card,
                amount: 1_000_000_000,
            }],
            seed: None,
            pace: Pace::default(),
            faults: FaultPlan::default(),
            state_file: None,
            webhook: None,
        }
    }
}

impl Options {
    /// As the default, at any port that is free: for tests, several of which run at once.
    pub fn at_free_port() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ..Self::default()
        }
    }
}

/// A sandbox that runs on the present Tokio runtime. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Sandbox {
    controls: Controls,
    task: Option<JoinHandle<io::Result<()>>>,
}

impl Sandbox {
    /// Starts listening.
    ///
    /// # Errors
    /// The address is taken or not on loopback, the state file cannot be read, an option is wrong.
    pub async fn start(options: Options) -> io::Result<Self> {
        if !options.allow_remote && !options.bind.ip().is_loopback() {
            let message = format!(
                "the sandbox listens on loopback only, not on {}",
                options.bind
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let bind = options.bind;
        let listener = TcpListener::bind(bind).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {bind}: {error}"))
        })?;
        let server = Arc::new(Server::new(options, listener.local_addr()?)?);
        // Books that cannot be written are found out now, and not at the end.
        server.save()?;
        let task = tokio::spawn(server::run(Arc::clone(&server), listener));
        Ok(Self {
            controls: Controls { server },
            task: Some(task),
        })
    }

    /// A sandbox on a thread of its own, for code that is not asynchronous.
    ///
    /// # Errors
    /// As [`Sandbox::start`].
    pub fn spawn(options: Options) -> io::Result<SandboxHandle> {
        let (started, starting) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("sandbox".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(async move {
                    match Self::start(options).await {
                        Ok(mut sandbox) => {
                            let _ = started.send(Ok(sandbox.controls.clone()));
                            sandbox.ended().await
                        }
                        Err(error) => {
                            let _ = started.send(Err(error));
                            Ok(())
                        }
                    }
                })
            })?;
        let controls = starting
            .recv()
            .map_err(|_| io::Error::other("the sandbox ended before it had started"))??;
        Ok(SandboxHandle {
            controls,
            thread: Some(thread),
        })
    }

    /// Ends open connections, saves, and waits for all of it.
    ///
    /// # Errors
    /// The state file cannot be written.
    pub async fn stop(mut self) -> io::Result<()> {
        self.server.stop.send_replace(true);
        self.ended().await
    }

    async fn ended(&mut self) -> io::Result<()> {
        match self.task.take() {
            Some(task) => task.await.map_err(io::Error::other)?,
            None => Ok(()),
        }
    }
}

impl Deref for Sandbox {
    type Target = Controls;

    fn deref(&self) -> &Controls {
        &self.controls
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.controls.server.stop.send_replace(true);
    }
}

/// A sandbox on a thread of its own. Dropping it stops it and waits.
#[derive(Debug)]
pub struct SandboxHandle {
    controls: Controls,
    thread: Option<thread::JoinHandle<io::Result<()>>>,
}

impl SandboxHandle {
    /// Stops, as dropping does, and says whether the state was saved.
    ///
    /// # Errors
    /// The state file cannot be written.
    pub fn stop(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        self.controls.server.stop.send_replace(true);
        match self.thread.take() {
            Some(thread) => thread
                .join()
                .map_err(|_| io::Error::other("the sandbox thread panicked"))?,
            None => Ok(()),
        }
    }
}

impl Deref for SandboxHandle {
    type Target = Controls;

    fn deref(&self) -> &Controls {
        &self.controls
    }
}

impl Drop for SandboxHandle {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(reason = %error, "sandbox: stopped badly");
        }
    }
}
