//! Limits of a ScaledObject's size, looked at before anything of it is parsed, by the webhook and by the engine alike: one
//! object must cost no other a reading. Each limit is far beyond what objects in use have.

use crate::{
    kafka::topics,
    resources::{ScaledObject, ScaledObjectSpec, Trigger, bounded::MOST},
    triggers::{self, LONGEST_VALUE},
};

/// Bytes of a name, of a kind, and of a field of metadata; Kubernetes has no longer names.
const LONGEST_NAME: usize = 253;

/// Patterns of topics, of all triggers together: each is kept as what it compiles to.
const MOST_PATTERNS: usize = 64;

/// The triggers of an object that is read; none of one that is too large.
#[must_use]
pub fn readable(object: &ScaledObject) -> &[Trigger] {
    match exceeded(&object.spec) {
        None => &object.spec.triggers,
        Some(_) => &[],
    }
}

/// The limit that an object exceeds, with its field.
#[must_use]
pub fn exceeded(spec: &ScaledObjectSpec) -> Option<String> {
    if spec.triggers.len() > MOST {
        return Some(too_many("spec.triggers"));
    }
    let target = &spec.scale_target_ref;
    let config = spec.advanced.as_ref();
    let config = config.and_then(|a| a.horizontal_pod_autoscaler_config.as_ref());
    let names = [
        ("scaleTargetRef.name", Some(&target.name)),
        ("scaleTargetRef.kind", target.kind.as_ref()),
        ("scaleTargetRef.apiVersion", target.api_version.as_ref()),
        (
            "scaleTargetRef.envSourceContainerName",
            target.env_source_container_name.as_ref(),
        ),
        (
            "advanced.horizontalPodAutoscalerConfig.name",
            config.and_then(|c| c.name.as_ref()),
        ),
    ];
    let long = names.into_iter().find_map(|(field, name)| {
        let name = name.filter(|n| n.len() > LONGEST_NAME)?;
        Some(too_long(&format!("spec.{field}"), name, LONGEST_NAME))
    });
    let mut triggers = spec.triggers.iter().enumerate();
    let long = long.or_else(|| triggers.find_map(|(index, trigger)| of_trigger(index, trigger)));
    long.or_else(|| {
        let lists = spec.triggers.iter().filter_map(|t| t.metadata.get("topics"));
        let count = lists.flat_map(|l| l.split(',')).filter(|p| topics::is_pattern(p.trim())).count();
        (count > MOST_PATTERNS).then(|| {
            format!("spec.triggers: Too many patterns in topics: {count}: must have at most {MOST_PATTERNS}: write some as one, as in (orders|audit)-.*")
        })
    })
}

fn of_trigger(index: usize, trigger: &Trigger) -> Option<String> {
    let field = format!("spec.triggers[{index}]");
    let reference = trigger.authentication_ref.as_ref();
    let names = [
        ("type", Some(&trigger.kind)),
        ("name", trigger.name.as_ref()),
        ("metricType", trigger.metric_type.as_ref()),
        ("authenticationRef.name", reference.map(|r| &r.name)),
        (
            "authenticationRef.kind",
            reference.and_then(|r| r.kind.as_ref()),
        ),
    ];
    for (of, name) in names {
        if let Some(name) = name.filter(|n| n.len() > LONGEST_NAME) {
            return Some(too_long(&format!("{field}.{of}"), name, LONGEST_NAME));
        }
    }
    // The needs of other types are for others to check.
    if !triggers::knows(&trigger.kind) {
        return None;
    }
    if trigger.metadata.len() > MOST {
        return Some(too_many(&format!("{field}.metadata")));
    }
    trigger.metadata.iter().find_map(|(key, value)| {
        if key.len() > LONGEST_NAME {
            return Some(too_long(&format!("{field}.metadata"), key, LONGEST_NAME));
        }
        (value.len() > LONGEST_VALUE)
            .then(|| too_long(&format!("{field}.metadata.{key}"), value, LONGEST_VALUE))
    })
}

/// As the API server says it.
fn too_many(field: &str) -> String {
    format!("{field}: Too many: must have at most {MOST} items")
}

fn too_long(field: &str, value: &str, most: usize) -> String {
    format!(
        "{field}: Too long: may not be more than {most} bytes, found {}",
        value.len()
    )
}
