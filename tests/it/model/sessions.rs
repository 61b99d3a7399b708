//! Sessions of a PostgreSQL server for processes that live for milliseconds.
//!
//! A server process is started for every session and reads its catalogue before the first answer,
//! which costs more than all that a simulated process then asks of it. So a session outlives its
//! process: it is wiped, and the next process gets it, as a pooler in session mode does it. Nothing of
//! one process is left for the next: `DISCARD ALL` gives back what it set, prepared and locked.
//!
//! Until a session is wiped, its process counts as connected ([`Sessions::wait_for`]).

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use crate::common::temporary_folder;

/// What stands for a version where a client asks for an encrypted session.
const ASKS_TO_ENCRYPT: [u32; 2] = [80_877_103, 80_877_104];

/// The sessions, and the socket at which they are to be had.
pub(crate) struct Sessions {
    url: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _folder: TempDir,
}

struct Shared {
    server: PathBuf,
    state: Mutex<State>,
    one_less: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Session>,
    /// Processes with a session, or whose session is not wiped yet.
    connected: usize,
}

struct Session {
    /// What its first client said first: who asks for the same gets the same.
    startup: Vec<u8>,
    /// What the server answered to that.
    greeting: Vec<u8>,
    server: UnixStream,
}

impl Sessions {
    /// In front of the server that a URL names by the folder of its socket; none in front of another.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let value = |name: &str| {
            let (_, rest) = url.split_once(name)?;
            rest.split('&').next()
        };
        let host = value("host=").filter(|host| host.starts_with('/'))?;
        let port = value("port=").unwrap_or("5432");
        let folder = temporary_folder();
        let socket = folder.path().join(format!(".s.PGSQL.{port}"));
        let shared = Arc::new(Shared {
            server: PathBuf::from(host).join(format!(".s.PGSQL.{port}")),
            state: Mutex::default(),
            one_less: Condvar::new(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let (serving, served) = (Arc::clone(&shared), socket);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(served).expect("a socket is made")
        };
        let thread = std::thread::Builder::new()
            .name("sessions".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        () = serve(listener, serving) => {}
                    }
                });
            })
            .expect("a thread starts");
        Some(Self {
            url: url.replace(
                &format!("host={host}"),
                &format!("host={}", folder.path().display()),
            ),
            shared,
            stop: Some(stop),
            thread: Some(thread),
            _folder: folder,
        })
    }

    /// Leads to the same database.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until at most so many processes are connected, and the sessions of all others are wiped.
    pub(crate) fn wait_for(&self, connected_max: usize) {
        let state = self.shared.state();
        let waits = |state: &mut State| state.connected > connected_max;
        let waited = self.shared.one_less.wait_while(state, waits);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        shared.state().connected += 1;
        tokio::spawn(async move {
            // A client that goes in the middle, or a server that does, loses its session.
            let _ = lend(client, &shared).await;
            shared.state().connected -= 1;
            shared.one_less.notify_all();
        });
    }
}

/// Gives a client a session until it goes.
async fn lend(mut client: UnixStream, shared: &Shared) -> io::Result<()> {
    let startup = startup_of(&mut client).await?;
    let same = {
        let idle = &mut shared.state().idle;
        let place = idle.iter().position(|session| session.startup == startup);
        place.map(|place| idle.swap_remove(place))
    };
    let mut session = match same {
        Some(session) => session,
        None => begin(startup, shared).await?,
    };
    client.write_all(&session.greeting).await?;
    relay(&mut client, &mut session.server).await?;
    // What was left open is rolled back first: nothing is discarded in a transaction.
    for wipe in ["ROLLBACK", "DISCARD ALL"] {
        let mut query = vec![b'Q'];
        query.extend(u32::try_from(wipe.len() + 5).expect("short").to_be_bytes());
        query.extend(wipe.as_bytes());
        query.push(0);
        session.server.write_all(&query).await?;
        until_ready(&mut session.server).await?;
    }
    shared.state().idle.push(session);
    Ok(())
}

/// The first packet of a client, which has no kind.
async fn startup_of(client: &mut UnixStream) -> io::Result<Vec<u8>> {
    loop {
        let length = client.read_u32().await?;
        let mut packet = length.to_be_bytes().to_vec();
        packet.resize(usize::try_from(length).expect("small"), 0);
        client.read_exact(&mut packet[4..]).await?;
        let code = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        if !ASKS_TO_ENCRYPT.contains(&code) {
            return Ok(packet);
        }
        client.write_all(b"N").await?;
    }
}

async fn begin(startup: Vec<u8>, shared: &Shared) -> io::Result<Session> {
    let mut server = UnixStream::connect(&shared.server).await?;
    server.write_all(&startup).await?;
    let greeting = until_ready(&mut server).await?;
    Ok(Session {
        startup,
        greeting,
        server,
    })
}

/// Everything that the server says until it waits for the next question.
async fn until_ready(server: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    loop {
        let mut head = [0; 5];
        server.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let from = said.len() + head.len();
        said.extend(head);
        said.resize(from + usize::try_from(length).expect("small") - 4, 0);
        server.read_exact(&mut said[from..]).await?;
        if head[0] == b'Z' {
            return Ok(said);
        }
    }
}

/// Hands on what both sides say, until the client takes its leave.
async fn relay(client: &mut UnixStream, server: &mut UnixStream) -> io::Result<()> {
    let (mut asked, mut answered) = (Vec::new(), vec![0; 16_384]);
    loop {
        tokio::select! {
            read = client.read_buf(&mut asked) => {
                if read? == 0 || !forward(&mut asked, server).await? {
                    return Ok(());
                }
            }
            read = server.read(&mut answered) => {
                let read = read?;
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                client.write_all(&answered[..read]).await?;
            }
        }
    }
}

/// Hands on whole messages. False when one of them is the last.
async fn forward(asked: &mut Vec<u8>, server: &mut UnixStream) -> io::Result<bool> {
    let mut end = 0;
    let mut stays = true;
    while let Some([kind, a, b, c, d]) = asked.get(end..end + 5) {
        let length = u32::from_be_bytes([*a, *b, *c, *d]);
        let next = end + 1 + usize::try_from(length).expect("small");
        if *kind == b'X' {
            stays = false;
            break;
        }
        if asked.len() < next {
            break;
        }
        end = next;
    }
    server.write_all(&asked[..end]).await?;
    asked.drain(..end);
    Ok(stays)
}
