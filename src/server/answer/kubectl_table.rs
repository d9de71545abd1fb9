//! The rows of `kubectl get externalmetrics`: a `Table` of `meta.k8s.io` over the items, withheld ones with their reason.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    quantity::format_milli,
    scaling::table::{Entry, MAX_MILLI, Outcome, Owner},
    server::{answer::item::whole_seconds, answer::reply::object, request::accept::Format},
};

/// The rows of these entries and their namespaces.
pub(in crate::server) fn reply<'a>(
    version: &str,
    entries: impl Iterator<Item = (&'a str, &'a Entry)>,
    pretty: bool,
) -> Response {
    let column = |name: &str, format: &str, priority: i32, about: &str| json!({"name": name, "type": "string", "format": format, "description": about, "priority": priority});
    let mut rows: Vec<_> = entries.map(row).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
    let table = json!({
        "kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": {},
        "columnDefinitions": [
            column("Name", "name", 0, "The metric's name."),
            column("Owner", "", 0, "The object whose metric it is."),
            column("Topic", "", 0, "The topic of a LagMetric's item."),
            column("Value", "", 0, "What an HPA gets; unknown while it is withheld."),
            column("Read", "", 0, "When the reading behind it was taken."),
            column("Reason", "", 1, "Why it is withheld."),
        ],
        "rows": rows,
    });
    object(StatusCode::OK, &table, Format::Json, pretty)
}

type Key<'a> = (&'a str, &'a str, String);

fn row<'a>((namespace, entry): (&'a str, &'a Entry)) -> (Key<'a>, Value) {
    let (owner, topic) = match &entry.owner {
        Owner::ScaledObject(name) => (format!("ScaledObject/{name}"), ""),
        Owner::Topic(topic) => (format!("LagMetric/{}", entry.metric), &**topic),
    };
    let (value, read, reason) = match &entry.outcome {
        Outcome::Value { milli, at } => (
            format_milli((*milli).clamp(0, MAX_MILLI)),
            whole_seconds(*at),
            "",
        ),
        Outcome::Withheld(reason) => ("<unknown>".into(), String::new(), &**reason),
    };
    let cells = json!([*entry.metric, owner, topic, value, read, reason]);
    let key = (namespace, &*entry.metric, format!("{owner} {topic}"));
    let object = json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": *entry.metric, "namespace": namespace},
    });
    (key, json!({"cells": cells, "object": object}))
}
