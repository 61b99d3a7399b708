//! The rows of a source, one after the other: what each wants, whatever is stored.

use crate::model::ids::StatementId;
use crate::ops::create::{COLUMNS, Job, Rules, Source};
use crate::ops::fault::{FaultKind, RowFault};
use crate::ops::names_seen::NamesSeen;
use crate::ops::table_file::{
    Arguments, FileError, MUST_NOT_BE_EMPTY, ROWS_MAX, Record, Refused, Row, RowReader, one_row,
};

/// One payout that is wanted. What is none was at fault and is told already.
#[derive(Debug, Default)]
pub(super) struct WantedRow {
    pub(super) line: Option<u64>,
    pub(super) creator: Option<String>,
    pub(super) amount_cents: Option<i32>,
    /// The column the amount stands in, and how it is written there.
    pub(super) amount_column: &'static str,
    pub(super) amount_text: String,
    pub(super) statement: Option<StatementId>,
    pub(super) reference: Option<String>,
    /// Its cells had the right form.
    pub(super) was_read: bool,
    /// The line of the file that pays the same statement.
    pub(super) statement_before: Option<u64>,
}

impl WantedRow {
    pub(super) fn fault(
        &self,
        column: &str,
        value: &str,
        kind: FaultKind,
        reason: impl Into<String>,
    ) -> RowFault {
        RowFault::new(self.line, column, value, kind, reason)
    }

    /// A fault of the amount, under the column it was written in.
    pub(super) fn amount_fault(&self, kind: FaultKind, reason: impl Into<String>) -> RowFault {
        self.fault(self.amount_column, &self.amount_text, kind, reason)
    }
}

/// One row on its way: what it wants, and what is wrong with it so far.
pub(super) struct Entry {
    pub(super) wanted: WantedRow,
    pub(super) faults: Vec<RowFault>,
    /// As it lies in the file, where bad rows are written.
    pub(super) record: Option<Record>,
}

/// The rows of a source, one after the other.
pub(super) enum Rows<'f> {
    One(&'f Arguments<'f>),
    File(Box<RowReader<'f>>),
    Done,
}

impl<'f> Rows<'f> {
    /// Begins; what is wrong with all of a file is told.
    pub(super) fn begin(source: &Source<'f>) -> Result<Self, Refused> {
        Ok(match source {
            Source::One(arguments) => Self::One(arguments),
            Source::File(file) => Self::File(Box::new(file.reader(COLUMNS)?)),
        })
    }

    /// Begins again with a file that was read before.
    pub(super) fn of(job: &Job<'f>) -> Result<Self, FileError> {
        Self::begin(&job.source).map_err(|refused| match (refused, &job.source) {
            (Refused::File(error), _) => error,
            (Refused::Faults(_), Source::File(file)) => FileError::Changed {
                name: file.name().to_owned(),
            },
            (Refused::Faults(_), Source::One(_)) => FileError::Changed {
                name: String::new(),
            },
        })
    }

    /// Goes past a row that nobody asks for. False at the end.
    pub(super) fn pass(&mut self) -> Result<bool, FileError> {
        match self {
            Self::Done => Ok(false),
            Self::One(_) => {
                *self = Self::Done;
                Ok(true)
            }
            Self::File(reader) => Ok(reader.next_row()?.is_some()),
        }
    }

    /// The next row; its record only where it is to be kept.
    pub(super) fn next(&mut self, rules: &Rules, keep: bool) -> Result<Option<Entry>, FileError> {
        match self {
            Self::Done => Ok(None),
            Self::One(arguments) => {
                let table = one_row(arguments, |row, faults| read_row(row, rules, faults));
                *self = Self::Done;
                let faults = table.faults;
                let entry = |wanted| Entry {
                    wanted,
                    faults,
                    record: None,
                };
                Ok(table.rows.into_iter().next().map(entry))
            }
            Self::File(reader) => {
                let Some((row, mut faults)) = reader.next_row()? else {
                    return Ok(None);
                };
                let wanted = if faults.is_empty() {
                    read_row(&row, rules, &mut faults)
                } else {
                    WantedRow {
                        line: row.line,
                        ..WantedRow::default()
                    }
                };
                Ok(Some(Entry {
                    wanted,
                    faults,
                    record: keep.then(|| reader.record().clone()),
                }))
            }
        }
    }
}

