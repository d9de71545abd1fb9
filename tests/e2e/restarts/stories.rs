//! The stories that lagscale is killed in.

use bed::wait;
use kube::api::DeleteParams;
use lagscale::resources::{ScaledObject, TriggerAuthentication};
use serde_json::{Value, json};

use super::{Cast, End, Story, workload};
use crate::{scene::Scene, world::PATIENCE};

/// The end that `over` looks for: whether everything said is so.
async fn so(
    scene: &Scene<'_>,
    name: &str,
    replicas: i32,
    conditions: &[(&str, &str)],
) -> Result<(), String> {
    let found = workload(scene, name).await.spec.unwrap().replicas;
    if found != Some(replicas) {
        return Err(format!("{found:?} replicas"));
    }
    let object = scene.api::<ScaledObject>().get(name).await.unwrap();
    let status = object.status.unwrap_or_default();
    for (kind, reason) in conditions {
        let mut found = status.conditions.iter();
        if !found.any(|c| c.kind == *kind && c.reason == *reason) {
            return Err(format!("{:?}", status.conditions));
        }
    }
    Ok(())
}

/// A workload with this many replicas whose object has an HPA and is ready, at rest.
async fn ready(scene: &Scene<'_>, cast: &Cast, lag: i64, replicas: i32, spec: &Value) {
    let name = &cast.name;
    scene.commit_lag(name, &cast.topic, 6, 10, lag).await;
    scene.idle(name, replicas).await;
    let trigger = scene.trigger(&cast.topic, name, &json!({}));
    scene.scaled_object(name, &[trigger], spec).await;
    scene.condition(name, "Ready", "True", "").await;
}

/// From nothing to an HPA, from 0 to 1 and from there to 5; then maxReplicaCount is raised to 6.
pub(super) struct ScaleUp;

impl Story for ScaleUp {
    const ACTS: usize = 2;
    const SERVED: bool = true;

    async fn set(scene: &Scene<'_>, cast: &Cast) {
        scene.commit_lag(&cast.name, &cast.topic, 6, 10, 60).await;
        scene.idle(&cast.name, 0).await;
    }

    async fn act(scene: &Scene<'_>, cast: &Cast, act: usize) {
        let at_once = json!({"policies": [{"type": "Pods", "value": 10, "periodSeconds": 1}]});
        let max = [5, 6][act];
        let spec = json!({
            "minReplicaCount": 0, "maxReplicaCount": max,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": at_once}}},
        });
        let trigger = scene.trigger(&cast.topic, &cast.name, &json!({}));
        scene.scaled_object(&cast.name, &[trigger], &spec).await;
    }

    async fn over(scene: &Scene<'_>, cast: &Cast, act: usize) -> Result<(), String> {
        let conditions = [("Ready", "ScaledObjectReady"), ("Active", "ScalerActive")];
        so(scene, &cast.name, [5, 6][act], &conditions).await
    }
}

/// Lag comes, and stays.
pub(super) struct Activation;

impl Story for Activation {
    async fn set(scene: &Scene<'_>, cast: &Cast) {
        ready(scene, cast, 0, 0, &json!({"minReplicaCount": 0})).await;
    }

    async fn act(scene: &Scene<'_>, cast: &Cast, _act: usize) {
        scene.commit_lag(&cast.name, &cast.topic, 6, 10, 5).await;
    }

    async fn over(scene: &Scene<'_>, cast: &Cast, _act: usize) -> Result<(), String> {
        so(scene, &cast.name, 1, &[("Active", "ScalerActive")]).await
    }
}

/// Lag comes, and goes while nobody looks: who was woken has its cool-down all the same.
pub(super) struct Drained;

impl Story for Drained {
    const ACTS: usize = 2;

    async fn set(scene: &Scene<'_>, cast: &Cast) {
        Activation::set(scene, cast).await;
    }

    async fn act(scene: &Scene<'_>, cast: &Cast, act: usize) {
        match act {
            0 => Activation::act(scene, cast, act).await,
            _ => Self::meanwhile(scene, cast).await,
        }
    }

    async fn over(scene: &Scene<'_>, cast: &Cast, act: usize) -> Result<(), String> {
        if act == 0 && !cast.killed {
            return Activation::over(scene, cast, act).await;
        }
        let cooling = so(scene, &cast.name, 1, &[("Active", "ScalerCooldown")]).await;
        if cooling.is_err() && cast.killed {
            return so(scene, &cast.name, 0, &[("Active", "ScalerNotActive")]).await;
        }
        cooling
    }

