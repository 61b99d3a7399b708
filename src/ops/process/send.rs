//! The loop that carries a run out: claim, send, record.
//!
//! The network never waits for the disk, and the disk never for the network:
//! claims, records and pulses are jobs of the store's own thread, sends are
//! tasks, and this loop only starts what can be started and takes in what has
//! ended. Outcomes are recorded in the order they arrive, many in one transaction:
//! a commit costs as much for one as for a hundred, and one that waits a tenth of
//! a second longer is only one more that the next run would find at Stripe.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::model::attempt::Attempt;
use crate::model::ids::PayoutId;
use crate::model::money::Currency;
use crate::ops::consent::Consent;
use crate::ops::event::{Event, Settled};
use crate::ops::pace::Pace;
use crate::ops::process::carry::{Carried, Senders};
use crate::ops::process::foreign::{Outcome, Searching};
use crate::ops::process::gate::{self, Belongs, Closed, Job, Reading};
use crate::ops::process::jobs::{Written, claim, pulse, reconnect, record};
use crate::ops::process::lookup::Resend;
use crate::ops::process::plan::balance_cents;
use crate::ops::process::{
    FAILURES_KEPT, Failure, LimitReached, Report, Session, Stop, Unresolved,
};
use crate::ops::run_error::RunError;
use crate::store::Store;
use crate::store::attempts::TakeOver;
use crate::store::queue::{AttemptTerms, ClaimTerms, DayLimit, QueueRequest, WINDOW_MAX, Window};
use crate::store::settle::{Recorded, Resolution, Settlement};
use crate::store::thread::StoreThread;
use crate::store::{RunStamp, Stamp, StoreError};
use crate::stripe::api::{TransferRequest, api_version};
use crate::stripe::{RunEffect, Stripe, Transfer};

/// Settlements written in one transaction at most.
const RECORDED_TOGETHER_MAX: usize = 500;
/// As many are written without waiting for more.
const RECORDED_TOGETHER: usize = 100;
/// How long the first one waits for others.
const RECORD_EVERY: Duration = Duration::from_millis(100);
/// Unknown outcomes in a row after which going on cannot help.
const UNKNOWN_IN_A_ROW_MAX: u32 = 50;

/// What a task of the loop has ended with.
enum Done {
    Carried(Box<Carried>),
    Claimed(Result<Window, StoreError>),
    Recorded(Written),
    Pulsed(Result<Reading, StoreError>),
    Balance(Result<Option<i64>, RunError>),
}

