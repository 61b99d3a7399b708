//! Creating payouts: one, or a file of them, all or nothing. From statements they
//! are created by [`crate::ops::from_statements`].
//!
//! ```text
//! check     read every row and hold it against what is stored; what cannot be
//!           taken is a fault; nothing is locked and nothing written
//! write     read the rows that are to be created once more, look again at what may
//!           have changed meanwhile, and write, in one transaction
//! create    both, and both again when another process was faster
//! preview   check alone: the dry run
//! ```
//!
//! Rows go through in chunks, so that a million of them need no more memory than
//! some thousand; between the two readings one bit a row is kept. Nothing is
//! created while a single row is at fault, unless bad rows are to be skipped. A
//! payment has one name, its reference (or its statement): what was loaded under it
//! before is counted and left alone, so that the same rows can be loaded any number
//! of times.

mod rows;
mod verdict;

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::model::batch::Batch;
use crate::model::creator::Creator;
use crate::model::history::hex;
use crate::model::ids::PayoutId;
use crate::model::money::{Currency, with_currency};
use crate::ops::create::rows::{Entry, Names, Rows, name_it};
use crate::ops::create::verdict::{Verdict, decide};
use crate::ops::error_file::{ErrorFile, ErrorFileError};
use crate::ops::event::{Event, Pass};
use crate::ops::fault::Faults;
use crate::ops::table_file::{Arguments, Columns, ERROR_COLUMN, FileError, Refused, TableFile};
use crate::store::creators::NamedCreator;
use crate::store::payout_create::{
    CHUNK_ROWS, CreationFacts, CreationKeys, NewBatch, Planned, PlannedChunks, PlannedPayout,
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
        "currency",
        ERROR_COLUMN,
    ],
    required: &[&["creator"], &["amount", "amount_cents"]],
};

/// The columns of [`COLUMNS`] that say something.
pub const MEANINGFUL: [&str; 6] = [
    "creator",
    "amount",
    "amount_cents",
    "statement",
    "reference",
    "currency",
];

/// What is said of a creator whom the platform deleted.
pub(super) const DELETED_CREATOR: &str = "the creator is deleted";

/// Why every new batch starts held.
pub(super) const NEW_BATCH_HOLD: &str = "a new batch starts held";

/// How often a transaction is tried that lost a race for a reference or a file.
const TRIES_MAX: u32 = 3;

/// Creators that are kept in memory of those that earlier rows named.
const CREATORS_KEPT: usize = 10_000;

/// Names that are listed of creators without a Stripe account.
const NAMES_MAX: usize = 10;

/// Why nothing was created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Rows, or arguments, that cannot be taken.
    #[error("{} cannot be created", if faults.count == 1 { "a payout" } else { "payouts" })]
    Faults {
        /// All of them.
        faults: Faults,
    },
    /// The file failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The bad rows cannot be written.
    #[error(transparent)]
    ErrorFile(#[from] ErrorFileError),
    /// What the rows rest on changed while they were loaded.
    #[error("what the rows rest on was changed while they were loaded")]
    Raced,
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
    /// Rows at fault are left out, and the others created.
    pub skip_bad: bool,
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

/// What is to be done, and whom to tell meanwhile.
pub struct Job<'a> {
    /// Where payouts come from.
    pub source: Source<'a>,
    /// What holds for each.
    pub rules: Rules,
    /// Where rows at fault go.
    pub errors: Option<&'a mut ErrorFile>,
    /// Is told how far a long file is.
    pub tell: &'a mut dyn FnMut(Event),
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("source", &self.source)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// What was created, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Of the file or the statements; none for a single payout or when nothing was new.
    pub batch: Option<Batch>,
    /// The file was loaded before, as this batch; nothing else was done.
    pub loaded_before: Option<Batch>,
    /// New payouts, in the file's order, of a file the first thousand; empty when
    /// nothing was written.
    pub payouts: Vec<PayoutId>,
    /// How many new payouts there are, or would be.
    pub created: usize,
    /// Their sum, minor units.
    pub total_cents: i64,
    /// What amounts are in.
    pub currency: Currency,
    /// Rows whose reference stands for the very same payout already.
    pub already_loaded: usize,
    /// The payout of the first of them.
    pub first_loaded: Option<PayoutId>,
    /// What is wrong with the rows that were skipped.
    pub skipped: Faults,
    /// Nothing of it is paid before somebody releases the batch.
    pub held: bool,
    /// Creators who have no Stripe account yet.
    pub without_account: WithoutAccount,
}

