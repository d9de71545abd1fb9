//! Knowledge that outlives logs, partitions, leaders and groups that come and go, and knowledge that does not.

use fake_kafka::{
    fault::{Fault, What},
    state::{Asked, Former},
};
use std::time::Duration;

use kafka_protocol::{
    ResponseError,
    messages::ApiKey::{Fetch, ListOffsets, Metadata, OffsetFetch},
};
use lagscale::snapshot::Snapshot;

use crate::bench::{Bench, slot};

/// The last good pair stands "for two ticks and a metadata refresh".
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
    let read = |p: &Snapshot| {
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
    let both = |p: &Snapshot| {
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
        .until("a snapshot", |p| {
            let slots = p.groups.get("g")?.topics.get("t")?;
            Some(slots.keys().copied().collect::<Vec<_>>())
        })
        .await;
    assert_eq!(ids, [0, 1]);
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
        .until("a snapshot", |p| {
            Some(p.topics.get("t")?.partitions.to_vec())
        })
        .await;
    assert_eq!(ids, [0, 1, 2]);
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
            .until("a snapshot", |p| {
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
