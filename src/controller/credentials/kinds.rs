//! The kinds whose changes a watch tells.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, Secret},
};
use kube::core::{ApiResource, ObjectMeta};

use super::reference::{Reference, Workload};

/// A kind that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Secrets,
    ConfigMaps,
    Deployments,
    StatefulSets,
}

/// True where a watch tells of changes.
pub(super) fn is_watched(reference: &Reference) -> bool {
    kind(reference).is_some()
}

/// A text that changes when the content does; a workload's status is not part of it.
pub(super) fn version(reference: &Reference, metadata: &ObjectMeta) -> String {
    match (reference, metadata.generation) {
        (Reference::Workload(_), Some(generation)) => {
            // Another of the same name begins again at 1.
            format!(
                "{} {generation}",
                metadata.uid.as_deref().unwrap_or_default()
            )
        }
        _ => metadata.resource_version.clone().unwrap_or_default(),
    }
}

/// The kind of what is watched; `None` where nothing tells a change.
pub(super) fn kind(reference: &Reference) -> Option<Kind> {
    match reference {
        Reference::Secret(_) => Some(Kind::Secrets),
        Reference::ConfigMap(_) => Some(Kind::ConfigMaps),
        Reference::Workload(w) if w.api_version == "apps/v1" => match w.kind.as_str() {
            "Deployment" => Some(Kind::Deployments),
            "StatefulSet" => Some(Kind::StatefulSets),
            _ => None,
        },
        _ => None,
    }
}

impl Kind {
    pub(super) fn resource(self) -> ApiResource {
        match self {
            Self::Secrets => ApiResource::erase::<Secret>(&()),
            Self::ConfigMaps => ApiResource::erase::<ConfigMap>(&()),
            Self::Deployments => ApiResource::erase::<Deployment>(&()),
            Self::StatefulSets => ApiResource::erase::<StatefulSet>(&()),
        }
    }

    pub(super) fn reference(self, namespace: String, name: String) -> Reference {
        let workload = |kind: &str, namespace, name| {
            Reference::Workload(Workload {
                namespace,
                api_version: "apps/v1".into(),
                kind: kind.into(),
                name,
            })
        };
        match self {
            Self::Secrets => Reference::Secret((namespace, name)),
            Self::ConfigMaps => Reference::ConfigMap((namespace, name)),
            Self::Deployments => workload("Deployment", namespace, name),
            Self::StatefulSets => workload("StatefulSet", namespace, name),
        }
    }
}
