//! The topics that patterns take: the cluster's list is asked for when there is a pattern that none was asked for by, and
//! with every further description.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    kafka::topics::TopicPattern,
    snapshot::{Listed, MOST_PATTERNS, Taken, Trouble},
};

/// The topics of patterns.
#[derive(Default)]
pub(super) struct Listing {
    patterns: BTreeSet<TopicPattern>,
    /// By which of them a list was complete.
    listed: Arc<BTreeSet<TopicPattern>>,
    /// The topics of the last list, and those that have left it and are not known to be gone.
    pub(super) topics: Arc<Taken>,
    /// Those that have left it: a list leaves out what may not be described any more, and a broker that just started may
    /// know little.
    left: BTreeSet<Arc<str>>,
    trouble: Option<Trouble>,
    due: bool,
    /// Groups that wait for it are to be looked at.
    pub(super) changed: bool,
}

impl Listing {
    /// These are asked for from now on. Whoever is followed goes on to be.
    pub(super) fn follow(&mut self, asked: &BTreeSet<TopicPattern>) {
        let mut patterns: BTreeSet<_> = self.patterns.intersection(asked).cloned().collect();
        let gone = patterns.len() < self.patterns.len();
        let room = MOST_PATTERNS.saturating_sub(patterns.len());
        patterns.extend(asked.difference(&self.patterns).take(room).cloned());
        self.due |= !patterns.is_subset(&self.patterns);
        if gone {
            Arc::make_mut(&mut self.listed).retain(|p| patterns.contains(p));
            Arc::make_mut(&mut self.topics).keep(&patterns);
            self.left.retain(|t| self.topics.contains(t));
        }
        if patterns.is_empty() {
            self.due = false;
            self.trouble = None;
        }
        self.patterns = patterns;
        self.changed = true;
    }

    /// The next list is asked for, if anybody has a pattern.
    pub(super) fn renew(&mut self) {
        self.due = !self.patterns.is_empty();
    }

    /// The patterns to ask for now, once.
    pub(super) fn next(&mut self) -> Option<Arc<[TopicPattern]>> {
        std::mem::take(&mut self.due).then(|| self.patterns.iter().cloned().collect())
    }

    /// Whether something is to be asked.
    pub(super) fn is_due(&self) -> bool {
        self.due
    }

    /// Whether a list was complete by all of `patterns` that are followed, or can't be had.
    pub(super) fn settles(&self, patterns: &BTreeSet<TopicPattern>) -> bool {
        let mut followed = patterns.intersection(&self.patterns);
        followed.all(|p| self.listed.contains(p)) || self.trouble.is_some()
    }

    /// Takes the topics of a list by `patterns`; whether they are others than before. One that it lacks stays until it is
    /// known to be gone.
    pub(super) fn take(
        &mut self,
        patterns: &[TopicPattern],
        topics: impl Iterator<Item = Arc<str>>,
    ) -> bool {
        self.changed = true;
        let wanted = &self.patterns;
        let listed = patterns.iter().filter(|p| wanted.contains(p));
        self.listed = Arc::new(listed.cloned().collect());
        self.trouble = None;
        let mut topics: BTreeSet<Arc<str>> = topics.collect();
        let before = self.topics.topics().iter();
        self.left = before.filter(|t| !topics.contains(*t)).cloned().collect();
        topics.extend(self.left.iter().cloned());
        if self.topics.is_of(&topics, &self.listed) {
            return false;
        }
        self.topics = Arc::new(Taken::new(&topics, &self.listed));
        true
    }

    /// Topics to be described by name, because the list lacks them.
    pub(super) fn left(&self) -> &BTreeSet<Arc<str>> {
        &self.left
    }

    /// A topic does not exist any more; whether a pattern took it.
    pub(super) fn lose(&mut self, topic: &Arc<str>) -> bool {
        let lost = self.left.remove(topic);
        if lost {
            Arc::make_mut(&mut self.topics).lose(topic);
        }
        lost
    }

    /// The list could not be had; it is asked for `again`, or with the next description.
    pub(super) fn fail(&mut self, trouble: Trouble, again: bool) {
        self.trouble = Some(trouble);
        self.changed = true;
        self.due = again && !self.patterns.is_empty();
    }

    /// For the snapshot.
    pub(super) fn state(&self) -> Listed {
        match &self.trouble {
            Some(trouble) => Listed::Failed(trouble.clone()),
            None if self.listed.is_empty() => Listed::Not,
            None => Listed::Whole(self.listed.clone()),
        }
    }
}
