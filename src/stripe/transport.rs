//! One HTTP exchange with Stripe: exactly the bytes and the key it is given,
//! once, and everything that came back.
//!
//! Connections are pooled and never follow a redirect. A secret key is sent
//! only over HTTPS or to this machine, and a live one only to Stripe itself.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper::{Method, Request, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use secrecy::{ExposeSecret, SecretString};

use crate::model::time::Time;

/// Stripe's own address.
pub const STRIPE_BASE: &str = "https://api.stripe.com";

/// Largest answer that is read; a page of 100 transfers is a tenth of it.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Longest `Retry-After` that is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// How long an exchange may take. Source: the defaults of Stripe's own clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// From the first byte out to the last byte in.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            whole: Duration::from_secs(80),
        }
    }
}

/// Why a transport cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Not a secret or restricted key.
    #[error("the Stripe key is not a secret (sk_…) or restricted (rk_…) key")]
    NotAKey,
    /// Neither `_test_` nor `_live_`.
    #[error("the Stripe key says neither _test_ nor _live_")]
    NoMode,
    /// A live key must not leave for anywhere else.
    #[error("a live key is sent to {STRIPE_BASE} only, not to {0}")]
    LiveElsewhere(String),
    /// Plain HTTP beyond this machine.
    #[error("{0} is plain HTTP to another machine; a key travels over HTTPS only")]
    PlainHttp(String),
    /// Not a URL.
    #[error("{0:?} is not an http:// or https:// address without a path")]
    Base(String),
    /// No usable root certificates.
    #[error("the system's root certificates cannot be read: {0}")]
    Certificates(String),
}

/// What came back from one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange {
    /// No connection: not one byte of the request left.
    NotWritten {
        /// The system's words.
        reason: String,
    },
    /// Bytes may have left, and no whole answer came back.
    Lost {
        /// The system's words.
        reason: String,
        /// Of an answer whose body was cut.
        status: Option<u16>,
    },
    /// A whole answer.
    Answered(Reply),
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Request-Id`: Stripe's handle for support.
    pub request_id: Option<String>,
    /// `Idempotent-Replayed: true`: Stripe's stored answer.
    pub replayed: bool,
    /// `Stripe-Should-Retry`.
    pub should_retry: Option<bool>,
    /// `Retry-After`, if it was a number of seconds; at most a minute.
    pub retry_after: Option<Duration>,
    /// `Date`: Stripe's clock, in whole seconds.
    pub date: Option<Time>,
    /// The body.
    pub body: Vec<u8>,
}

/// A pooled HTTP client for one key and one address.
pub struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Checked>,
    base: String,
    authorization: HeaderValue,
    key: SecretString,
    livemode: bool,
    loopback: bool,
    timeouts: Timeouts,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("base", &self.base)
            .field("livemode", &self.livemode)
            .finish_non_exhaustive()
    }
}

/// Whether a key moves real money, by its prefix.
pub fn key_livemode(key: &SecretString) -> Result<bool, TransportError> {
    let key = key.expose_secret();
    let rest = key
        .strip_prefix("sk_")
        .or_else(|| key.strip_prefix("rk_"))
        .ok_or(TransportError::NotAKey)?;
    if rest.starts_with("live_") {
        Ok(true)
    } else if rest.starts_with("test_") {
        Ok(false)
    } else {
        Err(TransportError::NoMode)
    }
}

/// Whether a key may do only what it was given the right to.
pub fn key_is_restricted(key: &SecretString) -> bool {
    key.expose_secret().starts_with("rk_")
}

/// An address, and whether a simulator there plays the Stripe of real money. None does.
#[cfg(not(feature = "testing"))]
fn played_stripe(base: &str) -> (&str, bool) {
    (base, false)
}

/// Under the feature `testing` a simulator on this machine may: what a person is
/// asked before real money moves is worth a test. `live+http://127.0.0.1:1` is one.
#[cfg(feature = "testing")]
fn played_stripe(base: &str) -> (&str, bool) {
    base.strip_prefix("live+")
        .map_or((base, false), |base| (base, true))
}

