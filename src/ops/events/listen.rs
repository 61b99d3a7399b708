//! Taking deliveries in: each is stored before it is answered, many in one
//! transaction, and applied afterwards on a connection of its own, so that nothing
//! that takes long keeps Stripe waiting.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use crate::model::event::{CameBy, EventState, StripeEvent};
use crate::model::money::Currency;
use crate::model::time::{Clock, millis_of};
use crate::ops::account::account_of_this_database;
use crate::ops::event::Event as Told;
use crate::ops::events::apply::{Applier, apply_pending};
use crate::ops::events::{Applied, row_of};
use crate::ops::pace::Pace;
use crate::ops::reconcile::examine::Examiner;
use crate::ops::reconcile::judge::Terms;
use crate::ops::run_error::RunError;
use crate::ops::transfers::TransferReader;
use crate::store::thread::StoreThread;
use crate::store::{RunStamp, Stamp, Store, StoreError};
use crate::stripe::Stripe;
use crate::stripe::webhook::read::Event;
use crate::stripe::webhook::server::{Answer, Body, Endpoint, Limits, serve};
use crate::stripe::webhook::signature::{Secrets, verify};

/// Events stored in one transaction at most.
const TOGETHER_MAX: usize = 500;
/// Deliveries that wait to be stored; further ones are not read before there is room.
const WAITING_MAX: usize = 2048;
/// Stored batches that wait to be applied; further ones are found in the database.
const BATCHES_MAX: usize = 64;
/// How often what waits is looked at again.
const AGAIN_EVERY: Duration = Duration::from_secs(10);
/// Real time for what was stored last to be applied, once nothing more can come.
const LAST_TRY: Duration = Duration::from_secs(5);
/// How often it is looked at whether a sign of life is due.
const PULSE: Duration = Duration::from_secs(1);
/// A sign of life is given this often within a lease.
const SIGNS_IN_A_LEASE: u32 = 4;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// What Stripe signs with.
    pub secrets: Secrets,
    /// How far the time of a signature may lie from now.
    pub tolerance: Duration,
    /// The only path that takes deliveries; any, where none is said.
    pub path: Option<String>,
    /// What one endpoint may cost.
    pub limits: Limits,
    /// The database's one currency.
    pub currency: Currency,
    /// See `PAYOUTS_LEASE`.
    pub lease: Duration,
    /// Reads per second; none is unlimited.
    pub rate: Option<u32>,
}

/// What it works with.
#[derive(Debug)]
pub struct Means {
    /// Stores what comes.
    pub keeping: StoreThread,
    /// Applies it, in the name of the run that this session announced.
    pub applying: StoreThread,
    /// Fetches what events speak of.
    pub stripe: Arc<Stripe>,
    /// The one clock.
    pub clock: Clock,
}

/// What came while it listened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Deliveries answered with 2xx.
    pub stored: u64,
    /// Of these, the events that had not come before.
    pub new: u64,
    /// Deliveries that were not Stripe's.
    pub refused: u64,
    /// What became of the events, tries included.
    pub applied: Applied,
}

