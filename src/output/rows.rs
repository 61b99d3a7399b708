//! Rows as a machine reads them: JSON, one JSON object a line, or CSV.
//!
//! All are written row by row, so that a million rows need no more memory than
//! one. CSV columns are fields of the row's JSON object ([`Row`]). Whatever
//! a text holds, printing it does nothing to a terminal: JSON writes what would
//! as `\u…`, CSV leaves it out.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use crate::output::SCHEMA;
use crate::output::text::{clean, formula_safe, is_harmful};

/// What a list is made of: CSV has a column for each of its fields, in this
/// order. `csv_fields!` writes it.
pub trait Row: Serialize {
    /// The header of a CSV.
    const FIELDS: &'static [&'static str];
}

/// Makes a struct a [`Row`]. The compiler holds the names against the struct: one
/// that is missing or wrong does not compile.
macro_rules! csv_fields {
    ($row:ident $(<$life:lifetime>)?: $($field:ident),+ $(,)?) => {
        impl $(<$life>)? $crate::output::rows::Row for $row $(<$life>)? {
            const FIELDS: &'static [&'static str] = {
                const fn complete $(<$life>)? (row: &$row $(<$life>)?) {
                    let $row { $($field: _),+ } = row;
                }
                let _ = complete;
                &[$(stringify!($field)),+]
            };
        }
    };
}
pub(crate) use csv_fields;

/// Rows on their way to a machine.
#[derive(Debug)]
pub enum RowStream<'a> {
    /// One object: the version, the rows, then its further members.
    Json(JsonRows<'a>),
    /// One object a line.
    Ndjson(Lines<'a>),
    /// Lines of cells.
    Csv(CsvRows<'a>),
}

impl RowStream<'_> {
    /// Writes a row.
    pub fn write(&mut self, row: &impl Serialize) -> io::Result<()> {
        match self {
            Self::Json(rows) => rows.write(row),
            Self::Ndjson(rows) => rows.write(row),
            Self::Csv(rows) => rows.write(row),
        }
    }

    /// Ends the answer. The fields of `members` are what JSON says besides the rows.
    pub fn finish(self, members: &impl Serialize) -> io::Result<()> {
        match self {
            Self::Json(rows) => rows.finish(members),
            Self::Ndjson(rows) => rows.finish(),
            Self::Csv(rows) => rows.finish(),
        }
    }
}

/// One JSON object a line.
pub fn write_ndjson<T: Serialize>(out: &mut dyn Write, rows: &[T]) -> io::Result<()> {
    let mut lines = Lines::new(out);
    for row in rows {
        lines.write(row)?;
    }
    lines.finish()
}

/// CSV with a header, also where there is no row.
pub fn write_csv<T: Row>(out: &mut dyn Write, rows: &[T]) -> io::Result<()> {
    let mut writer = CsvRows::headed(out, T::FIELDS)?;
    for row in rows {
        writer.write(row)?;
    }
    writer.finish()
}

/// JSON with what a terminal would obey written as `\u…`, which means the same:
/// such characters can only stand inside a text.
pub fn harmless(json: &str) -> Cow<'_, str> {
    use std::fmt::Write as _;
    if !json.chars().any(|c| is_harmful(c) && c != '\n') {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_harmful(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Writes one JSON object a line.
pub struct Lines<'a>(&'a mut dyn Write);

impl std::fmt::Debug for Lines<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lines").finish_non_exhaustive()
    }
}

impl<'a> Lines<'a> {
    /// Writes to `out`.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self(out)
    }

    /// Writes a row.
    pub fn write(&mut self, row: &impl Serialize) -> io::Result<()> {
        let json = serde_json::to_string(row)?;
        self.0.write_all(harmless(&json).as_bytes())?;
        self.0.write_all(b"\n")
    }

    /// Flushes what is buffered.
    pub fn finish(self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes one JSON object with a list in it, row by row, laid out as
/// `serde_json` would lay out the whole.
pub struct JsonRows<'a> {
    out: &'a mut dyn Write,
    any: bool,
}

