//! Lag where commit and log do not fit: every policy, from zero replicas, on a real broker (docs/lag.md).

use bed::{Observer, wait};
use futures::future::join_all;
use lagscale::resources::ScaledObject;
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    Shared,
    bounds::max_is,
    scene::Scene,
    world::{PATIENCE, World},
};

/// As src/scaling/reading/readout.rs words it.
const MADE_ANEW: &str =
    "the topic was deleted and made anew, and the group has no commit in it yet";

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("a commit before the log start counts what is left of the log, whatever the policy, and wakes", before_the_start),
        shared.trial("a commit beyond the log end counts the log under earliest, at least one under latest, and wakes", beyond_the_end),
        shared.trial("without a commit earliest counts the log and latest one, then what came since; scaleToZeroOnInvalidOffset sleeps", without_a_commit),
        shared.trial("a topic deleted and made anew counts what is in the new one, and never less than nothing", made_anew),
        shared.trial("a topic that is deleted leaves nothing behind in a group that is asked for all its topics", topic_gone),
        shared.trial("records of a partition that was added are counted, and one more consumer may come", partition_added),
    ]
}

/// A workload at 0 replicas for each policy with and without `scaleToZeroOnInvalidOffset`, each with a group of its own.
struct Sleepers<'a> {
    scene: &'a Scene<'a>,
    topic: String,
    all: Vec<Observer>,
}

impl<'a> Sleepers<'a> {
    /// In this order; each is object and group.
    const NAMES: [&'static str; 4] = ["earliest", "latest", "earliest-zero", "latest-zero"];

    /// `commit` is what their groups have committed in the one partition.
    async fn set(scene: &'a Scene<'a>, topic: &str, commit: Option<i64>) -> Self {
        let one = async |name: &'static str| {
            if let Some(offset) = commit {
                scene.bed.kafka.commit(name, topic, &[(0, offset)]).await;
            }
            let (policy, zero) = name.split_once('-').unwrap_or((name, ""));
            let trigger = json!({
                "offsetResetPolicy": policy,
                "scaleToZeroOnInvalidOffset": (!zero.is_empty()).to_string(),
                // Far from anything that would cut or lift the value.
                "lagThreshold": "1000",
            });
            scene.idle(name, 0).await;
            let observer = scene.observe(name).await;
            let trigger = scene.trigger(topic, name, &trigger);
            let spec = json!({"minReplicaCount": 0, "maxReplicaCount": 1, "cooldownPeriod": 3});
            scene.scaled_object(name, &[trigger], &spec).await;
            observer
        };
        Self {
            scene,
            topic: topic.to_owned(),
            all: join_all(Self::NAMES.map(one)).await,
        }
    }

    /// Waits until each has its value, in the order of `NAMES`; none may be negative meanwhile.
    async fn count(&self, values: [i64; 4]) {
        let metric = format!("s0-kafka-{}", self.topic);
        let each = Self::NAMES.iter().zip(values);
        let each = each.map(|(name, value)| counts(self.scene, name, &metric, value));
        join_all(each).await;
    }

    /// Waits until each has its number of replicas.
    async fn reach(&self, replicas: [i32; 4]) {
        let each = self.all.iter().zip(replicas);
        join_all(each.map(|(observer, n)| self.scene.reaches(observer, n))).await;
    }

    /// Waits until the condition of each says so.
    async fn say(&self, text: &str) {
        let each = Self::NAMES.iter();
        join_all(each.map(|name| self.scene.condition(name, "Ready", "True", text))).await;
    }

    /// Those that have never had a replica.
    fn never_woke(&self) -> Vec<&'static str> {
        let slept = self.all.iter().zip(Self::NAMES);
        let slept = slept.filter(|(observer, _)| observer.highest() == 0);
        slept.map(|(_, name)| name).collect()
    }
}

