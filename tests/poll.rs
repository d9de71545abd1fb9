//! The tick against a cluster that misbehaves on command: what is asked, in which order, and what is known afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code without #[test]"
)]

mod fake_kafka;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use fake_kafka::FakeKafka;
use kafka_protocol::messages::ApiKey;
use lagscale::{
    kafka::{Address, Security, Topics, connection::Deadlines},
    poll::{ClusterKey, GroupDemand, Manager, Picture, Slot, Timing},
};
use tokio::sync::mpsc;

/// In place of a topic: every topic that the group has committed.
const ALL: &str = "";
const EVERY: Duration = Duration::from_millis(100);
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

struct Bench {
    kafka: FakeKafka,
    manager: Manager,
    pictures: mpsc::UnboundedReceiver<(ClusterKey, Arc<Picture>)>,
    key: ClusterKey,
    asked: BTreeSet<Arc<str>>,
}

impl Bench {
    async fn new(brokers: i32) -> Self {
        let kafka = FakeKafka::start(brokers).await;
        let bootstrap: Arc<[Address]> = [Address::new("127.0.0.1", kafka.state().ports[0])].into();
        let timing = Timing {
            deadlines: Deadlines {
                dial: Duration::from_millis(1500),
                call: Duration::from_millis(1500),
            },
            patience: Duration::from_millis(200),
            ..Timing::default()
        };
        let (sender, pictures) = mpsc::unbounded_channel();
        Self {
            kafka,
            manager: Manager::new(timing, sender),
            pictures,
            key: ClusterKey {
                bootstrap,
                fingerprint: Security::default().fingerprint(),
            },
            asked: BTreeSet::new(),
        }
    }

    fn topic(&self, name: &'static str, partitions: &[(i32, i64)]) {
        let mut state = self.kafka.state();
        state.topics.insert(name, partitions.to_vec());
    }

    fn group(&self, name: &str, coordinator: i32, commits: &[(&'static str, i32, i64)]) {
        let commits = commits.iter().map(|(t, p, c)| ((*t, *p), *c));
        let commits: HashMap<_, _> = commits.collect();
        let mut state = self.kafka.state();
        state.groups.insert(name.to_owned(), (coordinator, commits));
    }

    /// Asks for these groups' commits in these topics from now on.
    fn demand(&mut self, asked: &[(&str, &str)]) {
        let security = Security::default();
        let mut wanted: BTreeMap<Arc<str>, GroupDemand> = BTreeMap::new();
        for (group, topic) in asked {
            let pieces = topic.split(',').filter(|t| *t != ALL);
            let topics = Topics::parse(pieces).unwrap();
            let demand = GroupDemand::new(&topics, EVERY);
            wanted
                .entry((*group).into())
                .and_modify(|known| known.add(&demand))
                .or_insert(demand);
        }
        for (group, demand) in &wanted {
            let demand = Some(demand.clone());
            self.manager.ask(&self.key, group, demand, &security);
        }
        for group in self.asked.difference(&wanted.keys().cloned().collect()) {
            self.manager.change(&self.key, group, None);
        }
        self.asked = wanted.into_keys().collect();
    }

    /// The first picture from now on that `good` likes.
    async fn until<T>(&mut self, what: &str, mut good: impl FnMut(&Picture) -> Option<T>) -> T {
        let look = async {
            loop {
                let (_, picture) = self.pictures.recv().await.unwrap();
                if let Some(found) = good(&picture) {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, look).await;
        found.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
    }

    /// Waits for ten more pictures.
    async fn ten_ticks(&mut self) {
        let mut ticks = 0;
        let tenth = |_: &Picture| {
            ticks += 1;
            (ticks == 10).then_some(())
        };
        self.until("ten more ticks", tenth).await;
    }

    /// Waits until a partition of a group has this pair.
    async fn pair(&mut self, group: &str, topic: &str, id: i32, pair: (Option<i64>, i64)) {
        let what = format!("{group} {topic}[{id}] to be {pair:?}");
        self.until(&what, |picture| {
            let track = slot(picture, group, topic, id)?.track?;
            ((track.committed, track.end) == pair
                && slot(picture, group, topic, id)?.trouble.is_none())
            .then_some(())
        })
        .await;
    }
}

fn slot<'a>(picture: &'a Picture, group: &str, topic: &str, id: i32) -> Option<&'a Slot> {
    picture.groups.get(group)?.topics.get(topic)?.get(&id)
}

#[tokio::test]
async fn commits_are_asked_before_ends_in_every_tick() {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 10), (0, 20)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(4), 10)).await;
    bench.pair("g", "t", 1, (None, 20)).await;
    let before = bench.kafka.state().log.len();
    bench.ten_ticks().await;
    let state = bench.kafka.state();
    let asked = &state.log[before..];
    let wrong = asked.windows(2).find(|w| w[0] == w[1]);
    assert!(asked.len() >= 18, "{asked:?}");
    assert_eq!(
        wrong, None,
        "one OffsetFetch, then one ListOffsets, and nothing else: {asked:?}"
    );
}

