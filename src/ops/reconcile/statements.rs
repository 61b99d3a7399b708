//! Statements that say something else than their payouts.

use crate::model::ids::{PayoutId, StatementId};
use crate::model::money::{Currency, with_currency};
use crate::model::reconciliation::{Discrepancy, FindingKind};
use crate::ops::reconcile::Comparison;
use crate::ops::run_error::RunError;
use crate::store::statement_marks::{StatementReversed, StatementsToMark};

impl Comparison<'_> {
    /// Covered statements that are not marked; then those that are marked, and of which
    /// all that paid them was taken back.
    pub(super) async fn statements(&mut self) -> Result<(), RunError> {
        let mut after: Option<StatementId> = None;
        loop {
            let behind = after.clone();
            let StatementsToMark { unmarked, last } = self
                .examiner
                .db
                .call(move |store| store.statements_to_mark(behind.as_ref()))
                .await?;
            let found = unmarked
                .into_iter()
                .map(|(account, payout)| Discrepancy {
                    kind: FindingKind::StatementNotMarked,
                    payout_id: Some(payout.id),
                    attempt: None,
                    transfer_id: None,
                    subject: None,
                    at_stake_cents: None,
                    expected: Some("PAID".to_owned()),
                    found: format!(
                        "statement {} is {}",
                        account.statement.id, account.statement.status
                    ),
                })
                .collect();
            self.examiner.keep(Vec::new(), found).await?;
            let Some(last) = last else { break };
            after = Some(last);
        }
        let mut after: Option<PayoutId> = None;
        loop {
            let behind = after.clone();
            let (reversed, last) = self
                .examiner
                .db
                .call(move |store| store.statements_reversed(behind.as_ref()))
                .await?;
            let currency = self.examiner.terms.currency;
            let found = reversed
                .into_iter()
                .map(|reversed| reversed_finding(reversed, currency))
                .collect();
            self.examiner.keep(Vec::new(), found).await?;
            let Some(last) = last else { return Ok(()) };
            after = Some(last);
        }
    }
}

/// The statement of a payout that was taken back is told, and stays as it is: only a
/// person knows whether it is owed again.
fn reversed_finding(reversed: StatementReversed, currency: Currency) -> Discrepancy {
    let StatementReversed { account, payout } = reversed;
    Discrepancy {
        kind: FindingKind::StatementReversed,
        payout_id: Some(payout),
        attempt: None,
        transfer_id: None,
        subject: Some(account.statement.id.as_str().to_owned()),
        at_stake_cents: Some(account.reversed_cents),
        expected: Some(format!("statement {} is PAID", account.statement.id)),
        found: format!(
            "{} taken back",
            with_currency(account.reversed_cents, currency)
        ),
    }
}
