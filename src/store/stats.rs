//! What figures are made of that the payouts alone do not say, and the state of things as a
//! monitor wants it: few rows each, added up by the database.

use diesel::dsl::{count_star, max, min};
use diesel::prelude::*;

use crate::model::attempt::AttemptOutcome;
use crate::model::gauges::{Gauges, RunGauge, StatusGauge};
use crate::model::ids::{CreatorId, PayoutId};
use crate::model::listing::Total;
use crate::model::payout::PayoutStatus;
use crate::model::reconciliation::{FindingKind, FindingState};
use crate::model::schema::{
    payout_attempts as attempts, payout_findings as findings, payout_holds as holds,
    payout_reversals as reversals, payout_runs as runs, payouts,
};
use crate::model::time::{Span, Time};
use crate::store::connection::AnyConnection;
use crate::store::{Store, StoreError, dialect, holds as standing_holds};

/// An attempt that was refused, or that was not its payout's first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventfulAttempt {
    /// Whose.
    pub payout_id: PayoutId,
    /// 1, 2, …
    pub attempt: i32,
    /// Whom it was to pay; none when the payout's row is gone.
    pub creator_id: Option<CreatorId>,
    /// Minor units.
    pub amount_cents: i32,
    /// When it was claimed.
    pub created_at: Time,
    /// When it was refused, if it was.
    pub refused_at: Option<Time>,
    /// Stripe's word for why.
    pub error_code: Option<String>,
}

impl Store {
    /// A page of the attempts that were refused in a period, or that were claimed in it and were
    /// not their payout's first, behind one of them.
    pub fn attempts_eventful(
        &mut self,
        period: Span,
        behind: Option<&(PayoutId, i32)>,
        rows_max: i64,
    ) -> Result<Vec<EventfulAttempt>, StoreError> {
        type Row = (
            PayoutId,
            i32,
            Option<CreatorId>,
            i32,
            Time,
            Option<Time>,
            Option<String>,
            AttemptOutcome,
        );
        let refused = attempts::outcome.eq(AttemptOutcome::Declined);
        let mut query = attempts::table
            .left_join(payouts::table.on(payouts::id.eq(attempts::payout_id)))
            .filter(refused.or(attempts::attempt.gt(1)))
            .order((attempts::payout_id, attempts::attempt))
            .limit(rows_max)
            .select((
                attempts::payout_id,
                attempts::attempt,
                payouts::creator_id.nullable(),
                attempts::amount_cents,
                attempts::created_at,
                attempts::settled_at,
                attempts::error_code,
                attempts::outcome,
            ))
            .into_boxed();
        if let Some(until) = period.until {
            query = query.filter(attempts::created_at.lt(until));
        }
        // Nothing is refused before it is claimed, and then it is settled.
        if let Some(from) = period.from {
            let settled = attempts::settled_at.assume_not_null().ge(from);
            query = query.filter(attempts::created_at.ge(from).or(settled));
        }
        if let Some((payout, attempt)) = behind {
            query = query.filter(attempts::payout_id.ge(payout)).filter(
                attempts::payout_id
                    .gt(payout)
                    .or(attempts::attempt.gt(*attempt)),
            );
        }
        let rows: Vec<Row> = self.read(|conn| Ok(query.load(conn)?))?;
        let attempts = rows.into_iter().map(|row| {
            let (
                payout_id,
                attempt,
                creator_id,
                amount_cents,
                created_at,
                settled_at,
                code,
                outcome,
            ) = row;
            EventfulAttempt {
                payout_id,
                attempt,
                creator_id,
                amount_cents,
                created_at,
                refused_at: settled_at.filter(|_| outcome == AttemptOutcome::Declined),
                error_code: code,
            }
        });
        Ok(attempts.collect())
    }

