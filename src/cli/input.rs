//! Files of rows: opening the one that was named, and telling what became of
//! its rows.

use std::io;
use std::path::Path;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::ops::fault::{FaultKind, Faults, RowFault};
use crate::ops::import::{ImportError, Imported};
use crate::ops::table_file::{Dialect, TableFile};
use crate::output::json_records::{FaultView, ImportRow, ImportView};
use crate::output::{Format, record, table, text};
use crate::store::{Store, StoreError};

/// Faults that are shown to people; JSON and CSV have more of them.
const FAULTS_SHOWN: usize = 20;

/// Characters of a faulty value that are shown to people.
const VALUE_WIDTH: usize = 40;

/// Reads the file that was named, `-` being standard input.
pub(super) fn open(path: &Path) -> Result<TableFile, CliError> {
    open_as(path, Dialect::default())
}

/// The same of which a person says how it is written.
pub(super) fn open_as(path: &Path, dialect: Dialect) -> Result<TableFile, CliError> {
    let read = if path == Path::new("-") {
        TableFile::read_as("stdin", io::stdin().lock(), dialect)
    } else {
        TableFile::open_as(path, dialect)
    };
    read.map_err(|error| failed(&error))
}

/// A file that cannot be read, or not be written.
pub(super) fn failed(error: &dyn std::error::Error) -> CliError {
    match error.source() {
        Some(cause) => CliError::caused(Exit::CouldNotRun, error.to_string(), cause),
        None => CliError::new(Exit::CouldNotRun, error.to_string()),
    }
}

/// Shows people what is wrong with the rows of a file, on stderr.
pub(super) fn show_faults(cx: &Context, faults: &Faults) {
    let line = |fault: &RowFault| fault.line.map_or_else(String::new, |line| line.to_string());
    let rows = faults.first.iter().take(FAULTS_SHOWN).map(|fault| {
        vec![
            line(fault).into(),
            fault.column.as_str().into(),
            text::brief(&fault.value, VALUE_WIDTH).into(),
            fault.reason.as_str().into(),
        ]
    });
    let columns = [
        table::right("Line"),
        table::left("Column"),
        table::left("Value").shrinks_to(10),
        table::left("Reason"),
    ];
    let shown = table::render(&cx.ui.for_stderr(), &columns, rows.collect());
    cx.ui.line(shown.trim_end());
    if faults.count > FAULTS_SHOWN {
        let more = (faults.count - FAULTS_SHOWN) as u64;
        cx.ui.line(&format!("… and {} more", text::grouped(more)));
    }
    let counts: Vec<String> = faults
        .by_kind()
        .into_iter()
        .map(|(kind, count)| format!("{} {}", text::grouped(count as u64), kind.in_words()))
        .collect();
    cx.ui.line(&format!("by reason: {}", counts.join(", ")));
}

/// The error that ends a command whose file has bad rows. `verb` is what cannot
/// be done with them: `created`, `imported`.
pub(super) fn refused_rows(name: &str, verb: &str, faults: &Faults) -> CliError {
    let message = if faults.whole_file {
        format!("{name} cannot be read; nothing was {verb}")
    } else {
        let rows = text::count(faults.rows as u64, "row");
        format!("{rows} of {name} cannot be {verb}; nothing was {verb}")
    };
    let told = CliError::new(Exit::Attention, message);
    if faults.any(FaultKind::Encoding, "") {
        told.hint("save it as CSV UTF-8")
    } else {
        told
    }
}

/// Refuses to write to a platform's tables before anything else is done.
pub(super) fn require_own_tables(store: &mut Store, tables: &[&str]) -> Result<(), CliError> {
    store
        .require_own_tables(tables)
        .map_err(|error| match &error {
            StoreError::Conflict(_) => CliError::from(error)
                .hint("have the platform add them; payouts reads what it finds there"),
            _ => error.into(),
        })
}

/// One line on what an import did.
pub(super) fn summary(imported: Imported) -> String {
    let Imported {
        added,
        updated,
        already_there,
    } = imported;
    let n = |count: usize| text::grouped(count as u64);
    format!(
        "{} added, {} updated, {} already there",
        n(added),
        n(updated),
        n(already_there)
    )
}

/// Writes what an import did.
pub(super) fn answer_import(cx: &Context, imported: Imported) -> Result<(), CliError> {
    let view = ImportView::of_imported(imported);
    let lines = [ImportRow::from(&view)];
    record::print(cx.format, &cx.ui, &view, &lines, || {
        format!("{}\n", summary(imported))
    })?;
    Ok(())
}

/// Tells why nothing of a file, or of the arguments of one row, was imported.
pub(super) fn refuse_import(
    cx: &Context,
    file: Option<&TableFile>,
    what: &str,
    error: ImportError,
) -> CliError {
    let faults = match error {
        ImportError::Store(error) => return error.into(),
        ImportError::File(error) => return failed(&error),
        ImportError::Faults { faults } => faults,
    };
    if cx.format == Format::Table {
        if file.is_some() {
            show_faults(cx, &Faults::of(faults.clone()));
        }
    } else {
        let view = ImportView::of_faults(&faults);
        let lines: Vec<FaultView> = faults.iter().map(FaultView::from).collect();
        if let Err(error) = record::print(cx.format, &cx.ui, &view, &lines, String::new) {
            return error.into();
        }
    }
    match file {
        Some(file) => refused_rows(file.name(), "imported", &Faults::of(faults)),
        None => refused_one(
            &format!("the {what} cannot be added; nothing was added"),
            &faults,
        ),
    }
}

/// The error of something given by arguments: its faults are the causes.
pub(super) fn refused_one(message: &str, faults: &[RowFault]) -> CliError {
    faults
        .iter()
        .fold(CliError::new(Exit::Attention, message), |told, fault| {
            told.because(format!(
                "{} {:?}: {}",
                fault.column, fault.value, fault.reason
            ))
        })
}
