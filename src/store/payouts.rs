//! Payouts as people look for them: filtered, sorted, page by page, with the
//! totals of all that match.
//!
//! Nothing here writes. A page costs the same wherever in the list it lies:
//! the next one begins behind the last row's sort key, never at a count.

use std::collections::HashMap;

use diesel::dsl::sql;
use diesel::expression::{AppearsOnTable, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Bool, Integer, Text, Timestamp};

use crate::model::attempt::AttemptOutcome;
use crate::model::hold::HoldKind;
use crate::model::ids::{BatchId, CreatorId, PayoutId, StatementId};
use crate::model::listing::{LastAttempt, ListRules, ListedPayout, Total, Totals};
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::schema::{
    creators, payout_attempts, payout_batch_items, payout_runs, payouts, users,
};
use crate::model::standing::{RetryOutlook, Standing};
use crate::model::time::{Span, Time};
use crate::store::connection::{AnyConnection, MultiBackend};
use crate::store::creators::lower;
use crate::store::dialect::{IDS_MAX, among, sum_amount_cents};
use crate::store::standing::standings_in_tx;
use crate::store::{Store, StoreError, candidates, reversals};

/// Creators that a part of a name may match: their ids stand in one query.
pub const CREATORS_MAX: usize = IDS_MAX;

/// Which payouts. What is not said is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PayoutFilter {
    /// In one of these states; empty means any.
    pub statuses: Vec<PayoutStatus>,
    /// Loaded with this batch.
    pub batch: Option<BatchId>,
    /// Paying one of these creators; see [`Store::creators_matching`].
    pub creators: Option<Vec<CreatorId>>,
    /// Settling this statement.
    pub statement: Option<StatementId>,
    /// Loaded under this reference.
    pub reference: Option<String>,
    /// At least this many minor units.
    pub min_cents: Option<i32>,
    /// At most this many minor units.
    pub max_cents: Option<i32>,
    /// Created in this time.
    pub created: Span,
    /// Processed in this time; a payout that never was does not match.
    pub processed: Span,
}

/// What a list is sorted by. Equal ones follow their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SortBy {
    /// When it was created. The one sort that an index serves.
    #[default]
    Created,
    /// When any column last changed.
    Updated,
    /// How much.
    Amount,
}

/// How a list is sorted: newest or largest first, unless reversed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PayoutOrder {
    /// By what.
    pub by: SortBy,
    /// Oldest or smallest first.
    pub reversed: bool,
}

/// Part of a sorted list.
#[derive(Debug, Clone, Copy)]
pub struct PageOf<'a> {
    /// How the whole list is sorted.
    pub order: PayoutOrder,
    /// The last row of the page before, as it was shown.
    pub after: Option<&'a Payout>,
    /// Rows at most.
    pub rows_max: usize,
}

impl Store {
    /// A page of the payouts that match.
    pub fn payout_list(
        &mut self,
        filter: &PayoutFilter,
        page: PageOf<'_>,
        rules: &ListRules,
    ) -> Result<Vec<ListedPayout>, StoreError> {
        let now = self.clock.now();
        self.read(|conn| list(conn, filter, page, rules, now))
    }

    /// These payouts as a list shows them, in this order; at most `IDS_MAX`. What
    /// is not there is left out.
    pub fn payouts_listed(
        &mut self,
        ids: &[PayoutId],
        rules: &ListRules,
    ) -> Result<Vec<ListedPayout>, StoreError> {
        let now = self.clock.now();
        self.read(|conn| listed_of(conn, ids, rules, now))
    }

    /// Count and sum of all payouts that match, for each status.
    pub fn payout_totals(&mut self, filter: &PayoutFilter) -> Result<Totals, StoreError> {
        self.read(|conn| totals(conn, filter))
    }

    /// A page and the totals of all that match, both of one state of the database.
    pub fn payout_list_with_totals(
        &mut self,
        filter: &PayoutFilter,
        page: PageOf<'_>,
        rules: &ListRules,
    ) -> Result<(Vec<ListedPayout>, Totals), StoreError> {
        let now = self.clock.now();
        self.read(|conn| Ok((list(conn, filter, page, rules, now)?, totals(conn, filter)?)))
    }

