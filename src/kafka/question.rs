//! The questions of a lane and their answers.

use std::sync::Arc;

use super::{
    Error,
    requests::{
        CommitsOf, Coordinators, Fetched, Isolation, Layout, Offsets, Partitions, Tails,
        fetch::Positions,
    },
    topics::TopicPattern,
};
use crate::lag::Moment;

/// Which lane: a broker by its node id, or the way in through the bootstrap addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LaneId {
    /// Metadata and coordinators are asked here.
    Seed,
    /// A broker as the cluster numbers it.
    Node(i32),
}

/// A question.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Brokers and topics.
    Layout(Vec<Arc<str>>),
    /// Brokers, and every topic of the cluster that one of these patterns takes.
    Listing(Arc<[TopicPattern]>),
    /// The coordinators of these groups.
    Coordinators(Vec<Arc<str>>),
    /// Committed offsets of groups this broker coordinates.
    Commits(Vec<CommitsOf>),
    /// Log end offsets, and log start offsets of those that need one, of partitions this broker leads.
    Ends {
        /// Not empty.
        ends: Partitions,
        /// May be empty.
        starts: Partitions,
        /// Those of the ends whose last stable offset is asked for too. May be empty.
        stable: Partitions,
    },
    /// The rest to read at these offsets, of partitions this broker leads.
    Tails {
        /// For which consumers.
        isolation: Isolation,
        /// Not empty.
        positions: Positions,
    },
}

/// An answer to the question of the same name.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To [`Ask::Layout`] and [`Ask::Listing`].
    Layout(Layout),
    /// To [`Ask::Coordinators`].
    Coordinators(Coordinators),
    /// To [`Ask::Commits`].
    Commits(Fetched),
    /// To [`Ask::Ends`].
    Ends {
        /// Log end offsets.
        ends: Offsets,
        /// Log start offsets.
        starts: Offsets,
        /// Last stable offsets; none of a broker that knows none.
        stable: Offsets,
    },
    /// To [`Ask::Tails`].
    Tails(Tails),
}

/// A finished question.
#[derive(Clone, Debug)]
pub struct Done {
    /// Where it was asked.
    pub lane: LaneId,
    /// As given to [`Lane::ask`].
    pub number: u64,
    /// The question as it was put; a broker that takes one group at a time is asked about some of them.
    pub ask: Ask,
    /// Groups whose commits are yet to be asked for there.
    pub left: Vec<CommitsOf>,
    /// An answer.
    pub result: Result<Answer, Error>,
    /// When the answer was there.
    pub ended: Moment,
}
