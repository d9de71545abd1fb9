//! From a group's commits to claims: each commit goes to the leader of its partition, whose answer it then waits for.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use kafka_protocol::ResponseError;

use super::{
    cluster::Cluster,
    known::{Held, Stage, Topic},
    node::Claim,
    pairing::passing,
    words::{partition_trouble, topic_trouble},
};
use crate::{
    kafka::requests::{Partitions, offset_fetch::TopicCommits},
    lag::Moment,
    snapshot::{PartitionSlots, Slot, Trouble},
};

impl Cluster {
    /// A group's commits: `asked` for by name, or all there are.
    pub(super) fn take_group(
        &mut self,
        name: &Arc<str>,
        asked: Option<&Partitions>,
        commits: TopicCommits,
        read: Moment,
    ) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        group.stage = Stage::Idle;
        group.held = None;
        if group.asks.is_none() {
            // The demand changed meanwhile.
            group.due = Instant::now();
            self.groups.next_due = Some(group.due);
        }
        let mut wanted: BTreeSet<Arc<str>> = BTreeSet::new();
        if let Some(asked) = asked {
            wanted.extend(asked.keys().cloned());
        } else {
            wanted.extend(commits.keys().cloned());
            let without = self.without_commits(name, &commits);
            wanted.extend(without);
        }
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let snapshot = group.change();
        snapshot.trouble = None;
        snapshot.read = Some(read);
        snapshot.topics.retain(|topic, _| wanted.contains(topic));
        if asked.is_none() {
            let ids = wanted
                .iter()
                .map(|t| self.topics.get(t).map_or(0, |t| t.ids().len()));
            let pairs = ids.map(|ids| ids.max(1)).sum();
            if !self.groups.count_pairs(name, pairs) {
                return;
            }
        }
        self.claim(name, wanted, commits, read);
    }

    /// Sends each commit in `wanted` to the leader of its partition.
    pub(super) fn claim(
        &mut self,
        name: &Arc<str>,
        wanted: BTreeSet<Arc<str>>,
        commits: TopicCommits,
        read: Moment,
    ) {
        let (mut claims, mut troubles) = (Vec::new(), Vec::new());
        let (mut held, mut undescribed) = (BTreeSet::new(), None);
        let Some(group) = self.groups.get(name) else {
            return;
        };
        let explicit = !group.demand.all_topics;
        self.renew_hidden(name, &commits);
        self.renew_foreign(name, &wanted, &commits);
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let refused = |t: &Arc<str>| topic_trouble(t, ResponseError::TopicAuthorizationFailed);
        let hidden = group.hidden.as_ref().map(refused);
        let (mut begun, mut ghosts) = (Vec::new(), Vec::new());
        for topic_name in wanted {
            let topic = self.topics.get(&topic_name);
            let Some(topic) = topic.filter(|t| t.layout.is_some() && !t.snapshot.gone) else {
                let known = topic.and_then(|t| t.snapshot.trouble.clone());
                // A commit in a topic that is gone can't be taken away by anybody: it is told, and holds up nothing.
                if topic.is_some_and(|t| t.snapshot.gone) && !explicit {
                    ghosts.push(topic_name);
                    continue;
                }
                // It is somebody else's, who is told by the topic itself.
                if known.is_some() && group.snapshot.foreign.contains(&topic_name) {
                    continue;
                }
                begun.push(topic_name.clone());
                if known.is_none() {
                    self.topics.describe.insert(topic_name.clone());
                }
                let text = || format!("topic {topic_name}: it has not been described yet");
                let why = known.unwrap_or_else(|| Trouble::passing(text()));
                undescribed.get_or_insert(why);
                held.insert(topic_name);
                continue;
            };
            begun.push(topic_name.clone());
            let of_topic = commits.get(&topic_name);
            for id in topic.ids() {
                let claim = |committed| Claim {
                    group: name.clone(),
                    topic: topic_name.clone(),
                    topic_id: topic.id(),
                    id: *id,
                    committed,
                    read,
                };
                match of_topic.and_then(|t| t.get(id)) {
                    Some(Err(code)) => {
                        troubles.push((claim(None), partition_trouble(&topic_name, *id, *code)));
                    }
                    // Asked for everything, a coordinator lists what has a commit.
                    None if explicit => {
                        let what = "the coordinator left it out of its answer";
                        troubles.push((claim(None), passing(&topic_name, *id, what)));
                    }
                    found => {
                        let committed = found.and_then(|c| c.as_ref().ok().copied().flatten());
                        let is_empty = topic.is_taken_for_empty(*id);
                        claims.push((topic.leader(*id), is_empty, claim(committed)));
                    }
                }
            }
        }
        // A partition that waits for its first end is not read yet, and says so.
        let snapshot = group.change();
        snapshot.all = !explicit;
        snapshot
            .topics
            .extend(ghosts.into_iter().map(|name| (name, PartitionSlots::new())));
        for name in begun {
            let topic = self.topics.get(&name);
            follow(snapshot.topics.entry(name).or_default(), topic);
        }
        let is_held = undescribed.is_some();
        if let Some(trouble) = undescribed {
            group.change().trouble = Some(trouble);
            group.held = Some(Held {
                commits,
                topics: held,
                read,
            });
        } else if group.snapshot.trouble != hidden {
            group.change().trouble = hidden;
        }
        if claims.is_empty() {
            group.polled();
        }
        if is_held {
            self.groups.holding.insert(name.clone());
        }
        for (claim, trouble) in troubles {
            self.groups
                .trouble_pair(&claim.group, &claim.topic, claim.id, trouble);
        }
        self.distribute(claims);
    }

    /// Each claim with the leader of its partition, and whether that is taken for empty.
    fn distribute(&mut self, claims: Vec<(Option<i32>, bool, Claim)>) {
        let now = Instant::now();
        for (leader, is_empty, claim) in claims {
            if is_empty {
                self.take_empty(&claim);
                continue;
            }
            let Some(leader) = leader else {
                let trouble = passing(&claim.topic, claim.id, "it has no leader at the moment");
                self.trouble_claims(vec![claim], &trouble);
                continue;
            };
            match self.brokers.node(leader, now) {
                Ok(node) => {
                    node.gathered.push(claim);
                    let until = now + self.timing.patience;
                    self.brokers.gathering.get_or_insert(until);
                }
                Err(trouble) => self.trouble_claims(vec![claim], &trouble),
            }
        }
    }
}

/// Lets the partitions of a group be those of its topic: where that was made anew, all that is in it came since.
fn follow(slots: &mut PartitionSlots, topic: Option<&Topic>) {
    let Some(topic) = topic.filter(|t| !t.ids().is_empty()) else {
        return;
    };
    let (ids, topic_id) = (topic.ids(), topic.id());
    let mut tracks = slots.values().filter_map(|s| s.track);
    if tracks.any(|t| t.is_of_another(topic_id)) {
        for id in ids {
            slots.entry(*id).or_insert_with(|| Slot {
                anew: true,
                ..Slot::default()
            });
        }
    }
    if slots.len() > ids.len() {
        slots.retain(|id, _| ids.binary_search(id).is_ok());
    }
}
