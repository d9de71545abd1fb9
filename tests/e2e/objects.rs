//! The life of a ScaledObject: its HPA, zero and back, conditions that tell a person what to do, and nobody else harmed.

use std::time::Duration;

use bed::{Kafka, Seen, wait};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt;
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
        shared.trial("an HPA edited by hand is put back", edited),
        shared.trial("a paused object has no HPA, keeps its replicas or those it is paused at, and goes on afterwards", paused),
        shared.trial("an idleReplicaCount of 0 sleeps below the minimum and wakes to it, also where activation is forced", idle),
        shared.trial("another name for the HPA leaves one HPA", renamed),
        shared.trial("the HPA of a ScaledObject is the one KEDA makes, and kubectl get --raw answers its selector", raw),
        shared.trial("a ScaledObject that is deleted leaves no HPA", deleted),
        shared.trial("a minReplicaCount of 0 goes to 0 and wakes on the first record", zero),
        shared.trial("nothing is put to sleep beside a lag that came after the last poll, though the next is ten minutes away", between_polls),
        shared.trial("a wrong password says the broker's reason and keeps the replicas, and a corrected Secret recovers by itself", password),
    ]
}

async fn raw(world: &World) {
    let scene = Scene::new(&world.bed, "raw").await;
    let topic = scene.filled_topic("Orders", 5, 10).await;
    scene.commit_lag("g", &topic, 5, 10, 12).await;
    scene.idle("app", 1).await;
    scene
        .scaled_object("app", &[scene.trigger(&topic, "g", &json!({}))], &json!({}))
        .await;
    let metric = format!("s0-kafka-{topic}");
    scene.value_is("app", &metric, "12").await;
    let found = async || scene.hpa("app").await.ok_or("none yet");
    let hpa = wait::until("the HPA", PATIENCE, found).await;
    let owner = &hpa.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!(
        (owner.kind.as_str(), owner.name.as_str()),
        ("ScaledObject", "app")
    );
    assert_eq!(owner.controller, Some(true));
    let labels = hpa.metadata.labels.as_ref().unwrap();
    assert_eq!(labels["app.kubernetes.io/managed-by"], "keda-operator");
    assert_eq!(labels["app.kubernetes.io/part-of"], "app");
    let spec = serde_json::to_value(hpa.spec.unwrap()).unwrap();
    assert_eq!(spec["maxReplicas"], 5);
    let external = &spec["metrics"][0]["external"];
    assert_eq!(
        *external,
        json!({
            "metric": {"name": metric, "selector": {"matchLabels": {"scaledobject.keda.sh/name": "app"}}},
            "target": {"type": "AverageValue", "averageValue": "5"},
        })
    );
    let base = format!(
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}",
        scene.namespace
    );
    let get = async |path: String| {
        world
            .bed
            .control_plane
            .kubectl(&["get", "--raw", &path])
            .await
    };
    // The HPA controller asks for the name in lower case; people do not.
    for name in [metric.clone(), metric.to_lowercase()] {
        let said = get(format!(
            "{base}/{name}?labelSelector=scaledobject.keda.sh%2Fname%3Dapp"
        ))
        .await
        .unwrap();
        let list: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(list["kind"], "ExternalMetricValueList");
        assert_eq!(list["items"][0]["metricName"], *metric);
        assert_eq!(list["items"][0]["metricLabels"], json!({}));
        assert_eq!(list["items"][0]["value"], "12");
    }
    let without = get(format!("{base}/{metric}")).await.unwrap_err();
    assert!(
        without.contains("scaledObject name is not specified"),
        "{without}"
    );
    let other = get(format!(
        "{base}/{metric}?labelSelector=scaledobject.keda.sh%2Fname%3Dnobody"
    ))
    .await
    .unwrap_err();
    assert!(
        other.contains("NotFound") && other.contains("no matching metrics found for"),
        "{other}"
    );
    let object = scene.api::<ScaledObject>().get("app").await.unwrap();
    let status = object.status.unwrap();
    assert_eq!(status.external_metric_names, [metric]);
    assert_eq!(status.hpa_name.as_deref(), Some("keda-hpa-app"));
    assert_eq!(
        status.scale_target_kind.as_deref(),
        Some("apps/v1.Deployment")
    );
    scene.condition("app", "Ready", "True", "").await;
    scene.condition("app", "Active", "True", "").await;
    told(world, &scene, &topic).await;
    let said = world
        .bed
        .control_plane
        .kubectl(&["api-resources", "--api-group=external.metrics.k8s.io"])
        .await
        .unwrap();
    assert!(
        said.contains("externalmetrics") && said.contains("ExternalMetricValueList"),
        "{said}"
    );
}

