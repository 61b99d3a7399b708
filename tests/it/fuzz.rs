//! Whatever stands in a file or an argument: the readers of CSV, of Stripe's reports, of amounts and
//! of periods refuse it or read it as something that shares no code with them does, and never panic.
//!
//! Inputs are the corpus under `tests/fuzz/corpus`, changed at random. Some thousand in every run of
//! the tests; `PAYOUTS_TEST_FUZZ=10000000` for as many in all, `PAYOUTS_TEST_SEED` to repeat a run or
//! to have another one.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; a seed must be told"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use fastrand::Rng;
use payouts::model::money::{
    Currency, DecimalMark, major_plain, parse_major_with, parse_minor, parse_signed_with,
};
use payouts::model::time::Time;
use payouts::ops::period;
use payouts::ops::stripe_report::{self, Entry, Kind, Precision, ReportReader, ReportRow};
use payouts::ops::table_file::{Columns, Dialect, Encoding, Refused, TableFile};

use crate::common::outside_number;

/// Inputs in all, unless the environment says otherwise.
const INPUTS: u64 = 60_000;

/// What changes put in.
const PIECES: [&[u8]; 24] = [
    b",",
    b";",
    b"\t",
    b"\"",
    b"\"\"",
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xe9",
    b"\xd8\x3d",
    b"'",
    b"=",
    b".",
    b"..",
    b"-",
    b"0",
    b"9",
    b"000",
    b"creator",
    b"\xd9\xa5",
    b"\xf0\x9f\x92\xb6",
];

fn corpus(of: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(of);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| fs::read(file).unwrap())
        .collect()
}

/// Each line of a corpus is an input of its own.
fn lines(of: &str) -> Vec<Vec<u8>> {
    let texts = corpus(of);
    texts
        .iter()
        .flat_map(|text| text.split(|byte| *byte == b'\n'))
        .map(<[u8]>::to_vec)
        .collect()
}

/// One of the corpus, changed in some places.
fn changed(dice: &mut Rng, corpus: &[Vec<u8>], changes_max: usize) -> Vec<u8> {
    let mut input = corpus[dice.usize(..corpus.len())].clone();
    for _ in 0..dice.usize(..=changes_max) {
        let at = dice.usize(..=input.len());
        let to = (at + dice.usize(..8)).min(input.len());
        match dice.u8(..7) {
            0 if at < input.len() => input[at] = dice.u8(..),
            1 => drop(input.drain(at..to)),
            2 => {
                let again = input[at..to].to_vec();
                input.splice(at..at, again);
            }
            3 => {
                let other = &corpus[dice.usize(..corpus.len())];
                let from = dice.usize(..=other.len());
                input.splice(at.., other[from..].iter().copied());
            }
            4 if at < input.len() => input[at] = b'0' + dice.u8(..10),
            _ => {
                let piece = PIECES[dice.usize(..PIECES.len())];
                input.splice(at..at, piece.iter().copied());
            }
        }
        input.truncate(4_000);
    }
    input
}

/// Has `check` look at a share of the inputs, each from a seed of its own.
fn many(of: &str, percent: u64, mut check: impl FnMut(&mut Rng)) {
    let inputs = outside_number("PAYOUTS_TEST_FUZZ").unwrap_or(INPUTS) * percent / 100;
    let first = outside_number("PAYOUTS_TEST_SEED").unwrap_or(1);
    println!("{of}: {inputs} inputs, PAYOUTS_TEST_SEED={first}");
    for number in 0..inputs {
        check(&mut Rng::with_seed(
            first
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .wrapping_add(number),
        ));
    }
}

// --- amounts ---------------------------------------------------------------------------------------------------------

/// Code, decimals, and what Stripe demands a multiple of.
const CURRENCIES: [(&str, usize, u128); 4] = [
    ("usd", 2, 1),
    ("jpy", 0, 1),
    ("kwd", 3, 10),
    ("ugx", 2, 100),
];

