//! What is wrong with a record before anybody asks what it means.

use crate::ops::fault::{FaultKind, RowFault};
use crate::ops::table_file::records::Form;
use crate::ops::table_file::{CELL_CHARS_MAX, Row};

pub(super) const TOO_LONG: &str = "longer than 1 MiB; is a quote opened and never closed?";

/// What is wrong with a record before anybody asks what it means.
pub(super) fn form_faults(row: &Row<'_>) -> Vec<RowFault> {
    let whole =
        |kind, reason: String| vec![RowFault::new(row.line, "", &row.record.raw(), kind, reason)];
    match row.record.form_fault() {
        Some(Form::Quotes(reason)) => return whole(FaultKind::Quotes, reason.to_owned()),
        Some(Form::TooLong) => return whole(FaultKind::Cells, TOO_LONG.to_owned()),
        None => {}
    }
    let wanted = row.header.columns.len();
    let found = row.record.len();
    let surplus = (wanted..found).filter_map(|place| row.record.cell(place));
    let mut surplus = surplus.into_iter();
    // Never more than the header, not even empty ones: an amount with a comma in it, and
    // one empty cell too many elsewhere, would be read as another amount.
    if found < wanted || found > row.header.cells || surplus.any(|cell| !cell.trim().is_empty()) {
        let reason = format!("{found} cells, but the header has {wanted}");
        return whole(FaultKind::Cells, reason);
    }
    if let Some(fault) = split_amount(row) {
        return vec![fault];
    }
    text_faults(row)
}

/// Columns whose cells are in major units, whatever the file is about.
pub(super) const MAJOR_UNITS: [&str; 4] =
    ["amount", "net_payable", "total_earnings", "platform_fee"];

/// An amount that its own thousands comma has cut in two: `12` and `500.00`.
pub(super) fn split_amount(row: &Row<'_>) -> Option<RowFault> {
    if row.header.separator != b',' {
        return None;
    }
    let columns = row.header.columns.iter();
    let mut in_major_units = columns.filter(|name| MAJOR_UNITS.contains(name));
    in_major_units.find_map(|column| split_in(row, column))
}

pub(super) fn split_in(row: &Row<'_>, column: &str) -> Option<RowFault> {
    let mut columns = row.header.columns.iter();
    let place = columns.position(|name| *name == column)?;
    let cell = |place: usize| row.record.cell(place).map(str::trim);
    let (first, second) = (cell(place)?, cell(place + 1)?);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, rest) = second.split_once('.')?;
    let cut = (1..=3).contains(&first.len())
        && digits(first)
        && whole.len() == 3
        && digits(whole)
        && digits(rest);
    cut.then(|| {
        let reason = format!(
            "this and the next cell read like one number, {first},{second}; put an amount with a comma in quotes"
        );
        row.fault(column, FaultKind::Amount, reason)
    })
}

/// What makes the cells of a row unfit to be ids, names or references.
pub(super) fn text_faults(row: &Row<'_>) -> Vec<RowFault> {
    let names = row.header.columns.iter().filter(|name| !name.is_empty());
    let cells = names.filter_map(|name| Some((*name, row.cell(name)?)));
    cells
        .filter_map(|(name, text)| Some(row.fault(name, FaultKind::Text, text_fault(text)?)))
        .collect()
}

pub(super) fn text_fault(text: &str) -> Option<String> {
    if text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() || byte == b' ')
    {
        return (text.len() > CELL_CHARS_MAX).then(too_many_chars);
    }
    if text.contains(['\n', '\r']) {
        Some("a line break has no place in a cell".to_owned())
    } else if text.contains(char::is_control) {
        Some("a control character has no place in a cell".to_owned())
    } else if text.contains(char::REPLACEMENT_CHARACTER) {
        Some("a character was lost when the file was saved or converted".to_owned())
    } else if text.chars().count() > CELL_CHARS_MAX {
        Some(too_many_chars())
    } else {
        None
    }
}

pub(super) fn too_many_chars() -> String {
    format!("longer than {CELL_CHARS_MAX} characters")
}
