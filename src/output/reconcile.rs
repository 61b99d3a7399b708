//! What a comparison with Stripe found, for people and for scripts.
//!
//! The JSON is a contract as in [`json`](crate::output::json): a field is
//! always there, amounts are minor units, times RFC 3339 in UTC.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::ids::{PayoutId, RunId};
use crate::model::money::{Currency, major, with_currency};
use crate::model::reconciliation::{Finding, FindingKind, FindingState, Reconciliation, Source};
use crate::model::run::Holder;
use crate::model::time::Time;
use crate::output::json_process::HolderView;
use crate::output::record;
use crate::output::rows::csv_fields;
use crate::output::table::{self, left, right};
use crate::output::text::{brief, count, grouped, minute, wrapped};
use crate::output::ui::Ui;

/// Findings of one kind that a person is shown; the rest is counted.
pub const SHOWN: usize = 20;

/// Characters of a text in a table.
const TEXT_MAX: usize = 60;

/// A finding. Also a line of CSV.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FindingView<'a> {
    /// The same in every run that sees it; what `--accept` takes.
    pub id: &'a str,
    /// What is wrong, in a word: `two_transfers`, `status_behind`, …
    pub kind: &'static str,
    /// `critical`, `error` or `warning`.
    pub severity: &'static str,
    /// `open`, `fixed` or `accepted`.
    pub state: &'static str,
    /// The payout it is about.
    pub payout_id: Option<&'a str>,
    /// Its attempt.
    pub attempt: Option<i32>,
    /// `tr_…`.
    pub transfer_id: Option<&'a str>,
    /// What else it is about: a statement's id, a day.
    pub subject: Option<&'a str>,
    /// Money that may be lost, owed or paid twice, minor units of the database's
    /// currency; null where it is in another, or not known.
    pub at_stake_cents: Option<i64>,
    /// Lowercase code.
    pub currency: &'static str,
    /// What the table says, in words.
    pub expected: Option<&'a str>,
    /// What Stripe says, in words.
    pub found: &'a str,
    /// When it was first seen.
    pub first_seen_at: String,
    /// When it was last seen.
    pub seen_at: String,
    /// When it was repaired or accepted.
    pub settled_at: Option<String>,
    /// Who did that.
    pub actor: Option<&'a str>,
    /// What was done, or why it stays as it is.
    pub reason: Option<&'a str>,
    /// What a person does about it, in words; null once it is settled.
    pub next_step: Option<Cow<'static, str>>,
    /// With `--diff`, what became of it since: `new` or `gone`.
    pub change: Option<&'static str>,
}

csv_fields!(FindingView<'a>: id, kind, severity, state, payout_id, attempt, transfer_id, subject, at_stake_cents, currency, expected, found, first_seen_at, seen_at, settled_at, actor, reason, next_step, change);

impl<'a> FindingView<'a> {
    /// Of a finding, its money in this currency.
    pub fn of(finding: &'a Finding, currency: Currency, change: Option<&'static str>) -> Self {
        Self {
            id: &finding.id,
            kind: finding.kind.as_str(),
            severity: finding.kind.severity().as_str(),
            state: finding.state.as_str(),
            payout_id: finding.payout_id.as_ref().map(PayoutId::as_str),
            attempt: finding.attempt,
            transfer_id: finding.transfer_id.as_deref(),
            subject: finding.subject.as_deref(),
            at_stake_cents: finding.at_stake_cents,
            currency: currency.as_str(),
            expected: finding.expected.as_deref(),
            found: &finding.found,
            first_seen_at: finding.first_seen_at.to_string(),
            seen_at: finding.seen_at.to_string(),
            settled_at: finding.settled_at.map(|time| time.to_string()),
            actor: finding.actor.as_deref(),
            reason: finding.reason.as_deref(),
            next_step: (finding.state == FindingState::Open).then(|| finding.next_step()),
            change,
        }
    }
}

/// What `reconcile` says besides the findings.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReconcileMembers<'a> {
    /// The run that compared.
    pub run_id: &'a str,
    /// What was compared.
    pub period: PeriodView,
    /// What the table was compared with: `stripe` or `file`.
    pub source: &'static str,
    /// The file's name, when it was one.
    pub file: Option<&'a str>,
    /// Lowercase code.
    pub currency: &'static str,
    /// What Stripe lists.
    pub stripe: StripeSideView,
    /// What we recorded as paid.
    pub table: TableSideView,
    /// What Stripe lists less what we recorded, minor units.
    pub difference_cents: i64,
    /// What the lines of Stripe's balance say; null where they were not read.
    pub balance: Option<BalanceView>,
    /// Transfers that agree with a payout.
    pub matched: i64,
    /// Findings left to a person.
    pub open: i64,
    /// Of the open ones, those that an earlier run found.
    pub open_from_before: i64,
    /// Findings that were repaired.
    pub fixed: i64,
    /// Findings that a person accepted.
    pub accepted: i64,
    /// Other runs that are at work on payouts, or were within their lease.
    pub held_by: Vec<HolderView<'a>>,
    /// Nothing is open, and no other run holds a payout.
    pub clean: bool,
    /// What the command exits with.
    pub exit_code: u8,
}

