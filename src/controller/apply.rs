//! Writes what was decided: the HPA, the workload's replicas, the status. A write of HPA or scale
//! carries the version it was decided on, so one that comes late, or from a second leader, is refused and decided again.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use tokio::sync::mpsc;

use super::target::{self, Target};
use crate::{
    resources::{ScaledObject, ScaledObjectStatus},
    scaling::Plan,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Namespace and name.
pub(super) type ObjectKey = (String, String);

/// A write of an HPA.
#[derive(Debug)]
pub(super) enum HpaWrite {
    Create(Box<HorizontalPodAutoscaler>),
    Replace(Box<HorizontalPodAutoscaler>),
    /// The one of a former name, since two on one workload would stop both; or of a paused object.
    Delete(Box<HorizontalPodAutoscaler>),
}

/// What to do for one object, in this order.
pub(super) struct Work {
    pub(super) plan: Arc<Plan>,
    /// Read the workload.
    pub(super) look: bool,
    pub(super) hpa: Option<HpaWrite>,
    pub(super) step: Option<Step>,
    pub(super) status: Option<ScaledObjectStatus>,
}

/// A change of the workload's replicas.
pub(super) struct Step {
    pub(super) from: i32,
    pub(super) to: i32,
    /// The metrics that woke it; empty where none did.
    pub(super) woken_by: Vec<Arc<str>>,
}

impl Work {
    pub(super) fn is_empty(&self) -> bool {
        !self.look && self.hpa.is_none() && self.step.is_none() && self.status.is_none()
    }
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) key: ObjectKey,
    pub(super) target: Option<Result<Target, String>>,
    pub(super) replicas: Option<i32>,
    /// The HPA's spec as the API server stored it.
    pub(super) stored: Option<HorizontalPodAutoscalerSpec>,
    /// The status as the API server stored it.
    pub(super) status: Option<ScaledObjectStatus>,
    /// Why the HPA could not be written.
    pub(super) error: Option<String>,
    /// The status could not be written.
    pub(super) status_failed: bool,
    /// Why the workload could not be scaled.
    pub(super) step_error: Option<String>,
    /// Whether HPA or status was written at all.
    pub(super) wrote: bool,
    /// The object's version was older than the server's: no failure, a fresh look.
    pub(super) conflict: bool,
}

/// Does `work` and reports.
pub(super) async fn apply(
    client: Client,
    key: ObjectKey,
    work: Work,
    done: mpsc::UnboundedSender<Outcome>,
) {
    let mut outcome = Outcome {
        key,
        target: None,
        replicas: None,
        stored: None,
        status: None,
        error: None,
        status_failed: false,
        step_error: None,
        wrote: work.hpa.is_some() || work.status.is_some(),
        conflict: false,
    };
    let plan = &work.plan;
    if work.look {
        outcome.target = Some(target::read(&client, plan).await);
    }
    if let Some(write) = work.hpa {
        outcome.hpa(write_hpa(&client, plan, &write).await);
    }
    if let Some(Step { from, to, woken_by }) = work.step {
        let (namespace, name) = (&plan.namespace, &plan.object.spec.scale_target_ref.name);
        match target::set(&client, plan, from, to).await {
            Ok(None) => outcome.conflict = true,
            Ok(Some(now)) => {
                outcome.replicas = Some(now);
                if now == to {
                    let triggers = woken_by.join(";");
                    tracing::info!(%namespace, %name, from, to, triggers, "scaled");
                }
            }
            Err(error) => outcome.step_error = Some(error),
        }
    }
    if let Some(status) = work.status {
        match write_status(&client, plan, &status).await {
            Ok(stored) => outcome.status = stored,
            Err(error) => {
                outcome.status_failed = true;
                tracing::warn!(%error, object = %plan.name, namespace = %plan.namespace, "writing status");
            }
        }
    }
    // The engine is gone when nobody listens.
    let _ = done.send(outcome);
}

impl Outcome {
    fn hpa(&mut self, result: Result<Option<HorizontalPodAutoscaler>, kube::Error>) {
        match result {
            Ok(hpa) => self.stored = hpa.and_then(|h| h.spec),
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                self.conflict = true;
            }
            Err(kube::Error::Api(status)) => self.error = Some(status.message.clone()),
            Err(error) => self.error = Some(error.to_string()),
        }
    }
}

/// What the API server has then; nothing after a deletion.
async fn write_hpa(
    client: &Client,
    plan: &Plan,
    write: &HpaWrite,
) -> Result<Option<HorizontalPodAutoscaler>, kube::Error> {
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), &plan.namespace);
    let params = PostParams::default();
    let (namespace, name) = (&plan.namespace, &plan.hpa_name);
    let (stored, verb) = match write {
        HpaWrite::Create(hpa) => (bounded(api.create(&params, hpa)).await?, "created"),
        HpaWrite::Replace(hpa) => (bounded(api.replace(name, &params, hpa)).await?, "updated"),
        HpaWrite::Delete(hpa) => {
            let old = hpa.name_any();
            let exactly = Preconditions {
                uid: hpa.uid(),
                resource_version: hpa.resource_version(),
            };
            let params = DeleteParams::default().preconditions(exactly);
            match bounded(api.delete(&old, &params)).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                result => drop(result?),
            }
            tracing::info!(%namespace, name = old, "HPA deleted");
            return Ok(None);
        }
    };
    let max = stored.spec.as_ref().map(|s| s.max_replicas);
    tracing::info!(%namespace, %name, max, "HPA {verb}");
    Ok(Some(stored))
}

/// The status as it is then; nothing where the object is gone.
async fn write_status(
    client: &Client,
    plan: &Plan,
    status: &ScaledObjectStatus,
) -> Result<Option<ScaledObjectStatus>, kube::Error> {
    let api: Api<ScaledObject> = Api::namespaced(client.clone(), &plan.namespace);
    let mut next = serde_json::json!({ "status": status });
    let live = serde_json::json!(plan.object.status);
    // A merge leaves what it does not name: what is to go is named with null.
    for key in live.as_object().into_iter().flat_map(serde_json::Map::keys) {
        if next["status"].get(key).is_none() {
            next["status"][key] = serde_json::Value::Null;
        }
    }
    let params = PatchParams::default();
    match bounded(api.patch_status(&plan.name, &params, &Patch::Merge(next))).await {
        // Deleted meanwhile.
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        result => result.map(|object| object.status),
    }
}

async fn bounded<T>(work: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => result,
        Err(elapsed) => Err(kube::Error::Service(elapsed.into())),
    }
}