impl Created {
    /// The one payout there is, new or loaded before; the first of several.
    pub fn single(&self) -> Option<&PayoutId> {
        self.payouts.first().or(self.first_loaded.as_ref())
    }

    /// How many payouts were there before.
    pub fn already_loaded_count(&self) -> usize {
        match &self.loaded_before {
            Some(batch) => usize::try_from(batch.payout_count).unwrap_or(0),
            None => self.already_loaded,
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

/// What a check comes to.
#[derive(Debug, Default)]
struct Checked {
    /// Of each row of the file, whether it is to be created.
    create: Bits,
    planned: Planned,
    already_loaded: usize,
    first_loaded: Option<PayoutId>,
    without_account: WithoutAccount,
    loaded_before: Option<Batch>,
    faults: Faults,
}

/// One bit a row.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn set(&mut self, place: usize) {
        if self.0.len() <= place / 64 {
            self.0.resize(place / 64 + 1, 0);
        }
        self.0[place / 64] |= 1 << (place % 64);
    }

    fn get(&self, place: usize) -> bool {
        self.0
            .get(place / 64)
            .is_some_and(|word| word >> (place % 64) & 1 == 1)
    }
}

/// The batch that was loaded from the very same bytes.
pub fn loaded_before(store: &mut Store, file: &TableFile) -> Result<Option<Batch>, StoreError> {
    store.batch_of_file(file.sha256())
}

/// Creates what is wanted: all of it or nothing, but for rows that are to be skipped.
pub fn create(
    store: &mut Store,
    run: &RunStamp,
    job: &mut Job<'_>,
) -> Result<Created, CreateError> {
    for _ in 1..TRIES_MAX {
        match create_once(store, run, job) {
            // Another process created the same first: look again, and find it.
            Err(CreateError::Raced | CreateError::Store(StoreError::Unique { .. })) => {}
            done => return done,
        }
    }
    create_once(store, run, job)
}

fn create_once(
    store: &mut Store,
    run: &RunStamp,
    job: &mut Job<'_>,
) -> Result<Created, CreateError> {
    let checked = check(store, job)?;
    if checked.planned.count == 0 {
        return Ok(job.outcome_of(checked));
    }
    let batch = job.batch(run, &checked);
    let (planned, currency) = (checked.planned, job.rules.currency);
    let mut writing = Writing {
        rows: Rows::of(job)?,
        create: &checked.create,
        rules: &job.rules,
        sha256: job.file().map(TableFile::sha256),
        row_number: 0,
        chunk: Vec::new(),
        creators: HashMap::new(),
        progress: Progress::new(Pass::Writing, planned.count, job.tell),
    };
    let written = store.payouts_load(run, currency, batch.as_ref(), planned, &mut writing)?;
    Ok(Created {
        batch: written.batch,
        payouts: written.payouts,
        ..job.outcome_of(checked)
    })
}

/// Says what [`create`] would do now. Writes nothing to the database.
pub fn preview(store: &mut Store, job: &mut Job<'_>) -> Result<Created, CreateError> {
    let checked = check(store, job)?;
    Ok(job.outcome_of(checked))
}

/// What a file comes to that was loaded before.
pub fn nothing_new(batch: Batch, rules: &Rules) -> Created {
    Created {
        loaded_before: Some(batch),
        ..Created::nothing(rules.currency, !rules.release)
    }
}

impl Created {
    /// Nothing, so far.
    pub(super) fn nothing(currency: Currency, held: bool) -> Self {
        Self {
            batch: None,
            loaded_before: None,
            payouts: Vec::new(),
            created: 0,
            total_cents: 0,
            currency,
            already_loaded: 0,
            first_loaded: None,
            skipped: Faults::default(),
            held,
            without_account: WithoutAccount::default(),
        }
    }
}

impl<'a> Job<'a> {
    fn file(&self) -> Option<&'a TableFile> {
        match self.source {
            Source::One(_) => None,
            Source::File(file) => Some(file),
        }
    }

