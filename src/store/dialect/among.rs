//! `column IN (…)` with a text that does not depend on how many values there are,
//! so that a database reads and plans the query once in a session. Diesel's `eq_any`
//! writes each value into the text for SQLite, which then parses a page of a list,
//! or a claim, anew every time: that was most of the time it took.

use diesel::expression::{AppearsOnTable, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Array, Bool, Text};
use diesel::sqlite::Sqlite;

use crate::store::connection::MultiBackend;

/// The condition that a column holds one of these texts; at most
/// [`super::IDS_MAX`], as for any other list.
pub(crate) fn among<C, T: AsRef<str>>(column: C, texts: impl IntoIterator<Item = T>) -> Among<C> {
    Among {
        column,
        texts: Texts::of(texts),
    }
}

/// See [`among`].
#[derive(Debug, Clone)]
pub(crate) struct Among<C> {
    column: C,
    texts: Texts,
}

/// Texts as one value: an array for PostgreSQL, JSON for SQLite.
#[derive(Debug, Clone, diesel::expression::AsExpression)]
#[diesel(sql_type = Text)]
#[diesel(sql_type = Array<Text>)]
pub(super) struct Texts(Vec<String>);

impl Texts {
    pub(super) fn of<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let owned = |text: T| text.as_ref().to_owned();
        Self(texts.into_iter().map(owned).collect())
    }
}

impl ToSql<Array<Text>, Pg> for Texts {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<Array<Text>, Pg>::to_sql(&self.0, out)
    }
}

impl ToSql<Text, Sqlite> for Texts {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(serde_json::to_string(&self.0)?);
        Ok(IsNull::No)
    }
}

impl<C: Expression> Expression for Among<C> {
    type SqlType = Bool;
}

impl<C> ValidGrouping<()> for Among<C> {
    type IsAggregate = is_aggregate::No;
}

impl<C: AppearsOnTable<QS>, QS: ?Sized> AppearsOnTable<QS> for Among<C> {}

impl<C: SelectableExpression<QS>, QS: ?Sized> SelectableExpression<QS> for Among<C> {}

/// Remembered by its text.
impl<C> QueryId for Among<C> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C: QueryFragment<Pg>> QueryFragment<Pg> for Among<C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" = ANY(");
        out.push_bind_param::<Array<Text>, _>(&self.texts)?;
        out.push_sql(")");
        Ok(())
    }
}

impl<C: QueryFragment<Sqlite>> QueryFragment<Sqlite> for Among<C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" IN (SELECT value FROM json_each(");
        out.push_bind_param::<Text, _>(&self.texts)?;
        out.push_sql("))");
        Ok(())
    }
}

impl<C> QueryFragment<MultiBackend> for Among<C>
where
    Self: QueryFragment<Pg> + QueryFragment<Sqlite>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        MultiBackend::walk_variant_ast(self, out)
    }
}