/// One number stands at `/metrics` and in the API's answer.
async fn told(world: &World, scene: &Scene<'_>, topic: &str) {
    let (_, metrics) = bed::get(&world.lagscale.plain.to_string(), "/metrics").await;
    let labels = format!(
        "{{namespace=\"{}\",scaledObject=\"app\",metric=\"s0-kafka-{topic}\",group=\"g\",topic=\"{topic}\"}}",
        scene.namespace
    );
    for line in [
        format!("lagscale_lag_records{labels} 12"),
        format!("lagscale_signal_records{labels} 12"),
        format!("lagscale_sample_age_seconds{labels} "),
        "lagscale_api_requests_total{code=\"200\",kind=\"metric\"} ".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
}

async fn deleted(world: &World) {
    let scene = Scene::new(&world.bed, "deleted").await;
    let (topic, _observer) = scene.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    scene
        .value_is("app", &format!("s0-kafka-{topic}"), "12")
        .await;
    wait::until("the HPA", PATIENCE, async || {
        scene.hpa("app").await.map(drop).ok_or("none")
    })
    .await;
    // As KEDA left it: nobody else would take it off.
    let held = json!({"metadata": {"finalizers": ["finalizer.keda.sh"]}});
    scene.patch::<ScaledObject>("app", &held).await;
    scene.delete("app").await;
    wait::until("no ScaledObject", PATIENCE, async || {
        let object = scene.api::<ScaledObject>().get_opt("app").await;
        match object.map_err(|e| e.to_string())? {
            None => Ok(()),
            Some(object) => Err(format!("{:?}", object.metadata.finalizers)),
        }
    })
    .await;
    wait::until("no HPA", PATIENCE, async || match scene.hpa("app").await {
        None => Ok(()),
        Some(hpa) => Err(hpa.metadata.deletion_timestamp.is_some()),
    })
    .await;
    wait::until("no metric", PATIENCE, async || {
        match scene.value("app", &format!("s0-kafka-{topic}")).await {
            Err(error) if error.contains("NotFound") => Ok(()),
            other => Err(other),
        }
    })
    .await;
}

async fn zero(world: &World) {
    let scene = Scene::new(&world.bed, "zero").await;
    let spec = json!({"minReplicaCount": 0, "cooldownPeriod": 3});
    let (topic, observer) = scene.app((5, 10), 0, 1, &json!({}), &spec).await;
    scene.reaches(&observer, 0).await;
    scene.condition("app", "Active", "False", "").await;
    world.bed.kafka.produce(&topic, 3, 1).await;
    scene.reaches(&observer, 1).await;
    scene.condition("app", "Active", "True", "").await;
    scene.keeps(&observer, 1, Duration::from_secs(10)).await;
    assert_eq!(observer.highest(), 1, "{:?}", observer.history());
    scene.bed.kafka.commit("g", &topic, &[(3, 11)]).await;
    scene.reaches(&observer, 0).await;
}

/// Both cool-downs end long after the only poll, which saw no lag. One object has lag by then, the other shows that
/// cool-downs do end between polls.
async fn between_polls(world: &World) {
    let scene = Scene::new(&world.bed, "between").await;
    let spec = json!({"minReplicaCount": 0, "pollingInterval": 600, "initialCooldownPeriod": 25});
    let set = async |name: &str| {
        let topic = scene.filled_topic(name, 1, 10).await;
        scene.commit_lag(name, &topic, 1, 10, 0).await;
        scene.idle(name, 1).await;
        let observer = scene.observe(name).await;
        let trigger = scene.trigger(&topic, name, &json!({}));
        scene.scaled_object(name, &[trigger], &spec).await;
        scene.condition(name, "Active", "False", "").await;
        (topic, observer)
    };
    let (topic, busy) = set("busy").await;
    world.bed.kafka.produce(&topic, 0, 50).await;
    let (_, calm) = set("calm").await;
    scene.reaches(&calm, 0).await;
    scene.keeps(&busy, 1, Duration::from_secs(5)).await;
    assert!(
        !busy.history().contains(&Seen::Replicas(0)),
        "{:?}",
        busy.history()
    );
}

async fn idle(world: &World) {
    let scene = Scene::new(&world.bed, "idle").await;
    let spec = json!({"minReplicaCount": 2, "idleReplicaCount": 0, "cooldownPeriod": 3});
    let (topic, observer) = scene.app((5, 10), 0, 2, &json!({}), &spec).await;
    scene.reaches(&observer, 0).await;
    world.bed.kafka.produce(&topic, 3, 1).await;
    scene.reaches(&observer, 2).await;
    assert_eq!(observer.highest(), 2, "{:?}", observer.history());
    world.bed.kafka.commit("g", &topic, &[(3, 11)]).await;
    scene.reaches(&observer, 0).await;
    let forced =
        json!({"metadata": {"annotations": {"autoscaling.keda.sh/force-activation": "true"}}});
    scene.patch::<ScaledObject>("app", &forced).await;
    scene.reaches(&observer, 2).await;
    let said = "Scaling is performed because activation is being forced by annotation";
    scene.condition("app", "Active", "True", said).await;
}

async fn password(world: &World) {
    let scene = Scene::new(&world.bed, "password").await;
    let kafka = &world.bed.kafka;
    let topic = scene.filled_topic("t", 5, 10).await;
    scene.commit_lag("g", &topic, 5, 10, 50).await;
    scene.secret("kafka", &kafka.ca.pem, "wrong").await;
    scene.idle("app", 3).await;
    let observer = scene.observe("app").await;
    scene
        .scaled_object("app", &[scene.trigger(&topic, "g", &json!({}))], &json!({}))
        .await;
    let said = scene
        .condition("app", "Ready", "False", "uthentication")
        .await;
    assert!(
        said.contains("localhost:"),
        "host and port are named: {said}"
    );
    assert!(!said.contains("wrong"), "no secret is told: {said}");
    scene.keeps(&observer, 3, Duration::from_secs(15)).await;
    let refused = scene
        .value("app", &format!("s0-kafka-{topic}"))
        .await
        .unwrap_err();
    assert!(refused.contains("uthentication"), "{refused}");
    scene.secret("kafka", &kafka.ca.pem, Kafka::PASSWORD).await;
    scene.condition("app", "Ready", "True", "").await;
    scene.reaches(&observer, 5).await;
    // Wrong again while scaled out: it is told beside what the old connections read, and the consumers stay.
    scene.secret("kafka", &kafka.ca.pem, "wrong").await;
    scene
        .condition("app", "Ready", "Unknown", "uthentication")
        .await;
    scene.keeps(&observer, 5, Duration::from_secs(15)).await;
    scene.secret("kafka", &kafka.ca.pem, Kafka::PASSWORD).await;
    scene.condition("app", "Ready", "True", "").await;
    assert_eq!(observer.highest(), 5, "{:?}", observer.history());
}

/// On a busy machine the HPA controller scales by an HPA that is gone, until its watch has come that far: to one made later.
async fn hpa_controller_is_up_to_date(scene: &Scene<'_>) {
    let marker = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "marker", "namespace": scene.namespace},
        "spec": {
            "maxReplicas": 1, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nothing"},
        },
    });
    scene.bed.apply(&[marker]).await;
    wait::until(
        "the HPA controller to see a later HPA",
        PATIENCE,
        async || {
            let api = scene.api::<HorizontalPodAutoscaler>();
            let found = api.get("marker").await.map_err(|e| e.to_string())?;
            let seen = found.status.and_then(|s| s.conditions);
            if seen.is_some_and(|c| !c.is_empty()) {
                Ok(())
            } else {
                Err("no condition".to_owned())
            }
        },
    )
    .await;
}

