//! The story: true consumers, a true pump, and as many consumers as there are partitions, never one more.

use std::{path::Path, process::Command};

use bed::{Bed, Child, Kafka, wait};
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World, example},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("the story: records that come slowly scale 5 partitions to 5 consumers and back to 1", slowly),
        shared.trial("a burst of 100 records drains through 29 without ever asking for a sixth consumer", burst),
    ]
}

/// A pump in front of a topic.
pub struct Pump {
    child: Child,
    address: String,
}

impl Pump {
    /// Starts the example and waits until it says where it listens.
    pub async fn start(bed: &Bed, topic: &str, per_second: u32, log: &Path) -> Self {
        let mut command = Command::new(example("pump"));
        command
            .args(["--listen=127.0.0.1:0", &format!("--topic={topic}"), &format!("--per-second={per_second}")])
            .env("KAFKA_BOOTSTRAP_SERVERS", bed.kafka.bootstrap())
            .env("KAFKA_USERNAME", Kafka::USER)
            .env("KAFKA_PASSWORD", Kafka::PASSWORD)
            .env("KAFKA_CA", &bed.kafka.ca.pem);
        let mut child = Child::spawn("pump", &mut command, log);
        let address = wait::until("the pump to listen", PATIENCE, async || {
            child.must_live();
            let said = child.output();
            let address = said.lines().find_map(|l| l.strip_prefix("listening on "));
            address.map(str::to_owned).ok_or(said.clone())
        })
        .await;
        Self { child, address }
    }

    /// `GET /pump?count=...`: code and body.
    pub async fn pump(&mut self, count: &str) -> (u16, String) {
        self.child.must_live();
        bed::get(&self.address, &format!("/pump?count={count}")).await
    }
}

async fn slowly(world: &World) {
    play(world, "slowly", 5, 1500).await;
}

async fn burst(world: &World) {
    play(world, "burst", 1000, 1000).await;
}

async fn play(world: &World, name: &str, per_second: u32, work_ms: u64) {
    let bed = &world.bed;
    let scene = Scene::new(bed, name).await;
    let topic = scene.topic("t", 5).await;
    scene.consumers("consumer", &topic, name, work_ms).await;
    let observer = scene.observe("consumer");
    scene.scaled_object("consumer", &[scene.trigger(&topic, name, &json!({}))], &json!({"pollingInterval": 30})).await;
    let metric = format!("s0-kafka-{topic}");
    // The consumer commits where it starts, so the story begins at nought and not at one per partition.
    scene.value_is("consumer", &metric, "0").await;
    wait::until("kubectl get hpa to begin the story", PATIENCE, async || {
        let args = ["get", "hpa", "-n", &scene.namespace, "keda-hpa-consumer", "--no-headers"];
        let line = bed.control_plane.kubectl(&args).await?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let wanted = ["keda-hpa-consumer", "Deployment/consumer", "0/5", "(avg)", "1", "5", "1"];
        if words.starts_with(&wanted) { Ok(()) } else { Err(line) }
    })
    .await;
    let log = bed.dir().join(format!("pump-{name}.log"));
    let mut pump = Pump::start(bed, &topic, per_second, &log).await;
    for wrong in ["0", "-1", "many", ""] {
        let (code, said) = pump.pump(wrong).await;
        assert_eq!(code, 400, "{said}");
        assert!(said.contains("whole number"), "{said}");
    }
    assert_eq!(pump.pump("100").await, (200, "request submitted: count=100".into()));
    scene.reaches(&observer, 5).await;
    wait::until("every consumer to have one partition", PATIENCE, async || {
        let busy = busy(bed, &scene.namespace);
        if busy == 5 { Ok(()) } else { Err(busy) }
    })
    .await;
    scene.value_is("consumer", &metric, "0").await;
    scene.reaches(&observer, 1).await;
    assert_eq!(observer.highest(), 5, "{:?}", observer.history());
}

/// Pods of a namespace whose last word is that they have partitions.
fn busy(bed: &Bed, namespace: &str) -> usize {
    let logs = std::fs::read_dir(bed.pod_logs()).unwrap().flatten();
    let ours = logs.filter(|l| l.file_name().to_string_lossy().starts_with(&format!("{namespace}_")));
    let texts = ours.filter_map(|l| std::fs::read_to_string(l.path()).ok());
    texts
        .filter(|text| {
            let said = |l: &&str| l.starts_with("assigned") || *l == "left";
            let last = text.lines().rev().find(said);
            last.is_some_and(|l| l.starts_with("assigned") && !l.ends_with("[]"))
        })
        .count()
}
