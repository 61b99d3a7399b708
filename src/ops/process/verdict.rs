//! What the answers to one attempt prove together, and what comes next.
//!
//! Pure: values in, values out. The rules are those that keep a payout from
//! being paid twice:
//!
//! - **Unknown is sticky.** Once a send under a key may have been executed, a
//!   later refusal speaks of the later request only. A transfer settles it, or
//!   a refusal that Stripe replays from its store: that one is the answer of
//!   the one execution under the key.
//! - **A taken-over attempt counts as unknown**, whatever its record says: the
//!   first sender may still be at work.
//! - After an unknown, a fresh refusal is followed by one more send; replayed,
//!   it settles.

use std::time::Duration;

use crate::failpoint::planted;
use crate::model::attempt::key_is_young;
use crate::stripe::{Finding, Judgement, Transfer};

/// Sends of one attempt within one run.
pub const SENDS_MAX: u32 = 6;

/// Time within which one run sends an attempt again.
pub const RESEND_WINDOW: Duration = Duration::from_secs(120);

const WAIT_FIRST_MILLIS: u64 = 500;
const WAIT_MAX_MILLIS: u64 = 30_000;

/// What is known of an attempt while it is being sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// A send under this key may have been executed.
    pub maybe_executed: bool,
    /// Sends in this run.
    pub sends: u32,
    /// A refusal after an unknown was asked for again once.
    pub asked_again: bool,
}

/// The circumstances of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    /// Since this run first sent the attempt.
    pub elapsed: Duration,
    /// Since anybody first sent it, by Stripe's clock, milliseconds.
    pub key_age_millis: i64,
    /// `Retry-After` of the answer.
    pub retry_after: Option<Duration>,
    /// 500 to 1000: how much of the wait is waited, in thousandths.
    pub jitter_per_mille: u64,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The transfer exists. When its answer was a replay, it is fetched first:
    /// a replay shows it as it was before any reversal.
    Paid(Box<Transfer>),
    /// A definite no.
    Declined,
    /// Nothing under this key was executed.
    NotSent,
    /// Nobody knows.
    Unknown,
    /// A transfer was answered that is not the one that was asked for.
    Alarm(String),
    /// The same bytes under the same key, after waiting.
    Resend(Duration),
}

/// Weighs an answer with those before it.
pub fn next(progress: &mut Progress, judgement: &Judgement, at: Circumstances) -> Next {
    progress.sends = progress.sends.saturating_add(1);
    let before = progress.maybe_executed;
    match &judgement.finding {
        Finding::Paid(transfer) => Next::Paid(transfer.clone()),
        Finding::Mismatch(_, what) => {
            progress.maybe_executed = true;
            Next::Alarm(what.clone())
        }
        Finding::Declined if !before => Next::Declined,
        Finding::Declined if judgement.replayed && is_young(at) => Next::Declined,
        Finding::Declined if !progress.asked_again => {
            progress.asked_again = true;
            again(progress, at).unwrap_or(Next::Unknown)
        }
        Finding::Declined => Next::Unknown,
        Finding::NotSent => {
            let resend = if judgement.resend {
                again(progress, at)
            } else {
                None
            };
            resend.unwrap_or(if before { Next::Unknown } else { Next::NotSent })
        }
        Finding::Unknown if judgement.stored_error && planted!("stored_error_is_a_no") => {
            Next::Declined
        }
        Finding::Unknown if !judgement.stored_error && planted!("new_key_on_timeout") => {
            Next::Declined
        }
        Finding::Unknown => {
            progress.maybe_executed = true;
            let resend = judgement.resend && !judgement.stored_error;
            if resend {
                again(progress, at).unwrap_or(Next::Unknown)
            } else {
                Next::Unknown
            }
        }
    }
}

/// Whether Stripe still knows the key.
pub fn is_young(at: Circumstances) -> bool {
    key_is_young(at.key_age_millis) || planted!("resend_after_a_day")
}

/// Another send, if the bounds allow it.
fn again(progress: &Progress, at: Circumstances) -> Option<Next> {
    let wait = wait_before(progress.sends, at);
    let in_time = at.elapsed.saturating_add(wait) <= RESEND_WINDOW;
    (progress.sends < SENDS_MAX && in_time && is_young(at)).then_some(Next::Resend(wait))
}

