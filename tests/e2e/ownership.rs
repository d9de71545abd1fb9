//! Whose what is: HPAs of others, metrics of others, the replicas somebody had before us, and who is told of it.

use bed::wait;
use k8s_openapi::api::{autoscaling::v2::HorizontalPodAutoscaler, events::v1::Event};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, PostParams, PropagationPolicy},
};
use lagscale::resources::ScaledObject;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("an HPA of somebody else is left alone until the object's annotation takes it over", foreign),
        shared.trial("beside a trigger of another type an HPA keeps what it has: kafka is served, the other answers why", other_type),
        shared.trial("anything with a scale subresource wakes and sleeps, also where its kind is installed later", anything),
        shared.trial("a deleted object gives back the replicas it found, and events tell what happened meanwhile", restored),
        shared.trial("an HPA that was orphaned is taken back by the object of its name, with a Helm release's labels too", orphaned),
    ]
}

async fn hpa(scene: &Scene<'_>, name: &str, metrics: &[Value]) {
    let hpa: HorizontalPodAutoscaler = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "minReplicas": 1, "maxReplicas": 9, "metrics": metrics,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
        },
    }))
    .unwrap();
    let api = scene.api::<HorizontalPodAutoscaler>();
    api.create(&PostParams::default(), &hpa).await.unwrap();
}

fn external(metric: &str) -> Value {
    json!({"type": "External", "external": {
        "metric": {"name": metric, "selector": {"matchLabels": {"scaledobject.keda.sh/name": "app"}}},
        "target": {"type": "AverageValue", "averageValue": "5"},
    }})
}

async fn foreign(world: &World) {
    // The webhook would not let it in.
    let scene = Scene::unchecked(&world.bed, "foreign").await;
    hpa(&scene, "mine", &[external("somebodys")]).await;
    let name = json!({"advanced": {"horizontalPodAutoscalerConfig": {"name": "mine"}}});
    scene.app((5, 10), 12, 1, &json!({}), &name).await;
    let said = "the HPA 'mine' exists and is not this ScaledObject's";
    scene.condition("app", "Ready", "False", said).await;
    let found = async || {
        scene
            .api::<HorizontalPodAutoscaler>()
            .get("mine")
            .await
            .unwrap()
    };
    let left = found().await;
    assert_eq!(left.spec.unwrap().max_replicas, 9);
    assert_eq!(left.metadata.owner_references, None);
    let take = json!({"metadata": {"annotations": {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}}});
    scene.patch::<ScaledObject>("app", &take).await;
    scene.condition("app", "Ready", "True", "").await;
    wait::until("the HPA to be taken over", PATIENCE, async || {
        let hpa = found().await;
        let owners = hpa.metadata.owner_references.unwrap_or_default();
        let max = hpa.spec.unwrap().max_replicas;
        if owners.iter().any(|o| o.name == "app") && max == 5 {
            Ok(())
        } else {
            Err(format!("{owners:?}, {max}"))
        }
    })
    .await;
}

async fn other_type(world: &World) {
    let scene = Scene::new(&world.bed, "other-type").await;
    let topic = scene.filled_topic("t", 5, 10).await;
    scene.commit_lag("g", &topic, 5, 10, 12).await;
    scene.idle("app", 1).await;
    let ours = format!("s0-kafka-{topic}");
    hpa(
        &scene,
        "keda-hpa-app",
        &[external(&ours), external("s1-prometheus")],
    )
    .await;
    let keda = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "keda-operator"}}});
    scene
        .patch::<HorizontalPodAutoscaler>("keda-hpa-app", &keda)
        .await;
    let triggers = [
        scene.trigger(&topic, "g", &json!({})),
        json!({"type": "prometheus", "metadata": {"query": "up"}}),
    ];
    scene.scaled_object("app", &triggers, &json!({})).await;
    let said = scene.condition("app", "Ready", "False", "prometheus").await;
    assert!(
        said.contains("no scaler found for type: prometheus"),
        "{said}"
    );
    scene.value_is("app", &ours, "12").await;
    let why = scene.value("app", "s1-prometheus").await.unwrap_err();
    assert!(
        why.contains("trigger 1 of type prometheus: no scaler found"),
        "{why}"
    );
    let spec = scene.hpa("app").await.unwrap().spec.unwrap();
    assert_eq!((spec.max_replicas, spec.metrics.unwrap().len()), (9, 2));
}

async fn anything(world: &World) {
    let scene = Scene::new(&world.bed, "anything").await;
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "machines.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Machine", "plural": "machines"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open}}},
                "subresources": {"status": {}, "scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                }},
            }],
        },
    });
    let machine = json!({
        "apiVersion": "example.com/v1", "kind": "Machine",
        "metadata": {"name": "app", "namespace": scene.namespace}, "spec": {"replicas": 3},
    });
    let topic = scene.filled_topic("t", 5, 10).await;
    scene.commit_lag("g", &topic, 5, 10, 0).await;
    let spec = json!({
        "scaleTargetRef": {"apiVersion": "example.com/v1", "kind": "Machine", "name": "app"},
        "minReplicaCount": 0, "cooldownPeriod": 0,
    });
    let trigger = scene.trigger(&topic, "g", &json!({}));
    scene.scaled_object("app", &[trigger], &spec).await;
    // Nobody has installed the kind yet, and it is found by itself once somebody does.
    let missing = "unknown kind Machine in example.com/v1: nothing on this cluster serves it: install the CRD or API server that brings machines.example.com";
    scene.condition("app", "Ready", "False", missing).await;
    scene.bed.apply(&[crd, machine]).await;
    scene.condition("app", "Ready", "True", "").await;
    for (lag, replicas) in [(0, 0), (7, 1), (0, 0)] {
        scene.commit_lag("g", &topic, 5, 10, lag).await;
        let kubectl = &scene.bed.control_plane;
        let namespace = format!("--namespace={}", scene.namespace);
        let ask = [
            "get",
            "machines.example.com",
            "app",
            &namespace,
            "--output=jsonpath={.spec.replicas}",
        ];
        wait::until(
            &format!("{replicas} replicas"),
            PATIENCE,
            async || match kubectl.kubectl(&ask).await {
                Ok(found) if found == replicas.to_string() => Ok(()),
                other => Err(other),
            },
        )
        .await;
    }
    let object = scene.api::<ScaledObject>().get("app").await.unwrap();
    let kind = object.status.and_then(|s| s.scale_target_kind);
    assert_eq!(kind.as_deref(), Some("example.com/v1.Machine"));
}

