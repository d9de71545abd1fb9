//! Replies as an API server writes them, and errors as `Status` objects. No reply carries Retry-After, which makes the
//! HPA controller wait inside a reconcile (external-metrics-api.md, fact 6).

use axum::{body::Body, response::Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{
    accept::{Format, Offer, Unacceptable},
    protobuf,
};

/// An error that a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status.
    pub code: StatusCode,
    /// Kubernetes' word for it; empty where it is plain text.
    pub reason: &'static str,
    /// What a person reads.
    pub message: String,
    /// What it is about; some errors have an empty one, others none.
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
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
}

/// `StatusCause` of `meta/v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// Kubernetes' word for it.
    pub reason: &'static str,
    /// What a person reads.
    pub message: String,
    /// Of the request or object.
    pub field: String,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Empty,
    #[serde(rename = "status")]
    outcome: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Details>,
    code: u16,
}

impl Failure {
    pub(super) fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// Without Retry-After: who comes back for it comes back in step.
    pub(super) fn busy(why: &impl std::fmt::Display) -> Self {
        let code = StatusCode::TOO_MANY_REQUESTS;
        Self::new(code, "TooManyRequests", why.to_string())
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// No such path; a metric that nobody has says so itself.
    pub(super) fn no_route() -> Self {
        Self::not_found("the server could not find the requested resource").with(Details::default())
    }

    pub(super) fn method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
            .with(Details::default())
    }

    pub(super) fn unacceptable(why: Unacceptable, offer: Offer) -> Self {
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
    pub(super) fn plain(code: StatusCode, message: impl Into<String>) -> Self {
        Self::new(code, "", message)
    }

    pub(super) fn with(mut self, details: Details) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// The reply in this format; a table becomes JSON, and what could not be negotiated is always indented JSON.
    pub(super) fn reply(&self, format: Format, pretty: bool) -> Response {
        if self.reason.is_empty() {
            return text(self.code, format!("{}\n", self.message));
        }
        let status = Status {
            kind: "Status",
            api_version: "v1",
            metadata: Empty {},
            outcome: "Failure",
            message: &self.message,
            reason: self.reason,
            details: self.details.as_deref(),
            code: self.code.as_u16(),
        };
        let unacceptable = self.code == StatusCode::NOT_ACCEPTABLE;
        let format = if unacceptable { Format::Json } else { format };
        let indented = pretty || unacceptable;
        let mut reply = match format {
            Format::Protobuf => protobuf_reply(self.code, protobuf::status(self)),
            Format::Yaml => object(self.code, &status, Format::Yaml, indented),
            Format::Json | Format::Table(_) => object(self.code, &status, Format::Json, indented),
        };
        if self.code == StatusCode::FORBIDDEN {
            no_sniff(&mut reply);
        }
        reply
    }
}

/// An object as JSON, on one line or indented, with a newline at its end; or as YAML.
pub(super) fn object(
    code: StatusCode,
    value: &impl Serialize,
    format: Format,
    pretty: bool,
) -> Response {
    if format == Format::Yaml {
        let body = serde_saphyr::to_string(value).unwrap_or_default();
        return with_type(code, "application/yaml", body);
    }
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

/// An object on one line of JSON.
pub(super) fn json(code: StatusCode, value: &impl Serialize) -> Response {
    object(code, value, Format::Json, false)
}

pub(super) fn protobuf_reply(code: StatusCode, body: Vec<u8>) -> Response {
    with_type(code, "application/vnd.kubernetes.protobuf", body)
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
