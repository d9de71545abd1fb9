//! A document that never changes while the process runs: written once, named by its hash, and not sent to who has it.

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::server::answer::reply::with_type;

/// Its bytes and their name.
pub(in crate::server) struct Document {
    body: Bytes,
    /// Upper-case hexadecimal SHA-512, as the reference names its documents.
    pub hash: String,
}

impl Document {
    /// Writes it.
    pub fn new(document: &Value) -> Self {
        let body = Bytes::from(document.to_string());
        let digest = ring::digest::digest(&ring::digest::SHA512, &body);
        let hex = digest.as_ref().iter().map(|byte| format!("{byte:02X}"));
        let hash = hex.collect();
        Self { body, hash }
    }

    /// The document with an ETag; 304 to a client that has it.
    pub fn reply(&self, content_type: &'static str, headers: &HeaderMap) -> Response {
        let etag = HeaderValue::from_str(&format!("\"{}\"", self.hash)).ok();
        let known = headers.get(header::IF_NONE_MATCH);
        let mut reply = if known.is_some() && known == etag.as_ref() {
            let mut reply = Response::default();
            *reply.status_mut() = StatusCode::NOT_MODIFIED;
            reply
        } else {
            with_type(StatusCode::OK, content_type, self.body.clone())
        };
        if let Some(etag) = etag {
            reply.headers_mut().insert(header::ETAG, etag);
        }
        reply
    }
}
