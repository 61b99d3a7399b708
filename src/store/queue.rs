//! The queue: which pending payouts may be sent, and claiming them.
//!
//! One place claims. Every check that decides whether a payout may be sent is
//! made here, inside the transaction that claims it, by the rule in
//! [`crate::model::payout::may_send`].
//!
//! A run walks the queue once, in the order of `created_at`, `id`, behind a
//! [`Mark`]: rows that are skipped are counted and never looked at again by
//! this run, so a skipped row cannot block the ones behind it, and a queue of a
//! million rows needs the memory of one window.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{Text, Timestamp};

use crate::failpoint::{failpoint, planted};
use crate::model::attempt::{Attempt, AttemptOutcome, idempotency_key};
use crate::model::history::{Change, HistoryEvent};
use crate::model::ids::{BatchId, CreatorId, PayoutId, StatementId};
use crate::model::payout::{Candidate, Payout, PayoutStatus, SendRules, Skip, may_send};
use crate::model::schema::{
    payout_attempts, payout_batch_items, payout_batches, payout_statement_claims, payouts,
};
use crate::model::time::Time;
use crate::store::candidates::{candidates, statement_of, statements_of};
use crate::store::connection::{AnyConnection, MultiBackend};
use crate::store::dialect::{self};
use crate::store::payouts::beside_created;
use crate::store::runs::RunStamp;
use crate::store::{Store, StoreError, history, settings};

/// A place in the queue: everything up to and with this row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The row's `created_at`.
    pub created_at: Time,
    /// The row's id.
    pub id: PayoutId,
}

impl Mark {
    /// Where a payout stands.
    pub fn of(payout: &Payout) -> Self {
        Self {
            created_at: payout.created_at,
            id: payout.id.clone(),
        }
    }
}

/// Which part of the queue a run works on. Empty: all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueFilter {
    /// Only these payouts.
    pub ids: Vec<PayoutId>,
    /// Only this batch.
    pub batch: Option<BatchId>,
    /// Only this creator.
    pub creator: Option<CreatorId>,
}

impl QueueFilter {
    /// Whether a payout is part of it.
    pub fn covers(&self, candidate: &Candidate) -> bool {
        let payout = &candidate.payout;
        (self.ids.is_empty() || self.ids.contains(&payout.id))
            && (self.batch.is_none() || self.batch == candidate.batch_id)
            && self
                .creator
                .as_ref()
                .is_none_or(|creator| *creator == payout.creator_id)
    }
}

/// Everything that decides what may be claimed now.
#[derive(Debug, Clone)]
pub struct QueueRequest {
    /// Which part of the queue.
    pub filter: QueueFilter,
    /// Behind this row.
    pub after: Option<Mark>,
    /// Up to this row, which a person agreed to.
    pub until: Option<Mark>,
    /// Limits and permissions.
    pub rules: SendRules,
    /// Rows of other software that Stripe was searched for.
    pub searched: Arc<Searched>,
    /// What a person agreed to: amount and destination of each payout. None
    /// where the configuration agreed to whatever is due.
    pub agreed: Option<Arc<HashMap<PayoutId, (i32, String)>>>,
    /// Payouts that a look-up at Stripe spoke against.
    pub in_doubt: Arc<HashSet<PayoutId>>,
}

/// Clean rows of other software that Stripe was searched for. Kept as fingerprints,
/// eight bytes each, because a platform may have a million of them: two ids share
/// one by chance once in 2^64, and then a row would have to have appeared meanwhile.
#[derive(Debug, Clone, Default)]
pub struct Searched {
    fingerprints: RandomState,
    /// Sorted. Nothing was found for them: they may be sent.
    clear: Vec<u64>,
    /// The search covered the whole queue; what appears now waits for the next run.
    pub complete: bool,
}

impl Searched {
    /// Lets these be sent too.
    pub fn extend<'a>(&mut self, clear: impl Iterator<Item = &'a PayoutId>) {
        let fingerprints = &self.fingerprints;
        self.clear.extend(clear.map(|id| fingerprints.hash_one(id)));
        self.clear.sort_unstable();
    }

    fn is_clear(&self, payout: &PayoutId) -> bool {
        let fingerprint = self.fingerprints.hash_one(payout);
        self.clear.binary_search(&fingerprint).is_ok()
    }
}

