//! One tick: metadata where it is due, commits from all coordinators side by side, then ends from all leaders side by
//! side, never the other way round (a commit read first can't lie beyond an end read later, so no lag is negative).

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    cluster::{Cluster, Group},
    picture::Trouble,
};
use crate::kafka::{
    Address,
    lane::{Ask, LaneId},
    requests::{CommitsOf, Partitions},
};

/// Groups due this soon go along: one request instead of two.
const TOGETHER: Duration = Duration::from_millis(250);

impl Cluster {
    pub(super) async fn tick(&mut self) {
        while let Some(done) = self.done_already() {
            self.absorb(done);
        }
        // Ends that came late still find their commits here.
        self.pair_up();
        let due = self.due_groups();
        self.describe().await;
        if self.layout_at.is_some() {
            self.find_coordinators(&due).await;
            self.read_commits(&due).await;
            // Commits may be the first to name a topic.
            if self
                .wanted_topics()
                .iter()
                .any(|t| !self.topics.contains_key(t))
            {
                self.describe().await;
            }
            self.read_ends().await;
            self.pair_up();
        }
        for name in due {
            if let Some(group) = self.groups.get_mut(&name)
                && !group.polled
            {
                group.polled = true;
                group.dirty = true;
            }
        }
    }

    fn due_groups(&mut self) -> Vec<Arc<str>> {
        let now = Instant::now();
        let mut due = Vec::new();
        for (name, group) in &mut self.groups {
            if group.due <= now + TOGETHER {
                group.due = now + group.demand.every;
                due.push(name.clone());
            }
        }
        due
    }

    /// Waits until `numbers` are answered; with `patience`, no longer than that.
    async fn wait(&mut self, mut numbers: HashSet<u64>, patience: Option<Duration>) {
        let until = patience.map(|p| Instant::now() + p);
        while !numbers.is_empty() {
            let Some(done) = self.next_done(until).await else {
                return;
            };
            numbers.remove(&done.number);
            self.absorb(done);
        }
    }

    /// Puts a question to a lane; `None` if the lane still has one.
    fn ask(&mut self, id: LaneId, candidates: Arc<[Address]>, ask: Ask) -> Option<u64> {
        self.number += 1;
        let number = self.number;
        self.lane(id).ask(number, candidates, ask).then_some(number)
    }

    fn seeds(&self) -> Arc<[Address]> {
        let mut seeds: Vec<_> = self.key.bootstrap.to_vec();
        // With every bootstrap address gone, a broker we know may still tell.
        for address in self.brokers.values() {
            if !seeds.contains(address) {
                seeds.push(address.clone());
            }
        }
        seeds.into()
    }

    /// Every topic that somebody names or that the commits asked for in full name.
    fn wanted_topics(&self) -> BTreeSet<Arc<str>> {
        let mut wanted: BTreeSet<Arc<str>> = BTreeSet::new();
        for group in self.groups.values() {
            wanted.extend(group.demand.topics.iter().cloned());
            if group.demand.all_topics {
                wanted.extend(group.slots.keys().cloned());
                let commits = group.commits.iter();
                wanted.extend(commits.flat_map(|c| c.topics.keys().cloned()));
            }
        }
        wanted
    }

    async fn describe(&mut self) {
        let wanted = self.wanted_topics();
        self.topics.retain(|name, _| wanted.contains(name));
        let age = self.layout_at.map(|at| at.elapsed());
        let unknown = wanted.iter().any(|t| !self.topics.contains_key(t));
        let due = age.is_none_or(|age| age >= self.timing.layout_every);
        if !(due || unknown || self.stale) {
            return;
        }
        let topics = wanted.into_iter().collect();
        let Some(number) = self.ask(LaneId::Seed, self.seeds(), Ask::Layout(topics)) else {
            return;
        };
        if age.is_none() {
            // Without a first description there is nothing else to do.
            self.wait(HashSet::from([number]), None).await;
        } else if unknown || self.stale {
            self.wait(HashSet::from([number]), Some(self.timing.patience))
                .await;
        }
    }

