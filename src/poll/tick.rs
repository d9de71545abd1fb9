//! The order of questions. A group's commits are asked for when it is due, and the ends of its partitions after they came, never
//! the other way round: a commit read first can't lie beyond an end read later, so no lag is negative.
//!
//! Commits that come in are gathered while prompt coordinators still owe theirs, so that each leader is asked once a tick.

use std::{sync::Arc, time::Instant};

use super::{
    batch::batches,
    cluster::Cluster,
    known::{Group, Stage, Topic},
    node::Claim,
    waiting::Obstacle,
};
use crate::{
    kafka::{
        question::Ask,
        requests::{CommitsOf, Partitions},
    },
    snapshot::Taken,
};

/// Groups whose members are asked about with one round of commits: one more request to their coordinator.
const MEMBERS: usize = 20;

impl Cluster {
    /// Gives every free lane its next question. Ends go first: commits wait for them.
    pub(super) fn advance(&mut self, now: Instant) {
        self.groups.begin(now);
        self.ask_seed(now);
        self.route(now);
        let nodes: Vec<i32> = self.brokers.nodes.keys().copied().collect();
        for node in &nodes {
            self.ask_commits(*node);
        }
        self.tell_late(now);
        self.brokers.gather(now);
        for node in nodes {
            self.ask_ends(node);
            self.ask_looks(node);
        }
    }

    /// Hands the waiting groups to their coordinators, as far as it is known who that is and what is to be asked.
    fn route(&mut self, now: Instant) {
        for topic in self.topics.described.drain(..) {
            self.groups.waiting.cleared(&Obstacle::Topic(topic));
        }
        if std::mem::take(&mut self.topics.listing.changed) {
            self.groups.waiting.cleared(&Obstacle::Listing);
        }
        // Commits may be asked for in part while nobody can say what the other topics are.
        let blind = self.brokers.seed.as_ref().is_some_and(|s| {
            let late = |at: Instant| at + self.timing.patience <= now;
            s.rest.is_some() || s.question.as_ref().is_some_and(|q| late(q.asked_at))
        });
        if blind {
            self.groups.waiting.clear_all();
        }
        for group in self.groups.waiting.take() {
            let Some((id, partitions)) = self.asks_of(&group, blind) else {
                continue;
            };
            let every = self.timing.layout_every;
            let known = self.groups.get(&group).and_then(|g| g.members_at);
            let due = partitions.is_none() && known.is_none_or(|at| at + every <= now);
            let members = match self.brokers.node(id, now) {
                Ok(node) => {
                    let members = due && node.members < MEMBERS;
                    node.members += usize::from(members);
                    node.due.push(CommitsOf {
                        group: group.clone(),
                        partitions,
                        members,
                    });
                    members
                }
                Err(trouble) => {
                    self.groups.trouble(&group, &trouble);
                    continue;
                }
            };
            self.groups.waiting.remove(&group);
            if let Some(group) = self.groups.get_mut(&group) {
                group.members_at = if members { Some(now) } else { group.members_at };
                group.stage = Stage::Asked;
            }
        }
    }

    fn ask_commits(&mut self, id: i32) {
        let Some(node) = self.brokers.nodes.get_mut(&id) else {
            return;
        };
        let turn = node.ready.is_empty() || node.ends_last;
        if node.question.is_some() || !turn || !node.has_commits() {
            return;
        }
        if node.batches.is_empty() {
            let known = &self.groups.known;
            let alone = |of: &mut CommitsOf| known.get(&of.group).is_some_and(|g| g.alone);
            node.members = 0;
            let mut due = std::mem::take(&mut node.due);
            let alone: Vec<_> = due.extract_if(.., alone).collect();
            // A broker that can't answer for all topics must not take the others' answer with it.
            let all_topics = due.extract_if(.., |of| of.partitions.is_none()).collect();
            node.batches.extend(batches(due));
            node.batches.extend(batches(all_topics));
            node.batches.extend(alone.into_iter().map(|of| vec![of]));
        }
        let Some(groups) = node.batches.pop_front() else {
            return;
        };
        self.brokers.ask(id, Ask::Commits(groups), Vec::new());
    }