    /// One row of the table.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none of this id.
    pub fn payout_get(&mut self, id: &PayoutId) -> Result<Payout, StoreError> {
        self.read(|conn| {
            Ok(payouts::table
                .filter(payouts::id.eq(id))
                .select(Payout::as_select())
                .first(conn)?)
        })
    }

    /// The creators a person means by `text`: the one with this id or this
    /// e-mail, else all with this text in their name, without regard to case.
    /// At most one more than [`CREATORS_MAX`].
    pub fn creators_matching(&mut self, text: &str) -> Result<Vec<CreatorId>, StoreError> {
        self.read(|conn| {
            let users = users::table
                .filter(lower(users::email).eq(text.to_ascii_lowercase()))
                .select(users::id);
            let exact: Vec<CreatorId> = creators::table
                .filter(creators::id.eq(text).or(creators::user_id.eq_any(users)))
                .select(creators::id)
                .limit(limit(CREATORS_MAX.saturating_add(1)))
                .load(conn)?;
            if exact.is_empty() {
                named(conn, text)
            } else {
                Ok(exact)
            }
        })
    }
}

/// The creators with a text in their name.
fn named(conn: &mut AnyConnection, text: &str) -> Result<Vec<CreatorId>, StoreError> {
    // What case means beyond ASCII depends on the database and its locale: there
    // the pattern takes any character, and the names it finds are compared here.
    let pattern: String = text
        .chars()
        .flat_map(|c| match c {
            '%' | '_' | '\\' => vec!['\\', c],
            c if c.is_ascii() => vec![c.to_ascii_lowercase()],
            _ => vec!['_'],
        })
        .collect();
    let found: Vec<(CreatorId, String)> = creators::table
        .filter(
            lower(creators::stage_name)
                .like(format!("%{pattern}%"))
                .escape('\\'),
        )
        .select((creators::id, creators::stage_name))
        .load(conn)?;
    let wanted = text.to_lowercase();
    Ok(found
        .into_iter()
        .filter(|(_, name)| name.to_lowercase().contains(&wanted))
        .map(|(id, _)| id)
        .take(CREATORS_MAX.saturating_add(1))
        .collect())
}

/// What a payout must fulfil, as a part of a query.
pub(super) type Condition<'a> =
    Box<dyn BoxableExpression<payouts::table, MultiBackend, SqlType = Bool> + 'a>;

diesel::postfix_operator!(IsTrue, " IS TRUE");

/// The condition of a filter, for payouts in one of these states, and of a page:
/// behind the one before.
fn condition<'a>(
    filter: &'a PayoutFilter,
    statuses: &[PayoutStatus],
    page: Option<PageOf<'a>>,
) -> Condition<'a> {
    let mut others: Vec<Condition<'a>> = Vec::new();
    match statuses {
        [status] => others.push(Box::new(payouts::status.eq(*status))),
        several if several.len() == PayoutStatus::ALL.len() => {}
        several => others.push(Box::new(payouts::status.eq_any(several.to_vec()))),
    }
    if let Some(min) = filter.min_cents {
        others.push(Box::new(payouts::amount_cents.ge(min)));
    }
    if let Some(max) = filter.max_cents {
        others.push(Box::new(payouts::amount_cents.le(max)));
    }
    if let Some(from) = filter.created.from {
        others.push(Box::new(payouts::created_at.ge(from)));
    }
    if let Some(until) = filter.created.until {
        others.push(Box::new(payouts::created_at.lt(until)));
    }
    if let Some(from) = filter.processed.from {
        others.push(Box::new(payouts::processed_at.assume_not_null().ge(from)));
    }
    if let Some(until) = filter.processed.until {
        others.push(Box::new(payouts::processed_at.assume_not_null().lt(until)));
    }
    others.extend(page.and_then(behind));
    let others = all_of(others);
    match (all_of(selective(filter)), others) {
        // SQLite keeps no statistics and takes any status for a rare one: what
        // is no plain comparison cannot lure it away from the few.
        (Some(few), Some(others)) => Box::new(few.and(IsTrue::new(others))),
        (Some(condition), None) | (None, Some(condition)) => condition,
        (None, None) => Box::new(sql::<Bool>("1 = 1")),
    }
}

