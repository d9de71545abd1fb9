//! One group, broker, coordinator or credential in trouble delays no other: the log shows that the others' ticks went on
//! while its question was out.

use fake_kafka::{
    fault::{Fault, What},
    state::Asked,
};
use std::time::Duration;

use kafka_protocol::messages::ApiKey::{
    self, Fetch, FindCoordinator, ListOffsets, Metadata, OffsetFetch,
};

use crate::bench::{Bench, EVERY, slot};

/// How many ends of `topic` were asked for before any answer to the first request of `api` at `broker`, or before that was
/// asked a second time.
fn ends_meanwhile(asked: &[Asked], api: ApiKey, broker: i32, topic: &str) -> Option<usize> {
    let this = |a: &Asked| a.api == api && a.broker == broker;
    let first = asked.iter().position(this)?;
    let rest = &asked[first + 1..];
    let second = rest.iter().position(this).unwrap_or(rest.len());
    let ends = rest[..second].iter().filter(|a| {
        a.api == ListOffsets && a.timestamp == -1 && a.partitions.iter().any(|(t, _)| t == topic)
    });
    Some(ends.count())
}

/// `g` on topic a lives on brokers 0 and 1, `h` on topic b on brokers 0 and 2.
async fn two_groups() -> Bench {
    let mut bench = Bench::new(3).await;
    bench.topic("a", &[(1, 10)]);
    bench.topic("b", &[(2, 10)]);
    bench.group("g", 1, &[("a", 0, 4)]);
    bench.group("h", 2, &[("b", 0, 4)]);
    bench.demand(&[("g", "a"), ("h", "b")]);
    bench.pair("g", "a", 0, (Some(4), 10)).await;
    bench.pair("h", "b", 0, (Some(4), 10)).await;
    bench
}

#[tokio::test]
async fn a_frozen_coordinator_delays_no_group_of_another() {
    let mut bench = two_groups().await;
    bench.kafka.fault(Fault::everywhere(2, What::Silence));
    let mark = bench.mark();
    let five = |asked: &[Asked]| (ends_meanwhile(asked, OffsetFetch, 2, "a")? >= 5).then_some(());
    bench
        .asked("five ticks of g while h waits", mark, five)
        .await;
    bench.topic("a", &[(1, 15)]);
    bench.pair("g", "a", 0, (Some(4), 15)).await;
    bench.kafka.mend();
    bench.topic("b", &[(2, 15)]);
    bench.pair("h", "b", 0, (Some(4), 15)).await;
}

#[tokio::test]
async fn a_frozen_leader_delays_no_partition_of_another() {
    let mut bench = two_groups().await;
    bench.kafka.fault(Fault::at(ListOffsets, 2, What::Silence));
    let mark = bench.mark();
    let five = |asked: &[Asked]| (ends_meanwhile(asked, ListOffsets, 2, "a")? >= 5).then_some(());
    bench
        .asked("five ticks of g while h waits", mark, five)
        .await;
}

#[tokio::test]
async fn a_coordinator_that_is_slow_every_time_is_waited_for_once() {
    let mut bench = two_groups().await;
    let slow = Duration::from_millis(700);
    bench
        .kafka
        .fault(Fault::at(OffsetFetch, 2, What::Delay(slow)));
    let mark = bench.mark();
    let third = |asked: &[Asked]| {
        let slow = asked.iter().enumerate();
        let slow = slow.filter(|(_, a)| a.api == OffsetFetch && a.broker == 2);
        let third = slow.map(|(i, _)| i).nth(2)?;
        (ends_meanwhile(&asked[third..], OffsetFetch, 2, "a")? >= 4).then_some(())
    };
    bench
        .asked("ticks of g within one question of h", mark, third)
        .await;
    bench.topic("b", &[(2, 15)]);
    bench.pair("h", "b", 0, (Some(4), 15)).await;
}

#[tokio::test]
async fn a_frozen_way_in_delays_nobody_who_is_known() {
    let mut bench = two_groups().await;
    bench.kafka.fault(Fault::of(Metadata, What::Silence));
    bench.kafka.fault(Fault::of(FindCoordinator, What::Silence));
    let mark = bench.mark();
    bench.topic("new", &[(1, 3)]);
    bench.group("i", 1, &[]);
    bench.demand(&[("g", "a"), ("h", "b"), ("i", "new")]);
    let five = |asked: &[Asked]| (ends_meanwhile(asked, Metadata, 0, "a")? >= 5).then_some(());
    bench
        .asked("five ticks of g while i waits", mark, five)
        .await;
    let text = bench
        .until("the first poll of i to be over, with its reason", |p| {
            p.groups.get("i")?.polled.then_some(())?;
            Some(p.trouble.clone()?.text)
        })
        .await;
    assert!(text.contains(&bench.address(0)), "{text}");
    bench.kafka.mend();
    bench.pair("i", "new", 0, (None, 3)).await;
}

#[tokio::test]
async fn a_group_that_asks_for_a_topic_nobody_has_is_read_in_its_other_topic() {
    let mut bench = two_groups().await;
    bench.demand(&[("g", "a,missing"), ("h", "b")]);
    bench.topic("a", &[(1, 11)]);
    bench.pair("g", "a", 0, (Some(4), 11)).await;
    let text = bench
        .until("trouble with the topic", |p| {
            p.topics.get("missing")?.trouble.clone()
        })
        .await
        .text;
    assert!(text.contains("topic missing does not exist"), "{text}");
}