impl Transport {
    /// A client for this key at this address; `None` is Stripe's own.
    pub fn new(
        key: &SecretString,
        base: Option<&str>,
        connections: usize,
        timeouts: Timeouts,
    ) -> Result<Self, TransportError> {
        let livemode = key_livemode(key)?;
        let base = base.unwrap_or(STRIPE_BASE).trim_end_matches('/');
        let (base, plays_stripe) = played_stripe(base);
        let base = base.to_owned();
        let uri: Uri = base
            .parse()
            .map_err(|_| TransportError::Base(base.clone()))?;
        let loopback = uri.host().is_some_and(is_loopback);
        match uri.scheme_str() {
            _ if uri.host().is_none() || uri.path() != "/" || uri.query().is_some() => {
                return Err(TransportError::Base(base));
            }
            _ if livemode && base != STRIPE_BASE && !(plays_stripe && loopback) => {
                return Err(TransportError::LiveElsewhere(base));
            }
            Some("https") => {}
            Some("http") if loopback => {}
            Some("http") => return Err(TransportError::PlainHttp(base)),
            _ => return Err(TransportError::Base(base)),
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()))
            .map_err(|_| TransportError::NotAKey)?;
        authorization.set_sensitive(true);
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(timeouts.connect));
        http.set_nodelay(true);
        http.enforce_http(false);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .pool_max_idle_per_host(connections.max(1))
            .build(tls(http, &uri)?);
        Ok(Self {
            client,
            base,
            authorization,
            key: key.clone(),
            livemode,
            loopback,
            timeouts,
        })
    }

    /// Real money.
    pub fn livemode(&self) -> bool {
        self.livemode
    }

    /// The address is this machine.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Reads something.
    pub async fn get(&self, path_and_query: &str, api_version: &str) -> Exchange {
        self.exchange(
            Method::GET,
            path_and_query,
            None,
            api_version,
            Checked::always(String::new()),
        )
        .await
    }

    /// Sends a form body under an idempotency key: these bytes, this key, once, and
    /// only if `may_leave` still says so when the body is about to be written.
    pub async fn post(
        &self,
        path: &str,
        key: &str,
        api_version: &str,
        body: String,
        may_leave: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Exchange {
        let body = Checked {
            bytes: Some(Bytes::from(body)),
            may_leave: Box::new(may_leave),
        };
        self.exchange(Method::POST, path, Some(key), api_version, body)
            .await
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        api_version: &str,
        body: Checked,
    ) -> Exchange {
        let mut request = Request::builder()
            .method(&method)
            .uri(format!("{}{path}", self.base))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(USER_AGENT, concat!("payouts/", env!("CARGO_PKG_VERSION")))
            .header("Stripe-Version", api_version);
        if let Some(key) = key {
            request = request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header("Idempotency-Key", key);
        }
        let request = match request.body(body) {
            Ok(request) => request,
            // A header that cannot be written was not written.
            Err(error) => {
                return Exchange::NotWritten {
                    reason: error.to_string(),
                };
            }
        };
        tell_request(&method, path, key);
        let begun = Instant::now();
        let exchange =
            match tokio::time::timeout(self.timeouts.whole, self.roundtrip(request)).await {
                Ok(exchange) => self.without_key(exchange),
                Err(_) => Exchange::Lost {
                    reason: format!("no answer within {} s", self.timeouts.whole.as_secs()),
                    status: None,
                },
            };
        tell_exchange(&method, path, key, begun, &exchange);
        exchange
    }

    /// Takes the key out of what came back. Answers are kept and shown, and something on
    /// the way to Stripe may repeat the request in its error page.
    fn without_key(&self, exchange: Exchange) -> Exchange {
        let key = self.key.expose_secret();
        let text = |text: String| text.replace(key, KEY_LEFT_OUT);
        match exchange {
            Exchange::NotWritten { reason } => Exchange::NotWritten {
                reason: text(reason),
            },
            Exchange::Lost { reason, status } => Exchange::Lost {
                reason: text(reason),
                status,
            },
            Exchange::Answered(reply) => Exchange::Answered(Reply {
                request_id: reply.request_id.map(text),
                body: without(key.as_bytes(), reply.body),
                ..reply
            }),
        }
    }

    async fn roundtrip(&self, request: Request<Checked>) -> Exchange {
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) if error.is_connect() || was_held_back(&error) => {
                return Exchange::NotWritten {
                    reason: with_causes(&error),
                };
            }
            Err(error) => {
                return Exchange::Lost {
                    reason: with_causes(&error),
                    status: None,
                };
            }
        };
        let status = response.status().as_u16();
        let mut reply = read_headers(status, response.headers());
        match Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
        {
            Ok(body) => {
                reply.body = body.to_bytes().to_vec();
                Exchange::Answered(reply)
            }
            Err(error) => Exchange::Lost {
                reason: format!("the answer was cut: {error}"),
                status: Some(status),
            },
        }
    }
}

