//! All integration tests, in one binary: one link step instead of twenty.

mod sandbox_client;
mod sandbox_controls;
mod sandbox_events;
mod sandbox_faults;
mod sandbox_idempotency;
mod sandbox_limits;
mod sandbox_lists;
mod sandbox_transfers;
