//! Replies as an API server writes them, and errors as `Status` objects. No reply carries Retry-After, which makes the
//! HPA controller wait inside a reconcile.

use axum::{body::Body, response::Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::server::{
    answer::failure::{Details, Failure},
    answer::protobuf,
    request::accept::Format,
};

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
    /// The reply in this format; a table becomes JSON, and what could not be negotiated is always indented JSON.
    pub(in crate::server) fn reply(&self, format: Format, pretty: bool) -> Response {
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
pub(in crate::server) fn object(
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
pub(in crate::server) fn json(code: StatusCode, value: &impl Serialize) -> Response {
    object(code, value, Format::Json, false)
}

pub(in crate::server) fn protobuf_reply(code: StatusCode, body: Vec<u8>) -> Response {
    with_type(code, "application/vnd.kubernetes.protobuf", body)
}

/// Plain text.
pub(in crate::server) fn text(code: StatusCode, body: impl Into<Body>) -> Response {
    let mut reply = with_type(code, "text/plain; charset=utf-8", body);
    no_sniff(&mut reply);
    reply
}

/// A reply of a content type.
pub(in crate::server) fn with_type(
    code: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = code;
    set(&mut reply, header::CONTENT_TYPE, content_type);
    reply
}

pub(in crate::server) fn set(reply: &mut Response, name: HeaderName, value: &'static str) {
    reply
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

fn no_sniff(reply: &mut Response) {
    set(reply, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
}
