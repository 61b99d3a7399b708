//! Bringing creators in, where the tables are our own.
//!
//! A creator has one id, one e-mail address (whatever its case) and at most one
//! Stripe account. The same row again is "already there"; a row that says
//! something else than what is stored is a fault, unless it was asked for.

use std::collections::HashMap;

use crate::model::creator::{Creator, CreatorUpdate, NewCreator};
use crate::model::ids::CreatorId;
use crate::ops::fault::{FaultKind, RowFault};
use crate::ops::import::{ImportError, Imported};
use crate::ops::table_file::{Arguments, Columns, Row, TableFile, one_row};
use crate::store::Store;
use crate::store::creators::{CreatorChanges, CreatorKeys, KnownCreators, email_key};

/// What a file of creators may say.
pub const COLUMNS: Columns = Columns {
    known: &["id", "name", "email", "stripe_account", "onboarding_status"],
    required: &[&["name"], &["email"]],
};

/// What the platform's software calls a creator who has not begun.
const ONBOARDING_DEFAULT: &str = "pending";

/// One creator as it was read. What was at fault is told already.
#[derive(Debug)]
struct CreatorInput {
    line: Option<u64>,
    id: Option<String>,
    name: String,
    email: String,
    stripe_account: Option<String>,
    onboarding_status: Option<String>,
}

impl CreatorInput {
    fn fault(&self, column: &str, kind: FaultKind, reason: impl Into<String>) -> RowFault {
        let value = match column {
            "id" => self.id.as_deref(),
            "name" => Some(self.name.as_str()),
            "email" => Some(self.email.as_str()),
            "stripe_account" => self.stripe_account.as_deref(),
            _ => self.onboarding_status.as_deref(),
        };
        RowFault::new(self.line, column, value.unwrap_or_default(), kind, reason)
    }
}

fn read_row(row: &Row<'_>, faults: &mut Vec<RowFault>) -> CreatorInput {
    for column in ["email", "stripe_account"] {
        let reason = row
            .cell(column)
            .and_then(|text| special_fault(column, text));
        faults.extend(reason.map(|reason| row.fault(column, FaultKind::Text, reason)));
    }
    let text = |column| row.cell(column).map(str::to_owned);
    CreatorInput {
        line: row.line,
        id: text("id"),
        name: row.required("name", faults).unwrap_or_default().to_owned(),
        email: row.required("email", faults).unwrap_or_default().to_owned(),
        stripe_account: text("stripe_account"),
        onboarding_status: text("onboarding_status"),
    }
}

/// What makes a text unfit for one column in particular.
fn special_fault(column: &str, text: &str) -> Option<String> {
    let plausible_email = || {
        let (name, host) = text.split_once('@')?;
        let plain = !text.contains(char::is_whitespace) && !host.contains('@');
        (plain && !name.is_empty() && !host.is_empty()).then_some(())
    };
    let plausible_account = || {
        let rest = text.strip_prefix("acct_")?;
        let plain = rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (plain && !rest.is_empty()).then_some(())
    };
    match column {
        "email" if plausible_email().is_none() => Some("not an e-mail address".to_owned()),
        "stripe_account" if plausible_account().is_none() => {
            Some("not a Stripe account id, which begins with acct_".to_owned())
        }
        _ => None,
    }
}

/// Imports a file: all of it or nothing. `update`: a row that differs replaces
/// name, e-mail address and Stripe account.
pub fn import(store: &mut Store, file: &TableFile, update: bool) -> Result<Imported, ImportError> {
    let table = file.rows(COLUMNS, read_row)?;
    write(store, &table.rows, table.faults, update)
}

/// Adds one creator, given under the names of a file's columns.
pub fn add(store: &mut Store, arguments: &Arguments<'_>) -> Result<Imported, ImportError> {
    let table = one_row(arguments, read_row);
    write(store, &table.rows, table.faults, false)
}

fn write(
    store: &mut Store,
    inputs: &[CreatorInput],
    mut faults: Vec<RowFault>,
    update: bool,
) -> Result<Imported, ImportError> {
    faults.extend(duplicates(inputs));
    let keys = CreatorKeys {
        ids: inputs.iter().filter_map(|i| i.id.as_deref()).collect(),
        emails: inputs.iter().map(|i| i.email.as_str()).collect(),
        accounts: inputs
            .iter()
            .filter_map(|i| i.stripe_account.as_deref())
            .collect(),
    };
    let mut already_there = 0;
    let written = store.creators_write(&keys, |known| {
        let mut changes = CreatorChanges::default();
        for input in inputs {
            match decide(input, known, update) {
                Ok(Step::Add(new)) => changes.new.push(new),
                Ok(Step::Update(change)) => changes.updates.push(change),
                Ok(Step::Nothing) => already_there += 1,
                Err(found) => faults.extend(found),
            }
        }
        if faults.is_empty() {
            return Ok(changes);
        }
        faults.sort_by_key(|fault| fault.line);
        Err(ImportError::Faults { faults })
    })?;
    Ok(Imported {
        added: written.new.len(),
        updated: written.updates.len(),
        already_there,
    })
}