/// What a claim turns into attempts.
#[derive(Debug, Clone)]
pub struct ClaimTerms {
    /// At most this many payouts.
    pub payouts_max: usize,
    /// Rows looked at, and locked meanwhile: as many as payouts are wanted, or
    /// more where many are skipped. At most [`WINDOW_MAX`].
    pub rows_max: usize,
    /// At most this much, minor units.
    pub total_max_cents: i64,
    /// The most that all runs of a UTC day may pay.
    pub day: Option<DayLimit>,
    /// How the attempt is written.
    pub attempt: AttemptTerms,
}

/// The most that all runs of a UTC day may pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayLimit {
    /// Minor units.
    pub cents: i64,
    /// What the day's attempts come to is added up anew, as a run does at its beginning.
    pub anew: bool,
}

/// What every attempt of a run has in common.
#[derive(Debug, Clone)]
pub struct AttemptTerms {
    /// Lowercase code.
    pub currency: crate::model::money::Currency,
    /// The platform's account.
    pub stripe_account: String,
    /// Real money.
    pub livemode: bool,
    /// `Stripe-Version`.
    pub api_version: String,
    /// This database's id, sent along as metadata.
    pub database_id: String,
    /// How far Stripe's clock is ahead of ours, milliseconds.
    pub stripe_ahead_millis: i64,
    /// Writes the form body.
    pub body: fn(&Candidate, i32, &AttemptTerms) -> String,
}

impl AttemptTerms {
    /// What Stripe's clock says when ours says `now`.
    pub fn stripe_time(&self, now: Time) -> Time {
        now.on_clock_ahead(self.stripe_ahead_millis)
    }
}

/// A window of the queue that was walked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// Sent on by this run: claimed, or in a plan only counted.
    pub claimed: Vec<Claimed>,
    /// Left alone, and why.
    pub skipped: Vec<Skipped>,
    /// The last row that was looked at; none when nothing is left.
    pub last: Option<Mark>,
    /// The queue goes on behind `last`.
    pub more: bool,
    /// The next payout would have passed the agreed total, or the day's.
    pub total_reached: bool,
    /// It was the day's.
    pub day_reached: bool,
    /// The walk stopped before a payout that may be sent.
    pub stopped_short: bool,
    /// It stopped before a row of other software that Stripe must be searched for.
    pub unsearched: bool,
}

impl Window {
    /// Ends the walk behind `passed`; the queue goes on there.
    fn stop_before(&mut self, passed: Option<Mark>) {
        self.stopped_short = true;
        self.more = true;
        self.last = passed;
    }
}

/// A payout and the attempt that was written for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The row as it was.
    pub payout: Payout,
    /// The committed attempt.
    pub attempt: Attempt,
    /// The batch it was loaded with.
    pub batch_id: Option<BatchId>,
}

/// A payout that is not sent, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Which.
    pub payout_id: PayoutId,
    /// Minor units.
    pub amount_cents: i32,
    /// Why.
    pub reason: Skip,
}

/// Says in the log what was decided about each row of a window.
fn tell(window: &Window) {
    for claimed in &window.claimed {
        let attempt = &claimed.attempt;
        tracing::debug!(
            event = "claimed",
            payout_id = attempt.payout_id.as_str(),
            attempt = attempt.attempt,
            idempotency_key = attempt.idempotency_key,
            amount_cents = attempt.amount_cents,
            currency = attempt.currency.as_str(),
            destination = attempt.destination,
            "a payout is claimed"
        );
    }
    for skipped in &window.skipped {
        tracing::debug!(
            event = "skipped",
            payout_id = skipped.payout_id.as_str(),
            amount_cents = skipped.amount_cents,
            code = skipped.reason.code(),
            "a payout is left alone"
        );
    }
}

/// A window of the queue as a plan sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// Would be sent, in order.
    pub due: Vec<Candidate>,
    /// Would not, and why.
    pub skipped: Vec<Skipped>,
    /// The last row that was looked at.
    pub last: Option<Mark>,
    /// The queue goes on behind `last`.
    pub more: bool,
    /// The walk stopped before a row of other software that Stripe must be searched for.
    pub unsearched: bool,
}

/// Rows looked at in one window.
pub const WINDOW_MAX: usize = 500;

