//! Webhooks: every event is posted to one address on loopback, signed as Stripe signs.
//!
//! Delivery is at least once and in any order: a failing delivery is tried again a few times while
//! later events go out. Headers carry the simulated time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Uri, header};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::auth::Scope;
use super::clock::seconds;
use super::events::Delivery;
use super::server::Server;

/// How often an event is tried; Stripe goes on for days.
const TRIES: u32 = 5;
/// The pause before the second try; it doubles with every further one. Real time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How long an answer may take. Real time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Deliveries at the same time.
const CONCURRENCY: usize = 16;

/// Where events are posted.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    url: Uri,
    secret: String,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Why an address cannot be a webhook.
#[derive(Debug, thiserror::Error)]
#[error("webhook {0:?}: only http:// to 127.0.0.1, [::1] or localhost is allowed")]
pub struct WebhookError(String);

impl Webhook {
    /// A webhook at `url`, on loopback, signed with `secret` (`whsec_…`).
    pub fn new(url: &str, secret: &str) -> Result<Self, WebhookError> {
        let refused = || WebhookError(url.to_owned());
        let parsed: Uri = url.parse().map_err(|_| refused())?;
        let loopback = parsed
            .host()
            .is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
        if parsed.scheme_str() != Some("http") || !loopback {
            return Err(refused());
        }
        Ok(Self {
            url: parsed,
            secret: secret.to_owned(),
        })
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }
}

/// The value of `Stripe-Signature` for `body` sent at `time` (Unix seconds).
///
/// The key is the whole text of the secret, `whsec_` included; what is signed is the time, a dot,
/// and the body byte for byte.
pub fn signature(secret: &str, time: i64, body: &[u8]) -> String {
    // A key of any length is good for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{time}.").as_bytes());
    mac.update(body);
    let code = mac.finalize().into_bytes();
    let mut signature = format!("t={time},v1=");
    for byte in code {
        for half in [byte >> 4, byte & 15] {
            signature.extend(char::from_digit(u32::from(half), 16));
        }
    }
    signature
}

/// Delivers what has happened and what will, until the task is dropped.
pub(super) async fn deliver_events(server: Arc<Server>, webhook: Webhook) {
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let slots = Arc::new(Semaphore::new(CONCURRENCY));
    // Dropped with this future, and every delivery with it.
    let mut deliveries = JoinSet::new();
    loop {
        while let Some((scope, place)) = next_event(&server) {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let (server, webhook, client) = (Arc::clone(&server), webhook.clone(), client.clone());
            while deliveries.try_join_next().is_some() {}
            deliveries.spawn(async move {
                deliver(&server, &webhook, &client, scope, place).await;
                drop(slot);
            });
        }
        server.events.notified().await;
    }
}

/// Takes the next event that nobody has begun to deliver.
fn next_event(server: &Server) -> Option<(Scope, usize)> {
    let mut state = server.lock();
    for ledger in &mut state.ledgers {
        while let Some(event) = ledger.events.get(ledger.next_delivery) {
            let place = ledger.next_delivery;
            ledger.next_delivery += 1;
            if event.delivery == Delivery::Open {
                return Some((ledger.scope, place));
            }
        }
    }
    None
}

async fn deliver(
    server: &Server,
    webhook: &Webhook,
    client: &Client<HttpConnector, Full<Bytes>>,
    scope: Scope,
    place: usize,
) {
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=TRIES {
        let Some(request) = signed_request(server, webhook, scope, place) else {
            return;
        };
        let answered = tokio::time::timeout(PATIENCE, client.request(request)).await;
        let delivered = matches!(&answered, Ok(Ok(response)) if response.status().is_success());
        if delivered || attempt == TRIES {
            let outcome = if delivered {
                Delivery::Done
            } else {
                Delivery::Failed
            };
            if let Some(event) = server.lock().books(scope).0.events.get_mut(place) {
                event.delivery = outcome;
            }
            return;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

/// The event as it is posted now; `None` when a reset took it away.
fn signed_request(
    server: &Server,
    webhook: &Webhook,
    scope: Scope,
    place: usize,
) -> Option<Request<Full<Bytes>>> {
    let mut state = server.lock();
    let time = seconds(state.clock.now_ms());
    let body = serde_json::to_vec(&state.books(scope).0.event_view(place).ok()?).ok()?;
    drop(state);
    Request::post(webhook.url.clone())
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header("stripe-signature", signature(webhook.secret(), time, &body))
        .body(Full::from(body))
        .ok()
}