/// A time between two moments.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PeriodView {
    /// The first moment; null for the beginning.
    pub from: Option<String>,
    /// The moment behind the last.
    pub until: Option<String>,
}

/// Transfers at Stripe.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StripeSideView {
    /// How many.
    pub transfers: i64,
    /// Their sum, minor units.
    pub amount_cents: i64,
    /// What was taken back of that, minor units.
    pub reversed_cents: i64,
}

/// The balance at Stripe, in the period.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BalanceView {
    /// What left it for transfers, minor units.
    pub transfer_cents: i64,
    /// What came back of them, minor units.
    pub reversed_cents: i64,
}

/// Payouts in the table.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TableSideView {
    /// How many.
    pub payouts: i64,
    /// Their sum, minor units.
    pub amount_cents: i64,
}

impl<'a> ReconcileMembers<'a> {
    /// Of a comparison.
    pub fn of(
        of: &'a Reconciliation,
        holders: &'a [Holder],
        currency: Currency,
        exit_code: u8,
    ) -> Self {
        let moment = |time: Option<Time>| time.map(|time| time.to_string());
        Self {
            run_id: of.run_id.as_str(),
            period: PeriodView {
                from: moment(of.period_from),
                until: moment(of.period_until),
            },
            source: of.source.as_str(),
            file: of.file.as_deref(),
            currency: currency.as_str(),
            stripe: StripeSideView {
                transfers: of.transfer_count,
                amount_cents: of.transfer_cents,
                reversed_cents: of.reversed_cents,
            },
            table: TableSideView {
                payouts: of.payout_count,
                amount_cents: of.payout_cents,
            },
            difference_cents: of.difference_cents(),
            balance: of
                .balance_transfer_cents
                .zip(of.balance_reversed_cents)
                .map(|(transfer_cents, reversed_cents)| BalanceView {
                    transfer_cents,
                    reversed_cents,
                }),
            matched: of.matched_count,
            open: of.open_count,
            open_from_before: of.open_before_count,
            fixed: of.fixed_count,
            accepted: of.accepted_count,
            held_by: holders.iter().map(HolderView::from).collect(),
            clean: of.clean,
            exit_code,
        }
    }
}

/// The open findings of one kind, and what to do about them. `all` is how many
/// there are.
pub fn open_group(
    ui: &Ui,
    kind: FindingKind,
    findings: &[Finding],
    all: u64,
    currency: Currency,
) -> String {
    let heading = format!("{kind}: {}", kind.meaning());
    let mut text = format!("{heading}\n{}", findings_table(ui, findings, currency));
    text.push_str(&more(findings, all));
    let advice = match findings {
        [one] if all == 1 => one.next_step(),
        _ => kind.next_step().into(),
    };
    let advice = format!("Next: {advice}");
    let lines = match ui.width {
        Some(width) => wrapped(&advice, width.into()),
        None => vec![advice],
    };
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text.push('\n');
    text
}

/// The findings of one kind that are settled: `how`.
pub fn settled_group(
    ui: &Ui,
    (kind, how): (FindingKind, &str),
    findings: &[Finding],
    all: u64,
    currency: Currency,
) -> String {
    format!(
        "{kind}, {how}:\n{}{}\n",
        findings_table(ui, findings, currency),
        more(findings, all)
    )
}

