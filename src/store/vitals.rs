//! Is anything going wrong while nobody looks? Counts for `payouts check` and `doctor`, each
//! by an index or over a few rows, so that they may be asked every few minutes.

use std::collections::HashMap;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use crate::model::alert::AlertCode;
use crate::model::exit::Exit;
use crate::model::hold::HoldKind;
use crate::model::ids::{CreatorId, PayoutId, RunId};
use crate::model::notification::NotificationState;
use crate::model::payout::PayoutStatus;
use crate::model::reconciliation::FindingState;
use crate::model::schema::{
    payout_attempts, payout_batch_items, payout_findings as findings, payout_holds,
    payout_notifications as mails, payout_runs as runs, payouts,
};
use crate::model::time::Time;
use crate::model::usual::Usual;
use crate::store::connection::{AnyConnection, MultiBackend};
use crate::store::dialect::among;
use crate::store::{Store, StoreError, dialect, history, holds, reversals};

/// Payouts of which something is said, and one of them to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub count: i64,
    /// Their sum, minor units.
    pub amount_cents: i64,
    /// One of them.
    pub example: Option<String>,
}

/// What was decided of late.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decided {
    /// Payouts that failed, and still are failed.
    pub failed: Group,
    /// Payouts that were paid: all of them, or as many as were asked for.
    pub paid: i64,
}

/// A payout that is far from what its creator is usually paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusual {
    /// Which.
    pub payout_id: PayoutId,
    /// Minor units.
    pub amount_cents: i32,
    /// What its creator is usually paid.
    pub usual: Usual,
}

impl Store {
    /// What was decided since a moment, of what was created since another. `paid_enough` says, given how many failed, at how
    /// many that were paid counting may stop: a healthy database has millions.
    pub fn decided_since(
        &mut self,
        since: Time,
        created: Time,
        paid_enough: impl FnOnce(i64) -> i64,
    ) -> Result<Decided, StoreError> {
        self.read(|conn| {
            let failed = group(
                conn,
                Box::new(
                    failed_now()
                        .and(payouts::last_retry_at.assume_not_null().ge(since))
                        .and(payouts::created_at.ge(created)),
                ),
            )?;
            if failed.count == 0 {
                return Ok(Decided::default());
            }
            // The newest first, by index: those paid of late were created of late.
            let paid = payouts::table
                .filter(payouts::status.eq(PayoutStatus::Completed))
                .filter(payouts::processed_at.assume_not_null().ge(since))
                .filter(payouts::created_at.ge(created))
                .order(payouts::created_at.desc())
                .limit(paid_enough(failed.count))
                .select(payouts::retry_count)
                .load::<i32>(conn)?;
            Ok(Decided {
                failed,
                paid: i64::try_from(paid.len()).unwrap_or(i64::MAX),
            })
        })
    }

    /// Payouts that have been on the way since before a moment.
    pub fn processing_since(&mut self, before: Time) -> Result<Group, StoreError> {
        self.read(|conn| processing(conn, before))
    }

    /// Payouts that have been on the way since before a moment, and attempts of unknown
    /// outcome that were first sent before it.
    pub fn stuck_since(&mut self, before: Time) -> Result<Group, StoreError> {
        self.read(|conn| {
            let claimed = processing(conn, before)?;
            // A payout that is on the way was counted; one that other software moved was not.
            let open: (i64, i64, Option<String>) = payout_attempts::table
                .left_join(payouts::table.on(payouts::id.eq(payout_attempts::payout_id)))
                .filter(dialect::unresolved())
                .filter(payout_attempts::first_sent_at.lt(before))
                .filter(
                    payouts::status
                        .is_null()
                        .or(payouts::status.ne(PayoutStatus::Processing))
                        .or(payouts::updated_at.ge(before)),
                )
                .select((
                    diesel::dsl::count_star(),
                    dialect::sum_attempts_cents(),
                    diesel::dsl::min(payout_attempts::payout_id),
                ))
                .first(conn)?;
            Ok(Group {
                count: claimed.count + open.0,
                amount_cents: claimed.amount_cents.saturating_add(open.1),
                example: claimed.example.or(open.2),
            })
        })
    }

    /// Failed payouts with more failed attempts than that.
    pub fn failed_often(&mut self, attempts: i32) -> Result<Group, StoreError> {
        self.read(|conn| {
            group(
                conn,
                Box::new(failed_now().and(payouts::retry_count.gt(attempts))),
            )
        })
    }

    /// Payouts that have been failed since before a moment.
    pub fn failed_since(&mut self, before: Time) -> Result<Group, StoreError> {
        self.read(|conn| {
            // A row that other software failed may not say when.
            let by_row =
                payouts::last_retry_at
                    .assume_not_null()
                    .lt(before)
                    .or(payouts::last_retry_at
                        .is_null()
                        .and(payouts::updated_at.lt(before)));
            group(conn, Box::new(failed_now().and(by_row)))
        })
    }

