//! What the tool does.

pub mod period;
