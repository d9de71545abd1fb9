//! The world around the objects at one moment: what is watched, what was read of credentials, and whether this replica writes.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::keys::{Kind, ObjectKey};
use crate::{
    controller::{
        credentials::{CredentialRules, Credentials, Found, Reference},
        resolve::Lookup,
        stores::Stores,
    },
    lag::Moment,
    resources::{ClusterTriggerAuthentication, LagMetric, ScaledObject, TriggerAuthentication},
    scaling::lag_metric::as_object,
};

/// The things that triggers name outside of themselves.
pub(in crate::controller) trait Contents {
    /// The state of a reference.
    fn find(&self, reference: &Reference) -> Found<'_>;
    /// Where credentials may come from.
    fn rules(&self) -> &CredentialRules;
}

impl Contents for Credentials {
    fn find(&self, reference: &Reference) -> Found<'_> {
        Self::find(self, reference)
    }

    fn rules(&self) -> &CredentialRules {
        Self::rules(self)
    }
}

/// Everything that a change is judged by.
#[derive(Clone, Copy)]
pub(in crate::controller) struct World<'a> {
    pub(in crate::controller) stores: &'a Stores,
    pub(in crate::controller) contents: &'a dyn Contents,
    /// Whether this replica writes.
    pub(in crate::controller) leads: bool,
    /// `true` where another controller handles other objects: an authentication may then be used by objects of both.
    pub(in crate::controller) shares: bool,
    /// Whether what would be served is held against what HPAs were told by another server.
    pub(in crate::controller) shadow: bool,
    pub(in crate::controller) now: Moment,
}

impl World<'_> {
    /// Every object of the kinds that are planned.
    pub(super) fn keys(&self) -> Vec<ObjectKey> {
        let place = |metadata: &ObjectMeta| {
            let namespace = metadata.namespace.clone().unwrap_or_default();
            (namespace, metadata.name.clone().unwrap_or_default())
        };
        let objects = self.stores.scaled_objects.state().into_iter();
        let objects = objects.map(|o| place(&o.metadata));
        let metrics = self.stores.lag_metrics.state().into_iter();
        let metrics = metrics.map(|m| place(&m.metadata));
        let objects = objects.map(|(namespace, name)| ObjectKey::scaled_object(&namespace, &name));
        let metrics = metrics.map(|(namespace, name)| ObjectKey::lag_metric(&namespace, &name));
        let external = self.stores.external.keys();
        objects.chain(metrics).chain(external).collect()
    }

    /// An object; a LagMetric with what it is as a ScaledObject.
    pub(super) fn find_object(
        &self,
        key: &ObjectKey,
    ) -> (Option<Arc<LagMetric>>, Option<Arc<ScaledObject>>) {
        match key.kind {
            Kind::ScaledObject => (None, self.stores.scaled_object(&key.namespace, &key.name)),
            Kind::External => (None, self.stores.external.object(key)),
            Kind::LagMetric => {
                let metric = self.stores.lag_metric(&key.namespace, &key.name);
                let object = metric.as_deref().map(as_object);
                (metric, object.map(Arc::new))
            }
        }
    }
}

impl Lookup for World<'_> {
    fn authentication(&self, namespace: &str, name: &str) -> Option<Arc<TriggerAuthentication>> {
        self.stores.authentication(namespace, name)
    }

    fn cluster_authentication(&self, name: &str) -> Option<Arc<ClusterTriggerAuthentication>> {
        self.stores.cluster_authentication(name)
    }

    fn find(&self, reference: &Reference) -> Found<'_> {
        self.contents.find(reference)
    }

    fn rules(&self) -> &CredentialRules {
        self.contents.rules()
    }
}
