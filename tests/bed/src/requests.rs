//! The requests that a broker has answered, by Kafka's own counters, whoever sent them.

use std::{collections::BTreeMap, process::Command};

use crate::{kafka::Kafka, parts};

const RATES: &str = "kafka.network:type=RequestMetrics,name=RequestsPerSec,request=*,version=*";
/// Requests of brokers and controllers to one another.
const INTERNAL: [&str; 8] = [
    "AllocateProducerIds",
    "BrokerHeartbeat",
    "BrokerRegistration",
    "Fetch",
    "FetchFollower",
    "FetchConsumer",
    "FetchSnapshot",
    "Vote",
];

/// Java's options of a JMX server on the loopback.
pub(crate) fn jmx(port: u16) -> Vec<String> {
    let options = [
        format!("port={port}"),
        format!("rmi.port={port}"),
        "host=127.0.0.1".into(),
        "authenticate=false".into(),
        "ssl=false".into(),
    ];
    let options = options.map(|option| format!("-Dcom.sun.management.jmxremote.{option}"));
    let mut options = options.to_vec();
    options.push("-Djava.rmi.server.hostname=127.0.0.1".into());
    options
}

impl Kafka {
    /// Requests of clients since the brokers started, by API; needs `counted`.
    pub async fn requests(&self) -> BTreeMap<String, f64> {
        let mut all = BTreeMap::new();
        for port in self.jmx_ports() {
            for (name, count) in counters(port).await {
                *all.entry(name).or_default() += count;
            }
        }
        all.retain(|name, _| !INTERNAL.contains(&name.as_str()));
        all
    }
}

/// Kafka's JmxTool once: a CSV head of object names, and a line of counts.
async fn counters(port: u16) -> Vec<(String, f64)> {
    let url = format!("service:jmx:rmi:///jndi/rmi://127.0.0.1:{port}/jmxrmi");
    let mut command = Command::new("java");
    command
        .args(["-XX:TieredStopAtLevel=1", "-cp", &parts::kafka_programs()])
        .args(["org.apache.kafka.tools.JmxTool", "--jmx-url", &url])
        .args(["--object-name", RATES, "--attributes", "Count"])
        .args(["--one-time", "--report-format", "properties"]);
    let output = tokio::process::Command::from(command).output().await;
    let output = output.expect("java runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let counts = text.lines().filter_map(counter).collect::<Vec<_>>();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!counts.is_empty(), "no counters: {text}{error}");
    counts
}

/// `...,request=Metadata,version=13:Count=17`.
fn counter(line: &str) -> Option<(String, f64)> {
    let (name, count) = line.rsplit_once(":Count=")?;
    let (_, request) = name.split_once("request=")?;
    let request = request.split(',').next()?;
    Some((request.to_owned(), count.trim().parse().ok()?))
}
