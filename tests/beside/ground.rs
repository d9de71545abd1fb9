//! The ground of every test here: a topic with a lag, a workload and its ScaledObject, our manifests, and what is asked through
//! kube-apiserver or of lagscale's commands.

use std::{path::Path, time::Duration};

use bed::{Bed, wait};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::Api;
use lagscale::server::OWN_API_SERVICE;
use serde_json::{Value, json};

pub const PATIENCE: Duration = Duration::from_secs(180);
/// The metric of a Kafka object.
pub const KAFKA: &str = "s0-kafka-orders";
pub const NAMESPACE: &str = "town";

/// Applies a file of the manifests; roles have its rights from now on.
pub async fn manifest(bed: &Bed, file: &str) {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let path = manifests.join(file).display().to_string();
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", &path];
    bed.control_plane.kubectl(&apply).await.unwrap();
}

/// Runs the uninstaller; returns what it says.
pub async fn uninstall(bed: &Bed) -> String {
    let plane = &bed.control_plane;
    let folder = plane.kubectl_path().parent().unwrap().display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done = tokio::process::Command::new("sh")
        .arg(root.join("manifests/uninstall.sh"))
        .env("PATH", path)
        .env("KUBECONFIG", plane.kubeconfig())
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, error) = (text(&done.stdout), text(&done.stderr));
    assert!(done.status.success(), "{said}{error}");
    said
}

/// The value of a metric, asked through kube-apiserver.
pub async fn value_of(bed: &Bed, path: &str) -> Result<String, String> {
    let said = bed.control_plane.kubectl(&["get", "--raw", path]).await?;
    let list: Value = serde_json::from_str(&said).map_err(|e| format!("{e}: {said}"))?;
    let value = list["items"][0]["value"].as_str();
    value.map(str::to_owned).ok_or(said)
}

/// The CRDs, the roles and the APIService of its own that every lagscale is installed with.
pub async fn rights(bed: &Bed) {
    for file in ["base/crds.yaml", "base/rbac.yaml"] {
        manifest(bed, file).await;
    }
    let port = bed.balancer.address().port();
    bed.register(OWN_API_SERVICE, ("lagscale", "lagscale"), port)
        .await;
}

/// Waits until the metric has this value.
pub async fn value_is(bed: &Bed, path: &str, wanted: &str) {
    wait::until(path, PATIENCE, async || match value_of(bed, path).await {
        Ok(value) if value == wanted => Ok(()),
        other => Err(other),
    })
    .await;
}

/// Waits until an HPA says that it has its metric.
pub async fn has_a_metric(bed: &Bed, namespace: &str, hpa: &str) {
    is_scaling_active(bed, namespace, hpa, "True").await;
}

/// Waits until the condition `ScalingActive` of an HPA is so.
pub async fn is_scaling_active(bed: &Bed, namespace: &str, hpa: &str, wanted: &str) {
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(bed.client(), namespace);
    let what = format!("ScalingActive of the HPA {hpa} to be {wanted}");
    wait::until(&what, PATIENCE, async || {
        let found = api.get(hpa).await.map_err(|e| e.to_string())?;
        let conditions = found.status.and_then(|s| s.conditions).unwrap_or_default();
        let active = conditions.into_iter().find(|c| c.type_ == "ScalingActive");
        let is = active.as_ref().is_some_and(|c| c.status == wanted);
        is.then_some(()).ok_or_else(|| format!("{active:?}"))
    })
    .await;
}

/// Runs a command of lagscale's; returns what it says.
pub async fn says(bed: &Bed, args: &[&str]) -> String {
    let done = tokio::process::Command::new(env!("CARGO_BIN_EXE_lagscale"))
        .args(args)
        .env("KUBECONFIG", bed.control_plane.kubeconfig())
        .output();
    let done = done.await.unwrap();
    String::from_utf8([done.stdout, done.stderr].concat()).unwrap()
}

/// The path of an object's metric, as its HPA asks for it.
pub fn metric(metric: &str, object: &str) -> String {
    metric_in(NAMESPACE, metric, object)
}

pub fn metric_in(namespace: &str, metric: &str, object: &str) -> String {
    format!(
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}?labelSelector=scaledobject.keda.sh%2Fname%3D{object}"
    )
}

/// Fills a topic that a group lags by 25 on; returns the trigger for it.
pub async fn orders(bed: &Bed) -> Value {
    bed.kafka.create_topic("orders", 5).await;
    for partition in 0..5 {
        bed.kafka.produce("orders", partition, 10).await;
    }
    let offsets: Vec<(i32, i64)> = (0..5).map(|p| (p, 5)).collect();
    bed.kafka.commit("g", "orders", &offsets).await;
    let bootstrap = bed.kafka.plaintext_bootstrap();
    json!({"type": "kafka", "metadata": {
        "bootstrapServers": bootstrap, "consumerGroup": "g", "topic": "orders", "lagThreshold": "5",
    }})
}

/// A Deployment of five pods that do nothing.
pub fn workload(name: &str) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": 5, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "idle"}]}},
        },
    })
}

pub fn scaled_object(name: &str, trigger: &Value) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"name": name}, "minReplicaCount": 1, "maxReplicaCount": 5,
            "pollingInterval": 2, "triggers": [trigger],
        },
    })
}
