//! The topics of a cluster: what is known of them, and which are described next.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use kafka_protocol::ResponseError;

use super::{
    backoff::jittered,
    known::Topic,
    limits::{MOST_PARTITIONS, TOPICS},
    listing::Listing,
    timing::Timing,
    waiting::Obstacle,
    words::topic_trouble,
};
use crate::{
    kafka::{requests::TopicLayout, topics::TopicPattern},
    snapshot::{GroupDemand, TopicSnapshot, Trouble},
};

/// Partitions in one Metadata request, which fill half a frame.
const PARTITIONS: usize = 40_000;

/// The description of each topic that was asked for.
pub(super) type Described = BTreeMap<Arc<str>, Result<TopicLayout, ResponseError>>;

/// The topics of one cluster.
pub(super) struct Topics {
    pub(super) known: HashMap<Arc<str>, Topic>,
    /// The topics that patterns take.
    pub(super) listing: Listing,
    /// Topics to be described next.
    pub(super) describe: BTreeSet<Arc<str>>,
    /// When every topic is to be described again.
    pub(super) due: Instant,
    /// Rises whenever the partitions of a topic are others than before.
    pub(super) layouts: u64,
    /// Partitions of all topics together: how many there may be, and how many there are.
    most_partitions: usize,
    partitions: usize,
    /// Topics that an answer was about since groups were looked for that wait for one.
    pub(super) described: Vec<Arc<str>>,
    /// Topics in one Metadata request: fewer once an answer was too large.
    most: usize,
    /// Topics with something that calls for another description, when it is due, and how many there were in a row.
    stale: BTreeSet<Arc<str>>,
    pub(super) stale_due: Option<Instant>,
    stale_tries: usize,
    /// Delays of the first descriptions after one that was not well, and of every further one.
    retries: [Duration; 2],
    pub(super) retry_every: Duration,
    /// Something is to be published.
    pub(super) changed: bool,
}

