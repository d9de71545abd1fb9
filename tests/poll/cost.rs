//! Costs of a tick: requests, partitions in them, connections. Counted, not timed.

use fake_kafka::state::Asked;
use kafka_protocol::messages::ApiKey;

use crate::bench::Bench;

fn of(asked: &[Asked], api: ApiKey, broker: i32) -> usize {
    let these = asked.iter().filter(|a| a.api == api && a.broker == broker);
    these.count()
}

#[tokio::test]
async fn a_tick_costs_one_offset_fetch_per_hundred_groups_and_one_list_offsets_per_leader() {
    let mut bench = Bench::new(2).await;
    bench.topic("t", &[(0, 100), (1, 100)]);
    let names: Vec<String> = (0..280).map(|i| format!("g{i}")).collect();
    for (number, name) in names.iter().enumerate() {
        let coordinator = i32::from(number >= 250);
        bench.group(name, coordinator, &[("t", 0, 1), ("t", 1, 2)]);
    }
    let asked: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "t")).collect();
    bench.demand(&asked);
    bench.pairs(&names, "t", 1, (Some(2), 100)).await;
    let mark = bench.mark();
    bench.ten_ticks().await;
    let asked = bench.since(mark);
    let ticks = of(&asked, ApiKey::OffsetFetch, 1);
    assert!(ticks >= 8, "{ticks}");
    // A tick may be under way at either end.
    let per_tick = |count: usize, each: usize| {
        let range = (ticks - 1) * each..=(ticks + 1) * each;
        assert!(
            range.contains(&count),
            "{count} in {ticks} ticks, not {each} each"
        );
    };
    per_tick(of(&asked, ApiKey::OffsetFetch, 0), 3);
    per_tick(of(&asked, ApiKey::ListOffsets, 0), 1);
    per_tick(of(&asked, ApiKey::ListOffsets, 1), 1);
    assert!(asked.iter().all(|a| a.groups.len() <= 100));
    let of_metadata = asked.iter().filter(|a| a.api == ApiKey::Metadata).count();
    assert_eq!(of_metadata, 0, "metadata only when due");
    let of_coordinators = asked.iter().filter(|a| a.api == ApiKey::FindCoordinator);
    assert_eq!(of_coordinators.count(), 0, "coordinators only when lost");
}

#[tokio::test]
async fn ten_groups_on_one_topic_cost_one_list_offsets_entry_per_partition() {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 5), (0, 6), (0, 7)]);
    let names: Vec<String> = (0..10).map(|i| format!("g{i}")).collect();
    for name in &names {
        bench.group(name, 0, &[("t", 0, 1)]);
    }
    let asked: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "t")).collect();
    bench.demand(&asked);
    bench.pair("g9", "t", 2, (None, 7)).await;
    let mark = bench.mark();
    bench.ten_ticks().await;
    let each = ["t", "t", "t"].into_iter().zip(0..);
    let each: Vec<(String, i32)> = each.map(|(t, id)| (t.to_owned(), id)).collect();
    let asked = bench.since(mark);
    for ask in asked.iter().filter(|a| a.api == ApiKey::ListOffsets) {
        assert_eq!(ask.partitions, each);
    }
}

#[tokio::test]
async fn a_tick_costs_one_offset_fetch_per_five_thousand_offsets() {
    let mut bench = Bench::new(1).await;
    bench.topic("t", &[(0, 1); 1_000]);
    let names: Vec<String> = (0..12).map(|i| format!("g{i}")).collect();
    for name in &names {
        bench.group(name, 0, &[("t", 0, 1)]);
    }
    let asked: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "t")).collect();
    bench.demand(&asked);
    bench.pairs(&names, "t", 0, (Some(1), 1)).await;
    let mark = bench.mark();
    bench.ten_ticks().await;
    let asked = bench.since(mark);
    let asked = asked.iter().filter(|a| a.api == ApiKey::OffsetFetch);
    let sizes: Vec<usize> = asked.map(|a| a.groups.len()).collect();
    assert!(
        sizes.iter().all(|n| *n == 4),
        "12 000 offsets in three of four groups: {sizes:?}"
    );
}

#[tokio::test]
async fn connections_are_at_most_brokers_and_one_however_many_objects_ask() {
    let mut bench = Bench::new(3).await;
    let names: Vec<String> = (0..60).map(|i| format!("g{i}")).collect();
    bench.topic("t", &[(0, 1), (1, 1), (2, 1)]);
    for (number, name) in (0..).zip(&names) {
        bench.group(name, number % 3, &[("t", 0, 1)]);
    }
    let asked: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "t")).collect();
    bench.demand(&asked);
    bench.pairs(&names, "t", 2, (None, 1)).await;
    bench.ten_ticks().await;
    let connections: usize = bench.kafka.state().connections.values().sum();
    assert!(connections <= 4, "{connections}");
}

#[tokio::test]
async fn topics_that_nobody_asks_for_any_more_are_forgotten() {
    let mut bench = Bench::with(1, |timing| timing.layout_every = crate::bench::EVERY).await;
    bench.group("g", 0, &[]);
    for number in 0..20 {
        let name = format!("t{number}");
        bench.topic(&name, &[(0, 1)]);
        bench.demand(&[("g", &name)]);
        bench.pair("g", &name, 0, (None, 1)).await;
    }
    bench
        .until("all but the last topic to be forgotten", |p| {
            let group = p.groups.get("g")?;
            (p.topics.len() == 1 && group.topics.len() == 1).then_some(())
        })
        .await;
}
