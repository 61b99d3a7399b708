//! `payouts statements`: list, show, add, import.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::context::Context;
use crate::cli::creators::{named, payout_table};
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::input;
use crate::cli::page::PageArgs;
use crate::cli::recorded::recorded;
use crate::model::ids::StatementId;
use crate::model::money::{Currency, major, with_currency};
use crate::model::statement::RoyaltyStatementStatus;
use crate::ops::statements;
use crate::output::json::PageMembers;
use crate::output::json_records::{PayoutBriefView, StatementShowView, StatementView};
use crate::output::{Answer, SCHEMA, record, table, text};
use crate::store::Store;
use crate::store::statements::{OWN_TABLES, StatementFilter, StatementLine};

/// Look at royalty statements, and bring them in
#[derive(Debug, Subcommand)]
pub(super) enum StatementsCommand {
    List(ListArgs),
    Show(ShowArgs),
    Add(AddArgs),
    Import(ImportArgs),
}

/// List statements
///
/// In the order of their ids, a page at a time.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only this creator's: id, e-mail address or Stripe account
    #[arg(long, help_heading = "Selection")]
    creator: Option<String>,

    /// Only this royalty run's
    #[arg(long, value_name = "ID", help_heading = "Selection")]
    run: Option<String>,

    /// Only in this state; may be given several times
    #[arg(long, ignore_case = true, value_parser = status_parser(), help_heading = "Selection")]
    status: Vec<RoyaltyStatementStatus>,

    #[command(flatten)]
    page: PageArgs,
}

/// Show one statement: what is owed, what of it is paid, its payouts
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The statement's id
    #[arg(value_name = "STATEMENT")]
    statement: String,
}

/// Add one statement
///
/// Only where the table of statements is our own: on a platform's database the
/// platform adds them.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Whom it is owed to: id, e-mail address or Stripe account
    #[arg(long)]
    creator: String,

    /// The royalty run it is of; made when missing, with a period
    #[arg(long, value_name = "ID")]
    run: String,

    /// The month of a new royalty run, such as 2026-10
    #[arg(long, value_name = "MONTH")]
    period: Option<String>,

    /// What is owed, in major units, such as 500.00
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    net_payable: String,

    /// Before the platform's fee; net payable and fee together when missing
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    total_earnings: Option<String>,

    /// The platform's fee; nothing when missing
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    platform_fee: Option<String>,

    /// Where it stands; REVIEWED when missing
    #[arg(long)]
    status: Option<String>,

    /// The id to give; made when missing
    #[arg(long)]
    id: Option<String>,
}

/// Import statements from a CSV file
///
/// The file has a header and the columns `creator` (id, e-mail address or Stripe
/// account), `run` (a royalty run's id), `net_payable` (major units) or
/// `net_payable_cents` and, where they are wanted, `id` (made when missing),
/// `total_earnings`, `platform_fee` (or both with `_cents`), `status` (REVIEWED
/// when empty), and, for runs that do not exist yet, `period` (such as 2026-10)
/// or `period_start` and `period_end`. All of it is imported or nothing. Rows
/// that say what is stored are left alone; a row that says something else is an
/// error.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The file; - reads standard input
    file: PathBuf,
}

/// Statement states without regard to case.
fn status_parser() -> impl clap::builder::TypedValueParser<Value = RoyaltyStatementStatus> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(RoyaltyStatementStatus::ALL.iter().map(|s| s.as_str()))
        .try_map(|text| text.to_ascii_uppercase().parse::<RoyaltyStatementStatus>())
}

pub(super) fn run(cx: &mut Context, command: &StatementsCommand) -> Result<Exits, CliError> {
    match command {
        StatementsCommand::List(args) => list(cx, args),
        StatementsCommand::Show(args) => show(cx, args),
        StatementsCommand::Add(args) => add(cx, args),
        StatementsCommand::Import(args) => import(cx, args),
    }
}

fn list(cx: &mut Context, args: &ListArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let creator = match &args.creator {
        Some(text) => Some(named(&mut store, text)?.id),
        None => None,
    };
    let filter = StatementFilter {
        creator,
        run: args.run.clone(),
        statuses: args.status.clone(),
    };
    let after = args.page.after.as_deref().map(StatementId::new);
    let mut found = store.statements_list(&filter, after.as_ref(), args.page.rows())?;
    let next = args
        .page
        .cut(&mut found, |line| line.account.statement.id.to_string());
    let views = found.iter().map(|line| view(line, currency)).collect();
    Answer::new("statements", views)
        .with(PageMembers {
            next: next.as_deref(),
        })
        .print(cx.format, &cx.ui, |ui, _| {
            let columns = [
                table::left("Statement"),
                table::left("Run").shrinks_to(8).sacrificed(2),
                table::left("Creator").shrinks_to(10),
                table::right("Net payable"),
                table::right("Paid").sacrificed(3),
                table::right("In flight").sacrificed(4),
                table::right("Left"),
                table::left("Status"),
            ];
            if found.is_empty() {
                return "no statements".to_owned();
            }
            table::render(
                ui,
                &columns,
                found.iter().map(|line| cells(line, currency)).collect(),
            )
        })?;
    PageArgs::tell_next(cx, "payouts statements list", next.as_ref());
    Ok(Exit::Done.into())
}

