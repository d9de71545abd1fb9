//! The state of the topics and groups that somebody asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    kafka::requests::{Partitions, TopicLayout, offset_fetch::TopicCommits},
    lag::{Isolation, Moment},
    snapshot::{GroupDemand, GroupSnapshot, Looked, PartitionSlots, Slot, TopicSnapshot, Trouble},
};

/// A partition that was left out of so many answers in a row, without a code, is asked for alone.
const LEFT_OUT: u8 = 3;
/// And left out once more it is taken for empty, until the topic is described anew.
const EMPTY: u8 = LEFT_OUT + 1;

/// Between two log lines about partitions of a topic that are left out.
const TELL_AGAIN: Duration = Duration::from_secs(3_600);

/// A topic is gone once so many descriptions in a row say so: a broker that just started may know little.
const GONE: u8 = 3;

/// A topic somebody asks for.
#[derive(Default)]
pub(super) struct Topic {
    pub(super) layout: Option<TopicLayout>,
    /// How many descriptions in a row said that it does not exist.
    missing: u8,
    /// Log starts by partition, and when each was asked for the last time.
    starts: BTreeMap<i32, (Option<i64>, Instant)>,
    /// The user may not read it, as of late.
    pub(super) unreadable_until: Option<Instant>,
    /// How often in a row its leader left a partition out of its answers without saying why.
    left_out: BTreeMap<i32, u8>,
    /// When it was logged that some are.
    told_left_out: Option<Instant>,
    pub(super) snapshot: TopicSnapshot,
}

impl Topic {
    /// Whether a description of it has been answered, well or not.
    pub(super) fn is_seen(&self) -> bool {
        self.layout.is_some() || self.snapshot.trouble.is_some()
    }

    pub(super) fn ids(&self) -> &[i32] {
        &self.snapshot.partitions
    }

    pub(super) fn leader(&self, id: i32) -> Option<i32> {
        self.layout.as_ref()?.partitions.get(&id)?.leader
    }

    /// Whether it has just been said not to exist, and has not been described since.
    pub(super) fn is_missing(&self) -> bool {
        self.missing > 0
    }

    /// Counts a description that says whether it exists.
    pub(super) fn exists(&mut self, exists: bool) {
        self.missing = if exists {
            0
        } else {
            self.missing.saturating_add(1)
        };
        self.snapshot.gone = self.missing >= GONE;
    }

    /// The topic's id, if the broker tells.
    pub(super) fn id(&self) -> Option<[u8; 16]> {
        self.layout.as_ref()?.id
    }

    /// The last known log start of a partition.
    pub(super) fn start(&self, id: i32) -> Option<i64> {
        self.starts.get(&id)?.0
    }

    /// Whether the log start of a partition is to be asked for.
    pub(super) fn needs_start(&self, id: i32, every: Duration, now: Instant) -> bool {
        let asked = self.starts.get(&id);
        asked.is_none_or(|(_, at)| *at + every <= now)
    }

    /// Takes what a leader answered of a log start; one that could not be told keeps the last.
    pub(super) fn started(&mut self, id: i32, start: Option<i64>, now: Instant) {
        let known = self.start(id);
        self.starts.insert(id, (start.or(known), now));
    }

    pub(super) fn is_asked_alone(&self, id: i32) -> bool {
        self.left_out.get(&id) == Some(&LEFT_OUT)
    }

    pub(super) fn is_taken_for_empty(&self, id: i32) -> bool {
        self.left_out.get(&id) == Some(&EMPTY)
    }

    /// Counts one more answer with or without the partition; `true` when it is from now on taken for empty.
    pub(super) fn answered(&mut self, id: i32, with: bool) -> bool {
        if with {
            // One that had to be asked for alone goes on to be, until the topic is described anew.
            self.left_out.retain(|i, n| *i != id || *n >= LEFT_OUT);
            return false;
        }
        let times = self.left_out.entry(id).or_default();
        *times = (*times + 1).min(EMPTY);
        *times == EMPTY
    }

    /// Whether it is to be logged now that partitions are taken for empty: they are tried again at each description.
    pub(super) fn tells_left_out(&mut self, now: Instant) -> bool {
        let tells = self
            .told_left_out
            .is_none_or(|told| told + TELL_AGAIN <= now);
        if tells {
            self.told_left_out = Some(now);
        }
        tells
    }

    /// A new description: what was taken for empty is asked for once more, what was asked for alone goes with the others.
    pub(super) fn try_left_out_again(&mut self) {
        self.left_out.retain(|_, times| *times == EMPTY);
        for times in self.left_out.values_mut() {
            *times = LEFT_OUT;
        }
    }
}

/// Where a group stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not due.
    Idle,
    /// Due, and not asked about yet.
    Waiting,
    /// Its coordinator has the question.
    Asked,
}

