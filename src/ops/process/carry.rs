//! Carrying one attempt to its end in this run: through the gate, out, and again
//! under the same key for as long as that can help.
//!
//! It decides nothing: `verdict` says what the answers prove, `gate` whether a
//! send may happen. And it records nothing: what it comes to is handed back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::failpoint::{failpoint, planted};
use crate::model::attempt::{ANSWER_BYTES_KEPT, AnswerRow, Attempt};
use crate::model::hold::NamedBatch;
use crate::model::time::{Clock, Time};
use crate::ops::adopt::expected_of;
use crate::ops::pace::Pace;
use crate::ops::process::gate::{self, Closed, Job, Reading};
use crate::ops::process::verdict::{self, Circumstances, Next, Progress};
use crate::store::settle::{LastAnswer, Resolution, Settlement};
use crate::stripe::classify::{Expected, Judgement, classify};
use crate::stripe::{Exchange, RunEffect, Stripe};

/// A send that the gate closed on when it was about to leave goes through it again so
/// often; then it counts as one that found no connection.
const HELD_BACK_MAX: u32 = 100;

/// A job that has ended.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) job: Arc<Job>,
    pub(super) settlement: Settlement,
    pub(super) effect: RunEffect,
    /// Every send failed before a connection stood.
    pub(super) unreachable: Option<String>,
    pub(super) closed: Option<Closed>,
}

/// What every sender shares.
#[derive(Clone)]
pub(super) struct Senders {
    pub(super) stripe: Arc<Stripe>,
    pub(super) clock: Clock,
    pub(super) pace: Arc<Pace>,
    pub(super) reading: watch::Receiver<Reading>,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) lease: Duration,
    pub(super) named_batch: Option<NamedBatch>,
    pub(super) stripe_ahead_millis: i64,
}

impl Senders {
    /// Carries one attempt to its end in this run: sends, waits, sends again.
    pub(super) async fn carry(self, job: Job) -> Carried {
        let job = Arc::new(job);
        let mut progress = Progress {
            maybe_executed: job.taken_over && !planted!("take_over_forgets"),
            ..Progress::default()
        };
        let mut answers: Vec<AnswerRow> = Vec::new();
        let mut last: Option<LastAnswer> = None;
        let mut stored_error = false;
        let mut all_unwritten = true;
        let mut first_sent = None;
        let mut held_back_before = 0;
        let expected = expected_of(&job.attempt);
        let carried = |resolution, answers, last, effect| Carried {
            settlement: Settlement {
                payout_id: job.attempt.payout_id.clone(),
                attempt: job.attempt.attempt,
                amount_cents: job.attempt.amount_cents,
                resolution,
                last,
                answers,
            },
            job: Arc::clone(&job),
            effect,
            unreachable: None,
            closed: None,
        };
        loop {
            self.slot().await;
            if let Err(closed) = self.pass_the_gate(&job).await {
                let reason = closed
                    .as_ref()
                    .map_or("the run stopped before it was sent", Closed::reason)
                    .to_owned();
                let resolution = if progress.maybe_executed {
                    Resolution::Unknown {
                        reason,
                        stored_error,
                    }
                } else {
                    Resolution::NotSent { reason }
                };
                return Carried {
                    closed,
                    ..carried(resolution, answers, last, RunEffect::GoOn)
                };
            }
            let sent_at = self.clock.now();
            let attempt = &job.attempt;
            let begun = self.clock.instant();
            let (exchange, held_back) = self.send(&job, !answers.is_empty()).await;
            if held_back && held_back_before < HELD_BACK_MAX {
                // It never left: the gate says whether it may yet.
                held_back_before += 1;
                continue;
            }
            let started = *first_sent.get_or_insert(begun);
            all_unwritten &= matches!(exchange, Exchange::NotWritten { .. });
            let judgement = classify(&exchange, &expected);
            stored_error |= judgement.stored_error;
            if judgement.run == RunEffect::SlowDown {
                self.pace.slow_down(begun, retry_after(&exchange));
            }
            let send = attempt
                .send_count
                .saturating_add(i32::try_from(answers.len()).unwrap_or(i32::MAX))
                .saturating_add(1);
            answers.push(answer_row(
                attempt,
                send,
                sent_at,
                self.clock.now(),
                &exchange,
                &judgement,
            ));
            last = Some(last_answer(&exchange, &judgement));
            let reason = spoken(&judgement);
            let circumstances = Circumstances {
                elapsed: self.clock.instant().saturating_duration_since(started),
                key_age_millis: attempt.key_age_millis(self.clock.now(), self.stripe_ahead_millis),
                retry_after: retry_after(&exchange),
                jitter_per_mille: fastrand::u64(500..=1000),
            };
            let effect = judgement.run;
            let resolution = match verdict::next(&mut progress, &judgement, circumstances) {
                Next::Resend(wait) => {
                    if self.wait(wait).await {
                        continue;
                    }
                    // Stopping: what may have been executed is left to the next run.
                    if progress.maybe_executed {
                        Resolution::Unknown {
                            reason,
                            stored_error,
                        }
                    } else {
                        Resolution::NotSent { reason }
                    }
                }
                Next::Paid(transfer) if judgement.replayed && !planted!("replay_believed") => {
                    self.judge_replayed(&transfer.id, &expected).await
                }
                Next::Paid(transfer) => Resolution::Paid {
                    transfer_id: transfer.id.clone(),
                    at: transfer.created,
                    adopted: false,
                    reversed_cents: transfer.amount_reversed,
                },
                Next::Declined => Resolution::Declined { reason },
                Next::Unknown if planted!("record_before_send") => Resolution::Paid {
                    transfer_id: format!("tr_{}", attempt.idempotency_key),
                    at: sent_at,
                    adopted: false,
                    reversed_cents: 0,
                },
                Next::NotSent => Resolution::NotSent { reason },
                Next::Unknown => Resolution::Unknown {
                    reason: doubtful(&exchange, &reason),
                    stored_error,
                },
                Next::Alarm(what) => Resolution::Alarm {
                    reason: format!("{reason} ({what})"),
                },
            };
            let unreachable = (all_unwritten && matches!(resolution, Resolution::NotSent { .. }))
                .then(|| {
                    last.as_ref()
                        .and_then(|l| l.error_message.clone())
                        .unwrap_or_default()
                });
            return Carried {
                unreachable,
                ..carried(resolution, answers, last, effect)
            };
        }
    }

