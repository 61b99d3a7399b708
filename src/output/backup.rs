//! What a backup holds, in every format.

use std::io;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::ops::backup::Backup;
use crate::output::rows::csv_fields;
use crate::output::text::{count, grouped};
use crate::output::ui::Ui;
use crate::output::{Answer, Format, record};

/// A table and how many rows the backup has of it. Also a line of CSV.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TableView<'a> {
    /// Its name.
    pub table: &'a str,
    /// How many.
    pub rows: i64,
}
csv_fields!(TableView<'a>: table, rows);

/// What `backup` says besides its tables.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BackupMembers {
    /// The file.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// When the newest attempt in it was written; null where there is none. What was
    /// paid later it does not know.
    pub newest_attempt_at: Option<String>,
    /// Older backups that were deleted.
    pub deleted: Vec<String>,
}

/// Writes it to stdout.
pub fn print(format: Format, ui: &Ui, backup: &Backup, deleted: &[PathBuf]) -> io::Result<()> {
    let named = |path: &PathBuf| path.display().to_string();
    let tables = &backup.contents.tables;
    let views: Vec<TableView<'_>> = tables
        .iter()
        .map(|(table, rows)| TableView { table, rows: *rows })
        .collect();
    let newest = backup.contents.newest_attempt_at;
    let members = BackupMembers {
        path: named(&backup.path),
        bytes: backup.bytes,
        sha256: backup.sha256.clone(),
        newest_attempt_at: newest.map(|at| at.to_string()),
        deleted: deleted.iter().map(named).collect(),
    };
    Answer::new("tables", views)
        .with(members)
        .print(format, ui, |_, _| {
            let rows = |table: &str| {
                let found = tables.iter().find(|(name, _)| name == table);
                grouped(found.map_or(0, |(_, rows)| u64::try_from(*rows).unwrap_or(0)))
            };
            let mut lines = vec![
                ("Backup", named(&backup.path)),
                ("Size", format!("{} bytes", grouped(backup.bytes))),
                ("SHA-256", backup.sha256.clone()),
                (
                    "Read back",
                    "whole: pages, indexes, foreign keys".to_owned(),
                ),
                (
                    "Rows",
                    format!(
                        "{} payouts, {} attempts, {} of history",
                        rows("payouts"),
                        rows("payout_attempts"),
                        rows("payout_history")
                    ),
                ),
                (
                    "Newest attempt",
                    newest.map_or_else(|| "none".to_owned(), |at| at.to_string()),
                ),
            ];
            if !deleted.is_empty() {
                lines.push(("Deleted", count(deleted.len() as u64, "older backup")));
            }
            record::render(&lines)
        })
}
