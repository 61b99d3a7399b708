//! The objects that scripts read: a contract under [`SCHEMA`](super::SCHEMA).
//!
//! A field is documented here, is always there, and is `null` when it is not
//! known. Amounts are integers in minor units beside their currency; moments are
//! RFC 3339 in UTC. Nothing else in the crate names a field of these.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::attempt::AnswerRow;
use crate::model::history::HistoryRow;
use crate::model::hold::Hold;
use crate::model::ids::{BatchId, StatementId};
use crate::model::listing::{ListedPayout, Total, Totals};
use crate::model::lookup::LookUp;
use crate::model::money::Currency;
use crate::model::payout::PayoutStatus;
use crate::model::record::{AttemptRecord, PayoutRecord};
use crate::model::standing::RetryOutlook;
use crate::model::time::Time;
use crate::ops::doctor::Check;
use crate::output::reconcile::FindingView;
use crate::output::rows::{Row, csv_fields};

/// A payout, in lists and wherever else one is shown. Also a line of CSV.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PayoutView<'a> {
    /// Primary key.
    pub id: &'a str,
    /// `PENDING`, `PROCESSING`, `COMPLETED` or `FAILED`.
    pub status: &'static str,
    /// Minor units.
    pub amount_cents: i32,
    /// Lowercase code.
    pub currency: &'static str,
    /// Whom it pays.
    pub creator_id: &'a str,
    /// Their name on stage.
    pub creator_name: Option<&'a str>,
    /// The statement it settles.
    pub royalty_statement_id: Option<&'a str>,
    /// `tr_…`, once a transfer is proven.
    pub stripe_transfer_id: Option<&'a str>,
    /// Stripe's code in the last answer; null once it is paid.
    pub failed_code: Option<&'a str>,
    /// Why it failed, in words.
    pub failed_reason: Option<&'a str>,
    /// Failed attempts.
    pub retry_count: i32,
    /// When the last attempt failed.
    pub last_retry_at: Option<String>,
    /// A hold on it, its creator, its batch or everything keeps it from being sent.
    pub held: bool,
    /// Stripe may have made a transfer that is not known here; looked up by the next run.
    pub unresolved: bool,
    /// The batch it was loaded with.
    pub batch_id: Option<&'a str>,
    /// The reference it was loaded under.
    pub reference: Option<&'a str>,
    /// When it was created.
    pub created_at: String,
    /// When any of its columns last changed.
    pub updated_at: String,
    /// The transfer's own time, once it is paid.
    pub processed_at: Option<String>,
    /// What was taken back of its transfer at Stripe, minor units, as far as
    /// `reconcile --fix` or a run has seen it. The payout stays COMPLETED.
    pub reversed_cents: i64,
    /// Of a failed payout: `retry --due` takes it from then on; null when it never does.
    pub next_retry_at: Option<String>,
    /// Of a failed payout that `retry --due` never takes: a word for why.
    pub retry_refusal: Option<&'static str>,
}

csv_fields!(PayoutView<'a>: id, status, amount_cents, currency, creator_id, creator_name, royalty_statement_id, stripe_transfer_id, failed_code, failed_reason, retry_count, last_retry_at, held, unresolved, batch_id, reference, created_at, updated_at, processed_at, reversed_cents, next_retry_at, retry_refusal);

impl<'a> PayoutView<'a> {
    /// Shows a payout whose amount is of this currency.
    pub fn of(listed: &'a ListedPayout, currency: Currency) -> Self {
        let payout = &listed.payout;
        Self {
            id: payout.id.as_str(),
            status: payout.status.as_str(),
            amount_cents: payout.amount_cents,
            currency: currency.as_str(),
            creator_id: payout.creator_id.as_str(),
            creator_name: listed.creator_name.as_deref(),
            royalty_statement_id: payout
                .royalty_statement_id
                .as_ref()
                .map(StatementId::as_str),
            stripe_transfer_id: payout.stripe_transfer_id.as_deref(),
            failed_code: listed.failed_code(),
            failed_reason: payout.failed_reason.as_deref(),
            retry_count: payout.retry_count,
            last_retry_at: moment(payout.last_retry_at),
            held: listed.is_held(),
            unresolved: listed.is_unresolved(),
            batch_id: listed.batch_id.as_ref().map(BatchId::as_str),
            reference: listed.reference.as_deref(),
            created_at: payout.created_at.to_string(),
            updated_at: payout.updated_at.to_string(),
            processed_at: moment(payout.processed_at),
            reversed_cents: listed.reversed_cents,
            next_retry_at: match listed.retry {
                Some(RetryOutlook::From(at)) => Some(at.to_string()),
                _ => None,
            },
            retry_refusal: match listed.retry {
                Some(RetryOutlook::Never(refusal)) => Some(refusal.as_str()),
                _ => None,
            },
        }
    }
}

/// How many payouts, and their sum.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct TotalView {
    /// How many.
    pub count: i64,
    /// Their sum, minor units.
    pub amount_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
}

