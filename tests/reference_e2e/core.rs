//! Rows in prose about objects in general, each with the numbers of its row.

use std::time::Duration;

use bed::{Observer, wait};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{ResourceExt, api::ListParams};
use lagscale::resources::ScaledObject;
use serde_json::{Value, json};

use crate::{
    Code, fallback,
    scene::Scene,
    world::{PATIENCE, World},
};

/// The divisor of the times of a polling row.
pub const FASTER: u64 = 5;
/// More than any row has replicas: the bound by partitions is no subject here.
pub const PARTITIONS: i32 = 10;
const HOLD: Duration = Duration::from_secs(10);

pub fn code(id: &str) -> Vec<(&'static str, Code)> {
    match id {
        "c-idle" => vec![("", |w, r| Box::pin(idle(w, r)))],
        "c-polling" => vec![("", |w, _| Box::pin(polling(w)))],
        "c-value-type" => vec![
            ("AverageValue", |w, r| {
                Box::pin(value_type(w, r, "AverageValue", 4))
            }),
            ("Value", |w, r| Box::pin(value_type(w, r, "Value", 10))),
        ],
        "c-cached" => vec![("", |w, r| Box::pin(cached(w, r)))],
        "c-hpa-name" => vec![("", |w, _| Box::pin(hpa_name(w)))],
        "c-force" => vec![("", |w, r| Box::pin(force(w, r)))],
        "c-pause" => vec![("", |w, r| Box::pin(pause(w, r)))],
        id if id.starts_with("c-fallback-") => fallback::code(id),
        _ => Vec::new(),
    }
}

/// A workload whose metric is set.
struct App<'a> {
    scene: Scene<'a>,
    topic: String,
    observer: Observer,
}

impl<'a> App<'a> {
    async fn new(world: &'a World, replicas: i32, metric: i64) -> Self {
        let scene = Scene::new(&world.bed, "core").await;
        let topic = scene.filled_topic("t", PARTITIONS, 10).await;
        scene.commit_lag("g", &topic, PARTITIONS, 10, metric).await;
        scene.idle("app", replicas).await;
        let observer = scene.observe("app").await;
        Self {
            scene,
            topic,
            observer,
        }
    }

    async fn apply(&self, target: &Value, trigger: &Value, spec: &Value) {
        let threshold = json!({"lagThreshold": target.as_i64().unwrap_or(1).to_string()});
        let mut whole = self.scene.trigger(&self.topic, "g", &threshold);
        for (key, value) in trigger.as_object().into_iter().flatten() {
            whole[key] = value.clone();
        }
        self.scene.scaled_object("app", &[whole], spec).await;
    }

    async fn metric(&self, value: i64) {
        let scene = &self.scene;
        scene
            .commit_lag("g", &self.topic, PARTITIONS, 10, value)
            .await;
    }

    async fn reaches(&self, replicas: i32) {
        self.scene.reaches(&self.observer, replicas).await;
    }

    async fn holds(&self, replicas: i32, span: Duration) {
        self.scene.keeps(&self.observer, replicas, span).await;
    }

    async fn annotate(&self, name: &str, value: Value) {
        let annotation = json!({format!("autoscaling.keda.sh/{name}"): value});
        let patch = json!({"metadata": {"annotations": annotation}});
        self.scene.patch::<ScaledObject>("app", &patch).await;
    }
}

fn bounds(row: &Value) -> Value {
    json!({
        "idleReplicaCount": row["idle"], "minReplicaCount": row["min"], "maxReplicaCount": row["max"],
        "cooldownPeriod": row["cooldownPeriod"].as_i64().unwrap_or(0), "pollingInterval": 2,
    })
}

async fn idle(world: &World, row: &Value) {
    let app = App::new(world, 2, 0).await;
    app.apply(&row["target"], &json!({}), &bounds(row)).await;
    app.reaches(0).await;
    for metric in [2, 4] {
        app.metric(metric).await;
        app.reaches(i32::try_from(metric).unwrap()).await;
    }
    app.metric(0).await;
    app.reaches(0).await;
}

