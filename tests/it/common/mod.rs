//! What the tests stand on: a machine of its own for every run of the binary, and a database of its
//! own for every test.

pub(crate) mod catalog;
pub(crate) mod clients;
pub(crate) mod contract;
pub(crate) mod db;
pub(crate) mod env;
pub(crate) mod front;
pub(crate) mod platform;
pub(crate) mod pooler;
pub(crate) mod redact;
pub(crate) mod seed;
pub(crate) mod server;
pub(crate) mod shop;
pub(crate) mod store;
pub(crate) mod strace;
pub(crate) mod terminal;
pub(crate) mod tls;

use std::ffi::OsString;

use tempfile::TempDir;

/// A setting of the test run itself. The binary under test never sees it unless a test hands it on.
#[expect(
    clippy::disallowed_methods,
    reason = "the settings of a test run come from whoever started it"
)]
pub(crate) fn outside(variable: &str) -> Option<OsString> {
    std::env::var_os(variable)
}

/// The same where it is a number.
pub(crate) fn outside_number(variable: &str) -> Option<u64> {
    outside(variable)?.into_string().ok()?.parse().ok()
}

/// A temporary folder whose path has the same length on every machine, so that a table with a path
/// in it has the same width: hence `/tmp`, not `$TMPDIR`.
fn temporary_folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("payouts-")
        .rand_bytes(8)
        .tempdir_in("/tmp")
        .expect("a temporary folder can be made in /tmp")
}
