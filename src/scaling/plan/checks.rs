//! Checks of a ScaledObject by itself, in KEDA's words: told by the condition of a stored object, and by the
//! webhook before it is stored.

use std::collections::BTreeSet;

use crate::{
    resources::{ScaledObjectSpec, Trigger},
    scaling::{Modifiers, plan::defaults::MAX_REPLICAS, plan::limits},
};

/// The longest stabilization window of an HPA, in seconds.
const LONGEST_WINDOW: i32 = 3600;

type Check = fn(&ScaledObjectSpec) -> Option<String>;

/// The first check that fails, after the stage that KEDA's condition names.
pub(in crate::scaling) fn problem(spec: &ScaledObjectSpec) -> Option<String> {
    let checks: [(&str, Check); 5] = [
        ("ScaledObject is larger than what is read", limits::exceeded),
        (
            "ScaledObject doesn't have correct Idle/Min/Max Replica Counts specification",
            bounds,
        ),
        (
            "ScaledObject doesn't have correct triggers specification",
            triggers,
        ),
        (
            "ScaledObject doesn't have correct fallback specification",
            fallback,
        ),
        (
            "failed to ensure HPA is correctly created for ScaledObject",
            modifiers,
        ),
    ];
    let mut failed = checks
        .iter()
        .filter_map(|(stage, check)| check(spec).map(|text| format!("{stage}: {text}")));
    failed.next()
}

/// Minimum, maximum and idle replicas that contradict each other.
#[must_use]
pub fn bounds(spec: &ScaledObjectSpec) -> Option<String> {
    // KEDA takes a minimum of 0 that is written for 1 here: `idleReplicaCount: 0` goes with it, and not with none.
    let min = spec.min_replica_count.map_or(0, |min| min.max(1));
    let max = spec.max_replica_count.unwrap_or(MAX_REPLICAS).max(1);
    if min > max {
        return Some(format!(
            "MinReplicaCount={min} must be less than MaxReplicaCount={max}"
        ));
    }
    let idle = spec.idle_replica_count.filter(|i| *i >= min)?;
    Some(format!(
        "IdleReplicaCount={idle} must be less than MinReplicaCount={min}"
    ))
}

/// An idle count that KEDA's HPA takes back at each sync; a stored one is held by the HPA.
#[must_use]
pub fn idle(spec: &ScaledObjectSpec) -> Option<String> {
    let idle = spec.idle_replica_count.filter(|i| *i >= 1)?;
    Some(format!(
        "spec.idleReplicaCount: Invalid value: {idle}: must be 0 (to rest at {idle} replicas, set minReplicaCount to {idle} and leave idleReplicaCount out)"
    ))
}

/// A list of triggers that can't be told apart, or of which one can't do what it says.
#[must_use]
pub fn triggers(spec: &ScaledObjectSpec) -> Option<String> {
    if spec.triggers.is_empty() {
        return Some("no triggers defined in the ScaledObject/ScaledJob".into());
    }
    let mut names = BTreeSet::new();
    spec.triggers.iter().find_map(|trigger| {
        let kind = trigger.kind.as_str();
        if trigger.use_cached_metrics == Some(true) && matches!(kind, "cpu" | "memory" | "cron") {
            return Some(format!(
                "property \"useCachedMetrics\" is not supported for \"{kind}\" scaler"
            ));
        }
        let name = named(trigger).filter(|name| !names.insert(*name))?;
        Some(format!(
            "triggerName \"{name}\" is defined multiple times in the ScaledObject/ScaledJob, but it must be unique"
        ))
    })
}

/// A fallback that can never come.
#[must_use]
pub fn fallback(spec: &ScaledObjectSpec) -> Option<String> {
    let fallback = spec.fallback.as_ref()?;
    let (threshold, replicas) = (fallback.failure_threshold, fallback.replicas);
    if threshold < 0 || replicas < 0 {
        return Some(format!(
            "FailureThreshold={threshold} & Replicas={replicas} must both be greater than or equal to 0"
        ));
    }
    let formula = has_formula(spec);
    if fallback.behavior.as_deref() == Some("scalingModifiers") && !formula {
        return Some(
            "fallback.behavior \"scalingModifiers\" needs advanced.scalingModifiers.formula, which is not set"
                .into(),
        );
    }
    let all = !spec.triggers.is_empty() && spec.triggers.iter().all(Trigger::is_resource);
    (all && !formula).then(|| {
        "at least one trigger (that is not cpu or memory) has to have the `AverageValue` type for the fallback to be enabled"
            .into()
    })
}

