//! Showing the plan and asking: the only caller of `Consent::given_for`.

use dialoguer::Input;

use crate::cli::ask::{self, Stopped};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::model::money;
use crate::ops::consent::{Agreement, Consent};
use crate::ops::process::Plan;
use crate::output::text::count;

/// What the command line says about consent.
#[derive(Debug, Clone)]
pub(super) struct Said {
    /// `--yes`.
    pub(super) yes: bool,
    /// `--confirm-total`, minor units.
    pub(super) total: Option<i64>,
    /// `--plan`: the hash of the plan that was looked at.
    pub(super) plan: Option<String>,
    /// `--accept-warnings`.
    pub(super) warnings: bool,
}

impl Said {
    /// Whether the plan must be made before sending: somebody looks at it, a total or
    /// a hash is to be compared with it, or what it warns of may refuse it.
    pub(super) fn needs_a_plan(&self, cx: &Context) -> bool {
        cx.ui.interactive
            || self.total.is_some()
            || self.plan.is_some()
            || cx.config.warnings_refuse
    }
}

/// Asks a person to agree to the plan, or takes what the command line says.
///
/// Real money on a terminal needs the total, typed or given; `--yes` alone does
/// not count. The caller has shown the plan.
pub(super) fn for_plan(cx: &Context, plan: &Plan, said: &Said) -> Result<Consent, CliError> {
    let total = plan.total_cents();
    if let Some(hash) = said.plan.as_deref()
        && !hash.eq_ignore_ascii_case(&plan.hash)
    {
        return Err(another_plan(plan, hash));
    }
    let said_beforehand = said.plan.is_some() || said.total.is_some();
    let is_asked = cx.ui.interactive && !said_beforehand && (plan.livemode || !said.yes);
    if cx.config.warnings_refuse && !said.warnings && !is_asked && !plan.warnings.is_empty() {
        return Err(warned(plan));
    }
    if let Some(cents) = said.total {
        if cents != total {
            let said = money::with_currency(cents, plan.currency);
            return Err(another_total(plan, &said));
        }
    } else if plan.is_empty() || said.plan.is_some() {
        // Nothing to agree to, or agreed to by its hash.
    } else if cx.ui.interactive && plan.livemode {
        let typed: String = Input::new()
            .with_prompt(format!(
                "Type the total in {} to pay it ({})",
                plan.currency.upper(),
                money::major_plain(total, plan.currency)
            ))
            .interact_text()
            .map_err(|_| left(cx))?;
        let digits: String = typed.chars().filter(|c| *c != ',').collect();
        if money::parse_total(digits.trim(), plan.currency) != Ok(total) {
            return Err(another_total(plan, typed.trim()));
        }
    } else if cx.ui.interactive && !said.yes {
        let question = format!("Pay {}?", money::with_currency(total, plan.currency));
        agrees(&question, "nothing was sent")?;
    }
    Ok(Consent::given_for(plan.agreement()))
}

/// Asks a person, where there is one to ask, about something that moves no money.
/// The caller has shown what it is about.
pub(super) fn confirm(cx: &Context, question: impl AsRef<str>) -> Result<(), CliError> {
    if cx.ui.interactive && !cx.yes {
        agrees(question.as_ref(), "nothing was changed")?;
    }
    Ok(())
}

/// Asks a person about something after which money may move twice. Without a
/// terminal only `--yes` agrees to that: no setting does. The caller has shown
/// what it is about.
pub(super) fn for_release(cx: &Context, question: impl AsRef<str>) -> Result<(), CliError> {
    if cx.yes {
        return Ok(());
    }
    if cx.ui.interactive {
        return agrees(question.as_ref(), "nothing was changed");
    }
    Err(
        CliError::new(Exit::Refused, "nobody agreed to it; nothing was changed")
            .hint("there is no terminal to ask on: give --yes"),
    )
}

/// Asks for a yes; whatever else is an error that says what was not done.
fn agrees(question: &str, nothing: &str) -> Result<(), CliError> {
    match ask::yes(question) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Stopped::Left.into_error(nothing)),
        Err(stopped) => Err(stopped.into_error(nothing)),
    }
}

/// Without a terminal nothing is asked: the configuration is the consent.
pub(super) fn by_configuration(agreement: Agreement) -> Consent {
    Consent::given_for(agreement)
}

fn another_plan(plan: &Plan, said: &str) -> CliError {
    CliError::new(
        Exit::Refused,
        format!(
            "the plan is not {said} any more; now it is {}: {}, {}; nothing was sent",
            plan.hash,
            count(plan.due.saturating_add(plan.resends), "payout"),
            money::with_currency(plan.total_cents(), plan.currency)
        ),
    )
    .hint("look at the plan again: `payouts process --dry-run`")
}

/// Nobody is there to look at what the plan warns of.
fn warned(plan: &Plan) -> CliError {
    let told: Vec<String> = plan
        .warnings
        .iter()
        .map(|group| {
            format!(
                "{} {}",
                count(group.payouts, "payout"),
                group.kind.meaning()
            )
        })
        .collect();
    CliError::new(
        Exit::Refused,
        format!("the plan warns of {}; nothing was sent", told.join("; ")),
    )
    .hint("look at it with `payouts process --dry-run`, and say --accept-warnings if all of it is meant")
}

fn another_total(plan: &Plan, said: &str) -> CliError {
    CliError::new(
        Exit::Refused,
        format!(
            "the total is {}, not {said}; nothing was sent",
            money::with_currency(plan.total_cents(), plan.currency)
        ),
    )
    .hint("look at the plan again: `payouts process --dry-run`")
}

/// Somebody left the question unanswered: what follows begins on a line of its own.
fn left(cx: &Context) -> CliError {
    cx.ui.line("");
    declined()
}

fn declined() -> CliError {
    CliError::new(Exit::Refused, "declined; nothing was sent")
}
