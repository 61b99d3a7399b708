//! Questions on a terminal: a line, yes or no, one of many, some of many.
//!
//! While a question is open the terminal is read key by key, so that Ctrl-C is a
//! key like any other: whatever is pressed, the terminal is afterwards as it was.
//! The cursor is never hidden. Nothing here is for a program to answer: whoever
//! asks has looked that there is a person.

use std::collections::BTreeSet;
use std::io;

use dialoguer::console::{Key, Term, truncate_str};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::output::text::{clean, grouped};

/// Choices on the screen at once.
const ROWS_SHOWN: usize = 10;

/// A question that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Ctrl-C.
    Interrupted,
    /// Esc, or the terminal went away.
    Left,
}

impl Stopped {
    /// The error of a command that ends with it. `nothing` says what was not done,
    /// such as `nothing was changed`.
    pub(super) fn into_error(self, nothing: &str) -> CliError {
        match self {
            Self::Interrupted => {
                CliError::new(Exit::Interrupted, format!("interrupted; {nothing}"))
            }
            Self::Left => CliError::new(Exit::Refused, format!("declined; {nothing}")),
        }
    }
}

impl From<io::Error> for Stopped {
    fn from(_: io::Error) -> Self {
        Self::Left
    }
}

/// The terminal, read key by key until this is dropped.
struct Keys {
    term: Term,
    before: Termios,
}

impl Keys {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut keys = before.clone();
        keys.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN);
        tcsetattr(io::stdin(), OptionalActions::Drain, &keys)?;
        Ok(Self {
            term: Term::stderr(),
            before,
        })
    }

    /// The next key. What ends every question ends it here.
    fn next(&self) -> Result<Key, Stopped> {
        match self.term.read_key_raw()? {
            Key::CtrlC => Err(Stopped::Interrupted),
            Key::Escape | Key::Char('\u{4}') => Err(Stopped::Left),
            key => Ok(key),
        }
    }

    fn width(&self) -> usize {
        usize::from(self.term.size().1).saturating_sub(1).max(20)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing given back.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}

/// Asks for yes or no; no is what Enter says.
pub(super) fn yes(question: &str) -> Result<bool, Stopped> {
    let keys = Keys::begin()?;
    keys.term
        .write_str(&format!("{} [y/N] ", clean(question)))?;
    let answer = loop {
        match keys.next() {
            Ok(Key::Char('y' | 'Y')) => break true,
            Ok(Key::Char('n' | 'N') | Key::Enter) => break false,
            Ok(_) => {}
            Err(stopped) => {
                keys.term.write_line("")?;
                return Err(stopped);
            }
        }
    };
    keys.term.clear_line()?;
    let said = if answer { "yes" } else { "no" };
    keys.term
        .write_line(&format!("{} {said}", clean(question)))?;
    Ok(answer)
}

/// Asks for a line of text until `check` finds nothing wrong with it; what is wrong
/// is said. Blanks around it are cut off.
pub(super) fn line(
    question: &str,
    check: &dyn Fn(&str) -> Result<(), String>,
) -> Result<String, Stopped> {
    let keys = Keys::begin()?;
    let mut text = String::new();
    loop {
        keys.term.clear_line()?;
        let shown = format!("{}: {text}", clean(question));
        // The end of a long line is where the person types.
        let cut = shown.chars().count().saturating_sub(keys.width());
        let shown: String = shown.chars().skip(cut).collect();
        keys.term.write_str(&shown)?;
        match keys.next() {
            Ok(Key::Enter) => {
                keys.term.write_line("")?;
                match check(text.trim()) {
                    Ok(()) => return Ok(text.trim().to_owned()),
                    Err(reason) => keys.term.write_line(&clean(&reason))?,
                }
            }
            Ok(key) => edit(&mut text, &key),
            Err(stopped) => {
                keys.term.write_line("")?;
                return Err(stopped);
            }
        }
    }
}

