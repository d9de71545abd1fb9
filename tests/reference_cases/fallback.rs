//! Rows about what is served while nothing can be read.

use fixture::Bench;
use serde_json::json;

use crate::{Outcome, Row};

/// An object of a row, with the failures its status tells.
fn object(row: &Row) -> Bench {
    let threshold = row["target"].as_i64().unwrap_or(10).to_string();
    let mut spec = json!({});
    if row["fallback"].is_object() {
        spec["fallback"] = row["fallback"].clone();
    }
    if row["scalingModifiers"].is_object() {
        spec["advanced"]["scalingModifiers"] = row["scalingModifiers"].clone();
        spec["advanced"]["scalingModifiers"]["formula"] = "trigger".into();
    }
    let metadata = json!({"lagThreshold": threshold});
    let mut bench = Bench::of(
        &spec,
        &metadata,
        row["targetType"].as_str().unwrap_or_default(),
    );
    let mut object = (*bench.plan.object).clone();
    let failures = row["failures"].as_i64().unwrap_or(0);
    let status =
        json!({"health": {"s0-kafka-t": {"numberOfFailures": failures, "status": "Failing"}}});
    object.status = serde_json::from_value(status).unwrap();
    bench.plan.object = object.into();
    bench
}

pub fn fallback_metric(row: &Row) -> Outcome {
    let mut bench = object(row);
    bench.read(&[(0, row["query"]["value"].as_i64().unwrap_or(0))]);
    bench.follow();
    let count = |key: &str| row[key].as_i64().map(|r| i32::try_from(r).unwrap());
    bench.replicas = count("currentReplicas");
    bench.ready = count("readyReplicas");
    let read = row["query"]["value"].is_i64();
    if !read && !row["query"].is_object() && row["query"] != *"error" {
        return Err(format!("query: {}", *row["query"]));
    }
    // The reading is asked about while it is fresh, or long after.
    bench = again(bench, row);
    bench.after(if read { 0 } else { 60 });
    let evaluation = bench.evaluate();
    let metric = &evaluation.metrics[0];
    let expected = &row["expect"];
    if let Some(error) = expected["error"].as_str() {
        let composite = evaluation.composite.as_ref();
        let served =
            composite.map_or_else(|| metric.value.as_ref().err(), |c| c.value.as_ref().err());
        let said = served.ok_or("something is served")?;
        let told =
            error == "passed-on" || row["query"]["error"] == error || said.text.contains(error);
        if !told || metric.fallback.is_some() {
            return Err(format!(
                "expected {error}, found {said:?} and {:?}",
                metric.fallback
            ));
        }
    }
    if let Some(condition) = expected["FallbackCondition"].as_str() {
        let found = if evaluation.falls_back() {
            "True"
        } else {
            "False"
        };
        if found != condition {
            return Err(format!("Fallback: expected {condition}, found {found}"));
        }
    }
    let value = metric
        .fallback
        .map(|milli| milli / 1000)
        .or_else(|| metric.value.as_ref().ok().map(|v| v.lag));
    if expected["value"].as_i64() != value {
        return Err(format!("expected {}, found {value:?}", **expected));
    }
    let status = match metric.failures {
        Some(0) => "Happy",
        Some(_) => "Failing",
        // Nothing is counted without a fallback, and what the status told before stands.
        None if row["failures"].as_i64().unwrap_or(0) > 0 => "Failing",
        None => "Happy",
    };
    if expected["status"].as_str().is_some_and(|s| s != status) {
        return Err(format!(
            "status: expected {}, found {status}",
            *expected["status"]
        ));
    }
    // Without a fallback nothing is counted; of more failures than the threshold one more is told.
    let told = metric.failures.map(i64::from);
    let threshold = row["fallback"]["failureThreshold"].as_i64();
    let wanted = expected["failures"]
        .as_i64()
        .filter(|_| threshold.is_some());
    match (wanted, told) {
        (Some(wanted), Some(told)) if told.min(1) != wanted.min(1) => {
            Err(format!("failures: expected {wanted}, found {told}"))
        }
        _ => Ok(()),
    }
}

/// An object of which nothing is remembered but what its status tells.
fn again(bench: Bench, row: &Row) -> Bench {
    let mut fresh = object(row);
    fresh.snapshot = bench.snapshot;
    fresh.live = bench.live;
    fresh.replicas = bench.replicas;
    fresh.ready = bench.ready;
    fresh.now = bench.now;
    fresh
}

/// Nothing can be asked at all: it falls back once the threshold is passed.
pub fn outage() -> Outcome {
    let row = json!({"fallback": {"failureThreshold": 3, "replicas": 6}, "target": 10});
    let mut bench = object(&row.into());
    bench.read(&[(0, 1)]);
    bench.follow();
    bench.after(60);
    for number in 1..=4 {
        let found = bench.evaluate().metrics[0].fallback;
        let wanted = (number > 3).then_some(60_000);
        if found != wanted {
            return Err(format!(
                "failure {number}: expected {wanted:?}, found {found:?}"
            ));
        }
        bench.after(5);
    }
    Ok(())
}
