//! The metric GET: read from the table, never from Kafka. Nothing is copied but the few items of the one metric.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use crate::{
    quantity::format_milli,
    resources::names::SCALED_OBJECT,
    scaling::table::{Entry, Found, MAX_MILLI, Outcome, Owner, Table},
    selector::Selector,
    server::{
        answer::failure::Failure,
        answer::item::{Item, TOPIC},
        answer::kubectl_table,
        answer::protobuf,
        answer::reply::{object, protobuf_reply},
        request::accept::Format,
        request::route::Group,
    },
};

/// The one resource that discovery names. `kubectl get externalmetrics` lists what there is; it has no value of its own,
/// since an HPA would take the sum over everybody's metrics for a number.
pub(in crate::server) const PLACEHOLDER: &str = "externalmetrics";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Empty,
    items: &'a [Item<'a>],
}

#[derive(Serialize)]
struct Empty {}

/// Answers a GET of the placeholder: every metric of `namespace`, as a table.
pub(in crate::server) fn list(
    table: &Table,
    namespace: &str,
    selector: &Selector,
    format: Format,
    pretty: bool,
) -> Result<Response, Failure> {
    let Format::Table(version) = format else {
        return Err(Failure::not_found(
            "externalmetrics has no values: kubectl get externalmetrics lists what there is, and each metric is asked for by its own name",
        ));
    };
    Ok(rows(table, Some(namespace), selector, version, pretty))
}

/// Answers a GET of `metric` in `namespace`, of which the table has `found`. `asked` says who else was asked, where nobody has such a metric.
pub(in crate::server) fn get(
    found: &Found,
    (group, namespace, metric): (Group, &str, &str),
    selector: &Selector,
    format: Format,
    pretty: bool,
    asked: impl Fn() -> String,
) -> Result<Response, Failure> {
    let entries = match found {
        Found::Nobody => {
            return Err(Failure::not_found(format!(
                "no matching metrics found for {metric}: no ScaledObject and no LagMetric in namespace {namespace} has a metric of this name{}",
                asked()
            )));
        }
        // Two objects may have metrics of one name: a sum over them would be nobody's number.
        Found::ScaledObjects(_) if selector.pinned(SCALED_OBJECT).is_none() => {
            return Err(Failure::bad_request(format!(
                "scaledObject name is not specified: the label selector has to hold {SCALED_OBJECT}=<name of the ScaledObject>"
            )));
        }
        Found::ScaledObjects(entries) | Found::LagMetric(entries) => entries,
    };
    let fitting = entries.iter().filter(|entry| matches(selector, entry));
    if let Format::Table(version) = format {
        return Ok(kubectl_table::reply(
            version,
            fitting.map(|e| (namespace, e)),
            pretty,
        ));
    }
    let items = fitting.map(item).collect::<Result<Vec<_>, _>>()?;
    if items.is_empty() {
        return Err(Failure::not_found(match selector.pinned(SCALED_OBJECT) {
            Some(owner) if matches!(found, Found::ScaledObjects(_)) => format!(
                "no matching metrics found for {metric}: ScaledObject {owner} in namespace {namespace} has no such metric that fits the label selector"
            ),
            _ => format!(
                "no matching metrics found for {metric}: no topic of LagMetric {metric} in namespace {namespace} fits the label selector"
            ),
        }));
    }
    if format == Format::Protobuf {
        return Ok(protobuf_reply(
            StatusCode::OK,
            protobuf::list(group.version(), &items),
        ));
    }
    let list = List {
        kind: "ExternalMetricValueList",
        api_version: group.version(),
        metadata: Empty {},
        items: &items,
    };
    Ok(object(StatusCode::OK, &list, format, pretty))
}

/// Every metric of every namespace, as a table; there is no other way to have them all.
pub(in crate::server) fn everywhere(
    table: &Table,
    selector: &str,
    format: Format,
    pretty: bool,
) -> Result<Response, Failure> {
    let Format::Table(version) = format else {
        return Err(Failure::no_route());
    };
    let selector = Selector::parse(selector).map_err(|e| Failure::bad_request(e.to_string()))?;
    Ok(rows(table, None, &selector, version, pretty))
}

/// The metrics of one namespace or of all that fit, as rows.
fn rows(
    table: &Table,
    namespace: Option<&str>,
    selector: &Selector,
    version: &'static str,
    pretty: bool,
) -> Response {
    let listed = table.list(namespace);
    let listed = listed.iter().filter(|(_, entry)| matches(selector, entry));
    kubectl_table::reply(version, listed.map(|(n, e)| (&**n, e)), pretty)
}

fn matches(selector: &Selector, entry: &Entry) -> bool {
    selector.matches(|key| match &entry.owner {
        Owner::ScaledObject(name) if key == SCALED_OBJECT => Some(name),
        Owner::Topic(topic) if key == TOPIC => Some(topic),
        _ => None,
    })
}

fn item(entry: &Entry) -> Result<Item<'_>, Failure> {
    match &entry.outcome {
        Outcome::Withheld(text) => {
            let said = match &entry.owner {
                Owner::ScaledObject(_) => text.to_string(),
                Owner::Topic(topic) => format!("topic {topic}: {text}"),
            };
            let code = StatusCode::SERVICE_UNAVAILABLE;
            Err(Failure::new(code, "ServiceUnavailable", said))
        }
        Outcome::Value { milli, at } => Ok(Item {
            metric_name: &entry.metric,
            topic: match &entry.owner {
                Owner::ScaledObject(_) => None,
                Owner::Topic(topic) => Some(topic),
            },
            timestamp: *at,
            value: format_milli((*milli).clamp(0, MAX_MILLI)),
        }),
    }
}
