//! Runs `payouts` as on a freshly installed machine of its own: an empty home, no variable of the
//! developer's, a clock that stands still.
//!
//! What it prints is compared as a transcript, in one piece:
//!
//! ```text
//! $ payouts list --status failed
//! <stdout>
//! --- stderr
//! <stderr>
//! --- exit 0
//! ```

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, fs};

use tempfile::TempDir;

use super::db::TestDb;
use super::redact::Redactor;
use super::terminal::Reads;
use super::{contract, outside, terminal};

/// What the binary takes for now, unless a test says otherwise. Only read with the feature
/// `testing`.
pub(crate) const NOW: &str = "2026-11-02T09:30:00.000Z";

/// No command under test takes longer, not even on a busy machine; one that does hangs.
const RUN_SECONDS_MAX: u64 = 120;

/// A machine with nothing on it but `payouts`.
pub(crate) struct TestEnv {
    folder: TempDir,
    variables: BTreeMap<String, String>,
    redactor: Arc<Mutex<Redactor>>,
}

impl TestEnv {
    /// A machine with an empty home and working folder, at [`NOW`].
    ///
    /// Its time zone is not UTC, so that a time printed in local time is noticed.
    pub(crate) fn new() -> Self {
        let folder = super::temporary_folder();
        let mut variables = BTreeMap::new();
        let mut set = |name: &str, value: &str| variables.insert(name.to_owned(), value.to_owned());
        for (name, below) in [
            ("HOME", "home"),
            ("XDG_CACHE_HOME", "home/.cache"),
            ("XDG_CONFIG_HOME", "home/.config"),
            ("XDG_DATA_HOME", "home/.local/share"),
            ("XDG_STATE_HOME", "home/.local/state"),
        ] {
            let path = folder.path().join(below);
            fs::create_dir_all(&path).expect("a folder is made");
            set(name, path.to_str().expect("a temporary path is UTF-8"));
        }
        fs::create_dir(folder.path().join("here")).expect("the working folder is made");
        set("PATH", "/usr/bin:/bin");
        set("LANG", "C.UTF-8");
        set("TZ", "Asia/Kathmandu");
        set("PAYOUTS_ACTOR", "tester");
        set("PAYOUTS_TEST_NOW", NOW);
        // Else only root can trace it, or see what its terminal is set to.
        set("PAYOUTS_TEST_DUMPABLE", "1");
        // Coverage of the binary, when somebody measures it.
        if let Some(profile) = outside("LLVM_PROFILE_FILE").and_then(|file| file.into_string().ok())
        {
            set("LLVM_PROFILE_FILE", &profile);
        }
        Self {
            folder,
            variables,
            redactor: Arc::default(),
        }
    }

    /// Sets a variable for every run from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// What a variable is set to.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    /// Takes a variable away again.
    pub(crate) fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// Moves the clock to a time in RFC 3339.
    pub(crate) fn set_now(&mut self, now: &str) {
        self.set("PAYOUTS_TEST_NOW", now);
    }

    /// Points `DATABASE_URL` at `db`.
    pub(crate) fn use_database(&mut self, db: &TestDb) {
        self.set("DATABASE_URL", db.url());
    }

