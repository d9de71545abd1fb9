//! The snapshot of one cluster: immutable, swapped whole. A part that could not be read keeps its last pair and names its trouble.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use litemap::LiteMap;

use super::taken::Taken;
use crate::{
    kafka::{Cause, Error, topics::TopicPattern},
    lag::{Moment, Track},
};

/// One cluster as one credential sees it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Topics asked for or found in commits.
    pub topics: HashMap<Arc<str>, TopicSnapshot>,
    /// By group id.
    pub groups: HashMap<Arc<str>, Arc<GroupSnapshot>>,
    /// Why the cluster as a whole can't be asked, if so.
    pub trouble: Option<Trouble>,
    /// Whether the topics that patterns take are known.
    pub listing: Listed,
    /// The topics that some pattern takes: those of the last list, and those that have left it and may still be there.
    pub listed: Arc<Taken>,
    /// The difference to the snapshot before.
    pub changed: Changed,
}

/// The news in a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Changed {
    /// Anything.
    #[default]
    Everything,
    /// These groups were read, or could not be; what the snapshot says of topics and of the cluster is as it was.
    Groups(Vec<Arc<str>>),
}

impl Snapshot {
    /// The news since the snapshot `before`. How often a topic was described is not told: whoever counts that looks when its
    /// groups are read.
    pub(crate) fn changed_since(&self, before: &Self) -> Changed {
        let topics = self.topics.iter();
        let same = |(name, topic): (&Arc<str>, &TopicSnapshot)| {
            before.topics.get(name).is_some_and(|b| b.says_as(topic))
        };
        let known = self.topics.len() == before.topics.len() && { topics }.all(same);
        let listed = self.listing == before.listing && self.listed == before.listed;
        if !known || !listed || self.trouble != before.trouble {
            return Changed::Everything;
        }
        let new = |(name, group): &(&Arc<str>, &Arc<GroupSnapshot>)| {
            let before = before.groups.get(*name);
            before.is_none_or(|before| !Arc::ptr_eq(before, group))
        };
        let groups = self.groups.iter().filter(new);
        Changed::Groups(groups.map(|(name, _)| name.clone()).collect())
    }
}

/// How far the topics of a cluster are known by pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Listed {
    /// They are being asked for.
    #[default]
    Not,
    /// By these patterns, as of the last complete list.
    Whole(Arc<BTreeSet<TopicPattern>>),
    /// The last list could not be had, and why; what was known before stands.
    Failed(Trouble),
}

/// One topic.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicSnapshot {
    /// The partition ids, ascending, when the topic could be described; the last known ones stay while it can't.
    pub partitions: Arc<[i32]>,
    /// Number of complete descriptions so far: a bound falls only when two of them agree.
    pub reads: u64,
    /// Why the last description failed.
    pub trouble: Option<Trouble>,
    /// Several descriptions in a row said that it does not exist.
    pub gone: bool,
}

impl TopicSnapshot {
    /// Whether it says of the topic what `other` says.
    fn says_as(&self, other: &Self) -> bool {
        let Self {
            partitions,
            reads: _,
            trouble,
            gone,
        } = self;
        (partitions, trouble, gone) == (&other.partitions, &other.trouble, &other.gone)
    }
}

/// One group.
#[derive(Clone, Debug, Default)]
pub struct GroupSnapshot {
    /// By topic and partition.
    pub topics: LiteMap<Arc<str>, PartitionSlots>,
    /// Those of the topics, where it was asked for everything, that only somebody else names: it has never had a commit there.
    pub foreign: BTreeSet<Arc<str>>,
    /// Why the group as a whole could not be asked the last time.
    pub trouble: Option<Trouble>,
    /// When its commits were read the last time.
    pub read: Option<Moment>,
    /// Whether that was for every topic it has committed.
    pub all: bool,
    /// Whether a first poll of what is asked of it has finished, failed or timed out: before that, silence means nothing.
    pub polled: bool,
}

/// The partitions of a topic, by id.
pub type PartitionSlots = LiteMap<i32, Slot>;

