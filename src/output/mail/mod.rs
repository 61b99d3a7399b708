//! Mails in words: templates and what stands in them.
//!
//! Each kind has a template for plain text, whose first line is the subject, and one for the
//! page; `frame.html` is what stands around every page. A folder may hold others under the
//! same names. They are `MiniJinja`: `{{ name }}` and `{% if name %}`; what stands in a page is
//! escaped, and every value is stripped of control characters first, whoever wrote it. All
//! of them are tried on samples before a mail is sent, so that an unknown name is an error
//! with a file and a line, and not a hole in somebody's mail.

use std::collections::BTreeMap;

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};

use crate::model::alert::AlertCode;
use crate::model::exit::Exit;
use crate::model::ids::StatementId;
use crate::model::money::{Currency, with_currency};
use crate::model::notification::NotificationKind;
use crate::model::payout::Payout;
use crate::model::time::Time;
use crate::ops::notify::{DigestGroup, Failure, Letter, RunDigest, Says, Written};
use crate::ops::receipt::{Kept, Receipt};
use crate::output::text::{brief, clean, count, grouped, is_harmful, minute, wrapped};

/// Every template by its name, as it is built in.
pub const BUILT_IN: [(&str, &str); 9] = [
    ("paid.txt", include_str!("paid.txt")),
    ("paid.html", include_str!("paid.html")),
    ("failed.txt", include_str!("failed.txt")),
    ("failed.html", include_str!("failed.html")),
    ("digest.txt", include_str!("digest.txt")),
    ("digest.html", include_str!("digest.html")),
    ("alert.txt", include_str!("alert.txt")),
    ("alert.html", include_str!("alert.html")),
    (FRAME, include_str!("frame.html")),
];

const FRAME: &str = "frame.html";

/// How the first line of a plain text begins.
const SUBJECT: &str = "Subject:";

/// Characters of a subject: more is cut by readers.
const SUBJECT_MAX: usize = 120;

/// Characters of a line of plain text.
const LINE_MAX: usize = 74;

/// Characters of a name, a reference or an id.
const TEXT_MAX: usize = 120;

/// Payouts of a group that a digest names.
const NAMED_MAX: usize = 10;

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct TemplateError {
    /// File and line.
    pub place: String,
    /// In words.
    pub why: String,
}

/// The templates that hold, ready to be used.
#[derive(Debug)]
pub struct Templates {
    engine: Environment<'static>,
    sender: String,
}

impl Templates {
    /// Takes the built-in templates, and others in their place, each by its name and text.
    /// `sender` is whom mails are signed by.
    ///
    /// # Errors
    /// The first of them that does not parse, that uses a name which does not exist, or
    /// that lacks its subject.
    pub fn new(others: &BTreeMap<String, String>, sender: &str) -> Result<Self, TemplateError> {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        // A mail says what its template names, and not all that is known.
        engine.remove_global("debug");
        engine.set_auto_escape_callback(|name| {
            if is_plain(name) {
                AutoEscape::None
            } else {
                AutoEscape::Html
            }
        });
        for (name, text) in BUILT_IN {
            let text = others.get(name).cloned().unwrap_or_else(|| text.to_owned());
            engine
                .add_template_owned(name, text)
                .map_err(|error| wrong(name, &error))?;
        }
        let made = Self {
            engine,
            sender: text(sender),
        };
        for kind in NotificationKind::ALL {
            for values in samples(*kind, &made.sender) {
                made.write(*kind, values)?;
            }
        }
        Ok(made)
    }

    /// A mail in words.
    ///
    /// # Errors
    /// A template that the samples did not get to the bottom of.
    pub fn compose(&self, letter: &Letter) -> Result<Written, TemplateError> {
        let sender = &self.sender;
        let values = match &letter.says {
            Says::Paid(receipt) => paid(receipt, sender),
            Says::Failed(failure) => failed(failure, sender),
            Says::Digest(of) => digest(of, sender),
            Says::Alert {
                subject,
                text: said,
            } => alert(
                subject,
                said,
                &letter.mail.about,
                letter.mail.created_at,
                sender,
            ),
        };
        self.write(letter.mail.kind, values)
    }

