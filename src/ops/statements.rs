//! Bringing royalty statements in, where the tables are our own.
//!
//! A royalty run has one statement for each creator. The same row again is
//! "already there"; a row that says something else than what is stored is a
//! fault: what is owed is never changed in silence.

use std::collections::HashMap;

use chrono::{Days, Months, NaiveDate, NaiveTime};

use crate::model::creator::Creator;
use crate::model::ids::StatementId;
use crate::model::money::{Currency, with_currency};
use crate::model::statement::{RoyaltyStatementStatus, Statement};
use crate::model::time::Time;
use crate::ops::fault::{FaultKind, RowFault};
use crate::ops::import::{ImportError, Imported};
use crate::ops::table_file::{
    Arguments, Columns, MUST_NOT_BE_EMPTY, Row, TableFile, TableRows, one_row,
};
use crate::store::Store;
use crate::store::creators::NamedCreator;
use crate::store::statements::{
    KnownStatements, NewRun, NewStatement, StatementChanges, StatementKeys,
};

/// What a file of statements may say.
pub const COLUMNS: Columns = Columns {
    known: &[
        "id",
        "creator",
        "run",
        "period",
        "period_start",
        "period_end",
        "net_payable",
        "net_payable_cents",
        "total_earnings",
        "total_earnings_cents",
        "platform_fee",
        "platform_fee_cents",
        "status",
    ],
    required: &[
        &["creator"],
        &["run"],
        &["net_payable", "net_payable_cents"],
    ],
};

/// The first and the last moment of a royalty run's period.
type Period = (Time, Time);

/// One statement as it was read. What is none was not said, or was at fault and
/// is told already.
#[derive(Debug)]
struct StatementInput {
    line: Option<u64>,
    id: Option<StatementId>,
    creator: Option<String>,
    run: Option<String>,
    period: Option<Period>,
    net_payable_cents: Option<i32>,
    total_earnings_cents: Option<i32>,
    platform_fee_cents: Option<i32>,
    status: Option<RoyaltyStatementStatus>,
}

impl StatementInput {
    fn fault(
        &self,
        column: &str,
        value: &str,
        kind: FaultKind,
        reason: impl Into<String>,
    ) -> RowFault {
        RowFault::new(self.line, column, value, kind, reason)
    }
}

/// Imports a file: all of it or nothing.
pub fn import(
    store: &mut Store,
    file: &TableFile,
    currency: Currency,
) -> Result<Imported, ImportError> {
    let table = file.rows(COLUMNS, |row, faults| read_row(row, currency, faults))?;
    write(store, table, currency)
}

/// Adds one statement, given under the names of a file's columns.
pub fn add(
    store: &mut Store,
    arguments: &Arguments<'_>,
    currency: Currency,
) -> Result<Imported, ImportError> {
    let table = one_row(arguments, |row, faults| read_row(row, currency, faults));
    write(store, table, currency)
}

fn read_row(row: &Row<'_>, currency: Currency, faults: &mut Vec<RowFault>) -> StatementInput {
    let creator = row.required("creator", faults).map(str::to_owned);
    let run = row.required("run", faults).map(str::to_owned);
    let mut told = |read: Result<Option<i32>, RowFault>| {
        read.unwrap_or_else(|fault| {
            faults.push(fault);
            None
        })
    };
    let net = row.amount(("net_payable", "net_payable_cents"), currency);
    if net == Ok(None) {
        let fault = row.fault("net_payable", FaultKind::Missing, MUST_NOT_BE_EMPTY);
        told(Err(fault));
    }
    let net_payable_cents = told(net);
    let earnings = ("total_earnings", "total_earnings_cents");
    let total_earnings_cents = told(row.amount_or_zero(earnings, currency));
    let fee = ("platform_fee", "platform_fee_cents");
    let platform_fee_cents = told(row.amount_or_zero(fee, currency));
    let period = read_period(row).unwrap_or_else(|fault| {
        faults.push(fault);
        None
    });
    StatementInput {
        line: row.line,
        id: row.cell("id").map(StatementId::new),
        creator,
        run,
        period,
        net_payable_cents,
        total_earnings_cents,
        platform_fee_cents,
        status: read_status(row, faults),
    }
}

