//! The file of bad rows: their original cells, and what is wrong with each, ready to
//! be put right and loaded.
//!
//! A row is written as it was found, never padded and never cut, so that one with too
//! few or too many cells is refused again when nobody put it right. What a spreadsheet
//! would run gets a quote in front, which is taken off again when the file is loaded.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::ops::fault::RowFault;
use crate::ops::table_file::{ERROR_COLUMN, Header, Record, needs_defusing};

/// Where bad rows go. The file is made with the first of them.
#[derive(Debug)]
pub struct ErrorFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    separator: u8,
}

/// Why bad rows cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ErrorFileError {
    /// Nothing is ever written over.
    #[error("{} is there already; name another file for bad rows, or remove it", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The system's reason.
    #[error("failed to write bad rows to {}", path.display())]
    Failed {
        /// Where.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

impl ErrorFile {
    /// Will make a file here, where there must be none.
    pub fn at(path: &Path) -> Result<Self, ErrorFileError> {
        if path.symlink_metadata().is_ok() {
            return Err(ErrorFileError::Exists {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            file: None,
            separator: b',',
        })
    }

    /// Where it is, once there is something in it.
    pub fn written(&self) -> Option<&Path> {
        self.file.is_some().then_some(self.path.as_path())
    }

    /// Forgets what was written: the rows are looked at again.
    pub(super) fn again(&mut self) -> Result<(), ErrorFileError> {
        if self.file.take().is_some() {
            std::fs::remove_file(&self.path).map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    /// Adds a row with all that is wrong with it.
    pub(super) fn add(
        &mut self,
        header: &Header,
        record: &Record,
        faults: &[RowFault],
    ) -> Result<(), ErrorFileError> {
        if self.file.is_none() {
            self.begin(header)?;
        }
        let told = faults.iter().map(|fault| {
            if fault.column.is_empty() {
                fault.reason.clone()
            } else {
                format!("{}: {}", fault.column, fault.reason)
            }
        });
        let told = told.collect::<Vec<_>>().join("; ");
        // A row of a file of bad rows loses what was said of it before.
        let place = header
            .names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(ERROR_COLUMN));
        let cells = record.cells().enumerate();
        let kept = cells
            .filter(|(at, _)| Some(*at) != place)
            .map(|(_, cell)| cell);
        let kept = without_surplus(
            kept.collect(),
            header.names.len() - usize::from(place.is_some()),
        );
        self.line(kept.into_iter().chain([told.as_str()]))
    }

    /// Says that all of it was written.
    pub(super) fn end(&mut self) -> Result<(), ErrorFileError> {
        match self.file.as_mut().map(Write::flush) {
            Some(Err(source)) => Err(self.failed(source)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn begin(&mut self, header: &Header) -> Result<(), ErrorFileError> {
        let made = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.path);
        let file = made.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => ErrorFileError::Exists {
                path: self.path.clone(),
            },
            _ => self.failed(source),
        })?;
        let mut file = BufWriter::new(file);
        if header.marked {
            file.write_all("\u{feff}".as_bytes())
                .map_err(|source| self.failed(source))?;
        }
        self.file = Some(file);
        self.separator = header.separator;
        let names = header.names.iter().map(String::as_str);
        let names = names.filter(|name| !name.eq_ignore_ascii_case(ERROR_COLUMN));
        self.line(names.chain([ERROR_COLUMN]))
    }

    fn line<'c>(&mut self, cells: impl Iterator<Item = &'c str>) -> Result<(), ErrorFileError> {
        let mut line = Vec::new();
        for (place, cell) in cells.enumerate() {
            if place > 0 {
                line.push(self.separator);
            }
            // In quotes always: it is read back as it is under any separator.
            line.push(b'"');
            if cell.trim_start().starts_with(needs_defusing) {
                line.push(b'\'');
            }
            for byte in cell.bytes() {
                line.push(byte);
                if byte == b'"' {
                    line.push(b'"');
                }
            }
            line.push(b'"');
        }
        line.extend_from_slice(b"\r\n");
        match self.file.as_mut().map(|file| file.write_all(&line)) {
            Some(Err(source)) => Err(self.failed(source)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn failed(&self, source: io::Error) -> ErrorFileError {
        ErrorFileError::Failed {
            path: self.path.clone(),
            source,
        }
    }
}

/// Leaves out the empty cells behind the last column of the header.
fn without_surplus(mut cells: Vec<&str>, columns: usize) -> Vec<&str> {
    while cells.len() > columns && cells.last().is_some_and(|cell| cell.trim().is_empty()) {
        cells.pop();
    }
    cells
}
