//! Whose the live HPA of an object is.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt;

use crate::{
    resources::names::TRANSFER,
    scaling::{Plan, is_made_for},
};

/// Whose a live HPA is.
pub(super) enum Ownership {
    /// This object's.
    Ours,
    /// Unowned and adoptable: by the transfer annotation, or by KEDA's labels, as after a restored backup.
    Free,
    /// Owned by a deleted ScaledObject of this name; garbage collection removes it.
    Going,
    /// Somebody else's; why, in words for a condition.
    Foreign(String),
}

/// Whether the object of `plan` owns it.
pub(in crate::controller) fn owns(plan: &Plan, hpa: &HorizontalPodAutoscaler) -> bool {
    matches!(ownership(plan, hpa), Ownership::Ours)
}

/// Why the HPA that is there is not this object's to write.
pub(super) fn foreign(plan: &Plan, hpa: Option<&HorizontalPodAutoscaler>) -> Option<String> {
    match ownership(plan, hpa?) {
        Ownership::Foreign(why) => Some(why),
        Ownership::Ours | Ownership::Free | Ownership::Going => None,
    }
}

/// Whose it is.
pub(super) fn ownership(plan: &Plan, hpa: &HorizontalPodAutoscaler) -> Ownership {
    let uid = plan.object.metadata.uid.as_deref();
    let mut owners = hpa.metadata.owner_references.iter().flatten();
    if owners.clone().any(|o| Some(o.uid.as_str()) == uid) {
        return Ownership::Ours;
    }
    let name = &plan.hpa_name;
    if let Some(owner) = owners.find(|o| o.controller == Some(true)) {
        if owner.kind == "ScaledObject" && owner.name == *plan.name {
            return Ownership::Going;
        }
        return Ownership::Foreign(format!(
            "the HPA '{name}' is already managed by the {} '{}': name another one in advanced.horizontalPodAutoscalerConfig.name",
            owner.kind, owner.name
        ));
    }
    let ours = is_made_for(hpa.labels(), &plan.name, name);
    let transferred = plan.object.annotations().get(TRANSFER);
    if ours || transferred.is_some_and(|t| t == "true") {
        return Ownership::Free;
    }
    Ownership::Foreign(format!(
        "the HPA '{name}' exists and is not this ScaledObject's: to adopt it, set the annotation {TRANSFER} to \"true\""
    ))
}
