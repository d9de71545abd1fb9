//! Writes what was decided: the HPA, the workload's replicas, the status. A write of HPA or scale
//! carries the version it was decided on, so one that comes late, or from a second leader, is refused and decided again.

use std::sync::Arc;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use tokio::sync::Semaphore;

use super::{
    events::EventRecorder,
    status::{StatusChange, patch_status},
    target::{self, Target},
};
use crate::{
    controller::{
        deadline::bounded,
        leadership::Lead,
        objects::{HpaWrite, ObjectKey, Outcome, Step, Work},
    },
    resources::ScaledObject,
    scaling::{FIELD_MANAGER, Plan, step_error, step_event},
    telemetry::Counts,
    text::api_error,
};

/// Looks and writes at once: after a start each object may have something to write. Custom resources may answer slowly or not
/// at all, so looking at them holds up no write.
#[derive(Clone)]
pub(in crate::controller) struct Places {
    looks: Arc<Semaphore>,
    pub(super) writes: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            looks: Arc::new(Semaphore::new(64)),
            writes: Arc::new(Semaphore::new(64)),
        }
    }
}

/// The parts that a task needs to write.
#[derive(Clone)]
pub(in crate::controller) struct Writers {
    pub(in crate::controller) client: Client,
    pub(in crate::controller) events: EventRecorder,
    pub(in crate::controller) places: Places,
    pub(in crate::controller) lead: Lead,
    pub(in crate::controller) counts: Counts,
}

/// Does `work`. What waits for a place holds nothing but its work: the state of requests under way is many times larger.
pub(in crate::controller) async fn apply(
    writers: Writers,
    key: ObjectKey,
    work: Box<Work>,
) -> Outcome {
    let places = &writers.places;
    let mut target = None;
    if work.look {
        // Never closed.
        let _place = places.looks.acquire().await;
        let read = target::read(&writers.client, &work.plan, work.count_pods);
        target = Some(Box::new(Box::pin(read).await));
    }
    let _place = places.writes.acquire().await;
    Box::pin(write(&writers, key, target, work)).await
}

/// Makes the writes of `work`. A replica that does not lead any more leaves it undone, from one write to the next.
async fn write(
    writers: &Writers,
    key: ObjectKey,
    target: Option<Box<Result<Target, String>>>,
    work: Box<Work>,
) -> Outcome {
    let mut outcome = Outcome {
        key,
        uid: work.plan.object.uid(),
        tried_a_write: work.writes(),
        target: target.map(|target| *target),
        ..Outcome::default()
    };
    let Writers {
        client,
        events,
        lead,
        counts,
        ..
    } = writers;
    let plan = &work.plan;
    let turn = lead.turn().await;
    let may = || turn.is_some() && lead.holds();
    let mut known = plan.object.resource_version();
    if let Some(patch) = work.metadata.as_ref().filter(|_| may()) {
        let written = write_metadata(client, plan, patch).await;
        counts.wrote("scaledobjects", &written);
        match written {
            Ok(version) => {
                outcome.version.clone_from(&version);
                known = version;
            }
            Err(error) if is_conflict(&error) => outcome.conflict = true,
            Err(error) => {
                // Labels that were refused for good are due again with the next version of the object.
                outcome.failed = !is_refused(&error);
                let error = api_error(&error);
                tracing::warn!(error, object = %plan.name, namespace = %plan.namespace, "writing labels and finalizers");
            }
        }
    }
    // Before what it tells of: who takes over goes on from it, with what the workload had and when it was active.
    if let Some(status) = work.status.filter(|_| may()) {
        let api = Api::<ScaledObject>::namespaced(client.clone(), &plan.namespace);
        let change = StatusChange {
            before: plan.object.status.as_ref(),
            next: &status,
            over: known.filter(|_| !work.confirmed),
        };
        match patch_status(&api, &*plan.object, change, counts).await {
            Ok(stored) => {
                outcome.version = stored.as_ref().and_then(ResourceExt::resource_version);
                outcome.status = stored.and_then(|object| object.status);
                for event in work.events {
                    events.record(&plan.object, event);
                }
            }
            Err(error) if is_conflict(&error) => outcome.conflict = true,
            Err(error) => {
                outcome.failed = true;
                let error = api_error(&error);
                tracing::warn!(error, object = %plan.name, namespace = %plan.namespace, "writing status");
            }
        }
    }
    let original = plan
        .object
        .status
        .as_ref()
        .and_then(|s| s.original_replica_count);
    // A step that the status could not tell must not happen: after it nobody knows any more what the workload had. A conflict
    // is over in a moment; a status that can't be written may stay so, and then it matters only where that is restored.
    let untold = outcome.conflict || plan.restores() && outcome.failed;
    let unknown = original.is_none() && untold;
    // A new HPA finds its workload awake; one that goes is gone before its workload is scaled.
    let is_new = matches!(work.hpa, Some(HpaWrite::Create(_)));
    let hpa = work.hpa.as_ref();
    if let Some(write) = hpa.filter(|_| !is_new && !unknown && may()) {
        outcome.write_hpa(client, plan, write, counts).await;
    }
    if let Some(step) = work.step.as_ref().filter(|_| !unknown && may()) {
        let stepped = target::set(client, plan, step.from, step.to).await;
        counts.stepped(&stepped);
        outcome.stepped(stepped, plan, step, events);
    }
    if let Some(write) = hpa.filter(|_| is_new && !unknown && may()) {
        outcome.write_hpa(client, plan, write, counts).await;
    }
    // Left undone: whoever leads looks again.
    outcome.conflict |= outcome.tried_a_write && !may();
    outcome
}

