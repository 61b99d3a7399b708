//! What a database consists of, read from its own catalogue, in words that are the same for both.
//!
//! One line for each fact, so that two schemas are compared as two sets of lines and a difference
//! reads as what it is. Types are SQLite's: a time and a native enum are `TEXT` there, a boolean is
//! `INTEGER`. Diesel's own list of migrations is left out.

use std::collections::{BTreeMap, BTreeSet};

use super::db::{Backend, TestDb, TextRow};

/// Tables, columns, keys, indexes and foreign keys, as `doctor` reads them.
pub(crate) fn facts(db: &TestDb) -> BTreeSet<String> {
    db.store().catalog().expect("the catalogue can be read")
}

/// For each column that may hold only certain texts, which: `payouts.status` → `PENDING`, …
pub(crate) fn allowed_texts(db: &TestDb) -> BTreeMap<String, Vec<String>> {
    let mut allowed = BTreeMap::new();
    if db.backend() == Backend::Postgres {
        for row in db.query_strings(POSTGRES_ALLOWED_TEXTS) {
            let [column, texts] = words(&row)
                .try_into()
                .expect("a column and its allowed texts");
            let texts = quoted_texts(&texts);
            // Other checks are about numbers.
            if !texts.is_empty() {
                allowed.insert(column, texts);
            }
        }
    }
    for (table, definition) in sqlite_definitions(db) {
        for check in definition.split("CHECK (\"").skip(1) {
            let (column, rest) = check.split_once('"').expect("a column's name has an end");
            let texts = quoted_texts(before(rest, ')'));
            if !texts.is_empty() {
                allowed.insert(format!("{table}.{column}"), texts);
            }
        }
    }
    allowed
}

/// The texts of a row's columns.
///
/// # Panics
/// When one is NULL.
pub(crate) fn words(row: &TextRow) -> Vec<String> {
    let word = |cell: &Option<String>| cell.clone().expect("no column is NULL");
    row.iter().map(word).collect()
}

/// The rows of a query, each as one line.
///
/// # Panics
/// When a column is NULL.
pub(crate) fn lines(db: &TestDb, sql: &str) -> Vec<String> {
    let rows = db.query_strings(sql);
    rows.iter().map(|row| words(row).join(" ")).collect()
}

fn before(text: &str, end: char) -> &str {
    text.split(end).next().unwrap_or_default()
}

/// What stands between single quotes.
fn quoted_texts(sql: &str) -> Vec<String> {
    let inside = sql.split('\'').skip(1).step_by(2);
    inside.map(str::to_owned).collect()
}

/// The statements that made the tables; none on PostgreSQL, which does not keep them.
fn sqlite_definitions(db: &TestDb) -> Vec<(String, String)> {
    if db.backend() == Backend::Postgres {
        return Vec::new();
    }
    let tables = db.query_strings(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_\\_diesel%' ESCAPE '\\'",
    );
    let pair = |row: &TextRow| {
        let [name, sql] = words(row).try_into().expect("a name and a statement");
        (name, sql)
    };
    tables.iter().map(pair).collect()
}

/// Columns of an enum type with its labels, and columns under a `CHECK` with its texts.
const POSTGRES_ALLOWED_TEXTS: &str = "SELECT c.relname || '.' || a.attname,
         (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
          FROM pg_enum e WHERE e.enumtypid = t.oid)
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
       WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND t.typtype = 'e'
     UNION ALL
     SELECT c.relname || '.' || a.attname, pg_get_constraintdef(k.oid)
       FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
       WHERE k.connamespace = current_schema()::regnamespace AND k.contype = 'c'";
