//! A control plane that is not the usual one: another tolerance, and an API server that drops an HPA's own.

use std::time::Duration;

use bed::{BedOptions, ControlPlaneOptions};
use futures::future::join_all;
use libtest_mimic::Trial;
use serde_json::json;

use crate::{Shared, scene::Scene, world::World};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.alone(
        "a controller-manager tolerance of 0.25 holds nobody one short, also where HPAConfigurableTolerance is off",
        tolerance,
    )]
}

async fn tolerance() {
    let control_plane = ControlPlaneOptions {
        tolerance: Some(0.25),
        feature_gates: Some("HPAConfigurableTolerance=false".into()),
        ..ControlPlaneOptions::default()
    };
    let options = BedOptions {
        control_plane,
        ..BedOptions::default()
    };
    let world = World::start(options, &["--hpa-tolerance=0.25"]).await;
    let scene = Scene::new(&world.bed, "tolerance").await;
    let topic = scene.filled_topic("t", 12, 10).await;
    let one = async |name: &str, start: i32, behavior: serde_json::Value| {
        // Exactly what asks for twelve: eleven would be within the tolerance.
        scene.commit_lag(name, &topic, 12, 10, 60).await;
        scene.idle(name, start).await;
        let observer = scene.observe(name).await;
        let spec = json!({"advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}}});
        scene
            .scaled_object(name, &[scene.trigger(&topic, name, &json!({}))], &spec)
            .await;
        scene.reaches(&observer, 12).await;
        scene.keeps(&observer, 12, Duration::from_secs(10)).await;
        assert_eq!(observer.highest(), 12, "{:?}", observer.history());
    };
    let own = || json!({"scaleUp": {"tolerance": "0.2"}});
    join_all(vec![
        one("plain-from-11", 11, json!({})),
        one("plain-from-1", 1, json!({})),
        one("own-from-11", 11, own()),
        one("own-from-1", 1, own()),
    ])
    .await;
    let live = scene
        .hpa("own-from-11")
        .await
        .unwrap()
        .spec
        .unwrap()
        .behavior;
    let live = live.and_then(|b| b.scale_up).and_then(|r| r.tolerance);
    assert_eq!(live, None, "with the gate off the API server drops it");
}
