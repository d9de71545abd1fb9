//! The demand: per cluster and credential the groups, per group its topics and how often.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use super::cluster::GroupSnapshot;
use crate::{
    kafka::{Address, Topics, security::Fingerprint, topics::TopicPattern},
    lag::Isolation,
};

/// A cluster as configured, with one credential value: the bootstrap list is taken as it is written, never an id that a
/// broker states, so that no broker can make us share what belongs to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterKey {
    /// The bootstrap addresses in their written order.
    pub bootstrap: Arc<[Address]>,
    /// Digest of TLS settings and credential.
    pub fingerprint: Fingerprint,
}

impl fmt::Display for ClusterKey {
    /// The bootstrap list: the credential is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, address) in self.bootstrap.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{address}")?;
        }
        Ok(())
    }
}

/// The demand on one cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterDemand {
    /// By group id.
    pub groups: BTreeMap<Arc<str>, GroupDemand>,
    /// By group id, what a former value of the credential knew of it: it is not shown, it is what a first pair follows on.
    pub histories: BTreeMap<Arc<str>, Arc<GroupSnapshot>>,
}

/// The demand on one group, by everybody together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDemand {
    /// The most impatient asker's interval.
    pub every: Duration,
    /// Topics that somebody names.
    pub topics: BTreeSet<Arc<str>>,
    /// Those of the topics that an asker of all of them remembers: they are the group's own.
    pub remembered: BTreeSet<Arc<str>>,
    /// Patterns of topics that somebody asks for.
    pub patterns: BTreeSet<TopicPattern>,
    /// Whether somebody reads with isolation read_uncommitted.
    pub plain: bool,
    /// Whether somebody reads with read_committed, and wants last stable offsets too.
    pub stable: bool,
    /// Whether somebody wants every topic that the group has committed.
    pub all_topics: bool,
}

impl GroupDemand {
    /// The demand of one asker.
    #[must_use]
    pub fn new(topics: &Topics, isolation: Isolation, every: Duration) -> Self {
        Self {
            every,
            topics: topics.names.iter().cloned().collect(),
            remembered: BTreeSet::new(),
            patterns: topics.patterns.iter().cloned().collect(),
            plain: isolation == Isolation::ReadUncommitted,
            stable: isolation == Isolation::ReadCommitted,
            all_topics: topics.are_all(),
        }
    }

    /// Whether it asks for nothing that `other` does not ask for, however often.
    #[must_use]
    pub fn is_part_of(&self, other: &Self) -> bool {
        self.topics.is_subset(&other.topics)
            && self.patterns.is_subset(&other.patterns)
            && self.plain <= other.plain
            && self.stable <= other.stable
            && self.all_topics <= other.all_topics
    }

    /// Adds what another asks; asking the same twice costs nothing.
    pub fn add(&mut self, other: &Self) {
        self.every = self.every.min(other.every);
        self.topics.extend(other.topics.iter().cloned());
        self.remembered.extend(other.remembered.iter().cloned());
        self.patterns.extend(other.patterns.iter().cloned());
        self.plain |= other.plain;
        self.stable |= other.stable;
        self.all_topics |= other.all_topics;
    }
}
