//! The state of things as metrics, in the text format of Prometheus, version 0.0.4: for the
//! textfile collector of the node exporter.
//!
//! Amounts are whole numbers of the currency's minor unit, and their names say so; times are
//! seconds. A counter only grows as long as nobody deletes rows. Every label that can be listed
//! beforehand has its line, with 0 where there is nothing, so that an alert on it can fire.
//!
//! Source: Prometheus, "Exposition formats" and "Metric and label naming".

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::exit::Exit;
use crate::model::gauges::Gauges;
use crate::model::hold::HoldKind;
use crate::model::listing::Total;
use crate::model::money::Currency;
use crate::model::payout::PayoutStatus;
use crate::model::reconciliation::Severity;
use crate::model::time::Time;
use crate::output::text::clean;

/// The metrics at a moment.
pub fn page(gauges: &Gauges, currency: Currency, now: Time) -> String {
    let mut page = Page::default();
    let currency = ("currency", currency.as_str());
    page.build_info();
    page.queue(gauges, currency, now);
    page.attempts(gauges, currency, now);
    page.control(gauges, currency);
    page.runs(gauges);
    page.text
}

type Label<'a> = (&'a str, &'a str);

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    /// Begins a metric. All of its samples follow before the next begins.
    fn begin(&mut self, kind: &str, name: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[Label<'_>], value: &str) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        let labels = match labels.as_slice() {
            [] => String::new(),
            labels => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }

    /// A metric of one sample.
    fn single(&mut self, kind: &str, name: &str, help: &str, labels: &[Label<'_>], value: &str) {
        self.begin(kind, name, help);
        self.sample(name, labels, value);
    }

    fn build_info(&mut self) {
        self.single(
            "gauge",
            "payouts_build_info",
            "Version of the program that wrote this.",
            &[("version", env!("CARGO_PKG_VERSION"))],
            "1",
        );
    }

    fn queue(&mut self, gauges: &Gauges, currency: Label<'_>, now: Time) {
        let of = |status: PayoutStatus| gauges.statuses.iter().find(|one| one.status == status);
        let total = |status| of(status).map_or(Total::default(), |one| one.total);
        let name = "payouts_rows";
        self.begin(
            "gauge",
            name,
            "Payouts by the status of their row. FAILED has those that were cancelled too.",
        );
        for status in PayoutStatus::ALL {
            let count = total(*status).count.to_string();
            self.sample(name, &[("status", status.as_str())], &count);
        }
        let name = "payouts_rows_amount_minor_units";
        self.begin(
            "gauge",
            name,
            "Sum of their amounts in minor units of the currency.",
        );
        for status in PayoutStatus::ALL {
            let cents = total(*status).amount_cents.to_string();
            self.sample(name, &[("status", status.as_str()), currency], &cents);
        }
        let waited = |since: Option<Time>| {
            since.map_or_else(
                || "0".to_owned(),
                |since| seconds(now.millis_since(since).max(0)),
            )
        };
        self.single(
            "gauge",
            "payouts_oldest_pending_age_seconds",
            "How long ago the oldest payout that is PENDING was created; 0 where none is.",
            &[],
            &waited(of(PayoutStatus::Pending).and_then(|one| one.created_at)),
        );
        self.single(
            "gauge",
            "payouts_oldest_processing_age_seconds",
            "How long ago the row of a payout that is PROCESSING last changed, at most; 0 where none is.",
            &[],
            &waited(of(PayoutStatus::Processing).and_then(|one| one.updated_at)),
        );
        let paid = total(PayoutStatus::Completed);
        self.single(
            "counter",
            "payouts_paid_total",
            "Payouts that were paid.",
            &[],
            &paid.count.to_string(),
        );
        self.single(
            "counter",
            "payouts_paid_minor_units_total",
            "Sum of their amounts in minor units of the currency.",
            &[currency],
            &paid.amount_cents.to_string(),
        );
        self.single(
            "counter",
            "payouts_reversed_transfers_total",
            "Transfers of which something was seen to be taken back.",
            &[],
            &gauges.reversed.count.to_string(),
        );
        self.single(
            "counter",
            "payouts_reversed_minor_units_total",
            "How much of them was taken back, in minor units of the currency.",
            &[currency],
            &gauges.reversed.amount_cents.to_string(),
        );
    }

    fn attempts(&mut self, gauges: &Gauges, currency: Label<'_>, now: Time) {
        self.single(
            "gauge",
            "payouts_unresolved_attempts",
            "Attempts of which nobody knows yet whether they paid, those on their way included.",
            &[],
            &gauges.unresolved.count.to_string(),
        );
        self.single(
            "gauge",
            "payouts_unresolved_amount_minor_units",
            "Sum of what they were to pay, in minor units of the currency.",
            &[currency],
            &gauges.unresolved.amount_cents.to_string(),
        );
        let age = gauges.unresolved_since;
        self.single(
            "gauge",
            "payouts_oldest_unresolved_age_seconds",
            "How long ago the oldest of them was begun; 0 where there is none.",
            &[],
            &age.map_or_else(
                || "0".to_owned(),
                |since| seconds(now.millis_since(since).max(0)),
            ),
        );
        let name = "payouts_failed_attempts_total";
        self.begin(
            "counter",
            name,
            "Attempts that Stripe refused, by its code; empty where it had none.",
        );
        // Two codes that differ in what is left out would be one series with two values.
        let mut by_code: BTreeMap<Cow<'_, str>, i64> = BTreeMap::new();
        for (code, count) in &gauges.refused {
            *by_code
                .entry(clean(code.as_deref().unwrap_or_default()))
                .or_default() += count;
        }
        for (code, count) in &by_code {
            self.sample(name, &[("code", code)], &count.to_string());
        }
        self.single(
            "counter",
            "payouts_retries_total",
            "Attempts that were not the first of their payout.",
            &[],
            &gauges.retries.to_string(),
        );
    }

    fn control(&mut self, gauges: &Gauges, currency: Label<'_>) {
        let name = "payouts_holds";
        self.begin("gauge", name, "Holds that stand, by what they hold; the kind all is the switch that stops everything.");
        for kind in HoldKind::ALL {
            let held = gauges.holds.iter().find(|(of, _)| of == kind);
            let count = held.map_or(0, |(_, count)| *count).to_string();
            self.sample(name, &[("kind", kind.as_str())], &count);
        }
        let severities = [Severity::Critical, Severity::Error, Severity::Warning];
        let of = |severity: Severity| {
            let mut sum = Total::default();
            for (kind, total) in &gauges.findings {
                if kind.severity() == severity {
                    sum.merge(*total);
                }
            }
            sum
        };
        let name = "payouts_open_findings";
        self.begin(
            "gauge",
            name,
            "Differences between the table and Stripe that are open.",
        );
        for severity in severities {
            let count = of(severity).count.to_string();
            self.sample(name, &[("severity", severity.as_str())], &count);
        }
        let name = "payouts_open_findings_at_stake_minor_units";
        self.begin(
            "gauge",
            name,
            "The money at stake in them as far as it is known, in minor units of the currency.",
        );
        for severity in severities {
            let cents = of(severity).amount_cents.to_string();
            self.sample(name, &[("severity", severity.as_str()), currency], &cents);
        }
    }

    fn runs(&mut self, gauges: &Gauges) {
        let name = "payouts_runs_total";
        self.begin(
            "counter",
            name,
            "Runs that ended, by command and exit code.",
        );
        let mut by_command: BTreeMap<Cow<'_, str>, BTreeMap<i32, (i64, Time)>> = BTreeMap::new();
        for run in &gauges.runs {
            let ended = by_command.entry(clean(&run.command)).or_default();
            let (count, last) = ended.entry(run.exit_code).or_insert((0, run.ended_at));
            *count += run.count;
            *last = run.ended_at.max(*last);
        }
        for (command, ended) in &by_command {
            for (exit_code, (count, _)) in ended {
                let labels = [
                    ("command", &**command),
                    ("exit_code", &exit_code.to_string()),
                ];
                self.sample(name, &labels, &count.to_string());
            }
        }
        for (name, help, successes_only) in [
            (
                "payouts_last_run_timestamp_seconds",
                "When the last run of a command ended, whatever it ended with, as Unix time.",
                false,
            ),
            (
                "payouts_last_success_timestamp_seconds",
                "When the last run of a command ended that did what it could (exit code 0, 1, 5 or 6), as Unix time.",
                true,
            ),
        ] {
            self.begin("gauge", name, help);
            for (command, ended) in &by_command {
                let ended = ended
                    .iter()
                    .filter(|(exit_code, _)| {
                        !successes_only
                            || Exit::of(**exit_code).is_some_and(Exit::did_what_it_could)
                    })
                    .map(|(_, (_, last))| *last)
                    .max();
                if let Some(at) = ended {
                    self.sample(name, &[("command", command)], &seconds(at.millis()));
                }
            }
        }
    }
}

/// Milliseconds as seconds, exactly: `12`, `12.5`.
fn seconds(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let (whole, rest) = (millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000);
    let text = format!("{sign}{whole}.{rest:03}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A label's value as it stands between double quotes. What a terminal would obey is left out.
fn escaped(value: &str) -> String {
    clean(value)
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_seconds_to_the_digit() {
        assert_eq!(
            [0, 5, 1500, 60_000, -250, 1_793_611_800_123].map(seconds),
            ["0", "0.005", "1.5", "60", "-0.25", "1793611800.123"]
        );
    }

    #[test]
    fn a_label_ends_where_its_quotes_end() {
        assert_eq!(escaped("a\"} 1\n\\\x1b[31m"), "a\\\"} 1 \\\\[31m");
    }
}
