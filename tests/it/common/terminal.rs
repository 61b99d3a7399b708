//! A terminal with a person at it: types answers to questions, and remembers what the screen
//! showed.
//!
//! The pseudo-terminal is that of `script` (util-linux, on every Debian). The screen understands
//! what a terminal gets to see from prompts and progress bars, and refuses the rest rather than
//! showing something else than a terminal would.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::termios::{LocalModes, tcgetattr};

/// Height of every terminal. The screen itself does not scroll: what left it at the top is still
/// shown.
pub(super) const ROWS: u16 = 50;

/// What the program reads from its keyboard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// Whole lines, as the terminal hands them out and shows them.
    Lines,
    /// Key by key, shown by the program itself.
    Keys,
}

/// Runs `script`, which runs the program under test; see
/// [`TestEnv::run_in_terminal`](super::env::TestEnv::run_in_terminal). `asked` is told each question
/// before it is answered.
pub(super) fn converse(
    mut script: Command,
    cols: u16,
    reads: Reads,
    dialogue: &[(&str, &str)],
    asked: &mut dyn FnMut(&str),
    limit: Duration,
) -> Conversation {
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = Ended(script.spawn().expect("`script` of util-linux starts"));
    let mut keyboard = process.0.stdin.take().expect("standard input is piped");
    let mut output = Output {
        chunks: chunks_of(process.0.stdout.take().expect("standard output is piped")),
        bytes: Vec::new(),
        deadline: Instant::now() + limit,
    };
    let mut seen = 0;
    for (question, answer) in dialogue {
        seen = loop {
            let plain = plain_text(&output.text());
            if let Some(found) = plain[seen..].find(question) {
                break seen + found + question.len();
            }
            let more = output.read();
            assert!(
                more,
                "the program ended without showing {question:?}; the screen:\n{}",
                output.screen(cols)
            );
        };
        asked(question);
        if reads == Reads::Keys {
            wait_for_reading_of_keys(process.0.id(), output.deadline);
        }
        keyboard
            .write_all(answer.as_bytes())
            .expect("the terminal takes what is typed");
    }
    while output.read() {}
    let status = process.0.wait().expect("the program can be waited for");
    // Only now: an end of input would be typed as Ctrl-D.
    drop(keyboard);
    Conversation {
        status,
        screen: output.screen(cols),
        coloured: output.text().contains("\x1b[1m") || output.text().contains("\x1b[3"),
        cursor_hidden: output.text().rfind("\x1b[?25l") > output.text().rfind("\x1b[?25h"),
    }
}

/// What is typed a moment too early is shown by the terminal instead of the program, and Ctrl-C
/// would be a signal instead of a key.
fn wait_for_reading_of_keys(script: u32, deadline: Instant) {
    let children = format!("/proc/{script}/task/{script}/children");
    let program = fs::read_to_string(children).expect("`script` runs a program");
    let terminal = format!("/proc/{}/fd/0", program.trim());
    // It must not become the terminal of the tests themselves.
    let flags = OFlags::NOCTTY.bits().cast_signed();
    let open = || {
        OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(&terminal)
    };
    // A program that has ended meanwhile reads nothing any more.
    while let Ok(terminal) = open() {
        let modes = tcgetattr(&terminal).expect("it is a terminal").local_modes;
        if !modes.contains(LocalModes::ICANON) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "the program asked, and does not read the answer"
        );
        thread::yield_now();
    }
}

/// How a conversation ended.
pub(super) struct Conversation {
    pub(super) status: ExitStatus,
    /// What was on screen, without its colours.
    pub(super) screen: String,
    /// Some of it was bold or coloured.
    pub(super) coloured: bool,
    /// The cursor was hidden and not shown again.
    pub(super) cursor_hidden: bool,
}

/// A process that does not outlive a failing test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn chunks_of(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

struct Output {
    chunks: Receiver<Vec<u8>>,
    bytes: Vec<u8>,
    deadline: Instant,
}

impl Output {
    /// Waits for more; false when the program has closed the terminal.
    fn read(&mut self) -> bool {
        match self
            .chunks
            .recv_timeout(self.deadline.saturating_duration_since(Instant::now()))
        {
            Ok(chunk) => {
                self.bytes.extend(chunk);
                true
            }
            Err(RecvTimeoutError::Disconnected) => false,
            Err(RecvTimeoutError::Timeout) => panic!(
                "the program hangs; it showed:\n{}",
                plain_text(&self.text())
            ),
        }
    }

    /// What has come so far, without the part of a character that may be at the end.
    fn text(&self) -> String {
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => text.to_owned(),
            Err(error) if error.error_len().is_none() => {
                String::from_utf8_lossy(&self.bytes[..error.valid_up_to()]).into_owned()
            }
            Err(error) => panic!("the program wrote something else than UTF-8: {error}"),
        }
    }

    fn screen(&self, cols: u16) -> String {
        let mut screen = Screen::new(cols);
        screen.show(&self.text());
        screen.text()
    }
}

/// One thing that a terminal acts on.
enum Piece<'a> {
    Char(char),
    /// A control sequence: its parameters and the letter that ends it.
    Control(&'a str, char),
}