/// Count and sum for each status, whether or not there is any of it.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub struct TotalsView {
    /// In the queue.
    pub pending: TotalView,
    /// Claimed by a run.
    pub processing: TotalView,
    /// Paid.
    pub completed: TotalView,
    /// Refused or cancelled.
    pub failed: TotalView,
    /// All of them together.
    #[serde(rename = "all")]
    pub all: TotalView,
}

impl TotalsView {
    /// Of sums in this currency.
    pub fn of(totals: &Totals, currency: Currency) -> Self {
        let view = |total: Total| TotalView {
            count: total.count,
            amount_cents: total.amount_cents,
            currency: currency.as_str(),
        };
        Self {
            pending: view(totals.of(PayoutStatus::Pending)),
            processing: view(totals.of(PayoutStatus::Processing)),
            completed: view(totals.of(PayoutStatus::Completed)),
            failed: view(totals.of(PayoutStatus::Failed)),
            all: view(totals.all()),
        }
    }
}

/// What `list` says besides the payouts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListMembers<'a> {
    /// Of all payouts that match, whichever page is shown.
    pub totals: Option<TotalsView>,
    /// What `--after` takes for the next page; null on the last.
    pub next: Option<&'a str>,
}

/// What other lists say besides their rows.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PageMembers<'a> {
    /// What `--after` takes for the next page; null on the last.
    pub next: Option<&'a str>,
}

/// RFC 3339 in UTC with milliseconds.
fn moment(time: Option<Time>) -> Option<String> {
    time.map(|time| time.to_string())
}

/// A payout with everything that is known of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecordView<'a> {
    /// The fields of a list.
    #[serde(flatten)]
    pub payout: PayoutView<'a>,
    /// Whom it pays; null when the row is gone.
    pub creator: Option<CreatorView<'a>>,
    /// The statement it settles.
    pub statement: Option<StatementView<'a>>,
    /// The batch it was loaded with.
    pub batch: Option<BatchView<'a>>,
    /// The holds that apply to it.
    pub holds: Vec<HoldView<'a>>,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptView<'a>>,
    /// When Stripe was looked at for it while it was in doubt, oldest first: the
    /// oldest and the newest of each attempt.
    pub look_ups: Vec<LookUpView<'a>>,
    /// What happened to it, oldest first.
    pub history: Vec<HistoryView<'a>>,
    /// What comparing with Stripe found about it and nobody has repaired.
    pub findings: Vec<FindingView<'a>>,
    /// What happens next and what a person can do, in a sentence for people.
    pub next_step: &'a str,
}

/// Whom a payout pays.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CreatorView<'a> {
    /// Primary key.
    pub id: &'a str,
    /// On stage.
    pub name: &'a str,
    /// Of the user behind the creator.
    pub email: Option<&'a str>,
    /// `acct_…`.
    pub stripe_account_id: Option<&'a str>,
    /// The platform's word on onboarding.
    pub onboarding_status: &'a str,
    /// When the platform deleted the creator.
    pub deleted_at: Option<String>,
}

