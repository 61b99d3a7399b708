//! `payouts notify`: send, preview, list, on, off.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use secrecy::ExposeSecret;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::page::PageArgs;
use crate::cli::recorded::{recorded, recorded_with_exit};
use crate::cli::selection;
use crate::env_vars as vars;
use crate::mail::{Address, MailServer, SmtpUrl};
use crate::model::notification::{NotificationKind, NotificationState, NotificationSwitch};
use crate::ops::next_step::Circumstances;
use crate::ops::notify::{self, Decision, Letter, Means, Posted, Rules, Stopped};
use crate::ops::out_file;
use crate::output::mail::{BUILT_IN, Templates};
use crate::output::notifications::{
    GivenUpView, MailCountView, NotificationView, NotifyMembers, OutboxMembers, PreviewView,
    SwitchView, notifications_table, posted_text, previews_text, switches_table,
};
use crate::output::text::{clean, count};
use crate::output::{Answer, Format};
use crate::store::notifications::{NotificationFilter, Wanted};
use crate::store::{Store, StoreError};

/// Send the mails that wait: to creators, and to operators
///
/// Meant for cron. What is switched on (`payouts notify on KIND`) becomes due in the
/// transaction that changes a payout, and is sent by this command through `SMTP_URL`:
/// `paid` and `failed` to creators, one `digest` for each run that needs a person and
/// `alert` to the operators. Each mail says what is true when it goes out, or waits, or
/// is dropped. Sent once; twice only after a crash. A failure of mail never touches a
/// payout. Ends with 1 when a mail was given up, with 3 when the mail server cannot be
/// used.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct NotifyArgs {
    #[command(subcommand)]
    command: Option<NotifyCommand>,

    /// Print what would be sent, and send nothing
    #[arg(long)]
    preview: bool,

    /// Only mails of this kind; where none waits, a sample
    #[arg(long, value_name = "KIND", value_parser = kind_parser(), requires = "preview")]
    kind: Option<NotificationKind>,

    /// Write the page of the first mail to this file, for its owner alone
    #[arg(long, value_name = "FILE", requires = "preview")]
    html: Option<PathBuf>,

    /// Write over the file if it is there
    #[arg(long, requires = "html")]
    force: bool,

    /// A mail, or the payout, run or alert it is about
    #[arg(value_name = "ID", requires = "preview")]
    id: Option<String>,
}

#[derive(Debug, Subcommand)]
enum NotifyCommand {
    List(ListArgs),
    On(OnArgs),
    Off(OffArgs),
}

/// List the mails that wait, were sent, or were given up
///
/// Newest first, with the state, the recipient, and why one is not sent. Settled mails
/// are kept for 90 days.
#[derive(Debug, Args)]
struct ListArgs {
    /// Only mails in this state
    #[arg(long, value_name = "STATE", value_parser = state_parser(), value_delimiter = ',', help_heading = "Selection")]
    state: Vec<NotificationState>,

    /// Only mails of this kind
    #[arg(long, value_name = "KIND", value_parser = kind_parser(), value_delimiter = ',', help_heading = "Selection")]
    kind: Vec<NotificationKind>,

    /// Only what is about this payout, run or alert
    #[arg(long, value_name = "ID", help_heading = "Selection")]
    about: Option<String>,

    #[command(flatten)]
    page: PageArgs,
}

/// Switch kinds of mail on
///
/// Kept in the database, so that every program that settles payouts agrees. What
/// happened before is not told. Without a kind, says what is on.
#[derive(Debug, Args)]
struct OnArgs {
    #[command(flatten)]
    switch: SwitchArgs,
}

/// Switch kinds of mail off, for everybody or for one creator
///
/// What waits of them is dropped. Without a kind, says what is on.
#[derive(Debug, Args)]
struct OffArgs {
    #[command(flatten)]
    switch: SwitchArgs,
}

#[derive(Debug, Args)]
struct SwitchArgs {
    /// paid, failed, digest or alert
    #[arg(value_name = "KIND", value_parser = kind_parser())]
    kinds: Vec<NotificationKind>,

    /// Only for this creator: id, e-mail or Stripe account
    #[arg(long, value_name = "WHO", requires = "kinds")]
    creator: Option<String>,
}

fn kind_parser() -> impl TypedValueParser<Value = NotificationKind> {
    PossibleValuesParser::new(NotificationKind::ALL.iter().map(|kind| kind.as_str()))
        .try_map(|name| name.parse::<NotificationKind>())
}

fn state_parser() -> impl TypedValueParser<Value = NotificationState> {
    PossibleValuesParser::new(NotificationState::ALL.iter().map(|state| state.as_str()))
        .try_map(|name| name.parse::<NotificationState>())
}

