//! The two streams and what they are connected to.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use serde_json::{Map, Value, json};

use super::log::{Level, Log, in_words, without_secrets};
use super::text::clean;

/// What stdin, stdout and stderr are, and how much to say.
#[derive(Debug, Clone)]
pub struct Ui {
    /// stdout is a terminal.
    pub stdout_terminal: bool,
    /// Characters in a line of the terminal that stdout is; none when it is piped.
    pub width: Option<u16>,
    /// Characters in a line of the terminal that stderr is; none when it is piped.
    pub stderr_width: Option<u16>,
    /// A person can be asked: stdin and stderr are terminals.
    pub interactive: bool,
    /// stderr is a terminal: bars may be drawn.
    pub stderr_terminal: bool,
    /// stdout may be coloured.
    pub stdout_color: bool,
    /// stderr may be coloured.
    pub stderr_color: bool,
    /// No narration.
    pub quiet: bool,
    /// How narration is written, and how much of it.
    pub log: Log,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Ui {
    /// Looks at the process's streams. `plain` is what `NO_COLOR` or `TERM=dumb` ask for.
    pub fn detect(color: ColorChoice, plain: bool, quiet: bool, log: Log) -> Self {
        let stdout_terminal = io::stdout().is_terminal();
        let stderr_terminal = io::stderr().is_terminal();
        let colored = |terminal: bool| match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !plain,
        };
        Self {
            stdout_terminal,
            width: stdout_terminal.then(|| terminal_width(io::stdout())),
            stderr_width: stderr_terminal.then(|| terminal_width(io::stderr())),
            interactive: Self::is_interactive(),
            stderr_terminal,
            stdout_color: colored(stdout_terminal),
            stderr_color: colored(stderr_terminal),
            quiet,
            log,
        }
    }

    /// Whether a person can be asked.
    pub fn is_interactive() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// The same with stderr in stdout's place, to render a table for it. Without
    /// colour, because [`line`](Self::line) lets no escape sequence through.
    #[must_use]
    pub fn for_stderr(&self) -> Self {
        Self {
            stdout_terminal: self.stderr_terminal,
            width: self.stderr_width,
            stdout_color: false,
            ..self.clone()
        }
    }

    /// Writes the answer to stdout.
    pub fn answer(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// stdout, for an answer that is written piece by piece.
    pub fn out(&self) -> io::BufWriter<io::StdoutLock<'static>> {
        io::BufWriter::new(io::stdout().lock())
    }

    /// Narration: what is going on. Silenced by `--quiet`.
    pub fn note(&self, text: &str) {
        if self.quiet {
        } else if self.log.is_json() {
            self.tell(Level::Info, text, Map::new());
        } else {
            write_line(&clean(text));
        }
    }

    /// Something a person should know; not silenced.
    pub fn warn(&self, text: &str) {
        self.tell(Level::Warning, text, Map::new());
    }

    /// An error with its causes and hints.
    pub fn error(&self, message: &str, causes: &[String], hints: &[String]) {
        if self.log.is_json() {
            let said = [("causes", causes), ("hints", hints)];
            let fields = said
                .into_iter()
                .filter(|(_, words)| !words.is_empty())
                .map(|(name, words)| (name.to_owned(), json!(words)));
            return self.tell(Level::Error, message, fields.collect());
        }
        self.tell(Level::Error, message, Map::new());
        for (number, cause) in causes.iter().enumerate() {
            write_line(&format!("  {}: {}", number + 1, clean(cause)));
        }
        for hint in hints {
            self.hint(hint);
        }
    }

    /// What to do about something that was said before.
    pub fn hint(&self, hint: &str) {
        if self.log.is_json() {
            let mut fields = Map::new();
            fields.insert("hints".to_owned(), json!([hint]));
            self.tell(Level::Info, hint, fields);
        } else {
            write_line(&format!("{} {}", self.paint("36;1", "hint:"), clean(hint)));
        }
    }

    /// A text on stderr, each of its lines cleaned: a table keeps its line breaks,
    /// and nothing from outside reaches the terminal as a command.
    pub fn line(&self, text: &str) {
        if self.log.is_json() {
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                self.tell(Level::Info, line.trim(), Map::new());
            }
        } else {
            write_line(&cleaned_lines(text));
        }
    }

    /// A line of the log, with what machines read of it. For people it is one line too.
    pub fn tell(&self, level: Level, message: &str, fields: Map<String, Value>) {
        if self.log.is_json() {
            write_line(&self.log.json(level, message, fields));
            return;
        }
        let color = match level {
            Level::Error => "31;1",
            Level::Warning => "33;1",
            Level::Info | Level::Debug | Level::Trace => "2",
        };
        let word = format!("{}:", level.as_str());
        let line = format!("{message} {}", in_words(&fields));
        let line = format!("{} {}", self.paint(color, &word), clean(line.trim_end()));
        write_line(&line);
    }

    /// A bug: what gave up, and where. Nothing of it is anybody's fault but ours.
    pub fn panicked(&self, panic: &std::panic::PanicHookInfo<'_>) {
        let said = panic.payload_as_str().unwrap_or("it gave no reason");
        let place = panic.location().map_or_else(String::new, |place| {
            format!(" (at {}:{})", place.file(), place.line())
        });
        let message = format!("a bug in payouts: {said}{place}");
        let hint = "report it, with this output; what was in flight is resolved by the next `payouts process`";
        if self.log.is_json() {
            let mut fields = Map::new();
            fields.insert("event".to_owned(), json!("panic"));
            fields.insert("hints".to_owned(), json!([hint]));
            self.tell(Level::Error, &message, fields);
        } else {
            self.error(&message, &[], &[hint.to_owned()]);
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.stderr_color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The one place that writes to stderr. When nobody reads it any more, there is
/// nobody to tell.
fn write_line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", without_secrets(text));
}

fn cleaned_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(clean).collect();
    lines.join("\n")
}

/// Characters in a line of this terminal; of one that does not say, the usual 80.
fn terminal_width(terminal: impl AsFd) -> u16 {
    match rustix::termios::tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 => size.ws_col,
        _ => 80,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_on_stderr_keeps_its_lines_and_no_escape_sequence() {
        assert_eq!(
            cleaned_lines("stopped: \x1b[2Jbalance\u{202e}\nId  Amount"),
            "stopped: [2Jbalance\nId  Amount"
        );
    }

    #[test]
    fn a_table_for_stderr_has_its_width_and_not_that_of_stdout() {
        let ui = Ui {
            stdout_terminal: true,
            width: Some(40),
            stderr_width: None,
            interactive: false,
            stderr_terminal: false,
            stdout_color: true,
            stderr_color: false,
            quiet: false,
            log: Log::default(),
        };
        let stderr = ui.for_stderr();
        assert_eq!(
            (stderr.width, stderr.stdout_terminal, stderr.stdout_color),
            (None, false, false)
        );
    }
}
