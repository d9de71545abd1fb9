//! The review of a ScaledObject: KEDA's checks with KEDA's texts, and what KEDA leaves to run time although
//! nothing but another apply can mend it. Everything that is wrong is told at once.

use kube::ResourceExt;

use super::{Surroundings, Verdict, conflicts::conflict, requests::requests, target::Target};
use crate::{
    resources::{ScaledObject, ScaledObjectSpec, ScalingModifiers, Trigger, names},
    scaling::{SHORTEST_SAMPLE, checks, hpa_name, limits},
    triggers,
};

/// Longest value of a label, and so longest name of an object and of an HPA.
const LONGEST_NAME: usize = 63;
const OWNER: &str = names::SCALED_OBJECT;

/// Judges `object` by itself and among what is around it.
pub(super) fn check(object: &ScaledObject, around: &Surroundings) -> Verdict {
    let spec = &object.spec;
    if let Some(exceeded) = limits::exceeded(spec) {
        return Err(exceeded);
    }
    let by_itself = [
        name(object),
        checks::bounds(spec),
        checks::idle(spec),
        checks::triggers(spec),
        checks::fallback(spec),
        checks::modifiers(spec),
        checks::behavior(spec),
        never_zero(spec),
    ];
    let mut errors: Vec<String> = by_itself.into_iter().flatten().collect();
    errors.extend(metadata(spec));
    errors.extend(conflict(object, around));
    let mut warnings = warnings(spec);
    warnings.extend(unheard(spec));
    let each = spec.triggers.iter().enumerate();
    warnings.extend(each.flat_map(|(index, trigger)| {
        let kind = &trigger.kind;
        let risks = triggers::risks(kind, &trigger.metadata).into_iter();
        risks.map(move |risk| format!("trigger {index} (type {kind}): {risk}"))
    }));
    let mut hints = Vec::new();
    for trigger in &spec.triggers {
        let name = trigger.name.as_deref().unwrap_or_default();
        if !around.tolerates_unmatched {
            hints.extend(triggers::unmatched(&trigger.kind, name, &trigger.metadata));
        }
        hints.extend(triggers::pattern_hints(&trigger.metadata));
    }
    // A field that is missing may be there under another name.
    if errors.is_empty() {
        warnings.extend(hints);
    } else {
        errors.extend(hints);
    }
    match around.template.as_ref().filter(|_| reads_template(object)) {
        Some(Ok(template)) => errors.extend(requests(spec, template)),
        Some(Err(error)) => warnings.push(format!(
            "the cpu and memory requests of {} '{}' were not checked: {error}",
            Target::of(object),
            spec.scale_target_ref.name
        )),
        None => {}
    }
    if errors.is_empty() {
        Ok(warnings)
    } else {
        Err(errors.join("\n"))
    }
}

/// Whether the pods of its workload have to be known.
pub(super) fn reads_template(object: &ScaledObject) -> bool {
    object.spec.triggers.iter().any(Trigger::is_resource) && Target::of(object).has_requests()
}

fn name(object: &ScaledObject) -> Option<String> {
    let (name, hpa) = (object.name_any(), hpa_name(object));
    if name.len() > LONGEST_NAME {
        return Some(format!(
            "scaledobject name {name:?} is {} characters long; must be no more than {LONGEST_NAME} characters because it is used as the {OWNER:?} label value",
            name.len()
        ));
    }
    (hpa.len() > LONGEST_NAME).then(|| {
        format!(
            "HPA name {hpa:?} derived from scaledobject is {} characters long; must be no more than {LONGEST_NAME} characters; set spec.advanced.horizontalPodAutoscalerConfig.name to a shorter name or shorten the scaledobject name",
            hpa.len()
        )
    })
}

/// Each trigger's own fields, as far as nothing else can mend them.
fn metadata(spec: &ScaledObjectSpec) -> impl Iterator<Item = String> {
    let triggers = spec.triggers.iter().enumerate();
    triggers.filter_map(|(index, trigger)| {
        let metric_type = trigger.metric_type.as_deref().unwrap_or_default();
        let error = triggers::refusable(&trigger.kind, &trigger.metadata, metric_type)?;
        Some(format!("{error} (trigger {index}, type {})", trigger.kind))
    })
}