/// The path and what is asked for behind it.
fn parted(path: &str) -> (&str, &str) {
    path.split_once('?').unwrap_or((path, ""))
}

/// Says in the log that a request begins.
fn tell_request(method: &Method, path: &str, key: Option<&str>) {
    let (path, query) = parted(path);
    tracing::trace!(
        event = "request",
        method = method.as_str(),
        path,
        query,
        idempotency_key = key,
        "asking Stripe"
    );
}

/// Says in the log what became of it. Of its body nothing: that is kept with the
/// attempt, and may name people.
fn tell_exchange(
    method: &Method,
    path: &str,
    key: Option<&str>,
    begun: Instant,
    exchange: &Exchange,
) {
    let (what, http_status, reason) = match exchange {
        Exchange::NotWritten { reason } => ("Stripe was not reached", None, Some(reason)),
        Exchange::Lost { reason, status } => {
            ("no whole answer came from Stripe", *status, Some(reason))
        }
        Exchange::Answered(reply) => ("Stripe answered", Some(reply.status), None),
    };
    let reply = match exchange {
        Exchange::Answered(reply) => Some(reply),
        _ => None,
    };
    tracing::debug!(
        event = "requested",
        method = method.as_str(),
        path = parted(path).0,
        http_status,
        request_id = reply.and_then(|reply| reply.request_id.as_deref()),
        replayed = reply.and_then(|reply| reply.replayed.then_some(true)),
        millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        idempotency_key = key,
        reason,
        "{what}"
    );
}

/// What stands for the key where an answer repeated it.
const KEY_LEFT_OUT: &str = "(key)";

/// Bytes without any occurrence of the key.
fn without(key: &[u8], bytes: Vec<u8>) -> Vec<u8> {
    if key.is_empty() || !bytes.windows(key.len()).any(|part| part == key) {
        return bytes;
    }
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes.as_slice();
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(key) {
            kept.extend_from_slice(KEY_LEFT_OUT.as_bytes());
            rest = after;
        } else {
            kept.push(*first);
            rest = after;
        }
    }
    kept
}

/// A body that asks once more, when its bytes are about to be written. A request may
/// wait for a connection, and the machine may go to sleep meanwhile: what was right
/// when the request was made may be wrong when it leaves. Without its body a request
/// is never executed.
struct Checked {
    /// Not yet written.
    bytes: Option<Bytes>,
    may_leave: Box<dyn Fn() -> bool + Send + Sync>,
}

/// The answer was no.
#[derive(Debug, thiserror::Error)]
#[error("it was held back when it was about to be sent")]
struct HeldBack;

/// Whether a request failed because its body was not allowed to leave.
fn was_held_back(error: &dyn std::error::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<HeldBack>() {
            return true;
        }
        cause = inner.source();
    }
    false
}

impl Checked {
    fn always(body: String) -> Self {
        Self {
            bytes: Some(Bytes::from(body)).filter(|bytes| !bytes.is_empty()),
            may_leave: Box::new(|| true),
        }
    }
}

