//! Pays creators through Stripe Connect transfers from a payouts table, exactly once.

pub mod sandbox;
