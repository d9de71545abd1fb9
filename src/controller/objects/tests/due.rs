//! Evaluations of what changed or is due, and of nothing else; they come to the same as evaluating everything each second.

use serde_json::{Value, json};

use super::stage::{HPAS, SCALED_OBJECTS, Stage, kafka, scaled_object};

fn evaluations_in(stage: &mut Stage, seconds: u64) -> u64 {
    let before = stage.evaluations();
    stage.after(seconds);
    stage.evaluations() - before
}

/// `app` with 2 partitions and this in its spec, when nothing has happened for two minutes.
fn quiet(spec: &Value) -> Stage {
    let mut stage = Stage::with(spec);
    stage.read(&[(0, 3), (0, 4)]);
    stage.after(120);
    stage
}

#[test]
fn a_quiet_object_is_evaluated_once_for_each_reading_of_its_group() {
    let mut stage = quiet(&json!({}));
    assert_eq!(evaluations_in(&mut stage, 600), 600 / 5);
}

#[test]
fn a_quiet_object_that_sleeps_is_evaluated_once_for_each_reading_of_its_group() {
    let mut stage = Stage::new();
    stage.state(|s| s.workloads.insert("app".into(), 0));
    stage.put(
        SCALED_OBJECTS,
        scaled_object("app", &json!({"minReplicaCount": 0})),
    );
    stage.read(&[(0, 0)]);
    stage.after(60);
    assert_eq!(evaluations_in(&mut stage, 600), 600 / 5);
}

#[test]
fn a_replica_that_does_not_lead_evaluates_no_more_than_the_one_that_does() {
    let mut stage = quiet(&json!({}));
    stage.lead(false);
    stage.after(60);
    assert_eq!(evaluations_in(&mut stage, 600), 600 / 5);
}

#[test]
fn an_object_of_which_nothing_is_read_from_kafka_is_evaluated_every_ten_seconds() {
    let mut stage = Stage::new();
    let cpu = json!({"type": "cpu", "metricType": "Utilization", "metadata": {"value": "50"}});
    stage.put(
        SCALED_OBJECTS,
        scaled_object("app", &json!({"triggers": [cpu]})),
    );
    stage.after(60);
    assert_eq!(evaluations_in(&mut stage, 600), 600 / 10);
}

#[test]
fn a_change_of_one_group_is_about_the_objects_that_ask_for_it() {
    let mut stage = Stage::new();
    for name in ["a", "b", "c"] {
        stage.state(|s| s.workloads.insert(name.into(), 1));
        let group = format!("group of {name}");
        let spec = json!({"triggers": [kafka(&json!({"consumerGroup": group}))]});
        stage.put(SCALED_OBJECTS, scaled_object(name, &spec));
        stage.read_group(&group, &[(0, 0)]);
    }
    stage.after(60);
    let before = stage.evaluations();
    stage.read_group("group of b", &[(0, 0)]);
    assert_eq!(stage.evaluations() - before, 1);
}

#[test]
fn a_changed_hpa_is_one_evaluation() {
    let mut stage = quiet(&json!({}));
    let before = stage.evaluations();
    let status = json!({"status": {"currentReplicas": 1, "desiredReplicas": 1}});
    stage.merge(HPAS, "keda-hpa-app", &status);
    assert_eq!(stage.evaluations() - before, 1);
}

#[test]
fn what_is_missing_is_looked_for_each_second() {
    let mut stage = quiet(&json!({}));
    stage.outage("broker kafka:9092: connection refused");
    stage.silence(30);
    let before = stage.evaluations();
    stage.silence(60);
    let counted = stage.evaluations() - before;
    assert!((60..70).contains(&counted), "{counted}");
}

#[test]
fn a_thousand_quiet_objects_cost_a_thousand_evaluations_for_each_reading() {
    let mut stage = Stage::new();
    for n in 0..1_000 {
        let name = format!("o{n}");
        stage.state(|s| s.workloads.insert(name.clone(), 1));
        stage.state(|s| s.put(SCALED_OBJECTS, scaled_object(&name, &json!({}))));
    }
    stage.read(&[(0, 0)]);
    stage.after(10);
    assert_eq!(evaluations_in(&mut stage, 10), 2 * 1_000);
}

