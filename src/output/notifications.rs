//! Mails, for people and for scripts: the outbox, what a run did with it, and previews.
//!
//! The JSON is a contract as in [`json`](crate::output::json): a field is always
//! there, times are RFC 3339 in UTC.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::notification::{
    Notification, NotificationKind, NotificationState, NotificationSwitch,
};
use crate::ops::notify::{Decision, Posted, Written};
use crate::output::rows::csv_fields;
use crate::output::table::{self, left};
use crate::output::text::{brief, clean, minute};
use crate::output::ui::Ui;

/// Characters of a reason, in a table.
const REASON_MAX: usize = 70;

/// A mail of the outbox. Also a line of CSV.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NotificationView<'a> {
    /// Made of what it is about: `paid:PAYOUT`.
    pub id: &'a str,
    /// `paid`, `failed`, `digest` or `alert`.
    pub kind: &'static str,
    /// A payout, a run, or the code of an alert.
    pub about: &'a str,
    /// `waiting`, `sending`, `sent`, `failed`, `dropped` or `no_address`.
    pub state: &'static str,
    /// To whom; null as long as that is not decided.
    pub recipient: Option<&'a str>,
    /// How often sending it was tried.
    pub tries: i32,
    /// Why it waits, was dropped or was given up.
    pub reason: Option<&'a str>,
    /// When what it tells happened.
    pub created_at: String,
    /// From when on it may be sent.
    pub due_at: String,
    /// When it was sent, dropped or given up.
    pub settled_at: Option<String>,
}

csv_fields!(NotificationView<'a>: id, kind, about, state, recipient, tries, reason, created_at, due_at, settled_at);

impl<'a> From<&'a Notification> for NotificationView<'a> {
    fn from(mail: &'a Notification) -> Self {
        Self {
            id: &mail.id,
            kind: mail.kind.as_str(),
            about: &mail.about,
            state: mail.state.as_str(),
            recipient: mail.recipient.as_deref(),
            tries: mail.tries,
            reason: mail.reason.as_deref(),
            created_at: mail.created_at.to_string(),
            due_at: mail.due_at.to_string(),
            settled_at: mail.settled_at.map(|time| time.to_string()),
        }
    }
}

/// What `notify list` says besides the mails.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OutboxMembers<'a> {
    /// How many mails are in each state, on all pages and whatever was selected.
    pub states: Vec<MailCountView>,
    /// The kinds that are switched on.
    pub on: Vec<&'static str>,
    /// What goes into `--after` for the next page; null on the last one.
    pub next: Option<&'a str>,
}

/// How many mails came to something. Also a line of CSV.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MailCountView {
    /// `sent`, `waiting`, `failed`, `dropped`, `no_address`, or `sending`.
    pub result: &'static str,
    /// Mails.
    pub mails: u64,
}

csv_fields!(MailCountView: result, mails);

impl MailCountView {
    fn new(state: NotificationState, mails: u64) -> Self {
        Self {
            result: state.as_str(),
            mails,
        }
    }

    /// Of all mails that there are.
    pub fn of_states(counts: &[(NotificationState, i64)]) -> Vec<Self> {
        counts
            .iter()
            .map(|(state, number)| Self::new(*state, number.max(&0).unsigned_abs()))
            .collect()
    }

    /// Of what a run did, in a fixed order.
    pub fn of_run(posted: &Posted) -> Vec<Self> {
        vec![
            Self::new(NotificationState::Sent, posted.sent),
            Self::new(NotificationState::Waiting, posted.later),
            Self::new(NotificationState::Failed, posted.given_up),
            Self::new(NotificationState::Dropped, posted.dropped),
            Self::new(NotificationState::NoAddress, posted.no_address),
        ]
    }
}

/// What `notify` says besides the counts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NotifyMembers<'a> {
    /// The mails that were given up now.
    pub given_up: Vec<GivenUpView<'a>>,
    /// Why sending stopped before the end; null when it did not.
    pub stopped: Option<&'a str>,
    /// What the command exits with.
    pub exit_code: u8,
}

/// A mail that was given up.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GivenUpView<'a> {
    /// Which.
    pub id: &'a str,
    /// The server's words.
    pub reason: &'a str,
}

impl<'a> GivenUpView<'a> {
    /// Of what a run did.
    pub fn of(posted: &'a Posted) -> Vec<Self> {
        posted
            .gave_up
            .iter()
            .map(|(id, reason)| Self { id, reason })
            .collect()
    }
}

/// A switch. Also a line of CSV.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SwitchView<'a> {
    /// `paid`, `failed`, `digest` or `alert`.
    pub kind: &'static str,
    /// Whose mails; null for everybody's.
    pub creator_id: Option<&'a str>,
    /// Whether they are sent.
    pub on: bool,
    /// Since when; null where nobody ever said.
    pub changed_at: Option<String>,
}

