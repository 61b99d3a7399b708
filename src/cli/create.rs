//! `payouts create`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::create_ask::{self, One};
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::recorded::recorded;
use crate::cli::{from_statements, input, selection};
use crate::model::listing::ListedPayout;
use crate::model::money::with_currency;
use crate::ops::create::{self, CreateError, Created, Rules, Source, Wanted};
use crate::ops::fault::{FaultKind, RowFault};
use crate::ops::table_file::TableFile;
use crate::output::json_records::{CreateRow, CreateView, FaultView};
use crate::output::{Format, list, record, text};
use crate::store::Store;

/// Create payouts: one, a file of them, or what statements are owed
///
/// All of a file is created or nothing: every bad row is reported with its line,
/// column, value and reason. A batch starts held; look it over, then release it.
/// Nothing is sent to Stripe here. On a terminal, what is not said of a single
/// payout is asked for.
///
/// A file has a header and the columns `creator` (id, e-mail address or Stripe
/// account), `amount` (major units, such as 500.00) or `amount_cents`, and,
/// where they are wanted, `statement` and `reference`. A reference names a
/// payment once and for all: loading it again creates nothing.
///
/// From statements, each one that is REVIEWED or RESOLVED and not paid gets one
/// payout of all that is left of it, and every other one is told with why. Doing
/// it again creates nothing, because a statement has one payout at a time.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("source").args(["file", "from_statements"]))]
pub(super) struct CreateArgs {
    /// Whom to pay: id, e-mail address or Stripe account; of statements, only
    /// this creator's
    #[arg(long, value_name = "CREATOR", help_heading = "One payout")]
    creator: Option<String>,

    /// How much, in major units, such as 500.00
    #[arg(
        long,
        conflicts_with = "amount_cents",
        allow_negative_numbers = true,
        help_heading = "One payout"
    )]
    amount: Option<String>,

    /// How much, in minor units, such as 50000
    #[arg(
        long,
        value_name = "CENTS",
        allow_negative_numbers = true,
        help_heading = "One payout"
    )]
    amount_cents: Option<String>,

    /// The royalty statement it settles
    #[arg(long, value_name = "ID", help_heading = "One payout")]
    statement: Option<String>,

    /// Your own name for the payment, unique
    #[arg(long, value_name = "TEXT", help_heading = "One payout")]
    reference: Option<String>,

    #[command(flatten)]
    batch: BatchArgs,

    #[command(flatten)]
    statements: StatementsArgs,

    /// Allow less than what is left of a statement
    #[arg(long, conflicts_with = "from_statements", help_heading = "Safety")]
    partial: bool,

    /// Do everything but write, and say what would be created
    #[arg(long, help_heading = "Safety")]
    dry_run: bool,
}

/// Where a batch comes from, and what holds for all of it.
#[derive(Debug, Args)]
struct BatchArgs {
    /// A CSV file of payouts; - reads standard input
    #[arg(
        long,
        short,
        value_name = "FILE",
        conflicts_with_all = ["creator", "amount", "amount_cents", "statement", "reference"],
        help_heading = "A batch"
    )]
    file: Option<PathBuf>,

    /// Let rows without a reference take the file's hash and their line
    ///
    /// The same file is still loaded only once, but an edited copy of it would
    /// be paid again.
    #[arg(
        long,
        requires = "file",
        conflicts_with = "from_statements",
        help_heading = "A batch"
    )]
    no_references: bool,

    /// Do not hold the batch: the next `process` may pay it
    #[arg(long, requires = "source", help_heading = "A batch")]
    release: bool,
}

/// What asks for other payouts than those of statements. Each flag about statements
/// refuses it by itself: clap forgives a missing `--from-statements` where that
/// could not stand.
const NOT_OF_STATEMENTS: [&str; 5] = ["file", "amount", "amount_cents", "statement", "reference"];

/// Which statements, and whether what was taken back is owed again.
#[derive(Debug, Args)]
struct StatementsArgs {
    /// What is left of each payable royalty statement
    #[arg(
        long,
        conflicts_with_all = NOT_OF_STATEMENTS,
        help_heading = "A batch"
    )]
    from_statements: bool,

    /// Of those, only this royalty run's
    #[arg(
        long,
        value_name = "ID",
        requires = "from_statements",
        conflicts_with_all = NOT_OF_STATEMENTS,
        help_heading = "A batch"
    )]
    run: Option<String>,

    /// Also pay again what was taken back of a statement at Stripe
    #[arg(
        long,
        requires_all = ["from_statements", "reason"],
        conflicts_with_all = NOT_OF_STATEMENTS,
        help_heading = "Safety"
    )]
    repay: bool,

    /// Why; it stands in the history of those payouts
    #[arg(long, value_name = "TEXT", requires = "repay", value_parser = selection::reason, help_heading = "Safety")]
    reason: Option<String>,
}

