//! A fake cluster and somebody who polls it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use kafka_protocol::messages::ApiKey;
use lagscale::{
    kafka::{
        Address, Security, Topics,
        connection::Deadlines,
        sasl::{Mechanism, Sasl},
    },
    lag::Isolation,
    poll::{Manager, Timing},
    snapshot::{ClusterKey, GroupDemand, Slot, Snapshot},
};
use tokio::sync::mpsc;

use fake_kafka::{
    FakeKafka,
    fault::{Fault, What},
    state::Asked,
};

/// In place of a topic: every topic that the group has committed.
pub const ALL: &str = "";
pub const EVERY: Duration = Duration::from_millis(100);
/// Far more than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A fake cluster, and who polls it.
pub struct Bench {
    pub kafka: FakeKafka,
    pub manager: Manager,
    pub snapshots: mpsc::UnboundedReceiver<(ClusterKey, Arc<Snapshot>)>,
    pub key: ClusterKey,
    pub security: Security,
    asked: BTreeSet<Arc<str>>,
}

impl Bench {
    /// Throttles the answers of `api` for a while, in which nothing may be asked on the connections that they came over.
    pub async fn keeps_the_silence_after(&mut self, api: ApiKey) {
        let silence = Duration::from_millis(400);
        self.kafka.fault(Fault::at(api, 0, What::Throttle(silence)));
        let mark = self.mark();
        let some = |asked: &[Asked]| (asked.len() >= 8).then(|| asked.to_vec());
        let asked = self.asked("eight requests", mark, some).await;
        let throttled = asked
            .iter()
            .filter(|a| a.api == api && a.answered_at.is_some());
        let throttled: Vec<_> = throttled.collect();
        assert!(!throttled.is_empty());
        // The first may have been answered before it was told.
        for told in &throttled[1..] {
            let until = told.answered_at.unwrap() + silence;
            let early = asked.iter().find(|a| {
                a.connection == told.connection && a.asked_at > told.asked_at && a.asked_at < until
            });
            // An answer is seen a moment before the fake notes it.
            let slack = Duration::from_millis(50);
            let early = early.filter(|a| a.asked_at + slack < until);
            assert!(early.is_none(), "{told:?} then {early:?}");
        }
        self.kafka.mend();
    }

    pub async fn new(brokers: i32) -> Self {
        Self::with(brokers, |_| {}).await
    }

    /// A bench at another pace.
    pub async fn with(brokers: i32, pace: impl FnOnce(&mut Timing)) -> Self {
        let kafka = FakeKafka::start(brokers).await;
        let port = kafka.state().ports[0];
        let bootstrap = [Address::new("127.0.0.1", port)].into();
        let mut timing = Timing {
            deadlines: Deadlines {
                dial: Duration::from_millis(1500),
                call: Duration::from_millis(1500),
            },
            patience: Duration::from_millis(100),
            ..Timing::default()
        };
        pace(&mut timing);
        let (sender, snapshots) = mpsc::unbounded_channel();
        let security = Security::default();
        Self {
            kafka,
            manager: Manager::new(timing, sender),
            snapshots,
            key: ClusterKey {
                bootstrap,
                fingerprint: security.fingerprint(),
            },
            security,
            asked: BTreeSet::new(),
        }
    }

    /// Another way in.
    pub fn bootstrap(&mut self, addresses: &[Address]) {
        self.key.bootstrap = addresses.into();
    }

    /// Another credential.
    pub fn log_in(&mut self, username: &str) {
        self.security.sasl = Some(Sasl::Password {
            mechanism: Mechanism::Plain,
            username: username.to_owned(),
            password: "secret".into(),
        });
        self.key.fingerprint = self.security.fingerprint();
    }

    pub fn topic(&self, name: &str, partitions: &[(i32, i64)]) {
        self.kafka.topic(name, partitions);
    }

    pub fn group(&self, name: &str, coordinator: i32, commits: &[(&str, i32, i64)]) {
        self.kafka.group(name, coordinator, commits);
    }

    pub fn address(&self, broker: usize) -> String {
        format!("127.0.0.1:{}", self.kafka.state().ports[broker])
    }

