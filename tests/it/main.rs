//! All integration tests, in one binary: one link step instead of twenty.
//!
//! `tests/run` runs them with the PostgreSQL server they need.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod approvals;
mod backup;
mod cli_batches;
mod cli_check;
mod cli_create;
mod cli_creators;
mod cli_demo;
mod cli_doctor;
mod cli_list;
mod cli_migrate;
mod cli_process;
mod cli_prompts;
mod cli_receipt;
mod cli_report;
mod cli_runs;
mod cli_sandbox;
mod cli_show;
mod cli_statements;
mod cli_stats;
mod commands;
mod common;
mod connection;
mod control;
mod create_files;
mod dependencies;
mod disk;
mod docs;
mod events;
mod failpoints;
mod files;
mod from_statements;
mod fuzz;
mod generated;
mod hostile;
mod kills;
mod layers;
mod limits;
mod logs;
mod model;
mod notify;
mod notify_smtp;
mod outages;
mod outcomes;
mod plan;
mod platform;
mod pooled;
mod process;
mod reconcile;
mod reconcile_file;
mod reconcile_kept;
mod report_page;
mod resolve;
mod restored;
mod retry;
mod reversals;
mod roles;
mod safety;
mod sandbox_client;
mod sandbox_controls;
mod sandbox_events;
mod sandbox_faults;
mod sandbox_idempotency;
mod sandbox_limits;
mod sandbox_lists;
mod sandbox_official;
mod sandbox_transfers;
mod schema;
mod secrets;
mod statement_marks;
mod store_create;
mod store_errors;
mod store_history;
mod store_migrations;
mod store_payouts;
mod store_settings;
mod store_settle;
mod store_stats;
mod store_thread;
mod store_transactions;
mod store_values;
mod tls;
mod verify_history;
mod year;

use std::fs;
use std::path::Path;

/// A file without its `mod` line would never be compiled, and its tests would pass by not being
/// there.
#[test]
fn no_file_is_forgotten() {
    let tests = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it"));
    assert_eq!(files_without_mod_line(tests, "main.rs"), [""; 0]);
}

/// The files and folders in `folder`, and in the folders in it, that the file which heads them does
/// not name.
fn files_without_mod_line(folder: &Path, head: &str) -> Vec<String> {
    let headed = fs::read_to_string(folder.join(head)).unwrap_or_default();
    let mut forgotten = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder of the tests can be read") {
        let path = entry
            .expect("an entry of the folder of the tests can be read")
            .path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let module = if path.is_dir() {
            forgotten.extend(files_without_mod_line(&path, "mod.rs"));
            name.as_str()
        } else {
            match name.strip_suffix(".rs") {
                Some(module) if name != head => module,
                _ => continue,
            }
        };
        if !headed
            .lines()
            .any(|line| line.trim_start_matches("pub(crate) ") == format!("mod {module};"))
        {
            forgotten.push(path.display().to_string());
        }
    }
    forgotten.sort();
    forgotten
}

#[test]
fn a_forgotten_file_is_noticed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("a file is written");
    };
    fs::create_dir(folder.path().join("support")).expect("a folder is made");
    file("main.rs", "mod named;\n// mod commented;\nmod support;\n");
    file("named.rs", "");
    file("commented.rs", "");
    file("notes.txt", "");
    file("support/mod.rs", "pub(crate) mod used;\n");
    file("support/used.rs", "");
    file("support/unused.rs", "");

    let forgotten = files_without_mod_line(folder.path(), "main.rs");

    let expected = ["commented.rs", "support/unused.rs"]
        .map(|name| folder.path().join(name).display().to_string());
    assert_eq!(forgotten, expected);
}
