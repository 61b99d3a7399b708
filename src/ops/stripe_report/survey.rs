//! All rows of a report, read once before anybody relies on any: what they come to, and
//! all that is wrong with them.
//!
//! That a row is there twice is seen without holding all ids. Those of a small file are
//! remembered as it is read; a large one is read again, once for each of as many classes
//! of ids as it takes for one of them to fit.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use jiff::tz::TimeZone;

use crate::model::money::Currency;
use crate::model::time::{Span, Time};
use crate::ops::fault::{FaultKind, Faults, RowFault};
use crate::ops::names_seen::NamesSeen;
use crate::ops::stripe_report::moment::Precision;
use crate::ops::stripe_report::row::{Kind, ReportRow};
use crate::ops::stripe_report::{Entry, Layout, ReportReader};
use crate::ops::table_file::{Refused, TableFile};

/// Its own, and that of its balance transaction.
const IDS_OF_A_ROW: u64 = 2;

/// Ids that are remembered at once: 42 MB.
const IDS_AT_ONCE: u64 = 2 << 20;

/// Categories that are counted by name; the others are counted together.
pub const CATEGORIES_KEPT: usize = 100;

/// What the other categories are called together.
const OTHER_CATEGORIES: &str = "of other categories";

/// What the rows of one kind in one currency come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// Of which rows.
    pub kind: Kind,
    /// Of which currency.
    pub currency: Currency,
    /// How many rows.
    pub count: u64,
    /// Their sum in minor units, as Stripe signs it.
    pub gross: i128,
    /// The fees of those that say one, in minor units.
    pub fee: i128,
}

/// What a file says in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What kind of file it is, by its header.
    pub layout: Layout,
    /// Rows in which any cell says something.
    pub rows: u64,
    /// By kind and currency, in the order in which they came up.
    pub totals: Vec<Total>,
    /// Rows about anything else, by category.
    pub passed: BTreeMap<String, u64>,
    /// From the first moment at which a transfer or a reversal was created to the first
    /// after the last one; none where there is no such row.
    pub period: Option<Span>,
    /// Transfers and reversals of which the file does not say which transfer they are about.
    pub without_transfer: u64,
    /// Those of which it does not say which payout they are about.
    pub without_payout: u64,
    /// Those of which it says when to the minute only.
    pub to_the_minute: u64,
    /// Those of an hour that the zone's clocks show twice.
    pub in_a_repeated_hour: u64,
    /// All that is wrong with it. With any, nobody should rely on the rest.
    pub faults: Faults,
}

impl Summary {
    /// Rows of a kind.
    pub fn count(&self, kind: Kind) -> u64 {
        let of_kind = self.totals.iter().filter(|total| total.kind == kind);
        of_kind.map(|total| total.count).sum()
    }

    fn add(&mut self, row: &ReportRow) {
        let place = (row.kind, row.currency);
        let mut totals = self.totals.iter_mut();
        let found = totals.find(|total| (total.kind, total.currency) == place);
        let (gross, fee) = (
            i128::from(row.gross),
            i128::from(row.fee.unwrap_or_default()),
        );
        match found {
            Some(total) => {
                total.count += 1;
                // Rows of 64 bits each never fill 128.
                total.gross += gross;
                total.fee += fee;
            }
            None => self.totals.push(Total {
                kind: row.kind,
                currency: row.currency,
                count: 1,
                gross,
                fee,
            }),
        }
        self.period = Some(widened(self.period, row.created, row.created_before));
        self.without_transfer += u64::from(row.transfer.is_none());
        let names_payout = ["payout_id", "payoutId"]
            .iter()
            .any(|key| row.metadata.contains_key(key));
        self.without_payout += u64::from(!names_payout);
        match row.precision {
            Precision::Second => {}
            Precision::Minute => self.to_the_minute += 1,
            Precision::RepeatedHour => self.in_a_repeated_hour += 1,
        }
    }

    fn pass(&mut self, category: String) {
        let kept = self.passed.len() < CATEGORIES_KEPT || self.passed.contains_key(&category);
        let category = if kept {
            category
        } else {
            OTHER_CATEGORIES.to_owned()
        };
        *self.passed.entry(category).or_default() += 1;
    }
}

fn widened(period: Option<Span>, created: Time, before: Time) -> Span {
    let period = period.unwrap_or_default();
    Span {
        from: Some(period.from.map_or(created, |from| from.min(created))),
        until: Some(period.until.map_or(before, |until| until.max(before))),
    }
}

/// Reads all rows of a file. `zone` is that of the report, for times that say none.
///
/// # Errors
/// When it cannot be read, or its header lacks something. What is wrong with rows
/// is in [`Summary::faults`], where they stand in the file's order but for rows that are
/// there twice in a file of very many, which come last.
pub fn survey(file: &TableFile, zone: &TimeZone) -> Result<Summary, Refused> {
    survey_with_room(file, zone, IDS_AT_ONCE)
}

