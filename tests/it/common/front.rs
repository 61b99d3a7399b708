//! A Stripe that answers what a test says, whatever the simulator behind it did: every answer that
//! Stripe, or something on the way to it, may give to a transfer, with the money moved or not.
//!
//! Reads go through to the simulator. One connection a request, one request at a time.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use payouts::sandbox::SandboxHandle;

/// What comes back from sending a transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// The simulator's own answer.
    Truth,
    /// The connection is refused.
    Gone,
    /// The connection ends without a byte.
    Nothing,
    /// No byte comes until the client gives up.
    Silence,
    /// A 200 whose body ends half-way.
    Cut,
    /// Status, more headers, body.
    Says(u16, &'static str, &'static str),
}

/// What happens to one send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// The simulator gets the request, so that the money moves.
    pub(crate) executed: bool,
    pub(crate) answer: Answer,
}

/// What happens to the sends of each payout, in order; the last step goes for all that follow.
/// What is not named gets the truth.
pub(crate) type Script = HashMap<String, Vec<Step>>;

/// An address that follows a script.
pub(crate) struct Front {
    address: SocketAddr,
    sends: Arc<Mutex<HashMap<String, usize>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Front {
    pub(crate) fn before(stripe: &SandboxHandle, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let (sends, over) = (Arc::default(), Arc::<AtomicBool>::default());
        let serving = Serving {
            stripe: stripe.address(),
            script,
            sends: Arc::clone(&sends),
        };
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || serving.serve(listener, &told));
        Self {
            address,
            sends,
            over,
            thread: Some(thread),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many transfers it was asked for, by payout.
    pub(crate) fn sends(&self) -> HashMap<String, usize> {
        let sends = self.sends.lock().unwrap_or_else(PoisonError::into_inner);
        sends.clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes it; where it is gone already nobody answers.
        drop(TcpStream::connect(self.address));
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(
            std::thread::panicking() || !matches!(ended, Some(Err(_))),
            "the front panicked"
        );
    }
}

struct Serving {
    stripe: SocketAddr,
    script: Script,
    sends: Arc<Mutex<HashMap<String, usize>>>,
}

impl Serving {
    fn serve(&self, listener: TcpListener, over: &AtomicBool) {
        // Open, and never answered.
        let mut silent = Vec::new();
        let mut listener = Some(listener);
        while let Some(open) = &listener {
            let (mut connection, _) = open.accept().expect("a connection comes");
            if over.load(Ordering::SeqCst) {
                return;
            }
            let Some(request) = Request::read(&connection) else {
                continue;
            };
            let payout = request.payout();
            let reply = match &payout {
                None => Some(request.pass_on(self.stripe)),
                Some(payout) => {
                    let step = self.next_step(payout);
                    self.count(payout);
                    let passed_on = step.executed || matches!(step.answer, Answer::Truth);
                    let truth = passed_on.then(|| request.pass_on(self.stripe));
                    reply(step.answer, truth)
                }
            };
            // Whoever is to find nobody must not find anybody once this one is answered.
            let before_a_send = payout.is_some() || request.head.starts_with("GET /v1/balance ");
            let gone = |payout: &String| matches!(self.next_step(payout).answer, Answer::Gone);
            if before_a_send && self.script.keys().any(gone) {
                listener = None;
            }
            match reply {
                // The client may have left.
                Some(bytes) => drop(connection.write_all(&bytes)),
                None => silent.push(connection),
            }
        }
    }

    fn count(&self, payout: &str) {
        let mut sends = self.sends.lock().unwrap_or_else(PoisonError::into_inner);
        *sends.entry(payout.to_owned()).or_default() += 1;
    }

    /// What happens to the next send of a payout.
    fn next_step(&self, payout: &str) -> Step {
        let truth = Step {
            executed: true,
            answer: Answer::Truth,
        };
        let sends = self.sends.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = sends.get(payout).copied().unwrap_or_default();
        let steps = self.script.get(payout);
        steps.map_or(truth, |steps| steps[sent.min(steps.len() - 1)])
    }
}

/// The bytes of an answer; none where there is none, and the client waits.
fn reply(answer: Answer, truth: Option<Vec<u8>>) -> Option<Vec<u8>> {
    Some(match answer {
        Answer::Truth => truth.expect("it was passed on"),
        Answer::Gone | Answer::Nothing => Vec::new(),
        Answer::Silence => return None,
        Answer::Cut => whole(200, "", r#"{"id":"tr_cut","object":"transfer""#)
            .strip_suffix(b"\"")
            .expect("it ends so")
            .to_vec(),
        Answer::Says(status, headers, body) => whole(status, headers, body),
    })
}

fn whole(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

struct Request {
    /// Its first line and headers, without the empty line.
    head: String,
    body: Vec<u8>,
}

impl Request {
    /// None where the client left.
    fn read(connection: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(connection);
        let mut head = String::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            match line.as_str() {
                "" => return None,
                "\r\n" => break,
                line => head.push_str(line),
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.parse().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        Some(Self { head, body })
    }

    /// The payout that it sends, by its key; none where it is no send.
    fn payout(&self) -> Option<String> {
        let head = self.head.strip_prefix("POST /v1/transfers ")?;
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("idempotency-key")
                .then_some(value)
        })?;
        let (payout, _attempt) = key.strip_prefix("payout_")?.rsplit_once('_')?;
        Some(payout.to_owned())
    }

    /// What the simulator answers.
    fn pass_on(&self, stripe: SocketAddr) -> Vec<u8> {
        let mut simulator = TcpStream::connect(stripe).expect("the simulator is there");
        let head = format!("{}Connection: close\r\n\r\n", self.head);
        simulator.write_all(head.as_bytes()).expect("it listens");
        simulator.write_all(&self.body).expect("it listens");
        let mut answer = Vec::new();
        simulator.read_to_end(&mut answer).expect("it answers");
        answer
    }
}
