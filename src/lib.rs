//! Pays creators through Stripe Connect transfers from a payouts table, exactly once.

pub mod cli;
pub mod config;
pub mod env_vars;
pub mod model;
pub mod ops;
pub mod output;
pub mod sandbox;
pub mod store;
pub mod stripe;
