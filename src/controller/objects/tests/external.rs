//! Triggers that a KEDA asks about: they come by being asked for, are read as any other, write nothing, and go.

use serde_json::{Value, json};

use super::stage::{AUTHENTICATIONS, SCALED_OBJECTS, Stage, kafka, scaled_object};
use crate::controller::{ExternalReading, ExternalValue, Readings};

fn metadata(more: &Value) -> Value {
    let mut metadata = kafka(more)["metadata"].take();
    metadata["scalerAddress"] = "lagscale.lagscale.svc:9443".into();
    metadata["enableTLS"] = "true".into();
    metadata["unsafeSsl"] = "false".into();
    metadata
}

fn reading(readings: &Readings) -> ExternalReading {
    readings.borrow().clone().unwrap().unwrap()
}

fn value(readings: &Readings) -> ExternalValue {
    reading(readings).value.unwrap().unwrap()
}

fn of(milli: i64, active: bool) -> ExternalValue {
    ExternalValue { milli, active }
}

#[test]
fn a_trigger_that_is_asked_about_is_read_cut_as_keda_cuts_and_writes_nothing() {
    let mut stage = Stage::new();
    let metadata = metadata(&json!({"activationLagThreshold": "3"}));
    let readings = stage.ask(&metadata);
    let before = reading(&readings);
    assert_eq!((&*before.metric, before.target), ("kafka-t", 5));
    assert_eq!(before.value, None, "nobody has answered yet");
    stage.read(&[(0, 2), (0, 1)]);
    assert_eq!(value(&readings), of(3_000, false));
    stage.read(&[(0, 2), (0, 2)]);
    assert_eq!(value(&readings), of(4_000, true));
    // Two partitions are work for two.
    stage.read(&[(0, 500), (0, 500)]);
    assert_eq!(value(&readings), of(10_000, true));
    stage.after(60);
    assert!(stage.writes().is_empty() && stage.events().is_empty());
    assert_eq!(
        stage.served("s0-kafka-t"),
        None,
        "no HPA of ours asks for it"
    );
    assert!(stage.is_ready());
}

#[test]
fn one_of_the_same_name_as_a_scaled_object_is_another() {
    let mut stage = Stage::new();
    stage.put(SCALED_OBJECTS, scaled_object("app", &json!({})));
    let readings = stage.ask(&metadata(&json!({"lagThreshold": "7"})));
    let other = stage.ask(&metadata(&json!({"lagThreshold": "8"})));
    stage.read(&[(0, 6)]);
    assert_eq!(value(&readings), of(6_000, true));
    assert_eq!((reading(&readings).target, reading(&other).target), (7, 8));
    assert_eq!(stage.served("s0-kafka-t"), Some(Ok(5)));
    stage.delete(SCALED_OBJECTS, "app");
    stage.read(&[(0, 3)]);
    assert_eq!(value(&readings), of(3_000, true));
}

#[test]
fn it_is_read_while_somebody_asks_or_listens_and_ten_minutes_longer() {
    let mut stage = Stage::new();
    let metadata = metadata(&json!({}));
    let listener = stage.ask(&metadata);
    let asked = |stage: &Stage| stage.asks("g");
    stage.after(3_000);
    stage.forget();
    assert!(asked(&stage), "somebody listens");
    drop(listener);
    drop(stage.ask(&metadata));
    stage.after(599);
    stage.forget();
    assert!(asked(&stage));
    stage.after(1);
    stage.forget();
    assert!(!asked(&stage), "nobody has asked for ten minutes");
    let again = stage.ask(&metadata);
    stage.read(&[(0, 1)]);
    assert_eq!(value(&again), of(1_000, true));
}

#[test]
fn fields_from_the_environment_come_resolved_and_what_is_about_the_way_here_is_no_field() {
    let mut stage = Stage::new();
    let readings = stage.ask(&json!({
        "bootstrapServersFromEnv": "kafka:9092", "consumerGroup": "g", "consumerGroupFromEnv": "another", "topic": "t",
        "scalerAddress": "lagscale:9443", "unsafeSsl": "perhaps", "enableTLS": "perhaps",
    }));
    stage.read(&[(0, 2)]);
    assert_eq!(value(&readings), of(2_000, true));
}

#[test]
fn one_that_is_written_wrongly_is_told_so_and_one_whose_authentication_comes_later_is_read_then() {
    let mut stage = Stage::new();
    let wrong = stage.ask(&metadata(&json!({"lagThreshold": "0"})));
    let why = wrong.borrow().clone().unwrap().unwrap_err();
    assert!(why.contains("lagThreshold"), "{why}");
    let readings = stage.ask(&metadata(&json!({"authenticationRef": "auth"})));
    let why = reading(&readings).value.unwrap().unwrap_err();
    assert!(why.contains("auth"), "{why}");
    let auth = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "spec": {},
        "metadata": {"name": "auth", "namespace": "shop", "uid": "uid of auth"},
    });
    stage.put(AUTHENTICATIONS, auth);
    stage.read(&[(0, 2)]);
    assert_eq!(value(&readings), of(2_000, true));
}

#[test]
fn in_an_outage_its_value_is_withheld_with_the_reason() {
    let mut stage = Stage::new();
    let readings = stage.ask(&metadata(&json!({})));
    stage.read(&[(0, 2)]);
    stage.outage("nobody is at home");
    stage.silence(60);
    let why = reading(&readings).value.unwrap().unwrap_err();
    assert!(why.contains("nobody is at home"), "{why}");
}
