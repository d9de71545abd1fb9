//! Groups that are asked for all topics: what the coordinator leaves out, and what it means that a topic is left out.

use fake_kafka::{
    fault::{Fault, What},
    profile::EVENT_HUBS,
    state::AllTopics::{self, Empty, HangUp, Unsupported},
};
use std::time::Duration;

use kafka_protocol::{
    ResponseError,
    messages::ApiKey::{DescribeGroups, ListOffsets, Metadata, OffsetFetch},
};
use lagscale::snapshot::Snapshot;

use crate::bench::{ALL, Bench, slot};

/// Namespaces of Event Hubs are reported to hang up, to list nothing, or to refuse. None of it is a lag of 0.
///
/// A group that is asked for everything, which a member reads or none, and one that names its topic.
async fn namespace(answers: AllTopics, reads: Option<&'static str>) -> Bench {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 100), (0, 100)]);
    bench.group("$Default", 0, &[("t", 0, 60), ("t", 1, 70)]);
    bench.group("named", 0, &[("t", 0, 10)]);
    {
        let mut state = bench.kafka.state();
        state.profile = &EVENT_HUBS;
        state.all_topics = answers;
        state.groups.get_mut("$Default").unwrap().reads = reads;
    }
    bench.demand(&[("$Default", ALL), ("named", "t")]);
    bench
}

/// The trouble that the group is told to have, once there is any.
fn told(snapshot: &Snapshot) -> Option<String> {
    let group = snapshot.groups.get("$Default")?;
    assert!(group.topics.is_empty(), "{:?}", group.topics);
    Some(group.trouble.as_ref()?.text.to_string())
}

#[tokio::test]
async fn a_broker_that_does_not_tell_all_topics_is_said_to_and_harms_no_group_that_names_its_topic()
{
    for answers in [HangUp, Unsupported, Empty] {
        let mut bench = namespace(answers, None).await;
        let text = bench.until("the trouble to be told", told).await;
        let hint = match answers {
            Empty => "it is there without members, so it has commits",
            _ => "name them in `topic` or `topics`",
        };
        assert!(text.contains(hint), "{answers:?}: {text}");
        for end in [101, 102, 103] {
            bench.topic("t", &[(0, end), (0, end)]);
            bench.pair("named", "t", 0, (Some(10), end)).await;
        }
        let mark = bench.mark();
        bench.ten_ticks().await;
        let asked = bench.since(mark).len();
        assert!(asked < 100, "{answers:?}: {asked} requests in ten ticks");
    }
}

#[tokio::test]
async fn what_a_member_reads_is_asked_by_name_where_a_broker_tells_no_topic() {
    let mut bench = namespace(Empty, Some("t")).await;
    bench.pair("$Default", "t", 0, (Some(60), 100)).await;
    bench.pair("$Default", "t", 1, (Some(70), 100)).await;
    bench
        .kafka
        .state()
        .groups
        .get_mut("$Default")
        .unwrap()
        .commits
        .clear();
    bench
        .kafka
        .state()
        .groups
        .get_mut("$Default")
        .unwrap()
        .commits
        .entry("t".into())
        .or_default()
        .insert(0, 80);
    bench.pair("$Default", "t", 0, (Some(80), 100)).await;
}

/// The coordinator leaves the commits in it out of its answer, without a code.
#[tokio::test]
async fn a_hidden_topic_that_a_member_reads_is_told_beside_others_that_may_be_seen() {
    let mut bench = Bench::new(1).await;
    bench.topic("seen", &[(0, 10)]);
    bench.topic("hidden", &[(0, 5_000)]);
    bench.kafka.state().hidden.insert("hidden".into());
    bench.group("g", 0, &[("seen", 0, 10), ("hidden", 0, 0)]);
    bench.kafka.state().groups.get_mut("g").unwrap().reads = Some("hidden");
    bench.demand(&[("g", ALL)]);
    bench.pair("g", "seen", 0, (Some(10), 10)).await;
    let mark = bench.mark();
    for _ in 0..3 {
        bench.ten_ticks().await;
        let trouble = bench
            .until("a snapshot", |p| Some(p.groups.get("g")?.trouble.clone()))
            .await;
        let trouble = trouble.expect("a lag of 0, complete, beside a topic that is not seen");
        assert!(
            trouble.configuration && trouble.text.contains("hidden"),
            "{trouble:?}"
        );
    }
    let since = bench.since(mark);
    let asked = since.iter().filter(|a| a.api == DescribeGroups).count();
    assert!(
        asked <= 1,
        "members were asked {asked} times in thirty ticks"
    );
}

