//! Whether a database still consists of what its migrations made of it.
//!
//! What they make is read from a database in memory that they have just been run in,
//! so that it has one home, the migrations; both trees make the same (a test holds
//! them together). Only what is missing is a fault: a platform may add columns and
//! indexes to its own tables, and somebody an index to ours.

use std::collections::BTreeSet;

use crate::store::connection::{self, Backend};
use crate::store::dialect::catalog;
use crate::store::{Store, StoreError, migrations};

/// Tables that the platform may have made itself: of them only the columns that are
/// read here are asked for. `payouts` is as founded, whoever made it.
const PARENTS: [&str; 4] = ["users", "creators", "royalty_runs", "royalty_statements"];

/// Something that the migrations made and that is not there any more, or not as they
/// made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFault {
    /// What it is.
    pub kind: SchemaPart,
    /// The whole of it: `index payout_queue_idx on payouts (status, created_at, id)`.
    pub what: String,
    /// It is there, and not in force: its building was cut off.
    pub invalid: bool,
    /// The statement that makes it again, where there is one.
    pub remedy: Option<String>,
}

/// A part of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SchemaPart {
    /// A column, with its type, whether it may be null, and its default.
    Column,
    /// A primary key, or a key that is unique.
    Key,
    /// An index that only makes things fast.
    Index,
    /// A foreign key or a check.
    Constraint,
    /// What keeps the history append-only.
    Trigger,
}

impl SchemaPart {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Column => "column",
            Self::Key => "unique key",
            Self::Index => "index",
            Self::Constraint => "constraint",
            Self::Trigger => "trigger",
        }
    }
}

impl Store {
    /// Every table, column, key, index and constraint that is in force, a line each.
    pub fn catalog(&mut self) -> Result<BTreeSet<String>, StoreError> {
        self.read(|conn| Ok(catalog::facts(conn)?))
    }

    /// What is missing of what the migrations made, and how many parts they made.
    /// Every migration must have run.
    pub fn schema_faults(&mut self) -> Result<(Vec<SchemaFault>, usize), StoreError> {
        let backend = self.backend();
        let mut lenient = Vec::new();
        for table in PARENTS {
            if !self.owns_table(table)? {
                lenient.push(table);
            }
        }
        let mut model = connection::in_memory()?;
        let made = catalog::facts(&mut model)?;
        let (found, triggers, invalid) = self.read(|conn| {
            Ok((
                catalog::facts(conn)?,
                catalog::triggers(conn)?,
                catalog::indexes_invalid(conn)?,
            ))
        })?;
        let found: BTreeSet<String> = found.iter().map(|fact| placeless(fact)).collect();
        let columns: BTreeSet<&str> = found.iter().filter_map(|fact| column(fact)).collect();
        // Keys have a line that says all of them, besides that of their name.
        let made: Vec<String> = made
            .iter()
            .filter(|fact| !fact.starts_with("constraint ") || fact.ends_with("_check"))
            .map(|fact| placeless(fact))
            .collect();
        let mut parts = 0;
        let mut faults = Vec::new();
        for fact in made {
            let missing = if lenient.contains(&table_of(&fact)) {
                match column(&fact) {
                    Some(name) => !columns.contains(name),
                    None => continue,
                }
            } else {
                !found.contains(&fact)
            };
            parts += 1;
            if missing {
                let kind = kind_of(&fact);
                let name = name_of(&fact);
                let invalid = name.is_some_and(|name| invalid.iter().any(|index| index == name));
                faults.push(SchemaFault {
                    kind,
                    remedy: name.and_then(|name| remedy(backend, &fact, name, invalid)),
                    invalid,
                    what: fact,
                });
            }
        }
        for (name, runs) in migrations::triggers(backend) {
            parts += 1;
            let in_force = triggers
                .iter()
                .any(|(found, body)| *found == name && *body == runs);
            if !in_force {
                faults.push(SchemaFault {
                    kind: SchemaPart::Trigger,
                    remedy: migrations::statement(backend, "TRIGGER", &name).map(|sql| {
                        // It may be there and do something else.
                        let on = match backend {
                            Backend::Postgres => " ON \"payout_history\"",
                            Backend::Sqlite => "",
                        };
                        format!("DROP TRIGGER IF EXISTS \"{name}\"{on}; {sql}")
                    }),
                    what: format!("trigger {name} on payout_history"),
                    invalid: false,
                });
            }
        }
        faults.sort_by(|a, b| a.kind.cmp(&b.kind).then_with(|| a.what.cmp(&b.what)));
        Ok((faults, parts))
    }
}

/// A column's place among the others means nothing.
fn placeless(fact: &str) -> String {
    match fact.strip_prefix("column ").and_then(|rest| {
        let (name, rest) = rest.split_once(" #")?;
        Some((name, rest.split_once(' ')?.1))
    }) {
        Some((name, kind)) => format!("column {name} {kind}"),
        None => fact.to_owned(),
    }
}

/// `table.column` of a column.
fn column(fact: &str) -> Option<&str> {
    fact.strip_prefix("column ")?.split(' ').next()
}

