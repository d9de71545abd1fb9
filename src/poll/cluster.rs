//! The one owner of everything known of one cluster. It never waits for a broker: whatever comes in, an answer, a due
//! time, a new demand, is taken up, and then every lane that is free gets its next question (tick.rs).

use crate::snapshot::{ClusterDemand, ClusterKey, Snapshot, Trouble};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, watch},
    time::sleep_until,
};

use super::{
    known::{Group, Topic},
    limits::TOPICS,
    listing::Listing,
    node::Node,
};
use crate::kafka::{
    Address,
    budget::{Budget, Pairs},
    connection::Deadlines,
    lane::{Credential, Lane},
    question::{Done, LaneId},
};

/// Askers that come in a burst are asked for together.
const BURST: Duration = Duration::from_millis(20);

/// An answer that is out for so many patiences is said to be missing.
pub(super) const LATE: u32 = 4;

/// How long things may take and how often they are done.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Hard limits of a dial and a call.
    pub deadlines: Deadlines,
    /// How long prompt brokers are waited for before the others go on without them. One that took longer is not waited for
    /// again until it is prompt.
    pub patience: Duration,
    /// Age at which metadata is asked for again though nothing seems wrong: new partitions show up within it.
    pub layout_every: Duration,
    /// Age at which log start offsets are asked for again.
    pub starts_every: Duration,
    /// First and second try after a trouble that may pass, such as a moved leader; then the usual interval.
    pub retries: [Duration; 2],
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            deadlines: Deadlines::default(),
            patience: Duration::from_millis(250),
            layout_every: Duration::from_secs(30),
            starts_every: Duration::from_secs(30),
            retries: [Duration::from_millis(300), Duration::from_secs(1)],
        }
    }
}

/// The state behind one poll task.
pub(super) struct Cluster {
    pub(super) key: ClusterKey,
    pub(super) timing: Timing,
    demand: watch::Receiver<ClusterDemand>,
    pub(super) demand_due: Option<Instant>,
    pub(super) snapshots: mpsc::UnboundedSender<(ClusterKey, Arc<Snapshot>)>,
    /// The last one that was sent.
    pub(super) published: Option<Arc<Snapshot>>,
    credential: Credential,
    done: (mpsc::UnboundedSender<Done>, mpsc::UnboundedReceiver<Done>),
    pub(super) budget: Budget,
    /// Topics in one Metadata request: fewer once an answer was too large.
    pub(super) most_topics: usize,
    pub(super) number: u64,
    /// The way in; made at the first question.
    pub(super) seed: Option<Node>,
    pub(super) nodes: HashMap<i32, Node>,
    pub(super) brokers: BTreeMap<i32, Address>,
    pub(super) topics: HashMap<Arc<str>, Topic>,
    pub(super) groups: HashMap<Arc<str>, Group>,
    /// Groups that are due and not asked about yet.
    pub(super) waiting: HashSet<Arc<str>>,
    /// Groups with commits in topics that are yet to be described.
    pub(super) holding: HashSet<Arc<str>>,
    pub(super) pairs: Pairs,
    pub(super) next_due: Option<Instant>,
    /// Topics to be described next.
    pub(super) describe: BTreeSet<Arc<str>>,
    /// The last question at the way in was about topics: coordinators have their turn before the next one.
    pub(super) described_last: bool,
    /// When every topic is to be described again.
    pub(super) layout_due: Instant,
    /// What is known of the topics that patterns take.
    pub(super) listing: Listing,
    /// Rises whenever the partitions of a topic are others than before.
    pub(super) layouts: u64,
    /// Topics with something that calls for another description, when it is due, and how many there were in a row.
    pub(super) stale: BTreeSet<Arc<str>>,
    pub(super) stale_due: Option<Instant>,
    pub(super) stale_tries: usize,
    /// Until when commits are waited for before the ends of those that are there are asked for.
    pub(super) gathering: Option<Instant>,
    pub(super) trouble: Option<Trouble>,
    /// Since when there is something to publish.
    pub(super) dirty: Option<Instant>,
}

impl Cluster {
    pub(super) fn new(
        key: ClusterKey,
        demand: watch::Receiver<ClusterDemand>,
        credential: Credential,
        snapshots: mpsc::UnboundedSender<(ClusterKey, Arc<Snapshot>)>,
        timing: Timing,
        budget: Budget,
    ) -> Self {
        let now = Instant::now();
        Self {
            key,
            timing,
            demand,
            // What was handed over with the task still has to be taken up.
            demand_due: Some(now + BURST),
            snapshots,
            published: None,
            credential,
            done: mpsc::unbounded_channel(),
            pairs: budget.pairs(),
            budget,
            most_topics: TOPICS,
            number: 0,
            seed: None,
            nodes: HashMap::new(),
            brokers: BTreeMap::new(),
            topics: HashMap::new(),
            groups: HashMap::new(),
            waiting: HashSet::new(),
            holding: HashSet::new(),
            next_due: None,
            describe: BTreeSet::new(),
            described_last: false,
            layout_due: now + timing.layout_every,
            listing: Listing::default(),
            layouts: 0,
            stale: BTreeSet::new(),
            stale_due: None,
            stale_tries: 0,
            gathering: None,
            trouble: None,
            dirty: None,
        }
    }

