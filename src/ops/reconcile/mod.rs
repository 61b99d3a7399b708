//! Comparing the table with Stripe, transfer by transfer, both ways.
//!
//! 1. Events that wait are applied ([`mod@crate::ops::events`]).
//! 2. Payouts that may have been paid although they bear no transfer's id: each
//!    is looked up by its group, and an open attempt by what went to its account
//!    since, whenever it was created.
//! 3. Every transfer of the period against the ledger, several windows of it read at
//!    once ([`listing`]).
//! 4. Every transfer that the table holds for the period and that Stripe did not
//!    list in it: each is fetched, so that a period that cuts the two sides
//!    differently finds nothing that is not there. Which they are is added up beside
//!    the reading, and not remembered (`sketch`).
//! 5. Open findings of earlier comparisons about other transfers: each is fetched
//!    and judged again.
//! 6. What left the balance and came back, day by day.
//! 7. What Stripe paid without the table knowing: whether something else paid it too.
//!    With `fix`, repairs.
//! 8. Statements that are covered and not marked, or marked and taken back.
//!
//! With a report file ([`report`]), its rows take the place of the list of step 3, and
//! steps 1 and 6 are left out.
//!
//! What a comparison is of one transfer or one payout is decided in [`mod@judge`];
//! this module only reads, keeps and, with `fix`, repairs. A repair is decided
//! again on what Stripe says at that moment. Stripe is only ever asked with GET,
//! and nothing here sends, retries or gives up a payout. Memory holds a few pages of
//! each window, and does not grow with the period.

mod at_once;
mod balance;
pub mod changes;
mod doubt;
pub(in crate::ops) mod examine;
pub mod judge;
mod listed;
pub mod listing;
mod progress;
pub(in crate::ops) mod repair;
pub mod report;
mod sketch;
mod statements;
mod without_key;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::money::Currency;
use crate::model::reconciliation::{
    Finding, FindingKind, FindingState, Reconciliation, ReconciliationProgress, Source,
};
use crate::model::run::Holder;
use crate::model::time::{Clock, Span, Time};
use crate::ops::account::{account_of_stamp, account_of_this_database};
use crate::ops::event::Event;
use crate::ops::events::apply::apply_pending;
use crate::ops::pace::Pace;
use crate::ops::reconcile::at_once::AtOnce;
use crate::ops::reconcile::balance::balanced;
use crate::ops::reconcile::examine::Examiner;
use crate::ops::reconcile::judge::Terms;
use crate::ops::reconcile::listing::Seconds;
use crate::ops::reconcile::progress::Progress;
use crate::ops::reconcile::repair::{Repair, Repairs};
use crate::ops::run_error::RunError;
use crate::ops::transfers::{OVERLAP, TransferReader};
use crate::store::thread::StoreThread;
use crate::store::{RunStamp, Stamp, Store, StoreError};
use crate::stripe::Stripe;

/// Days back from now that are compared when nothing else is said.
pub const DAYS: u64 = 35;

/// Findings worked on at once.
const FINDINGS_PAGE: i64 = 200;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which transfers, by the moment they were made.
    pub period: Span,
    /// Apply the repairs that are provably safe.
    pub fix: bool,
    /// The database's one currency.
    pub currency: Currency,
    /// See `PAYOUTS_LEASE`.
    pub lease: Duration,
    /// Reads per second; none is unlimited.
    pub rate: Option<u32>,
    /// Whether the lines of the balance are read as well.
    pub balance: bool,
    /// How far another run got with the same, which this one goes on from.
    pub resumed: Option<ReconciliationProgress>,
}

/// How many findings there are of one kind and state.
pub type Counted = Vec<(FindingKind, FindingState, i64)>;

/// What a comparison came to. The findings are kept, under the run's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// As it is kept.
    pub reconciliation: Reconciliation,
    /// What was seen and what is open, by kind and state.
    pub counted: Counted,
    /// Runs that hold payouts, which were left to them: nothing is clean yet.
    pub holders: Vec<Holder>,
    /// Rows, transfers and payouts that could not be checked: nothing is clean either.
    pub unchecked: u64,
}

impl Compared {
    /// The kinds of which something is open, gravest first.
    pub fn open_kinds(&self) -> impl Iterator<Item = FindingKind> {
        self.counted
            .iter()
            .filter(|(_, state, _)| *state == FindingState::Open)
            .map(|(kind, ..)| *kind)
    }
}

