//! Labels and finalizers of an object: KEDA's label is put on, its finalizer taken off where nothing needs it.

use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    resources::names::{FINALIZER, SCALED_OBJECT},
    scaling::Plan,
};

/// The last changes of them.
#[derive(Default)]
pub(super) struct Labels {
    /// The version whose were put right.
    version: Option<String>,
    /// KEDA's finalizer was taken off: a KEDA that puts it on again is not fought.
    unheld: bool,
}

impl Labels {
    /// A merge patch of what is due, once for each version of the object.
    pub(super) fn due(&mut self, plan: &Plan) -> Option<Value> {
        let patch = patch(plan, !self.unheld)?;
        let version = plan.object.metadata.resource_version.clone();
        if version.is_some() && self.version == version {
            return None;
        }
        self.unheld |= !plan.restores();
        self.version = version;
        Some(patch)
    }
}

/// The change of a live object's metadata, as a merge patch; `None` if nothing. A finalizer that is not needed is
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn plan(metadata: &Value, restores: bool) -> Plan {
        let mut object = json!({
            "metadata": {"name": "so", "namespace": "shop"},
            "spec": {
                "scaleTargetRef": {"name": "app"}, "triggers": [],
                "advanced": {"restoreToOriginalReplicaCount": restores},
            },
        });
        for (key, value) in metadata.as_object().unwrap() {
            object["metadata"][key] = value.clone();
        }
        Plan::new(
            Arc::new(serde_json::from_value(object).unwrap()),
            Vec::new(),
        )
    }

    #[test]
    fn the_label_is_put_on_and_the_finalizer_taken_off_once_for_each_version() {
        let mut labels = Labels::default();
        let held = json!({"resourceVersion": "1", "finalizers": ["other", FINALIZER]});
        let patch = labels.due(&plan(&held, false)).unwrap()["metadata"].clone();
        assert_eq!(patch["labels"], json!({SCALED_OBJECT: "so"}));
        assert_eq!(patch["finalizers"], json!(["other"]));
        assert_eq!(patch["resourceVersion"], "1");
        assert_eq!(labels.due(&plan(&held, false)), None, "it is under way");
        let labelled = json!({"resourceVersion": "2", "labels": {SCALED_OBJECT: "so"}});
        assert_eq!(labels.due(&plan(&labelled, false)), None, "nothing is due");
    }

    #[test]
    fn a_keda_that_puts_its_finalizer_on_again_is_not_fought() {
        let mut labels = Labels::default();
        let held = |version: &str| json!({"resourceVersion": version, "labels": {SCALED_OBJECT: "so"}, "finalizers": [FINALIZER]});
        assert!(labels.due(&plan(&held("1"), false)).is_some());
        assert_eq!(labels.due(&plan(&held("2"), false)), None);
        assert!(
            Labels::default().due(&plan(&held("2"), false)).is_some(),
            "another process"
        );
    }

    #[test]
    fn an_object_that_restores_its_replicas_keeps_or_gets_the_finalizer() {
        let bare = json!({"resourceVersion": "1", "labels": {SCALED_OBJECT: "so"}});
        let patch = Labels::default().due(&plan(&bare, true)).unwrap();
        assert_eq!(patch["metadata"]["finalizers"], json!([FINALIZER]));
        let held = json!({"resourceVersion": "1", "labels": {SCALED_OBJECT: "so"}, "finalizers": [FINALIZER]});
        assert_eq!(Labels::default().due(&plan(&held, true)), None);
    }
}
