//! Versions spoken with each kind of broker: one golden test each. A broker of the fake closes a connection that asks in a
//! version it does not speak, and the bench fails.

use fake_kafka::{
    fault::{Fault, What},
    profile::{
        EVENT_HUBS, KAFKA_2_1, KAFKA_2_8, KAFKA_3_9, KAFKA_4, Profile, REDPANDA_2024, REDPANDA_2025,
    },
    state::Asked,
};
use std::{collections::BTreeSet, time::Duration};

use kafka_protocol::messages::ApiKey::{self, FindCoordinator, ListOffsets, Metadata, OffsetFetch};

use crate::bench::Bench;

/// Reads three groups on two brokers and says which versions that took, and how many groups the largest request about
/// commits and about coordinators had.
async fn spoken(profile: &'static Profile) -> (BTreeSet<(i16, i16)>, usize, usize) {
    let mut bench = Bench::new(2).await;
    bench.kafka.state().profile = profile;
    bench.topic("t", &[(0, 10), (1, 20)]);
    for (name, coordinator) in [("g", 0), ("h", 0), ("i", 1)] {
        bench.group(name, coordinator, &[("t", 0, 4), ("t", 1, 5)]);
    }
    bench.demand(&[("g", "t"), ("h", "t"), ("i", "t")]);
    for name in ["g", "h", "i"] {
        bench.pair(name, "t", 0, (Some(4), 10)).await;
        bench.pair(name, "t", 1, (Some(5), 20)).await;
    }
    let asked = bench.since(0);
    let versions = asked.iter().map(|a| (a.api as i16, a.version)).collect();
    let largest = |api: ApiKey| {
        let these = asked.iter().filter(|a| a.api == api);
        these.map(|a| a.groups.len()).max().unwrap_or(0)
    };
    (versions, largest(FindCoordinator), largest(OffsetFetch))
}

fn versions(metadata: i16, coordinator: i16, commits: i16, ends: i16) -> BTreeSet<(i16, i16)> {
    let of = [
        (Metadata, metadata),
        (FindCoordinator, coordinator),
        (OffsetFetch, commits),
        (ListOffsets, ends),
    ];
    of.into_iter().map(|(api, v)| (api as i16, v)).collect()
}

#[tokio::test]
async fn kafka_2_1_is_asked_group_by_group() {
    assert_eq!(spoken(&KAFKA_2_1).await, (versions(7, 2, 5, 4), 1, 1));
}

#[tokio::test]
async fn kafka_2_8_is_asked_group_by_group_and_tells_topic_ids() {
    assert_eq!(spoken(&KAFKA_2_8).await, (versions(11, 3, 7, 6), 1, 1));
}

#[tokio::test]
async fn kafka_3_9_is_asked_about_many_groups_at_once() {
    assert_eq!(spoken(&KAFKA_3_9).await, (versions(12, 6, 9, 9), 3, 2));
}

#[tokio::test]
async fn kafka_4_is_asked_in_no_version_that_was_removed() {
    assert_eq!(spoken(&KAFKA_4).await, (versions(12, 6, 9, 10), 3, 2));
}

#[tokio::test]
async fn redpanda_of_2024_is_asked_group_by_group() {
    assert_eq!(spoken(&REDPANDA_2024).await, (versions(8, 3, 7, 4), 1, 1));
}

#[tokio::test]
async fn redpanda_of_2025_is_asked_about_many_groups_at_once() {
    assert_eq!(spoken(&REDPANDA_2025).await, (versions(8, 4, 8, 4), 3, 2));
}

#[tokio::test]
async fn event_hubs_is_asked_with_old_metadata_and_new_everything_else() {
    assert_eq!(spoken(&EVENT_HUBS).await, (versions(7, 4, 9, 7), 3, 2));
}

/// Each group is a call of its own there, and they all go to the broker that describes topics, too.
#[tokio::test]
async fn a_thousand_groups_of_an_old_broker_leave_a_topic_its_turn_to_be_described() {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 10)]);
    bench.topic("late", &[(0, 10)]);
    bench.kafka.state().profile = &KAFKA_2_1;
    let groups: Vec<_> = (0..1_000).map(|n| format!("g{n}")).collect();
    for group in &groups {
        bench.group(group, 0, &[("t", 0, 4)]);
    }
    let slow = What::Delay(Duration::from_millis(2));
    bench.kafka.fault(Fault::of(FindCoordinator, slow));
    let mut demand: Vec<_> = groups.iter().map(|g| (g.as_str(), "t")).collect();
    bench.demand(&demand);
    let begun = |asked: &[Asked]| asked.iter().any(|a| a.api == FindCoordinator).then_some(());
    bench.asked("the first group's coordinator", 0, begun).await;
    let mark = bench.mark();
    demand.push(("g0", "late"));
    bench.demand(&demand);
    let before = |asked: &[Asked]| {
        let described = |a: &Asked| a.api == Metadata && a.topics.iter().any(|t| t == "late");
        let at = asked.iter().position(described)?;
        Some(
            asked[..at]
                .iter()
                .filter(|a| a.api == FindCoordinator)
                .count(),
        )
    };
    let before = bench
        .asked("the late topic's description", mark, before)
        .await;
    assert!(before <= 200, "{before} groups went before it");
}