/// A report from outside (R01): KEDA's list of topics is the list of commits.
#[tokio::test]
async fn a_topic_that_a_group_has_left_stops_counting_when_its_commits_are_gone() {
    let mut bench = Bench::new(1).await;
    bench.topic("orders", &[(0, 10)]);
    bench.topic("old", &[(0, 1_000)]);
    bench.group("g", 0, &[("orders", 0, 10), ("old", 0, 10)]);
    bench.demand(&[("g", ALL)]);
    bench.pair("g", "old", 0, (Some(10), 1_000)).await;
    bench.group("g", 0, &[("orders", 0, 10)]);
    bench
        .until("it to be left", |p| {
            (!p.groups.get("g")?.topics.contains_key("old")).then_some(())
        })
        .await;
    // All of its commits gone at once is another thing: they expired, and the last ones stand.
    bench.group("g", 0, &[]);
    bench.ten_ticks().await;
    let track = bench
        .until("a snapshot", |p| slot(p, "g", "orders", 0)?.track)
        .await;
    assert_eq!(track.committed, Some(10));
}

/// Its other partitions have no commit, and never had one.
#[tokio::test]
async fn a_topic_made_anew_that_the_group_has_committed_in_can_be_left_too() {
    let mut bench = Bench::with(1, |t| t.layout_every = Duration::from_millis(200)).await;
    bench.topic("orders", &[(0, 10)]);
    bench.topic("old", &[(0, 100); 3]);
    bench.group("g", 0, &[("orders", 0, 10), ("old", 0, 10)]);
    bench.demand(&[("g", ALL)]);
    bench.pair("g", "old", 0, (Some(10), 100)).await;
    bench.topic("old", &[(0, 50); 3]);
    bench.kafka.state().topics.get_mut("old").unwrap().id = [9; 16];
    bench.group("g", 0, &[("orders", 0, 10)]);
    bench.pair("g", "old", 0, (None, 50)).await;
    bench.pair("g", "old", 2, (None, 50)).await;
    bench.group("g", 0, &[("orders", 0, 10), ("old", 1, 7)]);
    bench.pair("g", "old", 1, (Some(7), 50)).await;
    bench.group("g", 0, &[("orders", 0, 10)]);
    bench
        .until("it to be left", |p| {
            (!p.groups.get("g")?.topics.contains_key("old")).then_some(())
        })
        .await;
}

/// R01's brother: a permission that is lost looks the same in the coordinator's answer.
#[tokio::test]
async fn a_topic_whose_commits_may_not_be_seen_any_more_is_not_taken_for_left() {
    let mut bench = Bench::new(1).await;
    bench.topic("orders", &[(0, 10)]);
    bench.topic("secret", &[(0, 1_000)]);
    bench.group("g", 0, &[("orders", 0, 10), ("secret", 0, 10)]);
    bench.demand(&[("g", ALL)]);
    bench.pair("g", "secret", 0, (Some(10), 1_000)).await;
    bench.kafka.state().hidden.insert("secret".into());
    let trouble = bench
        .until("its trouble", |p| p.topics.get("secret")?.trouble.clone())
        .await;
    assert!(trouble.configuration, "{trouble:?}");
    bench.ten_ticks().await;
    let track = bench
        .until("a snapshot", |p| Some(slot(p, "g", "secret", 0)?.track))
        .await;
    assert_eq!(track.map(|t| t.committed), Some(Some(10)));
}

/// A report from outside (R06): nobody can take such a commit away, since OffsetDelete refuses topics that are not there.
#[tokio::test]
async fn a_commit_on_a_topic_that_is_gone_harms_no_other_topic() {
    for deleted_meanwhile in [false, true] {
        let mut bench = Bench::new(1).await;
        bench.topic("orders", &[(0, 10)]);
        if deleted_meanwhile {
            bench.topic("ghost", &[(0, 10)]);
        }
        bench.group("g", 0, &[("orders", 0, 5), ("ghost", 0, 7)]);
        bench.demand(&[("g", ALL)]);
        bench.pair("g", "orders", 0, (Some(5), 10)).await;
        bench.kafka.state().topics.remove("ghost");
        bench.topic("orders", &[(0, 1_000)]);
        bench.pair("g", "orders", 0, (Some(5), 1_000)).await;
        if deleted_meanwhile {
            let unknown = ResponseError::UnknownTopicOrPartition;
            bench.kafka.fault(Fault::of(
                ListOffsets,
                What::PartitionCode("ghost", 0, unknown),
            ));
        }
        bench
            .until("the group to be well", |p| {
                let group = p.groups.get("g")?;
                let whole = group.trouble.is_none() && group.topics.get("ghost")?.is_empty();
                (whole && p.topics.get("ghost")?.gone).then_some(())
            })
            .await;
    }
}

/// One question about everything is up to four requests: commits, members, their topics, and commits by name.
#[tokio::test]
async fn between_the_requests_of_one_question_the_silence_is_kept_too() {
    let mut bench = namespace(Empty, Some("t")).await;
    bench.pair("named", "t", 0, (Some(10), 100)).await;
    for api in [OffsetFetch, Metadata] {
        bench.keeps_the_silence_after(api).await;
    }
}
