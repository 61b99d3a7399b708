//! Creating payouts: one, or a file of them, all or nothing. From statements they
//! are created by [`crate::ops::from_statements`].
//!
//! ```text
//! prepare   read the file, row by row; what has no right form is a fault
//! decide    hold every row against what is stored; pure
//! create    decide inside the write transaction, and write
//! preview   decide on the same facts, and write nothing: the dry run
//! ```
//!
//! Nothing is created while a single row is at fault. A payment has one name,
//! its reference (or its statement): what was loaded under it before is counted
//! and left alone, so that the same rows can be loaded any number of times.

use std::collections::HashMap;

use crate::model::batch::Batch;
use crate::model::creator::Creator;
use crate::model::ids::{PayoutId, StatementId};
use crate::model::money::{Currency, with_currency};
use crate::model::statement::StatementRefusal;
use crate::ops::fault::{FaultKind, RowFault};
use crate::ops::table_file::{Arguments, Columns, MUST_NOT_BE_EMPTY, Row, TableFile, one_row};
use crate::store::creators::NamedCreator;
use crate::store::payout_create::{
    CreationFacts, CreationKeys, KnownReference, NewBatch, PayoutContent, PlannedPayout,
};
use crate::store::{RunStamp, Store, StoreError};

/// What a file of payouts may say.
pub const COLUMNS: Columns = Columns {
    known: &[
        "creator",
        "amount",
        "amount_cents",
        "statement",
        "reference",
    ],
    required: &[&["creator"], &["amount", "amount_cents"]],
};

/// What is said of a creator whom the platform deleted.
pub(super) const DELETED_CREATOR: &str = "the creator is deleted";

/// Why every new batch starts held.
pub(super) const NEW_BATCH_HOLD: &str = "a new batch starts held";

/// How often a transaction is tried that lost a race for a reference or a file.
const TRIES_MAX: u32 = 3;

/// Names that are listed of creators without a Stripe account.
const NAMES_MAX: usize = 10;

/// Why nothing was created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Rows, or arguments, that cannot be taken.
    #[error("{} cannot be created", if faults.len() == 1 { "a payout" } else { "payouts" })]
    Faults {
        /// All of them, in the file's order.
        faults: Vec<RowFault>,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where payouts come from.
#[derive(Debug, Clone)]
pub enum Source<'f> {
    /// The arguments of one payout, under the names of a file's columns.
    One(&'f Arguments<'f>),
    /// A file of them.
    File(&'f TableFile),
}

/// What holds for every payout that is created.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Smallest amount, minor units.
    pub min_cents: i32,
    /// Largest amount, minor units.
    pub max_cents: i32,
    /// The database's one currency.
    pub currency: Currency,
    /// A row without a reference takes the file's hash and its line.
    pub no_references: bool,
    /// A payout may be less than what is left of its statement.
    pub partial: bool,
    /// The batch does not start held.
    pub release: bool,
}

impl Rules {
    /// Between what amounts must lie.
    fn limits(&self) -> Limits {
        Limits {
            min_cents: self.min_cents,
            max_cents: self.max_cents,
            currency: self.currency,
        }
    }
}

/// Between what the amount of one payout must lie.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Smallest amount, minor units.
    pub min_cents: i32,
    /// Largest amount, minor units.
    pub max_cents: i32,
    /// What they are in.
    pub currency: Currency,
}

/// The limit that an amount does not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BeyondLimit {
    /// Too little for a payout.
    #[error("below the minimum of {}", with_currency((*min_cents).into(), *currency))]
    Below {
        /// Minor units.
        min_cents: i32,
        /// What it is in.
        currency: Currency,
    },
    /// Too much for one.
    #[error("above the maximum of {}", with_currency((*max_cents).into(), *currency))]
    Above {
        /// Minor units.
        max_cents: i32,
        /// What it is in.
        currency: Currency,
    },
}