fn read_status(row: &Row<'_>, faults: &mut Vec<RowFault>) -> Option<RoyaltyStatementStatus> {
    use RoyaltyStatementStatus::{Disputed, Paid, Pending, Resolved, Reviewed};
    let text = row.cell("status")?;
    match text.to_ascii_uppercase().parse() {
        Ok(Paid) => {
            let reason = "a statement becomes PAID when its payouts are completed";
            faults.push(row.fault("status", FaultKind::Statement, reason));
            None
        }
        Ok(status) => Some(status),
        Err(_) => {
            let reason = format!("use one of {Pending}, {Reviewed}, {Disputed}, {Resolved}");
            faults.push(row.fault("status", FaultKind::Text, reason));
            None
        }
    }
}

/// The period of a row: a month under `period`, or its two ends.
fn read_period(row: &Row<'_>) -> Result<Option<Period>, RowFault> {
    let wrong = |column, reason: &str| Err(row.fault(column, FaultKind::Text, reason));
    match (
        row.cell("period"),
        row.cell("period_start"),
        row.cell("period_end"),
    ) {
        (None, None, None) => Ok(None),
        (Some(text), None, None) => match month(text) {
            Some(period) => Ok(Some(period)),
            None => wrong("period", "use a month such as 2026-10"),
        },
        (None, Some(start), Some(end)) => match (start_of(start), end_of(end)) {
            (None, _) => wrong("period_start", "use a day such as 2026-10-01, or RFC 3339"),
            (_, None) => wrong("period_end", "use a day such as 2026-10-31, or RFC 3339"),
            (Some(start), Some(end)) if start < end => Ok(Some((start, end))),
            _ => wrong("period_end", "the period ends before it begins"),
        },
        (Some(_), ..) => wrong(
            "period",
            "there is period_start or period_end too; give one form",
        ),
        (None, None, Some(_)) => wrong("period_start", "period_end needs a period_start"),
        (None, Some(_), None) => wrong("period_end", "period_start needs a period_end"),
    }
}

/// `2026-10`, from its first millisecond to its last.
fn month(text: &str) -> Option<Period> {
    let first = day(&format!("{text}-01"))?;
    let last = first.checked_add_months(Months::new(1))?.pred_opt()?;
    Some((midnight(first), last_millisecond(last)?))
}

/// A day's first millisecond, or the moment itself.
fn start_of(text: &str) -> Option<Time> {
    day(text).map(midnight).or_else(|| text.parse().ok())
}

/// A day's last millisecond, or the moment itself.
fn end_of(text: &str) -> Option<Time> {
    match day(text) {
        Some(day) => last_millisecond(day),
        None => text.parse().ok(),
    }
}

/// `2026-10-01` and nothing else that chrono would take.
fn day(text: &str) -> Option<NaiveDate> {
    let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .filter(|_| plain)
}

fn midnight(day: NaiveDate) -> Time {
    Time::from_utc(day.and_time(NaiveTime::MIN))
}

fn last_millisecond(day: NaiveDate) -> Option<Time> {
    let next = midnight(day.checked_add_days(Days::new(1))?);
    Some(Time::from_millis(next.millis().saturating_sub(1)))
}

fn write(
    store: &mut Store,
    table: TableRows<StatementInput>,
    currency: Currency,
) -> Result<Imported, ImportError> {
    let TableRows {
        rows: inputs,
        mut faults,
    } = table;
    let keys = StatementKeys {
        ids: inputs.iter().filter_map(|input| input.id.clone()).collect(),
        runs: distinct(inputs.iter().filter_map(|input| input.run.as_deref())),
        creators: distinct(inputs.iter().filter_map(|input| input.creator.as_deref())),
    };
    let mut already_there = 0;
    let written = store.statements_write(&keys, currency, |known| {
        let mut draft = Draft::new(known, currency);
        for input in &inputs {
            match draft.take(input) {
                Ok(Step::Add) => {}
                Ok(Step::Nothing) => already_there += 1,
                Err(fault) => faults.extend(fault),
            }
        }
        if faults.is_empty() {
            return Ok(draft.changes);
        }
        faults.sort_by_key(|fault| fault.line);
        Err(ImportError::Faults { faults })
    })?;
    Ok(Imported {
        added: written.statements.len(),
        updated: 0,
        already_there,
    })
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    names
        .collect::<std::collections::HashSet<_>>()
        .into_iter()
        .collect()
}

/// What becomes of one row.
enum Step {
    Add,
    Nothing,
}

/// What an import is going to write, as far as it was decided.
struct Draft<'k> {
    known: &'k KnownStatements,
    currency: Currency,
    changes: StatementChanges,
    /// Periods of runs that are going to be made.
    new_runs: HashMap<String, Period>,
    /// Lines of statements by id, and by run and creator.
    lines: HashMap<(String, String), Option<u64>>,
}

