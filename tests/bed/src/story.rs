//! The story's objects and workload on a bed (`manifests/samples/story.yaml`), for the demo and for the comparison with KEDA.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{
    Bed, BedOptions, ControlPlaneOptions, Kafka, Observer, Pump, consumer, example, root, wait,
};

/// Where it plays.
pub const NAMESPACE: &str = "keda-kafka";
/// The topic.
pub const TOPIC: &str = "test-topic";
/// The group of the consumers.
pub const GROUP: &str = "test-consumer-group";
/// The partitions of the topic.
pub const PARTITIONS: i32 = 5;
/// The records of lag that a consumer is to have at most, as the ScaledObject says.
pub const THRESHOLD: i64 = 5;
const HPA: &str = "keda-hpa-kafka-scaledobject";
const PATIENCE: Duration = Duration::from_secs(120);

/// How fast things happen.
pub struct Times {
    /// Between two looks of the HPA controller.
    pub hpa_sync: Duration,
    /// The HPA controller's window before it scales down.
    pub stabilization: Duration,
    /// A consumer's work on a record.
    pub work: Duration,
    /// Records that the pump writes in a second.
    pub records_per_second: u32,
    /// Between two rows of a table of it.
    pub row: Duration,
    /// After which the story has failed.
    pub deadline: Duration,
}

impl Times {
    /// Starts a bed whose HPA controller has these times.
    pub async fn bed(&self) -> Bed {
        Bed::start(&BedOptions {
            control_plane: ControlPlaneOptions {
                hpa_sync: self.hpa_sync,
                stabilization: self.stabilization,
                ..ControlPlaneOptions::default()
            },
            ..BedOptions::default()
        })
        .await
    }
}

/// Minutes.
pub const QUICK: Times = Times {
    hpa_sync: Duration::from_secs(3),
    stabilization: Duration::from_secs(15),
    work: Duration::from_secs(2),
    records_per_second: 5,
    row: Duration::from_secs(2),
    deadline: Duration::from_secs(6 * 60),
};

/// The story's own times.
pub const REAL: Times = Times {
    hpa_sync: Duration::from_secs(15),
    stabilization: Duration::from_secs(5 * 60),
    work: Duration::from_secs(10),
    records_per_second: 1,
    row: Duration::from_secs(10),
    deadline: Duration::from_secs(45 * 60),
};

impl Bed {
    /// Makes the topic, the consumers and the story's objects, and returns once `kubectl get hpa` shows `0/5 (avg)`. `here` is a
    /// program of this build.
    pub async fn story(&self, here: &Path, times: &Times) -> Observer {
        self.kafka.create_topic(TOPIC, PARTITIONS).await;
        self.create_namespace(NAMESPACE).await;
        self.apply(&objects(&self.kafka)).await;
        self.apply(&[self.consumers(here, times)]).await;
        let observer = Observer::start(&self.client(), NAMESPACE, HPA, "consumer").await;
        wait::until("kubectl get hpa to show 0/5 (avg)", PATIENCE, async || {
            let target = self.story_target().await?;
            (target == "0/5 (avg)").then_some(()).ok_or(target)
        })
        .await;
        observer
    }

    /// The pump, ready to be asked for records.
    pub async fn story_pump(&self, here: &Path, times: &Times) -> Pump {
        let args = [
            format!("--topic={TOPIC}"),
            format!("--per-second={}", times.records_per_second),
        ];
        let log = self.dir().join("pump.log");
        Pump::start(&example(here, "pump"), &self.kafka, &args, &log).await
    }

    /// The TARGETS column of `kubectl get hpa`.
    ///
    /// # Errors
    /// kubectl's.
    pub async fn story_target(&self) -> Result<String, String> {
        let args = ["get", "hpa", "-n", NAMESPACE, HPA, "--no-headers"];
        let line = self.control_plane.kubectl(&args).await?;
        let words: Vec<&str> = line.split_whitespace().collect();
        Ok(words.get(2..4).unwrap_or_default().join(" "))
    }

    fn consumers(&self, here: &Path, times: &Times) -> Value {
        let args = [
            format!("--topic={TOPIC}"),
            format!("--group={GROUP}"),
            format!("--work-ms={}", times.work.as_millis()),
        ];
        let program = example(here, "consumer");
        let container = consumer(&program, &self.kafka, "keda-kafka-secrets", &args);
        let labels = json!({"app": "consumer"});
        // No replicas: they are the HPA's.
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "consumer", "namespace": NAMESPACE},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        })
    }
}

/// The story's YAML with the local values put in.
fn objects(kafka: &Kafka) -> Vec<Value> {
    let path = root().join("manifests/samples/story.yaml");
    let text = fs::read_to_string(path).expect("the story's objects");
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    for object in &mut objects {
        if object["kind"] == "Secret" {
            let values = &mut object["stringData"];
            values["username"] = Kafka::USER.into();
            values["password"] = Kafka::PASSWORD.into();
            values["ca"] = kafka.ca.pem.as_str().into();
        } else if object["kind"] == "ScaledObject" {
            let metadata = &mut object["spec"]["triggers"][0]["metadata"];
            metadata["bootstrapServers"] = kafka.bootstrap().into();
        }
    }
    objects
}
