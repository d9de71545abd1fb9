//! The custom resources as types, field by field what KEDA 2.21 serves, so that nobody changes a manifest; and one of our own.

mod authentication;
pub mod bounded;
pub mod conditions;
mod keda_controller;
mod lag_metric;
pub mod names;
mod scaled_object;
mod status;

pub use authentication::{
    ClusterTriggerAuthentication, ClusterTriggerAuthenticationSpec, EnvRef, TargetRef, TokenRef,
    TriggerAuthentication, TriggerAuthenticationSpec, TriggerAuthenticationStatus,
};
pub use conditions::{Condition, KAFKA_REACHABLE};
pub use keda_controller::{KedaController, KedaControllerSpec, KedaControllerStatus, Logging};
pub use lag_metric::{LagMetric, LagMetricSpec, LagMetricStatus};
pub use scaled_object::{
    Advanced, AuthenticationRef, Fallback, HorizontalPodAutoscalerConfig, ScaleTarget,
    ScaledObject, ScaledObjectSpec, ScalingModifiers, Trigger,
};
pub use status::{
    GroupVersionKindResource, Health, Remembered, ScaledObjectStatus, TriggerActivity,
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// Every CRD this binary serves, as a YAML stream: what `manifests/base/crds.yaml` holds.
pub fn crds() -> Result<String, serde_saphyr::ser::Error> {
    yaml(&[
        ScaledObject::crd(),
        TriggerAuthentication::crd(),
        ClusterTriggerAuthentication::crd(),
        LagMetric::crd(),
    ])
}

/// The CRD that only an installation by the Operator Lifecycle Manager has, as YAML.
pub fn keda_controller_crd() -> Result<String, serde_saphyr::ser::Error> {
    yaml(&[KedaController::crd()])
}

fn yaml(crds: &[CustomResourceDefinition]) -> Result<String, serde_saphyr::ser::Error> {
    let mut text = String::new();
    for crd in crds {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(crd)?);
    }
    Ok(text)
}
