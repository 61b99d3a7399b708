//! What each comparison with Stripe came to, and how far one got that was cut off.

use std::collections::HashSet;
use std::time::Duration;

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::ids::RunId;
use crate::model::payout::PayoutStatus;
use crate::model::reconciliation::{
    Finding, FindingKind, FindingState, Reconciliation, ReconciliationProgress, Source,
};
use crate::model::schema::{
    payout_findings as findings, payout_reconciliation_findings as kept,
    payout_reconciliation_progress as progress, payout_reconciliations, payouts,
};
use crate::model::time::{Span, Time};
use crate::store::dialect;
use crate::store::runs::{RunStamp, has_ended};
use crate::store::{Store, StoreError};

impl Store {
    /// How many payouts were recorded as paid in the period, and their sum, minor units.
    pub fn payouts_paid_in(&mut self, period: Span) -> Result<(i64, i64), StoreError> {
        let mut query = payouts::table
            .filter(payouts::status.eq(PayoutStatus::Completed))
            .select((diesel::dsl::count_star(), dialect::sum_amount_cents()))
            .into_boxed();
        if let Some(from) = period.from {
            query = query.filter(payouts::processed_at.assume_not_null().ge(from));
        }
        if let Some(until) = period.until {
            query = query.filter(payouts::processed_at.assume_not_null().lt(until));
        }
        self.read(|conn| Ok(query.first(conn)?))
    }

    /// Keeps what a comparison came to: its figures, and each finding that is open or that
    /// it saw, as it stands now. How far it got is forgotten with that.
    pub fn reconciliation_keep(
        &mut self,
        reconciliation: &Reconciliation,
    ) -> Result<(), StoreError> {
        let run = &reconciliation.run_id;
        self.write(|conn| {
            diesel::insert_into(payout_reconciliations::table)
                .values(reconciliation)
                .execute(conn)?;
            let standing = findings::table
                .filter(
                    findings::state
                        .eq(FindingState::Open)
                        .or(findings::run_id.eq(run)),
                )
                .select((
                    (
                        findings::id,
                        findings::kind,
                        findings::payout_id,
                        findings::attempt,
                        findings::transfer_id,
                        findings::subject,
                        findings::at_stake_cents,
                        findings::expected,
                    ),
                    (
                        findings::found,
                        findings::state,
                        findings::first_seen_at,
                        findings::seen_at,
                        run.into_sql::<diesel::sql_types::Text>(),
                        findings::settled_at,
                        findings::actor,
                        findings::reason,
                    ),
                ));
            diesel::insert_into(kept::table)
                .values(standing)
                .into_columns((
                    (
                        kept::id,
                        kept::kind,
                        kept::payout_id,
                        kept::attempt,
                        kept::transfer_id,
                        kept::subject,
                        kept::at_stake_cents,
                        kept::expected,
                    ),
                    (
                        kept::found,
                        kept::state,
                        kept::first_seen_at,
                        kept::seen_at,
                        kept::run_id,
                        kept::settled_at,
                        kept::actor,
                        kept::reason,
                    ),
                ))
                .execute(conn)?;
            diesel::delete(progress::table.filter(progress::run_id.eq(run))).execute(conn)?;
            failpoint!("reconciliation.writing");
            Ok(())
        })
    }

    /// What a comparison came to.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when no comparison of this run has ended.
    pub fn reconciliation(&mut self, run: &RunId) -> Result<Reconciliation, StoreError> {
        self.read(|conn| {
            Ok(payout_reconciliations::table
                .filter(payout_reconciliations::run_id.eq(run))
                .first(conn)?)
        })
    }

    /// The last comparison that ended.
    pub fn reconciliation_last(&mut self) -> Result<Option<Reconciliation>, StoreError> {
        self.read(|conn| {
            Ok(payout_reconciliations::table
                .order((
                    payout_reconciliations::finished_at.desc(),
                    payout_reconciliations::run_id.desc(),
                ))
                .first(conn)
                .optional()?)
        })
    }

    /// Up to when the table was compared with Stripe without a gap since this database was
    /// made, by the newest `runs_max` comparisons. Comparing a month of last year is no news
    /// of today, one of the last hour says nothing of the days before, and a file nothing of
    /// what was made after it.
    pub fn compared_until(&mut self, runs_max: i64) -> Result<Time, StoreError> {
        let (_, made) = self.database_id()?;
        let mut compared: Vec<(Option<Time>, Option<Time>, Time)> = self.read(|conn| {
            Ok(payout_reconciliations::table
                .filter(payout_reconciliations::source.eq(Source::Stripe))
                .order(payout_reconciliations::finished_at.desc())
                .limit(runs_max)
                .select((
                    payout_reconciliations::period_from,
                    payout_reconciliations::period_until,
                    payout_reconciliations::finished_at,
                ))
                .load(conn)?)
        })?;
        compared.reverse();
        let reach = |reached: Time, (from, until, finished): (Option<Time>, Option<Time>, Time)| {
            if from.is_some_and(|from| from > reached) {
                return reached;
            }
            // A period may reach beyond what has happened.
            reached.max(until.unwrap_or(finished).min(finished))
        };
        Ok(compared.into_iter().fold(made, reach))
    }