/// `advanced.scalingModifiers` that no formula can be made of.
#[must_use]
pub fn modifiers(spec: &ScaledObjectSpec) -> Option<String> {
    Modifiers::of(spec).err()
}

/// The names that the formula uses; `None` without one that parses.
#[must_use]
pub fn formula_names(spec: &ScaledObjectSpec) -> Option<Vec<String>> {
    let modifiers = Modifiers::of(spec).ok()??;
    Some(modifiers.formula.names().map(str::to_owned).collect())
}

/// A part of the HPA that the API server would not take.
#[must_use]
pub fn behavior(spec: &ScaledObjectSpec) -> Option<String> {
    let config = spec.advanced.as_ref()?;
    let behavior = config.horizontal_pod_autoscaler_config.as_ref()?;
    let behavior = behavior.behavior.as_ref()?;
    let rules = [
        ("scaleUp", &behavior.scale_up),
        ("scaleDown", &behavior.scale_down),
    ];
    rules.into_iter().find_map(|(direction, rules)| {
        let window = rules.as_ref()?.stabilization_window_seconds?;
        (!(0..=LONGEST_WINDOW).contains(&window)).then(|| {
            format!(
                "spec.advanced.horizontalPodAutoscalerConfig.behavior.{direction}.stabilizationWindowSeconds: Invalid value: {window}: must be from 0 to {LONGEST_WINDOW}"
            )
        })
    })
}

/// Whether there is one, good or bad.
fn has_formula(spec: &ScaledObjectSpec) -> bool {
    let advanced = spec.advanced.as_ref();
    let modifiers = advanced.and_then(|a| a.scaling_modifiers.as_ref());
    let formula = modifiers.and_then(|m| m.formula.as_deref());
    formula.is_some_and(|f| !f.trim().is_empty())
}

fn named(trigger: &Trigger) -> Option<&str> {
    trigger.name.as_deref().filter(|n| !n.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(more: &Value) -> ScaledObjectSpec {
        let mut spec = json!({
            "scaleTargetRef": {"name": "app"},
            "triggers": [
                {"type": "kafka", "name": "lag", "metadata": {}}, {"type": "cpu", "name": "load", "metadata": {}},
            ],
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        serde_json::from_value(spec).unwrap()
    }

    fn with_formula(formula: &str, target: &str) -> ScaledObjectSpec {
        let modifiers = json!({"formula": formula, "target": target});
        spec(&json!({"advanced": {"scalingModifiers": modifiers}}))
    }

    #[test]
    fn a_formula_may_use_named_triggers_and_functions_and_nothing_else() {
        for good in [
            "lag",
            "lag ?? 8",
            "max(lag, 2) > 1e3 ? lag * 0.5 : 5",
            "count([lag], # > 1) > 1 ? 5 : 0",
            "not (lag > 1) and true ? 1 : 2",
        ] {
            assert_eq!(modifiers(&with_formula(good, "2")), None, "{good}");
        }
        for (bad, said) in [
            ("lag + trig", "unknown name trig (1:7)"),
            ("load", "unknown name load (1:1)"),
            ("max(lag, other)", "unknown name other (1:10)"),
        ] {
            let found = modifiers(&with_formula(bad, "2")).unwrap();
            assert!(found.contains(said), "{found}");
        }
    }

    #[test]
    fn targets_are_numbers_and_a_target_alone_is_no_formula() {
        for (target, said) in [
            ("", "target is empty"),
            ("x", "found \"x\""),
            ("0", "found \"0\""),
            ("inf", "found \"inf\""),
        ] {
            let found = modifiers(&with_formula("lag", target)).unwrap();
            assert!(found.contains(said), "{found}");
        }
        let alone = spec(&json!({"advanced": {"scalingModifiers": {"target": "2"}}}));
        assert!(modifiers(&alone).unwrap().contains("Formula is mandatory"));
        let mut activation = with_formula("lag", "2");
        let modifying = activation.advanced.as_mut().unwrap();
        modifying
            .scaling_modifiers
            .as_mut()
            .unwrap()
            .activation_target = Some("many".into());
        assert!(modifiers(&activation).unwrap().contains("activationTarget"));
        let empty = spec(&json!({"advanced": {"scalingModifiers": {}}}));
        assert_eq!(modifiers(&empty), None);
    }

    #[test]
    fn the_condition_names_the_stage_that_failed() {
        let found = problem(&spec(&json!({"minReplicaCount": 3, "maxReplicaCount": 2}))).unwrap();
        assert_eq!(
            found,
            "ScaledObject doesn't have correct Idle/Min/Max Replica Counts specification: MinReplicaCount=3 must be less than MaxReplicaCount=2"
        );
    }
}
