//! Labels and finalizers of an object: KEDA's label is put on, its finalizer taken off where nothing needs it.

use kube::ResourceExt;
use serde_json::{Value, json};

use crate::scaling::Plan;

/// Of everything KEDA handles. Nobody else takes it off once KEDA is gone.
pub(super) const FINALIZER: &str = "finalizer.keda.sh";
const NAME: &str = "scaledobject.keda.sh/name";

/// What to change of the metadata of a live object, as a merge patch; `None` if nothing. A finalizer that is not needed is
/// left where `unhold` is false.
pub(super) fn patch(plan: &Plan, unhold: bool) -> Option<Value> {
    let object = &plan.object;
    let mut metadata = json!({"resourceVersion": object.resource_version()});
    let labelled = object.labels().get(NAME).is_some_and(|l| **l == *plan.name);
    let held = object.finalizers().iter().any(|f| f == FINALIZER);
    let keep = plan.restores() || held && !unhold;
    if labelled && held == keep {
        return None;
    }
    if !labelled {
        metadata["labels"] = json!({ NAME: *plan.name });
    }
    if held != keep {
        let others = object.finalizers().iter().filter(|f| *f != FINALIZER);
        let ours = keep.then_some(FINALIZER);
        let all: Vec<_> = others.map(String::as_str).chain(ours).collect();
        metadata["finalizers"] = json!(all);
    }
    Some(json!({ "metadata": metadata }))
}
