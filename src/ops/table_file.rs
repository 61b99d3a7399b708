//! Files of rows: the one CSV reader behind every import.
//!
//! A file is read exactly or refused with the place where it cannot be: nothing
//! is guessed, and no row is ever dropped. Lines are counted as an editor shows
//! them. A caller may rely on this: a cell it is handed is one line of UTF-8
//! text without control characters, trimmed, at most [`CELL_CHARS_MAX`] long.

use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::model::history::hex;
use crate::model::money::{self, AmountError, Currency};
use crate::ops::fault::{FaultKind, RowFault};

/// The largest file that is read, in bytes: about four million rows.
pub const FILE_BYTES_MAX: u64 = 256 << 20;

/// The most rows one file may have. New ids sort as made for somewhat more.
pub const ROWS_MAX: usize = 1_000_000;

/// The longest cell, in characters: what Stripe keeps of a metadata value, which
/// ids and references become.
pub const CELL_CHARS_MAX: usize = 500;

/// What is said of a cell that must say something and does not.
pub const MUST_NOT_BE_EMPTY: &str = "must not be empty";

/// Why a file could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system's reason.
    #[error("failed to read {name}")]
    Unreadable {
        /// The file's path, or `stdin`.
        name: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// More than [`FILE_BYTES_MAX`].
    #[error("{name} is larger than {} MiB; split it", FILE_BYTES_MAX >> 20)]
    TooLarge {
        /// The file's path, or `stdin`.
        name: String,
    },
}

/// A file in memory.
#[derive(Debug, Clone)]
pub struct TableFile {
    name: String,
    bytes: Vec<u8>,
}

/// The columns a kind of file may have.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    /// Every known name, in lower case.
    pub known: &'static [&'static str],
    /// Of each group one must be there.
    pub required: &'static [&'static [&'static str]],
}

/// What was read: the rows that have the right form, and what is wrong with the
/// others.
#[derive(Debug)]
pub struct TableRows<T> {
    /// In the file's order.
    pub rows: Vec<T>,
    /// In the file's order.
    pub faults: Vec<RowFault>,
}

/// One row, its cells reached by their column's name.
#[derive(Debug)]
pub struct Row<'r> {
    /// The line it begins on; none when it was given as arguments.
    pub line: Option<u64>,
    record: &'r csv::StringRecord,
    /// What each cell is called.
    header: &'r [&'static str],
}

impl<'r> Row<'r> {
    /// The trimmed text under a column; none when there is no such column or
    /// nothing in it.
    pub fn cell(&self, column: &str) -> Option<&'r str> {
        let place = self.header.iter().position(|name| *name == column)?;
        self.record
            .get(place)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    /// Something wrong with the cell under a column.
    pub fn fault(&self, column: &str, kind: FaultKind, reason: impl Into<String>) -> RowFault {
        RowFault::new(
            self.line,
            column,
            self.cell(column).unwrap_or_default(),
            kind,
            reason,
        )
    }

    /// The text under a column that must not be empty.
    pub fn required(&self, column: &str, faults: &mut Vec<RowFault>) -> Option<&'r str> {
        let cell = self.cell(column);
        if cell.is_none() {
            faults.push(self.fault(column, FaultKind::Missing, MUST_NOT_BE_EMPTY));
        }
        cell
    }

    /// The amount, in minor units, under whichever of two columns says one: the
    /// first in major units, the second in minor ones.
    pub fn amount(
        &self,
        columns: (&'static str, &'static str),
        currency: Currency,
    ) -> Result<Option<i32>, RowFault> {
        self.read_amount(columns, currency, Err)
    }

    /// The same, where nothing at all is an amount too.
    pub fn amount_or_zero(
        &self,
        columns: (&'static str, &'static str),
        currency: Currency,
    ) -> Result<Option<i32>, RowFault> {
        self.read_amount(columns, currency, |error| match error {
            AmountError::Zero => Ok(0),
            other => Err(other),
        })
    }

    fn read_amount(
        &self,
        (major, minor): (&'static str, &'static str),
        currency: Currency,
        recover: impl FnOnce(AmountError) -> Result<i32, AmountError>,
    ) -> Result<Option<i32>, RowFault> {
        let (column, read) = match (self.cell(major), self.cell(minor)) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                let reason = format!("there is something under {minor} too; give one of them");
                return Err(self.fault(major, FaultKind::Amount, reason));
            }
            (Some(text), None) => (major, money::parse_major(text, currency)),
            (None, Some(text)) => (minor, money::parse_minor(text, currency)),
        };
        let amount = read.or_else(recover);
        amount
            .map(Some)
            .map_err(|error| self.fault(column, FaultKind::Amount, error.to_string()))
    }
}

