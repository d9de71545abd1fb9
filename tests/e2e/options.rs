//! A control plane that is not the usual one: another tolerance, and an API server that drops an HPA's own; and a KEDA that
//! is still alive there.

use std::time::Duration;

use bed::{BedOptions, ControlPlaneOptions, wait};
use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime};
use kube::{Api, api::PostParams};
use lagscale::resources::ScaledObject;
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World, leads, says, ticks},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.alone(
        "a controller-manager tolerance of 0.25 holds nobody one short, also where HPAConfigurableTolerance is off; beside a KEDA that is alive nothing is written",
        options,
    )]
}

async fn options() {
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
    tolerance(&world).await;
    beside_keda(&world).await;
}

async fn tolerance(world: &World) {
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

/// KEDA's operator, as far as anybody sees it: a Lease that is renewed.
async fn renew(leases: Api<Lease>) {
    loop {
        let mut lease = leases.get("operator.keda.sh").await.unwrap();
        lease.spec.as_mut().unwrap().renew_time = Some(MicroTime(Timestamp::now()));
        let params = PostParams::default();
        leases
            .replace("operator.keda.sh", &params, &lease)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn beside_keda(world: &World) {
    let namespace = world.bed.namespace("keda").await;
    let leases: Api<Lease> = Api::namespaced(world.bed.client(), &namespace);
    let lease = json!({
        "metadata": {"name": "operator.keda.sh"},
        "spec": {"holderIdentity": "keda-operator-0_k", "leaseDurationSeconds": 15},
    });
    let lease = serde_json::from_value(lease).unwrap();
    leases.create(&PostParams::default(), &lease).await.unwrap();
    let renewing = tokio::spawn(renew(leases));
    says(&world.lagscale, "lagscale_keda_alive 1").await;
    leads(&world.lagscale).await;
    let scene = Scene::new(&world.bed, "beside").await;
    let (topic, _observer) = scene.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    scene
        .value_is("app", &format!("s0-kafka-{topic}"), "12")
        .await;
    ticks(&world.lagscale, 2).await;
    assert!(scene.hpa("app").await.is_none(), "beside a KEDA");
    let object = scene.api::<ScaledObject>().get("app").await.unwrap();
    assert_eq!(object.status.and_then(|s| s.hpa_name), None);
    renewing.abort();
    wait::until("the HPA once KEDA is gone", PATIENCE, async || {
        scene.hpa("app").await.ok_or("none")
    })
    .await;
    says(&world.lagscale, "lagscale_keda_alive 0").await;
}
