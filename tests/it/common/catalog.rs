//! What a database consists of, read from its own catalogue, in words that are the same for both.
//!
//! One line for each fact, so that two schemas are compared as two sets of lines and a difference
//! reads as what it is. Types are SQLite's: a time and a native enum are `TEXT` there, a boolean is
//! `INTEGER`. Diesel's own list of migrations is left out.

use std::collections::{BTreeMap, BTreeSet};

use super::db::{Backend, TestDb, TextRow};

/// Tables, columns, keys, indexes and foreign keys.
pub(crate) fn facts(db: &TestDb) -> BTreeSet<String> {
    let queries: &[&str] = match db.backend() {
        Backend::Sqlite => &SQLITE_FACTS,
        Backend::Postgres => &POSTGRES_FACTS,
    };
    let mut facts = queries
        .iter()
        .flat_map(|query| db.query_strings(query))
        .map(|row| words(&row).join(" "))
        .collect::<BTreeSet<_>>();
    for (table, definition) in sqlite_definitions(db) {
        let names = definition.split("CONSTRAINT \"").skip(1);
        facts.extend(names.map(|rest| format!("constraint {table} {}", before(rest, '"'))));
    }
    facts
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

const SQLITE_FACTS: [&str; 5] = [
    r#"SELECT 'column ' || t.name || '.' || c.name || ' #' || c.cid || ' ' || c.type
         || iif(c."notnull", ' not null', '') || coalesce(' default ' || c.dflt_value, '')
       FROM sqlite_master t, pragma_table_info(t.name) c
       WHERE t.type = 'table' AND t.name <> '__diesel_schema_migrations'"#,
    "SELECT 'primary key ' || t.name || ' (' || group_concat(c.name, ', ' ORDER BY c.pk) || ')'
       FROM sqlite_master t, pragma_table_info(t.name) c
       WHERE t.type = 'table' AND t.name <> '__diesel_schema_migrations' AND c.pk > 0
       GROUP BY t.name",
    "SELECT 'unique ' || t.name || ' (' || group_concat(c.name, ', ' ORDER BY c.seqno) || ')'
       FROM sqlite_master t, pragma_index_list(t.name) i, pragma_index_info(i.name) c
       WHERE t.type = 'table' AND i.origin = 'u'
       GROUP BY t.name, i.name",
    r#"SELECT iif(i."unique", 'unique ', '') || 'index ' || i.name || ' on ' || t.name
         || ' (' || group_concat(c.name, ', ' ORDER BY c.seqno) || ')'
         || iif(i.partial, ' where ' || replace(substr(d.sql, instr(d.sql, 'WHERE ') + 6), '"', ''), '')
       FROM sqlite_master t, pragma_index_list(t.name) i, pragma_index_info(i.name) c
         JOIN sqlite_master d ON d.name = i.name
       WHERE t.type = 'table' AND i.origin = 'c'
       GROUP BY i.name"#,
    r#"SELECT 'foreign key ' || t.name || ' (' || group_concat(f."from", ', ' ORDER BY f.seq)
         || ') -> ' || f."table" || ' (' || group_concat(f."to", ', ' ORDER BY f.seq)
         || ') on delete ' || lower(f.on_delete) || ' on update ' || lower(f.on_update)
       FROM sqlite_master t, pragma_foreign_key_list(t.name) f
       WHERE t.type = 'table'
       GROUP BY t.name, f.id"#,
];

const POSTGRES_FACTS: [&str; 5] = [
    r"SELECT concat('column ', c.relname, '.', a.attname, ' #', a.attnum - 1, ' ',
         CASE WHEN t.typname IN ('int4', 'int8', 'bool') THEN 'INTEGER'
              WHEN t.typname = 'text' OR t.typtype = 'e'
                OR format_type(t.oid, a.atttypmod) = 'timestamp(3) without time zone' THEN 'TEXT'
            WHEN t.typname = 'bytea' THEN 'BLOB'
              ELSE format_type(t.oid, a.atttypmod) END,
         CASE WHEN a.attnotnull THEN ' not null' END,
         ' default ' || replace(regexp_replace(pg_get_expr(d.adbin, d.adrelid), '::.*$', ''), 'false', '0'))
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
         LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
       WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
         AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> '__diesel_schema_migrations'",
    r#"SELECT concat(CASE k.contype WHEN 'p' THEN 'primary key ' ELSE 'unique ' END, c.relname,
         replace(regexp_replace(pg_get_constraintdef(k.oid), '^[A-Z ]*', ' '), '"', ''))
       FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
       WHERE k.connamespace = current_schema()::regnamespace AND k.contype IN ('p', 'u')
         AND c.relname <> '__diesel_schema_migrations'"#,
    r"SELECT concat(CASE WHEN i.indisunique THEN 'unique ' END, 'index ', n.relname, ' on ', c.relname,
         ' (', (SELECT string_agg(a.attname, ', ' ORDER BY k.place)
                FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place)
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum), ')',
         ' where ' || replace(regexp_replace(regexp_replace(pg_get_expr(i.indpred, c.oid),
           '^\((\w+) = ANY \(ARRAY\[(.*)\]\)\)$', '\1 IN (\2)'),
           '^\((\w+ IS NOT NULL)\)$', '\1'), '::text', ''))
       FROM pg_index i JOIN pg_class n ON n.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
       WHERE c.relnamespace = current_schema()::regnamespace
         AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = n.oid AND k.contype IN ('p', 'u'))",
    "SELECT concat('foreign key ', c.relname, ' (',
         (SELECT string_agg(a.attname, ', ' ORDER BY k.place) FROM unnest(f.conkey) WITH ORDINALITY k (attnum, place)
          JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum),
         ') -> ', p.relname, ' (',
         (SELECT string_agg(a.attname, ', ' ORDER BY k.place) FROM unnest(f.confkey) WITH ORDINALITY k (attnum, place)
          JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum),
         ') on delete ', CASE f.confdeltype WHEN 'a' THEN 'no action' WHEN 'r' THEN 'restrict'
            WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' END,
         ' on update ', CASE f.confupdtype WHEN 'a' THEN 'no action' WHEN 'r' THEN 'restrict'
            WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' END)
       FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class p ON p.oid = f.confrelid
       WHERE f.connamespace = current_schema()::regnamespace AND f.contype = 'f'",
    "SELECT concat_ws(' ', 'constraint', c.relname, k.conname)
       FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
       WHERE k.connamespace = current_schema()::regnamespace AND k.contype IN ('p', 'u', 'f', 'c')
         AND c.relname <> '__diesel_schema_migrations'",
];

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
