//! The difference between a live HPA and the one that is wanted: what to write over it.

use std::collections::BTreeSet;

use k8s_openapi::{
    api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec},
    apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry},
};
use serde_json::Value;

use crate::{quantity, scaling::plan::defaults};

/// The name that writes of HPAs go under; the API server notes the fields they set in `metadata.managedFields`.
pub const FIELD_MANAGER: &str = "lagscale";
/// Managers whose labels and annotations are ours to take off: our own, and the KEDA that lagscale takes over from.
const OURS: [&str; 2] = [FIELD_MANAGER, "keda"];

/// Reduces `managedFields` to the labels and annotations that were set by us and by nobody else: the rest is half of an HPA's
/// size, and nothing here reads it. They are kept as lines of one text: three nested maps take two kilobytes.
pub fn keep_managed(hpa: &mut HorizontalPodAutoscaler) {
    let Some(all) = hpa.metadata.managed_fields.take() else {
        return;
    };
    let (ours, theirs): (Vec<_>, Vec<_>) = all.iter().partition(|entry| {
        entry.subresource.is_none() && entry.manager.as_deref().is_some_and(|m| OURS.contains(&m))
    });
    let mut kept = String::new();
    for place in MAPS {
        let theirs: BTreeSet<_> = theirs.iter().flat_map(|e| managed(e, place)).collect();
        for key in ours.iter().flat_map(|e| managed(e, place)) {
            if !theirs.contains(&key) {
                kept.extend([place, "/", key, "\n"]);
            }
        }
    }
    if !kept.is_empty() {
        hpa.metadata.managed_fields = Some(vec![ManagedFieldsEntry {
            manager: Some(FIELD_MANAGER.to_owned()),
            fields_v1: Some(FieldsV1(Value::String(kept))),
            ..ManagedFieldsEntry::default()
        }]);
    }
}

/// Labels and annotations, as `managedFields` names them.
const MAPS: [&str; 2] = ["f:labels", "f:annotations"];

/// The keys of a map that an entry says its manager set, as the API server tells it or as [`keep_managed`] keeps it.
fn managed<'a>(entry: &'a ManagedFieldsEntry, place: &str) -> impl Iterator<Item = &'a str> {
    let fields = entry.fields_v1.as_ref().map(|f| &f.0);
    let told = fields.map(|f| &f["f:metadata"][place]);
    let told = told.and_then(Value::as_object).into_iter().flatten();
    let told = told.filter_map(|(key, _)| key.strip_prefix("f:"));
    let kept = fields
        .and_then(Value::as_str)
        .into_iter()
        .flat_map(str::lines);
    let kept = kept.filter_map(move |line| line.strip_prefix(place)?.strip_prefix('/'));
    told.chain(kept)
}

/// The HPA to write over `live` so that it is as `wanted`; `None` if it is. In every field that an HPA of ours sets the two are
/// compared exactly, after the API server's defaults. Labels, annotations and owners that others added stay; those that were
/// ours, as [`keep_managed`] tells, and are not wanted any more go.
#[must_use]
pub fn difference(
    live: &HorizontalPodAutoscaler,
    wanted: &HorizontalPodAutoscaler,
) -> Option<HorizontalPodAutoscaler> {
    let mut next = live.clone();
    // Without any the API server keeps what it knows.
    let managed_fields = next.metadata.managed_fields.take().unwrap_or_default();
    for (place, ours, theirs) in [
        (MAPS[0], &wanted.metadata.labels, &mut next.metadata.labels),
        (
            MAPS[1],
            &wanted.metadata.annotations,
            &mut next.metadata.annotations,
        ),
    ] {
        let theirs = theirs.get_or_insert_default();
        for key in managed_fields.iter().flat_map(|e| managed(e, place)) {
            theirs.remove(key);
        }
        for (key, value) in ours.iter().flatten() {
            theirs.insert(key.clone(), value.clone());
        }
    }
    let owners = next.metadata.owner_references.get_or_insert_default();
    for ours in wanted.metadata.owner_references.iter().flatten() {
        match owners.iter_mut().find(|o| o.uid == ours.uid) {
            Some(owner) => *owner = ours.clone(),
            None => owners.push(ours.clone()),
        }
    }
    if !same_spec(wanted.spec.as_ref(), live.spec.as_ref()) {
        next.spec.clone_from(&wanted.spec);
    }
    let (new, old) = (&next.metadata, &live.metadata);
    let same = same_or_empty(new.labels.as_ref(), old.labels.as_ref())
        && same_or_empty(new.annotations.as_ref(), old.annotations.as_ref())
        && same_or_empty(new.owner_references.as_ref(), old.owner_references.as_ref())
        && next.spec == live.spec;
    (!same).then_some(next)
}

fn same_or_empty<T: Default + PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
    let empty = T::default();
    a.unwrap_or(&empty) == b.unwrap_or(&empty)
}

/// Whether the API server makes the same of both.
fn same_spec(
    wanted: Option<&HorizontalPodAutoscalerSpec>,
    live: Option<&HorizontalPodAutoscalerSpec>,
) -> bool {
    let stored = |spec: &HorizontalPodAutoscalerSpec| {
        let mut spec = spec.clone();
        defaults::fill(&mut spec);
        serde_json::to_value(spec).ok()
    };
    match (wanted, live) {
        (Some(wanted), Some(live)) if wanted == live => true,
        (Some(wanted), Some(live)) => stored(wanted)
            .zip(stored(live))
            .is_some_and(|(wanted, live)| same_value(&wanted, &live)),
        _ => false,
    }
}

/// Compares two specs as JSON; a number may be spelled otherwise where a quantity stands.
fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, a)| {
                    b.get(key).is_some_and(|b| {
                        same_value(a, b) || QUANTITIES.contains(&key.as_str()) && same_text(a, b)
                    })
                })
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (a, b) => a == b,
    }
}

/// The fields of an HPA's spec that hold a quantity.
const QUANTITIES: [&str; 3] = ["value", "averageValue", "tolerance"];

fn same_text(a: &Value, b: &Value) -> bool {
    a.as_str()
        .zip(b.as_str())
        .is_some_and(|(a, b)| quantity::same(a, b))
}
