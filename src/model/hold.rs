//! What must not be paid for now.

use crate::model::schema::payout_holds;
use crate::model::time::Time;
use crate::model::{text_column, text_enum};

text_enum! {
    /// What a hold applies to.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub enum HoldKind {
        /// One payout.
        Payout = "payout",
        /// All payouts of a creator.
        Creator = "creator",
        /// All payouts of a batch.
        Batch = "batch",
        /// Everything: the kill switch. Its target is the empty text.
        All = "all",
    }
}
text_column!(HoldKind);

/// One hold.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_holds, treat_none_as_default_value = false)]
pub struct Hold {
    /// What it applies to.
    pub kind: HoldKind,
    /// The payout, creator or batch id; empty for the switch.
    pub target: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// Since when.
    pub created_at: Time,
}
