//! Bringing a database to this version's schema, and saying how far it is.

use diesel::connection::BoxableConnection;
use diesel::migration::{
    Migration, MigrationMetadata, MigrationName, MigrationSource, MigrationVersion,
};
use diesel::prelude::*;
use diesel_migrations::MigrationHarness;

use crate::model::schema::payout_own_tables;
use crate::store::connection::{AnyConnection, Backend};
use crate::store::dialect::{self, on_each};
use crate::store::{Store, StoreError};

/// One migration as it is compiled in, so that its SQL can be shown.
#[derive(Debug, Clone, Copy)]
pub struct SqlMigration {
    /// The folder's name, `005_add_payouts_table`.
    pub name: &'static str,
    /// Forward.
    pub up: &'static str,
    /// Back.
    pub down: &'static str,
    /// An index made CONCURRENTLY cannot share a transaction.
    in_transaction: bool,
}

macro_rules! tree {
    ($folder:literal, $( $name:literal $(($outside:ident))? ),+ $(,)?) => {
        &[ $( SqlMigration {
            name: $name,
            up: include_str!(concat!("../../migrations/", $folder, "/", $name, "/up.sql")),
            down: include_str!(concat!("../../migrations/", $folder, "/", $name, "/down.sql")),
            in_transaction: tree!(@ $($outside)?),
        } ),+ ]
    };
    (@) => { true };
    (@ outside_transaction) => { false };
}

const POSTGRES: &[SqlMigration] = tree!(
    "postgres",
    "001_add_platform_tables",
    "005_add_payouts_table",
    "006_add_payout_ledger",
    "007_add_payout_queue_index"(outside_transaction),
    "008_add_payout_reconciliation",
    "009_add_payout_hold_releases",
    "010_add_payout_lookups",
    "011_add_payout_stripe_events",
    "012_add_payout_notifications",
    "013_add_payout_alerts",
);

const SQLITE: &[SqlMigration] = tree!(
    "sqlite",
    "001_add_platform_tables",
    "005_add_payouts_table",
    "006_add_payout_ledger",
    "007_add_payout_queue_index",
    "008_add_payout_reconciliation",
    "009_add_payout_hold_releases",
    "010_add_payout_lookups",
    "011_add_payout_stripe_events",
    "012_add_payout_notifications",
    "013_add_payout_alerts",
);

/// This version's migrations for a backend, oldest first.
pub fn all(backend: Backend) -> &'static [SqlMigration] {
    match backend {
        Backend::Postgres => POSTGRES,
        Backend::Sqlite => SQLITE,
    }
}

/// The statement that makes an index or a trigger (`what`) of this name, on one line:
/// that of the newest migration that makes it.
pub(super) fn statement(backend: Backend, what: &str, name: &str) -> Option<String> {
    let named = format!("\"{name}\"");
    let made = all(backend).iter().rev().find_map(|migration| {
        let mut lines = migration.up.lines().skip_while(|line| {
            let begins = line.starts_with("CREATE ") && line.contains(what);
            !(begins && line.split_whitespace().any(|word| word == named))
        });
        // What a trigger of SQLite runs has semicolons of its own.
        let mut made: Vec<&str> = vec![lines.next()?];
        let runs = what == "TRIGGER" && backend == Backend::Sqlite;
        while let Some(last) = made.last() {
            let ends = if runs {
                *last == "END;"
            } else {
                last.trim_end().ends_with(';')
            };
            match lines.next() {
                Some(line) if !ends => made.push(line),
                _ => break,
            }
        }
        Some(made.join(" "))
    })?;
    Some(dialect::catalog::spaced(&made))
}

/// The words that make a constraint of this name.
pub(super) fn constraint(backend: Backend, name: &str) -> Option<&'static str> {
    let begins = format!("CONSTRAINT \"{name}\"");
    let lines = all(backend).iter().rev().flat_map(|m| m.up.lines());
    let mut lines = lines.map(|line| line.trim().trim_end_matches([',', ';']));
    lines.find(|line| line.starts_with(&begins))
}

