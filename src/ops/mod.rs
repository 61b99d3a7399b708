//! What the tool does, independent of how it is asked and how it is shown: no
//! flags, no printing, no SQL, no HTTP.

mod account;
mod adopt;
pub mod approve;
pub mod backup;
pub mod cancel;
pub mod consent;
pub mod create;
pub mod creators;
pub mod doctor;
pub mod error_file;
pub mod event;
pub mod events;
pub mod fault;
pub mod from_statements;
pub mod hold;
pub mod import;
pub mod list;
pub mod moving;
mod names_seen;
pub mod next_step;
pub mod out_file;
mod pace;
pub mod period;
pub mod process;
pub mod receipt;
pub mod reconcile;
pub mod report;
pub mod resolve;
pub mod retry;
pub mod run_error;
mod search;
pub mod statements;
pub mod stripe_report;
pub mod table_file;
pub mod transfers;
pub mod verify_history;
