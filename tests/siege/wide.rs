//! A cluster of somebody's that claims more partitions than are read: ten thousand topics of ten partitions, which each of five groups
//! takes by a pattern.

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
const GROUPS: i32 = 5;
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
    let namespace = bed.namespace("wide").await;
    let bootstrap = format!("127.0.0.1:{}", kafka.state().ports[0]);
    for nth in 0..GROUPS {
        let name = format!("wide{nth}");
        kafka.group(&name, nth % BROKERS, &[("wide-00000", 0, 900)]);
        let metadata = json!({
            "bootstrapServers": bootstrap, "consumerGroup": name, "topics": "wide-.*", "lagThreshold": "5",
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