    /// Sends the stored bytes under the stored key, once. The gate is asked again when
    /// they are about to leave: a request may wait for a connection, and the machine
    /// may go to sleep meanwhile. Returns too whether it was closed by then.
    async fn send(&self, job: &Arc<Job>, again: bool) -> (Exchange, bool) {
        let attempt = &job.attempt;
        failpoint!(await "send.before", or (Exchange::NotWritten {
            reason: "no connection".to_owned(),
        }, false));
        let mut body = attempt.body.clone();
        if again && planted!("changed_bytes_on_resend") {
            body.push_str("&description=again");
        }
        let (key, version) = (&attempt.idempotency_key, &attempt.api_version);
        let (senders, leaving) = (self.clone(), Arc::clone(job));
        let held_back = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&held_back);
        let may_leave = move || {
            let open = senders.gate(&senders.reading.borrow(), &leaving).is_ok();
            closed.store(!open, Ordering::Relaxed);
            failpoint!(only "send.leaving");
            open
        };
        let exchange = self
            .stripe
            .transfer_send(key, version, body, may_leave)
            .await;
        failpoint!(await "send.answered", or (Exchange::Lost {
            reason: "answered, and lost".to_owned(),
            status: None,
        }, false));
        (exchange, held_back.load(Ordering::Relaxed))
    }

    /// Waits until the gate is open or closed for good. `Err(None)`: the run is stopping.
    async fn pass_the_gate(&self, job: &Job) -> Result<(), Option<Closed>> {
        failpoint!(await "gate.before");
        let mut readings = self.reading.clone();
        loop {
            if *self.stopping.borrow() {
                return Err(None);
            }
            let reading = readings.borrow_and_update().clone();
            match self.gate(&reading, job) {
                Ok(()) => return Ok(()),
                // The store is slow: a new reading may open the gate.
                Err(Closed::Stale) => {
                    let waited = self.clock.within(self.lease, readings.changed()).await;
                    if !matches!(waited, Some(Ok(()))) {
                        return Err(Some(Closed::Stale));
                    }
                }
                Err(closed) => return Err(Some(closed)),
            }
        }
    }

    fn gate(&self, reading: &Reading, job: &Job) -> Result<(), Closed> {
        gate::check(
            reading,
            &self.clock,
            self.lease,
            job,
            self.named_batch.as_ref(),
            self.stripe_ahead_millis,
        )
    }

    /// Waits for its turn to send, or for the run to stop.
    async fn slot(&self) {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = self.pace.slot() => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }

    /// Waits before a resend. False when the run stops meanwhile.
    async fn wait(&self, wait: Duration) -> bool {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = self.clock.sleep(wait) => !*self.stopping.borrow(),
            _ = stopping.wait_for(|stopping| *stopping) => false,
        }
    }

    /// A replay shows the transfer as it was first answered; what counts is how
    /// it is now.
    async fn judge_replayed(&self, id: &str, expected: &Expected) -> Resolution {
        match self.stripe.transfer(id).await {
            Err(error) => Resolution::Unknown {
                reason: format!(
                    "transfer {id} was answered from Stripe's store and could not be fetched: {error}"
                ),
                stored_error: false,
            },
            Ok(transfer) => match expected.mismatch(&transfer) {
                Some(what) => Resolution::Alarm {
                    reason: format!("transfer {id} does not fit: {what}"),
                },
                None => Resolution::Paid {
                    transfer_id: transfer.id,
                    at: transfer.created,
                    adopted: false,
                    reversed_cents: transfer.amount_reversed,
                },
            },
        }
    }
}

