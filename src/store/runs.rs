//! Runs: begun before anything is written, alive while they show it, ended
//! with what they did.

use std::time::Duration;

use diesel::prelude::*;

use crate::failpoint::failpoint;
use crate::model::history::HeadsHash;
use crate::model::ids::{IdMaker, RunId};
use crate::model::run::{Run, liveness_lock};
use crate::model::schema::payout_runs as runs;
use crate::model::time::{Time, millis_of};
use crate::store::connection::AnyConnection;
use crate::store::notifications::digest_in_tx;
use crate::store::{Store, StoreError, dialect};

/// Who writes: stands on every history row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStamp {
    /// The run.
    pub run_id: RunId,
    /// The person or the service account.
    pub actor: String,
}

/// What a run is about, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDescription {
    /// The subcommand.
    pub command: String,
    /// Its arguments.
    pub arguments: String,
    /// Who.
    pub actor: String,
    /// On which machine.
    pub host: String,
}

impl Store {
    /// Records that a command that writes has begun.
    pub fn run_begin(&mut self, description: RunDescription) -> Result<RunStamp, StoreError> {
        let now = self.clock.now();
        let run = Run {
            id: RunId::new(IdMaker::new(now).next_id()?),
            command: description.command,
            arguments: description.arguments,
            actor: description.actor,
            host: description.host,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: now,
            seen_at: now,
            ended_at: None,
            exit_code: None,
            summary: None,
            heads_hash: None,
        };
        // Announced before it can be seen, so that nobody finds it silent.
        let pooled = self.pooled();
        dialect::liveness_announce(&mut self.conn, pooled, liveness_lock(&run.id))?;
        self.write(|conn| {
            diesel::insert_into(runs::table)
                .values(&run)
                .execute(conn)?;
            failpoint!("run_begin.writing");
            Ok(())
        })?;
        failpoint!("run_begin.committed");
        self.run = Some(run.id.clone());
        self.heads = HeadsHash::default();
        self.heads_in_doubt = false;
        tracing::info!(
            event = "run_begun",
            run_id = run.id.as_str(),
            command = run.command,
            actor = run.actor,
            "a run has begun"
        );
        Ok(RunStamp {
            run_id: run.id,
            actor: run.actor,
        })
    }

    /// Renews a run's sign of life. Returns the moment it now bears.
    pub fn run_seen(&mut self, run: &RunId) -> Result<Time, StoreError> {
        let now = self.clock.now();
        let changed = self.write(|conn| {
            let changed = diesel::update(runs::table.filter(runs::id.eq(run)))
                .set(runs::seen_at.eq(now))
                .execute(conn)?;
            failpoint!("pulse.writing");
            Ok(changed)
        })?;
        failpoint!("pulse.committed");
        if changed == 0 {
            return Err(StoreError::Corrupt(format!(
                "run {run} is not in payout_runs any more"
            )));
        }
        Ok(now)
    }

    /// Records that a run has ended, and the hash over all it wrote: none when the
    /// connection broke in a transaction of which nobody knows whether it was kept. One
    /// that left something for a person makes a digest due.
    pub fn run_end(
        &mut self,
        run: &RunId,
        exit_code: i32,
        summary: &str,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let heads_hash = (!self.heads_in_doubt).then(|| self.heads.to_hex());
        self.write(|conn| {
            diesel::update(runs::table.filter(runs::id.eq(run)))
                .set((
                    runs::seen_at.eq(now),
                    runs::ended_at.eq(now),
                    runs::exit_code.eq(exit_code),
                    runs::summary.eq(summary),
                    runs::heads_hash.eq(heads_hash),
                ))
                .execute(conn)?;
            digest_in_tx(conn, run, exit_code, now)?;
            failpoint!("run_end.writing");
            Ok(())
        })?;
        failpoint!("run_end.committed");
        tracing::info!(
            event = "run_ended",
            run_id = run.as_str(),
            exit_code,
            "{summary}"
        );
        Ok(())
    }
}

/// Whether a run can no longer act: it ended, its session is gone, or it gave no
/// sign of life for longer than the lease (or one from the future, which only a
/// clock that was turned back can explain).
pub(crate) fn has_ended(
    conn: &mut AnyConnection,
    pooled: bool,
    run: &RunId,
    lease: Duration,
    now: Time,
) -> Result<bool, StoreError> {
    let found: Option<(Time, Option<Time>)> = runs::table
        .filter(runs::id.eq(run))
        .select((runs::seen_at, runs::ended_at))
        .first(conn)
        .optional()?;
    let Some((seen_at, ended_at)) = found else {
        return Ok(true);
    };
    if ended_at.is_some() || now.millis_since(seen_at).abs() > millis_of(lease) {
        return Ok(true);
    }
    Ok(dialect::liveness_gone(conn, pooled, liveness_lock(run))?.unwrap_or(false))
}
