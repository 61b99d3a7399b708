//! What a person sees: tables, JSON, CSV, narration. The only place that prints.
//!
//! stdout carries the answer and nothing else; narration, warnings, prompts
//! and bars go to stderr.

pub mod backup;
pub mod batches;
pub mod chart;
pub mod check;
pub mod events;
pub mod history_check;
pub mod html;
pub mod json;
pub mod json_control;
pub mod json_process;
pub mod json_records;
pub mod list;
pub mod log;
pub mod mail;
pub mod notifications;
pub mod plan;
pub mod progress;
pub mod prometheus;
pub mod receipt;
pub mod reconcile;
pub mod record;
pub mod report;
pub mod report_facts;
pub mod report_page;
pub mod resolve;
pub mod rows;
pub mod runbook;
pub mod runs;
pub mod schema;
pub mod show;
pub mod stats;
pub mod table;
pub mod text;
pub mod ui;

/// How an answer is written: every command knows these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// One documented object.
    Json,
    /// One object a line, streamed.
    Ndjson,
    /// Comma-separated, streamed, safe to open in a spreadsheet.
    Csv,
}

/// What one command alone writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// A page that stands alone.
    Html,
    /// Metrics in the text format of Prometheus.
    Prometheus,
}

impl Document {
    /// What `--output` calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Prometheus => "prometheus",
        }
    }
}

/// What `--output` may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Output {
    /// Columns for people.
    #[default]
    Table,
    /// One documented object.
    Json,
    /// One object a line, streamed.
    Ndjson,
    /// Comma-separated, streamed, safe to open in a spreadsheet.
    Csv,
    /// A page that stands alone, to read and to print; `report` only.
    Html,
    /// Metrics for a monitor; `stats` only.
    Prometheus,
}

impl Output {
    /// The format for rows, which beside a document nobody sees, and the document.
    pub fn parts(self) -> (Format, Option<Document>) {
        match self {
            Self::Table => (Format::Table, None),
            Self::Json => (Format::Json, None),
            Self::Ndjson => (Format::Ndjson, None),
            Self::Csv => (Format::Csv, None),
            Self::Html => (Format::Table, Some(Document::Html)),
            Self::Prometheus => (Format::Table, Some(Document::Prometheus)),
        }
    }
}

/// The version of the JSON contract; it changes only when a field changes its
/// meaning or goes away.
pub const SCHEMA: u32 = 1;

/// An answer that is a list of rows, in any format. What JSON says besides them
/// are the fields of `M`. [`schema`] has a line for each that is printed.
#[derive(Debug)]
pub struct Answer<T, M = ()> {
    name: &'static str,
    rows: Vec<T>,
    members: M,
}

impl<T: rows::Row> Answer<T> {
    /// Rows that JSON shows under `name`.
    pub fn new(name: &'static str, rows: Vec<T>) -> Self {
        Self {
            name,
            rows,
            members: (),
        }
    }

    /// Adds members to the JSON object, such as `totals`.
    #[must_use]
    pub fn with<M: serde::Serialize>(self, members: M) -> Answer<T, M> {
        Answer {
            name: self.name,
            rows: self.rows,
            members,
        }
    }
}

impl<T: rows::Row, M: serde::Serialize> Answer<T, M> {
    /// Writes the answer to stdout; `table` renders it for people.
    pub fn print(
        &self,
        format: Format,
        ui: &ui::Ui,
        table: impl FnOnce(&ui::Ui, &[T]) -> String,
    ) -> std::io::Result<()> {
        match format {
            Format::Table => ui.answer(&table(ui, &self.rows)),
            Format::Json => {
                let mut out = ui.out();
                let mut object = rows::JsonRows::begin(&mut out, self.name)?;
                for row in &self.rows {
                    object.write(row)?;
                }
                object.finish(&self.members)
            }
            Format::Ndjson => rows::write_ndjson(&mut std::io::stdout().lock(), &self.rows),
            Format::Csv => rows::write_csv(&mut std::io::stdout().lock(), &self.rows),
        }
    }
}

/// The schema of the object that an [`Answer`] is in JSON: the version, `row`s
/// under `name`, and the properties of `members`.
fn envelope(name: &str, row: &schemars::Schema, members: schemars::Schema) -> schemars::Schema {
    let mut object = schemars::json_schema!({
        "type": "object",
        "properties": {
            "schema": {"description": "The version of this contract.", "const": SCHEMA},
            name: {"type": "array", "items": row},
        },
        "required": ["schema", name],
    });
    for (keyword, added) in members.to_value().as_object_mut().into_iter().flatten() {
        match (object.get_mut(keyword), added) {
            (Some(serde_json::Value::Object(all)), serde_json::Value::Object(added)) => {
                all.append(added);
            }
            (Some(serde_json::Value::Array(all)), serde_json::Value::Array(added)) => {
                all.append(added);
            }
            _ => {}
        }
    }
    object
}
