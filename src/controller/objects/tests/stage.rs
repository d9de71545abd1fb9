//! A cluster around the objects: an API server in memory, brokers that are read when a test says so, a clock that only moves when
//! told, and a process that can be killed and started again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    Client,
    runtime::{
        reflector::{self, store::Writer},
        watcher::Event as Watched,
    },
};
use prometheus::{Registry, TextEncoder};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::watch};

use super::{
    super::{
        Change, Objects, Published, Task, World, demand::Order, keys::ObjectKey, world::Contents,
    },
    api_server::{ApiServer, Delivery, State, merge},
};
use crate::{
    controller::{
        credentials::{Content, CredentialRules, Found, Reference},
        leadership::Lead,
        stores::Stores,
        write::{EventRecorder, Places, Writers, apply, end, release, write_status},
    },
    lag::{Moment, Reading, Track},
    resources::{ClusterTriggerAuthentication, LagMetric, ScaledObject, TriggerAuthentication},
    scaling::{
        Settings,
        table::{Outcome as Answer, Table},
    },
    snapshot::{Changed, ClusterKey, GroupSnapshot, Slot, Snapshot, TopicSnapshot, Trouble},
    telemetry::{Counts, Samples},
};

pub const SCALED_OBJECTS: &str = "scaledobjects";
pub const HPAS: &str = "horizontalpodautoscalers";
pub const LAG_METRICS: &str = "lagmetrics";
pub const AUTHENTICATIONS: &str = "triggerauthentications";
pub const CLUSTER_AUTHENTICATIONS: &str = "clustertriggerauthentications";

/// What triggers name: nothing is missing that is here, and `None` is being read.
pub struct Held {
    pub contents: BTreeMap<Reference, Option<Content>>,
    rules: CredentialRules,
}

impl Contents for Held {
    fn find(&self, reference: &Reference) -> Found<'_> {
        match self.contents.get(reference) {
            Some(Some(content)) => Found::Here(content),
            Some(None) => Found::Waiting,
            None => Found::Missing,
        }
    }

    fn rules(&self) -> &CredentialRules {
        &self.rules
    }
}

struct StoreWriters {
    scaled_objects: Writer<ScaledObject>,
    lag_metrics: Writer<LagMetric>,
    authentications: Writer<TriggerAuthentication>,
    cluster_authentications: Writer<ClusterTriggerAuthentication>,
    hpas: Writer<HorizontalPodAutoscaler>,
}

/// What a cluster was last seen to have, by group: committed and end of each partition of topic `t`.
type Groups = BTreeMap<String, Vec<(i64, i64)>>;

pub struct Stage {
    pub objects: Objects,
    api: ApiServer,
    client: Client,
    pub held: Held,
    pub table: Arc<Table>,
    counts: Counts,
    registry: Registry,
    samples: Arc<Samples>,
    stores: Stores,
    writers: StoreWriters,
    now: Moment,
    begun: Moment,
    runtime: Runtime,
    lead: watch::Sender<Option<Instant>>,
    leads: bool,
    /// Clusters that are asked, with their groups, and whether they are dialled.
    pub asked: BTreeMap<ClusterKey, (BTreeSet<String>, bool)>,
    /// What is followed of what triggers name.
    pub followed: BTreeSet<Reference>,
    groups: Groups,
    reads: u64,
    /// Every object is evaluated each second, as if all of them were due.
    pub restless: bool,
    /// The watch brings nothing.
    pub deaf: bool,
    heard: Vec<(String, String)>,
}

impl Stage {
    /// With workload `app` of one replica.
    pub fn new() -> Self {
        let (stores, writers) = stores();
        let (table, samples) = <(Arc<Table>, Arc<Samples>)>::default();
        let registry = Registry::new();
        let counts = Counts::new(&registry).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let now = Moment::now();
        let (lead, _) = watch::channel(Some(now.at + Duration::from_secs(86_400)));
        let runtime = runtime.unwrap();
        let api = ApiServer::default();
        let client = {
            let _inside = runtime.enter();
            api.client()
        };
        let stage = Self {
            objects: objects(&table, &samples, &counts),
            api,
            client,
            held: Held {
                contents: BTreeMap::new(),
                rules: CredentialRules {
                    namespace: None,
                    cluster_namespace: "own".into(),
                    restricted: false,
                    cluster_needs_hosts: false,
                    files: None,
                    token_life: Duration::from_secs(3600),
                },
            },
            table,
            samples,
            counts,
            registry,
            stores,
            writers,
            now,
            begun: now,
            runtime,
            lead,
            leads: true,
            asked: BTreeMap::new(),
            followed: BTreeSet::new(),
            groups: BTreeMap::new(),
            reads: 0,
            restless: false,
            deaf: false,
            heard: Vec::new(),
        };
        stage.state(|s| s.workloads.insert("app".into(), 1));
        stage
    }

