//! Creating payouts: all of a batch or none of it, in one transaction with its
//! history. What statements are owed is decided as a whole; a file goes through
//! chunk by chunk, so that a million rows take no more memory than some thousand.
//!
//! Every fact the decision rests on is read in the same transaction, statements
//! under their row locks, so that two creators of payouts can never both find a
//! statement free. References and files are unique in the database; who loses
//! that race is told [`StoreError::Unique`] and finds the winner when it tries again.

use std::collections::HashMap;

use diesel::prelude::*;

use crate::model::batch::{Batch, BatchItem};
use crate::model::history::{Change, HistoryEvent};
use crate::model::hold::{Hold, HoldKind};
use crate::model::ids::{BatchId, CreatorId, IdMaker, PayoutId, StatementId};
use crate::model::money::Currency;
use crate::model::payout::{NewPayout, PayoutStatus};
use crate::model::schema::{payout_batch_items, payout_batches, payouts};
use crate::model::statement::StatementAccount;
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::creators::{NamedCreator, named_in_tx};
use crate::store::dialect::{
    IDS_MAX, among, find_by_index, items_append, payouts_append, prepare_for_many,
    restore_after_many,
};
use crate::store::history::{HeadsHash, begin_in_tx};
use crate::store::runs::RunStamp;
use crate::store::settings::currency_once_in_tx;
use crate::store::statements::accounts_in_tx;
use crate::store::{Store, StoreError, holds};

/// Payouts whose rows, items and history are in memory at once; a batch of a
/// million needs no more than one of this size.
pub const CHUNK_ROWS: usize = 5_000;

/// New ids that are told of a batch that goes through in chunks.
pub const IDS_KEPT: usize = 1_000;

/// What the payouts to be created name.
#[derive(Debug, Default)]
pub struct CreationKeys<'a> {
    /// Ids, Stripe accounts or e-mail addresses of creators.
    pub creators: Vec<&'a str>,
    /// Statements.
    pub statements: Vec<StatementId>,
    /// References.
    pub references: Vec<&'a str>,
    /// SHA-256 of the file, in lowercase hex.
    pub sha256: Option<&'a str>,
}

/// What is stored under those names.
#[derive(Debug)]
pub struct CreationFacts {
    /// By the text that names them.
    pub creators: HashMap<String, NamedCreator>,
    /// Those that exist.
    pub statements: HashMap<StatementId, StatementAccount>,
    /// Those that are taken.
    pub references: HashMap<String, KnownReference>,
    /// The batch that was loaded from the same bytes.
    pub batch: Option<Batch>,
}

/// What a reference stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownReference {
    /// The payout.
    pub payout_id: PayoutId,
    /// None when the row is gone: other software can delete it.
    pub content: Option<PayoutContent>,
}

/// What a payout pays, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutContent {
    /// Whom.
    pub creator_id: CreatorId,
    /// Minor units.
    pub amount_cents: i32,
    /// The statement it settles.
    pub statement_id: Option<StatementId>,
}

/// One payout to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPayout {
    /// Whom it pays, how much, and for what.
    pub content: PayoutContent,
    /// The caller's own name for it.
    pub reference: Option<String>,
    /// Line of the file, counted from 1 with the header.
    pub line: Option<i32>,
    /// Why, where its history is to say so.
    pub reason: Option<String>,
}

/// What many payouts come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// The file's name, `stdin`, or `statements`.
    pub source: String,
    /// Of its bytes, lowercase hex. Unique: what comes from no file names its run.
    pub sha256: String,
    /// Why the batch starts held; none: it does not.
    pub hold: Option<&'static str>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreatedPayouts {
    /// None for a payout created on its own, or when there was nothing to create.
    pub batch: Option<Batch>,
    /// The new ids, in the order of the plan; of a batch in chunks the first [`IDS_KEPT`].
    pub payouts: Vec<PayoutId>,
}

/// Payouts that are planned chunk by chunk, on facts that are read in the same
/// transaction.
pub trait PlannedChunks {
    /// Why no more can be planned.
    type Error: From<StoreError>;