/// The conditions that leave few payouts, to be looked up before all else.
fn selective(filter: &PayoutFilter) -> Vec<Condition<'_>> {
    let mut few: Vec<Condition<'_>> = Vec::new();
    if let Some(batch) = &filter.batch {
        let items = payout_batch_items::table
            .filter(payout_batch_items::batch_id.eq(batch))
            .select(payout_batch_items::payout_id);
        few.push(Box::new(payouts::id.eq_any(items)));
    }
    if let Some(reference) = &filter.reference {
        let items = payout_batch_items::table
            .filter(payout_batch_items::reference.eq(reference))
            .select(payout_batch_items::payout_id);
        few.push(Box::new(payouts::id.eq_any(items)));
    }
    if let Some(creators) = &filter.creators {
        few.push(Box::new(payouts::creator_id.eq_any(creators)));
    }
    if let Some(statement) = &filter.statement {
        few.push(Box::new(
            payouts::royalty_statement_id
                .assume_not_null()
                .eq(statement),
        ));
    }
    few
}

/// One condition out of several; none when there is none.
fn all_of(conditions: Vec<Condition<'_>>) -> Option<Condition<'_>> {
    conditions
        .into_iter()
        .reduce(|all, one| Box::new(all.and(one)))
}

/// The states a filter leaves.
fn statuses(filter: &PayoutFilter) -> &[PayoutStatus] {
    if filter.statuses.is_empty() {
        PayoutStatus::ALL
    } else {
        &filter.statuses
    }
}

fn list(
    conn: &mut AnyConnection,
    filter: &PayoutFilter,
    page: PageOf<'_>,
    rules: &ListRules,
    now: Time,
) -> Result<Vec<ListedPayout>, StoreError> {
    let ids = page_ids(conn, filter, page)?;
    let mut listed = Vec::with_capacity(ids.len());
    for ids in ids.chunks(IDS_MAX) {
        listed.extend(listed_of(conn, ids, rules, now)?);
    }
    Ok(listed)
}

/// The ids of one page, in its order.
pub(super) fn page_ids(
    conn: &mut AnyConnection,
    filter: &PayoutFilter,
    page: PageOf<'_>,
) -> Result<Vec<PayoutId>, StoreError> {
    if page.order.by == SortBy::Created && selective(filter).is_empty() {
        return Ok(NewestOf::new(filter, page).load(conn)?);
    }
    // No index serves the order, or the few that match are found by another one:
    // they are sorted, as far as the page goes.
    let query = payouts::table
        .filter(condition(filter, statuses(filter), Some(page)))
        .select(payouts::id)
        .limit(limit(page.rows_max))
        .into_boxed();
    let query = match (page.order.by, page.order.reversed) {
        (SortBy::Created, false) => query.order((payouts::created_at.desc(), payouts::id.desc())),
        (SortBy::Created, true) => query.order((payouts::created_at, payouts::id)),
        (SortBy::Updated, false) => query.order((payouts::updated_at.desc(), payouts::id.desc())),
        (SortBy::Updated, true) => query.order((payouts::updated_at, payouts::id)),
        (SortBy::Amount, false) => query.order((payouts::amount_cents.desc(), payouts::id.desc())),
        (SortBy::Amount, true) => query.order((payouts::amount_cents, payouts::id)),
    };
    Ok(query.load(conn)?)
}

/// The condition that a row comes after (`>`) or before (`<`) another one in the
/// order of creation. SQLite compares moments as they are written: other software
/// may write the same one as `2026-11-02T09:30:00Z`, which lies behind every way that
/// this tool writes it, so that a walk would never get past it. Hence the place of a row
/// that is there is taken from the row.
pub(super) fn beside_created(sign: &'static str, created_at: Time, id: &PayoutId) -> BesideCreated {
    BesideCreated {
        sign,
        created_at,
        id: id.clone(),
    }
}

/// See [`beside_created`]. Not a literal of Diesel's: those are read and planned anew at
/// every call.
pub(super) struct BesideCreated {
    sign: &'static str,
    created_at: Time,
    id: PayoutId,
}

impl QueryFragment<MultiBackend> for BesideCreated {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        out.push_sql("(payouts.created_at, payouts.id) ");
        out.push_sql(self.sign);
        out.push_sql(" (COALESCE((SELECT mark.created_at FROM payouts AS mark WHERE mark.id = ");
        out.push_bind_param::<Text, _>(&self.id)?;
        out.push_sql("), ");
        out.push_bind_param::<Timestamp, _>(&self.created_at)?;
        out.push_sql("), ");
        out.push_bind_param::<Text, _>(&self.id)?;
        out.push_sql(")");
        Ok(())
    }
}