    /// With a ScaledObject `app` of group `g` and topic `t`: lag threshold 5, polling interval 5, and this in its spec.
    pub fn with(spec: &Value) -> Self {
        let mut stage = Self::new();
        stage.put(SCALED_OBJECTS, scaled_object("app", spec));
        stage
    }

    pub fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.api.0.lock().unwrap())
    }

    /// Somebody makes or replaces an object, and everything that follows is done.
    pub fn put(&mut self, kind: &str, object: Value) {
        self.state(|s| s.put(kind, object));
        self.settle(Vec::new());
    }

    pub fn merge(&mut self, kind: &str, name: &str, patch: &Value) {
        self.state(|s| s.merge(kind, name, patch));
        self.settle(Vec::new());
    }

    pub fn delete(&mut self, kind: &str, name: &str) {
        self.state(|s| s.delete(kind, name));
        self.settle(Vec::new());
    }

    /// Brokers tell this of group `g`, whoever asks; the next reads bring it again.
    pub fn read(&mut self, pairs: &[(i64, i64)]) {
        self.read_group("g", pairs);
    }

    pub fn read_group(&mut self, group: &str, pairs: &[(i64, i64)]) {
        self.groups.insert(group.to_owned(), pairs.to_vec());
        self.sample_of(|name| name == group);
    }

    /// Every group is read once more.
    pub fn sample(&mut self) {
        self.sample_of(|_| true);
    }

    fn sample_of(&mut self, is_read: impl Fn(&str) -> bool) {
        self.reads += 1;
        let known: Vec<_> = self
            .asked
            .iter()
            .map(|(key, (groups, _))| (key.clone(), groups.clone()))
            .collect();
        let changes = known.into_iter().filter_map(|(key, groups)| {
            let read: Vec<_> = self
                .groups
                .iter()
                .filter(|(name, _)| groups.contains(*name))
                .collect();
            let mut snapshot = self.snapshot(&read);
            let changed = read
                .iter()
                .map(|(name, _)| name.as_str())
                .filter(|name| is_read(name));
            let changed: Vec<Arc<str>> = changed.map(Into::into).collect();
            (!changed.is_empty()).then(|| {
                snapshot.changed = Changed::Groups(changed);
                Change::Snapshot(key, snapshot.into())
            })
        });
        let changes = changes.collect();
        self.settle(changes);
    }

    /// Nothing could be read of any group, for this reason.
    pub fn outage(&mut self, text: &str) {
        let known: Vec<_> = self
            .asked
            .iter()
            .map(|(key, (groups, _))| (key.clone(), groups.clone()))
            .collect();
        let trouble = Trouble::passing(text);
        let changes = known.into_iter().map(|(key, groups)| {
            let group = |name: String| {
                let snapshot = GroupSnapshot {
                    trouble: Some(trouble.clone()),
                    polled: true,
                    ..GroupSnapshot::default()
                };
                (name.as_str().into(), Arc::new(snapshot))
            };
            let snapshot = Snapshot {
                groups: groups.into_iter().map(group).collect(),
                trouble: Some(trouble.clone()),
                ..Snapshot::default()
            };
            Change::Snapshot(key, snapshot.into())
        });
        let changes = changes.collect();
        self.groups.clear();
        self.settle(changes);
    }

    fn snapshot(&self, read: &[(&String, &Vec<(i64, i64)>)]) -> Snapshot {
        let most = read.iter().map(|(_, pairs)| pairs.len()).max().unwrap_or(0);
        let ids: Arc<[i32]> = (0..i32::try_from(most).unwrap()).collect();
        let groups = read.iter().map(|(name, pairs)| {
            let slots = (0..).zip(pairs.iter()).map(|(id, (committed, end))| {
                let track = Track::begin(Reading {
                    committed: Some(*committed),
                    end: *end,
                    start: Some(0),
                    topic_id: Some([7; 16]),
                    stable: None,
                    leader_epoch: None,
                    at: self.now,
                });
                (
                    id,
                    Slot {
                        track: Some(track),
                        ..Slot::default()
                    },
                )
            });
            let group = GroupSnapshot {
                topics: BTreeMap::from([("t".into(), slots.collect())]),
                read: Some(self.now),
                all: true,
                polled: true,
                ..GroupSnapshot::default()
            };
            (name.as_str().into(), Arc::new(group))
        });
        let topic = TopicSnapshot {
            partitions: ids,
            reads: self.reads,
            ..TopicSnapshot::default()
        };
        Snapshot {
            topics: HashMap::from([("t".into(), topic)]),
            groups: groups.collect(),
            ..Snapshot::default()
        }
    }

    /// Seconds go by; every fifth of them brokers are read.
    pub fn after(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now.later(Duration::from_secs(1));
            if self.seconds().is_multiple_of(5) && !self.groups.is_empty() {
                self.sample();
            }
            self.beat();
        }
    }

    /// Seconds go by without a reading.
    pub fn silence(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now.later(Duration::from_secs(1));
            self.beat();
        }
    }

    fn beat(&mut self) {
        if self.restless {
            let all: Vec<_> = self.objects.records.keys().cloned().collect();
            self.objects.dirty.evaluate(&all);
        }
        self.settle(vec![Change::Beat]);
    }

    /// Seconds since the beginning.
    pub fn seconds(&self) -> u64 {
        self.begun.age(self.now).as_secs()
    }

    /// The process is killed; another one starts after `seconds`.
    pub fn restart(&mut self, seconds: u64) {
        self.begin_anew();
        self.now = self.now.later(Duration::from_secs(seconds));
        self.state(|s| (s.dead, s.kill) = (false, None));
        self.hear();
        self.settle(vec![Change::Everything]);
    }

    fn begin_anew(&mut self) {
        (self.table, self.samples) = Default::default();
        self.objects = objects(&self.table, &self.samples, &self.counts);
        self.asked.clear();
        self.followed.clear();
    }

    /// From the next write on that it does: it is killed by the `nth`, if there are as many.
    pub fn kill_at(&mut self, nth: usize, delivery: Delivery) {
        self.state(|s| s.kill = Some((nth, delivery)));
    }

    pub fn is_dead(&self) -> bool {
        self.state(|s| s.dead)
    }

    /// This replica writes from here on, or writes no more.
    pub fn lead(&mut self, leads: bool) {
        let begins = leads && !self.leads;
        self.leads = leads;
        let until = leads.then(|| Instant::now() + Duration::from_secs(86_400));
        self.lead.send_replace(until);
        self.settle(if begins {
            vec![Change::Leading]
        } else {
            Vec::new()
        });
    }

    pub fn note(&mut self, change: Change) {
        self.settle(vec![change]);
    }

    /// Applies changes, and does what follows until nothing does.
    fn settle(&mut self, mut changes: Vec<Change>) {
        for _ in 0..100 {
            changes.extend(self.hear());
            let world = World {
                stores: &self.stores,
                contents: &self.held,
                leads: self.leads,
                now: self.now,
            };
            let tasks = self.objects.apply(std::mem::take(&mut changes), world);
            if tasks.is_empty() && self.heard.is_empty() && self.state(|s| s.changed.is_empty()) {
                return;
            }
            for task in tasks {
                if !self.is_dead() {
                    changes.extend(self.carry_out(task));
                }
            }
            if changes.is_empty() && self.deaf {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// What the watches bring.
    fn hear(&mut self) -> Vec<Change> {
        let mut changed = self.state(|s| std::mem::take(&mut s.changed));
        self.heard.append(&mut changed);
        if self.deaf {
            return Vec::new();
        }
        let heard: Vec<_> = self.heard.drain(..).collect();
        heard
            .into_iter()
            .map(|(kind, name)| self.watch(&kind, &name))
            .collect()
    }

    fn watch(&mut self, kind: &str, name: &str) -> Change {
        let found = self.state(|s| s.get(kind, name).cloned());
        let writers = &mut self.writers;
        let place = ("shop".to_owned(), name.to_owned());
        match kind {
            SCALED_OBJECTS => {
                tell(&mut writers.scaled_objects, found, name);
                Change::Object(ObjectKey::scaled_object("shop", name))
            }
            LAG_METRICS => {
                tell(&mut writers.lag_metrics, found, name);
                Change::Object(ObjectKey::lag_metric("shop", name))
            }
            AUTHENTICATIONS => {
                tell(&mut writers.authentications, found, name);
                Change::Authentication(place)
            }
            CLUSTER_AUTHENTICATIONS => {
                tell(&mut writers.cluster_authentications, found, name);
                Change::ClusterAuthentication(place.1)
            }
            HPAS => {
                tell(&mut writers.hpas, found, name);
                Change::Hpa(place)
            }
            other => panic!("{other}"),
        }
    }

    fn carry_out(&mut self, task: Task) -> Option<Change> {
        let client = self.client.clone();
        let lead = Lead::until(self.lead.subscribe());
        match task {
            Task::Poll(order) => {
                self.poll(*order);
                None
            }
            Task::Follow(named) => {
                self.followed = named;
                None
            }
            Task::Record(_, event) => {
                self.state(|s| s.events.push(event.reason.to_owned()));
                None
            }
            Task::Work(key, work) => {
                let writers = Writers {
                    events: EventRecorder::new(client.clone()),
                    places: Places::default(),
                    client,
                    lead,
                    counts: self.counts.clone(),
                };
                let work = apply(writers, key, *work);
                self.run(async { Change::Worked(work.await.into()) })
            }
            Task::WriteStatus(write) => {
                let write = write_status(client, lead, *write);
                self.run(async { Change::StatusWritten(write.await) })
            }
            Task::End(object) => {
                let end = end((client, lead), object);
                self.run(async { Change::Released(end.await) })
            }
            Task::Release(held) => {
                let release = release(kube::Api::namespaced(client, "shop"), held, lead);
                self.run(async { Change::Released(release.await) })
            }
            Task::ReleaseCluster(held) => {
                let release = release(kube::Api::all(client), held, lead);
                self.run(async { Change::Released(release.await) })
            }
        }
    }

    /// What `work` comes to, unless the process is killed meanwhile. Waiting takes no time.
    fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let dead = async {
            while !self.is_dead() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        self.runtime.block_on(async {
            let done = tokio::select! {
                done = work => Some(done),
                () = dead => None,
            };
            // Events are recorded by tasks that nobody waits for.
            for _ in 0..32 {
                tokio::task::yield_now().await;
            }
            done
        })
    }

    fn poll(&mut self, order: Order) {
        match order {
            Order::Ask {
                place: (cluster, group),
                ..
            } => {
                let asked = self
                    .asked
                    .entry(cluster)
                    .or_insert_with(|| (BTreeSet::new(), true));
                asked.0.insert(group.to_string());
            }
            Order::Change((cluster, group), None) => {
                let (groups, _) = self.asked.get_mut(&cluster).unwrap();
                groups.remove(&*group);
                if groups.is_empty() {
                    self.asked.remove(&cluster);
                }
            }
            Order::Change(..) | Order::DropHistory(_) => {}
            Order::Retire(cluster) => self.asked.get_mut(&cluster).unwrap().1 = false,
            Order::Restore(cluster, _) => self.asked.get_mut(&cluster).unwrap().1 = true,
        }
    }

    /// What the API serves of a metric: its value in whole records, or why it is withheld; `None` where there is no such metric.
    pub fn served(&self, metric: &str) -> Option<Result<i64, String>> {
        let entries = self.table.find("shop", metric);
        Some(match &entries.first()?.outcome {
            Answer::Value { milli, .. } => Ok(milli / 1000),
            Answer::Withheld(why) => Err(why.to_string()),
        })
    }

    /// Writes since they were asked for last.
    pub fn writes(&self) -> Vec<String> {
        self.state(|s| std::mem::take(&mut s.writes))
    }

    /// Events since they were asked for last.
    pub fn events(&self) -> Vec<String> {
        self.state(|s| std::mem::take(&mut s.events))
    }

    pub fn replicas(&self) -> i32 {
        self.state(|s| s.workloads["app"])
    }

    /// A field of the HPA's spec; null where there is none.
    pub fn hpa(&self, field: &str) -> Value {
        let hpa = self.state(|s| s.get(HPAS, "keda-hpa-app").cloned());
        hpa.map_or(Value::Null, |hpa| hpa["spec"][field].clone())
    }

    pub fn status(&self) -> Value {
        self.state(|s| s.get(SCALED_OBJECTS, "app").unwrap()["status"].clone())
    }

    /// Status, reason and message of a condition of `app`.
    pub fn condition(&self, kind: &str) -> (String, String, String) {
        let status = self.status();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions
            .into_iter()
            .find(|c| c["type"] == kind)
            .unwrap_or_default();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"), text("message"))
    }

    pub fn is_ready(&self) -> bool {
        self.objects.are_ready(self.world())
    }

    /// The explanation of a ScaledObject as JSON.
    pub fn explain(&self, name: &str) -> Option<String> {
        let key = ObjectKey::scaled_object("shop", name);
        let explanation = self.objects.explain(&key, self.world())?;
        Some(serde_json::to_string(&explanation).unwrap())
    }

    fn world(&self) -> World<'_> {
        World {
            stores: &self.stores,
            contents: &self.held,
            leads: self.leads,
            now: self.now,
        }
    }

    /// Evaluations of ScaledObjects so far.
    pub fn evaluations(&self) -> u64 {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather());
        let text = text.unwrap();
        let lines = text
            .lines()
            .filter(|l| l.starts_with("lagscale_evaluations_total"));
        let counts = lines.filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok());
        counts.sum()
    }
}