fn cells(line: &StatementLine, currency: Currency) -> Vec<table::Value> {
    let account = &line.account;
    let statement = &account.statement;
    vec![
        statement.id.as_str().into(),
        text::brief(&statement.royalty_run_id, 30).into(),
        text::brief(&line.creator_name, 40).into(),
        with_currency(i64::from(statement.net_payable_cents), currency).into(),
        major(account.completed_cents, currency).into(),
        major(account.in_flight_cents, currency).into(),
        major(account.left_cents(), currency).into(),
        statement.status.as_str().into(),
    ]
}

fn show(cx: &mut Context, args: &ShowArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    show_statement(cx, &mut store, &StatementId::new(args.statement.trim()))
}

/// Prints a statement and its payouts.
fn show_statement(cx: &Context, store: &mut Store, id: &StatementId) -> Result<Exits, CliError> {
    let currency = cx.currency(store)?;
    let Some((line, payouts)) = store.statement(id)? else {
        return Err(
            CliError::new(Exit::Attention, format!("no statement has this id: {id}")).hint(
                "`payouts statements list` shows all of them, --creator those of one creator",
            ),
        );
    };
    let shown = StatementShowView {
        schema: SCHEMA,
        statement: view(&line, currency),
        payouts: payouts
            .iter()
            .map(|payout| PayoutBriefView::of(payout, currency))
            .collect(),
    };
    record::print(
        cx.format,
        &cx.ui,
        &shown,
        std::slice::from_ref(&shown.statement),
        || {
            let mut text = record::render(&details(&line, currency));
            if !payouts.is_empty() {
                text.push('\n');
                text.push_str(&payout_table(cx, &payouts, currency));
            }
            text
        },
    )?;
    Ok(Exit::Done.into())
}

fn details(line: &StatementLine, currency: Currency) -> Vec<(&'static str, String)> {
    let account = &line.account;
    let statement = &account.statement;
    let amount = |cents: i64| with_currency(cents, currency);
    let (start, end) = (line.run.period_start, line.run.period_end);
    let mut lines = vec![
        ("Statement", statement.id.to_string()),
        (
            "Creator",
            format!("{} ({})", line.creator_name, statement.creator_id),
        ),
        (
            "Royalty run",
            format!(
                "{}, {} to {} UTC",
                statement.royalty_run_id,
                text::minute(start),
                text::minute(end)
            ),
        ),
        (
            "Total earnings",
            amount(i64::from(statement.total_earnings_cents)),
        ),
        (
            "Platform fee",
            amount(i64::from(statement.platform_fee_cents)),
        ),
        (
            "Net payable",
            amount(i64::from(statement.net_payable_cents)),
        ),
        ("Paid", amount(account.completed_cents)),
        ("In flight", amount(account.in_flight_cents)),
        ("Left", amount(account.left_cents())),
        ("Status", statement.status.to_string()),
    ];
    if account.reversed_cents > 0 {
        lines.push(("Taken back", amount(account.reversed_cents)));
    }
    if let Some(at) = statement.disputed_at {
        lines.push(("Disputed", format!("{} UTC", text::minute(at))));
    }
    if let Some(at) = statement.paid_at {
        let by = statement.payment_reference.as_deref().unwrap_or("unknown");
        lines.push(("Covered", format!("{} UTC, by {by}", text::minute(at))));
    }
    lines
}

fn add(cx: &mut Context, args: &AddArgs) -> Result<Exits, CliError> {
    let arguments = [
        ("id", args.id.as_deref()),
        ("creator", Some(args.creator.as_str())),
        ("run", Some(args.run.as_str())),
        ("period", args.period.as_deref()),
        ("net_payable", Some(args.net_payable.as_str())),
        ("total_earnings", args.total_earnings.as_deref()),
        ("platform_fee", args.platform_fee.as_deref()),
        ("status", args.status.as_deref()),
    ];
    let mut store = cx.store()?;
    input::require_own_tables(&mut store, OWN_TABLES)?;
    let currency = cx.currency(&mut store)?;
    let imported = recorded(cx, &mut store, "statements", |store, _| {
        let imported = statements::add(store, &arguments, currency)
            .map_err(|error| input::refuse_import(cx, None, "statement", error))?;
        Ok((imported, input::summary(imported)))
    })?;
    if imported.already_there > 0 {
        cx.ui.note("already there");
    }
    // A run has one statement for a creator, so these two find it whatever id it was given.
    let filter = StatementFilter {
        creator: Some(named(&mut store, args.creator.trim())?.id),
        run: Some(args.run.trim().to_owned()),
        statuses: Vec::new(),
    };
    match store.statements_list(&filter, None, 1)?.first() {
        Some(line) => show_statement(cx, &mut store, &line.account.statement.id),
        None => Err(CliError::new(
            Exit::Attention,
            "the statement is gone already",
        )),
    }
}

fn import(cx: &mut Context, args: &ImportArgs) -> Result<Exits, CliError> {
    let file = input::open(&args.file)?;
    let mut store = cx.store()?;
    input::require_own_tables(&mut store, OWN_TABLES)?;
    let currency = cx.currency(&mut store)?;
    let imported = recorded(cx, &mut store, "statements", |store, _| {
        let imported = statements::import(store, &file, currency)
            .map_err(|error| input::refuse_import(cx, Some(&file), "statement", error))?;
        Ok((imported, input::summary(imported)))
    })?;
    input::answer_import(cx, imported)?;
    Ok(Exit::Done.into())
}

fn view(line: &StatementLine, currency: Currency) -> StatementView {
    StatementView::new(&line.account, &line.creator_name, &line.run, currency)
}