impl Expression for BesideCreated {
    type SqlType = Bool;
}

impl ValidGrouping<()> for BesideCreated {
    type IsAggregate = is_aggregate::No;
}

impl AppearsOnTable<payouts::table> for BesideCreated {}

impl SelectableExpression<payouts::table> for BesideCreated {}

/// Remembered by its text.
impl QueryId for BesideCreated {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

/// The condition that a row comes behind the page before; none for the first.
/// Compared as a row of values, because only so can an index start in the middle
/// of a batch that shares one moment.
fn behind(page: PageOf<'_>) -> Option<Condition<'_>> {
    let last = page.after?;
    let sign = if page.order.reversed { ">" } else { "<" };
    let row = |column: &str| sql::<Bool>(&format!("(payouts.{column}, payouts.id) {sign} ("));
    let id = &last.id;
    Some(match page.order.by {
        SortBy::Created => Box::new(beside_created(sign, last.created_at, id)),
        SortBy::Updated => Box::new(
            row("updated_at")
                .bind::<Timestamp, _>(last.updated_at)
                .sql(", ")
                .bind::<Text, _>(id)
                .sql(")"),
        ),
        SortBy::Amount => Box::new(
            row("amount_cents")
                .bind::<Integer, _>(last.amount_cents)
                .sql(", ")
                .bind::<Text, _>(id)
                .sql(")"),
        ),
    })
}

/// The ids of a page sorted by creation, as a query.
///
/// The queue's index begins with the status, so each status is walked on its
/// own, from behind the page before, and the database merges the walks: no page
/// ever sorts, or even reads, the whole table.
struct NewestOf<'a> {
    walks: Vec<Walk<'a>>,
    reversed: bool,
    rows_max: i64,
}

type Walk<'a> = payouts::BoxedQuery<'a, MultiBackend, (Text, Timestamp)>;

impl<'a> NewestOf<'a> {
    fn new(filter: &'a PayoutFilter, page: PageOf<'a>) -> Self {
        let rows_max = limit(page.rows_max);
        let walk = |status: &PayoutStatus| -> Walk<'a> {
            let query = payouts::table
                .filter(condition(filter, &[*status], Some(page)))
                .select((payouts::id, payouts::created_at))
                .limit(rows_max)
                .into_boxed();
            if page.order.reversed {
                query.order((payouts::created_at, payouts::id))
            } else {
                query.order((payouts::created_at.desc(), payouts::id.desc()))
            }
        };
        let walks = statuses(filter).iter().map(walk).collect();
        Self {
            walks,
            reversed: page.order.reversed,
            rows_max,
        }
    }
}

impl Query for NewestOf<'_> {
    type SqlType = Text;
}

/// Its text depends on the filter: nothing to remember it by.
impl QueryId for NewestOf<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl RunQueryDsl<AnyConnection> for NewestOf<'_> {}

impl QueryFragment<MultiBackend> for NewestOf<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        out.push_sql("SELECT id FROM (");
        for (number, walk) in self.walks.iter().enumerate() {
            if number > 0 {
                out.push_sql(" UNION ALL ");
            }
            // SQLite takes a limit in a branch only inside a subquery, PostgreSQL only a named one.
            out.push_sql("SELECT id, created_at FROM (");
            <Walk<'_> as QueryFragment<MultiBackend>>::walk_ast(walk, out.reborrow())?;
            out.push_sql(&format!(") AS walk{number}"));
        }
        let direction = if self.reversed { "ASC" } else { "DESC" };
        out.push_sql(&format!(
            ") AS walks ORDER BY created_at {direction}, id {direction} LIMIT "
        ));
        out.push_bind_param::<BigInt, _>(&self.rows_max)
    }
}

