//! The sample workload on a bed: the pump as a process, the consumer as a container, and how many consumers are busy.

use std::{path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::{Bed, Child, Kafka, http, wait};

const PATIENCE: Duration = Duration::from_secs(60);

/// A container that runs the consumer; its credential is the Secret `secret` of its namespace.
pub fn consumer(program: &Path, kafka: &Kafka, secret: &str, args: &[String]) -> Value {
    let from = |key: &str| json!({"secretKeyRef": {"name": secret, "key": key}});
    let mut command = vec![program.display().to_string()];
    command.extend_from_slice(args);
    json!({
        "name": "consumer", "image": "consumer", "command": command,
        "env": [
            {"name": "KAFKA_BOOTSTRAP_SERVERS", "value": kafka.bootstrap()},
            {"name": "KAFKA_USERNAME", "valueFrom": from("username")},
            {"name": "KAFKA_PASSWORD", "valueFrom": from("password")},
            {"name": "KAFKA_CA", "valueFrom": from("ca")},
        ],
    })
}

/// A running pump.
pub struct Pump {
    child: Child,
    /// `host:port`.
    pub address: String,
}

impl Pump {
    /// Starts `program` and waits until it says where it listens.
    pub async fn start(program: &Path, kafka: &Kafka, args: &[String], log: &Path) -> Self {
        let mut command = Command::new(program);
        command
            .arg("--listen=127.0.0.1:0")
            .args(args)
            .env("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap())
            .env("KAFKA_USERNAME", Kafka::USER)
            .env("KAFKA_PASSWORD", Kafka::PASSWORD)
            .env("KAFKA_CA", &kafka.ca.pem);
        let mut child = Child::spawn("pump", &mut command, log);
        let address = wait::until("the pump to listen", PATIENCE, async || {
            child.must_live();
            let said = child.output();
            let address = said.lines().find_map(|l| l.strip_prefix("listening on "));
            address.map(str::to_owned).ok_or_else(|| said.clone())
        })
        .await;
        Self { child, address }
    }

    /// `GET /pump?count=...`: code and body.
    pub async fn pump(&mut self, count: &str) -> (u16, String) {
        self.child.must_live();
        http::get(&self.address, &format!("/pump?count={count}")).await
    }
}

/// The partitions of each consumer of a namespace whose last word is that it has some, such as `[0, 3]`.
pub fn busy(bed: &Bed, namespace: &str) -> Vec<String> {
    let partitions = |text: String| {
        let said = |l: &&str| l.starts_with("assigned") || *l == "left" || *l == "fenced";
        let word = text.lines().rev().find(said)?;
        let (_, list) = word.strip_prefix("assigned ")?.split_once('[')?;
        (list != "]").then(|| format!("[{list}"))
    };
    let mut busy: Vec<_> = logs(bed, namespace).filter_map(partitions).collect();
    busy.sort();
    busy
}

/// How often the consumers of a namespace were given other partitions, all together.
pub fn rebalances(bed: &Bed, namespace: &str) -> usize {
    let given = |text: String| text.lines().filter(|l| l.starts_with("assigned")).count();
    logs(bed, namespace).map(given).sum()
}

/// The logs of the pods of a namespace, also of those that are gone.
fn logs(bed: &Bed, namespace: &str) -> impl Iterator<Item = String> {
    let prefix = format!("{namespace}_");
    let logs = std::fs::read_dir(bed.pod_logs()).into_iter().flatten();
    let ours = logs
        .flatten()
        .filter(move |l| l.file_name().to_string_lossy().starts_with(&prefix));
    ours.filter_map(|l| std::fs::read_to_string(l.path()).ok())
}
