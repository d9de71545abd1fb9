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
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    Shared,
    ask::ask,
    scene::Scene,
    world::{PATIENCE, World, leads, says, ticks},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.alone(
        "a controller-manager tolerance of 0.25 holds nobody one short, also where HPAConfigurableTolerance is off; beside a KEDA that is alive nothing is written, and a tenant's Lease is none",
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
async fn renew(leases: Api<Lease>, name: &'static str) {
    loop {
        // On a busy machine a renewal may come too late, as KEDA's own may.
        if let Ok(mut lease) = leases.get(name).await {
            lease.spec.as_mut().unwrap().renew_time = Some(MicroTime(Timestamp::now()));
            let _ = leases.replace(name, &PostParams::default(), &lease).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn held(world: &World, namespace: &str, name: &'static str) -> JoinHandle<()> {
    let leases: Api<Lease> = Api::namespaced(world.bed.client(), namespace);
    let lease = json!({
        "metadata": {"name": name},
        "spec": {"holderIdentity": "keda-operator-0_k", "leaseDurationSeconds": 15},
    });
    let lease = serde_json::from_value(lease).unwrap();
    leases.create(&PostParams::default(), &lease).await.unwrap();
    tokio::spawn(renew(leases, name))
}

async fn says_in_log(world: &World, text: &str) {
    wait::until(text, PATIENCE, async || {
        let log = world.lagscale.child.output();
        log.contains(text).then_some(()).ok_or("nothing of it")
    })
    .await;
}

async fn hpa(scene: &Scene<'_>) {
    wait::until("the HPA", PATIENCE, async || {
        scene.hpa("app").await.ok_or("none")
    })
    .await;
}

/// A finding of the audit (4): anybody who may edit a namespace can make a Lease there.
async fn beside_keda(world: &World) {
    let tenant = world.bed.namespace("tenant").await;
    let stranger = held(world, &tenant, "operator.keda.sh").await;
    says_in_log(world, "is held where no KEDA is known to be").await;
    says(&world.lagscale, "lagscale_keda_alive 0").await;
    let scene = Scene::new(&world.bed, "stranger").await;
    let (_, _observer) = scene.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    hpa(&scene).await;
    stranger.abort();

    let namespace = world.bed.namespace("keda").await;
    let service = json!({"namespace": namespace, "name": "keda-admission-webhooks"});
    let webhook = json!({
        "name": "vscaledobject.kb.io", "clientConfig": {"service": service}, "rules": [],
        "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore",
    });
    world
        .bed
        .apply(&[
            operator(&namespace, 0, &["--leader-elect", "--leader-election-id=team.keda.sh"]),
            json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": "keda-admission"}, "webhooks": [webhook],
            }),
        ])
        .await;
    let renewing = held(world, &namespace, "team.keda.sh").await;
    says_in_log(world, "cannot see whether a KEDA operator is alive").await;
    let name = "lagscale-team-keda";
    world
        .bed
        .apply(&[
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": {"name": name, "namespace": namespace},
                "rules": [{
                    "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
                    "resourceNames": ["team.keda.sh"], "verbs": ["get"],
                }],
            }),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": name, "namespace": namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": "lagscale", "namespace": "lagscale"}],
            }),
        ])
        .await;
    says(&world.lagscale, "lagscale_keda_alive 1").await;
    leads(&world.lagscale).await;
    let scene = served_and_not_scaled(world, "beside").await;
    let object = scene.api::<ScaledObject>().get("app").await.unwrap();
    assert_eq!(object.status.and_then(|s| s.hpa_name), None);
    renewing.abort();
    hpa(&scene).await;
    says(&world.lagscale, "lagscale_keda_alive 0").await;
    beside_an_unelected_keda(world, &namespace).await;
}

/// A scene with an object whose value is served and that gets no HPA.
async fn served_and_not_scaled<'a>(world: &'a World, name: &str) -> Scene<'a> {
    let scene = Scene::new(&world.bed, name).await;
    let (topic, _observer) = scene.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    scene
        .value_is("app", &format!("s0-kafka-{topic}"), "12")
        .await;
    ticks(&world.lagscale, 2).await;
    assert!(scene.hpa("app").await.is_none(), "beside a KEDA");
    scene
}

/// A KEDA without `--leader-elect` holds no Lease: each of its pods may write.
async fn beside_an_unelected_keda(world: &World, namespace: &str) {
    let deploy = async |pods: u32| world.bed.apply(&[operator(namespace, pods, &[])]).await;
    deploy(1).await;
    says(&world.lagscale, "lagscale_keda_alive 1").await;
    let told =
        format!("running: the Deployment {namespace}/keda-operator is without --leader-elect");
    says_in_log(world, &told).await;
    let admin = world.bed.control_plane.kubeconfig();
    let (code, said, _) = ask(admin, &["check"]).await;
    let told = format!("FAIL  KEDA's operator: the Deployment {namespace}/keda-operator ");
    assert!(code == 1 && said.contains(&told), "{said}");
    let scene = served_and_not_scaled(world, "unelected").await;
    deploy(0).await;
    hpa(&scene).await;
    says(&world.lagscale, "lagscale_keda_alive 0").await;
}

/// The Deployment of KEDA's operator, whose pods run nothing.
fn operator(namespace: &str, pods: u32, args: &[&str]) -> Value {
    let labels = json!({"app": "keda-operator"});
    let container = json!({"name": "keda-operator", "image": "keda", "args": args});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "keda-operator", "namespace": namespace},
        "spec": {
            "replicas": pods, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    })
}
