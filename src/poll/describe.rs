//! Descriptions of topics and brokers (Metadata): the changes that one brings, and when another one is called for.

use crate::snapshot::Trouble;
use std::{collections::BTreeSet, sync::Arc, time::Instant};

use kafka_protocol::ResponseError;

use super::{
    backoff::jittered,
    cluster::Cluster,
    known::{Stage, Topic},
    limits::{MOST_BROKERS, MOST_PAIRS, MOST_PARTITIONS},
    words::topic_trouble,
};
use crate::kafka::{
    requests::{Layout, TopicLayout},
    topics::TopicPattern,
};

impl Cluster {
    pub(super) fn take_list(&mut self, patterns: &[TopicPattern], layout: Layout) {
        let topics: Vec<Arc<str>> = layout.topics.keys().cloned().collect();
        if self.listing.take(patterns, topics.iter().cloned()) {
            self.layouts += 1;
            self.forget_topics();
        }
        self.describe.extend(self.listing.left().iter().cloned());
        self.take_layout(&topics, layout);
    }

    pub(super) fn take_layout(&mut self, asked: &[Arc<str>], mut layout: Layout) {
        self.dirty();
        // A coordinator may be one that Metadata does not list: behind a proxy, or on its way out.
        let coordinators: BTreeSet<i32> =
            self.groups.values().filter_map(|g| g.coordinator).collect();
        let unlisted = std::mem::take(&mut self.brokers).into_iter();
        let unlisted = unlisted.filter(|(id, _)| coordinators.contains(id));
        let room = MOST_BROKERS.saturating_sub(layout.brokers.len());
        for (id, address) in unlisted.take(room) {
            layout.brokers.entry(id).or_insert(address);
        }
        self.brokers = layout.brokers;
        self.forget_brokers();
        let mut all: usize = self.topics.values().map(|t| t.ids().len()).sum();
        for name in asked {
            let topic = self.topics.entry(name.clone()).or_default();
            topic.try_left_out_again();
            all -= topic.ids().len();
            let clean = match layout.topics.remove(name) {
                Some(Ok(found))
                    if found.partitions.len() > MOST_PARTITIONS
                        || all + found.partitions.len() > MOST_PAIRS =>
                {
                    let count = found.partitions.len();
                    let text = if count > MOST_PARTITIONS {
                        format!(
                            "topic {name}: it has {count} partitions, which is more than the {MOST_PARTITIONS} that are read"
                        )
                    } else {
                        format!(
                            "topic {name}: with its {count} partitions the topics of the cluster have more than the {MOST_PAIRS} that are read"
                        )
                    };
                    topic.snapshot.trouble = Some(Trouble::passing(text));
                    false
                }
                Some(Ok(found)) => {
                    let (changed, whole) = topic.describe(found);
                    self.layouts += u64::from(changed);
                    whole
                }
                Some(Err(code)) => {
                    topic.exists(code != ResponseError::UnknownTopicOrPartition);
                    topic.snapshot.trouble = Some(topic_trouble(name, code));
                    if topic.snapshot.gone && self.listing.lose(name) {
                        self.layouts += 1;
                    }
                    !code.is_retriable()
                }
                None => {
                    let text = format!("topic {name}: the broker left it out of its answer");
                    topic.snapshot.trouble = Some(Trouble::passing(text));
                    false
                }
            };
            all += topic.ids().len();
            self.stale.remove(name);
            if !clean {
                self.stale(name);
            }
        }
        if self.stale.is_empty() {
            self.stale_tries = 0;
            self.stale_due = None;
        }
        self.claim_held();
    }

    /// Something is wrong with what is known of a topic: it is described again, the first time at once, and until it is well.
    pub(super) fn stale(&mut self, name: &Arc<str>) {
        self.stale.insert(name.clone());
        if self.stale_due.is_none() {
            let retries = self.timing.retries.map(jittered);
            let tries = self.stale_tries.checked_sub(1);
            let delay = tries.map_or(Some(std::time::Duration::ZERO), |i| retries.get(i).copied());
            self.stale_due = Some(Instant::now() + delay.unwrap_or_else(|| self.every()));
            self.stale_tries += 1;
        }
    }

    /// Brokers that are gone owe nothing any more.
    fn forget_brokers(&mut self) {
        let brokers = &self.brokers;
        let gone = self.nodes.extract_if(|id, _| !brokers.contains_key(id));
        let gone: Vec<_> = gone.collect();
        for (id, node) in gone {
            let trouble = Trouble::passing(format!("broker {id} has left the cluster"));
            for claims in [node.ready, node.gathered] {
                self.trouble_claims(claims, &trouble);
            }
            for looks in [node.looks, node.looking] {
                self.look_again(looks);
            }
            if let Some(question) = node.question {
                self.trouble_claims(question.claims, &trouble);
            }
            let lost = self.groups.iter();
            let lost = lost.filter(|(_, g)| g.coordinator == Some(id));
            let lost: Vec<_> = lost.map(|(n, g)| (n.clone(), g.stage)).collect();
            for (name, stage) in lost {
                self.lose_coordinator(&name);
                if stage == Stage::Asked {
                    self.trouble_group(&name, &trouble);
                }
            }
        }
    }
}

impl Topic {
    /// Takes a description: whether the partitions are others than before, and whether each has a leader. Under one id a
    /// topic never loses a partition, so a description that lacks some is an old one.
    fn describe(&mut self, mut found: TopicLayout) -> (bool, bool) {
        let known = self.id();
        if known.is_some() && found.id != known {
            *self = Self::default();
        }
        let mut whole = found.partitions.values().all(|p| p.leader.is_some());
        if let Some(layout) = self.layout.take().filter(|_| known.is_some()) {
            for (id, partition) in layout.partitions {
                found.partitions.entry(id).or_insert_with(|| {
                    whole = false;
                    partition
                });
            }
        }
        let changed = !self.ids().iter().eq(found.partitions.keys());
        if changed {
            self.snapshot.partitions = found.partitions.keys().copied().collect();
        }
        self.snapshot.reads += 1;
        self.snapshot.trouble = None;
        self.exists(true);
        self.layout = Some(found);
        (changed, whole)
    }
}