/// The statement a payout settles.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatementView<'a> {
    /// Primary key.
    pub id: &'a str,
    /// The run that calculated it.
    pub royalty_run_id: &'a str,
    /// `PENDING`, `REVIEWED`, `DISPUTED`, `RESOLVED` or `PAID`.
    pub status: &'static str,
    /// What is owed, minor units.
    pub net_payable_cents: i32,
    /// What its completed payouts, less what was taken back, leave of that, minor units.
    pub rest_cents: Option<i64>,
    /// When the creator objected.
    pub disputed_at: Option<String>,
    /// When its payouts covered it.
    pub paid_at: Option<String>,
    /// The transfer that covered it.
    pub payment_reference: Option<&'a str>,
}

/// The batch a payout was loaded with.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BatchView<'a> {
    /// Primary key.
    pub id: &'a str,
    /// The file's name, or `stdin`.
    pub source: &'a str,
    /// Of the file, lowercase hex.
    pub sha256: &'a str,
    /// The payout's line in the file, counted from 1.
    pub line: Option<i32>,
    /// Who loaded it.
    pub actor: &'a str,
    /// When.
    pub created_at: String,
}

/// A hold.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HoldView<'a> {
    /// `payout`, `creator`, `batch` or `all`.
    pub kind: &'static str,
    /// The id of what is held; null for `all`.
    pub target: Option<&'a str>,
    /// Why.
    pub reason: &'a str,
    /// Who.
    pub actor: &'a str,
    /// Since when.
    pub created_at: String,
    /// When it ends by itself; null where somebody must let go.
    pub ends_at: Option<String>,
}

/// One try at paying.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AttemptView<'a> {
    /// 1, 2, …
    pub attempt: i32,
    /// Stripe's idempotency key.
    pub idempotency_key: &'a str,
    /// `sending`, `unknown`, `paid`, `declined`, `not_sent`, `released` or `surplus`.
    pub outcome: &'static str,
    /// Minor units.
    pub amount_cents: i32,
    /// Lowercase code.
    pub currency: &'static str,
    /// `acct_…` of the creator at that time.
    pub destination: &'a str,
    /// `acct_…` of the platform.
    pub stripe_account: &'a str,
    /// Real money.
    pub livemode: bool,
    /// `Stripe-Version`.
    pub api_version: &'a str,
    /// The run that works or worked on it.
    pub run_id: &'a str,
    /// When it was claimed.
    pub created_at: String,
    /// When it was first sent, by Stripe's clock.
    pub first_sent_at: String,
    /// The last send on record, by this machine's clock.
    pub last_sent_at: Option<String>,
    /// Sends on record.
    pub send_count: i32,
    /// When the outcome became final.
    pub settled_at: Option<String>,
    /// Of the last answer, like the next five.
    pub http_status: Option<i32>,
    /// Stripe's type of error.
    pub error_type: Option<&'a str>,
    /// Stripe's code.
    pub error_code: Option<&'a str>,
    /// Stripe's words.
    pub error_message: Option<&'a str>,
    /// `req_…`, Stripe's handle for support.
    pub request_id: Option<&'a str>,
    /// It was an answer Stripe had stored.
    pub replayed: bool,
    /// `tr_…`, once proven.
    pub transfer_id: Option<&'a str>,
    /// The form body that was sent, as it was.
    pub request_body: &'a str,
    /// Every answer, in the order of the sends.
    pub answers: Vec<AnswerView<'a>>,
}

/// One answer to one send.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AnswerView<'a> {
    /// 1, 2, …
    pub send: i32,
    /// When the request went out.
    pub sent_at: String,
    /// When the answer, or the lack of one, was noticed.
    pub answered_at: String,
    /// Null when no answer came.
    pub http_status: Option<i32>,
    /// `req_…`.
    pub request_id: Option<&'a str>,
    /// It was an answer Stripe had stored.
    pub replayed: bool,
    /// How it was judged.
    pub verdict: &'a str,
    /// The first 4 KB of it as text, or what went wrong instead.
    pub body: &'a str,
}

