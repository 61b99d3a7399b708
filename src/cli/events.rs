//! `payouts events`: listen, pull, list.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::interrupt::{GivesUp, interruptible, signals};
use crate::cli::only_text;
use crate::cli::page::PageArgs;
use crate::config;
use crate::ops::events::listen::{self, Heard, Means, listen};
use crate::ops::events::pull::{self, Pulled, pull};
use crate::ops::events::suggest::{Suggestion, suggestions};
use crate::ops::run_error::RunError;
use crate::output::Answer;
use crate::output::events::{
    EventCountView, EventView, EventsMembers, PullMembers, SuggestionView, events_table,
    pulled_text,
};
use crate::output::progress::Progress;
use crate::output::text::{clean, count, minute};
use crate::store::thread::StoreThread;
use crate::store::{RunStamp, Store, StoreError};
use crate::stripe::webhook::server::{HEALTH, Limits};
use crate::stripe::webhook::signature::Secrets;

/// Hear what Stripe says: reversals, transfers, accounts that change
#[derive(Debug, Subcommand)]
pub(super) enum EventsCommand {
    Listen(ListenArgs),
    Pull(PullArgs),
    List(ListArgs),
}

/// Take in the events that Stripe delivers
///
/// Each delivery's signature is checked against `STRIPE_WEBHOOK_SECRET`; the event is
/// stored, then answered, then applied. Events that come twice or in any order do
/// no harm. A transfer that proves a payout of this database paid is recorded, what
/// was taken back is kept, everything else that differs becomes a finding, as in
/// `payouts reconcile`. Sends nothing. Prints the address, and runs until
/// interrupted: the first Ctrl-C or SIGTERM finishes what was begun and ends with
/// 0, a second one stops at once. `GET /health` says how it is.
#[derive(Debug, Args)]
pub(super) struct ListenArgs {
    /// Where to listen; port 0 takes any that is free
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:4242",
        help_heading = "Connection"
    )]
    listen: SocketAddr,

    /// Allow an address that other machines can reach; Stripe delivers over HTTPS
    /// only, so something in front of it must speak that
    #[arg(long, help_heading = "Safety")]
    allow_remote: bool,

    /// Take deliveries at this path only, such as /stripe
    #[arg(long, value_name = "PATH", value_parser = path, help_heading = "Connection")]
    path: Option<String>,

    /// How far the time of a signature may lie from now
    #[arg(long, value_name = "TIME", default_value = "300s", value_parser = tolerance, help_heading = "Safety")]
    tolerance: Duration,
}

/// Ask Stripe for the events since the last time
///
/// The same as `payouts events listen` for whoever opens no port: meant for cron.
/// Goes on where it stopped, with five minutes read again, and remembers how far it
/// got once everything is stored. Stripe keeps events for 30 days: where more lie
/// between two pulls it says so and ends with 1. Then everything that waits is
/// applied. Ends with 1 when something was found, with 5 when a payout may have
/// been paid twice or wrongly.
#[derive(Debug, Args)]
pub(super) struct PullArgs {}

/// List the events that came, and what became of them
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those that wait to be applied
    #[arg(long, help_heading = "Selection")]
    pending: bool,

    #[command(flatten)]
    page: PageArgs,
}

pub(super) fn run(cx: &mut Context, command: &EventsCommand) -> Result<Exits, CliError> {
    match command {
        EventsCommand::Listen(args) => run_listen(cx, args),
        EventsCommand::Pull(_) => run_pull(cx),
        EventsCommand::List(args) => list(cx, args),
    }
}

fn path(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_graphic() && !"?#".contains(c);
    if !text.starts_with('/') || !text.chars().all(plain) {
        return Err("use a path such as /stripe".to_owned());
    }
    if text == HEALTH {
        return Err(format!("{HEALTH} is where health is asked for"));
    }
    Ok(text.to_owned())
}

/// The longest that is of use: Stripe tries for three days.
const TOLERANCE_MAX: Duration = Duration::from_secs(3600);

fn tolerance(text: &str) -> Result<Duration, String> {
    let tolerance = config::duration(text)?;
    if tolerance > TOLERANCE_MAX {
        return Err("at most 1h: what is older may be somebody else's copy".to_owned());
    }
    Ok(tolerance)
}

// --- listen -----------------------------------------------------------------------------------

/// The second signal: what is stored stays stored.
const AT_ONCE: GivesUp = GivesUp {
    at: 2,
    message: "interrupted twice; stopped at once",
    hint: "what was answered is stored; Stripe sends the rest again",
};

