//! The part of a watched object that is kept: what nobody reads is taken off before it is stored.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{ResourceExt, core::ObjectMeta};

use crate::{
    resources::{ClusterTriggerAuthentication, LagMetric, ScaledObject, TriggerAuthentication},
    scaling::{keep_managed, keep_telling},
};

/// In which `kubectl apply` keeps the object that it applied.
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A kind whose objects are kept.
pub(super) trait Watched: ResourceExt {
    /// Takes off what nobody reads before an object is stored: `managedFields` are half of its size, and what `kubectl apply`
    /// remembers is the object once more.
    fn shrink(&mut self) {
        self.meta_mut().managed_fields = None;
        self.annotations_mut().remove(APPLIED);
        self.fit();
    }

    /// Gives back the room that lists took while they were read: four places for one metric, and three of them are 2 KB.
    fn fit(&mut self) {
        fit(self.meta_mut());
    }
}

impl Watched for ScaledObject {
    fn fit(&mut self) {
        fit(&mut self.metadata);
        self.spec.triggers.shrink_to_fit();
        if let Some(status) = &mut self.status {
            status.conditions.shrink_to_fit();
            status.external_metric_names.shrink_to_fit();
            status.resource_metric_names.shrink_to_fit();
        }
    }
}
impl Watched for LagMetric {}
impl Watched for TriggerAuthentication {}
impl Watched for ClusterTriggerAuthentication {}
impl Watched for HorizontalPodAutoscaler {
    fn shrink(&mut self) {
        keep_managed(self);
        keep_telling(self);
        self.fit();
    }

    fn fit(&mut self) {
        fit(&mut self.metadata);
        if let Some(metrics) = self.spec.as_mut().and_then(|s| s.metrics.as_mut()) {
            metrics.shrink_to_fit();
        }
        if let Some(conditions) = self.status.as_mut().and_then(|s| s.conditions.as_mut()) {
            conditions.shrink_to_fit();
        }
    }
}

fn fit(metadata: &mut ObjectMeta) {
    if let Some(owners) = &mut metadata.owner_references {
        owners.shrink_to_fit();
    }
    if let Some(finalizers) = &mut metadata.finalizers {
        finalizers.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_of_an_object_has_no_room_for_more() {
        let metadata = json!({
            "name": "o", "namespace": "n", "finalizers": ["a"],
            "managedFields": [{"manager": "kubectl", "operation": "Apply"}],
            "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u"}],
        });
        let condition = json!({"type": "Ready", "status": "True", "reason": "r", "message": "m"});
        let metric = json!({"type": "External", "external": {
            "metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1"},
        }});
        let target = json!({"kind": "Deployment", "name": "w"});
        let mut hpa: HorizontalPodAutoscaler = serde_json::from_value(json!({
            "metadata": metadata, "spec": {"maxReplicas": 3, "metrics": [metric], "scaleTargetRef": target},
            "status": {"desiredReplicas": 1, "currentReplicas": 1, "conditions": [
                {"type": "ScalingActive", "status": "True"}, {"type": "AbleToScale", "status": "True"},
            ]},
        }))
        .unwrap();
        hpa.shrink();
        let mut object: ScaledObject = serde_json::from_value(json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": metadata,
            "spec": {"scaleTargetRef": {"name": "w"}, "triggers": [{"type": "kafka", "metadata": {}}]},
            "status": {"conditions": [condition], "externalMetricNames": ["m"], "resourceMetricNames": ["cpu"]},
        }))
        .unwrap();
        object.shrink();
        assert_eq!(object.metadata.managed_fields, None);
        let status = object.status.unwrap();
        let of_hpa = (
            hpa.spec.unwrap().metrics.unwrap(),
            hpa.status.unwrap().conditions.unwrap(),
        );
        let room = [
            of_hpa.0.capacity() - of_hpa.0.len(),
            of_hpa.1.capacity() - of_hpa.1.len(),
            object.spec.triggers.capacity() - object.spec.triggers.len(),
            status.conditions.capacity() - status.conditions.len(),
            status.external_metric_names.capacity() - status.external_metric_names.len(),
            status.resource_metric_names.capacity() - status.resource_metric_names.len(),
        ];
        assert_eq!(room, [0; 6]);
        for metadata in [hpa.metadata, object.metadata] {
            let owners = metadata.owner_references.unwrap();
            let finalizers = metadata.finalizers.unwrap();
            let capacities = (owners.capacity(), finalizers.capacity());
            assert_eq!(capacities, (owners.len(), finalizers.len()));
        }
    }
}