/// The state that others see.
fn seen(stage: &Stage) -> Value {
    let condition = |kind| {
        let (status, reason, _) = stage.condition(kind);
        json!([status, reason])
    };
    let conditions = ["Ready", "Active", "Fallback", "Paused"].map(condition);
    let served = stage
        .served("s0-kafka-t")
        .map(|s| s.is_ok().then(|| s.unwrap_or(0)));
    json!({
        "served": served, "replicas": stage.replicas(), "min": stage.hpa("minReplicas"), "max": stage.hpa("maxReplicas"),
        "metrics": stage.hpa("metrics"), "conditions": conditions,
    })
}

/// One thing that happens, to both.
fn happen(dice: &mut fastrand::Rng, stages: &mut [Stage; 2]) -> String {
    let lags = |dice: &mut fastrand::Rng| -> Vec<(i64, i64)> {
        let partitions = dice.usize(1..6);
        let lag = [0, 0, 1, 40][dice.usize(0..4)];
        (0..partitions).map(|_| (0, dice.i64(0..=lag))).collect()
    };
    let annotate = |key: &str, value: Value| json!({"metadata": {"annotations": {key: value}}});
    let (what, patch) = match dice.u8(0..12) {
        0..5 => {
            let pairs = lags(dice);
            for stage in stages.iter_mut() {
                stage.read(&pairs);
            }
            return format!("{pairs:?} are read");
        }
        5 => {
            for stage in stages.iter_mut() {
                stage.outage("broker kafka:9092: refused");
            }
            return "an outage".into();
        }
        6 => {
            for stage in stages.iter_mut() {
                stage.restart(2);
            }
            return "a restart".into();
        }
        7 => {
            let replicas = dice.i32(0..5);
            for stage in stages {
                stage.state(|s| s.workloads.insert("app".into(), replicas));
            }
            return format!("somebody scales to {replicas}");
        }
        8 => (
            "another maximum",
            json!({"spec": {"maxReplicaCount": dice.i32(1..8)}}),
        ),
        9 => (
            "another cool-down",
            json!({"spec": {"cooldownPeriod": dice.i32(1..90)}}),
        ),
        10 => (
            "a pause",
            annotate("autoscaling.keda.sh/paused-replicas", json!("2")),
        ),
        _ => (
            "no pause",
            annotate("autoscaling.keda.sh/paused-replicas", Value::Null),
        ),
    };
    for stage in stages {
        stage.merge(SCALED_OBJECTS, "app", &patch);
    }
    what.into()
}

#[test]
fn evaluating_what_is_due_comes_to_what_evaluating_everything_each_second_does() {
    let specs = [
        json!({}),
        json!({"minReplicaCount": 0}),
        json!({"minReplicaCount": 2, "idleReplicaCount": 0}),
        json!({"minReplicaCount": 0, "pollingInterval": 30, "fallback": {"failureThreshold": 2, "replicas": 3}}),
        json!({"minReplicaCount": 0, "triggers": [kafka(&json!({"excludePersistentLag": "true", "limitToPartitionsWithLag": "true"}))]}),
    ];
    for life in 0..30 {
        let mut dice = fastrand::Rng::with_seed(life);
        let spec = &specs[dice.usize(0..specs.len())];
        let mut stages = [Stage::with(spec), Stage::with(spec)];
        stages[1].restless = true;
        let mut story = Vec::new();
        for _ in 0..12 {
            story.push(happen(&mut dice, &mut stages));
            let seconds = dice.u64(1..80);
            story.push(format!("{seconds} s"));
            for stage in &mut stages {
                stage.after(seconds);
            }
            // A poll may begin some seconds apart in the two.
            for _ in 0..4 {
                if seen(&stages[0]) != seen(&stages[1]) {
                    for stage in &mut stages {
                        stage.after(5);
                    }
                }
            }
            assert_eq!(
                seen(&stages[0]),
                seen(&stages[1]),
                "life {life}: {story:#?}"
            );
        }
        let [due, restless] = &stages;
        assert_eq!(due.deeds(), restless.deeds(), "life {life}: {story:#?}");
        assert!(due.evaluations() < restless.evaluations());
    }
}