fn run_listen(cx: &mut Context, args: &ListenArgs) -> Result<Exits, CliError> {
    only_text(cx.format, "events listen", "the address")?;
    if !args.allow_remote && !args.listen.ip().is_loopback() {
        return Err(CliError::new(
            Exit::Usage,
            format!("other machines can reach {}", args.listen),
        )
        .hint("--allow-remote says that this is meant; Stripe itself delivers over HTTPS only"));
    }
    // What is applied is written, and answered for in the end, by one session; what
    // comes is stored by another, which never waits for the first.
    let mut store = cx.store()?;
    let keeping = cx.another_store()?;
    let secrets = secrets(cx)?;
    let stripe = cx.stripe()?;
    let currency = cx.currency(&mut store)?;
    let request = listen::Request {
        secrets,
        tolerance: args.tolerance,
        path: args.path.clone(),
        limits: Limits::default(),
        currency,
        lease: cx.config.lease,
        rate: cx.rate(&stripe),
    };
    let run = cx.run_description(&mut store, "events listen")?;
    let stamp = store.run_begin(run)?;
    let (applying, thread) = StoreThread::start(store)?;
    let (keeping, keeping_thread) = StoreThread::start(keeping)?;
    let mut progress = Progress::new(&cx.ui, currency);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(
        cx,
        args.listen,
        Means {
            keeping,
            applying,
            stripe: Arc::new(stripe),
            clock: cx.clock.clone(),
        },
        request,
        &stamp,
        &mut progress,
    ));
    progress.end();
    drop(runtime);
    let mut store = thread.join().map_err(|_| StoreError::Stopped)?;
    drop(keeping_thread.join().map_err(|_| StoreError::Stopped)?);
    let (code, told) = match &ended {
        Ok(heard) => (Exit::Done, heard_words(heard)),
        Err(error) => (error.exit, error.message().to_owned()),
    };
    let recorded = store.run_end(&stamp.run_id, i32::from(code.code()), &told);
    let heard = ended?;
    recorded?;
    cx.ui.note(&heard_words(&heard));
    Ok(Exit::Done.into())
}

async fn serve(
    cx: &Context,
    address: SocketAddr,
    means: Means,
    request: listen::Request,
    stamp: &RunStamp,
    progress: &mut Progress,
) -> Result<Heard, CliError> {
    let signals = signals()?;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let told = CliError::caused(
            Exit::CouldNotRun,
            format!("failed to listen at {address}"),
            &error,
        );
        if error.kind() == ErrorKind::AddrInUse {
            told.hint("another listener may be running there; --listen takes another address")
        } else {
            told
        }
    })?;
    let at = listener.local_addr()?;
    let path = request.path.clone().unwrap_or_else(|| "/".to_owned());
    let mut show = |event| progress.show(event);
    let heard = async {
        cx.ui.answer(&format!("http://{at}{path}"))?;
        cx.ui.note(&format!(
            "taking Stripe's events at this address; http://{at}{HEALTH} says how it is; Ctrl-C stops it"
        ));
        listen(listener, means, request, stamp, signals.clone(), &mut show)
            .await
            .map_err(not_heard)
    };
    interruptible(signals.clone(), AT_ONCE, heard).await
}

fn secrets(cx: &Context) -> Result<Secrets, CliError> {
    let Some(secret) = cx.config.webhook_secret.read()? else {
        return Err(CliError::new(
            Exit::CouldNotRun,
            "there is no secret to check Stripe's signatures with",
        )
        .hint(
            "set STRIPE_WEBHOOK_SECRET or STRIPE_WEBHOOK_SECRET_FILE to the endpoint's signing secret (whsec_…), which \
             Stripe's dashboard and `stripe listen` show",
        ));
    };
    Secrets::parse(secret.expose_secret()).map_err(|why| {
        CliError::new(
            Exit::CouldNotRun,
            format!("the secret for Stripe's signatures cannot be used: {why}"),
        )
        .hint("check STRIPE_WEBHOOK_SECRET or STRIPE_WEBHOOK_SECRET_FILE")
    })
}

fn heard_words(heard: &Heard) -> String {
    let mut words = format!(
        "{} stored, {} of them new, {} applied",
        count(heard.stored, "event"),
        heard.new,
        heard.applied.applied
    );
    for (number, what) in [
        (heard.applied.reported, "reported"),
        (heard.refused, "refused"),
    ] {
        if number > 0 {
            let _ = write!(words, ", {number} {what}");
        }
    }
    words
}

fn not_heard(error: RunError) -> CliError {
    match error {
        RunError::Stripe { doing, source } => CliError::caused(
            Exit::CouldNotRun,
            format!("failed to {doing}"),
            &source,
        )
        .hint("check STRIPE_SECRET_KEY, what the key may read (the account, events, transfers), and the network"),
        other => CliError::from(other),
    }
}

// --- pull -------------------------------------------------------------------------------------

const PULL_GIVEN_UP: GivesUp = GivesUp {
    at: 1,
    message: "interrupted",
    hint: "what was stored stays, and is asked for again; run it again",
};