    /// The state of things, all of one moment.
    pub fn gauges(&mut self) -> Result<Gauges, StoreError> {
        let now = self.clock.now();
        self.read(|conn| {
            let (unresolved, unresolved_since) = unresolved(conn)?;
            Ok(Gauges {
                statuses: statuses(conn)?,
                unresolved,
                unresolved_since,
                holds: holds::table
                    .group_by(holds::kind)
                    .filter(standing_holds::standing(now))
                    .select((holds::kind, count_star()))
                    .load(conn)?,
                findings: open_findings(conn)?,
                refused: attempts::table
                    .group_by(attempts::error_code)
                    .filter(attempts::outcome.eq(AttemptOutcome::Declined))
                    .order(attempts::error_code)
                    .select((attempts::error_code, count_star()))
                    .load(conn)?,
                retries: attempts::table
                    .filter(attempts::attempt.gt(1))
                    .count()
                    .get_result(conn)?,
                reversed: reversed(conn)?,
                runs: ended_runs(conn)?,
            })
        })
    }

    /// Open findings of each kind that has some, the gravest first: how many, and the money at
    /// stake as far as it is known, minor units.
    pub fn findings_open_by_kind(&mut self) -> Result<Vec<(FindingKind, Total)>, StoreError> {
        self.read(open_findings)
    }
}

fn total((count, amount_cents): (i64, i64)) -> Total {
    Total {
        count,
        amount_cents,
    }
}

fn statuses(conn: &mut AnyConnection) -> Result<Vec<StatusGauge>, StoreError> {
    type Row = (PayoutStatus, (i64, i64), Option<Time>, Option<Time>);
    let rows: Vec<Row> = payouts::table
        .group_by(payouts::status)
        .select((
            payouts::status,
            (count_star(), dialect::sum_amount_cents()),
            min(payouts::created_at),
            min(payouts::updated_at),
        ))
        .load(conn)?;
    let gauges = rows
        .into_iter()
        .map(|(status, sums, created_at, updated_at)| StatusGauge {
            status,
            total: total(sums),
            created_at,
            updated_at,
        });
    Ok(gauges.collect())
}

fn unresolved(conn: &mut AnyConnection) -> Result<(Total, Option<Time>), StoreError> {
    let (sums, since): ((i64, i64), Option<Time>) = attempts::table
        .filter(dialect::unresolved())
        .select((
            (count_star(), dialect::sum_attempts_cents()),
            min(attempts::created_at),
        ))
        .first(conn)?;
    Ok((total(sums), since))
}

fn open_findings(conn: &mut AnyConnection) -> Result<Vec<(FindingKind, Total)>, StoreError> {
    let rows: Vec<(FindingKind, (i64, i64))> = findings::table
        .group_by(findings::kind)
        .filter(findings::state.eq(FindingState::Open))
        .select((
            findings::kind,
            (count_star(), dialect::sum_at_stake_cents()),
        ))
        .load(conn)?;
    let mut counted: Vec<(FindingKind, Total)> = rows
        .into_iter()
        .map(|(kind, sums)| (kind, total(sums)))
        .collect();
    counted.sort_by_key(|(kind, _)| *kind);
    Ok(counted)
}

fn reversed(conn: &mut AnyConnection) -> Result<Total, StoreError> {
    let sums = reversals::table
        .select((count_star(), dialect::sum_reversed_cents()))
        .first(conn)?;
    Ok(total(sums))
}

fn ended_runs(conn: &mut AnyConnection) -> Result<Vec<RunGauge>, StoreError> {
    let rows: Vec<(String, Option<i32>, i64, Option<Time>)> = runs::table
        .group_by((runs::command, runs::exit_code))
        .filter(runs::exit_code.is_not_null())
        .order((runs::command, runs::exit_code))
        .select((
            runs::command,
            runs::exit_code,
            count_star(),
            max(runs::ended_at),
        ))
        .load(conn)?;
    let gauges = rows
        .into_iter()
        .filter_map(|(command, exit_code, count, ended_at)| {
            Some(RunGauge {
                command,
                exit_code: exit_code?,
                count,
                ended_at: ended_at?,
            })
        });
    Ok(gauges.collect())
}
