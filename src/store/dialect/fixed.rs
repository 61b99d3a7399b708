//! Statements of PostgreSQL with a text that never changes, so that the server
//! reads and plans them once in a session and not at every call. What Diesel
//! builds itself for many rows, and its `sql_query`, it sends anew each time.

use std::marker::PhantomData;

use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{SingleValue, SqlType, Untyped};

/// A statement with a `?` for each value, in the order in which they are bound.
pub(super) fn fixed<'a>(sql: &'static str) -> Fixed<'a> {
    Fixed {
        sql,
        values: Vec::new(),
        row: PhantomData,
    }
}

/// See [`fixed`].
pub(super) struct Fixed<'a, Row = Untyped> {
    sql: &'static str,
    values: Vec<Box<dyn QueryFragment<Pg> + 'a>>,
    row: PhantomData<Row>,
}

impl<'a> Fixed<'a> {
    /// Binds the next value.
    pub(super) fn bind<ST, V>(mut self, value: V) -> Self
    where
        ST: SqlType + SingleValue,
        V: AsExpression<ST>,
        V::Expression: QueryFragment<Pg> + 'a,
    {
        self.values.push(Box::new(value.as_expression()));
        self
    }
}

impl<Row> Query for Fixed<'_, Row> {
    type SqlType = Row;
}

/// Remembered by its text.
impl<Row> QueryId for Fixed<'_, Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Row> RunQueryDsl<PgConnection> for Fixed<'_, Row> {}

impl<Row> QueryFragment<Pg> for Fixed<'_, Row> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut values = self.values.iter();
        for (place, text) in self.sql.split('?').enumerate() {
            if place > 0
                && let Some(value) = values.next()
            {
                value.walk_ast(out.reborrow())?;
            }
            out.push_sql(text);
        }
        Ok(())
    }
}
