//! One payout with all that belongs to it, found by whatever name a person has
//! for it. Nothing here writes.

use std::collections::HashMap;

use diesel::prelude::*;

use crate::model::attempt::{AnswerRow, Attempt};
use crate::model::creator::{Creator, CreatorRow};
use crate::model::hold::{Hold, HoldKind};
use crate::model::ids::{BatchId, CreatorId, PayoutId};
use crate::model::listing::ListRules;
use crate::model::payout::Payout;
use crate::model::reconciliation::{Finding, FindingState};
use crate::model::record::{AttemptRecord, PayoutRecord};
use crate::model::schema::{
    creators, payout_answers, payout_attempts, payout_batch_items, payout_batches, payout_findings,
    payout_history, payout_holds, payouts, royalty_statements, users,
};
use crate::model::time::Time;
use crate::store::connection::AnyConnection;
use crate::store::doubt::all_look_ups_of;
use crate::store::holds::standing;
use crate::store::payouts::listed_of;
use crate::store::reversals::steps_of as reversal_steps_of;
use crate::store::statements::{StatementPayouts, statement_payouts_in_tx};
use crate::store::{Store, StoreError, candidates};

impl Store {
    /// The payouts a person means by `text`: an id, a reference, a transfer
    /// (`tr_…`), or the request id (`req_…`) of an answer. One payout may have
    /// another's id as its reference: all of them are meant.
    pub fn payouts_named(&mut self, text: &str) -> Result<Vec<PayoutId>, StoreError> {
        self.read(|conn| {
            let mut found: Vec<PayoutId> = payouts::table
                .filter(
                    payouts::id
                        .eq(text)
                        .or(payouts::stripe_transfer_id.eq(text)),
                )
                .select(payouts::id)
                .load(conn)?;
            found.extend(
                payout_batch_items::table
                    .filter(payout_batch_items::reference.eq(text))
                    .select(payout_batch_items::payout_id)
                    .load::<PayoutId>(conn)?,
            );
            found.extend(
                payout_attempts::table
                    .filter(payout_attempts::transfer_id.eq(text))
                    .select(payout_attempts::payout_id)
                    .load::<PayoutId>(conn)?,
            );
            found.extend(
                payout_answers::table
                    .filter(payout_answers::request_id.eq(text))
                    .select(payout_answers::payout_id)
                    .load::<PayoutId>(conn)?,
            );
            // No index leads to the request id of an attempt; every answer has one that does.
            if found.is_empty() && text.starts_with("req_") {
                found = payout_attempts::table
                    .filter(payout_attempts::request_id.eq(text))
                    .select(payout_attempts::payout_id)
                    .load(conn)?;
            }
            found.sort();
            found.dedup();
            Ok(found)
        })
    }

    /// All there is on one payout, of one state of the database.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no payout of this id.
    pub fn payout_record(
        &mut self,
        id: &PayoutId,
        rules: &ListRules,
    ) -> Result<PayoutRecord, StoreError> {
        let now = self.clock.now();
        self.read(|conn| record_in_tx(conn, id, rules, now))
    }

    /// The same, and the statement that it settles with all its payouts, of one state
    /// of the database.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no payout of this id.
    pub fn payout_record_with_statement(
        &mut self,
        id: &PayoutId,
        rules: &ListRules,
    ) -> Result<(PayoutRecord, Option<StatementPayouts>), StoreError> {
        let now = self.clock.now();
        self.read(|conn| {
            let record = record_in_tx(conn, id, rules, now)?;
            let statement = match &record.listed.payout.royalty_statement_id {
                None => None,
                Some(statement) => statement_payouts_in_tx(conn, statement)?,
            };
            Ok((record, statement))
        })
    }

    /// The hold of this kind that keeps a payout back, if one does.
    pub fn hold_behind(
        &mut self,
        id: &PayoutId,
        kind: HoldKind,
    ) -> Result<Option<Hold>, StoreError> {
        let now = self.clock.now();
        self.read(|conn| {
            let found: Option<(Payout, Option<BatchId>)> = payouts::table
                .left_join(
                    payout_batch_items::table.on(payout_batch_items::payout_id.eq(payouts::id)),
                )
                .filter(payouts::id.eq(id))
                .select((Payout::as_select(), payout_batch_items::batch_id.nullable()))
                .first(conn)
                .optional()?;
            let Some((payout, batch)) = found else {
                return Ok(None);
            };
            let batch = batch.as_ref().map(BatchId::as_str);
            let holds = holds_on(conn, &payout, batch, now)?;
            Ok(holds.into_iter().find(|hold| hold.kind == kind))
        })
    }
}