impl Body for Checked {
    type Data = Bytes;
    type Error = HeldBack;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HeldBack>>> {
        Poll::Ready(match self.bytes.take() {
            None => None,
            Some(_) if !(self.may_leave)() => Some(Err(HeldBack)),
            Some(bytes) => Some(Ok(Frame::data(bytes))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// TLS for HTTPS addresses. Reading the system's certificates costs 30 ms, so a
/// plain address on this machine goes without.
fn tls(http: HttpConnector, uri: &Uri) -> Result<HttpsConnector<HttpConnector>, TransportError> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| TransportError::Certificates(e.to_string()))?;
    let config = if uri.scheme_str() == Some("https") {
        hyper_rustls::ConfigBuilderExt::with_native_roots(builder)
            .map_err(|e| TransportError::Certificates(e.to_string()))?
            .with_no_client_auth()
    } else {
        builder
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth()
    };
    Ok(hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn read_headers(status: u16, headers: &HeaderMap) -> Reply {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    Reply {
        status,
        request_id: text("request-id").map(str::to_owned),
        replayed: text("idempotent-replayed") == Some("true"),
        should_retry: text("stripe-should-retry").and_then(|t| t.parse().ok()),
        retry_after: text(RETRY_AFTER.as_str())
            .and_then(|t| t.parse().ok())
            .map(|seconds: u64| Duration::from_secs(seconds).min(RETRY_AFTER_MAX)),
        date: text(DATE.as_str())
            .and_then(|t| chrono::DateTime::parse_from_rfc2822(t).ok())
            .map(|t| Time::from_utc(t.naive_utc())),
        body: Vec::new(),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(key: &str, base: Option<&str>) -> Result<Transport, TransportError> {
        Transport::new(&SecretString::from(key), base, 1, Timeouts::default())
    }

    #[test]
    fn a_key_goes_only_where_it_is_safe() {
        assert!(
            make("sk_test_x", Some("http://127.0.0.1:1"))
                .unwrap()
                .is_loopback()
        );
        assert!(make("rk_test_x", Some("http://[::1]:1/")).is_ok());
        assert!(matches!(
            make("sk_test_x", Some("http://example.com")),
            Err(TransportError::PlainHttp(_))
        ));
        assert!(matches!(
            make("sk_live_x", Some("http://127.0.0.1:1")),
            Err(TransportError::LiveElsewhere(_))
        ));
        assert!(matches!(
            make("rk_live_x", Some("https://api.stripe.com.example.com")),
            Err(TransportError::LiveElsewhere(_))
        ));
        assert!(matches!(
            make("sk_live_x", Some("https://api.stripe.com:8443")),
            Err(TransportError::LiveElsewhere(_))
        ));
        // Not even a test sends a live key to another machine.
        assert!(make("sk_live_x", Some("live+http://example.com")).is_err());
        assert!(make("sk_live_x", Some("live+https://example.com")).is_err());
        for wrong in ["pk_test_x", "", "sk_", "whsec_x"] {
            assert!(
                matches!(
                    make(wrong, None),
                    Err(TransportError::NotAKey | TransportError::NoMode)
                ),
                "{wrong}"
            );
        }
        for wrong in [
            "ftp://127.0.0.1",
            "127.0.0.1",
            "http://127.0.0.1/v1",
            "http://127.0.0.1:1/?a=b",
        ] {
            assert!(
                matches!(make("sk_test_x", Some(wrong)), Err(TransportError::Base(_))),
                "{wrong}"
            );
        }
    }

    #[test]
    fn an_answer_that_repeats_the_key_is_read_without_it() {
        let transport = make("sk_test_s3cret", Some("http://127.0.0.1:1")).unwrap();
        let body = b"sk_test_s3cre sk_test_s3cretsk_test_s3cret, \xff\"sk_test_s3cret\"";
        let reply = Reply {
            status: 401,
            request_id: Some("req_sk_test_s3cret".to_owned()),
            body: body.to_vec(),
            ..Reply::default()
        };
        let Exchange::Answered(read) = transport.without_key(Exchange::Answered(reply)) else {
            panic!("it was an answer");
        };
        assert_eq!(read.body, b"sk_test_s3cre (key)(key), \xff\"(key)\"");
        assert_eq!(read.request_id.as_deref(), Some("req_(key)"));
        let reason = "Bearer sk_test_s3cret".to_owned();
        let lost = Exchange::Lost {
            reason,
            status: None,
        };
        assert!(!format!("{:?}", transport.without_key(lost)).contains("s3cret"));
    }

    #[test]
    fn a_transport_never_shows_its_key() {
        let transport = make("sk_test_s3cret", Some("http://127.0.0.1:1")).unwrap();
        assert!(!format!("{transport:?}").contains("s3cret"));
    }
}
