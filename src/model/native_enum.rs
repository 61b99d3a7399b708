//! Enums that the platform's PostgreSQL keeps as native types and SQLite as
//! text with a `CHECK`.

use crate::model::text_enum;

/// Diesel's names for the native types.
pub mod sql_types {
    /// `"PayoutStatus"`.
    #[derive(Debug, Clone, Copy, diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
    #[diesel(postgres_type(name = "PayoutStatus"), sqlite_type(name = "Text"))]
    pub struct PayoutStatus;

    /// `"RoyaltyRunStatus"`.
    #[derive(Debug, Clone, Copy, diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
    #[diesel(postgres_type(name = "RoyaltyRunStatus"), sqlite_type(name = "Text"))]
    pub struct RoyaltyRunStatus;

    /// `"RoyaltyStatementStatus"`.
    #[derive(Debug, Clone, Copy, diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
    #[diesel(
        postgres_type(name = "RoyaltyStatementStatus"),
        sqlite_type(name = "Text")
    )]
    pub struct RoyaltyStatementStatus;
}

text_enum! {
    /// The four founding states of a payout.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = sql_types::PayoutStatus)]
    pub enum PayoutStatus {
        /// Waiting to be sent.
        Pending = "PENDING",
        /// Claimed by a run; its attempt says what is known.
        Processing = "PROCESSING",
        /// A transfer with this payout's amount and destination exists. Terminal.
        Completed = "COMPLETED",
        /// Stripe said a definite no, or a person cancelled it.
        Failed = "FAILED",
    }
}

text_enum! {
    /// The states of a royalty run.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = sql_types::RoyaltyRunStatus)]
    pub enum RoyaltyRunStatus {
        /// Being prepared.
        Draft = "DRAFT",
        /// Calculated, not yet fixed.
        Calculated = "CALCULATED",
        /// Fixed.
        Locked = "LOCKED",
        /// Being paid.
        Processing = "PROCESSING",
        /// Paid.
        Completed = "COMPLETED",
        /// Abandoned.
        Failed = "FAILED",
    }
}

text_enum! {
    /// The states of a royalty statement.
    #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
    #[diesel(sql_type = sql_types::RoyaltyStatementStatus)]
    pub enum RoyaltyStatementStatus {
        /// Waiting for review.
        Pending = "PENDING",
        /// Reviewed: payable.
        Reviewed = "REVIEWED",
        /// The creator objects: not payable.
        Disputed = "DISPUTED",
        /// The objection is settled: payable.
        Resolved = "RESOLVED",
        /// Completed payouts cover it.
        Paid = "PAID",
    }
}

/// The SQL conversions of one native enum on each database.
macro_rules! native_column {
    ($type:ty, $sql:ty) => {
        impl diesel::serialize::ToSql<$sql, diesel::pg::Pg> for $type {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                std::io::Write::write_all(out, self.as_str().as_bytes())?;
                Ok(diesel::serialize::IsNull::No)
            }
        }

        impl diesel::deserialize::FromSql<$sql, diesel::pg::Pg> for $type {
            fn from_sql(bytes: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Self> {
                Ok(std::str::from_utf8(bytes.as_bytes())?.parse()?)
            }
        }

        impl diesel::serialize::ToSql<$sql, diesel::sqlite::Sqlite> for $type {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::sqlite::Sqlite>,
            ) -> diesel::serialize::Result {
                out.set_value(self.as_str());
                Ok(diesel::serialize::IsNull::No)
            }
        }

        impl diesel::deserialize::FromSql<$sql, diesel::sqlite::Sqlite> for $type {
            fn from_sql(
                bytes: <diesel::sqlite::Sqlite as diesel::backend::Backend>::RawValue<'_>,
            ) -> diesel::deserialize::Result<Self> {
                let text = <String as diesel::deserialize::FromSql<
                    diesel::sql_types::Text,
                    diesel::sqlite::Sqlite,
                >>::from_sql(bytes)?;
                Ok(text.parse()?)
            }
        }
    };
}

native_column!(PayoutStatus, sql_types::PayoutStatus);
native_column!(RoyaltyRunStatus, sql_types::RoyaltyRunStatus);
native_column!(RoyaltyStatementStatus, sql_types::RoyaltyStatementStatus);
