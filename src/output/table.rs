//! Tables for people: bounded to the screen on a terminal, plain and unwrapped
//! when piped.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use crate::output::text::clean;
use crate::output::ui::Ui;

/// A column's heading and how it stands.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Shown above.
    pub heading: &'static str,
    /// Numbers stand right.
    pub right: bool,
}

/// A column of text.
pub const fn left(heading: &'static str) -> Column {
    Column {
        heading,
        right: false,
    }
}

/// A column of numbers.
pub const fn right(heading: &'static str) -> Column {
    Column {
        heading,
        right: true,
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

/// Renders rows under headings.
pub fn render(ui: &Ui, columns: &[Column], rows: Vec<Vec<Value>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if ui.stdout_terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.force_no_tty();
    }
    if ui.stdout_color {
        table.enforce_styling();
    }
    table.set_header(columns.iter().map(|c| {
        let cell = Cell::new(c.heading);
        if ui.stdout_color {
            cell.add_attribute(Attribute::Bold)
        } else {
            cell
        }
    }));
    for row in rows {
        table.add_row(row.into_iter().map(|value| {
            let cell = Cell::new(&value.text);
            match value.tone {
                _ if !ui.stdout_color => cell,
                Tone::Plain => cell,
                Tone::Good => cell.fg(Color::Green),
                Tone::Bad => cell.fg(Color::Red),
                Tone::Doubt => cell.fg(Color::Yellow),
            }
        }));
    }
    for (index, column) in columns.iter().enumerate() {
        if let Some(shown) = table.column_mut(index) {
            shown.set_padding((0, 2));
            if column.right {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}