    /// The batch that the file becomes.
    fn batch(&self, run: &RunStamp, checked: &Checked) -> Option<NewBatch> {
        let file = self.file()?;
        let sha256 = if checked.faults.is_empty() {
            file.sha256().to_owned()
        } else {
            // Some of it is still to be loaded: the same bytes must be looked at again.
            hex(&Sha256::digest(format!("{} {}", file.sha256(), run.run_id)))
        };
        Some(NewBatch {
            source: file.name().to_owned(),
            sha256,
            hold: (!self.rules.release).then_some(NEW_BATCH_HOLD),
        })
    }

    fn outcome_of(&self, checked: Checked) -> Created {
        let held = self.file().is_some() && !self.rules.release;
        Created {
            loaded_before: checked.loaded_before,
            created: checked.planned.count,
            total_cents: checked.planned.total_cents,
            already_loaded: checked.already_loaded,
            first_loaded: checked.first_loaded,
            skipped: checked.faults,
            without_account: checked.without_account,
            ..Created::nothing(self.rules.currency, held)
        }
    }
}

/// Tells how far a pass through a long file is.
struct Progress<'t> {
    pass: Pass,
    rows: u64,
    done: u64,
    tell: &'t mut dyn FnMut(Event),
}

impl<'t> Progress<'t> {
    fn new(pass: Pass, rows: usize, tell: &'t mut dyn FnMut(Event)) -> Self {
        Self {
            pass,
            rows: rows as u64,
            done: 0,
            tell,
        }
    }

    fn add(&mut self, rows: usize) {
        self.done += rows as u64;
        if self.rows > CHUNK_ROWS as u64 {
            (self.tell)(Event::Rows {
                pass: self.pass,
                done: self.done,
                expected: self.rows.max(self.done),
            });
        }
    }
}

/// Reads every row and holds it against what is stored. Writes bad rows to their
/// file, and nothing to the database.
///
/// # Errors
/// Every fault; none when bad rows are to be skipped.
fn check(store: &mut Store, job: &mut Job<'_>) -> Result<Checked, CreateError> {
    let mut checked = Checked::default();
    if let Some(errors) = job.errors.as_deref_mut() {
        errors.again()?;
    }
    if let Some(file) = job.file() {
        checked.loaded_before = loaded_before(store, file)?;
        if checked.loaded_before.is_some() {
            return Ok(checked);
        }
    }
    let mut rows = match Rows::begin(&job.source) {
        Ok(rows) => rows,
        Err(Refused::File(error)) => return Err(error.into()),
        Err(Refused::Faults(faults)) => {
            let faults = Faults::of(faults);
            return Err(CreateError::Faults { faults });
        }
    };
    let lines = job.file().map_or(1, TableFile::lines);
    let sha256 = job.file().map(TableFile::sha256);
    let mut names = Names::new(&rows, lines);
    let mut creators = HashMap::new();
    let expected = usize::try_from(lines.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut progress = Progress::new(Pass::Checking, expected, job.tell);
    let mut row_number = 0;
    loop {
        let mut chunk: Vec<Entry> = Vec::new();
        while chunk.len() < CHUNK_ROWS
            && let Some(mut entry) = rows.next(&job.rules, job.errors.is_some())?
        {
            names.name_once(&mut entry, sha256, &job.rules);
            chunk.push(entry);
        }
        if chunk.is_empty() {
            break;
        }
        let facts = facts_for(store, &chunk, &mut creators)?;
        progress.add(chunk.len());
        for mut entry in chunk {
            match decide(
                &entry.wanted,
                &facts,
                &creators,
                &job.rules,
                &mut entry.faults,
            ) {
                Some(Verdict::Create(planned, creator)) if entry.faults.is_empty() => {
                    checked.create.set(row_number);
                    checked.planned.count += 1;
                    checked.planned.total_cents += i64::from(planned.content.amount_cents);
                    checked.without_account.note(creator);
                }
                Some(Verdict::AlreadyLoaded(id)) if entry.faults.is_empty() => {
                    checked.already_loaded += 1;
                    checked.first_loaded.get_or_insert(id);
                }
                _ => {
                    if let (Rows::File(reader), Some(errors), Some(record)) =
                        (&rows, job.errors.as_deref_mut(), &entry.record)
                    {
                        errors.add(reader.header(), record, &entry.faults)?;
                    }
                    checked.faults.add_row(entry.faults);
                }
            }
            row_number += 1;
        }
    }
    if let Some(errors) = job.errors.as_deref_mut() {
        errors.end()?;
    }
    let nothing_good = checked.planned.count == 0 && checked.already_loaded == 0;
    if checked.faults.is_empty() || (job.rules.skip_bad && !nothing_good) {
        Ok(checked)
    } else {
        Err(CreateError::Faults {
            faults: checked.faults,
        })
    }
}

impl WithoutAccount {
    fn note(&mut self, creator: &Creator) {
        if creator.stripe_account_id.is_none() {
            self.payouts += 1;
            if self.names.len() < NAMES_MAX && !self.names.contains(&creator.name) {
                self.names.push(creator.name.clone());
            }
        }
    }
}

/// Creators by the text that names them; none: it names nobody.
type Creators = HashMap<String, Option<NamedCreator>>;

/// What is stored under the names of a chunk.
fn facts_for(
    store: &mut Store,
    chunk: &[Entry],
    creators: &mut Creators,
) -> Result<CreationFacts, StoreError> {
    if creators.len() > CREATORS_KEPT {
        creators.clear();
    }
    let facts = store.creation_facts(&keys_of(chunk, creators, true))?;
    keep_creators(chunk, &facts, creators);
    Ok(facts)
}

/// Everything the rows name, each name once; of creators those that are not known yet.
fn keys_of<'c>(chunk: &'c [Entry], known: &Creators, references: bool) -> CreationKeys<'c> {
    fn distinct<T: Ord>(names: impl Iterator<Item = T>) -> Vec<T> {
        let mut names: Vec<T> = names.collect();
        names.sort_unstable();
        names.dedup();
        names
    }
    let rows = || chunk.iter().map(|entry| &entry.wanted);
    let creators = rows().filter_map(|row| row.creator.as_deref());
    CreationKeys {
        creators: distinct(creators.filter(|name| !known.contains_key(*name))),
        statements: distinct(rows().filter_map(|row| row.statement.clone())),
        references: if references {
            distinct(rows().filter_map(|row| row.reference.as_deref()))
        } else {
            Vec::new()
        },
        sha256: None,
    }
}

