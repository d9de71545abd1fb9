//! The objects that are watched whole, as the watches have them now.

use std::sync::Arc;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::runtime::reflector::{ObjectRef, Store};

use super::external::ExternalTriggers;
use crate::resources::{
    ClusterTriggerAuthentication, LagMetric, ScaledObject, TriggerAuthentication,
};

/// One store of each kind, and the triggers that a KEDA asks about.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) scaled_objects: Store<ScaledObject>,
    pub(super) lag_metrics: Store<LagMetric>,
    pub(super) authentications: Store<TriggerAuthentication>,
    pub(super) cluster_authentications: Store<ClusterTriggerAuthentication>,
    pub(super) hpas: Store<HorizontalPodAutoscaler>,
    pub(super) external: ExternalTriggers,
}

impl Stores {
    pub(super) fn scaled_object(&self, namespace: &str, name: &str) -> Option<Arc<ScaledObject>> {
        let reference = ObjectRef::new(name).within(namespace);
        self.scaled_objects.get(&reference)
    }

    pub(super) fn lag_metric(&self, namespace: &str, name: &str) -> Option<Arc<LagMetric>> {
        let reference = ObjectRef::new(name).within(namespace);
        self.lag_metrics.get(&reference)
    }

    pub(super) fn authentication(
        &self,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<TriggerAuthentication>> {
        let reference = ObjectRef::new(name).within(namespace);
        self.authentications.get(&reference)
    }

    pub(super) fn cluster_authentication(
        &self,
        name: &str,
    ) -> Option<Arc<ClusterTriggerAuthentication>> {
        self.cluster_authentications.get(&ObjectRef::new(name))
    }

    pub(super) fn hpa(&self, namespace: &str, name: &str) -> Option<Arc<HorizontalPodAutoscaler>> {
        let reference = ObjectRef::new(name).within(namespace);
        self.hpas.get(&reference)
    }
}
