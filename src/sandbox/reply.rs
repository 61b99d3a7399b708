//! Answers, and the headers Stripe sends with them.

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};

use super::error::ApiError;
use super::server::CutBody;

/// An answer on its way out.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) replayed: bool,
    /// Announce the whole body and send half of it.
    cut: bool,
    headers: Vec<(HeaderName, HeaderValue)>,
}

const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const ORIGINAL_REQUEST: HeaderName = HeaderName::from_static("original-request");
const RATE_LIMITED_REASON: HeaderName = HeaderName::from_static("stripe-rate-limited-reason");

impl Reply {
    fn new(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            body,
            replayed: false,
            cut: false,
            headers: Vec::new(),
        }
    }

    pub(super) fn json(status: u16, body: Vec<u8>) -> Self {
        Self::new(status, body).with(header::CONTENT_TYPE, "application/json")
    }

    pub(super) fn error(error: &ApiError, request_id: &str, livemode: bool) -> Self {
        let mut reply = Self::json(error.status, error.body(request_id, livemode).into_bytes());
        if let Some(reason) = error.rate_limited {
            reply = reply.with(RATE_LIMITED_REASON, reason);
        }
        if let Some(seconds) = error.retry_after {
            reply = reply.with(header::RETRY_AFTER, &seconds.to_string());
        }
        if error.status == 401 {
            reply = reply.with(header::WWW_AUTHENTICATE, "Bearer realm=\"Stripe\"");
        }
        reply
    }

    /// What a gateway says when it gets no answer from behind.
    pub(super) fn html_503() -> Self {
        let page = "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n\
                    <center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n";
        Self::new(503, page.into()).with(header::CONTENT_TYPE, "text/html")
    }

    pub(super) fn redirect(location: &str) -> Self {
        Self::new(307, Vec::new()).with(header::LOCATION, location)
    }

    /// Marks the answer as the stored one of the request `original`.
    pub(super) fn replayed(self, original: &str) -> Self {
        Self {
            replayed: true,
            ..self
        }
        .with(IDEMPOTENT_REPLAYED, "true")
        .with(ORIGINAL_REQUEST, original)
    }

    /// Names the request that was executed for the answer.
    pub(super) fn executed_by(self, request_id: &str) -> Self {
        self.with(ORIGINAL_REQUEST, request_id)
    }

    /// Adds a header; a value that HTTP cannot carry is left out.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Has the connection break in the middle of the body.
    pub(super) fn cut(self) -> Self {
        Self { cut: true, ..self }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let whole = self.body.len();
        let body = Bytes::from(self.body);
        let mut response = Response::new(if self.cut {
            Body::new(CutBody::half_of(&body))
        } else {
            Body::from(body)
        });
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().extend(self.headers);
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(whole));
        response
    }
}
