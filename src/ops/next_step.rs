//! What to do next about a payout, in plain words.
//!
//! Decided from what is recorded alone: nothing is asked of Stripe, and nothing
//! here promises more than `process` does. Whether a payout may be sent is not
//! judged here but by [`may_send`], the rule that `process` itself goes by.

use crate::model::attempt::{Attempt, AttemptOutcome, PAYOUT_ID_CHARS_MAX};
use crate::model::history::HistoryEvent;
use crate::model::hold::{Hold, HoldKind};
use crate::model::ids::StatementId;
use crate::model::money::{Currency, with_currency};
use crate::model::payout::{Candidate, PayoutStatus, SendRules, Skip, may_send};
use crate::model::reconciliation::{Finding, FindingKind, FindingState};
use crate::model::record::{PaymentDoubt, PayoutRecord};
use crate::model::standing::{Refusal, RetryOutlook};
use crate::model::time::Time;
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
    if let Some(surplus) = record.second_transfer() {
        return second_transfer(surplus);
    }
    if payout.status == PayoutStatus::Completed {
        return completed(record, at.currency);
    }
    if let Some(finding) = record.payment_found() {
        return found(finding);
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
        PayoutStatus::Completed => completed(record, at.currency),
        PayoutStatus::Pending => pending(record, at),
        PayoutStatus::Failed => failed(record, at),
        PayoutStatus::Processing if record.attempts.is_empty() => format!(
            "Other software took it for sending, under a key that is not known here. The next `payouts process` \
             looks for its transfer at Stripe and adopts it; this tool does not send it by itself. {}.",
            resolved_by_hand(record)
        ),
        PayoutStatus::Processing => {
            "Other software took it for sending, under a key that is not known here. The next `payouts process` \
             looks for its transfer at Stripe and adopts it; this tool does not send it by itself."
                .to_owned()
        }
    }
}

/// What a comparison with Stripe says of a payout that is not recorded as paid.
fn found(finding: &Finding) -> String {
    let transfer = finding.transfer_id.as_deref().unwrap_or_default();
    match finding.state {
        FindingState::Accepted => format!(
            "Transfer {transfer} names it, and a person accepted that ({}): {}. It is never sent; \
             `payouts cancel` ends it.",
            finding.id,
            finding.reason.as_deref().unwrap_or("without a reason")
        ),
        FindingState::Open | FindingState::Fixed => format!(
            "Transfer {transfer} names it, so that it may be paid, and nothing is sent: {} ({}). {}.",
            finding.kind.meaning(),
            finding.id,
            finding.next_step()
        ),
    }
}

fn completed(record: &PayoutRecord, currency: Currency) -> String {
    let payout = &record.listed.payout;
    match record.payment_doubt() {
        // What was taken back is told first.
        None | Some(PaymentDoubt::NoTransfer) => {}
        Some(doubt) => return doubted(record, doubt, currency),
    }
    if record.listed.reversed_cents > 0 {
        return format!(
            "Nothing: it was paid, and {} of it was taken back at Stripe. It stays COMPLETED and is never sent \
             again; what is owed again is paid with a new payout.",
            with_currency(record.listed.reversed_cents, currency)
        );
    }
    match (&payout.stripe_transfer_id, payout.processed_at) {
        (Some(transfer), Some(at)) => {
            format!("Nothing: it was paid with transfer {transfer} at {at}.")
        }
        (Some(transfer), None) => format!("Nothing: it was paid with transfer {transfer}."),
        (None, _) => NO_TRANSFER.to_owned(),
    }
}

