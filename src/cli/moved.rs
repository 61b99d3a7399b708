//! Payouts that a command moves, or would, and those it refuses: the table, the
//! question above it, and the answer.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::consent;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::model::money::{Currency, with_currency};
use crate::model::standing::Refusal;
use crate::ops::moving::{Moving, Plan};
use crate::output::json_control::MovedView;
use crate::output::text::{brief, count, grouped};
use crate::output::ui::Ui;
use crate::output::{Answer, table};

/// Rows of each kind that people are shown; JSON and CSV have all of them.
const ROWS_SHOWN: usize = 20;

/// How a command calls what it does.
pub(super) struct Verb {
    /// The word scripts read of a payout that was moved.
    pub(super) result: &'static str,
    /// What a question asks to do.
    pub(super) to_do: &'static str,
    /// What the table says of a payout that would be moved.
    pub(super) planned: &'static str,
    /// What it says of one that was.
    pub(super) done: &'static str,
    /// What there is to say when there are neither moved nor refused ones.
    pub(super) nothing: &'static str,
}

/// Shows what would be moved and asks, where there is somebody to ask.
pub(super) fn ask(
    cx: &Context,
    verb: &Verb,
    plan: &Plan,
    currency: Currency,
) -> Result<(), CliError> {
    if cx.ui.interactive && !cx.yes {
        let shown = text(&cx.ui.for_stderr(), verb, verb.planned, plan, currency);
        cx.ui.line(shown.trim_end());
    }
    let mut to_do = verb.to_do.to_owned();
    if let Some(first) = to_do.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    consent::confirm(cx, format!("{to_do}: {}?", amount_of(plan, currency)))
}

/// Writes what was moved, or in a dry run would be. `members` are what JSON says
/// besides the payouts.
pub(super) fn answer(
    cx: &Context,
    verb: &Verb,
    plan: &Plan,
    currency: Currency,
    dry_run: bool,
    members: &impl Serialize,
) -> Result<(), CliError> {
    let moved = plan
        .chosen
        .iter()
        .map(|one| MovedView::new(one, currency, verb.result, None));
    let refused = plan
        .refused
        .iter()
        .map(|(one, refusal)| MovedView::new(one, currency, "refused", Some(*refusal)));
    Answer::new("payouts", moved.chain(refused).collect())
        .with(members)
        .print(cx.format, &cx.ui, |ui, _| {
            let result = if dry_run { verb.planned } else { verb.done };
            text(ui, verb, result, plan, currency)
        })?;
    Ok(())
}

/// One line on what was done, for the record of runs.
pub(super) fn summary(verb: &Verb, done: &Plan, currency: Currency) -> String {
    let refused = count(done.refused_count() as u64, "payout");
    format!(
        "{} {}; {refused} refused",
        verb.result,
        amount_of(done, currency)
    )
}

fn amount_of(plan: &Plan, currency: Currency) -> String {
    let payouts = count(plan.chosen.len() as u64, "payout");
    format!("{payouts}, {}", with_currency(plan.total_cents(), currency))
}

/// The table, and what it comes to. `result` is what became of the chosen ones.
fn text(ui: &Ui, verb: &Verb, result: &str, plan: &Plan, currency: Currency) -> String {
    if plan.chosen.is_empty() && plan.refused.is_empty() {
        return format!("{}\n", verb.nothing);
    }
    let mut all = plan
        .chosen
        .iter()
        .chain(plan.refused.iter().map(|(one, _)| one));
    let coded = all.any(|one| one.code.is_some());
    let mut columns = vec![
        table::left("Payout"),
        table::left("Creator").shrinks_to(8).sacrificed(2),
        table::right("Amount"),
        table::left("Result"),
    ];
    if coded {
        columns.insert(3, table::left("Code").shrinks_to(8).sacrificed(1));
    }
    let bound = plan.chosen.iter().any(|one| one.destination.is_some());
    if bound {
        columns.insert(2, table::left("To").shrinks_to(12));
    }
    let cells = |one: &Moving, result: &str, tone| {
        let mut cells = vec![
            one.payout_id.as_str().into(),
            brief(one.creator_id.as_str(), 28).into(),
            with_currency(one.amount_cents.into(), currency).into(),
            table::Value::toned(result, tone),
        ];
        if coded {
            cells.insert(3, one.code.as_deref().unwrap_or_default().into());
        }
        if bound {
            let to = one.destination.as_deref().unwrap_or_default();
            cells.insert(2, brief(to, 60).into());
        }
        cells
    };
    let moved = plan.chosen.iter().take(ROWS_SHOWN);
    let refused = plan.refused.iter().take(ROWS_SHOWN);
    let rows = moved
        .map(|one| cells(one, result, table::Tone::Good))
        .chain(refused.map(|(one, refusal)| {
            let result = match (refusal, &one.finding) {
                (Refusal::FoundAtStripe, Some(finding)) => {
                    format!("refused: {}, {finding}", refusal.briefly())
                }
                _ => format!("refused: {}", refusal.briefly()),
            };
            cells(one, &result, table::Tone::Bad)
        }));
    let mut text = table::render(ui, &columns, rows.collect());
    let mut more = |all: usize, what: &str| {
        if all > ROWS_SHOWN {
            let rest = grouped((all - ROWS_SHOWN) as u64);
            let _ = writeln!(text, "… and {rest} more {what}");
        }
    };
    more(plan.chosen.len(), result);
    more(plan.refused_count(), "refused");
    let chosen = if plan.chosen.is_empty() {
        verb.nothing.to_owned()
    } else {
        format!("{result}: {}", amount_of(plan, currency))
    };
    let refused = match plan.refused_count() as u64 {
        0 => String::new(),
        refused => format!("; {} refused", grouped(refused)),
    };
    let _ = writeln!(text, "{chosen}{refused}");
    for refusal in reasons(plan) {
        let _ = writeln!(text, "{}: {}", refusal.briefly(), refusal.in_words());
    }
    text
}

/// Each reason once, in the order of their declaration.
fn reasons(plan: &Plan) -> impl Iterator<Item = Refusal> {
    let of_plan = |refusal: &&Refusal| plan.refused.iter().any(|(_, this)| this == *refusal);
    Refusal::ALL.iter().filter(of_plan).copied()
}
