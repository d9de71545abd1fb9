//! A live HPA, as far as it counts.

use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerSpec,
};

use crate::quantity;

/// The condition of an HPA that counts: whether it has a number of every metric.
const SCALING_ACTIVE: &str = "ScalingActive";

/// Whether a condition of an HPA says what holds it, or what limits it.
#[must_use]
pub fn holds(condition: &HorizontalPodAutoscalerCondition) -> bool {
    match (condition.type_.as_str(), condition.status.as_str()) {
        ("ScalingLimited", "True") | (SCALING_ACTIVE | "AbleToScale", "False") => true,
        ("AbleToScale", "True") => condition.reason.as_deref() == Some("ScaleDownStabilized"),
        _ => false,
    }
}

/// Takes off an HPA's status what nobody reads: the readings that its controller saw, and conditions that hold nothing. They are two
/// kilobytes of each.
pub fn keep_telling(hpa: &mut HorizontalPodAutoscaler) {
    if let Some(status) = &mut hpa.status {
        status.current_metrics = None;
        let conditions = status.conditions.iter_mut();
        conditions.for_each(|all| all.retain(|c| c.type_ == SCALING_ACTIVE || holds(c)));
    }
}

/// The part of a live HPA that counts.
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
    let found = conditions.find(|c| c.type_ == SCALING_ACTIVE)?;
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
