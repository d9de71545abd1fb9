//! Labels and finalizers of an object: KEDA's label is put on, its finalizer taken off where nothing needs it.

use kube::ResourceExt;
use serde_json::{Value, json};

use super::object::Object;
use crate::{
    resources::names::{FINALIZER, SCALED_OBJECT},
    scaling::Plan,
};

/// What was done about an object's labels and finalizers.
#[derive(Default)]
pub(super) struct Tidied {
    /// The version whose were put right.
    version: Option<String>,
    /// KEDA's finalizer was taken off: a KEDA that puts it on again is not fought.
    unheld: bool,
}

impl Object {
    /// Labels and finalizers, once for each version of the object.
    pub(super) fn tidy(&mut self) -> Option<serde_json::Value> {
        let patch = patch(&self.plan, !self.tidied.unheld)?;
        let version = self.plan.object.metadata.resource_version.clone();
        if version.is_some() && self.tidied.version == version {
            return None;
        }
        self.tidied.unheld |= !self.plan.restores();
        self.tidied.version = version;
        Some(patch)
    }
}

/// What to change of the metadata of a live object, as a merge patch; `None` if nothing. A finalizer that is not needed is
/// left where `unhold` is false.
fn patch(plan: &Plan, unhold: bool) -> Option<Value> {
    let object = &plan.object;
    let mut metadata = json!({"resourceVersion": object.resource_version()});
    let labelled = object
        .labels()
        .get(SCALED_OBJECT)
        .is_some_and(|l| **l == *plan.name);
    let held = object.finalizers().iter().any(|f| f == FINALIZER);
    let keep = plan.restores() || held && !unhold;
    if labelled && held == keep {
        return None;
    }
    if !labelled {
        metadata["labels"] = json!({ SCALED_OBJECT: *plan.name });
    }
    if held != keep {
        let others = object.finalizers().iter().filter(|f| *f != FINALIZER);
        let ours = keep.then_some(FINALIZER);
        let all: Vec<_> = others.map(String::as_str).chain(ours).collect();
        metadata["finalizers"] = json!(all);
    }
    Some(json!({ "metadata": metadata }))
}