    async fn find_coordinators(&mut self, due: &[Arc<str>]) {
        let lost = |name: &&Arc<str>| {
            let group = self.groups.get(*name);
            group.is_some_and(|g| g.coordinator.is_none())
        };
        let groups: Vec<_> = due.iter().filter(lost).cloned().collect();
        if groups.is_empty() {
            return;
        }
        if let Some(number) = self.ask(LaneId::Seed, self.seeds(), Ask::Coordinators(groups)) {
            let patience = self.timing.patience;
            self.wait(HashSet::from([number]), Some(patience)).await;
        }
    }

    async fn read_commits(&mut self, due: &[Arc<str>]) {
        let mut by_node: BTreeMap<i32, Vec<CommitsOf>> = BTreeMap::new();
        for name in due {
            let Some(group) = self.groups.get(name) else {
                continue;
            };
            let Some(node) = group.coordinator else {
                continue;
            };
            let partitions = self.partitions_of(group);
            if partitions.as_ref().is_some_and(|p| p.is_empty()) {
                continue;
            }
            by_node.entry(node).or_default().push(CommitsOf {
                group: name.clone(),
                partitions,
            });
        }
        let mut numbers = HashSet::new();
        for (node, groups) in by_node {
            let names: Vec<_> = groups.iter().map(|g| g.group.clone()).collect();
            match self.ask_node(node, Ask::Commits(groups)) {
                Ok(Some(number)) => drop(numbers.insert(number)),
                // Its answer to the last question says how it is, or the end of its patience does.
                Ok(None) => {}
                Err(trouble) => {
                    for name in names {
                        self.trouble_group(&name, trouble.clone());
                    }
                }
            }
        }
        self.wait(numbers, Some(self.timing.patience)).await;
    }

    async fn read_ends(&mut self) {
        let mut by_node: BTreeMap<i32, (Partitions, Partitions)> = BTreeMap::new();
        let mut wanted: BTreeMap<Arc<str>, BTreeSet<i32>> = BTreeMap::new();
        for group in self.groups.values() {
            for (topic, ids) in self.unpaired(group) {
                wanted.entry(topic).or_default().extend(ids);
            }
        }
        for (name, ids) in wanted {
            let Some(topic) = self.topics.get_mut(&name) else {
                continue;
            };
            let Some(layout) = &topic.layout else {
                continue;
            };
            let due = topic
                .starts_at
                .is_none_or(|at| at.elapsed() >= self.timing.starts_every);
            if due {
                topic.starts_at = Some(Instant::now());
            }
            for id in ids {
                let Some(leader) = layout.partitions.get(&id).and_then(|p| p.leader) else {
                    self.stale = true;
                    continue;
                };
                let (ends, starts) = by_node.entry(leader).or_default();
                ends.entry(name.clone()).or_default().push(id);
                if due || !topic.starts.contains_key(&id) {
                    starts.entry(name.clone()).or_default().push(id);
                }
            }
        }
        let mut numbers = HashSet::new();
        for (node, (ends, starts)) in by_node {
            let asked = ends.clone();
            match self.ask_node(node, Ask::Ends { ends, starts }) {
                Ok(Some(number)) => drop(numbers.insert(number)),
                Ok(None) => {}
                Err(trouble) => self.trouble_ends(&asked, &trouble, Instant::now()),
            }
        }
        self.wait(numbers, Some(self.timing.patience)).await;
    }

    /// The question's number; `None` if the broker still has not answered the last one.
    fn ask_node(&mut self, node: i32, ask: Ask) -> Result<Option<u64>, Trouble> {
        let Some(address) = self.brokers.get(&node).cloned() else {
            self.stale = true;
            let text = format!("the cluster names broker {node} but not its address");
            return Err(Trouble::passing(text));
        };
        Ok(self.ask(LaneId::Node(node), [address].into(), ask))
    }

    /// What a group's commits are asked for: every partition of the topics that somebody names, or everything.
    pub(super) fn partitions_of(&self, group: &Group) -> Option<Arc<Partitions>> {
        if group.demand.all_topics {
            return None;
        }
        let named = group.demand.topics.iter().filter_map(|name| {
            let layout = self.topics.get(name)?.layout.as_ref()?;
            let ids: Vec<_> = layout.partitions.keys().copied().collect();
            (!ids.is_empty()).then(|| (name.clone(), ids))
        });
        Some(Arc::new(named.collect()))
    }
}