fn never_zero(spec: &ScaledObjectSpec) -> Option<String> {
    let target = &spec.scale_target_ref;
    let target = Target::named(target);
    let only = !spec.triggers.is_empty() && spec.triggers.iter().all(Trigger::is_resource);
    (only && target.has_requests() && spec.min_replica_count.unwrap_or(0) == 0).then(|| {
        "scaledobject has only cpu/memory triggers AND minReplica is 0 (scale to zero doesn't work in this case)"
            .into()
    })
}

/// Settings without effect. KEDA warns of every pollingInterval; here it may be what failures and persistent lag are
/// counted by, or how often the lag is read.
fn warnings(spec: &ScaledObjectSpec) -> Vec<String> {
    let mut warnings = Vec::new();
    if spec.min_replica_count.unwrap_or(0) == 0 || spec.idle_replica_count.is_some() {
        return warnings;
    }
    let seldom = spec
        .polling_interval
        .filter(|seconds| u64::try_from(*seconds).is_ok_and(|s| s >= SHORTEST_SAMPLE.as_secs()));
    let advanced = spec.advanced.as_ref();
    let modifiers = advanced.and_then(|a| a.scaling_modifiers.as_ref());
    let modifiers = modifiers.is_some_and(|m| *m != ScalingModifiers::default());
    let counting = spec.triggers.iter().any(|t| {
        t.use_cached_metrics == Some(true) || t.metadata.contains_key("excludePersistentLag")
    });
    if seldom.is_some() && spec.fallback.is_none() && !modifiers && !counting {
        warnings.push(
            "PollingInterval is configured but is not relevant for scaling. It only affects scaling when minReplicaCount = 0, idleReplicaCount is set, or useCachedMetrics is enabled, but it still controls how often KEDA refreshes the ScaledObject status conditions and events"
                .into(),
        );
    }
    if spec.cooldown_period.is_some() {
        warnings.push(
            "CooldownPeriod is configured but is not relevant. CooldownPeriod is only relevant when minReplicaCount = 0 or idleReplicaCount is set"
                .into(),
        );
    }
    warnings
}

