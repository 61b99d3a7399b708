//! A secret goes from where it was written down to the one header that needs it, and nowhere else:
//! every system call of every command is looked at, of those that succeed and of those that fail.
//!
//! Some of the failures in every run of the tests; `PAYOUTS_TEST_LEAKS=all` has every failure
//! traced, and every command in every format on both databases.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::commands;
use crate::common::db::{Backend, TestDb, on_both};
use crate::common::env::{NOW, TestEnv};
use crate::common::outside;
use crate::common::shop::Shop;
use crate::common::strace::Tracer;

/// What no two secrets share with each other, or with anything else.
const KEY: &str = "sk_test_M4rkedK3yQ7vT2x";
const WEBHOOK: &str = "whsec_M4rkedH00kZ5w";
const PASSWORD: &str = "M4rkedPassw0rdJ9";
const MAIL: &str = "M4rkedMa1lU6p";

fn everything() -> bool {
    outside("PAYOUTS_TEST_LEAKS").is_some_and(|of| of == "all")
}

// --- what a call may carry -------------------------------------------------------------------------------------------

/// Where secrets may be seen.
#[derive(Default)]
struct Allowed {
    /// They were written down here, and are read.
    files: Vec<PathBuf>,
    /// Something on the way to Stripe repeats what it was sent.
    echo: bool,
}

/// The calls that carry a secret, and may not.
fn leaks(calls: &[String], allowed: &Allowed) -> Vec<String> {
    let mut leaks = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        for secret in [KEY, WEBHOOK, PASSWORD, MAIL] {
            // Some are told apart from the rest of a text by their middle alone.
            let marked = secret.rsplit('_').next().unwrap();
            if call.contains(marked) && !may_carry(call, number, secret, allowed) {
                leaks.push(call.chars().take(2000).collect());
            }
        }
    }
    leaks
}

fn may_carry(call: &str, number: usize, secret: &str, allowed: &Allowed) -> bool {
    let is = |names: &[&str]| {
        names
            .iter()
            .any(|name| call.starts_with(&format!("{name}(")))
    };
    let on_network = call.contains("<TCP:[") || call.contains("<TCPv6:[");
    if number == 0 {
        // The program begins, with the arguments and the environment that it was given.
        return is(&["execve"]);
    }
    if is(&["read", "pread64", "readv"]) {
        let of = |file: &PathBuf| call.contains(&format!("<{}>", file.display()));
        return allowed.files.iter().any(of) || (allowed.echo && on_network);
    }
    if is(&["recvfrom", "recvmsg"]) {
        return allowed.echo && on_network;
    }
    let marked = secret.rsplit('_').next().unwrap();
    // Whatever stands between the word and the mark, such as the mode, is of the key.
    let in_header = |before: &str, after: &str| {
        let word = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        word.ends_with("authorization: Bearer ") && after.starts_with("\\r\\n")
    };
    is(&["write", "writev", "sendto", "sendmsg"])
        && on_network
        && secret == KEY
        && call
            .match_indices(marked)
            .all(|(at, _)| in_header(&call[..at], &call[at + marked.len()..]))
}