/// What a key does to a text that is being typed.
fn edit(text: &mut String, key: &Key) {
    match key {
        Key::Backspace => {
            text.pop();
        }
        // Ctrl-U, as in a shell.
        Key::Char('\u{15}') => text.clear(),
        Key::Char(char) if !clean(&char.to_string()).is_empty() => text.push(*char),
        _ => {}
    }
}

/// Has one of many chosen. `search` finds those for a text, best first, at most as
/// many as a person would look through; it is asked anew whenever the text changes.
pub(super) fn one_of<T>(
    question: &str,
    mut search: impl FnMut(&str) -> Result<Vec<(T, String)>, CliError>,
    nothing: &str,
) -> Result<T, CliError> {
    let stopped = |stopped: Stopped| stopped.into_error(nothing);
    let keys = Keys::begin().map_err(|error| stopped(error.into()))?;
    let mut list = List::default();
    let mut found = search("")?;
    loop {
        let labels: Vec<String> = found.iter().map(|(_, label)| label.clone()).collect();
        list.stay_within(labels.len());
        let foot = if labels.is_empty() {
            "nothing is found; backspace takes letters back, esc leaves"
        } else {
            "type to search, arrows move, enter takes it, esc leaves"
        };
        let drawn = list
            .draw(&keys, question, &labels, foot)
            .map_err(|error| stopped(error.into()))?;
        let key = keys.next();
        keys.term
            .clear_last_lines(drawn)
            .map_err(|error| stopped(error.into()))?;
        match key.map_err(stopped)? {
            Key::Enter => {
                if list.at < found.len() {
                    let (taken, label) = found.swap_remove(list.at);
                    let _ = keys.term.write_line(&format!(
                        "{}: {}",
                        clean(question),
                        clean(label.trim_end())
                    ));
                    return Ok(taken);
                }
            }
            key => {
                if list.press(&key) {
                    found = search(&list.filter)?;
                }
            }
        }
    }
}

/// Has some of many ticked; their places are returned, in order. `sum` says what the
/// ticked ones come to.
pub(super) fn some_of(
    question: &str,
    labels: &[String],
    sum: impl Fn(&BTreeSet<usize>) -> String,
) -> Result<BTreeSet<usize>, Stopped> {
    let keys = Keys::begin()?;
    let mut list = List::default();
    let mut ticked = BTreeSet::new();
    let mut shown: Vec<usize> = (0..labels.len()).collect();
    loop {
        list.stay_within(shown.len());
        let rows: Vec<String> = shown
            .iter()
            .map(|place| {
                let mark = if ticked.contains(place) { "[x]" } else { "[ ]" };
                format!("{mark} {}", labels.get(*place).map_or("", String::as_str))
            })
            .collect();
        let foot = format!(
            "{}; space ticks, right all, left none, type to search, enter goes on, esc leaves",
            sum(&ticked)
        );
        let drawn = list.draw(&keys, question, &rows, &foot)?;
        let key = keys.next();
        keys.term.clear_last_lines(drawn)?;
        match key? {
            Key::Enter => {
                keys.term
                    .write_line(&format!("{}: {}", clean(question), sum(&ticked)))?;
                return Ok(ticked);
            }
            Key::Char(' ') => {
                if let Some(place) = shown.get(list.at)
                    && !ticked.remove(place)
                {
                    ticked.insert(*place);
                }
            }
            Key::ArrowRight => ticked.extend(&shown),
            Key::ArrowLeft => ticked.retain(|place| !shown.contains(place)),
            key => {
                if list.press(&key) {
                    shown = matching(labels, &list.filter);
                }
            }
        }
    }
}

/// The places of the labels in which the text stands, without regard to case.
fn matching(labels: &[String], text: &str) -> Vec<usize> {
    let text = text.to_lowercase();
    let has = |(_, label): &(usize, &String)| label.to_lowercase().contains(&text);
    let places = labels.iter().enumerate().filter(has);
    places.map(|(place, _)| place).collect()
}

