//! `payouts doctor --verify-history` in every format.

use std::fmt::Write as _;
use std::io;

use schemars::JsonSchema;
use serde::Serialize;

use crate::ops::verify_history::{Finding, Verified};
use crate::output::rows::csv_fields;
use crate::output::table::{self, Tone};
use crate::output::text::count;
use crate::output::ui::Ui;
use crate::output::{Answer, Format};

/// Something about the history that does not fit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryFindingView<'a> {
    /// What: `row_changed`, `row_missing`, `row_added`, `head_differs`,
    /// `head_missing`, `history_missing`, `run_unknown`, `run_differs` or
    /// `status_differs`.
    pub flaw: &'static str,
    /// It proves that somebody changed the history; false of `status_differs` alone.
    pub proof: bool,
    /// Whose history; null of a run.
    pub payout_id: Option<&'a str>,
    /// Which row of it, counted from 1.
    pub seq: Option<i64>,
    /// The run that does not fit.
    pub run_id: Option<&'a str>,
    /// In words.
    pub found: &'a str,
}
csv_fields!(HistoryFindingView<'a>: flaw, proof, payout_id, seq, run_id, found);

impl<'a> HistoryFindingView<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            flaw: finding.flaw.as_str(),
            proof: finding.flaw.is_proof(),
            payout_id: finding.payout_id.as_ref().map(AsRef::as_ref),
            seq: finding.seq,
            run_id: finding.run_id.as_ref().map(AsRef::as_ref),
            found: &finding.found,
        }
    }
}

/// What the check says besides its findings.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryMembers {
    /// Nothing proves that somebody changed the history.
    pub intact: bool,
    /// Rows that were checked.
    pub rows: u64,
    /// Payouts whose chains they are.
    pub payouts: u64,
    /// Runs that were held against the hash they left over what they wrote.
    pub runs: u64,
    /// Runs that left none: they still run, were killed, or lost the database.
    pub runs_without_hash: u64,
    /// Findings that prove a change, also those that are not listed.
    pub proofs: u64,
    /// Findings that prove nothing, also those that are not listed.
    pub notes: u64,
}

/// Writes what a check found to stdout.
pub fn print(format: Format, ui: &Ui, verified: &Verified) -> io::Result<()> {
    let findings = verified.findings.iter().map(HistoryFindingView::of);
    Answer::new("findings", findings.collect())
        .with(HistoryMembers {
            intact: verified.proofs == 0,
            rows: verified.rows,
            payouts: verified.payouts,
            runs: verified.runs,
            runs_without_hash: verified.runs_without_hash,
            proofs: verified.proofs,
            notes: verified.notes,
        })
        .print(format, ui, |ui, rows| text(ui, rows, verified))
}

fn text(ui: &Ui, rows: &[HistoryFindingView<'_>], verified: &Verified) -> String {
    let mut text = String::new();
    if !rows.is_empty() {
        let columns = [
            table::left("Payout / run"),
            table::right("Row"),
            table::left("Finding"),
            table::left("Found").shrinks_to(30),
        ];
        let cells = rows.iter().map(|row| {
            let tone = if row.proof { Tone::Bad } else { Tone::Doubt };
            vec![
                row.payout_id.or(row.run_id).unwrap_or_default().into(),
                row.seq
                    .map_or_else(String::new, |seq| seq.to_string())
                    .into(),
                table::Value::toned(row.flaw, tone),
                row.found.into(),
            ]
        });
        text.push_str(&table::render(ui, &columns, cells.collect()));
    }
    let listed = rows.len() as u64;
    let all = verified.proofs.saturating_add(verified.notes);
    if all > listed {
        let _ = writeln!(text, "… and {} more", count(all - listed, "finding"));
    }
    let _ = writeln!(
        text,
        "history: {} of {} checked; {} held against the hash they left, {} left none",
        count(verified.rows, "row"),
        count(verified.payouts, "payout"),
        count(verified.runs, "run"),
        verified.runs_without_hash,
    );
    let verdict = match verified.proofs {
        0 => "every chain is whole".to_owned(),
        proofs => format!(
            "the history was changed: {}; restore a backup beside this database and compare",
            count(proofs, "finding")
        ),
    };
    let _ = writeln!(text, "{verdict}");
    text
}
