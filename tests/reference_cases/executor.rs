//! Rows about the steps that are not the HPA's, and what is said of them.

use fixture::{Bench, live};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lagscale::{
    resources::Condition,
    scaling::{
        Activity, Health, Live, Move, Plan, conditions, keeps_awake, next_move, step_error,
        step_event,
    },
};
use serde_json::{Value, json};

use crate::{Outcome, Row, caps::read_lags};

/// A row of a step that failed, whatever it expects of `lastActiveTime`.
pub fn failed_step(row: &Row) -> Outcome {
    let mut told = (**row).clone();
    told["expect"]["lastActiveSet"] = Value::Null;
    executor(&told.into())
}

pub fn executor(row: &Row) -> Outcome {
    let mut bench = object(row);
    let evaluation = bench.evaluate();
    let activity = match (row["active"] == true, row["error"] == true) {
        _ if row["lags"].is_array() => Activity::of(&bench.plan, &evaluation),
        (true, _) => Activity::Active(metrics(row)),
        (false, true) => Activity::of(&bench.plan, &evaluation),
        (false, false) => Activity::Idle,
    };
    let current = row["current"].as_i64().unwrap_or(1);
    let current = i32::try_from(current).unwrap();
    let last = before_now(&row["lastActive"], bench.now.wall);
    let step = next_move(&bench.plan, &activity, current, last, bench.now.wall);
    let expected = &row["expect"];
    replicas(expected, &step, current)?;
    let event = expected["event"].as_str();
    // One that failed once works at the next try.
    let failure = row["scaleError"].as_str().filter(|e| *e != "then none");
    if let Some(wanted) = event {
        told(wanted, &step, &bench.plan, current, failure)?;
    }
    let awake = keeps_awake(&bench.plan, &activity, &evaluation);
    if expected["lastActiveSet"]
        .as_bool()
        .is_some_and(|w| w != awake)
    {
        return Err(format!("the last activity is now: {awake}"));
    }
    let plan = &bench.plan;
    let health = Health {
        step: failure.map(|error| step_error(&step, error)),
        ..Health::default()
    };
    let hpa = hpa(row);
    let (hpa, settings) = (hpa.as_ref(), fixture::SETTINGS);
    let all = conditions(plan, &evaluation, &activity, &step, &health, hpa, settings);
    said(expected, &all, row["situation"].is_string())
}

/// A time as a row has it: `now-10s`.
fn before_now(text: &Row, now: Timestamp) -> Option<Timestamp> {
    let text = text.as_str()?;
    let age = text.strip_prefix("now-").unwrap();
    let (count, unit) = age.split_at(age.len() - 1);
    let unit = if unit == "m" { 60 } else { 1 };
    let count: u64 = count.parse().unwrap();
    Some(now - Duration::from_secs(count * unit))
}

/// The row's object, read once and, with an error in the row, not again for long enough to be withheld.
fn object(row: &Row) -> Bench {
    let mut spec = json!({});
    for (key, field) in [
        ("min", "minReplicaCount"),
        ("idle", "idleReplicaCount"),
        ("max", "maxReplicaCount"),
        ("cooldownPeriod", "cooldownPeriod"),
        ("initialCooldownPeriod", "initialCooldownPeriod"),
    ] {
        if !row[key].is_null() {
            spec[field] = row[key].clone();
        }
    }
    if row["fallback"].is_object() {
        spec["fallback"] = json!({"failureThreshold": 3, "replicas": *row["fallback"]["replicas"]});
    }
    let persistent = row["activationLags"].is_array().to_string();
    let mut bench = Bench::with(&spec, &json!({"excludePersistentLag": persistent}));
    let mut object = (*bench.plan.object).clone();
    object.metadata.annotations = serde_json::from_value(row["annotations"].clone()).ok();
    let created = before_now(&row["created"], bench.now.wall);
    object.metadata.creation_timestamp = created.map(Time);
    if row["situation"].is_string() {
        object.status = serde_json::from_value(json!({"conditions": [before()]})).unwrap();
    }
    bench.plan = Plan::new(object.into(), bench.plan.triggers.clone());
    if row["lags"].is_array() {
        read_lags(row, &mut bench);
    } else {
        bench.read(&[(0, 1)]);
    }
    bench.evaluate();
    bench.after(if row["error"] == true { 60 } else { 0 });
    bench
}