    /// Asks for these groups' commits in these topics from now on.
    pub fn demand(&mut self, asked: &[(&str, &str)]) {
        let mut wanted: BTreeMap<Arc<str>, GroupDemand> = BTreeMap::new();
        for (group, topic) in asked {
            let pieces = topic.split(',').filter(|t| *t != ALL);
            let topics = Topics::parse(pieces).unwrap();
            let demand = GroupDemand::new(&topics, Isolation::ReadUncommitted, EVERY);
            wanted
                .entry((*group).into())
                .and_modify(|known| known.add(&demand))
                .or_insert(demand);
        }
        for (group, demand) in &wanted {
            let demand = demand.clone();
            let (key, security) = (&self.key, &self.security);
            self.manager.ask("", key, group, demand, security, None);
        }
        for group in self.asked.difference(&wanted.keys().cloned().collect()) {
            self.manager.change(&self.key, group, None);
        }
        self.asked = wanted.into_keys().collect();
    }

    /// Asks this of one group from now on.
    pub fn ask(&mut self, group: &str, demand: GroupDemand) {
        let group: Arc<str> = group.into();
        let (key, security) = (&self.key, &self.security);
        self.manager.ask("", key, &group, demand, security, None);
        self.asked.insert(group);
    }

    /// The first snapshot from now on that `good` likes.
    pub async fn until<T>(
        &mut self,
        what: &str,
        mut good: impl FnMut(&Snapshot) -> Option<T>,
    ) -> T {
        let look = async {
            loop {
                let (_, snapshot) = self.snapshots.recv().await.unwrap();
                if let Some(found) = good(&snapshot) {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, look).await;
        found.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
    }

    /// Waits for ten more snapshots.
    pub async fn ten_ticks(&mut self) {
        let mut ticks = 0;
        let tenth = |_: &Snapshot| {
            ticks += 1;
            (ticks == 10).then_some(())
        };
        self.until("ten more ticks", tenth).await;
    }

    /// Waits until a partition of a group has this pair.
    pub async fn pair(&mut self, group: &str, topic: &str, id: i32, pair: (Option<i64>, i64)) {
        let what = format!("{group} {topic}[{id}] to be {pair:?}");
        self.until(&what, |snapshot| {
            let track = slot(snapshot, group, topic, id)?.track?;
            ((track.committed, track.end) == pair
                && slot(snapshot, group, topic, id)?.trouble.is_none())
            .then_some(())
        })
        .await;
    }

    /// Waits until a partition has this pair in every one of these groups.
    pub async fn pairs(
        &mut self,
        groups: &[String],
        topic: &str,
        id: i32,
        pair: (Option<i64>, i64),
    ) {
        let read = |p: &Snapshot, group: &str| {
            let track = slot(p, group, topic, id)?.track?;
            Some((track.committed, track.end) == pair)
        };
        self.until("every group to be read", |p| {
            let all = groups.iter().all(|g| read(p, g) == Some(true));
            all.then_some(())
        })
        .await;
    }

    /// How many requests there were so far.
    pub fn mark(&self) -> usize {
        self.kafka.state().asked().len()
    }

    /// The requests since a mark.
    pub fn since(&self, mark: usize) -> Vec<Asked> {
        self.kafka.state().asked()[mark..].to_vec()
    }

    /// Waits until the requests since a mark are as `good` wants them.
    pub async fn asked<T>(
        &mut self,
        what: &str,
        mark: usize,
        good: impl Fn(&[Asked]) -> Option<T>,
    ) -> T {
        let kafka = &self.kafka;
        let look = async {
            loop {
                if let Some(found) = good(&kafka.state().asked()[mark..]) {
                    return found;
                }
                // The log has no bell.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, look).await;
        found.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
    }
}

impl Drop for Bench {
    /// Whatever happens, some things are never sent.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.kafka.state().violations, Vec::<String>::new());
        }
    }
}

pub fn slot<'a>(snapshot: &'a Snapshot, group: &str, topic: &str, id: i32) -> Option<&'a Slot> {
    snapshot.groups.get(group)?.topics.get(topic)?.get(&id)
}