/// The minor units of one payout by the rules of the documentation.
fn minor_units(text: &str, decimals: usize, step: u128, mark: DecimalMark) -> Option<i32> {
    let value = unsigned_units(text, decimals, mark)?;
    if value > 0 && value.is_multiple_of(step) {
        i32::try_from(value).ok()
    } else {
        None
    }
}

/// The same of an amount that may have a minus, whatever its size.
fn signed_units(text: &str, decimals: usize, mark: DecimalMark) -> Option<i64> {
    let unsigned = text.strip_prefix('-');
    let value = i64::try_from(unsigned_units(unsigned.unwrap_or(text), decimals, mark)?).ok()?;
    Some(if unsigned.is_some() { -value } else { value })
}

/// The minor units of an amount, by way of a number in text.
fn unsigned_units(text: &str, decimals: usize, mark: DecimalMark) -> Option<u128> {
    let point = if mark == DecimalMark::Comma { ',' } else { '.' };
    let mut parts = text.split(point);
    let (whole, fraction) = (parts.next()?, parts.next());
    if parts.next().is_some()
        || fraction.is_some_and(|part| part.is_empty() || part.len() > decimals)
    {
        return None;
    }
    let mut digits = String::new();
    for (from_right, c) in whole.chars().rev().enumerate() {
        let is_group = mark == DecimalMark::Comma && whole.contains('.') && from_right % 4 == 3;
        match c {
            '.' if is_group => {}
            '0'..='9' if !is_group => digits.insert(0, c),
            _ => return None,
        }
    }
    let grouped = whole.contains('.');
    if digits.is_empty() || (grouped && (whole.starts_with('0') || whole.starts_with('.'))) {
        return None;
    }
    let fraction = fraction.unwrap_or_default();
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let _ = write!(digits, "{fraction:0<decimals$}");
    let digits = digits.trim_start_matches('0');
    match digits.len() {
        0 => Some(0),
        1..=30 => digits.parse().ok(),
        _ => None,
    }
}

#[test]
fn amounts_are_read_as_another_reader_does() {
    let corpus = lines("amount");
    let mut read = 0_u64;
    many("amounts", 50, |dice| {
        let input = changed(dice, &corpus, 5);
        let text = String::from_utf8_lossy(&input);
        let (code, decimals, step) = CURRENCIES[dice.usize(..CURRENCIES.len())];
        let currency: Currency = code.parse().unwrap();
        for mark in [DecimalMark::Point, DecimalMark::Comma] {
            let ours = parse_major_with(&text, currency, mark).ok();
            assert_eq!(
                ours,
                minor_units(&text, decimals, step, mark),
                "{text:?} {code} {mark:?}"
            );
            read += u64::from(ours.is_some());
            assert_eq!(
                parse_signed_with(&text, currency, mark).ok(),
                signed_units(&text, decimals, mark),
                "{text:?} {code} {mark:?}"
            );
        }
        assert_eq!(
            parse_minor(&text, currency).ok(),
            minor_units(&text, 0, step, DecimalMark::Point),
            "{text:?} {code}"
        );
    });
    assert!(read > 100, "{read} were amounts");
}

// --- periods ---------------------------------------------------------------------------------------------------------

/// Days from 1970-01-01, by the shifted years of Howard Hinnant's `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn is_day(year: i64, month: i64, day: i64) -> bool {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return false,
    };
    (1..=last).contains(&day)
}

/// The milliseconds of a year, a month or a day in UTC, in the years that a payout can have.
fn whole_days(text: &str) -> Option<(i64, i64)> {
    let digits = |range: std::ops::Range<usize>| {
        let part = text
            .get(range)
            .filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
        part.parse::<i64>().ok()
    };
    let dash = |at: usize| (text.as_bytes().get(at) == Some(&b'-')).then_some(());
    let year = digits(0..4)?;
    if !(1..9999).contains(&year) {
        return None;
    }
    let (first, next) = match text.len() {
        4 => ((year, 1, 1), (year + 1, 1, 1)),
        7 => {
            dash(4)?;
            let month = digits(5..7)?;
            let next = if month == 12 {
                (year + 1, 1, 1)
            } else {
                (year, month + 1, 1)
            };
            ((year, month, 1), next)
        }
        10 => {
            dash(4)?;
            dash(7)?;
            let (month, day) = (digits(5..7)?, digits(8..10)?);
            let next = if is_day(year, month, day + 1) {
                (year, month, day + 1)
            } else if month == 12 {
                (year + 1, 1, 1)
            } else {
                (year, month + 1, 1)
            };
            ((year, month, day), next)
        }
        _ => return None,
    };
    let millis = |(year, month, day)| days_from_civil(year, month, day) * 86_400_000;
    is_day(first.0, first.1, first.2).then(|| (millis(first), millis(next)))
}

