//! A live HPA, as far as it counts.

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec};

use crate::quantity;

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
