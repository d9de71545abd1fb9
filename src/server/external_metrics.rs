//! The metric GET: read from the table, never from Kafka.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::{
    reply::{Failure, json},
    route::{GROUP, VERSION},
};
use crate::{
    quantity::format_milli,
    scaling::table::{Outcome, Owner, Table},
    selector::Selector,
};

/// The label that names the ScaledObject whose metric is meant.
const OWNER: &str = "scaledobject.keda.sh/name";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    kind: &'static str,
    api_version: String,
    metadata: Empty,
    items: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    metric_name: &'a str,
    metric_labels: Empty,
    timestamp: String,
    value: String,
}

/// Answers a GET of `metric` in `namespace`.
pub(super) fn get(
    table: &Table,
    namespace: &str,
    metric: &str,
    selector: &str,
    pretty: bool,
) -> Result<Response, Failure> {
    let selector = Selector::parse(selector).map_err(|e| Failure::bad_request(e.to_string()))?;
    let entries = table.find(namespace, metric);
    if entries.is_empty() {
        let message = format!(
            "no matching metrics found for {metric}: no ScaledObject in namespace {namespace} has a metric of this name"
        );
        return Err(Failure::new(StatusCode::NOT_FOUND, "NotFound", message));
    }
    // Two objects may have metrics of one name: a sum over them would be nobody's number.
    let Some(owner) = selector.pinned(OWNER) else {
        return Err(Failure::bad_request(format!(
            "scaledObject name is not specified: the label selector has to hold {OWNER}=<name of the ScaledObject>"
        )));
    };
    let labels = |key: &str| (key == OWNER).then_some(owner);
    let found = entries
        .iter()
        .find(|e| matches!(&e.owner, Owner::ScaledObject(name) if **name == *owner));
    let Some(entry) = found.filter(|_| selector.matches(labels)) else {
        let message = format!(
            "no matching metrics found for {metric}: ScaledObject {owner} in namespace {namespace} has no such metric that fits the label selector"
        );
        return Err(Failure::new(StatusCode::NOT_FOUND, "NotFound", message));
    };
    match &entry.outcome {
        Outcome::Withheld(text) => Err(Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            &**text,
        )),
        Outcome::Value { milli, at } => {
            let list = List {
                kind: "ExternalMetricValueList",
                api_version: format!("{GROUP}/{VERSION}"),
                metadata: Empty {},
                items: vec![Item {
                    metric_name: &entry.metric,
                    metric_labels: Empty {},
                    timestamp: whole_seconds(*at),
                    value: format_milli(*milli),
                }],
            };
            Ok(json(StatusCode::OK, &list, pretty))
        }
    }
}

/// RFC 3339 in UTC, as Kubernetes writes times.
fn whole_seconds(at: jiff::Timestamp) -> String {
    jiff::Timestamp::from_second(at.as_second())
        .unwrap_or(at)
        .to_string()
}