impl Limits {
    /// The amount, minor units, when one payout may have it.
    ///
    /// # Errors
    /// Which limit it does not keep.
    pub fn check(self, cents: i64) -> Result<i32, BeyondLimit> {
        let Self {
            min_cents,
            max_cents,
            currency,
        } = self;
        if cents < i64::from(min_cents) {
            return Err(BeyondLimit::Below {
                min_cents,
                currency,
            });
        }
        // What is no amount at all is above whatever limit there is.
        i32::try_from(cents)
            .ok()
            .filter(|cents| *cents <= max_cents)
            .ok_or(BeyondLimit::Above {
                max_cents,
                currency,
            })
    }
}

/// What is to be created, read and not yet held against the database.
#[derive(Debug)]
pub struct Wanted {
    /// A file that was loaded before: there is nothing to do.
    pub loaded_before: Option<Batch>,
    rows: Vec<WantedRow>,
    faults: Vec<RowFault>,
    batch: Option<NewBatch>,
    rules: Rules,
}

/// One payout that is wanted. What is none was at fault and is told already.
#[derive(Debug, Default)]
struct WantedRow {
    line: Option<u64>,
    creator: Option<String>,
    amount_cents: Option<i32>,
    /// The column the amount stands in, and how it is written there.
    amount_column: &'static str,
    amount_text: String,
    statement: Option<StatementId>,
    reference: Option<String>,
}

impl WantedRow {
    fn fault(
        &self,
        column: &str,
        value: &str,
        kind: FaultKind,
        reason: impl Into<String>,
    ) -> RowFault {
        RowFault::new(self.line, column, value, kind, reason)
    }

    /// A fault of the amount, under the column it was written in.
    fn amount_fault(&self, kind: FaultKind, reason: impl Into<String>) -> RowFault {
        self.fault(self.amount_column, &self.amount_text, kind, reason)
    }
}

/// What was created, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Of the file or the statements; none for a single payout or when nothing was new.
    pub batch: Option<Batch>,
    /// The file was loaded before, as this batch; nothing else was done.
    pub loaded_before: Option<Batch>,
    /// New payouts, in the file's order; empty when nothing was written.
    pub payouts: Vec<PayoutId>,
    /// How many new payouts there are, or would be.
    pub created: usize,
    /// Their sum, minor units.
    pub total_cents: i64,
    /// What amounts are in.
    pub currency: Currency,
    /// Rows whose reference stands for the very same payout already.
    pub already_loaded: Vec<PayoutId>,
    /// Nothing of it is paid before somebody releases the batch.
    pub held: bool,
    /// Creators who have no Stripe account yet.
    pub without_account: WithoutAccount,
}

impl Created {
    /// The one payout there is, new or loaded before; the first of several.
    pub fn single(&self) -> Option<&PayoutId> {
        self.payouts.first().or(self.already_loaded.first())
    }

    /// How many payouts were there before.
    pub fn already_loaded_count(&self) -> usize {
        match &self.loaded_before {
            Some(batch) => usize::try_from(batch.payout_count).unwrap_or(0),
            None => self.already_loaded.len(),
        }
    }
}

/// New payouts that cannot be sent yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WithoutAccount {
    /// How many payouts.
    pub payouts: usize,
    /// The names of the first few creators.
    pub names: Vec<String>,
}

/// What a decision comes to.
#[derive(Debug, Default)]
struct Decision {
    planned: Vec<PlannedPayout>,
    /// How many are planned, and their sum in minor units.
    created: usize,
    total_cents: i64,
    already_loaded: Vec<PayoutId>,
    without_account: WithoutAccount,
    loaded_before: Option<Batch>,
}

