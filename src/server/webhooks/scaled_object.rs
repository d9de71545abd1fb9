//! Whether a ScaledObject may be stored: KEDA's checks with KEDA's texts, and what KEDA leaves to run time although
//! nothing but another apply can mend it. Everything that is wrong is told at once.

use kube::ResourceExt;

use super::{
    Surroundings, Verdict,
    conflicts::{Target, conflict},
    requests::requests,
};
use crate::{
    resources::{ScaledObject, ScaledObjectSpec},
    scaling::{SHORTEST_SAMPLE, checks, hpa_name},
    triggers,
};

/// Of a label's value, and so of an object's and an HPA's name.
const LONGEST_NAME: usize = 63;
const OWNER: &str = "scaledobject.keda.sh/name";

/// Judges `object` by itself and among what is around it.
pub(super) fn check(object: &ScaledObject, around: &Surroundings) -> Verdict {
    let spec = &object.spec;
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
    object.spec.triggers.iter().any(checks::is_resource) && Target::of(object).has_requests()
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
    let target = Target::new(target.api_version.as_deref(), target.kind.as_deref());
    let only = !spec.triggers.is_empty() && spec.triggers.iter().all(checks::is_resource);
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
    let modifiers = advanced.is_some_and(|a| a.scaling_modifiers.is_some());
    let counting = spec.triggers.iter().any(|t| {
        t.use_cached_metrics == Some(true) || t.metadata.contains_key("excludePersistentLag")
    });
    if seldom.is_some() && spec.fallback.is_none() && !modifiers && !counting {
        warnings.push(
            "PollingInterval is configured but is not relevant. PollingInterval is only relevant when minReplicaCount = 0 or idleReplicaCount = 0 or useCachedMetrics is enabled"
                .into(),
        );
    }
    if spec.cooldown_period.is_some() {
        warnings.push(
            "CooldownPeriod is configured but is not relevant. CooldownPeriod is only relevant when minReplicaCount = 0 or idleReplicaCount = 0"
                .into(),
        );
    }
    warnings
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
