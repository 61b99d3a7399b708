//! The log: every line on stderr that is neither a question nor a bar, for people
//! or, with `--log-format json`, one JSON object a line for machines.
//!
//! Two ways lead here and none past it: what commands say through
//! [`Ui`], and what the layers below tell as [`tracing`] events, which
//! [`listen`] takes in. Nobody listens unless somebody asked, and an event that nobody
//! listens to costs one comparison. What leaves has no control characters, and nothing
//! that looks like a secret.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;

use crate::model::time::Clock;
use crate::output::rows::harmless;
use crate::output::text::clean;
use crate::output::ui::Ui;

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Words for people.
    #[default]
    Text,
    /// One JSON object a line; `payouts help json log` is its schema.
    Json,
}

impl LogFormat {
    /// The word that asks for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// How much a line of the log matters, most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It did not work.
    Error,
    /// A person should know.
    Warning,
    /// What happened.
    Info,
    /// Each request and each decision: `-v`.
    Debug,
    /// How it came to them: `-vv`.
    Trace,
}

impl Level {
    /// The word in both formats.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    fn of(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG => Self::Debug,
            _ => Self::Trace,
        }
    }
}

/// The fields of a line, each with its JSON type and what it says. `time`, `level`
/// and `message` are on every line, the others where they mean something. A name
/// never changes its meaning; further ones may come.
pub const FIELDS: &[(&str, &str, &str)] = &[
    ("time", "string", "When it was said; RFC 3339 in UTC."),
    (
        "level",
        "string",
        "`error`, `warning`, `info`, `debug` (with -v) or `trace` (with -vv).",
    ),
    (
        "message",
        "string",
        "What happened, for people; its words may change.",
    ),
    (
        "event",
        "string",
        "What happened, for machines: `run_begun`, `run_ended`, `claimed`, `taken_over`, `skipped`, `request`, `requested`, `settled`, `adopted`, `panic`.",
    ),
    (
        "run_id",
        "string",
        "The run that said it, from its begin to its end.",
    ),
    ("command", "string", "Of a run."),
    ("actor", "string", "Who began the run."),
    ("payout_id", "string", "The payout it is about."),
    ("attempt", "integer", "The number of the payout's attempt."),
    (
        "idempotency_key",
        "string",
        "Under which the attempt is sent.",
    ),
    ("amount_cents", "integer", "Minor units."),
    (
        "currency",
        "string",
        "Of the amount; three lowercase letters.",
    ),
    ("destination", "string", "`acct_…` that is paid."),
    (
        "outcome",
        "string",
        "Of a settled attempt: `paid`, `declined`, `not_sent` or `unknown`.",
    ),
    ("transfer_id", "string", "`tr_…`."),
    ("reason", "string", "Why, for people."),
    ("code", "string", "Stripe's code, or ours."),
    ("method", "string", "Of a request."),
    (
        "path",
        "string",
        "Of a request, without what is asked for behind it.",
    ),
    (
        "query",
        "string",
        "What is asked for behind the path (with -vv).",
    ),
    (
        "http_status",
        "integer",
        "Of an answer; missing where none came.",
    ),
    ("request_id", "string", "`req_…`: Stripe's handle."),
    ("replayed", "boolean", "The answer was Stripe's stored one."),
    ("millis", "integer", "How long a request took."),
    ("exit_code", "integer", "What a run ended with."),
    ("causes", "array", "Of an error, outermost first."),
    ("hints", "array", "What to do about an error or a warning."),
];

/// The fields that every line has.
pub const ALWAYS: [&str; 3] = ["time", "level", "message"];

/// Where lines of the log go, and how.
#[derive(Debug, Clone)]
pub struct Log {
    /// How a line is written.
    pub format: LogFormat,
    /// How often `-v` was given.
    pub verbose: u8,
    /// What time it is.
    pub clock: Clock,
    /// The run that is going on, which every line of JSON names.
    run: Arc<Mutex<Option<String>>>,
}

impl Default for Log {
    /// For people, and no more than they need.
    fn default() -> Self {
        Self::new(LogFormat::Text, 0, Clock::system())
    }
}

