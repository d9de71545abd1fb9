//! LagMetrics: served and told of, and nothing is scaled.

use serde_json::{Value, json};

use super::stage::{LAG_METRICS, SCALED_OBJECTS, Stage, scaled_object};

pub fn lag_metric(topics: &Value) -> Value {
    json!({
        "apiVersion": "lagscale.io/v1alpha1", "kind": "LagMetric",
        "metadata": {"name": "orders", "namespace": "shop", "uid": "uid of orders", "generation": 1},
        "spec": {"bootstrapServers": "kafka:9092", "consumerGroup": "g", "topics": topics},
    })
}

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.put(LAG_METRICS, lag_metric(&json!(["t"])));
    stage
}

fn status(stage: &Stage) -> Value {
    stage.state(|s| s.get(LAG_METRICS, "orders").unwrap()["status"].clone())
}

#[test]
fn it_is_served_uncut() {
    let mut stage = stage();
    stage.read(&[(0, 500); 2]);
    assert_eq!(stage.served("orders"), Some(Ok(1_000)));
}

#[test]
fn its_first_status_is_written_once_it_was_read() {
    let mut stage = stage();
    stage.after(5);
    assert!(stage.writes().is_empty());
    stage.read(&[(0, 500); 2]);
    assert_eq!(stage.writes(), ["patch lagmetrics/orders/status"]);
    let status = status(&stage);
    assert_eq!(
        (&status["value"], &status["partitions"]),
        (&json!("1k"), &json!(2))
    );
}

#[test]
fn without_an_answer_its_status_says_so_after_ten_seconds() {
    let mut stage = stage();
    stage.silence(9);
    assert!(stage.writes().is_empty());
    stage.silence(2);
    assert_eq!(status(&stage)["conditions"][0]["status"], "False");
}

#[test]
fn its_numbers_are_worth_a_write_a_minute() {
    let mut stage = stage();
    stage.read(&[(0, 0)]);
    stage.writes();
    for lag in 1..=120 {
        stage.read(&[(0, lag)]);
        stage.after(1);
    }
    let writes = stage.writes().len();
    assert!((1..=2).contains(&writes), "{writes}");
}

#[test]
fn a_status_that_is_refused_is_tried_again_after_ten_seconds() {
    let mut stage = stage();
    stage.state(|s| s.refusals.insert("lagmetrics", (500, "no")));
    stage.read(&[(0, 1)]);
    stage.after(5);
    stage.state(|s| s.refusals.clear());
    stage.after(3);
    assert!(stage.writes().is_empty());
    stage.after(5);
    assert_eq!(stage.writes().len(), 1);
}

#[test]
fn a_replica_that_does_not_lead_serves_it_and_writes_nothing() {
    let mut stage = Stage::new();
    stage.lead(false);
    stage.put(LAG_METRICS, lag_metric(&json!(["t"])));
    stage.read(&[(0, 7)]);
    stage.after(60);
    assert_eq!(stage.served("orders"), Some(Ok(7)));
    assert!(stage.writes().is_empty());
    stage.lead(true);
    stage.after(5);
    assert_eq!(stage.writes().len(), 1);
}

#[test]
fn a_restart_in_quiet_times_writes_nothing() {
    let mut stage = stage();
    stage.read(&[(0, 7)]);
    stage.after(10);
    stage.writes();
    stage.restart(3);
    stage.sample();
    stage.after(20);
    assert!(stage.writes().is_empty());
}

/// Where the group stands as the status has it: the words of topic `t` behind its id.
fn remembered(stage: &Stage) -> Option<String> {
    let text = status(stage)["remembered"]["s0-kafka-t"]["topics"]["t"]
        .as_str()?
        .to_owned();
    Some(text.split_once(' ')?.1.to_owned())
}

#[test]
fn where_a_group_stands_is_remembered_once_it_has_not_moved_for_a_minute() {
    let mut stage = stage();
    stage.read(&[(5, 5)]);
    stage.after(50);
    stage.read(&[(6, 6)]);
    stage.after(50);
    assert_eq!(remembered(&stage), None, "it moves");
    stage.after(20);
    assert_eq!(remembered(&stage).as_deref(), Some("6"));
    stage.writes();
    stage.after(600);
    assert!(stage.writes().is_empty(), "nothing new is to be remembered");
    stage.read(&[(7, 9)]);
    stage.after(50);
    assert_eq!(remembered(&stage).as_deref(), Some("6"));
    stage.after(20);
    assert_eq!(remembered(&stage).as_deref(), Some("7"));
}

#[test]
fn its_deletion_takes_the_metric_and_the_demand() {
    let mut stage = stage();
    stage.read(&[(0, 7)]);
    stage.delete(LAG_METRICS, "orders");
    assert_eq!(stage.served("orders"), None);
    assert!(stage.asked.is_empty());
}

#[test]
fn another_specification_is_served_and_told_at_once() {
    let mut stage = stage();
    stage.read(&[(0, 7)]);
    stage.after(5);
    let mut other = lag_metric(&json!(["t", "missing"]));
    other["metadata"]["generation"] = json!(2);
    stage.put(LAG_METRICS, other);
    let found = stage.table.find("shop", "orders", None);
    assert_eq!(found.entries().len(), 2);
    stage.after(5);
    assert_eq!(status(&stage)["observedGeneration"], 2);
}

#[test]
fn it_and_a_scaled_object_of_its_name_do_not_know_each_other() {
    let mut stage = stage();
    stage.state(|s| s.workloads.insert("orders".into(), 1));
    stage.put(SCALED_OBJECTS, scaled_object("orders", &json!({})));
    stage.read(&[(0, 7)]);
    stage.delete(LAG_METRICS, "orders");
    assert_eq!(stage.served("s0-kafka-t").map(|s| s.is_ok()), Some(true));
    assert_eq!(stage.asked.len(), 1);
}
