//! `payouts create`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::create_ask::{self, One};
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::recorded::recorded_with_exit;
use crate::cli::{from_statements, input, selection};
use crate::model::listing::ListedPayout;
use crate::model::money::{Currency, DecimalMark, with_currency};
use crate::ops::create::{self, CreateError, Created, Job, MEANINGFUL, Rules, Source};
use crate::ops::error_file::ErrorFile;
use crate::ops::event::Event;
use crate::ops::fault::{FaultKind, Faults};
use crate::ops::table_file::{Dialect, Encoding, TableFile};
use crate::output::json_records::{CreateRow, CreateView, FaultView};
use crate::output::progress::Progress;
use crate::output::{Format, list, record, text};
use crate::store::{RunStamp, Store};

/// Create payouts: one, a file of them, or what statements are owed
///
/// All of a file is created or nothing: every bad row is reported with its line,
/// column, value and reason. --errors writes the bad rows to a file of their own, to
/// be put right and loaded; --skip-bad creates the others. A batch starts held; look
/// it over, then release it. Nothing is sent to Stripe here. On a terminal, what is
/// not said of a single payout is asked for.
///
/// A file is CSV with commas, semicolons or tabs, in UTF-8 or UTF-16. It has a header
/// and the columns `creator` (id, e-mail address or Stripe
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
    written: WrittenArgs,

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

    /// Write the bad rows to FILE, with a column `error`
    ///
    /// They keep their columns, so that they can be put right and loaded. There
    /// must be no such file yet; without bad rows none is made.
    #[arg(
        long,
        value_name = "FILE",
        requires = "file",
        conflicts_with = "from_statements",
        help_heading = "A batch"
    )]
    errors: Option<PathBuf>,

    /// Leave bad rows out and create the others; then the exit code is 1
    #[arg(
        long,
        requires = "file",
        conflicts_with = "from_statements",
        help_heading = "A batch"
    )]
    skip_bad: bool,

    /// Do not hold the batch: the next `process` may pay it
    #[arg(long, requires = "source", help_heading = "A batch")]
    release: bool,
}

/// How a file is written, where it does not say so itself.
#[derive(Debug, Args)]
struct WrittenArgs {
    /// What the header calls a column, such as amount=Betrag; may be repeated
    #[arg(
        long,
        value_name = "COLUMN=NAME",
        value_parser = named_column,
        requires = "file",
        conflicts_with = "from_statements",
        help_heading = "How the file is written"
    )]
    map: Vec<(String, String)>,

    /// Read past a column of the file, by its name; '*' for all that are not known
    #[arg(
        long,
        value_name = "NAME",
        requires = "file",
        conflicts_with = "from_statements",
        help_heading = "How the file is written"
    )]
    ignore: Vec<String>,

    /// What stands before the decimals: '.', or ',' as in 1.250,00
    #[arg(
        long,
        value_name = "MARK",
        value_parser = decimal_mark,
        requires = "file",
        conflicts_with = "from_statements",
        help_heading = "How the file is written"
    )]
    decimal: Option<DecimalMark>,

    /// utf-8, utf-16le, utf-16be or windows-1252, where the file does not say itself
    #[arg(
        long,
        value_name = "NAME",
        value_parser = encoding,
        requires = "file",
        conflicts_with = "from_statements",
        help_heading = "How the file is written"
    )]
    encoding: Option<Encoding>,
}

fn named_column(text: &str) -> Result<(String, String), String> {
    let (column, name) = text
        .split_once('=')
        .ok_or("it takes the form COLUMN=NAME, such as amount=Betrag")?;
    let (column, name) = (column.trim().to_lowercase(), name.trim());
    if !MEANINGFUL.contains(&column.as_str()) {
        return Err(format!(
            "there is no column {column:?}; known are {}",
            MEANINGFUL.join(", ")
        ));
    }
    if name.is_empty() {
        return Err("the name of the file's column is empty".to_owned());
    }
    Ok((column, name.to_owned()))
}

pub(super) fn decimal_mark(text: &str) -> Result<DecimalMark, String> {
    match text {
        "." => Ok(DecimalMark::Point),
        "," => Ok(DecimalMark::Comma),
        _ => Err("it is '.' or ','".to_owned()),
    }
}