/// What becomes of one row.
enum Step {
    Add(NewCreator),
    Update(CreatorUpdate),
    Nothing,
}

/// Holds a row against what is stored.
fn decide(
    input: &CreatorInput,
    known: &KnownCreators,
    update: bool,
) -> Result<Step, Vec<RowFault>> {
    let by_email = known.by_email(&input.email);
    let stored = match &input.id {
        Some(id) => known.by_id(id),
        None => by_email,
    };
    let is_another = |found: &&Creator| stored.is_none_or(|stored| stored.id != found.id);
    let taken = |column, other: &Creator| {
        let reason = format!("belongs to creator {} already", other.id);
        vec![input.fault(column, FaultKind::Differs, reason)]
    };
    if let Some(other) = by_email.filter(is_another) {
        return Err(taken("email", other));
    }
    if known.is_other_users(&input.email) {
        let reason = "belongs to a user who is no creator";
        return Err(vec![input.fault("email", FaultKind::Differs, reason)]);
    }
    let by_account = input
        .stripe_account
        .as_deref()
        .and_then(|text| known.by_account(text));
    if let Some(other) = by_account.filter(is_another) {
        return Err(taken("stripe_account", other));
    }
    let Some(stored) = stored else {
        return Ok(Step::Add(NewCreator {
            id: input.id.as_deref().map(CreatorId::new),
            name: input.name.clone(),
            email: input.email.clone(),
            stripe_account_id: input.stripe_account.clone(),
            onboarding_status: input
                .onboarding_status
                .clone()
                .unwrap_or_else(|| ONBOARDING_DEFAULT.to_owned()),
        }));
    };
    if stored.deleted_at.is_some() {
        let column = if input.id.is_some() { "id" } else { "email" };
        return Err(vec![input.fault(
            column,
            FaultKind::DeletedCreator,
            "the creator is deleted",
        )]);
    }
    let differences = differences(input, stored);
    if differences.is_empty() {
        return Ok(Step::Nothing);
    }
    let fixed = differences
        .iter()
        .any(|fault| fault.column == "onboarding_status");
    if update && !fixed {
        return Ok(Step::Update(CreatorUpdate {
            id: stored.id.clone(),
            name: input.name.clone(),
            email: input.email.clone(),
            stripe_account_id: input.stripe_account.clone(),
        }));
    }
    Err(differences)
}

/// The cells that say something else than what is stored. An empty optional
/// cell says nothing.
fn differences(input: &CreatorInput, stored: &Creator) -> Vec<RowFault> {
    let same_email = stored
        .email
        .as_ref()
        .is_some_and(|is| email_key(is) == email_key(&input.email));
    let cells = [
        ("name", Some(&input.name), Some(&stored.name)),
        (
            "email",
            Some(&input.email).filter(|_| !same_email),
            stored.email.as_ref(),
        ),
        (
            "stripe_account",
            input.stripe_account.as_ref(),
            stored.stripe_account_id.as_ref(),
        ),
        (
            "onboarding_status",
            input.onboarding_status.as_ref(),
            Some(&stored.onboarding_status),
        ),
    ];
    cells
        .into_iter()
        .filter(|(_, said, is)| said.is_some() && said != is)
        .map(|(column, _, is)| {
            let is = is.map_or("nothing", String::as_str);
            let reason = format!("creator {} has {is} here", stored.id);
            input.fault(column, FaultKind::Differs, reason)
        })
        .collect()
}

/// Rows that claim an id, an e-mail address or a Stripe account of an earlier row.
fn duplicates(inputs: &[CreatorInput]) -> Vec<RowFault> {
    let mut faults = Vec::new();
    let mut seen: HashMap<(&str, String), Option<u64>> = HashMap::new();
    for input in inputs {
        let claims = [
            ("id", input.id.clone()),
            (
                "email",
                Some(email_key(&input.email)).filter(|email| !email.is_empty()),
            ),
            ("stripe_account", input.stripe_account.clone()),
        ];
        for (column, claim) in claims {
            let Some(claim) = claim else { continue };
            if let Some(Some(first)) = seen.get(&(column, claim.clone())) {
                let reason = format!("line {first} has the same {column}");
                faults.push(input.fault(column, FaultKind::Duplicate, reason));
            } else {
                seen.insert((column, claim), input.line);
            }
        }
    }
    faults
}
