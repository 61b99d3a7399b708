//! Tables for people: bounded to the screen on a terminal, plain and unwrapped
//! when piped.

use std::borrow::Cow;

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row, Table, Width,
    presets,
};

use crate::output::text::clean;
use crate::output::ui::Ui;

/// A column's heading, how it stands, and how it gives way on a narrow screen.
#[derive(Debug, Clone)]
pub struct Column {
    heading: Cow<'static, str>,
    right: bool,
    /// Its cells may be cut down to this many characters.
    width_min: Option<u16>,
    /// Its cells go on in the next line instead of being cut.
    wraps: bool,
    /// Left out when the screen is too narrow all the same; the highest first, 0 never.
    sacrifice: u8,
}

impl Column {
    /// Its cells may be cut to `width_min` characters when the screen is too narrow.
    #[must_use]
    pub fn shrinks_to(self, width_min: u16) -> Self {
        Self {
            width_min: Some(width_min),
            ..self
        }
    }

    /// Its cells may be as narrow as `width_min` characters when the screen is too narrow,
    /// and go on in the next line.
    #[must_use]
    pub fn wraps_at(self, width_min: u16) -> Self {
        Self {
            wraps: true,
            ..self.shrinks_to(width_min)
        }
    }

    /// It is left out when cutting is not enough: columns of a higher `rank` before others.
    #[must_use]
    pub fn sacrificed(self, rank: u8) -> Self {
        Self {
            sacrifice: rank,
            ..self
        }
    }
}

/// A column of text.
pub fn left(heading: impl Into<Cow<'static, str>>) -> Column {
    Column {
        heading: heading.into(),
        right: false,
        width_min: None,
        wraps: false,
        sacrifice: 0,
    }
}

/// A column of numbers.
pub fn right(heading: impl Into<Cow<'static, str>>) -> Column {
    Column {
        right: true,
        ..left(heading)
    }
}

/// Colours with a fixed meaning; every one of them is said in words too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Done.
    Good,
    /// Needs a look.
    Bad,
    /// On its way, or in doubt.
    Doubt,
}

impl Tone {
    /// Colours a text that is written outside a table.
    pub fn paint<'t>(self, ui: &Ui, text: &'t str) -> Cow<'t, str> {
        let code = match self {
            _ if !ui.stdout_color => return Cow::Borrowed(text),
            Self::Plain => return Cow::Borrowed(text),
            Self::Good => 32,
            Self::Bad => 31,
            Self::Doubt => 33,
        };
        Cow::Owned(format!("\x1b[{code}m{text}\x1b[0m"))
    }
}

/// One cell. Its text is cleaned of control characters here.
#[derive(Debug, Clone)]
pub struct Value {
    text: String,
    tone: Tone,
}

impl Value {
    /// A cell with a colour.
    pub fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self {
            text: clean(text.as_ref()).into_owned(),
            tone,
        }
    }
}