impl Session {
    /// Sends what is due, as far as was agreed, and records what becomes of it.
    ///
    /// `interrupted` counts signals: after the first nothing more is claimed,
    /// what is in flight is finished and recorded, the rest given back.
    ///
    /// # Errors
    /// Only before the first send. Later trouble ends the run early and is part
    /// of the report.
    pub async fn execute(
        mut self,
        stamp: &RunStamp,
        consent: &Consent,
        mut interrupted: watch::Receiver<u32>,
        events: &mut dyn FnMut(Event),
    ) -> Result<Report, RunError> {
        let agreement = consent.agreement().clone();
        let asked = Stamp {
            account: self.account.clone(),
            livemode: self.livemode,
        };
        let currency = self.settings.currency;
        let stamped = self
            .db
            .call(move |store| store.stamp_once(&asked, currency))
            .await?;
        if stamped.account != agreement.account
            || stamped.livemode != agreement.livemode
            || stamped.account != self.account
            || stamped.livemode != self.livemode
        {
            let (account, livemode) = (self.account, self.livemode);
            return Err(RunError::OtherAccount {
                stamp: stamped,
                account,
                livemode,
            });
        }
        // Before the sign of life, which it might outlast.
        if agreement.rows.is_some() && !self.idle {
            self.guard_again().await?;
        }
        let first = pulse(self.db.clone(), stamp.clone(), None).await?;
        if self.idle {
            return Box::pin(self.end_idle(&first, events)).await;
        }
        let (reading, readings) = watch::channel(first);
        let (stopping, stopped) = watch::channel(false);
        let senders = Senders {
            stripe: Arc::clone(&self.stripe),
            clock: self.clock.clone(),
            pace: Arc::clone(&self.pace),
            reading: readings,
            stopping: stopped,
            lease: self.settings.lease,
            named_batch: self.settings.rules.named_batch.clone(),
            stripe_ahead_millis: self.stripe_ahead_millis,
        };
        let planned = agreement.until.is_some();
        if planned {
            self.search_foreign_again();
        }
        let request = self.queue_request(agreement.until, agreement.rows);
        let balance = balance_cents(&self.stripe, &self.pace, currency).await?;
        let available_cents = less_what_is_on_its_way(&self.db, balance).await?;
        let resends = std::mem::take(&mut self.resends);
        let newest = self.report.newest_transfer;
        let mut foreign = Searching::of_the_rest(self.foreign);
        let mut run = Run {
            db: self.db.clone(),
            stamp: stamp.clone(),
            terms: AttemptTerms {
                currency: self.settings.currency,
                stripe_account: self.account.clone(),
                livemode: self.livemode,
                api_version: api_version(),
                database_id: self.database_id.clone(),
                stripe_ahead_millis: self.stripe_ahead_millis,
                body: transfer_body,
            },
            senders,
            concurrency: self.settings.concurrency,
            tasks: JoinSet::new(),
            request,
            payouts_room: agreement.payouts_max,
            total_room_cents: agreement.total_max_cents,
            day: self
                .settings
                .day_max_cents
                .map(|cents| DayLimit { cents, anew: true }),
            limits_itself: !planned && self.settings.limits_itself(),
            queue_empty: agreement.payouts_max == 0,
            rows_max: 0,
            claiming: false,
            recording: false,
            record_due: false,
            pulsing: false,
            asking_balance: false,
            unsearched: false,
            ready: VecDeque::new(),
            waiting: HashMap::new(),
            busy: HashSet::new(),
            in_flight: 0,
            unrecorded: Vec::new(),
            available_cents,
            balance_is_fresh: true,
            unknown_in_a_row: 0,
            report: self.report,
        };
        events(Event::Expected {
            payouts: planned.then(|| agreement.payouts_max.saturating_add(resends.len() as u64)),
        });
        // The sign of life goes on while the loop is busy.
        let mut ticks = self.clock.beat(gate::PULSE);
        let mut records = self.clock.beat(RECORD_EVERY);
        if reading.borrow().switch_is_on() {
            run.stop(Stop::Switch);
        }
        run.take_over(
            resends,
            &self.guard.in_doubt,
            agreement.resends_max,
            balance,
        )
        .await?;
        loop {
            run.start_what_can_be_started(&stopping);
            // What the search finds is recorded, whoever waits for it.
            if run.is_over() && (run.stopped() || foreign.is_idle()) {
                break;
            }
            tokio::select! {
                Some(done) = run.tasks.join_next() => {
                    match done {
                        Ok(done) => run.take_in(done, &reading, events),
                        // What it was at work on stays open, for the next run to resolve.
                        Err(error) => {
                            run.report.stop = Some(Stop::Bug(error.to_string()));
                            break;
                        }
                    }
                }
                (mut search, listing) = foreign.read() => {
                    foreign = Searching::Idle;
                    match listing {
                        Ok(listing) => run.take_in_search(search.record(listing).await, events),
                        Err(error) => run.stop(stopped_by(error)),
                    }
                }
                _ = ticks.tick() => run.start_pulse(&reading),
                _ = records.tick() => run.record_due = !run.unrecorded.is_empty(),
                Ok(()) = interrupted.changed() => run.stop(Stop::Signal),
            }
        }
        run.tasks.shutdown().await;
        run.tell_what_is_left().await;
        let newest_recorded = run.report.newest_transfer;
        // Never past what the guard of this run has seen: a copy of this database
        // may have sent something since, and the next guard must see that. Nor past what
        // it saw of an attempt in doubt: the next look-up of that must be shown it again.
        let guarded_until = self.guard.until;
        if let Some(newest) = newest_recorded
            .max(newest)
            .map(|newest| newest.min(guarded_until))
            .filter(|_| self.guard.in_doubt.is_empty())
        {
            // The watermark is a convenience of the next guard; without it that one reads more.
            let _ = self
                .db
                .call(move |store| store.watermark_advance(newest))
                .await;
        }
        Ok(run.report)
    }