/// The period when none is named: the last [`DAYS`] days, and always all that
/// the rollback guard of `process` looks at, so that what it refuses is repaired. It
/// begins with a whole day: of a part of one the balance says something else than was
/// found, or accepted, of all of it.
///
/// # Errors
/// What the store reports.
pub fn default_period(store: &mut Store, now: Time) -> Result<Span, StoreError> {
    let back = now.minus(Duration::from_secs(DAYS * 86_400));
    let guarded = store.watermark()?.minus(OVERLAP);
    Ok(Span {
        from: Some(back.min(guarded).day_start()),
        until: None,
    })
}

/// Compares, keeps what was found and, when asked to, repairs.
///
/// # Errors
/// The database, a read at Stripe, or a key of another account or mode. What was
/// found until then is kept.
pub async fn reconcile(
    db: StoreThread,
    stripe: Arc<Stripe>,
    clock: &Clock,
    request: Request,
    stamp: &RunStamp,
    events: &mut dyn FnMut(Event),
) -> Result<Compared, RunError> {
    let mut comparison = begin(db, Some(stripe), clock, request, stamp, events).await?;
    comparison.go_on().await?;
    apply_pending(&comparison.examiner, comparison.events).await?;
    comparison.payouts_in_doubt().await?;
    comparison.transfers().await?;
    comparison.findings_from_before().await?;
    comparison.balance().await?;
    comparison.conclude().await?;
    comparison.finish().await
}

/// What is compared, and with whom, once the key is of this database's account.
async fn begin<'a>(
    db: StoreThread,
    stripe: Option<Arc<Stripe>>,
    clock: &'a Clock,
    request: Request,
    stamp: &RunStamp,
    events: &'a mut dyn FnMut(Event),
) -> Result<Comparison<'a>, RunError> {
    let (reader, livemode) = if let Some(stripe) = stripe {
        let pace = Arc::new(Pace::new(clock, request.rate));
        let livemode = stripe.livemode();
        let reader = TransferReader::new(stripe, pace);
        account_of_this_database(&db, &reader, livemode).await?;
        (Some(reader), livemode)
    } else {
        let stamp = db.call(Store::stamp).await?;
        (None, stamp.is_some_and(|stamp| stamp.livemode))
    };
    let (database_id, _) = db.call(Store::database_id).await?;
    let now = clock.now();
    let terms = Terms {
        currency: request.currency,
        livemode,
        database_id,
    };
    let (period, with_balance) = (request.period, request.balance);
    Ok(Comparison {
        tally: Reconciliation::begun(stamp.run_id.clone(), period, now),
        examiner: Arc::new(Examiner::new(
            db,
            reader,
            terms,
            stamp.clone(),
            request.lease,
        )),
        request,
        begun: now,
        progress: Progress::begun(balanced(Seconds::of(period), now), with_balance),
        unchecked: 0,
        clock,
        events,
    })
}

/// The references under which forgotten payouts had been loaded, by the ids of
/// their findings. Their rows are lost; only their transfers still say it.
///
/// # Errors
/// A read at Stripe, or a key of another account or mode.
pub async fn references_forgotten(
    stripe: Arc<Stripe>,
    clock: &Clock,
    rate: Option<u32>,
    stamp: Option<Stamp>,
    findings: &[Finding],
) -> Result<HashMap<String, String>, RunError> {
    let mut references = HashMap::new();
    let forgotten = findings
        .iter()
        .filter(|finding| finding.kind == FindingKind::ForgottenPayout)
        .filter_map(|finding| Some((&finding.id, finding.transfer_id.as_deref()?)));
    let livemode = stripe.livemode();
    let reader = TransferReader::new(stripe, Arc::new(Pace::new(clock, rate)));
    let mut asked = false;
    for (finding, transfer) in forgotten {
        if !asked {
            account_of_stamp(stamp.clone(), &reader, livemode).await?;
            asked = true;
        }
        let transfer = reader.transfer(transfer).await?;
        let reference = transfer.and_then(|transfer| transfer.metadata.get("reference").cloned());
        references.extend(reference.map(|reference| (finding.clone(), reference)));
    }
    Ok(references)
}

/// In this order: a row that is made again may then be behind or reversed.
const REPAIRED_FIRST: [FindingKind; 4] = [
    FindingKind::ForgottenPayout,
    FindingKind::StatusBehind,
    FindingKind::ReversedFully,
    FindingKind::ReversedPartly,
];

/// Findings without a transfer that Stripe's lists do not settle: a day of the balance is
/// settled by comparing that day, and a line that only a report knows by a report.
const NOT_IN_THE_LISTS: [FindingKind; 2] =
    [FindingKind::BalanceDiffers, FindingKind::UnknownTransfer];

