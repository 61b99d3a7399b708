//! Files of rows: the one CSV reader behind every import.
//!
//! A file is read exactly or refused with the place where it cannot be: nothing
//! is guessed, and no row is ever dropped. Lines are counted as an editor shows
//! them. A caller may rely on this: a cell it is handed is one line of text without
//! control characters, trimmed, at most [`CELL_CHARS_MAX`] long.
//!
//! What spreadsheets do of themselves is recognised: a byte-order mark, UTF-16,
//! semicolons or tabs, any line breaks, empty lines and cells at the end. What only
//! a person can know is asked for, see [`Dialect`].
//!
//! ```text
//! text      bytes → UTF-8, piece by piece; SHA-256 on the way
//! records   text → records and their cells
//! header    which cell is which column
//! faults    what no cell and no record may say
//! here      a row, its cells by the names of their columns
//! ```

mod faults;
mod header;
mod records;
mod text;

use std::io::Read;
use std::path::Path;

use crate::model::money::{self, AmountError, Currency, DecimalMark};
use crate::ops::fault::{FaultKind, RowFault};
use crate::ops::table_file::faults::{form_faults, text_faults};
use crate::ops::table_file::header::{announces_separator, header_of, separator_of};
use crate::ops::table_file::records::Lines;
use crate::ops::table_file::text::{Content, Survey, Text, unreadable};

pub use records::Record;
pub use text::Encoding;

/// The largest file that is imported, in bytes: about four million rows.
pub const FILE_BYTES_MAX: u64 = 256 << 20;

/// The most rows a file may have that is imported. New ids sort as made for somewhat more.
pub const ROWS_MAX: usize = 1_500_000;

/// How much is read of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Its bytes; what cannot be read twice is copied to a temporary file.
    pub bytes: u64,
    /// Its rows.
    pub rows: usize,
}

impl Limits {
    /// Of a file whose rows become rows of the database.
    pub const IMPORT: Self = Self {
        bytes: FILE_BYTES_MAX,
        rows: ROWS_MAX,
    };
}

/// The longest cell, in characters: what Stripe keeps of a metadata value, which
/// ids and references become.
pub const CELL_CHARS_MAX: usize = 500;

/// The column that a file of bad rows says their faults in. It is read past where a
/// kind of file knows it, and a quote in front of a cell beside it is taken off
/// again: see [`crate::ops::error_file`].
pub const ERROR_COLUMN: &str = "error";

/// What is said of a cell that must say something and does not.
pub const MUST_NOT_BE_EMPTY: &str = "must not be empty";

/// What [`Dialect::ignored`] says of every column that is not known.
pub const ALL_OTHERS: &str = "*";

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
    /// More bytes than its [`Limits`] say.
    #[error("{name} is larger than {} MiB; split it", bytes_max >> 20)]
    TooLarge {
        /// The file's path, or `stdin`.
        name: String,
        /// What it may have.
        bytes_max: u64,
    },
    /// More rows than its [`Limits`] say.
    #[error("{name} has more than {rows_max} rows; split it")]
    TooManyRows {
        /// The file's path, or `stdin`.
        name: String,
        /// What it may have.
        rows_max: usize,
    },
    /// Somebody wrote to it between two readings.
    #[error("{name} was changed while it was read")]
    Changed {
        /// The file's path.
        name: String,
    },
}

/// What a person says about how a file is written.
#[derive(Debug, Clone, Default)]
pub struct Dialect {
    /// How its bytes stand for characters; none: as its first bytes say, else UTF-8.
    pub encoding: Option<Encoding>,
    /// Columns, and what the header calls them.
    pub names: Vec<(String, String)>,
    /// Columns of the header that are read past; [`ALL_OTHERS`] for all that are not known.
    pub ignored: Vec<String>,
    /// What stands before the decimals of an amount.
    pub decimal: DecimalMark,
}

