//! No secret is told: not in logs at their most talkative, not in metrics, statuses, events, errors or explanations.

use bed::Kafka;
use k8s_openapi::api::{autoscaling::v2::HorizontalPodAutoscaler, events::v1::Event};
use kube::api::ListParams;
use lagscale::resources::{ScaledObject, TriggerAuthentication};
use libtest_mimic::Trial;
use serde_json::json;

use crate::{Shared, ask::ask, scene::Scene, world::World};

const CANARIES: [&str; 4] = [
    "canary-password-5f1c",
    "canary-client-secret-77ab",
    "canary-key-password-0d3e",
    "Y2FuYXJ5LWtleS05OTEy",
];

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.trial(
        "no secret is in logs, metrics, statuses, events, errors or explanations",
        secrets,
    )]
}

async fn secrets(world: &World) {
    let scene = Scene::new(&world.bed, "canary").await;
    let topic = scene.filled_topic("t", 2, 5).await;
    let [password, client_secret, key_password, key] = CANARIES;
    let key = format!(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{key}\n-----END ENCRYPTED PRIVATE KEY-----\n"
    );
    let ca = scene.bed.kafka.ca.pem.as_str();
    let given = [
        (
            "login",
            vec![
                ("sasl", "scram_sha512"),
                ("tls", "enable"),
                ("ca", ca),
                ("username", Kafka::USER),
                ("password", password),
            ],
        ),
        (
            "token",
            vec![
                ("sasl", "oauthbearer"),
                ("tls", "enable"),
                ("ca", ca),
                ("username", "client"),
                ("password", client_secret),
                ("oauthTokenEndpointUri", "http://localhost:1/token"),
            ],
        ),
        (
            "key",
            vec![
                ("tls", "enable"),
                ("ca", ca),
                ("cert", ca),
                ("key", &key),
                ("keyPassword", key_password),
            ],
        ),
    ];
    for (name, parameters) in &given {
        let data: serde_json::Map<String, serde_json::Value> = parameters
            .iter()
            .map(|(k, v)| ((*k).to_owned(), json!(v)))
            .collect();
        scene.bed.apply(&[json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": scene.namespace},
            "stringData": data,
        })]).await;
        let targets = parameters
            .iter()
            .map(|(k, _)| json!({"parameter": k, "name": name, "key": k}));
        scene
            .authentication(name, &targets.collect::<Vec<_>>())
            .await;
        scene.idle(name, 1).await;
        let mut trigger = scene.trigger(&topic, "g", &json!({}));
        trigger["authenticationRef"]["name"] = (*name).into();
        scene.scaled_object(name, &[trigger], &json!({})).await;
    }
    let names = given.each_ref().map(|(name, _)| *name);
    let said = told(world, &scene, &topic, &names).await;
    for canary in CANARIES.into_iter().chain([Kafka::PASSWORD]) {
        for text in &said {
            let at = text.find(canary);
            assert!(
                at.is_none(),
                "{canary} in {}",
                &text[at.unwrap_or(0).saturating_sub(200)..][..400]
            );
        }
    }
}

/// Everything that is said of these objects anywhere.
async fn told(world: &World, scene: &Scene<'_>, topic: &str, names: &[&str]) -> Vec<String> {
    let mut said = Vec::new();
    for name in names {
        said.push(scene.condition(name, "Ready", "False", "").await);
        let error = scene
            .metric(name, &format!("s0-kafka-{topic}"))
            .await
            .unwrap_err();
        said.push(error);
        let admin = world.bed.control_plane.kubeconfig();
        let told = ask(admin, &["explain", "-n", &scene.namespace, name]).await;
        said.push(format!("{told:?}"));
    }
    let all = ListParams::default();
    said.push(json!(scene.api::<ScaledObject>().list(&all).await.unwrap().items).to_string());
    said.push(
        json!(
            scene
                .api::<TriggerAuthentication>()
                .list(&all)
                .await
                .unwrap()
                .items
        )
        .to_string(),
    );
    said.push(
        json!(
            scene
                .api::<HorizontalPodAutoscaler>()
                .list(&all)
                .await
                .unwrap()
                .items
        )
        .to_string(),
    );
    said.push(json!(scene.api::<Event>().list(&all).await.unwrap().items).to_string());
    said.push(
        bed::get(&world.lagscale.plain.to_string(), "/metrics")
            .await
            .1,
    );
    // Every other scenario's word is in there too.
    said.push(world.lagscale.child.output());
    said
}
