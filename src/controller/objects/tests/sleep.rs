//! Waking and sleeping.

use serde_json::{Value, json};

use super::stage::{SCALED_OBJECTS, Stage};

/// `app` may sleep: its cool-down is 30 s.
fn sleeper(spec: &Value, replicas: i32) -> Stage {
    let mut spec = spec.clone();
    spec["minReplicaCount"] = json!(0);
    let mut stage = Stage::new();
    stage.state(|s| s.workloads.insert("app".into(), replicas));
    stage.put(SCALED_OBJECTS, super::stage::scaled_object("app", &spec));
    stage
}

#[test]
fn a_lag_wakes_a_sleeping_workload_at_the_next_poll() {
    let mut stage = sleeper(&json!({}), 0);
    stage.read(&[(0, 0); 4]);
    stage.after(5);
    assert_eq!(stage.replicas(), 0);
    stage.read(&[(0, 1), (0, 0), (0, 0), (0, 0)]);
    assert_eq!(stage.replicas(), 0, "the last poll was at this moment");
    stage.after(5);
    assert_eq!(stage.replicas(), 1);
    assert!(
        stage
            .events()
            .contains(&"KEDAScaleTargetActivated".to_owned())
    );
}

#[test]
fn a_lag_below_the_activation_threshold_wakes_nobody() {
    let triggers =
        json!({"triggers": [super::stage::kafka(&json!({"activationLagThreshold": "10"}))]});
    let mut stage = sleeper(&triggers, 0);
    stage.read(&[(0, 10)]);
    stage.after(20);
    assert_eq!(stage.replicas(), 0);
    stage.read(&[(0, 11)]);
    stage.after(5);
    assert_eq!(stage.replicas(), 1);
}

#[test]
fn a_workload_without_work_sleeps_after_its_cool_down() {
    let mut stage = sleeper(&json!({}), 1);
    stage.read(&[(0, 9)]);
    stage.after(20);
    stage.read(&[(9, 9)]);
    stage.after(24);
    assert_eq!(stage.replicas(), 1);
    assert_eq!(stage.condition("Active").1, "ScalerCooldown");
    stage.after(12);
    assert_eq!(stage.replicas(), 0);
    assert!(
        stage
            .events()
            .contains(&"KEDAScaleTargetDeactivated".to_owned())
    );
}

#[test]
fn work_in_the_cool_down_begins_it_anew() {
    let mut stage = sleeper(&json!({}), 1);
    stage.read(&[(0, 9)]);
    stage.after(10);
    stage.read(&[(9, 9)]);
    stage.after(25);
    stage.read(&[(9, 10)]);
    stage.after(5);
    stage.read(&[(10, 10)]);
    stage.after(25);
    assert_eq!(stage.replicas(), 1);
    stage.after(15);
    assert_eq!(stage.replicas(), 0);
}

#[test]
fn a_workload_that_was_never_active_sleeps_at_once_where_its_object_is_old() {
    let mut stage = sleeper(&json!({}), 1);
    stage.read(&[(0, 0)]);
    stage.after(6);
    assert_eq!(stage.replicas(), 0);
}

#[test]
fn what_is_not_known_puts_nobody_to_sleep() {
    let mut stage = sleeper(&json!({}), 1);
    stage.read(&[(0, 9)]);
    stage.after(10);
    stage.outage("broker kafka:9092: connection refused");
    stage.after(300);
    assert_eq!(stage.replicas(), 1);
}

#[test]
fn an_idle_count_holds_the_workload_there() {
    let mut stage = Stage::with(&json!({"minReplicaCount": 2, "idleReplicaCount": 0}));
    stage.state(|s| s.workloads.insert("app".into(), 2));
    stage.read(&[(0, 0)]);
    stage.after(40);
    assert_eq!(stage.replicas(), 0);
    stage.read(&[(0, 1)]);
    stage.after(5);
    assert_eq!(stage.replicas(), 2);
}

#[test]
fn an_annotation_wakes_a_workload_whatever_its_lag() {
    let mut stage = sleeper(&json!({}), 0);
    stage.read(&[(0, 0)]);
    stage.after(5);
    let annotation =
        json!({"metadata": {"annotations": {"autoscaling.keda.sh/force-activation": "true"}}});
    stage.merge(SCALED_OBJECTS, "app", &annotation);
    stage.after(5);
    assert_eq!(stage.replicas(), 1);
}

#[test]
fn a_paused_object_has_no_hpa_and_its_workload_the_count_it_is_paused_at() {
    let mut stage = Stage::with(&json!({}));
    stage.read(&[(0, 9); 4]);
    let annotation =
        json!({"metadata": {"annotations": {"autoscaling.keda.sh/paused-replicas": "3"}}});
    stage.merge(SCALED_OBJECTS, "app", &annotation);
    stage.after(10);
    assert_eq!(
        (stage.replicas(), stage.hpa("maxReplicas")),
        (3, json!(null))
    );
    assert_eq!(stage.condition("Paused").0, "True");
    assert_eq!(stage.condition("Ready").2, "ScaledObject is paused");
    // Its triggers are active, and what was said of them before the pause stands.
    assert_eq!(stage.condition("Active").1, "ScalerActive");
    assert_eq!(stage.status()["pausedReplicaCount"], 3);
    let annotation =
        json!({"metadata": {"annotations": {"autoscaling.keda.sh/paused-replicas": null}}});
    stage.merge(SCALED_OBJECTS, "app", &annotation);
    stage.after(10);
    assert_eq!(stage.hpa("maxReplicas"), json!(4));
    assert_eq!(stage.condition("Paused").1, "ScaledObjectUnpaused");
}

#[test]
fn a_workload_that_another_scales_at_the_same_moment_is_looked_at_again() {
    let mut stage = sleeper(&json!({}), 0);
    stage.read(&[(0, 0)]);
    stage.after(5);
    stage.state(|s| s.workloads.insert("app".into(), 7));
    stage.read(&[(0, 9)]);
    stage.after(10);
    assert_eq!(stage.replicas(), 7);
}

#[test]
fn a_step_that_fails_is_told_and_tried_again() {
    let mut stage = sleeper(&json!({}), 0);
    stage.read(&[(0, 0)]);
    stage.after(5);
    stage.state(|s| s.refusals.insert("/scale", (403, "not allowed")));
    stage.read(&[(0, 9)]);
    stage.after(6);
    assert!(
        stage
            .events()
            .contains(&"KEDAScaleTargetActivationFailed".to_owned())
    );
    assert!(stage.condition("Ready").2.contains("not allowed"));
    stage.state(|s| s.refusals.clear());
    stage.after(10);
    assert_eq!(stage.replicas(), 1);
    assert_eq!(stage.condition("Ready").0, "True");
}

#[test]
fn the_workload_has_its_replicas_back_when_its_object_is_deleted_where_that_is_asked_for() {
    let mut stage = Stage::with(
        &json!({"minReplicaCount": 0, "advanced": {"restoreToOriginalReplicaCount": true}}),
    );
    stage.state(|s| s.workloads.insert("app".into(), 5));
    stage.read(&[(0, 0)]);
    stage.after(40);
    let held =
        stage.state(|s| s.get(SCALED_OBJECTS, "app").unwrap()["metadata"]["finalizers"].clone());
    assert_eq!(held, json!(["finalizer.keda.sh"]));
    stage.merge(
        SCALED_OBJECTS,
        "app",
        &json!({"metadata": {"deletionTimestamp": "2026-01-02T00:00:00Z"}}),
    );
    let first = stage.status()["originalReplicaCount"].clone();
    assert_eq!(json!(stage.replicas()), first);
}
