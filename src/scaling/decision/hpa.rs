//! The HPA that an object is to have.

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

use crate::{
    quantity,
    resources::names,
    scaling::{COMPOSITE, External, Plan, Source},
    triggers::{MetricType, Resource, Target},
};

const NAME: &str = "app.kubernetes.io/name";
const PART_OF: &str = "app.kubernetes.io/part-of";
const EXCLUDED_LABELS: &str = "scaledobject.keda.sh/hpa-excluded-labels";

/// Whether the labels of an HPA without an owner say that KEDA, or lagscale, made it for the ScaledObject of this name. The
/// labels of a Helm release lie over `managed-by`, so any of three says so.
#[must_use]
pub fn is_made_for(labels: &BTreeMap<String, String>, object: &str, hpa: &str) -> bool {
    let is = |key: &str, value: &str| labels.get(key).is_some_and(|v| v == value);
    is(names::MANAGED_BY, names::OPERATOR)
        || is(names::SCALED_OBJECT, object)
        || is(PART_OF, object) && is(NAME, &short(hpa))
}

/// The HPA for `plan` with this maxReplicas; `None` without any metric to give it.
#[must_use]
pub fn wanted(plan: &Plan, max: i32) -> Option<HorizontalPodAutoscaler> {
    let metrics = metrics(plan);
    if metrics.is_empty() {
        return None;
    }
    let target = &plan.object.spec.scale_target_ref;
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
                api_version: Some(target.api_version().to_owned()),
                kind: target.kind().to_owned(),
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
    let owner = plan.object.controller_owner_ref(&()).unwrap_or_default();
    // As KEDA's: deleted in the foreground, the object waits for its HPA.
    OwnerReference {
        block_owner_deletion: Some(true),
        ..owner
    }
}

fn labels(plan: &Plan) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from(
        [
            (NAME, short(&plan.hpa_name).as_str()),
            ("app.kubernetes.io/version", env!("CARGO_PKG_VERSION")),
            (PART_OF, &plan.name),
            // Dashboards and policies select by it.
            (names::MANAGED_BY, names::OPERATOR),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned())),
    );
    let annotations = plan.object.annotations();
    let excluded = annotations.get(EXCLUDED_LABELS);
    let excluded: Vec<_> = excluded
        .iter()
        .flat_map(|e| e.split(','))
        .map(str::trim)
        .chain([names::OWNER])
        .collect();
    // The object gets it from us, maybe a moment later.
    let own = (names::SCALED_OBJECT.to_owned(), plan.name.to_string());
    let of_object = plan.object.labels().clone().into_iter();
    let copied = [own].into_iter().chain(of_object);
    labels.extend(copied.filter(|(key, _)| !excluded.contains(&key.as_str())));
    labels
}

/// A name as the value of a label.
fn short(name: &str) -> String {
    let short: String = name.chars().take(63).collect();
    let short = short.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    short.to_owned()
}

/// By type (ContainerResource, External, Resource), in trigger order within one.
fn metrics(plan: &Plan) -> Vec<MetricSpec> {
    let mut metrics: Vec<_> = plan
        .triggers
        .iter()
        .filter_map(|t| t.source.as_ref().ok())
        .filter_map(|source| match (source, &plan.modifiers) {
            (Source::Resource(resource), None) => Some(of_resource(resource)),
            // The reference leaves containers out beside a formula.
            (Source::Resource(resource), Some(_)) => {
                resource.container.is_none().then(|| of_resource(resource))
            }
            (source, None) => {
                let found = source.external()?;
                let External {
                    metric,
                    target_milli,
                    metric_type,
                } = found;
                Some(external(plan, metric, target_milli, metric_type))
            }
            (_, Some(_)) => None,
        })
        .collect();
    if let Some(modifiers) = &plan.modifiers {
        let target = modifiers.target_milli;
        metrics.push(external(plan, COMPOSITE, target, modifiers.metric_type));
    }
    metrics.sort_by(|a, b| a.type_.cmp(&b.type_));
    metrics
}

fn external(plan: &Plan, metric: &str, target_milli: i64, metric_type: MetricType) -> MetricSpec {
    let quantity = Some(Quantity(quantity::format_milli(target_milli)));
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
    let selector = BTreeMap::from([(names::SCALED_OBJECT.to_owned(), plan.name.to_string())]);
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
