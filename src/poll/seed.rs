//! Questions at the bootstrap brokers: topics to describe, and coordinators to find.

use crate::snapshot::Trouble;
use std::{collections::BTreeSet, sync::Arc, time::Instant};

use super::{cluster::Cluster, limits::TOPICS};
use crate::kafka::{
    Address,
    question::{Ask, LaneId},
};

/// Partitions in one Metadata request, which fill half a frame.
const PARTITIONS: usize = 40_000;
/// Keys in one FindCoordinator request.
const KEYS: usize = 1_000;

impl Cluster {
    /// Topics to describe, and coordinators to find.
    pub(super) fn ask_seed(&mut self, now: Instant) {
        if self.layout_due <= now && !self.groups.is_empty() {
            self.layout_due = now + self.timing.layout_every;
            self.describe = self.forget_topics();
            self.listing.renew();
            // Those come with the list.
            let listed = &self.listing.topics;
            self.describe.retain(|name| !listed.contains(name));
        }
        if self.stale_due.is_some_and(|due| due <= now) {
            self.stale_due = None;
            let known = self.stale.iter().filter(|t| self.topics.contains_key(*t));
            self.describe.extend(known.cloned());
        }
        let mut lost = Vec::new();
        for name in &self.waiting {
            let group = self.groups.get(name);
            if lost.len() < KEYS && group.is_some_and(|g| g.coordinator.is_none()) {
                lost.push(name.clone());
            }
        }
        if lost.is_empty() && self.describe.is_empty() && !self.listing.is_due() {
            return;
        }
        let mut seed = match self.seed.take() {
            Some(seed) => seed,
            None => match self.spawn(LaneId::Seed) {
                Ok(seed) => seed,
                Err(trouble) => return self.way_in(Some(trouble)),
            },
        };
        if seed.question.is_none() && seed.rests(now).is_none() {
            let ask = if self.described_last && !lost.is_empty() {
                Ask::Coordinators(lost)
            } else if !self.describe.is_empty() {
                Ask::Layout(self.next_topics())
            } else if let Some(patterns) = self.listing.next() {
                Ask::Listing(patterns)
            } else {
                Ask::Coordinators(lost)
            };
            self.described_last = !matches!(ask, Ask::Coordinators(_));
            self.number += 1;
            seed.put(self.number, self.seeds(), ask, Vec::new());
        }
        let rests = seed.rests(now).is_some();
        self.seed = Some(seed);
        if rests {
            self.give_up_waiting();
        }
    }

    /// The answer about these was too large: fewer are asked about at once from now on, and one alone is given up until the
    /// next description of all.
    pub(super) fn ask_less(&mut self, asked: Vec<Arc<str>>, trouble: &Trouble) {
        self.dirty();
        if let [name] = asked.as_slice() {
            let topic = self.topics.entry(name.clone()).or_default();
            topic.snapshot.trouble = Some(trouble.clone());
            return;
        }
        self.most_topics = (asked.len() / 2).max(1);
        self.describe.extend(asked);
    }

    /// As many as one Metadata answer should hold.
    fn next_topics(&mut self) -> Vec<Arc<str>> {
        let mut partitions = 0;
        let mut next = Vec::new();
        while let Some(name) = self.describe.first() {
            let known = self.topics.get(name).map(|t| t.ids().len());
            // One that is new is taken for a large one.
            partitions += known.unwrap_or(PARTITIONS / TOPICS);
            if !next.is_empty() && (partitions > PARTITIONS || next.len() >= self.most_topics) {
                break;
            }
            next.extend(self.describe.pop_first());
        }
        next
    }

    /// Forgets topics that nobody wants any more; returns those that are wanted.
    pub(super) fn forget_topics(&mut self) -> BTreeSet<Arc<str>> {
        let wanted = self.wanted_topics();
        self.topics.retain(|name, _| wanted.contains(name));
        self.stale.retain(|name| wanted.contains(name));
        wanted
    }

    /// Every topic that somebody names, that a pattern takes, or that is read because commits name it.
    fn wanted_topics(&self) -> BTreeSet<Arc<str>> {
        let mut wanted = self
            .listing
            .topics
            .topics()
            .iter()
            .cloned()
            .collect::<BTreeSet<_>>();
        for group in self.groups.values() {
            wanted.extend(group.demand.topics.iter().cloned());
            if group.demand.all_topics {
                wanted.extend(group.snapshot.topics.keys().cloned());
                let held = group.held.iter().flat_map(|h| &h.topics);
                wanted.extend(held.chain(&group.hidden).cloned());
            }
        }
        wanted
    }

    /// Addresses to ask at: those that were written, and with every one of them gone a broker that is known.
    fn seeds(&self) -> Arc<[Address]> {
        let mut seeds: Vec<_> = self.key.bootstrap.to_vec();
        for address in self.brokers.values() {
            if !seeds.contains(address) {
                seeds.push(address.clone());
            }
        }
        seeds.into()
    }
}