/// Cuts `text` into pieces. A sequence that has not come to its end yet is left out.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some(sequence) = rest.strip_prefix("\x1b[") {
            let Some(end) = sequence.find(|c: char| ('@'..='~').contains(&c)) else {
                break;
            };
            pieces.push(Piece::Control(
                &sequence[..end],
                char::from(sequence.as_bytes()[end]),
            ));
            rest = &sequence[end + 1..];
        } else if next == '\x1b' {
            assert!(
                rest.len() == 1,
                "the screen does not know {:?}",
                &rest[..rest.len().min(8)]
            );
            break;
        } else {
            pieces.push(Piece::Char(next));
            rest = &rest[next.len_utf8()..];
        }
    }
    pieces
}

/// `text` without colours and movements, in the order in which it was written.
fn plain_text(text: &str) -> String {
    let chars = pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Char(char) => Some(char),
        Piece::Control(..) => None,
    });
    chars.collect()
}

struct Screen {
    cols: usize,
    rows: Vec<Vec<char>>,
    row: usize,
    col: usize,
}

impl Screen {
    fn new(cols: u16) -> Self {
        Self {
            cols: cols.into(),
            rows: vec![Vec::new()],
            row: 0,
            col: 0,
        }
    }

    fn show(&mut self, text: &str) {
        for piece in pieces(text) {
            match piece {
                Piece::Char(char) => self.char(char),
                Piece::Control(parameters, letter) => self.control(parameters, letter),
            }
        }
    }

    fn char(&mut self, char: char) {
        match char {
            '\r' => self.col = 0,
            '\n' => self.go_to_row(self.row + 1),
            '\x08' => self.col = self.col.saturating_sub(1),
            '\t' => self.col = ((self.col / 8 + 1) * 8).min(self.cols - 1),
            '\x07' => {}
            char if char.is_control() => panic!("the screen does not know {char:?}"),
            char => self.put(char),
        }
    }

    fn put(&mut self, char: char) {
        if self.col == self.cols {
            self.go_to_row(self.row + 1);
            self.col = 0;
        }
        let row = &mut self.rows[self.row];
        if row.len() <= self.col {
            row.resize(self.col + 1, ' ');
        }
        row[self.col] = char;
        self.col += 1;
    }

    fn go_to_row(&mut self, row: usize) {
        self.row = row;
        if self.rows.len() <= row {
            self.rows.resize(row + 1, Vec::new());
        }
    }

    fn control(&mut self, parameters: &str, letter: char) {
        // Zero and nothing both mean one, where it is a distance.
        let distance = parameters.parse::<usize>().unwrap_or(1).max(1);
        match (letter, parameters) {
            ('A', _) => self.row = self.row.saturating_sub(distance),
            ('B', _) => self.go_to_row(self.row + distance),
            ('C', _) => self.col = (self.col + distance).min(self.cols - 1),
            ('D', _) => self.col = self.col.saturating_sub(distance),
            ('E', _) => (self.row, self.col) = (self.row + distance, 0),
            ('F', _) => (self.row, self.col) = (self.row.saturating_sub(distance), 0),
            ('G', _) => self.col = (distance - 1).min(self.cols - 1),
            ('K', "" | "0") => self.rows[self.row].truncate(self.col),
            ('K', "2") => self.rows[self.row].clear(),
            ('J', "" | "0") => {
                self.rows[self.row].truncate(self.col);
                self.rows.truncate(self.row + 1);
            }
            // Colours; the cursor shown or hidden; pasted text marked.
            ('m', _) | ('h' | 'l', "?25" | "?2004") => {}
            _ => panic!("the screen does not know the sequence ESC [ {parameters} {letter}"),
        }
        self.go_to_row(self.row);
    }

    /// All lines down to the last that is not empty, without the blanks at their ends.
    fn text(&self) -> String {
        let lines = self
            .rows
            .iter()
            .map(|row| row.iter().collect::<String>().trim_end().to_owned());
        let text = lines.collect::<Vec<_>>().join("\n");
        match text.trim_end_matches('\n') {
            "" => String::new(),
            text => format!("{text}\n"),
        }
    }
}

mod tests {
    use super::*;

    fn screen(text: &str) -> String {
        let mut screen = Screen::new(10);
        screen.show(text);
        screen.text()
    }

    #[test]
    fn a_line_is_written_over() {
        assert_eq!(screen("10 %\r100 %\r\ndone  \r\n\r\n"), "100 %\ndone\n");
        assert_eq!(screen("sending 3\r\x1b[2Kdone"), "done\n");
        assert_eq!(screen("sending 3\r\x1b[4C\x1b[Kt"), "sendt\n");
    }

    #[test]
    fn a_prompt_is_replaced_by_its_answer() {
        assert_eq!(
            screen("a\r\nPay? [y/n]\r\nx\x1b[1A\r\x1b[JPay? \x1b[32myes\x1b[0m\r\n"),
            "a\nPay? yes\n"
        );
    }

    #[test]
    fn a_line_wraps_at_the_last_column() {
        assert_eq!(screen("0123456789ab\r\n"), "0123456789\nab\n");
        assert_eq!(screen("0123456789\r\nab\r\n"), "0123456789\nab\n");
    }

    #[test]
    fn text_is_plain_in_the_order_it_came() {
        assert_eq!(plain_text("\x1b[1mTotal\x1b[0m? \x1b[3"), "Total? ");
    }

    #[test]
    #[should_panic(expected = "the screen does not know the sequence ESC [ 5 Z")]
    fn an_unknown_sequence_is_refused() {
        screen("\x1b[5Z");
    }
}
