//! Whatever stands in a file or an argument: the readers of CSV, of amounts and of periods refuse
//! it or read it as something that shares no code with them does, and never panic.
//!
//! Inputs are the corpus under `tests/fuzz/corpus`, changed at random. Some thousand in every run of
//! the tests; `PAYOUTS_TEST_FUZZ=10000000` for as many in all, `PAYOUTS_TEST_SEED` to repeat a run or
//! to have another one.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; a seed must be told"
)]

use std::fs;
use std::path::Path;

use fastrand::Rng;
use payouts::model::money::{Currency, DecimalMark, parse_major_with, parse_minor};
use payouts::model::time::Time;
use payouts::ops::period;
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

/// The minor units of an amount by the rules of the documentation, by way of a number in text.
fn minor_units(text: &str, decimals: usize, step: u128, mark: DecimalMark) -> Option<i32> {
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
    digits += fraction;
    digits += &"0".repeat(decimals - fraction.len());
    let digits = digits.trim_start_matches('0');
    let value: u128 = if digits.len() > 30 {
        return None;
    } else {
        digits.parse().ok()?
    };
    if value.is_multiple_of(step) {
        i32::try_from(value).ok()
    } else {
        None
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