impl std::fmt::Debug for JsonRows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JsonRows")
            .field("any", &self.any)
            .finish_non_exhaustive()
    }
}

impl<'a> JsonRows<'a> {
    /// Begins the object. `name` is the list's.
    pub fn begin(out: &'a mut dyn Write, name: &str) -> io::Result<Self> {
        write!(out, "{{\n  \"schema\": {SCHEMA},\n  \"{name}\": [")?;
        Ok(Self { out, any: false })
    }

    /// Writes a row.
    pub fn write(&mut self, row: &impl Serialize) -> io::Result<()> {
        let before = if self.any { ",\n    " } else { "\n    " };
        self.any = true;
        write!(self.out, "{before}{}", indented(row, "    ")?)
    }

    /// Ends the list, writes the fields of `members`, if it has any, and ends the
    /// object.
    pub fn finish(self, members: &impl Serialize) -> io::Result<()> {
        self.out.write_all(if self.any { b"\n  ]" } else { b"]" })?;
        if let Value::Object(members) = serde_json::to_value(members)? {
            for (name, value) in members {
                write!(self.out, ",\n  \"{name}\": {}", indented(&value, "  ")?)?;
            }
        }
        self.out.write_all(b"\n}\n")?;
        self.out.flush()
    }
}

/// A value as it stands inside an object that is indented already.
fn indented(value: &impl Serialize, indent: &str) -> io::Result<String> {
    let json = serde_json::to_string_pretty(value)?;
    // A line break inside a text is written as `\n`: every real one is layout.
    Ok(harmless(&json).replace('\n', &format!("\n{indent}")))
}

/// A CSV writer. Its header is there even when no row is, and says which fields
/// of a row are shown.
pub struct CsvRows<'a> {
    writer: Box<csv::Writer<&'a mut dyn Write>>,
    headings: &'static [&'static str],
}

impl std::fmt::Debug for CsvRows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvRows")
            .field("headings", &self.headings)
            .finish_non_exhaustive()
    }
}

impl<'a> CsvRows<'a> {
    /// Writes the header to `out`.
    pub fn headed(out: &'a mut dyn Write, headings: &'static [&'static str]) -> io::Result<Self> {
        let mut writer = Box::new(csv::Writer::from_writer(out));
        writer.write_record(headings).map_err(io_error)?;
        Ok(Self { writer, headings })
    }

    /// Writes a row, as far as the header names its fields.
    pub fn write(&mut self, row: &impl Serialize) -> io::Result<()> {
        let row = serde_json::to_value(row)?;
        let cells = self
            .headings
            .iter()
            .map(|heading| row.get(heading).map(cell))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| io::Error::other("a row lacks a field of the CSV's header"))?;
        self.writer.write_record(cells).map_err(io_error)
    }

