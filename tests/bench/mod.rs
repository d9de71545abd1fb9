//! An object with one kafka trigger, readings that a test sets, and a clock that only moves when told.
#![allow(dead_code, reason = "each of its users takes a part")]

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use lagscale::{
    lag::{Moment, Reading, Track},
    resources::{Condition, ScaledObject},
    scaling::{
        Account, Activity, Evaluation, Explanation, Health, Live, Memory, Move, Plan,
        PlannedTrigger, Settings, Source, Surroundings, conditions, evaluate, explain,
    },
    snapshot::{ClusterKey, GroupSnapshot, Slot, Snapshot, Snapshots, TopicSnapshot, Trouble},
    triggers::{self, Parameters, Sources},
};
use serde_json::{Value, json};

const SETTINGS: Settings = Settings {
    max_sample_age: Duration::from_secs(20),
    tolerance_milli: 100,
};

/// An object with one kafka trigger of threshold 5, and a clock that only moves when told.
pub struct Bench {
    pub plan: Plan,
    pub key: ClusterKey,
    pub memory: Memory,
    pub now: Moment,
    pub snapshot: Option<Snapshot>,
    /// What other values of the credential read.
    pub others: Snapshots,
    pub live: Option<Live>,
    /// Replicas of the workload, and those that are ready.
    pub replicas: Option<i32>,
    pub ready: Option<i32>,
}

impl Bench {
    pub fn new(spec: &Value) -> Self {
        Self::with(spec, &json!({}))
    }

    /// The same with more in the trigger's metadata.
    pub fn with(spec: &Value, metadata: &Value) -> Self {
        Self::of(spec, metadata, "")
    }

