//! All integration tests, in one binary: one link step instead of twenty.

mod sandbox_client;
mod sandbox_idempotency;
