//! What must not be paid for now.

use std::fmt;

use crate::model::ids::BatchId;
use crate::model::ids::RunId;
use crate::model::schema::{payout_hold_releases, payout_holds};
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
    /// From then on it holds nothing any more; none where somebody must let go.
    pub ends_at: Option<Time>,
}

/// A hold that was lifted: who had set it, and who let go.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_hold_releases, treat_none_as_default_value = false)]
pub struct HoldRelease {
    /// What it applied to.
    pub kind: HoldKind,
    /// The payout, creator or batch id; empty for the switch.
    pub target: String,
    /// Why it was held.
    pub reason: String,
    /// Who held it.
    pub held_by: String,
    /// Since when.
    pub held_at: Time,
    /// The run that lifted it.
    pub run_id: RunId,
    /// Who lifted it.
    pub released_by: String,
    /// When.
    pub released_at: Time,
    /// Why, if somebody said.
    pub note: Option<String>,
}

/// What a hold is set on, or lifted from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HoldTarget {
    /// What it is.
    pub kind: HoldKind,
    /// The payout, creator or batch id; empty for the switch.
    pub id: String,
}

impl HoldTarget {
    /// Everything: the kill switch.
    pub fn all() -> Self {
        Self {
            kind: HoldKind::All,
            id: String::new(),
        }
    }
}

impl fmt::Display for HoldTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            HoldKind::All => f.write_str("everything"),
            kind => write!(f, "{kind} {}", self.id),
        }
    }
}

/// A batch that a person names to have it paid. Naming it releases the hold that
/// every new batch is created with, for that run; a hold that somebody set since
/// stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedBatch {
    /// Which.
    pub id: BatchId,
    /// When it was loaded: the hold of a new batch bears the same moment.
    pub loaded_at: Time,
}

impl NamedBatch {
    /// Whether naming the batch releases a hold on it that stands since then.
    pub fn releases(&self, held_since: Time) -> bool {
        held_since == self.loaded_at
    }
}
