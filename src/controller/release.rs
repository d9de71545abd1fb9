//! KEDA puts a finalizer on its objects; where KEDA is gone nobody else takes it off, and a deletion would hang.

use std::fmt::Debug;

use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;

const FINALIZER: &str = "finalizer.keda.sh";

/// Whether an object is being deleted and waits for KEDA.
pub(super) fn is_held(object: &impl ResourceExt) -> bool {
    object.meta().deletion_timestamp.is_some() && object.finalizers().iter().any(|f| f == FINALIZER)
}

/// Takes the finalizer off; a change meanwhile is a conflict, and the next event brings another try.
pub(super) async fn release<K>(client: Client, object: std::sync::Arc<K>)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let api: Api<K> = Api::namespaced(client, &namespace);
    let left: Vec<_> = object
        .finalizers()
        .iter()
        .filter(|f| *f != FINALIZER)
        .collect();
    let patch = serde_json::json!({"metadata": {
        "resourceVersion": object.resource_version(), "finalizers": left,
    }});
    let done = api
        .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
        .await;
    match done {
        Ok(_) => tracing::info!(namespace, name, "KEDA's finalizer taken off"),
        Err(error) => tracing::warn!(%error, namespace, name, "taking KEDA's finalizer off"),
    }
}
