//! `payouts completions`, and the man page. Needs no database and no settings.

use std::io::{self, Write};

use clap::{Args, Command, CommandFactory, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::{Cli, only_text};
use crate::env_vars;
use crate::output::Format;
use crate::output::ui::Ui;

/// Print what completes `payouts` in a shell, or its man page
///
/// To use it at once: `source <(payouts completions bash)`. To install it, write
/// it where the shell looks, such as
/// `~/.local/share/bash-completion/completions/payouts`. The man page goes to
/// `~/.local/share/man/man1/payouts.1`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell, or `man`
    #[arg(value_name = "SHELL", value_enum)]
    shell: Supported,
}

/// What is kept in the project under `completions`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Supported {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
    Man,
}

pub(super) fn run(ui: &Ui, format: Format, args: &CompletionsArgs) -> Result<Exits, CliError> {
    only_text(format, "completions", "a script for a shell")?;
    let mut text = Vec::new();
    match args.shell {
        Supported::Bash => complete(Shell::Bash, &mut text),
        Supported::Zsh => complete(Shell::Zsh, &mut text),
        Supported::Fish => complete(Shell::Fish, &mut text),
        Supported::PowerShell => complete(Shell::PowerShell, &mut text),
        Supported::Man => man_page(&mut text)?,
    }
    ui.answer(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Done.into())
}

fn complete(shell: Shell, out: &mut Vec<u8>) {
    clap_complete::generate(shell, &mut Cli::command(), "payouts", out);
}

/// One page with a section for each command, because that is what people search.
fn man_page(out: &mut Vec<u8>) -> io::Result<()> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    // Without a date, or the page would change although nothing has.
    let page = Man::new(command.clone()).date("");
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    for subcommand in command.get_subcommands() {
        command_section(subcommand, out)?;
    }
    writeln!(out, ".SH EXIT STATUS")?;
    let mut exits = Exit::ALL.to_vec();
    exits.sort_by_key(|exit| exit.code());
    for exit in exits {
        writeln!(out, ".TP\n{}\n{}", exit.code(), exit.meaning())?;
    }
    writeln!(out, ".SH ENVIRONMENT")?;
    for variable in env_vars::ALL {
        let (name, meaning) = (variable.name, variable.meaning);
        writeln!(
            out,
            ".TP\n\\fB{name}\\fR\n{meaning} (default: {})",
            variable.default
        )?;
    }
    Ok(())
}

/// The sections of a command's own page, one level down.
fn command_section(command: &Command, out: &mut Vec<u8>) -> io::Result<()> {
    let nested: Vec<&Command> = command.get_subcommands().collect();
    if !nested.is_empty() {
        return nested
            .into_iter()
            .try_for_each(|command| command_section(command, out));
    }
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let own_arguments = command.clone().disable_help_flag(true).mut_args(|arg| {
        if arg.is_global_set() {
            arg.hide(true)
        } else {
            arg
        }
    });
    let page = Man::new(own_arguments);
    let mut section = Vec::new();
    page.render_description_section(&mut section)?;
    page.render_synopsis_section(&mut section)?;
    page.render_options_section(&mut section)?;
    writeln!(out, ".SH {}", name.to_uppercase().replace('-', "\\-"))?;
    let section = String::from_utf8_lossy(&section).replace("\n.SH ", "\n.SS ");
    let section = section.trim_start_matches(".SH DESCRIPTION\n");
    out.write_all(section.as_bytes())
}
