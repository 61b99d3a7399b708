//! Is everything there that a run needs, and is anything left that a person
//! must look at? Only reads; every finding says what to do.
//!
//! What is counted is found by an index or is small, so that a table of millions
//! costs no more than an empty one.

use std::path::Path;
use std::time::Duration;

use crate::model::hold::HoldKind;
use crate::model::mode::mode;
use crate::model::money::{Currency, with_currency};
use crate::model::run::{RunLine, RunState};
use crate::model::time::{Clock, Time, in_words};
use crate::ops::account::SKEW_WARN_MILLIS;
use crate::store::catalog::{SchemaFault, SchemaPart};
use crate::store::health::{Disk, HeldTotal, OpenTotal};
use crate::store::run_records::RunFilter;
use crate::store::vitals::Group;
use crate::store::{Stamp, Store, StoreError};
use crate::stripe::Stripe;
use crate::stripe::api::{ReadError, TransferQuery, api_version};

/// Less free disk than this, or than a copy of the database takes, is little.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// Dead runs that are looked at, newest first.
const DEAD_MAX: usize = 20;

/// Parts of the schema that are named, when more are missing.
const FAULTS_MAX: usize = 20;

/// How a check came out; the last is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and a person should look.
    Look,
    /// No run can work like this.
    Broken,
}

impl Verdict {
    /// The word in every format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Look => "attention",
            Self::Broken => "failed",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Check {
    /// As it should be.
    pub fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Good,
            found: found.into(),
            hint: None,
        }
    }

    /// A person should look.
    pub fn look(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Look,
            hint: Some(hint.into()),
            ..Self::good(name, found)
        }
    }

    /// No run can work.
    pub fn broken(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Broken,
            ..Self::look(name, found, hint)
        }
    }
}

/// What the settings say that the state of the database is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// What amounts are in.
    pub currency: Currency,
    /// After this long without a sign of life a run is dead.
    pub lease: Duration,
    /// Failed attempts before a retry takes `--force`.
    pub retries_max: i32,
    /// A payout that is PROCESSING for longer is stuck.
    pub stuck_after: Duration,
}

/// Looks at an open database. What stands behind pending migrations cannot be read.
pub fn database(store: &mut Store, rules: &Rules) -> Result<Vec<Check>, StoreError> {
    let server = store.server()?;
    let found = server.place.map_or_else(
        || server.version.clone(),
        |place| format!("{}, {place}", server.version),
    );
    let mut checks = vec![match server.exposed {
        None => Check::good("database", found),
        Some(exposed) => Check::look(
            "database",
            format!("{found}; {exposed}"),
            "let nobody else read who is paid what: chmod 600 the file, or connect with sslmode=verify-full",
        ),
    }];
    checks.extend(store.disk().map(disk));
    let states = store.migrations()?;
    let pending: Vec<&str> = states
        .iter()
        .filter(|state| !state.applied)
        .map(|state| state.migration.name)
        .collect();
    if !pending.is_empty() {
        checks.push(Check::broken(
            "schema",
            format!("pending: {}", pending.join(", ")),
            "run `payouts migrate`",
        ));
        return Ok(checks);
    }
    let newest = states.last().map_or("", |state| state.migration.name);
    checks.push(Check::good(
        "schema",
        format!("every migration has run, {newest} last"),
    ));
    let (faults, parts) = store.schema_faults()?;
    checks.extend(catalog(&faults, parts));
    checks.push(Check::good(
        "tables",
        if store.owns_table("payouts")? {
            "made by this tool"
        } else {
            "the platform's; imports of creators and statements are refused"
        },
    ));
    checks.push(stamp(store.stamp()?.as_ref()));
    checks.push(holds(store, rules.currency)?);
    checks.push(open(store.attempts_open()?, rules.currency));
    checks.push(stuck(store, rules)?);
    checks.push(failed(
        &store.failed_often(rules.retries_max - 1)?,
        rules.retries_max,
        rules.currency,
    ));
    checks.extend(runs(store, rules)?);
    Ok(checks)
}

fn disk(disk: Disk) -> Check {
    let found = format!(
        "{} free; the database takes {}, its write-ahead log {}",
        bytes(disk.free_bytes),
        bytes(disk.database_bytes),
        bytes(disk.wal_bytes)
    );
    if disk.free_bytes >= FREE_BYTES_MIN.max(disk.database_bytes) {
        return Check::good("disk", found);
    }
    Check::look(
        "disk",
        found,
        format!(
            "make room: a run stops where nothing can be written; below {}, or what a copy of the database takes, is little",
            bytes(FREE_BYTES_MIN)
        ),
    )
}

