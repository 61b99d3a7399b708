//! Events of Stripe, as they are kept: what came, and what became of it.

use std::time::Duration;

use crate::model::ids::PayoutId;
use crate::model::schema::{payout_account_states, payout_stripe_events};
use crate::model::time::{Time, millis_of};
use crate::model::{text_column, text_enum};

/// What an event cannot be brought together with by itself waits so long for the
/// table to catch up: the run that made a transfer records it, other software marks
/// its row. Then a person is told.
pub const PATIENCE: Duration = Duration::from_secs(60 * 60);

text_enum! {
    /// How an event came.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub enum CameBy {
        /// Stripe delivered it.
        Listen = "listen",
        /// It was asked for.
        Pull = "pull",
    }
}
text_column!(CameBy);

text_enum! {
    /// Where an event stands.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub enum EventState {
        /// Stored, and not yet brought together with the table.
        Pending = "pending",
        /// The table says what it says.
        Applied = "applied",
        /// The two differ, and a finding says how.
        Reported = "reported",
        /// It means nothing here.
        Ignored = "ignored",
    }
}
text_column!(EventState);

/// A row of `payout_stripe_events`.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_stripe_events, treat_none_as_default_value = false)]
pub struct StripeEvent {
    /// `evt_…`.
    pub event_id: String,
    /// `transfer.created`, …
    pub kind: String,
    /// What it is about: `tr_…` or `acct_…`.
    pub object_id: Option<String>,
    /// The connected account it happened on; none for the platform's own.
    pub account: Option<String>,
    /// Real money.
    pub livemode: bool,
    /// The version in which the snapshot is written.
    pub api_version: Option<String>,
    /// When it happened, by Stripe's clock, whole seconds.
    pub created_at: Time,
    /// How it came first.
    pub came_by: CameBy,
    /// When it came first, by this machine's clock.
    pub received_at: Time,
    /// The object as it was then, JSON; none where it is fetched, and once it is settled.
    pub snapshot: Option<String>,
    /// Where it stands.
    pub state: EventState,
    /// How often applying it was tried.
    pub tries: i32,
    /// Since when it is not pending any more.
    pub settled_at: Option<Time>,
    /// The payout it turned out to be about.
    pub payout_id: Option<PayoutId>,
    /// What became of it, in words.
    pub outcome: Option<String>,
}

impl StripeEvent {
    /// Whether it has waited long enough for the table to catch up.
    pub fn has_waited(&self, now: Time) -> bool {
        now.millis_since(self.received_at) >= millis_of(PATIENCE)
    }
}

/// What became of an event that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventOutcome {
    /// `evt_…`.
    pub event_id: String,
    /// [`EventState::Pending`] where it is tried again.
    pub state: EventState,
    /// The payout it is about, where one is known.
    pub payout_id: Option<PayoutId>,
    /// For people.
    pub words: String,
}

/// A row of `payout_account_states`: what the newest event said of an account.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = payout_account_states, treat_none_as_default_value = false)]
pub struct AccountState {
    /// `acct_…`.
    pub stripe_account: String,
    /// Real money.
    pub livemode: bool,
    /// The capability `transfers`, in Stripe's word: `active`, `inactive`, `pending`, …
    pub transfers: String,
    /// Why it is not active, in Stripe's word.
    pub disabled_reason: Option<String>,
    /// The moment of that event, by Stripe's clock.
    pub as_of: Time,
    /// The event that said so.
    pub event_id: String,
    /// When it was applied here.
    pub seen_at: Time,
}

impl AccountState {
    /// Stripe's word for a capability that can be used.
    pub const ACTIVE: &'static str = "active";

    /// Whether the account can take transfers.
    pub fn is_active(&self) -> bool {
        self.transfers == Self::ACTIVE
    }

    /// Whether this replaces what another event said. Stripe's moments are whole
    /// seconds: of two in the same one, that the account cannot be paid counts, as a
    /// suggestion too many does no harm. The order in which the two came decides
    /// nothing.
    pub fn supersedes(&self, other: &Self) -> bool {
        let rank = |state: &Self| (state.as_of, !state.is_active(), state.event_id.clone());
        rank(self) > rank(other)
    }

    /// What Stripe says, in words for people.
    pub fn in_words(&self) -> String {
        match &self.disabled_reason {
            Some(reason) => format!("transfers {} ({reason})", self.transfers),
            None => format!("transfers {}", self.transfers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state(second: i64, transfers: &str, event: u8) -> AccountState {
        AccountState {
            stripe_account: "acct_1".to_owned(),
            livemode: false,
            transfers: transfers.to_owned(),
            disabled_reason: None,
            as_of: Time::from_unix_seconds(second),
            event_id: format!("evt_{event}"),
            seen_at: Time::from_millis(0),
        }
    }

    #[test]
    fn the_newest_wins_and_in_one_second_the_bad_news() {
        let (active, inactive) = (state(1, "active", 1), state(1, "inactive", 0));
        assert!(inactive.supersedes(&active) && !active.supersedes(&inactive));
        assert!(state(2, "active", 0).supersedes(&inactive));
        assert!(!active.supersedes(&active.clone()));
    }

    proptest! {
        #[test]
        fn the_order_of_events_decides_nothing(
            mut events in prop::collection::vec((0_i64..4, any::<bool>(), any::<u8>()), 1..12),
            order in any::<u64>(),
        ) {
            let last = |events: &[(i64, bool, u8)]| {
                let mut kept: Option<AccountState> = None;
                for (second, active, event) in events {
                    let next = state(*second, if *active { "active" } else { "inactive" }, *event);
                    if kept.as_ref().is_none_or(|kept| next.supersedes(kept)) {
                        kept = Some(next);
                    }
                }
                kept
            };
            let in_order = last(&events);
            fastrand::Rng::with_seed(order).shuffle(&mut events);
            prop_assert_eq!(last(&events), in_order);
        }
    }
}