#[test]
fn periods_are_read_as_another_reader_does() {
    let corpus = lines("period");
    let now: Time = "2026-11-02T09:30:00.000Z".parse().unwrap();
    let utc = period::zone("UTC").unwrap();
    let zones = ["Europe/Berlin", "America/Havana", "Asia/Kathmandu"]
        .map(|name| period::zone(name).unwrap());
    let mut read = 0_u64;
    many("periods", 25, |dice| {
        let input = changed(dice, &corpus, 4);
        let text = String::from_utf8_lossy(&input);
        // Anywhere: read or refused, and never backwards.
        let elsewhere = period::span(&text, &zones[dice.usize(..zones.len())], now);
        if let Ok(span) = &elsewhere
            && let (Some(from), Some(until)) = (span.from, span.until)
        {
            assert!(from <= until, "{text:?}");
        }
        let ours = period::span(&text, &utc, now);
        if let Some((from, until)) = whole_days(&text) {
            let span = ours.unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(
                (span.from.unwrap().millis(), span.until.unwrap().millis()),
                (from, until),
                "{text:?}"
            );
            read += 1;
        } else if let Some((first, last)) = text
            .split_once("..")
            .and_then(|(a, b)| Some((whole_days(a)?, whole_days(b)?)))
        {
            if last.1 >= first.0 {
                let span = ours.unwrap_or_else(|error| panic!("{text:?}: {error}"));
                assert_eq!(
                    (span.from.unwrap().millis(), span.until.unwrap().millis()),
                    (first.0, last.1),
                    "{text:?}"
                );
                read += 1;
            } else {
                assert!(ours.is_err(), "{text:?}");
            }
        } else if ours.is_ok() {
            // What is left of the forms: back from now, an open side, moments, the ends of the calendar.
            assert!(
                text.ends_with(['d', 'h'])
                    || text.contains("..")
                    || text.starts_with("9999")
                    || text.starts_with("0000"),
                "{text:?}"
            );
        }
    });
    assert!(read > 100, "{read} were periods");
}

// --- files -----------------------------------------------------------------------------------------------------------

const COLUMNS: Columns = Columns {
    known: &["creator", "amount", "reference", "error"],
    required: &[&["creator"], &["amount"]],
};

/// The rows that say anything, as the csv crate reads them.
fn by_another_reader(text: &[u8], separator: u8) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(text);
    let records = reader.records().map(|record| record.unwrap());
    let rows = records.map(|record| {
        record
            .iter()
            .map(|cell| cell.trim().to_owned())
            .collect::<Vec<_>>()
    });
    rows.filter(|cells| cells.iter().any(|cell| !cell.is_empty()))
        .collect()
}

