//! Writes of lagscale while it looks after 200 objects, counted at a gate before the API server: a few writes for a new
//! object, one or two where an outage begins and ends, and none while nothing changes, however often it polls.

use std::collections::BTreeMap;

use bed::{Gate, Kafka, KafkaOptions, Lagscale, Write, wait};
use futures::{StreamExt, stream};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{ResourceExt, api::ListParams};
use lagscale::{resources::ScaledObject, server::API_SERVICE};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, Yard, leads, run_behind, series, ticks},
};

const TOPICS: usize = 20;
const OBJECTS: usize = 200;
/// Objects made side by side.
const HANDS: usize = 16;

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.counted(
        "200 objects cost five writes each at most, none while nothing changes and none per poll of an outage",
        writes,
    )]
}

/// 200 objects on a Kafka of their own, and one on a Kafka that nothing happens to: ticks are counted by it.
struct Fleet<'a> {
    scene: &'a Scene<'a>,
    kafka: Kafka,
    gate: Gate,
    lagscale: Lagscale,
}

/// The state that an object's topic makes of it.
#[derive(Clone, Copy)]
struct Kind {
    lag: i64,
    start: i32,
    falls_back: bool,
}

impl Kind {
    fn of(topic: usize) -> Self {
        let (lag, start) = match topic {
            // At work, and stays at its minimum of 1.
            0..9 => (3, 1),
            // Asleep.
            9..18 => (0, 0),
            // Woken at once.
            _ => (3, 0),
        };
        Self {
            lag,
            start,
            falls_back: topic == 0,
        }
    }

    fn spec(self) -> Value {
        // The last activity is written by a third of the cool-down, which would be a write in its own right.
        let mut spec = json!({
            "minReplicaCount": self.start, "pollingInterval": 2, "cooldownPeriod": 3600,
        });
        if self.falls_back {
            spec["fallback"] = json!({"failureThreshold": 1, "replicas": 2});
        }
        spec
    }
}

async fn writes(yard: &Yard) {
    let scene = Scene::new(&yard.bed, "fleet").await;
    let mut fleet = Fleet::set(&scene).await;
    // An HPA that can't read says so after a while, and that is told.
    let _balancer = yard.balancer.lock().await;
    let (address, plain) = (fleet.lagscale.address, fleet.lagscale.plain);
    yard.bed.balancer.add(address, plain);
    yard.bed.available(API_SERVICE).await;
    let begin = fleet.gate.writes().len();
    fleet.make().await;
    fleet.all("Ready", "True").await;
    fleet.quiet(2).await;
    let hpas = scene.api::<HorizontalPodAutoscaler>();
    let made = hpas.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(made.len(), OBJECTS + 1);
    fleet.most("to make", begin, 5);

    fleet.every_hpa_reads().await;
    fleet.hpas_are_told().await;
    fleet.quiet(2).await;

    let begin = fleet.gate.writes().len();
    let said = fleet.said();
    ticks(&fleet.lagscale, 4).await;
    fleet.most("in four polls", begin, 0);
    assert_eq!(fleet.said(), said, "what is logged while nothing happens");

    let begin = fleet.gate.writes().len();
    let patch = json!({"spec": {"maxReplicaCount": 2}});
    scene.patch::<ScaledObject>("o-000", &patch).await;
    fleet.max("o-000", 2).await;
    fleet.quiet(2).await;
    let writes = fleet.gate.writes();
    let changed = per_object(&writes[begin..]);
    assert!(changed.keys().eq(&["o-000"]), "{changed:?}");
    fleet.most("to change one", begin, 2);

    let begin = fleet.gate.writes().len();
    fleet.restart().await;
    ticks(&fleet.lagscale, 2).await;
    // An HPA that read nothing meanwhile may say so for long enough to be told.
    fleet.every_hpa_reads().await;
    fleet.hpas_are_told().await;
    fleet.quiet(2).await;
    fleet.most("to start again", begin, 2);

    let begin = fleet.gate.writes().len();
    fleet.kafka.freeze(0);
    fleet.withheld(true).await;
    fleet.all("KafkaReachable", "False").await;
    fleet.hpas_are_told().await;
    // The cause has its last word when a dial was tried in vain.
    fleet.quiet(6).await;
    // Partly unread, withheld, fallen back where that is asked for, the HPA's own word about either, and once the same in
    // other words.
    fleet.most("for an outage to begin", begin, 6);
    let begin = fleet.gate.writes().len();
    ticks(&fleet.lagscale, 8).await;
    fleet.most("in eight polls of an outage", begin, 0);

    let begin = fleet.gate.writes().len();
    fleet.kafka.thaw(0);
    fleet.withheld(false).await;
    fleet.all("KafkaReachable", "True").await;
    fleet.every_hpa_reads().await;
    fleet.hpas_are_told().await;
    fleet.quiet(2).await;
    // With the HPA's own word.
    fleet.most("for an outage to end", begin, 3);
}

