//! What to do next about a payout, in plain words.
//!
//! Decided from what is recorded alone: nothing is asked of Stripe, and nothing
//! here promises more than `process` does. Whether a payout may be sent is not
//! judged here but by [`may_send`], the rule that `process` itself goes by.

use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::model::history::HistoryEvent;
use crate::model::hold::HoldKind;
use crate::model::money::{Currency, with_currency};
use crate::model::payout::{Candidate, PayoutStatus, SendRules, Skip, may_send};
use crate::model::record::PayoutRecord;
use crate::model::time::Time;
use crate::ops::process::verdict::key_is_young;
use crate::stripe::classify::advice;

/// What decides besides what is recorded.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// The limits `process` goes by.
    pub rules: SendRules,
    /// Of every amount.
    pub currency: Currency,
    /// Now.
    pub now: Time,
}

/// Says what happens next with a payout and what a person can do about it.
pub fn next_step(record: &PayoutRecord, at: &Circumstances) -> String {
    let payout = &record.listed.payout;
    if let Some(surplus) = record.attempt_with(AttemptOutcome::Surplus) {
        return format!(
            "Stripe made a second transfer for it, {}. A person must compare both in Stripe's dashboard, \
             and reverse the one that is too many.",
            transfer_of(surplus)
        );
    }
    if payout.status == PayoutStatus::Completed {
        return completed(record);
    }
    if let Some(paid) = record.attempt_with(AttemptOutcome::Paid) {
        return format!(
            "Transfer {} was made for it, but the row says {}: other software changed it. Nothing is sent \
             again; a person must find out which of the two is right.",
            transfer_of(paid),
            payout.status
        );
    }
    if let Some(alarm) = record
        .history
        .last()
        .filter(|row| row.event == HistoryEvent::Alarm)
    {
        return format!(
            "Stripe holds something that does not fit: {}. A person must look at it; nothing is sent until then.",
            alarm.reason.as_deref().unwrap_or("see the answers above")
        );
    }
    if let Some(open) = record
        .last_attempt()
        .filter(|attempt| attempt.outcome.is_unresolved())
    {
        return unresolved(record, open, at);
    }
    match payout.status {
        PayoutStatus::Completed => completed(record),
        PayoutStatus::Pending => pending(record, at),
        PayoutStatus::Failed => failed(record),
        PayoutStatus::Processing => {
            "Other software took it for sending, under a key that is not known here. The next `payouts process` \
             looks for its transfer at Stripe and adopts it; this tool does not send it by itself."
                .to_owned()
        }
    }
}

fn completed(record: &PayoutRecord) -> String {
    let payout = &record.listed.payout;
    match (&payout.stripe_transfer_id, payout.processed_at) {
        (Some(transfer), Some(at)) => {
            format!("Nothing: it was paid with transfer {transfer} at {at}.")
        }
        (Some(transfer), None) => format!("Nothing: it was paid with transfer {transfer}."),
        (None, _) => {
            "Other software marked it as paid, and left no transfer id. Look for its transfer in \
                      Stripe's dashboard; this tool does not send it."
                .to_owned()
        }
    }
}

fn unresolved(record: &PayoutRecord, open: &Attempt, at: &Circumstances) -> String {
    if !record.listed.is_unresolved() {
        return format!(
            "Run {} is sending it at this moment. Look again when that has ended.",
            open.run_id
        );
    }
    let looked_up = "Unresolved: Stripe may have made its transfer. The next `payouts process` looks it up and \
                     adopts what it finds";
    let may_resend = !open.stored_error && key_is_young(at.now.millis_since(open.first_sent_at));
    let waiting = record
        .candidate
        .as_ref()
        .map(|candidate| may_send(candidate, &at.rules));
    let then = match waiting {
        _ if !may_resend => {
            "; if it finds nothing, the payout stays unresolved, since sending it again could pay twice: Stripe \
             may have forgotten the key, or has stored an error under it"
                .to_owned()
        }
        Some(Err(skip)) => format!("; it is not sent again as long as this holds: {skip}"),
        _ => "; if it finds nothing, it sends the same request under the same key again, which cannot pay twice"
            .to_owned(),
    };
    match open.error_code.as_deref().or(open.http_status.map(|_| "")) {
        None => format!("{looked_up}{then}."),
        Some(_) => format!(
            "{looked_up}{then}. {}",
            advice(open.error_code.as_deref(), open.http_status)
        ),
    }
}

fn failed(record: &PayoutRecord) -> String {
    match record.last_attempt() {
        Some(last) if last.outcome == AttemptOutcome::Declined => format!(
            "No money moved: Stripe refused it for good. {} It stays FAILED; nothing sends it again by itself.",
            advice(last.error_code.as_deref(), last.http_status)
        ),
        Some(last) => format!(
            "Its last attempt is recorded as {}, but the row says FAILED: other software changed it. Nothing sends \
             it again by itself; a person must look.",
            last.outcome
        ),
        None => "Other software marked it as failed, and may have sent it under a key that is not known here. The \
                 next `payouts process` looks for its transfer at Stripe; this tool never sends it by itself."
            .to_owned(),
    }
}