pub(super) fn run(cx: &mut Context, args: &NotifyArgs) -> Result<Exits, CliError> {
    match &args.command {
        Some(NotifyCommand::List(args)) => list(cx, args),
        Some(NotifyCommand::On(args)) => switch(cx, &args.switch, true),
        Some(NotifyCommand::Off(args)) => switch(cx, &args.switch, false),
        None if args.preview => preview(cx, args),
        None => send(cx),
    }
}

// --- send -------------------------------------------------------------------------------------

fn send(cx: &mut Context) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let switches = store.notification_switches()?;
    if NotificationSwitch::kinds_on(&switches).is_empty() {
        cx.ui
            .note("nothing is switched on: `payouts notify on KIND` does");
        return print_posted(cx, &Posted::default(), Exits::default());
    }
    // All of it is checked before anything is due, so that a cron job that cannot send says so at once.
    let from = sender(cx)?;
    let url = server(cx)?;
    let operators = operators(cx)?;
    let templates = templates(cx, &from)?;
    let rules = rules(cx, &mut store)?;
    if store.notifications_due()? == 0 {
        return print_posted(cx, &Posted::default(), Exits::default());
    }
    let mut server = MailServer::new(url, from.clone());
    let write = |letter: &Letter| templates.compose(letter).map_err(|error| error.to_string());
    let posted = recorded_with_exit(cx, &mut store, "notify", |store, run| {
        let mut means = Means {
            from,
            operators,
            write: &write,
            post: &mut |mail| server.send(mail),
        };
        let posted = notify::post(store, run, &rules, &mut means)?;
        store.notifications_prune(cx.clock.now().minus(notify::KEPT))?;
        let told = posted_text(&MailCountView::of_run(&posted));
        let exit = exits_of(&posted).strongest();
        Ok((posted, exit, told))
    })?;
    let exits = exits_of(&posted);
    print_posted(cx, &posted, exits)
}

fn exits_of(posted: &Posted) -> Exits {
    let mut exits = Exits::default();
    if posted.stopped.is_some() || posted.unaddressed > 0 {
        exits.add(Exit::CouldNotRun);
    }
    if posted.given_up > 0 {
        exits.add(Exit::Attention);
    }
    exits
}

fn print_posted(cx: &Context, posted: &Posted, exits: Exits) -> Result<Exits, CliError> {
    let stopped = posted.stopped.as_ref().map(|stopped| match stopped {
        Stopped::Server(error) => error.to_string(),
        Stopped::Template(why) => why.clone(),
    });
    Answer::new("results", MailCountView::of_run(posted))
        .with(NotifyMembers {
            given_up: GivenUpView::of(posted),
            stopped: stopped.as_deref(),
            exit_code: exits.strongest().code(),
        })
        .print(cx.format, &cx.ui, |_, counts| posted_text(counts))?;
    for (id, why) in &posted.gave_up {
        cx.ui.warn(&format!("mail {id} was given up: {why}"));
    }
    if posted.unaddressed > 0 {
        cx.ui.warn(&format!(
            "{} for operators, of whom nobody has an address",
            count(posted.unaddressed, "mail")
        ));
        cx.ui
            .hint("set PAYOUTS_MAIL_TO to their addresses, with commas between them");
    }
    match &posted.stopped {
        Some(Stopped::Server(error)) => {
            CliError::caused(Exit::CouldNotRun, "sending stopped", error)
                .hint("what was not sent waits; check SMTP_URL and the server, then run it again")
                .print(&cx.ui);
        }
        Some(Stopped::Template(why)) => {
            CliError::new(Exit::CouldNotRun, "sending stopped")
                .because(why.clone())
                .hint("what was not sent waits; correct the template in PAYOUTS_MAIL_TEMPLATES")
                .print(&cx.ui);
        }
        None => {}
    }
    Ok(exits)
}

fn rules(cx: &Context, store: &mut Store) -> Result<Rules, CliError> {
    Ok(Rules {
        at: Circumstances {
            rules: cx.send_rules(None),
            currency: cx.currency(store)?,
            now: cx.clock.now(),
        },
        list: cx.list_rules(),
    })
}

// --- settings ---------------------------------------------------------------------------------

fn sender(cx: &Context) -> Result<Address, CliError> {
    let name = vars::MAIL_FROM.name;
    let Some(text) = &cx.config.mail_from else {
        return Err(
            CliError::new(Exit::CouldNotRun, "nobody said from whom mails come").hint(format!(
                "set {name}, such as \"The Platform <payments@example.com>\""
            )),
        );
    };
    Address::parse(text).map_err(|why| wrong_address(name, text, why))
}

