//! Lives of one object: HPA, workload and status from the first reading on.

use serde_json::json;

use super::stage::{HPAS, SCALED_OBJECTS, Stage, kafka, scaled_object};

/// `app` with 4 partitions and this lag in each.
fn with_lag(lag: i64) -> Stage {
    let mut stage = Stage::with(&json!({}));
    stage.read(&[(0, lag); 4]);
    stage
}

#[test]
fn a_new_object_gets_its_status_and_an_hpa_bounded_by_its_partitions() {
    let stage = with_lag(0);
    assert_eq!(
        (stage.hpa("minReplicas"), stage.hpa("maxReplicas")),
        (json!(1), json!(4))
    );
    assert_eq!(stage.condition("Ready").0, "True");
    assert_eq!(stage.status()["hpaName"], "keda-hpa-app");
    assert_eq!(stage.status()["originalReplicaCount"], 1);
    assert_eq!(stage.status()["scaleTargetKind"], "apps/v1.Deployment");
}

#[test]
fn a_new_object_costs_four_writes() {
    assert_eq!(
        with_lag(0).writes(),
        [
            "patch scaledobjects/app",
            "patch scaledobjects/app/status",
            "create horizontalpodautoscalers/keda-hpa-app",
        ]
    );
}

#[test]
fn a_new_object_is_told_of_once() {
    let mut stage = with_lag(0);
    let told = [
        "KEDAScalersStarted",
        "KEDAScalersStarted",
        "ScaledObjectReady",
    ];
    assert_eq!(stage.events(), told);
    stage.after(120);
    assert!(stage.events().is_empty());
}

#[test]
fn a_quiet_object_costs_no_write() {
    let mut stage = with_lag(1);
    stage.after(30);
    stage.writes();
    stage.after(1_800);
    assert!(stage.writes().is_empty(), "{:?}", stage.writes());
}

#[test]
fn before_a_first_answer_nothing_is_written() {
    let mut stage = Stage::with(&json!({}));
    stage.after(29);
    assert!(
        !stage
            .writes()
            .iter()
            .any(|w| w.contains("status") || w.contains("horizontal"))
    );
    assert_eq!(stage.served("s0-kafka-t"), Some(Err(
        "error when getting metric values metric:s0-kafka-t encountered error: it has not been read yet".into()
    )));
}

#[test]
fn without_any_answer_the_status_says_so_after_ten_seconds_and_the_hpa_is_made_after_thirty() {
    let mut stage = Stage::with(&json!({}));
    stage.outage("broker kafka:9092: connection refused");
    stage.after(11);
    assert_eq!(stage.condition("Ready").1, "TriggerError");
    assert_eq!(stage.hpa("maxReplicas"), json!(null));
    stage.after(20);
    assert_eq!(
        stage.hpa("maxReplicas"),
        json!(100),
        "nothing is known of partitions"
    );
}

#[test]
fn the_lag_is_served_and_withheld_once_it_is_too_old() {
    let mut stage = with_lag(3);
    assert_eq!(stage.served("s0-kafka-t"), Some(Ok(12)));
    stage.silence(60);
    assert_eq!(stage.served("s0-kafka-t"), Some(Ok(12)));
    stage.silence(1);
    assert!(matches!(stage.served("s0-kafka-t"), Some(Err(_))));
}

#[test]
fn more_partitions_raise_the_bound_of_a_live_hpa_at_once() {
    let mut stage = with_lag(0);
    stage.read(&[(0, 0); 9]);
    assert_eq!(stage.hpa("maxReplicas"), json!(9));
}

#[test]
fn fewer_partitions_lower_the_bound_once_a_second_description_agrees() {
    let mut stage = with_lag(0);
    stage.read(&[(0, 0); 2]);
    assert_eq!(stage.hpa("maxReplicas"), json!(4));
    stage.read(&[(0, 0); 2]);
    assert_eq!(stage.hpa("maxReplicas"), json!(2));
}

#[test]
fn the_objects_own_maximum_is_never_passed() {
    let mut stage = Stage::with(&json!({"maxReplicaCount": 3}));
    stage.read(&[(0, 0); 64]);
    assert_eq!(stage.hpa("maxReplicas"), json!(3));
}

#[test]
fn an_hpa_that_somebody_changes_is_put_right() {
    let mut stage = with_lag(0);
    stage.merge(HPAS, "keda-hpa-app", &json!({"spec": {"maxReplicas": 50}}));
    assert_eq!(stage.hpa("maxReplicas"), json!(4));
}

#[test]
fn an_hpa_that_somebody_deletes_is_made_again() {
    let mut stage = with_lag(0);
    stage.delete(HPAS, "keda-hpa-app");
    stage.after(6);
    assert_eq!(stage.hpa("maxReplicas"), json!(4));
}