fn run_pull(cx: &mut Context) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let stripe = cx.stripe()?;
    let currency = cx.currency(&mut store)?;
    let request = pull::Request {
        currency,
        lease: cx.config.lease,
        rate: cx.rate(&stripe),
    };
    let run = cx.run_description(&mut store, "events pull")?;
    let stamp = store.run_begin(run)?;
    let (db, thread) = StoreThread::start(store)?;
    let mut progress = Progress::new(&cx.ui, currency);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let pulling = async {
            let mut show = |event| progress.show(event);
            pull(db, Arc::new(stripe), &cx.clock, request, &stamp, &mut show)
                .await
                .map_err(not_heard)
        };
        interruptible(signals()?, PULL_GIVEN_UP, pulling).await
    });
    progress.end();
    drop(runtime);
    let mut store = thread.join().map_err(|_| StoreError::Stopped)?;
    let exits = match &ended {
        Ok(pulled) => exits_of(pulled),
        Err(error) => error.exit.into(),
    };
    let told = match &ended {
        Ok(pulled) => format!("{} new", count(pulled.new, "event")),
        Err(error) => error.message().to_owned(),
    };
    let code = exits.strongest().code();
    let recorded = store.run_end(&stamp.run_id, i32::from(code), &told);
    let pulled = ended?;
    recorded?;
    let suggested = suggestions(&mut store, None)?;
    tell_gap(cx, &pulled);
    let counts = EventCountView::of(&pulled);
    Answer::new("results", counts)
        .with(PullMembers::of(&pulled, &suggested, code))
        .print(cx.format, &cx.ui, |_, counts| pulled_text(&pulled, counts))?;
    tell(cx, &suggested);
    Ok(exits)
}

/// Every code that applies to what was pulled.
fn exits_of(pulled: &Pulled) -> Exits {
    let mut exits = Exits::default();
    for kind in pulled.applied.kinds.keys() {
        exits.add_finding(*kind);
    }
    if pulled.gap.is_some() || pulled.odd > 0 || pulled.applied.reported > 0 {
        exits.add(Exit::Attention);
    }
    exits
}

fn tell_gap(cx: &Context, pulled: &Pulled) {
    let Some(gap) = pulled.gap else { return };
    if let (Some(from), Some(until)) = (gap.from, gap.until) {
        cx.ui.warn(&format!(
            "Stripe lists events for 30 days: those between {} and {} UTC may be missing",
            minute(from),
            minute(until)
        ));
        cx.ui.hint(&format!(
            "`payouts reconcile --from {from}` compares that time transfer by transfer"
        ));
    }
}

// --- list -------------------------------------------------------------------------------------

fn list(cx: &mut Context, args: &ListArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let after = args.page.after.as_deref().map(str::trim);
    let mut found = store
        .events_list(args.pending, after, args.page.rows())
        .map_err(|error| no_such_event(error, after))?;
    let next = args.page.cut(&mut found, |event| event.event_id.clone());
    let pending = store.events_standing()?.pending;
    let suggested = suggestions(&mut store, None)?;
    Answer::new("events", found.iter().map(EventView::from).collect())
        .with(EventsMembers {
            pending,
            suggestions: suggested.iter().map(SuggestionView::from).collect(),
            next: next.as_deref(),
        })
        .print(cx.format, &cx.ui, |ui, _| events_table(ui, &found))?;
    tell(cx, &suggested);
    PageArgs::tell_next(cx, "payouts events list", next.as_ref());
    Ok(Exit::Done.into())
}

fn no_such_event(error: StoreError, after: Option<&str>) -> CliError {
    match (error, after) {
        (StoreError::NotFound, Some(after)) => CliError::new(
            Exit::Attention,
            format!("no event has this id: {}", clean(after)),
        )
        .hint("`payouts events list` shows the last ones"),
        (error, _) => error.into(),
    }
}

/// Suggestions that are told in full; the rest is counted.
const SUGGESTED: usize = 10;

/// Tells what may be done about creators.
pub(super) fn tell(cx: &Context, suggested: &[Suggestion]) {
    for suggestion in suggested.iter().take(SUGGESTED) {
        cx.ui.line(&suggestion.in_words());
    }
    if suggested.len() > SUGGESTED {
        let more = suggested.len() - SUGGESTED;
        cx.ui.line(&format!(
            "and {more} more: `payouts events list -o json` has all"
        ));
    }
}

/// Tells what may be done about the creators whom a command shows.
pub(super) fn tell_of(
    cx: &Context,
    store: &mut Store,
    creators: &[crate::model::ids::CreatorId],
) -> Result<(), CliError> {
    tell(cx, &suggestions(store, Some(creators))?);
    Ok(())
}
