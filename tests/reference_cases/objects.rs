//! Rows about an object's bounds, its pauses and its checks.

use fixture::Bench;
use lagscale::{
    resources::ScaledObject,
    scaling::{Plan, checks, wanted as hpa},
};
use serde_json::json;

use crate::{Outcome, Row};

/// A ScaledObject's bounds as a plan sees them.
fn bounded(row: &Row) -> Bench {
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

pub fn bounds(row: &Row) -> Outcome {
    let problem = bounded(row).plan.problem;
    match (row.error(), problem) {
        (None, None) => Ok(()),
        (Some(text), Some(found)) if found.contains(text) => Ok(()),
        (_, found) => Err(format!("{found:?}")),
    }
}

/// Before anything is read; afterwards the partitions bound it.
pub fn hpa_replicas(row: &Row) -> Outcome {
    let mut bench = bounded(row);
    let max = bench.evaluate().max;
    let hpa = hpa(&bench.plan, max).and_then(|h| h.spec).unwrap();
    let found = json!({"minReplicas": hpa.min_replicas, "maxReplicas": hpa.max_replicas});
    if row["expect"] == found {
        Ok(())
    } else {
        Err(found.to_string())
    }
}

pub fn pause(row: &Row) -> Outcome {
    let mut object = (*Bench::new(&json!({})).plan.object).clone();
    object.metadata.annotations = serde_json::from_value(row["annotations"].clone()).unwrap();
    object.status = serde_json::from_value(row["status"].clone()).unwrap();
    let found = Plan::new(object.into(), Vec::new()).pause.whole;
    if row["expect"] == found {
        Ok(())
    } else {
        Err(found.to_string())
    }
}

/// An object with the triggers of a row, some of which are just a type.
fn validated(row: &Row) -> ScaledObject {
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
fn said(row: &Row, object: ScaledObject, found: Option<String>) -> Outcome {
    let told = Plan::new(object.into(), Vec::new()).problem;
    match (row.error(), found, told) {
        (None, None, None) => Ok(()),
        (Some(text), Some(found), Some(told)) if found.contains(text) && told.contains(text) => {
            Ok(())
        }
        (_, found, told) => Err(format!("{found:?}, as a condition {told:?}")),
    }
}

pub fn triggers_validation(row: &Row) -> Outcome {
    let object = validated(row);
    let found = checks::triggers(&object.spec);
    said(row, object, found)
}

pub fn fallback_validation(row: &Row) -> Outcome {
    let object = validated(row);
    let found = checks::fallback(&object.spec);
    said(row, object, found)
}
