//! Discovery: the group, its version and the one resource, in the old documents and in the aggregated one
//! (KEP-3352), whose absence makes `kubectl api-resources` show nothing.

use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::{
    accept::{self, Format, Offer},
    reply::{Failure, object, set, with_type},
    route::{GROUP, VERSION},
};

fn group_version() -> String {
    format!("{GROUP}/{VERSION}")
}

fn version() -> Value {
    json!({"groupVersion": group_version(), "version": VERSION})
}

/// `/apis`: the aggregated document where it is asked for, else the list of groups.
pub(super) fn groups(headers: &HeaderMap, pretty: bool) -> Result<Response, Failure> {
    for clause in accept::clauses(headers) {
        let aggregated = clause.takes_json()
            && clause.parameter("as") == "APIGroupDiscoveryList"
            && clause.parameter("g") == "apidiscovery.k8s.io";
        match (aggregated, clause.parameter("v")) {
            (true, "v2") => return Ok(aggregated_reply("v2", headers)),
            (true, "v2beta1") => return Ok(aggregated_reply("v2beta1", headers)),
            _ if clause.takes_json() && !clause.converts() => break,
            _ => {}
        }
    }
    let format = accept::negotiate(headers, Offer::Document)
        .map_err(|why| Failure::unacceptable(why, Offer::Document))?;
    let mut group = group_document();
    group["serverAddressByClientCIDRs"] = json!([]);
    let list = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]});
    Ok(object(StatusCode::OK, &list, format, pretty))
}

/// `/apis/external.metrics.k8s.io`.
pub(super) fn group(format: Format, pretty: bool) -> Response {
    let mut group = group_document();
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    object(StatusCode::OK, &group, format, pretty)
}

/// `/apis/external.metrics.k8s.io/v1beta1`: one placeholder stands for all metrics. Listing thousands makes each
/// kubectl call slow (kubernetes#98801); further verbs would make garbage collection and namespace deletion walk it.
pub(super) fn resources(format: Format, pretty: bool) -> Response {
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version(),
        "resources": [{
            "name": "externalmetrics", "singularName": "", "namespaced": true,
            "kind": "ExternalMetricValueList", "verbs": ["get"],
        }],
    });
    object(StatusCode::OK, &list, format, pretty)
}

fn group_document() -> Value {
    json!({"name": GROUP, "versions": [version()], "preferredVersion": version()})
}

fn aggregated_reply(version: &str, headers: &HeaderMap) -> Response {
    let document = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {},
        "items": [{
            "metadata": {"name": GROUP, "creationTimestamp": null},
            "versions": [{
                "version": VERSION,
                "resources": [{
                    "resource": "externalmetrics",
                    "responseKind": {"group": GROUP, "version": VERSION, "kind": "ExternalMetricValueList"},
                    "scope": "Namespaced", "singularResource": "externalmetric", "verbs": ["get"],
                }],
                "freshness": "Current",
            }],
        }],
    });
    let content_type = if version == "v2" {
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    } else {
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
    };
    let mut reply = cacheable(&document, content_type, headers);
    set(&mut reply, header::VARY, "Accept");
    set(&mut reply, header::CACHE_CONTROL, "public");
    reply
}

/// A document with an ETag; 304 to a client that has it.
pub(super) fn cacheable(
    document: &Value,
    content_type: &'static str,
    headers: &HeaderMap,
) -> Response {
    let body = document.to_string();
    let etag = format!("\"{}\"", hash(body.as_bytes()));
    let known = headers.get(header::IF_NONE_MATCH);
    let mut reply = if known.is_some_and(|k| k.as_bytes() == etag.as_bytes()) {
        let mut reply = Response::default();
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        reply
    } else {
        with_type(StatusCode::OK, content_type, body)
    };
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        reply.headers_mut().insert(header::ETAG, etag);
    }
    reply
}

/// Upper-case hexadecimal SHA-512, as the reference names its documents.
pub(super) fn hash(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA512, bytes);
    let mut text = String::with_capacity(128);
    for byte in digest.as_ref() {
        use std::fmt::Write;
        let _ = write!(text, "{byte:02X}");
    }
    text
}
