//! Replies: JSON bodies as an API server writes them, and errors as `Status` objects. No reply carries Retry-After,
//! which makes the HPA controller wait inside a reconcile (external-metrics-api.md, fact 6).

use axum::{body::Body, response::Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// An error that a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub code: StatusCode,
    pub reason: &'static str,
    pub message: String,
    pub details: Option<Value>,
}

impl Failure {
    pub fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// No such path; a metric that nobody has says so itself.
    pub fn no_route() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).with(json!({}))
    }

    pub fn method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).with(json!({}))
    }

    pub fn with(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    pub fn reply(&self, pretty: bool) -> Response {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code.as_u16(),
        });
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        let mut reply = json(self.code, &status, pretty);
        if self.code == StatusCode::FORBIDDEN {
            no_sniff(&mut reply);
        }
        reply
    }
}

/// A JSON reply, on one line or indented, with a newline at its end.
pub(super) fn json(code: StatusCode, value: &impl serde::Serialize, pretty: bool) -> Response {
    let written = if pretty {
        serde_json::to_vec_pretty(value)
    } else {
        serde_json::to_vec(value)
    };
    // Only a map with keys that are no texts cannot be written, and there is none here.
    let mut body = written.unwrap_or_default();
    body.push(b'\n');
    with_type(code, "application/json", body)
}

/// Plain text.
pub(super) fn text(code: StatusCode, body: impl Into<Body>) -> Response {
    let mut reply = with_type(code, "text/plain; charset=utf-8", body);
    no_sniff(&mut reply);
    reply
}

/// A reply of a content type.
pub(super) fn with_type(
    code: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = code;
    set(&mut reply, header::CONTENT_TYPE, content_type);
    reply
}

pub(super) fn set(reply: &mut Response, name: HeaderName, value: &'static str) {
    reply
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

fn no_sniff(reply: &mut Response) {
    set(reply, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
}