/// One partition of a group.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// The last good pair with its memory.
    pub track: Option<Track>,
    /// Why the last reading did not bring a new pair.
    pub trouble: Option<Trouble>,
    /// Its leader leaves it out of every answer without saying why, so it is taken for empty: the pair is made up.
    pub left_out: bool,
    /// Whether what a small lag consists of was looked at.
    pub looked: Looked,
    /// Its first reading is of a topic made anew: the group was seen in the one before.
    pub anew: bool,
    /// How often the topic had been described when a reading was doubted first.
    pub doubted_at: u64,
}

/// Whether a pair of commit and end was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Looked {
    /// Not this one.
    #[default]
    Not,
    /// It was, or is being.
    At(i64, i64),
    /// The user may not read the topic.
    Refused(i64, i64),
}

/// A fault, in words for a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Names broker or Kafka object, and the cause.
    pub text: Arc<str>,
    /// Nobody but a person mends it: wrong password, wrong CA, missing permission.
    pub configuration: bool,
    /// A topic that does not exist: it is looked for as if it might come, and a person is told that it does not.
    pub missing: bool,
}

impl Trouble {
    /// Trouble that may pass by itself.
    #[must_use]
    pub fn passing(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            configuration: false,
            missing: false,
        }
    }

    /// A topic that does not exist.
    #[must_use]
    pub fn missing(text: impl Into<Arc<str>>) -> Self {
        Self {
            missing: true,
            ..Self::passing(text)
        }
    }

    /// `true` for what lasts until a person changes something.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        self.configuration || self.missing
    }

    /// Trouble that a person must mend.
    #[must_use]
    pub fn configuration(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            configuration: true,
            missing: false,
        }
    }
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        Self {
            text: error.to_string().into(),
            configuration: error.cause.is_configuration()
                && !matches!(error.cause, Cause::WantsSasl | Cause::NotTls),
            missing: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let topic = TopicSnapshot {
            partitions: [0, 1].into(),
            reads: 1,
            ..TopicSnapshot::default()
        };
        Snapshot {
            topics: [("t".into(), topic)].into(),
            groups: ["a", "b"].map(|name| (name.into(), Arc::default())).into(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_snapshot_names_the_groups_that_were_read_since_the_one_before() {
        let before = snapshot();
        let mut next = before.clone();
        assert_eq!(next.changed_since(&before), Changed::Groups(Vec::new()));
        next.groups.insert("b".into(), Arc::default());
        next.groups.insert("c".into(), Arc::default());
        let Changed::Groups(mut groups) = next.changed_since(&before) else {
            panic!("two groups");
        };
        groups.sort();
        assert_eq!(groups, [Arc::from("b"), "c".into()]);
    }

    #[test]
    fn whatever_a_snapshot_says_of_topics_or_of_the_cluster_may_be_about_any_group() {
        let changes: [fn(&mut Snapshot); 8] = [
            |p| drop(p.topics.insert("u".into(), TopicSnapshot::default())),
            |p| drop(p.topics.remove("t")),
            |p| topic(p).partitions = [0].into(),
            |p| topic(p).trouble = Some(Trouble::passing("no leader")),
            |p| topic(p).gone = true,
            |p| p.trouble = Some(Trouble::passing("refused")),
            |p| p.listing = Listed::Failed(Trouble::passing("refused")),
            |p| {
                let names = ["t".into()];
                let patterns = [TopicPattern::parse("t").unwrap()];
                p.listed = Arc::new(Taken::new(&names.into(), &patterns.into_iter().collect()));
            },
        ];
        let before = snapshot();
        for (index, change) in changes.into_iter().enumerate() {
            let mut next = before.clone();
            change(&mut next);
            assert_eq!(next.changed_since(&before), Changed::Everything, "{index}");
        }
        let mut described = before.clone();
        topic(&mut described).reads = 2;
        assert_eq!(
            described.changed_since(&before),
            Changed::Groups(Vec::new())
        );
    }

    fn topic(snapshot: &mut Snapshot) -> &mut TopicSnapshot {
        snapshot.topics.get_mut("t").unwrap()
    }
}
