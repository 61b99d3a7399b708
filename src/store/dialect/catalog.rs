//! What a database consists of, read from its own catalogue, in words that are the
//! same for both.
//!
//! One line for each fact, so that two schemas are compared as two sets of lines and
//! a difference reads as what it is. Types are SQLite's: a time and a native enum are
//! `TEXT` there, a boolean is `INTEGER`. Diesel's own list of migrations is left out.

use std::collections::BTreeSet;

use diesel::prelude::*;

use crate::store::connection::AnyConnection;
use crate::store::dialect::Said;

/// Tables, columns, keys, indexes, foreign keys and named constraints; of them those
/// that are in force.
pub(crate) fn facts(conn: &mut AnyConnection) -> QueryResult<BTreeSet<String>> {
    let mut facts = BTreeSet::new();
    match conn {
        AnyConnection::Postgres(c) => {
            for query in POSTGRES_FACTS {
                let lines: Vec<Said> = diesel::sql_query(query).load(c)?;
                facts.extend(lines.into_iter().map(|line| line.text));
            }
        }
        AnyConnection::Sqlite(c) => {
            for query in SQLITE_FACTS {
                let lines: Vec<Said> = diesel::sql_query(query).load(c)?;
                facts.extend(lines.into_iter().map(|line| line.text));
            }
            // It keeps the statements that made the tables, and no list of what they say.
            let made = "SELECT name || ' ' || sql AS text FROM sqlite_master
                WHERE type = 'table' AND name <> '__diesel_schema_migrations' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
            let made: Vec<Said> = diesel::sql_query(made).load(c)?;
            for definition in made {
                let Some((table, sql)) = definition.text.split_once(' ') else {
                    continue;
                };
                let names = sql.split("CONSTRAINT \"").skip(1);
                facts.extend(names.map(|rest| {
                    format!(
                        "constraint {table} {}",
                        rest.split('"').next().unwrap_or_default()
                    )
                }));
            }
        }
    }
    Ok(facts)
}

/// The names of triggers that are in force, each with what it runs where that is kept
/// beside it: as it was written, with single spaces.
pub(crate) fn triggers(conn: &mut AnyConnection) -> QueryResult<Vec<(String, String)>> {
    let found: Vec<Named> = match conn {
        AnyConnection::Postgres(c) => diesel::sql_query(
            "SELECT t.tgname::text AS name, p.prosrc AS text
             FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
             WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal
               AND t.tgenabled IN ('O', 'A')",
        )
        .load(c)?,
        AnyConnection::Sqlite(c) => diesel::sql_query(
            "SELECT name, sql AS text FROM sqlite_master WHERE type = 'trigger'",
        )
        .load(c)?,
    };
    let found = found.into_iter().map(|one| (one.name, spaced(&one.text)));
    Ok(found.collect())
}

/// Indexes that are there and not in force: their building was cut off.
pub(crate) fn indexes_invalid(conn: &mut AnyConnection) -> QueryResult<Vec<String>> {
    match conn {
        AnyConnection::Sqlite(_) => Ok(Vec::new()),
        AnyConnection::Postgres(c) => {
            let found: Vec<Said> = diesel::sql_query(
                "SELECT n.relname::text AS text
                 FROM pg_index i JOIN pg_class n ON n.oid = i.indexrelid
                 WHERE n.relnamespace = current_schema()::regnamespace
                   AND NOT (i.indisvalid AND i.indisready)",
            )
            .load(c)?;
            Ok(found.into_iter().map(|one| one.text).collect())
        }
    }
}

/// A text with single spaces.
pub(crate) fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[derive(diesel::QueryableByName)]
struct Named {
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    text: String,
}

const SQLITE_FACTS: [&str; 5] = [
    r#"SELECT 'column ' || t.name || '.' || c.name || ' #' || c.cid || ' ' || c.type
         || iif(c."notnull", ' not null', '') || coalesce(' default ' || c.dflt_value, '') AS text
       FROM sqlite_master t, pragma_table_info(t.name) c
       WHERE t.type = 'table' AND t.name <> '__diesel_schema_migrations'"#,
    "SELECT 'primary key ' || t.name || ' (' || group_concat(c.name, ', ' ORDER BY c.pk) || ')' AS text
       FROM sqlite_master t, pragma_table_info(t.name) c
       WHERE t.type = 'table' AND t.name <> '__diesel_schema_migrations' AND c.pk > 0
       GROUP BY t.name",
    "SELECT 'unique ' || t.name || ' (' || group_concat(c.name, ', ' ORDER BY c.seqno) || ')' AS text
       FROM sqlite_master t, pragma_index_list(t.name) i, pragma_index_info(i.name) c
       WHERE t.type = 'table' AND i.origin = 'u'
       GROUP BY t.name, i.name",
    r#"SELECT iif(i."unique", 'unique ', '') || 'index ' || i.name || ' on ' || t.name
         || ' (' || group_concat(c.name, ', ' ORDER BY c.seqno) || ')'
         || iif(i.partial, ' where ' || replace(substr(d.sql, instr(d.sql, 'WHERE ') + 6), '"', ''), '') AS text
       FROM sqlite_master t, pragma_index_list(t.name) i, pragma_index_info(i.name) c
         JOIN sqlite_master d ON d.name = i.name
       WHERE t.type = 'table' AND i.origin = 'c'
       GROUP BY i.name"#,
    r#"SELECT 'foreign key ' || t.name || ' (' || group_concat(f."from", ', ' ORDER BY f.seq)
         || ') -> ' || f."table" || ' (' || group_concat(f."to", ', ' ORDER BY f.seq)
         || ') on delete ' || lower(f.on_delete) || ' on update ' || lower(f.on_update) AS text
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
         ' default ' || replace(regexp_replace(pg_get_expr(d.adbin, d.adrelid), '::.*$', ''), 'false', '0')) AS text
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
         LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
       WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
         AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> '__diesel_schema_migrations'",
    r#"SELECT concat(CASE k.contype WHEN 'p' THEN 'primary key ' ELSE 'unique ' END, c.relname,
         replace(regexp_replace(pg_get_constraintdef(k.oid), '^[A-Z ]*', ' '), '"', '')) AS text
       FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
       WHERE k.connamespace = current_schema()::regnamespace AND k.contype IN ('p', 'u')
         AND c.relname <> '__diesel_schema_migrations'"#,
    r"SELECT concat(CASE WHEN i.indisunique THEN 'unique ' END, 'index ', n.relname, ' on ', c.relname,
         ' (', (SELECT string_agg(a.attname, ', ' ORDER BY k.place)
                FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place)
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum), ')',
         ' where ' || replace(regexp_replace(regexp_replace(pg_get_expr(i.indpred, c.oid),
           '^\((\w+) = ANY \(ARRAY\[(.*)\]\)\)$', '\1 IN (\2)'),
           '^\((\w+ IS NOT NULL)\)$', '\1'), '::text', '')) AS text
       FROM pg_index i JOIN pg_class n ON n.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
       WHERE c.relnamespace = current_schema()::regnamespace AND i.indisvalid AND i.indisready
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
            WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' END) AS text
       FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class p ON p.oid = f.confrelid
       WHERE f.connamespace = current_schema()::regnamespace AND f.contype = 'f' AND f.convalidated",
    "SELECT concat_ws(' ', 'constraint', c.relname, k.conname) AS text
       FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
       WHERE k.connamespace = current_schema()::regnamespace AND k.contype IN ('p', 'u', 'f', 'c') AND k.convalidated
         AND c.relname <> '__diesel_schema_migrations'",
];
