//! The JSON contract as JSON Schema: for each command, what its JSON looks like.
//!
//! Made from the structs that are printed, so that names, types and descriptions
//! have one home. What no type says is `ANSWERS`: which command prints which of
//! them. The tests hold every answer they see against it.
//!
//! Every field is required, because what is not known is null and never missing.
//! Further fields are allowed, because a later version may add some.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::output::backup::{BackupMembers, TableView};
use crate::output::batches::BatchProgressView;
use crate::output::check::{AlertView, CheckMembers};
use crate::output::events::{EventCountView, EventView, EventsMembers, PullMembers};
use crate::output::history_check::{HistoryFindingView, HistoryMembers};
use crate::output::json::{
    CheckView, DoctorMembers, ExitView, ListMembers, MigrationSqlView, MigrationView, PageMembers,
    PayoutView, RecordView,
};
use crate::output::json_control::{
    ApproveMembers, CancelMembers, HoldLineView, MovedView, ResolveMembers, ResolveView,
    RetryMembers,
};
use crate::output::json_process::{PlanMembers, PlanView, ResultView, RunMembers};
use crate::output::json_records::{
    BatchShowView, CreateRow, CreateView, CreatorShowView, CreatorView, FaultView, FaultsView,
    ImportRow, ImportView, StatementShowView, StatementView,
};
use crate::output::log::{ALWAYS, FIELDS};
use crate::output::notifications::{
    MailCountView, NotificationView, NotifyMembers, OutboxMembers, PreviewView, SwitchView,
};
use crate::output::receipt::{ReceiptShowView, ReceiptView};
use crate::output::reconcile::{FindingView, ReconcileMembers};
use crate::output::report::{PeriodMembers, ReportLineView, ReportMembers, ReportRowView};
use crate::output::runs::{RunShowView, RunView, RunsMembers};
use crate::output::stats::{StatsMembers, StatsView};
use crate::output::{SCHEMA, envelope};

/// The name under which a command's schema has the lines of its ndjson.
pub const LINE: &str = "line";

/// Adds a type to the definitions, and refers to it.
type Refer = fn(&mut SchemaGenerator) -> Schema;

/// One shape of a command's answer.
enum Shape {
    /// Rows under a name, which are the lines of ndjson, and further members.
    Rows {
        name: &'static str,
        row: Refer,
        members: Refer,
    },
    /// An object of its own, and the lines that ndjson makes of it.
    Whole {
        object: Refer,
        lines: &'static [Refer],
    },
}

/// An answer made with [`Answer`](super::Answer), or written row by row.
const fn rows<R: JsonSchema, M: JsonSchema>(name: &'static str) -> Shape {
    Shape::Rows {
        name,
        row: refer::<R>,
        members: M::json_schema,
    }
}

/// An answer printed with [`record::print`](super::record::print).
const fn whole<T: JsonSchema>(lines: &'static [Refer]) -> Shape {
    Shape::Whole {
        object: refer::<T>,
        lines,
    }
}

fn refer<T: JsonSchema>(types: &mut SchemaGenerator) -> Schema {
    types.subschema_for::<T>()
}

