//! Rows whose source dies: a Kafka of their own, whose broker is killed and comes back.

use std::time::Duration;

use bed::{Kafka, KafkaOptions, Observer, wait};
use kube::{
    Api,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use lagscale::resources::ScaledObject;
use serde_json::{Value, json};

use crate::{
    Code,
    core::PARTITIONS,
    scene::Scene,
    world::{PATIENCE, World},
};

const HOLD: Duration = Duration::from_secs(10);

pub fn code(id: &str) -> Vec<(&'static str, Code)> {
    match id {
        "c-fallback-static" => vec![
            ("AverageValue", |w, r| {
                Box::pin(comes_back(w, r, "AverageValue"))
            }),
            ("Value", |w, r| Box::pin(comes_back(w, r, "Value"))),
            ("Argo Rollout", |w, r| Box::pin(rollout(w, r))),
        ],
        // From 4 replicas.
        "c-fallback-ifhigher" => vec![
            ("metricType set", |w, r| {
                Box::pin(falls_to(w, r, Some("AverageValue"), 4))
            }),
            ("metricType absent", |w, r| {
                Box::pin(falls_to(w, r, None, 4))
            }),
        ],
        "c-fallback-iflower" | "c-fallback-plain" => {
            vec![("", |w, r| Box::pin(falls_to(w, r, None, 3)))]
        }
        "c-fallback-current" => vec![("", |w, r| Box::pin(falls_to(w, r, None, 4)))],
        _ => Vec::new(),
    }
}

struct Mortal<'a> {
    scene: Scene<'a>,
    observer: Observer,
    kafka: Kafka,
}

impl<'a> Mortal<'a> {
    async fn new(world: &'a World, row: &Value, metric: i64, metric_type: Option<&str>) -> Self {
        let scene = Scene::new(&world.bed, "mortal").await;
        let kafka = Kafka::start(world.bed.dir(), &scene.namespace, &KafkaOptions::default()).await;
        scene.credentials("mortal", &kafka, Kafka::PASSWORD).await;
        kafka.create_topic("t", PARTITIONS).await;
        for partition in 0..PARTITIONS {
            kafka.produce("t", partition, 10).await;
        }
        let each = metric / i64::from(PARTITIONS);
        let offsets: Vec<(i32, i64)> = (0..PARTITIONS).map(|p| (p, 10 - each)).collect();
        kafka.commit("g", "t", &offsets).await;
        scene.idle("app", 1).await;
        let observer = scene.observe("app").await;
        let metadata = json!({
            "bootstrapServers": kafka.bootstrap(), "lagThreshold": row["target"].to_string(),
        });
        let mut trigger = scene.trigger("t", "g", &metadata);
        trigger["authenticationRef"]["name"] = "mortal".into();
        if let Some(metric_type) = metric_type {
            trigger["metricType"] = metric_type.into();
        }
        let mut fallback = row["fallback"].clone();
        if fallback["behavior"] == "absent" {
            fallback.as_object_mut().unwrap().remove("behavior");
        }
        let spec = json!({
            "minReplicaCount": row["min"].as_i64().unwrap_or(0),
            "maxReplicaCount": row["max"].as_i64().unwrap_or(10),
            "pollingInterval": 2, "fallback": fallback,
        });
        scene.scaled_object("app", &[trigger], &spec).await;
        Self {
            scene,
            observer,
            kafka,
        }
    }

    async fn reaches(&self, replicas: i32) {
        self.scene.reaches(&self.observer, replicas).await;
    }

    async fn holds(&self, replicas: i32) {
        self.scene.keeps(&self.observer, replicas, HOLD).await;
    }
}

async fn comes_back(world: &World, row: &Value, metric_type: &str) {
    let mut app = Mortal::new(world, row, 50, Some(metric_type)).await;
    app.reaches(5).await;
    app.kafka.kill(0);
    app.reaches(3).await;
    app.holds(3).await;
    app.kafka.restart(0).await;
    app.reaches(5).await;
}

/// A custom resource, whose controller is the test: it has at once what it is to have.
async fn rollout(world: &World, row: &Value) {
    world.bed.apply(&[crd()]).await;
    let mut app = Mortal::new(world, row, 50, None).await;
    // Made for the Deployment; from here on it is the Rollout's.
    let namespace = app.scene.namespace.clone();
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Rollout"));
    let rollouts: Api<DynamicObject> = Api::namespaced_with(world.bed.client(), &namespace, &kind);
    let made = json!({
        "apiVersion": "example.com/v1", "kind": "Rollout",
        "metadata": {"name": "app", "namespace": namespace}, "spec": {"replicas": 1},
    });
    world.bed.apply(&[made]).await;
    let target = json!({"apiVersion": "example.com/v1", "kind": "Rollout", "name": "app"});
    let patch = json!({"spec": {"scaleTargetRef": target}});
    app.scene.patch::<ScaledObject>("app", &patch).await;
    for (replicas, dies) in [(5, true), (3, false), (5, true)] {
        wait::until(&format!("a Rollout of {replicas}"), PATIENCE, async || {
            let found = rollouts.get("app").await.map_err(|e| e.to_string())?;
            let wanted = found.data["spec"]["replicas"].clone();
            let status = json!({"status": {"replicas": wanted, "selector": "app=app"}});
            let params = PatchParams::default();
            let told = rollouts
                .patch_status("app", &params, &Patch::Merge(status))
                .await;
            told.map_err(|e| e.to_string())?;
            if wanted == replicas {
                Ok(())
            } else {
                Err(wanted.to_string())
            }
        })
        .await;
        if dies {
            app.kafka.kill(0);
        } else {
            app.kafka.restart(0).await;
        }
    }
}

fn crd() -> Value {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let properties = json!({"spec": open, "status": open});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "rollouts.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Rollout", "plural": "rollouts"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
                "subresources": {"status": {}, "scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                    "labelSelectorPath": ".status.selector",
                }},
            }],
        },
    })
}

async fn falls_to(world: &World, row: &Value, metric_type: Option<&str>, replicas: i32) {
    let mut app = Mortal::new(world, row, 20, metric_type).await;
    app.reaches(4).await;
    app.kafka.kill(0);
    app.scene.condition("app", "Fallback", "True", "").await;
    app.reaches(replicas).await;
    app.holds(replicas).await;
}
