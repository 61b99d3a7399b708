//! The JSON of what is brought in and what it stands on: creators, statements,
//! batches, and the answers of `create` and `import`.
//!
//! A contract: a field keeps its name and meaning. Amounts are integers in minor
//! units, times RFC 3339 in UTC; what is unknown is null and never missing.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::batch::Batch;
use crate::model::creator::Creator;
use crate::model::event::AccountState;
use crate::model::hold::Hold;
use crate::model::ids::PayoutId;
use crate::model::listing::{ListedPayout, Totals};
use crate::model::money::Currency;
use crate::model::payout::Payout;
use crate::model::statement::{RoyaltyRun, StatementAccount};
use crate::model::time::Time;
use crate::ops::create::Created;
use crate::ops::fault::{Faults, RowFault};
use crate::ops::from_statements::{FromStatements, Line, Outcome, Reason};
use crate::ops::import::Imported;
use crate::output::SCHEMA;
use crate::output::json::{HoldView, PayoutView, TotalsView};
use crate::output::rows::csv_fields;

/// Ids that one answer lists; the batch holds all of them.
pub const IDS_MAX: usize = 1000;

/// A creator.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CreatorView {
    /// Primary key.
    pub id: String,
    /// The name on stage and on screen.
    pub name: String,
    /// Of the user behind it.
    pub email: Option<String>,
    /// `acct_…`, where payouts go.
    pub stripe_account_id: Option<String>,
    /// The platform's word.
    pub onboarding_status: String,
    /// Set when the platform deleted the creator.
    pub deleted_at: Option<String>,
    /// When the row was made.
    pub created_at: String,
}
csv_fields!(CreatorView: id, name, email, stripe_account_id, onboarding_status, deleted_at, created_at);

impl From<&Creator> for CreatorView {
    fn from(creator: &Creator) -> Self {
        Self {
            id: creator.id.to_string(),
            name: creator.name.clone(),
            email: creator.email.clone(),
            stripe_account_id: creator.stripe_account_id.clone(),
            onboarding_status: creator.onboarding_status.clone(),
            deleted_at: creator.deleted_at.map(|time| time.to_string()),
            created_at: creator.created_at.to_string(),
        }
    }
}

/// The answer of `creators show`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CreatorShowView<'a> {
    /// The version of this contract.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// Who.
    pub creator: CreatorView,
    /// Why nothing is paid to them; null when nothing holds them.
    pub hold: Option<HoldView<'a>>,
    /// What the newest event says of their Stripe account; null where none came.
    pub account_state: Option<AccountStateView<'a>>,
    /// What the payouts come to, by status, as in `list`.
    pub totals: TotalsView,
    /// The newest ten.
    pub payouts: Vec<PayoutBriefView>,
    /// Lowercase code.
    pub currency: &'static str,
}

impl<'a> CreatorShowView<'a> {
    /// Of a creator, the hold on them, what is known of their account, and the newest
    /// payouts.
    pub fn new(
        creator: &Creator,
        hold: Option<&'a Hold>,
        account: Option<&'a AccountState>,
        totals: &Totals,
        payouts: &[Payout],
        currency: Currency,
    ) -> Self {
        Self {
            schema: SCHEMA,
            creator: CreatorView::from(creator),
            hold: hold.map(HoldView::of),
            account_state: account.map(AccountStateView::from),
            totals: TotalsView::of(totals, currency),
            payouts: payouts
                .iter()
                .map(|payout| PayoutBriefView::of(payout, currency))
                .collect(),
            currency: currency.as_str(),
        }
    }
}

/// What Stripe says of an account.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AccountStateView<'a> {
    /// Stripe's word for the capability to take transfers: `active`, `inactive`, …
    pub transfers: &'a str,
    /// Stripe's word for why it is not active.
    pub disabled_reason: Option<&'a str>,
    /// When Stripe said so.
    pub as_of: String,
}

impl<'a> From<&'a AccountState> for AccountStateView<'a> {
    fn from(state: &'a AccountState) -> Self {
        Self {
            transfers: &state.transfers,
            disabled_reason: state.disabled_reason.as_deref(),
            as_of: state.as_of.to_string(),
        }
    }
}

