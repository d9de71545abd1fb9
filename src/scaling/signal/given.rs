//! The arguments and results that the sources of one evaluation share.

use std::collections::BTreeSet;

use crate::{
    lag::Moment,
    scaling::{Due, Plan, Settings, Surroundings},
    snapshot::Snapshots,
};

/// The arguments of an evaluation, which no step of it changes.
#[derive(Clone, Copy)]
pub(in crate::scaling) struct Given<'a> {
    pub(in crate::scaling) plan: &'a Plan,
    pub(in crate::scaling) snapshots: &'a Snapshots,
    pub(in crate::scaling) around: &'a Surroundings,
    pub(in crate::scaling) settings: Settings,
    pub(in crate::scaling) now: Moment,
}

/// The progress of the readings, over all triggers of the object.
pub(in crate::scaling) struct Progress {
    /// The first poll of each group is over, whatever came of it.
    pub(in crate::scaling) polled: bool,
    /// Nothing is withheld merely because no answer has come yet.
    pub(in crate::scaling) answered: bool,
    /// Something has never been read, for trouble that may pass by itself.
    pub(in crate::scaling) unread: bool,
    /// Triggers whose new credential has read everything.
    pub(in crate::scaling) renewed: BTreeSet<usize>,
    pub(in crate::scaling) due: Due,
}

impl Progress {
    /// Nothing has been asked yet.
    pub(in crate::scaling) fn before_any(now: Moment) -> Self {
        Self {
            polled: true,
            answered: true,
            unread: false,
            renewed: BTreeSet::new(),
            due: Due::after(now),
        }
    }
}