fn survey_with_room(
    file: &TableFile,
    zone: &TimeZone,
    ids_at_once: u64,
) -> Result<Summary, Refused> {
    let mut reader = ReportReader::new(file, zone)?;
    let mut summary = Summary {
        layout: reader.layout(),
        rows: 0,
        totals: Vec::new(),
        passed: BTreeMap::new(),
        period: None,
        without_transfer: 0,
        without_payout: 0,
        to_the_minute: 0,
        in_a_repeated_hour: 0,
        faults: Faults::default(),
    };
    // A line begins at most one row, and that has at most two ids.
    let ids_max = file.lines().saturating_mul(IDS_OF_A_ROW);
    let key = RandomState::new();
    let mut ids = (ids_max <= ids_at_once).then(|| Ids::new(ids_max, 1, 0, key.clone()));
    while let Some(entry) = reader.next_entry().map_err(Refused::File)? {
        summary.rows += 1;
        match entry {
            Entry::Row(row) => {
                summary.add(&row);
                if let Some(ids) = &mut ids {
                    summary.faults.add_row(ids.seen_before(&row, &reader));
                }
            }
            Entry::Passed { category, .. } => summary.pass(category),
            Entry::Faulty(faults) => summary.faults.add_row(faults),
        }
    }
    if ids.is_none() {
        let rows: u64 = summary.totals.iter().map(|total| total.count).sum();
        // Classes are of nearly the same size, not of just the same.
        let classes = (rows * IDS_OF_A_ROW).div_ceil(ids_at_once - ids_at_once / 8);
        for class in 0..classes {
            let mut ids = Ids::new(ids_at_once, classes, class, key.clone());
            let mut reader = ReportReader::new(file, zone)?;
            while let Some(entry) = reader.next_entry().map_err(Refused::File)? {
                if let Entry::Row(row) = entry {
                    summary.faults.add_row(ids.seen_before(&row, &reader));
                }
            }
        }
    }
    Ok(summary)
}

/// The ids of one class that a file has said so far.
struct Ids {
    classes: u64,
    class: u64,
    /// The same for each class of a file.
    class_key: RandomState,
    seen: NamesSeen,
}

impl Ids {
    fn new(room: u64, classes: u64, class: u64, class_key: RandomState) -> Self {
        Self {
            classes,
            class,
            class_key,
            seen: NamesSeen::with_room_for(room),
        }
    }

    /// Whether a line before says the same of this class: no balance transaction is
    /// there twice, and no transfer is made twice.
    fn seen_before(&mut self, row: &ReportRow, reader: &ReportReader<'_>) -> Vec<RowFault> {
        let mut faults = Vec::new();
        let header = &reader.header;
        let made = row.source.as_deref().filter(|_| row.kind == Kind::Transfer);
        for (id, column) in [
            (
                row.balance_transaction.as_deref(),
                header.balance_transaction,
            ),
            (
                made,
                header
                    .source
                    .or(header.transfer)
                    .or(header.balance_transaction),
            ),
        ] {
            let (Some(id), Some(column)) = (id, column) else {
                continue;
            };
            let name = (row.account.as_deref(), id);
            if self.class_key.hash_one(name) % self.classes != self.class {
                continue;
            }
            if let Some(first) = self.seen.line_of(&name, row.line) {
                let reason = format!("line {first} is about the same one");
                let column = header.shown(column);
                faults.push(RowFault::new(
                    Some(row.line),
                    column,
                    id,
                    FaultKind::Duplicate,
                    reason,
                ));
                break;
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn what_is_there_twice_is_seen_with_whatever_room() {
        let mut text =
            "balance_transaction_id,created,currency,gross,reporting_category,source_id\n"
                .to_owned();
        let mut write = |txn: u32, transfer: u32| {
            let _ = writeln!(
                text,
                "txn_{txn},2026-10-05 13:04:11,usd,-1.00,transfer,tr_{transfer}"
            );
        };
        (0..300).for_each(|n| write(n, n));
        write(7, 300);
        write(301, 205);
        let file = TableFile::read("report.csv", text.as_bytes()).unwrap();
        for room in [10, 64, 500, IDS_AT_ONCE] {
            let summary = survey_with_room(&file, &TimeZone::UTC, room).unwrap();
            assert_eq!((summary.rows, summary.count(Kind::Transfer)), (302, 302));
            let mut told: Vec<String> = summary
                .faults
                .first
                .iter()
                .map(|fault| {
                    let line = fault.line.unwrap();
                    format!("{line} {} {}: {}", fault.column, fault.value, fault.reason)
                })
                .collect();
            told.sort();
            assert_eq!(
                told,
                [
                    "302 balance_transaction_id txn_7: line 9 is about the same one",
                    "303 source_id tr_205: line 207 is about the same one",
                ],
                "{room}"
            );
        }
    }
}