    /// The same, compared as `metric_type`.
    pub fn of(spec: &Value, metadata: &Value, metric_type: &str) -> Self {
        let mut object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": "app", "namespace": "shop", "uid": "u"},
            "spec": {"scaleTargetRef": {"name": "app"}, "pollingInterval": 5, "triggers": [{
                "type": "kafka", "name": "trigger", "metricType": metric_type,
                "metadata": {"bootstrapServers": "kafka:9092", "consumerGroup": "g", "topic": "t", "lagThreshold": "5"},
            }]},
        });
        for (key, value) in spec.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        for (key, value) in metadata.as_object().into_iter().flatten() {
            object["spec"]["triggers"][0]["metadata"][key] = value.clone();
        }
        let object: Arc<ScaledObject> = Arc::new(serde_json::from_value(object).unwrap());
        let trigger = &object.spec.triggers[0];
        let none = Parameters::new();
        let sources = Sources {
            metadata: &trigger.metadata,
            environment: &none,
            parameters: &none,
        };
        let parsed = triggers::parse("kafka", sources, metric_type).unwrap();
        let source = Source::new(0, parsed);
        let Source::Kafka(kafka) = &source else {
            panic!("a kafka trigger");
        };
        let key = kafka.cluster.clone();
        let triggers = vec![PlannedTrigger::new(trigger, Ok(source))];
        Self {
            plan: Plan::new(object, triggers),
            key,
            memory: Memory::default(),
            now: Moment::now(),
            snapshot: None,
            others: Snapshots::default(),
            live: None,
            replicas: None,
            ready: None,
        }
    }

    /// Time passes.
    pub fn after(&mut self, seconds: u64) {
        let span = Duration::from_secs(seconds);
        self.now.at += span;
        self.now.wall = self.now.wall.checked_add(span).unwrap();
    }

    /// Everything is read anew: committed and end of each partition.
    pub fn read(&mut self, pairs: &[(i64, i64)]) {
        let pairs: BTreeMap<i32, (i64, i64)> = (0..).zip(pairs.iter().copied()).collect();
        self.read_partitions(&pairs);
    }

    /// The same by partition id.
    pub fn read_partitions(&mut self, pairs: &BTreeMap<i32, (i64, i64)>) {
        let reads = self.snapshot.as_ref().map_or(0, |p| p.topics["t"].reads);
        let slots = pairs.iter().map(|(id, (committed, end))| {
            let track = Track::begin(Reading {
                committed: Some(*committed),
                end: *end,
                start: Some(0),
                topic_id: None,
                stable: None,
                leader_epoch: None,
                at: self.now,
            });
            let slot = Slot {
                track: Some(track),
                ..Slot::default()
            };
            (*id, slot)
        });
        let slots: BTreeMap<i32, Slot> = slots.collect();
        let topic = TopicSnapshot {
            partitions: slots.keys().copied().collect(),
            reads: reads + 1,
            ..TopicSnapshot::default()
        };
        let group = GroupSnapshot {
            topics: BTreeMap::from([("t".into(), slots)]),
            read: Some(self.now),
            all: true,
            polled: true,
            ..GroupSnapshot::default()
        };
        self.snapshot = Some(Snapshot {
            topics: HashMap::from([("t".into(), topic)]),
            groups: HashMap::from([("g".into(), group.into())]),
            ..Snapshot::default()
        });
    }

    /// Changes what was read of partition `id`.
    pub fn change(&mut self, id: i32, change: impl FnOnce(&mut Slot)) {
        let snapshot = self.snapshot.as_mut().unwrap();
        let mut group = (*snapshot.groups["g"]).clone();
        let slots = group.topics.get_mut("t").unwrap();
        change(slots.get_mut(&id).unwrap());
        snapshot.groups.insert("g".into(), group.into());
    }

    /// Partition `id` could not be read; its last pair stands.
    pub fn trouble(&mut self, id: i32, text: &str) {
        self.change(id, |slot| slot.trouble = Some(Trouble::passing(text)));
    }

    pub fn evaluate(&mut self) -> Evaluation {
        let mut snapshots = self.others.clone();
        if let Some(snapshot) = self.snapshot.clone() {
            snapshots.insert(self.key.clone(), snapshot.into());
        }
        let around = Surroundings {
            live: self.live.clone(),
            replicas: self.replicas,
            ready: self.ready,
        };
        let (plan, memory) = (&self.plan, &mut self.memory);
        evaluate(plan, &snapshots, &around, memory, SETTINGS, self.now)
    }

    /// What is served, or why nothing is.
    pub fn served(&mut self) -> Result<i64, String> {
        let evaluation = self.evaluate();
        let value = evaluation.metrics[0].value.clone();
        value.map(|v| v.served).map_err(|t| t.text.to_string())
    }

    /// An account of an object that is left as it is, with the HPA controller's tolerance in thousandths.
    pub fn explain(&mut self, tolerance_milli: i64) -> Explanation {
        let evaluation = self.evaluate();
        let around = Surroundings {
            live: self.live.clone(),
            replicas: self.replicas,
            ready: self.ready,
        };
        let account = Account {
            plan: &self.plan,
            evaluation: &evaluation,
            around: &around,
            hpa: None,
            memory: &self.memory,
            activity: &Activity::Idle,
            step: &Move::Stay,
            tolerance_milli,
        };
        explain(&account, self.now)
    }

    /// The HPA follows what is wanted.
    pub fn follow(&mut self) {
        let max = self.evaluate().max;
        self.live = Some(live(max));
    }
}

/// A live HPA with this maxReplicas.
pub fn live(max: i32) -> Live {
    Live {
        max,
        tolerance_milli: None,
        replicas: None,
        scaling_active: None,
    }
}

/// What `Ready` says of an object for which nothing is to be done.
pub fn ready(bench: &mut Bench) -> Condition {
    let evaluation = bench.evaluate();
    let activity = Activity::of(&bench.plan, &evaluation);
    let health = Health::default();
    let all = conditions(
        &bench.plan,
        &evaluation,
        &activity,
        &Move::Stay,
        &health,
        None,
    );
    all.into_iter().find(|c| c.kind == "Ready").unwrap()
}
