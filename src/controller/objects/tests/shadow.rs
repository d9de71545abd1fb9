//! A lagscale that only looks, beside HPAs that another server answers.

use serde_json::{Value, json};

use super::stage::{HPAS, SCALED_OBJECTS, Stage, kafka, scaled_object};

/// An HPA as KEDA has made it, which has seen `average` for each of two pods.
fn hpa_of_keda(average: &str) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "keda-hpa-app", "namespace": "shop", "ownerReferences": [{
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "app", "uid": "uid-app", "controller": true,
        }]},
        "spec": {"maxReplicas": 100, "scaleTargetRef": {"kind": "Deployment", "name": "app"}},
        "status": {
            "currentReplicas": 2, "desiredReplicas": 2,
            "currentMetrics": [{"type": "External", "external": {
                "metric": {"name": "s0-kafka-t"}, "current": {"averageValue": average},
            }}],
        },
    })
}

fn shadow(average: &str) -> Stage {
    let mut stage = Stage::new();
    stage.shadow = true;
    stage.lead(false);
    stage.put(HPAS, hpa_of_keda(average));
    let spec = json!({"triggers": [kafka(&json!({}))]});
    stage.put(SCALED_OBJECTS, scaled_object("app", &spec));
    stage.read(&[(0, 4); 5]);
    stage
}

fn explained(stage: &Stage) -> Value {
    serde_json::from_str(&stage.explain("app").unwrap()).unwrap()
}

#[test]
fn a_shadow_writes_nothing_whatever_happens_to_an_object() {
    let mut stage = shadow("10");
    stage.after(120);
    stage.read(&[(0, 0); 5]);
    stage.after(600);
    stage.outage("connection refused");
    stage.after(60);
    stage.delete(SCALED_OBJECTS, "app");
    stage.after(60);
    assert_eq!(stage.writes(), Vec::<String>::new());
    assert_eq!(stage.events(), Vec::<String>::new());
}

#[test]
fn a_value_that_the_hpa_has_too_is_no_difference() {
    let found = explained(&shadow("10"));
    let compared = json!([{"metric": "s0-kafka-t", "hpa": "20", "own": "20"}]);
    assert_eq!(found["shadow"], compared);
    assert_eq!(
        (&found["liveMaxReplicas"], &found["wantedMaxReplicas"]),
        (&json!(100), &json!(5))
    );
}

#[test]
fn another_value_is_one_from_the_first_reading_to_the_last() {
    let mut stage = shadow("7");
    stage.after(30);
    let found = explained(&stage);
    assert_eq!(found["shadow"][0]["hpa"], "14");
    assert!(
        found["shadow"][0]["differsSeconds"].as_u64().unwrap() >= 25,
        "{found}"
    );
    stage.put(HPAS, hpa_of_keda("10"));
    assert_eq!(
        explained(&stage)["shadow"][0]["differsSeconds"],
        Value::Null
    );
}

#[test]
fn whoever_writes_compares_nothing() {
    let mut stage = Stage::with(&json!({"triggers": [kafka(&json!({}))]}));
    stage.read(&[(0, 4); 5]);
    assert_eq!(explained(&stage)["shadow"], Value::Null);
}