/// A file that can be read again and again, and says the same each time.
#[derive(Debug)]
pub struct TableFile {
    name: String,
    content: Content,
    survey: Survey,
    dialect: Dialect,
    rows_max: usize,
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

/// What the first record says of all others.
#[derive(Debug, Clone)]
pub struct Header {
    /// The line it stands on; 0 for arguments.
    pub line: u64,
    /// The column of each cell; an empty name for one that is read past.
    columns: Vec<&'static str>,
    /// What the file calls them.
    pub names: Vec<String>,
    /// How many cells it has, those without a name at its end among them.
    cells: usize,
    /// What stands between cells.
    pub separator: u8,
    /// A byte-order mark stands in front of the file, or it is not UTF-8.
    pub marked: bool,
    /// It is a file of bad rows: formulas in it were made harmless.
    defused: bool,
    decimal: DecimalMark,
}

impl Header {
    /// Whether there is such a column.
    pub fn has(&self, column: &str) -> bool {
        self.columns.contains(&column)
    }

    /// What the file calls a column that it has.
    pub fn name_of(&self, column: &str) -> Option<&str> {
        let place = self.columns.iter().position(|name| *name == column)?;
        self.names.get(place).map(String::as_str)
    }

    /// What the file calls the columns that are not read.
    pub fn ignored(&self) -> impl Iterator<Item = &str> {
        let names = self.names.iter().zip(&self.columns);
        names
            .filter(|(_, column)| column.is_empty())
            .map(|(name, _)| name.as_str())
    }
}

/// One row, its cells reached by their column's name.
#[derive(Debug)]
pub struct Row<'r> {
    /// The line it begins on; none when it was given as arguments.
    pub line: Option<u64>,
    record: &'r Record,
    header: &'r Header,
}

impl<'r> Row<'r> {
    /// The trimmed text under a column; none when there is no such column or
    /// nothing in it.
    pub fn cell(&self, column: &str) -> Option<&'r str> {
        let place = self
            .header
            .columns
            .iter()
            .position(|name| *name == column)?;
        let text = self.record.cell(place)?.trim();
        let text = if self.header.defused {
            armed(text)
        } else {
            text
        };
        (!text.is_empty()).then_some(text)
    }

    /// What stands before the decimals of an amount.
    pub fn decimal(&self) -> DecimalMark {
        self.header.decimal
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
            (Some(text), None) => (
                major,
                money::parse_major_with(text, currency, self.header.decimal),
            ),
            (None, Some(text)) => (minor, money::parse_minor(text, currency)),
        };
        let amount = read.or_else(recover);
        amount
            .map(Some)
            .map_err(|error| self.fault(column, FaultKind::Amount, error.to_string()))
    }
}

/// Takes off the quote that keeps a spreadsheet from running a cell.
fn armed(text: &str) -> &str {
    match text.strip_prefix('\'') {
        // As it is written: behind spaces too.
        Some(rest) if rest.trim_start().starts_with(needs_defusing) => rest.trim(),
        _ => text,
    }
}