/// `512 KiB`, `73 GiB`: whole, rounded down.
fn bytes(number: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut number, mut unit) = (number, 0);
    while number >= 10 * 1024 && unit + 1 < units.len() {
        number /= 1024;
        unit += 1;
    }
    format!("{number} {}", units[unit])
}

/// Whether the database still consists of what the migrations made.
fn catalog(faults: &[SchemaFault], parts: usize) -> Vec<Check> {
    if faults.is_empty() {
        return vec![Check::good(
            "catalog",
            format!("{parts} columns, keys, indexes, constraints and triggers, as founded"),
        )];
    }
    let mut checks: Vec<Check> = faults
        .iter()
        .take(FAULTS_MAX)
        .map(|fault| {
            let found = if fault.invalid {
                format!("{} is invalid: its building was cut off", fault.what)
            } else {
                format!("{} is missing, or is not as it was made", fault.what)
            };
            let hint = fault.remedy.as_ref().map_or_else(
                || "nothing makes it again by itself: ask who changed the schema, or go back to a backup".to_owned(),
                |sql| format!("make it again: {sql}"),
            );
            match fault.kind {
                // Without these a run fails, or the database no longer forbids what it must.
                SchemaPart::Column | SchemaPart::Key => {
                    Check::broken(fault.kind.as_str(), found, hint)
                }
                SchemaPart::Index | SchemaPart::Constraint | SchemaPart::Trigger => {
                    Check::look(fault.kind.as_str(), found, hint)
                }
            }
        })
        .collect();
    if faults.len() > FAULTS_MAX {
        checks.push(Check::look(
            "catalog",
            format!("{} more parts are missing", faults.len() - FAULTS_MAX),
            "make those again that are named, then look again",
        ));
    }
    checks
}

fn stamp(stamp: Option<&Stamp>) -> Check {
    Check::good(
        "stamp",
        stamp.map_or_else(
            || "no run has sent from this database yet".to_owned(),
            |stamp| {
                let mode = mode(stamp.livemode);
                format!("pays from Stripe account {} in {mode} mode", stamp.account)
            },
        ),
    )
}

fn holds(store: &mut Store, currency: Currency) -> Result<Check, StoreError> {
    let totals = store.held_totals()?;
    let found: Vec<String> = totals.iter().map(|total| held(total, currency)).collect();
    if totals.iter().all(|total| total.kind != HoldKind::All) {
        return Ok(Check::good(
            "holds",
            if found.is_empty() {
                "none".to_owned()
            } else {
                found.join("; ")
            },
        ));
    }
    let holds = store.holds()?;
    let switch = holds.iter().find(|hold| hold.kind == HoldKind::All);
    let by = switch.map_or_else(String::new, |switch| {
        format!(
            " by {} since {}{}: {}",
            switch.actor,
            switch.created_at,
            switch
                .ends_at
                .map_or_else(String::new, |end| format!(" until {end}")),
            switch.reason
        )
    });
    Ok(Check::look(
        "holds",
        format!("everything is held{by}; {}", found.join("; ")),
        "nothing is sent until `payouts release --all`",
    ))
}

/// What the holds of one kind keep back, in words.
fn held(total: &HeldTotal, currency: Currency) -> String {
    let of = match total.kind {
        HoldKind::All => return format!("{} pending", total.payouts),
        HoldKind::Batch => "on batches",
        HoldKind::Creator => "on creators",
        HoldKind::Payout => "on payouts",
    };
    let loaded = match total.kind {
        HoldKind::Batch => "loaded",
        _ => "pending",
    };
    let sum = total.amount_cents.map_or_else(String::new, |cents| {
        format!(", {}", with_currency(cents, currency))
    });
    format!("{} {of} ({} {loaded}{sum})", total.holds, total.payouts)
}

fn stuck(store: &mut Store, rules: &Rules) -> Result<Check, StoreError> {
    let now = store.clock().now();
    let old = store.processing_since(now.minus(rules.stuck_after))?;
    let orphaned = store.attempts_orphaned(rules.lease)?;
    let foreign = store.foreign_processing()?;
    let mut found = Vec::new();
    let sum = |cents: i64| with_currency(cents, rules.currency);
    if old.count > 0 {
        found.push(format!(
            "{} PROCESSING for more than {}, {}",
            old.count,
            in_words(rules.stuck_after),
            sum(old.amount_cents)
        ));
    }
    if orphaned.count > 0 {
        found.push(format!(
            "{} left by runs that are over, {}",
            orphaned.count,
            sum(orphaned.amount_cents)
        ));
    }
    if foreign > 0 {
        found.push(format!("{foreign} in the hands of other software"));
    }
    if found.is_empty() {
        return Ok(Check::good("stuck", "none"));
    }
    Ok(Check::look(
        "stuck",
        found.join("; "),
        "`payouts process` looks them up at Stripe; what it cannot settle, `payouts resolve ID` does; `payouts list --status PROCESSING` shows them",
    ))
}