/// Arguments that make up one row: their columns' names and, where they were
/// given, what they say.
pub type Arguments<'a> = [(&'static str, Option<&'a str>)];

/// Hands arguments to `read` as the one row they make up, under the same rules
/// as a row of a file.
pub fn one_row<T>(
    arguments: &Arguments<'_>,
    read: impl FnOnce(&Row<'_>, &mut Vec<RowFault>) -> T,
) -> TableRows<T> {
    let given = || {
        arguments
            .iter()
            .filter_map(|(name, text)| Some((*name, (*text)?)))
    };
    let header: Vec<&'static str> = given().map(|(name, _)| name).collect();
    let record: csv::StringRecord = given().map(|(_, text)| text).collect();
    let row = Row {
        line: None,
        record: &record,
        header: &header,
    };
    let mut faults = text_faults(&row);
    let rows = vec![read(&row, &mut faults)];
    // Nobody gives an argument to say nothing: more likely a script lost its value.
    for name in header.iter().filter(|name| row.cell(name).is_none()) {
        let fault = row.fault(name, FaultKind::Missing, MUST_NOT_BE_EMPTY);
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    TableRows { rows, faults }
}

impl TableFile {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let name = path.display().to_string();
        match std::fs::File::open(path) {
            Ok(file) => Self::read(name, file),
            Err(source) => Err(FileError::Unreadable { name, source }),
        }
    }

    /// Reads whatever `from` holds, to its end.
    pub fn read(name: impl Into<String>, from: impl Read) -> Result<Self, FileError> {
        let name = name.into();
        let mut bytes = Vec::new();
        match from.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes) {
            Err(source) => Err(FileError::Unreadable { name, source }),
            Ok(_) if bytes.len() as u64 > FILE_BYTES_MAX => Err(FileError::TooLarge { name }),
            Ok(_) => Ok(Self { name, bytes }),
        }
    }

    /// Its path, or `stdin`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of its bytes, in lowercase hex.
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.bytes))
    }

    /// Hands each row of the right form to `read`, which may add faults of its own.
    pub fn rows<T>(
        &self,
        columns: Columns,
        mut read: impl FnMut(&Row<'_>, &mut Vec<RowFault>) -> T,
    ) -> TableRows<T> {
        let mut table = TableRows {
            rows: Vec::new(),
            faults: encoding_faults(&self.bytes),
        };
        // Cells of a file in another encoding say nothing worth reporting.
        if !table.faults.is_empty() {
            return table;
        }
        let mut records = Records::new(&self.bytes);
        let header = match records.next_record() {
            Some(first) => header_of(&first, columns),
            None => Err(vec![RowFault::new(
                Some(1),
                "",
                "",
                FaultKind::Header,
                "the file is empty",
            )]),
        };
        let header = match header {
            Ok(header) => header,
            Err(faults) => {
                return TableRows {
                    rows: Vec::new(),
                    faults,
                };
            }
        };
        while let Some(found) = records.next_record() {
            if table.rows.len() >= ROWS_MAX {
                let reason = format!("a file may have {ROWS_MAX} rows; split it");
                table.faults.push(RowFault::new(
                    Some(found.line),
                    "",
                    "",
                    FaultKind::Cells,
                    reason,
                ));
                return table;
            }
            let faults = form_faults(&found, &header);
            if faults.is_empty() {
                let row = found.row(&header);
                table.rows.push(read(&row, &mut table.faults));
            } else {
                table.faults.extend(faults);
            }
        }
        table
    }
}

