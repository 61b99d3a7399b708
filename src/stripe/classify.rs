//! What an answer proves: the outcome table, as data.
//!
//! `type` and `code` are looked at first, then the status. The table speaks of
//! one answer on its own, as if nothing unresolved had been sent before under
//! the key; what earlier sends leave open is weighed in `ops::process::verdict`.
//!
//! Source: Stripe's documentation, "Errors", "Idempotent requests" and
//! "Low-level error handling".

use crate::model::money::Currency;
use crate::stripe::object::{ErrorBody, Transfer};
use crate::stripe::transport::{Exchange, Reply};

/// What a run should do besides settling the payout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEffect {
    /// Go on.
    GoOn,
    /// Halve the rate.
    SlowDown,
    /// Stop: the platform's balance is short.
    StopBalance,
    /// Stop: the key, the account, a permission or the address is wrong.
    StopKey,
    /// Stop: every request would be refused alike.
    StopRequest,
}

/// What one answer says about the money, on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Declined,
    NotSent,
    Unknown,
}

/// A row of the outcome table. The first row that fits decides.
struct Rule {
    codes: &'static [&'static str],
    statuses: &'static [u16],
    fate: Fate,
    /// Sent again under the same key, unless `Stripe-Should-Retry` says otherwise.
    resend: bool,
    /// A new attempt may follow without a person.
    automatic: bool,
    run: RunEffect,
    advice: &'static str,
    /// What its creator is told to do about it; none where it is not theirs to mend.
    theirs: Option<&'static str>,
}

const fn rule(
    codes: &'static [&'static str],
    statuses: &'static [u16],
    fate: Fate,
    advice: &'static str,
) -> Rule {
    Rule {
        codes,
        statuses,
        fate,
        resend: false,
        automatic: false,
        run: RunEffect::GoOn,
        advice,
        theirs: None,
    }
}