impl<T: AsRef<str>> From<T> for Value {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// Characters between two columns.
pub(crate) const GAP: u16 = 2;

/// Renders rows under headings.
pub fn render(ui: &Ui, columns: &[Column], rows: Vec<Vec<Value>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_truncation_indicator("…");
    if !ui.stdout_terminal {
        table.force_no_tty();
    }
    if ui.stdout_color {
        table.enforce_styling();
    }
    // Colour on padding would make lines longer than they look.
    table.style_text_only();
    let mut header = Row::from(columns.iter().map(|column| {
        let cell = Cell::new(&column.heading);
        if ui.stdout_color {
            cell.add_attribute(Attribute::Bold)
        } else {
            cell
        }
    }));
    header.max_height(1);
    table.set_header(header);
    let one_line = !columns.iter().any(|column| column.wraps);
    for row in rows {
        let cells = row.into_iter().map(|value| {
            let cell = Cell::new(&value.text);
            match value.tone {
                _ if !ui.stdout_color => cell,
                Tone::Plain => cell,
                Tone::Good => cell.fg(Color::Green),
                Tone::Bad => cell.fg(Color::Red),
                Tone::Doubt => cell.fg(Color::Yellow),
            }
        });
        let mut row = Row::from(cells);
        if one_line {
            row.max_height(1);
        }
        table.add_row(row);
    }
    for (index, column) in columns.iter().enumerate() {
        if let Some(shown) = table.column_mut(index) {
            shown.set_padding((0, GAP));
            if column.right {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    if let Some(width) = ui.width {
        bound(&mut table, columns, width);
    }
    table
        .lines()
        .flat_map(|line| [line.trim_end().to_owned(), "\n".to_owned()])
        .collect()
}

/// Bounds a table to a screen of this width, as far as its columns allow.
fn bound(table: &mut Table, columns: &[Column], width: u16) {
    let wanted = table.column_max_content_widths();
    let fitted = fit(columns, &wanted, width);
    // Every width is decided here; nothing is left to arrange.
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::MAX);
    for (index, width) in fitted.into_iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_constraint(match width {
                None => ColumnConstraint::Hidden,
                Some(width) => ColumnConstraint::Absolute(Width::Fixed(width.saturating_add(GAP))),
            });
        }
    }
}

/// The width of each column on a screen, none for one that is left out: first
/// the widest are cut, one character at a time; when all that may be cut are as
/// narrow as they may be, the first to go goes, and the rest has its room.
fn fit(columns: &[Column], wanted: &[u16], screen: u16) -> Vec<Option<u16>> {
    let mut fitted: Vec<Option<u16>> = wanted.iter().copied().map(Some).collect();
    loop {
        while total(&fitted) > u32::from(screen) {
            let widest = fitted
                .iter_mut()
                .zip(columns)
                .filter_map(|(width, column)| {
                    let (width, min) = (width.as_mut()?, column.width_min?);
                    (*width > min).then_some(width)
                })
                .max();
            match widest {
                Some(width) => *width = width.saturating_sub(1),
                None => break,
            }
        }
        let victim = (0..columns.len())
            .filter(|index| columns[*index].sacrifice > 0 && fitted[*index].is_some())
            .max_by_key(|index| columns[*index].sacrifice);
        match victim {
            Some(victim) if total(&fitted) > u32::from(screen) => {
                for (width, wanted) in fitted.iter_mut().zip(wanted) {
                    *width = width.map(|_| *wanted);
                }
                fitted[victim] = None;
            }
            _ => return fitted,
        }
    }
}

/// Characters of a line with columns of these widths.
fn total(widths: &[Option<u16>]) -> u32 {
    let shown = || widths.iter().flatten();
    let gaps = u32::from(GAP).saturating_mul(u32::try_from(shown().count()).unwrap_or(u32::MAX));
    shown().map(|width| u32::from(*width)).sum::<u32>() + gaps.saturating_sub(GAP.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn columns() -> Vec<Column> {
        vec![
            left("Id"),
            left("Name").shrinks_to(5),
            left("Reason").shrinks_to(6).sacrificed(1),
            left("Reference").shrinks_to(6).sacrificed(2),
        ]
    }

    #[test]
    fn columns_are_cut_and_then_left_out() {
        let fit = |screen| fit(&columns(), &[10, 12, 20, 9], screen);
        assert_eq!(fit(57), [Some(10), Some(12), Some(20), Some(9)]);
        // The widest gives first.
        assert_eq!(fit(50), [Some(10), Some(12), Some(13), Some(9)]);
        assert_eq!(fit(33), [Some(10), Some(5), Some(6), Some(6)]);
        // The reference goes, and the others get its room.
        assert_eq!(fit(32), [Some(10), Some(9), Some(9), None]);
        assert_eq!(fit(25), [Some(10), Some(5), Some(6), None]);
        assert_eq!(fit(24), [Some(10), Some(12), None, None]);
        // Narrower than what may never go: no help.
        assert_eq!(fit(3), [Some(10), Some(5), None, None]);
        assert_eq!(super::fit(&[], &[], 3), []);
    }

    fn screen(width: Option<u16>) -> Ui {
        Ui {
            stdout_terminal: width.is_some(),
            width,
            stderr_width: None,
            interactive: false,
            stderr_terminal: false,
            stdout_color: false,
            stderr_color: false,
            quiet: false,
            log: crate::output::log::Log::default(),
        }
    }

    #[test]
    fn a_narrow_screen_cuts_and_a_pipe_does_not() {
        let rows = || {
            vec![
                vec![
                    "1234567890".into(),
                    "Ann Example".into(),
                    "balance_insufficient".into(),
                    "INV-1".into(),
                ],
                vec![
                    "2".into(),
                    "名前の長い人".into(),
                    "x".into(),
                    "\x1b[31mred\n2".into(),
                ],
            ]
        };
        insta::assert_snapshot!(render(&screen(None), &columns(), rows()), @r"
        Id          Name          Reason                Reference
        1234567890  Ann Example   balance_insufficient  INV-1
        2           名前の長い人  x                     [31mred 2
        ");
        insta::assert_snapshot!(render(&screen(Some(40)), &columns(), rows()), @r"
        Id          Name      Reason    Referen…
        1234567890  Ann…      balance…  INV-1
        2           名前の…   x         [31mred…
        ");
    }

    #[test]
    fn what_must_be_read_whole_goes_on_in_the_next_line() {
        let columns = [left("Check"), left("Found").wraps_at(10)];
        let rows = || {
            vec![
                vec![
                    "disk".into(),
                    "74 GiB free; the database takes 424 KiB".into(),
                ],
                vec!["key".into(), "/a/path/without/any/space/in/it".into()],
            ]
        };
        insta::assert_snapshot!(render(&screen(None), &columns, rows()), @r"
        Check  Found
        disk   74 GiB free; the database takes 424 KiB
        key    /a/path/without/any/space/in/it
        ");
        insta::assert_snapshot!(render(&screen(Some(30)), &columns, rows()), @r"
        Check  Found
        disk   74 GiB free; the
               database takes 424 KiB
        key    /a/path/without/any/spa
               ce/in/it
        ");
    }

    proptest! {
        #[test]
        fn a_table_fits_wherever_it_can(
            wanted in prop::collection::vec(0_u16..200, 4), screen in 1_u16..300,
        ) {
            let columns = columns();
            let fitted = fit(&columns, &wanted, screen);
            let least = total(&[Some(wanted[0]), Some(wanted[1].min(5)), None, None]);
            prop_assert!(total(&fitted) <= u32::from(screen).max(least));
            // Nothing is cut or left out for nothing.
            let whole: Vec<Option<u16>> = wanted.iter().copied().map(Some).collect();
            prop_assert!(fitted == whole || total(&whole) > u32::from(screen));
        }
    }
}
