//! Software that others wrote and platforms use, unchanged: Stripe's own clients, which judge the
//! sandbox, Prisma, which fills and reads a platform's database, and readers of what is written for
//! others: Prometheus' own for metrics, html5lib for pages, and a mail server.
//!
//! `tests/run` installs it. Where it is missing its tests fail; none is skipped.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use payouts::sandbox::SandboxHandle;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::db::TestDb;
use super::tls::CertificateFiles;
use super::{outside, temporary_folder};

/// The folder that `tests/run` filled: `python` is a virtual environment, `node` an npm folder with
/// the generated Prisma client in it.
const FOLDER_VARIABLE: &str = "PAYOUTS_TEST_CLIENTS";

/// Real time after which a client that is still silent has failed. The first start of one reads
/// thousands of files.
const PATIENCE: Duration = Duration::from_secs(60);

const API_KEY: &str = "sk_test_official";

/// A program of the folder.
fn installed(below: &str) -> PathBuf {
    let Some(folder) = outside(FOLDER_VARIABLE) else {
        panic!(
            "{FOLDER_VARIABLE} is not set: run the tests with `tests/run`, which installs the \
             official clients for them (`tests/run --serve` only installs them, starts the \
             PostgreSQL server, and prints what to set)"
        )
    };
    let path = Path::new(&folder).join(below);
    assert!(
        path.exists(),
        "{} is missing: {FOLDER_VARIABLE} is not a folder that `tests/run` made",
        path.display()
    );
    path
}

fn script(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients")).join(name)
}

/// A command that sees nothing of the developer's machine but its programs, and whatever it would
/// like to tell its makers stays on this machine: the proxy does not exist.
fn command(program: impl AsRef<Path>, home: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command
        .env_clear()
        .env("PATH", outside("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("LANG", "C.UTF-8")
        .env("TZ", "Asia/Kathmandu")
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .env("STRIPE_CLI_TELEMETRY_OPTOUT", "1")
        .current_dir(home);
    command
}

fn node(script_name: &str, home: &Path) -> Command {
    let modules = installed("node/node_modules");
    let mut command = command("node", home);
    command.env("NODE_PATH", modules).arg(script(script_name));
    command
}

/// Runs a command to its end, and expects success.
fn output(command: Command) -> (String, String) {
    let shown = format!("{command:?}");
    let output = assert_cmd::Command::from_std(command)
        .timeout(PATIENCE)
        .output()
        .unwrap_or_else(|error| panic!("{shown} did not start: {error}"));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "{shown}: {}\n{stdout}{stderr}",
        output.status
    );
    (stdout, stderr)
}

/// What a script of `tests/clients` makes of a text, with a library of others for what it reads.
pub(crate) fn read_by(script_name: &str, input: &str) -> Value {
    let home = temporary_folder();
    let mut python = command(installed("python/bin/python"), home.path());
    python.arg(script(script_name));
    let shown = format!("{python:?}");
    let output = assert_cmd::Command::from_std(python)
        .write_stdin(input)
        .timeout(PATIENCE)
        .output()
        .unwrap_or_else(|error| panic!("{shown} did not start: {error}"));
    assert!(
        output.status.success(),
        "{shown}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("a reader prints JSON")
}

/// One of Stripe's two libraries, in a process that calls what it is told to.
pub(crate) struct Library {
    process: Child,
    calls: ChildStdin,
    answers: Receiver<String>,
    _home: TempDir,
}

/// What a library gave back.
#[derive(Debug)]
pub(crate) enum Answer {
    Value {
        value: Value,
        replayed: bool,
    },
    /// `class`, `code`, `param` and `status` of what it raised.
    Error(Value),
}

impl Library {
    /// The Python library `stripe`.
    pub(crate) fn python(sandbox: &SandboxHandle) -> Self {
        let home = temporary_folder();
        let mut python = command(installed("python/bin/python"), home.path());
        python.arg(script("stripe_client.py"));
        Self::start(python, home, sandbox)
    }

    /// The npm package `stripe`.
    pub(crate) fn node(sandbox: &SandboxHandle) -> Self {
        let home = temporary_folder();
        Self::start(node("stripe_client.js", home.path()), home, sandbox)
    }

    fn start(mut command: Command, home: TempDir, sandbox: &SandboxHandle) -> Self {
        let mut process = command
            .args([&sandbox.base_url(), API_KEY])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
        let calls = process.stdin.take().expect("standard input is piped");
        let said = process.stdout.take().expect("standard output is piped");
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            process,
            calls,
            answers,
            _home: home,
        }
    }

    /// Makes a call of those in `tests/clients/stripe_client.py`.
    pub(crate) fn call(
        &mut self,
        call: &str,
        ids: &[&str],
        parameters: Value,
        options: Value,
    ) -> Answer {
        let line = Value::from_iter([
            ("call", call.into()),
            ("ids", ids.into()),
            ("parameters", parameters),
            ("options", options),
        ]);
        writeln!(self.calls, "{line}").expect("the client listens");
        let answer = self
            .answers
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|error| panic!("no answer to {line}: {error}"));
        let mut answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
        if answer["error"].is_object() {
            return Answer::Error(answer["error"].take());
        }
        Answer::Value {
            replayed: answer["replayed"] == true,
            value: answer["value"].take(),
        }
    }

    /// The value of a call without options.
    pub(crate) fn value(&mut self, call: &str, ids: &[&str], parameters: Value) -> Value {
        self.call(call, ids, parameters, json!({})).value(false)
    }

    /// The error of a call without options.
    pub(crate) fn error(&mut self, call: &str, ids: &[&str], parameters: Value) -> Value {
        self.call(call, ids, parameters, json!({})).error()
    }
}

