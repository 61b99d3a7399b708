//! What a program says to the system and hears from it, call by call: `strace` (on every Debian;
//! `tests/run` installs it).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::env::{Run, TestEnv};

/// Every call with all it carries, of every thread and child, with what each descriptor leads to.
///
/// The environment is printed of calls that begin a program, and nothing is cut off.
const STRACE: [&str; 10] = [
    "strace",
    "-f",
    "-yy",
    "-s",
    "16777216",
    "-e",
    "abbrev=!execve",
    "-e",
    "signal=none",
    "-o",
];

/// A run whose calls are written to a file in the working folder of its machine.
pub(crate) struct Tracer {
    file: PathBuf,
}

impl Tracer {
    pub(crate) fn new(folder: &Path) -> Self {
        assert!(
            Path::new("/usr/bin/strace").exists(),
            "there is no strace here: run the tests with `tests/run`, which installs it"
        );
        Self {
            file: folder.join("calls"),
        }
    }

    /// The words in front of a command line.
    pub(crate) fn words(&self) -> Vec<&str> {
        let file = self.file.to_str().expect("a temporary path is UTF-8");
        STRACE.into_iter().chain([file]).collect()
    }

    /// Runs `payouts` to its end.
    pub(crate) fn run(&self, env: &TestEnv, args: &[&str]) -> Run {
        env.run_under(&self.words(), args)
    }

    /// The calls of the last run, each in one piece, in the order in which they ended.
    pub(crate) fn calls(&self) -> Vec<String> {
        let bytes = std::fs::read(&self.file).expect("strace wrote what it saw");
        let calls = calls_in(&String::from_utf8_lossy(&bytes));
        let began = calls
            .first()
            .is_some_and(|call| call.starts_with("execve("));
        assert!(began, "strace may not trace here: {calls:?}");
        calls
    }
}

/// Puts together the calls that were interrupted by those of another thread.
fn calls_in(text: &str) -> Vec<String> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if let Some(first) = call.strip_suffix("<unfinished ...>") {
            begun.insert(thread, first);
        } else if let Some((_, rest)) = call
            .strip_prefix("<... ")
            .and_then(|call| call.split_once(" resumed>"))
        {
            let first = begun.remove(thread).unwrap_or_default();
            calls.push(format!("{first}{rest}"));
        } else {
            calls.push(call.to_owned());
        }
    }
    // What was under way when everything ended.
    calls.extend(begun.into_values().map(str::to_owned));
    calls
}

mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_interrupted_is_one() {
        let text = "7  execve(\"a\") = 0\n7  read(3</x>,  <unfinished ...>\n8  write(1, \"b\") = 1\n7  <... read resumed>\"c\", 1) = 1\n";
        assert_eq!(
            calls_in(text),
            [
                "execve(\"a\") = 0",
                "write(1, \"b\") = 1",
                "read(3</x>,  \"c\", 1) = 1"
            ]
        );
    }
}