impl Store {
    /// Walks one window of the queue, of so many rows, without claiming anything.
    pub fn queue_preview(
        &mut self,
        request: &QueueRequest,
        rows: usize,
    ) -> Result<Preview, StoreError> {
        let now = self.clock.now();
        self.read(|conn| {
            let (after, until) = (request.after.as_ref(), request.until.as_ref());
            dialect::find_by_index(conn)?;
            let marks = marks_of(due_marks(&request.filter, after, until, rows).load(conn)?);
            let ids: Vec<PayoutId> = marks.iter().map(|mark| mark.id.clone()).collect();
            let mut preview = Preview {
                more: marks.len() == rows,
                ..Preview::default()
            };
            let mut passed = request.after.clone();
            for candidate in candidates(conn, &ids, now, request.rules.approval.is_some())? {
                let mark = Mark::of(&candidate.payout);
                match sendable(&candidate, request) {
                    Ok(()) => preview.due.push(candidate),
                    Err(Skip::NotLookedUp) if !request.searched.complete => {
                        preview.unsearched = true;
                        preview.more = true;
                        preview.last = passed;
                        return Ok(preview);
                    }
                    Err(reason) => preview.skipped.push(skipped(&candidate.payout, reason)),
                }
                passed = Some(mark);
            }
            preview.last = marks.into_iter().next_back();
            Ok(preview)
        })
    }

    /// Claims what may be sent: payouts become PROCESSING, each with its
    /// attempt, committed before anything is sent.
    pub fn queue_claim(
        &mut self,
        stamp: &RunStamp,
        request: &QueueRequest,
        terms: &ClaimTerms,
    ) -> Result<Window, StoreError> {
        let now = self.clock.now();
        // Attempts bear the time of their first send by Stripe's clock.
        let today = terms.attempt.stripe_time(now);
        let (window, heads) = self.write_by_index(|conn| {
            let size = terms.rows_max.clamp(1, WINDOW_MAX);
            let (after, until) = (request.after.as_ref(), request.until.as_ref());
            // Rows that another run holds are passed over; the walk goes on behind them.
            let marks = marks_of(
                dialect::skipping_locked(due_marks(&request.filter, after, until, size))
                    .load(conn)?,
            );
            let ids: Vec<PayoutId> = marks.iter().map(|mark| mark.id.clone()).collect();
            let mut window = Window {
                more: marks.len() == size,
                ..Window::default()
            };
            let day_room = match terms.day {
                Some(day) => settings::day_room_in_tx(conn, today, day.cents, day.anew)?,
                None => i64::MAX,
            };
            let within = ClaimTerms {
                total_max_cents: terms.total_max_cents.min(day_room),
                ..terms.clone()
            };
            let asked = candidates(conn, &ids, now, request.rules.approval.is_some())?;
            let chosen = choose(asked, request, &within, &mut window);
            window.day_reached = window.total_reached && day_room < terms.total_max_cents;
            if window.last.is_none() && !window.stopped_short {
                window.last = marks.into_iter().next_back();
            }
            let heads = claim_in_tx(conn, stamp, now, &terms.attempt, chosen, &mut window)?;
            if let Some(day) = terms.day {
                let claimed = window.claimed.iter().fold(0_i64, |sum, one| {
                    sum.saturating_add(one.attempt.amount_cents.into())
                });
                settings::day_claimed_in_tx(conn, today, day.cents, day_room, claimed)?;
            }
            failpoint!("claim.writing");
            Ok((window, heads))
        })?;
        self.heads.merge(heads);
        failpoint!("claim.committed");
        if tracing::enabled!(tracing::Level::DEBUG) {
            tell(&window);
        }
        Ok(window)
    }

    /// Those of the given payouts that do not exist.
    pub fn payouts_missing(&mut self, ids: &[PayoutId]) -> Result<Vec<PayoutId>, StoreError> {
        let mut known: HashSet<PayoutId> = HashSet::new();
        for chunk in ids.chunks(dialect::IDS_MAX) {
            let found: Vec<PayoutId> = self.read(|conn| {
                Ok(payouts::table
                    .filter(payouts::id.eq_any(chunk))
                    .select(payouts::id)
                    .load(conn)?)
            })?;
            known.extend(found);
        }
        Ok(ids
            .iter()
            .filter(|id| !known.contains(*id))
            .cloned()
            .collect())
    }

