//! The groups that somebody asks for: what is known of each, which are due, and which wait for something.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    backoff::jittered,
    known::{Group, Stage},
    waiting::Waiting,
};
use crate::{
    kafka::budget::Pairs,
    snapshot::{ClusterDemand, Slot, Trouble},
};

/// Groups due this soon go along: one request instead of two.
const TOGETHER: Duration = Duration::from_millis(250);

/// The groups of one cluster.
pub(super) struct Groups {
    pub(super) known: HashMap<Arc<str>, Group>,
    /// Groups that are due and not asked about yet.
    pub(super) waiting: Waiting,
    /// Groups with commits in topics that are yet to be described.
    pub(super) holding: HashSet<Arc<str>>,
    pairs: Pairs,
    pub(super) next_due: Option<Instant>,
    retries: [Duration; 2],
    /// Something is to be published.
    pub(super) changed: bool,
}

impl Groups {
    pub(super) fn new(pairs: Pairs, retries: [Duration; 2]) -> Self {
        Self {
            known: HashMap::new(),
            waiting: Waiting::default(),
            holding: HashSet::new(),
            pairs,
            next_due: None,
            retries,
            changed: false,
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Group> {
        self.known.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Group> {
        self.known.get_mut(name)
    }

    /// The shortest interval that somebody asks for.
    pub(super) fn every(&self) -> Option<Duration> {
        self.known.values().map(|g| g.demand.every).min()
    }

    /// Every topic that somebody names, or that is read because commits name it.
    pub(super) fn wanted_topics(&self) -> BTreeSet<Arc<str>> {
        let mut wanted = BTreeSet::new();
        for group in self.known.values() {
            wanted.extend(group.demand.topics.iter().cloned());
            if group.demand.all_topics {
                wanted.extend(group.snapshot.topics.keys().cloned());
                let held = group.held.iter().flat_map(|h| &h.topics);
                wanted.extend(held.chain(&group.hidden).cloned());
            }
        }
        wanted
    }

    /// Goes on with what is asked now; `forget` is told of groups that nobody asks for any more. Returns the topics that what is
    /// new or has changed names.
    pub(super) fn follow(
        &mut self,
        wanted: &ClusterDemand,
        mut forget: impl FnMut(&str),
        now: Instant,
    ) -> BTreeSet<Arc<str>> {
        let mut pairs = self.pairs.count();
        self.known.retain(|name, group| {
            let stays = wanted.groups.contains_key(name);
            if !stays {
                pairs -= group.pairs;
                forget(name);
            }
            stays
        });
        self.pairs.keep(pairs);
        let known = &self.known;
        self.waiting.retain(|name| known.contains_key(name));
        self.holding.retain(|name| known.contains_key(name));
        let mut topics = BTreeSet::new();
        for (name, demand) in &wanted.groups {
            let history = wanted.histories.get(name);
            if let Some(group) = self.known.get_mut(name) {
                if history.is_none() {
                    group.history = None;
                }
                if group.demand == *demand {
                    continue;
                }
                group.follow(demand, now);
                self.waiting.again(name);
            } else {
                let mut group = Group::new(demand.clone(), now);
                group.history = history.cloned();
                self.known.insert(name.clone(), group);
            }
            topics.extend(demand.topics.iter().cloned());
        }
        self.next_due = Some(now);
        self.changed = true;
        topics
    }

    /// Takes up the groups that are due.
    pub(super) fn begin(&mut self, now: Instant) {
        if self.next_due.is_none_or(|due| due > now) {
            return;
        }
        let mut next = None;
        for (name, group) in &mut self.known {
            if group.due <= now + TOGETHER {
                group.due = now + group.demand.every;
                if !std::mem::take(&mut group.hurt) {
                    group.tries = 0;
                }
                match group.stage {
                    Stage::Idle => {
                        group.stage = Stage::Waiting;
                        self.waiting.insert(name, group.coordinator.is_none());
                    }
                    // A whole interval without an answer: what is known by now is all that a first poll brings.
                    Stage::Waiting | Stage::Asked => {
                        if !group.snapshot.polled {
                            self.changed = true;
                            group.polled();
                        }
                    }
                }
            }
            next = next.into_iter().chain([group.due]).min();
        }
        self.next_due = next;
    }

    /// All of them are due.
    pub(super) fn all_are_due(&mut self, now: Instant) {
        for group in self.known.values_mut() {
            group.due = now;
        }
        self.next_due = Some(now);
    }

    /// A group can't be asked now. What may pass is tried again soon, twice.
    pub(super) fn trouble(&mut self, name: &Arc<str>, trouble: &Trouble) {
        let Some(group) = self.known.get_mut(name) else {
            return;
        };
        group.suffer(trouble.clone());
        group.stage = Stage::Idle;
        self.waiting.remove(name);
        self.changed = true;
        if !trouble.configuration {
            self.hurry(name);
        }
    }

    fn hurry(&mut self, name: &Arc<str>) {
        let Some(group) = self.known.get_mut(name) else {
            return;
        };
        if !std::mem::replace(&mut group.hurt, true)
            && let Some(delay) = self.retries.get(group.tries as usize)
        {
            group.tries += 1;
            group.due = group.due.min(Instant::now() + jittered(*delay));
            self.next_due = self.next_due.into_iter().chain([group.due]).min();
        }
    }

    pub(super) fn lose_coordinator(&mut self, name: &Arc<str>) {
        if let Some(group) = self.known.get_mut(name) {
            group.coordinator = None;
            self.waiting.lose(name);
        }
    }

    pub(super) fn find_coordinator(&mut self, name: &Arc<str>, id: i32) {
        if let Some(group) = self.known.get_mut(name) {
            group.coordinator = Some(id);
            self.waiting.found(name);
        }
    }

    /// While the way in is troubled, that is all there is to know of the groups that wait for it.
    pub(super) fn give_up_waiting(&mut self) {
        for name in self.waiting.iter() {
            if let Some(group) = self.known.get_mut(name) {
                self.changed |= !group.snapshot.polled;
                group.polled();
            }
        }
    }

    /// How many partitions a group is read in; `false`, with the reason told, if that is more than are read of a cluster.
    pub(super) fn count_pairs(&mut self, name: &Arc<str>, pairs: usize) -> bool {
        let Some(group) = self.known.get_mut(name) else {
            return false;
        };
        let others = self.pairs.count() - group.pairs;
        let fits = self.pairs.keep(others + pairs);
        group.pairs = if fits { pairs } else { 0 };
        if !fits {
            self.pairs.keep(others);
            let (most, all) = (self.pairs.most(), self.pairs.most_in_all());
            group.change().topics.clear();
            let text = format!(
                "group {name}: its {pairs} partitions and the {others} of the cluster's other groups are more than may be read: {most} for a namespace, {all} in all; a larger memory limit of lagscale's container raises both"
            );
            self.trouble(name, &Trouble::passing(text));
        }
        fits
    }

    /// One partition of a group, which may be new.
    pub(super) fn slot(
        &mut self,
        group: &Arc<str>,
        topic: &Arc<str>,
        id: i32,
    ) -> Option<&mut Slot> {
        self.changed = true;
        self.known.get_mut(group)?.slot(topic, id)
    }

    /// One partition of a group that was read before.
    pub(super) fn known_slot(
        &mut self,
        group: &Arc<str>,
        topic: &Arc<str>,
        id: i32,
    ) -> Option<&mut Slot> {
        let group = self.known.get_mut(group)?;
        group.change().topics.get_mut(topic)?.get_mut(&id)
    }

    /// A partition could not be read; its last pair stands.
    pub(super) fn trouble_pair(
        &mut self,
        group: &Arc<str>,
        topic: &Arc<str>,
        id: i32,
        trouble: Trouble,
    ) {
        if !trouble.configuration {
            self.hurry(group);
        }
        if let Some(slot) = self.slot(group, topic, id) {
            slot.trouble = Some(trouble);
        }
    }
}
