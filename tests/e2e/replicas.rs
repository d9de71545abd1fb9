//! Two processes that read the same: whoever is asked says the same thing, within one sample.

use bed::{Lagscale, wait};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    access::{admin, direct},
    scene::Scene,
    world::{PATIENCE, Yard, run},
};

/// Between two readings.
const SAMPLE_SECONDS: i64 = 5;

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.counted(
        "a replica that is ready has every value, and two of them agree within one sample",
        agree,
    )]
}

/// The answer of one process for the metric itself, past kube-apiserver: value and time of the reading.
async fn said(yard: &Yard, lagscale: &Lagscale, path: &str) -> Result<(String, i64), String> {
    let client = direct(&yard.bed, lagscale, Some(&admin(&yard.bed)));
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    let list = client.request::<Value>(request).await;
    let item = list.map_err(|e| e.to_string())?["items"][0].clone();
    let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let read: jiff::Timestamp = text("timestamp").parse().map_err(|e| format!("{e}"))?;
    Ok((text("value"), read.as_second()))
}

async fn agree(yard: &Yard) {
    let scene = Scene::new(&yard.bed, "replicas").await;
    let topic = scene.filled_topic("t", 5, 10).await;
    scene.commit_lag("g", &topic, 5, 10, 12).await;
    let object = json!({
        "apiVersion": "lagscale.io/v1alpha1", "kind": "LagMetric",
        "metadata": {"name": "lag", "namespace": scene.namespace},
        "spec": {
            "bootstrapServers": scene.bed.kafka.bootstrap(), "consumerGroup": "g", "topics": [topic],
            "authenticationRef": {"name": "kafka"},
        },
    });
    scene.bed.apply(&[object]).await;
    let path = format!(
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/lag",
        scene.namespace
    );
    let namespace = format!("--namespace={}", scene.namespace);
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let mut lagscale = run(&yard.bed, &[&namespace]);
        // It sees one namespace, so it can't answer for the others.
        yard.bed.balancer.remove(lagscale.address);
        lagscale.ready().await;
        let (value, _) = said(yard, &lagscale, &path).await.unwrap();
        assert_eq!(value, "12", "ready without a value");
        replicas.push(lagscale);
    }
    for lag in ["15", "18", "21"] {
        scene.bed.kafka.produce(&topic, 0, 3).await;
        wait::until("both to agree", PATIENCE, async || {
            let one = said(yard, &replicas[0], &path).await?;
            let other = said(yard, &replicas[1], &path).await?;
            let near = (one.1 - other.1).abs() <= SAMPLE_SECONDS;
            if near && one.0 == lag && other.0 == lag {
                Ok(())
            } else {
                Err(format!("{one:?}, {other:?}"))
            }
        })
        .await;
    }
}
