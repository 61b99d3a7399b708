//! The rollback guard: Stripe's latest transfers are held against the ledger before
//! anything is sent. A database that has forgotten payments (a restored backup, a lost
//! fail-over, a copy) would make them again.

use std::collections::HashMap;
use std::time::Duration;

use crate::failpoint::planted;
use crate::model::ids::PayoutId;
use crate::model::time::Time;
use crate::ops::event::Event;
use crate::ops::process::Session;
use crate::ops::run_error::RunError;
use crate::ops::search::OddEntries;
use crate::ops::transfers::OVERLAP;
use crate::store::Store;
use crate::store::foreign::{Known, NamedTransfer};
use crate::store::queue::WINDOW_MAX;
use crate::stripe::Transfer;
use crate::stripe::api::TransferQuery;

/// A run that sends nothing begins so long before where the last one's guard ended: far more
/// than [`OVERLAP`], because here nothing but a clock says what that one saw.
const CLEAN_MARGIN: Duration = Duration::from_secs(3600);

/// Rows of the queue that are looked at first: where one of them is due, the rest need not be.
const FIRST_LOOK: usize = 10;

/// So many transfers of other software are passed over: what this tool made itself, a batch
/// of a million maybe, is read whole. So few in tests that they are made.
const FOREIGN_MAX: usize = if cfg!(feature = "testing") {
    1000
} else {
    50_000
};

/// What the guard of a run has seen.
#[derive(Debug)]
pub(super) struct Guard {
    /// Since when.
    from: Time,
    /// Up to here, by Stripe's clock, every transfer.
    pub(super) until: Time,
    /// When the newest of them was made.
    newest: Option<Time>,
    /// What of it names a payout with an open attempt, by all payouts that it names: for
    /// the look-up of that attempt.
    pub(super) in_doubt: HashMap<PayoutId, Vec<Transfer>>,
}

impl Guard {
    /// Has seen nothing.
    pub(super) fn new(from: Time, until: Time) -> Self {
        Self {
            from,
            until,
            newest: None,
            in_doubt: HashMap::new(),
        }
    }
}

impl Session {
    /// Whether the queue holds anything that may be sent, or an attempt is open. Most runs
    /// find neither.
    pub(super) async fn may_send(&self) -> Result<bool, RunError> {
        let request = self.queue_request(None, None);
        let may_send = move |store: &mut Store| {
            for rows in [FIRST_LOOK, WINDOW_MAX] {
                let queue = store.queue_preview(&request, rows)?;
                if !queue.due.is_empty() || queue.unsearched {
                    return Ok(true);
                }
                if !queue.more {
                    return Ok(store.attempts_open()?.count > 0);
                }
            }
            Ok(true)
        };
        Ok(self.db.call(may_send).await?)
    }

    /// Looks at all since the watermark. A run that sends nothing goes on where the last of
    /// them ended, or each would read the last batch again.
    pub(super) async fn guard(&mut self) -> Result<(), RunError> {
        let (idle, now) = (self.idle, self.stripe_now());
        let begin = move |store: &mut Store| {
            let watermark = store.watermark()?.minus(OVERLAP);
            if !idle {
                return Ok(watermark);
            }
            // One of the future was kept by a clock that was wrong.
            let clean = store.guard_clean_until()?.filter(|until| *until <= now);
            Ok(clean.map_or(watermark, |until| until.minus(CLEAN_MARGIN).max(watermark)))
        };
        let from = self.db.call(begin).await?;
        self.guard = self.look_for_forgotten(from).await?;
        Ok(())
    }

    /// The guard of a run that may send after all.
    pub(super) async fn guard_in_full(&mut self) -> Result<(), RunError> {
        self.idle = false;
        self.guard().await
    }

    /// Looks again, once a person has taken their time over a plan. It goes on behind what
    /// Stripe made last, because clocks may have been set meanwhile; and so the watermark
    /// goes no further than the first look.
    pub(super) async fn guard_again(&mut self) -> Result<(), RunError> {
        let newest = self.guard.newest.map(|newest| newest.minus(OVERLAP));
        let from = self.guard.from.max(newest.unwrap_or(self.guard.from));
        let seen = self.look_for_forgotten(from).await?;
        self.guard.in_doubt.extend(seen.in_doubt);
        Ok(())
    }

    /// Where the guard of a run that sent nothing saw nothing in doubt, the next such run
    /// goes on from there.
    pub(super) async fn keep_guard(&self, events: &mut dyn FnMut(Event)) {
        if !self.guard.in_doubt.is_empty() {
            return;
        }
        let until = self.guard.until;
        let kept = self
            .db
            .call(move |store| store.guard_clean_advance(until))
            .await;
        if let Err(error) = kept {
            events(Event::Note(format!(
                "how far the guard has looked is not kept, and the next one looks at it again: {error}"
            )));
        }
    }

    async fn look_for_forgotten(&self, from: Time) -> Result<Guard, RunError> {
        let mut guard = Guard::new(from, self.stripe_now());
        if planted!("guard_off") {
            return Ok(guard);
        }
        let query = TransferQuery {
            created_from: Some(from),
            ..TransferQuery::default()
        };
        let mut forgotten = Vec::new();
        let mut foreign = 0;
        let read = self
            .search()
            .all_pages(&query, OddEntries::PassAccepted, async |transfers| {
                let named = transfers.iter().map(|t| self.named(t)).collect::<Vec<_>>();
                let known = self
                    .db
                    .call(move |store| store.transfers_known(&named))
                    .await?;
                for (transfer, known) in transfers.into_iter().zip(known) {
                    guard.newest = guard.newest.max(Some(transfer.created));
                    match known {
                        Known::Remembered => {}
                        Known::Foreign => foreign += 1,
                        Known::Forgotten => forgotten.push(transfer.id),
                        Known::InDoubt => {
                            for payout in transfer.payouts_named().map(PayoutId::new) {
                                let seen = guard.in_doubt.entry(payout).or_default();
                                seen.push(transfer.clone());
                            }
                        }
                    }
                }
                if foreign > FOREIGN_MAX {
                    return Err(RunError::TooManyTransfers {
                        foreign_max: FOREIGN_MAX,
                        since: from,
                    });
                }
                Ok(())
            })
            .await;
        if !forgotten.is_empty() {
            return Err(RunError::Forgotten {
                transfers: forgotten,
            });
        }
        read?;
        Ok(guard)
    }

    fn named(&self, transfer: &Transfer) -> NamedTransfer {
        NamedTransfer {
            transfer_id: transfer.id.clone(),
            payout_ids: transfer.payouts_named().map(PayoutId::new).collect(),
            of_this_database: transfer.metadata.get("database") == Some(&self.database_id),
            taken_back: transfer.amount_reversed >= transfer.amount,
        }
    }
}
