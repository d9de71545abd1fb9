//! KEDA's finalizers, and when a replica is ready.

use serde_json::{Value, json};

use super::stage::{
    AUTHENTICATIONS, CLUSTER_AUTHENTICATIONS, SCALED_OBJECTS, Stage, scaled_object,
};

fn held(kind: &str) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": kind, "spec": {},
        "metadata": {"name": "auth", "namespace": "shop", "uid": "uid of auth", "finalizers": ["finalizer.keda.sh", "mine"]},
    })
}

fn finalizers(stage: &Stage, kind: &str) -> Value {
    let name = if kind == SCALED_OBJECTS {
        "app"
    } else {
        "auth"
    };
    stage.state(|s| s.get(kind, name).unwrap()["metadata"]["finalizers"].clone())
}

#[test]
fn an_authentication_loses_keda_s_finalizer_and_keeps_others() {
    let mut stage = Stage::new();
    stage.put(AUTHENTICATIONS, held("TriggerAuthentication"));
    assert_eq!(finalizers(&stage, AUTHENTICATIONS), json!(["mine"]));
}

#[test]
fn a_cluster_s_authentication_does_too() {
    let mut stage = Stage::new();
    let mut held = held("ClusterTriggerAuthentication");
    held["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("namespace");
    stage.put(CLUSTER_AUTHENTICATIONS, held);
    assert_eq!(finalizers(&stage, CLUSTER_AUTHENTICATIONS), json!(["mine"]));
}

#[test]
fn a_keda_that_puts_its_finalizer_on_again_is_not_fought() {
    let mut stage = Stage::new();
    stage.put(AUTHENTICATIONS, held("TriggerAuthentication"));
    stage.put(AUTHENTICATIONS, held("TriggerAuthentication"));
    assert_eq!(
        finalizers(&stage, AUTHENTICATIONS),
        json!(["finalizer.keda.sh", "mine"])
    );
    let mut deleted = held("TriggerAuthentication");
    deleted["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
    stage.put(AUTHENTICATIONS, deleted);
    assert_eq!(
        finalizers(&stage, AUTHENTICATIONS),
        json!(["mine"]),
        "its deletion would hang"
    );
}

#[test]
fn a_replica_that_does_not_lead_takes_none_off_until_it_does() {
    let mut stage = Stage::new();
    stage.lead(false);
    stage.put(AUTHENTICATIONS, held("TriggerAuthentication"));
    assert_eq!(
        finalizers(&stage, AUTHENTICATIONS),
        json!(["finalizer.keda.sh", "mine"])
    );
    stage.lead(true);
    assert_eq!(finalizers(&stage, AUTHENTICATIONS), json!(["mine"]));
}

#[test]
fn beside_a_keda_of_other_objects_an_authentication_keeps_its_finalizer_until_it_is_deleted() {
    let mut stage = Stage::new();
    stage.shares = true;
    stage.put(AUTHENTICATIONS, held("TriggerAuthentication"));
    assert_eq!(
        finalizers(&stage, AUTHENTICATIONS),
        json!(["finalizer.keda.sh", "mine"])
    );
    let deleted = json!({"metadata": {"deletionTimestamp": "2026-01-02T00:00:00Z"}});
    stage.merge(AUTHENTICATIONS, "auth", &deleted);
    assert_eq!(finalizers(&stage, AUTHENTICATIONS), json!(["mine"]));
}

#[test]
fn an_object_that_restores_nothing_loses_keda_s_finalizer() {
    let mut stage = Stage::new();
    let mut object = scaled_object("app", &json!({}));
    object["metadata"]["finalizers"] = json!(["finalizer.keda.sh"]);
    stage.put(SCALED_OBJECTS, object);
    stage.read(&[(0, 0)]);
    stage.after(5);
    assert_eq!(finalizers(&stage, SCALED_OBJECTS), json!([]));
}

#[test]
fn an_object_that_restores_its_workload_is_held_from_the_first_status_on() {
    let mut stage = Stage::with(&json!({"advanced": {"restoreToOriginalReplicaCount": true}}));
    stage.read(&[(0, 0)]);
    assert_eq!(
        finalizers(&stage, SCALED_OBJECTS),
        json!(["finalizer.keda.sh"])
    );
}

#[test]
fn a_deletion_does_not_hang_where_the_workload_is_gone() {
    let mut stage = Stage::with(&json!({"advanced": {"restoreToOriginalReplicaCount": true}}));
    stage.read(&[(0, 0)]);
    stage.after(5);
    stage.state(|s| s.workloads.clear());
    let deleted = json!({"metadata": {"deletionTimestamp": "2026-01-02T00:00:00Z"}});
    stage.merge(SCALED_OBJECTS, "app", &deleted);
    assert_eq!(finalizers(&stage, SCALED_OBJECTS), json!([]));
}

#[test]
fn without_objects_a_replica_is_ready_after_its_first_lists() {
    let mut stage = Stage::new();
    assert!(!stage.is_ready());
    stage.after(1);
    assert!(stage.is_ready());
}

#[test]
fn a_replica_is_ready_once_the_first_poll_of_each_group_is_over() {
    let mut stage = Stage::with(&json!({}));
    stage.after(5);
    assert!(!stage.is_ready());
    stage.read(&[(0, 0)]);
    assert!(stage.is_ready());
}

#[test]
fn an_outage_is_an_answer_too() {
    let mut stage = Stage::with(&json!({}));
    stage.outage("broker kafka:9092: refused");
    assert!(stage.is_ready());
}

#[test]
fn whoever_names_brokers_that_never_answer_keeps_a_replica_from_being_ready_for_a_quarter_of_a_minute()
 {
    let mut stage = Stage::with(&json!({}));
    stage.silence(14);
    assert!(!stage.is_ready());
    stage.silence(2);
    assert!(stage.is_ready());
}

#[test]
fn an_object_that_goes_is_not_waited_for() {
    let mut stage = Stage::with(&json!({}));
    stage.delete(SCALED_OBJECTS, "app");
    assert!(stage.is_ready());
}
