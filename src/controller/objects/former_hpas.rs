//! The HPAs that one object had under another name: each is deleted once its successor is there.

use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use crate::scaling::{Plan, owns};

/// Names that were given up since the object is known here. The status tells one; changes may be faster than a status.
#[derive(Default)]
pub(super) struct FormerHpas(BTreeSet<String>);

impl FormerHpas {
    /// Takes note of another name.
    pub(super) fn renamed(&mut self, before: &str, now: &str) {
        if before != now {
            self.0.insert(before.to_owned());
            self.0.remove(now);
        }
    }

    /// All names that the HPA of `plan` had before.
    pub(super) fn names<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = &'a str> {
        let status = plan.object.status.as_ref();
        let told = status.and_then(|s| s.hpa_name.as_deref());
        let told = told.filter(|told| *told != plan.hpa_name);
        told.into_iter().chain(self.0.iter().map(String::as_str))
    }

    /// An HPA that belongs to `plan` and still has such a name.
    pub(super) fn first(
        &self,
        plan: &Plan,
        find: impl Fn(&str) -> Option<Arc<HorizontalPodAutoscaler>>,
    ) -> Option<Arc<HorizontalPodAutoscaler>> {
        let owned = |hpa: &Arc<_>| owns(plan, hpa);
        self.names(plan).find_map(|name| find(name).filter(owned))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(hpa: &str, told: Option<&str>) -> Plan {
        let object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": "app", "namespace": "shop", "uid": "u"},
            "spec": {
                "scaleTargetRef": {"name": "app"}, "triggers": [],
                "advanced": {"horizontalPodAutoscalerConfig": {"name": hpa}},
            },
            "status": {"hpaName": told},
        });
        Plan::new(
            Arc::new(serde_json::from_value(object).unwrap()),
            Vec::new(),
        )
    }

    fn names(former: &FormerHpas, plan: &Plan) -> Vec<String> {
        former.names(plan).map(str::to_owned).collect()
    }

    #[test]
    fn former_names_are_the_one_of_the_status_and_those_given_up_since() {
        let mut former = FormerHpas::default();
        assert!(names(&former, &plan("c", Some("c"))).is_empty());
        former.renamed("b", "c");
        assert_eq!(names(&former, &plan("c", Some("a"))), ["a", "b"]);
    }

    #[test]
    fn a_name_that_is_taken_again_is_no_former_one() {
        let mut former = FormerHpas::default();
        former.renamed("a", "b");
        former.renamed("b", "a");
        former.renamed("a", "a");
        assert_eq!(names(&former, &plan("a", None)), ["b"]);
    }

    #[test]
    fn an_hpa_of_somebody_else_under_a_former_name_is_none_of_its_own() {
        let mut former = FormerHpas::default();
        former.renamed("a", "b");
        let found = |uid: &str| {
            let owner = json!({
                "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "app", "uid": uid,
                "controller": true,
            });
            let hpa = json!({"metadata": {"name": "a", "ownerReferences": [owner]}});
            let hpa: HorizontalPodAutoscaler = serde_json::from_value(hpa).unwrap();
            let find = |name: &str| (name == "a").then(|| Arc::new(hpa.clone()));
            former.first(&plan("b", None), find).is_some()
        };
        assert!(found("u"));
        assert!(!found("of another"));
    }
}