/// A list that is searched and moved through.
#[derive(Debug, Default)]
struct List {
    /// What was typed.
    filter: String,
    /// The row that the next key is about.
    at: usize,
}

impl List {
    fn stay_within(&mut self, rows: usize) {
        self.at = self.at.min(rows.saturating_sub(1));
    }

    /// Moves, or changes the text; returns whether that changed.
    fn press(&mut self, key: &Key) -> bool {
        match key {
            Key::ArrowUp => self.at = self.at.saturating_sub(1),
            Key::ArrowDown => self.at = self.at.saturating_add(1),
            Key::PageUp => self.at = self.at.saturating_sub(ROWS_SHOWN),
            Key::PageDown => self.at = self.at.saturating_add(ROWS_SHOWN),
            Key::Home => self.at = 0,
            Key::End => self.at = usize::MAX,
            key => {
                let before = self.filter.clone();
                edit(&mut self.filter, key);
                if before != self.filter {
                    self.at = 0;
                    return true;
                }
            }
        }
        false
    }

    /// Draws the question, the page of rows that the current one is on, and what the
    /// keys do. Returns how many lines that took.
    fn draw(&self, keys: &Keys, question: &str, rows: &[String], foot: &str) -> io::Result<usize> {
        let first = self.at / ROWS_SHOWN * ROWS_SHOWN;
        let mut lines = vec![format!("{}: {}", clean(question), self.filter)];
        let page = rows.iter().enumerate().skip(first).take(ROWS_SHOWN);
        lines.extend(page.map(|(place, row)| {
            let pointer = if place == self.at { ">" } else { " " };
            format!("{pointer} {}", clean(row))
        }));
        let place = if rows.len() > ROWS_SHOWN {
            format!(
                "{} of {}; ",
                grouped(self.at.saturating_add(1) as u64),
                grouped(rows.len() as u64)
            )
        } else {
            String::new()
        };
        lines.push(format!("  {place}{foot}"));
        for line in &lines {
            // A line that the terminal wraps would be two when it is taken back.
            let cut = truncate_str(line, keys.width(), "…");
            keys.term.write_line(&cut)?;
        }
        Ok(lines.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_in_any_case() {
        let labels = ["Ann  10.00", "BEN  20.00", "Zoë  30.00"].map(str::to_owned);
        assert_eq!(matching(&labels, ""), [0, 1, 2]);
        assert_eq!(matching(&labels, "ben"), [1]);
        assert_eq!(matching(&labels, "ZOË"), [2]);
        assert_eq!(matching(&labels, "0.00"), [0, 1, 2]);
        assert_eq!(matching(&labels, "cyd"), [0; 0]);
    }

    #[test]
    fn a_list_never_points_behind_its_end() {
        let mut list = List::default();
        for key in [Key::End, Key::ArrowDown, Key::PageDown] {
            list.press(&key);
            list.stay_within(12);
            assert_eq!(list.at, 11);
        }
        assert!(!list.press(&Key::PageUp));
        assert_eq!(list.at, 1);
        assert!(list.press(&Key::Char('x')));
        assert_eq!(list.at, 0);
        assert!(!list.press(&Key::ArrowUp));
        assert!(list.press(&Key::Backspace));
        assert!(!list.press(&Key::Backspace), "there is nothing left");
        list.stay_within(0);
        assert_eq!(list.at, 0);
    }

    #[test]
    fn no_key_types_what_a_terminal_would_obey() {
        let mut text = String::new();
        for char in ['a', '\u{1b}', '\u{7}', '\u{202e}', ' ', 'é'] {
            edit(&mut text, &Key::Char(char));
        }
        assert_eq!(text, "a é");
        edit(&mut text, &Key::Char('\u{15}'));
        assert_eq!(text, "");
    }
}
