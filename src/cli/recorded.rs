//! Commands that write are recorded: a row in `payout_runs` from before the
//! first write to the end, with who, when, and how it ended.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::store::{RunStamp, Store};

/// Does the work of a command between the begin and the end of its run. `work`
/// returns its answer and one line on what it did.
pub(super) fn recorded<T>(
    cx: &Context,
    store: &mut Store,
    command: &str,
    work: impl FnOnce(&mut Store, &RunStamp) -> Result<(T, String), CliError>,
) -> Result<T, CliError> {
    recorded_with_exit(cx, store, command, |store, run| {
        let (answer, summary) = work(store, run)?;
        Ok((answer, Exit::Done, summary))
    })
}

/// The same for work that may be done and need a person all the same: `work`
/// also returns what the command ends with.
pub(super) fn recorded_with_exit<T>(
    cx: &Context,
    store: &mut Store,
    command: &str,
    work: impl FnOnce(&mut Store, &RunStamp) -> Result<(T, Exit, String), CliError>,
) -> Result<T, CliError> {
    let run = cx.run_description(store, command)?;
    let run = store.run_begin(run)?;
    let code = |exit: Exit| i32::from(exit.code());
    match work(store, &run) {
        Ok((answer, exit, summary)) => {
            let ended = store.run_end(&run.run_id, code(exit), &summary);
            ended.map_err(|error| {
                CliError::from(error).doing(format!(
                    "{summary}, but the end of run {} is not recorded",
                    run.run_id
                ))
            })?;
            Ok(answer)
        }
        Err(error) => {
            // What went wrong is worth more than that its end could not be written.
            let _ = store.run_end(&run.run_id, code(error.exit), error.message());
            Err(error)
        }
    }
}
