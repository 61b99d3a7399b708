//! Holding a row against what is stored; pure.

use crate::model::creator::Creator;
use crate::model::ids::{PayoutId, StatementId};
use crate::model::money::{Currency, with_currency};
use crate::model::statement::StatementRefusal;
use crate::ops::create::rows::WantedRow;
use crate::ops::create::{Creators, DELETED_CREATOR, Rules};
use crate::ops::fault::{FaultKind, RowFault};
use crate::store::creators::NamedCreator;
use crate::store::payout_create::{CreationFacts, KnownReference, PayoutContent, PlannedPayout};

/// What becomes of a row without a fault.
pub(super) enum Verdict<'f> {
    Create(PlannedPayout, &'f Creator),
    AlreadyLoaded(PayoutId),
}

/// Holds a row against what is stored. Its verdict counts where nothing is at fault.
pub(super) fn decide<'f>(
    row: &WantedRow,
    facts: &CreationFacts,
    creators: &'f Creators,
    rules: &Rules,
    faults: &mut Vec<RowFault>,
) -> Option<Verdict<'f>> {
    let known = row
        .reference
        .as_ref()
        .and_then(|reference| facts.references.get(reference));
    let creator = row.creator.as_deref().and_then(|text| {
        named_creator(row, text, creators)
            .map_err(|fault| faults.push(fault))
            .ok()
    });
    let (creator, amount_cents) = (creator?, row.amount_cents?);
    let content = PayoutContent {
        creator_id: creator.id.clone(),
        amount_cents,
        statement_id: row.statement.clone(),
    };
    if let Some(known) = known {
        return match difference(known, &content, rules.currency) {
            None => Some(Verdict::AlreadyLoaded(known.payout_id.clone())),
            Some(reason) => {
                let reference = row.reference.as_deref().unwrap_or_default();
                faults.push(row.fault("reference", reference, FaultKind::Differs, reason));
                None
            }
        };
    }
    if creator.deleted_at.is_some() {
        let text = row.creator.as_deref().unwrap_or_default();
        faults.push(row.fault("creator", text, FaultKind::DeletedCreator, DELETED_CREATOR));
    }
    faults.extend(limit_fault(row, amount_cents, rules));
    if let Some(statement) = &row.statement {
        match row.statement_before {
            Some(first) => {
                let reason = format!("line {first} pays the same statement; one at a time");
                faults.push(row.fault(
                    "statement",
                    statement.as_str(),
                    FaultKind::Duplicate,
                    reason,
                ));
            }
            None => faults.extend(statement_fault(row, statement, &content, facts, rules)),
        }
    }
    let planned = PlannedPayout {
        content,
        reference: row.reference.clone(),
        line: row.line.and_then(|line| i32::try_from(line).ok()),
        reason: None,
    };
    Some(Verdict::Create(planned, creator))
}

/// The one creator a row names.
pub(super) fn named_creator<'f>(
    row: &WantedRow,
    text: &str,
    creators: &'f Creators,
) -> Result<&'f Creator, RowFault> {
    match creators.get(text).and_then(Option::as_ref) {
        Some(named) => named
            .only()
            .map_err(|reason| row.fault("creator", text, FaultKind::AmbiguousCreator, reason)),
        None => Err(row.fault(
            "creator",
            text,
            FaultKind::UnknownCreator,
            NamedCreator::UNKNOWN,
        )),
    }
}

/// In what a payment differs from what its reference stands for already.
pub(super) fn difference(
    known: &KnownReference,
    wanted: &PayoutContent,
    currency: Currency,
) -> Option<String> {
    let id = &known.payout_id;
    let Some(stored) = &known.content else {
        return Some(format!("was used for payout {id}, which is gone"));
    };
    let mut parts = Vec::new();
    if stored.creator_id != wanted.creator_id {
        parts.push(format!("for creator {}", stored.creator_id));
    }
    if stored.amount_cents != wanted.amount_cents {
        parts.push(format!(
            "over {}",
            with_currency(i64::from(stored.amount_cents), currency)
        ));
    }
    if stored.statement_id != wanted.statement_id {
        parts.push(match &stored.statement_id {
            Some(statement) => format!("for statement {statement}"),
            None => "for no statement".to_owned(),
        });
    }
    (!parts.is_empty()).then(|| format!("stands for payout {id} already, {}", parts.join(", ")))
}

pub(super) fn limit_fault(row: &WantedRow, amount_cents: i32, rules: &Rules) -> Option<RowFault> {
    let beyond = rules.limits().check(amount_cents.into()).err()?;
    Some(row.amount_fault(FaultKind::Limit, beyond.to_string()))
}

pub(super) fn statement_fault(
    row: &WantedRow,
    statement: &StatementId,
    content: &PayoutContent,
    facts: &CreationFacts,
    rules: &Rules,
) -> Option<RowFault> {
    let fault = |kind, reason| Some(row.fault("statement", statement.as_str(), kind, reason));
    let Some(account) = facts.statements.get(statement) else {
        return fault(FaultKind::Statement, "no statement has this id".to_owned());
    };
    match account.may_create(
        &content.creator_id,
        content.amount_cents,
        rules.currency,
        rules.partial,
    ) {
        Ok(()) => None,
        Err(refusal @ StatementRefusal::Partial { .. }) => {
            fault(FaultKind::Partial, refusal.to_string())
        }
        Err(refusal) => fault(FaultKind::Statement, refusal.to_string()),
    }
}