    /// Whether a batch exists.
    pub fn batch_exists(&mut self, batch: &BatchId) -> Result<bool, StoreError> {
        self.read(|conn| {
            Ok(diesel::select(diesel::dsl::exists(
                payout_batches::table.filter(payout_batches::id.eq(batch)),
            ))
            .get_result(conn)?)
        })
    }

    /// Everything that decides whether one payout may be sent, whatever its status.
    pub fn candidate(
        &mut self,
        payout: &PayoutId,
        rules: &SendRules,
    ) -> Result<Option<Candidate>, StoreError> {
        let now = self.clock.now();
        self.read(|conn| {
            Ok(candidates(
                conn,
                std::slice::from_ref(payout),
                now,
                rules.approval.is_some(),
            )?
            .pop())
        })
    }
}

/// Picks what is claimed, in order, within the agreed count and total.
fn choose(
    candidates: Vec<Candidate>,
    request: &QueueRequest,
    terms: &ClaimTerms,
    window: &mut Window,
) -> Vec<Candidate> {
    let mut chosen = Vec::new();
    let mut room_cents = terms.total_max_cents;
    let mut statements: HashSet<StatementId> = HashSet::new();
    let mut passed: Option<Mark> = request.after.clone();
    for candidate in candidates {
        let payout = &candidate.payout;
        let mark = Mark::of(payout);
        let taken_here = payout
            .royalty_statement_id
            .as_ref()
            .is_some_and(|s| statements.contains(s));
        match sendable(&candidate, request) {
            Err(Skip::NotLookedUp) if !request.searched.complete => {
                window.unsearched = chosen.len() < terms.payouts_max;
                window.stop_before(passed);
                return chosen;
            }
            Err(reason) => window.skipped.push(skipped(payout, reason)),
            // Two payouts of one statement in the same window: the first goes.
            Ok(()) if taken_here && !planted!("statement_not_taken") => {
                window.skipped.push(skipped(payout, Skip::StatementTaken));
            }
            Ok(()) => {
                let amount = i64::from(payout.amount_cents);
                let full = amount > room_cents || chosen.len() >= terms.payouts_max;
                if full && !planted!("claim_without_limit") {
                    window.total_reached = amount > room_cents;
                    window.stop_before(passed);
                    return chosen;
                }
                room_cents -= amount;
                statements.extend(payout.royalty_statement_id.clone());
                chosen.push(candidate);
            }
        }
        passed = Some(mark);
    }
    chosen
}

fn skipped(payout: &Payout, reason: Skip) -> Skipped {
    Skipped {
        payout_id: payout.id.clone(),
        amount_cents: payout.amount_cents,
        reason,
    }
}

/// The rule of the model, and what only the queue knows.
fn sendable(candidate: &Candidate, request: &QueueRequest) -> Result<(), Skip> {
    match candidate.last_attempt {
        Some((_, AttemptOutcome::Paid)) => return Err(Skip::PaidBefore),
        Some((_, outcome)) if outcome.is_unresolved() => return Err(Skip::AttemptOpen),
        _ => {}
    }
    if candidate.last_attempt.is_none() {
        let doubtful = request.in_doubt.contains(&candidate.payout.id);
        if doubtful || candidate.payout.bears_marks_of_a_send() {
            return Err(Skip::MaybeSentElsewhere);
        }
    }
    let verdict = if planted!("approval_ignored") {
        let unasked = SendRules {
            approval: None,
            ..request.rules.clone()
        };
        may_send(candidate, &unasked)
    } else {
        may_send(candidate, &request.rules)
    };
    verdict?;
    let shown = |agreed: &Arc<HashMap<PayoutId, (i32, String)>>| {
        agreed
            .get(&candidate.payout.id)
            .is_some_and(|(amount, destination)| {
                *amount == candidate.payout.amount_cents
                    && Some(destination) == candidate.destination.as_ref()
            })
    };
    if !request.agreed.as_ref().is_none_or(shown) {
        return Err(Skip::NotAgreed);
    }
    // Last, so that Stripe is searched only for what could be sent.
    let first_send = candidate.last_attempt.is_none();
    if first_send && !candidate.ours && !request.searched.is_clear(&candidate.payout.id) {
        return Err(Skip::NotLookedUp);
    }
    Ok(())
}