static RULES: &[Rule] = &[
    rule(
        &["idempotency_error"],
        &[],
        Fate::Unknown,
        "Stripe holds other parameters under this attempt's key. Look the transfer up in the dashboard by its group; a person decides.",
    ),
    Rule {
        resend: true,
        ..rule(
            &["idempotency_key_in_use"],
            &[],
            Fate::Unknown,
            "Stripe is still working on the first request; the next run looks it up.",
        )
    },
    rule(
        &["approval_required"],
        &[],
        Fate::Unknown,
        "Stripe may make this transfer once somebody approves it in the dashboard. Approve or refuse it there; the next run looks it up.",
    ),
    Rule {
        resend: true,
        run: RunEffect::SlowDown,
        ..rule(
            &["rate_limit", "rate_limit_error"],
            &[],
            Fate::NotSent,
            "Stripe's rate limit was reached; the next run sends it. Lower PAYOUTS_RATE if this repeats.",
        )
    },
    Rule {
        resend: true,
        run: RunEffect::SlowDown,
        ..rule(
            &["lock_timeout"],
            &[],
            Fate::NotSent,
            "Stripe was busy with the same account; the next run sends it.",
        )
    },
    Rule {
        automatic: true,
        run: RunEffect::StopBalance,
        ..rule(
            &["balance_insufficient", "insufficient_funds"],
            &[],
            Fate::Declined,
            "Top up the platform's Stripe balance, then have it retried; a new attempt gets a new key.",
        )
    },
    Rule {
        theirs: Some(
            "Your Stripe account cannot receive transfers yet, because Stripe is missing something about you. Sign in to Stripe, complete what it asks for, and we will send the money again.",
        ),
        ..rule(
            &["insufficient_capabilities_for_transfer"],
            &[],
            Fate::Declined,
            "The creator's Stripe account may not receive transfers. The creator has to finish onboarding; then have it retried.",
        )
    },
    Rule {
        theirs: Some(
            "Your Stripe account is of a kind that we cannot transfer money to. Please get in touch, so that we can set up one that works.",
        ),
        ..rule(
            &["transfers_not_allowed", "not_allowed_on_standard_account"],
            &[],
            Fate::Declined,
            "Stripe does not allow transfers to this kind of account. Check the account's type and service agreement in the dashboard.",
        )
    },
    Rule {
        theirs: Some(
            "Stripe cannot transfer money from us to accounts in your country. Please get in touch, so that we can find another way to pay you.",
        ),
        ..rule(
            &["country_unsupported"],
            &[],
            Fate::Declined,
            "Stripe cannot transfer to the creator's country from this platform. The creator needs another way to be paid.",
        )
    },
    Rule {
        theirs: Some(
            "The Stripe account that we have of you cannot be found: it was closed, or is no longer connected to us. Connect a Stripe account to your profile, and we will send the money again.",
        ),
        ..rule(
            &["resource_missing", "account_closed"],
            &[400],
            Fate::Declined,
            "The creator's Stripe account does not exist for this platform and mode: closed, disconnected, or of the other mode. Correct the creator's account, then have it retried.",
        )
    },
    rule(
        &["amount_too_small", "amount_too_large"],
        &[],
        Fate::Declined,
        "Stripe refuses the amount in this currency. Cancel the payout and create it with another amount.",
    ),
    rule(
        &[
            "request_blocked",
            "action_blocked",
            "anomalous_money_movement_request",
        ],
        &[],
        Fate::Declined,
        "Stripe blocked the transfer. Ask Stripe support, with the request id.",
    ),
    Rule {
        run: RunEffect::StopRequest,
        ..rule(
            &[
                "livemode_mismatch",
                "testmode_charges_only",
                "parameter_unknown",
                "parameter_missing",
                "parameter_invalid_empty",
                "parameter_invalid_integer",
                "parameter_invalid_string_blank",
                "parameter_invalid_string_empty",
                "parameters_exclusive",
            ],
            &[],
            Fate::Declined,
            "Stripe refuses the request itself: mode, account or API version do not fit. Check the key and this program's version.",
        )
    },
    Rule {
        run: RunEffect::StopKey,
        ..rule(
            &[
                "account_invalid",
                "api_key_expired",
                "platform_api_key_expired",
                "secret_key_required",
            ],
            &[],
            Fate::NotSent,
            "Stripe refuses the key. Set a valid STRIPE_SECRET_KEY; the next run sends it.",
        )
    },
    Rule {
        run: RunEffect::StopKey,
        ..rule(
            &[],
            &[401],
            Fate::NotSent,
            "Stripe refuses the key. Set a valid STRIPE_SECRET_KEY; the next run sends it.",
        )
    },
    Rule {
        run: RunEffect::StopKey,
        ..rule(
            &[],
            &[403],
            Fate::NotSent,
            "The key lacks the permission to make transfers. Give it write permission on transfers; the next run sends it.",
        )
    },
    Rule {
        run: RunEffect::StopKey,
        ..rule(
            &[],
            &[404],
            Fate::NotSent,
            "The address does not know transfers. Check STRIPE_API_BASE; the next run sends it.",
        )
    },
    rule(
        &[],
        &[402],
        Fate::Declined,
        "Stripe refused the transfer. Read its message; a person decides.",
    ),
    rule(
        &[],
        &[400],
        Fate::Declined,
        "Stripe refused the transfer for a reason this program does not know. Read its message; a person decides.",
    ),
    Rule {
        resend: true,
        run: RunEffect::SlowDown,
        ..rule(
            &[],
            &[429],
            Fate::NotSent,
            "Stripe's rate limit was reached; the next run sends it. Lower PAYOUTS_RATE if this repeats.",
        )
    },
    Rule {
        resend: true,
        ..rule(
            &[],
            &[409],
            Fate::Unknown,
            "Stripe is still working on the first request; the next run looks it up.",
        )
    },
    Rule {
        resend: true,
        ..rule(
            &[],
            &[424, 500, 502, 503, 504],
            Fate::Unknown,
            "Stripe failed in the middle; whether the transfer exists is unknown. The next run looks it up and never sends it under a new key by itself.",
        )
    },
];

