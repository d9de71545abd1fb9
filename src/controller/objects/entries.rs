//! The entries of one ScaledObject in the table that the external metrics API reads.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use crate::scaling::{
    COMPOSITE, Evaluation, Metric, Plan,
    table::{Entry, MAX_MILLI, Outcome},
};

/// The entries of one object; `at` is the time of a fallback's value. `foreign` are external metrics of its HPA by name.
pub(super) fn entries(
    plan: &Plan,
    evaluation: &Evaluation,
    foreign: &[String],
    at: Timestamp,
) -> Vec<Entry> {
    let mut entries: Vec<Entry> = evaluation
        .metrics
        .iter()
        .map(|metric| plan.entry(&metric.name, outcome(metric, at)))
        .collect();
    if let Some(composite) = &evaluation.composite {
        let outcome = match &composite.value {
            Ok((milli, read)) => value(*milli, read.map_or(at, |r| r.wall)),
            Err(trouble) => withheld(COMPOSITE, &trouble.text),
        };
        entries.push(plan.entry(&COMPOSITE.into(), outcome));
    }
    for name in foreign {
        if entries.iter().any(|e| e.metric.eq_ignore_ascii_case(name)) {
            continue;
        }
        if let Some(why) = why_foreign(plan, name) {
            entries.push(plan.entry(&name.as_str().into(), withheld(name, &why)));
        }
    }
    entries
}

/// The external metrics of an HPA that are asked of this object, whoever wrote them; looked at only where a trigger has none
/// of its own.
pub(super) fn foreign(plan: &Plan, hpa: Option<&HorizontalPodAutoscaler>) -> Vec<String> {
    if plan.triggers.iter().all(|t| t.source.is_ok()) {
        return Vec::new();
    }
    let metrics = hpa.and_then(|h| h.spec.as_ref()?.metrics.as_ref());
    let external = metrics
        .into_iter()
        .flatten()
        .filter_map(|m| m.external.as_ref());
    external.map(|e| e.metric.name.clone()).collect()
}

fn outcome(metric: &Metric, at: Timestamp) -> Outcome {
    match (&metric.value, metric.fallback) {
        (Ok(read), _) => value(read.served_milli, read.at.wall),
        (Err(_), Some(milli)) => value(milli, at),
        (Err(trouble), None) => withheld(&metric.name, &trouble.text),
    }
}

fn value(milli: i64, at: Timestamp) -> Outcome {
    let milli = milli.clamp(0, MAX_MILLI);
    Outcome::Value { milli, at }
}

fn withheld(metric: &str, why: &str) -> Outcome {
    Outcome::Withheld(
        format!("error when getting metric values metric:{metric} encountered error: {why}").into(),
    )
}

/// Why a metric that somebody else made for the object is not served: names begin with the trigger's place.
fn why_foreign(plan: &Plan, name: &str) -> Option<String> {
    let place = name.strip_prefix('s')?.split('-').next()?;
    let trigger = plan.triggers.get(place.parse::<usize>().ok()?)?;
    let why = trigger.source.as_ref().err()?;
    Some(format!("trigger {place} of type {}: {why}", trigger.kind))
}
