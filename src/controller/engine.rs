//! The engine: one task that owns every object. Watches, pictures and finished writes come in; demand, the API's table
//! and new writes go out. A turn never waits for Kafka or the API server.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    Api, Client, ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::sync::{mpsc, watch};

use super::{
    apply::{ObjectKey, Outcome, apply},
    credentials::{CredentialRules, Credentials, News},
    lookup::Lookup,
    object::{Object, live},
    publish::publish,
    release::{is_held, release, release_authentications},
    resolve::{Resolved, resolve},
    watches::Watches,
};
use crate::{
    lag::Moment,
    poll::{ClusterDemand, ClusterKey, Demand, Manager, Picture, Timing},
    resources::ScaledObject,
    scaling::{Plan, Settings, Source, evaluate, table::Table},
    telemetry::Sample,
};

/// Changes that come in a burst are looked at together.
const TOGETHER: Duration = Duration::from_millis(20);
/// Cool-downs, ages and retries are looked at this often.
const BEAT: Duration = Duration::from_secs(1);

/// What the controller works with.
pub struct Parts {
    /// To the API server.
    pub client: Client,
    /// What is watched, and where credentials may come from.
    pub rules: CredentialRules,
    /// Of every evaluation.
    pub settings: Settings,
    /// Of every poll.
    pub timing: Timing,
    /// Where the external metrics API reads.
    pub table: Arc<ArcSwap<Table>>,
    /// Where `/metrics` reads.
    pub samples: Arc<ArcSwap<Vec<Sample>>>,
    /// Becomes true once: caches are synced and every cluster's first poll is over.
    pub ready: watch::Sender<bool>,
}

/// The controller's state.
pub struct Controller {
    parts: Parts,
    watches: Watches,
    credentials: Credentials,
    news: mpsc::UnboundedReceiver<News>,
    manager: Manager,
    arrived: mpsc::UnboundedReceiver<(ClusterKey, Arc<Picture>)>,
    pictures: BTreeMap<ClusterKey, Arc<Picture>>,
    objects: BTreeMap<ObjectKey, Object>,
    waiting: BTreeSet<ObjectKey>,
    done: (
        mpsc::UnboundedSender<Outcome>,
        mpsc::UnboundedReceiver<Outcome>,
    ),
}

