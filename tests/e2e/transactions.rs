//! Transactions: what is not committed is no work yet, and markers at the end of a drained topic are none at all.

use bed::Observer;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{Shared, scene::Scene, world::World};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("under isolation readCommitted an open transaction is no lag, and its records are once it is committed", open),
        shared.trial("markers behind the last record let the workload sleep, and a single record wakes it", trailing_marker),
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

async fn trailing_marker(world: &World) {
    let scene = Scene::new(&world.bed, "marker").await;
    let kafka = &world.bed.kafka;
    let topic = scene.topic("t", 1).await;
    let metric = format!("s0-kafka-{topic}");
    kafka.open(&topic, 0, 10).await.commit().await;
    kafka.open(&topic, 0, 3).await.abort().await;
    // Consumers that commit behind each record. One is given nothing of what was aborted, so two markers and three records
    // lie behind its commit; one is given that too, and a marker is left.
    let isolation = json!({"isolation": "readCommitted"});
    let committed = object(&scene, "committed", &topic, 10, &isolation).await;
    let all = object(&scene, "all", &topic, 14, &json!({})).await;
    let each = [("committed", &committed), ("all", &all)];
    let drained = async || {
        for (name, observer) in each {
            scene.value_is(name, &metric, "0").await;
            scene.condition(name, "Active", "False", "").await;
            scene.reaches(observer, 0).await;
        }
    };
    drained().await;
    kafka.produce(&topic, 0, 1).await;
    for ((name, observer), lag) in each.into_iter().zip(["6", "2"]) {
        scene.value_is(name, &metric, lag).await;
        scene.reaches(observer, 1).await;
        kafka.commit(name, &topic, &[(0, 16)]).await;
    }
    drained().await;
    kafka.open(&topic, 0, 1).await.commit().await;
    for (name, observer) in each {
        scene.reaches(observer, 1).await;
        kafka.commit(name, &topic, &[(0, 17)]).await;
    }
    drained().await;
}