fn pending(record: &PayoutRecord, at: &Circumstances) -> String {
    let Some(candidate) = &record.candidate else {
        return "The creator's row is gone, so there is nowhere to send it; a person decides."
            .to_owned();
    };
    if !candidate.ours
        && candidate.last_attempt.is_none()
        && candidate.payout.bears_marks_of_a_send()
    {
        return waiting(record, candidate, Skip::MaybeSentElsewhere, at);
    }
    if let Err(skip) = may_send(candidate, &at.rules) {
        return waiting(record, candidate, skip, at);
    }
    match record.last_attempt() {
        None if !candidate.ours => waiting(record, candidate, Skip::NotLookedUp, at),
        Some(last) if last.outcome == AttemptOutcome::NotSent => format!(
            "Due: nothing of its last attempt was executed, and the next `payouts process` sends it under the same \
             key. {}",
            advice(last.error_code.as_deref(), last.http_status)
        ),
        Some(_) => "Due: the next `payouts process` sends it, under a new key.".to_owned(),
        None => "Due: the next `payouts process` sends it.".to_owned(),
    }
}

/// Why a pending payout is not sent, and what would change that.
fn waiting(record: &PayoutRecord, candidate: &Candidate, skip: Skip, at: &Circumstances) -> String {
    let money = |cents: i64| with_currency(cents, at.currency);
    let held = |what: &str, kind: HoldKind| {
        let hold = record.holds.iter().find(|hold| hold.kind == kind);
        match hold {
            Some(hold) => format!(
                "{what} since {}, by {}: {}. It is not sent until the hold is lifted.",
                hold.created_at, hold.actor, hold.reason
            ),
            None => format!("{what}. It is not sent until the hold is lifted."),
        }
    };
    match skip {
        Skip::SwitchOff => held("All sending is stopped", HoldKind::All),
        Skip::PayoutHeld => held("It is held", HoldKind::Payout),
        Skip::CreatorHeld => held("Its creator is held", HoldKind::Creator),
        Skip::BatchHeld => match &candidate.batch_id {
            Some(batch) => format!(
                "Waiting for the release of batch {batch}: look the batch over with `payouts list --batch {batch}`, \
                 then `payouts release {batch}`."
            ),
            None => held("Its batch is held", HoldKind::Batch),
        },
        Skip::CreatorDeleted => {
            "The platform deleted its creator, so it is not sent; a person decides.".to_owned()
        }
        Skip::NoStripeAccount => {
            "Its creator has no Stripe account. It is sent by the first `payouts process` after there is one.".to_owned()
        }
        Skip::StatementDisputed => {
            "Its creator disputes the statement. It is sent once the dispute is resolved.".to_owned()
        }
        Skip::StatementNotPayable => format!(
            "Its statement is {}; it is sent once that is REVIEWED or RESOLVED.",
            candidate.statement.as_ref().map_or("gone", |statement| statement.status.as_str())
        ),
        Skip::StatementTaken => {
            "Another payout of the same statement is in flight. It waits for that one to be settled.".to_owned()
        }
        Skip::StatementExceeded => format!(
            "It is more than what is left of its statement ({}), so it is not sent; a person decides.",
            money(candidate.statement.as_ref().map_or(0, |statement| statement.rest_cents))
        ),
        Skip::NotPositive => {
            "Its amount is not positive, which only other software can have written; it is not sent.".to_owned()
        }
        Skip::BelowMinimum => format!(
            "It is below the minimum of {} (PAYOUTS_MIN_AMOUNT_CENTS), so it is not sent.",
            money(at.rules.min_cents.into())
        ),
        Skip::AboveMaximum => format!(
            "It is above the maximum of {} (PAYOUTS_MAX_AMOUNT_CENTS), so it is not sent; a person decides.",
            money(at.rules.max_cents.into())
        ),
        Skip::MaybeSentElsewhere => {
            "Other software created it and may have sent it under a key that is not known here. The next \
             `payouts process` looks for its transfer at Stripe; this tool never sends it by itself."
                .to_owned()
        }
        Skip::NotLookedUp => {
            "Due: other software created it, so the next `payouts process` looks for its transfer at Stripe first, \
             and sends it when there is none."
                .to_owned()
        }
        Skip::AttemptOpen => "An earlier attempt is unresolved: the next `payouts process` looks it up.".to_owned(),
    }
}

/// The transfer of an attempt that has one.
fn transfer_of(attempt: &Attempt) -> &str {
    attempt.transfer_id.as_deref().unwrap_or("of an unknown id")
}
