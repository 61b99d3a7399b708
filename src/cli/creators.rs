//! `payouts creators`: list, show, add, import.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::events;
use crate::cli::exit::{Exit, Exits};
use crate::cli::input;
use crate::cli::page::PageArgs;
use crate::cli::recorded::recorded;
use crate::model::creator::Creator;
use crate::model::hold::{HoldKind, HoldTarget};
use crate::model::ids::CreatorId;
use crate::model::listing::Totals;
use crate::model::money::{Currency, with_currency};
use crate::model::payout::{Payout, PayoutStatus};
use crate::ops::creators;
use crate::output::json::PageMembers;
use crate::output::json_records::{CreatorShowView, CreatorView};
use crate::output::{Answer, record, table, text};
use crate::store::Store;
use crate::store::creators::{NamedCreator, OWN_TABLES};

/// Payouts that `show` lists: the newest.
const PAYOUTS_SHOWN: i64 = 10;

/// Look at creators, and bring them in
#[derive(Debug, Subcommand)]
pub(super) enum CreatorsCommand {
    List(ListArgs),
    Show(ShowArgs),
    Add(AddArgs),
    Import(ImportArgs),
}

/// List creators
///
/// In the order of their ids, a page at a time.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those with this text in their id, name or e-mail address
    #[arg(value_name = "TEXT", help_heading = "Selection")]
    search: Option<String>,

    #[command(flatten)]
    page: PageArgs,
}

/// Show one creator: details, what the payouts come to, the newest of them
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Id, e-mail address or Stripe account
    #[arg(value_name = "CREATOR")]
    creator: String,
}

/// Add one creator
///
/// Only where the table of creators is our own: on a platform's database the
/// platform adds them.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// The name on stage and on screen
    #[arg(long)]
    name: String,

    /// E-mail address, unique
    #[arg(long)]
    email: String,

    /// Where payouts go, acct_…
    #[arg(long, value_name = "ACCT")]
    stripe_account: Option<String>,

    /// The id to give; made when missing
    #[arg(long)]
    id: Option<String>,

    /// The platform's word on onboarding
    #[arg(long, value_name = "STATUS")]
    onboarding_status: Option<String>,
}

/// Import creators from a CSV file
///
/// The file has a header and the columns `name` and `email` and, where they are
/// wanted, `id` (made when missing), `stripe_account` and `onboarding_status`.
/// All of it is imported or nothing. Rows that say what is stored are left
/// alone; a row that says something else is an error.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The file; - reads standard input
    file: PathBuf,

    /// Let rows replace the stored name, e-mail address and Stripe account
    #[arg(long)]
    update: bool,
}

pub(super) fn run(cx: &mut Context, command: &CreatorsCommand) -> Result<Exits, CliError> {
    match command {
        CreatorsCommand::List(args) => list(cx, args),
        CreatorsCommand::Show(args) => show(cx, args),
        CreatorsCommand::Add(args) => add(cx, args),
        CreatorsCommand::Import(args) => import(cx, args),
    }
}

fn list(cx: &mut Context, args: &ListArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let after = args.page.after.as_deref().map(CreatorId::new);
    let search = args.search.as_deref();
    let mut found = store.creators_list(search, after.as_ref(), args.page.rows())?;
    let next = args.page.cut(&mut found, |creator| creator.id.to_string());
    let views = found.iter().map(CreatorView::from).collect();
    Answer::new("creators", views)
        .with(PageMembers {
            next: next.as_deref(),
        })
        .print(cx.format, &cx.ui, |ui, _| {
            let columns = [
                table::left("Creator"),
                table::left("Name").shrinks_to(12),
                table::left("E-mail").shrinks_to(16),
                table::left("Stripe account").shrinks_to(10).sacrificed(2),
                table::left("Onboarding").shrinks_to(8).sacrificed(1),
            ];
            if found.is_empty() {
                return "no creators".to_owned();
            }
            table::render(ui, &columns, found.iter().map(cells).collect())
        })?;
    let ids: Vec<CreatorId> = found.iter().map(|creator| creator.id.clone()).collect();
    events::tell_of(cx, &mut store, &ids)?;
    PageArgs::tell_next(cx, "payouts creators list", next.as_ref());
    Ok(Exit::Done.into())
}

fn cells(creator: &Creator) -> Vec<table::Value> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let status = match creator.deleted_at {
        Some(_) => table::Value::toned("deleted", table::Tone::Bad),
        None => creator.onboarding_status.as_str().into(),
    };
    vec![
        creator.id.as_str().into(),
        text::brief(&creator.name, 60).into(),
        or_dash(&creator.email).into(),
        or_dash(&creator.stripe_account_id).into(),
        status,
    ]
}

fn add(cx: &mut Context, args: &AddArgs) -> Result<Exits, CliError> {
    let arguments = [
        ("id", args.id.as_deref()),
        ("name", Some(args.name.as_str())),
        ("email", Some(args.email.as_str())),
        ("stripe_account", args.stripe_account.as_deref()),
        ("onboarding_status", args.onboarding_status.as_deref()),
    ];
    let mut store = cx.store()?;
    input::require_own_tables(&mut store, OWN_TABLES)?;
    let imported = recorded(cx, &mut store, "creators", |store, _| {
        let imported = creators::add(store, &arguments)
            .map_err(|error| input::refuse_import(cx, None, "creator", error))?;
        Ok((imported, input::summary(imported)))
    })?;
    if imported.already_there > 0 {
        cx.ui.note("already there");
    }
    show_creator(cx, &mut store, args.email.trim())
}

