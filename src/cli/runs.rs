//! `payouts runs`: list, show.

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::page::PageArgs;
use crate::model::ids::RunId;
use crate::model::run::RunState;
use crate::model::time::Span;
use crate::ops::period;
use crate::output::runs::{self, RunShowView, RunView, RunsMembers};
use crate::output::{Answer, record};
use crate::store::run_records::{NamedRun, RunFilter};

/// Look at what this tool was run for, and how it ended
#[derive(Debug, Subcommand)]
pub(super) enum RunsCommand {
    List(ListArgs),
    Show(ShowArgs),
}

/// List runs of commands that write, newest first
///
/// A run that has not ended and gave no sign of life within the lease
/// (`PAYOUTS_LEASE`) is dead: it was killed, or its machine went away.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only of this command, such as process or reconcile
    #[arg(long, value_name = "COMMAND", help_heading = "Selection")]
    command: Option<String>,

    /// Only those of this actor
    #[arg(long, value_name = "ACTOR", help_heading = "Selection")]
    actor: Option<String>,

    /// Only those begun in this time: 2026, 2026-10, 2026-10-05,
    /// 2026-10-01..2026-10-31 (both days included), 7d or 12h (back from now),
    /// or two RFC 3339 times as A..B
    #[arg(
        long,
        visible_alias = "since",
        value_name = "TIME",
        help_heading = "Selection"
    )]
    period: Option<String>,

    /// Whose days and months are meant, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = period::zone, help_heading = "Selection")]
    tz: TimeZone,

    /// Only those that did not end well: with another code than 0, or dead
    #[arg(long, conflicts_with = "alive", help_heading = "Selection")]
    failed: bool,

    /// Only those that are at work now
    #[arg(long, conflicts_with = "dead", help_heading = "Selection")]
    alive: bool,

    /// Only those that were killed
    #[arg(long, help_heading = "Selection")]
    dead: bool,

    #[command(flatten)]
    page: PageArgs,
}

/// Show one run: who began it and how, what it did, what failed, what to do next
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The run's id or its first characters, or `last`
    #[arg(value_name = "RUN")]
    run: String,
}

pub(super) fn run(cx: &mut Context, command: &RunsCommand) -> Result<Exits, CliError> {
    match command {
        RunsCommand::List(args) => list(cx, args),
        RunsCommand::Show(args) => show(cx, args),
    }
}

fn list(cx: &mut Context, args: &ListArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let started = match &args.period {
        None => Span::default(),
        Some(text) => period::span(text, &args.tz, cx.clock.now())
            .map_err(|error| CliError::new(Exit::Usage, format!("--period: {error}")))?,
    };
    let state = match (args.alive, args.dead) {
        (true, _) => Some(RunState::Alive),
        (_, true) => Some(RunState::Dead),
        _ => None,
    };
    let filter = RunFilter {
        command: args.command.clone(),
        actor: args.actor.clone(),
        started,
        state,
        failed: args.failed,
    };
    let after = args.page.after.as_deref().map(RunId::new);
    let limit = usize::try_from(args.page.rows()).unwrap_or(usize::MAX);
    let mut found = store.runs_list(&filter, cx.config.lease, after.as_ref(), limit)?;
    let next = args.page.cut(&mut found, |line| line.run.id.to_string());
    let totals = store.runs_totals(&filter)?;
    let views = found.iter().map(RunView::of).collect();
    Answer::new("runs", views)
        .with(RunsMembers {
            totals: totals.into(),
            next: next.as_deref(),
        })
        .print(cx.format, &cx.ui, |ui, _| {
            runs::runs_table(ui, &found, totals)
        })?;
    PageArgs::tell_next(cx, "payouts runs list", next.as_ref());
    Ok(Exit::Done.into())
}

fn show(cx: &mut Context, args: &ShowArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let text = args.run.trim();
    let line = match store.run_named(text, cx.config.lease)? {
        NamedRun::One(line) => *line,
        NamedRun::None => {
            return Err(
                CliError::new(Exit::Attention, format!("no run has this id: {text}"))
                    .hint("`payouts runs list` shows all of them"),
            );
        }
        NamedRun::Several(ids) => {
            let ids: Vec<&str> = ids.iter().map(RunId::as_str).collect();
            return Err(CliError::new(
                Exit::Attention,
                format!("the ids of several runs begin with {text}"),
            )
            .hint(format!("write more of it: {}", ids.join(", "))));
        }
    };
    let work = store.run_work(&line.run.id)?;
    let shown = RunShowView::of(&line, &work, currency);
    record::print(cx.format, &cx.ui, &shown, &[RunView::of(&line)], || {
        runs::page(&cx.ui, &line, &work, currency)
    })?;
    Ok(Exit::Done.into())
}
