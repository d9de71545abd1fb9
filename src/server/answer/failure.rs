//! An error as an API server tells it: code, reason, message and details of a `Status`.

use http::StatusCode;
use serde::Serialize;

use crate::server::request::accept::{Offer, Unacceptable};

/// An error that a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status.
    pub code: StatusCode,
    /// Kubernetes' word for it; empty where it is plain text.
    pub reason: &'static str,
    /// The text that a person reads.
    pub message: String,
    /// The object it is about; some errors have an empty one, others none.
    pub details: Option<Box<Details>>,
}

/// `StatusDetails` of `meta/v1`, the fields in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Details {
    /// The name of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Its kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The field and its fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
}

/// `StatusCause` of `meta/v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// Kubernetes' word for it.
    pub reason: &'static str,
    /// The text that a person reads.
    pub message: String,
    /// The field of the request or object.
    pub field: String,
}

impl Failure {
    pub(in crate::server) fn new(
        code: StatusCode,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    pub(in crate::server) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(in crate::server) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// Without Retry-After: who comes back for it comes back in step.
    pub(in crate::server) fn busy(why: &impl std::fmt::Display) -> Self {
        let code = StatusCode::TOO_MANY_REQUESTS;
        Self::new(code, "TooManyRequests", why.to_string())
    }

    pub(in crate::server) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// No such path; a metric that nobody has says so itself.
    pub(in crate::server) fn no_route() -> Self {
        Self::not_found("the server could not find the requested resource").with(Details::default())
    }

    pub(in crate::server) fn method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
            .with(Details::default())
    }

    pub(in crate::server) fn unacceptable(why: Unacceptable, offer: Offer) -> Self {
        let types = offer.types();
        let new = |message| Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message);
        match why {
            Unacceptable::Media => new(format!(
                "406: Not Acceptable\n\nAvailable representations: {types}"
            ))
            .with(Details::default()),
            Unacceptable::Conversion => new(format!(
                "only the following media types are accepted: {types}"
            )),
        }
    }

    /// Not a `Status`, but this text.
    pub(in crate::server) fn plain(code: StatusCode, message: impl Into<String>) -> Self {
        Self::new(code, "", message)
    }

    pub(in crate::server) fn with(mut self, details: Details) -> Self {
        self.details = Some(Box::new(details));
        self
    }
}
