//! Promise 2: never more consumers than can work, never one short. Lag stands still or moves as told, pods are idle.

use std::time::Duration;

use bed::{Observer, wait};
use futures::future::join_all;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::PostParams;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World},
};

/// Longer than the bed's stabilization window and several HPA periods.
const SETTLED: Duration = Duration::from_secs(15);

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("a standing lag of 26 to 30 on 5 partitions ends at 5 from 1, 2 and 5 replicas, and never shows 6", standing),
        shared.trial("12 and 64 partitions get 12 and 64 consumers while the lag climbs slowly, from 1, from one short and from the bound", climbing),
        shared.trial("a maxReplicaCount of 20 is reached from 19 at a lag that asks for exactly 20", exactly_max),
        shared.trial("a minReplicaCount of 8 over 5 partitions is kept and not exceeded", minimum_above),
        shared.trial("of two triggers each is cut at its own partitions", two_triggers),
        shared.trial("kafka never asks for more than its partitions while cpu beside it may", beside_cpu),
        shared.trial("an HPA that KEDA left with maxReplicas 100 is adopted without ever going above the partitions", adopted),
        shared.trial("partitions that are added while scaled out get their consumers", partitions_added),
        shared.trial("limitToPartitionsWithLag lowers what is asked for, never maxReplicas, while the HPA's window holds", moving_bound),
        shared.trial("an HPA whose own scale-up tolerance is 0.2 is not held one short", own_tolerance),
        shared.trial("a lag that is gone takes the replicas back to the minimum", back_to_min),
    ]
}

/// Ends at `bound` under an HPA with this maxReplicas, stays there, and never was above it.
async fn settles(scene: &Scene<'_>, observer: &Observer, bound: i32, max: i32) {
    // A workload that starts at its bound is there before its HPA is.
    max_is(observer, max).await;
    scene.reaches(observer, bound).await;
    scene.keeps(observer, bound, SETTLED).await;
    done(observer, bound);
}

/// Waits for this maxReplicas of the observed HPA.
pub async fn max_is(observer: &Observer, max: i32) {
    wait::until("maxReplicas", PATIENCE, async || match observer.max() {
        Some(found) if found == max => Ok(()),
        other => Err(other),
    })
    .await;
}

fn done(observer: &Observer, bound: i32) {
    assert!(
        observer.highest() <= bound,
        "more than {bound}: {:?}",
        observer.history()
    );
}

async fn standing(world: &World) {
    let scene = Scene::new(&world.bed, "standing").await;
    let topic = scene.filled_topic("t", 5, 10).await;
    let one = async |lag: i64, start: i32| {
        let name = format!("lag{lag}-from{start}");
        scene.commit_lag(&name, &topic, 5, 10, lag).await;
        scene.idle(&name, start).await;
        let observer = scene.observe(&name).await;
        scene
            .scaled_object(
                &name,
                &[scene.trigger(&topic, &name, &json!({}))],
                &json!({}),
            )
            .await;
        settles(&scene, &observer, 5, 5).await;
    };
    let all = (26..=30).flat_map(|lag| [1, 2, 5].map(|start| one(lag, start)));
    join_all(all).await;
}

