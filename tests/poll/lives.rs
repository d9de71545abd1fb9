//! What becomes of what is known when topics, partitions, leaders, permissions and groups come and go.

use std::time::Duration;

use kafka_protocol::{
    ResponseError,
    messages::ApiKey::{DescribeGroups, Fetch, ListOffsets, Metadata, OffsetFetch},
};
use lagscale::poll::Picture;

use crate::{
    bench::{ALL, Bench, slot},
    fake_kafka::{
        fault::{Fault, What},
        state::{Asked, Former},
    },
};

/// DESIGN: the last good pair stands "for two ticks and a metadata refresh".
#[tokio::test]
async fn a_commit_beyond_the_end_has_its_topic_described_before_it_is_believed() {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 100)]);
    bench.group("g", 0, &[("t", 0, 90)]);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(90), 100)).await;
    let mark = bench.mark();
    bench.group("g", 0, &[("t", 0, 110)]);
    bench.pair("g", "t", 0, (Some(110), 100)).await;
    let since = bench.since(mark);
    assert!(since.iter().any(|a| a.api == Metadata), "{since:?}");
}

/// The old leader does not know that it is none, so nothing but Metadata tells.
#[tokio::test]
async fn a_leader_that_was_deposed_unaware_is_found_out_by_a_commit_beyond_its_end() {
    let mut bench = Bench::new(2).await;
    bench.topic("t", &[(0, 100)]);
    bench.group("g", 0, &[("t", 0, 90)]);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(90), 100)).await;
    {
        let mut state = bench.kafka.state();
        let partition = &mut state.topics.get_mut("t").unwrap().partitions[0];
        partition.former = Some(Former {
            leader: 0,
            end: 100,
            epoch: 1,
        });
        (partition.leader, partition.end, partition.epoch) = (1, 300, 2);
    }
    bench.group("g", 0, &[("t", 0, 150)]);
    let mut wrong = Vec::new();
    let read = |p: &Picture| {
        let track = slot(p, "g", "t", 0)?.track?;
        if track.beyond {
            wrong.push(track);
        }
        (track.end == 300).then_some(())
    };
    bench.until("the new leader's end", read).await;
    assert_eq!(wrong, [], "the old leader's end was believed");
}

/// A leader that is always a little later than another.
#[tokio::test]
async fn log_starts_of_a_slow_leader_are_refreshed_too() {
    let mut bench = Bench::with(2, |t| t.starts_every = Duration::from_millis(500)).await;
    bench.topic("t", &[(0, 100), (1, 100)]);
    bench.group("g", 0, &[("t", 0, 10), ("t", 1, 10)]);
    let slow = Duration::from_millis(450);
    bench
        .kafka
        .fault(Fault::at(ListOffsets, 1, What::Delay(slow)));
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(10), 100)).await;
    bench.pair("g", "t", 1, (Some(10), 100)).await;
    for partition in &mut bench.kafka.state().topics.get_mut("t").unwrap().partitions {
        partition.start = 80;
    }
    let both = |p: &Picture| {
        let of = |id| slot(p, "g", "t", id)?.track?.start;
        (of(0)? == 80 && of(1)? == 80).then_some(())
    };
    bench.until("both log starts", both).await;
}

/// The leader's answer about the old log comes after the description of the new one.
#[tokio::test]
async fn a_commit_of_the_former_topic_is_not_remembered_in_the_new_one() {
    let mut bench = Bench::with(2, |t| t.layout_every = Duration::from_millis(200)).await;
    bench.topic("t", &[(1, 100)]);
    bench.group("g", 0, &[("t", 0, 90)]);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(90), 100)).await;
    let late = Fault::at(ListOffsets, 1, What::Delay(Duration::from_millis(900)));
    let mark = bench.mark();
    bench.kafka.fault(late.once());
    let ends = |asked: &[Asked]| asked.iter().any(|a| a.api == ListOffsets).then_some(());
    bench.asked("ends to be asked", mark, ends).await;
    bench.topic("t", &[(1, 3)]);
    bench.kafka.state().topics.get_mut("t").unwrap().id = [9; 16];
    bench.group("g", 0, &[]);
    bench.pair("g", "t", 0, (None, 3)).await;
    bench.kafka.state().topics.get_mut("t").unwrap().partitions[0].end = 120;
    bench.pair("g", "t", 0, (None, 120)).await;
}

