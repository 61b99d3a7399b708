//! Events: the proof that Stripe sent one, what is read of it, and the server that
//! takes them in.
//!
//! An event is a hint. What it says is signed, but may be old by the time it comes,
//! and may come twice and in any order; what follows from it is decided elsewhere.

pub mod read;
pub mod server;
pub mod signature;
