//! `payouts reconcile --file`: which file, and what is said of one that cannot be compared.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::context::Context;
use crate::cli::create::{decimal_mark, encoding};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::input;
use crate::cli::reconcile::{ReconcileArgs, period_asked};
use crate::model::money::DecimalMark;
use crate::model::time::Span;
use crate::ops::fault::Faults;
use crate::ops::reconcile::report::{NotCompared, Report};
use crate::ops::stripe_report::{self, OPTIONAL_COLUMNS, map_column};
use crate::ops::table_file::{Dialect, Encoding};
use crate::output::Format;
use crate::output::json_records::{FaultView, FaultsView};
use crate::output::record;

/// A report in the place of Stripe's lists.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// Compare with this report of Stripe's; - reads standard input
    ///
    /// `balance_change_from_activity.itemized` or `payout_reconciliation.itemized`, with
    /// the optional columns `source_id`, `transfer_metadata[payout_id]` and
    /// `connected_account_id` ticked; the dashboard's export of the balance; or any CSV
    /// file whose columns are named with --map.
    #[arg(long, value_name = "FILE", help_heading = "A report")]
    pub(super) file: Option<PathBuf>,

    /// What the file calls a column, such as gross=Betrag; may be repeated
    #[arg(
        long,
        value_name = "COLUMN=NAME",
        value_parser = map_column,
        requires = "file",
        help_heading = "A report"
    )]
    pub(super) map: Vec<(String, String)>,

    /// What stands before the decimals: '.', or ',' as in 1.250,00
    #[arg(
        long,
        value_name = "MARK",
        value_parser = decimal_mark,
        requires = "file",
        help_heading = "A report"
    )]
    pub(super) decimal: Option<DecimalMark>,

    /// utf-8, utf-16le, utf-16be or windows-1252, where the file does not say itself
    #[arg(
        long,
        value_name = "NAME",
        value_parser = encoding,
        requires = "file",
        help_heading = "A report"
    )]
    pub(super) encoding: Option<Encoding>,
}

/// Reads a report once, and refuses one that nothing can be compared with.
pub(super) fn report_at(
    cx: &Context,
    path: &Path,
    args: &ReconcileArgs,
) -> Result<Report, CliError> {
    let dialect = Dialect {
        encoding: args.report.encoding,
        names: args.report.map.clone(),
        ignored: Vec::new(),
        decimal: args.report.decimal.unwrap_or_default(),
    };
    let file = if path == Path::new("-") {
        stripe_report::read("stdin", io::stdin().lock(), dialect)
    } else {
        stripe_report::open(path, dialect)
    };
    let file = file.map_err(|error| input::failed(&error))?;
    let name = file.name().to_owned();
    Report::of(file, &args.tz).map_err(|refused| match refused {
        NotCompared::File(error) => input::failed(&error),
        NotCompared::Faults(faults) => refuse_rows(cx, &name, &faults, args),
        NotCompared::ConnectedAccounts => nothing_compared(&name, &refused).hint(
            "download the platform's own report: balance_change_from_activity.itemized, without connected accounts",
        ),
        NotCompared::NoTransfers | NotCompared::AnotherTime { .. } => {
            nothing_compared(&name, &refused)
        }
        NotCompared::NamesNoTransfers { .. } => nothing_compared(&name, &refused).hint(format!(
            "download the report again with the optional column {} ticked",
            OPTIONAL_COLUMNS[0]
        )),
    })
}

pub(super) fn nothing_compared(name: &str, why: &NotCompared) -> CliError {
    CliError::new(
        Exit::CouldNotRun,
        format!("nothing is compared with {name}: {why}"),
    )
}

/// Tells every fault of a file: where it stands, and what is wrong.
fn refuse_rows(cx: &Context, name: &str, faults: &Faults, args: &ReconcileArgs) -> CliError {
    if cx.format == Format::Table {
        input::show_faults(cx, faults);
    } else {
        let view = FaultsView::of(faults);
        let lines: Vec<FaultView> = faults.first.iter().map(FaultView::from).collect();
        if let Err(error) = record::print(cx.format, &cx.ui, &view, &lines, String::new) {
            return error.into();
        }
    }
    let refused = input::refused_rows(name, "compared", faults);
    if faults.decimal_commas > 0 && args.report.decimal.is_none() {
        return refused.hint("if its amounts have a decimal comma, say --decimal ,");
    }
    refused
}

pub(super) fn without_key_nothing_is_repaired() -> CliError {
    CliError::new(
        Exit::CouldNotRun,
        "there is no Stripe key, and nothing is repaired on the word of a file",
    )
    .hint("set STRIPE_SECRET_KEY, or leave out --fix")
}

/// The time of a file's rows, where no other is asked for.
pub(super) fn period_of_report(
    cx: &Context,
    report: &Report,
    args: &ReconcileArgs,
) -> Result<Span, CliError> {
    let asked = period_asked(cx, args)?.unwrap_or_default();
    report.period(asked).map_err(|refused| {
        let told = nothing_compared(report.name(), &refused);
        match refused {
            NotCompared::AnotherTime { .. } => {
                told.hint("leave out --period, --from and --to to compare all of the file")
            }
            _ => told.hint("a report has the transfers of the time that it was asked for"),
        }
    })
}
