//! Errors in the shape Stripe gives them.

use serde::Serialize;

/// An answer that is not a success.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    pub(super) message: String,
    param: Option<String>,
    /// Sent as `Stripe-Rate-Limited-Reason`.
    pub(super) rate_limited: Option<&'static str>,
    /// Sent as `Retry-After`, in seconds.
    pub(super) retry_after: Option<u32>,
}

impl ApiError {
    pub(super) fn new(
        status: u16,
        code: impl Into<Option<&'static str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            kind: "invalid_request_error",
            code: code.into(),
            message: message.into(),
            param: None,
            rate_limited: None,
            retry_after: None,
        }
    }

    /// A refusal that blames one parameter.
    pub(super) fn param(
        code: impl Into<Option<&'static str>>,
        param: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::new(400, code, message)
        }
    }

    pub(super) fn missing(param: &str) -> Self {
        Self::param(
            "parameter_missing",
            param,
            format!("Missing required param: {param}."),
        )
    }

    pub(super) fn empty(param: &str) -> Self {
        Self::param(
            "parameter_invalid_empty",
            param,
            format!(
                "You passed an empty string for '{param}'. We assume empty values are an attempt to unset a parameter; \
                 however '{param}' cannot be unset. You should remove '{param}' from your request or supply a non-empty value."
            ),
        )
    }

    pub(super) fn integer(param: &str, message: impl Into<String>) -> Self {
        Self::param("parameter_invalid_integer", param, message)
    }

    /// A field named in `expand[]` that is none, or never an object.
    pub(super) fn not_expandable(name: &str) -> Self {
        Self::param(
            None,
            "expand",
            format!("This property cannot be expanded ({name})."),
        )
    }

    /// An object named in the path, or in a cursor, that is not there.
    pub(super) fn no_such(status: u16, what: &str, id: &str, param: &str) -> Self {
        Self {
            status,
            ..Self::param("resource_missing", param, format!("No such {what}: '{id}'"))
        }
    }

    /// What Stripe says when the account named does not exist or is out of the key's reach.
    pub(super) fn no_access(account: &str) -> Self {
        Self::new(
            403,
            "account_invalid",
            format!(
                "The provided key does not have access to account '{account}' (or that account does not exist). Application \
                 access may have been revoked."
            ),
        )
    }

    pub(super) fn unrecognized(method: &str, path: &str) -> Self {
        Self::new(
            404,
            None,
            format!(
                "Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at \
                 https://support.stripe.com/."
            ),
        )
    }

    /// The same key with other parameters.
    pub(super) fn key_reused(key: &str) -> Self {
        Self {
            kind: "idempotency_error",
            ..Self::new(
                400,
                None,
                format!(
                    "Keys for idempotent requests can only be used with the same parameters they were first used with. \
                     Try using a key other than '{key}' if you meant to execute a different request."
                ),
            )
        }
    }

    pub(super) fn key_in_use(key: &str) -> Self {
        Self::new(
            409,
            "idempotency_key_in_use",
            format!(
                "There is currently another in-progress request using this Idempotent Key (that probably means you submitted \
                 twice, and the other request is still going through): {key}. Please try again later."
            ),
        )
    }

    pub(super) fn rate_limit(reason: &'static str, retry_after: Option<u32>) -> Self {
        Self {
            rate_limited: Some(reason),
            retry_after,
            ..Self::new(
                429,
                "rate_limit",
                "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
            )
        }
    }

    pub(super) fn lock_timeout() -> Self {
        Self::new(
            429,
            "lock_timeout",
            "This object cannot be accessed right now because another API request or Stripe process is currently accessing it. \
             If you see this error intermittently, retry the request.",
        )
    }

    pub(super) fn external_dependency() -> Self {
        Self {
            kind: "api_error",
            ..Self::new(
                424,
                None,
                "The request couldn't be completed due to a failure in a dependency external to Stripe.",
            )
        }
    }

    pub(super) fn server_error() -> Self {
        Self {
            kind: "api_error",
            ..Self::new(
                500,
                None,
                "An unknown error occurred. Your request may or may not have been executed. If you have any questions, we can \
                 help at https://support.stripe.com/.",
            )
        }
    }

    /// The JSON body; `request` is the id of the request being answered.
    pub(super) fn body(&self, request: &str, livemode: bool) -> String {
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: Details<'a>,
        }
        #[derive(Serialize)]
        struct Details<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            code: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            doc_url: Option<String>,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            param: Option<&'a str>,
            request_log_url: String,
            r#type: &'a str,
        }
        let mode = if livemode { "" } else { "test/" };
        let envelope = Envelope {
            error: Details {
                code: self.code,
                doc_url: self.code.map(|code| {
                    format!(
                        "https://stripe.com/docs/error-codes/{}",
                        code.replace('_', "-")
                    )
                }),
                message: &self.message,
                param: self.param.as_deref(),
                request_log_url: format!("https://dashboard.stripe.com/{mode}logs/{request}"),
                r#type: self.kind,
            },
        };
        serde_json::to_string(&envelope).unwrap_or_default()
    }
}

/// Writing JSON from our own structs cannot fail; if it ever does, that is a fault of the server.
impl From<serde_json::Error> for ApiError {
    fn from(_: serde_json::Error) -> Self {
        Self::server_error()
    }
}
