//! The status: what it says, and when a change of it is worth a write.

use serde_json::{Value, json};

use super::stage::{HPAS, SCALED_OBJECTS, Stage, kafka, scaled_object};

pub fn ready(spec: &Value) -> Stage {
    let mut stage = Stage::with(spec);
    stage.read(&[(0, 9); 4]);
    stage.after(30);
    stage.writes();
    stage.events();
    stage
}

/// Status writes since they were asked for last.
pub fn told(stage: &Stage) -> usize {
    let writes = stage.writes();
    writes.iter().filter(|w| w.ends_with("/status")).count()
}

fn hpa_says(stage: &mut Stage, status: &str, reason: &str) {
    let condition =
        json!({"type": "ScalingActive", "status": status, "reason": reason, "message": "so it is"});
    let status =
        json!({"status": {"conditions": [condition], "currentReplicas": 1, "desiredReplicas": 1}});
    stage.merge(HPAS, "keda-hpa-app", &status);
}

#[test]
fn it_lists_metrics_kinds_and_authentications_as_keda_s_columns_do() {
    let cpu = json!({"type": "cpu", "metricType": "Utilization", "metadata": {"value": "50"}});
    let stage = ready(&json!({"triggers": [kafka(&json!({})), cpu]}));
    let status = stage.status();
    assert_eq!(status["externalMetricNames"], json!(["s0-kafka-t"]));
    assert_eq!(status["resourceMetricNames"], json!(["cpu"]));
    assert_eq!(status["triggersTypes"], "kafka,cpu");
    assert_eq!(status["authenticationsTypes"], "");
}

#[test]
fn the_hpa_s_name_is_told_with_the_first_status_however_late_the_watch_of_hpas_is() {
    let mut stage = Stage::new();
    stage.put(SCALED_OBJECTS, scaled_object("other", &json!({})));
    stage.read(&[(0, 9); 4]);
    // The label's write is known before the watch brings it, so the HPA goes before the status.
    let late = &[SCALED_OBJECTS, HPAS];
    stage.put_and_lose_sight(SCALED_OBJECTS, scaled_object("app", &json!({})), late);
    assert_eq!(stage.hpa("maxReplicas"), json!(4));
    assert_eq!(stage.status(), json!(null));
    stage.late = &[HPAS];
    stage.after(1);
    assert_eq!(stage.status()["hpaName"], "keda-hpa-app");
    stage.writes();
    stage.late = &[];
    stage.after(3);
    assert_eq!(told(&stage), 0);
}

#[test]
fn it_tells_which_triggers_are_active() {
    let mut stage = ready(&json!({}));
    let active =
        |stage: &Stage| stage.status()["triggersActivity"]["s0-kafka-t"]["isActive"].clone();
    assert_eq!(active(&stage), true);
    stage.read(&[(9, 9); 4]);
    stage.after(10);
    assert_eq!(active(&stage), false);
}

#[test]
fn an_active_trigger_is_told_once() {
    let mut stage = Stage::with(&json!({}));
    stage.read(&[(0, 0); 4]);
    stage.after(10);
    stage.writes();
    stage.read(&[(0, 9); 4]);
    stage.after(30);
    assert_eq!(told(&stage), 1);
    assert_eq!(stage.condition("Active").1, "ScalerActive");
}

#[test]
fn the_lag_itself_is_worth_no_write() {
    let mut stage = ready(&json!({}));
    for lag in 1..60 {
        stage.read(&[(0, lag * 7); 4]);
        stage.after(5);
    }
    assert_eq!(told(&stage), 0);
}

#[test]
fn an_hpa_that_goes_to_and_fro_is_told_only_once_it_stays() {
    let mut stage = ready(&json!({}));
    hpa_says(&mut stage, "True", "ValidMetricFound");
    stage.after(15);
    told(&stage);
    for second in 0..60 {
        let status = if second % 2 == 0 { "False" } else { "True" };
        hpa_says(&mut stage, status, "FailedGetExternalMetric");
        stage.silence(1);
    }
    assert_eq!(told(&stage), 0);
    hpa_says(&mut stage, "False", "FailedGetExternalMetric");
    stage.after(15);
    let (status, reason, text) = stage.condition("HPAActive");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", "FailedGetExternalMetric")
    );
    assert!(text.contains("so it is"), "{text}");
}