/// The next pending rows of the queue, in its order.
fn due_marks<'a>(
    filter: &QueueFilter,
    after: Option<&Mark>,
    until: Option<&Mark>,
    limit: usize,
) -> payouts::BoxedQuery<'a, MultiBackend, (Timestamp, Text)> {
    let marks = payouts::table.select((payouts::created_at, payouts::id));
    let mut query = due(marks.into_boxed(), filter, after, limit);
    if let Some(mark) = until {
        query = query.filter(beside_created("<=", mark.created_at, &mark.id));
    }
    query
}

fn marks_of(found: Vec<(Time, PayoutId)>) -> Vec<Mark> {
    found
        .into_iter()
        .map(|(created_at, id)| Mark { created_at, id })
        .collect()
}

/// Of a query of payouts, the next pending rows of the queue, in its order.
pub(super) fn due<'a, T>(
    mut query: payouts::BoxedQuery<'a, MultiBackend, T>,
    filter: &QueueFilter,
    after: Option<&Mark>,
    limit: usize,
) -> payouts::BoxedQuery<'a, MultiBackend, T> {
    query = query
        .filter(payouts::status.eq(PayoutStatus::Pending))
        .order((payouts::created_at, payouts::id))
        .limit(i64::try_from(limit).unwrap_or(i64::MAX));
    if let Some(mark) = after {
        query = query.filter(beside_created(">", mark.created_at, &mark.id));
    }
    if !filter.ids.is_empty() {
        query = query.filter(payouts::id.eq_any(filter.ids.clone()));
    }
    if let Some(creator) = &filter.creator {
        query = query.filter(payouts::creator_id.eq(creator.clone()));
    }
    if let Some(batch) = &filter.batch {
        let items = payout_batch_items::table
            .filter(payout_batch_items::batch_id.eq(batch.clone()))
            .select(payout_batch_items::payout_id);
        query = query.filter(payouts::id.eq_any(items));
    }
    query
}

/// Writes the claim: statuses, statement claims, attempts and history.
fn claim_in_tx(
    conn: &mut AnyConnection,
    stamp: &RunStamp,
    now: Time,
    terms: &AttemptTerms,
    chosen: Vec<Candidate>,
    window: &mut Window,
) -> Result<history::HeadsHash, StoreError> {
    let chosen = take_statements(conn, chosen, window)?;
    if chosen.is_empty() {
        return Ok(history::HeadsHash::default());
    }
    let ids: Vec<PayoutId> = chosen.iter().map(|c| c.payout.id.clone()).collect();
    let changed = dialect::payouts_claim(conn, &ids, now)?;
    if changed != ids.len() {
        // The rows were locked and pending a moment ago.
        return Err(StoreError::Conflict(format!(
            "claimed {changed} of {} locked payouts",
            ids.len()
        )));
    }
    let mut fresh = Vec::new();
    let mut history_rows = Vec::with_capacity(chosen.len());
    for candidate in chosen {
        let mut attempt = new_attempt(&candidate, stamp, now, terms);
        history_rows.push(Change {
            payout_id: attempt.payout_id.clone(),
            event: HistoryEvent::Claimed,
            from: Some(PayoutStatus::Pending),
            to: PayoutStatus::Processing,
            reason: Some(format!("attempt {}", attempt.attempt)),
        });
        match candidate.last_attempt {
            Some((_, AttemptOutcome::NotSent)) => {
                attempt.send_count = attempt_reopen(conn, &attempt)?;
            }
            _ => fresh.push(attempt.clone()),
        }
        window.claimed.push(Claimed {
            payout: candidate.payout,
            attempt,
            batch_id: candidate.batch_id,
        });
    }
    dialect::attempts_append(conn, &fresh)?;
    history::append_in_tx(conn, stamp, now, history_rows)
}

