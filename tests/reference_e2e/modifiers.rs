//! Rows about formulas: named triggers with a value each, or none to be had, and the replicas that come of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{scene::Scene, world::World};

const PARTITIONS: i32 = 10;

pub async fn play(world: &World, row: &Value) {
    let scene = Scene::new(&world.bed, "formula").await;
    let topic = scene.filled_topic("t", PARTITIONS, 10).await;
    scene.idle("app", 1).await;
    let observer = scene.observe("app").await;
    let mut triggers = Vec::new();
    for (source, value) in row["triggers"].as_object().into_iter().flatten() {
        // As the formulas call them.
        let name = match source.as_str() {
            "api" => "metrics_api",
            "wl" => "kw_trig",
            other => other,
        };
        let mut more = json!({});
        match value.as_i64() {
            Some(lag) => scene.commit_lag(name, &topic, PARTITIONS, 10, lag).await,
            // Nobody listens there.
            None => more["bootstrapServers"] = "127.0.0.1:9".into(),
        }
        let mut trigger = scene.trigger(&topic, name, &more);
        trigger["name"] = name.into();
        triggers.push(trigger);
    }
    let formula = row["formula"].as_str().unwrap_or("metrics_api + kw_trig");
    // Told in words in the row.
    let formula = match formula.strip_prefix("count of values above 1 is above 1") {
        Some(rest) => format!("count([metrics_api, kw_trig], {{# > 1}}) > 1{rest}"),
        None => formula.to_owned(),
    };
    let target = row["target"].as_f64().unwrap_or(2.0);
    let mut modifiers = json!({"formula": formula, "target": target.to_string()});
    if !row["activationTarget"].is_null() {
        modifiers["activationTarget"] = row["activationTarget"].to_string().into();
    }
    let mut spec = json!({
        "minReplicaCount": 0, "maxReplicaCount": 10, "cooldownPeriod": 0, "pollingInterval": 2,
        "advanced": {"scalingModifiers": modifiers},
    });
    if row["fallback"].is_object() {
        spec["fallback"] = row["fallback"].clone();
    }
    scene.scaled_object("app", &triggers, &spec).await;
    let replicas = i32::try_from(row["expect"]["replicas"].as_i64().unwrap()).unwrap();
    scene.reaches(&observer, replicas).await;
    scene
        .keeps(&observer, replicas, Duration::from_secs(10))
        .await;
}
