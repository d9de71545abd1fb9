//! Every kind of group, with a member that lives: its lag is the same number, since it lies in the commits.

use bed::{GroupState, Kafka, Member, wait};
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("a classic, a static, a KIP-848 and a manually assigned consumer at work have the lag that their commits say", kinds),
        shared.trial("a Kafka Streams application, in a group of either protocol, lags by its internal topics too unless the trigger names one", streams),
        shared.trial("a group named $Default over all its topics has KEDA's metric name, and its HPA follows it", dollar),
    ]
}

async fn kinds(world: &World) {
    let scene = Scene::new(&world.bed, "kinds").await;
    let dir = world.bed.dir().join(&scene.namespace);
    std::fs::create_dir_all(&dir).unwrap();
    let kafka = &world.bed.kafka;
    // One after another: each is a JVM.
    for (name, kind, state, members) in [
        ("classic", "classic", "Stable", &[""] as &[&str]),
        ("static", "classic", "Stable", &["first"]),
        ("kip848", "consumer", "Stable", &[""]),
        ("assigned", "classic", "Empty", &[]),
    ] {
        let topic = scene.filled_topic(name, 1, 5).await;
        object(&scene, name, name, Some(&topic)).await;
        let metric = format!("s0-kafka-{topic}");
        scene.value_is(name, &metric, "5").await;
        let mut member = match name {
            "static" => kafka.verifiable(&dir, name, &topic, &["--group-instance-id", "first"]),
            "kip848" => kafka.verifiable(&dir, name, &topic, &["--group-protocol", "consumer"]),
            "assigned" => kafka.assigned(&dir, name, &topic, 0),
            _ => kafka.verifiable(&dir, name, &topic, &[]),
        };
        drained(&scene, name, &metric, &mut member).await;
        let expected = GroupState {
            state: state.into(),
            kind: kind.into(),
            members: members.iter().map(|m| (*m).to_owned()).collect(),
        };
        assert_eq!(kafka.group(name).await, Ok(expected));
        member.freeze();
        kafka.produce(&topic, 0, 7).await;
        scene.value_is(name, &metric, "7").await;
        member.thaw();
        drained(&scene, name, &metric, &mut member).await;
    }
}

/// One application in a group of either protocol, side by side.
struct App {
    group: String,
    /// The topic it groups by words through.
    internal: String,
    member: Member,
    /// An object that asks for all topics of the group, and one for the topic that others write; with their metrics.
    objects: [(String, String); 2],
}

async fn streams(world: &World) {
    let scene = Scene::new(&world.bed, "streams").await;
    let dir = world.bed.dir().join(&scene.namespace);
    std::fs::create_dir_all(&dir).unwrap();
    let kafka = &world.bed.kafka;
    kafka.create_topic(Kafka::WORDS, 1).await;
    kafka.create_topic(Kafka::COUNTS, 1).await;
    kafka.say(&["one two", "two three"]).await;
    let app = |protocol: &str| {
        let group = format!("word-count-{protocol}");
        App {
            member: kafka.word_count(&dir, &group, protocol),
            internal: format!("{group}-KSTREAM-AGGREGATE-STATE-STORE-0000000003-repartition"),
            objects: [
                (
                    format!("all-{protocol}"),
                    format!("s0-kafka-{group}-topics"),
                ),
                (
                    format!("named-{protocol}"),
                    format!("s0-kafka-{}", Kafka::WORDS),
                ),
            ],
            group,
        }
    };
    let mut apps = ["classic", "streams"].map(app);
    for app in &mut apps {
        wait::until("the internal topic to be consumed", PATIENCE, async || {
            app.member.must_live();
            let found = kafka.committed(&app.group, &app.internal).await?;
            // Four words.
            if found == [4] {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await;
        let kind = kafka.group(&app.group).await.unwrap().kind;
        assert!(app.group.ends_with(&kind), "{} is {kind}", app.group);
        let [(all, all_metric), (named, named_metric)] = &app.objects;
        object(&scene, all, &app.group, None).await;
        object(&scene, named, &app.group, Some(Kafka::WORDS)).await;
        scene.value_is(all, all_metric, "0").await;
        scene.value_is(named, named_metric, "0").await;
        app.member.freeze();
        kafka.produce(&app.internal, 0, 2).await;
    }
    kafka.say(&["four", "five", "six"]).await;
    for app in &mut apps {
        for ((object, metric), lag) in app.objects.iter().zip(["5", "3"]) {
            scene.value_is(object, metric, lag).await;
        }
        app.member.thaw();
        for (object, metric) in &app.objects {
            drained(&scene, object, metric, &mut app.member).await;
        }
    }
}

/// As consumers of Event Hubs are named, whose objects have no topic.
async fn dollar(world: &World) {
    let scene = Scene::new(&world.bed, "dollar").await;
    let topic = scene.filled_topic("t", 3, 10).await;
    scene.commit_lag("$Default", &topic, 3, 10, 12).await;
    let mut trigger = scene.trigger("", "$Default", &json!({}));
    trigger["metadata"].as_object_mut().unwrap().remove("topic");
    scene.idle("app", 1).await;
    let observer = scene.observe("app").await;
    scene.scaled_object("app", &[trigger], &json!({})).await;
    for name in ["s0-kafka-$Default-topics", "s0-kafka-%24Default-topics"] {
        scene.value_is("app", name, "12").await;
    }
    scene.reaches(&observer, 3).await;
}

/// A workload and its object; without a topic it is about all that the group has committed.
async fn object(scene: &Scene<'_>, name: &str, group: &str, topic: Option<&str>) {
    let metadata = json!({"offsetResetPolicy": "earliest", "lagThreshold": "1000"});
    let mut trigger = scene.trigger(topic.unwrap_or_default(), group, &metadata);
    if topic.is_none() {
        trigger["metadata"].as_object_mut().unwrap().remove("topic");
    }
    scene.idle(name, 1).await;
    scene
        .scaled_object(name, &[trigger], &json!({"maxReplicaCount": 1}))
        .await;
}

/// Waits until a member that lives has left nothing.
async fn drained(scene: &Scene<'_>, object: &str, metric: &str, member: &mut Member) {
    wait::until(&format!("{metric} to be drained"), PATIENCE, async || {
        member.must_live();
        match scene.value(object, metric).await {
            Ok(value) if value == "0" => Ok(()),
            other => Err(other),
        }
    })
    .await;
}
