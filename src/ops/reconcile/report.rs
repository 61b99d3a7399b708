//! A report of Stripe's in the place of Stripe's list of transfers.
//!
//! Its rows go the way that the list goes (`listed`). What plainly agrees
//! by what the file says is done with it; of everything else, and of all that was taken
//! back, Stripe itself is asked by id, so that the findings are those of its list.
//!
//! Without a key there is only the file. Then a finding is what its rows show; what they
//! do not show is counted and told, and nothing is called clean.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::model::ids::PayoutId;
use crate::model::money::with_currency;
use crate::model::reconciliation::{Discrepancy, FindingKind, Source};
use crate::model::time::{Clock, Span};
use crate::ops::event::Event;
use crate::ops::fault::Faults;
use crate::ops::reconcile::at_once::AtOnce;
use crate::ops::reconcile::examine::{Fetched, odd_entry};
use crate::ops::reconcile::judge::{Judged, Word, is_balance_transaction_id, judge_told, missing};
use crate::ops::reconcile::listing::Batch;
use crate::ops::reconcile::{Compared, Comparison, Request, begin};
use crate::ops::run_error::RunError;
use crate::ops::stripe_report::{
    Entry, Kind, Layout, OPTIONAL_COLUMNS, ReportReader, ReportRow, Summary, survey,
};
use crate::ops::table_file::{FileError, Refused, TableFile};
use crate::store::RunStamp;
use crate::store::ledger::TransferLedger;
use crate::store::thread::StoreThread;
use crate::stripe::api::BalanceLines;
use crate::stripe::object::OddEntry;
use crate::stripe::{Stripe, Transfer};

/// Rows that say only which line of the balance they are, of which Stripe is asked one by
/// one: at its pace, some ten minutes.
pub const LINES_MAX: u64 = 10_000;

/// With so many of them, it is said that there is a column to be ticked.
const LINES_TOLD: u64 = 100;

/// Rows that go to the ledger at once.
const ROWS_AT_ONCE: usize = 500;

/// Findings without a transfer that no report tells of.
pub(super) const NOT_IN_A_REPORT: [FindingKind; 2] =
    [FindingKind::BalanceDiffers, FindingKind::OddEntry];

/// A report that was read once, without any fault.
#[derive(Debug)]
pub struct Report {
    file: TableFile,
    zone: TimeZone,
    summary: Summary,
}

/// Why nothing is compared with a file.
#[derive(Debug, thiserror::Error)]
pub enum NotCompared {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is wrong with it, row by row.
    #[error("{} of its rows cannot be read", .0.rows)]
    Faults(Faults),
    /// It is of the balances of connected accounts.
    #[error(
        "it is a report of connected accounts: it shows what came into their balances, as charges, and not what \
         left the platform's"
    )]
    ConnectedAccounts,
    /// Too many rows say neither which transfer they are about nor could be asked about.
    #[error(
        "{lines} of its rows do not say which transfer they are about; up to {LINES_MAX} such rows are looked up \
         at Stripe, one by one"
    )]
    NamesNoTransfers {
        /// How many.
        lines: u64,
    },
    /// No row is about a transfer.
    #[error("none of its rows is about a transfer")]
    NoTransfers,
    /// No row is of the time that is asked for.
    #[error("its transfers are of another time{}", of_time(*own))]
    AnotherTime {
        /// The time of its rows.
        own: Span,
    },
}

fn of_time(own: Span) -> String {
    match (own.from, own.until) {
        (Some(from), Some(until)) => format!(", {from} to {until}"),
        _ => String::new(),
    }
}

