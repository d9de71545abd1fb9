//! Transactions: what is not committed is no work yet.

use bed::Observer;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{Shared, scene::Scene, world::World};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("under isolation readCommitted an open transaction is no lag, and its records are once it is committed", open),
        shared.trial("a drained transactional topic lets its group sleep, and one unread record wakes it", drained),
    ]
}

/// A workload that may sleep, with a group that has committed `commit`.
async fn object(
    scene: &Scene<'_>,
    name: &str,
    topic: &str,
    commit: i64,
    metadata: &Value,
) -> Observer {
    scene.bed.kafka.commit(name, topic, &[(0, commit)]).await;
    scene.idle(name, 0).await;
    let observer = scene.observe(name).await;
    let mut metadata = metadata.clone();
    metadata["lagThreshold"] = "1000".into();
    let trigger = scene.trigger(topic, name, &metadata);
    let spec = json!({"minReplicaCount": 0, "maxReplicaCount": 1, "cooldownPeriod": 1});
    scene.scaled_object(name, &[trigger], &spec).await;
    observer
}

async fn drained(world: &World) {
    let scene = Scene::new(&world.bed, "drained").await;
    let kafka = &world.bed.kafka;
    let topic = scene.filled_topic("t", 1, 10).await;
    let metric = format!("s0-kafka-{topic}");
    kafka.open(&topic, 0, 5).await.commit().await;
    // Ten records, five in the transaction, and its marker: a consumer that commits what it had stands before the marker.
    let all = object(&scene, "all", &topic, 15, &json!({})).await;
    let isolation = json!({"isolation": "readCommitted"});
    let committed = object(&scene, "committed", &topic, 15, &isolation).await;
    scene.value_is("all", &metric, "0").await;
    scene.value_is("committed", &metric, "0").await;
    scene.reaches(&all, 0).await;
    scene.reaches(&committed, 0).await;
    // The rest of an aborted transaction is read by whoever reads everything.
    kafka.open(&topic, 0, 2).await.abort().await;
    scene.value_is("all", &metric, "4").await;
    scene.value_is("committed", &metric, "0").await;
    scene.reaches(&all, 1).await;
    kafka.produce(&topic, 0, 1).await;
    scene.value_is("committed", &metric, "5").await;
    scene.reaches(&committed, 1).await;
}

async fn open(world: &World) {
    let scene = Scene::new(&world.bed, "open").await;
    let kafka = &world.bed.kafka;
    let topic = scene.filled_topic("t", 1, 10).await;
    let metric = format!("s0-kafka-{topic}");
    let transaction = kafka.open(&topic, 0, 5).await;
    kafka.produce(&topic, 0, 2).await;
    let isolation = json!({"isolation": "readCommitted"});
    let committed = object(&scene, "committed", &topic, 10, &isolation).await;
    let all = object(&scene, "all", &topic, 10, &json!({})).await;
    // Plain records behind an open transaction can't be read either.
    scene.value_is("committed", &metric, "0").await;
    scene.value_is("all", &metric, "7").await;
    scene.reaches(&all, 1).await;
    assert_eq!(committed.highest(), 0, "{:?}", committed.history());
    transaction.commit().await;
    // With its marker.
    scene.value_is("committed", &metric, "8").await;
    scene.value_is("all", &metric, "8").await;
    scene.reaches(&committed, 1).await;

    let transaction = kafka.open(&topic, 0, 5).await;
    scene.value_is("all", &metric, "13").await;
    scene.value_is("committed", &metric, "8").await;
    transaction.abort().await;
    scene.value_is("committed", &metric, "14").await;
}
