//! KEDA puts a finalizer on its objects; where KEDA is gone nobody else takes it off, and a deletion would hang.

use std::{fmt::Debug, sync::Arc};

use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::de::DeserializeOwned;

use super::watches::Watches;

const FINALIZER: &str = "finalizer.keda.sh";

/// Whether an object is being deleted and waits for KEDA.
pub(super) fn is_held(object: &impl ResourceExt) -> bool {
    object.meta().deletion_timestamp.is_some() && object.finalizers().iter().any(|f| f == FINALIZER)
}

/// Takes the finalizer off every authentication that is being deleted.
pub(super) fn release_authentications(client: &Client, watches: &Watches) {
    let held = watches.authentications.state().into_iter();
    for held in held.filter(|a| is_held(&**a)) {
        let namespace = held.namespace().unwrap_or_default();
        tokio::spawn(release(Api::namespaced(client.clone(), &namespace), held));
    }
    let held = watches.cluster_authentications.state().into_iter();
    for held in held.filter(|a| is_held(&**a)) {
        tokio::spawn(release(Api::all(client.clone()), held));
    }
}

/// Takes the finalizer off; a change meanwhile is a conflict, and the next event brings another try.
pub(super) async fn release<K>(api: Api<K>, object: Arc<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
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
