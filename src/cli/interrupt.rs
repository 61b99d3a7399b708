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

/// When a piece of work is given up, and what is said then.
#[derive(Debug, Clone, Copy)]
pub(super) struct GivesUp {
    /// At this many signals.
    pub(super) at: u32,
    /// How it ended.
    pub(super) message: &'static str,
    /// What follows; empty when nothing does.
    pub(super) hint: &'static str,
}

/// Does a piece of work unless signals end it.
pub(super) async fn interruptible<T>(
    mut signals: watch::Receiver<u32>,
    gives_up: GivesUp,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    tokio::select! {
        done = work => done,
        _ = signals.wait_for(|count| *count >= gives_up.at) => {
            let error = CliError::new(Exit::Interrupted, gives_up.message);
            Err(if gives_up.hint.is_empty() { error } else { error.hint(gives_up.hint) })
        }
    }
}