#[test]
fn what_somebody_else_adds_to_the_hpa_stays() {
    let mut stage = with_lag(0);
    let note = json!({"metadata": {"annotations": {"team": "orders"}}});
    stage.merge(HPAS, "keda-hpa-app", &note);
    stage.read(&[(0, 0); 9]);
    let hpa = stage.state(|s| s.get(HPAS, "keda-hpa-app").unwrap().clone());
    assert_eq!(hpa["metadata"]["annotations"]["team"], "orders");
}

#[test]
fn an_hpa_of_somebody_else_is_left_alone_and_named() {
    let mut stage = Stage::new();
    let hpa = json!({"metadata": {"name": "keda-hpa-app", "namespace": "shop", "ownerReferences": [
        {"apiVersion": "v1", "kind": "Other", "name": "x", "uid": "x", "controller": true},
    ]}, "spec": {"maxReplicas": 7, "scaleTargetRef": {"kind": "Deployment", "name": "app"}}});
    stage.put(HPAS, hpa);
    stage.put(SCALED_OBJECTS, scaled_object("app", &json!({})));
    stage.read(&[(0, 0); 4]);
    stage.after(60);
    assert_eq!(stage.hpa("maxReplicas"), json!(7));
    let (status, reason, text) = stage.condition("Ready");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", "ScaledObjectCheckFailed")
    );
    assert!(text.contains("already managed by the Other 'x'"), "{text}");
}

#[test]
fn an_hpa_without_an_owner_is_adopted_where_the_annotation_says_so() {
    let mut stage = Stage::new();
    stage.put(
        HPAS,
        json!({"metadata": {"name": "mine", "namespace": "shop"}, "spec": {
            "maxReplicas": 70, "scaleTargetRef": {"kind": "Deployment", "name": "app"},
        }}),
    );
    let spec = json!({"advanced": {"horizontalPodAutoscalerConfig": {"name": "mine"}}});
    let mut object = scaled_object("app", &spec);
    stage.put(SCALED_OBJECTS, object.clone());
    stage.read(&[(0, 0); 4]);
    let max = |stage: &Stage| {
        stage.state(|s| s.get(HPAS, "mine").unwrap()["spec"]["maxReplicas"].clone())
    };
    assert_eq!(max(&stage), json!(70));
    object["metadata"]["annotations"] =
        json!({"scaledobject.keda.sh/transfer-hpa-ownership": "true"});
    stage.put(SCALED_OBJECTS, object);
    stage.after(10);
    assert_eq!(max(&stage), json!(4));
}

#[test]
fn an_hpa_of_another_name_is_made_before_the_former_one_goes() {
    let mut stage = with_lag(0);
    stage.writes();
    let name = json!({"spec": {"advanced": {"horizontalPodAutoscalerConfig": {"name": "new"}}}});
    stage.merge(SCALED_OBJECTS, "app", &name);
    stage.after(10);
    let writes = stage.writes();
    let at = |words: &str| writes.iter().position(|w| w == words);
    let (made, gone) = (
        at("create horizontalpodautoscalers/new"),
        at("delete horizontalpodautoscalers/keda-hpa-app"),
    );
    assert!(made.is_some() && made < gone, "{writes:?}");
    assert_eq!(stage.status()["hpaName"], "new");
}

#[test]
fn a_former_hpa_is_found_again_by_the_status_after_a_restart() {
    let mut stage = with_lag(0);
    stage.state(|s| s.refusals.insert("delete horizontal", (503, "not now")));
    let name = json!({"spec": {"advanced": {"horizontalPodAutoscalerConfig": {"name": "new"}}}});
    stage.merge(SCALED_OBJECTS, "app", &name);
    stage.after(10);
    assert!(stage.state(|s| s.get(HPAS, "keda-hpa-app").is_some()));
    stage.state(|s| s.refusals.clear());
    stage.restart(1);
    stage.read(&[(0, 0); 4]);
    stage.after(20);
    assert!(stage.state(|s| s.get(HPAS, "keda-hpa-app").is_none()));
}

#[test]
fn a_trigger_that_can_t_be_read_leaves_the_live_hpa_as_it_is() {
    let mut stage = with_lag(0);
    let before = stage.hpa("metrics");
    let broken =
        json!({"spec": {"triggers": [kafka(&json!({})), {"type": "nonsense", "metadata": {}}]}});
    stage.merge(SCALED_OBJECTS, "app", &broken);
    stage.after(60);
    assert_eq!(stage.hpa("metrics"), before);
    let (_, reason, text) = stage.condition("Ready");
    assert_eq!(reason, "ScaledObjectCheckFailed");
    assert!(
        text.contains("no scaler found for type: nonsense"),
        "{text}"
    );
}

#[test]
fn a_refused_hpa_is_told_and_tried_less_and_less_often() {
    let mut stage = Stage::with(&json!({}));
    stage.state(|s| s.refusals.insert("create horizontal", (403, "not allowed")));
    stage.read(&[(0, 0); 4]);
    stage.after(120);
    let (_, reason, text) = stage.condition("Ready");
    assert_eq!(reason, "ScaledObjectCheckFailed");
    assert!(text.contains("not allowed"), "{text}");
    stage.state(|s| s.refusals.clear());
    stage.after(60);
    assert_eq!(stage.hpa("maxReplicas"), json!(4));
    assert_eq!(stage.condition("Ready").0, "True");
}