fn operators(cx: &Context) -> Result<Vec<String>, CliError> {
    let mut operators: Vec<(String, String)> = Vec::new();
    for one in &cx.config.mail_to {
        let address = Address::parse(one)
            .map_err(|why| wrong_address(vars::MAIL_TO.name, one, why))?
            .address()
            .to_lowercase();
        // Nobody gets a mail twice.
        if !operators.iter().any(|(known, _)| *known == address) {
            operators.push((address, one.clone()));
        }
    }
    Ok(operators.into_iter().map(|(_, written)| written).collect())
}

fn wrong_address(name: &str, text: &str, why: String) -> CliError {
    let text = clean(text).into_owned();
    CliError::new(
        Exit::CouldNotRun,
        format!("{name} is no mail address: {text}"),
    )
    .because(why)
}

fn server(cx: &Context) -> Result<SmtpUrl, CliError> {
    let Some(url) = cx.config.smtp_url.read()? else {
        return Err(
            CliError::new(Exit::CouldNotRun, "there is no mail server").hint(
                "set SMTP_URL or SMTP_URL_FILE, such as smtps://USER:PASSWORD@mail.example.com",
            ),
        );
    };
    url.expose_secret()
        .parse()
        .map_err(|why: crate::mail::SmtpUrlError| {
            CliError::new(
                Exit::CouldNotRun,
                format!("SMTP_URL names no mail server that can be used: {why}"),
            )
            .hint("its value is not shown, as it may hold a password")
        })
}

/// The templates, with those of the folder in place of the built-in ones.
fn templates(cx: &Context, from: &Address) -> Result<Templates, CliError> {
    let signed = from.name().unwrap_or_else(|| from.address());
    let folder = cx.config.mail_templates.as_deref();
    let others = folder.map_or_else(|| Ok(BTreeMap::new()), in_folder)?;
    Templates::new(&others, signed).map_err(|error| {
        let place = folder.map_or_else(String::new, |folder| format!("{}: ", folder.display()));
        CliError::new(
            Exit::CouldNotRun,
            format!("a template of mails cannot be used: {place}{error}"),
        )
        .hint("what a template may name is in docs/production.md, under Mail")
    })
}

fn in_folder(folder: &Path) -> Result<BTreeMap<String, String>, CliError> {
    let name = vars::MAIL_TEMPLATES.name;
    let failed = |path: &Path, error: &std::io::Error| {
        CliError::caused(
            Exit::CouldNotRun,
            format!("failed to read {} ({name})", path.display()),
            error,
        )
    };
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
        let path = entry.map_err(|error| failed(folder, &error))?.path();
        let is_template = path
            .extension()
            .is_some_and(|extension| extension == "txt" || extension == "html");
        if !is_template {
            continue;
        }
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !BUILT_IN.iter().any(|(known, _)| *known == file) {
            let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            return Err(CliError::new(
                Exit::CouldNotRun,
                format!("{} is no template of a mail", path.display()),
            )
            .hint(format!("they are called {}", known.join(", "))));
        }
        // To read a pipe would be to wait for whoever writes to it.
        if !fs::metadata(&path)
            .map_err(|error| failed(&path, &error))?
            .is_file()
        {
            return Err(CliError::new(
                Exit::CouldNotRun,
                format!("{} ({name}) is not a file", path.display()),
            ));
        }
        let text = fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
        found.insert(file, text);
    }
    Ok(found)
}

// --- preview ----------------------------------------------------------------------------------

/// Mails that a preview shows.
const PREVIEWED_MAX: i64 = 20;

/// Whom a preview is signed by where nobody said.
const NOBODY: &str = "Payments <payments@example.com>";

fn preview(cx: &mut Context, args: &NotifyArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let from = match &cx.config.mail_from {
        Some(_) => sender(cx)?,
        None => Address::parse(NOBODY)
            .map_err(|why| wrong_address(vars::MAIL_FROM.name, NOBODY, why))?,
    };
    let operators = operators(cx)?;
    let templates = templates(cx, &from)?;
    let rules = rules(cx, &mut store)?;
    let filter = NotificationFilter {
        states: match args.id {
            Some(_) => Vec::new(),
            None => vec![NotificationState::Waiting, NotificationState::Sending],
        },
        kinds: args.kind.into_iter().collect(),
        about: args.id.clone(),
    };
    let mut found = store.notifications_list(&filter, None, PREVIEWED_MAX)?;
    found.reverse();
    let broken = |error: crate::output::mail::TemplateError| {
        CliError::new(Exit::CouldNotRun, "a mail could not be put into words")
            .because(error.to_string())
    };
    let mut views = Vec::new();
    for mail in &mut found {
        if mail.recipient.is_none() && !mail.kind.is_for_creator() {
            mail.recipient = operators.first().cloned();
        }
        let decision = notify::decide(&mut store, mail, &rules)?;
        let written = match &decision {
            Decision::Send(letter) => Some(templates.compose(letter).map_err(broken)?),
            _ => None,
        };
        views.push(PreviewView::of(mail, &decision, written));
    }
    match (views.is_empty(), &args.id, args.kind) {
        (true, Some(id), _) => {
            return Err(CliError::new(
                Exit::Attention,
                format!("there is no mail {}, and none about it", clean(id)),
            )
            .hint("`payouts notify list` shows the mails"));
        }
        (true, None, Some(kind)) => {
            cx.ui
                .note("none waits: this is a sample, with made-up values");
            views.push(PreviewView::sample(
                kind,
                templates.sample(kind).map_err(broken)?,
            ));
        }
        (true, None, None) => {
            cx.ui.note("no mail waits; --kind KIND shows a sample");
        }
        (false, ..) => {}
    }
    if let Some(path) = &args.html {
        return write_page(cx, path, &views, args.force);
    }
    Answer::new("mails", views).print(cx.format, &cx.ui, |_, views| previews_text(views))?;
    Ok(Exit::Done.into())
}

