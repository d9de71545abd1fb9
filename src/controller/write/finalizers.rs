//! KEDA puts a finalizer on its objects; where KEDA is gone nobody else takes it off, and a deletion would hang.

use std::{fmt::Debug, sync::Arc, time::Duration};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::de::DeserializeOwned;

use super::{apply, target};
use crate::{
    backoff::doubled,
    controller::{
        deadline::within,
        leadership::Lead,
        objects::{ECHO, is_held},
    },
    resources::{ScaledObject, names::FINALIZER},
    scaling::{Plan, owns},
    text::api_error,
};

const RETRY: Duration = Duration::from_secs(5);
/// The pause between two tries of a finalizer that can't be taken off doubles up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A minute, and the deletion goes on.
const TRIES: usize = 12;

/// Ends a ScaledObject that is being deleted: its workload gets back the replicas it had, where that is asked for, and the
/// finalizer goes. Returns its uid when there is nothing left to do.
pub(in crate::controller) async fn end(
    (client, lead): (Client, Lead),
    object: Arc<ScaledObject>,
) -> String {
    let plan = Plan::new(object.clone(), Vec::new());
    let original = object
        .status
        .as_ref()
        .and_then(|s| s.original_replica_count);
    if let Some(original) = original.filter(|_| plan.restores()) {
        // A workload that can't be scaled any more must not keep its namespace from going.
        for _ in 0..TRIES {
            let Some(_turn) = lead.turn().await else {
                break;
            };
            let Err(error) = restore(&client, &plan, original).await else {
                break;
            };
            tracing::warn!(error, namespace = %plan.namespace, name = %plan.name, "restoring the replicas");
            tokio::time::sleep(RETRY).await;
        }
    }
    let api = Api::<ScaledObject>::namespaced(client, &plan.namespace);
    release(api, object, lead).await
}

async fn restore(client: &Client, plan: &Plan, original: i32) -> Result<(), String> {
    let hpas: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), &plan.namespace);
    // It would take them again until it is collected.
    within(async {
        let said = |error: kube::Error| api_error(&error);
        let hpa = hpas.get_opt(&plan.hpa_name).await.map_err(said)?;
        match hpa.filter(|hpa| owns(plan, hpa)) {
            Some(hpa) => apply::delete_hpa(client, plan, &hpa).await.map_err(said),
            None => Ok(()),
        }
    })
    .await?;
    target::restore(client, plan, original).await
}

/// Takes the finalizer off, as often as it takes. Returns the uid when there is nothing left to do.
pub(in crate::controller) async fn release<K>(api: Api<K>, object: Arc<K>, lead: Lead) -> String
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let mut found: Result<_, String> = Ok(Some((*object).clone()));
    let mut taken = false;
    let mut failures = 0;
    // The next leader begins anew.
    while let Some(turn) = lead.turn().await {
        let error = match &found {
            Ok(Some(now)) if now.uid() == object.uid() && is_held(now) => {
                // A KEDA that puts it on again is not fought, but nobody's deletion hangs.
                if taken && now.meta().deletion_timestamp.is_none() {
                    break;
                }
                within(take_off(&api, &name, now)).await.err()
            }
            Ok(_) => break,
            Err(error) => Some(error.clone()),
        };
        if let Some(error) = error {
            tracing::warn!(error, namespace, name, "taking KEDA's finalizer off");
            failures += 1;
        } else {
            failures = 0;
            taken = true;
            tracing::info!(namespace, name, "KEDA's finalizer taken off");
        }
        drop(turn);
        // Until the watch tells of it nobody is to begin again.
        tokio::time::sleep(doubled(ECHO, failures, LONGEST_PAUSE)).await;
        let again = async { api.get_opt(&name).await.map_err(|e| api_error(&e)) };
        found = within(again).await;
    }
    object.uid().unwrap_or_default()
}

async fn take_off<K>(api: &Api<K>, name: &str, object: &K) -> Result<(), String>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let left = object.finalizers().iter().filter(|f| *f != FINALIZER);
    let patch = serde_json::json!({"metadata": {
        "resourceVersion": object.resource_version(), "finalizers": left.collect::<Vec<_>>(),
    }});
    let params = PatchParams::default();
    match api
        .patch_metadata(name, &params, &Patch::Merge(patch))
        .await
    {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        result => result.map(drop).map_err(|e| api_error(&e)),
    }
}
