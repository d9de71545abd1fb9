//! Which topics and which records are read: patterns, remembered names, and what an open transaction holds back.

use fake_kafka::{
    fault::{Fault, What},
    profile::{KAFKA_2_1, Profile},
};
use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use lagscale::{
    kafka::Topics,
    lag::Isolation,
    snapshot::{GroupDemand, Listed, Snapshot},
};

use crate::bench::{ALL, Bench, EVERY, slot};

fn known(snapshot: &Snapshot) -> Vec<&str> {
    let mut names: Vec<&str> = snapshot.groups["g"].topics.keys().map(|t| &**t).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn the_topics_a_pattern_takes_are_read_new_ones_are_found_and_gone_ones_forgotten() {
    let mut bench = Bench::with(1, |t| t.layout_every = Duration::from_millis(200)).await;
    bench.topic("orders-1", &[(0, 10)]);
    bench.topic("orders-2", &[(0, 20), (0, 21)]);
    bench.topic("audit", &[(0, 30)]);
    bench.topic("orders", &[(0, 40)]);
    bench.group("g", 0, &[("orders-1", 0, 4), ("audit", 0, 3)]);
    bench.demand(&[("g", "orders-.*,audit")]);
    bench.pair("g", "orders-1", 0, (Some(4), 10)).await;
    bench.pair("g", "orders-2", 1, (None, 21)).await;
    let names = bench
        .until("a whole list", |p| {
            matches!(p.listing, Listed::Whole(_)).then(|| known(p).join(" "))
        })
        .await;
    assert_eq!(names, "audit orders-1 orders-2");
    bench.topic("orders-3", &[(0, 7)]);
    bench.pair("g", "orders-3", 0, (None, 7)).await;
    bench.kafka.state().topics.remove("orders-1");
    bench
        .until("orders-1 to be forgotten", |p| {
            let gone = !p.topics.contains_key("orders-1");
            (gone && known(p) == ["audit", "orders-2", "orders-3"]).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_list_that_is_refused_holds_up_no_topic_that_is_named() {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 10)]);
    bench.topic("orders-1", &[(0, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(4), 10)).await;
    bench.kafka.state().faults.push(Fault {
        times: Some(1),
        ..Fault::of(ApiKey::Metadata, What::Huge)
    });
    bench.topic("t", &[(0, 12)]);
    bench.demand(&[("g", "t"), ("h", "orders-.*")]);
    let why = bench
        .until("the list to fail", |p| match &p.listing {
            Listed::Failed(trouble) => Some(trouble.clone()),
            _ => None,
        })
        .await;
    assert!(why.text.contains("is over the limit"), "{}", why.text);
    bench.pair("g", "t", 0, (Some(4), 12)).await;
    let trouble = bench.until("a snapshot", |p| Some(p.trouble.clone())).await;
    assert_eq!(trouble, None, "the cluster itself is well");
}

#[tokio::test]
async fn a_name_that_is_remembered_of_all_topics_is_read_without_a_commit_and_is_no_trouble_when_it_is_gone()
 {
    let mut bench = Bench::new(1).await;
    bench.topic("a", &[(0, 10)]);
    let mut demand = GroupDemand::new(&Topics::default(), Isolation::ReadUncommitted, EVERY);
    demand.topics = ["a".into(), "gone".into()].into();
    bench.ask("g", demand);
    bench.pair("g", "a", 0, (None, 10)).await;
    let trouble = bench
        .until("a snapshot", |p| Some(p.groups.get("g")?.trouble.clone()))
        .await;
    assert_eq!(trouble, None);
    bench.demand(&[("g", ALL)]);
    bench.pair("g", "a", 0, (None, 10)).await;
}

fn stable() -> GroupDemand {
    let topics = Topics::parse(["t"].into_iter()).unwrap();
    GroupDemand::new(&topics, Isolation::ReadCommitted, EVERY)
}

#[tokio::test]
async fn the_last_stable_offset_is_read_for_whoever_asks_for_it_and_once_for_all() {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 10), (0, 20)]);
    bench.kafka.state().topics.get_mut("t").unwrap().partitions[0].stable = Some(7);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.group("h", 0, &[("t", 0, 4)]);
    bench.demand(&[("h", "t")]);
    bench.ask("g", stable());
    let pairs = bench
        .until("both to be read", |p| {
            let stable = |group, id| Some(slot(p, group, "t", id)?.track?.stable);
            slot(p, "h", "t", 0)?.track?;
            Some([stable("g", 0)?, stable("g", 1)?])
        })
        .await;
    assert_eq!(pairs, [Some(7), Some(20)]);
    let mark = bench.mark();
    bench.ten_ticks().await;
    let asked = bench.since(mark).len();
    // Commits, ends and stable ends in each, and one half of a tick more.
    assert!(asked <= 33, "{asked}");
}

#[tokio::test]
async fn a_broker_that_knows_no_isolation_says_so_to_whoever_asks_for_it_alone() {
    static OLD: Profile = Profile {
        name: "without isolation",
        speaks: &[
            (ApiKey::ApiVersions, 0, 1),
            (ApiKey::Metadata, 0, 4),
            (ApiKey::FindCoordinator, 0, 1),
            (ApiKey::OffsetFetch, 0, 3),
            (ApiKey::ListOffsets, 0, 1),
        ],
    };
    assert!(KAFKA_2_1.versions(ApiKey::ListOffsets) > OLD.versions(ApiKey::ListOffsets));
    let mut bench = Bench::new(1).await;
    bench.kafka.state().profile = &OLD;
    bench.topic("t", &[(0, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.group("h", 0, &[("t", 0, 5)]);
    bench.demand(&[("h", "t")]);
    bench.ask("g", stable());
    let why = bench
        .until("trouble", |p| slot(p, "g", "t", 0)?.trouble.clone())
        .await;
    assert!(
        why.text.contains("isolation: readCommitted"),
        "{}",
        why.text
    );
    bench.pair("h", "t", 0, (Some(5), 10)).await;
}
