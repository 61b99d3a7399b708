//! Commands that write are recorded: a row in `payout_runs` from before the
//! first write to the end, with who, when, and how it ended.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::store::{RunDescription, RunStamp, Store};

/// Does the work of a command between the begin and the end of its run. `work`
/// returns its answer and one line on what it did.
///
/// `arguments` never hold a secret: they are what the command is about, not the
/// words that were typed.
pub(super) fn recorded<T>(
    cx: &Context,
    store: &mut Store,
    command: &str,
    arguments: String,
    work: impl FnOnce(&mut Store, &RunStamp) -> Result<(T, String), CliError>,
) -> Result<T, CliError> {
    let run = store.run_begin(RunDescription {
        command: command.to_owned(),
        arguments,
        actor: cx.config.actor.clone(),
        host: cx.config.host.clone(),
    })?;
    let code = |exit: Exit| i32::from(exit.code());
    match work(store, &run) {
        Ok((answer, summary)) => {
            store.run_end(&run.run_id, code(Exit::Done), &summary)?;
            Ok(answer)
        }
        Err(error) => {
            // What went wrong is worth more than that its end could not be written.
            let _ = store.run_end(&run.run_id, code(error.exit), error.message());
            Err(error)
        }
    }
}