#[test]
fn the_time_of_the_last_activity_is_written_where_a_cool_down_needs_it() {
    let mut stage = ready(&json!({"minReplicaCount": 0, "cooldownPeriod": 300}));
    let first = stage.status()["lastActiveTime"].clone();
    assert!(first.is_string());
    stage.after(60);
    assert_eq!(
        stage.status()["lastActiveTime"],
        first,
        "a third of the cool-down"
    );
    stage.after(40);
    let second = stage.status()["lastActiveTime"].clone();
    assert_ne!(second, first);
    stage.read(&[(9, 9); 4]);
    stage.after(10);
    assert_ne!(
        stage.status()["lastActiveTime"],
        second,
        "activity has ended"
    );
}

#[test]
fn without_a_minimum_of_zero_the_last_activity_is_not_written() {
    let stage = ready(&json!({}));
    assert_eq!(stage.status()["lastActiveTime"], json!(null));
}

#[test]
fn the_replicas_of_the_first_look_are_kept_whatever_comes_later() {
    let mut stage = Stage::new();
    stage.state(|s| s.workloads.insert("app".into(), 3));
    stage.put(SCALED_OBJECTS, scaled_object("app", &json!({})));
    stage.read(&[(0, 9); 4]);
    stage.state(|s| s.workloads.insert("app".into(), 4));
    stage.after(120);
    assert_eq!(stage.status()["originalReplicaCount"], 3);
}

#[test]
fn where_the_groups_stand_is_remembered_when_the_workload_goes_to_sleep() {
    let mut stage = ready(&json!({"minReplicaCount": 0}));
    stage.read(&[(9, 9); 4]);
    assert_eq!(stage.status()["remembered"], json!(null));
    stage.after(60);
    assert_eq!(stage.replicas(), 0);
    let remembered = stage.status()["remembered"]["s0-kafka-t"].clone();
    assert_eq!(remembered["consumerGroup"], "g");
    assert!(remembered["topics"]["t"].is_string());
}

#[test]
fn a_crd_that_drops_what_is_remembered_is_told_of() {
    let mut stage = ready(&json!({"minReplicaCount": 0}));
    stage.state(|s| s.prunes = vec!["remembered"]);
    stage.read(&[(9, 9); 4]);
    stage.after(70);
    assert!(stage.condition("Ready").2.contains("apply lagscale's CRDs"));
}

#[test]
fn a_crd_that_drops_a_field_is_not_written_to_again_and_again() {
    let mut stage = Stage::with(&json!({}));
    stage.state(|s| s.prunes = vec!["triggersActivity", "triggersTypes"]);
    stage.read(&[(0, 9); 4]);
    stage.after(60);
    let count = told(&stage);
    assert!(count <= 3, "{count}");
    stage.after(600);
    assert_eq!(told(&stage), 0);
}

#[test]
fn a_status_that_somebody_empties_is_written_again() {
    let mut stage = ready(&json!({}));
    stage.merge(SCALED_OBJECTS, "app", &json!({"status": null}));
    stage.after(10);
    assert_eq!(stage.condition("Ready").0, "True");
}

#[test]
fn keda_s_label_is_put_on_and_put_on_again_once_for_each_version() {
    let mut stage = ready(&json!({}));
    let label = |stage: &Stage| {
        let object = stage
            .state(|s| s.get(SCALED_OBJECTS, "app").cloned())
            .unwrap();
        object["metadata"]["labels"]["scaledobject.keda.sh/name"].clone()
    };
    assert_eq!(label(&stage), "app");
    let off = json!({"metadata": {"labels": {"scaledobject.keda.sh/name": null}}});
    stage.merge(SCALED_OBJECTS, "app", &off);
    stage.after(2);
    assert_eq!(label(&stage), "app");
}

