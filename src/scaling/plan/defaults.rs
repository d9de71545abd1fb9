//! Defaults: KEDA's, and those that the API server fills into the spec of an HPA, so that what is wanted can be compared with what is stored
//! (`pkg/apis/autoscaling/v2/defaults.go` of Kubernetes).

use k8s_openapi::api::autoscaling::v2::{
    HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerSpec,
};

/// `maxReplicaCount` where a ScaledObject has none.
pub(in crate::scaling) const MAX_REPLICAS: i32 = 100;
/// `periodSeconds` of every default policy.
const PERIOD: i32 = 15;

/// Fills in what is absent. Rules of one direction bring the defaults of the other along; without any, `behavior` stays absent.
pub(in crate::scaling) fn fill(spec: &mut HorizontalPodAutoscalerSpec) {
    spec.min_replicas.get_or_insert(1);
    let Some(behavior) = &mut spec.behavior else {
        return;
    };
    let policy = |type_: &str, value| HPAScalingPolicy {
        type_: type_.into(),
        value,
        period_seconds: PERIOD,
    };
    let up = behavior.scale_up.get_or_insert_default();
    up.stabilization_window_seconds.get_or_insert(0);
    rules(up, || vec![policy("Pods", 4), policy("Percent", 100)]);
    let down = behavior.scale_down.get_or_insert_default();
    rules(down, || vec![policy("Percent", 100)]);
}

/// An empty list of policies is refused by the API server, so it is never stored.
fn rules(rules: &mut HPAScalingRules, policies: impl FnOnce() -> Vec<HPAScalingPolicy>) {
    rules.select_policy.get_or_insert_with(|| "Max".into());
    rules.policies.get_or_insert_with(policies);
}