/// A comparison under way.
struct Comparison<'a> {
    examiner: Arc<Examiner>,
    request: Request,
    tally: Reconciliation,
    begun: Time,
    progress: Progress,
    /// Rows, transfers and payouts of which nobody could say whether they agree.
    unchecked: u64,
    clock: &'a Clock,
    events: &'a mut dyn FnMut(Event),
}

impl Comparison<'_> {
    /// Open findings of earlier runs about transfers that this one has not come
    /// across: they stay open until Stripe or the table says otherwise. What it has
    /// come across is a finding of this run by now, or settled.
    async fn findings_from_before(&mut self) -> Result<(), RunError> {
        let mut after: Option<String> = None;
        loop {
            let (run, behind) = (self.examiner.stamp.run_id.clone(), after.clone());
            let page = self
                .examiner
                .db
                .call(move |store| {
                    store.findings_from_before(&run, behind.as_deref(), FINDINGS_PAGE)
                })
                .await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.id.clone());
            let mut look_ups = AtOnce::new();
            for finding in page {
                let Some(id) = finding.transfer_id else {
                    continue;
                };
                let examiner = Arc::clone(&self.examiner);
                let (payout, attempt) = (finding.payout_id, finding.attempt);
                look_ups
                    .begin(async move { examiner.look_up(&id, payout.as_ref(), attempt).await })
                    .await?;
            }
            look_ups.end().await?;
        }
    }

    /// Hands on the open findings of one kind that this run saw, a page at a time.
    async fn each_open(
        &mut self,
        kind: FindingKind,
        mut work: impl AsyncFnMut(&mut Self, Finding) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let mut after = None;
        loop {
            let page = self.open_page(kind, after).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.id.clone());
            for finding in page {
                work(self, finding).await?;
            }
        }
    }

    /// A page of the open findings of one kind that this run saw, behind a finding.
    async fn open_page(
        &self,
        kind: FindingKind,
        after: Option<String>,
    ) -> Result<Vec<Finding>, RunError> {
        let run = self.examiner.stamp.run_id.clone();
        Ok(self
            .examiner
            .db
            .call(move |store| {
                store.findings_open_of_run(&run, kind, after.as_deref(), FINDINGS_PAGE)
            })
            .await?)
    }

    async fn repair(&mut self, kinds: &[FindingKind]) -> Result<(), RunError> {
        if !self.request.fix {
            return Ok(());
        }
        for kind in kinds {
            self.each_open(*kind, async |this: &mut Self, finding: Finding| {
                let repairs = Repairs {
                    examiner: &this.examiner,
                    period: this.request.period,
                    begun: this.begun,
                };
                match repairs.of(&finding, this.events).await {
                    Ok(Repair { done, matched_now }) => {
                        this.tally.matched_count += i64::from(matched_now);
                        match done {
                            Ok(how) => this.fixed(finding.id, how).await,
                            Err(why_not) => {
                                this.not_repaired(&finding, &why_not);
                                Ok(())
                            }
                        }
                    }
                    // One that cannot be written holds up nobody else.
                    Err(RunError::Store(error)) if !error.is_transient() => {
                        this.not_repaired(&finding, &error.with_cause());
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            })
            .await?;
        }
        Ok(())
    }

    async fn fixed(&self, id: String, how: String) -> Result<(), RunError> {
        let stamp = self.examiner.stamp.clone();
        Ok(self
            .examiner
            .db
            .call(move |store| store.finding_fixed(&stamp, &id, &how))
            .await?)
    }

    fn not_repaired(&mut self, finding: &Finding, why: &str) {
        let about = finding
            .payout_id
            .as_ref()
            .map(|payout| format!(" of payout {payout}"))
            .unwrap_or_default();
        (self.events)(Event::Warning(format!(
            "{} {}{about} is not repaired: {why}",
            finding.kind, finding.id
        )));
    }

    /// What follows once both sides were read, whatever Stripe's side was read from.
    async fn conclude(&mut self) -> Result<(), RunError> {
        self.look_closer().await?;
        self.repair(&REPAIRED_FIRST).await?;
        self.statements().await?;
        self.repair(&[FindingKind::StatementNotMarked]).await
    }

    async fn finish(mut self) -> Result<Compared, RunError> {
        let (stamp, period, begun) = (self.examiner.stamp.clone(), self.request.period, self.begun);
        let lease = self.examiner.lease;
        let not_looked_for = self.not_looked_for();
        let (counted, from_before, paid, holders) = self
            .examiner
            .db
            .call(move |store| {
                store.findings_gone(&stamp, begun, not_looked_for)?;
                let counted = store.findings_counted(&stamp.run_id, begun)?;
                let from_before = store.findings_open_since_before(begun)?;
                let holders = store.attempts_holders(Some(&stamp.run_id), lease)?;
                Ok((
                    counted,
                    from_before,
                    store.payouts_paid_in(period)?,
                    holders,
                ))
            })
            .await?;
        self.advance_watermark(begun).await?;
        let of = |wanted: FindingState| {
            counted
                .iter()
                .filter(|(_, state, _)| *state == wanted)
                .map(|(.., count)| count)
                .sum::<i64>()
        };
        let tally = &mut self.tally;
        self.progress.tell(tally);
        if tally.source == Source::File {
            // What was taken back by its own rows, as they stand in it.
            tally.reversed_cents = tally.balance_reversed_cents.unwrap_or(0);
        }
        (tally.payout_count, tally.payout_cents) = paid;
        tally.open_before_count = from_before;
        tally.open_count = of(FindingState::Open);
        tally.fixed_count = of(FindingState::Fixed);
        tally.accepted_count = of(FindingState::Accepted);
        tally.clean = tally.open_count == 0 && holders.is_empty() && self.unchecked == 0;
        tally.finished_at = self.clock.now();
        let (reconciliation, keeping) = (self.tally.clone(), self.tally);
        self.examiner
            .db
            .call(move |store| store.reconciliation_keep(&keeping))
            .await?;
        Ok(Compared {
            reconciliation,
            counted,
            holders,
            unchecked: self.unchecked,
        })
    }

    /// The kinds of findings without a transfer that this comparison did not look for, so
    /// that not to see one says nothing.
    fn not_looked_for(&self) -> &'static [FindingKind] {
        match (self.tally.source, &self.examiner.reader) {
            (Source::Stripe, _) => &NOT_IN_THE_LISTS,
            (Source::File, Some(_)) => &report::NOT_IN_A_REPORT,
            (Source::File, None) => &without_key::NOT_WITHOUT_A_KEY,
        }
    }

    /// Goes on from where the last comparison was cut off, where that is asked for.
    async fn go_on(&mut self) -> Result<(), RunError> {
        let Some(kept) = self.request.resumed.take() else {
            let lease = self.examiner.lease;
            let forget = move |store: &mut Store| store.reconciliation_progress_forget(lease);
            return Ok(self.examiner.db.call(forget).await?);
        };
        let Some(progress) = Progress::from_kept(&kept.progress, &kept.seen) else {
            let cannot = format!(
                "how far {} got cannot be read: all is compared",
                kept.run_id
            );
            (self.events)(Event::Warning(cannot));
            return Ok(());
        };
        self.progress = progress;
        if self.request.balance && !self.progress.with_balance() {
            self.request.balance = false;
            let without = format!("run {} left the balance out, and so does this", kept.run_id);
            (self.events)(Event::Warning(without));
        }
        let (stamp, from) = (self.examiner.stamp.clone(), kept.run_id.clone());
        self.examiner
            .db
            .call(move |store| store.reconciliation_takes_over(&stamp, &from))
            .await?;
        (self.events)(Event::Note(format!(
            "going on from run {}, which had compared {} transfers",
            kept.run_id,
            self.progress.transfers()
        )));
        self.save_progress().await
    }

    /// Keeps how far the reading got.
    async fn save_progress(&self) -> Result<(), RunError> {
        let (progress, seen) = self.progress.to_keep();
        let keep = ReconciliationProgress {
            run_id: self.examiner.stamp.run_id.clone(),
            period_from: self.request.period.from,
            period_until: self.request.period.until,
            saved_at: self.clock.now(),
            progress,
            seen,
        };
        Ok(self
            .examiner
            .db
            .call(move |store| store.reconciliation_progress_keep(&keep))
            .await?)
    }

    /// Where all that the rollback guard looks at was compared and nothing of it
    /// is forgotten, the next guard need not read it again.
    async fn advance_watermark(&self, begun: Time) -> Result<(), RunError> {
        // A file says nothing of what was made after it.
        let counts = self.request.fix && self.tally.source == Source::Stripe;
        let Some(newest) = self.progress.newest().filter(|_| counts) else {
            return Ok(());
        };
        let period = self.request.period;
        let to = newest.min(begun);
        Ok(self
            .examiner
            .db
            .call(move |store| {
                let guarded = store.watermark()?.minus(OVERLAP);
                let covered = period.contains(guarded) && period.contains(begun);
                // Without a stamp nobody knows that these are the transfers of this database's account.
                let ours = store.stamp()?.is_some();
                if ours && covered && store.guard_is_clear()? {
                    store.watermark_advance(to)?;
                }
                Ok(())
            })
            .await?)
    }
}
