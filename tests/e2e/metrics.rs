//! Series of an object in `/metrics`, under our names and under those that dashboards know, and that nothing is left of it when
//! it is gone.

use bed::wait;
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial(
            "metrics tell offsets, lag and signal by topic and partition, also as kafka_exporter and KEDA name them",
            metrics,
        ),
        shared.trial("the series of an object go with it", leave),
    ]
}

async fn text(world: &World) -> String {
    bed::get(&world.lagscale.plain.to_string(), "/metrics")
        .await
        .1
}

/// The value of the one series of this family that has all of these labels.
fn value(text: &str, family: &str, labels: &[(&str, &str)]) -> Result<f64, String> {
    let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
    let series = text.lines().filter(|l| {
        l.strip_prefix(family)
            .is_some_and(|r| r.starts_with(['{', ' ']))
    });
    let mut found = series.filter(|l| labels.iter().all(|label| l.contains(label)));
    let one = found
        .next()
        .ok_or_else(|| format!("no {family} with {labels:?}"))?;
    if let Some(another) = found.next() {
        return Err(format!("{one} and {another}"));
    }
    let number = one.rsplit(' ').next().unwrap();
    number.parse().map_err(|e| format!("{one}: {e}"))
}

async fn metrics(world: &World) {
    let scene = Scene::new(&world.bed, "metrics").await;
    let (topic, _observer) = scene.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    scene
        .value_is("app", &format!("s0-kafka-{topic}"), "12")
        .await;
    let object = [
        ("namespace", scene.namespace.as_str()),
        ("scaledObject", "app"),
    ];
    let (group, of_topic) = (("group", "g"), ("topic", topic.as_str()));
    let exporter = [("consumergroup", "g"), ("topic", topic.as_str())];
    let third = ("partition", "2");
    let scaler = [
        object[0],
        object[1],
        ("scaler", "kafkaScaler"),
        ("triggerIndex", "0"),
        ("type", "scaledobject"),
    ];
    for (family, labels, wanted) in [
        ("lagscale_lag_records", &object[..], 12.0),
        ("lagscale_signal_records", &object, 12.0),
        ("lagscale_withheld", &object, 0.0),
        ("lagscale_partial", &object, 0.0),
        ("lagscale_wanted_max_replicas", &object, 5.0),
        ("lagscale_topic_lag_records", &[group, of_topic], 12.0),
        (
            "lagscale_topic_committed_offset_sum",
            &[group, of_topic],
            38.0,
        ),
        (
            "lagscale_topic_log_end_offset_sum",
            &[group, of_topic],
            50.0,
        ),
        (
            "lagscale_partition_lag_records",
            &[group, of_topic, third],
            2.0,
        ),
        (
            "lagscale_partition_committed_offset",
            &[group, of_topic, third],
            8.0,
        ),
        (
            "lagscale_partition_log_end_offset",
            &[group, of_topic, third],
            10.0,
        ),
        (
            "kafka_consumergroup_lag",
            &[exporter[0], exporter[1], third],
            2.0,
        ),
        (
            "kafka_consumergroup_current_offset",
            &[exporter[0], exporter[1], third],
            8.0,
        ),
        ("kafka_consumergroup_lag_sum", &exporter, 12.0),
        ("kafka_consumergroup_current_offset_sum", &exporter, 38.0),
        (
            "kafka_topic_partition_current_offset",
            &[of_topic, third],
            10.0,
        ),
        (
            "kafka_topic_partition_oldest_offset",
            &[of_topic, third],
            0.0,
        ),
        ("keda_scaler_metrics_value", &scaler, 12.0),
        ("keda_scaler_active", &scaler, 1.0),
        ("keda_scaled_object_paused", &object, 0.0),
        (
            "keda_resource_registered_total",
            &[object[0], ("type", "scaled_object")],
            1.0,
        ),
        ("lagscale_leader", &[], 1.0),
        (
            "lagscale_build_info",
            &[("version", env!("CARGO_PKG_VERSION"))],
            1.0,
        ),
    ] {
        wait::until(family, PATIENCE, async || {
            match value(&text(world).await, family, labels) {
                Ok(found) if (found - wanted).abs() < 0.1 => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
    counters(world).await;
}

fn few_connections(world: &World) {
    // Every watch, read and write shares one; reviews have another.
    let port = world.bed.control_plane.port;
    let connections = bed::connections_to(world.lagscale.child.id(), port);
    assert!(
        (1..=8).contains(&connections),
        "{connections} to kube-apiserver"
    );
}

async fn leave(world: &World) {
    let scene = Scene::new(&world.bed, "metrics-gone").await;
    let (topic, _observer) = scene.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    let metric = format!("s0-kafka-{topic}");
    scene.value_is("app", &metric, "12").await;
    // A text is served for a second.
    wait::until("its series to come", PATIENCE, async || {
        let found = text(world).await.contains(&scene.namespace);
        found.then_some(()).ok_or("none")
    })
    .await;
    scene.delete("app").await;
    wait::until("its series to go", PATIENCE, async || {
        let said = text(world).await;
        let left: Vec<String> = said
            .lines()
            .filter(|l| l.contains(&scene.namespace))
            .map(str::to_owned)
            .collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

/// Counters, which only grow, are there.
async fn counters(world: &World) {
    for (family, labels) in [
        (
            "lagscale_kafka_requests_total",
            &[("api", "OffsetFetch"), ("outcome", "answered")][..],
        ),
        (
            "lagscale_kafka_requests_total",
            &[("api", "ListOffsets"), ("outcome", "answered")],
        ),
        ("lagscale_kafka_dials_total", &[("outcome", "answered")]),
        ("lagscale_kafka_connections", &[]),
        (
            "lagscale_writes_total",
            &[("resource", "horizontalpodautoscalers"), ("outcome", "ok")],
        ),
        ("lagscale_evaluations_total", &[("outcome", "served")]),
        (
            "lagscale_api_requests_total",
            &[("kind", "metric"), ("code", "200")],
        ),
        (
            "lagscale_api_request_duration_seconds_count",
            &[("kind", "metric")],
        ),
    ] {
        wait::until(family, PATIENCE, async || {
            match value(&text(world).await, family, labels) {
                Ok(found) if found >= 1.0 => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
    few_connections(world);
}