/// One look-up at Stripe that was done to its end.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LookUpView<'a> {
    /// Of which attempt.
    pub attempt: i32,
    /// When it began.
    pub begun_at: String,
    /// By whom.
    pub run_id: &'a str,
    /// The account of the key it was made with.
    pub stripe_account: &'a str,
    /// The mode of that key: real money.
    pub livemode: bool,
    /// `nothing` or `misfit`.
    pub found: &'static str,
    /// What did not fit.
    pub detail: Option<&'a str>,
}

impl<'a> LookUpView<'a> {
    fn of(look_up: &'a LookUp) -> Self {
        Self {
            attempt: look_up.attempt,
            begun_at: look_up.begun_at.to_string(),
            run_id: look_up.run_id.as_str(),
            stripe_account: &look_up.stripe_account,
            livemode: look_up.livemode,
            found: look_up.found.as_str(),
            detail: look_up.detail.as_deref(),
        }
    }
}

/// One change of a payout.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryView<'a> {
    /// 1, 2, …
    pub seq: i32,
    /// What happened.
    pub event: &'static str,
    /// The status before; null for a new payout.
    pub from_status: Option<&'a str>,
    /// The status after.
    pub to_status: &'a str,
    /// When.
    pub at: String,
    /// Who.
    pub actor: &'a str,
    /// In which run.
    pub run_id: &'a str,
    /// Why, in words.
    pub reason: Option<&'a str>,
    /// Over this row and the one before.
    pub hash: &'a str,
}

/// A cell cannot hold a history: CSV shows what a list would.
impl Row for RecordView<'_> {
    const FIELDS: &'static [&'static str] = PayoutView::FIELDS;
}

impl<'a> RecordView<'a> {
    /// Shows a record.
    pub fn of(record: &'a PayoutRecord, next_step: &'a str, currency: Currency) -> Self {
        Self {
            payout: PayoutView::of(&record.listed, currency),
            creator: record.creator.as_ref().map(|creator| CreatorView {
                id: creator.id.as_str(),
                name: &creator.name,
                email: creator.email.as_deref(),
                stripe_account_id: creator.stripe_account_id.as_deref(),
                onboarding_status: &creator.onboarding_status,
                deleted_at: moment(creator.deleted_at),
            }),
            statement: record.statement.as_ref().map(|statement| StatementView {
                id: statement.id.as_str(),
                royalty_run_id: &statement.royalty_run_id,
                status: statement.status.as_str(),
                net_payable_cents: statement.net_payable_cents,
                rest_cents: record
                    .candidate
                    .as_ref()
                    .and_then(|candidate| candidate.statement.as_ref())
                    .map(|statement| statement.rest_cents),
                disputed_at: moment(statement.disputed_at),
                paid_at: moment(statement.paid_at),
                payment_reference: statement.payment_reference.as_deref(),
            }),
            batch: record.batch.as_ref().map(|batch| BatchView {
                id: batch.id.as_str(),
                source: &batch.source,
                sha256: &batch.sha256,
                line: record.item.as_ref().and_then(|item| item.line),
                actor: &batch.actor,
                created_at: batch.created_at.to_string(),
            }),
            holds: record.holds.iter().map(HoldView::of).collect(),
            attempts: record.attempts.iter().map(AttemptView::of).collect(),
            look_ups: record.look_ups.iter().map(LookUpView::of).collect(),
            history: record.history.iter().map(HistoryView::of).collect(),
            findings: record
                .findings
                .iter()
                .map(|finding| FindingView::of(finding, currency, None))
                .collect(),
            next_step,
        }
    }
}

impl<'a> HoldView<'a> {
    /// Shows a hold.
    pub fn of(hold: &'a Hold) -> Self {
        Self {
            kind: hold.kind.as_str(),
            target: Some(hold.target.as_str()).filter(|target| !target.is_empty()),
            reason: &hold.reason,
            actor: &hold.actor,
            created_at: hold.created_at.to_string(),
            ends_at: hold.ends_at.map(|end| end.to_string()),
        }
    }
}

