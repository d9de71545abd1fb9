//! A write repeated is harmless: lagscale is killed at its n-th write, before the API server hears of it and after it is
//! done, for every n of a story. Its successor ends where nobody was killed, and does nothing a second time.

use std::collections::BTreeMap;

use bed::{Delivery, Gate, Lagscale, Seen, Write, wait};
use futures::join;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DeleteParams;
use lagscale::{
    resources::{ScaledObject, TriggerAuthentication},
    server::API_SERVICE,
};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, Yard, leads, run_behind, ticks},
};

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

/// What happens to one object, in acts.
trait Story {
    const ACTS: usize = 1;
    /// Whether the HPA has to read the metric.
    const SERVED: bool = false;

    /// Makes what is there before the first act.
    async fn set(scene: &Scene<'_>, cast: &Cast);

    async fn act(scene: &Scene<'_>, cast: &Cast, act: usize);

    /// Whether an act has come to its end; else what is there instead.
    async fn over(scene: &Scene<'_>, cast: &Cast, act: usize) -> Result<(), String>;

    /// What happens while nobody is there.
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
    /// What was done apart from statuses, each as often as it was.
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
        // What an HPA says of itself, and who uses an authentication, comes when it comes and is told.
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

/// What `over` looks at: whether everything said is so.
async fn so(
    scene: &Scene<'_>,
    name: &str,
    replicas: i32,
    conditions: &[(&str, &str)],
) -> Result<(), String> {
    let found = workload(scene, name).await.spec.unwrap().replicas;
    if found != Some(replicas) {
        return Err(format!("{found:?} replicas"));
    }
    let object = scene.api::<ScaledObject>().get(name).await.unwrap();
    let status = object.status.unwrap_or_default();
    for (kind, reason) in conditions {
        let mut found = status.conditions.iter();
        if !found.any(|c| c.kind == *kind && c.reason == *reason) {
            return Err(format!("{:?}", status.conditions));
        }
    }
    Ok(())
}

/// A workload with this many replicas whose object has an HPA and is ready, at rest.
async fn ready(scene: &Scene<'_>, cast: &Cast, lag: i64, replicas: i32, spec: &Value) {
    let name = &cast.name;
    scene.commit_lag(name, &cast.topic, 6, 10, lag).await;
    scene.idle(name, replicas).await;
    let trigger = scene.trigger(&cast.topic, name, &json!({}));
    scene.scaled_object(name, &[trigger], spec).await;
    scene.condition(name, "Ready", "True", "").await;
}

/// From nothing to an HPA, from 0 to 1 and from there to 5; then maxReplicaCount is raised to 6.
struct ScaleUp;

impl Story for ScaleUp {
    const ACTS: usize = 2;
    const SERVED: bool = true;

    async fn set(scene: &Scene<'_>, cast: &Cast) {
        scene.commit_lag(&cast.name, &cast.topic, 6, 10, 60).await;
        scene.idle(&cast.name, 0).await;
    }

    async fn act(scene: &Scene<'_>, cast: &Cast, act: usize) {
        let at_once = json!({"policies": [{"type": "Pods", "value": 10, "periodSeconds": 1}]});
        let max = [5, 6][act];
        let spec = json!({
            "minReplicaCount": 0, "maxReplicaCount": max,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": at_once}}},
        });
        let trigger = scene.trigger(&cast.topic, &cast.name, &json!({}));
        scene.scaled_object(&cast.name, &[trigger], &spec).await;
    }

    async fn over(scene: &Scene<'_>, cast: &Cast, act: usize) -> Result<(), String> {
        let conditions = [("Ready", "ScaledObjectReady"), ("Active", "ScalerActive")];
        so(scene, &cast.name, [5, 6][act], &conditions).await
    }
}

/// Lag comes, and stays.
struct Activation;

impl Story for Activation {
    async fn set(scene: &Scene<'_>, cast: &Cast) {
        ready(scene, cast, 0, 0, &json!({"minReplicaCount": 0})).await;
    }

    async fn act(scene: &Scene<'_>, cast: &Cast, _act: usize) {
        scene.commit_lag(&cast.name, &cast.topic, 6, 10, 5).await;
    }

    async fn over(scene: &Scene<'_>, cast: &Cast, _act: usize) -> Result<(), String> {
        so(scene, &cast.name, 1, &[("Active", "ScalerActive")]).await
    }
}

/// Lag comes, and goes while nobody looks: who was woken has its cool-down all the same.
struct Drained;

impl Story for Drained {
    const ACTS: usize = 2;

    async fn set(scene: &Scene<'_>, cast: &Cast) {
        Activation::set(scene, cast).await;
    }

    async fn act(scene: &Scene<'_>, cast: &Cast, act: usize) {
        match act {
            0 => Activation::act(scene, cast, act).await,
            _ => Self::meanwhile(scene, cast).await,
        }
    }

    async fn over(scene: &Scene<'_>, cast: &Cast, act: usize) -> Result<(), String> {
        if act == 0 && !cast.killed {
            return Activation::over(scene, cast, act).await;
        }
        let cooling = so(scene, &cast.name, 1, &[("Active", "ScalerCooldown")]).await;
        if cooling.is_err() && cast.killed {
            return so(scene, &cast.name, 0, &[("Active", "ScalerNotActive")]).await;
        }
        cooling
    }

    async fn meanwhile(scene: &Scene<'_>, cast: &Cast) {
        scene.commit_lag(&cast.name, &cast.topic, 6, 10, 0).await;
    }

    fn as_good(whole: &End, end: &End) -> bool {
        // Killed before it woke anybody, it leaves them asleep.
        let asleep = end.replicas == 0 && end.done.is_empty() && end.hpa == whole.hpa;
        asleep || whole == end
    }
}

/// Paused at another number, and resumed.
struct Pause;

impl Story for Pause {
    const ACTS: usize = 2;

    async fn set(scene: &Scene<'_>, cast: &Cast) {
        ready(scene, cast, 5, 1, &json!({})).await;
    }

    async fn act(scene: &Scene<'_>, cast: &Cast, act: usize) {
        let paused = [json!("3"), Value::Null][act].clone();
        let annotations = json!({"autoscaling.keda.sh/paused-replicas": paused});
        let patch = json!({"metadata": {"annotations": annotations}});
        scene.patch::<ScaledObject>(&cast.name, &patch).await;
    }

    async fn over(scene: &Scene<'_>, cast: &Cast, act: usize) -> Result<(), String> {
        let reason = ["ScaledObjectPaused", "ScaledObjectUnpaused"][act];
        so(scene, &cast.name, 3, &[("Paused", reason)]).await?;
        match scene.hpa(&cast.name).await {
            Some(_) if act == 0 => Err("an HPA".into()),
            None if act == 1 => Err("no HPA".into()),
            _ => Ok(()),
        }
    }
}

/// A workload that sleeps gets back what it had, and KEDA's finalizer is on the authentication too; both are deleted.
struct Deletion;

impl Story for Deletion {
    async fn set(scene: &Scene<'_>, cast: &Cast) {
        let name = &cast.name;
        scene
            .credentials(name, &scene.bed.kafka, bed::Kafka::PASSWORD)
            .await;
        scene.commit_lag(name, &cast.topic, 6, 10, 0).await;
        scene.idle(name, 5).await;
        let mut trigger = scene.trigger(&cast.topic, name, &json!({}));
        trigger["authenticationRef"]["name"] = name.as_str().into();
        let spec = json!({
            "minReplicaCount": 0, "cooldownPeriod": 0, "advanced": {"restoreToOriginalReplicaCount": true},
        });
        scene.scaled_object(name, &[trigger], &spec).await;
        scene.condition(name, "Ready", "True", "").await;
        wait::until("the workload to sleep", PATIENCE, async || {
            so(scene, name, 0, &[]).await
        })
        .await;
        let held = json!({"metadata": {"finalizers": ["finalizer.keda.sh"]}});
        scene.patch::<TriggerAuthentication>(name, &held).await;
        wait::until("KEDA's finalizer to go", PATIENCE, async || {
            let found = scene.api::<TriggerAuthentication>().get(name).await;
            match found.map_err(|e| e.to_string())?.metadata.finalizers {
                None => Ok(()),
                Some(left) => Err(left.join(" ")),
            }
        })
        .await;
    }

    async fn act(scene: &Scene<'_>, cast: &Cast, _act: usize) {
        scene.delete(&cast.name).await;
        let authentications = scene.api::<TriggerAuthentication>();
        authentications
            .delete(&cast.name, &DeleteParams::default())
            .await
            .unwrap();
    }

    async fn over(scene: &Scene<'_>, cast: &Cast, _act: usize) -> Result<(), String> {
        let object = scene.api::<ScaledObject>().get_opt(&cast.name).await;
        let authentication = scene
            .api::<TriggerAuthentication>()
            .get_opt(&cast.name)
            .await;
        let left = [
            object.unwrap().map(|o| o.metadata),
            authentication.unwrap().map(|a| a.metadata),
            scene.hpa(&cast.name).await.map(|h| h.metadata),
        ];
        match left.into_iter().flatten().next() {
            None => match workload(scene, &cast.name).await.spec.unwrap().replicas {
                Some(5) => Ok(()),
                found => Err(format!("{found:?} replicas")),
            },
            Some(left) => Err(format!("{left:?}")),
        }
    }
}
