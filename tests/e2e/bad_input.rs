//! Bad input: each kind gives a condition that names what to change, and no other object notices.

use bed::{Ca, Kafka};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{Shared, scene::Scene, world::World};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.trial(
        "bad input gives a condition a person can act on and harms no other object",
        bad_input,
    )]
}

/// An object's name, its trigger, and what its condition has to say.
type Case = (&'static str, Value, Vec<String>);

async fn bad_input(world: &World) {
    // An object that is refused at apply today may have been stored before.
    let scene = Scene::unchecked(&world.bed, "bad").await;
    let topic = scene.filled_topic("t", 5, 10).await;
    scene.commit_lag("g", &topic, 5, 10, 12).await;
    scene.idle("good", 1).await;
    let trigger = scene.trigger(&topic, "g", &json!({}));
    scene.scaled_object("good", &[trigger], &json!({})).await;
    let metric = format!("s0-kafka-{topic}");
    scene.value_is("good", &metric, "12").await;

    authentications(&scene).await;
    let mut cases = fields(&scene, &topic);
    cases.extend(connections(&scene, &topic));
    for (name, trigger, _) in &cases {
        if *name != "no-target" {
            scene.idle(name, 2).await;
        }
        let triggers = std::slice::from_ref(trigger);
        scene.scaled_object(name, triggers, &json!({})).await;
    }
    for (name, _, texts) in &cases {
        let said = scene.condition(name, "Ready", "False", &texts[0]).await;
        for text in texts {
            assert!(said.contains(text), "{name}: {text:?} is not in {said:?}");
        }
        if *name != "no-target" {
            scene.replicas_of_status(name, 2).await;
        }
    }
    // An object that does not parse gets no HPA, as KEDA's users know it.
    for name in ["no-group", "unknown-type", "no-target"] {
        assert!(scene.hpa(name).await.is_none(), "{name}");
    }
    scene.value_is("good", &metric, "12").await;
    scene.condition("good", "Ready", "True", "").await;
}

/// One that names a Secret that does not exist, one with a CA that signed nothing, one without TLS.
async fn authentications(scene: &Scene<'_>) {
    let keys = ["sasl", "tls", "ca", "username", "password"];
    let from = |secret: &str, keys: &[&str]| -> Vec<Value> {
        let target = |k: &&str| json!({"parameter": k, "name": secret, "key": k});
        keys.iter().map(target).collect()
    };
    scene
        .authentication("missing", &from("nowhere", &keys))
        .await;
    let ca = Ca::new("stranger").pem;
    scene.secret("stranger", &ca, Kafka::PASSWORD).await;
    scene
        .authentication("stranger", &from("stranger", &keys))
        .await;
    let no_tls = ["sasl", "username", "password"];
    scene
        .authentication("no-tls", &from("kafka", &no_tls))
        .await;
}

fn with(scene: &Scene<'_>, topic: &str, authentication: &str, more: &Value) -> Value {
    let mut trigger = scene.trigger(topic, "g", more);
    trigger["authenticationRef"]["name"] = authentication.into();
    trigger
}

fn said(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|t| (*t).to_owned()).collect()
}

/// Faults of the object itself.
fn fields(scene: &Scene<'_>, topic: &str) -> Vec<Case> {
    let with = |more: &Value| with(scene, topic, "kafka", more);
    vec![
        (
            "no-group",
            with(&json!({"consumerGroup": ""})),
            said(&["consumerGroup"]),
        ),
        (
            "threshold",
            with(&json!({"lagThreshold": "-3"})),
            said(&["lagThreshold", "-3"]),
        ),
        (
            "no-port",
            with(&json!({"bootstrapServers": "localhost"})),
            said(&["bootstrapServers", "localhost", "port"]),
        ),
        (
            "unknown-type",
            json!({"type": "kafkaa", "metadata": {}}),
            said(&["no scaler found for type: kafkaa"]),
        ),
        ("no-target", with(&json!({})), said(&["no-target"])),
    ]
}

/// Faults between the object and its broker.
fn connections(scene: &Scene<'_>, topic: &str) -> Vec<Case> {
    let with = |authentication: &str, more: &Value| with(scene, topic, authentication, more);
    let (tls, plain) = (
        scene.bed.kafka.bootstrap(),
        scene.bed.kafka.plaintext_bootstrap(),
    );
    vec![
        (
            "no-secret",
            with("missing", &json!({})),
            said(&["Secret", "nowhere", "does not exist"]),
        ),
        (
            "no-authentication",
            with("nobody", &json!({})),
            said(&["TriggerAuthentication", "nobody", "does not exist"]),
        ),
        (
            "no-host",
            with("kafka", &json!({"bootstrapServers": "kafka.invalid:9093"})),
            said(&["kafka.invalid:9093", "resolve"]),
        ),
        (
            "wrong-ca",
            with("stranger", &json!({})),
            said(&[&tls, "certificate"]),
        ),
        (
            "plain-to-tls",
            with("no-tls", &json!({})),
            said(&[&tls, "TLS"]),
        ),
        (
            "tls-to-plain",
            with("kafka", &json!({"bootstrapServers": plain})),
            said(&[&plain, "TLS"]),
        ),
        (
            "no-topic",
            with("kafka", &json!({"topic": "there-is-none"})),
            said(&["there-is-none"]),
        ),
    ]
}