async fn paused(world: &World) {
    let scene = Scene::new(&world.bed, "paused").await;
    let (topic, observer) = scene.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    scene.reaches(&observer, 3).await;
    let annotate = async |name: &str, value: Value| {
        let name = format!("autoscaling.keda.sh/{name}");
        let patch = json!({"metadata": {"annotations": {name: value}}});
        scene.patch::<ScaledObject>("app", &patch).await;
    };
    let no_hpa = async || match scene.hpa("app").await {
        None => Ok(()),
        Some(hpa) => Err(hpa.name_any()),
    };

    annotate("paused", "true".into()).await;
    scene
        .condition("app", "Paused", "True", "ScaledObject is paused")
        .await;
    wait::until("no HPA while it is paused", PATIENCE, no_hpa).await;
    hpa_controller_is_up_to_date(&scene).await;
    scene.commit_lag("g", &topic, 5, 10, 50).await;
    scene.keeps(&observer, 3, Duration::from_secs(10)).await;
    annotate("paused-replicas", "7".into()).await;
    scene.reaches(&observer, 7).await;
    annotate("paused-replicas", "0".into()).await;
    scene.reaches(&observer, 0).await;
    annotate("paused-replicas", Value::Null).await;
    annotate("paused", Value::Null).await;
    scene
        .condition("app", "Paused", "False", "pause annotation removed")
        .await;
    scene.reaches(&observer, 5).await;

    annotate("paused-scale-in", "true".into()).await;
    scene.condition("app", "Paused", "True", "").await;
    scene.commit_lag("g", &topic, 5, 10, 0).await;
    let metric = format!("s0-kafka-{topic}");
    scene.value_is("app", &metric, "0").await;
    scene.keeps(&observer, 5, Duration::from_secs(20)).await;
    annotate("paused-scale-in", Value::Null).await;
    scene.reaches(&observer, 1).await;
}

