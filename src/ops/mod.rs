//! What the tool does, independent of how it is asked and how it is shown: no
//! flags, no printing, no SQL, no HTTP.

pub mod consent;
pub mod event;
pub mod list;
pub mod next_step;
pub mod period;
pub mod process;