impl<'a> Fleet<'a> {
    async fn set(scene: &'a Scene<'a>) -> Self {
        let kafka = Kafka::start(scene.bed.dir(), "fleet", &KafkaOptions::default()).await;
        scene.credentials("fleet", &kafka, Kafka::PASSWORD).await;
        for topic in 0..TOPICS {
            let name = format!("t-{topic}");
            kafka.create_topic(&name, 3).await;
            kafka.produce(&name, 0, 10).await;
            let committed = 10 - Kind::of(topic).lag;
            let offsets = [(0, committed), (1, 0), (2, 0)];
            kafka.commit(&name, &name, &offsets).await;
        }
        let topic = scene.filled_topic("t", 3, 10).await;
        scene.commit_lag("metronome", &topic, 3, 10, 0).await;
        scene.idle("metronome", 1).await;
        let trigger = scene.trigger(&topic, "metronome", &json!({}));
        let spec = json!({"pollingInterval": 2});
        scene.scaled_object("metronome", &[trigger], &spec).await;
        let gate = Gate::start(&scene.bed.control_plane, scene.bed.dir()).await;
        let lagscale = launch(scene, &gate).await;
        let fleet = Self {
            scene,
            kafka,
            gate,
            lagscale,
        };
        fleet.quiet(2).await;
        fleet
    }

    async fn make(&self) {
        let make = async |number: usize| {
            let (name, topic) = (format!("o-{number:03}"), number % TOPICS);
            let kind = Kind::of(topic);
            let topic = format!("t-{topic}");
            self.scene.idle(&name, kind.start).await;
            let bootstrap = json!({"bootstrapServers": self.kafka.bootstrap()});
            let mut trigger = self.scene.trigger(&topic, &topic, &bootstrap);
            trigger["authenticationRef"]["name"] = "fleet".into();
            let triggers = [trigger];
            self.scene
                .scaled_object(&name, &triggers, &kind.spec())
                .await;
        };
        let making = stream::iter(0..OBJECTS).map(make);
        making.buffer_unordered(HANDS).collect::<()>().await;
    }

    /// Another process in its place.
    async fn restart(&mut self) {
        self.lagscale.child.kill();
        self.scene.bed.balancer.remove(self.lagscale.address);
        self.lagscale = launch(self.scene, &self.gate).await;
        let balancer = &self.scene.bed.balancer;
        balancer.add(self.lagscale.address, self.lagscale.plain);
    }

    /// Waits until every object says so, but for those that fall back: they stay ready and tell it otherwise.
    async fn all(&self, kind: &str, status: &str) {
        let objects = self.scene.api::<ScaledObject>();
        let what = format!("{kind}={status} of all");
        wait::until(&what, PATIENCE, async || {
            let all = objects.list(&ListParams::default()).await.unwrap().items;
            let other = all.into_iter().filter(|o| o.name_any() != "metronome");
            let other = other.filter(|o| {
                let (kind, status) = match (&o.spec.fallback, status) {
                    (Some(_), "False") => ("Fallback", "True"),
                    _ => (kind, status),
                };
                let conditions = o.status.iter().flat_map(|s| &s.conditions);
                let mut found = conditions.filter(|c| c.kind == kind);
                !found.any(|c| c.status == status)
            });
            match other.map(|o| o.name_any()).collect::<Vec<_>>() {
                none if none.is_empty() => Ok(()),
                some => Err(some),
            }
        })
        .await;
    }

    /// By object: whether its HPA scales, or is off because the workload is at 0.
    async fn hpas(&self) -> BTreeMap<String, bool> {
        let hpas = self.scene.api::<HorizontalPodAutoscaler>();
        let all = hpas.list(&ListParams::default()).await.unwrap().items;
        let says = |h: HorizontalPodAutoscaler| {
            let conditions = h.status.iter().flat_map(|s| s.conditions.iter().flatten());
            let mut active = conditions.filter(|c| c.type_ == "ScalingActive");
            let off = |r: &Option<String>| r.as_deref() == Some("ScalingDisabled");
            let scales = active.any(|c| c.status == "True" || off(&c.reason));
            (h.name_any().replacen("keda-hpa-", "", 1), scales)
        };
        all.into_iter().map(says).collect()
    }

