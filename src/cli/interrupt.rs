//! Signals: how a person or a service manager ends long work.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;

/// Counts SIGINT and SIGTERM.
pub(super) fn signals() -> Result<watch::Receiver<u32>, CliError> {
    let (count, counted) = watch::channel(0);
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals = signal(kind)?;
        let count = count.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                count.send_modify(|n| *n += 1);
            }
        });
    }
    Ok(counted)
}

/// Gives up a piece of work at the given number of signals; `hint` says what
/// follows then.
pub(super) async fn interruptible<T>(
    mut signals: watch::Receiver<u32>,
    at: u32,
    hint: &str,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    tokio::select! {
        done = work => done,
        _ = signals.wait_for(|count| *count >= at) => {
            Err(CliError::new(Exit::Interrupted, "interrupted").hint(hint))
        }
    }
}