    /// How many findings of each kind and state a comparison saw, gravest kinds first.
    pub fn reconciliation_counted(
        &mut self,
        run: &RunId,
    ) -> Result<Vec<(FindingKind, FindingState, i64)>, StoreError> {
        let mut counted: Vec<(FindingKind, FindingState, i64)> = self.read(|conn| {
            Ok(kept::table
                .group_by((kept::kind, kept::state))
                .filter(kept::run_id.eq(run))
                .select((kept::kind, kept::state, diesel::dsl::count_star()))
                .load(conn)?)
        })?;
        counted.sort();
        Ok(counted)
    }

    /// The ids of the findings that a comparison left open.
    pub fn reconciliation_open(&mut self, run: &RunId) -> Result<HashSet<String>, StoreError> {
        let open: Vec<String> = self.read(|conn| {
            Ok(kept::table
                .filter(kept::run_id.eq(run))
                .filter(kept::state.eq(FindingState::Open))
                .select(kept::id)
                .load(conn)?)
        })?;
        Ok(open.into_iter().collect())
    }

    /// A page of what a comparison saw or left open, as it stood when that ended: of one
    /// kind, and in one state where one is named, behind a finding.
    pub fn reconciliation_findings(
        &mut self,
        run: &RunId,
        kind: FindingKind,
        state: Option<FindingState>,
        after: Option<&str>,
        rows_max: i64,
    ) -> Result<Vec<Finding>, StoreError> {
        let mut query = kept::table
            .filter(kept::run_id.eq(run))
            .filter(kept::kind.eq(kind))
            .order(kept::id)
            .limit(rows_max)
            .into_boxed();
        if let Some(state) = state {
            query = query.filter(kept::state.eq(state));
        }
        if let Some(after) = after {
            query = query.filter(kept::id.gt(after));
        }
        self.read(|conn| Ok(query.load(conn)?))
    }

    // --- going on ---------------------------------------------------------------------------

    /// Keeps how far a comparison got.
    pub fn reconciliation_progress_keep(
        &mut self,
        got: &ReconciliationProgress,
    ) -> Result<(), StoreError> {
        self.write(|conn| {
            let known = diesel::update(progress::table.filter(progress::run_id.eq(&got.run_id)))
                .set(got)
                .execute(conn)?;
            if known == 0 {
                diesel::insert_into(progress::table)
                    .values(got)
                    .execute(conn)?;
            }
            failpoint!("progress.writing");
            Ok(())
        })
    }

    /// Where the last comparison was cut off that has not ended.
    pub fn reconciliation_cut_off(&mut self, lease: Duration) -> Result<CutOff, StoreError> {
        let now = self.clock.now();
        let pooled = self.pooled();
        self.read(|conn| {
            let kept: Vec<ReconciliationProgress> = progress::table
                .order(progress::saved_at.desc())
                .limit(PROGRESS_MAX)
                .load(conn)?;
            let mut at_work = None;
            for got in kept {
                if has_ended(conn, pooled, &got.run_id, lease, now)? {
                    return Ok(CutOff::At(Box::new(got)));
                }
                at_work.get_or_insert(got.run_id);
            }
            Ok(at_work.map_or(CutOff::Nowhere, CutOff::MayBeAtWork))
        })
    }

    /// Forgets how far comparisons got that were cut off: another one begins anew.
    pub fn reconciliation_progress_forget(&mut self, lease: Duration) -> Result<(), StoreError> {
        let now = self.clock.now();
        let pooled = self.pooled();
        self.write(|conn| {
            let runs: Vec<RunId> = progress::table.select(progress::run_id).load(conn)?;
            for run in runs {
                if has_ended(conn, pooled, &run, lease, now)? {
                    diesel::delete(progress::table.filter(progress::run_id.eq(&run)))
                        .execute(conn)?;
                }
            }
            Ok(())
        })
    }

    /// Makes what another run found and kept this run's own. An entry of the list that
    /// cannot be read is as if seen now: what was read of the list is not read again.
    pub fn reconciliation_takes_over(
        &mut self,
        stamp: &RunStamp,
        from: &RunId,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(|conn| {
            diesel::update(
                findings::table
                    .filter(findings::run_id.eq(from))
                    .filter(findings::kind.eq(FindingKind::OddEntry))
                    .filter(findings::payout_id.is_null()),
            )
            .set(findings::seen_at.eq(now))
            .execute(conn)?;
            diesel::update(findings::table.filter(findings::run_id.eq(from)))
                .set(findings::run_id.eq(&stamp.run_id))
                .execute(conn)?;
            diesel::update(progress::table.filter(progress::run_id.eq(from)))
                .set(progress::run_id.eq(&stamp.run_id))
                .execute(conn)?;
            Ok(())
        })
    }
}

/// Where a comparison was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CutOff {
    /// Here, and its run is over.
    At(Box<ReconciliationProgress>),
    /// This run has not ended, and may be alive: it showed a sign of life within the lease.
    MayBeAtWork(RunId),
    /// The last one ended.
    Nowhere,
}

/// Comparisons cut off that are looked at, the last ones first.
const PROGRESS_MAX: i64 = 10;
