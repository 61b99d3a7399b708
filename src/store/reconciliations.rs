//! What each comparison with Stripe came to.

use diesel::prelude::*;

use crate::model::payout::PayoutStatus;
use crate::model::reconciliation::Reconciliation;
use crate::model::schema::{payout_reconciliations, payouts};
use crate::model::time::Span;
use crate::store::dialect::{self};
use crate::store::{Store, StoreError};

impl Store {
    /// How many payouts were recorded as paid in the period, and their sum, minor units.
    pub fn payouts_paid_in(&mut self, period: Span) -> Result<(i64, i64), StoreError> {
        let mut query = payouts::table
            .filter(payouts::status.eq(PayoutStatus::Completed))
            .select((diesel::dsl::count_star(), dialect::sum_amount_cents()))
            .into_boxed();
        if let Some(from) = period.from {
            query = query.filter(payouts::processed_at.assume_not_null().ge(from));
        }
        if let Some(until) = period.until {
            query = query.filter(payouts::processed_at.assume_not_null().lt(until));
        }
        self.read(|conn| Ok(query.first(conn)?))
    }

    /// Keeps what a comparison came to.
    pub fn reconciliation_keep(
        &mut self,
        reconciliation: &Reconciliation,
    ) -> Result<(), StoreError> {
        self.write(|conn| {
            diesel::insert_into(payout_reconciliations::table)
                .values(reconciliation)
                .execute(conn)?;
            Ok(())
        })
    }
}
