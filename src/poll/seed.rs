//! Questions at the bootstrap brokers: topics to describe, and coordinators to find.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use super::cluster::Cluster;
use crate::kafka::question::Ask;

/// Keys in one FindCoordinator request.
const KEYS: usize = 1_000;

impl Cluster {
    /// Topics to describe, and coordinators to find.
    pub(super) fn ask_seed(&mut self, now: Instant) {
        if self.topics.due <= now && !self.groups.known.is_empty() {
            self.topics.due = now + self.timing.layout_every;
            let wanted = self.forget_topics();
            self.topics.describe_all(wanted);
        }
        self.topics.describe_stale(now);
        let lost = self.groups.waiting.lost(KEYS);
        let topics = &self.topics;
        if lost.is_empty() && topics.describe.is_empty() && !topics.listing.is_due() {
            return;
        }
        let (free, rests) = match self.brokers.way_in() {
            Ok(seed) => (seed.question.is_none(), seed.rests(now).is_some()),
            Err(trouble) => return self.way_in(Some(trouble)),
        };
        if free && !rests {
            let ask = self.next_at_way_in(lost);
            self.described_last = !matches!(ask, Ask::Coordinators(_));
            self.brokers.ask_way_in(ask);
        }
        if rests {
            self.groups.give_up_waiting();
        }
    }

    fn next_at_way_in(&mut self, lost: Vec<Arc<str>>) -> Ask {
        let topics = &mut self.topics;
        if self.described_last && !lost.is_empty() {
            Ask::Coordinators(lost)
        } else if !topics.describe.is_empty() {
            Ask::Layout(topics.next())
        } else if let Some(patterns) = topics.listing.next() {
            Ask::Listing(patterns)
        } else {
            Ask::Coordinators(lost)
        }
    }

    /// Forgets topics that nobody wants any more; returns those that are wanted: named, taken by a pattern, or read because
    /// commits name them.
    pub(super) fn forget_topics(&mut self) -> BTreeSet<Arc<str>> {
        let mut wanted = self.groups.wanted_topics();
        let listed = self.topics.listing.topics.topics();
        wanted.extend(listed.iter().cloned());
        self.topics.keep(&wanted);
        wanted
    }
}
