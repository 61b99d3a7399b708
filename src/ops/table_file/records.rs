//! Records of a text: where each begins and ends, and its cells.
//!
//! RFC 4180, with any of three separators and any of three line breaks. What that
//! forbids about quotes is a fault of the record; its cells are then what stands
//! in the file, quotes and all.

/// The longest record that is kept, in bytes: a quote that is never closed can make
/// one of a whole file.
pub(super) const RECORD_BYTES_MAX: usize = 1 << 20;

/// What may stand between cells.
pub(super) const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// Where in a record the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before its first byte, where line breaks are those of empty lines.
    Before,
    CellStart,
    Plain,
    Quoted,
    /// After a quote within quotes: it closes the cell, or is half of a doubled one.
    Quote,
}

/// Lines as an editor counts them: `\n`, `\r\n`, and `\r` alone end one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    /// The line that begins or goes on here, counted from 1.
    line: u64,
    after_return: bool,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self {
            line: 1,
            after_return: false,
        }
    }

    fn line_break(&mut self, byte: u8) {
        if byte == b'\r' || !self.after_return {
            self.line += 1;
        }
        self.after_return = byte == b'\r';
    }
}

/// One record, or as much of it as was read.
#[derive(Debug, Clone)]
pub struct Record {
    line: u64,
    at: At,
    /// What stands in the file.
    raw: Vec<u8>,
    /// The cells' texts, one behind the other, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Where the cell that is being read begins in `raw`, and whether it breaks the rules.
    cell_from: usize,
    cell_is_odd: bool,
    fault: Option<&'static str>,
    too_long: bool,
}

impl Record {
    pub(super) fn new() -> Self {
        Self {
            line: 0,
            at: At::Before,
            raw: Vec::new(),
            text: Vec::new(),
            ends: Vec::new(),
            cell_from: 0,
            cell_is_odd: false,
            fault: None,
            too_long: false,
        }
    }

