//! Workloads that roll: pods of two revisions count for a while, and an Argo Rollout has its pod template elsewhere.

use bed::wait;
use k8s_openapi::api::apps::v1::Deployment;
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("pods of a rolling update with a surge of half ask for no more replicas than the lag does", rolling),
        shared.trial("the environment of an Argo Rollout with a workloadRef is that of the workload it refers to", referred),
    ]
}

/// R26: the HPA controller divides by all pods, those of the old revision too.
async fn rolling(world: &World) {
    let scene = Scene::new(&world.bed, "rolling").await;
    let metadata = json!({"lagThreshold": "10"});
    let (_, observer) = scene.app((12, 10), 78, 6, &metadata, &json!({})).await;
    scene.reaches(&observer, 8).await;
    scene.replicas_of_status("app", 8).await;
    let surge = json!({"spec": {
        "strategy": {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}},
        "template": {"metadata": {"annotations": {"revision": "2"}}},
    }});
    scene.patch::<Deployment>("app", &surge).await;
    wait::until("the update to be over", PATIENCE, async || {
        let app = scene.api::<Deployment>().get("app").await;
        let app = app.map_err(|e| e.to_string())?;
        let status = app.status.unwrap_or_default();
        let all = status.replicas.unwrap_or(0);
        let updated = status.updated_replicas.unwrap_or(0);
        let seen = status.observed_generation >= app.metadata.generation;
        if seen && (all, updated, status.ready_replicas) == (8, 8, Some(8)) {
            Ok(())
        } else {
            Err(format!("{all} replicas, {updated} updated"))
        }
    })
    .await;
    assert_eq!(observer.highest(), 8, "{:?}", observer.history());
}

/// R12, as documented: lagscale needs the right to read Rollouts.
async fn referred(world: &World) {
    let scene = Scene::new(&world.bed, "referred").await;
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "rollouts.argoproj.io"},
        "spec": {
            "group": "argoproj.io", "scope": "Namespaced",
            "names": {"kind": "Rollout", "plural": "rollouts"},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open}}},
                "subresources": {"status": {}, "scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                }},
            }],
        },
    });
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "lagscale-rollouts"},
        "rules": [{"apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": ["get"]}],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "lagscale-rollouts"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "lagscale-rollouts"},
        "subjects": [{"kind": "ServiceAccount", "name": "lagscale", "namespace": "lagscale"}],
    });
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "app", "namespace": scene.namespace},
        "spec": {"replicas": 1, "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "template"}},
    });
    scene.bed.apply(&[crd, role, binding, rollout]).await;
    let env = [
        ("KAFKA", scene.bed.kafka.bootstrap()),
        ("GROUP", "g".into()),
    ];
    let env = env.map(|(name, value): (&str, String)| json!({"name": name, "value": value}));
    let container = json!({"name": "main", "image": "idle", "env": env});
    scene.deployment("template", 0, &container).await;
    let topic = scene.filled_topic("t", 5, 10).await;
    scene.commit_lag("g", &topic, 5, 10, 12).await;
    let mut trigger = scene.trigger(
        &topic,
        "",
        &json!({"bootstrapServersFromEnv": "KAFKA", "consumerGroupFromEnv": "GROUP"}),
    );
    for key in ["bootstrapServers", "consumerGroup"] {
        trigger["metadata"]
            .as_object_mut()
            .and_then(|m| m.remove(key))
            .unwrap();
    }
    let spec = json!({"scaleTargetRef": {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "app"}});
    scene.scaled_object("app", &[trigger], &spec).await;
    scene
        .value_is("app", &format!("s0-kafka-{topic}"), "12")
        .await;
    wait::until("its HPA", PATIENCE, async || {
        let spec = scene.hpa("app").await.and_then(|hpa| hpa.spec);
        match spec.map(|s| s.scale_target_ref.kind) {
            Some(kind) if kind == "Rollout" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}