async fn renamed(world: &World) {
    let scene = Scene::new(&world.bed, "renamed").await;
    let (topic, observer) = scene.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    scene.reaches(&observer, 3).await;
    let trigger = scene.trigger(&topic, "g", &json!({}));
    let name = json!({"advanced": {"horizontalPodAutoscalerConfig": {"name": "mine"}}});
    scene.scaled_object("app", &[trigger], &name).await;
    let hpas = scene.api::<HorizontalPodAutoscaler>();
    wait::until("one HPA of the new name", PATIENCE, async || {
        let all = hpas.list(&kube::api::ListParams::default()).await;
        let all = all.map_err(|e| e.to_string())?;
        let names: Vec<String> = all.items.iter().map(ResourceExt::name_any).collect();
        if names == ["mine"] {
            Ok(())
        } else {
            Err(names.join(" "))
        }
    })
    .await;
    scene.keeps(&observer, 3, Duration::from_secs(10)).await;
}

async fn edited(world: &World) {
    let scene = Scene::new(&world.bed, "edited").await;
    scene.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    let max = async |wanted: i32| {
        wait::until("maxReplicas", PATIENCE, async || {
            let spec = scene.hpa("app").await.and_then(|h| h.spec);
            match spec.map(|s| s.max_replicas) {
                Some(max) if max == wanted => Ok(()),
                other => Err(other),
            }
        })
        .await;
    };
    max(5).await;
    let edit = json!({"spec": {"maxReplicas": 77}});
    scene
        .patch::<HorizontalPodAutoscaler>("keda-hpa-app", &edit)
        .await;
    max(5).await;
}
