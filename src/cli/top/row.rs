//! A row of `lagscale top`: a ScaledObject with its HPA and the values of its metrics.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use clap::ValueEnum;
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt;
use serde::Serialize;
use serde_json::Value;

use crate::{
    quantity::parse_milli,
    resources::{KAFKA_REACHABLE, ScaledObject},
    scaling::hpa_name,
};

/// The order of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// Largest value first; what has none comes first of all.
    Value,
    /// Most replicas first.
    Replicas,
    /// By namespace and name.
    Name,
}

/// An object as it is now.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub namespace: String,
    pub name: String,
    /// The kind and name of its workload.
    pub target: String,
    /// Its external metrics, as lagscale serves them.
    pub metrics: Vec<Metric>,
    /// The HPA's, which a paused object has not.
    pub replicas: Option<i32>,
    pub desired_replicas: Option<i32>,
    pub max_replicas: Option<i32>,
    pub ready: String,
    pub active: String,
    /// Seconds since the oldest of its readings was taken.
    pub read_seconds: Option<i64>,
    /// The first thing that is wrong; empty where nothing is.
    pub state: String,
}

/// A metric of an object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metric {
    #[serde(skip)]
    pub namespace: String,
    #[serde(skip)]
    pub object: String,
    pub name: String,
    /// A quantity; `None` while it is withheld.
    pub value: Option<String>,
    /// The reason then.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub withheld: String,
    #[serde(skip)]
    pub read: Option<Timestamp>,
}

/// The metrics of ScaledObjects in a `Table` of lagscale's.
pub(super) fn metrics(table: &Value) -> Vec<Metric> {
    let rows = table["rows"].as_array().into_iter().flatten();
    let metric = |row: &Value| {
        let cell = |n: usize| row["cells"][n].as_str();
        let value = cell(3)?;
        Some(Metric {
            namespace: row["object"]["metadata"]["namespace"].as_str()?.to_owned(),
            object: cell(1)?.strip_prefix("ScaledObject/")?.to_owned(),
            name: cell(0)?.to_owned(),
            value: (value != "<unknown>").then(|| value.to_owned()),
            withheld: cell(5)?.to_owned(),
            read: cell(4).and_then(|at| at.parse().ok()),
        })
    };
    rows.filter_map(metric).collect()
}

/// A row for each object.
pub(super) fn rows(
    objects: &[Arc<ScaledObject>],
    hpas: &[Arc<HorizontalPodAutoscaler>],
    metrics: &[Metric],
    now: Timestamp,
) -> Vec<Row> {
    let key = |hpa: &Arc<HorizontalPodAutoscaler>| (hpa.namespace(), hpa.name_any());
    let hpas: BTreeMap<_, _> = hpas.iter().map(|hpa| (key(hpa), hpa)).collect();
    let mut of: BTreeMap<(String, String), Vec<Metric>> = BTreeMap::new();
    for metric in metrics {
        let key = (metric.namespace.clone(), metric.object.clone());
        of.entry(key).or_default().push(metric.clone());
    }
    let row = |object: &Arc<ScaledObject>| {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let metrics = of
            .remove(&(namespace.clone(), name.clone()))
            .unwrap_or_default();
        let hpa = hpas.get(&(object.namespace(), hpa_name(object)));
        let target = &object.spec.scale_target_ref;
        let kind = target.kind.as_deref().filter(|kind| !kind.is_empty());
        let status = hpa.and_then(|hpa| hpa.status.as_ref());
        let reads = metrics.iter().filter_map(|m| m.read);
        let oldest = reads.min().map(|at| now.duration_since(at).as_secs());
        Row {
            replicas: status.map(|s| s.current_replicas.unwrap_or(0)),
            desired_replicas: status.map(|s| s.desired_replicas),
            max_replicas: hpa.and_then(|hpa| Some(hpa.spec.as_ref()?.max_replicas)),
            ready: condition(object, "Ready").0.to_owned(),
            active: condition(object, "Active").0.to_owned(),
            read_seconds: oldest.map(|s| s.max(0)),
            state: state(object, &metrics),
            target: format!("{}/{}", kind.unwrap_or("Deployment"), target.name),
            namespace,
            name,
            metrics,
        }
    };
    objects.iter().map(row).collect()
}

/// Status and message of a condition.
fn condition<'a>(object: &'a ScaledObject, kind: &str) -> (&'a str, &'a str) {
    let status = object.status.as_ref();
    let mut all = status.iter().flat_map(|s| &s.conditions);
    let found = all.find(|c| c.kind == kind);
    found.map_or(("Unknown", ""), |c| (&c.status, &c.message))
}

/// The first thing that somebody would want to know: of the object, of its brokers, then of its values.
fn state(object: &ScaledObject, metrics: &[Metric]) -> String {
    for (kind, wrong) in [
        ("Ready", "False"),
        ("Paused", "True"),
        (KAFKA_REACHABLE, "False"),
        ("Fallback", "True"),
    ] {
        let (status, message) = condition(object, kind);
        if status == wrong {
            return message.to_owned();
        }
    }
    let mut withheld = metrics.iter().filter(|m| m.value.is_none());
    let said = withheld
        .next()
        .map(|m| format!("{}: {}", m.name, m.withheld));
    said.unwrap_or_default()
}