fn write_page(
    cx: &Context,
    path: &Path,
    views: &[PreviewView],
    force: bool,
) -> Result<Exits, CliError> {
    if cx.format != Format::Table {
        return Err(CliError::new(
            Exit::Usage,
            "--html writes a page, and nothing else: leave out --output",
        ));
    }
    let Some(page) = views.iter().find_map(|view| view.html.as_ref()) else {
        return Err(
            CliError::new(Exit::Attention, "there is no mail to write a page of")
                .hint("--kind KIND makes a sample"),
        );
    };
    out_file::write(path, page.as_bytes(), force)?;
    Ok(Exit::Done.into())
}

// --- list, on, off ------------------------------------------------------------------------------

fn list(cx: &mut Context, args: &ListArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let filter = NotificationFilter {
        states: args.state.clone(),
        kinds: args.kind.clone(),
        about: args.about.clone(),
    };
    let after = args.page.after.as_deref().map(str::trim);
    let mut found = store
        .notifications_list(&filter, after, args.page.rows())
        .map_err(|error| match (error, after) {
            (StoreError::NotFound, Some(after)) => CliError::new(
                Exit::Attention,
                format!("no mail has this id: {}", clean(after)),
            )
            .hint("`payouts notify list` shows the last ones"),
            (error, _) => error.into(),
        })?;
    let next = args.page.cut(&mut found, |mail| mail.id.clone());
    let counts = store.notification_counts()?;
    let switches = store.notification_switches()?;
    let on: Vec<&str> = NotificationSwitch::kinds_on(&switches)
        .into_iter()
        .map(NotificationKind::as_str)
        .collect();
    if on.is_empty() {
        cx.ui
            .note("nothing is switched on: `payouts notify on KIND` does");
    } else {
        cx.ui.note(&format!("switched on: {}", on.join(", ")));
    }
    Answer::new("mails", found.iter().map(NotificationView::from).collect())
        .with(OutboxMembers {
            states: MailCountView::of_states(&counts),
            on,
            next: next.as_deref(),
        })
        .print(cx.format, &cx.ui, |ui, _| notifications_table(ui, &found))?;
    PageArgs::tell_next(cx, "payouts notify list", next.as_ref());
    Ok(Exit::Done.into())
}

fn switch(cx: &mut Context, args: &SwitchArgs, is_on: bool) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let creator = selection::creator(&mut store, args.creator.as_deref())?;
    if creator.is_some()
        && let Some(kind) = args.kinds.iter().find(|kind| !kind.is_for_creator())
    {
        return Err(CliError::new(
            Exit::Usage,
            format!("`{kind}` goes to operators, whoever the creator is: leave out --creator"),
        ));
    }
    if !args.kinds.is_empty() {
        let command = if is_on { "notify on" } else { "notify off" };
        let dropped = recorded(cx, &mut store, command, |store, run| {
            let mut dropped = 0;
            for kind in &args.kinds {
                dropped += store.notification_switch(run, *kind, creator.as_ref(), is_on)?;
            }
            let names: Vec<&str> = args.kinds.iter().map(|kind| kind.as_str()).collect();
            Ok((dropped, names.join(", ")))
        })?;
        if dropped > 0 {
            let number = u64::try_from(dropped).unwrap_or(u64::MAX);
            cx.ui
                .note(&format!("dropped {} that waited", count(number, "mail")));
        }
    }
    for kind in args.kinds.iter().filter(|_| is_on && creator.is_some()) {
        if store.notification_wanted(*kind, None)? != Wanted::Yes {
            cx.ui.warn(&format!(
                "`{kind}` is off for everybody, and so for this creator: `payouts notify on {kind}`"
            ));
        }
    }
    let switches = store.notification_switches()?;
    Answer::new("switches", SwitchView::of(&switches)).print(cx.format, &cx.ui, switches_table)?;
    Ok(Exit::Done.into())
}