impl<'k> Draft<'k> {
    fn new(known: &'k KnownStatements, currency: Currency) -> Self {
        Self {
            known,
            currency,
            changes: StatementChanges::default(),
            new_runs: HashMap::new(),
            lines: HashMap::new(),
        }
    }

    /// Holds a row against what is stored and what came before it. No fault in
    /// the error: the row was at fault already.
    fn take(&mut self, input: &StatementInput) -> Result<Step, Vec<RowFault>> {
        let creator = self
            .creator(input)
            .map_err(|fault| fault.into_iter().collect::<Vec<_>>())?;
        let (Some(run), Some(net)) = (&input.run, input.net_payable_cents) else {
            return Err(Vec::new());
        };
        self.claim(input, run, creator)
            .map_err(|fault| vec![fault])?;
        self.run(input, run).map_err(|fault| vec![fault])?;
        let by_creator = self.known.by_run_and_creator(run, &creator.id);
        let stored = match &input.id {
            Some(id) => self.known.by_id(id),
            None => by_creator,
        };
        if let Some(stored) = stored {
            let differences = self.differences(input, run, creator, stored);
            return if differences.is_empty() {
                Ok(Step::Nothing)
            } else {
                Err(differences)
            };
        }
        if let Some(other) = by_creator {
            let reason = format!(
                "run {run} has statement {} for this creator already",
                other.id
            );
            let id = input.id.as_ref().map_or("", StatementId::as_str);
            return Err(vec![input.fault("id", id, FaultKind::Differs, reason)]);
        }
        if creator.deleted_at.is_some() {
            let text = input.creator.as_deref().unwrap_or_default();
            let reason = "the creator is deleted";
            return Err(vec![input.fault(
                "creator",
                text,
                FaultKind::DeletedCreator,
                reason,
            )]);
        }
        let fee = input.platform_fee_cents.unwrap_or(0);
        let Some(total) = input.total_earnings_cents.or_else(|| net.checked_add(fee)) else {
            let reason = "net payable and fee together are larger than the table can hold";
            return Err(vec![input.fault(
                "platform_fee",
                "",
                FaultKind::Amount,
                reason,
            )]);
        };
        self.changes.statements.push(NewStatement {
            id: input.id.clone(),
            run_id: run.clone(),
            creator_id: creator.id.clone(),
            total_earnings_cents: total,
            platform_fee_cents: fee,
            net_payable_cents: net,
            status: input.status.unwrap_or(RoyaltyStatementStatus::Reviewed),
        });
        Ok(Step::Add)
    }

