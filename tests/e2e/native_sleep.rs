//! A plain HPA that scales to zero by itself (KEP-2021, on by default in Kubernetes 1.37) on the lag of a LagMetric.

use bed::wait;
use k8s_openapi::api::apps::v1::Deployment;
use lagscale::resources::LagMetric;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World, run},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.trial(
        "a plain HPA of minReplicas 0 puts a workload to sleep by a LagMetric, whose commits are remembered over a restart, and wakes it by the first record",
        slept,
    )]
}

async fn slept(world: &World) {
    let scene = Scene::new(&world.bed, "native-sleep").await;
    let kafka = &scene.bed.kafka;
    let topic = scene.filled_topic("t", 1, 10).await;
    kafka.commit("native", &topic, &[(0, 10)]).await;
    scene.idle("worker", 1).await;
    scene.bed.apply(&objects(&scene, &topic)).await;
    has(&scene, 0).await;
    wait::until("the group's place in the status", PATIENCE, async || {
        let found = scene.api::<LagMetric>().get("native-lag").await;
        let status = found.map_err(|e| e.to_string())?.status;
        let remembered = status.map(|s| s.remembered).unwrap_or_default();
        let text = format!("{remembered:?}");
        let stands = remembered.values().any(|r| r.consumer_group == "native");
        stands.then_some(()).ok_or(text)
    })
    .await;

    // Without its commit the group would have all ten records to do.
    kafka.delete_group("native").await;
    let namespace = format!("--namespace={}", scene.namespace);
    let mut another = run(scene.bed, &[&namespace]);
    scene.bed.balancer.remove(another.address);
    another.ready().await;
    let client = scene.bed.control_plane.client_of(another.address).await;
    let path = format!(
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/native-lag",
        scene.namespace
    );
    let says = async |value: &str| {
        wait::until(
            "the value of a lagscale that has begun since",
            PATIENCE,
            async || {
                let request = http::Request::get(&path).body(Vec::new()).unwrap();
                let list: Value = client.request(request).await.map_err(|e| e.to_string())?;
                let found = &list["items"][0]["value"];
                (found == value)
                    .then_some(())
                    .ok_or_else(|| list.to_string())
            },
        )
        .await;
    };
    says("0").await;
    has(&scene, 0).await;

    kafka.produce(&topic, 0, 1).await;
    has(&scene, 1).await;
    says("1").await;
    kafka.commit("native", &topic, &[(0, 11)]).await;
    has(&scene, 0).await;
}

fn objects(scene: &Scene<'_>, topic: &str) -> [Value; 2] {
    let metadata = |name: &str| json!({"name": name, "namespace": scene.namespace});
    let metric = json!({
        "apiVersion": "lagscale.io/v1alpha1", "kind": "LagMetric", "metadata": metadata("native-lag"),
        "spec": {
            "bootstrapServers": scene.bed.kafka.bootstrap(), "consumerGroup": "native", "topics": [topic],
            "offsetResetPolicy": "earliest", "authenticationRef": {"name": "kafka"},
        },
    });
    let target = json!({"type": "AverageValue", "averageValue": "10"});
    let hpa = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata("worker"),
        "spec": {
            "minReplicas": 0, "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "worker"},
            "metrics": [{"type": "External", "external": {"metric": {"name": "native-lag"}, "target": target}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        },
    });
    [metric, hpa]
}

async fn has(scene: &Scene<'_>, replicas: i32) {
    let api = scene.api::<Deployment>();
    wait::until(&format!("{replicas} replicas"), PATIENCE, async || {
        let found = api.get("worker").await.map_err(|e| e.to_string())?;
        let found = found.spec.and_then(|s| s.replicas);
        let reached = found == Some(replicas);
        reached.then_some(()).ok_or_else(|| format!("{found:?}"))
    })
    .await;
}