/// Every trigger that the migrations make, with what it runs: on SQLite its statement,
/// on PostgreSQL the body of its function. With single spaces.
pub(super) fn triggers(backend: Backend) -> Vec<(String, String)> {
    let up = || all(backend).iter().map(|migration| migration.up);
    let names = up().flat_map(|sql| {
        let made = sql.split("CREATE TRIGGER \"").skip(1);
        made.filter_map(|rest| rest.split('"').next())
    });
    let runs = |name: &str| match backend {
        Backend::Sqlite => {
            statement(backend, "TRIGGER", name).map(|sql| sql.trim_end_matches(';').to_owned())
        }
        Backend::Postgres => statement(backend, "TRIGGER", name).and_then(|sql| {
            let function = sql.split("EXECUTE FUNCTION ").nth(1)?;
            let function = function.split('(').next()?;
            let body = up().find_map(|sql| {
                sql.split(&format!("FUNCTION {function}"))
                    .nth(1)?
                    .split("$$")
                    .nth(1)
            })?;
            Some(dialect::catalog::spaced(body))
        }),
    };
    names
        .filter_map(|name| Some((name.to_owned(), runs(name)?)))
        .collect()
}

/// A migration and whether the database has it.
#[derive(Debug, Clone, Copy)]
pub struct MigrationState {
    /// Which.
    pub migration: SqlMigration,
    /// It ran here.
    pub applied: bool,
}

impl Store {
    /// Every migration of this version and whether it ran here. Writes nothing.
    pub fn migrations(&mut self) -> Result<Vec<MigrationState>, StoreError> {
        let applied = self.read(applied_versions)?;
        let known = all(self.backend());
        let newer: Vec<String> = applied
            .iter()
            // Diesel's own names are dates; ours are three digits. A platform
            // that migrates with Diesel too keeps its list in the same table.
            .filter(|v| v.len() == 3 && known.iter().all(|m| m.version_text() != v.as_str()))
            .cloned()
            .collect();
        if !newer.is_empty() {
            return Err(StoreError::NewerSchema { versions: newer });
        }
        Ok(known
            .iter()
            .map(|m| MigrationState {
                migration: *m,
                applied: applied.iter().any(|v| v == m.version_text()),
            })
            .collect())
    }

    /// Whether this tool made a founding or parent table itself, as opposed to
    /// the platform.
    pub fn owns_table(&mut self, name: &str) -> Result<bool, StoreError> {
        self.read(|conn| {
            Ok(diesel::select(diesel::dsl::exists(
                payout_own_tables::table.filter(payout_own_tables::name.eq(name)),
            ))
            .get_result(conn)?)
        })
    }

    /// Refuses to write to tables that the platform made: it alone does.
    ///
    /// # Errors
    /// A conflict that names the first of them.
    pub fn require_own_tables(&mut self, tables: &[&str]) -> Result<(), StoreError> {
        for table in tables {
            if !self.owns_table(table)? {
                return Err(StoreError::Conflict(format!(
                    "the table {table} belongs to the platform, which alone writes to it"
                )));
            }
        }
        Ok(())
    }

    /// Refuses a database whose schema is not this version's.
    pub fn require_current_schema(&mut self) -> Result<(), StoreError> {
        let names: Vec<String> = self
            .migrations()?
            .into_iter()
            .filter(|m| !m.applied)
            .map(|m| m.migration.name.to_owned())
            .collect();
        if names.is_empty() {
            Ok(())
        } else {
            Err(StoreError::PendingMigrations { names })
        }
    }