/// A payout, its creator's name, its batch and its reference.
type Line = (Payout, Option<String>, Option<BatchId>, Option<String>);

/// Where those of the lines stand that have failed.
fn failed_standings(
    conn: &mut AnyConnection,
    lines: &[Line],
) -> Result<HashMap<PayoutId, Standing>, StoreError> {
    let failed: Vec<PayoutId> = lines
        .iter()
        .filter(|(payout, ..)| payout.status == PayoutStatus::Failed)
        .map(|(payout, ..)| payout.id.clone())
        .collect();
    if failed.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(standings_in_tx(conn, &failed)?
        .into_iter()
        .map(|standing| (standing.payout.id.clone(), standing))
        .collect())
}

/// The lines of these payouts, in the order of their ids.
pub(super) fn listed_of(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
    rules: &ListRules,
    now: Time,
) -> Result<Vec<ListedPayout>, StoreError> {
    let lines: Vec<Line> = payouts::table
        .left_join(creators::table)
        .left_join(payout_batch_items::table.on(payout_batch_items::payout_id.eq(payouts::id)))
        .filter(among(payouts::id, ids))
        .select((
            Payout::as_select(),
            creators::stage_name.nullable(),
            payout_batch_items::batch_id.nullable(),
            payout_batch_items::reference.nullable(),
        ))
        .load(conn)?;
    let holds = candidates::holds_of(conn, now)?;
    let held = |kind: HoldKind, target: &str| holds.contains_key(&(kind, target.to_owned()));
    let mut attempts = last_attempts(conn, ids, now.minus(rules.lease))?;
    let asked: Vec<&PayoutId> = ids.iter().collect();
    let reversed = reversals::of_payouts_in_tx(conn, &asked)?;
    let failed = failed_standings(conn, &lines)?;
    let mut listed: HashMap<PayoutId, ListedPayout> = lines
        .into_iter()
        .map(|(payout, creator_name, batch_id, reference)| {
            let standing = failed.get(&payout.id);
            let line = ListedPayout {
                creator_name,
                on_hold: held(HoldKind::All, "")
                    || held(HoldKind::Payout, payout.id.as_str())
                    || held(HoldKind::Creator, payout.creator_id.as_str())
                    || batch_id
                        .as_ref()
                        .is_some_and(|id| held(HoldKind::Batch, id.as_str())),
                batch_id,
                reference,
                last_attempt: attempts.remove(&payout.id),
                reversed_cents: reversed.get(&payout.id).copied().unwrap_or(0),
                cancelled: standing.is_some_and(|standing| standing.cancelled),
                retry: standing.and_then(|standing| RetryOutlook::of(standing, &rules.retry, now)),
                payout,
            };
            (line.payout.id.clone(), line)
        })
        .collect();
    Ok(ids.iter().filter_map(|id| listed.remove(id)).collect())
}

/// The last attempt of each payout that has one.
fn last_attempts(
    conn: &mut AnyConnection,
    ids: &[PayoutId],
    dead_before: Time,
) -> Result<HashMap<PayoutId, LastAttempt>, StoreError> {
    type Run = Option<(Time, Option<Time>)>;
    type Answer = (Option<String>, Option<String>, Option<i32>);
    let attempts: Vec<(PayoutId, AttemptOutcome, Answer, Run)> = payout_attempts::table
        .left_join(payout_runs::table.on(payout_runs::id.eq(payout_attempts::run_id)))
        .filter(among(payout_attempts::payout_id, ids))
        .order((payout_attempts::payout_id, payout_attempts::attempt))
        .select((
            payout_attempts::payout_id,
            payout_attempts::outcome,
            (
                payout_attempts::error_code,
                payout_attempts::error_type,
                payout_attempts::http_status,
            ),
            (payout_runs::seen_at, payout_runs::ended_at).nullable(),
        ))
        .load(conn)?;
    let last = |(payout, outcome, answer, run): (PayoutId, AttemptOutcome, Answer, Run)| {
        let (error_code, error_type, http_status) = answer;
        let run_ended =
            run.is_none_or(|(seen_at, ended_at)| ended_at.is_some() || seen_at < dead_before);
        let last = LastAttempt {
            outcome,
            error_code,
            error_type,
            http_status,
            run_ended,
        };
        (payout, last)
    };
    // In the order of attempts, so that the last one stays.
    Ok(attempts.into_iter().map(last).collect())
}

