//! Questions of a tick, and what is known after it.

use fake_kafka::fault::{Fault, What};
use std::time::Duration;

use kafka_protocol::messages::ApiKey;

use crate::bench::{ALL, Bench, slot};

#[tokio::test]
async fn commits_are_asked_before_ends_in_every_tick() {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 10), (0, 20)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(4), 10)).await;
    bench.pair("g", "t", 1, (None, 20)).await;
    let mark = bench.mark();
    bench.ten_ticks().await;
    let asked: Vec<ApiKey> = bench.since(mark).iter().map(|a| a.api).collect();
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
async fn a_frozen_broker_delays_nobody_else_and_is_named() {
    let mut bench = Bench::new(2).await;
    bench.topic("a", &[(0, 10)]);
    bench.topic("b", &[(1, 10)]);
    bench.group("g", 0, &[("a", 0, 4), ("b", 0, 4)]);
    bench.demand(&[("g", "a"), ("g", "b")]);
    bench.pair("g", "a", 0, (Some(4), 10)).await;
    bench.pair("g", "b", 0, (Some(4), 10)).await;
    let address = bench.address(1);
    bench.kafka.fault(Fault::everywhere(1, What::Silence));
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
    bench.kafka.mend();
    bench.pair("g", "b", 0, (Some(4), 12)).await;
}

#[tokio::test]
async fn a_leader_slower_than_the_interval_is_read_all_the_same() {
    let mut bench = Bench::new(2).await;
    bench.topic("t", &[(1, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    let slow = Duration::from_millis(600);
    bench
        .kafka
        .fault(Fault::at(ApiKey::ListOffsets, 1, What::Delay(slow)));
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
    bench
        .kafka
        .fault(Fault::at(ApiKey::ListOffsets, 0, What::LeftOut("t", 1)));
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
async fn a_cluster_that_cannot_be_reached_is_named_and_found_when_it_is_back() {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.kafka.fault(Fault::everywhere(0, What::Silence));
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
    bench.kafka.mend();
    bench.pair("g", "t", 0, (Some(4), 10)).await;
}
