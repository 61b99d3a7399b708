//! Runs as they are looked at: which there were, whether they live, what they did and
//! what they left.

use std::time::Duration;

use diesel::prelude::*;

use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::model::history::HistoryEvent;
use crate::model::ids::{PayoutId, RunId};
use crate::model::listing::Total;
use crate::model::reconciliation::{FindingKind, FindingState, Reconciliation};
use crate::model::run::{FAILURES_MAX, Run, RunLine, RunState, RunTotals, RunWork};
use crate::model::schema::{
    payout_attempts as attempts, payout_findings as findings, payout_history as history,
    payout_reconciliations, payout_runs as runs,
};
use crate::model::time::{Span, Time};
use crate::store::connection::{AnyConnection, MultiBackend};
use crate::store::runs::has_ended;
use crate::store::{Store, StoreError, dialect};

diesel::allow_columns_to_appear_in_same_group_by_clause!(history::event, history::to_status);

/// Runs that a prefix of an id may mean and that are named.
const NAMESAKES_MAX: i64 = 5;

/// Payouts that what a run left names; the rest is counted.
const AFTERMATH_PAYOUTS_MAX: i64 = 25;

/// Which runs a list is of.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only of this subcommand.
    pub command: Option<String>,
    /// Only begun by this actor.
    pub actor: Option<String>,
    /// Only begun in this time.
    pub started: Span,
    /// Only in this state.
    pub state: Option<RunState>,
    /// Only those that did not end with 0: with another code, or not at all.
    pub failed: bool,
}

/// Runs that a text may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedRun {
    /// Exactly one.
    One(Box<RunLine>),
    /// None.
    None,
    /// Several begin so; some of them.
    Several(Vec<RunId>),
}

/// What a run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aftermath {
    /// The run.
    pub run: Run,
    /// Payouts that failed in it, or became or stayed unknown, in the order of their ids;
    /// not all of them.
    pub payouts: Vec<PayoutId>,
    /// How many there are.
    pub payouts_total: i64,
    /// Findings that are open now, by kind, the gravest first.
    pub findings: Vec<(FindingKind, i64)>,
    /// How many of them were first seen since the run began.
    pub findings_new: i64,
}

type Query<'a> = runs::BoxedQuery<'a, MultiBackend>;

/// The rows that a filter can name by itself.
fn matching(filter: &RunFilter) -> Query<'static> {
    let mut query = runs::table.into_boxed();
    if let Some(command) = &filter.command {
        query = query.filter(runs::command.eq(command.clone()));
    }
    if let Some(actor) = &filter.actor {
        query = query.filter(runs::actor.eq(actor.clone()));
    }
    if let Some(from) = filter.started.from {
        query = query.filter(runs::started_at.ge(from));
    }
    if let Some(until) = filter.started.until {
        query = query.filter(runs::started_at.lt(until));
    }
    match filter.state {
        None => {}
        Some(RunState::Ended) => query = query.filter(runs::ended_at.is_not_null()),
        Some(RunState::Alive | RunState::Dead) => {
            query = query.filter(runs::ended_at.is_null());
        }
    }
    if filter.failed {
        query = query.filter(
            runs::exit_code
                .is_null()
                .or(runs::exit_code.assume_not_null().ne(0)),
        );
    }
    query
}

impl Store {
    /// A page of runs, newest first, those older than `before` only. `lease` is how long
    /// a run lives without a sign.
    pub fn runs_list(
        &mut self,
        filter: &RunFilter,
        lease: Duration,
        before: Option<&RunId>,
        limit: usize,
    ) -> Result<Vec<RunLine>, StoreError> {
        let (now, pooled) = (self.clock.now(), self.pooled());
        let page = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(|conn| {
            let mut lines: Vec<RunLine> = Vec::new();
            let mut before = before.cloned();
            // Whether a run lives no query can say, so those that are not meant are left out here.
            loop {
                let mut query = matching(filter);
                if let Some(before) = &before {
                    query = query.filter(runs::id.lt(before));
                }
                let found: Vec<Run> = query
                    .order(runs::id.desc())
                    .limit(page)
                    .select(Run::as_select())
                    .load(conn)?;
                let last_page = found.len() < limit;
                before = found.last().map(|run| run.id.clone());
                for run in found {
                    let line = with_state(conn, pooled, run, lease, now)?;
                    let meant = filter.state.is_none_or(|state| state == line.state)
                        && !(filter.failed && line.state == RunState::Alive);
                    if meant {
                        lines.push(line);
                    }
                }
                if last_page || lines.len() >= limit {
                    lines.truncate(limit);
                    return Ok(lines);
                }
            }
        })
    }

    /// How many runs match a filter, but for whether they live.
    pub fn runs_totals(&mut self, filter: &RunFilter) -> Result<RunTotals, StoreError> {
        self.read(|conn| {
            let mut count = |query: Query<'static>| query.count().get_result::<i64>(conn);
            let all = count(matching(filter))?;
            let succeeded = count(matching(filter).filter(runs::exit_code.eq(0)))?;
            let unended = count(matching(filter).filter(runs::ended_at.is_null()))?;
            Ok(RunTotals {
                runs: all,
                succeeded,
                failed: all - succeeded - unended,
                unended,
            })
        })
    }

