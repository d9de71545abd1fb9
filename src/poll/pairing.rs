//! Pairs of commits and ends: an end counts only for commits that were read before it was asked for, and what is not
//! there yet keeps its last pair.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    absorb::partition_trouble,
    cluster::{Cluster, Commits, Group, Topic},
    picture::{Slot, Trouble},
};
use crate::lag::{Reading, Track};

impl Cluster {
    /// The partitions whose commits wait for an end: those asked for, or in all-topics mode those of the topics found.
    pub(super) fn unpaired(&self, group: &Group) -> Vec<(Arc<str>, Vec<i32>)> {
        let Some(commits) = &group.commits else {
            return Vec::new();
        };
        if let Some(asked) = &commits.asked {
            return asked
                .iter()
                .map(|(t, ids)| (t.clone(), ids.clone()))
                .collect();
        }
        // A topic whose commits are gone is still the group's, until it is gone itself.
        let before = group.slots.keys();
        let before = before.filter(|name| self.topics.get(*name).is_some_and(|t| !t.gone));
        let names = commits
            .topics
            .keys()
            .chain(&group.demand.topics)
            .chain(before);
        let names: BTreeSet<&Arc<str>> = names.collect();
        let known = names.into_iter().filter_map(|name| {
            let layout = self.topics.get(name)?.layout.as_ref()?;
            Some((name.clone(), layout.partitions.keys().copied().collect()))
        });
        known.collect()
    }

    /// Makes pairs of commits and ends that were asked for after them; what is not there yet keeps its last pair.
    pub(super) fn pair_up(&mut self) {
        let names: Vec<_> = self.groups.keys().cloned().collect();
        for name in names {
            let Some(group) = self.groups.get(&name) else {
                continue;
            };
            let wanted = self.unpaired(group);
            let topics = &self.topics;
            let Some(group) = self.groups.get_mut(&name) else {
                continue;
            };
            let Some(commits) = group.commits.take() else {
                continue;
            };
            let earlier = group.earlier.take();
            group.dirty = true;
            let mut waiting = false;
            if commits.asked.is_none()
                && let Some(trouble) = undescribed(&commits, topics)
            {
                group.trouble = Some(trouble);
            }
            group
                .slots
                .retain(|t, _| wanted.iter().any(|(w, _)| w == t));
            for (topic_name, ids) in wanted {
                let Some(topic) = topics.get(&topic_name) else {
                    continue;
                };
                let slots = group.slots.entry(topic_name.clone()).or_default();
                slots.retain(|id, _| ids.binary_search(id).is_ok());
                for id in ids {
                    let slot = slots.entry(id).or_default();
                    let mut found = pair(&topic_name, id, topic, &commits);
                    if let Pairing::Waiting(_) = found {
                        waiting = true;
                        let late = earlier.as_ref();
                        let late = late.map(|e| pair(&topic_name, id, topic, e));
                        found = late.filter(|l| !l.waits()).unwrap_or(found);
                    }
                    match found {
                        Pairing::Read(reading) => slot.take(reading),
                        Pairing::Trouble(trouble) | Pairing::Waiting(trouble) => {
                            slot.trouble = Some(trouble);
                        }
                    }
                }
            }
            if waiting {
                group.commits = Some(commits);
                group.earlier = earlier;
            }
        }
    }
}

/// A topic that the group has committed and nobody has described yet: its lag is not known, and so the sum is not.
fn undescribed(commits: &Commits, topics: &HashMap<Arc<str>, Topic>) -> Option<Trouble> {
    let known = |name: &Arc<str>| topics.get(name).is_some_and(|t| t.layout.is_some());
    let name = commits.topics.keys().find(|name| !known(name))?;
    let trouble = topics.get(name).and_then(|t| t.trouble.clone());
    let passing = || Trouble::passing(format!("topic {name}: it has not been described yet"));
    Some(trouble.unwrap_or_else(passing))
}

impl Slot {
    fn take(&mut self, reading: Reading) {
        self.trouble = None;
        match &mut self.track {
            Some(track) if track.at.at >= reading.at.at => {}
            Some(track) => track.take(reading),
            None => self.track = Some(Track::begin(reading)),
        }
    }
}

enum Pairing {
    Read(Reading),
    Trouble(Trouble),
    Waiting(Trouble),
}

impl Pairing {
    fn waits(&self) -> bool {
        matches!(self, Self::Waiting(_))
    }
}

fn pair(name: &Arc<str>, id: i32, topic: &Topic, commits: &Commits) -> Pairing {
    let passing = |what: &str| Trouble::passing(format!("topic {name} partition {id}: {what}"));
    let commit = commits.topics.get(name).and_then(|t| t.get(&id));
    let committed = match commit {
        Some(Ok(committed)) => *committed,
        Some(Err(code)) => return Pairing::Trouble(partition_trouble(name, id, *code)),
        // Asked for everything, a coordinator lists what has a commit.
        None if commits.asked.is_none() => None,
        None => return Pairing::Trouble(passing("the coordinator left it out of its answer")),
    };
    let end = topic.ends.get(&id).filter(|e| e.began >= commits.read.at);
    match end.map(|e| &e.offset) {
        Some(Ok(end)) => Pairing::Read(Reading {
            committed,
            end: end.offset,
            leader_epoch: end.leader_epoch,
            start: topic.starts.get(&id).copied(),
            topic_id: topic.layout.as_ref().and_then(|l| l.id),
            at: commits.read,
        }),
        Some(Err(trouble)) => Pairing::Trouble(trouble.clone()),
        None => {
            let layout = topic.layout.as_ref().and_then(|l| l.partitions.get(&id));
            if layout.is_none_or(|l| l.leader.is_none()) {
                Pairing::Trouble(passing("it has no leader at the moment"))
            } else {
                Pairing::Waiting(passing("its leader has not answered yet"))
            }
        }
    }
}
