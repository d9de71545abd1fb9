//! Twelve objects as a KEDA leaves them, and a load under which their lag moves and asks for no other number of replicas.

use std::{convert::Infallible, time::Duration};

use bed::{Bed, Kafka};
use serde_json::{Value, json};

use crate::ground::workload;

pub const NAMESPACE: &str = "rehearsal";
const PARTITIONS: i32 = 5;
/// Records of each partition before the load begins.
const FILLED: i64 = 100;

/// One of the twelve.
pub struct Case {
    pub name: &'static str,
    pub replicas: i32,
    /// Its fate when it is lagscale's.
    pub kind: Kind,
    object: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its HPA is answered.
    Served,
    /// Its HPA asks nothing, since the workload sleeps.
    Asleep,
    /// It has no HPA.
    Paused,
    /// lagscale has no such trigger: its HPA is refused, and holds.
    Foreign,
}

/// Groups that read the topic of the load, with what each leaves of every partition.
const GROUPS: [(&str, i64); 3] = [("far", 45), ("middle", 25), ("near", 15)];

/// The eleven ScaledObjects; the twelfth is [`scaled_job`].
pub fn scaled_objects(kafka: &Kafka) -> Vec<Case> {
    let trigger = |group: &str, more: Value| {
        let mut metadata = json!({
            "bootstrapServers": kafka.plaintext_bootstrap(), "consumerGroup": group, "topic": "orders",
            "lagThreshold": "50",
        });
        for (name, value) in more.as_object().unwrap() {
            metadata[name] = value.clone();
        }
        json!({"type": "kafka", "metadata": metadata})
    };
    let cron = |replicas: &str| {
        json!({"type": "cron", "metadata": {
            "timezone": "UTC", "start": "0 0 * * *", "end": "59 23 * * *", "desiredReplicas": replicas,
        }})
    };
    let none = || json!({});
    let case = |name, replicas, kind, triggers: Value, spec: Value| {
        let mut object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "scaleTargetRef": {"name": name}, "minReplicaCount": 1, "maxReplicaCount": 5,
                "pollingInterval": 2, "triggers": triggers,
            },
        });
        for (name, value) in spec.as_object().unwrap() {
            object["spec"][name] = value.clone();
        }
        Case {
            name,
            replicas,
            kind,
            object,
        }
    };
    let mut named = trigger("middle", none());
    named["name"] = "lag".into();
    let formula = json!({"advanced": {"scalingModifiers": {
        "formula": "lag", "target": "50", "metricType": "AverageValue",
    }}});
    let pods = json!({"type": "kubernetes-workload", "metadata": {"podSelector": "app=backlog", "value": "2"}});
    let mut paused = case(
        "paused",
        2,
        Kind::Paused,
        json!([trigger("far", none())]),
        none(),
    );
    paused.object["metadata"]["annotations"] = json!({"autoscaling.keda.sh/paused-replicas": "2"});
    let far = || json!([trigger("far", none())]);
    let served = Kind::Served;
    vec![
        case("backlog", 5, served, far(), none()),
        case(
            "little",
            2,
            served,
            json!([trigger("near", none())]),
            none(),
        ),
        // More than there are partitions.
        case("bounded", 5, served, far(), json!({"maxReplicaCount": 20})),
        case(
            "asleep",
            0,
            Kind::Asleep,
            json!([trigger("quiet", json!({"topic": "quiet"}))]),
            json!({"minReplicaCount": 0}),
        ),
        paused,
        case(
            "fallback",
            3,
            served,
            json!([trigger("far", json!({"topic": "none"}))]),
            json!({"fallback": {"failureThreshold": 1, "replicas": 3}}),
        ),
        case("clock", 2, served, json!([cron("2")]), none()),
        case(
            "mixed",
            3,
            served,
            json!([trigger("near", none()), cron("3")]),
            none(),
        ),
        case("formula", 3, served, json!([named]), formula),
        case(
            "whole",
            3,
            served,
            json!([trigger("middle", json!({"topic": ""}))]),
            none(),
        ),
        case("foreign", 3, Kind::Foreign, json!([pods]), none()),
    ]
}

/// The twelfth, which no lagscale looks at.
fn scaled_job(kafka: &Kafka) -> Value {
    let container = json!({"name": "main", "image": "idle"});
    let trigger = json!({"type": "kafka", "metadata": {
        "bootstrapServers": kafka.plaintext_bootstrap(), "consumerGroup": "near", "topic": "orders",
        "lagThreshold": "50",
    }});
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob",
        "metadata": {"name": "jobs", "namespace": NAMESPACE},
        "spec": {
            "jobTargetRef": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
            "pollingInterval": 2, "maxReplicaCount": 2, "triggers": [trigger],
        },
    })
}

/// Makes all twelve, each workload with the replicas that its lag asks for, and the load's topic.
pub async fn set_up(bed: &Bed, cases: &[Case]) {
    bed.create_namespace(NAMESPACE).await;
    for topic in ["orders", "quiet"] {
        bed.kafka.create_topic(topic, PARTITIONS).await;
    }
    for partition in 0..PARTITIONS {
        let filled = FILLED.try_into().unwrap();
        bed.kafka.produce("orders", partition, filled).await;
    }
    commit(&bed.kafka, FILLED).await;
    let nothing: Vec<(i32, i64)> = (0..PARTITIONS).map(|p| (p, 0)).collect();
    bed.kafka.commit("quiet", "quiet", &nothing).await;
    for case in cases {
        let mut workload = workload(case.name);
        workload["metadata"]["namespace"] = NAMESPACE.into();
        workload["spec"]["replicas"] = case.replicas.into();
        bed.apply(&[workload, case.object.clone()]).await;
    }
    bed.apply(&[scaled_job(&bed.kafka)]).await;
}

async fn commit(kafka: &Kafka, end: i64) {
    for (group, left) in GROUPS {
        let offsets: Vec<(i32, i64)> = (0..PARTITIONS).map(|p| (p, end - left)).collect();
        kafka.commit(group, "orders", &offsets).await;
    }
}

/// Records that come and are read as fast, for as long as it is waited for.
pub async fn load(kafka: &Kafka) -> Infallible {
    let mut end = FILLED;
    loop {
        end += 1;
        for partition in 0..PARTITIONS {
            kafka.produce("orders", partition, 1).await;
        }
        commit(kafka, end).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
