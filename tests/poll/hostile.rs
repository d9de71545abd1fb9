//! Answers that are attacks: what they claim is bounded before anything is dialled or kept for it.

use fake_kafka::fault::{Fault, What};
use std::collections::BTreeSet;

use kafka_protocol::messages::ApiKey::{self, Metadata};
use lagscale::{
    kafka::{Address, Budgets, Topics, budget::Amounts},
    lag::Isolation,
    poll::{Manager, Timing},
    snapshot::{ClusterKey, GroupDemand},
};
use tokio::sync::mpsc;

use crate::bench::{Bench, EVERY, PATIENCE, slot};

#[tokio::test]
async fn an_answer_about_topics_that_is_too_large_is_asked_for_in_smaller_parts() {
    let mut bench = Bench::new(1).await;
    for topic in ["a", "b", "c"] {
        bench.topic(topic, &[(0, 10)]);
    }
    bench.group("g", 0, &[("a", 0, 4), ("b", 0, 4), ("c", 0, 4)]);
    bench.kafka.fault(Fault::of(Metadata, What::Huge).once());
    bench.demand(&[("g", "a,b,c")]);
    let mut troubled = false;
    bench
        .until("all of them to be read", |p| {
            troubled |= p.trouble.is_some();
            let read = |topic| slot(p, "g", topic, 0).and_then(|s| s.track).is_some();
            ["a", "b", "c"].into_iter().all(read).then_some(())
        })
        .await;
    assert!(!troubled);
}

#[tokio::test]
async fn a_cluster_of_a_hundred_thousand_brokers_is_refused_and_nobody_of_them_dialled() {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    let port = bench.kafka.state().ports[0];
    let brokers = (0..100_000).map(|node| (node, "127.0.0.1".to_owned(), port));
    bench.kafka.state().claimed_brokers = Some(brokers.collect());
    bench.demand(&[("g", "t")]);
    let text = bench
        .until("trouble", |p| p.trouble.clone().map(|t| t.text))
        .await;
    assert!(text.contains("names more than the 512 brokers"), "{text}");
    assert!(text.contains(&bench.address(0)), "{text}");
    let connections: usize = bench.kafka.state().connections.values().sum();
    assert_eq!(connections, 1);
    bench.kafka.state().claimed_brokers = None;
    bench.pair("g", "t", 0, (Some(4), 10)).await;
}

#[tokio::test]
async fn a_topic_of_more_partitions_than_a_cluster_has_is_refused_and_the_others_are_read() {
    let mut bench = Bench::new(1).await;
    bench.topic("vast", &vec![(0, 10); 60_000]);
    bench.topic("t", &[(0, 10)]);
    bench.group("g", 0, &[]);
    bench.group("h", 0, &[("t", 0, 4)]);
    bench.demand(&[("g", "vast"), ("h", "t")]);
    let text = bench
        .until("trouble", |p| p.topics.get("vast")?.trouble.clone())
        .await
        .text;
    assert!(text.contains("it has 60000 partitions"), "{text}");
    bench.pair("h", "t", 0, (Some(4), 10)).await;
}

#[tokio::test]
async fn groups_beyond_what_is_read_for_a_namespace_are_refused_and_the_first_ones_go_on() {
    let mut bench = Bench::with(1, |t| t.deadlines.call = crate::bench::PATIENCE).await;
    bench.kafka.state().log = None;
    bench.topic("large", &vec![(0, 10); 50_000]);
    let names: Vec<String> = (0..11).map(|i| format!("g{i}")).collect();
    for name in &names {
        bench.group(name, 0, &[]);
    }
    let asked: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "large")).collect();
    bench.demand(&asked);
    let (troubled, read) = bench
        .until("two groups to be read and nine to be refused", |p| {
            let groups = p.groups.values();
            let troubled: Vec<_> = groups.clone().filter_map(|g| g.trouble.clone()).collect();
            let read = groups.filter(|g| g.topics.get("large").is_some_and(|t| t.len() == 50_000));
            let read = read.count();
            (troubled.len() + read == 11).then_some((troubled, read))
        })
        .await;
    assert_eq!(read, 2);
    assert!(
        troubled[0].text.contains("120000 for a namespace"),
        "{}",
        troubled[0].text
    );
}