    /// Where and for what a waiting group's commits are asked; `None`: something is waited for first, or there is nothing to ask.
    fn asks_of(&mut self, name: &Arc<str>, blind: bool) -> Option<(i32, Option<Arc<Partitions>>)> {
        let (layouts, topics) = (self.topics.layouts, &self.topics);
        let group = self.groups.get(name)?;
        if group.asks.as_ref().is_none_or(|(l, _)| *l != layouts) {
            if !blind && let Some(obstacle) = topics.obstacle(&group.demand) {
                self.groups.waiting.wait_for(obstacle, name);
                return None;
            }
            let listed = &self.topics.listing.topics;
            let ids = |t: &Arc<str>| topics.get(t).map(Topic::ids);
            // Counted before they are copied: a group that is refused is looked at again and again.
            let pairs = named_of(group, listed, ids).map(|named| named.map(|(_, ids)| ids.len()));
            if let Some(pairs) = pairs.map(Iterator::sum)
                && !self.groups.count_pairs(name, pairs)
            {
                return None;
            }
            let named = named_of(self.groups.get(name)?, listed, ids);
            let asks = named.map(|n| n.map(|(t, ids)| (t.clone(), ids.to_vec())).collect());
            let group = self.groups.get_mut(name)?;
            group.asks = Some((layouts, asks.map(Arc::new)));
        }
        let group = self.groups.get_mut(name)?;
        let (_, asks) = group.asks.clone()?;
        if asks.as_ref().is_some_and(|p| p.is_empty()) {
            if let Some(obstacle) = self.topics.obstacle(&group.demand) {
                self.groups.waiting.wait_for(obstacle, name);
            } else {
                // None of its topics can be described: that is all there is to know of it for now.
                group.stage = Stage::Idle;
                group.polled();
                self.groups.waiting.remove(name);
                self.groups.changed = true;
            }
            return None;
        }
        let coordinator = group.coordinator;
        if coordinator.is_none() {
            self.groups.waiting.lose(name);
        }
        Some((coordinator?, asks))
    }

    fn ask_ends(&mut self, id: i32) {
        let now = Instant::now();
        let Some(node) = self.brokers.nodes.get_mut(&id) else {
            return;
        };
        if node.question.is_some() || node.ready.is_empty() {
            return;
        }
        let ready = std::mem::take(&mut node.ready);
        let (claims, later) = self.next_claims(ready);
        let (mut ends, mut starts) = (Partitions::new(), Partitions::new());
        let mut stable = Partitions::new();
        for claim in &claims {
            ends.entry(claim.topic.clone()).or_default().push(claim.id);
            if self
                .groups
                .get(&claim.group)
                .is_some_and(|g| g.demand.stable)
            {
                stable
                    .entry(claim.topic.clone())
                    .or_default()
                    .push(claim.id);
            }
        }
        for ids in ends.values_mut().chain(stable.values_mut()) {
            ids.sort_unstable();
            ids.dedup();
        }
        for (name, ids) in &ends {
            let Some(topic) = self.topics.get(name) else {
                continue;
            };
            let every = self.timing.starts_every;
            let needs = |id: &&i32| topic.needs_start(**id, every, now);
            let ids: Vec<i32> = ids.iter().filter(needs).copied().collect();
            if !ids.is_empty() {
                starts.insert(name.clone(), ids);
            }
        }
        if let Some(node) = self.brokers.nodes.get_mut(&id) {
            node.ready = later;
        }
        let ask = Ask::Ends {
            ends,
            starts,
            stable,
        };
        self.brokers.ask(id, ask, claims);
    }

    /// The claims to be asked about now, and those to be asked about later because they go alone.
    fn next_claims(&self, ready: Vec<Claim>) -> (Vec<Claim>, Vec<Claim>) {
        let alone = |c: &Claim| {
            let topic = self.topics.get(&c.topic);
            topic.is_some_and(|t| t.is_asked_alone(c.id))
        };
        if !ready.iter().any(alone) {
            return (ready, Vec::new());
        }
        let (alone, together): (Vec<_>, Vec<_>) = ready.into_iter().partition(alone);
        if !together.is_empty() {
            return (together, alone);
        }
        let first = alone.first().map(|c| (c.topic.clone(), c.id));
        let is_first = |c: &Claim| {
            first
                .as_ref()
                .is_some_and(|(t, id)| (t, *id) == (&c.topic, c.id))
        };
        alone.into_iter().partition(is_first)
    }
}

/// The topics that a group's commits are asked for, those that somebody names, each with its partitions; `None`: everything.
fn named_of<'a, 'b>(
    group: &'a Group,
    listed: &'a Taken,
    ids: impl Fn(&Arc<str>) -> Option<&'b [i32]>,
) -> Option<impl Iterator<Item = (&'a Arc<str>, &'b [i32])>> {
    let demand = &group.demand;
    if demand.all_topics {
        return None;
    }
    let taken = listed.by(&demand.patterns);
    let others = taken.filter(|name| !demand.topics.contains(*name));
    let named = demand.topics.iter().chain(others);
    Some(named.filter_map(move |name| {
        let ids = ids(name).filter(|ids| !ids.is_empty())?;
        Some((name, ids))
    }))
}
