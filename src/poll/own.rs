//! Which topics a group is read in that is asked for everything: its coordinator lists what has a commit and may be seen, and
//! says nothing of the rest.

use std::{collections::BTreeSet, sync::Arc};

use super::{cluster::Cluster, known::Topic};
use crate::{
    kafka::requests::offset_fetch::TopicCommits,
    lag::{Loss, Track},
};

impl Cluster {
    /// Topics that a group asked for everything shows no commit in and that are read all the same: those that somebody names,
    /// and those of its own whose commits are gone. It has left one of these once others have commits and a description since
    /// says that it may be seen: a coordinator leaves out what may not be.
    pub(super) fn without_commits(
        &mut self,
        name: &Arc<str>,
        commits: &TopicCommits,
    ) -> Vec<Arc<str>> {
        let Some(group) = self.groups.get_mut(name) else {
            return Vec::new();
        };
        let topics = &self.topics.known;
        let demand = &group.demand;
        let before = group.snapshot.topics.keys();
        let history = group.history.iter().flat_map(|h| h.topics.keys());
        let own: BTreeSet<Arc<str>> = before
            .chain(history)
            .chain(&demand.remembered)
            .filter(|t| !commits.contains_key(*t))
            .filter(|t| !topics.get(*t).is_some_and(|t| t.snapshot.gone))
            .cloned()
            .collect();
        let others = !commits.is_empty();
        // A topic that was made anew, and that the group has not committed in since, has lost its commits with the one before it.
        let slots = |t: &Arc<str>| group.snapshot.topics.get(t).into_iter().flatten();
        let is_anew = |t: &Arc<str>| {
            let id = topics.get(t).and_then(Topic::id);
            let anew =
                |track: Track| track.loss == Some(Loss::Recreated) || track.is_of_another(id);
            let since = |track: Track| track.committed.is_some() && !track.is_of_another(id);
            slots(t).any(|(_, slot)| slot.anew || slot.track.is_some_and(anew))
                && !slots(t).any(|(_, slot)| slot.track.is_some_and(since))
        };
        let may_leave: BTreeSet<_> = own
            .iter()
            .filter(|t| others && !is_anew(t))
            .cloned()
            .collect();
        group.leaving.retain(|t, _| may_leave.contains(t));
        let mut left = BTreeSet::new();
        for topic in &may_leave {
            let known = topics.get(topic).map(|t| &t.snapshot);
            let reads = known.map_or(0, |t| t.reads);
            let since = *group.leaving.entry(topic.clone()).or_insert(reads);
            if reads != since && known.is_some_and(|t| t.trouble.is_none()) {
                left.insert(topic.clone());
            } else {
                self.topics.describe.insert(topic.clone());
            }
        }
        let missing = |t: &&Arc<str>| topics.get(*t).is_some_and(Topic::is_missing);
        let named = demand.topics.difference(&demand.remembered);
        let named: Vec<_> = named.filter(|t| !missing(t)).cloned().collect();
        let stay = own.into_iter().filter(|t| !left.contains(t));
        stay.chain(named).collect()
    }

    /// Forgets that a member reads a topic that may not be described, once that shows, or may be.
    pub(super) fn renew_hidden(&mut self, name: &Arc<str>, commits: &TopicCommits) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let topics = &self.topics;
        let seen = |t: &Arc<str>| {
            let topic = topics.get(t);
            commits.contains_key(t) || topic.is_some_and(|t| t.snapshot.trouble.is_none())
        };
        let all = group.demand.all_topics;
        group.hidden = group.hidden.take().filter(|t| all && !seen(t));
    }

    /// Notes which of `wanted` only others name. A topic that was the group's own once stays so without its commits.
    pub(super) fn renew_foreign(
        &mut self,
        name: &Arc<str>,
        wanted: &BTreeSet<Arc<str>>,
        commits: &TopicCommits,
    ) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let explicit = !group.demand.all_topics;
        let (demand, history) = (&group.demand, group.history.as_ref());
        let snapshot = &group.snapshot;
        let own = |topic: &Arc<str>| {
            explicit
                || commits.contains_key(topic)
                || demand.remembered.contains(topic)
                || history.is_some_and(|h| h.topics.contains_key(topic))
                || snapshot.all
                    && snapshot.topics.contains_key(topic)
                    && !snapshot.foreign.contains(topic)
        };
        let mut foreign = snapshot.foreign.clone();
        foreign.retain(|t| snapshot.topics.contains_key(t));
        for topic in wanted {
            if own(topic) {
                foreign.remove(topic);
            } else {
                foreign.insert(topic.clone());
            }
        }
        if foreign != snapshot.foreign {
            group.change().foreign = foreign;
        }
    }
}
