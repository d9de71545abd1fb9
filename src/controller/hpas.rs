//! The HPA of an object: whose a live one is, and what is to be written of it.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt;

use super::{
    object::{ECHO, Object},
    work::HpaWrite,
};
use crate::{
    lag::Moment,
    resources::names::TRANSFER,
    scaling::{Plan, difference, is_made_for, wanted},
};

/// Whose a live HPA is.
enum Ownership {
    /// This object's.
    Ours,
    /// Nobody's that may be ours: its owner says so, or its labels, as after a restored backup.
    Free,
    /// Of an object of this name that is gone: it goes too, and makes room.
    Going,
    /// Somebody else's; why, in words for a condition.
    Foreign(String),
}

/// Whether the object of `plan` owns it.
pub(super) fn owns(plan: &Plan, hpa: &HorizontalPodAutoscaler) -> bool {
    matches!(ownership(plan, hpa), Ownership::Ours)
}

/// Why the HPA that is there is not this object's to write.
pub(super) fn foreign(plan: &Plan, hpa: Option<&HorizontalPodAutoscaler>) -> Option<String> {
    match ownership(plan, hpa?) {
        Ownership::Foreign(why) => Some(why),
        Ownership::Ours | Ownership::Free | Ownership::Going => None,
    }
}

fn ownership(plan: &Plan, hpa: &HorizontalPodAutoscaler) -> Ownership {
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

impl Object {
    pub(super) fn hpa_delete(
        &mut self,
        gone: &HorizontalPodAutoscaler,
        now: Moment,
    ) -> Option<HpaWrite> {
        let version = gone.metadata.resource_version.clone();
        if self.is_older(version.as_ref()) {
            return None;
        }
        self.hpa_before = Some((version, now.at));
        Some(HpaWrite::Delete(Box::new(gone.clone())))
    }

    /// Whether the store has not come to our last write yet.
    fn is_older(&self, version: Option<&String>) -> bool {
        let before = self.hpa_before.as_ref();
        before.is_some_and(|(before, at)| before.as_ref() == version && at.elapsed() < ECHO)
    }

    pub(super) fn hpa_write(
        &mut self,
        (min, max): (i32, i32),
        live: Option<&HorizontalPodAutoscaler>,
        now: Moment,
    ) -> Option<HpaWrite> {
        let plan = &self.plan;
        if plan.problem.is_some() || plan.triggers.iter().any(|t| t.source.is_err()) {
            // A live HPA keeps what it has: leaving a metric out would let the others scale in.
            return None;
        }
        if live.is_some_and(|l| !matches!(ownership(plan, l), Ownership::Ours | Ownership::Free)) {
            return None;
        }
        let version = live.and_then(|l| l.metadata.resource_version.clone());
        if self.is_older(version.as_ref()) {
            return None;
        }
        let mut wanted = wanted(plan, max)?;
        if let Some(spec) = &mut wanted.spec {
            spec.min_replicas = Some(min);
        }
        let asked = wanted.spec.clone();
        if let Some(live) = live.and_then(|l| l.spec.as_ref())
            && self.hpa_stored.as_ref() == Some(live)
            && self.hpa_asked == asked
        {
            wanted.spec = Some(live.clone());
        }
        let write = match live {
            None => HpaWrite::Create(Box::new(wanted)),
            Some(live) => {
                let Some(next) = difference(live, &wanted) else {
                    // It is as wanted, whatever became of the answer.
                    self.write_error = None;
                    return None;
                };
                HpaWrite::Replace(Box::new(next))
            }
        };
        self.hpa_before = Some((version, now.at));
        self.hpa_asking = asked;
        Some(write)
    }
}
