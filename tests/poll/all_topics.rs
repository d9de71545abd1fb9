//! Brokers that do not tell every topic of a group, as namespaces of Event Hubs are reported to: by hanging up, by an empty
//! list, by UNSUPPORTED_VERSION. None of it is a lag of 0, and none of it harms a group beside that names its topic.

use lagscale::poll::Picture;

use crate::{
    bench::{ALL, Bench},
    fake_kafka::{
        profile::EVENT_HUBS,
        state::AllTopics::{self, Empty, HangUp, Unsupported},
    },
};

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
fn told(picture: &Picture) -> Option<String> {
    let group = picture.groups.get("$Default")?;
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
