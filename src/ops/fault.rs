//! What is wrong with one row of a file or one argument, told so that it can be
//! found and put right.

use crate::model::text_enum;

text_enum! {
    /// What kind of fault it is: what scripts act on and what is counted.
    pub enum FaultKind {
        /// Bytes that are not UTF-8.
        Encoding = "encoding",
        /// A column that is missing, unknown or named twice.
        Header = "header",
        /// More or fewer cells than the header has.
        Cells = "cells",
        /// A quote that is not closed, or stands where none may.
        Quotes = "quotes",
        /// A cell that must say something is empty.
        Missing = "missing",
        /// A text that does not have the form it must have.
        Text = "text",
        /// Not an amount.
        Amount = "amount",
        /// Outside the limits for one payout.
        Limit = "limit",
        /// No creator goes by this name.
        UnknownCreator = "unknown_creator",
        /// Several creators go by this name.
        AmbiguousCreator = "ambiguous_creator",
        /// The creator is deleted.
        DeletedCreator = "deleted_creator",
        /// Another row of the same file says the same.
        Duplicate = "duplicate",
        /// Something else is stored under this name.
        Differs = "differs",
        /// The statement does not exist, or may not be paid this way.
        Statement = "statement",
        /// Less than what is left of a statement, and nobody said that this is meant.
        Partial = "partial",
        /// The royalty run does not fit.
        RoyaltyRun = "royalty_run",
    }
}

impl FaultKind {
    /// The same in words.
    pub fn in_words(self) -> String {
        self.as_str().replace('_', " ")
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// The line an editor shows, counted from 1; none for an argument.
    pub line: Option<u64>,
    /// The column's name, or the argument's.
    pub column: String,
    /// What stands there, at most [`VALUE_CHARS_MAX`] characters of it.
    pub value: String,
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What is wrong, in words.
    pub reason: String,
}

/// Characters of a faulty value that are kept: a quote that is never closed can
/// make one cell of a whole file.
pub const VALUE_CHARS_MAX: usize = 200;

impl RowFault {
    /// A fault of the cell in `column` on `line`.
    pub fn new(
        line: Option<u64>,
        column: &str,
        value: &str,
        kind: FaultKind,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            line,
            column: column.to_owned(),
            value: value.chars().take(VALUE_CHARS_MAX).collect(),
            kind,
            reason: reason.into(),
        }
    }
}

/// Faults that are kept one by one; the others are counted.
pub const FAULTS_KEPT: usize = 10_000;

/// All faults of a file: counted, and the first of them kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// The first [`FAULTS_KEPT`], in the file's order.
    pub first: Vec<RowFault>,
    /// How many there are.
    pub count: usize,
    /// Rows that have any.
    pub rows: usize,
    /// Something is wrong with all of the file: its encoding or its header.
    pub whole_file: bool,
    /// Amounts with a comma where a point is the decimal mark.
    pub decimal_commas: usize,
    by_kind: [usize; FaultKind::ALL.len()],
    /// In which columns a cell that must say something is empty.
    missing: Vec<String>,
}

impl Faults {
    /// Counts what is wrong with one row.
    pub fn add_row(&mut self, faults: Vec<RowFault>) {
        if faults.is_empty() {
            return;
        }
        self.rows += 1;
        self.count += faults.len();
        for fault in faults {
            if let Some(place) = FaultKind::ALL.iter().position(|kind| *kind == fault.kind) {
                self.by_kind[place] += 1;
            }
            match fault.kind {
                FaultKind::Encoding | FaultKind::Header => self.whole_file = true,
                FaultKind::Amount if fault.value.contains(',') => self.decimal_commas += 1,
                FaultKind::Missing if !self.missing.contains(&fault.column) => {
                    self.missing.push(fault.column.clone());
                }
                _ => {}
            }
            if self.first.len() < FAULTS_KEPT {
                self.first.push(fault);
            }
        }
    }

    /// Of these, each of which is of a row of its own or of none.
    pub fn of(faults: Vec<RowFault>) -> Self {
        let rows = rows_at_fault(&faults);
        let mut all = Self::default();
        all.add_row(faults);
        Self { rows, ..all }
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether there are any of a kind; of what is missing, in this column.
    pub fn any(&self, kind: FaultKind, column: &str) -> bool {
        if kind == FaultKind::Missing {
            return self.missing.iter().any(|missing| missing == column);
        }
        let mut counts = FaultKind::ALL.iter().zip(self.by_kind);
        counts.any(|(this, count)| *this == kind && count > 0)
    }

    /// How often each kind occurs, most frequent first.
    pub fn by_kind(&self) -> Vec<(FaultKind, usize)> {
        let counts = FaultKind::ALL.iter().copied().zip(self.by_kind);
        most_frequent_first(counts)
    }
}

fn most_frequent_first(
    counts: impl Iterator<Item = (FaultKind, usize)>,
) -> Vec<(FaultKind, usize)> {
    let mut counts: Vec<(FaultKind, usize)> = counts.filter(|(_, count)| *count > 0).collect();
    // Stable: kinds that occur equally often stay in their declared order.
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// How often each kind occurs, most frequent first.
pub fn count_by_kind(faults: &[RowFault]) -> Vec<(FaultKind, usize)> {
    let of = |kind: FaultKind| faults.iter().filter(|fault| fault.kind == kind).count();
    most_frequent_first(FaultKind::ALL.iter().map(|kind| (*kind, of(*kind))))
}

/// How many rows (lines, or the arguments of one payout) the faults lie in.
pub fn rows_at_fault(faults: &[RowFault]) -> usize {
    let lines: std::collections::HashSet<Option<u64>> = faults.iter().map(|f| f.line).collect();
    lines.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_rows_are_counted() {
        let fault = |line, kind| RowFault::new(Some(line), "c", "v", kind, "r");
        let faults = [
            fault(2, FaultKind::Limit),
            fault(2, FaultKind::UnknownCreator),
            fault(5, FaultKind::UnknownCreator),
        ];
        let counts = count_by_kind(&faults);
        assert_eq!(
            counts,
            [(FaultKind::UnknownCreator, 2), (FaultKind::Limit, 1)]
        );
        assert_eq!(rows_at_fault(&faults), 2);
        assert_eq!(FaultKind::UnknownCreator.in_words(), "unknown creator");
        let long = RowFault::new(None, "c", &"é".repeat(999), FaultKind::Text, "r");
        assert_eq!(long.value.chars().count(), VALUE_CHARS_MAX);
    }
}
