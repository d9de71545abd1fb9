//! A write repeated is harmless: lagscale is killed at its n-th write, before the API server hears of it and after it is
//! done, for every n of a story. Its successor ends where nobody was killed, and does nothing a second time.

mod stories;

use std::collections::BTreeMap;

use bed::{Delivery, Gate, Lagscale, Seen, Write, wait};
use futures::join;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DeleteParams;
use lagscale::{resources::ScaledObject, server::API_SERVICE};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, Yard, leads, run_behind, ticks},
};

use stories::{Activation, Deletion, Drained, Pause, ScaleUp};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.counted(
        "killed before and after each write of a scale-up, an activation, a pause and a deletion, lagscale loses nothing and does nothing twice",
        restarts,
    )]
}

async fn restarts(yard: &Yard) {
    join!(
        play::<ScaleUp>(yard, "scale-up"),
        play::<Activation>(yard, "activation"),
        play::<Drained>(yard, "drained"),
        play::<Pause>(yard, "pause"),
        play::<Deletion>(yard, "deletion"),
    );
}

async fn play<S: Story>(yard: &Yard, prefix: &str) {
    let _balancer = if S::SERVED {
        Some(yard.balancer.lock().await)
    } else {
        None
    };
    let scene = Scene::new(&yard.bed, prefix).await;
    let mut stage = Stage::set::<S>(&scene).await;
    let whole = stage.round::<S>("whole", None).await.unwrap();
    for delivery in [Delivery::Before, Delivery::After] {
        for nth in 1.. {
            let name = format!("{delivery:?}-{nth}").to_lowercase();
            let Some(end) = stage.round::<S>(&name, Some((nth, delivery))).await else {
                assert!(nth > 1, "{prefix}: nobody was killed");
                break;
            };
            let as_good = S::as_good(&whole, &end);
            assert!(as_good, "{prefix}, {name}: {end:#?}, whole: {whole:#?}");
        }
    }
}

/// A story of one object, in acts.
trait Story {
    const ACTS: usize = 1;
    /// Whether the HPA has to read the metric.
    const SERVED: bool = false;

