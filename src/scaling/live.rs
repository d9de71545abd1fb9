//! A live HPA: what counts of it, and what to write over it so that it is as wanted.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec};
use serde_json::Value;

use crate::quantity;

/// What counts of a live HPA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// `spec.maxReplicas`.
    pub max: i32,
    /// `spec.behavior.scaleUp.tolerance`, in thousandths.
    pub tolerance_milli: Option<i64>,
    /// `status.currentReplicas`.
    pub replicas: Option<i32>,
    /// Status, reason and message of its `ScalingActive` condition.
    pub scaling_active: Option<(String, String, String)>,
}

impl Live {
    /// Reads a watched HPA.
    #[must_use]
    pub fn of(hpa: &HorizontalPodAutoscaler) -> Self {
        let spec = hpa.spec.as_ref();
        Self {
            max: spec.map_or(1, |s| s.max_replicas),
            tolerance_milli: tolerance(spec),
            replicas: hpa.status.as_ref().and_then(|s| s.current_replicas),
            scaling_active: scaling_active(hpa),
        }
    }
}

fn scaling_active(hpa: &HorizontalPodAutoscaler) -> Option<(String, String, String)> {
    let mut conditions = hpa.status.as_ref()?.conditions.iter().flatten();
    let found = conditions.find(|c| c.type_ == "ScalingActive")?;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    Some((
        found.status.clone(),
        text(&found.reason),
        text(&found.message),
    ))
}

/// The scale-up tolerance an HPA carries itself (KEP-4951), in thousandths, rounded up: a lift a little too high is harmless.
#[must_use]
pub fn tolerance(spec: Option<&HorizontalPodAutoscalerSpec>) -> Option<i64> {
    let rules = spec?.behavior.as_ref()?.scale_up.as_ref()?;
    quantity::parse_milli(&rules.tolerance.as_ref()?.0).ok()
}

/// What to write over `live` so that everything `wanted` says holds; `None` if it does. What others added to labels,
/// annotations, owners and defaulted behavior stays, as the reference tolerates it.
#[must_use]
pub fn difference(
    live: &HorizontalPodAutoscaler,
    wanted: &HorizontalPodAutoscaler,
) -> Option<HorizontalPodAutoscaler> {
    let mut next = live.clone();
    for (ours, theirs) in [
        (&wanted.metadata.labels, &mut next.metadata.labels),
        (&wanted.metadata.annotations, &mut next.metadata.annotations),
    ] {
        let theirs = theirs.get_or_insert_default();
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
    if !holds(wanted.spec.as_ref(), live.spec.as_ref()) {
        next.spec.clone_from(&wanted.spec);
    }
    let same = same_maps(next.metadata.labels.as_ref(), live.metadata.labels.as_ref())
        && same_maps(
            next.metadata.annotations.as_ref(),
            live.metadata.annotations.as_ref(),
        )
        && next
            .metadata
            .owner_references
            .as_deref()
            .unwrap_or_default()
            == live
                .metadata
                .owner_references
                .as_deref()
                .unwrap_or_default()
        && next.spec == live.spec;
    (!same).then_some(next)
}

fn same_maps(a: Option<&BTreeMap<String, String>>, b: Option<&BTreeMap<String, String>>) -> bool {
    let empty = BTreeMap::new();
    a.unwrap_or(&empty) == b.unwrap_or(&empty)
}

/// Whether the live spec says everything that the wanted one says; only behavior may say more, by defaults.
fn holds(
    wanted: Option<&HorizontalPodAutoscalerSpec>,
    live: Option<&HorizontalPodAutoscalerSpec>,
) -> bool {
    let (Some(wanted), Some(live)) = (wanted, live) else {
        return false;
    };
    let behavior = match (&wanted.behavior, &live.behavior) {
        (None, None) => true,
        (Some(wanted), Some(live)) => {
            let json = |b| serde_json::to_value(b).unwrap_or_default();
            contains(&json(live), &json(wanted))
        }
        _ => false,
    };
    behavior
        && wanted.min_replicas == live.min_replicas
        && wanted.max_replicas == live.max_replicas
        && wanted.scale_target_ref == live.scale_target_ref
        && wanted.metrics == live.metrics
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|w| contains(w, value))),
        (whole, part) => whole == part,
    }
}