#[tokio::test]
async fn a_group_that_goes_and_comes_is_not_said_to_be_left_out() {
    let mut bench = Bench::new(2).await;
    bench.topic("t", &[(0, 100)]);
    bench.group("g", 1, &[("t", 0, 90)]);
    bench.group("h", 1, &[("t", 0, 90)]);
    bench.demand(&[("g", "t"), ("h", "t")]);
    bench.pair("g", "t", 0, (Some(90), 100)).await;
    bench.pair("h", "t", 0, (Some(90), 100)).await;
    let slow = Duration::from_millis(300);
    bench
        .kafka
        .fault(Fault::at(OffsetFetch, 1, What::Delay(slow)));
    for round in 0..6 {
        // While it waits for its turn at a coordinator that is busy.
        let mark = bench.mark();
        let asked = |a: &[Asked]| a.iter().any(|a| a.api == OffsetFetch).then_some(());
        bench.asked("commits to be asked", mark, asked).await;
        bench.demand(&[("h", "t")]);
        bench
            .until("it to be gone", |p| {
                (!p.groups.contains_key("g")).then_some(())
            })
            .await;
        bench.demand(&[("g", "t"), ("h", "t")]);
        let said = bench
            .until("it to be read again", |p| {
                let group = p.groups.get("g")?;
                let read = group.read.is_some().then_some(None);
                group.trouble.clone().map(Some).or(read)
            })
            .await;
        assert_eq!(said, None, "round {round}");
    }
}

/// A topic made anew with fewer partitions; `/metrics` adds up what is there.
#[tokio::test]
async fn partitions_of_a_former_topic_go_with_it() {
    let mut bench = Bench::with(1, |t| t.layout_every = Duration::from_millis(200)).await;
    bench.topic("t", &[(0, 100); 4]);
    let commits = [("t", 0, 10), ("t", 1, 10), ("t", 2, 10), ("t", 3, 10)];
    bench.group("g", 0, &commits);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 3, (Some(10), 100)).await;
    bench.topic("t", &[(0, 5); 2]);
    bench.kafka.state().topics.get_mut("t").unwrap().id = [9; 16];
    bench.group("g", 0, &[]);
    bench.pair("g", "t", 1, (None, 5)).await;
    let ids = bench
        .until("a picture", |p| {
            let slots = p.groups.get("g")?.topics.get("t")?;
            Some(slots.keys().copied().collect::<Vec<_>>())
        })
        .await;
    assert_eq!(ids, [0, 1]);
}

/// Two topics of a pattern, one of them with a backlog.
async fn by_pattern() -> Bench {
    let mut bench = Bench::with(1, |t| t.layout_every = Duration::from_millis(300)).await;
    bench.topic("t1", &[(0, 100)]);
    bench.topic("t2", &[(0, 100)]);
    bench.group("g", 0, &[("t1", 0, 100), ("t2", 0, 10)]);
    bench.demand(&[("g", "t.*")]);
    bench.pair("g", "t2", 0, (Some(10), 100)).await;
    bench.pair("g", "t1", 0, (Some(100), 100)).await;
    bench
}

fn lists(asked: &[Asked]) -> usize {
    let lists = asked
        .iter()
        .filter(|a| a.api == Metadata && a.topics.is_empty());
    lists.filter(|a| a.answered_at.is_some()).count()
}

/// Whether the backlog is there, and whether anything is said to be wrong.
fn backlog(picture: &Picture) -> Option<(bool, bool)> {
    let group = picture.groups.get("g")?;
    let read = slot(picture, "g", "t2", 0).is_some_and(|s| s.track.is_some());
    let there = read && picture.listed.contains("t2") && picture.topics.contains_key("t2");
    let slots = group.topics.values().flat_map(|t| t.values());
    let troubled = picture.topics.values().any(|t| t.trouble.is_some())
        || slots.into_iter().any(|s| s.trouble.is_some());
    Some((there, troubled || group.trouble.is_some()))
}

/// As a broker that just started makes it.
#[tokio::test]
async fn a_list_that_lacks_a_topic_for_once_takes_no_backlog_away() {
    let mut bench = by_pattern().await;
    let mark = bench.mark();
    let short = Fault::of(Metadata, What::NamedLeftOut("t2")).once();
    bench.kafka.fault(short);
    loop {
        let (there, troubled) = bench.until("a picture", backlog).await;
        assert!(there, "troubled: {troubled}");
        if lists(&bench.since(mark)) > 2 {
            break;
        }
    }
}

