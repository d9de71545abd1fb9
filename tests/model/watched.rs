//! One life as the test watches it: the object that reads it, what the oracle knows, and what a reading has to be.

use fixture::Bench;
use std::{collections::BTreeSet, fmt::Write as _, sync::Arc, time::Instant};

use lagscale::{
    lag::{Isolation, Moment, Policy, Track},
    scaling::{Activity, Evaluation, Memory, Plan, Settings, Surroundings, evaluate},
    snapshot::{ClusterKey, GroupDemand, GroupSnapshot, Snapshot, Snapshots},
};
use serde_json::json;

use crate::{
    life::{Life, Mode},
    truth::Truth,
    world::{BROKERS, EVERY, PATIENCE},
};

pub struct Watched {
    pub life: Life,
    pub truth: Truth,
    pub group: Arc<str>,
    pub names: [String; 2],
    plan: Plan,
    memory: Memory,
    last: Option<Arc<GroupSnapshot>>,
    complete: Option<i64>,
    /// When the last thing happened, or was over.
    happened: Instant,
    /// Reads since. Of the first nobody knows whether it was answered before.
    pub reads: BTreeSet<Instant>,
    pub story: String,
}

impl Watched {
    pub fn new(n: usize, life: &Life, key: &ClusterKey) -> Self {
        let names = [format!("t{n}-a"), format!("t{n}-b")];
        let group = format!("g{n}");
        let mut metadata = json!({
            "consumerGroup": group, "lagThreshold": "1",
            "offsetResetPolicy": if life.policy == Policy::Earliest { "earliest" } else { "latest" },
            "isolation": if life.isolation == Isolation::ReadCommitted { "readCommitted" } else { "readUncommitted" },
            "topic": "",
        });
        match life.mode {
            Mode::Named => metadata["topics"] = names.join(",").into(),
            Mode::Pattern => metadata["topics"] = format!("t{n}-.*").into(),
            Mode::All => {}
        }
        let mut plan = Bench::with(&json!({"minReplicaCount": 0}), &metadata).plan;
        plan.triggers[0].kafka_mut().unwrap().cluster = key.clone();
        let truth = Truth::new(life, BROKERS);
        Self {
            life: life.clone(),
            truth,
            group: group.into(),
            names,
            plan,
            memory: Memory::default(),
            last: None,
            complete: None,
            happened: Instant::now(),
            reads: BTreeSet::new(),
            story: String::new(),
        }
    }

    pub fn demand(&self) -> GroupDemand {
        let kafka = &self.plan.triggers[0].kafka().unwrap().kafka;
        GroupDemand::new(&kafka.topics, kafka.isolation, EVERY)
    }

    pub fn begin(&mut self) {
        self.happened = Instant::now();
        self.reads.clear();
    }

    pub fn happen(&mut self, step: usize) {
        if let Some(act) = self.life.acts.get(step) {
            self.truth.act(*act);
            let lag = self.truth.lag();
            let _ = writeln!(
                self.story,
                "  {act:?}: lag {lag:?}, faulty {}",
                self.truth.is_faulty()
            );
        }
    }

    /// Holds a snapshot, if it has something new of this life, against what has to be so at any time.
    pub fn look(
        &mut self,
        key: &ClusterKey,
        snapshot: &Arc<Snapshot>,
        now: Moment,
    ) -> Result<(), String> {
        let Some(group) = snapshot.groups.get(&self.group) else {
            return Ok(());
        };
        if let Some(read) = group.read.filter(|r| r.at > self.happened) {
            self.reads.insert(read.at);
        }
        let before = self.last.replace(group.clone());
        if before.is_some_and(|before| Arc::ptr_eq(&before, group)) {
            return Ok(());
        }
        // A group that is refused is never read: each refusal is a tick.
        if group.trouble.is_some() {
            self.reads.insert(now.at);
        }
        let evaluation = self.evaluate(key, snapshot, now);
        let metric = &evaluation.metrics[0];
        let fresh = self.is_fresh(snapshot, group);
        let whole = metric.partial.is_none();
        if let Ok(value) = &metric.value {
            let least = self.truth.lag().0.min(self.truth.settled().lag().0);
            if whole && fresh && !self.truth.is_faulty() && value.lag < least {
                let known = self.known(snapshot);
                return Err(format!(
                    "{} although it is {least}, as a whole reading{known}",
                    value.lag
                ));
            }
            if let Some(before) = self.complete.filter(|_| !whole)
                && value.lag < before
            {
                return Err(format!(
                    "{} after {before}, because of what is missing: {:?}",
                    value.lag, metric.partial
                ));
            }
            if whole {
                self.complete = Some(value.lag);
            }
        }
        let idle = Activity::of(&self.plan, &evaluation) == Activity::Idle;
        if idle && fresh && !self.truth.is_faulty() && self.truth.lag().0 > 0 {
            return Err(format!("idle beside {:?}", self.truth.lag()));
        }
        Ok(())
    }

