//! Creating the payouts of royalty statements: one of what is left of each
//! statement that is payable.
//!
//! ```text
//! search    the statements that are not paid; none that is added later
//! create    hold each against what is stored, in the write transaction, and write
//! preview   the same on the same facts, and write nothing: the dry run
//! ```
//!
//! A statement that cannot be paid stops no other one: it is told with why. The
//! accounts are read under the statements' locks, and a payout in flight makes a
//! statement not payable. So of two who do this at once one creates, and doing
//! it again creates nothing.

use sha2::{Digest, Sha256};

use crate::model::creator::Creator;
use crate::model::history::hex;
use crate::model::ids::{CreatorId, PayoutId, StatementId};
use crate::model::money::{Currency, with_currency};
use crate::model::statement::{StatementAccount, StatementRefusal};
use crate::model::text_enum;
use crate::ops::create::{BeyondLimit, Created, DELETED_CREATOR, Limits, NEW_BATCH_HOLD};
use crate::store::creators::NamedCreator;
use crate::store::payout_create::{
    CreationFacts, CreationKeys, NewBatch, PayoutContent, PlannedPayout,
};
use crate::store::{RunStamp, Store, StoreError};

/// What a batch from statements is called where one from a file has the file's name.
pub const SOURCE: &str = "statements";

/// Which statements are to be paid, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// Only this royalty run's.
    pub run: Option<String>,
    /// Only this creator's.
    pub creator: Option<CreatorId>,
    /// For the amount of each payout.
    pub limits: Limits,
    /// Why what was taken back at Stripe is to be paid again; none: it is not.
    pub repay: Option<String>,
    /// The batch does not start held.
    pub release: bool,
}

/// The statements to be held against what is stored.
#[derive(Debug)]
pub struct Wanted<'r> {
    request: &'r Request,
    statements: Vec<(StatementId, CreatorId)>,
}

text_enum! {
    /// What became of a statement, or would: in the order in which they are told.
    pub enum Outcome {
        /// A payout of what is left of it.
        Created = "created",
        /// Left until it is worth a payout.
        Carried = "carried",
        /// Not payable, and nobody has to do anything about that here.
        LeftOut = "left_out",
        /// Payable, and against a rule of this tool: a person must look.
        Refused = "refused",
    }
}

/// Why a statement gets no payout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Where it stands, or what its payouts do.
    #[error(transparent)]
    Statement(#[from] StatementRefusal),
    /// It is covered, or nothing was ever owed.
    #[error("nothing is left of it")]
    NothingLeft,
    /// The platform deleted the creator.
    #[error("{DELETED_CREATOR}")]
    DeletedCreator,
    /// There is nowhere to send it.
    #[error("the creator has no Stripe account")]
    WithoutAccount,
    /// A claw-back is not undone by the way.
    #[error("{} was taken back at Stripe; --repay pays it again", with_currency(*cents, *currency))]
    TakenBack {
        /// Minor units.
        cents: i64,
        /// What they are in.
        currency: Currency,
    },
    /// It was marked before some of it was taken back, and the mark is the platform's.
    #[error("is paid, though {} was taken back since; pay that again once the platform has opened it", with_currency(*cents, *currency))]
    PaidAndTakenBack {
        /// Minor units.
        cents: i64,
        /// What they are in.
        currency: Currency,
    },
    /// Its amount is not that of a payout.
    #[error(transparent)]
    Limit(#[from] BeyondLimit),
}

impl Reason {
    /// A fixed word for it, which scripts read.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Statement(refusal) => refusal.code(),
            Self::NothingLeft => "nothing_left",
            Self::DeletedCreator => "deleted_creator",
            Self::WithoutAccount => "no_stripe_account",
            Self::TakenBack { .. } => "taken_back",
            Self::PaidAndTakenBack { .. } => "paid_and_taken_back",
            Self::Limit(BeyondLimit::Below { .. }) => "below_minimum",
            Self::Limit(BeyondLimit::Above { .. }) => "above_maximum",
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            Self::Limit(BeyondLimit::Below { .. }) => Outcome::Carried,
            Self::Limit(BeyondLimit::Above { .. }) => Outcome::Refused,
            _ => Outcome::LeftOut,
        }
    }
}

/// A statement and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which.
    pub statement_id: StatementId,
    /// The run that calculated it.
    pub royalty_run_id: String,
    /// Whom it is owed to.
    pub creator_id: CreatorId,
    /// The name on stage and on screen.
    pub creator_name: String,
    /// What is owed and not yet paid, minor units: the amount of its payout.
    pub left_cents: i64,
    /// Why it got no payout.
    pub reason: Option<Reason>,
    /// Its payout; none in a dry run.
    pub payout_id: Option<PayoutId>,
}

impl Line {
    /// In which of the four ways it ended.
    pub fn outcome(&self) -> Outcome {
        self.reason
            .as_ref()
            .map_or(Outcome::Created, Reason::outcome)
    }
}

/// What was created, or would be, and what was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromStatements {
    /// The batch and its payouts.
    pub created: Created,
    /// Every statement, by outcome and id.
    pub lines: Vec<Line>,
}

impl FromStatements {
    /// How many statements ended this way, and what is left of them in minor units.
    pub fn total(&self, outcome: Outcome) -> (usize, i64) {
        let with_outcome = self.lines.iter().filter(|line| line.outcome() == outcome);
        with_outcome.fold((0, 0), |(count, cents), line| {
            (count + 1, cents.saturating_add(line.left_cents))
        })
    }
}

