//! What a person sees: tables, JSON, CSV, narration. The only place that prints.
//!
//! stdout carries the answer and nothing else; narration, warnings, prompts
//! and bars go to stderr.

pub mod json;
pub mod json_control;
pub mod json_process;
pub mod json_records;
pub mod list;
pub mod progress;
pub mod reconcile;
pub mod record;
pub mod rows;
pub mod show;
pub mod table;
pub mod text;
pub mod ui;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
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

/// The version of the JSON contract; it changes only when a field changes its
/// meaning or goes away.
pub const SCHEMA: u32 = 1;

/// An answer that is a list of rows, in any format.
#[derive(Debug)]
pub struct Answer<T> {
    name: &'static str,
    rows: Vec<T>,
    /// Further members of the JSON object.
    extra: serde_json::Map<String, serde_json::Value>,
}

impl<T: rows::Row> Answer<T> {
    /// Rows that JSON shows under `name`.
    pub fn new(name: &'static str, rows: Vec<T>) -> Self {
        Self {
            name,
            rows,
            extra: serde_json::Map::new(),
        }
    }

    /// Adds a member to the JSON object, such as `totals`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl serde::Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or(serde_json::Value::Null);
        self.extra.insert(name.to_owned(), value);
        self
    }

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
                let mut object = serde_json::Map::new();
                object.insert("schema".to_owned(), SCHEMA.into());
                object.insert(self.name.to_owned(), serde_json::to_value(&self.rows)?);
                object.extend(self.extra.clone());
                ui.answer(&rows::harmless(&serde_json::to_string_pretty(&object)?))
            }
            Format::Ndjson => rows::write_ndjson(&mut std::io::stdout().lock(), &self.rows),
            Format::Csv => rows::write_csv(&mut std::io::stdout().lock(), &self.rows),
        }
    }
}
