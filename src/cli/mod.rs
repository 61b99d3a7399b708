//! What a person types: the table of contents of the program.

mod approve;
mod ask;
mod backup;
mod batches;
mod cancel;
mod check;
mod completions;
mod consent;
mod context;
mod create;
mod create_ask;
mod creators;
mod demo;
mod doctor;
pub mod error;
mod events;
pub mod exit;
mod from_statements;
mod help;
mod hold;
mod input;
mod interrupt;
mod list;
mod migrate;
mod moved;
mod notify;
mod page;
mod private_memory;
mod process;
mod receipt;
mod reconcile;
mod reconcile_file;
mod reconcile_print;
mod recorded;
mod release;
mod report;
mod resolve;
mod retry;
mod runs;
mod sandbox;
mod selection;
mod show;
mod statements;
mod stats;

#[cfg(feature = "testing")]
pub use process::exit_code_of;

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, FromArgMatches, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::config::{ConfigError, Environment};
use crate::env_vars as vars;
use crate::model::time::Clock;
use crate::output::log::{self, Log, LogFormat};
use crate::output::text::clean;
use crate::output::ui::{ColorChoice, Ui};
use crate::output::{Document, Format, Output};

/// Pay creators through Stripe Connect transfers, exactly once
#[derive(Debug, Parser)]
#[command(
    name = "payouts",
    version,
    propagate_version = false,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,

    #[command(subcommand)]
    command: Command,
}

/// Flags that every command knows.
#[derive(Debug, Clone, Args)]
struct Global {
    /// How the answer is written to stdout
    #[arg(
        short,
        long,
        value_enum,
        default_value_t,
        global = true,
        help_heading = "Output"
    )]
    output: Output,

    /// Say nothing on stderr but warnings and errors
    #[arg(short, long, global = true, help_heading = "Output")]
    quiet: bool,

    /// How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        global = true,
        help_heading = "Output"
    )]
    log_format: Option<LogFormat>,

    /// Say each request and each decision; twice, how it came to them
    #[arg(
        short,
        long,
        action = clap::ArgAction::Count,
        global = true,
        conflicts_with = "quiet",
        help_heading = "Output"
    )]
    verbose: u8,

    /// When to use colour
    #[arg(
        long,
        value_enum,
        default_value_t,
        global = true,
        help_heading = "Output"
    )]
    color: ColorChoice,

    /// Ask nothing
    #[arg(short, long, global = true, help_heading = "Safety")]
    yes: bool,

    /// Allow a key that moves real money
    #[arg(long, global = true, help_heading = "Safety")]
    live: bool,

    /// Database to use instead of `DATABASE_URL`
    #[arg(long, value_name = "URL", global = true, help_heading = "Connection")]
    database_url: Option<SecretString>,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Work(Work),
    #[command(flatten)]
    Explain(Explain),
    // Has exit codes of its own.
    Check(check::CheckArgs),
}

/// Commands that need the settings.
#[derive(Debug, Subcommand)]
enum Work {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Receipt(receipt::ReceiptArgs),
    Create(create::CreateArgs),
    #[command(subcommand)]
    Creators(creators::CreatorsCommand),
    Process(process::ProcessArgs),
    Reconcile(reconcile::ReconcileArgs),
    Retry(retry::RetryArgs),
    Resolve(resolve::ResolveArgs),
    Hold(hold::HoldArgs),
    Release(release::ReleaseArgs),
    Approve(approve::ApproveArgs),
    Cancel(cancel::CancelArgs),
    #[command(subcommand)]
    Batches(batches::BatchesCommand),
    #[command(subcommand)]
    Statements(statements::StatementsCommand),
    #[command(subcommand)]
    Runs(runs::RunsCommand),
    Report(report::ReportArgs),
    Stats(stats::StatsArgs),
    #[command(subcommand)]
    Events(events::EventsCommand),
    Notify(notify::NotifyArgs),
    Migrate(migrate::MigrateArgs),
    Doctor(doctor::DoctorArgs),
    Backup(backup::BackupArgs),
    Demo(demo::DemoArgs),
    Sandbox(sandbox::SandboxArgs),
}

/// Commands that explain the program, whatever its settings say.
#[derive(Debug, Subcommand)]
enum Explain {
    Completions(completions::CompletionsArgs),
    Help(help::HelpArgs),
}