/// Sorts as people want to look: ties by namespace and name.
pub(super) fn sort(rows: &mut [Row], order: Order) {
    rows.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    match order {
        Order::Name => {}
        Order::Replicas => rows.sort_by_key(|row| Reverse(row.replicas)),
        Order::Value => rows.sort_by_key(|row| Reverse(largest(row))),
    }
}

/// The largest value in thousandths. One that is withheld is above all: somebody should look.
fn largest(row: &Row) -> Option<i64> {
    let milli = |m: &Metric| {
        let value = m.value.as_deref();
        value.map_or(i64::MAX, |v| parse_milli(v).unwrap_or(0))
    };
    row.metrics.iter().map(milli).max()
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    const NOW: &str = "2026-01-01T00:01:00Z";

    fn object(name: &str, conditions: &Value) -> Arc<ScaledObject> {
        let object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"scaleTargetRef": {"name": name}, "triggers": []},
            "status": {"conditions": conditions},
        });
        Arc::new(from_value(object).unwrap())
    }

    fn hpa(name: &str, current: i32, desired: i32) -> Arc<HorizontalPodAutoscaler> {
        let hpa = json!({
            "metadata": {"name": format!("keda-hpa-{name}"), "namespace": "shop"},
            "spec": {"maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": name}},
            "status": {"currentReplicas": current, "desiredReplicas": desired},
        });
        Arc::new(from_value(hpa).unwrap())
    }

    fn table(rows: &[(&str, &str, &str, &str)]) -> Vec<Metric> {
        let row = |(owner, value, read, reason): &(&str, &str, &str, &str)| {
            json!({
                "cells": ["s0-kafka-orders", owner, "", value, read, reason],
                "object": {"metadata": {"name": "s0-kafka-orders", "namespace": "shop"}},
            })
        };
        metrics(&json!({"rows": rows.iter().map(row).collect::<Vec<_>>()}))
    }

    #[test]
    fn an_object_is_shown_with_its_hpa_and_its_own_metrics_alone() {
        let ready =
            json!([{"type": "Ready", "status": "True"}, {"type": "Active", "status": "True"}]);
        let objects = [object("orders", &ready), object("mail", &json!([]))];
        let found = table(&[
            ("ScaledObject/orders", "25", "2026-01-01T00:00:57Z", ""),
            ("LagMetric/orders", "99", "2026-01-01T00:00:00Z", ""),
            ("ScaledObject/gone", "1", "", ""),
        ]);
        let rows = rows(
            &objects,
            &[hpa("orders", 1, 5)],
            &found,
            NOW.parse().unwrap(),
        );
        let orders = &rows[0];
        assert_eq!(
            (
                orders.replicas,
                orders.desired_replicas,
                orders.max_replicas
            ),
            (Some(1), Some(5), Some(5))
        );
        assert_eq!(
            (&*orders.ready, &*orders.active, &*orders.state),
            ("True", "True", "")
        );
        assert_eq!(
            (orders.metrics.len(), &*orders.target),
            (1, "Deployment/orders")
        );
        assert_eq!(
            (orders.metrics[0].value.as_deref(), orders.read_seconds),
            (Some("25"), Some(3))
        );
        let mail = &rows[1];
        assert_eq!(
            (mail.replicas, mail.max_replicas, mail.read_seconds),
            (None, None, None)
        );
        assert_eq!((&*mail.ready, mail.metrics.len()), ("Unknown", 0));
    }

    #[test]
    fn its_state_is_the_first_thing_that_is_wrong() {
        let wrong = |kind: &str, status: &str| json!({"type": kind, "status": status, "message": format!("about {kind}")});
        let mut all = vec![
            wrong("Fallback", "True"),
            wrong(KAFKA_REACHABLE, "False"),
            wrong("Paused", "True"),
            wrong("Ready", "False"),
        ];
        let withheld = table(&[("ScaledObject/a", "<unknown>", "", "no leader")]);
        while let Some(last) = all.last() {
            let wanted = last["message"].as_str().unwrap().to_owned();
            assert_eq!(state(&object("a", &json!(all)), &withheld), wanted);
            all.pop();
        }
        let quiet = object(
            "a",
            &json!([{"type": "Fallback", "status": "False", "message": "no"}]),
        );
        assert_eq!(state(&quiet, &withheld), "s0-kafka-orders: no leader");
        assert_eq!(state(&quiet, &[]), "");
    }

    #[test]
    fn rows_come_by_value_replicas_or_name_and_what_has_no_value_first() {
        let names = ["b", "a", "c", "d"];
        let objects = names.map(|name| object(name, &json!([])));
        let hpas = [hpa("a", 1, 1), hpa("b", 3, 3), hpa("c", 2, 2)];
        let found = table(&[
            ("ScaledObject/a", "9", "", ""),
            ("ScaledObject/b", "10", "", ""),
            ("ScaledObject/c", "<unknown>", "", "no leader"),
        ]);
        let mut rows = rows(&objects, &hpas, &found, NOW.parse().unwrap());
        for (order, wanted) in [
            (Order::Value, "cbad"),
            (Order::Replicas, "bcad"),
            (Order::Name, "abcd"),
        ] {
            sort(&mut rows, order);
            let names: String = rows.iter().map(|row| &*row.name).collect();
            assert_eq!(names, wanted, "{order:?}");
        }
    }
}