/// A payout among others: `show` has all of it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PayoutBriefView {
    /// Primary key.
    pub id: String,
    /// Where it stands.
    pub status: &'static str,
    /// Minor units.
    pub amount_cents: i32,
    /// Lowercase code.
    pub currency: &'static str,
    /// The statement it settles.
    pub royalty_statement_id: Option<String>,
    /// `tr_…`, once a transfer is proven.
    pub stripe_transfer_id: Option<String>,
    /// When it was created.
    pub created_at: String,
    /// The transfer's own time, once COMPLETED.
    pub processed_at: Option<String>,
}

impl PayoutBriefView {
    /// Of a payout in the database's currency.
    pub fn of(payout: &Payout, currency: Currency) -> Self {
        Self {
            id: payout.id.to_string(),
            status: payout.status.as_str(),
            amount_cents: payout.amount_cents,
            currency: currency.as_str(),
            royalty_statement_id: payout
                .royalty_statement_id
                .as_ref()
                .map(ToString::to_string),
            stripe_transfer_id: payout.stripe_transfer_id.clone(),
            created_at: payout.created_at.to_string(),
            processed_at: payout.processed_at.map(|time| time.to_string()),
        }
    }
}

/// A loaded file.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BatchView {
    /// Primary key.
    pub id: String,
    /// The file's name, or `stdin`.
    pub source: String,
    /// Of the file's bytes, lowercase hex.
    pub sha256: String,
    /// Payouts created from it.
    pub payout_count: i32,
    /// Their sum.
    pub total_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
    /// Nothing of it is paid before it is released.
    pub held: bool,
    /// Who loaded it.
    pub actor: String,
    /// The run that loaded it.
    pub run_id: String,
    /// When.
    pub created_at: String,
}
csv_fields!(BatchView: id, source, sha256, payout_count, total_cents, currency, held, actor, run_id, created_at);

impl BatchView {
    /// Of a batch, in the database's currency.
    pub fn new(batch: &Batch, currency: Currency, held: bool) -> Self {
        Self {
            id: batch.id.to_string(),
            source: batch.source.clone(),
            sha256: batch.sha256.clone(),
            payout_count: batch.payout_count,
            total_cents: batch.total_cents,
            currency: currency.as_str(),
            held,
            actor: batch.actor.clone(),
            run_id: batch.run_id.to_string(),
            created_at: batch.created_at.to_string(),
        }
    }
}

/// The answer of `batches show`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BatchShowView<'a> {
    /// The version of this contract.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// The batch.
    pub batch: BatchView,
    /// Why nothing of it is paid; null when it is not held.
    pub hold: Option<HoldView<'a>>,
    /// Who let it go; null while it is held.
    pub released_by: Option<String>,
    /// When it was let go; null while it is held.
    pub released_at: Option<String>,
    /// What its payouts come to, by status, as in `list`.
    pub totals: TotalsView,
}

impl<'a> BatchShowView<'a> {
    /// Of a batch. `released` is who let it go, and when.
    pub fn new(
        batch: BatchView,
        hold: Option<&'a Hold>,
        released: Option<&(String, Time)>,
        totals: &Totals,
        currency: Currency,
    ) -> Self {
        Self {
            schema: SCHEMA,
            batch,
            hold: hold.map(HoldView::of),
            released_by: released.map(|(actor, _)| actor.clone()),
            released_at: released.map(|(_, at)| at.to_string()),
            totals: TotalsView::of(totals, currency),
        }
    }
}

