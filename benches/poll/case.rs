//! One case: so many groups of one topic each, of so many partitions on so many brokers, spread over so many credentials.

use std::{
    collections::{HashMap, HashSet},
    fs,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use lagscale::{
    kafka::{
        Address, Budgets, Security, Topics,
        sasl::{Mechanism, Sasl},
    },
    lag::Isolation,
    poll::{Manager, Timing},
    snapshot::{ClusterKey, GroupDemand, PartitionSlots, Snapshot},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    fake::{Fake, group, topic},
    itself,
};

/// The sample interval that objects have by default, for more groups than can be read in a shorter one.
const LONG: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_secs(2);
const SHORT_UP_TO: usize = 10_000;
const TICKS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(300);
/// A limit of memory with which a namespace may have a million pairs.
const MEMORY: u64 = 16 << 30;

/// A size.
#[derive(Clone, Copy)]
pub struct Case {
    pub groups: usize,
    /// Partitions of the topic that each group reads.
    pub partitions: usize,
    pub brokers: usize,
    pub credentials: usize,
}

pub type Snapshots = mpsc::UnboundedReceiver<(ClusterKey, Arc<Snapshot>)>;

impl Case {
    /// The numbers as arguments of a process.
    pub fn words(&self) -> [String; 4] {
        let Self {
            groups,
            partitions,
            brokers,
            credentials,
        } = self;
        [groups, partitions, brokers, credentials].map(ToString::to_string)
    }

    /// From such arguments.
    pub fn of(words: &[&str]) -> Self {
        let numbers: Vec<usize> = words.iter().map(|word| word.parse().unwrap()).collect();
        let [groups, partitions, brokers, credentials] = numbers[..] else {
            panic!("four numbers, not {words:?}");
        };
        Self {
            groups,
            partitions,
            brokers,
            credentials,
        }
    }

    /// The line of it, measured in a process of its own.
    pub fn apart(&self) -> Value {
        let done = itself().arg("case").args(self.words()).output().unwrap();
        let (said, error) = (done.stdout, String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{:?}: {error}", self.words());
        serde_json::from_slice(&said).unwrap()
    }

    pub fn run(&self) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        println!("{}", runtime.block_on(self.measure()));
    }

    async fn measure(&self) -> Value {
        let mut fake = Fake::start(self);
        let (sender, mut snapshots) = mpsc::unbounded_channel();
        let mut manager = Manager::new(Timing::default(), sender);
        manager = manager.on(Budgets::within(1_000, Some(MEMORY)));
        let bootstrap: Arc<[Address]> = [Address::new("127.0.0.1", fake.ports[0])].into();
        let securities = (0..self.credentials).map(|number| self.security(number));
        let securities: Vec<Security> = securities.collect();
        for number in 0..self.groups {
            let security = &securities[number % self.credentials];
            let key = ClusterKey {
                bootstrap: bootstrap.clone(),
                fingerprint: security.fingerprint(),
            };
            let demand = demand(&topic(number), self.groups);
            manager.ask("", &key, &group(number).into(), demand, security, None);
        }
        // The engine holds the last snapshot of each cluster, and so does this.
        let mut held = HashMap::new();
        let pairs = self.groups * self.partitions;
        let begun = Instant::now();
        read(&mut snapshots, &mut held, pairs).await;
        let first = (begun.elapsed().as_secs_f64(), cpu_s());
        tick(&mut snapshots, &mut held, self.credentials).await;
        fake.report();
        let (cpu, mut ticks, mut reports) = (cpu_s(), Vec::new(), Vec::new());
        for _ in 0..TICKS {
            let end = tick(&mut snapshots, &mut held, self.credentials).await;
            let report = fake.report();
            ticks.push(end - report["began"].as_f64().unwrap());
            reports.push(report);
        }
        let cpu = (cpu_s() - cpu) / as_f64(TICKS);
        ticks.sort_by(f64::total_cmp);
        let sum = |key: &str| reports.iter().filter_map(|r| r[key].as_u64()).sum::<u64>();
        let each = |key: &str| sum(key) / TICKS as u64;
        let last = |key: &str| reports.last().and_then(|r| r[key].as_u64()).unwrap_or(0);
        json!({
            "bench": "poll", "groups": self.groups, "pairs": pairs, "brokers": self.brokers,
            "credentials": self.credentials, "first_s": rounded(first.0), "first_cpu_s": rounded(first.1), "tick_s": rounded(ticks[TICKS / 2]),
            "tick_max_s": rounded(ticks[TICKS - 1]),
            "gap_p50_ms": last("gap_p50_us") / 1_000, "gap_p99_ms": last("gap_p99_us") / 1_000,
            "requests_per_broker": each("requests") / u64::try_from(self.brokers).unwrap(),
            "requests": each("requests"),
            "bytes_in": each("bytes_out"), "bytes_out": each("bytes_in"),
            "cpu_s": rounded(cpu), "rss_mb": rss_mb(),
        })
    }

    fn security(&self, number: usize) -> Security {
        let sasl = (self.credentials > 1).then(|| Sasl::Password {
            mechanism: Mechanism::Plain,
            username: format!("user-{number}"),
            password: "secret".into(),
        });
        Security { sasl, tls: None }
    }
}

/// One topic, for one of so many groups.
pub fn demand(topic: &str, groups: usize) -> GroupDemand {
    let every = if groups <= SHORT_UP_TO { SHORT } else { LONG };
    let topics = Topics::parse([topic].into_iter()).unwrap();
    GroupDemand::new(&topics, Isolation::ReadUncommitted, every)
}

/// Waits until so many pairs are there.
pub async fn read(
    snapshots: &mut Snapshots,
    held: &mut HashMap<ClusterKey, Arc<Snapshot>>,
    pairs: usize,
) {
    let look = async {
        loop {
            let (key, snapshot) = snapshots.recv().await.unwrap();
            held.insert(key, snapshot);
            let groups = held.values().flat_map(|p| p.groups.values());
            let slots = groups
                .flat_map(|g| g.topics.values())
                .flat_map(PartitionSlots::values);
            if slots.filter(|s| s.track.is_some()).count() == pairs {
                return;
            }
        }
    };
    let read = tokio::time::timeout(PATIENCE, look).await;
    read.expect("every pair to be read");
}

/// Waits until every pair was read once more, and says when that was.
pub async fn tick(
    snapshots: &mut Snapshots,
    held: &mut HashMap<ClusterKey, Arc<Snapshot>>,
    clusters: usize,
) -> f64 {
    let begun = Instant::now();
    let look = async {
        let mut anew = HashSet::new();
        while anew.len() < clusters {
            let (key, snapshot) = snapshots.recv().await.unwrap();
            let topics = snapshot.groups.values().flat_map(|g| g.topics.values());
            let mut slots = topics.flat_map(PartitionSlots::values);
            if slots.all(|s| s.track.is_some_and(|t| t.at.at > begun)) {
                anew.insert(key.clone());
            }
            held.insert(key, snapshot);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.unwrap().as_secs_f64()
    };
    let done = tokio::time::timeout(PATIENCE, look).await;
    done.expect("a tick")
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
pub fn as_f64(number: usize) -> f64 {
    number as f64
}

pub fn rounded(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}

/// The most memory that this process had.
pub fn rss_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    let kb: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kb / 1024
}

/// Processor time of this process, in clock ticks of a hundredth of a second.
pub fn cpu_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    let ticks: Vec<usize> = fields
        .skip(11)
        .take(2)
        .map(|f| f.parse().unwrap())
        .collect();
    as_f64(ticks[0] + ticks[1]) / 100.0
}