    /// The end of a run that sends nothing: what was left alone, and that nothing was forgotten.
    async fn end_idle(
        mut self,
        reading: &Reading,
        events: &mut dyn FnMut(Event),
    ) -> Result<Report, RunError> {
        if reading.switch_is_on() {
            self.report.stop = Some(Stop::Switch);
            return Ok(self.report);
        }
        while !self.searched.complete {
            if let Err(error) = self.search_foreign_rest(events).await {
                self.report.stop = Some(stopped_by(error));
                return Ok(self.report);
            }
        }
        self.keep_guard(events).await;
        let request = self.queue_request(None, None);
        let left_alone = self
            .db
            .call(move |store| store.queue_preview(&request, WINDOW_MAX));
        match left_alone.await {
            Ok(queue) => {
                for skipped in queue.skipped {
                    self.report.skip(skipped.reason, skipped.amount_cents);
                }
            }
            Err(error) => self.report.stop = Some(Stop::at(&error)),
        }
        Ok(self.report)
    }
}

/// The form body of an attempt; stored, and sent as stored.
fn transfer_body(
    candidate: &crate::model::payout::Candidate,
    attempt: i32,
    terms: &AttemptTerms,
) -> String {
    let payout = &candidate.payout;
    let mut metadata = vec![
        ("payout_id", payout.id.as_str().to_owned()),
        ("attempt", attempt.to_string()),
        ("creator_id", payout.creator_id.as_str().to_owned()),
        ("database", terms.database_id.clone()),
    ];
    if let Some(statement) = &payout.royalty_statement_id {
        metadata.push(("royalty_statement_id", statement.as_str().to_owned()));
    }
    if let Some(reference) = &candidate.reference {
        // Stripe takes values of at most 500 characters.
        metadata.push(("reference", reference.chars().take(500).collect()));
    }
    TransferRequest {
        amount: payout.amount_cents,
        currency: terms.currency,
        destination: candidate.destination.clone().unwrap_or_default(),
        transfer_group: payout.id.as_str().to_owned(),
        metadata,
    }
    .body()
}

/// The state of the loop.
struct Run {
    db: StoreThread,
    stamp: RunStamp,
    terms: AttemptTerms,
    senders: Senders,
    concurrency: usize,
    tasks: JoinSet<Done>,
    request: QueueRequest,
    payouts_room: u64,
    total_room_cents: i64,
    /// What all runs of the day may pay.
    day: Option<DayLimit>,
    /// Where it takes no more, that is its own limit, and not what was agreed to.
    limits_itself: bool,
    queue_empty: bool,
    /// Rows that the next claim looks at, where that is more than it wants.
    rows_max: usize,
    claiming: bool,
    recording: bool,
    /// What has arrived waited for others long enough.
    record_due: bool,
    pulsing: bool,
    asking_balance: bool,
    /// The queue waits for a search for what other software wrote.
    unsearched: bool,
    /// Claimed, in order, not yet sent.
    ready: VecDeque<Job>,
    /// Claimed, but their destination is busy.
    waiting: HashMap<String, VecDeque<Job>>,
    busy: HashSet<String>,
    in_flight: usize,
    unrecorded: Vec<Settlement>,
    /// Available, less everything that is on its way; none when not known.
    available_cents: Option<i64>,
    balance_is_fresh: bool,
    unknown_in_a_row: u32,
    report: Report,
}