/// `min(30 s, 0.5 s · 2^(n−1))` times the jitter, and at least `Retry-After`.
fn wait_before(sends: u32, at: Circumstances) -> Duration {
    let doubled = WAIT_FIRST_MILLIS
        .saturating_mul(
            1_u64
                .checked_shl(sends.saturating_sub(1))
                .unwrap_or(u64::MAX),
        )
        .min(WAIT_MAX_MILLIS);
    let waited = Duration::from_millis(doubled.saturating_mul(at.jitter_per_mille) / 1000);
    waited.max(at.retry_after.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::RunEffect;
    use crate::stripe::object::ErrorBody;

    fn at() -> Circumstances {
        Circumstances {
            elapsed: Duration::ZERO,
            key_age_millis: 0,
            retry_after: None,
            jitter_per_mille: 1000,
        }
    }

    fn judged(finding: Finding, resend: bool, replayed: bool) -> Judgement {
        Judgement {
            finding,
            resend,
            automatic: false,
            run: RunEffect::GoOn,
            replayed,
            stored_error: false,
            error: ErrorBody::default(),
        }
    }

    fn transfer() -> Box<Transfer> {
        let body = br#"{"id":"tr_1","object":"transfer","amount":5,"currency":"usd","created":7,"livemode":false}"#;
        Box::new(Transfer::read(body).unwrap())
    }

    fn weigh(before: bool, judgement: &Judgement) -> Next {
        next(
            &mut Progress {
                maybe_executed: before,
                ..Progress::default()
            },
            judgement,
            at(),
        )
    }

    #[test]
    fn a_transfer_settles_whatever_came_before() {
        for before in [false, true] {
            assert_eq!(
                weigh(before, &judged(Finding::Paid(transfer()), false, false)),
                Next::Paid(transfer())
            );
        }
    }

    #[test]
    fn a_definite_no_settles_only_what_was_never_in_doubt() {
        let no = judged(Finding::Declined, false, false);
        assert_eq!(weigh(false, &no), Next::Declined);
        // Scenario 15b: a taken-over attempt is not closed by what happened to the second sender.
        assert!(matches!(weigh(true, &no), Next::Resend(_)));
    }

    #[test]
    fn after_an_unknown_a_refusal_is_asked_for_once_more_and_settles_when_replayed() {
        let mut progress = Progress {
            maybe_executed: true,
            ..Progress::default()
        };
        let fresh = judged(Finding::Declined, false, false);
        assert!(matches!(next(&mut progress, &fresh, at()), Next::Resend(_)));
        assert_eq!(next(&mut progress.clone(), &fresh, at()), Next::Unknown);
        let replayed = judged(Finding::Declined, false, true);
        assert_eq!(next(&mut progress, &replayed, at()), Next::Declined);
    }

    #[test]
    fn a_replayed_refusal_of_an_old_key_settles_nothing() {
        let old = Circumstances {
            key_age_millis: 23 * 3_600_000,
            ..at()
        };
        let mut progress = Progress {
            maybe_executed: true,
            ..Progress::default()
        };
        assert_eq!(
            next(&mut progress, &judged(Finding::Declined, false, true), old),
            Next::Unknown
        );
    }

    #[test]
    fn not_sent_after_an_unknown_stays_unknown() {
        assert_eq!(
            weigh(false, &judged(Finding::NotSent, false, false)),
            Next::NotSent
        );
        assert_eq!(
            weigh(true, &judged(Finding::NotSent, false, false)),
            Next::Unknown
        );
    }

    #[test]
    fn sends_are_bounded_in_number_and_time() {
        let lost = judged(Finding::Unknown, true, false);
        let mut progress = Progress::default();
        let mut waits = Vec::new();
        while let Next::Resend(wait) = next(&mut progress, &lost, at()) {
            waits.push(wait.as_millis());
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000]);
        assert_eq!(progress.sends, SENDS_MAX);
        let late = Circumstances {
            elapsed: Duration::from_secs(120),
            ..at()
        };
        assert_eq!(next(&mut Progress::default(), &lost, late), Next::Unknown);
    }

    #[test]
    fn an_unknown_is_never_sent_again_after_23_hours_nor_when_the_error_is_stored() {
        let lost = judged(Finding::Unknown, true, false);
        let old = Circumstances {
            key_age_millis: 23 * 3_600_000,
            ..at()
        };
        assert_eq!(next(&mut Progress::default(), &lost, old), Next::Unknown);
        let stored = Judgement {
            stored_error: true,
            ..lost
        };
        assert_eq!(weigh(false, &stored), Next::Unknown);
    }

    #[test]
    fn retry_after_is_honoured() {
        let slow = judged(Finding::NotSent, true, false);
        let told = |seconds| Circumstances {
            retry_after: Some(Duration::from_secs(seconds)),
            ..at()
        };
        let wait = |seconds| next(&mut Progress::default(), &slow, told(seconds));
        assert_eq!(wait(7), Next::Resend(Duration::from_secs(7)));
    }

    /// Every pair of answers, exhaustively: nothing but a transfer or a replayed
    /// refusal closes an attempt that may have been executed.
    #[test]
    fn no_two_answers_close_an_attempt_that_may_have_been_executed() {
        let findings = [
            Finding::Paid(transfer()),
            Finding::Mismatch(transfer(), String::new()),
            Finding::Declined,
            Finding::NotSent,
            Finding::Unknown,
        ];
        for first in &findings {
            for second in &findings {
                for (resend, replayed) in
                    [(false, false), (false, true), (true, false), (true, true)]
                {
                    let mut progress = Progress::default();
                    next(&mut progress, &judged(first.clone(), resend, false), at());
                    let doubt = progress.maybe_executed;
                    let ended = next(
                        &mut progress,
                        &judged(second.clone(), resend, replayed),
                        at(),
                    );
                    if doubt && matches!(ended, Next::Declined | Next::NotSent) {
                        assert!(
                            replayed && *second == Finding::Declined,
                            "{first:?} {second:?}"
                        );
                    }
                }
            }
        }
    }
}
