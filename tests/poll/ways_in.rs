//! Ways to a broker: bootstrap addresses, names, logins and how long they last.

use fake_kafka::{FakeKafka, state::Asked};
use std::{net::TcpListener, time::Duration};

use kafka_protocol::messages::ApiKey::{ListOffsets, OffsetFetch};
use lagscale::{kafka::Address, snapshot::Trouble};

use crate::bench::{Bench, PATIENCE, slot};

/// A port of this machine where nobody listens.
fn dead() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Address::new("127.0.0.1", listener.local_addr().unwrap().port())
}

#[tokio::test]
async fn a_dead_bootstrap_address_is_passed_over_within_the_first_question() {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    let alive = bench.key.bootstrap[0].clone();
    bench.bootstrap(&[dead(), Address::new("no-such-host.invalid", 9092), alive]);
    bench.demand(&[("g", "t")]);
    let mut troubled = false;
    bench
        .until("the pair, without trouble before it", |p| {
            troubled |= p.trouble.is_some();
            slot(p, "g", "t", 0)?.track
        })
        .await;
    assert!(!troubled);
}

#[tokio::test]
async fn a_cluster_whose_bootstrap_addresses_all_died_is_asked_through_a_broker_that_is_known() {
    let mut bench = Bench::with(2, |t| t.layout_every = Duration::from_millis(300)).await;
    bench.topic("t", &[(1, 10)]);
    bench.group("g", 1, &[("t", 0, 4)]);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(4), 10)).await;
    bench.kafka.stop(0).await;
    bench.topic("t", &[(1, 11), (1, 12)]);
    bench.pair("g", "t", 1, (None, 12)).await;
}

#[tokio::test]
async fn a_group_that_is_asked_for_while_nobody_answers_is_told_so_as_the_first_was() {
    let mut bench = Bench::new(1).await;
    bench.bootstrap(&[dead()]);
    for group in ["g", "h"] {
        bench.demand(&[("g", "t"), (group, "t")]);
        let trouble = bench
            .until(group, |p| {
                let group = p.groups.get(group).filter(|g| g.polled);
                group.map(|_| p.trouble.clone())
            })
            .await;
        assert!(trouble.is_some());
    }
}

#[tokio::test]
async fn an_ipv6_address_is_dialled_as_it_is_written() {
    let mut bench = Bench::new(1).await;
    bench.kafka = FakeKafka::start_at("::1", 1).await;
    bench.topic("t", &[(0, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    let port = bench.kafka.state().ports[0];
    let written: Address = format!("[::1]:{port}").parse().unwrap();
    bench.bootstrap(&[written]);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(4), 10)).await;
}

#[tokio::test]
async fn a_broker_that_moved_to_another_address_is_followed() {
    let mut bench = Bench::new(2).await;
    bench.topic("t", &[(1, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(4), 10)).await;
    bench.kafka.stop(1).await;
    bench.kafka.restart_at("127.0.0.2", 1).await;
    let ports = bench.kafka.state().ports.clone();
    let moved = [
        (0, "127.0.0.1".into(), ports[0]),
        (1, "127.0.0.2".into(), ports[1]),
    ];
    bench.kafka.state().claimed_brokers = Some(moved.into());
    bench.topic("t", &[(1, 11)]);
    bench.pair("g", "t", 0, (Some(4), 11)).await;
}

/// The first trouble that is told before the broker has accepted so many connections.
async fn trouble_until(bench: &mut Bench, connections: usize) -> Option<Trouble> {
    let kafka = &bench.kafka;
    let look = async {
        let mut troubled = None;
        while kafka.state().connections[&0] < connections {
            let (_, snapshot) = bench.snapshots.recv().await.unwrap();
            let slot = slot(&snapshot, "g", "t", 0).unwrap();
            let now = slot.trouble.clone().or_else(|| snapshot.trouble.clone());
            troubled = troubled.or(now);
        }
        troubled
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap()
}

#[tokio::test]
async fn a_session_is_dialled_afresh_before_it_ends_and_nothing_is_lost() {
    let mut bench = Bench::new(1).await;
    bench.kafka.state().session = Some(Duration::from_millis(1500));
    bench.topic("t", &[(0, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.log_in("alice");
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(4), 10)).await;
    assert_eq!(trouble_until(&mut bench, 6).await, None);
    // Each request of lag on a connection lies within its session: the fake hangs up on any other.
    let unanswered = |a: &&Asked| a.answered_at.is_none();
    let asked = bench.since(0);
    let cut = asked.iter().rev().skip(3).filter(unanswered).count();
    assert_eq!(cut, 0);
}

#[tokio::test]
async fn an_end_of_file_past_the_session_is_no_failure() {
    let mut bench = Bench::new(1).await;
    bench.kafka.state().session = Some(Duration::ZERO);
    bench.topic("t", &[(0, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.log_in("alice");
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(4), 10)).await;
    // The broker now ends sessions that it had said would last.
    bench.kafka.state().session = Some(Duration::from_millis(1));
    let mark = bench.kafka.state().connections[&0];
    let troubled = trouble_until(&mut bench, mark + 2).await;
    bench.kafka.state().session = Some(Duration::ZERO);
    assert_eq!(troubled, None);
    bench.topic("t", &[(0, 11)]);
    bench.pair("g", "t", 0, (Some(4), 11)).await;
}

#[tokio::test]
async fn a_login_that_one_broker_refuses_backs_off_there_and_nowhere_else() {
    let mut bench = Bench::new(2).await;
    bench.kafka.state().session = Some(Duration::ZERO);
    bench
        .kafka
        .state()
        .refusing
        .insert((Some(1), "alice".into()));
    bench.topic("a", &[(0, 10)]);
    bench.topic("b", &[(1, 10)]);
    bench.group("g", 0, &[("a", 0, 4), ("b", 0, 4)]);
    bench.log_in("alice");
    bench.demand(&[("g", "a,b")]);
    let address = bench.address(1);
    let text = bench
        .until("the refusal, with the broker's address", |p| {
            let trouble = slot(p, "g", "b", 0)?.trouble.clone()?;
            trouble.configuration.then_some(trouble.text)
        })
        .await;
    assert!(
        text.contains(&address) && text.contains("login refused"),
        "{text}"
    );
    let mark = bench.mark();
    let ticks = |asked: &[Asked]| {
        let these = asked.iter().filter(|a| a.api == OffsetFetch).count();
        (these >= 16).then_some(())
    };
    let before = bench.kafka.state().connections[&1];
    bench.asked("sixteen ticks", mark, ticks).await;
    let dialled = bench.kafka.state().connections[&1] - before;
    assert!(
        dialled <= 4,
        "less and less often: {dialled} dials in sixteen ticks"
    );
    let ends = bench.since(mark);
    let ends = ends
        .iter()
        .filter(|a| a.api == ListOffsets && a.broker == 0)
        .count();
    assert!(ends >= 14, "{ends}");
    bench.kafka.state().refusing.clear();
    bench.pair("g", "b", 0, (Some(4), 10)).await;
}