impl<'a> AttemptView<'a> {
    fn of(record: &'a AttemptRecord) -> Self {
        let attempt = &record.attempt;
        Self {
            attempt: attempt.attempt,
            idempotency_key: &attempt.idempotency_key,
            outcome: attempt.outcome.as_str(),
            amount_cents: attempt.amount_cents,
            currency: attempt.currency.as_str(),
            destination: &attempt.destination,
            stripe_account: &attempt.stripe_account,
            livemode: attempt.livemode,
            api_version: &attempt.api_version,
            run_id: attempt.run_id.as_str(),
            created_at: attempt.created_at.to_string(),
            first_sent_at: attempt.first_sent_at.to_string(),
            last_sent_at: moment(attempt.last_sent_at),
            send_count: attempt.send_count,
            settled_at: moment(attempt.settled_at),
            http_status: attempt.http_status,
            error_type: attempt.error_type.as_deref(),
            error_code: attempt.error_code.as_deref(),
            error_message: attempt.error_message.as_deref(),
            request_id: attempt.request_id.as_deref(),
            replayed: attempt.replayed,
            transfer_id: attempt.transfer_id.as_deref(),
            request_body: &attempt.body,
            answers: record.answers.iter().map(AnswerView::of).collect(),
        }
    }
}

impl<'a> AnswerView<'a> {
    fn of(answer: &'a AnswerRow) -> Self {
        Self {
            send: answer.send,
            sent_at: answer.sent_at.to_string(),
            answered_at: answer.answered_at.to_string(),
            http_status: answer.http_status,
            request_id: answer.request_id.as_deref(),
            replayed: answer.replayed,
            verdict: &answer.verdict,
            body: &answer.body,
        }
    }
}

impl<'a> HistoryView<'a> {
    fn of(row: &'a HistoryRow) -> Self {
        Self {
            seq: row.seq,
            event: row.event.as_str(),
            from_status: row.from_status.as_deref(),
            to_status: &row.to_status,
            at: row.at.to_string(),
            actor: &row.actor,
            run_id: row.run_id.as_str(),
            reason: row.reason.as_deref(),
            hash: &row.hash,
        }
    }
}

/// A migration, and whether it ran here.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MigrationView {
    /// The name, `005_add_payouts_table`.
    pub name: &'static str,
    /// It ran here.
    pub applied: bool,
}
csv_fields!(MigrationView: name, applied);

/// A migration that is still to run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MigrationSqlView {
    /// The name, `005_add_payouts_table`.
    pub name: &'static str,
    /// What it runs.
    pub sql: &'static str,
}
csv_fields!(MigrationSqlView: name, sql);

/// One thing that `doctor` looked at.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CheckView<'a> {
    /// What: `database`, `schema`, `stripe`, …
    pub check: &'a str,
    /// `ok`, `attention` or `failed`.
    pub state: &'static str,
    /// What was found.
    pub found: &'a str,
    /// What to do.
    pub hint: Option<&'a str>,
}
csv_fields!(CheckView<'a>: check, state, found, hint);

impl<'a> CheckView<'a> {
    /// Shows a check.
    pub fn of(check: &'a Check) -> Self {
        Self {
            check: check.name,
            state: check.verdict.as_str(),
            found: &check.found,
            hint: check.hint.as_deref(),
        }
    }
}

/// A setting and where it comes from.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SettingView<'a> {
    /// The variable that sets it.
    pub name: &'a str,
    /// What holds; a secret is `(set)`, a default may be in words.
    pub value: &'a str,
    /// `flag`, `environment`, `.env` or `default`.
    pub origin: String,
}

/// What `doctor` says besides its checks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DoctorMembers<'a> {
    /// Every setting.
    pub settings: &'a [SettingView<'a>],
}

/// What an exit code means.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExitView {
    /// As the shell sees it.
    pub code: u8,
    /// What a script may take it for.
    pub meaning: &'static str,
}
csv_fields!(ExitView: code, meaning);
