//! The thread that owns a store, so that asynchronous code can use it without
//! ever holding a transaction across an `.await`.

use tokio::sync::{mpsc, oneshot};

use crate::store::{Store, StoreError};

type Job = Box<dyn FnOnce(&mut Store) + Send>;

/// A handle on a store that lives on a thread of its own. Jobs run one after
/// the other, in the order they were given.
#[derive(Debug, Clone)]
pub struct StoreThread {
    jobs: mpsc::UnboundedSender<Job>,
}

impl StoreThread {
    /// Moves a store onto a thread of its own, which ends when the last handle is dropped.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(mut store: Store) -> std::io::Result<(Self, std::thread::JoinHandle<Store>)> {
        let (jobs, mut inbox) = mpsc::unbounded_channel::<Job>();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                while let Some(job) = inbox.blocking_recv() {
                    job(&mut store);
                }
                store
            })?;
        Ok((Self { jobs }, thread))
    }

    /// Runs a job on the store's thread and waits for what it returns.
    ///
    /// # Errors
    /// What the job returns, or [`StoreError::Stopped`] when the thread is gone.
    pub async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, wait) = oneshot::channel();
        self.jobs
            .send(Box::new(move |store| {
                // Nobody waits any more when the caller was dropped; the job is done all the same.
                let _ = answer.send(job(store));
            }))
            .map_err(|_| StoreError::Stopped)?;
        wait.await.map_err(|_| StoreError::Stopped)?
    }
}
