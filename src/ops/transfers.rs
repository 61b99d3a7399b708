//! Reading transfers at Stripe: paced, and again when a read fails for a
//! passing reason. Only ever asks with GET.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::failpoint::failpoint;
use crate::model::time::Time;
use crate::ops::pace::Pace;
use crate::stripe::api::{BalanceLines, ReadError, TransferQuery};
use crate::stripe::object::{BalanceTransaction, Page, Reversal, TransferPage};
use crate::stripe::webhook::read::{Capability, EventPage};
use crate::stripe::{Stripe, Transfer};

/// Read before whatever a read goes on from, for transfers that appear late in lists.
pub(super) const OVERLAP: Duration = Duration::from_secs(300);
/// Read before a row of other software: the largest offset of a time zone is 14 hours.
pub(super) const FOREIGN_MARGIN: Duration = Duration::from_secs(15 * 3600);

/// A read that fails for a passing reason is tried this often.
const TRIES: u32 = 4;
/// And again for so many answers that it came too fast: each halves the pace.
const TOO_FAST_MAX: u32 = 12;
/// Before the second try; doubled before each further one.
const WAIT: Duration = Duration::from_millis(500);
const NOT_FOUND: u16 = 404;

/// From when on a transfer may have paid a row that other software wrote. It may
/// have stamped it in a local time, or ahead of us.
pub(super) fn foreign_since(created_at: Time, now: Time) -> Time {
    created_at.min(now).minus(FOREIGN_MARGIN)
}

/// A read that gave nothing, however often it was tried.
#[derive(Debug, thiserror::Error)]
#[error("failed to {doing}")]
pub struct ReadFailed {
    /// What was being done.
    pub doing: &'static str,
    /// What came back the last time.
    #[source]
    pub source: ReadError,
}

impl ReadFailed {
    /// A read that was given up with the task that made it. It is never the end of a list.
    pub(super) fn given_up() -> Self {
        Self {
            doing: "read at Stripe",
            source: ReadError::NoAnswer("the request was given up".to_owned()),
        }
    }
}

/// One read, between two failpoints.
async fn read<T, A: Future<Output = Result<T, ReadError>>>(
    ask: &impl Fn() -> A,
) -> Result<T, ReadError> {
    failpoint!(await "read.before", or Err(ReadError::NoAnswer("not sent".to_owned())));
    let answer = ask().await;
    failpoint!(await "read.answered", or Err(ReadError::NoAnswer("answered, and lost".to_owned())));
    answer
}

/// None for what Stripe says it does not have.
fn known<T>(answer: Result<T, ReadFailed>) -> Result<Option<T>, ReadFailed> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(ReadFailed {
            source: ReadError::Refused { status, .. },
            ..
        }) if status == NOT_FOUND => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads for one run.
#[derive(Debug, Clone)]
pub(super) struct TransferReader {
    stripe: Arc<Stripe>,
    pace: Arc<Pace>,
}

impl TransferReader {
    pub(super) fn new(stripe: Arc<Stripe>, pace: Arc<Pace>) -> Self {
        Self { stripe, pace }
    }

    /// The account the key belongs to, and Stripe's clock.
    pub(super) async fn account(&self) -> Result<(String, Option<Time>), ReadFailed> {
        let ask = || self.stripe.account();
        self.patiently("ask Stripe whose key this is", ask).await
    }

    /// One page of a list, behind the transfer `after`.
    pub(super) async fn page(
        &self,
        query: &TransferQuery,
        after: Option<&str>,
    ) -> Result<TransferPage, ReadFailed> {
        let ask = || self.stripe.transfer_page(query, after);
        self.patiently("list transfers", ask).await
    }

    /// One page of the balance's lines, behind the line `after`.
    pub(super) async fn balance_page(
        &self,
        lines: BalanceLines,
        made: (Option<Time>, Option<Time>),
        after: Option<&str>,
    ) -> Result<Page<BalanceTransaction>, ReadFailed> {
        let ask = || self.stripe.balance_page(lines, made, after);
        self.patiently("list balance transactions", ask).await
    }

    /// A list of at most so many pages as one page. It has more behind it when it is
    /// longer.
    pub(super) async fn whole(
        &self,
        query: &TransferQuery,
        pages_max: usize,
    ) -> Result<TransferPage, ReadFailed> {
        let mut whole = self.page(query, None).await?;
        for _ in 1..pages_max {
            if !whole.has_more {
                break;
            }
            let next = self.page(query, whole.last_id.as_deref()).await?;
            whole.entries.extend(next.entries);
            whole.odd.extend(next.odd);
            (whole.has_more, whole.last_id) = (next.has_more, next.last_id);
        }
        Ok(whole)
    }