impl Outcome {
    async fn write_hpa(&mut self, client: &Client, plan: &Plan, write: &HpaWrite, counts: &Counts) {
        let written = write_hpa(client, plan, write).await;
        counts.wrote("horizontalpodautoscalers", &written);
        self.hpa = Some(Ok(()));
        match written {
            Ok(hpa) => self.stored = hpa.and_then(|h| h.spec),
            Err(error) if is_conflict(&error) => self.conflict = true,
            Err(error) => {
                self.refused = is_refused(&error);
                self.hpa = Some(Err(api_error(&error)));
            }
        }
    }

    fn stepped(
        &mut self,
        result: Result<Option<i32>, String>,
        plan: &Plan,
        step: &Step,
        events: &EventRecorder,
    ) {
        let status = plan.object.status.as_ref();
        let kind = status.and_then(|s| s.scale_target_kind.as_deref());
        let kind = kind.unwrap_or("apps/v1.Deployment");
        let (namespace, name) = (&plan.namespace, &plan.object.spec.scale_target_ref.name);
        self.step = Some(Ok(()));
        let event = match result {
            Ok(None) => {
                self.conflict = true;
                None
            }
            Ok(Some(now)) => {
                self.replicas = Some(now);
                // Somebody else was faster.
                if now != step.to {
                    return;
                }
                tracing::info!(%namespace, %name, from = step.from, to = step.to, why = ?step.why, "scaled");
                step_event(plan, &step.why, kind, step.from, None)
            }
            Err(error) => {
                let event = step_event(plan, &step.why, kind, step.from, Some(&error));
                self.step = Some(Err(step_error(&step.why, &error)));
                event
            }
        };
        if let Some(event) = event {
            events.record(&plan.object, event);
        }
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict() || status.is_already_exists())
}

/// The API server will not take this content, however often it is sent.
fn is_refused(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 422)
}

/// The object's version since.
async fn write_metadata(
    client: &Client,
    plan: &Plan,
    patch: &serde_json::Value,
) -> Result<Option<String>, kube::Error> {
    let api: Api<ScaledObject> = Api::namespaced(client.clone(), &plan.namespace);
    let params = PatchParams::default();
    match bounded(api.patch_metadata(&plan.name, &params, &Patch::Merge(patch))).await {
        // Deleted meanwhile.
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        result => result.map(|object| object.resource_version()),
    }
}

/// The HPA as the API server has it then; nothing after a deletion.
async fn write_hpa(
    client: &Client,
    plan: &Plan,
    write: &HpaWrite,
) -> Result<Option<HorizontalPodAutoscaler>, kube::Error> {
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), &plan.namespace);
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let (namespace, name) = (&plan.namespace, &plan.hpa_name);
    let (stored, verb) = match write {
        HpaWrite::Create(hpa) => (bounded(api.create(&params, hpa)).await?, "created"),
        HpaWrite::Replace(hpa) => (bounded(api.replace(name, &params, hpa)).await?, "updated"),
        HpaWrite::Delete(hpa) => {
            delete_hpa(client, plan, hpa).await?;
            return Ok(None);
        }
    };
    let max = stored.spec.as_ref().map(|s| s.max_replicas);
    // Where the two differ, no more consumers than this can work.
    let asked = plan.max;
    tracing::info!(%namespace, %name, max_replicas = max, max_replica_count = asked, "HPA {verb}");
    Ok(Some(stored))
}

/// Deletes exactly this one; one that is gone already is fine.
pub(in crate::controller) async fn delete_hpa(
    client: &Client,
    plan: &Plan,
    hpa: &HorizontalPodAutoscaler,
) -> Result<(), kube::Error> {
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), &plan.namespace);
    let name = hpa.name_any();
    let exactly = Preconditions {
        uid: hpa.uid(),
        resource_version: None,
    };
    let params = DeleteParams::default().preconditions(exactly);
    match bounded(api.delete(&name, &params)).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => {}
        result => drop(result?),
    }
    tracing::info!(namespace = %plan.namespace, name, "HPA deleted");
    Ok(())
}
