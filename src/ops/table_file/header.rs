//! What the first record says of all others: which cell is which column, and what
//! stands between them.

use crate::ops::fault::{FaultKind, RowFault};
use crate::ops::table_file::faults::TOO_LONG;
use crate::ops::table_file::records::{Form, Lines, Record, SEPARATORS};
use crate::ops::table_file::{ALL_OTHERS, Columns, Dialect, ERROR_COLUMN, Header};

/// What stands between cells: that under which the most cells of the header are
/// columns, the comma when it is all the same.
pub(super) fn separator_of(start: &[u8], columns: Columns, dialect: &Dialect) -> u8 {
    let known_cells = |separator: u8| {
        let (mut lines, mut at) = (Lines::new(), 0);
        loop {
            let mut record = Record::new();
            let (read, complete) = record.take(&start[at..], separator, &mut lines);
            at += read;
            if !complete && !record.finish() {
                return 0;
            }
            if record.says_something() && !announces_separator(&record) {
                let names = record.cells().map(plain_name);
                return names
                    .filter(|name| column_of(name, columns, dialect).is_some())
                    .count();
            }
        }
    };
    let mut best = (SEPARATORS[0], known_cells(SEPARATORS[0]));
    for separator in &SEPARATORS[1..] {
        let known = known_cells(*separator);
        if known > best.1 {
            best = (*separator, known);
        }
    }
    best.0
}

/// A spreadsheet's own word on what separates cells, before the header: `sep=;`.
pub(super) fn announces_separator(record: &Record) -> bool {
    let raw = record.raw();
    let said = raw.strip_prefix("sep=").or(raw.strip_prefix("SEP="));
    matches!(said, Some("," | ";" | "\t" | ""))
}

/// How the names of columns are compared.
pub(super) fn plain_name(cell: &str) -> String {
    let cell = cell.trim();
    cell.strip_prefix('\'').unwrap_or(cell).to_lowercase()
}

/// The column that the header calls so.
pub(super) fn column_of(name: &str, columns: Columns, dialect: &Dialect) -> Option<&'static str> {
    let named = dialect
        .names
        .iter()
        .find(|(_, called)| plain_name(called) == name);
    let column = match named {
        Some((column, _)) => column.as_str(),
        None => name,
    };
    columns
        .known
        .iter()
        .find(|known| **known == column)
        .copied()
}

/// Which column each cell of the first record names.
pub(super) fn header_of(
    first: &Record,
    columns: Columns,
    dialect: &Dialect,
) -> Result<Header, Vec<RowFault>> {
    let line = Some(first.line());
    let mut faults = Vec::new();
    let mut refuse = |cell: &str, reason: String| {
        faults.push(RowFault::new(line, cell, cell, FaultKind::Header, reason));
    };
    match first.form_fault() {
        Some(Form::Quotes(reason)) => refuse("", reason.to_owned()),
        Some(Form::TooLong) => refuse("", TOO_LONG.to_owned()),
        None => {}
    }
    let mut names: Vec<String> = first.cells().map(|cell| cell.trim().to_owned()).collect();
    let cells = names.len();
    // A spreadsheet goes on to the last column that ever held something.
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    let ignores = |name: &str| {
        let mut ignored = dialect.ignored.iter();
        !name.is_empty() && ignored.any(|text| text == ALL_OTHERS || plain_name(text) == name)
    };
    let listed: Vec<&str> = columns
        .known
        .iter()
        .copied()
        .filter(|name| *name != ERROR_COLUMN)
        .collect();
    let mut found: Vec<&'static str> = Vec::new();
    for shown in &names {
        let name = plain_name(shown);
        let explicitly = dialect
            .ignored
            .iter()
            .any(|text| text != ALL_OTHERS && plain_name(text) == name);
        match column_of(&name, columns, dialect).filter(|_| !explicitly) {
            Some(known) if found.contains(&known) => {
                refuse(shown, "this column is there twice".to_owned());
            }
            Some(known) => found.push(known),
            None if ignores(&name) => found.push(""),
            None if name.is_empty() => {
                refuse(shown, "a column without a name".to_owned());
            }
            None => refuse(
                shown,
                format!("unknown column; known are {}", listed.join(", ")),
            ),
        }
    }
    let is_there = |asked: &str| {
        names
            .iter()
            .any(|name| plain_name(name) == plain_name(asked))
    };
    for (column, called) in &dialect.names {
        if !is_there(called) {
            let reason = format!("the file has no column of this name, which is to be {column}");
            refuse(called, reason);
        }
    }
    for ignored in dialect.ignored.iter().filter(|name| *name != ALL_OTHERS) {
        if !is_there(ignored) {
            refuse(ignored, "the file has no column of this name".to_owned());
        }
    }
    if faults.is_empty() {
        for group in columns.required {
            if !group.iter().any(|name| found.contains(name)) {
                let reason = format!("the file has no column {}", group.join(" or "));
                faults.push(RowFault::new(line, group[0], "", FaultKind::Header, reason));
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let defused = found.contains(&ERROR_COLUMN);
    // Nobody asks for it, and what it says is nobody's id.
    for column in found.iter_mut().filter(|name| **name == ERROR_COLUMN) {
        *column = "";
    }
    Ok(Header {
        line: first.line(),
        columns: found,
        names,
        cells,
        separator: b',',
        marked: false,
        defused,
        decimal: dialect.decimal,
    })
}
