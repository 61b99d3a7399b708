//! Royalty statements: what the platform says it owes. The platform owns them.

use crate::model::ids::{CreatorId, PayoutId, StatementId};
use crate::model::money::{Currency, with_currency};
pub use crate::model::native_enum::{RoyaltyRunStatus, RoyaltyStatementStatus};
use crate::model::schema::{royalty_runs, royalty_statements};
use crate::model::time::Time;

/// A row of `royalty_statements`.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = royalty_statements, treat_none_as_default_value = false)]
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

/// A row of `royalty_runs`: the period that statements are about.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    diesel::prelude::Queryable,
    diesel::prelude::Selectable,
    diesel::prelude::Insertable,
)]
#[diesel(table_name = royalty_runs, treat_none_as_default_value = false)]
pub struct RoyaltyRun {
    /// Primary key.
    pub id: String,
    /// The first moment of the period.
    pub period_start: Time,
    /// The last.
    pub period_end: Time,
    /// Where it stands.
    pub status: RoyaltyRunStatus,
    /// When the row was made.
    pub created_at: Time,
    /// When any column last changed.
    pub updated_at: Time,
}

/// A statement and what its payouts did with it, read under its row lock when a
/// payout is about to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementAccount {
    /// The row.
    pub statement: Statement,
    /// Sum of its COMPLETED payouts, minor units.
    pub completed_cents: i64,
    /// Of that sum, what was taken back at Stripe.
    pub reversed_cents: i64,
    /// Sum of its PENDING and PROCESSING payouts, minor units.
    pub in_flight_cents: i64,
    /// One of those.
    pub in_flight: Option<PayoutId>,
    /// A FAILED one without a definite no in the ledger: it may have been paid.
    pub in_doubt: Option<PayoutId>,
    /// Those that may have been paid without a word of it, and what each pays, minor
    /// units: PROCESSING, FAILED as above, or PENDING with marks of a send.
    pub unsettled: Vec<(PayoutId, i32)>,
}

/// Why a payout of a statement may not be created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementRefusal {
    /// It is owed to somebody else.
    #[error("belongs to creator {0}")]
    OtherCreator(CreatorId),
    /// The creator objects.
    #[error("is disputed")]
    Disputed,
    /// Its payouts cover it.
    #[error("is paid")]
    Paid,
    /// Not REVIEWED or RESOLVED.
    #[error("is {0}; only REVIEWED and RESOLVED statements are payable")]
    NotPayable(RoyaltyStatementStatus),
    /// One payout in flight for each statement.
    #[error("has payout {0} in flight")]
    InFlight(PayoutId),
    /// It might be paid twice.
    #[error("has failed payout {0}, of which it is not proven that it was not paid")]
    InDoubt(PayoutId),
    /// More than is owed.
    #[error("has {} left", with_currency(*left_cents, *currency))]
    Exceeded {
        /// Minor units.
        left_cents: i64,
        /// Of the database.
        currency: Currency,
    },
    /// Less than is owed, and nobody said that this is meant.
    #[error("has {} left, more than this payout pays", with_currency(*left_cents, *currency))]
    Partial {
        /// Minor units.
        left_cents: i64,
        /// Of the database.
        currency: Currency,
    },
}

impl StatementRefusal {
    /// A fixed word for it, which scripts read.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherCreator(_) => "other_creator",
            Self::Disputed => "disputed",
            Self::Paid => "paid",
            Self::NotPayable(_) => "not_payable",
            Self::InFlight(_) => "in_flight",
            Self::InDoubt(_) => "in_doubt",
            Self::Exceeded { .. } => "exceeded",
            Self::Partial { .. } => "partial",
        }
    }
}

impl StatementAccount {
    /// What is owed and not yet paid, minor units: what is in flight still counts
    /// as owed, and what was taken back is owed again.
    pub fn left_cents(&self) -> i64 {
        i64::from(self.statement.net_payable_cents)
            .saturating_sub(self.completed_cents)
            .saturating_add(self.reversed_cents)
    }

    /// What a payout may pay at most, minor units, if all that may have been paid was:
    /// it never counts against itself.
    pub fn safely_left_cents(&self, payout: &PayoutId) -> i64 {
        let others = self.unsettled.iter().filter(|(other, _)| other != payout);
        others.fold(self.left_cents(), |left, (_, cents)| {
            left.saturating_sub(i64::from(*cents))
        })
    }

    /// What was paid beyond what is owed, minor units: other software pays what it
    /// likes.
    pub fn overpaid_cents(&self) -> i64 {
        self.left_cents().saturating_neg().max(0)
    }

    /// Whether its completed payouts, less what was taken back of them, cover
    /// what is owed.
    pub fn is_covered(&self) -> bool {
        self.left_cents() <= 0
    }

    /// Whether it is covered and nobody has said so yet: not marked PAID, now or
    /// earlier, and payable.
    pub fn is_to_be_marked(&self) -> bool {
        use RoyaltyStatementStatus::{Resolved, Reviewed};
        self.is_covered()
            && self.statement.paid_at.is_none()
            && matches!(self.statement.status, Reviewed | Resolved)
    }

