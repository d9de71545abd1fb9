//! One lag from every kind of cluster that is still around: three brokers, and the last of two older lines.

use bed::{Kafka, KafkaOptions, parts};
use futures::future::join_all;
use libtest_mimic::Trial;
use serde_json::json;

use crate::{Shared, scene::Scene, world::World};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.trial(
        "three brokers, Kafka 3.9 and Kafka 2.8 tell the same lag as one broker of today",
        brokers,
    )]
}

async fn brokers(world: &World) {
    let scene = Scene::new(&world.bed, "brokers").await;
    let one = async |name: &str, version: &str, brokers: usize, sasl: &str, tls: &str| {
        let options = KafkaOptions {
            brokers,
            version: version.into(),
            ..KafkaOptions::default()
        };
        let dir = world.bed.dir().join(&scene.namespace);
        let kafka = Kafka::start(&dir, name, &options).await;
        kafka.create_topic("t", 5).await;
        for partition in 0..5 {
            kafka.produce("t", partition, 10).await;
        }
        // Two partitions without a commit: under earliest all of their ten records are lag.
        kafka.commit("g", "t", &[(0, 10), (1, 9), (2, 8)]).await;
        scene.credentials(name, &kafka, Kafka::PASSWORD).await;
        let mechanism = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": scene.namespace}, "stringData": {"sasl": sasl, "tls": tls},
        });
        scene.bed.apply(&[mechanism]).await;
        let own = json!({"bootstrapServers": kafka.bootstrap(), "offsetResetPolicy": "earliest"});
        let mut trigger = scene.trigger("t", "g", &own);
        trigger["authenticationRef"]["name"] = name.into();
        scene.idle(name, 1).await;
        scene.scaled_object(name, &[trigger], &json!({})).await;
        scene.value_is(name, "s0-kafka-t", "23").await;
        scene.condition(name, "Ready", "True", "").await;
    };
    join_all(vec![
        one("three", parts::KAFKA, 3, "scram_sha512", "enable"),
        one("k39", parts::KAFKA_3, 1, "scram_sha256", "enable"),
        // KRaft of 2.8 keeps no SCRAM users.
        one("k28", parts::KAFKA_2, 1, "plaintext", "disable"),
    ])
    .await;
}
