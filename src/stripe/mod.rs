//! How money moves.
