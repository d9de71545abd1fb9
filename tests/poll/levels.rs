//! Error codes, each on its own level: what is asked again because of one, and what is left alone.

use fake_kafka::{
    fault::{Fault, What},
    state::Asked,
};
use kafka_protocol::{
    ResponseError,
    messages::ApiKey::{self, FindCoordinator, ListOffsets, Metadata, OffsetFetch},
};

use crate::bench::{ALL, Bench, slot};

/// Two groups on two topics, both read.
async fn two() -> Bench {
    let mut bench = Bench::new(1).await;
    bench.topic("a", &[(0, 10), (0, 10)]);
    bench.topic("b", &[(0, 10)]);
    bench.group("g", 0, &[("a", 0, 4), ("a", 1, 4)]);
    bench.group("h", 0, &[("b", 0, 4)]);
    bench.demand(&[("g", "a"), ("h", "b")]);
    bench.pair("g", "a", 1, (Some(4), 10)).await;
    bench.pair("h", "b", 0, (Some(4), 10)).await;
    bench
}

fn asked_about(api: ApiKey, topic: &'static str) -> impl Fn(&[Asked]) -> Option<()> {
    move |asked| {
        let these = asked.iter().filter(|a| a.api == api);
        let mut names = these.flat_map(|a| a.topics.iter().chain(&a.groups));
        names.any(|n| n == topic).then_some(())
    }
}

#[tokio::test]
async fn a_code_of_a_partition_has_its_topic_described_again_and_no_other() {
    for code in [
        ResponseError::UnknownTopicOrPartition,
        ResponseError::LeaderNotAvailable,
        ResponseError::NotLeaderOrFollower,
        ResponseError::FencedLeaderEpoch,
        ResponseError::UnknownLeaderEpoch,
        ResponseError::UnknownTopicId,
    ] {
        let mut bench = two().await;
        let mark = bench.mark();
        bench
            .kafka
            .fault(Fault::of(ListOffsets, What::PartitionCode("a", 1, code)));
        bench.topic("a", &[(0, 11), (0, 11)]);
        bench.topic("b", &[(0, 11)]);
        let what = format!("topic a to be described after {code:?}");
        bench.asked(&what, mark, asked_about(Metadata, "a")).await;
        bench.pair("g", "a", 0, (Some(4), 11)).await;
        bench.pair("h", "b", 0, (Some(4), 11)).await;
        let troubled = bench
            .until("the partition's trouble", |p| {
                let slot = slot(p, "g", "a", 1)?;
                slot.trouble.as_ref()?;
                Some(slot.track?.end)
            })
            .await;
        assert_eq!(troubled, 10, "its last pair stands");
        assert_eq!(asked_about(Metadata, "b")(&bench.since(mark)), None);
        bench.kafka.mend();
        bench.pair("g", "a", 1, (Some(4), 11)).await;
    }
}

#[tokio::test]
async fn a_topic_is_described_until_its_description_is_clean() {
    let mut bench = two().await;
    bench.kafka.fault(Fault::of(
        ListOffsets,
        What::PartitionCode("a", 1, ResponseError::NotLeaderOrFollower),
    ));
    bench.kafka.fault(Fault::of(
        Metadata,
        What::PartitionCode("a", 1, ResponseError::LeaderNotAvailable),
    ));
    let mark = bench.mark();
    let thrice = |asked: &[Asked]| {
        let these = asked.iter().filter(|a| a.api == Metadata).count();
        (these >= 3).then_some(())
    };
    bench.asked("three descriptions", mark, thrice).await;
    let text = bench
        .until("the leaderless partition's trouble", |p| {
            let trouble = slot(p, "g", "a", 1)?.trouble.clone()?;
            trouble.text.contains("no leader").then_some(trouble.text)
        })
        .await;
    assert!(text.contains("topic a partition 1"), "{text}");
    bench.kafka.mend();
    bench.topic("a", &[(0, 12), (0, 12)]);
    bench.pair("g", "a", 1, (Some(4), 12)).await;
    let mark = bench.mark();
    bench.ten_ticks().await;
    let described = bench
        .since(mark)
        .iter()
        .filter(|a| a.api == Metadata)
        .count();
    assert_eq!(described, 0, "what is clean is left alone");
}

#[tokio::test]
async fn a_code_of_a_group_has_its_coordinator_looked_for_again_and_no_other() {
    for code in [
        ResponseError::CoordinatorLoadInProgress,
        ResponseError::CoordinatorNotAvailable,
        ResponseError::NotCoordinator,
    ] {
        let mut bench = two().await;
        let mark = bench.mark();
        let fault = Fault::of(OffsetFetch, What::NamedCode("g", code));
        bench.kafka.fault(fault.once());
        let what = format!("the coordinator of g to be looked for after {code:?}");
        bench
            .asked(&what, mark, asked_about(FindCoordinator, "g"))
            .await;
        bench.topic("a", &[(0, 11), (0, 11)]);
        bench.pair("g", "a", 0, (Some(4), 11)).await;
        assert_eq!(asked_about(FindCoordinator, "h")(&bench.since(mark)), None);
    }
}

