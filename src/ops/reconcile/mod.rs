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

pub mod judge;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::attempt::{Attempt, group_of};
use crate::model::ids::{PayoutId, StatementId};
use crate::model::money::Currency;
use crate::model::payout::{Payout, PayoutStatus};
use crate::model::reconciliation::{
    Discrepancy, Finding, FindingKind, FindingState, Reconciliation,
};
use crate::model::run::Holder;
use crate::model::time::{Clock, Span, Time};
use crate::ops::adopt::{adopt_for_attempt, adopt_for_row, attempt_said};
use crate::ops::event::Event;
use crate::ops::pace::Pace;
use crate::ops::process::{ProcessError, account_of_stamp, account_of_this_database};
use crate::ops::search::{lists_for, may_have_paid};
use crate::ops::transfers::{FOREIGN_MARGIN, OVERLAP, ReadFailed, TransferReader, foreign_since};
use crate::store::reconcile::{LedgerEntry, StatementsToMark, TransferKey};
use crate::store::settle::Recorded;
use crate::store::thread::StoreThread;
use crate::store::{RunStamp, Stamp, Store, StoreError};
use crate::stripe::api::{ReadError, TransferQuery};
use crate::stripe::object::{OddEntry, TransferPage, Unreadable};
use crate::stripe::{Stripe, Transfer};
use judge::{
    Judged, Terms, is_taken_back, is_transfer_id, judge, judge_without_transfer, lost_payout,
    missing, open_attempt,
};

/// Days back from now that are compared when nothing else is said.
pub const DAYS: u64 = 35;