    /// A path in the working folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("here").join(name)
    }

    /// A path in the home folder.
    pub(crate) fn home_path(&self, name: &str) -> PathBuf {
        self.folder.path().join("home").join(name)
    }

    /// Writes a file into the working folder.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).expect("a file is written");
    }

    /// Runs `payouts` with nothing on standard input, and no terminal anywhere.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_with_input(args, "")
    }

    /// Runs `payouts` with `input` piped into it. JSON that it prints is held against its schema.
    #[track_caller]
    pub(crate) fn run_with_input(&self, args: &[&str], input: impl Into<Vec<u8>>) -> Run {
        let run = self.capture(
            self.command(args),
            Self::shown("payouts", args),
            input.into(),
        );
        contract::check(args, &run.stdout);
        run
    }

    /// Runs `payouts` on rows that it never writes: what it prints may break off, and is held
    /// against nothing.
    pub(crate) fn run_on_anything(&self, args: &[&str]) -> Run {
        self.capture(self.command(args), Self::shown("payouts", args), Vec::new())
    }

    /// Runs `payouts` under another program, such as a shell that sets a limit first. What is shown
    /// is the command line of `payouts` alone.
    pub(crate) fn run_under(&self, program: &[&str], args: &[&str]) -> Run {
        let command = self.command_under(program, args);
        let run = self.capture(command, Self::shown("payouts", args), Vec::new());
        contract::check(args, &run.stdout);
        run
    }

    /// A command that runs `payouts` under another program.
    pub(crate) fn command_under(&self, program: &[&str], args: &[&str]) -> Command {
        let mut command = self.program(program[0], &program[1..]);
        command.arg(env!("CARGO_BIN_EXE_payouts")).args(args);
        command
    }

    /// Runs `payouts` on a terminal `cols` wide, and answers: wait until the first text is on the
    /// screen, type the second, and so on. In the result, `stdout` is what the screen showed in the
    /// end and `stderr` is empty, because a terminal shows both.
    ///
    /// # Panics
    /// When an expected text does not come.
    pub(crate) fn run_in_terminal(
        &self,
        cols: u16,
        args: &[&str],
        dialogue: &[(&str, &str)],
    ) -> Run {
        self.run_in_terminal_while(cols, args, dialogue, &mut |_| {})
    }

    /// The same, with something that happens elsewhere while the person thinks: `asked` is called
    /// with each question, before its answer is typed.
    pub(crate) fn run_in_terminal_while(
        &self,
        cols: u16,
        args: &[&str],
        dialogue: &[(&str, &str)],
        asked: &mut dyn FnMut(&str),
    ) -> Run {
        self.converse(
            env!("CARGO_BIN_EXE_payouts"),
            Reads::Keys,
            cols,
            args,
            dialogue,
            asked,
        )
    }

    /// Runs `payouts` on a terminal as [`Self::run_in_terminal`] does, from a shell that says
    /// afterwards how it ended and what the terminal is set to.
    pub(crate) fn run_in_terminal_and_look_at_it(
        &self,
        args: &[&str],
        dialogue: &[(&str, &str)],
    ) -> Run {
        let words: Vec<String> = std::iter::once(env!("CARGO_BIN_EXE_payouts"))
            .chain(args.iter().copied())
            .map(quoted)
            .collect();
        let line = format!(
            "{}; echo exit $?; stty -a | tr ' ;' '\\n\\n' | grep -x -e echo -e icanon -e isig -e icrnl | sort | tr '\\n' ' '",
            words.join(" ")
        );
        self.converse(
            "sh",
            Reads::Keys,
            160,
            &["-c", &line],
            dialogue,
            &mut |_| {},
        )
    }

    /// A command that runs `payouts` here, for a test that wants to hold the process: to signal it,
    /// or to let it serve.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_payouts"), args)
    }

    /// Another program, on this machine.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .envs(&self.variables)
            .current_dir(self.path(""));
        command
    }

    fn capture(&self, command: Command, shown: String, input: Vec<u8>) -> Run {
        let limit = Duration::from_secs(RUN_SECONDS_MAX);
        let begin = Instant::now();
        let output = assert_cmd::Command::from_std(command)
            .write_stdin(input)
            .timeout(limit)
            .output();
        let output = output.unwrap_or_else(|error| panic!("`{shown}` did not start: {error}"));
        assert!(
            begin.elapsed() < limit,
            "`{shown}` was still running after {RUN_SECONDS_MAX} s"
        );
        let text = |bytes, stream| {
            String::from_utf8(bytes)
                .unwrap_or_else(|error| panic!("`{shown}`: {stream} is not UTF-8: {error}"))
        };
        let (stdout, stderr) = (text(output.stdout, "stdout"), text(output.stderr, "stderr"));
        self.finished(shown, output.status, stdout, stderr)
    }

    fn converse(
        &self,
        program: &str,
        reads: Reads,
        cols: u16,
        args: &[&str],
        dialogue: &[(&str, &str)],
        asked: &mut dyn FnMut(&str),
    ) -> Run {
        let name = program.rsplit('/').next().unwrap_or(program);
        let words = [program]
            .iter()
            .chain(args)
            .map(|word| quoted(word))
            .collect::<Vec<_>>();
        let line = format!(
            "stty cols {cols} rows {} && exec {}",
            terminal::ROWS,
            words.join(" ")
        );
        let mut script = self.program(
            "script",
            &[
                "--quiet",
                "--return",
                "--echo=always",
                "--command",
                &line,
                "/dev/null",
            ],
        );
        script.env("TERM", "xterm-256color");
        let limit = Duration::from_secs(RUN_SECONDS_MAX);
        let said = terminal::converse(script, cols, reads, dialogue, asked, limit);
        Run {
            coloured: said.coloured,
            cursor_hidden: said.cursor_hidden,
            ..self.finished(
                Self::shown(name, args),
                said.status,
                said.screen,
                String::new(),
            )
        }
    }

    fn finished(&self, command: String, status: ExitStatus, stdout: String, stderr: String) -> Run {
        // As a shell says it, so that a test can tell a signal from an exit.
        let code = status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Run {
            command,
            code,
            coloured: stdout.contains('\x1b') || stderr.contains('\x1b'),
            stdout,
            stderr,
            cursor_hidden: false,
            redactor: Arc::clone(&self.redactor),
        }
    }

    fn shown(program: &str, args: &[&str]) -> String {
        let words = args.iter().map(|word| quoted(word));
        [program.to_owned()]
            .into_iter()
            .chain(words)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// What one run of `payouts` said, exactly.
pub(crate) struct Run {
    command: String,
    /// The exit code, or 128 and the number of the signal that ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Some of it was coloured, or otherwise a command to a terminal.
    pub(crate) coloured: bool,
    /// On a terminal: the cursor was left hidden.
    pub(crate) cursor_hidden: bool,
    redactor: Arc<Mutex<Redactor>>,
}

impl Run {
    /// All of it as text for an inline snapshot, redacted as [`Redactor::redact`] says.
    pub(crate) fn transcript(&self) -> String {
        self.redactor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .redact(&self.to_string())
    }

    /// As it would be typed, for a message without all that was printed.
    pub(crate) fn command_line(&self) -> &str {
        &self.command
    }

    /// Itself, when it exited with `code`.
    ///
    /// # Panics
    /// When it did not; the message is the whole transcript.
    #[track_caller]
    pub(crate) fn code(&self) -> i32 {
        self.code
    }

    /// The same, and it must be this one.
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            command,
            code,
            stdout,
            stderr,
            ..
        } = self;
        write!(
            f,
            "$ {command}\n{}--- stderr\n{}--- exit {code}",
            lines(stdout),
            lines(stderr)
        )
    }
}