pub(super) fn encoding(text: &str) -> Result<Encoding, String> {
    let text = text.to_lowercase();
    let mut known = Encoding::ALL.iter().copied();
    known.find(|known| known.as_str() == text).ok_or_else(|| {
        let known: Vec<&str> = Encoding::ALL.iter().map(|known| known.as_str()).collect();
        format!("known are {}", known.join(", "))
    })
}

impl WrittenArgs {
    fn dialect(&self) -> Dialect {
        Dialect {
            encoding: self.encoding,
            names: self.map.clone(),
            ignored: self.ignore.clone(),
            decimal: self.decimal.unwrap_or_default(),
        }
    }
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
    let file = args.batch.file.as_deref();
    let file = file
        .map(|path| input::open_as(path, args.written.dialect()))
        .transpose()?;
    let errors = args.batch.errors.as_deref().map(ErrorFile::at);
    let mut errors = errors.transpose().map_err(|error| input::failed(&error))?;
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
    let one = [
        ("creator", one.creator.as_deref()),
        ("amount", one.amount.as_deref()),
        ("amount_cents", one.amount_cents.as_deref()),
        ("statement", one.statement.as_deref()),
        ("reference", one.reference.as_deref()),
    ];
    let rules = Rules {
        min_cents: cx.config.min_cents,
        max_cents: cx.config.max_cents,
        currency,
        no_references: args.batch.no_references,
        partial: args.partial,
        release: args.batch.release,
        skip_bad: args.batch.skip_bad,
    };
    let before = match &file {
        Some(file) => create::loaded_before(&mut store, file)?,
        None => None,
    };
    if let Some(file) = &file {
        tell_ignored(cx, file);
    }
    let mut progress = Progress::new(&cx.ui, currency);
    let done = if let Some(batch) = before {
        Ok(create::nothing_new(batch, &rules))
    } else {
        let mut job = Job {
            source: file.as_ref().map_or(Source::One(&one), Source::File),
            rules,
            errors: errors.as_mut(),
            tell: &mut |event: Event| progress.show(event),
        };
        work(cx, &mut store, args, &mut job)
    };
    progress.end();
    let told = Told {
        file: file.as_ref().map(TableFile::name),
        errors: errors.as_ref(),
        currency,
        decimal: args.written.decimal.unwrap_or_default(),
        skip_bad: args.batch.skip_bad,
        dry_run: args.dry_run,
    };
    let created = done.map_err(|failed| told.refuse(cx, failed))?;
    warn(cx, args, &created);
    answer(cx, &mut store, args, &created)?;
    if created.skipped.is_empty() {
        return Ok(Exit::Done.into());
    }
    told.skipped(cx, &created.skipped);
    Ok(Exit::Attention.into())
}

/// Looks, and creates unless that was all. A run is recorded where anything is written.
fn work(
    cx: &Context,
    store: &mut Store,
    args: &CreateArgs,
    job: &mut Job<'_>,
) -> Result<Created, Failed> {
    if args.dry_run {
        return create::preview(store, job).map_err(Failed::Create);
    }
    let mut failed = None;
    let done = recorded_with_exit(
        cx,
        store,
        "create",
        |store, run: &RunStamp| match create::create(store, run, job) {
            Ok(created) => {
                let exit = match created.skipped.rows {
                    0 => Exit::Done,
                    _ => Exit::Attention,
                };
                let summary = summary(&created);
                Ok((created, exit, summary))
            }
            Err(error) => {
                let (exit, message) = in_brief(&error, job);
                failed = Some(error);
                Err(CliError::new(exit, message))
            }
        },
    );
    match (done, failed) {
        (_, Some(error)) => Err(Failed::Create(error)),
        (done, None) => done.map_err(Failed::Recording),
    }
}

/// Why a command did not do what was asked.
enum Failed {
    Create(CreateError),
    Recording(CliError),
}

/// What the record of the run says of an error.
fn in_brief(error: &CreateError, job: &Job<'_>) -> (Exit, String) {
    match (error, &job.source) {
        (CreateError::Faults { faults }, Source::File(file)) => {
            let told = input::refused_rows(file.name(), "created", faults);
            (told.exit, told.message().to_owned())
        }
        (CreateError::Faults { .. }, Source::One(_)) => (Exit::Attention, ONE_REFUSED.to_owned()),
        (other, _) => (Exit::CouldNotRun, other.to_string()),
    }
}