#[test]
fn files_are_read_as_another_reader_does() {
    let corpus = corpus("csv");
    let mut compared = 0_u64;
    many("files", 25, |dice| {
        let bytes = changed(dice, &corpus, 6);
        let encoding = [
            None,
            None,
            None,
            Some(Encoding::Windows1252),
            Some(Encoding::Utf16Be),
        ][dice.usize(..5)];
        let dialect = Dialect {
            encoding,
            ignored: vec!["*".to_owned()],
            ..Dialect::default()
        };
        let file = TableFile::read_as("f", bytes.as_slice(), dialect).unwrap();
        let mut reader = match file.reader(COLUMNS) {
            Ok(reader) => reader,
            Err(Refused::Faults(faults)) => return assert!(!faults.is_empty()),
            Err(Refused::File(error)) => panic!("{error}: {bytes:?}"),
        };
        let separator = reader.header().separator;
        let header = reader.header().names.clone();
        let escaped = reader
            .header()
            .names
            .iter()
            .any(|name| name.eq_ignore_ascii_case("error") || name == "'error");
        let (mut rows, mut bad, mut line) = (Vec::new(), 0, 0);
        while let Some((row, faults)) = reader.next_row().unwrap() {
            assert!(row.line > Some(line), "{bytes:?}");
            line = row.line.unwrap();
            bad += usize::from(!faults.is_empty());
            for column in ["creator", "amount", "reference"] {
                let cell = row
                    .cell(column)
                    .filter(|_| faults.is_empty())
                    .unwrap_or("-");
                assert!(
                    cell.trim() == cell && !cell.is_empty() && !cell.contains(char::is_control),
                    "{bytes:?}"
                );
                assert!(cell.chars().count() <= 500, "{bytes:?}");
            }
            let record = reader.record();
            rows.push(
                record
                    .cells()
                    .map(|cell| cell.trim().to_owned())
                    .collect::<Vec<_>>(),
            );
        }
        // Quotes that RFC 4180 forbids are faults here, and read in some way there.
        if bad > 0
            || escaped
            || encoding.is_some()
            || bytes.starts_with(b"\xff\xfe")
            || bytes.starts_with(b"\xfe\xff")
        {
            return;
        }
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let mut theirs = by_another_reader(text, separator);
        let names = |cells: &[String]| {
            let last = cells.iter().rposition(|cell| !cell.is_empty());
            cells[..last.map_or(0, |last| last + 1)].to_vec()
        };
        // A spreadsheet's word on what separates cells.
        if names(&theirs[0]) != header && theirs[0][0].to_lowercase().starts_with("sep=") {
            theirs.remove(0);
        }
        assert_eq!(names(&theirs[0]), header, "{bytes:?}");
        assert_eq!(rows, theirs[1..], "{bytes:?}");
        compared += 1;
    });
    assert!(compared > 100, "{compared} were compared");
}

// --- Stripe's reports ------------------------------------------------------------------------------------------------

/// Decimals by Stripe's list of special cases.
fn decimals_of(code: &str) -> usize {
    match code {
        "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf" | "vnd"
        | "vuv" | "xaf" | "xof" | "xpf" => 0,
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => 3,
        _ => 2,
    }
}