/// Listens until `signals` counts one, then ends in good order: what was begun is
/// answered, and what was stored is applied, as far as that does not take long.
///
/// # Errors
/// Only before it listens: the database, a read at Stripe, a key of another account
/// or mode.
pub async fn listen(
    listener: TcpListener,
    means: Means,
    request: Request,
    stamp: &RunStamp,
    signals: watch::Receiver<u32>,
    events: &mut dyn FnMut(Told),
) -> Result<Heard, RunError> {
    let Means {
        keeping,
        applying,
        stripe,
        clock,
    } = means;
    let livemode = stripe.livemode();
    let reader = TransferReader::new(stripe, Arc::new(Pace::new(&clock, request.rate)));
    let (account, _) = account_of_this_database(&applying, &reader, livemode).await?;
    let (database_id, _) = applying.call(Store::database_id).await?;
    let terms = Terms {
        currency: request.currency,
        livemode,
        database_id,
    };
    let examiner = Examiner::new(applying, Some(reader), terms, stamp.clone(), request.lease);
    let (arrived, arrivals) = mpsc::channel(WAITING_MAX);
    let (batches, mut fresh) = mpsc::channel(BATCHES_MAX);
    let heard = Arc::new(Counters::default());
    let keeper = Keeper {
        db: keeping.clone(),
        clock: clock.clone(),
        stamp: stamp.clone(),
        lease: request.lease,
        batches,
        counters: Arc::clone(&heard),
    };
    let door = Door {
        secrets: request.secrets,
        tolerance: request.tolerance,
        clock: clock.clone(),
        ours: Stamp { account, livemode },
        arrived,
        db: keeping,
        counters: Arc::clone(&heard),
    };
    let (stop, stopping) = watch::channel(false);
    let mut signalled = signals;
    tokio::spawn(async move {
        // Without anybody to count signals there is none to come.
        if signalled.wait_for(|count| *count > 0).await.is_ok() {
            stop.send_replace(true);
            stop.closed().await;
        }
    });
    let server = tokio::spawn(serve(
        listener,
        door,
        request.path,
        request.limits,
        stopping,
    ));
    let keeper = tokio::spawn(keeper.keep(arrivals));
    let stored = async { server.await.is_ok() & keeper.await.is_ok() };
    let mut applied = Applied::default();
    let mut refused_before = 0;
    let ended = {
        let applying = async {
            let mut again = clock.beat(AGAIN_EVERY);
            loop {
                let all = tokio::select! {
                    batch = fresh.recv() => {
                        let Some(batch) = batch else { return };
                        let mut pass = Applier::new(&examiner);
                        let done = pass.apply(&batch, events).await;
                        applied.add(pass.applied);
                        recover(&examiner, done, events).await;
                        heard.missed.swap(false, Ordering::Relaxed)
                    }
                    _ = again.tick() => {
                        refused_before = heard.tell_refused(refused_before, events);
                        true
                    }
                };
                if all {
                    let done = apply_pending(&examiner, events).await;
                    let done = done.map(|more| applied.add(more));
                    recover(&examiner, done, events).await;
                }
            }
        };
        let (mut applying, mut stored) = (pin!(applying), pin!(stored));
        tokio::select! {
            ended = stored.as_mut() => {
                // What is not applied by then waits for whoever looks next.
                let _ = tokio::time::timeout(LAST_TRY, applying).await;
                ended
            }
            // Nothing more can come: both have ended.
            () = applying.as_mut() => stored.await,
        }
    };
    heard.tell_refused(refused_before, events);
    if !ended {
        return Err(StoreError::Stopped.into());
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Ok(Heard {
        stored: count(&heard.stored),
        new: count(&heard.new),
        refused: count(&heard.refused),
        applied,
    })
}

/// What could not be applied waits in the database, and is tried again; a connection
/// that broke is made anew.
async fn recover(examiner: &Examiner, done: Result<(), RunError>, events: &mut dyn FnMut(Told)) {
    let Err(error) = done else { return };
    let told = match &error {
        RunError::Store(error) => error.with_cause(),
        other => other.to_string(),
    };
    events(Told::Warning(format!("events wait to be applied: {told}")));
    if let RunError::Store(StoreError::Lost { .. } | StoreError::Unreachable { .. }) = error {
        // Still away: the next try says so again.
        let _ = examiner.db.call(Store::reconnect).await;
    }
}

/// What came, counted by whoever sees it.
#[derive(Debug, Default)]
struct Counters {
    stored: AtomicU64,
    new: AtomicU64,
    refused: AtomicU64,
    last_refusal: Mutex<String>,
    /// Stored events were not handed on to be applied: too many came at once.
    missed: AtomicBool,
}

impl Counters {
    fn refuse(&self, why: String) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        *self
            .last_refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Says what was refused since so many had been. A wrong secret must be seen, and
    /// whoever sends rubbish must not fill the log.
    fn tell_refused(&self, before: u64, events: &mut dyn FnMut(Told)) -> u64 {
        let refused = self.refused.load(Ordering::Relaxed);
        if refused > before {
            let last = self
                .last_refusal
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            events(Told::Warning(format!(
                "deliveries refused: {}; the last one: {last}",
                refused - before
            )));
        }
        refused
    }
}

/// An event that is answered once it is stored.
struct Arrived {
    event: StripeEvent,
    stored: oneshot::Sender<bool>,
}

/// Checks deliveries, and answers them.
struct Door {
    secrets: Secrets,
    tolerance: Duration,
    clock: Clock,
    ours: Stamp,
    arrived: mpsc::Sender<Arrived>,
    db: StoreThread,
    counters: Arc<Counters>,
}

/// What Stripe takes for "send it again".
const AGAIN: u16 = 503;

impl Endpoint for Door {
    async fn deliver(&self, signature: Option<Vec<u8>>, body: Body) -> Answer {
        let now = self.clock.now();
        let signed = verify(
            &self.secrets,
            signature.as_deref(),
            &body,
            now,
            self.tolerance,
        );
        if let Err(why) = signed {
            self.counters.refuse(why.to_string());
            return Answer::new(401, why.to_string());
        }
        let event = match Event::read(&body) {
            Ok(event) => event,
            Err(error) => {
                self.counters.refuse(error.to_string());
                return Answer::new(400, error.to_string());
            }
        };
        let (stored, is_stored) = oneshot::channel();
        let event = row_of(event, CameBy::Listen, now, &self.ours);
        let handed_on = self.arrived.send(Arrived { event, stored }).await;
        if handed_on.is_ok() && is_stored.await == Ok(true) {
            return Answer::new(200, "stored");
        }
        Answer::new(AGAIN, "the database is away; send it again")
    }

    async fn health(&self) -> Answer {
        let standing = self.db.call(Store::events_standing).await;
        match standing {
            Ok(standing) => {
                let last = standing
                    .last_received_at
                    .map_or("null".to_owned(), |time| format!("\"{time}\""));
                let pending = standing.pending;
                Answer::new(
                    200,
                    format!(
                        "{{\"status\": \"ok\", \"pending\": {pending}, \"last_event_at\": {last}}}"
                    ),
                )
            }
            Err(_) => Answer::new(503, "{\"status\": \"the database is away\"}"),
        }
    }
}

/// Stores what arrives, and gives the run's signs of life.
struct Keeper {
    db: StoreThread,
    clock: Clock,
    stamp: RunStamp,
    lease: Duration,
    batches: mpsc::Sender<Vec<StripeEvent>>,
    counters: Arc<Counters>,
}

impl Keeper {
    /// Until nobody is left from whom anything could arrive. Whatever came while one
    /// transaction was written goes into the next.
    async fn keep(self, mut arrivals: mpsc::Receiver<Arrived>) {
        let mut beat = self.clock.beat(PULSE);
        let mut seen = self.clock.since_boot_millis();
        let every = millis_of(self.lease / SIGNS_IN_A_LEASE);
        loop {
            let mut together = Vec::new();
            tokio::select! {
                taken = arrivals.recv_many(&mut together, TOGETHER_MAX) => {
                    if taken == 0 {
                        return;
                    }
                    self.store(together).await;
                }
                _ = beat.tick() => {}
            }
            let now = self.clock.since_boot_millis();
            if now.saturating_sub(seen) >= every {
                seen = now;
                let run = self.stamp.run_id.clone();
                let alive = self.db.call(move |store| store.run_seen(&run)).await;
                self.mend(alive.err()).await;
            }
        }
    }

    async fn store(&self, together: Vec<Arrived>) {
        let (rows, waiting): (Vec<StripeEvent>, Vec<oneshot::Sender<bool>>) = together
            .into_iter()
            .map(|one| (one.event, one.stored))
            .unzip();
        let rows = Arc::new(rows);
        let kept = Arc::clone(&rows);
        let mut stored = self.db.call(move |store| store.events_keep(&kept)).await;
        if let Err(StoreError::Lost { .. } | StoreError::Unreachable { .. }) = stored {
            // Once more on a new connection: a server that was started anew is no
            // reason to have everything sent again. What was kept stays one row.
            let _ = self.db.call(Store::reconnect).await;
            let kept = Arc::clone(&rows);
            stored = self.db.call(move |store| store.events_keep(&kept)).await;
        }
        let is_stored = stored.is_ok();
        for one in waiting {
            // Whoever does not wait any more is sent it again.
            let _ = one.send(is_stored);
        }
        let Ok(new) = stored else { return };
        self.counters
            .stored
            .fetch_add(rows.len() as u64, Ordering::Relaxed);
        self.counters
            .new
            .fetch_add(new.len() as u64, Ordering::Relaxed);
        self.hand_on(&rows, new);
    }

    fn hand_on(&self, rows: &[StripeEvent], mut new: HashSet<String>) {
        let fresh: Vec<StripeEvent> = rows
            .iter()
            // Taken out, so that one that came twice at once is handed on once.
            .filter(|row| new.remove(&row.event_id) && row.state == EventState::Pending)
            .cloned()
            .collect();
        if !fresh.is_empty() && self.batches.try_send(fresh).is_err() {
            self.counters.missed.store(true, Ordering::Relaxed);
        }
    }

    async fn mend(&self, error: Option<StoreError>) {
        if let Some(StoreError::Lost { .. } | StoreError::Unreachable { .. }) = error {
            // Still away: the next delivery is answered so.
            let _ = self.db.call(Store::reconnect).await;
        }
    }
}