/// Every way of answering wrongly: said with the broker's address, and over when it is over.
#[tokio::test]
async fn whatever_a_broker_answers_wrongly_is_said_with_its_address_and_passes() {
    let wrongs = [
        (What::Silence, "no answer to"),
        (What::HangUp, "closed the connection"),
        (What::HangUpUnread, "closed the connection"),
        (What::Corrupt, "makes no sense"),
        (What::WrongCorrelation, "it answers another request"),
        (What::Huge, "2147483647 bytes is over the limit"),
    ];
    for api in [ApiKey::ListOffsets, ApiKey::OffsetFetch] {
        for (wrong, says) in wrongs.clone() {
            let mut bench = Bench::new(1).await;
            bench.topic("t", &[(0, 10)]);
            bench.group("g", 0, &[("t", 0, 4)]);
            bench.demand(&[("g", "t")]);
            bench.pair("g", "t", 0, (Some(4), 10)).await;
            let address = bench.address(0);
            bench.kafka.fault(Fault::at(api, 0, wrong));
            let what = format!("{address} and `{says}` of {api:?}");
            bench
                .until(&what, |p| {
                    let group = p.groups.get("g")?;
                    let slot = group.topics.get("t")?.get(&0)?;
                    let trouble = group.trouble.as_ref().or(slot.trouble.as_ref())?;
                    let said = trouble.text.contains(&address) && trouble.text.contains(says);
                    (said && slot.track?.end == 10).then_some(())
                })
                .await;
            bench.kafka.mend();
            bench.topic("t", &[(0, 11)]);
            bench.pair("g", "t", 0, (Some(4), 11)).await;
        }
    }
}

/// Two clusters of one namespace, and one of another, where a namespace may dial three brokers.
#[tokio::test]
async fn a_namespace_that_dials_too_many_brokers_takes_no_connection_of_another() {
    let bench = Bench::new(3).await;
    let budgets = |lanes| Amounts {
        frames: 100,
        lookups: 1,
        lanes,
        pairs: 100,
    };
    let (sender, mut snapshots) = mpsc::unbounded_channel();
    let timing = Timing {
        patience: EVERY,
        ..Timing::default()
    };
    let mut manager = Manager::new(timing, sender).on(Budgets::new(budgets(8), budgets(3)));
    bench.topic("t", &[(0, 10), (1, 10), (2, 10)]);
    bench.group("g", 0, &[("t", 0, 4), ("t", 1, 4), ("t", 2, 4)]);
    let topics = Topics::parse(["t"].into_iter()).unwrap();
    let demand = || GroupDemand::new(&topics, Isolation::ReadUncommitted, EVERY);
    // One way in and three leaders are four connections.
    let key = |n: u8| {
        let port = bench.kafka.state().ports[usize::from(n)];
        ClusterKey {
            bootstrap: [Address::new("127.0.0.1", port)].into(),
            fingerprint: bench.security.fingerprint(),
        }
    };
    let (mine, other) = (key(0), key(1));
    manager.ask("mine", &mine, &"g".into(), demand(), &bench.security, None);
    manager.ask(
        "other",
        &other,
        &"g".into(),
        demand(),
        &bench.security,
        None,
    );
    let (mut told, mut seen) = (BTreeSet::new(), 0);
    let look = async {
        while told.len() < 2 || seen < 40 {
            let (key, snapshot) = snapshots.recv().await.unwrap();
            seen += 1;
            let slots = snapshot
                .groups
                .get("g")
                .into_iter()
                .flat_map(|g| g.topics.values().flatten());
            let (read, troubled): (Vec<_>, Vec<_>) = slots.partition(|(_, s)| s.trouble.is_none());
            let refused = troubled.iter().any(|(_, s)| {
                s.trouble
                    .as_ref()
                    .unwrap()
                    .text
                    .contains("no broker more is dialled")
            });
            assert!(read.len() <= 2, "{read:?}");
            if refused && read.len() == 2 {
                told.insert(key);
            }
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap();
    let open: usize = bench.kafka.state().open.values().sum();
    assert!(open <= 6, "{open} connections");
}