impl Report {
    /// Reads all of a file once. `zone` is that of the report, for times that say none.
    ///
    /// # Errors
    /// When nothing is to be compared with it.
    pub fn of(file: TableFile, zone: &TimeZone) -> Result<Self, NotCompared> {
        let summary = survey(&file, zone).map_err(|refused| match refused {
            Refused::File(error) => NotCompared::File(error),
            Refused::Faults(faults) => NotCompared::Faults(Faults::of(faults)),
        })?;
        if summary.layout == Layout::ConnectedReport {
            return Err(NotCompared::ConnectedAccounts);
        }
        if summary.faults.count > 0 {
            return Err(NotCompared::Faults(summary.faults));
        }
        if summary.without_transfer > LINES_MAX && summary.count(Kind::Transfer) > 0 {
            let without = unnamed(&file, zone)?;
            if without > LINES_MAX {
                return Err(NotCompared::NamesNoTransfers { lines: without });
            }
        }
        Ok(Self {
            file,
            zone: zone.clone(),
            summary,
        })
    }

    /// The file, as it was named.
    pub fn name(&self) -> &str {
        self.file.name()
    }

    /// What it says in all.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The time that is compared: what is asked for, and where that is open the time of
    /// the file's rows.
    ///
    /// # Errors
    /// Where no row is of that time, so that all would seem to agree.
    pub fn period(&self, asked: Span) -> Result<Span, NotCompared> {
        let own = self.summary.period.ok_or(NotCompared::NoTransfers)?;
        let (from, until) = (asked.from.or(own.from), asked.until.or(own.until));
        if own.until <= from || until <= own.from {
            return Err(NotCompared::AnotherTime { own });
        }
        Ok(Span { from, until })
    }