impl Topics {
    /// No topics yet; their partitions are read as long as there are `most_partitions` of them at most.
    pub(super) fn new(timing: &Timing, most_partitions: usize, now: Instant) -> Self {
        Self {
            known: HashMap::new(),
            most_partitions,
            partitions: 0,
            described: Vec::new(),
            listing: Listing::default(),
            describe: BTreeSet::new(),
            due: now + timing.layout_every,
            layouts: 0,
            most: TOPICS,
            stale: BTreeSet::new(),
            stale_due: None,
            stale_tries: 0,
            retries: timing.retries,
            retry_every: timing.layout_every,
            changed: false,
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Topic> {
        self.known.get(name)
    }

    /// Whether a description of it has been answered, well or not.
    pub(super) fn is_seen(&self, name: &str) -> bool {
        self.get(name).is_some_and(Topic::is_seen)
    }

    /// The obstacle before a group with this demand can be asked about, if there is one.
    pub(super) fn obstacle(&self, demand: &GroupDemand) -> Option<Obstacle> {
        if !self.listing.settles(&demand.patterns) {
            return Some(Obstacle::Listing);
        }
        let mut topics = demand.topics.iter();
        let unseen = topics.find(|topic| !self.is_seen(topic));
        unseen.cloned().map(Obstacle::Topic)
    }

    /// The published part of those that have been described.
    pub(super) fn snapshot(&self) -> HashMap<Arc<str>, TopicSnapshot> {
        let seen = self.known.iter().filter(|(_, t)| t.is_seen());
        seen.map(|(n, t)| (n.clone(), t.snapshot.clone())).collect()
    }

    /// All of those that are `wanted` are described again. Those that a pattern takes come with the list.
    pub(super) fn describe_all(&mut self, wanted: BTreeSet<Arc<str>>) {
        self.describe = wanted;
        self.listing.renew();
        let listed = &self.listing.topics;
        self.describe.retain(|name| !listed.contains(name));
    }

    /// Those with something wrong are described again, if that is due.
    pub(super) fn describe_stale(&mut self, now: Instant) {
        if self.stale_due.is_some_and(|due| due <= now) {
            self.stale_due = None;
            let known = self.stale.iter().filter(|t| self.known.contains_key(*t));
            self.describe.extend(known.cloned());
        }
    }

    /// As many as one Metadata answer should hold.
    pub(super) fn next(&mut self) -> Vec<Arc<str>> {
        let mut partitions = 0;
        let mut next = Vec::new();
        while let Some(name) = self.describe.first() {
            let known = self.known.get(name).map(|t| t.ids().len());
            // One that is new is taken for a large one.
            partitions += known.unwrap_or(PARTITIONS / TOPICS);
            if !next.is_empty() && (partitions > PARTITIONS || next.len() >= self.most) {
                break;
            }
            next.extend(self.describe.pop_first());
        }
        next
    }

    /// The answer about these was too large: fewer are asked about at once from now on, and one alone is given up until the
    /// next description of all.
    pub(super) fn ask_less(&mut self, asked: Vec<Arc<str>>, trouble: &Trouble) {
        self.changed = true;
        if let [name] = asked.as_slice() {
            let topic = self.known.entry(name.clone()).or_default();
            topic.snapshot.trouble = Some(trouble.clone());
            self.described.push(name.clone());
            return;
        }
        self.most = (asked.len() / 2).max(1);
        self.describe.extend(asked);
    }

    /// Forgets topics that nobody wants any more.
    pub(super) fn keep(&mut self, wanted: &BTreeSet<Arc<str>>) {
        let partitions = &mut self.partitions;
        self.known.retain(|name, topic| {
            let stays = wanted.contains(name);
            *partitions -= if stays { 0 } else { topic.ids().len() };
            stays
        });
        self.stale.retain(|name| wanted.contains(name));
    }

    /// Takes the list of all topics; whether patterns take others than before.
    pub(super) fn take_list(&mut self, patterns: &[TopicPattern], names: &[Arc<str>]) -> bool {
        let changed = self.listing.take(patterns, names.iter().cloned());
        self.layouts += u64::from(changed);
        changed
    }

    /// Takes a description of those that were asked for.
    pub(super) fn take(&mut self, asked: &[Arc<str>], mut described: Described) {
        self.changed = true;
        self.described.extend(asked.iter().cloned());
        let mut all = self.partitions;
        for name in asked {
            let topic = self.known.entry(name.clone()).or_default();
            topic.try_left_out_again();
            all -= topic.ids().len();
            let clean = match described.remove(name) {
                Some(Ok(found)) => {
                    if let Some(text) =
                        too_many(name, found.partitions.len(), all, self.most_partitions)
                    {
                        topic.snapshot.trouble = Some(Trouble::passing(text));
                        false
                    } else {
                        let (changed, whole) = topic.describe(found);
                        self.layouts += u64::from(changed);
                        whole
                    }
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
                self.is_stale(name);
            }
        }
        self.partitions = all;
        if self.stale.is_empty() {
            self.stale_tries = 0;
            self.stale_due = None;
        }
    }

    /// Something is wrong with what is known of a topic: it is described again, the first time at once, and until it is well.
    pub(super) fn is_stale(&mut self, name: &Arc<str>) {
        self.stale.insert(name.clone());
        if self.stale_due.is_none() {
            let retries = self.retries.map(jittered);
            let tries = self.stale_tries.checked_sub(1);
            let delay = tries.map_or(Some(Duration::ZERO), |i| retries.get(i).copied());
            self.stale_due = Some(Instant::now() + delay.unwrap_or(self.retry_every));
            self.stale_tries += 1;
        }
    }
}

/// Why a topic's partitions are not read, beside `others` of the cluster.
fn too_many(name: &str, count: usize, others: usize, most: usize) -> Option<String> {
    if count > MOST_PARTITIONS {
        return Some(format!(
            "topic {name}: it has {count} partitions, which is more than the {MOST_PARTITIONS} that are read"
        ));
    }
    (others + count > most).then(|| {
        format!(
            "topic {name}: with its {count} partitions the topics of the cluster have more than the {most} that are read"
        )
    })
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