pub(super) fn run(cx: &mut Context, args: &CreateArgs) -> Result<Exits, CliError> {
    if args.statements.from_statements {
        return from_statements::run(cx, &what_is_left(args));
    }
    let file = args.batch.file.as_deref().map(input::open).transpose()?;
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let mut one = One {
        creator: args.creator.clone(),
        amount: args.amount.clone(),
        amount_cents: args.amount_cents.clone(),
        statement: args.statement.clone(),
        reference: args.reference.clone(),
    };
    if file.is_none() {
        let flags = create_ask::Flags {
            partial: args.partial,
            dry_run: args.dry_run,
        };
        one = create_ask::what_is_missing(cx, &mut store, currency, one, flags)?;
    }
    let source = match &file {
        Some(file) => Source::File(file),
        None => Source::One(&[
            ("creator", one.creator.as_deref()),
            ("amount", one.amount.as_deref()),
            ("amount_cents", one.amount_cents.as_deref()),
            ("statement", one.statement.as_deref()),
            ("reference", one.reference.as_deref()),
        ]),
    };
    let rules = Rules {
        min_cents: cx.config.min_cents,
        max_cents: cx.config.max_cents,
        currency,
        no_references: args.batch.no_references,
        partial: args.partial,
        release: args.batch.release,
    };
    let wanted = create::prepare(&mut store, &source, rules).map_err(explain)?;
    let name = file.as_ref().map(TableFile::name);
    let created = if args.dry_run || wanted.loaded_before.is_some() {
        create::preview(&mut store, &wanted)
            .map_err(|e| refuse(cx, name, &wanted, args.dry_run, e))?
    } else {
        recorded(cx, &mut store, "create", |store, run| {
            let created = create::create(store, run, &wanted)
                .map_err(|error| refuse(cx, name, &wanted, false, error))?;
            let summary = summary(&created);
            Ok((created, summary))
        })?
    };
    warn(cx, args, &created);
    answer(cx, &mut store, args, &created)?;
    Ok(Exit::Done.into())
}

fn what_is_left(args: &CreateArgs) -> from_statements::Asked<'_> {
    from_statements::Asked {
        run: args.statements.run.as_deref(),
        creator: args.creator.as_deref(),
        repay: args.statements.reason.as_deref(),
        release: args.batch.release,
        dry_run: args.dry_run,
    }
}

/// One line on what was done.
fn summary(created: &Created) -> String {
    let payouts = text::count(created.created as u64, "payout");
    let total = with_currency(created.total_cents, created.currency);
    let before = text::grouped(created.already_loaded_count() as u64);
    format!("created {payouts}, {total}; {before} already loaded")
}

fn warn(cx: &Context, args: &CreateArgs, created: &Created) {
    if args.batch.no_references {
        cx.ui
            .warn("without references, an edited copy of this file would be paid again");
    }
    let without = &created.without_account;
    if without.payouts > 0 {
        let payouts = text::count(without.payouts as u64, "payout");
        let names: Vec<String> = without
            .names
            .iter()
            .map(|name| text::brief(name, 40))
            .collect();
        cx.ui.warn(&format!(
            "{payouts} cannot be sent before the creator has a Stripe account: {}",
            names.join(", ")
        ));
    }
}

fn answer(
    cx: &Context,
    store: &mut Store,
    args: &CreateArgs,
    created: &Created,
) -> Result<(), CliError> {
    if let (None, false, Some(id)) = (&args.batch.file, args.dry_run, created.single()) {
        let record = store.payout_record(id, &cx.list_rules())?;
        let view = CreateView::of_created(created, false, Some(&record.listed), false);
        record::print(cx.format, &cx.ui, &view, view.payout.as_slice(), || {
            record::render(&payout_lines(created, &record.listed))
        })?;
        return Ok(());
    }
    let batch = created.batch.as_ref().or(created.loaded_before.as_ref());
    let held = match batch {
        Some(batch) => store
            .batch(&batch.id)?
            .is_some_and(|line| line.hold.is_some()),
        None => created.held,
    };
    let view = CreateView::of_created(created, held, None, args.dry_run);
    record::print(cx.format, &cx.ui, &view, &[CreateRow::from(&view)], || {
        record::render(&summary_lines(args, created, held))
    })?;
    Ok(())
}

