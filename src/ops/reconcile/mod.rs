//! Comparing the table with Stripe, transfer by transfer, both ways.
//!
//! 1. Payouts that may have been paid although they bear no transfer's id: each
//!    is looked up by its group, and an open attempt by what went to its account
//!    since, whenever it was created.
//! 2. Every transfer of the period, page by page, against the ledger.
//! 3. Every transfer that the table holds for the period and that Stripe did not
//!    list in it: each is fetched, so that a period that cuts the two sides
//!    differently finds nothing that is not there.
//! 4. Open findings of earlier comparisons about other transfers: each is fetched
//!    and judged again.
//! 5. Statements that are covered and not marked.
//!
//! What a comparison is of one transfer or one payout is decided in [`mod@judge`];
//! this module only reads, keeps and, with `fix`, repairs. A repair is decided
//! again on what Stripe says at that moment. Stripe is only ever asked with GET,
//! and nothing here sends, retries or gives up a payout. Memory holds one page
//! of transfers, and of those of the period their ids.

pub(in crate::ops) mod examine;
pub mod judge;
pub(in crate::ops) mod repair;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::ids::{PayoutId, StatementId};
use crate::model::money::Currency;
use crate::model::payout::PayoutStatus;
use crate::model::reconciliation::{
    Discrepancy, Finding, FindingKind, FindingState, Reconciliation,
};
use crate::model::run::Holder;
use crate::model::time::{Clock, Span, Time};
use crate::ops::event::Event;
use crate::ops::pace::Pace;
use crate::ops::process::{ProcessError, account_of_stamp, account_of_this_database};
use crate::ops::reconcile::examine::{Examiner, odd_entry};
use crate::ops::reconcile::repair::{Repair, Repairs};
use crate::ops::transfers::{FOREIGN_MARGIN, OVERLAP, TransferReader};
use crate::store::ledger::LedgerEntry;
use crate::store::statement_marks::StatementsToMark;
use crate::store::thread::StoreThread;
use crate::store::{RunStamp, Stamp, Store, StoreError};
use crate::stripe::api::TransferQuery;
use crate::stripe::object::TransferPage;
use crate::stripe::{Stripe, Transfer};
use judge::{Terms, judge_without_transfer, open_attempt};

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
    /// Of what is open, what was found before this comparison began.
    pub from_before: i64,
    /// Runs that hold payouts, which were left to them: nothing is clean yet.
    pub holders: Vec<Holder>,
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
/// the rollback guard of `process` looks at, so that what it refuses is repaired.
///
/// # Errors
/// What the store reports.
pub fn default_period(store: &mut Store, now: Time) -> Result<Span, StoreError> {
    let back = now.minus(Duration::from_secs(DAYS * 86_400));
    let guarded = store.watermark()?.minus(OVERLAP);
    Ok(Span {
        from: Some(back.min(guarded)),
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
) -> Result<Compared, ProcessError> {
    let pace = Arc::new(Pace::new(clock, request.rate));
    let livemode = stripe.livemode();
    let reader = TransferReader::new(stripe, pace);
    account_of_this_database(&db, &reader, livemode).await?;
    let (database_id, _) = db.call(Store::database_id).await?;
    let now = clock.now();
    let terms = Terms {
        currency: request.currency,
        livemode,
        database_id,
    };
    let mut comparison = Comparison {
        tally: Reconciliation::begun(stamp.run_id.clone(), request.period, now),
        examiner: Examiner::new(db, reader, terms, stamp.clone(), request.lease),
        request,
        begun: now,
        listed: HashSet::new(),
        newest: None,
        events,
    };
    comparison.payouts_in_doubt().await?;
    comparison.transfers().await?;
    comparison.transfers_held().await?;
    comparison.findings_from_before().await?;
    comparison.look_closer().await?;
    comparison.repair(&REPAIRED_FIRST).await?;
    comparison.statements().await?;
    comparison
        .repair(&[FindingKind::StatementNotMarked])
        .await?;
    comparison.finish(clock).await
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
) -> Result<HashMap<String, String>, ProcessError> {
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

/// A comparison under way.
struct Comparison<'a> {
    examiner: Examiner,
    request: Request,
    tally: Reconciliation,
    begun: Time,
    /// Transfers that Stripe listed in the period, and those looked up by their ids.
    listed: HashSet<String>,
    /// The newest of them.
    newest: Option<Time>,
    events: &'a mut dyn FnMut(Event),
}

impl Comparison<'_> {
    // --- what is compared ---------------------------------------------------------------------

    /// Rows without a transfer's id come first: they are the ones in doubt.
    async fn payouts_in_doubt(&mut self) -> Result<(), ProcessError> {
        type NextPage = fn(&mut Store, Option<&PayoutId>) -> Result<Vec<PayoutId>, StoreError>;
        let lists: [NextPage; 2] = [
            |store, after| store.payouts_unresolved(after),
            |store, after| store.payouts_without_transfer(after),
        ];
        for next_page in lists {
            let mut after: Option<PayoutId> = None;
            loop {
                let behind = after.clone();
                let ids = self
                    .examiner
                    .db
                    .call(move |store| next_page(store, behind.as_ref()))
                    .await?;
                let Some(last) = ids.last().cloned() else {
                    break;
                };
                let lease = self.examiner.lease;
                let (entries, missing) = self
                    .examiner
                    .db
                    .call(move |store| {
                        let missing = store.payouts_known_missing(&ids)?;
                        Ok((store.ledger_entries(&ids, lease)?, missing))
                    })
                    .await?;
                for entry in entries.values().filter(|entry| !entry.busy) {
                    if missing.contains(&entry.id) && self.is_of_the_past(entry) {
                        let found = judge_without_transfer(entry, true);
                        self.examiner
                            .keep(Vec::new(), found.into_iter().collect())
                            .await?;
                    } else {
                        self.payout_in_doubt(entry).await?;
                    }
                }
                after = Some(last);
            }
        }
        Ok(())
    }

    /// Whether a row that was marked as paid without saying by what lies wholly
    /// before the period. Its group was read once, and a transfer made since is
    /// listed with its period: a platform may have many such rows, and asking about
    /// each every night proves nothing new.
    fn is_of_the_past(&self, entry: &LedgerEntry) -> bool {
        let Some(from) = self.request.period.from else {
            return false;
        };
        let (before, row) = (from.minus(FOREIGN_MARGIN), entry.payout.as_ref());
        row.is_some_and(|row| {
            row.status == PayoutStatus::Completed && row.created_at.max(row.updated_at) < before
        })
    }

    async fn payout_in_doubt(&mut self, entry: &LedgerEntry) -> Result<(), ProcessError> {
        let mut group = self.examiner.group_of(&entry.id).await?;
        if let Some(open) = open_attempt(entry) {
            self.examiner.paid_by_hand(open, &mut group).await?;
        }
        if group.transfers.is_empty() {
            let found = judge_without_transfer(entry, group.doubts.is_empty());
            return self
                .examiner
                .keep(Vec::new(), found.into_iter().collect())
                .await;
        }
        self.examiner.compare(&group.transfers).await.map(drop)
    }

    /// Every transfer of the period.
    async fn transfers(&mut self) -> Result<(), ProcessError> {
        let query = TransferQuery {
            created_from: self.request.period.from,
            created_before: self.request.period.until,
            ..TransferQuery::default()
        };
        let reader = self.examiner.reader.clone();
        reader
            .pages(&query, usize::MAX, async |page: TransferPage| {
                self.listed_page(page).await
            })
            .await
            .map(drop)
    }

    async fn listed_page(&mut self, page: TransferPage) -> Result<(), ProcessError> {
        // Entries that move between two pages come twice.
        let fresh: Vec<Transfer> = page
            .transfers
            .into_iter()
            .filter(|transfer| self.listed.insert(transfer.id.clone()))
            .collect();
        let judged = self.examiner.compare(&fresh).await?;
        let tally = &mut self.tally;
        for (transfer, judged) in fresh.iter().zip(&judged) {
            tally.transfer_count += 1;
            tally.matched_count += i64::from(judged.matched);
            if transfer.currency == self.examiner.terms.currency.as_str() {
                tally.transfer_cents = tally.transfer_cents.saturating_add(transfer.amount);
                tally.reversed_cents = tally
                    .reversed_cents
                    .saturating_add(transfer.amount_reversed);
            }
            self.newest = self.newest.max(Some(transfer.created));
        }
        if !page.odd.is_empty() {
            let found = page.odd.iter().map(|odd| odd_entry(None, odd)).collect();
            self.examiner.keep(Vec::new(), found).await?;
        }
        (self.events)(Event::Compared {
            transfers: u64::try_from(self.tally.transfer_count).unwrap_or(0),
            findings: self.examiner.found(),
        });
        Ok(())
    }

    /// Every transfer that the table holds for the period and Stripe did not list in it.
    async fn transfers_held(&mut self) -> Result<(), ProcessError> {
        let period = self.request.period;
        let mut after: Option<PayoutId> = None;
        loop {
            let behind = after.clone();
            let held = self
                .examiner
                .db
                .call(move |store| store.transfers_held(period, behind.as_ref()))
                .await?;
            let Some((last, _)) = held.last().cloned() else {
                break;
            };
            for (payout, transfer) in held {
                self.transfer_held(&payout, None, &transfer).await?;
            }
            after = Some(last);
        }
        let mut after: Option<(PayoutId, i32)> = None;
        loop {
            let behind = after.clone();
            let held = self
                .examiner
                .db
                .call(move |store| store.transfers_of_attempts(period, behind.as_ref()))
                .await?;
            let Some((last, attempt, _)) = held.last().cloned() else {
                return Ok(());
            };
            for (payout, attempt, transfer) in held {
                self.transfer_held(&payout, Some(attempt), &transfer)
                    .await?;
            }
            after = Some((last, attempt));
        }
    }

    async fn transfer_held(
        &mut self,
        payout: &PayoutId,
        attempt: Option<i32>,
        id: &str,
    ) -> Result<(), ProcessError> {
        // Its row and its attempt both hold it.
        if !self.listed.insert(id.to_owned()) {
            return Ok(());
        }
        self.examiner.look_up(id, Some(payout), attempt).await
    }

    /// Open findings of earlier runs about transfers that this one has not come
    /// across: they stay open until Stripe or the table says otherwise.
    async fn findings_from_before(&mut self) -> Result<(), ProcessError> {
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
            let Some(last) = page.last().map(|finding| finding.id.clone()) else {
                return Ok(());
            };
            for finding in page {
                let Some(id) = &finding.transfer_id else {
                    continue;
                };
                if self.listed.insert(id.clone()) {
                    let payout = finding.payout_id.as_ref();
                    self.examiner.look_up(id, payout, finding.attempt).await?;
                }
            }
            after = Some(last);
        }
    }

    /// Covered statements that are not marked.
    async fn statements(&mut self) -> Result<(), ProcessError> {
        let mut after: Option<StatementId> = None;
        loop {
            let behind = after.clone();
            let StatementsToMark { unmarked, last } = self
                .examiner
                .db
                .call(move |store| store.statements_to_mark(behind.as_ref()))
                .await?;
            let found = unmarked
                .into_iter()
                .map(|(account, payout)| Discrepancy {
                    kind: FindingKind::StatementNotMarked,
                    payout_id: Some(payout.id),
                    attempt: None,
                    transfer_id: None,
                    expected: Some("PAID".to_owned()),
                    found: format!(
                        "statement {} is {}",
                        account.statement.id, account.statement.status
                    ),
                })
                .collect();
            self.examiner.keep(Vec::new(), found).await?;
            let Some(last) = last else { return Ok(()) };
            after = Some(last);
        }
    }

    // --- what is found out about it -----------------------------------------------------------

    /// A payout that Stripe paid without the table knowing may have been paid
    /// twice: its whole group is read, and what else names it is counted.
    async fn look_closer(&mut self) -> Result<(), ProcessError> {
        for kind in [FindingKind::ForgottenPayout, FindingKind::StatusBehind] {
            self.each_open(kind, async |this: &mut Self, finding: Finding| {
                let (Some(payout), Some(transfer)) =
                    (finding.payout_id.clone(), finding.transfer_id.clone())
                else {
                    return Ok(());
                };
                let beside = this.examiner.beside(&payout, &transfer).await?;
                if beside.taken_back_itself && !beside.standing.is_empty() {
                    return this.drop_taken_back(&finding).await;
                }
                let Some(others) = beside.others() else {
                    return Ok(());
                };
                let two = Discrepancy {
                    kind: FindingKind::TwoTransfers,
                    expected: Some("one transfer".to_owned()),
                    found: format!("{transfer} and {}", others.join(", ")),
                    ..finding.discrepancy()
                };
                this.replace(&finding.id, vec![two]).await
            })
            .await?;
        }
        // What was in doubt for lack of a group, and then was found by metadata.
        for kind in [FindingKind::Unresolved, FindingKind::MissingAtStripe] {
            self.each_open(kind, async |this: &mut Self, finding: Finding| {
                let (Some(payout), None) = (finding.payout_id.clone(), &finding.transfer_id) else {
                    return Ok(());
                };
                let found = this
                    .examiner
                    .db
                    .call(move |store| store.is_found_by_name(&payout))
                    .await?;
                if found {
                    this.replace(&finding.id, Vec::new()).await?;
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Forgets what was found about a transfer that was taken back whole beside
    /// one that stands: it pays nothing any more.
    async fn drop_taken_back(&mut self, finding: &Finding) -> Result<(), ProcessError> {
        let reversed = Discrepancy {
            kind: FindingKind::ReversedFully,
            ..finding.discrepancy()
        };
        self.replace(&reversed.id(), Vec::new()).await?;
        self.replace(&finding.id, Vec::new()).await
    }

    async fn replace(&mut self, id: &str, new: Vec<Discrepancy>) -> Result<(), ProcessError> {
        let (stamp, id) = (self.examiner.stamp.clone(), id.to_owned());
        Ok(self
            .examiner
            .db
            .call(move |store| store.finding_replace(&stamp, &id, &new))
            .await?)
    }

    /// Hands on the open findings of one kind that this run saw, a page at a time.
    async fn each_open(
        &mut self,
        kind: FindingKind,
        mut work: impl AsyncFnMut(&mut Self, Finding) -> Result<(), ProcessError>,
    ) -> Result<(), ProcessError> {
        let mut after: Option<String> = None;
        loop {
            let (run, behind) = (self.examiner.stamp.run_id.clone(), after.clone());
            let page = self
                .examiner
                .db
                .call(move |store| {
                    let open = Some(FindingState::Open);
                    store.findings_of_run(&run, kind, open, behind.as_deref(), FINDINGS_PAGE)
                })
                .await?;
            let Some(last) = page.last().map(|finding| finding.id.clone()) else {
                return Ok(());
            };
            for finding in page {
                work(self, finding).await?;
            }
            after = Some(last);
        }
    }

    // --- what is repaired ---------------------------------------------------------------------

    async fn repair(&mut self, kinds: &[FindingKind]) -> Result<(), ProcessError> {
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
                    Err(ProcessError::Store(error)) if !error.is_transient() => {
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

    async fn fixed(&self, id: String, how: String) -> Result<(), ProcessError> {
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

    // --- the end ------------------------------------------------------------------------------

    async fn finish(mut self, clock: &Clock) -> Result<Compared, ProcessError> {
        let (stamp, period, begun) = (self.examiner.stamp.clone(), self.request.period, self.begun);
        let lease = self.examiner.lease;
        let (counted, from_before, paid, holders) = self
            .examiner
            .db
            .call(move |store| {
                store.findings_gone(&stamp, begun)?;
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
        (tally.payout_count, tally.payout_cents) = paid;
        tally.open_count = of(FindingState::Open);
        tally.fixed_count = of(FindingState::Fixed);
        tally.accepted_count = of(FindingState::Accepted);
        tally.clean = tally.open_count == 0 && holders.is_empty();
        tally.finished_at = clock.now();
        let reconciliation = self.tally.clone();
        self.examiner
            .db
            .call(move |store| store.reconciliation_keep(&self.tally))
            .await?;
        Ok(Compared {
            reconciliation,
            counted,
            from_before,
            holders,
        })
    }

    /// Where all that the rollback guard looks at was compared and nothing of it
    /// is forgotten, the next guard need not read it again.
    async fn advance_watermark(&self, begun: Time) -> Result<(), ProcessError> {
        let Some(newest) = self.newest.filter(|_| self.request.fix) else {
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
