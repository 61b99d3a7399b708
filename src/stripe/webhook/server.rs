//! The HTTP server that takes deliveries in: bounded in size, time and number, so
//! that whoever sends slowly, endlessly or too much holds up nobody else.
//!
//! What a delivery is worth is the business of an [`Endpoint`].

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
pub use hyper::body::Bytes as Body;
use hyper::body::{Body as _, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

const SIGNATURE: HeaderName = HeaderName::from_static("stripe-signature");
/// Where health is asked for; nothing is delivered there.
pub const HEALTH: &str = "/health";
/// Real time between two tries to accept, when the system gives no connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What one endpoint may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of a body; Stripe's largest events are a good deal smaller.
    pub body_bytes_max: usize,
    /// Of all headers together.
    pub head_bytes_max: usize,
    /// To read the head of a request, and between two requests.
    pub head_within: Duration,
    /// To read a body.
    pub body_within: Duration,
    /// To answer a delivery that was read.
    pub answer_within: Duration,
    /// At the same time; further ones wait in the system's queue.
    pub connections_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 256 * 1024,
            head_bytes_max: 32 * 1024,
            head_within: Duration::from_secs(10),
            body_within: Duration::from_secs(10),
            answer_within: Duration::from_secs(15),
            connections_max: 512,
        }
    }
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `text/plain`, or `application/json` where it begins with a brace.
    pub body: String,
}

impl Answer {
    /// A status, and why.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            body: body.into(),
        }
    }
}

/// What deliveries come to.
pub trait Endpoint: Send + Sync + 'static {
    /// Takes in a delivery: the `Stripe-Signature` header, and the body byte for byte.
    fn deliver(
        &self,
        signature: Option<Vec<u8>>,
        body: Body,
    ) -> impl Future<Output = Answer> + Send;

    /// Says how it is.
    fn health(&self) -> impl Future<Output = Answer> + Send;
}

/// Serves until `stop` says so, and ends when all that was begun is answered.
/// Deliveries are taken at `path`, or at any where none is said.
pub async fn serve<E: Endpoint>(
    listener: TcpListener,
    endpoint: E,
    path: Option<String>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let service = Arc::new(Service {
        endpoint,
        path,
        limits,
    });
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                (slot, listener.accept().await)
            } => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            (Ok(slot), Ok((stream, _))) => {
                let (service, stop) = (Arc::clone(&service), stop.clone());
                connections.spawn(async move {
                    service.converse(stream, stop).await;
                    drop(slot);
                });
            }
            _ => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    drop(listener);
    let most = limits.body_within + limits.answer_within;
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(most, ended).await.is_err() {
        connections.shutdown().await;
    }
}

struct Service<E> {
    endpoint: E,
    path: Option<String>,
    limits: Limits,
}

