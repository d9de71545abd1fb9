//! The one owner of everything known of one cluster: when to ask, what an answer changes, what is published.
//! What is asked in which order is the tick's subject (tick.rs).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, watch},
    time::sleep_until,
};

use super::{
    demand::{ClusterDemand, ClusterKey, GroupDemand},
    picture::{GroupPicture, Picture, Slot, TopicPicture, Trouble},
};
use crate::{
    kafka::{
        Address, Security,
        connection::Deadlines,
        lane::{Done, Lane, LaneId},
        requests::{LogOffset, Partitions, TopicLayout, commits::TopicCommits},
    },
    lag::Moment,
};

/// A refused login costs the broker a delayed answer, so it is tried less and less often.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// First and second try after a trouble that may pass, such as a moved leader; then the usual interval.
const QUICK_TRIES: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

/// Askers that come in a burst are asked for together.
const TOGETHER: Duration = Duration::from_millis(20);

/// How long things may take and how often they are done.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Hard limits of a dial and a call.
    pub deadlines: Deadlines,
    /// How long a step of the tick waits for its slowest broker before the others go on without it.
    pub patience: Duration,
    /// Age at which metadata is asked for again though nothing seems wrong: new partitions show up within it.
    pub layout_every: Duration,
    /// The same for log start offsets.
    pub starts_every: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            deadlines: Deadlines::default(),
            patience: Duration::from_secs(1),
            layout_every: Duration::from_secs(30),
            starts_every: Duration::from_secs(30),
        }
    }
}

/// The state behind one poll task.
pub(super) struct Cluster {
    pub(super) key: ClusterKey,
    pub(super) timing: Timing,
    demand: watch::Receiver<ClusterDemand>,
    pictures: mpsc::UnboundedSender<(ClusterKey, Arc<Picture>)>,
    security: Arc<Security>,
    pub(super) lanes: HashMap<LaneId, Lane>,
    done: (mpsc::UnboundedSender<Done>, mpsc::UnboundedReceiver<Done>),
    pub(super) number: u64,
    pub(super) brokers: BTreeMap<i32, Address>,
    pub(super) topics: HashMap<Arc<str>, Topic>,
    pub(super) groups: HashMap<Arc<str>, Group>,
    pub(super) layout_at: Option<Instant>,
    /// Stays set until a description is free of errors that call for another one.
    pub(super) stale: bool,
    pub(super) trouble: Option<Trouble>,
    failures: u32,
}

/// A topic somebody asks for.
#[derive(Default)]
pub(super) struct Topic {
    pub(super) layout: Option<TopicLayout>,
    pub(super) reads: u64,
    pub(super) trouble: Option<Trouble>,
    /// The last description said that it does not exist.
    pub(super) gone: bool,
    pub(super) ends: BTreeMap<i32, End>,
    pub(super) starts: BTreeMap<i32, i64>,
    pub(super) starts_at: Option<Instant>,
}

/// The last answer about a log end.
pub(super) struct End {
    pub(super) offset: Result<LogOffset, Trouble>,
    /// When it was asked for: a commit read before that may be paired with it.
    pub(super) began: Instant,
}

/// A group somebody asks for.
pub(super) struct Group {
    pub(super) demand: GroupDemand,
    pub(super) due: Instant,
    pub(super) coordinator: Option<i32>,
    pub(super) trouble: Option<Trouble>,
    /// Commits that still wait for their ends.
    pub(super) commits: Option<Commits>,
    /// Older ones: an end that comes later than the next tick still belongs to them.
    pub(super) earlier: Option<Commits>,
    pub(super) slots: BTreeMap<Arc<str>, BTreeMap<i32, Slot>>,
    pub(super) read: Option<Moment>,
    pub(super) polled: bool,
    pub(super) picture: Arc<GroupPicture>,
    pub(super) dirty: bool,
}

/// One answer of a coordinator about one group.
pub(super) struct Commits {
    pub(super) topics: TopicCommits,
    /// What was asked for; `None`: everything.
    pub(super) asked: Option<Arc<Partitions>>,
    pub(super) read: Moment,
}

impl Cluster {
    pub(super) fn new(
        key: ClusterKey,
        mut demand: watch::Receiver<ClusterDemand>,
        pictures: mpsc::UnboundedSender<(ClusterKey, Arc<Picture>)>,
        timing: Timing,
    ) -> Self {
        let security = demand.borrow_and_update().security.clone();
        // What was handed over with the task still has to be taken up.
        demand.mark_changed();
        Self {
            key,
            timing,
            demand,
            pictures,
            security,
            lanes: HashMap::new(),
            done: mpsc::unbounded_channel(),
            number: 0,
            brokers: BTreeMap::new(),
            topics: HashMap::new(),
            groups: HashMap::new(),
            layout_at: None,
            stale: false,
            trouble: None,
            failures: 0,
        }
    }

