//! What the store's thread does for the loop: claims, records, signs of life; each
//! tried again while the database is busy or away.

use std::sync::Arc;
use std::time::Duration;

use crate::failpoint::failpoint;
use crate::model::time::{Clock, millis_of};
use crate::ops::process::gate::Reading;
use crate::store::queue::{ClaimTerms, QueueRequest, Window};
use crate::store::settle::{Recorded, Resolution, Settlement};
use crate::store::thread::StoreThread;
use crate::store::{RunStamp, Store, StoreError};

/// What is tried again past a lock or a broken connection is tried this often.
const TRIES: u32 = 5;
/// How long outcomes are kept trying to be recorded while the database is away.
const RECORD_PATIENCE: Duration = Duration::from_secs(60);

/// Outcomes, each with what became of it, and why not all could be recorded.
pub(super) type Written = (Vec<(Settlement, Recorded)>, Option<StoreError>);

/// Claims, past locks and broken connections.
pub(super) async fn claim(
    db: StoreThread,
    clock: Clock,
    stamp: RunStamp,
    request: QueueRequest,
    terms: ClaimTerms,
) -> Result<Window, StoreError> {
    // After a COMMIT whose answer was lost the rows are claimed all the
    // same; they are this run's until it ends, then the next one's.
    patiently(&db, &clock, move |store| {
        store.queue_claim(&stamp, &request, &terms)
    })
    .await
}

/// Does something with the store, past locks and broken connections.
pub(super) async fn patiently<T: Send + 'static>(
    db: &StoreThread,
    clock: &Clock,
    job: impl Fn(&mut Store) -> Result<T, StoreError> + Clone + Send + 'static,
) -> Result<T, StoreError> {
    let mut wait = Duration::from_millis(100);
    let mut tries_left = TRIES;
    loop {
        tries_left -= 1;
        match db.call(job.clone()).await {
            Err(error) if error.is_transient() && tries_left > 0 => {
                clock.sleep(wait).await;
                wait *= 2;
                reconnect(db, &error).await;
            }
            result => return result,
        }
    }
}

/// Records outcomes, trying for a while when the database is away: they are
/// facts already, and what cannot be recorded the next run finds at Stripe.
pub(super) async fn record(
    db: StoreThread,
    clock: Clock,
    stamp: RunStamp,
    settlements: Vec<Settlement>,
) -> Written {
    failpoint!(await "record.before");
    let mut waiting: Arc<[Settlement]> = settlements.into();
    let mut written = Vec::with_capacity(waiting.len());
    let started = clock.instant();
    let mut wait = Duration::from_millis(100);
    loop {
        let (run, batch) = (stamp.clone(), Arc::clone(&waiting));
        let tried = db
            .call(move |store| store.attempts_settle(&run, &batch))
            .await;
        let patient = clock.instant().saturating_duration_since(started) < RECORD_PATIENCE;
        match tried {
            Ok(recorded) => {
                let told = waiting.iter().cloned().zip(recorded);
                let (late, done): (Vec<_>, Vec<_>) =
                    told.partition(|(_, how)| matches!(how, Recorded::Waits(_)));
                written.extend(done);
                if late.is_empty() || !patient {
                    written.extend(late.into_iter().map(|(settlement, how)| {
                        let Recorded::Waits(why) = how else {
                            return (settlement, how);
                        };
                        (unrecorded(settlement, &why), Recorded::Done)
                    }));
                    return (written, None);
                }
                waiting = late.into_iter().map(|(settlement, _)| settlement).collect();
                // Each try waits for the row's lock on the store's thread: signs of life and
                // other outcomes have their turn in between.
                clock.sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(5));
            }
            Err(error) if !error.is_transient() || !patient => {
                let why = error.to_string();
                let lost = waiting.iter().cloned();
                written.extend(lost.map(|one| (unrecorded(one, &why), Recorded::Done)));
                return (written, Some(error));
            }
            Err(error) => {
                clock.sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(5));
                reconnect(&db, &error).await;
            }
        }
    }
}

/// An outcome that could not be recorded: to the table it is unknown, and the next run
/// finds it at Stripe.
fn unrecorded(settlement: Settlement, why: &str) -> Settlement {
    let reason = match &settlement.resolution {
        Resolution::Paid { transfer_id, .. } => {
            format!("it was paid by {transfer_id}, which could not be recorded: {why}")
        }
        _ => format!("its outcome could not be recorded: {why}"),
    };
    Settlement {
        resolution: Resolution::Unknown {
            reason,
            stored_error: false,
        },
        ..settlement
    }
}

/// Opens the connection anew when it is the connection that broke.
pub(super) async fn reconnect(db: &StoreThread, error: &StoreError) {
    if matches!(
        error,
        StoreError::Lost { .. } | StoreError::Unreachable { .. }
    ) {
        // Still away: the caller waits and tries again.
        let _ = db.call(Store::reconnect).await;
    }
}

/// Reads the holds and, when it is time, renews the sign of life.
pub(super) async fn pulse(
    db: StoreThread,
    stamp: RunStamp,
    last: Option<(Reading, Duration)>,
) -> Result<Reading, StoreError> {
    db.call(move |store| {
        let clock = store.clock().clone();
        // Read before the store is asked, so that a slow answer makes it older, not younger.
        let boot = clock.since_boot_millis();
        let holds = store
            .holds()?
            .into_iter()
            .map(|hold| ((hold.kind, hold.target), hold.created_at))
            .collect();
        let kept = last.filter(|(reading, renew_every)| {
            boot.saturating_sub(reading.seen_boot_millis) < millis_of(*renew_every)
        });
        let (seen_at, seen_boot_millis) = match kept {
            Some((reading, _)) => (reading.seen_at, reading.seen_boot_millis),
            None => (store.run_seen(&stamp.run_id)?, boot),
        };
        Ok(Reading {
            seen_at,
            seen_boot_millis,
            read_boot_millis: boot,
            holds,
        })
    })
    .await
}
