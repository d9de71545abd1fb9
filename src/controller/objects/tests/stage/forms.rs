//! Objects as people write them.

use serde_json::{Value, json};

use super::super::api_server::merge;

/// A ScaledObject with one kafka trigger, and this in its spec.
pub fn scaled_object(name: &str, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid of {name}"), "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "scaleTargetRef": {"name": name}, "pollingInterval": 5, "cooldownPeriod": 30, "minReplicaCount": 1,
            "triggers": [kafka(&json!({}))],
        },
    });
    merge(&mut object["spec"], spec);
    object
}

/// A kafka trigger with this in its metadata.
pub fn kafka(metadata: &Value) -> Value {
    let mut trigger = json!({"type": "kafka", "metadata": {
        "bootstrapServers": "kafka:9092", "consumerGroup": "g", "topic": "t", "lagThreshold": "5",
    }});
    merge(&mut trigger["metadata"], metadata);
    trigger
}