/// Whether a cell that begins so gets a quote in front in a file of bad rows: what
/// a spreadsheet would run, and the quote itself, so that it can be taken off again.
pub(super) fn needs_defusing(first: char) -> bool {
    matches!(
        first,
        '=' | '+'
            | '-'
            | '@'
            | '\''
            | '\t'
            | '\r'
            | '\n'
            | '\u{ff1d}'
            | '\u{ff0b}'
            | '\u{ff0d}'
            | '\u{ff20}'
    )
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
    let record = Record::of(given().map(|(_, text)| text));
    let header = Header {
        line: 0,
        columns: given().map(|(name, _)| name).collect(),
        names: Vec::new(),
        cells: record.len(),
        separator: b',',
        marked: false,
        defused: false,
        decimal: DecimalMark::default(),
    };
    let row = Row {
        line: None,
        record: &record,
        header: &header,
    };
    let mut faults = text_faults(&row);
    let rows = vec![read(&row, &mut faults)];
    // Nobody gives an argument to say nothing: more likely a script lost its value.
    for name in header
        .columns
        .iter()
        .filter(|name| row.cell(name).is_none())
    {
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
        Self::open_as(path, Dialect::default())
    }

    /// Reads a file of which somebody says how it is written.
    pub fn open_as(path: &Path, dialect: Dialect) -> Result<Self, FileError> {
        Self::open_within(path, dialect, Limits::IMPORT)
    }

    /// The same of one that may be of another size.
    pub fn open_within(path: &Path, dialect: Dialect, limits: Limits) -> Result<Self, FileError> {
        let content = Content::open(path, limits.bytes);
        Self::surveyed(path.display().to_string(), content, dialect, limits)
    }

    /// Reads whatever `from` holds, to its end.
    pub fn read(name: impl Into<String>, from: impl Read) -> Result<Self, FileError> {
        Self::read_as(name, from, Dialect::default())
    }

    /// The same of what somebody says how it is written.
    pub fn read_as(
        name: impl Into<String>,
        from: impl Read,
        dialect: Dialect,
    ) -> Result<Self, FileError> {
        Self::read_within(name, from, dialect, Limits::IMPORT)
    }

    /// The same of what may be of another size.
    pub fn read_within(
        name: impl Into<String>,
        from: impl Read,
        dialect: Dialect,
        limits: Limits,
    ) -> Result<Self, FileError> {
        let content = Content::copy(from, limits.bytes);
        Self::surveyed(name.into(), content, dialect, limits)
    }

    fn surveyed(
        name: String,
        content: std::io::Result<Option<Content>>,
        dialect: Dialect,
        limits: Limits,
    ) -> Result<Self, FileError> {
        match content.map_err(|source| unreadable(&name, source))? {
            None => Err(FileError::TooLarge {
                name,
                bytes_max: limits.bytes,
            }),
            Some(content) => {
                let survey = Survey::of(&content, dialect.encoding)
                    .map_err(|source| unreadable(&name, source))?;
                Ok(Self {
                    name,
                    content,
                    survey,
                    dialect,
                    rows_max: limits.rows,
                })
            }
        }
    }

    /// Its path, or `stdin`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of its bytes, in lowercase hex.
    pub fn sha256(&self) -> &str {
        &self.survey.sha256
    }

    /// Its lines: never fewer than it has rows.
    pub fn lines(&self) -> u64 {
        self.survey.lines
    }

    /// What somebody said about how it is written.
    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Begins to read its rows.
    pub fn reader(&self, columns: Columns) -> Result<RowReader<'_>, Refused> {
        self.reader_by(columns, &self.dialect)
    }

    /// The same of a file that somebody else's software wrote: columns that are not
    /// known are read past, whether or not anybody says so.
    pub fn reader_past_others(&self, columns: Columns) -> Result<RowReader<'_>, Refused> {
        let mut dialect = self.dialect.clone();
        dialect.ignored.push(ALL_OTHERS.to_owned());
        self.reader_by(columns, &dialect)
    }

    fn reader_by(&self, columns: Columns, dialect: &Dialect) -> Result<RowReader<'_>, Refused> {
        // Cells of a file in another encoding say nothing worth reporting.
        if !self.survey.faults.is_empty() {
            return Err(Refused::Faults(self.survey.faults.clone()));
        }
        RowReader::new(self, columns, dialect)
    }

    /// Hands each row of the right form to `read`, which may add faults of its own.
    pub fn rows<T>(
        &self,
        columns: Columns,
        mut read: impl FnMut(&Row<'_>, &mut Vec<RowFault>) -> T,
    ) -> Result<TableRows<T>, FileError> {
        let mut table = TableRows {
            rows: Vec::new(),
            faults: Vec::new(),
        };
        let mut reader = match self.reader(columns) {
            Ok(reader) => reader,
            Err(Refused::File(error)) => return Err(error),
            Err(Refused::Faults(faults)) => {
                table.faults = faults;
                return Ok(table);
            }
        };
        while let Some((row, faults)) = reader.next_row()? {
            if faults.is_empty() {
                table.rows.push(read(&row, &mut table.faults));
            } else {
                table.faults.extend(faults);
            }
        }
        Ok(table)
    }
}