    /// Payouts with a transfer too many, as far as it is known here: neither accepted nor
    /// taken back whole.
    pub fn surplus_standing(&mut self) -> Result<Group, StoreError> {
        let open = self.surplus_open()?;
        let ids: Vec<&str> = open.iter().map(|one| one.transfer_id.as_str()).collect();
        let taken_back = self.read(|conn| reversals::of_transfers_in_tx(conn, &ids))?;
        let mut standing = Group::default();
        for one in &open {
            let cents = i64::from(one.amount_cents);
            if taken_back
                .get(&one.transfer_id)
                .is_none_or(|back| *back < cents)
            {
                standing.count += 1;
                standing.amount_cents = standing.amount_cents.saturating_add(cents);
                standing
                    .example
                    .get_or_insert_with(|| one.payout_id.to_string());
            }
        }
        Ok(standing)
    }

    /// Open findings: how many, what is at stake where that is known, and the newest.
    pub fn findings_standing(&mut self) -> Result<Group, StoreError> {
        self.read(|conn| {
            let open = || findings::table.filter(findings::state.eq(FindingState::Open));
            let (count, amount_cents) = open()
                .select((diesel::dsl::count_star(), dialect::sum_at_stake_cents()))
                .first(conn)?;
            let newest = open()
                .order((findings::first_seen_at.desc(), findings::id))
                .select(findings::id)
                .first(conn)
                .optional()?;
            Ok(Group {
                count,
                amount_cents,
                example: newest,
            })
        })
    }

    /// Pending payouts that no hold keeps back.
    pub fn pending_unheld(&mut self) -> Result<Group, StoreError> {
        let now = self.clock.now();
        self.read(|conn| {
            let held = |kind: HoldKind| {
                payout_holds::table
                    .filter(payout_holds::kind.eq(kind))
                    .filter(holds::standing(now))
            };
            if diesel::select(diesel::dsl::exists(held(HoldKind::All))).get_result(conn)? {
                return Ok(Group::default());
            }
            let by_payout = diesel::dsl::exists(
                held(HoldKind::Payout)
                    .filter(payout_holds::target.eq(diesel::dsl::sql::<Text>("payouts.id"))),
            );
            let by_creator = diesel::dsl::exists(
                held(HoldKind::Creator).filter(payout_holds::target.eq(payouts::creator_id)),
            );
            let by_batch = diesel::dsl::exists(
                payout_batch_items::table
                    .inner_join(
                        payout_holds::table.on(payout_holds::target
                            .nullable()
                            .eq(payout_batch_items::batch_id)),
                    )
                    .filter(payout_holds::kind.eq(HoldKind::Batch))
                    .filter(holds::standing(now))
                    .filter(payout_batch_items::payout_id.eq(payouts::id)),
            );
            group(
                conn,
                Box::new(
                    payouts::status
                        .eq(PayoutStatus::Pending)
                        .and(diesel::dsl::not(by_payout))
                        .and(diesel::dsl::not(by_creator))
                        .and(diesel::dsl::not(by_batch)),
                ),
            )
        })
    }

    /// Payouts that were created since a moment and are paid.
    pub fn paid_of_created_since(&mut self, since: Time) -> Result<Group, StoreError> {
        self.read(|conn| {
            group(
                conn,
                Box::new(
                    payouts::status
                        .eq(PayoutStatus::Completed)
                        .and(payouts::created_at.ge(since)),
                ),
            )
        })
    }

    /// The newest runs of a command that ended, the newest first: their ids and exit codes.
    pub fn run_outcomes(
        &mut self,
        command: &str,
        runs_max: i64,
    ) -> Result<Vec<(RunId, i32)>, StoreError> {
        self.read(|conn| {
            Ok(runs::table
                .filter(runs::command.eq(command))
                .filter(runs::exit_code.is_not_null())
                .order((runs::started_at.desc(), runs::id.desc()))
                .limit(runs_max)
                .select((runs::id, runs::exit_code.assume_not_null()))
                .load(conn)?)
        })
    }

    /// Mails that have been due since before `late`, or were tried often since, and those
    /// given up since `given_up`: how many, and one of them.
    pub fn mails_undelivered(
        &mut self,
        late: Time,
        given_up: Time,
    ) -> Result<(i64, Option<String>), StoreError> {
        // One that is tried again and again is due later every time.
        let tried_long = mails::tries.ge(TRIED_OFTEN).and(mails::created_at.lt(late));
        // A mail about this very alert must not feed it.
        let own = AlertCode::MailUndelivered.as_str();
        let waits = mails::settled_at
            .is_null()
            .and(mails::about.ne(own))
            .and(mails::due_at.lt(late).or(tried_long));
        let failed = mails::state
            .eq(NotificationState::Failed)
            .and(mails::about.ne(own))
            .and(mails::settled_at.assume_not_null().ge(given_up));
        let counted = (diesel::dsl::count_star(), diesel::dsl::min(mails::id));
        self.read(|conn| {
            let (waiting, first_waiting): (i64, Option<String>) =
                mails::table.filter(waits).select(counted).first(conn)?;
            let (failed, first_failed): (i64, Option<String>) =
                mails::table.filter(failed).select(counted).first(conn)?;
            Ok((waiting + failed, first_waiting.or(first_failed)))
        })
    }