    /// What the next chunk names; none when there is no further one.
    fn next_keys(&mut self) -> Result<Option<CreationKeys<'_>>, Self::Error>;

    /// What becomes of that chunk.
    fn plan(&mut self, facts: &CreationFacts) -> Result<Vec<PlannedPayout>, Self::Error>;
}

/// How many payouts a plan comes to, and their sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planned {
    /// Payouts.
    pub count: usize,
    /// Minor units.
    pub total_cents: i64,
}

impl Planned {
    fn of(planned: &[PlannedPayout]) -> Self {
        Self {
            count: planned.len(),
            total_cents: planned
                .iter()
                .map(|p| i64::from(p.content.amount_cents))
                .sum(),
        }
    }
}

impl Store {
    /// What is stored under these names, read in one transaction.
    pub fn creation_facts(&mut self, keys: &CreationKeys<'_>) -> Result<CreationFacts, StoreError> {
        self.read(|conn| {
            find_by_index(conn)?;
            facts_in_tx(conn, keys, Locks::None)
        })
    }

    /// The batch that was loaded from a file with this SHA-256.
    pub fn batch_of_file(&mut self, sha256: &str) -> Result<Option<Batch>, StoreError> {
        self.read(|conn| batch_of_file_in_tx(conn, sha256))
    }

    /// Creates what `decide` makes of the facts, in one transaction, and stamps
    /// the database with the currency; when it decides against it, nothing.
    ///
    /// # Errors
    /// What `decide` returns; [`StoreError::Unique`] when another process was
    /// faster with a reference or the file.
    pub fn payouts_create<E: From<StoreError>>(
        &mut self,
        run: &RunStamp,
        keys: &CreationKeys<'_>,
        currency: Currency,
        batch: Option<&NewBatch>,
        decide: impl FnOnce(&CreationFacts) -> Result<Vec<PlannedPayout>, E>,
    ) -> Result<CreatedPayouts, E> {
        let now = self.clock.now();
        let decided = self.write(|conn| {
            let facts = facts_in_tx(conn, keys, Locks::Statements)?;
            // Deciding against it commits a transaction that wrote nothing.
            let planned = match decide(&facts) {
                Ok(planned) => planned,
                Err(error) => return Ok(Err(error)),
            };
            if planned.is_empty() {
                return Ok(Ok((CreatedPayouts::default(), HeadsHash::default())));
            }
            currency_once_in_tx(conn, currency, now)?;
            insert_in_tx(conn, run, now, batch, &planned).map(Ok)
        });
        let (created, heads) = decided??;
        self.heads.merge(heads);
        Ok(created)
    }

    /// Creates payouts chunk by chunk in one transaction, and stamps the database
    /// with the currency. `planned` is what all chunks come to.
    ///
    /// # Errors
    /// What `chunks` returns, then nothing is kept; [`StoreError::Unique`] when
    /// another process was faster with a reference or the file.
    pub fn payouts_load<C: PlannedChunks>(
        &mut self,
        run: &RunStamp,
        currency: Currency,
        batch: Option<&NewBatch>,
        planned: Planned,
        chunks: &mut C,
    ) -> Result<CreatedPayouts, C::Error> {
        let now = self.clock.now();
        let mut stopped = None;
        let written = self.write(|conn| {
            currency_once_in_tx(conn, currency, now)?;
            let before = prepare_for_many(conn, planned.count)?;
            let loaded = load_in_tx(conn, run, now, batch, planned, chunks);
            // Also where nothing is kept: the setting is the session's.
            restore_after_many(conn, before)?;
            loaded.map_err(|error| match error {
                Stopped::Store(error) => error,
                Stopped::Chunks(error) => {
                    stopped = Some(error);
                    StoreError::Conflict("the load was stopped".to_owned())
                }
            })
        });
        match (written, stopped) {
            (_, Some(error)) => Err(error),
            (Err(error), None) => Err(error.into()),
            (Ok((created, heads)), None) => {
                self.heads.merge(heads);
                Ok(created)
            }
        }
    }
}