async fn polling(world: &World) {
    let slow = i32::try_from(75 / FASTER).unwrap();
    let hold = Duration::from_secs(60 / FASTER - 4);
    let spec = |polling: i32, cooldown: i32| {
        json!({
            "minReplicaCount": 0, "maxReplicaCount": 1, "pollingInterval": polling, "cooldownPeriod": cooldown,
        })
    };
    let app = App::new(world, 0, 0).await;
    let target = json!(1);
    app.apply(&target, &json!({}), &spec(slow, 0)).await;
    app.scene.condition("app", "Active", "False", "").await;
    app.metric(1).await;
    app.holds(0, hold).await;
    app.reaches(1).await;
    app.metric(0).await;
    app.holds(1, hold).await;
    app.reaches(0).await;
    app.apply(&target, &json!({}), &spec(1, slow)).await;
    app.metric(1).await;
    app.reaches(1).await;
    app.metric(0).await;
    app.holds(1, hold).await;
    app.reaches(0).await;
}

async fn value_type(world: &World, row: &Value, metric_type: &str, replicas: i32) {
    let start = i32::try_from(row["initialReplicas"].as_i64().unwrap()).unwrap();
    let app = App::new(world, start, 8).await;
    let trigger = json!({"metricType": metric_type});
    app.apply(&row["target"], &trigger, &bounds(row)).await;
    app.reaches(replicas).await;
}

async fn cached(world: &World, row: &Value) {
    let app = App::new(world, 1, 8).await;
    let mut spec = bounds(row);
    spec["minReplicaCount"] = 1.into();
    spec["pollingInterval"] = row["pollingInterval"].clone();
    app.apply(&row["target"], &json!({"useCachedMetrics": true}), &spec)
        .await;
    app.reaches(4).await;
    app.metric(4).await;
    app.holds(4, Duration::from_secs(20)).await;
    app.apply(&row["target"], &json!({"useCachedMetrics": false}), &spec)
        .await;
    app.reaches(2).await;
}

async fn hpa_name(world: &World) {
    let app = App::new(world, 1, 1).await;
    let named = json!({"advanced": {"horizontalPodAutoscalerConfig": {"name": "mine"}}});
    for (spec, name) in [
        (json!({}), "keda-hpa-app"),
        (named, "mine"),
        (json!({}), "keda-hpa-app"),
    ] {
        app.apply(&json!(1), &json!({}), &spec).await;
        let hpas = app.scene.api::<HorizontalPodAutoscaler>();
        wait::until(&format!("one HPA {name}"), PATIENCE, async || {
            let all = hpas.list(&ListParams::default()).await;
            let all = all.map_err(|e| e.to_string())?.items;
            let found: Vec<String> = all.iter().map(ResourceExt::name_any).collect();
            if found == [name] {
                Ok(())
            } else {
                Err(found.join(" "))
            }
        })
        .await;
    }
}

async fn force(world: &World, row: &Value) {
    let app = App::new(world, 2, 0).await;
    app.apply(&row["target"], &json!({}), &bounds(row)).await;
    app.reaches(0).await;
    app.annotate("force-activation", "true".into()).await;
    app.reaches(2).await;
    app.annotate("force-activation", Value::Null).await;
    app.reaches(0).await;
}

async fn pause(world: &World, row: &Value) {
    let app = App::new(world, 0, 2).await;
    app.apply(&json!(1), &json!({}), &bounds(row)).await;
    app.annotate("paused-replicas", "0".into()).await;
    app.reaches(0).await;
    app.holds(0, HOLD).await;
    app.annotate("paused-replicas", Value::Null).await;
    app.reaches(1).await;
    app.metric(0).await;
    app.annotate("paused-replicas", "5".into()).await;
    app.reaches(5).await;
    app.annotate("paused-replicas", Value::Null).await;
    app.reaches(0).await;
}
