//! Ticks against three real brokers: the bed's Kafka. They are measured from the first commits that came in to the
//! snapshot, and so are its gaps: upper bounds of what the brokers saw. Requests and bytes are not counted there.

use std::{collections::HashMap, sync::Arc, time::Instant};

use bed::{Kafka, KafkaOptions};
use futures::future::join_all;
use lagscale::{
    kafka::{Address, Security},
    poll::{Manager, Timing},
    snapshot::ClusterKey,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::case::{as_f64, cpu_s, demand, read, rounded, rss_mb, tick};

const BROKERS: usize = 3;
const GROUPS: usize = 1_000;
const TOPICS: usize = 20;
const PARTITIONS: i32 = 10;
const TICKS: usize = 10;

fn topic(number: usize) -> String {
    format!("orders-{}", number % TOPICS)
}

pub fn run() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("{}", runtime.block_on(measure()));
}

async fn seeded(dir: &std::path::Path) -> Kafka {
    let options = KafkaOptions {
        brokers: BROKERS,
        ..KafkaOptions::default()
    };
    let kafka = Kafka::start(dir, "bench", &options).await;
    for number in 0..TOPICS {
        kafka.create_topic(&topic(number), PARTITIONS).await;
    }
    let commits: Vec<(i32, i64)> = (0..PARTITIONS).map(|id| (id, 0)).collect();
    for first in (0..GROUPS).step_by(20) {
        let some = (first..first + 20).map(|number| {
            let (kafka, commits) = (&kafka, &commits);
            async move {
                let group = format!("group-{number}");
                kafka.commit(&group, &topic(number), commits).await;
            }
        });
        join_all(some).await;
    }
    kafka
}

async fn measure() -> Value {
    let dir = std::env::temp_dir().join(format!("lagscale-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let kafka = seeded(&dir).await;
    let (sender, mut snapshots) = mpsc::unbounded_channel();
    let mut manager = Manager::new(Timing::default(), sender);
    let security = Security::default();
    let addresses = kafka.plaintext_bootstrap();
    let addresses = addresses.split(',').map(|a| a.parse::<Address>().unwrap());
    let key = ClusterKey {
        bootstrap: addresses.collect(),
        fingerprint: security.fingerprint(),
    };
    for number in 0..GROUPS {
        let group: Arc<str> = format!("group-{number}").into();
        let demand = demand(&topic(number), GROUPS);
        manager.ask("", &key, &group, demand, &security, None);
    }
    let pairs = GROUPS * usize::try_from(PARTITIONS).unwrap();
    let mut held = HashMap::new();
    read(&mut snapshots, &mut held, pairs).await;
    tick(&mut snapshots, &mut held, 1).await;
    let (cpu, mut ticks, mut gaps) = (cpu_s(), Vec::new(), Vec::new());
    for _ in 0..TICKS {
        tick(&mut snapshots, &mut held, 1).await;
        let now = Instant::now();
        let reads = held[&key].groups.values().filter_map(|g| Some(g.read?.at));
        let mut ages: Vec<f64> = reads.map(|at| (now - at).as_secs_f64()).collect();
        ages.sort_by(f64::total_cmp);
        ticks.extend(ages.last());
        gaps.append(&mut ages);
    }
    let cpu = (cpu_s() - cpu) / as_f64(TICKS);
    ticks.sort_by(f64::total_cmp);
    gaps.sort_by(f64::total_cmp);
    drop(kafka);
    let _ = std::fs::remove_dir_all(&dir);
    let ms = |share: usize| (gaps[(gaps.len() - 1) * share / 100] * 1_000.0).round();
    json!({
        "bench": "poll", "groups": GROUPS, "pairs": pairs, "brokers": BROKERS, "real": true,
        "credentials": 1, "tick_s": rounded(ticks[TICKS / 2]), "tick_max_s": rounded(ticks[TICKS - 1]),
        "gap_p50_ms": ms(50), "gap_p99_ms": ms(99), "requests_per_broker": null,
        "bytes_in": null, "bytes_out": null, "cpu_s": rounded(cpu), "rss_mb": rss_mb(),
    })
}