/// Reads what is wanted. Writes nothing.
pub fn prepare(
    store: &mut Store,
    source: &Source<'_>,
    rules: Rules,
) -> Result<Wanted, CreateError> {
    let mut wanted = Wanted {
        loaded_before: None,
        rows: Vec::new(),
        faults: Vec::new(),
        batch: None,
        rules,
    };
    let table = match source {
        Source::One(arguments) => one_row(arguments, |row, faults| {
            read_row(row, &wanted.rules, faults)
        }),
        Source::File(file) => {
            let sha256 = file.sha256();
            wanted.loaded_before = store.batch_of_file(&sha256)?;
            if wanted.loaded_before.is_some() {
                return Ok(wanted);
            }
            let mut lines_of_references = HashMap::new();
            let table = file.rows(COLUMNS, |row, faults| {
                let mut read = read_row(row, &wanted.rules, faults);
                name_once(
                    row,
                    &mut read,
                    &sha256,
                    &wanted.rules,
                    &mut lines_of_references,
                    faults,
                );
                read
            });
            wanted.batch = Some(NewBatch {
                source: file.name().to_owned(),
                sha256,
                hold: (!wanted.rules.release).then_some(NEW_BATCH_HOLD),
            });
            table
        }
    };
    wanted.rows = table.rows;
    wanted.faults = table.faults;
    Ok(wanted)
}

/// Reads what a row wants, whatever is stored.
fn read_row(row: &Row<'_>, rules: &Rules, faults: &mut Vec<RowFault>) -> WantedRow {
    let creator = row.required("creator", faults).map(str::to_owned);
    let minor = row.cell("amount").is_none() && row.cell("amount_cents").is_some();
    let amount_column = if minor { "amount_cents" } else { "amount" };
    let amount_cents = match row.amount(("amount", "amount_cents"), rules.currency) {
        Ok(None) => {
            faults.push(row.fault("amount", FaultKind::Missing, MUST_NOT_BE_EMPTY));
            None
        }
        Ok(amount) => amount,
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    WantedRow {
        line: row.line,
        creator,
        amount_cents,
        amount_column,
        amount_text: row.cell(amount_column).unwrap_or_default().to_owned(),
        statement: row.cell("statement").map(StatementId::new),
        reference: row.cell("reference").map(str::to_owned),
    }
}

/// Sees to it that a row of a file has a name of its own: its reference, which no
/// other row has, or its statement.
fn name_once(
    row: &Row<'_>,
    read: &mut WantedRow,
    sha256: &str,
    rules: &Rules,
    lines_of_references: &mut HashMap<String, Option<u64>>,
    faults: &mut Vec<RowFault>,
) {
    match &read.reference {
        Some(reference) => match lines_of_references.get(reference) {
            Some(first) => {
                let reason = format!("line {} has the same reference", first.unwrap_or_default());
                faults.push(row.fault("reference", FaultKind::Duplicate, reason));
            }
            None => {
                lines_of_references.insert(reference.clone(), row.line);
            }
        },
        None if read.statement.is_some() => {}
        None if rules.no_references => {
            read.reference = Some(format!("{sha256}:{}", row.line.unwrap_or_default()));
        }
        None => {
            let reason = "a row without a statement needs a reference, unique to the payment";
            faults.push(row.fault("reference", FaultKind::Missing, reason));
        }
    }
}

/// Creates what is wanted: all of it or nothing.
pub fn create(store: &mut Store, run: &RunStamp, wanted: &Wanted) -> Result<Created, CreateError> {
    if let Some(batch) = &wanted.loaded_before {
        return Ok(wanted.nothing_new(batch.clone()));
    }
    let keys = wanted.keys();
    for _ in 1..TRIES_MAX {
        match create_once(store, run, wanted, &keys) {
            // Another process created the same first: look again, and find it.
            Err(CreateError::Store(StoreError::Unique { .. })) => {}
            done => return done,
        }
    }
    create_once(store, run, wanted, &keys)
}

fn create_once(
    store: &mut Store,
    run: &RunStamp,
    wanted: &Wanted,
    keys: &CreationKeys<'_>,
) -> Result<Created, CreateError> {
    let mut decision = Decision::default();
    let written = store.payouts_create(
        run,
        keys,
        wanted.rules.currency,
        wanted.batch.as_ref(),
        |facts| {
            decision = decide(wanted, facts)?;
            Ok::<_, CreateError>(std::mem::take(&mut decision.planned))
        },
    )?;
    Ok(Created {
        batch: written.batch,
        payouts: written.payouts,
        ..wanted.outcome_of(decision)
    })
}

/// Says what [`create`] would do now. Writes nothing.
pub fn preview(store: &mut Store, wanted: &Wanted) -> Result<Created, CreateError> {
    if let Some(batch) = &wanted.loaded_before {
        return Ok(wanted.nothing_new(batch.clone()));
    }
    let facts = store.creation_facts(&wanted.keys())?;
    let decision = decide(wanted, &facts)?;
    Ok(wanted.outcome_of(decision))
}

impl Wanted {
    /// What amounts are in.
    pub fn currency(&self) -> Currency {
        self.rules.currency
    }

    /// Everything the rows name, each name once.
    fn keys(&self) -> CreationKeys<'_> {
        fn distinct<T: Eq + std::hash::Hash>(names: impl Iterator<Item = T>) -> Vec<T> {
            names
                .collect::<std::collections::HashSet<T>>()
                .into_iter()
                .collect()
        }
        CreationKeys {
            creators: distinct(self.rows.iter().filter_map(|row| row.creator.as_deref())),
            statements: distinct(self.rows.iter().filter_map(|row| row.statement.clone())),
            references: distinct(self.rows.iter().filter_map(|row| row.reference.as_deref())),
            sha256: self.batch.as_ref().map(|batch| batch.sha256.as_str()),
        }
    }

    fn outcome_of(&self, decision: Decision) -> Created {
        Created {
            batch: None,
            loaded_before: decision.loaded_before,
            payouts: Vec::new(),
            created: decision.created,
            total_cents: decision.total_cents,
            currency: self.rules.currency,
            already_loaded: decision.already_loaded,
            held: self
                .batch
                .as_ref()
                .is_some_and(|batch| batch.hold.is_some()),
            without_account: decision.without_account,
        }
    }

    fn nothing_new(&self, batch: Batch) -> Created {
        self.outcome_of(Decision {
            loaded_before: Some(batch),
            ..Decision::default()
        })
    }
}