#[test]
fn a_conflict_is_no_failure_and_is_decided_anew() {
    let mut stage = ready(&json!({}));
    stage.state(|s| {
        s.refusals
            .insert("replace horizontal", (409, "another version"))
    });
    stage.read(&[(0, 9); 9]);
    stage.after(3);
    assert_eq!(stage.condition("Ready").0, "True");
    stage.state(|s| s.refusals.clear());
    stage.after(3);
    assert_eq!(stage.hpa("maxReplicas"), json!(9));
}

#[test]
fn what_a_workload_had_at_first_is_told_before_it_is_scaled_though_somebody_else_was_faster() {
    for restores in [false, true] {
        let mut stage = Stage::new();
        stage.state(|s| {
            s.workloads.insert("app".into(), 0);
            s.refusals
                .insert("scaledobjects/app/status", (409, "another version"));
        });
        let spec =
            json!({"minReplicaCount": 0, "advanced": {"restoreToOriginalReplicaCount": restores}});
        stage.put(SCALED_OBJECTS, scaled_object("app", &spec));
        stage.read(&[(0, 9); 4]);
        stage.after(10);
        assert_eq!(stage.replicas(), 0, "{restores}");
        stage.state(|s| s.refusals.clear());
        stage.after(10);
        let told = stage.status()["originalReplicaCount"].clone();
        assert_eq!((stage.replicas(), told), (1, json!(0)), "{restores}");
    }
}

#[test]
fn what_an_object_comes_to_after_a_change_is_told_with_its_cause() {
    let mut stage = ready(&json!({}));
    let broken = json!({"spec": {"triggers": [kafka(&json!({"lagThreshold": "-1"}))]}});
    stage.merge(SCALED_OBJECTS, "app", &broken);
    stage.after(5);
    let (_, reason, text) = stage.condition("Ready");
    assert_eq!(reason, "ScaledObjectCheckFailed");
    assert!(text.contains("lagThreshold"), "{text}");
    assert!(
        stage
            .events()
            .contains(&"ScaledObjectCheckFailed".to_owned())
    );
    stage.merge(
        SCALED_OBJECTS,
        "app",
        &json!({"spec": {"triggers": [kafka(&json!({}))]}}),
    );
    stage.read(&[(0, 9); 4]);
    stage.after(5);
    assert_eq!(stage.condition("Ready").0, "True");
}

#[test]
fn a_formula_is_served_in_place_of_its_triggers() {
    let advanced = json!({"scalingModifiers": {"formula": "lag * 2", "target": "10"}});
    let mut trigger = kafka(&json!({}));
    trigger["name"] = json!("lag");
    let stage = ready(&json!({"triggers": [trigger], "advanced": advanced}));
    assert_eq!(
        stage.served("composite-metric"),
        Some(Ok(40)),
        "20 after the cut"
    );
    assert_eq!(stage.status()["compositeScalerName"], "composite-metric");
}

#[test]
fn a_pause_in_one_direction_keeps_the_hpa_and_says_so() {
    let mut stage = ready(&json!({}));
    let annotation =
        json!({"metadata": {"annotations": {"autoscaling.keda.sh/paused-scale-in": "true"}}});
    stage.merge(SCALED_OBJECTS, "app", &annotation);
    stage.after(5);
    assert_eq!(stage.condition("Paused").0, "True");
    let policy = &stage.hpa("behavior")["scaleDown"]["selectPolicy"];
    assert_eq!(policy, "Disabled");
}

#[test]
fn an_explanation_says_what_the_status_does_and_changes_nothing() {
    let mut stage = ready(&json!({}));
    let before = (stage.status(), stage.evaluations());
    let explained = stage.explain("app").unwrap();
    assert!(
        explained.contains("s0-kafka-t") || explained.contains("lag"),
        "{explained}"
    );
    assert_eq!(stage.explain("nobody"), None);
    stage.silence(1);
    assert_eq!(stage.status(), before.0);
    assert_eq!(told(&stage), 0);
}