async fn climbing(world: &World) {
    let scene = Scene::new(&world.bed, "climbing").await;
    let one = async |partitions: i32, start: i32| {
        let name = format!("p{partitions}-from{start}");
        let topic = scene.filled_topic(&name, partitions, 7).await;
        let full = i64::from(partitions) * 5;
        let (first, last) = (full - full / 10, full + full / 10);
        scene.commit_lag(&name, &topic, partitions, 7, first).await;
        scene.idle(&name, start).await;
        let observer = scene.observe(&name).await;
        scene
            .scaled_object(
                &name,
                &[scene.trigger(&topic, &name, &json!({}))],
                &json!({}),
            )
            .await;
        scene
            .value_is(&name, &format!("s0-kafka-{topic}"), &first.to_string())
            .await;
        for step in 0..=12 {
            let lag = first + (last - first) * step / 12;
            scene.commit_lag(&name, &topic, partitions, 7, lag).await;
            // Two HPA periods: it looks at every step.
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
        settles(&scene, &observer, partitions, partitions).await;
    };
    let starts = [(12, 1), (12, 11), (12, 12), (64, 1), (64, 63), (64, 64)];
    join_all(starts.map(|(partitions, start)| one(partitions, start))).await;
}

async fn exactly_max(world: &World) {
    let scene = Scene::new(&world.bed, "exactly").await;
    let spec = json!({"maxReplicaCount": 20});
    let (_, observer) = scene.app((64, 2), 100, 19, &json!({}), &spec).await;
    settles(&scene, &observer, 20, 20).await;
}

async fn minimum_above(world: &World) {
    let scene = Scene::new(&world.bed, "minimum").await;
    let spec = json!({"minReplicaCount": 8});
    let (_, observer) = scene.app((5, 100), 500, 1, &json!({}), &spec).await;
    settles(&scene, &observer, 8, 8).await;
}

async fn two_triggers(world: &World) {
    let scene = Scene::new(&world.bed, "two").await;
    let small = scene.filled_topic("small", 5, 2000).await;
    let large = scene.filled_topic("large", 64, 1).await;
    scene.commit_lag("g", &small, 5, 2000, 10_000).await;
    scene.commit_lag("g", &large, 64, 1, 3).await;
    scene.idle("app", 1).await;
    let observer = scene.observe("app").await;
    let triggers = [
        scene.trigger(&small, "g", &json!({})),
        scene.trigger(&large, "g", &json!({})),
    ];
    scene.scaled_object("app", &triggers, &json!({})).await;
    settles(&scene, &observer, 5, 64).await;
    scene
        .value_is("app", &format!("s0-kafka-{small}"), "25")
        .await;
    scene
        .value_is("app", &format!("s1-kafka-{large}"), "3")
        .await;
}

async fn beside_cpu(world: &World) {
    let scene = Scene::new(&world.bed, "cpu").await;
    let topic = scene.filled_topic("t", 5, 2000).await;
    scene.commit_lag("g", &topic, 5, 2000, 10_000).await;
    world.bed.pod_metrics.set_cpu(&scene.namespace, 10);
    let container =
        json!({"name": "main", "image": "idle", "resources": {"requests": {"cpu": "100m"}}});
    scene.deployment("app", 1, &container).await;
    let observer = scene.observe("app").await;
    let cpu = json!({"type": "cpu", "metricType": "Utilization", "metadata": {"value": "50"}});
    let triggers = [scene.trigger(&topic, "g", &json!({})), cpu];
    scene
        .scaled_object("app", &triggers, &json!({"maxReplicaCount": 8}))
        .await;
    settles(&scene, &observer, 5, 8).await;
    world.bed.pod_metrics.set_cpu(&scene.namespace, 100);
    scene.reaches(&observer, 8).await;
}

async fn adopted(world: &World) {
    let scene = Scene::new(&world.bed, "adopted").await;
    let topic = scene.filled_topic("t", 5, 2000).await;
    scene.commit_lag("g", &topic, 5, 2000, 10_000).await;
    scene.idle("app", 1).await;
    let metric = format!("s0-kafka-{topic}");
    let hpa: HorizontalPodAutoscaler = serde_json::from_value(json!({
        "metadata": {"name": "keda-hpa-app", "labels": {"app.kubernetes.io/managed-by": "keda-operator"}},
        "spec": {
            "minReplicas": 1, "maxReplicas": 100,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
            "metrics": [{"type": "External", "external": {
                "metric": {"name": metric, "selector": {"matchLabels": {"scaledobject.keda.sh/name": "app"}}},
                "target": {"type": "AverageValue", "averageValue": "5"},
            }}],
        },
    }))
    .unwrap();
    scene
        .api()
        .create(&PostParams::default(), &hpa)
        .await
        .unwrap();
    let observer = scene.observe("app").await;
    scene
        .scaled_object("app", &[scene.trigger(&topic, "g", &json!({}))], &json!({}))
        .await;
    settles(&scene, &observer, 5, 5).await;
    let adopted = scene.hpa("app").await.unwrap();
    let owners = adopted.metadata.owner_references.unwrap_or_default();
    assert_eq!(owners[0].kind, "ScaledObject");
}

async fn partitions_added(world: &World) {
    let scene = Scene::new(&world.bed, "added").await;
    let (topic, observer) = scene.app((5, 100), 500, 1, &json!({}), &json!({})).await;
    scene.reaches(&observer, 5).await;
    done(&observer, 5);
    world.bed.kafka.add_partitions(&topic, 8).await;
    settles(&scene, &observer, 8, 8).await;
}

async fn moving_bound(world: &World) {
    let scene = Scene::new(&world.bed, "moving").await;
    let limited = json!({"limitToPartitionsWithLag": "true"});
    let (topic, observer) = scene.app((5, 100), 500, 1, &limited, &window(300)).await;
    scene.reaches(&observer, 5).await;
    let offsets: Vec<(i32, i64)> = vec![(0, 100), (1, 100), (2, 100), (3, 0), (4, 0)];
    world.bed.kafka.commit("g", &topic, &offsets).await;
    scene
        .value_is("app", &format!("s0-kafka-{topic}"), "10")
        .await;
    scene.keeps(&observer, 5, SETTLED).await;
    done(&observer, 5);
    assert_eq!(observer.max(), Some(5));
}

fn window(seconds: i32) -> Value {
    json!({"advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": seconds}}}}})
}

async fn own_tolerance(world: &World) {
    let scene = Scene::new(&world.bed, "tolerance").await;
    let behavior = json!({"advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": {"tolerance": "0.2"}}}}});
    // Exactly what asks for twelve: eleven would be within the tolerance.
    let (_, observer) = scene.app((12, 100), 60, 11, &json!({}), &behavior).await;
    settles(&scene, &observer, 12, 12).await;
    let live = scene
        .hpa("app")
        .await
        .unwrap()
        .spec
        .unwrap()
        .behavior
        .unwrap();
    assert_eq!(live.scale_up.unwrap().tolerance.unwrap().0, "200m");
}

async fn back_to_min(world: &World) {
    let scene = Scene::new(&world.bed, "back").await;
    let spec = json!({"minReplicaCount": 2});
    let (topic, observer) = scene.app((5, 100), 500, 1, &json!({}), &spec).await;
    scene.reaches(&observer, 5).await;
    scene.commit_lag("g", &topic, 5, 100, 0).await;
    scene.reaches(&observer, 2).await;
    scene.keeps(&observer, 2, SETTLED).await;
    done(&observer, 5);
}