/// A group somebody asks for.
pub(super) struct Group {
    pub(super) demand: GroupDemand,
    pub(super) due: Instant,
    pub(super) stage: Stage,
    pub(super) coordinator: Option<i32>,
    /// The partitions that its commits are asked for, and the descriptions they were put together by.
    pub(super) asks: Option<(u64, Option<Arc<Partitions>>)>,
    /// Commits in topics that are yet to be described.
    pub(super) held: Option<Held>,
    /// Topics that it committed and does not any more, with the number of descriptions of each when that was seen first.
    pub(super) leaving: BTreeMap<Arc<str>, u64>,
    /// When its members were asked which topics they read, and one of them that may not be described.
    pub(super) members_at: Option<Instant>,
    pub(super) hidden: Option<Arc<str>>,
    /// It was in a batch whose answer was too large: it is asked about alone from then on.
    pub(super) alone: bool,
    /// Partitions it is read in.
    pub(super) pairs: usize,
    /// Something was in the way since it was last due.
    pub(super) hurt: bool,
    /// How often it was in a hurry because of that.
    pub(super) tries: u32,
    pub(super) snapshot: Arc<GroupSnapshot>,
    /// The readings by a former value of the credential.
    pub(super) history: Option<Arc<GroupSnapshot>>,
}

/// Commits that wait for a description.
pub(super) struct Held {
    pub(super) commits: TopicCommits,
    pub(super) topics: BTreeSet<Arc<str>>,
    pub(super) read: Moment,
}

impl Group {
    pub(super) fn new(demand: GroupDemand, due: Instant) -> Self {
        Self {
            demand,
            due,
            stage: Stage::Idle,
            coordinator: None,
            asks: None,
            held: None,
            leaving: BTreeMap::new(),
            members_at: None,
            hidden: None,
            alone: false,
            pairs: 0,
            hurt: false,
            tries: 0,
            snapshot: Arc::default(),
            history: None,
        }
    }

    /// The published part, to be changed: copied once a tick, when its reader still holds what was published before.
    pub(super) fn change(&mut self) -> &mut GroupSnapshot {
        Arc::make_mut(&mut self.snapshot)
    }

    /// One of its partitions, which may be new.
    pub(super) fn slot(&mut self, topic: &Arc<str>, id: i32) -> Option<&mut Slot> {
        let first = self.asks.is_some();
        let snapshot = self.change();
        snapshot.polled |= first;
        if !snapshot.topics.contains_key(topic) {
            snapshot.topics.insert(topic.clone(), PartitionSlots::new());
        }
        let slots = snapshot.topics.get_mut(topic)?;
        Some(slots.entry(id).or_default())
    }

    /// The isolation that its lag is told by, and how long a small lag stands still before its records are looked at.
    pub(super) fn still(&self) -> (Isolation, Duration) {
        let isolation = if self.demand.plain {
            Isolation::ReadUncommitted
        } else {
            Isolation::ReadCommitted
        };
        (isolation, self.demand.every.saturating_mul(2))
    }

    /// Goes on with another demand, at once.
    pub(super) fn follow(&mut self, demand: &GroupDemand, now: Instant) {
        let known = |t: &Arc<str>| self.snapshot.topics.contains_key(t);
        let mut more = demand.clone();
        more.topics.retain(|t| !known(t));
        let more = !more.is_part_of(&self.demand);
        if demand.plain && !self.demand.plain {
            self.look_anew();
        }
        self.demand = demand.clone();
        self.due = now;
        self.asks = None;
        if more {
            self.change().polled = false;
        }
    }

    /// Forgets which lags were looked at: with another isolation level their records are others.
    pub(super) fn look_anew(&mut self) {
        let topics = self.change().topics.iter_mut();
        for (_, slot) in topics.flat_map(|(_, slots)| slots.iter_mut()) {
            slot.looked = Looked::Not;
            if let Some(track) = &mut slot.track {
                track.drained = None;
            }
        }
    }

    pub(super) fn suffer(&mut self, trouble: Trouble) {
        let snapshot = self.change();
        snapshot.trouble = Some(trouble);
        snapshot.polled = true;
    }

    pub(super) fn polled(&mut self) {
        if !self.snapshot.polled {
            self.change().polled = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A finding of the audit (22): with a warning each, 500 partitions were 60 000 lines an hour.
    #[test]
    fn partitions_that_are_left_out_of_every_answer_are_logged_once_an_hour() {
        let (mut topic, begin) = (Topic::default(), Instant::now());
        let mut lines = 0;
        for second in (0..7_200).step_by(5) {
            let now = begin + Duration::from_secs(second);
            if second % 30 == 0 {
                topic.try_left_out_again();
            }
            let left_out = (0..500).filter(|id| topic.answered(*id, false)).count();
            lines += usize::from(left_out > 0 && topic.tells_left_out(now));
        }
        assert_eq!(lines, 2);
    }
}