impl Run {
    /// Takes over what goes out again, in order, as far as was agreed and as the
    /// `balance` covers it; what somebody else was faster with is left to them.
    async fn take_over(
        &mut self,
        resends: Vec<Resend>,
        seen: &HashMap<PayoutId, Vec<Transfer>>,
        agreed: usize,
        mut balance_cents: Option<i64>,
    ) -> Result<(), RunError> {
        let nothing_listed = |reason: &str| Some(format!("no transfer is listed, and {reason}"));
        let mut beyond = false;
        for (place, resend) in resends.into_iter().enumerate() {
            let amount = i64::from(resend.attempt.amount_cents);
            // What is behind the first that is beyond stays too, as in the plan.
            beyond |= place >= agreed || self.payouts_room == 0 || amount > self.total_room_cents;
            let stays = if seen.contains_key(&resend.attempt.payout_id) {
                // It was not when the attempt was looked up, or it would not be here.
                let open = self.is_open(&resend.attempt).await?;
                open.then(|| "a transfer names it since the plan was made".to_owned())
            } else if beyond {
                nothing_listed("it is beyond this run's limit")
            } else if balance_cents.is_some_and(|balance| balance < amount) {
                nothing_listed("the balance does not cover sending it again")
            } else {
                let (stamp, rules) = (self.stamp.clone(), self.request.rules.clone());
                let today = self.terms.stripe_time(self.senders.clock.now());
                let day = self.day.map(|day| (day, today));
                let attempt = resend.attempt.clone();
                let taken = self
                    .db
                    .call(move |store| store.attempt_take_over(&stamp, &attempt, &rules, day))
                    .await?;
                // What is taken over and not sent yet would be lost by adding up again.
                self.day = self.day.map(|day| DayLimit { anew: false, ..day });
                match taken {
                    TakeOver::Gone => None,
                    TakeOver::Refused(refusal) => nothing_listed(&refusal.to_string()),
                    TakeOver::Taken(attempt) => {
                        self.payouts_room -= 1;
                        self.total_room_cents -= amount;
                        balance_cents = balance_cents.map(|balance| balance - amount);
                        let job = self.job(*attempt, resend.belongs, true);
                        self.ready.push_back(job);
                        None
                    }
                }
            };
            if let Some(reason) = stays {
                let left = unresolved(&resend.attempt, &reason);
                self.report.unresolved.push(left);
            }
        }
        Ok(())
    }

    /// Whether nobody has settled it or taken it over.
    async fn is_open(&self, attempt: &Attempt) -> Result<bool, RunError> {
        let run = attempt.run_id.clone();
        let left = self
            .db
            .call(move |store| store.attempts_left_by(&run))
            .await?;
        Ok(left.iter().any(|one| one.payout_id == attempt.payout_id))
    }

    fn job(&self, attempt: Attempt, belongs: Belongs, taken_over: bool) -> Job {
        let ahead = self.senders.stripe_ahead_millis;
        Job::new(attempt, belongs, taken_over, &self.senders.clock, ahead)
    }

    /// A claim whose COMMIT was not answered may stand all the same, and nobody sent
    /// what it took: the next run does, and this one says so.
    async fn tell_what_is_left(&mut self) {
        let run = self.stamp.run_id.clone();
        let left = match self
            .db
            .call(move |store| store.attempts_left_by(&run))
            .await
        {
            Ok(left) => left,
            Err(error) => return self.stop(Stop::at(&error)),
        };
        let told: HashSet<&PayoutId> = (self.report.unresolved.iter())
            .map(|unresolved| &unresolved.payout_id)
            .collect();
        let untold: Vec<Unresolved> = left
            .iter()
            .filter(|attempt| !told.contains(&attempt.payout_id))
            .map(|attempt| unresolved(attempt, "it was claimed, and this run was not told so"))
            .collect();
        self.report.unresolved.extend(untold);
    }

    fn stopped(&self) -> bool {
        self.report.stop.is_some()
    }

    /// The first reason stands.
    fn stop(&mut self, reason: Stop) {
        self.report.stop.get_or_insert(reason);
    }

