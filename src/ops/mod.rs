//! What the tool does.
