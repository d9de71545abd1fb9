//! Three brokers that die one at a time: a partition that nobody leads, and a log that an unclean election cut.

use bed::{Kafka, KafkaOptions, wait};
use futures::future::join_all;
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    Shared,
    lag::counts,
    scene::Scene,
    world::{PATIENCE, World, series},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.trial(
        "without its leader a partition keeps its last pair and holds scale-in, and a log cut by an unclean election is counted anew; conditions name both",
        elections,
    )]
}

async fn elections(world: &World) {
    let scene = Scene::new(&world.bed, "elections").await;
    let options = KafkaOptions {
        brokers: 3,
        ..KafkaOptions::default()
    };
    let dir = world.bed.dir().join(&scene.namespace);
    let mut kafka = Kafka::start(&dir, "three", &options).await;
    scene.credentials("three", &kafka, Kafka::PASSWORD).await;
    without_a_leader(world, &scene, &mut kafka).await;
    cut(&scene, &mut kafka).await;
}

/// A workload and an object of this name.
async fn object(scene: &Scene<'_>, name: &str, kafka: &Kafka, topic: &str, group: &str) {
    let policy = name.split('-').next();
    let metadata = json!({
        "bootstrapServers": kafka.bootstrap(), "lagThreshold": "1000", "offsetResetPolicy": policy,
    });
    let mut trigger = scene.trigger(topic, group, &metadata);
    trigger["authenticationRef"]["name"] = "three".into();
    scene.idle(name, 1).await;
    scene.scaled_object(name, &[trigger], &json!({})).await;
}

async fn without_a_leader(world: &World, scene: &Scene<'_>, kafka: &mut Kafka) {
    kafka.create_topic("t", 3).await;
    for partition in 0..3 {
        kafka.produce("t", partition, 10).await;
    }
    kafka.commit("g", "t", &[(0, 5), (1, 5), (2, 5)]).await;
    let (name, metric) = ("latest-led", "s0-kafka-t");
    object(scene, name, kafka, "t", "g").await;
    counts(scene, name, metric, 15).await;

    let leaders = join_all((0..3).map(|p| kafka.leader("t", p))).await;
    let leaders = (0..3).zip(leaders.into_iter().map(Result::unwrap));
    // The first broker is the one that we ask ourselves.
    let (lost, left): (Vec<_>, Vec<_>) = leaders.partition(|(_, leader)| *leader == 2);
    let [(lost, _)] = lost[..] else {
        panic!("each of three partitions is led by another broker");
    };
    kafka.kill(2);
    let said = format!("topic t partition {lost}: it has no leader at the moment");
    scene.condition(name, "Ready", "True", &said).await;
    let partial = series(&world.lagscale, "lagscale_partial").await;
    let own = format!("namespace=\"{}\"", scene.namespace);
    let partial = partial.iter().filter(|(labels, _)| labels.contains(&own));
    assert_eq!(partial.map(|(_, v)| *v).collect::<Vec<_>>(), [1.0]);
    kafka.produce("t", left[0].0, 20).await;
    counts(scene, name, metric, 35).await;
    let all_of = [(left[0].0, 30), (left[1].0, 10)];
    kafka.commit("g", "t", &all_of).await;
    // Less is known to be left, but not of all: the last complete sum stands.
    counts(scene, name, metric, 15).await;

    kafka.restart(2).await;
    counts(scene, name, metric, 5).await;
}

/// Broker 1 takes records that broker 2 has not, and dies; broker 2 comes back and leads.
async fn cut(scene: &Scene<'_>, kafka: &mut Kafka) {
    kafka.create_unclean_topic("u", [1, 2]).await;
    kafka.produce("u", 0, 100).await;
    // One that does not lose its coordinator, and with it the commit.
    let mut group = String::new();
    for number in 0.. {
        group = format!("u-{number}");
        let coordinator = async || kafka.coordinator(&group).await;
        if wait::until("a coordinator", PATIENCE, coordinator).await == 0 {
            break;
        }
    }
    kafka.kill(2);
    // Taken once broker 1 no longer waits for the other.
    kafka.produce("u", 0, 100).await;
    kafka.commit(&group, "u", &[(0, 190)]).await;
    let (names, metric) = (["earliest-cut", "latest-cut"], "s0-kafka-u");
    for name in names {
        object(scene, name, kafka, "u", &group).await;
        counts(scene, name, metric, 10).await;
    }
    kafka.kill(1);
    kafka.restart(2).await;
    let said = "its log was cut below the committed offset 190 and ends at 100, as after an unclean leader election";
    for (name, count) in names.into_iter().zip([100, 1]) {
        counts(scene, name, metric, count).await;
        scene.condition(name, "Ready", "True", said).await;
    }
    kafka.produce("u", 0, 7).await;
    for (name, count) in names.into_iter().zip([107, 7]) {
        counts(scene, name, metric, count).await;
    }
}
