//! Pairs of commits and ends: an end counts only for commits that were read before it was asked for, and what is not
//! there yet keeps its last pair.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use kafka_protocol::ResponseError;

use super::{
    cluster::{Cluster, MOST_PAIRS},
    known::{Held, Stage},
    node::Claim,
    picture::{Looked, Slot, Trouble},
    words::partition_trouble,
};
use crate::{
    kafka::requests::{LogOffset, Offsets, Partitions, commits::TopicCommits},
    lag::{Moment, Reading, Track},
};

impl Cluster {
    /// A group's commits: `asked` for by name, or all there are.
    pub(super) fn take_group(
        &mut self,
        name: &Arc<str>,
        asked: Option<&Partitions>,
        commits: TopicCommits,
        read: Moment,
    ) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        group.stage = Stage::Idle;
        group.held = None;
        if group.asks.is_none() {
            // What is asked of it changed meanwhile.
            group.due = Instant::now();
            self.next_due = Some(group.due);
        }
        let mut wanted: BTreeSet<Arc<str>> = BTreeSet::new();
        if let Some(asked) = asked {
            wanted.extend(asked.keys().cloned());
        } else {
            // One that is remembered, or named by somebody else, may be gone.
            let gone = |t: &&Arc<str>| self.topics.get(*t).is_some_and(|t| t.gone);
            let named = group.demand.topics.iter().filter(|t| !gone(t));
            wanted.extend(commits.keys().chain(named).cloned());
            // A topic whose commits are gone is still the group's, until it is gone itself.
            let gone = |t: &&Arc<str>| self.topics.get(*t).is_none_or(|t| t.gone);
            let before = group.picture.topics.keys().filter(|t| !gone(t));
            wanted.extend(before.cloned());
            let described = |t: &&Arc<str>| self.topics.contains_key(*t);
            let history = group.history.iter().flat_map(|h| h.topics.keys());
            wanted.extend(history.filter(|t| !described(t) || !gone(t)).cloned());
        }
        let picture = group.change();
        picture.trouble = None;
        picture.read = Some(read);
        picture.topics.retain(|topic, _| wanted.contains(topic));
        if asked.is_none() {
            let ids = wanted.iter().filter_map(|t| self.topics.get(t));
            let pairs = ids.map(|t| t.ids().len()).sum();
            if !self.count_pairs(name, pairs) {
                return;
            }
        }
        self.claim(name, wanted, commits, read);
    }

    /// How many partitions a group is read in; `false`, with the reason told, if that is more than are read of a cluster.
    pub(super) fn count_pairs(&mut self, name: &Arc<str>, pairs: usize) -> bool {
        let Some(group) = self.groups.get_mut(name) else {
            return false;
        };
        let others = self.pairs - group.pairs;
        let fits = others + pairs <= MOST_PAIRS;
        group.pairs = if fits { pairs } else { 0 };
        self.pairs = others + group.pairs;
        if !fits {
            group.change().topics.clear();
            let text = format!(
                "group {name}: its {pairs} partitions and the {others} that are read already are more than the {MOST_PAIRS} that are read of a cluster"
            );
            self.trouble_group(name, &Trouble::passing(text));
        }
        fits
    }

    /// Sends each commit in `wanted` to the leader of its partition.
    pub(super) fn claim(
        &mut self,
        name: &Arc<str>,
        wanted: BTreeSet<Arc<str>>,
        commits: TopicCommits,
        read: Moment,
    ) {
        let (mut claims, mut troubles) = (Vec::new(), Vec::new());
        let (mut held, mut undescribed) = (BTreeSet::new(), None);
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let explicit = !group.demand.all_topics;
        for topic_name in wanted {
            let topic = self.topics.get(&topic_name);
            let Some(topic) = topic.filter(|t| t.layout.is_some()) else {
                let known = topic.and_then(|t| t.picture.trouble.clone());
                // It is somebody else's, who is told by the topic itself.
                if known.is_some() && !explicit && !commits.contains_key(&topic_name) {
                    continue;
                }
                if known.is_none() {
                    self.describe.insert(topic_name.clone());
                }
                let text = || format!("topic {topic_name}: it has not been described yet");
                let why = known.unwrap_or_else(|| Trouble::passing(text()));
                undescribed.get_or_insert(why);
                held.insert(topic_name);
                continue;
            };
            let of_topic = commits.get(&topic_name);
            for id in topic.ids() {
                let claim = |committed| Claim {
                    group: name.clone(),
                    topic: topic_name.clone(),
                    id: *id,
                    committed,
                    read,
                };
                match of_topic.and_then(|t| t.get(id)) {
                    Some(Err(code)) => {
                        troubles.push((claim(None), partition_trouble(&topic_name, *id, *code)));
                    }
                    // Asked for everything, a coordinator lists what has a commit.
                    None if explicit => {
                        let what = "the coordinator left it out of its answer";
                        troubles.push((claim(None), passing(&topic_name, *id, what)));
                    }
                    found => {
                        let committed = found.and_then(|c| c.as_ref().ok().copied().flatten());
                        claims.push((topic.leader(*id), claim(committed)));
                    }
                }
            }
        }
        if let Some(trouble) = undescribed {
            group.change().trouble = Some(trouble);
            group.held = Some(Held {
                commits,
                topics: held,
                read,
            });
            self.holding.insert(name.clone());
        } else if group.picture.trouble.is_some() {
            group.change().trouble = None;
        }
        if claims.is_empty() {
            group.polled();
        }
        for (claim, trouble) in troubles {
            self.trouble_pair(&claim.group, &claim.topic, claim.id, trouble);
        }
        self.distribute(claims);
    }

    fn distribute(&mut self, claims: Vec<(Option<i32>, Claim)>) {
        let now = Instant::now();
        for (leader, claim) in claims {
            let topic = self.topics.get(&claim.topic);
            if topic.is_some_and(|t| t.is_taken_for_empty(claim.id)) {
                self.take_empty(&claim);
                continue;
            }
            let Some(leader) = leader else {
                let trouble = passing(&claim.topic, claim.id, "it has no leader at the moment");
                self.trouble_claims(vec![claim], &trouble);
                continue;
            };
            match self.node(leader, now) {
                Ok(node) => {
                    node.gathered.push(claim);
                    self.gathering.get_or_insert(now + self.timing.patience);
                }
                Err(trouble) => self.trouble_claims(vec![claim], &trouble),
            }
        }
    }

    /// The ends that a leader answers, and what it leaves out.
    pub(super) fn take_ends(
        &mut self,
        asked: &Partitions,
        claims: Vec<Claim>,
        ends: &Offsets,
        starts: &Offsets,
        last_stable: &Offsets,
    ) {
        self.dirty();
        let mut stale = Vec::new();
        for (name, ids) in asked {
            let Some(topic) = self.topics.get_mut(name) else {
                continue;
            };
            if let Some(starts) = starts.get(name) {
                topic.starts_at = Some(Instant::now());
                let good = starts.iter();
                let good = good.filter_map(|(id, s)| Some((*id, s.as_ref().ok()?.offset)));
                topic.starts.extend(good);
            }
            let found = ends.get(name);
            for id in ids {
                let end = found.and_then(|f| f.get(id));
                if topic.answered(*id, end.is_some()) {
                    tracing::warn!(
                        topic = &**name,
                        partition = id,
                        "its leader leaves it out of every answer without saying why: taken for empty"
                    );
                }
                if let Some(Err(code)) = end
                    && is_stale(*code)
                {
                    stale.push(name.clone());
                }
            }
        }
        for name in stale {
            self.stale(&name);
        }
        for claim in claims {
            let end = ends.get(&claim.topic).and_then(|t| t.get(&claim.id));
            match end {
                Some(Ok(end)) => {
                    let found = last_stable.get(&claim.topic).and_then(|t| t.get(&claim.id));
                    self.take_end(&claim, *end, found);
                }
                Some(Err(code)) => {
                    let trouble = partition_trouble(&claim.topic, claim.id, *code);
                    self.trouble_pair(&claim.group, &claim.topic, claim.id, trouble);
                }
                None => {
                    let topic = self.topics.get(&claim.topic);
                    if topic.is_some_and(|t| t.is_taken_for_empty(claim.id)) {
                        self.take_empty(&claim);
                    } else {
                        let what = "its leader left it out of its answer";
                        let trouble = passing(&claim.topic, claim.id, what);
                        self.trouble_pair(&claim.group, &claim.topic, claim.id, trouble);
                    }
                }
            }
        }
    }

    /// `stable` is the last stable offset of the same partition, where that was asked.
    fn take_end(
        &mut self,
        claim: &Claim,
        end: LogOffset,
        stable: Option<&Result<LogOffset, ResponseError>>,
    ) {
        let group = self.groups.get(&claim.group);
        let wants = group.is_some_and(|g| g.demand.stable);
        // It may have been asked for another group alone.
        let stable = match stable.filter(|_| wants) {
            Some(Ok(stable)) => Some(stable.offset),
            Some(Err(code)) => {
                let trouble = partition_trouble(&claim.topic, claim.id, *code);
                return self.trouble_pair(&claim.group, &claim.topic, claim.id, trouble);
            }
            None if wants => {
                let what = "its leader tells no last stable offset, which isolation: readCommitted needs (Kafka 0.11 or later)";
                let trouble = passing(&claim.topic, claim.id, what);
                return self.trouble_pair(&claim.group, &claim.topic, claim.id, trouble);
            }
            None => None,
        };
        let Some(topic) = self.topics.get(&claim.topic) else {
            return;
        };
        let reading = Reading {
            committed: claim.committed,
            end: end.offset,
            leader_epoch: end.leader_epoch,
            stable,
            start: topic.starts.get(&claim.id).copied(),
            topic_id: topic.layout.as_ref().and_then(|l| l.id),
            at: claim.read,
        };
        let group = self.groups.get(&claim.group);
        let history = group.and_then(|g| g.history.as_ref());
        let known = history.and_then(|h| h.topics.get(&claim.topic)?.get(&claim.id)?.memory());
        if let Some(slot) = self.slot(&claim.group, &claim.topic, claim.id) {
            slot.take(reading, known);
        }
        self.look(&claim.group, &claim.topic, claim.id, claim.read);
    }

    /// A partition that a broker never speaks of has no record that anybody could read.
    fn take_empty(&mut self, claim: &Claim) {
        let offset = claim.committed.unwrap_or(0);
        let reading = Reading {
            committed: Some(offset),
            end: offset,
            leader_epoch: None,
            stable: Some(offset),
            start: None,
            topic_id: None,
            at: claim.read,
        };
        if let Some(slot) = self.slot(&claim.group, &claim.topic, claim.id) {
            *slot = Slot {
                track: Some(Track::begin(reading)),
                trouble: None,
                left_out: true,
                ..Slot::default()
            };
        }
    }

    fn slot(&mut self, group: &Arc<str>, topic: &Arc<str>, id: i32) -> Option<&mut Slot> {
        self.dirty();
        let group = self.groups.get_mut(group)?;
        let first = group.asks.is_some();
        let picture = group.change();
        picture.polled |= first;
        if !picture.topics.contains_key(topic) {
            picture.topics.insert(topic.clone(), BTreeMap::new());
        }
        let slots = picture.topics.get_mut(topic)?;
        Some(slots.entry(id).or_default())
    }

    /// A partition could not be read; its last pair stands.
    pub(super) fn trouble_pair(
        &mut self,
        group: &Arc<str>,
        topic: &Arc<str>,
        id: i32,
        of: Trouble,
    ) {
        if !of.configuration {
            self.hurry(group);
        }
        if let Some(slot) = self.slot(group, topic, id) {
            slot.trouble = Some(of);
        }
    }

    /// The same of many; who leads them is asked anew.
    pub(super) fn trouble_claims(&mut self, claims: Vec<Claim>, trouble: &Trouble) {
        for claim in claims {
            if !trouble.configuration {
                self.stale(&claim.topic);
            }
            self.trouble_pair(&claim.group, &claim.topic, claim.id, trouble.clone());
        }
    }
}

