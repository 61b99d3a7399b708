//! Events of Stripe, for people and for scripts.
//!
//! The JSON is a contract as in [`json`](crate::output::json): a field is always
//! there, times are RFC 3339 in UTC.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::event::{EventState, StripeEvent};
use crate::model::ids::PayoutId;
use crate::model::time::Span;
use crate::ops::events::pull::Pulled;
use crate::ops::events::suggest::Suggestion;
use crate::output::rows::csv_fields;
use crate::output::table::{self, left};
use crate::output::text::{brief, count, minute};
use crate::output::ui::Ui;

/// Characters of what became of an event, in a table.
const OUTCOME_MAX: usize = 60;

/// An event, as it is kept. Also a line of CSV.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventView<'a> {
    /// `evt_…`.
    pub id: &'a str,
    /// `transfer.created`, `account.updated`, …
    pub kind: &'a str,
    /// `pending`, `applied`, `reported` or `ignored`.
    pub state: &'static str,
    /// What it is about: `tr_…` or `acct_…`.
    pub object_id: Option<&'a str>,
    /// The payout it turned out to be about.
    pub payout_id: Option<&'a str>,
    /// The connected account it happened on; null for the platform's own.
    pub account: Option<&'a str>,
    /// Real money.
    pub livemode: bool,
    /// When it happened.
    pub created_at: String,
    /// When it came first.
    pub received_at: String,
    /// How it came first: `listen` or `pull`.
    pub came_by: &'static str,
    /// How often applying it was tried.
    pub tries: i32,
    /// Since when it is not pending any more.
    pub settled_at: Option<String>,
    /// What became of it, in words; null before the first try.
    pub outcome: Option<&'a str>,
}

csv_fields!(EventView<'a>: id, kind, state, object_id, payout_id, account, livemode, created_at, received_at, came_by, tries, settled_at, outcome);

impl<'a> From<&'a StripeEvent> for EventView<'a> {
    fn from(event: &'a StripeEvent) -> Self {
        Self {
            id: &event.event_id,
            kind: &event.kind,
            state: event.state.as_str(),
            object_id: event.object_id.as_deref(),
            payout_id: event.payout_id.as_ref().map(PayoutId::as_str),
            account: event.account.as_deref(),
            livemode: event.livemode,
            created_at: event.created_at.to_string(),
            received_at: event.received_at.to_string(),
            came_by: event.came_by.as_str(),
            tries: event.tries,
            settled_at: event.settled_at.map(|time| time.to_string()),
            outcome: event.outcome.as_deref(),
        }
    }
}

/// What `events list` says besides the events.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventsMembers<'a> {
    /// Events that wait to be applied, on all pages.
    pub pending: i64,
    /// What may be done about creators whose Stripe accounts changed.
    pub suggestions: Vec<SuggestionView<'a>>,
    /// What goes into `--after` for the next page; null on the last one.
    pub next: Option<&'a str>,
}

/// What may be done about a creator.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SuggestionView<'a> {
    /// `hold` or `release`.
    pub advice: &'static str,
    /// Whom it is about.
    pub creator_id: &'a str,
    /// `acct_…`.
    pub stripe_account: &'a str,
    /// Stripe's word for the capability to take transfers: `active`, `inactive`, …
    pub transfers: &'a str,
    /// Stripe's word for why it is not active.
    pub disabled_reason: Option<&'a str>,
    /// When Stripe said so.
    pub as_of: String,
    /// The command that does it.
    pub command: String,
}

impl<'a> From<&'a Suggestion> for SuggestionView<'a> {
    fn from(suggestion: &'a Suggestion) -> Self {
        let of = &suggestion.of;
        Self {
            advice: suggestion.advice.as_str(),
            creator_id: of.creator_id.as_str(),
            stripe_account: &of.state.stripe_account,
            transfers: &of.state.transfers,
            disabled_reason: of.state.disabled_reason.as_deref(),
            as_of: of.state.as_of.to_string(),
            command: suggestion.command(),
        }
    }
}

/// How many events came to what. Also a line of CSV.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventCountView {
    /// `applied`, `reported`, `ignored` or `pending`.
    pub result: &'static str,
    /// Events that were looked at now.
    pub events: u64,
}

csv_fields!(EventCountView: result, events);

