//! `payouts sandbox`.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::only_text;
use crate::sandbox::{FaultPlan, OpeningBalance, Options, Pace, Sandbox, SourceType, Webhook};

/// Run a Stripe simulator on this machine
///
/// Makes transfers, keeps their idempotency keys for a day, pages lists, signs
/// events, and fails on request, as Stripe does. Nothing leaves this machine.
/// Prints the variables that point `payouts` at it, and runs until interrupted.
/// Its controls are listed at `GET /_sandbox`.
#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// Where to listen; port 0 takes any that is free
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:12111",
        help_heading = "Connection"
    )]
    listen: SocketAddr,

    /// Allow an address that other machines can reach; nothing is protected
    #[arg(long, help_heading = "Safety")]
    allow_remote: bool,

    /// Money in the platform's balance, in minor units of the currency
    #[arg(long, value_name = "CENTS", default_value_t = 1_000_000_000)]
    balance: i64,

    /// The currency of the balance
    #[arg(long, value_name = "CODE", default_value = "usd")]
    currency: String,

    /// Requests per second; more are refused with 429
    #[arg(long, value_name = "N")]
    rate: Option<u32>,

    /// Milliseconds every answer takes
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u32,

    /// What goes wrong: a JSON file, see `GET /_sandbox`
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,

    /// Keep the books in this file between two runs
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// The same ids at every start
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Post signed events to this address on this machine
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
}

/// Signs events. It is printed, so it is never one that somebody configured.
const WEBHOOK_SECRET: &str = "whsec_sandbox";

pub(super) fn run(cx: &Context, args: &SandboxArgs) -> Result<Exits, CliError> {
    only_text(cx.format, "sandbox", "lines for a shell")?;
    let options = options(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| not_started(&e))?;
    runtime.block_on(async {
        let sandbox = Sandbox::start(options).await.map_err(|e| {
            let told = not_started(&e);
            if e.kind() == ErrorKind::AddrInUse {
                told.hint("--listen 127.0.0.1:0 takes a port that is free")
            } else if args.allow_remote || args.listen.ip().is_loopback() {
                told
            } else {
                told.hint("--allow-remote lets other machines in; nothing is protected there")
            }
        })?;
        let lines: Vec<String> = sandbox
            .env_lines()
            .iter()
            .map(|line| format!("export {line}"))
            .collect();
        cx.ui.answer(&lines.join("\n"))?;
        cx.ui.note(&format!(
            "a Stripe simulator at {}; controls at {0}/_sandbox; Ctrl-C stops it",
            sandbox.base_url()
        ));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| not_started(&e))?;
        let mut terminate = signal(SignalKind::terminate()).map_err(|e| not_started(&e))?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        sandbox
            .stop()
            .await
            .map_err(|e| CliError::caused(Exit::CouldNotRun, "failed to save the sandbox", &e))?;
        Ok(Exit::Done.into())
    })
}

fn not_started(cause: &dyn std::error::Error) -> CliError {
    CliError::caused(Exit::CouldNotRun, "failed to start the sandbox", cause)
}

fn options(args: &SandboxArgs) -> Result<Options, CliError> {
    let faults = match &args.faults {
        None => FaultPlan::default(),
        Some(path) => {
            let doing = || format!("failed to read the faults in {}", path.display());
            let json = std::fs::read(path)
                .map_err(|e| CliError::caused(Exit::CouldNotRun, doing(), &e))?;
            FaultPlan::from_json(&json).map_err(|e| {
                CliError::caused(Exit::CouldNotRun, doing(), &e)
                    .hint("the format is shown at `GET /_sandbox` of a running simulator")
            })?
        }
    };
    let webhook = args
        .webhook
        .as_deref()
        .map(|url| Webhook::new(url, WEBHOOK_SECRET))
        .transpose()
        .map_err(|e| CliError::new(Exit::Usage, format!("--webhook: {e}")))?;
    Ok(Options {
        bind: args.listen,
        allow_remote: args.allow_remote,
        balances: vec![OpeningBalance {
            currency: args.currency.clone(),
            source_type: SourceType::Card,
            amount: args.balance,
        }],
        seed: args.seed,
        pace: Pace {
            per_second: args.rate,
            latency_ms: args.latency,
            ..Pace::default()
        },
        faults,
        state_file: args.state.clone(),
        webhook,
        ..Options::default()
    })
}