/// Reads what a row wants, whatever is stored.
pub(super) fn read_row(row: &Row<'_>, rules: &Rules, faults: &mut Vec<RowFault>) -> WantedRow {
    let creator = row.required("creator", faults).map(str::to_owned);
    let minor = row.cell("amount").is_none() && row.cell("amount_cents").is_some();
    let amount_column = if minor { "amount_cents" } else { "amount" };
    let amount_cents = match row.amount(("amount", "amount_cents"), rules.currency) {
        Ok(None) => {
            faults.push(row.fault("amount", FaultKind::Missing, MUST_NOT_BE_EMPTY));
            None
        }
        Ok(amount) => amount,
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    let says_other = |code: &&str| !code.eq_ignore_ascii_case(rules.currency.as_str());
    if row.cell("currency").is_some_and(|code| says_other(&code)) {
        let reason = format!("this database pays in {}", rules.currency.upper());
        faults.push(row.fault("currency", FaultKind::Amount, reason));
    }
    WantedRow {
        line: row.line,
        creator,
        amount_cents,
        amount_column,
        amount_text: row.cell(amount_column).unwrap_or_default().to_owned(),
        statement: row.cell("statement").map(StatementId::new),
        reference: row.cell("reference").map(str::to_owned),
        was_read: true,
        statement_before: None,
    }
}

/// Gives a row without a name the one it has by its place, where that was asked for.
pub(super) fn name_it(wanted: &mut WantedRow, sha256: Option<&str>, rules: &Rules) {
    if let Some(sha256) = sha256
        && wanted.reference.is_none()
        && wanted.statement.is_none()
        && rules.no_references
    {
        wanted.reference = Some(format!("{sha256}:{}", wanted.line.unwrap_or_default()));
    }
}

/// The names that a file has used up.
pub(super) struct Names {
    seen: NamesSeen,
}

impl Names {
    pub(super) fn new(rows: &Rows<'_>, lines: u64) -> Self {
        let of_each = match rows {
            Rows::File(reader) => MAY_BE_USED_ONCE
                .iter()
                .filter(|column| reader.header().has(column))
                .count() as u64,
            Rows::One(_) | Rows::Done => 0,
        };
        Self {
            // More rows than that are refused, however many lines there are.
            seen: NamesSeen::with_room_for(lines.min(ROWS_MAX as u64).saturating_mul(of_each)),
        }
    }

    /// Sees to it that a row of a file has a name of its own: its reference, which no
    /// other row has, or its statement.
    pub(super) fn name_once(&mut self, entry: &mut Entry, sha256: Option<&str>, rules: &Rules) {
        let Entry { wanted, faults, .. } = entry;
        // An argument needs no name; a row that could not be read has told none.
        let (Some(_), Some(line)) = (sha256, wanted.line) else {
            return;
        };
        if !wanted.was_read {
            return;
        }
        if let Some(reference) = &wanted.reference {
            if let Some(first) = self.seen.line_of(&("reference", reference), line) {
                let reason = format!("line {first} has the same reference");
                faults.push(wanted.fault("reference", reference, FaultKind::Duplicate, reason));
            }
        } else if wanted.statement.is_none() && !rules.no_references {
            let reason = "a row without a statement needs a reference, unique to the payment";
            faults.push(wanted.fault("reference", "", FaultKind::Missing, reason));
        }
        if let Some(statement) = &wanted.statement {
            wanted.statement_before = self.seen.line_of(&("statement", statement.as_str()), line);
        }
        name_it(wanted, sha256, rules);
    }
}

/// The columns whose texts name one payment.
pub(super) const MAY_BE_USED_ONCE: [&str; 2] = ["reference", "statement"];