/// The findings that a person has just accepted.
pub fn accepted(ui: &Ui, findings: &[Finding], currency: Currency) -> String {
    format!("accepted:\n{}", findings_table(ui, findings, currency))
}

/// How a comparison differs from an earlier one, in a line.
pub fn changes(before: &RunId, new: u64, gone: u64, same: u64) -> String {
    format!(
        "Since {before}: {} new, {} gone, {} as before\n",
        grouped(new),
        grouped(gone),
        grouped(same)
    )
}

fn more(findings: &[Finding], all: u64) -> String {
    let shown = findings.len() as u64;
    if all <= shown {
        return String::new();
    }
    format!(
        "… and {} more: `payouts reconcile -o csv` lists all\n",
        grouped(all - shown)
    )
}

fn findings_table(ui: &Ui, findings: &[Finding], currency: Currency) -> String {
    let columns = [
        left("Finding"),
        left("Payout"),
        left("Transfer").sacrificed(1),
        right("At stake").sacrificed(2),
        left("In the table").shrinks_to(10),
        left("At Stripe").shrinks_to(10),
    ];
    let rows = findings.iter().map(|finding| {
        vec![
            finding.id.as_str().into(),
            finding
                .payout_id
                .as_ref()
                .map_or("", PayoutId::as_str)
                .into(),
            finding.transfer_id.as_deref().unwrap_or_default().into(),
            finding
                .at_stake_cents
                .map(|cents| major(cents, currency))
                .unwrap_or_default()
                .into(),
            brief(finding.expected.as_deref().unwrap_or("nothing"), TEXT_MAX).into(),
            brief(&finding.found, TEXT_MAX).into(),
        ]
    });
    table::render(ui, &columns, rows.collect())
}

/// What the comparison came to.
pub fn summary(of: &Reconciliation, currency: Currency) -> String {
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    let money = |cents: i64| with_currency(cents, currency);
    let until = of.period_until.map_or_else(|| "now".to_owned(), minute);
    let from = of
        .period_from
        .map_or_else(|| "the beginning".to_owned(), minute);
    let lists = match &of.file {
        Some(_) => "The file lists",
        None => "Stripe lists",
    };
    let mut lines = vec![
        ("Period", format!("{from} to {until}, UTC")),
        (
            lists,
            format!(
                "{}, {}",
                count(number(of.transfer_count), "transfer"),
                money(of.transfer_cents)
            ),
        ),
        (
            "We recorded",
            format!(
                "{} as paid, {}",
                count(number(of.payout_count), "payout"),
                money(of.payout_cents)
            ),
        ),
        ("Difference", money(of.difference_cents())),
        (
            "Matched",
            format!(
                "{} of {}",
                grouped(number(of.matched_count)),
                count(number(of.transfer_count), "transfer")
            ),
        ),
    ];
    if of.reversed_cents > 0 {
        lines.push(("Taken back", money(of.reversed_cents)));
    }
    if let (Some(sent), Some(back)) = (of.balance_transfer_cents, of.balance_reversed_cents) {
        let back = match back {
            0 => String::new(),
            cents => format!(" and got back {}", money(cents)),
        };
        // What is newer may not be in both of Stripe's lists yet.
        let goes_on = of.period_until.is_none_or(|until| of.finished_at < until);
        let but = match of.source {
            Source::Stripe if goes_on => ", the last minute not counted",
            _ => "",
        };
        lines.push((
            "Balance",
            format!("lost {} to transfers{back}{but}", money(sent)),
        ));
    }
    if let Some(file) = &of.file {
        lines.push(("File", brief(file, TEXT_MAX)));
    }
    let counted = format!(
        "{} open, {} repaired, {} accepted",
        grouped(number(of.open_count)),
        grouped(number(of.fixed_count)),
        grouped(number(of.accepted_count))
    );
    lines.push((
        "Findings",
        if of.clean && of.fixed_count == 0 && of.accepted_count == 0 {
            let side = if of.file.is_some() {
                "the file"
            } else {
                "Stripe"
            };
            format!("none: {side} and the table agree, transfer by transfer")
        } else {
            counted
        },
    ));
    if of.open_before_count > 0 {
        let told = format!("{} open from before", grouped(number(of.open_before_count)));
        lines.push(("", told));
    }
    record::render(&lines)
}
