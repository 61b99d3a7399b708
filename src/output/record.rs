//! One thing for people: what it is called on the left, what it is on the right.

use std::io;

use serde::Serialize;

use crate::output::Format;
use crate::output::rows::{self, Row};
use crate::output::text::clean;
use crate::output::ui::Ui;

/// Writes an answer that is one thing to stdout: as JSON the whole object, as
/// ndjson and CSV the rows it comes to.
pub fn print<T: Row>(
    format: Format,
    ui: &Ui,
    object: &impl Serialize,
    lines: &[T],
    table: impl FnOnce() -> String,
) -> io::Result<()> {
    match format {
        Format::Table => ui.answer(&table()),
        Format::Json => ui.answer(&rows::harmless(&serde_json::to_string_pretty(object)?)),
        Format::Ndjson => rows::write_ndjson(&mut io::stdout().lock(), lines),
        Format::Csv => rows::write_csv(&mut io::stdout().lock(), lines),
    }
}

/// Renders lines of a label and a value. What came from outside is cleaned here.
pub fn render(lines: &[(&str, String)]) -> String {
    let width = lines
        .iter()
        .map(|(label, _)| label.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (label, value) in lines {
        let line = format!("{label:width$}  {}", clean(value));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