impl Work {
    fn run(self, cx: &mut Context) -> Result<Exits, CliError> {
        match self {
            Self::List(args) => list::run(cx, &args),
            Self::Show(args) => show::run(cx, &args),
            Self::Receipt(args) => receipt::run(cx, &args),
            Self::Create(args) => create::run(cx, &args),
            Self::Creators(command) => creators::run(cx, &command),
            Self::Process(args) => process::run(cx, &args),
            Self::Reconcile(args) => reconcile::run(cx, &args),
            Self::Retry(args) => retry::run(cx, &args),
            Self::Resolve(args) => resolve::run(cx, &args),
            Self::Hold(args) => hold::run(cx, &args),
            Self::Release(args) => release::run(cx, &args),
            Self::Approve(args) => approve::run(cx, &args),
            Self::Cancel(args) => cancel::run(cx, &args),
            Self::Batches(command) => batches::run(cx, &command),
            Self::Statements(command) => statements::run(cx, &command),
            Self::Runs(command) => runs::run(cx, &command),
            Self::Report(args) => report::run(cx, &args),
            Self::Stats(args) => stats::run(cx, &args),
            Self::Events(command) => events::run(cx, &command),
            Self::Notify(args) => notify::run(cx, &args),
            Self::Migrate(args) => migrate::run(cx, &args),
            Self::Doctor(args) => doctor::run(cx, &args),
            Self::Backup(args) => backup::run(cx, &args),
            Self::Demo(args) => demo::run(cx, &args),
            Self::Sandbox(args) => sandbox::run(cx, &args),
        }
    }
}

impl Explain {
    fn run(&self, ui: &Ui, format: Format) -> Result<Exits, CliError> {
        match self {
            Self::Completions(args) => completions::run(ui, format, args),
            Self::Help(args) => help::run(ui, format, args),
        }
    }
}

impl Command {
    /// The format that was asked for, and the document where this command alone writes it.
    fn answers_in(&self, output: Output) -> Result<(Format, Option<Document>), CliError> {
        let (format, document) = output.parts();
        let known = match (document, self) {
            (None, _)
            | (Some(Document::Html), Self::Work(Work::Report(_)))
            | (Some(Document::Prometheus), Self::Work(Work::Stats(_))) => true,
            (Some(_), _) => false,
        };
        if known {
            return Ok((format, document));
        }
        let (name, whose) = match document {
            Some(Document::Prometheus) => (Document::Prometheus, "stats"),
            _ => (Document::Html, "report"),
        };
        Err(CliError::new(
            Exit::Usage,
            format!(
                "--output {}: only `payouts {whose}` writes that; here it is table, json, ndjson or csv",
                name.as_str()
            ),
        ))
    }
}

/// Refuses the formats of machines where there is nothing for a machine to read.
/// `what` is all that the command writes.
fn only_text(format: Format, command: &str, what: &str) -> Result<(), CliError> {
    match format {
        Format::Table => Ok(()),
        Format::Json | Format::Ndjson | Format::Csv => Err(CliError::new(
            Exit::Usage,
            format!("`payouts {command}` writes {what}, and nothing else: leave out --output"),
        )),
    }
}

/// Parses the arguments, runs the command, and says how it ended.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    private_memory::keep();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let env = Environment::read(Path::new("."));
    let parsed = parse(&arguments);
    let ui = ui(&arguments, parsed.as_ref().ok(), env.as_ref().ok());
    // A bug says so as everything else is said, and ends with its own exit code.
    let telling = ui.clone();
    std::panic::set_hook(Box::new(move |panic| telling.panicked(panic)));
    log::listen(&ui);
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| match parsed {
        Ok(cli) => execute(cli, env, &ui, &arguments),
        Err(error) => match print_parse_error(&error, &ui) {
            Exit::Usage if check::is_asked_for(&arguments) => check::refuse_usage(&ui).code(),
            exit => exit.code(),
        },
    }));
    ExitCode::from(ended.unwrap_or(Exit::Bug.code()))
}

/// The streams. A command line that does not parse is told in the format it asks for.
fn ui(arguments: &[OsString], cli: Option<&Cli>, env: Option<&Environment>) -> Ui {
    let global = cli.map(|cli| &cli.global);
    let asked = match global {
        Some(global) => global.log_format,
        None => arguments.windows(2).find_map(|pair| {
            let format = match pair[1].to_str()?.strip_prefix("--log-format=") {
                Some(format) => format,
                None if pair[0] == "--log-format" => pair[1].to_str()?,
                None => return None,
            };
            LogFormat::from_str(format, false).ok()
        }),
    };
    let format = asked.or_else(|| env.and_then(|env| log_format(env).ok()));
    let clock = env.and_then(|env| context::clock(env).ok());
    Ui::detect(
        global.map(|global| global.color).unwrap_or_default(),
        env.is_some_and(Environment::asks_for_plain_output),
        global.is_some_and(|global| global.quiet),
        Log::new(
            format.unwrap_or_default(),
            global.map_or(0, |global| global.verbose),
            clock.unwrap_or_else(Clock::system),
        ),
    )
}

