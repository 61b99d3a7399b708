//! Creators: the people who are paid. The platform owns them.

use crate::model::ids::CreatorId;
use crate::model::schema::{creators, users};
use crate::model::time::Time;

/// What this tool reads of a creator, with the e-mail of the user behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creator {
    /// Primary key.
    pub id: CreatorId,
    /// The name on stage and on screen.
    pub name: String,
    /// From the users table.
    pub email: Option<String>,
    /// `acct_…`, where payouts go.
    pub stripe_account_id: Option<String>,
    /// The platform's word on onboarding.
    pub onboarding_status: String,
    /// Set when the platform deleted the creator.
    pub deleted_at: Option<Time>,
    /// When the row was made.
    pub created_at: Time,
}

/// The columns of `creators` this tool reads.
#[derive(Debug, Clone, diesel::prelude::Queryable, diesel::prelude::Selectable)]
#[diesel(table_name = creators)]
pub struct CreatorRow {
    /// Primary key.
    pub id: CreatorId,
    /// Column `stageName`.
    pub stage_name: String,
    /// Column `stripeAccountId`.
    pub stripe_account_id: Option<String>,
    /// Column `onboardingStatus`.
    pub onboarding_status: String,
    /// Column `deletedAt`.
    pub deleted_at: Option<Time>,
    /// Column `createdAt`.
    pub created_at: Time,
}

impl CreatorRow {
    /// Joins the row with its user's e-mail.
    pub fn with_email(self, email: Option<String>) -> Creator {
        Creator {
            id: self.id,
            name: self.stage_name,
            email,
            stripe_account_id: self.stripe_account_id,
            onboarding_status: self.onboarding_status,
            deleted_at: self.deleted_at,
            created_at: self.created_at,
        }
    }
}

/// A creator about to be made, with the user that a creator row needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCreator {
    /// Made when missing.
    pub id: Option<CreatorId>,
    /// The name on stage and on screen.
    pub name: String,
    /// Of the user; unique.
    pub email: String,
    /// `acct_…`; unique.
    pub stripe_account_id: Option<String>,
    /// `pending` when the platform says nothing.
    pub onboarding_status: String,
}

/// What of a stored creator is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatorUpdate {
    /// Whose.
    pub id: CreatorId,
    /// The name on stage and on screen.
    pub name: String,
    /// Of the user; unique.
    pub email: String,
    /// `acct_…`; none leaves the stored one.
    pub stripe_account_id: Option<String>,
}

/// A row of `users`, for a creator this tool makes.
#[derive(Debug, Clone, diesel::prelude::Insertable)]
#[diesel(table_name = users, treat_none_as_default_value = false)]
pub struct NewUserRow {
    /// Primary key.
    pub id: String,
    /// Unique.
    pub email: String,
    /// The creator's name.
    pub name: Option<String>,
    /// Now.
    pub created_at: Time,
    /// The same.
    pub updated_at: Time,
}

/// A row of `creators` that this tool makes.
#[derive(Debug, Clone, diesel::prelude::Insertable)]
#[diesel(table_name = creators, treat_none_as_default_value = false)]
pub struct NewCreatorRow {
    /// Primary key.
    pub id: CreatorId,
    /// Column `userId`.
    pub user_id: String,
    /// Column `stageName`.
    pub stage_name: String,
    /// Column `stripeAccountId`.
    pub stripe_account_id: Option<String>,
    /// Column `onboardingStatus`.
    pub onboarding_status: String,
    /// Column `verificationStatus`.
    pub verification_status: String,
    /// Now.
    pub created_at: Time,
    /// The same.
    pub updated_at: Time,
}
