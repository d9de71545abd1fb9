//! Promise 3: Kafka or lagscale itself goes away, and takes nothing with it. A bed of its own, since parts are stopped.

use std::time::{Duration, Instant};

use bed::{BedOptions, Kafka, KafkaOptions, Observer, Seen, wait};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::DeleteParams};
use lagscale::server::API_SERVICE;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World, run},
};

const OUTAGE: Duration = Duration::from_secs(30);
/// A GET that takes this long hangs.
const HANGS: Duration = Duration::from_secs(5);

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.alone(
        "a broker frozen, then killed, for 30 s, a start while Kafka is down, and a killed lagscale lose no replica and hide nothing",
        faults,
    )]
}

/// One object on the Kafka that suffers, one on a Kafka that does not.
struct Stage {
    world: World,
    healthy: Kafka,
    namespace: String,
    observer: Observer,
    other: Observer,
    /// Metric of an object that asks for a fallback to 4.
    fallen: Observer,
    /// Metric of an object that goes by the clock.
    timed: Observer,
}

impl Stage {
    fn scene(&self) -> Scene<'_> {
        Scene {
            bed: &self.world.bed,
            namespace: self.namespace.clone(),
        }
    }

    async fn set() -> Self {
        let world = World::start(BedOptions::default(), &[]).await;
        let healthy = Kafka::start(world.bed.dir(), "healthy", &KafkaOptions::default()).await;
        let scene = Scene::new(&world.bed, "faults").await;
        let topic = scene.filled_topic("t", 5, 10).await;
        scene.commit_lag("g", &topic, 5, 10, 50).await;
        scene
            .credentials("healthy", &healthy, Kafka::PASSWORD)
            .await;
        healthy.create_topic("t", 5).await;
        healthy.produce("t", 0, 100).await;
        scene.idle("app", 1).await;
        scene.idle("other", 1).await;
        let (observer, other) = (scene.observe("app").await, scene.observe("other").await);
        let mut trigger =
            scene.trigger("t", "g", &json!({"bootstrapServers": healthy.bootstrap()}));
        trigger["authenticationRef"]["name"] = "healthy".into();
        healthy.commit("g", "t", &other_lag(10)).await;
        scene.scaled_object("other", &[trigger], &json!({})).await;
        scene
            .scaled_object("app", &[scene.trigger(&topic, "g", &json!({}))], &json!({}))
            .await;
        scene.idle("fallen", 1).await;
        let fallen = scene.observe("fallen").await;
        scene.commit_lag("fallen", &topic, 5, 10, 10).await;
        let fallback = json!({"fallback": {"failureThreshold": 1, "replicas": 4}});
        let trigger = scene.trigger(&topic, "fallen", &json!({}));
        scene.scaled_object("fallen", &[trigger], &fallback).await;
        for more in ["second", "third", "fourth", "fifth"] {
            scene.idle(more, 1).await;
            scene.commit_lag(more, &topic, 5, 10, 5).await;
            let trigger = scene.trigger(&topic, more, &json!({}));
            scene.scaled_object(more, &[trigger], &json!({})).await;
        }
        scene.idle("timed", 0).await;
        let timed = scene.observe("timed").await;
        scene.reaches(&observer, 5).await;
        // Cut at the partitions until maxReplicas has been live for a while.
        scene
            .value_is("app", &format!("s0-kafka-{topic}"), "50")
            .await;
        scene.reaches(&other, 2).await;
        scene.reaches(&fallen, 2).await;
        let namespace = scene.namespace.clone();
        Self {
            world,
            healthy,
            namespace,
            observer,
            other,
            fallen,
            timed,
        }
    }

    /// With six objects on a frozen broker, one that goes by the clock wakes, and sleeps, as if nothing were.
    async fn clockwork(&self) {
        let scene = self.scene();
        let cron = |start: &str, end: &str| {
            let metadata = json!({
                "timezone": "Europe/Berlin", "start": start, "end": end, "desiredReplicas": "3",
            });
            json!({"type": "cron", "metadata": metadata})
        };
        // Open is what ends before it begins again.
        let (open, closed) = (
            cron("0 0 1 2 *", "* * * * *"),
            cron("* * * * *", "0 0 1 2 *"),
        );
        let sleeps = json!({"minReplicaCount": 0, "cooldownPeriod": 0});
        scene.scaled_object("timed", &[open], &sleeps).await;
        scene.reaches(&self.timed, 3).await;
        scene.scaled_object("timed", &[closed], &sleeps).await;
        scene.reaches(&self.timed, 0).await;
    }

    fn metric(&self) -> String {
        format!("s0-kafka-{}-t", self.namespace)
    }

    /// The promise while the broker answers nothing: asked twice a second for as long as the outage lasts.
    async fn outage(&self, lag_of_the_other: i64) {
        let scene = self.scene();
        let (broker, metric) = (self.world.bed.kafka.bootstrap(), self.metric());
        let replicas = (lag_of_the_other + 4) / 5;
        self.healthy
            .commit("g", "t", &other_lag(lag_of_the_other))
            .await;
        let end = Instant::now() + OUTAGE;
        let (mut fresh, mut withheld) = (0, 0);
        while Instant::now() < end {
            let asked = tokio::time::timeout(HANGS, scene.value("app", &metric)).await;
            match asked.expect("every metric GET is answered") {
                Ok(value) => {
                    assert_eq!(value, "50");
                    assert_eq!(
                        withheld, 0,
                        "a value after it was withheld, with the broker still away"
                    );
                    fresh += 1;
                }
                Err(said) => {
                    assert!(said.contains(&broker), "the broker is named: {said}");
                    withheld += 1;
                }
            }
            self.world
                .bed
                .availability(API_SERVICE)
                .await
                .expect("the APIService stays available");
            assert_eq!(
                self.observer.replicas(),
                Some(5),
                "{:?}",
                self.observer.history()
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert!(fresh > 0, "a value that is still fresh is served");
        assert!(withheld > 0, "a value that is too old is withheld");
        let said = scene
            .condition("app", "KafkaReachable", "False", &broker)
            .await;
        eprintln!("in the outage: {said}");
        // An outage passes by itself: nobody has to change the object.
        scene.condition("app", "Ready", "True", &broker).await;
        scene
            .reaches(&self.other, i32::try_from(replicas).unwrap())
            .await;
        assert_eq!(self.observer.replicas(), Some(5));
        scene.reaches(&self.fallen, 4).await;
        scene.condition("fallen", "Fallback", "True", "").await;
    }

    async fn recovered(&self) {
        let scene = self.scene();
        scene.condition("app", "KafkaReachable", "True", "").await;
        scene.condition("app", "Ready", "True", "").await;
        scene.value_is("app", &self.metric(), "50").await;
        scene
            .keeps(&self.observer, 5, Duration::from_secs(10))
            .await;
    }
}

/// Commits on partition 0 of 100 records and on four empty ones.
fn other_lag(lag: i64) -> [(i32, i64); 5] {
    [(0, 100 - lag), (1, 0), (2, 0), (3, 0), (4, 0)]
}

async fn faults() {
    let mut stage = Stage::set().await;

    stage.world.bed.kafka.freeze(0);
    futures::join!(stage.outage(20), stage.clockwork());
    stage.world.bed.kafka.thaw(0);
    stage.recovered().await;

    stage.world.bed.kafka.kill(0);
    stage.outage(15).await;
    stage.world.bed.kafka.restart(0).await;
    stage.recovered().await;

    stage.world.bed.kafka.kill(0);
    let doomed = stage.world.bed.namespace("doomed").await;
    stage.restart_lagscale(Some(&doomed)).await;
    let broker = stage.world.bed.kafka.bootstrap();
    let said = stage
        .scene()
        .condition("app", "KafkaReachable", "False", &broker)
        .await;
    eprintln!("started while Kafka is down: {said}");
    let hpa = stage.scene().hpa("app").await.unwrap().spec.unwrap();
    assert_eq!(hpa.max_replicas, 5, "an unknown bound leaves the live one");
    stage.world.bed.kafka.restart(0).await;
    stage.recovered().await;

    stage.killed_in_the_middle().await;
    stage.recovered().await;
    stage.is_gone(&doomed).await;

    let history = stage.observer.history();
    let scaled_out = history
        .iter()
        .position(|s| *s == Seen::Replicas(5))
        .unwrap();
    let after = &history[scaled_out..];
    assert!(
        after
            .iter()
            .all(|s| !matches!(s, Seen::Replicas(n) if *n != 5)),
        "{history:?}"
    );
    assert!(!history.contains(&Seen::HpaDeleted), "{history:?}");
    assert_eq!(stage.observer.highest(), 5);
}

impl Stage {
    /// True consumers at work while lagscale is away; not one of them is taken before the work is done.
    async fn killed_in_the_middle(&mut self) {
        let scene = self.scene();
        let topic = scene.topic("story", 5).await;
        scene.consumers("consumer", &topic, "story", 2000).await;
        let observer = scene.observe("consumer").await;
        let trigger = scene.trigger(&topic, "story", &json!({}));
        scene
            .scaled_object("consumer", &[trigger], &json!({}))
            .await;
        for partition in 0..5 {
            scene.bed.kafka.produce(&topic, partition, 40).await;
        }
        scene.reaches(&observer, 5).await;
        self.restart_lagscale(None).await;
        let scene = self.scene();
        let metric = format!("s0-kafka-{topic}");
        // kube-apiserver may still hold a connection to the one that was killed.
        let value = async || scene.value("consumer", &metric).await;
        let left = wait::until("a value", PATIENCE, value).await;
        assert_ne!(left, "0", "killed in the middle");
        let history = observer.history();
        let out = history
            .iter()
            .position(|s| *s == Seen::Replicas(5))
            .unwrap();
        let taken = |s: &Seen| matches!(s, Seen::Replicas(n) if *n != 5);
        assert!(!history[out..].iter().any(taken), "{history:?}");
        scene.value_is("consumer", &metric, "0").await;
        scene.reaches(&observer, 1).await;
        assert_eq!(observer.highest(), 5, "{:?}", observer.history());
    }

    /// A namespace whose deletion began while nobody answered for the group goes once somebody does.
    async fn is_gone(&self, namespace: &str) {
        let api: Api<Namespace> = Api::all(self.world.bed.client());
        wait::until("the namespace to go", PATIENCE, async || {
            match api.get_opt(namespace).await.map_err(|e| e.to_string())? {
                None => Ok(()),
                Some(found) => Err(format!("{:?}", found.status)),
            }
        })
        .await;
    }

    /// SIGKILL; once the HPA controller noticed, another process. `doomed` is a namespace to be deleted while kube-apiserver
    /// knows that nobody is there.
    async fn restart_lagscale(&mut self, doomed: Option<&str>) {
        self.world.lagscale.child.kill();
        self.world.bed.balancer.remove(self.world.lagscale.address);
        wait::until("the HPA controller to notice", PATIENCE, async || {
            let hpa = self.scene().hpa("app").await.ok_or("no HPA")?;
            let status = serde_json::to_value(hpa.status).unwrap_or_default();
            let conditions: Vec<Value> =
                status["conditions"].as_array().cloned().unwrap_or_default();
            let active = conditions
                .into_iter()
                .find(|c| c["type"] == "ScalingActive");
            let active = active.ok_or("no condition")?;
            if active["status"] == "False" {
                Ok(())
            } else {
                Err("still active")
            }
        })
        .await;
        if let Some(namespace) = doomed {
            wait::until(
                "the APIService to be unavailable",
                PATIENCE,
                async || match self.world.bed.availability(API_SERVICE).await {
                    Err(_) => Ok(()),
                    Ok(()) => Err("available"),
                },
            )
            .await;
            let api: Api<Namespace> = Api::all(self.world.bed.client());
            api.delete(namespace, &DeleteParams::default())
                .await
                .unwrap();
        }
        self.world.lagscale = run(&self.world.bed, &[]);
        self.world.lagscale.ready().await;
        self.world.bed.available(API_SERVICE).await;
    }
}