/// The files below `folder` with a secret in them.
fn files_with_a_secret(folder: &Path, but: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            found.extend(files_with_a_secret(&path, but));
        } else if !but.contains(&path) {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            let told = [KEY, WEBHOOK, PASSWORD, MAIL];
            if told
                .iter()
                .any(|secret| text.contains(secret.rsplit('_').next().unwrap()))
            {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_call_that_carries_a_secret_elsewhere_is_noticed() {
    let file = PathBuf::from("/x/key");
    let allowed = Allowed {
        files: vec![file],
        echo: false,
    };
    let request = format!(
        "sendto(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"GET / HTTP/1.1\\r\\nauthorization: Bearer {KEY}\\r\\n"
    );
    let right = [
        format!("execve(\"payouts\", [\"payouts\"], [\"STRIPE_SECRET_KEY={KEY}\"]) = 0"),
        format!("read(3</x/key>, \"{KEY}\\n\", 100) = 24"),
        request.clone(),
    ];
    assert_eq!(leaks(&right, &allowed), [""; 0]);
    for wrong in [
        format!("execve(\"payouts\", [\"payouts\"], [\"STRIPE_SECRET_KEY={KEY}\"]) = 0"),
        format!("read(3</x/other>, \"{KEY}\\n\", 100) = 24"),
        format!("{request}x: {KEY}\\r\\n"),
        request.replace(KEY, WEBHOOK),
        request.replace("TCP:[127.0.0.1:1->127.0.0.1:2]", "/dev/pts/0"),
        format!("write(2</dev/pts/0>, \"{PASSWORD}\", 4) = 4"),
        format!("recvfrom(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"{KEY}\", 4) = 4"),
        "openat(AT_FDCWD, \"/tmp/M4rkedK3yQ7vT2x\") = 4".to_owned(),
    ] {
        let calls = ["execve(\"x\")".to_owned(), wrong];
        assert_eq!(leaks(&calls, &allowed).len(), 1, "{calls:?}");
    }
}

// --- every command ---------------------------------------------------------------------------------------------------

/// Every secret that the program knows, with its mark.
fn secrets_of(db: &TestDb) -> Vec<(&'static str, String)> {
    let secret = payouts::env_vars::ALL
        .iter()
        .filter(|variable| variable.secret);
    secret
        .map(|variable| {
            let marked = match (variable.name, db.backend()) {
                ("DATABASE_URL", Backend::Sqlite) => db.url().to_owned(),
                ("DATABASE_URL", Backend::Postgres) => format!("{}&password={PASSWORD}", db.url()),
                ("STRIPE_SECRET_KEY", _) => KEY.to_owned(),
                ("STRIPE_WEBHOOK_SECRET", _) => WEBHOOK.to_owned(),
                ("SMTP_URL", _) => format!("smtp://mailer:{MAIL}@127.0.0.1:1?tls=none"),
                (other, _) => panic!("{other} is a secret: give it a mark here"),
            };
            (variable.name, marked)
        })
        .collect()
}

on_both! {
    /// Every command, as it is asked for where everything is well. The secrets come from files on
    /// SQLite and from the environment on PostgreSQL.
    fn no_command_tells_a_secret(db: TestDb) {
        let mut shop = commands::shop(db);
        let mut allowed = Allowed::default();
        for (name, secret) in secrets_of(&shop.db) {
            if shop.db.backend() == Backend::Sqlite && name != "DATABASE_URL" {
                let file = shop.env.path(&format!("secret-{name}"));
                fs::write(&file, secret).unwrap();
                shop.env.unset(name);
                shop.env.set(&format!("{name}_FILE"), file.to_str().unwrap());
                allowed.files.push(file);
            } else {
                shop.env.set(name, &secret);
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let tracer = Tracer::new(folder.path());
        let formats: &[&str] = match (everything(), shop.db.backend()) {
            (true, _) => &["table", "json", "ndjson", "csv"],
            (false, Backend::Sqlite) => &["json"],
            (false, Backend::Postgres) => &["table"],
        };
        let mut headers = 0;
        for command in commands::all().0 {
            for format in formats {
                let mut args = commands::line(&command);
                args.extend(["-vv", "-o", format]);
                if commands::is_in(&commands::GO_ON, &command) {
                    serve_for_a_moment(&shop.env, &tracer, &args[..args.len() - 3]);
                } else {
                    if command == "demo" {
                        // It brings a Stripe of its own, whose clock does not stand still.
                        shop.env.unset("PAYOUTS_TEST_NOW");
                    }
                    let run = tracer.run(&shop.env, &args);
                    assert!(run.code < 70, "{run}");
                    shop.env.set_now(NOW);
                }
                let calls = tracer.calls();
                headers += calls.iter().filter(|call| call.contains(&format!("Bearer {KEY}"))).count();
                assert_eq!(leaks(&calls, &allowed), [""; 0], "{command} -o {format}");
            }
        }
        // The trace sees what it is there to see.
        assert!(headers > 10, "{headers} requests were seen");
        let folders = [shop.env.path(""), shop.env.home_path("")];
        for folder in folders.iter().chain(shop.db.file().parent().map(Path::to_path_buf).filter(|_| shop.db.backend() == Backend::Sqlite).iter()) {
            assert_eq!(files_with_a_secret(folder, &allowed.files), [""; 0].map(PathBuf::from));
        }
    }
}

/// Has a command serve: it is called, with a signature that is none, and interrupted.
fn serve_for_a_moment(env: &TestEnv, tracer: &Tracer, args: &[&str]) {
    let child = env
        .command_under(&tracer.words(), args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Serving(child);
    let mut said = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("http://") {
        assert!(said.read_line(&mut line).unwrap() > 0, "{args:?}: {line}");
    }
    let address = line
        .split("http://")
        .nth(1)
        .unwrap_or_else(|| panic!("{args:?}: {line}"));
    let address = address.split(['/', '\'', '"', '\n', ' ']).next().unwrap();
    let mut call = TcpStream::connect(address).unwrap();
    call.write_all(b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nstripe-signature: t=1,v1=00\r\ncontent-length: 2\r\n\r\n{}")
        .unwrap();
    call.read_to_end(&mut Vec::new()).unwrap();
    interrupt_child_of(&child.0);
    child.0.wait().unwrap();
}

/// What a failing test does not leave behind.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // Where it has ended there is nothing to do. The program ends with its tracer.
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            interrupt_child_of(&self.0);
            drop(self.0.wait());
        }
    }
}

/// Interrupts what strace runs.
fn interrupt_child_of(strace: &Child) {
    let id = strace.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let killed = Command::new("kill")
        .args(["-INT", children.trim()])
        .status();
    assert!(killed.unwrap().success());
}

// --- what goes wrong -------------------------------------------------------------------------------------------------

/// Something on the way to Stripe that answers with what it was sent.
pub(crate) struct Echo {
    address: SocketAddr,
}

/// What an answer looks like, given the key.
pub(crate) type Answer = fn(&str) -> Vec<u8>;

/// An answer of HTTP.
pub(crate) fn says(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} Whatever\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

/// An error as Stripe writes it, with the key in each of its texts.
fn refusal(status: u16, key: &str) -> Vec<u8> {
    let url = format!("https://dashboard.stripe.com/{key}");
    let error = serde_json::json!({"error": {
        "type": "invalid_request_error", "code": key, "decline_code": key, "param": key,
        "message": format!("Invalid API Key provided: {key}"), "request_log_url": url, "doc_url": url,
    }});
    says(
        status,
        "content-type: application/json\r\n",
        &error.to_string(),
    )
}

const ANSWERS: [(&str, Answer); 18] = [
    ("200, a transfer", |key| {
        let transfer = serde_json::json!({
            "id": format!("tr_{key}"), "object": "transfer", "amount": 1000, "currency": "usd", "created": 1_793_611_800,
            "destination": key, "livemode": false, "reversed": false, "amount_reversed": 0, "transfer_group": key,
            "metadata": {"payout_id": key, key: key},
        });
        says(200, "", &transfer.to_string())
    }),
    ("200, another object", |key| {
        says(
            200,
            "",
            &format!("{{\"object\":\"{key}\",\"id\":\"{key}\"}}"),
        )
    }),
    ("200, a page", |key| {
        says(
            200,
            "content-type: text/html\r\n",
            &format!("<pre>authorization: Bearer {key}</pre>"),
        )
    }),
    ("200, cut", |key| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{{\"id\":\"{key}").into_bytes()
    }),
    ("400", |key| refusal(400, key)),
    ("401", |key| refusal(401, key)),
    ("402", |key| refusal(402, key)),
    ("403", |key| refusal(403, key)),
    ("404", |key| refusal(404, key)),
    ("409", |key| refusal(409, key)),
    ("429", |key| refusal(429, key)),
    ("500", |key| refusal(500, key)),
    ("503, a page", |key| {
        says(
            503,
            "",
            &format!("<h1>Bad gateway</h1><pre>authorization: Bearer {key}</pre>"),
        )
    }),
    ("307 to somewhere", |key| {
        says(307, &format!("location: http://127.0.0.1:9/{key}\r\n"), key)
    }),
    ("a request id", |key| {
        says(
            400,
            &format!("request-id: {key}\r\nretry-after: {key}\r\ndate: {key}\r\n"),
            "{}",
        )
    }),
    ("a status that is none", |key| {
        format!("HTTP/1.1 {key}\r\n\r\n").into_bytes()
    }),
    ("no HTTP", |key| {
        format!("authorization: Bearer {key}\r\n\r\n").into_bytes()
    }),
    ("chunks that are none", |key| {
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{key}\r\n").into_bytes()
    }),
];

impl Echo {
    /// Answers all, or only what would move money; the rest goes on to `stripe`.
    pub(crate) fn before(stripe: SocketAddr, all: bool, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Ends with the tests: nobody calls it any more.
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let _ = Self::serve(connection, stripe, all, answer);
            }
        });
        Self { address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn serve(
        mut connection: TcpStream,
        stripe: SocketAddr,
        all: bool,
        answer: Answer,
    ) -> std::io::Result<()> {
        let mut reader = BufReader::new(connection.try_clone()?);
        let (mut head, mut length, mut key) = (String::new(), 0, String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            if let Some(said) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = said.trim().parse().unwrap();
            }
            if let Some(said) = line.strip_prefix("authorization: Bearer ") {
                said.trim().clone_into(&mut key);
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        if all || head.starts_with("POST /v1/transfers") {
            return connection.write_all(&answer(&key));
        }
        let mut onward = TcpStream::connect(stripe)?;
        write!(onward, "{head}connection: close\r\n\r\n")?;
        onward.write_all(&body)?;
        let mut told = Vec::new();
        onward.read_to_end(&mut told)?;
        connection.write_all(&told)
    }
}

/// One thing that goes wrong.
#[derive(Default)]
struct Case {
    what: String,
    args: Vec<String>,
    set: Vec<(&'static str, String)>,
    files: Vec<(&'static str, Vec<u8>)>,
    under: &'static [&'static str],
    /// Whom, and on all that is asked.
    echo: Option<(bool, Answer)>,
}

fn case(what: impl Into<String>, line: &str) -> Case {
    Case {
        what: what.into(),
        args: line.split(' ').map(str::to_owned).collect(),
        ..Case::default()
    }
}

impl Case {
    fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.set.push((name, value.into()));
        self
    }

    fn file(mut self, name: &'static str, bytes: impl AsRef<[u8]>) -> Self {
        self.files.push((name, bytes.as_ref().to_vec()));
        self
    }

    fn under(mut self, words: &'static [&'static str]) -> Self {
        self.under = words;
        self
    }

    fn echo(mut self, all: bool, answer: Answer) -> Self {
        self.echo = Some((all, answer));
        self
    }
}

/// Addresses of a database that cannot be reached, or not be read, with a password in each.
fn databases() -> Vec<String> {
    let p = PASSWORD;
    vec![
        format!("mysql://ann:{p}@db/pay"),
        p.to_owned(),
        format!("postgres://ann:{p}@127.0.0.1:1/pay"),
        format!("postgres://ann:{p}@/pay?host=/nowhere"),
        format!("postgres://ann:x/{p}@127.0.0.1:1/pay"),
        format!("postgres://ann:{p}@{p}@127.0.0.1:1/pay"),
        format!("postgres://ann:%zz{p}@127.0.0.1:1/pay"),
        format!("postgres://ann:x#{p}@127.0.0.1:1/pay"),
        format!("postgres://ann:x?{p}@127.0.0.1:1/pay"),
        format!("postgres://127.0.0.1:1/pay?user=ann&password={p}"),
        format!("postgres://127.0.0.1:1/pay?user=ann&pasword={p}"),
        format!("postgres://127.0.0.1:1/pay?user=ann&sslmode={p}"),
        format!("postgres://127.0.0.1:{p}/pay"),
        format!("postgres://ann:{p}@127.0.0.1:1/pay?options=-c%20x={p}&schema=a;b"),
        format!("postgresql:ann:{p}@127.0.0.1/pay"),
        format!(" postgres://ann:{p}@127.0.0.1:1/pay"),
        format!("POSTGRES://ann:{p}@127.0.0.1:1/pay"),
    ]
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, url) in databases().into_iter().enumerate() {
        cases.push(case(format!("database {number}"), "doctor").set("DATABASE_URL", &url));
        cases.push(case(
            format!("database {number} as a flag"),
            &format!("--database-url {} list --frobnicate", url.trim()),
        ));
        cases.push(
            case(format!("database {number} in a file"), "list")
                .set("DATABASE_URL", "")
                .set("DATABASE_URL_FILE", "url")
                .file("url", &url),
        );
    }
    let spoilt = format!("{KEY}\nx: y");
    let key = |what: &str, value: &str| {
        case(format!("key: {what}"), "process").set("STRIPE_SECRET_KEY", value)
    };
    cases.extend([
        key("publishable", &KEY.replace("sk_", "pk_")),
        key("without a mode", &KEY.replace("_test", "")),
        key("of a webhook", WEBHOOK),
        key("two lines", &spoilt),
        key("with a letter that no header has", &format!("{KEY}\u{7f}é")),
        key("live, unasked", &KEY.replace("test", "live")),
        key("live, elsewhere", &KEY.replace("test", "live"))
            .set("PAYOUTS_LIVE", "1")
            .set("STRIPE_API_BASE", "https://127.0.0.1:1"),
        key("over plain HTTP", KEY).set("STRIPE_API_BASE", "http://stripe.example"),
        key("to no address", KEY).set("STRIPE_API_BASE", "stripe"),
        key("of another account", &KEY.replace("test_", "test_other")),
        key("twice", KEY)
            .set("STRIPE_SECRET_KEY_FILE", "key")
            .file("key", KEY),
        case("key in a file that is none", "process")
            .set("STRIPE_SECRET_KEY", "")
            .set("STRIPE_SECRET_KEY_FILE", "."),
        case("key in a file that is no text", "process")
            .set("STRIPE_SECRET_KEY", "")
            .set("STRIPE_SECRET_KEY_FILE", "key")
            .file("key", [KEY.as_bytes(), b"\xff"].concat()),
        case("key and garbage in a file", "process")
            .set("STRIPE_SECRET_KEY", "")
            .set("STRIPE_SECRET_KEY_FILE", "key")
            .file("key", format!("STRIPE_SECRET_KEY={KEY}\n")),
        case("nobody there", "process").set("STRIPE_API_BASE", "http://127.0.0.1:1"),
        case("nobody there, looked into", "doctor").set("STRIPE_API_BASE", "http://127.0.0.1:1"),
        case("TLS where there is none", "process").set("STRIPE_API_BASE", "https://127.0.0.1:1"),
    ]);
    for (number, text) in [
        format!("STRIPE_SECRET_KEY={KEY} {KEY}"),
        format!("STRIPE_SECRET_KEY='{KEY}"),
        format!("STRIPE_SECRET_KEY=\"{KEY}\\q\""),
        format!("STRIPE SECRET KEY={KEY}"),
        KEY.to_owned(),
        format!("={KEY}"),
        format!("STRIPE_SECRET_KEY={KEY}\nPAYOUTS_CONCURRENCY=0"),
        format!("STRIPE_SECRET_KEY: {KEY}"),
        format!("DATABASE_URL=postgres://ann:{PASSWORD} x@127.0.0.1/d"),
    ]
    .into_iter()
    .enumerate()
    {
        cases.push(
            case(format!(".env {number}"), "doctor")
                .set("STRIPE_SECRET_KEY", "")
                .file(".env", text),
        );
    }
    cases.push(
        case(".env that is no text", "list").file(".env", [KEY.as_bytes(), b"=\xff\xfe"].concat()),
    );
    for (what, args, set) in [
        (
            "no secret",
            "events listen --listen 127.0.0.1:0",
            "M4rkedH00kZ5w".to_owned(),
        ),
        (
            "five secrets",
            "events listen --listen 127.0.0.1:0",
            [WEBHOOK; 5].join(","),
        ),
        (
            "empty between commas",
            "events listen --listen 127.0.0.1:0",
            format!("{WEBHOOK},,{WEBHOOK} x"),
        ),
        (
            "an address that is none",
            "events listen --listen nowhere",
            WEBHOOK.to_owned(),
        ),
    ] {
        cases.push(case(format!("webhook: {what}"), args).set("STRIPE_WEBHOOK_SECRET", set));
    }
    cases.push(
        case("webhook: no number", "events listen --listen 127.0.0.1:0")
            .set("PAYOUTS_CONCURRENCY", "x"),
    );
    cases.extend([
        case("a file that is none", "create --file nowhere.csv"),
        case(
            "a file of rows that are refused",
            "create --file bad.csv --errors errors.csv",
        )
        .file("bad.csv", "creator,amount\nnobody,1\ncr_x,=1\n"),
        case("a file that is no text", "creators import bad.csv")
            .file("bad.csv", b"\x00\x01\xff\xfe,"),
        case("another file that is no text", "statements import bad.csv")
            .file("bad.csv", b"id\n\"\n"),
        case(
            "a comparison with a file that is none",
            "reconcile --file bad.csv",
        )
        .file("bad.csv", "a,b\n1,2\n"),
        case("what is not there", "show nothing"),
        case("no receipt", "receipt nothing --out x.html"),
        case("a wrong period", "report --period yesterday-ish"),
        case("no command", "frobnicate"),
        case("a setting that is wrong", "process").set("PAYOUTS_RATE", "fast"),
        case("no space left", "list").under(&["sh", "-c", "exec \"$@\" > /dev/full", "sh"]),
        case("files may not grow", "process").under(&[
            "sh",
            "-c",
            "ulimit -f 0; exec \"$@\"",
            "sh",
        ]),
        case("few files may be open", "process").under(&[
            "sh",
            "-c",
            "ulimit -n 8; exec \"$@\"",
            "sh",
        ]),
        case("killed after the claim", "process")
            .set("PAYOUTS_TEST_FAILPOINT", "claim.committed=kill"),
        case("killed before the send", "process")
            .set("PAYOUTS_TEST_FAILPOINT", "send.leaving=kill"),
        case("killed after the answer", "process")
            .set("PAYOUTS_TEST_FAILPOINT", "send.answered=kill"),
        case("a database that fails", "process")
            .set("PAYOUTS_TEST_FAILPOINT", "settle.writing=fail_for_good"),
        case("a bug in the claim", "process").set("PAYOUTS_TEST_FAILPOINT", "claim.writing=panic"),
        case("a bug before the send", "process")
            .set("PAYOUTS_TEST_FAILPOINT", "send.before=panic")
            .set("RUST_BACKTRACE", "1"),
        case("a bug at the end", "process").set("PAYOUTS_TEST_FAILPOINT", "run_end.writing=panic"),
    ]);
    for (what, answer) in ANSWERS {
        cases.push(
            case(
                format!("a transfer is answered with the key: {what}"),
                "process -o json -vv --log-format json",
            )
            .echo(false, answer),
        );
    }
    for line in [
        "doctor",
        "check",
        "process",
        "reconcile --from 2026-11-01",
        "events pull",
        "resolve",
    ] {
        for (what, answer) in [ANSWERS[2], ANSWERS[5], ANSWERS[14]] {
            cases.push(
                case(format!("{line} is answered with the key: {what}"), line).echo(true, answer),
            );
        }
    }
    cases
}

/// At least fifty ways in which something goes wrong: none of them tells a secret.
#[test]
fn no_failure_tells_a_secret() {
    let cases: Vec<Case> = cases();
    // A prime, so that every kind of failure is among them, and others every day of a year.
    let step = if everything() { 1 } else { 2 };
    let cases: Vec<&Case> = cases.iter().step_by(step).collect();
    assert!(cases.len() >= 50, "{}", cases.len());
    let next = AtomicUsize::new(0);
    let told = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let shop = Shop::open(TestDb::sqlite_in_memory_file_system());
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { break };
                    told.lock().unwrap().extend(go_wrong(&shop, case, number));
                }
            });
        }
    });
    assert_eq!(told.into_inner().unwrap(), [""; 0]);
}