/// `text` with its last line ended, visibly where it was not.
fn lines(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') {
        text.to_owned()
    } else {
        format!("{text}[no newline]\n")
    }
}

/// `word` as one would type it into a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

mod tests {
    use super::*;

    impl TestEnv {
        /// Runs a shell here instead of `payouts`: what is tested is the machine, not the binary.
        fn shell(&self, line: &str, input: &str) -> Run {
            self.capture(
                self.program("sh", &["-c", line]),
                Self::shown("sh", &[]),
                input.into(),
            )
        }
    }

    #[test]
    fn nothing_of_the_developers_machine_is_seen() {
        let env = TestEnv::new();
        let variables = env.shell("env", "").stdout;
        let mut names = variables
            .lines()
            .filter_map(|line| line.split('=').next())
            .collect::<Vec<_>>();
        // The shell adds PWD itself, and some add these two.
        names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_", "LLVM_PROFILE_FILE"].contains(name));
        names.sort_unstable();
        let expected = [
            "HOME",
            "LANG",
            "PATH",
            "PAYOUTS_ACTOR",
            "PAYOUTS_TEST_DUMPABLE",
            "PAYOUTS_TEST_NOW",
            "TZ",
            "XDG_CACHE_HOME",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_variable_is_set_for_all_later_runs_until_it_is_unset() {
        let mut env = TestEnv::new();
        env.set("PAYOUTS_RATE", "7");
        env.set_now("2026-12-24T18:00:00Z");
        let printed = "printf '%s %s' \"$PAYOUTS_RATE\" \"$PAYOUTS_TEST_NOW\"";
        assert_eq!(env.shell(printed, "").stdout, "7 2026-12-24T18:00:00Z");
        env.unset("PAYOUTS_RATE");
        assert_eq!(env.shell(printed, "").stdout, " 2026-12-24T18:00:00Z");
    }

    #[test]
    fn the_database_of_a_test_is_the_one_that_is_used() {
        let mut env = TestEnv::new();
        let db = TestDb::sqlite();
        env.use_database(&db);
        assert_eq!(
            env.shell("printf %s \"$DATABASE_URL\"", "").stdout,
            db.url()
        );
    }

    #[test]
    fn a_transcript_shows_both_streams_and_the_exit() {
        let env = TestEnv::new();
        env.write("batch.csv", "creator,amount\n");
        let run = env.shell(
            "cat batch.csv; cat; echo 'warning: tr_1QabcDEFghiJKL' >&2; printf unended >&2; exit 5",
            "piped in\n",
        );
        insta::assert_snapshot!(run.transcript(), @r"
        $ sh
        creator,amount
        piped in
        --- stderr
        warning: tr_00000000000001
        unended[no newline]
        --- exit 5
        ");
    }

    #[test]
    fn ids_keep_their_numbers_from_run_to_run() {
        let env = TestEnv::new();
        env.shell("echo tr_1QabcDEFghiJKL", "").transcript();
        let second = env
            .shell("echo tr_2QabcDEFghiJKL; echo tr_1QabcDEFghiJKL", "")
            .transcript();
        assert!(
            second.contains("tr_00000000000002\ntr_00000000000001\n"),
            "{second}"
        );
    }

    #[test]
    fn the_end_by_a_signal_shows() {
        assert_eq!(TestEnv::new().shell("kill -9 $$", "").code, 128 + 9);
    }

    #[test]
    #[should_panic(expected = "out of order\n--- exit 3")]
    fn an_unexpected_exit_code_shows_the_transcript() {
        TestEnv::new()
            .shell("echo out of order >&2; exit 3", "")
            .expect_code(0);
    }

    #[test]
    fn the_folders_are_apart_and_gone_afterwards() {
        let env = TestEnv::new();
        env.write("a", "1");
        let (work, home) = (env.path("a"), env.home_path(""));
        assert_eq!(env.shell("cat a; ls ~", "").stdout, "1");
        drop(env);
        assert!(!work.exists() && !home.exists());
    }

    #[test]
    fn arguments_show_as_they_would_be_typed() {
        assert_eq!(
            TestEnv::shown(
                "payouts",
                &["list", "--creator", "Ann O'Hara", "--limit=5", ""]
            ),
            r"payouts list --creator 'Ann O'\''Hara' --limit=5 ''"
        );
    }

    #[test]
    fn the_binary_runs() {
        TestEnv::new().run(&["--version"]).expect_code(0);
    }

    #[test]
    fn a_terminal_is_a_terminal_of_the_width_asked_for() {
        let env = TestEnv::new();
        let size = "test -t 0 && test -t 1 && test -t 2 && stty size; exit 4";
        let run = env.converse("sh", Reads::Lines, 97, &["-c", size], &[], &mut |_| {});
        assert_eq!((run.stdout.as_str(), run.code), ("50 97\n", 4));
    }

    #[test]
    fn a_dialogue_waits_for_each_question() {
        let env = TestEnv::new();
        // The second question is the same text again: the first must not answer it.
        let ask = r#"for n in 1 2; do printf 'Total? '; read -r total; echo "got $total"; done"#;
        let run = env.converse(
            "sh",
            Reads::Lines,
            80,
            &["-c", ask],
            &[("Total?", "500.00\n"), ("Total?", "7\n")],
            &mut |_| {},
        );
        assert_eq!(run.stdout, "Total? 500.00\ngot 500.00\nTotal? 7\ngot 7\n");
    }

    #[test]
    fn an_interrupt_can_be_typed() {
        let env = TestEnv::new();
        // The shell itself waits: one that begins a child loses an interrupt in between.
        let wait = "trap 'echo; echo interrupted; exit 130' INT; echo ready; read line";
        let run = env.converse(
            "sh",
            Reads::Lines,
            80,
            &["-c", wait],
            &[("ready", "\x03")],
            &mut |_| {},
        );
        assert_eq!(
            (run.stdout.as_str(), run.code),
            ("ready\n^C\ninterrupted\n", 130)
        );
    }

    #[test]
    #[should_panic(expected = "ended without showing \"Sure?\"")]
    fn a_question_that_is_not_asked_is_noticed() {
        TestEnv::new().converse(
            "sh",
            Reads::Lines,
            80,
            &["-c", "echo done"],
            &[("Sure?", "y")],
            &mut |_| {},
        );
    }

    #[test]
    fn the_binary_runs_on_a_terminal() {
        TestEnv::new()
            .run_in_terminal(80, &["--version"], &[])
            .expect_code(0);
    }
}