async fn restored(world: &World) {
    let scene = Scene::new(&world.bed, "restored").await;
    let spec = json!({
        "minReplicaCount": 0, "cooldownPeriod": 0,
        "advanced": {"restoreToOriginalReplicaCount": true},
    });
    let (topic, observer) = scene.app((5, 10), 0, 4, &json!({}), &spec).await;
    scene.reaches(&observer, 0).await;
    world.bed.kafka.produce(&topic, 3, 1).await;
    scene.reaches(&observer, 1).await;
    scene.bed.kafka.commit("g", &topic, &[(3, 11)]).await;
    scene.reaches(&observer, 0).await;
    scene.delete("app").await;
    scene.reaches(&observer, 4).await;
    gone(&scene).await;
    let target = format!("apps/v1.Deployment {}/app", scene.namespace);
    let woken = format!("Scaled {target} from 0 to 1, triggered by s0-kafka-{topic}");
    let slept = format!("Deactivated {target} from 4 to 0");
    for (reason, note) in [
        ("KEDAScalersStarted", "Scaler kafka is built"),
        ("KEDAScalersStarted", "Started scalers watch"),
        ("ScaledObjectReady", "ScaledObject is ready for scaling"),
        ("KEDAScaleTargetDeactivated", slept.as_str()),
        ("KEDAScaleTargetActivated", woken.as_str()),
        ("ScaledObjectDeleted", "ScaledObject was deleted"),
    ] {
        told(&scene, reason, note).await;
    }
}

/// R21: `app.kubernetes.io/managed-by` of the object stands in the HPA in place of KEDA's.
async fn orphaned(world: &World) {
    let scene = Scene::new(&world.bed, "orphaned").await;
    let topic = scene.filled_topic("t", 5, 10).await;
    scene.commit_lag("g", &topic, 5, 10, 12).await;
    scene.idle("app", 1).await;
    let object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {
            "name": "app", "namespace": scene.namespace,
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
        },
        "spec": {"scaleTargetRef": {"name": "app"}, "triggers": [scene.trigger(&topic, "g", &json!({}))]},
    });
    let owners = async || {
        let hpa = scene.hpa("app").await.ok_or("no HPA")?;
        let label = hpa.labels().get("app.kubernetes.io/managed-by").cloned();
        assert_eq!(label.as_deref(), Some("Helm"));
        let owners = hpa.metadata.owner_references.unwrap_or_default();
        Ok::<_, String>(owners.into_iter().map(|o| o.uid).collect::<Vec<_>>())
    };
    let owned_by = async |uid: Option<String>| {
        wait::until(
            &format!("the HPA's owner to be {uid:?}"),
            PATIENCE,
            async || {
                let found = owners().await?;
                if found.iter().eq(uid.iter()) {
                    Ok(())
                } else {
                    Err(format!("{found:?}"))
                }
            },
        )
        .await;
    };
    let apply = async || {
        scene.bed.apply(std::slice::from_ref(&object)).await;
        let made = scene.api::<ScaledObject>().get("app").await.unwrap();
        made.metadata.uid
    };
    let first = apply().await;
    owned_by(first.clone()).await;
    let orphan = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    scene
        .api::<ScaledObject>()
        .delete("app", &orphan)
        .await
        .unwrap();
    owned_by(None).await;
    gone(&scene).await;
    let second = apply().await;
    assert_ne!(first, second);
    owned_by(second).await;
}

async fn gone(scene: &Scene<'_>) {
    wait::until("no ScaledObject", PATIENCE, async || {
        match scene.api::<ScaledObject>().get_opt("app").await.unwrap() {
            None => Ok(()),
            Some(object) => Err(format!("{:?}", object.metadata.finalizers)),
        }
    })
    .await;
}

async fn told(scene: &Scene<'_>, reason: &str, note: &str) {
    let api = scene.api::<Event>();
    wait::until(&format!("event {reason}: {note}"), PATIENCE, async || {
        let all = api
            .list(&ListParams::default())
            .await
            .map_err(|e| e.to_string())?;
        let about = all.items.iter().filter(|e| {
            e.regarding.as_ref().and_then(|r| r.kind.as_deref()) == Some("ScaledObject")
        });
        let said: Vec<_> = about
            .map(|e| {
                (
                    e.reason.clone().unwrap_or_default(),
                    e.note.clone().unwrap_or_default(),
                )
            })
            .collect();
        if said.iter().any(|(r, n)| r == reason && n == note) {
            Ok(())
        } else {
            Err(format!("{said:?}"))
        }
    })
    .await;
}
