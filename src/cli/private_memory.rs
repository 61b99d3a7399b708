//! Keys are in memory while the program runs: nobody else may look there.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Makes the process one that leaves no core file, whatever the limits and the system's
/// handler of crashes say, and whose `/proc/PID/environ` and memory only root can read:
/// not another process of the same user, no debugger of theirs.
///
/// What it costs is told in `SECURITY.md`: a debugger needs root.
pub(super) fn keep() {
    if tests_look_at_it() {
        return;
    }
    // A system that cannot do this has no such files, or has no such rule.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Tests trace the program and look at its terminal, and need not be root for that.
#[cfg(feature = "testing")]
#[expect(
    clippy::disallowed_methods,
    reason = "before anything else, settings among it"
)]
fn tests_look_at_it() -> bool {
    std::env::var_os(crate::env_vars::TEST_DUMPABLE).is_some()
}

#[cfg(not(feature = "testing"))]
fn tests_look_at_it() -> bool {
    false
}
