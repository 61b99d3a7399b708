//! A few look-ups at once: each waits for Stripe most of the time.

use tokio::task::JoinSet;

use crate::ops::reconcile::listing::READERS;
use crate::ops::run_error::RunError;
use crate::ops::transfers::ReadFailed;

/// Look-ups under way, as many as pages are read at once. Those that are dropped with it
/// are given up.
pub(super) struct AtOnce<T> {
    under_way: JoinSet<Result<T, RunError>>,
    ended: Vec<T>,
}

impl<T: Send + 'static> AtOnce<T> {
    pub(super) fn new() -> Self {
        Self {
            under_way: JoinSet::new(),
            ended: Vec::new(),
        }
    }

    /// Begins one, as soon as there is room for it.
    ///
    /// # Errors
    /// What one begun before ended with.
    pub(super) async fn begin(
        &mut self,
        look_up: impl Future<Output = Result<T, RunError>> + Send + 'static,
    ) -> Result<(), RunError> {
        if self.under_way.len() >= READERS {
            self.one_ends().await?;
        }
        self.under_way.spawn(look_up);
        Ok(())
    }

    /// Waits until all have ended: what each came to, in the order in which they ended.
    ///
    /// # Errors
    /// The first one of those that did not end well.
    pub(super) async fn end(mut self) -> Result<Vec<T>, RunError> {
        while !self.under_way.is_empty() {
            self.one_ends().await?;
        }
        Ok(self.ended)
    }

    async fn one_ends(&mut self) -> Result<(), RunError> {
        match self.under_way.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                std::panic::resume_unwind(error.into_panic());
            }
            Some(Ok(ended)) => self.ended.push(ended?),
            // Nobody cancels one but whoever drops all of them.
            Some(Err(_)) => return Err(ReadFailed::given_up().into()),
            None => {}
        }
        Ok(())
    }
}
