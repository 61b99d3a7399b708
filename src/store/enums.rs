//! The native enums of `model` on the enum over both backends, which only this
//! layer knows.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::HasSqlType;

use crate::model::native_enum::{
    PayoutStatus, RoyaltyRunStatus, RoyaltyStatementStatus, sql_types,
};
use crate::store::connection::MultiBackend;

macro_rules! multi_column {
    ($type:ty, $sql:path) => {
        impl HasSqlType<$sql> for MultiBackend {
            fn metadata(lookup: &mut Self::MetadataLookup) -> Self::TypeMetadata {
                Self::lookup_sql_type::<$sql>(lookup)
            }
        }

        impl FromSql<$sql, MultiBackend> for $type {
            fn from_sql(
                bytes: <MultiBackend as Backend>::RawValue<'_>,
            ) -> deserialize::Result<Self> {
                bytes.from_sql::<$type, $sql>()
            }
        }

        impl ToSql<$sql, MultiBackend> for $type {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
                out.set_value(($sql, self));
                Ok(IsNull::No)
            }
        }
    };
}

multi_column!(PayoutStatus, sql_types::PayoutStatus);
multi_column!(RoyaltyRunStatus, sql_types::RoyaltyRunStatus);
multi_column!(RoyaltyStatementStatus, sql_types::RoyaltyStatementStatus);