/// Milliseconds of a time that is UTC where it says nothing else, and of how much it may be later.
fn utc_millis(text: &str) -> Option<(i64, i64)> {
    let number = |range: std::ops::Range<usize>| {
        let part = text.get(range)?;
        let plain = part.bytes().all(|byte| byte.is_ascii_digit());
        if plain {
            part.parse::<i64>().ok()
        } else {
            None
        }
    };
    let is = |at: usize, any: &str| {
        any.contains(char::from(*text.as_bytes().get(at)?))
            .then_some(())
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute) = (number(11..13)?, number(14..16)?);
    is(4, "-")?;
    is(7, "-")?;
    is(10, " Tt")?;
    is(13, ":")?;
    let mut rest = &text[16..];
    let mut millis = 0;
    let to_the_second = rest.starts_with(':');
    if to_the_second {
        millis = number(17..19)? * 1000;
        rest = &text[19..];
        if let Some(fraction) = rest.strip_prefix('.') {
            let zone = fraction
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(fraction.len());
            if zone == 0 || zone > 9 {
                return None;
            }
            millis += format!("{:0<3.3}", &fraction[..zone]).parse::<i64>().ok()?;
            rest = &fraction[zone..];
        }
    }
    let rest = rest
        .strip_prefix(' ')
        .filter(|zone| !zone.is_empty())
        .unwrap_or(rest);
    let ahead = match rest.as_bytes() {
        [] | b"Z" | b"z" | b"UTC" => 0,
        [sign @ (b'+' | b'-'), a, b, b':', c, d] => {
            let digits = [*a, *b, *c, *d];
            if !digits.iter().all(u8::is_ascii_digit) {
                return None;
            }
            let [a, b, c, d] = digits.map(|digit| i64::from(digit - b'0'));
            let (hours, minutes) = (10 * a + b, 10 * c + d);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    if year == 0 || !is_day(year, month, day) || hour > 23 || minute > 59 || millis > 59_999 {
        return None;
    }
    let minutes = days_from_civil(year, month, day) * 1440 + hour * 60 + minute - ahead;
    let at = minutes * 60_000 + millis;
    let (first, last) = (days_from_civil(1, 1, 1), days_from_civil(10_000, 1, 1));
    let kept = first * 86_400_000..last * 86_400_000;
    kept.contains(&at)
        .then_some((at, if to_the_second { 1_000 } else { 60_000 }))
}

/// What another reader makes of one record: kind, amounts, time and ids.
struct OtherReading<'a> {
    header: &'a [String],
    cells: &'a [String],
    mark: DecimalMark,
}

impl OtherReading<'_> {
    /// What stands under the first of these names that the header has; none where nothing does.
    fn cell(&self, names: &[&str]) -> Option<&str> {
        let called = |cell: &String| cell.strip_prefix('\'').unwrap_or(cell).to_lowercase();
        let place = names.iter().find_map(|name| {
            let mut header = self.header.iter();
            header.position(|cell| called(cell) == *name)
        })?;
        self.cells
            .get(place)
            .map(String::as_str)
            .filter(|cell| !cell.is_empty())
    }

    fn amount(&self, names: &[&str]) -> Option<i64> {
        let decimals = decimals_of(&self.cell(&["currency"])?.to_lowercase());
        let text = self.cell(names)?;
        let zeros = if self.mark == DecimalMark::Comma {
            ",00"
        } else {
            ".00"
        };
        let text = text
            .strip_suffix(zeros)
            .filter(|_| decimals == 0)
            .unwrap_or(text);
        signed_units(text, decimals, self.mark)
    }

    fn category(&self) -> Option<&str> {
        self.cell(&["reporting_category", "type"])
    }

    fn check(&self, ours: &Entry) {
        let category = self
            .category()
            .map(|text| text.to_lowercase().replace(' ', "_"));
        let kind = match category.as_deref() {
            Some("transfer") => Some(Kind::Transfer),
            Some(
                "transfer_reversal" | "transfer_refund" | "transfer_cancel" | "transfer_failure",
            ) => Some(Kind::Reversal),
            _ => None,
        };
        let row = match ours {
            Entry::Row(row) => row,
            Entry::Passed { .. } => return assert_eq!(kind, None, "{:?}", self.cells),
            Entry::Faulty(faults) => return assert!(!faults.is_empty(), "{:?}", self.cells),
        };
        assert!(
            category.is_none() || kind == Some(row.kind),
            "{:?}",
            self.cells
        );
        let gross = self.amount(&["gross", "amount"]).unwrap();
        let (fee, net) = (self.amount(&["fee"]), self.amount(&["net"]));
        if category.is_some() {
            assert_eq!(row.gross, gross, "{:?}", self.cells);
        }
        assert_eq!(row.gross.abs(), gross.abs(), "{:?}", self.cells);
        assert_eq!(
            row.gross < 0,
            row.kind == Kind::Transfer,
            "{:?}",
            self.cells
        );
        assert_eq!((row.fee, row.net), (fee, net), "{:?}", self.cells);
        if let (Some(fee), Some(net)) = (fee, net) {
            assert_eq!(gross - fee, net, "{:?}", self.cells);
        }
        let created = self.cell(&["created_utc", "created (utc)", "created"]);
        let (at, later) =
            utc_millis(created.unwrap()).unwrap_or_else(|| panic!("{:?}", self.cells));
        assert_eq!(
            (row.created.millis(), row.created_before.millis()),
            (at, (at + later).min(253_402_300_799_999)),
            "{:?}",
            self.cells
        );
        assert_eq!(
            row.source.as_deref(),
            self.cell(&["source_id", "source"]),
            "{:?}",
            self.cells
        );
        if let Some(transfer) = &row.transfer {
            assert!(transfer.starts_with("tr_"), "{:?}", self.cells);
            assert!(self.cells.contains(transfer), "{:?}", self.cells);
        }
        assert_eq!(
            row.metadata.get("payout_id").map(String::as_str),
            self.cell(&["transfer_metadata[payout_id]"])
                .or_else(|| self.cell(&["payout_id (metadata)"])),
            "{:?}",
            self.cells
        );
    }
}