#[tokio::test]
async fn what_is_asked_for_later_is_read_too() {
    let mut bench = Bench::new(1).await;
    bench.topic("a", &[(0, 10)]);
    bench.topic("b", &[(0, 7)]);
    bench.group("g", 0, &[("a", 0, 4), ("b", 0, 1)]);
    bench.group("h", 0, &[("a", 0, 5)]);
    bench.demand(&[("g", "a")]);
    bench.pair("g", "a", 0, (Some(4), 10)).await;
    bench.demand(&[("g", "a"), ("h", "a")]);
    bench.pair("h", "a", 0, (Some(5), 10)).await;
    bench.demand(&[("g", "a"), ("g", "b"), ("h", "a")]);
    bench.pair("g", "b", 0, (Some(1), 7)).await;
    bench.demand(&[("h", "a")]);
    bench
        .until("g to be forgotten", |p| {
            (!p.groups.contains_key("g")).then_some(())
        })
        .await;
}

#[tokio::test]
async fn without_a_topic_every_topic_of_the_commits_is_read_and_the_group_is_not_whole_before() {
    let mut bench = Bench::new(1).await;
    bench.topic("a", &[(0, 10)]);
    bench.topic("b", &[(0, 7), (0, 8)]);
    bench.group("g", 0, &[("a", 0, 4), ("b", 1, 1)]);
    bench.demand(&[("g", ALL)]);
    bench.pair("g", "a", 0, (Some(4), 10)).await;
    bench.pair("g", "b", 1, (Some(1), 8)).await;
    bench.pair("g", "b", 0, (None, 7)).await;
    bench.group("g", 0, &[("a", 0, 4), ("b", 1, 1), ("gone", 0, 1)]);
    let text = bench
        .until("trouble with a topic that can't be described", |p| {
            p.groups.get("g")?.trouble.clone().map(|t| t.text)
        })
        .await;
    assert_eq!(&*text, "error describing topics: topic gone does not exist");
    // Commits that are gone while their topic is not: the last pairs stand, they are not nought.
    bench.group("g", 0, &[("a", 0, 4)]);
    bench.topic("b", &[(0, 7), (0, 12)]);
    bench
        .until("topic b to be read without a commit", |p| {
            let track = slot(p, "g", "b", 1)?.track?;
            (track.end == 12).then_some(())
        })
        .await;
}

#[tokio::test]
async fn cost_grows_with_brokers_and_not_with_groups() {
    let mut bench = Bench::new(2).await;
    bench.topic("t", &[(0, 100), (1, 100)]);
    let names: Vec<String> = (0..60).map(|i| format!("g{i}")).collect();
    for (number, name) in names.iter().enumerate() {
        bench.group(
            name,
            i32::from(number % 2 == 1),
            &[("t", 0, 1), ("t", 1, 2)],
        );
    }
    let asked: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "t")).collect();
    bench.demand(&asked);
    for name in &names {
        bench.pair(name, "t", 1, (Some(2), 100)).await;
    }
    let count = |bench: &Bench| {
        let state = bench.kafka.state();
        let of = |api| state.log.iter().filter(|a| **a == api).count();
        (
            of(ApiKey::OffsetFetch),
            of(ApiKey::ListOffsets),
            of(ApiKey::Metadata),
        )
    };
    let before = count(&bench);
    bench.ten_ticks().await;
    let after = count(&bench);
    // A tick may be under way at either end.
    assert!(
        after.0 - before.0 <= 2 * 12,
        "one OffsetFetch per coordinator and tick: {before:?} {after:?}"
    );
    assert!(
        after.1 - before.1 <= 2 * 12,
        "one ListOffsets per leader and tick: {before:?} {after:?}"
    );
    assert_eq!(after.2, before.2, "metadata only when due");
    let connections: usize = bench.kafka.state().connections.values().sum();
    assert!(
        connections <= 3,
        "at most brokers + 1 connections: {connections}"
    );
}

