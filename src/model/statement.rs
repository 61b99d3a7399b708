//! Royalty statements: what the platform says it owes. The platform owns them.

use crate::model::ids::{CreatorId, StatementId};
pub use crate::model::native_enum::RoyaltyStatementStatus;
use crate::model::schema::royalty_statements;
use crate::model::time::Time;

/// A row of `royalty_statements`.
#[derive(Debug, Clone, PartialEq, Eq, diesel::prelude::Queryable, diesel::prelude::Selectable)]
#[diesel(table_name = royalty_statements)]
pub struct Statement {
    /// Primary key.
    pub id: StatementId,
    /// The run that calculated it.
    pub royalty_run_id: String,
    /// Whom it is owed to.
    pub creator_id: CreatorId,
    /// Before the platform's fee, minor units.
    pub total_earnings_cents: i32,
    /// The platform's fee, minor units.
    pub platform_fee_cents: i32,
    /// What is owed, minor units.
    pub net_payable_cents: i32,
    /// Where it stands.
    pub status: RoyaltyStatementStatus,
    /// When the creator objected.
    pub disputed_at: Option<Time>,
    /// When its payouts covered it.
    pub paid_at: Option<Time>,
    /// The transfer that covered it.
    pub payment_reference: Option<String>,
    /// When the row was made.
    pub created_at: Time,
    /// When any column last changed.
    pub updated_at: Time,
}