/// Holds every row against what is stored.
///
/// # Errors
/// Every fault, in the file's order; then nothing is to be created.
fn decide(wanted: &Wanted, facts: &CreationFacts) -> Result<Decision, CreateError> {
    let mut decision = Decision::default();
    if let Some(batch) = &facts.batch {
        decision.loaded_before = Some(batch.clone());
        return Ok(decision);
    }
    let mut faults = wanted.faults.clone();
    let mut lines_of_statements: HashMap<&StatementId, Option<u64>> = HashMap::new();
    for row in &wanted.rows {
        let known = row
            .reference
            .as_ref()
            .and_then(|reference| facts.references.get(reference));
        let creator = row.creator.as_deref().and_then(|text| {
            named_creator(row, text, facts)
                .map_err(|fault| faults.push(fault))
                .ok()
        });
        let (Some(creator), Some(amount_cents)) = (creator, row.amount_cents) else {
            continue;
        };
        let content = PayoutContent {
            creator_id: creator.id.clone(),
            amount_cents,
            statement_id: row.statement.clone(),
        };
        if let Some(known) = known {
            match difference(known, &content, wanted.rules.currency) {
                None => decision.already_loaded.push(known.payout_id.clone()),
                Some(reason) => {
                    let reference = row.reference.as_deref().unwrap_or_default();
                    faults.push(row.fault("reference", reference, FaultKind::Differs, reason));
                }
            }
            continue;
        }
        let before = faults.len();
        if creator.deleted_at.is_some() {
            let text = row.creator.as_deref().unwrap_or_default();
            faults.push(row.fault("creator", text, FaultKind::DeletedCreator, DELETED_CREATOR));
        }
        faults.extend(limit_fault(row, amount_cents, wanted));
        if let Some(statement) = &row.statement {
            match lines_of_statements.insert(statement, row.line) {
                Some(Some(first)) => {
                    let reason = format!("line {first} pays the same statement; one at a time");
                    faults.push(row.fault(
                        "statement",
                        statement.as_str(),
                        FaultKind::Duplicate,
                        reason,
                    ));
                }
                _ => faults.extend(statement_fault(row, statement, &content, facts, wanted)),
            }
        }
        if faults.len() > before {
            continue;
        }
        if creator.stripe_account_id.is_none() {
            let names = &mut decision.without_account.names;
            decision.without_account.payouts += 1;
            if names.len() < NAMES_MAX && !names.contains(&creator.name) {
                names.push(creator.name.clone());
            }
        }
        decision.created += 1;
        decision.total_cents = decision.total_cents.saturating_add(i64::from(amount_cents));
        decision.planned.push(PlannedPayout {
            content,
            reference: row.reference.clone(),
            line: row.line.and_then(|line| i32::try_from(line).ok()),
            reason: None,
        });
    }
    if faults.is_empty() {
        Ok(decision)
    } else {
        faults.sort_by_key(|fault| fault.line);
        Err(CreateError::Faults { faults })
    }
}