    fn is_over(&self) -> bool {
        let nothing_to_send = self.ready.is_empty() && self.waiting.is_empty();
        let nothing_running =
            self.in_flight == 0 && !self.claiming && !self.recording && !self.asking_balance;
        nothing_to_send
            && nothing_running
            && self.unrecorded.is_empty()
            && (self.queue_empty || self.stopped())
    }

    fn start_what_can_be_started(&mut self, stopping: &watch::Sender<bool>) {
        if self.stopped() {
            stopping.send_replace(true);
            self.give_back_what_was_not_sent();
        }
        self.start_sends();
        self.start_claim();
        self.start_record();
    }

    fn start_sends(&mut self) {
        while self.in_flight < self.concurrency && !self.stopped() {
            let Some(job) = self.ready.pop_front() else {
                return;
            };
            if self.busy.contains(&job.attempt.destination) {
                self.waiting
                    .entry(job.attempt.destination.clone())
                    .or_default()
                    .push_back(job);
                continue;
            }
            if !self.covered(&job) {
                self.ready.push_front(job);
                return;
            }
            self.start_send(job);
        }
    }

    fn start_send(&mut self, job: Job) {
        self.busy.insert(job.attempt.destination.clone());
        self.in_flight += 1;
        let senders = self.senders.clone();
        self.tasks
            .spawn(async move { Done::Carried(Box::new(senders.carry(job).await)) });
    }

    /// Whether the balance covers a first send; reserves it. What goes out again
    /// is reserved already. A shortage is believed only when nothing is in
    /// flight and the balance was just read.
    fn covered(&mut self, job: &Job) -> bool {
        if job.taken_over {
            return true;
        }
        let Some(available) = self.available_cents else {
            return true;
        };
        let amount = i64::from(job.attempt.amount_cents);
        if amount <= available {
            self.available_cents = Some(available - amount);
            return true;
        }
        if self.in_flight > 0
            || self.recording
            || !self.unrecorded.is_empty()
            || self.asking_balance
        {
            return false;
        }
        if self.balance_is_fresh {
            self.stop(Stop::Balance {
                needed_cents: Some(amount),
                available_cents: Some(available),
            });
            self.give_back_what_was_not_sent();
            return false;
        }
        self.asking_balance = true;
        let (db, senders, currency) = (self.db.clone(), self.senders.clone(), self.terms.currency);
        self.tasks.spawn(async move {
            Done::Balance(free_cents(&db, &senders.stripe, &senders.pace, currency).await)
        });
        false
    }

    fn start_claim(&mut self) {
        let queued = self.ready.len() + self.waiting.values().map(VecDeque::len).sum::<usize>();
        let wanted = (self.concurrency * 2).saturating_sub(queued);
        let waits = self.claiming || self.unsearched;
        if waits || self.queue_empty || self.stopped() || wanted < self.concurrency {
            return;
        }
        if self.payouts_room == 0 {
            self.queue_empty = true;
            return;
        }
        self.claiming = true;
        let room = usize::try_from(self.payouts_room).unwrap_or(usize::MAX);
        let terms = ClaimTerms {
            payouts_max: wanted.min(room),
            rows_max: self.rows_max.max(wanted),
            total_max_cents: self.total_room_cents,
            day: self.day,
            attempt: self.terms.clone(),
        };
        let (db, stamp, request) = (self.db.clone(), self.stamp.clone(), self.request.clone());
        let clock = self.senders.clock.clone();
        self.tasks
            .spawn(async move { Done::Claimed(claim(db, clock, stamp, request, terms).await) });
    }

