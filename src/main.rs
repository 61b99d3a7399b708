//! The `payouts` command: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    payouts::cli::main(std::env::args_os())
}