fn failed(failed: &Group, retries_max: i32, currency: Currency) -> Check {
    if failed.count == 0 {
        return Check::good(
            "failed",
            format!("none has failed {retries_max} times or more"),
        );
    }
    Check::look(
        "failed",
        format!(
            "{} have failed {retries_max} times or more, {}",
            failed.count,
            with_currency(failed.amount_cents, currency)
        ),
        "no `retry --due` takes them any more: `payouts list --status FAILED` says why, `payouts retry ID --force` tries again",
    )
}

/// What became of the last run of each command, and of those that were killed.
fn runs(store: &mut Store, rules: &Rules) -> Result<Vec<Check>, StoreError> {
    let now = store.clock().now();
    let last = store.runs_last(rules.lease)?;
    let dead = RunFilter {
        state: Some(RunState::Dead),
        ..RunFilter::default()
    };
    let dead = store.runs_list(&dead, rules.lease, None, DEAD_MAX)?;
    // One that ended since has taken over what a dead one left.
    let followed = |dead: &&RunLine| {
        last.iter().any(|line| {
            line.run.command == dead.run.command
                && line.run.id > dead.run.id
                && line.state == RunState::Ended
        })
    };
    let (past, open): (Vec<&RunLine>, Vec<&RunLine>) = dead.iter().partition(followed);
    let mut checks = vec![match open.first() {
        None if past.is_empty() => Check::good("dead runs", "none"),
        None => Check::good(
            "dead runs",
            format!("{}, each followed by a run of the same command", past.len()),
        ),
        Some(newest) => Check::look(
            "dead runs",
            format!(
                "{}, the last one {} {} of {}",
                open.len(),
                newest.run.command,
                newest.run.id,
                newest.run.started_at
            ),
            format!(
                "`payouts runs show {}` says what it left and what to do",
                newest.run.id
            ),
        ),
    }];
    if last.is_empty() {
        checks.push(Check::good("last run", "none yet"));
    }
    checks.extend(last.iter().map(|line| last_run(line, now)));
    Ok(checks)
}

fn last_run(line: &RunLine, now: Time) -> Check {
    let run = &line.run;
    let minutes = now.millis_since(run.started_at).max(0) / 60_000;
    let ago = match minutes {
        0..120 => format!("{minutes} minutes ago"),
        120..2880 => format!("{} hours ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1440),
    };
    let ended = match (line.state, run.exit_code) {
        (RunState::Alive, _) => "at work".to_owned(),
        (RunState::Dead, _) => "killed".to_owned(),
        (RunState::Ended, code) => format!("ended with {}", code.unwrap_or_default()),
    };
    let said = run
        .summary
        .as_deref()
        .map_or_else(String::new, |summary| format!(": {summary}"));
    let found = format!("{}, {ago}, {ended}{said}", run.command);
    // Could not run, unknown outcomes, a bug. That a person declined is no fault.
    match (line.state, run.exit_code) {
        (RunState::Ended, Some(3 | 5 | 70)) => Check::look(
            "last run",
            found,
            format!("`payouts runs show {}` says what to do", run.id),
        ),
        _ => Check::good("last run", found),
    }
}

/// Whether others on this machine may read the files that hold secrets: `(variable, path)`.
pub fn secret_files<'a>(files: impl Iterator<Item = (&'a str, &'a Path)>) -> Vec<Check> {
    use std::os::unix::fs::PermissionsExt;
    let open = files.filter_map(|(variable, path)| {
        let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then(|| {
            Check::look(
                "secret file",
                format!(
                    "{variable}: others on this machine may open {} (mode {mode:03o})",
                    path.display()
                ),
                format!("chmod 600 {}", path.display()),
            )
        })
    });
    open.collect()
}

fn open(open: OpenTotal, currency: Currency) -> Check {
    if open.count == 0 {
        return Check::good("unresolved", "none");
    }
    Check::look(
        "unresolved",
        format!(
            "{} on the way or with an unknown outcome, {}",
            open.count,
            with_currency(open.amount_cents, currency)
        ),
        "the next `payouts process` looks them up; `payouts list --status PROCESSING` shows them",
    )
}

