//! Rows about an object's bounds, its pauses, and the steps that are not the HPA's.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lagscale::{
    resources::ScaledObject,
    scaling::{Activity, Health, Move, Pause, Plan, checks, conditions, next_move, wanted as hpa},
};
use serde_json::{Value, json};

use crate::{Outcome, bench::Bench};

/// A ScaledObject's bounds as a plan sees them.
fn bounded(row: &Value) -> Bench {
    let mut spec = json!({});
    for (key, field) in [
        ("min", "minReplicaCount"),
        ("max", "maxReplicaCount"),
        ("idle", "idleReplicaCount"),
    ] {
        if !row[key].is_null() {
            spec[field] = row[key].clone();
        }
    }
    Bench::new(&spec)
}

pub fn bounds(row: &Value) -> Outcome {
    let problem = bounded(row).plan.problem;
    match (row["expect"]["err"].as_str(), problem) {
        (None, None) => Ok(()),
        (Some(text), Some(found)) if found.contains(text) => Ok(()),
        (_, found) => Err(format!("{found:?}")),
    }
}

/// Before anything is read; afterwards the partitions bound it.
pub fn hpa_replicas(row: &Value) -> Outcome {
    let mut bench = bounded(row);
    let max = bench.evaluate().max;
    let hpa = hpa(&bench.plan, max).and_then(|h| h.spec).unwrap();
    let found = json!({"minReplicas": hpa.min_replicas, "maxReplicas": hpa.max_replicas});
    if found == row["expect"] {
        Ok(())
    } else {
        Err(found.to_string())
    }
}

/// The step that follows from a row's triggers; events and what an HPA does afterwards are the bed's.
pub fn executor(row: &Value) -> Outcome {
    let mut spec = json!({});
    for (key, field) in [
        ("min", "minReplicaCount"),
        ("idle", "idleReplicaCount"),
        ("initialCooldownPeriod", "initialCooldownPeriod"),
    ] {
        if !row[key].is_null() {
            spec[field] = row[key].clone();
        }
    }
    let mut bench = Bench::new(&spec);
    let mut object = (*bench.plan.object).clone();
    object.metadata.annotations = serde_json::from_value(row["annotations"].clone()).ok();
    let created = row["created"]
        .as_str()
        .map(|_| bench.now.wall - Duration::from_secs(10));
    object.metadata.creation_timestamp = created.map(Time);
    bench.plan = Plan::new(object.into(), bench.plan.triggers.clone());
    let activity = match (row["active"] == true, row["error"] == true) {
        (true, _) => Activity::Active(vec!["s0-kafka-t".into()]),
        (false, true) => Activity::Unknown,
        (false, false) => Activity::Idle,
    };
    let Some(current) = row["current"].as_i64() else {
        return Ok(());
    };
    let current = i32::try_from(current).unwrap();
    let step = next_move(&bench.plan, &activity, current, None, bench.now.wall);
    let found = match step {
        // To hold a number is the pause's step, not the poll's.
        Move::Stay | Move::CoolDown | Move::Hold(_) => current,
        Move::Wake(to, _) | Move::Sleep(to) | Move::Floor(to) => to,
    };
    let wanted = match &row["expect"]["replicas"] {
        Value::Number(number) => number.as_i64(),
        Value::String(text) if text.starts_with("unchanged") => Some(i64::from(current)),
        _ => None,
    };
    if wanted.is_some_and(|w| w != i64::from(found)) {
        return Err(format!("expected {wanted:?}, found {step:?}"));
    }
    let evaluation = bench.evaluate();
    let all = conditions(
        &bench.plan,
        &evaluation,
        &activity,
        &step,
        &Health::default(),
        None,
    );
    for (kind, expected) in row["expect"].as_object().into_iter().flatten() {
        let Some(found) = all.iter().find(|c| c.kind == *kind && kind != "Ready") else {
            continue;
        };
        let text = expected.as_str().unwrap_or_default();
        let said = format!("{}/{}", found.status, found.reason);
        let good = match text {
            "not true" => found.status != "True",
            _ if text.contains('/') => said == text,
            _ => found.status == text,
        };
        if !good {
            return Err(format!("{kind}: expected {text}, found {said}"));
        }
    }
    Ok(())
}

pub fn pause(row: &Value) -> Outcome {
    let annotations = serde_json::from_value(row["annotations"].clone()).unwrap();
    let found = Pause::of(&annotations)?.whole;
    if row["expect"] == found {
        Ok(())
    } else {
        Err(found.to_string())
    }
}

/// An object with the triggers of a row, some of which are just a type.
fn validated(row: &Value) -> ScaledObject {
    let mut object = (*Bench::new(&json!({})).plan.object).clone();
    let triggers = row["triggers"].as_array().unwrap().iter().map(|trigger| {
        let mut whole = match trigger.as_str() {
            Some(kind) => json!({"type": kind}),
            None => trigger.clone(),
        };
        whole["metadata"] = json!({});
        serde_json::from_value(whole).unwrap()
    });
    object.spec.triggers = triggers.collect();
    object.spec.fallback = serde_json::from_value(row["fallback"].clone()).unwrap();
    object
}

/// As the check says it, and as the condition of a stored object does.
fn said(row: &Value, object: ScaledObject, found: Option<String>) -> Outcome {
    let told = Plan::new(object.into(), Vec::new()).problem;
    match (row["expect"]["err"].as_str(), found, told) {
        (None, None, None) => Ok(()),
        (Some(text), Some(found), Some(told)) if found.contains(text) && told.contains(text) => {
            Ok(())
        }
        (_, found, told) => Err(format!("{found:?}, as a condition {told:?}")),
    }
}

pub fn triggers_validation(row: &Value) -> Outcome {
    let object = validated(row);
    let found = checks::triggers(&object.spec);
    said(row, object, found)
}

pub fn fallback_validation(row: &Value) -> Outcome {
    let object = validated(row);
    let found = checks::fallback(&object.spec);
    said(row, object, found)
}
