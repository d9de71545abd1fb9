//! Errors of the API server as people read them: in conditions, events, explanations and logs.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::{
    lag_metrics::lag_metric,
    stage::{AUTHENTICATIONS, LAG_METRICS, SCALED_OBJECTS, Stage, kafka, scaled_object},
};

/// Every request of the controller that may be refused.
const REQUESTS: [&str; 11] = [
    "create horizontalpodautoscalers",
    "replace horizontalpodautoscalers",
    "delete horizontalpodautoscalers",
    "get horizontalpodautoscalers",
    "patch scaledobjects/app/status",
    "patch scaledobjects/app",
    "patch deployments/app/scale",
    "get deployments/app/scale",
    "get deployments/app",
    "patch lagmetrics/orders/status",
    "patch triggerauthentications",
];

const REFUSALS: [(u16, &str); 4] = [
    (403, "somebody is not allowed to do it"),
    (404, "404 page not found"),
    (422, "something of it is too long"),
    (500, ""),
];

/// Log lines of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The life of an object that makes each request at least once; returns everything that was said.
fn life(request: &'static str, refusal: (u16, &'static str)) -> String {
    let mut stage = Stage::new();
    stage.state(|s| {
        s.refusals.insert(request, refusal);
        // A finalizer is tried until it is off.
        s.refusals_left = Some(20);
    });
    let auth = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "spec": {},
        "metadata": {"name": "auth", "namespace": "shop", "uid": "uid of auth", "finalizers": ["finalizer.keda.sh"]},
    });
    stage.put(AUTHENTICATIONS, auth);
    stage.put(LAG_METRICS, lag_metric(&json!(["t"])));
    let spec = json!({
        "minReplicaCount": 0, "cooldownPeriod": 5, "advanced": {"restoreToOriginalReplicaCount": true},
    });
    stage.put(SCALED_OBJECTS, scaled_object("app", &spec));
    let mut told = Vec::new();
    let mut listen = |stage: &Stage| {
        told.push(stage.status().to_string());
        told.extend(stage.explain("app"));
    };
    stage.read(&[(0, 9); 4]);
    stage.after(15);
    listen(&stage);
    let more = json!({"spec": {"triggers": [kafka(&json!({"lagThreshold": "7"}))]}});
    stage.merge(SCALED_OBJECTS, "app", &more);
    stage.after(15);
    listen(&stage);
    stage.read(&[(9, 9); 4]);
    stage.after(40);
    listen(&stage);
    let paused = json!({"metadata": {"annotations": {"autoscaling.keda.sh/paused-replicas": "3"}}});
    stage.merge(SCALED_OBJECTS, "app", &paused);
    stage.after(15);
    listen(&stage);
    let going = json!({"metadata": {"deletionTimestamp": "2026-01-02T00:00:00Z"}});
    stage.merge(SCALED_OBJECTS, "app", &going);
    stage.after(15);
    told.extend(stage.state(|s| std::mem::take(&mut s.notes)));
    told.join("\n")
}

/// A JSON text's strings, without the braces that are JSON's own.
fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|one| strings(one, found)),
        Value::Object(all) => all.values().for_each(|one| strings(one, found)),
        _ => {}
    }
}

#[test]
fn no_error_of_the_api_server_reaches_a_person_as_rust_wrote_it() {
    for request in REQUESTS {
        let mut heard = false;
        for refusal in REFUSALS {
            let log = Log::default();
            let lines = log.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(move || lines.clone())
                .finish();
            let said = tracing::subscriber::with_default(subscriber, || life(request, refusal));
            let mut texts = Vec::new();
            for line in said.lines() {
                match serde_json::from_str::<Value>(line) {
                    Ok(json) => strings(&json, &mut texts),
                    Err(_) => texts.push(line.to_owned()),
                }
            }
            let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            texts.extend(log.lines().map(str::to_owned));
            for text in &texts {
                let rust = ["Some(", "ApiError", "StatusDetails", "Err("];
                let rust = rust.iter().any(|word| text.contains(word)) || text.contains(['{', '}']);
                assert!(!rust, "{request} {refusal:?}: {text}");
            }
            let words = if refusal.1.is_empty() {
                "answered 500"
            } else {
                refusal.1
            };
            heard |= texts.iter().any(|text| text.contains(words));
        }
        assert!(heard, "nobody was told that `{request}` was refused");
    }
}