/// What each command prints. One that does something else when a flag asks for it
/// has more than one shape.
const ANSWERS: &[(&str, &[Shape])] = &[
    (
        "create",
        &[whole::<CreateView<'_>>(&[
            refer::<CreateRow>,
            refer::<PayoutView<'_>>,
            refer::<FaultView>,
        ])],
    ),
    (
        "list",
        &[rows::<PayoutView<'_>, ListMembers<'_>>("payouts")],
    ),
    ("show", &[rows::<RecordView<'_>, ()>("payouts")]),
    (
        "receipt",
        &[whole::<ReceiptShowView<'_>>(&[refer::<ReceiptView<'_>>])],
    ),
    (
        "process",
        &[
            rows::<ResultView, RunMembers<'_>>("results"),
            rows::<PlanView<'_>, PlanMembers<'_>>("plan"),
        ],
    ),
    ("retry", &[rows::<MovedView<'_>, RetryMembers>("payouts")]),
    (
        "resolve",
        &[rows::<ResolveView<'_>, ResolveMembers>("payouts")],
    ),
    (
        "reconcile",
        &[
            rows::<FindingView<'_>, ReconcileMembers<'_>>("findings"),
            rows::<FindingView<'_>, ()>("findings"),
            whole::<FaultsView>(&[refer::<FaultView>]),
        ],
    ),
    ("hold", &[rows::<HoldLineView<'_>, ()>("holds")]),
    ("release", &[rows::<HoldLineView<'_>, ()>("holds")]),
    (
        "approve",
        &[rows::<MovedView<'_>, ApproveMembers>("payouts")],
    ),
    ("cancel", &[rows::<MovedView<'_>, CancelMembers>("payouts")]),
    (
        "creators list",
        &[rows::<CreatorView, PageMembers<'_>>("creators")],
    ),
    (
        "creators show",
        &[whole::<CreatorShowView<'_>>(&[refer::<CreatorView>])],
    ),
    (
        "creators add",
        &[
            whole::<CreatorShowView<'_>>(&[refer::<CreatorView>]),
            whole::<ImportView>(&[refer::<FaultView>]),
        ],
    ),
    ("creators import", IMPORT),
    (
        "statements list",
        &[rows::<StatementView, PageMembers<'_>>("statements")],
    ),
    (
        "statements show",
        &[whole::<StatementShowView>(&[refer::<StatementView>])],
    ),
    (
        "statements add",
        &[
            whole::<StatementShowView>(&[refer::<StatementView>]),
            whole::<ImportView>(&[refer::<FaultView>]),
        ],
    ),
    ("statements import", IMPORT),
    (
        "batches list",
        &[rows::<BatchProgressView, PageMembers<'_>>("batches")],
    ),
    (
        "batches show",
        &[whole::<BatchShowView<'_>>(&[refer::<BatchProgressView>])],
    ),
    ("runs list", &[rows::<RunView<'_>, RunsMembers<'_>>("runs")]),
    (
        "runs show",
        &[whole::<RunShowView<'_>>(&[refer::<RunView<'_>>])],
    ),
    (
        "report",
        &[
            rows::<ReportRowView<'_>, ReportMembers<'_>>("payouts"),
            rows::<ReportLineView, PeriodMembers<'_>>("lines"),
        ],
    ),
    ("stats", &[rows::<StatsView, StatsMembers<'_>>("stats")]),
    (
        "events pull",
        &[rows::<EventCountView, PullMembers<'_>>("results")],
    ),
    (
        "events list",
        &[rows::<EventView<'_>, EventsMembers<'_>>("events")],
    ),
    (
        "notify",
        &[
            rows::<MailCountView, NotifyMembers<'_>>("results"),
            rows::<PreviewView, ()>("mails"),
        ],
    ),
    (
        "notify list",
        &[rows::<NotificationView<'_>, OutboxMembers<'_>>("mails")],
    ),
    ("notify on", &[rows::<SwitchView<'_>, ()>("switches")]),
    ("notify off", &[rows::<SwitchView<'_>, ()>("switches")]),
    (
        "migrate",
        &[
            rows::<MigrationView, ()>("migrations"),
            rows::<MigrationSqlView, ()>("migrations"),
        ],
    ),
    (
        "check",
        &[rows::<AlertView<'_>, CheckMembers<'_>>("alerts")],
    ),
    (
        "doctor",
        &[
            rows::<CheckView<'_>, DoctorMembers<'_>>("checks"),
            rows::<HistoryFindingView<'_>, HistoryMembers>("findings"),
        ],
    ),
    ("backup", &[rows::<TableView<'_>, BackupMembers>("tables")]),
    ("help exit-codes", &[rows::<ExitView, ()>("exit_codes")]),
];

const IMPORT: &[Shape] = &[whole::<ImportView>(&[
    refer::<ImportRow>,
    refer::<FaultView>,
])];

/// The commands that have a schema, such as `creators show`.
pub fn commands() -> impl Iterator<Item = &'static str> {
    ANSWERS.iter().map(|(command, _)| *command)
}

/// The JSON Schema, draft 2020-12, of what a command prints with `-o json`; a line
/// of its ndjson is the definition [`LINE`]. `None` when it prints none.
pub fn of(command: &str) -> Option<Value> {
    let (_, shapes) = ANSWERS.iter().find(|(name, _)| *name == command)?;
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let meta_schema = settings.meta_schema.clone();
    let mut types = settings.into_generator();
    let (mut objects, mut lines) = (Vec::new(), Vec::new());
    for shape in *shapes {
        match shape {
            Shape::Rows { name, row, members } => {
                let row = row(&mut types);
                let members = members(&mut types);
                objects.push(envelope(name, &row, members));
                lines.push(row);
            }
            Shape::Whole { object, lines: of } => {
                objects.push(object(&mut types));
                lines.extend(of.iter().map(|line| line(&mut types)));
            }
        }
    }
    lines.dedup();
    let mut definitions = types.take_definitions(true);
    definitions.insert(LINE.to_owned(), any_of(lines).to_value());
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!(meta_schema));
    schema.insert("title".to_owned(), json!(format!("payouts {command}")));
    schema.extend(any_of(objects).as_object().cloned().unwrap_or_default());
    schema.insert("$defs".to_owned(), Value::Object(definitions));
    Some(Value::Object(schema))
}

/// One of them alone, or any: an empty list can be of several shapes.
fn any_of(mut schemas: Vec<Schema>) -> Schema {
    match schemas.len() {
        1 => schemas.remove(0),
        _ => schemars::json_schema!({"anyOf": schemas}),
    }
}

/// The name under which the lines of the log have a schema.
pub const LOG: &str = "log";

/// The JSON Schema of a line of `--log-format json`.
pub fn of_log() -> Value {
    let fields = FIELDS.iter().map(|(name, kind, meaning)| {
        let field = json!({"type": kind, "description": meaning});
        ((*name).to_owned(), field)
    });
    json!({
        "$schema": SchemaSettings::draft2020_12().meta_schema,
        "title": "a line of --log-format json",
        "type": "object",
        "properties": fields.collect::<Map<_, _>>(),
        "required": ALWAYS,
    })
}

/// The schemas of all commands by their names.
pub fn all() -> Value {
    let schemas: Map<String, Value> = commands()
        .filter_map(|command| Some((command.to_owned(), of(command)?)))
        .collect();
    json!({"schema": SCHEMA, "commands": schemas, "log": of_log()})
}
