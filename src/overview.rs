//! ScaledObjects at a glance: a row for each, with its HPA, the values of its metrics and the first thing that is wrong. `lagscale top` and
//! the status page show them.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt;
use serde::Serialize;

use crate::{
    resources::{KAFKA_REACHABLE, ScaledObject},
    scaling::hpa_name,
};

/// An object as it is now.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The kind and name of its workload.
    pub target: String,
    /// Its external metrics, as lagscale serves them.
    pub metrics: Vec<Metric>,
    /// The HPA's, which a paused object has not.
    pub replicas: Option<i32>,
    /// The replicas that the HPA wants.
    pub desired_replicas: Option<i32>,
    /// maxReplicas of the HPA.
    pub max_replicas: Option<i32>,
    /// Status of the condition Ready.
    pub ready: String,
    /// Status of the condition Active.
    pub active: String,
    /// Seconds since the oldest of its readings was taken.
    pub read_seconds: Option<i64>,
    /// The first thing that is wrong; empty where nothing is.
    pub state: String,
}

/// A metric of an object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Namespace of its object.
    #[serde(skip)]
    pub namespace: String,
    /// Name of its object.
    #[serde(skip)]
    pub object: String,
    /// The name it is served under.
    pub name: String,
    /// A quantity; `None` while it is withheld.
    pub value: Option<String>,
    /// The reason then.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub withheld: String,
    /// When its reading was taken.
    #[serde(skip)]
    pub read: Option<Timestamp>,
}

/// A row for each object.
#[must_use]
pub fn rows(
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

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

    fn metric(object: &str, value: Option<&str>) -> Metric {
        Metric {
            namespace: "shop".into(),
            object: object.into(),
            name: "s0-kafka-orders".into(),
            value: value.map(str::to_owned),
            withheld: value.map_or("no leader", |_| "").to_owned(),
            read: value.and_then(|_| "2026-01-01T00:00:57Z".parse().ok()),
        }
    }

    #[test]
    fn an_object_is_shown_with_its_hpa_and_its_own_metrics_alone() {
        let ready =
            json!([{"type": "Ready", "status": "True"}, {"type": "Active", "status": "True"}]);
        let objects = [object("orders", &ready), object("mail", &json!([]))];
        let found = [metric("orders", Some("25")), metric("gone", Some("1"))];
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
        let withheld = [metric("a", None)];
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
}
