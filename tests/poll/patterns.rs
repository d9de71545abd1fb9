//! Topics of a pattern that leave the list of the cluster: for once, for good, or because they may not be described any more.

use fake_kafka::{
    fault::{Fault, What},
    state::Asked,
};
use std::time::Duration;

use kafka_protocol::messages::ApiKey::Metadata;
use lagscale::snapshot::{PartitionSlots, Snapshot};

use crate::bench::{Bench, slot};

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
fn backlog(snapshot: &Snapshot) -> Option<(bool, bool)> {
    let group = snapshot.groups.get("g")?;
    let read = slot(snapshot, "g", "t2", 0).is_some_and(|s| s.track.is_some());
    let there = read && snapshot.listed.contains("t2") && snapshot.topics.contains_key("t2");
    let slots = group.topics.values().flat_map(PartitionSlots::values);
    let troubled = snapshot.topics.values().any(|t| t.trouble.is_some())
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
        let (there, troubled) = bench.until("a snapshot", backlog).await;
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
        let (there, troubled) = bench.until("a snapshot", backlog).await;
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
