//! Rows about what is served while nothing can be read.

use serde_json::{Value, json};

use crate::{Outcome, bench::Bench};

/// An object of a row, with the failures its status tells.
fn object(row: &Value) -> Bench {
    let threshold = row["target"].as_i64().unwrap_or(10).to_string();
    let mut spec = json!({});
    if row["fallback"].is_object() {
        spec["fallback"] = row["fallback"].clone();
    }
    let mut bench = Bench::with(&spec, &json!({"lagThreshold": threshold}));
    let mut object = (*bench.plan.object).clone();
    let failures = row["failures"].as_i64().unwrap_or(0);
    let status =
        json!({"health": {"s0-kafka-t": {"numberOfFailures": failures, "status": "Failing"}}});
    object.status = serde_json::from_value(status).unwrap();
    bench.plan.object = object.into();
    bench
}

pub fn fallback_metric(row: &Value) -> Outcome {
    let mut bench = object(row);
    bench.read(&[(0, row["query"]["value"].as_i64().unwrap_or(0))]);
    bench.follow();
    bench.replicas = row["currentReplicas"]
        .as_i64()
        .map(|r| i32::try_from(r).unwrap());
    let read = row["query"]["value"].is_i64();
    // The reading is asked about while it is fresh, or long after.
    bench = again(bench, row);
    bench.after(if read { 0 } else { 60 });
    let evaluation = bench.evaluate();
    let metric = &evaluation.metrics[0];
    let expected = &row["expect"];
    let value = metric
        .fallback
        .map(|milli| milli / 1000)
        .or_else(|| metric.value.as_ref().ok().map(|v| v.lag));
    if expected["value"].as_i64() != value {
        return Err(format!("expected {expected}, found {value:?}"));
    }
    // Without a fallback nothing is counted; of more failures than the threshold one more is told.
    let told = metric.failures.map(i64::from);
    let threshold = row["fallback"]["failureThreshold"].as_i64();
    let wanted = threshold.and_then(|_| expected["failures"].as_i64());
    match (wanted, told) {
        (Some(wanted), Some(told)) if told.min(1) != wanted.min(1) => {
            Err(format!("failures: expected {wanted}, found {told}"))
        }
        _ => Ok(()),
    }
}

/// The same object with nothing remembered but what its status tells.
fn again(bench: Bench, row: &Value) -> Bench {
    let mut fresh = object(row);
    fresh.picture = bench.picture;
    fresh.live = bench.live;
    fresh.replicas = bench.replicas;
    fresh.now = bench.now;
    fresh
}

/// Nothing can be asked at all: it falls back once the threshold is passed.
pub fn outage() -> Outcome {
    let row = json!({"fallback": {"failureThreshold": 3, "replicas": 6}, "target": 10});
    let mut bench = object(&row);
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

/// The error goes to the HPA, which holds.
pub fn passed_on(row: &Value) -> Outcome {
    let mut bench = Bench::new(&json!({"fallback": row["fallback"]}));
    let source = bench.plan.triggers[0].source.as_mut();
    if let Ok(lagscale::scaling::Source::Kafka { metric_type, .. }) = source {
        *metric_type = lagscale::triggers::MetricType::Value;
    }
    bench.read(&[(0, 1)]);
    bench.after(60);
    match bench.evaluate().metrics[0].fallback {
        None => Ok(()),
        found => Err(format!("{found:?}")),
    }
}