    /// What a mail of a kind looks like, with made-up values.
    ///
    /// # Errors
    /// None that [`Templates::new`] did not find.
    pub fn sample(&self, kind: NotificationKind) -> Result<Written, TemplateError> {
        let [full, _] = samples(kind, &self.sender);
        self.write(kind, full)
    }

    fn write(&self, kind: NotificationKind, values: Value) -> Result<Written, TemplateError> {
        let plain = format!("{kind}.txt");
        let written = self.render(&plain, values.clone())?;
        let (first, rest) = written.split_once('\n').unwrap_or((&written, ""));
        let subject = first.strip_prefix(SUBJECT).ok_or_else(|| TemplateError {
            place: format!("{plain}, line 1"),
            why: format!("the first line of a plain text is `{SUBJECT} …`"),
        })?;
        let subject = brief(subject.trim(), SUBJECT_MAX);
        let body = self.render(&format!("{kind}.html"), values)?;
        let html = self.render(
            FRAME,
            context! {
                subject => subject.clone(),
                body => Value::from_safe_string(body),
                sender => self.sender.clone(),
            },
        )?;
        Ok(Written {
            subject,
            text: folded(rest),
            html,
        })
    }

    fn render(&self, name: &str, values: Value) -> Result<String, TemplateError> {
        self.engine
            .get_template(name)
            .and_then(|template| template.render(values))
            .map_err(|error| wrong(name, &error))
    }
}

/// Whether a template makes plain text: it alone is not escaped.
fn is_plain(name: &str) -> bool {
    name.strip_suffix(".txt").is_some()
}

fn wrong(name: &str, error: &minijinja::Error) -> TemplateError {
    let name = error.name().unwrap_or(name);
    let detail = error.detail().map(|detail| format!(": {detail}"));
    let mut why = format!("{}{}", error.kind(), detail.unwrap_or_default());
    if error.kind() == minijinja::ErrorKind::UndefinedError {
        why = match error.template_source().zip(error.range()) {
            Some((source, range)) => format!(
                "there is no `{}` here",
                source.get(range).unwrap_or_default().trim()
            ),
            None => why,
        };
    }
    TemplateError {
        place: format!("{name}, line {}", error.line().unwrap_or(1)),
        why: clean(&why).into_owned(),
    }
}