/// Triggers that a formula does not use: what they read counts for nothing.
fn unheard(spec: &ScaledObjectSpec) -> Vec<String> {
    let Some(used) = checks::formula_names(spec) else {
        return Vec::new();
    };
    let triggers = spec.triggers.iter().enumerate();
    let external = triggers.filter(|(_, trigger)| !trigger.is_resource());
    let unheard = external.filter_map(|(index, trigger)| {
        let name = trigger.name.as_deref().filter(|n| !n.is_empty());
        let why = match name {
            None => "has no name that the formula could use".to_owned(),
            Some(name) if !used.iter().any(|u| u == name) => {
                format!("is named {name}, which the formula does not use")
            }
            Some(_) => return None,
        };
        let kind = &trigger.kind;
        Some(format!(
            "trigger {index} (type {kind}) {why}: with scalingModifiers its value counts for nothing"
        ))
    });
    unheard.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(spec: &Value) -> ScaledObject {
        let kafka = json!({"bootstrapServers": "b:9092", "consumerGroup": "g"});
        let mut object = json!({
            "metadata": {"name": "so", "namespace": "shop"},
            "spec": {
                "scaleTargetRef": {"name": "app"}, "minReplicaCount": 1,
                "triggers": [{"type": "kafka", "metadata": kafka}],
            },
        });
        for (key, value) in spec.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let bad = json!({
            "minReplicaCount": 3, "maxReplicaCount": 2,
            "triggers": [{"type": "kafka", "metadata": {"consumerGroup": "g", "lagThreshold": "x"}}],
        });
        let said = check(&object(&bad), &Surroundings::default()).unwrap_err();
        for text in [
            "MinReplicaCount=3 must be less than MaxReplicaCount=2",
            "missing required parameter \"bootstrapServers\"",
            "value \"x\"",
            "(trigger 0, type kafka)",
        ] {
            assert!(said.contains(text), "{said}");
        }
    }

    #[test]
    fn a_trigger_of_a_type_that_is_not_here_is_let_in() {
        let foreign = json!({"triggers": [{"type": "prometheus", "metadata": {}}]});
        assert_eq!(
            check(&object(&foreign), &Surroundings::default()),
            Ok(vec![])
        );
    }

    fn warned(spec: &Value) -> Vec<String> {
        check(&object(spec), &Surroundings::default()).unwrap()
    }

    /// A report from outside (R17).
    #[test]
    fn a_trigger_that_the_formula_does_not_use_is_warned_of() {
        let kafka = |name: Option<&str>| json!({"type": "kafka", "name": name, "metadata": {"bootstrapServers": "b:9092", "consumerGroup": "g"}});
        let spec = |names: &[Option<&str>]| {
            let triggers: Vec<Value> = names.iter().map(|n| kafka(*n)).collect();
            json!({"triggers": triggers, "advanced": {"scalingModifiers": {"formula": "a + 1", "target": "2"}}})
        };
        assert_eq!(warned(&spec(&[Some("a")])), Vec::<String>::new());
        let said = warned(&spec(&[Some("a"), None, Some("b")]));
        assert!(
            said[0].starts_with("trigger 1 (type kafka) has no name"),
            "{said:?}"
        );
        assert!(
            said[1].starts_with("trigger 2 (type kafka) is named b"),
            "{said:?}"
        );
        assert_eq!(said.len(), 2);
        assert_eq!(
            warned(&json!({"triggers": [kafka(None)]})),
            Vec::<String>::new()
        );
    }

    /// Reports from outside: R13 and R15.
    #[test]
    fn a_misspelt_field_and_a_pattern_that_is_a_shell_s_are_warned_of() {
        let with = |field: &str, value: &str| json!({"triggers": [{"type": "kafka", "metadata": {"bootstrapServers": "b:9092", "consumerGroup": "g", field: value}}]});
        let said = warned(&with("offsetRestPolicy", "latest"));
        assert_eq!(said.len(), 1);
        assert!(
            said[0].ends_with("did you mean offsetResetPolicy?"),
            "{said:?}"
        );
        let quiet = Surroundings {
            tolerates_unmatched: true,
            ..Surroundings::default()
        };
        let misspelt = object(&with("offsetRestPolicy", "latest"));
        assert_eq!(check(&misspelt, &quiet), Ok(vec![]));
        for (topics, hinted) in [
            ("orders-*", true),
            ("orders*", true),
            ("orders.*", false),
            ("orders-.*", false),
            ("(a|b)*", false),
            ("[ab]*, orders_*", true),
        ] {
            let said = warned(&with("topics", topics));
            assert_eq!(said.len(), usize::from(hinted), "{topics}: {said:?}");
            assert!(said.iter().all(|s| s.contains(".*")), "{said:?}");
        }
    }

    #[test]
    fn an_idle_count_is_refused_with_the_way_to_rest_at_it() {
        let said = |spec: Value| check(&object(&spec), &Surroundings::default());
        let one = said(json!({"minReplicaCount": 2, "idleReplicaCount": 1})).unwrap_err();
        assert!(one.contains("set minReplicaCount to 1"), "{one}");
        assert!(said(json!({"minReplicaCount": 2, "idleReplicaCount": 0})).is_ok());
    }

    #[test]
    fn a_polling_interval_is_warned_of_only_where_nothing_goes_by_it() {
        let warned = |spec: Value| {
            check(&object(&spec), &Surroundings::default())
                .unwrap()
                .len()
        };
        assert_eq!(warned(json!({"pollingInterval": 30})), 1);
        assert_eq!(
            warned(json!({"pollingInterval": 30, "cooldownPeriod": 30})),
            2
        );
        let fallback = json!({"failureThreshold": 3, "replicas": 1});
        for quiet in [
            json!({"pollingInterval": 1}),
            json!({"pollingInterval": 30, "minReplicaCount": 0}),
            json!({"pollingInterval": 30, "fallback": fallback}),
        ] {
            assert_eq!(warned(quiet.clone()), 0, "{quiet}");
        }
    }
}
