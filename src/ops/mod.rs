//! What the tool does: flows over the store and, one day, Stripe. No flags, no
//! printing, no SQL.

pub mod create;
pub mod creators;
pub mod currency;
pub mod fault;
pub mod import;
pub mod table_file;
