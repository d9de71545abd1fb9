//! LagMetrics beside ScaledObjects: planned and evaluated alike, but what comes of it is a metric and a status, and nothing is
//! scaled.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::reflector::ObjectRef,
};
use serde_json::json;

use super::{
    engine::Controller,
    keys::{self, ObjectKey},
    lag_part::Told,
};
use crate::{
    resources::{LagMetric, LagMetricStatus, ScaledObject},
    scaling::{Evaluation, lag_metric},
    text::api_error,
};

/// A status that could not be written is tried again after this.
const RETRY: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(10);

impl Controller {
    /// The LagMetric of this key, and what it is as a ScaledObject.
    pub(super) fn lag_metric(
        &self,
        key: &ObjectKey,
    ) -> Option<(Arc<LagMetric>, Arc<ScaledObject>)> {
        let reference = ObjectRef::new(keys::lag_metric_name(key)?).within(&key.0);
        let metric = self.watches.lag_metrics.get(&reference)?;
        let object = Arc::new(lag_metric::as_object(&metric));
        Some((metric, object))
    }

    /// The keys of all of them.
    pub(super) fn lag_metric_keys(&self) -> impl Iterator<Item = ObjectKey> {
        let all = self.watches.lag_metrics.state().into_iter();
        all.map(|m| keys::of_lag_metric((m.namespace().unwrap_or_default(), m.name_any())))
    }

    /// Publishes an evaluated one, and tells of it where that is due.
    pub(super) fn publish_lag_metric(&mut self, key: &ObjectKey, evaluation: &Evaluation) {
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        let Some(part) = &mut object.lag else {
            return;
        };
        let plan = &object.plan;
        let items = lag_metric::items(&part.metric, plan, evaluation);
        self.parts
            .table
            .replace(&plan.namespace, &object.entries, &items);
        object.entries = items;
        let due = part.retry_at.is_none_or(|at| Instant::now() >= at);
        let known_yet = evaluation.answered || object.since.elapsed() >= RETRY;
        let leads = self.parts.lead.holds();
        if part.working || !due || !known_yet || !leads {
            return;
        }
        let next = lag_metric::status(&part.metric, plan, evaluation, &object.memory);
        let stored = part.metric.status.clone().unwrap_or_default();
        let (known, age) = match &part.told {
            Some((told, at)) => (told, Some(at.elapsed())),
            None => (&stored, age_of(&stored)),
        };
        if !lag_metric::is_worth_a_write(known, &next, age) {
            return;
        }
        part.working = true;
        part.told = Some((next.clone(), Instant::now()));
        let api = Api::namespaced(self.parts.client.clone(), &plan.namespace);
        let (metric, done, key) = (part.metric.clone(), self.told.0.clone(), key.clone());
        let lead = self.parts.lead.clone();
        tokio::spawn(async move {
            let written = match lead.turn().await {
                Some(_turn) => write(api, &metric, &next).await,
                None => Err("this replica does not lead any more".into()),
            };
            let uid = metric.uid();
            // The engine is gone when nobody listens.
            let _ = done.send(Told { key, uid, written });
        });
    }

    /// Takes note of a status that was written, or was not.
    pub(super) fn was_told(&mut self, told: Told) {
        let part = self.objects.get_mut(&told.key);
        let Some(part) = part.and_then(|o| o.lag.as_mut()) else {
            return;
        };
        if part.metric.uid() != told.uid {
            return;
        }
        part.working = false;
        part.retry_at = None;
        if let Err(error) = told.written {
            let (namespace, name) = (part.metric.namespace(), part.metric.name_any());
            tracing::warn!(%error, namespace, name, "cannot write the status of a LagMetric");
            part.told = None;
            part.retry_at = Some(Instant::now() + RETRY);
        }
    }
}

/// After a restart the time of the reading stands for the time of the write.
fn age_of(status: &LagMetricStatus) -> Option<Duration> {
    let read = status.last_read_time.as_ref()?;
    let read: jiff::Timestamp = read.parse().ok()?;
    let age: SignedDuration = jiff::Timestamp::now().duration_since(read);
    Some(Duration::try_from(age).unwrap_or_default())
}

/// Every field is in the patch, so that what is not known any more goes.
async fn write(
    api: Api<LagMetric>,
    metric: &LagMetric,
    status: &LagMetricStatus,
) -> Result<(), String> {
    let LagMetricStatus {
        observed_generation,
        value,
        partitions,
        last_read_time,
        conditions,
    } = status;
    let patch = json!({
        "metadata": {"uid": metric.uid()},
        "status": {
            "observedGeneration": observed_generation, "value": value, "partitions": partitions,
            "lastReadTime": last_read_time, "conditions": conditions,
        },
    });
    let (name, params) = (metric.name_any(), PatchParams::default());
    let patch = Patch::Merge(&patch);
    let written = api.patch_status(&name, &params, &patch);
    match tokio::time::timeout(DEADLINE, written).await {
        Ok(written) => written.map(drop).map_err(|e| api_error(&e)),
        Err(_) => Err(format!("no answer within {} s", DEADLINE.as_secs())),
    }
}