    fn creator(&self, input: &StatementInput) -> Result<&'k Creator, Option<RowFault>> {
        let Some(text) = &input.creator else {
            return Err(None);
        };
        let fault = |kind, reason: &str| Some(input.fault("creator", text, kind, reason));
        let named = self.known.creators.get(text);
        let named = named.ok_or_else(|| fault(FaultKind::UnknownCreator, NamedCreator::UNKNOWN))?;
        named
            .only()
            .map_err(|reason| fault(FaultKind::AmbiguousCreator, reason))
    }

    /// Refuses a row that is about the same statement as an earlier one.
    fn claim(
        &mut self,
        input: &StatementInput,
        run: &str,
        creator: &Creator,
    ) -> Result<(), RowFault> {
        let by_creator = ("creator", (run.to_owned(), creator.id.to_string()));
        let by_id = input
            .id
            .as_ref()
            .map(|id| ("id", (String::new(), id.to_string())));
        for (column, key) in [Some(by_creator), by_id].into_iter().flatten() {
            if let Some(first) = self.lines.insert(key, input.line) {
                let reason = format!("line {} has the same statement", first.unwrap_or_default());
                let text = input.creator.as_deref().unwrap_or_default();
                return Err(input.fault(column, text, FaultKind::Duplicate, reason));
            }
        }
        Ok(())
    }

    /// Sees to it that the run of a row exists, with the period the row gives.
    fn run(&mut self, input: &StatementInput, run: &str) -> Result<(), RowFault> {
        let stored = self
            .known
            .runs
            .get(run)
            .map(|run| (run.period_start, run.period_end));
        let drafted = self.new_runs.get(run).copied();
        match (stored.or(drafted), input.period) {
            (Some(_), None) => Ok(()),
            (Some(is), Some(said)) if is == said => Ok(()),
            (Some((start, end)), Some(_)) => {
                let reason = format!("this run goes from {start} to {end}");
                Err(input.fault("run", run, FaultKind::RoyaltyRun, reason))
            }
            (None, Some((period_start, period_end))) => {
                self.new_runs
                    .insert(run.to_owned(), (period_start, period_end));
                self.changes.runs.push(NewRun {
                    id: run.to_owned(),
                    period_start,
                    period_end,
                });
                Ok(())
            }
            (None, None) => {
                let reason =
                    "no royalty run has this id; give its period, such as 2026-10, to make it";
                Err(input.fault("run", run, FaultKind::RoyaltyRun, reason))
            }
        }
    }

    /// What a row says that is stored otherwise. What it does not say is not compared.
    fn differences(
        &self,
        input: &StatementInput,
        run: &str,
        creator: &Creator,
        stored: &Statement,
    ) -> Vec<RowFault> {
        let mut faults = Vec::new();
        let mut differs = |column: &str, said: &str, is: &str| {
            let reason = format!("statement {} has {is} here", stored.id);
            faults.push(input.fault(column, said, FaultKind::Differs, reason));
        };
        if stored.creator_id != creator.id {
            differs(
                "creator",
                input.creator.as_deref().unwrap_or_default(),
                stored.creator_id.as_str(),
            );
        }
        if stored.royalty_run_id != run {
            differs("run", run, &stored.royalty_run_id);
        }
        let amounts = [
            (
                "net_payable",
                input.net_payable_cents,
                stored.net_payable_cents,
            ),
            (
                "total_earnings",
                input.total_earnings_cents,
                stored.total_earnings_cents,
            ),
            (
                "platform_fee",
                input.platform_fee_cents,
                stored.platform_fee_cents,
            ),
        ];
        let shown = |cents: i32| with_currency(i64::from(cents), self.currency);
        for (column, said, is) in amounts {
            if let Some(said) = said.filter(|said| *said != is) {
                differs(column, &shown(said), &shown(is));
            }
        }
        // That it was paid since is no news.
        let settled = stored.status == RoyaltyStatementStatus::Paid;
        if let Some(said) = input
            .status
            .filter(|said| *said != stored.status && !settled)
        {
            differs("status", said.as_str(), stored.status.as_str());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(period: Option<Period>) -> Option<(String, String)> {
        period.map(|(start, end)| (start.to_string(), end.to_string()))
    }

    #[test]
    fn a_month_goes_from_its_first_millisecond_to_its_last() {
        let text = |start: &str, end: &str| Some((start.to_owned(), end.to_owned()));
        assert_eq!(
            shown(month("2026-10")),
            text("2026-10-01T00:00:00.000Z", "2026-10-31T23:59:59.999Z")
        );
        assert_eq!(
            shown(month("2028-02")),
            text("2028-02-01T00:00:00.000Z", "2028-02-29T23:59:59.999Z")
        );
        for wrong in [
            "2026-13",
            "2026-1",
            "26-10",
            "2026-10-01",
            "+026-10",
            "",
            "Oct 2026",
        ] {
            assert_eq!(month(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_period_is_said_in_one_form() {
        let read = |arguments: &Arguments<'_>| {
            let table = one_row(arguments, |row, _| read_period(row));
            match table.rows.into_iter().next().unwrap() {
                Ok(period) => shown(period).map_or_else(String::new, |(a, b)| format!("{a} {b}")),
                Err(fault) => format!("{}: {}", fault.column, fault.reason),
            }
        };
        let start = ("period_start", Some("2026-10-01"));
        let end = ("period_end", Some("2026-10-15T12:00:00+02:00"));
        assert_eq!(read(&[]), "");
        assert_eq!(
            read(&[start, end]),
            "2026-10-01T00:00:00.000Z 2026-10-15T10:00:00.000Z"
        );
        assert_eq!(
            read(&[start, ("period_end", Some("2026-10-01"))]),
            "2026-10-01T00:00:00.000Z 2026-10-01T23:59:59.999Z"
        );
        assert_eq!(
            read(&[start, ("period_end", Some("2026-09-30"))]),
            "period_end: the period ends before it begins"
        );
        assert_eq!(
            read(&[start]),
            "period_end: period_start needs a period_end"
        );
        assert_eq!(
            read(&[end]),
            "period_start: period_end needs a period_start"
        );
        assert!(read(&[("period", Some("2026-10")), end]).starts_with("period: there is"));
        assert!(read(&[("period", Some("10/2026"))]).starts_with("period: use a month"));
    }
}