/// What holds for anything the table does not name.
static ANYTHING_ELSE: Rule = rule(
    &[],
    &[],
    Fate::Unknown,
    "The answer was not Stripe's; whether the transfer exists is unknown. The next run looks it up.",
);

/// What holds when no whole answer came.
const NO_ANSWER: &str = "No answer came, so whether the transfer exists is unknown. The next run looks it up and never sends it under a new key by itself.";

/// What an answer proves on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The transfer exists and is the one that was asked for.
    Paid(Box<Transfer>),
    /// A transfer was answered that is not the one that was asked for.
    Mismatch(Box<Transfer>, String),
    /// A definite no.
    Declined,
    /// Nothing of it was executed.
    NotSent,
    /// It may have been executed.
    Unknown,
}

/// An answer, judged on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What it proves.
    pub finding: Finding,
    /// Sending the same bytes under the same key again may tell more.
    pub resend: bool,
    /// After a definite no: a new attempt may follow without a person.
    pub automatic: bool,
    /// What the run should do.
    pub run: RunEffect,
    /// Stripe's stored answer.
    pub replayed: bool,
    /// Stripe stored a server error under the key: resending tells nothing more.
    pub stored_error: bool,
    /// Stripe's words, or ours where it said nothing.
    pub error: ErrorBody,
}

impl Judgement {
    /// The finding in a word, and the code: for the record of answers.
    pub fn verdict(&self) -> String {
        let word = match &self.finding {
            Finding::Paid(_) => "paid",
            Finding::Mismatch(..) => "mismatch",
            Finding::Declined => "declined",
            Finding::NotSent => "not_sent",
            Finding::Unknown => "unknown",
        };
        match &self.error.code {
            Some(code) => format!("{word}: {code}"),
            None => word.to_owned(),
        }
    }
}

/// What was asked for; a transfer must match all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Minor units.
    pub amount_cents: i32,
    /// Lowercase code.
    pub currency: Currency,
    /// `acct_…`.
    pub destination: String,
    /// Real money.
    pub livemode: bool,
    /// `metadata[payout_id]`.
    pub payout_id: String,
}

impl Expected {
    /// The first thing about a transfer that is not as expected.
    pub fn mismatch(&self, transfer: &Transfer) -> Option<String> {
        let differs = |what: &str, expected: &str, found: &str| {
            (expected != found).then(|| format!("{what} is {found}, expected {expected}"))
        };
        let named = transfer
            .metadata
            .get("payout_id")
            .map_or("missing", String::as_str);
        differs(
            "amount",
            &self.amount_cents.to_string(),
            &transfer.amount.to_string(),
        )
        .or_else(|| differs("currency", self.currency.as_str(), &transfer.currency))
        .or_else(|| {
            differs(
                "destination",
                &self.destination,
                transfer.destination.as_deref().unwrap_or("missing"),
            )
        })
        .or_else(|| {
            differs(
                "livemode",
                &self.livemode.to_string(),
                &transfer.livemode.to_string(),
            )
        })
        .or_else(|| differs("metadata[payout_id]", &self.payout_id, named))
    }
}

/// Judges what came back from sending a transfer.
pub fn classify(exchange: &Exchange, expected: &Expected) -> Judgement {
    match exchange {
        Exchange::NotWritten { reason } => {
            without_answer(Finding::NotSent, "connection_failed", reason)
        }
        Exchange::Lost { reason, .. } => without_answer(Finding::Unknown, "no_answer", reason),
        Exchange::Answered(reply) if reply.status == 200 => judge_success(reply, expected),
        Exchange::Answered(reply) => judge_error(reply),
    }
}

fn without_answer(finding: Finding, code: &str, reason: &str) -> Judgement {
    Judgement {
        finding,
        resend: true,
        automatic: false,
        run: RunEffect::GoOn,
        replayed: false,
        stored_error: false,
        error: ErrorBody {
            kind: None,
            code: Some(code.to_owned()),
            message: Some(reason.to_owned()),
            param: None,
        },
    }
}

