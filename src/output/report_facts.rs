//! What a report says besides its payouts and its lines: for machines, and for the page, which
//! shows the same.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::listing::Total;
use crate::model::money::Currency;
use crate::model::reconciliation::{FindingKind, Reconciliation};
use crate::model::stats::Durations;
use crate::model::time::Time;
use crate::ops::report::KnownNow;
use crate::ops::stats::{Figures, Named, Question};
use crate::output::report::Shown;
use crate::output::stats::{FailureView, StatsView, failures};

/// What a report says besides its payouts and its lines. All but `known_now` is of the period,
/// and stays what it is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReportFacts {
    /// All of the period.
    pub figures: StatsView,
    /// The same by day, week, month or year, whichever gives some sixty at most; stretches in
    /// which nothing happened are there too.
    pub over_time: Vec<StatsView>,
    /// Refused attempts by code, the most frequent first.
    pub failures: Vec<FailureView>,
    /// How many were paid after how long.
    pub time_to_paid: Vec<TimeToPaidView>,
    /// The largest payouts that were paid, ten at most.
    pub largest: Vec<NamedPayoutView>,
    /// The payouts of which most was seen to be taken back, ten at most.
    pub largest_reversed: Vec<NamedPayoutView>,
    /// What is known on the day of the report.
    pub known_now: KnownNowView,
}

/// Payouts that were paid after about the same time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TimeToPaidView {
    /// After at least so many seconds.
    pub from_seconds: i64,
    /// And less than so many; null has no end.
    pub until_seconds: Option<i64>,
    /// Payouts.
    pub count: i64,
}

/// A payout that is named for its size.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NamedPayoutView {
    /// Primary key.
    pub id: String,
    /// Whom it pays.
    pub creator_id: String,
    /// Their name on stage, as it is today.
    pub creator_name: Option<String>,
    /// The reference it was loaded under.
    pub reference: Option<String>,
    /// What was paid, or what was taken back, minor units.
    pub amount_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
    /// When that was; the last time, where it was more than once.
    pub at: String,
}

/// What is known on the day of the report, whatever its period.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KnownNowView {
    /// When that was.
    pub as_of: String,
    /// Real money; null when nothing was sent yet.
    pub livemode: Option<bool>,
    /// Open differences between the table and Stripe, the gravest first.
    pub open_findings: Vec<OpenFindingsView>,
    /// The last comparison with Stripe that ended; null when there is none.
    pub last_reconciliation: Option<LastReconciliationView>,
}

/// Open findings of one kind.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OpenFindingsView {
    /// How Stripe and the table differ.
    pub kind: &'static str,
    /// `critical`, `error` or `warning`.
    pub severity: &'static str,
    /// How many.
    pub count: i64,
    /// The money at stake as far as it is known, minor units.
    pub at_stake_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
}

/// What a comparison with Stripe came to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LastReconciliationView {
    /// The run that compared; `payouts reconcile --show RUN` prints all of it.
    pub run_id: String,
    /// The first moment of its period; null is the beginning of all.
    pub period_from: Option<String>,
    /// The first moment after it.
    pub period_until: Option<String>,
    /// When it was done.
    pub finished_at: String,
    /// What the table was compared with: `stripe` or `file`.
    pub source: &'static str,
    /// Transfers of the period.
    pub transfer_count: i64,
    /// Their sum, minor units.
    pub transfer_cents: i64,
    /// Of them, those that the table holds.
    pub matched_count: i64,
    /// Payouts that the table has as paid in the period.
    pub payout_count: i64,
    /// Their sum, minor units.
    pub payout_cents: i64,
    /// Lowercase code.
    pub currency: &'static str,
    /// Findings that it left open.
    pub open_count: i64,
    /// Nothing was open, and no run was at work.
    pub clean: bool,
}

/// Stretches of time that fit beside one another in a chart.
const UNITS_MAX: usize = 62;

/// Where the stretches of `time_to_paid` end, in seconds.
const ENDS: [i64; 7] = [60, 600, 3_600, 21_600, 86_400, 259_200, 604_800];

impl ReportFacts {
    /// What was found out about a period.
    pub fn of(figures: &Figures, question: &Question, shown: &Shown, known: &KnownNow) -> Self {
        let currency = shown.currency;
        let unit = figures.fitting_unit(question, known.as_of, UNITS_MAX);
        let over_time = figures.by_unit(unit, question, known.as_of, UNITS_MAX);
        Self {
            figures: StatsView::whole(&figures.whole, currency),
            over_time: over_time
                .iter()
                .map(|(first, tally)| StatsView::unit(unit, unit.label(*first), tally, currency))
                .collect(),
            failures: failures(figures, currency),
            time_to_paid: time_to_paid(&figures.whole.to_paid),
            largest: named(&figures.largest, currency),
            largest_reversed: named(&figures.reversed, currency),
            known_now: KnownNowView::of(known, currency),
        }
    }
}

fn time_to_paid(durations: &Durations) -> Vec<TimeToPaidView> {
    let begins = [0].into_iter().chain(ENDS);
    let ends = ENDS.into_iter().map(Some).chain([None]);
    begins
        .zip(ends)
        .map(|(from_seconds, until_seconds)| TimeToPaidView {
            from_seconds,
            until_seconds,
            count: durations.between(from_seconds, until_seconds.unwrap_or(i64::MAX)),
        })
        .collect()
}

fn named(payouts: &[Named], currency: Currency) -> Vec<NamedPayoutView> {
    let view = |payout: &Named| NamedPayoutView {
        id: payout.id.as_str().to_owned(),
        creator_id: payout.creator_id.as_str().to_owned(),
        creator_name: payout.creator_name.clone(),
        reference: payout.reference.clone(),
        amount_cents: payout.cents,
        currency: currency.as_str(),
        at: payout.at.to_string(),
    };
    payouts.iter().map(view).collect()
}

impl KnownNowView {
    fn of(known: &KnownNow, currency: Currency) -> Self {
        let open = |(kind, total): &(FindingKind, Total)| OpenFindingsView {
            kind: kind.as_str(),
            severity: kind.severity().as_str(),
            count: total.count,
            at_stake_cents: total.amount_cents,
            currency: currency.as_str(),
        };
        let last = known.reconciliation.as_ref();
        Self {
            as_of: known.as_of.to_string(),
            livemode: known.livemode,
            open_findings: known.findings.iter().map(open).collect(),
            last_reconciliation: last.map(|last| LastReconciliationView::of(last, currency)),
        }
    }
}

impl LastReconciliationView {
    fn of(last: &Reconciliation, currency: Currency) -> Self {
        let moment = |time: Option<Time>| time.map(|time| time.to_string());
        Self {
            run_id: last.run_id.as_str().to_owned(),
            period_from: moment(last.period_from),
            period_until: moment(last.period_until),
            finished_at: last.finished_at.to_string(),
            source: last.source.as_str(),
            transfer_count: last.transfer_count,
            transfer_cents: last.transfer_cents,
            matched_count: last.matched_count,
            payout_count: last.payout_count,
            payout_cents: last.payout_cents,
            currency: currency.as_str(),
            open_count: last.open_count,
            clean: last.clean,
        }
    }
}