impl Controller {
    /// Begins to watch.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let (news_in, news) = mpsc::unbounded_channel();
        let (pictures, arrived) = mpsc::unbounded_channel();
        Self {
            watches: Watches::start(&parts.client, parts.rules.namespace.as_deref()),
            credentials: Credentials::new(parts.client.clone(), parts.rules.clone(), news_in),
            news,
            manager: Manager::new(parts.timing, pictures),
            arrived,
            pictures: BTreeMap::new(),
            objects: BTreeMap::new(),
            waiting: BTreeSet::new(),
            done: mpsc::unbounded_channel(),
            parts,
        }
    }

    /// The watched ScaledObjects and HPAs, for others to read.
    #[must_use]
    pub fn stores(&self) -> (Store<ScaledObject>, Store<HorizontalPodAutoscaler>) {
        (self.watches.objects.clone(), self.watches.hpas.clone())
    }

    /// Runs until `stop` turns true.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            synced = self.watches.synced() => if !synced { return },
            _ = stop.wait_for(|s| *s) => return,
        }
        tracing::info!("watches are synced");
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.plan();
        loop {
            let mut replan = false;
            tokio::select! {
                () = self.watches.changed.notified() => replan = true,
                Some(news) = self.news.recv() => replan = self.credentials.take(news).is_some(),
                Some((key, picture)) = self.arrived.recv() => {
                    self.pictures.insert(key, picture);
                }
                Some(outcome) = self.done.1.recv() => self.finished(outcome),
                () = self.watches.hpas_changed.notified() => {}
                _ = beat.tick() => self.credentials.refresh(),
                _ = stop.wait_for(|s| *s) => return,
            }
            tokio::time::sleep(TOGETHER).await;
            while let Ok(news) = self.news.try_recv() {
                replan |= self.credentials.take(news).is_some();
            }
            while let Ok((key, picture)) = self.arrived.try_recv() {
                self.pictures.insert(key, picture);
            }
            while let Ok(outcome) = self.done.1.try_recv() {
                self.finished(outcome);
            }
            if replan {
                self.plan();
            }
            self.turn();
        }
    }

    /// Plans anew what changed, and what is asked of Kafka with it.
    fn plan(&mut self) {
        let mut named = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let now = Moment::now();
        self.waiting.clear();
        for object in self.watches.objects.state() {
            let key = (object.namespace().unwrap_or_default(), object.name_any());
            seen.insert(key.clone());
            if object.metadata.deletion_timestamp.is_some() {
                self.objects.remove(&key);
                if is_held(&*object) {
                    let api = Api::namespaced(self.parts.client.clone(), &key.0);
                    tokio::spawn(release(api, object));
                }
                continue;
            }
            let lookup = Lookup {
                watches: &self.watches,
                credentials: &self.credentials,
            };
            let Resolved {
                plan,
                references,
                waiting,
            } = resolve(object, &lookup);
            named.extend(references);
            if waiting {
                self.waiting.insert(key);
                continue;
            }
            self.adopt(key, plan, now);
        }
        self.objects.retain(|key, _| seen.contains(key));
        release_authentications(&self.parts.client, &self.watches);
        self.credentials.follow(named);
        let demand = self.demand();
        self.pictures.retain(|key, _| demand.contains_key(key));
        self.manager.demand(demand);
    }

    fn adopt(&mut self, key: ObjectKey, plan: Plan, now: Moment) {
        let plan = Arc::new(plan);
        match self.objects.get_mut(&key) {
            Some(object) if object.plan.object.uid() == plan.object.uid() => {
                let old = &object.plan.object.spec;
                if old.scale_target_ref != plan.object.spec.scale_target_ref {
                    object.looked = None;
                    object.target = None;
                }
                if old != &plan.object.spec {
                    object.retry_at = None;
                    object.step_retry_at = None;
                    object.failures = 0;
                }
                object.plan = plan;
            }
            _ => {
                self.objects.insert(key, Object::new(plan, now.wall));
            }
        }
    }

    fn demand(&self) -> Demand {
        let mut demand = Demand::new();
        for object in self.objects.values() {
            let plan = &object.plan;
            for source in plan.triggers.iter().filter_map(|t| t.source.as_ref().ok()) {
                let Source::Kafka { kafka, cluster, .. } = source else {
                    continue;
                };
                if kafka.withheld.is_some() || plan.problem.is_some() {
                    continue;
                }
                demand
                    .entry(cluster.clone())
                    .or_insert_with(|| ClusterDemand {
                        security: kafka.security.clone().into(),
                        groups: BTreeMap::new(),
                    })
                    .add(&kafka.group, &kafka.topics, plan.sample_interval());
            }
        }
        demand
    }

    /// Evaluates every object, publishes the table, and begins the writes that follow.
    fn turn(&mut self) {
        let now = Moment::now();
        let mut table = Table::default();
        let mut samples = Vec::new();
        let mut polled = self.waiting.is_empty();
        for (key, object) in &mut self.objects {
            let plan = object.plan.clone();
            let hpa = self.watches.hpas.get(&hpa_ref(&plan));
            let (pictures, settings) = (&self.pictures, self.parts.settings);
            let seen = live(hpa.as_deref());
            let evaluation = evaluate(
                &plan,
                pictures,
                seen.as_ref(),
                &mut object.memory,
                settings,
                now,
            );
            polled &= evaluation.polled || plan.problem.is_some();
            publish(&plan, &evaluation, now.wall, &mut table);
            samples.extend(Sample::of(&plan, &evaluation));
            let former = object.former_hpa().and_then(|name| {
                let reference = ObjectRef::new(name).within(&plan.namespace);
                self.watches.hpas.get(&reference)
            });
            if let Some(work) = object.work(&evaluation, hpa.as_deref(), former.as_deref(), now) {
                object.working = true;
                let (client, done) = (self.parts.client.clone(), self.done.0.clone());
                tokio::spawn(apply(client, key.clone(), work, done));
            }
        }
        self.parts.table.store(Arc::new(table));
        self.parts.samples.store(Arc::new(samples));
        if polled {
            self.parts
                .ready
                .send_if_modified(|ready| !std::mem::replace(ready, true));
        }
    }

    fn finished(&mut self, outcome: Outcome) {
        let Some(object) = self.objects.get_mut(&outcome.key) else {
            return;
        };
        object.working = false;
        object.settle(&outcome);
        if outcome.stored.is_some() {
            object.hpa_stored = outcome.stored;
        }
        if outcome.status.is_some() {
            object.status_stored = outcome.status;
        }
        if let Some(target) = outcome.target {
            object.target = Some(target);
        }
        if let (Some(replicas), Some(Ok(target))) = (outcome.replicas, &mut object.target) {
            target.replicas = replicas;
            target.at = Instant::now();
        }
        if outcome.wrote || outcome.step_error.is_some() {
            object.write_error = outcome.error.or(outcome.step_error);
        }
    }
}

fn hpa_ref(plan: &Plan) -> ObjectRef<HorizontalPodAutoscaler> {
    ObjectRef::new(&plan.hpa_name).within(&plan.namespace)
}