    /// The run with this id, or whose id alone begins so; `last` is the newest.
    pub fn run_named(&mut self, text: &str, lease: Duration) -> Result<NamedRun, StoreError> {
        let (now, pooled) = (self.clock.now(), self.pooled());
        // Ids are made here, of letters and digits; anything else might mean something to LIKE.
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if !plain {
            return Ok(NamedRun::None);
        }
        self.read(|conn| {
            let mut query = runs::table.into_boxed();
            if text != "last" {
                query = query.filter(runs::id.like(format!("{}%", text.to_lowercase())));
            }
            let most = if text == "last" { 1 } else { NAMESAKES_MAX };
            let mut found: Vec<Run> = query
                .order(runs::id.desc())
                .limit(most)
                .select(Run::as_select())
                .load(conn)?;
            if let Some(exact) = found.iter().position(|run| run.id.as_str() == text) {
                found = vec![found.swap_remove(exact)];
            }
            match found.pop() {
                None => Ok(NamedRun::None),
                Some(run) if found.is_empty() => Ok(NamedRun::One(Box::new(with_state(
                    conn, pooled, run, lease, now,
                )?))),
                Some(run) => {
                    let ids = found.into_iter().map(|run| run.id);
                    Ok(NamedRun::Several(ids.chain([run.id]).collect()))
                }
            }
        })
    }

    /// What a run did. Walks the attempts and the history, which have no index by run:
    /// some seconds where there are millions.
    pub fn run_work(&mut self, run: &RunId) -> Result<RunWork, StoreError> {
        self.read(|conn| {
            let mine = attempts::table.filter(attempts::run_id.eq(run));
            let rows: Vec<(AttemptOutcome, i64, i64)> = mine
                .group_by(attempts::outcome)
                .order(attempts::outcome)
                .select((
                    attempts::outcome,
                    diesel::dsl::count_star(),
                    dialect::sum_attempts_cents(),
                ))
                .load(conn)?;
            let attempts_by_outcome = rows.into_iter().map(|(outcome, count, amount_cents)| {
                (
                    outcome,
                    Total {
                        count,
                        amount_cents,
                    },
                )
            });
            Ok(RunWork {
                attempts: attempts_by_outcome.collect(),
                events: history::table
                    .filter(history::run_id.eq(run))
                    .group_by((history::event, history::to_status))
                    .order((history::event, history::to_status))
                    .select((
                        history::event,
                        history::to_status,
                        diesel::dsl::count_star(),
                    ))
                    .load(conn)?,
                failures: mine
                    .filter(attempts::outcome.ne(AttemptOutcome::Paid))
                    .order((attempts::created_at, attempts::payout_id))
                    .limit(FAILURES_MAX)
                    .select(Attempt::as_select())
                    .load(conn)?,
                reconciliation: payout_reconciliations::table
                    .filter(payout_reconciliations::run_id.eq(run))
                    .select(Reconciliation::as_select())
                    .first(conn)
                    .optional()?,
            })
        })
    }

    /// What a run left.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such run.
    pub fn run_aftermath(&mut self, run: &RunId) -> Result<Aftermath, StoreError> {
        const NEED_A_PERSON: [HistoryEvent; 3] = [
            HistoryEvent::Declined,
            HistoryEvent::Unknown,
            HistoryEvent::Alarm,
        ];
        self.read(|conn| {
            let run: Run = runs::table.find(run).first(conn)?;
            let touched = || {
                history::table
                    .filter(history::run_id.eq(&run.id))
                    .filter(history::event.eq_any(NEED_A_PERSON))
            };
            let mut findings: Vec<(FindingKind, i64)> = findings::table
                .filter(findings::state.eq(FindingState::Open))
                .group_by(findings::kind)
                .select((findings::kind, diesel::dsl::count_star()))
                .load(conn)?;
            findings.sort();
            let findings_new = findings::table
                .filter(findings::state.eq(FindingState::Open))
                .filter(findings::first_seen_at.ge(run.started_at))
                .count()
                .get_result(conn)?;
            Ok(Aftermath {
                payouts: touched()
                    .select(history::payout_id)
                    .distinct()
                    .order(history::payout_id)
                    .limit(AFTERMATH_PAYOUTS_MAX)
                    .load(conn)?,
                payouts_total: touched()
                    .select(diesel::dsl::count(history::payout_id).aggregate_distinct())
                    .first(conn)?,
                findings,
                findings_new,
                run: run.clone(),
            })
        })
    }

    /// The newest run of each command, by command.
    pub fn runs_last(&mut self, lease: Duration) -> Result<Vec<RunLine>, StoreError> {
        let (now, pooled) = (self.clock.now(), self.pooled());
        self.read(|conn| {
            // Ids are made here and begin with the time.
            let newest: Vec<Option<RunId>> = runs::table
                .group_by(runs::command)
                .order(runs::command)
                .select(diesel::dsl::max(runs::id))
                .load(conn)?;
            let newest = newest.into_iter().flatten().collect::<Vec<_>>();
            let found: Vec<Run> = runs::table
                .filter(runs::id.eq_any(newest))
                .order(runs::command)
                .select(Run::as_select())
                .load(conn)?;
            found
                .into_iter()
                .map(|run| with_state(conn, pooled, run, lease, now))
                .collect()
        })
    }
}

fn with_state(
    conn: &mut AnyConnection,
    pooled: bool,
    run: Run,
    lease: Duration,
    now: Time,
) -> Result<RunLine, StoreError> {
    let state = match run.ended_at {
        Some(_) => RunState::Ended,
        None if has_ended(conn, pooled, &run.id, lease, now)? => RunState::Dead,
        None => RunState::Alive,
    };
    Ok(RunLine { run, state })
}