/// What a failure told.
fn go_wrong(shop: &Shop, case: &Case, number: usize) -> Vec<String> {
    let creator = format!("c{number}");
    shop.creator(&creator);
    shop.payout(&format!("cp{number}"), &creator, 1000);
    let mut env = TestEnv::new();
    env.use_database(&shop.db);
    env.set("STRIPE_SECRET_KEY", KEY);
    env.set("STRIPE_WEBHOOK_SECRET", WEBHOOK);
    env.set("STRIPE_API_BASE", &shop.stripe.base_url());
    env.set("PAYOUTS_TEST_TIMEOUT", "5s");
    let mut allowed = Allowed::default();
    if let Some((all, answer)) = case.echo {
        let echo = Echo::before(shop.stripe.address(), all, answer);
        env.set("STRIPE_API_BASE", &echo.url());
        allowed.echo = true;
    }
    for (name, value) in &case.set {
        env.set(name, value);
    }
    for (name, bytes) in &case.files {
        env.write(name, bytes);
        allowed.files.push(env.path(name));
    }
    let folder = tempfile::tempdir().unwrap();
    let tracer = Tracer::new(folder.path());
    let args: Vec<&str> = case.args.iter().map(String::as_str).collect();
    let words = [&tracer.words()[..], case.under].concat();
    env.run_under(&words, &args);
    let mut calls = tracer.calls();
    if !case.under.is_empty() {
        // What stands before the program has begun with the same environment.
        let begins = |call: &String| call.starts_with("execve(") && call.contains("payouts\"");
        let at = calls.iter().rposition(begins).unwrap();
        calls.drain(..at);
    }
    let mut told = leaks(&calls, &allowed);
    for folder in [
        &env.path(""),
        &env.home_path(""),
        shop.db.file().parent().unwrap(),
    ] {
        let files = files_with_a_secret(folder, &allowed.files);
        told.extend(files.iter().map(|file| file.display().to_string()));
    }
    for told in &mut told {
        told.insert_str(0, &format!("{}: ", case.what));
    }
    told
}