/// How narration is to be written where no flag says it.
fn log_format(env: &Environment) -> Result<LogFormat, ConfigError> {
    let Some((text, origin)) = env.get(&vars::LOG_FORMAT) else {
        return Ok(LogFormat::default());
    };
    LogFormat::from_str(text, false).map_err(|_| ConfigError::Value {
        name: vars::LOG_FORMAT.name,
        origin,
        value: format!("{text:?}"),
        reason: "use `text` or `json`".to_owned(),
    })
}

/// Runs a command, says how it ended, and returns the exit code.
fn execute(cli: Cli, env: Result<Environment, ConfigError>, ui: &Ui, arguments: &[OsString]) -> u8 {
    let answer = cli.command.answers_in(cli.global.output);
    let context = |answer| {
        let env = env?;
        log_format(&env)?;
        Context::new(
            &cli.global,
            &env,
            ui.clone(),
            answer,
            as_recorded(arguments),
        )
    };
    let ended = match cli.command {
        Command::Check(args) => {
            let format = answer.as_ref().map_or(Format::Table, |answer| answer.0);
            return check::run(answer.and_then(context), &args, format, ui).code();
        }
        Command::Explain(command) => answer.and_then(|answer| command.run(ui, answer.0)),
        Command::Work(command) => answer.and_then(|answer| command.run(&mut context(answer)?)),
    };
    let exits = ended.unwrap_or_else(|error| {
        if !error.broken_pipe {
            error.print(ui);
        }
        error.exit.into()
    });
    for other in exits.others() {
        ui.line(&format!("also: {other}"));
    }
    exits.strongest().code()
}

/// Reads a command line. Where there is nobody to ask, what a command would ask for
/// must be said.
fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    parse_as_given(arguments).map_err(|error| harmless(error, arguments))
}

fn parse_as_given(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    if Ui::is_interactive() {
        let cli = parse_by(help::with_grouped_page(), arguments)?;
        if !cli.global.yes {
            return Ok(cli);
        }
    }
    parse_by(requiring_answers(help::with_grouped_page()), arguments)
}

/// The command line of a program that asks nothing.
fn requiring_answers(command: clap::Command) -> clap::Command {
    command
        .mut_subcommand("create", |create| {
            create
                .mut_arg("creator", |arg| arg.required_unless_present("source"))
                .mut_arg("amount", |arg| {
                    arg.required_unless_present_any(["source", "amount_cents"])
                })
        })
        .mut_subcommand("retry", |retry| {
            retry.mut_group("which", |group| group.required(true))
        })
}

fn parse_by(mut command: clap::Command, arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// The same error about arguments without what a terminal would obey: it repeats them, and
/// a script may have read them anywhere.
fn harmless(error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let cleaned: Vec<OsString> = arguments
        .iter()
        .map(|argument| clean(&argument.to_string_lossy()).into_owned().into())
        .collect();
    if cleaned == arguments {
        return error;
    }
    match parse_as_given(&cleaned) {
        Err(same) if same.kind() == error.kind() => same,
        _ => clap::Error::raw(
            error.kind(),
            "an argument has a character that cannot be shown\n",
        ),
    }
}

/// Prints help, the version, or what is wrong with a command line.
fn print_parse_error(error: &clap::Error, ui: &Ui) -> Exit {
    if error.use_stderr() && ui.log.is_json() {
        let text = error.to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let message = lines.next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let rest: Vec<String> = lines.map(str::to_owned).collect();
        ui.error(message, &rest, &[]);
        return Exit::Usage;
    }
    // Help and version are answers, not errors; a closed pipe is nobody's fault.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Done
    }
}

/// The command line as the record of runs keeps it: without a database URL,
/// which may hold a password.
fn as_recorded(arguments: &[OsString]) -> String {
    let mut words = Vec::new();
    let mut hide = false;
    for argument in arguments.iter().skip(1) {
        let word = argument.to_string_lossy();
        if hide {
            words.push("…".to_owned());
        } else if word.starts_with("--database-url=") {
            words.push("--database-url=…".to_owned());
        } else {
            words.push(word.clone().into_owned());
        }
        hide = !hide && word == "--database-url";
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn a_database_url_is_not_recorded() {
        for line in [
            &[
                "payouts",
                "--database-url",
                "postgres://u:s3cret@h/d",
                "list",
            ][..],
            &["payouts", "list", "--database-url=postgres://u:s3cret@h/d"],
        ] {
            let arguments: Vec<_> = line.iter().map(std::ffi::OsString::from).collect();
            let recorded = super::as_recorded(&arguments);
            assert!(
                recorded.contains("list") && !recorded.contains("s3cret"),
                "{recorded}"
            );
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