/// Why a row that says COMPLETED needs a person all the same.
fn doubted(record: &PayoutRecord, doubt: PaymentDoubt<'_>, currency: Currency) -> String {
    let payout = &record.listed.payout;
    match doubt {
        PaymentDoubt::Finding(finding) => {
            let contradicts =
                finding.kind.is_alarm() || finding.kind == FindingKind::MissingAtStripe;
            format!(
                "{}: {} ({}). {}.",
                if contradicts {
                    "Its row says COMPLETED, and a comparison with Stripe says otherwise"
                } else {
                    "It was paid, and a comparison with Stripe found more"
                },
                finding.kind.meaning(),
                finding.id,
                finding.next_step()
            )
        }
        PaymentDoubt::SecondTransfer(second) => second_transfer(second),
        PaymentDoubt::Unresolved(open) => format!(
            "Its row says COMPLETED, and attempt {} of this tool is {}: nobody knows whether Stripe made a transfer \
             for that one too. The next `payouts process` looks it up.",
            open.attempt, open.outcome
        ),
        PaymentDoubt::OtherTransfer(last) => format!(
            "Its row says that it was paid with {}, and attempt {} of this tool is {}{}: other software wrote \
             the row. `payouts reconcile` says which of it Stripe knows.",
            payout
                .stripe_transfer_id
                .as_deref()
                .unwrap_or("no transfer"),
            last.attempt,
            last.outcome,
            last.transfer_id
                .as_deref()
                .map_or_else(String::new, |id| format!(" with {id}")),
        ),
        PaymentDoubt::OtherAmount(paying) => format!(
            "Its row says {}, and the transfer that attempt {} of this tool made was over {}: other software changed \
             the row. A person must find out which of the two is right.",
            with_currency(payout.amount_cents.into(), currency),
            paying.attempt,
            with_currency(paying.amount_cents.into(), paying.currency)
        ),
        PaymentDoubt::OtherStatement(paying) => format!(
            "It was paid for statement {}, and its row says {}: other software changed the row. A person must find \
             out which of the two is right.",
            paying
                .royalty_statement_id
                .as_ref()
                .map_or("none", StatementId::as_str),
            payout
                .royalty_statement_id
                .as_ref()
                .map_or("none", StatementId::as_str)
        ),
        PaymentDoubt::NoTransfer => NO_TRANSFER.to_owned(),
    }
}

/// Of a row that says COMPLETED without a transfer.
const NO_TRANSFER: &str = "Other software marked it as paid, and left no transfer id. Look for its transfer in \
                           Stripe's dashboard; this tool does not send it.";

fn second_transfer(second: &Attempt) -> String {
    format!(
        "Stripe made a second transfer for it, {}. A person must compare both in Stripe's dashboard, \
         and reverse the one that is too many.",
        transfer_of(second)
    )
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
    let may_resend = !open.stored_error && open.key_is_young(at.now, 0);
    let waiting = record
        .candidate
        .as_ref()
        .map(|candidate| may_send(candidate, &at.rules));
    let then = match waiting {
        _ if !may_resend => format!(
            "; if it finds nothing, the payout stays unresolved, since sending it again could pay twice: Stripe \
             may have forgotten the key, or has stored an error under it. {}",
            resolved_by_hand(record)
        ),
        Some(Err(skip)) => format!("; it is not sent again as long as this holds: {skip}"),
        _ => "; if it finds nothing, it sends the same request under the same key again, which cannot pay twice"
            .to_owned(),
    };
    match open.error_code.as_deref() {
        // What there is to say about that is said.
        None | Some("no_answer") => format!("{looked_up}{then}."),
        code => format!(
            "{looked_up}{then}. {}",
            advice(code, open.error_type.as_deref(), open.http_status)
        ),
    }
}

/// What a person can do about a payout that nothing resolves by itself. When that
/// may be, `resolve` says: it knows the run, and looks again.
fn resolved_by_hand(record: &PayoutRecord) -> String {
    let id = &record.listed.payout.id;
    format!(
        "`payouts resolve {id}` looks at once, and says from when on a person may decide: `--paid tr_…` records the \
         transfer that paid it, `--release --reason TEXT` lets go of it after two look-ups an hour apart that found \
         nothing"
    )
}

fn failed(record: &PayoutRecord, at: &Circumstances) -> String {
    if record.listed.cancelled {
        let sent = record
            .attempts
            .iter()
            .any(|one| one.attempt.outcome == AttemptOutcome::Declined);
        let how = if sent {
            "after Stripe had refused it"
        } else {
            "without having been sent"
        };
        if record.attempt_with(AttemptOutcome::Released).is_some() {
            return format!(
                "Nothing: it was cancelled {how}, and that is final. An earlier attempt was closed without proof; \
                 should Stripe complete that one, every run says so. What is still owed needs a new payout."
            );
        }
        return format!(
            "Nothing: it was cancelled {how}, and that is final. What is still owed needs a new payout; its \
             reference and its statement are free."
        );
    }
    match record.last_attempt() {
        Some(last) if last.outcome == AttemptOutcome::Declined => format!(
            "{} {} {}",
            if record.attempt_with(AttemptOutcome::Released).is_some() {
                "Stripe refused its last attempt for good."
            } else {
                "No money moved: Stripe refused it for good."
            },
            advice(
                last.error_code.as_deref(),
                last.error_type.as_deref(),
                last.http_status
            ),
            retried(record, at)
        ),
        Some(last) => format!(
            "Its last attempt is recorded as {}, but the row says FAILED: other software changed it. Nothing sends \
             it again by itself; a person must look.",
            last.outcome
        ),
        None => format!(
            "Other software marked it as failed, and may have sent it under a key that is not known here. \
             `payouts process` looks for its transfer at Stripe during the 35 days after its last change, \
             `payouts reconcile --from DAY` as far back as that; this tool never sends it by itself. {}.",
            resolved_by_hand(record)
        ),
    }
}