/// A royalty statement.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StatementView {
    /// Primary key.
    pub id: String,
    /// The run that calculated it.
    pub royalty_run_id: String,
    /// The first moment of the run's period.
    pub period_start: String,
    /// The last.
    pub period_end: String,
    /// Whom it is owed to.
    pub creator_id: String,
    /// The name on stage and on screen.
    pub creator_name: String,
    /// Before the platform's fee.
    pub total_earnings_cents: i32,
    /// The platform's fee.
    pub platform_fee_cents: i32,
    /// What is owed.
    pub net_payable_cents: i32,
    /// What was paid of it.
    pub completed_cents: i64,
    /// Of that sum, what was taken back at Stripe.
    pub reversed_cents: i64,
    /// What is on its way.
    pub in_flight_cents: i64,
    /// What is owed and not yet paid, in flight or not.
    pub left_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
    /// Where it stands.
    pub status: &'static str,
    /// When the creator objected.
    pub disputed_at: Option<String>,
    /// When its payouts covered it.
    pub paid_at: Option<String>,
    /// The transfer that covered it.
    pub payment_reference: Option<String>,
    /// When the row was made.
    pub created_at: String,
    /// When any column last changed.
    pub updated_at: String,
}
csv_fields!(StatementView: id, royalty_run_id, period_start, period_end, creator_id, creator_name, total_earnings_cents, platform_fee_cents, net_payable_cents, completed_cents, reversed_cents, in_flight_cents, left_cents, currency, status, disputed_at, paid_at, payment_reference, created_at, updated_at);

impl StatementView {
    /// Of a statement, its creator's name and its run.
    pub fn new(
        account: &StatementAccount,
        creator_name: &str,
        run: &RoyaltyRun,
        currency: Currency,
    ) -> Self {
        let statement = &account.statement;
        Self {
            id: statement.id.to_string(),
            royalty_run_id: statement.royalty_run_id.clone(),
            period_start: run.period_start.to_string(),
            period_end: run.period_end.to_string(),
            creator_id: statement.creator_id.to_string(),
            creator_name: creator_name.to_owned(),
            total_earnings_cents: statement.total_earnings_cents,
            platform_fee_cents: statement.platform_fee_cents,
            net_payable_cents: statement.net_payable_cents,
            completed_cents: account.completed_cents,
            reversed_cents: account.reversed_cents,
            in_flight_cents: account.in_flight_cents,
            left_cents: account.left_cents(),
            currency: currency.as_str(),
            status: statement.status.as_str(),
            disputed_at: statement.disputed_at.map(|time| time.to_string()),
            paid_at: statement.paid_at.map(|time| time.to_string()),
            payment_reference: statement.payment_reference.clone(),
            created_at: statement.created_at.to_string(),
            updated_at: statement.updated_at.to_string(),
        }
    }
}

/// The answer of `statements show`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StatementShowView {
    /// The version of this contract.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// The statement.
    pub statement: StatementView,
    /// All its payouts, newest first.
    pub payouts: Vec<PayoutBriefView>,
}

/// Something wrong with a row or an argument.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FaultView {
    /// The line an editor shows, counted from 1; null for an argument.
    pub line: Option<u64>,
    /// The column's name, or the argument's.
    pub column: String,
    /// What stands there, the first 200 characters of it.
    pub value: String,
    /// A fixed word for what kind of fault it is.
    pub kind: &'static str,
    /// What is wrong, for people.
    pub reason: String,
}
csv_fields!(FaultView: line, column, value, kind, reason);

impl From<&RowFault> for FaultView {
    fn from(fault: &RowFault) -> Self {
        Self {
            line: fault.line,
            column: fault.column.clone(),
            value: fault.value.clone(),
            kind: fault.kind.as_str(),
            reason: fault.reason.clone(),
        }
    }
}

/// The answer of `create`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CreateView<'a> {
    /// The version of this contract.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// Nothing was written: this is what would have been.
    pub dry_run: bool,
    /// The batch, also when the file was loaded before; null for a single payout,
    /// for a dry run, and when nothing was new.
    pub batch: Option<BatchView>,
    /// The file was loaded before: nothing was done.
    pub loaded_before: bool,
    /// New payouts.
    pub created: usize,
    /// Payouts that were there already under their reference.
    pub already_loaded: usize,
    /// Sum of the new payouts.
    pub total_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
    /// The first 1000 new ids.
    pub payouts: Vec<String>,
    /// The payout, as `list` shows it, when one was asked for by arguments.
    pub payout: Option<PayoutView<'a>>,
    /// Statements below the minimum, left until they are worth a payout; null where
    /// payouts were not asked for by statements, as are the next four.
    pub carried: Option<usize>,
    /// What is left of them.
    pub carried_cents: Option<i64>,
    /// Statements that are not payable.
    pub left_out: Option<usize>,
    /// Statements above the maximum; then the exit code is 1.
    pub refused: Option<usize>,
    /// Every statement that was looked at.
    pub statements: Option<Vec<StatementOutcomeView<'a>>>,
    /// Rows with errors: none of them is created, and without `--skip-bad` no other one.
    pub bad_rows: usize,
    /// How many errors there are.
    pub error_count: usize,
    /// The same by kind, most frequent first.
    pub errors_by_kind: Vec<KindView>,
    /// The first 10000 errors.
    pub errors: Vec<FaultView>,
}

