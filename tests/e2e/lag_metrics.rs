//! LagMetrics: HPAs written by hand, from the lag of several topics.

use bed::wait;
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::api::{DeleteParams, PostParams};
use lagscale::resources::LagMetric;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("an HPA written by hand follows the lag of two topics of a LagMetric, or of one", followed),
        shared.trial("kubectl shows the lag of a LagMetric, by topic too", shown),
        shared.trial("an HPA holds while a topic of its LagMetric is not there, and is told when the LagMetric is gone", missed),
        shared.trial("a LagMetric can't have the name of a ScaledObject's metric, or a specification that could never work", refused),
    ]
}

fn lag_metric(scene: &Scene<'_>, name: &str, topics: &[&str]) -> Value {
    json!({
        "apiVersion": "lagscale.io/v1alpha1", "kind": "LagMetric",
        "metadata": {"name": name, "namespace": scene.namespace},
        "spec": {
            "bootstrapServers": scene.bed.kafka.bootstrap(), "consumerGroup": "g", "topics": topics,
            "authenticationRef": {"name": "kafka"},
        },
    })
}

/// For the Deployment of the same name.
fn hpa(scene: &Scene<'_>, name: &str, metric: &Value) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": scene.namespace},
        "spec": {
            "minReplicas": 1, "maxReplicas": 10,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "metrics": [{"type": "External", "external": {
                "metric": metric, "target": {"type": "AverageValue", "averageValue": "10"},
            }}],
        },
    })
}

async fn scaled_to(scene: &Scene<'_>, name: &str, replicas: i32) {
    let api = scene.api::<Deployment>();
    wait::until(
        &format!("{name} to have {replicas}"),
        PATIENCE,
        async || {
            let found = api.get(name).await.map_err(|e| e.to_string())?;
            let found = found.spec.and_then(|s| s.replicas);
            (found == Some(replicas))
                .then_some(())
                .ok_or_else(|| format!("{found:?}"))
        },
    )
    .await;
}

