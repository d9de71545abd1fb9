//! Two processes behind one Service: the leader is told to end, killed and frozen. Whoever is left serves on and takes over,
//! and no scale action is lost or done twice.

use bed::{Lagscale, Observer, Seen, wait};
use lagscale::server::API_SERVICE;
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    Shared,
    load::Load,
    scene::Scene,
    world::{PATIENCE, Yard, leads, run, says},
};

/// An endpoint that is not ready any more is not asked any more before this is over.
const DELAY: &str = "--shutdown-delay=3s";

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.counted(
        "a leader that is told to end, killed or frozen is replaced, and no scale action is lost or done twice",
        succession,
    )]
}

async fn succession(yard: &Yard) {
    let _balancer = yard.balancer.lock().await;
    let scene = Scene::new(&yard.bed, "succession").await;
    let topic = scene.filled_topic("t", 5, 10).await;
    scene.commit_lag("app", &topic, 5, 10, 12).await;
    scene.idle("app", 3).await;
    let metric = format!("s0-kafka-{topic}");
    let trigger = scene.trigger(&topic, "app", &json!({}));
    scene.scaled_object("app", &[trigger], &json!({})).await;
    let mut sleepers = Vec::new();
    for name in ["ended", "killed", "frozen"] {
        sleepers.push(Sleeper::new(&scene, &topic, name).await);
    }

    let namespace = format!("--namespace={}", scene.namespace);
    let begin = async || {
        let mut lagscale = run(&yard.bed, &[&namespace, DELAY]);
        lagscale.ready().await;
        lagscale
    };
    let mut first = begin().await;
    leads(&first).await;
    let second = begin().await;
    yard.bed.available(API_SERVICE).await;
    scene.value_is("app", &metric, "12").await;
    for sleeper in &sleepers {
        sleeper.is_made().await;
    }

    let load = Load::begin(&scene, &metric);
    load.goes_on().await;
    first.child.tell_to_end();
    sleepers[0].gets_work().await;
    leads(&second).await;
    sleepers[0].is_awake().await;
    wait::until("the first to end", PATIENCE, async || {
        first.child.ended().ok_or("it runs")
    })
    .await;
    yard.bed.balancer.remove(first.address);
    load.goes_on().await;
    assert_eq!(load.end().await, Vec::<String>::new(), "told to end");

    let third = begin().await;
    let load = Load::begin(&scene, &metric);
    load.goes_on().await;
    sleepers[1].gets_work_while(second).await;
    leads(&third).await;
    sleepers[1].is_awake().await;
    load.goes_on().await;
    let failed = load.end().await;
    // One request is under way at a time, and kube-apiserver dials what a Service leads to until that is not ready any more.
    assert!(failed.len() <= 3, "killed: {failed:?}");

    let fourth = begin().await;
    third.child.freeze();
    sleepers[2].gets_work().await;
    leads(&fourth).await;
    sleepers[2].is_awake().await;
    // kube-apiserver pings what does not answer.
    scene.value_is("app", &metric, "12").await;
    third.child.thaw();
    says(&third, "lagscale_leader 0").await;
    for sleeper in &sleepers {
        sleeper.was_woken_once();
    }
    drop(fourth);
    yard.bed.balancer.remove(third.address);
}

/// An object whose workload sleeps until there is work.
struct Sleeper<'a> {
    scene: &'a Scene<'a>,
    topic: String,
    name: &'static str,
    observer: Observer,
}

impl<'a> Sleeper<'a> {
    async fn new(scene: &'a Scene<'a>, topic: &str, name: &'static str) -> Self {
        scene.commit_lag(name, topic, 5, 10, 0).await;
        scene.idle(name, 0).await;
        let observer = scene.observe(name).await;
        let trigger = scene.trigger(topic, name, &json!({}));
        let spec = json!({"minReplicaCount": 0, "cooldownPeriod": 3600});
        scene.scaled_object(name, &[trigger], &spec).await;
        Self {
            scene,
            topic: topic.to_owned(),
            name,
            observer,
        }
    }

    async fn is_made(&self) {
        self.scene.condition(self.name, "Ready", "True", "").await;
        wait::until("its HPA", PATIENCE, async || {
            self.scene.hpa(self.name).await.ok_or("none")
        })
        .await;
    }

    async fn gets_work(&self) {
        self.scene
            .commit_lag(self.name, &self.topic, 5, 10, 3)
            .await;
    }

    /// And nobody tells the one who leads.
    async fn gets_work_while(&self, mut killed: Lagscale) {
        killed.child.kill();
        self.gets_work().await;
        // As its pod's end takes its endpoint away.
        self.scene.bed.balancer.remove(killed.address);
    }

    async fn is_awake(&self) {
        self.scene.reaches(&self.observer, 1).await;
    }

    fn was_woken_once(&self) {
        let replicas = self.observer.history().into_iter();
        let replicas = replicas.filter(|seen| matches!(seen, Seen::Replicas(_)));
        let replicas: Vec<_> = replicas.collect();
        assert_eq!(
            replicas,
            [Seen::Replicas(0), Seen::Replicas(1)],
            "{}",
            self.name
        );
    }
}
