//! One request to `/v1`, from the wire to the answer.
//!
//! 1. **Admit**, in one step under the lock: API key, path, permission, limits, idempotency key,
//!    parameters, fault. What is refused here was never executed and stores nothing.
//! 2. Half the latency; faults that strike before the execution.
//! 3. **Execute**, in one step under the lock, and store the answer under the key. A request whose
//!    latency has begun is executed even if its client leaves.
//! 4. The other half; faults that strike after the execution.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::endpoint::Route;
use super::error::ApiError;
use super::events::API_VERSION;
use super::faults::Fault;
use super::form::Params;
use super::reply::Reply;
use super::server::{Abort, Server};
use super::visit::Visit;

/// Larger bodies are refused.
const BODY_MAX: usize = 1 << 20;

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");

/// A request as it was sent.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    headers: HeaderMap,
}

impl Call {
    /// Reads all of a request: the parameters of query and body together, or what is wrong with
    /// the body.
    async fn receive(
        request: Request<Incoming>,
    ) -> Result<(Self, Result<Params, ApiError>), Abort> {
        let (parts, body) = request.into_parts();
        let mut params = Params::default();
        params.read(parts.uri.query().unwrap_or_default().as_bytes());
        let params = match Limited::new(body, BODY_MAX).collect().await {
            Ok(body) => {
                let body = body.to_bytes();
                if body.is_empty() || is_form(&parts.headers) {
                    params.read(&body);
                    Ok(params)
                } else {
                    Err(ApiError::new(
                        400,
                        None,
                        "Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you have \
                         questions, we can help at https://support.stripe.com/.",
                    ))
                }
            }
            Err(error) if error.is::<LengthLimitError>() => {
                Err(ApiError::new(413, None, "The request is too large."))
            }
            Err(_) => return Err(Abort::Close),
        };
        Ok((
            Self {
                method: parts.method,
                path: parts.uri.path().to_owned(),
                headers: parts.headers,
            },
            params,
        ))
    }

    /// The version of the API that the answer is to follow; echoed, and no more than that.
    pub(super) fn version(&self) -> HeaderValue {
        self.headers
            .get(&STRIPE_VERSION)
            .cloned()
            .unwrap_or(HeaderValue::from_static(API_VERSION))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn route(&self) -> Option<Route<'_>> {
        match self.method {
            Method::GET => Route::find(false, &self.path),
            Method::POST => Route::find(true, &self.path),
            _ => None,
        }
    }

    /// Only a POST has one; anywhere else Stripe ignores it.
    pub(super) fn idempotency_key(&self) -> Option<&str> {
        self.header("idempotency-key")
            .filter(|key| self.method == Method::POST && !key.is_empty())
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_none_or(|value| {
        value
            .as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    })
}

/// Answers one request; an [`Abort`] says that the connection ends without an answer.
pub(super) async fn serve(
    server: Arc<Server>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Abort> {
    let (call, params) = Call::receive(request).await?;
    let (mut visit, admitted) = Visit::start(&server, &call, params);
    let job = match admitted {
        Ok(job) => job,
        Err(error) => {
            let reply = visit.error_reply(&error);
            return Ok(respond(visit, reply));
        }
    };
    if let Some(reply) = strike_before(&visit).await? {
        return Ok(respond(visit, reply));
    }
    let late = visit.firing.fault == Fault::ExecuteLate;
    let reply = if visit.latency.is_zero() && !late {
        visit.execute(job)
    } else {
        // On a task of its own, which goes on when the client leaves and this future is dropped.
        let task = tokio::spawn(async move {
            if late {
                visit.server.hang().await?;
            }
            // Two moments instead of two pauses: what comes between them is not added.
            let begun = Instant::now();
            tokio::time::sleep_until(begun + visit.latency / 2).await;
            let reply = visit.execute(job);
            Ok((visit, reply, begun))
        });
        let (returned, reply, begun) = task.await.unwrap_or(Err(Abort::Close))?;
        visit = returned;
        tokio::time::sleep_until(begun + visit.latency).await;
        reply
    };
    let reply = reply.unwrap_or_else(|error| visit.error_reply(&error));
    match visit.firing.fault {
        Fault::ResetAfter => Err(Abort::Reset),
        Fault::HangAfter => {
            visit.server.hang().await?;
            Ok(respond(visit, reply))
        }
        Fault::Html503After => Ok(respond(visit, Reply::html_503())),
        Fault::CutBody => Ok(respond(visit, reply.cut())),
        _ => Ok(respond(visit, reply)),
    }
}

/// Faults before the execution: an answer, an end, or a wait after which all goes on.
async fn strike_before(visit: &Visit) -> Result<Option<Reply>, Abort> {
    let error = match visit.firing.fault {
        Fault::ResetBefore => return Err(Abort::Reset),
        Fault::HangBefore => {
            visit.server.hang().await?;
            return Ok(None);
        }
        Fault::Html503 => return Ok(Some(Reply::html_503())),
        Fault::Redirect307 => {
            return Ok(Some(Reply::redirect(&format!(
                "{}/_sandbox/redirected",
                visit.server.base_url()
            ))));
        }
        Fault::Error500NotStored => ApiError::server_error(),
        Fault::Conflict409 => ApiError::key_in_use(visit.key.as_deref().unwrap_or_default()),
        Fault::Rate429 => ApiError::rate_limit("global-rate", None),
        Fault::Lock429 => ApiError::lock_timeout(),
        Fault::Error424 => ApiError::external_dependency(),
        _ => return Ok(None),
    };
    Ok(Some(visit.error_reply(&error)))
}

/// Ends the visit and adds the headers that every answer has.
fn respond(mut visit: Visit, reply: Reply) -> Response<Body> {
    let mut reply = reply.with(REQUEST_ID, &visit.request_id);
    if let Some(key) = &visit.key {
        reply = reply.with(IDEMPOTENCY_KEY, key);
    }
    if let Some(should_retry) = visit.firing.should_retry {
        reply = reply.with(SHOULD_RETRY, if should_retry { "true" } else { "false" });
    }
    if let Some(seconds) = visit.firing.retry_after {
        reply = reply.with(header::RETRY_AFTER, &seconds.to_string());
    }
    let date = visit.finish(reply.status, reply.replayed);
    let mut response = reply.into_response();
    response.headers_mut().insert(header::DATE, date);
    response
        .headers_mut()
        .insert(STRIPE_VERSION, visit.version.clone());
    response
}