fn judge_success(reply: &Reply, expected: &Expected) -> Judgement {
    let (finding, error) = match Transfer::read(&reply.body) {
        // A 200 that is no transfer says nothing about the money.
        Err(error) => (Finding::Unknown, said_by_us(UNREADABLE, error.to_string())),
        Ok(transfer) => match expected.mismatch(&transfer) {
            None => (Finding::Paid(Box::new(transfer)), ErrorBody::default()),
            Some(what) => {
                let error = said_by_us(
                    "transfer_differs",
                    format!("transfer {}: {what}", transfer.id),
                );
                (Finding::Mismatch(Box::new(transfer), what), error)
            }
        },
    };
    let resend = finding == Finding::Unknown && reply.should_retry != Some(false);
    Judgement {
        finding,
        resend,
        automatic: false,
        run: RunEffect::GoOn,
        replayed: reply.replayed,
        stored_error: false,
        error,
    }
}

fn said_by_us(code: &str, message: String) -> ErrorBody {
    ErrorBody {
        kind: None,
        code: Some(code.to_owned()),
        message: Some(message),
        param: None,
    }
}

fn judge_error(reply: &Reply) -> Judgement {
    let error = ErrorBody::read(&reply.body);
    let rule = rule_for(error.as_ref(), reply.status);
    let replayed_refusal = reply.replayed && matches!(rule.fate, Fate::Declined | Fate::NotSent);
    let finding = match rule.fate {
        // A stored answer is the answer of the one execution under the key.
        _ if replayed_refusal => Finding::Declined,
        Fate::Declined => Finding::Declined,
        Fate::NotSent => Finding::NotSent,
        Fate::Unknown => Finding::Unknown,
    };
    let resend = finding != Finding::Declined && reply.should_retry.unwrap_or(rule.resend);
    Judgement {
        finding,
        resend,
        automatic: rule.automatic,
        // What Stripe stored speaks of the day it was stored, not of this run.
        run: if replayed_refusal {
            RunEffect::GoOn
        } else {
            rule.run
        },
        replayed: reply.replayed,
        stored_error: reply.replayed && reply.status >= 500,
        error: error.unwrap_or_else(|| {
            said_by_us(
                UNREADABLE,
                format!("HTTP {} without a Stripe error", reply.status),
            )
        }),
    }
}

/// The row that decides. A refusal that does not come in Stripe's own form may
/// come from something in between, and proves nothing.
fn rule_for(error: Option<&ErrorBody>, status: u16) -> &'static Rule {
    let names = |word: Option<&str>, rule: &Rule| word.is_some_and(|w| rule.codes.contains(&w));
    let fits_status = |rule: &Rule| rule.statuses.is_empty() || rule.statuses.contains(&status);
    if let Some(error) = error {
        let by_name = RULES.iter().find(|rule| {
            fits_status(rule)
                && (names(error.code.as_deref(), rule) || names(error.kind.as_deref(), rule))
        });
        if let Some(rule) = by_name {
            return rule;
        }
    }
    RULES
        .iter()
        .filter(|rule| rule.codes.is_empty())
        .find(|rule| rule.statuses.contains(&status))
        .filter(|rule| error.is_some() || rule.resend)
        .unwrap_or(&ANYTHING_ELSE)
}

/// The code of an answer that is not in Stripe's own form.
const UNREADABLE: &str = "unreadable_answer";

/// What a person should do about an attempt that ended with this code, type or status.
pub fn advice(
    error_code: Option<&str>,
    error_type: Option<&str>,
    http_status: Option<i32>,
) -> &'static str {
    if matches!(error_code, Some("no_answer")) {
        return NO_ANSWER;
    }
    if matches!(error_code, Some("connection_failed")) {
        return "No connection to Stripe could be made. Check the network and STRIPE_API_BASE; the next run sends it.";
    }
    if matches!(error_code, Some("transfer_differs")) {
        return "Stripe holds a transfer that is not the one that was asked for. Compare it in the dashboard; a person decides.";
    }
    let status = http_status.and_then(|s| u16::try_from(s).ok()).unwrap_or(0);
    if status == 0 && error_code.is_none() {
        return NO_ANSWER;
    }
    // Stripe's errors need not have a code.
    let error = (error_code != Some(UNREADABLE)).then(|| ErrorBody {
        code: error_code.map(str::to_owned),
        kind: error_type.map(str::to_owned),
        ..ErrorBody::default()
    });
    rule_for(error.as_ref(), status).advice
}