csv_fields!(SwitchView<'a>: kind, creator_id, on, changed_at);

impl<'a> SwitchView<'a> {
    /// Every kind, and what holds for single creators.
    pub fn of(switches: &'a [NotificationSwitch]) -> Vec<Self> {
        let mut views = Vec::new();
        for kind in NotificationKind::ALL {
            let of_kind = || switches.iter().filter(|switch| switch.kind == *kind);
            let all = of_kind().find(|switch| switch.is_for_everybody());
            views.push(Self {
                kind: kind.as_str(),
                creator_id: None,
                on: all.is_some_and(|switch| switch.is_on),
                changed_at: all.map(|switch| switch.changed_at.to_string()),
            });
            views.extend(
                of_kind()
                    .filter(|switch| !switch.is_for_everybody())
                    .map(|switch| Self {
                        kind: kind.as_str(),
                        creator_id: Some(&switch.creator_id),
                        on: switch.is_on,
                        changed_at: Some(switch.changed_at.to_string()),
                    }),
            );
        }
        views
    }
}

/// The switches as a table.
pub fn switches_table(ui: &Ui, views: &[SwitchView<'_>]) -> String {
    let columns = [left("Mail"), left("For"), left("State"), left("Since")];
    let cells = |view: &SwitchView<'_>| {
        vec![
            view.kind.into(),
            view.creator_id.unwrap_or("everybody").into(),
            if view.on { "on" } else { "off" }.into(),
            view.changed_at.as_deref().unwrap_or_default().into(),
        ]
    };
    table::render(ui, &columns, views.iter().map(cells).collect())
}

/// What would be sent. Also a line of CSV.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PreviewView {
    /// Which mail; null for a sample.
    pub id: Option<String>,
    /// `paid`, `failed`, `digest` or `alert`.
    pub kind: &'static str,
    /// `send`, `wait`, `drop` or `no_address`; null for a sample.
    pub decision: Option<&'static str>,
    /// Why it is not sent; null when it is.
    pub reason: Option<String>,
    /// To whom; null where it is not sent, and for operators who have no address yet.
    pub to: Option<String>,
    /// Its subject; null where it is not sent.
    pub subject: Option<String>,
    /// Its plain text; null where it is not sent.
    pub text: Option<String>,
    /// The same as a page; null where it is not sent.
    pub html: Option<String>,
}

csv_fields!(PreviewView: id, kind, decision, reason, to, subject, text, html);

impl PreviewView {
    /// A sample.
    pub fn sample(kind: NotificationKind, written: Written) -> Self {
        Self {
            id: None,
            kind: kind.as_str(),
            decision: None,
            reason: None,
            to: None,
            subject: Some(written.subject),
            text: Some(written.text),
            html: Some(written.html),
        }
    }

    /// A mail of the outbox, with its words where it is sent.
    pub fn of(mail: &Notification, decision: &Decision, written: Option<Written>) -> Self {
        let (word, reason, to) = match decision {
            Decision::Send(letter) => ("send", None, letter.to.as_ref().map(ToString::to_string)),
            Decision::Wait(why) => ("wait", Some(why.clone()), None),
            Decision::Drop(why) => ("drop", Some(why.clone()), None),
            Decision::NoAddress(why) => ("no_address", Some(why.clone()), None),
        };
        let mut view = Self {
            id: Some(mail.id.clone()),
            kind: mail.kind.as_str(),
            decision: Some(word),
            reason,
            to,
            subject: None,
            text: None,
            html: None,
        };
        if let Some(written) = written {
            view.subject = Some(written.subject);
            view.text = Some(written.text);
            view.html = Some(written.html);
        }
        view
    }
}

/// Mails as they would arrive, for people.
pub fn previews_text(views: &[PreviewView]) -> String {
    let mut parts = Vec::new();
    for view in views {
        let mut lines = Vec::new();
        if let Some(id) = &view.id {
            lines.push(format!("Mail: {}", clean(id)));
        }
        if let (Some(word), Some(reason)) = (view.decision, &view.reason) {
            let told = match word {
                "wait" => "Waits",
                "drop" => "Dropped",
                _ => "No address",
            };
            lines.push(format!("{told}: {}", clean(reason)));
        }
        if let Some(to) = &view.to {
            lines.push(format!("To: {}", clean(to)));
        }
        if let (Some(subject), Some(text)) = (&view.subject, &view.text) {
            lines.push(format!("Subject: {}", clean(subject)));
            lines.push(String::new());
            lines.extend(text.trim_end().lines().map(|line| clean(line).into_owned()));
        }
        parts.push(lines.join("\n"));
    }
    let between = format!("\n\n{}\n\n", "─".repeat(40));
    parts.join(&between)
}

/// The mails as a table.
pub fn notifications_table(ui: &Ui, mails: &[Notification]) -> String {
    if mails.is_empty() {
        return "no mails".to_owned();
    }
    let columns = [
        left("Mail"),
        left("Since").sacrificed(1),
        left("State"),
        left("To").shrinks_to(12),
        table::right("Tries").sacrificed(2),
        left("Why").shrinks_to(16),
    ];
    let cells = |mail: &Notification| {
        let tone = match mail.state {
            NotificationState::Failed => table::Tone::Bad,
            NotificationState::Sending | NotificationState::NoAddress => table::Tone::Doubt,
            NotificationState::Waiting | NotificationState::Sent | NotificationState::Dropped => {
                table::Tone::Plain
            }
        };
        vec![
            mail.id.as_str().into(),
            minute(mail.created_at).into(),
            table::Value::toned(mail.state.as_str(), tone),
            mail.recipient.as_deref().unwrap_or_default().into(),
            mail.tries.to_string().into(),
            brief(mail.reason.as_deref().unwrap_or_default(), REASON_MAX).into(),
        ]
    };
    table::render(ui, &columns, mails.iter().map(cells).collect())
}

/// What a run did, for people.
pub fn posted_text(counts: &[MailCountView]) -> String {
    let counted: Vec<String> = counts
        .iter()
        .filter(|line| line.mails > 0)
        .map(|line| {
            let word = match line.result {
                "waiting" => "to be tried again",
                "failed" => "given up",
                "no_address" => "without an address",
                other => other,
            };
            format!("{} {word}", line.mails)
        })
        .collect();
    if counted.is_empty() {
        "no mails".to_owned()
    } else {
        format!("mails: {}", counted.join(", "))
    }
}