/// Takes the statements of what was chosen, one payout in flight for each: the
/// primary key refuses a second. The statement is judged again once it is ours,
/// because another run may have paid on it since it was first read.
fn take_statements(
    conn: &mut AnyConnection,
    chosen: Vec<Candidate>,
    window: &mut Window,
) -> Result<Vec<Candidate>, StoreError> {
    let wanted: Vec<(StatementId, PayoutId)> = chosen
        .iter()
        .filter_map(|c| Some((c.payout.royalty_statement_id.clone()?, c.payout.id.clone())))
        .collect();
    if wanted.is_empty() || planted!("statement_not_taken") {
        return Ok(chosen);
    }
    dialect::statement_claims_append(conn, &wanted)?;
    let ids: Vec<StatementId> = wanted.into_iter().map(|(statement, _)| statement).collect();
    let statements = statements_of(conn, &ids)?;
    let mut taken = Vec::with_capacity(chosen.len());
    for candidate in chosen {
        let payout = &candidate.payout;
        let refused = payout.royalty_statement_id.as_ref().and_then(|id| {
            let Some(facts) = statements.get(id) else {
                return Some(Skip::StatementNotPayable);
            };
            statement_of(payout, facts).may_settle(payout).err()
        });
        match refused {
            None => taken.push(candidate),
            Some(reason) => {
                statement_release(conn, &payout.id)?;
                window.skipped.push(skipped(payout, reason));
            }
        }
    }
    Ok(taken)
}

/// Gives back the statement that a payout holds, if it holds one.
pub(super) fn statement_release(
    conn: &mut AnyConnection,
    payout: &PayoutId,
) -> Result<(), StoreError> {
    diesel::delete(
        payout_statement_claims::table.filter(payout_statement_claims::payout_id.eq(payout)),
    )
    .execute(conn)?;
    Ok(())
}

/// The attempt that follows: the same number again when nothing of it was
/// executed, the next one after a definite no.
fn new_attempt(
    candidate: &Candidate,
    stamp: &RunStamp,
    now: Time,
    terms: &AttemptTerms,
) -> Attempt {
    let number = match candidate.last_attempt {
        None => 1,
        Some((number, AttemptOutcome::NotSent)) => number,
        Some((number, _)) => number.saturating_add(1),
    };
    let payout = &candidate.payout;
    Attempt {
        payout_id: payout.id.clone(),
        attempt: number,
        idempotency_key: idempotency_key(&payout.id, number),
        body: (terms.body)(candidate, number, terms),
        amount_cents: payout.amount_cents,
        currency: terms.currency,
        destination: candidate.destination.clone().unwrap_or_default(),
        transfer_group: payout.id.as_str().to_owned(),
        royalty_statement_id: payout.royalty_statement_id.clone(),
        stripe_account: terms.stripe_account.clone(),
        livemode: terms.livemode,
        api_version: terms.api_version.clone(),
        run_id: stamp.run_id.clone(),
        outcome: AttemptOutcome::Sending,
        created_at: now,
        first_sent_at: terms.stripe_time(now),
        last_sent_at: None,
        send_count: 0,
        stored_error: false,
        settled_at: None,
        http_status: None,
        error_type: None,
        error_code: None,
        error_message: None,
        request_id: None,
        replayed: false,
        transfer_id: None,
    }
}

/// Opens an attempt again of which nothing was executed: body and first-send
/// time are written anew, the number, the key and the count of sends, which is
/// returned, stay.
fn attempt_reopen(conn: &mut AnyConnection, attempt: &Attempt) -> Result<i32, StoreError> {
    use payout_attempts as a;
    let changed = diesel::update(
        a::table
            .filter(a::payout_id.eq(&attempt.payout_id))
            .filter(a::attempt.eq(attempt.attempt))
            .filter(a::outcome.eq(AttemptOutcome::NotSent)),
    )
    .set((
        (
            a::body.eq(&attempt.body),
            a::amount_cents.eq(attempt.amount_cents),
            a::currency.eq(attempt.currency),
            a::destination.eq(&attempt.destination),
            a::royalty_statement_id.eq(&attempt.royalty_statement_id),
            a::stripe_account.eq(&attempt.stripe_account),
            a::livemode.eq(attempt.livemode),
            a::api_version.eq(&attempt.api_version),
        ),
        (
            a::run_id.eq(&attempt.run_id),
            a::outcome.eq(AttemptOutcome::Sending),
            a::first_sent_at.eq(attempt.first_sent_at),
            a::settled_at.eq(None::<Time>),
        ),
    ))
    .execute(conn)?;
    if changed != 1 {
        return Err(StoreError::Conflict(format!(
            "attempt {} of payout {} is not as it was read",
            attempt.attempt, attempt.payout_id
        )));
    }
    Ok(a::table
        .filter(a::payout_id.eq(&attempt.payout_id))
        .filter(a::attempt.eq(attempt.attempt))
        .select(a::send_count)
        .first(conn)?)
}