    /// Whether all that is known is known of what there is now: read since, and by a description that has it all.
    fn is_fresh(&self, snapshot: &Snapshot, group: &GroupSnapshot) -> bool {
        let Some(first) = self.reads.first() else {
            return false;
        };
        let mut topics = self.names.iter().zip(&self.truth.topics);
        topics.all(|(name, truth)| {
            let described = snapshot.topics.get(name.as_str());
            let partitions = described.map_or(0, |t| t.partitions.len());
            let slots = group.topics.get(name.as_str());
            let Some(slots) = slots.filter(|s| !s.is_empty()) else {
                return true;
            };
            let mut tracks = slots.values().filter_map(|s| s.track);
            let read = |t: Track| t.at.at > *first && !t.is_of_another(Some([truth.id; 16]));
            partitions == truth.logs.len() && tracks.all(read)
        })
    }

    /// Checks everything that has to hold when the ticks are over.
    pub fn judge(&mut self, key: &ClusterKey, snapshot: &Arc<Snapshot>) -> Result<(), String> {
        let evaluation = self.evaluate(key, snapshot, Moment::now());
        let metric = &evaluation.metrics[0];
        let told = metric.value.is_err() || metric.partial.is_some();
        if self.truth.is_told() && !told {
            return Err(format!(
                "{:?}, and nothing is said of what is missing",
                metric.value
            ));
        }
        if self.truth.is_faulty() {
            return Ok(());
        }
        let (least, most) = self.truth.settled().lag();
        let (found, is_right) = match &metric.value {
            Ok(value) => (value.lag.to_string(), (least..=most).contains(&value.lag)),
            Err(trouble) => (trouble.text.to_string(), false),
        };
        if is_right && !told {
            return Ok(());
        }
        Err(format!(
            "{found} ({:?}), to be {least} to {most}{}",
            metric.partial,
            self.known(snapshot)
        ))
    }

    /// The state of it, for a person.
    pub fn known(&self, snapshot: &Snapshot) -> String {
        let group = &snapshot.groups[&self.group];
        let mut known = format!("\n  {:?}", group.trouble);
        for (topic, slots) in &group.topics {
            let _ = write!(known, "\n  {topic}: {:?}", snapshot.topics.get(topic));
            for (id, slot) in slots {
                let track = slot.track.map(|t| {
                    let (c, s, e) = (t.committed, t.start, t.end);
                    format!(
                        "{c:?} {s:?} {e} stable {:?} from {} {:?}",
                        t.stable, t.baseline, t.loss
                    )
                });
                let _ = write!(known, "\n  {topic} {id}: {track:?} {:?}", slot.trouble);
            }
        }
        known
    }

    fn evaluate(&mut self, key: &ClusterKey, snapshot: &Arc<Snapshot>, now: Moment) -> Evaluation {
        let snapshots = {
            let mut snapshots = Snapshots::default();
            snapshots.insert(key.clone(), snapshot.clone());
            snapshots
        };
        let settings = Settings {
            max_sample_age: PATIENCE,
            tolerance_milli: 100,
            ready_follows_outages: false,
        };
        let around = Surroundings::default();
        evaluate(
            &self.plan,
            &snapshots,
            &around,
            &mut self.memory,
            settings,
            now,
        )
    }
}
