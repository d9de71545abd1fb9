//! A cluster around the objects: an API server in memory, brokers that are read when a test says so, a clock that only moves when
//! told, and a process that can be killed and started again.

mod brokers;
mod eyes;
mod forms;
mod tasks;
mod watches;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use prometheus::Registry;
use serde_json::Value;
use tokio::{runtime::Runtime, sync::watch};

use super::{
    super::{Change, Objects, Published, World, world::Contents},
    api_server::{ApiServer, Delivery, State},
};
use crate::{
    controller::{
        credentials::{Content, CredentialRules, Found, Reference},
        stores::Stores,
    },
    lag::Moment,
    scaling::{Settings, table::Table},
    snapshot::ClusterKey,
    telemetry::{Counts, Samples},
};
pub use forms::{kafka, scaled_object};
use watches::{StoreWriters, stores};

pub const SCALED_OBJECTS: &str = "scaledobjects";
pub const HPAS: &str = "horizontalpodautoscalers";
pub const LAG_METRICS: &str = "lagmetrics";
pub const AUTHENTICATIONS: &str = "triggerauthentications";
pub const CLUSTER_AUTHENTICATIONS: &str = "clustertriggerauthentications";

/// The things that triggers name: nothing is missing that is here, and `None` is being read.
pub struct Held {
    pub contents: BTreeMap<Reference, Option<Content>>,
    rules: CredentialRules,
}

impl Contents for Held {
    fn find(&self, reference: &Reference) -> Found<'_> {
        Found::among(&self.contents, reference)
    }

    fn rules(&self) -> &CredentialRules {
        &self.rules
    }
}

/// The groups of a cluster as they were last read: committed and end of each partition of topic `t`.
type Groups = BTreeMap<String, Vec<(i64, i64)>>;

#[allow(
    clippy::struct_excessive_bools,
    reason = "switches of a test, each of its own"
)]
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
    /// Somebody else handles other objects.
    pub shares: bool,
    /// It only looks.
    pub shadow: bool,
    /// Clusters that are asked, with their groups, and whether they are dialled.
    pub asked: BTreeMap<ClusterKey, (BTreeSet<String>, bool)>,
    /// The references that are followed.
    pub followed: BTreeSet<Reference>,
    groups: Groups,
    reads: u64,
    /// Every object is evaluated each second, as if all of them were due.
    pub restless: bool,
    /// The watch brings nothing.
    pub deaf: bool,
    /// The watches of these kinds are late.
    pub late: &'static [&'static str],
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
                rules: CredentialRules::open(),
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
            shares: false,
            shadow: false,
            leads: true,
            asked: BTreeMap::new(),
            followed: BTreeSet::new(),
            groups: BTreeMap::new(),
            reads: 0,
            restless: false,
            deaf: false,
            late: &[],
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

    /// Somebody makes an object; from then on the watches of these kinds are late.
    pub fn put_and_lose_sight(&mut self, kind: &str, object: Value, late: &'static [&'static str]) {
        self.state(|s| s.put(kind, object));
        let changes = self.hear();
        self.late = late;
        self.settle(changes);
    }

    pub fn merge(&mut self, kind: &str, name: &str, patch: &Value) {
        self.state(|s| s.merge(kind, name, patch));
        self.settle(Vec::new());
    }

    pub fn delete(&mut self, kind: &str, name: &str) {
        self.state(|s| s.delete(kind, name));
        self.settle(Vec::new());
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
        self.forget_everything();
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

    /// Everything that the watches bring is taken in.
    pub fn note_all(&mut self) {
        self.settle(Vec::new());
    }

    /// Lets go of everything that the controller knows, and of what it publishes.
    pub fn forget_everything(&mut self) {
        (self.table, self.samples) = Default::default();
        self.objects = objects(&self.table, &self.samples, &self.counts);
    }

    pub fn note(&mut self, change: Change) {
        self.settle(vec![change]);
    }

    /// Whether the watches have brought everything that they may.
    fn is_told(&self) -> bool {
        let due = self
            .heard
            .iter()
            .any(|(kind, _)| !self.late.contains(&kind.as_str()));
        !due && self.state(|s| s.changed.is_empty())
    }

    /// Applies changes, and does what follows until nothing does.
    fn settle(&mut self, mut changes: Vec<Change>) {
        for _ in 0..100 {
            changes.extend(self.hear());
            let world = World {
                stores: &self.stores,
                contents: &self.held,
                leads: self.leads,
                shares: self.shares,
                shadow: self.shadow,
                now: self.now,
            };
            let tasks = self.objects.apply(std::mem::take(&mut changes), world);
            if tasks.is_empty() && self.is_told() {
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
}

fn objects(table: &Arc<Table>, samples: &Arc<Samples>, counts: &Counts) -> Objects {
    let settings = Settings {
        max_sample_age: Duration::from_secs(60),
        tolerance_milli: 100,
        ready_follows_outages: false,
    };
    let published = Published {
        table: table.clone(),
        samples: samples.clone(),
        counts: counts.clone(),
    };
    Objects::new(settings, published)
}