#[test]
fn stripe_reports_are_read_as_another_reader_does() {
    let corpus = corpus("stripe_report");
    let utc = period::zone("UTC").unwrap();
    let mut compared = 0_u64;
    many("reports", 25, |dice| {
        let bytes = changed(dice, &corpus, 4);
        let mark = [DecimalMark::Point, DecimalMark::Comma][dice.usize(..2)];
        let dialect = Dialect {
            decimal: mark,
            ..Dialect::default()
        };
        let file = stripe_report::read("f", bytes.as_slice(), dialect).unwrap();
        let mut reader = match ReportReader::new(&file, &utc) {
            Ok(reader) => reader,
            Err(Refused::Faults(faults)) => return assert!(!faults.is_empty()),
            Err(Refused::File(error)) => panic!("{error}: {bytes:?}"),
        };
        let (mut entries, mut rows) = (Vec::new(), 0);
        while let Some(entry) = reader.next_entry().unwrap() {
            rows += u64::from(matches!(entry, Entry::Row(_)));
            entries.push(entry);
        }
        let summary = stripe_report::survey(&file, &utc).unwrap();
        assert_eq!(summary.rows, entries.len() as u64, "{bytes:?}");
        assert_eq!(
            summary.count(Kind::Transfer) + summary.count(Kind::Reversal),
            rows,
            "{bytes:?}"
        );
        // Quotes that RFC 4180 forbids are faults here, and read in some way there.
        let odd = |entry: &Entry| match entry {
            Entry::Faulty(faults) => faults.iter().any(|fault| fault.column.is_empty()),
            _ => false,
        };
        if rows == 0
            || entries.iter().any(odd)
            || bytes.starts_with(b"\xff\xfe")
            || bytes.starts_with(b"\xfe\xff")
        {
            return;
        }
        // It takes one byte-order mark off itself.
        let text = bytes.as_slice();
        // The separator under which the header has the most columns that are known.
        let known = |separator: u8| {
            let header = by_another_reader(text, separator)
                .into_iter()
                .next()
                .unwrap_or_default();
            let known = [
                "currency",
                "gross",
                "amount",
                "fee",
                "net",
                "source",
                "source_id",
                "type",
            ];
            header
                .iter()
                .filter(|cell| known.contains(&cell.to_lowercase().as_str()))
                .count()
        };
        let separator = if known(b';') > known(b',') {
            b';'
        } else {
            b','
        };
        let theirs = by_another_reader(text, separator);
        if theirs.len() != entries.len() + 1 {
            // A spreadsheet's word on what separates cells.
            assert!(theirs[0][0].to_lowercase().starts_with("sep="), "{bytes:?}");
            return;
        }
        for (entry, cells) in entries.iter().zip(&theirs[1..]) {
            let header = &theirs[0];
            OtherReading {
                header,
                cells,
                mark,
            }
            .check(entry);
        }
        compared += 1;
    });
    assert!(compared > 100, "{compared} were compared");
}

/// A report in each layout that Stripe has, with what is not in it left out of what is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Activity,
    Ticked,
    Payouts,
    Connected,
    Dashboard,
    Semicolons,
}

impl Written {
    const ALL: [Self; 6] = [
        Self::Activity,
        Self::Ticked,
        Self::Payouts,
        Self::Connected,
        Self::Dashboard,
        Self::Semicolons,
    ];