/// A mail server says what it was told, as it was told and as it was meant.
#[test]
fn a_mail_server_that_repeats_the_password_is_told_without_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Ends with the tests: nobody calls it any more.
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.write_all(b"220 mail\r\n");
            for line in BufReader::new(client.try_clone().unwrap())
                .lines()
                .map_while(Result::ok)
            {
                let answer = if line.starts_with("EHLO") {
                    "250-mail\r\n250 AUTH PLAIN LOGIN\r\n".to_owned()
                } else {
                    format!("535 5.7.8 {MAIL} of {line}\r\n")
                };
                let _ = client.write_all(answer.as_bytes());
            }
        }
    });
    let mut shop = Shop::open(TestDb::sqlite());
    shop.payouts(1);
    shop.env
        .set("PAYOUTS_MAIL_FROM", "The Platform <pay@platform.example>");
    shop.env.set("PAYOUTS_MAIL_TO", "ops@platform.example");
    shop.env.set(
        "SMTP_URL",
        &format!("smtp://mailer:{MAIL}@127.0.0.1:{port}?tls=none"),
    );
    shop.env.run(&["notify", "on", "paid"]).expect_code(0);
    shop.process(&[]).expect_code(0);
    shop.env.set_now("2026-11-02T10:30:00Z");
    let run = shop.env.run(&["notify"]).expect_code(3);
    assert!(
        run.stderr.contains("535") && run.stderr.contains("(password)"),
        "{run}"
    );
    for run in [
        run,
        shop.env.run(&["notify", "list", "-o", "json"]),
        shop.env.run(&["doctor"]),
    ] {
        for secret in [MAIL, "AG1haWxlcgBNNHJrZWRNYTFsVTZw"] {
            assert!(
                !run.stdout.contains(secret) && !run.stderr.contains(secret),
                "{run}"
            );
        }
    }
    let folder = shop.db.file().parent().unwrap().to_path_buf();
    assert_eq!(
        files_with_a_secret(&folder, &[]),
        [""; 0].map(PathBuf::from)
    );
}