/// The one creator a row names.
fn named_creator<'f>(
    row: &WantedRow,
    text: &str,
    facts: &'f CreationFacts,
) -> Result<&'f Creator, RowFault> {
    match facts.creators.get(text) {
        Some(named) => named
            .only()
            .map_err(|reason| row.fault("creator", text, FaultKind::AmbiguousCreator, reason)),
        None => Err(row.fault(
            "creator",
            text,
            FaultKind::UnknownCreator,
            NamedCreator::UNKNOWN,
        )),
    }
}

/// In what a payment differs from what its reference stands for already.
fn difference(
    known: &KnownReference,
    wanted: &PayoutContent,
    currency: Currency,
) -> Option<String> {
    let id = &known.payout_id;
    let Some(stored) = &known.content else {
        return Some(format!("was used for payout {id}, which is gone"));
    };
    let mut parts = Vec::new();
    if stored.creator_id != wanted.creator_id {
        parts.push(format!("for creator {}", stored.creator_id));
    }
    if stored.amount_cents != wanted.amount_cents {
        parts.push(format!(
            "over {}",
            with_currency(i64::from(stored.amount_cents), currency)
        ));
    }
    if stored.statement_id != wanted.statement_id {
        parts.push(match &stored.statement_id {
            Some(statement) => format!("for statement {statement}"),
            None => "for no statement".to_owned(),
        });
    }
    (!parts.is_empty()).then(|| format!("stands for payout {id} already, {}", parts.join(", ")))
}

fn limit_fault(row: &WantedRow, amount_cents: i32, wanted: &Wanted) -> Option<RowFault> {
    let beyond = wanted.rules.limits().check(amount_cents.into()).err()?;
    Some(row.amount_fault(FaultKind::Limit, beyond.to_string()))
}

fn statement_fault(
    row: &WantedRow,
    statement: &StatementId,
    content: &PayoutContent,
    facts: &CreationFacts,
    wanted: &Wanted,
) -> Option<RowFault> {
    let fault = |kind, reason| Some(row.fault("statement", statement.as_str(), kind, reason));
    let Some(account) = facts.statements.get(statement) else {
        return fault(FaultKind::Statement, "no statement has this id".to_owned());
    };
    let partial = wanted.rules.partial;
    match account.may_create(
        &content.creator_id,
        content.amount_cents,
        wanted.rules.currency,
        partial,
    ) {
        Ok(()) => None,
        Err(refusal @ StatementRefusal::Partial { .. }) => {
            fault(FaultKind::Partial, refusal.to_string())
        }
        Err(refusal) => fault(FaultKind::Statement, refusal.to_string()),
    }
}
