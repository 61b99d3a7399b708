//! How far batches are, in every format.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::listing::{Total, Totals};
use crate::model::money::{Currency, with_currency};
use crate::model::payout::PayoutStatus;
use crate::output::json_records::BatchView;
use crate::output::rows::Row;
use crate::output::text::grouped;

/// A batch and what became of its payouts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BatchProgressView {
    /// The batch.
    #[serde(flatten)]
    pub batch: BatchView,
    /// Payouts of it that are paid.
    pub paid_count: i64,
    /// Their sum.
    pub paid_cents: i64,
    /// Payouts of it that are in the queue, on the way, or of unknown outcome.
    pub open_count: i64,
    /// Their sum.
    pub open_cents: i64,
    /// Payouts of it that were refused or cancelled.
    pub failed_count: i64,
    /// Their sum.
    pub failed_cents: i64,
    /// Of those that are paid, those of whose transfers something was taken back.
    pub reversed_count: i64,
    /// What was taken back of them.
    pub reversed_cents: i64,
}

/// Those of a batch, and how far it is behind its total.
impl Row for BatchProgressView {
    const FIELDS: &'static [&'static str] = &[
        "id",
        "source",
        "sha256",
        "payout_count",
        "total_cents",
        "currency",
        "paid_count",
        "paid_cents",
        "open_count",
        "open_cents",
        "failed_count",
        "failed_cents",
        "held",
        "actor",
        "run_id",
        "created_at",
        "reversed_count",
        "reversed_cents",
    ];
}

impl BatchProgressView {
    /// Of a batch and its payouts by status.
    pub fn new(batch: BatchView, totals: &Totals) -> Self {
        let (paid, open, failed) = parts(totals);
        Self {
            batch,
            paid_count: paid.count,
            paid_cents: paid.amount_cents,
            open_count: open.count,
            open_cents: open.amount_cents,
            failed_count: failed.count,
            failed_cents: failed.amount_cents,
            reversed_count: totals.reversed.count,
            reversed_cents: totals.reversed.amount_cents,
        }
    }
}

/// Paid, open and failed.
fn parts(totals: &Totals) -> (Total, Total, Total) {
    let (pending, processing) = (
        totals.of(PayoutStatus::Pending),
        totals.of(PayoutStatus::Processing),
    );
    let open = Total {
        count: pending.count.saturating_add(processing.count),
        amount_cents: pending.amount_cents.saturating_add(processing.amount_cents),
    };
    (
        totals.of(PayoutStatus::Completed),
        open,
        totals.of(PayoutStatus::Failed),
    )
}

/// How far a batch is, for a column: `2 paid, 1 open, 1 failed`.
pub fn briefly(totals: &Totals) -> String {
    in_words(totals, |_| String::new())
}

/// The same with sums: `2 paid (30.00 USD), 1 open (10.00 USD)`.
pub fn at_length(totals: &Totals, currency: Currency) -> String {
    in_words(totals, |cents| {
        format!(" ({})", with_currency(cents, currency))
    })
}

fn in_words(totals: &Totals, sum: impl Fn(i64) -> String) -> String {
    let (paid, open, failed) = parts(totals);
    // What was taken back was paid: it is told beside, and comes last.
    let words: Vec<String> = [
        (paid, "paid"),
        (open, "open"),
        (failed, "failed"),
        (totals.reversed, "of them taken back"),
    ]
    .into_iter()
    .filter(|(total, _)| total.count > 0)
    .map(|(total, word)| {
        let count = grouped(u64::try_from(total.count).unwrap_or(0));
        format!("{count} {word}{}", sum(total.amount_cents))
    })
    .collect();
    if words.is_empty() {
        return "no payouts".to_owned();
    }
    words.join(", ")
}