    async fn every_hpa_reads(&self) {
        wait::until("every HPA to read its metric", PATIENCE, async || {
            let mut unread = self.hpas().await;
            unread.retain(|_, reads| !*reads);
            if unread.is_empty() {
                Ok(())
            } else {
                Err(unread)
            }
        })
        .await;
    }

    /// Waits until every object tells what its HPA says of itself, which it does once the HPA has said so for a while.
    async fn hpas_are_told(&self) {
        let objects = self.scene.api::<ScaledObject>();
        wait::until("what HPAs say to be told", PATIENCE, async || {
            let mut untold = self.hpas().await;
            let all = objects.list(&ListParams::default()).await.unwrap().items;
            for object in all {
                let mut conditions = object.status.iter().flat_map(|s| &s.conditions);
                let told = conditions.find(|c| c.kind == "HPAActive");
                let scales = untold.get(&object.name_any()).copied();
                if told.map(|c| c.status == "True") == scales {
                    untold.remove(&object.name_any());
                }
            }
            if untold.is_empty() {
                Ok(())
            } else {
                Err(untold)
            }
        })
        .await;
    }

    /// Waits until the values of the 200 are withheld, or served.
    async fn withheld(&self, wanted: bool) {
        wait::until("values to come or go", PATIENCE, async || {
            let all = series(&self.lagscale, "lagscale_withheld").await;
            let fleet = all.iter().filter(|(labels, _)| labels.contains("\"o-"));
            let count = fleet.filter(|(_, v)| (**v > 0.5) == wanted).count();
            if count == OBJECTS { Ok(()) } else { Err(count) }
        })
        .await;
    }

    async fn max(&self, name: &str, max: i32) {
        wait::until("maxReplicas to be another", PATIENCE, async || {
            let spec = self.scene.hpa(name).await.and_then(|h| h.spec);
            match spec.map(|s| s.max_replicas) {
                Some(found) if found == max => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }

    /// The lines it logged for people.
    fn said(&self) -> Vec<String> {
        let log = self.lagscale.child.output();
        let lines = log.lines().filter(|l| !l.contains(" DEBUG "));
        lines.map(str::to_owned).collect()
    }

    /// Waits until this many polls brought no write.
    async fn quiet(&self, polls: usize) {
        loop {
            let before = self.gate.writes().len();
            ticks(&self.lagscale, polls).await;
            if self.gate.writes().len() == before {
                return;
            }
        }
    }

    /// At most this many writes about each object since `begin`.
    fn most(&self, what: &str, begin: usize, most: usize) {
        let writes = &self.gate.writes()[begin..];
        let count = per_object(writes);
        let mut spread: BTreeMap<usize, usize> = BTreeMap::new();
        for writes in count.values() {
            *spread.entry(*writes).or_default() += 1;
        }
        eprintln!(
            "writes {what}: {} in all; by object: {spread:?}",
            writes.len()
        );
        let worst = count.iter().filter(|(_, writes)| **writes > most);
        let worst: Vec<_> = worst.map(|(name, _)| name).collect();
        if let Some(name) = worst.first() {
            let of = |w: &&Write| w.name.ends_with(*name);
            let writes: Vec<_> = writes.iter().filter(of).collect();
            panic!("writes {what}, at most {most}: {writes:#?} and so on of {worst:?}");
        }
    }
}

async fn launch(scene: &Scene<'_>, gate: &Gate) -> Lagscale {
    let namespace = format!("--namespace={}", scene.namespace);
    let mut lagscale = run_behind(scene.bed, gate, &[&namespace, "--max-sample-age=10"]);
    scene.bed.balancer.remove(lagscale.address);
    lagscale.ready().await;
    leads(&lagscale).await;
    lagscale
}

/// How many writes each object cost, those of its HPA and its workload among them. Who uses an authentication is told once in
/// a while, however many they are.
fn per_object(writes: &[Write]) -> BTreeMap<&str, usize> {
    let mut count = BTreeMap::new();
    let own = |w: &&Write| w.resource != "triggerauthentications/status";
    for write in writes.iter().filter(own) {
        let name = write.name.strip_prefix("keda-hpa-").unwrap_or(&write.name);
        *count.entry(name).or_default() += 1;
    }
    count
}