    fn start_record(&mut self) {
        let nothing_more_comes = self.in_flight == 0 || self.stopped();
        let enough = self.unrecorded.len() >= RECORDED_TOGETHER;
        let due = self.record_due || enough || nothing_more_comes;
        if self.recording || self.unrecorded.is_empty() || !due {
            return;
        }
        (self.recording, self.record_due) = (true, false);
        let take = self.unrecorded.len().min(RECORDED_TOGETHER_MAX);
        let settlements: Vec<Settlement> = self.unrecorded.drain(..take).collect();
        let (db, clock, stamp) = (
            self.db.clone(),
            self.senders.clock.clone(),
            self.stamp.clone(),
        );
        self.tasks
            .spawn(async move { Done::Recorded(record(db, clock, stamp, settlements).await) });
    }

    fn start_pulse(&mut self, reading: &watch::Sender<Reading>) {
        if self.pulsing {
            return;
        }
        self.pulsing = true;
        let (db, stamp, last) = (
            self.db.clone(),
            self.stamp.clone(),
            reading.borrow().clone(),
        );
        let renew_every = self.senders.lease / 8;
        self.tasks.spawn(async move {
            let pulsed = pulse(db.clone(), stamp, Some((last, renew_every))).await;
            if let Err(error) = &pulsed {
                reconnect(&db, error).await;
            }
            Done::Pulsed(pulsed)
        });
    }

    /// Claimed but never sent goes back to the queue. What was taken over is in
    /// doubt and stays so.
    fn give_back_what_was_not_sent(&mut self) {
        let jobs = std::mem::take(&mut self.ready)
            .into_iter()
            .chain(std::mem::take(&mut self.waiting).into_values().flatten());
        for job in jobs {
            if job.taken_over {
                self.report.unresolved.push(unresolved(
                    &job.attempt,
                    "it was to be sent again, and the run stopped before",
                ));
                continue;
            }
            self.unrecorded.push(Settlement {
                payout_id: job.attempt.payout_id.clone(),
                attempt: job.attempt.attempt,
                amount_cents: job.attempt.amount_cents,
                resolution: Resolution::NotSent {
                    reason: "the run stopped before it was sent".to_owned(),
                },
                last: None,
                answers: Vec::new(),
            });
        }
    }

    fn take_in(
        &mut self,
        done: Done,
        reading: &watch::Sender<Reading>,
        events: &mut dyn FnMut(Event),
    ) {
        match done {
            Done::Claimed(result) => {
                self.claiming = false;
                match result {
                    Ok(window) if self.day.is_some_and(|day| day.anew) => {
                        self.day = self.day.map(|day| DayLimit { anew: false, ..day });
                        self.take_in_window(window);
                    }
                    Ok(window) => self.take_in_window(window),
                    Err(error) => self.stop(Stop::at(&error)),
                }
            }
            Done::Carried(carried) => self.take_in_carried(*carried),
            Done::Recorded((recorded, failed)) => {
                self.recording = false;
                for (settlement, how) in recorded {
                    self.count(&settlement, how, events);
                }
                if let Some(error) = failed {
                    self.stop(Stop::at(&error));
                }
            }
            Done::Pulsed(result) => {
                self.pulsing = false;
                // A pulse that fails leaves the old reading, which grows stale by itself.
                if let Ok(fresh) = result {
                    if fresh.switch_is_on() {
                        self.stop(Stop::Switch);
                    }
                    reading.send_replace(fresh);
                }
            }
            Done::Balance(free) => {
                self.asking_balance = false;
                match free {
                    // What is claimed and not yet sent is on record as on its way, but it is not.
                    Ok(free) => {
                        self.available_cents = free.map(|f| f.saturating_add(self.unsent_cents()));
                    }
                    Err(error) => self.stop(stopped_by(error)),
                }
                self.balance_is_fresh = true;
            }
        }
    }

    fn unsent_cents(&self) -> i64 {
        let unsent = self.ready.iter().chain(self.waiting.values().flatten());
        unsent
            .filter(|job| !job.taken_over)
            .map(|job| i64::from(job.attempt.amount_cents))
            .fold(0, i64::saturating_add)
    }

