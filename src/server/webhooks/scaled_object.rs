//! Whether a ScaledObject may be stored: KEDA's checks with KEDA's texts, and what KEDA leaves to run time although
//! nothing but another apply can mend it. Everything that is wrong is told at once.

use std::fmt;

use k8s_openapi::api::{
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Container, LimitRangeItem},
};
use kube::ResourceExt;

use super::{Surroundings, Template, Verdict};
use crate::{
    quantity::parse_milli,
    resources::{ScaledObject, ScaledObjectSpec, Trigger},
    scaling::{SHORTEST_SAMPLE, checks, hpa_name},
    triggers,
};

/// Of a label's value, and so of an object's and an HPA's name.
const LONGEST_NAME: usize = 63;
const OWNER: &str = "scaledobject.keda.sh/name";
const TRANSFER: &str = "scaledobject.keda.sh/transfer-hpa-ownership";
/// On an HPA of somebody else: `false` lets a ScaledObject stand beside it.
const OWNERSHIP: &str = "validations.keda.sh/hpa-ownership";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Judges `object` by itself and among what is around it.
pub(super) fn check(object: &ScaledObject, around: &Surroundings) -> Verdict {
    let spec = &object.spec;
    let by_itself = [
        name(object),
        checks::bounds(spec),
        checks::triggers(spec),
        checks::fallback(spec),
        checks::modifiers(spec),
        checks::behavior(spec),
        never_zero(spec),
    ];
    let mut errors: Vec<String> = by_itself.into_iter().flatten().collect();
    errors.extend(metadata(spec));
    // The HPA of another ScaledObject needs no line of its own.
    errors.extend(managed(object, around).or_else(|| foreign_hpa(object, around)));
    let mut warnings = warnings(spec);
    match &around.template {
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

/// A scaled workload by kind; in another version it is the same.
pub(super) struct Target {
    group: String,
    version: String,
    pub(super) kind: String,
}

impl Target {
    pub(super) fn of(object: &ScaledObject) -> Self {
        let target = &object.spec.scale_target_ref;
        Self::new(target.api_version.as_deref(), target.kind.as_deref())
    }

    fn new(api_version: Option<&str>, kind: Option<&str>) -> Self {
        let set = |text: Option<&str>, default: &str| {
            text.filter(|t| !t.is_empty()).unwrap_or(default).to_owned()
        };
        let version = set(api_version, "apps/v1");
        let (group, version) = version.rsplit_once('/').unwrap_or(("", &version));
        Self {
            group: group.into(),
            version: version.into(),
            kind: set(kind, "Deployment"),
        }
    }

    fn is(&self, other: &Self) -> bool {
        (&self.group, &self.kind) == (&other.group, &other.kind)
    }

    fn has_requests(&self) -> bool {
        self.group == "apps" && matches!(self.kind.as_str(), "Deployment" | "StatefulSet")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.group, self.version, self.kind)
    }
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

fn managed(object: &ScaledObject, around: &Surroundings) -> Option<String> {
    let target = Target::of(object);
    let (workload, hpa) = (&object.spec.scale_target_ref.name, hpa_name(object));
    let others = around.others.iter().filter(|o| {
        o.metadata.name != object.metadata.name && o.metadata.deletion_timestamp.is_none()
    });
    let mut conflicts = others.filter_map(|other| {
        let name = other.name_any();
        if other.spec.scale_target_ref.name == *workload && Target::of(other).is(&target) {
            return Some(format!(
                "the workload '{workload}' of type '{target}' is already managed by the ScaledObject '{name}'"
            ));
        }
        (hpa_name(other) == hpa)
            .then(|| format!("the HPA '{hpa}' is already managed by the ScaledObject '{name}'"))
    });
    conflicts.next()
}

fn foreign_hpa(object: &ScaledObject, around: &Surroundings) -> Option<String> {
    let target = Target::of(object);
    let workload = &object.spec.scale_target_ref.name;
    let foreign = around.hpas.iter().find(|hpa| {
        let reference = hpa.spec.as_ref().map(|s| &s.scale_target_ref);
        reference.is_some_and(|r| {
            r.name == *workload && Target::new(r.api_version.as_deref(), Some(&r.kind)).is(&target)
        }) && hpa.annotations().get(OWNERSHIP).map(String::as_str) != Some("false")
            && hpa.metadata.deletion_timestamp.is_none()
            && !belongs(hpa, object)
    });
    let hpa = foreign?.name_any();
    if object.annotations().get(TRANSFER).map(String::as_str) != Some("true") {
        return Some(format!(
            "the workload '{workload}' of type '{target}' is already managed by the hpa '{hpa}'"
        ));
    }
    (hpa_name(object) != hpa).then(|| {
        format!(
            "the existing hpa '{hpa}' for workload '{workload}' of type '{target}' must be specified by name in advanced settings to enable ownership transfer"
        )
    })
}

/// Whether an HPA is this object's: owned by it, or left by KEDA under its name without any owner.
fn belongs(hpa: &HorizontalPodAutoscaler, object: &ScaledObject) -> bool {
    let owners = hpa.owner_references();
    let owned = owners
        .iter()
        .any(|o| o.kind == "ScaledObject" && Some(&o.name) == object.metadata.name.as_ref());
    let keda = hpa.labels().get(MANAGED_BY).map(String::as_str) == Some("keda-operator");
    owned || (owners.is_empty() && keda && hpa.name_any() == hpa_name(object))
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

/// Each container a cpu or memory trigger looks at has that request, or gets it: from its limit, from its pod, or from a
/// LimitRange of the namespace.
fn requests(spec: &ScaledObjectSpec, template: &Template) -> Option<String> {
    let mut resources = spec.triggers.iter().filter(|t| checks::is_resource(t));
    resources.find_map(|trigger| {
        let kind = trigger.kind.as_str();
        let given = |item: &LimitRangeItem| {
            let defaults = [&item.default_request, &item.default];
            item.type_ == "Container" && defaults.into_iter().flatten().any(|m| counts(m.get(kind)))
        };
        let ranges = template.limit_ranges.iter().filter_map(|l| l.spec.as_ref());
        if ranges.flat_map(|s| &s.limits).any(given) {
            return None;
        }
        let one = one_container(trigger);
        if one.is_none() && asks(template.pod.resources.as_ref(), kind) {
            return None;
        }
        let looked_at = |c: &&Container| one.is_none_or(|name| name == c.name);
        let mut containers = template.pod.containers.iter().filter(looked_at);
        let without = containers.find(|c| !asks(c.resources.as_ref(), kind))?;
        Some(format!(
            "the scaledobject has a {kind} trigger but the container {} doesn't have the {kind} request defined",
            without.name
        ))
    })
}

fn one_container(trigger: &Trigger) -> Option<&str> {
    let name = trigger.metadata.get("containerName").map(|n| n.trim());
    name.filter(|n| !n.is_empty())
}

/// A limit without a request is the request.
fn asks(resources: Option<&k8s_openapi::api::core::v1::ResourceRequirements>, kind: &str) -> bool {
    resources.is_some_and(|r| {
        [&r.requests, &r.limits]
            .into_iter()
            .flatten()
            .any(|m| counts(m.get(kind)))
    })
}

fn counts(quantity: Option<&k8s_openapi::apimachinery::pkg::api::resource::Quantity>) -> bool {
    quantity.is_some_and(|q| parse_milli(&q.0).is_ok_and(|milli| milli > 0))
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