    /// What a payout of this statement may pay now, minor units. Not always
    /// more than nothing.
    ///
    /// # Errors
    /// The first reason why none may be created, whatever its amount.
    pub fn payable_cents(&self) -> Result<i64, StatementRefusal> {
        use RoyaltyStatementStatus::{Disputed, Paid, Resolved, Reviewed};
        let statement = &self.statement;
        // `disputed_at` stays set after the objection is settled: RESOLVED says that it is.
        let disputed = statement.disputed_at.is_some() && statement.status != Resolved;
        if disputed || statement.status == Disputed {
            return Err(StatementRefusal::Disputed);
        }
        if statement.paid_at.is_some() || statement.status == Paid {
            return Err(StatementRefusal::Paid);
        }
        if !matches!(statement.status, Reviewed | Resolved) {
            return Err(StatementRefusal::NotPayable(statement.status));
        }
        if let Some(payout) = &self.in_flight {
            return Err(StatementRefusal::InFlight(payout.clone()));
        }
        if let Some(payout) = &self.in_doubt {
            return Err(StatementRefusal::InDoubt(payout.clone()));
        }
        Ok(self.left_cents())
    }

    /// Decides whether a payout of `amount_cents` to `creator` may be created
    /// for this statement. `partial`: it may be less than what is left.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn may_create(
        &self,
        creator: &CreatorId,
        amount_cents: i32,
        currency: Currency,
        partial: bool,
    ) -> Result<(), StatementRefusal> {
        let owner = &self.statement.creator_id;
        if owner != creator {
            return Err(StatementRefusal::OtherCreator(owner.clone()));
        }
        let left_cents = self.payable_cents()?;
        match i64::from(amount_cents).cmp(&left_cents) {
            std::cmp::Ordering::Greater => Err(StatementRefusal::Exceeded {
                left_cents,
                currency,
            }),
            std::cmp::Ordering::Less if !partial => Err(StatementRefusal::Partial {
                left_cents,
                currency,
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Owes ann 500.00 USD, of which 100.00 are paid.
    fn account(change: impl FnOnce(&mut StatementAccount)) -> StatementAccount {
        let now = Time::from_millis(0);
        let mut account = StatementAccount {
            statement: Statement {
                id: StatementId::new("s1"),
                royalty_run_id: "r1".to_owned(),
                creator_id: CreatorId::new("ann"),
                total_earnings_cents: 60_000,
                platform_fee_cents: 10_000,
                net_payable_cents: 50_000,
                status: RoyaltyStatementStatus::Reviewed,
                disputed_at: None,
                paid_at: None,
                payment_reference: None,
                created_at: now,
                updated_at: now,
            },
            completed_cents: 10_000,
            reversed_cents: 0,
            in_flight_cents: 0,
            in_flight: None,
            in_doubt: None,
            unsettled: Vec::new(),
        };
        change(&mut account);
        account
    }

    fn said(account: &StatementAccount, creator: &str, cents: i32, partial: bool) -> String {
        let creator = CreatorId::new(creator);
        match account.may_create(&creator, cents, Currency::USD, partial) {
            Ok(()) => "yes".to_owned(),
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn what_is_left_is_paid_and_no_more_and_less_only_when_it_is_meant() {
        let account = account(|_| ());
        assert_eq!(account.left_cents(), 40_000);
        assert_eq!(said(&account, "ann", 40_000, false), "yes");
        assert_eq!(said(&account, "ann", 40_001, true), "has 400.00 USD left");
        assert_eq!(
            said(&account, "ann", 39_999, false),
            "has 400.00 USD left, more than this payout pays"
        );
        assert_eq!(said(&account, "ann", 39_999, true), "yes");
        assert_eq!(
            said(&account, "ben", 40_000, false),
            "belongs to creator ann"
        );
    }

    #[test]
    fn what_was_taken_back_is_owed_again() {
        let covered = account(|a| a.completed_cents = 50_000);
        assert!(covered.is_covered() && covered.is_to_be_marked());
        let reversed = account(|a| {
            a.completed_cents = 50_000;
            a.reversed_cents = 1;
        });
        assert_eq!(reversed.left_cents(), 1);
        assert!(!reversed.is_covered() && !reversed.is_to_be_marked());
        // What the platform disputes after it was paid is not marked again.
        let disputed = account(|a| {
            a.completed_cents = 50_000;
            a.statement.paid_at = Some(Time::from_millis(1));
            a.statement.status = RoyaltyStatementStatus::Disputed;
        });
        assert!(disputed.is_covered() && !disputed.is_to_be_marked());
    }

    #[test]
    fn what_is_not_payable_is_not_paid() {
        use RoyaltyStatementStatus as S;
        let refused =
            |change: fn(&mut StatementAccount)| said(&account(change), "ann", 40_000, true);
        assert_eq!(refused(|a| a.statement.status = S::Resolved), "yes");
        assert!(refused(|a| a.statement.status = S::Pending).starts_with("is PENDING"));
        assert_eq!(refused(|a| a.statement.status = S::Disputed), "is disputed");
        assert_eq!(refused(|a| a.statement.status = S::Paid), "is paid");
        assert_eq!(
            refused(|a| a.statement.disputed_at = Some(Time::from_millis(1))),
            "is disputed"
        );
        assert_eq!(
            refused(|a| a.statement.paid_at = Some(Time::from_millis(1))),
            "is paid"
        );
        let settled: fn(&mut StatementAccount) = |a| {
            a.statement.disputed_at = Some(Time::from_millis(1));
            a.statement.status = S::Resolved;
        };
        assert_eq!(refused(settled), "yes");
        assert_eq!(
            refused(|a| a.in_flight = Some(PayoutId::new("p1"))),
            "has payout p1 in flight"
        );
        assert_eq!(
            refused(|a| a.in_doubt = Some(PayoutId::new("p1"))),
            "has failed payout p1, of which it is not proven that it was not paid"
        );
    }
}