    /// Ticks until the demand's owner is gone.
    pub(super) async fn run(mut self) {
        tokio::time::sleep(TOGETHER).await;
        loop {
            self.take_demand();
            self.tick().await;
            self.pace();
            if self.publish().is_err() {
                return;
            }
            let next = self.groups.values().map(|g| g.due).min();
            let idle = Instant::now() + self.timing.layout_every;
            tokio::select! {
                () = sleep_until(next.unwrap_or(idle).into()) => {}
                changed = self.demand.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    tokio::time::sleep(TOGETHER).await;
                    // To wait for a change is to have seen it; it still has to be taken.
                    self.demand.mark_changed();
                }
            }
        }
    }

    pub(super) fn lane(&mut self, id: LaneId) -> &mut Lane {
        let (security, deadlines) = (&self.security, self.timing.deadlines);
        let done = &self.done.0;
        self.lanes
            .entry(id)
            .or_insert_with(|| Lane::spawn(id, security.clone(), deadlines, done.clone()))
    }

    /// The next finished question; `None` once `until` has passed.
    pub(super) async fn next_done(&mut self, until: Option<Instant>) -> Option<Done> {
        match until {
            None => self.done.1.recv().await,
            Some(until) => tokio::time::timeout_at(until.into(), self.done.1.recv())
                .await
                .ok()
                .flatten(),
        }
    }

    /// A finished question that is there already.
    pub(super) fn done_already(&mut self) -> Option<Done> {
        self.done.1.try_recv().ok()
    }

    fn take_demand(&mut self) {
        if !self.demand.has_changed().unwrap_or(false) {
            return;
        }
        let wanted = self.demand.borrow_and_update().groups.clone();
        self.groups.retain(|group, _| wanted.contains_key(group));
        let now = Instant::now();
        for (name, demand) in wanted {
            let group = self.groups.entry(name).or_insert_with(|| Group {
                demand: demand.clone(),
                due: now,
                coordinator: None,
                trouble: None,
                commits: None,
                earlier: None,
                slots: BTreeMap::new(),
                read: None,
                polled: false,
                picture: Arc::default(),
                dirty: true,
            });
            if group.demand != demand {
                group.due = now;
                group.demand = demand;
                group.polled = false;
                group.dirty = true;
            }
        }
    }

    /// Troubled groups are tried again soon, twice; a cluster that refuses us less and less often.
    fn pace(&mut self) {
        let now = Instant::now();
        let refused = self.trouble.as_ref().is_some_and(|t| t.configuration);
        let troubled = self.trouble.is_some() || self.stale;
        let unsettled = |g: &Group| g.trouble.as_ref().is_some_and(|t| !t.configuration);
        if !troubled && !self.groups.values().any(unsettled) {
            self.failures = 0;
            return;
        }
        let tries = self.failures;
        self.failures = self.failures.saturating_add(1);
        // Up to a tenth later, so that objects of one cause do not dial in step.
        let jitter = 1.0 + fastrand::f64() / 10.0;
        for group in self.groups.values_mut() {
            let every = group.demand.every;
            if refused {
                let delay = every.saturating_mul(1 << tries.min(6));
                group.due = now + delay.min(LONGEST_BACKOFF).mul_f64(jitter);
            } else if let Some(delay) = QUICK_TRIES.get(tries as usize)
                && (troubled || unsettled(group))
            {
                group.due = group.due.min(now + delay.mul_f64(jitter));
            }
        }
    }

    fn publish(&mut self) -> Result<(), ()> {
        for group in self.groups.values_mut().filter(|g| g.dirty) {
            group.dirty = false;
            group.picture = Arc::new(GroupPicture {
                topics: group.slots.clone(),
                trouble: group.trouble.clone(),
                read: group.read,
                polled: group.polled,
            });
        }
        let topics = self.topics.iter().map(|(name, topic)| {
            let partitions = topic.layout.iter().flat_map(|l| l.partitions.keys());
            let picture = TopicPicture {
                partitions: partitions.copied().collect(),
                reads: topic.reads,
                trouble: topic.trouble.clone(),
            };
            (name.clone(), picture)
        });
        let groups = self.groups.iter();
        let picture = Picture {
            topics: topics.collect(),
            groups: groups
                .map(|(n, g)| (n.clone(), g.picture.clone()))
                .collect(),
            trouble: self.trouble.clone(),
            listed: false,
        };
        self.pictures
            .send((self.key.clone(), Arc::new(picture)))
            .map_err(drop)
    }
}