    /// One line of the balance, its transfer with it; none when Stripe says that there is no
    /// such one.
    pub(super) async fn balance_line(
        &self,
        line: BalanceLines,
        id: &str,
    ) -> Result<Option<BalanceTransaction>, ReadFailed> {
        let ask = || self.stripe.balance_line(line, id);
        known(self.patiently("read a balance transaction", ask).await)
    }

    /// Each time that something of a transfer was taken back.
    pub(super) async fn reversals(&self, transfer: &str) -> Result<Vec<Reversal>, ReadFailed> {
        let mut reversals = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let ask = || self.stripe.reversal_page(transfer, after.as_deref());
            let page = self
                .patiently("list the reversals of a transfer", ask)
                .await?;
            reversals.extend(page.entries);
            if !page.has_more {
                return Ok(reversals);
            }
            after = page.last_id;
        }
    }

    /// Hands on a list page by page, at most so many. False when it is longer.
    pub(super) async fn pages<E: From<ReadFailed>>(
        &self,
        query: &TransferQuery,
        pages_max: usize,
        mut each: impl AsyncFnMut(TransferPage) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut after: Option<String> = None;
        for _ in 0..pages_max {
            let page = self.page(query, after.as_deref()).await?;
            let (more, last) = (page.has_more, page.last_id.clone());
            each(page).await?;
            if !more {
                return Ok(true);
            }
            after = last;
        }
        Ok(false)
    }

    /// Of these keys, the transfers that Stripe says it made under them at this
    /// moment or later. False beside them when there are more pages than that.
    pub(super) async fn created_under(
        &self,
        keys: &HashSet<String>,
        since: Time,
        pages_max: usize,
    ) -> Result<(HashMap<String, String>, bool), ReadFailed> {
        let mut found = HashMap::new();
        let mut after: Option<String> = None;
        for _ in 0..pages_max {
            let ask = || self.stripe.creations(since, after.as_deref());
            let page = self.patiently("list events", ask).await?;
            for made in page.made {
                if let Some(key) = made.key.filter(|key| keys.contains(key)) {
                    found.insert(key, made.transfer);
                }
            }
            if !page.has_more {
                return Ok((found, true));
            }
            after = page.last_id;
        }
        Ok((found, false))
    }

    /// One transfer; none when Stripe says that there is no such one.
    pub(super) async fn transfer(&self, id: &str) -> Result<Option<Transfer>, ReadFailed> {
        let ask = || self.stripe.transfer(id);
        known(self.patiently("read a transfer", ask).await)
    }

    /// Hands on the events of these types since a moment, page by page, to the last.
    pub(super) async fn event_pages<E: From<ReadFailed>>(
        &self,
        types: &[&str],
        since: Time,
        mut each: impl AsyncFnMut(EventPage) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after: Option<String> = None;
        loop {
            let ask = || self.stripe.event_page(types, since, after.as_deref());
            let page = self.patiently("list events", ask).await?;
            let (more, last) = (page.has_more, page.last_id.clone());
            each(page).await?;
            if !more {
                return Ok(());
            }
            after = last;
        }
    }

    /// Whether an account can take transfers; none when Stripe says that there is no
    /// such account.
    pub(super) async fn capability(&self, id: &str) -> Result<Option<Capability>, ReadFailed> {
        let ask = || self.stripe.capability(id);
        known(self.patiently("read an account", ask).await)
    }

    // Not an `AsyncFn`: what that returns cannot be spawned.
    async fn patiently<T, A: Future<Output = Result<T, ReadError>>>(
        &self,
        doing: &'static str,
        ask: impl Fn() -> A,
    ) -> Result<T, ReadFailed> {
        let (mut wait, mut tries_left, mut too_fast_left) = (WAIT, TRIES, TOO_FAST_MAX);
        loop {
            self.pace.slot().await;
            let asked_at = self.pace.clock().instant();
            let error = match read(&ask).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // The pace waits then, for everybody who shares it.
            if let Some(pause) = error.too_fast()
                && too_fast_left > 0
            {
                too_fast_left -= 1;
                self.pace.slow_down(asked_at, pause);
                continue;
            }
            tries_left -= 1;
            if !error.is_transient() || tries_left == 0 {
                return Err(ReadFailed {
                    doing,
                    source: error,
                });
            }
            self.pace.clock().sleep(wait).await;
            wait *= 2;
        }
    }
}
