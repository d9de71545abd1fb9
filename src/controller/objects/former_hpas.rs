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