    fn take_in_search(&mut self, outcome: Outcome, events: &mut dyn FnMut(Event)) {
        let in_doubt = self.report.foreign(&outcome, events);
        if !in_doubt.is_empty() {
            let known = self.request.in_doubt.iter().cloned();
            self.request.in_doubt = Arc::new(known.chain(in_doubt).collect());
        }
        self.unsearched = false;
        self.request.searched = Arc::new(outcome.searched);
        if let Some(error) = outcome.failed {
            self.stop(stopped_by(error));
        }
    }

    fn take_in_window(&mut self, window: Window) {
        // A stretch of rows that are skipped is walked in ever longer strides.
        let (claimed, skipped) = (window.claimed.len(), window.skipped.len());
        self.rows_max = if skipped > claimed {
            (skipped + claimed).saturating_mul(2).min(WINDOW_MAX)
        } else {
            0
        };
        for skipped in window.skipped {
            self.report.skip(skipped.reason, skipped.amount_cents);
        }
        for claimed in window.claimed {
            self.payouts_room = self.payouts_room.saturating_sub(1);
            let amount = i64::from(claimed.attempt.amount_cents);
            self.total_room_cents = self.total_room_cents.saturating_sub(amount);
            let belongs = Belongs {
                creator: claimed.payout.creator_id,
                batch: claimed.batch_id,
            };
            let job = self.job(claimed.attempt, belongs, false);
            self.ready.push_back(job);
        }
        if window.last.is_some() {
            self.request.after = window.last;
        }
        // The search may have ended while this claim was on its way.
        if window.total_reached {
            self.report.limit = if window.day_reached {
                Some(LimitReached::Day)
            } else {
                self.limits_itself.then_some(LimitReached::Run)
            };
        }
        self.unsearched = window.unsearched && !self.request.searched.complete;
        self.queue_empty = !window.more || window.total_reached;
    }

    fn take_in_carried(&mut self, carried: Carried) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.balance_is_fresh = false;
        let destination = carried.job.attempt.destination.clone();
        self.busy.remove(&destination);
        if let Some(queue) = self.waiting.get_mut(&destination) {
            if let Some(next) = queue.pop_front() {
                self.ready.push_front(next);
            }
            if queue.is_empty() {
                self.waiting.remove(&destination);
            }
        }
        let amount = i64::from(carried.settlement.amount_cents);
        match &carried.settlement.resolution {
            Resolution::Declined { .. } | Resolution::NotSent { .. } => {
                self.unknown_in_a_row = 0;
                if !carried.job.taken_over {
                    self.available_cents = self.available_cents.map(|a| a.saturating_add(amount));
                }
            }
            Resolution::Paid { .. } => self.unknown_in_a_row = 0,
            Resolution::Unknown { .. } | Resolution::Alarm { .. } => {
                self.unknown_in_a_row = self.unknown_in_a_row.saturating_add(1);
            }
        }
        match carried.effect {
            RunEffect::StopBalance => {
                self.stop(Stop::Balance {
                    needed_cents: None,
                    available_cents: self.available_cents,
                });
            }
            RunEffect::StopKey | RunEffect::StopRequest => {
                let said = carried
                    .settlement
                    .last
                    .as_ref()
                    .and_then(|l| l.error_message.clone());
                self.stop(Stop::Refused(
                    said.unwrap_or_else(|| "no reason given".to_owned()),
                ));
            }
            RunEffect::GoOn | RunEffect::SlowDown => {}
        }
        if let Some(reason) = carried.unreachable {
            self.stop(Stop::Unreachable(reason));
        }
        match carried.closed {
            Some(Closed::Switch) => self.stop(Stop::Switch),
            Some(Closed::LeaseLost) => self.stop(Stop::LeaseLost),
            Some(Closed::Stale) => {
                self.stop(Stop::Database(Closed::Stale.reason().to_owned()));
            }
            _ => {}
        }
        if self.unknown_in_a_row >= UNKNOWN_IN_A_ROW_MAX {
            self.stop(Stop::TooManyUnknown);
        }
        self.unrecorded.push(carried.settlement);
    }

    /// Counts what was recorded. What another run has taken over is that run's to count.
    fn count(&mut self, settlement: &Settlement, how: Recorded, events: &mut dyn FnMut(Event)) {
        let report = &mut self.report;
        let amount_cents = settlement.amount_cents;
        let cents = i64::from(amount_cents);
        match how {
            Recorded::Done => {}
            Recorded::Already | Recorded::Waits(_) => return,
            Recorded::NotOurs => {
                events(Event::Warning(format!(
                    "attempt {} of payout {} was taken over by another run, which settles it",
                    settlement.attempt, settlement.payout_id
                )));
                return;
            }
            Recorded::Finding(reason) => report.findings.push(reason),
            Recorded::Alarm(reason) => {
                report.alarms.push(reason.clone());
                report.unresolved.push(Unresolved {
                    payout_id: settlement.payout_id.clone(),
                    amount_cents,
                    reason,
                });
                events(settled_event(settlement, Settled::Unresolved));
                return;
            }
        }
        let how = match &settlement.resolution {
            Resolution::Paid { at, .. } => {
                report.paid += 1;
                report.paid_cents = report.paid_cents.saturating_add(cents);
                report.newest_transfer = report.newest_transfer.max(Some(*at));
                Settled::Paid
            }
            Resolution::Declined { reason } => {
                report.failed += 1;
                report.failed_cents = report.failed_cents.saturating_add(cents);
                if report.failures.len() < FAILURES_KEPT {
                    let last = settlement.last.as_ref();
                    report.failures.push(Failure {
                        payout_id: settlement.payout_id.clone(),
                        amount_cents,
                        code: last.and_then(|l| l.error_code.clone()),
                        http_status: last.and_then(|l| l.http_status),
                        reason: reason.clone(),
                    });
                }
                Settled::Failed
            }
            Resolution::NotSent { .. } => {
                report.returned += 1;
                report.returned_cents = report.returned_cents.saturating_add(cents);
                Settled::Returned
            }
            Resolution::Unknown { reason, .. } | Resolution::Alarm { reason } => {
                report.unresolved.push(Unresolved {
                    payout_id: settlement.payout_id.clone(),
                    amount_cents,
                    reason: reason.clone(),
                });
                Settled::Unresolved
            }
        };
        events(settled_event(settlement, how));
    }
}

