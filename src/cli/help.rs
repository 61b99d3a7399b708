//! `payouts help`, and the page that `payouts --help` prints.
//!
//! clap has one heading for all commands, so the top-level page is our own
//! template, made from [`GROUPS`]. Needs no database and no settings.

use std::ffi::OsString;

use clap::{Args, Command, CommandFactory};

use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::{Cli, print_parse_error};
use crate::model::alert::AlertCode;
use crate::output::json::ExitView;
use crate::output::table::{left, right};
use crate::output::ui::Ui;
use crate::output::{Answer, Format, runbook, schema, table};

/// Every command under its heading, in the order they are shown.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "Payouts",
        &[
            "create",
            "list",
            "show",
            "process",
            "retry",
            "resolve",
            "reconcile",
        ],
    ),
    ("Control", &["approve", "hold", "release", "cancel"]),
    (
        "Records",
        &[
            "creators",
            "statements",
            "batches",
            "runs",
            "report",
            "stats",
            "receipt",
        ],
    ),
    ("Events", &["events", "notify"]),
    (
        "Operations",
        &[
            "migrate",
            "doctor",
            "check",
            "backup",
            "completions",
            "help",
        ],
    ),
    ("Try it", &["demo", "sandbox"]),
];

/// Characters in a line of help: what every terminal and every mail can show.
const PAGE_WIDTH: usize = 80;

/// The topics that are no commands.
const EXIT_CODES: &str = "exit-codes";
const JSON: &str = "json";
const RUNBOOK: &str = "runbook";

/// Explain a command, the exit codes, the JSON, or an alert
///
/// `payouts help COMMAND` is the same as `payouts COMMAND --help`;
/// `payouts help exit-codes` is the table that a script may rely on, in any
/// format. `payouts help json` is what a script may rely on in the JSON of every
/// command, as JSON Schema; `payouts help json COMMAND` is one of them alone, and
/// `payouts help json log` is a line of `--log-format json`. `payouts help runbook`
/// says for each alert of `payouts check` what to do; `payouts help runbook ALERT` is
/// one of them alone.
#[derive(Debug, Args)]
pub(super) struct HelpArgs {
    /// A command, such as `creators import`, or `exit-codes`, `json` or `runbook`
    #[arg(value_name = "TOPIC")]
    topic: Vec<String>,
}

pub(super) fn run(ui: &Ui, format: Format, args: &HelpArgs) -> Result<Exits, CliError> {
    if args.topic == [EXIT_CODES] {
        return exit_codes(ui, format);
    }
    if let Some((JSON, command)) = args.topic.split_first().map(|(a, b)| (a.as_str(), b)) {
        return json_schema(ui, format, &command.join(" "));
    }
    if let Some((RUNBOOK, alert)) = args.topic.split_first().map(|(a, b)| (a.as_str(), b)) {
        return show_runbook(ui, format, &alert.join(" "));
    }
    let words: Vec<OsString> = std::iter::once("payouts")
        .chain(args.topic.iter().map(String::as_str))
        .chain(std::iter::once("--help"))
        .map(OsString::from)
        .collect();
    Ok(match super::parse(&words) {
        // `--help` ends every parse.
        Ok(_) => Exit::Bug,
        Err(error) => print_parse_error(&error, ui),
    }
    .into())
}

fn exit_codes(ui: &Ui, format: Format) -> Result<Exits, CliError> {
    let mut rows: Vec<ExitView> = Exit::ALL
        .iter()
        .map(|exit| ExitView {
            code: exit.code(),
            meaning: exit.meaning(),
        })
        .collect();
    rows.sort_by_key(|row| row.code);
    Answer::new("exit_codes", rows).print(format, ui, |ui, rows| {
        table::render(
            ui,
            &[right("Code"), left("Meaning")],
            rows.iter()
                .map(|row| vec![row.code.to_string().into(), row.meaning.into()])
                .collect(),
        )
    })?;
    Ok(Exit::Done.into())
}

/// What to do about an alert, or about each.
fn show_runbook(ui: &Ui, format: Format, alert: &str) -> Result<Exits, CliError> {
    super::only_text(format, "help runbook", "text")?;
    let text = match alert {
        "" => runbook::whole(),
        alert => alert.parse().map(runbook::entry).map_err(|_| {
            let alerts: Vec<&str> = AlertCode::ALL.iter().map(|code| code.as_str()).collect();
            CliError::new(Exit::Usage, format!("no alert has this name: {alert}"))
                .hint(format!("those there are: {}", alerts.join(", ")))
        })?,
    };
    ui.answer(text)?;
    Ok(Exit::Done.into())
}

/// The schema of what a command prints, or of what all do.
fn json_schema(ui: &Ui, format: Format, command: &str) -> Result<Exits, CliError> {
    if matches!(format, Format::Ndjson | Format::Csv) {
        return Err(CliError::new(
            Exit::Usage,
            "`payouts help json` writes JSON, and nothing else: leave out --output",
        ));
    }
    let schema = match command {
        "" => schema::all(),
        schema::LOG => schema::of_log(),
        command => schema::of(command).ok_or_else(|| {
            CliError::new(
                Exit::Usage,
                format!("no command with JSON has this name: {command}"),
            )
            .hint(format!(
                "those that have: {}",
                schema::commands().collect::<Vec<_>>().join(", ")
            ))
        })?,
    };
    ui.answer(&format!("{schema:#}"))?;
    Ok(Exit::Done.into())
}

/// The command line with the grouped page. Only for parsing: what it hides from
/// the page would be missing in completions.
pub(super) fn with_grouped_page() -> Command {
    let command = Cli::command();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{{all-args}}{{after-help}}",
        groups(&command)
    );
    command
        .mut_subcommands(|shown_in_groups| shown_in_groups.hide(true))
        .override_usage("payouts [OPTIONS] <COMMAND>")
        .max_term_width(PAGE_WIDTH)
        .help_template(template)
}

/// The commands under their headings, as clap would write one such section.
fn groups(command: &Command) -> String {
    let header = command.get_styles().get_header();
    let literal = command.get_styles().get_literal();
    let width = GROUPS
        .iter()
        .flat_map(|(_, names)| names.iter().map(|name| name.len()))
        .max()
        .unwrap_or_default();
    let line = |name: &str| {
        let found = command.find_subcommand(name)?;
        let about = found.get_about().map(ToString::to_string);
        let aliases: Vec<_> = found.get_visible_aliases().collect();
        Some(format!(
            "  {literal}{name}{literal:#}{}  {}{}",
            " ".repeat(width - name.len()),
            about.unwrap_or_default(),
            if aliases.is_empty() {
                String::new()
            } else {
                format!(" [aliases: {}]", aliases.join(", "))
            }
        ))
    };
    let sections: Vec<String> = GROUPS
        .iter()
        .map(|(heading, names)| {
            let lines: Vec<_> = names.iter().filter_map(|name| line(name)).collect();
            format!("{header}{heading}:{header:#}\n{}\n\n", lines.join("\n"))
        })
        .collect();
    sections.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_stands_under_one_heading() {
        let mut exist: Vec<String> = Cli::command()
            .get_subcommands()
            .map(|command| command.get_name().to_owned())
            .collect();
        let mut grouped: Vec<String> = GROUPS
            .iter()
            .flat_map(|(_, names)| names.iter().map(|name| (*name).to_owned()))
            .collect();
        exist.sort();
        grouped.sort();
        assert_eq!(grouped, exist);
    }

    #[test]
    fn the_template_says_nothing_that_clap_would_replace() {
        assert!(!groups(&Cli::command()).contains(['{', '}']));
    }
}