    pub(super) fn reader(&self) -> Result<ReportReader<'_>, RunError> {
        // It was read before, and says the same each time or that it was changed.
        ReportReader::new(&self.file, &self.zone).map_err(|refused| {
            RunError::File(match refused {
                Refused::File(error) => error,
                Refused::Faults(_) => FileError::Changed {
                    name: self.file.name().to_owned(),
                },
            })
        })
    }

    /// The next row about a transfer.
    pub(super) fn next_row(reader: &mut ReportReader<'_>) -> Result<Option<ReportRow>, RunError> {
        while let Some(entry) = reader.next_entry()? {
            if let Entry::Row(row) = entry {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// Rows of transfers that name none: of a reversal, hardly any report does.
fn unnamed(file: &TableFile, zone: &TimeZone) -> Result<u64, FileError> {
    let mut unnamed = 0;
    let Ok(mut reader) = ReportReader::new(file, zone) else {
        return Ok(0);
    };
    while let Some(entry) = reader.next_entry()? {
        if let Entry::Row(row) = entry {
            unnamed += u64::from(row.kind == Kind::Transfer && row.transfer.is_none());
        }
    }
    Ok(unnamed)
}

/// Compares the table with a report; the period asked for is that of [`Report::period`].
/// Without `stripe`, only with what the file says; then nothing is repaired.
///
/// # Errors
/// As of [`reconcile`](super::reconcile), and a file of another account.
pub async fn reconcile_report(
    db: StoreThread,
    stripe: Option<Arc<Stripe>>,
    clock: &Clock,
    report: &Report,
    request: Request,
    stamp: &RunStamp,
    events: &mut dyn FnMut(Event),
) -> Result<Compared, RunError> {
    let has_key = stripe.is_some();
    let request = Request {
        fix: request.fix && has_key,
        // The file is the balance's own list, and nothing else to compare it with.
        balance: false,
        resumed: None,
        ..request
    };
    let mut comparison = begin(db, stripe, clock, request, stamp, events).await?;
    comparison.tally.source = Source::File;
    let name = Path::new(report.name()).file_name();
    comparison.tally.file = name.map(|name| name.to_string_lossy().into_owned());
    if !has_key {
        comparison.payouts_not_looked_up().await?;
        comparison.rows_of(report).await?;
        comparison.statements().await?;
        return comparison.finish().await;
    }
    comparison.is_of_this_account(report).await?;
    comparison.payouts_in_doubt().await?;
    comparison.rows_of(report).await?;
    comparison.findings_from_before().await?;
    comparison.conclude().await?;
    comparison.finish().await
}

/// Some rows of the period, by what is done with them.
#[derive(Default)]
struct Part {
    /// Transfers as the file has them.
    told: Vec<Transfer>,
    /// Transfers of which it says no id.
    lines: Vec<ReportRow>,
    reversals: Vec<ReportRow>,
}

impl Part {
    fn len(&self) -> usize {
        self.told.len() + self.lines.len() + self.reversals.len()
    }
}

/// What comes of all rows.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) sent_cents: i64,
    pub(super) back_cents: i64,
    /// Transfers and reversals that Stripe does not know, or that nobody could ask it about.
    pub(super) not_looked_up: u64,
    pub(super) reversals_not_looked_up: u64,
}

impl Comparison<'_> {
    /// Every row of the period against the ledger, and back.
    async fn rows_of(&mut self, report: &Report) -> Result<(), RunError> {
        self.tell_what_it_says(report)?;
        let held = self.held_by_table();
        let mut sums = Sums::default();
        let mut taken_back = match self.examiner.reader {
            Some(_) => BTreeMap::new(),
            None => self.taken_back_by(report, &mut sums)?,
        };
        let mut reader = report.reader()?;
        let mut part = Part::default();
        while let Some(row) = Report::next_row(&mut reader)? {
            if !overlaps(self.request.period, &row) {
                continue;
            }
            self.add_up(&row, &mut sums);
            match (row.kind, &row.transfer) {
                (Kind::Reversal, _) => part.reversals.push(row),
                (Kind::Transfer, None) => part.lines.push(row),
                (Kind::Transfer, Some(id)) => {
                    let back = taken_back.remove(id).map_or(0, |back| back.cents);
                    part.told.push(self.told(row, back));
                }
            }
            if part.len() >= ROWS_AT_ONCE {
                let full = std::mem::take(&mut part);
                self.part_of(full, &mut sums).await?;
            }
        }
        self.part_of(part, &mut sums).await?;
        let of_others = taken_back.values().filter(|back| back.in_period);
        sums.reversals_not_looked_up += of_others.count() as u64;
        self.tally.balance_transfer_cents = Some(sums.sent_cents);
        self.tally.balance_reversed_cents = Some(sums.back_cents);
        let held = held.added_up().await?;
        if self.examiner.reader.is_some() {
            let left_out = self.transfers_not_listed(&held).await?;
            let warning = format!(
                "{} of the period, held by payouts and at Stripe, but not in the file: it does not list all",
                counted(left_out, "transfer")
            );
            self.not_checked(left_out, &warning);
        } else {
            self.transfers_not_in(report, &held, sums.not_looked_up == 0)
                .await?;
        }
        self.tell_not_looked_up(&sums);
        Ok(())
    }

    async fn part_of(&mut self, part: Part, sums: &mut Sums) -> Result<(), RunError> {
        if self.examiner.reader.is_none() {
            sums.not_looked_up += part.lines.len() as u64;
        } else {
            self.lines(part.lines).await?;
            self.reversals(part.reversals, sums).await?;
        }
        self.listed_batch(batch(part.told), Word::Report).await
    }

    /// A row as the transfer that it tells of.
    fn told(&self, row: ReportRow, taken_back: i64) -> Transfer {
        let metadata = row.metadata.into_iter();
        Transfer {
            id: row.transfer.unwrap_or_default(),
            amount: row.gross.saturating_neg(),
            amount_reversed: taken_back,
            currency: row.currency.as_str().to_owned(),
            destination: row.destination,
            created: row.created,
            // It is the platform's own file, and the key, or the database, is of one mode.
            livemode: self.examiner.terms.livemode,
            metadata: metadata.map(|(key, text)| (key.to_owned(), text)).collect(),
            transfer_group: row.transfer_group,
            reversals: Vec::new(),
        }
    }

    fn add_up(&self, row: &ReportRow, sums: &mut Sums) {
        if row.currency != self.examiner.terms.currency {
            return;
        }
        match row.kind {
            Kind::Transfer => sums.sent_cents = sums.sent_cents.saturating_sub(row.gross),
            Kind::Reversal => sums.back_cents = sums.back_cents.saturating_add(row.gross),
        }
    }

    /// Transfers of which the file says only which line of the balance they are.
    async fn lines(&mut self, rows: Vec<ReportRow>) -> Result<(), RunError> {
        let mut whole = Vec::new();
        let mut found = Vec::new();
        for (row, transfer) in self.by_line(BalanceLines::Transfers, rows).await? {
            match transfer {
                Some(transfer) => whole.push(transfer),
                None => found.push(self.unknown_line(&row)),
            }
        }
        if !found.is_empty() {
            self.examiner.keep(Vec::new(), found).await?;
        }
        if whole.is_empty() {
            return Ok(());
        }
        self.listed_batch(batch(whole), Word::Stripe).await
    }

    /// What was taken back is judged on the transfer, as Stripe has it now.
    async fn reversals(&mut self, rows: Vec<ReportRow>, sums: &mut Sums) -> Result<(), RunError> {
        let mut ids: HashSet<String> = HashSet::new();
        let mut transfers: BTreeMap<String, Transfer> = BTreeMap::new();
        let (named, rows): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.transfer.is_some());
        ids.extend(named.into_iter().filter_map(|row| row.transfer));
        for (row, transfer) in self.by_line(BalanceLines::Reversals, rows).await? {
            if let Some(transfer) = transfer {
                transfers.insert(transfer.id.clone(), transfer);
                continue;
            }
            let of_payout = self.transfers_of_named(&row).await?;
            if of_payout.is_empty() {
                sums.reversals_not_looked_up += 1;
            }
            ids.extend(of_payout);
        }
        ids.retain(|id| !transfers.contains_key(id));
        for (id, fetched) in self.examiner.fetch_all(ids).await? {
            match fetched {
                Fetched::Transfer(transfer) => {
                    transfers.insert(id, *transfer);
                }
                Fetched::Nothing => sums.reversals_not_looked_up += 1,
                Fetched::Odd(error) => {
                    let odd = OddEntry {
                        id: Some(id.clone()),
                        error,
                    };
                    self.examiner
                        .keep(vec![id], vec![odd_entry(None, &odd)])
                        .await?;
                }
            }
        }
        let transfers: Vec<Transfer> = transfers.into_values().collect();
        self.examiner.compare(&transfers).await.map(drop)
    }

    /// Asks Stripe which transfers these lines of the balance are about.
    async fn by_line(
        &self,
        lines: BalanceLines,
        rows: Vec<ReportRow>,
    ) -> Result<Vec<(ReportRow, Option<Transfer>)>, RunError> {
        let mut look_ups = AtOnce::new();
        for row in rows {
            let reader = self.examiner.stripe()?.clone();
            look_ups
                .begin(async move {
                    let id = row.balance_transaction.as_deref();
                    let line = match id.filter(|id| is_balance_transaction_id(id)) {
                        Some(id) => reader.balance_line(lines, id).await?,
                        None => None,
                    };
                    Ok((row, line.and_then(|line| line.transfer)))
                })
                .await?;
        }
        look_ups.end().await
    }

    /// The transfers of the payout that a row names by its metadata.
    async fn transfers_of_named(&self, row: &ReportRow) -> Result<Vec<String>, RunError> {
        let named = ["payout_id", "payoutId"];
        let Some(named) = named.iter().find_map(|key| row.metadata.get(key)) else {
            return Ok(Vec::new());
        };
        let (ids, lease) = (vec![PayoutId::new(named)], self.examiner.lease);
        let entries = self
            .examiner
            .db
            .call(move |store| store.ledger_entries(&ids, lease))
            .await?;
        let mut transfers = Vec::new();
        for entry in entries.into_values() {
            transfers.extend(entry.payout.and_then(|row| row.stripe_transfer_id));
            transfers.extend(entry.attempts.into_iter().filter_map(|a| a.transfer_id));
        }
        transfers.sort_unstable();
        transfers.dedup();
        Ok(transfers)
    }

    /// A transfer that only the file knows.
    fn unknown_line(&self, row: &ReportRow) -> Discrepancy {
        let cents = row.gross.saturating_neg();
        let in_currency = row.currency == self.examiner.terms.currency;
        Discrepancy {
            kind: FindingKind::UnknownTransfer,
            payout_id: None,
            attempt: None,
            transfer_id: None,
            subject: row.balance_transaction.clone(),
            at_stake_cents: in_currency.then_some(cents),
            expected: None,
            found: format!(
                "line {} of the file, {}, which Stripe does not know",
                row.line,
                with_currency(cents, row.currency)
            ),
        }
    }

    /// All that the ledger holds of transfers that do not plainly agree, and how each differs:
    /// by the file where that is enough to agree after all, else by Stripe.
    pub(super) async fn judged_by_report(
        &self,
        told: &[Transfer],
        found_before: &HashSet<String>,
    ) -> Result<Vec<(Judged, TransferLedger)>, RunError> {
        let ledgers = self.examiner.ledgers(told).await?;
        let terms = &self.examiner.terms;
        let mut looked_at: Vec<(Judged, TransferLedger)> = told
            .iter()
            .zip(ledgers)
            .map(|(told, ledger)| (judge_told(told, &ledger, terms, Word::Report), ledger))
            .collect();
        if self.examiner.reader.is_none() {
            return Ok(looked_at);
        }
        let doubted = told.iter().zip(&looked_at).filter(|(told, (judged, _))| {
            let agrees = judged.matched && judged.found.is_empty();
            !agrees || found_before.contains(&told.id)
        });
        let doubted = doubted.map(|(told, _)| told.id.clone()).collect();
        let (mut whole, mut others) = (Vec::new(), BTreeMap::new());
        for (id, fetched) in self.examiner.fetch_all(doubted).await? {
            match fetched {
                Fetched::Transfer(transfer) => whole.push(*transfer),
                other => {
                    others.insert(id, other);
                }
            }
        }
        let by_stripe = self.judged_by_stripe(&whole).await?;
        let ids = whole.into_iter().map(|transfer| transfer.id);
        let mut by_stripe: BTreeMap<String, _> = ids.zip(by_stripe).collect();
        for (told, looked_at) in told.iter().zip(&mut looked_at) {
            if let Some(by_stripe) = by_stripe.remove(&told.id) {
                *looked_at = by_stripe;
                continue;
            }
            let (judged, ledger) = looked_at;
            match others.remove(&told.id) {
                Some(Fetched::Nothing) => {
                    judged.matched = false;
                    judged.found = not_at_stripe(told, ledger, std::mem::take(&mut judged.found));
                }
                Some(Fetched::Odd(error)) => {
                    let odd = OddEntry {
                        id: Some(told.id.clone()),
                        error,
                    };
                    judged.matched = false;
                    judged.found = vec![odd_entry(None, &odd)];
                }
                Some(Fetched::Transfer(_)) | None => {}
            }
        }
        Ok(looked_at)
    }

    /// Transfers are never deleted at Stripe: one that it does not know is of somebody else's.
    async fn is_of_this_account(&self, report: &Report) -> Result<(), RunError> {
        let mut reader = report.reader()?;
        while let Some(row) = Report::next_row(&mut reader)? {
            if row.kind != Kind::Transfer {
                continue;
            }
            let (line, transfer) = (row.line, row.transfer.clone());
            let what = transfer.clone().or_else(|| row.balance_transaction.clone());
            let known = if let Some(id) = transfer {
                !matches!(self.examiner.fetch(&id).await?, Fetched::Nothing)
            } else {
                let found = self.by_line(BalanceLines::Transfers, vec![row]).await?;
                found.iter().any(|(_, transfer)| transfer.is_some())
            };
            return match what.filter(|_| !known) {
                None => Ok(()),
                Some(id) => Err(RunError::OtherReport {
                    what: format!("transfer {id}"),
                    line,
                }),
            };
        }
        Ok(())
    }

    /// Tells what is in a file, and what of it is not compared for want of a column.
    fn tell_what_it_says(&mut self, report: &Report) -> Result<(), RunError> {
        let (summary, reader) = (report.summary(), report.reader()?);
        let mut notes = vec![format!(
            "{}: {}; {} and {}",
            report.name(),
            summary.layout.meaning(),
            counted(summary.count(Kind::Transfer), "transfer"),
            counted(summary.count(Kind::Reversal), "reversal"),
        )];
        if let Some(own) = summary.period.filter(|own| self.goes_beyond(*own)) {
            notes.push(format!(
                "its rows are{}: of the rest of the period, only what the table holds is compared",
                of_time(own).trim_start_matches(',')
            ));
        }
        let [source, payout] = OPTIONAL_COLUMNS;
        let lines = summary.without_transfer;
        if lines > LINES_TOLD && !reader.names_transfers() && self.examiner.reader.is_some() {
            notes.push(format!(
                "no column says which transfers its rows are about: {} are looked up at Stripe one by one; \
                 tick {source} for fewer",
                counted(lines, "row")
            ));
        }
        if !reader.names_payouts() {
            notes.push(format!(
                "no column shows the metadata payout_id, which is not compared then; tick {payout}"
            ));
        }
        if !reader.names_accounts() {
            notes.push(
                "no column shows the account that was paid, which is not compared then; an itemized report does, \
                 with connected_account_id ticked"
                    .to_owned(),
            );
        }
        for note in notes {
            (self.events)(Event::Note(note));
        }
        Ok(())
    }

    /// Whether the period reaches a day or more beyond the rows of a file, so that the file
    /// may not be of all of it.
    fn goes_beyond(&self, own: Span) -> bool {
        let day = Duration::from_secs(86_400);
        let Span { from, until } = self.request.period;
        let before = from.zip(own.from);
        let behind = until.zip(own.until);
        before.is_some_and(|(from, first)| from.plus(day) <= first)
            || behind.is_some_and(|(until, last)| last.plus(day) <= until)
    }

    fn tell_not_looked_up(&mut self, sums: &Sums) {
        let warnings = [
            (
                sums.not_looked_up,
                "transfer",
                "could not be compared: the file does not say which transfers they are",
            ),
            (
                sums.reversals_not_looked_up,
                "reversal",
                "could not be compared: the file does not say what is left of which transfer",
            ),
        ];
        for (count, what, why) in warnings {
            self.not_checked(count, &format!("{} {why}", counted(count, what)));
        }
    }

    pub(super) fn not_checked(&mut self, count: u64, warning: &str) {
        if count > 0 {
            self.unchecked += count;
            (self.events)(Event::Warning(warning.to_owned()));
        }
    }
}

/// What the table says of a transfer that is in the file and not at Stripe.
fn not_at_stripe(
    told: &Transfer,
    ledger: &TransferLedger,
    by_the_file: Vec<Discrepancy>,
) -> Vec<Discrepancy> {
    if ledger.holders.is_empty() {
        let told = by_the_file.into_iter().map(|found| Discrepancy {
            found: format!("{}; Stripe does not know it", found.found),
            ..found
        });
        return told.collect();
    }
    let holders = ledger.holders.iter();
    holders.map(|holder| missing(holder, &told.id)).collect()
}

fn batch(entries: Vec<Transfer>) -> Batch<Transfer> {
    Batch {
        entries,
        odd: Vec::new(),
        done: None,
    }
}

/// Whether a row may be of the period: files say the moment more or less exactly.
pub(super) fn overlaps(period: Span, row: &ReportRow) -> bool {
    period.from.is_none_or(|from| row.created_before > from)
        && period.until.is_none_or(|until| row.created < until)
}

pub(super) fn counted(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}