fn keep_creators(chunk: &[Entry], facts: &CreationFacts, creators: &mut Creators) {
    for entry in chunk {
        if let Some(name) = &entry.wanted.creator
            && !creators.contains_key(name)
        {
            creators.insert(name.clone(), facts.creators.get(name).cloned());
        }
    }
}

/// The rows that are to be created, chunk by chunk, inside the transaction.
struct Writing<'a, 't> {
    rows: Rows<'a>,
    create: &'a Bits,
    rules: &'a Rules,
    sha256: Option<&'a str>,
    row_number: usize,
    chunk: Vec<Entry>,
    creators: Creators,
    progress: Progress<'t>,
}

impl PlannedChunks for Writing<'_, '_> {
    type Error = CreateError;

    fn next_keys(&mut self) -> Result<Option<CreationKeys<'_>>, CreateError> {
        self.chunk.clear();
        if self.creators.len() > CREATORS_KEPT {
            self.creators.clear();
        }
        while self.chunk.len() < CHUNK_ROWS {
            let wanted = self.create.get(self.row_number);
            self.row_number += 1;
            if wanted {
                let Some(mut entry) = self.rows.next(self.rules, false)? else {
                    break;
                };
                name_it(&mut entry.wanted, self.sha256, self.rules);
                self.chunk.push(entry);
            } else if !self.rows.pass()? {
                break;
            }
        }
        if self.chunk.is_empty() {
            return Ok(None);
        }
        self.progress.add(self.chunk.len());
        // Who is faster with a reference is told by the database.
        Ok(Some(keys_of(&self.chunk, &self.creators, false)))
    }

    fn plan(&mut self, facts: &CreationFacts) -> Result<Vec<PlannedPayout>, CreateError> {
        keep_creators(&self.chunk, facts, &mut self.creators);
        let mut planned = Vec::with_capacity(self.chunk.len());
        for mut entry in self.chunk.drain(..) {
            let Entry { wanted, faults, .. } = &mut entry;
            match decide(wanted, facts, &self.creators, self.rules, faults) {
                Some(Verdict::Create(payout, _)) if faults.is_empty() => planned.push(payout),
                _ => return Err(CreateError::Raced),
            }
        }
        Ok(planned)
    }
}