impl<E: Endpoint> Service<E> {
    /// One connection, from its first request to its end.
    async fn converse(self: Arc<Self>, stream: TcpStream, mut stop: watch::Receiver<bool>) {
        // Answers are short, and somebody waits for each.
        let _ = stream.set_nodelay(true);
        let limits = self.limits;
        let service = service_fn(move |request| {
            let this = Arc::clone(&self);
            async move { Ok::<_, Infallible>(this.answer(request).await) }
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head_within)
                .max_buf_size(limits.head_bytes_max)
                .serve_connection(TokioIo::new(stream), service)
        );
        // How a connection ends is the other side's business.
        let stopped = async { stop.wait_for(|stop| *stop).await.is_ok() };
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stopped => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Body>> {
        let path = request.uri().path();
        if path == HEALTH {
            if request.method() != Method::GET {
                return not_allowed("GET");
            }
            return written(self.endpoint.health().await);
        }
        if self.path.as_ref().is_some_and(|only| only != path) {
            return refused(StatusCode::NOT_FOUND, "events are delivered elsewhere");
        }
        if request.method() != Method::POST {
            return not_allowed("POST");
        }
        let signature = match signature_of(&request) {
            Ok(signature) => signature,
            Err(answer) => return answer,
        };
        let body = match self.body(request.into_body()).await {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        let delivered = self.endpoint.deliver(signature, body);
        match tokio::time::timeout(self.limits.answer_within, delivered).await {
            Ok(answer) => written(answer),
            Err(_) => written(Answer::new(503, "not stored in time; send it again")),
        }
    }

    async fn body(&self, body: Incoming) -> Result<Body, Response<Full<Body>>> {
        let most = self.limits.body_bytes_max;
        let too_large = || refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
        let said = body.size_hint().lower();
        if said > u64::try_from(most).unwrap_or(u64::MAX) {
            return Err(too_large());
        }
        let read = Limited::new(body, most).collect();
        match tokio::time::timeout(self.limits.body_within, read).await {
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(refused(StatusCode::BAD_REQUEST, "the body is cut off")),
            Err(_) => Err(refused(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not come in time",
            )),
        }
    }
}

/// The one header that counts. Two of them are nobody's signature.
fn signature_of(request: &Request<Incoming>) -> Result<Option<Vec<u8>>, Response<Full<Body>>> {
    let mut headers = request.headers().get_all(SIGNATURE).iter();
    let first = headers.next().map(|value| value.as_bytes().to_vec());
    if headers.next().is_some() {
        let why = "there are two Stripe-Signature headers";
        return Err(refused(StatusCode::BAD_REQUEST, why));
    }
    Ok(first)
}

fn written(answer: Answer) -> Response<Full<Body>> {
    let kind = if answer.body.starts_with('{') {
        "application/json"
    } else {
        "text/plain; charset=utf-8"
    };
    let mut body = answer.body;
    body.push('\n');
    let mut response = Response::new(Full::from(body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Refuses a request without having read all of it: nothing can follow it.
fn refused(status: StatusCode, why: &str) -> Response<Full<Body>> {
    let mut response = written(Answer::new(status.as_u16(), why));
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn not_allowed(only: &'static str) -> Response<Full<Body>> {
    let mut response = refused(
        StatusCode::METHOD_NOT_ALLOWED,
        "this is for another method; events are POSTed",
    );
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(only));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    /// Says how long a body was; answers `wait` only when it is told to.
    #[derive(Clone, Default)]
    struct Measure(Arc<Notify>);

    impl Endpoint for Measure {
        async fn deliver(&self, _: Option<Vec<u8>>, body: Body) -> Answer {
            if body == "wait" {
                self.0.notified().await;
            }
            Answer::new(200, body.len().to_string())
        }

        async fn health(&self) -> Answer {
            Answer::new(200, "{}")
        }
    }

    const SOON: Duration = Duration::from_millis(50);
    const HANGS: Duration = Duration::from_secs(20);

    struct Served {
        address: SocketAddr,
        stop: watch::Sender<bool>,
        ended: JoinHandle<()>,
    }

    async fn served(endpoint: Measure, limits: Limits) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let ended = tokio::spawn(serve(listener, endpoint, None, limits, stopping));
        Served {
            address,
            stop,
            ended,
        }
    }

    async fn open(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// All that is said until the connection ends, which it must.
    async fn said(mut stream: TcpStream) -> String {
        let mut said = Vec::new();
        let read = tokio::time::timeout(HANGS, stream.read_to_end(&mut said)).await;
        let _ = read.expect("it does not end");
        String::from_utf8(said).unwrap()
    }

    fn post(body: &str) -> String {
        let length = body.len();
        format!(
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    #[tokio::test]
    async fn what_comes_too_slowly_is_cut_off() {
        let limits = Limits {
            head_within: SOON,
            body_within: SOON,
            ..Limits::default()
        };
        let served = served(Measure::default(), limits).await;
        let slow_body = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{";
        let answer = said(open(served.address, slow_body).await).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        let answer = said(open(served.address, "POST / HTTP/1.1\r\nHost:").await).await;
        assert!(!answer.contains("200"), "{answer}");
        // Nor is a connection kept on which nothing more comes.
        let kept = post("abc").replace("Connection: close\r\n", "");
        let answer = said(open(served.address, &kept).await).await;
        assert!(answer.ends_with("\r\n\r\n3\n"), "{answer}");
    }

    #[tokio::test]
    async fn connections_that_are_too_many_wait_for_their_turn() {
        let limits = Limits {
            head_within: SOON,
            connections_max: 1,
            ..Limits::default()
        };
        let served = served(Measure::default(), limits).await;
        let first = open(served.address, "").await;
        let answer = said(open(served.address, &post("abc")).await).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        drop(first);
    }

    #[tokio::test]
    async fn what_cannot_be_answered_in_time_is_to_be_sent_again() {
        let limits = Limits {
            answer_within: SOON,
            ..Limits::default()
        };
        let served = served(Measure::default(), limits).await;
        let answer = said(open(served.address, &post("wait")).await).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }

    #[tokio::test]
    async fn what_was_begun_is_answered_before_it_ends() {
        let endpoint = Measure::default();
        let served = served(endpoint.clone(), Limits::default()).await;
        let begun = open(served.address, &post("wait")).await;
        let idle = open(served.address, "").await;
        // Whoever came before is being read once somebody who came later is answered.
        said(open(served.address, &post("abc")).await).await;
        served.stop.send_replace(true);
        while TcpStream::connect(served.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        endpoint.0.notify_one();
        let answer = said(begun).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(said(idle).await, "");
        tokio::time::timeout(HANGS, served.ended)
            .await
            .expect("it ends")
            .unwrap();
    }

    #[tokio::test]
    async fn a_body_is_read_no_further_than_its_limit() {
        let limits = Limits {
            body_bytes_max: 4,
            ..Limits::default()
        };
        let served = served(Measure::default(), limits).await;
        let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n";
        for (request, status) in [
            (post("abcd").as_str(), 200),
            (&post("abcde"), 413),
            (chunked, 413),
        ] {
            let answer = said(open(served.address, request).await).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{answer}"
            );
        }
    }
}