/// Breaks long lines between words; what is indented stays so. Behind the text there is one
/// line break.
fn folded(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.trim().lines() {
        let line = line.trim_end();
        let indent: String = line.chars().take_while(|c| *c == ' ').collect();
        if line.chars().count() <= LINE_MAX {
            lines.push(line.to_owned());
        } else {
            let width = LINE_MAX.saturating_sub(indent.len());
            lines.extend(
                wrapped(line, width)
                    .iter()
                    .map(|part| format!("{indent}{part}")),
            );
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A text that somebody else wrote, on one line.
fn text(said: &str) -> String {
    brief(said, TEXT_MAX)
}

fn maybe(said: Option<&str>) -> Option<String> {
    said.map(text).filter(|said| !said.trim().is_empty())
}

/// `1 November 2026`.
fn day(time: Time) -> String {
    time.utc().format("%-d %B %Y").to_string()
}

fn utc(time: Time) -> String {
    format!("{} UTC", minute(time))
}

// --- what stands in them --------------------------------------------------------------------

fn paid(receipt: &Receipt, sender: &str) -> Value {
    let listed = &receipt.record.listed;
    let Payout {
        id,
        processed_at,
        amount_cents,
        stripe_transfer_id,
        ..
    } = &listed.payout;
    let money = |cents: i64| with_currency(cents, receipt.currency);
    let some_left = receipt.kept() == Kept::Some;
    let period = receipt
        .statement
        .as_ref()
        .map(|of| format!("{} to {}", day(of.run.period_start), day(of.run.period_end)));
    context! {
        sender,
        creator => text(listed.creator_name.as_deref().unwrap_or_default()),
        payout_id => text(id.as_str()),
        amount => money((*amount_cents).into()),
        reversed => some_left.then(|| money(receipt.reversed_cents())),
        kept => some_left.then(|| money(receipt.net_cents())),
        paid_on => day(processed_at.unwrap_or(receipt.made_at)),
        account => maybe(receipt.account_masked().as_deref()),
        reference => maybe(listed.reference.as_deref()),
        statement => maybe(listed.payout.royalty_statement_id.as_ref().map(StatementId::as_str)),
        period,
        transfer => maybe(stripe_transfer_id.as_deref()),
        test => receipt.livemode == Some(false),
    }
}

fn failed(failure: &Failure, sender: &str) -> Value {
    let listed = &failure.record.listed;
    context! {
        sender,
        creator => text(listed.creator_name.as_deref().unwrap_or_default()),
        payout_id => text(listed.payout.id.as_str()),
        amount => with_currency(listed.payout.amount_cents.into(), failure.currency),
        failed_on => day(failure.at),
        advice => failure.advice,
        code => text(&failure.code),
        account => maybe(Some(&failure.account)),
        reference => maybe(listed.reference.as_deref()),
        statement => maybe(listed.payout.royalty_statement_id.as_ref().map(StatementId::as_str)),
        test => !failure.livemode,
    }
}

fn digest(of: &RunDigest, sender: &str) -> Value {
    let run = &of.aftermath.run;
    let exit_code = run.exit_code.unwrap_or(0);
    let exit_meaning = Exit::of(exit_code).map_or(
        "an exit code that this version does not know",
        Exit::meaning,
    );
    let money = |cents: i64| with_currency(cents, of.currency);
    let groups: Vec<Value> = of
        .groups
        .iter()
        .map(|group| group_of(group, of.currency))
        .collect();
    let findings: Vec<Value> = of
        .aftermath
        .findings
        .iter()
        .map(|(kind, number)| {
            context! { count => *number, kind => kind.as_str(), meaning => kind.meaning() }
        })
        .collect();
    let touched = of
        .groups
        .iter()
        .map(|group| group.payouts.len())
        .sum::<usize>();
    let payouts = u64::try_from(touched).unwrap_or(u64::MAX);
    let opened = of
        .aftermath
        .findings
        .iter()
        .map(|(_, number)| number.max(&0).unsigned_abs())
        .sum::<u64>();
    let more =
        of.aftermath.payouts_total - i64::try_from(of.aftermath.payouts.len()).unwrap_or(i64::MAX);
    // Those that are not named were not looked at: some may need nobody any more.
    let and_more = if more > 0 { " and more" } else { "" };
    let headline = match (payouts, opened) {
        (0, 0) => exit_meaning
            .split([':', ',', ';'])
            .next()
            .unwrap_or_default()
            .to_owned(),
        (payouts, 0) => format!(
            "{}{and_more} {} a person",
            count(payouts, "payout"),
            need(payouts)
        ),
        (0, opened) => format!("{} {} a person", count(opened, "finding"), need(opened)),
        (payouts, opened) => format!(
            "{}{and_more} and {} need a person",
            count(payouts, "payout"),
            count(opened, "finding")
        ),
    };
    context! {
        sender,
        command => text(&run.command),
        run => text(run.id.as_str()),
        host => text(&run.host),
        actor => text(&run.actor),
        started => utc(run.started_at),
        ended => utc(run.ended_at.unwrap_or(run.seen_at)),
        exit_code,
        exit_meaning,
        summary => maybe(run.summary.as_deref()),
        headline,
        groups,
        more => (more > 0).then_some(more),
        findings,
        unresolved => (of.open.count > 0).then(|| format!(
            "{}, {}",
            count(of.open.count.unsigned_abs(), "payout"),
            money(of.open.amount_cents)
        )),
    }
}

fn need(number: u64) -> &'static str {
    if number == 1 { "needs" } else { "need" }
}

fn group_of(group: &DigestGroup, currency: Currency) -> Value {
    let total: i64 = group
        .payouts
        .iter()
        .map(|payout| i64::from(payout.payout.amount_cents))
        .sum();
    let number = u64::try_from(group.payouts.len()).unwrap_or(u64::MAX);
    let payouts: Vec<Value> = group
        .payouts
        .iter()
        .take(NAMED_MAX)
        .map(|payout| {
            context! {
                id => text(payout.payout.id.as_str()),
                creator => text(payout.creator_name.as_deref().unwrap_or_default()),
                amount => with_currency(payout.payout.amount_cents.into(), currency),
                status => payout.payout.status.as_str(),
            }
        })
        .collect();
    let more = group.payouts.len().saturating_sub(NAMED_MAX);
    context! {
        title => format!("{}, {}: {}", count(number, "payout"), with_currency(total, currency), text(&group.code)),
        code => text(&group.code),
        count => number,
        advice => group.advice,
        payouts,
        more => (more > 0).then(|| grouped(more.try_into().unwrap_or(u64::MAX))),
    }
}

fn alert(subject: &str, said: &str, code: &str, at: Time, sender: &str) -> Value {
    let line = |line: &str| {
        let plain: String = line.chars().filter(|c| !is_harmful(*c)).collect();
        plain.trim_end().to_owned()
    };
    let all: Vec<String> = said.lines().map(line).collect();
    let lines: Vec<String> = all
        .iter()
        .filter(|line| !line.is_empty())
        .cloned()
        .collect();
    context! {
        sender,
        subject => text(subject),
        text => all.join("\n"),
        lines,
        code => text(code),
        at => utc(at),
    }
}

/// Made-up values of a kind, as many of them as there are, and as few.
fn samples(kind: NotificationKind, sender: &str) -> [Value; 2] {
    let payout = context! {
        sender,
        creator => "Ada Example",
        payout_id => "cmh5q8z1x0000example00001",
        amount => "1,250.00 USD",
        paid_on => "1 November 2026",
        failed_on => "1 November 2026",
        advice => "Sign in to Stripe, complete what it asks for, and we will send the money again.",
        code => "insufficient_capabilities_for_transfer",
    };
    let group = |more: Option<&str>| {
        context! {
            title => "1 payout, 1,250.00 USD: balance_insufficient",
            code => "balance_insufficient",
            count => 1,
            advice => "Top up the platform's Stripe balance, then have it retried.",
            payouts => vec![context! {
                id => "cmh5q8z1x0000example00001",
                creator => "Ada Example",
                amount => "1,250.00 USD",
                status => "FAILED",
            }],
            more,
        }
    };
    let run = context! {
        sender,
        command => "process",
        run => "cmh5q8z1x0000example00002",
        host => "payments",
        actor => "cron@payments",
        started => "2026-11-01 12:00 UTC",
        ended => "2026-11-01 12:01 UTC",
        exit_code => 1,
        exit_meaning => "a person should look",
        headline => "1 payout needs a person",
    };
    let none = None::<&str>;
    let with = |base: &Value, more: Value| context! { ..more, ..base.clone() };
    match kind {
        NotificationKind::Paid | NotificationKind::Failed => [
            with(
                &payout,
                context! {
                    reversed => "250.00 USD",
                    kept => "1,000.00 USD",
                    account => "••••1234",
                    reference => "INV-1001",
                    statement => "cmh5q8z1x0000example00003",
                    period => "1 October 2026 to 31 October 2026",
                    transfer => "tr_1Example",
                    test => true,
                },
            ),
            with(
                &payout,
                context! {
                    reversed => none, kept => none, account => none, reference => none,
                    statement => none, period => none, transfer => none, test => false,
                },
            ),
        ],
        NotificationKind::Digest => [
            with(
                &run,
                context! {
                    summary => "12 paid, 1 failed",
                    groups => vec![group(Some("3"))],
                    more => 1,
                    findings => vec![context! {
                        count => 2, kind => "amount_differs", meaning => "the transfer is over another amount",
                    }],
                    unresolved => "1 payout, 1,250.00 USD",
                },
            ),
            with(
                &run,
                context! {
                    summary => none, groups => Vec::<Value>::new(), more => none,
                    findings => Vec::<Value>::new(), unresolved => none,
                },
            ),
        ],
        NotificationKind::Alert => {
            let said = context! {
                sender,
                subject => "payouts: critical payouts_stuck",
                text => "1 payout, 1,250.00 USD.\nWhat to do: see the runbook.",
                lines => vec!["1 payout, 1,250.00 USD.", "What to do: see the runbook."],
                code => AlertCode::PayoutsStuck.as_str(),
                at => "2026-11-01 12:00 UTC",
            };
            [said.clone(), said]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(name: &str, text: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), text.to_owned())])
    }

    fn wrong(name: &str, text: &str) -> String {
        Templates::new(&others(name, text), "The Platform")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_template_that_is_wrong_is_named_with_its_line() {
        for (name, text, said) in [
            (
                "paid.txt",
                "Subject: x\n\nHello {{ creater }}",
                "paid.txt, line 3: there is no `creater` here",
            ),
            (
                "paid.html",
                "<p>\n{{ amount.usd }}",
                "paid.html, line 2: there is no `amount.usd` here",
            ),
            (
                "digest.html",
                "{% for g in groups %}\n{{ g.name }}{% endfor %}",
                "digest.html, line 2",
            ),
            (
                "failed.txt",
                "Subject: x\n{% if test %}",
                "failed.txt, line 2: syntax error",
            ),
            (
                "failed.txt",
                "Subject: x\n\n{{ amount | nope }}",
                "failed.txt, line 3",
            ),
            (
                "failed.txt",
                "Hello",
                "failed.txt, line 1: the first line of a plain text is `Subject: …`",
            ),
            (
                "frame.html",
                "{{ title }}",
                "frame.html, line 1: there is no `title` here",
            ),
        ] {
            let found = wrong(name, text);
            assert!(found.starts_with(said), "{found}");
        }
    }

    #[test]
    fn names_are_harmless_in_both_forms() {
        let hostile =
            "</td><script>alert('x')</script>\x1b[31m\r\nBcc: eve@evil.example\u{202e}{{ sender }}";
        let templates = Templates::new(&BTreeMap::new(), hostile).unwrap();
        let values = |kind: NotificationKind| {
            let [full, _] = samples(kind, &templates.sender);
            let said = Value::from(text(hostile));
            context! {
                creator => said.clone(),
                reference => said.clone(),
                summary => said.clone(),
                subject => said,
                ..full
            }
        };
        for kind in NotificationKind::ALL {
            let written = templates.write(*kind, values(*kind)).unwrap();
            assert!(!written.html.contains("<script"), "{}", written.html);
            assert!(
                !written.subject.contains(['\r', '\n', '\x1b']),
                "{:?}",
                written.subject
            );
            for form in [&written.text, &written.html] {
                assert!(!form.contains(['\x1b', '\r', '\u{202e}']), "{form}");
                assert!(!form.lines().any(|line| line.starts_with("Bcc:")), "{form}");
            }
        }
    }

    #[test]
    fn a_text_is_folded_and_keeps_what_is_indented() {
        let long = "word ".repeat(30);
        let text = folded(&format!("\n{long}\n\n  {long}\nshort  \n\n\n"));
        assert!(
            text.lines().all(|line| line.chars().count() <= LINE_MAX),
            "{text}"
        );
        assert!(
            text.contains("\n  word") && text.ends_with("short\n"),
            "{text}"
        );
    }
}