impl EventCountView {
    /// Of what a pull applied, in a fixed order.
    pub fn of(pulled: &Pulled) -> Vec<Self> {
        let applied = &pulled.applied;
        [
            (EventState::Applied, applied.applied),
            (EventState::Reported, applied.reported),
            (EventState::Ignored, applied.ignored),
            (EventState::Pending, applied.waiting),
        ]
        .into_iter()
        .map(|(state, events)| Self {
            result: state.as_str(),
            events,
        })
        .collect()
    }
}

/// What `events pull` says besides the counts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PullMembers<'a> {
    /// The first moment from which events are stored.
    pub from: Option<String>,
    /// Events before this moment are stored.
    pub until: Option<String>,
    /// Events that Stripe listed.
    pub listed: u64,
    /// Of these, the ones that had not come before.
    pub new: u64,
    /// Entries that could not be read, and are not stored.
    pub unreadable: u64,
    /// The time of which events may be missing, because Stripe lists them no more.
    pub gap: Option<GapView>,
    /// What was found now, by kind, as `reconcile` names them.
    pub findings: Vec<FoundView>,
    /// What may be done about creators whose Stripe accounts changed.
    pub suggestions: Vec<SuggestionView<'a>>,
    /// What the command exits with.
    pub exit_code: u8,
}

/// A time without events.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GapView {
    /// The first moment.
    pub from: Option<String>,
    /// The moment behind the last.
    pub until: Option<String>,
}

/// How often something was found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FoundView {
    /// The kind of the finding.
    pub kind: &'static str,
    /// How many events led to one.
    pub events: u64,
}

impl<'a> PullMembers<'a> {
    /// Of what a pull came to.
    pub fn of(pulled: &Pulled, suggestions: &'a [Suggestion], exit_code: u8) -> Self {
        let (from, until) = texts(pulled.period);
        let kinds = pulled.applied.kinds.iter();
        Self {
            from,
            until,
            listed: pulled.listed,
            new: pulled.new,
            unreadable: pulled.odd,
            gap: pulled
                .gap
                .map(texts)
                .map(|(from, until)| GapView { from, until }),
            findings: kinds
                .map(|(kind, events)| FoundView {
                    kind: kind.as_str(),
                    events: *events,
                })
                .collect(),
            suggestions: suggestions.iter().map(SuggestionView::from).collect(),
            exit_code,
        }
    }
}

fn texts(span: Span) -> (Option<String>, Option<String>) {
    let text = |time: Option<crate::model::time::Time>| time.map(|time| time.to_string());
    (text(span.from), text(span.until))
}

/// The events as a table.
pub fn events_table(ui: &Ui, events: &[StripeEvent]) -> String {
    if events.is_empty() {
        return "no events".to_owned();
    }
    let columns = [
        left("Event").shrinks_to(12),
        left("Happened").sacrificed(1),
        left("Type"),
        left("About").shrinks_to(12),
        left("State"),
        left("What became of it").shrinks_to(20),
    ];
    let cells = |event: &StripeEvent| {
        let tone = match event.state {
            EventState::Pending => table::Tone::Doubt,
            EventState::Reported => table::Tone::Bad,
            EventState::Applied | EventState::Ignored => table::Tone::Plain,
        };
        let about = event.payout_id.as_ref().map(PayoutId::as_str);
        let about = about.or(event.object_id.as_deref()).unwrap_or_default();
        vec![
            event.event_id.as_str().into(),
            minute(event.created_at).into(),
            event.kind.as_str().into(),
            about.into(),
            table::Value::toned(event.state.as_str(), tone),
            brief(event.outcome.as_deref().unwrap_or_default(), OUTCOME_MAX).into(),
        ]
    };
    table::render(ui, &columns, events.iter().map(cells).collect())
}

/// What a pull came to, for people.
pub fn pulled_text(pulled: &Pulled, counts: &[EventCountView]) -> String {
    let from = pulled.period.from.map(minute).unwrap_or_default();
    let mut lines = vec![format!(
        "{} since {from} UTC, {} new",
        count(pulled.listed, "event"),
        pulled.new
    )];
    let counted: Vec<String> = counts
        .iter()
        .filter(|line| line.events > 0)
        .map(|line| format!("{} {}", line.events, line.result))
        .collect();
    if !counted.is_empty() {
        lines.push(counted.join(", "));
    }
    lines.join("\n")
}
