//! What a person types: the table of contents of the program.

mod batches;
mod consent;
mod context;
mod create;
mod creators;
mod demo;
pub mod error;
pub mod exit;
mod input;
mod list;
mod migrate;
mod page;
mod process;
mod recorded;
mod release;
mod sandbox;
mod show;
mod statements;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::output::Format;
use crate::output::ui::ColorChoice;

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
    output: Format,

    /// Say nothing on stderr but warnings and errors
    #[arg(short, long, global = true, help_heading = "Output")]
    quiet: bool,

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
    database_url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Create(create::CreateArgs),
    #[command(subcommand)]
    Creators(creators::CreatorsCommand),
    Process(process::ProcessArgs),
    Release(release::ReleaseArgs),
    #[command(subcommand)]
    Batches(batches::BatchesCommand),
    #[command(subcommand)]
    Statements(statements::StatementsCommand),
    Migrate(migrate::MigrateArgs),
    Demo(demo::DemoArgs),
    Sandbox(sandbox::SandboxArgs),
}

impl Command {
    fn run(self, cx: &mut Context) -> Result<Exits, CliError> {
        match self {
            Self::List(args) => list::run(cx, &args),
            Self::Show(args) => show::run(cx, &args),
            Self::Create(args) => create::run(cx, &args),
            Self::Creators(command) => creators::run(cx, &command),
            Self::Process(args) => process::run(cx, &args),
            Self::Release(args) => release::run(cx, &args),
            Self::Batches(command) => batches::run(cx, &command),
            Self::Statements(command) => statements::run(cx, &command),
            Self::Migrate(args) => migrate::run(cx, &args),
            Self::Demo(args) => demo::run(cx, &args),
            Self::Sandbox(args) => sandbox::run(cx, &args),
        }
    }
}

/// Parses the arguments, runs the command, and says how it ended.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors; a closed pipe is nobody's fault.
            let _ = error.print();
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            return ExitCode::from(exit.code());
        }
    };
    let mut cx = match Context::new(&cli.global, as_recorded(&arguments)) {
        Ok(cx) => cx,
        Err((ui, error)) => {
            error.print(&ui);
            return ExitCode::from(error.exit.code());
        }
    };
    let exits = cli.command.run(&mut cx).unwrap_or_else(|error| {
        if !error.broken_pipe {
            error.print(&cx.ui);
        }
        error.exit.into()
    });
    for other in exits.others() {
        cx.ui.line(&format!("also: {other}"));
    }
    ExitCode::from(exits.strongest().code())
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