    fn header(self) -> &'static str {
        match self {
            Self::Activity => {
                "balance_transaction_id,created,available_on,currency,gross,fee,net,reporting_category,description"
            }
            Self::Ticked => {
                "source_id,connected_account_id,net,fee,gross,currency,created_utc,balance_transaction_id,reporting_category,transfer_metadata[payout_id]"
            }
            Self::Payouts => {
                "automatic_payout_id,automatic_payout_effective_at,balance_transaction_id,created,available_on,currency,gross,fee,net,reporting_category,description"
            }
            Self::Connected => {
                "balance_transaction_id,created,available_on,currency,gross,fee,net,reporting_category,description,connected_account"
            }
            Self::Dashboard => {
                "id,Type,Source,Amount,Fee,Destination Platform Fee,Destination Platform Fee Currency,Net,Currency,Created (UTC),Available On (UTC),Description,Customer Facing Amount,Customer Facing Currency,Transfer,Transfer Date (UTC),Transfer Group,payout_id (metadata)"
            }
            Self::Semicolons => {
                "balance_transaction_id;currency;net;created;source_id;gross;fee;reporting_category"
            }
        }
    }

    fn names_source(self) -> bool {
        matches!(self, Self::Ticked | Self::Dashboard | Self::Semicolons)
    }

    fn cell(self, column: &str, row: &ReportRow, zone: &jiff::tz::TimeZone) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let amount = |minor: i64| {
            let plain = major_plain(minor, row.currency);
            if self == Self::Semicolons {
                plain.replace('.', ",")
            } else {
                plain
            }
        };
        let utc = jiff::tz::TimeZone::UTC;
        match column {
            "balance_transaction_id" | "id" => text(&row.balance_transaction),
            "source_id" | "Source" => text(&row.source),
            "created" => row
                .created
                .local(zone)
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string(),
            "created_utc" => row
                .created
                .local(&utc)
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string(),
            "Created (UTC)" => row
                .created
                .local(&utc)
                .strftime("%Y-%m-%d %H:%M")
                .to_string(),
            "currency" | "Currency" => row.currency.to_string(),
            "gross" | "Amount" => amount(row.gross),
            "fee" | "Fee" => amount(row.fee.unwrap()),
            "net" | "Net" => amount(row.net.unwrap()),
            "reporting_category" => row.kind.as_str().to_owned(),
            "Type" if row.kind == Kind::Reversal => "transfer_refund".to_owned(),
            "Type" => "transfer".to_owned(),
            "connected_account_id" => text(&row.destination),
            "connected_account" => text(&row.account),
            "Transfer Group" => text(&row.transfer_group),
            "transfer_metadata[payout_id]" | "payout_id (metadata)" => {
                row.metadata.get("payout_id").cloned().unwrap_or_default()
            }
            "Transfer" => "po_1".to_owned(),
            "description" | "Description" => "Thanks, \"Ann\";\nfor all".to_owned(),
            _ => String::new(),
        }
    }

    fn file(self, rows: &[ReportRow], zone: &jiff::tz::TimeZone, dice: &mut Rng) -> Vec<u8> {
        let separator = if self == Self::Semicolons { ';' } else { ',' };
        let mut columns: Vec<&str> = self.header().split(separator).collect();
        dice.shuffle(&mut columns);
        let mut bytes = if dice.bool() {
            b"\xef\xbb\xbf".to_vec()
        } else {
            Vec::new()
        };
        let mut writer = csv::WriterBuilder::new()
            .delimiter(separator as u8)
            .from_writer(&mut bytes);
        writer.write_record(&columns).unwrap();
        for row in rows {
            writer
                .write_record(columns.iter().map(|column| self.cell(column, row, zone)))
                .unwrap();
        }
        drop(writer);
        bytes
    }

    /// What is left of a row in it.
    fn known(self, row: &ReportRow) -> ReportRow {
        let mut row = row.clone();
        if !self.names_source() {
            (row.source, row.transfer) = (None, None);
        }
        if !matches!(self, Self::Ticked | Self::Dashboard) {
            row.metadata = BTreeMap::new();
        }
        row.destination = row.destination.filter(|_| self == Self::Ticked);
        row.account = row.account.filter(|_| self == Self::Connected);
        row.transfer_group = row.transfer_group.filter(|_| self == Self::Dashboard);
        let mut unit_millis = 1_000;
        if self == Self::Dashboard {
            unit_millis = 60_000;
            row.created = Time::from_millis(row.created.millis().div_euclid(60_000) * 60_000);
            row.precision = Precision::Minute;
        }
        row.created_before = Time::from_millis(row.created.millis() + unit_millis);
        row
    }
}

