//! What is known of the topics and groups that somebody asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use super::{
    demand::GroupDemand,
    picture::{GroupPicture, Looked, TopicPicture, Trouble},
};
use crate::{
    kafka::requests::{Partitions, TopicLayout, commits::TopicCommits},
    lag::Moment,
};

/// A partition that was left out of so many answers in a row, without a code, is asked for alone.
const LEFT_OUT: u8 = 3;
/// And left out once more it is taken for empty, until the topic is described anew.
const EMPTY: u8 = LEFT_OUT + 1;

/// A topic somebody asks for.
#[derive(Default)]
pub(super) struct Topic {
    pub(super) layout: Option<TopicLayout>,
    /// The last description said that it does not exist.
    pub(super) gone: bool,
    pub(super) starts: BTreeMap<i32, i64>,
    pub(super) starts_at: Option<Instant>,
    /// The user may not read it, as of late.
    pub(super) unreadable_until: Option<Instant>,
    /// How often in a row its leader left a partition out of its answers without saying why.
    left_out: BTreeMap<i32, u8>,
    pub(super) picture: TopicPicture,
}

impl Topic {
    /// Whether a description of it has been answered, well or not.
    pub(super) fn is_seen(&self) -> bool {
        self.layout.is_some() || self.picture.trouble.is_some()
    }

    pub(super) fn ids(&self) -> &[i32] {
        &self.picture.partitions
    }

    pub(super) fn leader(&self, id: i32) -> Option<i32> {
        self.layout.as_ref()?.partitions.get(&id)?.leader
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
    /// What its commits are asked for, and by which descriptions that was put together.
    pub(super) asks: Option<(u64, Option<Arc<Partitions>>)>,
    /// Commits in topics that are yet to be described.
    pub(super) held: Option<Held>,
    /// It was in a batch whose answer was too large: it is asked about alone from then on.
    pub(super) alone: bool,
    /// Partitions it is read in.
    pub(super) pairs: usize,
    /// Something was in the way since it was last due.
    pub(super) hurt: bool,
    /// How often it was in a hurry because of that.
    pub(super) tries: u32,
    pub(super) picture: Arc<GroupPicture>,
    /// What a former value of the credential knew.
    pub(super) history: Option<Arc<GroupPicture>>,
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
            alone: false,
            pairs: 0,
            hurt: false,
            tries: 0,
            picture: Arc::default(),
            history: None,
        }
    }

    /// What is published of it: copied once a tick, when what was published before is still held by its reader.
    pub(super) fn change(&mut self) -> &mut GroupPicture {
        Arc::make_mut(&mut self.picture)
    }

    /// Whoever reads aborted records too is not done where others are.
    pub(super) fn look_anew(&mut self) {
        let slots = self.change().topics.values_mut();
        for slot in slots.flat_map(BTreeMap::values_mut) {
            slot.looked = Looked::Not;
            if let Some(track) = &mut slot.track {
                track.drained = None;
            }
        }
    }

    pub(super) fn suffer(&mut self, trouble: Trouble) {
        let picture = self.change();
        picture.trouble = Some(trouble);
        picture.polled = true;
    }

    pub(super) fn polled(&mut self) {
        if !self.picture.polled {
            self.change().polled = true;
        }
    }
}