impl Log {
    /// A log with this clock.
    pub fn new(format: LogFormat, verbose: u8, clock: Clock) -> Self {
        Self {
            format,
            verbose,
            clock,
            run: Arc::default(),
        }
    }

    /// Whether lines are for machines.
    pub fn is_json(&self) -> bool {
        self.format == LogFormat::Json
    }

    /// Whether anything is said at length, so that no bar should be drawn over it.
    pub fn is_busy(&self) -> bool {
        self.is_json() || self.verbose > 0
    }

    /// The least that events must matter to be taken in. People are told of runs and
    /// requests when they ask; machines take in what happens unless told not to.
    fn threshold(&self, quiet: bool) -> LevelFilter {
        match (self.format, self.verbose) {
            (_, 2..) => LevelFilter::TRACE,
            (_, 1) => LevelFilter::DEBUG,
            (LogFormat::Json, 0) if !quiet => LevelFilter::INFO,
            (_, 0) => LevelFilter::WARN,
        }
    }

    /// A line of JSON.
    pub(super) fn json(&self, level: Level, message: &str, fields: Map<String, Value>) -> String {
        let mut line = Map::new();
        line.insert("time".to_owned(), json!(self.clock.now().to_string()));
        line.insert("level".to_owned(), json!(level.as_str()));
        line.insert("message".to_owned(), json!(message));
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = run.as_deref().filter(|_| !fields.contains_key("run_id")) {
            line.insert("run_id".to_owned(), json!(run));
        }
        line.extend(fields);
        let mut line = Value::Object(line);
        disarm(&mut line);
        harmless(&line.to_string()).into_owned()
    }

    /// Remembers which run is going on.
    fn follow(&self, fields: &Map<String, Value>) {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        match fields.get("event").and_then(Value::as_str) {
            Some("run_begun") => {
                *run = fields
                    .get("run_id")
                    .and_then(Value::as_str)
                    .map(str::to_owned);
            }
            Some("run_ended") => *run = None,
            _ => {}
        }
    }
}

/// Takes control characters and secrets out of every text in a value.
fn disarm(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(clean) = clean(text) {
                *text = clean;
            }
            if let Cow::Owned(hidden) = without_secrets(text) {
                *text = hidden;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(disarm),
        Value::Object(fields) => fields.values_mut().for_each(disarm),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The beginnings of keys. What follows is never said.
const KEYS: [&str; 5] = ["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"];

/// A text with `…` in place of what looks like a secret: Stripe's keys, what signs
/// events, what stands behind `Bearer` or `Basic`, and passwords in URLs. Nothing here
/// writes one; this is for the day when something does.
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for key in KEYS.iter().chain(&["Bearer ", "Basic "]) {
        let mut from = 0;
        while let Some(at) = text[from..].find(key).map(|at| from + at + key.len()) {
            let secret: usize = text[at..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "_-+/=.".contains(*c))
                .map(char::len_utf8)
                .sum();
            // `Basic needs` is English; nothing that opens a door is so short.
            if secret >= 8 || secret > 0 && key.ends_with('_') {
                text.to_mut().replace_range(at..at + secret, "…");
            }
            from = at;
        }
    }
    let mut from = 0;
    while let Some(at) = text[from..].find("://").map(|at| from + at + 3) {
        let end = text[at..]
            .find(|c: char| c.is_whitespace() || "/?#\"'<>".contains(c))
            .map_or(text.len(), |end| at + end);
        if let Some(host) = text[at..end].rfind('@').map(|host| at + host)
            && let Some(password) = text[at..host].find(':').map(|colon| at + colon + 1)
        {
            text.to_mut().replace_range(password..host, "…");
        }
        from = at;
    }
    text
}

/// Fields for people: `payout_id=cp1 reason="no such account"`.
pub(super) fn in_words(fields: &Map<String, Value>) -> String {
    let words =
        fields
            .iter()
            .filter(|(name, _)| *name != "event")
            .map(|(name, value)| match value {
                Value::String(text) if is_one_word(text) => format!("{name}={text}"),
                value => format!("{name}={value}"),
            });
    words.collect::<Vec<_>>().join(" ")
}

fn is_one_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '"')
}