fn stores() -> (Stores, StoreWriters) {
    let (scaled_objects, scaled_object_writer) = reflector::store();
    let (lag_metrics, lag_metric_writer) = reflector::store();
    let (authentications, authentication_writer) = reflector::store();
    let (cluster_authentications, cluster_authentication_writer) = reflector::store();
    let (hpas, hpa_writer) = reflector::store();
    let stores = Stores {
        scaled_objects,
        lag_metrics,
        authentications,
        cluster_authentications,
        hpas,
    };
    let writers = StoreWriters {
        scaled_objects: scaled_object_writer,
        lag_metrics: lag_metric_writer,
        authentications: authentication_writer,
        cluster_authentications: cluster_authentication_writer,
        hpas: hpa_writer,
    };
    (stores, writers)
}

fn objects(table: &Arc<Table>, samples: &Arc<Samples>, counts: &Counts) -> Objects {
    let settings = Settings {
        max_sample_age: Duration::from_secs(60),
        tolerance_milli: 100,
    };
    let published = Published {
        table: table.clone(),
        samples: samples.clone(),
        counts: counts.clone(),
    };
    Objects::new(settings, published)
}

fn tell<K>(writer: &mut Writer<K>, found: Option<Value>, name: &str)
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + 'static,
{
    if let Some(object) = found {
        let object = serde_json::from_value(object).unwrap();
        return writer.apply_watcher_event(&Watched::Apply(object));
    }
    let reader = writer.as_reader();
    let reference = reflector::ObjectRef::<K>::new(name);
    let known = reader.get(&reference.clone().within("shop"));
    if let Some(known) = known.or_else(|| reader.get(&reference)) {
        writer.apply_watcher_event(&Watched::Delete((*known).clone()));
    }
}

/// A ScaledObject with one kafka trigger, and this in its spec.
pub fn scaled_object(name: &str, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid of {name}"), "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "scaleTargetRef": {"name": name}, "pollingInterval": 5, "cooldownPeriod": 30, "minReplicaCount": 1,
            "triggers": [kafka(&json!({}))],
        },
    });
    merge(&mut object["spec"], spec);
    object
}

/// A kafka trigger with this in its metadata.
pub fn kafka(metadata: &Value) -> Value {
    let mut trigger = json!({"type": "kafka", "metadata": {
        "bootstrapServers": "kafka:9092", "consumerGroup": "g", "topic": "t", "lagThreshold": "5",
    }});
    merge(&mut trigger["metadata"], metadata);
    trigger
}
