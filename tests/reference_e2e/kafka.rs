//! Rows with steps: topics, a group, and what the workload is to have after each publication.

use std::time::Duration;

use bed::{Observer, wait};
use serde_json::{Value, json};

use crate::{
    scene::Scene,
    world::{PATIENCE, World},
};

/// One row under way.
struct Row<'a> {
    scene: Scene<'a>,
    observer: Observer,
    /// Names, and how much each partition holds.
    topics: Vec<(String, Vec<i64>)>,
    /// A consumer that commits everything at once runs.
    consuming: bool,
    excludes: bool,
    /// Where lagscale's `/metrics` is.
    plain: String,
}

pub async fn play(world: &World, row: &Value, kind: &str) {
    let scene = Scene::new(&world.bed, "row").await;
    let trigger = &row["trigger"];
    let text = |key: &str| trigger[key].as_str().unwrap_or_default().to_owned();
    let written = text(if kind == "kafka" {
        "topic_kafka"
    } else {
        "topic_apache"
    });
    let count = |text: &str| {
        text.chars()
            .next()
            .and_then(|c| c.to_digit(10))
            .unwrap_or(1)
    };
    let partitions = if text("topic").is_empty() {
        1
    } else {
        count(&text("topic"))
    };
    let names: Vec<&str> = if text("topic").is_empty() {
        vec!["topic1", "topic2"]
    } else {
        vec!["t"]
    };
    let mut topics = Vec::new();
    for name in names {
        let topic = scene.topic(name, i32::try_from(partitions).unwrap()).await;
        let mut ends = vec![0; partitions as usize];
        if text("topic").contains("at least one message") {
            scene.bed.kafka.produce(&topic, 0, 1).await;
            ends[0] = 1;
        }
        topics.push((topic, ends));
    }
    let never = ["never commits", "no commit"].contains(&text("group").as_str());
    let list: Vec<&str> = topics.iter().map(|(t, _)| t.as_str()).collect();
    // Without a topic all of the group's are meant, which the reference has for `kafka` only.
    let topic = if written.starts_with("absent") {
        String::new()
    } else {
        list.join(",")
    };
    scene.idle("app", 0).await;
    let mut row_under_way = Row {
        observer: scene.observe("app").await,
        scene,
        topics,
        consuming: false,
        excludes: trigger["excludePersistentLag"] == true,
        plain: world.lagscale.plain.to_string(),
    };
    if !never {
        row_under_way.commit_all().await;
    }
    row_under_way.apply(trigger, kind, &topic).await;
    for step in row["steps"].as_array().into_iter().flatten() {
        row_under_way.step(step).await;
    }
}

impl Row<'_> {
    async fn apply(&self, row: &Value, kind: &str, topic: &str) {
        let mut metadata = json!({"lagThreshold": "1", "topic": topic});
        for key in [
            "offsetResetPolicy",
            "activationLagThreshold",
            "scaleToZeroOnInvalidOffset",
            "limitToPartitionsWithLag",
            "excludePersistentLag",
        ] {
            match &row[key] {
                Value::Null => {}
                Value::String(text) => metadata[key] = text.as_str().into(),
                other => metadata[key] = other.to_string().into(),
            }
        }
        let mut trigger = self.scene.trigger(topic, &self.scene.namespace, &metadata);
        trigger["type"] = kind.into();
        let spec = json!({"minReplicaCount": 0, "cooldownPeriod": 0, "pollingInterval": 2});
        self.scene.scaled_object("app", &[trigger], &spec).await;
        self.scene.condition("app", "Ready", "True", "").await;
    }

    async fn commit_all(&self) {
        for (topic, ends) in &self.topics {
            let offsets: Vec<(i32, i64)> = (0..).zip(ends.iter().copied()).collect();
            let group = &self.scene.namespace;
            self.scene.bed.kafka.commit(group, topic, &offsets).await;
        }
    }

    async fn publish(&mut self, count: usize, step: &Value) {
        let place = usize::from(step["to"] == "topic2");
        let (topic, ends) = &mut self.topics[place];
        let partition = usize::from(step["key"] == "k2") % ends.len();
        let id = i32::try_from(partition).unwrap();
        self.scene.bed.kafka.produce(topic, id, count).await;
        ends[partition] += i64::try_from(count).unwrap();
        if self.consuming {
            self.commit_all().await;
        }
    }

    async fn step(&mut self, step: &Value) {
        if let Some(count) = step["publish"].as_u64() {
            return self.publish(usize::try_from(count).unwrap(), step).await;
        }
        if step["consume-and-commit"].is_string() {
            self.consuming = true;
            return self.commit_all().await;
        }
        if step["switch-consumer-to-other-group"] == true {
            // It had done what there was.
            self.commit_all().await;
            return;
        }
        let number = |key: &str| step[key].as_i64().map(|n| i32::try_from(n).unwrap());
        if let Some(replicas) = number("reach") {
            return self.scene.reaches(&self.observer, replicas).await;
        }
        let replicas = number("hold").unwrap_or_else(|| panic!("a step that is not known: {step}"));
        let seconds = step["s"].as_u64().unwrap_or(30);
        if self.excludes {
            self.excluded(replicas).await;
        }
        let span = Duration::from_secs(seconds / 3);
        self.scene.keeps(&self.observer, replicas, span).await;
    }

    /// docs/departures.md: a lag counts for one polling interval before it is persistent, and what it scaled goes again.
    async fn excluded(&self, replicas: i32) {
        eprintln!("departs: persistent lag: it counts for one pollingInterval, then no more");
        // A value of 0 may be from before there was a lag.
        wait::until("what was published to be read", PATIENCE, async || {
            let (_, text) = bed::get(&self.plain, "/metrics").await;
            let lines: Vec<&str> = text
                .lines()
                .filter(|l| l.starts_with("lagscale_topic_log_end_offset_sum{"))
                .collect();
            let is_read = |(topic, ends): &(String, Vec<i64>)| {
                let (label, end) = (format!("topic=\"{topic}\""), ends.iter().sum::<i64>());
                let mut of_topic = lines.iter().filter(|l| l.contains(&label));
                of_topic.any(|l| l.ends_with(&format!(" {end}")))
            };
            let missing = self.topics.iter().find(|topic| !is_read(topic));
            missing.map_or(Ok(()), |(topic, ends)| Err(format!("{topic} {ends:?}")))
        })
        .await;
        // The HPA's own word may be from before, too.
        let hpa = self.scene.hpa("app").await.and_then(|h| h.spec?.metrics);
        let external = hpa.into_iter().flatten().filter_map(|m| m.external);
        for external in external {
            let metric = external.metric.name;
            self.scene.value_is("app", &metric, "0").await;
        }
        // The HPA itself has to have seen that: until then it may still act on the lag.
        let wanted = Some(replicas);
        wait::until("the HPA to leave the lag out", PATIENCE, async || {
            let status = self.scene.hpa("app").await.and_then(|h| h.status);
            let seen = status.map(|s| (s.current_replicas, s.desired_replicas, s.current_metrics));
            let Some((current, desired, Some(metrics))) = seen else {
                return Err(format!("{seen:?}"));
            };
            let zero = metrics.iter().filter_map(|m| m.external.as_ref()).all(|m| {
                let value = m.current.average_value.as_ref();
                value.is_some_and(|v| v.0 == "0")
            });
            if zero && current == wanted && desired == replicas {
                return Ok(());
            }
            Err(format!(
                "{current:?} replicas, {desired} desired, {metrics:?}"
            ))
        })
        .await;
        self.scene.reaches(&self.observer, replicas).await;
    }
}