fn totals(conn: &mut AnyConnection, filter: &PayoutFilter) -> Result<Totals, StoreError> {
    let rows: Vec<(PayoutStatus, i64, i64)> = payouts::table
        .group_by(payouts::status)
        .filter(condition(filter, statuses(filter), None))
        .select((
            payouts::status,
            diesel::dsl::count_star(),
            sum_amount_cents(),
        ))
        .load(conn)?;
    let mut totals: Totals = rows.into_iter().collect();
    if statuses(filter).contains(&PayoutStatus::Completed) {
        totals.reversed = reversed_total(conn, filter)?;
    }
    Ok(totals)
}

/// What was taken back of those payouts that match and are COMPLETED. Few are reversed,
/// so these are looked up, a part at a time, and held against the filter.
fn reversed_total(conn: &mut AnyConnection, filter: &PayoutFilter) -> Result<Total, StoreError> {
    let mut sum = Total::default();
    let mut behind: Option<PayoutId> = None;
    loop {
        let ids = reversals::reversed_behind_in_tx(conn, behind.as_ref())?;
        let matching: Vec<PayoutId> = payouts::table
            .filter(among(payouts::id, &ids))
            .filter(condition(filter, &[PayoutStatus::Completed], None))
            .select(payouts::id)
            .load(conn)?;
        let part = reversals::total_of_in_tx(conn, &matching)?;
        sum.count = sum.count.saturating_add(part.count);
        sum.amount_cents = sum.amount_cents.saturating_add(part.amount_cents);
        if ids.len() < IDS_MAX {
            return Ok(sum);
        }
        behind = ids.into_iter().next_back();
    }
}