#[tokio::test]
async fn a_frozen_broker_delays_nobody_else_and_is_named() {
    let mut bench = Bench::new(2).await;
    bench.topic("a", &[(0, 10)]);
    bench.topic("b", &[(1, 10)]);
    bench.group("g", 0, &[("a", 0, 4), ("b", 0, 4)]);
    bench.demand(&[("g", "a"), ("g", "b")]);
    bench.pair("g", "a", 0, (Some(4), 10)).await;
    bench.pair("g", "b", 0, (Some(4), 10)).await;
    let address = format!("127.0.0.1:{}", bench.kafka.state().ports[1]);
    bench.kafka.state().frozen.insert(1);
    for end in 11..16 {
        bench.topic("a", &[(0, end)]);
        bench.pair("g", "a", 0, (Some(4), end)).await;
    }
    let end = bench
        .until("the frozen broker to be named", |p| {
            let slot = slot(p, "g", "b", 0)?;
            let named = slot.trouble.as_ref()?.text.contains(&address);
            named.then(|| slot.track.map(|t| t.end))
        })
        .await;
    assert_eq!(end, Some(10), "its last pair stands");
    bench.topic("b", &[(1, 12)]);
    bench.kafka.state().frozen.clear();
    bench.pair("g", "b", 0, (Some(4), 12)).await;
}

#[tokio::test]
async fn a_leader_slower_than_the_interval_is_read_all_the_same() {
    let mut bench = Bench::new(2).await;
    bench.topic("t", &[(1, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    let slow = Duration::from_millis(600);
    bench.kafka.state().slow.insert(1, slow);
    bench.demand(&[("g", "t")]);
    for end in 10..14 {
        bench.topic("t", &[(1, end)]);
        let what = format!("the end to be {end}");
        bench
            .until(&what, |p| {
                (slot(p, "g", "t", 0)?.track?.end == end).then_some(())
            })
            .await;
    }
}

#[tokio::test]
async fn a_partition_that_is_left_out_keeps_its_last_pair_and_is_never_nought() {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 10), (0, 20)]);
    bench.group("g", 0, &[("t", 0, 4), ("t", 1, 5)]);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 1, (Some(5), 20)).await;
    bench.kafka.state().omitted.insert(("t", 1));
    bench.topic("t", &[(0, 11), (0, 21)]);
    bench.pair("g", "t", 0, (Some(4), 11)).await;
    let (pair, text) = bench
        .until("trouble with what is left out", |p| {
            let slot = slot(p, "g", "t", 1)?;
            Some((slot.track?, slot.trouble.clone()?.text))
        })
        .await;
    assert_eq!((pair.committed, pair.end), (Some(5), 20));
    assert!(text.contains("topic t partition 1"), "{text}");
}

#[tokio::test]
async fn a_moved_leader_and_a_moved_coordinator_are_found() {
    let mut bench = Bench::new(2).await;
    bench.topic("t", &[(0, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(4), 10)).await;
    bench.topic("t", &[(1, 12)]);
    bench.pair("g", "t", 0, (Some(4), 12)).await;
    bench.group("g", 1, &[("t", 0, 6)]);
    bench.pair("g", "t", 0, (Some(6), 12)).await;
}

#[tokio::test]
async fn a_topic_that_does_not_exist_yet_is_named_and_read_once_it_does() {
    let mut bench = Bench::new(1).await;
    bench.group("g", 0, &[]);
    bench.demand(&[("g", "t")]);
    let text = bench
        .until("trouble", |p| {
            p.topics.get("t")?.trouble.clone().map(|t| t.text)
        })
        .await;
    assert_eq!(&*text, "error describing topics: topic t does not exist");
    bench.topic("t", &[(0, 3)]);
    bench.pair("g", "t", 0, (None, 3)).await;
}

#[tokio::test]
async fn an_answer_that_announces_two_gigabytes_is_refused_unread() {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.kafka.state().boasting.insert(0);
    bench.demand(&[("g", "t")]);
    let text = bench
        .until("trouble", |p| {
            slot(p, "g", "t", 0)?.trouble.clone().map(|t| t.text)
        })
        .await;
    assert!(
        text.contains("2147483647 bytes is over the limit"),
        "{text}"
    );
    bench.kafka.state().boasting.clear();
    bench.pair("g", "t", 0, (Some(4), 10)).await;
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_is_named_and_found_when_it_is_back() {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.kafka.state().frozen.insert(0);
    bench.demand(&[("g", "t")]);
    let address = bench.key.bootstrap[0].to_string();
    let text = bench
        .until("trouble and an end of the first poll", |p| {
            let polled = p.groups.get("g")?.polled;
            p.trouble.clone().filter(|_| polled).map(|t| t.text)
        })
        .await;
    assert!(
        text.contains(&address) && text.contains("no answer"),
        "{text}"
    );
    bench.kafka.state().frozen.clear();
    bench.pair("g", "t", 0, (Some(4), 10)).await;
}
