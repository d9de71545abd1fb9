//! The picture of one cluster: immutable, swapped whole. A part that could not be read keeps its last pair and names its trouble.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::taken::Taken;
use crate::{
    kafka::{Cause, Error, topics::TopicPattern},
    lag::{Moment, Track},
};

/// One cluster as one credential sees it.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Topics asked for or found in commits.
    pub topics: HashMap<Arc<str>, TopicPicture>,
    /// By group id.
    pub groups: HashMap<Arc<str>, Arc<GroupPicture>>,
    /// Why the cluster as a whole can't be asked, if so.
    pub trouble: Option<Trouble>,
    /// Whether the topics that patterns take are known.
    pub listing: Listed,
    /// The topics that some pattern takes: those of the last list, and those that have left it and may still be there.
    pub listed: Arc<Taken>,
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
pub struct TopicPicture {
    /// The partition ids, ascending, when the topic could be described; the last known ones stay while it can't.
    pub partitions: Arc<[i32]>,
    /// Number of complete descriptions so far: a bound falls only when two of them agree.
    pub reads: u64,
    /// Why the last description failed.
    pub trouble: Option<Trouble>,
    /// Several descriptions in a row said that it does not exist.
    pub gone: bool,
}

/// One group.
#[derive(Clone, Debug, Default)]
pub struct GroupPicture {
    /// By topic and partition.
    pub topics: BTreeMap<Arc<str>, BTreeMap<i32, Slot>>,
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

/// What is wrong, in words for a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Names broker or Kafka object, and the cause.
    pub text: Arc<str>,
    /// Nobody but a person mends it: wrong password, wrong CA, missing permission, no such topic.
    pub configuration: bool,
}

impl Trouble {
    /// Trouble that may pass by itself.
    #[must_use]
    pub fn passing(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            configuration: false,
        }
    }

    /// Trouble that a person must mend.
    #[must_use]
    pub fn configuration(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            configuration: true,
        }
    }
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        Self {
            text: error.to_string().into(),
            configuration: error.cause.is_configuration()
                && !matches!(error.cause, Cause::WantsSasl | Cause::NotTls),
        }
    }
}
