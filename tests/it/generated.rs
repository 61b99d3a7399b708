//! Files in the project that the program itself makes: made again, and compared.

use std::fs;
use std::path::Path;

use super::common::env::TestEnv;

/// A shell and the file that it loads, and the man page.
const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "payouts.bash"),
    ("zsh", "_payouts"),
    ("fish", "payouts.fish"),
    ("powershell", "_payouts.ps1"),
    ("man", "payouts.1"),
];

#[test]
fn completions_are_those_of_this_command_line() {
    let mut env = TestEnv::new();
    // They are printed whatever the settings say.
    env.set("DATABASE_URL", "nonsense");
    for (shell, file) in COMPLETIONS {
        let run = env.run(&["completions", shell]).expect_code(0);
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("completions")
            .join(file);
        let kept = fs::read_to_string(path).unwrap_or_default();
        assert!(
            run.stdout == kept,
            "completions/{file} is not what this version prints; run\n  \
             cargo run --features testing -- completions {shell} > completions/{file}"
        );
    }
}

#[test]
fn help_and_completions_need_no_settings() {
    let mut env = TestEnv::new();
    env.set("DATABASE_URL", "nonsense");
    env.run(&["list"]).expect_code(3);
    env.run(&["completions", "bash"]).expect_code(0);
    for topic in ["", "list", "exit-codes"] {
        let words = ["help", topic];
        env.run(&words[..if topic.is_empty() { 1 } else { 2 }])
            .expect_code(0);
    }
}

#[test]
fn help_with_a_command_is_that_commands_help() {
    let env = TestEnv::new();
    for path in [&["list"][..], &["creators", "import"]] {
        let asked = env.run(&[&["help"], path].concat()).expect_code(0);
        let flagged = env.run(&[path, &["--help"]].concat()).expect_code(0);
        assert_eq!(asked.stdout, flagged.stdout);
    }
    env.run(&["help", "nonsense"]).expect_code(2);
}

#[test]
fn exit_codes_are_a_table_in_every_format() {
    let env = TestEnv::new();
    for (format, expected) in [
        ("table", "   3  could not run"),
        ("json", "\"code\": 3,"),
        ("ndjson", "{\"code\":3,\"meaning\":"),
        ("csv", "3,\"could not run"),
    ] {
        let run = env
            .run(&["help", "exit-codes", "-o", format])
            .expect_code(0);
        assert!(run.stdout.contains(expected), "{run}");
    }
}