/// Pages of 100 that one group may have.
const GROUP_PAGES_MAX: usize = 10;
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
    let mut comparison = Comparison {
        db,
        reader,
        terms: Terms {
            currency: request.currency,
            livemode,
            database_id,
        },
        tally: Reconciliation::begun(stamp.run_id.clone(), request.period, now),
        request,
        stamp: stamp.clone(),
        begun: now,
        listed: HashSet::new(),
        unmatched: HashSet::new(),
        newest: None,
        found: 0,
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
    db: StoreThread,
    reader: TransferReader,
    terms: Terms,
    request: Request,
    stamp: RunStamp,
    tally: Reconciliation,
    begun: Time,
    /// Transfers that Stripe listed in the period, and those looked up by their ids.
    listed: HashSet<String>,
    /// Of those listed in the period, the ones that no payout holds as they are.
    unmatched: HashSet<String>,
    /// The newest of them.
    newest: Option<Time>,
    /// Discrepancies so far, for the narration.
    found: u64,
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
                    .db
                    .call(move |store| next_page(store, behind.as_ref()))
                    .await?;
                let Some(last) = ids.last().cloned() else {
                    break;
                };
                let lease = self.request.lease;
                let (entries, missing) = self
                    .db
                    .call(move |store| {
                        let missing = store.payouts_known_missing(&ids)?;
                        Ok((store.ledger_entries(&ids, lease)?, missing))
                    })
                    .await?;
                for entry in entries.values().filter(|entry| !entry.busy) {
                    if missing.contains(&entry.id) && self.is_of_the_past(entry) {
                        let found = judge_without_transfer(entry, true);
                        self.keep(Vec::new(), found.into_iter().collect()).await?;
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
        let mut group = self.group_of(&entry.id).await?;
        if let Some(open) = open_attempt(entry) {
            self.paid_by_hand(open, &mut group).await?;
        }
        if group.transfers.is_empty() {
            let found = judge_without_transfer(entry, group.doubts.is_empty());
            return self.keep(Vec::new(), found.into_iter().collect()).await;
        }
        self.compare(&group.transfers).await.map(drop)
    }

    /// Every transfer of the period.
    async fn transfers(&mut self) -> Result<(), ProcessError> {
        let query = TransferQuery {
            created_from: self.request.period.from,
            created_before: self.request.period.until,
            ..TransferQuery::default()
        };
        let reader = self.reader.clone();
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
        let judged = self.compare(&fresh).await?;
        let tally = &mut self.tally;
        for (transfer, judged) in fresh.iter().zip(&judged) {
            tally.transfer_count += 1;
            tally.matched_count += i64::from(judged.matched);
            if !judged.matched {
                self.unmatched.insert(transfer.id.clone());
            }
            if transfer.currency == self.terms.currency.as_str() {
                tally.transfer_cents = tally.transfer_cents.saturating_add(transfer.amount);
                tally.reversed_cents = tally
                    .reversed_cents
                    .saturating_add(transfer.amount_reversed);
            }
            self.newest = self.newest.max(Some(transfer.created));
        }
        if !page.odd.is_empty() {
            let found = page.odd.iter().map(|odd| odd_entry(None, odd)).collect();
            self.keep(Vec::new(), found).await?;
        }
        (self.events)(Event::Compared {
            transfers: u64::try_from(self.tally.transfer_count).unwrap_or(0),
            findings: self.found,
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
        self.look_up(id, Some(payout), attempt).await
    }

    /// Open findings of earlier runs about transfers that this one has not come
    /// across: they stay open until Stripe or the table says otherwise.
    async fn findings_from_before(&mut self) -> Result<(), ProcessError> {
        let mut after: Option<String> = None;
        loop {
            let (run, behind) = (self.stamp.run_id.clone(), after.clone());
            let page = self
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
                    self.look_up(id, payout, finding.attempt).await?;
                }
            }
            after = Some(last);
        }
    }

    /// Judges the one transfer with this id, on behalf of the payout that is
    /// said to hold it.
    async fn look_up(
        &mut self,
        id: &str,
        payout: Option<&PayoutId>,
        attempt: Option<i32>,
    ) -> Result<(), ProcessError> {
        let found = match self.fetch(id).await? {
            Fetched::Transfer(transfer) => return self.compare(&[*transfer]).await.map(drop),
            Fetched::Odd(error) => vec![Discrepancy {
                attempt,
                ..odd_entry(
                    payout,
                    &OddEntry {
                        id: Some(id.to_owned()),
                        error,
                    },
                )
            }],
            Fetched::Nothing => {
                let holders = self.holders_of(id).await?;
                let held = payout.filter(|payout| holders.contains(payout));
                held.map(|payout| missing(payout, attempt, id))
                    .into_iter()
                    .collect()
            }
        };
        self.keep(vec![id.to_owned()], found).await
    }

    /// What Stripe has under an id, which may be any text that a person wrote.
    async fn fetch(&self, id: &str) -> Result<Fetched, ProcessError> {
        if !is_transfer_id(id) {
            return Ok(Fetched::Nothing);
        }
        match self.reader.transfer(id).await {
            Ok(Some(transfer)) => Ok(Fetched::Transfer(Box::new(transfer))),
            Ok(None) => Ok(Fetched::Nothing),
            Err(ReadFailed {
                source: ReadError::Unreadable(error),
                ..
            }) => Ok(Fetched::Odd(error)),
            Err(error) => Err(error.into()),
        }
    }

    async fn holders_of(&self, transfer: &str) -> Result<Vec<PayoutId>, ProcessError> {
        let key = TransferKey {
            id: transfer.to_owned(),
            named: None,
        };
        let lease = self.request.lease;
        let held = self
            .db
            .call(move |store| store.ledger_of(&[key], lease))
            .await?;
        let holders = held.into_iter().flat_map(|ledger| ledger.holders);
        Ok(holders.map(|entry| entry.id).collect())
    }

    /// Judges transfers against the ledger, and keeps what was found.
    async fn compare(&mut self, transfers: &[Transfer]) -> Result<Vec<Judged>, ProcessError> {
        let judged = self.judged(transfers).await?;
        let found: Vec<Discrepancy> = judged.iter().flat_map(|j| j.found.clone()).collect();
        let ids = transfers.iter().map(|t| t.id.clone()).collect();
        self.keep(ids, found).await?;
        Ok(judged)
    }

    async fn judged(&self, transfers: &[Transfer]) -> Result<Vec<Judged>, ProcessError> {
        let keys: Vec<TransferKey> = transfers
            .iter()
            .map(|transfer| TransferKey {
                id: transfer.id.clone(),
                named: transfer.payout_named().map(PayoutId::new),
            })
            .collect();
        let lease = self.request.lease;
        let ledger = self
            .db
            .call(move |store| store.ledger_of(&keys, lease))
            .await?;
        Ok(transfers
            .iter()
            .zip(&ledger)
            .map(|(transfer, ledger)| judge(transfer, ledger, &self.terms))
            .collect())
    }

    async fn keep(
        &mut self,
        transfers: Vec<String>,
        found: Vec<Discrepancy>,
    ) -> Result<(), ProcessError> {
        self.found += found.len() as u64;
        let stamp = self.stamp.clone();
        Ok(self
            .db
            .call(move |store| store.findings_see(&stamp, &transfers, &found))
            .await?)
    }

    /// Every transfer in a payout's group. What of it cannot be read is kept as
    /// a finding.
    async fn group_of(&mut self, payout: &PayoutId) -> Result<Group, ProcessError> {
        let Some(group) = group_of(payout) else {
            return Ok(Group::default());
        };
        let query = TransferQuery {
            group: Some(group.to_owned()),
            ..TransferQuery::default()
        };
        let mut transfers = Vec::new();
        let mut odd: Vec<OddEntry> = Vec::new();
        let complete = self
            .reader
            .pages(&query, GROUP_PAGES_MAX, async |page: TransferPage| {
                transfers.extend(page.transfers);
                odd.extend(page.odd);
                Ok::<(), ProcessError>(())
            })
            .await?;
        let mut doubts: Vec<String> = odd
            .iter()
            .map(|odd| odd.id.as_deref().unwrap_or("an entry without an id"))
            .map(|id| format!("{id}, which cannot be read"))
            .collect();
        if !complete {
            doubts.push("more that were not read".to_owned());
        }
        let found: Vec<Discrepancy> = odd.iter().map(|odd| odd_entry(Some(payout), odd)).collect();
        if !found.is_empty() {
            self.keep(Vec::new(), found).await?;
        }
        Ok(Group { transfers, doubts })
    }

    /// Adds what names the payout of an open attempt without bearing its group.
    async fn paid_by_hand(&self, open: &Attempt, group: &mut Group) -> Result<(), ProcessError> {
        let [_, to_its_account] = lists_for(open);
        let known: HashSet<String> = group.transfers.iter().map(|t| t.id.clone()).collect();
        let complete = self
            .reader
            .pages(
                &to_its_account,
                GROUP_PAGES_MAX,
                async |page: TransferPage| {
                    let fresh = |t: &Transfer| may_have_paid(t, open) && !known.contains(&t.id);
                    group
                        .transfers
                        .extend(page.transfers.into_iter().filter(fresh));
                    Ok::<(), ProcessError>(())
                },
            )
            .await?;
        if !complete {
            group
                .doubts
                .push("more to its account that were not read".to_owned());
        }
        Ok(())
    }

    /// Covered statements that are not marked.
    async fn statements(&mut self) -> Result<(), ProcessError> {
        let mut after: Option<StatementId> = None;
        loop {
            let behind = after.clone();
            let StatementsToMark { unmarked, last } = self
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
            self.keep(Vec::new(), found).await?;
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
                let beside = this.beside(&payout, &transfer).await?;
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

    /// What else may have paid a payout beside this transfer of it.
    async fn beside(&mut self, payout: &PayoutId, this: &str) -> Result<Beside, ProcessError> {
        let group = self.group_of(payout).await?;
        let mut transfers: BTreeMap<String, bool> = group
            .transfers
            .iter()
            .map(|transfer| (transfer.id.clone(), is_taken_back(transfer)))
            .collect();
        let mut doubts = group.doubts;
        let (id, but) = (payout.clone(), this.to_owned());
        let unrecorded = self
            .db
            .call(move |store| store.unrecorded_beside(&id, &but))
            .await?;
        for id in unrecorded {
            if transfers.contains_key(&id) {
                continue;
            }
            match self.fetch(&id).await? {
                Fetched::Transfer(transfer) => {
                    transfers.insert(id, is_taken_back(&transfer));
                }
                Fetched::Nothing => {}
                Fetched::Odd(_) => doubts.push(format!("{id}, which cannot be read")),
            }
        }
        let alone = transfers.keys().all(|id| id == this);
        if !alone
            && !transfers.contains_key(this)
            && let Fetched::Transfer(transfer) = self.fetch(this).await?
        {
            transfers.insert(this.to_owned(), is_taken_back(&transfer));
        }
        let taken_back_itself = transfers.remove(this).unwrap_or(false);
        let (taken_back, standing): (Vec<_>, Vec<_>) = transfers
            .into_iter()
            .partition(|(_, taken_back)| *taken_back);
        let ids =
            |transfers: Vec<(String, bool)>| transfers.into_iter().map(|(id, _)| id).collect();
        Ok(Beside {
            taken_back_itself,
            taken_back: ids(taken_back),
            standing: ids(standing),
            doubts,
        })
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
        let (stamp, id) = (self.stamp.clone(), id.to_owned());
        Ok(self
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
            let (run, behind) = (self.stamp.run_id.clone(), after.clone());
            let page = self
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
                match this.repair_one(&finding).await {
                    Ok(Ok(how)) => {
                        let (stamp, id) = (this.stamp.clone(), finding.id);
                        Ok(this
                            .db
                            .call(move |store| store.finding_fixed(&stamp, &id, &how))
                            .await?)
                    }
                    Ok(Err(why_not)) => {
                        this.not_repaired(&finding, &why_not);
                        Ok(())
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

    /// Repairs one finding: what was done, or why nothing was.
    async fn repair_one(
        &mut self,
        finding: &Finding,
    ) -> Result<Result<String, String>, ProcessError> {
        if finding.kind == FindingKind::StatementNotMarked {
            return self.mark_statement(finding).await;
        }
        let Some(id) = &finding.transfer_id else {
            return Ok(Err("it names no transfer".to_owned()));
        };
        // Decided on what Stripe says now, not on what a page said a while ago.
        let transfer = match self.fetch(id).await? {
            Fetched::Transfer(transfer) => *transfer,
            Fetched::Nothing => return Ok(Err(format!("{id} is not at Stripe any more"))),
            Fetched::Odd(error) => return Ok(Err(format!("{id} cannot be read: {error}"))),
        };
        let Some(judged) = self.judged(std::slice::from_ref(&transfer)).await?.pop() else {
            return Ok(Err("it could not be judged again".to_owned()));
        };
        if !judged.has(finding.kind) {
            return Ok(Ok("not there any more".to_owned()));
        }
        let repaired = match finding.kind {
            FindingKind::ForgottenPayout => self.restore(&transfer).await?,
            FindingKind::StatusBehind if judged.may_be_adopted() => {
                self.adopt(finding, &transfer).await?
            }
            FindingKind::ReversedFully | FindingKind::ReversedPartly => {
                self.keep_reversal(finding, &transfer).await?
            }
            _ => Err("something else about it does not fit".to_owned()),
        };
        if repaired.is_ok() && self.unmatched.contains(&transfer.id) {
            let judged = self.judged(std::slice::from_ref(&transfer)).await?;
            if judged.iter().all(|judged| judged.matched) {
                self.unmatched.remove(&transfer.id);
                self.tally.matched_count += 1;
            }
        }
        Ok(repaired)
    }

    async fn restore(&self, transfer: &Transfer) -> Result<Result<String, String>, ProcessError> {
        let lost = match lost_payout(transfer, &self.terms) {
            Ok(lost) => lost,
            Err(reason) => return Ok(Err(reason)),
        };
        let stamp = self.stamp.clone();
        let restored = self
            .db
            .call(move |store| match store.payout_restore(&stamp, &lost) {
                Err(StoreError::Conflict(reason)) => Ok(Err(reason)),
                other => other.map(Ok),
            })
            .await?;
        Ok(restored.map(|()| "made again from its transfer".to_owned()))
    }

    async fn adopt(
        &mut self,
        finding: &Finding,
        transfer: &Transfer,
    ) -> Result<Result<String, String>, ProcessError> {
        let Some(payout) = finding.payout_id.clone() else {
            return Ok(Err("it names no payout".to_owned()));
        };
        let (ids, lease) = (vec![payout.clone()], self.request.lease);
        let entry = self
            .db
            .call(move |store| store.ledger_entries(&ids, lease))
            .await?
            .remove(&payout);
        let Some(entry) = entry else {
            return Ok(Err("its payout is gone".to_owned()));
        };
        let stamp = self.stamp.clone();
        let recorded = match (attempt_to_blame(&entry, transfer), &entry.payout) {
            (Some(attempt), _) => adopt_for_attempt(&self.db, stamp, attempt, transfer).await?,
            (None, Some(row)) if !self.is_looked_at_whole(row, transfer) => {
                return Ok(Err(format!(
                    "other software may have sent it twice, once outside the period: \
                     look at all of it with `payouts reconcile --fix --from {}`",
                    foreign_since(row.created_at, self.begun)
                )));
            }
            (None, Some(row)) => adopt_for_row(&self.db, stamp, row.clone(), transfer).await?,
            (None, None) => return Ok(Err("its row is gone".to_owned())),
        };
        Ok(match recorded {
            Recorded::Done | Recorded::Already => {
                (self.events)(Event::Note(format!(
                    "payout {payout} was paid by {}: recorded",
                    transfer.id
                )));
                Ok("recorded".to_owned())
            }
            Recorded::Finding(beside) => {
                (self.events)(Event::Note(beside));
                Ok("recorded".to_owned())
            }
            Recorded::NotOurs => Err("another run is at work on it".to_owned()),
            Recorded::Alarm(reason) | Recorded::Waits(reason) => Err(reason),
        })
    }

    /// Whether a second transfer of the same payout would have been seen. What
    /// this database made is in the payout's group, which is read whole; other
    /// software names a payout by metadata alone, so that only a period that
    /// reaches from before the row to now shows all of it.
    fn is_looked_at_whole(&self, row: &Payout, transfer: &Transfer) -> bool {
        let period = self.request.period;
        let ours = transfer.metadata.get("database") == Some(&self.terms.database_id);
        let since = foreign_since(row.created_at, self.begun);
        ours || (period.until.is_none() && period.from.is_none_or(|from| from <= since))
    }

    async fn keep_reversal(
        &self,
        finding: &Finding,
        transfer: &Transfer,
    ) -> Result<Result<String, String>, ProcessError> {
        let Some(payout) = finding.payout_id.clone() else {
            return Ok(Err("it names no payout".to_owned()));
        };
        let (stamp, currency) = (self.stamp.clone(), self.terms.currency);
        let (id, cents) = (transfer.id.clone(), transfer.amount_reversed);
        self.db
            .call(move |store| store.reversal_keep(&stamp, &payout, &id, cents, currency))
            .await?;
        Ok(Ok("the amount is kept".to_owned()))
    }

    async fn mark_statement(
        &self,
        finding: &Finding,
    ) -> Result<Result<String, String>, ProcessError> {
        let Some(payout) = finding.payout_id.clone() else {
            return Ok(Err("it names no payout".to_owned()));
        };
        let marked = self
            .db
            .call(move |store| store.statement_mark(&payout))
            .await?;
        Ok(marked.map(|()| "marked PAID".to_owned()))
    }

    // --- the end ------------------------------------------------------------------------------

    async fn finish(mut self, clock: &Clock) -> Result<Compared, ProcessError> {
        let (stamp, period, begun) = (self.stamp.clone(), self.request.period, self.begun);
        let lease = self.request.lease;
        let (counted, from_before, paid, holders) = self
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
        self.db
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

/// The attempt on which a transfer is recorded: the open one, else the one whose
/// number it bears. None when this database has lost that attempt, or never had one.
fn attempt_to_blame<'a>(entry: &'a LedgerEntry, transfer: &Transfer) -> Option<&'a Attempt> {
    let said = attempt_said(transfer);
    open_attempt(entry).or_else(|| entry.attempts.iter().find(|a| Some(a.attempt) == said))
}

/// What may have paid a payout beside one transfer of it.
struct Beside {
    /// Of that transfer nothing is left.
    taken_back_itself: bool,
    /// Transfers of which nothing is left.
    taken_back: Vec<String>,
    /// Those of which something is.
    standing: Vec<String>,
    /// What could not be read, for people.
    doubts: Vec<String>,
}

impl Beside {
    /// What makes the transfer one of several; none when it is the only payment.
    fn others(self) -> Option<Vec<String>> {
        let mut others = self.standing;
        if self.taken_back_itself {
            others.extend(self.taken_back);
        }
        others.extend(self.doubts);
        (!others.is_empty()).then_some(others)
    }
}

/// The transfers that bear a payout's group.
#[derive(Default)]
struct Group {
    transfers: Vec<Transfer>,
    /// What may be a further one, for people. Empty when the group was read whole.
    doubts: Vec<String>,
}

/// What Stripe has under an id.
enum Fetched {
    Transfer(Box<Transfer>),
    Nothing,
    /// Something that cannot be read as a transfer.
    Odd(Unreadable),
}

fn odd_entry(payout: Option<&PayoutId>, odd: &OddEntry) -> Discrepancy {
    Discrepancy {
        kind: FindingKind::OddEntry,
        payout_id: payout.cloned(),
        attempt: None,
        transfer_id: odd.id.clone(),
        expected: Some("a transfer".to_owned()),
        found: odd.error.to_string(),
    }
}