/// One record as it lies in the file.
struct Found<'r> {
    line: u64,
    raw: &'r [u8],
    record: &'r csv::StringRecord,
}

impl Found<'_> {
    fn row<'a>(&'a self, header: &'a [&'static str]) -> Row<'a> {
        Row {
            line: Some(self.line),
            record: self.record,
            header,
        }
    }
}

/// The records of a file that is valid UTF-8, without blank lines.
struct Records<'b> {
    bytes: &'b [u8],
    reader: csv::Reader<&'b [u8]>,
    record: csv::StringRecord,
    /// How far lines were counted, and the line that begins or goes on there.
    counted: usize,
    line: u64,
}

impl<'b> Records<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(bytes);
        Self {
            bytes,
            reader,
            record: csv::StringRecord::new(),
            counted: 0,
            line: 1,
        }
    }

    /// The next record in which any cell says something. The position the reader
    /// gives lies before the line breaks it skips, hence the counting here.
    fn next_record(&mut self) -> Option<Found<'_>> {
        loop {
            let from = self.offset();
            // Nothing can fail: the bytes are in memory and valid UTF-8, rows may differ in length.
            if !self.reader.read_record(&mut self.record).unwrap_or(false) {
                return None;
            }
            let raw = &self.bytes[from..self.offset()];
            let skipped = raw
                .iter()
                .take_while(|b| matches!(b, b'\r' | b'\n'))
                .count();
            self.count_lines_to(from + skipped);
            if self.record.iter().any(|cell| !cell.trim().is_empty()) {
                return Some(Found {
                    line: self.line,
                    raw: &raw[skipped..],
                    record: &self.record,
                });
            }
        }
    }

    fn offset(&self) -> usize {
        usize::try_from(self.reader.position().byte())
            .unwrap_or(usize::MAX)
            .min(self.bytes.len())
    }

    fn count_lines_to(&mut self, to: usize) {
        self.line += line_breaks(self.bytes, self.counted, to);
        self.counted = to;
    }
}

/// Line breaks that end in `bytes[from..to]`: `\n`, `\r\n`, and `\r` alone.
fn line_breaks(bytes: &[u8], from: usize, to: usize) -> u64 {
    let ends = (from..to).filter(|at| match bytes[*at] {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    });
    ends.count() as u64
}

/// The first bytes of each line that are not UTF-8.
fn encoding_faults(bytes: &[u8]) -> Vec<RowFault> {
    let fault = |line, reason| RowFault::new(Some(line), "", "", FaultKind::Encoding, reason);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return vec![fault(
            1,
            "the file is UTF-16; save it as CSV UTF-8".to_owned(),
        )];
    }
    let mut faults: Vec<RowFault> = Vec::new();
    let (mut at, mut line, mut line_start) = (0, 1, 0);
    for chunk in bytes.utf8_chunks() {
        let bad = at + chunk.valid().len();
        line += line_breaks(bytes, at, bad);
        if let Some(last) = (at..bad).rfind(|i| matches!(bytes[*i], b'\n' | b'\r')) {
            line_start = last + 1;
        }
        at = bad + chunk.invalid().len();
        let Some(first) = chunk.invalid().first() else {
            break;
        };
        if faults.last().is_none_or(|f| f.line != Some(line)) {
            let column = bad - line_start + 1;
            faults.push(fault(
                line,
                format!("byte {column} of the line ({first:#04X}) is not UTF-8; save the file as CSV UTF-8"),
            ));
        }
    }
    faults
}