    /// Flushes what is buffered.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// The error underneath, so that a pipe that was closed is still known as one.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// Whether a text is a number with a sign at most in front, such as `-6.00`: no
/// spreadsheet takes that for a formula.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    [whole, fraction]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// A field as a cell. Numbers stay numbers, so that a negative amount is not quoted.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if is_number(text) => text.clone(),
        Value::String(text) => formula_safe(&clean(text)).into_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn csv_takes_columns_from_the_fields_and_disarms_formulas() {
        #[derive(Serialize)]
        struct Line {
            name: &'static str,
            amount_cents: i64,
            note: Option<&'static str>,
        }
        csv_fields!(Line: name, amount_cents, note);
        let rows = [
            Line {
                name: "=1+1",
                amount_cents: -5,
                note: None,
            },
            Line {
                name: "a,\"b\"",
                amount_cents: 7,
                note: Some("x"),
            },
        ];
        let mut out = Vec::new();
        write_csv(&mut out, &rows).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "name,amount_cents,note\n'=1+1,-5,\n\"a,\"\"b\"\"\",7,x\n"
        );
    }

    #[test]
    fn a_plain_number_is_no_formula() {
        for (text, cell_of) in [
            ("-6.00", "-6.00"),
            ("-6", "-6"),
            ("6.5", "6.5"),
            ("-6+1", "'-6+1"),
            ("--6", "'--6"),
            ("-", "'-"),
            ("-.5", "'-.5"),
            ("-1.2.3", "'-1.2.3"),
            ("-\u{0666}", "'-\u{0666}"),
        ] {
            assert_eq!(cell(&Value::String(text.to_owned())), cell_of);
        }
    }

    #[derive(Serialize)]
    struct Named {
        name: &'static str,
        tags: Vec<u8>,
    }
    csv_fields!(Named: name, tags);

    fn streamed(rows: &[Named], members: &impl Serialize) -> String {
        let mut out = Vec::new();
        let mut stream = RowStream::Json(JsonRows::begin(&mut out, "rows").unwrap());
        for row in rows {
            stream.write(row).unwrap();
        }
        stream.finish(members).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_row_by_row_is_laid_out_like_the_whole() {
        let rows = || {
            vec![
                Named {
                    name: "a\n\"b\"",
                    tags: vec![1, 2],
                },
                Named {
                    name: "",
                    tags: vec![],
                },
            ]
        };
        let members = Map::from_iter([
            ("next".to_owned(), Value::Null),
            (
                "totals".to_owned(),
                serde_json::json!({"all": {"count": 2}}),
            ),
        ]);
        for rows in [rows(), Vec::new()] {
            let mut whole = Map::new();
            whole.insert("schema".to_owned(), SCHEMA.into());
            whole.insert("rows".to_owned(), serde_json::to_value(&rows).unwrap());
            whole.extend(members.clone());
            let whole = serde_json::to_string_pretty(&whole).unwrap() + "\n";
            assert_eq!(streamed(&rows, &members), whole);
        }
    }

    #[test]
    fn no_format_lets_a_name_talk_to_the_terminal() {
        const NAME: &str = "\x1b[2J\u{9b}31m\u{202e}\u{200b}=1\r\n\u{7f}é";
        let row = || Named {
            name: NAME,
            tags: vec![],
        };
        let json = streamed(&[row()], &());
        let mut ndjson = Vec::new();
        write_ndjson(&mut ndjson, &[row()]).unwrap();
        let ndjson = String::from_utf8(ndjson).unwrap();
        for text in [&json, &ndjson] {
            assert!(
                !text.chars().any(|c| is_harmful(c) && c != '\n'),
                "{text:?}"
            );
        }
        let read: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["rows"][0]["name"], NAME);
        assert_eq!(
            serde_json::from_str::<Value>(&ndjson).unwrap()["name"],
            NAME
        );

        let mut csv = Vec::new();
        write_csv(&mut csv, &[row()]).unwrap();
        assert_eq!(
            String::from_utf8(csv).unwrap(),
            "name,tags\n[2J31m=1  é,[]\n"
        );
        let disarmed = formula_safe(&clean("\u{200b}=1+1")).into_owned();
        assert_eq!(disarmed, "'=1+1");
    }

    #[test]
    fn a_header_is_there_without_rows() {
        let mut out = Vec::new();
        write_csv::<Named>(&mut out, &[]).unwrap();
        assert_eq!(out, b"name,tags\n");
    }

    #[test]
    fn a_closed_pipe_is_known_as_one() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut closed = Closed;
        let mut rows = CsvRows::headed(&mut closed, Named::FIELDS).unwrap();
        let error = (0..100_000).find_map(|_| {
            rows.write(&Named {
                name: "x",
                tags: vec![],
            })
            .err()
        });
        assert_eq!(error.unwrap().kind(), io::ErrorKind::BrokenPipe);
    }
}