fn passing(topic: &str, id: i32, what: &str) -> Trouble {
    Trouble::passing(format!("topic {topic} partition {id}: {what}"))
}

/// Whether a partition's code says that what is known of its topic is not true any more.
fn is_stale(code: ResponseError) -> bool {
    matches!(
        code,
        ResponseError::UnknownTopicOrPartition
            | ResponseError::LeaderNotAvailable
            | ResponseError::NotLeaderOrFollower
            | ResponseError::FencedLeaderEpoch
            | ResponseError::UnknownLeaderEpoch
            | ResponseError::UnknownTopicId
    ) || code.is_retriable()
}

impl Slot {
    /// What was taken for empty is no memory.
    fn memory(&self) -> Option<Track> {
        self.track.filter(|_| !self.left_out)
    }

    /// The first pair follows on what a former credential knew.
    fn take(&mut self, reading: Reading, known: Option<Track>) {
        self.trouble = None;
        match &mut self.track {
            Some(track) if track.at.at >= reading.at.at => {}
            // What was taken for empty is no memory.
            Some(track) if !self.left_out => {
                let drained = track.drained;
                track.take(reading);
                if drained.is_some() && track.drained.is_none() {
                    self.looked = Looked::Not;
                }
            }
            track => {
                let follow = |mut track: Track| {
                    track.take(reading);
                    track
                };
                *track = Some(known.map_or_else(|| Track::begin(reading), follow));
            }
        }
        self.left_out = false;
    }
}