/// Waits until Ready says so, whatever its status: that depends on how long it has lasted.
async fn ready_says(scene: &Scene<'_>, object: &str, text: &str) {
    let objects = scene.api::<ScaledObject>();
    wait::until(text, PATIENCE, async || {
        let status = objects.get(object).await.unwrap().status;
        let conditions = status.unwrap_or_default().conditions;
        let ready = conditions.into_iter().find(|c| c.kind == "Ready");
        match ready {
            Some(ready) if ready.message.contains(text) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// Waits until a metric has this value; it may not be negative meanwhile.
pub async fn counts(scene: &Scene<'_>, object: &str, metric: &str, wanted: i64) {
    let what = format!("{object} of {} to count {wanted}", scene.namespace);
    wait::until(&what, PATIENCE, async || {
        let value = scene.value(object, metric).await?;
        assert!(!value.starts_with('-'), "{object} has {value}");
        if value == wanted.to_string() {
            Ok(())
        } else {
            Err(value)
        }
    })
    .await;
}

async fn before_the_start(world: &World) {
    let scene = Scene::new(&world.bed, "cut").await;
    let kafka = &world.bed.kafka;
    let topic = scene.filled_topic("t", 1, 210).await;
    kafka.delete_records(&topic, 0, 80).await;
    let sleepers = Sleepers::set(&scene, &topic, Some(30)).await;
    sleepers.count([130; 4]).await;
    sleepers.reach([1; 4]).await;
    let lost = "the records from 30 to 79 were deleted before they were consumed";
    sleepers.say(lost).await;
    // Seen with the next look at log starts.
    kafka.delete_records(&topic, 0, 100).await;
    sleepers.count([110; 4]).await;
    sleepers.say("the records from 30 to 99 were deleted").await;
}

async fn beyond_the_end(world: &World) {
    let scene = Scene::new(&world.bed, "beyond").await;
    let kafka = &world.bed.kafka;
    let topic = scene.filled_topic("t", 1, 10).await;
    kafka.delete_records(&topic, 0, 4).await;
    let sleepers = Sleepers::set(&scene, &topic, Some(10)).await;
    sleepers.count([0; 4]).await;
    assert_eq!(sleepers.never_woke(), Sleepers::NAMES);
    for group in Sleepers::NAMES {
        kafka.commit(group, &topic, &[(0, 100)]).await;
    }
    sleepers.count([6, 1, 6, 1]).await;
    sleepers.reach([1; 4]).await;
    let lost = "the committed offset 100 lies beyond the log end 10, so it counts as lost";
    sleepers.say(lost).await;
    kafka.produce(&topic, 0, 5).await;
    sleepers.count([11, 5, 11, 5]).await;
    for group in Sleepers::NAMES {
        kafka.commit(group, &topic, &[(0, 15)]).await;
    }
    sleepers.count([0; 4]).await;
    sleepers.reach([0; 4]).await;
}

async fn without_a_commit(world: &World) {
    let scene = Scene::new(&world.bed, "none").await;
    let topic = scene.filled_topic("t", 1, 100).await;
    world.bed.kafka.delete_records(&topic, 0, 20).await;
    let sleepers = Sleepers::set(&scene, &topic, None).await;
    sleepers.count([80, 1, 0, 0]).await;
    sleepers.reach([1, 1, 0, 0]).await;
    for name in ["earliest-zero", "latest-zero"] {
        scene.condition(name, "Active", "False", "").await;
    }
    let asleep = ["earliest-zero", "latest-zero"];
    assert_eq!(sleepers.never_woke(), asleep, "before the first new record");
    world.bed.kafka.produce(&topic, 0, 1).await;
    sleepers.count([81, 1, 0, 1]).await;
    sleepers.reach([1, 1, 0, 1]).await;
    world.bed.kafka.produce(&topic, 0, 6).await;
    sleepers.count([87, 7, 0, 7]).await;
    assert_eq!(sleepers.never_woke(), ["earliest-zero"], "as it was told");
}

async fn made_anew(world: &World) {
    let scene = Scene::new(&world.bed, "anew").await;
    let kafka = &world.bed.kafka;
    let topic = scene.filled_topic("t", 1, 10).await;
    let sleepers = Sleepers::set(&scene, &topic, Some(10)).await;
    sleepers.count([0; 4]).await;
    kafka.delete_topic(&topic).await;
    for name in Sleepers::NAMES {
        ready_says(&scene, name, "does not exist").await;
    }
    kafka.create_topic(&topic, 1).await;
    kafka.produce(&topic, 0, 3).await;
    // An object that asks for 0 where there is no commit gets it, and under latest what is new.
    sleepers.count([3, 3, 0, 3]).await;
    sleepers.reach([1, 1, 0, 1]).await;
    sleepers.say(MADE_ANEW).await;
}

async fn topic_gone(world: &World) {
    let scene = Scene::new(&world.bed, "gone").await;
    let kafka = &world.bed.kafka;
    let (kept, gone) = (
        scene.filled_topic("kept", 1, 10).await,
        scene.filled_topic("gone", 1, 10).await,
    );
    // Other scenes' groups must not share its name: it is asked for all that it has.
    let group = format!("{}-g", scene.namespace);
    kafka.commit(&group, &kept, &[(0, 6)]).await;
    kafka.commit(&group, &gone, &[(0, 4)]).await;
    let mut trigger = scene.trigger("", &group, &json!({"lagThreshold": "1000"}));
    trigger["metadata"].as_object_mut().unwrap().remove("topic");
    scene.idle("app", 1).await;
    scene.scaled_object("app", &[trigger], &json!({})).await;
    let metric = format!("s0-kafka-{group}-topics");
    counts(&scene, "app", &metric, 10).await;
    kafka.delete_topic(&gone).await;
    counts(&scene, "app", &metric, 4).await;
    wait::until("nothing to be left of it", PATIENCE, async || {
        let message = scene.condition("app", "Ready", "True", "").await;
        if message.contains(&gone) {
            Err(message)
        } else {
            Ok(())
        }
    })
    .await;
}

async fn partition_added(world: &World) {
    let scene = Scene::new(&world.bed, "more").await;
    let spec = json!({"maxReplicaCount": 3});
    let metadata = json!({"lagThreshold": "1000"});
    let (topic, observer) = scene.app((1, 10), 4, 1, &metadata, &spec).await;
    let metric = format!("s0-kafka-{topic}");
    counts(&scene, "app", &metric, 4).await;
    max_is(&observer, 1).await;
    world.bed.kafka.add_partitions(&topic, 2).await;
    world.bed.kafka.produce(&topic, 1, 6).await;
    max_is(&observer, 2).await;
    // A partition without a commit counts one under latest until its first record is seen; what came before is not known.
    world.bed.kafka.commit("g", &topic, &[(1, 0)]).await;
    counts(&scene, "app", &metric, 10).await;
}
