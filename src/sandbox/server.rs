//! Connections: accepting them, answering on them, and breaking them on purpose.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::state::{State, write_file};
use super::{Options, api, control, webhook};

/// How long open connections may take to end after a stop.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// Accepting goes on after this long when the machine had no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// The state file is written at most this often …
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// … and so that saving takes at most one part in this many of the time.
const SAVE_SHARE: u32 = 20;

/// Why a connection ends without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Abort {
    /// The client gets a reset.
    #[error("connection reset on purpose")]
    Reset,
    /// The client left, or the sandbox is stopping.
    #[error("connection closed")]
    Close,
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Server {
    state: Mutex<State>,
    pub(super) options: Options,
    address: SocketAddr,
    hanging: Hanging,
    pub(super) stop: watch::Sender<bool>,
    /// Something happened that the state file does not hold yet.
    unsaved: Notify,
    /// Held while the file is written: one at a time, and a later one with a later state.
    saving: Mutex<()>,
    /// There may be events to deliver.
    pub(super) events: Notify,
}

/// The requests that a fault holds until they are released.
#[derive(Debug, Default)]
struct Hanging {
    count: Mutex<usize>,
    changed: Condvar,
    release: Notify,
}

impl Server {
    pub(super) fn new(options: Options, address: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            state: Mutex::new(State::open(&options)?),
            options,
            address,
            hanging: Hanging::default(),
            stop: watch::Sender::new(false),
            unsaved: Notify::new(),
            saving: Mutex::new(()),
            events: Notify::new(),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:12111`
    pub(super) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding the lock; if it did, the books would still be readable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who watch the books that they changed.
    pub(super) fn note_change(&self) {
        if self.options.state_file.is_some() {
            self.unsaved.notify_one();
        }
        if self.options.webhook.is_some() {
            self.events.notify_one();
        }
    }

    /// Forgets everything, as a new start without a state file would, and lets go of what hangs.
    pub(super) fn reset(&self) -> io::Result<()> {
        let mut fresh = State::fresh(&self.options)?;
        let mut state = self.lock();
        fresh.epoch = state.epoch + 1;
        *state = fresh;
        drop(state);
        self.release();
        self.note_change();
        Ok(())
    }

    /// Waits until released; `Err` when the sandbox stops first.
    pub(super) async fn hang(&self) -> Result<(), Abort> {
        let mut released = std::pin::pin!(self.hanging.release.notified());
        // From here on a release counts, also one before the first poll below.
        released.as_mut().enable();
        let _held = Held::new(&self.hanging);
        tokio::select! {
            () = released => Ok(()),
            () = self.stopped() => Err(Abort::Close),
        }
    }

    /// Waits until the sandbox is told to stop.
    async fn stopped(&self) {
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Lets go of the requests that hang now, and says how many there were.
    pub(super) fn release(&self) -> usize {
        let count = self.hanging();
        self.hanging.release.notify_waiters();
        count
    }

    pub(super) fn hanging(&self) -> usize {
        *self
            .hanging
            .count
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until at least `count` requests hang; `false` when that takes longer than `patience`.
    pub(super) fn wait_hanging(&self, count: usize, patience: Duration) -> bool {
        let held = self
            .hanging
            .count
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .hanging
            .changed
            .wait_timeout_while(held, patience, |held| *held < count);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    pub(super) fn save(&self) -> io::Result<()> {
        let Some(path) = &self.options.state_file else {
            return Ok(());
        };
        let _alone = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.lock().to_json()?;
        write_file(path, &bytes).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("state file {}: {error}", path.display()),
            )
        })
    }
}

/// One held request, for as long as it is held.
struct Held<'a>(&'a Hanging);

impl<'a> Held<'a> {
    fn new(hanging: &'a Hanging) -> Self {
        *hanging.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        hanging.changed.notify_all();
        Self(hanging)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.changed.notify_all();
    }
}

/// Serves until stopped, then ends what is open and saves.
pub(super) async fn run(server: Arc<Server>, listener: TcpListener) -> io::Result<()> {
    let mut helpers = JoinSet::new();
    if server.options.state_file.is_some() {
        helpers.spawn(save_changes(Arc::clone(&server)));
    }
    if let Some(target) = server.options.webhook.clone() {
        helpers.spawn(webhook::deliver_events(Arc::clone(&server), target));
    }
    let mut connections = JoinSet::new();
    let controls = control::router(Arc::clone(&server));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.stopped() => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) if server.lock().faults.refuses_connection() => drop(stream),
            Ok((stream, _)) => {
                server.lock().connections += 1;
                connections.spawn(converse(Arc::clone(&server), controls.clone(), stream));
            }
            Err(error) => {
                tracing::warn!(reason = %error, "sandbox: cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_PATIENCE, ended).await.is_err() {
        connections.shutdown().await;
    }
    helpers.shutdown().await;
    server.save()
}

/// One connection, from its first request to its end.
async fn converse(server: Arc<Server>, controls: axum::Router, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let stopping = Arc::clone(&server);
    let controls = TowerToHyperService::new(controls);
    let service = service_fn(move |request| answer(Arc::clone(&server), controls.clone(), request));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => ended,
        () = stopping.stopped() => {
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|cx| connection.poll_without_shutdown(cx)).await
        }
    };
    let stream = connection.into_parts().io.into_inner();
    if ended.is_err_and(|error| is_reset(&error)) {
        // Closing with a linger time of zero sends a reset instead of an orderly end.
        let _ = stream.set_zero_linger();
    }
}

/// Boxed because hyper gives back the socket only of a service whose futures can be moved.
fn answer(
    server: Arc<Server>,
    controls: TowerToHyperService<axum::Router>,
    request: Request<Incoming>,
) -> Pin<Box<dyn Future<Output = Result<Response<Body>, Abort>> + Send>> {
    Box::pin(async move {
        if request.uri().path().starts_with("/_sandbox") {
            return controls.call(request).await.map_err(|never| match never {});
        }
        api::serve(server, request).await
    })
}

fn is_reset(error: &hyper::Error) -> bool {
    std::error::Error::source(error).and_then(|cause| cause.downcast_ref()) == Some(&Abort::Reset)
}

/// Writes the state file after changes, and takes its time over it.
async fn save_changes(server: Arc<Server>) {
    loop {
        server.unsaved.notified().await;
        let begun = Instant::now();
        let saving = Arc::clone(&server);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || saving.save()).await {
            tracing::warn!(reason = %error, "sandbox: cannot save");
        }
        tokio::time::sleep(SAVE_INTERVAL.max(begun.elapsed() * SAVE_SHARE)).await;
    }
}

/// The first half of a body, then an error: the connection is closed with the rest missing.
pub(super) struct CutBody {
    half: Option<Bytes>,
    flushed: bool,
}

impl CutBody {
    pub(super) fn half_of(whole: &Bytes) -> Self {
        Self {
            half: Some(whole.slice(..whole.len() / 2)),
            flushed: false,
        }
    }
}

impl hyper::body::Body for CutBody {
    type Data = Bytes;
    type Error = Abort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        if !self.flushed {
            // Waiting once makes hyper send what it has before it learns of the error.
            self.flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Abort::Close)))
    }
}
