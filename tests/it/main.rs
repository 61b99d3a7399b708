//! All integration tests, in one binary: one link step instead of twenty.
