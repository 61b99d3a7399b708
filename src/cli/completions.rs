//! `payouts completions`. Needs no database and no settings.

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::{Cli, only_text};
use crate::output::Format;
use crate::output::ui::Ui;

/// Print what completes `payouts` in a shell
///
/// To use it at once: `source <(payouts completions bash)`. To install it, write
/// it where the shell looks, such as
/// `~/.local/share/bash-completion/completions/payouts`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Supported,
}

/// Shells whose completions are kept in the project.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Supported {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
}

pub(super) fn run(ui: &Ui, format: Format, args: &CompletionsArgs) -> Result<Exits, CliError> {
    only_text(format, "completions", "a script for a shell")?;
    let shell = match args.shell {
        Supported::Bash => Shell::Bash,
        Supported::Zsh => Shell::Zsh,
        Supported::Fish => Shell::Fish,
        Supported::PowerShell => Shell::PowerShell,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "payouts", &mut script);
    ui.answer(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done.into())
}