    async fn meanwhile(scene: &Scene<'_>, cast: &Cast) {
        scene.commit_lag(&cast.name, &cast.topic, 6, 10, 0).await;
    }

    fn as_good(whole: &End, end: &End) -> bool {
        // Killed before it woke anybody, it leaves them asleep.
        let asleep = end.replicas == 0 && end.done.is_empty() && end.hpa == whole.hpa;
        asleep || whole == end
    }
}

/// Paused at another number, and resumed.
pub(super) struct Pause;

impl Story for Pause {
    const ACTS: usize = 2;

    async fn set(scene: &Scene<'_>, cast: &Cast) {
        ready(scene, cast, 5, 1, &json!({})).await;
    }

    async fn act(scene: &Scene<'_>, cast: &Cast, act: usize) {
        let paused = [json!("3"), Value::Null][act].clone();
        let annotations = json!({"autoscaling.keda.sh/paused-replicas": paused});
        let patch = json!({"metadata": {"annotations": annotations}});
        scene.patch::<ScaledObject>(&cast.name, &patch).await;
    }

    async fn over(scene: &Scene<'_>, cast: &Cast, act: usize) -> Result<(), String> {
        let reason = ["ScaledObjectPaused", "ScaledObjectUnpaused"][act];
        so(scene, &cast.name, 3, &[("Paused", reason)]).await?;
        match scene.hpa(&cast.name).await {
            Some(_) if act == 0 => Err("an HPA".into()),
            None if act == 1 => Err("no HPA".into()),
            _ => Ok(()),
        }
    }
}

/// A workload that sleeps gets back what it had, and KEDA's finalizer is on the authentication too; both are deleted.
pub(super) struct Deletion;

impl Story for Deletion {
    async fn set(scene: &Scene<'_>, cast: &Cast) {
        let name = &cast.name;
        scene
            .credentials(name, &scene.bed.kafka, bed::Kafka::PASSWORD)
            .await;
        scene.commit_lag(name, &cast.topic, 6, 10, 0).await;
        scene.idle(name, 5).await;
        let mut trigger = scene.trigger(&cast.topic, name, &json!({}));
        trigger["authenticationRef"]["name"] = name.as_str().into();
        let spec = json!({
            "minReplicaCount": 0, "cooldownPeriod": 0, "advanced": {"restoreToOriginalReplicaCount": true},
        });
        scene.scaled_object(name, &[trigger], &spec).await;
        scene.condition(name, "Ready", "True", "").await;
        wait::until("the workload to sleep", PATIENCE, async || {
            so(scene, name, 0, &[]).await
        })
        .await;
        let held = json!({"metadata": {"finalizers": ["finalizer.keda.sh"]}});
        scene.patch::<TriggerAuthentication>(name, &held).await;
        wait::until("KEDA's finalizer to go", PATIENCE, async || {
            let found = scene.api::<TriggerAuthentication>().get(name).await;
            match found.map_err(|e| e.to_string())?.metadata.finalizers {
                None => Ok(()),
                Some(left) => Err(left.join(" ")),
            }
        })
        .await;
    }

    async fn act(scene: &Scene<'_>, cast: &Cast, _act: usize) {
        scene.delete(&cast.name).await;
        let authentications = scene.api::<TriggerAuthentication>();
        authentications
            .delete(&cast.name, &DeleteParams::default())
            .await
            .unwrap();
    }

    async fn over(scene: &Scene<'_>, cast: &Cast, _act: usize) -> Result<(), String> {
        let object = scene.api::<ScaledObject>().get_opt(&cast.name).await;
        let authentication = scene
            .api::<TriggerAuthentication>()
            .get_opt(&cast.name)
            .await;
        let left = [
            object.unwrap().map(|o| o.metadata),
            authentication.unwrap().map(|a| a.metadata),
            scene.hpa(&cast.name).await.map(|h| h.metadata),
        ];
        match left.into_iter().flatten().next() {
            None => match workload(scene, &cast.name).await.spec.unwrap().replicas {
                Some(5) => Ok(()),
                found => Err(format!("{found:?} replicas")),
            },
            Some(left) => Err(format!("{left:?}")),
        }
    }
}