/// What its creator can do about a definite no with this code and status, in words for them;
/// none where it is not theirs to mend.
pub fn advice_to_creator(error_code: &str, http_status: i32) -> Option<&'static str> {
    let status = u16::try_from(http_status).ok()?;
    let rule = RULES
        .iter()
        .find(|rule| rule.codes.contains(&error_code))
        .filter(|rule| rule.statuses.is_empty() || rule.statuses.contains(&status))?;
    rule.theirs
}

/// Whether a definite no with this code may be tried again without a person.
pub fn may_retry_automatically(error_code: &str) -> bool {
    RULES
        .iter()
        .any(|rule| rule.automatic && rule.codes.contains(&error_code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use RunEffect::{GoOn, SlowDown, StopBalance, StopKey, StopRequest};

    fn expected() -> Expected {
        Expected {
            amount_cents: 500,
            currency: Currency::USD,
            destination: "acct_1".into(),
            livemode: false,
            payout_id: "cp1".into(),
        }
    }

    fn answered(status: u16, body: &str, replayed: bool) -> Exchange {
        Exchange::Answered(Reply {
            status,
            replayed,
            body: body.into(),
            ..Reply::default()
        })
    }

    fn error(code: &str) -> String {
        format!(r#"{{"error":{{"type":"invalid_request_error","code":"{code}","message":"no"}}}}"#)
    }

    fn transfer(amount: i64, payout: &str) -> String {
        format!(
            r#"{{"id":"tr_1","object":"transfer","amount":{amount},"currency":"usd","created":7,
                "livemode":false,"destination":"acct_1","metadata":{{"payout_id":"{payout}"}}}}"#
        )
    }

    /// Every row of the table: status, code, then outcome, resend, automatic, run.
    #[test]
    fn the_outcome_table_row_by_row() {
        const NO: &str = "declined";
        const NS: &str = "not_sent";
        const UN: &str = "unknown";
        let rows: &[(u16, &str, &str, bool, bool, RunEffect)] = &[
            (400, "balance_insufficient", NO, false, true, StopBalance),
            (400, "insufficient_funds", NO, false, true, StopBalance),
            (
                400,
                "insufficient_capabilities_for_transfer",
                NO,
                false,
                false,
                GoOn,
            ),
            (400, "resource_missing", NO, false, false, GoOn),
            (400, "account_closed", NO, false, false, GoOn),
            (400, "transfers_not_allowed", NO, false, false, GoOn),
            (
                400,
                "not_allowed_on_standard_account",
                NO,
                false,
                false,
                GoOn,
            ),
            (400, "country_unsupported", NO, false, false, GoOn),
            (400, "amount_too_small", NO, false, false, GoOn),
            (400, "amount_too_large", NO, false, false, GoOn),
            (400, "livemode_mismatch", NO, false, false, StopRequest),
            (400, "testmode_charges_only", NO, false, false, StopRequest),
            (400, "parameter_unknown", NO, false, false, StopRequest),
            (400, "parameter_missing", NO, false, false, StopRequest),
            (400, "request_blocked", NO, false, false, GoOn),
            (403, "action_blocked", NO, false, false, GoOn),
            (
                402,
                "anomalous_money_movement_request",
                NO,
                false,
                false,
                GoOn,
            ),
            (400, "approval_required", UN, false, false, GoOn),
            (402, "approval_required", UN, false, false, GoOn),
            (403, "account_invalid", NS, false, false, StopKey),
            (401, "api_key_expired", NS, false, false, StopKey),
            (401, "platform_api_key_expired", NS, false, false, StopKey),
            (401, "secret_key_required", NS, false, false, StopKey),
            (401, "", NS, false, false, StopKey),
            (403, "more_permissions_required", NS, false, false, StopKey),
            (404, "resource_missing", NS, false, false, StopKey),
            (404, "", NS, false, false, StopKey),
            (402, "card_declined", NO, false, false, GoOn),
            (400, "something_new", NO, false, false, GoOn),
            (400, "", NO, false, false, GoOn),
            (409, "idempotency_key_in_use", UN, true, false, GoOn),
            (409, "", UN, true, false, GoOn),
            (429, "lock_timeout", NS, true, false, SlowDown),
            (429, "rate_limit", NS, true, false, SlowDown),
            (400, "rate_limit", NS, true, false, SlowDown),
            (429, "", NS, true, false, SlowDown),
            (424, "", UN, true, false, GoOn),
            (500, "", UN, true, false, GoOn),
            (502, "", UN, true, false, GoOn),
            (503, "", UN, true, false, GoOn),
            (504, "", UN, true, false, GoOn),
            (501, "", UN, false, false, GoOn),
            (307, "", UN, false, false, GoOn),
            (418, "", UN, false, false, GoOn),
        ];
        for (status, code, outcome, resend, automatic, run) in rows {
            let body = if code.is_empty() {
                r#"{"error":{"type":"api_error"}}"#.to_owned()
            } else {
                error(code)
            };
            let judged = classify(&answered(*status, &body, false), &expected());
            let word = judged.verdict();
            assert_eq!(
                (
                    word.split(':').next().unwrap(),
                    judged.resend,
                    judged.automatic,
                    judged.run
                ),
                (*outcome, *resend, *automatic, *run),
                "{status} {code}"
            );
        }
    }

    #[test]
    fn every_row_of_the_table_can_be_reached() {
        for rule in RULES {
            for code in rule.codes {
                let status = rule.statuses.first().copied().unwrap_or(400);
                let body = ErrorBody {
                    code: Some((*code).to_owned()),
                    ..ErrorBody::default()
                };
                assert!(std::ptr::eq(rule_for(Some(&body), status), rule), "{code}");
            }
            if rule.codes.is_empty() {
                for status in rule.statuses {
                    assert!(
                        std::ptr::eq(rule_for(Some(&ErrorBody::default()), *status), rule),
                        "{status}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_matching_transfer_is_paid_and_any_difference_is_not() {
        let judge = |body: String| classify(&answered(200, &body, false), &expected()).finding;
        assert!(matches!(judge(transfer(500, "cp1")), Finding::Paid(t) if t.id == "tr_1"));
        assert!(
            matches!(judge(transfer(501, "cp1")), Finding::Mismatch(_, what) if what.contains("amount is 501"))
        );
        assert!(matches!(judge(transfer(500, "cp2")), Finding::Mismatch(..)));
        assert!(matches!(
            judge(transfer(500, "cp1").replace("acct_1", "acct_2")),
            Finding::Mismatch(..)
        ));
        assert!(matches!(
            judge(transfer(500, "cp1").replace("usd", "eur")),
            Finding::Mismatch(..)
        ));
        assert!(matches!(
            judge(transfer(500, "cp1").replace("false", "true")),
            Finding::Mismatch(..)
        ));
        assert_eq!(judge("<html>".into()), Finding::Unknown);
        assert_eq!(judge("{}".into()), Finding::Unknown);
    }

    #[test]
    fn a_refusal_that_is_not_in_stripes_form_proves_nothing() {
        for status in [400, 401, 402, 403, 404] {
            let judged = classify(&answered(status, "<html>proxy</html>", false), &expected());
            assert_eq!(
                (judged.finding, judged.resend),
                (Finding::Unknown, false),
                "{status}"
            );
        }
        let judged = classify(&answered(503, "<html>", false), &expected());
        assert_eq!((judged.finding, judged.resend), (Finding::Unknown, true));
    }

    #[test]
    fn a_replayed_refusal_is_definite_and_a_replayed_500_settles_nothing() {
        for status in [400, 401, 402, 403, 404] {
            let judged = classify(&answered(status, &error("x"), true), &expected());
            assert_eq!(
                (judged.finding, judged.run),
                (Finding::Declined, GoOn),
                "{status}"
            );
        }
        let stored = classify(
            &answered(400, &error("balance_insufficient"), true),
            &expected(),
        );
        assert_eq!((stored.finding, stored.run), (Finding::Declined, GoOn));
        let judged = classify(&answered(500, &error("x"), true), &expected());
        assert_eq!(
            (judged.finding, judged.stored_error),
            (Finding::Unknown, true)
        );
    }

    #[test]
    fn no_connection_is_a_no_and_no_answer_is_not() {
        let reason = String::from("refused");
        let judged = classify(
            &Exchange::NotWritten {
                reason: reason.clone(),
            },
            &expected(),
        );
        assert_eq!((judged.finding, judged.resend), (Finding::NotSent, true));
        let judged = classify(
            &Exchange::Lost {
                reason,
                status: Some(200),
            },
            &expected(),
        );
        assert_eq!((judged.finding, judged.resend), (Finding::Unknown, true));
    }

    #[test]
    fn stripe_decides_about_a_resend_when_it_says_so() {
        let judge = |status: u16, should_retry: bool| {
            let reply = Reply {
                status,
                should_retry: Some(should_retry),
                body: error("x").into(),
                ..Reply::default()
            };
            classify(&Exchange::Answered(reply), &expected()).resend
        };
        assert!(!judge(500, false));
        assert!(!judge(429, false));
        assert!(judge(401, true));
        assert!(
            !judge(400, true),
            "a definite no is never sent again under its key"
        );
    }

    // What is kept of an answer leads to the row of the table that judged it.
    #[test]
    fn advice_speaks_of_what_the_answer_was_judged_to_be() {
        let bodies = [
            r#"{"error":{"type":"invalid_request_error","message":"no"}}"#,
            r#"{"error":{"type":"idempotency_error","message":"other parameters"}}"#,
            r#"{"error":{"type":"invalid_request_error","code":"whatever","message":"no"}}"#,
            "<html>Bad Request</html>",
        ];
        for body in bodies {
            for status in [400, 401, 402, 403, 404, 409, 418, 429, 500, 503] {
                let error = ErrorBody::read(body.as_bytes());
                let row = rule_for(error.as_ref(), status);
                let kept = classify(&answered(status, body, false), &expected()).error;
                let advice = advice(
                    kept.code.as_deref(),
                    kept.kind.as_deref(),
                    Some(i32::from(status)),
                );
                assert_eq!(advice, row.advice, "{status} {body}");
            }
        }
    }

    #[test]
    fn what_a_creator_can_mend_is_for_certain_and_not_retried_by_itself() {
        let of_creators: Vec<&Rule> = RULES.iter().filter(|rule| rule.theirs.is_some()).collect();
        assert!(!of_creators.is_empty());
        for rule in of_creators {
            assert!(matches!(rule.fate, Fate::Declined) && !rule.automatic);
            for code in rule.codes {
                assert_eq!(advice_to_creator(code, 400), rule.theirs, "{code}");
            }
        }
        assert_eq!(advice_to_creator("balance_insufficient", 400), None);
        assert_eq!(advice_to_creator("resource_missing", 404), None);
        assert_eq!(advice_to_creator("", 400), None);
    }

    #[test]
    fn advice_is_keyed_by_code_and_never_empty() {
        let by_code = |code: Option<&str>, status| advice(code, None, status);
        assert!(by_code(Some("balance_insufficient"), Some(400)).contains("Top up"));
        assert!(by_code(None, None).contains("No answer"));
        assert!(by_code(Some("whatever"), Some(400)).contains("does not know"));
        assert!(may_retry_automatically("balance_insufficient"));
        assert!(!may_retry_automatically("resource_missing"));
    }
}