/// Why not even the first row can be read.
#[derive(Debug)]
pub enum Refused {
    /// The system's reason.
    File(FileError),
    /// What is wrong with the file: its encoding, its header.
    Faults(Vec<RowFault>),
}

/// The rows of a file, one after the other.
#[derive(Debug)]
pub struct RowReader<'f> {
    file: &'f TableFile,
    records: Records<'f>,
    header: Header,
    rows: usize,
}

impl<'f> RowReader<'f> {
    fn new(file: &'f TableFile, columns: Columns, dialect: &Dialect) -> Result<Self, Refused> {
        let mut records = Records {
            text: Text::new(&file.content, file.survey.encoding),
            piece: Vec::new(),
            at: 0,
            lines: Lines::new(),
            record: Record::new(),
            separator: b',',
        };
        let failed = |source| Refused::File(unreadable(&file.name, source));
        records.fill().map_err(failed)?;
        records.separator = separator_of(records.rest(), columns, dialect);
        let mut found = records.next_record().map_err(failed)?;
        if found && announces_separator(&records.record) {
            found = records.next_record().map_err(failed)?;
        }
        if !found {
            return Err(Refused::Faults(vec![RowFault::new(
                Some(1),
                "",
                "",
                FaultKind::Header,
                "the file is empty",
            )]));
        }
        let mut header = header_of(&records.record, columns, dialect).map_err(Refused::Faults)?;
        header.separator = records.separator;
        header.marked = file.survey.marked;
        Ok(Self {
            file,
            records,
            header,
            rows: 0,
        })
    }

    /// What the first record says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next row in which any cell says something, and what is wrong with its form.
    ///
    /// # Errors
    /// Also, at the end, that it was not the same file as before.
    pub fn next_row(&mut self) -> Result<Option<(Row<'_>, Vec<RowFault>)>, FileError> {
        let name = &self.file.name;
        let found = self.records.next_record();
        if !found.map_err(|source| unreadable(name, source))? {
            let unchanged = self.records.text.sha256() == self.file.survey.sha256;
            return if unchanged {
                Ok(None)
            } else {
                Err(FileError::Changed { name: name.clone() })
            };
        }
        if self.rows >= self.file.rows_max {
            return Err(FileError::TooManyRows {
                name: name.clone(),
                rows_max: self.file.rows_max,
            });
        }
        self.rows += 1;
        let row = Row {
            line: Some(self.records.record.line()),
            record: &self.records.record,
            header: &self.header,
        };
        let faults = form_faults(&row);
        Ok(Some((row, faults)))
    }

    /// The record of the row that was read last.
    pub fn record(&self) -> &Record {
        &self.records.record
    }
}

/// The records of a text, without blank lines.
#[derive(Debug)]
struct Records<'f> {
    text: Text<'f>,
    piece: Vec<u8>,
    at: usize,
    lines: Lines,
    record: Record,
    separator: u8,
}