#[tokio::test]
async fn a_refused_credential_delays_no_other_at_the_same_brokers() {
    let mut bench = Bench::new(1).await;
    bench.kafka.state().session = Some(Duration::ZERO);
    bench
        .kafka
        .state()
        .refusing
        .insert((None, "mallory".into()));
    bench.topic("t", &[(0, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.log_in("mallory");
    bench.demand(&[("g", "t")]);
    let text = bench
        .until("the refusal", |p| p.trouble.clone().map(|t| t.text))
        .await;
    assert!(text.contains("login refused"), "{text}");
    bench.log_in("alice");
    bench.demand(&[("g", "t")]);
    for end in 11..14 {
        bench.topic("t", &[(0, end)]);
        bench.pair("g", "t", 0, (Some(4), end)).await;
    }
}

#[tokio::test]
async fn a_stopped_broker_costs_its_own_partitions_and_nobody_elses() {
    let mut bench = two_groups().await;
    bench.demand(&[("g", "a,b"), ("h", "b")]);
    bench.pair("g", "b", 0, (None, 10)).await;
    bench.kafka.stop(2).await;
    let address = bench.address(2);
    for end in 11..16 {
        bench.topic("a", &[(1, end)]);
        bench.pair("g", "a", 0, (Some(4), end)).await;
    }
    bench
        .until(
            "the stopped broker to be named, its last pair standing",
            |p| {
                let slot = slot(p, "g", "b", 0)?;
                let named = slot.trouble.as_ref()?.text.contains(&address);
                (named && slot.track?.end == 10).then_some(())
            },
        )
        .await;
    bench.kafka.restart(2).await;
    bench.topic("b", &[(2, 12)]);
    bench.pair("h", "b", 0, (Some(4), 12)).await;
}

#[tokio::test]
async fn nothing_is_asked_on_a_connection_before_the_silence_it_was_told_to_keep_is_over() {
    let mut bench = Bench::with(1, |t| t.starts_every = EVERY).await;
    bench.topic("t", &[(0, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(4), 10)).await;
    for api in [ListOffsets, OffsetFetch] {
        bench.keeps_the_silence_after(api).await;
    }
}

#[tokio::test]
async fn a_partition_that_is_left_out_is_asked_alone_and_only_then_taken_for_empty() {
    let mut bench = Bench::with(1, |t| t.layout_every = Duration::from_secs(2)).await;
    bench.topic("t", &[(0, 10), (0, 20)]);
    bench.group("g", 0, &[("t", 0, 4), ("t", 1, 5)]);
    bench
        .kafka
        .fault(Fault::at(ListOffsets, 0, What::LeftOut("t", 1)));
    bench.demand(&[("g", "t")]);
    let track = bench
        .until("the partition to be taken for empty", |p| {
            let slot = slot(p, "g", "t", 1)?;
            slot.left_out.then_some(slot.track?)
        })
        .await;
    assert_eq!(
        (track.committed, track.end),
        (Some(5), 5),
        "no record, and the commit stands"
    );
    let alone = bench.since(0);
    let alone = alone
        .iter()
        .filter(|a| a.api == ListOffsets && a.timestamp == -1);
    let asked: Vec<Vec<i32>> = alone
        .map(|a| a.partitions.iter().map(|p| p.1).collect())
        .collect();
    assert_eq!(
        asked.iter().filter(|ids| **ids == [1]).count(),
        1,
        "{asked:?}"
    );
    let first = asked.iter().position(|ids| *ids == [1]).unwrap();
    assert!(first >= 3, "three answers left it out before: {asked:?}");
    bench.kafka.mend();
    bench.pair("g", "t", 1, (Some(5), 20)).await;
}

/// Forty groups have a small lag on one partition, so forty Fetches wait for its leader.
#[tokio::test]
async fn a_leader_that_fails_over_a_fetch_or_refuses_the_login_after_it_is_not_dialled_for_the_others()
 {
    for refuses in [false, true] {
        let mut bench = Bench::new(2).await;
        bench.topic("t", &[(1, 100)]);
        let groups: Vec<_> = (0..40).map(|n| format!("g{n}")).collect();
        for group in &groups {
            bench.group(group, 0, &[("t", 0, 98)]);
        }
        {
            let mut state = bench.kafka.state();
            state.session = Some(Duration::ZERO);
            state.fetches = true;
            state.faults.push(Fault::at(Fetch, 1, What::Delay(EVERY)));
        }
        bench.log_in("alice");
        let demand: Vec<_> = groups.iter().map(|g| (g.as_str(), "t")).collect();
        bench.demand(&demand);
        let fetch = |asked: &[Asked]| asked.iter().any(|a| a.api == Fetch).then_some(());
        bench.asked("a Fetch", 0, fetch).await;
        bench.kafka.fault(Fault::at(Fetch, 1, What::HangUp));
        if refuses {
            let alice = (Some(1), "alice".to_owned());
            bench.kafka.state().refusing.insert(alice);
        }
        let before = bench.kafka.state().connections[&1];
        bench.ten_ticks().await;
        let dialled = bench.kafka.state().connections[&1] - before;
        assert!(
            dialled <= 5,
            "refuses {refuses}: {dialled} dials for one partition"
        );
    }
}
