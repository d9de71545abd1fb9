//! Groups that are due and not asked about yet. Each is looked at when something has changed for it, and not whenever an answer comes
//! in: among a hundred thousand, that would take their square.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// The obstacle before the question about a group's commits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Obstacle {
    /// A topic that it names is yet to be described.
    Topic(Arc<str>),
    /// The topics that its patterns take are yet to be listed.
    Listing,
}

/// Groups that wait.
#[derive(Default)]
pub(super) struct Waiting {
    all: HashSet<Arc<str>>,
    /// Groups to look at next; some may wait no more.
    next: HashSet<Arc<str>>,
    /// Groups without a coordinator.
    lost: HashSet<Arc<str>>,
    /// Groups by what is in their way.
    behind: HashMap<Obstacle, HashSet<Arc<str>>>,
}

impl Waiting {
    /// One that is due now.
    pub(super) fn insert(&mut self, group: &Arc<str>, is_lost: bool) {
        self.all.insert(group.clone());
        self.next.insert(group.clone());
        if is_lost {
            self.lost.insert(group.clone());
        }
    }

    /// One that waits no more.
    pub(super) fn remove(&mut self, group: &Arc<str>) {
        self.all.remove(group);
        self.lost.remove(group);
    }

    /// Keeps those that are still asked for.
    pub(super) fn retain(&mut self, is_known: impl Fn(&Arc<str>) -> bool) {
        let behind = self.behind.values_mut();
        for groups in behind.chain([&mut self.all, &mut self.next, &mut self.lost]) {
            groups.retain(&is_known);
        }
        self.behind.retain(|_, groups| !groups.is_empty());
    }

    /// Every one of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.all.iter()
    }

    /// Something has changed for one that may be among them.
    pub(super) fn again(&mut self, group: &Arc<str>) {
        if self.all.contains(group) {
            self.next.insert(group.clone());
        }
    }

    /// Groups to look at now; they are looked at again when something changes for them.
    pub(super) fn take(&mut self) -> Vec<Arc<str>> {
        let next = self.next.drain();
        next.filter(|group| self.all.contains(group)).collect()
    }

    /// One that waits for this to be out of the way.
    pub(super) fn wait_for(&mut self, obstacle: Obstacle, group: &Arc<str>) {
        let behind = self.behind.entry(obstacle).or_default();
        behind.insert(group.clone());
    }

    /// This is out of the way.
    pub(super) fn cleared(&mut self, obstacle: &Obstacle) {
        self.next
            .extend(self.behind.remove(obstacle).into_iter().flatten());
    }

    /// Nothing but a coordinator is waited for any more.
    pub(super) fn clear_all(&mut self) {
        let behind = self.behind.drain();
        self.next.extend(behind.flat_map(|(_, groups)| groups));
    }

    /// One whose coordinator is not known; nothing, where it does not wait.
    pub(super) fn lose(&mut self, group: &Arc<str>) {
        if self.all.contains(group) {
            self.lost.insert(group.clone());
        }
    }

    /// The coordinator of one is known.
    pub(super) fn found(&mut self, group: &Arc<str>) {
        self.lost.remove(group);
        self.again(group);
    }

    /// Some of those whose coordinator is not known, `most` at most.
    pub(super) fn lost(&self, most: usize) -> Vec<Arc<str>> {
        self.lost.iter().take(most).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    fn names(groups: &[Arc<str>]) -> Vec<&str> {
        groups.iter().map(|group| &**group).collect()
    }

    #[test]
    fn a_group_is_looked_at_when_it_is_due_and_then_when_what_it_waits_for_is_there() {
        let (mut waiting, group) = (Waiting::default(), name("g"));
        let (topic, none) = (Obstacle::Topic(name("t")), [""; 0]);
        waiting.insert(&group, true);
        assert_eq!(names(&waiting.take()), ["g"]);
        waiting.wait_for(topic.clone(), &group);
        assert_eq!(names(&waiting.take()), none);
        waiting.cleared(&Obstacle::Listing);
        assert_eq!(names(&waiting.take()), none);
        waiting.cleared(&topic);
        assert_eq!(names(&waiting.take()), ["g"]);
        waiting.wait_for(Obstacle::Listing, &group);
        waiting.clear_all();
        assert_eq!(names(&waiting.take()), ["g"]);
        assert_eq!(names(&waiting.lost(9)), ["g"]);
        waiting.found(&group);
        assert_eq!(names(&waiting.take()), ["g"]);
        assert_eq!(names(&waiting.lost(9)), none);
        waiting.again(&group);
        waiting.remove(&group);
        waiting.again(&group);
        waiting.lose(&group);
        assert_eq!(names(&waiting.take()), none);
        assert_eq!(names(&waiting.lost(9)), none);
    }

    #[test]
    fn nothing_is_left_of_groups_that_nobody_asks_for() {
        let mut waiting = Waiting::default();
        for number in 0..100 {
            let group = name(&number.to_string());
            waiting.insert(&group, true);
            waiting.take();
            waiting.wait_for(Obstacle::Topic(group.clone()), &group);
        }
        waiting.retain(|group| **group == *"7");
        let left = [&waiting.all, &waiting.lost].map(HashSet::len);
        assert_eq!((left, waiting.behind.len()), ([1, 1], 1));
    }
}