/// Lets the layers below speak through `ui`, for as long as the process lives.
pub fn listen(ui: &Ui) {
    let threshold = ui.log.threshold(ui.quiet);
    // Only one can listen; a second, in a test that runs commands in one process, is not needed.
    let _ = tracing::subscriber::set_global_default(Listener {
        ui: ui.clone(),
        threshold,
    });
}

/// Takes in the events of this program, and no spans: there are none.
struct Listener {
    ui: Ui,
    threshold: LevelFilter,
}

impl tracing::Subscriber for Listener {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        let ours = metadata.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
        !metadata.is_span() && ours && *metadata.level() <= self.threshold
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.threshold)
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut told = Told::default();
        event.record(&mut told);
        self.ui.log.follow(&told.fields);
        let level = Level::of(*event.metadata().level());
        self.ui.tell(level, &told.message, told.fields);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// What an event says.
#[derive(Default)]
struct Told {
    message: String,
    fields: Map<String, Value>,
}

impl Told {
    fn take(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Told {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.take(field, text.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_looks_like_a_secret_leaves() {
        for (said, told) in [
            (
                "key sk_live_51Habc_DEF is refused",
                "key sk_live_… is refused",
            ),
            (
                "rk_test_a, sk_test_b and rk_live_c",
                "rk_test_…, sk_test_… and rk_live_…",
            ),
            (
                "Stripe said sk_test_******6789",
                "Stripe said sk_test_******6789",
            ),
            ("signed with whsec_c2VjcmV0/+=.", "signed with whsec_…"),
            ("an sk_… or rk_… key", "an sk_… or rk_… key"),
            (
                "Authorization: Bearer abcdefgh12345678",
                "Authorization: Bearer …",
            ),
            ("Basic rules hold", "Basic rules hold"),
            ("postgres://ann:p@ss:word@db/x?y", "postgres://ann:…@db/x?y"),
            (
                "smtps://u:s3cret@mail:465 and https://a@b",
                "smtps://u:…@mail:465 and https://a@b",
            ),
            ("é://ü:ö@ß", "é://ü:…@ß"),
        ] {
            assert_eq!(without_secrets(said), told);
            // What was hidden stays hidden, and nothing more is.
            assert_eq!(without_secrets(told), told);
        }
    }

    #[test]
    fn a_line_for_machines_is_one_object_without_control_characters() {
        let clock = Clock::manual("2026-10-05T10:00:00Z".parse().unwrap());
        let log = Log::new(LogFormat::Json, 0, clock);
        let mut fields = Map::new();
        fields.insert("run_id".to_owned(), json!("cr1"));
        fields.insert("event".to_owned(), json!("run_begun"));
        log.follow(&fields);
        fields.clear();
        fields.insert("hints".to_owned(), json!(["a\x1b[2J\nsk_test_abc", 1]));
        let line = log.json(Level::Warning, "x\x07\u{202e}\"y\"\n", fields);
        assert_eq!(
            line,
            r#"{"time":"2026-10-05T10:00:00.000Z","level":"warning","message":"x\"y\" ","run_id":"cr1","hints":["a[2J sk_test_…",1]}"#
        );
    }

    #[test]
    fn people_are_asked_before_they_are_told_everything() {
        let threshold =
            |format, verbose, quiet| Log::new(format, verbose, Clock::system()).threshold(quiet);
        assert_eq!(threshold(LogFormat::Text, 0, false), LevelFilter::WARN);
        assert_eq!(threshold(LogFormat::Json, 0, false), LevelFilter::INFO);
        assert_eq!(threshold(LogFormat::Json, 0, true), LevelFilter::WARN);
        assert_eq!(threshold(LogFormat::Text, 1, false), LevelFilter::DEBUG);
        assert_eq!(threshold(LogFormat::Text, 3, false), LevelFilter::TRACE);
    }
}