/// Why a load ended before its end.
enum Stopped<E> {
    Store(StoreError),
    Chunks(E),
}

impl<E> From<StoreError> for Stopped<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn load_in_tx<C: PlannedChunks>(
    conn: &mut AnyConnection,
    run: &RunStamp,
    now: Time,
    new_batch: Option<&NewBatch>,
    planned: Planned,
    chunks: &mut C,
) -> Result<(CreatedPayouts, HeadsHash), Stopped<C::Error>> {
    let mut ids = IdMaker::new(now);
    let mut created = CreatedPayouts::default();
    if let Some(new) = new_batch {
        let id = ids.next_id().map_err(StoreError::from)?;
        created.batch = Some(insert_batch_in_tx(conn, run, now, new, planned, id)?);
    }
    let batch_id = created.batch.as_ref().map(|batch| batch.id.clone());
    let mut heads = HeadsHash::default();
    loop {
        let facts = match chunks.next_keys().map_err(Stopped::Chunks)? {
            Some(keys) => facts_in_tx(conn, &keys, Locks::Statements)?,
            None => return Ok((created, heads)),
        };
        for chunk in chunks
            .plan(&facts)
            .map_err(Stopped::Chunks)?
            .chunks(CHUNK_ROWS)
        {
            let (new, chunk_heads) =
                insert_chunk_in_tx(conn, run, now, batch_id.as_ref(), chunk, &mut ids)?;
            heads.merge(chunk_heads);
            let room = IDS_KEPT.saturating_sub(created.payouts.len());
            created.payouts.extend(new.into_iter().take(room));
        }
    }
}

/// Whether rows that are read are locked until the transaction ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locks {
    None,
    Statements,
}

fn facts_in_tx(
    conn: &mut AnyConnection,
    keys: &CreationKeys<'_>,
    locks: Locks,
) -> Result<CreationFacts, StoreError> {
    // Locks first: what is read afterwards is what is true while they are held.
    let statements = accounts_in_tx(conn, &keys.statements, locks)?;
    let batch = match keys.sha256 {
        Some(sha256) => batch_of_file_in_tx(conn, sha256)?,
        None => None,
    };
    let creators = named_in_tx(conn, &keys.creators)?;
    let references = references_in_tx(conn, &keys.references)?;
    Ok(CreationFacts {
        creators,
        statements,
        references,
        batch,
    })
}

fn batch_of_file_in_tx(
    conn: &mut AnyConnection,
    sha256: &str,
) -> Result<Option<Batch>, StoreError> {
    Ok(payout_batches::table
        .filter(payout_batches::sha256.eq(sha256))
        .select(Batch::as_select())
        .first(conn)
        .optional()?)
}

fn references_in_tx(
    conn: &mut AnyConnection,
    references: &[&str],
) -> Result<HashMap<String, KnownReference>, StoreError> {
    type Row = (
        Option<String>,
        PayoutId,
        Option<(CreatorId, i32, Option<StatementId>)>,
    );
    let mut known = HashMap::new();
    for chunk in references.chunks(IDS_MAX) {
        let rows: Vec<Row> = payout_batch_items::table
            .left_join(payouts::table.on(payouts::id.eq(payout_batch_items::payout_id)))
            .filter(among(
                payout_batch_items::reference.assume_not_null(),
                chunk,
            ))
            .select((
                payout_batch_items::reference,
                payout_batch_items::payout_id,
                (
                    payouts::creator_id,
                    payouts::amount_cents,
                    payouts::royalty_statement_id,
                )
                    .nullable(),
            ))
            .load(conn)?;
        known.extend(
            rows.into_iter()
                .filter_map(|(reference, payout_id, content)| {
                    let content =
                        content.map(|(creator_id, amount_cents, statement_id)| PayoutContent {
                            creator_id,
                            amount_cents,
                            statement_id,
                        });
                    Some((reference?, KnownReference { payout_id, content }))
                }),
        );
    }
    Ok(known)
}