#[test]
fn a_refused_status_keeps_no_hpa_and_no_workload_waiting() {
    let mut stage = Stage::with(&json!({"minReplicaCount": 0}));
    stage.state(|s| {
        s.workloads.insert("app".into(), 0);
        s.refusals.insert("status", (500, "no"));
    });
    stage.read(&[(0, 9); 4]);
    stage.after(5);
    assert_eq!(stage.replicas(), 1);
    assert_eq!(stage.hpa("maxReplicas"), json!(4));
}

#[test]
fn a_workload_that_is_not_there_is_told_and_found_when_it_comes() {
    let mut stage = Stage::with(&json!({"scaleTargetRef": {"name": "later"}}));
    stage.read(&[(0, 0); 4]);
    stage.after(20);
    let (_, reason, text) = stage.condition("Ready");
    assert_eq!(reason, "ScaledObjectCheckFailed");
    assert!(text.contains("\"later\" not found"), "{text}");
    assert_eq!(stage.hpa("maxReplicas"), json!(null));
    stage.state(|s| s.workloads.insert("later".into(), 2));
    stage.after(6);
    assert_eq!(stage.hpa("maxReplicas"), json!(4));
    assert_eq!(stage.condition("Ready").0, "True");
}

#[test]
fn another_workload_is_looked_at_before_anything_is_done_to_it() {
    let mut stage = with_lag(0);
    stage.state(|s| s.workloads.insert("other".into(), 3));
    stage.merge(
        SCALED_OBJECTS,
        "app",
        &json!({"spec": {"scaleTargetRef": {"name": "other"}}}),
    );
    stage.after(10);
    assert_eq!(stage.hpa("scaleTargetRef")["name"], "other");
}

#[test]
fn an_object_made_anew_under_its_name_inherits_nothing() {
    let mut stage = with_lag(2);
    assert_eq!(stage.served("s0-kafka-t"), Some(Ok(8)));
    let mut object = scaled_object(
        "app",
        &json!({"triggers": [kafka(&json!({"consumerGroup": "h"}))]}),
    );
    object["metadata"]["uid"] = "another".into();
    stage.put(SCALED_OBJECTS, object);
    assert!(matches!(stage.served("s0-kafka-t"), Some(Err(_))));
    assert!(stage.events().contains(&"ScaledObjectDeleted".to_owned()));
}

#[test]
fn a_deleted_object_serves_nothing_and_asks_nothing() {
    let mut stage = with_lag(2);
    stage.delete(SCALED_OBJECTS, "app");
    assert_eq!(stage.served("s0-kafka-t"), None);
    assert!(stage.asked.is_empty());
    assert!(stage.events().contains(&"ScaledObjectDeleted".to_owned()));
}

#[test]
fn an_object_that_is_given_to_somebody_else_is_let_go_without_a_word_of_its_deletion() {
    let mut stage = with_lag(2);
    stage.shares = true;
    let hpa = stage.hpa("metrics").clone();
    stage.lose("app");
    assert_eq!(stage.served("s0-kafka-t"), None);
    assert!(stage.asked.is_empty());
    assert!(!stage.events().contains(&"ScaledObjectDeleted".to_owned()));
    assert_eq!(stage.hpa("metrics"), hpa, "the HPA goes on");
}

#[test]
fn the_end_of_an_object_is_told_beside_others_too() {
    let mut stage = with_lag(2);
    stage.shares = true;
    stage.delete(SCALED_OBJECTS, "app");
    assert!(stage.events().contains(&"ScaledObjectDeleted".to_owned()));
}

#[test]
fn two_objects_of_one_group_are_served_alike_and_one_goes_alone() {
    let mut stage = with_lag(2);
    stage.state(|s| s.workloads.insert("b".into(), 1));
    let spec = json!({"triggers": [kafka(&json!({"topic": "t"}))]});
    stage.put(SCALED_OBJECTS, scaled_object("b", &spec));
    stage.sample();
    let served = |stage: &Stage, name| {
        let found = stage.table.find("shop", "s0-kafka-t", Some(name));
        !found.entries().is_empty()
    };
    assert!(served(&stage, "app") && served(&stage, "b"));
    stage.delete(SCALED_OBJECTS, "app");
    assert!(!served(&stage, "app") && served(&stage, "b"));
    assert_eq!(stage.asked.len(), 1);
}

#[test]
fn a_change_of_the_threshold_reaches_the_hpa() {
    let mut stage = with_lag(0);
    let spec = json!({"spec": {"triggers": [kafka(&json!({"lagThreshold": "50"}))]}});
    stage.merge(SCALED_OBJECTS, "app", &spec);
    stage.after(5);
    let target = &stage.hpa("metrics")[0]["external"]["target"];
    assert_eq!(target["averageValue"], "50");
}
