//! A sandbox to test and the smallest HTTP client that can talk to it: one connection a request,
//! and every header kept. On purpose not the client of this crate, which the sandbox is to judge.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot start or cannot read its answer has failed"
)]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use payouts::sandbox::{Options, Sandbox, SandboxClock, SandboxHandle};
use serde_json::Value;

/// 2026-10-01T00:00:00Z.
pub(crate) const START_MS: i64 = 1_790_812_800_000;

/// Real seconds after which a test that waits for an answer fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A sandbox whose clock stands still and whose ids are always the same.
pub(crate) fn options() -> Options {
    Options {
        clock: SandboxClock::Frozen(START_MS),
        seed: Some(1),
        ..Options::at_free_port()
    }
}

pub(crate) fn sandbox() -> SandboxHandle {
    start(options())
}

pub(crate) fn start(options: Options) -> SandboxHandle {
    Sandbox::spawn(options).expect("start a sandbox")
}

/// A request to be sent.
#[derive(Clone)]
pub(crate) struct Request {
    address: SocketAddr,
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    chunked: bool,
}

pub(crate) fn get(sandbox: &SandboxHandle, path: &str) -> Request {
    Request {
        address: sandbox.address(),
        method: "GET",
        path: path.to_owned(),
        headers: vec![("Authorization".to_owned(), "Bearer sk_test_1".to_owned())],
        body: Vec::new(),
        chunked: false,
    }
}

/// A POST of a form that is encoded already.
pub(crate) fn post(sandbox: &SandboxHandle, path: &str, form: &str) -> Request {
    Request {
        method: "POST",
        body: form.into(),
        ..get(sandbox, path)
    }
    .header("Content-Type", "application/x-www-form-urlencoded")
}

/// A transfer of one dollar to `acct_1`.
pub(crate) fn transfer(sandbox: &SandboxHandle, more: &str) -> Request {
    post(
        sandbox,
        "/v1/transfers",
        &format!("amount=100&currency=usd&destination=acct_1{more}"),
    )
}

impl Request {
    /// Sets a header, in place of an earlier one of that name.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn api_key(self, key: &str) -> Self {
        self.header("Authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("Idempotency-Key", key)
    }

    pub(crate) fn method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    /// The body in chunks instead of announcing its length.
    pub(crate) fn chunked(self) -> Self {
        Self {
            chunked: true,
            ..self
        }
    }

    /// Sends, and expects an answer.
    pub(crate) fn send(&self) -> Answer {
        self.try_send()
            .unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.path))
    }

    /// Sends, and expects success.
    pub(crate) fn ok(&self) -> Value {
        let answer = self.send();
        assert_eq!(
            answer.status, 200,
            "{} {}: {}",
            self.method, self.path, answer.body
        );
        answer.json()
    }

    /// Sends, and expects an error with this status; returns what is inside `error`.
    pub(crate) fn refused(&self, status: u16) -> Value {
        let answer = self.send();
        assert_eq!(
            answer.status, status,
            "{} {}: {}",
            self.method, self.path, answer.body
        );
        answer.json()["error"].clone()
    }

    pub(crate) fn try_send(&self) -> io::Result<Answer> {
        self.open()?.answer()
    }

    /// Sends, and leaves the reading of the answer for later.
    pub(crate) fn open(&self) -> io::Result<Pending> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n",
            self.method, self.path
        )
        .into_bytes();
        for (name, value) in &self.headers {
            write!(text, "{name}: {value}\r\n")?;
        }
        if self.chunked {
            text.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in self.body.chunks(7) {
                write!(text, "{:x}\r\n", chunk.len())?;
                text.extend(chunk);
                text.extend(b"\r\n");
            }
            text.extend(b"0\r\n\r\n");
        } else {
            write!(text, "Content-Length: {}\r\n\r\n", self.body.len())?;
            text.extend(&self.body);
        }
        let mut pending = Pending(stream);
        pending.0.write_all(&text)?;
        Ok(pending)
    }
}

/// A request that was sent. Dropping it is a client that goes away.
pub(crate) struct Pending(TcpStream);

impl Pending {
    pub(crate) fn answer(mut self) -> io::Result<Answer> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes)?;
        Answer::parse(&bytes)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let cut = |what| io::Error::new(io::ErrorKind::UnexpectedEof, what);
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .ok_or_else(|| cut("no answer"))?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|status| status.parse().ok());
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let answer = Self {
            status: status.ok_or_else(|| cut("no status"))?,
            headers,
            body,
        };
        match answer
            .header("content-length")
            .and_then(|length| length.parse::<usize>().ok())
        {
            Some(length) if length > answer.body.len() => Err(cut("the body is cut")),
            _ => Ok(answer),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// The ids in a list, in its order.
pub(crate) fn ids(list: &Value) -> Vec<&str> {
    list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item["id"].as_str().expect("an id"))
        .collect()
}

/// How many transfers were made, by anybody.
pub(crate) fn made(sandbox: &SandboxHandle) -> usize {
    sandbox.ledger().transfers().count()
}