#[tokio::test]
async fn a_group_without_a_coordinator_is_tried_again_and_node_minus_one_is_never_dialled() {
    let mut bench = Bench::new(1).await;
    bench.topic("a", &[(0, 10)]);
    bench.group("g", 0, &[("a", 0, 4)]);
    let fault = Fault::of(
        FindCoordinator,
        What::Code(ResponseError::CoordinatorNotAvailable),
    );
    bench.kafka.fault(fault.once());
    bench.demand(&[("g", "a")]);
    bench.pair("g", "a", 0, (Some(4), 10)).await;
    assert_eq!(bench.kafka.state().connections.len(), 1);
}

#[tokio::test]
async fn a_group_that_may_not_be_described_is_named_and_its_neighbour_is_read() {
    let mut bench = two().await;
    let refused = ResponseError::GroupAuthorizationFailed;
    bench
        .kafka
        .fault(Fault::of(OffsetFetch, What::NamedCode("g", refused)));
    let trouble = bench
        .until("trouble with the group", |p| {
            p.groups.get("g")?.trouble.clone()
        })
        .await;
    assert!(trouble.configuration && trouble.text.contains("needs Describe on the group"));
    for end in 11..14 {
        bench.topic("b", &[(0, end)]);
        bench.pair("h", "b", 0, (Some(4), end)).await;
    }
}

#[tokio::test]
async fn what_a_group_has_committed_is_there_though_unread_while_its_leader_is_silent() {
    let mut bench = Bench::new(2).await;
    bench.topic("a", &[(1, 10)]);
    bench.group("g", 0, &[("a", 0, 4)]);
    bench.kafka.fault(Fault::at(ListOffsets, 1, What::Silence));
    bench.demand(&[("g", ALL)]);
    let topics = bench
        .until("the commits to be read", |p| {
            let group = p.groups.get("g").filter(|g| g.read.is_some() && g.all)?;
            Some(group.topics.clone())
        })
        .await;
    assert!(
        topics
            .get("a")
            .unwrap()
            .values()
            .all(|slot| slot.track.is_none())
    );
}

#[tokio::test]
async fn a_group_that_shows_nothing_is_not_without_lag_while_a_member_reads_what_may_not_be_described()
 {
    let mut bench = Bench::new(1).await;
    bench.topic("seen", &[(0, 10)]);
    bench.topic("hidden", &[(0, 10)]);
    let refused = ResponseError::TopicAuthorizationFailed;
    bench
        .kafka
        .fault(Fault::of(Metadata, What::NamedCode("hidden", refused)));
    for (group, reads) in [("g", "seen"), ("h", "hidden")] {
        bench.group(group, 0, &[]);
        let mut state = bench.kafka.state();
        state.groups.get_mut(group).unwrap().reads = Some(reads);
    }
    bench.demand(&[("g", ALL), ("h", ALL)]);
    let trouble = bench
        .until("both to be asked", |p| {
            let of = |name: &str| p.groups.get(name).filter(|g| g.polled);
            Some((of("g")?.trouble.clone(), of("h")?.trouble.clone()))
        })
        .await;
    assert_eq!(trouble.0, None, "it has no commit yet");
    assert!(trouble.1.unwrap().configuration);
}

#[tokio::test]
async fn a_topic_that_may_not_be_described_is_named_in_explicit_mode_on_every_level() {
    let refused = ResponseError::TopicAuthorizationFailed;
    let mut bench = two().await;
    bench
        .kafka
        .fault(Fault::of(OffsetFetch, What::PartitionCode("a", 0, refused)));
    let needs = "the user needs Describe on it";
    let trouble = bench
        .until("trouble with commits", |p| {
            slot(p, "g", "a", 0)?.trouble.clone()
        })
        .await;
    assert!(
        trouble.configuration && trouble.text.contains(needs),
        "{}",
        trouble.text
    );
    bench.topic("a", &[(0, 11), (0, 11)]);
    bench.pair("g", "a", 1, (Some(4), 11)).await;
    bench.kafka.mend();
    bench.pair("g", "a", 0, (Some(4), 11)).await;
    bench
        .kafka
        .fault(Fault::of(ListOffsets, What::PartitionCode("a", 0, refused)));
    let trouble = bench
        .until("trouble with an end", |p| {
            slot(p, "g", "a", 0)?.trouble.clone()
        })
        .await;
    assert!(
        trouble.configuration && trouble.text.contains(needs),
        "{}",
        trouble.text
    );
}

#[tokio::test]
async fn what_an_answer_leaves_out_is_unknown_on_every_level() {
    let mut bench = two().await;
    bench
        .kafka
        .fault(Fault::of(OffsetFetch, What::NamedLeftOut("g")));
    let left_out = "left it out of its answer";
    bench
        .until("a group that is left out", |p| {
            let group = p.groups.get("g")?;
            let end = slot(p, "g", "a", 0)?.track?.end;
            (group.trouble.as_ref()?.text.contains(left_out) && end == 10).then_some(())
        })
        .await;
    bench.kafka.mend();
    bench.topic("a", &[(0, 11), (0, 11)]);
    bench.pair("g", "a", 0, (Some(4), 11)).await;
    bench
        .kafka
        .fault(Fault::of(OffsetFetch, What::LeftOut("a", 0)));
    bench
        .until("a commit that is left out", |p| {
            let slot = slot(p, "g", "a", 0)?;
            let said = slot.trouble.as_ref()?.text.contains(left_out);
            (said && slot.track?.committed == Some(4)).then_some(())
        })
        .await;
}