/// A number of rows as the database takes it.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use diesel::connection::InstrumentationEvent;

    use super::*;
    use crate::model::time::Clock;
    use crate::store::Open;

    #[derive(diesel::QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }

    /// The text of the first query of a page, and SQLite's plan for it.
    fn planned(filter: &PayoutFilter, order: PayoutOrder) -> (String, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/payouts.db", folder.path().display());
        let clock = Clock::manual(Time::from_millis(0));
        let mut store =
            Store::open(&url.parse().unwrap(), Open::CreateIfMissing, false, clock).unwrap();
        store.migrate().unwrap();
        let last = Payout {
            id: PayoutId::new("p1"),
            creator_id: CreatorId::new("c1"),
            royalty_statement_id: None,
            amount_cents: 1,
            stripe_transfer_id: None,
            status: PayoutStatus::Pending,
            processed_at: None,
            failed_reason: None,
            retry_count: 0,
            last_retry_at: None,
            created_at: Time::from_millis(0),
            updated_at: Time::from_millis(0),
        };
        let page = PageOf {
            order,
            after: Some(&last),
            rows_max: 50,
        };
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        store
            .conn
            .set_instrumentation(move |event: InstrumentationEvent<'_>| {
                if let InstrumentationEvent::StartQuery { query, .. } = event {
                    log.lock().unwrap().push(query.to_string());
                }
            });
        page_ids(&mut store.conn, filter, page).unwrap();
        let query = asked.lock().unwrap().remove(0);
        let query = query.split(" -- binds").next().unwrap().to_owned();
        let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {query}"))
            .load(&mut store.conn)
            .unwrap();
        (query, steps.into_iter().map(|step| step.detail).collect())
    }

    #[test]
    fn a_page_by_creation_walks_the_queues_index_and_sorts_no_table() {
        let two = PayoutFilter {
            statuses: vec![PayoutStatus::Pending, PayoutStatus::Failed],
            ..PayoutFilter::default()
        };
        let (query, plan) = planned(&two, PayoutOrder::default());
        insta::assert_snapshot!(query, @r"SELECT id FROM (SELECT id, created_at FROM (SELECT `payouts`.`id`, `payouts`.`created_at` FROM `payouts` WHERE ((`payouts`.`status` = ?) AND (payouts.created_at, payouts.id) < (COALESCE((SELECT mark.created_at FROM payouts AS mark WHERE mark.id = ?), ?), ?)) ORDER BY `payouts`.`created_at` DESC, `payouts`.`id` DESC LIMIT ?) AS walk0 UNION ALL SELECT id, created_at FROM (SELECT `payouts`.`id`, `payouts`.`created_at` FROM `payouts` WHERE ((`payouts`.`status` = ?) AND (payouts.created_at, payouts.id) < (COALESCE((SELECT mark.created_at FROM payouts AS mark WHERE mark.id = ?), ?), ?)) ORDER BY `payouts`.`created_at` DESC, `payouts`.`id` DESC LIMIT ?) AS walk1) AS walks ORDER BY created_at DESC, id DESC LIMIT ?");
        insta::assert_snapshot!(plan.join("\n"), @r"
        CO-ROUTINE walks
        COMPOUND QUERY
        LEFT-MOST SUBQUERY
        CO-ROUTINE walk0
        SEARCH payouts USING COVERING INDEX payout_queue_idx (status=? AND (created_at,id)<(?,?))
        SCALAR SUBQUERY 1
        SEARCH mark USING INDEX sqlite_autoindex_payouts_1 (id=?)
        REUSE SUBQUERY 1
        SCAN walk0
        UNION ALL
        CO-ROUTINE walk1
        SEARCH payouts USING COVERING INDEX payout_queue_idx (status=? AND (created_at,id)<(?,?))
        SCALAR SUBQUERY 4
        SEARCH mark USING INDEX sqlite_autoindex_payouts_1 (id=?)
        REUSE SUBQUERY 4
        SCAN walk1
        SCAN walks
        USE TEMP B-TREE FOR ORDER BY
        ");
        for reversed in [false, true] {
            let by = SortBy::Created;
            let (_, plan) = planned(&PayoutFilter::default(), PayoutOrder { by, reversed });
            let walks = plan.iter().filter(|step| {
                step.starts_with("SEARCH payouts USING COVERING INDEX payout_queue_idx (status=? AND (created_at,id)")
            });
            assert_eq!(walks.count(), PayoutStatus::ALL.len(), "{plan:#?}");
            assert!(
                !plan.iter().any(|step| step.contains("SCAN payouts")),
                "{plan:#?}"
            );
        }
    }

    #[test]
    fn what_leaves_few_payouts_is_looked_up_first() {
        let few = PayoutFilter {
            statuses: vec![PayoutStatus::Pending, PayoutStatus::Failed],
            created: Span {
                from: Some(Time::from_millis(0)),
                until: None,
            },
            ..PayoutFilter::default()
        };
        let creator = PayoutFilter {
            creators: Some(vec![CreatorId::new("c1")]),
            ..few.clone()
        };
        let batch = PayoutFilter {
            batch: Some(BatchId::new("b1")),
            ..few.clone()
        };
        let reference = PayoutFilter {
            reference: Some("INV-1".to_owned()),
            ..few
        };
        for (filter, found_by, index) in [
            (
                creator,
                "payouts USING INDEX payouts_creator_id_status_idx (creator_id=?)",
                "",
            ),
            (
                batch,
                "payouts USING INDEX sqlite_autoindex_payouts_1 (id=?)",
                "payout_batch_items_batch_id_idx (batch_id=?)",
            ),
            (
                reference,
                "payouts USING INDEX sqlite_autoindex_payouts_1 (id=?)",
                "payout_batch_items_2 (reference=?)",
            ),
        ] {
            for by in [SortBy::Created, SortBy::Updated, SortBy::Amount] {
                let (query, plan) = planned(
                    &filter,
                    PayoutOrder {
                        by,
                        reversed: false,
                    },
                );
                let plan = plan.join("\n");
                assert!(
                    plan.contains(found_by) && plan.contains(index),
                    "{query}\n{plan}"
                );
            }
        }
    }
}