    /// Runs what is pending, under a lock, and returns the names of what ran.
    pub fn migrate(&mut self) -> Result<Vec<&'static str>, StoreError> {
        self.under_migration_lock(|store| {
            let pending: Vec<SqlMigration> = store
                .migrations()?
                .into_iter()
                .filter(|m| !m.applied)
                .map(|m| m.migration)
                .collect();
            let mut ran = Vec::new();
            for migration in pending {
                dialect::before_migration(&mut store.conn, migration.name)?;
                match run(&mut store.conn, &migration) {
                    Ok(true) => ran.push(migration.name),
                    // Another process did it between our look and our turn (SQLite).
                    Ok(false) => {}
                    Err(_) if store.is_applied(&migration)? => {}
                    Err(reason) => {
                        return Err(StoreError::Migration {
                            name: migration.name.to_owned(),
                            reason: reason.to_string(),
                        });
                    }
                }
            }
            store.database_id_once()?;
            Ok(ran)
        })
    }

    fn is_applied(&mut self, migration: &SqlMigration) -> Result<bool, StoreError> {
        Ok(self
            .read(applied_versions)?
            .iter()
            .any(|v| v == migration.version_text()))
    }

    /// Reverts the newest migration, and refuses wherever that could lose
    /// something: a table that was there before this tool, or one that holds rows.
    pub fn migrate_revert(&mut self) -> Result<&'static str, StoreError> {
        self.under_migration_lock(|store| {
            let newest = store
                .migrations()?
                .into_iter()
                .rfind(|m| m.applied)
                .map(|m| m.migration)
                .ok_or_else(|| StoreError::Conflict("no migration has run here".to_owned()))?;
            store.refuse_unsafe_revert(&newest)?;
            on_each!(&mut store.conn, c => c.revert_migration(&newest).map(drop)).map_err(
                |reason| StoreError::Migration {
                    name: newest.name.to_owned(),
                    reason: reason.to_string(),
                },
            )?;
            Ok(newest.name)
        })
    }

    fn refuse_unsafe_revert(&mut self, migration: &SqlMigration) -> Result<(), StoreError> {
        let own: Vec<String> = self.read(|conn| {
            Ok(payout_own_tables::table
                .select(payout_own_tables::name)
                .load(conn)?)
        })?;
        for table in tables_dropped(migration.down) {
            let ours = table.starts_with("payout_") || own.iter().any(|name| name == table);
            if !ours {
                return Err(StoreError::Conflict(format!(
                    "{} cannot be reverted: the table {table} was there before payouts",
                    migration.name
                )));
            }
            // What a migration itself writes is not worth keeping.
            let worth_keeping = match table {
                "payout_own_tables" => false,
                "payout_settings" => self.was_stamped()?,
                _ => dialect::has_rows(&mut self.conn, table)?,
            };
            if worth_keeping {
                return Err(StoreError::Conflict(format!(
                    "{} cannot be reverted: the table {table} holds rows",
                    migration.name
                )));
            }
        }
        Ok(())
    }

    fn under_migration_lock<T>(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.pooled() {
            return Err(StoreError::Conflict(
                "migrations need a session of their own, which a transaction pooler does not give: \
                 connect to the server itself"
                    .to_owned(),
            ));
        }
        dialect::migration_lock(&mut self.conn)?;
        let result = body(self);
        let unlocked = dialect::migration_unlock(&mut self.conn);
        let value = result?;
        unlocked?;
        Ok(value)
    }
}

/// The tables a down migration drops, in its order.
fn tables_dropped(down: &str) -> impl Iterator<Item = &str> {
    down.lines().filter_map(|line| {
        line.strip_prefix("DROP TABLE \"")
            .and_then(|rest| rest.split('"').next())
    })
}

/// Returns whether it was this call that ran it.
fn run(conn: &mut AnyConnection, migration: &SqlMigration) -> diesel::migration::Result<bool> {
    on_each!(conn, c => c.run_pending_migrations(Only(*migration)).map(|ran| !ran.is_empty()))
}

fn applied_versions(conn: &mut AnyConnection) -> Result<Vec<String>, StoreError> {
    diesel::table! {
        __diesel_schema_migrations (version) {
            version -> Text,
        }
    }
    let found = __diesel_schema_migrations::table
        .select(__diesel_schema_migrations::version)
        .order(__diesel_schema_migrations::version)
        .load(conn);
    match found {
        Err(error) if dialect::is_missing_table(&error) => Ok(Vec::new()),
        other => Ok(other?),
    }
}

/// A source of exactly one migration, so that each is asked for by name.
struct Only(SqlMigration);

impl<DB: diesel::backend::Backend> MigrationSource<DB> for Only {
    fn migrations(&self) -> diesel::migration::Result<Vec<Box<dyn Migration<DB>>>> {
        Ok(vec![Box::new(self.0)])
    }
}

impl SqlMigration {
    /// `005`, which is what Diesel records.
    pub fn version_text(&self) -> &'static str {
        self.name.split('_').next().unwrap_or(self.name)
    }
}

impl<DB: diesel::backend::Backend> Migration<DB> for SqlMigration {
    fn run(&self, conn: &mut dyn BoxableConnection<DB>) -> diesel::migration::Result<()> {
        Ok(conn.batch_execute(self.up)?)
    }

    fn revert(&self, conn: &mut dyn BoxableConnection<DB>) -> diesel::migration::Result<()> {
        Ok(conn.batch_execute(self.down)?)
    }

    fn metadata(&self) -> &dyn MigrationMetadata {
        self
    }

    fn name(&self) -> &dyn MigrationName {
        self
    }
}

impl MigrationMetadata for SqlMigration {
    fn run_in_transaction(&self) -> bool {
        self.in_transaction
    }
}

impl MigrationName for SqlMigration {
    fn version(&self) -> MigrationVersion<'_> {
        MigrationVersion::from(self.version_text())
    }
}

impl std::fmt::Display for SqlMigration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