fn record_in_tx(
    conn: &mut AnyConnection,
    id: &PayoutId,
    rules: &ListRules,
    now: Time,
) -> Result<PayoutRecord, StoreError> {
    let ids = std::slice::from_ref(id);
    let listed = listed_of(conn, ids, rules, now)?
        .pop()
        .ok_or(StoreError::NotFound)?;
    let payout = &listed.payout;
    Ok(PayoutRecord {
        candidate: candidates::candidates(conn, ids, now, true)?.pop(),
        creator: creator_of(conn, &payout.creator_id)?,
        statement: match &payout.royalty_statement_id {
            None => None,
            Some(statement) => royalty_statements::table
                .filter(royalty_statements::id.eq(statement))
                .first(conn)
                .optional()?,
        },
        batch: match &listed.batch_id {
            None => None,
            Some(batch) => payout_batches::table
                .filter(payout_batches::id.eq(batch))
                .first(conn)
                .optional()?,
        },
        item: payout_batch_items::table
            .filter(payout_batch_items::payout_id.eq(id))
            .first(conn)
            .optional()?,
        holds: holds_on(
            conn,
            payout,
            listed.batch_id.as_ref().map(BatchId::as_str),
            now,
        )?,
        attempts: attempts_of(conn, id)?,
        look_ups: all_look_ups_of(conn, id)?,
        reversals: reversal_steps_of(conn, id)?,
        history: payout_history::table
            .filter(payout_history::payout_id.eq(id))
            .order(payout_history::seq)
            .load(conn)?,
        findings: findings_on(conn, id)?,
        listed,
    })
}

fn creator_of(conn: &mut AnyConnection, id: &CreatorId) -> Result<Option<Creator>, StoreError> {
    let found: Option<(CreatorRow, Option<String>)> = creators::table
        .left_join(users::table)
        .filter(creators::id.eq(id))
        .select((CreatorRow::as_select(), users::email.nullable()))
        .first(conn)
        .optional()?;
    Ok(found.map(|(row, email)| row.with_email(email)))
}

fn holds_on(
    conn: &mut AnyConnection,
    payout: &Payout,
    batch: Option<&str>,
    now: Time,
) -> Result<Vec<Hold>, StoreError> {
    let on = |kind: HoldKind, target: &str| {
        payout_holds::kind
            .eq(kind)
            .and(payout_holds::target.eq(target.to_owned()))
    };
    Ok(payout_holds::table
        .filter(
            payout_holds::kind
                .eq(HoldKind::All)
                .or(on(HoldKind::Payout, payout.id.as_str()))
                .or(on(HoldKind::Creator, payout.creator_id.as_str()))
                // No batch has the empty id.
                .or(on(HoldKind::Batch, batch.unwrap_or_default())),
        )
        .filter(standing(now))
        .order((payout_holds::created_at, payout_holds::kind))
        .load(conn)?)
}

/// What was found about a payout and is not repaired, the gravest kinds first.
fn findings_on(conn: &mut AnyConnection, id: &PayoutId) -> Result<Vec<Finding>, StoreError> {
    let mut found: Vec<Finding> = payout_findings::table
        .filter(payout_findings::payout_id.eq(id))
        .filter(payout_findings::state.ne(FindingState::Fixed))
        .order(payout_findings::id)
        .load(conn)?;
    found.sort_by_key(|finding| finding.kind);
    Ok(found)
}

fn attempts_of(conn: &mut AnyConnection, id: &PayoutId) -> Result<Vec<AttemptRecord>, StoreError> {
    let attempts: Vec<Attempt> = payout_attempts::table
        .filter(payout_attempts::payout_id.eq(id))
        .order(payout_attempts::attempt)
        .load(conn)?;
    let answers: Vec<AnswerRow> = payout_answers::table
        .filter(payout_answers::payout_id.eq(id))
        .order((payout_answers::attempt, payout_answers::send))
        .load(conn)?;
    let mut by_attempt: HashMap<i32, Vec<AnswerRow>> = HashMap::new();
    for answer in answers {
        by_attempt.entry(answer.attempt).or_default().push(answer);
    }
    Ok(attempts
        .into_iter()
        .map(|attempt| AttemptRecord {
            answers: by_attempt.remove(&attempt.attempt).unwrap_or_default(),
            attempt,
        })
        .collect())
}
