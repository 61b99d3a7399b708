//! What `payouts create` asks for when nobody said it and somebody is there to ask.

use crate::cli::ask::{self, Stopped};
use crate::cli::context::Context;
use crate::cli::creators;
use crate::cli::error::CliError;
use crate::model::creator::Creator;
use crate::model::ids::StatementId;
use crate::model::money::{Currency, major_plain, parse_major, with_currency};
use crate::ops::create::Limits;
use crate::output::record;
use crate::output::text::brief;
use crate::store::Store;

/// Creators that are offered for what was typed; whoever sees more types more.
const CREATORS_OFFERED: i64 = 50;

/// Statements of a creator that are offered; there is one a month.
const STATEMENTS_OFFERED: usize = 50;

/// What is said when a question is not answered.
const NOTHING: &str = "nothing was created";

/// What says which payout to create.
#[derive(Debug, Clone, Default)]
pub(super) struct One {
    /// Whom to pay.
    pub(super) creator: Option<String>,
    /// How much, in major units.
    pub(super) amount: Option<String>,
    /// How much, in minor units.
    pub(super) amount_cents: Option<String>,
    /// The statement it settles.
    pub(super) statement: Option<String>,
    /// The caller's own name for it.
    pub(super) reference: Option<String>,
}

impl One {
    fn is_complete(&self) -> bool {
        self.creator.is_some() && (self.amount.is_some() || self.amount_cents.is_some())
    }
}

/// What the flags say about asking.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flags {
    /// Less than what is left of a statement may be meant.
    pub(super) partial: bool,
    /// Nothing will be created, so that nobody need agree.
    pub(super) dry_run: bool,
}

/// Asks for what is missing, shows what would be created, and asks whether it
/// should. Where nothing is missing, nothing is asked.
pub(super) fn what_is_missing(
    cx: &Context,
    store: &mut Store,
    currency: Currency,
    said: One,
    flags: Flags,
) -> Result<One, CliError> {
    if said.is_complete() {
        return Ok(said);
    }
    let asks_for_all = said.creator.is_none();
    let creator = match &said.creator {
        Some(text) => creators::named(store, text)?,
        None => creator(store)?,
    };
    let mut one = One {
        creator: Some(creator.id.to_string()),
        ..said
    };
    let mut left = None;
    if asks_for_all && one.statement.is_none() {
        left = statement(store, &creator, currency)?;
        one.statement = left.as_ref().map(|(id, _)| id.to_string());
    }
    if one.amount.is_none() && one.amount_cents.is_none() {
        let all = left.map(|(_, cents)| major_plain(cents, currency));
        one.amount = Some(match all {
            // Nothing else can be meant.
            Some(all) if !flags.partial => all,
            all => amount(cx, currency, all)?,
        });
    }
    if asks_for_all && one.reference.is_none() {
        let question = "Reference, your own name for the payment (enter for none)";
        let text = ask::line(question, &|_| Ok(())).map_err(declined)?;
        one.reference = Some(text).filter(|text| !text.is_empty());
    }
    if !flags.dry_run {
        agree(cx, &creator, &one, currency)?;
    }
    Ok(one)
}

fn declined(stopped: Stopped) -> CliError {
    stopped.into_error(NOTHING)
}

fn creator(store: &mut Store) -> Result<Creator, CliError> {
    let search = |text: &str| {
        let text = Some(text.trim()).filter(|text| !text.is_empty());
        let found = store.creators_live(text, CREATORS_OFFERED)?;
        Ok(found
            .into_iter()
            .map(|creator| (creator.clone(), label(&creator)))
            .collect())
    };
    ask::one_of("Creator", search, NOTHING)
}

fn label(creator: &Creator) -> String {
    let account = match &creator.stripe_account_id {
        Some(_) => "",
        None => "  no Stripe account yet",
    };
    format!(
        "{}  {}  {}{account}",
        brief(&creator.name, 40),
        brief(creator.email.as_deref().unwrap_or_default(), 40),
        creator.id
    )
}

/// Has one of the creator's payable statements chosen, if there are any. Returns it
/// and what is left of it, minor units.
fn statement(
    store: &mut Store,
    creator: &Creator,
    currency: Currency,
) -> Result<Option<(StatementId, i64)>, CliError> {
    let mut payable = Vec::new();
    for (id, _) in store.statements_open(None, Some(&creator.id))? {
        let Some((line, _)) = store.statement(&id)? else {
            continue;
        };
        if let Ok(left) = line.account.payable_cents() {
            let period = |time: crate::model::time::Time| time.utc().format("%Y-%m-%d").to_string();
            let words = format!(
                "{id}  {} left  {} to {}",
                with_currency(left, currency),
                period(line.run.period_start),
                period(line.run.period_end)
            );
            payable.push((id, left, words));
        }
        if payable.len() == STATEMENTS_OFFERED {
            break;
        }
    }
    if payable.is_empty() {
        return Ok(None);
    }
    let search = |text: &str| {
        let text = text.to_lowercase();
        let none = (None, "none: this payout settles no statement".to_owned());
        let statements = payable
            .iter()
            .map(|(id, left, words)| (Some((id.clone(), *left)), words.clone()));
        let all = std::iter::once(none).chain(statements);
        Ok(all
            .filter(|(_, words)| words.to_lowercase().contains(&text))
            .collect())
    };
    ask::one_of("Statement", search, NOTHING)
}

/// Asks for an amount that may be paid. Of a statement, all that is left of it is
/// what Enter says.
fn amount(cx: &Context, currency: Currency, all: Option<String>) -> Result<String, CliError> {
    let question = match &all {
        Some(all) => format!("Amount in {} (enter for {all})", currency.upper()),
        None => format!("Amount in {}, such as 500.00", currency.upper()),
    };
    let limits = Limits {
        min_cents: cx.config.min_cents,
        max_cents: cx.config.max_cents,
        currency,
    };
    let check = |text: &str| {
        let text = match &all {
            Some(all) if text.is_empty() => all,
            _ => text,
        };
        let cents = parse_major(text, currency).map_err(|error| error.to_string())?;
        let from_to = |_| {
            format!(
                "it must be from {} to {}",
                with_currency(limits.min_cents.into(), currency),
                with_currency(limits.max_cents.into(), currency)
            )
        };
        limits.check(cents.into()).map(drop).map_err(from_to)
    };
    let text = ask::line(&question, &check).map_err(declined)?;
    Ok(match all {
        Some(all) if text.is_empty() => all,
        _ => text,
    })
}

fn agree(cx: &Context, creator: &Creator, one: &One, currency: Currency) -> Result<(), CliError> {
    let amount = match (&one.amount, &one.amount_cents) {
        (Some(major), _) => format!("{major} {}", currency.upper()),
        (None, cents) => format!("{} minor units", cents.as_deref().unwrap_or_default()),
    };
    let mut lines = vec![
        (
            "Creator",
            format!("{} ({})", brief(&creator.name, 60), creator.id),
        ),
        ("Amount", amount),
    ];
    lines.extend(one.statement.clone().map(|id| ("Statement", id)));
    lines.extend(one.reference.clone().map(|text| ("Reference", text)));
    cx.ui.line(record::render(&lines).trim_end());
    match ask::yes("Create this payout?") {
        Ok(true) => Ok(()),
        Ok(false) => Err(declined(Stopped::Left)),
        Err(stopped) => Err(declined(stopped)),
    }
}