/// Finds the statements that are meant. Writes nothing.
pub fn search<'r>(store: &mut Store, request: &'r Request) -> Result<Wanted<'r>, StoreError> {
    let statements = store.statements_open(request.run.as_deref(), request.creator.as_ref())?;
    Ok(Wanted {
        request,
        statements,
    })
}

/// Creates a payout of each statement that is payable, as one batch.
pub fn create(
    store: &mut Store,
    run: &RunStamp,
    wanted: &Wanted<'_>,
) -> Result<FromStatements, StoreError> {
    // What was cancelled is created again with the same content: only the run
    // tells two such batches apart.
    let batch = NewBatch {
        source: SOURCE.to_owned(),
        sha256: hex(&Sha256::digest(run.run_id.as_str())),
        hold: (!wanted.request.release).then_some(NEW_BATCH_HOLD),
    };
    let mut lines = Vec::new();
    let written = store.payouts_create(
        run,
        &wanted.keys(),
        wanted.request.limits.currency,
        Some(&batch),
        |facts| {
            let planned;
            (lines, planned) = decide(wanted, facts);
            Ok::<_, StoreError>(planned)
        },
    )?;
    for (line, payout) in lines.iter_mut().zip(&written.payouts) {
        line.payout_id = Some(payout.clone());
    }
    let outcome = wanted.outcome_of(lines);
    Ok(FromStatements {
        created: Created {
            batch: written.batch,
            payouts: written.payouts,
            ..outcome.created
        },
        ..outcome
    })
}

/// Says what [`create`] would do now. Writes nothing.
pub fn preview(store: &mut Store, wanted: &Wanted<'_>) -> Result<FromStatements, StoreError> {
    let facts = store.creation_facts(&wanted.keys())?;
    let (lines, _) = decide(wanted, &facts);
    Ok(wanted.outcome_of(lines))
}

impl Wanted<'_> {
    /// There is no statement to look at.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    fn keys(&self) -> CreationKeys<'_> {
        let mut creators: Vec<&str> = self.statements.iter().map(|(_, id)| id.as_str()).collect();
        creators.sort_unstable();
        creators.dedup();
        CreationKeys {
            creators,
            statements: self.statements.iter().map(|(id, _)| id.clone()).collect(),
            ..CreationKeys::default()
        }
    }

    fn outcome_of(&self, lines: Vec<Line>) -> FromStatements {
        let mut outcome = FromStatements {
            created: Created::nothing(self.request.limits.currency, !self.request.release),
            lines,
        };
        (outcome.created.created, outcome.created.total_cents) = outcome.total(Outcome::Created);
        outcome
    }
}

/// Holds every statement against what is stored. The lines are in the order in
/// which they are told; the first of them are those of the payouts, in their order.
fn decide(wanted: &Wanted<'_>, facts: &CreationFacts) -> (Vec<Line>, Vec<PlannedPayout>) {
    let mut lines = Vec::with_capacity(wanted.statements.len());
    let mut planned = Vec::new();
    for (id, creator_id) in &wanted.statements {
        // What was deleted meanwhile, statement or creator, is owed to nobody.
        let account = facts.statements.get(id);
        let creator = facts.creators.get(creator_id.as_str());
        let (Some(account), Some(NamedCreator::One(creator))) = (account, creator) else {
            continue;
        };
        let decided = amount_of(account, creator, wanted.request);
        lines.push(Line {
            statement_id: id.clone(),
            royalty_run_id: account.statement.royalty_run_id.clone(),
            creator_id: creator_id.clone(),
            creator_name: creator.name.clone(),
            left_cents: account.left_cents(),
            reason: decided.as_ref().err().cloned(),
            payout_id: None,
        });
        let Ok(amount_cents) = decided else { continue };
        let again = wanted.request.repay.as_ref();
        planned.push(PlannedPayout {
            content: PayoutContent {
                creator_id: creator_id.clone(),
                amount_cents,
                statement_id: Some(id.clone()),
            },
            reference: None,
            line: None,
            reason: again
                .filter(|_| account.reversed_cents > 0)
                .map(|reason| format!("pays again what was taken back: {reason}")),
        });
    }
    // Stable: by id within each outcome.
    lines.sort_by_key(Line::outcome);
    (lines, planned)
}

/// The amount of a statement's payout, minor units: what is left of it.
///
/// # Errors
/// The first reason against a payout.
fn amount_of(
    account: &StatementAccount,
    creator: &Creator,
    request: &Request,
) -> Result<i32, Reason> {
    // It was locked as this creator's; a platform may have changed that since it was found.
    if account.statement.creator_id != creator.id {
        return Err(StatementRefusal::OtherCreator(account.statement.creator_id.clone()).into());
    }
    let (cents, currency) = (account.reversed_cents, request.limits.currency);
    let left_cents = match account.payable_cents() {
        Err(StatementRefusal::Paid) if cents > 0 => {
            return Err(Reason::PaidAndTakenBack { cents, currency });
        }
        payable => payable?,
    };
    if left_cents <= 0 {
        return Err(Reason::NothingLeft);
    }
    if creator.deleted_at.is_some() {
        return Err(Reason::DeletedCreator);
    }
    if creator.stripe_account_id.is_none() {
        return Err(Reason::WithoutAccount);
    }
    if cents > 0 && request.repay.is_none() {
        return Err(Reason::TakenBack { cents, currency });
    }
    Ok(request.limits.check(left_cents)?)
}