    /// Makes what is there before the first act.
    async fn set(scene: &Scene<'_>, cast: &Cast);

    async fn act(scene: &Scene<'_>, cast: &Cast, act: usize);

    /// Whether an act has come to its end; else what is there instead.
    async fn over(scene: &Scene<'_>, cast: &Cast, act: usize) -> Result<(), String>;

    /// The events while nobody is there.
    async fn meanwhile(_scene: &Scene<'_>, _cast: &Cast) {}

    /// Whether a story with a kill in it may end like this.
    fn as_good(whole: &End, end: &End) -> bool {
        whole == end
    }
}

/// The object of one round; group and workload have its name.
struct Cast {
    name: String,
    topic: String,
    killed: bool,
}

/// Where a story ended, the object's name left out.
#[derive(Debug, PartialEq)]
struct End {
    replicas: Value,
    status: Value,
    hpa: Value,
    /// The writes apart from statuses, each as often as it was.
    done: BTreeMap<String, usize>,
}

impl End {
    async fn of(scene: &Scene<'_>, cast: &Cast, writes: &[Write]) -> Self {
        let object = scene.api::<ScaledObject>().get_opt(&cast.name).await;
        let mut status = json!(object.unwrap().and_then(|o| o.status));
        if let Some(time) = status.get_mut("lastActiveTime") {
            *time = "some".into();
        }
        // The HPA's own word, which comes when it comes.
        if let Some(conditions) = status["conditions"].as_array_mut() {
            conditions.retain(|c| c["type"] != "HPAActive");
        }
        let hpa = scene.hpa(&cast.name).await;
        let meta = hpa
            .as_ref()
            .map(|h| (&h.metadata.labels, &h.metadata.annotations));
        let hpa = json!([meta, hpa.as_ref().map(|h| &h.spec)]);
        let nameless = |value: Value| {
            let text = value.to_string().replace(&cast.name, "app");
            serde_json::from_str(&text).unwrap()
        };
        let mut done = BTreeMap::new();
        for write in writes.iter().filter(|w| w.changed && !w.is_status()) {
            let what = format!("{} {}", write.verb, write.resource);
            *done.entry(what).or_default() += 1;
        }
        Self {
            replicas: json!(workload(scene, &cast.name).await.spec.unwrap().replicas),
            status: nameless(status),
            hpa: nameless(hpa),
            done,
        }
    }
}

/// A namespace with a process of lagscale of its own, behind a gate.
struct Stage<'a> {
    scene: &'a Scene<'a>,
    gate: Gate,
    lagscale: Lagscale,
    topic: String,
}

impl<'a> Stage<'a> {
    async fn set<S: Story>(scene: &'a Scene<'a>) -> Self {
        let topic = scene.filled_topic("t", 6, 10).await;
        // Always there, unlike the objects of the rounds: ticks are counted by it.
        scene.commit_lag("metronome", &topic, 6, 10, 0).await;
        scene.idle("metronome", 1).await;
        let trigger = scene.trigger(&topic, "metronome", &json!({}));
        scene
            .scaled_object("metronome", &[trigger], &json!({}))
            .await;
        let gate = Gate::start(&scene.bed.control_plane, scene.bed.dir()).await;
        let lagscale = launch::<S>(scene, &gate).await;
        Self {
            scene,
            gate,
            lagscale,
            topic,
        }
    }

    /// One story with an object of its own; `None` if there are fewer writes in it than were to be let through.
    async fn round<S: Story>(
        &mut self,
        name: &str,
        kill: Option<(usize, Delivery)>,
    ) -> Option<End> {
        let scene = self.scene;
        let mut cast = Cast {
            name: name.into(),
            topic: self.topic.clone(),
            killed: false,
        };
        S::set(scene, &cast).await;
        self.quiet().await;
        let observer = scene.observe(name).await;
        let before = self.gate.writes().len();
        if let Some((nth, delivery)) = kill {
            self.gate.close_at(nth, delivery);
        }
        for act in 0..S::ACTS {
            S::act(scene, &cast, act).await;
            let killed = tokio::select! {
                () = self.to_the_end::<S>(&cast, act) => false,
                () = self.gate.closed() => true,
            };
            if killed {
                cast.killed = true;
                self.lagscale.child.kill();
                scene.bed.balancer.remove(self.lagscale.address);
                S::meanwhile(scene, &cast).await;
                self.gate.open();
                self.lagscale = launch::<S>(scene, &self.gate).await;
                self.to_the_end::<S>(&cast, act).await;
            }
        }
        self.gate.open();
        let writes = &self.gate.writes()[before..];
        // A conflict is somebody else who was faster, such as the HPA controller; it is decided anew.
        let wasted = writes.iter().filter(|w| !w.changed && w.code != 409);
        let wasted: Vec<_> = wasted.collect();
        assert!(
            wasted.is_empty(),
            "{} {name}: {wasted:?} of {writes:#?}",
            scene.namespace
        );
        // The HPA's own word, and who uses an authentication, comes when it comes and is told.
        let other = |w: &&Write| !w.name.ends_with(name) && !w.is_status();
        let strangers = writes.iter().filter(other);
        assert_eq!(
            strangers.count(),
            0,
            "{} {name}: {writes:#?}",
            scene.namespace
        );
        let replicas = observer.history().into_iter().filter_map(|s| match s {
            Seen::Replicas(n) => Some(n),
            _ => None,
        });
        let replicas: Vec<_> = replicas.collect();
        assert!(
            replicas.is_sorted(),
            "{} {name}: {replicas:?}",
            scene.namespace
        );
        let end = End::of(scene, &cast, writes).await;
        let _: Result<_, _> = scene
            .api::<ScaledObject>()
            .delete(name, &DeleteParams::default())
            .await;
        let _: Result<_, _> = scene
            .api::<Deployment>()
            .delete(name, &DeleteParams::default())
            .await;
        (cast.killed == kill.is_some()).then_some(end)
    }

    async fn to_the_end<S: Story>(&self, cast: &Cast, act: usize) {
        let what = format!("act {act} of {} in {}", cast.name, self.scene.namespace);
        wait::until(&what, PATIENCE, async || {
            S::over(self.scene, cast, act).await
        })
        .await;
        self.quiet().await;
    }

    /// Waits until everything was read twice more and nothing was written.
    async fn quiet(&self) {
        loop {
            let before = self.gate.writes().len();
            ticks(&self.lagscale, 2).await;
            if self.gate.writes().len() == before {
                return;
            }
        }
    }
}

async fn launch<S: Story>(scene: &Scene<'_>, gate: &Gate) -> Lagscale {
    let namespace = format!("--namespace={}", scene.namespace);
    let mut lagscale = run_behind(scene.bed, gate, &[&namespace]);
    if !S::SERVED {
        scene.bed.balancer.remove(lagscale.address);
    }
    lagscale.ready().await;
    leads(&lagscale).await;
    if S::SERVED {
        scene.bed.available(API_SERVICE).await;
    }
    lagscale
}

async fn workload(scene: &Scene<'_>, name: &str) -> Deployment {
    scene.api().get(name).await.unwrap()
}