fn kind_of(fact: &str) -> SchemaPart {
    match fact.split(' ').next() {
        Some("column") => SchemaPart::Column,
        Some("primary" | "unique") => SchemaPart::Key,
        Some("index") => SchemaPart::Index,
        _ => SchemaPart::Constraint,
    }
}

/// The table that a fact is about.
fn table_of(fact: &str) -> &str {
    let words: Vec<&str> = fact.split(' ').collect();
    let word = |place: usize| words.get(place).copied().unwrap_or_default();
    match word(0) {
        "column" => word(1).split('.').next().unwrap_or_default(),
        "primary" | "foreign" => word(2),
        "unique" if word(1) == "index" => word(4),
        "index" => word(3),
        // `unique` and `constraint`.
        _ => word(1),
    }
}

/// The name by which a migration makes it, of an index or a check.
fn name_of(fact: &str) -> Option<&str> {
    if fact.starts_with("constraint ") {
        return fact.split(' ').nth(2);
    }
    let rest = fact.strip_prefix("unique ").unwrap_or(fact);
    rest.strip_prefix("index ")?.split(' ').next()
}

/// What makes an index or a check again.
fn remedy(backend: Backend, fact: &str, name: &str, invalid: bool) -> Option<String> {
    if fact.starts_with("constraint ") {
        // SQLite cannot add one to a table that is there.
        return match backend {
            Backend::Sqlite => None,
            Backend::Postgres => migrations::constraint(backend, name)
                .map(|line| format!("ALTER TABLE \"{}\" ADD {line};", table_of(fact))),
        };
    }
    let made = migrations::statement(backend, "INDEX", name)?;
    // One of the same name that is cut off, or made otherwise, is in its way.
    let drop = if invalid {
        "DROP INDEX"
    } else {
        "DROP INDEX IF EXISTS"
    };
    Some(format!("{drop} \"{name}\"; {made}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_says_what_it_is_about() {
        for (fact, kind, table, name) in [
            (
                "column payouts.status TEXT not null",
                SchemaPart::Column,
                "payouts",
                None,
            ),
            (
                "primary key payout_runs (id)",
                SchemaPart::Key,
                "payout_runs",
                None,
            ),
            (
                "unique creators (userId)",
                SchemaPart::Key,
                "creators",
                None,
            ),
            (
                "unique index payout_attempts_open_key on payout_attempts (payout_id) where x",
                SchemaPart::Key,
                "payout_attempts",
                Some("payout_attempts_open_key"),
            ),
            (
                "index payout_queue_idx on payouts (status, created_at, id)",
                SchemaPart::Index,
                "payouts",
                Some("payout_queue_idx"),
            ),
            (
                "foreign key payouts (creator_id) -> creators (id) on delete restrict",
                SchemaPart::Constraint,
                "payouts",
                None,
            ),
            (
                "constraint payout_holds payout_holds_kind_check",
                SchemaPart::Constraint,
                "payout_holds",
                Some("payout_holds_kind_check"),
            ),
        ] {
            assert_eq!(
                (kind_of(fact), table_of(fact), name_of(fact)),
                (kind, table, name)
            );
        }
        assert_eq!(
            placeless("column payouts.status #5 TEXT not null"),
            "column payouts.status TEXT not null"
        );
    }

    #[test]
    fn what_is_missing_has_the_statement_that_made_it() {
        let postgres = |fact: &str| {
            let name = name_of(fact).unwrap();
            remedy(Backend::Postgres, fact, name, false).unwrap()
        };
        insta::assert_snapshot!(postgres("index payout_queue_idx on payouts (status)"), @r#"DROP INDEX IF EXISTS "payout_queue_idx"; CREATE INDEX CONCURRENTLY IF NOT EXISTS "payout_queue_idx" ON "payouts" ("status", "created_at", "id");"#);
        insta::assert_snapshot!(postgres("unique index payout_attempts_open_key on payout_attempts (payout_id)"), @r#"DROP INDEX IF EXISTS "payout_attempts_open_key"; CREATE UNIQUE INDEX "payout_attempts_open_key" ON "payout_attempts" ("payout_id") WHERE "outcome" IN ('sending', 'unknown', 'paid');"#);
        insta::assert_snapshot!(postgres("constraint payout_holds payout_holds_kind_check"), @r#"ALTER TABLE "payout_holds" ADD CONSTRAINT "payout_holds_kind_check" CHECK ("kind" IN ('payout', 'creator', 'batch', 'all'));"#);
    }

    #[test]
    fn every_trigger_has_the_statement_that_made_it() {
        for backend in [Backend::Sqlite, Backend::Postgres] {
            let triggers = migrations::triggers(backend);
            assert!(triggers.len() >= 2, "{triggers:?}");
            for (name, runs) in triggers {
                assert!(runs.contains("append-only"), "{name}: {runs}");
                let made = migrations::statement(backend, "TRIGGER", &name).unwrap();
                assert!(made.ends_with(';') && made.contains(&name), "{made}");
            }
        }
    }
}
