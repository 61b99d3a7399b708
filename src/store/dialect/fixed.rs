//! Statements of one database with a text that never changes, so that it reads and
//! plans them once in a session and not at every call. What Diesel builds itself
//! for many rows, its updates, and its `sql_query`, it has read anew each time.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::expression::AsExpression;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{SingleValue, SqlType, Untyped};

/// A statement with a `?` for each value, in the order in which they are bound.
pub(super) fn fixed<'a, DB: Backend>(sql: &'static str) -> Fixed<'a, DB> {
    Fixed {
        sql,
        values: Vec::new(),
        row: PhantomData,
    }
}

/// One column of rows, as PostgreSQL takes an array.
pub(super) fn column<'a, Row, T>(rows: &'a [Row], of: impl Fn(&'a Row) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

/// See [`fixed`].
pub(super) struct Fixed<'a, DB: Backend, Row = Untyped> {
    sql: &'static str,
    values: Vec<Box<dyn QueryFragment<DB> + 'a>>,
    row: PhantomData<Row>,
}

impl<'a, DB: Backend> Fixed<'a, DB> {
    /// Binds the next value.
    pub(super) fn bind<ST, V>(mut self, value: V) -> Self
    where
        ST: SqlType + SingleValue,
        V: AsExpression<ST>,
        V::Expression: QueryFragment<DB> + 'a,
    {
        self.values.push(Box::new(value.as_expression()));
        self
    }
}

impl<DB: Backend, Row> Query for Fixed<'_, DB, Row> {
    type SqlType = Row;
}

/// Remembered by its text.
impl<DB: Backend, Row> QueryId for Fixed<'_, DB, Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Conn: Connection, Row> RunQueryDsl<Conn> for Fixed<'_, Conn::Backend, Row> {}

impl<DB: Backend, Row> QueryFragment<DB> for Fixed<'_, DB, Row> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
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