/// Asks Stripe whose key it is, what time it is, and what there is to pay with.
pub async fn stripe(
    stripe: &Stripe,
    clock: &Clock,
    stamp: Option<&Stamp>,
    currency: Currency,
) -> Vec<Check> {
    let (account, date) = match stripe.account().await {
        Ok(answer) => answer,
        Err(error) => {
            return vec![Check::broken(
                "stripe",
                error.to_string(),
                if error.is_key_refused() {
                    "check the key, and its right to read the account"
                } else {
                    NETWORK
                },
            )];
        }
    };
    let mode = mode(stripe.livemode());
    let mut checks = vec![match stamp {
        Some(stamp) if stamp.account != account || stamp.livemode != stripe.livemode() => {
            Check::broken(
                "stripe",
                format!(
                    "the key belongs to account {account} in {mode} mode, the database to another"
                ),
                "use the key the database was first paid with, or another database",
            )
        }
        _ => Check::good("stripe", format!("account {account} in {mode} mode")),
    }];
    if let Some(date) = date {
        let ahead = date.millis_since(clock.now());
        let seconds = ahead.abs() / 1000;
        checks.push(if ahead.abs() >= SKEW_WARN_MILLIS {
            Check::look(
                "clock",
                format!("{seconds} seconds away from Stripe's"),
                "set this machine's clock; from 30 minutes on nothing is sent",
            )
        } else {
            Check::good("clock", "agrees with Stripe's")
        });
    }
    checks.push(Check::good(
        "api version",
        format!("{}, whatever the account's own is", api_version()),
    ));
    checks.push(match stripe.balance(currency).await {
        Ok(balance) => Check::good(
            "balance",
            format!(
                "{} available",
                with_currency(balance.available_cents, currency)
            ),
        ),
        Err(error) => {
            let found = unread("read the balance", &error);
            Check::look(
                "balance",
                found,
                if error.is_key_refused() {
                    "give the key the right Balance: Read; without it a run stops at Stripe's first refusal only"
                } else {
                    NETWORK
                },
            )
        }
    });
    // The last minute, so that there is next to nothing to read.
    let since = date
        .unwrap_or_else(|| clock.now())
        .minus(Duration::from_secs(60));
    let latest = TransferQuery {
        created_from: Some(since),
        ..TransferQuery::default()
    };
    checks.push(match stripe.transfer_page(&latest, None).await {
        Ok(_) => Check::good(
            "transfers",
            "can be listed; whether they may be made shows with the first",
        ),
        Err(error) => {
            let found = unread("list transfers", &error);
            Check::broken(
                "transfers",
                found,
                if error.is_key_refused() {
                    "give the key the right Transfers: Write, which includes reading them; no run sends before it has read them"
                } else {
                    NETWORK
                },
            )
        }
    });
    checks.push(
        match stripe.event_page(&["transfer.created"], since, None).await {
            Ok(_) => Check::good("events", "can be listed"),
            Err(error) => {
                let found = unread("list events", &error);
                Check::look(
                    "events",
                    found,
                    if error.is_key_refused() {
                        "give the key the right Events: Read; `events pull` and `resolve --release` need it"
                    } else {
                        NETWORK
                    },
                )
            }
        },
    );
    checks
}

const NETWORK: &str = "check the network, and STRIPE_API_BASE if it is set";

/// What a key could not do.
fn unread(what: &str, error: &ReadError) -> String {
    if error.is_key_refused() {
        format!("the key may not {what}: {error}")
    } else {
        format!("failed to {what}: {error}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_the_unit_that_says_most() {
        let words = [0, 10_239, 10_240, 5 << 20, 12 << 20, 73 << 30].map(bytes);
        assert_eq!(
            words,
            ["0 B", "10239 B", "10 KiB", "5120 KiB", "12 MiB", "73 GiB"]
        );
    }

    #[test]
    fn a_disk_that_a_copy_does_not_fit_on_is_told() {
        let of = |free_bytes, database_bytes| {
            disk(Disk {
                database_bytes,
                wal_bytes: 0,
                free_bytes,
            })
            .verdict
        };
        assert_eq!(of(FREE_BYTES_MIN, 1), Verdict::Good);
        assert_eq!(of(FREE_BYTES_MIN - 1, 1), Verdict::Look);
        assert_eq!(of(3 << 30, 4 << 30), Verdict::Look);
        assert_eq!(of(5 << 30, 4 << 30), Verdict::Good);
    }
}
