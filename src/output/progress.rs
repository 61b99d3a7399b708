//! Progress of long work: a bar with rate and time left on a terminal, one line
//! a minute otherwise.

use std::fmt;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::model::money::{Currency, with_currency};
use crate::ops::event::{Event, Pass, Settled};
use crate::output::text::{count, grouped};
use crate::output::ui::Ui;

/// One line at most this often, where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// Shows a run's events on stderr.
#[derive(Debug)]
pub struct Progress {
    ui: Ui,
    bar: Option<ProgressBar>,
    currency: Currency,
    paid: u64,
    paid_cents: i64,
    failed: u64,
    unresolved: u64,
    last_line: Instant,
    /// What is done with the rows of a file.
    pass: Option<Pass>,
}

impl Progress {
    /// Starts without a bar; it appears with the first [`Event::Expected`].
    pub fn new(ui: &Ui, currency: Currency) -> Self {
        Self {
            ui: ui.clone(),
            bar: None,
            currency,
            paid: 0,
            paid_cents: 0,
            failed: 0,
            unresolved: 0,
            last_line: Instant::now(),
            pass: None,
        }
    }

    /// Takes in what happened.
    pub fn show(&mut self, event: Event) {
        match event {
            Event::Note(text) => self.aside(|ui| ui.note(&text)),
            Event::Warning(text) => self.aside(|ui| ui.warn(&text)),
            Event::Expected { payouts } => self.begin(payouts),
            Event::Compared {
                transfers,
                findings,
            } => self.compared(transfers, findings),
            Event::Verified { read, of, findings } => {
                self.reached(Some(of), read);
                self.say(format!(
                    "{} checked, {}",
                    count(read, "row"),
                    count(findings, "finding")
                ));
            }
            Event::Pulled { events } => {
                self.reached(None, events);
                self.say(format!("{} stored", count(events, "event")));
            }
            Event::Reported { payouts } => {
                self.reached(None, payouts);
                self.say(format!("{} read", count(payouts, "payout")));
            }
            Event::Rows {
                pass,
                done,
                expected,
            } => self.rows(pass, done, expected),
            Event::Settled {
                amount_cents, how, ..
            } => {
                match how {
                    Settled::Paid => {
                        self.paid += 1;
                        self.paid_cents = self.paid_cents.saturating_add(i64::from(amount_cents));
                    }
                    Settled::Failed => self.failed += 1,
                    Settled::Unresolved => self.unresolved += 1,
                    Settled::Returned => {}
                }
                self.step();
            }
        }
    }

    fn begin(&mut self, payouts: Option<u64>) {
        let others_write = self.ui.quiet || self.ui.log.is_busy();
        if !self.ui.stderr_terminal || others_write || payouts == Some(0) {
            return;
        }
        let (bar, template) = match payouts {
            Some(payouts) => (
                ProgressBar::new(payouts),
                "{bar:30} {human_pos}/{human_len} {rate} {eta} left  {msg}",
            ),
            None => (
                ProgressBar::no_length(),
                "{spinner} {human_pos} {rate}  {msg}",
            ),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        if let Ok(style) = ProgressStyle::with_template(template) {
            // Tenths of a row tell nobody anything, and those of a slow run do.
            let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
                let decimals = usize::from(state.per_sec() < 10.0);
                let _ = write!(out, "{:.decimals$}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate).progress_chars("=> "));
        }
        self.bar = Some(bar);
    }

    fn step(&mut self) {
        let summary = self.summary();
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        self.say(summary);
    }

    /// How far a comparison is. Nobody knows how many transfers there are, so the
    /// bar has no end.
    fn compared(&mut self, transfers: u64, findings: u64) {
        self.reached(None, transfers);
        self.say(format!(
            "{} compared, {}",
            count(transfers, "transfer"),
            count(findings, "finding")
        ));
    }

    /// How far work is, of `all` where that is known.
    fn reached(&mut self, all: Option<u64>, position: u64) {
        if self.bar.is_none() {
            self.begin(all);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(position);
        }
    }

    /// How far a file is; each pass has a bar of its own.
    fn rows(&mut self, pass: Pass, done: u64, expected: u64) {
        if self.pass != Some(pass) {
            self.pass = Some(pass);
            if let Some(bar) = self.bar.take() {
                bar.finish_and_clear();
            }
            self.begin(Some(expected));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
        let what = match pass {
            Pass::Checking => "checked",
            Pass::Writing => "written",
        };
        let of = grouped(expected);
        self.say(match self.bar {
            Some(_) => what.to_owned(),
            None => format!("{} of {of} rows {what}", grouped(done)),
        });
    }

    /// Beside the bar, or on a line of its own once in a while.
    fn say(&mut self, summary: String) {
        match &self.bar {
            Some(bar) => bar.set_message(summary),
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                self.ui.note(&summary);
            }
            None => {}
        }
    }

    fn summary(&self) -> String {
        let mut text = format!(
            "{} paid, {}",
            count(self.paid, "payout"),
            with_currency(self.paid_cents, self.currency)
        );
        if self.failed > 0 {
            text.push_str(", ");
            text.push_str(&self.failed.to_string());
            text.push_str(" failed");
        }
        if self.unresolved > 0 {
            text.push_str(", ");
            text.push_str(&self.unresolved.to_string());
            text.push_str(" unresolved");
        }
        text
    }

    /// Prints beside the bar.
    fn aside(&self, print: impl FnOnce(&Ui)) {
        match &self.bar {
            Some(bar) => bar.suspend(|| print(&self.ui)),
            None => print(&self.ui),
        }
    }

    /// Takes the bar away.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