/// The answer of a command that refused a file for what is wrong with its rows: nothing
/// was written.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FaultsView {
    /// The version of this contract.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// Rows with errors.
    pub bad_rows: usize,
    /// How many errors there are.
    pub error_count: usize,
    /// The same by kind, most frequent first.
    pub errors_by_kind: Vec<KindView>,
    /// The first 10000 errors.
    pub errors: Vec<FaultView>,
}

impl FaultsView {
    /// Of a file.
    pub fn of(faults: &Faults) -> Self {
        Self {
            schema: SCHEMA,
            bad_rows: faults.rows,
            error_count: faults.count,
            errors_by_kind: kinds(faults),
            errors: faults.first.iter().map(FaultView::from).collect(),
        }
    }
}

/// How often a kind of error occurs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KindView {
    /// A fixed word.
    pub kind: &'static str,
    /// How often.
    pub count: usize,
}

/// What became of a statement that was to be paid.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatementOutcomeView<'a> {
    /// Primary key.
    pub id: &'a str,
    /// The run that calculated it.
    pub royalty_run_id: &'a str,
    /// Whom it is owed to.
    pub creator_id: &'a str,
    /// The name on stage and on screen.
    pub creator_name: &'a str,
    /// What is owed and not yet paid: the amount of the payout, when there is one.
    pub left_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
    /// `created`, also where a dry run only would; `carried`, `left_out` or `refused`.
    pub result: &'static str,
    /// Why there is no payout, as a fixed word.
    pub reason_code: Option<&'static str>,
    /// The same in words for people.
    pub reason: Option<String>,
    /// The payout; null in a dry run.
    pub payout_id: Option<&'a str>,
}
csv_fields!(StatementOutcomeView<'a>: id, royalty_run_id, creator_id, creator_name, left_cents, currency, result, reason_code, reason, payout_id);

impl<'a> StatementOutcomeView<'a> {
    /// Of a statement, in the database's currency.
    pub fn new(line: &'a Line, currency: Currency) -> Self {
        let reason = line.reason.as_ref();
        Self {
            id: line.statement_id.as_str(),
            royalty_run_id: &line.royalty_run_id,
            creator_id: line.creator_id.as_str(),
            creator_name: &line.creator_name,
            left_cents: line.left_cents,
            currency: currency.as_str(),
            result: line.outcome().as_str(),
            reason_code: reason.map(Reason::code),
            reason: reason.map(ToString::to_string),
            payout_id: line.payout_id.as_ref().map(PayoutId::as_str),
        }
    }
}

impl<'a> CreateView<'a> {
    /// Of what was created, or would be. `held` is about the batch, `payout` the
    /// one that was asked for by arguments.
    pub fn of_created(
        created: &Created,
        held: bool,
        payout: Option<&'a ListedPayout>,
        dry_run: bool,
    ) -> Self {
        let batch = created.batch.as_ref().or(created.loaded_before.as_ref());
        let ids = created.payouts.iter().take(IDS_MAX);
        Self {
            schema: SCHEMA,
            dry_run,
            batch: batch.map(|batch| BatchView::new(batch, created.currency, held)),
            loaded_before: created.loaded_before.is_some(),
            created: created.created,
            already_loaded: created.already_loaded_count(),
            total_cents: created.total_cents,
            currency: created.currency.as_str(),
            payouts: ids.map(ToString::to_string).collect(),
            payout: payout.map(|listed| PayoutView::of(listed, created.currency)),
            carried: None,
            carried_cents: None,
            left_out: None,
            refused: None,
            statements: None,
            bad_rows: created.skipped.rows,
            error_count: created.skipped.count,
            errors_by_kind: kinds(&created.skipped),
            errors: created.skipped.first.iter().map(FaultView::from).collect(),
        }
    }

    /// Of the payouts of statements, created or not. `held` is about the batch.
    pub fn of_statements(outcome: &'a FromStatements, held: bool, dry_run: bool) -> Self {
        let currency = outcome.created.currency;
        let (carried, carried_cents) = outcome.total(Outcome::Carried);
        let lines = outcome.lines.iter();
        Self {
            carried: Some(carried),
            carried_cents: Some(carried_cents),
            left_out: Some(outcome.total(Outcome::LeftOut).0),
            refused: Some(outcome.total(Outcome::Refused).0),
            statements: Some(
                lines
                    .map(|line| StatementOutcomeView::new(line, currency))
                    .collect(),
            ),
            ..Self::of_created(&outcome.created, held, None, dry_run)
        }
    }

    /// Of rows that cannot be created.
    pub fn of_faults(faults: &Faults, currency: Currency, dry_run: bool) -> Self {
        Self {
            schema: SCHEMA,
            dry_run,
            batch: None,
            loaded_before: false,
            created: 0,
            already_loaded: 0,
            total_cents: 0,
            currency: currency.as_str(),
            payouts: Vec::new(),
            payout: None,
            carried: None,
            carried_cents: None,
            left_out: None,
            refused: None,
            statements: None,
            bad_rows: faults.rows,
            error_count: faults.count,
            errors_by_kind: kinds(faults),
            errors: faults.first.iter().map(FaultView::from).collect(),
        }
    }
}

fn kinds(faults: &Faults) -> Vec<KindView> {
    let counts = faults.by_kind().into_iter();
    counts
        .map(|(kind, count)| KindView {
            kind: kind.as_str(),
            count,
        })
        .collect()
}

/// The answer of an import.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ImportView {
    /// The version of this contract.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// Rows that were added.
    pub added: usize,
    /// Rows that were changed.
    pub updated: usize,
    /// Rows that say what is stored.
    pub already_there: usize,
    /// Everything wrong with the rows; then nothing was written.
    pub errors: Vec<FaultView>,
}

