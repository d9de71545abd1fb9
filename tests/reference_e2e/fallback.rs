//! Rows whose source dies: a Kafka of their own, whose broker is killed and comes back.

use std::time::Duration;

use bed::{Kafka, KafkaOptions, Observer};
use serde_json::{Value, json};

use crate::{Code, core::PARTITIONS, scene::Scene, world::World};

const HOLD: Duration = Duration::from_secs(10);

pub fn code(id: &str) -> Vec<(&'static str, Code)> {
    match id {
        "c-fallback-static" => vec![
            ("AverageValue", |w, r| {
                Box::pin(comes_back(w, r, "AverageValue"))
            }),
            ("Value", |w, r| Box::pin(comes_back(w, r, "Value"))),
        ],
        // From 4 replicas.
        "c-fallback-ifhigher" => vec![
            ("metricType set", |w, r| {
                Box::pin(falls_to(w, r, Some("AverageValue"), 4))
            }),
            ("metricType absent", |w, r| {
                Box::pin(falls_to(w, r, None, 4))
            }),
        ],
        "c-fallback-iflower" | "c-fallback-plain" => {
            vec![("", |w, r| Box::pin(falls_to(w, r, None, 3)))]
        }
        "c-fallback-current" => vec![("", |w, r| Box::pin(falls_to(w, r, None, 4)))],
        _ => Vec::new(),
    }
}

struct Mortal<'a> {
    scene: Scene<'a>,
    observer: Observer,
    kafka: Kafka,
}

impl<'a> Mortal<'a> {
    async fn new(world: &'a World, row: &Value, metric: i64, metric_type: Option<&str>) -> Self {
        let scene = Scene::new(&world.bed, "mortal").await;
        let kafka = Kafka::start(world.bed.dir(), &scene.namespace, &KafkaOptions::default()).await;
        scene.credentials("mortal", &kafka, Kafka::PASSWORD).await;
        kafka.create_topic("t", PARTITIONS).await;
        for partition in 0..PARTITIONS {
            kafka.produce("t", partition, 10).await;
        }
        let each = metric / i64::from(PARTITIONS);
        let offsets: Vec<(i32, i64)> = (0..PARTITIONS).map(|p| (p, 10 - each)).collect();
        kafka.commit("g", "t", &offsets).await;
        scene.idle("app", 1).await;
        let observer = scene.observe("app").await;
        let metadata = json!({
            "bootstrapServers": kafka.bootstrap(), "lagThreshold": row["target"].to_string(),
        });
        let mut trigger = scene.trigger("t", "g", &metadata);
        trigger["authenticationRef"]["name"] = "mortal".into();
        if let Some(metric_type) = metric_type {
            trigger["metricType"] = metric_type.into();
        }
        let mut fallback = row["fallback"].clone();
        if fallback["behavior"] == "absent" {
            fallback.as_object_mut().unwrap().remove("behavior");
        }
        let spec = json!({
            "minReplicaCount": row["min"].as_i64().unwrap_or(0),
            "maxReplicaCount": row["max"].as_i64().unwrap_or(10),
            "pollingInterval": 2, "fallback": fallback,
        });
        scene.scaled_object("app", &[trigger], &spec).await;
        Self {
            scene,
            observer,
            kafka,
        }
    }

    async fn reaches(&self, replicas: i32) {
        self.scene.reaches(&self.observer, replicas).await;
    }

    async fn holds(&self, replicas: i32) {
        self.scene.keeps(&self.observer, replicas, HOLD).await;
    }
}

async fn comes_back(world: &World, row: &Value, metric_type: &str) {
    let mut app = Mortal::new(world, row, 50, Some(metric_type)).await;
    app.reaches(5).await;
    app.kafka.kill(0);
    app.reaches(3).await;
    app.holds(3).await;
    app.kafka.restart(0).await;
    app.reaches(5).await;
}

async fn falls_to(world: &World, row: &Value, metric_type: Option<&str>, replicas: i32) {
    let mut app = Mortal::new(world, row, 20, metric_type).await;
    app.reaches(4).await;
    app.kafka.kill(0);
    app.scene.condition("app", "Fallback", "True", "").await;
    app.reaches(replicas).await;
    app.holds(replicas).await;
}