fn insert_in_tx(
    conn: &mut AnyConnection,
    run: &RunStamp,
    now: Time,
    new_batch: Option<&NewBatch>,
    planned: &[PlannedPayout],
) -> Result<(CreatedPayouts, HeadsHash), StoreError> {
    let mut ids = IdMaker::new(now);
    let batch = match new_batch {
        Some(new) => Some(insert_batch_in_tx(
            conn,
            run,
            now,
            new,
            Planned::of(planned),
            ids.next_id()?,
        )?),
        None => None,
    };
    let batch_id = batch.as_ref().map(|batch| &batch.id);
    let mut heads = HeadsHash::default();
    let mut created = Vec::with_capacity(planned.len());
    for chunk in planned.chunks(CHUNK_ROWS) {
        let (new, chunk_heads) = insert_chunk_in_tx(conn, run, now, batch_id, chunk, &mut ids)?;
        heads.merge(chunk_heads);
        created.extend(new);
    }
    Ok((
        CreatedPayouts {
            batch,
            payouts: created,
        },
        heads,
    ))
}

fn insert_chunk_in_tx(
    conn: &mut AnyConnection,
    run: &RunStamp,
    now: Time,
    batch_id: Option<&BatchId>,
    chunk: &[PlannedPayout],
    ids: &mut IdMaker,
) -> Result<(Vec<PayoutId>, HeadsHash), StoreError> {
    let new: Vec<PayoutId> = chunk
        .iter()
        .map(|_| ids.next_id().map(PayoutId::new))
        .collect::<Result<_, _>>()?;
    insert_rows_in_tx(conn, now, batch_id, chunk, &new)?;
    let changes = new.iter().zip(chunk).map(|(id, planned)| Change {
        payout_id: id.clone(),
        event: HistoryEvent::Created,
        from: None,
        to: PayoutStatus::Pending,
        reason: planned.reason.clone(),
    });
    let heads = begin_in_tx(conn, run, now, changes)?;
    Ok((new, heads))
}

fn insert_batch_in_tx(
    conn: &mut AnyConnection,
    run: &RunStamp,
    now: Time,
    new: &NewBatch,
    planned: Planned,
    id: String,
) -> Result<Batch, StoreError> {
    let batch = Batch {
        id: BatchId::new(id),
        source: new.source.clone(),
        sha256: new.sha256.clone(),
        payout_count: i32::try_from(planned.count)
            .map_err(|_| StoreError::Conflict("a batch may have 2147483647 payouts".to_owned()))?,
        total_cents: planned.total_cents,
        actor: run.actor.clone(),
        run_id: run.run_id.clone(),
        created_at: now,
    };
    diesel::insert_into(payout_batches::table)
        .values(&batch)
        .execute(conn)?;
    if let Some(reason) = new.hold {
        let hold = Hold {
            kind: HoldKind::Batch,
            target: batch.id.as_str().to_owned(),
            reason: reason.to_owned(),
            actor: run.actor.clone(),
            created_at: now,
            ends_at: None,
        };
        holds::set_in_tx(conn, &hold)?;
    }
    Ok(batch)
}

fn insert_rows_in_tx(
    conn: &mut AnyConnection,
    now: Time,
    batch_id: Option<&BatchId>,
    planned: &[PlannedPayout],
    ids: &[PayoutId],
) -> Result<(), StoreError> {
    let rows: Vec<NewPayout> = planned
        .iter()
        .zip(ids)
        .map(|(planned, id)| NewPayout {
            id: id.clone(),
            creator_id: planned.content.creator_id.clone(),
            royalty_statement_id: planned.content.statement_id.clone(),
            amount_cents: planned.content.amount_cents,
            status: PayoutStatus::Pending,
            retry_count: 0,
            created_at: now,
            updated_at: now,
        })
        .collect();
    let items: Vec<BatchItem> = planned
        .iter()
        .zip(ids)
        .map(|(planned, id)| BatchItem {
            payout_id: id.clone(),
            batch_id: batch_id.cloned(),
            line: planned.line,
            reference: planned.reference.clone(),
        })
        .collect();
    payouts_append(conn, &rows)?;
    items_append(conn, &items)?;
    Ok(())
}
