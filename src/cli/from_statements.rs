//! `payouts create --from-statements`: what is left of royalty statements, as one batch.

use std::fmt::Write as _;

use crate::cli::context::Context;
use crate::cli::create::{LIMITS_HINT, standing_lines};
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::recorded::recorded_with_exit;
use crate::cli::selection;
use crate::model::money::with_currency;
use crate::ops::create::Limits;
use crate::ops::from_statements::{self, FromStatements, Line, Outcome, Request};
use crate::output::json_records::CreateView;
use crate::output::ui::Ui;
use crate::output::{record, table, text};

/// Statements of each outcome that people are shown; JSON and CSV have all of them.
const ROWS_SHOWN: usize = 20;

/// What the command line says.
pub(super) struct Asked<'a> {
    /// Only this royalty run's statements.
    pub(super) run: Option<&'a str>,
    /// Only those of the creator that this text names.
    pub(super) creator: Option<&'a str>,
    /// Why what was taken back is paid again.
    pub(super) repay: Option<&'a str>,
    /// The batch does not start held.
    pub(super) release: bool,
    /// Nothing is written.
    pub(super) dry_run: bool,
}

pub(super) fn run(cx: &mut Context, asked: &Asked<'_>) -> Result<Exits, CliError> {
    let mut store = cx.store()?;
    let currency = cx.currency(&mut store)?;
    let request = Request {
        run: selection::royalty_run(&mut store, asked.run)?,
        creator: selection::creator(&mut store, asked.creator)?,
        limits: Limits {
            min_cents: cx.config.min_cents,
            max_cents: cx.config.max_cents,
            currency,
        },
        repay: asked.repay.map(str::to_owned),
        release: asked.release,
    };
    let wanted = from_statements::search(&mut store, &request)?;
    let outcome = if asked.dry_run || wanted.is_empty() {
        from_statements::preview(&mut store, &wanted)?
    } else {
        recorded_with_exit(cx, &mut store, "create", |store, run| {
            let outcome = from_statements::create(store, run, &wanted)?;
            let (exit, summary) = (exit_of(&outcome), summary(&outcome));
            Ok((outcome, exit, summary))
        })?
    };
    answer(cx, &outcome, asked.dry_run)?;
    if exit_of(&outcome) == Exit::Attention {
        cx.ui.warn(LIMITS_HINT);
    }
    Ok(exit_of(&outcome).into())
}

/// What a statement above the maximum needs is a person.
fn exit_of(outcome: &FromStatements) -> Exit {
    match outcome.total(Outcome::Refused) {
        (0, _) => Exit::Done,
        _ => Exit::Attention,
    }
}

/// One line on what was done.
fn summary(outcome: &FromStatements) -> String {
    let created = &outcome.created;
    let payouts = text::count(created.created as u64, "payout");
    let total = with_currency(created.total_cents, created.currency);
    let of = |outcome_of: Outcome| text::grouped(outcome.total(outcome_of).0 as u64);
    format!(
        "created {payouts}, {total}, from statements; {} carried, {} left out, {} refused",
        of(Outcome::Carried),
        of(Outcome::LeftOut),
        of(Outcome::Refused)
    )
}

fn answer(cx: &Context, outcome: &FromStatements, dry_run: bool) -> Result<(), CliError> {
    // A batch from statements is new, and held as it was asked for.
    let held = outcome.created.held;
    let view = CreateView::of_statements(outcome, held, dry_run);
    let lines = view.statements.as_deref().unwrap_or_default();
    record::print(cx.format, &cx.ui, &view, lines, || {
        for_people(&cx.ui, outcome, held, dry_run)
    })?;
    Ok(())
}

fn for_people(ui: &Ui, outcome: &FromStatements, held: bool, dry_run: bool) -> String {
    if outcome.lines.is_empty() {
        return "no statement is left to be paid\n".to_owned();
    }
    let created = &outcome.created;
    let mut shown = table_of(ui, outcome, dry_run);
    let mut lines = Vec::new();
    if let Some(batch) = &created.batch {
        lines.push(("Batch", batch.id.to_string()));
    }
    for of in Outcome::ALL {
        let (count, cents) = outcome.total(*of);
        if count == 0 && *of != Outcome::Created {
            continue;
        }
        let what = match of {
            Outcome::Created => text::count(count as u64, "payout"),
            _ => text::count(count as u64, "statement"),
        };
        let cents = with_currency(cents, created.currency);
        lines.push((heading(*of, dry_run), format!("{what}, {cents}")));
    }
    lines.extend(standing_lines(created, held, dry_run));
    shown.push('\n');
    shown.push_str(&record::render(&lines));
    shown
}

fn heading(outcome: Outcome, dry_run: bool) -> &'static str {
    match outcome {
        Outcome::Created if dry_run => "Would create",
        Outcome::Created => "Created",
        Outcome::Carried => "Carried",
        Outcome::LeftOut => "Left out",
        Outcome::Refused => "Refused",
    }
}

fn table_of(ui: &Ui, outcome: &FromStatements, dry_run: bool) -> String {
    let currency = outcome.created.currency;
    let columns = [
        table::left("Statement"),
        table::left("Run").shrinks_to(8).sacrificed(2),
        table::left("Creator").shrinks_to(10),
        table::right("Left"),
        table::left("Result"),
    ];
    let cells = |line: &Line| {
        let of = line.outcome();
        let heading = heading(of, dry_run).to_lowercase();
        let result = match &line.reason {
            Some(reason) => format!("{heading}: {reason}"),
            None => heading,
        };
        let tone = match of {
            Outcome::Created => table::Tone::Good,
            Outcome::Refused => table::Tone::Bad,
            Outcome::Carried | Outcome::LeftOut => table::Tone::Plain,
        };
        vec![
            line.statement_id.as_str().into(),
            text::brief(&line.royalty_run_id, 30).into(),
            text::brief(&line.creator_name, 40).into(),
            with_currency(line.left_cents, currency).into(),
            table::Value::toned(result, tone),
        ]
    };
    let mut rows = Vec::new();
    let mut more = String::new();
    for of in Outcome::ALL {
        let mut lines = outcome.lines.iter().filter(|line| line.outcome() == *of);
        rows.extend(lines.by_ref().take(ROWS_SHOWN).map(cells));
        let rest = lines.count() as u64;
        if rest > 0 {
            let heading = heading(*of, dry_run).to_lowercase();
            let _ = writeln!(more, "… and {} more {heading}", text::grouped(rest));
        }
    }
    table::render(ui, &columns, rows) + &more
}
