//! The fake cluster as Kafka's own Java client sees it: what that reads is what the fake was told. Needs Java and the bed's
//! Kafka, so it is `make test`'s and not `make quick`'s.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code without #[test]"
)]

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use bed::parts;
use fake_kafka::{
    FakeKafka,
    profile::{EVENT_HUBS, KAFKA_2_1, KAFKA_2_8, KAFKA_3_9, KAFKA_4, REDPANDA_2024, REDPANDA_2025},
};

const LOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake_checked/Look.java");

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_own_client_reads_every_kind_of_fake_as_it_was_told() {
    let profiles = [
        &KAFKA_2_1,
        &KAFKA_2_8,
        &KAFKA_3_9,
        &KAFKA_4,
        &REDPANDA_2024,
        &REDPANDA_2025,
        &EVENT_HUBS,
    ];
    let mut fakes = Vec::new();
    for profile in profiles {
        let kafka = FakeKafka::start(3).await;
        kafka.state().profile = profile;
        kafka.topic("orders", &[(0, 10), (1, 20), (2, 30)]);
        kafka.topic("clicks", &[(2, 7)]);
        let commits = [("orders", 0, 4), ("orders", 2, 30), ("clicks", 0, 0)];
        kafka.group("g", 1, &commits);
        kafka.group("h", 1, &[("orders", 1, 19)]);
        fakes.push((profile.name, kafka));
    }
    let ports = fakes.iter().map(|(_, f)| f.state().ports[0].to_string());
    let ports: Vec<String> = ports.collect();
    let mut java = Command::new("java");
    java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
        .arg(parts::kafka(parts::KAFKA))
        .arg(LOOK)
        .args(&ports)
        .stdin(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || java.output()).await;
    let output = ended.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    for ((name, fake), port) in fakes.iter().zip(&ports) {
        let rows = text
            .lines()
            .filter_map(|l| l.strip_prefix(&format!("{port} ")));
        let told = [
            "g orders-0 4 10",
            "g orders-2 30 30",
            "g clicks-0 0 7",
            "h orders-1 19 20",
        ];
        let rows: BTreeSet<&str> = rows.collect();
        assert_eq!(rows, told.into(), "{name}: {complaint}");
        assert_eq!(fake.state().violations, Vec::<String>::new(), "{name}");
    }
}