/// The HPA's condition ScalingActive: status and message.
async fn says(scene: &Scene<'_>, name: &str) -> (String, String) {
    let found = scene
        .api::<HorizontalPodAutoscaler>()
        .get(name)
        .await
        .unwrap();
    let status = serde_json::to_value(found.status).unwrap();
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let active = conditions.iter().find(|c| c["type"] == "ScalingActive");
    let text = |key: &str| {
        active
            .and_then(|c| c[key].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    (text("status"), text("message"))
}

/// Two topics with lags of 30 and 20, and a LagMetric over both.
async fn two_topics(scene: &Scene<'_>) -> [String; 2] {
    let one = scene.filled_topic("one", 3, 20).await;
    let other = scene.filled_topic("other", 2, 20).await;
    scene.commit_lag("g", &one, 3, 20, 30).await;
    scene.commit_lag("g", &other, 2, 20, 20).await;
    let metric = lag_metric(scene, "orders-lag", &[&one, &other]);
    scene.bed.apply(&[metric]).await;
    [one, other]
}

/// An HPA over both topics that has five replicas, and one over the second that has two.
async fn two_hpas(scene: &Scene<'_>, second: &str) {
    for name in ["both", "single"] {
        scene.idle(name, 1).await;
    }
    // An HPA's own spelling reaches the API in lower case.
    let both = json!({"name": "Orders-Lag"});
    let single = json!({"name": "orders-lag", "selector": {"matchLabels": {"topic": second}}});
    scene
        .bed
        .apply(&[hpa(scene, "both", &both), hpa(scene, "single", &single)])
        .await;
    tokio::join!(scaled_to(scene, "both", 5), scaled_to(scene, "single", 2));
}

async fn followed(world: &World) {
    let scene = Scene::new(&world.bed, "by-hand").await;
    let [one, other] = two_topics(&scene).await;
    two_hpas(&scene, &other).await;
    wait::until("the HPA to count ten for each", PATIENCE, async || {
        let api = scene.api::<HorizontalPodAutoscaler>();
        let found = api.get("both").await.map_err(|e| e.to_string())?;
        let status = serde_json::to_value(found.status).unwrap_or_default();
        let current = &status["currentMetrics"][0]["external"]["current"];
        if current["averageValue"] == "10" {
            Ok(())
        } else {
            Err(status.to_string())
        }
    })
    .await;
    let kafka = &scene.bed.kafka;
    kafka.commit("g", &one, &[(0, 20), (1, 20), (2, 20)]).await;
    kafka.commit("g", &other, &[(0, 20), (1, 20)]).await;
    tokio::join!(scaled_to(&scene, "both", 1), scaled_to(&scene, "single", 1));
}

async fn shown(world: &World) {
    let scene = Scene::new(&world.bed, "lag-shown").await;
    let [one, other] = two_topics(&scene).await;
    let kubectl = async |args: &[&str]| {
        let args = [args, &["-n", &scene.namespace]].concat();
        world.bed.control_plane.kubectl(&args).await.unwrap()
    };
    wait::until("the status to tell of it", PATIENCE, async || {
        let table = kubectl(&["get", "lagmetrics"]).await;
        let mut lines = table
            .lines()
            .map(|l| l.split_whitespace().collect::<Vec<_>>());
        let (head, row) = (
            lines.next().unwrap_or_default(),
            lines.next().unwrap_or_default(),
        );
        let columns = ["NAME", "GROUP", "LAG", "PARTITIONS", "READY", "READ", "AGE"];
        let told = head == columns && row.get(..5) == Some(&["orders-lag", "g", "50", "5", "True"]);
        if told { Ok(()) } else { Err(table.clone()) }
    })
    .await;
    let rows = kubectl(&["get", "externalmetrics"]).await;
    for (topic, lag) in [(&one, "30"), (&other, "20")] {
        let row = rows.lines().find(|l| l.contains(topic.as_str()));
        let row: Vec<&str> = row.unwrap_or(&rows).split_whitespace().collect();
        assert_eq!(
            row[..4],
            ["orders-lag", "LagMetric/orders-lag", topic, lag],
            "{rows}"
        );
    }
}

async fn missed(world: &World) {
    let scene = Scene::new(&world.bed, "lag-missed").await;
    let [one, other] = two_topics(&scene).await;
    two_hpas(&scene, &other).await;
    // A topic that is not there withholds the sum, not the part that somebody selects.
    let missing = json!({"spec": {"topics": [one, other, "not-there"]}});
    scene.patch::<LagMetric>("orders-lag", &missing).await;
    wait::until("the HPA to say what is missing", PATIENCE, async || {
        let (status, message) = says(&scene, "both").await;
        let told = status == "False" && message.contains("topic not-there: ");
        if told { Ok(()) } else { Err(message) }
    })
    .await;
    assert_eq!(says(&scene, "single").await.0, "True");
    scaled_to(&scene, "both", 5).await;

    let api = scene.api::<LagMetric>();
    api.delete("orders-lag", &DeleteParams::default())
        .await
        .unwrap();
    wait::until("the HPA to be told that it is gone", PATIENCE, async || {
        let (_, message) = says(&scene, "both").await;
        let gone = "no LagMetric in namespace";
        if message.contains(gone) {
            Ok(())
        } else {
            Err(message)
        }
    })
    .await;
}

async fn refused(world: &World) {
    let scene = Scene::new(&world.bed, "refused-lag").await;
    let api = scene.api::<LagMetric>();
    let create = async |object: Value| {
        let object: LagMetric = serde_json::from_value(object).unwrap();
        let made = api.create(&PostParams::default(), &object).await;
        made.map(drop).map_err(|e| e.to_string())
    };
    for name in [
        "s0-kafka-orders",
        "s12-x",
        "composite-metric",
        "externalmetrics",
    ] {
        let said = create(lag_metric(&scene, name, &["t"])).await.unwrap_err();
        assert!(
            said.contains("this name is kept for the metrics of ScaledObjects"),
            "{said}"
        );
    }
    for (field, value) in [
        ("topics", json!([])),
        ("topics", json!(["no topic"])),
        ("topics", json!(["t", "t"])),
        ("offsetResetPolicy", json!("never")),
        ("isolation", json!("serializable")),
        ("pollingInterval", json!(0)),
        ("sasl", json!("kerberos")),
    ] {
        let mut object = lag_metric(&scene, "lag", &["t"]);
        object["spec"][field] = value;
        let said = create(object).await.unwrap_err();
        assert!(said.contains(&format!("spec.{field}")), "{said}");
    }
    // A fault that only a parser can tell is a condition, and an error of the metric.
    let mut object = lag_metric(&scene, "lag", &["t"]);
    object["spec"]["partitionLimitation"] = "one".into();
    create(object).await.unwrap();
    wait::until("the condition to say it", PATIENCE, async || {
        let status = api.get("lag").await.map_err(|e| e.to_string())?.status;
        let conditions = status.unwrap_or_default().conditions;
        let told = conditions
            .iter()
            .any(|c| c.kind == "Ready" && c.reason == "Invalid");
        if told {
            Ok(())
        } else {
            Err(format!("{conditions:?}"))
        }
    })
    .await;
    let path = format!(
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/lag",
        scene.namespace
    );
    let kubectl = world
        .bed
        .control_plane
        .kubectl(&["get", "--raw", &path])
        .await;
    assert!(kubectl.is_err(), "{kubectl:?}");
}
