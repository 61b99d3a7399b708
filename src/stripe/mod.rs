//! How money moves: requests to Stripe, and what their answers prove.
//!
//! The only folder that imports the Stripe crates. From `async-stripe` it takes
//! the typed requests and the API version; it sends them over a pooled HTTP
//! client of its own (`transport`), because that one keeps the stored key, the
//! stored bytes and the answer's headers, and never retries by itself. Answers
//! are read with small structs that check what matters and ignore the rest.
//!
//! Nothing here knows the database, and nothing here waits or sends again:
//! that is the business of `ops::process`.

pub mod api;
pub mod classify;
pub mod object;
pub mod transport;
pub mod webhook;

pub use api::{Stripe, TransferRequest};
pub use classify::{Finding, Judgement, RunEffect};
pub use object::{Balance, Transfer};
pub use transport::{Exchange, Reply, TransportError};
