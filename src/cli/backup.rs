//! `payouts backup`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::ops::backup::{self, BackupError};
use crate::ops::out_file::OutFileError;
use crate::output::backup as shown;
use crate::store::{Backend, Open, StoreError};

/// Copy the embedded database to a file, as it stands at one moment
///
/// Runs may go on paying meanwhile. The copy is read back (integrity, foreign keys,
/// SHA-256, rows of each table) before it gets its name, is its owner's alone, and
/// never replaces a file. What is paid after it was made a restored copy does not
/// know: then `process` refuses to send until `reconcile --fix` has told it.
///
/// Of SQLite only: on PostgreSQL use `pg_dump` or the server's own archive.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// A new file; or a folder that is there, for a file named after the moment
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// Of the backups that are named after their moments in that folder, keep this many
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    keep: Option<u16>,
}

pub(super) fn run(cx: &mut Context, args: &BackupArgs) -> Result<Exits, CliError> {
    let is_folder = args.path.is_dir();
    if args.keep.is_some() && !is_folder {
        return Err(CliError::new(
            Exit::Usage,
            format!(
                "--keep needs a folder that is there, and {} is none",
                args.path.display()
            ),
        ));
    }
    let path = if is_folder {
        args.path.join(backup::name_at(cx.clock.now()))
    } else {
        args.path.clone()
    };
    // One of another schema is worth a backup too: before an upgrade, for one.
    let mut store = cx.open(Open::Existing)?;
    if store.backend() == Backend::Postgres {
        return Err(CliError::new(
            Exit::Usage,
            "`payouts backup` copies an SQLite database, and this one is on PostgreSQL",
        )
        .hint(
            "use pg_dump, or the server's own archive, with which it can be restored to a moment",
        ));
    }
    let made = backup::write(&mut store, &path).map_err(|error| told(cx, error))?;
    let deleted = match args.keep {
        Some(keep) => backup::prune(&args.path, keep.into(), &made.path)
            .and_then(|deleted| backup::sweep(&args.path, cx.clock.now()).map(|()| deleted))
            .map_err(|error| {
                CliError::caused(
                    Exit::Attention,
                    format!(
                        "{} is made, but failed to delete older ones",
                        path.display()
                    ),
                    &error,
                )
            })?,
        None => Vec::new(),
    };
    shown::print(cx.format, &cx.ui, &made, &deleted)?;
    Ok(Exit::Done.into())
}

fn told(cx: &Context, error: BackupError) -> CliError {
    let copying = || format!("failed to copy {}", cx.config.database);
    match error {
        BackupError::File(OutFileError::Failed { ref source, .. }) => {
            CliError::caused(Exit::CouldNotRun, error.to_string(), source)
        }
        BackupError::File(there) => CliError::new(Exit::Refused, there.to_string())
            .hint("name a file that is not there yet"),
        BackupError::Store(StoreError::Conflict(damage)) => {
            CliError::new(Exit::Attention, copying()).because(damage).hint(
                "the database itself is damaged: keep the file as it is, and restore the last good backup",
            )
        }
        BackupError::Store(error) => CliError::from(error).doing(copying()),
        BackupError::Unreadable(source) => CliError::caused(Exit::CouldNotRun, copying(), &source),
    }
}
