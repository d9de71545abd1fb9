//! A cluster of somebody's that claims more partitions than are read: ten thousand topics of ten partitions, which each of five groups
//! takes by a pattern, and of which a group in each of three namespaces takes as many as a namespace may have.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bed::Bed;
use fake_kafka::FakeKafka;
use serde_json::json;
use tokio::time::sleep;

use crate::strangers::{Count, ended};

const TOPICS: i32 = 10_000;
const PARTITIONS: i32 = 10;
/// Groups of one namespace that take all, and groups of others.
const GREEDY: usize = 5;
const MODEST: usize = 3;
const BROKERS: i32 = 3;

/// Starts it, and makes an object for each group.
pub async fn begin(bed: &Bed, stop: &Arc<AtomicBool>) -> Count {
    let count = Count::of("seconds in which a cluster of half a million pairs was read");
    let kafka = FakeKafka::start(BROKERS).await;
    kafka.state().log = None;
    for topic in 0..TOPICS {
        let leaders = (0..PARTITIONS).map(|id| ((topic + id) % BROKERS, 1_000));
        kafka.topic(&format!("wide-{topic:05}"), &leaders.collect::<Vec<_>>());
    }
    let ports = kafka.state().ports.clone();
    let address = |nth: usize| format!("127.0.0.1:{}", ports[nth % ports.len()]);
    let namespace = bed.namespace("wide").await;
    let all = format!("{},{}", address(0), address(1));
    let greedy = (0..GREEDY).map(|n| {
        (
            format!("wide{n}"),
            namespace.clone(),
            all.clone(),
            "wide-.*",
        )
    });
    let mut groups: Vec<_> = greedy.collect();
    for nth in 0..MODEST {
        let namespace = bed.namespace("broad").await;
        // A cluster of its own to lagscale, by another list of brokers; and 3 000 topics of 10.
        let bootstrap = format!("{},{}", address(nth), address(nth + 2));
        groups.push((format!("broad{nth}"), namespace, bootstrap, "wide-0[0-2].*"));
    }
    for ((name, namespace, bootstrap, topics), nth) in groups.into_iter().zip(0..) {
        kafka.group(&name, nth % BROKERS, &[("wide-00000", 0, 900)]);
        let metadata = json!({
            "bootstrapServers": bootstrap, "consumerGroup": name, "topics": topics, "lagThreshold": "5",
        });
        bed.apply(&[json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "scaleTargetRef": {"name": name}, "pollingInterval": 1,
                "triggers": [{"type": "kafka", "metadata": metadata}],
            },
        })])
        .await;
    }
    let (stop, counted) = (stop.clone(), count.clone());
    tokio::spawn(async move {
        while !ended(&stop) {
            sleep(Duration::from_secs(1)).await;
            let asked = std::mem::take(&mut kafka.state().counts).requests;
            if asked.values().sum::<usize>() > 0 {
                counted.add();
            }
        }
    });
    count
}