#[tokio::test]
async fn a_topic_of_a_pattern_that_may_not_be_described_any_more_is_named() {
    let mut bench = by_pattern().await;
    bench.kafka.state().hidden.insert("t2".into());
    let mark = bench.mark();
    let mut named = false;
    while lists(&bench.since(mark)) < 4 {
        let (there, troubled) = bench.until("a picture", backlog).await;
        assert!(there, "it is no lag of 0");
        named |= troubled;
    }
    assert!(named);
    let text = bench
        .until("its trouble", |p| p.topics.get("t2")?.trouble.clone())
        .await;
    assert!(
        text.configuration && text.text.contains("topic t2: not authorized"),
        "{text:?}"
    );
}

#[tokio::test]
async fn a_topic_of_a_pattern_that_is_deleted_goes_once_that_is_sure() {
    let mut bench = by_pattern().await;
    let mark = bench.mark();
    bench.kafka.state().topics.remove("t2");
    bench
        .until("it to be gone", |p| {
            (!p.listed.contains("t2") && !p.topics.contains_key("t2")).then_some(())
        })
        .await;
    let since = bench.since(mark);
    let by_name = since.iter().filter(|a| a.topics.contains(&"t2".to_owned()));
    assert!(by_name.count() >= 3, "{since:?}");
}

/// Under one id a topic never loses a partition.
#[tokio::test]
async fn an_old_description_takes_no_partition_away() {
    let mut bench = Bench::with(1, |t| t.layout_every = Duration::from_millis(300)).await;
    bench.topic("t", &[(0, 100); 3]);
    bench.group("g", 0, &[("t", 0, 100), ("t", 1, 100), ("t", 2, 10)]);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 2, (Some(10), 100)).await;
    let mark = bench.mark();
    bench.topic("t", &[(0, 100); 2]);
    let described = |asked: &[Asked]| {
        let described = asked.iter().filter(|a| a.api == Metadata);
        (described.filter(|a| a.answered_at.is_some()).count() > 2).then_some(())
    };
    bench.asked("two descriptions", mark, described).await;
    bench.ten_ticks().await;
    let ids = bench
        .until("a picture", |p| {
            Some(p.topics.get("t")?.partitions.to_vec())
        })
        .await;
    assert_eq!(ids, [0, 1, 2]);
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
            .until("a picture", |p| Some(p.groups.get("g")?.trouble.clone()))
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
        .until("a picture", |p| slot(p, "g", "orders", 0)?.track)
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
        .until("a picture", |p| Some(slot(p, "g", "secret", 0)?.track))
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

/// A report from outside (R18): a proxy, or a broker on its way out.
#[tokio::test]
async fn a_coordinator_that_metadata_does_not_list_is_kept() {
    let mut bench = Bench::with(2, |t| t.layout_every = Duration::from_millis(200)).await;
    bench.topic("t", &[(0, 100)]);
    bench.group("g", 1, &[("t", 0, 90)]);
    let port = bench.kafka.state().ports[0];
    bench.kafka.state().claimed_brokers = Some(vec![(0, "127.0.0.1".into(), port)]);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(90), 100)).await;
    let mark = bench.mark();
    let mut said = Vec::new();
    let described = |asked: &[Asked]| asked.iter().filter(|a| a.api == Metadata).count();
    while described(&bench.since(mark)) < 5 {
        let trouble = bench
            .until("a picture", |p| {
                let group = p.groups.get("g")?.trouble.clone();
                Some(group.or_else(|| slot(p, "g", "t", 0)?.trouble.clone()))
            })
            .await;
        said.extend(trouble);
    }
    assert_eq!(said, []);
    let connections = bench.kafka.state().connections[&1];
    assert_eq!(connections, 1);
}

/// The offsets of a commit before the log start are out of range for a Fetch, today and tomorrow.
#[tokio::test]
async fn what_a_small_lag_consists_of_is_looked_at_once_whatever_the_broker_says() {
    for code in [
        ResponseError::OffsetOutOfRange,
        ResponseError::CorruptMessage,
        ResponseError::UnknownServerError,
    ] {
        let mut bench = Bench::new(1).await;
        bench.topic("t", &[(0, 100)]);
        bench.group("g", 0, &[("t", 0, 98)]);
        bench.kafka.state().fetches = true;
        bench
            .kafka
            .fault(Fault::of(Fetch, What::PartitionCode("t", 0, code)));
        bench.demand(&[("g", "t")]);
        let looked = |asked: &[Asked]| asked.iter().any(|a| a.api == Fetch).then_some(());
        bench.asked("a Fetch", 0, looked).await;
        for _ in 0..2 {
            bench.ten_ticks().await;
        }
        let fetches = bench.since(0).iter().filter(|a| a.api == Fetch).count();
        assert_eq!(fetches, 1, "{code:?}");
    }
}
