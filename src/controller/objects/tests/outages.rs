//! Outages of Kafka in the status: told once, told less and less often, ended at once, and counted towards a fallback.

use serde_json::json;

use super::{
    stage::Stage,
    status::{ready, told},
};

const REFUSED: &str = "broker kafka:9092: connection refused";

#[test]
fn an_outage_is_told_when_the_last_reading_is_too_old_to_be_served() {
    let mut stage = ready(&json!({}));
    stage.outage(REFUSED);
    stage.silence(5);
    let (status, reason, text) = stage.condition("KafkaReachable");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "Unreachable"));
    assert!(text.contains(REFUSED), "{text}");
    let (status, reason, text) = stage.condition("Ready");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("True", "ScaledObjectReady"),
        "it passes by itself"
    );
    assert!(text.contains(REFUSED), "{text}");
    assert_eq!(stage.events(), ["KEDAScalerFailed"]);
    stage.read(&[(0, 9); 4]);
    assert_eq!(stage.condition("KafkaReachable").0, "True");
    assert_eq!(stage.events(), ["KafkaReachable"]);
}

#[test]
fn a_restart_in_an_outage_leaves_an_object_ready_that_was_read_before_and_one_that_never_was_is_not()
 {
    let mut stage = ready(&json!({}));
    stage.outage(REFUSED);
    stage.silence(30);
    stage.restart(3);
    stage.outage(REFUSED);
    stage.silence(60);
    assert_eq!(stage.condition("Ready").1, "ScaledObjectReady");
    assert_eq!(stage.condition("KafkaReachable").1, "Unreachable");

    let mut stage = Stage::with(&json!({}));
    stage.outage(REFUSED);
    stage.after(30);
    assert_eq!(stage.condition("Ready").1, "TriggerError");
    assert_eq!(stage.condition("KafkaReachable").1, "NeverRead");
}

#[test]
fn an_outage_that_goes_on_is_not_told_again() {
    let mut stage = ready(&json!({}));
    stage.outage(REFUSED);
    stage.silence(30);
    told(&stage);
    stage.silence(600);
    assert_eq!(told(&stage), 0);
}

#[test]
fn an_outage_that_changes_its_words_is_told_less_and_less_often() {
    let mut stage = ready(&json!({}));
    stage.outage(REFUSED);
    stage.silence(30);
    told(&stage);
    for second in 0..600 {
        stage.outage(&format!("{REFUSED} ({second})"));
        stage.silence(1);
    }
    let count = told(&stage);
    assert!((1..=7).contains(&count), "{count}");
}

#[test]
fn the_end_of_an_outage_is_told_at_once() {
    let mut stage = ready(&json!({}));
    stage.outage(REFUSED);
    stage.silence(30);
    stage.events();
    stage.read(&[(0, 9); 4]);
    assert_eq!(stage.condition("Ready").0, "True");
    assert_eq!(stage.events(), ["KafkaReachable"]);
}

#[test]
fn failures_are_told_as_the_first_and_as_too_many() {
    let mut stage = ready(&json!({"fallback": {"failureThreshold": 3, "replicas": 2}}));
    let health = |stage: &Stage| stage.status()["health"]["s0-kafka-t"].clone();
    assert_eq!(health(&stage)["status"], "Happy");
    stage.outage(REFUSED);
    stage.silence(2);
    assert_eq!(
        health(&stage),
        json!({"numberOfFailures": 1, "status": "Failing"})
    );
    stage.silence(10);
    assert_eq!(health(&stage)["numberOfFailures"], 1);
    stage.silence(15);
    assert_eq!(health(&stage)["numberOfFailures"], 4);
    stage.read(&[(0, 9); 4]);
    assert_eq!(
        health(&stage),
        json!({"numberOfFailures": 0, "status": "Happy"})
    );
}

#[test]
fn a_fallback_is_told_as_a_condition_and_an_event() {
    let mut stage = ready(&json!({"fallback": {"failureThreshold": 1, "replicas": 2}}));
    stage.outage(REFUSED);
    stage.silence(60);
    assert_eq!(stage.condition("Fallback").1, "FallbackExists");
    assert_eq!(
        stage.condition("Ready").0,
        "True",
        "a fallback is asked for"
    );
    assert!(
        stage
            .events()
            .contains(&"ScaledObjectFallbackActivated".to_owned())
    );
    stage.read(&[(0, 9); 4]);
    stage.after(5);
    assert_eq!(stage.condition("Fallback").1, "NoFallbackFound");
    assert!(
        stage
            .events()
            .contains(&"ScaledObjectFallbackDeactivated".to_owned())
    );
}
