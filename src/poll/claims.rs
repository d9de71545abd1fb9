//! From a group's commits to claims: each commit goes to the leader of its partition, whose answer it then waits for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use super::{
    cluster::{Cluster, MOST_PAIRS},
    known::{Held, Stage, Topic},
    node::Claim,
    pairing::passing,
    picture::Trouble,
    words::partition_trouble,
};
use crate::{
    kafka::requests::{Partitions, commits::TopicCommits},
    lag::Moment,
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
            // What is asked of it changed meanwhile.
            group.due = Instant::now();
            self.next_due = Some(group.due);
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
        let picture = group.change();
        picture.trouble = None;
        picture.read = Some(read);
        picture.topics.retain(|topic, _| wanted.contains(topic));
        if asked.is_none() {
            let ids = wanted
                .iter()
                .map(|t| self.topics.get(t).map_or(0, |t| t.ids().len()));
            let pairs = ids.map(|ids| ids.max(1)).sum();
            if !self.count_pairs(name, pairs) {
                return;
            }
        }
        self.claim(name, wanted, commits, read);
    }

    /// Topics that a group asked for everything shows no commit in and that are read all the same: those that somebody names,
    /// and those of its own whose commits are gone. It has left one of these once others have commits and a description since
    /// says that it may be seen: a coordinator leaves out what may not be.
    fn without_commits(&mut self, name: &Arc<str>, commits: &TopicCommits) -> Vec<Arc<str>> {
        let Some(group) = self.groups.get_mut(name) else {
            return Vec::new();
        };
        let topics = &self.topics;
        let demand = &group.demand;
        let before = group.picture.topics.keys();
        let history = group.history.iter().flat_map(|h| h.topics.keys());
        let own: BTreeSet<Arc<str>> = before
            .chain(history)
            .chain(&demand.remembered)
            .filter(|t| !commits.contains_key(*t))
            .filter(|t| !topics.get(*t).is_some_and(|t| t.picture.gone))
            .cloned()
            .collect();
        let others = !commits.is_empty();
        group.leaving.retain(|t, _| others && own.contains(t));
        let mut left = BTreeSet::new();
        for topic in own.iter().filter(|_| others) {
            let known = topics.get(topic).map(|t| &t.picture);
            let reads = known.map_or(0, |t| t.reads);
            let since = *group.leaving.entry(topic.clone()).or_insert(reads);
            if reads > since && known.is_some_and(|t| t.trouble.is_none()) {
                left.insert(topic.clone());
            } else {
                self.describe.insert(topic.clone());
            }
        }
        let missing = |t: &&Arc<str>| topics.get(*t).is_some_and(Topic::is_missing);
        let named = demand.topics.difference(&demand.remembered);
        let named: Vec<_> = named.filter(|t| !missing(t)).cloned().collect();
        let stay = own.into_iter().filter(|t| !left.contains(t));
        stay.chain(named).collect()
    }

    /// How many partitions a group is read in; `false`, with the reason told, if that is more than are read of a cluster.
    pub(super) fn count_pairs(&mut self, name: &Arc<str>, pairs: usize) -> bool {
        let Some(group) = self.groups.get_mut(name) else {
            return false;
        };
        let others = self.pairs - group.pairs;
        let fits = others + pairs <= MOST_PAIRS;
        group.pairs = if fits { pairs } else { 0 };
        self.pairs = others + group.pairs;
        if !fits {
            group.change().topics.clear();
            let text = format!(
                "group {name}: its {pairs} partitions and the {others} that are read already are more than the {MOST_PAIRS} that are read of a cluster"
            );
            self.trouble_group(name, &Trouble::passing(text));
        }
        fits
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
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let explicit = !group.demand.all_topics;
        let hidden = group.hidden.clone().filter(|_| !explicit);
        let history = group.history.clone();
        let own = |name: &Arc<str>| {
            let known = history
                .as_ref()
                .is_some_and(|h| h.topics.contains_key(name));
            explicit
                || known
                || group.demand.remembered.contains(name)
                || commits.contains_key(name)
        };
        let (mut begun, mut ghosts) = (Vec::new(), Vec::new());
        for topic_name in wanted {
            let topic = self.topics.get(&topic_name);
            let Some(topic) = topic.filter(|t| t.layout.is_some() && !t.picture.gone) else {
                let known = topic.and_then(|t| t.picture.trouble.clone());
                // A commit in a topic that is gone can't be taken away by anybody: it is told, and holds up nothing.
                if topic.is_some_and(|t| t.picture.gone) && !explicit {
                    ghosts.push(topic_name);
                    continue;
                }
                // It is somebody else's, who is told by the topic itself.
                if known.is_some() && !own(&topic_name) {
                    continue;
                }
                begun.push(topic_name.clone());
                if known.is_none() {
                    self.describe.insert(topic_name.clone());
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
                        claims.push((topic.leader(*id), claim(committed)));
                    }
                }
            }
        }
        // What waits for its first end is not read yet, and says so.
        let picture = group.change();
        picture.all = !explicit;
        picture
            .topics
            .extend(ghosts.into_iter().map(|name| (name, BTreeMap::new())));
        for name in begun {
            let slots = picture.topics.entry(name.clone()).or_default();
            let ids = self.topics.get(&name).map_or(&[][..], |t| t.ids());
            // Partitions of a former life of the topic.
            if slots.len() > ids.len() {
                slots.retain(|id, _| ids.binary_search(id).is_ok());
            }
        }
        if let Some(trouble) = undescribed {
            group.change().trouble = Some(trouble);
            group.held = Some(Held {
                commits,
                topics: held,
                read,
            });
            self.holding.insert(name.clone());
        } else if group.picture.trouble != hidden {
            group.change().trouble = hidden;
        }
        if claims.is_empty() {
            group.polled();
        }
        for (claim, trouble) in troubles {
            self.trouble_pair(&claim.group, &claim.topic, claim.id, trouble);
        }
        self.distribute(claims);
    }

    fn distribute(&mut self, claims: Vec<(Option<i32>, Claim)>) {
        let now = Instant::now();
        for (leader, claim) in claims {
            let topic = self.topics.get(&claim.topic);
            if topic.is_some_and(|t| t.is_taken_for_empty(claim.id)) {
                self.take_empty(&claim);
                continue;
            }
            let Some(leader) = leader else {
                let trouble = passing(&claim.topic, claim.id, "it has no leader at the moment");
                self.trouble_claims(vec![claim], &trouble);
                continue;
            };
            match self.node(leader, now) {
                Ok(node) => {
                    node.gathered.push(claim);
                    self.gathering.get_or_insert(now + self.timing.patience);
                }
                Err(trouble) => self.trouble_claims(vec![claim], &trouble),
            }
        }
    }
}