/// The status of an HPA that can't be read now.
fn before() -> Value {
    json!({"type": "HPAActive", "status": "True", "reason": "HPAActive", "message": "HPA is actively scaling"})
}

fn metrics(row: &Row) -> Vec<std::sync::Arc<str>> {
    let named = row["activeTriggers"].as_array().into_iter().flatten();
    let named: Vec<_> = named.filter_map(Value::as_str).map(Into::into).collect();
    if named.is_empty() {
        vec!["s0-kafka-t".into()]
    } else {
        named
    }
}

fn replicas(expected: &Row, step: &Move, current: i32) -> Outcome {
    let found = match step {
        // To hold a number is the pause's step, not the poll's.
        Move::Hold(_) => current,
        step => step.to().unwrap_or(current),
    };
    let wanted = match &*expected["replicas"] {
        Value::Number(number) => number.as_i64(),
        Value::String(text) if text.starts_with("unchanged") => Some(i64::from(current)),
        _ => None,
    };
    match wanted {
        Some(wanted) if wanted != i64::from(found) => {
            Err(format!("expected {wanted:?}, found {step:?}"))
        }
        _ => Ok(()),
    }
}

/// `none`, or type, reason and note.
fn told(wanted: &str, step: &Move, plan: &Plan, from: i32, failure: Option<&str>) -> Outcome {
    let event = step_event(plan, step, "<kind>", from, failure);
    let found = event.map_or_else(
        || "none".to_owned(),
        |e| {
            let kind = if e.warning { "Warning" } else { "Normal" };
            format!("{kind} {}: {}", e.reason, e.note)
        },
    );
    let target = format!(
        "{}/{}",
        plan.namespace, plan.object.spec.scale_target_ref.name
    );
    let wanted = wanted.replace("ns/name", &target);
    let wanted = wanted.replace("<last read>", &from.to_string());
    if found == wanted {
        Ok(())
    } else {
        Err(format!("expected event {wanted}, found {found}"))
    }
}

fn hpa(row: &Row) -> Option<Live> {
    let said = &row["hpaScalingActive"];
    let text = |key: &str, default: &str| said[key].as_str().unwrap_or(default).to_owned();
    if said.is_null() {
        return None;
    }
    let default = if *said == true { "True" } else { "False" };
    let scaling_active = (
        text("status", default),
        text("reason", "ValidMetricFound"),
        text("message", "its own words"),
    );
    Some(Live {
        scaling_active: Some(scaling_active),
        ..live(5)
    })
}

fn said(expected: &Row, all: &[Condition], unchanged: bool) -> Outcome {
    for kind in ["Ready", "Active", "Paused", "HPAActive", "Fallback"] {
        let expected = &expected[kind];
        if expected.is_null() {
            continue;
        }
        let found = all.iter().find(|c| c.kind == kind);
        let found = found.ok_or_else(|| format!("there is no {kind}"))?;
        let text = expected.as_str().unwrap_or_default();
        let text = text.trim_end_matches(" after the next poll");
        let said = format!("{}/{}", found.status, found.reason);
        let good = match text {
            "not true" => found.status != "True",
            "unchanged" => unchanged && serde_json::to_value(found).unwrap() == before(),
            _ if text.contains('/') => said == text,
            _ => found.status == text,
        };
        if !good {
            return Err(format!("{kind}: expected {text}, found {said}"));
        }
    }
    let message = expected["message"].as_str();
    match message {
        Some(text) if !all.iter().any(|c| c.message == text) => {
            Err(format!("nobody says {text:?}: {all:?}"))
        }
        _ => Ok(()),
    }
}