/// Which column each cell of the first record names.
fn header_of(first: &Found<'_>, columns: Columns) -> Result<Vec<&'static str>, Vec<RowFault>> {
    let mut faults = Vec::new();
    let mut header: Vec<&'static str> = Vec::new();
    let mut refuse = |cell: &str, reason: String| {
        faults.push(RowFault::new(
            Some(first.line),
            cell,
            cell,
            FaultKind::Header,
            reason,
        ));
    };
    if let Some(reason) = quoting_fault(first.raw) {
        refuse("", reason.to_owned());
    }
    for cell in first.record {
        let name = cell.trim().to_lowercase();
        let shown = cell.trim();
        match columns.known.iter().find(|known| **known == name) {
            Some(known) if header.contains(known) => {
                refuse(shown, "this column is there twice".to_owned());
            }
            Some(known) => header.push(known),
            None if first.record.len() == 1 && shown.contains([';', '\t']) => {
                refuse(shown, "cells must be separated by commas".to_owned());
            }
            None => refuse(
                shown,
                format!("unknown column; known are {}", columns.known.join(", ")),
            ),
        }
    }
    if faults.is_empty() {
        for group in columns.required {
            if !group.iter().any(|name| header.contains(name)) {
                let reason = format!("the file has no column {}", group.join(" or "));
                faults.push(RowFault::new(
                    Some(first.line),
                    group[0],
                    "",
                    FaultKind::Header,
                    reason,
                ));
            }
        }
    }
    if faults.is_empty() {
        Ok(header)
    } else {
        Err(faults)
    }
}

/// What is wrong with a record before anybody asks what it means.
fn form_faults(found: &Found<'_>, header: &[&'static str]) -> Vec<RowFault> {
    let line = Some(found.line);
    if let Some(reason) = quoting_fault(found.raw) {
        let value = String::from_utf8_lossy(found.raw);
        return vec![RowFault::new(
            line,
            "",
            value.trim_end(),
            FaultKind::Quotes,
            reason,
        )];
    }
    if found.record.len() != header.len() {
        let reason = format!(
            "{} cells, but the header has {}",
            found.record.len(),
            header.len()
        );
        let value = String::from_utf8_lossy(found.raw);
        return vec![RowFault::new(
            line,
            "",
            value.trim_end(),
            FaultKind::Cells,
            reason,
        )];
    }
    text_faults(&found.row(header))
}

/// What makes the cells of a row unfit to be ids, names or references.
fn text_faults(row: &Row<'_>) -> Vec<RowFault> {
    let cells = row
        .header
        .iter()
        .filter_map(|name| Some((*name, row.cell(name)?)));
    cells
        .filter_map(|(name, text)| Some(row.fault(name, FaultKind::Text, text_fault(text)?)))
        .collect()
}

fn text_fault(text: &str) -> Option<String> {
    if text.contains(['\n', '\r']) {
        Some("a line break has no place in a cell".to_owned())
    } else if text.contains(char::is_control) {
        Some("a control character has no place in a cell".to_owned())
    } else if text.chars().count() > CELL_CHARS_MAX {
        Some(format!("longer than {CELL_CHARS_MAX} characters"))
    } else {
        None
    }
}

/// What RFC 4180 forbids about the quotes of one record; the reader lets it pass
/// and would read something else than what was meant.
fn quoting_fault(raw: &[u8]) -> Option<&'static str> {
    enum At {
        CellStart,
        Plain,
        Quoted,
        /// After a quote within quotes: it closes the cell, or is half of a doubled one.
        Quote,
    }
    let mut at = At::CellStart;
    for byte in raw {
        at = match (at, byte) {
            (At::CellStart | At::Quote, b'"') => At::Quoted,
            (At::Plain, b'"') => {
                return Some(
                    "a quote in a cell without quotes; put the cell in quotes and double the quote",
                );
            }
            (At::Quoted, b'"') => At::Quote,
            (At::Quoted, _) => At::Quoted,
            (_, b',' | b'\r' | b'\n') => At::CellStart,
            (At::Quote, _) => return Some("text after the quote that closes a cell"),
            (At::CellStart | At::Plain, _) => At::Plain,
        };
    }
    matches!(at, At::Quoted).then_some("a quote is opened and never closed")
}
