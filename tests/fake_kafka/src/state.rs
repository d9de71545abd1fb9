//! State of the cluster: what it knows, what it was asked, and how it counts.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use kafka_protocol::messages::ApiKey;

use super::{
    fault::{Fault, What},
    profile::{KAFKA_4, Profile},
};

#[derive(Clone, Debug, Default)]
pub struct Topic {
    /// All zeros: none.
    pub id: [u8; 16],
    pub partitions: Vec<Partition>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Partition {
    /// -1: nobody.
    pub leader: i32,
    pub start: i64,
    pub end: i64,
    /// The last stable offset, while a transaction is open.
    pub stable: Option<i64>,
    /// The leader's epoch; -1: not told.
    pub epoch: i32,
    /// A leader that was deposed and does not know it: it answers as if it led still.
    pub former: Option<Former>,
    /// The high watermark that a leader tells which has just been elected and does not know better yet.
    pub behind: Option<i64>,
}

/// The end that a deposed leader goes on telling.
#[derive(Clone, Copy, Debug)]
pub struct Former {
    pub leader: i32,
    pub end: i64,
    pub epoch: i32,
}

#[derive(Clone, Debug, Default)]
pub struct Group {
    pub coordinator: i32,
    pub commits: HashMap<String, BTreeMap<i32, i64>>,
    /// A live member that reads this topic.
    pub reads: Option<&'static str>,
    /// When its commits were told the last time.
    pub told: Option<Instant>,
}

/// A request, in the order they came in.
#[derive(Clone, Debug)]
pub struct Asked {
    pub broker: i32,
    pub connection: usize,
    pub api: ApiKey,
    pub version: i16,
    /// Group ids, of OffsetFetch and FindCoordinator.
    pub groups: Vec<String>,
    /// Topics, of Metadata.
    pub topics: Vec<String>,
    /// Topic partitions, of OffsetFetch (all groups together), ListOffsets and Fetch.
    pub partitions: Vec<(String, i32)>,
    /// -1 or -2, of ListOffsets.
    pub timestamp: i64,
    #[allow(clippy::struct_field_names, reason = "the pair of answered_at")]
    pub asked_at: Instant,
    /// `None`: not yet, or never.
    pub answered_at: Option<Instant>,
}

/// Sums, kept also when the log is not.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// By broker and request.
    pub requests: HashMap<(i32, i16), usize>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Microseconds from a commit that was told to the end that was told after it, of every pair.
    pub gaps: Vec<u32>,
    pub first: Option<Instant>,
    pub last: Option<Instant>,
}

/// How a broker answers an OffsetFetch for every topic of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllTopics {
    /// As Kafka does: with every commit that may be seen.
    #[default]
    Told,
    /// With no topic, whatever was committed.
    Empty,
    /// With UNSUPPORTED_VERSION.
    Unsupported,
    /// By closing the connection.
    HangUp,
}

/// Changed under the lock at any time.
pub struct State {
    pub host: String,
    pub ports: Vec<u16>,
    pub profile: &'static Profile,
    pub all_topics: AllTopics,
    pub topics: HashMap<String, Topic>,
    pub groups: HashMap<String, Group>,
    /// Topics that the user may not describe: a list leaves them out, and so do commits asked for as a whole.
    pub hidden: HashSet<String>,
    /// Whether Fetch is spoken.
    pub fetches: bool,
    /// Offsets that are transaction markers.
    pub markers: HashMap<(String, i32), BTreeSet<i64>>,
    pub faults: Vec<Fault>,
    /// The list of a Metadata answer instead of the brokers there are.
    pub claimed_brokers: Option<Vec<(i32, String, u16)>>,
    /// Wants a login, and lets it last so long; zero: for ever.
    pub session: Option<Duration>,
    /// Users that are refused, at one broker or at all.
    pub refusing: HashSet<(Option<i32>, String)>,
    /// Every request; `None`: only counted.
    pub log: Option<Vec<Asked>>,
    pub counts: Counts,
    /// By topic, for the gaps: the groups that read it.
    pub readers: HashMap<String, Vec<String>>,
    /// Connections accepted, by broker.
    pub connections: HashMap<i32, usize>,
    /// Connections that are open.
    pub open: HashMap<i32, usize>,
    /// Requests that no client should ever send.
    pub violations: Vec<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            ports: Vec::new(),
            profile: &KAFKA_4,
            all_topics: AllTopics::Told,
            topics: HashMap::new(),
            groups: HashMap::new(),
            hidden: HashSet::new(),
            fetches: false,
            markers: HashMap::new(),
            faults: Vec::new(),
            claimed_brokers: None,
            session: None,
            refusing: HashSet::new(),
            log: Some(Vec::new()),
            counts: Counts::default(),
            readers: HashMap::new(),
            connections: HashMap::new(),
            open: HashMap::new(),
            violations: Vec::new(),
        }
    }
}

impl State {
    /// The fault of the answer to this request; a fault that shows so many times is used up by it.
    pub(super) fn meet(&mut self, api: ApiKey, broker: i32) -> Vec<What> {
        let mut met = Vec::new();
        for fault in self.faults.iter_mut().filter(|f| f.meets(api, broker)) {
            fault.times = fault.times.map(|n| n - 1);
            met.push(fault.what.clone());
        }
        met
    }

    /// Lowest and highest version of a request.
    pub fn versions(&self, api: ApiKey) -> Option<(i16, i16)> {
        let fetch = (self.fetches && api == ApiKey::Fetch).then_some((4, 12));
        self.profile.versions(api).or(fetch)
    }

    /// The log, for reading.
    pub fn asked(&self) -> &[Asked] {
        self.log.as_deref().unwrap_or_default()
    }

    /// How many requests of a kind a broker was asked.
    pub fn count(&self, broker: i32, api: ApiKey) -> usize {
        let count = self.counts.requests.get(&(broker, api as i16));
        count.copied().unwrap_or(0)
    }
}
