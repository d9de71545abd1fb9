//! The HPA of an object: what it is to be (keda-behaviour.md §2.6), what is read of a live one, and whether they differ.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::autoscaling::v2::{
        ContainerResourceMetricSource, CrossVersionObjectReference, ExternalMetricSource,
        HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec,
        MetricIdentifier, MetricSpec, MetricTarget, ResourceMetricSource,
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
    },
};
use kube::{Resource as _, ResourceExt};
use serde_json::Value;

use super::{Plan, Source};
use crate::{
    quantity,
    triggers::{MetricType, Resource, Target},
};

const SELECTOR: &str = "scaledobject.keda.sh/name";
const EXCLUDED_LABELS: &str = "scaledobject.keda.sh/hpa-excluded-labels";

/// What counts of a live HPA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// `spec.maxReplicas`.
    pub max: i32,
    /// `spec.behavior.scaleUp.tolerance`, in thousandths.
    pub tolerance_milli: Option<i64>,
    /// `status.currentReplicas`.
    pub replicas: Option<i32>,
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
        }
    }
}

/// The scale-up tolerance an HPA carries itself (KEP-4951), in thousandths, rounded up: a lift a little too high is harmless.
#[must_use]
pub fn tolerance(spec: Option<&HorizontalPodAutoscalerSpec>) -> Option<i64> {
    let rules = spec?.behavior.as_ref()?.scale_up.as_ref()?;
    quantity::parse_milli(&rules.tolerance.as_ref()?.0).ok()
}

/// The HPA for `plan` with this maxReplicas; `None` without any metric to give it.
#[must_use]
pub fn wanted(plan: &Plan, max: i32) -> Option<HorizontalPodAutoscaler> {
    let metrics = metrics(plan);
    if metrics.is_empty() {
        return None;
    }
    let target = &plan.object.spec.scale_target_ref;
    let text = |field: &Option<String>, default: &str| {
        let field = field.clone().filter(|f| !f.is_empty());
        field.unwrap_or_else(|| default.to_owned())
    };
    let advanced = plan.object.spec.advanced.as_ref();
    let config = advanced.and_then(|a| a.horizontal_pod_autoscaler_config.as_ref());
    Some(HorizontalPodAutoscaler {
        metadata: ObjectMeta {
            name: Some(plan.hpa_name.clone()),
            namespace: Some(plan.namespace.to_string()),
            labels: Some(labels(plan)),
            annotations: plan.object.metadata.annotations.clone(),
            owner_references: Some(vec![owner(plan)]),
            ..ObjectMeta::default()
        },
        spec: Some(HorizontalPodAutoscalerSpec {
            min_replicas: Some(plan.min.max(1)),
            max_replicas: max,
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some(text(&target.api_version, "apps/v1")),
                kind: text(&target.kind, "Deployment"),
                name: target.name.clone(),
            },
            behavior: behavior(plan, config.and_then(|c| c.behavior.clone())),
            metrics: Some(metrics),
        }),
        status: None,
    })
}

/// The user's, with the paused directions disabled.
fn behavior(
    plan: &Plan,
    own: Option<HorizontalPodAutoscalerBehavior>,
) -> Option<HorizontalPodAutoscalerBehavior> {
    if !(plan.pause.scale_in || plan.pause.scale_out) {
        return own;
    }
    let mut behavior = own.unwrap_or_default();
    let paused = [
        (plan.pause.scale_in, &mut behavior.scale_down),
        (plan.pause.scale_out, &mut behavior.scale_up),
    ];
    for (_, rules) in paused.into_iter().filter(|(paused, _)| *paused) {
        rules.get_or_insert_default().select_policy = Some("Disabled".into());
    }
    Some(behavior)
}

fn owner(plan: &Plan) -> OwnerReference {
    plan.object.controller_owner_ref(&()).unwrap_or_default()
}

fn labels(plan: &Plan) -> BTreeMap<String, String> {
    let short: String = plan.hpa_name.chars().take(63).collect();
    let short = short.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let mut labels = BTreeMap::from(
        [
            ("app.kubernetes.io/name", short),
            ("app.kubernetes.io/version", env!("CARGO_PKG_VERSION")),
            ("app.kubernetes.io/part-of", &plan.name),
            // Dashboards and policies select by it.
            ("app.kubernetes.io/managed-by", "keda-operator"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned())),
    );
    let annotations = plan.object.annotations();
    let excluded = annotations.get(EXCLUDED_LABELS);
    let excluded: Vec<_> = excluded.iter().flat_map(|e| e.split(',')).collect();
    for (key, value) in plan.object.labels() {
        if !excluded.contains(&key.as_str()) {
            labels.insert(key.clone(), value.clone());
        }
    }
    labels
}

/// By type (ContainerResource, External, Resource), in trigger order within one.
fn metrics(plan: &Plan) -> Vec<MetricSpec> {
    let mut metrics: Vec<_> = plan
        .triggers
        .iter()
        .filter_map(|t| t.source.as_ref().ok())
        .map(|source| match source {
            Source::Kafka {
                kafka,
                metric_type,
                metric,
                ..
            } => external(plan, metric, kafka.threshold, *metric_type),
            Source::Resource(resource) => of_resource(resource),
        })
        .collect();
    metrics.sort_by(|a, b| a.type_.cmp(&b.type_));
    metrics
}

fn external(plan: &Plan, metric: &str, threshold: i64, metric_type: MetricType) -> MetricSpec {
    let quantity = Some(Quantity(quantity::format_milli(
        threshold.saturating_mul(1000),
    )));
    let target = match metric_type {
        MetricType::AverageValue => MetricTarget {
            type_: "AverageValue".into(),
            average_value: quantity,
            ..MetricTarget::default()
        },
        MetricType::Value => MetricTarget {
            type_: "Value".into(),
            value: quantity,
            ..MetricTarget::default()
        },
    };
    let selector = BTreeMap::from([(SELECTOR.to_owned(), plan.name.to_string())]);
    MetricSpec {
        type_: "External".into(),
        external: Some(ExternalMetricSource {
            metric: MetricIdentifier {
                name: metric.to_owned(),
                selector: Some(LabelSelector {
                    match_labels: Some(selector),
                    ..LabelSelector::default()
                }),
            },
            target,
        }),
        ..MetricSpec::default()
    }
}

fn of_resource(resource: &Resource) -> MetricSpec {
    let target = match &resource.target {
        Target::Utilization(percent) => MetricTarget {
            type_: "Utilization".into(),
            average_utilization: Some(*percent),
            ..MetricTarget::default()
        },
        Target::AverageValue(quantity) => MetricTarget {
            type_: "AverageValue".into(),
            average_value: Some(Quantity(quantity.clone())),
            ..MetricTarget::default()
        },
    };
    let name = resource.kind.to_owned();
    match resource.container.clone() {
        Some(container) => MetricSpec {
            type_: "ContainerResource".into(),
            container_resource: Some(ContainerResourceMetricSource {
                container,
                name,
                target,
            }),
            ..MetricSpec::default()
        },
        None => MetricSpec {
            type_: "Resource".into(),
            resource: Some(ResourceMetricSource { name, target }),
            ..MetricSpec::default()
        },
    }
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