/// What people see of a single payout.
fn payout_lines(created: &Created, listed: &ListedPayout) -> Vec<(&'static str, String)> {
    let payout = &listed.payout;
    let name = listed.creator_name.as_deref().unwrap_or("unknown");
    let new = if created.created > 0 {
        "created"
    } else {
        "already loaded, nothing was created"
    };
    let mut lines = vec![
        ("Payout", payout.id.to_string()),
        ("State", format!("{}: {new}", list::status(listed).0)),
        (
            "Amount",
            with_currency(i64::from(payout.amount_cents), created.currency),
        ),
        (
            "Creator",
            format!("{} ({})", text::brief(name, 60), payout.creator_id),
        ),
    ];
    if let Some(statement) = &payout.royalty_statement_id {
        lines.push(("Statement", statement.to_string()));
    }
    if let Some(reference) = &listed.reference {
        lines.push(("Reference", reference.clone()));
    }
    if created.created > 0 {
        lines.push(("Next", "payouts process".to_owned()));
    }
    lines
}

/// What people see of a batch, or of a dry run.
fn summary_lines(args: &CreateArgs, created: &Created, held: bool) -> Vec<(&'static str, String)> {
    let payouts = text::count(created.created as u64, "payout");
    let total = with_currency(created.total_cents, created.currency);
    let before = text::count(created.already_loaded_count() as u64, "payout");
    let batch = created.batch.as_ref().or(created.loaded_before.as_ref());
    let mut lines = Vec::new();
    if let Some(batch) = batch {
        lines.push(("Batch", batch.id.to_string()));
    }
    let label = if args.dry_run {
        "Would create"
    } else {
        "Created"
    };
    lines.push((label, format!("{payouts}, {total}")));
    let loaded = created.loaded_before.as_ref().map(|batch| {
        let minute = text::minute(batch.created_at);
        format!(
            "{before}: this file was loaded by {} on {minute} UTC",
            batch.actor
        )
    });
    lines.push(("Already loaded", loaded.unwrap_or(before)));
    lines.extend(standing_lines(created, held, args.dry_run));
    lines
}

/// Where the payouts that were created stand, and what comes next.
pub(super) fn standing_lines(
    created: &Created,
    held: bool,
    dry_run: bool,
) -> Vec<(&'static str, String)> {
    match created.batch.as_ref().or(created.loaded_before.as_ref()) {
        Some(batch) if held => vec![
            (
                "State",
                "held: nothing of it is paid before it is released".to_owned(),
            ),
            ("Next", format!("payouts release {}", batch.id)),
        ],
        Some(_) => vec![
            ("State", "released".to_owned()),
            ("Next", "payouts process".to_owned()),
        ],
        None if dry_run && created.created > 0 => {
            vec![("Next", "the same command without --dry-run".to_owned())]
        }
        None => Vec::new(),
    }
}

/// Tells what is wrong with the rows, or with the arguments of one payout.
fn refuse(
    cx: &Context,
    file: Option<&str>,
    wanted: &Wanted,
    dry_run: bool,
    error: CreateError,
) -> CliError {
    let CreateError::Faults { faults } = error else {
        return explain(error);
    };
    if cx.format == Format::Table {
        if file.is_some() {
            input::show_faults(cx, &faults);
        }
    } else {
        let view = CreateView::of_faults(&faults, wanted.currency(), dry_run);
        let lines: Vec<FaultView> = faults.iter().map(FaultView::from).collect();
        if let Err(error) = record::print(cx.format, &cx.ui, &view, &lines, String::new) {
            return error.into();
        }
    }
    let mut told = match file {
        Some(name) => input::refused_rows(name, "created", &faults),
        None => input::refused_one(ONE_REFUSED, &faults),
    };
    for (kind, column, hint) in HINTS {
        let applies = |fault: &RowFault| {
            fault.kind == *kind && (column.is_empty() || fault.column == *column)
        };
        // What helps a column of a file is no help for an argument.
        if (column.is_empty() || file.is_some()) && faults.iter().any(applies) {
            told = told.hint(*hint);
        }
    }
    told
}

/// What the error of a single payout begins with.
const ONE_REFUSED: &str = "the payout cannot be created; nothing was created";

/// Where the limits of an amount come from.
pub(super) const LIMITS_HINT: &str =
    "limits are set by PAYOUTS_MIN_AMOUNT_CENTS and PAYOUTS_MAX_AMOUNT_CENTS";

/// What helps against kinds of faults, in a column or in any.
const HINTS: &[(FaultKind, &str, &str)] = &[
    (
        FaultKind::UnknownCreator,
        "",
        "`payouts creators list TEXT` finds creators by name or e-mail address",
    ),
    (
        FaultKind::Missing,
        "reference",
        "add a column reference, or say --no-references if this file will never be edited and loaded again",
    ),
    (
        FaultKind::Partial,
        "",
        "say --partial if less than what is left of a statement is meant",
    ),
    (FaultKind::Limit, "", LIMITS_HINT),
];

fn explain(error: CreateError) -> CliError {
    match error {
        CreateError::Store(error) => error.into(),
        CreateError::Faults { faults } => input::refused_one(ONE_REFUSED, &faults),
    }
}
