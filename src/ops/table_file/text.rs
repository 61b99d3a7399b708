//! The bytes of a file, and the UTF-8 text they are.
//!
//! A file is read as often as it is needed and never held as a whole: what is
//! small lies in memory, what came from a pipe in a temporary file without a name.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::model::history::hex;
use crate::model::text_enum;
use crate::ops::fault::{FaultKind, RowFault};
use crate::ops::table_file::FileError;

/// Up to this size a file is kept in memory, in bytes.
const IN_MEMORY_BYTES_MAX: u64 = 1 << 20;

/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;

/// Lines with bytes of another encoding that are told.
const ENCODING_FAULTS_MAX: usize = 100;

text_enum! {
    /// How the bytes of a file stand for characters.
    pub enum Encoding {
        /// What everybody should write; a byte-order mark may stand in front.
        Utf8 = "utf-8",
        /// What spreadsheets call Unicode text.
        Utf16Le = "utf-16le",
        /// The same, the bytes of each pair the other way round.
        Utf16Be = "utf-16be",
        /// What old Windows programs write in Western Europe and the Americas.
        Windows1252 = "windows-1252",
    }
}

/// What the bytes 0x80 to 0x9F mean in Windows-1252; a zero stands for nothing.
/// Source: the table of unicode.org, CP1252.TXT.
const WINDOWS_1252: [u16; 32] = [
    0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039,
    0x0152, 0, 0x017D, 0, 0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC,
    0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178,
];

/// Where the bytes are.
#[derive(Debug)]
pub(super) enum Content {
    Memory(Vec<u8>),
    File(File),
}

impl Content {
    /// A file that is there to be read again, or a copy of what is not; none when it has
    /// more bytes than that.
    pub(super) fn open(path: &Path, bytes_max: u64) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Self::copy(file, bytes_max);
        }
        if found.len() > bytes_max {
            return Ok(None);
        }
        if found.len() <= IN_MEMORY_BYTES_MAX {
            return Self::copy(file, bytes_max);
        }
        Ok(Some(Self::File(file)))
    }

    /// A copy of whatever `from` holds, to its end; none when that is too much.
    pub(super) fn copy(from: impl Read, bytes_max: u64) -> io::Result<Option<Self>> {
        let mut from = from.take(bytes_max.saturating_add(1));
        let mut bytes = Vec::new();
        from.by_ref()
            .take(IN_MEMORY_BYTES_MAX)
            .read_to_end(&mut bytes)?;
        let mut rest = vec![0; READ_BYTES];
        let mut read = from.read(&mut rest)?;
        if read == 0 {
            return Ok(Some(Self::Memory(bytes)));
        }
        let mut copy = nameless_file()?;
        copy.write_all(&bytes)?;
        let mut length = bytes.len() as u64;
        drop(bytes);
        while read > 0 {
            length += read as u64;
            if length > bytes_max {
                return Ok(None);
            }
            copy.write_all(&rest[..read])?;
            read = from.read(&mut rest)?;
        }
        copy.seek(SeekFrom::Start(0))?;
        Ok(Some(Self::File(copy)))
    }

    /// Fills `into` with what lies at `at`, as far as there is anything.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Memory(bytes) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                let rest = &bytes[from..];
                let read = rest.len().min(into.len());
                into[..read].copy_from_slice(&rest[..read]);
                Ok(read)
            }
            Self::File(file) => {
                let mut read = 0;
                while read < into.len() {
                    match file.read_at(&mut into[read..], at + read as u64) {
                        Ok(0) => break,
                        Ok(more) => read += more,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(read)
            }
        }
    }
}