// --- memory ----------------------------------------------------------------------------------------------------------

/// A crash leaves no core file, and no other process of the same user reads the environment or the
/// memory. That both would be so without the protection is shown as well.
#[test]
fn memory_with_a_key_in_it_is_nobody_elses() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    for protected in [true, false] {
        let mut env = TestEnv::new();
        env.set("STRIPE_SECRET_KEY", KEY);
        env.set("STRIPE_API_BASE", &address);
        env.set("DATABASE_URL", "sqlite:none.db");
        if protected {
            env.unset("PAYOUTS_TEST_DUMPABLE");
        }
        let nobody = Nobody::owns(&env);
        // Whoever has no rights may not reach the folder in which the program was built.
        let program = env.home_path("payouts");
        fs::copy(env!("CARGO_BIN_EXE_payouts"), &program).unwrap();
        let limits = "ulimit -S -c \"$(ulimit -H -c)\"; exec \"$@\"";
        let mut command = env.program("sh", &["-c", limits, "sh"]);
        command.arg(&program).arg("doctor");
        nobody.runs(&mut command);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It asks Stripe, which does not answer: the key is in its memory.
        silent.set_nonblocking(true).unwrap();
        let mut asked = loop {
            match silent.accept() {
                Ok((asked, _)) => break asked,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            assert_eq!(
                child.try_wait().unwrap(),
                None,
                "it ended and asked nothing"
            );
            std::thread::yield_now();
        };
        asked.set_nonblocking(false).unwrap();
        let mut request = [0; 4096];
        let length = asked.read(&mut request).unwrap();
        assert!(String::from_utf8_lossy(&request[..length]).contains(KEY));
        let read = |what: &str| {
            let mut cat = Command::new("head");
            cat.args(["-c", "1000000", &format!("/proc/{}/{what}", child.id())]);
            nobody.runs(&mut cat);
            cat.output().unwrap()
        };
        let environ = read("environ");
        assert_eq!(
            String::from_utf8_lossy(&environ.stdout).contains(KEY),
            !protected
        );
        // To be opened is enough: whoever may do that reads all of it.
        let memory = String::from_utf8_lossy(&read("mem").stderr).into_owned();
        assert_eq!(memory.contains("Permission denied"), protected, "{memory}");
        crate::process::signal(&child, "ABRT");
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(6));
        let cores: Vec<_> = fs::read_dir(env.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        if protected {
            assert!(!status.core_dumped() && cores.is_empty(), "{cores:?}");
        }
    }
}

/// Somebody without any rights: root may read everything.
struct Nobody {
    user: Option<u32>,
}

impl Nobody {
    /// Another user than root, who is given the folders of a machine.
    fn owns(env: &TestEnv) -> Self {
        let user = rustix::process::getuid().is_root().then_some(65534);
        if let Some(user) = user {
            for folder in ["", ".."] {
                std::os::unix::fs::chown(env.path(folder), Some(user), Some(user)).unwrap();
            }
        }
        Self { user }
    }

    fn runs(&self, command: &mut Command) {
        use std::os::unix::process::CommandExt;
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
    }
}