fn import(cx: &mut Context, args: &ImportArgs) -> Result<Exits, CliError> {
    let file = input::open(&args.file)?;
    let mut store = cx.store()?;
    input::require_own_tables(&mut store, OWN_TABLES)?;
    let imported = recorded(cx, &mut store, "creators", |store, _| {
        let imported = creators::import(store, &file, args.update)
            .map_err(|error| input::refuse_import(cx, Some(&file), "creator", error))?;
        Ok((imported, input::summary(imported)))
    })?;
    input::answer_import(cx, imported)?;
    Ok(Exit::Done.into())
}

fn show(cx: &mut Context, args: &ShowArgs) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    show_creator(cx, &mut store, &args.creator)
}

/// Prints the creator that a text names.
fn show_creator(cx: &Context, store: &mut Store, text: &str) -> Result<Exits, CliError> {
    let creator = named(store, text)?;
    let currency = cx.currency(store)?;
    let totals = store.creator_totals(&creator.id)?;
    let payouts = store.creator_payouts(&creator.id, PAYOUTS_SHOWN)?;
    let target = HoldTarget {
        kind: HoldKind::Creator,
        id: creator.id.to_string(),
    };
    let hold = store.hold_on(&target)?;
    let released = store.hold_last_release(&target)?;
    let account = store
        .creator_accounts(Some(std::slice::from_ref(&creator.id)))?
        .pop()
        .map(|of| of.state);
    let view = CreatorShowView::new(
        &creator,
        hold.as_ref(),
        account.as_ref(),
        &totals,
        &payouts,
        currency,
    );
    record::print(
        cx.format,
        &cx.ui,
        &view,
        std::slice::from_ref(&view.creator),
        || {
            let mut lines = vec![
                ("Creator", creator.id.to_string()),
                ("Name", creator.name.clone()),
                (
                    "E-mail",
                    creator.email.clone().unwrap_or_else(|| "-".to_owned()),
                ),
                (
                    "Stripe account",
                    creator
                        .stripe_account_id
                        .clone()
                        .unwrap_or_else(|| "none yet".to_owned()),
                ),
                ("Onboarding", creator.onboarding_status.clone()),
            ];
            if let Some(state) = &account {
                lines.push((
                    "Stripe says",
                    format!(
                        "{}, as of {} UTC",
                        text::clean(&state.in_words()),
                        text::minute(state.as_of)
                    ),
                ));
            }
            if let Some(deleted_at) = creator.deleted_at {
                lines.push(("Deleted", format!("{} UTC", text::minute(deleted_at))));
            }
            match (&hold, &released) {
                (Some(hold), _) => lines.push(("Held", text::held(hold))),
                (None, Some(released)) => lines.push(("Released", text::released(released))),
                (None, None) => {}
            }
            lines.extend(total_lines(&totals, currency));
            let mut shown = record::render(&lines);
            if !payouts.is_empty() {
                shown.push('\n');
                shown.push_str(&payout_table(cx, &payouts, currency));
            }
            shown
        },
    )?;
    events::tell_of(cx, store, std::slice::from_ref(&creator.id))?;
    Ok(Exit::Done.into())
}

/// What some payouts come to, one line for each status there is any of, and what was
/// taken back.
pub(super) fn total_lines(totals: &Totals, currency: Currency) -> Vec<(&'static str, String)> {
    let line = |status: &PayoutStatus| {
        let total = totals.of(*status);
        let count = text::count(u64::try_from(total.count).unwrap_or(0), "payout");
        let amount = with_currency(total.amount_cents, currency);
        (total.count > 0).then(|| (status.as_str(), format!("{amount}, {count}")))
    };
    let taken_back = Some(totals.reversed).filter(|total| total.count > 0);
    let taken_back = taken_back.map(|total| {
        let count = text::count(u64::try_from(total.count).unwrap_or(0), "payout");
        let amount = with_currency(total.amount_cents, currency);
        ("Taken back", format!("{amount}, of {count} COMPLETED"))
    });
    let lines = PayoutStatus::ALL.iter().filter_map(line);
    lines.chain(taken_back).collect()
}

/// The one creator that a text names: id, Stripe account or e-mail address.
pub(super) fn named(store: &mut Store, text: &str) -> Result<Creator, CliError> {
    match store.creators_named(&[text])?.remove(text) {
        Some(NamedCreator::One(creator)) => Ok(creator),
        Some(NamedCreator::Several) => Err(CliError::new(
            Exit::Attention,
            format!("several creators have this e-mail address, in different case: {text}"),
        )
        .hint("use the id; `payouts creators list TEXT` finds it")),
        None => Err(CliError::new(
            Exit::Attention,
            format!("no creator has this id, e-mail address or Stripe account: {text}"),
        )
        .hint("`payouts creators list TEXT` finds creators by part of a name or e-mail address")),
    }
}

/// A few payouts for people.
pub(super) fn payout_table(cx: &Context, payouts: &[Payout], currency: Currency) -> String {
    let columns = [
        table::left("Payout"),
        table::left("Created"),
        table::right("Amount"),
        table::left("Status"),
        table::left("Transfer"),
    ];
    let rows = payouts.iter().map(|payout| {
        vec![
            payout.id.as_str().into(),
            text::minute(payout.created_at).into(),
            with_currency(i64::from(payout.amount_cents), currency).into(),
            payout.status.as_str().into(),
            payout.stripe_transfer_id.as_deref().unwrap_or("-").into(),
        ]
    });
    table::render(&cx.ui, &columns, rows.collect())
}