/// A file that only this process can reach: it has no name once this returns.
fn nameless_file() -> io::Result<File> {
    let folder = std::env::temp_dir();
    loop {
        let number = getrandom::u64().map_err(io::Error::from)?;
        let path = folder.join(format!("payouts-{number:016x}"));
        let made = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match made {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// What is known of a file once all its bytes were seen.
#[derive(Debug, Clone)]
pub(super) struct Survey {
    /// SHA-256 of the bytes, lowercase hex.
    pub(super) sha256: String,
    /// How the bytes are read.
    pub(super) encoding: Encoding,
    /// A byte-order mark stands in front, or the bytes are not UTF-8.
    pub(super) marked: bool,
    /// Lines, also those within quotes: never fewer than there are rows.
    pub(super) lines: u64,
    /// The first bytes of each line that are not in this encoding, some lines of them.
    pub(super) faults: Vec<RowFault>,
}

impl Survey {
    /// Reads all of a file. `asked` is the encoding somebody said it has.
    pub(super) fn of(content: &Content, asked: Option<Encoding>) -> io::Result<Self> {
        let mut start = [0; 4];
        let read = content.read_at(0, &mut start)?;
        let start = &start[..read];
        let encoding = asked.unwrap_or_else(|| recognised(start));
        let mut faults: Vec<RowFault> = Vec::new();
        if asked.is_none() && encoding == Encoding::Utf8 && start.contains(&0) {
            let reason = "the file looks like UTF-16 without a byte-order mark";
            faults.push(RowFault::new(Some(1), "", "", FaultKind::Encoding, reason));
        }
        let mut text = Text::new(content, encoding);
        while !text.next_piece()?.is_empty() {
            for bad in text.decoder.bad.drain(..) {
                let line = Some(bad.line);
                if faults.len() < ENCODING_FAULTS_MAX
                    && faults.last().is_none_or(|fault| fault.line != line)
                {
                    let reason = bad.reason(encoding);
                    faults.push(RowFault::new(line, "", "", FaultKind::Encoding, reason));
                }
            }
        }
        Ok(Self {
            lines: text.decoder.place.line,
            marked: encoding != Encoding::Utf8 || start.starts_with(UTF8_MARK),
            sha256: text.sha256(),
            encoding,
            faults,
        })
    }
}

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

fn recognised(start: &[u8]) -> Encoding {
    if start.starts_with(b"\xff\xfe") {
        Encoding::Utf16Le
    } else if start.starts_with(b"\xfe\xff") {
        Encoding::Utf16Be
    } else {
        Encoding::Utf8
    }
}

/// A file as UTF-8, piece by piece, without a byte-order mark.
#[derive(Debug)]
pub(super) struct Text<'f> {
    content: &'f Content,
    at: u64,
    digest: Sha256,
    decoder: Decoder,
    raw: Vec<u8>,
    piece: Vec<u8>,
    ended: bool,
}

impl<'f> Text<'f> {
    pub(super) fn new(content: &'f Content, encoding: Encoding) -> Self {
        Self {
            content,
            at: 0,
            digest: Sha256::new(),
            decoder: Decoder::new(encoding),
            raw: Vec::new(),
            piece: Vec::new(),
            ended: false,
        }
    }

    /// The next piece; an empty one at the end. A character may lie across two of them.
    pub(super) fn next_piece(&mut self) -> io::Result<&[u8]> {
        self.piece.clear();
        while self.piece.is_empty() && !self.ended {
            // What was left of the piece before stays in front.
            let left = self.raw.len();
            self.raw.resize(left + READ_BYTES, 0);
            let read = self.content.read_at(self.at, &mut self.raw[left..])?;
            self.raw.truncate(left + read);
            self.digest.update(&self.raw[left..]);
            self.ended = read < READ_BYTES;
            let first = self.at == 0;
            self.at += read as u64;
            let skipped = if first {
                self.decoder.mark(&self.raw)
            } else {
                0
            };
            let used = self
                .decoder
                .decode(&self.raw[skipped..], self.ended, &mut self.piece);
            self.raw.drain(..skipped + used);
            if self.piece.is_empty() && !self.decoder.bad.is_empty() {
                // So that nobody takes what has nothing readable in it for the end.
                self.piece.push(b'\n');
            }
        }
        Ok(&self.piece)
    }

    /// SHA-256 of the bytes read so far, lowercase hex.
    pub(super) fn sha256(&self) -> String {
        hex(&self.digest.clone().finalize())
    }
}

/// Where in the file something stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Counted from 1.
    line: u64,
    /// Counted from 1.
    byte: u64,
    after_return: bool,
}

impl Place {
    fn pass(&mut self, text: &[u8], bytes_each: u64) {
        for byte in text {
            if *byte == b'\n' || *byte == b'\r' {
                if *byte == b'\r' || !self.after_return {
                    self.line += 1;
                }
                self.byte = 1;
            } else {
                self.byte += bytes_each;
            }
            self.after_return = *byte == b'\r';
        }
    }
}

/// A byte that means nothing in the encoding.
#[derive(Debug, Clone, Copy)]
struct Bad {
    line: u64,
    byte: u64,
    value: u8,
}

impl Bad {
    fn reason(self, encoding: Encoding) -> String {
        let Self { byte, value, .. } = self;
        match encoding {
            Encoding::Utf8 => format!("byte {byte} of the line ({value:#04X}) is not UTF-8"),
            Encoding::Windows1252 => {
                format!("byte {byte} of the line ({value:#04X}) means nothing in Windows-1252")
            }
            Encoding::Utf16Le | Encoding::Utf16Be => {
                format!("byte {byte} of the line ({value:#04X}) begins half a character of UTF-16")
            }
        }
    }
}

#[derive(Debug)]
struct Decoder {
    encoding: Encoding,
    place: Place,
    bad: Vec<Bad>,
}

impl Decoder {
    fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            place: Place {
                line: 1,
                byte: 1,
                after_return: false,
            },
            bad: Vec::new(),
        }
    }

    /// How long the byte-order mark in front is.
    fn mark(&self, start: &[u8]) -> usize {
        let mark: &[u8] = match self.encoding {
            Encoding::Utf8 => UTF8_MARK,
            Encoding::Utf16Le => b"\xff\xfe",
            Encoding::Utf16Be => b"\xfe\xff",
            Encoding::Windows1252 => return 0,
        };
        if start.starts_with(mark) {
            mark.len()
        } else {
            0
        }
    }

    /// Appends what `raw` says to `out` and returns how much of it was used: what
    /// may be the beginning of a character is left, unless it is the `last` there is.
    fn decode(&mut self, raw: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
        match self.encoding {
            Encoding::Utf8 => self.utf8(raw, last, out),
            Encoding::Windows1252 => self.windows_1252(raw, out),
            Encoding::Utf16Le => self.utf16(raw, last, out, u16::from_le_bytes),
            Encoding::Utf16Be => self.utf16(raw, last, out, u16::from_be_bytes),
        }
    }

    fn refuse(&mut self, value: u8, bytes: u64) {
        self.bad.push(Bad {
            line: self.place.line,
            byte: self.place.byte,
            value,
        });
        self.place.byte += bytes;
        self.place.after_return = false;
    }

    fn utf8(&mut self, raw: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        while at < raw.len() {
            let (valid, bad) = match std::str::from_utf8(&raw[at..]) {
                Ok(_) => (raw.len() - at, Some(0)),
                Err(error) => (error.valid_up_to(), error.error_len()),
            };
            let text = &raw[at..at + valid];
            self.place.pass(text, 1);
            out.extend_from_slice(text);
            at += valid;
            let bytes = match bad {
                Some(0) => break,
                Some(bytes) => bytes,
                None if last => raw.len() - at,
                None => break,
            };
            self.refuse(raw[at], bytes as u64);
            at += bytes;
        }
        at
    }

    fn windows_1252(&mut self, raw: &[u8], out: &mut Vec<u8>) -> usize {
        for byte in raw {
            let meant = match byte {
                0x80..=0x9F => u32::from(WINDOWS_1252[usize::from(byte - 0x80)]),
                other => u32::from(*other),
            };
            match char::from_u32(meant) {
                Some('\0') if *byte != 0 => self.refuse(*byte, 1),
                Some(c) => self.push(c, 1, out),
                None => self.refuse(*byte, 1),
            }
        }
        raw.len()
    }

    fn utf16(
        &mut self,
        raw: &[u8],
        last: bool,
        out: &mut Vec<u8>,
        unit: fn([u8; 2]) -> u16,
    ) -> usize {
        let unit_at = |at: usize| Some(unit([*raw.get(at)?, *raw.get(at + 1)?]));
        let mut at = 0;
        while let Some(first) = unit_at(at) {
            let high = (0xD800..0xDC00).contains(&first);
            let second = if high { unit_at(at + 2) } else { None };
            if high && second.is_none() && !last {
                return at;
            }
            let units = std::iter::once(first).chain(second);
            if let Some(Ok(c)) = char::decode_utf16(units).next() {
                let bytes = 2 * c.len_utf16();
                self.push(c, bytes as u64, out);
                at += bytes;
            } else {
                self.refuse(raw[at], 2);
                at += 2;
            }
        }
        if last && at < raw.len() {
            self.refuse(raw[at], 1);
            at = raw.len();
        }
        at
    }

    fn push(&mut self, c: char, bytes: u64, out: &mut Vec<u8>) {
        let mut utf8 = [0; 4];
        let text = c.encode_utf8(&mut utf8).as_bytes();
        if c == '\n' || c == '\r' {
            self.place.pass(text, bytes);
        } else {
            self.place.byte += bytes;
            self.place.after_return = false;
        }
        out.extend_from_slice(text);
    }
}

/// Turns an error of the system into one that names the file.
pub(super) fn unreadable(name: &str, source: io::Error) -> FileError {
    FileError::Unreadable {
        name: name.to_owned(),
        source,
    }
}