impl Answer {
    /// What was given back, as the first answer or as a repeated one.
    #[track_caller]
    pub(crate) fn value(self, expected_replay: bool) -> Value {
        match self {
            Self::Value { value, replayed } => {
                assert_eq!(replayed, expected_replay, "{value}");
                value
            }
            Self::Error(error) => panic!("the client raises {error}"),
        }
    }

    #[track_caller]
    pub(crate) fn error(self) -> Value {
        match self {
            Self::Error(error) => error,
            Self::Value { value, .. } => panic!("the client is content with {value}"),
        }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The Stripe CLI.
pub(crate) struct StripeCli {
    api_base: String,
    home: TempDir,
}

impl StripeCli {
    pub(crate) fn new(sandbox: &SandboxHandle) -> Self {
        Self {
            api_base: sandbox.base_url(),
            home: temporary_folder(),
        }
    }

    /// Runs `stripe` with `words`, divided at blanks, and gives what it printed. It exits with 0
    /// whether Stripe agrees or refuses.
    pub(crate) fn run(&self, words: &str) -> Value {
        self.run_with_headers(words).0
    }

    /// The same with what it says of the request and of the headers of the answer.
    pub(crate) fn run_with_headers(&self, words: &str) -> (Value, String) {
        let mut stripe = command(installed("node/node_modules/.bin/stripe"), self.home.path());
        stripe
            .env("STRIPE_API_KEY", API_KEY)
            .args(words.split_whitespace())
            .args(["--show-headers", "--api-base", &self.api_base]);
        let (stdout, stderr) = output(stripe);
        let value = serde_json::from_str(&stdout)
            .unwrap_or_else(|error| panic!("stripe {words}: {error}\n{stdout}{stderr}"));
        (value, stderr)
    }
}

/// Prisma does `what` of `tests/clients/prisma/platform.js` in a database, and prints JSON.
pub(crate) fn prisma(db: &TestDb, what: &[&str]) -> Value {
    let home = temporary_folder();
    let mut platform = node("prisma/platform.js", home.path());
    platform
        .env("DATABASE_URL", db.url())
        .env("DATABASE_SCHEMA", db.schema())
        .env("GENERATED_CLIENT", installed("node/generated"))
        .args(what);
    let (stdout, stderr) = output(platform);
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}\n{stdout}{stderr}"))
}

/// A mail server over TLS, with a password: `tests/clients/smtp_server.py`.
pub(crate) struct SmtpServer {
    process: Child,
    port: u16,
    taken: Receiver<String>,
    certificate: CertificateFiles,
    _home: TempDir,
}

/// A mail that a server took.
#[derive(Debug)]
pub(crate) struct TakenMail {
    /// The envelope: `from`, `to`, `tls`, `user`; and the `message` as it came.
    pub(crate) envelope: Value,
}

impl TakenMail {
    /// The message as it came.
    pub(crate) fn message(&self) -> &str {
        self.envelope["message"]
            .as_str()
            .expect("a message is text")
    }

    /// A header of it, as it came.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        let mut lines = self.message().lines();
        lines
            .find_map(|line| line.strip_prefix(&start))
            .unwrap_or_else(|| panic!("no {name} in {}", self.message()))
    }

    /// To whom it went.
    pub(crate) fn to(&self) -> &str {
        self.envelope["to"][0].as_str().expect("somebody")
    }
}

impl SmtpServer {
    pub(crate) const USER: &'static str = "pay@platform.example";
    pub(crate) const PASSWORD: &'static str = "s3cret:%";

    /// `implicit` or `starttls`.
    pub(crate) fn start(mode: &str) -> Self {
        let home = temporary_folder();
        let certificate = CertificateFiles::new();
        let mut python = command(installed("python/bin/python"), home.path());
        python
            .arg(script("smtp_server.py"))
            .arg(mode)
            .args([certificate.path("cert.pem"), certificate.path("key.pem")])
            .args([Self::USER, Self::PASSWORD])
            .stdout(Stdio::piped());
        let mut process = python
            .spawn()
            .unwrap_or_else(|error| panic!("{python:?} did not start: {error}"));
        let said = process.stdout.take().expect("standard output is piped");
        let (sender, taken) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let port = taken
            .recv_timeout(PATIENCE)
            .expect("the server says its port")
            .parse()
            .expect("a port is a number");
        Self {
            process,
            port,
            taken,
            certificate,
            _home: home,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The root that signed its certificate.
    pub(crate) fn root(&self) -> PathBuf {
        self.certificate.path("root.pem")
    }

    /// What it took since the last time; it prints before it answers.
    pub(crate) fn taken(&self) -> Vec<TakenMail> {
        let mut mails = Vec::new();
        // What was printed is read by another thread, a moment later.
        while let Ok(line) = self.taken.recv_timeout(Duration::from_millis(300)) {
            let envelope = serde_json::from_str(&line).expect("a mail is JSON");
            mails.push(TakenMail { envelope });
        }
        mails
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