    /// A record that is in no file.
    pub(super) fn of<'t>(cells: impl Iterator<Item = &'t str>) -> Self {
        let mut record = Self::new();
        for cell in cells {
            record.text.extend_from_slice(cell.as_bytes());
            record.ends.push(record.text.len());
        }
        record
    }

    pub(super) fn clear(&mut self) {
        self.at = At::Before;
        self.raw.clear();
        self.text.clear();
        self.ends.clear();
        self.cell_from = 0;
        self.cell_is_odd = false;
        self.fault = None;
        self.too_long = false;
    }

    /// The line it begins on.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// How many cells it has.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Its cells, not trimmed.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).filter_map(|place| self.cell(place))
    }

    pub(super) fn cell(&self, place: usize) -> Option<&str> {
        let to = *self.ends.get(place)?;
        let from = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        // Valid for all that a file's survey has passed.
        std::str::from_utf8(&self.text[from..to]).ok()
    }

    /// Some of what stands in the file.
    pub(super) fn raw(&self) -> String {
        let shown = &self.raw[..self.raw.len().min(1000)];
        String::from_utf8_lossy(shown).trim_end().to_owned()
    }

    /// What is wrong with its quotes or its length.
    pub(super) fn form_fault(&self) -> Option<Form> {
        if self.too_long {
            Some(Form::TooLong)
        } else {
            self.fault.map(Form::Quotes)
        }
    }

    /// Whether any cell says something.
    pub(super) fn says_something(&self) -> bool {
        self.fault.is_some()
            || self.too_long
            || self.text.iter().any(|byte| !byte.is_ascii())
                && self.cells().any(|cell| !cell.trim().is_empty())
            || self
                .text
                .iter()
                .any(|byte| byte.is_ascii() && !byte.is_ascii_whitespace() && *byte != 0x0B)
    }

    /// Takes bytes up to the end of the record, and says how many; and whether it
    /// is complete.
    pub(super) fn take(&mut self, bytes: &[u8], separator: u8, lines: &mut Lines) -> (usize, bool) {
        let mut read = 0;
        while let Some(&byte) = bytes.get(read) {
            let is_break = byte == b'\n' || byte == b'\r';
            if self.at == At::Before {
                if is_break {
                    lines.line_break(byte);
                    read += 1;
                    continue;
                }
                self.line = lines.line;
                self.at = At::CellStart;
            }
            if is_break {
                lines.line_break(byte);
                if self.at != At::Quoted {
                    self.end_cell();
                    return (read + 1, true);
                }
            } else {
                lines.after_return = false;
            }
            match (self.at, byte) {
                (At::Plain | At::CellStart | At::Quote, b) if b == separator => {
                    self.end_cell();
                    self.keep_raw(&[byte]);
                    self.cell_from = self.raw.len();
                    read += 1;
                }
                (At::CellStart, b'"') => {
                    self.at = At::Quoted;
                    self.keep_raw(&[byte]);
                    read += 1;
                }
                (At::Quoted, b'"') => {
                    self.at = At::Quote;
                    self.keep_raw(&[byte]);
                    read += 1;
                }
                (At::Quote, b'"') => {
                    self.at = At::Quoted;
                    self.keep(&[byte]);
                    read += 1;
                }
                (At::Plain, b'"') => {
                    self.odd("a quote in a cell without quotes; put the cell in quotes and double the quote");
                    self.keep(&[byte]);
                    read += 1;
                }
                (At::Quote, _) => {
                    self.odd("text after the quote that closes a cell");
                    self.at = At::Plain;
                    self.keep(&[byte]);
                    read += 1;
                }
                (At::Quoted, _) => {
                    // Line breaks go through above, one by one.
                    let run = if is_break {
                        1
                    } else {
                        run_until(&bytes[read..], |b| b == b'"' || b == b'\n' || b == b'\r')
                    };
                    self.keep(&bytes[read..read + run]);
                    read += run;
                }
                (At::Before | At::CellStart | At::Plain, _) => {
                    self.at = At::Plain;
                    let run = run_until(&bytes[read..], |b| {
                        b == separator || b == b'"' || b == b'\n' || b == b'\r'
                    });
                    self.keep(&bytes[read..read + run]);
                    read += run;
                }
            }
        }
        (read, false)
    }

    /// Ends the record where the text ends. False: there was none.
    pub(super) fn finish(&mut self) -> bool {
        match self.at {
            At::Before => return false,
            At::Quoted => self.odd("a quote is opened and never closed"),
            At::CellStart | At::Plain | At::Quote => {}
        }
        self.end_cell();
        true
    }

    fn odd(&mut self, what: &'static str) {
        self.cell_is_odd = true;
        self.fault.get_or_insert(what);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.text.len() + bytes.len() <= RECORD_BYTES_MAX {
            self.text.extend_from_slice(bytes);
        }
        self.keep_raw(bytes);
    }

    fn keep_raw(&mut self, bytes: &[u8]) {
        if self.raw.len() + bytes.len() <= RECORD_BYTES_MAX {
            self.raw.extend_from_slice(bytes);
        } else {
            self.too_long = true;
        }
    }

    fn end_cell(&mut self) {
        if self.cell_is_odd {
            self.text
                .truncate(self.ends.last().copied().unwrap_or_default());
            self.text.extend_from_slice(&self.raw[self.cell_from..]);
            self.cell_is_odd = false;
        }
        if self.ends.len() < RECORD_BYTES_MAX {
            self.ends.push(self.text.len());
        }
        self.at = At::CellStart;
    }
}

/// How many bytes come before one that ends a run; at least one, the first.
fn run_until(bytes: &[u8], ends: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(1..).unwrap_or_default();
    1 + rest.iter().position(|b| ends(*b)).unwrap_or(rest.len())
}

/// What is wrong with a record before anybody asks what its cells mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// RFC 4180 forbids it.
    Quotes(&'static str),
    /// More than [`RECORD_BYTES_MAX`].
    TooLong,
}
