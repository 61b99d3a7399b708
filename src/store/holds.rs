//! Holds: what must not be paid for now.

use diesel::prelude::*;

use crate::model::hold::{Hold, HoldKind};
use crate::model::schema::payout_holds as holds;
use crate::store::connection::AnyConnection;
use crate::store::dialect::on_each;
use crate::store::{Store, StoreError};

impl Store {
    /// Every hold, oldest first.
    pub fn holds(&mut self) -> Result<Vec<Hold>, StoreError> {
        self.read(|conn| {
            Ok(holds::table
                .order((holds::created_at, holds::kind, holds::target))
                .load(conn)?)
        })
    }

    /// Lifts a hold. Returns whether there was one.
    pub fn hold_release(&mut self, kind: HoldKind, target: &str) -> Result<bool, StoreError> {
        self.write(|conn| {
            let lifted = diesel::delete(
                holds::table
                    .filter(holds::kind.eq(kind))
                    .filter(holds::target.eq(target)),
            )
            .execute(conn)?;
            Ok(lifted > 0)
        })
    }
}

/// Sets a hold; an existing one of the same target stays as it is.
pub(crate) fn set_in_tx(conn: &mut AnyConnection, hold: &Hold) -> Result<(), StoreError> {
    on_each!(conn, c => diesel::insert_into(holds::table).values(hold).on_conflict_do_nothing().execute(c))?;
    Ok(())
}