/// What a person can do to have a refused payout sent again.
fn retried(record: &PayoutRecord, at: &Circumstances) -> String {
    let payout = &record.listed.payout;
    let command = format!("`payouts retry {}`", payout.id);
    match record.listed.retry {
        None => format!("{command} puts it back to PENDING, for a new attempt under a new key."),
        Some(RetryOutlook::From(due)) if due <= at.now => format!(
            "It is due again: `payouts retry --due`, or {command}, puts it back to PENDING, for a new attempt under \
             a new key."
        ),
        Some(RetryOutlook::From(due)) => format!(
            "`payouts retry --due` puts it back to PENDING from {due} on, {command} at once, for a new attempt under \
             a new key."
        ),
        Some(RetryOutlook::Never(Refusal::NotAutomatic)) => {
            format!("Then {command} puts it back to PENDING, for a new attempt under a new key.")
        }
        Some(RetryOutlook::Never(Refusal::Released)) => format!(
            "An earlier attempt was closed without proof, and Stripe may still complete that one, so that only a \
             person goes on: {command} puts it back to PENDING, for a new attempt under a new key, `payouts cancel {} \
             --reason TEXT` ends it.",
            payout.id
        ),
        Some(RetryOutlook::Never(Refusal::AttemptsUsedUp)) => format!(
            "It failed {} times, so that only `payouts retry {} --force` puts it back to PENDING.",
            payout.retry_count, payout.id
        ),
        Some(RetryOutlook::Never(refusal)) => {
            format!("It is not retried: {}.", refusal.in_words())
        }
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
            advice(
                last.error_code.as_deref(),
                last.error_type.as_deref(),
                last.http_status
            )
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
                "{what} since {}, by {}: {}. It is not sent until the hold is lifted, with `{}`{}.",
                hold.created_at,
                hold.actor,
                hold.reason,
                release(hold),
                hold.ends_at
                    .map_or_else(String::new, |end| format!(", or ends by itself at {end}"))
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
        Skip::AboveTotal => {
            "It is more than one run, or all runs of a day, may pay (PAYOUTS_MAX_RUN_TOTAL_CENTS, \
             PAYOUTS_MAX_DAY_TOTAL_CENTS). Raise the limit if it is meant, or cancel it."
                .to_owned()
        }
        Skip::NotApproved => {
            let made = candidate.approval.as_ref().and_then(|facts| facts.maker.as_deref());
            let others = made.map_or_else(String::new, |maker| format!(", other than {maker}"));
            let given = candidate.approval.iter().any(|facts| !facts.approvals.is_empty());
            let void = if given {
                " The approval it has was given for something else than the payout is now, or by somebody who does \
                 not count."
            } else {
                ""
            };
            format!(
                "A second person{others} has to approve it: `payouts approve {}`.{void}",
                candidate.payout.id
            )
        }
        Skip::Cancelled => {
            "It was cancelled, and other software set it back to PENDING. It is never sent; what is still owed needs \
             a new payout."
                .to_owned()
        }
        Skip::CreatorDeleted => {
            "The platform deleted its creator, so it is not sent; a person decides.".to_owned()
        }
        Skip::NoStripeAccount => {
            "Its creator has no Stripe account. It is sent by the first `payouts process` after there is one.".to_owned()
        }
        Skip::StatementOfAnother => {
            "Its statement is owed to another creator, so it is not sent; a person decides whom it should pay."
                .to_owned()
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
        Skip::IdNotSendable => format!(
            "Its id cannot be part of a request to Stripe, which takes at most {PAYOUT_ID_CHARS_MAX} characters of \
             plain ASCII, not none, and no space around them. It is sent once the software that made it has given \
             it another id; else a person ends it and pays with a new payout."
        ),
        Skip::BelowMinimum => format!(
            "It is below the minimum of {} (PAYOUTS_MIN_AMOUNT_CENTS), so it is not sent.",
            money(at.rules.min_cents.into())
        ),
        Skip::AboveMaximum => format!(
            "It is above the maximum of {} (PAYOUTS_MAX_AMOUNT_CENTS), so it is not sent; a person decides.",
            money(at.rules.max_cents.into())
        ),
        Skip::MaybeSentElsewhere => {
            format!(
                "Other software created it and may have sent it under a key that is not known here. The next \
                 `payouts process` looks for its transfer at Stripe; this tool never sends it by itself. {}.",
                resolved_by_hand(record)
            )
        }
        Skip::NotLookedUp => {
            "Due: other software created it, so the next `payouts process` looks for its transfer at Stripe first, \
             and sends it when there is none."
                .to_owned()
        }
        Skip::PaidBefore => {
            "An attempt of it made a transfer, and something set it back to PENDING. It is never sent; a person \
             compares it with Stripe."
                .to_owned()
        }
        Skip::NotAgreed => "It was not in the plan that was agreed to; the next `payouts process` plans anew.".to_owned(),
        Skip::AttemptOpen => "An earlier attempt is unresolved: the next `payouts process` looks it up.".to_owned(),
    }
}

/// The command that lifts a hold.
fn release(hold: &Hold) -> String {
    match hold.kind {
        HoldKind::Payout | HoldKind::Batch => format!("payouts release {}", hold.target),
        HoldKind::Creator => format!("payouts release --creator {}", hold.target),
        HoldKind::All => "payouts release --all".to_owned(),
    }
}

/// The transfer of an attempt that has one.
fn transfer_of(attempt: &Attempt) -> &str {
    attempt.transfer_id.as_deref().unwrap_or("of an unknown id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attempt::{Attempt, AttemptOutcome};
    use crate::model::batch::BatchItem;
    use crate::model::history::HistoryRow;
    use crate::model::ids::{BatchId, CreatorId, PayoutId, RunId};
    use crate::model::listing::{LastAttempt, ListedPayout};
    use crate::model::native_enum::RoyaltyStatementStatus;
    use crate::model::payout::{CandidateStatement, Payout};
    use crate::model::record::{AttemptRecord, ReversalStep};

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    /// A payout of this tool's own that nothing stands against.
    struct Case {
        record: PayoutRecord,
        run_ended: bool,
    }

    fn case(status: PayoutStatus) -> Case {
        let payout = Payout {
            id: PayoutId::new("p1"),
            creator_id: CreatorId::new("cr1"),
            royalty_statement_id: None,
            amount_cents: 50_000,
            stripe_transfer_id: None,
            status,
            processed_at: None,
            failed_reason: None,
            retry_count: 0,
            last_retry_at: None,
            created_at: at("2026-10-01T08:00:00Z"),
            updated_at: at("2026-10-01T08:00:00Z"),
        };
        let candidate = Candidate {
            payout: payout.clone(),
            destination: Some("acct_1".to_owned()),
            creator_deleted: false,
            statement: None,
            batch_id: None,
            reference: None,
            ours: true,
            cancelled: false,
            transferred: false,
            holds: Vec::new(),
            batch_held_since: None,
            approval: None,
            last_attempt: None,
        };
        let record = PayoutRecord {
            listed: ListedPayout {
                payout,
                creator_name: None,
                batch_id: None,
                reference: None,
                on_hold: false,
                last_attempt: None,
                reversed_cents: 0,
                cancelled: false,
                retry: None,
            },
            candidate: Some(candidate),
            creator: None,
            statement: None,
            batch: None,
            item: Some(BatchItem {
                payout_id: PayoutId::new("p1"),
                batch_id: None,
                line: None,
                reference: None,
            }),
            holds: Vec::new(),
            attempts: Vec::new(),
            look_ups: Vec::new(),
            reversals: Vec::new(),
            history: Vec::new(),
            findings: Vec::new(),
        };
        Case {
            record,
            run_ended: true,
        }
    }

    impl Case {
        fn payout(mut self, change: impl Fn(&mut Payout)) -> Self {
            change(&mut self.record.listed.payout);
            self.candidate(|candidate| change(&mut candidate.payout))
        }

        fn candidate(mut self, change: impl FnOnce(&mut Candidate)) -> Self {
            if let Some(candidate) = &mut self.record.candidate {
                change(candidate);
            }
            self
        }

        fn of_others(mut self) -> Self {
            self.record.item = None;
            self.candidate(|candidate| candidate.ours = false)
        }

        fn held(mut self, kind: HoldKind) -> Self {
            self.record.listed.on_hold = true;
            self.record.holds.push(Hold {
                kind,
                target: "x".to_owned(),
                reason: "looks odd".to_owned(),
                actor: "ann".to_owned(),
                created_at: at("2026-10-02T08:00:00Z"),
                ends_at: None,
            });
            self.candidate(|candidate| candidate.holds.push(kind))
        }

        fn statement(self, change: impl FnOnce(&mut CandidateStatement)) -> Self {
            let mut statement = CandidateStatement {
                status: RoyaltyStatementStatus::Reviewed,
                rest_cents: 50_000,
                taken_by_another: false,
                creator_id: CreatorId::new("cr1"),
            };
            change(&mut statement);
            self.payout(|payout| payout.royalty_statement_id = Some(StatementId::new("st1")))
                .candidate(|candidate| candidate.statement = Some(statement))
        }

        fn attempt(mut self, outcome: AttemptOutcome, change: impl FnOnce(&mut Attempt)) -> Self {
            let number = i32::try_from(self.record.attempts.len()).unwrap() + 1;
            let mut attempt = Attempt {
                payout_id: PayoutId::new("p1"),
                attempt: number,
                idempotency_key: format!("payout_p1_{number}"),
                body: String::new(),
                amount_cents: 50_000,
                currency: Currency::USD,
                destination: "acct_1".to_owned(),
                transfer_group: "p1".to_owned(),
                royalty_statement_id: None,
                stripe_account: "acct_platform".to_owned(),
                livemode: false,
                api_version: String::new(),
                run_id: RunId::new("run1"),
                outcome,
                created_at: at("2026-10-05T08:00:00Z"),
                first_sent_at: at("2026-10-05T08:00:00Z"),
                last_sent_at: None,
                send_count: 1,
                stored_error: false,
                settled_at: None,
                http_status: None,
                error_type: None,
                error_code: None,
                error_message: None,
                request_id: None,
                replayed: false,
                transfer_id: None,
            };
            change(&mut attempt);
            self.record.attempts.push(AttemptRecord {
                attempt,
                answers: Vec::new(),
            });
            self.candidate(|candidate| candidate.last_attempt = Some((number, outcome)))
        }

        fn alarm(mut self, reason: &str) -> Self {
            self.record.history.push(HistoryRow {
                payout_id: PayoutId::new("p1"),
                seq: 1,
                event: HistoryEvent::Alarm,
                from_status: Some("PROCESSING".to_owned()),
                to_status: "PROCESSING".to_owned(),
                at: at("2026-10-05T08:00:00Z"),
                actor: "cron".to_owned(),
                run_id: RunId::new("run1"),
                reason: Some(reason.to_owned()),
                hash: String::new(),
            });
            self
        }

        /// An hour after the attempts.
        #[track_caller]
        fn says(self, words: &[&str]) -> String {
            self.says_at("2026-10-05T09:00:00Z", words)
        }

        #[track_caller]
        fn says_at(mut self, now: &str, words: &[&str]) -> String {
            let run_ended = self.run_ended;
            self.record.listed.last_attempt = self.record.last_attempt().map(|last| LastAttempt {
                outcome: last.outcome,
                error_code: last.error_code.clone(),
                error_type: last.error_type.clone(),
                http_status: last.http_status,
                run_ended,
            });
            let circumstances = Circumstances {
                rules: SendRules {
                    min_cents: 100,
                    max_cents: 1_000_000,
                    total_max_cents: None,
                    approval: None,
                    named_batch: None,
                },
                currency: Currency::USD,
                now: at(now),
            };
            let said = next_step(&self.record, &circumstances);
            for words in words {
                assert!(said.contains(words), "{words:?} is missing in: {said}");
            }
            assert!(
                said.ends_with('.') && !said.contains("..") && !said.contains("  "),
                "{said}"
            );
            said
        }
    }

    use AttemptOutcome as O;
    use PayoutStatus::{Completed, Failed, Pending, Processing};

    #[test]
    fn what_is_paid_needs_nothing() {
        case(Completed)
            .payout(|payout| {
                payout.stripe_transfer_id = Some("tr_1".to_owned());
                payout.processed_at = Some(at("2026-10-05T08:00:01Z"));
            })
            .attempt(O::Paid, |attempt| {
                attempt.transfer_id = Some("tr_1".to_owned());
            })
            .says(&["Nothing: it was paid with transfer tr_1 at 2026-10-05T08:00:01.000Z"]);
        case(Completed).of_others().says(&["left no transfer id"]);
        let mut reversed = case(Completed);
        reversed.record.listed.reversed_cents = 30_000;
        reversed.says(&["300.00 USD of it was taken back", "never sent again"]);
    }

    #[test]
    fn a_second_transfer_and_one_that_does_not_fit_come_before_all_else() {
        case(Completed)
            .payout(|payout| payout.stripe_transfer_id = Some("tr_1".to_owned()))
            .attempt(O::Paid, |attempt| {
                attempt.transfer_id = Some("tr_1".to_owned());
            })
            .attempt(O::Surplus, |attempt| {
                attempt.transfer_id = Some("tr_2".to_owned());
            })
            .says(&["second transfer", "tr_2", "reverse"]);
        case(Processing)
            .attempt(O::Unknown, |_| ())
            .alarm("two transfers name it")
            .says(&[
                "two transfers name it",
                "A person must look",
                "nothing is sent",
            ]);
    }

    #[test]
    fn a_row_that_says_completed_is_not_believed_against_the_ledger() {
        let paid = |change: fn(&mut Attempt)| {
            case(Completed)
                .payout(|payout| payout.stripe_transfer_id = Some("tr_1".to_owned()))
                .attempt(O::Paid, |attempt| {
                    attempt.transfer_id = Some("tr_1".to_owned());
                    change(attempt);
                })
        };
        paid(|_| ()).says(&["Nothing: it was paid with transfer tr_1"]);
        paid(|attempt| attempt.amount_cents = 40_000).says(&[
            "Its row says 500.00 USD",
            "over 400.00 USD",
            "other software changed the row",
        ]);
        paid(|attempt| attempt.royalty_statement_id = Some(StatementId::new("st1")))
            .says(&["paid for statement st1, and its row says none"]);
        paid(|attempt| attempt.transfer_id = Some("tr_9".to_owned()))
            .says(&["paid with tr_1", "is paid with tr_9"]);
        paid(|_| ()).attempt(O::Unknown, |_| ()).says(&[
            "attempt 2 of this tool is unknown",
            "The next `payouts process` looks it up",
        ]);
        // Found on an attempt that was let go of before a later one was refused.
        paid(|_| ())
            .attempt(O::Declined, |_| ())
            .says(&["Nothing: it was paid with transfer tr_1"]);
    }

    #[test]
    fn a_second_transfer_that_was_taken_back_whole_needs_nothing_more() {
        let with = |total_cents| {
            let mut case = case(Completed)
                .payout(|payout| payout.stripe_transfer_id = Some("tr_1".to_owned()))
                .attempt(O::Paid, |attempt| {
                    attempt.transfer_id = Some("tr_1".to_owned());
                })
                .attempt(O::Surplus, |attempt| {
                    attempt.transfer_id = Some("tr_2".to_owned());
                });
            case.record.reversals.push(ReversalStep {
                transfer_id: "tr_2".to_owned(),
                taken_cents: total_cents,
                total_cents,
                seen_at: at("2026-10-06T08:00:00Z"),
            });
            case
        };
        with(49_999).says(&["second transfer"]);
        with(50_000).says(&["Nothing: it was paid with transfer tr_1"]);
    }

    #[test]
    fn a_paid_attempt_of_a_row_that_others_set_back_is_never_due() {
        let said = case(Pending)
            .attempt(O::Paid, |attempt| {
                attempt.transfer_id = Some("tr_1".to_owned());
            })
            .says(&[
                "tr_1",
                "PENDING",
                "other software changed it",
                "Nothing is sent",
            ]);
        assert!(!said.contains("Due"), "{said}");
    }

    #[test]
    fn what_a_live_run_sends_is_waited_for() {
        let mut sending = case(Processing).attempt(O::Sending, |_| ());
        sending.run_ended = false;
        sending.says(&["Run run1 is sending it"]);
    }

    #[test]
    fn what_is_unresolved_is_looked_up_by_the_next_run() {
        for outcome in [O::Sending, O::Unknown] {
            case(Processing).attempt(outcome, |_| ()).says(&[
                "Unresolved",
                "The next `payouts process` looks it up",
                "the same request under the same key again",
            ]);
        }
        case(Processing)
            .attempt(O::Unknown, |attempt| {
                attempt.http_status = Some(409);
                attempt.error_code = Some("approval_required".to_owned());
            })
            .says(&[
                "Unresolved",
                advice(Some("approval_required"), None, Some(409)),
            ]);
    }

    #[test]
    fn what_could_pay_twice_is_not_sent_again() {
        let old = case(Processing).attempt(O::Unknown, |_| ());
        old.says_at(
            "2026-10-06T07:00:01Z",
            &[
                "stays unresolved",
                "could pay twice",
                "`payouts resolve p1` looks at once",
                "`--release --reason TEXT` lets go of it",
            ],
        );
        let young = case(Processing).attempt(O::Unknown, |_| ());
        young.says_at("2026-10-06T06:59:59Z", &["under the same key again"]);
        case(Processing)
            .attempt(O::Unknown, |attempt| attempt.stored_error = true)
            .says(&["stays unresolved"]);
    }

    #[test]
    fn what_is_unresolved_and_held_is_only_looked_up() {
        case(Processing)
            .attempt(O::Unknown, |_| ())
            .held(HoldKind::Creator)
            .says(&[
                "looks it up",
                "not sent again as long as this holds: creator is held",
            ]);
    }

    #[test]
    fn a_definite_no_says_what_to_do_by_its_code() {
        case(Failed)
            .attempt(O::Declined, |attempt| {
                attempt.http_status = Some(400);
                attempt.error_code = Some("balance_insufficient".to_owned());
            })
            .says(&[
                "No money moved",
                advice(Some("balance_insufficient"), None, Some(400)),
                "`payouts retry p1` puts it back to PENDING",
            ]);
    }

    // Not every refusal of Stripe has a code.
    #[test]
    fn a_definite_no_without_a_code_is_one() {
        let said = case(Failed)
            .attempt(O::Declined, |attempt| {
                attempt.http_status = Some(400);
                attempt.error_type = Some("invalid_request_error".to_owned());
            })
            .says(&[
                "No money moved",
                "Stripe refused the transfer",
                "a person decides",
            ]);
        assert!(!said.contains("unknown"), "{said}");
    }

    #[test]
    fn a_refused_payout_says_how_it_is_sent_again() {
        let with = |retry: RetryOutlook| {
            let mut case = case(Failed)
                .attempt(O::Declined, |attempt| {
                    attempt.http_status = Some(400);
                    attempt.error_code = Some("resource_missing".to_owned());
                })
                .payout(|payout| payout.retry_count = 5);
            case.record.listed.retry = Some(retry);
            case
        };
        // Cases are looked at an hour after their attempts.
        with(RetryOutlook::From(at("2026-10-05T09:00:00Z"))).says(&[
            "due again",
            "`payouts retry --due`",
            "`payouts retry p1`",
        ]);
        with(RetryOutlook::From(at("2026-10-05T09:00:01Z"))).says(&[
            "`payouts retry --due` puts it back to PENDING from 2026-10-05T09:00:01.000Z on",
            "`payouts retry p1` at once",
        ]);
        with(RetryOutlook::Never(Refusal::NotAutomatic))
            .says(&["Correct the creator's account", "Then `payouts retry p1`"]);
        with(RetryOutlook::Never(Refusal::AttemptsUsedUp))
            .says(&["It failed 5 times", "only `payouts retry p1 --force`"]);
        with(RetryOutlook::Never(Refusal::StatementTaken))
            .says(&["It is not retried: another payout of its statement"]);
    }

    #[test]
    fn what_was_let_go_of_and_refused_since_is_left_to_a_person() {
        let refused = |cancelled| {
            let mut case =
                case(Failed)
                    .attempt(O::Released, |_| ())
                    .attempt(O::Declined, |attempt| {
                        attempt.http_status = Some(400);
                        attempt.error_code = Some("resource_missing".to_owned());
                    });
            case.record.listed.retry = Some(RetryOutlook::Never(Refusal::Released));
            case.record.listed.cancelled = cancelled;
            case
        };
        let said = refused(false).says(&[
            "Stripe refused its last attempt for good",
            "An earlier attempt was closed without proof",
            "`payouts retry p1` puts it back to PENDING",
            "`payouts cancel p1 --reason TEXT` ends it",
        ]);
        assert!(!said.contains("No money moved"), "{said}");
        let said = refused(true).says(&["it was cancelled", "should Stripe complete that one"]);
        assert!(!said.contains("its statement are free"), "{said}");
    }

    #[test]
    fn what_was_cancelled_is_over() {
        let mut cancelled = case(Failed).attempt(O::Declined, |_| ());
        cancelled.record.listed.cancelled = true;
        cancelled.says(&["Nothing: it was cancelled", "new payout"]);
        case(Pending)
            .candidate(|candidate| candidate.cancelled = true)
            .says(&["other software set it back", "never sent"]);
    }

    #[test]
    fn rows_of_other_software_are_looked_up_and_never_sent_blindly() {
        case(Processing)
            .of_others()
            .says(&["Other software", "looks for its transfer"]);
        case(Failed).of_others().says(&[
            "Other software marked it as failed",
            "never sends it by itself",
        ]);
        case(Failed)
            .attempt(O::NotSent, |_| ())
            .says(&["recorded as not_sent", "other software changed it"]);
        case(Pending)
            .of_others()
            .payout(|payout| payout.retry_count = 1)
            .says(&["may have sent it", "never sends it by itself"]);
        case(Pending)
            .of_others()
            .says(&["Due", "looks for its transfer at Stripe first"]);
    }

    #[test]
    fn what_is_due_is_sent_by_the_next_run() {
        assert_eq!(
            case(Pending).says(&[]),
            "Due: the next `payouts process` sends it."
        );
        case(Pending)
            .attempt(O::Declined, |_| ())
            .says(&["Due", "under a new key"]);
        case(Pending)
            .attempt(O::NotSent, |attempt| {
                attempt.http_status = Some(429);
                attempt.error_code = Some("rate_limit".to_owned());
            })
            .says(&[
                "Due",
                "under the same key",
                advice(Some("rate_limit"), None, Some(429)),
            ]);
    }

    #[test]
    fn a_held_batch_waits_for_its_release() {
        let batch = || BatchId::new("b1");
        case(Pending)
            .candidate(|candidate| candidate.batch_id = Some(batch()))
            .held(HoldKind::Batch)
            .says(&[
                "release of batch b1",
                "`payouts list --batch b1`",
                "`payouts release b1`",
            ]);
    }

    #[test]
    fn every_other_hold_says_who_and_why() {
        for (kind, what, release) in [
            (HoldKind::Payout, "It is held since", "`payouts release x`"),
            (
                HoldKind::Creator,
                "Its creator is held since",
                "`payouts release --creator x`",
            ),
            (
                HoldKind::All,
                "All sending is stopped since",
                "`payouts release --all`",
            ),
        ] {
            case(Pending).held(kind).says(&[
                what,
                "2026-10-02T08:00:00.000Z",
                "by ann: looks odd",
                release,
            ]);
        }
    }

    #[test]
    fn everything_else_that_keeps_it_back_is_named() {
        let pending = || case(Pending);
        pending()
            .candidate(|c| c.creator_deleted = true)
            .says(&["deleted its creator"]);
        pending()
            .candidate(|c| c.destination = None)
            .says(&["no Stripe account"]);
        pending()
            .payout(|p| p.amount_cents = 0)
            .says(&["not positive"]);
        pending()
            .payout(|p| p.amount_cents = 99)
            .says(&["minimum of 1.00 USD", "PAYOUTS_MIN_AMOUNT_CENTS"]);
        pending()
            .payout(|p| p.amount_cents = 1_000_001)
            .says(&["maximum of 10,000.00 USD"]);
        pending()
            .statement(|s| s.status = RoyaltyStatementStatus::Disputed)
            .says(&["disputes"]);
        pending()
            .statement(|s| s.status = RoyaltyStatementStatus::Paid)
            .says(&["statement is PAID"]);
        pending()
            .statement(|s| s.taken_by_another = true)
            .says(&["in flight"]);
        pending()
            .statement(|s| s.rest_cents = 49_999)
            .says(&["left of its statement (499.99 USD)"]);
        pending().statement(|_| ()).says(&["Due"]);
        let mut gone = case(Pending);
        gone.record.candidate = None;
        gone.says(&["creator's row is gone"]);
    }
}
