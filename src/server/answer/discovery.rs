//! Discovery: the groups, their version and the one resource, in the old documents and in the aggregated one
//! (KEP-3352), whose absence makes `kubectl api-resources` show nothing.

use std::{collections::BTreeSet, sync::LazyLock};

use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use crate::server::{
    answer::document::Document,
    answer::failure::Failure,
    answer::reply::{object, set},
    request::accept::{self, Format, Offer},
    request::route::{Group, VERSION},
};

const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

fn version(group: Group) -> Value {
    json!({"groupVersion": group.version(), "version": VERSION})
}

/// `/apis`: the aggregated document where it is asked for, else the list of groups.
pub(in crate::server) fn groups(headers: &HeaderMap, pretty: bool) -> Result<Response, Failure> {
    for clause in accept::clauses(headers) {
        let aggregated = clause.takes_json()
            && clause.parameter("as") == "APIGroupDiscoveryList"
            && clause.parameter("g") == "apidiscovery.k8s.io";
        match (aggregated, clause.parameter("v")) {
            (true, "v2") => return Ok(aggregated_reply(&AGGREGATED[0], V2, headers)),
            (true, "v2beta1") => return Ok(aggregated_reply(&AGGREGATED[1], V2BETA1, headers)),
            _ if clause.takes_json() && !clause.converts() => break,
            _ => {}
        }
    }
    let format = accept::negotiate(headers, Offer::Document)
        .map_err(|why| Failure::unacceptable(why, Offer::Document))?;
    let groups = Group::ALL.map(|group| {
        let mut group = group_document(group);
        group["serverAddressByClientCIDRs"] = json!([]);
        group
    });
    let list = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups});
    Ok(object(StatusCode::OK, &list, format, pretty))
}

/// `/apis/external.metrics.k8s.io`.
pub(in crate::server) fn group(group: Group, format: Format, pretty: bool) -> Response {
    let mut group = group_document(group);
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    object(StatusCode::OK, &group, format, pretty)
}

/// `/apis/external.metrics.k8s.io/v1beta1`: one placeholder stands for all metrics. Listing thousands makes each
/// kubectl call slow (kubernetes#98801); further verbs would make garbage collection and namespace deletion walk it. `others` are
/// the metrics that backends list, for those who look for them here; kubectl itself reads the aggregated document, which has none.
pub(in crate::server) fn resources(
    group: Group,
    others: &BTreeSet<String>,
    format: Format,
    pretty: bool,
) -> Response {
    let others = others.iter().filter(|_| group == Group::External);
    let names = std::iter::once("externalmetrics").chain(others.map(String::as_str));
    let resources = names.map(|name| {
        json!({
            "name": name, "singularName": "", "namespaced": true,
            "kind": "ExternalMetricValueList", "verbs": ["get"],
        })
    });
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group.version(),
        "resources": resources.collect::<Vec<_>>(),
    });
    object(StatusCode::OK, &list, format, pretty)
}

fn group_document(group: Group) -> Value {
    json!({"name": group.name(), "versions": [version(group)], "preferredVersion": version(group)})
}

static AGGREGATED: [LazyLock<Document>; 2] = [
    LazyLock::new(|| aggregated("v2")),
    LazyLock::new(|| aggregated("v2beta1")),
];

fn aggregated(version: &str) -> Document {
    let groups = Group::ALL.map(|group| {
        let name = group.name();
        json!({
            "metadata": {"name": name, "creationTimestamp": null},
            "versions": [{
                "version": VERSION,
                "resources": [{
                    "resource": "externalmetrics",
                    "responseKind": {"group": name, "version": VERSION, "kind": "ExternalMetricValueList"},
                    "scope": "Namespaced", "singularResource": "externalmetric", "verbs": ["get"],
                }],
                "freshness": "Current",
            }],
        })
    });
    Document::new(&json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {},
        "items": groups,
    }))
}

fn aggregated_reply(
    document: &Document,
    content_type: &'static str,
    headers: &HeaderMap,
) -> Response {
    let mut reply = document.reply(content_type, headers);
    set(&mut reply, header::VARY, "Accept");
    set(&mut reply, header::CACHE_CONTROL, "public");
    reply
}