impl ImportView {
    /// Of what was imported.
    pub fn of_imported(imported: Imported) -> Self {
        let Imported {
            added,
            updated,
            already_there,
        } = imported;
        Self {
            schema: SCHEMA,
            added,
            updated,
            already_there,
            errors: Vec::new(),
        }
    }

    /// Of rows that cannot be imported.
    pub fn of_faults(faults: &[RowFault]) -> Self {
        let errors = faults.iter().map(FaultView::from).collect();
        Self {
            errors,
            ..Self::of_imported(Imported::default())
        }
    }
}

/// One line of an import as ndjson and CSV show it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ImportRow {
    /// Rows that were added.
    pub added: usize,
    /// Rows that were changed.
    pub updated: usize,
    /// Rows that say what is stored.
    pub already_there: usize,
}
csv_fields!(ImportRow: added, updated, already_there);

impl From<&ImportView> for ImportRow {
    fn from(view: &ImportView) -> Self {
        let ImportView {
            added,
            updated,
            already_there,
            ..
        } = *view;
        Self {
            added,
            updated,
            already_there,
        }
    }
}

/// One line of `create` as ndjson and CSV show it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CreateRow {
    /// The batch, also when the file was loaded before; null when there is none.
    pub batch_id: Option<String>,
    /// The batch is held.
    pub held: Option<bool>,
    /// New payouts.
    pub created: usize,
    /// Payouts that were there already.
    pub already_loaded: usize,
    /// Sum of the new payouts.
    pub total_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
}
csv_fields!(CreateRow: batch_id, held, created, already_loaded, total_cents, currency);

impl From<&CreateView<'_>> for CreateRow {
    fn from(view: &CreateView<'_>) -> Self {
        Self {
            batch_id: view.batch.as_ref().map(|batch| batch.id.clone()),
            held: view.batch.as_ref().map(|batch| batch.held),
            created: view.created,
            already_loaded: view.already_loaded,
            total_cents: view.total_cents,
            currency: view.currency,
        }
    }
}