    /// Ticks until the demand's owner is gone.
    pub(super) async fn run(mut self) {
        loop {
            let now = Instant::now();
            if self.demand_due.is_some_and(|due| due <= now) {
                self.demand_due = None;
                self.take_demand(now);
            }
            self.advance(now);
            if self.is_to_be_published(now) && self.publish().is_err() {
                return;
            }
            let wake = self.wake(now);
            tokio::select! {
                Some(done) = self.done.1.recv() => {
                    self.absorb(done);
                    while let Ok(done) = self.done.1.try_recv() {
                        self.absorb(done);
                    }
                }
                () = sleep_until(wake.into()) => {}
                Ok(()) = self.credential.changed() => self.try_again(),
                changed = self.demand.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.demand_due.get_or_insert_with(|| Instant::now() + BURST);
                }
            }
        }
    }

    /// Somebody to ask; or why nobody more is dialled.
    pub(super) fn spawn(&self, id: LaneId) -> Result<Node, Trouble> {
        let (credential, deadlines) = (self.credential.clone(), self.timing.deadlines);
        let Some(place) = self.budget.lane() else {
            return Err(Trouble::passing(format!(
                "{}: no broker more is dialled: the objects of a namespace may use {} connections, and all together no more than the process may have",
                self.key,
                self.budget.most_lanes()
            )));
        };
        let (budget, done) = ((self.budget.clone(), place), self.done.0.clone());
        Ok(Node::new(Lane::spawn(
            id, credential, deadlines, budget, done,
        )))
    }

    /// The credential may be dialled with again: what failed without it does not wait.
    fn try_again(&mut self) {
        if self.credential.borrow_and_update().is_none() {
            return;
        }
        let now = Instant::now();
        for node in self.nodes.values_mut().chain(&mut self.seed) {
            node.settle(None, &[], || Duration::ZERO);
        }
        for group in self.groups.values_mut() {
            group.due = now;
        }
        self.next_due = Some(now);
    }

    pub(super) fn dirty(&mut self) {
        self.dirty.get_or_insert_with(Instant::now);
    }

    /// Topics that somebody names and that no description was asked of are asked for at once.
    fn take_demand(&mut self, now: Instant) {
        let wanted = self.demand.borrow_and_update();
        let mut pairs = self.pairs.count();
        let nodes = &mut self.nodes;
        self.groups.retain(|name, group| {
            let stays = wanted.groups.contains_key(name);
            if !stays {
                pairs -= group.pairs;
                for node in nodes.values_mut() {
                    node.forget(name);
                }
            }
            stays
        });
        self.pairs.keep(pairs);
        let groups = &self.groups;
        self.waiting.retain(|name| groups.contains_key(name));
        self.holding.retain(|name| groups.contains_key(name));
        for (name, demand) in &wanted.groups {
            if !wanted.histories.contains_key(name)
                && let Some(group) = self.groups.get_mut(name)
            {
                group.history = None;
            }
            match self.groups.get_mut(name) {
                Some(group) if group.demand == *demand => continue,
                Some(group) => {
                    let known = |t: &Arc<str>| group.snapshot.topics.contains_key(t);
                    let mut more = demand.clone();
                    more.topics.retain(|t| !known(t));
                    let more = !more.is_part_of(&group.demand);
                    if demand.plain && !group.demand.plain {
                        group.look_anew();
                    }
                    group.demand = demand.clone();
                    group.due = now;
                    group.asks = None;
                    if more {
                        group.change().polled = false;
                    }
                }
                None => {
                    let mut group = Group::new(demand.clone(), now);
                    group.history = wanted.histories.get(name).cloned();
                    self.groups.insert(name.clone(), group);
                }
            }
            let topics = &self.topics;
            let unknown = demand.topics.iter().filter(|t| !topics.contains_key(*t));
            self.describe.extend(unknown.cloned());
        }
        let patterns = wanted.groups.values().flat_map(|d| &d.patterns);
        self.listing.follow(&patterns.cloned().collect());
        drop(wanted);
        self.next_due = Some(now);
        self.dirty();
    }
}