impl Records<'_> {
    fn rest(&self) -> &[u8] {
        &self.piece[self.at..]
    }

    /// Reads on where nothing is left. False at the end.
    fn fill(&mut self) -> std::io::Result<bool> {
        if self.at == self.piece.len() {
            self.piece.clear();
            self.piece.extend_from_slice(self.text.next_piece()?);
            self.at = 0;
        }
        Ok(!self.piece.is_empty())
    }

    /// Reads the next record in which any cell says something.
    fn next_record(&mut self) -> std::io::Result<bool> {
        loop {
            self.record.clear();
            loop {
                if !self.fill()? {
                    return Ok(self.record.finish() && self.record.says_something());
                }
                let rest = &self.piece[self.at..];
                let (read, complete) = self.record.take(rest, self.separator, &mut self.lines);
                self.at += read;
                if complete {
                    break;
                }
            }
            if self.record.says_something() {
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::table_file::faults::text_fault;
    use proptest::prelude::*;

    const COLUMNS: Columns = Columns {
        known: &["creator", "amount", "reference"],
        required: &[&["creator"], &["amount"]],
    };

    fn file(bytes: impl AsRef<[u8]>) -> TableFile {
        TableFile::read("t.csv", bytes.as_ref()).unwrap()
    }

    /// Line, creator and amount of the good rows, and `line column: reason` of the others.
    fn read(bytes: impl AsRef<[u8]>) -> (Vec<(u64, String, String)>, Vec<String>) {
        let table = file(bytes)
            .rows(COLUMNS, |row, _| {
                let text = |column| row.cell(column).unwrap_or("-").to_owned();
                (row.line.unwrap(), text("creator"), text("amount"))
            })
            .unwrap();
        let told = |f: &RowFault| format!("{} {}: {}", f.line.unwrap(), f.column, f.reason);
        (table.rows, table.faults.iter().map(told).collect())
    }

    fn row(line: u64, creator: &str, amount: &str) -> (u64, String, String) {
        (line, creator.to_owned(), amount.to_owned())
    }

    #[test]
    fn a_spreadsheet_s_habits_are_taken() {
        let text =
            "\u{feff} Creator ,AMOUNT\r\n ann , 5.00 \r\n\"B, \"\"b\"\"\",7\r\n,\r\n\r\n\r\n";
        let rows = vec![row(2, "ann", "5.00"), row(3, "B, \"b\"", "7")];
        assert_eq!(read(text), (rows, vec![]));
        // Without a line break at the end, and with the line breaks of old.
        assert_eq!(read("creator,amount\rann,5").0, [row(2, "ann", "5")]);
    }

    #[test]
    fn lines_are_those_of_an_editor() {
        let text = "\n\ncreator,amount\n\nann,5\n\"b\n\nb\",6\r\n\r\ncat,7\n";
        let (rows, faults) = read(text);
        assert_eq!(rows, [row(5, "ann", "5"), row(10, "cat", "7")]);
        assert_eq!(faults, ["6 creator: a line break has no place in a cell"]);
    }

    #[test]
    fn a_header_is_exact() {
        let only = |text: &str| read(text).1.join(" + ");
        assert_eq!(only(""), "1 : the file is empty");
        assert_eq!(only("\n \n"), "1 : the file is empty");
        assert_eq!(only("creator\n"), "1 amount: the file has no column amount");
        assert_eq!(
            only("creator,amount,Creator\n"),
            "1 Creator: this column is there twice"
        );
        assert_eq!(
            only("creator,amount,,memo,\n"),
            "1 : a column without a name + \
             1 memo: unknown column; known are creator, amount, reference"
        );
    }

    #[test]
    fn what_cannot_be_read_exactly_is_refused_where_it_stands() {
        let only = |rows: &str| {
            let (rows, faults) = read(format!("creator,amount\nann,1\n{rows}"));
            assert_eq!(rows[0], row(2, "ann", "1"));
            faults.join(" + ")
        };
        assert_eq!(only("ben\n"), "3 : 1 cells, but the header has 2");
        assert_eq!(only("ben,2,3\n"), "3 : 3 cells, but the header has 2");
        assert_eq!(
            only("\"ben,2\ncat,3\n"),
            "3 : a quote is opened and never closed"
        );
        assert_eq!(only("ben,\"2"), "3 : a quote is opened and never closed");
        assert_eq!(
            only("ben,\"2\"5\n"),
            "3 : text after the quote that closes a cell"
        );
        assert!(only("b\"en,2\n").starts_with("3 : a quote in a cell without quotes"));
        assert_eq!(
            only("b\u{1b}[31m,2\n"),
            "3 creator: a control character has no place in a cell"
        );
        assert_eq!(
            only("b\0,2\n"),
            "3 creator: a control character has no place in a cell"
        );
        assert_eq!(
            only(&format!("{},2\n", "é".repeat(501))),
            "3 creator: longer than 500 characters"
        );
        assert_eq!(only(&format!("{},2\n", "é".repeat(500))), "");
    }

    #[test]
    fn another_encoding_is_refused_where_it_begins() {
        let (rows, faults) =
            read(b"creator,amount\r\nann,1\r\nJos\xe9,2\r\nJos\xe9 Mu\xf1oz,3\r\n");
        assert_eq!(rows, []);
        assert_eq!(
            faults,
            [
                "3 : byte 4 of the line (0xE9) is not UTF-8",
                "4 : byte 4 of the line (0xE9) is not UTF-8",
            ]
        );
        assert!(read(b"c\0r\0").1[0].contains("UTF-16"));
    }

    #[test]
    fn arguments_are_a_row_that_says_what_it_was_given() {
        let arguments = [
            ("creator", Some(" ann ")),
            ("amount", Some("")),
            ("reference", None),
        ];
        let table = one_row(&arguments, |row, _| row.cell("creator").map(str::to_owned));
        assert_eq!(table.rows, [Some("ann".to_owned())]);
        assert_eq!(table.faults.len(), 1);
        assert_eq!(
            (table.faults[0].line, table.faults[0].column.as_str()),
            (None, "amount")
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let error = TableFile::open(Path::new("/nowhere/t.csv")).unwrap_err();
        assert_eq!(error.to_string(), "failed to read /nowhere/t.csv");
        let endless = std::io::repeat(b'x');
        let error = TableFile::read("stdin", endless).unwrap_err();
        assert_eq!(error.to_string(), "stdin is larger than 256 MiB; split it");
        let limits = Limits {
            bytes: 3 << 20,
            rows: 1,
        };
        let endless = std::io::repeat(b'x');
        let error = TableFile::read_within("stdin", endless, Dialect::default(), limits);
        assert_eq!(
            error.unwrap_err().to_string(),
            "stdin is larger than 3 MiB; split it"
        );
        let two = b"creator,amount\nann,1\nben,2\n".as_slice();
        let file = TableFile::read_within("t.csv", two, Dialect::default(), limits).unwrap();
        let error = file.rows(COLUMNS, |_, _| ()).unwrap_err();
        assert_eq!(error.to_string(), "t.csv has more than 1 rows; split it");
    }

    /// Bytes that come close to a file now and then.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"\xef\xbb\xbf".to_vec()),
            Just(b"creator,amount\n".to_vec()),
            Just(b"ann,5.00\r\n".to_vec()),
            Just(b"\"".to_vec()),
            Just(b",".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"\n".to_vec()),
            prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in bytes()) {
            let table = file(&bytes).rows(COLUMNS, |row, _| {
                let cells: Vec<String> =
                    COLUMNS.known.iter().filter_map(|c| row.cell(c)).map(str::to_owned).collect();
                (row.line.unwrap(), cells)
            }).unwrap();
            let breaks = bytes.iter().filter(|b| matches!(b, b'\n' | b'\r')).count() as u64;
            let mut lines: Vec<u64> = table.rows.iter().map(|(line, _)| *line).collect();
            let mut sorted = lines.clone();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(&sorted, &lines, "every row has a line of its own");
            lines.extend(table.faults.iter().filter_map(|fault| fault.line));
            prop_assert!(lines.iter().all(|line| (1..=breaks + 1).contains(line)));
            for (_, cells) in &table.rows {
                prop_assert!(cells.iter().all(|cell| text_fault(cell).is_none() && cell.trim() == cell));
            }
            prop_assert!(bytes.iter().any(|b| !b.is_ascii_whitespace()) || table.rows.is_empty());
        }

        #[test]
        fn what_was_written_is_read_back(
            rows in prop::collection::vec(("[ -~é,\"]{1,12}", "[0-9.]{1,6}"), 1..8),
            crlf in any::<bool>(),
        ) {
            let mut writer = csv::WriterBuilder::new()
                .terminator(if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') })
                .from_writer(Vec::new());
            writer.write_record(["creator", "amount"]).unwrap();
            for (creator, amount) in &rows {
                writer.write_record([creator, amount]).unwrap();
            }
            let (found, faults) = read(writer.into_inner().unwrap());
            let expected: Vec<_> = rows
                .iter()
                .zip(2..)
                .map(|((creator, amount), line)| {
                    let creator = if creator.trim().is_empty() { "-" } else { creator.trim() };
                    row(line, creator, amount)
                })
                .collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(faults, Vec::<String>::new());
        }
    }
}