/// Why a run ends when a read that it needs fails.
fn stopped_by(error: RunError) -> Stop {
    match error {
        RunError::Store(error) => Stop::Database(error.to_string()),
        RunError::Stripe { doing, source } if source.is_key_refused() => {
            Stop::Refused(format!("failed to {doing}: {source}"))
        }
        RunError::Stripe { doing, source } => {
            Stop::Unreachable(format!("failed to {doing}: {source}"))
        }
        other => Stop::Unreachable(other.to_string()),
    }
}

fn settled_event(settlement: &Settlement, how: Settled) -> Event {
    Event::Settled {
        payout_id: settlement.payout_id.clone(),
        amount_cents: settlement.amount_cents,
        how,
    }
}

/// What may still be sent, minor units: available card funds less everything
/// that is on its way, of this run or another. Nothing when the key may not
/// read the balance.
async fn free_cents(
    db: &StoreThread,
    stripe: &Stripe,
    pace: &Pace,
    currency: Currency,
) -> Result<Option<i64>, RunError> {
    less_what_is_on_its_way(db, balance_cents(stripe, pace, currency).await?).await
}

async fn less_what_is_on_its_way(
    db: &StoreThread,
    balance: Option<i64>,
) -> Result<Option<i64>, RunError> {
    let Some(balance) = balance else {
        return Ok(None);
    };
    let on_its_way = db.call(Store::attempts_open).await?.amount_cents;
    Ok(Some(balance.saturating_sub(on_its_way)))
}

fn unresolved(attempt: &Attempt, reason: &str) -> Unresolved {
    Unresolved {
        payout_id: attempt.payout_id.clone(),
        amount_cents: attempt.amount_cents,
        reason: reason.to_owned(),
    }
}
