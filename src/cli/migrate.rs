//! `payouts migrate`, alias `init`.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::output::json::{MigrationSqlView, MigrationView};
use crate::output::{Answer, table};
use crate::store::migrations::{MigrationState, all};
use crate::store::{Backend, DatabaseUrl, Open, StoreError};

/// Create the database, or bring it up to date
///
/// Runs what is pending, under a lock, so that several processes may start at
/// once. On a platform's database it adds its own tables, all named payout_…,
/// and one index on payouts; it changes nothing else there.
#[derive(Debug, Args)]
#[command(visible_alias = "init")]
pub(super) struct MigrateArgs {
    /// Only say what has run and what has not
    #[arg(long, conflicts_with_all = ["dry_run", "revert"])]
    status: bool,

    /// Print the SQL that would run, and run nothing
    #[arg(long, conflicts_with = "revert", help_heading = "Safety")]
    dry_run: bool,

    /// Take the newest migration back; refused where that would lose anything
    #[arg(long)]
    revert: bool,
}

pub(super) fn run(cx: &mut Context, args: &MigrateArgs) -> Result<Exits, CliError> {
    if args.status {
        let states = states(cx)?;
        let pending = states.iter().any(|s| !s.applied);
        print_states(cx, &states)?;
        return Ok(if pending { Exit::Attention } else { Exit::Done }.into());
    }
    if args.dry_run {
        print_sql(cx, &states(cx)?)?;
        return Ok(Exit::Done.into());
    }
    let mut store;
    if args.revert {
        store = cx.open(Open::Existing)?;
        let name = store
            .migrate_revert()
            .map_err(|e| failed(cx, "revert the newest migration of", e))?;
        cx.ui.note(&format!("reverted {name}"));
    } else {
        store = cx.open(Open::CreateIfMissing)?;
        let ran = store.migrate().map_err(|e| failed(cx, "migrate", e))?;
        match ran.len() {
            0 => cx.ui.note(&format!("{} is up to date", cx.config.database)),
            _ => cx
                .ui
                .note(&format!("{}: ran {}", cx.config.database, ran.join(", "))),
        }
    }
    print_states(cx, &store.migrations()?)?;
    Ok(Exit::Done.into())
}

/// What has run. An embedded database that is not there yet has run nothing.
fn states(cx: &Context) -> Result<Vec<MigrationState>, CliError> {
    cx.note_default_database();
    let opened = crate::store::Store::open(
        &cx.config.database,
        Open::Existing,
        cx.config.pooled,
        cx.clock.clone(),
    );
    match opened {
        Ok(mut store) => store
            .migrations()
            .map_err(|e| failed(cx, "read the migrations of", e)),
        Err(StoreError::Missing { .. }) => {
            let backend = match &cx.config.database {
                DatabaseUrl::Sqlite(_) => Backend::Sqlite,
                DatabaseUrl::Postgres(_) => Backend::Postgres,
            };
            Ok(all(backend)
                .iter()
                .map(|m| MigrationState {
                    migration: *m,
                    applied: false,
                })
                .collect())
        }
        Err(error) => Err(error.into()),
    }
}

fn failed(cx: &Context, what: &str, error: StoreError) -> CliError {
    CliError::from(error).doing(format!("failed to {what} {}", cx.config.database))
}

/// The SQL that is still to run.
fn print_sql(cx: &Context, states: &[MigrationState]) -> Result<(), CliError> {
    let views: Vec<MigrationSqlView> = states
        .iter()
        .filter(|s| !s.applied)
        .map(|s| MigrationSqlView {
            name: s.migration.name,
            sql: s.migration.up,
        })
        .collect();
    Answer::new("migrations", views).print(cx.format, &cx.ui, |_, views| {
        let scripts: Vec<String> = views
            .iter()
            .map(|v| format!("-- {}\n{}\n", v.name, v.sql.trim_end()))
            .collect();
        scripts.concat()
    })?;
    Ok(())
}

fn print_states(cx: &Context, states: &[MigrationState]) -> Result<(), CliError> {
    let views: Vec<MigrationView> = states
        .iter()
        .map(|s| MigrationView {
            name: s.migration.name,
            applied: s.applied,
        })
        .collect();
    Answer::new("migrations", views).print(cx.format, &cx.ui, |ui, views| {
        table::render(
            ui,
            &[table::left("Migration"), table::left("State")],
            views
                .iter()
                .map(|v| {
                    vec![
                        v.name.into(),
                        if v.applied { "applied" } else { "pending" }.into(),
                    ]
                })
                .collect(),
        )
    })?;
    Ok(())
}
