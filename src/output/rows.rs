//! Rows as a machine reads them: one JSON object a line, or CSV.
//!
//! Both are written row by row, so that a million rows need no more memory
//! than one. CSV columns are the fields of the row's JSON object, in order.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use crate::output::text::formula_safe;

/// One JSON object a line.
pub fn write_ndjson<T: Serialize>(out: &mut dyn Write, rows: &[T]) -> io::Result<()> {
    for row in rows {
        serde_json::to_writer(&mut *out, row)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// CSV with a header.
pub fn write_csv<T: Serialize>(out: &mut dyn Write, rows: &[T]) -> io::Result<()> {
    let mut writer = CsvRows::new(out);
    for row in rows {
        writer.write(row)?;
    }
    writer.finish()
}

/// A CSV writer that takes its header from the first row.
pub struct CsvRows<'a> {
    writer: csv::Writer<&'a mut dyn Write>,
    headed: bool,
}

impl std::fmt::Debug for CsvRows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvRows")
            .field("headed", &self.headed)
            .finish_non_exhaustive()
    }
}

impl<'a> CsvRows<'a> {
    /// Writes to `out`.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self {
            writer: csv::Writer::from_writer(out),
            headed: false,
        }
    }

    /// Writes a row, and the header before the first.
    pub fn write(&mut self, row: &impl Serialize) -> io::Result<()> {
        let Value::Object(fields) = serde_json::to_value(row)? else {
            return Err(io::Error::other("a CSV row must be an object"));
        };
        if !self.headed {
            self.writer.write_record(fields.keys())?;
            self.headed = true;
        }
        self.writer.write_record(fields.values().map(cell))?;
        Ok(())
    }

    /// Flushes what is buffered.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A field as a cell. Numbers stay numbers, so that a negative amount is not quoted.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => formula_safe(text).into_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_takes_columns_from_the_fields_and_disarms_formulas() {
        #[derive(Serialize)]
        struct Row {
            name: &'static str,
            amount_cents: i64,
            note: Option<&'static str>,
        }
        let rows = [
            Row {
                name: "=1+1",
                amount_cents: -5,
                note: None,
            },
            Row {
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
}