/// Says which columns are not read: what is not said may be missed.
fn tell_ignored(cx: &Context, file: &TableFile) {
    if let Ok(reader) = file.reader(create::COLUMNS) {
        let names: Vec<String> = reader
            .header()
            .ignored()
            .map(|name| text::brief(name, 40))
            .collect();
        if !names.is_empty() {
            cx.ui.note(&format!("not read: {}", names.join(", ")));
        }
    }
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
    let mut line = format!("created {payouts}, {total}; {before} already loaded");
    if created.skipped.rows > 0 {
        let skipped = text::count(created.skipped.rows as u64, "bad row");
        line.push_str("; ");
        line.push_str(&skipped);
        line.push_str(" skipped");
    }
    line
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
    if created.skipped.rows > 0 {
        let rows = text::count(created.skipped.rows as u64, "bad row");
        lines.push(("Skipped", rows));
    }
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

/// What is needed to tell of faults.
struct Told<'a> {
    file: Option<&'a str>,
    errors: Option<&'a ErrorFile>,
    currency: Currency,
    decimal: DecimalMark,
    skip_bad: bool,
    dry_run: bool,
}

impl Told<'_> {
    /// Tells what is wrong with the rows, or with the arguments of one payout.
    fn refuse(&self, cx: &Context, failed: Failed) -> CliError {
        let faults = match failed {
            Failed::Recording(error) => return error,
            Failed::Create(CreateError::Faults { faults }) => faults,
            Failed::Create(CreateError::Store(error)) => return error.into(),
            Failed::Create(CreateError::File(error)) => {
                return input::failed(&error).hint("nothing was created");
            }
            Failed::Create(CreateError::ErrorFile(error)) => {
                return input::failed(&error).hint("nothing was created");
            }
            Failed::Create(error @ CreateError::Raced) => {
                return CliError::new(Exit::CouldNotRun, error.to_string())
                    .hint("nothing was created; run the command again");
            }
        };
        if cx.format == Format::Table {
            if self.file.is_some() {
                input::show_faults(cx, &faults);
            }
        } else {
            let view = CreateView::of_faults(&faults, self.currency, self.dry_run);
            let lines: Vec<FaultView> = faults.first.iter().map(FaultView::from).collect();
            if let Err(error) = record::print(cx.format, &cx.ui, &view, &lines, String::new) {
                return error.into();
            }
        }
        let told = match self.file {
            Some(name) => input::refused_rows(name, "created", &faults),
            None => input::refused_one(ONE_REFUSED, &faults.first),
        };
        self.hints(&faults).into_iter().fold(told, CliError::hint)
    }

    /// Tells people what is wrong with the rows that were skipped.
    fn skipped(&self, cx: &Context, faults: &Faults) {
        if cx.format == Format::Table {
            input::show_faults(cx, faults);
        }
        let rows = text::count(faults.rows as u64, "bad row");
        let verb = if self.dry_run { "would be" } else { "were" };
        cx.ui.warn(&format!("{rows} {verb} skipped"));
        for hint in self.hints(faults) {
            cx.ui.hint(&hint);
        }
    }

    fn hints(&self, faults: &Faults) -> Vec<String> {
        let mut hints = Vec::new();
        for (kind, column, hint) in HINTS {
            // What helps a column of a file is no help for an argument.
            if (column.is_empty() || self.file.is_some()) && faults.any(*kind, column) {
                hints.push((*hint).to_owned());
            }
        }
        if self.file.is_none() {
            return hints;
        }
        if faults.decimal_commas > 0 && self.decimal == DecimalMark::Point {
            hints.push(DECIMAL_HINT.to_owned());
        }
        if let Some(path) = self.errors.and_then(ErrorFile::written) {
            let path = path.display();
            hints.push(if self.skip_bad {
                format!("the bad rows are in {path}; put them right and load that file")
            } else {
                format!("the bad rows are in {path}; --skip-bad creates the others, and that file the rest once it is put right")
            });
        }
        hints
    }
}

/// What helps against a comma before the decimals.
const DECIMAL_HINT: &str =
    "say --decimal , if amounts are written with a decimal comma, such as 1.250,00";

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
    (
        FaultKind::Encoding,
        "",
        "say --encoding windows-1252 if an old Windows program wrote it",
    ),
    (
        FaultKind::Header,
        "",
        "--map COLUMN=NAME says which column is which, --ignore NAME that one is not needed",
    ),
];