    /// When a run of a command ended last that [did what it could](Exit::did_what_it_could).
    pub fn run_last_useful(&mut self, command: &str) -> Result<Option<Time>, StoreError> {
        let exits = Exit::ALL.iter().filter(|exit| exit.did_what_it_could());
        let exit_codes = exits.map(|exit| i32::from(exit.code()));
        self.read(|conn| {
            Ok(runs::table
                .filter(runs::command.eq(command))
                .filter(runs::exit_code.assume_not_null().eq_any(exit_codes))
                .filter(runs::ended_at.is_not_null())
                .order(runs::ended_at.desc())
                .select(runs::ended_at.assume_not_null())
                .first(conn)
                .optional()?)
        })
    }

    /// Payouts created since a moment, at most the newest `rows_max` of each status, that
    /// are further than `times` the usual spread from what their creators were paid before
    /// it. Cancelled ones are left out.
    pub fn amounts_unusual(
        &mut self,
        since: Time,
        times: u32,
        rows_max: i64,
    ) -> Result<Vec<Unusual>, StoreError> {
        self.read(|conn| {
            let mut unusual = Vec::new();
            for status in PayoutStatus::ALL {
                let rows: Vec<(PayoutId, CreatorId, i32)> = payouts::table
                    .filter(payouts::status.eq(*status))
                    .filter(payouts::created_at.ge(since))
                    .filter(diesel::dsl::not(history::was_cancelled()))
                    .order((payouts::created_at.desc(), payouts::id))
                    .limit(rows_max)
                    .select((payouts::id, payouts::creator_id, payouts::amount_cents))
                    .load(conn)?;
                let mut creators: Vec<&CreatorId> = rows.iter().map(|(_, id, _)| id).collect();
                creators.sort();
                creators.dedup();
                let usual = usual_in_tx(conn, &creators, since.minus(USUAL_OVER), since)?;
                unusual.extend(rows.iter().filter_map(|(id, creator, amount)| {
                    let usual = *usual.get(creator)?;
                    usual.is_far(*amount, times).then(|| Unusual {
                        payout_id: id.clone(),
                        amount_cents: *amount,
                        usual,
                    })
                }));
            }
            Ok(unusual)
        })
    }
}

/// Tries of a mail after which it is no accident any more.
const TRIED_OFTEN: i32 = 4;

/// What a creator is usually paid is what they were paid in this time.
pub(super) const USUAL_OVER: Duration = Duration::from_secs(400 * 86_400);

/// Creators whose past payments are read and held in memory at once.
const CREATORS_AT_ONCE: usize = 500;

/// What these creators are usually paid, by their payouts that were created between two
/// moments and are paid; those without enough of them are left out.
pub(super) fn usual_in_tx(
    conn: &mut AnyConnection,
    creators: &[&CreatorId],
    from: Time,
    until: Time,
) -> Result<HashMap<CreatorId, Usual>, StoreError> {
    let mut usual = HashMap::new();
    for chunk in creators.chunks(CREATORS_AT_ONCE) {
        let rows: Vec<(CreatorId, i32)> = payouts::table
            .filter(among(payouts::creator_id, chunk))
            .filter(payouts::status.eq(PayoutStatus::Completed))
            .filter(payouts::created_at.ge(from))
            .filter(payouts::created_at.lt(until))
            .select((payouts::creator_id, payouts::amount_cents))
            .load(conn)?;
        let mut paid: HashMap<CreatorId, Vec<i32>> = HashMap::new();
        for (creator, cents) in rows {
            paid.entry(creator).or_default().push(cents);
        }
        usual.extend(
            paid.into_iter()
                .filter_map(|(creator, cents)| Some((creator, Usual::of(cents)?))),
        );
    }
    Ok(usual)
}

/// A condition on payouts.
type Condition = Box<dyn BoxableExpression<payouts::table, MultiBackend, SqlType = Bool>>;

/// Payouts that are failed, and were not cancelled.
#[diesel::dsl::auto_type]
fn failed_now() -> _ {
    let failed: PayoutStatus = PayoutStatus::Failed;
    payouts::status
        .eq(failed)
        .and(diesel::dsl::not(history::was_cancelled()))
}

fn processing(conn: &mut AnyConnection, before: Time) -> Result<Group, StoreError> {
    let condition = payouts::status
        .eq(PayoutStatus::Processing)
        .and(payouts::updated_at.lt(before));
    group(conn, Box::new(condition))
}

/// The payouts for which a condition holds.
fn group(conn: &mut AnyConnection, condition: Condition) -> Result<Group, StoreError> {
    let (count, amount_cents, example) = payouts::table
        .filter(condition)
        .select((
            diesel::dsl::count_star(),
            dialect::sum_amount_cents(),
            diesel::dsl::min(payouts::id),
        ))
        .first::<(i64, i64, Option<String>)>(conn)?;
    Ok(Group {
        count,
        amount_cents,
        example,
    })
}