/// A row that says all there is.
fn report_row(dice: &mut Rng, number: u64) -> ReportRow {
    let kind = if dice.bool() {
        Kind::Transfer
    } else {
        Kind::Reversal
    };
    let code = ["usd", "eur", "jpy", "kwd", "ugx", "clp", "bhd"][dice.usize(..7)];
    let size = i64::from(dice.i32(1..)) << dice.u32(..20);
    let gross = if kind == Kind::Transfer { -size } else { size };
    let fee = if dice.bool() {
        0
    } else {
        i64::from(dice.i32(-500..500))
    };
    let transfer = (kind == Kind::Transfer).then(|| format!("tr_1Qx{number}"));
    let created = Time::from_unix_seconds(dice.i64(1_400_000_000..2_000_000_000));
    ReportRow {
        line: number + 2,
        kind,
        source: transfer
            .clone()
            .or_else(|| Some(format!("trr_1Qx{number}"))),
        transfer,
        balance_transaction: Some(format!("txn_1Qx{number}")),
        created,
        created_before: created,
        precision: Precision::Second,
        currency: code.parse().unwrap(),
        gross,
        fee: Some(fee),
        net: Some(gross - fee),
        metadata: BTreeMap::from([("payout_id", format!("p,{number}"))]),
        transfer_group: Some(format!("p,{number}")),
        destination: Some(format!("acct_1{number}")),
        account: Some(format!("acct_2{number}")),
    }
}

#[test]
fn a_stripe_report_says_what_was_written_in_every_layout() {
    let zones = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"]
        .map(|name| period::zone(name).unwrap());
    many("round trips of reports", 5, |dice| {
        let rows: Vec<ReportRow> = (0..dice.u64(1..6)).map(|n| report_row(dice, n)).collect();
        let written = Written::ALL[dice.usize(..Written::ALL.len())];
        let zone = &zones[dice.usize(..zones.len())];
        let bytes = written.file(&rows, zone, dice);
        let decimal = match written {
            Written::Semicolons => DecimalMark::Comma,
            _ => DecimalMark::Point,
        };
        let dialect = Dialect {
            decimal,
            ..Dialect::default()
        };
        let file = stripe_report::read("f", bytes.as_slice(), dialect).unwrap();
        let mut reader = ReportReader::new(&file, zone).unwrap();
        // A description has two lines here.
        let mut line = 2;
        for row in &rows {
            let entry = reader.next_entry().unwrap().unwrap();
            let Entry::Row(mut read) = entry else {
                panic!("{entry:?} in {}", String::from_utf8_lossy(&bytes));
            };
            let mut expected = written.known(row);
            expected.line = line;
            line += if written.header().to_lowercase().contains("description") {
                2
            } else {
                1
            };
            if read.precision == Precision::RepeatedHour {
                assert!(read.created <= expected.created && expected.created < read.created_before);
                read.created = expected.created;
                read.created_before = expected.created_before;
                read.precision = expected.precision;
            }
            assert_eq!(read, expected, "{written:?}");
        }
        assert_eq!(reader.next_entry().unwrap(), None);
        let summary = stripe_report::survey(&file, zone).unwrap();
        assert!(summary.faults.is_empty(), "{:?}", summary.faults);
        let gross: i128 = summary.totals.iter().map(|total| total.gross).sum();
        assert_eq!(
            gross,
            rows.iter().map(|row| i128::from(row.gross)).sum::<i128>()
        );
    });
}