fn retry_after(exchange: &Exchange) -> Option<Duration> {
    match exchange {
        Exchange::Answered(reply) => reply.retry_after,
        _ => None,
    }
}

/// Stripe's message, or the code where it gave none.
fn spoken(judgement: &Judgement) -> String {
    let error = &judgement.error;
    match (&error.code, &error.message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(text), None) | (None, Some(text)) => text.clone(),
        (None, None) => judgement.verdict(),
    }
}

/// Why nobody knows what became of a request: a person must see that it was an
/// answer, and which, that left it open.
fn doubtful(exchange: &Exchange, spoken: &str) -> String {
    match exchange {
        Exchange::Answered(reply) => format!("Stripe answered {}: {spoken}", reply.status),
        Exchange::Lost { .. } | Exchange::NotWritten { .. } => spoken.to_owned(),
    }
}

fn last_answer(exchange: &Exchange, judgement: &Judgement) -> LastAnswer {
    let (http_status, request_id) = match exchange {
        Exchange::Answered(reply) => (Some(i32::from(reply.status)), reply.request_id.clone()),
        Exchange::Lost { status, .. } => (status.map(i32::from), None),
        Exchange::NotWritten { .. } => (None, None),
    };
    LastAnswer {
        http_status,
        error_type: judgement.error.kind.clone(),
        error_code: judgement.error.code.clone(),
        error_message: judgement.error.message.clone(),
        request_id,
        replayed: judgement.replayed,
    }
}

fn answer_row(
    attempt: &Attempt,
    send: i32,
    sent_at: Time,
    answered_at: Time,
    exchange: &Exchange,
    judgement: &Judgement,
) -> AnswerRow {
    let last = last_answer(exchange, judgement);
    let body = match exchange {
        Exchange::Answered(reply) => {
            let kept = &reply.body[..reply.body.len().min(ANSWER_BYTES_KEPT)];
            // PostgreSQL keeps no NUL in a text.
            String::from_utf8_lossy(kept).replace('\0', "\u{fffd}")
        }
        Exchange::Lost { reason, .. } | Exchange::NotWritten { reason } => reason.clone(),
    };
    AnswerRow {
        payout_id: attempt.payout_id.clone(),
        attempt: attempt.attempt,
        send,
        sent_at,
        answered_at,
        http_status: last.http_status,
        request_id: last.request_id,
        replayed: last.replayed,
        verdict: judgement.verdict(),
        body,
    }
}
