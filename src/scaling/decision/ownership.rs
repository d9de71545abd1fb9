//! Whose the live HPA of an object is.

use k8s_openapi::{
    api::autoscaling::v2::HorizontalPodAutoscaler,
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::ResourceExt;

use crate::{
    resources::{ScaledObject, names::TRANSFER},
    scaling::{Plan, decision::hpa::is_made_for, plan::hpa_name},
};

/// Whose a live HPA is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// This object's.
    Ours,
    /// Owned by a deleted ScaledObject of this name; garbage collection removes it.
    Going,
    /// Unowned, with the name and labels that KEDA gives the HPA of this object, as after a restored backup.
    Left,
    /// Unowned, and the object's annotation says that it takes it.
    Transferred,
    /// Somebody else's; why, in words for a condition.
    Foreign(String),
}

/// Whether the object of `plan` owns it.
#[must_use]
pub fn owns(plan: &Plan, hpa: &HorizontalPodAutoscaler) -> bool {
    ownership(&plan.object, hpa) == Ownership::Ours
}

/// Why the HPA that is there is not this object's to write.
#[must_use]
pub fn foreign(plan: &Plan, hpa: Option<&HorizontalPodAutoscaler>) -> Option<String> {
    match ownership(&plan.object, hpa?) {
        Ownership::Foreign(why) => Some(why),
        _ => None,
    }
}

/// Whose a live HPA is for `object`, which may not be stored yet.
#[must_use]
pub fn ownership(object: &ScaledObject, hpa: &HorizontalPodAutoscaler) -> Ownership {
    let uid = object.metadata.uid.as_ref();
    let mut owners = hpa.metadata.owner_references.iter().flatten();
    if owners.clone().any(|o| Some(&o.uid) == uid) {
        return Ownership::Ours;
    }
    let named = |o: &&OwnerReference| {
        o.kind == "ScaledObject" && Some(&o.name) == object.metadata.name.as_ref()
    };
    if owners.clone().any(|o| named(&o)) {
        return Ownership::Going;
    }
    let name = hpa_name(object);
    if let Some(owner) = owners.find(|o| o.controller == Some(true)) {
        return Ownership::Foreign(format!(
            "the HPA '{name}' is already managed by the {} '{}': name another one in advanced.horizontalPodAutoscalerConfig.name",
            owner.kind, owner.name
        ));
    }
    if hpa.name_any() == name && is_made_for(hpa.labels(), &object.name_any(), &name) {
        return Ownership::Left;
    }
    let transfer = object.annotations().get(TRANSFER);
    if transfer.is_some_and(|transfer| transfer == "true") {
        return Ownership::Transferred;
    }
    Ownership::Foreign(format!(
        "the HPA '{name}' exists and is not this ScaledObject's: to adopt it, set the annotation {TRANSFER} to \"true\""
    ))
}
